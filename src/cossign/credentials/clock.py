"""A clock that a server's Date header corrects. KeyTime and expiry use it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from cossign.errors import ParameterError

_JUMP = 0.25  # seconds by which somebody sets a clock; drift is corrected by less
_QUICK = 0.01  # seconds within which two clocks are read, so that they can be compared
# Of Linux, and of macOS: clocks that go on while the machine sleeps. Elsewhere `time.monotonic` does.
_ELAPSED: Any = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)


def elapsed_seconds() -> float:
    """Seconds since some instant, which go on evenly when somebody sets the machine's clock, and while it sleeps."""
    return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)


class _State(NamedTuple):
    """A clock's state: one object, which is replaced as a whole, so that threads need no lock.

    Attributes:
        offset: seconds to add to the machine's clock.
        set_offset: the offset as the caller has set it.
        server_time, elapsed: a server's time in Unix seconds, and `elapsed_seconds` then; None if no server told it.
    """

    offset: float
    set_offset: float
    server_time: float | None = None
    elapsed: float = 0.0


class Clock:
    """The time at which signatures start: this machine's clock, corrected by a server's Date header.

    A Signer and its credentials may share one. The SDKs call the correction SystemClockOffset (in milliseconds there).
    After it has learnt the time from a server, changes of the machine's clock have no effect: the offset changes by the
    same amount.

    Args:
        offset: seconds to add to this machine's clock.

    >>> clock = Clock()
    >>> _ = clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
    >>> 0 <= clock.now() - 1795590000 < 60
    True
    """

    __slots__ = ("_state",)

    def __init__(self, offset: float = 0.0) -> None:
        self._state = _State(offset, offset)

    @property
    def offset(self) -> float:
        """Seconds that are added to this machine's clock."""
        return self._state.offset

    @offset.setter
    def offset(self, offset: float) -> None:
        state = self._state
        server_time = None if state.server_time is None else time.time() + offset
        self._state = _State(offset, offset, server_time, elapsed_seconds())

    def now(self) -> float:
        """Unix seconds."""
        state = self._state
        if state.server_time is None:
            return time.time() + state.offset
        before = elapsed_seconds()
        machine_time = time.time()
        elapsed = elapsed_seconds()
        server_time = state.server_time + elapsed - state.elapsed
        if elapsed - before > _QUICK:  # the two cannot be compared
            return server_time
        if abs(server_time - machine_time - state.offset) > _JUMP:
            offset = server_time - machine_time
        else:  # the machine's time service knows better what a second is
            offset, server_time = state.offset, machine_time + state.offset
        if self._state is state:  # or else another thread has done it
            self._state = state._replace(offset=offset, server_time=server_time, elapsed=elapsed)
        return server_time

    def learn(self, date: str, *, within: float = 0) -> float:
        """Learn the time from a Date header, if it differs from this clock by more than its precision of one second.

        Args:
            date: the header's value.
            within: the duration of the request in seconds; the date may be that old.

        Returns:
            The offset from now on, in seconds.

        Raises:
            ParameterError: it is not a date.
        """
        import logging
        from email.utils import parsedate_to_datetime

        try:
            server_time = parsedate_to_datetime(date).timestamp() + 0.5  # it names a whole second
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise ParameterError("date", "must be the value of a Date header") from None
        now = self.now()
        if not now - within - 1.5 <= server_time <= now + 1.5:
            now = server_time
        offset = now - time.time()
        if abs(offset - self.offset) < _JUMP:
            offset = self.offset
        else:
            logging.getLogger("cossign.credentials").info("the clock is corrected by %+.1f s", offset)
        self._state = _State(offset, self._state.set_offset, now, elapsed_seconds())
        return offset

    def __repr__(self) -> str:
        return f"Clock(offset={self.offset!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Clock, (self._state.set_offset,)  # what was learnt is of this machine

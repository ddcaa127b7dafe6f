"""A clock that a server's Date header corrects: what KeyTime begins at, and expiry is judged by."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from cossign.errors import ParameterError

_JUMP = 1.0  # seconds by which a machine's clock was set, and did not only drift
# Of Linux, and of macOS: clocks that go on while the machine sleeps. Elsewhere `time.monotonic` does.
_ELAPSED: Any = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)


def elapsed_seconds() -> float:
    """Seconds since some instant, which go on evenly when somebody sets the machine's clock, and while it sleeps."""
    return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)


class _Anchor(NamedTuple):
    """A server's time at an instant, as far as it is known: one object, so that threads need no lock.

    Attributes:
        server_time: Unix seconds.
        elapsed: `elapsed_seconds` then.
        offset: the clock's then.
    """

    server_time: float
    elapsed: float
    offset: float


class Clock:
    """The time that signatures begin at: this machine's, corrected by what a server's Date header said.

    A Signer and its credentials may share one. The SDKs call the correction SystemClockOffset (in milliseconds there).
    Once it has learnt the time from a server, it keeps to it: if somebody sets the machine's clock, the offset changes
    by as much.

    Args:
        offset: seconds to add to this machine's clock.

    >>> clock = Clock()
    >>> _ = clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
    >>> 0 <= clock.now() - 1795590000 < 60
    True
    """

    __slots__ = ("_anchor", "offset")

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self._anchor: _Anchor | None = None

    def now(self) -> float:
        """Unix seconds."""
        machine_time = time.time()
        anchor = self._anchor
        if anchor is None:
            return machine_time + self.offset
        elapsed = elapsed_seconds()
        offset = self.offset
        if offset == anchor.offset:  # or else the caller has set it, who knows better
            server_time = anchor.server_time + elapsed - anchor.elapsed
            if abs(server_time - machine_time - offset) > _JUMP:
                self.offset = offset = server_time - machine_time
        self._anchor = _Anchor(machine_time + offset, elapsed, offset)
        return machine_time + offset

    def learn(self, date: str) -> float:
        """Take the time from a Date header, unless it says, to its second, what this clock says already.

        Returns:
            The offset from now on, in seconds.

        Raises:
            ParameterError: that is not a date.
        """
        import logging
        from email.utils import parsedate_to_datetime

        try:
            server_time = parsedate_to_datetime(date).timestamp() + 0.5  # it names a whole second
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise ParameterError("date", "must be the value of a Date header") from None
        if abs(server_time - self.now()) > 1.5:
            self.offset = server_time - time.time()
            logging.getLogger("cossign.credentials").info("the clock is corrected by %+.1f s", self.offset)
        self._anchor = _Anchor(time.time() + self.offset, elapsed_seconds(), self.offset)
        return self.offset

    def __repr__(self) -> str:
        return f"Clock(offset={self.offset!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Clock, (self.offset,)

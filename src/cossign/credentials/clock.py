"""A clock that a server's Date header corrects: what KeyTime begins at, and expiry is judged by."""

from __future__ import annotations

import time

from cossign.errors import ParameterError


class Clock:
    """The time that signatures begin at: this machine's, corrected by what a server's Date header said.

    A Signer and its credentials may share one. The SDKs call the correction SystemClockOffset (in milliseconds there).

    Args:
        offset: seconds to add to this machine's clock.

    >>> clock = Clock()
    >>> _ = clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
    >>> 0 <= clock.now() - 1795590000 < 60
    True
    """

    __slots__ = ("offset",)

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self.offset

    def learn(self, date: str) -> float:
        """Take the time from a Date header, unless it says, to its second, what this clock says already.

        Returns:
            The offset from now on, in seconds.

        Raises:
            ParameterError: that is no date.
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
        return self.offset

    def __repr__(self) -> str:
        return f"Clock(offset={self.offset!r})"

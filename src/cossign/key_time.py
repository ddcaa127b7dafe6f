"""KeyTime: the start and the end of a signature's validity, as numbers and as text; and durations."""

from __future__ import annotations

import operator
import re
from datetime import timedelta
from typing import Any, NamedTuple

from cossign.errors import ParameterError

Duration = int | timedelta | str  # seconds, a timedelta, or text such as "15m"
Span = tuple[int, int]  # a KeyTime as callers give it

_LATEST = 9_999_999_999  # KeyTime's seconds have ten digits
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class KeyTime(NamedTuple):
    """The start and the end of a signature's validity, in Unix seconds; its text is what is signed.

    Source: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).

    >>> str(KeyTime(1557989753, 1557996953))
    '1557989753;1557996953'
    """

    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start};{self.end}"

    @classmethod
    def validate(cls, start: int, end: int, parameter: str) -> KeyTime:
        """A KeyTime whose end is after its start, if both are Unix seconds; otherwise a ParameterError."""
        if not 0 <= start <= _LATEST or not 0 <= end <= _LATEST:
            raise ParameterError(parameter, f"must give a KeyTime from 0 to {_LATEST} Unix seconds")
        if end <= start:
            raise ParameterError(parameter, "must end after it starts: KeyTime is (start, end)")
        return cls(start, end)

    @classmethod
    def read(cls, text: str) -> KeyTime | None:
        """The two times of a text, which have at most 15 digits each; None if it has another form.

        >>> KeyTime.read("1557989753;1557996953")
        KeyTime(start=1557989753, end=1557996953)
        """
        match = re.fullmatch(r"([0-9]{1,15});([0-9]{1,15})", text)
        return None if match is None else cls(int(match[1]), int(match[2]))


class Times(NamedTuple):
    """What the KeyTimes of one instant have in common.

    Attributes:
        start: Unix seconds at which they begin.
        expires: seconds for which a signature is valid, unless its call gives another time.
        round_to: seconds of the window that they begin with, or None.
        early: seconds of `backdate` beyond the usual one: a KeyTime is that much longer.
    """

    start: int
    expires: int
    round_to: int | None = None
    extra_backdate: int = 0

    @property
    def window_start(self) -> int:
        """Unix seconds at which a KeyTime begins that is not given whole."""
        return self.start if self.round_to is None else self.start - self.start % self.round_to

    @property
    def added_seconds(self) -> int:
        """Seconds that such a KeyTime lasts beyond the seconds that are asked for."""
        return self.extra_backdate + (self.round_to or 0)

    def key_time(self, expires: Any = None, key_time: Any = None) -> KeyTime:
        """The KeyTime that a call's parameters `expires` and `key_time` ask for.

        >>> Times(1557989753, 900).key_time("2h")
        KeyTime(start=1557989753, end=1557996953)
        """
        if key_time is not None:
            if not isinstance(key_time, tuple) or len(key_time) != 2:
                raise ParameterError("key_time", "must be a tuple (start, end) of Unix seconds")
            start, end = (whole_seconds(each, "key_time") for each in key_time)
            return KeyTime.validate(start, end, "key_time")
        seconds = self.expires if expires is None else seconds_of(expires, "expires")
        if seconds <= 0:
            raise ParameterError("expires", "must be greater than 0 seconds")
        return self.make_key_time(seconds, "expires")

    def make_key_time(self, seconds: int, parameter: str) -> KeyTime:
        """The KeyTime of so many seconds, which a parameter asked for."""
        return KeyTime.validate(self.window_start, self.window_start + seconds + self.added_seconds, parameter)


def duration(value: Any) -> int:
    """Seconds, from a whole number, a timedelta, or text such as 15m; anything else is a ValueError.

    >>> duration("15m"), duration(timedelta(hours=1))
    (900, 3600)
    """
    if isinstance(value, timedelta) and value > timedelta() and not value % timedelta(seconds=1):
        return value // timedelta(seconds=1)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = re.fullmatch(r"([0-9]{1,10})([smhd]?)", value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("is not a duration: write 900, 15m, 2h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def whole_seconds(value: Any, parameter: str) -> int:
    """A whole number of seconds; otherwise a ParameterError."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ParameterError(parameter, f"must be a whole number of seconds, not {type(value).__name__}")


def seconds_of(value: Any, parameter: str) -> int:
    """How long something lasts: seconds, a timedelta, or text such as 15m; otherwise a ParameterError."""
    if isinstance(value, (str, timedelta)):
        try:
            return duration(value)
        except ValueError:
            what = "must be a whole number of seconds, at least 1" if isinstance(value, timedelta) else None
            raise ParameterError(parameter, what or f"{value!r} is not a duration: write 900, 15m, 2h or 7d") from None
    return whole_seconds(value, parameter)

"""What `explain` finds, as plain values: a cause in a request, a step, and where two HttpStrings part."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

from cossign.explain.causes.cause import Cause

Sureness = Literal["confirmed", "evident", "service", "possible"]
SURENESS: dict[Sureness, str] = {
    "confirmed": "certain: with this change the recomputed signature is the one that was sent",
    "evident": "certain: the request itself shows it, and leaves no other explanation",
    "service": "the service's answer says it",
    "possible": "not proven: nothing here shows it, and nothing excludes it",
}


class Finding(NamedTuple):
    """A cause in this request.

    Attributes:
        cause: the catalogue's entry.
        detail: the details in this request.
        sureness: how certain it is; see `SURENESS`.
    """

    cause: Cause
    detail: str
    sureness: Sureness


class Step(NamedTuple):
    """A step of the signature.

    Attributes:
        name: KeyTime, SignKey, HttpString, StringToSign, Signature; FormatString, if the service had another.
        request: its value for the request that was received.
        signed: the signer's value; None if it is not known.
    """

    name: str
    request: str
    signed: str | None


class Difference(NamedTuple):
    """Where the signed HttpString leaves the request's.

    Attributes:
        line: "method", "path", "HttpParameters" or "HttpHeaders".
        offset: the first byte that differs, within HttpString, counted from 0.
        line_offset: the same within its line.
    """

    line: str
    offset: int
    line_offset: int


def instant(seconds: int) -> str:
    """An instant in UTC and in local time."""
    try:
        utc = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
        local = time.localtime(seconds)
        return f"{utc} ({time.strftime('%Y-%m-%d %H:%M:%S %z', local)})" if local.tm_gmtoff else utc
    except (ValueError, OverflowError, OSError):
        return f"{seconds}, which is not an instant of a calendar"


def format_duration(seconds: int) -> str:
    """A span as people say it."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}".replace(".0 ", " ")
    return f"{seconds} s"

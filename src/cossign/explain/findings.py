"""What `explain` has found, as plain values: causes, steps, and where two HttpStrings part."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from cossign.explain.catalogue import Cause, Sureness


class Finding(NamedTuple):
    """A cause, as this request has it.

    Attributes:
        cause: the catalogue's entry.
        detail: what is the matter here.
        sureness: why it is believed; see `SURENESS`.
    """

    cause: Cause
    detail: str
    sureness: Sureness


class Step(NamedTuple):
    """A step of the signature.

    Attributes:
        name: KeyTime, SignKey, HttpString, StringToSign, Signature; FormatString, if the service had another.
        request: what it is for the request as it was received.
        signed: what it was for whoever signed; None if nobody knows.
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


@dataclass(frozen=True, repr=False)
class Findings:
    """All of it, for one request.

    Attributes:
        holds: whether the signature is right and holds now. The service may refuse the request all the same.
        findings: the causes, the strongest evidence first; each of "confirmed", "evident" and "service" is one of
            what is wrong together; those that are "possible" are a list of what cannot be excluded, the likeliest
            first.
        others: causes that would look the same, or that are possible, too.
        next_steps: what to give or to try next, so that more is known.
        steps: the signature, step by step.
        difference: where the two HttpStrings part; None if they do not, or if one is unknown.
        url: the request's URL, its signature and token masked.
        method: the request's method.
        source: what it was read from.
        key_time: (start, end) in Unix seconds, or None.
        now: Unix seconds at which it was looked at.
        checked: whether a SecretKey was there to recompute with.
        tried: how many signatures were recomputed.
        seconds: how long that took.
    """

    holds: bool
    findings: tuple[Finding, ...]
    others: tuple[Finding, ...]
    next_steps: tuple[str, ...]
    steps: tuple[Step, ...]
    difference: Difference | None
    url: str
    method: str
    source: str
    key_time: tuple[int, int] | None
    now: int
    checked: bool
    tried: int
    seconds: float


def instant(seconds: int) -> str:
    """An instant in UTC and in local time."""
    try:
        utc = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
        local = time.localtime(seconds)
        return f"{utc} ({time.strftime('%Y-%m-%d %H:%M:%S %z', local)})" if local.tm_gmtoff else utc
    except (ValueError, OverflowError, OSError):
        return f"{seconds}, which is no instant of a calendar"


def format_duration(seconds: int) -> str:
    """A span as people say it."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}".replace(".0 ", " ")
    return f"{seconds} s"

"""Causes: KeyTime and clocks."""

from __future__ import annotations

from cossign.explain.causes.cause import LATE, Clues, Group, Values
from cossign.explain.steps import Times
from cossign.key_time import KeyTime

TIMES = Group("Time")

TIMES.cause(
    "expired",
    title="The signature has expired",
    why="A signature is valid for a span of time, KeyTime, and that has ended. A URL that is kept, mailed or cached often "
    "outlives its signature. A signer whose clock is slow makes signatures that end early.",
    fix="signer.presign(key, expires=3600)",
)
TIMES.cause(
    "not-yet-valid",
    title="The signature is not valid yet: a clock is wrong",
    why="KeyTime begins in the future: the signer's clock is fast, or this one is slow.",
    fix="Signer(..., clock=cossign.Clock())  # learns the time from the service's answers",
)
TIMES.cause(
    "clock-skew",
    title="A clock is wrong",
    why="COS compares the request's time with its own clock. A machine whose clock is wrong makes signatures that have "
    "ended, or that begin later.",
    fix="Signer(..., clock=cossign.Clock())  # learns the time from the service's answers",
)

milliseconds = TIMES.cause(
    "milliseconds",
    title="KeyTime is in milliseconds",
    why="Date.now() and System.currentTimeMillis() count milliseconds. KeyTime is in seconds, with ten digits.",
    fix="const start = Math.floor(Date.now() / 1000)",
)


@milliseconds.changes("times", rank=LATE)
def _(times: Times, clues: Clues) -> Values:
    span = KeyTime.read(times.key)
    if span is not None and span.start >= 10**12:
        value = f"{span.start // 1000};{span.end // 1000}"
        yield Times(value, value), "seconds were signed, and milliseconds are sent"
    elif span is not None:
        value = f"{span.start * 1000};{span.end * 1000}"
        yield Times(value, value), "milliseconds were signed, and seconds are sent"


TIMES.cause(
    "key-time-form",
    title="KeyTime is not written as it must be",
    why="It must be two whole numbers of Unix seconds: the start, ';' and the end.",
    fix='key_time = f"{start};{start + 900}"',
)

key_time_changed = TIMES.cause(
    "key-time-changed",
    title="Another KeyTime was signed than is sent",
    why="The clock was read twice, once for the signature and once for its fields; or ';' was percent-encoded before it "
    "was signed; or q-sign-time and q-key-time differ, which are the same in every SDK.",
    fix='q_sign_time = q_key_time = f"{start};{end}"  # with %3B in a URL only',
)


@key_time_changed.changes("times")
def _(times: Times, clues: Clues) -> Values:
    for separator in ("%3B", "%3b", "%253B", ","):
        key, sign = times.key.replace(";", separator), times.sign.replace(";", separator)
        for pair, place in (
            (Times(key, sign), "SignKey and StringToSign"),
            (Times(key, times.sign), "SignKey"),
            (Times(times.key, sign), "StringToSign"),
        ):
            yield pair, f"{place} had {separator!r} in KeyTime instead of ';'"


@key_time_changed.changes("times")
def _(times: Times, clues: Clues) -> Values:
    if times.key != times.sign:
        for key, sign in ((times.key, times.key), (times.sign, times.sign), (times.sign, times.key)):
            yield Times(key, sign), "q-sign-time and q-key-time differ, and were not used where they belong"


@key_time_changed.changes("times", rank=LATE)
def _(times: Times, clues: Clues) -> Values:
    span = KeyTime.read(times.key)
    if span is None:
        return
    start, end = span
    is_same = times.key == times.sign
    for shift in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5):
        for ends, what in (((shift, shift), "both times"), ((shift, 0), "the start"), ((0, shift), "the end")):
            value = f"{start + ends[0]};{end + ends[1]}"
            detail = f"{what} in SignKey: {abs(shift)} s {'later' if shift > 0 else 'earlier'} than the request says"
            if is_same:
                yield Times(value, value), detail
            yield Times(value, times.sign), detail
    if is_same:
        start_text, _, end_text = times.key.partition(";")
        yield Times(f"{end};{start}", f"{end};{start}"), "start and end were signed in the other order"
        yield Times(start_text, start_text), "only the start was signed as KeyTime"
        yield Times(end_text, end_text), "only the end was signed as KeyTime"

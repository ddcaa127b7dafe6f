"""The findings from the service's answer: the meaning of its code, and differences in the request that arrived."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cossign.explain.answer import Answer
from cossign.explain.case import Case, finding, value_cause
from cossign.explain.causes import CATALOGUE
from cossign.explain.causes.cause import changes
from cossign.explain.codes import Meaning
from cossign.explain.findings import Finding, format_duration, instant
from cossign.explain.steps import Pairs, Signing, decoded_pairs, show

_MIN_SKEW = 60  # seconds that are worth a word


def received_signing(case: Case, answer: Answer | None) -> Signing | None:
    """What the service says it received."""
    if answer is None or answer.format_string is None:
        return None
    text = answer.format_string.encode("utf-8", "surrogatepass")
    method, _, rest = text.lstrip(b"\n").removesuffix(b"\n").partition(b"\n")
    pieces = rest.rsplit(b"\n", 2)
    if len(pieces) < 3:
        return None
    path, params, headers = pieces
    pairs = Pairs(decoded_pairs(params), "parameter"), Pairs(decoded_pairs(headers), "header")
    return case.signing._replace(method=method, path=path, params=pairs[0], headers=pairs[1])


def code_findings(case: Case, answer: Answer | None, is_right: bool, now: int) -> Iterator[Finding]:
    """What the answer's code means.

    Args:
        case: the request.
        answer: the service's; None without one.
        is_right: whether the signature was recomputed, and is right.
        now: Unix seconds.
    """
    if answer is None or not answer.code or answer.code == "SignatureDoesNotMatch":
        return
    meaning = answer.meaning
    if meaning is None:
        detail = f"the service answered {answer.code!r}, which is not a code that COS documents"
        yield Finding(CATALOGUE["request-refused"], detail, "possible")
        return
    text = f"the service answered {answer.code}: {meaning.text}"
    if meaning.stage == "after" and is_right:
        text += ". The signature is right; the request was refused for another reason"
    elif meaning.cause in ("no-such-key", "object-archived") and case.is_whole:
        text += ". COS looks for an object after it has checked the signature, so it found no fault in that"
    text += "".join(f". {hint}" for hint in _hints(case, answer, meaning, now))
    yield Finding(CATALOGUE[meaning.cause], text, "service")


def _hints(case: Case, answer: Answer, meaning: Meaning, now: int) -> Iterator[str]:
    """What this request adds to the meaning of a code."""
    if meaning.stage == "time" and answer.server_time is not None:
        yield from _clock_hints(case, answer.server_time, now)
    if meaning.cause == "access-denied":
        yield from _permission_hints(case, answer)
    if answer.code == "NoSuchKey":
        yield from _key_hints(case)
    if meaning.cause == "token-refused" and case.reading.token is None:
        yield "The request has no x-cos-security-token"


def _clock_hints(case: Case, server_time: int, now: int) -> Iterator[str]:
    span = case.span()
    yield f"The service's clock was at {instant(server_time)}"
    if span is not None:
        start, end = span
        if server_time > end:
            yield f"KeyTime had ended {format_duration(server_time - end)} before"
        if server_time < start:
            yield f"KeyTime begins {format_duration(start - server_time)} later: the signer's clock was fast"
        elif server_time - start >= _MIN_SKEW:
            yield f"KeyTime begins {format_duration(server_time - start)} before the service's time"
    if abs(server_time - now) >= _MIN_SKEW:
        word = "slow" if server_time > now else "fast"
        yield f"If the answer is new, this machine's clock is {format_duration(abs(server_time - now))} {word}"


def _permission_hints(case: Case, answer: Answer) -> Iterator[str]:
    if not case.is_whole:
        yield "Without a signature, only a bucket or an object that is public can be read"
        return
    if case.needs_token():
        yield "The SecretId looks like a temporary one, and the request has no x-cos-security-token"
    yield (
        "Look at the permissions of the user or role of this SecretId, at the policy of temporary keys, "
        "at the bucket's policy and ACL, and at rules for the source address, the referer and the network"
    )


def _key_hints(case: Case) -> Iterator[str]:
    path = show(case.reading.path)
    if re.search("%[0-9A-Fa-f]{2}", path):
        yield f"The key is {path[1:]!r}: was it percent-encoded twice?"
    if path.startswith("//"):
        yield "The key begins with a slash"
    if "+" in path:
        yield "The key has '+', which is a plus sign in a path, not a space"
    if path != path.strip():
        yield "The key has blanks at its end"


# --- What happened on the way -----------------------------------------------------------------------------------------


def refusal_finding(case: Case, is_same: bool) -> Finding:
    """The signature is right by the SecretKey at hand, and the service computed another.

    Args:
        case: the request.
        is_same: whether the service's answer shows that it computed the same StringToSign.
    """
    claim = "the signature is right by the SecretKey given, and the service"
    if not is_same:
        detail = (
            f"{claim} refused it: it received another request, or has another SecretKey for {case.secret_id}. "
            "Give its whole answer, with StringToSign"
        )
        return Finding(CATALOGUE["wrong-secret-key"], detail, "possible")
    detail = f"{claim} computed the same StringToSign: it has another SecretKey for {case.secret_id}"
    return Finding(CATALOGUE["wrong-secret-key"], detail, "service")


def transit_findings(arrival: Signing, case: Case) -> Iterator[Finding]:
    """What happened between the request as it was made and as the service received it."""
    clues = case.clues._replace(raw_path=b"", raw_query=b"", fragment=b"")  # those are of the request as it was made
    for slot in ("method", "path", "params", "headers"):
        received_value, sent_value = getattr(arrival, slot), getattr(case.signing, slot)
        has_pairs = isinstance(received_value, Pairs)
        sent_text, received_text = (
            (sent_value.text(), received_value.text()) if has_pairs else (sent_value, received_value)
        )
        if sent_text == received_text:
            continue
        change = next((each for each in changes(arrival, slot, clues) if each.outcome == sent_text), None)
        if change is not None:
            yield finding(change, "service")
        elif slot == "method":
            yield Finding(
                CATALOGUE["method-changed"],
                f"{show(sent_text).upper()} was sent, and {show(received_text).upper()} arrived",
                "service",
            )
        elif slot == "path":
            yield Finding(
                CATALOGUE["path-rewritten"],
                f"{show(sent_text)!r} was sent, and {show(received_text)!r} arrived",
                "service",
            )
        else:
            yield from _pair_findings(sent_value, received_value)


def _pair_findings(sent_pairs: Pairs, received_pairs: Pairs) -> Iterator[Finding]:
    kind = sent_pairs.kind
    sent_values = {name.lower(): value for name, value in sent_pairs.entries}
    received_values = {name.lower(): value for name, value in received_pairs.entries}
    for name in dict.fromkeys((*sent_values, *received_values)):
        if sent_values.get(name) == received_values.get(name):
            continue
        if name not in received_values:
            yield Finding(
                CATALOGUE[f"{kind}-missing"], f"the {kind} {show(name)!r} was sent, and did not arrive", "service"
            )
        elif name == b"host":
            yield Finding(
                CATALOGUE["host-changed"],
                f"Host was {show(sent_values.get(name, b''))!r}, and arrived as {show(received_values[name])!r}",
                "service",
            )
        else:
            yield Finding(
                CATALOGUE[value_cause(kind, name)],
                f"the {kind} {show(name)!r} was {show(sent_values.get(name, b''))!r}, and arrived as "
                f"{show(received_values[name])!r}",
                "service",
            )

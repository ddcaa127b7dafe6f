"""The diagnosis: which causes explain a signature, each with the evidence for it, the strongest first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cossign.credentials import Credentials
from cossign.explain.answer import Answer
from cossign.explain.case import Case, evident, finding, time_findings, token_findings
from cossign.explain.causes import CATALOGUE
from cossign.explain.findings import Finding
from cossign.explain.search import Match, SearchResult, search
from cossign.explain.service import code_findings, received_signing, refusal_finding, transit_findings
from cossign.explain.steps import Signing, show
from cossign.explain.suspects import suspects, usual_suspects

_MAX_CHANGES = 2  # changes at once
_MAX_SEARCHES = 2  # for that many: each may take some tenths of a second
_MAX_ATTEMPTS = 60_000  # signatures, after which no second search begins
_MAX_SUSPECTS = 12
_MAX_GUESSED_HOSTS = 8  # that another change is tried with


class Base(NamedTuple):
    """What a search starts from.

    Attributes:
        signing: what may have been signed.
        origin: "given", as the request is; "received", as the service shows it; "guessed", with what is missing in the
            request; or "form", as a form's request is signed by mistake.
    """

    signing: Signing
    origin: str


class Diagnosis(NamedTuple):
    """What was found.

    Attributes:
        case: the reading of the request that it is about.
        signed: what was signed, if that is known.
        is_right: whether the signature is right for the request as it is given.
        findings: the causes, the strongest first.
        others: causes that would look the same.
        attempts: how many signatures were computed.
    """

    case: Case
    signed: Signing | None
    is_right: bool
    findings: list[Finding]
    others: list[Finding]
    attempts: int


def diagnose(cases: Sequence[Case], answer: Answer | None, keyring: Mapping[str, Credentials], now: int) -> Diagnosis:
    """Look for the causes.

    Args:
        cases: ways to read the request, the likeliest first.
        answer: the service's, or None.
        keyring: the credentials at hand, by their SecretId.
        now: Unix seconds at which it is judged.
    """
    attempts = searches = 0
    whole_cases = [case for case in cases if keyring and case.is_whole]
    for limit, case in sorted(
        itertools.product(range(_MAX_CHANGES + 1), whole_cases),
        key=lambda each: (len(each[1].evidence) + each[0], each[0]),
    ):
        for base in _bases(case, answer, limit):
            searches += limit == _MAX_CHANGES
            if searches > _MAX_SEARCHES or (searches > 1 and attempts > _MAX_ATTEMPTS):
                break
            result = search(base.signing, case.reading.signature, case.clues, limit)
            attempts += result.attempts
            if result.matches:
                return _explain_match(case, base, result, answer, keyring, now)._replace(attempts=attempts)
    case = max(cases, key=lambda each: (len(each.reading.fields), -len(each.evidence)))  # the first of them
    return _explain_mismatch(case, answer, keyring, now)._replace(attempts=attempts)


def _bases(case: Case, answer: Answer | None, limit: int) -> Iterator[Base]:
    """What may have been signed."""
    yield Base(case.signing, "given")
    arrival = received_signing(case, answer)
    if arrival is not None and arrival.lines() != case.signing.lines():
        yield Base(arrival, "received")
    if case.clues.form_path and limit < _MAX_CHANGES:
        yield Base(case.signing._replace(method=b"put", path=case.clues.form_path), "form")
        yield Base(case.signing._replace(method=b"put"), "form")
    unsent_names = case.selection.unsent_names
    if unsent_names and len(unsent_names) <= 3 and limit < _MAX_CHANGES:
        for values in _guesses(case, None if limit == 0 else _MAX_GUESSED_HOSTS):
            params, headers = case.signing.params, case.signing.headers
            for (kind, name), value in zip(unsent_names, values, strict=True):
                if kind == "header":
                    headers = headers._replace(entries=(*headers.entries, (name, value)))
                else:
                    params = params._replace(entries=(*params.entries, (name, value)))
            yield Base(case.signing._replace(params=params, headers=headers), "guessed")


def _guesses(case: Case, host_count: int | None) -> Iterator[tuple[bytes, ...]]:
    """Values that signed headers and parameters may have had that the request lacks."""
    usual_values: dict[bytes, tuple[bytes, ...]] = {
        b"range": (b"bytes=0-", b"bytes=0-0", b"bytes=0-9"), b"content-length": (b"0",),
        b"host": tuple(host.encode() for host in case.clues.hosts[:host_count]),
        b"content-type": (b"application/octet-stream", b"image/jpeg", b"text/plain", b"application/json"),
        b"x-cos-security-token": tuple(token.encode() for token in case.clues.tokens),
    }  # fmt: skip
    yield tuple(b"" for _ in case.selection.unsent_names)
    for position, (_, name) in enumerate(case.selection.unsent_names):
        for value in usual_values.get(name, ()):
            yield tuple(value if at == position else b"" for at in range(len(case.selection.unsent_names)))


# --- A signature that was recomputed ----------------------------------------------------------------------------------


def _explain_match(
    case: Case,
    base: Base,
    result: SearchResult,
    answer: Answer | None,
    keyring: Mapping[str, Credentials],
    now: int,
) -> Diagnosis:
    """A match: the findings that it amounts to."""
    match = result.matches[0]
    is_right = base.origin == "given" and not match.changes and not case.evidence
    findings = list(_match_findings(case, base, match, keyring))
    others = [
        Finding(CATALOGUE[code], detail, "confirmed")
        for change in match.changes
        for code, detail in change.alternatives
    ]
    for other in result.matches[1:4]:
        others += [finding(change, "confirmed") for change in other.changes]
    if base.origin == "received":
        case = case._replace(signing=base.signing)
    sides = list(_side_findings(case, keyring, now, answer))
    findings += sides
    if answer is not None and answer.code == "SignatureDoesNotMatch" and base.origin != "received":
        _extend(findings, _refusal_findings(case, answer, is_right))
    codes = code_findings(case, answer, is_right=is_right and not sides, now=now)
    return Diagnosis(case, match.signing, is_right, [*codes, *findings] if is_right else [*findings, *codes], others, 0)


def _match_findings(case: Case, base: Base, match: Match, keyring: Mapping[str, Credentials]) -> Iterator[Finding]:
    changes = match.changes
    unsent_values = _unsent_values(case, match) if base.origin == "guessed" else []
    if unsent_values:
        changes = tuple(change for change in changes if not _is_of_unsent(case, base, match, change.slot))
    for each in case.evidence:
        if each.code in ("header-missing", "parameter-missing"):
            if unsent_values:
                detail = f"{each.detail}. It was signed with the value {show(unsent_values.pop(0))!r}"
                yield Finding(CATALOGUE[each.code], detail, "confirmed" if each.sureness == "evident" else "possible")
                continue
            if base.origin == "received":  # the service has received what the request lacks, as it is given
                continue
        yield evident(each)
    codes = {each.code for each in case.evidence}
    if base.origin == "form":
        detail = (
            f"{show(base.signing.method).upper()} {show(base.signing.path)} was signed, and a form is sent as POST /"
        )
        yield Finding(CATALOGUE["form-signed-otherwise"], detail, "confirmed")
    if case.secret_id not in keyring:
        owner = next(
            (each for each, credentials in keyring.items() if credentials.secret_key == match.signing.key),
            "another SecretId",
        )
        detail = f"it says q-ak={case.secret_id}, and the SecretKey of {owner} signed it"
        yield Finding(CATALOGUE["other-secret-id"], detail, "confirmed")
        codes.add("other-secret-id")
    for change in changes:
        if change.code not in codes:
            codes.add(change.code)
            yield finding(change, "confirmed")


def _unsent_values(case: Case, match: Match) -> list[bytes]:
    """The values with which the entries were signed that the request lacks."""
    slots = {"header": match.signing.headers, "parameter": match.signing.params}
    return [dict(slots[kind].entries).get(name, b"") for kind, name in case.selection.unsent_names]


def _is_of_unsent(case: Case, base: Base, match: Match, slot: str) -> bool:
    """Whether a slot has changed in the values alone that the request lacks."""
    if slot not in ("params", "headers"):
        return False
    unsent_names = {
        name for kind, name in case.selection.unsent_names if slot == ("headers" if kind == "header" else "params")
    }
    before, after = getattr(base.signing, slot), getattr(match.signing, slot)
    other_entries = [[entry for entry in pairs.entries if entry[0] not in unsent_names] for pairs in (before, after)]
    return other_entries[0] == other_entries[1] and before._replace(entries=()) == after._replace(entries=())


def _refusal_findings(case: Case, answer: Answer, is_right: bool) -> Iterator[Finding]:
    """The service computed another signature: it received another request than is given, or has another key."""
    arrival = received_signing(case, answer)
    if arrival is not None and arrival.lines() != case.signing.lines():
        yield from transit_findings(arrival, case)
    elif is_right:
        own_text = show(case.signing.recipe.string_to_sign(case.signing.times, case.signing.lines()))
        is_same = arrival is not None if answer.string_to_sign is None else answer.string_to_sign == own_text
        yield refusal_finding(case, is_same)


# --- Beside the signature ---------------------------------------------------------------------------------------------


def _side_findings(
    case: Case, keyring: Mapping[str, Credentials], now: int, answer: Answer | None
) -> Iterator[Finding]:
    """What may be wrong besides the signature: the token, the time, what clients do to the path."""
    reading = case.reading
    token = None if reading.token is None else show(reading.token)
    is_shown = reading.has_all_headers or reading.place == "form"
    yield from token_findings(case.secret_id, token, keyring.get(case.secret_id), is_shown=is_shown)
    parts = show(reading.path).split("/")
    if reading.place == "URL" and not reading.has_all_headers and ("." in parts or ".." in parts):
        detail = "the URL's path has dot segments, which most clients remove before they send it"
        yield Finding(CATALOGUE["dot-segments"], detail, "possible")
    span = case.span()
    if span is None or any(each.code in ("milliseconds", "key-time-form") for each in case.evidence):
        return
    if answer is None or answer.meaning is None or answer.meaning.stage != "time":  # the service's own clock says more
        yield from time_findings(span, now)


# --- A signature that nothing explains --------------------------------------------------------------------------------


def _explain_mismatch(case: Case, answer: Answer | None, keyring: Mapping[str, Credentials], now: int) -> Diagnosis:
    """No match: what the request shows, what the service says, and what cannot be excluded."""
    findings = [evident(each) for each in case.evidence]
    findings += _side_findings(case, keyring, now, answer)
    arrival = received_signing(case, answer)
    if arrival is not None and case.is_whole and arrival.lines() != case.signing.lines():
        _extend(findings, transit_findings(arrival, case))
    is_taken = answer is not None and answer.meaning is not None and answer.meaning.stage != "signature"
    codes = list(code_findings(case, answer, is_right=False, now=now))
    findings = [*codes, *findings] if case.is_whole else [*findings, *codes]
    findings.sort(key=lambda each: each.sureness == "possible")
    others: list[Finding] = []
    if not case.is_whole or len(case.reading.signature) < 40:
        return Diagnosis(case, None, False, findings, others, 0)
    if case.secret_id in keyring:
        remaining = list(suspects(case))[:_MAX_SUSPECTS]
        besides = ("expired", "not-yet-valid", "token-missing", "token-changed")  # they explain no other signature
        is_explained = any(each.sureness != "possible" and each.cause.code not in besides for each in findings)
        if is_taken or case.selection.unsent_names or is_explained:
            others = remaining
        else:
            findings += remaining
    elif keyring:
        detail = f"q-ak is {case.secret_id}; known: {', '.join(keyring)}"
        findings.append(Finding(CATALOGUE["unknown-secret-id"], detail, "evident"))
    elif not any(each.sureness == "service" for each in findings):
        others = list(usual_suspects(case))
    return Diagnosis(case, None, False, findings, others, 0)


def _extend(findings: list[Finding], more: Iterator[Finding]) -> None:
    """Add the findings whose cause is not named yet, or was only possible."""
    for each in more:
        codes = {other.cause.code: place for place, other in enumerate(findings)}
        place = codes.get(each.cause.code)
        if place is None:
            findings.append(each)
        elif findings[place].sureness == "possible":
            findings[place] = each

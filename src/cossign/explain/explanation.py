"""Why a signature does not match: what a request holds against what was signed, and how sure each cause is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cossign.credentials import Credentials
from cossign.endpoint import endpoint
from cossign.errors import CosSignError
from cossign.explain import page, report
from cossign.explain.catalogue import CATALOGUE, Sureness
from cossign.explain.changes import Change, Clues, changes, show
from cossign.explain.findings import Difference, Finding, Findings, Step
from cossign.explain.forms import (
    FIELDS,
    Evidence,
    Reading,
    Selection,
    clues_of,
    repair_request,
    select_entries,
    take_apart,
)
from cossign.explain.mask import SECRETS, Mask
from cossign.explain.reading import Request, ServiceError, read, read_error
from cossign.explain.search import SearchResult, search
from cossign.explain.steps import Pairs, Signing, Times, decoded_pairs, encoded_entry, first_difference, http_string
from cossign.key_time import KeyTime

_MAX_POSSIBLE_CAUSES = 6  # causes that are named without a key
_MAX_CHANGES = 2  # changes at once
_MAX_SEARCHES = 2  # for that many: each may take some tenths of a second


@dataclass(frozen=True, repr=False)
class Explanation(Findings):
    """What `explain` has found, with its words: `str()` of it is for a reader."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The findings' codes."""
        return tuple(finding.cause.code for finding in self.findings)

    def __repr__(self) -> str:
        return f"Explanation(holds={self.holds}, codes={self.codes})"

    def __str__(self) -> str:
        return report.text(self)

    def text(self, *, colour: bool = False, width: int = 100) -> str:
        """For a terminal, `width` characters wide, with ANSI's colours or without."""
        return report.text(self, colour, width)

    def json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps`."""
        return report.as_json(self)

    def html(self) -> str:
        """A page that stands alone, for a browser or a ticket."""
        return page.html(self)


# --- Explaining -------------------------------------------------------------------------------------------------------


class _Case(NamedTuple):
    """One way to read the request, and what it amounts to."""

    reading: Reading
    selection: Selection
    evidence: tuple[Evidence, ...]
    signing: Signing
    clues: Clues


def explain(
    request: str,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    credentials: Sequence[Credentials] = (),
    error: str | None = None,
    now: float | None = None,
    hosts: Sequence[str] = (),
    bucket: str = "",
    show_secrets: bool = False,
) -> Explanation:
    """Find out why a signature does not match.

    Args:
        request: a presigned URL; or what curl -v, a browser (HAR, "Copy as cURL"), a log or the wire shows.
        method: the request's, if it is not said there; GET for a bare URL.
        headers: the request's, where they are not said there.
        credentials: those that may have signed it; without any, nothing can be recomputed.
        error: the service's answer: its XML.
        now: Unix seconds; the present when None.
        hosts: hosts that it may have been signed for.
        bucket: ``<BucketName>-<APPID>``, if it is known.
        show_secrets: show SignKey, tokens and whole signatures.

    Returns:
        Explanation.

    Raises:
        ParameterError: the request or the error is none, or is too long.

    >>> from cossign import Credentials, Signer
    >>> credentials = Credentials("AKIDEXAMPLE", "example-key")
    >>> signer = Signer(credentials, bucket="b-1250000000", region="ap-beijing")
    >>> explain(signer.presign("a b.txt"), method="HEAD", credentials=[credentials]).codes
    ('method-changed',)
    """
    start = time.perf_counter()
    parsed_request = read(request, method, tuple((headers or {}).items()))
    answer = None if error is None and parsed_request.error is None else read_error(error or parsed_request.error or "")
    timestamp = int(time.time() if now is None else now)
    keyring = {each.secret_id: each for each in credentials}
    mask = Mask(show_secrets)
    for each in keyring.values():
        mask.hide(each.secret_key, "<SecretKey>")
    cases = [_case(each, evidence, keyring, hosts, bucket) for each, evidence in repair_request(parsed_request)]
    for each in keyring.values():
        mask.hide(each.token or "", "<token>")
    for case in cases:
        mask.hide(show(case.reading.token or b""), "<token>")
        if not case.reading.secret_id().startswith("AKID"):  # it may be a SecretKey, in the wrong place
            mask.hide(case.reading.secret_id(), f"{case.reading.secret_id()[:4]}...")
    for text in (
        parsed_request.url,
        answer.format_string or "" if answer else "",
        *map("=".join, parsed_request.headers),
    ):
        for name, value in SECRETS.findall(text):
            mask.hide(value, "<token>") if name.lower() == "token" else mask.hide_signature(value)
    for case in cases:
        mask.hide_signature(show(case.reading.fields.get("q-signature", b"")))
        mask.hide_signature(show(case.reading.signature))
    try:
        case, original, findings, others, attempts = _judge(cases, answer, keyring, timestamp)
        steps = tuple(_steps(case, original, answer, mask, show_secrets, keyring))
        difference = _difference(case.signing, original)
    finally:
        encoded_entry.cache_clear()
    return Explanation(
        holds=not findings and not others and original is not None,
        findings=tuple(_mask_findings(findings, mask)),
        others=tuple(_mask_findings(others, mask)),
        steps=steps,
        difference=difference,
        url=mask(parsed_request.url),
        method=show(case.signing.method).upper(),
        source=parsed_request.source,
        key_time=_span(case.reading),
        now=timestamp,
        checked=case.reading.secret_id() in keyring or original is not None,
        tried=attempts,
        seconds=time.perf_counter() - start,
    )


def _mask_findings(findings: Iterable[Finding], mask: Callable[[str], str]) -> Iterator[Finding]:
    for finding in findings:
        yield finding._replace(detail=mask(finding.detail))


def _case(
    request: Request, evidence: tuple[Evidence, ...], keyring: dict[str, Credentials], hosts: Sequence[str], bucket: str
) -> _Case:
    reading = take_apart(request)
    selection = select_entries(reading)
    secret_id = reading.secret_id()
    credentials = keyring.get(secret_id) or next(iter(keyring.values()), None)
    signing = Signing(
        "" if credentials is None else credentials.secret_key,
        reading.times(),
        reading.method,
        reading.path,
        selection.params,
        selection.headers,
    )
    tokens = [each.token for each in keyring.values() if each.token]
    if reading.token:
        tokens.append(show(reading.token))
    host = show(reading.host)
    bucket_name = bucket or _bucket_of(host)
    clues = clues_of(
        reading,
        selection,
        keys={each.secret_id: each.secret_key for each in keyring.values()},
        tokens=tuple(dict.fromkeys(tokens)),
        hosts=tuple(_hosts(host, bucket_name, hosts)),
        bucket=bucket_name,
    )
    all_evidence = (*evidence, *reading.evidence)
    if len(reading.fields) == len(FIELDS):
        all_evidence += selection.evidence
    return _Case(reading, selection, all_evidence, signing, clues)


def _bucket_of(host: str) -> str:
    name = host.partition(".")[0]
    return name if name.rpartition("-")[2].isdigit() and ".myqcloud.com" in host else ""


def _hosts(host: str, bucket: str, hosts: Sequence[str]) -> Iterator[str]:
    """Hosts that the bucket has, beside the one that the request went to."""
    yield from hosts
    if host:
        yield host
    if not bucket:
        return
    parts = host.split(".")
    region = parts[2] if len(parts) > 4 and parts[1].startswith(("cos", "pic", "ci")) else ""
    if region and region not in ("accelerate", "myqcloud"):
        for service in ("cos", "cos-internal", "cos-website", "pic", "ci", "picsh"):
            yield f"{bucket}.{service}.{region}.myqcloud.com"
        yield f"{bucket}.file.myqcloud.com"
        yield f"{bucket}.{region}.myqcloud.com"
    for each in hosts:
        part = each.split(".")
        if len(part) > 4:
            yield f"{bucket}.cos.{part[2]}.myqcloud.com"
    try:
        yield endpoint(bucket, "accelerate").host
    except CosSignError:
        return
    yield f"{bucket}.cos.accelerate-overseas.myqcloud.com"


def _span(reading: Reading) -> tuple[int, int] | None:
    """From when to when the signature holds."""
    spans = []
    for text in reading.times():
        span = KeyTime.read(text)
        if span is None:
            return None
        spans.append(span)
    return max(spans[0][0], spans[1][0]), min(spans[0][1], spans[1][1])


_Judgement = tuple[_Case, Signing | None, list[Finding], list[Finding], int]


def _finding(change: Change | Evidence, sureness: Sureness) -> Finding:
    return Finding(CATALOGUE[change.code], change.detail, sureness)


def _judge(cases: list[_Case], answer: ServiceError | None, keyring: dict[str, Credentials], now: int) -> _Judgement:
    """The best case, what was signed, the findings, others, and how many signatures were computed."""
    attempts = searches = 0
    complete_cases = [case for case in cases if keyring and len(case.reading.fields) == len(FIELDS)]
    for limit, case in sorted(
        itertools.product(range(_MAX_CHANGES + 1), complete_cases),
        key=lambda each: (len(each[1].evidence) + each[0], each[0]),
    ):
        for base, by_service in _bases(case, answer, limit):
            searches += limit == _MAX_CHANGES
            if searches > _MAX_SEARCHES:
                break
            result = search(base, case.reading.signature, case.clues, limit)
            attempts += result.attempts
            if result.matches:
                return (*_explain_match(case, base, by_service, result, answer, keyring=keyring, now=now), attempts)
    case = max(cases, key=lambda each: (len(each.reading.fields), -len(each.evidence)))  # the first of them
    return (*_explain_mismatch(case, answer, keyring, now), attempts)


def _bases(case: _Case, answer: ServiceError | None, limit: int) -> Iterator[tuple[Signing, bool]]:
    """What may have been signed: the request as it is given, as the service received it, and with what is missing."""
    yield case.signing, False
    received_signing = _received_signing(case, answer)
    if received_signing is not None and received_signing.lines() != case.signing.lines():
        yield received_signing, True
    unsent_names = case.selection.unsent_names
    if unsent_names and len(unsent_names) <= 3 and limit < _MAX_CHANGES:
        for values in _guesses(case):
            params, headers = case.signing.params, case.signing.headers
            for (kind, name), value in zip(unsent_names, values, strict=True):
                if kind == "header":
                    headers = headers._replace(entries=(*headers.entries, (name, value)))
                else:
                    params = params._replace(entries=(*params.entries, (name, value)))
            yield case.signing._replace(params=params, headers=headers), False


def _guesses(case: _Case) -> Iterator[tuple[bytes, ...]]:
    """Values that signed headers and parameters may have had that the request lacks."""
    usual_values: dict[bytes, tuple[bytes, ...]] = {
        b"range": (b"bytes=0-", b"bytes=0-0", b"bytes=0-9"), b"content-length": (b"0",),
        b"host": tuple(host.encode() for host in case.clues.hosts),
        b"content-type": (b"application/octet-stream", b"image/jpeg", b"text/plain", b"application/json"),
        b"x-cos-security-token": tuple(token.encode() for token in case.clues.tokens),
    }  # fmt: skip
    yield tuple(b"" for _ in case.selection.unsent_names)
    for position, (_, name) in enumerate(case.selection.unsent_names):
        for value in usual_values.get(name, ()):
            yield tuple(value if at == position else b"" for at in range(len(case.selection.unsent_names)))


def _received_signing(case: _Case, answer: ServiceError | None) -> Signing | None:
    """What the service says it received."""
    if answer is None or answer.format_string is None:
        return None
    text = answer.format_string.encode("utf-8", "surrogatepass")
    method, _, rest = text.lstrip(b"\n").removesuffix(b"\n").partition(b"\n")
    pieces = rest.rsplit(b"\n", 2)
    if len(pieces) < 3:
        return None
    path, params, headers = pieces
    return case.signing._replace(
        method=method, path=path, params=Pairs(decoded_pairs(params)), headers=Pairs(decoded_pairs(headers))
    )


def _explain_match(
    case: _Case,
    base: Signing,
    by_service: bool,
    result: SearchResult,
    answer: ServiceError | None,
    *,
    keyring: dict[str, Credentials],
    now: int,
) -> tuple[_Case, Signing | None, list[Finding], list[Finding]]:
    """A match: the findings that it amounts to."""
    best_match = result.matches[0]
    evidence = case.evidence
    if by_service:  # it has received what the request, as it is given, lacks
        evidence = tuple(
            each for each in evidence if not each.code.endswith("-missing") or each.code == "field-missing"
        )
    findings = [_finding(each, "evident") for each in evidence]
    secret_id = case.reading.secret_id()
    if secret_id not in keyring:
        owner = next(
            (each for each, credentials in keyring.items() if credentials.secret_key == best_match.signing.key),
            "another SecretId",
        )
        detail = f"it says q-ak={secret_id}, and the SecretKey of {owner} signed it"
        findings.append(Finding(CATALOGUE["other-secret-id"], detail, "confirmed"))
    for change in best_match.changes:
        if change.code not in [finding.cause.code for finding in findings]:
            findings.append(_finding(change, "confirmed"))
    others = [
        Finding(CATALOGUE[code], detail, "confirmed")
        for change in best_match.changes
        for code, detail in change.alternatives
    ]
    for match in result.matches[1:4]:
        others += [_finding(change, "confirmed") for change in match.changes]
    if by_service:
        case = case._replace(signing=base)
    findings += _side_findings(case, keyring, now)
    if not by_service and answer is not None and answer.code == "SignatureDoesNotMatch":
        known_codes = [finding.cause.code for finding in findings]
        findings += [
            each for each in _service_findings(case, answer, not findings) if each.cause.code not in known_codes
        ]
    return case, best_match.signing, findings, others


def _side_findings(case: _Case, keyring: dict[str, Credentials], now: int) -> Iterator[Finding]:
    """What may be wrong beside the signature: the token, the time, what clients do to the path."""
    reading = case.reading
    credentials = keyring.get(reading.secret_id())
    if credentials is not None and credentials.token:
        if reading.token is None:
            yield Finding(CATALOGUE["token-missing"], "the request has no x-cos-security-token", "evident")
        elif show(reading.token) != credentials.token:
            yield Finding(
                CATALOGUE["token-changed"], "x-cos-security-token is not the token of these credentials", "evident"
            )
    elif credentials is None and not keyring and reading.token is None and len(reading.secret_id()) > 60:
        yield Finding(
            CATALOGUE["token-missing"],
            "the SecretId has the length of a temporary one, and there is no token",
            "possible",
        )
    parts = show(reading.path).split("/")
    if reading.place == "URL" and ("." in parts or ".." in parts):
        yield Finding(
            CATALOGUE["dot-segments"],
            "the URL's path has dot segments, which clients remove before they send it",
            "evident",
        )
    yield from _time_findings(case, now)


def _time_findings(case: _Case, now: int) -> Iterator[Finding]:
    span = _span(case.reading)
    if span is None or any(each.code in ("milliseconds", "key-time-form") for each in case.evidence):
        return
    if now > span[1]:
        yield Finding(CATALOGUE["expired"], f"it ended {report.format_duration(now - span[1])} ago", "evident")
    elif now < span[0]:
        yield Finding(
            CATALOGUE["not-yet-valid"],
            f"it begins in {report.format_duration(span[0] - now)}: a clock is wrong by as much, or more",
            "evident",
        )


def _service_findings(case: _Case, answer: ServiceError, is_right: bool) -> list[Finding]:
    """What the service's answer shows: it received another request than is given, or has another key."""
    received_signing = _received_signing(case, answer)
    if received_signing is not None and received_signing.lines() != case.signing.lines():
        return list(_transit_findings(received_signing, case))
    if not is_right:
        return []
    other_key = f"it has another SecretKey for {case.reading.secret_id()}"
    claim = "the signature is right by the SecretKey given, and the service"
    if received_signing is None:
        detail = f"{claim} refused it: {other_key}, or received another request"
        return [Finding(CATALOGUE["wrong-secret-key"], detail, "eliminated")]
    return [Finding(CATALOGUE["wrong-secret-key"], f"{claim} computed the same StringToSign: {other_key}", "service")]


def _transit_findings(received_signing: Signing, case: _Case) -> Iterator[Finding]:
    """What happened between the request as it was made and as the service received it."""
    clues = case.clues._replace(raw_path=b"", raw_query=b"", fragment=b"")  # those are of the request as it was made
    for slot in ("method", "path", "params", "headers"):
        received_value, sent_value = getattr(received_signing, slot), getattr(case.signing, slot)
        has_pairs = isinstance(received_value, Pairs)
        sent_text, received_text = (
            (sent_value.text(), received_value.text()) if has_pairs else (sent_value, received_value)
        )
        if sent_text == received_text:
            continue
        change = next((each for each in changes(received_signing, slot, clues) if each.outcome == sent_text), None)
        if change is not None:
            yield _finding(change, "service")
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
            yield from _pair_findings("parameter" if slot == "params" else "header", sent_value, received_value)


def _pair_findings(kind: str, sent_pairs: Pairs, received_pairs: Pairs) -> Iterator[Finding]:
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
            code = {b"content-type": "content-type-changed", b"content-length": "content-length-changed"}.get(
                name, f"{kind}-changed"
            )
            yield Finding(
                CATALOGUE[code],
                f"the {kind} {show(name)!r} was {show(sent_values.get(name, b''))!r}, and arrived as "
                f"{show(received_values[name])!r}",
                "service",
            )


def _explain_mismatch(
    case: _Case, answer: ServiceError | None, keyring: dict[str, Credentials], now: int
) -> tuple[_Case, Signing | None, list[Finding], list[Finding]]:
    """No match: what is evident, what the service says, and what is left."""
    findings = [_finding(each, "evident") for each in case.evidence]
    secret_id = case.reading.secret_id()
    findings += _side_findings(case, keyring, now)
    received_signing = _received_signing(case, answer)
    if (
        received_signing is not None
        and received_signing.lines() != case.signing.lines()
        and len(case.reading.fields) == len(FIELDS)
    ):
        findings += [
            each
            for each in _transit_findings(received_signing, case)
            if each.cause.code not in [one.cause.code for one in findings]
        ]
    others: list[Finding] = []
    if len(case.reading.fields) < len(FIELDS) or len(case.reading.signature) < 40:
        return case, None, findings, others
    if keyring and secret_id in keyring:
        if not case.evidence:
            fallback = Finding(
                CATALOGUE["wrong-secret-key"],
                f"another SecretKey than the one given for {secret_id} signed it, "
                "or more than two things were done otherwise",
                "eliminated",
            )
            findings.insert(0, fallback)
    elif keyring:
        findings.append(
            Finding(CATALOGUE["unknown-secret-id"], f"q-ak is {secret_id}; known: {', '.join(keyring)}", "evident")
        )
    elif not any(finding.sureness == "service" for finding in findings):
        others = list(_possible_findings(case))
    return case, None, findings, others


def _possible_findings(case: _Case) -> Iterator[Finding]:
    """Without a key: causes that this request leaves room for, the usual ones first."""
    usual_codes = (
        "wrong-secret-key", "plus-for-space", "path-encoded", "encoder-differs", "host-changed", "method-changed",
        "unicode-form", "content-type-changed", "leading-slash", "slashes-merged", "secret-key-edited", "space-as-plus",
        "newline-lost",
    )  # fmt: skip
    details = {"wrong-secret-key": "another SecretKey signed it"}
    for slot in Signing._fields:
        for change in changes(case.signing, slot, case.clues):
            details.setdefault(change.code, change.detail)
    for code in [code for code in usual_codes if code in details][:_MAX_POSSIBLE_CAUSES]:
        yield Finding(CATALOGUE[code], f"perhaps {details[code]}", "possible")


# --- Side by side -----------------------------------------------------------------------------------------------------


def _difference(request: Signing, original: Signing | None) -> Difference | None:
    if original is None:
        return None
    offset = first_difference(http_string(request.lines()), http_string(original.lines()))
    if offset is None:
        return None
    names = ("method", "path", "HttpParameters", "HttpHeaders")
    line = next(at for at in range(4) if request.lines()[at] != original.lines()[at])
    line_offset = first_difference(request.lines()[line], original.lines()[line])
    return Difference(names[line], offset, line_offset or 0)


def _steps(
    case: _Case,
    original: Signing | None,
    answer: ServiceError | None,
    mask: Mask,
    show_secrets: bool,
    keyring: dict[str, Credentials],
) -> Iterator[Step]:
    """The signature's steps, for the request and for whoever signed."""
    if len(case.reading.fields) < len(FIELDS):
        return
    request = case.signing
    has_key = case.reading.secret_id() in keyring
    other = original or request

    def step(name: str, value: Callable[[Signing], bytes | str], needs_key: bool = False) -> Step:
        def text(signing: Signing) -> str:
            result = value(signing)
            return mask(result if isinstance(result, str) else show(result))

        return Step(name, text(request) if has_key or not needs_key else "", None if original is None else text(other))

    def key_time(signing: Signing) -> str:
        times: Times = signing.times
        return times.key if times.key == times.sign else f"{times.key} (q-sign-time {times.sign})"

    yield step("KeyTime", key_time)
    if show_secrets and (has_key or original is not None):
        yield step(
            "SignKey",
            lambda signing: show(
                signing.recipe.sign_key(signing.key.encode("utf-8", "surrogatepass"), signing.times.key.encode())
            ),
            True,
        )
    yield step("HttpString", lambda signing: signing.recipe.http(signing.lines()))
    yield step("StringToSign", lambda signing: signing.recipe.string_to_sign(signing.times, signing.lines()))
    sent_signature = show(case.reading.fields["q-signature"])
    own_signature = ""
    if has_key:
        own_signature = show(request.signature())
        mask.hide_signature(own_signature)
    yield Step("Signature", mask(own_signature), mask(sent_signature))
    format_string = None if answer is None else answer.format_string
    if format_string is not None and format_string != show(http_string(request.lines())):
        yield Step("FormatString", mask(format_string), mask(show(http_string(other.lines()))))

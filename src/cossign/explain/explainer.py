"""`explain`: read a request, diagnose it, and collect the findings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cossign.credentials import Credentials
from cossign.endpoint import bucket_in
from cossign.errors import ParameterError
from cossign.explain.answer import Answer, read_answer
from cossign.explain.case import Case, read_case
from cossign.explain.causes import AFTER
from cossign.explain.diagnosis import diagnose
from cossign.explain.explanation import Explanation
from cossign.explain.findings import Difference, Finding, Step
from cossign.explain.forms import repair_request
from cossign.explain.mask import Mask, secrets_in
from cossign.explain.policy import decoded_policy, diagnose_policy
from cossign.explain.reading import Form, Request, read
from cossign.explain.service import code_findings, refusal_finding
from cossign.explain.steps import LINE_NAMES, Signing, encoded_entry, first_difference, http_string, show
from cossign.explain.suspects import next_steps

_MAX_TIME = 10**12  # seconds


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
        request: a presigned URL; or a request from curl -v, a browser (HAR, "Copy as cURL"), a log or the wire.
        method: the request's method, if `request` does not contain it. Default: GET.
        headers: the request's headers, if `request` does not contain them.
        credentials: credentials that may have signed it. Without any, nothing can be recomputed.
        error: the answer of COS: XML, JSON, or a line of a log with its code.
        now: Unix seconds. None: the current time.
        hosts: hosts that it may have been signed for.
        bucket: ``<BucketName>-<APPID>``, if it is known.
        show_secrets: show SignKey, tokens and whole signatures.

    Returns:
        Explanation.

    Raises:
        ParameterError: the text is not a request or not an answer, or is too long.

    >>> from cossign import Credentials, Signer
    >>> credentials = Credentials("AKIDEXAMPLE", "example-key")
    >>> signer = Signer(credentials, bucket="b-1250000000", region="ap-beijing")
    >>> explain(signer.presign("a b.txt"), method="HEAD", credentials=[credentials]).codes
    ('method-changed',)
    """
    start = time.perf_counter()
    _check(method, headers, credentials, now, hosts, bucket)
    parsed_request = read(request, method, tuple((headers or {}).items()))
    text = error or parsed_request.error or error
    answer = None if text is None else read_answer(text)
    timestamp = int(time.time() if now is None else now)
    mask = Mask(show_secrets)

    def judge(keyring: Mapping[str, Credentials]) -> _Outcome:
        cases = [read_case(each, evidence, keyring, hosts, bucket) for each, evidence in repair_request(parsed_request)]
        _hide_secrets(mask, parsed_request, cases, answer, credentials)
        form = parsed_request.form
        if form is not None and form.value("policy") is not None and form.value("signature") is None:
            return _judge_form(form, cases[0], keyring, answer, bucket, mask=mask, now=timestamp)
        return _judge_request(cases, keyring, answer, mask, timestamp, has_hosts=bool(hosts))

    attempts = 0
    outcomes = []
    try:
        for keyring in _keyrings(credentials):
            outcomes.append(judge(keyring))
            attempts += outcomes[-1].attempts
            if outcomes[-1].is_proven:
                break
    finally:
        encoded_entry.cache_clear()
    outcome = outcomes[-1] if outcomes[-1].is_proven else outcomes[0]
    return Explanation(
        holds=outcome.is_right
        and not outcome.others
        and all(each.cause.group == AFTER.title for each in outcome.findings),
        findings=tuple(each._replace(detail=mask(each.detail)) for each in outcome.findings),
        others=tuple(each._replace(detail=mask(each.detail)) for each in outcome.others),
        next_steps=outcome.next_steps,
        steps=outcome.steps,
        difference=outcome.difference,
        url=mask(parsed_request.url),
        method=outcome.method,
        source=parsed_request.source,
        key_time=outcome.key_time,
        now=timestamp,
        checked=outcome.is_checked,
        tried=attempts,
        seconds=time.perf_counter() - start,
    )


class _Outcome(NamedTuple):
    """What was found with one set of credentials; the fields are those of Explanation.

    Attributes:
        is_right: whether the signature is right for the request as it is given.
        is_proven: whether a recomputed signature is the one that was sent.
    """

    is_right: bool
    is_proven: bool
    findings: list[Finding]
    others: list[Finding]
    next_steps: tuple[str, ...]
    steps: tuple[Step, ...]
    difference: Difference | None
    method: str
    key_time: tuple[int, int] | None
    is_checked: bool
    attempts: int


def _keyrings(credentials: Sequence[Credentials]) -> list[dict[str, Credentials]]:
    """The credentials by their SecretId; several times, if one SecretId has several SecretKeys or tokens."""
    by_id: dict[str, list[Credentials]] = {}
    for each in credentials:
        by_id.setdefault(each.secret_id, []).append(each)
    count = max(map(len, by_id.values()), default=1)
    return [{name: each[min(place, len(each) - 1)] for name, each in by_id.items()} for place in range(count)]


def _check(method: Any, headers: Any, credentials: Any, now: Any, hosts: Any, bucket: Any) -> None:
    """Refuse parameters of other types."""
    if method is not None and not isinstance(method, str):
        raise ParameterError("method", f"must be a str, not {type(method).__name__}")
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ParameterError(f"headers[{name!r}]", f"must be a str, not {type(value).__name__}")
    if not isinstance(credentials, (list, tuple)):
        raise ParameterError("credentials", f"must be a list of Credentials, not {type(credentials).__name__}")
    if now is not None and (isinstance(now, bool) or not isinstance(now, (int, float)) or not abs(now) < _MAX_TIME):
        raise ParameterError("now", f"must be Unix seconds, not {now!r}"[:200])
    for host in hosts:
        if not isinstance(host, str):
            raise ParameterError("hosts", f"must hold str, not {type(host).__name__}")
    if not isinstance(bucket, str) or not bucket.isascii():
        raise ParameterError("bucket", "must be <BucketName>-<APPID>, such as example-1250000000")


def _judge_request(
    cases: list[Case],
    keyring: Mapping[str, Credentials],
    answer: Answer | None,
    mask: Mask,
    now: int,
    *,
    has_hosts: bool,
) -> _Outcome:
    """Judge a request whose signature is one of HttpString."""
    case, signed, is_right, findings, others, attempts = diagnose(cases, answer, keyring, now)
    is_open = bool(findings) and all(each.sureness == "possible" for each in findings) and not is_right
    return _Outcome(
        is_right,
        signed is not None,
        findings,
        others,
        tuple(next_steps(case, answer is not None, has_hosts)) if is_open and case.is_whole else (),
        tuple(_steps(case, signed, answer, mask, keyring)),
        _difference(case.signing, signed),
        show(case.signing.method).upper(),
        case.span(),
        case.secret_id in keyring or signed is not None,
        attempts,
    )


def _judge_form(
    form: Form,
    case: Case,
    keyring: Mapping[str, Credentials],
    answer: Answer | None,
    bucket: str,
    *,
    mask: Mask,
    now: int,
) -> _Outcome:
    """Judge a form with a policy."""
    is_signed, findings, steps, span, attempts, is_checked = diagnose_policy(
        form, keyring, bucket or bucket_in(case.host), now
    )
    is_right = is_signed and not findings
    findings = [*code_findings(case, answer, is_right, now), *findings]
    if is_signed and answer is not None and answer.code == "SignatureDoesNotMatch":
        findings.append(refusal_finding(case, is_same=False))
        is_right = False
    for step in steps:
        if step.name == "Signature":
            mask.hide_signature(step.request)
    masked_steps = [
        Step(step.name, mask(step.request), None if step.signed is None else mask(step.signed)) for step in steps
    ]
    return _Outcome(
        is_right, is_signed, findings, [], (), tuple(masked_steps), None, "POST", span, is_checked, attempts
    )


def _hide_secrets(
    mask: Mask, request: Request, cases: list[Case], answer: Answer | None, credentials: Sequence[Credentials]
) -> None:
    """Hide what a request, an answer and the credentials hold of secrets."""
    for each in credentials:
        mask.hide(each.secret_key, "<SecretKey>")
    for each in credentials:
        mask.hide(each.token or "", "<token>")
    for case in cases:
        mask.hide(show(case.reading.token or b""), "<token>")
        mask.hide_unless_id(case.secret_id)
    texts = [request.url, *map("=".join, request.headers)]
    if request.form is not None:
        texts += map("=".join, request.form.fields)
        texts.append(decoded_policy(request.form))
        mask.hide_unless_id(request.form.value("q-ak") or "")
    if answer is not None:
        texts += [answer.format_string or "", answer.message]
    for text in texts:
        for name, value in secrets_in(text):
            mask.hide(value, "<token>") if name.lower() == "token" else mask.hide_signature(value)
    if request.form is not None:
        mask.hide_signature(request.form.value("q-signature") or "")
    for case in cases:
        mask.hide_signature(show(case.reading.fields.get("q-signature", b"")))
        mask.hide_signature(show(case.reading.signature))


# --- Side by side -----------------------------------------------------------------------------------------------------


def _difference(request: Signing, original: Signing | None) -> Difference | None:
    if original is None:
        return None
    offset = first_difference(http_string(request.lines()), http_string(original.lines()))
    if offset is None:
        return None
    line = next(at for at in range(4) if request.lines()[at] != original.lines()[at])
    line_offset = first_difference(request.lines()[line], original.lines()[line])
    return Difference(LINE_NAMES[line], offset, line_offset or 0)


def _steps(
    case: Case,
    original: Signing | None,
    answer: Answer | None,
    mask: Mask,
    keyring: Mapping[str, Credentials],
) -> Iterator[Step]:
    """The signature's steps, for the request and for the signer."""
    if not case.is_whole:
        return
    request = case.signing
    has_key = case.secret_id in keyring
    other = original or request

    def step(name: str, value: Callable[[Signing], bytes | str], needs_key: bool = False) -> Step:
        def text(signing: Signing) -> str:
            result = value(signing)
            return mask(result if isinstance(result, str) else show(result))

        return Step(name, text(request) if has_key or not needs_key else "", None if original is None else text(other))

    def key_time(signing: Signing) -> str:
        times = signing.times
        return times.key if times.key == times.sign else f"{times.key} (q-sign-time {times.sign})"

    yield step("KeyTime", key_time)
    if mask.shows and (has_key or original is not None):
        yield step(
            "SignKey",
            lambda signing: signing.recipe.key_of(signing.key, signing.times),
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

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
from cossign.explain.changes import Change, Clues, changes, shown
from cossign.explain.findings import Difference, Finding, Findings, Step
from cossign.explain.forms import FIELDS, Evident, Listed, Reading, clues_of, listed, repaired, taken_apart
from cossign.explain.mask import SECRETS, Mask
from cossign.explain.reading import Request, ServiceError, read, read_error
from cossign.explain.search import Found, search
from cossign.explain.steps import Pairs, Signing, Times, decoded_pairs, encoded_entry, first_difference, http_string
from cossign.key_time import KeyTime

_POSSIBLE = 6  # causes that are named without a key
_MOST = 2  # changes at once
_SEARCHES = 2  # for that many: each may take some tenths of a second


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
    chosen: Listed
    evident: tuple[Evident, ...]
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
    began = time.perf_counter()
    given = read(request, method, tuple((headers or {}).items()))
    answer = None if error is None and given.error is None else read_error(error or given.error or "")
    looked_at = int(time.time() if now is None else now)
    known = {each.secret_id: each for each in credentials}
    mask = Mask(show_secrets)
    for each in known.values():
        mask.hide(each.secret_key, "<SecretKey>")
    cases = [_case(each, evident, known, hosts, bucket) for each, evident in repaired(given)]
    for each in known.values():
        mask.hide(each.token or "", "<token>")
    for case in cases:
        mask.hide(shown(case.reading.token or b""), "<token>")
        if not case.reading.secret_id().startswith("AKID"):  # it may be a SecretKey, in the wrong place
            mask.hide(case.reading.secret_id(), f"{case.reading.secret_id()[:4]}...")
    for text in (given.url, answer.format_string or "" if answer else "", *map("=".join, given.headers)):
        for name, value in SECRETS.findall(text):
            mask.hide(value, "<token>") if name.lower() == "token" else mask.hide_signature(value)
    for case in cases:
        mask.hide_signature(shown(case.reading.fields.get("q-signature", b"")))
        mask.hide_signature(shown(case.reading.signature))
    try:
        case, signed, findings, others, tried = _judged(cases, answer, known, looked_at)
        steps = tuple(_steps(case, signed, answer, mask, show_secrets, known))
        difference = _difference(case.signing, signed)
    finally:
        encoded_entry.cache_clear()
    return Explanation(
        holds=not findings and not others and signed is not None,
        findings=tuple(_masked(findings, mask)),
        others=tuple(_masked(others, mask)),
        steps=steps,
        difference=difference,
        url=mask(given.url),
        method=shown(case.signing.method).upper(),
        source=given.source,
        key_time=_span(case.reading),
        now=looked_at,
        checked=case.reading.secret_id() in known or signed is not None,
        tried=tried,
        seconds=time.perf_counter() - began,
    )


def _masked(findings: Iterable[Finding], mask: Callable[[str], str]) -> Iterator[Finding]:
    for finding in findings:
        yield finding._replace(detail=mask(finding.detail))


def _case(
    request: Request, evident: tuple[Evident, ...], known: dict[str, Credentials], hosts: Sequence[str], bucket: str
) -> _Case:
    reading = taken_apart(request)
    chosen = listed(reading)
    secret_id = reading.secret_id()
    own = known.get(secret_id) or next(iter(known.values()), None)
    signing = Signing(
        "" if own is None else own.secret_key,
        reading.times(),
        reading.method,
        reading.path,
        chosen.params,
        chosen.headers,
    )
    tokens = [each.token for each in known.values() if each.token]
    if reading.token:
        tokens.append(shown(reading.token))
    host = shown(reading.host)
    found = bucket or _bucket_of(host)
    clues = clues_of(
        reading,
        chosen,
        keys={each.secret_id: each.secret_key for each in known.values()},
        tokens=tuple(dict.fromkeys(tokens)),
        hosts=tuple(_hosts(host, found, hosts)),
        bucket=found,
    )
    every = (*evident, *reading.evident)
    if len(reading.fields) == len(FIELDS):
        every += chosen.evident
    return _Case(reading, chosen, every, signing, clues)


def _bucket_of(host: str) -> str:
    name = host.partition(".")[0]
    return name if name.rpartition("-")[2].isdigit() and ".myqcloud.com" in host else ""


def _hosts(host: str, bucket: str, given: Sequence[str]) -> Iterator[str]:
    """Hosts that the bucket has, beside the one that the request went to."""
    yield from given
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
    for each in given:
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


_Judged = tuple[_Case, Signing | None, list[Finding], list[Finding], int]


def _found(change: Change | Evident, sureness: Sureness) -> Finding:
    return Finding(CATALOGUE[change.code], change.detail, sureness)


def _judged(cases: list[_Case], answer: ServiceError | None, known: dict[str, Credentials], now: int) -> _Judged:
    """The best case, what was signed, the findings, others, and how many signatures were computed."""
    tried = searched = 0
    whole = [case for case in cases if known and len(case.reading.fields) == len(FIELDS)]
    for most, case in sorted(
        itertools.product(range(_MOST + 1), whole), key=lambda each: (len(each[1].evident) + each[0], each[0])
    ):
        for base, by_service in _bases(case, answer, most):
            searched += most == _MOST
            if searched > _SEARCHES:
                break
            found = search(base, case.reading.signature, case.clues, most)
            tried += found.tried
            if found.matches:
                return (*_explained(case, base, by_service, found, answer, known=known, now=now), tried)
    case = max(cases, key=lambda each: (len(each.reading.fields), -len(each.evident)))  # the first of them
    return (*_unexplained(case, answer, known, now), tried)


def _bases(case: _Case, answer: ServiceError | None, most: int) -> Iterator[tuple[Signing, bool]]:
    """What may have been signed: the request as it is given, as the service received it, and with what is missing."""
    yield case.signing, False
    received = _received(case, answer)
    if received is not None and received.lines() != case.signing.lines():
        yield received, True
    unsent = case.chosen.unsent
    if unsent and len(unsent) <= 3 and most < _MOST:
        for values in _guesses(case):
            params, headers = case.signing.params, case.signing.headers
            for (kind, name), value in zip(unsent, values, strict=True):
                if kind == "header":
                    headers = headers._replace(entries=(*headers.entries, (name, value)))
                else:
                    params = params._replace(entries=(*params.entries, (name, value)))
            yield case.signing._replace(params=params, headers=headers), False


def _guesses(case: _Case) -> Iterator[tuple[bytes, ...]]:
    """Values that signed headers and parameters may have had that the request lacks."""
    usual: dict[bytes, tuple[bytes, ...]] = {
        b"range": (b"bytes=0-", b"bytes=0-0", b"bytes=0-9"), b"content-length": (b"0",),
        b"host": tuple(host.encode() for host in case.clues.hosts),
        b"content-type": (b"application/octet-stream", b"image/jpeg", b"text/plain", b"application/json"),
        b"x-cos-security-token": tuple(token.encode() for token in case.clues.tokens),
    }  # fmt: skip
    yield tuple(b"" for _ in case.chosen.unsent)
    for position, (_, name) in enumerate(case.chosen.unsent):
        for value in usual.get(name, ()):
            yield tuple(value if at == position else b"" for at in range(len(case.chosen.unsent)))


def _received(case: _Case, answer: ServiceError | None) -> Signing | None:
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


def _explained(
    case: _Case,
    base: Signing,
    by_service: bool,
    found: Found,
    answer: ServiceError | None,
    *,
    known: dict[str, Credentials],
    now: int,
) -> tuple[_Case, Signing | None, list[Finding], list[Finding]]:
    """A match: the findings that it amounts to."""
    best = found.matches[0]
    evident = case.evident
    if by_service:  # it has received what the request, as it is given, lacks
        evident = tuple(each for each in evident if not each.code.endswith("-missing") or each.code == "field-missing")
    findings = [_found(each, "evident") for each in evident]
    secret_id = case.reading.secret_id()
    if secret_id not in known:
        owner = next((each for each, own in known.items() if own.secret_key == best.signing.key), "another SecretId")
        detail = f"it says q-ak={secret_id}, and the SecretKey of {owner} signed it"
        findings.append(Finding(CATALOGUE["other-secret-id"], detail, "confirmed"))
    for change in best.changes:
        if change.code not in [finding.cause.code for finding in findings]:
            findings.append(_found(change, "confirmed"))
    others = [Finding(CATALOGUE[code], detail, "confirmed") for change in best.changes for code, detail in change.also]
    for match in found.matches[1:4]:
        others += [_found(change, "confirmed") for change in match.changes]
    if by_service:
        case = case._replace(signing=base)
    findings += _beside(case, known, now)
    if not by_service and answer is not None and answer.code == "SignatureDoesNotMatch":
        known_codes = [finding.cause.code for finding in findings]
        findings += [each for each in _on_the_way(case, answer, not findings) if each.cause.code not in known_codes]
    return case, best.signing, findings, others


def _beside(case: _Case, known: dict[str, Credentials], now: int) -> Iterator[Finding]:
    """What may be wrong beside the signature: the token, the time, what clients do to the path."""
    reading = case.reading
    own = known.get(reading.secret_id())
    if own is not None and own.token:
        if reading.token is None:
            yield Finding(CATALOGUE["token-missing"], "the request has no x-cos-security-token", "evident")
        elif shown(reading.token) != own.token:
            yield Finding(
                CATALOGUE["token-changed"], "x-cos-security-token is not the token of these credentials", "evident"
            )
    elif own is None and not known and reading.token is None and len(reading.secret_id()) > 60:
        yield Finding(
            CATALOGUE["token-missing"],
            "the SecretId has the length of a temporary one, and there is no token",
            "possible",
        )
    parts = shown(reading.path).split("/")
    if reading.where == "URL" and ("." in parts or ".." in parts):
        yield Finding(
            CATALOGUE["dot-segments"],
            "the URL's path has dot segments, which clients remove before they send it",
            "evident",
        )
    yield from _timely(case, now)


def _timely(case: _Case, now: int) -> Iterator[Finding]:
    span = _span(case.reading)
    if span is None or any(each.code in ("milliseconds", "key-time-form") for each in case.evident):
        return
    if now > span[1]:
        yield Finding(CATALOGUE["expired"], f"it ended {report.lasting(now - span[1])} ago", "evident")
    elif now < span[0]:
        yield Finding(
            CATALOGUE["not-yet-valid"],
            f"it begins in {report.lasting(span[0] - now)}: a clock is wrong by as much, or more",
            "evident",
        )


def _on_the_way(case: _Case, answer: ServiceError, is_right: bool) -> list[Finding]:
    """What the service's answer shows: it received another request than is given, or has another key."""
    received = _received(case, answer)
    if received is not None and received.lines() != case.signing.lines():
        return list(_between(received, case))
    if not is_right:
        return []
    other_key = f"it has another SecretKey for {case.reading.secret_id()}"
    right = "the signature is right by the SecretKey given, and the service"
    if received is None:
        detail = f"{right} refused it: {other_key}, or received another request"
        return [Finding(CATALOGUE["wrong-secret-key"], detail, "eliminated")]
    return [Finding(CATALOGUE["wrong-secret-key"], f"{right} computed the same StringToSign: {other_key}", "service")]


def _between(received: Signing, case: _Case) -> Iterator[Finding]:
    """What happened between the request as it was made and as the service received it."""
    clues = case.clues._replace(raw_path=b"", raw_query=b"", fragment=b"")  # those are of the request as it was made
    for slot in ("method", "path", "params", "headers"):
        there, here = getattr(received, slot), getattr(case.signing, slot)
        pairs = isinstance(there, Pairs)
        sent, got = (here.text(), there.text()) if pairs else (here, there)
        if sent == got:
            continue
        known = next((each for each in changes(received, slot, clues) if each.outcome == sent), None)
        if known is not None:
            yield _found(known, "service")
        elif slot == "method":
            yield Finding(
                CATALOGUE["method-changed"],
                f"{shown(sent).upper()} was sent, and {shown(got).upper()} arrived",
                "service",
            )
        elif slot == "path":
            yield Finding(
                CATALOGUE["path-rewritten"], f"{shown(sent)!r} was sent, and {shown(got)!r} arrived", "service"
            )
        else:
            yield from _pairs_between("parameter" if slot == "params" else "header", here, there)


def _pairs_between(kind: str, here: Pairs, there: Pairs) -> Iterator[Finding]:
    sent = {name.lower(): value for name, value in here.entries}
    got = {name.lower(): value for name, value in there.entries}
    for name in dict.fromkeys((*sent, *got)):
        if sent.get(name) == got.get(name):
            continue
        if name not in got:
            yield Finding(
                CATALOGUE[f"{kind}-missing"], f"the {kind} {shown(name)!r} was sent, and did not arrive", "service"
            )
        elif name == b"host":
            yield Finding(
                CATALOGUE["host-changed"],
                f"Host was {shown(sent.get(name, b''))!r}, and arrived as {shown(got[name])!r}",
                "service",
            )
        else:
            code = {b"content-type": "content-type-changed", b"content-length": "content-length-changed"}.get(
                name, f"{kind}-changed"
            )
            yield Finding(
                CATALOGUE[code],
                f"the {kind} {shown(name)!r} was {shown(sent.get(name, b''))!r}, and arrived as {shown(got[name])!r}",
                "service",
            )


def _unexplained(
    case: _Case, answer: ServiceError | None, known: dict[str, Credentials], now: int
) -> tuple[_Case, Signing | None, list[Finding], list[Finding]]:
    """No match: what is evident, what the service says, and what is left."""
    findings = [_found(each, "evident") for each in case.evident]
    secret_id = case.reading.secret_id()
    findings += _beside(case, known, now)
    received = _received(case, answer)
    if received is not None and received.lines() != case.signing.lines() and len(case.reading.fields) == len(FIELDS):
        findings += [
            each for each in _between(received, case) if each.cause.code not in [one.cause.code for one in findings]
        ]
    others: list[Finding] = []
    if len(case.reading.fields) < len(FIELDS) or len(case.reading.signature) < 40:
        return case, None, findings, others
    if known and secret_id in known:
        if not case.evident:
            left = Finding(
                CATALOGUE["wrong-secret-key"],
                f"another SecretKey than the one given for {secret_id} signed it, "
                "or more than two things were done otherwise",
                "eliminated",
            )
            findings.insert(0, left)
    elif known:
        findings.append(
            Finding(CATALOGUE["unknown-secret-id"], f"q-ak is {secret_id}; known: {', '.join(known)}", "evident")
        )
    elif not any(finding.sureness == "service" for finding in findings):
        others = list(_possible(case))
    return case, None, findings, others


def _possible(case: _Case) -> Iterator[Finding]:
    """Without a key: causes that this request leaves room for, the usual ones first."""
    usual = (
        "wrong-secret-key", "plus-for-space", "path-encoded", "encoder-differs", "host-changed", "method-changed",
        "unicode-form", "content-type-changed", "leading-slash", "slashes-merged", "secret-key-edited", "space-as-plus",
        "newline-lost",
    )  # fmt: skip
    room = {"wrong-secret-key": "another SecretKey signed it"}
    for slot in Signing._fields:
        for change in changes(case.signing, slot, case.clues):
            room.setdefault(change.code, change.detail)
    for code in [code for code in usual if code in room][:_POSSIBLE]:
        yield Finding(CATALOGUE[code], f"perhaps {room[code]}", "possible")


# --- Side by side -----------------------------------------------------------------------------------------------------


def _difference(request: Signing, signed: Signing | None) -> Difference | None:
    if signed is None:
        return None
    offset = first_difference(http_string(request.lines()), http_string(signed.lines()))
    if offset is None:
        return None
    names = ("method", "path", "HttpParameters", "HttpHeaders")
    line = next(at for at in range(4) if request.lines()[at] != signed.lines()[at])
    within = first_difference(request.lines()[line], signed.lines()[line])
    return Difference(names[line], offset, within or 0)


def _steps(
    case: _Case,
    signed: Signing | None,
    answer: ServiceError | None,
    mask: Mask,
    show_secrets: bool,
    known: dict[str, Credentials],
) -> Iterator[Step]:
    """The signature's steps, for the request and for whoever signed."""
    if len(case.reading.fields) < len(FIELDS):
        return
    request = case.signing
    has_key = case.reading.secret_id() in known
    other = signed or request

    def step(name: str, value: Callable[[Signing], bytes | str], needs_key: bool = False) -> Step:
        def text(signing: Signing) -> str:
            found = value(signing)
            return mask(found if isinstance(found, str) else shown(found))

        return Step(name, text(request) if has_key or not needs_key else "", None if signed is None else text(other))

    def key_time(signing: Signing) -> str:
        times: Times = signing.times
        return times.key if times.key == times.sign else f"{times.key} (q-sign-time {times.sign})"

    yield step("KeyTime", key_time)
    if show_secrets and (has_key or signed is not None):
        yield step(
            "SignKey",
            lambda signing: shown(
                signing.recipe.sign_key(signing.key.encode("utf-8", "surrogatepass"), signing.times.key.encode())
            ),
            True,
        )
    yield step("HttpString", lambda signing: signing.recipe.http(signing.lines()))
    yield step("StringToSign", lambda signing: signing.recipe.string_to_sign(signing.times, signing.lines()))
    given = shown(case.reading.fields["q-signature"])
    own = ""
    if has_key:
        own = shown(request.signature())
        mask.hide_signature(own)
    yield Step("Signature", mask(own), mask(given))
    received = None if answer is None else answer.format_string
    if received is not None and received != shown(http_string(request.lines())):
        yield Step("FormatString", mask(received), mask(shown(http_string(other.lines()))))

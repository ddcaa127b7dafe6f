"""The possible causes if no recomputed signature fits: a ranked list, the SecretKey last."""

from __future__ import annotations

from collections.abc import Iterator

from cossign.explain.case import Case, value_cause
from cossign.explain.causes import CATALOGUE
from cossign.explain.causes.cause import changes
from cossign.explain.findings import Finding
from cossign.explain.forms import name_hint
from cossign.explain.hosts import is_usual_host
from cossign.explain.steps import Signing, show

_MAX_OF_A_KIND = 4  # headers, and parameters, that are named one by one
_USUAL_CODES = (  # without a key: those that reports show most
    "host-changed", "plus-for-space", "path-encoded", "content-type-changed", "method-changed", "encoder-differs",
    "unicode-form", "slashes-changed", "secret-key-edited", "lines-differ",
)  # fmt: skip
_MAX_USUAL = 6
# Headers that clients, proxies and CDNs change most.
_OFTEN_CHANGED = (
    b"content-type",
    b"content-length",
    b"content-md5",
    b"content-disposition",
    b"range",
    b"cache-control",
)


def suspects(case: Case) -> Iterator[Finding]:
    """With a key at hand, and no signature that fits: what may differ, by how often reports show it."""
    is_usual = is_usual_host(case.host)
    signs_host = b"host" in case.signing.headers.names()
    if signs_host and not is_usual:
        yield _host(case)
    yield from _values(case)
    if signs_host and is_usual:
        yield _host(case)
    yield _possible(
        "path-rewritten",
        f"the key that was signed may be another than {show(case.reading.path)!r}: a letter, a blank, or a prefix",
    )
    yield _possible(
        "wrong-secret-key",
        f"if all of this is as it was signed, the SecretKey is not the one given for {case.secret_id}, "
        "or more than two things differ",
    )


def usual_suspects(case: Case) -> Iterator[Finding]:
    """Without a key: the usual causes for which this request leaves room."""
    details: dict[str, str] = {}
    for slot in Signing._fields:
        for change in changes(case.signing, slot, case.clues):
            details.setdefault(change.code, change.detail)
    yield from list(_values(case))[:2]
    for code in [code for code in _USUAL_CODES if code in details][:_MAX_USUAL]:
        yield _possible(code, f"perhaps {details[code]}")
    yield _possible("wrong-secret-key", "perhaps another SecretKey signed it")


def next_steps(case: Case, has_answer: bool, has_hosts: bool) -> Iterator[str]:
    """What to give `explain` next, so that it can tell these apart."""
    if not has_answer:
        yield "Give the service's answer (--error, error=): its StringToSign and FormatString show what it received."
    if not case.reading.has_all_headers:
        yield "Give the headers that were sent (-H, headers=), or curl -v's output instead of the URL."
    if not has_hosts:
        yield "Give the bucket and the region that it was signed for (-b and -r), or the domain (--domain)."
    yield "Sign the same request again with these credentials and compare the two. Only then suspect the SecretKey."


def _host(case: Case) -> Finding:
    return _possible(
        "host-changed",
        f"Host is signed, and is {case.host!r} here: a CDN, a proxy or another domain may have changed it",
    )


def _values(case: Case) -> Iterator[Finding]:
    """The signed headers and parameters, whose values may have been others."""
    entries = [(name.lower(), value) for name, value in case.signing.headers.entries if name.lower() != b"host"]
    entries.sort(key=lambda each: _OFTEN_CHANGED.index(each[0]) if each[0] in _OFTEN_CHANGED else len(_OFTEN_CHANGED))
    for name, value in entries[:_MAX_OF_A_KIND]:
        hint = name_hint(case.reading.method, name)
        detail = f"the header {show(name)!r} is signed, and is {show(value)!r} here: its value may have changed{hint}"
        yield _possible(value_cause("header", name), detail)
    if len(entries) > _MAX_OF_A_KIND:
        names = ", ".join(show(name) for name, _ in entries[_MAX_OF_A_KIND:][:20])
        yield _possible("header-changed", f"these headers are signed, too: {names}")
    for name, value in case.signing.params.entries[:_MAX_OF_A_KIND]:
        detail = f"the parameter {show(name)!r} is signed, and is {show(value)!r} here: its value may have changed"
        yield _possible("parameter-changed", detail)
    if len(case.signing.params.entries) > _MAX_OF_A_KIND:
        names = ", ".join(show(name) for name, _ in case.signing.params.entries[_MAX_OF_A_KIND:][:20])
        yield _possible("parameter-changed", f"these parameters are signed, too: {names}")


def _possible(code: str, detail: str) -> Finding:
    return Finding(CATALOGUE[code], detail, "possible")

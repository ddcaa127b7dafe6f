"""One way to read a request, taken apart, with what its signature should be made of and what else is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cossign.credentials import Credentials
from cossign.credentials.base import is_temporary_id
from cossign.endpoint import bucket_in
from cossign.explain.causes import CATALOGUE
from cossign.explain.causes.cause import Change, Clues
from cossign.explain.findings import Finding, Sureness, format_duration
from cossign.explain.forms import (
    FIELDS,
    Evidence,
    Reading,
    Selection,
    clues_of,
    select_entries,
    take_apart,
    written_host,
)
from cossign.explain.hosts import other_hosts
from cossign.explain.reading import Request, sent_bytes
from cossign.explain.steps import Signing, show
from cossign.key_time import KeyTime


class Case(NamedTuple):
    """One way to read the request, and what it amounts to.

    Attributes:
        reading: the request, taken apart.
        selection: what its lists name.
        evidence: what the request itself shows.
        signing: what the signature should be made of.
        clues: what else is known.
        secret_id: q-ak, without blanks or quotes around it.
        host: the request's.
    """

    reading: Reading
    selection: Selection
    evidence: tuple[Evidence, ...]
    signing: Signing
    clues: Clues
    secret_id: str
    host: str

    @property
    def is_whole(self) -> bool:
        """Whether all fields of the signature are there."""
        return len(self.reading.fields) == len(FIELDS)

    def span(self) -> tuple[int, int] | None:
        """The start and the end of the signature's validity."""
        spans = []
        for text in self.reading.times():
            span = KeyTime.read(text)
            if span is None:
                return None
            spans.append(span)
        return max(spans[0][0], spans[1][0]), min(spans[0][1], spans[1][1])

    def needs_token(self) -> bool:
        """Whether the SecretId looks like a temporary one, and no token is sent."""
        return is_temporary_id(self.secret_id) and self.reading.token is None


def read_case(
    request: Request,
    evidence: tuple[Evidence, ...],
    keyring: Mapping[str, Credentials],
    hosts: Sequence[str],
    bucket: str,
) -> Case:
    """Take a request apart.

    Args:
        request: the request, or what it may have been before its text was damaged.
        evidence: that damage.
        keyring: the credentials at hand, by their SecretId.
        hosts: hosts that it may have been signed for.
        bucket: ``<BucketName>-<APPID>``, or "".
    """
    reading = take_apart(request)
    selection = select_entries(reading)
    secret_id, edits = _known_id(reading.secret_id(), keyring)
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
    bucket_name = bucket or bucket_in(host) or next(filter(None, map(bucket_in, hosts)), "")
    form_key = reading.form.value("key") if reading.form else None
    clues = clues_of(
        reading,
        selection,
        keys={each.secret_id: each.secret_key for each in keyring.values()},
        tokens=tuple(dict.fromkeys(tokens)),
        hosts=tuple(other_hosts(host, bucket_name, (*hosts, written_host(request.url)), request.headers)),
        bucket=bucket_name,
        form_path=b"/" + sent_bytes(form_key).lstrip(b"/") if form_key else b"",
    )._replace(secret_id=secret_id)
    all_evidence = (*evidence, *edits, *reading.evidence)
    if len(reading.fields) == len(FIELDS):
        all_evidence += selection.evidence
    return Case(reading, selection, all_evidence, signing, clues, secret_id, host)


def _known_id(secret_id: str, keyring: Mapping[str, Credentials]) -> tuple[str, tuple[Evidence, ...]]:
    """The SecretId that is meant, without what stands around it."""
    bare_id = secret_id.strip("\"'<> \t\r\n\ufeff\u201c\u201d\u2018\u2019")
    if bare_id == secret_id or secret_id in keyring:
        return secret_id, ()
    if bare_id not in keyring and not re.fullmatch("AKID[A-Za-z0-9_-]+", bare_id):
        return secret_id, ()
    odd = sorted(set(secret_id.replace(bare_id, "", 1)))
    names = {
        '"': "quotes",
        "'": "quotes",
        "<": "angle brackets",
        ">": "angle brackets",
        " ": "blanks",
        "\n": "a line's end",
    }
    what = " and ".join(dict.fromkeys(names.get(each, "odd characters") for each in odd))
    return bare_id, (Evidence("secret-id-edited", f"q-ak has {what} around the SecretId"),)


def finding(change: Change | Evidence, sureness: Sureness) -> Finding:
    """The finding that a change or a piece of evidence amounts to."""
    return Finding(CATALOGUE[change.code], change.detail, sureness)


def evident(evidence: Evidence) -> Finding:
    """The finding of what the request itself shows."""
    return finding(evidence, evidence.sureness)


def value_cause(kind: str, name: bytes) -> str:
    """The code of the cause that a value has changed: of a "header" or a "parameter"."""
    is_content_type = kind == "header" and name.lower() == b"content-type"
    return "content-type-changed" if is_content_type else f"{kind}-changed"


# --- Besides the signature --------------------------------------------------------------------------------------------


def time_findings(span: tuple[int, int], now: int) -> Iterator[Finding]:
    """Whether a signature does not hold yet, or does not hold any more."""
    if now > span[1]:
        yield Finding(CATALOGUE["expired"], f"it ended {format_duration(now - span[1])} ago", "evident")
    elif now < span[0]:
        detail = f"it begins in {format_duration(span[0] - now)}: a clock is wrong by as much, or more"
        yield Finding(CATALOGUE["not-yet-valid"], detail, "evident")


def token_findings(
    secret_id: str, token: str | None, credentials: Credentials | None, *, is_shown: bool
) -> Iterator[Finding]:
    """Whether the token is missing, or is another one.

    Args:
        secret_id: q-ak.
        token: what is sent as x-cos-security-token, or None.
        credentials: those of the SecretId, if they are at hand.
        is_shown: whether the text shows all places where a token may stand.
    """
    if credentials is not None and credentials.token:
        if token is None:
            sureness: Sureness = "evident" if is_shown else "possible"
            yield Finding(CATALOGUE["token-missing"], "the request has no x-cos-security-token", sureness)
        elif token != credentials.token:
            detail = "x-cos-security-token is not the token of these credentials"
            yield Finding(CATALOGUE["token-changed"], detail, "evident")
    elif token is None and is_temporary_id(secret_id):
        detail = "the SecretId has the length of a temporary one, and the request has no x-cos-security-token"
        yield Finding(CATALOGUE["token-missing"], detail, "possible")

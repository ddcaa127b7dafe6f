"""How a signature is written down: damaged URLs, fields that are not of their form, entries that are missing."""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from cossign._core import encode_component
from cossign._verify import sent_host
from cossign.explain.changes import Clues, shown
from cossign.explain.reading import Request, sent_bytes
from cossign.explain.steps import Entry, Pairs, Times, percent_decoded
from cossign.key_time import KeyTime

FIELDS = (
    "q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature",
)  # fmt: skip
_NAMES = frozenset(name.encode() for name in FIELDS)


class Evident(NamedTuple):
    """A cause that stands in the request itself, and needs no recomputing to be one."""

    code: str
    detail: str


class Reading(NamedTuple):
    """A request, taken apart.

    Attributes:
        fields: the signature's, as far as they are there.
        signature: q-signature in lower-case hex, perhaps cut: what a recomputed one must begin with.
        method, path: decoded, as a verifier sees them.
        host: from the Host header or the URL, or "".
        params, headers: all entries but for the signature's own.
        raw_path, raw_query, fragment: as they were written.
        token: x-cos-security-token, or None.
        evident: what is wrong by its form alone.
        where: the signature is in the "URL", in its "sign" parameter, or in the "Authorization".
    """

    fields: dict[str, bytes]
    signature: bytes
    method: bytes
    path: bytes
    host: bytes
    params: tuple[Entry, ...]
    headers: tuple[Entry, ...]
    raw_path: bytes
    raw_query: bytes
    fragment: bytes
    token: bytes | None
    evident: tuple[Evident, ...]
    where: str

    def times(self) -> Times:
        """q-key-time and q-sign-time."""
        return Times(shown(self.fields.get("q-key-time", b"")), shown(self.fields.get("q-sign-time", b"")))

    def secret_id(self) -> str:
        """q-ak."""
        return shown(self.fields.get("q-ak", b""))


# --- Damaged text -----------------------------------------------------------------------------------------------------


def _unescaped(url: str) -> str:
    return html.unescape(url) if re.search(r"&(amp|#0*38|#x0*26);", url, re.I) else url


# A pasted text may be long: a pattern here takes a time in proportion to its length, whatever it holds.

_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))


def _unquoted(url: str) -> str:
    return url.lstrip(_BLANKS + "<\"'([`\u201c").rstrip(_BLANKS + ">\"')]`.,;\u201d\u3002\uff0c")


def _unwrapped(url: str) -> str:
    return re.sub(r"\\?\s+", _unwrapped_run, url)


def _unwrapped_run(run: re.Match[str]) -> str:
    """What stays of a run of blanks, maybe behind a backslash: none at '&' or '=', or from a line's end on."""
    slash, blanks = run[0][: run[0][0] == "\\"], run[0].lstrip("\\")
    before, after = run.string[max(0, run.start() - 1) : run.start()], run.string[run.end() : run.end() + 1]
    if after in ("&", "=") or (before in ("&", "=") and not slash):
        return "" if blanks[0] in "\r\n\t" else slash
    kept = re.split(r"[\r\n\t]", blanks, maxsplit=1)[0]
    return slash + kept if kept or len(kept) == len(blanks) else ""


def _whole_decoded(url: str) -> str:
    lower = url.lower()
    _, mark, query = lower.partition("%3f")
    encoded = mark and (query.startswith("q-sign") or "%3fq-sign" in query or "%26q-sign" in query)
    return unquote(url) if encoded or re.match(r"https?%3a", lower) else url


def _query_decoded(url: str) -> str:
    path, mark, query = url.partition("?")
    return path + mark + unquote(query) if re.search(r"(?i)q-(sign|key)-time(=|%3d)[0-9]+%25(25)*3b", query) else url


def _names_decoded(url: str) -> str:
    path, mark, query = url.partition("?")
    return (
        path + mark + unquote(query)
        if re.search(r"(?i)(^|&)q-ak%3d|%26q-ak%3d", query) and "sign=" not in query
        else url
    )


def _marked(url: str) -> str:
    """With one question mark, where there were none or two."""
    if "?" not in url.partition("q-sign-algorithm=")[0]:
        return re.sub(r"[&;]?q-sign-algorithm=", "?q-sign-algorithm=", url, count=1)
    path, mark, query = url.partition("?")
    return path + mark + re.sub(r"\?(?=q-sign-algorithm=)", "&", query)


def _bare(authorization: str) -> str:
    return re.sub(r"^(?i:authorization:)?\s*(?:[A-Za-z]+\s+)?(?=q-)", "", authorization).strip("\"' ")


def _decoded_authorization(authorization: str) -> str:
    is_encoded = re.search(r"(?i)q-(sign|key)-time=[0-9]+%3b|q-ak%3d", authorization)
    return unquote(authorization) if is_encoded else authorization


def _joined(authorization: str) -> str:
    return "".join(authorization.split())


_REPAIRS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("html-escaped", "the URL has '&amp;' where it had '&'", _unescaped),
    ("quoted-url", "the URL has quotes, brackets or punctuation around it that are not its own", _unquoted),
    ("wrapped-url", "the URL was broken into lines, or has blanks in it", _unwrapped),
    ("url-encoded-whole", "the whole URL, or its query with '&' and '=', is percent-encoded", _whole_decoded),
    ("signature-encoded-twice", "the signature's fields are percent-encoded twice: ';' is %253B", _query_decoded),
    ("url-encoded-whole", "the query's '&' and '=' are percent-encoded", _names_decoded),
    ("question-mark", "the query does not begin with one '?', and go on with '&'", _marked),
)


def repaired(request: Request) -> Iterator[tuple[Request, tuple[Evident, ...]]]:
    """The request as it is, and as it may have been before its text was damaged: with one repair, or two."""
    yield request, ()
    once = []
    for repair in _REPAIRS:
        url = repair[2](request.url)
        if url != request.url:
            once.append((repair, url))
            yield request._replace(url=url), (Evident(*repair[:2]),)
    for first, url in once:
        for repair in _REPAIRS:
            again = repair[2](url)
            if again != url and repair[0] != first[0]:
                yield request._replace(url=again), (Evident(*first[:2]), Evident(*repair[:2]))
    authorization = next((value for name, value in request.headers if name.lower() == "authorization"), None)
    if authorization is not None:
        for change, code, detail in (
            (_bare, "authorization-scheme", "the Authorization has a word or quotes before q-sign-algorithm"),
            (_decoded_authorization, "authorization-encoded", "the Authorization is percent-encoded, as only URLs are"),
            (_joined, "wrapped-url", "the Authorization was broken into lines, or has blanks in it"),
            (_unescaped, "html-escaped", "the Authorization has '&amp;' where it had '&'"),
        ):
            better = change(authorization)
            if better != authorization:
                headers = [
                    (name, better if name.lower() == "authorization" else value) for name, value in request.headers
                ]
                yield request._replace(headers=tuple(headers)), (Evident(code, detail),)


# --- Taken apart ------------------------------------------------------------------------------------------------------


def _split(url: str) -> tuple[str, str, str, str]:
    """(host, path, query, fragment) of a URL or a request's target."""
    url, _, fragment = url.partition("#")
    rest, _, query = url.partition("?")
    found = re.match(r"(?i)https?://[^/]*", rest)
    if not found:
        return "", rest or "/", query, fragment
    host = sent_host(url.encode("utf-8", "replace").decode())
    return host, rest[found.end() :] or "/", query, fragment


def _parts(query: str) -> list[tuple[str, Entry]]:
    """Each part of a query as it is written, and decoded."""
    parts = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            parts.append((part, (percent_decoded(sent_bytes(name), True), percent_decoded(sent_bytes(value), True))))
    return parts


def taken_apart(request: Request) -> Reading:
    """A request's parts and fields, read as leniently as can be."""
    host, path, query, fragment = _split(request.url)
    evident: list[Evident] = []
    parts = _parts(query)
    headers: list[Entry] = []
    authorization = token = None
    for name, text in request.headers:
        lower = name.lower()
        if lower == "host":
            host = text
        elif lower == "x-cos-security-token":
            token = sent_bytes(text)
        if lower == "authorization":
            authorization = text
        else:
            headers.append((sent_bytes(name), sent_bytes(text)))
    if host and not any(name.lower() == b"host" for name, _ in headers):
        headers.insert(0, (b"host", sent_bytes(host)))
    own, params, where, doubts = _own_fields(parts, authorization)
    evident += doubts
    raw_query = "&".join(text for text, entry in parts if entry[0].lower() not in _NAMES)
    token = next((value for name, value in params if name.lower() == b"x-cos-security-token"), token)
    fields: dict[str, bytes] = {}
    for lower_name, value in ((name.lower(), value) for name, value in own):
        if lower_name not in _NAMES:
            continue
        field = lower_name.decode()
        if field in fields:
            evident.append(Evident("field-doubled", f"{field} is there twice"))
        fields.setdefault(field, value)
    evident += _missing(fields, {name.lower() for name, _ in (*params, *headers)}, authorization)
    signature, forms = _signature(fields.get("q-signature", b""))
    evident += [*forms, *_times(fields)]
    if fields.get("q-sign-algorithm", b"sha1") != b"sha1":
        evident.append(
            Evident("algorithm", f"q-sign-algorithm is {shown(fields['q-sign-algorithm'])!r}, and must be 'sha1'")
        )
    method = sent_bytes((request.method or "GET").lower())
    return Reading(
        fields,
        signature,
        method,
        percent_decoded(sent_bytes(path)),
        sent_bytes(host),
        params,
        tuple(headers),
        sent_bytes(path),
        sent_bytes(raw_query),
        sent_bytes(fragment),
        token,
        tuple(dict.fromkeys(evident)),
        where,
    )


def _own_fields(
    parts: list[tuple[str, Entry]], authorization: str | None
) -> tuple[list[Entry], tuple[Entry, ...], str, list[Evident]]:
    """The signature's fields, the other parameters, where the fields were, and what is evident of that."""
    evident: list[Evident] = []
    own = [entry for _, entry in parts if entry[0].lower() in _NAMES]
    params = tuple(entry for _, entry in parts if entry[0].lower() not in _NAMES)
    where = "URL"
    sign = next((value for name, value in params if name.lower() == b"sign"), None)
    if not own and sign is not None and b"q-sign" in sign:
        where = "sign"
        if sum(name.lower() == b"sign" for name, _ in params) > 1:
            evident.append(
                Evident("field-doubled", "the parameter 'sign' is there twice, and COS would take one of them")
            )
        own = [_pair(part) for part in sign.split(b"&")]
        params = tuple(entry for entry in params if entry[0].lower() != b"sign")
    elif own and sign is not None and sign.startswith(b"q-sign-algorithm"):
        evident.append(
            Evident(
                "sign-not-encoded", "the value of the parameter 'sign' is not percent-encoded, so its '&' cut it apart"
            )
        )
        own.append((b"q-sign-algorithm", sign.partition(b"=")[2]))
        params = tuple(entry for entry in params if entry[0].lower() != b"sign")
    elif not own and authorization is not None:
        where = "Authorization"
        own = [_pair(part) for part in sent_bytes(authorization).split(b"&")]
    elif own and authorization is not None and "q-sign" in authorization:
        evident.append(
            Evident("signed-twice", "the request has a signature in its URL and another in its Authorization")
        )
    return own, params, where, evident


def _pair(part: bytes) -> Entry:
    name, _, value = part.partition(b"=")
    return name.strip(), value


def _missing(fields: dict[str, bytes], others: set[bytes], authorization: str | None) -> Iterator[Evident]:
    """Fields that are not there, and what is there instead."""
    lacking = [name for name in FIELDS if name not in fields]
    if not lacking:
        return
    if b"x-amz-signature" in others or (authorization or "").startswith("AWS4-"):
        yield Evident(
            "aws-sigv4", "it is signed by AWS's Signature Version 4, and sent to where COS's own is asked for"
        )
    elif b"awsaccesskeyid" in others or (authorization or "").startswith("AWS "):
        yield Evident("aws-sigv2", "it is signed by AWS's Signature Version 2, which COS does not take")
    elif (
        b"ossaccesskeyid" in others
        or b"x-oss-signature" in others
        or b"x-obs-signature" in others
        or (authorization or "")[:4] in ("OSS ", "OBS ")
    ):
        yield Evident("other-service", "it is signed for another service's storage, not for COS")
    elif not fields:
        yield Evident(
            "no-signature", "there is no signature: neither q- fields nor 'sign' in the URL, nor an Authorization"
        )
    elif tuple(fields) == FIELDS[: len(fields)]:
        yield Evident(
            "cut-url", f"the URL ends behind {list(fields)[-1]}: a shell takes '&' for its own unless the URL is quoted"
        )
    else:
        yield Evident("field-missing", f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing")


def _signature(value: bytes) -> tuple[bytes, list[Evident]]:
    """q-signature as lower-case hex, and what is wrong with its form."""
    if not value or re.fullmatch(rb"[0-9a-f]{40}", value):
        return value, []
    bare = value.strip(b" \t\r\n\"'")
    if re.fullmatch(rb"[0-9a-fA-F]{40}", bare):
        if bare != bare.lower():
            return bare.lower(), [Evident("signature-upper-case", "q-signature is in upper-case hex")]
        return bare, [Evident("quoted-url", "q-signature has blanks or quotes around it")]
    if re.fullmatch(rb"[0-9a-fA-F]{64}", bare):
        return bare.lower(), [Evident("sha256", "q-signature has 64 hex characters, as SHA-256 gives: SHA-1 gives 40")]
    if re.fullmatch(rb"[0-9a-f]{1,39}", bare):
        return bare, [
            Evident("signature-truncated", f"q-signature has {len(bare)} hex characters, not 40: the URL was cut")
        ]
    packed = bare.replace(b" ", b"+")
    if re.fullmatch(rb"[A-Za-z0-9+/_-]{27,28}=?", packed):
        decode = urlsafe_b64decode if re.search(rb"[-_]", packed) else b64decode
        try:
            digest = decode(packed.rstrip(b"=") + b"=")
        except (binascii.Error, ValueError):
            digest = b""
        if len(digest) == 20:
            return digest.hex().encode(), [
                Evident("signature-base64", "q-signature is in base64, not in lower-case hex")
            ]
    begins = re.match(rb"[0-9a-f]{40}", bare)
    if begins:
        rest = bare[40:]
        return begins[0], [
            Evident(
                "signature-tail", f"q-signature has {len(rest)} more characters behind its 40: {shown(rest[:20])!r}"
            )
        ]
    return b"", [Evident("signature-form", f"q-signature is no hex of 40 characters, but {len(value)} other ones")]


def _times(fields: dict[str, bytes]) -> Iterator[Evident]:
    """What is wrong with the form of KeyTime."""
    if "q-key-time" not in fields and "q-sign-time" not in fields:
        return
    seen = set()
    for field in ("q-sign-time", "q-key-time"):
        value = fields.get(field)
        if value is None or value in seen:
            continue
        seen.add(value)
        span = KeyTime.read(value.decode("latin-1"))
        if span is None:
            yield Evident("key-time-form", f"{field} must be '<start>;<end>' in Unix seconds, not {shown(value)!r}")
        elif all(10**12 <= each < 10**13 for each in span):
            yield Evident("milliseconds", f"{field} is in milliseconds, not in seconds: {shown(value)}")
        elif span[0] > span[1]:
            yield Evident("key-time-form", f"{field} ends before it begins: {shown(value)}")


# --- What the lists name ----------------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """What the lists choose from a request.

    Attributes:
        params, headers: the signed entries that are there.
        unsent: (kind, name) of those that are not, the name decoded.
        unlisted_params, unlisted_headers: entries that no list names.
        evident: what is wrong with that.
    """

    params: Pairs
    headers: Pairs
    unsent: tuple[tuple[str, bytes], ...]
    unlisted_params: tuple[Entry, ...]
    unlisted_headers: tuple[Entry, ...]
    evident: tuple[Evident, ...]


def listed(reading: Reading) -> Listed:
    """What q-url-param-list and q-header-list choose."""
    evident: list[Evident] = []
    unsent: list[tuple[str, bytes]] = []
    chosen: list[tuple[Entry, ...]] = []
    rest: list[tuple[Entry, ...]] = []
    for kind, field, have in (
        ("parameter", "q-url-param-list", reading.params),
        ("header", "q-header-list", reading.headers),
    ):
        names = [name for name in reading.fields.get(field, b"").split(b";") if name]
        known = {encode_component(name).lower(): name for name, _ in have}
        wanted: dict[bytes, int] = {}
        for name in names:
            lower = name.lower()
            if lower not in known and encode_component(name).lower() in known:
                lower = encode_component(name).lower()
                evident.append(
                    Evident("list-decoded", f"{field} has {shown(name)!r}, which must stand there percent-encoded")
                )
            wanted[lower] = wanted.get(lower, 0) + 1
        entries = [(encode_component(name).lower(), (name, value)) for name, value in have]
        counts: dict[bytes, int] = {}
        for lower, _ in entries:
            counts[lower] = counts.get(lower, 0) + 1
        for name, count in wanted.items():
            sent = counts.get(name, 0)
            if not sent:
                unsent.append((kind, percent_decoded(name)))
                evident.append(
                    Evident(f"{kind}-missing", f"{field} names {shown(name)!r}, and the request has no such {kind}")
                )
            elif sent != count:
                evident.append(
                    Evident(
                        f"{kind}-doubled",
                        f"the {kind} {shown(name)!r} was signed {_times_said(count)}, and is there {_times_said(sent)}",
                    )
                )
        left = dict(wanted)  # of an entry that is there more often, only the first is taken
        signed = []
        for lower, entry in entries:
            if left.get(lower, 0):
                left[lower] -= 1
                signed.append(entry)
        chosen.append(tuple(signed))
        rest.append(tuple(entry for lower, entry in entries if lower not in wanted))
    return Listed(Pairs(chosen[0]), Pairs(chosen[1]), tuple(unsent), rest[0], rest[1], tuple(evident))


def _times_said(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def clues_of(reading: Reading, chosen: Listed, **known: object) -> Clues:
    """What a search may look at beside the signed entries."""
    return Clues(
        secret_id=reading.secret_id(),
        raw_path=reading.raw_path,
        raw_query=reading.raw_query,
        fragment=reading.fragment,
        unlisted_params=chosen.unlisted_params,
        unlisted_headers=chosen.unlisted_headers,
        **known,  # type: ignore[arg-type]
    )

"""Causes: headers and parameters."""

from __future__ import annotations

import html
import json
import mimetypes
import re
from collections.abc import Iterator
from typing import Any

from cossign._core import encode_component
from cossign.explain.causes.cause import FIRST, LAST, LATE, MAX_PLACES, Clues, Group, Values
from cossign.explain.steps import Encode, Entry, Pairs, percent_decode, show

ENTRIES = Group("Host, headers and parameters")
_TOKEN = b"x-cos-security-token"
_CONTENT_TYPE = b"content-type"
_TEXT_TYPES = (b"text/plain", b"text/html", b"application/json", b"application/xml", b"text/css")
_TYPES = (
    b"", b"application/octet-stream", b"application/x-www-form-urlencoded", b"multipart/form-data", b"image/jpeg",
    b"image/png", b"video/mp4", b"application/pdf", b"binary/octet-stream", b"text/plain;charset=UTF-8", *_TEXT_TYPES,
)  # fmt: skip
_CHARSETS = (b"; charset=utf-8", b";charset=utf-8", b"; charset=UTF-8", b";charset=UTF-8")

# --- What is signed, entry by entry -----------------------------------------------------------------------------------


def put_value(pairs: Pairs, at: int, value: bytes) -> Pairs:
    """The entries with another value in one place."""
    entries = list(pairs.entries)
    entries[at] = (entries[at][0], value)
    return pairs._replace(entries=tuple(entries))


def places(pairs: Pairs) -> list[tuple[int, bytes, bytes]]:
    """(place, name, value) of the entries that are looked at one by one."""
    count = MAX_PLACES if len(pairs.entries) <= 2 * MAX_PLACES else 2
    return [(at, name, value) for at, (name, value) in enumerate(pairs.entries[:count])]


def _add(pairs: Pairs, *entries: Entry) -> Pairs:
    return pairs._replace(entries=(*pairs.entries, *entries))


def _set_value(headers: Pairs, name: bytes, value: bytes) -> Pairs:
    if name not in headers.names():
        return _add(headers, (name, value))
    entries = [(each, value if each.lower() == name else old_value) for each, old_value in headers.entries]
    return headers._replace(entries=tuple(entries))


def _value(headers: Pairs, name: bytes) -> bytes | None:
    return next((value for each, value in headers.entries if each.lower() == name), None)


# --- Host -------------------------------------------------------------------------------------------------------------

host_changed = ENTRIES.cause(
    "host-changed",
    title="It was signed for another Host than it is sent to",
    why="The header Host is signed. A CDN, the acceleration host, a custom domain or a proxy may have another. A port in "
    "it counts, and so do capital letters.",
    fix='Signer(credentials, domain="cdn.example.com")  # or sign_host=False',
)


@host_changed.changes("headers", rank=FIRST)
def _(headers: Pairs, clues: Clues) -> Values:
    host = _value(headers, b"host")
    if host is None:
        return
    yield _set_value(headers, b"host", host.lower()), "Host was signed in lower case"
    for other in clues.hosts:
        if other.encode() != host and other.lower().encode() == host.lower():
            detail = f"Host was signed as {other!r}, and the request has {show(host)!r}"
            yield _set_value(headers, b"host", other.encode()), detail


@host_changed.changes("headers", rank=FIRST)
def _(headers: Pairs, clues: Clues) -> Values:
    host = _value(headers, b"host")
    if host is None:
        return
    for other in clues.hosts:
        if other.lower().encode() != host.lower():
            detail = f"Host was signed as {other!r}, and the request has {show(host)!r}"
            yield _set_value(headers, b"host", other.encode()), detail
    yield _set_value(headers, b"host", b"https://" + host), "Host was signed with the scheme before it"
    yield _set_value(headers, b"host", host + b"/"), "Host was signed with a slash after it"


@host_changed.changes("headers", rank=FIRST)
def _(headers: Pairs, clues: Clues) -> Values:
    host = _value(headers, b"host")
    if host is None:
        return
    for port in (b":443", b":80", b":8080"):
        if not host.endswith(port):
            detail = f"Host was signed with the port {port[1:].decode()}, which is not sent"
            yield _set_value(headers, b"host", host + port), detail
    if b":" in host:
        yield _set_value(headers, b"host", host.partition(b":")[0]), "Host was signed without the port that is sent"


# --- Values -----------------------------------------------------------------------------------------------------------

content_type_changed = ENTRIES.cause(
    "content-type-changed",
    title="Another Content-Type was signed",
    why="Clients send their own Content-Type (fetch, form posts), add a charset, or send none without a body.",
    fix='# the Content-Type that was signed\nrequests.put(url, data=data, headers={"Content-Type": "image/jpeg"})',
)


@content_type_changed.changes("headers", rank=FIRST)
def _(headers: Pairs, clues: Clues) -> Values:
    content_type = _value(headers, _CONTENT_TYPE)
    if content_type is None:
        return
    media_type = content_type.partition(b";")[0].strip()
    guess = mimetypes.guess_type(show(clues.raw_path).rpartition("/")[2])[0]
    kinds = [*([guess.encode()] if guess else []), media_type, *_TYPES]
    with_charset = [each + end for each in (media_type, *kinds[:1], *_TEXT_TYPES) for end in _CHARSETS]
    for kind in dict.fromkeys([*kinds, *with_charset]):
        detail = f"Content-Type was signed as {show(kind)!r}, and the request has {show(content_type)!r}"
        yield _set_value(headers, _CONTENT_TYPE, kind), detail


header_changed = ENTRIES.cause(
    "header-changed",
    title="A signed header has another value",
    why="A client, a proxy or a CDN changed it, or it was signed with other blanks, case or quotes. Compression and "
    "streams change Content-Length.",
    fix="# sign the header as it is sent, or do not sign it",
)
parameter_changed = ENTRIES.cause(
    "parameter-changed",
    title="A signed parameter has another value",
    why="It was changed, trimmed or encoded again after it was signed.",
    fix="# sign the value that is sent",
)


def _edit(pattern: bytes, replacement: bytes) -> Encode:
    compiled = re.compile(pattern)
    return lambda value: compiled.sub(replacement, value)


def _json_style(**style: Any) -> Encode:
    """JSON with other blanks; what is not JSON stays."""

    def edit(value: bytes) -> bytes:
        if value[:1] not in (b"{", b"["):
            return value
        try:
            return json.dumps(json.loads(value), **style).encode()
        except (ValueError, RecursionError):
            return value

    return edit


_ALL_VALUES: tuple[tuple[str, Encode], ...] = (  # what a client or a proxy does to all values
    ("was percent-encoded once more on the way", percent_decode),
    ("was percent-decoded once on the way", encode_component),
    ("had '+' where the request has spaces", lambda value: value.replace(b" ", b"+")),
    ("had spaces where the request has '+'", lambda value: value.replace(b"+", b" ")),
    ("had its spaces encoded on the way", lambda value: value.replace(b"%20", b" ")),
    ("was HTML-escaped on the way", lambda value: html.unescape(show(value)).encode()),
)
_VALUES: tuple[tuple[str, Encode], ...] = (
    *_ALL_VALUES,
    ("was in lower case", bytes.lower),
    ("was in upper case", bytes.upper),
    ("had no blanks around it", bytes.strip),
    ("had no doubled blanks", lambda value: b" ".join(value.split())),
    ("had a space after it", lambda value: value + b" "),
    ("had a space before it", lambda value: b" " + value),
    ("had no quotes around it", lambda value: value.strip(b'"')),
    ("had quotes around it", lambda value: b'"' + value + b'"'),
    ("was empty", lambda value: b""),
)
_RARE_VALUES: tuple[tuple[str, Encode], ...] = (
    ("had no blanks at all", lambda value: b"".join(value.split())),
    ("had two blanks for each one", lambda value: value.replace(b" ", b"  ")),
    ("had no blank after ';' and ','", _edit(rb"([;,]) +", rb"\1")),
    ("had a blank after ';' and ','", _edit(rb"([;,])(?! )", rb"\1 ")),
    ("had two blanks after ';' and ','", _edit(rb"([;,]) *", rb"\1  ")),
    ("had blanks around '='", _edit(rb" *= *", b" = ")),
    ("had no quotes within it", lambda value: value.replace(b'"', b"")),
    ("had quotes around what stands after '='", _edit(rb"=\"?([^;\"]*)\"?", rb'="\1"')),
    ("had backslashes before its quotes", lambda value: value.replace(b'"', b'\\"')),
    ("had single quotes for double ones", lambda value: value.replace(b'"', b"'")),
    ("was 'inline', not 'attachment'", _edit(rb"(?i)\battachment\b", b"inline")),
    ("was 'attachment', not 'inline'", _edit(rb"(?i)\binline\b", b"attachment")),
    ("was 'inline' alone", _edit(rb"(?i)^(attachment|inline).*", b"inline")),
    ("was 'attachment' alone", _edit(rb"(?i)^(attachment|inline).*", b"attachment")),
    ("had no parameters after ';'", lambda value: value.partition(b";")[0]),
    ("had a ';' after it", lambda value: value + b";"),
    ("had no slash before it", lambda value: value.removeprefix(b"/")),
    ("had a slash before it", lambda value: b"/" + value),
    ("had no slash after it", lambda value: value.removesuffix(b"/")),
    ("had a slash after it", lambda value: value + b"/"),
    ("had a line's end after it", lambda value: value + b"\n"),
    ("had a no-break space for each blank", lambda value: value.replace(b" ", b"\xc2\xa0")),
    ("was JSON without blanks", _json_style(separators=(",", ":"))),
    ("was JSON without blanks, with its letters as they are", _json_style(separators=(",", ":"), ensure_ascii=False)),
    ("was JSON with a blank after ',' and ':'", _json_style()),
    ("was JSON with a blank after ':'", _json_style(separators=(",", ": "))),
    ("was JSON in lines, two blanks deep", _json_style(indent=2)),
    ("was JSON in lines, four blanks deep", _json_style(indent=4)),
)
_ACLS = (
    b"private", b"public-read", b"public-read-write", b"authenticated-read", b"default", b"bucket-owner-read",
    b"bucket-owner-full-control", b"inherit",
)  # fmt: skip
# The usual values of a name: what stands there now may have been another of them.
_USUAL_VALUES: dict[bytes, tuple[bytes, ...]] = {
    b"x-cos-acl": _ACLS, b"acl": _ACLS,
    b"x-cos-storage-class": (
        b"STANDARD", b"STANDARD_IA", b"INTELLIGENT_TIERING", b"ARCHIVE", b"DEEP_ARCHIVE", b"MAZ_STANDARD", b"MAZ_STANDARD_IA",
    ),
    b"range": (b"bytes=0-", b"bytes=0-0", b"bytes=0-1", b"bytes=0-9", b"bytes=0-1023", b"bytes=0-1048575"),
    b"cache-control": (
        b"no-cache", b"no-store", b"max-age=0", b"max-age=60", b"max-age=600", b"max-age=3600", b"max-age=86400", b"max-age=31536000",
        b"public", b"private",
    ),
    b"accept-encoding": (b"gzip", b"gzip, deflate", b"gzip, deflate, br", b"identity"),
    b"content-encoding": (b"gzip", b"identity", b"utf-8", b"aws-chunked"), b"content-length": (b"0",),
    b"x-cos-forbid-overwrite": (b"true", b"false"), b"x-cos-server-side-encryption": (b"AES256", b"cos/kms"),
    b"versionid": (b"null",), b"prefix": (b"",), b"delimiter": (b"/",), b"encoding-type": (b"url",),
    b"max-keys": (b"1000", b"100", b"10", b"1"), b"response-content-disposition": (b"attachment", b"inline"),
    b"content-disposition": (b"attachment", b"inline"), b"connection": (b"keep-alive", b"close", b"Keep-Alive"),
}  # fmt: skip
_NUMBERED = frozenset([b"partnumber", b"part-number-marker", b"max-keys", b"max-uploads", b"max-parts"])
_MAX_NUMBER = 200


def _usual_values(name: bytes, value: bytes) -> Iterator[bytes]:
    """Other values that this header or parameter often has."""
    lower = name.lower()
    yield from _USUAL_VALUES.get(lower, ())
    if lower in _NUMBERED and value.isdigit():
        yield from (str(number).encode() for number in range(_MAX_NUMBER))


@header_changed.changes("headers", rank=FIRST)
@parameter_changed.changes("params", rank=FIRST)
def _(pairs: Pairs, clues: Clues) -> Values:
    """What a signer that does not encode gives, too, and what is likelier than that."""
    for at, name, value in places(pairs):
        if re.search(rb"%[0-9A-Fa-f]{2}", value):
            detail = f"the signed {pairs.kind} {show(name)!r} was percent-encoded once more on the way"
            yield put_value(pairs, at, percent_decode(value)), detail


def _edit_values(pairs: Pairs, edits: tuple[tuple[str, Encode], ...]) -> Values:
    for at, name, value in places(pairs):
        for how, edit in edits:
            yield put_value(pairs, at, edit(value)), f"the signed {pairs.kind} {show(name)!r} {how}"


@header_changed.changes("headers", rank=LATE)
@parameter_changed.changes("params", rank=LATE)
def _(pairs: Pairs, clues: Clues) -> Values:
    yield from _edit_values(pairs, _VALUES)
    for how, edit in _ALL_VALUES:
        entries = tuple((name, edit(value)) for name, value in pairs.entries)
        yield pairs._replace(entries=entries), f"each signed {pairs.kind} {how}"


@header_changed.changes("headers", rank=LAST)
@parameter_changed.changes("params", rank=LAST)
def _(pairs: Pairs, clues: Clues) -> Values:
    yield from _edit_values(pairs, _RARE_VALUES)
    for at, name, value in places(pairs):
        for other in _usual_values(name, value):
            detail = f"the signed {pairs.kind} {show(name)!r} was {show(other)!r}, and the request has {show(value)!r}"
            yield put_value(pairs, at, other), detail


# --- What is there, and what the lists name ---------------------------------------------------------------------------

ENTRIES.cause(
    "header-missing",
    title="A signed header is not in the request",
    why="The signature names it (q-header-list), so COS looks for it. A client that uses the URL must send the same "
    "headers as were signed. Proxies drop Range and others.",
    fix='requests.get(url, headers={"Range": "bytes=0-9"})  # those that were signed',
)
ENTRIES.cause(
    "parameter-missing",
    title="A signed parameter is not in the request",
    why='The signature names it (q-url-param-list). A client, a cache or a CDN ("ignore the query") dropped it, or it '
    "was never added to the URL.",
    fix='signer.presign(key, query={"versionId": version})  # signs it and adds it',
)
ENTRIES.cause(
    "sent-twice",
    title="A signed header or parameter is sent twice",
    why="Two parts of the way set it: a client and a proxy, or the URL and a client that was given the same parameters.",
    fix="requests.get(url)  # without params=: they are in the URL\nproxy_set_header Range $http_range;  # nginx",
)

list_differs = ENTRIES.cause(
    "list-differs",
    title="The list names other headers or parameters than were signed",
    why="q-header-list and q-url-param-list must name all that is signed, in lower case and sorted. Here the list and the "
    "text that was signed were made of two different sets. An empty parameter counts, too.",
    fix='# of the mapping that is signed\nq_header_list = ";".join(sorted(name.lower() for name in headers))',
)


@list_differs.changes("headers")
@list_differs.changes("params")
def _(pairs: Pairs, clues: Clues) -> Values:
    if pairs.entries:
        yield pairs._replace(entries=()), f"no {pairs.kind} was signed, though the list names some"


@list_differs.changes("headers", rank=LATE)
@list_differs.changes("params", rank=LATE)
def _(pairs: Pairs, clues: Clues) -> Values:
    if len(pairs.entries) > 1:
        for at, name, _value in places(pairs):
            detail = f"the {pairs.kind} {show(name)!r} stands in the list, and was not signed"
            yield pairs._replace(entries=(*pairs.entries[:at], *pairs.entries[at + 1 :])), detail


@list_differs.changes("headers", rank=FIRST)
def _(headers: Pairs, clues: Clues) -> Values:
    if _value(headers, b"host") is None:
        for other in clues.hosts:
            detail = f"Host was signed as {other!r}, and q-header-list does not name it"
            yield _set_value(headers, b"host", other.encode()), detail


@list_differs.changes("headers", rank=LAST)
@list_differs.changes("params", rank=LAST)
def _(pairs: Pairs, clues: Clues) -> Values:
    is_param = pairs.kind == "parameter"
    extra, field = (
        (clues.unlisted_params, "q-url-param-list") if is_param else (clues.unlisted_headers, "q-header-list")
    )
    if len(extra) > 1:
        yield _add(pairs, *extra), f"all {pairs.kind}s were signed, and {field} does not name them all"
    for each in extra[:MAX_PLACES]:
        yield _add(pairs, each), f"the {pairs.kind} {show(each[0])!r} was signed, and {field} does not name it"


@list_differs.changes("headers", rank=LAST)
@list_differs.changes("params", rank=LAST)
def _(pairs: Pairs, clues: Clues) -> Values:
    if _TOKEN not in pairs.names():
        for token in clues.tokens:
            detail = f"the token was signed as a {pairs.kind}, and the list does not name it"
            yield _add(pairs, (_TOKEN, token.encode())), detail


ENTRIES.cause(
    "list-decoded",
    title="The list in the URL must be percent-encoded once more",
    why="Names in q-url-param-list are encoded, and so is the list itself in a URL: '/' is %252f. The return value of the "
    "SDKs' getObjectUrl lacks that; the URL in its callback has it.",
    fix="cos.getObjectUrl(parameters, (err, data) => console.log(data.Url))",
)

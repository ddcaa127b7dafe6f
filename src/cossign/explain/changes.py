"""What may have been done otherwise: for each slot of a signature, the values that known mistakes would have put there.

A change leads from what the request amounts to, as it was received, to what may have been signed instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import itertools
import json
import mimetypes
import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes, quote_plus

from cossign._core import encode_component
from cossign.explain.steps import (
    DOCUMENTED_RECIPE,
    Encode,
    Entry,
    Pairs,
    Recipe,
    Signing,
    Times,
    hmac_hex,
    identity,
    percent_decode,
)
from cossign.key_time import KeyTime

_METHODS = (b"get", b"put", b"post", b"head", b"delete", b"options", b"patch")
_MAX_TEXT = 2000  # characters that are looked at in other forms
_MAX_PLACES = 24  # places in a path, or entries, that are looked at one by one
_TEXT_TYPES = (b"text/plain", b"text/html", b"application/json", b"application/xml", b"text/css")
_TYPES = (
    b"", b"application/octet-stream", b"application/x-www-form-urlencoded", b"multipart/form-data", b"image/jpeg",
    b"image/png", b"video/mp4", b"application/pdf", b"binary/octet-stream", b"text/plain;charset=UTF-8", *_TEXT_TYPES,
)  # fmt: skip


class Change(NamedTuple):
    """Another value of a slot.

    Attributes:
        slot: which.
        value: what was signed, if this is the cause.
        code: the cause's, in the catalogue.
        detail: what is the matter with this request.
        also: other causes, each (code, detail), that would have put the same there.
        outcome: the value as it is signed: what no signature tells apart.
    """

    slot: str
    value: Any
    code: str
    detail: str
    alternatives: tuple[tuple[str, str], ...] = ()
    outcome: Any = None


class Clues(NamedTuple):
    """What else is known, beside the request's own text.

    Attributes:
        secret_id: q-ak.
        keys: SecretId to SecretKey, of all credentials at hand.
        tokens: the security tokens at hand.
        hosts: hosts that the request may have been signed for.
        bucket: the bucket's name, or "".
        raw_path: the path as it was sent, not decoded.
        raw_query: the query as it was sent, without the signature's parameters.
        fragment: what follows a ``#``, which is not sent.
        form_path: "/" and the field ``key`` of a form, or b"".
        unlisted_params, unlisted_headers: entries of the request that no list names.
    """

    secret_id: str = ""
    keys: Mapping[str, str] = {}
    tokens: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    bucket: str = ""
    raw_path: bytes = b""
    raw_query: bytes = b""
    fragment: bytes = b""
    form_path: bytes = b""
    unlisted_params: tuple[Entry, ...] = ()
    unlisted_headers: tuple[Entry, ...] = ()


def show(data: bytes) -> str:
    """Bytes of a request as text; what is not UTF-8 as an escape."""
    return data.decode("utf-8", "backslashreplace")


# --- Keys and times ---------------------------------------------------------------------------------------------------


def key_changes(key: str, clues: Clues) -> Iterator[Change]:
    def change(value: str, code: str, detail: str) -> Change:
        return Change("key", value, code, detail)

    for secret_id, other in clues.keys.items():
        if secret_id != clues.secret_id:
            yield change(
                other, "other-secret-id", f"it says q-ak={clues.secret_id}, and the SecretKey of {secret_id} signed it"
            )
    edits = {
        "a line's end after it": f"{key}\n", "CR and LF after it": f"{key}\r\n", "a space after it": f"{key} ",
        "a space before it": f" {key}", "double quotes around it": f'"{key}"', "single quotes around it": f"'{key}'",
        "a byte order mark before it": f"\ufeff{key}", "a tab after it": f"{key}\t",
    }  # fmt: skip
    for what, value in edits.items():
        yield change(value, "secret-key-edited", f"the SecretKey that signed had {what}")
    if key.strip(" \t\r\n\"'") != key:
        yield change(
            key.strip(" \t\r\n\"'"),
            "secret-key-edited",
            "the SecretKey given has spaces or quotes around it; the one that signed had none",
        )
    if len(key) > 1:
        yield change(key[:-1], "secret-key-edited", "the last character of the SecretKey that signed was missing")
        yield change(key[1:], "secret-key-edited", "the first character of the SecretKey that signed was missing")
    for what, value in (("upper", key.upper()), ("lower", key.lower())):
        yield change(value, "secret-key-edited", f"the SecretKey that signed was in {what} case")
    for placeholder in ("", "undefined", "null", "None", "nil"):
        description = f"the text {placeholder!r}" if placeholder else "empty"
        yield change(placeholder, "secret-key-empty", f"the SecretKey that signed was {description}")
    for secret_id in dict.fromkeys((clues.secret_id, *clues.keys)):
        yield change(secret_id, "secret-id-as-key", f"the SecretId {secret_id} was taken for the SecretKey")
    for token in clues.tokens:
        yield change(token, "token-as-key", "the security token was taken for the SecretKey")


def time_changes(times: Times, clues: Clues) -> Iterator[Change]:
    def change(key: str, sign: str, code: str, detail: str) -> Change:
        return Change("times", Times(key, sign), code, detail)

    for separator in ("%3B", "%3b", "%253B", ","):
        key, sign = times.key.replace(";", separator), times.sign.replace(";", separator)
        for pair, place in (
            ((key, sign), "SignKey and StringToSign"),
            ((key, times.sign), "SignKey"),
            ((times.key, sign), "StringToSign"),
        ):
            yield change(*pair, "key-time-encoded", f"{place} had {separator!r} in KeyTime instead of ';'")
    if times.key != times.sign:
        for key, sign in ((times.key, times.key), (times.sign, times.sign), (times.sign, times.key)):
            yield change(
                key, sign, "key-time-differs", "q-sign-time and q-key-time differ, and were not used where they belong"
            )
    span = KeyTime.read(times.key)
    if span is None:
        return
    start, end = span
    start_text, _, end_text = times.key.partition(";")
    is_same = times.key == times.sign
    if start >= 10**12:
        value: str = f"{start // 1000};{end // 1000}"
        yield change(value, value, "milliseconds", "seconds were signed, and milliseconds are sent")
    else:
        value = f"{start * 1000};{end * 1000}"
        yield change(value, value, "milliseconds", "milliseconds were signed, and seconds are sent")
    for shift in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5):
        for ends, what in (((shift, shift), "both times"), ((shift, 0), "the start"), ((0, shift), "the end")):
            value = f"{start + ends[0]};{end + ends[1]}"
            detail = f"{what} in SignKey: {abs(shift)} s {'later' if shift > 0 else 'earlier'} than the request says"
            if is_same:
                yield change(value, value, "key-time-moved", detail)
            yield change(value, times.sign, "key-time-moved", detail)
    if is_same:
        yield change(
            f"{end};{start}", f"{end};{start}", "key-time-moved", "start and end were signed in the other order"
        )
        yield change(start_text, start_text, "key-time-moved", "only the start was signed as KeyTime")
        yield change(end_text, end_text, "key-time-moved", "only the end was signed as KeyTime")


# --- Method and path --------------------------------------------------------------------------------------------------


def method_changes(method: bytes, clues: Clues) -> Iterator[Change]:
    for signed_method in _METHODS:
        if signed_method == method:
            continue
        signed_name, sent_name = signed_method.upper().decode(), show(method.upper())
        code = (
            "redirect-method"
            if signed_method in (b"post", b"put") and method in (b"get", b"head")
            else "method-changed"
        )
        yield Change("method", signed_method, code, f"{signed_name} was signed, and {sent_name} is sent")
    for signed_method in (method.upper(), method.capitalize()):
        yield Change(
            "method",
            signed_method,
            "method-case",
            f"the method was signed as {show(signed_method)!r}, not in lower case",
        )
    yield Change("method", b"", "method-missing", "no method was signed")


def _text_changes(text: str) -> Iterator[tuple[str, str, bytes]]:
    """(code, what, value) of a text in Unicode's and other forms."""
    if len(text) > _MAX_TEXT:  # to normalise a text can take a time in proportion to its length's square
        return
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield "unicode-form", f"in Unicode's form {form}", unicodedata.normalize(form, text).encode()
    for codec in ("gbk", "latin-1", "cp1252", "utf-16-le"):
        with contextlib.suppress(UnicodeEncodeError):
            yield "not-utf8", f"in {codec}, not UTF-8", text.encode(codec)
    for codec in ("latin-1", "cp1252"):
        yield "not-utf8", f"as UTF-8 that was read as {codec}", text.encode().decode(codec, "replace").encode()


def path_changes(path: bytes, clues: Clues) -> Iterator[Change]:
    """Other paths that may have been signed."""
    for part in (_encoded_paths, _slashed_paths, _spelled_paths, _moved_paths, _cut_paths):
        yield from part(path, clues)


def _path(value: bytes, code: str, detail: str) -> Change:
    return Change("path", value, code, detail)


def _encoded_paths(path: bytes, clues: Clues) -> Iterator[Change]:
    """The path in another encoding."""
    yield _path(path.replace(b" ", b"+"), "plus-for-space", "'+' was signed where the request has a space")
    yield _path(
        path.replace(b"+", b" "), "plus-for-space", "a space was signed where the request has '+', which a path keeps"
    )
    if b"+" in clues.raw_path:
        plain_path = percent_decode(clues.raw_path, plus=True)
        yield _path(plain_path, "plus-for-space", f"{show(plain_path)!r} was signed, and the URL has its spaces as '+'")
    encoded_path = quote_from_bytes(path, safe="/").encode()
    encodings = {
        encoded_path: "percent-encoded", _lower_hex(encoded_path): "percent-encoded with lower-case hex",
        clues.raw_path: "as it stands in the URL, percent-encoded",
        quote_from_bytes(path, safe="/;,?:@&=+$!*'()#").encode(): "encoded as encodeURI does",
        quote_from_bytes(path, safe="/!*'()").encode(): "encoded as encodeURIComponent does",
        quote_from_bytes(path, safe="/!$&'()*+,;=:@").encode(): "encoded as RFC 3986 lets a path be",
        b"/" + quote_from_bytes(path[1:], safe="").encode(): "percent-encoded, slashes too",
        quote_plus(path, safe="/").encode(): "encoded like a form's field",
    }  # fmt: skip
    if clues.raw_path:
        for value, how in encodings.items():
            yield _path(value, "path-encoded", f"the path was signed {how}: {show(value)!r}")
    yield _path(
        quote_from_bytes(encoded_path, safe="/").encode(),
        "path-encoded-twice",
        "the path was signed percent-encoded twice",
    )
    decoded_path = percent_decode(path)
    yield _path(path.replace(b"%20", b" "), "url-encoded-again", "the path's spaces were encoded again after signing")
    yield _path(
        decoded_path,
        "url-encoded-again",
        f"the URL's path was encoded again after signing: {show(decoded_path)!r} was signed",
    )
    yield _path(
        percent_decode(decoded_path),
        "url-encoded-again",
        f"the URL's path was encoded twice more after signing: {show(percent_decode(decoded_path))!r} was signed",
    )


def _slashed_paths(path: bytes, clues: Clues) -> Iterator[Change]:
    """The path with slashes and dots more or less."""
    yield _path(b"/" + path, "leading-slash", f"the key began with a slash, so {show(b'/' + path)!r} was signed")
    yield _path(path[1:], "leading-slash", f"the path was signed without its first slash: {show(path[1:])!r}")
    if path.startswith(b"//"):
        yield _path(
            b"/" + path.lstrip(b"/"),
            "leading-slash",
            "the request's path has slashes before the key that were not signed",
        )
    places = [at for at, byte in enumerate(path) if byte == 0x2F and at > 0][:_MAX_PLACES]
    for at in places:
        doubled_path = path[:at] + b"/" + path[at:]
        yield _path(
            doubled_path, "slashes-merged", f"two slashes in a row became one: {show(doubled_path)!r} was signed"
        )
    if b"//" in path[1:]:
        merged_path = path[:1] + path[1:].replace(b"//", b"/")
        yield _path(merged_path, "slashes-merged", f"one slash became two: {show(merged_path)!r} was signed")
    for segment in (
        b"/.",
        b"/..",
        *[b"/" + part + b"/.." for part in [*path.split(b"/")[1:-1][:4], b"a", b"b", b"x"] if part],
    ):
        for at in (0, *places, len(path)):
            value = path[:at] + segment + path[at:]
            yield _path(value, "dot-segments", f"the client removed {show(segment)!r}: {show(value)!r} was signed")
    if b"/." in path:
        tidy_path = _without_dots(path)
        yield _path(
            tidy_path, "dot-segments", f"the dot segments were removed before signing: {show(tidy_path)!r} was signed"
        )


def _spelled_paths(path: bytes, clues: Clues) -> Iterator[Change]:
    """The path in other letters."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        text = path.decode("gbk", "replace")
        yield _path(text.encode(), "not-utf8", "the request's path is not UTF-8, and what was signed was")
    else:
        for code, what, value in _text_changes(text):
            yield _path(value, code, f"the path was signed {what}")
    names = [(part, part[:1].upper() + part[1:]) for part in path.split(b"/")]
    variants = [b"/".join(each) for each in itertools.product(*names)] if len(names) <= 6 else []
    for value in (path.lower(), path.upper(), path.title(), *variants):
        yield _path(value, "path-case", f"the path was signed in another case: {show(value)!r}")


def _moved_paths(path: bytes, clues: Clues) -> Iterator[Change]:
    """The path with something before it, or after it."""
    for bucket in dict.fromkeys((clues.bucket, clues.bucket.rpartition("-")[0])):
        if bucket:
            prefix = b"/" + bucket.encode()
            yield _path(
                prefix + path,
                "bucket-in-path",
                f"the bucket was signed as the path's beginning: {show(prefix + path)!r}",
            )
            if path.startswith(prefix + b"/"):
                yield _path(
                    path[len(prefix) :],
                    "bucket-in-path",
                    "the request's path begins with the bucket, which was not signed",
                )
    yield _path(path + b"/", "trailing-slash", "the path was signed with a slash at its end")
    yield _path(path.rstrip(b"/") or b"/", "trailing-slash", "the path was signed without the slash at its end")
    for blank, what in ((b"\n", "a line's end"), (b"\r\n", "CR and LF"), (b" ", "a space"), (b"\r", "CR")):
        yield _path(path + blank, "key-blanks", f"the key was signed with {what} after it")
        if path.endswith(blank):
            yield _path(
                path.rstrip(b" \t\r\n"), "key-blanks", f"the request's path ends with {what}, which was not signed"
            )
    yield _path(b"/ " + path[1:], "key-blanks", "the key was signed with a space before it")
    for odd, what in (
        (b"\xc2\xa0", "no-break space"),
        (b"\xe3\x80\x80", "wide space"),
        (b"\xe2\x80\x8b", "zero-width space"),
        (b"\xef\xbb\xbf", "byte order mark"),
    ):
        for plain in (b" ", b""):
            yield _path(path.replace(odd, plain), "key-blanks", f"the request's path has a {what} that was not signed")
        yield _path(path.replace(b" ", odd), "key-blanks", f"the path was signed with a {what} for each space")
    yield _path(path.replace(b"/", b"\\"), "backslashes", "the path was signed with backslashes")
    yield _path(b"/" + path[1:].replace(b"/", b"\\"), "backslashes", "the key was signed with backslashes")
    yield _path(path.replace(b"\\", b"/"), "backslashes", "the path was signed with slashes for its backslashes")
    escaped_path = html.escape(show(path)).encode()
    yield _path(escaped_path, "path-html", f"the path was signed HTML-escaped: {show(escaped_path)!r}")
    yield _path(
        html.unescape(show(path)).encode(),
        "path-html",
        "the request's path is HTML-escaped, and the signed one was not",
    )


def _cut_paths(path: bytes, clues: Clues) -> Iterator[Change]:
    """A part of the path, or of the whole URL."""
    if path != b"/":
        yield _path(b"/", "path-missing", "no Key was given to the signer: the path '/' was signed")
        yield _path(b"", "path-missing", "no path was signed")
    parts = path.split(b"/")
    for count in range(1, min(len(parts) - 1, 5)):
        rest = b"/" + b"/".join(parts[1 + count :])
        yield _path(
            rest,
            "path-rewritten",
            f"{show(b'/'.join(parts[: 1 + count]))!r} was put before the path that was signed",
        )
    for page in (b"index.html", b"index.htm"):
        if path.endswith(b"/" + page):
            yield _path(
                path[: -len(page)], "path-rewritten", f"{page.decode()} was put behind the path that was signed"
            )
    if clues.raw_query:
        yield _path(path + b"?" + clues.raw_query, "query-in-path", "the query was signed as a part of the path")
        part = percent_decode(clues.raw_query.partition(b"&")[0])
        yield _path(
            path + b"?" + part,
            "url-cuts-key",
            "the key has a '?' that is not percent-encoded in the URL: the path ends there",
        )
    if clues.fragment:
        for fragment in dict.fromkeys((clues.fragment, percent_decode(clues.fragment))):
            yield _path(
                path + b"#" + fragment,
                "url-cuts-key",
                "the key has a '#' that is not percent-encoded in the URL: what follows is not sent",
            )
    if clues.form_path:
        detail = f"{show(clues.form_path)!r} was signed, and a form is sent to '/'"
        yield _path(clues.form_path, "form-signed-otherwise", detail)
    for host in clues.hosts[:8]:
        for origin in (f"https://{host}", f"http://{host}", host):
            yield _path(origin.encode() + path, "url-as-path", "the whole URL was signed as the path")
    yield _path(
        b"/" + path[1:].rpartition(b"/")[2], "path-rewritten", "folders were put before the path that was signed"
    )


def _without_dots(path: bytes) -> bytes:
    """As clients tidy a path up (RFC 3986, 5.2.4)."""
    segments: list[bytes] = []
    parts = path.split(b"/")
    for at, part in enumerate(parts):
        is_last = at == len(parts) - 1
        if part == b"..":
            if len(segments) > 1:
                segments.pop()
            if is_last:
                segments.append(b"")
        elif part == b".":
            if is_last:
                segments.append(b"")
        else:
            segments.append(part)
    return b"/".join(segments) or b"/"


def _lower_hex(data: bytes) -> bytes:
    parts = data.split(b"%")
    return b"%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


# --- Parameters and headers -------------------------------------------------------------------------------------------


def _quote_except(safe: str) -> Encode:
    return lambda data: quote_from_bytes(data, safe=safe).encode()


def _form(safe: str = "") -> Encode:
    return lambda data: quote_plus(data, safe=safe).encode()


def _java(data: bytes) -> bytes:
    return quote_plus(data, safe="*").encode().replace(b"~", b"%7E")


ENCODINGS: tuple[tuple[str, str, Encode], ...] = (
    ("not-encoded", "not percent-encoded", identity),
    ("encoded-twice", "percent-encoded twice", lambda data: encode_component(encode_component(data))),
    ("space-as-plus", "with '+' for a space", _form()),
    ("encoder-differs", "with lower-case hex", lambda data: _lower_hex(encode_component(data))),
    ("encoder-differs", "with '/' left as it is (Python's quote)", _quote_except("/")),
    ("encoder-differs", "with !'()* left as they are (encodeURIComponent)", _quote_except("!'()*")),
    ("encoder-differs", "as encodeURI does", _quote_except(";,/?:@&=+$!*'()#")),
    ("encoder-differs", "as Java's URLEncoder does", _java),
    ("encoder-differs", "with '~' as %7E", lambda data: encode_component(data).replace(b"~", b"%7E")),
    ("encoder-differs", "in lower case as a whole", lambda data: encode_component(data).lower()),
    ("encoder-differs", "as RFC 3986 lets a query be", _quote_except("/?:@!$&'()*+,;=")),
)


def _keep_order(entries: list[Entry]) -> list[Entry]:
    return entries


ORDERS: tuple[tuple[str, Callable[[list[Entry]], list[Entry]]], ...] = (
    ("in the order in which they were given", _keep_order),
    ("from z to a", lambda entries: sorted(entries, key=lambda entry: entry[0], reverse=True)),
    ("by name and value together", lambda entries: sorted(entries, key=lambda entry: entry[0] + b"=" + entry[1])),
    ("by their names' length", lambda entries: sorted(entries, key=lambda entry: len(entry[0]))),
    ("by value", lambda entries: sorted(entries, key=lambda entry: entry[1])),
    ("by decoded name", lambda entries: sorted(entries, key=lambda entry: percent_decode(entry[0]).lower())),
    ("with upper case before lower", lambda entries: sorted(entries, key=lambda entry: entry[0].swapcase())),
)  # fmt: skip


def _fold(fold: Encode) -> tuple[dict[str, Any], ...]:
    def sort_ignoring_case(entries: list[Entry]) -> list[Entry]:
        return sorted(entries, key=lambda entry: entry[0].lower())

    return {"fold": fold}, {"fold": fold, "order": sort_ignoring_case}


def _styles() -> Iterator[tuple[str, str, Callable[[Pairs], Pairs]]]:
    """(code, how, function) of what is done to all parameters and to all headers by whoever does it."""

    def replace(**fields: Any) -> Callable[[Pairs], Pairs]:
        return lambda pairs: pairs._replace(**fields)

    for code, how, encode in ENCODINGS:
        yield code, f"values were signed {how}", replace(value=encode)
        yield code, f"names and values were signed {how}", replace(value=encode, name=encode)
    for fold, how in ((identity, "as they are written"), (bytes.upper, "in upper case"), (bytes.title, "Like-This")):
        for fields in _fold(fold):
            yield "names-case", f"names were signed {how}, not in lower case", replace(**fields)
    for how, order in ORDERS:
        yield "wrong-order", f"names were signed {how}", replace(order=order)
    yield (
        "wrong-order",
        "names were signed from last to first",
        lambda pairs: pairs._replace(entries=pairs.entries[::-1], order=_keep_order),
    )
    yield "empty-value", "what has no value was signed without its '='", replace(empty=b"")
    yield (
        "empty-value",
        "what has no value was not signed",
        lambda pairs: pairs._replace(entries=tuple(entry for entry in pairs.entries if entry[1])),
    )


STYLES = tuple(_styles())


def shared_changes(signing: Signing) -> Iterator[tuple[Change, Change]]:
    """Changes of parameters and headers alike, where they make a difference to both."""
    for code, how, restyle in STYLES:
        change_pair = []
        for slot, pairs in (("params", signing.params), ("headers", signing.headers)):
            text = restyle(pairs).text()
            if text != pairs.text():
                detail = f"in HttpParameters and in HttpHeaders, {how}"
                change_pair.append(Change(slot, restyle(pairs), code, detail, outcome=text))
        if len(change_pair) == 2:
            yield change_pair[0], change_pair[1]


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
    b"content-encoding": (b"gzip", b"identity", b"utf-8", b"aws-chunked"),
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


def _pair_changes(slot: str, pairs: Pairs) -> Iterator[Change]:
    """Changes that parameters and headers share."""
    what = "parameter" if slot == "params" else "header"
    line = "HttpParameters" if slot == "params" else "HttpHeaders"

    def change(value: Pairs, code: str, detail: str) -> Change:
        return Change(slot, value, code, detail)

    places = pairs.entries[: _MAX_PLACES if len(pairs.entries) <= 2 * _MAX_PLACES else 2]
    if pairs.entries:
        yield change(
            pairs._replace(entries=()), f"{what}-not-signed", f"no {what} was signed, though the list names some"
        )
    for at, (name, value) in enumerate(places):
        if re.search(rb"%[0-9A-Fa-f]{2}", value):  # it gives what a signer gives that does not encode, and is likelier
            detail = f"the signed {what} {show(name)!r} was percent-encoded once more on the way"
            yield change(_put(pairs, at, percent_decode(value)), f"{what}-changed", detail)
    for code, how, restyle in STYLES:
        yield change(restyle(pairs), code, f"in {line}, {how}")
    for at, (name, value) in enumerate(places):
        rest = pairs.entries[:at], pairs.entries[at + 1 :]
        if len(pairs.entries) > 1:
            detail = f"the {what} {show(name)!r} stands in the list, and was not signed"
            yield change(pairs._replace(entries=(*rest[0], *rest[1])), f"{what}-not-signed", detail)
        for how, edit in _VALUES:
            detail = f"the signed {what} {show(name)!r} {how}"
            yield change(_put(pairs, at, edit(value)), f"{what}-changed", detail)
        try:
            for code, how, other in _text_changes(value.decode()):
                yield change(_put(pairs, at, other), code, f"the {what} {show(name)!r} was signed {how}")
        except UnicodeDecodeError:
            for codec in ("gbk", "latin-1"):
                other = value.decode(codec, "replace").encode()
                detail = f"the {what} {show(name)!r} was signed in UTF-8, and is sent in {codec}"
                yield change(_put(pairs, at, other), "not-utf8", detail)
    for how, edit in _ALL_VALUES:
        entries = tuple((name, edit(value)) for name, value in pairs.entries)
        yield change(pairs._replace(entries=entries), f"{what}-changed", f"each signed {what} {how}")
    for at, (name, value) in enumerate(places):
        for how, edit in _RARE_VALUES:
            detail = f"the signed {what} {show(name)!r} {how}"
            yield change(_put(pairs, at, edit(value)), f"{what}-changed", detail)
        for other in _usual_values(name, value):
            detail = f"the signed {what} {show(name)!r} was {show(other)!r}, and the request has {show(value)!r}"
            yield change(_put(pairs, at, other), f"{what}-changed", detail)


def _put(pairs: Pairs, at: int, value: bytes) -> Pairs:
    """The entries with another value in one place."""
    entries = list(pairs.entries)
    entries[at] = (entries[at][0], value)
    return pairs._replace(entries=tuple(entries))


def param_changes(params: Pairs, clues: Clues) -> Iterator[Change]:
    yield from _pair_changes("params", params)
    extra = clues.unlisted_params
    if extra:
        yield Change(
            "params",
            params._replace(entries=(*params.entries, *extra)),
            "parameter-not-listed",
            "all parameters were signed, and q-url-param-list does not name them all",
        )
    for each in extra[:_MAX_PLACES] if len(extra) > 1 else ():
        yield Change(
            "params",
            params._replace(entries=(*params.entries, each)),
            "parameter-not-listed",
            f"the parameter {show(each[0])!r} was signed, and q-url-param-list does not name it",
        )
    if b"x-cos-security-token" not in params.names():
        for token in clues.tokens:
            entry = (b"x-cos-security-token", token.encode())
            yield Change(
                "params",
                params._replace(entries=(*params.entries, entry)),
                "token-signed-elsewhere",
                "the token was signed as a parameter, and q-url-param-list does not name it",
            )


def header_changes(headers: Pairs, clues: Clues) -> Iterator[Change]:
    """Other headers that may have been signed."""
    yield from _hosts(headers, clues)
    yield from _entities(headers, clues)
    yield from _pair_changes("headers", headers)
    yield from _unlisted_headers(headers, clues)


def _set_value(headers: Pairs, name: bytes, value: bytes) -> Pairs:
    if name not in headers.names():
        return headers._replace(entries=(*headers.entries, (name, value)))
    entries = [(each, value if each.lower() == name else old_value) for each, old_value in headers.entries]
    return headers._replace(entries=tuple(entries))


def _host_code(host: bytes, other: str) -> str:
    return "host-case" if other.lower().encode() == host.lower() else "host-changed"


def _hosts(headers: Pairs, clues: Clues) -> Iterator[Change]:
    """Another Host."""
    has_host = b"host" in headers.names()
    host = next((value for name, value in headers.entries if name.lower() == b"host"), b"")
    if has_host:
        lower = _set_value(headers, b"host", host.lower())
        yield Change("headers", lower, "host-case", "Host was signed in lower case")
    for other in clues.hosts:
        if other.encode() != host:
            text = f"Host was signed as {other!r}"
            rest = f", and the request has {show(host)!r}" if has_host else ", and q-header-list does not name it"
            yield Change(
                "headers",
                _set_value(headers, b"host", other.encode()),
                _host_code(host, other) if has_host else "header-not-listed",
                text + rest,
            )
    if has_host:
        for port in (b":443", b":80", b":8080"):
            if not host.endswith(port):
                yield Change(
                    "headers",
                    _set_value(headers, b"host", host + port),
                    "host-port",
                    f"Host was signed with the port {port[1:].decode()}, which is not sent",
                )
        if b":" in host:
            yield Change(
                "headers",
                _set_value(headers, b"host", host.partition(b":")[0]),
                "host-port",
                "Host was signed without the port that is sent",
            )
        yield Change(
            "headers",
            _set_value(headers, b"host", b"https://" + host),
            "host-changed",
            "Host was signed with the scheme before it",
        )
        yield Change(
            "headers",
            _set_value(headers, b"host", host + b"/"),
            "host-changed",
            "Host was signed with a slash after it",
        )


def _entities(headers: Pairs, clues: Clues) -> Iterator[Change]:
    """Another Content-Type or Content-Length."""
    values = dict(headers.entries)
    content_type = next((value for name, value in values.items() if name.lower() == b"content-type"), None)
    if content_type is not None:
        media_type = content_type.partition(b";")[0].strip()
        guess = mimetypes.guess_type(show(clues.raw_path).rpartition("/")[2])[0]
        kinds = [*([guess.encode()] if guess else []), media_type, *_TYPES]
        for kind in dict.fromkeys(
            [
                *kinds,
                *[
                    each + end
                    for each in (media_type, *kinds[:1], *_TEXT_TYPES)
                    for end in (b"; charset=utf-8", b";charset=utf-8", b"; charset=UTF-8", b";charset=UTF-8")
                ],
            ]
        ):
            yield Change(
                "headers",
                _set_value(headers, b"content-type", kind),
                "content-type-changed",
                f"Content-Type was signed as {show(kind)!r}, and the request has {show(content_type)!r}",
            )
    length = next((value for name, value in values.items() if name.lower() == b"content-length"), None)
    if length is not None:
        for size in (b"0", b""):
            yield Change(
                "headers",
                _set_value(headers, b"content-length", size),
                "content-length-changed",
                f"Content-Length was signed as {show(size)!r}, and the request has {show(length)!r}",
            )


def _unlisted_headers(headers: Pairs, clues: Clues) -> Iterator[Change]:
    """Headers that q-header-list does not name."""
    extra = clues.unlisted_headers
    if len(extra) > 1:
        yield Change(
            "headers",
            headers._replace(entries=(*headers.entries, *extra)),
            "header-not-listed",
            "all headers were signed, and q-header-list does not name them all",
        )
    for each in extra[:_MAX_PLACES]:
        yield Change(
            "headers",
            headers._replace(entries=(*headers.entries, each)),
            "header-not-listed",
            f"the header {show(each[0])!r} was signed, and q-header-list does not name it",
        )
    if b"x-cos-security-token" not in headers.names():
        for token in clues.tokens:
            yield Change(
                "headers",
                headers._replace(entries=(*headers.entries, (b"x-cos-security-token", token.encode()))),
                "token-signed-elsewhere",
                "the token was signed as a header, and q-header-list does not name it",
            )


# --- The recipe -------------------------------------------------------------------------------------------------------


def _sha(kind: str, data: bytes) -> bytes:
    return hashlib.new(kind, data).hexdigest().encode()


def _join_lines(end: bytes, newline: bytes = b"\n", skips: bool = False) -> Callable[..., bytes]:
    return lambda lines: newline.join([line for line in lines if line or not skips]) + end


RECIPES: tuple[tuple[str, str, Recipe], ...] = (
    ("newline-lost", "HttpString had no newline at its end", Recipe(http=_join_lines(b""))),
    ("newline-lost", "StringToSign had no newline at its end", Recipe(text=lambda time, digest: b"sha1\n%b\n%b" % (time, digest))),
    ("newline-lost", "neither HttpString nor StringToSign had a newline at its end",
     Recipe(http=_join_lines(b""), text=lambda time, digest: b"sha1\n%b\n%b" % (time, digest))),
    ("newline-lost", "HttpString had two newlines at its end", Recipe(http=_join_lines(b"\n\n"))),
    ("line-ends", "HttpString's lines ended with CR and LF", Recipe(http=_join_lines(b"\r\n", b"\r\n"))),
    ("line-ends", "all lines ended with CR and LF",
     Recipe(http=_join_lines(b"\r\n", b"\r\n"), text=lambda time, digest: b"sha1\r\n%b\r\n%b\r\n" % (time, digest))),
    ("line-ends", "HttpString had the two characters backslash and n for each newline", Recipe(http=_join_lines(b"\\n", b"\\n"))),
    ("empty-lines-dropped", "HttpString had no line for what is empty", Recipe(http=_join_lines(b"\n", skips=True))),
    ("empty-lines-dropped", "HttpString had no line for what is empty, and no newline at its end", Recipe(http=_join_lines(b"", skips=True))),
    ("sign-key-binary", "SignKey was the HMAC's 20 bytes, not their 40 hex characters",
     Recipe(sign_key=lambda key, time: bytes.fromhex(hmac_hex(key, time).decode()))),
    ("sign-key-form", "SignKey was in upper-case hex", Recipe(sign_key=lambda key, time: hmac_hex(key, time).upper())),
    ("sign-key-form", "SignKey was in base64",
     Recipe(sign_key=lambda key, time: b64encode(bytes.fromhex(hmac_hex(key, time).decode())))),
    ("sign-key-skipped", "the SecretKey itself signed StringToSign, not SignKey", Recipe(sign_key=lambda key, time: key)),
    ("hmac-swapped", "SignKey was made with the key and the message in each other's place",
     Recipe(sign_key=lambda key, time: hmac_hex(time, key))),
    ("hmac-swapped", "the signature was made with the key and the message in each other's place",
     Recipe(last=lambda key, text: hmac_hex(text, key))),
    ("hmac-swapped", "both HMACs were made with the key and the message in each other's place",
     Recipe(sign_key=lambda key, time: hmac_hex(time, key), last=lambda key, text: hmac_hex(text, key))),
    ("no-hmac", "plain SHA-1 of key and text was made, no HMAC", Recipe(last=lambda key, text: _sha("sha1", key + text))),
    ("sha256", "the signature's HMAC was SHA-256", Recipe(last=lambda key, text: hmac_hex(key, text, "sha256"))),
    ("sha256", "HttpString's hash was SHA-256", Recipe(digest=lambda http: _sha("sha256", http))),
    ("sha256", "SignKey's HMAC was SHA-256", Recipe(sign_key=lambda key, time: hmac_hex(key, time, "sha256"))),
    ("sha256", "both HMACs were SHA-256",
     Recipe(sign_key=lambda key, time: hmac_hex(key, time, "sha256"), last=lambda key, text: hmac_hex(key, text, "sha256"))),
    ("sha256", "all hashes were SHA-256",
     Recipe(sign_key=lambda key, time: hmac_hex(key, time, "sha256"), digest=lambda http: _sha("sha256", http),
            last=lambda key, text: hmac_hex(key, text, "sha256"))),
    ("sha256", "all hashes were SHA-256, and StringToSign began with sha256",
     Recipe(sign_key=lambda key, time: hmac_hex(key, time, "sha256"), digest=lambda http: _sha("sha256", http),
            text=lambda time, digest: b"sha256\n%b\n%b\n" % (time, digest), last=lambda key, text: hmac_hex(key, text, "sha256"))),
    ("md5", "HttpString's hash was MD5", Recipe(digest=lambda http: _sha("md5", http))),
    ("http-string-not-hashed", "StringToSign held HttpString itself, not its SHA-1", Recipe(digest=lambda http: http)),
    ("http-string-not-hashed", "HttpString was signed in StringToSign's place", Recipe(digest=lambda http: http, text=lambda time, digest: digest)),
    ("hash-form", "HttpString's SHA-1 was in upper-case hex", Recipe(digest=lambda http: _sha("sha1", http).upper())),
    ("hash-form", "HttpString's SHA-1 was in base64",
     Recipe(digest=lambda http: b64encode(bytes.fromhex(_sha("sha1", http).decode())))),
    ("hash-form", "HttpString's SHA-1 was its 20 bytes, not hex", Recipe(digest=lambda http: bytes.fromhex(_sha("sha1", http).decode()))),
    ("string-to-sign-form", "StringToSign had no line 'sha1'", Recipe(text=lambda time, digest: b"%b\n%b\n" % (time, digest))),
    ("string-to-sign-form", "StringToSign had no line for KeyTime", Recipe(text=lambda time, digest: b"sha1\n%b\n" % digest)),
    ("string-to-sign-form", "StringToSign began with SHA1, not sha1", Recipe(text=lambda time, digest: b"SHA1\n%b\n%b\n" % (time, digest))),
    ("string-to-sign-form", "HttpString's hash alone was signed", Recipe(text=lambda time, digest: digest)),
)  # fmt: skip


def recipe_changes(recipe: Recipe, clues: Clues) -> Iterator[Change]:
    if recipe is DOCUMENTED_RECIPE:
        for code, detail, other in RECIPES:
            yield Change("recipe", other, code, detail)


_CHANGES_BY_SLOT: dict[str, Callable[[Any, Clues], Iterator[Change]]] = {
    "key": key_changes, "times": time_changes, "method": method_changes, "path": path_changes, "params": param_changes, "headers": header_changes,
    "recipe": recipe_changes,
}  # fmt: skip


def changes(signing: Signing, slot: str, clues: Clues) -> list[Change]:
    """The changes of one slot that make a difference, each outcome once."""
    value = getattr(signing, slot)
    own_outcome = value.text() if isinstance(value, Pairs) else value
    by_outcome: dict[Any, Change] = {}
    for change in _CHANGES_BY_SLOT[slot](value, clues):
        outcome = change.value.text() if isinstance(change.value, Pairs) else change.value
        if outcome == own_outcome:
            continue
        old_change = by_outcome.get(outcome)
        if old_change is None:
            by_outcome[outcome] = change._replace(outcome=outcome)
        elif change.code != old_change.code and change.code not in [code for code, _ in old_change.alternatives]:
            by_outcome[outcome] = old_change._replace(
                alternatives=(*old_change.alternatives, (change.code, change.detail))
            )
    return list(by_outcome.values())

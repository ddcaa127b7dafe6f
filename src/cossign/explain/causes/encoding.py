"""Causes: the bytes of text, percent-encoding, and the order of names."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes, quote_plus

from cossign._core import encode_component
from cossign.explain.causes.cause import LATE, Cause, Clues, Group, Styles, Values
from cossign.explain.causes.entries import places, put_value
from cossign.explain.steps import Encode, Entry, Pairs, identity, lower_hex, percent_decode, show

ENCODING = Group("Encoding and order")
_MAX_TEXT = 2000  # characters that are looked at in other forms

# --- The bytes of text ------------------------------------------------------------------------------------------------

unicode_form = ENCODING.cause(
    "unicode-form",
    title="The same letters in another Unicode form",
    why="File names on macOS are often in form NFD, and keyboards give NFC. They look alike, and are different bytes.",
    fix='# the same form where it is stored and where it is signed\nkey = unicodedata.normalize("NFC", key)',
)
not_utf8 = ENCODING.cause(
    "not-utf8",
    title="Text was signed in another encoding than UTF-8",
    why="Keys, values and names are UTF-8. GBK, latin-1, and UTF-8 that was read as latin-1 give other bytes.",
    fix='key.encode("utf-8")',
)


def _forms(text: str) -> Iterator[tuple[bytes, str]]:
    if len(text) <= _MAX_TEXT:  # to normalise a text can take a time in proportion to its length's square
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            yield unicodedata.normalize(form, text).encode(), f"in Unicode's form {form}"


def _codecs(text: str) -> Iterator[tuple[bytes, str]]:
    if len(text) > _MAX_TEXT:
        return
    for codec in ("gbk", "latin-1", "cp1252", "utf-16-le"):
        with contextlib.suppress(UnicodeEncodeError):
            yield text.encode(codec), f"in {codec}, not UTF-8"
    for codec in ("latin-1", "cp1252"):
        yield text.encode().decode(codec, "replace").encode(), f"as UTF-8 that was read as {codec}"


def _text_of(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _declare_texts(cause: Cause, variants: Callable[[str], Iterator[tuple[bytes, str]]]) -> None:
    """Variants of the path and of each value, as long as they are text."""

    @cause.changes("path")
    def _(path: bytes, clues: Clues) -> Values:
        text = _text_of(path)
        for other, what in () if text is None else variants(text):
            yield other, f"the path was signed {what}"

    @cause.changes("headers", rank=LATE)
    @cause.changes("params", rank=LATE)
    def _(pairs: Pairs, clues: Clues) -> Values:
        for at, name, value in places(pairs):
            text = _text_of(value)
            for other, what in () if text is None else variants(text):
                yield put_value(pairs, at, other), f"the {pairs.kind} {show(name)!r} was signed {what}"


_declare_texts(unicode_form, _forms)
_declare_texts(not_utf8, _codecs)


@not_utf8.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    if _text_of(path) is None:
        yield path.decode("gbk", "replace").encode(), "the request's path is not UTF-8, and what was signed was"


@not_utf8.changes("headers", rank=LATE)
@not_utf8.changes("params", rank=LATE)
def _(pairs: Pairs, clues: Clues) -> Values:
    for at, name, value in places(pairs):
        for codec in ("gbk", "latin-1") if _text_of(value) is None else ():
            detail = f"the {pairs.kind} {show(name)!r} was signed in UTF-8, and is sent in {codec}"
            yield put_value(pairs, at, value.decode(codec, "replace").encode()), detail


# --- Percent-encoding -------------------------------------------------------------------------------------------------

encoder_differs = ENCODING.cause(
    "encoder-differs",
    title="Values were signed in another percent-encoding",
    why="Names and values of headers and parameters are signed percent-encoded, each byte except A-Z a-z 0-9 - _ . ~. Some "
    "signers do not encode them, or encode them twice. Python's quote leaves '/', encodeURIComponent leaves !'()*, "
    "encoders for forms write '+' for a space, Java's URLEncoder also %7E for '~', and some write lower-case hex. A name "
    "without a value is signed with its '=': 'acl='.",
    fix='urllib.parse.quote(value, safe="-_.~")\n'
    "const hex = (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase()\n"
    "encodeURIComponent(value).replace(/[!'()*]/g, hex)",
)


def _quote_except(safe: str) -> Encode:
    return lambda data: quote_from_bytes(data, safe=safe).encode()


def _java(data: bytes) -> bytes:
    return quote_plus(data, safe="*").encode().replace(b"~", b"%7E")


def _encode_with(how: str, encode: Encode) -> Styles:
    yield f"values were signed {how}", lambda pairs: pairs._replace(value=encode)
    yield f"names and values were signed {how}", lambda pairs: pairs._replace(value=encode, name=encode)


@encoder_differs.styles
def _() -> Styles:
    yield from _encode_with("not percent-encoded", identity)


@encoder_differs.styles
def _() -> Styles:
    yield from _encode_with("percent-encoded twice", lambda data: encode_component(encode_component(data)))


@encoder_differs.styles
def _() -> Styles:
    yield from _encode_with("with '+' for a space", lambda data: quote_plus(data).encode())


@encoder_differs.styles
def _() -> Styles:
    yield from _encode_with("with lower-case hex", lambda data: lower_hex(encode_component(data)))
    yield from _encode_with("with '/' left as it is (Python's quote)", _quote_except("/"))
    yield from _encode_with("with !'()* left as they are (encodeURIComponent)", _quote_except("!'()*"))
    yield from _encode_with("as encodeURI does", _quote_except(";,/?:@&=+$!*'()#"))
    yield from _encode_with("as Java's URLEncoder does", _java)
    yield from _encode_with("with '~' as %7E", lambda data: encode_component(data).replace(b"~", b"%7E"))
    yield from _encode_with("in lower case as a whole", lambda data: encode_component(data).lower())
    yield from _encode_with("as RFC 3986 lets a query be", _quote_except("/?:@!$&'()*+,;="))


@encoder_differs.styles
def _() -> Styles:
    yield "what has no value was signed without its '='", lambda pairs: pairs._replace(empty=b"")
    yield (
        "what has no value was not signed",
        lambda pairs: pairs._replace(entries=tuple(entry for entry in pairs.entries if entry[1])),
    )


# --- Names ------------------------------------------------------------------------------------------------------------

names_differ = ENCODING.cause(
    "names-differ",
    title="Names were signed in another case or order",
    why="Names of headers and parameters are percent-encoded, put in lower case, and sorted: where they are signed, and in "
    "the lists.",
    fix="encode = lambda text: quote(text, safe='')\nsorted((encode(name).lower(), encode(value)) for name, value in pairs)",
)


@names_differ.styles
def _() -> Styles:
    def sort_ignoring_case(entries: list[Entry]) -> list[Entry]:
        return sorted(entries, key=lambda entry: entry[0].lower())

    def restyle(fold: Encode, **order: Any) -> Callable[[Pairs], Pairs]:
        return lambda pairs: pairs._replace(fold=fold, **order)

    for fold, how in ((identity, "as they are written"), (bytes.upper, "in upper case"), (bytes.title, "Like-This")):
        for order in ({}, {"order": sort_ignoring_case}):
            yield f"names were signed {how}, not in lower case", restyle(fold, **order)


def _keep_order(entries: list[Entry]) -> list[Entry]:
    return entries


_ORDERS: tuple[tuple[str, Callable[[list[Entry]], list[Entry]]], ...] = (
    ("in the order in which they were given", _keep_order),
    ("from z to a", lambda entries: sorted(entries, key=lambda entry: entry[0], reverse=True)),
    ("by name and value together", lambda entries: sorted(entries, key=lambda entry: entry[0] + b"=" + entry[1])),
    ("by their names' length", lambda entries: sorted(entries, key=lambda entry: len(entry[0]))),
    ("by value", lambda entries: sorted(entries, key=lambda entry: entry[1])),
    ("by decoded name", lambda entries: sorted(entries, key=lambda entry: percent_decode(entry[0]).lower())),
    ("with upper case before lower", lambda entries: sorted(entries, key=lambda entry: entry[0].swapcase())),
)  # fmt: skip


@names_differ.styles
def _() -> Styles:
    def sort_by(order: Callable[[list[Entry]], list[Entry]]) -> Callable[[Pairs], Pairs]:
        return lambda pairs: pairs._replace(order=order)

    for how, order in _ORDERS:
        yield f"names were signed {how}", sort_by(order)
    yield (
        "names were signed from last to first",
        lambda pairs: pairs._replace(entries=pairs.entries[::-1], order=_keep_order),
    )

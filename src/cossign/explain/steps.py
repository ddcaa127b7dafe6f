"""A signature's steps in pieces, each of which can be changed alone, and all of them computed again.

What the core does in one pass stands here as what it is made of: open to every mistake that a signer can make.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple
from urllib.parse import unquote_to_bytes

from cossign import _core
from cossign._core import Secret, encode_component
from cossign.engine import chosen_engine
from cossign.errors import ParameterError

Entry = tuple[bytes, bytes]  # a parameter's or header's name and value, decoded
Encode = Callable[[bytes], bytes]
Lines = tuple[bytes, bytes, bytes, bytes]  # HttpString's, of these names:
LINE_NAMES = ("method", "path", "HttpParameters", "HttpHeaders")


def show(data: bytes) -> str:
    """Bytes of a request as text; what is not UTF-8 as an escape."""
    return data.decode("utf-8", "backslashreplace")


def identity(data: bytes) -> bytes:
    """Not encoded at all."""
    return data


def sort_by_name(entries: list[Entry]) -> list[Entry]:
    """Sort encoded names, as the documents do."""
    return sorted(entries, key=lambda entry: entry[0])


@functools.lru_cache(1 << 16)
def encoded_entry(name: Encode, fold: Encode, value: Encode, entry: Entry) -> Entry:
    """An entry as it is signed. Whoever searches clears the cache behind it: a token may be among the values."""
    return fold(name(entry[0])), value(entry[1])


class Pairs(NamedTuple):
    """Parameters or headers, and how they become HttpParameters or HttpHeaders.

    Attributes:
        entries: what is signed, in the request's order.
        kind: what they are: "header" or "parameter".
        value, name: how a value and a name are encoded.
        fold: what is put on the encoded name.
        order: how the encoded entries are sorted.
        empty: what stands behind a name whose value is empty.
    """

    entries: tuple[Entry, ...]
    kind: Literal["header", "parameter"]
    value: Encode = encode_component
    name: Encode = encode_component
    fold: Encode = bytes.lower
    order: Callable[[list[Entry]], list[Entry]] = sort_by_name
    empty: bytes = b"="

    def text(self) -> bytes:
        """HttpParameters or HttpHeaders."""
        entries = self.order([encoded_entry(self.name, self.fold, self.value, entry) for entry in self.entries])
        return b"&".join([name + (b"=" + value if value else self.empty) for name, value in entries])

    def names(self) -> set[bytes]:
        """The names in lower case."""
        return {name.lower() for name, _ in self.entries}


class Times(NamedTuple):
    """KeyTime as SignKey was made of it, and as StringToSign holds it: q-key-time and q-sign-time."""

    key: str
    sign: str


def hmac_hex(key: bytes, message: bytes, kind: str = "sha1") -> bytes:
    """hex(HMAC(key, message))."""
    return hmac.new(key, message, kind).hexdigest().encode()


def http_string(lines: Lines) -> bytes:
    """HttpString of its four lines."""
    return b"\n".join((*lines, b""))


class Recipe(NamedTuple):
    """How lines become a signature; the documents' own way when every field has its default.

    Attributes:
        sign_key: from SecretKey and KeyTime to the key of the last HMAC.
        http: from the lines to HttpString.
        digest: from HttpString to the third line of StringToSign.
        text: from q-sign-time and that line to StringToSign.
        last: from SignKey and StringToSign to the signature.
    """

    sign_key: Callable[[bytes, bytes], bytes] = hmac_hex
    http: Callable[[Lines], bytes] = http_string
    digest: Callable[[bytes], bytes] = lambda http: hashlib.sha1(http).hexdigest().encode()  # noqa: S324
    text: Callable[[bytes, bytes], bytes] = lambda time, digest: b"sha1\n%b\n%b\n" % (time, digest)
    last: Callable[[bytes, bytes], bytes] = hmac_hex

    def signature(self, key: str, times: Times, lines: Lines) -> bytes:
        """The signature in lower-case hex."""
        return self.last(self.key_of(key, times), self.string_to_sign(times, lines))

    def key_of(self, key: str, times: Times) -> bytes:
        """SignKey, from a SecretKey."""
        return self.sign_key(key.encode("utf-8", "surrogatepass"), times.key.encode())

    def string_to_sign(self, times: Times, lines: Lines) -> bytes:
        """StringToSign."""
        return self.text(times.sign.encode(), self.digest(self.http(lines)))


DOCUMENTED_RECIPE = Recipe()


class Signing(NamedTuple):
    """All that a signature is made of. Its fields are the slots in which a cause can be looked for."""

    key: str
    times: Times
    method: bytes
    path: bytes
    params: Pairs
    headers: Pairs
    recipe: Recipe = DOCUMENTED_RECIPE

    def lines(self) -> Lines:
        """HttpString's lines."""
        return self.method, self.path, self.params.text(), self.headers.text()

    def signature(self) -> bytes:
        """Its signature, by any recipe."""
        return self.recipe.signature(self.key, self.times, self.lines())


SLOTS = Signing._fields


def signatures(key: str, times: Times, all_lines: list[Lines]) -> Iterator[bytes]:
    """The signatures of many HttpStrings by the documents' recipe: the core's engine makes them."""
    engine = chosen_engine()
    try:
        sign_key = Secret(key).sign_key(times.key, times.sign)
    except ParameterError:  # no KeyTime, but what stands in its place was signed, perhaps
        yield from (DOCUMENTED_RECIPE.signature(key, times, lines) for lines in all_lines)
        return
    for start in range(0, len(all_lines), 4096):
        yield from _core.signatures(engine, sign_key, [http_string(lines) for lines in all_lines[start : start + 4096]])


def first_difference(one: bytes, other: bytes) -> int | None:
    """Where two byte strings differ first; None if they do not."""
    if one == other:
        return None
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def decoded_pairs(text: bytes) -> tuple[Entry, ...]:
    """The entries of HttpParameters or HttpHeaders."""
    return tuple(_decode_entry(part) for part in text.split(b"&") if part)


def _decode_entry(part: bytes) -> Entry:
    name, _, value = part.partition(b"=")
    return percent_decode(name), percent_decode(value)


def percent_decode(data: bytes, plus: bool = False) -> bytes:
    """Percent-decoded; a % that does not begin an escape stays."""
    return unquote_to_bytes(data.replace(b"+", b" ") if plus else data)


def lower_hex(data: bytes) -> bytes:
    """Percent-encoded text with its hex digits in lower case."""
    parts = data.split(b"%")
    return b"%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])

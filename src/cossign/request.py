"""SigningRequest: what a signature covers but the key. Signer, the facade and the gateway make their templates here."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cossign import _core
from cossign._core import KEY, SIGNATURE, UTF8, Column, Engine, Template, encode_component
from cossign.credentials import Credentials
from cossign.errors import ParameterError
from cossign.key_time import KeyTime

Scalar = str | int | float | bool | None
Query = Mapping[str, Scalar]
Headers = Mapping[str, Scalar]
Pieces = list[bytes | int]  # of a Template

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a method, RFC 9110, 5.6.2
# The headers that the SDKs sign, beside x-cos-* and x-ci-* (cos-wx-sdk-v5, src/util.js, signHeaders).
_SIGNED_HEADERS = frozenset((
    "cache-control", "content-disposition", "content-encoding", "content-length", "content-md5", "content-type",
    "expect", "expires", "host", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since",
    "origin", "range", "transfer-encoding", "pic-operations",
))  # fmt: skip


# --- What callers give ------------------------------------------------------------------------------------------------


def checked_method(method: Any, parameter: str = "method") -> str:
    """A method's name, in its own case."""
    if not isinstance(method, str):
        raise ParameterError(parameter, f"must be a str, not {type(method).__name__}")
    if not _TOKEN.fullmatch(method):
        raise ParameterError(parameter, 'must be an HTTP method, such as "GET"')
    return method


def checked_mapping(value: Any, parameter: str) -> Mapping[str, Any]:
    """A mapping, or an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ParameterError(parameter, f"must be a mapping of names to values, not {type(value).__name__}")
    return value


def checked_headers(headers: Any, parameter: str) -> Mapping[str, Any]:
    """A mapping of headers, whose names and values do not break the request apart."""
    mapping = checked_mapping(headers, parameter)
    for name, value in mapping.items():
        for part in (name, value):
            if isinstance(part, str) and ("\r" in part or "\n" in part or "\0" in part):
                raise ParameterError(f"{parameter}[{name!r}]", "must not hold CR, LF or NUL")
    return mapping


def checked_query(value: Any, has_token: bool) -> Mapping[str, Any]:
    """Check a Signer's query. It must not have a name that the signature has in a URL: COS would use one of the two."""
    query = checked_mapping(value, "query")
    for name in query:
        lower = name.lower() if isinstance(name, str) else ""
        if lower.startswith("q-") or lower == "sign" or (has_token and lower == "x-cos-security-token"):
            what = "the token, which the credentials add" if lower.startswith("x-") else "a name that signatures have"
            raise ParameterError(f"query[{name!r}]", f"must not be given: it is {what}")
    return query


@functools.lru_cache(maxsize=1024)
def signed_by_sdk(name: str | bytes) -> bytes | None:
    """A header's name as it is signed, if the SDKs sign such a header; otherwise None."""
    if not isinstance(name, (str, bytes)):
        raise TypeError
    lower = (name if isinstance(name, str) else name.decode("latin-1")).lower()
    signs = "x-cos-" in lower or "x-ci-" in lower or lower in _SIGNED_HEADERS
    return encode_component(lower.encode()).lower() if signs else None


@functools.lru_cache(maxsize=1024)
def signed_by_clients(name: str | bytes) -> bytes | None:
    """The same for `Signer.sign_request`: without what may change on the way, and the token, which it adds."""
    encoded_name = signed_by_sdk(name)
    return None if encoded_name in (b"transfer-encoding", b"x-cos-security-token") else encoded_name


# --- What is signed ---------------------------------------------------------------------------------------------------


class Canonical(NamedTuple):
    """Parameters or headers in the order in which they are signed.

    Attributes:
        names: UrlParamList or HeaderList.
        http: the pieces of HttpParameters or HttpHeaders.
        text: the same pieces for a URL's query, names in their own case.
    """

    names: bytes
    http: Pieces
    text: Pieces

    @classmethod
    def of(cls, mapping: Mapping[str, Any], parameter: str) -> Canonical:
        return cls(*_core.canonical(mapping, parameter))


class SigningRequest(NamedTuple):
    """A request as it is signed, without its key. All values have been checked.

    Attributes:
        method: its HTTP method.
        query, headers: what is signed of them.
        credentials: the signer's.
        key_time: the start and the end of the validity; or the text that stands for it.
        base: a URL up to the object's path, without a last slash.
        rules: what is done with keys; see `Template`.
        engine: what signs.
    """

    method: str
    query: Canonical
    headers: Canonical
    credentials: Credentials
    key_time: KeyTime | str
    base: bytes
    rules: int
    engine: Engine

    def url(self, parameter: str, end: bytes = b"") -> Template:
        """A presigned URL in the documented form, every value percent-encoded.

        Args:
            parameter: what the keys are called in an error.
            end: what follows each URL.
        """
        text: Pieces = [
            self.base,
            KEY,
            b"?" + self._authorization_fields(self.query.names, encode_component),
            SIGNATURE,
        ]
        token = self.credentials.token
        if token is not None:
            text.append(b"&x-cos-security-token=" + encode_component(token.encode()))
        if self.query.text:
            text += [b"&", *self.query.text]
        if end:
            text.append(end)
        return self._template(text, parameter)

    def sdk_url(self, parameter: str, extra: bytes, query: bytes) -> Template:
        """A presigned URL as the SDKs write it: no value is encoded, but UrlParamList, which is encoded again.

        Args:
            parameter: what the keys are called in an error.
            extra: what follows the signature and the token.
            query: the URL's own parameters.
        """
        names = encode_component(self.query.names).lower()
        token = self.credentials.token
        if token is not None:
            extra = b"&x-cos-security-token=" + token.encode() + extra
        text: Pieces = [self.base, KEY, b"?" + self._authorization_fields(names), SIGNATURE, extra]
        if query:
            text.append(b"&" + query)
        return self._template(text, parameter)

    def authorization(self, parameter: str, path: bytes | int = KEY) -> Template:
        """An Authorization header's value; `path` is a constant that is signed instead of the key."""
        return self._template([self._authorization_fields(self.query.names), SIGNATURE], parameter, path)

    def differing(self, *, method: str, key_time: KeyTime | str, query: Canonical | None = None) -> SigningRequest:
        """The same request by another method, of another KeyTime, or with other parameters."""
        return self._replace(method=method, key_time=key_time, query=self.query if query is None else query)

    def of_bytes(self) -> SigningRequest:
        """The same request for keys that come as bytes: their UTF-8 is checked."""
        return self._replace(rules=self.rules | UTF8)

    def _authorization_fields(self, url_param_list: bytes, encode: Callable[[bytes], bytes] = bytes) -> bytes:
        """An Authorization up to the signature; `encode` is put on every value."""
        key_time = encode(str(self.key_time).encode())
        return (
            b"q-sign-algorithm=sha1&q-ak=%b&q-sign-time=%b&q-key-time=%b&q-header-list=%b&q-url-param-list=%b"
            % (
                encode(self.credentials.secret_id.encode()),
                key_time,
                key_time,
                encode(self.headers.names),
                encode(url_param_list),
            )
            + b"&q-signature="
        )

    def _template(self, text: Pieces, parameter: str, path: bytes | int = KEY) -> Template:
        head = self.method.lower().encode() + b"\n"
        http = [head, path, b"\n", *self.query.http, b"\n", *self.headers.http, b"\n"]
        sign_key = self.credentials.sign_key(str(self.key_time))
        return Template(http, text, sign_key, self.rules, parameter, self.engine)


def constant_url(base: bytes, after: Sequence[bytes | int], rules: int, parameter: str, engine: Engine) -> Template:
    """A URL that nothing is signed for here: `base`, the key, and the pieces `after` it, which begin with "?"."""
    return Template([], [base, KEY, *after], None, rules, parameter, engine)


def without_columns(query: Mapping[str, Any], absent: Sequence[int]) -> Mapping[str, Any]:
    """A query without the columns of these numbers."""
    return {name: value for name, value in query.items() if not (isinstance(value, Column) and value.index in absent)}

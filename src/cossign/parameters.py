"""What Signer and the documented facade share: parameters checked alike, KeyTime, names that are signed, the engine."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from cossign import _core
from cossign._core import Engine, encode_component
from cossign.errors import ParameterError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a method, RFC 9110, 5.6.2
_MOST_THREADS = 1024
_LATEST = 9_999_999_999  # KeyTime's seconds have ten digits
# The headers that the SDKs sign, beside x-cos-* and x-ci-* (cos-wx-sdk-v5, src/util.js, signHeaders).
_SIGNED_HEADERS = frozenset((
    "cache-control", "content-disposition", "content-encoding", "content-length", "content-md5", "content-type",
    "expect", "expires", "host", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since",
    "origin", "range", "transfer-encoding", "pic-operations",
))  # fmt: skip


def engines() -> tuple[str, ...]:
    """The engines of this machine, fastest first; "hashlib" is always last and always there.

    >>> engines()[-1]
    'hashlib'
    """
    return _core.engines()


def chosen_engine(name: Any = "auto") -> Engine:
    """An engine by its name; the environment variable COSSIGN_ENGINE overrides "auto"."""
    parameter = "engine"
    if name == "auto" and os.environ.get("COSSIGN_ENGINE"):
        parameter, name = "COSSIGN_ENGINE", os.environ["COSSIGN_ENGINE"]
    try:
        return _core.engine(name)
    except (ValueError, TypeError):
        raise ParameterError(parameter, f"must be one of: auto, {', '.join(engines())}") from None


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


def checked_headers(headers: Mapping[str, Any], parameter: str) -> None:
    """Refuse header names and values that would break the request apart."""
    for name, value in headers.items():
        for part in (name, value):
            if isinstance(part, str) and ("\r" in part or "\n" in part or "\0" in part):
                raise ParameterError(f"{parameter}[{name!r}]", "must not hold CR, LF or NUL")


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
    signed = signed_by_sdk(name)
    return None if signed in (b"transfer-encoding", b"x-cos-security-token") else signed


def checked_span(start: int, end: int, parameter: str) -> str:
    """KeyTime's text, if its end is after its start and both are Unix seconds."""
    if not 0 <= start <= _LATEST or not 0 <= end <= _LATEST:
        raise ParameterError(parameter, f"must keep KeyTime within 0 and {_LATEST} Unix seconds")
    if end <= start:
        raise ParameterError(parameter, "must end after it starts: KeyTime is (start, end)")
    return f"{start};{end}"


@functools.lru_cache(maxsize=64)
def key_time_from(start: int, seconds: int, round_to: int | None, parameter: str) -> str:
    """KeyTime's text from an instant on; with `round_to`, that of the whole window of so many seconds it lies in."""
    if round_to is not None:
        start -= start % round_to
        seconds += round_to
    return checked_span(start, start + seconds, parameter)


def span_from(text: str) -> tuple[int, int] | None:
    """The two times of KeyTime's text, which have at most 15 digits each; None if it has another form.

    >>> span_from("1557989753;1557996953")
    (1557989753, 1557996953)
    """
    found = re.fullmatch(r"([0-9]{1,15});([0-9]{1,15})", text)
    return None if found is None else (int(found[1]), int(found[2]))


def checked_query(value: Any, has_token: bool) -> Mapping[str, Any]:
    """Check a Signer's query. It must not have a name that the signature has in a URL: COS would use one of the two."""
    query = checked_mapping(value, "query")
    for name in query:
        lower = name.lower() if isinstance(name, str) else ""
        if lower.startswith("q-") or lower == "sign" or (has_token and lower == "x-cos-security-token"):
            what = "the token, which the credentials add" if lower.startswith("x-") else "a name that signatures have"
            raise ParameterError(f"query[{name!r}]", f"must not be given: it is {what}")
    return query


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(value: Any) -> int:
    """Seconds, from a whole number, a timedelta, or text such as 15m.

    >>> duration("15m"), duration(timedelta(hours=1))
    (900, 3600)
    """
    if isinstance(value, timedelta) and value > timedelta() and not value % timedelta(seconds=1):
        return value // timedelta(seconds=1)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = re.fullmatch(r"([0-9]{1,10})([smhd]?)", value) if isinstance(value, str) else None
    if found is None or int(found[1]) == 0:
        raise ValueError("is not a duration: write 900, 15m, 2h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def checked_threads(threads: Any) -> None:
    """How many threads a bulk call may use."""
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise ParameterError("threads", f"must be an int, not {type(threads).__name__}")
    if threads < 1:
        raise ParameterError("threads", "must be at least 1")
    if threads > _MOST_THREADS:
        raise ParameterError("threads", f"must be at most {_MOST_THREADS}")


def q_fields(
    secret_id: str,
    key_time: str,
    header_list: bytes,
    url_param_list: bytes,
    encode: Callable[[bytes], bytes] = bytes,
) -> bytes:
    """An Authorization up to the signature; `encode` is put on every value."""
    time_ = encode(key_time.encode())
    return b"q-sign-algorithm=sha1&q-ak=%b&q-sign-time=%b&q-key-time=%b" % (
        encode(secret_id.encode()),
        time_,
        time_,
    ) + b"&q-header-list=%b&q-url-param-list=%b&q-signature=" % (encode(header_list), encode(url_param_list))


def http_pieces(
    method: str, path: bytes | int, http_parameters: list[bytes | int], http_headers: list[bytes | int]
) -> list[bytes | int]:
    """HttpString's pieces; `path` is KEY or a constant."""
    return [method.lower().encode() + b"\n", path, b"\n", *http_parameters, b"\n", *http_headers, b"\n"]

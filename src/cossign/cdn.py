"""Links that a CDN checks: the URL authentication of Tencent Cloud CDN and EdgeOne, kinds A, B, C and D."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from cossign._core import encode_path, encoded_pairs
from cossign.errors import (
    KeyNameError,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
)
from cossign.key_time import Duration, seconds_of

__all__ = ["CdnSigner", "VerifiedLink"]

KINDS = ("A", "B", "C", "D")
_KEY = re.compile("[A-Za-z0-9]{6,40}")
_RAND = re.compile("[A-Za-z0-9]{0,100}")
_NAME = re.compile("[A-Za-z0-9_-]{1,100}")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")
_EAST = 8 * 3600  # seconds that China's time is ahead of UTC: kind B is written in it
_MAX_TIME = 32_503_680_000  # the year 3000
_FIRST_TIME, _LAST_TIME = 1_000_000_000, 1 << 32  # the years 2001 and 2106
_MAX_URL = 1 << 16  # characters
_DOT_SEGMENT = re.compile(r"(?:^|/)\.\.?(?:/|$)")


class VerifiedLink(NamedTuple):
    """A link with the right digest, which has not expired.

    Attributes:
        path: the path, decoded, with its leading slash.
        timestamp: the time in the link, Unix seconds. In kind B it is the beginning of a minute.
        expires_at: Unix seconds from which the CDN refuses it.
    """

    path: str
    timestamp: int
    expires_at: int


class CdnSigner:
    """Makes and checks links for one host of a CDN.

    Give a path as it is, not percent-encoded, with or without its first slash. The digest covers the percent-encoded
    path. It does not cover the query.

    Args:
        kind: "A", "B", "C" or "D", as in the CDN's configuration.
        key: the configuration's key: 6 to 40 letters and digits. It is never shown.
        host: the CDN's host.
        scheme: "https" or "http".
        validity: how long a link is valid after it was made, as in the CDN's configuration; a number of seconds, a
            timedelta, or text such as "30m". `verify` uses it.
        backup_key: the configuration's second key. `verify` accepts links of both.
        sign_name: the parameter of the digest, for kinds A and D.
        time_name: the parameter of the time, for kind D.
        hex_time: whether the time of kind D is written in hex; in decimal otherwise.
        uid: the user's number in kind A; usually "0".

    Raises:
        ParameterError: a parameter is not valid; the message names it, and shows no key.

    Source: Tencent Cloud CDN, "Authentication" (product 228, pages 35222 to 35225); EdgeOne (product 1552, pages 109329
    to 109332).

    >>> signer = CdnSigner("D", key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com", time_name="t")
    >>> signer.sign("/foo.jpg", timestamp=1721029907)
    'https://cdn.example.com/foo.jpg?sign=cadcec4a04e67b9c2abf4b61c642a0dd&t=1721029907'
    """

    __slots__ = (
        "_backup_key",
        "_base",
        "_key",
        "hex_time",
        "host",
        "kind",
        "sign_name",
        "time_name",
        "uid",
        "validity",
    )

    def __init__(
        self,
        kind: str,
        *,
        key: str,
        host: str,
        scheme: str = "https",
        validity: Duration = 1800,
        backup_key: str | None = None,
        sign_name: str = "sign",
        time_name: str = "t",
        hex_time: bool = False,
        uid: str = "0",
    ) -> None:
        if kind not in KINDS:
            raise ParameterError("kind", f"must be 'A', 'B', 'C' or 'D', not {kind!r}")
        for name, value in (("key", key), ("backup_key", backup_key)):
            if (name, value) != ("backup_key", None) and (not isinstance(value, str) or not _KEY.fullmatch(value)):
                raise ParameterError(name, "must be 6 to 40 letters and digits, as the CDN's configuration has it")
        for name, value in (("sign_name", sign_name), ("time_name", time_name)):
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise ParameterError(name, "must be a parameter's name: letters, digits, '_' and '-'")
        if kind == "D" and sign_name == time_name:
            raise ParameterError("time_name", "must differ from sign_name")
        if not isinstance(uid, str) or not re.fullmatch("[A-Za-z0-9]{1,100}", uid):
            raise ParameterError("uid", "must be letters and digits")
        if not isinstance(hex_time, bool):
            raise ParameterError("hex_time", f"must be True or False, not {type(hex_time).__name__}")
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise ParameterError("host", "must be a host alone, such as cdn.example.com")
        if scheme not in ("http", "https"):
            raise ParameterError("scheme", f"must be 'http' or 'https', not {scheme!r}")
        self.kind = kind
        self.host = host.lower()
        self.validity = seconds_of(validity, "validity")
        if self.validity <= 0:
            raise ParameterError("validity", "must be greater than 0 seconds")
        self.sign_name = sign_name
        self.time_name = time_name
        self.hex_time = hex_time
        self.uid = uid
        self._base = f"{scheme}://{self.host}"
        self._key = key
        self._backup_key = backup_key

    # --- Making links

    def sign(
        self,
        path: str,
        *,
        timestamp: float | None = None,
        rand: str | None = None,
        query: Mapping[str, Any] | None = None,
        is_encoded: bool = False,
    ) -> str:
        """One link.

        Args:
            path: such as ``photos/头像.jpg``, with or without a slash at its beginning.
            timestamp: the time in the link, Unix seconds. None: now.
            rand: for kind A: 0 to 100 letters and digits. None: random ones. With the same text, a link stays the same.
            query: more parameters, which the CDN does not check.
            is_encoded: whether the path is already percent-encoded.

        Returns:
            The URL.

        Raises:
            ParameterError: a parameter is not valid.
            KeyNameError: clients cannot send such a path: it has dot segments, or is not valid Unicode.

        >>> signer = CdnSigner("A", key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com")
        >>> signer.sign("foo.jpg", timestamp=1721029907, rand="1").partition("-1-0-")[0]
        'https://cdn.example.com/foo.jpg?sign=1721029907'
        """
        if rand is not None and (not isinstance(rand, str) or not _RAND.fullmatch(rand)):
            raise ParameterError("rand", "must be 0 to 100 letters and digits")
        own_names = {"A": {self.sign_name}, "D": {self.sign_name, self.time_name}}.get(self.kind, set())
        if query is not None and own_names & set(query):
            raise ParameterError("query", f"must not have {min(own_names & set(query))!r}, which the link itself has")
        rest = "" if query is None else encoded_pairs(query.items(), "query").decode()
        raw_path = _as_sent(path) if is_encoded else _encode([path])[0]
        return self._links([raw_path], timestamp, rand, rest)[0]

    def sign_many(self, paths: Iterable[str], *, timestamp: float | None = None) -> list[str]:
        """A link for each path, all with the same time.

        Args:
            paths: as in `sign`.
            timestamp: Unix seconds; None for now.

        Returns:
            The URLs, in the order of the paths. Each link of kind A has another random part.

        Raises:
            ParameterError, KeyNameError: as in `sign`; the error has the path's place.

        >>> signer = CdnSigner("C", key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com")
        >>> signer.sign_many(["foo.jpg"], timestamp=0x6694d30a)
        ['https://cdn.example.com/6688749e8906a726c12fe1be3aacd016/6694d30a/foo.jpg']
        """
        if isinstance(paths, (str, bytes)) or not isinstance(paths, Iterable):
            raise ParameterError("paths", f"must be an iterable of str, not {type(paths).__name__}")
        return self._links(_encode(list(paths)), timestamp, None, "")

    def _links(self, raw_paths: list[str], timestamp: float | None, rand: str | None, rest: str) -> list[str]:
        """The links of percent-encoded paths without their leading slash."""
        seconds = _whole_seconds(timestamp)
        key, base, md5 = self._key, self._base, hashlib.md5
        tail = f"&{rest}" if rest else ""
        end = f"?{rest}" if rest else ""
        name = self.sign_name
        if self.kind == "A":
            uid = self.uid
            rands = [rand] * len(raw_paths) if rand is not None else _random_texts(len(raw_paths))
            start, signed_start, signed_end = f"?{name}={seconds}-", f"-{seconds}-", f"-{uid}-{key}"
            return [
                f"{base}/{path}{start}{each}-{uid}-"
                f"{md5(f'/{path}{signed_start}{each}{signed_end}'.encode()).hexdigest()}{tail}"
                for path, each in zip(raw_paths, rands, strict=True)
            ]
        if self.kind == "B":
            text = time.strftime("%Y%m%d%H%M", time.gmtime(seconds + _EAST))
            return [
                f"{base}/{text}/{md5(f'{key}{text}/{path}'.encode()).hexdigest()}/{path}{end}" for path in raw_paths
            ]
        if self.kind == "C":
            text = f"{seconds:x}"
            return [
                f"{base}/{md5(f'{key}/{path}{text}'.encode()).hexdigest()}/{text}/{path}{end}" for path in raw_paths
            ]
        text = f"{seconds:x}" if self.hex_time else str(seconds)
        return [
            f"{base}/{path}?{name}={md5(f'{key}/{path}{text}'.encode()).hexdigest()}&{self.time_name}={text}{tail}"
            for path in raw_paths
        ]

    # --- Checking links

    def verify(self, url: str, *, now: float | None = None, validity: Duration | None = None) -> VerifiedLink:
        """Check a link as the CDN does.

        Args:
            url: the link, or only its path and query.
            now: Unix seconds; None for this machine's clock.
            validity: how long it is valid after its time. None: the signer's validity.

        Returns:
            VerifiedLink. A time in the future is accepted, as by the CDN.

        Raises:
            MalformedSignature: the digest or the time is missing, doubled or malformed, or the host is another.
            SignatureMismatch: the digest belongs to another path, time or key.
            SignatureExpired: its time is over.

        >>> signer = CdnSigner("B", key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com")
        >>> signer.verify(signer.sign("a b.jpg")).path
        '/a b.jpg'
        """
        path, text, digest, signed = self._take_apart(self._target(url))
        if not re.fullmatch("[0-9a-f]{32}", digest):
            raise MalformedSignature("the digest must be an MD5 in lower-case hex")
        timestamp = self._read_time(text)
        for key in (self._key, self._backup_key):
            if key is not None and hmac.compare_digest(self._digest(key, path, signed), digest):
                break
        else:
            raise SignatureMismatch(f"the digest is not that of {path!r} at this time, by this key")
        expires_at = timestamp + (self.validity if validity is None else seconds_of(validity, "validity"))
        if _whole_seconds(now, "now") >= expires_at:
            raise SignatureExpired("the link has expired", key_time=(timestamp, expires_at))
        return VerifiedLink(unquote_to_bytes(path).decode("utf-8", "surrogateescape"), timestamp, expires_at)

    def _target(self, url: Any) -> str:
        """A link's path and query."""
        if not isinstance(url, str):
            raise ParameterError("url", f"must be a str, not {type(url).__name__}")
        if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise MalformedSignature("the link is not a URL: it is too long, or has characters that no URL has")
        if url.startswith("/"):
            return url.partition("#")[0]
        scheme, _, rest = url.partition("://")
        host, slash, target = rest.partition("/")
        if scheme.lower() not in ("http", "https") or not slash or host.lower() != self.host:
            raise MalformedSignature(f"the link is not one of https://{self.host}/")
        return f"/{target}".partition("#")[0]

    def _take_apart(self, target: str) -> tuple[str, str, str, str]:
        """(path, time, digest, what was signed beside path and key) of a link."""
        path, _, query = target.partition("?")
        if self.kind in ("B", "C"):
            first, _, rest = path[1:].partition("/")
            second, slash, path = rest.partition("/")
            text, digest = (first, second) if self.kind == "B" else (second, first)
            if not slash:
                raise MalformedSignature("the path has no digest and time before it")
            return f"/{path}", text, digest, text
        names = [self.sign_name] if self.kind == "A" else [self.sign_name, self.time_name]
        values: dict[str, list[str]] = {name: [] for name in names}
        for part in query.split("&"):
            name, _, value = part.partition("=")
            if name in values:
                values[name].append(value)
        for name, texts in values.items():
            if len(texts) != 1:
                raise MalformedSignature(f"the link has {'no' if not texts else 'several'} {name}")
        if self.kind == "D":
            text = values[self.time_name][0]
            return path, text, values[self.sign_name][0], text
        fields = values[self.sign_name][0].split("-")
        if len(fields) != 4 or not _RAND.fullmatch(fields[1]) or not re.fullmatch("[A-Za-z0-9]+", fields[2]):
            raise MalformedSignature(f"{self.sign_name} must be timestamp-rand-uid-md5")
        return path, fields[0], fields[3], "-".join(fields[:3])

    def _read_time(self, text: str) -> int:
        if self.kind == "B":
            try:
                moment = datetime.strptime(text if re.fullmatch("[0-9]{12}", text) else "", "%Y%m%d%H%M")
            except ValueError:
                raise MalformedSignature("the time must be YYYYMMDDHHMM") from None
            return int(moment.replace(tzinfo=timezone.utc).timestamp()) - _EAST
        is_hex = self.kind == "C" or (self.kind == "D" and self.hex_time)
        # Nothing stands between path and time in what is hashed: a digit must not move from one to the other.
        if not re.fullmatch("[0-9a-f]{8}" if is_hex else "[0-9]{10}", text):
            raise MalformedSignature(f"the time must be Unix seconds of {'8 hex' if is_hex else '10'} digits")
        return int(text, 16 if is_hex else 10)

    def _digest(self, key: str, path: str, signed: str) -> str:
        if self.kind == "A":
            text = f"{path}-{signed}-{key}"
        else:
            text = f"{key}{signed}{path}" if self.kind == "B" else f"{key}{path}{signed}"
        return hashlib.md5(text.encode()).hexdigest()  # noqa: S324

    def __repr__(self) -> str:
        return f"CdnSigner({self.kind!r}, key=<secret>, host={self.host!r})"

    def __reduce__(self) -> str:
        raise TypeError("a CdnSigner cannot be pickled: a pickled secret is a leaked secret")


def _whole_seconds(timestamp: Any, parameter: str = "timestamp") -> int:
    if timestamp is None:
        return int(time.time())
    is_number = isinstance(timestamp, (int, float)) and not isinstance(timestamp, bool)
    # A link's time has 10 digits, or 8 in hex.
    start, end = (_FIRST_TIME, _LAST_TIME) if parameter == "timestamp" else (0, _MAX_TIME)
    if not is_number or not start <= timestamp < end:
        raise ParameterError(parameter, f"must be Unix seconds, not {timestamp!r}"[:200])
    return int(timestamp)


def _random_texts(count: int) -> list[str]:
    text = os.urandom(8 * count).hex()
    return [text[place : place + 16] for place in range(0, 16 * count, 16)]


def _as_sent(path: Any) -> str:
    """A path that is percent-encoded already, without its leading slash."""
    if not isinstance(path, str) or not re.fullmatch(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", path):
        raise ParameterError("path", "must be percent-encoded: it has characters that no URL has")
    _refuse_dots(re.sub("%2[eE]", ".", path), None)  # as browsers read it
    return path.removeprefix("/")


def _refuse_dots(path: str, place: int | None) -> None:
    if _DOT_SEGMENT.search(path):
        reason = "has a dot segment, '/./' or '/../', which HTTP clients remove before they send it"
        raise KeyNameError("path", reason, place)


def _encode(paths: list[Any]) -> list[str]:
    """Paths percent-encoded, without their leading slash: all in one go, or one by one to name what is wrong."""
    try:
        whole_text = "\n".join(paths).encode()
    except (TypeError, UnicodeEncodeError):
        whole_text = b""
    may_have_dots = b"/." in whole_text or b"./" in whole_text or b"\n." in whole_text or whole_text[:1] == b"."
    if not whole_text or may_have_dots or whole_text.count(b"\n") != len(paths) - 1:
        return [_encode_one(path, place if len(paths) > 1 else None) for place, path in enumerate(paths)]
    encoded_text = encode_path(whole_text).decode().removeprefix("/")
    return encoded_text.replace("%0A/", "%0A").split("%0A")


def _encode_one(path: Any, place: int | None) -> str:
    if not isinstance(path, str):
        raise ParameterError("path", f"must be a str, not {type(path).__name__}", place)
    try:
        data = path.encode()
    except UnicodeEncodeError:
        raise KeyNameError("path", "is not valid Unicode: it holds a lone surrogate", place) from None
    _refuse_dots(path, place)
    return encode_path(data).decode().removeprefix("/")

"""Requests that are broken on purpose: signed by the page's own words, with one thing or two done otherwise.

Independent of cossign: what `cossign explain` must find is made here by the standard library alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import posixpath
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, unquote
from xml.sax.saxutils import escape

from tests.reference import encoded

NOW = 1_750_000_000
KEYS = {
    "AKIDEXAMPLE0123456789": "Zx8Kq2mV5tR7wY1nB4cD6fG9hJ3kL0pS",
    "AKIDOTHER00000000000": "b7N3vC9xQ1wE5rT2yU8iO4pA6sD0fG1h",
}
SECRET_ID = next(iter(KEYS))
BUCKET = "examplebucket-1250000000"
REGION = "ap-beijing"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
WORDS = [
    "photos", "2024", "a b", "x+y", "Report", "final (1)", "résumé", "腾讯云", "😀", "100%", "q=1&r", "it's", "~home", "a*b", "semi;colon",
    "at@example", "tab", "e", "naïve café", "[draft]", "$5", "ß",
]  # fmt: skip
PARAMS = {
    "response-content-type": ["text/plain", "application/octet-stream", "image/jpeg; charset=utf-8"],
    "response-content-disposition": ['attachment; filename="a b.pdf"', "inline", "attachment; filename*=UTF-8''%E8%85%BE.txt"],
    "versionId": ["MTg0NDUxNTc1NjIzMTQ1MDAwODg", "null"],
    "Prefix": ["a/b c/", "腾讯/", "x"], "delimiter": ["/"], "max-keys": ["100"], "acl": [""], "uploads": [""],
    "imageMogr2/thumbnail/!50p": [""], "partNumber": ["2"], "uploadId": ["1484727270323ddb949d528c629235314a9ead80f0ba5d993a3d76b460e6a9cceb9633b08e"],
}  # fmt: skip
HEADERS = {
    "Content-Type": ["image/jpeg", "text/plain; charset=utf-8", "application/json"], "Range": ["bytes=0-9", "bytes=100-"],
    "Content-MD5": ["ZaqPjOWo3iC7bOuTd4oLyw=="], "x-cos-meta-author": ["Ann B", "腾讯"], "x-cos-acl": ["private"],
    "If-Match": ['"9b2cf535f27731c974343645a3985328"'], "Cache-Control": ["max-age=60, public"], "Content-Length": ["4711"],
}  # fmt: skip


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def mac(key: bytes | str, text: bytes | str, kind: str = "sha1") -> str:
    as_bytes = [each.encode() if isinstance(each, str) else each for each in (key, text)]
    return hmac.new(as_bytes[0], as_bytes[1], kind).hexdigest()


Pair = tuple[str, str]


@dataclass
class Making:
    """A request in the making: what is signed, how, and what is sent."""

    rng: random.Random
    secret_key: str
    method: str
    key: str
    params: list[Pair]
    headers: list[Pair]
    key_time: str
    sign_time: str = ""
    path: bytes = b""
    encode: Callable[[str], str] = encoded
    fold: Callable[[str], str] = str.lower
    order: Callable[[list[Pair]], list[Pair]] = sorted
    empty: str = "="
    sign_key: Callable[[str, str], bytes | str] = mac
    http: Callable[[bytes, bytes, bytes, bytes], bytes] = lambda *lines: b"\n".join(lines) + b"\n"
    digest: Callable[[bytes], bytes] = lambda http: sha1(http).encode()
    text: Callable[[str, bytes], bytes] = lambda time, digest: b"sha1\n%b\n%b\n" % (time.encode(), digest)
    last: Callable[[Any, bytes], str] = mac
    finish: Callable[[str], str] = str
    sent_method: str = ""
    sent_path: str = ""
    sent_params: list[Pair] = field(default_factory=list)
    sent_headers: list[Pair] = field(default_factory=list)
    sent_time: str = ""
    signed_params: list[Pair] | None = None  # instead of `params`, which the lists are made of
    signed_headers: list[Pair] | None = None
    in_header: bool = False
    decoded_list: bool = False
    damage: list[Callable[[str], str]] = field(default_factory=list)
    received: dict[str, Any] | None = None  # what the service says, in its XML
    secret_id: str = SECRET_ID
    token: str | None = None
    other_keys: bool = False
    now: int = NOW

    def canonical(self, pairs: list[Pair]) -> bytes:
        entries = [(self.fold(self.encode(name)), self.encode(value)) for name, value in pairs]
        if self.order is sorted:
            entries.sort(key=lambda entry: entry[0])
        else:
            entries = self.order(entries)
        return "&".join(f"{name}={value}" if value else name + self.empty for name, value in entries).encode()

    def signature(self) -> str:
        params = self.params if self.signed_params is None else self.signed_params
        headers = self.headers if self.signed_headers is None else self.signed_headers
        http = self.http(self.method.encode(), self.path, self.canonical(params), self.canonical(headers))
        made = self.last(
            self.sign_key(self.secret_key, self.key_time), self.text(self.sign_time or self.key_time, self.digest(http))
        )
        return self.finish(made)

    def lists(self) -> tuple[str, str]:
        return tuple(
            ";".join(sorted({encoded(name).lower() for name, _ in pairs})) for pairs in (self.headers, self.params)
        )  # type: ignore[return-value]

    def request(self) -> str:
        """A URL; or raw HTTP, where there are headers beside Host to tell."""
        header_list, param_list = self.lists()
        time = self.sent_time
        encode = (lambda text: text) if self.in_header else (lambda text: quote(text, safe=""))
        lists = [encode(header_list), encode(unquote(param_list) if self.decoded_list else param_list)]
        if self.decoded_list:
            lists[1] = unquote(param_list)
        fields = (
            f"q-sign-algorithm=sha1&q-ak={self.secret_id}&q-sign-time={encode(time)}&q-key-time={encode(time)}"
            f"&q-header-list={lists[0]}&q-url-param-list={lists[1]}&q-signature={encode(self.signature())}"
        )
        query = "&".join(
            quote(name, safe="") + (f"={quote(value, safe='')}" if value else "") for name, value in self.sent_params
        )
        parts = (
            ([] if self.in_header else [fields])
            + ([f"x-cos-security-token={quote(self.token, safe='')}"] if self.token and not self.in_header else [])
            + ([query] if query else [])
        )
        host = next(value for name, value in self.sent_headers if name == "Host")
        url = f"https://{host}{self.sent_path}" + ("?" if parts else "") + "&".join(parts)
        for damage in self.damage:
            url = damage(url)
        rest = [pair for pair in self.sent_headers if pair[0] != "Host"]
        if not rest and not self.in_header and self.sent_method == "get":
            return url
        target = "/" + url.partition("://")[2].partition("/")[2] if url.startswith("https://") else url
        lines = [
            f"{self.sent_method.upper()} {target} HTTP/1.1",
            f"Host: {host}",
            *(f"{name}: {value}" for name, value in rest),
        ]
        if self.in_header:
            lines.append(f"Authorization: {fields}")
            if self.token:
                lines.append(f"x-cos-security-token: {self.token}")
        return "\r\n".join(lines) + "\r\n\r\n"

    def error(self) -> str | None:
        """The service's XML, of what it received."""
        if self.received is None:
            return None
        with_ = {
            "method": self.sent_method,
            "path": unquote(self.sent_path),
            "params": self.params,
            "headers": self.headers,
            **self.received,
        }
        lines = []
        for pairs in (with_["params"], with_["headers"]):
            entries = sorted((encoded(name).lower(), encoded(value)) for name, value in pairs)
            lines.append("&".join(f"{name}={value}" for name, value in entries))
        http = f"{with_['method']}\n{with_['path']}\n{lines[0]}\n{lines[1]}\n"
        text = f"sha1\n{self.sent_time}\n{sha1(http.encode())}\n"
        return (
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>SignatureDoesNotMatch</Code>\n"
            f"\t<Message>The Signature you specified is invalid.</Message>\n\t<StringToSign>{escape(text)}</StringToSign>\n"
            f"\t<FormatString>{escape(http)}</FormatString>\n\t<Resource>x</Resource>\n\t<RequestId>NjA0</RequestId>\n</Error>"
        )


def made(seed: int) -> Making:
    """A random request that is right."""
    rng = random.Random(seed)
    key = "/".join(rng.choice(WORDS) for _ in range(rng.randint(1, 4))) + rng.choice(["", ".jpg", ".txt"])
    params = [(name, rng.choice(PARAMS[name])) for name in rng.sample(sorted(PARAMS), rng.choice([0, 0, 1, 2, 3]))]
    headers = [(name, rng.choice(HEADERS[name])) for name in rng.sample(sorted(HEADERS), rng.choice([0, 0, 1, 2]))]
    rng.shuffle(params)
    headers = [("Host", HOST), *headers]
    start = NOW - rng.randint(1, 500)
    time = f"{start};{start + rng.choice([900, 3600, 86400])}"
    method = rng.choice(["get", "get", "get", "put", "head", "post", "delete"])
    return Making(
        rng, KEYS[SECRET_ID], method, key, params, headers, time, path=f"/{key}".encode(), sent_method=method,
        sent_path=quote(f"/{key}", safe="/~"), sent_params=list(params), sent_headers=list(headers), sent_time=time,
        in_header=rng.random() < 0.3,
    )  # fmt: skip


# --- What can be done otherwise ---------------------------------------------------------------------------------------

BREAKS: dict[str, list[tuple[Callable[[Making], None], str]]] = {}


def breaks(code: str, slot: str) -> Callable[[Callable[[Making], None]], Callable[[Making], None]]:
    """Register a way to break a request: the cause's code, and which part of the signature it is in."""

    def register(function: Callable[[Making], None]) -> Callable[[Making], None]:
        BREAKS.setdefault(code, []).append((function, slot))
        return function

    return register


class Impossible(Exception):
    """This request has nothing that this could be done to."""


def need(condition: object) -> None:
    if not condition:
        raise Impossible


@breaks("wrong-secret-key", "key")
def _(m: Making) -> None:
    m.secret_key = "".join(m.rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFG0123456789") for _ in range(32))


@breaks("other-secret-id", "key")
def _(m: Making) -> None:
    m.secret_key = KEYS["AKIDOTHER00000000000"]
    m.other_keys = True


@breaks("secret-key-edited", "key")
def _(m: Making) -> None:
    m.secret_key = m.rng.choice(["{}\n", "{}\r\n", " {}", "{} ", '"{}"', "'{}'", "\ufeff{}"]).format(m.secret_key)


@breaks("secret-key-edited", "key")
def _(m: Making) -> None:
    m.secret_key = m.rng.choice(["", "undefined", "None", "null"])


@breaks("secret-id-as-key", "key")
def _(m: Making) -> None:
    m.secret_key = SECRET_ID


@breaks("token-missing", "beside")
def _(m: Making) -> None:
    m.received = {"credentials_token": "tok3n" * 20} if m.received is None else m.received


def seconds(text: str) -> int:
    """A time that another cause may have written in milliseconds."""
    return int(text[:10])


@breaks("expired", "beside")
def _(m: Making) -> None:
    m.now = seconds(m.sent_time.partition(";")[2]) + m.rng.randint(1, 10**7)


@breaks("not-yet-valid", "beside")
def _(m: Making) -> None:
    m.now = seconds(m.sent_time.partition(";")[0]) - m.rng.randint(1, 10**5)


@breaks("milliseconds", "times")
def _(m: Making) -> None:
    need(";" in m.key_time)
    start, end = (int(each) * 1000 + 123 for each in m.key_time.split(";"))
    m.key_time = m.sent_time = f"{start};{end}"


@breaks("key-time-changed", "times")
def _(m: Making) -> None:
    m.key_time = m.key_time.replace(";", m.rng.choice(["%3B", "%3b", "%253B"]))
    m.sign_time = m.rng.choice([m.key_time, m.sent_time])


@breaks("key-time-changed", "times")
def _(m: Making) -> None:
    need(";" in m.key_time)
    start, end = (int(each) for each in m.key_time.split(";"))
    later = m.rng.choice([-2, -1, 1, 2])
    m.key_time = m.rng.choice([f"{start + later};{end + later}", f"{start + later};{end}", f"{start};{end + later}"])


@breaks("method-changed", "method")
def _(m: Making) -> None:
    need(m.method in ("get", "head"))
    m.sent_method = "head" if m.method == "get" else "put"


@breaks("method-changed", "method")
def _(m: Making) -> None:
    need(m.method in ("post", "put"))
    m.sent_method = "get"


@breaks("method-changed", "method")
def _(m: Making) -> None:
    m.method = m.method.upper()


@breaks("path-encoded", "path")
def _(m: Making) -> None:
    m.path = m.rng.choice([quote, lambda text: quote(text, safe="/~!*'()")])(m.path.decode()).encode()


@breaks("path-encoded", "path")
def _(m: Making) -> None:
    m.path = quote(quote(m.path.decode())).encode()


@breaks("url-encoded-again", "path")
def _(m: Making) -> None:
    need("%" in m.sent_path)
    m.sent_path = quote(m.sent_path, safe="/")


@breaks("plus-for-space", "path")
def _(m: Making) -> None:
    need("%20" in m.sent_path or "%2B" in m.sent_path)
    if "%20" in m.sent_path and m.rng.random() < 0.5:
        m.sent_path = m.sent_path.replace("%20", "+")
    elif "%20" in m.sent_path:
        m.path = m.path.replace(b" ", b"+")
    else:
        m.sent_path = m.sent_path.replace("%2B", "%20")


@breaks("slashes-changed", "path")
def _(m: Making) -> None:
    if m.rng.random() < 0.5:
        m.path = b"/" + m.path
    else:
        m.path = m.path[1:]


@breaks("slashes-changed", "path")
def _(m: Making) -> None:
    need(m.path.count(b"/") > 1)
    at = m.path.index(b"/", 1)
    m.path = m.path[:at] + b"/" + m.path[at:]


@breaks("dot-segments", "path")
def _(m: Making) -> None:
    at = m.path.rindex(b"/")
    m.path = m.path[:at] + m.rng.choice([b"/.", b"/a/.."]) + m.path[at:]
    need(posixpath.normpath(m.path).decode() == unquote(m.sent_path))


@breaks("unicode-form", "path")
def _(m: Making) -> None:
    m.path = unicodedata.normalize("NFD", m.path.decode()).encode()


@breaks("not-utf8", "path")
def _(m: Making) -> None:
    try:
        m.path = m.rng.choice([lambda text: text.encode("gbk"), lambda text: text.encode().decode("latin-1").encode()])(
            m.path.decode()
        )
    except UnicodeEncodeError:
        raise Impossible from None


@breaks("path-edited", "path")
def _(m: Making) -> None:
    before, m.sent_path = unquote(m.sent_path), m.sent_path.lower()
    need(before != unquote(m.sent_path) == unquote(m.sent_path).lower())


@breaks("bucket-in-path", "path")
def _(m: Making) -> None:
    m.path = b"/" + BUCKET.encode() + m.path


@breaks("slashes-changed", "path")
def _(m: Making) -> None:
    m.path += b"/"


@breaks("path-edited", "path")
def _(m: Making) -> None:
    m.path += m.rng.choice([b"\n", b"\r\n", b" "])


@breaks("path-edited", "path")
def _(m: Making) -> None:
    m.path = b"/" + m.path[1:].replace(b"/", b"\\")


@breaks("path-edited", "path")
def _(m: Making) -> None:
    m.path = html.escape(m.path.decode()).encode()


@breaks("path-missing", "path")
def _(m: Making) -> None:
    m.path = b"/"


@breaks("path-rewritten", "path")
def _(m: Making) -> None:
    if m.rng.random() < 0.5:
        m.sent_path = "/static" + m.sent_path
    else:
        m.received = {**(m.received or {}), "path": "/cdn/x" + unquote(m.sent_path)}


@breaks("url-as-path", "path")
def _(m: Making) -> None:
    need(m.sent_params and not m.in_header)
    m.path += (
        b"?"
        + "&".join(
            quote(name, safe="") + (f"={quote(value, safe='')}" if value else "") for name, value in m.sent_params
        ).encode()
    )


@breaks("url-cuts-key", "path")
def _(m: Making) -> None:
    m.path += b"#1.txt"
    m.damage.append(lambda url: url if "#" in url else url + "#1.txt")


@breaks("url-as-path", "path")
def _(m: Making) -> None:
    m.path = f"https://{HOST}".encode() + m.path


@breaks("host-changed", "headers")
def _(m: Making) -> None:
    other = m.rng.choice([f"{BUCKET}.cos.accelerate.myqcloud.com", f"{BUCKET}.file.myqcloud.com", "cdn.example.com"])
    m.sent_headers = [(name, other if name == "Host" else value) for name, value in m.sent_headers]


@breaks("host-changed", "headers")
def _(m: Making) -> None:
    m.signed_headers = [
        (name, f"{HOST}:443" if name == "Host" else value) for name, value in m.signed_headers or m.headers
    ]


@breaks("header-missing", "headers")
def _(m: Making) -> None:
    names = [name for name, _ in m.sent_headers if name != "Host"]
    need(names)
    dropped = m.rng.choice(names)
    m.sent_headers = [pair for pair in m.sent_headers if pair[0] != dropped]


@breaks("header-changed", "headers")
def _(m: Making) -> None:
    names = [name for name, _ in m.headers if name in ("Cache-Control", "x-cos-meta-author", "If-Match", "Content-MD5")]
    need(names)
    chosen = m.rng.choice(names)
    change = {"If-Match": lambda value: value.strip('"'), "Content-MD5": lambda value: value + " "}.get(
        chosen, lambda value: value.replace(" ", "  ")
    )
    if chosen == "Content-MD5":
        m.received = {
            **(m.received or {}),
            "headers": [(name, "AAAA" if name == chosen else value) for name, value in m.headers],
        }
    else:
        m.sent_headers = [(name, change(value) if name == chosen else value) for name, value in m.sent_headers]


@breaks("content-type-changed", "headers")
def _(m: Making) -> None:
    need(any(name == "Content-Type" for name, _ in m.headers))
    other = m.rng.choice(["application/x-www-form-urlencoded", "text/plain;charset=UTF-8", "application/octet-stream"])
    m.sent_headers = [(name, other if name == "Content-Type" else value) for name, value in m.sent_headers]


@breaks("header-changed", "headers")
def _(m: Making) -> None:
    need(any(name == "Content-Length" for name, _ in m.headers))
    m.received = {
        **(m.received or {}),
        "headers": [(name, "1204" if name == "Content-Length" else value) for name, value in m.headers],
    }


@breaks("list-differs", "headers")
def _(m: Making) -> None:
    m.signed_headers = [*(m.signed_headers or m.headers), ("x-cos-extra", "yes")]
    m.sent_headers = [*m.sent_headers, ("x-cos-extra", "yes")]


@breaks("list-differs", "headers")
def _(m: Making) -> None:
    m.signed_headers = [pair for pair in m.signed_headers or m.headers if pair[0] != m.headers[-1][0]]


@breaks("parameter-missing", "params")
def _(m: Making) -> None:
    need(m.sent_params)
    m.sent_params = m.sent_params[1:]


@breaks("parameter-changed", "params")
def _(m: Making) -> None:
    need(any(" " in value for _, value in m.sent_params))
    m.sent_params = [(name, value.replace(" ", "%20")) for name, value in m.sent_params]


@breaks("sent-twice", "params")
def _(m: Making) -> None:
    need(m.sent_params)
    m.sent_params = [*m.sent_params, m.sent_params[0]]


@breaks("list-differs", "params")
def _(m: Making) -> None:
    m.signed_params = [*(m.signed_params or m.params), ("response-expires", "0")]
    m.sent_params = [*m.sent_params, ("response-expires", "0")]


@breaks("list-differs", "params")
def _(m: Making) -> None:
    need(m.params)
    m.signed_params = []


@breaks("encoder-differs", "params")
def _(m: Making) -> None:
    need(any(not value for _, value in m.params))
    m.empty = ""


@breaks("list-decoded", "beside")
def _(m: Making) -> None:
    need(not m.in_header and any("/" in name for name, _ in m.params))
    m.decoded_list = True


@breaks("encoder-differs", "encoding")
def _(m: Making) -> None:
    m.encode = str


@breaks("encoder-differs", "encoding")
def _(m: Making) -> None:
    m.encode = lambda text: encoded(encoded(text))


@breaks("encoder-differs", "encoding")
def _(m: Making) -> None:
    need(any(" " in value for _, value in (*m.params, *m.headers)))
    m.encode = quote_plus


@breaks("encoder-differs", "encoding")
def _(m: Making) -> None:
    m.encode = m.rng.choice(
        [quote, lambda text: quote(text, safe="-_.~!'()*"), lambda text: encoded(text).replace("~", "%7E")]
    )


@breaks("names-differ", "encoding")
def _(m: Making) -> None:
    m.fold = str
    m.order = lambda entries: sorted(entries, key=lambda entry: entry[0].lower())


@breaks("names-differ", "encoding")
def _(m: Making) -> None:
    m.order = list


RECIPES: list[tuple[str, list[dict[str, Any]]]] = [
    ("lines-differ", [{"http": lambda *lines: b"\n".join(lines)}, {"text": lambda time, digest: b"sha1\n%b\n%b" % (time.encode(), digest)}]),
    ("lines-differ", [{"http": lambda *lines: b"\r\n".join(lines) + b"\r\n"}]),
    ("lines-differ", [{"http": lambda *lines: b"\n".join(filter(None, lines)) + b"\n"}]),
    ("sign-key-form", [{"sign_key": lambda key, time: hmac.digest(key.encode(), time.encode(), "sha1")}]),
    ("sign-key-form", [{"sign_key": lambda key, time: mac(key, time).upper()}]),
    ("sign-key-form", [{"sign_key": lambda key, time: key.encode()}]),
    ("hash-differs", [{"sign_key": lambda key, time: mac(time, key)}, {"last": lambda key, text: mac(text, key)}]),
    ("hash-differs", [{"last": lambda key, text: sha1((key if isinstance(key, bytes) else key.encode()) + text)}]),
    ("hash-differs", [{"last": lambda key, text: mac(key, text, "sha256")}, {"digest": lambda http: hashlib.sha256(http).hexdigest().encode()}]),
    ("hash-differs", [{"digest": lambda http: hashlib.md5(http).hexdigest().encode()}]),
    ("hash-differs", [{"digest": lambda http: http}]),
    ("hash-differs", [{"digest": lambda http: sha1(http).upper().encode()}, {"digest": lambda http: base64.b64encode(hashlib.sha1(http).digest())}]),
    ("lines-differ", [{"text": lambda time, digest: b"%b\n%b\n" % (time.encode(), digest)}]),
]  # fmt: skip


def _recipe(changes: list[dict[str, Any]]) -> Callable[[Making], None]:
    def apply(m: Making) -> None:
        for name, value in m.rng.choice(changes).items():
            setattr(m, name, value)

    return apply


for _code, _changes in RECIPES:
    breaks(_code, "recipe")(_recipe(_changes))

breaks("signature-form", "form")(
    lambda m: setattr(m, "finish", lambda made: base64.b64encode(bytes.fromhex(made)).decode())
)
breaks("signature-form", "form")(lambda m: setattr(m, "finish", str.upper))
breaks("signature-truncated", "form")(lambda m: setattr(m, "finish", lambda made: made[: m.rng.randint(20, 39)]))
breaks("url-edited", "form")(lambda m: setattr(m, "finish", lambda made: made + m.rng.choice(["?x=1", '"}', ")."])))


def _in_url(damage: Callable[[str], str]) -> Callable[[Making], None]:
    def apply(m: Making) -> None:
        need(not m.in_header and m.sent_method == "get" and len(m.sent_headers) == 1)
        m.damage.append(damage)

    return apply


breaks("url-edited", "text")(_in_url(lambda url: url.replace("&", "&amp;")))
breaks("cut-url", "text")(_in_url(lambda url: url.partition("&")[0]))
breaks("url-edited", "text")(_in_url(lambda url: f"<{url}>"))
breaks("url-edited", "text")(_in_url(lambda url: "\n".join(url[at : at + 76] for at in range(0, len(url), 76))))
breaks("url-encoded-again", "text")(
    _in_url(
        lambda url: (
            url.partition("?")[0]
            + "?"
            + "&".join(
                part.partition("=")[0] + "=" + quote(part.partition("=")[2], safe="") if "=" in part else part
                for part in url.partition("?")[2].split("&")
            )
        )
    )
)
breaks("url-edited", "text")(_in_url(lambda url: quote(url, safe="")))
breaks("question-mark", "text")(_in_url(lambda url: url.replace("?", "&", 1)))
breaks("no-signature", "text")(_in_url(lambda url: url.partition("?")[0]))
breaks("field-missing", "text")(
    _in_url(lambda url: "&".join(part for part in url.split("&") if not part.startswith("q-key-time")))
)
breaks("aws-sigv4", "text")(_in_url(lambda url: url.partition("?")[0] + "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20240101%2Fap%2Fs3%2Faws4_request"
    "&X-Amz-Date=20240101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=" + "0a" * 32))  # fmt: skip

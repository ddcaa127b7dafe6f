"""Requests that try to get what the policy of serving.py forbids, by class; docs/security.md says what stops each class."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from tests.conftest import BUCKET
from tests.conftest import HOST as COS_HOST
from tests.gateway.serving import ALICE, BOB, CAROL, HOST, carols, head

Headers = dict[str, str] | list[tuple[str, str]]


class Attack(NamedTuple):
    """A request.

    kind: its class.
    data: its bytes.
    method: its method.
    proxy: whether the trusted proxy sends it.
    original: (method, target) that a proxy asks for, or None.
    prefix: what its caller may have at most: keys that begin so. None if it must be refused whatever it asks for.
    good: whether it is no attack at all and must be granted.
    described: what it asks a signature for, as an SDK describes it: (method, key, query, headers).
    """

    kind: str
    data: bytes
    method: str = "GET"
    proxy: bool = False
    original: tuple[str, str] | None = None
    prefix: str | None = None
    good: bool = False
    described: tuple[str, str, dict[str, str], dict[str, str]] | None = None


def attack(
    kind: str, target: str, headers: Headers, prefix: str | None, method: str = "GET", good: bool = False,
    host: str = HOST,
) -> Attack:  # fmt: skip
    return Attack(kind, head(method, target, headers, host), method, prefix=prefix, good=good)


def asked(
    kind: str, endpoint: str, method: str, target: str, headers: Headers, prefix: str | None, proxy: bool = True,
    good: bool = False,
) -> Attack:  # fmt: skip
    """A request to a sub-request's endpoint."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    pairs = [("X-Original-URI", target), ("X-Original-Method", method), *pairs]
    return Attack(kind, head("GET", endpoint, pairs), "GET", proxy, (method, target), prefix, good)


UP = (
    "..", "%2e%2e", ".%2e", "%2E.", "%2e%2E", "...", "..;", "..%3b", "..%00", "%00..", "..%20", " ..", "..%09", "..%0d%0a",
    "%252e%252e", "%25%32%65%25%32%65", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%uff0e%uff0e", "%ff..", ".", "%2e", "",
    "..\\", "..%5c", "%5c..", "\\..", "..#", "..%23", "%23..", "..?", "..%3f", "%ef%bc%8e%ef%bc%8e",
)  # fmt: skip
SLASHES = (
    "/", "//", "///", "%2f", "%2F", "/%2f", "%2f/", "\\", "%5c", "%5C", "/\\", "%252f", "%25%32%66", "%c0%af", "%e0%80%af",
    "%c1%9c", "%ef%bc%8f", "/.", "/./", "/%2e/", ";/", "%3b/", "%00/", "/%00", "%0a/", "%20/", "/%20", "#/", "?/", "%3f/",
    "%ed%a0%80/", "%u2215", "+/",
)  # fmt: skip


def paths(shuffle: random.Random, count: int) -> Iterator[Attack]:
    """From photos/alice/ to photos/bob/, or out of the route."""
    starts = ("/img/alice/", "/img/alice", "/img/", "/img/alice/x/", "/img/public/")
    ends = ("bob/secret.jpg", "bob%2fsecret.jpg", "up/bob/x", "photos/bob/secret.jpg", "uploads/bob/x", "etc/passwd")
    for _ in range(count):
        steps = "".join(shuffle.choice(SLASHES) + shuffle.choice(UP) for _ in range(shuffle.choice((1, 1, 2, 2, 3))))
        target = shuffle.choice(starts) + steps + shuffle.choice(SLASHES) + shuffle.choice(ends)
        target = target.replace(" ", "%20")
        headers = shuffle.choice((ALICE, ALICE, {}))
        prefix = "photos/alice/" if headers else "photos/public/"
        if shuffle.random() < 0.5:
            yield attack("path tricks", target, headers, prefix)
        else:
            yield asked("path tricks", shuffle.choice(("/authorize", "/sign")), "GET", target, headers, prefix)


def other_forms_of_a_target() -> Iterator[Attack]:
    for target in (
        f"http://{HOST}/img/bob/a", "http://elsewhere/img/bob/a", "//img/bob/a", "/img//bob/a", "img/bob/a", "*", "", "/",
        "/img", "/img/", "/IMG/bob/a", "/%69mg/bob/a", "/img%2fbob/a", "/img/bob", "/img/bob/", "/img/alice",
        "/img/alicebob/a", "/img/%61lice/../bob/a", "/img/alice%", "/img/alice/%", "/img/alice/%4", "/img/alice/%zz",
        "/img/alice/\x80", "/img/bob/a#/img/alice/a", "/img/bob/a?/img/alice/a", "/img/bob/a?x=/img/alice/a",
        "/img/alice/" + "a" * 900, "/img/alice/" + "%e4%bd%a0" * 300, "/img/" + "a/" * 4000,
        "/.well-known/../img/bob/a", "/healthz/../img/bob/a", "/metrics%2f..%2fimg/bob/a",
    ):  # fmt: skip
        yield attack("other forms of a target", target, ALICE, "photos/alice/")
        if " " not in target:
            yield asked("other forms of a target", "/authorize", "GET", target, ALICE, "photos/alice/")
            yield asked("other forms of a target", "/sign", "GET", target, ALICE, "photos/alice/")


METHODS = (
    "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "get", "Get", "hEAD", "put", "GETX",
    "PUT%20", "CONNECT",
)  # fmt: skip


def methods() -> Iterator[Attack]:
    for method in METHODS:
        for route, prefix, its in (("img", "photos/alice/", ("GET", "HEAD")), ("up", "uploads/alice/", ("PUT",))):
            allowed = method in its
            target = f"/{route}/alice/a"
            more = {"Content-Length": "0"} if method in ("PUT", "POST", "PATCH") else {}
            if method != "CONNECT":  # ASGI's methods are in upper case, however they were sent
                own = prefix if method.upper() in its else None
                yield attack("methods", target, {**ALICE, **more}, own, method, allowed)
            for endpoint in ("/authorize", "/sign"):
                yield asked("methods", endpoint, method, target, ALICE, prefix if allowed else None, good=allowed)
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            yield attack("methods", "/img/alice/a?_method=" + method, {**ALICE, name: method}, None)
            yield attack("methods", "/up/alice/a", {**ALICE, name: "PUT"}, None)


def parameters(shuffle: random.Random, count: int) -> Iterator[Attack]:
    """Parameters that are not allowed, twice, or not what they seem."""
    names = (
        "response-content-type", "Response-Content-Type", "response-content-disposition", "response%2Dcontent-disposition",
        "versionId", "acl", "uploads", "imageMogr2/thumbnail/!50p", "imageMogr3", "q-ak", "Q-Signature", "sign", "SIGN",
        "x-cos-security-token", "X-COS-Security-Token", "x-cos-acl", "response-content-type%00", "%72esponse-content-type",
        "response_content_type", "", "a[]", "q-sign-algorithm", "%71-signature", "callback",
    )  # fmt: skip
    values = (
        "",
        "a",
        "text%2Fhtml",
        "%0d%0aX-Injected:%201",
        "%00",
        "%ff",
        "%c0%ae",
        "a%26acl=",
        "a;acl",
        "%",
        "+",
        "a%23b",
    )
    for _ in range(count):
        pairs = [
            f"{shuffle.choice(names)}{shuffle.choice(('=', '=', '=', ''))}{shuffle.choice(values)}"
            for _ in range(shuffle.choice((1, 1, 2, 3)))
        ]
        target = "/img/alice/a?" + shuffle.choice(("&", "&", "&&", ";", "%26")).join(pairs)
        if shuffle.random() < 0.5:
            yield attack("parameters", target, ALICE, "photos/alice/")
        else:
            yield asked("parameters", shuffle.choice(("/authorize", "/sign")), "GET", target, ALICE, "photos/alice/")
    yield attack("parameters", "/img/alice/a?response-content-type=" + "a" * 9000, ALICE, None)
    yield attack("parameters", "/img/alice/a?" + "&".join(f"imageMogr2/{n}=" for n in range(200)), ALICE, None)
    yield attack("parameters", "/img/alice/a?response-content-type=text%2Fplain", ALICE, "photos/alice/", good=True)
    yield attack("parameters", "/img/bob/a?response-content-type=text%2Fplain", BOB, None)


def tokens() -> Iterator[Attack]:
    for value in (
        "", "Bearer", "Bearer ", "Bearer token", "Bearer token-of-alic", "Bearer token-of-alice2", "Bearer token-of-ALICE",
        "Bearer token-of-alice token-of-bob", "Bearer token-of-alice,token-of-bob", "Basic dG9rZW4tb2YtYWxpY2U=",
        "token-of-alice", "bearertoken-of-alice", "Bearer\ttoken-of-alice", "Bearer \x00", 'Bearer "token-of-alice"',
        "Bearer 2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90", "Digest username=alice",
        "Bearer token-of-alice; Bearer token-of-bob", "Bearer \xff", "Negotiate", "Bearer null", "Bearer undefined",
        "Bearer " + "a" * 4000, "Bearer  token-of-alice", "Bearer " + " " * 4000 + "token-of-alice",
    ):  # fmt: skip
        yield attack("tokens", "/img/alice/a", {"Authorization": value}, None)
        yield attack("tokens", "/img/public/a", {"Authorization": value}, None)
        yield asked("tokens", "/authorize", "GET", "/img/alice/a", {"Authorization": value}, None)
    for headers, own, other in ((ALICE, "alice", "bob"), (BOB, "bob", "alice"), ({}, "public", "alice")):
        for target in (f"/img/{other}/a", "/img/carol/a", "/img/dave/a", "/img/a", f"/img/{own}", f"/img/{own}x/a"):
            yield attack("tokens of other callers", target, headers, None)
            yield asked("tokens of other callers", "/authorize", "GET", target, headers, None)
            yield asked("tokens of other callers", "/sign", "GET", target, headers, None)
        yield attack("tokens of other callers", f"/img/{own}/a", headers, f"photos/{own}/", good=True)
        yield asked("tokens of other callers", "/sign", "GET", f"/img/{own}/a", headers, f"photos/{own}/", good=True)
    yield attack("tokens of other callers", "/up/bob/a", {**BOB, "Content-Length": "0"}, None, "PUT")
    both = [("Authorization", "Bearer token-of-alice"), ("Authorization", "Bearer token-of-bob")]
    for pairs in (both, both[::-1], [both[0], both[0]]):
        yield attack("ambiguous identity", "/img/bob/a", pairs, None)
        yield attack("ambiguous identity", "/img/alice/a", pairs, None)
    signature = carols("GET", "/img/carol/a")
    yield attack("ambiguous identity", f"/img/carol/a?{quoted(signature)}", ALICE, None)
    yield attack("ambiguous identity", f"/img/alice/a?{quoted(signature)}", ALICE, None)
    yield attack("ambiguous identity", f"/img/carol/a?{quoted(signature)}", {"Authorization": signature}, None)
    for name in ("X-Authorization", "Proxy-Authorization", "Cookie", "X-Cossign-Caller", "X-Forwarded-User", "Token"):
        yield attack("ambiguous identity", "/img/alice/a", {name: "Bearer token-of-alice"}, None)


def quoted(signature: str) -> str:
    """An Authorization as a URL has it."""
    return "&".join(
        f"{name}={quote(value, safe='')}" for name, _, value in (part.partition("=") for part in signature.split("&"))
    )


def certificates() -> Iterator[Attack]:
    subject = "CN=dave,O=Example"
    for proxy in (False, True):
        for name, verified, value in (
            ("X-Client-Subject", "SUCCESS", subject), ("X-Client-Subject", "NONE", subject),
            ("X-Client-Subject", "FAILED:expired", subject), ("X-Client-Subject", "success", subject),
            ("X-Client-Subject", "", subject), ("X-Client-Subject", "SUCCESS", "CN=dave"),
            ("X-Client-Subject", "SUCCESS", "O=Example,CN=dave"), ("X-Client-Subject", "SUCCESS", "CN=dave,O=Example,CN=eve"),
            ("X_Client_Subject", "SUCCESS", subject), ("X-Client-Subject", "SUCCESS", subject.upper()),
            ("X-SSL-Client-S-DN", "SUCCESS", subject),
        ):  # fmt: skip
            good = proxy and (name, verified, value) == ("X-Client-Subject", "SUCCESS", subject)
            pairs = {name: value, "X-Client-Verify": verified}
            made = attack("certificates", "/img/dave/a", pairs, "photos/dave/" if good else None, good=good)
            yield made._replace(proxy=proxy)
            yield attack("certificates", "/img/alice/a", pairs, None)._replace(proxy=proxy)
            yield asked(
                "certificates", "/authorize", "GET", "/img/dave/a", pairs, "photos/dave/" if good else None, proxy, good
            )
        twice = [("X-Client-Subject", subject), ("X-Client-Subject", "CN=eve"), ("X-Client-Verify", "SUCCESS")]
        yield attack("certificates", "/img/dave/a", twice, None)._replace(proxy=proxy)
        again = [("X-Client-Subject", subject), ("X-Client-Verify", "NONE"), ("X-Client-Verify", "SUCCESS")]
        yield attack("certificates", "/img/dave/a", again, None)._replace(proxy=proxy)


def signatures(shuffle: random.Random) -> Iterator[Attack]:
    """Forged, out of their time, too long, of something else."""
    kind = "forged signatures"
    good = carols("GET", "/img/carol/a")
    own = "photos/carol/"
    yield attack(kind, "/img/carol/a", {"Authorization": good}, own, good=True)
    yield attack(kind, f"/img/carol/a?{quoted(good)}", {}, own, good=True)
    yield asked(kind, "/authorize", "GET", "/img/carol/a", {"Authorization": good}, own, good=True)
    yield asked(kind, "/sign", "GET", f"/img/carol/a?{quoted(good)}", {}, own, good=True)
    parts = good.split("&")
    for index, part in enumerate(parts):
        name, _, value = part.partition("=")
        for other in (
            "", value[:-1], value + "0", value[1:], value.upper() if value != value.upper() else value + "x", "0" * 40,
            value.replace(";", ","), value + ";", "%00", f"{value}&{name}={value}", f"{value}&q-ak={CAROL[0]}",
        ):  # fmt: skip
            if other != value and not (name.endswith("-list") and other.strip(";").lower() == value):  # means the same
                forged = "&".join([*parts[:index], f"{name}={other}", *parts[index + 1 :]])
                yield attack(kind, "/img/carol/a", {"Authorization": forged}, None)
                yield attack(kind, "/img/carol/a?" + quoted(forged), {}, None)
        yield attack(kind, "/img/carol/a", {"Authorization": "&".join([*parts[:index], *parts[index + 1 :]])}, None)
        yield attack(kind, "/img/carol/a", {"Authorization": good.replace(name, name.upper())}, None)
    yield attack(kind, "/img/carol/a", {"Authorization": good.replace("sha1", "md5")}, None)
    yield attack(kind, "/img/carol/a", {"Authorization": "q-signature="}, None)
    yield attack(kind, "/img/carol/a", {"Authorization": carols("GET", "/img/carol/a", secrets=(CAROL[0], "no"))}, None)
    yield attack(
        kind, "/img/carol/a", {"Authorization": carols("GET", "/img/carol/a", secrets=("AKIDx", CAROL[1]))}, None
    )
    for length in range(0, 40, 3):
        yield attack(kind, "/img/carol/a", {"Authorization": good[:-40] + good[-40:][:length]}, None)
    kind = "signatures at a wrong time"
    for start, seconds in (
        (-101, 100),
        (-1000, 999),
        (-3, 1),
        (5000, 100),
        (3600, 100),
        (-86500, 86401),
        (-1, 86401),
        (-1, 10**6),
        (-5, 0),
        (10, -20),
    ):
        wrong = carols("GET", "/img/carol/a", start=start, seconds=seconds)
        yield attack(kind, "/img/carol/a", {"Authorization": wrong}, None)
        yield attack(kind, f"/img/carol/a?{quoted(wrong)}", {}, None)
        yield asked(kind, "/authorize", "GET", "/img/carol/a", {"Authorization": wrong}, None)
        yield asked(kind, "/sign", "GET", "/img/carol/a", {"Authorization": wrong}, None)
    kind = "replayed signatures"
    for target in (
        "/img/carol/b", "/img/carol/", "/img/carol/a/", "/img/carol/A", "/img/carol/a%00", "/img/bob/a", "/img/alice/a",
        "/up/carol/a", "/img/carol/a?response-content-type=text%2Fhtml", "/img/carol/a?acl", "/img/carol/../bob/a",
        "/img/carol/a%2f..%2fb", "//img/carol/a", "/img/carol%2f%2fa", "/img/carol/a?versionId=1",
    ):  # fmt: skip
        yield attack(kind, target, {"Authorization": good}, None)
        yield attack(kind, target + ("&" if "?" in target else "?") + quoted(good), {}, None)
        yield asked(kind, "/authorize", "GET", target, {"Authorization": good}, None)
    for method in ("HEAD", "PUT", "DELETE", "POST"):
        yield attack(kind, "/img/carol/a", {"Authorization": good, "Content-Length": "0"}, None, method)
        yield asked(kind, "/sign", method, "/img/carol/a", {"Authorization": good}, None)
    for host in ("elsewhere.example.com", "gw.example.com:8080", "gw.example.com.", "127.0.0.1", ""):
        yield attack(kind, "/img/carol/a", {"Authorization": good}, None, host=host)
    theirs = carols("GET", "/img/carol/a", headers=(("host", "elsewhere.example.com"),))
    for host in (HOST, "elsewhere.example.com"):
        yield attack(kind, "/img/carol/a", {"Authorization": theirs}, None, host=host)
    nowhere = carols("GET", "/img/carol/a", headers=())
    yield attack(kind, "/img/carol/a", {"Authorization": nowhere}, None)
    yield attack(kind, f"/img/carol/a?{quoted(nowhere)}", {}, None)
    yield attack(kind, "/img/carol/a", [("Authorization", good), ("Host", "elsewhere.example.com")], None)
    other = carols("GET", "/img/bob/a")
    yield attack(kind, "/img/bob/a", {"Authorization": other}, None)
    put = carols("PUT", "/up/carol/a")
    yield attack(kind, "/up/carol/a", {"Authorization": put, "Content-Length": "0"}, None, "PUT")
    listed = carols("GET", "/img/carol/a", (("response-content-type", "text/plain"),))
    for query in ("response-content-type=text%2Fhtml", "", "response-content-type=text%2Fplain&acl",
                  "response-content-type=text%2Fplain&response-content-type=text%2Fhtml"):  # fmt: skip
        yield attack(kind, f"/img/carol/a?{query}", {"Authorization": listed}, None)
    yield attack(kind, "/img/carol/a?response-content-type=text%2Fplain", {"Authorization": listed}, own, good=True)


def smuggling() -> Iterator[Attack]:
    """Headers that only a proxy may send, or that a proxy and the gateway may read differently."""
    kind = "header smuggling"
    for endpoint in ("/authorize", "/sign"):
        yield asked(kind, endpoint, "GET", "/img/alice/a", ALICE, None, proxy=False)
        yield asked(kind, endpoint, "GET", "/img/public/a", {}, None, proxy=False)
        yield asked(kind, endpoint, "GET", "/img/alice/a", ALICE, "photos/alice/", good=True)
        for target in ("/img/bob/a", "/img/alice/a"):
            first, second = [("X-Original-URI", "/img/alice/a")], [("X-Original-URI", target)]
            method = [("X-Original-Method", "GET")]
            for pairs in (
                first + second + method, second + first + method, first + method + method, first, method, [],
                [*first, ("X-Original-Method", "")], [("X-Original-URI", ""), *method],
                [("X_Original_URI", target), ("X_Original_Method", "GET")],
                [("X-Forwarded-Uri", target), ("X-Forwarded-Method", "GET")],
                [("X-Original-URL", target), *method], [("X-Rewrite-URL", target), *method],
                [("X-Original-URI ", target), *method], [("X-Original-URI", target + "\r\n X"), *method],
                [("X-Original-URI", f"/img/bob/a,{target}"), *method], [("X-Original-URI", f"/img/bob/a, {target}"), *method],
                [("X-Original-URI", target), ("X-Original-Method", "GET, PUT")],
                [("X-Original-URI", target), ("X-Original-Method", "GET\x00")],
            ):  # fmt: skip
                data = head("GET", endpoint, [*pairs, *ALICE.items()])
                yield Attack(kind, data, "GET", True, None, None)
        for extra in (
            {"X-Forwarded-For": "127.0.0.2"}, {"X-Real-IP": "127.0.0.2"}, {"Forwarded": "for=127.0.0.2"},
            {"X-Forwarded-Host": HOST}, {"X-Client-IP": "127.0.0.2"}, {"True-Client-IP": "127.0.0.2"},
        ):  # fmt: skip
            yield asked(kind, endpoint, "GET", "/img/alice/a", {**ALICE, **extra}, None, proxy=False)
    for target in ("/authorize/", "/authorize?x", "/AUTHORIZE", "/sign;x", "/img/../authorize", "//sign", "/%2fsign"):
        data = head("GET", target, [("X-Original-URI", "/img/public/a"), ("X-Original-Method", "GET")])
        yield Attack(kind, data, "GET", False, None, None)
    kind = "request smuggling"
    inner = head("GET", "/img/alice/a", ALICE).decode("latin-1")
    for first in (
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\nHost: x\n\n",
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\n X: y\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\n\r\n",
        "GET /img/bob/a\r\n\r\n",
        "GET  /img/bob/a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /img/bob/a HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /img/bob/a HTTP/1.0\r\n\r\n",
        "\r\n\r\nGET /img/bob/a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /img/bob/a HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
    ):  # fmt: skip
        yield Attack(kind, first.encode("latin-1"), "GET", False, None, None)
        yield Attack(kind, first.encode("latin-1"), "GET", True, None, None)
    yield Attack(
        kind, f"GET /img/bob/a HTTP/1.1\r\nHost: x\r\nX-A: {inner}".encode("latin-1"), "GET", False, None, None
    )


def injection() -> Iterator[Attack]:
    """Line ends that would make a header of the answer."""
    for end in ("%0d%0a", "%0a", "%0d", "%0D%0A", "%E5%98%8A%E5%98%8D", "\\r\\n", "%00", "%e2%80%a8", "%c2%85"):
        for text in ("X-Injected:%201", "Set-Cookie:a=b", "Location:http://elsewhere/", "%0d%0a<script>"):
            yield attack("line ends", f"/img/alice/a{end}{text}", ALICE, "photos/alice/")
            yield attack("line ends", f"/img/alice/a?response-content-type=a{end}{text}", ALICE, "photos/alice/")
            yield asked("line ends", "/sign", "GET", f"/img/alice/a{end}{text}", ALICE, "photos/alice/")
            yield asked(
                "line ends", "/sign", "GET", f"/img/alice/a?response-content-type=a{end}{text}", ALICE, "photos/alice/"
            )


def bulk() -> Iterator[Attack]:
    """Rows that a caller may not have."""
    kind = "rows of bulk requests"

    def post(body: bytes, headers: Headers, query: str = "route=img", good: bool = False) -> Attack:
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        data = head("POST", f"/presign?{query}", [*pairs, ("Content-Length", str(len(body)))]) + body
        return Attack(kind, data, "POST", prefix="photos/alice/" if good else None, good=good)

    yield post(b"photos/alice/a\nphotos/alice/b\n", ALICE, good=True)
    yield post(b"photos/bob/a\n", BOB)  # no bulk
    yield post(b"photos/public/a\n", {})
    for row in (
        "photos/bob/a", "bob/a", "/photos/alice/a", "photos/alice", "photos/alice/../bob/a", "photos/alice//a",
        "photos/alice/./a", "photos/alice/..", "photos/alice/\\..\\a", "photos/alice/\x00", "photos/alice/%2e%2e/bob/a",
        "photos/alice/a\tb", "PHOTOS/alice/a", " photos/alice/a", "photos/alice/" + "a" * 900, "uploads/alice/a",
        "photos/alice/\ra", "photos/alice/\x7f",
    ):  # fmt: skip
        body = row.encode()
        yield post(body + b"\n", ALICE)
        yield post(b"photos/alice/a\n" + body + b"\nphotos/alice/b", ALICE)
        quoted = row.replace("\\", "\\\\").replace("\x00", "\\u0000").replace("\t", "\\t").replace("\r", "\\r")
        text = f'["photos/alice/a", "{quoted}"]'.encode()
        yield post(text, {**ALICE, "Content-Type": "application/json"})
    yield post(b"photos/alice/\xff\n", ALICE)
    yield post(b"photos/alice/\xc0\xae\n", ALICE)
    good = b"photos/alice/a\n"
    for query in (
        "", "route=up", "route=none", "route=img&route=up", "route=img&method=PUT", "route=img&method=DELETE",
        "route=img&expires=601", "route=img&expires=9999999999", "route=img&expires=-1", "route=img&expires=0",
        "route=img&acl=", "route=img&versionId=1", "route=img&Route=up", "route=img&on_error=all", "route=img&method=get",
        "route=img&response-content-type=a&response-content-type=b",
    ):  # fmt: skip
        yield post(good, ALICE, query)
    yield post(good, {**ALICE, "Content-Type": "text/html"})
    yield post(b"{", {**ALICE, "Content-Type": "application/json"})
    yield post(b'["a", 1]', {**ALICE, "Content-Type": "application/json"})
    yield post(b"[" * 100_000, {**ALICE, "Content-Type": "application/json"})
    yield post(b"junk", {**ALICE, "Content-Type": "application/vnd.apache.arrow.stream"})
    yield post(b"\xff\xff\xff\xff\xff\xff\xff\x7f", {**ALICE, "Content-Type": "application/vnd.apache.arrow.stream"})


COS_HOSTS = (
    "other-1250000000.cos.ap-beijing.myqcloud.com", f"{BUCKET}.cos.ap-guangzhou.myqcloud.com", "cos.ap-beijing.myqcloud.com",
    "service.cos.myqcloud.com", f"{BUCKET}.ci.ap-beijing.myqcloud.com", f"{BUCKET}.pic.ap-beijing.myqcloud.com",
    f"x.{COS_HOST}", f"{COS_HOST}.", f"{COS_HOST}/", f"{COS_HOST}\n", f" {COS_HOST}", f"{COS_HOST}.evil.example", "", "evil.example",
    f"{COS_HOST}@evil.example", f"{COS_HOST}:80@x", "127.0.0.1", f"{BUCKET}.cos-website.ap-beijing.myqcloud.com",
)  # fmt: skip
RISKY_HEADERS = (
    "x-cos-acl", "X-COS-ACL", "x-cos-copy-source", "x-cos-grant-full-control", "Pic-Operations", "x-ci-process", "x-cos-acl ",
    " x-cos-acl", "x-cos-acl\n", "x-cos-\ud800", "x_cos_acl", "x-cos-meta-a=1&x-cos-acl", "x-cos-acl;host", "", "x-cos-" + "a" * 300,
)  # fmt: skip


def sdk_requests(shuffle: random.Random, count: int) -> Iterator[Attack]:
    """What SDKs ask /sdk/authorization and /sdk/credentials for."""
    kind = "described requests"

    def post(body: object, headers: Headers = ALICE, door: str = "authorization", **more: Any) -> Attack:
        pairs = [*headers.items()] if isinstance(headers, dict) else headers
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        pairs = [*pairs, ("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        return Attack(kind, head("POST", f"/sdk/{door}", pairs) + data, "POST", **more)

    def ask(
        key: str, method: str = "GET", query: Any = None, headers: Any = None, caller: Headers = ALICE, good: bool = False, **more: Any
    ) -> Attack:  # fmt: skip
        prefix = (
            ("uploads/alice/" if key.startswith("up") else "photos/alice/") if caller == ALICE else "photos/public/"
        )
        body = {
            "Bucket": BUCKET,
            "Region": "ap-beijing",
            "Method": method,
            "Key": key,
            "Query": query or {},
            "Headers": headers or {},
        }
        told = (method, key, dict(query or {}), dict(headers or {}))
        return post({**body, **more}, caller, prefix=prefix, described=told, good=good)

    yield ask("photos/alice/a", good=True)
    yield ask("photos/alice/a", "HEAD", {"response-content-type": "a/b"}, {"Host": COS_HOST}, good=True)
    yield ask("uploads/alice/a", "PUT", good=True)
    starts = ("photos/alice/", "photos/alice", "photos/", "photos/alice/x/", "photos/public/", "uploads/alice/", "")
    ends = ("bob/secret.jpg", "bob%2fsecret.jpg", "photos/bob/secret.jpg", "uploads/bob/x", "../etc/passwd", "")
    for _ in range(count):
        steps = "".join(shuffle.choice(SLASHES) + shuffle.choice(UP) for _ in range(shuffle.choice((1, 1, 2, 2, 3))))
        key = shuffle.choice(starts) + steps + shuffle.choice(SLASHES) + shuffle.choice(ends)
        key = unquote(key, errors="surrogateescape") if shuffle.random() < 0.3 else key
        more = (
            {"Pathname": shuffle.choice(("/" + key, "/photos/alice/a", "//" + key, key))}
            if shuffle.random() < 0.3
            else {}
        )
        yield ask(key, shuffle.choice(("GET", "GET", "PUT", "HEAD")), caller=shuffle.choice((ALICE, ALICE, {})), **more)
    for method in METHODS:
        for key in ("photos/alice/a", "uploads/alice/a", ""):
            for query in (None, {"delete": ""}, {"prefix": "photos/alice/"}, {"acl": ""}, {"uploads": ""}):
                yield ask(key, method, query)
    for name in (
        "acl", "ACL", "policy", "tagging", "versionId", "uploads", "prefix", "Prefix", "q-sign-time", "Q-AK", "sign", "x-cos-security-token",
        "response-content-type;acl", "a&acl", "response-content-type\n", "imageMogr2/\ud800", "", "\0", "Response-Content-Type", "ci-process",
    ):  # fmt: skip
        for value in ("", "1", "a&acl=", "\n", "\ud800", "photos/alice/"):
            yield ask("photos/alice/a", "GET", {name: value})
            yield ask("", "GET", {name: value})
    for name in RISKY_HEADERS:
        for key, method in (("photos/alice/a", "GET"), ("uploads/alice/a", "PUT")):
            yield ask(key, method, headers={name: "public-read"})
            yield ask(key, method, headers={name: "public-read", "Host": COS_HOST})
    for host in COS_HOSTS:
        for name in ("Host", "host", "HOST"):
            yield ask("photos/alice/a", headers={name: host})
    for more in (
        {"Bucket": "other-1250000000"}, {"Region": "ap-guangzhou"}, {"Bucket": ""}, {"Bucket": None}, {"Expires": 601}, {"Expires": 10**30},
        {"Expires": -1}, {"Expires": 1e3}, {"Expires": "60"}, {"key": "photos/bob/a"}, {"KEY": "photos/bob/a"}, {"pathname": "/photos/bob/a"},
        {"method": "PUT"}, {"Query": []}, {"Query": {"a": {}}}, {"Headers": {"Host": []}}, {"Key": ["photos/alice/a"]}, {"Key": 5},
        {"Method": None}, {"Query": {"a": 1, "A": 2}}, {"Scope": [{"action": "*", "prefix": "*"}], "Key": "photos/bob/a"},
    ):  # fmt: skip
        body = {"Bucket": BUCKET, "Region": "ap-beijing", "Method": "GET", "Key": "photos/alice/a"}
        yield post({**body, **more})
    for body in (
        b"",
        b"[]",
        b"{",
        b"[" * 60_000,
        b"\xff",
        b"{}" + b" " * 70_000,
        b"null",
        b'{"Key": "photos/alice/a", "Key": "photos/bob/a"}',
        b"9" * 6000,
    ):
        for headers in (ALICE, BOB, {}):
            yield post(body, headers)
            yield post(body, headers, "credentials")
    for headers in (ALICE, BOB, {}, {"Authorization": "Bearer x"}):
        yield post(
            {"Bucket": BUCKET, "Region": "ap-beijing", "Scope": [{"action": "*", "prefix": "*"}]},
            headers,
            "credentials",
        )


def all_attacks(seed: int, many: int = 4000) -> list[Attack]:
    """Every class, in random order."""
    shuffle = random.Random(seed)
    found = [
        *paths(shuffle, many), *other_forms_of_a_target(), *methods(), *parameters(shuffle, many // 4), *tokens(),
        *certificates(), *signatures(shuffle), *smuggling(), *injection(), *bulk(),
        *sdk_requests(shuffle, many // 4),
    ]  # fmt: skip
    shuffle.shuffle(found)
    return found

"""CosAuth of requests, httpx and aiohttp against a real server that judges by page 7778: all that they send verifies."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import random
import string
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import pytest
import requests
import yarl

from cossign import (
    BadSignature,
    Clock,
    Credentials,
    CredentialsError,
    EnvironmentCredentials,
    ParameterError,
    RefreshingCredentials,
    Signer,
)
from cossign.integrations import aiohttp as for_aiohttp
from cossign.integrations import httpx as for_httpx
from cossign.integrations import requests as for_requests
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY, scaled
from tests.cos_server import CosServer, Request, refusal, running
from tests.waiting import PATIENCE

TOKEN = "to/ken+=="


@pytest.fixture
def server() -> Iterator[CosServer]:
    with running(lambda: [(SECRET_ID, SECRET_KEY, TOKEN)]) as found:
        yield found


@pytest.fixture
def elsewhere() -> Iterator[CosServer]:
    """Another host, which answers everybody, and remembers what it was sent."""
    with running(list) as found:
        found.judges = False
        yield found


def signer_for(server: CosServer, **options: Any) -> Signer:
    credentials = Credentials(SECRET_ID, SECRET_KEY, TOKEN)
    return Signer(credentials, bucket=BUCKET, region=REGION, domain=server.url, **options)


# --- Ten thousand random requests

ODD = " %+&=?#;:@!$'()*,[]{}|\\^`\"<>~-_./éß腾讯云😀\u202e"


def text(source: random.Random, least: int, most: int, extra: str = ODD) -> str:
    alphabet = string.ascii_letters + string.digits + extra * 2
    return "".join(source.choice(alphabet) for _ in range(source.randint(least, most)))


def path(source: random.Random) -> str:
    """A URL's path as somebody may write it: encoded well, or badly, or not at all."""
    key = text(source, 0, 20)
    segments = ["..", ".", "", "a", "%2e%2e", "%2F", "%", "%zz", "%E8%85%BE", "a+b", "a%20b", "%c3%28", "~%7e"]
    kind = source.randrange(6)
    if kind == 0:
        return quote(key, safe="/")
    if kind == 1:
        return quote(key, safe="/!$&'()*+,;=:@~")
    if kind == 2:
        return key.replace("?", "").replace("#", "")
    if kind == 3:
        return quote(key).lower()
    return "/".join(source.choice(segments) for _ in range(source.randint(1, 5)))


def request(source: random.Random, server: CosServer, redirects: bool) -> tuple[str, str, dict[str, Any]]:
    """(method, URL, what else): one that both clients take."""
    method = source.choice(["GET", "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
    url = f"{server.url}/{path(source)}"
    query = source.choice(
        ["", "", "?acl", "?a=1&b", "?x=%20+%2B&&=&y", "?%E8%85=%", "?A=1&a=2&a=1", "?q=" + quote(text(source, 0, 9))]
    )
    named: dict[str, Any] = {"headers": {}}
    if source.random() < 0.5:
        named["params"] = {text(source, 1, 6): text(source, 0, 9) for _ in range(source.randint(1, 3))}
        if source.random() < 0.3:
            named["params"]["list"] = [text(source, 0, 4), text(source, 0, 4)]
    for name in (
        "Range",
        "Content-Type",
        "x-cos-meta-a",
        "X-Cos-ACL",
        "If-Match",
        "Accept",
        "X-Other",
        "Cache-Control",
        "pic-operations",
    ):
        if source.random() < 0.25:
            value = text(source, 1, 12, " %+&=;:/").strip()
            named["headers"][name] = value or "x"
    if method in ("PUT", "POST", "PATCH"):
        kind = source.randrange(6)
        if kind == 0:
            named["data"] = {"a": text(source, 0, 9), "b": "2"}
        elif kind == 1:
            named["json"] = {"key": text(source, 0, 9)}
        elif kind == 2:
            named["files"] = {"file": ("a.txt", io.BytesIO(b"content"))}
        elif kind < 5:
            named["content"] = source.randbytes(source.randrange(200))
    if redirects and source.random() < 0.05:
        url, query = f"{server.url}/redirect", ""
        named["params"] = {
            "status": source.choice([301, 302, 303, 307, 308]),
            "to": "/" + quote(text(source, 0, 9), safe="") + "?b=1",
        }
        named.pop("files", None)
    return method, url + query, named


def changed(source: random.Random, sent: Request) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """The request with one byte of a signed part changed: of the method, the path, a parameter, a signed header."""
    authorization = sent.header("Authorization") or ""
    signed = dict(part.partition("=")[::2] for part in authorization.split("&"))["q-header-list"].split(";")
    choices: list[Callable[[], tuple[bytes, bytes, list[tuple[bytes, bytes]]]]] = []

    def flipped(data: bytes) -> bytes:
        """One letter or digit replaced by another: it means something else, wherever it stands."""
        places = [
            i
            for i, byte in enumerate(data)
            if chr(byte) in "ghijklmnoprstuvwxyz" and data[max(0, i - 2) : i].count(b"%") == 0
        ]
        if not places:
            return data + b"x"
        place = source.choice(places)
        return data[:place] + (b"g" if data[place] != ord("g") else b"h") + data[place + 1 :]

    path, mark, query = sent.target.partition(b"?")
    choices.append(lambda: (b"GET" if sent.method != b"GET" else b"PUT", sent.target, sent.headers))
    choices.append(lambda: (sent.method, flipped(path) + mark + query, sent.headers))
    if query.strip(b"&="):
        choices.append(lambda: (sent.method, path + mark + flipped(query.rstrip(b"&=")), sent.headers))
    for index, (name, value) in enumerate(sent.headers):
        if quote(name.decode().lower(), safe="-_.~") in signed:
            other = (name, flipped(value))
            choices.append(
                lambda index=index, other=other: (
                    sent.method,
                    sent.target,
                    [*sent.headers[:index], other, *sent.headers[index + 1 :]],
                )
            )  # type: ignore[misc]
        if name.lower() == b"authorization":
            place = value.rindex(b"=") + 1 + source.randrange(40)
            digit = b"0" if value[place : place + 1] != b"0" else b"1"
            spoilt = (name, value[:place] + digit + value[place + 1 :])
            choices.append(
                lambda index=index, spoilt=spoilt: (
                    sent.method,
                    sent.target,
                    [*sent.headers[:index], spoilt, *sent.headers[index + 1 :]],
                )
            )  # type: ignore[misc]
    return source.choice(choices)()


def check(server: CosServer, count: int, source: random.Random) -> None:
    """All that arrived verified, and one changed byte would have been refused."""
    arrived = [each for each in server.requests if each.header("Authorization") is not None]
    # What httpx sends after a redirect to the same host still has the Authorization of the first request, and no token.
    arrived = [each for each in arrived if each.header("x-cos-security-token") is not None]
    assert len(arrived) >= count
    verifier = Signer(Credentials(SECRET_ID, SECRET_KEY, TOKEN))
    for each in arrived:
        judged(verifier, each.method, each.target, each.headers)
        method, target, headers = changed(source, each)
        refused = refusal(method, target, headers, SECRET_ID, SECRET_KEY, TOKEN, time.time())
        assert refused, (each.method, each.target, each.headers, method, target, headers)
        with pytest.raises(BadSignature):
            judged(verifier, method, target, headers)


def judged(verifier: Signer, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """The same by our own verify."""
    named = {name.decode(): value.decode() for name, value in headers}
    verifier.verify(target.decode(), method=method.decode(), headers=named)


@scaled("count", 1_000, 5_000)
def test_requests_of_requests_verify(server: CosServer, count: int) -> None:
    source = random.Random(20261125)
    done = 0
    with requests.Session() as session:
        session.auth = for_requests.CosAuth(signer_for(server))
        for _ in range(count):
            method, url, named = request(source, server, redirects=True)
            content = named.pop("content", None)
            if content is not None:
                named["data"] = source.choice(
                    [content, io.BytesIO(content), iter([content[:50], content[50:]]), content.hex()]
                )
                if hasattr(named["data"], "__next__") and "/redirect" in url:
                    named["data"] = content
            answer = session.request(method, url, **named)
            assert answer.status_code == 200, (method, url, named, answer.request.url, server.refusals[-1:])
            done += 1
    assert done == count
    assert server.refusals == []
    check(server, count, source)


@scaled("count", 1_000, 5_000)
def test_requests_of_httpx_verify(server: CosServer, count: int) -> None:
    source = random.Random(20261126)
    auth = for_httpx.CosAuth(signer_for(server))

    def sent(method: str, url: str, named: dict[str, Any]) -> dict[str, Any]:
        content = named.get("content")
        if content is not None and source.random() < 0.3 and "/redirect" not in url:
            named["content"] = [content[:50], content[50:]]  # streamed
        return named

    with httpx.Client(auth=auth, follow_redirects=True) as client:
        for _ in range(count // 2):
            method, url, named = request(source, server, redirects=True)
            answer = client.request(method, url, **sent(method, url, named))
            assert answer.status_code == 200, (method, url, named, answer.request.url, server.refusals[-1:])

    async def main() -> None:
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            for _ in range(count // 2):
                method, url, named = request(source, server, redirects=True)
                sent(method, url, named)
                if isinstance(named.get("content"), list):
                    named["content"] = streamed(named["content"])
                answer = await client.request(method, url, **named)
                assert answer.status_code == 200, (method, url, named, answer.request.url, server.refusals[-1:])

    asyncio.run(main())
    # What a redirect led to was refused once each: it has the signature of the first request, and no token.
    assert set(server.refusals) <= {"AccessDenied: no Authorization", "InvalidToken"}
    check(server, count, source)


@scaled("count", 600, 2_000)
def test_requests_of_aiohttp_verify(server: CosServer, count: int) -> None:
    source = random.Random(20261127)

    async def main() -> None:
        async with aiohttp.ClientSession(middlewares=(for_aiohttp.CosAuth(signer_for(server)),)) as session:
            for _ in range(count):
                method, url, named = request(source, server, redirects=True)
                named.pop("files", None)
                content = named.pop("content", None)
                if content is not None:
                    named["data"] = source.choice([content, io.BytesIO(content)])
                if "params" in named:
                    named["params"] = [
                        (name, each)
                        for name, value in named["params"].items()
                        for each in (value if isinstance(value, list) else [str(value)])
                    ]
                address = yarl.URL(url, encoded=source.random() < 0.5 and url.isascii() and " " not in url)
                async with session.request(method, address, **named) as answer:
                    body = await answer.read()
                    assert answer.status == 200, (method, url, named, body, server.refusals[-1:])

    asyncio.run(main())
    assert server.refusals == []
    check(server, count, source)


# --- What is sent


Get = Callable[..., Any]


def by_requests(signer: Signer, method: str, url: str, **named: Any) -> tuple[int, str]:
    answer = requests.request(method, url, auth=for_requests.CosAuth(signer), timeout=PATIENCE, **named)
    return answer.status_code, answer.text


def by_httpx(signer: Signer, method: str, url: str, **named: Any) -> tuple[int, str]:
    if "data" in named:
        named["content"] = named.pop("data")
    with httpx.Client(auth=for_httpx.CosAuth(signer), follow_redirects=True) as client:
        answer = client.request(method, url, **named)
    return answer.status_code, answer.text


def by_httpx_async(signer: Signer, method: str, url: str, **named: Any) -> tuple[int, str]:
    if "data" in named:
        named["content"] = named.pop("data")

    async def main() -> tuple[int, str]:
        async with httpx.AsyncClient(auth=for_httpx.CosAuth(signer), follow_redirects=True) as client:
            answer = await client.request(method, url, **named)
            return answer.status_code, answer.text

    return asyncio.run(main())


def by_aiohttp(signer: Signer, method: str, url: str, **named: Any) -> tuple[int, str]:
    async def main() -> tuple[int, str]:
        async with aiohttp.ClientSession(middlewares=(for_aiohttp.CosAuth(signer),)) as session:
            answer = await session.request(method, url, **named)
            return answer.status, await answer.text()

    return asyncio.run(main())


CLIENTS = pytest.mark.parametrize("send", [by_requests, by_httpx, by_httpx_async, by_aiohttp])


@CLIENTS
def test_a_request_verifies_with_its_token(send: Get, server: CosServer) -> None:
    signer = signer_for(server)
    assert send(signer, "PUT", signer.object_url("a b/腾讯云+%.txt"), data=b"x", headers={"x-cos-acl": "private"}) == (
        200,
        "a b/腾讯云+%.txt",
    )
    [arrived] = server.requests
    assert arrived.header("x-cos-security-token") == TOKEN
    signed = dict(part.partition("=")[::2] for part in (arrived.header("Authorization") or "").split("&"))
    assert {"content-length", "host", "x-cos-acl"} <= set(signed["q-header-list"].split(";"))
    assert not {"accept", "user-agent", "connection", "x-cos-security-token"} & set(signed["q-header-list"].split(";"))
    start, _, end = signed["q-sign-time"].partition(";")
    assert int(end) - int(start) == 900


@CLIENTS
def test_logs_at_debug_hold_no_secret(send: Get, server: CosServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        send(signer_for(server, clock=Clock(-5000)), "GET", server.url + "/x")
        with pytest.raises((OSError, httpx.ConnectError)):
            send(Signer(Credentials(SECRET_ID, SECRET_KEY, TOKEN)), "GET", "http://127.0.0.1:9/x")
    assert caplog.records or send is by_aiohttp
    assert SECRET_KEY not in caplog.text
    assert TOKEN not in caplog.text
    assert "q-signature" not in caplog.text


@CLIENTS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_gets_neither_signature_nor_token(
    send: Get, status: int, server: CosServer, elsewhere: CosServer
) -> None:
    signer = signer_for(server)
    for to in (elsewhere.url + "/x", elsewhere.url.removeprefix("http:") + "/x"):
        found = send(signer, "POST", f"{server.url}/redirect", params={"status": status, "to": to}, data=b"abc")
        assert found == (200, "x")
    for arrived in elsewhere.requests:
        assert arrived.header("Authorization") is None
        assert arrived.header("x-cos-security-token") is None
        for secret in (SECRET_KEY, TOKEN, quote(TOKEN, safe=""), "q-signature"):
            assert secret not in repr(vars(arrived))
        assert arrived.header("Host") == elsewhere.url.removeprefix("http://")
    assert len(elsewhere.requests) == 2


@CLIENTS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_same_host_is_signed_for_its_own_path(send: Get, status: int, server: CosServer) -> None:
    signer = signer_for(server)
    found = send(
        signer, "POST", f"{server.url}/redirect", params={"status": status, "to": "/y z?b=1"}, data=b"abc",
        headers={"Content-Type": "text/plain"},
    )  # fmt: skip
    assert found == (200, "y z")


def test_a_chain_of_redirects_there_and_back(server: CosServer, elsewhere: CosServer) -> None:
    signer = signer_for(server)
    back = f"{elsewhere.url}/redirect?status=302&to={quote(server.url + '/end', safe='')}"
    url = f"{server.url}/redirect?status=302&to={quote(server.url + '/redirect?status=302&to=' + quote(back, safe=''), safe='')}"
    found = requests.get(url, auth=for_requests.CosAuth(signer), timeout=PATIENCE)
    # From another host nothing that comes back is signed: it is that host which says where.
    assert [each.status_code for each in found.history] == [302, 302, 302]
    assert found.status_code == 403
    assert [each.header("Authorization") is not None for each in server.requests] == [True, True, False]
    assert [each.header("x-cos-security-token") for each in elsewhere.requests] == [None]
    for number, path in enumerate(["/redirect?", "/redirect?"]):  # the history keeps what was sent
        sent = found.history[number].request
        assert sent.path_url.startswith(path)
        assert signer.verify(str(sent.url), headers=dict(sent.headers)).key == "redirect"
    assert found.history[0].request.headers["Authorization"] != found.history[1].request.headers["Authorization"]


def test_a_response_followed_by_hand(server: CosServer, elsewhere: CosServer) -> None:
    signer = signer_for(server)
    params = {"status": "302", "to": elsewhere.url + "/x"}
    with httpx.Client(auth=for_httpx.CosAuth(signer)) as client:
        first = client.get(f"{server.url}/redirect", params=params)
        assert first.next_request is not None
        with pytest.raises(ParameterError, match=r"the Signer is for"):
            client.send(first.next_request)
        assert client.send(first.next_request, auth=None).status_code == 200
        first = client.get(f"{server.url}/redirect", params={"status": "302", "to": "/y"})
        assert first.next_request is not None
        assert client.send(first.next_request).text == "y"
    with requests.Session() as session:
        session.auth = for_requests.CosAuth(signer)
        answer = session.get(f"{server.url}/redirect", params=params, allow_redirects=False)
        assert answer.next is not None
        assert session.send(answer.next).status_code == 200
    for arrived in elsewhere.requests:
        assert arrived.header("Authorization") is None
        assert arrived.header("x-cos-security-token") is None
    assert len(elsewhere.requests) == 2


@pytest.mark.parametrize("send", [by_requests, by_httpx, by_httpx_async])
def test_another_host_is_an_error_before_anything_is_sent(send: Get, server: CosServer, elsewhere: CosServer) -> None:
    with pytest.raises(ParameterError, match=r"url has the host '127.0.0.1:.*nothing was sent"):
        send(signer_for(server), "GET", elsewhere.url + "/x")
    assert elsewhere.requests == []
    anywhere = Signer(Credentials(SECRET_ID, SECRET_KEY, TOKEN))
    assert send(anywhere, "GET", server.url + "/x") == (200, "x")


@pytest.mark.parametrize("send", [by_requests, by_httpx, by_httpx_async, by_aiohttp])
def test_another_bucket_is_an_error_and_the_message_says_what_to_do(send: Get) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    others = ("other-1250000000.cos.ap-beijing.myqcloud.com", "other-1250000000.cos.accelerate.myqcloud.com:444")
    for host in (
        *others,
        f"{others[0]}.",
        f"{BUCKET}.cos.{REGION}.myqcloud.com.",
        f"{BUCKET}.cos.ap-shanghai.myqcloud.com",
    ):
        with pytest.raises(ParameterError, match=r"nothing was sent\. Use a Signer for that bucket, signer\.replace\("):
            send(signer, "GET", f"https://{host}/a.jpg")


def test_aiohttp_leaves_other_hosts_alone(server: CosServer, elsewhere: CosServer) -> None:
    assert by_aiohttp(signer_for(server), "GET", elsewhere.url + "/x") == (200, "x")
    assert elsewhere.requests[0].header("Authorization") is None
    assert elsewhere.requests[0].header("x-cos-security-token") is None
    assert by_aiohttp(Signer(Credentials(SECRET_ID, SECRET_KEY, TOKEN)), "GET", server.url + "/x") == (200, "x")


@CLIENTS
def test_a_wrong_clock_learns_once(send: Get, server: CosServer) -> None:
    signer = signer_for(server, clock=Clock(-5000))
    assert send(signer, "PUT", server.url + "/x", data=b"abc") == (200, "x")
    assert len(server.requests) == 2
    assert [each.body for each in server.requests] == [b"abc", b"abc"]
    assert signer.clock is not None
    assert abs(signer.clock.offset) < 3
    assert send(signer, "GET", server.url + "/y") == (200, "y")
    assert len(server.requests) == 3
    # Nobody asked this one to learn.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Signer, "_start", lambda self: int(time.time()) - 5000)
        status, said = send(signer_for(server), "GET", server.url + "/x")
    assert (status, said) == (403, "RequestTimeTooSkewed")


@CLIENTS
def test_credentials_that_change_between_two_sendings(send: Get, server: CosServer) -> None:
    """The token of the first ones does not stay with the second, which have none."""

    class Rotating:
        def get(self) -> Credentials:
            return Credentials(SECRET_ID, SECRET_KEY, None if server.requests else TOKEN)

    server.secrets = lambda: [(SECRET_ID, SECRET_KEY, None), (SECRET_ID, SECRET_KEY, TOKEN)]
    signer = Signer(Rotating(), bucket=BUCKET, region=REGION, domain=server.url, clock=Clock(-5000))
    assert send(signer, "GET", server.url + "/x") == (200, "x")
    assert [each.header("x-cos-security-token") for each in server.requests] == [TOKEN, None]


@CLIENTS
def test_a_refusal_for_another_reason_is_not_tried_again(send: Get, server: CosServer) -> None:
    server.offset = 5000  # its Date is wrong, and its judgement
    signer = signer_for(server, clock=Clock(5000))
    other = Signer(Credentials(SECRET_ID, "another"), bucket=BUCKET, region=REGION, domain=server.url, clock=Clock())
    status, said = send(other, "GET", server.url + "/x")
    assert (status, said.partition(":")[0]) == (403, "InvalidToken")
    assert send(signer, "GET", server.url + "/x") == (200, "x")


def test_a_body_that_is_gone_is_not_sent_again(server: CosServer) -> None:
    signer = signer_for(server, clock=Clock(-5000))
    assert by_requests(signer, "PUT", server.url + "/x", data=iter([b"a", b"b"]))[0] == 403
    signer = signer_for(server, clock=Clock(-5000))
    assert by_requests(signer, "PUT", server.url + "/x", data=io.BytesIO(b"abc")) == (200, "x")
    assert [each.body for each in server.requests] == [b"ab", b"abc", b"abc"]
    for send in (by_httpx, by_httpx_async):
        parts: Any = iter([b"a", b"b"]) if send is by_httpx else streamed([b"a", b"b"])
        assert send(signer_for(server, clock=Clock(-5000)), "PUT", server.url + "/x", data=parts)[0] == 403
    assert [each.body for each in server.requests[3:]] == [b"ab", b"ab"]


async def streamed(parts: list[bytes]) -> Any:
    for part in parts:
        yield part


@CLIENTS
def test_another_host_that_refuses_gets_nothing_either(send: Get, server: CosServer, elsewhere: CosServer) -> None:
    elsewhere.judges = True
    params = {"status": 302, "to": elsewhere.url + "/x"}
    assert send(signer_for(server), "GET", f"{server.url}/redirect", params=params)[0] == 403
    assert [each.header("x-cos-security-token") for each in elsewhere.requests] == [None]
    assert [each.header("Authorization") for each in elsewhere.requests] == [None]


@CLIENTS
def test_a_clock_that_is_right_enough_is_left_alone(send: Get, server: CosServer) -> None:
    """A refusal whose reason is not the time, by a server whose Date differs: nothing is learnt, nothing sent again."""
    server.offset = 100
    clock = Clock()
    other = Signer(
        Credentials(SECRET_ID, "another", TOKEN), bucket=BUCKET, region=REGION, domain=server.url, clock=clock
    )
    assert "SignatureDoesNotMatch" in send(other, "GET", server.url + "/x")[1]
    assert len(server.requests) == 1
    assert clock.offset == 0


@pytest.mark.parametrize("kind", ["httpx", "aiohttp"])
def test_the_event_loop_is_not_blocked_by_credentials(kind: str, server: CosServer) -> None:
    gate = threading.Event()

    def fetch() -> Credentials:
        assert gate.wait(PATIENCE)
        return Credentials(SECRET_ID, SECRET_KEY, TOKEN, time.time() + 1000)

    signer = Signer(RefreshingCredentials(fetch), bucket=BUCKET, region=REGION, domain=server.url)

    async def main() -> None:
        async def sent() -> int:
            if kind == "httpx":
                async with httpx.AsyncClient(auth=for_httpx.CosAuth(signer)) as client:
                    return (await client.get(server.url + "/x")).status_code
            async with aiohttp.ClientSession(middlewares=(for_aiohttp.CosAuth(signer),)) as session:
                return (await session.get(server.url + "/x")).status

        task = asyncio.create_task(sent())
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not task.done()
        gate.set()
        assert await task == 200

    asyncio.run(main())


def test_urllib3_retries_are_signed_still(server: CosServer) -> None:
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    signer = signer_for(server)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[403], backoff_factor=0.01)))
        session.auth = for_requests.CosAuth(signer)
        secrets = iter([[], [], *[[(SECRET_ID, SECRET_KEY, TOKEN)]] * 9])
        server.secrets = lambda: next(secrets)
        server.watch = None
        original = server.answer

        def unready(sent: Request) -> tuple[int, bytes, dict[str, str]]:
            return original(sent) if list(server.secrets()) else (403, b"", {})

        server.answer = unready  # type: ignore[method-assign]
        assert session.get(server.url + "/x").text == "x"


def test_headers_in_latin_1_and_with_spaces(server: CosServer) -> None:
    signer = signer_for(server)
    headers = {"x-cos-meta-a": "é ü ", "x-cos-meta-b": b"\xc3\xa9", b"X-Cos-Meta-C": "c"}
    assert by_requests(signer, "GET", server.url + "/x", headers=headers) == (200, "x")
    many = [("x-cos-meta-a", "1"), ("X-Cos-Meta-A", "2"), ("Range", "bytes=0-1")]
    assert by_httpx(signer, "GET", server.url + "/x", headers=many) == (200, "x")
    assert by_httpx(signer, "GET", server.url + "/x", headers={"x-cos-meta-a": "é腾".encode()}) == (200, "x")
    assert by_aiohttp(signer, "GET", server.url + "/x", headers=many) == (200, "x")


def test_without_a_host_signed(server: CosServer) -> None:
    signer = signer_for(server, sign_host=False)
    for send in (by_requests, by_httpx, by_aiohttp):
        assert send(signer, "GET", server.url + "/x?a=1") == (200, "x")
    for arrived in server.requests:
        assert "q-header-list=&" in (arrived.header("Authorization") or "")


def test_the_scheme_s_own_port_and_a_name_in_the_url_are_not_signed() -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    host = f"{BUCKET}.cos.{REGION}.myqcloud.com"
    for url in (f"https://{host}:443/a", f"http://{host}:80/a", f"https://me:pw@{host}/a", f"https://{host.upper()}/a"):
        prepared = requests.Request("GET", url, auth=for_requests.CosAuth(signer)).prepare()
        authorization = prepared.headers["Authorization"]
        checked = Signer(Credentials(SECRET_ID, SECRET_KEY)).verify(
            "/a", headers={"Host": host, "Authorization": authorization}
        )
        assert checked.header_list == ("host",)


def test_mock_transports_see_the_signature() -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY, TOKEN), bucket=BUCKET, region=REGION)

    def answer(sent: httpx.Request) -> httpx.Response:
        assert sent.headers["authorization"].startswith("q-sign-algorithm")
        assert sent.headers["X-Cos-Security-Token"] == TOKEN
        assert "Authorization" in sent.headers
        assert sent.headers.get("x-cos-security-token") == TOKEN
        assert sent.headers.get("x-none") is None
        assert (b"x-cos-security-token", TOKEN.encode()) in sent.headers.raw
        assert TOKEN not in repr(sent.headers) + repr(httpx.Headers(sent.headers)) + str(dict(sent.headers))
        return (
            httpx.Response(302, headers={"Location": "https://evil.example/"})
            if "q" in sent.url.params
            else httpx.Response(200)
        )

    with httpx.Client(auth=for_httpx.CosAuth(signer), transport=httpx.MockTransport(answer)) as client:
        assert client.get(signer.object_url("a")).status_code == 200
        following = client.get(signer.object_url("a"), params={"q": "1"}).next_request
        assert following is not None
        assert "authorization" not in following.headers
        assert "x-cos-security-token" not in following.headers


def test_http2_has_the_host_that_was_signed() -> None:
    """Over HTTP/2 httpx sends Host as :authority and no Transfer-Encoding: neither changes what is signed."""
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    request = httpx.Request("PUT", signer.object_url("a"), content=iter([b"a"]))
    sent = next(for_httpx.CosAuth(signer).sync_auth_flow(request))
    assert sent.headers["Transfer-Encoding"] == "chunked"
    assert "q-header-list=host&" in sent.headers["Authorization"]


def test_without_credentials_nothing_is_sent(server: CosServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COS_SECRET_ID", "COS_SECRET_KEY", "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    signer = Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION, domain=server.url)
    for send in (by_requests, by_httpx, by_httpx_async, by_aiohttp):
        with pytest.raises(CredentialsError, match="COS_SECRET_ID"):
            send(signer, "GET", server.url + "/x")
    assert server.requests == []


def test_what_is_no_signer_is_refused_and_pickles_are_safe(server: CosServer) -> None:
    for kind in (for_requests.CosAuth, for_httpx.CosAuth, for_aiohttp.CosAuth):
        with pytest.raises(ParameterError, match=r"signer must be a cossign\.Signer, not str"):
            kind("signer")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="leaked secret"):
            pickle.dumps(kind(signer_for(server)))
        pickle.loads(pickle.dumps(kind(Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION))))


def test_what_says_nothing_of_the_time_teaches_nothing() -> None:
    from cossign.integrations.wire import clock_was_wrong

    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), clock=Clock(-5000))
    sent = signer.sign_request("GET", "https://h/a")
    now = formatdate(usegmt=True)
    assert signer.clock is not None
    for status, headers, received in (
        (403, {}, {"Date": now}), (403, {"Authorization": "Basic x"}, {"Date": now}), (403, sent, {}),
        (403, sent, {"Date": "soon"}), (200, sent, {"Date": now}),
    ):  # fmt: skip
        assert not clock_was_wrong(signer, status, headers, received)
        assert signer.clock.offset == -5000
    assert clock_was_wrong(signer, 403, sent, {"Date": now})
    assert abs(signer.clock.offset) < 3

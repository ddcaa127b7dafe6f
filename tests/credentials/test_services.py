"""CvmRoleCredentials and StsCredentials against real servers that behave well and badly; the official signer beside."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import http.server
import json
import os
import pickle
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import pytest
import trustme
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential, DefaultTkeOIDCRoleArnProvider
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.common.sign import Sign

from cossign import (
    Clock,
    Credentials,
    CredentialsError,
    CredentialsNotFound,
    CvmRoleCredentials,
    EnvironmentCredentials,
    ParameterError,
    StsCredentials,
    WebIdentityCredentials,
)
from cossign.credentials.services import tc3_authorization
from cossign.credentials.web import send_request
from tests.waiting import PATIENCE

Answer = tuple[int, bytes, dict[str, str]]
IN_2100 = 4_102_444_800  # Unix seconds


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@contextmanager
def serving(answer: Callable[[Any, bytes], Answer | None], authority: trustme.CA | None = None) -> Iterator[str]:
    """A real HTTP server; `answer` gets the handler and the body, and returns what to send, or has sent it itself.

    With an `authority` it is one of HTTPS.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            found = answer(self, body)
            if found is None:
                return
            self.send_response_only(found[0])
            for name, value in {"Content-Length": str(len(found[1])), **found[2]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found[1])

        do_GET = do_POST = handle_one  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            pass  # clients that leave

    server = Server(("127.0.0.1", 0), Handler)
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield (
            f"http://127.0.0.1:{server.server_port}" if authority is None else f"https://localhost:{server.server_port}"
        )
    finally:
        server.shutdown()
        server.server_close()


def role(**more: Any) -> dict[str, Any]:
    """As the metadata service answers."""
    return {
        "TmpSecretId": "AKIDrole", "TmpSecretKey": "hidden", "Token": "hidden2", "ExpiredTime": IN_2100,
        "Expiration": "2030-01-01T00:00:00Z", "Code": "Success", **more,
    }  # fmt: skip


ROLES = "/latest/meta-data/cam/security-credentials/"


def test_the_role_is_asked_for_and_its_credentials_are_taken() -> None:
    asked: list[str] = []

    def answer(handler: Any, body: bytes) -> Answer:
        asked.append(handler.path)
        return (200, b"my-role\n", {}) if handler.path == ROLES else (200, json.dumps(role()).encode(), {})

    with serving(answer) as url:
        found = CvmRoleCredentials(endpoint=url).get()
        assert (found.secret_id, found.secret_key, found.token) == ("AKIDrole", "hidden", "hidden2")
        assert found.expires_at == IN_2100
        assert asked == [ROLES, ROLES + "my-role"]
        CvmRoleCredentials("other@role", endpoint=url).get()
        assert asked[2:] == [ROLES + "other%40role"]
    assert not [
        each for each in threading.enumerate() if isinstance(each, threading.Timer) and not each.finished.is_set()
    ]


def drip(handler: Any, _: bytes) -> None:
    """A byte now and then, for ever: no timeout of a socket's ends it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def drip_body(handler: Any, _: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def hang(handler: Any, _: bytes) -> None:
    """Nothing, until the client has gone."""
    select.select([handler.connection], [], [], PATIENCE)


def hang_up(handler: Any, _: bytes) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def garbage(handler: Any, _: bytes) -> None:
    handler.wfile.write(b"\x00\xffhidden\r\n\r\n")


@pytest.mark.parametrize(
    "answer, said",
    [
        (hang_up, "RemoteDisconnected"), (garbage, "BadStatusLine"),
        (lambda *_: (500, b"hidden", {}), "status 500"), (lambda *_: (302, b"", {"Location": "http://127.0.0.1:9/"}), "status 302"), (lambda *_: (200, b"hidden", {}), "not a JSON object"),
        (lambda *_: (200, b"[]", {}), "not a JSON object"), (lambda *_: (200, json.dumps(role(Code="Failed")).encode(), {}), "gives no credentials for the role 'r'"),
        (lambda *_: (200, json.dumps(role(TmpSecretKey="")).encode(), {}), "no TmpSecretKey"), (lambda *_: (200, json.dumps(role(ExpiredTime=5)).encode(), {}), "expired"),
        (lambda *_: (200, b"x" * 70_000, {}), "longer than 65536 bytes"), (lambda *_: (200, b"\xff\xfe" * 9, {}), "not a JSON object"), (lambda *_: (200, b'{"Code": ' + b"[" * 60_000, {}), "not a JSON object"),
    ],
)  # fmt: skip
def test_a_metadata_service_that_behaves_badly(answer: Any, said: str) -> None:
    with serving(answer) as url:
        with pytest.raises(CredentialsError, match=said) as caught:
            CvmRoleCredentials("r", endpoint=url, seconds=PATIENCE, timeout=PATIENCE, attempts=1).get()
        assert not isinstance(caught.value, CredentialsNotFound)
        assert "hidden" not in str(caught.value)


def drip_and_close(handler: Any, _: bytes) -> None:
    """http.client lets go of its socket, and reads to the connection's end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [hang, drip, drip_body, drip_and_close])
def test_a_metadata_service_that_does_not_come_to_an_end(answer: Any) -> None:
    """It never answers, and is left alone: without the limit of 0.3 s this test would wait for ever."""
    with serving(answer) as url, pytest.raises(CredentialsError, match=r"no answer within 0\.3 s"):
        CvmRoleCredentials("r", endpoint=url, seconds=0.3, timeout=PATIENCE, attempts=1).get()


def test_hosts_of_many_addresses_take_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is a listener that takes nobody."""
    with contextlib.ExitStack() as stack:
        addresses = []
        for _ in range(4):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            addresses.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname()))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        timeouts: list[float] = []
        connect = socket.socket.connect

        class Watched(socket.socket):
            def connect(self, address: Any) -> None:
                timeouts.append(self.gettimeout() or 0)
                connect(self, address)

        monkeypatch.setattr(socket, "socket", Watched)
        with pytest.raises(CredentialsError, match=r"no answer within 0\.4 s"):
            send_request("http://metadata.example/", 0.4, headers={}, proxies=False)
    assert len(timeouts) == 4
    assert sum(timeouts) <= 0.41


def test_an_answer_that_was_cut_off() -> None:
    def answer(handler: Any, _: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nmy-r")

    with serving(answer) as url, pytest.raises(CredentialsError, match="IncompleteRead"):
        CvmRoleCredentials(endpoint=url, attempts=1, seconds=PATIENCE).get()


def test_no_role_and_no_service() -> None:
    with serving(lambda *_: (404, b"", {})) as url, pytest.raises(CredentialsNotFound, match="has no role 'r'"):
        CvmRoleCredentials("r", endpoint=url).get()
    with serving(lambda *_: (200, b"", {})) as url, pytest.raises(CredentialsNotFound, match="has no role"):
        CvmRoleCredentials(endpoint=url).get()
    with pytest.raises(CredentialsNotFound, match="there is no such host"):
        CvmRoleCredentials(endpoint="http://metadata.invalid").get()
    with serving(lambda *_: (404, b"", {})) as url:
        pass
    with pytest.raises(CredentialsError, match="Connection refused"):
        CvmRoleCredentials(endpoint=url, attempts=1).get()


def test_the_metadata_service_is_not_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(lambda handler, _: (200, json.dumps(role()).encode(), {})) as url:
        assert CvmRoleCredentials("r", endpoint=url).get().secret_id == "AKIDrole"


def test_a_failing_service_is_asked_again() -> None:
    answers = iter([(500, b"", {}), (200, b"?", {}), (200, json.dumps(role()).encode(), {})])
    with serving(lambda *_: next(answers)) as url:
        assert CvmRoleCredentials("r", endpoint=url).get().secret_id == "AKIDrole"


# --- STS


LONG = Credentials("AKIDlong", "hiddenlong")
POLICY = {"version": "2.0", "statement": [{"effect": "allow", "action": ["name/cos:GetObject"], "resource": "*"}]}


def sts_answer(**more: Any) -> bytes:
    return json.dumps({
        "Response": {
            "Credentials": {"Token": "hidden2", "TmpSecretId": "AKIDtmp", "TmpSecretKey": "hidden"},
            "ExpiredTime": IN_2100, "Expiration": "2030-01-01T00:00:00Z", "RequestId": "r", **more,
        }
    }).encode()  # fmt: skip


def officially_signed(handler: Any, body: bytes, secret_key: str) -> bool:
    """Whether a request is signed as tencentcloud-sdk-python's own signer signs it."""
    timestamp = handler.headers["X-TC-Timestamp"]
    date = time.strftime("%Y-%m-%d", time.gmtime(int(timestamp)))
    request = (
        f"POST\n/\n\ncontent-type:{handler.headers['Content-Type']}\nhost:{handler.headers['Host']}\n\n"
        f"content-type;host\n{hashlib.sha256(body).hexdigest()}"
    )
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{date}/sts/tc3_request\n{digest}"
    return bool(handler.headers["Authorization"].endswith("Signature=" + Sign.sign_tc3(secret_key, date, "sts", text)))


@pytest.mark.parametrize(
    "named, action, asked",
    [
        ({"policy": POLICY, "duration": 900}, "GetFederationToken", {"Name": "cossign", "DurationSeconds": 900}),
        ({"policy": json.dumps(POLICY), "name": "me"}, "GetFederationToken", {"Name": "me", "DurationSeconds": 1800}),
        ({"role_arn": "qcs::r", "external_id": "x"}, "AssumeRole", {"RoleArn": "qcs::r", "RoleSessionName": "cossign", "ExternalId": "x", "DurationSeconds": 1800}),
        ({"role_arn": "qcs::r", "policy": POLICY}, "AssumeRole", {"RoleArn": "qcs::r", "RoleSessionName": "cossign", "DurationSeconds": 1800}),
    ],
)  # fmt: skip
def test_sts_is_asked_as_its_pages_say(named: Any, action: str, asked: dict[str, Any]) -> None:
    seen: list[Any] = []

    def answer(handler: Any, body: bytes) -> Answer:
        seen.append((handler.headers, json.loads(body)))
        assert officially_signed(handler, body, "hiddenlong")
        return 200, sts_answer(), {}

    with serving(answer) as url:
        found = StsCredentials(LONG, endpoint=url, **named).get()
    assert (found.secret_id, found.secret_key, found.token) == ("AKIDtmp", "hidden", "hidden2")
    [(headers, sent)] = seen
    assert headers["X-TC-Action"] == action
    assert headers["X-TC-Version"] == "2018-08-13"
    assert headers["X-TC-Region"] == "ap-guangzhou"
    if "policy" in named:
        assert json.loads(unquote(sent.pop("Policy"))) == POLICY
    assert sent == asked
    assert "hiddenlong" not in str(headers.items()) + str(sent)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")  # the official SDK's own
def test_our_authorization_is_that_of_the_official_sdk() -> None:
    """The official client sends a call to a server here; we sign the same call."""
    seen: list[Any] = []

    def answer(handler: Any, body: bytes) -> Answer:
        seen.append((handler.headers, body))
        return 200, sts_answer(), {"Content-Type": "application/json"}

    with serving(answer) as url:
        host = url.removeprefix("http://")
        profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=host))
        for secret_key, token in (("hiddenlong", None), ("other", "tok")):
            client = CommonClient(
                "sts", "2018-08-13", Credential("AKIDlong", secret_key, token), "ap-guangzhou", profile
            )
            client.call_json("AssumeRole", {"RoleArn": "腾讯云 ?&=", "RoleSessionName": "s"})
            headers, body = seen[-1]
            ours = tc3_authorization(
                Credentials("AKIDlong", secret_key), "sts", headers["Host"], body, int(headers["X-TC-Timestamp"])
            )
            assert headers["Authorization"] == ours
            assert headers["Content-Type"] == "application/json"


def test_https_as_sts_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(lambda *_: (200, sts_answer(), {}), authority) as url:
        sts = StsCredentials(LONG, policy=POLICY, endpoint=url, attempts=1)
        with pytest.raises(
            CredentialsError, match=r"https://localhost:\d+: .*CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError"
        ):
            sts.get()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert StsCredentials(LONG, policy=POLICY, endpoint=url).get().secret_id == "AKIDtmp"
    for badly in (drip, drip_body, hang):
        with serving(badly, authority) as url, pytest.raises(CredentialsError, match=r"no answer within 0\.3 s"):
            StsCredentials(LONG, policy=POLICY, endpoint=url, seconds=0.3, timeout=PATIENCE, attempts=1).get()


def test_sts_is_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def answer(handler: Any, body: bytes) -> Answer:
        seen.append((handler.path, handler.headers["Host"]))
        return 200, sts_answer(), {}

    with serving(answer) as url:
        monkeypatch.setenv("http_proxy", url)
        found = StsCredentials(LONG, policy=POLICY, endpoint="http://sts.invalid").get()
    assert found.secret_id == "AKIDtmp"
    assert seen == [("http://sts.invalid/", "sts.invalid")]


@pytest.mark.parametrize(
    "proxy",
    ["https://u:hidden@127.0.0.1:9", "socks5://u:hidden@127.0.0.1:9", "http://u:hidden@127.0.0.1:x1", "ftp://h"],
)
def test_a_proxy_of_another_kind_is_refused(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its password would go over the wire as it is."""
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(CredentialsError, match="the environment's proxy for http must be http://HOST:PORT") as caught:
        StsCredentials(LONG, policy=POLICY, endpoint="http://sts.invalid", attempts=1).get()
    assert "hidden" not in str(caught.value)


def test_what_a_proxy_does_wrong_is_said_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda *_: (407, b"", {})) as url:
        monkeypatch.setenv("https_proxy", url.replace("://", "://user:hidden@"))
        with pytest.raises(CredentialsError, match=rf"https://sts\.invalid by the proxy {url[7:]}: ") as caught:
            StsCredentials(LONG, policy=POLICY, endpoint="sts.invalid", attempts=1).get()
        assert "hidden" not in str(caught.value)
    with pytest.raises(CredentialsError, match=r"by the proxy 127\.0\.0\.1:[0-9]+: Connection refused"):
        StsCredentials(LONG, policy=POLICY, endpoint="sts.invalid", attempts=1).get()


def test_https_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONNECT, with the proxy's password for the proxy alone."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    seen: list[Any] = []

    def answer(handler: Any, _: bytes) -> Answer:
        seen.append((handler.path, handler.headers["Proxy-Authorization"]))
        return 200, sts_answer(), {}

    with serving(answer, authority) as url, socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.getsockname()[1]}")
        heads: list[bytes] = []

        def tunnel() -> None:
            client, _ = proxy.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            heads.append(head)
            server = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            both = [client, server]
            while True:
                for each in select.select(both, [], [], PATIENCE)[0]:
                    data = each.recv(65536)
                    if not data:
                        client.close()
                        server.close()
                        return
                    both[1 - both.index(each)].sendall(data)

        thread = threading.Thread(target=tunnel, daemon=True)
        thread.start()
        assert StsCredentials(LONG, policy=POLICY, endpoint=url).get().secret_id == "AKIDtmp"
        thread.join(PATIENCE)
    assert heads[0].startswith(b"CONNECT localhost:")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in heads[0]
    assert seen == [("/", None)]


def test_a_name_service_that_fails_is_no_absence(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and no other identity signs meanwhile."""
    names: list[str] = []

    def fail(host: str, *_: Any, **__: Any) -> Any:
        names.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    for provider in (WebIdentityCredentials(), StsCredentials(LONG, policy=POLICY)):
        with pytest.raises(CredentialsError, match="there is no such host") as caught:
            provider.get()
        assert not isinstance(caught.value, CredentialsNotFound)
    assert len(names) == 6


def test_temporary_credentials_may_ask_for_a_role() -> None:
    tokens = []

    def answer(handler: Any, body: bytes) -> Answer:
        tokens.append(handler.headers["X-TC-Token"])
        return 200, sts_answer(), {}

    with serving(answer) as url:
        StsCredentials(Credentials("A", "k", "lent"), role_arn="r", endpoint=url).get()
    assert tokens == ["lent"]


def failing(code: str) -> bytes:
    return json.dumps({"Response": {"Error": {"Code": code, "Message": "why"}, "RequestId": "id"}}).encode()


def test_sts_says_no() -> None:
    calls = []

    def answer(handler: Any, body: bytes) -> Answer:
        calls.append(1)
        return 200, failing("AuthFailure.SecretIdNotFound"), {}

    said = r"STS: the answer is an error: AuthFailure.SecretIdNotFound: why \(RequestId id\)"
    with serving(answer) as url, pytest.raises(CredentialsError, match=said):
        StsCredentials(LONG, policy=POLICY, endpoint=url).get()
    assert len(calls) == 1  # asking again changes nothing


def test_sts_is_busy() -> None:
    answers = iter(
        [(200, failing("RequestLimitExceeded"), {}), (200, failing("InternalError"), {}), (200, sts_answer(), {})]
    )
    with serving(lambda *_: next(answers)) as url:
        assert StsCredentials(LONG, policy=POLICY, endpoint=url).get().secret_id == "AKIDtmp"


@pytest.mark.parametrize(
    "body", [b"", b"null", b'{"Response": 5}', b'{"Response": {}}', b'{"Response": {"Credentials": []}}']
)
def test_sts_answers_garbage(body: bytes) -> None:
    with serving(lambda *_: (200, body, {})) as url, pytest.raises(CredentialsError, match=r"STS|the answer"):
        StsCredentials(LONG, policy=POLICY, endpoint=url, attempts=1).get()


def test_a_wrong_clock_learns_from_sts() -> None:
    def answer(handler: Any, body: bytes) -> Answer:
        right = abs(int(handler.headers["X-TC-Timestamp"]) - time.time()) < 300
        body = sts_answer() if right else failing("AuthFailure.SignatureExpire")
        return 200, body, {"Date": formatdate(usegmt=True)}

    with serving(answer) as url:
        clock = Clock(-4000)
        found = StsCredentials(LONG, policy=POLICY, endpoint=url, clock=clock).get()
        assert found.secret_id == "AKIDtmp"
        assert abs(clock.offset) < 3

        class Fast(Clock):  # one that nobody asked to learn
            def learn(self, date: str, *, within: float = 0) -> float:
                return self.offset

        with pytest.raises(CredentialsError, match="SignatureExpire"):
            StsCredentials(LONG, policy=POLICY, endpoint=url, clock=Fast(-4000)).get()


def test_a_slow_answer_is_not_taken_for_a_wrong_clock() -> None:
    """Its Date is as old as the answer took."""
    clock = Clock()
    for seconds, within, is_learnt in ((-4, 0, True), (-4, 3, False), (4, 3, True), (-9, 3, True)):
        clock.offset = 0
        clock.learn(formatdate(time.time() + seconds, usegmt=True), within=within)
        assert (abs(clock.offset) > 1) == is_learnt, (seconds, within)


@pytest.mark.parametrize("name, value", [("region", ""), ("region", 5), ("name", ""), ("role_arn", 5)])
def test_texts_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"{name} must be a str, and not empty"):
        StsCredentials(LONG, **{"policy": POLICY, name: value})
    with pytest.raises(ParameterError, match=f"{name} must be a str, and not empty"):
        WebIdentityCredentials(**{name: value})


def test_a_policy_is_copied() -> None:
    policy = copy.deepcopy(POLICY)
    provider = StsCredentials(EnvironmentCredentials(), policy=MappingProxyType(policy))
    policy["version"] = "1.0"
    assert '"version": "2.0"' in str(pickle.loads(pickle.dumps(provider))._options["policy"])


# --- TKE's OIDC


TKE = {
    "TKE_REGION": "ap-beijing",
    "TKE_PROVIDER_ID": "tke",
    "TKE_ROLE_ARN": "qcs::cam::uin/100000000001:roleName/r",
    "TKE_WEB_IDENTITY_TOKEN_FILE": "",
}


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a pod; the file that holds its token."""
    token_file = tmp_path / "token"
    token_file.write_text("hidden.web.token")
    for name, value in {**TKE, "TKE_WEB_IDENTITY_TOKEN_FILE": str(token_file)}.items():
        monkeypatch.setenv(name, value)
    return token_file


def test_outside_a_pod_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every default chain asks it first."""
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread is started"))
    with pytest.raises(CredentialsNotFound, match="not a pod of TKE"):
        WebIdentityCredentials().get()


def test_a_pod_asks_as_the_official_provider_does(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ask the same server: the same action, fields and headers, and no signature."""
    seen: list[Any] = []

    def answer(handler: Any, body: bytes) -> Answer:
        fields = json.loads(body)
        assert fields.pop("RoleSessionName")
        names = ("Authorization", "Content-Type", "X-TC-Action", "X-TC-Region", "X-TC-Version")
        seen.append((handler.command, handler.path, fields, {name: handler.headers[name] for name in names}))
        return 200, sts_answer(ExpiredTime=IN_2100), {"Content-Type": "application/json"}

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(pod.with_name("ca.pem")))
    monkeypatch.setenv("SSL_CERT_FILE", str(pod.with_name("ca.pem")))
    monkeypatch.setattr("certifi.where", lambda: str(pod.with_name("ca.pem")))  # the official client's authorities
    with serving(answer, authority) as url:
        official = DefaultTkeOIDCRoleArnProvider().get_credential()
        official.endpoint = url.removeprefix("https://")
        official.refresh()
        found = WebIdentityCredentials(endpoint=url.removeprefix("https://")).get()
    assert official.get_credential_info() == (found.secret_id, found.secret_key, found.token)
    assert found.expires_at == IN_2100
    assert seen[0] == seen[1]
    assert seen[1][2]["WebIdentityToken"] == "hidden.web.token"
    assert seen[1][3]["Authorization"] == "SKIP"


def test_the_token_is_read_at_each_call(pod: Path) -> None:
    tokens: list[str] = []

    def answer(handler: Any, body: bytes) -> Answer:
        tokens.append(json.loads(body)["WebIdentityToken"])
        return 200, sts_answer(ExpiredTime=int(time.time()) + 600), {}

    with serving(answer) as url:
        provider = WebIdentityCredentials(endpoint=url)
        provider.get()
        pod.write_text("another\n")
        provider._state = provider._state._replace(credentials=None, expires_at=0, renew_at=0)
        provider.get()
    assert tokens == ["hidden.web.token", "another"]
    assert "hidden" not in repr(vars(provider))
    assert pickle.loads(pickle.dumps(provider))._options == provider._options


def test_what_a_pod_lacks_is_named(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TKE:
        with monkeypatch.context() as patch:
            patch.delenv(name)
            with pytest.raises(CredentialsError, match=f"{name} is not set, but others") as caught:
                WebIdentityCredentials().get()
            assert not isinstance(caught.value, CredentialsNotFound)
    pod.write_text('"hidden"')
    with pytest.raises(CredentialsError, match=r"the token in .*token begins or ends with a quote") as caught:
        WebIdentityCredentials(attempts=1).get()
    assert "hidden" not in str(caught.value)
    pod.write_bytes(b"\xff")
    with pytest.raises(CredentialsError, match="token: is not UTF-8"):
        WebIdentityCredentials(attempts=1).get()
    pod.unlink()
    with pytest.raises(CredentialsError, match="token: No such file"):
        WebIdentityCredentials(attempts=1).get()
    for name in TKE:
        if name != "TKE_REGION":
            monkeypatch.delenv(name)
    with pytest.raises(CredentialsNotFound, match="not a pod of TKE with a role"):
        WebIdentityCredentials().get()
    with pytest.raises(CredentialsNotFound, match="not a pod of TKE"):
        asyncio.run(WebIdentityCredentials().get_async())
    with pytest.raises(ParameterError, match="duration"):
        WebIdentityCredentials(duration=0)
    with pytest.raises(CredentialsError, match="TKE_PROVIDER_ID, TKE_WEB_IDENTITY_TOKEN_FILE are not set"):
        WebIdentityCredentials(role_arn="r").get()


def test_sts_refuses_a_pod(pod: Path) -> None:
    with serving(lambda *_: (200, failing("InvalidParameter.WebIdentityTokenError"), {})) as url:
        with pytest.raises(CredentialsError, match=r"STS: .*WebIdentityTokenError: why") as caught:
            WebIdentityCredentials(endpoint=url).get()
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "made, said",
    [
        (lambda: CvmRoleCredentials("a/b"), "role"), (lambda: CvmRoleCredentials(endpoint="metadata"), "endpoint"), (lambda: StsCredentials(LONG, policy=POLICY, endpoint="https://u:hidden@h"), "endpoint must be a host or a URL, without a user"),
        (lambda: StsCredentials(LONG, policy=POLICY, endpoint=""), "endpoint"), (lambda: WebIdentityCredentials(endpoint="ftp://h"), "endpoint"), (lambda: StsCredentials(LONG, role_arn=""), "role_arn"), (lambda: StsCredentials(LONG, policy=POLICY, name=5), "name"),
        (lambda: StsCredentials(LONG, policy=POLICY, seconds="2"), "seconds"), (lambda: CvmRoleCredentials(seconds=0), "seconds"), (lambda: WebIdentityCredentials(seconds=True), "seconds"), (lambda: CvmRoleCredentials(timeout=float("inf")), "timeout"),
        (lambda: CvmRoleCredentials(attempts=1.5), "attempts"), (lambda: StsCredentials(LONG), "policy is required"),
        (lambda: StsCredentials({}, policy=POLICY), "source"), (lambda: StsCredentials(LONG, policy="{"), "policy must be JSON"), (lambda: StsCredentials(LONG, policy=POLICY, duration=0), "duration"),
        (lambda: StsCredentials(LONG, policy=POLICY, duration=True), "duration"), (lambda: StsCredentials(LONG, policy=POLICY, attempts=0), "attempts"),
    ],
)  # fmt: skip
def test_parameters_are_checked(made: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        made()


def test_pickles_and_reprs() -> None:
    with serving(lambda *_: (200, json.dumps(role()).encode(), {})) as url:
        provider = CvmRoleCredentials("r", endpoint=url, refresh_before=60)
        provider.get()
        assert b"hidden" not in pickle.dumps(provider)
        again = pickle.loads(pickle.dumps(provider))
        assert again.get().secret_id == "AKIDrole"
        assert again._refresh_before == 60
        assert "hidden" not in repr(provider) + repr(vars(provider))
    sts = StsCredentials(EnvironmentCredentials(), role_arn="r", duration=3600)
    assert pickle.loads(pickle.dumps(sts))._body == sts._body
    with pytest.raises(TypeError, match="leaked secret"):
        pickle.dumps(StsCredentials(LONG, policy=POLICY))
    assert "hidden" not in repr(vars(StsCredentials(LONG, policy=POLICY)))

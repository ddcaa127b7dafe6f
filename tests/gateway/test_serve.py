"""`cossign serve` as its user runs it: start, reload, stop, each server; and the gateway inside other applications."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cossign import Credentials, Signer
from cossign.cli import main
from cossign.gateway import serve
from cossign.gateway.config import load
from cossign.integrations.starlette import verify_cos_signature
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.gateway.serving import ALICE, POLICY, SERVERS, Client, children, head, request, serving
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parent.parent.parent
SIGNER = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region="ap-beijing")


def test_check_says_what_would_be_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["serve", "--config", str(ROOT / "docs" / "gateway.toml"), "--check"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"cossign: \d.* serves /img/ -> \S+/photos/, /up/ -> \S+/uploads/ for shop, anyone on http://\S+ .*", line
    )
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "wrong.toml").write_text("workers = 0\nlisten = 5\n")
    assert main(["serve", "--config", str(tmp_path / "wrong.toml")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("wrong.toml")[2].partition(": ")[0] for line in said] == ["", ":1", ":2"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    blocker = tmp_path / "pydantic.py"
    blocker.write_text("raise ModuleNotFoundError(\"No module named 'pydantic'\", name='pydantic')")
    done = subprocess.run(
        [sys.executable, "-m", "cossign", "serve", "--config", "x"], env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        "cossign: serve needs pydantic: pip install granian prometheus-client pydantic\n",
    )


def test_it_says_on_one_line_what_it_serves(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "gateway.toml").read_text().replace("127.0.0.1:8080", "127.0.0.1:0")
    with serving(
        tmp_path / "gateway.toml", text.replace("workers = 2", "").replace('access_log = "-" ', "#")
    ) as served:
        [line] = served.said
        assert line.startswith("cossign: 0.")
        assert f"http://127.0.0.1:{served.port} (1 worker)" in line
        assert request(served.port, "GET", "/img/public/a")[0] == 302
        assert request(served.port, "GET", "/img/a", {"Authorization": "Bearer example-token"})[0] == 302


@pytest.mark.parametrize("server", SERVERS)
def test_every_server_answers_alike(server: str, tmp_path: Path) -> None:
    """`cossign serve`, and servers that run the ASGI application themselves."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    workers = 2 if server == "cossign" else 1  # other servers' workers share no counters
    with serving(tmp_path / "gateway.toml", POLICY, server, workers, TMPDIR=str(temporary)) as served:
        status, headers, body = request(served.port, "GET", "/img/alice/a%20b%2Fc", ALICE)
        assert (status, body) == (302, b"")
        assert SIGNER.verify(headers["location"]).key == "photos/alice/a b/c"
        assert request(served.port, "HEAD", "/img/alice/a", ALICE)[0] == 302
        status, headers, body = request(served.port, "HEAD", "/img/bob/a", ALICE)
        assert (status, body, headers["x-cossign-reason"]) == (403, b"", "prefix")
        put = request(served.port, "PUT", "/up/alice/a", ALICE, b"some content that is not read")
        assert put[0] == 307
        assert SIGNER.verify(put[1]["location"], method="PUT").key == "uploads/alice/a"
        assert request(served.port, "GET", "/healthz")[0] == 200
        assert request(served.port, "GET", "/readyz")[0] == 200
        assert request(served.port, "GET", "/img/alice/" + "a" * 7000, ALICE)[0] in (400, 414)
        keep = Client(served.port)
        assert [keep.send(head("GET", "/img/alice/a", ALICE))[0] for _ in range(100)] == [302] * 100
        keep.close()
        counted = served.metrics()
        assert counted['cossign_requests_total{endpoint="redirect",result="ok",route="img"}'] >= 102
        assert counted['cossign_requests_total{endpoint="redirect",result="ok",route="up"}'] == 1  # of both workers
        served.process.terminate()
        # uvicorn ends by the signal that stops it
        assert served.process.wait(PATIENCE) in ((0, -signal.SIGTERM) if server == "uvicorn" else (0,))
    assert list(temporary.iterdir()) == []


def test_reload_drops_no_request_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    one, two = (POLICY.replace("photos/public/", f"photos/{name}/") for name in ("one", "two"))
    with serving(tmp_path / "gateway.toml", one, workers=2) as served:
        statuses: list[tuple[float, str, int]] = []
        ended = threading.Event()

        def ask() -> None:
            client = Client(served.port)
            while not ended.is_set():
                for name in ("one", "two"):
                    statuses.append((time.monotonic(), name, client.send(head("GET", f"/img/{name}/a"))[0]))
            client.close()

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        try:
            until(lambda: len(statuses) > 20, "answers by the first policy")
            before = {(name, status) for _, name, status in list(statuses)}
            served.reload("workers = 2\n" + two, "reloaded")
            until(
                lambda: {request(served.port, "GET", "/img/two/a")[0] for _ in range(50)} == {302}, "the second policy"
            )
            changed = time.monotonic()
            served.reload("listen = 5", "refused, the old one stays")
            served.reload("listen = " + "[" * 3000, "refused, the old one stays")
            served.says("gateway.toml:1: listen: must be HOST:PORT")
            served.reload(one.replace("ap-beijing", "ap_beijing"), "refused, the old one stays")
            served.says("route[1].region")
            count = len(statuses)
            until(lambda: len(statuses) > count + 20, "answers after the refused reloads")
        finally:
            ended.set()
            for thread in asking:
                thread.join()
        assert {status for _, _, status in statuses} == {302, 403}
        after = {(name, status) for at, name, status in statuses if at > changed}
        assert before == {("one", 302), ("two", 403)}
        assert after == {("one", 403), ("two", 302)}
        counted = served.metrics()
        assert counted["cossign_reloads_total"] in (1, 2)  # a worker that began late began with the second policy
        assert counted["cossign_refused_reloads_total"] == 3
        served.reload("workers = 1\n" + two, "a change of workers needs a restart")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_ends_what_was_begun(end: signal.Signals, tmp_path: Path) -> None:
    """A bulk request is under way when the process is told to stop."""
    with serving(tmp_path / "gateway.toml", POLICY) as served:
        begun = threading.Event()
        answers: list[Any] = []

        def rows() -> Any:
            yield b"photos/alice/1\n" * 50_000
            begun.set()
            time.sleep(1)
            yield b"photos/alice/2\n"

        def post() -> None:
            answers.append(
                httpx.post(
                    f"http://127.0.0.1:{served.port}/presign?route=img", content=rows(), headers=ALICE, timeout=PATIENCE
                )
            )

        posting = threading.Thread(target=post)
        posting.start()
        assert begun.wait(PATIENCE)
        time.sleep(0.3)
        served.process.send_signal(end)
        posting.join(PATIENCE)
        lines = answers[0].text.splitlines()
        assert (answers[0].status_code, len(lines)) == (200, 50_001)
        assert SIGNER.verify(lines[-1]).key == "photos/alice/2"
        assert served.process.wait(PATIENCE) == 0


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    text = POLICY.replace("127.0.0.1:0", f"unix:{path}").replace(
        'trusted_proxies = ["127.0.0.2"]', 'trusted_proxies = ["unix"]'
    )
    (tmp_path / "gateway.toml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "cossign", "serve", "--config", str(tmp_path / "gateway.toml")],
        env={**os.environ, "COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY, "CAROLS_KEY": "k"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert f"on unix:{path}" in process.stderr.readline()
        until(path.exists, "the socket")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path), retries=5)) as client:
            answer = client.get(
                "http://gw.example.com/authorize",
                headers={**ALICE, "X-Original-URI": "/img/alice/a", "X-Original-Method": "GET"},
            )
            assert (answer.status_code, answer.headers["x-cossign-caller"]) == (204, "alice")
            assert client.get("http://gw.example.com/metrics").status_code == 200
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stderr.close()


def test_an_address_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"
    for kind, address in ((socket.AF_INET, "127.0.0.1:0"), (socket.AF_UNIX, f"unix:{path}")):
        with socket.socket(kind) as taken:
            taken.bind(("127.0.0.1", 0) if kind == socket.AF_INET else str(path))
            taken.listen()
            listen = address.replace(":0", f":{taken.getsockname()[1]}") if kind == socket.AF_INET else address
            text = (ROOT / "docs" / "gateway.toml").read_text().replace("127.0.0.1:8080", listen)
            (tmp_path / "gateway.toml").write_text(text)
            assert main(["serve", "--config", str(tmp_path / "gateway.toml")]) == 2
            assert capsys.readouterr().err == f"cossign: {listen}: Address already in use\n"
    other = tmp_path / "file"
    other.write_text("somebody's")
    (tmp_path / "gateway.toml").write_text(text.replace(str(path), str(other)))
    assert main(["serve", "--config", str(tmp_path / "gateway.toml")]) == 2
    assert (capsys.readouterr().err, other.read_text()) == (
        f"cossign: unix:{other}: Address already in use\n",
        "somebody's",
    )
    assert path.exists()  # nobody listens at it any more: the next one takes its place
    text = POLICY.replace("127.0.0.1:0", f"unix:{path}")
    (tmp_path / "gateway.toml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "cossign", "serve", "--config", str(tmp_path / "gateway.toml")],
        env={**os.environ, "COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY, "CAROLS_KEY": "k"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        assert "serves" in process.stderr.readline()
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    bundle = tmp_path / "bundle.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(bundle))
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.configure_trust(context)
    policy = f'tls = {{ certificate = "{bundle}", key = "{bundle}" }}\n' + POLICY
    with serving(tmp_path / "gateway.toml", policy) as served:
        assert f"https://127.0.0.1:{served.port}" in served.says("serves")
        with httpx.Client(verify=context) as client:
            assert client.get(f"https://127.0.0.1:{served.port}/img/public/a").status_code == 302
        served.reload(POLICY, "warning: a change of tls needs a restart")
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as silent:
            assert silent.recv(1) == b""  # no handshake


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_die_are_replaced(tmp_path: Path, workers: int) -> None:
    """As often as they do: granian alone ends at the second death within seconds."""
    with serving(tmp_path / "gateway.toml", "graceful_timeout = 3\n" + POLICY, workers=workers) as served:
        for _ in range(4):
            until(lambda: len(children(served)) == workers, "all workers")
            before = children(served)
            for child in before:
                os.kill(child, signal.SIGKILL)
            until(lambda before=before: len(children(served) - before) == workers, "others")  # type: ignore[misc]
        until(lambda: {request(served.port, "GET", "/img/public/a")[0] for _ in range(20)} == {302}, "answers")
        assert "it is started again in" in "".join(served.said)
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
def test_workers_end_when_the_first_process_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "gateway.toml", POLICY, workers=2) as served:
        workers = children(served)
        maps = Path(f"/proc/{min(workers)}/maps").read_text().splitlines()
        directory = Path(next(line.split()[-1] for line in maps if line.endswith("/board"))).parent
        served.process.kill()
        until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), "the workers' end")
        assert not directory.exists()
        served.says("the first process was killed: its workers end, too")


@pytest.mark.parametrize(
    "limits, count",
    [((1024, 524288), 4096), ((1024, 1024), 768), ((100, 200), 64), ((-1, -1), 4096), ((100_000, -1), 4096)],
)
def test_as_many_connections_as_files_may_be_open(
    limits: tuple[int, int], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    now = [limits]
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: now[0])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: now.append(new))
    assert serve._connections() == count
    if len(now) > 1:
        assert count <= max(64, now[-1][0] - 256)
        assert now[-1][1] == limits[1]


def test_what_granian_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own defaults let idle connections keep others out."""
    named: dict[str, Any] = {}

    class Server:
        def __init__(self, target: str, **options: Any) -> None:
            named.update(options)

        def serve(self) -> None:
            pass

    monkeypatch.setattr("granian.server.Server", Server)
    (tmp_path / "gateway.toml").write_text("workers = 16\n" + POLICY.replace("127.0.0.1:0", "127.0.0.1:1"))
    serve.run(load(tmp_path / "gateway.toml"), "nothing")
    assert named["backpressure"] == serve._connections() > 1024 // 16
    assert named["http"].value == "1"
    assert named["http1_settings"].header_read_timeout == 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_descriptors_that_are_closed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    names = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "listdir", lambda path: [*names, "999999"])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        names.append(str(listening.fileno()))
        assert serve._limit_unread_answers()
        timeout = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert timeout == serve._UNREAD_TIMEOUT * 1000


def test_the_pause_before_a_worker_is_started_again_grows() -> None:
    assert [serve._pause(deaths) for deaths in (1, 2, 3, 4, 5, 6, 1000)] == [0, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_slow_and_broken_clients_hold_up_nobody(tmp_path: Path) -> None:
    with serving(tmp_path / "gateway.toml", POLICY) as served:
        held = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(200)]
        for number, connection in enumerate(held):
            connection.sendall(
                b"GET /img/public/a HTTP/1.1\r\nHost: x\r\n" + (b"X-A: " + b"a" * number if number % 2 else b"")
            )
        assert [request(served.port, "GET", "/img/public/a")[0] for _ in range(100)] == [302] * 100
        for size, status in ((30_000, 302), (100_000, 431), (1_000_000, 431)):
            assert request(served.port, "GET", "/img/public/a", {"X-Large": "a" * size})[0] in (status, 0)
        held[0].settimeout(PATIENCE)
        ended = held[0].recv(1000)  # the server gives up on a head that does not come
        assert ended == b"" or ended.startswith(b"HTTP/1.1 4")
        for connection in held:
            connection.close()


@pytest.mark.parametrize("door", ["/presign?route=img", "/sdk/authorization", "/sdk/credentials"])
def test_chunks_of_wrong_sizes(tmp_path: Path, door: str) -> None:
    with serving(tmp_path / "gateway.toml", POLICY) as served:
        for size in (b"zz", b"-1", b"F" * 17):
            whole_head = head("POST", door, {**ALICE, "Transfer-Encoding": "chunked"})
            with contextlib.closing(Client(served.port)) as client:
                status, _, body = client.send(whole_head + size + b"\r\na\r\n", "POST")
            assert (status, json.loads(body)["error"]) == (400, "gone"), size


def test_idle_connections_hold_up_nobody(tmp_path: Path) -> None:
    """granian alone waits for their first byte without end, and takes no more than 1,024 of them."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("a process may not open 2,000 files here (ulimit -n)")
    if soft != resource.RLIM_INFINITY and soft < 2000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, hard))
    with serving(tmp_path / "gateway.toml", POLICY) as served, contextlib.ExitStack() as held:
        connections = [
            held.enter_context(socket.create_connection(("127.0.0.1", served.port), PATIENCE)) for _ in range(1500)
        ]
        assert request(served.port, "GET", "/img/public/a")[0] == 302
        connections[0].settimeout(PATIENCE)
        assert connections[0].recv(1) == b""
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert connection.recv(1000) in (b"", b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_a_client_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "gateway.toml", POLICY) as served,
        socket.create_connection(("127.0.0.1", served.port), PATIENCE + serve._UNREAD_TIMEOUT) as connection,
        pytest.raises(ConnectionResetError),
    ):
        connection.sendall(head("GET", "/img/public/a", {}) * 400_000)


# --- In other applications


def embedded() -> dict[str, Any]:
    """The names that the page's first Python example makes."""
    names: dict[str, Any] = {"__name__": "docs"}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "gateway.md").read_text(), re.S)
    exec(compile("\n".join(blocks[:3]), "gateway.md", "exec"), names)
    return names


class AppClient:
    """A client of an ASGI application."""

    def __init__(self, app: Any, host: str) -> None:
        self._app = app
        self._base = f"https://{host}"

    def get(self, url: str, headers: Any = None) -> httpx.Response:
        async def got() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url=self._base) as client:
                return await client.get(url, headers=headers)

        return asyncio.run(got())


def test_the_pages_example_in_fastapi() -> None:
    names = embedded()
    client = AppClient(names["app"], names["caller"].host)
    answer = client.get("/objects/public/a%20b")
    assert answer.status_code == 302
    assert SIGNER.verify(answer.headers["location"]).key == "public/a b"
    assert client.get("/objects/private/a").status_code == 403
    assert client.get("/objects/public/%2e%2e/a").status_code == 400
    signed = names["caller"].presign("files/a b", expires=600)
    assert client.get(signed).json() == {"key": "files/a b", "caller": SECRET_ID}
    authorization = names["caller"].authorization("GET", "files/a", expires=600)
    assert client.get("/files/a", headers={"Authorization": authorization}).json()["key"] == "files/a"
    for url, status, kind in (
        (signed.replace("a%20b", "b"), 401, "SignatureMismatch"),
        (names["caller"].presign("files/a", expires=3601), 403, "SignatureRefused"),
        (names["caller"].presign("files/a", key_time=(1, 2)), 401, "SignatureExpired"),
        (
            Signer(Credentials("AKIDx", "k"), domain=f"https://{names['caller'].host}").presign("files/a"),
            401,
            "UnknownSecretId",
        ),
        ("/files/a", 401, "MalformedSignature"),
    ):
        answer = client.get(url)
        assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (status, kind)
        assert SECRET_KEY not in answer.text


def test_the_dependency_in_starlette_wants_host_to_be_signed() -> None:
    check = verify_cos_signature(SIGNER)

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await check(request)).key)

    app = Starlette(routes=[Route("/{key:path}", page)])
    client = AppClient(app, str(SIGNER.host))
    assert client.get(SIGNER.presign("a/ä", query={"x": "1 2"})).text == "a/ä"
    bare = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region="ap-beijing", sign_host=False)
    assert client.get(bare.presign("a")).status_code == 403
    assert client.get("/a", headers={"Authorization": "x"}).status_code == 401


def test_whatever_a_reload_meets_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(POLICY.replace("127.0.0.1:0", "127.0.0.1:1"))
    monkeypatch.setenv("CAROLS_KEY", "k")
    master = serve._Master(str(path), serve.load_usable_config(str(path)), str(tmp_path))

    def fail(path: str) -> None:
        raise RuntimeError("nobody thought of this")

    with monkeypatch.context() as patch:
        patch.setattr(serve, "load_usable_config", fail)
        master.reload()
    assert "refused, the old one stays:\nRuntimeError: nobody thought of this" in capsys.readouterr().err
    master.reload()
    assert "reloaded" in capsys.readouterr().err


def test_a_log_is_opened_again_by_a_reload(tmp_path: Path) -> None:
    log, old_log = tmp_path / "access.log", tmp_path / "old.log"
    policy = f'access_log = "{log}"\n' + POLICY

    def keys(path: Path) -> list[str]:
        return [json.loads(line)["key"] for line in path.read_text().splitlines()] if path.exists() else []

    with serving(tmp_path / "gateway.toml", policy) as served:
        [worker] = children(served)
        request(served.port, "GET", "/img/public/a")
        until(lambda: keys(log), "the first line")
        log.rename(old_log)
        request(served.port, "GET", "/img/public/b")
        until(lambda: len(keys(old_log)) == 2, "the second line")
        opened = len(os.listdir(f"/proc/{worker}/fd"))
        served.reload(policy, "reloaded")
        until(lambda: served.metrics()["cossign_reloads_total"] == 1, "the worker's reload")
        request(served.port, "GET", "/img/public/c")
        until(lambda: keys(log), "the third line")
        assert len(os.listdir(f"/proc/{worker}/fd")) <= opened + 1  # the connection's
    assert [keys(path) for path in (old_log, log)] == [["photos/public/a", "photos/public/b"], ["photos/public/c"]]


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    policy = f'access_log = "{tmp_path}/none/access.log"\n' + POLICY
    with serving(tmp_path / "gateway.toml", policy) as served:
        for number in range(1, 4):
            request(served.port, "GET", "/img/public/a")
            until(lambda: served.metrics()["cossign_unlogged_total"] >= number, "a lost line")  # noqa: B023
        served.says(f"the access log {tmp_path}/none/access.log misses lines: No such file or directory")
        (tmp_path / "none").mkdir()
        served.reload(policy, "reloaded")
        until(lambda: request(served.port, "GET", "/img/public/a") and (tmp_path / "none/access.log").exists(), "a log")
        assert sum("misses lines" in line for line in served.said) == 1


def test_a_log_that_nobody_reads_holds_up_neither_reload_nor_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    policy = f'access_log = "{log}"\n' + POLICY
    try:
        with serving(tmp_path / "gateway.toml", policy) as served:
            client = Client(served.port)
            for number in range(1000):  # four times what a pipe holds
                client.send(head("GET", f"/img/alice/{number}", ALICE))
            served.reload(policy.replace("alice/", "nobody/"), "reloaded")
            until(lambda: request(served.port, "GET", "/img/alice/a", ALICE)[0] == 403, "the other policy")
            client.close()
            served.process.terminate()
            assert served.process.wait(PATIENCE) == 0
        assert len(os.read(reader, 1 << 20)) >= 4096
    finally:
        os.close(reader)


def test_access_logs_of_workers_go_to_one_file(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with serving(tmp_path / "gateway.toml", f'access_log = "{log}"\n' + POLICY, workers=2) as served:
        clients = [Client(served.port) for _ in range(8)]
        for number in range(800):
            clients[number % 8].send(head("GET", f"/img/public/{number}"))
        for client in clients:
            client.close()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(int(line["key"].rpartition("/")[2]) for line in lines) == list(range(800))

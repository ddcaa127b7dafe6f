"""`cossign serve` as a process, a policy with callers of every kind, and a client that sends any bytes."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.gateway import free_port

from cossign.gateway import Gateway
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.reference import authorization, signed
from tests.waiting import PATIENCE, listening, until

HOST = "gw.example.com"
PROXY = "127.0.0.2"  # a loopback address of its own, so that a trusted proxy is somebody else than other clients
CAROL = ("AKIDcarol", "key-of-carol")

POLICY = f"""
listen = "127.0.0.1:0"
trusted_proxies = ["{PROXY}"]
hosts = ["{HOST}"]
credentials = {{ source = "environment" }}

[client_certificate]
subject_header = "X-Client-Subject"
verified_header = "X-Client-Verify"

[[route]]
name = "img"
path = "/img/"
bucket = "{BUCKET}"
region = "ap-beijing"
prefix = "photos/"
params = ["response-content-type", "imageMogr2/*"]

[[route]]
name = "up"
path = "/up/"
bucket = "{BUCKET}"
region = "ap-beijing"
prefix = "uploads/"
methods = ["PUT"]
expires = 300

[[caller]]
name = "alice"
token_sha256 = "{hashlib.sha256(b"token-of-alice").hexdigest()}"
[[caller.allow]]
routes = ["img"]
prefixes = ["photos/alice/"]
params = ["*"]
max_expires = 600
bulk = true
[[caller.allow]]
routes = ["up"]
prefixes = ["uploads/alice/"]
methods = ["PUT"]

[[caller]]
name = "bob"
token_sha256 = "{hashlib.sha256(b"token-of-bob").hexdigest()}"
[[caller.allow]]
routes = ["img"]
prefixes = ["photos/bob/"]

[[caller]]
name = "carol"
secret_id = "{CAROL[0]}"
secret_key_env = "CAROLS_KEY"
[[caller.allow]]
routes = ["img"]
prefixes = ["photos/carol/"]
params = ["response-content-type"]
max_expires = 86400

[[caller]]
name = "dave"
certificate = "CN=dave,O=Example"
[[caller.allow]]
routes = ["img"]
prefixes = ["photos/dave/"]

[[caller]]
name = "anyone"
anonymous = true
[[caller.allow]]
routes = ["img"]
prefixes = ["photos/public/"]
"""
ALICE = {"Authorization": "Bearer token-of-alice"}
BOB = {"Authorization": "Bearer token-of-bob"}


class Served:
    """The process, while it runs."""

    def __init__(self, process: subprocess.Popen[str], port: int, path: Path) -> None:
        self.process = process
        self.port = port
        self.path = path
        self.said: list[str] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def says(self, text: str, since: int = 0) -> str:
        """The line with a text, as soon as it is said."""

        def said() -> str:
            alive = self._listening.is_alive()
            line = next((line for line in self.said[since:] if text in line), "")
            assert line or alive, f"the gateway has ended without {text!r}: {self.said}"
            return line

        return until(said, repr(text))

    def reload(self, text: str, answer: str) -> None:
        """Have it read another configuration, and wait for what it says to it."""
        since = len(self.said)
        self.path.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{self.port}"))
        self.process.send_signal(signal.SIGHUP)
        self.says(answer, since)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._listening.join(10)
            assert self.process.stderr is not None
            self.process.stderr.close()

    def metrics(self) -> dict[str, float]:
        status, _, body = request(self.port, "GET", "/metrics")
        assert status == 200
        lines = [line.rpartition(" ") for line in body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


def children(served: Served) -> set[int]:
    """The processes that the gateway's first one has started, its workers."""
    pid = served.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


SERVERS = ["cossign", "uvicorn", "hypercorn"]  # `cossign serve`, and servers that run the ASGI application
CONFIGURATION = "GATEWAY_TOML"  # the environment variable that names it to those


def application() -> Gateway:
    """What other servers run."""
    return Gateway(os.environ[CONFIGURATION])


def _command(server: str, path: Path, port: int) -> list[str]:
    if server == "cossign":
        return ["cossign", "serve", "--config", str(path)]
    if server == "uvicorn":
        options = ["--no-proxy-headers", "--no-server-header", "--no-access-log", "--log-level", "warning"]
        return ["uvicorn", *options, "--port", str(port), "--factory", f"{__name__}:application"]
    return ["hypercorn", "--log-level", "warning", "--bind", f"127.0.0.1:{port}", f"{__name__}:application()"]


@contextlib.contextmanager
def serving(path: Path, text: str, server: str = "cossign", workers: int = 1, **environment: str) -> Iterator[Served]:
    port = free_port()
    path.write_text(f"workers = {workers}\n" + text.replace("127.0.0.1:0", f"127.0.0.1:{port}"), "utf-8")
    secrets = {"COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY, "CAROLS_KEY": CAROL[1], **environment}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COS_", "TENCENTCLOUD_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", *_command(server, path, port)],
        env={**inherited, **secrets, CONFIGURATION: str(path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    served = Served(process, port, path)
    try:
        if server == "cossign":
            served.says("serves")
        listening(port, process)
        yield served
    finally:
        served.close()


Answer = tuple[int, dict[str, str], bytes]
NOTHING: Answer = (0, {}, b"")


class Client:
    """A connection that sends what it is told to, byte by byte."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._port = port
        self._source = source
        self._socket: socket.socket | None = None

    def connect(self) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        if sys.platform == "linux":
            # Bind to an address, not yet to a port: those of connections that have just ended are then used again.
            connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        try:
            connection.bind((self._source, 0))
            connection.connect(("127.0.0.1", self._port))
        except OSError:
            connection.close()
            raise
        return connection

    def send(self, data: bytes, method: str = "GET") -> Answer:
        """What is answered; NOTHING where the connection just ends."""
        for attempt in range(2):
            fresh = self._socket is None
            try:
                if self._socket is None:
                    self._socket = self.connect()
                self._socket.sendall(data)
                answer = http.client.HTTPResponse(self._socket, method=method)
                answer.begin()
                body = answer.read()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                if answer.will_close:
                    self.close()
                return answer.status, headers, body
            except (OSError, http.client.HTTPException):
                self.close()
                if fresh or attempt:
                    return NOTHING
        return NOTHING

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def head(method: str, target: str | bytes, headers: Any = (), host: str = HOST) -> bytes:
    """A request's head, or all of one without a body."""
    pairs = [*({"Host": host}.items() if host else ()), *(headers.items() if isinstance(headers, dict) else headers)]
    raw = target.encode("latin-1") if isinstance(target, str) else target
    lines = [method.encode() + b" " + raw + b" HTTP/1.1"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in pairs]
    return b"\r\n".join([*lines, b"", b""])


def request(
    port: int, method: str, target: str, headers: Any = (), body: bytes = b"", source: str = "127.0.0.1"
) -> Answer:
    client = Client(port, source)
    pairs = [*(headers.items() if isinstance(headers, dict) else headers)]
    if body:
        pairs.append(("Content-Length", str(len(body))))
    try:
        return client.send(head(method, target, pairs) + body, method)
    finally:
        client.close()


def carols(
    method: str, path: str, query: tuple[tuple[str, str], ...] = (), start: int = -1, seconds: int = 3600,
    headers: tuple[tuple[str, str], ...] = (("host", HOST),), secrets: tuple[str, str] = CAROL,
) -> str:  # fmt: skip
    """An Authorization as carol makes it, from `start` seconds from now on."""
    begin = int(time.time()) + start
    span = f"{begin};{begin + seconds}"
    return authorization(secrets[0], span, signed(secrets[1], method, path, query, headers, span))

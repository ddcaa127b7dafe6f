"""What signing adds to a call of an HTTP client: `python -m bench.clients [--rounds 60]`.

The same call with and without `auth`, in turn. First with a transport that answers at once, so that only the
client and the signature is measured; then over loopback, to a process that answers when it sees the headers' end.
Microseconds a call: medians of the rounds, and of their differences. What it takes to carry the headers alone, made
before, is a part of what signing adds, and shown beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import requests
from requests.adapters import BaseAdapter

from cossign import Credentials, Signer
from cossign.integrations import httpx as for_httpx
from cossign.integrations import requests as for_requests

CREDENTIALS = {
    "permanent": Credentials("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"),
    "temporary": Credentials("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz", "t" * 200),
}
HEADERS = {"Range": "bytes=0-9"}
CALLS = 200  # of a round


SERVER = """
import socket, threading
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while True:
        while b"\\r\\n\\r\\n" not in received:
            more = connection.recv(65536)
            if not more:
                return
            received += more
        received = b""
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """A server in a process of its own; its URL."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


class _Raw:
    """What requests asks a response's raw part for."""

    _original_response = None


class AtOnce(BaseAdapter):
    """A transport of requests that sends nothing."""

    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, str(request.url)
        response._content = b""  # type: ignore[attr-defined]
        response.raw = _Raw()
        return response

    def close(self) -> None:
        pass


def calls(client: str, url: str, auth: Any, headers: dict[str, str], at_once: bool) -> Callable[[], Any]:
    """One call, again and again, of a session of its own."""
    if client == "requests":
        session = requests.Session()
        session.trust_env = False
        session.auth = auth
        if at_once:
            session.mount("https://", AtOnce())
        return lambda: session.get(url, headers=headers)
    transport = httpx.MockTransport(lambda request: httpx.Response(200)) if at_once else None
    opened = httpx.Client(auth=auth, transport=transport, trust_env=False)
    return lambda: opened.get(url, headers=headers)


def measured(client: str, signer: Signer, at_once: bool, rounds: int) -> list[list[float]]:
    """Microseconds by rounds: of the call without auth; what auth adds, and what ready-made headers add."""
    url = signer.object_url("photos/2026/11/a b.jpg")
    auth = (for_requests if client == "requests" else for_httpx).CosAuth(signer)
    ready = {**HEADERS, **signer.sign_request("GET", url, HEADERS)}
    each = [calls(client, url, *more, at_once) for more in ((None, HEADERS), (auth, HEADERS), (None, ready))]
    taken: list[list[float]] = []
    for _ in range(rounds + 1):
        row = []
        for call in each:
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            row.append((time.perf_counter() - start) / CALLS * 1e6)
        taken.append(row)
    return [[row[0] for row in taken[1:]], *([row[i] - row[0] for row in taken[1:]] for i in (1, 2))]


def every(rounds: int) -> Iterator[tuple[str, str, str, list[list[float]]]]:
    """Each client, with each transport and kind of credentials."""
    with serving() as url:
        for client in ("requests", "httpx"):
            for at_once in (True, False):
                for name, credentials in CREDENTIALS.items():
                    domain = None if at_once else url
                    signer = Signer(credentials, bucket="b-1250000000", region="ap-beijing", domain=domain)
                    found = measured(client, signer, at_once, rounds if at_once else max(1, rounds // 3))
                    yield client, "none" if at_once else "loopback", name, found


def main() -> None:
    parser = argparse.ArgumentParser(description="What signing adds to a call of requests and httpx.")
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    print("| client | transport | credentials | a call | with auth | headers alone |\n|---|---|---|---:|---:|---:|")
    for client, where, name, found in every(rounds):
        call, added, carried = map(statistics.median, found)
        print(f"| {client} | {where} | {name} | {call:.1f} us | +{added:.1f} us | +{carried:.1f} us |")


if __name__ == "__main__":
    main()

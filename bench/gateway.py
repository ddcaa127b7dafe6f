"""The gateway beside a constant answer of the same server: `python -m bench.gateway [--rounds 7] [--seconds 2]`.

wrk asks both in turn for a redirect and for an authorization: the gateway, and an application that always gives
the same answer. Ratios are medians of the rounds' ratios. Delays are measured by h2load at half of the rate that the
slower of the two reached. Bulk is curl sending a file of keys and dropping the URLs. nginx is measured with
auth_request and without it, with connections to the gateway kept alive and not.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cossign.gateway import serve
from cossign.gateway.config import parse_config

SECRETS = {
    "COS_SECRET_ID": "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q",
    "COS_SECRET_KEY": "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
}
TOKEN = "token-of-the-bench"
KEY = "photos/2026/11/picture-00000001.jpg"
ASKED = {
    "redirect": [f"/{KEY}"],
    "authorize": ["/authorize", "-H", f"X-Original-URI: /{KEY}", "-H", "X-Original-Method: GET"],
}
BEARER = ["-H", f"Authorization: Bearer {TOKEN}"]
POLICY = """
listen = "127.0.0.1:{port}"
trusted_proxies = ["127.0.0.1"]
credentials = {{ source = "environment" }}
[bulk]
threads = {threads}
[[route]]
name = "all"
bucket = "examplebucket-1250000000"
region = "ap-beijing"
[[caller]]
name = "bench"
token_sha256 = "{token}"
[[caller.allow]]
routes = ["all"]
prefixes = [""]
bulk = true
"""
LOCATION = (
    f"https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/{KEY}?q-sign-algorithm=sha1&q-ak="
    "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&q-sign-time=1764100000%3B1764100900&q-key-time=1764100000%3B1764100900"
    "&q-header-list=host&q-url-param-list=&q-signature=0123456789012345678901234567890123456789"
)


def constant() -> Any:
    """An application that gives the same answers without looking at anything but the path."""
    redirect = [
        (b"location", LOCATION.encode()),
        (b"cache-control", b"private, max-age=449"),
        (b"content-length", b"0"),
    ]
    authorize = [(b"x-cossign-caller", b"bench"), (b"x-cossign-route", b"all"), (b"cache-control", b"no-store")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                event = await receive()
                await send({"type": event["type"] + ".complete"})
            return
        if scope["path"] == "/authorize":
            await send({"type": "http.response.start", "status": 204, "headers": authorize})
        else:
            await send({"type": "http.response.start", "status": 302, "headers": redirect})
        await send({"type": "http.response.body", "body": b""})

    return app


def configuration(port: int, threads: int = 1) -> str:
    token = hashlib.sha256(TOKEN.encode()).hexdigest()
    return POLICY.format(port=port, token=token, threads=threads)


def free_port() -> int:
    """A port below those that the kernel gives to clients."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A process that listens at a port; its number."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command} does not listen")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def both(folder: Path, threads: int = 1) -> Iterator[tuple[int, int, int]]:
    """The ports of the constant application and of the gateway, and the latter's process."""
    plain, signing = free_port(), free_port()
    (folder / "gateway.toml").write_text(configuration(signing, threads))
    as_constant = [sys.executable, "-m", "bench.gateway", "--constant", "--port", str(plain)]
    as_gateway = [sys.executable, "-m", "cossign", "serve", "--config", str(folder / "gateway.toml")]
    with running(as_constant, plain), running(as_gateway, signing, **SECRETS) as pid:
        yield plain, signing, pid


def rate(port: int, asked: list[str], connections: int, seconds: float, path: str | None = None) -> float:
    """Requests a second, by wrk."""
    url = f"http://127.0.0.1:{port}{path or asked[0]}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", *BEARER, *asked[1:], url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])


def delays(port: int, asked: list[str], per_second: float, seconds: float, folder: Path) -> list[float]:
    """Milliseconds of each request at a rate, by h2load: 16 connections."""
    log = folder / "delays"
    log.unlink(missing_ok=True)
    clients = 16
    command = [
        "h2load", "--h1", f"-c{clients}", "-t1", f"-D{seconds:g}", f"--rps={max(1, per_second / clients):.0f}",
        f"--log-file={log}", *BEARER, *asked[1:], f"http://127.0.0.1:{port}{asked[0]}",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, check=True)
    return sorted(int(line.split("\t")[2]) / 1000 for line in log.read_text().splitlines())


def ratios(folder: Path, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Of each answer: the rates of the constant application and of the gateway in turn, and the delays of both, in
    milliseconds, at half of the rate that the slower one reached."""
    with both(folder) as (plain, signing, _):
        for name, asked in ASKED.items():
            rates = []
            for connections in (16, 64):
                turns = [
                    [rate(port, asked, connections, seconds) for port in (plain, signing)] for _ in range(rounds + 1)
                ]
                rates = turns[1:]
                yield {"answer": name, "connections": connections, "rates": rates}
            if shutil.which("h2load"):
                half = min(statistics.median(column) for column in zip(*rates, strict=True)) / 2
                turns = [
                    [delays(port, asked, half, seconds, folder) for port in (plain, signing)] for _ in range(rounds)
                ]
                yield {"answer": name, "connections": 16, "at": half, "delays": turns}


def show(found: dict[str, Any]) -> None:
    if "rates" in found:
        rows, shown, digits = found["rates"], "{:,.0f}", 3
        name = found["answer"]
    else:
        rows = [[each[int(len(each) * 0.99)] for each in turn] for turn in found["delays"]]
        name, shown, digits = f"{found['answer']}, p99 at {found['at']:,.0f}/s", "{:.2f} ms", 2
    constant, ours = (shown.format(statistics.median(column)) for column in zip(*rows, strict=True))
    ratio = statistics.median(row[1] / row[0] for row in rows)
    print(
        f"| {name} | {found['connections']} | {constant} | {ours} | {ratio:.{digits}f}x |",
        flush=True,
    )


def peak(pid: int) -> float:
    """The most memory that a worker has had, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [str(pid)]
    return max(
        int(Path(f"/proc/{each}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024 for each in children
    )


def bulk(folder: Path, rounds: int, rows: int) -> None:
    keys = folder / "keys.txt"
    with keys.open("w") as file:
        file.writelines(f"photos/2026/11/picture-{number:08d}.jpg\n" for number in range(rows))
    for threads in (1, 2):
        with both(folder, threads) as (_, port, pid):
            post = ["curl", "-sfT", "{}", "-X", "POST", *BEARER, f"http://127.0.0.1:{port}/presign", "-o", os.devnull]
            post[2] = os.devnull
            subprocess.run(post, check=True)
            idle = peak(pid)
            post[2] = str(keys)
            taken = []
            for _ in range(rounds):
                begun = time.perf_counter()
                subprocess.run(post, check=True)
                taken.append(time.perf_counter() - begun)
            speed = rows / statistics.median(taken) / 1e6
            print(f"| {threads} | {speed:.2f} million | {peak(pid) - idle:.0f} MiB |", flush=True)


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream kept {{ server 127.0.0.1:{gateway}; keepalive 64; }}
    upstream fresh {{ server 127.0.0.1:{gateway}; }}
    server {{
        listen 127.0.0.1:{port};
        location /none/ {{ alias {folder}/; }}
        location /kept/ {{ auth_request /_kept; alias {folder}/; }}
        location /fresh/ {{ auth_request /_fresh; alias {folder}/; }}
        location = /_kept {{
            internal; proxy_pass http://kept/authorize; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Original-Method $request_method;
        }}
        location = /_fresh {{
            internal; proxy_pass http://fresh/authorize;
            proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Original-Method $request_method;
        }}
    }}
}}
"""


def nginx(folder: Path, rounds: int, seconds: float) -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        print("left out: nginx (it is not installed)")
        return
    port = free_port()
    folder.chmod(0o755)
    (folder / "a.txt").write_text("a")
    with both(folder) as (_, gateway, _):
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, gateway=gateway, port=port))
        with running([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], port):
            rows = []
            for _ in range(rounds + 1):
                rows.append([rate(port, [""], 16, seconds, f"/{where}/a.txt") for where in ("none", "kept", "fresh")])
    columns = zip(*rows[1:], strict=True)
    without, *rest = (statistics.median(column) for column in columns)
    for name, found in zip(("kept alive", "not kept alive"), rest, strict=True):
        print(f"| {name} | {without:,.0f} | {found:,.0f} | {1e6 / found - 1e6 / without:.0f} us |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--constant", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.constant:
        route = {"name": "all", "bucket": "b-1250000000", "region": "ap-beijing"}
        serve.run(parse_config({"listen": f"127.0.0.1:{arguments.port}", "route": [route]}), "bench.gateway:constant")
        return
    for tool in ("wrk", "curl"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| answer | connections | constant | cossign | ratio |\n|---|---:|---:|---:|---:|")
        for found in ratios(folder, arguments.rounds, arguments.seconds):
            show(found)
        print("\n| threads | keys/s, text to text | memory above idle |\n|---:|---:|---:|")
        bulk(folder, arguments.rounds, arguments.rows)
        print("\n| connection to the gateway | nginx alone | with auth_request | cost a request |")
        print("|---|---|---:|---:|---:|")
        nginx(folder, arguments.rounds, arguments.seconds)


if __name__ == "__main__":
    main()

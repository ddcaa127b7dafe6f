"""A small COS: a real HTTP server that judges what arrives by page 7778, in plain Python, independent of cossign."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes

Pairs = list[tuple[bytes, bytes]]


def encoded(data: bytes) -> str:
    return quote_from_bytes(data, safe="-_.~")


def query_of(target: bytes) -> Pairs:
    """Parameters as a web server decodes them: a plus is a space."""
    pairs = []
    for part in target.partition(b"?")[2].split(b"&"):
        if part:
            name, _, value = part.replace(b"+", b" ").partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def chosen(names: str, pairs: Pairs) -> str | None:
    """HttpParameters or HttpHeaders of the names in a list; None if one is not there, or more often than it is signed."""
    listed = [name for name in names.split(";") if name]
    entries = sorted(
        ((encoded(name).lower(), encoded(value)) for name, value in pairs if encoded(name).lower() in listed),
        key=lambda entry: entry[0],
    )
    if sorted(name for name, _ in entries) != sorted(listed):
        return None
    return "&".join(f"{name}={value}" for name, value in entries)


def refusal(
    method: bytes, target: bytes, headers: Pairs, secret_id: str, secret_key: str, token: str | None, now: float
) -> str:
    """Why COS refuses a request, or "" if it is signed right."""
    values = {name.lower(): value for name, value in headers}
    authorization = values.get(b"authorization")
    if authorization is None:
        return "AccessDenied: no Authorization"
    fields = dict(part.partition("=")[::2] for part in authorization.decode().split("&"))
    if fields.get("q-sign-algorithm") != "sha1" or fields.get("q-ak") != secret_id:
        return "InvalidAccessKeyId"
    if (values.get(b"x-cos-security-token") or b"").decode() != (token or ""):
        return "InvalidToken"
    start, _, end = fields["q-sign-time"].partition(";")
    if not int(start) <= now <= int(end):
        return "RequestTimeTooSkewed"
    parameters = chosen(fields["q-url-param-list"], query_of(target))
    signed_headers = chosen(fields["q-header-list"], headers)
    if parameters is None or signed_headers is None:
        return "SignatureDoesNotMatch: what is listed is not there"
    path = unquote_to_bytes(target.partition(b"?")[0])
    http_string = b"\n".join((method.lower(), path, parameters.encode(), signed_headers.encode(), b""))
    sign_key = hmac.new(secret_key.encode(), fields["q-key-time"].encode(), "sha1").hexdigest()
    string_to_sign = f"sha1\n{fields['q-sign-time']}\n{hashlib.sha1(http_string).hexdigest()}\n"
    wanted = hmac.new(sign_key.encode(), string_to_sign.encode(), "sha1").hexdigest()
    if wanted != fields["q-signature"]:
        return f"SignatureDoesNotMatch: HttpString is {http_string!r}"
    return ""


class Request:
    """What arrived."""

    def __init__(self, method: bytes, target: bytes, headers: Pairs, body: bytes) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str | None:
        return next((value.decode() for each, value in self.headers if each.lower() == name.lower().encode()), None)


class CosServer:
    """The server, while it runs.

    A key ``redirect`` answers with status ``status`` and Location ``to``; everything else with 200 and the key.
    """

    def __init__(self, secrets: Callable[[], Iterable[tuple[str, str, str | None]]]) -> None:
        self.secrets = secrets  # (SecretId, SecretKey, token) that are good now
        self.offset = 0.0  # seconds that its clock is ahead
        self.judges = True
        self.requests: list[Request] = []
        self.refusals: list[str] = []
        self.watch: Callable[[Request], None] | None = None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                method, _, rest = self.requestline.encode("latin-1").partition(b" ")
                headers = [
                    (name.encode("latin-1"), value.strip(" \t").encode("latin-1"))
                    for name, value in self.headers.items()
                ]
                request = Request(method, rest.rpartition(b" ")[0], headers, self.body())
                status, text, more = server.answer(request)
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + server.offset, usegmt=True))
                self.send_header("Content-Length", str(len(text)))
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                if method != b"HEAD":
                    self.wfile.write(text)

            def body(self) -> bytes:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = handle_one  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 2048
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: Request) -> tuple[int, bytes, dict[str, str]]:
        self.requests.append(request)
        if self.watch is not None:
            self.watch(request)
        if self.judges:
            refused = ""
            for secret_id, secret_key, token in self.secrets():
                refused = refusal(
                    request.method, request.target, request.headers, secret_id, secret_key, token,
                    time.time() + self.offset,
                )  # fmt: skip
                if not refused:
                    break
            if refused:
                self.refusals.append(refused)
                return 403, refused.encode(), {}
        path = unquote_to_bytes(request.target.partition(b"?")[0])
        if path == b"/redirect":
            query = dict(parse_qsl(request.target.partition(b"?")[2].decode()))
            return int(query["status"]), b"", {"Location": query["to"]}
        return 200, path[1:], {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'}


@contextmanager
def running(secrets: Callable[[], Iterable[tuple[str, str, str | None]]]) -> Iterator[CosServer]:
    server = CosServer(secrets)
    thread = threading.Thread(target=server.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join()

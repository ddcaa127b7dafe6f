"""A small COS: a real HTTP server that judges what arrives by pages 7778 and 14690, in plain Python, without cossign."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes
from xml.sax.saxutils import escape

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


def chosen(names: str, pairs: Pairs) -> tuple[str, bool]:
    """HttpParameters or HttpHeaders of the names in a list, and whether each is there as often as it is signed."""
    listed = [name for name in names.split(";") if name]
    entries = sorted(
        ((encoded(name).lower(), encoded(value)) for name, value in pairs if encoded(name).lower() in listed),
        key=lambda entry: entry[0],
    )
    is_whole = sorted(name for name, _ in entries) == sorted(listed)
    return "&".join(f"{name}={value}" for name, value in entries), is_whole


def refusal(
    method: bytes, target: bytes, headers: Pairs, secret_id: str, secret_key: str, token: str | None, now: float
) -> str:
    """Why COS refuses a request, or "" if it is signed right."""
    values = {name.lower(): value for name, value in headers}
    query = query_of(target)
    authorization = values.get(b"authorization")
    if authorization is not None:
        fields = dict(part.partition("=")[::2] for part in authorization.decode().split("&"))
    else:
        fields = {name.decode(): value.decode() for name, value in query if name.startswith(b"q-")}
        query = [(name, value) for name, value in query if not name.startswith(b"q-")]
        values.update({name: value for name, value in query if name == b"x-cos-security-token"})
        if "q-signature" not in fields:
            return "AccessDenied: no Authorization"
    if fields.get("q-sign-algorithm") != "sha1" or fields.get("q-ak") != secret_id:
        return "InvalidAccessKeyId"
    if (values.get(b"x-cos-security-token") or b"").decode() != (token or ""):
        return "InvalidToken"
    start, _, end = fields["q-sign-time"].partition(";")
    if not int(start) <= now <= int(end):
        return "RequestTimeTooSkewed"
    parameters, has_parameters = chosen(fields["q-url-param-list"], query)
    signed_headers, has_headers = chosen(fields["q-header-list"], headers)
    path = unquote_to_bytes(target.partition(b"?")[0])
    http_string = b"\n".join((method.lower(), path, parameters.encode(), signed_headers.encode(), b""))
    sign_key = hmac.new(secret_key.encode(), fields["q-key-time"].encode(), "sha1").hexdigest()
    string_to_sign = f"sha1\n{fields['q-sign-time']}\n{hashlib.sha1(http_string).hexdigest()}\n"
    wanted = hmac.new(sign_key.encode(), string_to_sign.encode(), "sha1").hexdigest()
    if wanted != fields["q-signature"] or not has_parameters or not has_headers:
        return Mismatch(http_string, string_to_sign)
    return ""


class Mismatch(str):
    """SignatureDoesNotMatch, and what the server computed of what it received."""

    __slots__ = ("body",)

    def __new__(cls, http_string: bytes, string_to_sign: str) -> Mismatch:
        made = super().__new__(cls, f"SignatureDoesNotMatch: HttpString is {http_string!r}")
        shown = http_string.decode("utf-8", "replace")
        made.body = (  # as COS words it
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>SignatureDoesNotMatch</Code>\n"
            "\t<Message>The Signature you specified is invalid.</Message>\n"
            f"\t<StringToSign>{string_to_sign}</StringToSign>\n\t<FormatString>{escape(shown)}</FormatString>\n"
            "\t<Resource>/</Resource>\n\t<RequestId>NjA0NGFjMmE=</RequestId>\n</Error>"
        )
        return made


def form_of(head: bytes, body: bytes) -> tuple[dict[str, str], str, bytes]:
    """A form's fields, its file's name and content."""
    message: Any = email.message_from_bytes(b"Content-Type: " + head + b"\r\n\r\n" + body)
    fields: dict[str, str] = {}
    for part in message.get_payload():
        name = part.get_param("name", header="Content-Disposition")
        if name == "file":
            return fields, part.get_filename() or "", part.get_payload(decode=True)
        fields[name] = part.get_payload(decode=True).decode()
    return fields, "", b""


def form_refusal(
    fields: dict[str, str], name: str, size: int, bucket: str, secret_id: str, secret_key: str, token: str | None,
    now: float,
) -> str:  # fmt: skip
    """Why COS refuses a form, or ""."""
    policy = base64.b64decode(fields["policy"])
    sign_key = hmac.new(secret_key.encode(), fields["q-key-time"].encode(), "sha1").hexdigest()
    wanted = hmac.new(sign_key.encode(), hashlib.sha1(policy).hexdigest().encode(), "sha1").hexdigest()
    if fields["q-ak"] != secret_id or fields["q-signature"] != wanted:
        return "SignatureDoesNotMatch"
    if fields.get("x-cos-security-token", "") != (token or ""):
        return "InvalidToken"
    start, _, end = fields["q-key-time"].partition(";")
    if not int(start) <= now <= int(end):
        return "RequestTimeTooSkewed"
    given = {**fields, "bucket": bucket, "q-sign-time": fields["q-key-time"]}
    given["key"] = given["key"].replace("${filename}", name)
    for each in json.loads(policy)["conditions"]:
        if isinstance(each, dict):
            kept = all(given.get(field) == value for field, value in each.items())
        elif each[0] == "content-length-range":
            kept = each[1] <= size <= each[2]
        else:
            value = given.get(each[1][1:])
            kept = value is not None and (value == each[2] if each[0] == "eq" else value.startswith(each[2]))
        if not kept:
            return f"AccessDenied: the policy's condition {each}"
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

    A key ``redirect`` answers with status ``status`` and Location ``to``. A server that `stores` keeps what is put, and
    gives it back, a Range of it, too. Everything else is answered with 200 and the key.
    """

    def __init__(self, secrets: Callable[[], Iterable[tuple[str, str, str | None]]]) -> None:
        self.secrets = secrets  # (SecretId, SecretKey, token) that are good now
        self.bucket = "examplebucket-1250000000"
        self.offset = 0.0  # seconds that its clock is ahead
        self.judges = True
        self.stores = False
        self.has_cors = False  # whether the bucket has a rule for pages of any origin
        self.objects: dict[bytes, bytes] = {}
        self.failures: list[int] = []  # statuses with which the next requests are answered
        self.requests: list[Request] = []
        self.refusals: list[str] = []
        self.watch: Callable[[Request], None] | None = None
        self.permits: Callable[[Request, str], str] | None = (
            None  # why the policy of a SecretId forbids a request, or ""
        )
        self.uploads: dict[bytes, dict[int, bytes]] = {}  # of each key the parts that wait to be completed
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
        """What is answered to a request; to pages, with what their browsers ask for."""
        if not self.has_cors or request.header("Origin") is None:
            return self.judged_answer(request)
        rule = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag"}
        if request.method == b"OPTIONS":
            names = request.header("Access-Control-Request-Headers") or ""
            allowed = {
                "Access-Control-Allow-Methods": "GET, PUT, POST, DELETE, HEAD",
                "Access-Control-Allow-Headers": names,
            }
            return 200, b"", {**rule, **allowed}
        status, text, headers = self.judged_answer(request)
        return status, text, {**headers, **rule}

    def judged_answer(self, request: Request) -> tuple[int, bytes, dict[str, str]]:
        self.requests.append(request)
        if self.watch is not None:
            self.watch(request)
        if self.judges:
            refused = "AccessDenied: nobody has an account"
            for secrets in self.secrets():
                now = time.time() + self.offset
                kind = request.header("Content-Type") or ""
                is_form = kind.startswith("multipart/form-data") and request.target == b"/"
                if is_form and (b'"policy"' in request.body or b'"Signature"' in request.body):
                    fields, name, content = form_of(kind.encode(), request.body)
                    if "policy" in fields:
                        refused = form_refusal(fields, name, len(content), self.bucket, *secrets, now)
                    else:  # the Mini Program's SDK: an Authorization for POST / in a field
                        names = {"Signature": b"Authorization", "x-cos-security-token": b"x-cos-security-token"}
                        signed = [(names[name], value.encode()) for name, value in fields.items() if name in names]
                        refused = refusal(b"POST", b"/", request.headers + signed, *secrets, now)
                else:
                    refused = refusal(request.method, request.target, request.headers, *secrets, now)
                if not refused and self.permits is not None:
                    refused = self.permits(request, secrets[0])
                if not refused:
                    break
            if refused:
                self.refusals.append(refused)
                return 403, getattr(refused, "body", refused).encode(), {}
        path = unquote_to_bytes(request.target.partition(b"?")[0])
        if self.failures:
            return self.failures.pop(0), b"", {}
        if self.stores:
            return self.stored(request, path[1:])
        if path == b"/redirect":
            query = dict(parse_qsl(request.target.partition(b"?")[2].decode()))
            return int(query["status"]), b"", {"Location": query["to"]}
        return 200, path[1:], {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'}

    def stored(self, request: Request, key: bytes) -> tuple[int, bytes, dict[str, str]]:
        """PUT, POST of a form, GET and HEAD of an object, an upload in parts, and a list of keys."""
        names = {name.decode(): value for name, value in query_of(request.target)}
        if key and (names.keys() & {"uploads", "uploadId"}):
            return self.uploaded(request, key, names)
        if not key and request.method == b"GET":
            found = sorted(each for each in self.objects if each.startswith(names.get("prefix", b"")))
            keys = "".join(f"<Contents><Key>{escape(each.decode())}</Key></Contents>" for each in found)
            return 200, f"<ListBucketResult>{keys}</ListBucketResult>".encode(), {"Content-Type": "application/xml"}
        if request.method == b"POST":
            fields, name, content = form_of((request.header("Content-Type") or "").encode(), request.body)
            self.objects[fields["key"].replace("${filename}", name).encode()] = content
            return 200, b"", {}
        if request.method == b"PUT":
            self.objects[key] = request.body
        if key not in self.objects:
            return 404, b"NoSuchKey", {}
        content = self.objects[key]
        etag = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}
        if request.method == b"PUT":
            return 200, b"", etag
        if request.header("If-Match") not in (None, etag["ETag"]):
            return 412, b"PreconditionFailed", {}
        unit, _, span = (request.header("Range") or "").partition("=")
        if unit != "bytes":
            return 200, content, etag
        start, end = (int(each) for each in span.split("-"))
        part = content[start : end + 1]
        return 206, part, {**etag, "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(content)}"}

    def uploaded(self, request: Request, key: bytes, names: dict[str, bytes]) -> tuple[int, bytes, dict[str, str]]:
        """An upload in parts: its beginning, a part, its end."""
        kind = {"Content-Type": "application/xml"}
        if "uploads" in names:
            self.uploads[key] = {}
            text = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            return 200, text.encode(), kind
        if request.method == b"PUT":
            self.uploads[key][int(names["partNumber"])] = request.body
            return 200, b"", {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'}
        self.objects[key] = b"".join(part for _, part in sorted(self.uploads.pop(key).items()))
        return 200, b"<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>", kind


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

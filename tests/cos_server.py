"""A small COS: a real HTTP server that judges what arrives by pages 7778 and 14690, in plain Python, without cossign."""

from __future__ import annotations

import base64
import bisect
import email
import hashlib
import hmac
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any, NamedTuple
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
        fields = {
            name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
            for name, value in query
            if name.startswith(b"q-")
        }
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


def crc64(data: bytes, crc: int = 0) -> int:
    """COS's CRC-64: that of ECMA-182, bit by bit reversed, as XZ has it."""
    crc ^= 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = _CRC64_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFFFFFFFFFF


def _crc64_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xC96C5795D7870F42 * (byte & 1)
    return byte


_CRC64_TABLE = [_crc64_entry(byte) for byte in range(256)]
try:
    import crcmod

    crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)  # type: ignore[assignment]
except ImportError:
    pass

Reply = tuple[int, bytes, dict[str, str]]
XML = {"Content-Type": "application/xml"}


def error_reply(status: int, code: str, **headers: str) -> Reply:
    """An error as COS words it."""
    text = f"<Error><Code>{code}</Code><Message>{code}</Message><Resource>/</Resource><RequestId>1</RequestId></Error>"
    return status, text.encode(), {**XML, **headers}


class Version(NamedTuple):
    """A version of an object that is not the newest, or a mark that it was deleted."""

    key: bytes
    version_id: str
    content: bytes | None  # None of a delete marker
    is_latest: bool = False


class Store:
    """The objects of one bucket.

    Attributes:
        objects: by their keys.
        uploads: by UploadId the key, and the parts that wait to be completed.
        versions: what a list of versions has besides the objects.
        unlisted: keys that lists do not have yet.
        told: the headers of every object, in place of those that its bytes have.
    """

    def __init__(self) -> None:
        self.objects: dict[bytes, bytes] = {}
        self.uploads: dict[str, tuple[bytes, dict[int, bytes]]] = {}
        self.versions: list[Version] = []
        self.unlisted: set[bytes] = set()
        self.told: dict[str, str] | None = None
        self.page_size = 1000
        self._sorted_keys: list[bytes] = []
        self._sorted_objects = (0, 0)  # which and how many they are
        self._upload_count = 0
        self._lock = threading.Lock()

    def answer(self, request: Request, key: bytes) -> Reply:
        """What is answered to a request that was found good."""
        names = {name.decode(): value for name, value in query_of(request.target)}
        with self._lock:
            if not key:
                return self._bucket(request, names)
            if names.keys() & {"uploads", "uploadId"}:
                return self._upload(request, key, names)
            if request.method == b"PUT":
                return self._put(request, key)
        if request.method == b"DELETE":
            self.objects.pop(key, None)
            return 204, b"", {}
        return self._get(request, key)

    def _put(self, request: Request, key: bytes) -> Reply:
        if key in self.objects and request.header("x-cos-forbid-overwrite") == "true":
            return error_reply(409, "FileAlreadyExists")
        wanted_md5 = request.header("Content-MD5")
        if wanted_md5 is not None and wanted_md5.encode() != base64.b64encode(hashlib.md5(request.body).digest()):
            return error_reply(400, "BadDigest")
        self.objects[key] = request.body
        return 200, b"", self._told(request.body)

    def _told(self, content: bytes) -> dict[str, str]:
        if self.told is not None:
            return self.told
        told = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}
        return {**told, "x-cos-hash-crc64ecma": str(crc64(content))} if len(content) < 1 << 27 else told

    def _get(self, request: Request, key: bytes) -> Reply:
        if key not in self.objects:
            return error_reply(404, "NoSuchKey") if request.method != b"HEAD" else (404, b"", {})
        content = self.objects[key]
        told = {**self._told(content), "Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT", "Accept-Ranges": "bytes"}
        if request.header("If-Match") not in (None, told["ETag"]):
            return error_reply(412, "PreconditionFailed")
        unit, _, span = (request.header("Range") or "").partition("=")
        if unit != "bytes":
            return 200, content, told
        start, _, end = span.partition("-")
        if int(start) >= len(content):
            return error_reply(416, "InvalidRange")
        part = content[int(start) : int(end) + 1 if end else None]
        return 206, part, {**told, "Content-Range": f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"}

    # --- Lists

    def _bucket(self, request: Request, names: dict[str, bytes]) -> Reply:
        if request.method == b"POST":
            fields, name, content = form_of((request.header("Content-Type") or "").encode(), request.body)
            self.objects[fields["key"].replace("${filename}", name).encode()] = content
            return 200, b"", {}
        if request.method != b"GET":
            return 200, b"", {}
        if "uploads" in names:
            return self._list_uploads(names)
        if "versions" in names:
            return self._list_versions(names)
        return self._list(names)

    def _list(self, names: dict[str, bytes]) -> Reply:
        if len(self.objects) < 10_000 or self._sorted_objects != (id(self.objects), len(self.objects)):
            self._sorted_keys = sorted(self.objects)
            self._sorted_objects = (id(self.objects), len(self.objects))
        keys, prefix, marker = self._sorted_keys, names.get("prefix", b""), names.get("marker", b"")
        delimiter, most = names.get("delimiter", b""), min(int(names.get("max-keys", b"1000")), self.page_size)
        place = max(bisect.bisect_left(keys, prefix), bisect.bisect_right(keys, marker))
        if delimiter and marker.endswith(delimiter) and marker.startswith(prefix):
            place = max(place, bisect.bisect_left(keys, after_prefix(marker)))
        contents, prefixes = [], []
        last = b""
        while place < len(keys) and keys[place].startswith(prefix) and len(contents) + len(prefixes) < most:
            key = keys[place]
            if key in self.unlisted:
                place += 1
                continue
            folder, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (b"", b"", b"")
            if found:
                last = prefix + folder + delimiter
                prefixes.append(f"<CommonPrefixes><Prefix>{listed(last, names)}</Prefix></CommonPrefixes>")
                place = bisect.bisect_left(keys, after_prefix(last))
                continue
            last = key
            contents.append(
                f"<Contents><Key>{listed(key, names)}</Key><LastModified>2026-11-23T00:00:00.000Z</LastModified>"
                f"<ETag>&quot;{hashlib.md5(self.objects[key]).hexdigest()}&quot;</ETag><Size>{len(self.objects[key])}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
            place += 1
        is_truncated = place < len(keys) and keys[place].startswith(prefix)
        marker_text = f"<NextMarker>{listed(last, names)}</NextMarker>" if is_truncated else ""
        text = (
            f"<ListBucketResult><Prefix>{listed(prefix, names)}</Prefix><IsTruncated>{str(is_truncated).lower()}</IsTruncated>"
            f"{marker_text}{''.join(contents)}{''.join(prefixes)}</ListBucketResult>"
        )
        return 200, text.encode(), XML

    def _list_versions(self, names: dict[str, bytes]) -> Reply:
        old = {each.key: each.is_latest for each in self.versions}
        entries = [
            Version(key, f"v-{len(content)}", content, not old.get(key, False)) for key, content in self.objects.items()
        ]
        entries = sorted([*entries, *self.versions], key=lambda each: (each.key, not each.is_latest, each.version_id))
        entries = [each for each in entries if each.key.startswith(names.get("prefix", b""))]
        after = (names.get("key-marker", b""), names.get("version-id-marker", b"").decode())
        places = [(each.key, each.version_id) for each in entries]
        first = places.index(after) + 1 if after in places else sum(key <= after[0] for key, _ in places if after[0])
        page = entries[first : first + self.page_size]
        is_truncated = first + len(page) < len(entries)
        texts = [
            f"<{kind}><Key>{listed(each.key, names)}</Key><VersionId>{each.version_id}</VersionId>"
            f"<IsLatest>{str(each.is_latest).lower()}</IsLatest><LastModified>2026-11-23T00:00:00.000Z</LastModified>"
            f"<Size>{len(each.content or b'')}</Size></{kind}>"
            for each in page
            for kind in ("DeleteMarker" if each.content is None else "Version",)
        ]
        after = f"<NextKeyMarker>{listed(page[-1].key, names)}</NextKeyMarker>" if is_truncated else ""
        after += f"<NextVersionIdMarker>{page[-1].version_id}</NextVersionIdMarker>" if is_truncated else ""
        text = f"<ListVersionsResult><IsTruncated>{str(is_truncated).lower()}</IsTruncated>{after}{''.join(texts)}</ListVersionsResult>"
        return 200, text.encode(), XML

    def _list_uploads(self, names: dict[str, bytes]) -> Reply:
        prefix = names.get("prefix", b"")
        texts = [
            f"<Upload><Key>{listed(key, names)}</Key><UploadId>{upload_id}</UploadId></Upload>"
            for upload_id, (key, _) in self.uploads.items()
            if key.startswith(prefix)
        ]
        text = (
            f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{''.join(texts)}</ListMultipartUploadsResult>"
        )
        return 200, text.encode(), XML

    # --- Uploads in parts

    def _upload(self, request: Request, key: bytes, names: dict[str, bytes]) -> Reply:
        if "uploads" in names:
            self._upload_count += 1
            upload_id = f"upload-{self._upload_count}"
            self.uploads[upload_id] = (key, {})
            text = f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            return 200, text.encode(), XML
        upload_id = names["uploadId"].decode()
        if self.uploads.get(upload_id, (b"", {}))[0] != key:
            return error_reply(404, "NoSuchUpload")
        parts = self.uploads[upload_id][1]
        if request.method == b"PUT":
            parts[int(names["partNumber"])] = request.body
            return 200, b"", self._told(request.body)
        if request.method == b"DELETE":
            del self.uploads[upload_id]
            return 204, b"", {}
        if key in self.objects and request.header("x-cos-forbid-overwrite") == "true":
            return error_reply(409, "FileAlreadyExists")
        self.objects[key] = content = b"".join(part for _, part in sorted(parts.items()))
        del self.uploads[upload_id]
        text = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
        return (
            200,
            text.encode(),
            {**XML, **{name: value for name, value in self._told(content).items() if name != "ETag"}},
        )


def after_prefix(prefix: bytes) -> bytes:
    """What comes after all keys that begin so."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def listed(key: bytes, names: dict[str, bytes]) -> str:
    """A key as a list has it."""
    return encoded(key).replace("%2F", "/") if names.get("encoding-type") == b"url" else escape(key.decode())


class Fault(NamedTuple):
    """What goes wrong with an answer.

    Attributes:
        reply: what is answered instead; None for the right answer.
        delay: seconds before it.
        sent: how much of the body is sent before the connection is cut; None for all.
        reset: "before" the request is carried out, or "after" it: the connection is reset, as by a server that is
            killed; "" if it is not.
    """

    reply: Reply | None = None
    delay: float = 0.0
    sent: int | None = None
    reset: str = ""


class CosServer:
    """The server, while it runs.

    A key ``redirect`` answers with status ``status`` and Location ``to``. A server that `stores` is an object store:
    `Store` has what it can do. Everything else is answered with 200 and the key.

    Attributes:
        buckets: the stores by their buckets' names; a server that has any judges by the Host which one is meant.
        regions: of buckets in other regions than that which the Host may name.
        plan: gives what goes wrong with a request, or None.
    """

    def __init__(self, secrets: Callable[[], Iterable[tuple[str, str, str | None]]]) -> None:
        self.secrets = secrets  # (SecretId, SecretKey, token) that are good now
        self.bucket = "examplebucket-1250000000"
        self.offset = 0.0  # seconds that its clock is ahead
        self.judges = True
        self.stores = False
        self.has_cors = False  # whether the bucket has a rule for pages of any origin
        self.store = Store()
        self.buckets: dict[str, Store] = {}
        self.regions: dict[str, str] = {}
        self.plan: Callable[[Request], Fault | None] | None = None
        self.failures: list[int] = []  # statuses with which the next requests are answered
        self.requests: list[Request] = []
        self.refusals: list[str] = []
        self.watch: Callable[[Request], None] | None = None
        self.permits: Callable[[Request, str], str] | None = (
            None  # why the policy of a SecretId forbids a request, or ""
        )
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
                fault = (server.plan and server.plan(request)) or Fault()
                time.sleep(fault.delay)
                if fault.reset:
                    if fault.reset == "after":
                        server.answer(request)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                status, text, more = fault.reply or server.answer(request)
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + server.offset, usegmt=True))
                self.send_header("Content-Length", str(len(text)))
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                if method != b"HEAD":
                    self.wfile.write(text[: fault.sent])
                if fault.sent is not None:
                    self.close_connection = True

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
                if self.buckets:
                    return error_reply(403, refused.partition(":")[0])
                return 403, getattr(refused, "body", refused).encode(), {}
        path = unquote_to_bytes(request.target.partition(b"?")[0])
        if self.failures:
            return self.failures.pop(0), b"", {}
        if self.stores or self.buckets:
            return self.stored(request, path[1:])
        if path == b"/redirect":
            query = dict(parse_qsl(request.target.partition(b"?")[2].decode()))
            return int(query["status"]), b"", {"Location": query["to"]}
        return 200, path[1:], {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'}

    @property
    def objects(self) -> dict[bytes, bytes]:
        """Those of the only bucket."""
        return self.store.objects

    def stored(self, request: Request, key: bytes) -> Reply:
        """The answer of the bucket that Host names."""
        if not self.buckets:
            return self.store.answer(request, key)
        name, _, place = (request.header("Host") or "").partition(".cos.")
        if name not in self.buckets:
            return error_reply(404, "NoSuchBucket") if request.method != b"HEAD" else (404, b"", {})
        region = self.regions.get(name, "")
        if region and not place.startswith(f"{region}."):
            return error_reply(301, "PermanentRedirect", **{"x-cos-bucket-region": region})
        return self.buckets[name].answer(request, key)


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

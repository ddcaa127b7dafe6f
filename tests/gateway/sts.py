"""A stand-in for STS, and what the policies of its temporary keys allow, judged without cossign."""

from __future__ import annotations

import contextlib
import fnmatch
import http.server
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from tests.conftest import BUCKET
from tests.cos_server import Request, form_of, query_of


class Sts:
    """A stand-in for STS: it gives keys, and remembers what each may do."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.policies: dict[str, Any] = {}
        self.fails = False
        sts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                data = json.dumps({"Response": sts.answer(body)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.fails:
            return {"Error": {"Code": "InternalError.Test", "Message": "no"}}
        self.asked.append(body)
        secret_id = f"AKIDtmp{len(self.asked)}"
        self.policies[secret_id] = json.loads(unquote(body["Policy"]))
        keys = {"TmpSecretId": secret_id, "TmpSecretKey": f"key-{secret_id}", "Token": f"token-{secret_id}"}
        return {"Credentials": keys, "ExpiredTime": int(time.time()) + body["DurationSeconds"]}

    def secrets(self) -> list[tuple[str, str, str]]:
        return [(each, f"key-{each}", f"token-{each}") for each in self.policies]

    def permits(self, request: Request, secret_id: str) -> str:
        """Why the policy of a temporary key forbids a request, judged by the documents of COS and CAM alone."""
        if secret_id not in self.policies:
            return ""
        key = request.target.partition(b"?")[0].decode()
        query = {name.decode(): value.decode() for name, value in query_of(request.target)}
        kind = (request.header("Content-Type") or "").encode()
        if request.method == b"POST" and kind.startswith(b"multipart/form-data"):
            path, action = form_of(kind, request.body)[0]["key"], "PostObject"
        else:
            path, action = unquote(key)[1:], action_of(request.method.decode(), unquote(key)[1:], query)
        return "" if allows(self.policies[secret_id], action, path, query) else f"AccessDenied: {action} {path}"


def action_of(method: str, key: str, query: Mapping[str, str]) -> str:
    if not key:
        return "ListMultipartUploads" if "uploads" in query else "GetBucket" if method == "GET" else f"Bucket{method}"
    if "uploads" in query:
        return "InitiateMultipartUpload"
    if "uploadId" in query:
        return {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "GET": "ListParts",
            "DELETE": "AbortMultipartUpload",
        }[method]
    for name in ("acl", "tagging", "restore", "append"):
        if name in query:
            return f"{method}{name}"
    return {
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "PUT": "PutObject",
        "DELETE": "DeleteObject",
        "POST": "PostObject",
    }[method]


def allows(policy: Any, action: str, key: str, query: Mapping[str, str]) -> bool:
    """Whether a statement allows a call: a list is of the keys that begin with its prefix."""
    is_list = action in ("GetBucket", "ListMultipartUploads")
    resource = f"qcs::cos:ap-beijing:uid/1250000000:{BUCKET}/{query.get('prefix', '') if is_list else key}"
    for statement in policy["statement"]:
        prefixes = statement.get("condition", {}).get("string_like", {}).get("cos:prefix", ["*"])
        if (
            f"name/cos:{action}" in statement["action"]
            and any(fnmatch.fnmatchcase(resource, each.replace("[", "[[]")) for each in statement["resource"])
            and (
                "condition" not in statement
                or any(fnmatch.fnmatchcase(query.get("prefix", ""), each) for each in prefixes)
            )
        ):
            return True
    return False


@contextlib.contextmanager
def answering() -> Iterator[Sts]:
    found = Sts()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()

"""What is fuzzed: functions of an input's bytes, which return nothing and raise nothing unless something is wrong.

Each knows what must hold for every input: the documented errors only, no secret in a text, no more accepted than a
judge without cossign accepts. TARGETS has all of them by name; `python -m tests.fuzz NAME` runs one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import hashlib
import json
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from cossign import CosSignError, Credentials, Signer, Verified
from cossign.batch import InputError
from cossign.batch.inputs.choice import ColumnChoice
from cossign.batch.inputs.source import Source
from cossign.batch.inputs.tables import Tables
from cossign.errors import ParameterError
from cossign.explain import explain
from cossign.gateway import Gateway
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import refusal
from tests.fuzz import arrow
from tests.gateway.attacks import Attack
from tests.gateway.judging import LONGEST, wrong
from tests.gateway.serving import CAROL, HOST, POLICY, PROXY

TOKEN = "a-token-that-nobody-may-see"
CREDENTIALS = Credentials(SECRET_ID, SECRET_KEY, TOKEN)
SIGNER = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
LASTING = (1764100000, 4102444800)  # a KeyTime until 2100, so that the corpus stays valid


class Given(random.Random):
    """Numbers out of an input's bytes, and zeros after them: code that asks for random numbers can be fuzzed with it."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._left = memoryview(data)

    def getrandbits(self, k: int) -> int:
        size = (k + 7) // 8
        taken, self._left = self._left[:size], self._left[size:]
        return int.from_bytes(taken, "little") & ((1 << k) - 1)

    def random(self) -> float:
        return self.getrandbits(16) / (1 << 16)


def texts(data: bytes, count: int) -> list[str]:
    """`count` texts out of an input, parted by NUL. Bytes that are not UTF-8 become surrogates, as in sys.argv."""
    parts = data.split(b"\0", count - 1)
    parts += [b""] * (count - len(parts))
    return [part.decode("utf-8", "surrogateescape") for part in parts]


def explained(data: bytes) -> None:
    """explain(): NUL parts the request, COS's answer and a header. A key is at hand, which takes long, after a "!"."""
    with_key = data.startswith(b"!")
    request, answer, header = texts(data.removeprefix(b"!"), 3)
    name, _, value = header.partition(":")
    try:
        found = explain(
            request, headers={name: value} if header else None, credentials=[CREDENTIALS] if with_key else [],
            error=answer or None, now=1764200000, hosts=["www.example.com"],
        )  # fmt: skip
        told = f"{found}{found.json()}{found.html()}"
    except ParameterError as error:
        told = str(error)
    assert not with_key or (SECRET_KEY not in told and TOKEN not in told)


def verified(data: bytes) -> None:
    """Signer.verify(): NUL parts the URL, the method and Host. What it accepts, a judge without cossign accepts, too."""
    url, method, host = texts(data, 3)
    method = method or "GET"
    try:
        SIGNER.verify(url, method=method, headers={"Host": host} if host else None)
    except CosSignError:
        return
    if "q-signature=" not in url:  # the parameter sign=, which the judge does not know
        return
    parts = urlsplit(url)
    asked = host or parts.netloc
    # verify takes the fields' names and the lists in any case, and the judge does not
    query = re.sub("(?i)(^|&)q-([a-z-]+-list=[^&]*|[a-z-]+=)", lambda field: field[0].lower(), parts.query)
    target = f"{parts.path}?{query}".encode("utf-8", "surrogateescape")
    pairs = [(b"host", asked.lower().encode("utf-8", "surrogateescape"))]
    assert not refusal(method.encode(), target, pairs, SECRET_ID, SECRET_KEY, None, time.time())


SAID = (
    "secret_id", "method", "key", "key_time", "signature", "header_list", "url_param_list", "unsigned_params",
    "http_string", "string_to_sign",
)  # fmt: skip


def verified_many(data: bytes) -> None:
    """Signer.verify_many(), which must agree with verify() about each line."""
    urls = data.decode("utf-8", "surrogateescape").split("\n")[:50]
    for url, found in zip(urls, SIGNER.verify_many(urls), strict=True):
        alone: object
        try:
            alone = SIGNER.verify(url)
        except CosSignError as error:
            alone = error
        assert (type(found), str(found)) == (type(alone), str(alone))
        if isinstance(found, Verified):
            assert [getattr(found, name) for name in SAID] == [getattr(alone, name) for name in SAID]


def presigned(data: bytes) -> None:
    """Signer.presign_arrow(): arrays, well formed and forged, in every column."""
    source = Given(data)
    (arrow.forged if source.randrange(3) else arrow.well_formed)(source)


FORMS = ("", "CSV", "PARQUET", "ORC")


def listed(data: bytes) -> None:
    """The inventory reader: a manifest, or a data file of one."""
    form = FORMS[data[0] % len(FORMS)] if data else ""
    packed = bool(data) and data[0] >= 128
    folder = _folder()
    manifest = data[1:]
    if form:
        name = f"data.{form.lower()}{'.gz' if packed else ''}"
        (folder / name).write_bytes(data[1:])
        entry = {"key": name, "size": str(len(data) - 1), "md5Checksum": hashlib.md5(data[1:]).hexdigest()}
        manifest = json.dumps({
            "fileFormat": form, "fileSchema": "Bucket, Key, Size", "files": [entry], "listObjectCount": "2",
        }).encode()  # fmt: skip
    (folder / "manifest.json").write_bytes(manifest)
    with contextlib.suppress(InputError):
        source = Source([str(folder / "manifest.json")])
        for batch in Tables(source, ColumnChoice("key", ["Size"])).batches():
            batch.table.validate(full=True)


@functools.cache
def _folder() -> Path:
    """A folder for this process, in memory if there is one."""
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def _gateway() -> tuple[Gateway, asyncio.AbstractEventLoop]:
    os.environ["CAROLS_KEY"] = CAROL[1]
    path = _folder() / "gateway.toml"
    path.write_text(POLICY, "utf-8")
    made = Gateway(path, credentials=Credentials(SECRET_ID, SECRET_KEY))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(made.start())
    atexit.register(lambda: (loop.run_until_complete(made.stop()), loop.close()))
    return made, loop


def asked(data: bytes) -> None:
    """A request to the gateway: its head, as servers hand it on, and its body."""
    head, _, body = data.partition(b"\n\n")
    line, *lines = head.split(b"\n")
    method, _, target = line.decode("latin-1").partition(" ")
    path, _, query = target.partition("?")
    headers = [(b"host", HOST.encode())]
    for each in lines:
        name, _, value = each.partition(b":")
        headers.append((name.strip().lower(), value.strip()))
    scope = {
        "type": "http", "method": method, "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode("latin-1"), "query_string": query.encode("latin-1"), "headers": headers,
        "client": (PROXY, 1),
    }  # fmt: skip
    events: list[Any] = []
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return pieces.pop() if pieces else await asyncio.sleep(3600)

    async def send(event: Any) -> None:
        events.append(event)

    gateway, loop = _gateway()
    try:
        loop.run_until_complete(gateway(scope, receive, send))
    except ConnectionAbortedError:  # a bad row after good ones: the client must not take the answer for a whole one
        assert events
    assert events[0]["type"] == "http.response.start"
    found = {name.decode(): value.decode("latin-1") for name, value in events[0]["headers"]}
    answer = (events[0]["status"], found, b"".join(event["body"] for event in events[1:]))
    if path.startswith(("/img/", "/up/", "/authorize", "/sign")):
        of = dict(headers)
        original = tuple(of.get(name, b"").decode("latin-1") for name in (b"x-original-method", b"x-original-uri"))
        attacks = (Attack("", data, method, True, original, prefix) for prefix in LONGEST)  # type: ignore[arg-type]
        problems = [wrong(attack, answer) for attack in attacks]
        assert "" in problems, problems
    assert answer[0] < 500 or answer[0] == 501


TARGETS: dict[str, Callable[[bytes], None]] = {
    "explain": explained, "verify": verified, "verify_many": verified_many, "presign_arrow": presigned,
    "inventory": listed, "gateway": asked,
}  # fmt: skip

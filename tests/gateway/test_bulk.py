"""POST /presign: text, JSON and Arrow, streamed both ways, in bounded memory, over a real server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import http.client
import io
import json
import random
import shutil
import socket
import struct
import subprocess
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cossign import Credentials, Signer
from cossign.gateway import Gateway, bulk
from cossign.gateway._gate import KeyFilter, judged_path
from cossign.gateway.bulk import Refusal, _check_messages, _json_lines
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY, scaled
from tests.gateway.serving import SERVERS, Client, Served, children, head, request, serving
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parent.parent.parent
ARROW = "application/vnd.apache.arrow.stream"
BULK = f"""
graceful_timeout = 3
listen = "127.0.0.1:0"
[bulk]
max_rows = 3000000
max_bytes = 60000000
concurrent = 4
[[route]]
name = "all"
bucket = "{BUCKET}"
region = "ap-beijing"
prefix = "p/"
params = ["response-content-type"]
methods = ["GET", "PUT"]
expires = "1h"
[[caller]]
name = "anyone"
anonymous = true
[[caller.allow]]
routes = ["all"]
prefixes = ["p/a/", "p/b/"]
params = ["*"]
methods = ["GET", "PUT"]
bulk = true
[[caller]]
name = "other"
token_sha256 = "{hashlib.sha256(b"other").hexdigest()}"
[[caller.allow]]
routes = ["all"]
prefixes = ["p/c/"]
bulk = true
"""
SIGNER = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region="ap-beijing")


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("bulk") / "gateway.toml", BULK, request.param) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=PATIENCE) as found:
        yield found


def keys_of(urls: list[str], **options: Any) -> list[str | None]:
    return [SIGNER.verify(url, **options).key if url else None for url in urls]


def test_text(client: httpx.Client) -> None:
    keys = ["p/a/1", "p/b/ä b.jpg", "p/a/x+y", "p/a/c&d=e"]
    answer = client.post("/presign?route=all", content="\n".join(keys).encode())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain")
    assert answer.text.endswith("\n")
    assert keys_of(answer.text.splitlines()) == keys
    crlf = client.post("/presign", content=b"p/a/1\r\np/a/2\r\n")
    assert keys_of(crlf.text.splitlines()) == ["p/a/1", "p/a/2"]
    empty = client.post("/presign", content=b"")
    assert (empty.status_code, empty.text) == (200, "")


def test_the_pages_example(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    docs = ROOT / "docs"
    page = (docs / "gateway.md").read_text("utf-8").partition("## Bulk")[2]
    commands = page.partition("```sh\n")[2].partition("```")[0]
    policy = (docs / "gateway.toml").read_text("utf-8").replace("workers = 2\n", "").replace(":8080", ":0")
    with serving(tmp_path / "gateway.toml", policy) as served:
        commands = commands.replace(":8080", f":{served.port}")
        for token, status in (("example-token", 0), ("another-token", 22)):
            sent = commands.replace("example-token", token).replace("|| cat urls.txt", "")
            done = subprocess.run(["sh", "-c", sent], cwd=tmp_path, timeout=PATIENCE, check=False)
            assert done.returncode == status
            text = (tmp_path / "urls.txt").read_text()
            if status:
                assert json.loads(text)["error"] == "unknown_token"
            else:
                assert [url.partition("?")[0].rpartition("/photos/")[2] for url in text.splitlines()] == [
                    "a.jpg",
                    "b.jpg",
                ]


def test_what_is_signed(client: httpx.Client) -> None:
    query = "/presign?method=PUT&expires=10m&response-content-type=text/plain"
    [url] = client.post(query, content=b"p/a/1").text.splitlines()
    verified = SIGNER.verify(url, method="PUT", require_params=["response-content-type"])
    assert verified.key_time[1] - verified.key_time[0] == 600
    [url] = client.post("/presign", content=b"p/a/1").text.splitlines()
    verified = SIGNER.verify(url)
    assert verified.key_time[1] - verified.key_time[0] == 3600


def test_what_is_not_signed(client: httpx.Client) -> None:
    for query, status, code, more in (
        ("expires=2h", 403, "expires", "3600 seconds at most"), ("expires=soon", 400, "bad_query", "not a duration"),
        ("method=DELETE", 403, "method_not_granted", "the route does not accept it"), ("route=no", 404, "no_route", ""),
        ("acl=", 403, "parameter", ""),
    ):  # fmt: skip
        answer = client.post(f"/presign?{query}", content=b"p/a/1")
        assert (answer.status_code, answer.json()["error"]) == (status, code)
        assert more in answer.json()["message"]


def test_a_bad_row_ends_the_request_or_gets_no_url(client: httpx.Client) -> None:
    rows = b"p/a/1\np/c/2\np/a/../b\n\np/a/\x01\np/b/" + b"x" * 900 + b"\np/b/\xff\np/b/4"
    answer = client.post("/presign", content=rows)
    assert (answer.status_code, answer.json()["error"]) == (403, "prefix")
    assert "row 1" in answer.json()["message"]
    for body, status, row in (
        (b"p/a/1\n\n", 400, 1),
        (b"p/b/\xff\n", 400, 0),
        (b"p/a/1\np/a/2\np/a/" + b"x" * 900, 400, 2),
    ):
        answer = client.post("/presign", content=body)
        assert (answer.status_code, f"row {row}" in answer.json()["message"]) == (status, True), answer.text
    answer = client.post("/presign?on_error=null", content=rows)
    assert keys_of(answer.text.split("\n")[:-1]) == ["p/a/1", None, None, None, None, None, None, "p/b/4"]


def test_json(client: httpx.Client) -> None:
    for body in (["p/a/1", "p/b/ä"], {"keys": ["p/a/1", "p/b/ä"]}):
        answer = client.post("/presign", json=body)
        assert answer.json()["errors"] == []
        assert keys_of(answer.json()["urls"]) == ["p/a/1", "p/b/ä"]
    answer = client.post("/presign?on_error=null", json=["p/a/1", "no", "p/a/a\nb", "", "p/a/\\"])
    assert keys_of(answer.json()["urls"]) == ["p/a/1", None, None, None, None]
    assert [(row, reason.partition(":")[0]) for row, reason in answer.json()["errors"]] == [
        (1, "prefix"), (2, "prefix"), (3, "is empty"), (4, "backslash"),
    ]  # fmt: skip
    assert client.post("/presign", json=[]).json() == {"urls": [], "errors": []}
    spaced = b'\xef\xbb\xbf {\r\n\t"keys" : [ "p/a/1" ,\n"p/b/\\u00e4\\u0041" ]\n} \n'
    answer = client.post("/presign", content=spaced, headers={"content-type": "application/json"})
    assert keys_of(answer.json()["urls"]) == ["p/a/1", "p/b/äA"]
    for body in (
        b"", b"{}", b"null", b"[1]", b'{"keys": "a"}', b"[", b'["\\ud800"]', b"[" * 10**5, b"\xff", b'["p/a/1",]', b"[,]",
        b'["p/a/1" "p/a/2"]', b'["p/a/1"', b'["p/a/1]', b'["p/a/1"]]', b'["p/a/1"]}', b'{"keys": ["p/a/1"]', b'["\n"]',
        b'{"keys": ["p/a/1"], "more": 1}', b'["p/a/1", null]', b'{"keys": [["p/a/1"]]}', "['p/a/1']".encode("utf-16"),
    ):  # fmt: skip
        answer = client.post("/presign", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_body"), body[:20]
    huge = client.post("/presign", content=b" " * (5 << 20), headers={"content-type": "application/json"})
    assert huge.status_code == 413
    many = [f"p/a/{number}" for number in range(100_000)]
    assert keys_of(client.post("/presign", json=many).json()["urls"][::9999]) == many[::9999]
    answer = client.post("/presign?on_error=null", json=["no"] * 20_000 + ["p/a/1"]).json()
    assert (len(answer["urls"]), len(answer["errors"]), answer["errors"][9999]) == (20_001, 10_000, [9999, "prefix"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans(), st.sampled_from([None, 0, 2]))
def test_json_is_read_as_pythons_own_reader_does(keys: list[str], escaped: bool, indent: int | None) -> None:
    for content in (keys, {"keys": keys}):
        body = json.dumps(content, ensure_ascii=escaped, indent=indent).encode()
        lines = ["\t" if "\n" in key else key for key in keys]
        assert _json_lines(bytearray(body)).decode() == "".join(line + "\n" for line in lines)


def arrow(*batches: Any, name: str = "key") -> bytes:
    sink = io.BytesIO()
    records = [
        pa.record_batch([batch if isinstance(batch, pa.Array) else pa.array(batch)], [name]) for batch in batches
    ]
    with pa.ipc.new_stream(sink, records[0].schema) as writer:
        for record in records:
            writer.write_batch(record)
    return sink.getvalue()


def test_arrow(client: httpx.Client) -> None:
    headers = {"content-type": ARROW}
    for body in (
        arrow(["p/a/1", "p/b/ä"], ["p/a/3"]),
        arrow(["p/a/1", "p/b/ä", "p/a/3"], name="path"),
        arrow(pa.array(["p/a/1", "p/b/ä", "p/a/3"]).dictionary_encode()),
        arrow(pa.array(["p/a/1", "p/b/ä", "p/a/3"], pa.large_string())),
        arrow(pa.array(["p/a/1", "p/b/ä", "p/a/3"], pa.string_view())),
    ):
        answer = client.post("/presign", content=body, headers=headers)
        assert answer.headers["content-type"] == ARROW
        table = pa.ipc.open_stream(answer.content).read_all()
        assert table.column_names == ["url"]
        assert keys_of(table["url"].to_pylist()) == ["p/a/1", "p/b/ä", "p/a/3"]
    body = arrow(["p/a/1", None, "no", "p/a/2\np/a/3", "p/b/4"])
    answer = client.post("/presign?on_error=null", content=body, headers=headers)
    urls = pa.ipc.open_stream(answer.content).read_all()["url"]
    assert keys_of(urls.to_pylist()) == ["p/a/1", None, None, None, "p/b/4"]
    many = [f"p/a/{number:06d}" for number in range(100_000)]
    answer = client.post("/presign", content=arrow(many, many), headers=headers)
    assert keys_of(pa.ipc.open_stream(answer.content).read_all()["url"].to_pylist()[::5000]) == (many + many)[::5000]
    assert client.post("/presign", content=arrow(["no"]), headers=headers).status_code == 403
    frame = pl.DataFrame({"key": ["p/a/1", None, "p/b/ä", "p/a/1"]})
    for kind in (pl.String, pl.Categorical, pl.Enum(["p/a/1", "p/b/ä"])):
        sink = io.BytesIO()
        frame.select(pl.col("key").cast(kind)).write_ipc_stream(sink, compression="uncompressed")
        answer = client.post("/presign?on_error=null", content=sink.getvalue(), headers=headers)
        urls = pa.ipc.open_stream(answer.content).read_all()["url"].to_pylist()
        assert keys_of(urls) == ["p/a/1", None, "p/b/ä", "p/a/1"]
    for write, what in ((frame.write_ipc, "an Arrow file"), (frame.write_parquet, "a Parquet file")):
        sink = io.BytesIO()
        write(sink)
        answer = client.post("/presign", content=sink.getvalue(), headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_body")
        assert f"{what}; send an Arrow stream" in answer.json()["message"]
    two = pa.record_batch([["p/a/1"], [1]], ["path", "size"])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, two.schema) as writer:
        writer.write_batch(two)
    whole = arrow(many)
    for body in (b"", b"junk", b"\xff" * 100, whole[:-100], whole[:50], sink.getvalue(), arrow([1, 2])):
        answer = client.post("/presign", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_body")
    for body in (arrow(["p/a/" + "x" * (8 << 20)]), iter([b"x" * (1 << 20)] * 17)):
        large = client.post("/presign", content=body, headers=headers)
        assert (large.status_code, large.json()["error"]) == (413, "too_large")
        assert "8388608 bytes at most" in large.json()["message"]
    fields = pa.schema([(f"column-{number}", pa.int8()) for number in range(5000)])
    wide = client.post("/presign", content=fields.serialize().to_pybytes(), headers=headers)
    assert (wide.status_code, wide.json()["error"]) == (413, "too_large")
    assert "262144 bytes at most" in wide.json()["message"]


class Receiving:
    """What a server gives the application; as granian's, it keeps the connection open for as long as it lives."""

    def __init__(self, chunks: list[bytes], stays: float = 10) -> None:
        self._chunks = chunks
        self._stays = stays  # seconds
        self.has_gone = False

    async def __call__(self) -> dict[str, Any]:
        if not self._chunks:
            await asyncio.sleep(self._stays)
            self.has_gone = True
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._chunks.pop(0), "more_body": bool(self._chunks)}


@pytest.mark.parametrize(
    "kind, chunks, status",
    [
        ("text/plain", [b"p/a/1\n"], 200), ("text/plain", [b"p/a/1\n", b"no\n"], 403), ("text/plain", [b"p/a/../x\n"], 400),
        ("text/plain", [b"p/a/1"] + [b"x" * (1 << 20)] * 40, 413), ("text/plain", [b"p/a/1\n" * 1_000_000] * 40, 200),
        (ARROW, [struct.pack("<iI", -1, 1 << 30), b"x" * 100, b"x"], 400), (ARROW, [b"x" * (1 << 20)] * 40, 413), ("image/png", [b"x"], 415),
    ],
)  # fmt: skip
def test_nothing_of_a_request_is_kept(kind: str, chunks: list[bytes], status: int, tmp_path: Path) -> None:
    """Not even until the garbage collector comes, or a client that still sends its body waits for that."""
    path = tmp_path / "gateway.toml"
    path.write_text(BULK.replace("127.0.0.1:0", "127.0.0.1:1"))
    gateway = Gateway(path, credentials=Credentials(SECRET_ID, SECRET_KEY))
    seen: list[int] = []

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            seen.append(event["status"])

    async def asked() -> bool:
        receive = Receiving(list(chunks))
        alive = weakref.ref(receive)
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/presign", "query_string": b"",
            "raw_path": b"/presign", "headers": [(b"host", b"gw"), (b"content-type", kind.encode())], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await gateway(scope, receive, send)
        del receive
        await asyncio.sleep(0.1)
        return alive() is None

    gc.disable()
    try:
        assert asyncio.run(asked())
    finally:
        gc.enable()
    assert seen == [status]


@pytest.mark.parametrize("sends", ["nothing", "byte by byte"])
def test_a_client_that_hardly_sends_loses_its_place(
    sends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PATIENCE", 0.3)
    path = tmp_path / "gateway.toml"
    path.write_text(BULK.replace("127.0.0.1:0", "127.0.0.1:1"))
    gateway = Gateway(path, credentials=Credentials(SECRET_ID, SECRET_KEY))
    events: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02 if sends == "byte by byte" else 10 * PATIENCE)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(event: Any) -> None:
        events.append(event)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/presign", "query_string": b"",
        "raw_path": b"/presign", "headers": [(b"host", b"gw")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(gateway(scope, receive, send), PATIENCE))
    assert (events[0]["status"], json.loads(events[1]["body"])["error"]) == (408, "stalled")


def test_a_client_that_reads_nothing_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_PATIENCE", 0.3)
    path = tmp_path / "gateway.toml"
    path.write_text(BULK.replace("127.0.0.1:0", "127.0.0.1:1"))
    gateway = Gateway(path, credentials=Credentials(SECRET_ID, SECRET_KEY))
    events: list[Any] = []

    async def send(event: Any) -> None:
        events.append(event)
        if event["type"] == "http.response.body":
            await asyncio.sleep(10 * PATIENCE)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/presign", "query_string": b"",
        "raw_path": b"/presign", "headers": [(b"host", b"gw")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    receive = Receiving([b"p/a/1\n"], stays=60)
    asyncio.run(asyncio.wait_for(gateway(scope, receive, send), PATIENCE))
    assert not receive.has_gone
    assert [event["type"] for event in events] == ["http.response.start", "http.response.body"]  # without an end


def test_arrow_that_would_grow(served: Served, client: httpx.Client) -> None:
    """A small body that would be gigabytes of keys."""
    before = peak(served)
    longest = "p/a/" + "x" * (1 << 20)
    allowed = pa.array(["p/a/" + "x" * 800], pa.string_view())
    categories = pa.Array.from_buffers(
        pa.string_view(),
        100_000,
        [None, pa.py_buffer(allowed.buffers()[1].to_pybytes() * 100_000), allowed.buffers()[2]],
    )
    shared = pa.DictionaryArray.from_arrays(pa.array([0, 1]), categories)
    views = pa.array([longest], pa.string_view())
    aliased = pa.Array.from_buffers(
        pa.string_view(), 100_000, [None, pa.py_buffer(views.buffers()[1].to_pybytes() * 100_000), views.buffers()[2]]
    )
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int8()), pa.array([longest]))
    sink = io.BytesIO()
    record = pa.record_batch([pa.array(["p/a/" + "0" * 500] * 200_000)], ["key"])
    for codec in ("zstd", "lz4"):
        with pa.ipc.new_stream(sink, record.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
            writer.write_batch(record)
    for body, what in (
        (arrow(aliased), "too long"),
        (arrow(repeated), "too long"),
        (arrow(shared), "share their bytes"),
        (sink.getvalue(), "compressed"),
    ):
        answer = client.post("/presign", content=body, headers={"content-type": ARROW})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_body")
        assert what in answer.json()["message"]
    assert peak(served) - before < 64 << 20
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 100, pa.int8()), pa.array(["p/a/1", "p/a/2"]))
    answer = client.post("/presign", content=arrow(dictionary), headers={"content-type": ARROW})
    assert keys_of(pa.ipc.open_stream(answer.content).read_all()["url"].to_pylist()) == ["p/a/1", "p/a/2"] * 100


OFFSETS = [
    (-2_000_000_000, -1_999_999_990, -1_999_999_980, -1_999_999_970, -1_999_999_960), (44, 33, 22, 11, 0),
    (2_147_483_000, 2_147_483_010, 2_147_483_020, 2_147_483_030, 2_147_483_040), (0, 11, 22, 33, 45), (0, 11, 22, 33, 114),
    (1, 12, 23, 34, 45), (-1, 11, 22, 33, 44), (0, 50, 22, 33, 44), (0, 0, 0, 0, 2_147_483_647),
]  # fmt: skip


def forged_bodies() -> Iterator[tuple[str, bytes]]:
    """Arrow streams of four keys, whose numbers point elsewhere."""
    keys = [f"p/a/photo-{number}" for number in range(4)]
    ends = [11 * number for number in range(5)]
    for kind, form in ((pa.string(), "<5i"), (pa.large_string(), "<5q")):
        good = arrow(pa.array([key[:11] for key in keys], kind))
        assert good.count(struct.pack(form, *ends)) == 1
        for offsets in OFFSETS:
            yield f"{kind} {offsets}", good.replace(struct.pack(form, *ends), struct.pack(form, *offsets))
    keys = [f"p/a/photo-{number}-long" for number in range(4)]
    good = arrow(pa.array(keys, pa.string_view()))
    view = struct.pack("<i4s2i", 16, b"p/a/", 0, 32)
    assert good.count(view) == 1
    for size, buffer, offset in (
        (16, 1, 0), (16, -1, 0), (16, 2**31 - 1, 0), (16, 0, 49), (16, 0, -1), (16, 0, 2**31 - 1), (-1, 0, 0),
        (2**31 - 1, 0, 0), (17, 0, 48), (-(2**31), 0, 0),
    ):  # fmt: skip
        yield f"view {size, buffer, offset}", good.replace(view, struct.pack("<i4s2i", size, b"p/a/", buffer, offset))
    dictionary = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int32()), pa.array([key[:11] for key in keys])
    )
    good = arrow(dictionary)
    for indices in ((0, 1, 2, 4), (-1, 0, 0, 0), (2**31 - 1, 0, 0, 0)):
        yield f"indices {indices}", good.replace(struct.pack("<4i", 0, 1, 2, 3), struct.pack("<4i", *indices))
    for offsets in OFFSETS:
        yield f"dictionary {offsets}", good.replace(struct.pack("<5i", *ends), struct.pack("<5i", *offsets))
    yield "a name that is not UTF-8", arrow(pa.array(["p/a/1"])).replace(b"key", b"\xffey")
    yield "bytes that are not UTF-8", arrow(pa.array(["p/a/1"])).replace(b"p/a/1", b"p/a/\xff")


def test_arrow_that_points_elsewhere(served: Served, client: httpx.Client) -> None:
    """Each of these once ended a worker, or made it read memory that is not the body's."""
    workers = children(served)
    for number, (what, body) in enumerate(forged_bodies()):
        query = f"/presign?on_error={('fail', 'null')[number % 2]}"
        answer = client.post(query, content=body, headers={"content-type": ARROW})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_body"), what
    assert children(served) == workers


@scaled("rounds", 400, 2000)
def test_arrow_with_any_byte_changed(served: Served, client: httpx.Client, rounds: int) -> None:
    workers = children(served)
    source = random.Random(rounds)
    keys = ["p/a/1", "p/a/ä-and-more-than-twelve", "", "p/b/2"]
    bodies = [
        arrow(pa.array(keys, kind))
        for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
    ]
    for _ in range(rounds):
        body = bytearray(source.choice(bodies))
        for _ in range(source.randrange(1, 6)):
            body[source.randrange(len(body))] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
        with contextlib.suppress(httpx.RemoteProtocolError):  # it fails behind its first rows
            answer = client.post("/presign?on_error=null", content=bytes(body), headers={"content-type": ARROW})
            assert answer.status_code < 500, answer.text
    assert children(served) == workers


PLAIN = arrow(pa.array(["p/a/1"]))


@given(st.lists(st.tuples(st.integers(8, len(PLAIN) - 9), st.integers(0, 255)), max_size=4))
@settings(max_examples=500)
def test_any_metadata_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    """pyarrow verifies a message before its bytes are looked at."""
    data = bytearray(PLAIN)
    for at, byte in changes:
        data[at] = byte
    with contextlib.suppress(pa.ArrowException, OSError, Refusal):
        _check_messages(pa, pa.py_buffer(data))


def test_limits(served: Served, client: httpx.Client) -> None:
    for length, status in (("60000001", 413), ("99999999999999999999", 0), ("-1", 0)):
        answer = request(served.port, "POST", "/presign", {"Content-Length": length})
        assert answer[0] == status or (not status and (answer[0] == 0 or 400 <= answer[0] < 500))

    def rows() -> Iterator[bytes]:
        for _ in range(301):
            yield b"p/a/1\n" * 10_000

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        client.post("/presign", content=rows())

    def lines(size: int) -> Iterator[bytes]:
        """Of a key that is too long: the answer is an empty line for each."""
        line = b"p/a/" + b"x" * 4_995 + b"\n"
        for _ in range(size // 50_000):
            yield line * 10
        yield b"x" * (size % 50_000)

    def taken(size: int) -> bool:
        try:
            answer = client.post("/presign?on_error=null", content=lines(size))
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return False
        return answer.status_code == 200

    assert taken(60_000_000)
    assert not taken(60_000_001)
    line = client.post("/presign", content=b"p/a/" + b"x" * (34 << 20))
    assert (line.status_code, line.json()["error"]) == (413, "too_large")
    assert "1048576 bytes at most" in line.json()["message"]
    for headers, status in (
        ({"content-type": "text/html"}, 415),
        ({"content-type": "TEXT/PLAIN; charset=utf-8"}, 200),
        ({"content-type": ""}, 415),
    ):
        assert client.post("/presign", content=b"p/a/1", headers=headers).status_code == status
    assert client.get("/presign").status_code == 400


def test_a_request_that_fails_behind_its_first_rows_is_cut_off(served: Served, client: httpx.Client) -> None:
    rows = [b"p/a/%d" % number for number in range(100_000)]
    rows[90_000] = b"no"
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.post("/presign", content=b"\n".join(rows))
    assert client.post("/presign", content=b"p/a/1").status_code == 200
    assert "Traceback" not in "".join(served.said)  # a caller could fill the disk with them


def test_a_million_rows_stream_both_ways_in_bounded_memory(served: Served, client: httpx.Client) -> None:
    client.post("/presign", content=b"p/a/1")
    before = peak(served)

    def rows() -> Iterator[bytes]:
        for start in range(0, 2_000_000, 10_000):
            yield b"".join(b"p/a/photos/%08d.jpg\n" % number for number in range(start, start + 10_000))

    count, first, last = 0, b"", b""
    with client.stream("POST", "/presign", content=rows()) as answer:
        rest = b""
        for chunk in answer.iter_bytes():
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                first = first or lines[0]
                last = lines[-1]
                count += len(lines)
    assert (count, rest) == (2_000_000, b"")
    assert keys_of([first.decode(), last.decode()]) == ["p/a/photos/00000000.jpg", "p/a/photos/01999999.jpg"]
    assert peak(served) - before <= 64 << 20


def peak(served: Served) -> int:
    """The most memory that a worker has had, in bytes."""
    sizes = []
    for pid in children(served) or [served.process.pid]:
        status = Path(f"/proc/{pid}/status").read_text()
        sizes.append(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
    return max(sizes)


def test_a_client_that_reads_slowly_does_not_fill_the_memory(served: Served) -> None:
    before = peak(served)
    body = b"p/a/photos/picture.jpg\n" * 1_000_000
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(2)  # while the gateway takes nothing; what it has not taken by then, it never gets
        head = f"POST /presign HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(TimeoutError):
            connection.sendall(head.encode() + body)
        time.sleep(1)
        assert peak(served) - before <= 64 << 20
        connection.settimeout(PATIENCE)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_client_that_goes_ends_the_work(served: Served, client: httpx.Client) -> None:
    def rows() -> Iterator[bytes]:
        yield b"p/a/1\n" * 200_000
        raise KeyboardInterrupt

    def goes() -> bool:
        try:
            refused = client.post("/presign", content=rows())
        except KeyboardInterrupt:
            return True
        assert refused.status_code == 429  # the requests before still have their places
        return False

    for _ in range(6):  # more than may be under way at once
        until(goes, "a place")
    until(lambda: client.post("/presign", content=b"p/a/1").status_code == 200, "room for another request")


def test_too_many_at_once_are_told_to_come_again(served: Served, client: httpx.Client) -> None:
    rows = b"p/a/1\n" * 100_000  # so many that the answer begins before the request ends

    def begin() -> socket.socket | None:
        """All but the last row of a request, or None if it is refused."""
        connection = Client(served.port).connect()
        connection.settimeout(PATIENCE)
        connection.sendall(head("POST", "/presign", {"Content-Length": str(len(rows) + 6)}) + rows)
        status = connection.recv(12, socket.MSG_PEEK)
        if status == b"HTTP/1.1 200":
            return connection
        assert status == b"HTTP/1.1 429"  # the request before still has its place
        connection.close()
        return None

    held = [until(begin, "a place") for _ in range(3)]
    refused = client.post("/presign", content=b"p/a/1")
    assert (refused.status_code, refused.json()["error"], refused.headers["retry-after"]) == (429, "busy", "1")
    # The fourth place is for other callers.
    others = client.post("/presign", content=b"p/c/1", headers={"Authorization": "Bearer other"})
    assert (others.status_code, keys_of(others.text.splitlines())) == (200, ["p/c/1"])
    assert client.get("/a/1").status_code == 302  # others are answered meanwhile
    for connection in held:
        connection.sendall(b"p/a/2\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        urls = answer.read().decode().splitlines()
        assert (len(urls), keys_of(urls[-2:])) == (100_001, ["p/a/1", "p/a/2"])
        connection.close()


# --- The filter of rows

LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"/")), max_size=8)


@given(LINES, st.booleans(), st.booleans())
def test_rows_are_judged_as_paths_are(lines: list[bytes], unusual: bool, ended: bool) -> None:
    prefixes = (b"a", b"/", b"\xc3")
    block = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    kept, refused, rows = KeyFilter(prefixes, unusual).filter_lines(block, 100)
    given_lines = block.split(b"\n")
    if given_lines[-1] == b"":
        given_lines.pop()
    assert rows == len(given_lines)
    wanted = []
    for row, line in enumerate(given_lines):
        key = line.removesuffix(b"\r") if row < len(given_lines) - 1 or block.endswith(b"\n") else line
        escaped = b"/" + b"".join(b"%%%02x" % byte for byte in key)
        _decoded, code = judged_path(escaped, unusual)
        if code == "bad_encoding":  # that is not UTF-8 is said by the core
            code = refused.get(row, "ok")
        if key and not key.startswith(prefixes):
            code = "prefix"
        if not key:
            code = "ok"
        assert refused.get(row, "ok") == code, (line, refused)
        wanted.append(b"" if code != "ok" else line)
    assert kept == (b"\n".join(wanted) + (b"\n" if block.endswith(b"\n") else b"") if wanted else b"")
    assert json.dumps(sorted(refused)) == json.dumps(list(refused))

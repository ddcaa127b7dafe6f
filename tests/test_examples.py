"""The programs of examples/, each as its user runs it, against the server that judges without cossign."""

from __future__ import annotations

import hashlib
import html
import io
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, Store, refusal, running
from tests.waiting import PATIENCE

EXAMPLES = Path(__file__).parent.parent / "examples"
SMALL = {"PIECE_BYTES": "1000", "BACKOFF_SECONDS": "0"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CosServer]:
    monkeypatch.chdir(tmp_path)
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as found:
        found.stores = True
        for name, value in {
            "COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY, "COS_BUCKET": BUCKET, "COS_REGION": REGION,
            "COS_DOMAIN": found.url, **SMALL,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield found


def run(name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def test_every_program_is_tested_and_says_how_it_is_run() -> None:
    text = Path(__file__).read_text()
    programs = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix == ".py")
    assert len(programs) == 6
    for name in programs:
        assert f'"{name}"' in text
        assert f"python examples/{name}" in (EXAMPLES / name).read_text().partition('"""')[2].partition('"""')[0]


def test_a_form_in_a_browser_uploads_a_photo(server: CosServer) -> None:
    command = [sys.executable, str(EXAMPLES / "browser_upload.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        page = requests.get(program.stdout.readline().strip(), timeout=PATIENCE).text
        program.terminate()
    fields = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall('<input type="hidden" name="(.*?)" value="(.*?)">', page)
    }
    action = re.search('action="(.*?)"', page)
    assert action
    assert page.index('type="file"') > page.rindex('type="hidden"')
    files = {"file": ("me.jpg", b"JPEG", "image/jpeg")}
    assert requests.post(html.unescape(action[1]), data=fields, files=files, timeout=PATIENCE).status_code == 200
    assert server.objects == {fields["key"].encode(): b"JPEG"}
    assert re.fullmatch(r"photos/user-17/[0-9a-f]{32}\.jpg", fields["key"])
    for change in ({"Content-Type": "text/html"}, {"key": "index.html"}):
        form = {**fields, **change}
        assert requests.post(html.unescape(action[1]), data=form, files=files, timeout=PATIENCE).status_code == 403


def test_a_download_goes_on_where_it_ended(server: CosServer, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(4500)
    server.objects["视频/a b.mp4".encode()] = content
    server.failures = []
    seen: list[str | None] = []

    def fail_at_the_third(request: object) -> None:
        seen.append(request.header("Range"))
        if seen.count(None) == 1 and len(seen) == 4:
            server.failures.append(503)

    server.watch = fail_at_the_third
    done = run("resume_download.py", "视频/a b.mp4", "a.mp4", check=False)
    assert done.returncode != 0
    assert not Path("a.mp4").exists()
    assert Path("a.mp4.part").read_bytes() == content[:2000]
    done = run("resume_download.py", "视频/a b.mp4", "a.mp4")
    assert done.stdout == "2500 bytes\n"
    assert Path("a.mp4").read_bytes() == content
    assert seen[1:] == [
        "bytes=0-999", "bytes=1000-1999", "bytes=2000-2999", None, "bytes=2000-2999", "bytes=3000-3999", "bytes=4000-4499",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]
    again = run("resume_download.py", "视频/a b.mp4", "a.mp4", check=False)
    assert again.stderr == "a.mp4 is there already\n"
    Path("a.mp4").unlink()
    # An object that has changed begins again.
    Path("a.mp4.part").write_bytes(b"old")
    Path("a.mp4.etag").write_text('"old"')
    run("resume_download.py", "视频/a b.mp4", "a.mp4")
    assert Path("a.mp4").read_bytes() == content
    # So does a part that is longer than the object.
    Path("a.mp4").unlink()
    Path("a.mp4.part").write_bytes(b"x" * 5000)
    Path("a.mp4.etag").write_text(f'"{hashlib.md5(content).hexdigest()}"')
    run("resume_download.py", "视频/a b.mp4", "a.mp4")
    assert Path("a.mp4").read_bytes() == content


def test_an_upload_is_sent_again(server: CosServer) -> None:
    Path("a b.csv").write_bytes(b"1,2\n" * 1000)
    Path("c.csv").write_bytes(b"")
    server.failures = [503, 500]
    done = run("retrying_upload.py", "reports/", "a b.csv", "c.csv")
    assert re.fullmatch(r'a b\.csv "[0-9a-f]{32}"\nc\.csv "[0-9a-f]{32}"\n', done.stdout)
    assert server.objects == {b"reports/a b.csv": b"1,2\n" * 1000, b"reports/c.csv": b""}
    assert len(server.requests) == 4
    assert server.refusals == []
    assert all(request.header("Transfer-Encoding") is None for request in server.requests)
    server.offset = 5000  # this machine's clock is slow by as much
    run("retrying_upload.py", "reports/", "c.csv")


def test_large_files_are_streamed(server: CosServer, tmp_path: Path) -> None:
    contents = {name: random.Random(name).randbytes(300_000) for name in ("a.mp4", "b c.mp4", "d.mp4")}
    contents["empty.mp4"] = b""
    for name, content in contents.items():
        Path(name).write_bytes(content)
    done = run("stream_with_httpx.py", "upload", "videos/", *contents)
    assert sorted(done.stdout.split("\n")) == ["", *sorted(contents)]
    assert server.objects == {f"videos/{name}".encode(): content for name, content in contents.items()}
    assert all(request.header("Transfer-Encoding") is None for request in server.requests)
    for name in contents:
        Path(name).unlink()
    run("stream_with_httpx.py", "download", "videos/", *contents)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
    done = run("stream_with_httpx.py", "download", "videos/", "a.mp4", "missing.mp4", check=False)
    assert (done.returncode, done.stdout) == (1, "a.mp4\n")
    assert "missing.mp4: Client error '404" in done.stderr
    assert not Path("missing.mp4").exists()
    assert server.refusals == []


def test_a_link_to_a_thumbnail_does_not_give_the_original_away(server: CosServer) -> None:
    server.stores = False
    done = run("thumbnails.py", "photos/a.jpg", "照片/b c.jpg")
    urls = done.stdout.splitlines()
    assert [requests.get(url, timeout=PATIENCE).status_code for url in urls] == [200, 200]
    without = re.sub("&imageMogr2[^&]*", "", urls[0])
    assert without != urls[0]
    assert requests.get(without, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"))
def test_without_arguments_it_says_how_it_is_run(name: str, server: CosServer) -> None:
    done = run(name, check=False)
    assert f"python examples/{name}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_a_table_in_one_bucket_becomes_one_in_another(
    frame: str, server: CosServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("qcloud_cos")
    pytest.importorskip(frame)
    keys = ["a.jpg", "b c+%.jpg", "视频/头.mp4"]
    table = io.BytesIO()
    pq.write_table(pa.table({"key": pa.array(keys, pa.string()), "size": [1, 2, 3]}), table)
    server.buckets = {"lists-1250000000": Store(), "reports-1250000000": Store()}
    server.buckets["lists-1250000000"].objects[b"keys.parquet"] = table.getvalue()
    monkeypatch.setenv("COS_ENDPOINT", server.url)
    run("frames_in_buckets.py", frame, "cos://lists-1250000000/keys.parquet", "cos://reports-1250000000/urls.parquet")
    written = pq.read_table(io.BytesIO(server.buckets["reports-1250000000"].objects[b"urls.parquet"]))
    assert written["size"].to_pylist() == [1, 2, 3]
    for key, url in zip(keys, written["url"].to_pylist(), strict=True):
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}".encode()
        assert unquote(parts.path) == f"/{key}"
        assert not refusal(b"GET", target, [(b"host", parts.netloc.encode())], SECRET_ID, SECRET_KEY, None, time.time())
    failed = run(
        "frames_in_buckets.py", frame, "cos://lists-1250000000/no.parquet", "cos://reports-1250000000/no.parquet",
        check=False,
    )  # fmt: skip
    assert "there is no such object" in failed.stderr
    assert list(server.buckets["reports-1250000000"].objects) == [b"urls.parquet"]

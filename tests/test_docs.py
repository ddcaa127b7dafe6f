"""The pages of docs/: every example runs, against a real server that judges by the documents, without cossign."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow.parquet as pq
import pytest
import requests
import time_machine
from qcloud_cos import CosConfig, CosS3Client

import cossign
from cossign import COS, Credentials, KeyNameError, ParameterError, Signer, UnsignedHeaderWarning
from cossign.gateway import Gateway
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, Store, running
from tests.credentials.test_services import serving, sts_answer
from tests.integrations.conftest import ODD, inventory
from tests.waiting import PATIENCE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
DOCUMENTED = ("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz", None)
SECRETS = [(SECRET_ID, SECRET_KEY, None), ("AKIDtmp", "hidden", "hidden2"), ("AKID...", "...", "...")]
LEAST = {  # requests that must have arrived
    "credentials.md": 4, "clients.md": 6, "uploads.md": 1, "caching.md": 1, "gateway.md": 0, "security.md": 0,
    "frames.md": 4, "start.md": 1,
}  # fmt: skip


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.S | re.M)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CosServer]:
    """The bucket's host is the server, and STS is one, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COS_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("COS_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("COS_SESSION_TOKEN", raising=False)
    with running(lambda: SECRETS) as found, serving(lambda *_: (200, sts_answer(), {})) as sts:
        monkeypatch.setattr(cossign, "Signer", functools.partial(cossign.Signer, domain=found.url))
        monkeypatch.setattr(cossign, "StsCredentials", functools.partial(cossign.StsCredentials, endpoint=sts))
        yield found


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python") and page != "clusters.md"])
def test_examples_run(page: str, server: CosServer) -> None:
    names: dict[str, Any] = {"__name__": "docs"}
    for block in blocks(page, "python"):
        names.pop("url", None)
        exec(compile(block, page, "exec"), names)
        if "url" in names:  # a presigned one
            assert requests.get(names["url"], timeout=PATIENCE).status_code == 200
    assert server.refusals == []
    assert len(server.requests) >= LEAST.get(page, 0)


SHELL = """
set -euo pipefail
cossign() {{
  case "$*" in
    serve*) set -- "$@" --check ;;
    *cos://*) if [ "$1" = presign ]; then set -- "$@" --endpoint {endpoint}; fi ;;
  esac
  {python} -m cossign "$@" || test "$1" = explain
}}
curl() {{ printf '> GET /a.jpg HTTP/1.1\\n> Host: examplebucket-1250000000.cos.ap-beijing.myqcloud.com\\n>\\n'; }}
"""


def daily_report(folder: Path) -> None:
    """An inventory of a bucket with versions: two keys, and an old version and a delete marker."""
    rows = [
        ("a.jpg", "v2", True, False),
        ("a.jpg", "v1", False, False),
        ("b.jpg", "v4", True, False),
        ("c", "v3", True, True),
    ]
    lines = [
        f'"1250000000","examplebucket","{key}","{version}","{is_latest}","{is_deleted}"\n'
        for key, version, is_latest, is_deleted in rows
    ]
    data = gzip.compress("".join(lines).encode())
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "1.csv.gz").write_bytes(data)
    key = "reports/1250000000/examplebucket/daily/data/1.csv.gz"
    manifest = {
        "sourceAppid": "1250000000", "sourceBucket": "examplebucket", "fileFormat": "CSV", "listObjectCount": str(len(rows)),
        "fileSchema": "Appid, Bucket, Key, VersionId, IsLatest, IsDeleteMarker",
        "files": [{"key": key, "size": str(len(data)), "md5Checksum": hashlib.md5(data).hexdigest()}],
    }  # fmt: skip
    (folder / "20260601").mkdir()
    (folder / "20260601" / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh") and page != "clusters.md"])
def test_shell_examples_run(page: str, tmp_path: Path) -> None:
    """Explaining a request that is wrong ends with 1; a gateway is checked, as it would not end. The buckets are on a server."""
    daily_report(tmp_path / "daily")
    (tmp_path / "docs").symlink_to(DOCS)
    (tmp_path / "request.txt").write_text(
        "GET /a.jpg HTTP/1.1\nHost: examplebucket-1250000000.cos.ap-beijing.myqcloud.com\n\n"
    )
    (tmp_path / "answer.xml").write_text("<Error><Code>SignatureDoesNotMatch</Code></Error>")
    (tmp_path / "entry.har").write_text(
        json.dumps({"request": {"method": "GET", "url": "https://b-1.cos.x.myqcloud.com/a"}})
    )
    with running(lambda: [DOCUMENTED]) as server:
        server.buckets = {BUCKET: Store()}
        server.buckets[BUCKET].objects.update({b"photos/a.jpg": b"a", b"photos/b c.jpg": b"b"})
        script = SHELL.format(python=shlex.quote(sys.executable), endpoint=server.url) + "\n".join(blocks(page, "sh"))
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert server.refusals == []
    assert done.returncode == 0, done.stdout + done.stderr
    if page == "cookbook.md":
        keys = [
            urlsplit(url).path
            for name in ("photos", "latest")
            for url in (tmp_path / f"{name}.txt").read_text().split()
        ]
        assert keys == ["/photos/a.jpg", "/photos/b%20c.jpg", "/a.jpg", "/b.jpg"]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "js")])
def test_javascript_examples_run(page: str, tmp_path: Path) -> None:
    """By Node.js with the SDK, where a program asks for it; what needs a Mini Program is read by it."""
    if not shutil.which("node"):
        pytest.skip("Node.js is not installed")
    for block in blocks(page, "js"):
        (tmp_path / "block.js").write_text(block)
        whole = "require(" in block
        modules = DOCS.parent / "tests" / "oracles" / "node_modules"
        if whole and not modules.exists():
            pytest.skip("the JavaScript SDKs are not installed: make oracles")
        command = ["node", *([] if whole else ["--check"]), "block.js"]
        environment = {**os.environ, "NODE_PATH": str(modules)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not whole or "q-signature=" in done.stdout


@pytest.mark.parametrize("english, chinese", [("README.md", "README.zh-CN.md"), ("docs/start.md", "docs/zh/start.md")])
def test_chinese_pages_have_the_same_code(english: str, chinese: str) -> None:
    ours, theirs = (
        re.findall(r"^```.*?^```", (DOCS.parent / name).read_text(), re.S | re.M) for name in (english, chinese)
    )
    assert ours
    assert ours == theirs


def test_credentials_md_signs_with_what_it_says(server: CosServer) -> None:
    urls = []
    for block in blocks("credentials.md", "python"):
        names: dict[str, Any] = {"__name__": "docs"}
        exec(compile(block, "credentials.md", "exec"), names)
        urls.append(names.get("url", ""))
    assert [re.findall("q-ak=([^&]*)", url) for url in urls] == [
        [SECRET_ID], ["AKIDtmp"], [], ["AKID..."], ["AKID..."], [],
    ]  # fmt: skip


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "toml")])
def test_toml_examples_are_of_the_gateway(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDN_KEY", "DvYmqE81E1F9R791H6lmht")
    for block in blocks(page, "toml"):
        for route in tomllib.loads(block)["route"]:
            Gateway({"route": [{"bucket": BUCKET, "region": REGION, **route}]}, credentials=Credentials("A", "k"))


def fields_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


@time_machine.travel(1_795_590_000, tick=False)
def test_what_migrating_md_says_of_the_sdk_for_python() -> None:
    """Slashes, tokens, Content-Type, and when a signature begins; and the same of ours."""
    client = CosS3Client(CosConfig(Region=REGION, SecretId="A", SecretKey="k", Token="tok", Scheme="https"))
    theirs = client.get_presigned_url(BUCKET, "/a.jpg", "PUT", Headers={"Content-Type": "image/png"}, Expired=60)
    signer = Signer(Credentials("A", "k", "tok"), bucket=BUCKET, region=REGION)
    ours = signer.presign("a.jpg", method="PUT", headers={"Content-Type": "image/png"})
    assert urlsplit(theirs).path == urlsplit(ours).path == "/a.jpg"
    assert fields_of(theirs)["q-header-list"] == fields_of(ours)["q-header-list"] == "content-type;host"
    assert ("x-cos-security-token" in fields_of(theirs), "x-cos-security-token" in fields_of(ours)) == (False, True)
    begins = [int(fields_of(url)["q-sign-time"].partition(";")[0]) - 1_795_590_000 for url in (theirs, ours)]
    assert begins == [-60, -1]
    with pytest.raises(KeyNameError):
        signer.presign("/a.jpg")
    assert ".com//a.jpg?" in signer.replace(strict=False).presign("/a.jpg")
    with pytest.raises(ParameterError, match="token"):
        signer.presign("a.jpg", query={"x-cos-security-token": "tok"})
    assert "q-sign-time=1795589940%3B" in signer.replace(backdate=60).presign("a.jpg")


def test_what_migrating_md_says_of_the_javascript_sdks(tmp_path: Path) -> None:
    """Node signs Content-Type; the browser does not, nor does the documented facade."""
    modules = DOCS.parent / "tests" / "oracles" / "node_modules"
    if not shutil.which("node") or not modules.exists():
        pytest.skip("the JavaScript SDKs are not installed: make oracles")
    code = """
        for (const name of ['cos-nodejs-sdk-v5', 'cos-js-sdk-v5']) {
          const cos = new (require(name))({ SecretId: 'A', SecretKey: 'k' });
          const headers = { 'Content-Type': 'image/png', 'Cache-Control': 'no-cache', 'x-cos-acl': 'private' };
          const where = { Bucket: 'b-1250000000', Region: 'ap-beijing', Sign: true, Method: 'PUT' };
          process.stderr.write(cos.getObjectUrl({ ...where, Key: '/a.jpg', Headers: headers }, () => {}) + '\\n');
        }"""
    done = subprocess.run(
        ["node", "-e", code], cwd=tmp_path, env={**os.environ, "NODE_PATH": str(modules)}, capture_output=True,
        text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    node, browser = (line for line in done.stderr.splitlines() if line.startswith("https://"))
    headers = {"Content-Type": "image/png", "Cache-Control": "no-cache", "x-cos-acl": "private"}
    with pytest.warns(UnsignedHeaderWarning, match="'Content-Type', 'Cache-Control'"):
        ours = COS(SecretId="A", SecretKey="k").getObjectUrl(
            Bucket="b-1250000000", Region="ap-beijing", Sign=True, Method="PUT", Key="/a.jpg", Headers=headers
        )
    assert [urlsplit(url).path for url in (node, browser, ours)] == ["/a.jpg"] * 3
    assert fields_of(node)["q-header-list"] == "cache-control;content-type;host;x-cos-acl"
    assert fields_of(browser)["q-header-list"] == fields_of(ours)["q-header-list"] == "host;x-cos-acl"


def test_pages_are_linked_and_know_what_is_there() -> None:
    site = (DOCS.parent / "mkdocs.yml").read_text()
    text = "".join((DOCS / page).read_text() for page in PAGES)
    for page in PAGES:
        assert f": {page}\n" in site
    for name in ("README.md", "README.zh-CN.md"):
        for target in re.findall(r"\]\(([\w./-]+)\)", (DOCS.parent / name).read_text()):
            assert (DOCS.parent / target).exists(), target
    fields = (DOCS / "gateway-toml.md").read_text()
    assert all(f"| `{each}` |" in fields for each in ("listen", "prefixes", "temporary_keys", "key_env"))
    languages = set(re.findall(r"^```(\w+)", text, re.M))
    assert languages == {"python", "sh", "js", "toml"}  # each has a test that runs it
    for name in re.findall(r"`([A-Z]\w+Credentials)\(", text):
        assert hasattr(cossign, name), name
    ends = re.findall(r"\bExpiredTime\"?[:=] *(\d+)", text)
    assert ends
    assert all(int(end) >= 4102444800 for end in ends)  # the examples' credentials hold until 2100


@pytest.mark.parametrize("program", ["cli", *(pytest.param(each, marks=pytest.mark.long) for each in ("spark", "ray"))])
def test_an_inventory_becomes_urls_every_night(program: str, tmp_path: Path) -> None:
    """The programs of clusters.md, each in a process of its own, beside an inventory."""
    if program == "spark" and not shutil.which("java"):
        pytest.skip("Java is not installed, which Spark runs on")
    keys = [key for key in ODD if key is not None]
    inventory(tmp_path / "inventory", "CSV", keys)
    if program == "cli":
        [text] = blocks("clusters.md", "sh")
        command = ["bash", "-ec", f'cossign() {{ {sys.executable} -m cossign "$@"; }}\n{text}']
    else:
        [text] = [block for block in blocks("clusters.md", "python") if f"integrations.{program} " in block]
        (tmp_path / "nightly.py").write_text(text)
        command = [sys.executable, "-W", "ignore", "nightly.py"]
    environment = {
        **os.environ, "COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY, "PYSPARK_PYTHON": sys.executable,
        "RAY_USAGE_STATS_ENABLED": "0", "SPARK_LOCAL_IP": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SECRET_KEY not in done.stdout + done.stderr
    [folder] = tmp_path.glob(f"urls-{program}*")
    urls = pq.read_table(folder)["url"].to_pylist()
    start = int(urls[0].partition("q-sign-time=")[2][:10])
    signer = cossign.Signer(cossign.Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, expires=7 * 86400)
    assert sorted(urls) == sorted(signer.at(start).presign_many(keys))

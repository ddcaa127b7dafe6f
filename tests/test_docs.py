"""The pages of docs/: every example runs, against a real server that judges by the documents, without cossign."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

import cossign
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, running
from tests.credentials.test_services import serving, sts_answer
from tests.integrations.conftest import ODD, inventory

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
SECRETS = [(SECRET_ID, SECRET_KEY, None), ("AKIDtmp", "hidden", "hidden2"), ("AKID...", "...", "...")]
LEAST = {  # requests that must have arrived
    "credentials.md": 4, "clients.md": 6, "uploads.md": 1, "caching.md": 1, "gateway.md": 0, "security.md": 0,
    "frames.md": 4, "clusters.md": 0, "scale.md": 0, "signature-does-not-match.md": 0,
}  # fmt: skip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CosServer]:
    """The bucket's host is the server, and STS is one, too."""
    monkeypatch.setenv("COS_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("COS_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("COS_SESSION_TOKEN", raising=False)
    with running(lambda: SECRETS) as found, serving(lambda *_: (200, sts_answer(), {})) as sts:
        monkeypatch.setattr(cossign, "Signer", functools.partial(cossign.Signer, domain=found.url))
        monkeypatch.setattr(cossign, "StsCredentials", functools.partial(cossign.StsCredentials, endpoint=sts))
        yield found


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("clusters.md", "scale.md")])
def test_examples_run(page: str, server: CosServer) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.S)
    assert blocks or page == "security.md"
    names: dict[str, Any] = {"__name__": "docs"}
    for block in blocks:
        names.pop("url", None)
        exec(compile(block, page, "exec"), names)
        if "url" in names:  # a presigned one
            assert requests.get(names["url"], timeout=20).status_code == 200
    assert server.refusals == []
    assert len(server.requests) >= LEAST[page]


def test_credentials_md_signs_with_what_it_says(server: CosServer) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "credentials.md").read_text(), re.S)
    urls = []
    for block in blocks:
        names: dict[str, Any] = {"__name__": "docs"}
        exec(compile(block, "credentials.md", "exec"), names)
        urls.append(names.get("url", ""))
    assert [re.findall("q-ak=([^&]*)", url) for url in urls] == [[SECRET_ID], ["AKIDtmp"], ["AKID..."], ["AKID..."], []]


def test_pages_are_linked_from_the_readme_and_know_what_is_there() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    text = "".join((DOCS / page).read_text() for page in PAGES)
    for page in PAGES:
        assert f"docs/{page}" in readme
    for name in re.findall(r"`([A-Z]\w+Credentials)\(", text):
        assert hasattr(cossign, name), name
    assert json.dumps(PAGES) == json.dumps(sorted(LEAST))
    assert time.time() < 4102444800  # the examples' ExpiredTime


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["spark", "ray", "cli"])
def test_an_inventory_becomes_urls_every_night(engine: str, tmp_path: Path) -> None:
    """The programs of clusters.md, each in a process of its own, beside an inventory."""
    if engine == "spark" and not shutil.which("java"):
        pytest.skip("Java is not installed, which Spark runs on")
    keys = [key for key in ODD if key is not None]
    inventory(tmp_path / "inventory", "CSV", keys)
    page = (DOCS / "clusters.md").read_text()
    if engine == "cli":
        [text] = re.findall(r"```sh\n(.*?)```", page, re.S)
        command = ["bash", "-ec", f'cossign() {{ {sys.executable} -m cossign.cli "$@"; }}\n{text}']
    else:
        [text] = [
            block for block in re.findall(r"```python\n(.*?)```", page, re.S) if f"integrations.{engine} " in block
        ]
        (tmp_path / "nightly.py").write_text(text)
        command = [sys.executable, "-W", "ignore", "nightly.py"]
    environment = {
        **os.environ, "COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY, "PYSPARK_PYTHON": sys.executable,
        "RAY_USAGE_STATS_ENABLED": "0", "SPARK_LOCAL_IP": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SECRET_KEY not in done.stdout + done.stderr
    urls = pq.read_table(tmp_path / f"urls-{engine}")["url"].to_pylist()
    start = int(urls[0].partition("q-sign-time=")[2][:10])
    signer = cossign.Signer(cossign.Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, expires=7 * 86400)
    assert sorted(urls) == sorted(signer.at(start).presign_many(keys))

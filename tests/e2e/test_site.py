"""The documentation as a site: it fetches nothing from elsewhere, can be searched from the disk, and fits a phone and a
desktop, light and dark. `make check` runs this, too."""

from __future__ import annotations

import functools
import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.waiting import PATIENCE

pytestmark = pytest.mark.long
ROOT = Path(__file__).parent.parent.parent
PROBE = """<!doctype html><body><script>
const pages = PAGES, found = [];
async function look() {
  for (const page of pages) {
    const frame = document.createElement('iframe');
    frame.width = WIDTH; frame.height = 900; frame.src = page;
    document.body.append(frame);
    await new Promise(done => frame.onload = done);
    const there = frame.contentDocument;
    const images = [...there.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src);
    const blocks = [...there.querySelectorAll('.md-content pre > code, .md-content pre')];
    const tables = WIDTH < 1000 ? [] : [...there.querySelectorAll('.md-typeset__scrollwrap')];
    const cut = [...blocks, ...tables].filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText.slice(0, 80));
    const background = frame.contentWindow.getComputedStyle(there.body).backgroundColor;
    found.push([page, there.documentElement.scrollWidth, images, cut, background]);
    frame.remove();
  }
  await fetch('/found', {method: 'POST', body: JSON.stringify(found)});
}
look();
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    return folder


@pytest.mark.parametrize(
    "words, page",
    [
        ("AccessDenied", "faq.html"),
        ("metrics_from", "gateway-toml.html"),
        ("exit status", "commands.html"),
        ("密钥", "zh/start.html"),
    ],
)
def test_the_search_works_from_the_disk(site: Path, words: str, page: str, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}", f"{site.as_uri()}/index.html?q={quote(words)}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    found = re.findall(r'href="([^"?#]*)[^"]*" class="md-search-result__link"', done.stdout)
    assert f"{site.as_uri()}/{page}" in found


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        fetched = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\" >]+)", text)
        fetched += re.findall(r"<link\b[^>]*rel=\"?(?:stylesheet|preconnect|icon)[^>]*href=\"?([^\" >]+)", text)
        assert not [each for each in fetched if re.match(r"(?:\w+:)?//", each)], page
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\(\"?(?:https?:)?//", style.read_text()), style


def looked_at(site: Path, pages: list[str], width: int, dark: bool, profile: Path) -> list[Any]:
    """Each page in a frame of so many pixels: what the browser says of it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    found: queue.Queue[bytes] = queue.Queue()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            found.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

    (site / "probe.html").write_text(PROBE.replace("PAGES", json.dumps(pages)).replace("WIDTH", str(width)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", "--remote-debugging-port=0",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []), f"--user-data-dir={profile}",
            f"http://127.0.0.1:{server.server_address[1]}/probe.html",
        ]  # fmt: skip
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told: list[Any] = json.loads(found.get(timeout=PATIENCE))
            return told
        finally:
            browser.terminate()
            browser.wait(PATIENCE)
            server.shutdown()
            thread.join()
            (site / "probe.html").unlink()


def test_pages_fit_a_phone_and_a_desktop(site: Path, tmp_path: Path) -> None:
    pages = sorted(str(page.relative_to(site)) for page in site.rglob("*.html") if page.name != "404.html")
    backgrounds = set()
    for width, dark in ((390, False), (1280, True)):
        found = looked_at(site, pages, width, dark, tmp_path / str(width))
        assert [page for page, *_ in found] == pages
        assert {page: wide for page, wide, *_ in found if wide > width} == {}
        assert {page: images for page, _, images, *_ in found if images} == {}
        assert {page: cut for page, _, _, cut, _ in found if cut} == {}  # blocks of code; on a desktop tables, too
        backgrounds |= {(width, background) for *_, background in found}
    assert len(backgrounds) == 2  # one of all light pages, another of all dark ones

"""A page in a real browser: a site of its own origin, whose page tells what it has found by POST /told."""

from __future__ import annotations

import functools
import http.server
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE


class Site:
    """The site while it runs.

    Attributes:
        directory: where its files are.
        origin: its scheme, host and port.
    """

    def __init__(self, directory: Path, profile: Path) -> None:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        if chromium is None:
            pytest.skip("chromium is not installed")
        directory.mkdir(exist_ok=True)
        told: queue.Queue[bytes] = queue.Queue()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                told.put(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

        self.directory = directory
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=str(directory))
        )
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._told = told
        self._command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
        ]  # fmt: skip

    def told_by(self, page: str) -> Any:
        """What a page, given as HTML, tells."""
        (self.directory / "page.html").write_text(page)
        browser = subprocess.Popen(
            [*self._command, f"{self.origin}/page.html"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return json.loads(self._told.get(timeout=PATIENCE))
        finally:
            browser.terminate()
            browser.wait(PATIENCE)


@contextmanager
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path / "site", tmp_path / "profile")
    with found.server:
        thread = threading.Thread(target=found.server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            found.server.shutdown()
            thread.join()

"""docs/Caddyfile, run by Debian's Caddy before a gateway: its forward-auth, with the headers that it sends itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bench.gateway import free_port

from tests.cos_server import running
from tests.gateway.serving import ALICE, HOST, POLICY, carols, request, serving
from tests.waiting import PATIENCE, listening

CADDY = shutil.which("caddy")
PAGE = Path(__file__).parent.parent.parent / "docs" / "Caddyfile"


@pytest.mark.skipif(CADDY is None, reason="caddy is not installed")
def test_forward_auth(tmp_path: Path) -> None:
    policy = 'forward_auth = "caddy"\n' + POLICY.replace('["127.0.0.2"]', '["127.0.0.1"]')
    port = free_port()
    with running(list) as origin, serving(tmp_path / "gateway.toml", policy) as gateway:
        origin.judges = False
        at = origin.url.removeprefix("http://")
        text = PAGE.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}").replace("127.0.0.1:9000", at)
        text = "{\n\tadmin off\n\tauto_https off\n}\n" + text.replace(f"http://{HOST}:80", f"http://{HOST}:{port}")
        (tmp_path / "Caddyfile").write_text(text)
        process = subprocess.Popen(
            [str(CADDY), "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"],
            env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            listening(port, process)
            signed = {"Authorization": carols("GET", "/img/carol/a")}
            for target, headers, status, reason in (
                ("/img/alice/a%20b?response-content-type=text%2Fplain", ALICE, 200, ""),
                ("/img/carol/a", signed, 200, ""),
                ("/img/carol/b", signed, 401, "bad_signature"),
                ("/img/bob/a", ALICE, 403, "prefix"),
                ("/img/alice/%2e%2e/bob/a", ALICE, 400, "dot_segment"),
                ("/img/alice/a?acl", ALICE, 403, "parameter"),
                (
                    "/img/bob/a",
                    {**ALICE, "X-Forwarded-Uri": "/img/alice/a", "X-Forwarded-Method": "GET"},
                    403,
                    "prefix",
                ),
                ("/img/dave/a", {"X-Client-Subject": "CN=dave,O=Example", "X-Client-Verify": "SUCCESS"}, 403, "prefix"),
            ):
                answer = request(port, "GET", target, headers)
                assert (answer[0], answer[1].get("x-cossign-reason", "")) == (status, reason), target
            assert [(each.target, each.header("X-Cossign-Caller")) for each in origin.requests] == [
                (b"/img/alice/a%20b?response-content-type=text%2Fplain", "alice"), (b"/img/carol/a", "carol"),
            ]  # fmt: skip
            tricks = {
                **ALICE,
                "Connection": "X-Cossign-Caller",
                "X-HTTP-Method-Override": "DELETE",
                "X-Method-Override": "PUT",
            }
            assert request(port, "GET", "/img/alice/a", tricks)[0] == 200
            assert origin.requests[-1].header("X-Cossign-Caller") == "alice"
            assert origin.requests[-1].header("X-HTTP-Method-Override") is None
            assert origin.requests[-1].header("X-Method-Override") is None
            assert request(port, "DELETE", "/img/alice/a", ALICE)[0] == 405
        finally:
            process.terminate()
            process.wait(PATIENCE)

"""Standard streams that are closed, full, of another encoding, or closed by their reader; text that is not to be printed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cossign import Signer
from tests.conftest import BUCKET, REGION

WHERE = f"-b {BUCKET} -r {REGION}"

pytestmark = [
    pytest.mark.usefixtures("environment"), pytest.mark.any_engine,
    pytest.mark.skipif(sys.platform == "win32", reason="the shell's words are those of POSIX"),
]  # fmt: skip


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script of bash, with cossign as a command."""
    command = f'cossign() {{ {shlex.quote(sys.executable)} -m cossign "$@"; }}\n{script}'
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, check=False, env={**os.environ, **environment}, timeout=300
    )


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("k.txt").write_text("a\nb\n")


def test_closed_streams(signer: Signer) -> None:
    url = shlex.quote(signer.presign("a"))
    for script, status in (
        (f"cossign presign k.txt {WHERE} -o o.txt 2>&-", 0), (f"cossign explain {url} >&-", 0),
        (f"cossign presign k.txt {WHERE} >&-", 2), (f"cossign presign k.txt {WHERE} -o /dev/stdout >&-", 2), (f"cossign verify {url} >&- 2>&-", 0),
        ("cossign verify - <&-", 2), ("cossign explain - <&-", 2), (f"cossign presign - {WHERE} <&-", 2),
    ):  # fmt: skip
        done = shell(script)
        assert (done.returncode, b"Traceback" in done.stderr) == (status, False), (script, done.stderr)
        if status == 2:
            assert done.stderr.startswith((b"cossign: stdin", b"cossign: stdout: it is closed"))
            assert done.stderr.count(b"\n") == 1
    assert Path("o.txt").read_text().count("\n") == 2
    done = shell(f"cossign presign k.txt {WHERE} --start 5 --no-progress 2>&- >o")
    assert Path("o").read_text().startswith("https://")
    assert "warning" not in Path("o").read_text()


def test_a_full_disk_or_no_reader_is_no_traceback() -> None:
    done = shell("cossign --version >/dev/full")
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)
    done = shell("cossign --version | true")
    assert b"Traceback" not in done.stderr


def test_a_verdict_that_nobody_read_is_no_success() -> None:
    Path("bad.txt").write_text("https://h/a?q-signature=1\n" * 30_000)
    done = shell("set -o pipefail; cossign verify bad.txt | head -1")
    assert done.returncode in (1, 141)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-8:strict", "cp936", "cp936:strict", "utf-16"])
def test_encodings(encoding: str, signer: Signer) -> None:
    Path("u.txt").write_bytes(b"https://h/\xff?q-signature=1\n")
    url = shlex.quote(signer.presign("\u5934"))
    for script, status in (
        ("cossign verify - <u.txt", 1), ("cossign verify u.txt", 1), ("cossign verify $'https://h/\\xff?y'", 1),
        (f"cossign verify {url}", 0), (f"cossign explain {url}", 0), ("cossign explain - <u.txt", 1),
    ):  # fmt: skip
        done = shell(script, PYTHONIOENCODING=encoding)
        assert (done.returncode, b"Traceback" in done.stderr) == (status, False), (script, done.stderr)


def test_a_console_in_cp936() -> None:
    """As Windows has it in China: what the code page lacks is shown as an escape."""
    done = shell("cossign verify $'https://h/\u5934-\U0001f600?y'", PYTHONIOENCODING="cp936")
    assert "\u5934-".encode("cp936") + rb"\U0001f600" in done.stdout


def test_what_does_not_print_is_shown_as_an_escape() -> None:
    done = shell("cossign verify $'https://h/\\e[31m\\nok\\tx?y'")
    assert done.stdout.count(b"\n") == 1
    assert b"https://h/\\x1b[31m\\nok\\tx" in done.stdout

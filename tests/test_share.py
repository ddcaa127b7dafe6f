"""share/: what bash, zsh and fish complete, tried in each of them, and the man page."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

ROOT = Path(__file__).parent.parent
SHARE = ROOT / "share"
COMPLETED = {  # what is typed, and some of what must be offered
    "cossign pre": {"presign"},
    "cossign presign --on-error ": {"fail", "skip", "null"},
    "cossign presign --key-c": {"--key-column"},
    "cossign explain reque": {"request.txt"},
}


def test_share_is_what_the_parser_says() -> None:
    if sys.version_info[:2] != (3, 11):
        pytest.skip("other Pythons' argparse words usage otherwise; share/ is made by 3.11")
    pytest.importorskip("shtab")
    pytest.importorskip("argparse_manpage")
    found = subprocess.run(
        [sys.executable, "-c", "import json, share.make; print(json.dumps(share.make.made()))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for path, text in json.loads(found.stdout).items():
        assert (SHARE / path).read_text() == text, f"share/{path} is not what `make share` makes"


@pytest.mark.parametrize("typed", COMPLETED)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str, typed: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        assert not os.environ.get("CI"), f"{shell} is not installed"
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "request.txt").touch()
    words = typed.split(" ")
    scripts = {
        "bash": f"source {SHARE}/bash-completion/completions/cossign; COMP_WORDS=({' '.join(map(repr, words))})\n"
        f"COMP_CWORD={len(words) - 1} COMP_LINE={typed!r} COMP_POINT={len(typed)}\n"
        f"$(complete -p cossign | sed 's/.*-F \\([^ ]*\\).*/\\1/') cossign {words[-1]!r} {words[-2]!r}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"',
        "fish": f"source {SHARE}/fish/vendor_completions.d/cossign.fish; complete -C {typed!r}",
    }
    if shell == "zsh":  # it completes in a terminal only
        in_a_terminal(["zsh", "-f"], typed, tmp_path, COMPLETED[typed])
        return
    done = subprocess.run([shell, "-c", scripts[shell]], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {line.split("\t")[0].strip() for line in done.stdout.splitlines()} >= COMPLETED[typed], done.stdout


def in_a_terminal(command: list[str], typed: str, folder: Path, wanted: set[str]) -> None:
    """Press Tab in a shell after what is typed, and wait until it shows what is wanted."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, {**os.environ, "TERM": "dumb", "COLUMNS": "200", "PS1": "> "})

    def read_until(texts: set[str]) -> None:
        said = ""

        def shown() -> bool:
            nonlocal said
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 65536).decode()
            return all(text in said for text in texts)

        until(shown, f"{texts} on the terminal")

    try:
        os.write(
            terminal,
            f"fpath=({SHARE}/zsh/site-functions $fpath); autoload -U compinit; compinit -D -u; echo rea''dy\n".encode(),
        )
        read_until({"ready\r\n"})
        os.write(terminal, f"{typed}\t\t".encode())
        read_until({typed, *wanted})
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_the_man_page_is_one() -> None:
    page = SHARE / "man" / "man1" / "cossign.1"
    done = subprocess.run(
        ["man", "-l", str(page)], capture_output=True, text=True, check=True, env={**os.environ, "MANWIDTH": "100"}
    )
    for said in ("COSSIGN(1)", "NAME", "cossign presign", "--on-error", "COS_SECRET_ID", "130 interrupted"):
        assert said in done.stdout, said
    assert "warning" not in done.stderr

"""`cossign completion`, tried in each shell, and the man page."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cossign.cli import main
from tests.waiting import until

COMPLETED = {  # what is typed, and some of what must be offered
    "cossign pre": {"presign"},
    "cossign presign --on-error ": {"fail", "skip", "null"},
    "cossign presign --key-c": {"--key-column"},
    "cossign url --sch": {"--scheme"},
    "cossign explain reque": {"request.txt"},
}

pytestmark = pytest.mark.any_engine


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A folder with the code of each shell, as `cossign completion` prints it."""
    pytest.importorskip("shtab")
    for shell, name in (("bash", "bash"), ("zsh", "_cossign"), ("fish", "fish")):
        command = [sys.executable, "-m", "cossign", "completion", shell]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("typed", COMPLETED)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str, typed: str, script: Path) -> None:
    if not shutil.which(shell):
        assert not os.environ.get("CI"), f"{shell} is not installed"
        pytest.skip(f"{shell} is not installed")
    (script / "request.txt").touch()
    words = typed.split(" ")
    scripts = {
        "bash": f"source {script}/bash; COMP_WORDS=({' '.join(map(repr, words))})\n"
        f"COMP_CWORD={len(words) - 1} COMP_LINE={typed!r} COMP_POINT={len(typed)}\n"
        f"$(complete -p cossign | sed 's/.*-F \\([^ ]*\\).*/\\1/') cossign {words[-1]!r} {words[-2]!r}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"',
        "fish": f"source {script}/fish; complete -C {typed!r}",
    }
    if shell == "zsh":  # it completes in a terminal only
        in_a_terminal(["zsh", "-f"], typed, script, COMPLETED[typed])
        return
    done = subprocess.run([shell, "-c", scripts[shell]], cwd=script, capture_output=True, text=True, check=True)
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
        os.write(terminal, f"fpath=({folder} $fpath); autoload -U compinit; compinit -D -u; echo rea''dy\n".encode())
        read_until({"ready\r\n"})
        os.write(terminal, f"{typed}\t\t".encode())
        read_until({typed, *wanted})
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_without_shtab(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == "cossign: completion needs shtab: pip install shtab\n"


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_the_man_page_is_one(tmp_path: Path) -> None:
    pytest.importorskip("argparse_manpage")
    from share.make import man_page

    (tmp_path / "cossign.1").write_text(man_page())
    done = subprocess.run(
        ["man", "-l", "cossign.1"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "MANWIDTH": "100"},
    )  # fmt: skip
    for said in ("COSSIGN(1)", "NAME", "cossign presign", "--on-error", "COS_SECRET_ID", "130 interrupted"):
        assert said in done.stdout, said
    assert "warning" not in done.stderr

"""The README's picture of a terminal, of commands that are run for it: `python -m bench.recording docs/terminal.svg`.

They run in a terminal of their own, so that colours and the progress bar are what a user sees; of a line that was
written over and over, the last state is kept.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from bench.jobs import ENVIRONMENT, keys

ROWS = 10_000_000
COMMANDS = (
    "wc -l keys.txt",
    "cossign presign keys.txt -o urls.txt -b examplebucket-1250000000 -r ap-beijing --expires 7d",
    "cossign verify - < urls.txt",
    "cossign explain $(sed -n 42p urls.txt | sed s/jpg/JPG/) | head -9",
)
WIDTH = 110


def run(command: str, folder: str) -> str:
    """What a terminal shows of it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        shell = f'cossign() {{ "{sys.executable}" -m cossign "$@"; }}; stty cols {WIDTH} rows 40; {command}'
        os.execvpe("bash", ["bash", "-c", shell], {**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)})
    said = b""
    try:
        while more := os.read(terminal, 65536):
            said += more
    except OSError:
        pass  # the terminal's other side is closed
    os.waitpid(pid, 0)
    lines = [
        [each for each in re.split("\r", line.rstrip("\r")) if each.strip()] or [""]
        for line in said.decode().split("\n")
    ]
    return "\n".join(line[-1] for line in lines).rstrip("\n")


def main() -> None:
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/keys.txt", "w") as file:
            for start in range(0, ROWS, 10_000):
                file.write("".join(f"{key}\n" for key in keys(10_000, start)))
        for command in COMMANDS:
            console.print(Text(f"$ {command}", style="bold"))
            console.print(Text.from_ansi(run(command, folder)), no_wrap=False)
    drawn = console.export_svg(title="cossign", theme=MONOKAI, unique_id="terminal")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.S).replace("Fira Code, monospace", "monospace")
    Path(sys.argv[1]).write_text(drawn)


if __name__ == "__main__":
    main()

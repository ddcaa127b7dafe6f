"""`make share`: what shells and man read about the command line, made from its own parser.

They are kept with the code, so that building a package needs neither shtab nor argparse-manpage; a test compares.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
FILES = {"FILE", "OUT", "KEYS", "REQUEST"}  # the metavars of what may be a file
COMPLETIONS = {
    "bash": "bash-completion/completions/cossign",
    "zsh": "zsh/site-functions/_cossign",
    "fish": "fish/vendor_completions.d/cossign.fish",
}


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)


def made() -> dict[str, str]:
    """Each file below share/, and its text."""
    import shtab
    from argparse_manpage.manpage import Manpage

    from cossign import __version__
    from cossign.cli import parser

    os.environ.update(COLUMNS="80", SOURCE_DATE_EPOCH="0")  # the same page everywhere
    found = parser()
    for action in actions(found):
        if action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    texts = {path: shtab.complete(found, shell) for shell, path in COMPLETIONS.items()}
    man = Manpage(parser(), format="single-commands-section")
    man.date = ""
    man.source, man.manual, man.description = f"cossign {__version__}", "cossign", "sign for Tencent Cloud COS"
    page = str(man)
    return {**texts, "man/man1/cossign.1": page}


def main() -> int:
    for path, text in made().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(text)
        print(f"share/{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

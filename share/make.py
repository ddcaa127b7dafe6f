"""`make man`: the man page, made from the command line's own parser. `make dist` packs it; it is not kept in git."""

from __future__ import annotations

import os
from pathlib import Path

PAGE = Path(__file__).parent / "man" / "man1" / "cossign.1"


def page() -> str:
    """The man page's text."""
    from argparse_manpage.manpage import Manpage

    from cossign import __version__
    from cossign.cli import parser

    os.environ.update(COLUMNS="80", SOURCE_DATE_EPOCH="0")  # the same page everywhere
    man = Manpage(parser(), format="single-commands-section")
    man.date = ""
    man.source, man.manual, man.description = f"cossign {__version__}", "cossign", "sign for Tencent Cloud COS"
    return str(man)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), "utf-8")
    print(f"{PAGE.relative_to(PAGE.parents[3])}")

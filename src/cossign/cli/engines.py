"""`cossign engines`: what can sign on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from cossign.cli import arguments as options


def add(commands: Any) -> None:
    """Add the command to the parser."""
    options.command(commands, "engines", run, "", "list the signing engines of this machine, fastest first")


def run(arguments: argparse.Namespace) -> int:
    """Print one engine a line."""
    from cossign.engine import engines

    print("\n".join(engines()))
    return 0

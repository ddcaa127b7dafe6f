"""`cossign engines`: the engines of this machine, and the reasons."""

from __future__ import annotations

import argparse
from typing import Any

from cossign.cli import arguments as options


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = options.command(commands, "engines", run, "", "list the signing engines of this machine, fastest first")
    command.add_argument(
        "--why", action="store_true", help="list all engines of this build, with the reason why each one is used or not"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one engine a line; with --why, then the CPU and the compiler."""
    from cossign import _core
    from cossign.engine import chosen_engine, engine_reasons, engines

    if not arguments.why:
        print("\n".join(engines()))
        return 0
    for name, reason in engine_reasons():
        print(f"{name:10}{reason}")
    print(f"{'CPU':10}has {', '.join(_core.CPU) or 'nothing that an engine needs'}")
    compiler, _ = _core.built()
    vectors = "" if _core.HAS_VECTORS else ". Engines with vectors need Clang, or GCC 12 or newer, on x86-64 or aarch64"
    print(f"{'build':10}by {compiler}{vectors}", flush=True)
    chosen_engine()  # refuses a COSSIGN_ENGINE that is off
    return 0

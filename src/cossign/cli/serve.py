"""`cossign serve`: the gateway."""

from __future__ import annotations

import argparse
from typing import Any

from cossign.cli import arguments as options
from cossign.cli import words


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(
        commands, "serve", run, "--config FILE [--check]", "sign, redirect and authorize requests over HTTP"
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the gateway's TOML file")
    parser.add_argument("--check", action="store_true", help="check the file and print what it would serve")


def run(arguments: argparse.Namespace) -> int:
    """Run the gateway until a signal ends it."""
    try:
        from cossign.gateway.serve import serve
    except ImportError as error:
        words.say(f"serve needs {error.name}: pip install granian prometheus-client pydantic")
        return 2
    return serve(arguments.config, arguments.check)

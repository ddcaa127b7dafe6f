"""`cossign completion`: what a shell completes, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cossign.cli import arguments as options
from cossign.cli import words

SHELLS = ("bash", "zsh", "fish")
FILES = {"FILE", "OUT", "REQUEST", "URL|FILE"}  # the metavars of arguments that may be a file
EPILOG = """\
examples:
  source <(cossign completion bash)                          # in ~/.bashrc
  cossign completion zsh > "${fpath[1]}/_cossign"
  cossign completion fish > ~/.config/fish/completions/cossign.fish
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(commands, "completion", run, "bash|zsh|fish", "print the completion for a shell", EPILOG)
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(arguments: argparse.Namespace) -> int:
    """Print the shell's code."""
    try:
        import shtab
    except ImportError:
        words.say("completion needs shtab: pip install shtab")
        return 2
    for action in _actions(arguments.parser):
        if action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(arguments.parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of every command. argparse has no public way to list them."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)

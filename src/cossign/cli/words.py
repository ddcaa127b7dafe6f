"""Messages on stderr, and the library's errors in the words of the command line."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys

from cossign.errors import CosSignError, ParameterError

OPTIONS = {  # parameters of the library that have another name here
    "bucket": "-b", "region": "-r", "method": "-X", "headers": "-H", "start": "--start", "output": "-o",
    "query_columns": "--query-column", "input_format": "--from", "output_format": "--to", "key_time": "--start",
    "request": "REQUEST", "latest=True": "--latest", "key": "KEY", "strict=False": "--no-strict",
    "check_space=False": "--no-space-check", "resume=True": "--resume", "html": "--html", "host": "-b, -r or --domain",
    "format": "--to", "strict": "--no-strict", "new_credentials=True": "--new-credentials",
}  # fmt: skip
PARAMETERS = (  # and those that are written alike
    "domain", "accelerate", "expires", "round_to", "query", "method_column", "expires_column", "key_column", "columns",
    "include", "exclude", "where", "keep_columns", "url_column", "rows_per_part", "resume", "on_error", "errors",
    "threads", "report", "scheme", "profile", "delimiter", "encoding", "latest", "new_credentials",
)  # fmt: skip
OPTIONS.update({name: f"--{name.replace('_', '-')}" for name in PARAMETERS})
UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def say(text: str) -> None:
    """Print a line to stderr. A job goes on if stderr is closed, or the disk that it goes to is full."""
    with contextlib.suppress(OSError):
        print(f"cossign: {text}", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning of the library in our words."""
    say(f"warning: {with_options(text)}")


def is_row_error(error: CosSignError) -> bool:
    """Whether a row is bad, not the job."""
    from cossign.batch import RowError

    return isinstance(error, RowError)


def option(parameter: str, arguments: argparse.Namespace) -> str:
    """A parameter of the library as the command line spells it: ``query['a']`` is ``--query a``."""
    name, _, item = parameter.partition("[")
    if name == "method" and arguments.command == "authorization":
        return "METHOD"
    spelling = OPTIONS.get(name, name)
    return f"{spelling} {item.rstrip(']')}" if item and spelling.startswith("-") else spelling + parameter[len(name) :]


def with_options(text: str) -> str:
    """A text of the library, which puts its parameters in backticks, with the options in their place.

    >>> with_options("use `strict=False`; what changed: `expires` (604800 to 100)")
    'use --no-strict; what changed: --expires (7d to 100)'
    """
    text = re.sub(
        r"(`(?:expires|round_to)` )\(([0-9]+|not given) to ([0-9]+|not given)\)",
        lambda match: f"{match[1]}({duration(match[2])} to {duration(match[3])})",
        text,
    )
    text = re.sub(
        r"""`([a-z_]+)=(["'])([^`]*)\2`""", lambda match: f"{OPTIONS.get(match[1], match[1])} {match[3]}", text
    )
    return re.sub(r"`([a-z_]+(?:=True|=False)?)`", lambda name: OPTIONS.get(name[1], name[1]), text)


def reword(error: CosSignError, arguments: argparse.Namespace) -> str:
    """An error of the library for a user of the command line."""
    if not isinstance(error, ParameterError):
        return with_options(str(error))
    return f"{option(error.parameter, arguments)} {with_options(error.reason)}"


def printable_text(text: str) -> str:
    """A text from outside for a terminal: what does not print, such as an escape sequence, is shown as an escape.

    >>> printable_text("\u5934 \x1b[31m")
    '头 \\\\x1b[31m'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def count(number: int, name: str) -> str:
    """A number of things.

    >>> count(1, "URL"), count(2000, "URL")
    ('1 URL', '2,000 URLs')
    """
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def length(seconds: float) -> str:
    """How long something took or will take.

    >>> length(3.21), length(600)
    ('3.2 s', '10 min')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def duration(seconds: str) -> str:
    """A number of seconds as one types it for an option; other text as it is.

    >>> duration("604800"), duration("900"), duration("100")
    ('7d', '15m', '100')
    """
    if not seconds.isdecimal():
        return seconds
    texts = (f"{int(seconds) // size}{unit}" for size, unit in UNITS if int(seconds) % size == 0)
    return next(texts, seconds)

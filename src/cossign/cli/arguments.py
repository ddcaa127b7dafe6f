"""The common part of all commands: the parser with its short errors, shared options, types of values."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Callable
from typing import IO, Any, NoReturn

from cossign.cli import hints
from cossign.errors import ParameterError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line of usage and the reason."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {hints.reason(message)}; {self.prog} --help lists all options\n")


def seconds(text: str) -> int:
    """A duration: 900, 15m, 2h, 7d."""
    from cossign.key_time import duration

    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def nonempty_text(text: str) -> str:
    """A text that is not empty, as that of a variable may be which is not set."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty: give a value, or leave the option out")
    return text


def unix_seconds(text: str) -> int:
    """A time in Unix seconds."""
    if not re.fullmatch("[0-9]{1,11}", text):
        raise argparse.ArgumentTypeError(f"{text!r} must be Unix seconds, such as 1767225600")
    return int(text)


def pairs(option: str, values: list[tuple[str, str]]) -> dict[str, str]:
    """The names and values of an option that may be repeated, though not for the same name."""
    keys: set[str] = set()
    for name, _ in values:
        key = name.lower() if option == "-H" else name
        if key in keys:
            raise ParameterError(option, f"{name} is given twice: give each name once")
        keys.add(key)
    return dict(values)


def names(text: str) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in text.split(",")]


def parameter(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        more = f": for a parameter without a value, write {text}=" if name else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE{more}")
    return name, value


def header(text: str) -> tuple[str, str]:
    """NAME:VALUE."""
    name, separator, value = text.partition(":")
    if not separator or not name:
        other = f": write {text.replace('=', ': ', 1)!r}" if "=" in text else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE{other}")
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):  # RFC 9110, 5.1
        raise argparse.ArgumentTypeError(f"{text!r} has a name that no header can have: {name!r}")
    return name, value.strip()


def add_bucket(parser: argparse.ArgumentParser, defaults: bool = True) -> None:
    """-b, -r, --profile, --domain, --accelerate. `defaults`: whether `bucket.resolve` reads them."""
    default = " (default: {}, or the configured one)" if defaults else ""
    group = parser.add_argument_group("bucket")
    bucket = "<BucketName>-<APPID>, or coscli's alias" + default.format("COS_BUCKET")
    group.add_argument("-b", "--bucket", type=nonempty_text, help=bucket)
    group.add_argument("-r", "--region", type=nonempty_text, help="such as ap-beijing" + default.format("COS_REGION"))
    add_profile(group, "take the secrets and the region from this profile of tccli or of the SDKs")
    group.add_argument(
        "--domain", type=nonempty_text, help="a host of your own; may contain {Bucket}, {BucketName}, {AppId}, {Region}"
    )
    group.add_argument("--accelerate", action="store_true", help="use the global acceleration host")


def add_profile(group: Any, text: str) -> None:
    """--profile."""
    group.add_argument("--profile", type=nonempty_text, metavar="NAME", help=text)


def add_request(parser: argparse.ArgumentParser) -> Any:
    """--expires, --round-to, --start, --query, -H, --no-strict; returns their group."""
    group = parser.add_argument_group("signature")
    group.add_argument(
        "--expires",
        type=seconds,
        default=900,
        metavar="DURATION",
        help="how long the signature is valid: 900, 15m, 2h, 7d (default: 900 seconds)",
    )
    group.add_argument(
        "--round-to",
        type=seconds,
        metavar="DURATION",
        help="keep the URL the same for windows of this length, so that caches work; the signature is valid for up "
        "to --expires plus this",
    )
    group.add_argument(
        "--start",
        type=unix_seconds,
        metavar="UNIX_SECONDS",
        help="the time from which the signature is valid (default: now)",
    )
    group.add_argument(
        "--query",
        type=parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter to sign; may be repeated",
    )
    add_header(group, "a header to sign; may be repeated")
    group.add_argument("--no-strict", action="store_true", help="also sign keys that COS's naming rules forbid")
    return group


def add_method(group: Any, default: str | None, text: str) -> None:
    """-X."""
    group.add_argument("-X", "--method", default=default, help=text)


def add_header(group: Any, text: str) -> None:
    """-H."""
    group.add_argument("-H", "--header", type=header, action="append", default=[], metavar="NAME:VALUE", help=text)


Run = Callable[[argparse.Namespace], int]


def as_text(raw: IO[bytes]) -> IO[str]:
    """Text as its first bytes say: UTF-16, as Windows PowerShell writes it, or else UTF-8."""
    # UTF-8 never has these bytes. One is enough to know: a pipe may give no more at first.
    is_utf16 = isinstance(raw, io.BufferedReader) and raw.peek(1)[:1] in (b"\xff", b"\xfe")
    encoding, errors = ("utf-16", "replace") if is_utf16 else ("utf-8-sig", "surrogateescape")
    return io.TextIOWrapper(raw, encoding, errors)


def stdin_text() -> IO[str]:
    """Standard input as text; nothing, if it was read before."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin = as_text(sys.stdin.detach())
    return sys.stdin


def command(commands: Any, name: str, run: Run, usage: str, text: str, epilog: str | None = None) -> Parser:
    """Add a command: its name, what runs it, its arguments in one line, and what it does."""
    parser: Parser = commands.add_parser(
        name,
        prog=f"cossign {name}",
        usage=f"cossign {name} {usage}",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
    )
    parser.set_defaults(run=run)
    return parser

"""`cossign verify`: whether presigned URLs are valid."""

from __future__ import annotations

import argparse
import glob
import itertools
import os
import re
import time
from collections.abc import Iterator
from typing import IO, Any

from cossign.cli import arguments as options
from cossign.cli import words
from cossign.errors import BadSignature, ParameterError

EPILOG = """\
examples:
  cossign verify 'https://...&q-signature=...'
  cossign verify urls.txt
  cossign presign keys.txt | cossign verify -
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(
        commands,
        "verify",
        run,
        "URL...|FILE...|- [-X METHOD] [-H NAME:VALUE]",
        "check presigned URLs, given as they are or as files with one URL on each line",
        EPILOG,
    )
    parser.add_argument("urls", nargs="+", metavar="URL|FILE", help="URLs, files with one on each line, or - for stdin")
    options.add_profile(parser, "take the secrets from this profile of tccli or of the SDKs")
    options.add_method(parser, "GET", "the method of the requests (default: GET)")
    options.add_header(parser, "a header of the requests; may be repeated")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found: of each URL that is an argument, of each bad one in a file."""
    from cossign.cli.bucket import provider
    from cossign.verifier import Verifier

    verifier = Verifier(provider(arguments.profile))
    headers = options.pairs("-H", arguments.header)
    valid_count = invalid_count = 0
    for lines, urls in _chunks(arguments.urls):
        results = verifier.verify_many(urls, method=arguments.method, headers=headers)
        invalid_count += len(results.bad)
        valid_count += len(urls) - len(results.bad)
        for row in results.bad if lines else range(len(urls)):  # of a file, only the bad ones are printed
            result = results[row]
            if isinstance(result, BadSignature):
                label = f"{lines[0]} {lines[1] + row}" if lines else words.printable_text(urls[row].partition("?")[0])
                print(f"bad\t{label}\t{type(result).__name__}: {words.printable_text(str(result))}")
            else:
                end_time = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(result.key_time[1]))
                print(f"ok\t{result.method} {words.printable_text(result.key)}\tuntil {end_time}")
    if any(_is_file(each) for each in arguments.urls):
        words.say(
            f"{words.count(valid_count + invalid_count, 'URL')}: {valid_count:,} valid, {invalid_count:,} invalid"
        )
    elif invalid_count:
        words.say("`cossign explain URL` finds the reason")
    return 1 if invalid_count else 0


def _expanded(arguments: list[str]) -> Iterator[str]:
    """The arguments, with the files in place of a pattern, as Windows' shells do not expand it."""
    for each in arguments:
        names = [] if os.path.exists(each) or not _is_file(each) else sorted(glob.glob(each))
        yield from names or [each]


def _is_file(argument: str) -> bool:
    """Whether an argument is a file of URLs, not a URL."""
    return argument == "-" or re.match(r"(?i)https?://|/.*\?", argument) is None


def _chunks(arguments: list[str]) -> Iterator[tuple[tuple[str, int] | None, list[str]]]:
    """URLs to judge together: what to call their lines and the number of the first, or None for an argument."""
    arguments = list(_expanded(arguments))
    for each in arguments:
        if not _is_file(each):
            yield None, [each]
        elif each == "-":
            yield from _lines(options.stdin_text(), "line")
        elif os.path.isdir(each):
            raise ParameterError("URL|FILE", f"{each} is a directory: name a file with one URL on each line")
        elif not os.path.exists(each):
            raise ParameterError("URL|FILE", f"{each} is neither a URL that begins with https:// nor a file")
        else:
            with open(each, "rb") as raw, options.as_text(raw) as file:
                yield from _lines(file, f"{each}, line" if len(arguments) > 1 else "line")


def _lines(file: IO[str], name: str) -> Iterator[tuple[tuple[str, int], list[str]]]:
    first = 1
    while urls := [line.rstrip("\r\n") for line in itertools.islice(file, 8192)]:
        yield (name, first), urls
        first += len(urls)

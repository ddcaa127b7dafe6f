"""`cossign explain`: why a signature does not match."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

from cossign.cli import arguments as options
from cossign.cli import words
from cossign.errors import CredentialsError, CredentialsNotFound, ParameterError

if TYPE_CHECKING:  # each command imports what it needs when it runs
    from cossign.credentials import Credentials

EPILOG = """\
examples:
  cossign explain 'https://...&q-signature=...' --error answer.xml --html why.html
  curl -v 'https://...' 2>&1 | cossign explain -
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(
        commands,
        "explain",
        run,
        "URL|FILE|- [--error FILE] [-b BUCKET] [-r REGION] [OPTION...]",
        "find out why a signature does not match",
        EPILOG,
    )
    parser.add_argument(
        "request",
        nargs="?",
        metavar="REQUEST",
        help="a URL; a file, or - for stdin, with a URL, the output of curl -v, a HAR entry, raw HTTP or a line of a "
        "log; or the code of a cause",
    )
    parser.add_argument("--catalogue", action="store_true", help="print the page of all causes")
    options.add_method(parser, None, "the request's method (default: as in the request, or GET)")
    options.add_header(parser, "a header of the request; may be repeated")
    options.add_bucket(parser, defaults=False)
    parser.add_argument("--error", metavar="FILE", help="the answer of COS: XML, JSON, or a line of a log")
    parser.add_argument(
        "--at",
        type=options.unix_seconds,
        metavar="UNIX_SECONDS",
        help="check the times against this one (default: now)",
    )
    parser.add_argument("--no-key", action="store_true", help="do not use a SecretKey")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--html", metavar="FILE", help="also write the result as a page in one file")
    parser.add_argument("--show-secrets", action="store_true", help="show SignKey, tokens and whole signatures")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; the status is 0 if the signature is valid."""
    from cossign.batch.outputs.files import output_file
    from cossign.batch.outputs.paths import check_outputs
    from cossign.cli.bucket import find_bucket
    from cossign.endpoint import endpoint
    from cossign.explain import CATALOGUE, catalogue, explain, reading

    if arguments.catalogue or arguments.request in CATALOGUE:
        print(catalogue.page() if arguments.catalogue else catalogue.entry(arguments.request), end="")
        return 0
    if arguments.request is None:
        raise ParameterError("REQUEST", "is missing: give a URL, a file, or - for stdin")
    if arguments.request == arguments.error == "-":
        raise ParameterError("--error", "must be a file, as REQUEST is read from stdin")
    input_files = [
        each for each in (arguments.request, arguments.error) if each == "-" or (each and os.path.isfile(each))
    ]
    check_outputs({"html": arguments.html}, input_files)
    credentials = [] if arguments.no_key else _all_credentials(arguments.profile)
    bucket, region, host = arguments.bucket, arguments.region, None
    if bucket:
        bucket, found_region = find_bucket(bucket)
        region = region or found_region
    if arguments.domain or (bucket and region):
        host = endpoint(bucket, region, domain=arguments.domain, accelerate=arguments.accelerate).host
    with output_file(arguments.html, words.warn) if arguments.html else contextlib.nullcontext() as file:
        explanation = explain(
            _text(arguments.request, reading.MAX_CHARACTERS),
            method=arguments.method,
            headers=options.pairs("-H", arguments.header),
            credentials=credentials,
            error=None if arguments.error is None else _text(arguments.error, reading.MAX_CHARACTERS, True),
            now=arguments.at,
            hosts=[host] if host else [],
            bucket=bucket or "",
            show_secrets=arguments.show_secrets,
        )
        if file is not None:
            file.write(explanation.html().encode())
    if arguments.json:
        print(json.dumps(explanation.json(), indent=2))
    else:
        # Windows' older consoles print the codes of colours as they are.
        has_colours = os.name != "nt" or bool(os.environ.get("WT_SESSION"))
        colour = sys.stdout.isatty() and has_colours and not os.environ.get("NO_COLOR")
        sys.stdout.write(explanation.text(colour=colour, width=shutil.get_terminal_size().columns))
    return 0 if explanation.holds else 1


def _all_credentials(profile: str | None) -> list[Credentials]:
    """The credentials of every source that has some: the key of another SecretId may have signed."""
    from cossign.credentials import ChainCredentials, CredentialsProvider, EnvironmentCredentials, FileCredentials

    credentials = []
    if profile is not None:
        return [FileCredentials(profile=profile).get()]
    last_error = None
    providers: list[CredentialsProvider] = [EnvironmentCredentials(), *FileCredentials().each()]
    for provider in providers:
        try:
            credentials.append(provider.get())
        except CredentialsNotFound:
            pass
        except CredentialsError as error:
            last_error = error
    if last_error is not None:
        words.warn(f"one source of credentials cannot be used: {last_error}")
    elif not credentials:
        try:
            credentials.append(ChainCredentials().get())
        except CredentialsNotFound:
            words.warn("no SecretKey was found, so nothing can be recomputed: set COS_SECRET_ID and COS_SECRET_KEY")
    return credentials


def _text(argument: str, limit: int, is_file: bool = False) -> str:
    """What an argument says: itself, stdin for -, or the file of that name, as far as it can be of use."""
    if argument == "-":
        return options.stdin_text().read(limit + 1)
    if os.path.isdir(argument):
        raise ParameterError("REQUEST", f"{argument} is a directory: name a file")
    if is_file or os.path.exists(argument):
        with open(argument, "rb") as raw, options.as_text(raw) as stream:
            return stream.read(limit + 1)
    if re.fullmatch(r"[^\s?&=<>{}]{1,255}", argument) and not re.match(r"(?i)https?(://|%3a)", argument):
        raise ParameterError("REQUEST", f"there is no file {argument}; give a URL, a file, or - for stdin")
    return argument

"""`cossign authorization`: the Authorization header of one request."""

from __future__ import annotations

import argparse
import re
from typing import Any

from cossign.cli import arguments as options
from cossign.errors import ParameterError

EPILOG = """\
examples:
  cossign authorization PUT a.jpg -b examplebucket-1250000000 -r ap-beijing
  cossign authorization PUT a.jpg -H 'Content-Type: image/jpeg' -r ap-beijing
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(
        commands,
        "authorization",
        run,
        "METHOD KEY [-b BUCKET] [-r REGION] [--expires DURATION] [OPTION...]",
        "print the value of the Authorization header for one request",
        EPILOG,
    )
    parser.add_argument("method", metavar="METHOD", help="such as PUT")
    parser.add_argument("key", metavar="KEY", help="the object's key, or cos://BUCKET/KEY")
    options.add_bucket(parser)
    options.add_request(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the header's value."""
    from cossign.cli.bucket import signer, split_address

    if not re.fullmatch("[A-Za-z-]+", arguments.method):
        raise ParameterError("method", "must be an HTTP method, such as PUT: cossign authorization METHOD KEY")
    bucket, key = split_address(arguments.key)
    print(
        signer(arguments, bucket)
        .at(arguments.start)
        .authorization(
            arguments.method,
            key,
            expires=arguments.expires,
            query=options.pairs("--query", arguments.query),
            headers=options.pairs("-H", arguments.header),
        )
    )
    return 0

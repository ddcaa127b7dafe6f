"""`cossign url`: the presigned URL of each key."""

from __future__ import annotations

import argparse
from typing import Any

from cossign.cli import arguments as options

EPILOG = """\
examples:
  cossign url photos/a.jpg -b examplebucket-1250000000 -r ap-beijing
  cossign url 'cos://examplebucket-1250000000/a b.jpg' -r ap-beijing --expires 7d
  cossign url upload/a.png -X PUT -H 'Content-Type: image/png'
  cossign url a.pdf --query response-content-disposition=attachment
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(
        commands,
        "url",
        run,
        "KEY... [-b BUCKET] [-r REGION] [-X METHOD] [--expires DURATION] [OPTION...]",
        "print the presigned URL of each key",
        EPILOG,
    )
    parser.add_argument("keys", nargs="+", metavar="KEY", help="an object's key, or cos://BUCKET/KEY")
    options.add_bucket(parser)
    group = options.add_request(parser)
    options.add_method(group, "GET", "the method that the URL is for (default: GET)")
    group.add_argument("--scheme", choices=("https", "http"), default="https", help="the URL's scheme (default: https)")
    group.add_argument("--no-sign-host", action="store_true", help="do not sign Host, for a CDN in front of the bucket")


def run(arguments: argparse.Namespace) -> int:
    """Print one URL a line."""
    from cossign.cli.bucket import signer, split_address

    query, headers = options.pairs("--query", arguments.query), options.pairs("-H", arguments.header)
    signers: dict[str | None, Any] = {}
    for argument in arguments.keys:
        bucket, key = split_address(argument)
        if bucket not in signers:
            bucket_signer = signer(arguments, bucket, scheme=arguments.scheme, sign_host=not arguments.no_sign_host)
            signers[bucket] = bucket_signer.at(arguments.start)
        url = signers[bucket].presign(
            key, method=arguments.method, expires=arguments.expires, query=query, headers=headers
        )
        print(url)
    return 0

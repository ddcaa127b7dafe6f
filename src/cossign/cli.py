"""The command line: arguments, progress and exit statuses; the work is done by Signer and cossign.batch."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cossign import __version__
from cossign.credentials import EnvironmentCredentials
from cossign.errors import BadSignature, CosSignError
from cossign.signer import Signer, engines

_EPILOG = """\
Secrets come from the environment alone: COS_SECRET_ID, COS_SECRET_KEY and, for temporary
credentials, COS_SESSION_TOKEN (or TENCENTCLOUD_SECRET_ID, ..._SECRET_KEY, ..._SESSION_TOKEN).

examples:
  cossign presign keys.txt -o urls.txt -b examplebucket-1250000000 -r ap-beijing
  cossign presign inventory/manifest.json -o urls.csv.gz -b ... -r ... --expires 7d
  find . -type f -printf '%P\\n' | cossign presign - -b ... -r ... | head
  cossign presign files.csv --key-column path --query-column response-content-type=type -o urls.jsonl -b ... -r ...
  cossign authorization PUT picture.jpg -b ... -r ... -H 'Content-Type: image/jpeg'
  cossign verify 'https://...&q-signature=...'

exit status: 0 done; 1 some rows or signatures were bad; 2 usage, or input that cannot be read; 130 interrupted
"""
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,10})([smhd]?)", text)
    if not found or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 900, 15m, 2h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def _pair(separator: str) -> Callable[[str], tuple[str, str]]:
    def pair(text: str) -> tuple[str, str]:
        name, found, value = text.partition(separator)
        if not found or not name:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME{separator}VALUE")
        return name, value.strip() if separator == ":" else value

    return pair


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cossign",
        description="Sign for Tencent Cloud COS: presigned URLs, one or millions, Authorization headers, verification.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cossign {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text + ".", epilog=None)
        made.set_defaults(run=run)
        return made

    def where(made: argparse.ArgumentParser) -> None:
        made.add_argument("-b", "--bucket", help="<BucketName>-<APPID>, such as examplebucket-1250000000")
        made.add_argument("-r", "--region", help="such as ap-beijing")
        made.add_argument("--domain", help="a host of your own; may hold {Bucket}, {BucketName}, {AppId}, {Region}")
        made.add_argument("--accelerate", action="store_true", help="use the global acceleration host")

    def request(made: argparse.ArgumentParser) -> None:
        made.add_argument("--expires", type=_duration, default=900, metavar="DURATION",
                          help="how long the signature holds: 900, 15m, 2h, 7d (default: 900 seconds)")  # fmt: skip
        made.add_argument("--start", type=int, metavar="UNIX_SECONDS", help="when it begins (default: now)")
        made.add_argument("--query", type=_pair("="), action="append", default=[], metavar="NAME=VALUE",
                          help="a parameter to sign; may be repeated")  # fmt: skip
        header(made, "a header to sign; may be repeated")

    def header(made: argparse.ArgumentParser, text: str) -> None:
        made.add_argument(
            "-H", "--header", type=_pair(":"), action="append", default=[], metavar="NAME:VALUE", help=text
        )

    presign = command("presign", _presign, "presign the URLs of many keys")
    presign.add_argument("keys", nargs="+", metavar="KEYS",
                         help="files, directories, an inventory's manifest.json, or - for stdin")  # fmt: skip
    presign.add_argument("-o", "--output", default="-", metavar="OUT", help="a file, or - for stdout (the default)")
    where(presign)
    presign.add_argument("-X", "--method", default="GET", help="the method that the URLs are for (default: GET)")
    request(presign)
    presign.add_argument("--query-column", type=_pair("="), action="append", default=[], metavar="NAME=COLUMN",
                         help="a parameter whose value is a column of CSV or JSON lines")  # fmt: skip
    presign.add_argument("--key-column", default="key", metavar="COLUMN",
                         help="the column of the keys in CSV and JSON lines (default: key)")  # fmt: skip
    presign.add_argument("--from", dest="source", choices=("txt", "csv", "jsonl", "inventory"),
                         help="what KEYS hold (default: by the suffix; .gz goes by itself)")  # fmt: skip
    presign.add_argument("--to", choices=("txt", "csv", "jsonl"), help="what OUT holds (default: by the suffix)")
    presign.add_argument("--on-error", choices=("fail", "skip", "null"), default="fail",
                         help="what a bad row does: end the job (default), be left out, or get no URL")  # fmt: skip
    presign.add_argument(
        "--threads", type=int, metavar="N", help="how many threads sign (default: one a core, up to 4)"
    )
    presign.add_argument("--no-progress", action="store_true", help="show no progress on the terminal")

    authorization = command("authorization", _authorization, "print the Authorization header's value for one request")
    authorization.add_argument("method", metavar="METHOD")
    authorization.add_argument("key", metavar="KEY")
    where(authorization)
    request(authorization)

    verify = command("verify", _verify, "judge presigned URLs")
    verify.add_argument("urls", nargs="+", metavar="URL", help="URLs, or - for one on each line of stdin")
    verify.add_argument("-X", "--method", default="GET", help="the method of the requests (default: GET)")
    header(verify, "a header of the requests; may be repeated")

    command("engines", _engines, "list the signing engines of this machine, fastest first")
    return parser


def _signer(arguments: argparse.Namespace) -> Signer:
    return Signer(
        EnvironmentCredentials(),
        bucket=arguments.bucket,
        region=arguments.region,
        domain=arguments.domain,
        accelerate=arguments.accelerate,
    )


def _key_time(arguments: argparse.Namespace) -> tuple[int, int]:
    start = int(time.time()) - 1 if arguments.start is None else arguments.start
    return start, start + arguments.expires


@contextlib.contextmanager
def _progress(arguments: argparse.Namespace, source: Any) -> Iterator[Callable[[int], object] | None]:
    """A progress bar on a terminal: rows, rows/s, and what is left, by the share of the input that was read."""
    if arguments.no_progress or not sys.stderr.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        print("cossign: for a progress bar, pip install 'cossign[cli]'", file=sys.stderr)
        yield None
        return
    with tqdm(unit=" rows", unit_scale=True, file=sys.stderr) as bar:

        def advance(rows: int) -> None:
            if source.size and source.position:
                bar.total = max(bar.n + rows, round((bar.n + rows) * source.size / source.position))
            bar.update(rows)

        yield advance


def _presign(arguments: argparse.Namespace) -> int:
    from cossign.batch import Source, open_sink, presign_job

    signer = _signer(arguments)
    signer.presign("check", key_time=_key_time(arguments), method=arguments.method, query=dict(arguments.query))
    columns = dict(arguments.query_column)
    source = Source(arguments.keys, arguments.source, arguments.key_column, list(columns.values()))
    with open_sink(arguments.output, arguments.to, source) as sink, _progress(arguments, source) as progress:
        summary = presign_job(
            source,
            sink,
            signer,
            key_time=_key_time(arguments),
            method=arguments.method,
            query=dict(arguments.query),
            query_columns=columns,
            headers=dict(arguments.header),
            on_error=arguments.on_error,
            threads=min(4, os.cpu_count() or 1) if arguments.threads is None else arguments.threads,
            progress=progress,
        )
    if summary.bad:
        print(
            f"cossign: {summary.bad} of {summary.rows} rows are bad; the first: {summary.first_error}", file=sys.stderr
        )
    return 1 if summary.bad else 0


def _authorization(arguments: argparse.Namespace) -> int:
    print(
        _signer(arguments).authorization(
            arguments.method,
            arguments.key,
            query=dict(arguments.query),
            headers=dict(arguments.header),
            key_time=_key_time(arguments),
        )
    )
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    signer = Signer(EnvironmentCredentials())
    headers = dict(arguments.header)
    many = arguments.urls == ["-"]
    urls = (line.rstrip("\r\n") for line in sys.stdin) if many else iter(arguments.urls)
    right = wrong = 0
    while chunk := list(itertools.islice(urls, 8192)):
        for url, result in zip(chunk, signer.verify_many(chunk, method=arguments.method, headers=headers), strict=True):
            if isinstance(result, BadSignature):
                wrong += 1
                where = f"line {right + wrong}" if many else url.partition("?")[0]
                print(f"bad\t{where}\t{type(result).__name__}: {result}")
            else:
                right += 1
                if not many:
                    until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(result.key_time[1]))
                    print(f"ok\t{result.method} {result.key}\tuntil {until}")
    if many:
        print(f"cossign: {right + wrong} URLs: {right} right, {wrong} wrong", file=sys.stderr)
    return 1 if wrong else 0


def _engines(arguments: argparse.Namespace) -> int:
    print("\n".join(engines()))
    return 0


def _stopped(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    >>> import contextlib, io
    >>> with contextlib.redirect_stdout(io.StringIO()) as printed:
    ...     status = main(["engines"])
    >>> status, printed.getvalue().split()[-1]
    (0, 'hashlib')
    """
    arguments = _parser().parse_args(argv)
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _stopped)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("cossign: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`head`) has what it wanted; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CosSignError as error:
        print(f"cossign: {error}", file=sys.stderr)
        from cossign.batch.job import RowError

        return 1 if isinstance(error, RowError) else 2
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"cossign: {name}{error.strerror or error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

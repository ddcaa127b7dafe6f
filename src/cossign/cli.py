"""The command line: arguments, progress and exit statuses; the work is done by Signer, batch and gateway."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import platform
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cossign import __version__, _core
from cossign.credentials import ChainCredentials, Credentials, EnvironmentCredentials, FileCredentials
from cossign.endpoint import endpoint
from cossign.errors import BadSignature, CosSignError, CredentialsNotFound, ParameterError
from cossign.parameters import chosen_engine, duration, engines, key_time_from
from cossign.signer import Signer

_EPILOG = """\
Secrets are never arguments. They come from the first place that has some: the environment
(COS_SECRET_ID, COS_SECRET_KEY and, for temporary credentials, COS_SESSION_TOKEN; or
TENCENTCLOUD_SECRET_ID, ..._SECRET_KEY, ..._SESSION_TOKEN), the files of coscli, coscmd
and tccli (~/.cos.yaml, ~/.cos.conf, ~/.tccli/default.credential), the instance's role.

examples:
  cossign presign keys.txt -o urls.txt -b examplebucket-1250000000 -r ap-beijing
  cossign presign inventory/manifest.json -o urls.csv.gz -b ... -r ... --expires 7d
  find . -type f -printf '%P\\n' | cossign presign - -b ... -r ... | head
  cossign presign files.csv --key-column path --query-column response-content-type=type -o urls.jsonl -b ... -r ...
  cossign authorization PUT picture.jpg -b ... -r ... -H 'Content-Type: image/jpeg'
  cossign verify 'https://...&q-signature=...'
  cossign explain 'https://...&q-signature=...' --error answer.xml --html why.html
  cossign serve --config gateway.toml

exit status: 0 done; 1 some rows or signatures were bad; 2 usage, or input that cannot be read; 130 interrupted
"""
INPUT_FORMATS = ("txt", "csv", "jsonl", "parquet", "arrow", "orc", "inventory")


def _duration(text: str) -> int:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _pair(separator: str) -> Callable[[str], tuple[str, str]]:
    def pair(text: str) -> tuple[str, str]:
        name, found, value = text.partition(separator)
        if not found or not name:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME{separator}VALUE")
        return name, value.strip() if separator == ":" else value

    return pair


class _Version(argparse.Action):
    """What a report of a fault must say; the first line is the version alone."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        compiler, commit = _core.built()
        try:
            engine = chosen_engine().name
        except ParameterError as error:
            parser.error(str(error))
        print(f"cossign {__version__}")
        print(f"engine {engine}, of {', '.join(engines())}")
        print(f"built by {compiler} from commit {commit}")
        print(f"{platform.python_implementation()} {platform.python_version()}, {sysconfig.get_platform()}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Every command and its arguments; the man page and what shells complete are made from it, too (share/make.py)."""
    made = argparse.ArgumentParser(
        prog="cossign",
        description="Sign for Tencent Cloud COS: presigned URLs, one or millions, Authorization headers, verification.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action=_Version, nargs=0, help="show the version, the engine and the build, and end")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text + ".", epilog=None)
        one.set_defaults(run=run)
        return one

    def where(made: argparse._ActionsContainer) -> None:
        made.add_argument("-b", "--bucket", help="<BucketName>-<APPID>, such as examplebucket-1250000000")
        made.add_argument("-r", "--region", help="such as ap-beijing")
        made.add_argument("--domain", help="a host of your own; may hold {Bucket}, {BucketName}, {AppId}, {Region}")
        made.add_argument("--accelerate", action="store_true", help="use the global acceleration host")

    def request(made: argparse._ActionsContainer) -> None:
        made.add_argument("--expires", type=_duration, default=900, metavar="DURATION",
                          help="how long the signature holds: 900, 15m, 2h, 7d (default: 900 seconds)")  # fmt: skip
        made.add_argument("--round-to", type=_duration, metavar="DURATION",
                          help="the same URL for a window of that long, so that it can be cached")  # fmt: skip
        made.add_argument("--start", type=int, metavar="UNIX_SECONDS", help="when it begins (default: now)")
        made.add_argument("--query", type=_pair("="), action="append", default=[], metavar="NAME=VALUE",
                          help="a parameter to sign; may be repeated")  # fmt: skip
        header(made, "a header to sign; may be repeated")

    def header(made: argparse._ActionsContainer, text: str) -> None:
        made.add_argument(
            "-H", "--header", type=_pair(":"), action="append", default=[], metavar="NAME:VALUE", help=text
        )

    presign = command("presign", _presign, "presign the URLs of many keys")
    presign.add_argument("keys", nargs="+", metavar="KEYS",
                         help="files, directories, patterns, an inventory's manifest.json, or - for stdin")  # fmt: skip
    where(presign)
    signing = presign.add_argument_group("what is signed")
    signing.add_argument("-X", "--method", default="GET", help="the method that the URLs are for (default: GET)")
    signing.add_argument("--method-column", metavar="COLUMN", help="the column of the methods")
    request(signing)
    signing.add_argument("--expires-column", metavar="COLUMN", help="the column of the seconds that a signature holds")
    signing.add_argument("--query-column", type=_pair("="), action="append", default=[], metavar="NAME=COLUMN",
                         help="a parameter whose value is a column; may be repeated")  # fmt: skip
    signing.add_argument("--no-strict", action="store_true", help="sign keys that COS's naming rules forbid, too")
    reading = presign.add_argument_group("what is read")
    reading.add_argument("--from", dest="input_format", choices=INPUT_FORMATS,
                         help="what KEYS hold (default: by the suffix; .gz and .zst go by themselves)")  # fmt: skip
    reading.add_argument("--key-column", default="key", metavar="COLUMN",
                         help="the column of the keys (default: key; an inventory's is always Key)")  # fmt: skip
    reading.add_argument("--columns", type=_names, metavar="A,B,...", help="the columns of CSV without a header")
    reading.add_argument("--include", action="append", default=[], metavar="PATTERN",
                         help="only keys with this prefix, or like this pattern (*.jpg); may be repeated")  # fmt: skip
    reading.add_argument("--exclude", action="append", default=[], metavar="PATTERN",
                         help="no keys with this prefix, or like this pattern; may be repeated")  # fmt: skip
    reading.add_argument("--where", action="append", default=[], metavar="CONDITION",
                         help="only rows with Size>=1048576, StorageClass=STANDARD...; may be repeated")  # fmt: skip
    writing = presign.add_argument_group("what is written")
    writing.add_argument("-o", "--output", default="-", metavar="OUT",
                         help="a file, a directory (see --rows-per-part), or - for stdout (the default)")  # fmt: skip
    writing.add_argument("--to", dest="output_format", metavar="FORMAT",
                         help="txt, csv, jsonl, parquet, arrow, or csv.gz... (default: by the suffix)")  # fmt: skip
    writing.add_argument("--keep-columns", type=_names, default=[], metavar="A,B,...|all",
                         help="the input's columns that stay beside the URL")  # fmt: skip
    writing.add_argument(
        "--url-column", default="url", metavar="COLUMN", help="the name of the URLs' column (default: url)"
    )
    writing.add_argument("--rows-per-part", type=int, metavar="N",
                         help="OUT is a directory of part-00000..., each of N rows (default: 1000000)")  # fmt: skip
    writing.add_argument("--resume", action="store_true", help="go on with the job that was begun in the directory OUT")
    writing.add_argument("--on-error", choices=("fail", "skip", "null"), default="fail",
                         help="what a bad row does: end the job (default), be left out, or get no URL")  # fmt: skip
    writing.add_argument("--errors", metavar="FILE",
                         help="the list of bad rows (default: errors.jsonl in OUT, or OUT.errors.jsonl)")  # fmt: skip
    writing.add_argument("--no-space-check", action="store_true", help="begin even if the disk seems too small")
    doing = presign.add_argument_group("how it is done")
    doing.add_argument("--dry-run", action="store_true",
                       help="write nothing: show three URLs, and what the job would take")  # fmt: skip
    doing.add_argument("--threads", type=int, metavar="N", help="how many threads sign (default: one a core, up to 4)")
    doing.add_argument("--progress", choices=("auto", "json", "none"), default="auto",
                       help="a bar on a terminal (default), a JSON object a second on stderr, or nothing")  # fmt: skip
    doing.add_argument("--no-progress", dest="progress", action="store_const", const="none", help="the same as none")
    doing.add_argument("--report", metavar="FILE", help="write what was done as JSON")

    authorization = command("authorization", _authorization, "print the Authorization header's value for one request")
    authorization.add_argument("method", metavar="METHOD")
    authorization.add_argument("key", metavar="KEY")
    where(authorization)
    request(authorization)

    verify = command("verify", _verify, "judge presigned URLs")
    verify.add_argument("urls", nargs="+", metavar="URL", help="URLs, or - for one on each line of stdin")
    verify.add_argument("-X", "--method", default="GET", help="the method of the requests (default: GET)")
    header(verify, "a header of the requests; may be repeated")

    explain = command("explain", _explain, "find out why a signature does not match")
    explain.add_argument("request", nargs="?", metavar="REQUEST", help="a URL; or a file, or - for stdin, with one, "
                         "curl -v's output, a HAR entry, raw HTTP, a log's line; or a cause's code")  # fmt: skip
    explain.add_argument("--catalogue", action="store_true", help="print the page of all causes, and end")
    explain.add_argument("-X", "--method", help="the request's method (default: what the request says, or GET)")
    header(explain, "a header of the request; may be repeated")
    where(explain)
    explain.add_argument("--error", metavar="FILE", help="the service's answer: its XML")
    explain.add_argument("--at", type=int, metavar="UNIX_SECONDS", help="look at it as of then (default: now)")
    explain.add_argument("--no-key", action="store_true", help="do not look for a SecretKey")
    explain.add_argument("--json", action="store_true", help="print what was found as JSON")
    explain.add_argument("--html", metavar="FILE", help="write it as a page that stands alone, too")
    explain.add_argument("--show-secrets", action="store_true", help="show SignKey, tokens and whole signatures")

    serve = command("serve", _serve, "sign, redirect and authorize requests over HTTP")
    serve.add_argument("--config", required=True, metavar="FILE", help="the gateway's TOML file")
    serve.add_argument("--check", action="store_true", help="check the file, say what would be served, and end")

    command("engines", _engines, "list the signing engines of this machine, fastest first")
    return made


def _signer(arguments: argparse.Namespace, strict: bool = True) -> Signer:
    return Signer(
        ChainCredentials(),
        bucket=arguments.bucket,
        region=arguments.region,
        domain=arguments.domain,
        accelerate=arguments.accelerate,
        strict=strict,
        round_to=getattr(arguments, "round_to", None),
    )


def _key_time(arguments: argparse.Namespace) -> tuple[int, int]:
    start = int(time.time()) - 1 if arguments.start is None else arguments.start
    first, _, end = key_time_from(start, arguments.expires, arguments.round_to, "key_time").partition(";")
    return int(first), int(end)


@contextlib.contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Callable[[Any], object] | None]:
    """What shows a job's progress: a bar on a terminal, or a JSON object a second."""
    if arguments.progress == "json":
        last = 0.0

        def tell(progress: Any) -> None:
            nonlocal last
            if progress.seconds - last >= 1 or progress.rows == progress.total:
                last = progress.seconds
                _say(json.dumps(progress._asdict()))

        yield tell
        return
    if arguments.progress == "none" or not sys.stderr.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        print("cossign: for a progress bar, pip install 'cossign[cli]'", file=sys.stderr)
        yield None
        return
    with tqdm(unit=" rows", unit_scale=True, file=sys.stderr, dynamic_ncols=True) as bar:

        def advance(progress: Any) -> None:
            if bar.n == 0 and progress.seconds < 0.2:
                bar.initial = progress.rows  # those that were there before the job was resumed
            bar.total = progress.total
            parts = f"{progress.parts} parts, " if progress.parts else ""
            bad = f", {progress.bad} bad" if progress.bad else ""
            bar.set_postfix_str(f"{parts}{tqdm.format_sizeof(progress.written, 'B', 1000)}{bad}", refresh=False)
            bar.update(progress.rows - bar.n)

        yield advance


def _say(text: str) -> None:
    """Print to stderr; a job goes on if nobody reads it, or the disk that it goes to is full."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _warn(text: str) -> None:
    _say(f"cossign: warning: {text}")


def _presign(arguments: argparse.Namespace) -> int:
    from cossign import batch

    named = {name: getattr(arguments, name) for name in (
        "output", "expires", "start", "method", "method_column", "expires_column", "input_format", "output_format",
        "key_column", "columns", "keep_columns", "url_column", "include", "exclude", "where", "rows_per_part", "resume",
        "on_error", "errors", "report",
    )}  # fmt: skip
    if arguments.threads is not None:
        named["threads"] = arguments.threads
    job = batch.Job(
        inputs=arguments.keys, signer=_signer(arguments, strict=not arguments.no_strict), query=dict(arguments.query),
        headers=dict(arguments.header), query_columns=dict(arguments.query_column),
        check_space=not arguments.no_space_check, **named,
    )  # fmt: skip
    if arguments.dry_run:
        return _dry_run(batch.dry_run(job), arguments.output)
    with _progress(arguments) as progress:
        report = batch.run(job, progress=progress, warn=_warn)
    if report.bad:
        first = f"; the first: {report.first_error}" if report.first_error else ""
        listed = f"; all are in {report.errors}" if report.errors else ""
        _say(f"cossign: {report.bad} of {report.rows} rows are bad{first}{listed}")
    return 1 if report.bad or not report.complete else 0


def _dry_run(estimate: Any, output: str) -> int:
    """Show what a job would do."""
    print("\n".join(estimate.urls))
    about = "" if estimate.exact else "about "
    if estimate.rows is None:
        print(f"rows: unknown; {estimate.sample:,} were tried", file=sys.stderr)
    else:
        print(
            f"rows: {about}{estimate.rows:,}; time: about {span(estimate.seconds)}; "
            f"size: about {estimate.written / 1e6:,.1f} MB", file=sys.stderr,
        )  # fmt: skip
    if estimate.free is not None:
        fits = "" if estimate.written is None or estimate.written < estimate.free else ": too little"
        print(f"free where {output} is: {estimate.free / 1e6:,.1f} MB{fits}", file=sys.stderr)
    if estimate.bad:
        print(
            f"bad: {estimate.bad:,} of the first {estimate.sample:,} rows; the first: {estimate.first_error}",
            file=sys.stderr,
        )
    for text in estimate.warnings:
        _warn(text)
    return 1 if estimate.bad else 0


def span(seconds: float) -> str:
    """Seconds in words."""
    return (
        f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


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
    signer = Signer(ChainCredentials())
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
    elif wrong:
        print("cossign: `cossign explain URL` finds out why", file=sys.stderr)
    return 1 if wrong else 0


def _explain(arguments: argparse.Namespace) -> int:
    from cossign.batch.outputs import check_outputs, output_file
    from cossign.explain import catalogue, explain, reading

    if arguments.catalogue or arguments.request in catalogue.CATALOGUE:
        print(catalogue.page() if arguments.catalogue else catalogue.entry(arguments.request), end="")
        return 0
    if arguments.request is None:
        raise ParameterError("REQUEST", "is missing: give a URL, a file, or - for stdin")
    given = [each for each in (arguments.request, arguments.error) if each == "-" or (each and os.path.isfile(each))]
    check_outputs({"html": arguments.html}, given)
    credentials = [] if arguments.no_key else _all_credentials()
    host = None
    if arguments.domain or (arguments.bucket and arguments.region):
        host = endpoint(
            arguments.bucket, arguments.region, domain=arguments.domain, accelerate=arguments.accelerate
        ).host
    with output_file(arguments.html) if arguments.html else contextlib.nullcontext() as file:
        found = explain(
            _text(arguments.request, reading.MOST), method=arguments.method, headers=dict(arguments.header),
            credentials=credentials,
            error=None if arguments.error is None else _text(arguments.error, reading.MOST, True),
            now=arguments.at, hosts=[host] if host else [], bucket=arguments.bucket or "",
            show_secrets=arguments.show_secrets,
        )  # fmt: skip
        if file is not None:
            file.write(found.html().encode())
    if arguments.json:
        print(json.dumps(found.json(), indent=2))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        sys.stdout.write(found.text(colour=colour, width=shutil.get_terminal_size().columns))
    return 0 if found.holds else 1


def _all_credentials() -> list[Credentials]:
    """Those of every place that has some: the key of another SecretId may have signed."""
    found = []
    for provider in (EnvironmentCredentials(), FileCredentials()):
        with contextlib.suppress(CredentialsNotFound):
            found.append(provider.get())
    if not found:
        try:
            found.append(ChainCredentials().get())
        except CredentialsNotFound:
            _warn("no SecretKey was found, so nothing can be recomputed: set COS_SECRET_ID and COS_SECRET_KEY")
    return found


def _text(given: str, most: int, file: bool = False) -> str:
    """What an argument says: itself, stdin for -, or the file of that name, as far as it can be of use."""
    if given == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        return sys.stdin.read(most + 1)
    if file or os.path.isfile(given):
        with open(given, encoding="utf-8", errors="surrogateescape") as opened:
            return opened.read(most + 1)
    return given


def _serve(arguments: argparse.Namespace) -> int:
    try:
        from cossign.gateway.serve import serve
    except ImportError as error:
        print(f"cossign: serve needs {error.name}: pip install 'cossign[gateway]'", file=sys.stderr)
        return 2
    return serve(arguments.config, arguments.check)


def _engines(arguments: argparse.Namespace) -> int:
    print("\n".join(engines()))
    return 0


def _resumable(arguments: argparse.Namespace) -> str:
    """What to do about a job that was ended, if its parts were written down."""
    journal = os.path.join(getattr(arguments, "output", "-"), ".journal.jsonl")
    return "; say the same with --resume to go on" if os.path.exists(journal) else ""


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
    arguments = parser().parse_args(argv)
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _stopped)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print(f"cossign: interrupted; no half-written file was left{_resumable(arguments)}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if getattr(arguments, "output", "-") != "-":
            print(f"cossign: {arguments.output}: its reader has closed it", file=sys.stderr)
            return 2
        # The reader (`head`) has what it wanted; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CosSignError as error:
        print(f"cossign: {error}", file=sys.stderr)
        from cossign.batch import RowError

        return 1 if isinstance(error, RowError) else 2
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"cossign: {name}{error.strerror or error}{_resumable(arguments)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""`cossign presign`: the presigned URLs of files of keys."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

from cossign.cli import arguments as options
from cossign.cli import words
from cossign.cli.hints import address
from cossign.errors import ParameterError

INPUT_FORMATS = ("txt", "csv", "jsonl", "parquet", "arrow", "orc", "inventory", "list", "versions")
# Those of a Job that are called as the options are.
PARAMETERS = (
    "output", "expires", "start", "method", "method_column", "expires_column", "input_format", "endpoint",
    "output_format", "encoding", "latest", "key_column", "columns", "keep_columns", "url_column", "include",
    "exclude", "where", "rows_per_part", "resume", "new_credentials", "on_error", "errors", "report",
)  # fmt: skip
EPILOG = """\
examples:
  cossign presign keys.txt -o urls.txt -b examplebucket-1250000000 -r ap-beijing
  cossign presign inventory/manifest.json -o urls.csv.gz --expires 7d
  cossign presign cos://examplebucket-1250000000/photos/ -r ap-beijing -o urls/
  find . -type f -printf '%P\\n' | cossign presign - | head
  cossign presign files.csv --key-column path --where 'size>=1MiB' -o urls.jsonl
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = options.command(
        commands,
        "presign",
        run,
        "FILE... -o OUT [-b BUCKET] [-r REGION] [--expires DURATION] [OPTION...]",
        "presign the URLs of many keys, from files or stdin",
        EPILOG,
    )
    parser.add_argument(
        "keys",
        nargs="*",
        metavar="FILE",
        help="files, directories, patterns, an inventory's manifest.json, or - for stdin; in a bucket: "
        "cos://BUCKET/KEY for a file, cos://BUCKET/PREFIX/ for the objects with this prefix, or for the newest report",
    )
    options.add_bucket(parser)
    signing = options.add_request(parser)
    options.add_method(signing, "GET", "the method that the URLs are for (default: GET)")
    signing.add_argument("--method-column", metavar="COLUMN", help="the column with the methods")
    signing.add_argument("--expires-column", metavar="COLUMN", help="the column with the seconds of validity")
    signing.add_argument(
        "--query-column",
        type=options.parameter,
        action="append",
        default=[],
        metavar="NAME=COLUMN",
        help="a parameter whose value is a column; may be repeated",
    )
    _add_reading(parser.add_argument_group("input"))
    _add_writing(parser.add_argument_group("output"))
    _add_doing(parser.add_argument_group("the run"))


def _add_reading(reading: argparse._ArgumentGroup) -> None:
    reading.add_argument(
        "--from",
        dest="input_format",
        choices=INPUT_FORMATS,
        help="the format of FILE (default: by the suffix; .gz and .zst are unpacked)",
    )
    reading.add_argument(
        "--delimiter", metavar="CHARACTER", help="the character between fields of CSV (default: a comma; a tab in .tsv)"
    )
    reading.add_argument(
        "--endpoint",
        metavar="HOST",
        help="the host for reading and writing buckets, such as cos-internal.ap-beijing.tencentcos.cn "
        "(default: cos.REGION.myqcloud.com)",
    )
    reading.add_argument(
        "--encoding", help="the encoding of text, CSV and JSON lines, such as gbk or utf-16 (default: utf-8)"
    )
    reading.add_argument(
        "--latest",
        action="store_true",
        help="leave out old versions and delete markers (IsLatest, IsDeleteMarker)",
    )
    reading.add_argument(
        "--key-column",
        metavar="COLUMN",
        help="the column with the keys (default: key; an inventory's is always Key)",
    )
    reading.add_argument("--columns", type=options.names, metavar="A,B,...", help="the columns of CSV without a header")
    reading.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only keys with this prefix, or keys that match this pattern, such as *.jpg; may be repeated",
    )
    reading.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="no keys with this prefix, and no keys that match this pattern; may be repeated",
    )
    reading.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only rows that fit: Size>=1MiB, StorageClass=STANDARD, LastModifiedDate<2026-01-31; may be repeated",
    )


def _add_writing(writing: argparse._ArgumentGroup) -> None:
    writing.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="OUT",
        help="a file, a directory (see --rows-per-part), or - for stdout (default); in a bucket: cos://BUCKET/KEY, "
        "or cos://BUCKET/PREFIX/ for parts",
    )
    writing.add_argument(
        "--to",
        dest="output_format",
        metavar="FORMAT",
        help="txt, csv, jsonl, parquet, arrow, or csv.gz... (default: by the suffix)",
    )
    writing.add_argument(
        "--keep-columns",
        type=options.names,
        default=[],
        metavar="A,B,...|all",
        help="the columns of the input to copy to the output",
    )
    writing.add_argument("--url-column", metavar="COLUMN", help="the name of the column with the URLs (default: url)")
    writing.add_argument(
        "--rows-per-part",
        type=int,
        metavar="N",
        help="write OUT as a directory of part-00000..., each with N rows (default: 1000000)",
    )
    writing.add_argument("--resume", action="store_true", help="continue the job that was begun in the directory OUT")
    writing.add_argument(
        "--abort",
        action="store_true",
        help="only delete the unfinished upload that a killed job has left in OUT; it costs storage",
    )
    writing.add_argument(
        "--new-credentials", action="store_true", help="with --resume: continue with other credentials than before"
    )
    writing.add_argument(
        "--on-error",
        choices=("fail", "skip", "null"),
        default="fail",
        help="for a bad row: end the job (default), leave the row out, or write it without a URL",
    )
    writing.add_argument(
        "--errors", metavar="FILE", help="the list of bad rows (default: errors.jsonl in OUT, or OUT.errors.jsonl)"
    )
    writing.add_argument("--no-space-check", action="store_true", help="do not check the free space of the disk")


def _add_doing(doing: argparse._ArgumentGroup) -> None:
    doing.add_argument(
        "--dry-run", action="store_true", help="write nothing; print three URLs, and estimate the job's size and time"
    )
    doing.add_argument(
        "--threads", type=int, metavar="N", help="the number of threads that sign (default: one per core, at most 4)"
    )
    doing.add_argument(
        "--progress",
        choices=("auto", "json", "none"),
        default="auto",
        help="auto: a bar if stderr is a terminal (default); json: one JSON object a second on stderr; none: nothing",
    )
    doing.add_argument(
        "--no-progress", dest="progress", action="store_const", const="none", help="the same as --progress none"
    )
    doing.add_argument("-q", "--quiet", action="store_true", help="print no bar, and no line at the end")
    doing.add_argument(
        "--report", metavar="FILE", help="write counts, times and warnings as JSON; may be cos://BUCKET/KEY"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the job, or show what it would do."""
    from cossign import batch
    from cossign.cli.bucket import signer

    if not arguments.abort:
        if not arguments.keys:
            raise ParameterError("FILE", "is missing: name a file of keys, or - for stdin")
        _check_files(arguments.keys, arguments.input_format)
    parameters = {name: getattr(arguments, name) for name in PARAMETERS}
    if arguments.threads is not None:
        parameters["threads"] = arguments.threads
    job = batch.Job(
        inputs=arguments.keys,
        signer=signer(arguments, inventory=_default_bucket(arguments)),
        delimiter={"\\t": "\t", "tab": "\t"}.get(arguments.delimiter, arguments.delimiter),
        query=options.pairs("--query", arguments.query),
        headers=options.pairs("-H", arguments.header),
        query_columns=options.pairs("--query-column", arguments.query_column),
        check_space=not arguments.no_space_check,
        **parameters,
    )
    if arguments.abort:
        words.say(f"{words.count(batch.abort(job), 'unfinished upload')} aborted in {arguments.output}")
        return 0
    if arguments.dry_run:
        for option in ("report", "errors"):
            if getattr(arguments, option) is not None:
                raise ParameterError(option, "is not written by --dry-run: leave one out")
        return _dry_run(batch.dry_run(job), arguments.output)
    with _progress(arguments) as progress:
        report = batch.run(job, progress=progress, warn=words.warn)
    if not arguments.quiet and arguments.progress != "json":  # whose last object has it all
        words.say(_summary(report, arguments))
    return 1 if report.bad or not report.complete else 0


def _default_bucket(arguments: argparse.Namespace) -> tuple[str | None, str | None]:
    """The bucket and the region that a list among the inputs names, if they are of use."""
    from cossign.batch.inputs.source import Source
    from cossign.cli.bucket import provider, resolve
    from cossign.storage import Address, Bucket

    if arguments.bucket or os.environ.get("COS_BUCKET"):
        return None, None
    if arguments.abort:  # nothing is read
        return Address.parse(arguments.output, "output").bucket, None

    def bucket_of(name: str) -> Bucket:
        region = resolve(arguments, name)[1]
        if region is None:  # a domain of one's own needs none
            raise ParameterError("-r", f"is missing: give the region of {name}, which is read")
        return Bucket(name, region, provider(arguments.profile).get, endpoint=arguments.endpoint)

    source = Source(arguments.keys, arguments.input_format, buckets=bucket_of)
    return source.bucket, source.region


def _check_files(files: list[str], input_format: str | None) -> None:
    """Refuse a key or an address where a file of keys is expected, and say what signs it."""
    from cossign.batch import InputError
    from cossign.batch.inputs.source import format_of
    from cossign.storage import is_address

    for each in files:
        if each == "-" or os.path.exists(each):
            continue
        if is_address(each):
            key = each[6:].partition("/")[2]
            is_file = input_format is not None or key.endswith(".json") or format_of(key) is not None
            if key and key[-1] != "/" and not is_file:
                raise InputError(
                    f"{each}: its suffix does not show the format: give it with --from. To sign this object, use "
                    f"cossign url {shlex.quote(each)}; --from list signs all objects with this prefix"
                )
            continue
        if what := address(each):
            raise InputError(f"{each} {what}; a job reads files of keys")
        if not any(mark in each for mark in "*?["):
            raise InputError(f"{each} does not exist; if it is the key of an object: cossign url {shlex.quote(each)}")


def _summary(report: Any, arguments: argparse.Namespace) -> str:
    """What a job did, in one line."""
    urls = report.rows - report.bad
    resume_note = f" ({report.resumed:,} of them before)" if report.resumed else ""
    target = "stdout" if arguments.output == "-" else arguments.output
    parts = f" in {words.count(report.parts, 'part')}" if report.parts else ""
    left_out = {
        name: report.counts.get(name, 0)
        for name in ("empty_lines", *(("old_versions", "delete_markers") if arguments.latest else ()))
    }
    versions = left_out.get("old_versions", 0) + left_out.get("delete_markers", 0)
    filtered_rows = report.read - report.rows - versions
    line = f"{words.count(urls, 'URL')}{resume_note} to {target}{parts} in {words.length(report.seconds)}"
    if filtered_rows:
        line += f"; {words.count(filtered_rows, 'row')} left out by the filters"
    for name, number in left_out.items():
        if number:
            line += f"; {words.count(number, name[:-1].replace('_', ' '))} left out"
    if not report.read:
        line += "; the input is empty"
    if report.bad:
        first = f"; the first: {words.with_options(report.first_error)}" if report.first_error else ""
        errors_note = f"; all are listed in {report.errors}" if report.errors else ""
        line += f"; {report.bad:,} of {report.rows:,} rows are bad{first}{errors_note}"
    return line


@contextlib.contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Callable[[Any], object] | None]:
    """What shows a job's progress: a bar on a terminal, or a JSON object a second."""
    if arguments.progress == "json":
        last = 0.0

        def tell(progress: Any) -> None:
            nonlocal last
            if progress.seconds - last >= 1 or progress.rows == progress.total:
                last = progress.seconds
                with contextlib.suppress(OSError):  # nobody reads it any more
                    print(json.dumps(progress._asdict()), file=sys.stderr, flush=True)

        yield tell
        return
    if arguments.quiet or arguments.progress == "none" or not sys.stderr.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        words.say("a progress bar needs tqdm: pip install tqdm")
        yield None
        return
    with tqdm(unit=" rows", unit_scale=True, file=sys.stderr, dynamic_ncols=True) as bar:

        def advance(progress: Any) -> None:
            if bar.n == 0 and progress.seconds < 0.2:
                bar.initial = progress.rows  # those of the job before it was resumed
            bar.total = progress.total
            parts = f"{progress.parts} parts, " if progress.parts else ""
            bad = f", {progress.bad} bad" if progress.bad else ""
            bar.set_postfix_str(f"{parts}{tqdm.format_sizeof(progress.written, 'B', 1000)}{bad}", refresh=False)
            bar.update(progress.rows - bar.n)

        yield advance


def _dry_run(estimate: Any, output: str) -> int:
    """Show what a job would do."""
    print("\n".join(estimate.urls))
    about = "" if estimate.exact else "about "
    if estimate.rows is None:
        print(f"rows: unknown; {estimate.sample:,} were tried", file=sys.stderr)
    else:
        print(
            f"rows: {about}{estimate.rows:,}; time: about {words.length(estimate.seconds)}; "
            f"size: about {estimate.written / 1e6:,.1f} MB",
            file=sys.stderr,
        )
    if estimate.free is not None:
        fits = "" if estimate.written is None or estimate.written < estimate.free else ": too little"
        print(f"free space for {output}: {estimate.free / 1e6:,.1f} MB{fits}", file=sys.stderr)
    if estimate.bad:
        first = words.with_options(estimate.first_error)
        print(f"bad: {estimate.bad:,} of the first {estimate.sample:,} rows; the first: {first}", file=sys.stderr)
    for text in estimate.warnings:
        words.warn(text)
    return 1 if estimate.bad else 0

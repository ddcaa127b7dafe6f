"""Doing a job: from inputs to outputs, part by part; before that, what it takes and whether it makes sense."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from cossign import __version__
from cossign.batch.ahead import BackgroundThread
from cossign.batch.bad_rows import BadRow, BadRows
from cossign.batch.job import Estimate, Job, Progress, Report, RowError, SpaceError
from cossign.batch.journal import Journal, Part, changes, job_plan
from cossign.batch.outputs import check_folder, check_outputs, complete_file, is_directory, is_stream, output_file
from cossign.batch.rows import CORES, Rows, TextRows
from cossign.batch.sense import Oddities, credentials_warning, expired_warning, utc
from cossign.batch.sinks import CountedFile, Sink, open_sink, output_format
from cossign.batch.sources import GZIP, InputError, Position, Source, pyarrow
from cossign.errors import ParameterError

ROWS_PER_PART = 1_000_000
_SAMPLE = 200_000  # rows that a dry run tries
_SHORT_SAMPLE = 20_000  # rows that are tried before a job begins


def run(
    job: Job, *, progress: Callable[[Progress], object] | None = None, warn: Callable[[str], object] | None = None
) -> Report:
    """Do a job: presign all keys at one instant.

    Reading, signing and writing overlap; memory stays the same however many rows there are. A file gets its name when
    it is complete and on the disk. A directory of parts has a journal: a job that was ended, by whatever, goes on with
    ``resume=True``, and gives the same bytes as one that was not.

    Args:
        job: what to do.
        progress: called some times a second.
        warn: called with each of the report's warnings, as soon as it is known.

    Returns:
        What was done.

    Raises:
        RowError: a row is bad, and `on_error` is "fail".
        InputError: an input cannot be read, or lacks a column.
        SpaceError: the output would not fit on the disk.
        ParameterError: a parameter is not of its form; or the output is one of the inputs, a directory that is not
            empty, or is being written by another job; or a job to resume is another than this one.

    >>> import os, tempfile
    >>> from cossign import Credentials, Signer
    >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(f"{folder}/keys.txt", "w") as file:
    ...         _ = file.write("a.jpg\\nb.jpg\\n")
    ...     report = run(Job(inputs=[f"{folder}/keys.txt"], output=f"{folder}/urls.txt", signer=signer))
    ...     report.rows, report.bad, sorted(os.listdir(folder))
    (2, 0, ['keys.txt', 'urls.txt'])
    """
    return _Run(job, progress, warn).run()


def dry_run(job: Job) -> Estimate:
    """What a job would do, by its first rows; nothing is written.

    Args and raises: as in `run`.

    >>> import tempfile
    >>> from cossign import Credentials, Signer
    >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(f"{folder}/keys.txt", "w") as file:
    ...         _ = file.write("a.jpg\\nb.jpg\\n")
    ...     dry_run(Job(inputs=[f"{folder}/keys.txt"], signer=signer)).rows
    2
    """
    return _Run(job, None, None).estimate()


class _Run:
    """One run of a job."""

    def __init__(
        self, job: Job, progress: Callable[[Progress], object] | None, warn: Callable[[str], object] | None
    ) -> None:
        self.job = job
        self.output = os.fspath(job.output)
        self._progress = progress
        self._warn_caller = warn
        self._start_time = self._next = time.monotonic()
        self.directory = not is_stream(self.output) and (job.rows_per_part is not None or is_directory(self.output))
        _check_choices(job, self.directory)
        self._has_filters = bool(job.include or job.exclude or job.where)
        self._inputs = [os.fspath(each) for each in _input_list(job.inputs)]
        self.source = Source(self._inputs, job.input_format)
        self.format = output_format(self.output, job.output_format, self.directory)
        if job.keep_columns and self.format.form == "txt":
            raise ParameterError("keep_columns", "cannot be in text, which has the URLs alone: choose another format")
        self.plain = _is_plain(job, self.source, self.format.form, self._has_filters)
        self._check_output()
        # One SecretKey for all rows: what a provider has later would be another job's.
        signer = job.signer.replace(credentials=job.signer.valid_credentials(), expires=job.expires)
        self.job = job = replace(job, signer=signer.at(job.start))
        # What is wrong with a parameter is said before a byte is read or written.
        job.signer.presign("check", method=job.method, query=job.query, headers=job.headers, key_time=self._times())
        self.report = Report(
            self.output,
            self._times(),
            job.signer.prepare().engine.name,
            CORES if job.threads is None else job.threads,
            versions=self._versions(),
        )
        self._report_file: IO[bytes] | None = None  # where the report is written
        self._oddities = Oddities(self.warn)
        self._output_size = 0
        self._late = job.expires_column is not None  # whether no more need be said of URLs that expire too soon

    # --- What others ask for

    def _times(self) -> tuple[int, int]:
        """KeyTime."""
        return self.job.signer.times().key_time(self.job.expires)

    def warn(self, text: str) -> None:
        if text not in self.report.warnings:
            self.report.warnings.append(text)
            if self._warn_caller is not None:
                self._warn_caller(text)

    # --- Running

    def run(self) -> Report:
        """Do it, and then write the report, whose file was opened before."""
        with contextlib.ExitStack() as stack:
            report = self._run(stack)
            if self._report_file is not None:
                self._report_file.write(report.text().encode())
        return report

    def _run(self, outer: contextlib.ExitStack) -> Report:
        with contextlib.ExitStack() as stack:
            journal = None
            if self.directory:
                journal = Journal(Path(self.output), self.job.resume)
                stack.callback(journal.close)
            if self.job.report is not None:
                self._report_file = outer.enter_context(output_file(os.fspath(self.job.report)))
            if journal is not None:
                self._resume(journal)
                if journal.is_done:
                    errors_path = self._errors_file()
                    self.report.errors = errors_path if self.report.bad else None
                    self._check_counts()
                    return self._finish()
            self._make_sense()
            self._check_space()
            file = stack.enter_context(contextlib.ExitStack())
            raw = None if journal is not None else file.enter_context(output_file(self.output))
            last_part = journal.parts[-1] if journal and journal.parts else None
            errors = stack.enter_context(
                BadRows(self._errors_file(), last_part.errors if last_part else 0, self.job.errors is not None)
            )
            at = last_part.end if last_part else Position()
            with contextlib.closing(self.rows(self.source, at, self.job.threads)) as rows:
                if journal is not None:
                    self._parts(journal, rows, errors)
                else:
                    self._write(CountedFile(raw), rows, None, errors)
            file.close()  # the output has its name before the list of bad rows has
            self.report.errors = errors.complete()
            self._check_counts()
            if journal is not None:
                journal.end()
        return self._finish()

    def _parts(self, journal: Journal, rows: Rows, errors: BadRows) -> None:
        """The parts that are not yet there."""
        folder = Path(self.output)
        while not journal.parts or rows.has_more():
            name = f"part-{len(journal.parts):05d}{self.format.suffix}"
            read, rows_before, bad = rows.read, self.report.rows, self.report.bad
            with complete_file(folder / name) as raw:
                file = CountedFile(raw, has_crc32=True)
                self._write(file, rows, self.job.rows_per_part or ROWS_PER_PART, errors)
            errors.flush()
            journal.add(
                Part(
                    name,
                    file.size,
                    file.crc32,
                    rows.read - read,
                    self.report.rows - rows_before,
                    self.report.bad - bad,
                    rows.end,
                    errors.size,
                )
            )
            self.report.parts = len(journal.parts)

    def _write(self, file: CountedFile, rows: Rows, limit: int | None, errors: BadRows) -> None:
        """Some rows into one file."""
        before = self._output_size
        read = self.report.read - rows.read
        sink: Sink
        with open_sink(file, self.format, _names(self.job)) as sink, contextlib.closing(BackgroundThread(1)) as thread:
            for piece in rows.part(limit):
                if piece.bad:
                    if self.job.on_error == "fail":
                        raise RowError(str(piece.bad[0]))
                    if self.report.first_error is None:
                        self.report.first_error = str(piece.bad[0])
                    self.report.bad += len(piece.bad)
                    errors.write(piece.bad)
                for data in piece.data:
                    if rows.direct:
                        sink.write(data)
                    else:
                        thread.call(sink.write, data)
                self.report.rows += piece.rows
                self._output_size = before + file.size
                self._note()
            thread.wait()
        self._output_size = before + file.size
        self.report.read = read + rows.read

    def rows(self, source: Source, at: Position, threads: int | None, *, check: bool = True, look: bool = True) -> Rows:
        """The job's rows from a place on; `check` is whether MD5s are, `look` whether their keys are looked at."""
        see = self._oddities.look if look else lambda keys: None
        if self.plain:
            return TextRows(self.job, source, at, threads, see)
        from cossign.batch.table_rows import TableRows

        text = self.format.form == "txt"
        return TableRows(self.job, source, at, threads, see, text=text, check=check)

    def _finish(self) -> Report:
        self._oddities.judge()
        now = time.monotonic()
        self.report.seconds = now - self._start_time
        self.report.written = self._output_size
        if self.report.key_time[1] < self.job.signer.now() and not self._late:
            self.warn("the URLs expired before the job ended: choose a longer `expires`")
        self._tell(now, self.report.rows)
        return self.report

    def _note(self) -> None:
        """Tell how far it is, some times a second; and whether it will be done in time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 0.1
        seconds, report = now - self._start_time, self.report
        share = self.source.position / self.source.size if self.source.size else 0.0
        total = None if self._has_filters else self.source.rows
        if total is None and 0 < share < 1:
            total = max(report.rows, round(report.rows / share))
        seconds_left = seconds * (1 - share) / share if share > 0.001 else 0.0
        if seconds > 5 and self.job.signer.now() + seconds_left > report.key_time[1] and not self._late:
            self._late = True
            self.warn(
                f"the URLs expire at {utc(report.key_time[1])}, and the job needs about {seconds_left:,.0f} seconds "
                "more: choose a longer `expires`"
            )
        self._tell(now, total)

    def _tell(self, now: float, total: int | None) -> None:
        report = self.report
        if self._progress is not None:
            self._progress(
                Progress(
                    report.rows,
                    total,
                    report.bad,
                    self.source.position,
                    self.source.size,
                    self._output_size,
                    report.parts,
                    now - self._start_time,
                )
            )

    # --- Before it begins

    def _check_output(self) -> None:
        output = self.output
        report = None if self.job.report is None else os.fspath(self.job.report)
        check_outputs(
            {"output": None if self.directory else output, "errors": self._errors_file(), "report": report},
            [*(each.path for each in self.source.inputs), *self.source.manifests],
            output if self.directory else None,
        )
        if self.directory:
            check_folder(output, self._inputs)

    def _make_sense(self) -> None:
        """Warn of what cannot be meant."""
        end = self.report.key_time[1]
        warning = expired_warning(self.job.signer, end)
        if warning and not self._late:
            self._late = True
            self.warn(warning)
        if ends := credentials_warning(self.job.signer, end):
            self.warn(ends)

    def _check_space(self) -> None:
        """Refuse what would fill the disk."""
        if not self.job.check_space or is_stream(self.output) or self.source.size is None:
            return
        try:
            estimate = self.estimate(_SHORT_SAMPLE, warnings=False)
        except InputError:
            return  # which is said where it is met
        if estimate.written is None or estimate.free is None:
            return
        more_bytes = estimate.written - self._output_size
        if more_bytes > estimate.free:
            raise SpaceError(
                f"{self.output} would take about {_bytes(more_bytes)}, and the disk has"
                f" {_bytes(estimate.free)}: make room, compress it (.zst, .parquet), or use"
                " `check_space=False`"
            )

    def estimate(self, sample: int = _SAMPLE, *, warnings: bool = True) -> Estimate:
        """Try some rows, the first."""
        job = self.job
        if warnings:
            self._make_sense()
        start_time = 0.0  # when the first rows were there
        first_count = 0
        source = Source(self._inputs, job.input_format)
        urls: list[str] = []
        bad: list[BadRow] = []
        row_count = 0
        file = CountedFile(None)
        with (
            contextlib.closing(self.rows(source, Position(), 1, check=False, look=warnings)) as rows,
            open_sink(file, self.format, _names(self.job)) as sink,
        ):
            for piece in rows.part(None):
                for data in piece.data:
                    sink.write(data)
                    urls += _first_urls(data, 3 - len(urls))
                bad += piece.bad
                row_count += piece.rows
                if not start_time:
                    start_time, first_count = time.perf_counter(), row_count
                if row_count >= sample:
                    break
            seconds = time.perf_counter() - start_time
            is_complete = row_count < sample
            total, share = rows.total(), rows.kept_count / max(1, rows.read)
        exact = is_complete or (total is not None and not self._has_filters)
        total = row_count if is_complete else (source.estimated_rows() if total is None else total)
        output_rows = None if total is None else round(total * (1 if is_complete else share))
        if warnings:
            self._oddities.judge()
        free = None if is_stream(self.output) else shutil.disk_usage(_existing_folder(self.output)).free
        scale = None if output_rows is None else output_rows / max(1, row_count)
        size = None if scale is None else round(file.size * scale)
        duration = None if output_rows is None else output_rows * seconds / max(1, row_count - first_count)
        if warnings and duration is not None and duration > job.expires:
            self.warn(f"the URLs expire after {job.expires} seconds, and the job takes about {duration:,.0f}")
        return Estimate(
            urls,
            output_rows,
            exact,
            duration,
            size,
            free,
            row_count,
            len(bad),
            str(bad[0]) if bad else None,
            list(self.report.warnings),
        )

    # --- Resuming

    def _resume(self, journal: Journal) -> None:
        """Begin the journal; or check that the job is the one that was begun, and take over what it did."""
        if journal.plan is None:
            if any(not name.startswith(".") for name in os.listdir(self.output)):
                raise ParameterError("output", f"the directory {self.output} is not empty, and holds no job to resume")
            journal.begin(self._plan())
            return
        before = journal.plan
        if self.job.start is None:
            self.job = replace(self.job, signer=self.job.signer.at(int(before["start"])))
            self.report.key_time = self._times()
        now = json.loads(json.dumps(self._plan()))
        if not any(part.bad for part in journal.parts):
            before = {**before, "on_error": now["on_error"]}  # no row was bad until now: nothing is different
        differences = changes(before, now)
        if differences:
            raise ParameterError(
                "resume",
                f"cannot go on with another job than the one that was begun; what changed: {'; '.join(differences)}",
            )
        for part in journal.parts:
            file = Path(self.output, part.name)
            if not file.exists() or file.stat().st_size != part.size:
                raise ParameterError("output", f"{file} has changed: remove {self.output}, and begin again")
        report = self.report
        report.rows = report.resumed = sum(part.rows for part in journal.parts)
        report.read = sum(part.read for part in journal.parts)
        report.bad = sum(part.bad for part in journal.parts)
        report.parts = len(journal.parts)
        self._output_size = sum(part.size for part in journal.parts)

    def _plan(self) -> dict[str, Any]:
        if self.job.resume:
            for each in self.source.inputs:
                if each.size is None:
                    raise ParameterError("resume", f"cannot read {each.name} again: only files can be gone on with")
        return job_plan(self.job, self.source.inputs, self._versions(), self.format.suffix)

    def _versions(self) -> dict[str, str]:
        """Of what has a part in the output's bytes."""
        versions = {"cossign": __version__}
        if not self.plain:
            versions["pyarrow"] = pyarrow("all but text to text").__version__
        if self.format.packing == ".gz":
            versions["gzip"] = GZIP.__name__
        return versions

    # --- At its end

    def _errors_file(self) -> str | None:
        if self.job.errors is not None:
            return os.fspath(self.job.errors)
        if self.directory:
            return os.path.join(self.output, "errors.jsonl")
        return None if is_stream(self.output) else f"{self.output}.errors.jsonl"

    def _check_counts(self) -> None:
        promised_rows = self.source.rows
        if promised_rows is not None and promised_rows != self.report.read:
            self.report.complete = False
            self.warn(
                f"the manifest lists {promised_rows:,} rows, and its data files have "
                f"{self.report.read:,}: is a data file missing in it?"
            )


def _input_list(inputs: Any) -> list[Any]:
    """A job's inputs as a list; the job may have a single path instead."""
    return [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)


def _is_plain(job: Job, source: Source, form: str, has_filters: bool) -> bool:
    """Whether a job turns lines of text into lines of text, and reads nothing but keys."""
    columns = (job.query_columns, job.method_column, job.expires_column, job.keep_columns, job.columns)
    return form == "txt" and all(each.form == "txt" for each in source.inputs) and not any(columns) and not has_filters


def _names(job: Job) -> list[str]:
    """The columns of an output that has no rows."""
    kept_names = [name for name in job.keep_columns if name not in ("all", job.key_column)]
    return [job.key_column, *kept_names, job.url_column]


def _check_choices(job: Job, directory: bool) -> None:
    """Refuse what does not go with the output: a directory of parts, or a file."""
    if job.on_error not in ("fail", "skip", "null"):
        raise ParameterError("on_error", 'must be "fail", "skip" or "null"')
    if job.rows_per_part is not None and job.rows_per_part < 1:
        raise ParameterError("rows_per_part", "must be greater than 0")
    if job.resume and not directory:
        raise ParameterError("resume", "needs an output directory: give one, and `rows_per_part`")
    if job.rows_per_part is not None and not directory:
        raise ParameterError("rows_per_part", "needs an output directory")


def _first_urls(data: Any, limit: int) -> list[str]:
    if limit <= 0:
        return []
    if hasattr(data, "columns"):
        return [url for url in data.columns[-1][: 2 * limit].to_pylist() if url][:limit]
    return [line.decode() for line in bytes(memoryview(data)[: limit << 13]).split(b"\n")[:-1] if line][:limit]


def _existing_folder(path: str) -> Path:
    """The nearest directory above a path that is there."""
    full_path = Path(os.path.realpath(path))
    return next(each for each in (full_path, *full_path.parents) if each.is_dir())


def _bytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"

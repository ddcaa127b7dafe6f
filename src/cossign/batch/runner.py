"""Running a job: from inputs to outputs, part by part."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cossign.batch.errors import RowError
from cossign.batch.estimate import check_space, estimate
from cossign.batch.inputs.source import Position
from cossign.batch.job import Estimate, Job, Progress, Report
from cossign.batch.journal import BucketJournal, FolderJournal, Journal, Part, abort_uploads, part_name
from cossign.batch.outputs.bad_rows import BadRows, BucketBadRows
from cossign.batch.outputs.files import named_errors, output_file
from cossign.batch.outputs.formats import CountedFile, open_sink
from cossign.batch.plan import Plan, open_bucket
from cossign.batch.resume import resume
from cossign.batch.signing import CORES, Piece, RowSigner
from cossign.batch.warnings import Oddities, Warnings, credentials_warning, expired_warning, utc
from cossign.errors import ParameterError
from cossign.storage import Address, is_address


def run(
    job: Job, *, progress: Callable[[Progress], object] | None = None, warn: Callable[[str], object] | None = None
) -> Report:
    """Run a job: presign all keys with the same start.

    Reading, signing and writing overlap. Memory stays constant for any number of rows. A file gets its name when it is
    complete and on the disk. A directory of parts has a journal: after any interruption, ``resume=True`` continues the
    job, and writes the same bytes.

    Args:
        job: what to do.
        progress: a function that is called several times a second.
        warn: a function that is called with each warning at once.

    Returns:
        The report.

    Raises:
        RowError: a row is bad, and `on_error` is "fail".
        InputError: an input cannot be read, or lacks a column.
        SpaceError: the output would not fit on the disk.
        ParameterError: a parameter is not valid; or the output is one of the inputs, a directory that is not
            empty, or is being written by another job; or the job to resume is a different one.

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
    return _Run(Plan(job), progress, Warnings(warn)).run()


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
    plan, warnings = Plan(job), Warnings()
    _warn(plan, warnings)
    return estimate(plan, warnings)


def abort(job: Job) -> int:
    """Abort the unfinished uploads of a killed job in a bucket, because COS charges for them.

    Parts and a journal stay, so the job can still be resumed.

    Args:
        job: its `output`, `signer` and `endpoint` count.

    Returns:
        How many uploads were aborted.

    Raises:
        ParameterError: the output is not in a bucket.
        StorageError: the bucket refuses it.
    """
    output = os.fspath(job.output)
    if not is_address(output):
        raise ParameterError("output", f"{output} is not in a bucket, and only buckets have unfinished uploads")
    address = Address.parse(output, "output")
    bucket = open_bucket(address.bucket, job.signer, job.endpoint)
    count = abort_uploads(bucket, address.key)
    return count if not address.key or address.key.endswith("/") else count + abort_uploads(bucket, f"{address.key}/")


def _warn(plan: Plan, warnings: Warnings) -> bool:
    """Warn of what is known before anything is read, and of URLs and credentials that end too soon.

    Returns whether the URLs have expired.
    """
    for text in plan.notes():
        warnings.add(text)
    end = plan.key_time[1]
    expired = "" if plan.job.expires_column else expired_warning(plan.job.signer, end)
    warnings.add(expired)
    warnings.add(credentials_warning(plan.job.signer, end))
    return bool(expired)


def _open_journal(plan: Plan, warn: Callable[[str], object]) -> Journal:
    if plan.address is None:
        return FolderJournal(Path(plan.output), plan.job.resume, warn)
    return BucketJournal(plan.bucket(plan.address.bucket), plan.address.key, plan.job.resume)


def _output(plan: Plan, path: str, warn: Callable[[str], object]) -> contextlib.AbstractContextManager[Any]:
    """A file or an object for a ``with`` block at whose end it is complete."""
    if not is_address(path):
        return output_file(path, warn)
    address = Address.parse(path)
    return plan.bucket(address.bucket).write(address.key)


def _bad_rows(plan: Plan, warn: Callable[[str], object], last: Part | None, parts: int) -> BadRows | BucketBadRows:
    """The list of bad rows, which continues after the last complete part."""
    list_before = (last.errors, last.errors_crc32) if last else (0, 0)
    if plan.address is None or plan.job.errors is not None:
        return BadRows(plan.errors_file, warn, *list_before, plan.job.errors is not None)
    key = plan.address.key

    def name(part: int) -> str:
        if not plan.is_directory:
            return f"{key}.errors.jsonl"
        return f"{key}_errors/" if part < 0 else f"{key}_errors/{part_name(part, '.jsonl')}"

    return BucketBadRows(plan.bucket(plan.address.bucket), name, parts, list_before[0])


class _Meter:
    """How far a run is: told some times a second, with a warning if the URLs expire before it ends.

    Attributes:
        is_shown: whether somebody wants to be told.
        is_late: whether no more need be said of URLs that expire too soon.
    """

    def __init__(
        self, plan: Plan, report: Report, warnings: Warnings, progress: Callable[[Progress], object] | None
    ) -> None:
        self._plan = plan
        self._report = report
        self._warnings = warnings
        self._progress = progress
        self.is_shown = progress is not None
        self._start_time = self._next = time.monotonic()
        self.is_late = plan.job.expires_column is not None

    def note(self) -> None:
        """Tell how far it is, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 0.1
        plan, report, source = self._plan, self._report, self._plan.source
        seconds = now - self._start_time
        share = source.position / source.size if source.size else 0.0
        total = None if plan.has_filters else source.total
        if total is None and 0 < share < 1:
            total = max(report.rows, round(report.rows / share))
        seconds_left = seconds * (1 - share) / share if share > 0.001 else 0.0
        if seconds > 5 and plan.job.signer.now() + seconds_left > report.key_time[1] and not self.is_late:
            self.is_late = True
            self._warnings.add(
                f"the URLs expire at {utc(report.key_time[1])}, and the job needs about {seconds_left:,.0f} seconds "
                "more: choose a longer `expires`"
            )
        self._tell(now, total)

    def end(self) -> None:
        """Tell that it is done."""
        now = time.monotonic()
        self._report.seconds = now - self._start_time
        if self._report.key_time[1] < self._plan.job.signer.now() and not self.is_late:
            self._warnings.add("the URLs expired before the job ended: choose a longer `expires`")
        self._tell(now, self._report.rows)

    def _tell(self, now: float, total: int | None) -> None:
        report, source = self._report, self._plan.source
        if self._progress is not None:
            self._progress(
                Progress(
                    report.rows,
                    total,
                    report.bad,
                    source.position,
                    source.size,
                    report.written,
                    report.parts,
                    now - self._start_time,
                )
            )


class _Run:
    """One run of a job."""

    def __init__(self, plan: Plan, progress: Callable[[Progress], object] | None, warnings: Warnings) -> None:
        self.plan = plan
        job = plan.job
        self.report = Report(
            plan.output,
            plan.key_time,
            job.signer.prepare().engine.name,
            CORES if job.threads is None else job.threads,
            versions=plan.versions(),
            warnings=warnings.texts,
        )
        self._warnings = warnings
        self._oddities = Oddities(warnings.add)
        self._meter = _Meter(plan, self.report, warnings, progress)

    def run(self) -> Report:
        """Do it, and then write the report, whose file was opened before."""
        with contextlib.ExitStack() as outer, contextlib.ExitStack() as stack:
            journal = None
            if self.plan.is_directory:
                journal = _open_journal(self.plan, self._warnings.add)
                stack.callback(journal.close)
            report_file = None
            if self.plan.report_file is not None:
                report_file = outer.enter_context(_output(self.plan, self.plan.report_file, self._warnings.add))
            if journal is not None:
                resume(self.plan, journal, self.report, self._warnings)
            if journal is not None and journal.is_done:
                self.report.errors = self.plan.errors_file if self.report.bad else None
                self._check_counts()
            else:
                self._sign_all(journal)
            self._finish(report_file)
        return self.report

    def _sign_all(self, journal: Journal | None) -> None:
        """The rows that are not yet signed."""
        plan, warn = self.plan, self._warnings.add
        self._meter.is_late |= _warn(plan, self._warnings)
        check_space(plan, self.report.written)
        last = journal.parts[-1] if journal and journal.parts else None
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(contextlib.ExitStack())
            raw = None if journal is not None else output.enter_context(_output(plan, plan.output, warn))
            errors = _bad_rows(plan, warn, last, len(journal.parts) if journal else 0)
            stack.enter_context(errors)
            at = last.end if last else Position()
            rows = plan.signer_of_rows(plan.source, at, plan.job.threads, self._oddities.look)
            with contextlib.closing(rows):
                if self._meter.is_shown and not plan.has_filters:
                    plan.source.total = rows.total()
                if journal is not None:
                    self._write_parts(journal, rows, errors)
                else:
                    self._write(CountedFile(raw, plan.output), rows, None, errors)
            output.close()  # the output has its name before the list of bad rows has
            self.report.errors = errors.complete()
            self._check_counts()
            if journal is not None:
                journal.end()

    def _write_parts(self, journal: Journal, rows: RowSigner, errors: BadRows | BucketBadRows) -> None:
        """The parts that are not yet there."""
        plan, report = self.plan, self.report
        secret_id = plan.job.signer.valid_credentials().secret_id
        input_bytes, input_crc32 = (
            (journal.parts[-1].input_bytes, journal.parts[-1].input_crc32) if journal.parts else (0, 0)
        )
        while not journal.parts or rows.has_more():
            name = part_name(len(journal.parts), plan.format.suffix)
            read, rows_before, bad, counts = rows.read, report.rows, report.bad, rows.counts.copy()
            journal.check_place()
            with journal.write(name) as raw:
                file = CountedFile(raw, os.path.join(plan.output, name), has_crc32=True)
                self._write(file, rows, plan.rows_per_part, errors)
            errors.flush()
            bytes_before, input_bytes = input_bytes, max(input_bytes, plan.source.input_bytes(rows.end.input))
            input_crc32 = plan.source.crc32(bytes_before, input_bytes, input_crc32)
            part = Part(
                name,
                file.size,
                file.crc32,
                rows.read - read,
                report.rows - rows_before,
                report.bad - bad,
                rows.end,
                errors.size,
                errors.crc32,
                input_bytes,
                input_crc32,
                {name: count - counts[name] for name, count in rows.counts.items() if count != counts[name]},
                secret_id,
            )
            journal.add(len(journal.parts), part)
            report.parts = len(journal.parts)
            report.secret_ids[secret_id] = report.secret_ids.get(secret_id, 0) + 1
        report.read += rows.skipped

    def _write(self, file: CountedFile, rows: RowSigner, limit: int | None, errors: BadRows | BucketBadRows) -> None:
        """Some rows into one file."""
        report, job = self.report, self.plan.job
        written = report.written
        read = report.read - rows.read
        counts = Counter(report.counts)
        counts.subtract(rows.counts)

        def note(piece: Piece) -> None:
            if piece.bad:
                if job.on_error == "fail":
                    raise RowError(str(piece.bad[0]))
                if report.first_error is None:
                    report.first_error = str(piece.bad[0])
                report.bad += len(piece.bad)
                errors.write(piece.bad)
            report.rows += piece.rows
            report.written = written + file.size
            self._meter.note()

        with open_sink(file, self.plan.format, self.plan.output_columns) as sink:
            rows.write(sink, limit, note)
        if limit is None:
            rows.read, rows.skipped = rows.read + rows.skipped, 0
        report.written = written + file.size
        report.read = read + rows.read
        counts.update(rows.counts)
        report.counts = {name: count for name, count in counts.items() if count}

    def _finish(self, report_file: IO[bytes] | None) -> None:
        self._oddities.judge()
        for text in self.plan.count_warnings(self.report.counts):
            self._warnings.add(text)
        self._meter.end()
        if report_file is not None:
            with named_errors(self.plan.report_file or ""):
                report_file.write(self.report.text().encode())

    def _check_counts(self) -> None:
        promised_rows = self.plan.source.rows
        if promised_rows is not None and promised_rows != self.report.read:
            self.report.complete = False
            self._warnings.add(
                f"the manifest lists {promised_rows:,} rows, and its data files have "
                f"{self.report.read:,}: is a data file missing in it?"
            )

"""Doing a job: from inputs to outputs, part by part."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from cossign.batch.errors import RowError
from cossign.batch.estimate import check_space, estimate
from cossign.batch.inputs.source import Position
from cossign.batch.job import Estimate, Job, Progress, Report
from cossign.batch.journal import Journal, Part, changes
from cossign.batch.outputs.bad_rows import BadRows
from cossign.batch.outputs.files import complete_file, output_file
from cossign.batch.outputs.formats import CountedFile, open_sink
from cossign.batch.plan import Plan
from cossign.batch.signing import CORES, RowSigner
from cossign.batch.threads import BackgroundThread
from cossign.batch.warnings import Oddities, Warnings, credentials_warning, expired_warning, utc
from cossign.errors import ParameterError

ROWS_PER_PART = 1_000_000


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
    _warn_of_times(plan, warnings)
    return estimate(plan, warnings)


def _warn_of_times(plan: Plan, warnings: Warnings) -> bool:
    """Warn of URLs and credentials that end too soon; returns whether the URLs have expired."""
    end = plan.key_time[1]
    expired = "" if plan.job.expires_column else expired_warning(plan.job.signer, end)
    warnings.add(expired)
    warnings.add(credentials_warning(plan.job.signer, end))
    return bool(expired)


class _Meter:
    """How far a run is: told some times a second, with a warning if the URLs expire before it ends."""

    def __init__(
        self, plan: Plan, report: Report, warnings: Warnings, progress: Callable[[Progress], object] | None
    ) -> None:
        self._plan = plan
        self._report = report
        self._warnings = warnings
        self._progress = progress
        self._start_time = self._next = time.monotonic()
        self.is_late = plan.job.expires_column is not None  # whether no more need be said of URLs that expire too soon

    def note(self) -> None:
        """Tell how far it is, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 0.1
        plan, report, source = self._plan, self._report, self._plan.source
        seconds = now - self._start_time
        share = source.position / source.size if source.size else 0.0
        total = None if plan.has_filters else source.rows
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
        job = self.plan.job
        with contextlib.ExitStack() as outer, contextlib.ExitStack() as stack:
            journal = None
            if self.plan.is_directory:
                journal = Journal(Path(self.plan.output), job.resume)
                stack.callback(journal.close)
            report_file = None
            if job.report is not None:
                report_file = outer.enter_context(output_file(os.fspath(job.report)))
            if journal is not None:
                self._resume(journal)
            if journal is not None and journal.is_done:
                self.report.errors = self.plan.errors_file if self.report.bad else None
                self._check_counts()
            else:
                self._sign_all(journal)
            self._finish(report_file)
        return self.report

    def _sign_all(self, journal: Journal | None) -> None:
        """The rows that are not yet signed."""
        plan = self.plan
        self._meter.is_late |= _warn_of_times(plan, self._warnings)
        check_space(plan, self.report.written)
        last_part = journal.parts[-1] if journal and journal.parts else None
        at = last_part.end if last_part else Position()
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(contextlib.ExitStack())
            raw = None if journal is not None else file.enter_context(output_file(plan.output))
            errors = stack.enter_context(
                BadRows(plan.errors_file, last_part.errors if last_part else 0, plan.job.errors is not None)
            )
            rows = plan.signer_of_rows(plan.source, at, plan.job.threads, self._oddities.look)
            with contextlib.closing(rows):
                if journal is not None:
                    self._write_parts(journal, rows, errors)
                else:
                    self._write(CountedFile(raw), rows, None, errors)
            file.close()  # the output has its name before the list of bad rows has
            self.report.errors = errors.complete()
            self._check_counts()
            if journal is not None:
                journal.end()

    def _write_parts(self, journal: Journal, rows: RowSigner, errors: BadRows) -> None:
        """The parts that are not yet there."""
        folder = Path(self.plan.output)
        while not journal.parts or rows.has_more():
            name = f"part-{len(journal.parts):05d}{self.plan.format.suffix}"
            read, rows_before, bad = rows.read, self.report.rows, self.report.bad
            with complete_file(folder / name) as raw:
                file = CountedFile(raw, has_crc32=True)
                self._write(file, rows, self.plan.job.rows_per_part or ROWS_PER_PART, errors)
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

    def _write(self, file: CountedFile, rows: RowSigner, limit: int | None, errors: BadRows) -> None:
        """Some rows into one file."""
        report, job = self.report, self.plan.job
        written = report.written
        read = report.read - rows.read
        with (
            open_sink(file, self.plan.format, self.plan.output_columns) as sink,
            contextlib.closing(BackgroundThread(1)) as thread,
        ):
            for piece in rows.part(limit):
                if piece.bad:
                    if job.on_error == "fail":
                        raise RowError(str(piece.bad[0]))
                    if report.first_error is None:
                        report.first_error = str(piece.bad[0])
                    report.bad += len(piece.bad)
                    errors.write(piece.bad)
                for data in piece.data:
                    if rows.direct:
                        sink.write(data)
                    else:
                        thread.call(sink.write, data)
                report.rows += piece.rows
                report.written = written + file.size
                self._meter.note()
            thread.wait()
        report.written = written + file.size
        report.read = read + rows.read

    def _finish(self, report_file: IO[bytes] | None) -> None:
        self._oddities.judge()
        self._meter.end()
        if report_file is not None:
            report_file.write(self.report.text().encode())

    def _resume(self, journal: Journal) -> None:
        """Begin the journal; or check that the job is the one that was begun, and take over what it did."""
        plan = self.plan
        if journal.record is None:
            if any(not name.startswith(".") for name in os.listdir(plan.output)):
                raise ParameterError("output", f"the directory {plan.output} is not empty, and holds no job to resume")
            journal.begin(plan.record())
            return
        before = journal.record
        if plan.job.start is None:
            plan.begin_at(plan.job, int(before["start"]))
            self.report.key_time = plan.key_time
        now = json.loads(json.dumps(plan.record()))
        if not any(part.bad for part in journal.parts):
            before = {**before, "on_error": now["on_error"]}  # no row was bad until now: nothing is different
        differences = changes(before, now)
        if differences:
            raise ParameterError(
                "resume",
                f"cannot go on with another job than the one that was begun; what changed: {'; '.join(differences)}",
            )
        for part in journal.parts:
            file = Path(plan.output, part.name)
            if not file.exists() or file.stat().st_size != part.size:
                raise ParameterError("output", f"{file} has changed: remove {plan.output}, and begin again")
        report = self.report
        report.rows = report.resumed = sum(part.rows for part in journal.parts)
        report.read = sum(part.read for part in journal.parts)
        report.bad = sum(part.bad for part in journal.parts)
        report.parts = len(journal.parts)
        report.written = sum(part.size for part in journal.parts)

    def _check_counts(self) -> None:
        promised_rows = self.plan.source.rows
        if promised_rows is not None and promised_rows != self.report.read:
            self.report.complete = False
            self._warnings.add(
                f"the manifest lists {promised_rows:,} rows, and its data files have "
                f"{self.report.read:,}: is a data file missing in it?"
            )

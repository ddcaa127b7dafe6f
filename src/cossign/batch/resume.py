"""Resuming a job: checks that it is the same job, and writes damaged parts again."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from cossign.batch.inputs.source import Position
from cossign.batch.job import Report
from cossign.batch.journal import Journal, Part, changes, part_name, same_inputs
from cossign.batch.outputs.bad_rows import check_bucket_lists, check_list, first_bad_row
from cossign.batch.outputs.formats import CountedFile, open_sink
from cossign.batch.outputs.paths import is_stream
from cossign.batch.plan import Plan
from cossign.batch.warnings import Warnings
from cossign.errors import ParameterError
from cossign.storage import Address, is_address

_CREDENTIALS = ("secret_id", "check")  # of a record: what differs with other credentials


def resume(plan: Plan, journal: Journal, report: Report, warnings: Warnings) -> None:
    """Begin the journal; or check that the job is the one that was begun, and take over what it did.

    Parts that are damaged or missing are written again.

    Raises:
        ParameterError: it is another job, or an input has other bytes than those that were read.
    """
    if journal.record is None:
        journal.begin(plan.record())
        return
    _check_job(plan, journal, report)
    parts = journal.parts
    if parts and parts[-1].end.input >= len(plan.source.inputs):
        raise ParameterError(
            "output", f"{journal.name}: the journal was altered: remove the directory, and begin again"
        )
    record = json.loads(json.dumps(plan.record()))
    if parts and not same_inputs(journal.record, record):
        _check_inputs(plan, parts[-1], journal.record)
    was_done = journal.is_done
    if record != journal.record:
        journal.begin(record)
    for index, part in enumerate(list(parts)):
        if not journal.is_whole(part):
            warnings.add(f"{part.name} was missing or damaged, and was written again")
            _write_again(plan, journal, index, warnings)
    if was_done and not journal.is_done:
        journal.end()
    report.rows = report.resumed = sum(part.rows for part in parts)
    report.read = sum(part.read for part in parts)
    report.bad = sum(part.bad for part in parts)
    report.parts = len(parts)
    report.counts = dict(sum((Counter(part.counts) for part in parts), Counter()))
    report.secret_ids = dict(Counter(part.secret_id for part in parts))
    report.written = sum(part.size for part in parts)
    if report.bad and plan.errors_file is not None:
        if is_address(plan.errors_file):
            place = Address.parse(plan.errors_file)
            names = (part_name(number, ".jsonl") for number, part in enumerate(parts) if part.bad)
            check_bucket_lists(plan.bucket(place.bucket), place.key, names, parts[-1].errors)
            return
        if journal.is_done and not is_stream(plan.errors_file):
            check_list(Path(plan.errors_file), parts[-1].errors, parts[-1].errors_crc32)
        report.first_error = first_bad_row(plan.errors_file)


def _check_job(plan: Plan, journal: Journal, report: Report) -> None:
    before: dict[str, Any] = dict(journal.record or {})
    if plan.job.start is None:
        plan.begin_at(plan.job, int(before["start"]))
        report.key_time = plan.key_time
    now = json.loads(json.dumps(plan.record()))
    if not any(part.bad for part in journal.parts):
        before["on_error"] = now["on_error"]  # no row was bad until now: nothing is different
    if plan.job.new_credentials:
        before.update({name: now[name] for name in _CREDENTIALS})
    differences = changes(before, now)
    if differences:
        is_credentials = not changes({**before, **{name: now[name] for name in _CREDENTIALS}}, now)
        how = ". If only the credentials are new, use `new_credentials=True`" if is_credentials else ""
        raise ParameterError(
            "resume",
            f"cannot continue another job than the one that was begun; what changed: {'; '.join(differences)}{how}",
        )


def _check_inputs(plan: Plan, last: Part, record: dict[str, Any]) -> None:
    """See that inputs that were moved or touched still have the bytes that were read."""
    etags = [each.etag for each in plan.source.inputs]
    was_written = [each.get("etag") for each in record["inputs"]] != etags
    if was_written or plan.source.crc32(0, last.input_bytes) != last.input_crc32:
        raise ParameterError(
            "resume", "cannot continue: an input was moved or written, and now has other bytes than were read"
        )


def _write_again(plan: Plan, journal: Journal, index: int, warnings: Warnings) -> None:
    part = journal.parts[index]
    at = journal.parts[index - 1].end if index else Position()
    source = plan.new_source()
    source.until = part.end if part.end.key else None
    with (
        contextlib.closing(plan.signer_of_rows(source, at, plan.job.threads, lambda keys: None)) as rows,
        journal.write(part.name, replace=True) as raw,
    ):
        file = CountedFile(raw, part.name, has_crc32=True)
        with open_sink(file, plan.format, plan.output_columns) as sink:
            rows.write(sink, plan.rows_per_part, lambda piece: None)
        secret_id = plan.job.signer.valid_credentials().secret_id
        is_same = (file.size, file.crc32) == (part.size, part.crc32)
        if rows.end != part.end or (not is_same and secret_id == part.secret_id):
            raise ParameterError("resume", f"cannot write {part.name} again: its rows have changed")
    if not is_same or part.etag:
        journal.add(index, part._replace(size=file.size, crc32=file.crc32, secret_id=secret_id))

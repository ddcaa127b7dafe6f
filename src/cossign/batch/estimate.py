"""An estimate of a job's size and time, from its first rows."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

from cossign.batch.errors import InputError, SpaceError
from cossign.batch.inputs.source import Position
from cossign.batch.job import Estimate
from cossign.batch.outputs.bad_rows import BadRow
from cossign.batch.outputs.formats import CountedFile, open_sink
from cossign.batch.outputs.paths import is_stream
from cossign.batch.plan import Plan
from cossign.batch.warnings import Oddities, Warnings

_SAMPLE = 200_000  # rows that a dry run tries
_SHORT_SAMPLE = 20_000  # rows that are tried before a job begins


def estimate(plan: Plan, warnings: Warnings | None = None, sample: int = _SAMPLE) -> Estimate:
    """Try some rows, the first.

    Args:
        plan: the job.
        warnings: where its warnings are added; None if nobody wants any.
        sample: how many rows.
    """
    start_time = 0.0  # when the first rows were there
    first_count = 0
    source = plan.new_source()
    urls: list[str] = []
    bad: list[BadRow] = []
    row_count = 0
    file = CountedFile(None)
    oddities = Oddities(warnings.add if warnings else lambda text: None)
    with (
        contextlib.closing(plan.signer_of_rows(source, Position(), 1, oddities.look, check=False)) as rows,
        open_sink(file, plan.format, plan.output_columns) as sink,
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
    exact = is_complete or (total is not None and not plan.has_filters)
    total = row_count if is_complete else (source.estimated_rows() if total is None else total)
    output_rows = None if total is None else round(total * (1 if is_complete else share))
    oddities.judge()
    if warnings:
        for text in plan.count_warnings(rows.counts):
            warnings.add(text)
    is_here = plan.address is None and not is_stream(plan.output)
    free = None if not is_here else shutil.disk_usage(_existing_folder(plan.output)).free
    scale = None if output_rows is None else output_rows / max(1, row_count)
    size = None if scale is None else round(file.size * scale)
    duration = None if output_rows is None else output_rows * seconds / max(1, row_count - first_count)
    if warnings and duration is not None and duration > plan.job.expires:
        warnings.add(f"the URLs expire after {plan.job.expires} seconds, and the job takes about {duration:,.0f}")
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
        list(warnings.texts) if warnings else [],
    )


def check_space(plan: Plan, bytes_before: int) -> None:
    """Refuse a job that would fill the disk.

    Args:
        plan: the job.
        bytes_before: how many bytes of its output are there already.

    Raises:
        SpaceError: it would.
    """
    if not plan.job.check_space or is_stream(plan.output) or plan.address is not None or plan.source.size is None:
        return
    try:
        expected = estimate(plan, None, _SHORT_SAMPLE)
    except InputError:
        return  # the reader reports it
    if expected.written is None or expected.free is None:
        return
    more_bytes = expected.written - bytes_before
    if more_bytes > expected.free:
        raise SpaceError(
            f"{plan.output} would take about {_size_text(more_bytes)}, and the disk has"
            f" {_size_text(expected.free)}: make room, compress it (.zst, .parquet), or use"
            " `check_space=False`"
        )


def _first_urls(data: Any, limit: int) -> list[str]:
    if limit <= 0:
        return []
    if hasattr(data, "columns"):
        return [url for url in data.columns[-1][: 2 * limit].to_pylist() if url][:limit]
    return [line.decode() for line in bytes(memoryview(data)[: limit << 13]).split(b"\n")[:-1] if line][:limit]


def _existing_folder(path: str) -> Path:
    """The nearest directory above a path that is there."""
    full_path = Path(os.path.realpath(path))
    for each in (full_path, *full_path.parents):
        if each.is_dir():
            return each
    raise FileNotFoundError(errno.ENOENT, "its drive does not exist", path)


def _size_text(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"

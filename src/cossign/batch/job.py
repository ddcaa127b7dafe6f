"""The job: from a source's chunks to a sink's rows, one chunk at a time."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cossign._core import Lines
from cossign.batch.sinks import Sink, TextSink
from cossign.batch.sources import Source
from cossign.errors import CosSignError, ParameterError
from cossign.signer import BulkResult, Signer


class RowError(CosSignError):
    """A row that cannot be signed; the message names the file and the row."""


class Summary(NamedTuple):
    """What a job did.

    Attributes:
        rows: rows read.
        bad: rows that could not be signed.
        first_error: what was wrong with the first of those, or None.
    """

    rows: int
    bad: int
    first_error: str | None


def presign_job(
    source: Source,
    sink: Sink,
    signer: Signer,
    *,
    key_time: tuple[int, int],
    method: str = "GET",
    query: Mapping[str, str] | None = None,
    query_columns: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    on_error: str = "fail",
    threads: int = 1,
    progress: Callable[[int], object] | None = None,
) -> Summary:
    """Presign every key of a source, all at one instant.

    Args:
        source: the keys.
        sink: where keys and URLs go, in the source's order.
        signer: what signs.
        key_time: ``(start, end)``, Unix seconds.
        method: as in `Signer.presign`.
        query: constant parameters.
        query_columns: parameters whose values are the source's columns: parameter to column.
        headers: as in `Signer.presign`.
        on_error: what a bad row does: "fail" ends the job, "skip" leaves the row out, "null" writes it without a URL.
        threads: how many threads sign.
        progress: called with the number of rows after each chunk.

    Returns:
        The counts.

    Raises:
        RowError: a row is bad, and `on_error` is "fail".
    """
    if source.is_text and isinstance(sink, TextSink):
        return _text_to_text(source, sink, signer, key_time, method, query, headers, on_error, threads, progress)
    rows = bad = 0
    first_error = None
    for chunk in source:
        values = dict(query or {}, **{name: chunk.columns[column] for name, column in (query_columns or {}).items()})
        urls = signer.presign_many(
            chunk.keys,
            method=method,
            query=values,
            headers=headers,
            key_time=key_time,
            on_error="null",
            threads=threads,
        )
        assert isinstance(urls, BulkResult)
        faults = sorted([*chunk.faults.items(), *((index, f"key {reason}") for index, reason in urls.errors)])
        if faults and first_error is None:
            index, reason = faults[0]
            first_error = f"{chunk.name}, row {chunk.first_row + index}: {reason}"
        if faults and on_error == "fail":
            raise RowError(str(first_error))
        keys = chunk.keys
        if faults and on_error == "skip":
            left_out = {index for index, _ in faults}
            kept = [index for index in range(len(urls)) if index not in left_out]
            sink.write([keys[index] for index in kept], [urls[index] for index in kept])
        else:
            sink.write(keys, urls)
        rows += len(keys)
        bad += len(faults)
        if progress is not None:
            progress(len(keys))
    return Summary(rows, bad, first_error)


def _text_to_text(
    source: Source, sink: TextSink, signer: Signer, key_time: tuple[int, int], method: str,
    query: Mapping[str, str] | None, headers: Mapping[str, str] | None, on_error: str, threads: int,
    progress: Callable[[int], object] | None,
) -> Summary:  # fmt: skip
    """Lines of keys to lines of URLs: no row becomes a Python object."""
    begun: list[tuple[int, str]] = []  # the first row of each input, and its name
    lines: Lines = Lines(source.blocks(lambda name: begun.append((lines.rows, name))))
    column = signer._presign_lines(lines, method, query, headers, key_time, threads)
    rows = bad = 0
    first_error = None
    try:
        for chunk in column:
            if column.errors and first_error is None:
                index, reason = column.errors[0]
                first, name = begun[bisect.bisect(begun, index, key=lambda each: each[0]) - 1]
                first_error = f"{name}, row {index - first + 1}: key {reason}"
            if column.errors and on_error == "fail":
                raise RowError(str(first_error))
            bad += len(column.errors)
            column.errors.clear()
            sink.write_lines(chunk.with_empty_lines() if on_error == "null" and chunk.null_count else chunk)
            rows += len(chunk)
            if progress is not None:
                progress(len(chunk))
    except ParameterError:
        if lines.failure is not None:
            raise lines.failure from None
        raise
    return Summary(rows, bad, first_error)

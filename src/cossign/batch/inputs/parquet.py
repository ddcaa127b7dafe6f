"""Parquet, a row group at a time."""

from __future__ import annotations

from typing import IO, Any

import pyarrow.parquet

from cossign.batch.columns import select_columns
from cossign.batch.inputs.source import Input, Note, check_seekable
from cossign.batch.inputs.wanted import TABLE_ROWS, Reading, ReadRows, Wanted


def read(data: IO[bytes], note: Note, each: Input, wanted: Wanted, skip: int) -> Reading:
    """The wanted columns; row groups that lie in the first `skip` rows are left out."""
    file = _open(data)
    names = wanted.typed_names(each, file.schema_arrow)
    first = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if first + rows > skip:
            place = first
            for batch in file.iter_batches(TABLE_ROWS, [group], names, use_threads=False):
                note(place / max(1, file.metadata.num_rows))
                yield ReadRows(place, select_columns(batch, names))
                place += len(batch)
        first += rows


def row_count(data: IO[bytes]) -> int:
    """How many rows there are, by the footer."""
    return int(_open(data).metadata.num_rows)


def _open(data: IO[bytes]) -> Any:
    check_seekable(data, "Parquet")
    return pyarrow.parquet.ParquetFile(data, pre_buffer=False)

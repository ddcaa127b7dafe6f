"""Parquet, a row group at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from cossign.batch.columns import select_columns
from cossign.batch.inputs.choice import TABLE_BYTES, TABLE_ROWS, ColumnChoice, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note, check_seekable


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted columns; row groups that lie in the first `skip` rows are left out."""
    file = _open(data)
    names = choice.typed_names(each, file.schema_arrow)
    first = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if first + rows > skip:
            place = first
            most_rows = _rows_at_a_time(file.metadata.row_group(group), names)
            for batch in file.iter_batches(most_rows, [group], names, use_threads=False):
                note(place / max(1, file.metadata.num_rows))
                yield ReadRows(place, select_columns(batch, names))
                place += len(batch)
        first += rows


def _rows_at_a_time(group: Any, names: Sequence[str]) -> int:
    """How many rows of a group are read at a time, so that they are not too large."""
    chunks = [group.column(place) for place in range(group.num_columns)]
    tops = {name.partition(".")[0] for name in names} | set(names)
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.partition(".")[0] in tops)
    return max(1, min(TABLE_ROWS, int(TABLE_BYTES * group.num_rows // max(1, size))))


def row_count(data: IO[bytes]) -> int:
    """How many rows there are, by the footer."""
    return int(_open(data).metadata.num_rows)


def _open(data: IO[bytes]) -> Any:
    import pyarrow.parquet  # only a job that reads it waits for that

    check_seekable(data, "Parquet")
    return pyarrow.parquet.ParquetFile(data, pre_buffer=False)

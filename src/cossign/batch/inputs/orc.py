"""ORC, a stripe at a time."""

from __future__ import annotations

from typing import IO, Any

from cossign.batch.columns import select_columns
from cossign.batch.inputs.choice import TABLE_ROWS, ColumnChoice, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note, check_seekable


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted columns."""
    file = _open(data)
    names = choice.typed_names(each, file.schema)
    first = 0
    for stripe in range(file.nstripes):
        batch = file.read_stripe(stripe, [name.split(".")[0] for name in names])
        for start in range(0, len(batch), TABLE_ROWS):
            note((first + start) / max(1, file.nrows))
            yield ReadRows(first + start, select_columns(batch[start : start + TABLE_ROWS], names))
        first += len(batch)


def row_count(data: IO[bytes]) -> int:
    """How many rows there are, by the footer."""
    return int(_open(data).nrows)


def _open(data: IO[bytes]) -> Any:
    import pyarrow.orc  # only a job that reads it waits for that

    check_seekable(data, "ORC")
    return pyarrow.orc.ORCFile(data)

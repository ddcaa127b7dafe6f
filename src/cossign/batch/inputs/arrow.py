"""Arrow's IPC files and streams."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from cossign.batch.columns import select_columns
from cossign.batch.inputs.choice import TABLE_ROWS, ColumnChoice, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note, check_seekable


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted columns; of a stream all columns are read."""
    batches: Iterator[pa.RecordBatch]
    start = data.read(6)
    batch_count = 0  # of a stream it is not known
    if start == b"ARROW1":
        check_seekable(data, "an Arrow file")
        schema = pa.ipc.open_file(data).schema
        top_names = {
            name.split(".")[0] if name not in schema.names else name for name in choice.typed_names(each, schema)
        }
        places = [place for place, name in enumerate(schema.names) if name in top_names]
        file = pa.ipc.open_file(data, options=pa.ipc.IpcReadOptions(included_fields=places))
        batch_count = file.num_record_batches
        schema, batches = file.schema, (file.get_batch(index) for index in range(batch_count))
    else:
        stream = pa.ipc.open_stream(pa.PythonFile(_JoinedStream(start, data), "r"))
        schema, batches = stream.schema, iter(stream)
    names = choice.typed_names(each, schema)
    first = 0
    for number, batch in enumerate(batches):
        for place in range(0, len(batch), TABLE_ROWS):
            note(number / batch_count if batch_count else None)
            yield ReadRows(first + place, select_columns(batch[place : place + TABLE_ROWS], names))
        first += len(batch)


class _JoinedStream(io.RawIOBase):
    """What was read of a stream already, and what follows it."""

    def __init__(self, start: bytes, data: IO[bytes]) -> None:
        self._start = start
        self._data = data

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start, self._start = self._start[:size] if size >= 0 else self._start, self._start[size:] if size >= 0 else b""
        return start + self._data.read(size - len(start) if size >= 0 else -1)

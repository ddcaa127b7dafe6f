"""CSV with a header: a sink that quotes fields if they need it."""

from __future__ import annotations

from array import array

import pyarrow as pa

from cossign.batch._rows import Join
from cossign.batch.columns import as_bytes, dictionary_values, is_text, text_buffers
from cossign.batch.errors import InputError
from cossign.batch.outputs.table import Sink


class TableSink(Sink):
    """RFC 4180, with a header; fields are quoted where they must be. A null is an empty field."""

    def prepare(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        for field in rows.schema:
            if pa.types.is_nested(field.type):
                raise InputError(
                    f"the column {field.name!r} holds {field.type}, which CSV cannot: choose other columns"
                )
        return pa.record_batch([_bytes(column) for column in rows.columns], rows.schema.names)

    def begin(self, schema: pa.Schema) -> None:
        starts = [b"," if place else b"" for place in range(len(schema.names))]
        header = Join(self._data.write, [(before, "csv") for before in starts], b"\n")
        names = [name.encode() for name in schema.names]
        header.rows([(None, 0, array("i", [0, len(name)]), name) for name in names], 1)
        forms = ["plain" if name == self._columns[-1] else "csv" for name in schema.names]  # a URL needs no quotes
        self._join = Join(self._data.write, list(zip(starts, forms, strict=True)), b"\n")

    def put(self, rows: pa.RecordBatch) -> None:
        self._join.rows([text_buffers(column) for column in rows.columns], len(rows))


def _bytes(column: pa.Array) -> pa.Array:
    """A column's values as text."""
    if pa.types.is_dictionary(column.type):
        column = dictionary_values(column)
    return as_bytes(column if is_text(column.type) else column.cast(pa.string()))

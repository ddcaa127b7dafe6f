"""CSV with a header: a sink that quotes fields where they must be."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cossign.batch.columns import dictionary_values, has_any
from cossign.batch.errors import InputError
from cossign.batch.outputs.table import Sink, write_texts


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
        self.put(pa.record_batch([pa.array([name.encode()], pa.binary()) for name in schema.names], schema.names))

    def put(self, rows: pa.RecordBatch) -> None:
        fields: list[Any] = []
        for column in rows.columns:
            fields += [b"," if fields else b"", _quote(column)]
        write_texts(self._data, [*fields, b"\n"])


def _bytes(column: pa.Array) -> pa.Array:
    """A column's values as text."""
    if pa.types.is_binary(column.type):
        return column
    if pa.types.is_dictionary(column.type):
        column = dictionary_values(column)
    return column.cast(pa.string()).cast(pa.binary())


def _quote(column: pa.Array) -> pa.Array:
    """Values in quotes, where they must be."""
    if not has_any(column, b'",\r\n'):
        return column
    mask = pc.match_substring_regex(column, '[",\r\n]')
    escaped_column = pc.replace_substring(column, b'"', b'""')
    return pc.if_else(mask, pc.binary_join_element_wise(b'"', escaped_column, b'"', b""), column)

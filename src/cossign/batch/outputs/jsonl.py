"""JSON lines."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cossign.batch.columns import as_bytes, as_strings, is_text
from cossign.batch.outputs.table import Sink, has_any, write_texts


class TableSink(Sink):
    """A JSON object a line."""

    def put(self, rows: pa.RecordBatch) -> None:
        pieces: list[Any] = []
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            pieces += [f"{', ' if pieces else '{'}{json.dumps(name)}: ", _json(column)]
        write_texts(self._data, [*pieces, "}\n"])


def _json(column: pa.Array) -> pa.Array:
    """A column's values as JSON texts."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if is_text(kind):
        column = as_strings(as_bytes(column))
        if has_any(column, b'\\"' + bytes(range(32))):
            texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]
            return pc.fill_null(pa.array(texts, pa.string()), "null")
        return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pc.fill_null(column.cast(pa.string()), "null")
    return pa.array([json.dumps(value, default=str, ensure_ascii=False) for value in column.to_pylist()], pa.string())

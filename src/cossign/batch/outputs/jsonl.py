"""JSON lines: a sink that writes one object a line."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cossign.batch.columns import as_bytes, as_strings, dictionary_values, has_any, is_text
from cossign.batch.outputs.table import Sink, write_texts


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
        column = dictionary_values(column)
    kind = column.type
    if is_text(kind):
        column = as_strings(as_bytes(column))
        if has_any(column, b'\\"' + bytes(range(32))):
            texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]
            return pc.fill_null(pa.array(texts, pa.string()), "null")
        return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pc.fill_null(column.cast(pa.string()), "null")
    return pa.array([_json_text(value) for value in column.to_pylist()], pa.string())


def _json_text(value: Any) -> str:
    """A value as JSON, where NaN and the infinities are null."""
    try:
        return json.dumps(value, default=_simple, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), default=_simple, ensure_ascii=False)


def _simple(value: Any) -> Any:
    """What JSON has no type for: bytes as text, anything else as Python writes it."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value

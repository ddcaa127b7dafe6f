"""JSON lines: a sink that writes one object a line."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa

from cossign.batch._rows import Join
from cossign.batch.columns import as_bytes, as_strings, dictionary_values, is_text, text_buffers
from cossign.batch.outputs.table import Sink


class TableSink(Sink):
    """A JSON object a line."""

    def begin(self, schema: pa.Schema) -> None:
        pieces: list[tuple[bytes, str]] = []
        for field in schema:
            before = f"{', ' if pieces else '{'}{json.dumps(field.name)}: ".encode()
            form = "url" if field.name == self._columns[-1] else "json" if _is_text(field.type) else "value"
            pieces.append((before, form))
        self._join = Join(self._data.write, pieces, b"}\n")

    def put(self, rows: pa.RecordBatch) -> None:
        self._join.rows([text_buffers(_texts(column)) for column in rows.columns], len(rows))


def _is_text(kind: pa.DataType) -> bool:
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _texts(column: pa.Array) -> pa.Array:
    """A column's values as texts: of strings themselves, of others as JSON has them."""
    if _is_text(column.type):
        return as_strings(as_bytes(column))
    if pa.types.is_dictionary(column.type):
        column = dictionary_values(column)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string())
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

"""Writers of rows with columns: CSV, JSON lines, Parquet, Arrow."""

from __future__ import annotations

import json
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from cossign.batch.sources import InputError
from cossign.batch.tables import as_bytes, as_strings, is_text

_GROUP = 1 << 17  # rows of a Parquet row group


class _Rows:
    """What all have in common: the first rows decide on the columns."""

    def __init__(self, data: IO[bytes], columns: list[str]) -> None:
        self._data = data
        self._columns = columns
        self._schema: pa.Schema | None = None

    def write(self, rows: pa.RecordBatch) -> None:
        rows = self.prepare(rows)
        if self._schema is None:
            self._schema = rows.schema
            self.begin(rows.schema)
        if rows.schema != self._schema:
            try:
                rows = rows.cast(self._schema)
            except (pa.ArrowException, ValueError) as error:
                raise InputError(
                    f"the inputs' columns differ, and the output can have one kind only: {error}"
                ) from None
        self.put(rows)

    def close(self) -> None:
        if self._schema is None:
            self._schema = pa.schema([(name, pa.string()) for name in self._columns])
            self.begin(self._schema)
        self.end()

    def prepare(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Rows as this writer can write them; the keys, of which only bad ones may be no UTF-8, as strings."""
        columns = []
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            if pa.types.is_binary_view(column.type):
                column = column.cast(pa.binary())
            needs_text = name == self._columns[0] or pa.types.is_string_view(column.type)
            columns.append(as_strings(column) if needs_text else column)
        return pa.record_batch(columns, rows.schema.names)

    def begin(self, schema: pa.Schema) -> None:
        pass

    def put(self, rows: pa.RecordBatch) -> None:
        raise NotImplementedError

    def end(self) -> None:
        pass


class _Csv(_Rows):
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
        _write_texts(self._data, [*fields, b"\n"])


def _bytes(column: pa.Array) -> pa.Array:
    """A column's values as text."""
    if pa.types.is_binary(column.type):
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()).cast(pa.binary())


def _quote(column: pa.Array) -> pa.Array:
    """Values in quotes, where they must be."""
    if not _has(column, b'",\r\n'):
        return column
    mask = pc.match_substring_regex(column, '[",\r\n]')
    escaped_column = pc.replace_substring(column, b'"', b'""')
    return pc.if_else(mask, pc.binary_join_element_wise(b'"', escaped_column, b'"', b""), column)


def _has(column: pa.Array, characters: bytes) -> bool:
    """Whether any of a column's texts has one of the characters: looked for in all of its memory at once."""
    data = column.buffers()[2]
    if data is None or not len(column):
        return False
    offsets = memoryview(column.buffers()[1]).cast("i")
    text = bytes(memoryview(data)[offsets[column.offset] : offsets[column.offset + len(column)]])
    return any(text.find(character) >= 0 for character in characters)


class _Jsonl(_Rows):
    """A JSON object a line."""

    def put(self, rows: pa.RecordBatch) -> None:
        pieces: list[Any] = []
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            pieces += [f"{', ' if pieces else '{'}{json.dumps(name)}: ", _json(column)]
        _write_texts(self._data, [*pieces, "}\n"])


def _json(column: pa.Array) -> pa.Array:
    """A column's values as JSON texts."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if is_text(kind):
        column = as_strings(as_bytes(column))
        if _has(column, b'\\"' + bytes(range(32))):
            texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]
            return pc.fill_null(pa.array(texts, pa.string()), "null")
        return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pc.fill_null(column.cast(pa.string()), "null")
    return pa.array([json.dumps(value, default=str, ensure_ascii=False) for value in column.to_pylist()], pa.string())


def _write_texts(data: IO[bytes], pieces: list[Any]) -> None:
    """Write a row's texts, one behind the other, for all rows."""
    empty = "" if isinstance(pieces[-1], str) else b""
    kind = pa.string() if isinstance(pieces[-1], str) else pa.binary()
    columns = [pa.scalar(piece, kind) if isinstance(piece, (str, bytes)) else piece.cast(kind) for piece in pieces]
    row_texts = pc.binary_join_element_wise(
        *columns, pa.scalar(empty, kind), null_handling="replace", null_replacement=empty
    )
    offsets = memoryview(row_texts.buffers()[1]).cast("i")
    first, last = offsets[row_texts.offset], offsets[row_texts.offset + len(row_texts)]
    text = row_texts.buffers()[2]
    if text is not None:
        data.write(memoryview(text)[first:last])


class _Parquet(_Rows):
    """Row groups of 131,072 rows, pages packed by zstd's level 1.

    URLs share their beginnings and ends. Measured over 500,000 rows of a key and its URL (362 bytes unpacked):
    plain and zstd 1: 24.7 bytes a row, 3.4 million rows a second; DELTA_BYTE_ARRAY and zstd 1: 22.3 bytes, 2.7 million;
    plain and snappy, pyarrow's default: 62.3 bytes, 4.1 million. What is read back fastest is the first.
    """

    def begin(self, schema: pa.Schema) -> None:
        # No two URLs, and hardly two keys, are the same: a dictionary of them would be given up later.
        flat_names = [field.name for field in schema if not pa.types.is_nested(field.type)]
        self._writer = pyarrow.parquet.ParquetWriter(
            pa.PythonFile(self._data, "w"),
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in flat_names if name not in self._columns],
            write_statistics=flat_names[:-1],
        )

    def put(self, rows: pa.RecordBatch) -> None:
        self._writer.write_batch(rows, _GROUP)

    def end(self) -> None:
        self._writer.close()


class _Arrow(_Rows):
    """The Arrow IPC file format, which is also Feather's second version."""

    def begin(self, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(pa.PythonFile(self._data, "w"), schema)

    def put(self, rows: pa.RecordBatch) -> None:
        self._writer.write_batch(rows)

    def end(self) -> None:
        self._writer.close()


SINKS: dict[str, type[_Rows]] = {"csv": _Csv, "jsonl": _Jsonl, "parquet": _Parquet, "arrow": _Arrow}

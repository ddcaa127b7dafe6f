"""JSON lines: one object a line, read by blocks of whole lines."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.json

from cossign.batch._rows import Objects
from cossign.batch.errors import InputError
from cossign.batch.inputs.choice import TABLE_BYTES, TABLE_ROWS, ColumnChoice, Fault, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note
from cossign.batch.inputs.txt import TextBuffer, line_count

_BYTES = 1 << 20  # that are read at a time; the first of them decide on the types
_LONG_INTEGER = re.compile(rb"[0-9]{16}")
_LONGEST_LINE = 1 << 28  # bytes


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted fields, with the types that they have in the first rows."""
    text = TextBuffer(data, each.name, _BYTES)
    reader: _Reader | None = None
    first = 0
    while text.fill():
        note()
        if reader is None and not text.is_last and text.end < _BYTES // 2:
            continue  # the last line, which may have no end, decides on the types, too
        end = text.end if text.is_last else text.block.rfind(b"\n", text.start, text.end) + 1
        if not end:
            if text.end > _LONGEST_LINE:
                raise InputError(f"{each.name} is not JSON lines: a line is longer than {_LONGEST_LINE >> 20} MiB")
            continue
        if reader is None:
            block = text.text(end)
            _check_lines(block, each)
            reader = _Reader(choice, _schema(each, choice, block))
        for rows in reader.rows(text, end):
            yield rows._replace(first=first)
            first += len(rows.table)
    if reader is not None:
        for rows in reader.rest():
            yield rows._replace(first=first)
            first += len(rows.table)


class _Reader:
    """Rows of one file: those that are as usual by C; what follows an odd one in a block by pyarrow, or row by row."""

    def __init__(self, choice: ColumnChoice, schema: pa.Schema) -> None:
        self._key = choice.key
        self._is_strict = choice.all
        self._schema = schema
        self._objects: Objects | None = None
        kinds = [_kind(field.type) for field in schema]
        if "" not in kinds and len(kinds) <= Objects.MOST:
            self._objects = Objects(schema.names, kinds, choice.key, is_strict=choice.all)

    def rows(self, text: TextBuffer, end: int) -> Iterator[ReadRows]:
        """The rows of whole lines, up to `end`, once there are many of them."""
        while text.start < end:
            is_odd = True
            if self._objects is not None:
                size, is_odd = self._objects.read(text.block, text.start, end)
                text.start += size
                if is_odd or self._objects.rows >= TABLE_ROWS or self._objects.size >= TABLE_BYTES:
                    yield from self.rest()
            if is_odd:
                block = text.text(end - text.start)
                text.start = end
                yield self._odd_rows(block)

    def rest(self) -> Iterator[ReadRows]:
        """The rows that were read and not given yet."""
        if self._objects is None:
            return
        rows, columns, counts = self._objects.take()
        if rows or any(counts.values()):
            arrays = [_array(field.type, rows, buffers) for field, buffers in zip(self._schema, columns, strict=True)]
            table = pa.RecordBatch.from_arrays(arrays, self._schema.names)
            yield ReadRows(0, table, counts=counts)

    def _odd_rows(self, block: bytes) -> ReadRows:
        """Rows that C does not read: the first of them is odd."""
        key, schema = self._key, self._schema
        faults: dict[int, Fault] = {}
        try:
            if _LONG_INTEGER.search(block) and any(pa.types.is_floating(field.type) for field in schema):
                raise pa.ArrowInvalid("pyarrow rounds an integer that a double cannot hold")
            table = pyarrow.json.read_json(
                pa.BufferReader(block),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                pyarrow.json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="error" if self._is_strict else "ignore"
                ),
            )
            rows = table.combine_chunks().to_batches()[0].select(schema.names)
            lines = line_count(block)
            empty = 0 if len(rows) == lines else sum(not line.strip() for line in block.split(b"\n")[:lines])
            if rows.column(key).null_count or len(rows) + empty != lines:
                raise pa.ArrowInvalid("a row has no key, or is not one line")
        except (pa.ArrowInvalid, IndexError):  # some row is bad: read them one by one
            rows, faults = _json_rows(block, schema, key, self._is_strict)
            empty = line_count(block) - len(rows)
        return ReadRows(0, rows, faults, counts={"empty_lines": empty})


def _kind(kind: pa.DataType) -> str:
    """What Objects call a type; "" if they cannot read it."""
    if pa.types.is_string(kind):
        return "text"
    if kind == pa.int64():
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    return "boolean" if pa.types.is_boolean(kind) else ""


def _array(kind: pa.DataType, rows: int, buffers: tuple[bytes | None, bytes, bytes]) -> pa.Array:
    """A column of Objects with its type."""
    texts = pa.Array.from_buffers(pa.string(), rows, [pa.py_buffer(buffer or b"") for buffer in buffers])
    return texts if pa.types.is_string(kind) else texts.cast(kind)


def _check_lines(block: bytes, each: Input) -> None:
    """Refuse JSON that is not an object a line: an array, or objects over several lines."""
    lines = [line for line in block.split(b"\n", 100)[:100] if line.strip()]
    start = lines[0].strip() if lines else b""
    if start.startswith(b"["):
        raise InputError(f"{each.name} is a JSON array: write one object a line, such as by jq -c '.[]' {each.name}")
    if start.startswith(b"{") and len(lines) > 1 and not _is_json(start) and not _is_json(lines[1]):
        raise InputError(
            f"{each.name} has JSON objects over several lines: write one object a line, such as by jq -c . {each.name}"
        )


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _schema(each: Input, choice: ColumnChoice, block: bytes) -> pa.Schema:
    """The wanted columns' types, as the first rows have them."""
    schema = pa.schema([(choice.key, pa.string())])
    if not choice.others and not choice.all and not choice.versions:
        return schema
    for text in (block, *block.split(b"\n")[:100]):  # all of them, or the first that can be read
        with contextlib.suppress(pa.ArrowInvalid):
            schema = pyarrow.json.read_json(
                pa.BufferReader(text),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                pyarrow.json.ParseOptions(explicit_schema=schema),
            ).schema
            break
    types = {name: _json_type(schema.field(name).type) for name in choice.names(each, schema.names)}
    if _LONG_INTEGER.search(block):
        types = {name: _long_type(block, name) if pa.types.is_floating(kind) else kind for name, kind in types.items()}
    return pa.schema(list(types.items()))


def _long_type(block: bytes, name: str) -> pa.DataType:
    """The type of numbers that pyarrow takes for doubles: unsigned integers, if all of them are."""
    values = []
    for line in block.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            values.append(row.get(name) if isinstance(row, dict) else None)
    are_integers = all(value is None or (type(value) is int and 0 <= value < 1 << 64) for value in values)
    return pa.uint64() if are_integers else pa.float64()


def _json_type(kind: pa.DataType) -> pa.DataType:
    """A type that was found in JSON, where a date is a string, and a null may be anything: as it is written."""
    if pa.types.is_temporal(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_json_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _json_type(field.type)) for field in kind])
    return kind


def _json_rows(block: bytes, schema: pa.Schema, key: str, is_strict: bool) -> tuple[pa.RecordBatch, dict[int, Fault]]:
    """The rows of a block with a bad one in it; `is_strict` is whether no other fields may be there."""
    columns: list[list[Any]] = [[] for _ in schema]
    faults: dict[int, Fault] = {}
    rows = 0
    for line in block.decode("utf-8", "surrogateescape").split("\n"):
        if not line.strip():
            continue
        values, fault = _json_row(line, schema, key, is_strict)
        if fault:
            faults[rows] = Fault(fault, line)
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        rows += 1
    # Keys stay bytes, so that what is no UTF-8 is found by whoever looks at all keys.
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema.names), faults


def _json_row(line: str, schema: pa.Schema, key: str, is_strict: bool) -> tuple[list[Any], str | None]:
    nulls = [None] * len(schema)
    try:
        row = json.loads(line)
    except ValueError as error:
        return nulls, f"is not JSON: {error}"
    except RecursionError:
        return nulls, "is not JSON: it is nested too deeply"
    if not isinstance(row, dict):
        return nulls, "is not a JSON object"
    if key not in row:
        return nulls, f"has not the field {key!r}"
    if not isinstance(row[key], str):
        return nulls, f"{key} is not a string"
    extra_names = [name for name in row if name not in schema.names] if is_strict else []
    if extra_names:
        return nulls, f"has the field {extra_names[0]!r}, which the first rows have not"
    values = []
    for field in schema:
        value = row.get(field.name)
        try:
            if pa.types.is_integer(field.type) and value is not None and type(value) is not int:
                raise TypeError
            if pa.types.is_floating(field.type) and type(value) is int and int(float(value)) != value:
                return nulls, f"{field.name} is an integer that a double cannot hold"
            values.append(pa.scalar(value, field.type).as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            what = "is not valid UTF-8" if field.name == key else f"is not {field.type}, as it is in the first rows"
            return nulls, f"{field.name} {what}"
    return values, None

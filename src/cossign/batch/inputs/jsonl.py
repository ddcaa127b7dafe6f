"""JSON lines: one object a line, read by blocks of whole lines."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.json

from cossign.batch._rows import Objects
from cossign.batch.errors import InputError
from cossign.batch.inputs.choice import TABLE_BYTES, TABLE_ROWS, ColumnChoice, Fault, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note
from cossign.batch.inputs.txt import TextBuffer, line_count

_BYTES = 1 << 20  # that are read at a time; the first of them decide on the types
_LONG_INTEGER = re.compile(rb"[\s:,\[]-?[0-9]{16}")  # not in a string, and not after a point
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
            if _LONG_INTEGER.search(block) and any(_holds(pa.types.is_floating, field.type) for field in schema):
                raise pa.ArrowInvalid("pyarrow rounds an integer that a double cannot hold")
            # A field that the first rows have not may be left out of a row, but not out of an object that is kept.
            unexpected = "infer" if any(_holds(pa.types.is_struct, field.type) for field in schema) else "ignore"
            table = pyarrow.json.read_json(
                pa.BufferReader(block),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                pyarrow.json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="error" if self._is_strict else unexpected
                ),
            )
            rows = table.combine_chunks().to_batches()[0].select(schema.names)
            lines = line_count(block)
            empty = 0 if len(rows) == lines else sum(not line.strip() for line in block.split(b"\n")[:lines])
            if rows.column(key).null_count or len(rows) + empty != lines or rows.schema.types != schema.types:
                raise pa.ArrowInvalid("a row has no key, is not one line, or has another field in an object")
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
    has_doubles = any(_holds(pa.types.is_floating, kind) for kind in types.values())
    if has_doubles and _LONG_INTEGER.search(block):
        rows = list(_objects_of(block))
        types = {name: _long_type(kind, [row.get(name) for row in rows]) for name, kind in types.items()}
    return pa.schema(list(types.items()))


def _objects_of(block: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a block's lines, as far as they can be read."""
    for line in block.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def _long_type(kind: pa.DataType, values: Iterable[Any]) -> pa.DataType:
    """A type of some values, with unsigned integers where pyarrow takes such numbers for doubles."""
    if pa.types.is_list(kind):
        return pa.list_(
            _long_type(kind.value_type, [item for each in values if isinstance(each, list) for item in each])
        )
    if pa.types.is_struct(kind):
        objects = [each for each in values if isinstance(each, dict)]
        return pa.struct(
            [(field.name, _long_type(field.type, [each.get(field.name) for each in objects])) for field in kind]
        )
    if not pa.types.is_floating(kind):
        return kind
    are_integers = all(value is None or (type(value) is int and 0 <= value < 1 << 64) for value in values)
    return pa.uint64() if are_integers else pa.float64()


def _holds(check: Callable[[pa.DataType], bool], kind: pa.DataType) -> bool:
    """Whether a type, or one within it, is of a kind."""
    return check(kind) or any(_holds(check, kind.field(place).type) for place in range(kind.num_fields))


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
    # Keys stay bytes, so that the check of all keys finds those that are not UTF-8.
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
        return nulls, _missing_key(row, key)
    if not isinstance(row[key], str):
        return nulls, f"{key} is not a string"
    extra_names = [name for name in row if name not in schema.names] if is_strict else []
    if extra_names:
        return nulls, f"has the field {extra_names[0]!r}, which the first rows do not have"
    values = []
    for field in schema:
        value = row.get(field.name)
        problem = _misfit(field.name, value, field.type)
        if problem:
            return nulls, problem
        try:
            values.append(pa.scalar(value, field.type).as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            what = "is not valid UTF-8" if field.name == key else f"is not {field.type}, as it is in the first rows"
            return nulls, f"{field.name} {what}"
    return values, None


def _missing_key(row: dict[str, Any], key: str) -> str:
    top, *inner = key.split(".")
    if inner and isinstance(row.get(top), dict):
        return (
            f"has no field {key!r}: objects in it are not looked into; take the key out by jq -c '. + {{key: .{key}}}'"
        )
    return f"has no field {key!r}"


_TYPES = (  # of JSON's values, as Python has them
    (pa.types.is_list, (list,)), (pa.types.is_struct, (dict,)), (pa.types.is_string, (str,)),
    (pa.types.is_integer, (int,)), (pa.types.is_floating, (int, float)), (pa.types.is_boolean, (bool,)),
)  # fmt: skip


def _misfit(name: str, value: Any, kind: pa.DataType) -> str | None:
    """Why a value is not of a type, where pyarrow might change it without a word; None if it is."""
    if value is None:
        return None
    if any(check(kind) and type(value) not in types for check, types in _TYPES):
        return f"{name} is not {kind}, as it is in the first rows"
    parts: Iterable[tuple[str, Any, pa.DataType]] = ()
    if pa.types.is_list(kind):
        parts = ((name, item, kind.value_type) for item in value)
    elif pa.types.is_struct(kind):
        types = {field.name: field.type for field in kind}
        for field in value:
            if field not in types:
                return f"{name} has the field {field!r}, which the first rows do not have"
        parts = ((f"{name}.{field}", value[field], types[field]) for field in value)
    elif pa.types.is_floating(kind) and type(value) is int and not _is_double(value):
        return f"{name} is an integer that is too long for a double"
    return next(filter(None, (_misfit(*part) for part in parts)), None)


def _is_double(number: int) -> bool:
    return abs(number) < 1 << 63 and int(float(number)) == number

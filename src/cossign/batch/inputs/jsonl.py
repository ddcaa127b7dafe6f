"""JSON lines: one object a line, read by blocks of whole lines."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import IO, Any

import pyarrow as pa
import pyarrow.json

from cossign.batch.errors import InputError
from cossign.batch.inputs.choice import ColumnChoice, Fault, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note, note_blocks
from cossign.batch.inputs.txt import check_encoding, line_count, whole_lines
from cossign.batch.threads import read_ahead

_BYTES = 1 << 20  # that are parsed at a time


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted fields, with the types that they have in the first rows."""
    key = choice.key
    schema: pa.Schema | None = None
    blocks = read_ahead(note_blocks(whole_lines(data, _BYTES), note), 4, each.patience)
    start = next(blocks, b"")
    first = 0
    if len(start) < _BYTES // 2:
        start += next(blocks, b"")  # the last line, which may have no end
    for block in itertools.chain([start] if start else [], blocks):
        if schema is None:
            _check_lines(block, each)
            schema = _schema(each, choice, block)
        faults: dict[int, Fault] = {}
        try:
            table = pyarrow.json.read_json(
                pa.BufferReader(block),
                pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                pyarrow.json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="error" if choice.all else "ignore"
                ),
            )
            rows = table.combine_chunks().to_batches()[0].select(schema.names)
            lines = line_count(block)
            empty = 0 if len(rows) == lines else sum(not line.strip() for line in block.split(b"\n")[:lines])
            if rows.column(key).null_count or len(rows) + empty != lines:
                raise pa.ArrowInvalid("a row has no key, or is not one line")
        except (pa.ArrowInvalid, IndexError):  # some row is bad: read them one by one
            rows, faults = _json_rows(block, schema, key, choice.all)
            empty = line_count(block) - len(rows)
        yield ReadRows(first, rows, faults, counts={"empty_lines": empty})
        first += len(rows)


def _check_lines(block: bytes, each: Input) -> None:
    """Refuse JSON that is not an object a line: an array, or objects over several lines."""
    check_encoding(block, each.name)
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
    return pa.schema([(name, _json_type(schema.field(name).type)) for name in choice.names(each, schema.names)])


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
            values.append(pa.scalar(value, field.type).as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            what = "is not valid UTF-8" if field.name == key else f"is not {field.type}, as it is in the first rows"
            return nulls, f"{field.name} {what}"
    return values, None

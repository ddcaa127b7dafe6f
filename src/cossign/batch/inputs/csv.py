"""CSV, with a header or without, and the CSV of inventories, whose keys are percent-encoded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cossign._arrow import decode_column, records_end
from cossign.batch.columns import buffers_of, has_any
from cossign.batch.errors import InputError
from cossign.batch.inputs.choice import TABLE_ROWS, ColumnChoice, Fault, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note, note_blocks
from cossign.batch.inputs.txt import check_encoding, line_count, whole_lines
from cossign.batch.threads import read_ahead

_BYTES = 1 << 20  # that are parsed at a time
_LONGEST_ROW = 1 << 25  # bytes of the longest row


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted columns. An empty field is an empty text, but in the CSV of a query's column it is null."""
    header = each.fields or choice.header
    key = choice.key
    names: list[str] = []
    first = 0
    # No field of an inventory holds a line's end.
    blocks = whole_lines(data, _BYTES) if each.fields else _records(data, each)
    for block in read_ahead(note_blocks(blocks, note), 2, each.patience):
        if header is None:
            header, block = _header(block, each)
        if not block.strip(b"\r\n"):
            continue
        names = names or choice.names(each, header)
        faults: dict[int, Fault] = {}
        try:
            rows = _parse(block, each, header, names, key)
        except pa.ArrowInvalid:  # some row is bad: read them one by one
            rows, faults = _csv_rows(block, each, header, names, key)
        counts = {"empty_lines": _empty_lines(block, len(rows), each)}
        if b"\r" in block:
            counts["lone_crs"] = block.count(b"\r") - block.count(b"\r\n")
        if each.fields:
            keys = rows.column(key)
            counts["plus_signs"] = _plus_signs(keys)
            rows = rows.set_column(rows.schema.get_field_index(key), key, decoded_keys(keys))
        for place in range(0, max(1, len(rows)), TABLE_ROWS):
            slice_faults = {row - place: fault for row, fault in faults.items() if place <= row < place + TABLE_ROWS}
            yield ReadRows(first + place, rows[place : place + TABLE_ROWS], slice_faults, counts=counts)
            counts = {}
        first += len(rows)


def _parse(block: bytes, each: Input, header: Sequence[str], names: Sequence[str], key: str) -> pa.RecordBatch:
    table = pyarrow.csv.read_csv(
        pa.BufferReader(block),
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=header),
        pyarrow.csv.ParseOptions(newlines_in_values=True, delimiter=each.delimiter),
        pyarrow.csv.ConvertOptions(
            column_types={name: pa.binary() if name == key else pa.string() for name in names},
            include_columns=names,
            strings_can_be_null=False,
        ),
    )
    return table.combine_chunks().to_batches()[0]


def _empty_lines(block: bytes, rows: int, each: Input) -> int:
    """How many lines of a block have nothing in them, which no reader gives as rows."""
    if line_count(block) == rows or not (b"\n\n" in block or b"\n\r\n" in block or block[:2] in (b"\n", b"\r\n")):
        return 0
    text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
    return sum(not row for row in csv.reader(text, delimiter=each.delimiter))


def _plus_signs(keys: pa.Array) -> int:
    """How many of some encoded keys have a plus sign, which may mean a blank."""
    return pc.sum(pc.match_substring(keys, b"+")).as_py() or 0 if has_any(keys, b"+") else 0


def _records(data: IO[bytes], each: Input) -> Iterator[bytes]:
    """CSV in blocks of whole rows, without a byte order mark."""
    rest = b""
    size = _BYTES
    start = True
    while block := data.read(size):
        if start:
            check_encoding(block, each.name)
            block = block.removeprefix(b"\xef\xbb\xbf")
            start = False
        rest += block
        end = records_end(rest, each.delimiter.encode())
        if end == 0:
            if len(rest) > _LONGEST_ROW:
                raise InputError(
                    f"{each.name} is not CSV: a row is longer than {_LONGEST_ROW >> 20} MiB: is a quote not closed?"
                )
            size = len(rest)  # so that a long row is looked at a few times only
            continue
        size = _BYTES
        yield rest[:end]
        rest = rest[end:]
    if rest:
        yield rest


def _header(block: bytes, each: Input) -> tuple[list[str], bytes]:
    """The names in the first row, and the rows after it."""
    text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
    try:
        names = next((row for row in csv.reader(text, delimiter=each.delimiter) if row), None)
    except csv.Error as error:
        raise InputError(f"{each.name} is not CSV: {error}") from None
    if names is None:
        return [], b""
    size = len(text.getvalue()[: text.tell()].encode("utf-8", "surrogateescape"))
    return [each.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for each in names], block[size:]


def _csv_rows(
    block: bytes, each: Input, names: Sequence[str], wanted_names: Sequence[str], key: str
) -> tuple[pa.RecordBatch, dict[int, Fault]]:
    """The rows of a block with a bad one in it."""
    places = [list(names).index(name) for name in wanted_names]
    columns: list[list[bytes | None]] = [[] for _ in wanted_names]
    faults: dict[int, Fault] = {}
    limit = csv.field_size_limit(_LONGEST_ROW * 2)
    try:
        for row in csv.reader(
            io.StringIO(block.decode("utf-8", "surrogateescape"), newline=""), delimiter=each.delimiter
        ):
            if not row:
                continue
            fault = None if len(row) == len(names) else f"has {len(row)} columns, not {len(names)}"
            if fault is None:
                values: list[bytes | None] = [row[place].encode("utf-8", "surrogateescape") for place in places]
                bad_names = [
                    name
                    for name, value in zip(wanted_names, values, strict=True)
                    if name != key and not _is_utf8(value)
                ]
                fault = f"{bad_names[0]} is not valid UTF-8" if bad_names else None
            if fault is not None:
                faults[len(columns[0])] = Fault(fault, ",".join(row))
                values = [None] * len(wanted_names)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    except csv.Error as error:
        raise InputError(f"{each.name} is not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)
    arrays = [pa.array(column, pa.binary()) for column in columns]
    texts = [
        array if name == key else array.cast(pa.string()) for name, array in zip(wanted_names, arrays, strict=True)
    ]
    return pa.record_batch(texts, list(wanted_names)), faults


def _is_utf8(value: bytes | None) -> bool:
    try:
        str(value or b"", "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def decoded_keys(keys: pa.Array) -> pa.Array:
    """URL-encoded keys, as bytes, decoded."""
    if keys.null_count:
        keys = pa.concat_arrays([keys])  # without an offset
    validity = keys.buffers()[0]
    text, new_offsets = decode_column(*buffers_of(keys))
    return pa.Array.from_buffers(
        pa.binary(), len(keys), [validity if keys.null_count else None, pa.py_buffer(new_offsets), pa.py_buffer(text)]
    )

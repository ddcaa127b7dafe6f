"""CSV, with a header or without, and the CSV of inventories, whose keys are percent-encoded."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv

from cossign.batch._rows import Fields, decode_column, records_end
from cossign.batch.columns import buffers_of
from cossign.batch.errors import InputError
from cossign.batch.inputs.choice import TABLE_BYTES, TABLE_ROWS, ColumnChoice, Fault, Reading, ReadRows
from cossign.batch.inputs.source import Input, Note
from cossign.batch.inputs.txt import TextBuffer

_BYTES = 1 << 18  # that are read at a time
_LONGEST_ROW = 1 << 25  # bytes of the longest row


def read(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """The wanted columns. An empty field is an empty text, but in the CSV of a query's column it is null."""
    header = each.fields or choice.header
    text = TextBuffer(data, each.name, _BYTES)
    reader: _Reader | None = None
    counts: Counter[str] = Counter()  # of empty lines between the header and the first row
    first = 0
    while text.fill():
        note()
        if header is None:
            header = _take_header(text, each)
        if reader is None and header is not None:
            block = text.text()
            if block.strip(b"\r\n"):
                reader = _Reader(each, header, choice, counts)
            else:
                size = len(block) - (block.endswith(b"\r") and not text.is_last)  # a line feed may follow
                counts.update(empty_lines=block.count(b"\n"), lone_crs=_lone_crs(block, 0, size))
                text.start += size
        if reader is not None:
            for rows in reader.rows(text):
                yield rows._replace(first=first)
                first += len(rows.table)
        if text.end - text.start > _LONGEST_ROW:
            raise InputError(
                f"{each.name} is not CSV: a row is longer than {_LONGEST_ROW >> 20} MiB: is a quote not closed?"
            )
    if reader is not None:
        for rows in reader.rest():
            yield rows._replace(first=first)


class _Reader:
    """Rows of one file: those that are as usual by C; what follows an odd one in a block by pyarrow, or row by row."""

    def __init__(self, each: Input, header: Sequence[str], choice: ColumnChoice, counts: Counter[str]) -> None:
        self._each = each
        self._header = header
        self._key = choice.key
        self._delimiter = each.delimiter.encode()
        self._names = choice.names(each, header)
        places = [-1] * len(header)
        for column, name in enumerate(self._names):
            places[list(header).index(name)] = column
        self._fields = Fields(
            places,
            len(self._names),
            self._names.index(choice.key),
            self._delimiter,
            is_encoded=each.fields is not None,
        )
        self._counts = counts  # beside those of `_fields`, of what was not given yet

    def rows(self, text: TextBuffer) -> Iterator[ReadRows]:
        """The whole rows that are in the buffer, once there are many of them."""
        while text.start < text.end:
            size, is_odd = self._fields.read(text.block, text.start, text.end, text.is_last)
            self._counts["lone_crs"] += _lone_crs(text.block, text.start, text.start + size)
            text.start += size
            if is_odd or self._fields.rows >= TABLE_ROWS or self._fields.size >= TABLE_BYTES:
                yield from self.rest()
            if is_odd:
                size = text.end - text.start if text.is_last else records_end(text.text(), self._delimiter)
                if size:
                    yield from self._odd_rows(text.text(size))
                    text.start += size
            if not size:
                return

    def rest(self) -> Iterator[ReadRows]:
        """The rows that were read and not given yet."""
        rows, columns, counts = self._fields.take()
        counts = Counter(counts) + self._counts
        self._counts.clear()
        if rows or any(counts.values()):
            yield ReadRows(0, self._table(rows, columns), counts=counts)

    def _table(self, rows: int, columns: list[Any]) -> pa.RecordBatch:
        arrays = [
            pa.Array.from_buffers(
                pa.binary() if name == self._key else pa.string(),
                rows,
                [None, pa.py_buffer(offsets), pa.py_buffer(data)],
                null_count=0,
            )
            for name, (_, offsets, data) in zip(self._names, columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, self._names)

    def _odd_rows(self, block: bytes) -> Iterator[ReadRows]:
        """Rows that C does not read: the first of them is odd."""
        each, key = self._each, self._key
        faults: dict[int, Fault] = {}
        try:
            rows = _parse(block, each, self._header, self._names, key)
        except (pa.ArrowInvalid, IndexError):  # some row is bad, or there is none: read them one by one
            rows, faults = _csv_rows(block, each, self._header, self._names, key)
        counts = {"empty_lines": _empty_lines(block, each), "lone_crs": _lone_crs(block, 0, len(block))}
        if each.fields:
            keys = rows.column(key)
            counts["plus_signs"] = _plus_signs(keys)
            rows = rows.set_column(rows.schema.get_field_index(key), key, decoded_keys(keys))
        for place in range(0, max(1, len(rows)), TABLE_ROWS):
            slice_faults = {row - place: fault for row, fault in faults.items() if place <= row < place + TABLE_ROWS}
            yield ReadRows(0, rows[place : place + TABLE_ROWS], slice_faults, counts=counts)
            counts = {}


def _lone_crs(block: bytes | bytearray, start: int, end: int) -> int:
    """How many CRs are not before a line feed."""
    if block.find(b"\r", start, end) < 0:
        return 0
    return block.count(b"\r", start, end) - block.count(b"\r\n", start, end)


def _take_header(text: TextBuffer, each: Input) -> list[str] | None:
    """The names in the first row, which is taken; None if it is not whole yet."""
    block = text.text()
    size = len(block) if text.is_last else records_end(block, each.delimiter.encode())
    if not block[:size].strip(b"\r\n"):
        text.start += size
        return None
    names, size = _header(block[:size], each)
    text.start += size
    return names


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


def _empty_lines(block: bytes, each: Input) -> int:
    """How many lines of a block have nothing in them, which no reader gives as rows."""
    if not (b"\n\n" in block or b"\n\r\n" in block or block.startswith((b"\n", b"\r\n"))):
        return 0
    return sum(not row for row in _python_rows(block, each))


def _plus_signs(keys: pa.Array) -> int:
    """How many of some encoded keys have a plus sign, which may mean a blank."""
    return sum(b"+" in key for key in keys.to_pylist() if key is not None)


def _header(block: bytes, each: Input) -> tuple[list[str], int]:
    """The names in the first row, and how many bytes it has."""
    text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
    names = next((row for row in _python_rows(text, each) if row), None)
    if names is None:
        return [], len(block)
    size = len(text.getvalue()[: text.tell()].encode("utf-8", "surrogateescape"))
    return [each.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for each in names], size


def _python_rows(block: bytes | io.StringIO, each: Input) -> Iterator[list[str]]:
    """Rows as Python's csv reads them, with empty lines as empty rows."""
    text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="") if isinstance(block, bytes) else block
    limit = csv.field_size_limit(_LONGEST_ROW * 2)
    try:
        yield from csv.reader(text, delimiter=each.delimiter)
    except csv.Error as error:
        raise InputError(f"{each.name} is not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _csv_rows(
    block: bytes, each: Input, names: Sequence[str], wanted_names: Sequence[str], key: str
) -> tuple[pa.RecordBatch, dict[int, Fault]]:
    """The rows of a block with a bad one in it."""
    places = [list(names).index(name) for name in wanted_names]
    columns: list[list[bytes | None]] = [[] for _ in wanted_names]
    faults: dict[int, Fault] = {}
    for row in _python_rows(block, each):
        if not row:
            continue
        fault = None if len(row) == len(names) else f"has {len(row)} columns, not {len(names)}"
        if fault is None:
            values: list[bytes | None] = [row[place].encode("utf-8", "surrogateescape") for place in places]
            bad_names = [
                name for name, value in zip(wanted_names, values, strict=True) if name != key and not _is_utf8(value)
            ]
            fault = f"{bad_names[0]} is not valid UTF-8" if bad_names else None
        if fault is not None:
            faults[len(columns[0])] = Fault(fault, ",".join(row))
            values = [None] * len(wanted_names)
        for column, value in zip(columns, values, strict=True):
            column.append(value)
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

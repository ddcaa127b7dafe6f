"""Rows with columns, as Arrow tables: CSV, JSON lines, Parquet, Arrow, ORC, inventories; and which rows are wanted."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from cossign._arrow import Lines, decode_column, records_end
from cossign.batch.ahead import read_ahead
from cossign.batch.inventory import has_md5
from cossign.batch.sources import Input, InputError, Position, Source, read_errors, whole_lines

_BYTES = 1 << 20  # of CSV or JSON lines parsed at a time
_ROWS = 8192  # rows of Parquet, Arrow or ORC taken at a time
_LONGEST_ROW = 1 << 25  # bytes of the longest row of CSV
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


class Fault(NamedTuple):
    """Why a row has no key, and the row's text, if it has one."""

    reason: str
    text: str | None


class Batch(NamedTuple):
    """Some rows of one input.

    Attributes:
        input: the input's place in the source.
        name: its name.
        numbers: each row's number in it, from 1; a CSV header is not counted.
        end: how many rows of the input were read when this batch was.
        keys: the keys.
        table: the columns asked for, the keys among them.
        faults: by their place in the batch, the rows that could not be read; their columns are null.
    """

    input: int
    name: str
    numbers: Sequence[int]
    end: int
    keys: pa.Array
    table: pa.RecordBatch
    faults: dict[int, Fault]

    def split(self, rows: int) -> tuple[Batch, Batch]:
        """The first rows, and the others."""
        return (
            self._replace(
                numbers=self.numbers[:rows],
                end=self.numbers[rows - 1],
                keys=self.keys[:rows],
                table=self.table[:rows],
                faults={place: each for place, each in self.faults.items() if place < rows},
            ),
            self._replace(
                numbers=self.numbers[rows:],
                keys=self.keys[rows:],
                table=self.table[rows:],
                faults={place - rows: each for place, each in self.faults.items() if place >= rows},
            ),
        )


class Condition(NamedTuple):
    """``COLUMN<value``, with ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``; see `Job.where`."""

    column: str
    relation: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        match = re.fullmatch(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", text)
        if not match:
            raise InputError(f"where: {text!r} is no condition: write it as Size>=1048576 or StorageClass=STANDARD")
        return cls(*match.groups())

    def holds(self, values: pa.Array) -> pa.Array:
        """For which values it holds; never for a null."""
        compare: Callable[[Any, Any], Any] = {
            "=": pc.equal,
            "!=": pc.not_equal,
            "<": pc.less,
            "<=": pc.less_equal,
            ">": pc.greater,
            ">=": pc.greater_equal,
        }[self.relation]
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if is_text(values.type):
            values = as_strings(values)
            if self.relation in ("=", "!=") or not re.match(_NUMBER, self.value):
                return compare(values, self.value)
            numeric = pc.match_substring_regex(values, _NUMBER)
            numbers = pc.if_else(numeric, pc.utf8_trim_whitespace(values), None).cast(pa.float64())
            return compare(numbers, float(self.value))
        try:
            return compare(values, pa.scalar(self.value).cast(values.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"where: the column {self.column} holds {values.type}, and {self.value!r} is none"
            ) from None


def pattern(text: str) -> str:
    """A regular expression (RE2) for a prefix, or for a pattern with ``*``, ``?`` or ``[...]`` of the whole key."""
    if not re.search(r"[*?\[]", text):
        return "(?s)^" + re.escape(text)
    expression = ""
    for piece in re.findall(r"\*+|\?|\[!?\]?[^\]]*\]|.", text, re.DOTALL):
        if piece[0] == "*":
            expression += ".*"
        elif piece == "?":
            expression += "."
        elif piece[0] == "[" and piece not in ("[", "[]", "[!]"):
            inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            expression += "[" + ("^" + inner[1:] if inner[0] == "!" else "\\" * (inner[0] == "^") + inner) + "]"
        else:
            expression += re.escape(piece)
    return f"(?s)^(?:{expression})$"


def _any(name: str, patterns: Sequence[str]) -> str:
    """A regular expression for what any of some patterns means."""
    for each in patterns:
        try:
            pc.match_substring_regex(pa.array([""]), pattern(each))
        except pa.ArrowInvalid as error:
            raise InputError(f"{name}: {each!r} is no pattern: {error}") from None
    return "|".join(f"(?:{pattern(each)})" for each in patterns)


class Tables:
    """The rows of a source, as batches of the columns that are wanted.

    Args:
        source: the inputs.
        key: the column of the keys; an inventory's is always Key.
        extra_columns: the other columns.
        all_columns: whether all columns are wanted.
        columns: the columns' names in CSV without a header; None to read them from its first row.
        include: prefixes or patterns, of which a key must match one, if there are any.
        exclude: prefixes or patterns, of which a key must match none.
        where: conditions on columns, which must all hold.
    """

    def __init__(
        self,
        source: Source,
        *,
        key: str = "key",
        extra_columns: Sequence[str] = (),
        all_columns: bool = False,
        columns: Sequence[str] | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        where: Sequence[Condition] = (),
    ) -> None:
        self.source = source
        self.key = key
        self.extra_columns = list(dict.fromkeys([*extra_columns, *(each.column for each in where)]))
        self.all_columns = all_columns
        self.columns = columns
        self.include = _any("include", include)
        self.exclude = _any("exclude", exclude)
        self.where = where

    def batches(self, at: Position = Position(), *, check: bool = True) -> Iterator[Batch]:  # noqa: B008
        """The rows from a place on; `check` is whether an inventory's data files must have the manifest's MD5.

        Raises:
            InputError: an input cannot be read, or lacks a column.
        """
        inputs = self.source.inputs
        checks = read_ahead((not check or _is_right(each) for each in inputs[at.input :]), 1)
        for index in range(at.input, len(inputs)):
            each = inputs[index]
            if not next(checks):
                raise InputError(f"{each.path} has another MD5 than the manifest's: it was altered; fetch it again")
            skip = at.row if index == at.input else 0
            key = _inventory_key(each) or self.key
            for first, table, faults in self._read(index, each, key, skip):
                if first + len(table) <= skip:
                    continue
                batch = Batch(
                    index,
                    each.name,
                    range(first + 1, first + len(table) + 1),
                    first + len(table),
                    table.column(key),
                    table,
                    faults,
                )
                if first < skip:
                    batch = batch.split(skip - first)[1]
                yield self._filter(batch)

    def rows(self) -> int | None:
        """How many rows there are, if manifests or files say so without being read."""
        if self.source.rows is not None or not all(
            each.form in ("parquet", "orc", "arrow") for each in self.source.inputs
        ):
            return self.source.rows
        total = 0
        for index, each in enumerate(self.source.inputs):
            if each.form == "arrow":
                return None
            with self.source.read(index) as (data, _), _arrow_errors(each):
                total += _parquet_file(data).metadata.num_rows if each.form == "parquet" else _orc_file(data).nrows
        self.source.position = 0
        return total

    # --- Reading: generators of (rows before, table, faults)

    def _read(
        self, index: int, each: Input, key: str, skip: int
    ) -> Iterator[tuple[int, pa.RecordBatch, dict[int, Fault]]]:
        with self.source.read(index) as (data, note), _arrow_errors(each):
            if each.form in ("txt", "csv", "jsonl"):
                read = {"txt": self._txt, "csv": self._csv, "jsonl": self._jsonl}[each.form]
                first = 0
                for table, faults in read(each, key, data, note):
                    yield first, table, faults
                    first += len(table)
            else:
                read_binary = {"parquet": self._parquet, "arrow": self._arrow, "orc": self._orc}[each.form]
                for first, table in read_binary(each, key, data, skip):
                    note()
                    yield first, table, {}

    def _txt(
        self, each: Input, key: str, data: IO[bytes], note: Callable[[], None]
    ) -> Iterator[tuple[pa.RecordBatch, dict[int, Fault]]]:
        self._names(each, [key], key)
        for block in whole_lines(data):
            note()
            keys = pa.chunked_array(Lines([block])).combine_chunks().cast(pa.binary())
            yield pa.record_batch([keys], [key]), {}

    def _csv(
        self, each: Input, key: str, data: IO[bytes], note: Callable[[], None]
    ) -> Iterator[tuple[pa.RecordBatch, dict[int, Fault]]]:
        names = each.fields or self.columns
        wanted_names: list[str] = []
        # No field of an inventory holds a line's end.
        blocks = whole_lines(data, _BYTES) if each.fields else _records(data, each.name)
        for block in read_ahead(_note_blocks(blocks, note), 2):
            if names is None:
                names, block = _header(block, each.name)
            if not block.strip(b"\r\n"):
                continue
            wanted_names = wanted_names or self._names(each, names, key)
            faults: dict[int, Fault] = {}
            try:
                table = pyarrow.csv.read_csv(
                    pa.BufferReader(block),
                    pyarrow.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
                    pyarrow.csv.ParseOptions(newlines_in_values=True),
                    pyarrow.csv.ConvertOptions(
                        column_types={name: pa.binary() if name == key else pa.string() for name in wanted_names},
                        include_columns=wanted_names,
                        strings_can_be_null=False,
                    ),
                )
                rows = table.combine_chunks().to_batches()[0]
            except pa.ArrowInvalid:  # some row is bad: read them one by one
                rows, faults = _csv_rows(block, each, names, wanted_names, key)
            if each.fields:
                rows = rows.set_column(rows.schema.get_field_index(key), key, decoded_keys(rows.column(key)))
            for place in range(0, len(rows), _ROWS):
                slice_faults = {row - place: fault for row, fault in faults.items() if place <= row < place + _ROWS}
                yield rows[place : place + _ROWS], slice_faults

    def _jsonl(
        self, each: Input, key: str, data: IO[bytes], note: Callable[[], None]
    ) -> Iterator[tuple[pa.RecordBatch, dict[int, Fault]]]:
        schema: pa.Schema | None = None
        blocks = read_ahead(_note_blocks(whole_lines(data, _BYTES), note), 4)
        start = next(blocks, b"")
        if len(start) < _BYTES // 2:
            start += next(blocks, b"")  # the last line, which may have no end
        for block in itertools.chain([start] if start else [], blocks):
            if schema is None:
                schema = self._json_schema(each, key, block)
            try:
                table = pyarrow.json.read_json(
                    pa.BufferReader(block),
                    pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                    pyarrow.json.ParseOptions(
                        explicit_schema=schema,
                        unexpected_field_behavior="error" if self.all_columns else "ignore",
                    ),
                )
                table = table.combine_chunks().to_batches()[0].select(schema.names)
                if table.column(key).null_count:
                    raise pa.ArrowInvalid("a row has no key")
                yield table, {}
            except (pa.ArrowInvalid, IndexError):  # some row is bad: read them one by one
                yield _json_rows(block, schema, key, self.all_columns)

    def _json_schema(self, each: Input, key: str, block: bytes) -> pa.Schema:
        """The wanted columns' types, as the first rows have them."""
        schema = pa.schema([(key, pa.string())])
        if not self.extra_columns and not self.all_columns:
            return schema
        for text in (block, *block.split(b"\n")[:100]):  # all of them, or the first that can be read
            with contextlib.suppress(pa.ArrowInvalid):
                schema = pyarrow.json.read_json(
                    pa.BufferReader(text),
                    pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                    pyarrow.json.ParseOptions(explicit_schema=schema),
                ).schema
                break
        wanted_names = self._names(each, schema.names, key)
        return pa.schema([(name, _json_type(schema.field(name).type)) for name in wanted_names])

    def _parquet(self, each: Input, key: str, data: IO[bytes], skip: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        file = _parquet_file(data)
        wanted_names = self._typed_names(each, file.schema_arrow, key)
        first = 0
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if first + rows > skip:
                place = first
                for batch in file.iter_batches(_ROWS, [group], wanted_names, use_threads=False):
                    yield place, _select_columns(batch, wanted_names)
                    place += len(batch)
            first += rows

    def _orc(self, each: Input, key: str, data: IO[bytes], skip: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        file = _orc_file(data)
        wanted_names = self._typed_names(each, file.schema, key)
        first = 0
        for stripe in range(file.nstripes):
            batch = file.read_stripe(stripe, [name.split(".")[0] for name in wanted_names])
            for start in range(0, len(batch), _ROWS):
                yield first + start, _select_columns(batch[start : start + _ROWS], wanted_names)
            first += len(batch)

    def _arrow(self, each: Input, key: str, data: IO[bytes], skip: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        batches: Iterator[pa.RecordBatch]
        start = data.read(6)
        if start == b"ARROW1":
            _check_seekable(data, "an Arrow file")
            schema = pa.ipc.open_file(data).schema
            top_names = {
                name.split(".")[0] if name not in schema.names else name
                for name in self._typed_names(each, schema, key)
            }
            places = [place for place, name in enumerate(schema.names) if name in top_names]
            file = pa.ipc.open_file(data, options=pa.ipc.IpcReadOptions(included_fields=places))
            schema, batches = file.schema, (file.get_batch(index) for index in range(file.num_record_batches))
        else:
            stream = pa.ipc.open_stream(pa.PythonFile(_JoinedStream(start, data), "r"))
            schema, batches = stream.schema, iter(stream)
        wanted_names = self._typed_names(each, schema, key)
        first = 0
        for batch in batches:
            for place in range(0, len(batch), _ROWS):
                yield first + place, _select_columns(batch[place : place + _ROWS], wanted_names)
            first += len(batch)

    def _names(self, each: Input, names: Sequence[str], key: str) -> list[str]:
        """The columns to read, the keys' first; all of them in the input's order, if all are wanted."""
        wanted_names = list(names) if self.all_columns else []
        wanted_names += [name for name in dict.fromkeys([key, *self.extra_columns]) if name not in wanted_names]
        for name in wanted_names:
            if list(names).count(name) > 1:
                raise InputError(f"{each.name} has the column {name!r} more than once: name them with `columns`")
            if name not in names:
                if each.form == "txt":
                    raise InputError(f"{each.name}: a text file has no columns, so no {name}: take CSV or JSON lines")
                how = "name one with `key_column`" if name == key else "choose one of those"
                raise InputError(f"{each.name} has no column {name!r}, only {', '.join(names)}: {how}")
        return wanted_names

    def _typed_names(self, each: Input, schema: pa.Schema, key: str) -> list[str]:
        """As `_names`, of columns with types; ``meta.key`` is the field of a struct."""
        fields = _fields(schema)
        inner_names = [name for name in (key, *self.extra_columns) if name in fields and name not in schema.names]
        wanted_names = self._names(each, [*schema.names, *dict.fromkeys(inner_names)], key)
        kind = fields[key]
        if not is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            subfields = [name for name in fields if name.startswith(f"{key}.")] if pa.types.is_struct(kind) else []
            how = f"one of its fields, such as {subfields[0]}," if subfields else "a column of strings"
            raise InputError(f"{each.name}: the column {key!r} holds {kind}, not keys: name {how} with `key_column`")
        return wanted_names

    # --- Choosing

    def _filter(self, batch: Batch) -> Batch:
        """The rows that are wanted, and those that could not be read."""
        masks = [condition.holds(batch.table.column(condition.column)) for condition in self.where]
        if self.include or self.exclude:
            keys = as_strings(batch.keys)  # whose characters, not bytes, a pattern means
            if self.include:
                masks.append(pc.match_substring_regex(keys, self.include))
            if self.exclude:
                masks.append(pc.invert(pc.match_substring_regex(keys, self.exclude)))
        if not masks:
            return batch
        mask = pc.fill_null(masks[0], False)
        for other in masks[1:]:
            mask = pc.and_(mask, pc.fill_null(other, False))
        if batch.faults:
            bad = pa.array([place in batch.faults for place in range(len(batch.keys))], pa.bool_())
            mask = pc.or_(mask, bad)
        places = pc.indices_nonzero(mask)
        if len(places) == len(batch.keys):
            return batch
        kept_places = places.to_pylist()
        new_places = (
            {place: new for new, place in enumerate(kept_places) if place in batch.faults} if batch.faults else {}
        )
        return batch._replace(
            numbers=[batch.numbers[place] for place in kept_places],
            keys=batch.keys.take(places),
            table=batch.table.take(places),
            faults={new_places[place]: fault for place, fault in batch.faults.items()},
        )


def as_bytes(values: pa.Array) -> pa.Array:
    """Texts as Arrow bytes: what calls itself strings may hold some that are no UTF-8, which Python cannot take."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(pa.binary())


def as_strings(values: pa.Array) -> pa.Array:
    """Texts as Arrow strings; bytes that are no UTF-8 become U+FFFD."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_binary_view(values.type):
        values = values.cast(pa.binary())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values
    try:
        return values.cast(pa.large_string() if pa.types.is_large_binary(values.type) else pa.string())
    except pa.ArrowInvalid:
        return pa.array(
            [None if each is None else each.decode("utf-8", "replace") for each in values.to_pylist()], pa.string()
        )


def _fields(fields: Iterable[pa.Field], before: str = "") -> dict[str, pa.DataType]:
    """The types of columns, and of the fields of those that are structs."""
    types = {}
    for field in fields:
        types[before + field.name] = field.type
        if pa.types.is_struct(field.type):
            types.update(_fields(field.type, f"{before}{field.name}."))
    return types


def _select_columns(batch: pa.RecordBatch, wanted_names: Sequence[str]) -> pa.RecordBatch:
    """The wanted columns, those of structs taken out of them."""
    columns = []
    for name in wanted_names:
        top, *inner = [name] if name in batch.schema.names else name.split(".")
        columns.append(pc.struct_field(batch.column(top), inner) if inner else batch.column(top))
    return pa.record_batch(columns, list(wanted_names))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are strings or bytes, of any size and layout."""
    return any(
        check(kind)
        for check in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
        )
    )


def _is_right(each: Input) -> bool:
    """Whether an inventory's data file is the one that its manifest means."""
    with read_errors(each.name):
        return each.md5 is None or has_md5(each.path, each.md5)


def _inventory_key(each: Input) -> str | None:
    """The column of an inventory's keys: Key in its CSV, key elsewhere."""
    return ("Key" if each.fields else "key") if each.inventory else None


def _note_blocks(blocks: Iterator[bytes], note: Callable[[], None]) -> Iterator[bytes]:
    for block in blocks:
        note()
        yield block


@contextlib.contextmanager
def _arrow_errors(each: Input) -> Iterator[None]:
    """Turn what pyarrow raises into an InputError with the file's name."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last one: of a column's name
        if isinstance(error, gzip.BadGzipFile) or getattr(error, "errno", None) is not None:
            raise  # `read_errors` knows these
        names = {"parquet": "Parquet", "arrow": "Arrow IPC", "orc": "ORC", "csv": "CSV", "jsonl": "JSON lines"}
        form = names.get(each.form, "text")
        raise InputError(f"{each.name} is not {form} that can be read: {error}: fetch it again") from None


class _JoinedStream(io.RawIOBase):
    """What was read of a stream already, and what follows it."""

    def __init__(self, start: bytes, data: IO[bytes]) -> None:
        self._start = start
        self._data = data

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start, self._start = self._start[:size] if size >= 0 else self._start, self._start[size:] if size >= 0 else b""
        return start + self._data.read(size - len(start) if size >= 0 else -1)


def _parquet_file(data: IO[bytes]) -> Any:
    import pyarrow.parquet

    _check_seekable(data, "Parquet")
    return pyarrow.parquet.ParquetFile(data, pre_buffer=False)


def _orc_file(data: IO[bytes]) -> Any:
    import pyarrow.orc

    _check_seekable(data, "ORC")
    return pyarrow.orc.ORCFile(data)


def _check_seekable(data: IO[bytes], form: str) -> None:
    if not data.seekable():
        raise InputError(f"{form} cannot be read from a pipe, or packed by zstd: give the file itself")


def decoded_keys(keys: pa.Array) -> pa.Array:
    """URL-encoded keys, as bytes, decoded."""
    if keys.null_count:
        keys = pa.concat_arrays([keys])  # without an offset
    validity, offsets, data = keys.buffers()
    places = memoryview(offsets)[4 * keys.offset : 4 * (keys.offset + len(keys) + 1)]
    text, new_offsets = decode_column(data if data is not None else b"", places)
    return pa.Array.from_buffers(
        pa.binary(), len(keys), [validity if keys.null_count else None, pa.py_buffer(new_offsets), pa.py_buffer(text)]
    )


# --- CSV --------------------------------------------------------------------------------------------------------------


def _records(data: IO[bytes], name: str) -> Iterator[bytes]:
    """CSV in blocks of whole rows, without a byte order mark."""
    rest = b""
    size = _BYTES
    start = True
    while block := data.read(size):
        if start:
            block = block.removeprefix(b"\xef\xbb\xbf")
            start = False
        rest += block
        end = records_end(rest)
        if end == 0:
            if len(rest) > _LONGEST_ROW:
                raise InputError(
                    f"{name} is not CSV: a row is longer than {_LONGEST_ROW >> 20} MiB: is a quote not closed?"
                )
            size = len(rest)  # so that a long row is looked at a few times only
            continue
        size = _BYTES
        yield rest[:end]
        rest = rest[end:]
    if rest:
        yield rest


def _header(block: bytes, name: str) -> tuple[list[str], bytes]:
    """The names in the first row, and the rows after it."""
    text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
    try:
        names = next((row for row in csv.reader(text) if row), None)
    except csv.Error as error:
        raise InputError(f"{name} is not CSV: {error}") from None
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
        for row in csv.reader(io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")):
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


# --- JSON lines -------------------------------------------------------------------------------------------------------


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
        try:
            values.append(pa.scalar(row.get(field.name), field.type).as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            what = "is not valid UTF-8" if field.name == key else f"is no {field.type}, as it is in the first rows"
            return nulls, f"{field.name} {what}"
    return values, None

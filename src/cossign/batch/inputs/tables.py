"""Rows with columns of every format, as batches of Arrow columns, filtered."""

from __future__ import annotations

import bisect
import contextlib
import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

import pyarrow as pa

from cossign._arrow import Lines
from cossign.batch import compute as pc
from cossign.batch._rows import text_counts
from cossign.batch.columns import as_bytes, as_strings, buffers_of
from cossign.batch.errors import InputError
from cossign.batch.inputs import arrow, csv, jsonl, listing, orc, parquet
from cossign.batch.inputs.addresses import Addresses
from cossign.batch.inputs.choice import ColumnChoice, Fault, Reading, ReadRows
from cossign.batch.inputs.filters import Condition, any_pattern
from cossign.batch.inputs.inventory import has_md5
from cossign.batch.inputs.source import Input, Note, Position, Source, open_input, read_errors
from cossign.batch.inputs.txt import check_list, whole_lines
from cossign.batch.inputs.versions import Versions
from cossign.batch.threads import read_ahead
from cossign.storage import Address


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
        read: how many rows were read for it.
        counts: what else was counted, as in `Report.counts`.
        last: of a bucket's list, the last key that was read.
    """

    input: int
    name: str
    numbers: Sequence[int]
    end: int
    keys: pa.Array
    table: pa.RecordBatch
    faults: Mapping[int, Fault]
    read: int
    counts: Mapping[str, int]
    last: str = ""

    def split(self, rows: int) -> tuple[Batch, Batch]:
        """The first rows with all that was counted, and the others; a resumed job counts in the same way.

        Of a bucket's list, the first ones end at the last of their keys: a resumed job lists what comes after it.
        """
        read = self.numbers[rows - 1] - (self.end - self.read) if self.last and rows else self.read
        return (
            self._replace(
                numbers=self.numbers[:rows],
                end=self.numbers[rows - 1] if rows else self.end,
                keys=self.keys[:rows],
                table=self.table[:rows],
                faults={place: each for place, each in self.faults.items() if place < rows},
                read=read,
                last=self._place(rows - 1) if self.last and rows else self.last,
            ),
            self._replace(
                numbers=self.numbers[rows:],
                keys=self.keys[rows:],
                table=self.table[rows:],
                faults={place - rows: each for place, each in self.faults.items() if place >= rows},
                read=self.read - read,
                counts={},
            ),
        )

    def joined_by(self, other: Batch) -> Batch:
        """These rows of a bucket's list, and those that come after them."""
        table = pa.Table.from_batches([self.table, other.table]).combine_chunks()
        return self._replace(
            numbers=[*self.numbers, *other.numbers],
            end=other.end,
            keys=pa.concat_arrays([self.keys, other.keys]),
            table=pa.record_batch([each.combine_chunks() for each in table.columns], table.schema.names),
            read=self.read + other.read,
            counts=Counter(self.counts) + Counter(other.counts),
            last=other.last,
        )

    def compact(self) -> Batch:
        """The same rows in memory of their own: Arrow's files have some of what lies behind a slice."""
        places = pa.array(range(len(self.keys)), pa.int64())
        columns = [each.take(places) for each in self.table.columns]
        table = pa.record_batch(columns, self.table.schema.names)
        return self._replace(keys=self.keys.take(places), table=table)

    def _place(self, row: int) -> str:
        """Where a bucket's list continues after a row."""
        has_versions = "\0" in self.last
        return listing.place(str(self.keys[row]), str(self.table.column("VersionId")[row]) if has_versions else None)


class Tables:
    """The rows of a source, as batches of the columns that are wanted.

    Args:
        source: the inputs.
        choice: the columns; an inventory's key is always Key.
        include: prefixes or patterns. If there are any, a key must match one.
        exclude: prefixes or patterns. A key must not match any.
        where: conditions on columns, which must all hold.
        latest: whether old versions and delete markers are left out.
        addresses: takes addresses in the place of keys apart; None to take keys as they are.
    """

    def __init__(
        self,
        source: Source,
        choice: ColumnChoice = ColumnChoice("key"),  # noqa: B008
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        where: Sequence[Condition] = (),
        latest: bool = False,
        addresses: Addresses | None = None,
    ) -> None:
        self.source = source
        self.choice = choice._replace(others=list(dict.fromkeys([*choice.others, *(each.column for each in where)])))
        self._include = include
        self.include = any_pattern("include", include)
        self.exclude = any_pattern("exclude", exclude)
        self.where = where
        self.latest = latest
        self.addresses = addresses

    def batches(self, at: Position = Position(), *, check: bool = True) -> Iterator[Batch]:  # noqa: B008
        """The rows from a place on; `check` is whether an inventory's data files must have the manifest's MD5.

        Raises:
            InputError: an input cannot be read, or lacks a column.
        """
        inputs = self.source.inputs
        checks = read_ahead((not check or _is_right(each) for each in inputs[at.input :]), 1)
        with contextlib.closing(checks):
            yield from self._batches(at, checks)

    def _batches(self, at: Position, checks: Iterator[bool]) -> Iterator[Batch]:
        inputs, until = self.source.inputs, self.source.until
        for index in range(at.input, len(inputs) if until is None else until.input + 1):
            each = inputs[index]
            if not next(checks):
                raise InputError(f"{each.path} has another MD5 than the manifest's: it was altered; fetch it again")
            skip = at.row if index == at.input else 0
            choice = self.choice
            if each.inventory:
                choice = choice._replace(key=_inventory_key(each), versions=True)
            elif self.latest:
                choice = choice._replace(versions=True)
            if each.form == "versions":
                choice = choice._replace(others=[*choice.others, "VersionId"])
            for rows in self._read(index, each, choice, skip, at.key if index == at.input else ""):
                end = rows.first + len(rows.table) if rows.end is None else rows.end
                if skip and end <= skip:
                    continue
                batch = Batch(
                    index,
                    each.name,
                    range(rows.first + 1, end + 1) if rows.numbers is None else rows.numbers,
                    end,
                    rows.table.column(choice.key),
                    rows.table,
                    rows.faults,
                    len(rows.table),
                    rows.counts,
                    _last_place(each, rows.table) if each.form in listing.LISTS else "",
                )
                with _arrow_errors(each):
                    batch = self._choose(self._prepare(batch, each), each)
                if rows.first < skip:
                    batch = batch.split(bisect.bisect_right(batch.numbers, skip))[1]
                yield batch

    def rows(self) -> int | None:
        """How many rows there are, by the manifests or the files' footers; None if they do not tell."""
        if self.source.rows is not None or not all(
            each.form in ("parquet", "orc", "arrow") for each in self.source.inputs
        ):
            return self.source.rows
        total = 0
        for index, each in enumerate(self.source.inputs):
            if each.form == "arrow":
                return None
            with self.source.read(index) as (data, _), _arrow_errors(each):
                total += parquet.row_count(data) if each.form == "parquet" else orc.row_count(data)
        self.source.position = 0
        return total

    def _read(self, index: int, each: Input, choice: ColumnChoice, skip: int, after: str) -> Reading:
        if each.form in listing.LISTS:
            prefix = listing.list_prefix(Address.parse(each.path).key, self._include)
            until = self.source.until
            last = until.key if until is not None and until.input == index else ""
            yield from listing.read(each, choice, prefix, Position(index, skip, after), last)
            return
        with self.source.read(index) as (data, note), _arrow_errors(each):
            yield from READERS[each.form](data, note, each, choice, skip)

    # --- Choosing

    def _prepare(self, batch: Batch, each: Input) -> Batch:
        """A batch with keys in the place of addresses, and what is odd about them counted."""
        if each.inventory:
            return batch
        keys = as_bytes(batch.keys)
        blank_ends, inner_crs, addresses = text_counts(*buffers_of(keys))
        counts = {**batch.counts, "blank_ends": blank_ends, "inner_crs": inner_crs}
        if addresses and self.addresses is not None:
            keys = pa.array(self.addresses.keys(keys.to_pylist(), batch.name, batch.numbers), pa.binary())
            return batch._replace(keys=keys, counts=counts)
        return batch._replace(counts=counts)

    def _choose(self, batch: Batch, each: Input) -> Batch:
        """The rows that are wanted, and those that could not be read."""
        masks = [condition.holds(batch.table.column(condition.column)) for condition in self.where]
        if self.include or self.exclude:
            keys = as_strings(batch.keys)  # whose characters, not bytes, a pattern means
            if self.include:
                masks.append(pc.match_substring_regex(keys, self.include))
            if self.exclude:
                masks.append(pc.invert(pc.match_substring_regex(keys, self.exclude)))
        batch = _with_rows(batch, masks)
        if not each.inventory and not self.latest:
            return batch
        return self._choose_versions(batch, each)

    def _choose_versions(self, batch: Batch, each: Input) -> Batch:
        """Count old versions and delete markers, and leave them out if only the latest are wanted."""
        versions = Versions.read(batch.table, batch.name, batch.numbers, batch.faults)
        if self.latest and versions.old is None and not each.inventory:
            raise InputError(f"{each.name} has no column IsLatest, by which `latest` knows the newest versions")
        batch = batch._replace(counts={**batch.counts, **versions.counts})
        newest = versions.newest if self.latest else None
        return batch if newest is None else _with_rows(batch, [newest])


def _with_rows(batch: Batch, masks: Sequence[Any]) -> Batch:
    """The rows of a batch for which all masks hold, and those that could not be read."""
    if not masks:
        return batch
    mask = masks[0]
    for other in masks[1:]:
        mask = pc.and_(mask, other)
    if batch.faults:
        bits = bytearray(len(batch.keys) // 8 + 1)
        for place in batch.faults:
            bits[place >> 3] |= 1 << (place & 7)
        mask = pc.or_kleene(mask, pa.Array.from_buffers(pa.bool_(), len(batch.keys), [None, pa.py_buffer(bits)]))
    places = pc.indices_nonzero(mask)  # a null is not
    if len(places) == len(batch.keys):
        return batch
    kept_places = places.to_pylist()
    new_places = {place: new for new, place in enumerate(kept_places) if place in batch.faults} if batch.faults else {}
    return batch._replace(
        numbers=[batch.numbers[place] for place in kept_places],
        keys=batch.keys.take(places),
        table=pa.record_batch(
            [_take(batch, name, places) for name in batch.table.schema.names], batch.table.schema.names
        ),
        faults={new_places[place]: fault for place, fault in batch.faults.items()},
    )


def _txt(data: IO[bytes], note: Note, each: Input, choice: ColumnChoice, skip: int) -> Reading:
    """Lines as a column of keys."""
    key = choice.key
    choice.names(each, [key])
    first = 0
    for block in whole_lines(data):
        if first == 0:
            check_list(block, each.name, key, each.is_certain)
        note()
        lines = Lines([block])
        keys = pa.chunked_array(lines).combine_chunks().cast(pa.binary())
        numbers = None
        if lines.rows != lines.lines:
            texts = enumerate(block.split(b"\n"), first + 1)
            numbers = [number for number, text in texts if text not in (b"", b"\r")]
        counts = {"empty_lines": lines.lines - lines.rows}
        yield ReadRows(first, pa.record_batch([keys], [key]), {}, numbers, first + lines.lines, counts)
        first += lines.lines


def _take(batch: Batch, name: str, places: pa.Array) -> pa.Array:
    """Some rows of a column."""
    column = batch.table.column(name)
    try:
        return column.take(places)
    except pa.ArrowNotImplementedError:
        raise InputError(
            f"{batch.name}: the column {name!r} holds {column.type}, and pyarrow cannot filter it: leave it out"
        ) from None


READERS: dict[str, Callable[[IO[bytes], Note, Input, ColumnChoice, int], Reading]] = {
    "txt": _txt, "csv": csv.read, "jsonl": jsonl.read, "parquet": parquet.read, "arrow": arrow.read, "orc": orc.read,
}  # fmt: skip


def _is_right(each: Input) -> bool:
    """Whether an inventory's data file is the one that its manifest means."""
    if each.md5 is None:
        return True
    is_right = _etag_is_right(each)
    if is_right is None:
        with read_errors(each.name), open_input(each) as data:
            is_right = has_md5(data, each.md5)
    return is_right


def _etag_is_right(each: Input) -> bool | None:
    """Whether an object is the one that a manifest means, by its ETag; None if that does not tell."""
    etag = (each.etag or "").strip('"').lower()
    return True if etag == (each.md5 or "").lower() else None


def _last_place(each: Input, table: pa.RecordBatch) -> str:
    """Where a bucket's list continues after some rows."""
    version_id = str(table.column("VersionId")[-1]) if each.form == "versions" else None
    return listing.place(str(table.column("Key")[-1]), version_id)


def _inventory_key(each: Input) -> str:
    """The column of an inventory's keys: Key in its CSV and in lists, key elsewhere."""
    return "Key" if each.fields or each.form in listing.LISTS else "key"


@contextlib.contextmanager
def _arrow_errors(each: Input) -> Iterator[None]:
    """Turn what pyarrow raises into an InputError with the file's name."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last one: of a column's name
        if isinstance(error, gzip.BadGzipFile) or getattr(error, "errno", None) is not None:
            raise  # `read_errors` knows these
        if isinstance(error, pa.ArrowNotImplementedError):
            raise InputError(f"{each.name} has a column that cannot be read: {error}") from None
        names = {"parquet": "Parquet", "arrow": "Arrow IPC", "orc": "ORC", "csv": "CSV", "jsonl": "JSON lines"}
        form = names.get(each.form, "text")
        raise InputError(f"{each.name} is not {form} that can be read: {error}: fetch it again") from None

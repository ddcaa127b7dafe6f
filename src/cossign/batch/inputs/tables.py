"""Rows with columns of every format, as batches of Arrow columns; and only those that are wanted."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cossign._arrow import Lines
from cossign.batch.columns import as_strings
from cossign.batch.errors import InputError
from cossign.batch.inputs import arrow, csv, jsonl, orc, parquet
from cossign.batch.inputs.filters import Condition, any_pattern
from cossign.batch.inputs.inventory import has_md5
from cossign.batch.inputs.source import Input, Position, Source, read_errors
from cossign.batch.inputs.txt import whole_lines
from cossign.batch.inputs.wanted import Fault, Reading, Wanted
from cossign.batch.threads import read_ahead


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


class Tables:
    """The rows of a source, as batches of the columns that are wanted.

    Args:
        source: the inputs.
        wanted: the columns; an inventory's key is always Key.
        include: prefixes or patterns, of which a key must match one, if there are any.
        exclude: prefixes or patterns, of which a key must match none.
        where: conditions on columns, which must all hold.
    """

    def __init__(
        self,
        source: Source,
        wanted: Wanted = Wanted("key"),  # noqa: B008
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        where: Sequence[Condition] = (),
    ) -> None:
        self.source = source
        self.wanted = wanted._replace(others=list(dict.fromkeys([*wanted.others, *(each.column for each in where)])))
        self.include = any_pattern("include", include)
        self.exclude = any_pattern("exclude", exclude)
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
            wanted = self.wanted._replace(key=_inventory_key(each) or self.wanted.key)
            for first, table, faults in self._read(index, each, wanted, skip):
                if first + len(table) <= skip:
                    continue
                batch = Batch(
                    index,
                    each.name,
                    range(first + 1, first + len(table) + 1),
                    first + len(table),
                    table.column(wanted.key),
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
                total += parquet.row_count(data) if each.form == "parquet" else orc.row_count(data)
        self.source.position = 0
        return total

    def _read(self, index: int, each: Input, wanted: Wanted, skip: int) -> Reading:
        with self.source.read(index) as (data, note), _arrow_errors(each):
            yield from READERS[each.form](data, note, each, wanted, skip)

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


def _txt(data: IO[bytes], note: Callable[[], None], each: Input, wanted: Wanted, skip: int) -> Reading:
    """Lines as a column of keys."""
    key = wanted.key
    wanted.names(each, [key])
    first = 0
    for block in whole_lines(data):
        note()
        keys = pa.chunked_array(Lines([block])).combine_chunks().cast(pa.binary())
        yield first, pa.record_batch([keys], [key]), {}
        first += len(keys)


READERS: dict[str, Callable[[IO[bytes], Callable[[], None], Input, Wanted, int], Reading]] = {
    "txt": _txt, "csv": csv.read, "jsonl": jsonl.read, "parquet": parquet.read, "arrow": arrow.read, "orc": orc.read,
}  # fmt: skip


def _is_right(each: Input) -> bool:
    """Whether an inventory's data file is the one that its manifest means."""
    with read_errors(each.name):
        return each.md5 is None or has_md5(each.path, each.md5)


def _inventory_key(each: Input) -> str | None:
    """The column of an inventory's keys: Key in its CSV, key elsewhere."""
    return ("Key" if each.fields else "key") if each.inventory else None


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

"""The columns that a job reads of an input, and the rows that could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from cossign.batch.columns import field_types, is_text
from cossign.batch.errors import InputError
from cossign.batch.inputs.source import Input

TABLE_ROWS = 1 << 15  # rows that are taken at a time,
TABLE_BYTES = 1 << 23  # unless fewer have so many bytes
VERSION_COLUMNS = ("islatest", "isdeletemarker")


class Fault(NamedTuple):
    """Why a row has no key, and the row's text, if it has one."""

    reason: str
    text: str | None


class ReadRows(NamedTuple):
    """Some rows, as a format's reader gives them.

    Attributes:
        first: how many rows of the input are before them.
        table: the wanted columns.
        faults: by their place in the table, the rows that could not be read; their columns are null.
        numbers: each row's number in the input, from 1; None if they follow each other.
        end: how many rows of the input are before the next ones; None if as many as the table has follow `first`.
        counts: what else was counted, as in `Report.counts`.
    """

    first: int
    table: pa.RecordBatch
    faults: Mapping[int, Fault] = MappingProxyType({})
    numbers: Sequence[int] | None = None
    end: int | None = None
    counts: Mapping[str, int] = MappingProxyType({})


Reading: TypeAlias = Iterator[ReadRows]


def plain_name(name: str) -> str:
    """A column's name without what differs between reports: IsLatest and is_latest are one."""
    return name.lower().replace("_", "")


class ColumnChoice(NamedTuple):
    """The columns that are wanted of an input.

    Attributes:
        key: the column of the keys.
        others: the other columns.
        all: whether all columns are wanted.
        header: the columns' names in CSV without a header; None to read them from its first row.
        versions: whether the columns that tell old versions and delete markers are wanted, if they are there.
    """

    key: str
    others: Sequence[str] = ()
    all: bool = False
    header: Sequence[str] | None = None
    versions: bool = False

    def names(self, each: Input, names: Sequence[str]) -> list[str]:
        """The columns to read, the keys' first; all of them in the input's order, if all are wanted."""
        wanted_names = list(names) if self.all else []
        more = [name for name in names if self.versions and plain_name(name) in VERSION_COLUMNS]
        wanted_names += [name for name in dict.fromkeys([self.key, *self.others, *more]) if name not in wanted_names]
        for name in wanted_names:
            if list(names).count(name) > 1:
                raise InputError(f"{each.name} has the column {name!r} more than once: name them with `columns`")
            if name not in names:
                if each.form == "txt":
                    raise InputError(f"{each.name}: a text file has no columns, so no {name}: take CSV or JSON lines")
                how = "name one with `key_column`" if name == self.key else "choose one of those"
                raise InputError(f"{each.name} has no column {name!r}, only {', '.join(names)}: {how}")
        return wanted_names

    def typed_names(self, each: Input, schema: Any) -> list[str]:
        """As `names`, of columns with types; ``meta.key`` is the field of a struct."""
        key = self.key
        fields = field_types(schema)
        inner_names = [name for name in (key, *self.others) if name in fields and name not in schema.names]
        wanted_names = self.names(each, [*schema.names, *dict.fromkeys(inner_names)])
        kind = fields[key]
        if not is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            subfields = [name for name in fields if name.startswith(f"{key}.")] if pa.types.is_struct(kind) else []
            how = f"one of its fields, such as {subfields[0]}," if subfields else "a column of strings"
            raise InputError(f"{each.name}: the column {key!r} holds {kind}, not keys: name {how} with `key_column`")
        return wanted_names

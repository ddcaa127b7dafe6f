"""Old versions and delete markers, which a report of all versions also lists."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from cossign.batch import compute as pc
from cossign.batch.columns import as_strings, dictionary_values, is_text
from cossign.batch.errors import InputError
from cossign.batch.inputs.choice import VERSION_COLUMNS, plain_name


class Versions(NamedTuple):
    """What a batch says of its rows.

    Attributes:
        old: which rows are old versions; None if there are none.
        markers: which rows are delete markers; None if there are none.
    """

    old: Any
    markers: Any

    @classmethod
    def read(cls, table: pa.RecordBatch, name: str, numbers: Sequence[int], faults: Container[int] = ()) -> Versions:
        """Read the columns IsLatest and IsDeleteMarker, as far as they are there.

        Args:
            table: the rows.
            name: the input's name.
            numbers: each row's number in it.
            faults: the places of rows that could not be read, which are neither.

        Raises:
            InputError: a row has another value than true and false.
        """
        columns = {plain_name(each): each for each in table.schema.names if plain_name(each) in VERSION_COLUMNS}
        masks = []
        for each, value in zip(VERSION_COLUMNS, (True, False), strict=True):
            mask = None
            if each in columns:
                values = table.column(columns[each])
                mask = _truths(values, columns[each], name)
                for row in pc.indices_nonzero(pc.is_null(mask)).to_pylist():
                    if row not in faults:
                        text = f"{columns[each]} is {values[row].as_py()!r}, neither true nor false"
                        raise InputError(f"{name}, row {numbers[row]}: {text}")
                mask = pc.or_kleene(pc.is_null(mask), mask) if value else pc.and_kleene(pc.is_valid(mask), mask)
            masks.append(mask)
        latest, marker = masks
        old = None if latest is None else pc.invert(latest)
        if old is not None and marker is not None:
            old = pc.and_(old, pc.invert(marker))
        return cls(old, marker)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each."""
        masks = {"old_versions": self.old, "delete_markers": self.markers}
        return {name: pc.sum(mask).as_py() or 0 for name, mask in masks.items() if mask is not None}

    @property
    def newest(self) -> Any:
        """Which rows are objects as they are now; None if all are."""
        masks = [mask for mask in (self.old, self.markers) if mask is not None]
        if not masks:
            return None
        return pc.invert(masks[0] if len(masks) == 1 else pc.or_(*masks))


def _truths(values: pa.Array, column: str, name: str) -> pa.Array:
    """A column of true and false, which reports write as ``True``, ``true`` or a Boolean; null for anything else."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not is_text(kind) and not pa.types.is_boolean(kind):
        raise InputError(f"{name}: the column {column} holds {values.type}, not true and false")
    if kind != values.type:
        values = dictionary_values(values)
    if pa.types.is_boolean(kind):
        return values
    # Without a scalar of Python, for which pyarrow would import pandas, if it is there.
    is_true, is_false = (
        pc.match_substring_regex(as_strings(values), f"^{text}$", ignore_case=True) for text in ("true", "false")
    )
    return pc.if_else(pc.or_(is_true, is_false), is_true, pa.nulls(len(values), pa.bool_()))

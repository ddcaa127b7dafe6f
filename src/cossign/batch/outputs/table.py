"""The common part of all sinks of rows with columns."""

from __future__ import annotations

import io
from typing import IO

import pyarrow as pa

from cossign.batch.columns import as_strings
from cossign.batch.errors import InputError
from cossign.errors import CosSignError

# What pyarrow and Python raise for a value that has no form in a format.
_CANNOT_HOLD = (pa.ArrowException, KeyError, NotImplementedError, OverflowError, TypeError, ValueError)


class Sink:
    """What the sinks of all formats with columns have in common: the first rows decide on the columns."""

    def __init__(self, data: IO[bytes], columns: list[str]) -> None:
        self._data = data
        self._columns = columns
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.RecordBatch] = []  # rows that were put, and are not written yet

    def write(self, rows: pa.RecordBatch) -> None:
        """Write some rows.

        Raises:
            InputError: the format cannot hold a column, or its type changes.
        """
        try:
            self._write(rows)
        except CosSignError:
            raise
        except _CANNOT_HOLD as error:
            raise self._refusal([*self._waiting, rows], error) from None

    def close(self) -> None:
        """Write what is left.

        Raises:
            InputError: the format cannot hold a column.
        """
        try:
            self._close()
        except _CANNOT_HOLD as error:
            raise self._refusal(self._waiting, error) from None

    def _refusal(self, batches: list[pa.RecordBatch], error: Exception) -> InputError:
        """The error that names which column of some rows the format cannot hold."""
        form = type(self).__module__.rpartition(".")[2]
        for name in batches[0].schema.names if batches else ():
            sink = type(self)(io.BytesIO(), self._columns)
            try:
                for rows in batches:
                    sink._write(rows.select([name]))
                sink._close()
            except _CANNOT_HOLD as reason:
                kind = batches[0].schema.field(name).type
                return InputError(f"the column {name!r} holds {kind}, which {form} cannot hold here ({reason})")
        return InputError(f"the rows cannot be written as {form}: {error}")

    def _write(self, rows: pa.RecordBatch) -> None:
        rows = self.prepare(rows)
        if self._schema is None:
            self._schema = rows.schema
            self.begin(rows.schema)
        if rows.schema != self._schema:
            try:
                rows = rows.cast(self._schema)
            except (pa.ArrowException, ValueError) as error:
                raise InputError(
                    f"the inputs' columns differ, and the output can have one kind only: {error}"
                ) from None
        self.put(rows)

    def _close(self) -> None:
        if self._schema is None:
            self._schema = pa.schema([(name, pa.string()) for name in self._columns])
            self.begin(self._schema)
        self.end()

    def prepare(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Rows as this writer can write them, with the keys as strings. A bad key may hold bytes that are not UTF-8."""
        columns = []
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            if pa.types.is_binary_view(column.type):
                column = column.cast(pa.binary())
            needs_text = name == self._columns[0] or pa.types.is_string_view(column.type)
            columns.append(as_strings(column) if needs_text else column)
        return pa.record_batch(columns, rows.schema.names)

    def begin(self, schema: pa.Schema) -> None:
        pass

    def put(self, rows: pa.RecordBatch) -> None:
        raise NotImplementedError

    def end(self) -> None:
        pass

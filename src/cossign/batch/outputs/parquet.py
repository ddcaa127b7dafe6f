"""Parquet: a sink of row groups, packed by zstd."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet

from cossign.batch.outputs.table import Sink

# A row group ends as soon as it has one of these.
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 1 << 25
# A page, unpacked. Memory for pages of 1 MiB, as pyarrow has them, is given back to the system after each, and zeroed
# before the next: a job takes 7 % longer.
_PAGE_BYTES = 1 << 19
_BATCH_ROWS = 4096  # that its encoder takes at a time: with 1,024, as pyarrow has it, writing takes 6 % longer


class TableSink(Sink):
    """Row groups of 65,536 rows or 32 MiB, pages packed by zstd's level 1.

    A reader works on row groups, so they must not be as small as the chunks in which URLs arrive.

    URLs share their beginnings and ends. Measured over 500,000 rows of a key and its URL (362 bytes unpacked):
    plain and zstd 1: 24.7 bytes a row, 3.4 million rows a second; DELTA_BYTE_ARRAY and zstd 1: 22.3 bytes, 2.7 million;
    plain and snappy, pyarrow's default: 62.3 bytes, 4.1 million. What is read back fastest is the first.
    """

    def prepare(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Parquet has no seconds: pyarrow writes milliseconds, and its older versions do not notice an overflow."""
        rows = super().prepare(rows)
        columns = [
            column.cast(pa.timestamp("ms", column.type.tz))
            if pa.types.is_timestamp(column.type) and column.type.unit == "s"
            else column
            for column in rows.columns
        ]
        return pa.record_batch(columns, rows.schema.names)

    def begin(self, schema: pa.Schema) -> None:
        # No two URLs, and hardly two keys, are the same: a dictionary of them would be given up later.
        flat_names = [field.name for field in schema if not pa.types.is_nested(field.type)]
        self._writer = pyarrow.parquet.ParquetWriter(
            pa.PythonFile(self._data, "w"),
            schema,
            compression="zstd",
            compression_level=1,
            data_page_size=_PAGE_BYTES,
            write_batch_size=_BATCH_ROWS,
            use_dictionary=[name for name in flat_names if name not in self._columns],
            write_statistics=flat_names[:-1],
        )
        self._waiting_rows = self._waiting_bytes = 0

    def put(self, rows: pa.RecordBatch) -> None:
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_rows >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
            self._write_group()

    def end(self) -> None:
        if self._waiting:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting), self._waiting_rows)
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0

"""Arrow IPC files: a sink of record batches."""

from __future__ import annotations

import pyarrow as pa

from cossign.batch.outputs.table import Sink


class TableSink(Sink):
    """The Arrow IPC file format, which is also Feather's second version."""

    def begin(self, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(pa.PythonFile(self._data, "w"), schema)

    def put(self, rows: pa.RecordBatch) -> None:
        self._writer.write_batch(rows)

    def end(self) -> None:
        self._writer.close()

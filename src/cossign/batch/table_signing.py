"""Signing batches of Arrow columns. One thread reads ahead, and another one writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from cossign._arrow import Memory, SignedColumn
from cossign.batch import compute as pc
from cossign.batch.columns import as_bytes
from cossign.batch.inputs.addresses import Addresses
from cossign.batch.inputs.choice import ColumnChoice
from cossign.batch.inputs.filters import Condition
from cossign.batch.inputs.source import Position, Source
from cossign.batch.inputs.tables import Batch, Tables
from cossign.batch.job import Job
from cossign.batch.outputs.bad_rows import BadRow
from cossign.batch.signing import CORES, Piece, RowSigner
from cossign.batch.threads import read_ahead
from cossign.batch.warnings import Keys
from cossign.bulk import Chunks
from cossign.errors import ParameterError

# Of URLs that become a column: the larger a chunk, the less time is spent between chunks.
_CHUNK = 1 << 22  # bytes
_IDLE = 1 << 25
_LIST_ROWS = 8192  # of a bucket's list that are signed at a time
_END = object()


class TableSigner(RowSigner):
    """Every format except text to text: batches of columns are read ahead and signed here, and a thread writes them."""

    def __init__(
        self,
        job: Job,
        source: Source,
        at: Position,
        threads: int | None,
        look: Callable[[Keys], object],
        *,
        text: bool,
        check: bool,
    ) -> None:
        self._source = source
        self._key_name = job.key_column or "key"
        self._url_name = job.url_column or "url"
        columns = [*job.query_columns.values(), *filter(None, (job.method_column, job.expires_column))]
        self._has_all_columns = "all" in job.keep_columns
        self._tables = Tables(
            source,
            ColumnChoice(
                self._key_name,
                [*columns, *(name for name in job.keep_columns if name != "all")],
                self._has_all_columns,
                job.columns,
            ),
            include=job.include,
            exclude=job.exclude,
            where=[Condition.parse(each) for each in job.where],
            latest=job.latest,
            addresses=Addresses(job.signer),
        )
        super().__init__(
            job,
            read_ahead(self._tables.batches(at, check=check), 2, None if source.size is not None else 0.3),
            at,
            look,
        )
        # Reading takes a core, too, and is slower than signing.
        self._threads = max(1, CORES - 1) if threads is None else threads
        self._next: Any = None  # a batch of a list that was read ahead
        self._memory = Memory() if text else Memory(_IDLE, _CHUNK)
        self.direct = text

    def total(self) -> int | None:
        return self._tables.rows()

    def has_more(self) -> bool:
        # What was counted after a part's last row belongs to that part.
        while self._fetch() and not len(self._rest.keys) and (not self._rest.read or self._rest.last):
            self.counts.update(self._rest.counts)
            self.skipped += self._rest.read  # of a list, where no part begins with rows that are left out
            self._rest = None
        if self._rest is not None and self._rest.last:
            self._join_pages()
        return self._rest is not None

    def _fetch(self) -> bool:
        """Whether there is a batch, of those that were read ahead first."""
        if self._rest is None and self._next is not _END:
            self._rest = next(self._items, None) if self._next is None else self._next
            self._next = None
        return self._rest is not None

    def _join_pages(self) -> None:
        """Have enough rows of a list for a batch: of how many pages they are must not show in the output."""
        while len(self._rest.keys) < _LIST_ROWS and self._next is not _END:
            if self._next is None:
                self._next = next(self._items, _END)
            if self._next is _END or self._next.input != self._rest.input:
                return
            self._rest, self._next = self._rest.joined_by(self._next), None

    def part(self, limit: int | None) -> Iterator[Piece]:
        taken_rows = 0
        while self.has_more() and (limit is None or taken_rows < limit):
            batch: Batch = self._rest
            self._rest = None
            most = len(batch.keys) if limit is None else limit - taken_rows
            if batch.last:  # a part of a list ends at its last key, not where a page does
                batch, self._rest = batch.split(min(most, _LIST_ROWS, len(batch.keys)))
                batch = batch.compact()
            elif len(batch.keys) > most:
                batch, self._rest = batch.split(most)
            taken_rows += len(batch.keys)
            self.read += batch.read + self.skipped
            self.skipped = 0
            self.kept_count += len(batch.keys)
            self.counts.update(batch.counts)
            self.end = Position(batch.input, batch.end, batch.last)
            if not batch.last:  # a bucket's list has its keys as they are
                self._look(lambda: [key for key in as_bytes(batch.keys[:1000]).to_pylist() if key is not None])  # noqa: B023
            if not len(batch.keys):
                continue
            column = self._sign(batch)
            if self.direct:
                yield from self._lines(batch, column)
            else:
                yield from self._columns(batch, column)

    def _sign(self, batch: Batch) -> SignedColumn:
        job, column = self._job, batch.table.column
        try:
            return self._column(batch)
        except ParameterError as error:
            parameter, _, item = error.parameter.partition("[")
            name = {"method": job.method_column, "expires": job.expires_column}.get(parameter)
            if parameter == "query":
                name = job.query_columns.get(item.strip("']"))
            if name is None or not error.reason.startswith("must be a column of"):
                raise
            raise ParameterError(
                "query_columns" if item else f"{parameter}_column",
                f"cannot take the column {name!r}, which holds {column(name).type}: "
                f"choose one of {'seconds' if parameter == 'expires' else 'strings'}",
            ) from None

    def _column(self, batch: Batch) -> SignedColumn:
        job, column = self._job, batch.table.column
        return job.signer.sign_column(
            batch.keys,
            Chunks(self._threads, keep_errors=True, end=b"\n" if self.direct else b"", memory=self._memory),
            method=column(job.method_column) if job.method_column else job.method,
            expires=column(job.expires_column) if job.expires_column else job.expires,
            query={**job.query, **{name: self._values(batch, each) for name, each in job.query_columns.items()}},
            headers=job.headers,
        )

    def _values(self, batch: Batch, name: str) -> Any:
        """A query's column. An empty field of CSV, which has no other way to write it, is null: no such parameter."""
        values = batch.table.column(name)
        if self._source.inputs[batch.input].form != "csv":
            return values
        return pc.if_else(pc.match_substring_regex(values, "^$"), pa.nulls(len(values), values.type), values)

    def _lines(self, batch: Batch, column: SignedColumn) -> Iterator[Piece]:
        """Lines of URLs, chunk by chunk."""
        first = 0
        for chunk in column:
            rows = len(chunk)
            bad = self._bad(batch, first, rows, column)
            first += rows
            yield Piece(rows, [chunk.with_empty_lines() if bad and self._job.on_error == "null" else chunk], bad)

    def _bad(self, batch: Batch, first: int, rows: int, column: SignedColumn) -> list[BadRow]:
        """Those of some rows, of which the last were signed just now, that have no URL."""
        reasons = {row: _reason_text(reason) for row, reason in column.errors}
        column.errors.clear()
        if batch.keys.null_count:
            for row in pc.indices_nonzero(pc.is_null(batch.keys[first : first + rows])).to_pylist():
                reasons[first + row] = "key is null"
        reasons.update({row: fault.reason for row, fault in batch.faults.items() if first <= row < first + rows})
        keys = as_bytes(batch.keys) if reasons else batch.keys
        bad = []
        for row in sorted(reasons):
            if row in batch.faults:
                key = batch.faults[row].text
            else:
                key = keys[row].as_py()
                key = None if key is None else key.decode("utf-8", "surrogateescape")
            bad.append(BadRow(batch.name, batch.numbers[row], key, reasons[row]))
        return bad

    def _columns(self, batch: Batch, column: SignedColumn) -> Iterator[Piece]:
        """The output's columns, chunk by chunk."""
        job = self._job
        names = [self._key_name, *(name for name in job.keep_columns if name != self._key_name)]
        if self._has_all_columns:
            names = list(batch.table.schema.names)
        if self._url_name in names:
            raise ParameterError("url_column", f"{self._url_name!r} is a column of the input: choose another name")
        columns = [batch.keys if name == self._key_name else batch.table.column(name) for name in names]
        first = 0
        for chunk in column:
            rows = len(chunk)
            urls = pa.array(chunk)
            bad = self._bad(batch, first, rows, column)
            parts = [each.slice(first, rows) for each in columns]
            if bad:
                parts = [
                    as_bytes(each) if name == self._key_name else each for name, each in zip(names, parts, strict=True)
                ]
            table = pa.RecordBatch.from_arrays([*parts, urls], [*names, self._url_name])
            if bad and job.on_error == "skip":
                table = table.filter(pc.is_valid(urls))
            first += rows
            yield Piece(rows, [table], bad)


def _reason_text(reason: str) -> str:
    """Why a row has no URL: its key, unless the reason names another column."""
    return reason if reason.startswith(("query[", "method ", "expires ")) else f"key {reason}"

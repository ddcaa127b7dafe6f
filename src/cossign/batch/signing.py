"""Signing the lines of a text, in the buffer where they were read."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from cossign._arrow import Lines
from cossign.batch.errors import InputError
from cossign.batch.inputs.addresses import Addresses
from cossign.batch.inputs.source import Position, Source
from cossign.batch.inputs.txt import check_list, line_count, split_lines
from cossign.batch.job import Job
from cossign.batch.outputs.bad_rows import BadRow
from cossign.batch.outputs.formats import Sink
from cossign.batch.threads import BackgroundThread
from cossign.batch.warnings import Keys
from cossign.bulk import Chunks
from cossign.errors import ParameterError

CORES = min(4, os.cpu_count() or 1)


class Piece(NamedTuple):
    """Some rows, as the sink takes them, and the bad ones among them."""

    rows: int
    data: list[Any]
    bad: list[BadRow]


class RowSigner:
    """A job's rows from a place on.

    Args:
        job: what is signed, and how.
        items: the rows as they are read, some at a time.
        at: where they begin.
        look: is shown the keys.

    Attributes:
        direct: whether pieces must be written as soon as they are given, as their memory is used again.
        end: the place after the rows that were given.
        read: how many rows were read for them.
        skipped: how many were read since, and left out.
        kept_count: how many of those no filter has left out.
        counts: what else was counted, as in `Report.counts`.
    """

    direct: bool

    def __init__(
        self, job: Job, items: Generator[Any, None, None], at: Position, look: Callable[[Keys], object]
    ) -> None:
        self._job = job
        self._items = items
        self._rest: Any = None
        self._look = look
        self.end = at
        self.read = self.kept_count = self.skipped = 0
        self.counts: Counter[str] = Counter()

    def has_more(self) -> bool:
        """Whether there are rows after those that were given."""
        if self._rest is None:
            self._rest = next(self._items, None)
        return self._rest is not None

    def total(self) -> int | None:
        """The number of rows, if the inputs give it without being read."""
        return None

    def part(self, limit: int | None) -> Iterator[Piece]:
        """The next rows, at most that many."""
        raise NotImplementedError

    def write(self, sink: Sink, limit: int | None, note: Callable[[Piece], object]) -> None:
        """Sign the next rows, at most that many, into a sink; `note` is called with each piece before it is written."""
        with contextlib.closing(BackgroundThread(1)) as thread:
            for piece in self.part(limit):
                note(piece)
                for data in piece.data:
                    if self.direct:
                        sink.write(data)
                    else:
                        thread.call(sink.write, data)
            thread.wait()

    def close(self) -> None:
        """Stop reading."""
        with contextlib.suppress(ValueError):  # a thread reads a block just now: the last one of it
            self._items.close()


class LineSigner(RowSigner):
    """Text to text: lines are signed where they were read, and written as they were signed."""

    direct = True

    def __init__(
        self, job: Job, source: Source, at: Position, threads: int | None, look: Callable[[Keys], object]
    ) -> None:
        super().__init__(job, source.blocks(at), at, look)
        self._source = source
        self._threads = CORES if threads is None else threads
        self._addresses = Addresses(job.signer)
        self._seen_inputs: set[int] = set()

    def part(self, limit: int | None) -> Iterator[Piece]:
        job = self._job
        marks: deque[_Mark] = deque()
        lines: Lines = Lines(
            self._take_blocks(limit, lambda index, block: self._mark(marks, lines, index, block)),
            lambda block: self._without_addresses(marks[-1], block),
        )
        column = job.signer.sign_column(
            lines,
            Chunks(self._threads, keep_errors=True, end=b"\n"),
            method=job.method,
            expires=job.expires,
            query=job.query,
            headers=job.headers,
        )
        row_count, before = 0, self.counts.copy()
        try:
            for chunk in column:
                bad = [self._bad(marks, row, reason) for row, reason in column.errors]
                column.errors.clear()
                row_count += len(chunk)
                self.read = self.kept_count = self.read + len(chunk)
                yield Piece(len(chunk), [chunk.with_empty_lines() if bad and job.on_error == "null" else chunk], bad)
                while len(marks) > 1 and marks[1].rows_before <= row_count:
                    marks.popleft()
        except ParameterError:
            if lines.failure is not None:
                raise lines.failure from None
            raise
        if marks:
            self.end = Position(marks[-1].input, marks[-1].line + lines.lines - marks[-1].lines_before)
        self.counts = before
        self.counts.update(empty_lines=lines.lines - lines.rows, blank_ends=lines.blank_ends, inner_crs=lines.inner_crs)

    def _take_blocks(self, limit: int | None, mark: Callable[[int, bytes], object]) -> Iterator[bytes]:
        """Blocks of whole lines, as far as the limit."""
        taken_lines = 0
        while (limit is None or taken_lines < limit) and self.has_more():
            (index, block), self._rest = self._rest, None
            if index not in self._seen_inputs:
                self._seen_inputs.add(index)
                each = self._source.inputs[index]
                check_list(block, each.name, self._job.key_column or "key", each.is_certain)
            if limit is not None:
                lines = line_count(block)
                if taken_lines + lines > limit:
                    block, rest = split_lines(block, limit - taken_lines)
                    self._rest = (index, rest)
                taken_lines += lines
            self._look(lambda: [key for key in block[: 1 << 15].split(b"\n")[:-1] if b"://" not in key])  # noqa: B023
            mark(index, block)
            yield block

    def _mark(self, marks: deque[_Mark], lines: Lines, index: int, block: bytes) -> None:
        """Note where a block begins."""
        if marks and marks[-1].input == index:
            line = marks[-1].line + lines.lines - marks[-1].lines_before
        else:
            line = self.end.row if not marks and self.end.input == index else 0
        marks.append(_Mark(lines.rows, lines.lines, index, line, block))

    def _without_addresses(self, mark: _Mark, block: bytes) -> bytes:
        """A block with keys in the place of addresses."""
        texts = [line.removesuffix(b"\r") for line in block.removesuffix(b"\n").split(b"\n")]
        name = self._source.inputs[mark.input].name
        keys = self._addresses.keys(texts, name, range(mark.line + 1, mark.line + 1 + len(texts)))
        for place, key in enumerate(keys):
            if key and (b"\n" in key or key.endswith(b"\r")):
                row = mark.line + place + 1
                raise InputError(
                    f"{name}, row {row}: the key holds a line end, which text cannot: use CSV or JSON lines"
                )
        return b"\n".join(key or b"" for key in keys)

    def _bad(self, marks: deque[_Mark], row: int, reason: str) -> BadRow:
        mark = marks[bisect.bisect(marks, row, key=lambda each: each.rows_before) - 1]
        place = row - mark.rows_before  # among the lines that are not empty
        lines = (
            (line, text.removesuffix(b"\r"))
            for line, text in enumerate(mark.block.split(b"\n"), mark.line + 1)
            if text not in (b"", b"\r")
        )
        line, text = next(itertools.islice(lines, place, None))
        key = text.decode("utf-8", "surrogateescape")
        return BadRow(self._source.inputs[mark.input].name, line, key, f"key {reason}")


class _Mark(NamedTuple):
    """A block of lines.

    Attributes:
        rows_before, lines_before: how many rows, and how many lines with the empty ones, of the part are before it.
        input: its input.
        line: how many lines of that input are before it.
        block: the block.
    """

    rows_before: int
    lines_before: int
    input: int
    line: int
    block: bytes

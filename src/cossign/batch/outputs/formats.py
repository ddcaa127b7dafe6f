"""The formats of outputs, and their sinks, which write rows into a file."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, Protocol

from cossign._arrow import ReadyChunk
from cossign.batch.inputs.source import format_of
from cossign.batch.outputs.files import named_errors
from cossign.batch.outputs.paths import is_stream
from cossign.batch.packing import PACKINGS, crc32, packed_stream, packing_of
from cossign.errors import ParameterError

FORMATS = ("txt", "csv", "jsonl", "parquet", "arrow")


class Format(NamedTuple):
    """What a file holds: "txt", "csv", "jsonl", "parquet" or "arrow", and how it is packed: "", ".gz" or ".zst"."""

    form: str
    packing: str

    @property
    def suffix(self) -> str:
        return f".{self.form}{self.packing}"


def output_format(output: str, format_name: str | None, directory: bool) -> Format:
    """The format that a user states, such as "csv.gz", or that the output's suffix says."""
    if format_name is not None:
        form, _, packing = format_name.partition(".")
        if form not in FORMATS or (packing and f".{packing}" not in PACKINGS):
            raise ParameterError(
                "output_format", f"must be one of {', '.join(FORMATS)}, with .gz or .zst after it or not"
            )
        return Format(form, f".{packing}" if packing else packing_of(output))
    suffix_format = format_of(output.rstrip("/" + os.sep))
    if suffix_format is None and (directory or is_stream(output)):
        return Format("txt", "")
    if suffix_format not in FORMATS:
        names = ", ".join(f".{form}" for form in FORMATS)
        raise ParameterError("output", f"{output} must end with one of {names}, or give `output_format`")
    return Format(suffix_format, packing_of(output))


class CountedFile:
    """A file that is written, whose bytes are counted, and which the code that borrows it cannot close.

    Args:
        raw: the file; None for nowhere.
        name: its name, for errors.
        has_crc32: whether `crc32` is made.
    """

    closed = False

    def __init__(self, raw: IO[bytes] | None, name: str = "", has_crc32: bool = False) -> None:
        self._raw = raw
        self._name = name
        self._has_crc32 = has_crc32
        self.size = 0
        self.crc32 = 0

    def write(self, data: Any) -> int:
        if self._has_crc32:
            self.crc32 = crc32(data, self.crc32)
        if self._raw is not None:
            with named_errors(self._name):
                self._raw.write(data)
        size = memoryview(data).nbytes
        self.size += size
        return size

    def give_up(self) -> None:
        """Write nothing more, even if writers write when they are closed."""
        self._raw = None

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        if self._raw is not None:
            with named_errors(self._name):
                self._raw.flush()

    close = flush

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class Sink(Protocol):
    """Takes rows."""

    def write(self, rows: Any) -> None:
        """Write some rows: lines of URLs, each with its end, in text; else an Arrow RecordBatch."""

    def close(self) -> None:
        """Write what is written last."""


class TextSink:
    """Lines of URLs."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def write(self, rows: ReadyChunk | bytes) -> None:
        self._data.write(rows)

    def close(self) -> None:
        pass


@contextlib.contextmanager
def open_sink(raw: CountedFile, format: Format, columns: list[str]) -> Iterator[Sink]:
    """What writes rows into a file.

    Args:
        raw: the file.
        format: its format.
        columns: the names that its columns get if there are no rows.
    """
    with packed_stream(raw, format.packing) as data:
        sink = _sink(data, format.form, columns)
        try:
            yield sink
        except BaseException:
            raw.give_up()
            with contextlib.suppress(Exception):
                sink.close()
            raise
        sink.close()


def _sink(data: Any, form: str, columns: list[str]) -> Sink:
    if form == "txt":
        return TextSink(data)
    sink: Sink = importlib.import_module(f"cossign.batch.outputs.{form}").TableSink(data, columns)
    return sink

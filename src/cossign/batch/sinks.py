"""Outputs: a file appears under its name only when it is complete, and stays then; and text, as lines of URLs."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from cossign._core import ReadyChunk
from cossign.batch.sources import GZIP, PACKINGS, format_of, pyarrow
from cossign.errors import ParameterError

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMATS = ("txt", "csv", "jsonl", "parquet", "arrow")


class Format(NamedTuple):
    """What a file holds: "txt", "csv", "jsonl", "parquet" or "arrow", and how it is packed: "", ".gz" or ".zst"."""

    form: str
    packing: str

    @property
    def suffix(self) -> str:
        return f".{self.form}{self.packing}"


def output_format(output: str, stated: str | None, directory: bool) -> Format:
    """The format that a user states, such as "csv.gz", or that the output's suffix says."""
    if stated is not None:
        form, _, packing = stated.partition(".")
        if form not in FORMATS or (packing and f".{packing}" not in PACKINGS):
            raise ParameterError(
                "output_format", f"must be one of {', '.join(FORMATS)}, with .gz or .zst behind it or not"
            )
        return Format(form, f".{packing}" if packing else _packing(output))
    found = format_of(output.rstrip("/" + os.sep))
    if found is None and (directory or is_stream(output)):
        return Format("txt", "")
    if found not in FORMATS:
        names = ", ".join(f".{form}" for form in FORMATS)
        raise ParameterError("OUT", f"{output} has none of the suffixes {names}: say its form with --to")
    return Format(found, _packing(output))


def is_directory(output: str) -> bool:
    """Whether an output is one, or is written as one is."""
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _packing(path: str) -> str:
    return next((packing for packing in PACKINGS if path.lower().rstrip("/" + os.sep).endswith(packing)), "")


class Written:
    """A file that is written, whose bytes are counted, and which whoever it is lent to cannot close.

    Args:
        raw: the file; None for nowhere.
        summed: whether `crc32` is made.
    """

    closed = False

    def __init__(self, raw: IO[bytes] | None, summed: bool = False) -> None:
        self._raw = raw
        self._summed = summed
        self.size = 0
        self.crc32 = 0

    def write(self, data: Any) -> int:
        if self._summed:
            self.crc32 = crc32(data, self.crc32)
        if self._raw is not None:
            self._raw.write(data)
        size = memoryview(data).nbytes
        self.size += size
        return size

    def give_up(self) -> None:
        """Write nothing more, whatever writers say when they are closed."""
        self._raw = None

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        if self._raw is not None:
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
def open_sink(raw: Written, format: Format, columns: list[str]) -> Iterator[Sink]:
    """What writes rows into a file.

    Args:
        raw: the file.
        format: its format.
        columns: the names that its columns get if there are no rows.
    """
    with _packed(raw, format.packing) as data:
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
    from cossign.batch.table_sinks import SINKS

    return SINKS[form](data, columns)


@contextlib.contextmanager
def _packed(raw: Written, packing: str) -> Iterator[Any]:
    if packing == ".gz":
        # igzip's 1 packs URLs to an 11.8th, zlib's 4 to an 11.0th, as its 6 does: at 1250, 115 and 103 MB a second.
        level = 4 if GZIP is gzip else 1
        with GZIP.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=level, mtime=0) as data:
            yield data
    elif packing == ".zst":
        arrow = pyarrow("zstd")
        packed = arrow.CompressedOutputStream(arrow.PythonFile(raw, "w"), "zstd")
        try:
            yield packed
        finally:
            packed.close()
    else:
        yield raw


@contextlib.contextmanager
def complete_file(final: Path) -> Iterator[IO[bytes]]:
    """A file for a ``with`` block: it gets its name at the end, on the disk for good, and is gone if the block fails.

    Raises:
        ParameterError: another job is writing it.
    """
    temporary = final.with_name(f".{final.name}.part")
    descriptor = _locked(temporary)
    try:
        with open(os.dup(descriptor), "wb") as raw:
            os.ftruncate(descriptor, 0)  # what a job that was killed has left
            yield raw
        os.fsync(descriptor)
        if os.name == "nt":  # where a file that is open gets no other name
            os.close(descriptor)
            descriptor = -1
        os.replace(temporary, final)
        sync_directory(final.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _locked(path: Path) -> int:
    """A file's descriptor, which no other process has locked; the lock goes with the descriptor, or the process."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            lock(descriptor, path.name.removeprefix(".").removesuffix(".part"))
            if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was completed, or given up, while we waited


def lock(descriptor: int, name: str) -> None:
    """Lock a file, or say at once that another job has it."""
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ParameterError(
            "OUT", f"{name} is being written by another job: wait for it, or choose another name"
        ) from None


def sync_directory(folder: Path) -> None:
    """Put a directory's names on the disk for good."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_stream(output: str) -> Iterator[IO[bytes]]:
    """Stdout (-), or a pipe or a device, which nothing takes the place of."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with open(output, "wb") as raw:
            yield raw


def is_stream(output: str) -> bool:
    """Whether an output is stdout, a pipe or a device."""
    return output == "-" or (os.path.exists(output) and not os.path.isfile(output) and not os.path.isdir(output))

"""Writers: text, CSV and JSON lines, gzipped or not; a file appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

from cossign._core import ReadyChunk
from cossign.batch.sources import FORMATS, Source
from cossign.errors import ParameterError


class Sink(Protocol):
    """Takes rows."""

    def write(self, keys: Sequence[str | None], urls: Sequence[str | None]) -> None:
        """Write some rows; a None URL is an empty line, an empty field or null."""


class TextSink:
    """Lines of URLs."""

    def __init__(self, data: IO[bytes]) -> None:
        self._data = data

    def write(self, keys: Sequence[str | None], urls: Sequence[str | None]) -> None:
        if urls:
            self._data.write("".join([f"{url or ''}\n" for url in urls]).encode())

    def write_lines(self, lines: ReadyChunk | bytes) -> None:
        """Write URLs that end their lines themselves."""
        self._data.write(lines)


class _Csv:
    def __init__(self, data: IO[bytes]) -> None:
        self._data = data
        data.write(b"key,url\n")

    def write(self, keys: Sequence[str | None], urls: Sequence[str | None]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(zip(keys, urls, strict=True))
        self._data.write(text.getvalue().encode("utf-8", "surrogateescape"))


class _Jsonl:
    def __init__(self, data: IO[bytes]) -> None:
        self._data = data

    def write(self, keys: Sequence[str | None], urls: Sequence[str | None]) -> None:
        rows = [json.dumps({"key": key, "url": url}) + "\n" for key, url in zip(keys, urls, strict=True)]
        self._data.write("".join(rows).encode())


_SINKS: dict[str, type[TextSink] | type[_Csv] | type[_Jsonl]] = {"txt": TextSink, "csv": _Csv, "jsonl": _Jsonl}


@contextlib.contextmanager
def open_sink(path: str, form: str | None = None, source: Source | None = None) -> Iterator[Sink]:
    """A sink for a ``with`` block: completed at its end, and gone without a trace if the block fails.

    Args:
        path: a file, gzipped if it ends in ``.gz``, or what a link to one leads to; a pipe or a device, which are
            written at once; or "-" for stdout.
        form: "txt", "csv" or "jsonl"; None to go by the file's suffix ("txt" for stdout).
        source: what the rows are read from, whose files are not to be replaced.

    Raises:
        ParameterError: the suffix says nothing, or the file is one of the source's.
    """
    if form is None:
        form = "txt" if path == "-" else FORMATS.get(Path(path.removesuffix(".gz")).suffix.lower())
        if form is None:
            raise ParameterError("OUT", f"{path} has none of the suffixes .txt, .csv, .jsonl: say its form with --to")
    if source is not None and source.reads(path):
        raise ParameterError("OUT", f"{path} is one of the inputs, which it would replace: choose another name")
    if path == "-":
        yield _SINKS[form](sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    final = Path(os.path.realpath(path))  # a link stays one
    if final.exists() and not final.is_file():  # a pipe, or /dev/null: nothing takes its place
        with open(final, "wb") as raw, _zipped(raw, path) as data:
            yield _SINKS[form](data)
        return
    temporary = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        with open(temporary, "xb") as raw:
            with _zipped(raw, path) as data:
                yield _SINKS[form](data)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _zipped(raw: IO[bytes], path: str) -> Iterator[IO[bytes]]:
    if path.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as data:
            yield data  # type: ignore[misc]
    else:
        yield raw

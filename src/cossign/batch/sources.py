"""Readers: text, CSV, JSON lines and COS inventory reports, gzipped or not, as chunks of keys."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from cossign.errors import CosSignError

FORMATS = {".txt": "txt", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_BLOCK = 1 << 17  # bytes read at a time
_ROWS = 8192  # rows in a chunk


class InputError(CosSignError):
    """Input that cannot be read; the message names the file and says what to do."""


class Chunk(NamedTuple):
    """Some consecutive rows of one input.

    Attributes:
        name: the file's name.
        first_row: the first key's row in the file, from 1; a CSV header is not counted.
        keys: the keys as read; bytes that are no UTF-8 are kept as lone surrogates (PEP 383).
        columns: the other columns asked for, each as long as `keys`.
        faults: position in `keys` to why there is no key.
    """

    name: str
    first_row: int
    keys: list[str | None]
    columns: dict[str, list[Any]]
    faults: dict[int, str]


class Source:
    """All rows of some inputs, in order.

    Args:
        paths: files, directories, inventory manifests, or "-" for stdin.
        form: "txt", "csv", "jsonl", "inventory", or None to go by each file's suffix.
        key_column: the column of the keys, in CSV and JSON lines.
        columns: the other columns wanted.

    Raises:
        InputError: an input does not exist, or has no known form.

    `size` is the inputs' size in bytes as they are stored, or None with stdin; `position` is how much of it was read.
    """

    def __init__(
        self, paths: Sequence[str], form: str | None = None, key_column: str = "key", columns: Sequence[str] = ()
    ) -> None:
        self.key_column = key_column
        self.columns = list(columns)
        self.position = 0
        self._inputs = [each for path in paths for each in _found(path, form)]
        if self.columns and any(form == "txt" for _, form in self._inputs):
            raise InputError("a text file has no columns: take them from CSV or JSON lines")
        self.size = None if "-" in paths else sum(os.path.getsize(path) for path, _ in self._inputs)

    def reads(self, path: str) -> bool:
        """Whether a file is one of the inputs."""
        return os.path.exists(path) and any(each != "-" and os.path.samefile(each, path) for each, _ in self._inputs)

    def __iter__(self) -> Iterator[Chunk]:
        for path, form in self._inputs:
            if form == "inventory":
                yield from self._inventory(Path(path))
            else:
                with self._read(path) as (name, data, note):
                    for chunk in {"txt": self._txt, "csv": self._csv, "jsonl": self._jsonl}[form](name, data):
                        note()
                        yield chunk

    @contextlib.contextmanager
    def _read(self, path: str) -> Iterator[tuple[str, IO[bytes], Callable[[], None]]]:
        """An input's name and bytes, and what notes how far it was read."""
        name, before = "stdin" if path == "-" else path, self.position
        with _opened(path) as raw, _unzipped(path, raw) as data, _readable(name):

            def note() -> None:
                if self.size is not None:
                    self.position = before + (raw.tell() if not raw.closed else 0)

            yield name, data, note
        if self.size is not None:
            self.position = before + os.path.getsize(path)

    @property
    def is_text(self) -> bool:
        """Whether all inputs are text, which `blocks` reads."""
        return all(form == "txt" for _, form in self._inputs)

    def blocks(self, begin: Callable[[str], object]) -> Iterator[bytes]:
        """The inputs' bytes, in whole lines; `begin` is called with an input's name before its first ones."""
        for path, _ in self._inputs:
            with self._read(path) as (name, data, note):
                begin(name)
                for block in _blocks(data):
                    note()
                    yield block

    def _txt(self, name: str, data: IO[bytes]) -> Iterator[Chunk]:
        row = 1
        for lines in _lines(data):
            yield Chunk(name, row, list(lines), {}, {})
            row += len(lines)

    def _csv(self, name: str, data: IO[bytes]) -> Iterator[Chunk]:
        with io.TextIOWrapper(data, "utf-8-sig", "surrogateescape", newline="") as text:
            rows = csv.reader(text)
            header = next(rows, None)
            if header is None:
                return
            for wanted in (self.key_column, *self.columns):
                if wanted not in header:
                    option = "--key-column" if wanted == self.key_column else "--query-column"
                    raise InputError(
                        f"{name} has no column {wanted!r}, only {', '.join(header)}: name one with {option}"
                    )
            places = {wanted: header.index(wanted) for wanted in (self.key_column, *self.columns)}
            yield from self._records(name, rows, lambda row: {wanted: row[place] for wanted, place in places.items()})

    def _jsonl(self, name: str, data: IO[bytes]) -> Iterator[Chunk]:
        def record(line: str) -> dict[str, Any]:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise LookupError("a JSON object")
            missing = [wanted for wanted in (self.key_column, *self.columns) if wanted not in value]
            if missing:
                raise LookupError(f"the field {missing[0]!r}")
            return value

        yield from self._records(name, (line for lines in _lines(data) for line in lines), record)

    def _records(self, name: str, rows: Iterator[Any], record: Any) -> Iterator[Chunk]:
        """Chunks of what `record` makes of each row; a row it cannot read becomes a fault."""
        first, count = 1, 0
        keys: list[str | None] = []
        columns: dict[str, list[Any]] = {wanted: [] for wanted in self.columns}
        faults: dict[int, str] = {}
        for row in rows:
            values: dict[str, Any] = {}
            try:
                values = record(row)
                if not isinstance(values[self.key_column], str):
                    faults[count] = f"{self.key_column} is no string"
            except ValueError as error:
                faults[count] = f"is not JSON: {error}"
            except LookupError as error:
                faults[count] = (
                    f"has not {error.args[0]}" if not isinstance(error, IndexError) else "has too few columns"
                )
            keys.append(None if count in faults else values[self.key_column])
            for wanted, column in columns.items():
                column.append(None if count in faults else values[wanted])
            count += 1
            if count == _ROWS:
                yield Chunk(name, first, keys, columns, faults)
                first, count = first + count, 0
                keys, columns, faults = [], {wanted: [] for wanted in self.columns}, {}
        if count:
            yield Chunk(name, first, keys, columns, faults)

    def _inventory(self, path: Path) -> Iterator[Chunk]:
        """An inventory report: manifest.json and CSV files without a header, whose keys are URL-encoded.

        Source: Tencent Cloud, COS, "Inventory Overview" (product 436, page 30622).
        """
        if self.columns:
            raise InputError("an inventory's other columns cannot be used yet: export it as CSV")
        fields, files = _manifest(path)
        place = fields.index("Key")
        if self.size is not None:
            self.size += sum(int(entry["size"]) for entry in files) - os.path.getsize(path)
        before = self.position
        for entry in files:
            file = _data_file(path, entry)
            with (
                _opened(str(file)) as raw,
                _unzipped(str(file), raw) as data,
                io.TextIOWrapper(data, "ascii", "surrogateescape", newline="") as text,
                _readable(str(file)),
            ):
                for chunk in self._records(str(file), csv.reader(text), _decoded_key(place, self.key_column)):
                    self.position = before + raw.tell()
                    yield chunk
            before = self.position = before + file.stat().st_size


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn what the decoders raise into an InputError with the file's name."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name} is not a whole gzip file ({error}): fetch it again") from None
    except csv.Error as error:
        raise InputError(f"{name} is not CSV: {error}") from None


def _decoded_key(place: int, key_column: str) -> Any:
    def record(row: list[str]) -> dict[str, str]:
        key = row[place].encode("ascii", "surrogateescape")
        return {key_column: unquote_to_bytes(key).decode("utf-8", "surrogateescape")}

    return record


def _found(path: str, form: str | None) -> list[tuple[str, str]]:
    """(file, form) for each file that a path means."""
    if path == "-":
        return [("-", form or "txt")]
    here = Path(path)
    if here.is_dir():
        if (here / "manifest.json").exists() and form in (None, "inventory"):
            return [(str(here / "manifest.json"), "inventory")]
        files = sorted(each for each in here.iterdir() if each.is_file() and not each.name.startswith("."))
        if not files:
            raise InputError(f"the directory {path} has no files")
        return [found for each in files for found in _found(str(each), form)]
    if not here.exists():
        raise InputError(f"{path} does not exist")
    if form is None:
        suffix = Path(path.removesuffix(".gz")).suffix.lower()
        form = "inventory" if here.name == "manifest.json" else FORMATS.get(suffix)
        if form is None:
            raise InputError(f"{path}: what it holds cannot be told by its suffix: say so with --from")
    return [(path, form)]


def _opened(path: str) -> IO[bytes]:
    if path == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _unzipped(path: str, raw: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw  # type: ignore[return-value]


def _blocks(data: IO[bytes]) -> Iterator[bytes]:
    """Whole lines with their ends, which the last one may lack, and without a byte order mark."""
    begun: list[bytes] = []  # a line that has not ended
    start = True
    while block := data.read(_BLOCK):
        if start:
            block = block.removeprefix(b"\xef\xbb\xbf")
            start = False
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*begun, block[:end]])
            begun, block = [], block[end:]
        if block:
            begun.append(block)
    if begun:
        yield b"".join(begun)


def _lines(data: IO[bytes]) -> Iterator[list[str]]:
    r"""Lines as str, without their \n or \r\n, some thousands at a time."""
    for block in _blocks(data):
        lines = block.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n")
        yield [line.removesuffix("\r") for line in lines] if b"\r" in block else lines


def _manifest(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and the data files of an inventory report."""
    try:
        manifest = json.loads(path.read_bytes())
        form, schema, files = manifest["fileFormat"], manifest["fileSchema"], manifest["files"]
        entries = [{name: str(entry[name]) for name in ("key", "size", "md5Checksum")} for entry in files]
        if not all(entry["size"].isdecimal() for entry in entries):
            raise TypeError
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    except KeyError as error:
        raise InputError(f"{path} is no inventory manifest: it has no {error.args[0]!r}") from None
    except (TypeError, AttributeError):
        raise InputError(f"{path} is no inventory manifest: it is not of that form") from None
    if str(form).upper() != "CSV":
        raise InputError(f"{path}: the report's fileFormat is {form}, and only CSV can be read")
    fields = [field.strip() for field in str(schema).split(",")]
    if "Key" not in fields:
        raise InputError(f"{path}: the report's fileSchema has no Key: {schema}")
    return fields, entries


def _data_file(manifest: Path, entry: dict[str, str]) -> Path:
    """A data file, found beside the manifest or under its bucket-relative path, whole and unaltered."""
    key = Path(entry["key"].lstrip("/"))
    if ".." in key.parts:
        raise InputError(f"{manifest}: the data file {entry['key']} lies outside of the report")
    folder = manifest.resolve().parent
    places = [folder / key.name, *(parent / key for parent in (folder, *folder.parents))]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(f"{manifest}: the data file {entry['key']} is missing: put it beside the manifest")
    if str(file.stat().st_size) != entry["size"]:
        raise InputError(f"{file} has {file.stat().st_size} bytes, not the manifest's {entry['size']}: fetch it again")
    digest = hashlib.md5(usedforsecurity=False)
    with open(file, "rb") as data:
        while block := data.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != entry["md5Checksum"].lower():
        raise InputError(f"{file} has another MD5 than the manifest says: it was altered; fetch it again")
    return file

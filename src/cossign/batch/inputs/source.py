"""Inputs: which files a job reads, and their bytes."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from cossign.batch.errors import InputError
from cossign.batch.inputs.inventory import data_file, parsed_manifest
from cossign.batch.inputs.txt import line_count, split_lines, whole_lines
from cossign.batch.packing import DAMAGE_ERRORS, PACKINGS, unpacked

FORMATS = {
    ".txt": "txt", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".arrow": "arrow",
    ".arrows": "arrow", ".feather": "arrow", ".orc": "orc",
}  # fmt: skip


class Input(NamedTuple):
    """One file, or stdin.

    Attributes:
        path: the file's name, or "-".
        form: "txt", "csv", "jsonl", "parquet", "arrow" or "orc".
        size: bytes as they are stored; None for what is no regular file.
        mtime_ns: when it was last written, in nanoseconds.
        md5: what an inventory's manifest says of its data file.
        fields: the columns of an inventory's CSV file, which has no header and whose keys are URL-encoded.
        inventory: whether it is a data file of an inventory.
    """

    path: str
    form: str
    size: int | None = None
    mtime_ns: int | None = None
    md5: str | None = None
    fields: tuple[str, ...] | None = None
    inventory: bool = False

    @property
    def name(self) -> str:
        return "stdin" if self.path == "-" else self.path


class Position(NamedTuple):
    """A place between two rows: that many rows of that input, and all of those before it, were read."""

    input: int = 0
    row: int = 0


class Source:
    """All inputs of a job, in order.

    Args:
        paths: files, directories, patterns such as ``keys/*.csv``, inventory manifests, or "-" for stdin.
        form: "txt", "csv", "jsonl", "parquet", "arrow", "orc", "inventory", or None to go by each file's suffix.

    Raises:
        InputError: an input does not exist, or has no known form.

    Attributes:
        inputs: the files.
        size: the inputs' size in bytes as they are stored, or None if that is not known.
        position: how many of those bytes were read.
        manifests: the inventories' manifests.
        counts: of each manifest: its name, the number of rows that it promises, and its data files.
    """

    def __init__(self, paths: Sequence[str], form: str | None = None) -> None:
        self.inputs: list[Input] = []
        self.counts: list[tuple[str, int, range]] = []
        self.manifests: list[str] = []
        self.position = 0
        for path in paths:
            self._find(path, form)
        if len([each for each in self.inputs if each.path == "-"]) > 1:
            raise InputError("stdin (-) can be read once only")
        sizes = [each.size for each in self.inputs]
        self.size = None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def rows(self) -> int | None:
        """How many rows the manifests promise, if all inputs are theirs."""
        file_count = sum(len(files) for _, _, files in self.counts)
        return sum(rows for _, rows, _ in self.counts) if self.counts and file_count == len(self.inputs) else None

    def estimated_rows(self) -> int | None:
        """How many rows there may be, by the lines at the beginning of an input of each form."""
        if self.size is None:
            return None
        density: dict[tuple[str, str], float] = {}  # lines a stored byte
        total = 0.0
        for index, each in enumerate(self.inputs):
            kind = (each.form, Path(each.path).suffix)
            if kind not in density:
                before = sum(other.size or 0 for other in self.inputs[:index])
                with self.read(index) as (data, note):
                    start = data.read(1 << (24 if each.path.endswith(PACKINGS) else 20))
                    note()
                    stored_size = self.position - before
                density[kind] = line_count(start) / max(1, stored_size)
            total += density[kind] * (each.size or 0)
        return round(total)

    @contextlib.contextmanager
    def read(self, index: int) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
        """An input's bytes, unpacked, and what notes how far they were read."""
        each, before = self.inputs[index], sum(each.size or 0 for each in self.inputs[:index])
        with open_input(each) as raw, read_errors(each.name):
            data = unpacked(each.path, raw)

            def note() -> None:
                if self.size is not None and not raw.closed:
                    self.position = before + raw.tell()
                check_unchanged(each, raw)

            yield data, note
            check_unchanged(each, raw)
        self.position = before + (each.size or 0)

    def blocks(self, at: Position) -> Generator[tuple[int, bytes], None, None]:
        """The inputs' text in blocks of whole lines, from a place on, each with its input."""
        for index in range(at.input, len(self.inputs)):
            skip = at.row if index == at.input else 0
            with self.read(index) as (data, note):
                for block in whole_lines(data):
                    if skip:
                        lines = line_count(block)
                        if lines <= skip:
                            skip -= lines
                            continue
                        block, skip = split_lines(block, skip)[1], 0
                    note()
                    yield index, block

    def _find(self, path: str, form: str | None) -> None:
        """Add the files that a path means."""
        if path == "-":
            self.inputs.append(Input("-", form or "txt"))
            return
        location = Path(path)
        if location.is_dir():
            if (location / "manifest.json").exists() and form in (None, "inventory"):
                self._find(str(location / "manifest.json"), "inventory")
                return
            files = sorted(_list_files(path))
            if not files:
                raise InputError(f"the directory {path} has no files")
            for each in files:
                self._find(each, form)
            return
        if not location.exists():
            paths = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
            if not paths:
                what = "matches no file" if glob.has_magic(path) else "does not exist"
                raise InputError(f"{path} {what}")
            for each in paths:
                self._find(each, form)
            return
        if form is None:
            form = "inventory" if location.name == "manifest.json" else format_of(path)
            if form is None:
                raise InputError(f"{path}: its suffix does not tell its format: name it with `input_format`")
        if form == "inventory":
            self._inventory(location)
        else:
            self.inputs.append(_with_status(Input(path, form)))

    def _inventory(self, path: Path) -> None:
        """Add the data files of an inventory report."""
        self.manifests.append(str(path))
        try:
            report = parsed_manifest(path.read_bytes())
            files = [(data_file(path, key), size, md5) for key, size, md5 in report.files]
        except ValueError as error:
            raise InputError(f"{path}{error}") from None
        first = len(self.inputs)
        for file, size, md5 in files:
            each = _with_status(Input(str(file), report.form, None, None, md5, report.fields, True))
            if each.size != size:
                raise InputError(f"{file} has {each.size} bytes, not the manifest's {size}: fetch it again")
            self.inputs.append(each)
        if report.rows is not None:
            self.counts.append((str(path), report.rows, range(first, len(self.inputs))))


def format_of(path: str) -> str | None:
    """What a file's suffix says that it holds; ``.gz`` and ``.zst`` go by themselves."""
    name = path.lower()
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    return FORMATS.get(Path(name).suffix)


def _list_files(folder: str) -> Iterator[str]:
    """The files of a directory and of those below it, without hidden ones and those that Spark marks so (_SUCCESS)."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and (not name.startswith("_") or format_of(name)):
                yield os.path.join(parent, name)


def _with_status(each: Input) -> Input:
    try:
        status = os.stat(each.path)
    except OSError as error:
        raise InputError(f"{each.path} cannot be read: {error.strerror}") from None
    is_regular = os.path.isfile(each.path)
    return each._replace(size=status.st_size, mtime_ns=status.st_mtime_ns) if is_regular else each


def open_input(each: Input) -> IO[bytes]:
    """An input's bytes as they are stored."""
    if each.path == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(each.path, "rb")
    except OSError as error:
        raise InputError(f"{each.path} cannot be read: {error.strerror}") from None


def check_unchanged(each: Input, raw: IO[bytes]) -> None:
    """Raise an InputError if an input is not the same any more as when the job began."""
    if each.size is None:
        return
    now = os.stat(each.path) if raw.closed else os.fstat(raw.fileno())
    if (now.st_size, now.st_mtime_ns) != (each.size, each.mtime_ns):
        how = "was written again" if now.st_size == each.size else f"had {each.size:,} bytes and has {now.st_size:,}"
        raise InputError(f"{each.name} has changed while it was read: it {how}. Begin again when nobody writes it")


@contextlib.contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn what reading and unpacking raise into an InputError with the file's name."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise InputError(f"{name} is not a whole gzip file ({error}): fetch it again") from None
    except OSError as error:
        if error.filename is not None:
            raise
        raise InputError(f"{name} cannot be read to its end: {error.strerror or error}") from None


def check_seekable(data: IO[bytes], form: str) -> None:
    """Refuse a pipe, and what is unpacked on the way, for a format whose end is read first."""
    if not data.seekable():
        raise InputError(f"{form} cannot be read from a pipe, or packed by zstd: give the file itself")

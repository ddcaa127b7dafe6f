"""The files that a job reads, and their bytes."""

from __future__ import annotations

import codecs
import contextlib
import glob
import io
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from cossign.batch.errors import InputError
from cossign.batch.inputs.inventory import (
    MANIFEST,
    manifests_in,
    newest_bucket_report,
    newest_report,
    read_bucket_report,
    read_report,
)
from cossign.batch.inputs.txt import line_count, split_lines, whole_lines
from cossign.batch.packing import DAMAGE_ERRORS, PACKINGS, crc32, unpacked
from cossign.storage import Address, Bucket, Object, is_address

FORMATS = {
    ".txt": "txt", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".arrow": "arrow",
    ".arrows": "arrow", ".feather": "arrow", ".orc": "orc", ".tsv": "csv",
}  # fmt: skip


class Input(NamedTuple):
    """One file, or stdin.

    Attributes:
        path: the file's name, or "-".
        form: "txt", "csv", "jsonl", "parquet", "arrow" or "orc".
        size: bytes as they are stored; None if it is not a regular file.
        mtime_ns: when it was last written, in nanoseconds.
        inode: the number of its place on the disk.
        md5: what an inventory's manifest says of its data file.
        fields: the columns of an inventory's CSV file, which has no header and whose keys are URL-encoded.
        inventory: whether it is a data file of an inventory.
        is_certain: whether its format was named, or its suffix names one that has columns.
        delimiter: what is between the fields of CSV.
        encoding: of text; None for UTF-8.
        bucket: where it lies, if its path is an address; None for a file.
        etag: its ETag there.
    """

    path: str
    form: str
    size: int | None = None
    mtime_ns: int | None = None
    inode: int | None = None
    md5: str | None = None
    fields: tuple[str, ...] | None = None
    inventory: bool = False
    is_certain: bool = True
    delimiter: str = ","
    encoding: str | None = None
    bucket: Bucket | None = None
    etag: str | None = None

    @property
    def name(self) -> str:
        return "stdin" if self.path == "-" else self.path


class Position(NamedTuple):
    """A place between two rows: that many rows of that input, and all of those before it, were read.

    Of a bucket's list, to which objects are added while the job waits to go on, `key` is the last one's.
    """

    input: int = 0
    row: int = 0
    key: str = ""


class Note(Protocol):
    """Notes how far an input was read, by its file's place, or by the share of its rows."""

    def __call__(self, share: float | None = None) -> None: ...


class _Transcoded(io.RawIOBase):
    """Text of another encoding, as UTF-8."""

    def __init__(self, data: IO[bytes], encoding: str, name: str) -> None:
        self._data = data
        self._encoding = encoding
        self._name = name
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            block = self._data.read(size)
            try:
                text = self._decoder.decode(block, final=not block).encode()
            except UnicodeError as error:
                raise InputError(f"{self._name} is not {self._encoding}: {error}: choose another `encoding`") from None
            if text or not block:
                return text


class Source:
    """All inputs of a job, in order.

    Args:
        paths: files, directories, patterns such as ``keys/*.csv``, inventory manifests, folders that hold an inventory
            report, addresses such as ``cos://BUCKET/KEY``, or "-" for stdin.
        form: "txt", "csv", "jsonl", "parquet", "arrow", "orc", "inventory", "list" or "versions"; None for its suffix.
        delimiter: what is between the fields of CSV; None for a comma, and for a tab in ``.tsv``.
        encoding: of text, CSV and JSON lines; None for UTF-8.
        buckets: gives a bucket by its name; None if addresses are refused.

    Raises:
        InputError: an input does not exist, or has no known form.
        StorageError: a bucket cannot be listed or read.

    Attributes:
        inputs: the files.
        size: the inputs' size in bytes as they are stored, or None if that is not known.
        position: how many of those bytes were read.
        manifests: the inventories' manifests.
        counts: of each manifest: its name, the number of rows that it promises, and its data files.
        bucket: the bucket whose objects are listed; None without such an input.
        region: that bucket's region, if a manifest says it.
        notes: warnings of what was found.
        total: how many rows there are, by the manifests or the files' footers, once somebody has looked.
        until: where reading ends; None to read everything.
    """

    def __init__(
        self,
        paths: Sequence[str],
        form: str | None = None,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        buckets: Callable[[str], Bucket] | None = None,
    ) -> None:
        self._buckets = buckets
        self.inputs: list[Input] = []
        self.counts: list[tuple[str, int, range]] = []
        self.manifests: list[str] = []
        self.bucket: str | None = None
        self.region: str | None = None
        self.notes: list[str] = []
        self.position = 0
        self.total: int | None = None
        self.until: Position | None = None
        for path in paths:
            self._find(path, form)
        if len([each for each in self.inputs if each.path == "-"]) > 1:
            raise InputError("stdin (-) can be read once only")
        self.inputs = [
            each._replace(
                delimiter=delimiter or ("\t" if _stem(each.path).endswith(".tsv") else ","),
                encoding=encoding,
            )
            for each in self.inputs
        ]
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
    def read(self, index: int) -> Iterator[tuple[IO[bytes], Note]]:
        """An input's bytes, unpacked, and what notes how far they were read."""
        each, before = self.inputs[index], sum(each.size or 0 for each in self.inputs[:index])
        with open_input(each) as raw, read_errors(each.name):
            data = unpacked(each.path, raw)
            if each.encoding is not None:
                data = _Transcoded(data, each.encoding, each.name)  # type: ignore[assignment]

            def note(share: float | None = None) -> None:
                if self.size is not None and not raw.closed:
                    self.position = before + (raw.tell() if share is None else int((each.size or 0) * share))
                check_unchanged(each, raw)

            try:
                yield data, note
            except Exception:
                # What was read half before a change and half after it can look damaged: the change is the cause.
                check_unchanged(each, raw)
                raise
            check_unchanged(each, raw)
        self.position = before + (each.size or 0)

    def input_bytes(self, index: int) -> int:
        """How many bytes of the inputs, one after the other, were read at least for rows of one of them.

        Of a format whose columns lie apart it is all of the file.
        """
        before = sum(each.size or 0 for each in self.inputs[:index])
        size = self.inputs[index].size or 0 if self.inputs else 0
        if self.inputs and self.inputs[index].form in ("txt", "csv", "jsonl"):
            return before + min(size, max(0, self.position - before))
        return before + size

    def crc32(self, first: int, last: int, crc: int = 0) -> int:
        """The CRC-32 of some of the inputs' bytes as they are stored, one after the other.

        Args:
            first: where they begin.
            last: where they end.
            crc: the CRC-32 of those before them.
        """
        before = 0
        for each in self.inputs:
            size = 0 if each.bucket is not None else each.size or 0  # whose ETag says the same
            place, end = max(0, first - before), min(size, last - before)
            if place < end:
                with open_input(each) as raw, read_errors(each.name):
                    raw.seek(place)
                    while place < end and (block := raw.read(min(1 << 20, end - place))):
                        crc = crc32(block, crc)
                        place += len(block)
                    check_unchanged(each, raw)
            before += size
        return crc

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
            if form == "inventory":
                raise InputError("an inventory cannot come from stdin: give its manifest")
            self.inputs.append(Input("-", form or "txt", is_certain=form is not None))
            return
        if is_address(path):
            self._find_in_bucket(Address.parse(path, "inputs"), form)
            return
        if form in ("list", "versions"):
            raise InputError(f"{path} is not a bucket's list: give its address, such as cos://BUCKET/photos/")
        location = Path(path)
        if location.is_dir():
            self._find_in(path, form)
            return
        if not location.exists():
            paths = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
            if not paths:
                what = "matches no file" if glob.has_magic(path) else "does not exist"
                raise InputError(f"{path} {what}")
            for each in paths:
                self._find(each, form)
            return
        guess = form
        if guess is None:
            guess = "inventory" if location.name == MANIFEST else format_of(path)
            if guess is None:
                raise InputError(f"{path}: its suffix does not show the format: give it with `input_format`")
        if guess == "inventory":
            self._add_report(location)
        else:
            self.inputs.append(_with_status(Input(path, guess, is_certain=form is not None or guess != "txt")))

    def _find_in(self, folder: str, form: str | None) -> None:
        """Add the files of a directory, or the inventory report that it holds."""
        manifests = manifests_in(folder) if form in (None, "inventory") else []
        if not manifests and form == "inventory":
            raise InputError(f"the directory {folder} holds no manifest.json of an inventory")
        if manifests:
            newest = newest_report(manifests)
            if newest is None:
                names = ", ".join(str(each.parent) for each in manifests[:3])
                raise InputError(
                    f"the directory {folder} holds {len(manifests)} inventory reports, of several inventories: "
                    f"name one, such as {names}"
                )
            if len(manifests) > 1:
                self.notes.append(
                    f"{folder} holds {len(manifests)} reports of one inventory: the newest, {newest.parent}, is read"
                )
            first = len(self.inputs)
            self._add_report(newest)
            self._check_alone(folder, {os.path.dirname(os.path.realpath(each.path)) for each in self.inputs[first:]})
            return
        files = sorted(_list_files(folder))
        if not files:
            raise InputError(f"the directory {folder} has no files")
        for each in files:
            self._find(each, form)

    def _find_in_bucket(self, address: Address, form: str | None) -> None:
        """Add the objects that an address means: a list of them as rows, or those that hold keys."""
        if self._buckets is None:
            raise InputError(f"{address} lies in a bucket, which cannot be read here")
        bucket = self._buckets(address.bucket)
        if address.key and not address.key.endswith("/") and form not in ("list", "versions"):
            self._add_object(bucket, address, form)
            return
        manifest = None
        if form in (None, "inventory"):
            manifest = newest_bucket_report(bucket, address.key, deep=form == "inventory")
            if manifest is None and form == "inventory":
                raise InputError(f"{address} holds no manifest.json of an inventory")
        if manifest is not None:
            self._add_report_of(bucket, manifest)
        elif form in (None, "list", "versions"):
            self._check_bucket(str(address), bucket.name)
            self.bucket, self.region = bucket.name, bucket.region
            self.inputs.append(Input(str(address), form or "list", inventory=True, bucket=bucket))
        else:
            first = len(self.inputs)
            for page in bucket.pages(address.key):
                keys_after = len(address.key)
                self.inputs += [
                    _object_input(bucket, each, form) for each in page.objects if _is_file(each.key[keys_after:])
                ]
            if len(self.inputs) == first:
                raise InputError(f"{address} holds no objects")

    def _add_object(self, bucket: Bucket, address: Address, form: str | None) -> None:
        """Add an object that holds keys, or the report whose manifest it is."""
        entry = bucket.find(address.key)
        if entry is None:
            raise InputError(
                f"{address} does not exist: check the bucket and the region. To sign all objects with this prefix, "
                "end it with a slash; for patterns use `include`"
            )
        form = form or ("inventory" if address.key.rpartition("/")[2] == MANIFEST else format_of(address.key))
        if form is None:
            raise InputError(f"{address}: its suffix does not show the format: give it with `input_format`")
        if form == "inventory":
            self._add_report_of(bucket, address.key)
        else:
            self.inputs.append(_object_input(bucket, entry, form))

    def _add_report_of(self, bucket: Bucket, manifest: str) -> None:
        """Add the data files of a report that lies in a bucket."""
        name = str(Address(bucket.name, manifest))
        inventory, objects = read_bucket_report(bucket, manifest)
        self._check_bucket(name, inventory.bucket)
        self.manifests.append(name)
        self.bucket, self.region = inventory.bucket or self.bucket, inventory.region or self.region
        first = len(self.inputs)
        for entry, (_, _, md5) in zip(objects, inventory.files, strict=True):
            each = _object_input(bucket, entry, inventory.form)
            self.inputs.append(each._replace(md5=md5, fields=inventory.fields, inventory=True))
        if inventory.rows is not None:
            self.counts.append((name, inventory.rows, range(first, len(self.inputs))))

    def _check_bucket(self, name: str, bucket: str | None) -> None:
        """Refuse lists of two buckets."""
        if bucket is not None and self.bucket not in (None, bucket):
            raise InputError(f"{name} lists {bucket}, and another input {self.bucket}: use one job for each bucket")

    @staticmethod
    def _check_alone(folder: str, data_folders: set[str]) -> None:
        """Refuse a directory with a report and, elsewhere in it, lists of keys."""
        for each in sorted(_list_files(folder)):
            is_own = os.path.basename(each) in (MANIFEST, "symlink.txt")
            if format_of(each) and not is_own and os.path.dirname(os.path.realpath(each)) not in data_folders:
                raise InputError(
                    f"the directory {folder} holds an inventory report, and {each}: name the manifest.json, or the file"
                )

    def _add_report(self, path: Path) -> None:
        """Add the data files of an inventory report."""
        self.manifests.append(str(path))
        try:
            report = read_report(path)
        except ValueError as error:
            raise InputError(f"{path}{error}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        inventory = report.inventory
        self._check_bucket(str(path), inventory.bucket)
        self.bucket, self.region = inventory.bucket or self.bucket, inventory.region or self.region
        first = len(self.inputs)
        for file, (_, size, md5) in zip(report.files, inventory.files, strict=True):
            each = _with_status(Input(str(file), inventory.form, md5=md5, fields=inventory.fields, inventory=True))
            if each.size != size:
                raise InputError(f"{file} has {each.size} bytes, not the manifest's {size}: fetch it again")
            self.inputs.append(each)
        if inventory.rows is not None:
            self.counts.append((str(path), inventory.rows, range(first, len(self.inputs))))


def _stem(path: str) -> str:
    """A path in small letters, without the suffix of what packs it."""
    name = path.lower()
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    return name


def format_of(path: str) -> str | None:
    """What a file's suffix says that it holds; ``.gz`` and ``.zst`` go by themselves."""
    return FORMATS.get(Path(_stem(path)).suffix)


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
    if not is_regular:
        return each
    return each._replace(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def _is_file(name: str) -> bool:
    """Whether an object of a folder is a file, and not hidden, as `_list_files` has it."""
    *folders, last = name.split("/")
    if not last or any(each.startswith((".", "_")) for each in folders) or last.startswith("."):
        return False
    return not last.startswith("_") or format_of(last) is not None


def _object_input(bucket: Bucket, entry: Object, form: str) -> Input:
    path = str(Address(bucket.name, entry.key))
    return Input(path, form, entry.size, bucket=bucket, etag=entry.etag)


def open_input(each: Input) -> IO[bytes]:
    """An input's bytes as they are stored."""
    if each.bucket is not None:
        return each.bucket.open(Object(Address.parse(each.path).key, each.size or 0, each.etag or ""))
    if each.path == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(each.path, "rb")
    except OSError as error:
        raise InputError(f"{each.path} cannot be read: {error.strerror}") from None


def check_unchanged(each: Input, raw: IO[bytes]) -> None:
    """Raise an InputError if an input is not the same any more as when the job began; a bucket looks after its own."""
    if each.size is None or each.bucket is not None:
        return
    now = os.stat(each.path) if raw.closed else os.fstat(raw.fileno())
    if (now.st_size, now.st_mtime_ns) != (each.size, each.mtime_ns):
        how = "was written again" if now.st_size == each.size else f"had {each.size:,} bytes and has {now.st_size:,}"
        raise InputError(f"{each.name} changed while it was read: it {how}. Begin again when no program writes it")


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

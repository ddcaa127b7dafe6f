"""Rows without a URL, and the file that lists them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, NamedTuple

from cossign.batch.outputs.files import Warn, discard, give_name, named_errors, open_temporary, output_file, sync
from cossign.batch.outputs.paths import is_stream, temporary
from cossign.batch.packing import crc32
from cossign.errors import ParameterError
from cossign.storage import Address, Bucket, Upload


class BadRow(NamedTuple):
    """A row without a URL: its input, its number there, its key as it was read, and why."""

    file: str
    row: int
    key: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}: {self.reason}"


class BadRows:
    """The list of bad rows: JSON lines, in a file that gets its name when the job is done, or in a stream.

    Args:
        path: the file, or a stream; None for no list.
        warn: called with what its file system cannot do.
        size: how many bytes of it an earlier run of the job has written whose rows are in complete parts.
        crc: the CRC-32 of those.
        is_requested: whether somebody has named the path: it is opened before the work, and not with the first bad row.
    """

    def __init__(self, path: str | None, warn: Warn, size: int = 0, crc: int = 0, is_requested: bool = False) -> None:
        self._warn = warn
        self._is_requested = is_requested
        self._path = path
        self._stream = path if path is not None and is_stream(path) else None
        self._final = None if path is None or self._stream else Path(os.path.realpath(path))
        self._file: IO[bytes] | None = None
        self._before: os.stat_result | None = None  # of the list of an earlier job
        self._keep = size > 0
        self._flushed_size = size
        self._closing = contextlib.ExitStack()
        self.size = size
        self.crc32 = crc

    def __enter__(self) -> BadRows:
        if self._final is not None:
            self._take_over(self._final)
            with contextlib.suppress(OSError):
                self._before = os.stat(self._final)
        if self._is_requested or self.size:
            self._open()
        return self

    def _open(self) -> None:
        if self._stream is not None:
            self._file = self._closing.enter_context(output_file(self._stream, self._warn))
        elif self._final is not None:
            self._file = self._closing.enter_context(open_temporary(self._final, self._warn, keep=self.size > 0))
            self._file.truncate(self.size)  # the others were of a part that was not completed
            self._file.seek(self.size)

    def _take_over(self, final: Path) -> None:
        """See that what an earlier run has listed is there."""
        part = temporary(final)
        if self.size and not part.exists() and final.exists() and final.stat().st_size == self.size:
            os.replace(final, part)  # the job was ended between this and its journal's last line
        check_list(part, self.size, self.crc32)

    def write(self, bad: list[BadRow]) -> None:
        if self._file is None:
            self._open()
        if self._file is None:  # no list is wanted
            return
        data = "".join(json.dumps(each._asdict()) + "\n" for each in bad).encode()
        with named_errors(self._path or ""):
            self._file.write(data)
        self.size += len(data)
        self.crc32 = crc32(data, self.crc32)

    def flush(self) -> None:
        """Put them on the disk for good."""
        self._keep = True
        if self._file is not None and self.size > self._flushed_size:
            with named_errors(self._path or ""):
                self._file.flush()
            if self._final is not None:
                sync(self._file.fileno(), self._final, self._warn)
            self._flushed_size = self.size

    def complete(self) -> str | None:
        """Give the file its name, if any row was bad; returns where the list is.

        The list of an earlier job, which was there when this one began, becomes an empty one if no row was bad.
        """
        if self._final is None:
            return self._path if self.size else None
        if self.size == 0:
            now = None
            with contextlib.suppress(OSError):
                now = os.stat(self._final)
            if now is None or self._before is None or _has_changed(self._before, now):
                return None
        if self._file is None:
            self._open()
        assert self._file is not None
        self._keep = True
        give_name(self._file, self._final, self._warn)
        return self._path if self.size else None

    def __exit__(self, *error: object) -> None:
        if self._file is not None and self._final is not None and (self.size == 0 or not self._keep):
            discard(self._file, self._final)
        self._closing.close()


class BucketBadRows:
    """The lists of bad rows in a bucket: an object for each part that has any.

    Args:
        bucket: the bucket.
        name: gives the key of the list of a part, by the part's number.
        part: the number of the first part.
        size: how many bytes the lists of the parts before it have.
    """

    def __init__(self, bucket: Bucket, name: Callable[[int], str], part: int = 0, size: int = 0) -> None:
        self._bucket = bucket
        self._name = name
        self._part = part
        self._upload: Upload | None = None
        self._may_have_old = (
            True  # whether there may be a list of an earlier job, or of the part that was not completed
        )
        self.size = size
        self.crc32 = 0

    def __enter__(self) -> BucketBadRows:
        return self

    def write(self, bad: list[BadRow]) -> None:
        if self._upload is None:
            self._upload = self._bucket.write(self._name(self._part))
        data = "".join(json.dumps(each._asdict()) + "\n" for each in bad).encode()
        self._upload.write(data)
        self.size += len(data)

    def flush(self) -> None:
        """Make the object of a part that is complete."""
        upload, self._upload = self._upload, None
        if upload is not None:
            with upload:
                pass
        elif self._may_have_old and self._bucket.find(self._name(self._part)) is not None:
            self._bucket.remove(self._name(self._part))
        self._may_have_old = False
        self._part += 1

    def complete(self) -> str | None:
        """Make the last one; returns where they are."""
        if self._upload is not None or self._may_have_old:
            self.flush()
        return str(Address(self._bucket.name, self._name(-1))) if self.size else None

    def __exit__(self, *error: object) -> None:
        if self._upload is not None:
            self._upload.discard()


def _has_changed(before: os.stat_result, now: os.stat_result) -> bool:
    return not os.path.samestat(before, now) or before.st_mtime_ns != now.st_mtime_ns


def check_list(path: Path, size: int, crc: int) -> None:
    """Raise a ParameterError if a list of bad rows does not begin with the bytes that were written."""
    if size and (not path.exists() or _crc32(path, size) != crc):
        raise ParameterError("output", f"{path}, the list of bad rows, has changed: begin again")


def check_bucket_lists(bucket: Bucket, prefix: str, names: Iterable[str], size: int) -> None:
    """Raise a ParameterError if a list of bad rows is missing in a bucket, or all have not the size that was written.

    Args:
        bucket: the bucket.
        prefix: what the lists' keys begin with.
        names: the names of those that must be there.
        size: how many bytes they have together.
    """
    sizes = {each.key: each.size for page in bucket.pages(prefix) for each in page.objects}
    total = 0
    for key in (prefix + name for name in names):
        entry = None if key in sizes else bucket.find(key)  # a list of the bucket may lack what is new
        if entry is None and key not in sizes:
            raise ParameterError("output", f"{Address(bucket.name, key)}, a list of bad rows, is missing: begin again")
        total += sizes[key] if entry is None else entry.size
    if total != size:
        place = Address(bucket.name, prefix)
        raise ParameterError("output", f"the lists of bad rows in {place} are not as they were written: begin again")


def _crc32(path: Path, size: int) -> int | None:
    """The CRC-32 of a file's first bytes; None if it has fewer."""
    with open(path, "rb") as file:
        data = file.read(size)
    return crc32(data) if len(data) == size else None


def first_bad_row(path: str) -> str | None:
    """The first row of a list, which may not have its name yet; None if it cannot be read."""
    final = Path(os.path.realpath(path))
    for place in (temporary(final), final):
        with contextlib.suppress(OSError, ValueError, TypeError), open(place, "rb") as file:
            return str(BadRow(**json.loads(file.readline())))
    return None

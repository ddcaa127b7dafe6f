"""A job's journal: what was asked for, and which parts are done, so that a job that was ended can go on.

A directory of parts holds, beside them, `.journal.jsonl`: a line that says what the job is, then one for each part that
is complete and on the disk. In a bucket each line is an object. It holds no secret: SecretKey, token and headers'
values go into it as one SHA-256 of a URL that they signed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, NamedTuple

from cossign.batch.inputs.source import Input, Position
from cossign.batch.job import Job
from cossign.batch.outputs.files import complete_file, lock, named_errors, own_file, sync, sync_directory
from cossign.batch.outputs.paths import IS_WINDOWS
from cossign.batch.packing import crc32
from cossign.errors import ParameterError, StorageError
from cossign.storage import Address, Bucket, Object

NAME = ".journal.jsonl"
_NOT_OUTPUT = re.compile(rf"{re.escape(NAME)}|\..*\.part|\.DS_Store|(?i:desktop\.ini|thumbs\.db)")
_LINES = ".journal/"  # of a folder in a bucket: what the objects of the lines begin with
_READERS = 16  # threads that read them


class Part(NamedTuple):
    """A part that is complete.

    Attributes:
        name: its file's name.
        size: its bytes.
        crc32: its CRC-32.
        read: the rows that were read for it.
        rows: those of them that no filter has left out.
        bad: how many of those have no URL.
        end: where the next part begins.
        errors: how many bytes the list of bad rows has with its own.
        errors_crc32: the CRC-32 of those.
        input_bytes: how many bytes of the inputs, one after the other, were read at least up to the part's end.
        input_crc32: the CRC-32 of those.
        counts: what else was counted of its rows, as in `Report.counts`.
        secret_id: the SecretId that signed it.
        etag: its ETag, if it lies in a bucket.
    """

    name: str
    size: int
    crc32: int
    read: int
    rows: int
    bad: int
    end: Position
    errors: int
    errors_crc32: int
    input_bytes: int
    input_crc32: int
    counts: dict[str, int]
    secret_id: str
    etag: str = ""

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> Part:
        """A part as the journal has it.

        Raises:
            ValueError, TypeError, KeyError: it is not as it was written.
        """
        part = cls(**{**entry, "end": Position(*entry["end"])})
        numbers = (*part.end[:2], *(getattr(part, name) for name in _NUMBERS), *part.counts.values())
        texts = (part.secret_id, part.end.key, part.etag)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError
        if not all(isinstance(text, str) for text in texts):
            raise ValueError
        return part


_NUMBERS = ("size", "crc32", "read", "rows", "bad", "errors", "errors_crc32", "input_bytes", "input_crc32")


def part_name(index: int, suffix: str) -> str:
    """The name of a part, so that names sort as parts do: ``part-00000``, and from 100,000 on ``part-a100000``."""
    digits = max(5, len(str(index)))
    return f"part-{chr(ord('a') + digits - 6) if digits > 5 else ''}{index:05d}{suffix}"


class Journal:
    """A journal, and the place whose parts it lists.

    Args:
        name: the place's name.

    Attributes:
        name: the place's name.
        record: what the job that was begun is; None if there is none.
        parts: those that are complete.
        is_done: whether the job was ended.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.record: dict[str, Any] | None = None
        self.parts: list[Part] = []
        self.is_done = False
        self._digest = ""  # of all lines

    def begin(self, record: dict[str, Any]) -> None:
        """Write the job's description; again, if it continues with other credentials or with moved inputs."""
        self.record = record
        self.is_done = False
        self._add_line({"job": record})

    def add(self, index: int, part: Part) -> None:
        """Write that a part is complete, or was written again."""
        self.parts[index : index + 1] = [part]
        self.is_done = False
        fields = {name: value for name, value in part._asdict().items() if value or name != "etag"}
        end = part.end if part.end.key else part.end[:2]  # as it was before there were lists
        self._add_line({"part": {**fields, "end": end}})

    def end(self) -> None:
        """Write that the job is done."""
        self.is_done = True
        self._add_line({"done": True})

    def close(self) -> None:
        """Let other jobs have the place."""
        raise NotImplementedError

    def check_place(self) -> None:
        """Raise a ParameterError if the place is not the one that was opened."""
        raise NotImplementedError

    def write(self, name: str, *, replace: bool = False) -> AbstractContextManager[IO[bytes]]:
        """A part for a ``with`` block: it gets its name at the end, or leaves nothing.

        Args:
            name: the part's name.
            replace: whether it is a damaged part, which may be there.
        """
        raise NotImplementedError

    def is_whole(self, part: Part) -> bool:
        """Whether a part is there with the bytes that were written."""
        raise NotImplementedError

    def _append(self, data: bytes) -> None:
        """Write a line, for good."""
        raise NotImplementedError

    def _add_line(self, line: dict[str, Any]) -> None:
        self._digest = _chained(self._digest, line)
        self._append(json.dumps({**line, "digest": self._digest}, sort_keys=True).encode() + b"\n")

    def _read_lines(self, lines: Iterable[bytes], file: str, what: str) -> None:
        """Take lines over.

        Raises:
            ParameterError: they are not as they were written.
        """
        try:
            for line in lines:
                self._take(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise ParameterError("output", f"{file} was altered: remove {what}, and begin again") from None

    def _take(self, entry: dict[str, Any]) -> None:
        """Take a line over, if it follows those before it.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it does not.
        """
        self._digest = _chained(self._digest, {name: value for name, value in entry.items() if name != "digest"})
        if entry["digest"] != self._digest or (self.record is None and "job" not in entry):
            raise ValueError
        self.is_done = "done" in entry
        if "job" in entry:
            self.record = dict(entry["job"])
        elif "part" in entry:
            part = Part.parse(entry["part"])
            assert self.record is not None
            suffix = str(self.record["format"])
            index = int(re.sub(r"\D", "", part.name.removesuffix(suffix)))
            before = self.parts[index - 1] if index else None
            is_next = index <= len(self.parts) and part.name == part_name(index, suffix)
            if not is_next or (before and not (before.end <= part.end and before.errors <= part.errors)):
                raise ValueError
            self.parts[index : index + 1] = [part]
        elif entry["done"] is not True:
            raise ValueError


class FolderJournal(Journal):
    """The journal of a directory, which it locks: a line for each entry, in a file.

    Args:
        folder: the directory, which is made if need be.
        resume: whether a job may have begun in it.
        warn: called with what the directory's file system cannot do.

    Raises:
        ParameterError: another job is at work there, or the directory is not empty, or holds no job to resume, or the
            journal is not as it was written.
    """

    def __init__(self, folder: Path, resume: bool, warn: Callable[[str], object]) -> None:
        super().__init__(str(folder))
        self.folder = folder
        self._warn = warn
        if not folder.is_dir():
            folder.mkdir()
            sync_directory(folder.parent, warn, folder)
        path = folder / NAME
        names: list[str] = []
        is_new = not os.path.lexists(path)
        self._descriptor = own_file(path, create=True)
        try:
            lock(self._descriptor, str(folder), warn)
            # A job that was ended before its first part has left only hidden files: there is nothing to lose.
            # The systems of desktops put files of their own into every directory that somebody looks at.
            names = [name for name in os.listdir(folder) if not _NOT_OUTPUT.fullmatch(name)]
            if not resume and not names:
                os.ftruncate(self._descriptor, 0)
            self._read()
            if names and (not resume or self.record is None):
                what = ", and holds no job to resume" if resume else ""
                more = "" if is_new or resume else "use `resume=True` to continue the job in it, or "
                raise ParameterError("output", f"the directory {folder} is not empty{what}: {more}choose another one")
        except BaseException:
            is_left = is_new and bool(names)
            if is_left and not IS_WINDOWS:
                path.unlink(missing_ok=True)
            self.close()
            if is_left and IS_WINDOWS:  # which removes no file that is open
                path.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        os.close(self._descriptor)

    def check_place(self) -> None:
        # One that was moved, and made anew, is another one.
        try:
            is_same = os.path.samestat(os.fstat(self._descriptor), os.stat(self.folder / NAME))
        except OSError:
            is_same = False
        if not is_same:
            raise ParameterError(
                "output", f"{self.folder} was moved or removed while the job was running: resume it where it is now"
            )

    @contextlib.contextmanager
    def write(self, name: str, *, replace: bool = False) -> Iterator[IO[bytes]]:
        with complete_file(self.folder / name, self._warn) as raw:
            yield raw

    def is_whole(self, part: Part) -> bool:
        path = self.folder / part.name
        if path.is_dir():
            raise ParameterError("output", f"{path} is a directory, but a part needs this name: remove it")
        crc, size = 0, 0
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            while block := file.read(1 << 20):
                crc, size = crc32(block, crc), size + len(block)
        return (size, crc) == (part.size, part.crc32)

    def _append(self, data: bytes) -> None:
        with named_errors(self.folder / NAME):
            while data:
                data = data[os.write(self._descriptor, data) :]
            sync(self._descriptor, self.folder / NAME, self._warn)
        if self.parts == []:
            sync_directory(self.folder, self._warn)

    def _read(self) -> None:
        """What is in it; a last line that a power cut has torn is cut off."""
        data = (self.folder / NAME).read_bytes()
        whole_lines = data[: data.rfind(b"\n") + 1]
        self._read_lines(whole_lines.splitlines(), str(self.folder / NAME), "the directory")
        os.ftruncate(self._descriptor, len(whole_lines))
        os.lseek(self._descriptor, 0, os.SEEK_END)


class BucketJournal(Journal):
    """The journal of a folder of a bucket: an object for each line.

    No line replaces another one: of two jobs that are at work in one folder, the later one is refused. In a bucket with
    versions COS does not look at that. A list of a bucket may lack what was written a moment ago, so the next line and
    the parts that it lacks are asked for by their names.

    Args:
        bucket: the bucket.
        prefix: what the folder's keys begin with.
        resume: whether a job may have begun in it.

    Raises:
        ParameterError: the folder is not empty, or holds no job to resume, or the journal is not as it was written.
        StorageError: the bucket cannot be read.
    """

    def __init__(self, bucket: Bucket, prefix: str, resume: bool) -> None:
        super().__init__(str(Address(bucket.name, prefix)))
        self._bucket = bucket
        self._prefix = prefix
        self._etags: dict[str, str] = {}
        self._objects: dict[str, Object] = {}  # the parts that were there
        self._line_count = 0
        keys = [each.key for page in bucket.pages(f"{prefix}{_LINES}") for each in page.objects]
        lines = {key for key in keys if re.fullmatch(r"[0-9]{8,}\.json", key[len(prefix) + len(_LINES) :])}
        count = 0
        while self._line_key(count) in lines or bucket.find(self._line_key(count)) is not None:
            count += 1
        if len(lines) > count:
            raise ParameterError("output", f"{self.name}{_LINES} was altered: remove the folder, and begin again")
        if (count and not resume) or (not count and self._has_others(keys)):
            what = ", and holds no job to resume" if resume else ""
            more = "use `resume=True` to continue the job in it, or " if count else ""
            raise ParameterError("output", f"{self.name} is not empty{what}: {more}choose another folder")
        with ThreadPoolExecutor(_READERS) as pool:
            texts = list(pool.map(bucket.read, map(self._line_key, range(count))))
        self._read_lines(texts, f"{self.name}{_LINES}", "the folder")
        if resume:
            abort_uploads(bucket, prefix)
            self._look_at_parts()

    def _line_key(self, number: int) -> str:
        return f"{self._prefix}{_LINES}{number:08d}.json"

    def _has_others(self, lines: Sequence[str]) -> bool:
        """Whether the folder has objects other than the journal's; a console makes an object for an empty folder."""
        own = {self._prefix, *lines}
        return any(each.key not in own for each in next(self._bucket.pages(self._prefix)).objects)

    def _look_at_parts(self) -> None:
        """Note which parts are there, and remove those that were not written down: their rows are signed again."""
        names = {part.name for part in self.parts}
        for page in self._bucket.pages(f"{self._prefix}part-"):
            for each in page.objects:
                name = each.key[len(self._prefix) :]
                if name in names:
                    self._objects[name] = each
                elif re.fullmatch(r"part-[a-z]?\d{5,}\..*", name):
                    self._bucket.remove(each.key)
        for name in names - self._objects.keys():
            entry = self._bucket.find(self._prefix + name)
            if entry is not None:
                self._objects[name] = entry
        if self.record is not None:
            next_part = self._prefix + part_name(len(self.parts), str(self.record["format"]))
            if self._bucket.find(next_part) is not None:  # in a bucket with versions a removal leaves a mark
                self._bucket.remove(next_part)

    def _take(self, entry: dict[str, Any]) -> None:
        super()._take(entry)
        self._line_count += 1

    def close(self) -> None:
        pass

    def check_place(self) -> None:
        pass

    @contextlib.contextmanager
    def write(self, name: str, *, replace: bool = False) -> Iterator[IO[bytes]]:
        with self._refusing(), self._bucket.write(self._prefix + name, replace=replace) as upload:
            yield upload  # type: ignore[misc]
        self._etags[name] = upload.etag

    def add(self, index: int, part: Part) -> None:
        super().add(index, part._replace(etag=self._etags.pop(part.name, part.etag)))

    def is_whole(self, part: Part) -> bool:
        entry = self._objects.get(part.name)
        return entry is not None and (entry.size, entry.etag) == (part.size, part.etag)

    def _append(self, data: bytes) -> None:
        with self._refusing():
            self._bucket.put(self._line_key(self._line_count), data, replace=False)
        self._line_count += 1

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Say what it means that a line or a part is there already."""
        try:
            yield
        except StorageError as error:
            if error.status != 409:
                raise
            raise ParameterError(
                "output", f"{self.name} is being written by another job: wait for it, or choose another folder"
            ) from None


def abort_uploads(bucket: Bucket, key: str) -> int:
    """Give up what killed jobs were uploading; returns how many uploads that were.

    Args:
        bucket: the bucket.
        key: the object's key, or what a folder's keys begin with, with its slash.

    Raises:
        StorageError: COS refuses it.
    """
    names = re.compile(r"(_errors/)?part-.*" if not key or key.endswith("/") else r"(\.errors\.jsonl)?", re.DOTALL)
    uploads = [each for each in bucket.unfinished(key) if names.fullmatch(each[0][len(key) :])]
    for name, upload_id in uploads:
        bucket.abort(name, upload_id)
    return len(uploads)


def _chained(digest: str, line: dict[str, Any]) -> str:
    """The digest of a line and all before it: a line that is removed, added, moved or altered breaks the chain."""
    return hashlib.sha256((digest + json.dumps(line, sort_keys=True)).encode()).hexdigest()[:16]


def job_record(job: Job, inputs: list[Input], versions: dict[str, str], suffix: str) -> dict[str, Any]:
    """What a job is, without a secret: its output is the same if this is."""
    signer = job.signer
    probe = signer.presign("cossign", headers=dict(job.headers), key_time=(1, 2))
    return {
        "version": 2,
        "versions": versions,
        "inputs": [
            {
                "path": os.path.realpath(each.path) if each.bucket is None else each.path,
                "form": each.form,
                "size": each.size,
                "mtime_ns": each.mtime_ns,
                "inode": each.inode,
                "md5": each.md5,
                **({} if each.etag is None else {"etag": each.etag}),
            }
            for each in inputs
        ],
        "start": signer.start,
        "host": signer.object_url("cossign"),
        "secret_id": signer.valid_credentials().secret_id,
        "headers": sorted(name.lower() for name in job.headers),
        "check": hashlib.sha256(probe.encode()).hexdigest(),
        "strict": signer.strict,
        "sign_host": signer.sign_host,
        "round_to": signer.round_to,
        "format": suffix,
        "query": {name: str(value) for name, value in job.query.items()},
        **{
            name: getattr(job, name)
            for name in (
                "expires",
                "method",
                "method_column",
                "expires_column",
                "key_column",
                "url_column",
                "rows_per_part",
                "on_error",
                "delimiter",
                "encoding",
                "latest",
            )
        },
        "query_columns": dict(job.query_columns),
        **{name: list(getattr(job, name)) for name in ("keep_columns", "include", "exclude", "where")},
        "columns": None if job.columns is None else list(job.columns),
        "errors": None if job.errors is None else os.path.realpath(job.errors),
    }


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two records, in words; of inputs, how many they are, their forms and their sizes."""
    differences = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name == "inputs":
            differences += _changed_inputs(old or [], new or [])
        elif name == "check":
            if not {"host", "headers", "secret_id"} & {each for each in before if before[each] != now.get(each)}:
                differences.append("the SecretKey, the token or a header's value")
        else:
            differences.append(f"`{name}` ({_value_text(old)} to {_value_text(new)})")
    return differences


def _value_text(value: Any) -> str:
    return "not given" if value is None else json.dumps(value)


def _changed_inputs(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    """What differs between inputs. Their names may differ: `resume` compares the bytes that were read."""
    old, new = ([_name(each) for each in inputs] for inputs in (before, now))
    if len(before) == len(now):
        pairs = [
            (left, right, [field for field in ("form", "size", "md5") if left.get(field) != right[field]])
            for left, right in zip(before, now, strict=True)
        ]
        if all(_name(left) == _name(right) or not fields for left, right, fields in pairs):
            return [f"the input {right['path']} ({', '.join(fields)})" for _, right, fields in pairs if fields]
    differences = [f"{each['path']} is no longer an input" for each in before if _name(each) not in new]
    differences += [f"{each['path']} is a new input" for each in now if _name(each) not in old]
    return differences or ["the inputs' order or number"]


def _name(entry: dict[str, Any]) -> str:
    """The name of a record's input, without its folder, which may be another one when the job is resumed."""
    return os.path.basename(str(entry["path"]))


def same_inputs(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the inputs are those that were read before, by their places and times, or by the manifest's MD5s."""
    return all(
        old == new or any(old.get(name) is not None and old.get(name) == new.get(name) for name in ("md5", "etag"))
        for old, new in zip(before["inputs"], now["inputs"], strict=True)
    )

"""A job's journal: what was asked for, and which parts are done, so that a job that was ended can go on.

A directory of parts holds, beside them, `.journal.jsonl`: a line that says what the job is, then one for each part that
is complete and on the disk. It holds no secret: SecretKey, token and headers' values go into it as one SHA-256 of a URL
that they signed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from cossign.batch.inputs.source import Input, Position
from cossign.batch.job import Job
from cossign.batch.outputs.files import lock, own_file, sync_directory
from cossign.errors import ParameterError

NAME = ".journal.jsonl"


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
    """

    name: str
    size: int
    crc32: int
    read: int
    rows: int
    bad: int
    end: Position
    errors: int


class Journal:
    """The journal of an output directory, which it locks.

    Args:
        folder: the directory, which is made if need be.
        resume: whether a job may have begun in it.

    Raises:
        ParameterError: another job is at work there, or the directory is not empty, or holds no job to resume.

    Attributes:
        record: what the job that was begun is; None if there is none.
        parts: those that are complete.
        done: whether the job was ended.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        self.folder = folder
        self.record: dict[str, Any] | None = None
        self.parts: list[Part] = []
        self.is_done = False
        folder.mkdir(exist_ok=True)
        path = folder / NAME
        # A job that was ended before its first part has left nothing but hidden files: there is nothing to lose.
        names = [name for name in os.listdir(folder) if name != NAME and not re.fullmatch(r"\..*\.part", name)]
        if names and not resume:
            more = "use `resume=True` to continue the job in it, or " if path.exists() else ""
            raise ParameterError("output", f"the directory {folder} is not empty: {more}choose another one")
        self._descriptor = own_file(path, create=True)
        try:
            lock(self._descriptor, str(folder))
            if not resume:
                os.ftruncate(self._descriptor, 0)
            self._read()
        except BaseException:
            self.close()
            raise

    def begin(self, record: dict[str, Any]) -> None:
        """Write what the job is."""
        self.record = record
        self._write({"job": record})
        sync_directory(self.folder)

    def add(self, part: Part) -> None:
        """Write that a part is complete."""
        self.parts.append(part)
        self._write({"part": part._asdict()})

    def end(self) -> None:
        """Write that the job is done."""
        self.is_done = True
        self._write({"done": True})

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, sort_keys=True).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)

    def _read(self) -> None:
        """What is in it; a last line that a power cut has torn is cut off."""
        data = (self.folder / NAME).read_bytes()
        whole_lines = data[: data.rfind(b"\n") + 1]
        try:
            for line in whole_lines.splitlines():
                entry = json.loads(line)
                if "job" in entry:
                    self.record = entry["job"]
                elif "part" in entry:
                    self.parts.append(Part(**{**entry["part"], "end": Position(*entry["part"]["end"])}))
                else:
                    self.is_done = bool(entry["done"])
        except (ValueError, TypeError, KeyError):
            raise ParameterError(
                "output", f"{self.folder / NAME} was altered: remove the directory, and begin again"
            ) from None
        os.ftruncate(self._descriptor, len(whole_lines))
        os.lseek(self._descriptor, 0, os.SEEK_END)


def job_record(job: Job, inputs: list[Input], versions: dict[str, str], suffix: str) -> dict[str, Any]:
    """What a job is, without a secret: its output is the same if this is."""
    signer = job.signer
    probe = signer.presign("cossign", headers=dict(job.headers), key_time=(1, 2))
    return {
        "version": 1,
        "versions": versions,
        "inputs": [
            {"path": os.path.realpath(each.path), "form": each.form, "size": each.size, "mtime_ns": each.mtime_ns}
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
            )
        },
        "query_columns": dict(job.query_columns),
        **{name: list(getattr(job, name)) for name in ("keep_columns", "include", "exclude", "where")},
        "columns": None if job.columns is None else list(job.columns),
        "errors": None if job.errors is None else os.path.realpath(job.errors),
    }


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two plans, in words."""
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
    old = {each["path"]: each for each in before}
    new = {each["path"]: each for each in now}
    differences = [f"{path} is no longer an input" for path in old if path not in new]
    differences += [f"{path} is a new input" for path in new if path not in old]
    for path in old:
        if path in new and old[path] != new[path]:
            what = ", ".join(name for name in new[path] if old[path].get(name) != new[path][name])
            differences.append(f"the input {path} ({what})")
    return differences or ["the inputs' order"]

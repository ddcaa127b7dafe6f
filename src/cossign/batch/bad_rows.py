"""Rows without a URL, and the file that lists them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, NamedTuple

from cossign.batch.sinks import lock, sync_directory
from cossign.errors import ParameterError


class Bad(NamedTuple):
    """A row without a URL: its input, its number there, its key as it was read, and why."""

    file: str
    row: int
    key: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}: {self.reason}"


class BadRows:
    """The list of bad rows: JSON lines, in a file that gets its name when the job is done."""

    def __init__(self, final: Path | None, size: int) -> None:
        self._final = final
        self._temporary = None if final is None else final.with_name(f".{final.name}.part")
        self._file: IO[bytes] | None = None
        self._keep = size > 0
        self.size = size  # of those whose rows are in complete parts

    def __enter__(self) -> BadRows:
        if self._final is None or self._temporary is None:
            return self
        if self.size and not self._temporary.exists() and self._final.exists():
            os.replace(self._final, self._temporary)  # the job was ended between this and its journal's last line
        if self.size and (not self._temporary.exists() or self._temporary.stat().st_size < self.size):
            raise ParameterError(
                "OUT", f"{self._temporary}, the list of bad rows, is not as it was written: begin again"
            )
        if self._temporary.exists():
            self._open()
        return self

    def _open(self) -> IO[bytes]:
        assert self._final is not None
        assert self._temporary is not None
        file = open(os.open(self._temporary, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")  # noqa: SIM115
        try:
            lock(file.fileno(), self._final.name)
        except ParameterError:
            file.close()
            raise
        file.truncate(self.size)  # the others were of a part that was not completed
        file.seek(self.size)
        self._file = file
        return file

    def write(self, bad: list[Bad]) -> None:
        if self._final is None:
            return
        file = self._file or self._open()
        data = "".join(json.dumps(each._asdict()) + "\n" for each in bad).encode()
        file.write(data)
        self.size += len(data)

    def flush(self) -> None:
        """Put them on the disk for good."""
        self._keep = True
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def complete(self) -> str | None:
        """Give the file its name, if it has any."""
        if self._final is None or self._temporary is None:
            return None
        if self.size == 0:
            self._final.unlink(missing_ok=True)  # that of an earlier job
            return None
        self.flush()
        os.replace(self._temporary, self._final)
        sync_directory(self._final.parent)
        return str(self._final)

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
        if self._file is not None and self._temporary is not None and (self.size == 0 or not self._keep):
            self._temporary.unlink(missing_ok=True)

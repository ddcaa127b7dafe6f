"""What a job is: what is asked for, how far it is, what was done, and what it would take."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from cossign.batch.outputs.files import output_file
from cossign.signer import Signer


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to presign, how, and where to.

    Args:
        inputs: files, directories, patterns, inventory manifests, folders that hold an inventory report, or "-" for
            stdin; see `Source`. In the place of a key they may have an address of the Signer's bucket:
            ``cos://BUCKET/KEY`` or ``https://HOST/KEY``.
        output: a file; a directory, of parts; "-" for stdout; a pipe or a device; ``cos://BUCKET/KEY``, or of parts
            ``cos://BUCKET/PREFIX/``.
        signer: what signs.
        expires: how long the signatures are valid, in seconds.
        start: when they begin, Unix seconds; None for now, or, when resumed, for when the job began.
        method: as in `Signer.presign`.
        query: as in `Signer.presign`: the same for all rows.
        headers: as in `Signer.presign`.
        query_columns: parameters whose values are columns of the input: parameter to column.
        method_column: the column of the methods, which then differ by row.
        expires_column: the column with the seconds for which a row's signature is valid.
        input_format: "txt", "csv", "jsonl", "parquet", "arrow", "orc", "inventory", "list" (a bucket's objects) or
            "versions" (all of them, and delete markers);
            None to go by each suffix.
        output_format: "txt", "csv", "jsonl", "parquet" or "arrow", with ".gz" or ".zst" after it or not; None to go
            by the suffix. Text has the URLs alone; all others have columns.
        delimiter: what is between the fields of CSV that is read, one character; None for a comma, and for a tab in
            ``.tsv``.
        encoding: of text, CSV and JSON lines that are read, such as "gbk" or "utf-16"; None for UTF-8.
        latest: whether old versions and delete markers are left out, by the columns IsLatest and IsDeleteMarker of an
            inventory or of another table.
        key_column: the column of the keys, None for ``key``; ``meta.key`` is the field of a struct. An inventory's is
            always Key.
        columns: the columns' names in CSV without a header.
        keep_columns: which of the input's columns stay beside the URL; ("all",) for all.
        url_column: the name of the URLs' column; None for ``url``.
        include: prefixes, or patterns with ``*``, ``?`` and ``[...]`` of whole keys: rows whose key matches none are
            left out.
        exclude: the same: rows whose key matches one are left out.
        where: conditions such as "Size>=1MiB", "StorageClass=STANDARD", "LastModifiedDate<2026-01-01", "IsLatest=true",
            which must all hold. A number (5000), a size (10KB, 1MiB), a date (2026-01-31, a whole day in UTC;
            2026-01-31T12:00:00Z) and true or false are compared as such, also where a column holds texts. Any other
            value is a text, for ``=`` and ``!=``; in quotes for ``<`` and the others, too.
        rows_per_part: how many rows a part has, fewer where bad ones are left out; the output is then a directory.
        resume: continue the job that was begun in the output directory, if there is one.
        new_credentials: whether a job may be resumed with other credentials than it was begun with, as temporary ones
            end; the journal has the SecretId of each part.
        on_error: what a bad row does: "fail" ends the job, "skip" leaves the row out, "null" writes it without a URL.
        errors: the file, pipe or device that lists bad rows, as JSON lines; None for ``errors.jsonl`` in a directory
            and ``OUT.errors.jsonl`` beside a file. A file appears only if there are any; an earlier one becomes empty.
        report: the file, pipe or device, or address, that gets the report as JSON when the job is done.
        endpoint: where a bucket that is read or written is asked, instead of ``cos.REGION.myqcloud.com``; as in
            `storage.Bucket`.
        threads: how many threads sign; None for one a core, at most 4.
        check_space: whether a job that would fill the disk is refused.

    The signatures' KeyTime is one for all rows, but for those with a column of their own.
    """

    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    output: str | os.PathLike[str] = "-"
    signer: Signer
    expires: int = 900
    start: int | None = None
    method: str = "GET"
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query_columns: Mapping[str, str] = field(default_factory=dict)
    method_column: str | None = None
    expires_column: str | None = None
    input_format: str | None = None
    output_format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    latest: bool = False
    key_column: str | None = None
    columns: Sequence[str] | None = None
    keep_columns: Sequence[str] = ()
    url_column: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    where: Sequence[str] = ()
    rows_per_part: int | None = None
    resume: bool = False
    new_credentials: bool = False
    on_error: str = "fail"
    errors: str | os.PathLike[str] | None = None
    report: str | os.PathLike[str] | None = None
    endpoint: str | None = None
    threads: int | None = None
    check_space: bool = True


class Progress(NamedTuple):
    """How far a job is.

    Attributes:
        rows: the rows that were written, or left out as bad.
        total: how many there will be, as far as that can be told.
        bad: how many of them have no URL.
        read: bytes that were read, as they are stored.
        size: how many there are, if that is known.
        written: bytes that were written.
        parts: parts that are complete.
        seconds: since the job began, or was resumed.
    """

    rows: int
    total: int | None
    bad: int
    read: int
    size: int | None
    written: int
    parts: int
    seconds: float


@dataclass
class Report:
    """What a job did.

    Attributes:
        rows: rows that no filter has left out.
        read: all rows that were read.
        bad: rows without a URL.
        first_error: what was wrong with the first of those, or None.
        counts: what else was counted, by name. "empty_lines" are left out. "old_versions" and "delete_markers" are
            rows, which `latest` leaves out. There are warnings about keys with "blank_ends", "inner_crs" and, in
            inventories, "plus_signs", and about "lone_crs" in CSV.
        written: bytes of output.
        parts: how many parts there are; 0 for a single file or a stream.
        resumed: how many of the rows were there before the job was resumed.
        secret_ids: how many parts each SecretId has signed.
        seconds: how long it took, since it was resumed.
        key_time: ``(start, end)``, Unix seconds.
        complete: whether there were as many rows as the inventories' manifests say.
        warnings: what may not be as it was meant.
        errors: the file that lists the bad rows, if there are any.
        output, engine, threads, versions: of the job.
    """

    output: str
    key_time: tuple[int, int]
    engine: str
    threads: int
    rows: int = 0
    read: int = 0
    bad: int = 0
    first_error: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    written: int = 0
    parts: int = 0
    resumed: int = 0
    secret_ids: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    complete: bool = True
    warnings: list[str] = field(default_factory=list)
    errors: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float:
        return (self.rows - self.resumed) / self.seconds if self.seconds else 0.0

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON."""
        with output_file(os.fspath(path), warnings.warn) as file:
            file.write(self.text().encode())

    def text(self) -> str:
        """The report as JSON."""
        return json.dumps({**asdict(self), "rows_per_second": round(self.rows_per_second)}, indent=1) + "\n"


@dataclass
class Estimate:
    """What a job would do, by a sample of its first rows.

    Attributes:
        urls: the first three.
        rows: how many rows it would write.
        exact: whether the inputs give the number.
        seconds: how long that would take.
        written: how many bytes it would write.
        free: how many bytes the disk has; None for a stream.
        sample: how many rows were tried.
        bad: how many of those have no URL.
        first_error: what is wrong with the first of those.
        warnings: what may not be as it was meant.
    """

    urls: list[str]
    rows: int | None
    exact: bool
    seconds: float | None
    written: int | None
    free: int | None
    sample: int
    bad: int
    first_error: str | None
    warnings: list[str]

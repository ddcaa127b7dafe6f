"""The values of a job: its parameters, its progress, its report, and its estimate."""

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
    """The parameters of a job: what to presign, how, and where to write it.

    Args:
        inputs: files, directories, patterns, inventory manifests, folders that hold an inventory report, or "-" for
            stdin; see `Source`. Instead of a key, a row may contain an address in the Signer's bucket:
            ``cos://BUCKET/KEY`` or ``https://HOST/KEY``.
        output: a file; a directory for parts; "-" for stdout; a pipe or a device; ``cos://BUCKET/KEY``, or
            ``cos://BUCKET/PREFIX/`` for parts.
        signer: the Signer.
        expires: how long the signatures are valid, in seconds.
        start: the start of the signatures, Unix seconds. None: now, or the start of the job that is resumed.
        method: as in `Signer.presign`.
        query: as in `Signer.presign`: the same for all rows.
        headers: as in `Signer.presign`.
        query_columns: parameters whose values are columns of the input: parameter to column.
        method_column: the column with the methods.
        expires_column: the column with the seconds for which a row's signature is valid.
        input_format: "txt", "csv", "jsonl", "parquet", "arrow", "orc", "inventory", "list" (a bucket's objects) or
            "versions" (all of them, and delete markers);
            None: by the suffix of each file.
        output_format: "txt", "csv", "jsonl", "parquet" or "arrow", with ".gz" or ".zst" after it or not; None: by the
            suffix. Text contains only the URLs; all others have columns.
        delimiter: the character between the fields of CSV inputs. None: a comma, or a tab in ``.tsv``.
        encoding: the encoding of text, CSV and JSON lines inputs, such as "gbk" or "utf-16". None: UTF-8.
        latest: whether old versions and delete markers are left out, by the columns IsLatest and IsDeleteMarker of an
            inventory or of another table.
        key_column: the column with the keys. None: ``key``. ``meta.key`` is the field of a struct. In an inventory it
            is always Key.
        columns: the names of the columns of CSV without a header.
        keep_columns: the columns of the input to copy to the output; ("all",) for all.
        url_column: the name of the column with the URLs. None: ``url``.
        include: prefixes, or patterns of whole keys with ``*``, ``?`` and ``[...]``. Rows whose key matches none of
            them are left out.
        exclude: the same. Rows whose key matches one of them are left out.
        where: conditions such as "Size>=1MiB", "StorageClass=STANDARD", "LastModifiedDate<2026-01-01", "IsLatest=true",
            all of which must be true. A number (5000), a size (10KB, 1MiB), a date (2026-01-31, a whole day in UTC;
            2026-01-31T12:00:00Z) and true or false are compared as such, also where a column holds texts. Any other
            value is a text, for ``=`` and ``!=``; in quotes for ``<`` and the others, too.
        rows_per_part: the number of rows of a part, fewer if bad ones are left out. The output is then a directory.
        resume: continue the job that was begun in the output directory, if there is one.
        new_credentials: whether a job may be resumed with other credentials, because temporary ones end. The journal
            contains the SecretId of each part.
        on_error: for a bad row: "fail" ends the job, "skip" leaves the row out, "null" writes it without a URL.
        errors: the file, pipe or device for the list of bad rows, as JSON lines. None: ``errors.jsonl`` in a directory,
            and ``OUT.errors.jsonl`` next to a file. The file is made only if there are bad rows; an earlier one becomes
            empty.
        report: the file, pipe, device or address for the report, as JSON, at the end of the job.
        endpoint: the host for reading and writing buckets, instead of ``cos.REGION.myqcloud.com``; as in
            `storage.Bucket`.
        threads: the number of threads that sign. None: one for each core, at most 4.
        check_space: whether to refuse a job that would fill the disk.

    All rows have the same KeyTime, except with `expires_column`.
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
    """The result of a job.

    Attributes:
        rows: the rows that the filters kept.
        read: all rows of the inputs.
        bad: rows without a URL.
        first_error: the reason of the first bad row, or None.
        counts: other counts, by name. "empty_lines" are left out. "old_versions" and "delete_markers" are rows that
            `latest` leaves out. There are warnings about keys with "blank_ends", "inner_crs" and, in inventories,
            "plus_signs", and about "lone_crs" in CSV.
        written: bytes of output.
        parts: the number of parts; 0 for a single file or a stream.
        resumed: the number of rows from before the job was resumed.
        secret_ids: the number of parts that each SecretId has signed.
        seconds: the duration, since it was resumed.
        key_time: ``(start, end)``, Unix seconds.
        complete: whether the number of rows is that of the inventories' manifests.
        warnings: texts about possible mistakes.
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
        warnings: texts about possible mistakes.
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

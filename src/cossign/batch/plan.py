"""A checked job: its inputs and outputs, its signing, and its description in the journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cossign import __version__
from cossign.batch.inputs.source import Position, Source
from cossign.batch.job import Job
from cossign.batch.journal import job_record
from cossign.batch.outputs.formats import output_format
from cossign.batch.outputs.paths import check_folder, check_outputs, is_directory, is_stream
from cossign.batch.packing import GZIP, pyarrow
from cossign.batch.signing import LineSigner, RowSigner
from cossign.batch.warnings import Keys, count_warnings
from cossign.errors import ParameterError
from cossign.signer import Signer
from cossign.storage import Address, Bucket, is_address

_ROWS_PER_PART = 1_000_000
_OWN_NAMES = ("part-", "_errors/", ".journal/")  # what a job's objects in a folder of a bucket begin with


class Plan:
    """A job that was checked. Nothing was read or written yet.

    Raises:
        InputError: an input does not exist.
        ParameterError: a parameter is not valid, or does not go with another one.

    Attributes:
        job: the job; its Signer has one SecretKey for all rows.
        output: where it writes.
        address: that place, if it lies in a bucket.
        is_directory: whether that is a directory of parts.
        inputs: what it reads, as it was given.
        source: the inputs.
        format: the output's format.
        has_filters: whether some rows may be left out.
        is_plain: whether lines of text become lines of text, and only keys are read.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.output = os.fspath(job.output)
        self.address = Address.parse(self.output, "output") if is_address(self.output) else None
        is_folder = job.rows_per_part is not None or is_directory(self.output)
        if self.address is not None:
            is_folder = is_folder or not self.address.key
            if is_folder and self.address.key and not self.address.key.endswith("/"):
                self.address = self.address._replace(key=f"{self.address.key}/")
            self.output = str(self.address)
        self.is_directory = not is_stream(self.output) and is_folder
        self._check_choices()
        self.has_filters = bool(job.include or job.exclude or job.where or job.latest)
        self.inputs = [os.fspath(each) for each in _input_list(job.inputs)]
        self._bucket_signer = job.signer  # whose credentials are renewed: a bucket is asked for hours
        self._buckets: dict[str, Bucket] = {}
        self.source = self.new_source()
        self.format = output_format(self.output, job.output_format, self.is_directory)
        self._check_encoding()
        self._check_columns()
        self.is_plain = self._is_plain()
        self._check_output()
        # One SecretKey for all rows: what a provider has later would be another job's.
        signer = job.signer.replace(credentials=job.signer.valid_credentials(), expires=job.expires)
        self.begin_at(replace(job, signer=signer), job.start)
        # A wrong parameter is reported before a byte is read or written.
        self.job.signer.presign(
            "check", method=job.method, query=job.query, headers=job.headers, key_time=self.key_time
        )

    def begin_at(self, job: Job, start: int | None) -> None:
        """Take a job whose signatures begin at an instant, Unix seconds; None for now."""
        self.job = replace(job, signer=job.signer.at(start))

    @property
    def key_time(self) -> tuple[int, int]:
        """The signatures' KeyTime."""
        return self.job.signer.times().key_time(self.job.expires)

    @property
    def rows_per_part(self) -> int:
        """How many rows a part has."""
        return self.job.rows_per_part or _ROWS_PER_PART

    @property
    def errors_file(self) -> str | None:
        """The list of bad rows; of a folder in a bucket, what the lists' keys begin with."""
        if self.job.errors is not None:
            return os.fspath(self.job.errors)
        if self.address is not None:
            return f"{self.output}_errors/" if self.is_directory else f"{self.output}.errors.jsonl"
        if self.is_directory:
            return os.path.join(self.output, "errors.jsonl")
        return None if is_stream(self.output) else f"{self.output}.errors.jsonl"

    @property
    def report_file(self) -> str | None:
        """Where the report is written."""
        return None if self.job.report is None else os.fspath(self.job.report)

    def new_source(self) -> Source:
        """The inputs, from their beginning."""
        job = self.job
        return Source(
            self.inputs,
            job.input_format,
            delimiter=job.delimiter,
            encoding=job.encoding,
            buckets=self.bucket,
        )

    def bucket(self, name: str) -> Bucket:
        """A bucket that is read or written; it is taken to lie in the signer's region.

        Raises:
            ParameterError: the signer has no region.
        """
        if name not in self._buckets:
            self._buckets[name] = open_bucket(name, self._bucket_signer, self.job.endpoint)
        return self._buckets[name]

    def notes(self) -> Iterator[str]:
        """Warnings of what was found before anything was read."""
        yield from self.source.notes
        report_bucket, bucket = self.source.bucket, self.job.signer.bucket
        if report_bucket and bucket and report_bucket != bucket:
            yield f"the list is of the bucket {report_bucket}, and the URLs are for {bucket}"

    def count_warnings(self, counts: Mapping[str, int]) -> Iterator[str]:
        """Warnings of what was counted while rows were read."""
        has_version = any(name.lower() == "versionid" for name in (*self.job.query_columns, *self.job.query))
        return count_warnings(counts, self.job.latest, has_version)

    @property
    def output_columns(self) -> list[str]:
        """The columns of an output that has no rows."""
        job = self.job
        return [
            job.key_column or "key",
            *(name for name in job.keep_columns if name not in ("all", job.key_column or "key")),
            job.url_column or "url",
        ]

    def versions(self) -> dict[str, str]:
        """The versions of what has a part in the output's bytes."""
        versions = {"cossign": __version__}
        if not self.is_plain:
            versions["pyarrow"] = pyarrow("every format except text to text").__version__
        if self.format.packing == ".gz":
            versions["gzip"] = GZIP.__name__
        return versions

    def record(self) -> dict[str, Any]:
        """What the journal says of the job."""
        if self.job.resume:
            for each in self.source.inputs:
                if each.size is None and each.bucket is None:
                    raise ParameterError("resume", f"cannot read {each.name} again: use files as inputs")
        return job_record(self.job, self.source.inputs, self.versions(), self.format.suffix)

    def signer_of_rows(
        self, source: Source, at: Position, threads: int | None, look: Callable[[Keys], object], *, check: bool = True
    ) -> RowSigner:
        """What signs the job's rows from a place on; `check` is whether MD5s are compared."""
        if self.is_plain:
            return LineSigner(self.job, source, at, threads, look)
        from cossign.batch.table_signing import TableSigner

        return TableSigner(self.job, source, at, threads, look, text=self.format.form == "txt", check=check)

    def _check_choices(self) -> None:
        """Refuse what does not go with the output: a directory of parts, or a file."""
        job = self.job
        if job.on_error not in ("fail", "skip", "null"):
            raise ParameterError("on_error", 'must be "fail", "skip" or "null"')
        if job.rows_per_part is not None and job.rows_per_part < 1:
            raise ParameterError("rows_per_part", "must be greater than 0")
        if job.resume and not self.is_directory:
            raise ParameterError("resume", "needs an output directory: give one, and `rows_per_part`")
        if job.rows_per_part is not None and not self.is_directory:
            raise ParameterError("rows_per_part", "needs an output directory")
        if job.method_column is not None and job.method != "GET":
            raise ParameterError("method", "cannot be chosen beside `method_column`: leave one out")
        if both := sorted({each.lower() for each in job.query} & {each.lower() for each in job.query_columns}):
            raise ParameterError("query_columns", f"has the parameter {both[0]!r}, as `query` has: leave one out")
        if job.new_credentials and not job.resume:
            raise ParameterError("new_credentials", "is for a job that is resumed: use it with `resume=True`")

    def _input_forms(self) -> set[str]:
        return {"inventory" if each.inventory else each.form for each in self.source.inputs}

    def _check_encoding(self) -> None:
        """Refuse a delimiter or an encoding that is not one, or that no input can have."""
        job, forms = self.job, self._input_forms()
        if job.delimiter is not None:
            if len(job.delimiter.encode()) != 1 or job.delimiter in '"\r\n\0':
                raise ParameterError("delimiter", "must be one ASCII character, and not a quote or a line end")
            if "csv" not in forms:
                raise ParameterError("delimiter", "is for CSV, and no input is CSV: name it with `input_format`")
        if job.encoding is not None:
            try:
                is_text = "a".encode(job.encoding).decode(job.encoding) == "a"
            except (LookupError, ValueError):
                is_text = False
            if not is_text:
                raise ParameterError(
                    "encoding", f"{job.encoding!r} is not known: write it as utf-16, gbk, big5, shift_jis"
                )
            others = sorted(forms - {"txt", "csv", "jsonl"})
            if others:
                raise ParameterError("encoding", f"is for text, CSV and JSON lines, and an input is {others[0]}")

    def _check_columns(self) -> None:
        """Refuse columns where the inputs or the output have none."""
        job, forms, is_text = self.job, self._input_forms(), self.format.form == "txt"
        for parameter, name in (("key_column", job.key_column), ("url_column", job.url_column)):
            if name is not None and name.encode("utf-8", "replace").decode() != name:
                raise ParameterError(parameter, f"{name!r} is not UTF-8: choose another name")
        if job.keep_columns and is_text:
            raise ParameterError("keep_columns", "cannot be in text, which has the URLs alone: choose another format")
        if job.url_column is not None and is_text:
            raise ParameterError("url_column", "cannot be in text, which has no columns: choose another format")
        if job.key_column is not None and is_text and "txt" in forms:
            raise ParameterError("key_column", "cannot be chosen in text, which has no columns")
        if job.key_column is not None and "inventory" in forms:
            raise ParameterError("key_column", "cannot be chosen for an inventory, whose keys are in the column Key")
        if job.columns is not None and "csv" not in forms:
            raise ParameterError("columns", "is for CSV without a header, and no input is CSV")
        uses_bucket = self.address is not None or is_address(self.report_file or "")
        if job.endpoint is not None and not uses_bucket and not any(each.bucket for each in self.source.inputs):
            raise ParameterError("endpoint", "is for buckets, and this job uses no bucket: leave it out")
        if job.latest and "txt" in forms:
            raise ParameterError("latest", "is for inventories and tables, and an input is text, which has no columns")

    def _is_plain(self) -> bool:
        job = self.job
        columns = (job.query_columns, job.method_column, job.expires_column, job.keep_columns, job.columns)
        is_text = self.format.form == "txt" and all(each.form == "txt" for each in self.source.inputs)
        return is_text and not any(columns) and not self.has_filters

    def _check_output(self) -> None:
        report, errors = self.report_file, self.errors_file
        if self.job.errors is not None and is_address(os.fspath(self.job.errors)):
            raise ParameterError("errors", "cannot lie in a bucket: name a file, or leave it out")
        is_here = self.address is None
        check_outputs(
            {
                "output": self.output if is_here and not self.is_directory else None,
                "errors": errors if errors is None or not is_address(errors) else None,
                "report": report if report is None or not is_address(report) else None,
            },
            [*(each.path for each in self.source.inputs), *self.source.manifests],
            self.output if is_here and self.is_directory else None,
        )
        if self.address is not None:
            self._check_address(self.address)
        elif self.is_directory:
            check_folder(self.output, self.inputs)
        if report is not None and is_address(report):
            self._check_report_address(Address.parse(report, "report"))

    def _check_report_address(self, report: Address) -> None:
        """Refuse a report that would replace an input, the output or a list of bad rows."""
        if not report.key or report.key.endswith("/"):
            raise ParameterError("report", f"{report} is a folder: name an object")
        if report in self._input_objects():
            raise ParameterError("report", f"{report} would replace an input: choose another name")
        if self._is_own(report):
            raise ParameterError("report", f"{report} is a name of the job's own objects: choose another one")

    def _input_objects(self) -> list[Address]:
        """The objects that are read."""
        files = [each.path for each in self.source.inputs if each.bucket]
        return [Address.parse(each) for each in (*files, *filter(is_address, self.source.manifests))]

    def _is_own(self, address: Address) -> bool:
        """Whether the job itself may write this object."""
        if self.address is None or address.bucket != self.address.bucket:
            return False
        if self.is_directory:
            return address.key.startswith(tuple(f"{self.address.key}{name}" for name in _OWN_NAMES))
        return address.key in (self.address.key, f"{self.address.key}.errors.jsonl")

    def _check_address(self, output: Address) -> None:
        """Refuse an output that is an input, or lies among the inputs, or has too long a key."""
        longest = f"{output.key}_errors/part-00000.jsonl" if self.is_directory else f"{output.key}.errors.jsonl"
        if len(longest.encode("utf-8", "surrogatepass")) > 850:
            raise ParameterError(
                "output", f"{output} is too long: with the names of its lists, a key has at most 850 bytes"
            )
        inputs = [each for each in self.inputs if is_address(each)]
        for text in inputs:
            address = Address.parse(text, "inputs")
            is_folder = self.job.input_format in ("list", "versions") or not address.key or address.key.endswith("/")
            if is_folder and address.bucket == output.bucket and output.key.startswith(address.key):
                raise ParameterError("output", f"{output} lies in the input {address}: choose another place")
        for address in self._input_objects():
            if self._is_own(address):
                raise ParameterError("output", f"{output} would replace the input {address}: choose another name")


def open_bucket(name: str, signer: Signer, endpoint: str | None) -> Bucket:
    """A bucket in the signer's region, with its credentials.

    Raises:
        ParameterError: the signer has no region.
    """
    if signer.region is None:
        raise ParameterError("signer", f"has no `region`, which cos://{name} needs")
    return Bucket(name, signer.region, signer.valid_credentials, endpoint=endpoint)


def _input_list(inputs: Any) -> list[Any]:
    """A job's inputs as a list; the job may have a single path instead."""
    return [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)

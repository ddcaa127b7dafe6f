"""Ray Data: a column of keys becomes a column of URLs, and COS inventories become Datasets.

Credentials reach the actors by a provider, which is asked there; what Ray pickles, stores and shows holds no secret.

>>> import ray.data
>>> ds = ray.data.from_items([{"key": "a.jpg"}, {"key": None}])
>>> where = {"bucket": "b-1250000000", "region": "ap-beijing"}  # ChainCredentials() where the rows are
>>> urls = presign(ds, "key", "url", where, concurrency=1).take_all()
>>> signed = {row["key"]: row["url"] for row in urls}  # by key: Ray may change the order of rows
>>> signed["a.jpg"].partition("?")[0], signed[None]
('https://b-1250000000.cos.ap-beijing.myqcloud.com/a.jpg', None)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import ray.cloudpickle
import ray.data
from ray.data import Dataset

from cossign.batch.inputs.csv import decoded_keys
from cossign.batch.inputs.inventory import check_sizes, found_report
from cossign.batch.outputs.paths import IS_WINDOWS
from cossign.errors import ParameterError
from cossign.integrations.columns import ColumnSigning, OnError, SignerConfig, check_there, key_text, marks
from cossign.key_time import Span
from cossign.request import Headers, Query

__all__ = ["Presign", "presign", "read_inventory"]

# Parameters of map_batches that `presign` sets.
_OWN_OPTIONS = {"fn_constructor_args", "compute", "batch_format", "batch_size", "zero_copy_batch", "fn"}
_ROWS = 1 << 17  # so many at a time: Ray has copied some away before the last ones of a large block are made


def presign(
    ds: Dataset,
    key_col: str,
    url_col: str,
    signer_config: SignerConfig,
    *,
    method: str = "GET",
    expires: int | None = None,
    query: Query | None = None,
    headers: Headers | None = None,
    key_time: Span | None = None,
    method_col: str | None = None,
    expires_col: str | None = None,
    query_cols: Mapping[str, str] | None = None,
    on_error: OnError = "raise",
    error_col: str | None = None,
    concurrency: int | tuple[int, int] | None = None,
    **options: Any,
) -> Dataset:
    """A Dataset with a column of presigned URLs after its own columns. All start at the time of this call.

    A block that is made again after an actor has died has the same bytes, if its provider returns the same credentials.
    The other columns are not copied. An actor keeps the memory of its URLs for the next ones, up to 256 MiB.

    Args:
        ds: any Dataset.
        key_col: its column of keys, strings. A null becomes a null.
        url_col: the name of the new column.
        signer_config: a Signer whose credentials come from a provider; or a mapping of a Signer's parameters, with
            `ChainCredentials` unless it names others. The workers ask for the credentials.
        method, expires, query, headers, key_time: as in `Signer.presign`.
        method_col, expires_col: columns with the method (strings) and the validity (whole seconds) of each row.
        query_cols: parameters, and the columns of strings or whole numbers with their values.
        on_error: "raise" at a bad row; or "null": it has no URL.
        error_col: with "null", the name of another column with the reasons.
        concurrency: the number of actors, or the least and the most. None: Ray decides. Use fewer actors than CPUs,
            because reading and writing need CPUs too.
        options: more options of `Dataset.map_batches`, such as ``num_cpus``. With the options of the reading before it,
            one actor does both, without a copy.

    Returns:
        The Dataset, not yet computed.

    Raises:
        ParameterError: a parameter is not valid. A column that is missing or of another type, a bad row, or an
            actor without credentials, ends the job with an error that names the column, the block and the row.
    """
    for name in _OWN_OPTIONS & options.keys():
        raise ParameterError(name, "cannot be given: cossign sets it")
    signing = ColumnSigning.plan(
        signer_config,
        ray.cloudpickle.dumps,
        key_col,
        method=method,
        expires=expires,
        query=query,
        headers=headers,
        key_time=key_time,
        method_col=method_col,
        expires_col=expires_col,
        query_cols=query_cols,
        on_error=on_error,
        error_col=error_col,
    )
    least, most = concurrency if isinstance(concurrency, tuple) else (concurrency or 1, concurrency)
    pool = ray.data.ActorPoolStrategy(min_size=least, max_size=most)
    each = options.get("num_cpus")
    _check_cpus(least * (1 if each is None else each))
    return ds.map_batches(
        Presign,
        fn_constructor_args=(signing, url_col, error_col),
        compute=pool,
        batch_format="pyarrow",
        batch_size=None,
        zero_copy_batch=True,
        **options,
    )


def _check_cpus(actor_cpus: float) -> None:
    """Warn of actors that leave no CPU to others, for which Ray would wait for ever."""
    cluster_cpus = ray.cluster_resources().get("CPU", 0.0) if ray.is_initialized() else actor_cpus + 1
    if actor_cpus >= cluster_cpus:
        warnings.warn(
            f"the actors keep {actor_cpus:g} of Ray's {cluster_cpus:g} CPUs: if what reads or writes needs one of its "
            "own, the job waits for ever. Give a smaller concurrency, or a smaller num_cpus",
            RuntimeWarning,
            stacklevel=3,
        )


class Presign:
    """What `presign` gives to `Dataset.map_batches`: one of each actor, which keeps its Signer for all its blocks.

    Args:
        signing: what is signed, and how.
        url_col, error_col: as in `presign`.
    """

    def __init__(self, signing: ColumnSigning, url_col: str, error_col: str | None = None) -> None:
        self._signing = signing
        self._url_col = url_col
        self._error_col = error_col

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        """A block with its URLs, some rows at a time."""
        signing = self._signing
        if not len(block) and not block.schema.names:  # what Ray makes of nothing
            yield block
            return
        for parameter, column in signing.columns.items():
            check_there(parameter, column, block.schema.names)
        names = list(block.schema.names)
        for parameter, new_column in (("url_col", self._url_col), ("error_col", self._error_col)):
            if new_column in names:
                raise ParameterError(parameter, f"{new_column!r} is a column already: choose another name")
            names.append(new_column)
        rows = len(block)
        first_key_text = f" that begins with {key_text(block.column(signing.columns['keys'])[0])}" if rows else ""
        for first in range(0, max(rows, 1), _ROWS):
            part = block.slice(first, _ROWS)
            arrow_columns = {parameter: part.column(column) for parameter, column in signing.columns.items()}
            urls, errors = signing.sign_rows(arrow_columns, f"block of {rows} rows{first_key_text}", first)
            part = part.append_column(self._url_col, urls)
            if self._error_col is not None:
                part = part.append_column(self._error_col, marks(errors, len(part)))
            yield part


def read_inventory(manifest: str, *, filesystem: Any = None, **options: Any) -> Dataset:
    """A COS inventory report as a Dataset: its columns, with decoded keys.

    Args:
        manifest: its ``manifest.json``: a path, or a URL that pyarrow knows, such as ``s3://bucket/...``. Data files
            are next to a local manifest, or else in the manifest's bucket.
        filesystem: a file system of pyarrow or fsspec, for URLs that pyarrow does not know.
        options: more options of `ray.data.read_csv`, `read_parquet` or `read_orc`.

    Returns:
        The Dataset. In CSV reports, all columns are strings, except Size, an int64.

    Raises:
        ParameterError: it is not a manifest, or a data file is missing or of another size than the manifest gives.

    Source: Tencent Cloud, COS, "Inventory Overview" (product 436, page 30622).
    """

    def place(url: str) -> tuple[Any, str]:
        if filesystem is not None:
            return pyarrow.fs._ensure_filesystem(filesystem), url.partition("://")[2]
        if url.startswith("file://"):
            return pyarrow.fs.LocalFileSystem(), url.removeprefix("file:///" if IS_WINDOWS else "file://")
        return pyarrow.fs.FileSystem.from_uri(url)  # type: ignore[no-any-return]

    def text() -> bytes:
        files, path = place(manifest)
        with files.open_input_stream(path) as stream:
            return stream.read()  # type: ignore[no-any-return]

    report, files = found_report(manifest, text)
    check_sizes(report, [files.get_file_info(path).size for files, path in map(place, files)])
    paths = [place(file)[1] for file in files]
    filesystem = place(files[0])[0] if files else filesystem
    if report.fields is None:
        return getattr(ray.data, f"read_{report.form}")(paths, filesystem=filesystem, **options)
    types = {name: pa.int64() if name == "Size" else pa.string() for name in report.fields or ()}
    types["Key"] = pa.binary()
    return ray.data.read_csv(
        paths,
        filesystem=filesystem,
        read_options=pyarrow.csv.ReadOptions(column_names=list(report.fields or ())),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types),
        **options,
    ).map_batches(_decode_keys, batch_format="pyarrow", batch_size=None)


def _decode_keys(block: pa.Table) -> pa.Table:
    if "Key" not in block.schema.names:  # what Ray makes of nothing
        return block
    column = block.column("Key")
    keys = [decoded_keys(chunk).cast(pa.string()) for chunk in column.chunks]
    return block.set_column(block.schema.get_field_index("Key"), "Key", pa.chunked_array(keys, pa.string()))

"""Spark: a column of keys becomes a column of URLs, in DataFrames and in SQL, and COS inventories become DataFrames.

Credentials reach the executors by a provider, which is asked there: no plan, closure, event log or UI holds them.

>>> from pyspark.sql import SparkSession
>>> spark = SparkSession.builder.getOrCreate()
>>> df = spark.createDataFrame([("a.jpg",), (None,)], "key string")
>>> where = {"bucket": "b-1250000000", "region": "ap-beijing"}  # ChainCredentials() where the rows are
>>> urls = presign(df, "key", "url", where).collect()
>>> urls[0].url.partition("?")[0], urls[1].url
('https://b-1250000000.cos.ap-beijing.myqcloud.com/a.jpg', None)
>>> _ = register(spark, where)
>>> spark.sql("SELECT cos_presign('a.jpg') AS url").collect()[0].url.partition("?")[0]
'https://b-1250000000.cos.ap-beijing.myqcloud.com/a.jpg'
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark import TaskContext, cloudpickle
from pyspark.errors import PySparkNotImplementedError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import (
    BinaryType,
    DataType,
    IntegralType,
    LongType,
    NullType,
    StringType,
    StructField,
    StructType,
)

from cossign.batch.inputs.inventory import check_sizes, found_report
from cossign.errors import ParameterError
from cossign.integrations.columns import (
    ColumnSigning,
    OnError,
    OnErrorOfColumn,
    SignerConfig,
    check_names,
    check_there,
    join_chunks,
    keeps_reasons,
    marks,
    with_reasons,
)
from cossign.key_time import Span
from cossign.request import Headers, Query

__all__ = ["presign", "read_inventory", "register"]

_TEXT = (StringType, BinaryType, NullType)


def presign(
    df: DataFrame,
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
) -> DataFrame:
    """A DataFrame with a column of presigned URLs after its own columns. All start at the time of this call.

    A task that is repeated, or runs twice, gives the same bytes, if its provider returns the same credentials. All
    columns of `df` pass through Python: select those that you need.

    Args:
        df: any DataFrame.
        key_col: its column of keys, strings. A null becomes a null. Names of columns match in any case, unless
            ``spark.sql.caseSensitive`` is true.
        url_col: the name of the new column.
        signer_config: a Signer whose credentials come from a provider; or a mapping of a Signer's parameters, with
            `ChainCredentials` unless it names others. The workers ask for the credentials.
        method, expires, query, headers, key_time: as in `Signer.presign`.
        method_col, expires_col: columns with the method (strings) and the validity (whole seconds) of each row.
        query_cols: parameters, and the columns of strings or whole numbers with their values.
        on_error: "raise" at a bad row; or "null": it has no URL.
        error_col: with "null", the name of another column with the reasons.

    Returns:
        The DataFrame, not yet computed.

    Raises:
        ParameterError: a parameter is not valid, or a column is missing or of another type. A bad row, or an
            executor without credentials, ends the job with an error that names column, partition and row.
    """
    signing = ColumnSigning.plan(
        signer_config,
        cloudpickle.dumps,
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
    places = {parameter: _place(df, parameter, column) for parameter, column in signing.columns.items()}
    new_columns = [("url_col", url_col), *([] if error_col is None else [("error_col", error_col)])]
    names = [name.lower() for name in df.columns]
    for parameter, name in new_columns:
        if name.lower() in names:
            raise ParameterError(parameter, f"{name!r} is a column already: choose another name")
        names.append(name.lower())
    fields = [*df.schema.fields, *(StructField(name, StringType()) for _, name in new_columns)]
    field_names = [field.name for field in fields]
    # mapInArrow cannot refer to all names, or to one twice
    inner_names = [f"c{number}" for number in range(len(field_names))]
    schema = StructType([StructField(name, field.dataType) for name, field in zip(inner_names, fields, strict=True)])
    presign_partition = functools.partial(_presign_batches, signing, places, inner_names, error_col is not None)
    inner_df = df.toDF(*inner_names[: len(df.columns)])
    try:
        return inner_df.mapInArrow(presign_partition, schema).toDF(*field_names)
    except PySparkNotImplementedError:
        kinds = [
            f"{name!r} ({inner.dataType.simpleString()})"
            for name, inner in zip(df.columns, inner_df.schema.fields, strict=True)
            if not _reaches_python(inner_df, inner)
        ]
        if not kinds:
            raise
        text = f"has columns that Spark does not give to Python: {', '.join(kinds)}. Leave them out, or cast them"
        raise ParameterError("df", text) from None


def _reaches_python(df: DataFrame, field: StructField) -> bool:
    """Whether Spark gives a column of this type to Python functions."""
    try:
        df.select(field.name).mapInArrow(lambda batches: batches, StructType([field]))
    except PySparkNotImplementedError:
        return False
    return True


def _place(df: DataFrame, parameter: str, column: str) -> int:
    """Where a column is in the batches, if it is of a type that its parameter can be made of."""
    names: list[str] = df.columns
    # Names are looked for as Spark does it.
    if isinstance(column, str) and df.sparkSession.conf.get("spark.sql.caseSensitive") != "true":
        alike = [name for name in names if name.lower() == column.lower()]
        column = alike[0] if len(alike) == 1 else column
    argument = check_there(parameter, column, names)
    if names.count(column) > 1:
        raise ParameterError(argument, f"{column!r} is the name of several columns")
    place = names.index(column)
    kinds: tuple[type[DataType], ...] = {"keys": _TEXT, "method": _TEXT, "expires": (IntegralType,)}.get(
        parameter, (*_TEXT, IntegralType)
    )
    kind = df.schema.fields[place].dataType
    if not isinstance(kind, kinds):
        wanted_kind = "whole numbers" if parameter == "expires" else "strings"
        raise ParameterError(argument, f"{column!r} must be a column of {wanted_kind}, not of {kind.simpleString()}")
    return place


def _presign_batches(
    signing: ColumnSigning, places: Mapping[str, int], names: Sequence[str], has_error_col: bool, batches: Iterator[Any]
) -> Iterator[Any]:
    """A partition's batches with their URLs; and, if they are to be marked, with what is wrong."""
    where, first = _partition(), 0
    for whole_batch in batches:
        for batch in _pieces(whole_batch):
            arrow_columns = {parameter: batch.column(place) for parameter, place in places.items()}
            urls, errors = signing.sign_rows(arrow_columns, where, first)
            first += len(batch)
            columns = [*batch.columns, join_chunks(urls.chunks)]
            if has_error_col:
                columns.append(marks(errors, len(batch)))
            yield pa.RecordBatch.from_arrays(columns, names=names)


def _pieces(batch: Any) -> Iterator[Any]:
    """A batch in pieces whose URLs one array of strings can hold: 2 GiB."""
    for first in range(0, len(batch), 100_000):
        yield batch.slice(first, 100_000)


def _partition() -> str:
    context = TaskContext.get()
    return "" if context is None else f"partition {context.partitionId()}"


def register(
    spark: SparkSession,
    signer_config: SignerConfig,
    name: str = "cos_presign",
    *,
    method: str = "GET",
    expires: int | None = None,
    query: Query | None = None,
    headers: Headers | None = None,
    key_time: Span | None = None,
    query_cols: Sequence[str] = (),
    on_error: OnErrorOfColumn = "raise",
) -> Callable[..., Column]:
    """A SQL function: ``SELECT cos_presign(key) FROM inventory``.

    All URLs of a query start at the start of the query. On Spark 3.5 they start at the time of this call; register the
    function again before its URLs have ended.

    Args:
        spark: the session; the function exists until it ends.
        signer_config: as in `presign`.
        name: the name of the function.
        method, expires, query, headers, key_time: as in `Signer.presign`.
        query_cols: parameters that are arguments of the function after the key, in this order:
            ``("versionId",)`` for ``cos_presign(key, version_id)``.
        on_error: "raise" at a bad row; "null": its URL is NULL; or "struct": the function returns structs of ``url``
            and ``error``, which is the reason.

    Returns:
        The function for DataFrames: ``df.select(cos_presign("key"))``.

    Raises:
        ParameterError: as in `presign`.
    """
    if not name.isidentifier():
        raise ParameterError("name", f"must be a name that SQL takes without quotes, not {name!r}")
    check_names(query_cols, query or {})
    arrow_on_error, has_reasons = keeps_reasons(on_error)
    signing = ColumnSigning.plan(
        signer_config,
        cloudpickle.dumps,
        "key",
        method=method,
        expires=expires,
        query=query,
        headers=headers,
        key_time=key_time,
        query_cols={each: each for each in query_cols},
        on_error=arrow_on_error,
    )
    kind = StructType([StructField(each, StringType()) for each in ("url", "error")]) if has_reasons else StringType()
    knows_instant = int(spark.version.partition(".")[0]) >= 4
    function = f"{name}_at" if knows_instant else name
    spark.udf.register(function, _vectorise(functools.partial(_urls, signing, knows_instant, has_reasons), kind))
    if knows_instant:
        # unix_timestamp() is one number for a whole query, which stands in its plan: so it is the same for all tries.
        # Arguments are cast to the types of parameters; to BINARY, ANSI casts texts only, so a number is refused.
        query_names = [f"p{number}" for number in range(len(query_cols))]
        sql_parameters = ", ".join(["key BINARY", *(f"{each} STRING" for each in query_names)])
        with _ansi(spark):
            spark.sql(
                f"CREATE OR REPLACE TEMPORARY FUNCTION {name}({sql_parameters}) RETURNS {kind.simpleString()} RETURN "
                f"{function}({', '.join(['unix_timestamp()', 'key', *query_names])})"
            )
    return functools.partial(F.call_function, name)


@contextlib.contextmanager
def _ansi(spark: SparkSession) -> Iterator[None]:
    """For functions that are made meanwhile, as they keep it."""
    setting = "spark.sql.ansi.enabled"
    old_value = spark.conf.get(setting)
    spark.conf.set(setting, "true")
    try:
        yield
    finally:
        spark.conf.set(setting, old_value)


def _vectorise(function: Callable[[Iterator[Any]], Iterator[Any]], kind: DataType) -> Any:
    """A function of columns, a partition at a time: of Arrow's, or, before Spark 4.1, of pandas'."""
    try:
        from pyspark.sql.functions import arrow_udf
    except ImportError:
        import pandas as pd
        from pyspark.sql.functions import pandas_udf

        result = pd.DataFrame if isinstance(kind, StructType) else pd.Series
        return pandas_udf(_add_type_hints(functools.partial(_run_on_pandas, function), pd.Series, result), kind)
    return arrow_udf(_add_type_hints(function, pa.Array, pa.Array), kind)


def _add_type_hints(
    function: Callable[[Any], Iterator[Any]], column: type, result: type
) -> Callable[[Any], Iterator[Any]]:
    """With what tells Spark that this is a function of partitions: its types."""

    def urls(batches: Any) -> Iterator[Any]:
        return function(batches)

    urls.__annotations__ = {"batches": Iterator[tuple[column, ...]], "return": Iterator[result]}  # type: ignore[valid-type]
    return urls


def _urls(signing: ColumnSigning, knows_instant: bool, has_reasons: bool, batches: Iterator[Any]) -> Iterator[Any]:
    """A partition's URLs, or structs of URLs and reasons. If the query knows its instant, the first column is that."""
    where = _partition()  # which rows of it a query has left out before them is not known
    for columns in batches:
        columns = list(columns) if isinstance(columns, tuple) else [columns]
        rows = len(columns[0])
        instants = columns.pop(0) if knows_instant else None
        arrow_columns = dict(zip(signing.columns, columns, strict=True))
        urls: Any = pa.chunked_array([], pa.string())
        errors: list[tuple[int, str]] = []
        if rows:
            urls, errors = signing.sign_rows(
                arrow_columns, where, None, None if instants is None else instants[0].as_py()
            )
        yield with_reasons(urls, errors) if has_reasons else join_chunks(urls.chunks)


def _run_on_pandas(function: Callable[[Iterator[Any]], Iterator[Any]], batches: Iterator[Any]) -> Iterator[Any]:
    def arrow() -> Iterator[Any]:
        for columns in batches:
            series = columns if isinstance(columns, tuple) else (columns,)
            yield tuple(pa.Array.from_pandas(each) for each in series)

    for urls in function(arrow()):
        is_struct = pa.types.is_struct(urls.type)
        yield pa.RecordBatch.from_struct_array(urls).to_pandas() if is_struct else urls.to_pandas()


def read_inventory(spark: SparkSession, manifest: str) -> DataFrame:
    """A COS inventory report as a DataFrame: its columns, with decoded keys.

    Args:
        spark: the session.
        manifest: its ``manifest.json``: a path, or a URL such as ``cosn://bucket-1250000000/.../manifest.json``.
            Data files are next to a local manifest, or else in the manifest's bucket.

    Returns:
        The DataFrame. In CSV reports, all columns are strings, except Size, a bigint.

    Raises:
        ParameterError: it is not a manifest, or a data file is missing or of another size than the manifest gives.

    Source: Tencent Cloud, COS, "Inventory Overview" (product 436, page 30622).
    """
    report, files = found_report(str(manifest), lambda: spark.read.text(manifest, wholetext=True).collect()[0][0])
    if files:  # their content is not read for it
        file_rows = spark.read.format("binaryFile").load(files).select("path", "length").collect()
        sizes = {_path(row.path): row.length for row in file_rows}
        check_sizes(report, [sizes.get(_path(file)) for file in files])
    if report.fields is None:
        return getattr(spark.read, report.form)(*files)
    fields = StructType([StructField(name, StringType()) for name in report.fields])
    rows = spark.read.csv(files, fields, escape='"', mode="FAILFAST")
    if "Size" in report.fields:
        rows = rows.withColumn("Size", F.col("Size").cast(LongType()))
    return rows.withColumn("Key", _decode_key(F.col("Key")))


def _path(url: str) -> str:
    """A URL of Hadoop's, which is not encoded, without its scheme and host."""
    return re.sub("^[^:/]+:(//[^/]*)?", "", url)


def _decode_key(key: Column) -> Column:
    """A URL-encoded key, decoded; a key that is not UTF-8 ends the job, as COS has none."""
    decoded_key = F.url_decode(F.replace(key, F.lit("+"), F.lit("%2B")))
    is_not_utf8 = decoded_key.contains("\ufffd") & ~F.upper(key).contains("%EF%BF%BD")
    return F.when(is_not_utf8, F.raise_error(F.concat(F.lit("the inventory's key is not UTF-8: "), key))).otherwise(
        decoded_key
    )

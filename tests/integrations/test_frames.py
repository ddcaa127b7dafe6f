"""Polars, DuckDB, pandas and Dask: URLs in the frames that the keys are in."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import dask.dataframe
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cossign.integrations.pandas
import cossign.integrations.polars
from cossign import CosSignError, CredentialsError, FileCredentials, ParameterError, Signer
from cossign.credentials import FunctionCredentials
from cossign.integrations.duckdb import register, unregister
from tests.conftest import BUCKET, REGION
from tests.integrations.conftest import ODD, TIMES, AtScale, hash_of

NUMBERS = list(range(len(ODD)))
ROWS = {
    "key": ODD, "number": NUMBERS, "version": [f"v{number}" for number in NUMBERS],
    "seconds": [86_400 + number for number in NUMBERS], "method": ["PUT" if number % 2 else "get" for number in NUMBERS],
}  # fmt: skip
NAMED: dict[str, Any] = {"query": {"x": "1"}, "headers": {"Range": "bytes=0-9"}}


def by_row(signer: Signer) -> list[str | None]:
    """What columns beside the keys ask for."""
    query = {"x": "1", "versionId": ROWS["version"], "n": NUMBERS}
    return signer.presign_many(
        ODD, method=ROWS["method"], expires=ROWS["seconds"], query=query, headers=NAMED["headers"]
    )  # fmt: skip


def instant(url: str | None) -> int:
    return int(str(url).partition("q-sign-time=")[2][:10])


# --- Polars


@pytest.fixture
def frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS)


def test_polars(frame: pl.DataFrame, signer: Signer) -> None:
    wanted = signer.presign_many(ODD, key_time=TIMES)
    url = pl.col("key").cossign.presign(signer, key_time=TIMES)
    assert frame.select(url)["key"].to_list() == wanted
    assert frame.with_columns(url=url).columns == [*frame.columns, "url"]
    assert frame["key"].cossign.presign(signer, key_time=TIMES).to_list() == wanted
    for engine in ("in-memory", "streaming"):
        assert frame.lazy().select(url).collect(engine=engine)["key"].to_list() == wanted
    assert frame.select(cossign.integrations.polars.presign("key", signer, key_time=TIMES))["key"].to_list() == wanted
    assert frame.filter(False).select(url)["key"].to_list() == []
    assert pl.Series(ODD[2:3], dtype=pl.Categorical).cossign.presign(signer, key_time=TIMES).to_list() == wanted[2:3]
    assert pl.select(pl.lit("a").cossign.presign(signer, key_time=TIMES)).item() == signer.presign("a", key_time=TIMES)


def test_polars_by_row(frame: pl.DataFrame, signer: Signer) -> None:
    expression = pl.col("key").cossign.presign(
        signer, method=pl.col("method"), expires=pl.col("seconds"),
        query={"x": pl.lit("1"), "versionId": pl.col("version"), "n": pl.col("number")}, headers=NAMED["headers"],
    )  # fmt: skip
    first = frame.select(expression)["key"].to_list()
    assert first == by_row(signer.at(instant(first[0])))
    time.sleep(1.1)
    assert frame.lazy().select(expression).collect(engine="streaming")["key"].to_list() == first  # the same instant
    one = pl.lit("a").cossign.presign(signer, expires=pl.col("seconds"), key_time=None)
    start = instant(frame.select(one).to_series()[0])
    assert frame.select(
        pl.lit("a").cossign.presign(signer.at(start), expires=pl.col("seconds"))
    ).to_series().to_list() == (signer.at(start).presign_many(["a"] * len(ODD), expires=ROWS["seconds"]))


def test_polars_streams_files_in_parts(signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    presign_arrow = Signer.presign_arrow

    def counted(self: Signer, keys: Any, **named: Any) -> Any:
        sizes.append(len(keys))
        return presign_arrow(self, keys, **named)

    monkeypatch.setattr(Signer, "presign_arrow", counted)
    keys = [None if number % 11 == 0 else f"{number}/腾" for number in range(300_000)]
    pl.DataFrame({"key": keys}).write_parquet(tmp_path / "keys.parquet", row_group_size=50_000)
    url = pl.col("key").cossign.presign(signer, key_time=TIMES)
    pl.scan_parquet(tmp_path / "keys.parquet").with_columns(url=url).sink_parquet(tmp_path / "urls.parquet")
    assert pl.read_parquet(tmp_path / "urls.parquet")["url"].to_list() == signer.presign_many(keys, key_time=TIMES)
    assert sum(sizes) == 300_000
    assert max(sizes) <= 150_000


def test_polars_takes_urls_without_a_copy(frame: pl.DataFrame, signer: Signer) -> None:
    """What a Series of URLs points at is the memory that they were signed into."""
    column = pa.chunked_array(signer.presign_arrow(frame["key"], key_time=TIMES))
    addresses = {buffer.address for chunk in column.chunks for buffer in chunk.buffers()[2:] if buffer is not None}
    series = pl.Series(column)
    again = pa.chunked_array(series)
    assert addresses
    assert addresses & {
        buffer.address for chunk in again.chunks for buffer in chunk.buffers()[2:] if buffer is not None
    }


def test_the_cosine_is_untouched() -> None:
    import math

    series = pl.Series([0.0, 1.0])
    assert series.cos().to_list() == [1.0, math.cos(1)]
    assert series.to_frame("x").select(pl.col("x").cos())["x"].to_list() == [1.0, math.cos(1)]
    assert pl.select(pl.Expr.cos(pl.lit(0.0))).item() == 1.0
    assert not hasattr(pl.Expr.cos, "presign")


@pytest.mark.parametrize("lazy", [False, True])
def test_what_is_wrong_in_polars(frame: pl.DataFrame, signer: Signer, lazy: bool) -> None:
    def computed(expression: pl.Expr) -> Any:
        return frame.lazy().select(expression).collect(engine="streaming") if lazy else frame.select(expression)

    bad = pl.col("key").str.replace("picture.jpg", "../x", literal=True)
    with pytest.raises(CosSignError, match=r"column 'key' \(key '\.\./x'\) has a '\.' or '\.\.' segment"):
        computed(bad.cossign.presign(signer))
    assert computed(bad.cossign.presign(signer, on_error="null"))["key"].null_count() == 2
    with pytest.raises(CosSignError, match=r"column 'key' \(key '\.\./x'\) has"):  # the text that the bytes are
        computed(bad.cast(pl.Binary).cossign.presign(signer))
    with pytest.raises(CosSignError, match="column 'number' must be a column of strings, not of integers"):
        computed(pl.col("number").cossign.presign(signer))
    with pytest.raises(CosSignError, match=r"column 'seconds' \(key 'picture.jpg'\) must be greater than 0"):
        computed(pl.col("key").cossign.presign(signer, expires=pl.col("seconds") - 86_400))
    with pytest.raises(CosSignError, match="expires must be greater than 0"):
        computed(pl.col("key").cossign.presign(signer, expires=0))
    lost = Signer(FileCredentials("none.yaml"), bucket=BUCKET, region=REGION)
    with pytest.raises(CredentialsError, match=r"none\.yaml"):
        computed(pl.col("key").cossign.presign(lost))
    with pytest.raises(ParameterError, match="signer must be a Signer, not str"):
        pl.col("key").cossign.presign("signer")
    with pytest.raises(ParameterError, match="keys must be a column's name or an expression, not int"):
        cossign.integrations.polars.presign(3, signer)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="on_error must be 'raise', 'null' or 'struct', not 'skip'"):
        pl.col("key").cossign.presign(signer, on_error="skip")
    with pytest.raises(CosSignError, match=r"column 'seconds' must be a column of integers \(seconds\).*not of floats"):
        computed(pl.col("key").cossign.presign(signer, expires=pl.col("seconds") / 2))


@pytest.mark.parametrize("many", [["v"] * len(ODD), pl.Series(["v"] * len(ODD)), pa.array(["v"] * len(ODD))])
def test_polars_refuses_columns_that_do_not_follow_the_frame(signer: Signer, many: Any) -> None:
    """Polars computes parts of a frame, in any order: such a column would be paired with other rows."""
    for name, named in (
        ("query['v']", {"query": {"v": many}}),
        ("expires", {"expires": many}),
        ("method", {"method": many}),
    ):
        with pytest.raises(ParameterError, match=rf"{re.escape(name)} is a \w+, whose rows do not .* with_columns"):
            pl.col("key").cossign.presign(signer, **named)


def test_polars_names_no_row_that_is_not_the_frame_s(signer: Signer) -> None:
    """A frame of several chunks is computed chunk by chunk."""
    keys = [f"{number}" for number in range(3000)]
    keys[2777] = "../x"
    frame = pl.concat(
        [pl.DataFrame({"key": keys[first : first + 1000]}) for first in range(0, 3000, 1000)], rechunk=False
    )
    with pytest.raises(CosSignError, match=r"^column 'key' \(key '\.\./x'\) has") as caught:
        frame.select(pl.col("key").cossign.presign(signer))
    assert not re.search(r"\b777\b|\brow\b", str(caught.value))
    with pytest.raises(ParameterError, match=r"^column 'key'\[2777\] \(key '\.\./x'\) has") as of_series:
        frame["key"].cossign.presign(signer)
    assert of_series.value.index == 2777


def test_a_series_of_polars_takes_series(frame: pl.DataFrame, signer: Signer) -> None:
    urls = frame["key"].cossign.presign(
        signer, method=frame["method"], expires=frame["seconds"],
        query={"x": "1", "versionId": frame["version"], "n": frame["number"]}, headers=NAMED["headers"],
    )  # fmt: skip
    assert urls.to_list() == by_row(signer.at(instant(urls[0])))
    with pytest.raises(ParameterError, match="as long as the keys"):
        frame["key"].cossign.presign(signer, expires=frame["seconds"][:3])
    with pytest.raises(ParameterError, match="expires is an expression"):
        frame["key"].cossign.presign(signer, expires=pl.col("seconds"))


BAD = ["a", "../b", None, "c"]
REASON = "column 'key' has a '.' or '..' segment, which HTTP clients remove before they send: the URL would reach another path"


def with_reasons(signer: Signer) -> list[tuple[str | None, str | None]]:
    """What every frame has of BAD with `on_error="struct"`."""
    urls = signer.presign_many(BAD, key_time=TIMES, on_error="null")
    return list(zip(urls, [None, REASON, None, None], strict=True))


def test_reasons_in_polars(signer: Signer) -> None:
    frame = pl.DataFrame({"key": BAD})
    expression = pl.col("key").cossign.presign(signer, key_time=TIMES, on_error="struct")
    for result in (
        frame.select(expression),
        frame.lazy().select(expression).collect(engine="streaming"),
        frame["key"].cossign.presign(signer, key_time=TIMES, on_error="struct").to_frame(),
    ):
        assert result.unnest("key").rows() == with_reasons(signer)
    assert frame.lazy().select(expression).collect_schema() == frame.select(expression).schema
    assert frame.filter(pl.lit(False)).select(expression).unnest("key").columns == ["url", "error"]
    expires = pl.col("n").cossign.presign(signer, expires=pl.col("n"), on_error="struct")
    assert (
        pl.DataFrame({"n": ["1", "x"]})
        .select(expires)
        .unnest("n")["error"]
        .to_list()[1]
        .startswith("column 'n' must be")
    )
    for other in (pl.col("key").head(2), pl.col("key").head(0)):  # once the first value was taken for all rows
        with pytest.raises(
            (CosSignError, pl.exceptions.PolarsError), match=r"has \d rows, and other columns have \d|length"
        ):
            frame.select(pl.col("key").cossign.presign(signer, query={"v": other}, on_error="null"))


def test_polars_at_scale(signer: Signer, at_scale: AtScale, tmp_path: Path) -> None:
    url = pl.col("key").cossign.presign(signer, key_time=TIMES)
    frame = pl.scan_parquet(at_scale.files).with_columns(url=url)
    frame.sink_parquet(tmp_path / "urls.parquet")
    assert hash_of(pq.read_table(tmp_path / "urls.parquet")) == at_scale.hash
    assert hash_of(frame.collect().to_arrow()) == at_scale.hash


# --- DuckDB


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.register("inventory", pa.table(ROWS))
    return made


def column(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return [row[0] for row in connection.sql(query).fetchall()]


def test_duckdb(connection: duckdb.DuckDBPyConnection, signer: Signer) -> None:
    register(connection, signer, key_time=TIMES)
    wanted = signer.presign_many(ODD, key_time=TIMES)
    assert column(connection, "SELECT cos_presign(key) FROM inventory ORDER BY number") == wanted
    assert column(connection, "SELECT cos_presign(key) FROM inventory WHERE false") == []
    assert column(connection, "SELECT cos_presign(NULL)") == [None]
    cursor = connection.cursor()
    register(cursor, signer, key_time=TIMES)
    for each in (cursor, connection):
        assert column(each, "SELECT cos_presign('a')") == [signer.presign("a", key_time=TIMES)]
    register(connection, signer, "cos_version", key_time=TIMES, query_cols=("versionId", "n"), **NAMED)
    assert column(connection, "SELECT cos_version(key, version, number) FROM inventory ORDER BY number") == (
        signer.presign_many(
            ODD, key_time=TIMES, query={"x": "1", "versionId": ROWS["version"], "n": NUMBERS}, headers=NAMED["headers"]
        )
    )


def test_duckdb_from_parquet_to_parquet(connection: duckdb.DuckDBPyConnection, signer: Signer, tmp_path: Path) -> None:
    keys = [None if number % 11 == 0 else f"{number}/腾" for number in range(100_000)]
    pq.write_table(pa.table({"key": keys}), tmp_path / "keys.parquet", row_group_size=10_000)
    register(connection, signer, key_time=TIMES)
    connection.execute(
        f"COPY (SELECT key, cos_presign(key) AS url FROM '{tmp_path}/keys.parquet') TO '{tmp_path}/urls.parquet'"
    )
    assert pq.read_table(tmp_path / "urls.parquet")["url"].to_pylist() == signer.presign_many(keys, key_time=TIMES)


def test_duckdb_each_query_has_its_instant(connection: duckdb.DuckDBPyConnection, signer: Signer) -> None:
    register(connection, signer)
    query = "SELECT DISTINCT regexp_extract(cos_presign(i::VARCHAR), 'q-sign-time=([0-9]+)', 1) FROM range(20000) t(i)"
    begun = int(time.time())
    [first] = column(connection, query)
    assert begun - 1 <= int(first) <= time.time()
    time.sleep(1.1)
    [later] = column(connection, query)
    assert int(later) > int(first)
    register(connection, signer.replace(backdate=5000))
    begun = int(time.time())
    [early] = column(connection, query)
    assert begun - 5000 <= int(early) <= time.time() - 5000
    register(connection, signer.at(TIMES[0]))
    assert column(connection, query) == [str(TIMES[0])]


def test_what_is_wrong_in_duckdb(connection: duckdb.DuckDBPyConnection, signer: Signer) -> None:
    register(connection, signer)
    bad = "SELECT cos_presign(replace(key, 'picture.jpg', '../x')) FROM inventory"
    with pytest.raises(duckdb.Error, match=r"column 'key' \(key '\.\./x'\) has a '\.' or '\.\.' segment"):
        column(connection, bad)
    with pytest.raises(duckdb.Error, match="cos_presign: key must be a column of strings, not of BIGINT"):
        column(connection, "SELECT cos_presign(number) FROM inventory")
    register(connection, signer, on_error="null")
    assert column(connection, bad).count(None) == 2
    with pytest.raises(ParameterError, match="name must be a name"):
        register(connection, signer, "a; DROP TABLE x")
    with pytest.raises(ParameterError, match="signer must be a Signer"):
        register(connection, None)  # type: ignore[arg-type]
    register(connection, signer, expires=0)
    with pytest.raises(duckdb.Error, match="expires must be greater than 0"):
        column(connection, "SELECT cos_presign('a')")


def test_duckdb_at_scale(
    connection: duckdb.DuckDBPyConnection, signer: Signer, at_scale: AtScale, tmp_path: Path
) -> None:
    register(connection, signer, key_time=TIMES)
    connection.execute(
        f"COPY (SELECT number, cos_presign(key) AS url FROM '{at_scale.files[0].parent}/*.parquet') "
        f"TO '{tmp_path}/urls.parquet'"
    )
    assert hash_of(pq.read_table(tmp_path / "urls.parquet")) == at_scale.hash


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize("kind", ["ENUM", "BLOB"])
def test_keys_of_other_types_in_duckdb(connection: duckdb.DuckDBPyConnection, signer: Signer, kind: str) -> None:
    register(connection, signer, key_time=TIMES)
    keys = [key for key in ODD if key is not None]
    connection.register("given", pa.table({"key": keys, "number": range(len(keys))}))
    cast = f"key::ENUM({', '.join(map(quoted, dict.fromkeys(keys)))})" if kind == "ENUM" else "encode(key)"
    connection.execute(f"CREATE TABLE typed AS SELECT {cast} AS key, number FROM given")
    assert column(connection, "SELECT DISTINCT typeof(key) FROM typed")[0].startswith(kind)
    query = "SELECT cos_presign(key) FROM typed ORDER BY number"
    assert column(connection, query) == signer.presign_many(keys, key_time=TIMES)
    assert column(connection, "SELECT cos_presign('腾')") == [signer.presign("腾", key_time=TIMES)]
    with pytest.raises(duckdb.Error, match="could not convert blob to UTF8"):
        column(connection, "SELECT cos_presign('\\xFF'::BLOB)")
    with pytest.raises(duckdb.Error, match=r"cos_presign: key is JSON: give its text, as in key->>'\$'"):
        column(connection, "SELECT cos_presign('\"a\"'::JSON)")
    assert column(connection, """SELECT cos_presign('"a"'::JSON->>'$')""") == [signer.presign("a", key_time=TIMES)]


def test_reasons_in_duckdb(connection: duckdb.DuckDBPyConnection, signer: Signer) -> None:
    register(connection, signer, key_time=TIMES, on_error="struct")
    connection.register("bad", pa.table({"key": BAD, "number": range(len(BAD))}))
    query = "SELECT u.url, u.error FROM (SELECT cos_presign(key) AS u, number FROM bad) ORDER BY number"
    assert connection.sql(query).fetchall() == with_reasons(signer)
    assert column(connection, "SELECT DISTINCT typeof(cos_presign(key)) FROM bad") == [
        'STRUCT(url VARCHAR, "error" VARCHAR)'
    ]


def test_duckdb_keeps_no_function_that_nothing_uses(connection: duckdb.DuckDBPyConnection, signer: Signer) -> None:
    def names() -> list[str]:
        query = "SELECT function_name FROM duckdb_functions() WHERE function_name LIKE 'cos_presign%' AND function_type = 'scalar'"
        return column(connection, query)

    for expires in (60, 120, 180):
        register(connection, signer, expires=expires)
    before = names()
    assert len(before) == 1
    relation = connection.sql("SELECT cos_presign('a')")
    for _ in range(3):
        with connection.cursor() as cursor:
            register(cursor, signer)
            assert cursor.sql("SELECT cos_presign('a')").fetchall()
            unregister(cursor)
    assert names() == before
    register(connection, signer.at(TIMES[0]))  # what was planned before takes the function of now
    assert relation.limit(1).fetchall() == [(signer.at(TIMES[0]).presign("a"),)]
    unregister(connection)
    assert names() == []
    with pytest.raises(duckdb.Error, match="cos_presign does not exist"):
        column(connection, "SELECT cos_presign('a')")
    with pytest.raises(ParameterError, match="name 'cos_presign' is not registered for this connection"):
        unregister(connection)
    with pytest.raises(ParameterError, match=r"query_cols must hold names, as in \['versionId'\], not be a str"):
        register(connection, signer, query_cols="versionId")
    with pytest.raises(duckdb.Error):
        register(connection, signer, "select")
    assert column(connection, r"SELECT function_name FROM duckdb_functions() WHERE function_name ~ 'select_\d+'") == []
    connection.begin()
    for call in (register, unregister):
        arguments = (connection, signer) if call is register else (connection,)
        with pytest.raises(ParameterError, match="connection is within a transaction: end that first"):
            call(*arguments)
    connection.rollback()
    register(connection, signer, "Cos_Presign")
    register(connection, signer, query_cols=["v"])
    assert len(names()) == 1
    unregister(connection)
    with pytest.raises(ParameterError, match="query_cols must hold names, not b'v'"):
        register(connection, signer, query_cols=[b"v"])  # type: ignore[list-item]
    with pytest.raises(ParameterError, match="query_cols holds 'v' twice"):
        register(connection, signer, query_cols=["v", "w", "v"])
    with pytest.raises(ParameterError, match=r"query\['v'\] must not be given with query_cols of the same name"):
        register(connection, signer, query={"v": 1}, query_cols=["v"])
    default = duckdb.connect(":default:")  # each call gives another object for the one connection
    register(default, signer)
    register(duckdb.default_connection(), signer)
    unregister(duckdb.default_connection())
    with pytest.raises(ParameterError, match="is not registered for this connection"):
        unregister(default)
    connection.execute("CREATE TEMPORARY MACRO cos_presign(x) AS x")
    with pytest.raises(ParameterError, match="is not registered for this connection"):
        unregister(connection)


@pytest.mark.parametrize("value", ["encode('é')", "'\"x\"'::JSON", "1.5", "DATE '2026-01-01'", "['a']", "true"])
def test_duckdb_takes_parameters_of_strings_and_integers(
    connection: duckdb.DuckDBPyConnection, signer: Signer, value: str
) -> None:
    """A cast would make a text of anything."""
    register(connection, signer, key_time=TIMES, query_cols=["v"])
    with pytest.raises(duckdb.Error, match="cos_presign: a parameter must be a column of strings or integers, not of "):
        column(connection, f"SELECT cos_presign('a', {value})")
    for good, text in (
        ("'x'::ENUM('x')", "x"),
        ("5::UTINYINT", "5"),
        ("5", "5"),
        ("170141183460469231731::HUGEINT", None),
    ):
        wanted = signer.presign("a", key_time=TIMES, query={"v": text or "170141183460469231731"})
        assert column(connection, f"SELECT cos_presign('a', {good})") == [wanted]
    assert column(connection, "SELECT cos_presign('a', NULL)") == [signer.presign("a", key_time=TIMES)]


# --- pandas and Dask


@pytest.mark.parametrize(
    "dtype", ["str", "string[pyarrow]", *(pd.ArrowDtype(each) for each in (pa.string(), pa.large_string(), pa.string_view()))]
)  # fmt: skip
def test_pandas(signer: Signer, dtype: Any) -> None:
    series = pd.Series(ODD, dtype=dtype, index=[f"row {number}" for number in NUMBERS], name="key")
    urls = series.cossign.presign(signer, key_time=TIMES)
    assert [None if pd.isna(url) else url for url in urls] == signer.presign_many(ODD, key_time=TIMES)
    assert urls.index.equals(series.index)
    assert urls.name == "key"
    if not isinstance(dtype, pd.ArrowDtype):
        assert urls.dtype == series.dtype
    assert len(series[:0].cossign.presign(signer)) == 0
    some = series[3:9].cossign.presign(signer, key_time=TIMES)
    assert some.to_list() == urls[3:9].to_list()


def test_pandas_by_row(signer: Signer) -> None:
    df = pd.DataFrame(ROWS).convert_dtypes(dtype_backend="pyarrow")
    urls = df["key"].cossign.presign(
        signer, method=df["method"], expires=df["seconds"],
        query={"x": "1", "versionId": df["version"], "n": df["number"].astype("int64")}, headers=NAMED["headers"],
    )  # fmt: skip
    first = [None if pd.isna(url) else url for url in urls]
    assert first == by_row(signer.at(instant(first[0])))


def test_what_is_wrong_in_pandas(signer: Signer) -> None:
    series = pd.Series(["a", "../b"], index=["x", "y"], name="key", dtype="string[pyarrow]")
    with pytest.raises(ParameterError, match=r"column 'key'\[1\] \(label 'y', key '\.\./b'\) has a '\.'") as caught:
        series.cossign.presign(signer)
    assert caught.value.index == 1
    odd = pd.Series(pd.array(pa.array([b"\xff"]).view(pa.string()), dtype=pd.ArrowDtype(pa.string())))
    with pytest.raises(ParameterError, match=r"column 'keys'\[0\] \(label 0, key b'\\xff'\) is not valid UTF-8"):
        odd.cossign.presign(signer)
    urls = series.cossign.presign(signer, on_error="null")
    assert urls.isna().to_list() == [False, True]
    for wrong, said in (
        (pd.Series(["a", 1], dtype=object), "of dtype object cannot become a column of Arrow"),
        (pd.Series([1.5]), "must be a column of strings, not of floats"),
        (pd.Series(pd.to_timedelta([1], unit="h")), "must be a column of strings, not of durations"),
        (pd.Series([["a"]]), "must be a column of strings, not of lists"),
        (pd.Series(["a", "\ud800"], dtype=object), "of dtype object cannot become a column of Arrow"),
        (pd.Series([1 << 70], dtype=object), "of dtype object cannot become a column of Arrow"),
    ):
        with pytest.raises(ParameterError, match=rf"column 'keys' {said}"):
            wrong.cossign.presign(signer)
    with pytest.raises(ParameterError, match="keys must be a Series, not list"):
        cossign.integrations.pandas.presign(["a"], signer)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="column 'n' must be a column of strings, not of integers"):
        pd.Series([1, 2], name="n").cossign.presign(signer)
    with pytest.raises(ParameterError, match=r"column 'expires' has no row with the label 'x', which the keys have"):
        series.cossign.presign(signer, expires=pd.Series([1]))
    with pytest.raises(ParameterError, match="signer must be a Signer"):
        series.cossign.presign(1)


@pytest.mark.parametrize("dtype", ["object", "string[python]", "category"])
def test_strings_that_arrow_does_not_hold_in_pandas(signer: Signer, dtype: str) -> None:
    series = pd.Series(ODD, dtype=dtype, name="key")
    urls = series.cossign.presign(signer, key_time=TIMES)
    assert [None if pd.isna(url) else url for url in urls] == signer.presign_many(ODD, key_time=TIMES)
    assert urls.dtype == (dtype if dtype.startswith("string") else "string[pyarrow]")
    assert pd.Series([b"a"]).cossign.presign(signer, key_time=TIMES)[0] == signer.presign("a", key_time=TIMES)
    assert len(pd.Series([], dtype=object).cossign.presign(signer)) == 0


def test_pandas_pairs_rows_by_their_labels(signer: Signer) -> None:
    """As it does everywhere. Once the values of other rows were signed."""
    keys = pd.Series(["a", "b", "c"], index=[10, 20, 30], name="key")
    versions = pd.Series(["va", "vb", "vc", "vd"], index=[10, 20, 30, 40], name="version")
    wanted = signer.presign_many(["a", "b", "c"], key_time=TIMES, query={"versionId": ["va", "vb", "vc"]})
    texts = pa.array(["vd", "vc", "vb", "va"], pa.string_view())
    views = pd.Series(pd.array(texts, dtype=pd.ArrowDtype(texts.type)), index=[40, 30, 20, 10])
    for each in (versions, versions[::-1], versions.sample(4, random_state=3), views):
        assert keys.cossign.presign(signer, key_time=TIMES, query={"versionId": each}).to_list() == wanted
    twice = keys.iloc[[2, 0, 2]]
    urls = twice.cossign.presign(signer, key_time=TIMES, query={"versionId": versions})
    assert urls.to_list() == [wanted[2], wanted[0], wanted[2]]
    same = pd.Series(["v1", "v2", "v3"], index=twice.index)
    assert twice.cossign.presign(signer, query={"versionId": same}).str.contains("versionId=v").all()
    with pytest.raises(ParameterError, match="column 'version' has no row with the label 30, which the keys have"):
        keys.cossign.presign(signer, query={"versionId": versions[:2]})
    with pytest.raises(ParameterError, match="has another index than the keys, in which labels come twice"):
        keys.cossign.presign(signer, query={"versionId": same})


@pytest.mark.parametrize("dtype", ["str", "object", pd.ArrowDtype(pa.large_string())])
def test_reasons_in_pandas(signer: Signer, dtype: Any) -> None:
    keys = pd.Series(BAD, index=[7, 5, 3, 1], name="key", dtype=dtype)
    result = keys.cossign.presign(signer, key_time=TIMES, on_error="struct")
    assert result.index.equals(keys.index)
    assert list(result.columns) == ["url", "error"]
    rows = [tuple(None if pd.isna(value) else value for value in row) for row in result.to_numpy().tolist()]
    assert rows == with_reasons(signer)
    keys.index = pd.Index([7, 7, 7, 1])  # as docs/frames.md has it, whatever the labels are
    table = keys.to_frame().assign(**keys.cossign.presign(signer, key_time=TIMES, on_error="struct"))
    assert table[table["error"].notna()]["key"].to_list() == ["../b"]
    assert table["url"].isna().to_list() == [False, True, True, False]


def test_dask_takes_literal_credentials_to_threads(signer: Signer) -> None:
    df = dask.dataframe.from_pandas(pd.DataFrame({"key": ODD}, dtype="string[pyarrow]"), npartitions=2)
    url = df["key"].map_partitions(
        cossign.integrations.pandas.presign, signer.at(TIMES[0]), meta=("url", "string[pyarrow]")
    )
    urls = [None if pd.isna(each) else each for each in url.compute(scheduler="threads")]
    assert urls == signer.at(TIMES[0]).presign_many(ODD)
    with pytest.raises(TypeError, match="a pickled secret is a leaked secret"):
        url.compute(scheduler="processes")
    assert len({dask.base.tokenize(each) for each in (signer, signer.at(1), signer.replace(expires=1))}) == 3
    others = [Signer(FunctionCredentials(lambda: signer.credentials), bucket=BUCKET, region=REGION) for _ in range(2)]
    assert dask.base.tokenize(others[0]) != dask.base.tokenize(others[1])


def test_dask_names_equal_signers_with_a_provider_alike(provided: Signer) -> None:
    assert (
        dask.base.tokenize(provided.at(1)) == dask.base.tokenize(provided.at(1)) != dask.base.tokenize(provided.at(2))
    )


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(provided: Signer, scheduler: str) -> None:
    """The recipe of docs/frames.md."""
    signer = provided.at()
    df = dask.dataframe.from_pandas(pd.DataFrame({"key": ODD * 10}, dtype="string[pyarrow]"), npartitions=5)
    url = df["key"].map_partitions(cossign.integrations.pandas.presign, signer, meta=("url", "string[pyarrow]"))
    with dask.config.set(scheduler=scheduler):
        urls = [None if pd.isna(each) else each for each in url.compute()]
    assert urls == signer.presign_many(ODD * 10)


def test_pandas_and_dask_at_scale(provided: Signer, at_scale: AtScale) -> None:
    def signed(df: pd.DataFrame) -> pd.DataFrame:
        presigned = cossign.integrations.pandas.presign(df["key"], provided, key_time=TIMES)
        return df[["number"]].assign(url=presigned)

    whole = pd.read_parquet(at_scale.files[0].parent, dtype_backend="pyarrow")
    assert hash_of(pa.Table.from_pandas(signed(whole))) == at_scale.hash
    parts = [dask.delayed(pd.read_parquet)(file, dtype_backend="pyarrow") for file in at_scale.files]
    ddf = dask.dataframe.from_delayed([dask.delayed(signed)(part) for part in parts], meta=signed(whole[:0]))
    assert hash_of(pa.Table.from_pandas(ddf.compute())) == at_scale.hash


def test_a_key_column_of_integers_is_refused_as_in_presign_many(signer: Signer) -> None:
    for column in (pa.array([1, 2]), pa.array([1]).dictionary_encode(), pa.table({"n": [1]})):
        with pytest.raises(ParameterError, match="keys must be a column of strings, not of integers"):
            signer.presign_arrow(column)

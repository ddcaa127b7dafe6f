"""One job of one engine, in a process of its own: `python -m bench.engines ENGINE WORKERS KEYS OUT HOW`.

KEYS is a folder of Parquet files with a column `key`. HOW is what becomes of them:

    read         only read
    noop         beside each key a constant as long as its URL, by a function of the same shape; dropped
    sign         its URL; dropped
    noop,write   the same, written to OUT, as Parquet packed by zstd
    sign,write   the whole job

It prints, as JSON, the seconds until the engine was up, and those of the job.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()
SECRETS = {
    "COS_SECRET_ID": "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q",
    "COS_SECRET_KEY": "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
}
WEEK = 7 * 86400
PLACE = [0]  # of the next constant


def signer() -> Any:
    from cossign import EnvironmentCredentials, Signer

    return Signer(EnvironmentCredentials(), bucket="examplebucket-1250000000", region="ap-beijing", expires=WEEK)


@lru_cache(maxsize=1)
def constant(rows: int) -> Any:
    """So many constants as long as a URL, none like the other: they pack as URLs do."""
    import pyarrow as pa

    keys = pa.array([f"photos/2026/11/0000/img_{row:08d}.jpg" for row in range(rows)])
    return pa.chunked_array(signer().presign_arrow(keys)).combine_chunks()


def constants(rows: int) -> Any:
    """A column of constants; small ones have the next ones each, or they would be packed too well."""
    import pyarrow as pa

    few = constant(1 << 17)
    at = PLACE[0] % len(few)
    PLACE[0] += rows
    chunks = []
    while rows > 0:
        chunks.append(few.slice(at, rows))
        rows -= len(chunks[-1])
        at = 0
    return pa.chunked_array(chunks, pa.string())


# Each is a generator: it yields when its engine is up, and then does the job.


def cli(workers: int, keys: Path, out: Path, how: str) -> Iterator[None]:
    from cossign import batch

    yield
    target = f"{out}/" if how == "sign,write" else "/dev/null"
    if how in ("sign,write", "sign"):
        job = batch.Job(
            inputs=str(keys), output=target, signer=signer(), output_format="parquet", keep_columns=["key"],
            expires=WEEK, threads=workers, check_space=False,
            rows_per_part=10_000_000 if how == "sign,write" else None,
        )  # fmt: skip
        batch.run(job)


def spark(workers: int, keys: Path, out: Path, how: str) -> Iterator[None]:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from cossign.integrations.spark import presign

    def noop(batches: Iterator[Any]) -> Iterator[Any]:
        from bench.engines import constant

        for batch in batches:
            few = constant(1 << 17).slice(0, len(batch))
            yield pa.RecordBatch.from_arrays([*batch.columns, few], names=["key", "url"])

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "4g").config("spark.driver.host", "127.0.0.1")
    session = builder.config("spark.sql.parquet.compression.codec", "zstd").getOrCreate()
    yield
    df = session.read.parquet(str(keys)).select("key")
    if how == "read":
        df.selectExpr("sum(length(key))").collect()
        return
    done = presign(df, "key", "url", signer()) if "sign" in how else df.mapInArrow(noop, "key string, url string")
    if "write" in how:
        done.write.parquet(str(out))
    else:
        done.write.format("noop").mode("overwrite").save()


def ray(workers: int, keys: Path, out: Path, how: str) -> Iterator[None]:
    import ray
    import ray.data

    from cossign.integrations.ray import presign

    class Noop:
        def __call__(self, block: Any) -> Any:
            from bench.engines import constants

            return block.append_column("url", constants(len(block)))

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Actors keep a CPU each, and what writes needs others.
    ray.init(num_cpus=2 * workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ds = ray.data.read_parquet(str(keys), columns=["key"])
    pool = ray.data.ActorPoolStrategy(size=workers)
    if "sign" in how:
        ds = presign(ds, "key", "url", signer(), concurrency=workers)
    elif "noop" in how:
        ds = ds.map_batches(Noop, compute=pool, batch_format="pyarrow", batch_size=None)
    if "write" in how:
        ds.write_parquet(str(out), compression="zstd")
    else:
        for _ in ds.iter_internal_ref_bundles():
            pass


def polars(workers: int, keys: Path, out: Path, how: str) -> Iterator[None]:
    os.environ["POLARS_MAX_THREADS"] = str(workers)
    import polars as pl

    import cossign.integrations.polars  # noqa: F401

    yield
    frame = pl.scan_parquet(keys).select("key")
    url: Any = pl.col("key")
    if "sign" in how:
        url = pl.col("key").cossign.presign(signer())
    elif "noop" in how:
        url = pl.col("key").map_batches(lambda keys: pl.Series(constants(len(keys))), pl.String, is_elementwise=True)
    if "write" in how:
        frame.with_columns(url=url).sink_parquet(out.with_suffix(".parquet"), compression="zstd")
    else:
        frame.select(url.str.len_bytes().sum()).collect(engine="streaming")


def duckdb(workers: int, keys: Path, out: Path, how: str) -> Iterator[None]:
    import duckdb

    from cossign.integrations.duckdb import register

    connection = duckdb.connect(config={"threads": workers})
    yield
    register(connection, signer())
    text = duckdb.sqltype("VARCHAR")
    connection.create_function("noop", lambda keys: constants(len(keys)), [text], text, type="arrow")
    url = "cos_presign(key)" if "sign" in how else "noop(key)" if "noop" in how else "key"
    if "write" in how:
        target = out.with_suffix(".parquet")
        connection.execute(
            f"COPY (SELECT key, {url} AS url FROM '{keys}/*.parquet') TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
    else:
        connection.execute(f"SELECT sum(strlen({url})) FROM '{keys}/*.parquet'").fetchall()


def pandas(workers: int, keys: Path, out: Path, how: str) -> Iterator[None]:
    import pandas as pd
    import pyarrow as pa

    import cossign.integrations.pandas  # noqa: F401

    yield
    df = pd.read_parquet(keys, dtype_backend="pyarrow")
    if "sign" in how:
        df["url"] = df["key"].cossign.presign(signer(), threads=workers)
    elif "noop" in how:
        # A column that is kept has memory of its own, whose pages the system has to find: so do constants here.
        chunks = constants(len(df)).chunks
        copies = [pa.concat_arrays([chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]]) for chunk in chunks]
        df["url"] = pd.Series(pd.array(pa.chunked_array(copies), dtype=pd.ArrowDtype(pa.string())))
    if "write" in how:
        df.to_parquet(out.with_suffix(".parquet"), compression="zstd")


ENGINES = {each.__name__: each for each in (cli, spark, ray, polars, duckdb, pandas)}


def main() -> None:
    name, workers, keys, out, how = sys.argv[1:]
    os.environ.update(SECRETS)
    if "noop" in how:
        constants(1)
    job = ENGINES[name](int(workers), Path(keys), Path(out), how)
    next(job)
    up = time.perf_counter()
    for _ in job:
        pass
    print(json.dumps({"start": up - BEGAN, "job": time.perf_counter() - up}), flush=True)


if __name__ == "__main__":
    main()

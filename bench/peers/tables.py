"""Jobs of DuckDB and Polars that write text of a URL's length without signing it: `python -m bench.peers.tables`.

In the place of a signature stands a hash of the key, whose digits cannot be packed either: DuckDB's SHA-1, and two of Polars'
hashes in decimal.
"""

from __future__ import annotations

import sys
from pathlib import Path

BEFORE = "https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/"
AFTER = (
    "?q-sign-algorithm=sha1&q-ak=AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q&q-sign-time=1764000000%3B1764000900"
    "&q-key-time=1764000000%3B1764000900&q-header-list=host&q-url-param-list=&q-signature="
)
INVENTORY = (
    "Appid", "Bucket", "Key", "Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded",
    "ReplicationStatus",
)  # fmt: skip


def duckdb(source: Path, output: Path) -> None:
    import duckdb

    def types(*names: str) -> str:
        return "columns={" + ", ".join(f"'{name}': 'VARCHAR'" for name in names) + "}"

    csv = "auto_detect=false, quote='\"', escape='\"', delim=','"
    lines = r"header=false, delim='\x01', quote='', escape='', auto_detect=false"
    read = {
        ".txt": f"SELECT key FROM read_csv('{source}', {types('key')}, {lines})",
        ".csv": f"SELECT key FROM read_csv('{source}', {types('key', 'size')}, header=true, {csv})",
        ".parquet": f"SELECT key FROM read_parquet('{source}')",
        ".jsonl": f"SELECT key FROM read_json('{source}', format='newline_delimited', {types('key')})",
        "": f"SELECT url_decode(Key) AS key FROM read_csv('{source}/*.csv.gz', {types(*INVENTORY)}, header=false, {csv})",
    }[source.suffix]
    write = {
        ".txt": r"FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE ''",
        ".csv": "FORMAT csv, HEADER true",
        ".parquet": "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1",
        ".jsonl": "FORMAT json",
    }[output.suffix]
    url = f"'{BEFORE}' || key || '{AFTER}' || sha1(key) AS url"
    columns = url if output.suffix == ".txt" else f"key, {url}"
    duckdb.connect(config={"threads": 1}).execute(f"COPY (SELECT {columns} FROM ({read})) TO '{output}' ({write})")


def polars(source: Path, output: Path) -> None:
    import polars as pl

    text = dict.fromkeys(INVENTORY, pl.String)
    if source.suffix == ".txt":
        frame = pl.scan_csv(source, has_header=False, separator="\x01", quote_char=None, schema={"key": pl.String})
    elif source.suffix == ".csv":
        frame = pl.scan_csv(source, schema={"key": pl.String, "size": pl.String})
    elif source.suffix == ".parquet":
        frame = pl.scan_parquet(source)
    elif source.suffix == ".jsonl":
        frame = pl.scan_ndjson(source, schema={"key": pl.String})
    else:  # Polars cannot percent-decode: the keys of this inventory have slashes only
        rows = pl.scan_csv(source / "*.csv.gz", has_header=False, schema=text)
        frame = rows.select(key=pl.col("Key").str.replace_all("%2F", "/", literal=True))
    key = pl.col("key")
    hashes = [key.hash(seed).cast(pl.String) for seed in (1, 2)]
    url = pl.concat_str([pl.lit(BEFORE), key, pl.lit(AFTER), *hashes]).alias("url")
    frame = frame.select(url) if output.suffix == ".txt" else frame.select(key, url)
    if output.suffix == ".txt":
        frame.sink_csv(output, include_header=False, quote_style="never")
    elif output.suffix == ".csv":
        frame.sink_csv(output)
    elif output.suffix == ".parquet":
        frame.sink_parquet(output, compression="zstd", compression_level=1)
    else:
        frame.sink_ndjson(output)


if __name__ == "__main__":
    {"duckdb": duckdb, "polars": polars}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))

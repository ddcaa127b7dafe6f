"""Keys that are odd, and what the tests of engines share."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from cossign import Credentials, EnvironmentCredentials, Signer
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY

TIMES = (1557989753, 1557996953)
ODD = [
    "picture.jpg", None, "a b/腾讯云.txt", "😀", "q?x=1&y=2#z", "100%", "%2F", "a+b", "'\"\\x", "~!*()", "a\tb", "é" * 400,
    "x" * 850, "a//b", "0", "null", "line\u2028end",
]  # fmt: skip


@pytest.fixture
def provided(environment: None) -> Signer:
    """A Signer that may travel: its credentials are in the environment."""
    return Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION)


def inventory(folder: Path, form: str, keys: list[str], plain: str = "") -> Path:
    """A report as COS writes it; of CSV's keys, `plain` characters are not URL-encoded."""
    folder.mkdir(parents=True)
    path = folder / f"data.{form.lower()}{'.gz' if form == 'CSV' else ''}"
    if form == "CSV":
        lines = [f'"1250000000","{BUCKET}","{quote(key, safe=plain)}","{len(key)}","x ""y"", z"\n' for key in keys]
        path.write_bytes(gzip.compress("".join(lines).encode()))
    else:
        table = pa.table({"key": keys, "size": [len(key) for key in keys]})
        (pq if form == "PARQUET" else pa.orc).write_table(table, str(path))
    data = path.read_bytes()
    manifest = {
        "fileFormat": form, "listObjectCount": str(len(keys)),
        "files": [{"key": f"cos/{BUCKET}/{path.name}", "size": str(len(data)), "md5Checksum": hashlib.md5(data).hexdigest()}],
    }  # fmt: skip
    if form == "CSV":
        manifest["fileSchema"] = "Appid, Bucket, Key, Size, Tag"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder / "manifest.json"


class AtScale(NamedTuple):
    """Many keys on disk, in files of all sizes, one of them empty; and the hash of their URLs, in the order of the keys."""

    files: list[Path]
    rows: int
    hash: str


@pytest.fixture(scope="session")
def at_scale(tmp_path_factory: pytest.TempPathFactory) -> AtScale:
    """Some 300,000 keys, or COSSIGN_ROWS; one in a thousand is null; one file has more than half of them."""
    rows = int(os.environ.get("COSSIGN_ROWS", "300000"))
    folder = tmp_path_factory.mktemp("at_scale")
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    digest = hashlib.sha256()
    # No file has a single row: behind one, the Parquet reader of Ray 2.60 sometimes does not come to an end.
    cuts = [0, rows // 5, rows // 5, rows // 4, rows * 5 // 6, rows]
    files = []
    for number, (first, last) in enumerate(itertools.pairwise(cuts)):
        files.append(folder / f"{number}.parquet")
        schema = pa.schema({"number": pa.int64(), "key": pa.string()})
        with pq.ParquetWriter(files[-1], schema) as writer:
            for begin in range(first, last, 200_000):
                numbers = range(begin, min(begin + 200_000, last))
                keys = [
                    None if row % 1000 == 7 else f"photos/{row:09d}{'/图 片' if row % 13 == 0 else ''}.jpg"
                    for row in numbers
                ]
                writer.write_table(pa.table([list(numbers), keys], schema=schema))
                digest.update("".join(f"{url}\n" for url in signer.presign_many(keys, key_time=TIMES)).encode())
    return AtScale(files, rows, digest.hexdigest())


def hash_of(table: pa.Table) -> str:
    """The hash of a table's URLs, in the order of its numbers, each once."""
    order = pc.sort_indices(table["number"])
    assert pc.max(table["number"]).as_py() == len(table) - 1
    assert pc.count_distinct(table["number"]).as_py() == len(table)
    urls = table["url"].cast(pa.large_string()).combine_chunks()
    digest = hashlib.sha256()
    for first in range(0, len(urls), 500_000):
        some = urls.take(order.slice(first, 500_000)).to_pylist()
        digest.update("".join(f"{url}\n" for url in some).encode())
    return digest.hexdigest()

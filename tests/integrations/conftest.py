"""Keys that are odd, and what the tests of engines share."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from cossign import EnvironmentCredentials, Signer
from tests.conftest import BUCKET, REGION

TIMES = (1557989753, 1557996953)
ODD = [
    "picture.jpg", None, "a b/腾讯云.txt", "😀", "q?x=1&y=2#z", "100%", "%2F", "a+b", "'\"\\x", "~!*()", "a\tb", "é" * 400,
    "x" * 850, "a//b", "0", "null", "line\u2028end",
]  # fmt: skip


@pytest.fixture
def provided(environment: None) -> Signer:
    """A Signer that may travel: its credentials are in the environment."""
    return Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION)


def inventory(folder: Path, form: str, keys: list[str]) -> Path:
    """A report as COS writes it."""
    import pyarrow as pa
    import pyarrow.orc
    import pyarrow.parquet

    folder.mkdir(parents=True)
    path = folder / f"data.{form.lower()}{'.gz' if form == 'CSV' else ''}"
    if form == "CSV":
        lines = [f'"1250000000","{BUCKET}","{quote(key, safe="")}","{len(key)}","x ""y"", z"\n' for key in keys]
        path.write_bytes(gzip.compress("".join(lines).encode()))
    else:
        table = pa.table({"key": keys, "size": [len(key) for key in keys]})
        (pa.parquet if form == "PARQUET" else pa.orc).write_table(table, str(path))
    data = path.read_bytes()
    manifest = {
        "fileFormat": form, "listObjectCount": str(len(keys)),
        "files": [{"key": f"cos/{BUCKET}/{path.name}", "size": str(len(data)), "md5Checksum": hashlib.md5(data).hexdigest()}],
    }  # fmt: skip
    if form == "CSV":
        manifest["fileSchema"] = "Appid, Bucket, Key, Size, Tag"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder / "manifest.json"

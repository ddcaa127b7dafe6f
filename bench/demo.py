"""`make demo`: this machine's file names become an inventory report, its keys presigned URLs, and every URL verifies.

The credentials are the example of Tencent's page "Request Signature" (product 436, page 7778): no real ones.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

DEMO = Path(__file__).parent.parent / "demo"
BUCKET, REGION = "examplebucket-1250000000", "ap-beijing"
ROWS = 200_000
LEAST = 100_000
ODD = [
    "a b.jpg",
    "腾讯云/对象存储.txt",
    "+%&=?#.txt",
    "quote\"'.csv",
    "comma,semicolon;.csv",
    "new\nline",
    "😀/é.png",
    "~tilde*star!",
]


def file_names() -> Iterator[str]:
    """Names of files that this machine has: of its packages, or below the system's and Python's own folders."""
    for listed in sorted(Path("/var/lib/dpkg/info").glob("*.list")):
        for line in listed.read_bytes().splitlines():
            yield line.decode("utf-8", "ignore").strip("/.")
    for root in ("/usr", sysconfig.get_path("stdlib"), sys.prefix, str(Path.home())):
        for folder, _, files in os.walk(root):
            for file in files:
                yield f"{folder}/{file}".encode("utf-8", "ignore").decode().strip("/.")


def keys() -> list[str]:
    """Distinct object keys; where a machine has too few files, the same under more prefixes."""
    found = dict.fromkeys(ODD)
    for name in file_names():
        if name and len(name.encode()) <= 800 and not {".", ".."} & set(name.split("/")):
            found[name] = None
        if len(found) == ROWS:
            break
    every = list(found)
    copy = 1
    while len(every) < LEAST:
        every += [f"copy{copy}/{name}" for name in list(found)]
        copy += 1
    return every[:ROWS]


def inventory(every: list[str]) -> Path:
    """Write an inventory report as COS does: gzipped CSV without a header, URL-encoded keys, a manifest with MD5s."""
    folder = DEMO / "inventory"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for part in range(4):
        text = io.StringIO()
        rows = every[part * len(every) // 4 : (part + 1) * len(every) // 4]
        csv.writer(text).writerows(["1250000000", BUCKET, quote(key, safe=""), len(key), "STANDARD"] for key in rows)
        data = gzip.compress(text.getvalue().encode(), 6, mtime=0)
        name = f"part-{part}.csv.gz"
        (folder / name).write_bytes(data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        files.append(
            {
                "key": f"cos_bucket_inventory/1250000000/examplebucket/demo/{name}",
                "size": str(len(data)),
                "md5Checksum": md5,
            }
        )
    manifest = {
        "sourceAppid": "1250000000", "sourceBucket": "examplebucket", "destinationAppid": "1250000000",
        "destinationBucket": "examplebucket-inventory", "fileFormat": "CSV", "listObjectCount": str(len(every)),
        "fileSchema": "Appid, Bucket, Key, Size, StorageClass", "files": files,
    }  # fmt: skip
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=1))
    return path


def main() -> int:
    os.environ["COS_SECRET_ID"] = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q"
    os.environ["COS_SECRET_KEY"] = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"
    os.environ.pop("COS_SESSION_TOKEN", None)
    every = keys()
    manifest = inventory(every)
    print(f"{len(every):,} names of this machine's files are now the inventory {manifest}")
    urls = DEMO / "urls.txt"
    cossign = [sys.executable, "-m", "cossign"]
    command = ["presign", str(manifest), "-o", str(urls), "-b", BUCKET, "-r", REGION, "--expires", "1h"]
    print("$ cossign", *command)
    began = time.perf_counter()
    subprocess.run([*cossign, *command], check=True)
    presigned = time.perf_counter() - began
    print("$ cossign verify - <", urls)
    began = time.perf_counter()
    with open(urls, "rb") as data:
        status = subprocess.run([*cossign, "verify", "-"], stdin=data, check=False).returncode
    verified = time.perf_counter() - began
    with open(urls) as lines:
        made = [line.rstrip("\n") for line in lines]
    if status or len(made) != len(every):
        print(f"{len(every)} keys gave {len(made)} URLs, and cossign verify ended with {status}", file=sys.stderr)
        return 1
    print("\nthree of them:\n" + "\n\n".join(made[:3]))
    print(
        f"\n{len(made):,} URLs in {presigned:.2f} s ({len(made) / presigned:,.0f} a second, files and start included),"
    )
    print(f"all of them verified in {verified:.2f} s ({len(made) / verified:,.0f} a second).")
    print(f"The inventory is in {manifest.parent}, the URLs in {urls}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

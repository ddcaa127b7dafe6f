"""`make demo`: this machine's file names become keys, the keys presigned URLs, and every URL is verified.

A million keys go through an inventory report into a file of URLs. Ten million more go to the null device, so that the
time is that of reading and signing. The credentials are the example of Tencent's page "Request Signature" (product
436, page 7778). They belong to no bucket.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

DEMO = Path(__file__).parent.parent / "demo"
BUCKET, REGION = "examplebucket-1250000000", "ap-beijing"
NAMES = 200_000  # distinct names of files, if the machine has so many
LISTED, STREAMED = 1_000_000, 10_000_000  # keys in the inventory, and in the text file
ROOM = 3 << 30  # bytes of free disk for that; with less, a tenth of the keys
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


def names() -> list[str]:
    """Distinct names that are valid keys."""
    found = dict.fromkeys(ODD)
    for name in file_names():
        if name and len(name.encode()) <= 800 and not {".", ".."} & set(name.split("/")):
            found[name] = None
        if len(found) == NAMES:
            break
    return list(found)


def prefixes(count: int, keys: int) -> Iterator[str]:
    """As many prefixes as make `keys` keys of `count` names: the first is empty."""
    yield ""
    for copy in range(1, -(-keys // count)):
        yield f"copy-{copy:04d}/"


def inventory(every: list[str]) -> Path:
    """Write an inventory report as COS does: gzipped CSV without a header, URL-encoded keys, a manifest with MD5s."""
    folder = DEMO / "inventory"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for part in range(4):
        text = io.StringIO()
        rows = every[part * len(every) // 4 : (part + 1) * len(every) // 4]
        csv.writer(text).writerows(["1250000000", BUCKET, quote(key, safe=""), len(key), "STANDARD"] for key in rows)
        data = gzip.compress(text.getvalue().encode(), 1, mtime=0)
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


def text_file(every: list[str], keys: int) -> Path:
    """Write that many keys, one on each line: the names under many prefixes."""
    block = "".join(f"{name}\n" for name in every if not {"\n", "\r"} & set(name)).encode()
    path = DEMO / "keys.txt"
    left = keys
    with path.open("wb") as file:
        for prefix in prefixes(block.count(b"\n"), keys):
            text = prefix.encode() + block[:-1].replace(b"\n", b"\n" + prefix.encode()) + b"\n"
            if left < text.count(b"\n"):
                text = b"".join(text.splitlines(keepends=True)[:left])
            file.write(text)
            left -= text.count(b"\n")
    return path


def run(*command: str) -> float:
    """Show a command and run it; returns its seconds, from start to end of the process."""
    print("\n$ cossign", *command, flush=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cossign", *command], check=True)
    return time.perf_counter() - began


def main() -> int:
    os.environ["COS_SECRET_ID"] = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q"
    os.environ["COS_SECRET_KEY"] = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"
    os.environ["COS_BUCKET"], os.environ["COS_REGION"] = BUCKET, REGION
    os.environ.pop("COS_SESSION_TOKEN", None)
    DEMO.mkdir(exist_ok=True)
    small = shutil.disk_usage(DEMO).free < ROOM
    listed, streamed = (LISTED // 10, STREAMED // 10) if small else (LISTED, STREAMED)
    every = names()
    manifest = inventory([prefix + name for prefix in prefixes(len(every), listed) for name in every][:listed])
    lines = text_file(every, streamed)
    urls = DEMO / "urls.txt"
    print(f"{len(every):,} names of this machine's files, under many prefixes, are now")
    print(f"  {listed:,} keys in the inventory {manifest}")
    print(f"  {streamed:,} keys in {lines}{' (the disk has little room: a tenth of the usual)' if small else ''}")
    presigned = run("presign", str(manifest), "-o", str(urls), "--expires", "1h", "--no-progress")
    verified = run("verify", str(urls))
    signed = run("presign", str(lines), "-o", os.devnull, "--no-progress")
    one = run("url", "photos/头像 1.jpg")
    lines.unlink()
    with open(urls, "rb") as data:
        made = sum(block.count(b"\n") for block in iter(lambda: data.read(1 << 20), b""))
    if made != listed:
        print(f"{listed} keys gave {made} URLs", file=sys.stderr)
        return 1
    print("\nWhat was timed: whole commands on this machine, with the start of Python, all reading and all writing.")
    for text, keys, seconds in (
        ("keys of a text file to the null device", streamed, signed),
        ("keys of a gzipped inventory to a file", listed, presigned),
        ("URLs of a file, verified", listed, verified),
    ):
        print(f"  {keys:>10,} {text:<40} {seconds:6.2f} s   {keys / seconds:>12,.0f} a second")
    print(f"  {1:>10,} {'URL':<40} {one:6.2f} s")
    print(f"\nThe inventory is in {manifest.parent}, the URLs are in {urls}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make demo-bucket`: a list or an inventory in a bucket becomes presigned URLs in another, by one command.

The objects have odd keys. The server judges each request as COS does, without cossign, and so is each URL, or every
`--check-every`th. `--rows N` signs an inventory of N rows in place of a list.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, Store, refusal, running

from bench.jobs import inventory

REPORTS = "reports-1250000000"
NAMES = (
    "a b.jpg", "腾讯云.txt", "+%&=?#.txt", "quote\"'.csv", "comma,semicolon;.csv", "😀.png", "~tilde*star!",
    "dot/./dot",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rows", type=int, help="of an inventory, which is signed in place of a list")
    parser.add_argument("--to", choices=("txt", "parquet"), default="txt")
    parser.add_argument("--rows-per-part", type=int, default=25_000)
    parser.add_argument("--check-every", type=int, default=1)
    arguments = parser.parse_args()
    count = arguments.rows or arguments.objects
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as server:
        server.buckets = {BUCKET: Store(), REPORTS: Store()}
        source = f"cos://{REPORTS}/daily/20260601/" if arguments.rows else f"cos://{BUCKET}/photos/"
        if arguments.rows:
            fill_inventory(server.buckets[REPORTS], count)
        else:
            fill_photos(server.buckets[BUCKET], count)
        seconds, size = sign(server, source, arguments.to, arguments.rows_per_part)
        if server.refusals:
            print(f"{len(server.refusals)} requests were refused: {server.refusals[:3]}")
            return 1
        target = server.buckets[REPORTS]
    parts = [target.objects[key] for key in sorted(target.objects) if key.startswith(b"urls/part-")]
    url_count, wrong, first_url = 0, 0, ""
    for part in parts:
        urls = list(urls_in(part, arguments.to))
        first_url = first_url or urls[0]
        wrong += sum(bool(_refusal(url)) for url in urls[:: arguments.check_every])
        url_count += len(urls)
    rate = f"{count / seconds:,.0f} rows/s, at most {size} MiB"
    print(f"{url_count:,} URLs in {len(parts)} parts, {rate}; refused by the judge: {wrong}")
    print(first_url)
    return 0 if url_count == count and not wrong else 1


def fill_photos(store: Store, count: int) -> None:
    for number in range(count):
        store.objects[f"photos/{number % 97:02d}/{number:06d} {NAMES[number % len(NAMES)]}".encode()] = b""


def fill_inventory(store: Store, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inventory(Path(folder, "report"), rows)
        for path in Path(folder, "report").iterdir():
            place = "daily/20260601" if path.name == "manifest.json" else "cos"
            store.objects[f"{place}/{path.name}".encode()] = path.read_bytes()


def sign(server: CosServer, source: str, form: str, rows_per_part: int) -> tuple[float, int]:
    """Run the command as a user would type it; returns seconds, and the most memory in MiB (on Linux)."""
    options = ["-b", BUCKET, "-r", REGION, "--endpoint", server.url, "--rows-per-part", str(rows_per_part)]
    command = ["presign", source, "-o", f"cos://{REPORTS}/urls/", "--to", form, *options, "--no-strict"]
    print("$ cossign", *command, flush=True)
    secrets = {"COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY}
    start = time.monotonic()
    size = 0
    process = subprocess.Popen([sys.executable, "-m", "cossign", *command], env={**os.environ, **secrets})
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:  # what getrusage says of a child begins with this process's own size
        if status.exists() and (found := re.search(r"VmHWM:\s*(\d+)", status.read_text())):
            size = int(found[1]) >> 10
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the command has ended with status {process.returncode}")
    return time.monotonic() - start, size


def urls_in(part: bytes, form: str) -> Iterator[str]:
    if form == "txt":
        yield from part.decode().splitlines()
        return
    import pyarrow.parquet as pq

    yield from pq.read_table(io.BytesIO(part), columns=["url"])["url"].to_pylist()


def _refusal(url: str) -> str:
    """Why COS would refuse a GET of a URL."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}".encode()
    return refusal(b"GET", target, [(b"host", parts.netloc.encode())], SECRET_ID, SECRET_KEY, None, time.time())


if __name__ == "__main__":
    sys.exit(main())

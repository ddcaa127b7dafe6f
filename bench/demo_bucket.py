"""`make demo-bucket`: the objects of a bucket become presigned URLs in another, on a server that judges all requests.

100,000 objects with odd keys are listed, signed, and written as parts, by the command that a user would type. Then each
URL is judged as COS would judge a GET, without cossign.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import Store, refusal, running

REPORTS = "reports-1250000000"
NAMES = (
    "a b.jpg", "腾讯云.txt", "+%&=?#.txt", "quote\"'.csv", "comma,semicolon;.csv", "😀.png", "~tilde*star!",
    "dot/./dot",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=100_000)
    count = parser.parse_args().objects
    source, target = Store(), Store()
    for number in range(count):
        source.objects[f"photos/{number % 97:02d}/{number:06d} {NAMES[number % len(NAMES)]}".encode()] = b""
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as server:
        server.buckets = {BUCKET: source, REPORTS: target}
        options = ["-r", REGION, "--endpoint", server.url, "--rows-per-part", "25000", "--no-strict"]
        command = ["presign", f"cos://{BUCKET}/photos/", "-o", f"cos://{REPORTS}/urls/", *options]
        print("$ cossign", *command, flush=True)
        secrets = {"COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY}
        start = time.monotonic()
        subprocess.run([sys.executable, "-m", "cossign", *command], env={**os.environ, **secrets}, check=True)
        seconds = time.monotonic() - start
        if server.refusals:
            print(f"{len(server.refusals)} requests were refused: {server.refusals[:3]}")
            return 1
    parts = sorted(key.decode() for key in target.objects if b"/part-" in key)
    urls = [line for part in parts for line in target.objects[part.encode()].decode().splitlines()]
    wrong = [url for url in urls if _refusal(url)]
    rate = f"{count / seconds:,.0f} objects/s"
    print(f"{len(urls):,} URLs in {len(parts)} parts, {rate}; refused by the judge: {len(wrong)}")
    print(urls[0])
    return 0 if len(urls) == count and not wrong else 1


def _refusal(url: str) -> str:
    """Why COS would refuse a GET of a URL."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}".encode()
    return refusal(b"GET", target, [(b"host", parts.netloc.encode())], SECRET_ID, SECRET_KEY, None, time.time())


if __name__ == "__main__":
    sys.exit(main())

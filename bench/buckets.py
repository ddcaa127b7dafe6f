"""What the work with buckets costs beside Tencent's SDK alone: `python -m bench.buckets [--objects N] [--rounds 5]`.

Lists: the SDK's list_objects, page by page, and `Bucket.objects`, where the server answers at once and where it takes
50 ms, as COS may. Reading: the SDK's get_object and `Bucket.open`, 100 MB. In turn; medians of the rounds. The server
is a process of its own on this machine, in Python, so with an answer at once it is what takes most of the time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from cossign import Credentials
from cossign.storage import Bucket

BUCKET, SECRETS = (
    "examplebucket-1250000000",
    ("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"),
)
LARGE = 100_000_000  # bytes
DELAY = 0.05  # seconds


def serve(objects: int, delay: float) -> None:
    """Answer until the process is ended."""
    from tests.cos_server import CosServer, Fault, Store

    server, store = CosServer(lambda: [(*SECRETS, None)]), Store()
    server.buckets[BUCKET] = store
    store.objects = {
        f"photos/2026/{row // 31_000:02d}/{row // 1000 % 31:02d}/{row:08d} ä+.jpg".encode(): b""
        for row in range(objects)
    }
    if not objects:
        store.objects = {b"large": random.Random(1).randbytes(LARGE)}
        store.told = {"ETag": '"1"'}
    server.plan = lambda request: Fault(delay=delay)
    print(server.url, flush=True)
    server.server.serve_forever()


def list_alone(client: Any) -> int:
    """All keys by the SDK, one page after the other."""
    count, marker = 0, ""
    while True:
        page = client.list_objects(BUCKET, Marker=marker, MaxKeys=1000, EncodingType="url")
        count += len(page.get("Contents", ()))
        if page["IsTruncated"] != "true":
            return count
        marker = page["NextMarker"]


def read_alone(client: Any) -> int:
    stream, count = client.get_object(BUCKET, "large")["Body"].get_raw_stream(), 0
    while data := stream.read(1 << 17):
        count += len(data)
    return count


def read_ours(bucket: Bucket) -> int:
    count = 0
    with bucket.open(bucket.look("large")) as file:
        while data := file.read(1 << 17):
            count += len(data)
    return count


def compare(objects: int, delay: float, rounds: int) -> tuple[list[float], list[float]]:
    """The rates of the SDK alone and of `Bucket`, round by round: objects a second that are listed; of none, bytes."""
    from qcloud_cos import CosConfig, CosS3Client

    command = [sys.executable, "-m", "bench.buckets", "--serve", str(objects), "--delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        place = {"IP": "127.0.0.1", "Port": int(url.rpartition(":")[2]), "Endpoint": "cos.ap-beijing.myqcloud.com"}
        client = CosS3Client(
            CosConfig(Region="ap-beijing", SecretId=SECRETS[0], SecretKey=SECRETS[1], Scheme="http", **place)
        )
        bucket = Bucket(BUCKET, "ap-beijing", lambda: Credentials(*SECRETS), endpoint=url)
        calls: tuple[Callable[[], int], Callable[[], int]] = (
            (lambda: list_alone(client), lambda: sum(map(len, bucket.objects())))
            if objects
            else (lambda: read_alone(client), lambda: read_ours(bucket))
        )
        rates: tuple[list[float], list[float]] = ([], [])
        try:
            for _ in range(rounds):
                for call, found in zip(calls, rates, strict=True):
                    start = time.monotonic()
                    count = call()
                    assert count == (objects or LARGE), count
                    found.append(count / (time.monotonic() - start))
        finally:
            server.terminate()
    return rates


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--delay", type=float, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve, arguments.delay)
        return
    print("| what | SDK alone | cossign | ratio |\n|---|---:|---:|---:|")
    for name, objects, delay, rounds in (
        ("list, an answer at once", arguments.objects, 0.0, arguments.rounds),
        ("list, an answer in 50 ms", arguments.objects, DELAY, max(1, arguments.rounds // 2)),
        ("read 100 MB", 0, 0.0, arguments.rounds),
    ):
        alone, ours = map(statistics.median, compare(objects, delay, rounds))
        unit, scale = ("objects/s", 1.0) if objects else ("MB/s", 1e6)
        print(
            f"| {name} | {alone / scale:,.0f} {unit} | {ours / scale:,.0f} {unit} | {ours / alone:.2f}x |", flush=True
        )


if __name__ == "__main__":
    main()

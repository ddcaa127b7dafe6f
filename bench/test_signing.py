"""pytest-benchmark suites: bulk signing beside its peers, inputs, single calls, verifying. Run by `make bench`.

Every suite gives each benchmark its rows, so that the report can divide by them; `bound` names the engine whose SHA-1
limits it, and `blocks` says how many blocks a row has.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import time
import warnings
from typing import Any

import pytest

from bench.kernels import hashing
from bench.peers import (
    boto3_s3,
    by_hand,
    cos_go_sdk,
    cos_nodejs_sdk,
    cos_python_sdk,
    isal_sha1,
    obstore_s3,
    opendal_cos,
)
from cossign import COS, Credentials, Signer, engines

SECRETS = ("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz")
WHERE = ("examplebucket-1250000000", "ap-beijing")
KEYS = [f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(10_000)]
PEERS = {
    peer.NAME: (peer, count)
    for peer, count in (
        (by_hand, 10_000), (cos_python_sdk, 500), (opendal_cos, 500), (cos_nodejs_sdk, 500), (boto3_s3, 300),
        (obstore_s3, 2000), (cos_go_sdk, 2000),
    )
}  # fmt: skip
NATIVE = engines()[:-1]


def other_sha1() -> dict[str, tuple[Any, int]]:
    """SHA-1 by others: what to call, and how many blocks that hashes."""
    long, short, sha1 = bytes(64 * 10_000), bytes(110), hashlib.sha1
    found: dict[str, tuple[Any, int]] = {
        "hashlib, one long message": (lambda: sha1(long).digest(), 10_000),
        "hashlib, messages of 110 bytes": (lambda: [sha1(short).digest() for _ in range(500)], 1000),
    }
    try:
        call, blocks = isal_sha1.hashing()
    except ImportError:
        return found
    assert call() == sha1(bytes([127]) + bytes(64 * isal_sha1.BLOCKS - 10)).digest()
    return {**found, isal_sha1.NAME: (call, blocks)}


def signer(engine: str = "auto", **named: Any) -> Signer:
    return Signer(Credentials(*SECRETS), bucket=WHERE[0], region=WHERE[1], engine=engine, **named)


SIGNER = signer()
CLIENT = COS(SecretId=SECRETS[0], SecretKey=SECRETS[1])


def measured(benchmark: Any, call: Any, rows: int, bound: str = "", blocks: float = 0, rounds: int = 9) -> None:
    """Rounds after a warm-up; the report divides by the rows. The bound is measured before each, too: machines vary."""
    benchmark.extra_info.update(rows=rows, bound=bound, blocks=blocks)
    seconds: list[float] = []  # a block
    hash_blocks, hashed = hashing(bound) if bound else (lambda: None, 1)

    def measure_bound() -> None:
        times = []
        for _ in range(50):
            start = time.perf_counter()
            hash_blocks()
            times.append(time.perf_counter() - start)
        seconds.append(statistics.median(times) / hashed)

    benchmark.pedantic(call, setup=measure_bound if bound else None, rounds=rounds, warmup_rounds=1, iterations=1)
    if bound:
        taken = benchmark.stats.stats.data
        shares = [blocks * rows * block / each for block, each in zip(seconds[-len(taken) :], taken, strict=True)]
        benchmark.extra_info["share"] = statistics.median(shares)


def arrow(keys: list[str]) -> Any:
    return pytest.importorskip("pyarrow").array(keys)


def blocks(keys: list[str]) -> float:
    """SHA-1 blocks a URL: HttpString's, two of StringToSign, one of the outer hash."""
    around = len(f"get\n/\n\nhost={WHERE[0]}.cos.{WHERE[1]}.myqcloud.com\n")
    return sum((around + len(key.encode()) + 9 + 63) // 64 + 3 for key in keys) / len(keys)


def streamed(signer: Signer, keys: Any, **named: Any) -> None:
    """Every chunk is made, looked at, and dropped."""
    for chunk in signer.presign_arrow(keys, **named):
        len(chunk)


# --- SHA-1 alone ------------------------------------------------------------------------------------------------------


@pytest.mark.benchmark(group="SHA-1 blocks of 64 bytes")
@pytest.mark.parametrize("engine", NATIVE)
def test_sha1(benchmark: Any, engine: str) -> None:
    call, blocks = hashing(engine)
    measured(benchmark, call, blocks, rounds=50)


@pytest.mark.benchmark(group="SHA-1 blocks of 64 bytes")
@pytest.mark.parametrize("engine", ["hashlib, one long message", "hashlib, messages of 110 bytes", isal_sha1.NAME])
def test_sha1_of_others(benchmark: Any, engine: str) -> None:
    found = other_sha1()
    if engine not in found:
        pytest.skip(f"{engine} is not installed")
    measured(benchmark, *found[engine], rounds=20)


# --- Bulk -------------------------------------------------------------------------------------------------------------


@pytest.mark.benchmark(group="bulk")
@pytest.mark.parametrize("name", PEERS)
def test_peer(benchmark: Any, name: str) -> None:
    peer, count = PEERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            presign = peer.make(*SECRETS, *WHERE)
        except ImportError as error:
            pytest.skip(str(error))
        urls = presign(KEYS[:3])
        if "S3" not in name:
            sign_host = "q-header-list=host" in urls[0]
            assert [signer(sign_host=sign_host).verify(url).key for url in urls] == KEYS[:3]
        measured(benchmark, lambda: presign(KEYS[:count]), count)


@pytest.mark.benchmark(group="bulk")
@pytest.mark.parametrize("engine", engines())
def test_presign_many(benchmark: Any, engine: str) -> None:
    measured(benchmark, lambda: signer(engine).presign_many(KEYS), len(KEYS))


@pytest.mark.benchmark(group="bulk")
@pytest.mark.parametrize("call", ["COS.getObjectUrls", "COS.getAuthorizations"])
def test_facade(benchmark: Any, call: str) -> None:
    where = {"Bucket": WHERE[0], "Region": WHERE[1], "Keys": KEYS}
    calls = {
        "COS.getObjectUrls": lambda: CLIENT.getObjectUrls(where),
        "COS.getAuthorizations": lambda: COS.getAuthorizations(where, SecretId=SECRETS[0], SecretKey=SECRETS[1]),
    }
    measured(benchmark, calls[call], len(KEYS))


@pytest.mark.benchmark(group="bulk")
@pytest.mark.parametrize("engine", engines())
def test_presign_arrow(benchmark: Any, engine: str) -> None:
    keys = arrow(KEYS * 20)
    measured(
        benchmark, lambda: streamed(signer(engine), keys), len(keys), engine if engine in NATIVE else "", blocks(KEYS)
    )


@pytest.mark.benchmark(group="one million keys, the result kept")
@pytest.mark.parametrize(
    "call",
    ["presign_many", "presign_arrow", "bytes.decode alone", "presign_arrow, streamed", "... by two threads"],
)
def test_million(benchmark: Any, call: str, request: pytest.FixtureRequest) -> None:
    texts = [f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(1_000_000)]
    keys = arrow(texts)
    pa = pytest.importorskip("pyarrow")
    url = SIGNER.presign(texts[0]).encode()
    calls = {
        "presign_many": lambda: SIGNER.presign_many(texts),
        "presign_arrow": lambda: pa.chunked_array(SIGNER.presign_arrow(keys)),
        "bytes.decode alone": lambda: [url.decode() for _ in range(1_000_000)],
        "presign_arrow, streamed": lambda: streamed(SIGNER, keys),
        "... by two threads": lambda: streamed(SIGNER, keys, threads=2),
    }
    if "two threads" in call and hasattr(os, "sched_setaffinity"):  # `make bench` pins to one core
        one = os.sched_getaffinity(0)
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        request.addfinalizer(lambda: os.sched_setaffinity(0, one))
    measured(benchmark, calls[call], 1_000_000, rounds=3)


@pytest.mark.benchmark(group="presign_arrow by key length (bytes)")
@pytest.mark.parametrize(
    "length", ["8", "16", "35", "64", "100", "200", "400", "850", "10-200", "35, sorted, 70 more shared"]
)
def test_key_length(benchmark: Any, length: str) -> None:
    source = random.Random(1)
    least, most = (10, 200) if length == "10-200" else (int(length.split(",")[0]),) * 2
    start = "a-shared-folder/with-a-long-name/" * 3 if "shared" in length else ""
    keys = [start + "".join(source.choices("abcdefgh0123", k=source.randint(least, most))) for _ in range(50_000)]
    given = arrow(keys)
    measured(benchmark, lambda: streamed(SIGNER, given), len(keys), NATIVE[0], blocks(keys))


ESCAPES = {"none": 0, "one space a key": 0, "one key in ten Chinese": 10, "every key Chinese": 1}
QUERIES = ("none", "one fixed", "a column")


def with_escapes(share: str) -> list[str]:
    """Keys of which some need percent-encoding."""
    each = ESCAPES[share]
    return [
        key.replace("_", " ") if share == "one space a key"
        else f"照片/2026/11/23/腾讯云对象存储_{number:08d}.jpg" if each and number % each == 0
        else key
        for number, key in enumerate(KEYS * 5)
    ]  # fmt: skip


def with_query(query: str) -> dict[str, Any]:
    """Parameters that are signed, for as many keys as KEYS * 5."""
    if query == "one fixed":
        return {"response-content-disposition": 'attachment; filename="a.jpg"'}
    versions = [f"MTg0NDUxNTc1NjIzMTQ1MDAw{number}" for number in range(len(KEYS) * 5)]
    return {"versionId": arrow(versions)} if query == "a column" else {}


@pytest.mark.benchmark(group="presign_arrow by what needs escapes")
@pytest.mark.parametrize("share", ESCAPES)
def test_escapes(benchmark: Any, share: str) -> None:
    keys = with_escapes(share)
    given = arrow(keys)
    measured(benchmark, lambda: streamed(SIGNER, given), len(keys), NATIVE[0], blocks(keys))


@pytest.mark.benchmark(group="presign_arrow by query")
@pytest.mark.parametrize("query", QUERIES)
def test_query(benchmark: Any, query: str) -> None:
    keys, given = arrow(KEYS * 5), with_query(query)
    measured(benchmark, lambda: streamed(SIGNER, keys, query=given), len(keys))


DIFFERENT = {
    "nothing": {}, "10 expiries": {"expires": 10}, "1,000 expiries": {"expires": 1000},
    "100,000 expiries": {"expires": 10**9}, "5 methods": {"method": 5},
}  # fmt: skip


@pytest.mark.benchmark(group="presign_arrow by what differs by row")
@pytest.mark.parametrize("what", DIFFERENT)
def test_rows_that_differ(benchmark: Any, what: str) -> None:
    source = random.Random(1)
    keys = arrow([f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(100_000)])
    pa = pytest.importorskip("pyarrow")
    columns = {
        name: pa.array(
            [source.choice(("GET", "PUT", "HEAD", "DELETE", "POST")) for _ in range(len(keys))]
            if name == "method"
            else [60 * (1 + source.randrange(count)) for _ in range(len(keys))]
        )
        for name, count in DIFFERENT[what].items()
    }
    measured(benchmark, lambda: streamed(SIGNER, keys, **columns), len(keys))


# --- Verifying and single calls ---------------------------------------------------------------------------------------


@pytest.mark.benchmark(group="verify")
def test_verify_many(benchmark: Any) -> None:
    urls = SIGNER.presign_many(KEYS, expires=86400)
    measured(benchmark, lambda: SIGNER.verify_many(urls), len(KEYS))


@pytest.mark.benchmark(group="one call")
@pytest.mark.parametrize("call", ["hashlib.sha1", "Signer.presign", "COS.getObjectUrl", "COS.getAuthorization"])
def test_one(benchmark: Any, call: str) -> None:
    message = b"x" * 110
    calls = {
        "hashlib.sha1": lambda: hashlib.sha1(message).digest(),
        "Signer.presign": lambda: SIGNER.presign(KEYS[0]),
        "COS.getObjectUrl": lambda: CLIENT.getObjectUrl(Bucket=WHERE[0], Region=WHERE[1], Key=KEYS[0]),
        "COS.getAuthorization": lambda: COS.getAuthorization(SecretId=SECRETS[0], SecretKey=SECRETS[1], Key=KEYS[0]),
    }

    def many() -> None:
        one = calls[call]
        for _ in range(5000):
            one()

    measured(benchmark, many, 5000)

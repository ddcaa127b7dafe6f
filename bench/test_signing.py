"""pytest-benchmark suites: bulk presigning beside its peers, single calls, verifying. Run by `make bench`."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import pytest

from bench.peers import by_hand, cos_python_sdk, opendal_cos
from cossign import COS, Credentials, Signer

SECRETS = ("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz")
WHERE = ("examplebucket-1250000000", "ap-beijing")
KEYS = [f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(10_000)]
PEERS = {peer.NAME: (peer, count) for peer, count in ((by_hand, 10_000), (cos_python_sdk, 500), (opendal_cos, 500))}

SIGNER = Signer(Credentials(*SECRETS), bucket=WHERE[0], region=WHERE[1])
CLIENT = COS(SecretId=SECRETS[0], SecretKey=SECRETS[1])


def measured(benchmark: Any, call: Any, rows: int) -> None:
    """Seven rounds after a warm-up; the report divides by the rows."""
    benchmark.extra_info["rows"] = rows
    benchmark.pedantic(call, rounds=7, warmup_rounds=1, iterations=1)


@pytest.mark.benchmark(group="bulk, list to list")
@pytest.mark.parametrize("name", PEERS)
def test_peer(benchmark: Any, name: str) -> None:
    peer, count = PEERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        presign = peer.make(*SECRETS, *WHERE)
        urls = presign(KEYS[:3])
        plain = Signer(
            Credentials(*SECRETS), bucket=WHERE[0], region=WHERE[1], sign_host="q-header-list=host" in urls[0]
        )
        assert [plain.verify(url).key for url in urls] == KEYS[:3]
        measured(benchmark, lambda: presign(KEYS[:count]), count)


@pytest.mark.benchmark(group="bulk, list to list")
@pytest.mark.parametrize("call", ["Signer.presign_many", "COS.getObjectUrls", "COS.getAuthorizations"])
def test_bulk(benchmark: Any, call: str) -> None:
    where = {"Bucket": WHERE[0], "Region": WHERE[1], "Keys": KEYS}
    calls = {
        "Signer.presign_many": lambda: SIGNER.presign_many(KEYS),
        "COS.getObjectUrls": lambda: CLIENT.getObjectUrls(where),
        "COS.getAuthorizations": lambda: COS.getAuthorizations(where, SecretId=SECRETS[0], SecretKey=SECRETS[1]),
    }
    measured(benchmark, calls[call], len(KEYS))


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

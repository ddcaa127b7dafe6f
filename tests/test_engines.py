"""Every engine gives hashlib's bytes: all counts of rows, all lengths, all KeyTimes, shared beginnings and ends."""

from __future__ import annotations

import hashlib
import hmac
import random

import pytest
from bench.kernels import hashing

from cossign import Credentials, Signer, _core, engines
from cossign.engine import chosen_engine
from tests.conftest import BUCKET, ENGINES, REGION, SECRET_ID, SECRET_KEY, scaled

KEY_TIME = "1557989753;1557996953"


def expected(secret: bytes, key_time: str, sign_time: str, http_strings: list[bytes]) -> list[bytes]:
    """The page's formula, by hashlib and hmac."""
    sign_key = hmac.new(secret, key_time.encode(), "sha1").hexdigest().encode()
    return [
        hmac.new(sign_key, f"sha1\n{sign_time}\n{hashlib.sha1(http).hexdigest()}\n".encode(), "sha1")
        .hexdigest()
        .encode()
        for http in http_strings
    ]


@pytest.fixture(params=ENGINES)
def native(request: pytest.FixtureRequest) -> _core.Engine:
    if request.param not in engines():
        pytest.skip(f"this CPU has no engine {request.param}")
    return chosen_engine(request.param)


def check(
    native: _core.Engine, http_strings: list[bytes], key_time: str = KEY_TIME, sign_time: str | None = None
) -> None:
    key = _core.Secret(SECRET_KEY).sign_key(key_time, sign_time)
    wanted = expected(SECRET_KEY.encode(), key_time, sign_time or key_time, http_strings)
    assert _core.signatures(native, key, http_strings) == wanted


@pytest.mark.parametrize("size", [0, 55, 56, 63, 64, 119, 120, 200])
def test_every_count_of_rows(native: _core.Engine, size: int) -> None:
    source = random.Random(size)
    for count in [*range(41), 127, 128, 129, 300]:
        check(native, [source.randbytes(size) for _ in range(count)])


def test_every_length(native: _core.Engine) -> None:
    source = random.Random(1)
    check(native, [source.randbytes(size) for size in range(1025)])
    for size in range(0, 1025, 7):
        check(native, [source.randbytes(size) for _ in range(17)])


def test_lengths_in_any_order(native: _core.Engine) -> None:
    source = random.Random(2)
    for most in (60, 130, 250, 5000):
        check(native, [source.randbytes(source.randrange(most)) for _ in range(500)])


@pytest.mark.parametrize("begin", [0, 5, 63, 64, 65, 128, 200, 256, 320, 400])
@pytest.mark.parametrize("end", [0, 20, 64, 150])
def test_rows_that_share_their_beginning_or_end(native: _core.Engine, begin: int, end: int) -> None:
    source = random.Random(begin * 1000 + end)
    start, tail = source.randbytes(begin), source.randbytes(end)
    check(native, [start + source.randbytes(30) + tail for _ in range(70)])
    check(native, [start + source.randbytes(source.randrange(90)) + tail for _ in range(70)])
    check(native, [start + tail] * 40)
    check(native, [source.choice((start, tail, start + tail)) + b"x" * source.randrange(3) for _ in range(70)])


def test_every_length_of_key_time(native: _core.Engine) -> None:
    http_strings = [b"get\n/%d\n\n\n" % number for number in range(33)]
    for first in range(1, 16):
        for last in range(1, 16):
            sign_time = f"{'123456789012345'[:first]};{'987654321098765'[:last]}"
            check(native, http_strings, KEY_TIME, sign_time)
    for first in range(1, 11):
        check(native, http_strings, f"{'1234567890'[:first]};9999999999")


@pytest.mark.parametrize("name", engines()[:-1])
def test_the_bench_finds_every_engine(name: str) -> None:
    """It reads sha1.h's structs by itself."""
    call, blocks = hashing(name)
    call()
    assert blocks > 1000


@scaled("blocks", 2, 20)
def test_random_urls(blocks: int) -> None:
    """By 100,000."""
    source = random.Random(20261124)
    signers = [
        Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, engine=name, strict=False)
        for name in engines()
    ]
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789/-_.~ +%?&=腾讯云é😀\x00\x7f"
    text = "".join(source.choices(alphabet, k=400_000))
    rows = 0
    for _ in range(blocks):
        cuts = [source.randrange(len(text) - 300) for _ in range(100_000)]
        longest = source.choice((20, 60, 200, 300))
        keys = [text[cut : cut + 1 + cut % longest] for cut in cuts]
        reference = signers[-1].presign_many(keys, key_time=(1557989753, 1557996953))
        for each in signers[:-1]:
            assert each.presign_many(keys, key_time=(1557989753, 1557996953)) == reference
        rows += len(reference)
    assert rows == blocks * 100_000 > 0

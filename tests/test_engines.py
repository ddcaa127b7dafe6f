"""Every engine gives hashlib's bytes: all counts of rows, all lengths, all KeyTimes, shared beginnings and ends."""

from __future__ import annotations

import hashlib
import hmac
import random

import pytest

from cossign import Credentials, ParameterError, Signer, _core, engines
from cossign.engine import chosen_engine, engine_reasons
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


@pytest.mark.parametrize("longer", [1, 5, 16, 32, 50])
def test_rows_that_hold_the_last_block_of_others(native: _core.Engine, longer: int) -> None:
    """All rows have one second block. It is the last one of some, with their padding, and not of the others."""
    source = random.Random(longer)
    last = b"x" * 20 + b"\x80" + bytes(35) + (8 * (64 + 20)).to_bytes(8, "big")
    short = [source.randbytes(64) + last[:20] for _ in range(64 - longer)]
    check(native, [*short, *(source.randbytes(64) + last + source.randbytes(30) for _ in range(longer))])


def test_every_length_of_key_time(native: _core.Engine) -> None:
    http_strings = [b"get\n/%d\n\n\n" % number for number in range(33)]
    for first in range(1, 16):
        for last in range(1, 16):
            sign_time = f"{'123456789012345'[:first]};{'987654321098765'[:last]}"
            check(native, http_strings, KEY_TIME, sign_time)
    for first in range(1, 11):
        check(native, http_strings, f"{'1234567890'[:first]};9999999999")


@pytest.mark.parametrize(
    "without,engines_off",
    [
        ("", set()), ("sha_ni, sha1", {"shani", "armv8"}), ("avx512bw", {"avx512"}), ("sha_ni avx512f sha1", {"avx512", "shani", "armv8"}),
        ("avx2 avx512f", {"avx512", "avx2"}), ("ssse3", {"shani"}), (" ".join(_core.ALL_FEATURES), {"avx512", "avx2", "shani", "armv8"}),
    ],
)  # fmt: skip
def test_cpus_that_lack_something(monkeypatch: pytest.MonkeyPatch, without: str, engines_off: set[str]) -> None:
    """What COSSIGN_CPU_WITHOUT takes away, no engine uses, not even for the rows that are left over."""
    monkeypatch.setenv("COSSIGN_CPU_WITHOUT", without)
    here = engines()
    assert not engines_off & set(here)
    assert {*here, *engines_off} >= set(ENGINES) & {each.name for each in _core.engines_for(_core.CPU)}
    assert here[-2:] == ("portable", "hashlib")
    keys = [f"{'x' * (number % 70)}{number} é" for number in range(41)]
    signers = [Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, engine=name) for name in here]
    for count in range(len(keys)):
        reference, *others = (each.presign_many(keys[:count], key_time=(1, 2)) for each in reversed(signers))
        assert all(urls == reference for urls in others)
    reasons = dict(engine_reasons())
    assert reasons[here[0]] == "signs: it is the fastest that is ready"
    assert all(reasons[name].startswith("ready: ") for name in here[1:])
    for name in engines_off & {each.name for each in _core.engines_for(_core.CPU)}:
        assert reasons[name].startswith("off: COSSIGN_CPU_WITHOUT takes "), reasons[name]


def test_a_feature_that_no_cpu_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSSIGN_CPU_WITHOUT", "sha_ni avx")
    with pytest.raises(ParameterError, match=r"COSSIGN_CPU_WITHOUT must hold names out of ssse3, .*, not avx$"):
        engines()


def test_reasons_where_the_chosen_engine_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSSIGN_ENGINE", "no such engine")
    assert dict(engine_reasons())[engines()[0]] == "signs: it is the fastest that is ready"
    with pytest.raises(ParameterError, match="COSSIGN_ENGINE must be one of"):
        chosen_engine()


def test_a_cpu_without_anything_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cossign.engine.CPU", ())
    needs = {each.name: " and ".join(each.needs) for each in _core.engines_for(_core.ALL_FEATURES)}
    assert "portable" in needs
    for name, reason in engine_reasons():
        assert (reason == f"off: this CPU, or its system, lacks {needs[name]}") is bool(needs[name]), reason


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

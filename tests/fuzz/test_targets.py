"""The fuzzers' targets over their corpus, and over random input, without sanitizers: `make fuzz` runs them at length."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from cossign import Signer
from tests.fuzz import arrow
from tests.fuzz.targets import TARGETS, TOKEN, Given
from tests.gateway import judging

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target: str) -> None:
    """Inputs that reach much of the code, and every input that once broke something."""
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for each in inputs:
        TARGETS[target](each.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.any_engine
def test_the_corpus_with_random_changes(target: str) -> None:
    """A second of what a fuzzer does first."""
    source = random.Random(20261127)
    inputs = [each.read_bytes() for each in sorted((CORPUS / target).iterdir())]
    end = time.monotonic() + 1
    while time.monotonic() < end:
        changed = bytearray(source.choice(inputs))
        for _ in range(source.randrange(1, 5)):
            place = source.randrange(len(changed) + 1)
            changed[place : place + source.randrange(3)] = source.randbytes(source.randrange(3))
        TARGETS[target](bytes(changed))


def test_random_arrays() -> None:
    source = random.Random(20261124)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        (arrow.forged if source.randrange(3) else arrow.well_formed)(source)


def test_numbers_of_an_input() -> None:
    given = Given(bytes(range(1, 40)))
    assert given.getrandbits(8) == 1
    assert given.getrandbits(12) == 0x302
    assert given.choice("abc") in "abc"
    assert 0 <= given.random() < 1
    assert given.randbytes(4) == bytes(range(7, 11))
    assert Given(b"").randrange(10) == 0


def test_the_targets_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verify that accepts everything, a gateway that gives more than the policy says, an explain that hides nothing."""
    url = (CORPUS / "verify" / "00").read_bytes()
    good = Signer.verify
    monkeypatch.setattr(Signer, "verify", lambda self, given, **options: good(self, url.decode()))
    with pytest.raises(AssertionError):
        TARGETS["verify"](url.replace(b"photos", b"other"))
    with pytest.raises(AssertionError):
        TARGETS["verify_many"](url.replace(b"photos", b"other"))
    monkeypatch.setitem(judging.LONGEST, "photos/public/", 1)
    with pytest.raises(AssertionError):
        TARGETS["gateway"](b"GET /img/public/a\n\n")
    monkeypatch.setattr("cossign.explain.explainer.Mask.hide", lambda *_: None)
    with pytest.raises(AssertionError):
        TARGETS["explain"](b"!" + url + b"&x-cos-security-token=" + TOKEN.encode())

"""The soak and the weakest caller, in short; `make soak-gateway attack-gateway` runs ten minutes of each."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.conftest import scaled
from tests.gateway import soak, weakest


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@scaled("seconds", 4, 60)
def test_full_rate_with_everything_changing(seconds: int, tmp_path: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    found = soak.soak(seconds, seed, tmp_path, least=3 if seconds < 60 else 20)
    assert found.wrong == []
    assert found.counts["wrk"] > 0
    if seconds >= 60:
        assert found.growth() < 1.15  # caches still fill in the first minute; ten minutes say more


@scaled("seconds", 4, 60)
def test_what_a_caller_with_a_token_can_do(seconds: int, tmp_path: Path) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    assert weakest.attempt(seconds, seed, tmp_path).wrong == []

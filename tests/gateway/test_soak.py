"""A minute of the soak; `make soak-gateway` is ten."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.gateway import soak


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_minute_at_full_rate_with_everything_changing(tmp_path: Path) -> None:
    seed = time.time_ns()
    found = soak.soak(60, seed, tmp_path)
    assert found.wrong == [], seed
    assert found.reloads > 30
    assert all(found.counts[doing] > 10 for doing in ("redirect", "authorize", "sign", "bulk", "leave", "too_much"))
    assert found.counts["wrk"] > 10_000
    assert all(found.signed_by[secret_id] > 10 for secret_id, _ in soak.SECRETS)
    assert found.growth() < 1.15  # caches still fill in the first minute; ten minutes say more

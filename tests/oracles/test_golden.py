"""cos-wx-sdk-v5's kept answers (see make_golden.py), byte for byte, without Node.js."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.oracles.make_golden import GOLDEN
from tests.oracles.ours import answer


@pytest.mark.usefixtures("engine")
@pytest.mark.filterwarnings("ignore::cossign.UnsignedHeaderWarning")  # the SDK leaves out such headers silently
def test_golden_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with gzip.open(GOLDEN, "rt", encoding="utf-8") as lines:
        kept = [json.loads(line) for line in lines]
    assert len(kept) > 3000
    for asked in kept:
        assert answer(asked, monkeypatch) == asked["answer"], asked

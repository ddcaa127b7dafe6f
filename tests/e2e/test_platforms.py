"""The package on other CPUs and Pythons, as far as that fits into CI; docs/platforms.md has them all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import platforms


@pytest.mark.long
@pytest.mark.parametrize(
    "name,engines",
    [
        ("debian-aarch64", ["armv8", "neon", "portable", "hashlib"]),
        ("cpu-core2duo", ["sse2", "portable", "hashlib"]),  # a CPU whose newest vectors are those of SSSE3
        ("cpython3.10", None),
        ("cpython3.13", None),
    ],
)
def test_the_wheel_elsewhere(name: str, engines: list[str] | None, tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.skip("it asks the package index and Debian's archive: set CI=true to run it")
    try:
        result = platforms.tested(name, tmp_path, is_long=False)
    except platforms.Absent as error:
        if name.startswith("debian"):
            raise
        pytest.skip(str(error))
    assert result["passed"] > (200 if engines else 1000)
    assert engines in (None, result["engines"])


def test_the_page_has_what_was_kept() -> None:
    results = json.loads(platforms.RESULTS.read_text())
    assert platforms.table(results) in platforms.RESULTS.with_suffix(".md").read_text()
    for each in results:
        assert not set(each) & {"failed", "error", "errors"}

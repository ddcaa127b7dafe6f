"""Builds that are not for use: with sanitizers, and with an engine that is broken on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("COSSIGN")}


@pytest.mark.slow
def test_a_short_fuzz_under_sanitizers(tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "node_modules", "demo"))
    stamp = f"{sys.prefix}/test.stamp"
    command = ["make", "fuzz", "SECONDS=5", f"VENV={sys.prefix}", "-o", stamp]
    done = subprocess.run(command, cwd=tree, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "arrays are right" in done.stdout


USE = """
import warnings
from cossign import COS, Credentials, Signer, engines
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    signer = Signer(Credentials("AKID", "key"), bucket="b-1250000000", region="ap-beijing")
    reference = Signer(Credentials("AKID", "key"), bucket="b-1250000000", region="ap-beijing", engine="hashlib")
    keys = [f"{number}.jpg" for number in range(1000)]
    assert signer.presign_many(keys, key_time=(1, 2)) == reference.presign_many(keys, key_time=(1, 2))
    found = engines()
    engines()
print(*found)
print(*[str(warning.message) for warning in seen], sep="\\n")
"""


@pytest.mark.slow
def test_a_broken_engine_is_switched_off(tmp_path: Path) -> None:
    """All engines with lanes add one word wrongly: each says so once, and the others sign right."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("_core.c", "*.so", "*.egg-info"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    lanes = tree / "src" / "cossign" / "sha1" / "lanes.h"
    right, wrong = "    state[4] += e;\n", "    state[4] -= e;\n"
    assert lanes.read_text().count(right) == 2
    lanes.write_text(lanes.read_text().replace(right, wrong))
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=tree, env=ENVIRONMENT, capture_output=True, check=True)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    listed, *warnings = done.stdout.splitlines()
    assert not {"avx512", "avx2", "sse2", "neon"} & set(listed.split())
    assert listed.split()[-2:] == ["portable", "hashlib"]
    assert warnings
    assert all("is switched off: on this machine it disagrees with hashlib" in warning for warning in warnings)
    assert len(set(warnings)) == len(warnings)

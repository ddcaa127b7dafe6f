"""The benchmarks of batch jobs, HTTP clients, the gateway and the engines of columns run, in short."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("more, rows", [(["--rows", "20000", "--rounds", "1"], 9), (["--flat", "1000,2000"], 6)])
def test_jobs(more: list[str], rows: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.jobs", "--folder", str(tmp_path), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(re.findall(r"^\| (?:keys|inventory).* \| [\d.]+ \|", done.stdout, re.M)) == rows, done.stdout


@pytest.mark.slow
def test_clients() -> None:
    command = [sys.executable, "-m", "bench.clients", "--rounds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(re.findall(r"^\| (?:requests|httpx) \| .* us \|$", done.stdout, re.M)) == 8, done.stdout


@pytest.mark.slow
def test_gateway() -> None:
    if not shutil.which("wrk") or not shutil.which("curl"):
        pytest.skip("wrk or curl is not installed")
    command = [sys.executable, "-m", "bench.gateway", "--rounds", "1", "--seconds", "1", "--rows", "20000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (
        len(re.findall(r"^\| (?:granian|uvicorn) \| (?:redirect|authorize) \| \d+ \| .*x \|$", done.stdout, re.M)) == 8
    ), done.stdout
    assert len(re.findall(r"^\| (?:granian|uvicorn) \| [12] \| .* MiB \|$", done.stdout, re.M)) == 4, done.stdout


@pytest.mark.slow
def test_scale(tmp_path: Path) -> None:
    """Spark and Ray, whose start takes long, are left out."""
    results, picture = tmp_path / "results.json", tmp_path / "scale.svg"
    command = [sys.executable, "-m", "bench.scale", str(results), "--engines", "cli,polars,duckdb", "--rounds", "1"]
    more = ["--shares", "--rows", "3000", "--growth", "1000", "--plot", str(picture)]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True)
    shares = r"^\| (?:polars|duckdb) \| 3,000 \| .* ns \| .*% \| [\d.]+ \| [\d.]+ \|$"
    assert len(re.findall(shares, done.stdout, re.M)) == 2, done.stdout
    assert len(re.findall(r"^\| \w+ \| [12] \| [\d.]+ \| [\d.]+ \|$", done.stdout, re.M)) == 6, done.stdout
    assert picture.read_text().startswith("<?xml")

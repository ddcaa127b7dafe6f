"""sdist, wheel and installation: from the tree to a bare environment that signs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cossign import engines

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built of it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [sdist] = out.glob("*.tar.gz")
    [wheel] = out.glob("*.whl")
    return sdist, wheel


def test_contents(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "setup.py",
        "src/cossign/_core.pyx",
        "src/cossign/_core.pyi",
        "src/cossign/py.typed",
    } <= names
    with zipfile.ZipFile(wheel) as package:
        inside = package.namelist()
        metadata = package.read(next(name for name in inside if name.endswith("METADATA"))).decode()
    assert {
        "cossign/py.typed", "cossign/_core.pyi", "cossign/batch/job.py", "cossign/cli.py", "cossign/credentials/files.py",
        "cossign/gateway/_gate.pyi", "cossign/gateway/serve.py", "cossign/integrations/httpx.py",
        "cossign/integrations/spark.py",
    } <= set(inside)  # fmt: skip
    assert not [name for name in inside if name.endswith(".c") or name.startswith("tests")]
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert required == []
    assert "License-Expression: Apache-2.0" in metadata


def test_the_wheel_in_a_bare_environment(built: tuple[Path, Path], tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "bare")], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", str(built[1])], check=True)
    code = "from cossign import *; s = Signer(Credentials('A', 'k'), bucket='b-1', region='ap-beijing'); print(s.verify(s.presign('a')).key)"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "a\n"
    listed = subprocess.run([python.with_name("cossign"), "engines"], check=True, capture_output=True, text=True)
    assert listed.stdout.split() == list(engines())
    environment = {"COS_SECRET_ID": "AKIDEXAMPLE", "COS_SECRET_KEY": "example-key"}
    (tmp_path / "keys.txt").write_text("a\nb\n")
    presign = [python.with_name("cossign"), "presign", "keys.txt", "-b", "b-1250000000", "-r", "ap-beijing", "-o"]
    subprocess.run([*presign, "urls.txt.gz"], cwd=tmp_path, check=True, env=environment)
    refused = subprocess.run([*presign, "urls.csv"], cwd=tmp_path, check=False, capture_output=True, env=environment)
    assert refused.returncode == 2
    assert b"pip install 'cossign[batch]'" in refused.stderr

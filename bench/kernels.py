"""The engines' SHA-1 alone, out of a library of their own: what bounds signing."""

from __future__ import annotations

import ctypes
import functools
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

NATIVE = Path(__file__).parent.parent / "src" / "cossign" / "native"


@functools.cache
def _library() -> ctypes.CDLL:
    """kernels.c and the engines, compiled as the package is."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    sources = [Path(__file__).with_suffix(".c"), *sorted((NATIVE / "sha1").glob("*.c"))]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "kernels.so")
        options = ["-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-I", str(NATIVE)]
        subprocess.run([compiler, *options, *map(str, sources), "-o", str(target)], check=True)
        library = ctypes.CDLL(str(target))
    library.work_new.restype = ctypes.c_void_p
    library.work_new.argtypes = [ctypes.c_char_p]
    library.work_do.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.work_blocks.restype = ctypes.c_size_t
    return library


def hashing(name: str, times: int = 1) -> tuple[Callable[[], None], int]:
    """A call that hashes messages that have nothing in common by one engine, and how many blocks those are.

    They are hashed so many times over, without Python's lock.
    """
    library = _library()
    work = library.work_new(name.encode())
    if work is None:
        raise ValueError(f"this CPU has no engine {name!r}")
    return lambda: library.work_do(work, times), times * library.work_blocks()

"""Builds the extensions, the core and the gateway's; everything else is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# COSSIGN_LINETRACE=1 builds a core that reports its lines to coverage (see `make coverage`); never for use.
linetrace = os.environ.get("COSSIGN_LINETRACE") == "1"
# COSSIGN_OPTIMIZE=-O0 builds what is compiled more than it is run, as with sanitizers.
optimize = os.environ.get("COSSIGN_OPTIMIZE", "-O3")

core = Extension(
    "cossign._core",
    ["src/cossign/_core.pyx", *map(str, sorted(Path("src/cossign/sha1").glob("*.c")))],
    include_dirs=["src/cossign"],
    depends=[str(header) for header in sorted(Path("src/cossign/sha1").glob("*.h"))],
    extra_compile_args=[] if os.name == "nt" else [optimize],
    define_macros=[("CYTHON_TRACE_NOGIL", "1")] if linetrace else [],
)
gate = Extension(
    "cossign.gateway._gate",
    ["src/cossign/gateway/_gate.pyx"],
    extra_compile_args=core.extra_compile_args,
    define_macros=core.define_macros,
)

setup(
    ext_modules=cythonize(
        [core, gate],
        annotate=os.environ.get("COSSIGN_ANNOTATE") == "1",
        compiler_directives={"linetrace": linetrace},
        force=linetrace,
    )
)

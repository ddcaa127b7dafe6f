"""Builds the extensions; everything else is in pyproject.toml."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
# COSSIGN_LINETRACE=1 builds a core that reports its lines to coverage (see `make coverage`); never for use.
linetrace = os.environ.get("COSSIGN_LINETRACE") == "1"
# COSSIGN_OPTIMIZE=-O0 builds what is compiled more than it is run, as with sanitizers.
optimize = os.environ.get("COSSIGN_OPTIMIZE", "-O3")


def commit() -> str:
    """What `cossign --version` says it was built from: this tree's commit, or the one that an sdist was made of."""
    if (HERE / "COMMIT").exists():
        return (HERE / "COMMIT").read_text().strip()
    if (HERE / ".git").exists() and shutil.which("git"):
        describe = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(describe, cwd=HERE, capture_output=True, text=True, check=False)
        return done.stdout.strip() or "unknown"
    return "unknown"


class SameEveryTime(sdist):
    """An sdist that knows its commit, and has the same bytes whoever builds it, and when."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        (Path(base_dir) / "COMMIT").write_text(f"{commit()}\n")

    def make_archive(self, base_name: str, format: str, root_dir: str | None = None, base_dir: str | None = None,
                     owner: str | None = None, group: str | None = None) -> str:  # fmt: skip
        tar = Path(super().make_archive(base_name, "tar", root_dir, base_dir, owner, group))
        when = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))  # 1980, where zip's time begins
        target = Path(f"{base_name}.tar.gz")
        with (
            tarfile.open(tar) as made,
            open(target, "wb") as file,
            gzip.GzipFile("", "wb", 9, file, mtime=when) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as again,
        ):
            for member in sorted(made.getmembers(), key=lambda each: each.name):
                member.mtime, member.uid, member.gid, member.uname, member.gname = when, 0, 0, "", ""
                member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
                again.addfile(member, made.extractfile(member) if member.isfile() else None)
        tar.unlink()
        return str(target)


class SameModes(bdist_wheel):
    """A wheel whose files have the same modes, whatever those of the tree and the umask are."""

    def write_wheelfile(self, *arguments: str, **named: str) -> None:
        """The last step before the files are packed."""
        super().write_wheelfile(*arguments, **named)
        for file in Path(str(self.bdist_dir)).rglob("*"):
            if file.is_file():
                file.chmod(0o755 if file.suffix == ".so" else 0o644)


class VectorsOnWindows(build_ext):
    """Compiles by clang-cl on Windows, if it is installed: Microsoft's own compiler has no vectors for the engines."""

    def build_extensions(self) -> None:
        cpu = {"win-amd64": "x86_64", "win-arm64": "aarch64"}.get(self.plat_name)
        clang = shutil.which("clang-cl")
        if cpu and clang and self.compiler.compiler_type == "msvc":
            self.compiler.initialize(self.plat_name)
            self.compiler.cc = clang
            self.compiler.compile_options.append(f"--target={cpu}-pc-windows-msvc")
        super().build_extensions()


NATIVE = "src/cossign/native"
# Without debugging symbols, which would be ten times the code and tell the folder that it was compiled in; what is not
# meant for other libraries is hidden from them. C throws no exceptions, so the tables for unwinding them are left out.
release_options = ["-g0", "-fno-asynchronous-unwind-tables"] if optimize == "-O3" else []
options = ["/std:c11"] if os.name == "nt" else [optimize, "-fvisibility=hidden", *release_options]


# Wheels are limited in size: they lack the names of what is not called from outside, and the gateway's loops are less
# unrolled, as most of the time of a request is its server's.
link_options = ["-s"] if sys.platform == "linux" and optimize == "-O3" else []
SMALL = ("gateway._gate",)


def extension(name: str, *rooms: str) -> Extension:
    """A module and the C that it is linked with: folders or files of native/."""
    is_small = name in SMALL and os.name != "nt" and optimize == "-O3"
    return Extension(
        f"cossign.{name}",
        [
            f"src/cossign/{name.replace('.', '/')}.pyx",
            *[str(file) for room in rooms for file in sorted(Path().glob(f"{NATIVE}/{room}"))],
        ],
        include_dirs=[NATIVE],
        depends=[
            *map(str, sorted(Path().glob(f"{NATIVE}/**/*.h"))),
            *map(str, sorted(Path().glob("src/cossign/*.pxd"))),
        ],
        extra_compile_args=[*options, *(["-O2"] if is_small else [])],
        extra_link_args=link_options,
        define_macros=[("COSSIGN_COMMIT", f'"{commit()}"'), *([("CYTHON_TRACE_NOGIL", "1")] if linetrace else [])],
    )


extensions = [
    extension("_core", "sha1/*.c", "text/*.c", "threads/*.c"),
    extension("_arrow", "columns/lines.c", "columns/pool.c", "columns/read.c", "threads/*.c"),
    extension("_verify", "url/*.c", "text/escape.c"),
    extension("batch._rows", *(f"columns/{name}.c" for name in ("fields", "join", "lines", "objects"))),
    extension("gateway._gate"),
]

# `make dist` makes the man page first; an installation from the tree has none.
man = "share/man/man1/cossign.1"

setup(
    data_files=[("share/man/man1", [man])] if (HERE / man).exists() else [],
    cmdclass={"bdist_wheel": SameModes, "build_ext": VectorsOnWindows, "sdist": SameEveryTime},
    ext_modules=cythonize(
        extensions,
        annotate=os.environ.get("COSSIGN_ANNOTATE") == "1",
        # A class that is pickled asks for it: most hold secrets or memory, and the code for it is large.
        compiler_directives={"linetrace": linetrace, "auto_pickle": False},
        force=linetrace,
    ),
)

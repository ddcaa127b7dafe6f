"""The package on other CPUs and Pythons: its wheel is built, installed and tested there.

    python -m tests.platforms [--long] [--build] [--keep] NAME...

Names: this (the Python that runs it), cpython3.10 (or another version that is installed; cpython3.13t is the one without a global lock), debian-aarch64 and
debian-s390x (Debian's Python under QEMU), debian-x86_64-3.14 (that Python of Debian's next release), cpu-core2duo and
cpu-Haswell (this machine's Python under QEMU as that CPU).
Each prints one line of JSON. --keep writes it into docs/platforms.md. It needs the package index, and for Debian its archive.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import os
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "platforms.json"
BEGIN, END = "<!-- by tests/platforms.py -->\n", "<!-- end -->\n"
SUITE, DEFAULT = "bookworm", "3.11"  # Debian's release, and its Python; others are of its next release
SITE = "usr/lib/python3/dist-packages"
ARCHITECTURES = {"aarch64": "arm64", "s390x": "s390x", "x86_64": "amd64"}  # Debian's names
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("COSSIGN", "COS_", "PYTEST"))},
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Of the wheel's own tests, what finds a wrong byte or a wrong CPU; under an emulator the rest takes an hour.
SHORT = ["tests/test_core.py", "tests/test_engines.py", "tests/oracles/test_golden.py"]


WHEELS_LACKING = {
    ("s390x", DEFAULT): {"pyarrow", "isal", "nanoarrow", "time-machine", "hypothesis"}, ("x86_64", "3.15"): {"nanoarrow", "isal"},
}  # fmt: skip
UNABLE = ("debian-s390x", "cpu-core2duo")  # for which time-machine or pyarrow has no wheel that runs


class Absent(Exception):
    """What this machine lacks for a platform."""


def run(*command: Any, **named: Any) -> str:
    """Run a command; its output, or all that it said if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **named)
    if done.returncode:
        raise RuntimeError(
            f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return done.stdout


def installed(command: str, package: str) -> None:
    if not shutil.which(command):
        raise Absent(f"{package} is not installed")


def from_source(version: str) -> Path:
    """A Python built of Debian's newest source, in build/pythons, where it stays; its folder."""
    target = ROOT / "build" / "pythons" / version
    if (target / "bin" / f"python{version}").exists():
        return target
    package = f"python{version.removesuffix('t')}"
    [archive, *_] = run("apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}").split()
    for suite in ("sid", "trixie"):
        sources = signed_index(f"{archive}dists/{suite}/", "main/source/Sources.xz").split("\n\n")
        for text in reversed([text for text in sources if text.startswith(f"Package: {package}\n")]):
            [folder] = re.findall(r"(?m)^Directory: (.*)$", text)
            [(checksum, name)] = re.findall(r"(?m)^ ([0-9a-f]{64}) \d+ (\S+\.orig\.tar\.[gx]z)$", text)
            try:
                with urllib.request.urlopen(f"{archive}{folder}/{name}") as answer:
                    content = answer.read()
            except urllib.error.HTTPError:  # a copy of the archive may lack the newest
                continue
            if hashlib.sha256(content).hexdigest() != checksum:
                raise RuntimeError(f"{name} is not the file that Debian names")
            build_python(content, target, ["--disable-gil"] if version.endswith("t") else [])
            return target
    raise Absent(f"Debian's archive gives no source of {package}")


def signed_index(place: str, name: str) -> str:
    """A list of Debian's archive, whose checksum Debian has signed."""
    with urllib.request.urlopen(f"{place}InRelease") as answer:
        release = answer.read()
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    command = ["gpgv", "--status-fd", "1", "--keyring", keys, "--output", "-"]
    done = subprocess.run(command, input=release, capture_output=True, check=False)
    [checksum] = re.findall(rf"(?m)^ ([0-9a-f]{{64}}) +\d+ {re.escape(name)}$", done.stdout.decode()) or [""]
    with urllib.request.urlopen(f"{place}{name}") as answer:
        content = answer.read()
    if b"[GNUPG:] VALIDSIG" not in done.stdout or hashlib.sha256(content).hexdigest() != checksum:
        raise RuntimeError(f"{place}{name} is not the file that Debian has signed")
    return lzma.decompress(content).decode()


def build_python(source: bytes, target: Path, options: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="cossign-") as build:
        with tarfile.open(fileobj=io.BytesIO(source)) as packed:
            packed.extractall(build, filter="data")
        [tree] = Path(build).iterdir()
        run("./configure", f"--prefix={target}", "--disable-test-modules", *options, cwd=tree)
        run("make", "-s", f"-j{os.cpu_count()}", cwd=tree)
        run("make", "-s", "install", cwd=tree)


def native(version: str, folder: Path) -> Path:
    """An environment of a Python that is installed; its python."""
    if version == "this":
        return environment_of(sys.executable, version, folder)
    name = f"python{version}"
    places = [
        *(Path.home() / ".pyenv").glob(f"versions/*/bin/{name}"),
        ROOT / "build" / "pythons" / version / "bin" / name,
    ]
    found = [place for place in (*places, shutil.which(name)) if place and Path(place).exists()]
    works = [
        each for each in found if subprocess.run([each, "-c", ""], check=False, capture_output=True).returncode == 0
    ]
    if not works:  # pyenv leaves names in PATH of what is not chosen
        raise Absent(f"Python {version} is not installed")
    return environment_of(works[0], version, folder)


def environment_of(python: str | Path, version: str, folder: Path) -> Path:
    """An environment with what the wheel's tests need."""
    run(python, "-m", "venv", folder / "venv")
    own = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [own, "-m", "pip", "install", "-q", "--only-binary=:all:"]
    requirements = ROOT / "requirements" / "wheel.txt"
    if version.endswith("t"):  # the locked versions have no wheels for it, others have
        names = sorted(set(re.findall(r"(?m)^([\w-]+)==", requirements.read_text())) - {"colorama", "isal"})
        run(*install, *names, env=ENVIRONMENT)
    else:
        run(*install, "--require-hashes", "--no-deps", "-r", requirements, env=ENVIRONMENT)
    return own


def of_debian(machine: str, version: str, folder: Path) -> Path:
    """Debian's Python, with what the wheel's tests need; a script that runs it, under QEMU if it is for another CPU."""
    is_native = machine == platform.machine()
    emulator, compiler = f"qemu-{machine}", "gcc" if is_native else f"{machine}-linux-gnu-gcc"
    installed("debootstrap", "debootstrap")
    installed(compiler, "gcc" if is_native else f"gcc-{machine}-linux-gnu")
    if not is_native:
        installed(emulator, "qemu-user")
    root, debs = folder / "root", folder / "debs"
    packages = f"python{version},libpython{version}-dev"
    suite = SUITE if version == DEFAULT else "sid"
    run(
        "debootstrap", f"--arch={ARCHITECTURES[machine]}", "--download-only", "--variant=minbase",
        f"--include={packages}", suite, debs,
    )  # fmt: skip
    for deb in sorted(debs.glob("var/cache/apt/archives/*.deb")):
        run("dpkg-deb", "-x", deb, root)
    shutil.rmtree(debs)
    program, python = root / "usr" / "bin" / f"python{version}", folder / "python"
    # Its files are looked for in the root first. Only the compiler is this machine's: the root has none.
    loader = root / "usr" / {"x86_64": "lib64/ld-linux-x86-64.so.2"}.get(machine, f"lib/ld-linux-{machine}.so.1")
    folders = ":".join(str(root / place / f"{machine}-linux-gnu") for place in ("lib", "usr/lib"))
    words = f'"{loader}" --library-path "{folders}"' if is_native else f'{emulator} -L "{root}"'
    python.write_text(f'#!/bin/sh\nexec {words} "{program}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    settings = root / f"usr/lib/python{version}/sitecustomize.py"
    settings.unlink(missing_ok=True)
    settings.write_text(f"import sys\nsys.executable = {str(python)!r}\n")
    tags = [f"--platform={policy}_{machine}" for policy in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    install = [
        sys.executable, "-m", "pip", "install", "-q", "--target", root / SITE, *tags, "--implementation", "cp",
        "--python-version", version, "--only-binary=:all:", "--require-hashes", "--no-deps", "-r", folder / "wheel.txt",
    ]  # fmt: skip
    requirements = (ROOT / "requirements" / "wheel.txt").read_text()
    while True:
        (folder / "wheel.txt").write_text(requirements)
        try:
            run(*install, env=ENVIRONMENT)
        except RuntimeError as error:
            missing = re.search(r"No matching distribution found for ([\w-]+)==", str(error))
            if missing is None or missing[1] not in WHEELS_LACKING.get((machine, version), ()):
                raise
            requirements = re.sub(rf"(?m)^{missing[1]}==(.*\\\n)*.*\n", "", requirements)
        else:
            return python


def as_cpu(name: str, folder: Path) -> Path:
    """This Python under QEMU, as a CPU of that name; a script that runs it."""
    if platform.machine() != "x86_64":
        raise Absent("this machine's Python is not for x86-64")
    installed("qemu-x86_64", "qemu-user")
    own = native(f"{sys.version_info.major}.{sys.version_info.minor}", folder)
    python = own.with_name("emulated")
    python.write_text(f'#!/bin/sh\nexec qemu-x86_64 -cpu {name} "{own}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return python


def tested(name: str, folder: Path, is_long: bool) -> dict[str, Any]:
    """Build, install and test on one platform, in an empty folder."""
    environment = dict(ENVIRONMENT)
    if name.endswith("t"):
        environment["PYTHON_GIL"] = "1"  # an extension that does not allow threads without it warns, and gets it
    kind, _, rest = name.partition("-")
    if kind == "debian":
        machine, _, version = rest.partition("-")
        python = of_debian(machine, version or DEFAULT, folder)
        site, headers = folder / "root" / SITE, folder / f"root/usr/include/python{version or DEFAULT}"
        compiler = "gcc" if machine == platform.machine() else f"{machine}-linux-gnu-gcc"
        environment |= {
            "CC": compiler, "LDSHARED": f"{compiler} -shared", "CFLAGS": f"-I{headers} -idirafter {headers.parent}"
        }  # fmt: skip
    else:
        python = as_cpu(rest, folder) if kind == "cpu" else native(name.removeprefix("cpython"), folder)
        site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip())
    tree = folder / "tree"
    # Cython's C is the same for every CPU and Python, and making it under an emulator takes minutes.
    left = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__", "node_modules")
    for part in ("src", "share"):
        shutil.copytree(ROOT / part, tree / part, ignore=left)
    for file in ("setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy2(ROOT / file, tree)
    for file in tree.glob("src/**/*.c"):
        file.touch()
    (tree / "COMMIT").write_text("platforms\n")
    run(python, "setup.py", "-q", "bdist_wheel", "-d", folder, cwd=tree, env=environment)
    [wheel] = folder.glob("cossigner-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    away = folder / "away"
    shutil.copytree(ROOT / "tests", away / "tests", ignore=left)
    shutil.copy(ROOT / "pyproject.toml", away)
    [text] = re.findall(r'(?s)test-command = """(.*?)"""', (ROOT / "pyproject.toml").read_text())
    words = shlex.split(text.replace("\\\n", " "))
    is_emulated = kind == "cpu" or (kind == "debian" and machine != platform.machine())
    is_short = is_emulated and (not is_long or name in UNABLE)
    files = SHORT if is_short else [word for word in words if word.startswith("tests/")]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", *files]
    done = subprocess.run(command, cwd=away, env=environment, capture_output=True, text=True, check=False)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", done.stdout)}
    if done.returncode:
        raise RuntimeError(f"{name}: {counts}\n{done.stdout[-6000:]}{done.stderr[-3000:]}")
    why = run(python, "-m", "cossign", "engines", "--why", cwd=away, env=environment)
    about = "import platform, sys; print(platform.machine(), platform.python_version() + sys.abiflags)"
    of_machine, of_version = run(python, "-c", about).split()
    return {
        "name": name, "machine": of_machine, "python": of_version, "how": "emulated" if is_emulated else "native",
        "wheel": wheel.name, "tests": "all" if files != SHORT else "engines", **counts,
        "engines": [line.split()[0] for line in why.splitlines() if ": " in line and " off: " not in line],
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """What came of the platforms, as docs/platforms.md has it."""
    rows = [
        "| CPU | Python | runs | tests of the wheel | passed | skipped | engines |",
        "|---|---|---|---|---:|---:|---|",
    ]
    for each in results:
        kind, _, rest = each["name"].partition("-")
        cpu = f"{each['machine']}, as {rest}" if kind == "cpu" else each["machine"]
        python = each["python"].replace("t", ", free-threaded, with its lock")
        engines = ", ".join(f"`{name}`" for name in each["engines"])
        what = {"all": "all", "engines": "core, engines, answers of the SDKs"}[each["tests"]]
        rows.append(
            f"| {cpu} | {python} | {each['how']} | {what} | {each['passed']:,} | {each.get('skipped', 0):,} | {engines} |"
        )
    return "\n".join(rows) + "\n"


def keep(result: dict[str, Any]) -> None:
    """Write a result into docs/platforms.json, and all of them into the table of docs/platforms.md."""
    kept = {each["name"]: each for each in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    kept[result["name"]] = result
    results = [kept[name] for name in sorted(kept)]
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(each) for each in results) + "\n]\n")
    page = RESULTS.with_suffix(".md")
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    page.write_text(f"{before}{begin}{table(results)}{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="all tests of the wheel under emulators, too")
    parser.add_argument("--keep", action="store_true", help="write what came of it into docs/platforms.md")
    parser.add_argument("--build", action="store_true", help="build a Python of Debian's source first")
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    for name in arguments.names:
        if arguments.build:
            from_source(name.removeprefix("cpython"))
        with tempfile.TemporaryDirectory(prefix="cossign-") as folder:
            try:
                result = tested(name, Path(folder), arguments.long)
            except Absent as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
        print(json.dumps(result), flush=True)
        if arguments.keep:
            keep(result)


if __name__ == "__main__":
    main()

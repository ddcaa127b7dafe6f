"""`make release-check`: everything that a release needs, up to the upload; and `make dist`, its packages.

python -m share.release check [--quick]
python -m share.release packages FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Unready(Exception):
    """What must be done before a release."""


def run(*command: str | Path, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """Run a command; its standard output."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise Unready("\n    ".join([f"{' '.join(words)} ends with {done.returncode}:", *said]))
    return done.stdout


def build(tree: Path, out: Path, of_sdist: bool, zone: str) -> list[Path]:
    """An sdist of a clone, and a wheel: of that sdist, or of the clone itself."""
    run("git", "clone", "--quiet", ROOT, tree)
    run(sys.executable, "-m", "share.make", cwd=tree, environment={"PYTHONPATH": str(tree / "src")})
    environment = {"SOURCE_DATE_EPOCH": run("git", "log", "-1", "--format=%ct").strip(), "TZ": zone}
    command = (sys.executable, "-m", "build", "--no-isolation", "--outdir", out)
    run(*command, "--sdist", tree, environment=environment)
    if of_sdist:
        [archive] = out.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(tree.parent / "unpacked", filter="data")
        [tree] = (tree.parent / "unpacked").iterdir()
    run(*command, "--wheel", tree, environment=environment)
    return sorted(out.iterdir())


def packages(target: Path) -> None:
    """Build the packages of this commit twice: in two folders, with other settings. Their bytes must be equal."""
    with tempfile.TemporaryDirectory(prefix="cossign-") as folder:
        one = build(Path(folder, "tree"), Path(folder, "one"), of_sdist=True, zone="UTC")
        before = os.umask(0o077)
        try:
            other = build(Path(folder, "another-tree"), Path(folder, "other"), of_sdist=False, zone="Asia/Shanghai")
        finally:
            os.umask(before)
        for file, again in zip(one, other, strict=True):
            if (file.name, file.read_bytes()) != (again.name, again.read_bytes()):
                raise Unready(f"two builds of {file.name} differ")
        run(sys.executable, "-m", "twine", "check", "--strict", *one)
        [wheel] = [file for file in one if file.suffix == ".whl"]
        run(Path(sys.executable).with_name("check-wheel-contents"), wheel)
        target.mkdir(parents=True, exist_ok=True)
        for file in one:
            shutil.copy(file, target)
            print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {target / file.name}")


def clean_tree() -> None:
    """All is committed."""
    if left := run("git", "status", "--porcelain"):
        raise Unready(f"commit or remove what is not in git:\n{left.rstrip()}")


def version() -> None:
    """The version is new, and CHANGELOG.md says what is in it."""
    [name] = re.findall(r'(?m)^__version__ = "(.*)"', (ROOT / "src" / "cossign" / "__init__.py").read_text("utf-8"))
    first = re.findall(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"))[0]
    if first != name:
        raise Unready(f'CHANGELOG.md begins with "{first}", and the version is {name}: give both the new version')
    [cited] = re.findall(r"(?m)^version: (.*)", (ROOT / "CITATION.cff").read_text("utf-8"))
    if cited != name:
        raise Unready(f"CITATION.cff has the version {cited}, and the package {name}")
    if run("git", "tag", "--list", f"v{name}"):
        raise Unready(f"the tag v{name} exists already: give the version a new number")


def lock() -> None:
    """`make lock` gives the committed lock again."""
    run("make", "--silent", "lock")
    if changed := run("git", "diff", "--stat", "requirements"):
        raise Unready(f"make lock changes the lock: commit it\n{changed.rstrip()}")


def ci() -> None:
    """A fresh clone passes CI."""
    with tempfile.TemporaryDirectory(prefix="cossign-") as folder:
        run("git", "clone", "--quiet", ROOT, Path(folder, "tree"))
        run(".ci/run", cwd=Path(folder, "tree"))


def dist() -> None:
    """The packages are the same from two builds, and right by the index's rules."""
    packages(ROOT / "dist")


def check(is_quick: bool) -> int:
    """Do all steps, also after one that fails; returns the exit status."""
    steps = [clean_tree, version, lock, dist, *([] if is_quick else [ci])]
    left = 0
    for step in steps:
        print(f"{step.__doc__}".splitlines()[0], flush=True)
        try:
            step()
        except Unready as error:
            left += 1
            print(f"  NOT YET: {error}", flush=True)
    if left:
        print(f"{left} of {len(steps)} steps are left to do", file=sys.stderr)
        return 1
    if is_quick:
        print("All is ready except CI in a fresh clone. Run this again without --quick")
        return 0
    print("Ready: push the tag v<version>, and .github/workflows/wheels.yml builds the wheels and uploads")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check").add_argument("--quick", action="store_true", help="without CI in a fresh clone")
    commands.add_parser("packages").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "check":
        return check(arguments.quick)
    try:
        packages(arguments.folder.resolve())
    except Unready as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

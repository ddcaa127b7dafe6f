"""The lock in requirements/: it matches pyproject.toml for every supported Python, and pip can install nothing else."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
# What `make lock` compiles each file from: its words are read where they stand.
COMPILED = {
    name: shlex.split(words)
    for words, name in re.findall(
        r"^\t\$\(RESOLVE\)(.*) -o requirements/(\w+)\.txt$", (ROOT / "Makefile").read_text(), re.M
    )
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
SYSTEMS = (("Linux", "linux", "posix"), ("Darwin", "darwin", "posix"), ("Windows", "win32", "nt"))
ENVIRONMENTS = [
    {
        "python_version": python, "python_full_version": f"{python}.9", "implementation_name": "cpython",
        "platform_python_implementation": "CPython", "platform_system": system, "sys_platform": name, "os_name": os_name,
        "platform_machine": "x86_64", "extra": "",
    }
    for python, (system, name, os_name) in itertools.product(PYTHONS, SYSTEMS)
]  # fmt: skip


class Pin(NamedTuple):
    """One entry of a file: the version, how many hashes, and the tables of pyproject.toml that ask for it."""

    requirement: Requirement
    hashes: int
    asked: list[str]

    def holds(self, environment: dict[str, str]) -> bool:
        return self.requirement.marker is None or self.requirement.marker.evaluate(environment)

    @property
    def version(self) -> str:
        [specifier] = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version


def pins(name: str) -> list[Pin]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return [
        Pin(
            Requirement(head),
            entry.count("--hash=sha256:"),
            re.findall(r"cossign \(pyproject\.toml(?::[\w-]+)?\)", entry),
        )
        for head, entry in re.findall(r"^(\S[^\\#\n]+) \\\n((?:    .*\n?)+)", text, re.M)
    ]


def extra(name: str) -> list[Requirement]:
    """The requirements of an extra, and of the extras that it names."""
    found = []
    for each in map(Requirement, PROJECT["project"]["optional-dependencies"][name]):
        if canonicalize_name(each.name) == PROJECT["project"]["name"]:
            found += [one for other in each.extras for one in extra(other)]
        else:
            found.append(each)
    return found


def group(name: str) -> list[Requirement]:
    """The requirements of a dependency group, and of the groups that it includes."""
    found = []
    for each in PROJECT["dependency-groups"][name]:
        found += group(each["include-group"]) if isinstance(each, dict) else [Requirement(each)]
    return found


def asked_for(name: str) -> list[Requirement]:
    """What pyproject.toml asks for in a file of the lock."""
    words = COMPILED[name]
    options = [(option, value) for option, value in itertools.pairwise(words) if option in ("--extra", "--group")]
    return [each for option, value in options for each in (extra if option == "--extra" else group)(value)]


def test_make_lock_compiles_every_file() -> None:
    assert set(COMPILED) == {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert {"demo", "test", "check", "docs", "wheel", "lowest"} <= set(COMPILED)
    for name in COMPILED:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        assert "make lock" in text.split("\n")[1]
        assert "://" not in text  # it names no index and no host


@pytest.mark.parametrize("name", COMPILED)
def test_each_file_matches_pyproject(name: str) -> None:
    """Whatever pyproject.toml asks for is pinned, in a version that it allows, once, on every Python and system."""
    every = pins(name)
    assert len(every) > 1
    assert all(pin.hashes for pin in every)
    wanted = asked_for(name)
    unknown = {pin.requirement.name for pin in every if pin.asked} - {canonicalize_name(each.name) for each in wanted}
    assert not unknown, f"pyproject.toml asks for them no more: run `make lock`: {unknown}"
    for environment in ENVIRONMENTS:
        here = [pin for pin in every if pin.holds(environment)]
        names = [pin.requirement.name for pin in here]
        assert len(names) == len(set(names)), environment
        versions = {pin.requirement.name: pin.version for pin in here}
        for each in wanted:
            if each.marker is None or each.marker.evaluate(environment):
                version = versions.get(canonicalize_name(each.name))
                assert version is not None, f"{each.name} is not in requirements/{name}.txt: run `make lock`"
                assert each.specifier.contains(version, prereleases=True), (
                    f"{each} is locked at {version}: run `make lock`"
                )


def test_the_files_agree() -> None:
    """What is installed into one environment by several commands has one version in all of them."""
    for environment in ENVIRONMENTS:
        versions: dict[str, str] = {}
        for pin in (pin for name in COMPILED if name != "lowest" for pin in pins(name)):
            if pin.holds(environment):
                assert versions.setdefault(pin.requirement.name, pin.version) == pin.version, pin.requirement.name


def test_the_lowest_versions_are_those_that_the_extras_name() -> None:
    versions = {pin.requirement.name: pin.version for pin in pins("lowest")}
    for each in asked_for("lowest"):
        [bound] = [specifier for specifier in each.specifier if specifier.operator == ">="]
        version = versions[canonicalize_name(each.name)]
        assert bound.contains(version)
        assert version.startswith(bound.version), f"{each}: {version} is the lowest there is"


def test_what_is_installed_fits_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_variable_of_the_makefile_is_set_twice() -> None:
    """The second time would change what the commands above it do."""
    names = re.findall(r"^([A-Z_]+) *[:?]?=", (ROOT / "Makefile").read_text(), re.M)
    assert sorted(names) == sorted(set(names))

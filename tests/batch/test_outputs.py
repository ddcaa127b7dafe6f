"""Paths that a command writes: inputs, links, devices and other people's files are never harmed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cossign import ParameterError, Signer
from cossign.batch import InputError, Job, run
from cossign.batch.inputs.source import Source
from cossign.cli import main
from tests.batch import soak
from tests.batch.test_job import write
from tests.conftest import BUCKET, REGION

pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.any_engine]
WHERE = ["-b", BUCKET, "-r", REGION]
BEFORE = "good\n/bad\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("keys.txt").write_text(BEFORE)
    return tmp_path


def presign(*words: str) -> int:
    return main(["presign", "keys.txt", "--on-error", "skip", *words, *WHERE])


def state() -> dict[str, Any]:
    """What is there: kinds, contents and where links lead."""
    found: dict[str, Any] = {}
    for path in sorted(Path().rglob("*")):
        kind = stat.S_IFMT(path.lstat().st_mode)
        content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path)] = (kind, content)
    return found


# --- What is refused before the work


@pytest.mark.parametrize("option", ["-o", "--errors", "--report"])
@pytest.mark.parametrize("kind", ["itself", "another spelling", "link", "hard link", "through its folder's link"])
def test_an_input_is_never_replaced(option: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = {"itself": "keys.txt", "another spelling": "./keys.txt"}.get(kind, "other.txt")
    if kind == "link":
        os.symlink("keys.txt", name)
    elif kind == "hard link":
        os.link("keys.txt", name)
    elif kind == "through its folder's link":
        os.symlink(".", "here")
        name = "here/keys.txt"
    before = state()
    assert presign(*(("-o", "urls.txt") if option != "-o" else ()), option, name) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert state() == before


@pytest.mark.parametrize("words", [["-o", "u.txt"], ["-o", "o.txt", "--errors", "u.txt"], ["-o", "o.txt", "--report", "u.txt"]])  # fmt: skip
def test_an_input_with_a_temporary_name_is_kept(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("keys.txt").rename(".u.txt.part")
    assert main(["presign", ".u.txt.part", "--from", "txt", *words, *WHERE]) == 2
    assert ".u.txt.part is one of the inputs" in capsys.readouterr().err
    assert state() == {".u.txt.part": (stat.S_IFREG, BEFORE)}


@pytest.mark.parametrize(
    "words,said",
    [
        (["-o", "a", "--to", "txt", "--errors", "a"], "--errors a is written by -o, too"),
        (["-o", "a.txt", "--report", "a.txt.errors.jsonl"], "is written by --errors, too"),
        (["-o", "a.txt", "--errors", "b", "--report", "./b"], "report ./b is written by --errors, too"),
        (["-o", ".b.part", "--to", "txt", "--errors", "b"], "is written by -o, too"),
        (["-o", "-", "--report", "-"], "--report - is written by -o, too"),
        (["-o", "-", "--report", "/dev/stdout"], "--report /dev/stdout is written by -o, too"),
        (["-o", "a.txt", "--errors", "dir"], "errors dir is a directory: name a file"),
        (["-o", "a.txt", "--report", "new/"], "report new/ is a directory: name a file"),
        (["-o", "out/", "--report", "out/part-00000.txt"], "is a name that the job's own files have"),
        (["-o", "out/", "--errors", "out/.journal.jsonl"], "is a name that the job's own files have"),
        (["-o", "a.txt", "--report", "no/such/r.json"], "No such file or directory"),
        (["-o", "a.txt", "--errors", "keys.txt/e"], "Not a directory"),
    ],
)
def test_paths_that_cannot_be_meant(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dir").mkdir()
    before = state()
    assert presign(*words) == 2
    assert said in capsys.readouterr().err
    assert state() == before


def test_a_page_does_not_replace_what_it_explains(capsys: pytest.CaptureFixture[str]) -> None:
    Path("request.txt").write_text("https://a/?q-sign-algorithm=sha1")
    Path("answer.xml").write_text("<Error/>")
    before = state()
    for name in ("request.txt", "answer.xml"):
        assert main(["explain", "request.txt", "--no-key", "--error", "answer.xml", "--html", name]) == 2
        assert f"html {name} is one of the inputs" in capsys.readouterr().err
    assert state() == before


# --- Links, devices, pipes


def test_what_links_lead_to_is_written() -> None:
    Path("there").mkdir()
    for name in ("urls.txt", "bad.jsonl", "report.json"):
        os.symlink(f"there/{name}", name)
    assert presign("-o", "urls.txt", "--errors", "bad.jsonl", "--report", "report.json") == 1
    assert sorted(os.listdir("there")) == ["bad.jsonl", "report.json", "urls.txt"]
    assert all(os.path.islink(name) for name in ("urls.txt", "bad.jsonl", "report.json"))
    assert json.loads(Path("report.json").read_text())["bad"] == 1
    assert json.loads(Path("bad.jsonl").read_text())["row"] == 2


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="there is no /dev/null here")
def test_devices_stay_devices() -> None:
    assert presign("-o", "/dev/null", "--errors", "/dev/null", "--report", "/dev/null") == 1
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.listdir() == ["keys.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_written_to(signer: Signer) -> None:
    got: dict[str, str] = {}
    readers = []
    for name in ("urls", "bad", "report"):
        os.mkfifo(name)
        readers.append(threading.Thread(target=lambda name=name: got.update({name: Path(name).read_text()})))
        readers[-1].start()
    job = Job(inputs="keys.txt", output="urls", signer=signer, on_error="skip", errors="bad", report="report")
    report = run(job)
    for each in readers:
        each.join()
    assert (report.errors, got["urls"].count("\n")) == ("bad", 1)
    assert json.loads(got["bad"])["key"] == "/bad"
    assert json.loads(got["report"])["bad"] == 1
    assert all(stat.S_ISFIFO(os.stat(name).st_mode) for name in got)


# --- What others have put there


@pytest.mark.parametrize("words", [["-o", "u.txt"], ["-o", "o.txt", "--errors", "u.txt"], ["-o", "o.txt", "--report", "u.txt"]])  # fmt: skip
@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "pipe", "directory", "another user's"])
def test_a_planted_name(words: list[str], kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever can write into the folder cannot have URLs go elsewhere, or read them."""
    Path("victim").write_text("precious\n")
    planted = Path(".u.txt.part")
    if kind in ("link", "link to nothing"):
        os.symlink("victim" if kind == "link" else "nothing", planted)
    elif kind == "hard link":
        os.link("victim", planted)
    elif kind == "pipe":
        os.mkfifo(planted)
    elif kind == "directory":
        planted.mkdir()
    elif os.geteuid() == 0:
        planted.touch(0o666)
        os.chown(planted, 12345, 12345)
    else:
        pytest.skip("only root can give a file to another user")
    before = state()
    assert presign(*words) == 2
    assert ".u.txt.part is a link or another user's file" in capsys.readouterr().err
    assert state() == before


def test_a_planted_journal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("victim").write_text("precious\n")
    Path("out").mkdir()
    os.symlink("../victim", "out/.journal.jsonl")
    before = state()
    assert presign("-o", "out/") == 2
    assert "out/.journal.jsonl is a link" in capsys.readouterr().err
    assert state() == before


def test_modes() -> None:
    before = os.umask(0o027)
    try:
        assert presign("-o", "urls.txt") == 1
        assert stat.S_IMODE(os.stat("urls.txt").st_mode) == 0o640
        os.chmod("urls.txt", 0o600)
        Path(".urls.txt.part").write_text("what a job that was killed has left")
        os.chmod(".urls.txt.part", 0o666)
        assert presign("-o", "urls.txt") == 1
        assert stat.S_IMODE(os.stat("urls.txt").st_mode) == 0o600
    finally:
        os.umask(before)


# --- The list of bad rows


def test_the_list_of_an_earlier_job_becomes_empty() -> None:
    assert presign("-o", "urls.txt") == 1
    assert Path("urls.txt.errors.jsonl").read_text().count("\n") == 1
    Path("keys.txt").write_text("good\n")
    assert presign("-o", "urls.txt") == 0
    assert Path("urls.txt.errors.jsonl").read_text() == ""
    os.unlink("urls.txt.errors.jsonl")
    assert presign("-o", "urls.txt") == 0
    assert sorted(os.listdir()) == ["keys.txt", "urls.txt"]


def test_a_list_that_another_job_has_written_meanwhile_stays(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("bad.jsonl").write_text("of an earlier job\n")
    Path("keys.txt").write_text("good\n")

    def another(this: object) -> None:
        Path("new").write_text("of another job\n")
        os.replace("new", "bad.jsonl")

    monkeypatch.setattr("cossign.batch.runner._Meter.note", another)
    run(Job(inputs="keys.txt", output="urls.txt", signer=signer, errors="bad.jsonl"))
    assert Path("bad.jsonl").read_text() == "of another job\n"


def test_a_job_that_fails_leaves_the_list_before(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(inputs="keys.txt", output="urls.txt", signer=signer, on_error="skip")
    run(job)
    before = state()
    Path("keys.txt").write_text("/bad\n/worse\n")
    with monkeypatch.context() as patch:
        patch.setattr(
            "cossign.batch.outputs.files.give_name",
            lambda raw, final, warn: (_ for _ in ()).throw(OSError(28, "No space")),
        )
        with pytest.raises(OSError, match="No space"):
            run(job)
    Path("keys.txt").write_text(BEFORE)
    assert state() == before


# --- Inputs that change


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"one more\n")


def shrunk(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 3)


def rewritten(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(b"x" * size)
    os.utime(path, ns=(0, 10**18))  # a clock that is coarse may show the same time


@pytest.mark.parametrize("change", [grown, shrunk, rewritten], ids=lambda change: change.__name__)
@pytest.mark.parametrize(
    "name", ["k.txt", "k.parquet", *(pytest.param(name, marks=pytest.mark.long) for name in ("k.txt.gz", "k.csv"))]
)
@pytest.mark.parametrize("output", ["urls.txt", "out/"])
def test_an_input_that_changes_ends_the_job(
    name: str, output: str, change: Callable[[Path], None], signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"photos/{number:07d}-{number * 7919 % 1_000_003}.jpg" for number in range(300_000)]
    write(name, keys)
    changed: list[bool] = []

    def note(this: object) -> None:
        if not changed:
            changed.append(True)
            change(Path(name))

    monkeypatch.setattr("cossign.batch.runner._Meter.note", note)
    job = Job(inputs=name, output=output, signer=signer, rows_per_part=50_000 if output == "out/" else None)
    with pytest.raises(InputError, match=f"{name}.* (changed while it was read|is not a whole|cannot be read)"):
        run(replace(job))
    assert changed
    assert not Path("urls.txt").exists()
    if output == "out/":
        if Path("out/.journal.jsonl").read_text().count("\n") > 1:  # a part was whole before the change
            with pytest.raises(ParameterError, match=r"what changed: |has other bytes"):
                run(replace(job, resume=True))
        signed = "".join(part.read_text() for part in sorted(Path("out").glob("part-*"))).splitlines()
        assert [url.partition("?")[0].partition(".com/")[2] for url in signed] == keys[: len(signed)]


def test_a_change_is_named_before_the_damage_that_it_looks_like() -> None:
    """What was read half before a change and half after it is not what a reader expects."""

    def read(change: str) -> None:
        with Source(["keys.txt"]).read(0):
            if change:
                Path("keys.txt").write_text(change)
            raise InputError("keys.txt is not Parquet that can be read: fetch it again")

    with pytest.raises(InputError, match=r"keys\.txt changed while it was read"):
        read("other\n" * 9)
    with pytest.raises(InputError, match="fetch it again"):
        read("")


def test_stderr_on_a_full_disk_does_not_end_a_job() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    Path("keys.txt").write_text("good\n")
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "cossign", "presign", "keys.txt", "-o", "urls.txt", "--start", "1", *WHERE]
        assert subprocess.run(command, stderr=full, check=False).returncode == 0
    assert Path("urls.txt").read_text().count("\n") == 1


# --- What is read and written by descriptor, and what lies in the output's directory


def command(line: str) -> subprocess.CompletedProcess[str]:
    """A shell's line, in which `cossign` is presign with what it needs."""
    presigned = " ".join([sys.executable, "-m", "cossign", "presign", *WHERE, "--on-error", "skip"])
    line = line.replace("presign", presigned)
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)


def test_an_input_that_is_stdin_is_never_replaced() -> None:
    done = command("presign - -o keys.txt < keys.txt")
    assert (done.returncode, Path("keys.txt").read_text()) == (2, BEFORE)
    assert "keys.txt is one of the inputs" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="there is no /dev/stdout here")
def test_what_the_shell_has_opened_is_written_on() -> None:
    Path("log").write_text("before\n")
    done = command("presign keys.txt -o /dev/stdout --to txt >> log")
    assert (done.returncode, Path("log").read_text()[:15], Path("log").read_text().count("\n")) == (
        1,
        "before\nhttps://",
        2,
    )
    done = command("presign keys.txt -o urls.txt --errors /dev/stderr 2>> log")
    assert Path("log").read_text().startswith("before\nhttps://")
    assert '"key": "/bad"' in Path("log").read_text()
    done = command("presign keys.txt -o - --report out.txt > out.txt")
    assert (done.returncode, "report out.txt is written by stdout, too" in done.stderr) == (2, True)


def test_a_manifest_is_an_input(capsys: pytest.CaptureFixture[str]) -> None:
    Path("inv").mkdir()
    Path("inv/data.csv").write_text('"1250000000","examplebucket","a"\n')
    fields = {
        "fileFormat": "CSV",
        "fileSchema": "Appid, Bucket, Key",
        "files": [{"key": "data.csv", "size": "33", "md5Checksum": "0" * 32}],
    }
    Path("inv/manifest.json").write_text(json.dumps(fields))
    before = state()
    assert main(["presign", "inv", "-o", "u.txt", "--report", "inv/manifest.json", *WHERE]) == 2
    assert "inv/manifest.json is one of the inputs" in capsys.readouterr().err
    assert state() == before


@pytest.mark.parametrize("name", [".part-00000.txt.part", ".journal.jsonl", "part-00000.txt"])
def test_an_input_under_a_name_of_the_jobs_own_files(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("keys.txt").rename(f"out/{name}")
    before = state()
    assert main(["presign", f"out/{name}", "--from", "txt", "-o", "out/", *WHERE]) == 2
    assert "under a name of the job's own files" in capsys.readouterr().err
    assert state() == before


def test_a_report_in_a_directory_that_the_job_makes() -> None:
    assert presign("-o", "out/", "--report", "out/report.json") == 1
    assert sorted(os.listdir("out")) == [".journal.jsonl", "errors.jsonl", "part-00000.txt", "report.json"]


def test_a_resumed_job_has_the_same_list(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another list would be taken for the one that was begun, cut to its size, and written on."""
    Path("keys.txt").write_text("/bad\n" + "good\n" * 30)
    Path("mine.txt").write_text("mine\n" * 100)
    job = Job(inputs="keys.txt", output="out/", signer=signer, on_error="skip", rows_per_part=10)
    with monkeypatch.context() as patch:
        patch.setattr("cossign.batch.journal.Journal.end", lambda journal: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(job)
    with pytest.raises(ParameterError, match="what changed: `errors`"):
        run(replace(job, resume=True, errors="mine.txt"))
    assert Path("mine.txt").read_text() == "mine\n" * 100
    assert run(replace(job, resume=True)).bad == 1


def test_only_ones_own_temporary_file_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the moment a file gets its name and the job's end, another job may have begun the next one."""

    def another(folder: Path, warn: object, entry: object = None) -> None:
        Path(".urls.txt.part").write_text("of another job")
        raise KeyboardInterrupt

    monkeypatch.setattr("cossign.batch.outputs.files.sync_directory", another)
    assert presign("-o", "urls.txt") == 130
    assert Path(".urls.txt.part").read_text() == "of another job"
    assert Path("urls.txt").read_text().count("\n") == 1


def test_urls_are_as_private_as_what_they_replace(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("urls.txt").touch(0o600)
    seen: list[int] = []
    monkeypatch.setattr(
        "cossign.batch.runner._Meter.note", lambda this: seen.append(stat.S_IMODE(os.stat(".urls.txt.part").st_mode))
    )
    run(Job(inputs="keys.txt", output="urls.txt", signer=signer, on_error="skip"))
    assert set(seen) == {0o600}


def test_a_list_that_nobody_asked_for_is_opened_with_the_first_bad_row() -> None:
    name = "n" * 240 + ".txt"
    Path("keys.txt").write_text("good\n")
    assert presign("-o", name) == 0
    assert presign("-o", name, "--errors", f"{name}.errors.jsonl") == 2


# --- File systems that cannot do everything

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
int flock(int file, int how)
{
    const char *number = getenv("FLOCK_ERRNO");
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return number ? (errno = atoi(number), -1) : real(file, how);
}
int fsync(int file)
{
    const char *number = getenv("FSYNC_ERRNO"), *folder_number = getenv("FSYNC_FOLDER_ERRNO");
    struct stat status;
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    if (folder_number && !fstat(file, &status) && S_ISDIR(status.st_mode)) {
        number = folder_number;
    }
    return number ? (errno = atoi(number), -1) : real(file);
}
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that lets flock and fsync fail as they do on other file systems."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("needs Linux and gcc")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c", "-ldl"], check=True)
    return str(folder / "shim.so")


@pytest.mark.parametrize(
    "failing, number, said",
    [
        ("FLOCK_ERRNO", errno.ENOSYS, "warning: the file system has no locks"), ("FLOCK_ERRNO", errno.ENOLCK, "warning: the file system has no locks"),
        ("FLOCK_ERRNO", errno.EOPNOTSUPP, "warning: the file system has no locks"), ("FSYNC_FOLDER_ERRNO", errno.EINVAL, "warning: the file system cannot sync"),
        ("FSYNC_ERRNO", errno.ENOSYS, "warning: the file system cannot sync"), ("FSYNC_ERRNO", errno.EIO, "error"), ("FLOCK_ERRNO", errno.EIO, "error"), ("FSYNC_ERRNO", errno.ENOSPC, "error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("output", ["urls.txt", "urls.csv", "out/"])
def test_file_systems_that_cannot_do_everything(output: str, failing: str, number: int, said: str, shim: str) -> None:
    Path("keys.txt").write_text("a\nb\n")
    environment = {**soak.ENVIRONMENT, "LD_PRELOAD": shim, failing: str(number)}
    words = [
        *soak.COSSIGN,
        "presign",
        "keys.txt",
        "-o",
        output,
        "--on-error",
        "skip",
        *soak.WHERE,
        "--expires",
        "10000d",
    ]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if said == "error":
        assert done.returncode == 2
        assert os.strerror(number) in done.stderr
        assert output.strip("/") in done.stderr
        assert not Path("urls.txt").exists()
        return
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(said) == 1
    if output == "out/":
        done = subprocess.run([*words, "--resume"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif failing == "FLOCK_ERRNO":  # what another job may be writing is not taken away from it
        Path(f".{output}.part").write_text("of another job")
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f".{output}.part exists, and its file system has no locks: remove it if no job writes it" in done.stderr
        assert Path(f".{output}.part").read_text() == "of another job"


def test_a_temporary_file_that_another_job_has_replaced(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks: a half-written file of another job must not get the final name."""

    def another(this: object) -> None:
        Path("new").write_text("half")
        os.replace("new", ".urls.txt.part")

    Path("keys.txt").write_text("a\nb\n")
    monkeypatch.setattr("cossign.batch.runner._Meter.note", another)
    with pytest.raises(ParameterError, match="was replaced while it was written"):
        run(Job(inputs="keys.txt", output="urls.txt", signer=signer))
    assert not Path("urls.txt").exists()
    assert Path(".urls.txt.part").read_text() == "half"

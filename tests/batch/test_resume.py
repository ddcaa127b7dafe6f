"""Jobs that are ended, by whatever: nothing half-written has a final name, and what is resumed gives the same bytes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cossign import Credentials, ParameterError, Signer
from cossign.batch import InputError, Job, RowError, SpaceError, run
from tests.batch import soak
from tests.batch.test_job import write
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY, scaled
from tests.waiting import PATIENCE

START = 1_700_000_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    monkeypatch.chdir(tmp_path)


def a_job(signer: Signer, rows: int = 25, **changes: Any) -> Job:
    """A job of parts of ten rows."""
    if not Path("keys.txt").exists():
        Path("keys.txt").write_text("".join(f"key{row}\n" for row in range(rows)))
    return Job(
        **{"inputs": ["keys.txt"], "output": "out", "signer": signer, "rows_per_part": 10, "start": START, **changes}
    )


class Ended(Exception):
    """Ends a job from within."""


def end_behind(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the next job when that many parts are in its journal."""
    from cossign.batch.journal import FolderJournal, Part

    add = FolderJournal.add

    def and_end(journal: FolderJournal, index: int, part: Part) -> None:
        add(journal, index, part)
        if len(journal.parts) == parts:
            raise Ended

    monkeypatch.setattr(FolderJournal, "add", and_end)


def begun(job: Job, parts: int = 1) -> None:
    """Begin a job, and end it behind some parts."""
    with pytest.MonkeyPatch.context() as patch:
        end_behind(parts, patch)
        with pytest.raises(Ended):
            run(job)


def text(folder: str = "out") -> str:
    return "".join(path.read_text() for path in sorted(Path(folder).glob("part-*")))


# --- Ended from outside


@scaled("kills", 2, 8)
def test_signals_at_random_moments(kills: int, tmp_path: Path) -> None:
    """As `python -m tests.batch.soak`, which goes on for longer."""
    seed = time.time_ns()
    print(f"seed {seed}")
    soak.soak(tmp_path, 20_000 * kills, kills, interrupts=kills // 2, seed=seed)


def in_a_namespace(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount a disk of its own."""
    unshare = ["unshare", "--map-root-user", "--mount", "bash", "-ceu", script]
    return subprocess.run(unshare, capture_output=True, text=True, check=False, env=soak.ENVIRONMENT)


@pytest.fixture(scope="module")
def disks() -> None:
    if shutil.which("unshare") is None or in_a_namespace("mkdir -p d; mount -t tmpfs none d").returncode:
        pytest.skip("no disk can be mounted here: unshare --map-root-user --mount fails")


@pytest.mark.parametrize("form", ["txt", "parquet", "txt.zst", "csv.gz"])
@pytest.mark.usefixtures("disks")
def test_a_full_disk(form: str, tmp_path: Path) -> None:
    soak.make_inputs(tmp_path, 40_000)
    source = tmp_path / "keys.txt"
    reference = soak.Reference(source, tmp_path / "reference", form, 4_000)
    size = sum(path.stat().st_size for path in (tmp_path / "reference").iterdir())
    job = soak.command(source, Path("disk/out"), form, 4_000)
    line = " ".join(job)
    script = f"""
        mkdir disk; mount -t tmpfs -o size={size // 2} none disk
        {line} --no-space-check && exit 99 || test $? = 2
        cp -r disk/out full
        mount -o remount,size={4 * size} disk
        {line} --resume && exit 99 || test $? = 1
        cp -r disk/out resumed
    """
    done = in_a_namespace(script)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "warning" not in line and "rows are bad" not in line]
    assert len(said) == 1, said
    assert "No space left on device; to continue, repeat the command with --resume" in said[0]
    assert len(list(Path("full").glob("part-*"))) in range(3, 8)
    reference.check_unfinished(Path("full"))
    reference.check_finished(Path("resumed"))


@pytest.mark.usefixtures("disks")
def test_a_disk_that_is_too_small_is_refused_at_once(tmp_path: Path) -> None:
    Path("keys.txt").write_text("".join(f"key{row}\n" for row in range(100_000)))
    for output, more in (("disk/out/", ""), ("disk/urls.txt", ""), ("disk/urls.parquet", "--no-space-check")):
        line = " ".join([*soak.COSSIGN, "presign", "keys.txt", "-o", output, *soak.WHERE, more])
        done = in_a_namespace(
            f"mkdir -p disk; mount -t tmpfs -o size=8m none disk; code=0; {line} || code=$?; ls disk; exit $code"
        )
        if more:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 2
            assert f"{output} would take about" in done.stderr
            assert "and the disk has 8.4 MB" in done.stderr
            assert "urls" not in done.stdout
            assert "part" not in done.stdout


@pytest.mark.usefixtures("disks")
def test_a_place_that_cannot_be_written() -> None:
    Path("keys.txt").write_text("a\n")
    Path("taken").write_text("")
    for output, said in (
        ("disk/out/", "disk/out: Read-only file system"),
        ("disk/urls.txt", "disk/urls.txt: Read-only file system"),
        ("no/such/urls.txt", "No such file or directory"),
        ("taken/urls.txt", "Not a directory"),
    ):
        line = " ".join([*soak.COSSIGN, "presign", "keys.txt", "-o", output, *soak.WHERE])
        done = in_a_namespace(f"mkdir -p disk; mount -t tmpfs -o ro none disk; {line}")
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(os.listdir()) == ["disk", "keys.txt", "taken"]


def test_the_space_that_is_there_is_enough(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10_000, 5_000, 5_000))  # type: ignore[attr-defined]
    job = a_job(signer)
    with pytest.raises(SpaceError, match=r"out would take about 0\.0 MB, and the disk has 0\.0 MB"):
        run(job)
    assert not text()
    assert run(replace(job, check_space=False, resume=True)).rows == 25
    begun(replace(job, output="half", check_space=False), 2)  # 20 of 25 rows, some 5,800 of 7,250 bytes, are there
    assert run(replace(job, output="half", resume=True)).rows == 25
    Path("keys.txt").write_text("a\n")
    assert run(replace(job, output="other")).rows == 1


BROKEN_READ = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* read(), which fails with EIO behind BROKEN_AT bytes of the file BROKEN_FILE. */
ssize_t read(int file, void *data, size_t size)
{
    static ssize_t (*real)(int, void *, size_t);
    char link[64], path[4096];
    ssize_t length;
    if (!real)
        real = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        if (strstr(path, getenv("BROKEN_FILE")) && lseek(file, 0, SEEK_CUR) >= atoll(getenv("BROKEN_AT"))) {
            errno = EIO;
            return -1;
        }
    }
    return real(file, data, size);
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="a disk that fails is made with gcc, which is not installed")
@pytest.mark.parametrize("name", ["keys.txt", "keys.csv", "keys.jsonl", "keys.txt.gz", "inventory"])
def test_a_read_error_in_the_middle(name: str, tmp_path: Path) -> None:
    Path("broken.c").write_text(BROKEN_READ)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "broken.so", "broken.c", "-ldl"], check=True)
    soak.make_inputs(tmp_path, 150_000)
    source, output = tmp_path / name, tmp_path / "out"
    reference = soak.Reference(source, tmp_path / "reference", "txt", 2_000)
    file = "inventory/1.csv.gz" if name == "inventory" else name
    broken = {
        "LD_PRELOAD": str(tmp_path / "broken.so"),
        "BROKEN_FILE": file,
        "BROKEN_AT": str((tmp_path / file).stat().st_size // 2),
    }
    command = soak.command(source, output, "txt", 2_000, "--no-space-check")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**soak.ENVIRONMENT, **broken})
    assert done.returncode == 2, done.stderr
    assert "Input/output error" in done.stderr
    assert file in done.stderr
    assert list(output.glob("part-*"))
    reference.check_unfinished(output)
    soak.resume(source, output, "txt", 2_000)
    reference.check_finished(output)


def test_a_reader_of_progress_that_leaves_does_not_end_the_job() -> None:
    Path("keys.txt").write_text("".join(f"key{row}\n" for row in range(300_000)))
    job = [*soak.COSSIGN, "presign", "keys.txt", "-o", "out/", *soak.WHERE, "--progress", "json"]
    with subprocess.Popen(job, stderr=subprocess.PIPE, env=soak.ENVIRONMENT) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(timeout=PATIENCE) == 0
    assert text().count("\n") == 300_000


def test_a_pipe_that_its_reader_closes() -> None:
    Path("keys.txt").write_text("".join(f"key{row}\n" for row in range(300_000)))
    os.mkfifo("pipe")
    job = [*soak.COSSIGN, "presign", "keys.txt", "-o", "pipe", *soak.WHERE]
    with subprocess.Popen(job, stderr=subprocess.PIPE, env=soak.ENVIRONMENT, text=True) as process:
        with open("pipe", "rb") as reader:
            assert reader.read(10) == b"https://ex"
        assert "pipe: the program that reads it has closed it" in process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 2


# --- Ended from within, at a known place


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("named", [{}, {"on_error": "skip"}])
def test_it_goes_on_where_it_was(parts: int, named: Any, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(signer, 30, **named)
    whole = run(replace(job, output="whole"))
    assert whole.parts == 3
    begun(job, parts)
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("part-*")}
    assert len(before) == parts
    report = run(replace(job, resume=True))
    assert (report.rows, report.read, report.parts, report.resumed) == (30, 30, 3, 10 * parts)
    assert text() == text("whole")
    for name, written in before.items():
        assert Path("out", name).stat().st_mtime_ns == written
    again = run(replace(job, resume=True))  # there is nothing left to do
    assert (again.rows, again.resumed, again.written) == (30, 30, report.written)


def test_the_start_is_that_of_the_job(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(signer, start=None)
    monkeypatch.setattr("time.time", lambda: START + 0.5)
    run(replace(job, output="whole"))
    begun(job)
    monkeypatch.setattr("time.time", lambda: START + 500.0)
    report = run(replace(job, resume=True))
    assert report.key_time == (START - 1, START + 899)
    assert text() == text("whole")


def test_a_second_job_is_refused_at_once(signer: Signer) -> None:
    job = a_job(signer)
    begun(job)
    with open("out/.journal.jsonl", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ParameterError, match="out is being written by another job"):
            run(replace(job, resume=True))
    with open(".urls.txt.part", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ParameterError, match=r"urls\.txt is being written by another job"):
            run(replace(job, output="urls.txt", rows_per_part=None))
    Path(".urls.txt.part").write_bytes(b"what a job that was killed has left\n" * 1000)
    run(replace(job, output="urls.txt", rows_per_part=None))
    run(replace(job, output="whole"))
    assert Path("urls.txt").read_text() == text("whole")
    assert not Path(".urls.txt.part").exists()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"expires": 60}, "`expires` (900 to 60)"), ({"method": "PUT"}, '`method` ("GET" to "PUT")'), ({"query": {"a": "b"}}, '`query` ({} to {"a": "b"})'),
        ({"start": START + 1}, "`start` (1700000000 to 1700000001)"), ({"rows_per_part": 11}, "`rows_per_part` (10 to 11)"), ({"output_format": "csv"}, '`format` (".txt" to ".csv")'),
        ({"headers": {"x-a": "b"}}, "`headers` ("), ({"include": ["key1"]}, '`include` ([] to ["key1"])'), ({"inputs": ["keys.txt", "more.txt"]}, "more.txt is a new input"),
        ({"inputs": ["more.txt"]}, "keys.txt is no longer an input"),
    ],
)  # fmt: skip
def test_another_job_is_refused(changes: dict[str, Any], said: str, signer: Signer) -> None:
    Path("more.txt").write_text("a\n")
    job = a_job(signer)
    begun(job)
    before = text()
    with pytest.raises(ParameterError, match="cannot continue another job than the one that was begun") as caught:
        run(replace(job, resume=True, **changes))
    assert said in str(caught.value)
    assert "SecretKey" not in str(caught.value)
    assert text() == before


def test_other_credentials_are_refused(signer: Signer) -> None:
    for headers in ({}, {"x-cos-server-side-encryption-customer-key": "c2VjcmV0LWtleQ=="}):
        job = a_job(signer, headers=headers, output=f"out{len(headers)}")
        begun(job)
        others = [
            (Credentials(SECRET_ID, "another-key"), "the SecretKey, the token or a header's value"),
            (Credentials(SECRET_ID, SECRET_KEY, "a-token"), "the SecretKey, the token or a header's value"),
            (Credentials("AKIDanother", SECRET_KEY), f'`secret_id` ("{SECRET_ID}" to "AKIDanother")'),
        ]
        for credentials, said in others:
            other = Signer(credentials, bucket=BUCKET, region=REGION)
            with pytest.raises(ParameterError) as caught:
                run(replace(job, resume=True, signer=other))
            assert f"what changed: {said}. If only the credentials are new, use `new_credentials=True`" in str(
                caught.value
            )
        loose = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, strict=False)
        with pytest.raises(ParameterError, match=r"what changed: `strict` \(true to false\)"):
            run(replace(job, resume=True, signer=loose))
        if headers:
            with pytest.raises(ParameterError, match="what changed: the SecretKey, the token or a header's value"):
                run(replace(job, resume=True, headers=dict.fromkeys(headers, "other")))


def test_other_inputs_are_refused(signer: Signer) -> None:
    job = a_job(signer)
    begun(job)
    data = Path("keys.txt").read_bytes()
    Path("keys.txt").write_text("key0\n")
    with pytest.raises(ParameterError, match=r"the input .*keys\.txt \(size\)"):
        run(replace(job, resume=True))
    Path("keys.txt").write_bytes(data.replace(b"key0", b"KEY0"))
    with pytest.raises(ParameterError, match="an input was moved or written, and now has other bytes"):
        run(replace(job, resume=True))


@pytest.mark.parametrize("name", ["keys.txt", "keys.csv.gz", "keys.parquet"])
def test_inputs_that_were_touched_or_moved_are_the_same(name: str, signer: Signer) -> None:
    write(name, [f"key{row}" for row in range(25)])
    job = a_job(signer, inputs=[name])
    run(replace(job, output="whole"))
    begun(job)
    os.utime(name, (1, 1))
    begun(replace(job, resume=True), 2)
    Path("moved").mkdir()
    Path("copy").write_bytes(Path(name).read_bytes())  # another file of the same bytes
    os.rename("copy", f"moved/{name}")
    Path(name).unlink()
    assert run(replace(job, resume=True, inputs=[f"moved/{name}"])).resumed == 20
    assert text() == text("whole")


def test_an_input_that_is_rewritten_before_its_part_is_in_the_journal(signer: Signer) -> None:
    """The journal must not have the checksum of bytes that were never signed: a resumed job would take them for the same."""
    from cossign.batch.outputs.bad_rows import BadRows

    job = a_job(signer)
    flush, data = BadRows.flush, Path("keys.txt").read_bytes()

    def rewrite(errors: BadRows) -> None:
        flush(errors)
        Path("keys.txt").write_bytes(data.replace(b"key0", b"KEY0"))
        os.utime("keys.txt", (1, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BadRows, "flush", rewrite)
        with pytest.raises(InputError, match="changed while it was read"):
            run(job)
    run(replace(job, resume=True))
    assert "/KEY0?" in text()
    assert "/key0?" not in text()


def test_the_list_of_a_finished_job_is_compared_too(signer: Signer) -> None:
    Path("keys.txt").write_text("/\n" * 25)
    job = a_job(signer, on_error="null")
    run(job)
    run(replace(job, resume=True))
    listed = Path("out/errors.jsonl")
    listed.write_bytes(bytes(listed.stat().st_size))
    with pytest.raises(ParameterError, match="the list of bad rows, has changed"):
        run(replace(job, resume=True))


def test_other_credentials_on_request(signer: Signer) -> None:
    job = a_job(signer)
    begun(job)
    other = Signer(Credentials("AKIDanother", "another-key", "a-token"), bucket=BUCKET, region=REGION)
    report = run(replace(job, resume=True, new_credentials=True, signer=other))
    assert report.secret_ids == {SECRET_ID: 1, "AKIDanother": 2}
    assert text().count("AKIDanother") == 15
    for part, count in (("part-00000.txt", 10), ("part-00001.txt", 10)):  # each with the credentials of now
        Path("out", part).write_bytes(b"")
        report = run(replace(job, resume=True, new_credentials=True, signer=signer))
        assert f"{part} was missing or damaged, and was written again" in report.warnings
        assert Path("out", part).read_text().count(SECRET_ID) == count
    assert report.secret_ids == {SECRET_ID: 2, "AKIDanother": 1}
    with pytest.raises(ParameterError, match="is for a job that is resumed"):
        run(replace(job, output="other", new_credentials=True))


def test_no_secret_is_in_what_is_left(signer: Signer) -> None:
    token, secret_header = "temporary-token-0123456789", "c2VjcmV0LWtleQ=="
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY, token), bucket=BUCKET, region=REGION)
    job = a_job(signer, headers={"x-cos-server-side-encryption-customer-key": secret_header}, on_error="null")
    run(job)
    journal = Path("out/.journal.jsonl").read_text()
    for secret in (SECRET_KEY, token, secret_header):
        assert secret not in journal
    assert "customer-key" in journal


def test_a_bad_row_ends_the_job_and_another_way_goes_on(signer: Signer) -> None:
    Path("keys.txt").write_text("".join(f"{'/' * (row == 15)}key{row}\n" for row in range(25)))
    job = a_job(signer)
    with pytest.raises(RowError, match=r"keys\.txt, row 16: key begins with"):
        run(job)
    assert sorted(os.listdir("out")) == [".journal.jsonl", "part-00000.txt"]
    report = run(replace(job, resume=True, on_error="skip"))
    assert (report.rows, report.bad, report.errors) == (25, 1, "out/errors.jsonl")
    run(replace(job, output="whole", on_error="skip"))
    assert text() == text("whole")
    assert text().count("\n") == 24
    assert Path("out/errors.jsonl").read_text() == Path("whole/errors.jsonl").read_text()
    with pytest.raises(ParameterError, match="on_error"):  # now it would make a difference
        run(replace(job, resume=True, on_error="null"))


def test_whoever_packs_says_nothing_more_when_a_job_ends() -> None:
    Path("keys.csv").write_text("key\n" + "".join(f"key{row}\n" for row in range(50_000)) + "/\n")
    for name in ("u.txt.zst", "u.txt.gz", "u.csv.zst", "u.parquet", "u.parquet.gz", "u.arrow.zst"):
        job = [*soak.COSSIGN, "presign", "keys.csv", "-o", name, *soak.WHERE]
        done = subprocess.run(job, env=soak.ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["cossign", "cossign"], done.stderr
        assert os.listdir() == ["keys.csv"]


def test_the_list_of_bad_rows_is_gone_on_with(signer: Signer) -> None:
    Path("keys.txt").write_text("".join(f"{'/' * (row % 7 == 3)}key{row}\n" for row in range(45)))
    job = a_job(signer, on_error="null")
    run(replace(job, output="whole"))
    whole = Path("whole/errors.jsonl").read_text()
    assert whole.count("\n") == 6
    begun(job, 2)
    listed = Path("out/.errors.jsonl.part")
    assert whole.startswith(listed.read_text())
    assert not Path("out/errors.jsonl").exists()
    listed.write_text(listed.read_text() + '{"half' * 1000)  # those of a part that was not completed
    with pytest.MonkeyPatch.context() as patch:  # ended once more, before another part is complete
        patch.setattr("cossign.batch.outputs.bad_rows.BadRows.flush", lambda rows: (_ for _ in ()).throw(Ended))
        with pytest.raises(Ended):
            run(replace(job, resume=True))
    assert listed.exists()
    begun(replace(job, resume=True), 4)
    begun(replace(job, resume=True), 5)
    os.rename("out/.errors.jsonl.part", "out/errors.jsonl")  # ended between the list's name and the journal's last line
    report = run(replace(job, resume=True))
    assert (report.rows, report.bad, report.parts) == (45, 6, 5)
    assert Path("out/errors.jsonl").read_text() == whole
    assert sorted(os.listdir("out")) == sorted(os.listdir("whole"))


def test_a_second_job_leaves_the_first_ones_list_alone(signer: Signer) -> None:
    """A second job on the same file, or with the same list, is refused before it has touched anything."""
    Path("keys.txt").write_text("".join(f"{'/' * (row % 7 == 3)}key{row}\n" for row in range(5000)))
    job = a_job(signer, on_error="null", rows_per_part=None, output="urls.txt", errors="bad.jsonl")
    same_output, same_list = replace(job, errors=None), replace(job, output="other.txt")
    refused = []

    def meanwhile(progress: object) -> None:
        for second in (job, same_output, same_list):
            with pytest.raises(ParameterError, match="is being written by another job"):
                run(second)
            refused.append(second)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cossign.batch.runner._Meter.note", lambda this: meanwhile(None) if not refused else None)
        assert run(job).bad == 714
    assert len(refused) == 3
    assert Path("bad.jsonl").read_text().count("\n") == 714
    assert sorted(os.listdir()) == ["bad.jsonl", "keys.txt", "urls.txt"]


def test_a_list_of_bad_rows_that_is_gone(signer: Signer) -> None:
    Path("keys.txt").write_text("/\n" * 25)
    job = a_job(signer, on_error="null")
    begun(job)
    Path("out/.errors.jsonl.part").unlink()
    with pytest.raises(ParameterError, match="the list of bad rows, has changed"):
        run(replace(job, resume=True))


def test_parts_that_were_altered(signer: Signer) -> None:
    job = a_job(signer)
    begun(job, 2)
    part = Path("out/part-00000.txt")
    data = part.read_bytes()
    for damage in (data[:-1], b"x" + data[1:], bytes(len(data)), None, Path("out/part-00001.txt").read_bytes()):
        part.unlink() if damage is None else part.write_bytes(damage)
        report = run(replace(job, resume=True))
        assert "part-00000.txt was missing or damaged, and was written again" in report.warnings
        assert (report.rows, part.read_bytes()) == (25, data)
    part.unlink()
    part.mkdir()
    with pytest.raises(ParameterError, match="is a directory, but a part needs this name"):
        run(replace(job, resume=True))


def test_a_part_that_cannot_be_written_again_as_it_was(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(signer)
    begun(job, 2)
    Path("out/part-00000.txt").write_bytes(b"")
    monkeypatch.setattr("cossign.batch.resume._check_inputs", lambda *arguments: None)
    Path("keys.txt").write_text(Path("keys.txt").read_text().replace("key0", "KEY0"))
    with pytest.raises(ParameterError, match=r"cannot write part-00000\.txt again: its rows have changed"):
        run(replace(job, resume=True))


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: lines[:1] + lines[2:], lambda lines: [lines[0], lines[2], lines[1]], lambda lines: [*lines, lines[1]], lambda lines: lines[1:],
        lambda lines: [*lines[:2], b'{"done": true}\n'], lambda lines: [lines[0], lines[1].replace(b'"rows": 10', b'"rows": 11'), lines[2]], lambda lines: [b"[]\n"], lambda lines: [b"5\n"],
        lambda lines: [lines[0], lines[1].replace(b'"end": [0, 10]', b'"end": [0, 99]'), lines[2]], lambda lines: [*lines, b"\xff\n"], lambda lines: [*lines, b"{}\n"], lambda lines: [b"[" * 100_000 + b"\n"],
    ],
)  # fmt: skip
def test_a_journal_that_was_edited(edit: Callable[[list[bytes]], list[bytes]], signer: Signer) -> None:
    job = a_job(signer)
    begun(job, 2)
    journal = Path("out/.journal.jsonl")
    journal.write_bytes(b"".join(edit(journal.read_bytes().splitlines(keepends=True))))
    with pytest.raises(ParameterError, match=r"\.journal\.jsonl was altered"):
        run(replace(job, resume=True))


def test_a_directory_that_is_moved_while_a_job_is_at_work(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []

    def move(this: object) -> None:
        if not moved:
            moved.append(os.rename("out", "elsewhere"))
            Path("out").mkdir()

    with monkeypatch.context() as patch:
        patch.setattr("cossign.batch.runner._Meter.note", move)
        with pytest.raises((ParameterError, OSError)):
            run(a_job(signer))
    assert os.listdir("out") == []
    whole = a_job(signer, output="whole")
    run(whole)
    run(a_job(signer, output="elsewhere", resume=True))
    assert text("elsewhere") == text("whole")


def test_a_directory_that_is_moved_between_two_parts(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    from cossign.batch.journal import FolderJournal, Part

    add = FolderJournal.add

    def and_move(journal: FolderJournal, index: int, part: Part) -> None:
        add(journal, index, part)
        if index == 0:
            os.rename("out", "elsewhere")
            Path("out").mkdir()

    with monkeypatch.context() as patch:
        patch.setattr(FolderJournal, "add", and_move)
        with pytest.raises(ParameterError, match="was moved or removed while the job was running"):
            run(a_job(signer))
    assert os.listdir("out") == []
    assert run(a_job(signer, output="elsewhere", resume=True)).resumed == 10


def test_parts_whose_ends_do_not_ascend(signer: Signer) -> None:
    """A journal with right digests and wrong contents, as no job writes it."""
    from cossign.batch.inputs.source import Position
    from cossign.batch.journal import FolderJournal

    job = a_job(signer)
    begun(job, 2)
    with contextlib.closing(FolderJournal(Path("out"), True, print)) as journal:
        last = journal.parts[-1]
        journal.add(2, last._replace(name="part-00002.txt", end=Position(0, 5)))
    with pytest.raises(ParameterError, match=r"\.journal\.jsonl was altered"):
        run(replace(job, resume=True))


def test_a_part_with_other_rows_is_not_written_again_by_other_credentials(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes differ in any case: where it ends tells that its rows are others."""
    write("k.csv", [f"key{row}" for row in range(60)])
    job = a_job(signer, inputs="k.csv", include=["*1", "*2", "*3"])
    begun(job, 1)
    Path("out/part-00000.txt").write_bytes(b"")
    Path("k.csv").write_bytes(Path("k.csv").read_bytes().replace(b"key1\r", b"KEY0\r"))
    monkeypatch.setattr("cossign.batch.resume._check_inputs", lambda *arguments: None)
    other = Signer(Credentials("AKIDanother", "another-key"), bucket=BUCKET, region=REGION)
    with pytest.raises(ParameterError, match="its rows have changed"):
        run(replace(job, resume=True, new_credentials=True, signer=other))


def test_names_of_parts_sort_as_parts_do() -> None:
    from cossign.batch.journal import part_name

    names = [part_name(index, ".txt") for index in (0, 9, 99_999, 100_000, 999_999, 1_000_000, 12_345_678)]
    assert names == sorted(names)
    assert names[2:4] == ["part-99999.txt", "part-a100000.txt"]


def test_the_first_bad_row_is_still_the_first_after_a_resume(signer: Signer) -> None:
    Path("keys.txt").write_text("".join(f"{'/' * (row % 7 == 3)}key{row}\n" for row in range(45)))
    job = a_job(signer, on_error="null")
    begun(job, 2)
    first = run(replace(job, resume=True)).first_error
    assert first is not None
    assert first.startswith("keys.txt, row 4:")
    assert run(replace(job, resume=True)).first_error == first


def test_a_journal_that_a_power_cut_has_torn(signer: Signer) -> None:
    job = a_job(signer)
    run(replace(job, output="whole"))
    begun(job, 2)
    journal = Path("out/.journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    for keep in range(len(b"".join(lines)) + 1):
        if keep % 37 and keep != len(b"".join(lines)):
            continue
        journal.write_bytes(b"".join(lines)[:keep])
        if keep < len(lines[0]):  # that a job was begun is not in it
            with pytest.raises(ParameterError, match="is not empty, and holds no job to resume"):
                run(replace(job, resume=True))
        else:
            run(replace(job, resume=True))
            assert text() == text("whole")
            assert run(replace(job, resume=True)).resumed == 25  # what was written behind the tear can be read
    journal.write_bytes(b"{}\n")
    with pytest.raises(ParameterError, match="was altered"):
        run(replace(job, resume=True))


def test_what_a_directory_may_hold(signer: Signer) -> None:
    job = a_job(signer)
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(ParameterError, match="is not empty"):
            run(replace(job, resume=resume))
    assert os.listdir("out") in (["mine.txt"], [".journal.jsonl", "mine.txt"], ["mine.txt", ".journal.jsonl"])
    assert Path("out/mine.txt").read_text() == "mine"
    Path("empty").mkdir()
    assert run(replace(job, output="empty")).rows == 25
    with pytest.raises(ParameterError, match="use `resume=True` to continue the job in it"):
        run(replace(job, output="empty"))
    assert run(replace(job, output="new", resume=True)).rows == 25  # nothing was begun: it begins


def test_a_job_that_has_not_come_far_may_begin_again(signer: Signer) -> None:
    """What has no complete part is in nobody's way."""
    job = a_job(signer, include=["key"])
    with pytest.raises(InputError, match="no columns"):
        run(replace(job, where=["size>1"]))
    assert os.listdir("out") == [".journal.jsonl"]
    Path("out/.part-00000.txt.part").write_text("what a job that was killed has left")
    assert run(job).parts == 3
    assert sorted(os.listdir("out")) == [".journal.jsonl", "part-00000.txt", "part-00001.txt", "part-00002.txt"]
    Path("new").mkdir()
    Path("new/.mine").write_text("")
    with pytest.raises(ParameterError, match="is not empty"):
        run(replace(job, output="new"))


def test_where_it_cannot_be(signer: Signer) -> None:
    job = a_job(signer)
    for changes, said in (
        ({"output": "keys.txt"}, "one of the inputs"), ({"output": "file"}, "is not a directory"), ({"output": "in/out", "inputs": ["in"]}, "lies in the input in"),
        ({"output": "-"}, "needs an output directory"), ({"output": "urls.txt", "rows_per_part": None, "resume": True}, "needs an output directory"),
        ({"rows_per_part": 0}, "greater than 0"), ({"on_error": "ignore"}, "on_error"), ({"output_format": "xlsx"}, "output_format must be one of"),
    ):  # fmt: skip
        Path("file").write_text("x")
        Path("in").mkdir(exist_ok=True)
        Path("in/keys.txt").write_text("a\n")
        with pytest.raises(ParameterError) as caught:
            run(replace(job, **changes))
        assert said in str(caught.value)
    assert Path("file").read_text() == "x"
    with pytest.raises(FileNotFoundError):
        run(replace(job, output="no/such/out"))
    if os.geteuid():
        Path("locked").mkdir(mode=0o500)
        with pytest.raises(PermissionError):
            run(replace(job, output="locked/out"))


def test_what_cannot_be_read_again_cannot_be_resumed(signer: Signer) -> None:
    with pytest.raises(ParameterError, match="cannot read stdin again"):
        run(a_job(signer, inputs=["-"], resume=True))


def test_an_input_that_ends_early_leaves_what_is_complete(signer: Signer) -> None:
    import gzip

    whole = gzip.compress("".join(f"key{row}\n" for row in range(100_000)).encode())
    Path("keys.txt.gz").write_bytes(whole[: len(whole) // 2])
    job = a_job(signer, inputs=["keys.txt.gz"], rows_per_part=1000)
    with pytest.raises(InputError, match=r"keys\.txt\.gz is not a whole gzip file"):
        run(job)
    assert text().count("\n") % 1000 == 0
    assert {name[:5] for name in os.listdir("out")} == {"part-", ".jour"}


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_any_damage_to_a_packed_input_is_an_error(signer: Signer, packing: str) -> None:
    import pyarrow as pa

    keys = "".join(f"key{row}\n" for row in range(50)).encode()
    whole = pa.compress(keys, codec=packing, asbytes=True)
    for place in range(len(whole)):
        Path("keys.txt.gz" if packing == "gzip" else "keys.txt.zst").write_bytes(
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        )
        with contextlib.suppress(InputError, RowError):
            run(a_job(signer, inputs=["keys.txt.*"], output="out.txt", rows_per_part=None))
            # gzip has a checksum of its data, so only unused bytes of its header had changed; this zstd has none
            assert packing == "zstd" or Path("out.txt").read_text().count("\n") == 50


def test_the_journal_is_on_the_disk_behind_each_part(signer: Signer) -> None:
    """What the operating system was asked to do, in which order."""
    if shutil.which("strace") is None:
        pytest.skip("strace, which shows the order of fsync and rename, is not installed")
    Path("keys.txt").write_text("a\nb\n")
    job = [*soak.COSSIGN, "presign", "keys.txt", "-o", "out", "--rows-per-part", "1", *soak.WHERE]
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,rename,write", "-o", "trace", *job]
    subprocess.run(trace, check=True, env=soak.ENVIRONMENT, capture_output=True)
    order = []
    for line in Path("trace").read_text().splitlines():
        if "fsync(" in line:
            order.append("sync " + line.split("<")[1].split(">")[0].rsplit("/", 1)[1])
        elif "rename(" in line:
            order.append("name " + line.split('"')[3].rsplit("/", 1)[1])
    parts = [
        [f"sync .part-0000{number}.txt.part", f"name part-0000{number}.txt", "sync out", "sync .journal.jsonl"]
        for number in (0, 1)
    ]
    assert order == [
        f"sync {Path.cwd().name}",
        "sync .journal.jsonl",
        "sync out",
        *parts[0],
        *parts[1],
        "sync .journal.jsonl",
    ]


def test_python_says_what_the_command_says(signer: Signer) -> None:
    """The journal of one is the other's."""
    job = a_job(signer)
    begun(job)
    done = subprocess.run(
        [*soak.COSSIGN, "presign", "keys.txt", "-o", "out", "--rows-per-part", "10", "--resume", *soak.WHERE],
        env=soak.ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert text().count("\n") == 25
    lines = [json.loads(line) for line in Path("out/.journal.jsonl").read_text().splitlines()]
    assert [line["part"]["end"] for line in lines[1:-1]] == [[0, 10], [0, 20], [0, 25]]
    assert lines[-1]["done"] is True

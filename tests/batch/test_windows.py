"""What a job does on Windows, as far as that can be tried elsewhere: locks, open files, names; and macOS' sync."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from cossign import FileCredentials, ParameterError
from cossign.batch import estimate, journal
from cossign.batch.inputs import inventory
from cossign.batch.journal import FolderJournal
from cossign.batch.outputs import files
from cossign.batch.outputs.paths import temporary
from cossign.cli import main

WHERE = ["-b", "examplebucket-1250000000", "-r", "ap-beijing"]


class Msvcrt(types.SimpleNamespace):
    """Windows' lock of bytes: nobody has the same byte of a file twice."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__(taken={})

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        assert place > 1 << 30, "a byte that a job reads or writes cannot be locked"
        status = os.fstat(descriptor)
        owner = self.taken.setdefault((status.st_ino, place), descriptor)
        if owner != descriptor:
            raise PermissionError(13, "Permission denied")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    made = Msvcrt()
    monkeypatch.setattr(files, "IS_WINDOWS", True)
    monkeypatch.setattr(inventory, "IS_WINDOWS", True)
    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(files, "msvcrt", made)
    monkeypatch.setattr(files, "_PAUSE", 0)
    return made


def refuse(text: str) -> Any:
    raise AssertionError(text)


def test_a_second_job_is_refused(windows: Msvcrt, tmp_path: Path) -> None:
    final = tmp_path / "urls.txt"
    with files.open_temporary(final, refuse) as raw:
        raw.write(b"first")
        raw.flush()
        with pytest.raises(ParameterError, match=r"urls\.txt is being written by another job"):
            files.open_temporary(final, refuse)
        assert raw.tell() == 5
    assert temporary(final).read_bytes() == b"first"
    windows.taken.clear()
    FolderJournal(tmp_path / "out", False, refuse)
    with pytest.raises(ParameterError, match="is being written by another job"):
        FolderJournal(tmp_path / "out", False, refuse)


def test_a_job_that_fails_leaves_nothing(windows: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is open is not removed."""
    opened = []
    unlink = Path.unlink

    def closed_unlink(path: Path, missing_ok: bool = False) -> None:
        assert all(raw.closed for raw in opened), "Windows removes no file that is open"
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", closed_unlink)

    def fail() -> None:
        with files.complete_file(tmp_path / "urls.txt", refuse) as raw:
            opened.append(raw)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("closed_after", [0, 3, 1000])
def test_an_output_that_is_open_elsewhere(
    windows: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_after: int
) -> None:
    final, tries = tmp_path / "urls.csv", []
    final.write_bytes(b"old")
    replace = os.replace

    def replace_when_closed(source: Any, target: Any) -> None:
        if Path(target) == final:
            tries.append(target)
            if len(tries) <= closed_after:
                raise PermissionError(13, "it is open in another process")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_when_closed)
    (tmp_path / "urls.csv.new").write_bytes(b"another's")
    if closed_after < 1000:
        with files.complete_file(final, refuse) as raw:
            raw.write(b"new")
        assert final.read_bytes() == b"new"
    else:
        with (
            pytest.raises(ParameterError, match=r"urls\.csv is open in another program, .* is in .*urls\.csv\.new1"),
            files.complete_file(final, refuse) as raw,
        ):
            raw.write(b"new")
        assert (final.read_bytes(), (tmp_path / "urls.csv.new1").read_bytes()) == (b"old", b"new")
    assert (tmp_path / "urls.csv.new").read_bytes() == b"another's"
    assert not temporary(final).exists()


def test_a_drive_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda path: False)  # as Q:\\ is none
    with pytest.raises(FileNotFoundError, match="its drive does not exist"):
        estimate._existing_folder("q/urls.txt")


def test_credentials_where_anybody_may_put_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """``/etc`` is ``C:\\etc``, which any user can make."""
    for system, is_read in (("posix", True), ("nt", False)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "name", system)
            assert ("/etc/tencentcloud/credentials" in FileCredentials().places()) is is_read


def test_a_pipe_that_is_closed(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Windows says EINVAL, which elsewhere is an error like others."""

    def closed(arguments: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("cossign.cli.engines.run", closed)
    assert main(["engines"]) == 2
    assert capfdbinary.readouterr().err == b"cossign: Invalid argument\n"
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        patch.setattr(os, "dup2", lambda *descriptors: None)
        assert main(["engines"]) == 0
    assert capfdbinary.readouterr().err == b""


def test_a_link_in_the_way(windows: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FLAGS", files._FLAGS & ~os.O_NOFOLLOW)
    monkeypatch.delattr(os, "O_NOFOLLOW")
    final, victim = tmp_path / "urls.txt", tmp_path / "victim"
    victim.write_bytes(b"kept")
    temporary(final).symlink_to(victim)
    with pytest.raises(ParameterError, match="is a link or another user's file"):
        files.open_temporary(final, refuse)
    assert victim.read_bytes() == b"kept"


def test_a_read_only_output_is_replaced_by_a_file_of_its_own_mode(windows: Msvcrt, tmp_path: Path) -> None:
    """Windows would refuse to replace or remove a temporary file that is read-only, too."""
    final = tmp_path / "urls.txt"
    final.write_bytes(b"old")
    final.chmod(0o444)
    with files.open_temporary(final, refuse) as raw:
        assert stat.S_IMODE(os.fstat(raw.fileno()).st_mode) & 0o200


@pytest.mark.parametrize("name", ["//host/share/data.csv.gz".replace("/", "\\"), "C:/data.csv.gz", "a\\b.csv.gz"])
def test_a_manifest_leads_to_no_other_drive_or_machine(windows: Msvcrt, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="Windows has no such names"):
        inventory.data_file(tmp_path / "manifest.json", name)


@pytest.mark.parametrize("is_windows", [False, True])
def test_files_of_desktops_do_not_fill_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool
) -> None:
    monkeypatch.setattr(journal, "IS_WINDOWS", is_windows)
    out = tmp_path / "out"
    out.mkdir()
    (out / ".DS_Store").write_bytes(b"\0")
    (out / "Thumbs.db").write_bytes(b"\0")
    FolderJournal(out, False, refuse).close()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_bytes(b"Dear")
    with pytest.raises(ParameterError, match="is not empty"):
        FolderJournal(tmp_path / "full", False, refuse)
    assert os.listdir(tmp_path / "full") == ["letter.txt"]


@pytest.mark.parametrize("is_able", [True, False])
def test_macos_writes_to_the_disk_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_able: bool) -> None:
    calls = []

    def fcntl(descriptor: int, command: int) -> None:
        calls.append(command)
        if not is_able:
            raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(files, "fcntl", types.SimpleNamespace(F_FULLFSYNC=51, fcntl=fcntl))
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    with open(tmp_path / "a", "wb") as raw:
        files.sync(raw.fileno(), tmp_path / "a", refuse)
    assert calls == ([51] if is_able else [51, "fsync"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be"])
def test_what_powershell_writes(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """URLs and requests in UTF-16 or with a byte order mark, with CRLF."""
    monkeypatch.setenv("COS_SECRET_ID", "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q")
    monkeypatch.setenv("COS_SECRET_KEY", "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz")
    (tmp_path / "keys.txt").write_text("a.jpg\n照片.jpg\n")
    assert main(["presign", str(tmp_path / "keys.txt"), *WHERE]) == 0
    urls = capsys.readouterr().out.replace("\n", "\r\n")
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    content = (mark + urls).encode(encoding)
    (tmp_path / "urls.txt").write_bytes(content)
    assert main(["verify", str(tmp_path / "urls.txt")]) == 0, capsys.readouterr().out
    for arguments in (["-"], ["-", "-"]):
        command = [sys.executable, "-m", "cossign", "verify", *arguments]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"cossign: 2 URLs: 2 valid, 0 invalid\n")
    (tmp_path / "request.txt").write_bytes((mark + urls.split("\r")[0]).encode(encoding))
    main(["explain", str(tmp_path / "request.txt")])
    said = capsys.readouterr()
    assert "NUL" not in said.out + said.err
    assert "The signature is right" in said.out


def test_what_cmd_leaves_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Single quotes, and patterns of files."""
    monkeypatch.setenv("COS_SECRET_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("COS_SECRET_KEY", "example-key")
    assert main(["url", "'cos://examplebucket-1250000000/a", "b.jpg'", *WHERE[2:]]) == 2
    said = capsys.readouterr()
    assert (said.out, "begins with a single quote: use double quotes in cmd.exe" in said.err) == ("", True)
    assert main(["url", "'a.jpg'", *WHERE]) == 0  # a key may have quotes
    url = capsys.readouterr().out
    for name in ("u1.txt", "u2.txt"):
        (tmp_path / name).write_text(url)
    assert main(["verify", str(tmp_path / "u*.txt")]) == 0
    assert capsys.readouterr().err == "cossign: 2 URLs: 2 valid, 0 invalid\n"
    (tmp_path / "u2.txt").write_text(url.replace("a.jpg", "b.jpg"))
    assert main(["verify", str(tmp_path / "u*.txt")]) == 1
    assert f"bad\t{tmp_path}/u2.txt, line 1\t" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "v*.txt")]) == 2
    assert "is neither a URL that begins with https:// nor a file" in capsys.readouterr().err


def test_keys_that_are_paths_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COS_SECRET_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("COS_SECRET_KEY", "example-key")
    (tmp_path / "keys.txt").write_text("photos\\a.jpg\nb.jpg\n")
    assert main(["presign", str(tmp_path / "keys.txt"), *WHERE]) == 0
    assert "1 with a backslash, such as" in capsys.readouterr().err


def test_what_notepad_puts_before_a_configuration_and_a_key(tmp_path: Path) -> None:
    from cossign.gateway import load
    from cossign.gateway.config import ConfigError
    from cossign.gateway.policy import _secret

    (tmp_path / "gateway.toml").write_text("\ufefflisten = 5\n", "utf-8")
    with pytest.raises(ConfigError, match=":1: listen: must be HOST:PORT"):
        load(tmp_path / "gateway.toml")
    (tmp_path / "key").write_text("\ufeffexample-key\r\n", "utf-8")
    assert _secret(None, str(tmp_path / "key"), "secret_key") == "example-key"


def test_a_system_without_forks() -> None:
    code = """
import logging, os, random, tempfile, threading
del os.register_at_fork
import pyarrow as pa
from cossign import Credentials, RefreshingCredentials, Signer
provider = RefreshingCredentials(lambda: Credentials("AKIDEXAMPLE", "example-key", "token", expires_at=4102444800))
signer = Signer(provider, bucket="b-1250000000", region="ap-beijing").at(1700000000)
assert pa.chunked_array(signer.presign_arrow(pa.array(["a"]))).to_pylist() == [signer.presign("a")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_gateway_without_unix_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from cossign.gateway import load
    from cossign.gateway.config import ConfigError

    (tmp_path / "gateway.toml").write_text('listen = "unix:/run/cossign.sock"\n')
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(ConfigError, match=r"listen: must be HOST:PORT, .*: this system has no Unix sockets"):
        load(tmp_path / "gateway.toml")


def test_utf_16_is_named_also_where_the_format_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COS_SECRET_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("COS_SECRET_KEY", "example-key")
    (tmp_path / "keys.txt").write_bytes("a.jpg\r\n".encode("utf-16"))
    assert main(["presign", str(tmp_path / "keys.txt"), "--from", "txt", *WHERE]) != 0
    assert "is UTF-16: use --encoding utf-16" in capsys.readouterr().err

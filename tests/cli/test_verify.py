"""`cossign verify`: URLs, files of URLs, stdin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cossign import Signer
from cossign.cli import main

pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.any_engine]


def test_files(
    signer: Signer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = signer.presign_many([f"k{number}" for number in range(20_000)])
    Path("urls.txt").write_text("\n".join(urls) + "\n")
    assert main(["verify", "urls.txt"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "cossign: 20,000 URLs: 20,000 valid, 0 invalid\n")
    urls[8192] = urls[8192][:-1]
    urls[19_999] = "no URL"
    Path("urls.txt").write_bytes("\r\n".join(urls).encode())
    assert main(["verify", "urls.txt"]) == 1
    shown = capsys.readouterr()
    first, second = shown.out.splitlines()
    assert first.startswith("bad\tline 8193\tSignatureMismatch: ")
    assert second.startswith("bad\tline 20000\tMalformedSignature: ")
    assert shown.err == "cossign: 20,000 URLs: 19,998 valid, 2 invalid\n"
    Path("more.txt").write_text(f"{urls[1]}\n\n{urls[2]}")
    monkeypatch.setattr("sys.stdin", io.StringIO(urls[3] + "\n"))
    assert main(["verify", "more.txt", urls[0], "-", "urls.txt"]) == 1
    shown = capsys.readouterr()
    lines = [line.split("\t")[:2] for line in shown.out.splitlines()]
    assert lines == [
        ["bad", "more.txt, line 2"], ["ok", "GET k0"], ["bad", "urls.txt, line 8193"], ["bad", "urls.txt, line 20000"],
    ]  # fmt: skip
    assert shown.err == "cossign: 20,005 URLs: 20,002 valid, 3 invalid\n"
    Path("empty.txt").write_text("")
    assert main(["verify", "empty.txt"]) == 0
    assert capsys.readouterr().err == "cossign: 0 URLs: 0 valid, 0 invalid\n"


def test_what_is_neither(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given, said in (
        ("gone.txt", "gone.txt is neither a URL that begins with https:// nor a file"),
        (str(tmp_path), "is a directory"),
    ):
        assert main(["verify", given]) == 2
        assert said in capsys.readouterr().err


def test_bytes_that_are_not_utf8(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "urls").write_bytes(b"https://h/\xff?q-signature=\xfe\n\x00\n")
    assert main(["verify", str(tmp_path / "urls")]) == 1
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["line 1", "line 2"]

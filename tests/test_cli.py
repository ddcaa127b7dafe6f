"""The command, as a user runs it: formats, exit statuses, streams, and that nothing half-written is left."""

from __future__ import annotations

import contextlib
import csv
import functools
import gzip
import hashlib
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import cossign
from cossign import Credentials, Signer
from cossign.cli import main
from tests.conftest import BUCKET, REGION, SECRET_KEY, peak_memory, scaled
from tests.waiting import PATIENCE, until

WHERE = ["-b", BUCKET, "-r", REGION]
START = ["--start", "1700000000"]
TIMES = (1_700_000_000, 1_700_000_900)
COMMAND = [sys.executable, "-m", "cossign"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, data: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments], input=data, capture_output=True, check=False, env={**os.environ, **environment}
    )


def presigned(signer: Signer, keys: list[str], **named: Any) -> list[str]:
    return signer.presign_many(keys, key_time=TIMES, **named)


def left() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


ODD = ["a b", "腾讯/云.txt", 'quo"te', "comma,here", "+%&=", "tail\\", "emoji😀"]


# --- presign: formats


def test_text(signer: Signer) -> None:
    Path("keys.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(ODD).encode())
    assert main(["presign", "keys.txt", "-o", "urls.txt", *WHERE, *START]) == 0
    assert Path("urls.txt").read_text().splitlines() == presigned(signer, ODD)
    assert left() == ["keys.txt", "urls.txt"]


def test_text_across_blocks(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cossign.batch.inputs.txt._BLOCK", 7)
    Path("keys.txt").write_text("\n".join(ODD) + "\n")
    assert main(["presign", "keys.txt", "-o", "urls.txt", *WHERE, *START]) == 0
    assert Path("urls.txt").read_text().splitlines() == presigned(signer, ODD)


def test_csv_to_csv_with_columns(signer: Signer) -> None:
    with open("in.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["size", "path", "type"], *[["1", key, f"t/{key}"] for key in [*ODD, "new\nline"]]])
    code = main(
        [
            "presign",
            "in.csv",
            "--key-column",
            "path",
            "--query-column",
            "response-content-type=type",
            "--query",
            "a=b",
            "-o",
            "out.csv.gz",
            *WHERE,
            *START,
        ]
    )
    assert code == 0
    with gzip.open("out.csv.gz", "rt", newline="") as file:
        rows = list(csv.reader(file))
    keys = [*ODD, "new\nline"]
    assert rows[0] == ["path", "url"]
    assert rows[1:] == [
        list(row)
        for row in zip(
            keys,
            presigned(signer, keys, query={"response-content-type": [f"t/{key}" for key in keys], "a": "b"}),
            strict=True,
        )
    ]


def test_jsonl(signer: Signer) -> None:
    Path("in.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps({"key": key}) + "\n" for key in ODD).encode()))
    assert (
        main(
            [
                "presign",
                "in.jsonl.gz",
                "-o",
                "out.ndjson",
                *WHERE,
                *START,
                "-X",
                "PUT",
                "-H",
                "x-cos-acl: private",
                "--expires",
                "15m",
            ]
        )
        == 0
    )
    rows = [json.loads(line) for line in Path("out.ndjson").read_text().splitlines()]
    assert rows == [
        {"key": key, "url": url}
        for key, url in zip(ODD, presigned(signer, ODD, method="PUT", headers={"x-cos-acl": "private"}), strict=True)
    ]


def inventory(keys: list[str], *, parts: int = 2, folder: str = "report", **changes: Any) -> Path:
    """An inventory report: a manifest and gzipped CSV files without a header."""
    root = Path(folder)
    root.mkdir(exist_ok=True)
    entries = []
    for number in range(parts):
        text = io.StringIO()
        csv.writer(text).writerows(["1250000000", BUCKET, quote(key, safe=""), "5"] for key in keys[number::parts])
        data = gzip.compress(text.getvalue().encode(), mtime=0)
        (root / f"{number}.csv.gz").write_bytes(data)
        entries.append(
            {
                "key": f"cos_bucket_inventory/1/b/{number}.csv.gz",
                "size": str(len(data)),
                "md5Checksum": hashlib.md5(data).hexdigest(),
            }
        )
    manifest = {
        **json.loads((Path(__file__).parent / "golden" / "inventory-manifest.json").read_text()),
        "filterObjectCount": str(len(keys)),
        "listObjectCount": "999",
        "fileSchema": "Appid, Bucket, Key, Size",
        "files": entries,
        **changes,
    }
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root / "manifest.json"


def test_inventory(signer: Signer) -> None:
    keys = [*ODD, "new\nline"]
    manifest = inventory(keys)
    assert main(["presign", str(manifest), "-o", "urls.txt", *WHERE, *START]) == 0
    assert Path("urls.txt").read_text().splitlines() == presigned(signer, keys[0::2] + keys[1::2])
    assert main(["presign", "report", "-o", "again.txt", *WHERE, *START]) == 0
    assert Path("again.txt").read_text() == Path("urls.txt").read_text()


def test_inventory_under_its_bucket_relative_path(signer: Signer) -> None:
    manifest = inventory(["a"], parts=1)
    data = Path("cos_bucket_inventory/1/b/0.csv.gz")
    data.parent.mkdir(parents=True)
    Path("report/0.csv.gz").rename(data)
    assert main(["presign", str(manifest), "-o", "urls.txt", *WHERE, *START]) == 0
    assert Path("urls.txt").read_text().splitlines() == presigned(signer, ["a"])


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"fileFormat": "XLS"}, "only CSV, PARQUET, ORC"), ({"fileSchema": "Appid, Bucket"}, "has no Key"), ({"files": 5}, "not of that form"), ({"files": [{"key": "a"}]}, "does not have 'size'"),
        ({"files": [{"key": "../../etc/passwd", "size": 1, "md5Checksum": ""}]}, "outside"), ({"files": [{"key": "gone.csv.gz", "size": 1, "md5Checksum": ""}]}, "is missing"),
    ],
)  # fmt: skip
def test_broken_manifests(changes: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = inventory(["a"], **changes)
    assert main(["presign", str(manifest), "-o", "urls.txt", *WHERE]) == 2
    assert said in capsys.readouterr().err
    assert left() == ["report"]


@pytest.mark.parametrize(
    "damage, said",
    [(b"{", "not JSON"), (b"{}", "does not have 'fileFormat'"), (b"[]", "not of that form"), (b"\xff", "not JSON")],
)
def test_no_manifest_at_all(damage: bytes, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("manifest.json").write_bytes(damage)
    assert main(["presign", "manifest.json", *WHERE]) == 2
    assert said in capsys.readouterr().err


def test_altered_and_truncated_data_files(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = inventory([f"key{index}" for index in range(10_000)], parts=1)
    file = Path("report/0.csv.gz")
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert main(["presign", str(manifest), "-o", "urls.txt", *WHERE]) == 2
    assert "another MD5" in capsys.readouterr().err
    file.write_bytes(data[:-1])
    assert main(["presign", str(manifest), "-o", "urls.txt", *WHERE]) == 2
    assert "bytes, not the manifest's" in capsys.readouterr().err
    entry = {"key": "0.csv.gz", "size": str(len(data) - 9), "md5Checksum": hashlib.md5(data[:-9]).hexdigest()}
    file.write_bytes(data[:-9])
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "files": [entry]}))
    assert main(["presign", str(manifest), "-o", "urls.txt", *WHERE]) == 2
    assert "not a whole gzip file" in capsys.readouterr().err
    assert left() == ["report"]


def test_directories_in_order_and_stdin(signer: Signer) -> None:
    Path("d").mkdir()
    Path("d/b.txt").write_text("2\n")
    Path("d/a.csv").write_text("key\n1\n")
    Path("d/.hidden").write_text("x")
    Path("c.txt").write_text("3\n")
    done = run("presign", "d", "c.txt", "-", *WHERE, *START, data=b"4\n")
    assert done.stdout.decode().splitlines() == presigned(signer, ["1", "2", "3", "4"])
    warning, line = done.stderr.decode().splitlines()
    assert warning == "cossign: warning: the URLs have expired already, at 2023-11-14 22:28:20 UTC"
    assert re.fullmatch(r"cossign: 4 URLs to stdout in \d+\.\d s", line)


@pytest.mark.parametrize(
    "name, data",
    [("a.txt", b""), ("a.csv", b""), ("a.csv", b"key\n"), ("a.jsonl", b""), ("a.txt.gz", gzip.compress(b"", mtime=0))],
)
def test_empty_inputs(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)
    assert main(["presign", name, "-o", "urls.txt", *WHERE]) == 0
    assert Path("urls.txt").read_bytes() == b""


# --- presign: bad input


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("k.txt", b"a\nb\n\xff\nc", "k.txt, row 3: key is not valid UTF-8"), ("k.txt", b"a\n\n..", "k.txt, row 3: key has a '.'"), ("k.txt", b"a\n/b", "row 2: key begins with"),
        ("k.csv", b"x,key\n1,a\n2\n", "k.csv, row 2: has 1 columns, not 2"), ("k.csv", b"key\n\xff\n", "k.csv, row 1: key is not valid UTF-8"),
        ("k.jsonl", b'{"key": "a"}\n{"key"\n', "k.jsonl, row 2: is not JSON"), ("k.jsonl", b'{"key": 5}\n', "row 1: key is not a string"),
        ("k.jsonl", b'{"key": "a"}\n[]\n', "row 2: is not a JSON object"), ("k.jsonl", b'{"a": 5}\n', "row 1: has no field 'key'"),
    ],
)  # fmt: skip
def test_bad_rows(name: str, data: bytes, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_bytes(data)
    assert main(["presign", name, "-o", "urls.txt", *WHERE]) == 1
    assert said in capsys.readouterr().err
    assert left() == [name]


def test_a_bad_row_far_down_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("k.txt").write_bytes(b"".join(b"key%d\n" % row if row != 123_456 else b"\xfe\n" for row in range(1, 200_000)))
    assert main(["presign", "k.txt", "-o", "urls.txt", *WHERE]) == 1
    assert "k.txt, row 123456: key is not valid UTF-8" in capsys.readouterr().err
    rows = [json.dumps({"key": "a"}) for _ in range(20_000)]
    rows[19_999] = "{}"
    Path("k.jsonl").write_text("\n".join(rows))
    assert main(["presign", "k.jsonl", "-o", "urls.txt", *WHERE]) == 1
    assert "k.jsonl, row 20000: has no field 'key'" in capsys.readouterr().err
    assert left() == ["k.jsonl", "k.txt"]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_bad_rows_of_several_files(threads: str, signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.txt").write_text("".join(f"{number}\n" for number in range(40_000)))
    Path("b.txt").write_bytes(b"")
    Path("c.txt").write_text("good\n\n/\n..\ngood")  # an empty line, and no end of the last one
    names = ["a.txt", "b.txt", "c.txt"]
    assert main(["presign", *names, "--threads", threads, "-o", "urls.txt", *WHERE]) == 1
    assert "cossign: c.txt, row 3: key begins with" in capsys.readouterr().err
    keys = [*map(str, range(40_000)), "good", "good"]
    for on_error, rows in (("skip", presigned(signer, keys)), ("null", presigned(signer, keys))):
        if on_error == "null":
            rows[-1:-1] = ["", ""]
        assert (
            main(["presign", *names, "--threads", threads, "-o", "urls.txt", "--on-error", on_error, *WHERE, *START])
            == 1
        )
        assert "2 of 40,004 rows are bad; the first: c.txt, row 3: key begins with" in capsys.readouterr().err
        assert Path("urls.txt").read_text() == "".join(f"{row}\n" for row in rows)
    assert main(["presign", "a.txt", "--threads", "0", *WHERE]) == 2
    assert "threads" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["txt", "csv", "jsonl"])
@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_on_error(form: str, on_error: str, signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("k.txt").write_bytes(b"a\n\xff\nb\n..\n")
    assert main(["presign", "k.txt", "-o", f"urls.{form}", "--on-error", on_error, *WHERE, *START]) == 1
    assert "2 of 4 rows are bad; the first: k.txt, row 2: key is not valid UTF-8" in capsys.readouterr().err
    a, b = presigned(signer, ["a", "b"])
    data = Path(f"urls.{form}").read_bytes()
    rows = [(b"a", a), (b"b", b)] if on_error == "skip" else [(b"a", a), (b"\xff", None), (b"b", b), (b"..", None)]
    if form == "txt":
        assert data.decode().split("\n")[:-1] == [url or "" for _, url in rows]
    elif form == "csv":
        assert data.splitlines() == [b"key,url", *[key + b"," + (url or "").encode() for key, url in rows]]
    else:
        assert [json.loads(line)["url"] for line in data.splitlines()] == [url for _, url in rows]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["presign", "gone.txt", *WHERE], "gone.txt does not exist"), (["presign", "k.xyz", *WHERE], "--from"), (["presign", "k.txt", "-o", "u.xyz", *WHERE], "--to"),
        (["presign", "k.csv", *WHERE], "no column 'key', only a, b"), (["presign", "k.csv", "--key-column", "a", "--query-column", "q=c", *WHERE], "no column 'c'"),
        (["presign", "k.txt", "--query-column", "q=c", *WHERE], "no columns"), (["presign", "k.txt", "-b", "x", "-r", REGION], "-b x must be <BucketName>-<APPID>"),
        (["presign", "k.txt"], "-b is missing: give <BucketName>-<APPID>"), (["presign", "k.txt", "-X", "G T", *WHERE], "method"), (["presign", "k.txt", "-o", "no/such/dir.txt", *WHERE], "No such file"),
        (["presign", "empty", *WHERE], "has no files"), (["presign", "bad.txt.gz", *WHERE], "not a whole gzip file"),
        (["presign", "inv/manifest.json", "--from", "inventory", "--query-column", "a=b", *WHERE], "no column 'b', only Appid"), (["presign", "nul.csv", *WHERE], "is not CSV"),
    ],
)  # fmt: skip
def test_unreadable_input_and_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in (
        ("k.txt", b"a"),
        ("k.xyz", b"a"),
        ("k.csv", b"a,b\n1,2\n"),
        ("bad.txt.gz", b"\0a\n"),
        ("nul.csv", b'key\n"' + b"x" * 40_000_000),
    ):
        Path(name).write_bytes(data)
    Path("empty").mkdir()
    inventory(["a"], folder="inv")
    before = left()
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
    assert left() == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["presign", "a", "--expires", "0"],
        ["presign", "a", "--expires", "5y"],
        ["presign", "a", "--query", "b"],
        ["fly"],
    ],
)
def test_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_presign_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Only --abort needs none."""
    assert main(["presign"]) == 2
    assert "FILE is missing: name a file of keys, or - for stdin" in capsys.readouterr().err


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COS_SECRET_ID")
    assert main(["presign", "-", *WHERE]) == 2
    assert "COS_SECRET_ID" in capsys.readouterr().err


# --- presign: streams and signals


def test_head_ends_quietly() -> None:
    Path("k.txt").write_bytes(b"".join(b"key%d\n" % row for row in range(300_000)))
    command = " ".join([*COMMAND, "presign", "k.txt", *WHERE])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -3; echo ${{PIPESTATUS[0]}}"], capture_output=True, check=True, text=True
    )
    assert len(done.stdout.splitlines()) == 4
    assert done.stdout.splitlines()[3] == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(number: signal.Signals, status: int) -> None:
    """In the middle of an input that has no end: the signal alone ends the job."""
    # A shell starts its background jobs with SIGINT ignored, and that is inherited: not here.
    restore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    rows = b"".join(b"key%d\n" % row for row in range(100_000))

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError):
            while True:
                os.write(process.stdin.fileno(), rows)  # type: ignore[union-attr]

    with subprocess.Popen(
        [*COMMAND, "presign", "-", "-o", "urls.txt", *WHERE], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=restore,
    ) as process:  # fmt: skip
        feeding = threading.Thread(target=feed)
        feeding.start()
        until(lambda: any(Path(name).stat().st_size for name in left()), "URLs in a file")
        process.send_signal(number)
        assert process.wait(PATIENCE) == status
        feeding.join(PATIENCE)
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    assert left() == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk() -> None:
    Path("k.txt").write_bytes(b"key\n" * 10_000)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, "presign", "k.txt", *WHERE], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_output_is_replaced_only_when_it_is_complete() -> None:
    Path("urls.txt").write_text("old")
    Path("k.txt").write_bytes(b"a\n\xff\n")
    assert main(["presign", "k.txt", "-o", "urls.txt", *WHERE]) == 1
    assert Path("urls.txt").read_text() == "old"
    Path("k.txt").write_bytes(b"a\n")
    assert main(["presign", "k.txt", "-o", "urls.txt", *WHERE]) == 0
    assert Path("urls.txt").read_text().startswith("https://")


def test_an_output_that_is_no_file_is_not_replaced(signer: Signer) -> None:
    Path("k.txt").write_text("a\nb\n")
    wanted = "".join(f"{url}\n" for url in presigned(signer, ["a", "b"]))
    os.mkfifo("pipe")
    Path("link.txt").symlink_to("real.txt")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        assert main(["presign", "k.txt", "-o", "pipe", "--to", "txt", *WHERE, *START]) == 0
        assert reader.communicate()[0] == wanted
    assert Path("pipe").is_fifo()
    assert main(["presign", "k.txt", "-o", "link.txt", *WHERE, *START]) == 0
    assert Path("link.txt").is_symlink()
    assert Path("real.txt").read_text() == wanted
    assert main(["presign", "k.txt", "-o", ".", "--to", "txt", *WHERE]) == 2


def test_an_input_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    Path("k.txt").write_text("a\n")
    Path("link.txt").symlink_to("k.txt")
    for names in (["k.txt", "k.txt"], ["k.txt", "link.txt"], [".", "k.txt"]):
        assert main(["presign", names[0], "-o", names[1], *WHERE]) == 2
        assert f"{names[1]} is one of the inputs" in capsys.readouterr().err
    assert Path("k.txt").read_text() == "a\n"


def on_a_terminal(*arguments: str) -> str:
    """What a command writes to a terminal on its stderr."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))  # not on Windows
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
    os.close(master)
    assert process.returncode == 0
    return seen.decode()


def test_progress_on_a_terminal_only() -> None:
    Path("k.txt").write_bytes(b"".join(b"key%d\n" % row for row in range(500_000)))
    seen = on_a_terminal("presign", "k.txt", "-o", "urls.txt", *WHERE)
    assert "rows/s" in seen
    assert "500k/500k" in seen
    line = r"cossign: 500,000 URLs to urls\.txt in \d+\.\d s\s*"
    assert re.fullmatch(line, on_a_terminal("presign", "k.txt", "-o", "urls.txt", "--no-progress", *WHERE))
    assert on_a_terminal("presign", "k.txt", "-o", "urls.txt", "--quiet", *WHERE) == ""
    assert re.fullmatch(line, run("presign", "k.txt", "-o", "urls.txt", *WHERE).stderr.decode())
    assert run("presign", "k.txt", "-o", "urls.txt", "-q", *WHERE).stderr == b""


def test_the_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    def line(*more: str, status: int = 0) -> str:
        assert main(["presign", "k.txt", *WHERE, *more]) == status
        return capsys.readouterr().err.splitlines()[-1]

    Path("k.txt").write_text("".join(f"{number:05d}\n" for number in range(2000)))
    seconds = r" in \d+\.\d s"
    assert re.fullmatch(r"cossign: 2,000 URLs to u.txt" + seconds, line("-o", "u.txt"))
    assert re.fullmatch(
        r"cossign: 1,000 URLs to stdout" + seconds + "; 1,000 rows left out by the filters", line("--include", "00")
    )
    parts = ["-o", "out", "--rows-per-part", "1500"]
    assert re.fullmatch(r"cossign: 2,000 URLs to out in 2 parts" + seconds, line(*parts))
    again = line(*parts, "--resume")
    assert re.fullmatch(r"cossign: 2,000 URLs \(2,000 of them before\) to out in 2 parts" + seconds, again)
    Path("k.txt").write_text("a\n..\n/b\n")
    said = line("-o", "u.txt", "--on-error", "skip", status=1)
    bad = r"; 2 of 3 rows are bad; the first: k\.txt, row 2: key .*; all are listed in u\.txt\.errors\.jsonl"
    assert re.fullmatch(r"cossign: 1 URL to u.txt" + seconds + bad, said)
    assert main(["presign", "k.txt", *WHERE, "-q", "-o", "u.txt", "--on-error", "skip"]) == 1
    assert " to u.txt in " not in capsys.readouterr().err


@scaled("rows", 2_000_000, 10_000_000)
def test_memory_does_not_grow_with_the_input(rows: int) -> None:
    """Many keys take at most 10 MiB more than a tenth of them."""
    peaks = []
    for count in (rows // 10, rows):
        with open("k.txt", "wb") as file:
            for start in range(0, count, 10_000):
                file.write(b"".join(b"photos/2026/11/23/img_%08d.jpg\n" % row for row in range(start, start + 10_000)))
        peaks.append(peak_memory(["presign", "k.txt", "-o", "urls.txt", *WHERE]))
        Path("urls.txt").unlink()
    assert peaks[1] - peaks[0] < 10, peaks


# --- authorization, verify, engines, help


def test_authorization(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "authorization",
                "PUT",
                "a b",
                *WHERE,
                *START,
                "-H",
                "Content-Type: text/plain",
                "--query",
                "acl=",
                "--expires",
                "2h",
            ]
        )
        == 0
    )
    expected = signer.authorization(
        "PUT", "a b", query={"acl": ""}, headers={"Content-Type": "text/plain"}, key_time=(TIMES[0], TIMES[0] + 7200)
    )
    assert capsys.readouterr().out == expected + "\n"


def test_round_to(credentials: Credentials, capsys: pytest.CaptureFixture[str]) -> None:
    signer = Signer(credentials, bucket=BUCKET, region=REGION)
    times = (1_699_999_800, 1_700_001_000)
    rounded = [*WHERE, *START, "--round-to", "5m"]
    Path("k.txt").write_text("a\n")
    Path("k.csv").write_text("key\na\n")
    assert main(["authorization", "GET", "a", *rounded]) == 0
    assert capsys.readouterr().out == signer.authorization("GET", "a", key_time=times) + "\n"
    for name in ("k.txt", "k.csv"):
        assert main(["presign", name, *rounded]) == 0
        assert capsys.readouterr().out == signer.presign("a", key_time=times) + "\n"
    assert main(["presign", "k.txt", "-o", "out/", *rounded, "--report", "report.json"]) == 0
    assert json.loads(Path("report.json").read_text())["key_time"] == list(times)
    assert main(["presign", "k.txt", "-o", "out/", *rounded[:-1], "6m", "--resume"]) == 2
    assert "what changed: --round-to (5m to 6m)" in capsys.readouterr().err


def test_verify(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    good, put = signer.presign("a"), signer.presign("b", method="PUT", headers={"x-cos-acl": "private"})
    assert main(["verify", good]) == 0
    assert capsys.readouterr().out.startswith("ok\tGET a\tuntil 20")
    assert main(["verify", put, "-X", "PUT", "-H", "x-cos-acl: private"]) == 0
    assert main(["verify", good, put]) == 1
    shown = capsys.readouterr()
    assert "bad\t" in shown.out
    assert "`cossign explain URL` finds the reason" in shown.err
    done = run("verify", "-", data=f"{good}\n{good}0\n{good}\n".encode())
    assert done.returncode == 1
    assert done.stdout.startswith(b"bad\tline 2\tSignatureMismatch")
    assert done.stderr == b"cossign: 3 URLs: 2 valid, 1 invalid\n"
    assert SECRET_KEY.encode() not in done.stdout + done.stderr


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--help"], "exit status"),
        (["presign", "--help"], "--on-error"),
        (["--version"], f"cossign {cossign.__version__}\nengine {cossign.engines()[0]}, of "),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert said in capsys.readouterr().out


def test_engines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines"]) == 0
    assert capsys.readouterr().out.split() == list(cossign.engines())
    assert main(["engines", "--why"]) == 0
    *reasons, cpu, build = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in reasons} >= set(cossign.engines())
    assert reasons[-1] == "hashlib   ready: it is Python's own"
    assert cpu.startswith("CPU       has ")
    assert build.startswith("build     by ")
    monkeypatch.setenv("COSSIGN_ENGINE", "hashlib")
    assert main(["engines", "--why"]) == 0
    assert "hashlib   signs: COSSIGN_ENGINE chooses it\n" in capsys.readouterr().out
    monkeypatch.setenv("COSSIGN_ENGINE", "no such engine")
    assert main(["engines", "--why"]) == 2
    said = capsys.readouterr()
    assert "signs: it is the fastest that is ready" in said.out
    assert "COSSIGN_ENGINE must be one of: auto, " in said.err
    monkeypatch.delenv("COSSIGN_ENGINE")
    monkeypatch.setattr("cossign._core.HAS_VECTORS", False)
    monkeypatch.setattr("cossign._core.CPU", ())
    assert main(["engines", "--why"]) == 0
    assert capsys.readouterr().out.endswith(
        ". Engines with vectors need Clang, or GCC 12 or newer, on x86-64 or aarch64\n"
    )


def test_version_says_which_engine_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COSSIGN_ENGINE", "hashlib")
    with pytest.raises(SystemExit):
        main(["--version"])
    assert "\nengine hashlib, of " in capsys.readouterr().out
    monkeypatch.setenv("COSSIGN_ENGINE", "fastest")
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 2
    assert "COSSIGN_ENGINE must be one of: auto, " in capsys.readouterr().err

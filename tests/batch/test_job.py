"""Jobs: every format in and out gives the same URLs, columns and filters do what they say, and what makes no sense is said."""

from __future__ import annotations

import contextlib
import csv
import datetime
import fnmatch
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cossign import Credentials, ParameterError, Signer
from cossign.batch import InputError, Job, Progress, Report, RowError, dry_run, run
from cossign.batch._rows import records_end
from cossign.batch.inputs import csv as csv_input
from cossign.batch.inputs import jsonl as jsonl_input
from cossign.batch.inputs.choice import ColumnChoice
from cossign.batch.inputs.filters import Condition, pattern
from cossign.batch.inputs.source import Position, Source
from cossign.batch.inputs.tables import Tables
from tests.batch.soak import make_inventory
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY, peak_memory, scaled

START = 1_700_000_000
TIMES = (START, START + 900)
ODD = ["a b", "腾讯/云.txt", 'quo"te', "comma,here", "+%&=", "tail\\", "emoji😀", "'", "x" * 850, "tab\there", "plain"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    monkeypatch.chdir(tmp_path)


def done(signer: Signer, inputs: Any, output: str, **named: Any) -> Report:
    return run(Job(inputs=inputs, output=output, signer=signer, start=START, **named))


def urls_of(signer: Signer, keys: Sequence[str], **named: Any) -> list[str]:
    return signer.presign_many(keys, key_time=TIMES, **named)


def unpacked(path: str) -> bytes:
    data = Path(path).read_bytes()
    if path.endswith(".gz"):
        return gzip.decompress(data)
    return pa.CompressedInputStream(pa.BufferReader(data), "zstd").read() if path.endswith(".zst") else data  # type: ignore[no-any-return]


def rows_of(path: str) -> list[dict[str, Any]]:
    """What a file of any format holds, as another program reads it."""
    name = path.removesuffix(".gz").removesuffix(".zst")
    data = unpacked(path)
    if name.endswith(".txt"):
        assert not data or data.endswith(b"\n")
        return [{"url": line or None} for line in data.decode().split("\n")[:-1]]
    if name.endswith(".csv"):
        return [
            {**row, "url": row["url"] or None}
            for row in csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline=""), strict=True)
        ]
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in data.splitlines()]
    table = pq.read_table(io.BytesIO(data)) if name.endswith(".parquet") else pa.ipc.open_file(data).read_all()
    table.validate(full=True)
    return table.to_pylist()  # type: ignore[no-any-return]


def write(path: str, keys: Sequence[str | bytes], **columns: Sequence[Any]) -> str:
    """Keys, and columns beside them, in a file of any format."""
    name = path.removesuffix(".gz").removesuffix(".zst")
    texts = [key.encode() if isinstance(key, str) else key for key in keys]
    if name.endswith(".txt"):
        data = b"".join(key + b"\n" for key in texts)
    elif name.endswith(".csv"):
        text = io.StringIO(newline="")
        rows = zip((key.decode("utf-8", "surrogateescape") for key in texts), *columns.values(), strict=True)
        csv.writer(text).writerows([["key", *columns], *rows])
        data = text.getvalue().encode("utf-8", "surrogateescape")
    elif name.endswith(".jsonl"):
        lines = [
            json.dumps({"key": key, **dict(zip(columns, row, strict=True))})
            for key, *row in zip(keys, *columns.values(), strict=True)
        ]
        data = "".join(line + "\n" for line in lines).encode()
    else:
        table = pa.table({"key": pa.array(keys), **{name: pa.array(column) for name, column in columns.items()}})
        sink = io.BytesIO()
        if name.endswith(".parquet"):
            pq.write_table(table, sink, row_group_size=len(keys) // 5 + 7)
        elif name.endswith(".orc"):
            pa.orc.write_table(table, sink)
        else:
            new = pa.ipc.new_stream if name.endswith(".arrows") else pa.ipc.new_file
            with new(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=4)
        data = sink.getvalue()
    if path.endswith(".gz"):
        data = gzip.compress(data)
    if path.endswith(".zst"):
        data = pa.compress(data, "zstd", asbytes=True)
    Path(path).write_bytes(data)
    return path


# --- Formats

INPUTS = (
    "k.txt",
    "k.txt.gz",
    "k.txt.zst",
    "k.csv",
    "k.csv.zst",
    "k.jsonl",
    "k.jsonl.gz",
    "k.parquet",
    "k.arrow",
    "k.arrows",
    "k.arrows.gz",
    "k.orc",
)
OUTPUTS = ("u.txt", "u.txt.gz", "u.txt.zst", "u.csv", "u.csv.gz", "u.jsonl", "u.jsonl.zst", "u.parquet", "u.arrow")


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_format(name: str, output: str, signer: Signer) -> None:
    keys = [*ODD, *(f"key{number}" for number in range(20))]
    if name.startswith(("k.csv", "k.jsonl", "k.parquet", "k.arrow", "k.orc")):
        keys.append("new\nline")
    report = done(signer, write(name, keys), output)
    assert [row["url"] for row in rows_of(output)] == urls_of(signer, keys)
    if not output.startswith("u.txt"):
        assert [row["key"] for row in rows_of(output)] == keys
        assert list(rows_of(output)[0]) == ["key", "url"]
    assert (report.rows, report.read, report.bad, report.parts) == (len(keys), len(keys), 0, 0)
    assert report.written == Path(output).stat().st_size
    assert sorted(os.listdir()) == sorted([name, output])


@pytest.mark.parametrize("output", OUTPUTS)
def test_large_inputs_are_read_in_order(output: str, signer: Signer) -> None:
    keys = [f"{number % 7 * 'long/'}key{number}" for number in range(40_000)]
    for name in ("k.txt", "k.csv", "k.jsonl", "k.parquet"):
        done(signer, write(name, keys), output)
        assert [row["url"] for row in rows_of(output)] == urls_of(signer, keys)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.jsonl", "k.parquet"])
def test_nothing_in(name: str, output: str, signer: Signer) -> None:
    """No rows give a file that can be read, of no rows; as do parts."""
    if name == "k.parquet":
        pq.write_table(pa.table({"key": pa.array([], pa.string())}), name)
    else:
        Path(name).write_bytes(b"")
    done(signer, name, output)
    assert rows_of(output) == []
    form = output.removeprefix("u.")
    assert done(signer, name, "parts", rows_per_part=5, output_format=form).parts == 1
    assert rows_of(f"parts/part-00000.{form}") == []


def test_threads_and_duplicates(signer: Signer) -> None:
    """However many threads sign, rows stay in order; a key that is there twice is signed twice."""
    keys = [f"key{number % 5000}" for number in range(50_000)]
    write("k.txt", keys)
    write("k.csv", keys)
    for name, threads in (("k.txt", 1), ("k.txt", 4), ("k.csv", 1), ("k.csv", 4)):
        assert done(signer, name, "u.txt", threads=threads).threads == threads
        assert [row["url"] for row in rows_of("u.txt")] == urls_of(signer, keys)
        done(signer, name, f"parts{name}{threads}", threads=threads, rows_per_part=9_999)
        assert (
            "".join(path.read_text() for path in sorted(Path(f"parts{name}{threads}").glob("part*")))
            == Path("u.txt").read_text()
        )
    with pytest.raises(ParameterError, match="threads"):
        done(signer, "k.txt", "u.txt", threads=0)


@pytest.mark.parametrize("form", ["txt", "csv.gz", "jsonl", "parquet", "arrow", "txt.zst"])
@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.parquet"])
def test_parts(form: str, name: str, signer: Signer) -> None:
    keys = [f"key{number}" for number in range(10_000)]
    write(name, keys)
    for rows in (1_000, 3_333, 9_999, 10_000, 10_001):
        report = done(signer, [name, name], f"out{rows}", rows_per_part=rows, output_format=form)
        parts = sorted(Path(f"out{rows}").glob("*"))
        shown = [path for path in parts if not path.name.startswith(".")]
        assert [path.name for path in shown] == [f"part-{number:05d}.{form}" for number in range(-(-20_000 // rows))]
        assert report.parts == len(shown) == -(-20_000 // rows)
        read = [rows_of(str(path)) for path in shown]
        assert {len(each) for each in read[:-1]} <= {rows}
        assert [row["url"] for each in read for row in each] == urls_of(signer, keys + keys)


def test_a_directory_is_an_output_by_its_name(signer: Signer) -> None:
    write("k.txt", ["a", "b"])
    assert done(signer, "k.txt", "new/", threads=3).parts == 1
    Path("old").mkdir()
    assert done(signer, "k.txt", "old", output_format="csv").parts == 1
    assert rows_of("old/part-00000.csv")[1]["key"] == "b"
    done(signer, "k.txt", "urls.csv.gz/")
    done(signer, "k.txt", "urls.parquet", rows_per_part=1)
    assert len(rows_of("urls.csv.gz/part-00000.csv.gz")) == 2
    assert len(rows_of("urls.parquet/part-00001.parquet")) == 1


def test_one_secret_signs_all(credentials: Credentials) -> None:
    """A provider is asked once."""

    class Provider:
        asked = 0

        def get(self) -> Credentials:
            self.asked += 1
            return Credentials(SECRET_ID, SECRET_KEY if self.asked == 1 else "another")

    for name in ("k.txt", "k.csv"):
        write(name, [f"key{number}" for number in range(50_000)])
        signer = Signer(Provider(), bucket=BUCKET, region=REGION)
        done(signer, name, "parts", rows_per_part=9000)
        text = "".join(path.read_text() for path in sorted(Path("parts").glob("part*")))
        first = Signer(credentials, bucket=BUCKET, region=REGION)
        assert text.splitlines() == urls_of(first, [f"key{number}" for number in range(50_000)])
        subprocess.run(["rm", "-r", "parts"], check=True)


def test_directories_and_patterns(signer: Signer) -> None:
    for name in ("in/b/2.txt", "in/a/1.csv", "in/a/_keys.txt", "in/.hidden.txt", "in/_SUCCESS", "in/.hidden/3.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(name, [name]) if not name.endswith("SUCCESS") else Path(name).write_text("")
    done(signer, "in", "u.csv")
    assert [row["key"] for row in rows_of("u.csv")] == ["in/a/1.csv", "in/a/_keys.txt", "in/b/2.txt"]
    done(signer, ["in/*/*.txt", "in/a/1.csv"], "u.csv")
    assert [row["key"] for row in rows_of("u.csv")] == ["in/a/_keys.txt", "in/b/2.txt", "in/a/1.csv"]
    with pytest.raises(InputError, match=r"in/\*\.xml matches no file"):
        done(signer, "in/*.xml", "u.csv")
    with pytest.raises(InputError, match=r"stdin .* once only"):
        done(signer, ["-", "-"], "u.csv")


def test_what_is_packed_is_known_by_its_first_bytes(signer: Signer) -> None:
    Path("gz.txt").write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    Path("zst.txt").write_bytes(pa.compress(b"c\n", "zstd", asbytes=True) + pa.compress(b"d\n", "zstd", asbytes=True))
    done(signer, ["gz.txt", "zst.txt"], "u.txt")
    assert [row["url"] for row in rows_of("u.txt")] == urls_of(signer, ["a", "b", "c", "d"])
    for name in ("gz.txt", "zst.txt"):
        Path(name).write_bytes(Path(name).read_bytes()[:-3])
        with pytest.raises(InputError, match=rf"{name} (is not|cannot be read)"):
            done(signer, name, "u.txt")


def test_stdin(signer: Signer) -> None:
    for name, more in (
        ("k.txt", []),
        ("k.csv.gz", ["--from", "csv"]),
        ("k.jsonl", ["--from", "jsonl"]),
        ("k.arrows", ["--from", "arrow"]),
    ):
        data = Path(write(name, ["a", "b"])).read_bytes()
        command = [
            sys.executable,
            "-m",
            "cossign",
            "presign",
            "-",
            "-b",
            BUCKET,
            "-r",
            REGION,
            "--start",
            str(START),
            *more,
        ]
        got = subprocess.run(command, input=data, capture_output=True, check=True)
        assert got.stdout.decode().splitlines() == urls_of(signer, ["a", "b"])
    got = subprocess.run(
        [*command[:-2], "--from", "parquet"],
        input=Path(write("k.parquet", ["a"])).read_bytes(),
        capture_output=True,
        check=False,
    )
    assert got.returncode == 2
    if b"cannot be read from a pipe" not in got.stderr:
        raise AssertionError(got.stderr)


def test_jobs_without_conditions_do_not_load_pyarrow_compute() -> None:
    """It takes a tenth of a short job's time, and pyarrow's cast loads it."""
    pq.write_table(pa.table({"key": ["a"], "owner": ["b"]}), "k.parquet")
    Path("k.csv").write_text("key,owner\na,b\n")
    Path("k.jsonl").write_text('{"key": "a", "owner": "b"}\n')
    make_inventory(Path("inventory"), ["a"])
    code = f"""
import sys
from cossign import Credentials, Signer
from cossign.batch import Job, run
signer = Signer(Credentials({SECRET_ID!r}, {SECRET_KEY!r}), bucket={BUCKET!r}, region={REGION!r})
for source in sys.argv[1:]:
    for form in ("txt", "csv", "jsonl", "parquet", "arrow"):
        others = [] if source == "inventory" or form == "txt" else ["owner"]
        assert run(Job(inputs=source, output=f"{{source}}.{{form}}", signer=signer, keep_columns=others)).rows == 1
        assert "pyarrow.compute" not in sys.modules, (source, form)
"""
    names = ["k.parquet", "k.csv", "k.jsonl", "inventory"]
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *names], check=True)


def test_without_pyarrow_text_is_text(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name
        for name in sys.modules
        if name.split(".")[0] == "pyarrow" or name.startswith(("cossign.batch.table", "cossign.batch.inputs.tables"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("k.txt.gz").write_bytes(gzip.compress(b"a\n"))
    assert done(signer, "k.txt.gz", "u.txt.gz").rows == 1
    Path("k.csv").write_text("key\na\n")
    Path("k.txt.zst").write_bytes(b"")
    for inputs, output, said in (
        ("k.csv", "u.txt", "every format except text to text"),
        ("k.txt.gz", "u.csv", "every format except text to text"),
        ("k.txt.zst", "u.txt", "k.txt.zst: zstd"),
        ("k.txt.gz", "u.txt.zst", "zstd"),
    ):
        with pytest.raises(InputError, match=rf"{said} needs pyarrow: pip install pyarrow"):
            done(signer, inputs, output)


# --- Columns


@pytest.mark.parametrize("name", ["k.csv", "k.jsonl", "k.parquet", "k.arrow", "k.orc"])
@pytest.mark.parametrize("output", ["u.txt", "u.csv", "u.jsonl", "u.parquet", "u.arrow"])
def test_what_differs_by_row(name: str, output: str, signer: Signer) -> None:
    keys = [f"key{number}" for number in range(1000)]
    types = [f"t/{number % 7} é" for number in range(1000)]
    numbers = list(range(1000))
    methods = ["GET", "PUT", "HEAD"] * 333 + ["DELETE"]
    expires = [60 + number % 5 for number in range(1000)]
    write(name, keys, type=types, version=numbers, method=methods, seconds=expires)
    done(
        signer, name, output, query={"a": "b"}, query_columns={"response-content-type": "type", "versionId": "version"},
        method_column="method", expires_column="seconds", headers={"x-cos-acl": "private"},
    )  # fmt: skip
    expected = [
        signer.presign(
            key, method=method, query={"a": "b", "response-content-type": kind, "versionId": number},
            headers={"x-cos-acl": "private"}, key_time=(START, START + seconds),
        )
        for key, kind, number, method, seconds in zip(keys, types, numbers, methods, expires, strict=True)
    ]  # fmt: skip
    assert [row["url"] for row in rows_of(output)] == expected


@pytest.mark.parametrize("name", ["k.csv", "k.jsonl", "k.parquet", "k.arrow"])
@pytest.mark.parametrize("output", ["u.csv", "u.jsonl", "u.parquet", "u.arrow"])
def test_columns_that_are_kept(name: str, output: str, signer: Signer) -> None:
    sizes, tags = [1, 22, 333], ["x,y", 'q"', "ü\n"]
    write(name, ["a", "b", "c"], size=sizes, tag=tags)
    urls = urls_of(signer, ["a", "b", "c"])
    typed = name != "k.csv" and output != "u.csv"
    expected = [
        {"key": key, "size": size if typed else str(size), "tag": tag, "url": url}
        for key, size, tag, url in zip("abc", sizes, tags, urls, strict=True)
    ]
    done(signer, name, output, keep_columns=["all"])
    assert rows_of(output) == expected
    done(signer, name, output, keep_columns=["tag"])
    assert rows_of(output) == [{"key": row["key"], "tag": row["tag"], "url": row["url"]} for row in expected]
    done(signer, name, output, keep_columns=["tag", "key"], url_column="signed")
    if output == "u.csv":
        assert Path(output).read_text().startswith("key,tag,signed\n")
    else:
        assert list(rows_of(output)[0]) == ["key", "tag", "signed"]
    with pytest.raises(ParameterError, match="'size' is a column of the input"):
        done(signer, name, output, keep_columns=["all"], url_column="size")
    with pytest.raises(InputError, match="has no column 'etag', only key, size, tag"):
        done(signer, name, output, keep_columns=["etag"])
    with pytest.raises(ParameterError, match="keep_columns cannot be in text"):
        done(signer, name, "u.txt", keep_columns=["tag"])


def test_types_stay(signer: Signer) -> None:
    table = pa.table(
        {
            "key": pa.array(["a", "b"]).dictionary_encode(), "when": pa.array([0, None], pa.timestamp("ms", "UTC")), "raw": pa.array([b"\xff", b""]),
            "many": pa.array([[1], []]), "more": pa.array([{"x": 1.5}, None]), "yes": [True, False],
        }
    )  # fmt: skip
    pq.write_table(table, "k.parquet")
    for output in ("u.parquet", "u.arrow"):
        done(signer, "k.parquet", output, keep_columns=["all"])
        kept = (
            pq.read_table(output) if output == "u.parquet" else pa.ipc.open_file(Path(output).read_bytes()).read_all()
        )
        assert kept.drop_columns(["url", "key"]).equals(table.drop_columns(["key"]))
        assert kept["key"].to_pylist() == ["a", "b"]
    done(signer, "k.parquet", "u.jsonl", keep_columns=["all"])
    first = rows_of("u.jsonl")[0]
    assert (first["when"], first["raw"], first["many"], first["more"], first["yes"]) == (
        "1970-01-01 00:00:00+00:00",
        "\ufffd",
        [1],
        {"x": 1.5},
        True,
    )
    with pytest.raises(InputError, match=r"the column 'many' holds list.*, which CSV cannot"):
        done(signer, "k.parquet", "u.csv", keep_columns=["all"])
    done(signer, "k.parquet", "u.csv", keep_columns=["when", "yes"])
    assert rows_of("u.csv")[0]["yes"] == "true"


def test_row_groups_are_large(signer: Signer) -> None:
    """A reader works on one row group after the other, and a footer lists them all."""
    rows = 150_000
    write("k.txt", [f"{number:08d}" for number in range(rows)])
    done(signer, "k.txt", "u.parquet")
    footer = pq.ParquetFile("u.parquet").metadata
    groups = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
    assert sum(groups) == rows
    assert len(groups) <= 3
    assert min(groups[:-1]) >= 65_536


@pytest.mark.parametrize("kind", ["timestamp", "dictionary"])
@pytest.mark.parametrize("rows", [3, 140_000], ids=["at the end", "in the middle"])
def test_a_column_that_parquet_cannot_hold(rows: int, kind: str, signer: Signer) -> None:
    """It may be refused when a row group is written, many rows later; the message names it all the same."""
    odd: pa.Array = pa.array([1 << 62, *range(rows - 1)], pa.timestamp("s"))  # pyarrow writes milliseconds
    if kind == "dictionary":
        odd = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array([["x"]]))
    table = pa.table({"key": [f"{number:08d}" for number in range(rows)], "a": range(rows), "odd": odd})
    with pa.ipc.new_file("k.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match=rf"the column 'odd' holds {kind}.*, which parquet cannot hold"):
        done(signer, "k.arrow", "u.parquet", keep_columns=["a", "odd"])
    assert not Path("u.parquet").exists()


def test_json_stays_as_it_was_written(signer: Signer) -> None:
    row = {
        "key": "a",
        "date": "2026-11-25",
        "when": "2026-11-25T01:02:03Z",
        "none": None,
        "in": {"at": "2026-01-01"},
        "list": ["2026-01-01"],
    }
    Path("k.jsonl").write_text(json.dumps(row) + "\n")
    done(signer, "k.jsonl", "u.jsonl", keep_columns=["all"])
    assert rows_of("u.jsonl") == [{**row, "url": urls_of(signer, ["a"])[0]}]


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.binary_view(), pa.large_string(), pa.large_binary(), pa.binary()]
)
def test_every_kind_of_text(kind: pa.DataType, signer: Signer) -> None:
    table = pa.table(
        {
            "key": pa.array(["a b", "é"]).cast(pa.binary()).cast(kind),
            "t": pa.array(["x", 'y"']).cast(pa.binary()).cast(kind),
        }
    )
    with pa.OSFile("k.arrow", "wb") as raw, pa.ipc.new_file(raw, table.schema) as writer:
        writer.write_table(table)
    for output in ("u.csv", "u.jsonl", "u.parquet", "u.arrow"):
        done(
            signer,
            "k.arrow",
            output,
            keep_columns=["all"],
            query_columns={"t": "t"},
            include=["a*", "?"],
            where=['t>"a"'],
        )
        got = rows_of(output)
        assert [row["url"] for row in got] == urls_of(signer, ["a b", "é"], query={"t": ["x", 'y"']})
        assert [row["key"] for row in got] == ["a b", "é"]
        assert [row["t"] for row in got] in (["x", 'y"'], [b"x", b'y"'])


def test_fields_of_structs(signer: Signer) -> None:
    meta = [{"key": "a", "of": {"size": 5}}, {"key": "b", "of": {"size": 7}}]
    pq.write_table(pa.table({"meta": meta, "n": [1, 2]}), "k.parquet")
    done(
        signer,
        "k.parquet",
        "u.csv",
        key_column="meta.key",
        keep_columns=["meta.of.size", "n"],
        where=["meta.of.size>5"],
    )
    assert rows_of("u.csv") == [{"meta.key": "b", "meta.of.size": "7", "n": "2", "url": urls_of(signer, ["b"])[0]}]
    for key, said in (
        ("meta", "not keys: name one of its fields, such as meta.key,"),
        ("n", "holds int64, not keys: name a column of strings"),
        ("meta.x", "no column 'meta.x'"),
    ):
        with pytest.raises(InputError, match=said):
            done(signer, "k.parquet", "u.csv", key_column=key)


@pytest.mark.parametrize("columns", [["path", "n"], None])
def test_csv_with_and_without_a_header(columns: list[str] | None, signer: Signer) -> None:
    Path("k.csv").write_bytes(
        b"\xef\xbb\xbf\r\n" + (b"" if columns else b'"path",n\r\n') + b'a,1\r\n"b\r\n""c",2\r\n\r\nd,3'
    )
    done(signer, "k.csv", "u.jsonl", key_column="path", columns=columns, keep_columns=["n"])
    assert [(row["path"], row["n"]) for row in rows_of("u.jsonl")] == [("a", "1"), ('b\r\n"c', "2"), ("d", "3")]
    Path("k.csv").write_text("key,key\na,b\n")
    with pytest.raises(InputError, match="has the column 'key' more than once: name them with `columns`"):
        done(signer, "k.csv", "u.jsonl")


def test_inputs_whose_columns_differ(signer: Signer) -> None:
    write("a.parquet", ["a"], n=[1])
    write("b.parquet", ["b"], n=["two"])
    write("c.parquet", ["c"], n=["3"])
    with pytest.raises(InputError, match="the inputs' columns differ"):
        done(signer, ["a.parquet", "b.parquet"], "u.parquet", keep_columns=["n"])
    assert not Path("u.parquet").exists()
    done(signer, ["a.parquet", "c.parquet"], "u.parquet", keep_columns=["n"])
    assert [row["n"] for row in rows_of("u.parquet")] == [1, 3]


# --- Choosing


@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.parquet", "inventory"])
def test_filters(name: str, signer: Signer) -> None:
    keys = ["photos/a.jpg", "photos/b.png", "photos/2026/c.jpg", "docs/d.pdf", "x[1].jpg", "photos.jpg"]
    make_inventory(Path(name), keys) if name == "inventory" else write(name, keys)

    def chosen(**named: Any) -> list[str]:
        report = done(signer, name, "u.jsonl", **named)
        found = [row["key"] for row in rows_of("u.jsonl")]
        assert (report.rows, report.read, report.complete) == (len(found), len(keys), True)
        return found

    assert chosen(include=["photos/"]) == keys[:3]
    assert chosen(include=["*.jpg"]) == [keys[0], keys[2], keys[4], keys[5]]
    assert chosen(include=["photos/", "docs/"], exclude=["*.png", "*/2026/*"]) == [keys[0], keys[3]]
    assert chosen(exclude=["photos"]) == [keys[3], keys[4]]
    assert chosen(include=["x[[]1].jpg"]) == [keys[4]]
    assert chosen(include=["photos/[!b]*"]) == [keys[0], keys[2]]
    assert chosen(include=["nothing"]) == []
    with pytest.raises(ParameterError, match=r"exclude has '\[z-a\]\*', which is not a pattern: .*z-a"):
        chosen(exclude=["a", "[z-a]*"])
    if name != "k.txt":
        with pytest.raises(InputError, match="no column 'etag'"):
            chosen(where=["etag=a"])


@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.jsonl", "k.parquet"])
def test_a_pattern_means_characters(name: str, signer: Signer) -> None:
    write(name, ["é", "ab", "云", "云云"])
    done(signer, name, "u.csv", include=["?", "[云]?"])
    assert [row["key"] for row in rows_of("u.csv")] == ["é", "云", "云云"]


@given(st.text("ab*?[]!.-/\\n\n", max_size=8), st.text("ab!.-/[]\\n\n", max_size=8))
def test_patterns_are_those_of_fnmatch(text: str, key: str) -> None:
    """Where there is no class; with one, fnmatch and a shell differ in what is no class."""
    import pyarrow.compute as pc

    if "[" in text and re.search(r"(.)-(.)", text):
        return  # a range, which may be none
    found = pc.match_substring_regex(pa.array([key]), pattern(text))[0].as_py()
    if not set(text) & set("*?["):
        assert found == key.startswith(text)
    elif "[" not in text:
        assert found == fnmatch.fnmatchcase(key, text)


@pytest.mark.parametrize(
    "condition, expected",
    [
        ("Size>=1000", "bc"), ("Size<1e3", "a"), ("Size=999", "a"), ("Size!=999", "bcd"), ("Size<=1000.0", "ab"), ("Class=STANDARD", "ac"), ('Class>"M"', "ac"),
        ("When<2026-01-01", "a"), ("When >= 2026-01-01T00:00:00Z", "bc"), ("Size>2", "abc"), ("Size>=1KB", "bc"), ("Size>=1kib", "c"), ("Size=0.1 MB", "c"),
        ("When=2026-01-01", "b"), ("When<=2026-01-01", "ab"), ("When>2026-01-01", "c"), ("When!=2026-01-01", "acd"), ("When>=2026-01-01T01:00:00+01:00", "bc"),
        ("When<2026-01-01 00:00", "a"), ("Latest=true", "ab"), ("Latest=FALSE", "c"), ("Latest!=true", "cd"), ("Class='STANDARD'", "ac"), ('Size="0999"', ""), ("Size=0999", "a"),
        ("Late=2026-01-01", "abc"), ("Late<=2026-01-01", "abc"), ("Late>2026-01-01", "d"), ("Late<2026-01-01", ""), ("Late!=2026-01-01", "d"), ("Late>=2026-01-02", "d"),
        ("Big=12345678901234567891", "b"), ("Big!=12345678901234567891", "acd"), ("Big>12345678901234567890", "bcd"), ("Class=", ""), ("When=2026-01-01T00:00:00.000000Z", "b"),
    ],
)  # fmt: skip
def test_conditions(condition: str, expected: str, signer: Signer) -> None:
    """Texts are compared as numbers where the value is one, and what is none never fits."""
    columns = {
        "Size": ["999", "1000", "100000", "?"], "Class": ["STANDARD", "ARCHIVE", "STANDARD", "ARCHIVE"],
        "When": ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-05-05", "2027"], "Latest": ["True", "true", "FALSE", ""],
        "Late": ["2026-01-01", "2026-01-01T15:00:00Z", "2026-01-01 23:59:59.999999", "2026-01-02T00:00:00Z"],
        "Big": ["12345678901234567890", "12345678901234567891", "12345678901234567892", "12345678901234567893"],
    }  # fmt: skip
    done(signer, write("k.csv", "abcd", **columns), "u.csv", where=[condition])
    assert [row["key"] for row in rows_of("u.csv")] == list(expected)


@pytest.mark.parametrize(
    "text",
    [
        "Size", "Size>=1,048,576", "Size>=1M", "Size>1000 and Size<2000", "Size<>7", "Size=>5", "Size==7", 'Class="a', "Size>many", "Size>", "Size>=2026-02-30", "Size>=2026-13-01",
        "Size>= 1 000", "Size=10kg or Size>5", "Size=1_000", "Size=5B", "When=2026-1-31", "When=31/01/2026", "=5", ">5", "", "Size=!5", "When>=yesterday", "When<01/02/2026 and Size>1", "IsLatest>true", "Size>=1.2.3",
    ],
)  # fmt: skip
def test_what_is_not_a_condition_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="write a condition as Size>=1MiB"):
        Condition.parse(text)


@given(st.text("Size<>=!\"' 0123456789.,-+eEkKMiBTZ:aor", max_size=16))
def test_conditions_are_understood_or_refused(text: str) -> None:
    with contextlib.suppress(ParameterError):
        condition = Condition.parse(text)
        for values in (["5", None, "x", "2026-01-01", "true"], [5, None], [1.5, None], [True, None], [START, None]):
            with contextlib.suppress(InputError):
                assert len(condition.holds(pa.array(values))) == len(values)
        day = datetime.date(2026, 1, 1)
        for value, kind in (
            (5, pa.timestamp("ns")),
            (day, pa.date32()),
            (day, pa.date64()),
            (5, pa.decimal128(9, 2)),
            (5, pa.uint8()),
        ):
            with contextlib.suppress(InputError):
                condition.holds(pa.array([value, None], kind))


def test_conditions_on_types(signer: Signer) -> None:
    table = {
        "key": ["a", "b", "c"],
        "n": [1, 2, None],
        "on": [True, False, None],
        "at": pa.array([0, 10**9, None], pa.timestamp("s")),
        "t": pa.array(["x", "y", None]).dictionary_encode(),
    }
    pq.write_table(pa.table(table), "k.parquet")
    for condition, expected in (
        ("n>1", "b"),
        ("n!=1", "b"),
        ("on=true", "a"),
        ("at>2000-01-01", "b"),
        ("t=x", "a"),
        ("n<=5", "ab"),
    ):
        done(signer, "k.parquet", "u.csv", where=[condition])
        assert "".join(row["key"] for row in rows_of("u.csv")) == expected
    done(signer, "k.parquet", "u.csv", where=["n<=5", "on=false"])
    assert [row["key"] for row in rows_of("u.csv")] == ["b"]
    with pytest.raises(InputError, match="the column n holds int64, and cannot be compared with 'many'"):
        done(signer, "k.parquet", "u.csv", where=["n=many"])


# --- Inventories


def test_inventories(signer: Signer) -> None:
    make_inventory(Path("inventory"), [*ODD, "%2F", "new\nline"])
    report = done(signer, "inventory", "u.jsonl", keep_columns=["Size"])
    assert [row["key"] for row in rows_of("u.jsonl")] == [*ODD, "%2F", "new\nline"]
    assert [row["Size"] for row in rows_of("u.jsonl")][:2] == ["3", "8"]
    assert report.complete
    for form in ("Parquet", "ORC"):
        folder = Path(form)
        folder.mkdir()
        suffix = form.lower()
        files = []
        for part, keys in enumerate((["a b", "腾讯"], ["%2F"])):
            name = write(f"{form}/{part}.{suffix}", keys, size=[part] * len(keys))
            import hashlib

            files.append(
                {
                    "key": f"x/{part}.{suffix}",
                    "size": os.path.getsize(name),
                    "md5Checksum": hashlib.md5(Path(name).read_bytes()).hexdigest(),
                }
            )
        (folder / "manifest.json").write_text(json.dumps({"fileFormat": form, "listObjectCount": "3", "files": files}))
        done(signer, form, "u.csv", where=["size<1"])
        assert [row["key"] for row in rows_of("u.csv")] == ["a b", "腾讯"]


@pytest.mark.parametrize("key", ["../data.csv.gz", "cos/../../data.csv.gz", "cos\\..\\data.csv.gz"])
def test_an_inventory_whose_files_are_not_its_own(signer: Signer, key: str) -> None:
    make_inventory(Path("inventory"), ["a"])
    manifest = json.loads(Path("inventory/manifest.json").read_text())
    manifest["files"][0]["key"] = key
    Path("inventory/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="lies outside of the report"):
        done(signer, "inventory", "urls.txt")


def test_the_instant_of_a_signer_that_has_one(signer: Signer) -> None:
    Path("keys.txt").write_text("a\n")
    report = run(Job(inputs="keys.txt", output="urls.txt", signer=signer.at(START)))
    assert report.key_time == TIMES
    assert Path("urls.txt").read_text().splitlines() == urls_of(signer, ["a"])


def test_an_inventory_with_fewer_rows_than_it_says(signer: Signer) -> None:
    make_inventory(Path("inventory"), ["a", "b", "c"])
    manifest = json.loads(Path("inventory/manifest.json").read_text())
    Path("inventory/manifest.json").write_text(json.dumps({**manifest, "listObjectCount": "5"}))
    report = done(signer, "inventory", "u.txt")
    assert not report.complete
    assert report.warnings[-1].startswith("the manifest lists 5 rows, and its data files have 3")
    assert len(rows_of("u.txt")) == 3
    Path("inventory/manifest.json").write_text(
        json.dumps({**manifest, "listObjectCount": "5", "filterObjectCount": "3"})
    )
    assert done(signer, "inventory", "u.txt").complete
    assert done(signer, "inventory", "parts/", rows_per_part=2).complete


# --- Bad rows


@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.parquet", "k.jsonl"])
@pytest.mark.parametrize("output", ["u.txt", "u.csv", "u.jsonl", "u.parquet", "u.arrow"])
def test_bad_rows(name: str, output: str, signer: Signer) -> None:
    keys: list[Any] = [f"key{number}" for number in range(20_000)]
    bad = {5: "." if name == "k.txt" else "", 6: "/slash", 12_345: "..", 19_999: "x" * 851}
    for row, key in bad.items():
        keys[row] = key
    write(name, keys)
    good = urls_of(signer, [key for row, key in enumerate(keys) if row not in bad])
    with pytest.raises(RowError, match=f"{name}, row 6: key (is empty|has a '.')"):
        done(signer, name, output)
    assert not Path(output).exists()
    report = done(signer, name, output, on_error="skip")
    assert [row["url"] for row in rows_of(output)] == good
    assert (report.rows, report.bad, report.errors) == (20_000, 4, f"{output}.errors.jsonl")
    assert report.first_error is not None
    assert re.match(f"{name}, row 6: key (is empty|has a '.')", report.first_error)
    listed = [json.loads(line) for line in Path(f"{output}.errors.jsonl").read_text().splitlines()]
    assert [(each["file"], each["row"], each["key"]) for each in listed] == [
        (name, row + 1, key) for row, key in bad.items()
    ]
    assert listed[2]["reason"].startswith("key has a '.' or '..' segment")
    done(signer, name, output, on_error="null", errors="elsewhere.jsonl")
    got = rows_of(output)
    assert [row for row, each in enumerate(got) if each["url"] is None] == list(bad)
    assert [each["url"] for each in got if each["url"] is not None] == good
    if output != "u.txt":
        assert [each["key"] for each in got] == keys
    assert Path("elsewhere.jsonl").read_bytes() == Path(f"{output}.errors.jsonl").read_bytes()
    done(signer, write("fine.txt", ["a"]), output)  # the list of an earlier job is this one's now
    assert Path(f"{output}.errors.jsonl").read_text() == ""


@pytest.mark.parametrize("output", ["u.txt", "u.csv", "u.jsonl", "u.parquet"])
def test_rows_that_cannot_be_read(output: str, signer: Signer) -> None:
    Path("k.csv").write_bytes(b"key,n\na,1\nb\n\n\xff,2\nc,\xff\nd,3,4\n")
    Path("k.jsonl").write_bytes(
        b'{"key":"a","n":"1"}\n{"key"\n\n{"n":"2"}\n{"key":7,"n":"2"}\n{"key":"\xff","n":""}\n{"key":"c","n":8}\n[]\n'
    )
    table = pa.table({"key": pa.array([b"a", None, b"\xff", b"b"], pa.binary()), "n": ["1", "2", None, "4"]})
    pq.write_table(table, "k.parquet")
    texts = table["key"].combine_chunks().view(pa.string())  # as some write it, Spark among them
    pq.write_table(table.set_column(0, "key", texts), "strings.parquet")
    for name, reasons in (
        ("k.csv", {2: ("b", "has 1 columns, not 2"), 3: ("\udcff", "key is not valid UTF-8"), 4: (None, "n is not valid UTF-8"), 5: ("d,3,4", "has 3 columns, not 2")}),
        ("k.jsonl", {2: ('{"key"', "is not JSON: Expecting"), 3: ('{"n":"2"}', "has no field 'key'"), 4: ('{"key":7,"n":"2"}', "key is not a string"), 5: ('{"key":"\udcff","n":""}', "key is not valid UTF-8"), 6: ('{"key":"c","n":8}', "n is not string, as it is in the first rows"), 7: ("[]", "is not a JSON object")}),
        ("k.parquet", {2: (None, "key is null"), 3: ("\udcff", "key is not valid UTF-8")}),
        ("strings.parquet", {2: (None, "key is null"), 3: ("\udcff", "key is not valid UTF-8")}),
    ):  # fmt: skip
        report = done(signer, name, output, on_error="null", query_columns={"n": "n"})
        listed = {
            each["row"]: each for each in map(json.loads, Path(f"{output}.errors.jsonl").read_text().splitlines())
        }
        assert set(listed) == set(reasons)
        for row, (key, reason) in reasons.items():
            assert listed[row]["reason"].startswith(reason)
            assert key is None or listed[row]["key"] == key
        got = rows_of(output)
        assert [row + 1 for row, each in enumerate(got) if each["url"] is None] == list(reasons)
        assert report.bad == len(reasons)
        assert got[0]["url"] == urls_of(signer, ["a"], query={"n": "1"})[0]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_keys_keep_their_type_beside_one_that_is_no_utf8(signer: Signer, kind: pa.DataType) -> None:
    """The first file decides on the output's columns; a bad key in a later one is of that type, too."""
    pq.write_table(pa.table({"key": pa.array(["a"], kind)}), "k1.parquet")
    binary = {"string": pa.binary(), "large_string": pa.large_binary(), "string_view": pa.binary_view()}[str(kind)]
    pq.write_table(pa.table({"key": pa.array([b"\xff", b"b"], binary).view(kind)}), "k2.parquet")
    done(signer, ["k1.parquet", "k2.parquet"], "u.parquet", on_error="null")
    table = pq.read_table("u.parquet")
    assert table["key"].to_pylist() == ["a", "\ufffd", "b"]
    assert table.schema.field("key").type == (pa.large_string() if kind == pa.large_string() else pa.string())


def test_a_kept_text_that_is_no_utf8(signer: Signer) -> None:
    odd = pa.array([b"\xff", b'"'], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"key": ["a", "b"], "x": odd}), "k.parquet")
    done(signer, "k.parquet", "u.jsonl", keep_columns=["x"])
    assert [row["x"] for row in rows_of("u.jsonl")] == ["\ufffd", '"']


def test_what_is_no_utf8_and_has_too_many_columns(signer: Signer) -> None:
    Path("k.csv").write_bytes(b"key\na\n\xd2\xff,b\nc\n")
    assert done(signer, "k.csv", "u.csv", on_error="null").bad == 1
    (listed,) = map(json.loads, Path("u.csv.errors.jsonl").read_text().splitlines())
    assert listed == {"file": "k.csv", "row": 2, "key": "\udcd2\udcff,b", "reason": "has 2 columns, not 1"}
    assert [row["key"] for row in rows_of("u.csv")] == ["a", "", "c"]


def test_bad_values_are_named(signer: Signer) -> None:
    write("k.csv", "abcd", seconds=["60", "x", "0", ""], method=["GET", "GET", "GET", "B D"])
    done(signer, "k.csv", "u.csv", expires_column="seconds", on_error="null")
    listed = [json.loads(line)["reason"] for line in Path("u.csv.errors.jsonl").read_text().splitlines()]
    assert len(listed) == 3
    assert all(reason.startswith("expires ") for reason in listed)
    done(signer, "k.csv", "u.csv", method_column="method", on_error="null")
    assert json.loads(Path("u.csv.errors.jsonl").read_text())["reason"].startswith("method ")


def test_bad_rows_of_filtered_inputs_keep_their_numbers(signer: Signer) -> None:
    write("k.csv", ["a", "b/..", "c", "b/.", "b/x"], n=range(5))
    done(signer, "k.csv", "u.csv", include=["b/"], on_error="skip")
    assert [row["key"] for row in rows_of("u.csv")] == ["b/x"]
    listed = [json.loads(line) for line in Path("u.csv.errors.jsonl").read_text().splitlines()]
    assert [(each["row"], each["key"]) for each in listed] == [(2, "b/.."), (4, "b/.")]


def test_bad_keys_are_listed_without_their_line_ends(signer: Signer) -> None:
    Path("k.txt").write_bytes(b"a\r\n/b\r\n..\n\r\n/c")
    done(signer, "k.txt", "u.txt", on_error="skip")
    listed = [json.loads(line) for line in Path("u.txt.errors.jsonl").read_text().splitlines()]
    assert [(each["row"], each["key"]) for each in listed] == [(2, "/b"), (3, ".."), (5, "/c")]


def test_keys_of_every_kind_of_byte(signer: Signer) -> None:
    """Text, Parquet and Arrow take the same keys, or name the same rows."""
    keys = [bytes([byte]) for byte in range(256) if byte not in (10, 13)]
    Path("k.txt").write_bytes(b"".join(key + b"\n" for key in keys))
    pq.write_table(pa.table({"key": pa.array(keys, pa.binary())}), "k.parquet")
    done(signer, "k.txt", "a.txt", on_error="null")
    done(signer, "k.parquet", "b.txt", on_error="null")
    assert Path("a.txt").read_bytes() == Path("b.txt").read_bytes()
    rows = [
        [each["row"] for each in map(json.loads, Path(f"{name}.txt.errors.jsonl").read_text().splitlines())]
        for name in "ab"
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 128


def test_a_line_of_ten_megabytes(signer: Signer) -> None:
    long = b"x" * 10_000_000
    Path("k.txt").write_bytes(b"a\n" + long + b"\nb")
    Path("k.jsonl").write_bytes(b'{"key": "a"}\n{"key": "' + long + b'"}\n{"key": "b"}')
    Path("k.csv").write_bytes(b"key,n\na,1\n" + long + b",2\nb,3")
    Path("bad.csv").write_bytes(b'key,n\na,1\n"' + long + b'"\nb,3\n')
    for name in ("k.txt", "k.jsonl", "k.csv", "bad.csv"):
        assert done(signer, name, "u.txt", on_error="skip").bad == 1
        assert [row["url"] for row in rows_of("u.txt")] == urls_of(signer, ["a", "b"])
    Path("k.csv").write_bytes(b'key\na\n"' + 4 * long)
    with pytest.raises(InputError, match=r"k\.csv is not CSV: a row is longer than 32 MiB: is a quote not closed"):
        done(signer, "k.csv", "u.txt", on_error="skip")


# --- Sense


def test_keys_that_are_hardly_meant_so(signer: Signer) -> None:
    for name in ("k.txt", "k.csv"):
        write(name, [f"photos%2F{number}.jpg" for number in range(2000)])
        warnings = done(signer, name, "u.txt").warnings
        found = [text for text in warnings if "percent-encoded" in text]
        assert len(found) == 1
        assert "'photos%2F0.jpg'" in found[0]
        write(name, [f"photos/{number}.jpg" for number in range(1989)] + ["50%25.txt"] * 11)
        assert not [text for text in done(signer, name, "u.txt").warnings if "encoded" in text]
        write(name, [f"a%20{number}" if number % 50 == 7 else f"a{number}" for number in range(2000)])
        assert [text for text in done(signer, name, "u.txt").warnings if "encoded" in text]
    loose = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, strict=False)
    write("k.txt", ["/a", "b/../c", "d"])
    (found_in_all,) = [text for text in done(loose, "k.txt", "u.txt").warnings if "leading" in text]
    assert "1 with a leading slash, such as '/a'; 1 with a . or .. segment, such as 'b/../c'" in found_in_all


def test_which_keys_are_looked_at() -> None:
    """The first block, the second, the fourth and so on; later one in 256: odd keys far down are found, too."""
    from cossign.batch.warnings import Oddities

    said: list[str] = []
    oddities = Oddities(said.append)
    looked = []
    for block in range(1, 1025):
        oddities.look(lambda block=block: looked.append(block) or [b"a%20b" if block > 700 else b"a"] * 900)  # type: ignore[misc]
    assert looked == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768]
    assert said[0].startswith("900 of 9900 sampled keys look like a mistake: 900 percent-encoded, such as 'a%20b'")


def test_credentials_that_end_before_the_urls_do(monkeypatch: pytest.MonkeyPatch) -> None:
    write("k.txt", ["a"])
    now = 1_700_000_000
    monkeypatch.setattr("time.time", lambda: now)
    for ends, warned in ((now + 60, True), (now + 5000, False), (None, False)):
        signer = Signer(Credentials(SECRET_ID, SECRET_KEY, "token", expires_at=ends), bucket=BUCKET, region=REGION)
        report = run(Job(inputs="k.txt", output="u.txt", signer=signer))
        assert bool(report.warnings) == warned
        if warned:
            assert report.warnings[0].startswith("the temporary credentials end at 20")


def test_urls_that_expire_before_the_job_ends(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    write("k.txt", [f"key{number}" for number in range(30_000)])
    assert run(Job(inputs="k.txt", output="u.txt", signer=signer)).warnings == []
    assert done(signer, "k.txt", "u.txt").warnings == ["the URLs have expired already, at 2023-11-14 22:28:20 UTC"]
    moments = iter(range(10**9))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))  # each look at the clock, a second later
    told: list[str] = []
    report = run(Job(inputs="k.txt", output="u.txt", signer=signer, expires=5), warn=told.append)
    assert told == report.warnings
    assert len([text for text in told if "choose a longer `expires`" in text]) == 1
    assert "seconds more" in told[0]


def test_dry_run(signer: Signer) -> None:
    keys = [f"key{number:08d}" for number in range(300_000)]
    make_inventory(Path("inventory"), keys)
    for name, exact in (
        ("k.txt", False),
        ("k.csv", False),
        ("k.jsonl", False),
        ("k.parquet", True),
        ("inventory", True),
    ):
        if name != "inventory":
            write(name, keys)
        for output in ("u.txt", "u.parquet", "-", "parts/"):
            estimate = dry_run(Job(inputs=name, output=output, signer=signer, start=START, expires=10**9))
            assert estimate.urls == signer.presign_many(keys[:3], key_time=(START, START + 10**9))
            assert estimate.exact == exact
            assert estimate.rows is not None
            assert estimate.written is not None
            assert estimate.seconds is not None
            assert abs(estimate.rows - 300_000) <= (0 if exact else 6_000)
            assert 0 < estimate.seconds < 100
            assert (estimate.free is None) == (output == "-")
            if output == "u.txt":
                assert abs(estimate.written / estimate.rows - 298) < 5
            assert not estimate.warnings
    assert sorted(os.listdir()) == ["inventory", "k.csv", "k.jsonl", "k.parquet", "k.txt"]
    estimate = dry_run(Job(inputs="k.csv", signer=signer, include=["*1"]))
    assert estimate.rows is not None
    assert abs(estimate.rows - 30_000) < 600
    write("k.txt", ["a", "/", "b"])
    estimate = dry_run(Job(inputs="k.txt", signer=signer))
    assert (estimate.rows, estimate.exact, estimate.bad) == (3, True, 1)
    assert "row 2: key begins with" in str(estimate.first_error)


# --- What is told


def test_progress_and_report(signer: Signer) -> None:
    write("k.txt", [f"key{number}" for number in range(200_000)])
    seen: list[Progress] = []
    job = Job(inputs=["k.txt"], output="out/", signer=signer, rows_per_part=50_000)
    report = run(job, progress=seen.append)
    last = seen[-1]
    assert (last.rows, last.total, last.bad, last.parts) == (200_000, 200_000, 0, 4)
    assert last.read == last.size == Path("k.txt").stat().st_size
    assert last.written == report.written == sum(path.stat().st_size for path in Path("out").glob("part-*"))
    assert [each.rows for each in seen] == sorted(each.rows for each in seen)
    assert report.seconds > 0
    report.write("report.json")
    told = json.loads(Path("report.json").read_text())
    assert told["rows"] == 200_000
    assert told["engine"] in __import__("cossign").engines()
    assert told["rows_per_second"] == round(200_000 / report.seconds)
    assert SECRET_KEY not in Path("report.json").read_text()


def test_the_command_has_it_all(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    from cossign.cli import main

    where = ["-b", BUCKET, "-r", REGION, "--start", str(START), "--expires", "10000d"]
    write(
        "k.csv",
        ["photos/a.jpg", "/b", "photos/c.txt"],
        size=[1, 2, 3],
        seconds=[60, 70, 80],
        verb=["GET", "PUT", "GET"],
    )
    assert main(["presign", "k.csv", "-o", "out", "--to", "csv.gz", "--rows-per-part", "1", "--keep-columns", "size", "--url-column", "signed", "--include", "photos/", "--exclude", "*.txt",
                 "--where", "size<9", "--method-column", "verb", "--expires-column", "seconds", "--report", "report.json", "--threads", "1", *where]) == 0  # fmt: skip
    with gzip.open("out/part-00000.csv.gz", "rt") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "key": "photos/a.jpg",
        "size": "1",
        "signed": signer.presign("photos/a.jpg", key_time=(START, START + 60)),
    }
    assert json.loads(Path("report.json").read_text())["output"] == "out"
    assert capsys.readouterr().err.startswith("cossign: 1 URL to out in 1 part in ")
    assert (
        main(["presign", "k.csv", "-o", "u.txt", "--no-strict", "--columns", "key,b,c,d", "--progress", "json", *where])
        == 0
    )
    lines = capsys.readouterr().err.splitlines()
    assert json.loads(lines[-1])["rows"] == 4
    assert [line[:17] for line in lines[:-1]] == ["cossign: warning:"]
    assert main(["presign", "k.csv", "--on-error", "null", "-o", "u.txt", *where]) == 1
    assert "1 of 3 rows are bad; the first: k.csv, row 2: key begins with" in capsys.readouterr().err
    assert main(["presign", "k.csv", "--dry-run", "-o", "u.txt", *where]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == signer.presign_many(
        ["photos/a.jpg", "photos/c.txt"], key_time=(START, START + 10000 * 86400)
    )
    assert "rows: 3; time: about" in told.err
    assert "free space for u.txt: " in told.err
    assert "bad: 1 of the first 3 rows; the first: k.csv, row 2" in told.err
    assert "or use --no-strict" in told.err
    make_inventory(Path("inventory"), ["a"])
    manifest = json.loads(Path("inventory/manifest.json").read_text())
    Path("inventory/manifest.json").write_text(json.dumps({**manifest, "listObjectCount": "2"}))
    assert main(["presign", "inventory", "-o", "u.txt", *where]) == 1
    assert "warning: the manifest lists 2 rows" in capsys.readouterr().err


# --- Memory


@pytest.mark.parametrize(
    "arguments",
    [
        ["k.parquet", "-o", "u.parquet"],
        ["k.csv", "-o", "out/", "--to", "csv.gz", "--keep-columns", "all"],
        ["inventory", "-o", "u.txt"],
    ],
)
@scaled("few", 200_000, 500_000)
def test_memory_stays_the_same(arguments: list[str], few: int) -> None:
    """Many rows take at most 250 MiB, and hardly more than few."""
    peaks = []
    for rows in (few, 4 * few):
        keys = [f"photos/2026/11/23/img_{row:08d}.jpg" for row in range(rows)]
        if arguments[0] == "inventory":
            subprocess.run(["rm", "-rf", "inventory"], check=True)
            make_inventory(Path("inventory"), keys)
        else:
            write(arguments[0], keys, size=range(rows))
        peaks.append(peak_memory(["presign", *arguments, "-b", BUCKET, "-r", REGION]))
        subprocess.run(["rm", "-rf", "out"], check=True)
    assert peaks[1] <= 250, peaks
    assert peaks[1] - peaks[0] <= 50, peaks


def test_tables_are_read_from_anywhere() -> None:
    """What is read from a place on is what is read from the beginning, without its first rows."""
    keys = [f"key{number}" for number in range(20_000)]
    for name in ("k.txt", "k.csv", "k.jsonl", "k.parquet", "k.arrow", "k.orc"):
        write(name, keys)
        tables = Tables(Source([name, name]))
        for at in (
            Position(0, 0),
            Position(0, 1),
            Position(0, 8192),
            Position(0, 19_999),
            Position(0, 20_000),
            Position(1, 0),
            Position(1, 7),
        ):
            got = [
                (batch.input, number, key)
                for batch in tables.batches(at)
                for number, key in zip(batch.numbers, batch.keys.to_pylist(), strict=True)
            ]
            assert len(got) == 40_000 - 20_000 * at.input - at.row
            assert got[0][:2] == ((at.input, at.row + 1) if at.row < 20_000 else (1, 1))
            assert got[0][2] in (keys[at.row % 20_000], keys[at.row % 20_000].encode())
            assert got[-1][:2] == (1, 20_000)


# --- Against Python's own readers

CELL = st.text('a",\n\r é', max_size=6)


@given(st.text('a",\n\r', max_size=40))
def test_blocks_end_where_rows_do(text: str) -> None:
    """However it is quoted: what is before the end, and what is behind it, are what both together are."""
    data = text.encode()
    end = records_end(data)
    whole = list(csv.reader(io.StringIO(text, newline="")))
    assert (
        list(csv.reader(io.StringIO(text[:end], newline=""))) + list(csv.reader(io.StringIO(text[end:], newline="")))
        == whole
    )
    assert len(list(csv.reader(io.StringIO(text[end:], newline="")))) <= 1


@given(st.lists(st.lists(CELL, min_size=1, max_size=3), max_size=30), st.integers(1, 5))
def test_csv_is_what_python_reads(rows: list[list[str]], few: int) -> None:
    """Quotes, line ends within them, rows with too few or too many columns, over the borders of blocks and batches."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["key", "n"], *rows])
    expected = list(csv.reader(io.StringIO(text.getvalue(), newline="")))[1:]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_input, "TABLE_ROWS", few)
        patch.setattr(csv_input, "_BYTES", 16)
        path = Path(folder, "k.csv")
        path.write_bytes(text.getvalue().encode())
        got: list[tuple[int, str | None, str | None]] = []
        for batch in Tables(Source([str(path)]), ColumnChoice("key", ["n"])).batches():
            for place, (number, key, n) in enumerate(
                zip(batch.numbers, batch.keys.to_pylist(), batch.table["n"].to_pylist(), strict=True)
            ):
                assert (place in batch.faults) == (key is None)
                got.append((number, None if key is None else key.decode(), n))
    assert got == [(number, *(row if len(row) == 2 else (None, None))) for number, row in enumerate(expected, 1)]


LINE = st.one_of(
    st.builds(lambda key, n: json.dumps({"key": key, "n": n}), CELL, CELL | st.none()),
    st.sampled_from(
        ['{"key": "a"', "[]", '{"n": "b"}', '{"key": 5}', '{"key": null}', '{"key": "a", "n": 5}', "", "  "]
    ),
    st.builds(lambda key: json.dumps({"key": key}), CELL),
)


@given(st.lists(LINE, max_size=30))
def test_json_lines_are_what_python_reads(lines: list[str]) -> None:
    lines = ['{"key": "a", "n": "b"}', *lines]
    expected = []
    for line in lines:
        with contextlib.suppress(ValueError):
            if not line.strip():
                continue
            row = None
            row = json.loads(line)
        good = isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("n", ""), str | None)
        expected.append((row["key"], row.get("n")) if good and row is not None else None)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl_input, "_BYTES", 64)
        path = Path(folder, "k.jsonl")
        path.write_text("\n".join(lines))
        got: list[tuple[str, str | None] | None] = []
        for batch in Tables(Source([str(path)]), ColumnChoice("key", ["n"])).batches():
            assert list(batch.numbers) == list(range(len(got) + 1, len(got) + 1 + len(batch.keys)))
            for place, (key, n) in enumerate(zip(batch.keys.to_pylist(), batch.table["n"].to_pylist(), strict=True)):
                assert (place in batch.faults) == (key is None)
                got.append(None if key is None else (key, n))
    assert got == expected

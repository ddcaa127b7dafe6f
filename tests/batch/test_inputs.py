"""Lists, tables and reports as people bring them: from public reports about jobs, and their relatives."""

from __future__ import annotations

import contextlib
import csv
import datetime
import decimal
import gzip
import hashlib
import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cossign import CosSignError, Credentials, ParameterError, Signer
from cossign.batch import InputError, Job, Progress, Report, RowError, dry_run, run
from cossign.batch._rows import Fields, Objects
from cossign.batch.inputs import csv as csv_inputs
from cossign.batch.inputs import jsonl as jsonl_inputs
from cossign.batch.inputs.choice import ColumnChoice
from cossign.batch.inputs.source import Input
from cossign.batch.inputs.tables import Tables
from cossign.batch.journal import FolderJournal
from cossign.cli import main
from tests.batch.test_job import write
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY

START = 1_700_000_000
TIMES = (START, START + 900)
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
WHERE = ["-b", BUCKET, "-r", REGION, "--start", str(START)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    monkeypatch.chdir(tmp_path)


def done(signer: Signer, inputs: Any, output: str = "urls.txt", **named: Any) -> Report:
    return run(Job(inputs=inputs, output=output, signer=signer, start=START, **named))


def keys_of(signer: Signer, output: str = "urls.txt") -> list[str]:
    """The keys of the URLs, each of which must be the Signer's."""
    urls = Path(output).read_text().splitlines()
    keys = [unquote(urlsplit(url).path)[1:] for url in urls]
    assert [
        url[: len(signed)] for url, signed in zip(urls, signer.presign_many(keys, key_time=TIMES), strict=True)
    ] == (signer.presign_many(keys, key_time=TIMES))
    return keys


def inventory(
    folder: str | Path,
    rows: Sequence[Sequence[str]],
    schema: str = "Appid, Bucket, Key, Size",
    data: str = ".",
    **more: Any,
) -> Path:
    """A report as COS writes it: the manifest in `folder`, its data file in `data`, seen from there."""
    folder = Path(folder)
    place = folder / data
    for each in (folder, place):
        each.mkdir(parents=True, exist_ok=True)
    body = gzip.compress("".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows).encode(), mtime=0)
    name = f"{hashlib.md5(body + str(folder).encode()).hexdigest()}.csv.gz"
    (place / name).write_bytes(body)
    manifest = {
        "sourceAppid": "1250000000", "sourceBucket": "examplebucket", "destinationAppid": "1250000000", "destinationBucket": "reports", "fileFormat": "CSV",
        "listObjectCount": str(len(rows)), "fileSchema": schema, "files": [{"key": f"prefix/1250000000/examplebucket/daily/data/{name}", "size": str(len(body)), "md5Checksum": hashlib.md5(body).hexdigest()}], **more,
    }  # fmt: skip
    text = json.dumps(manifest)
    (folder / "manifest.json").write_text(text)
    (folder / "manifest.checksum").write_text(hashlib.md5(text.encode()).hexdigest())
    return folder / "manifest.json"


def objects(*keys: str) -> list[list[str]]:
    return [["1250000000", "examplebucket", quote(key, safe=""), "5"] for key in keys]


# --- Reports where they lie


@pytest.mark.parametrize("data", [".", "data", "..", "../data"])
@pytest.mark.parametrize("named", ["manifest.json", "", "..", "../../.."])
def test_a_report_is_found_from_any_folder_above(data: str, named: str, signer: Signer) -> None:
    day = Path("reports/1250000000/examplebucket/daily/20260601")
    inventory(day, objects("a/b.jpg", "腾讯 1"), data=data)
    done(signer, str(day / named))
    assert keys_of(signer) == ["a/b.jpg", "腾讯 1"]


def test_a_report_at_its_whole_key(signer: Signer) -> None:
    """As coscli copies a whole bucket: data files under their own keys."""
    manifest = inventory("copy/prefix/1250000000/examplebucket/daily/20260601", objects("a"), data="../data")
    assert run(Job(inputs="copy", output="urls.txt", signer=signer, start=START)).rows == 1
    os.rename("copy/prefix/1250000000/examplebucket/daily/20260601/manifest.json", "copy/manifest.json")
    assert done(signer, "copy/manifest.json").rows == 1
    assert not manifest.exists()


def test_the_newest_of_several_days(signer: Signer) -> None:
    for day, key in (("20260601", "old"), ("20260603", "new"), ("20260602", "middle")):
        inventory(f"daily/{day}", objects(key), data="../data")
    report = done(signer, "daily")
    assert keys_of(signer) == ["new"]
    assert "daily holds 3 reports of one inventory: the newest, daily/20260603, is read" in report.warnings
    done(signer, "daily/20260602")
    assert keys_of(signer) == ["middle"]
    inventory("weekly/20260601", objects("other"))
    with pytest.raises(InputError, match="holds 4 inventory reports, of several inventories: name one"):
        done(signer, ".")


def test_s3_spells_it_otherwise(signer: Signer) -> None:
    manifest = inventory("2026-06-01T00-00Z", objects("a b"))
    told = json.loads(manifest.read_text())
    told["files"] = [
        {"MD5checksum" if name == "md5Checksum" else name: value for name, value in told["files"][0].items()}
    ]
    manifest.write_text(json.dumps(told))
    (manifest.parent / "manifest.checksum").unlink()
    done(signer, str(manifest))
    assert keys_of(signer) == ["a b"]


def test_a_manifest_that_was_altered(signer: Signer) -> None:
    manifest = inventory("day", objects("a"))
    manifest.write_text(manifest.read_text().replace("examplebucket", "otherbucket"))
    with pytest.raises(InputError, match=r"has another MD5 than manifest\.checksum says"):
        done(signer, "day")


def test_a_report_beside_a_list(signer: Signer) -> None:
    inventory("all/daily/20260601", objects("a"), data="../data")
    Path("all/more").mkdir()
    Path("all/more/keys.txt").write_text("b\n")
    with pytest.raises(InputError, match=r"holds an inventory report, and all/more/keys\.txt"):
        done(signer, "all")
    done(signer, ["all/daily", "all/more"])
    assert keys_of(signer) == ["a", "b"]


def test_other_manifests_are_no_reports(signer: Signer) -> None:
    """Web applications have a manifest.json, too."""
    Path("site").mkdir()
    Path("site/manifest.json").write_text('{"name": "app", "icons": []}')
    Path("keys").mkdir()
    Path("keys/site").symlink_to("../site")
    Path("keys/a.txt").write_text("a\n")
    assert done(signer, "keys").rows == 1
    with pytest.raises(InputError, match="is not an inventory's manifest: it does not have 'fileFormat'"):
        done(signer, "site")


def test_bucket_and_region_are_the_manifests(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = str(inventory("day", objects("a"), destinationBucket="qcs::cos:ap-beijing::reports-1250000000"))
    assert main(["presign", manifest, "-o", "urls.txt", "--start", str(START)]) == 0
    assert keys_of(signer) == ["a"]
    assert main(["presign", manifest, "-o", "urls.txt", "-b", "other-1250000000", "-r", REGION]) == 0
    assert f"the list is of the bucket {BUCKET}, and the URLs are for other-1250000000" in capsys.readouterr().err
    other = str(inventory("other", objects("a"), sourceBucket="another"))
    assert main(["presign", manifest, other, "-r", REGION]) == 2
    assert "use one job for each bucket" in capsys.readouterr().err
    nameless = str(inventory("nameless", objects("a"), sourceBucket=None))
    assert main(["presign", nameless, "-r", REGION]) == 2
    assert "-b is missing" in capsys.readouterr().err


# --- Versions

VERSIONS = [
    ["1250000000", "examplebucket", *row]
    for row in (("a.jpg", "v1", "True", "False"), ("a.jpg", "v0", "False", "False"), ("gone.jpg", "v9", "True", "True"), ("gone.jpg", "v8", "False", "False"))
]  # fmt: skip
SCHEMA = "Appid, Bucket, Key, VersionId, IsLatest, IsDeleteMarker"
NOTE = "2 rows are old versions of objects, and 1 are delete markers"


def test_versions(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = inventory("day", VERSIONS, SCHEMA)
    report = done(signer, "day")
    assert report.rows == 4
    assert any(NOTE in text for text in report.warnings)
    assert any(NOTE in text for text in dry_run(Job(inputs="day", signer=signer)).warnings)
    report = done(signer, "day", latest=True)
    assert keys_of(signer) == ["a.jpg"]
    assert (report.read, report.rows, report.counts, report.complete) == (
        4,
        1,
        {"old_versions": 2, "delete_markers": 1},
        True,
    )
    report = done(signer, "day", query_columns={"versionId": "VersionId"})
    assert [url.partition("&versionId=")[2] for url in Path("urls.txt").read_text().splitlines()] == [
        "v1",
        "v0",
        "v9",
        "v8",
    ]
    assert not any(NOTE in text for text in report.warnings)
    assert any("1 rows are delete markers, which cannot be read" in text for text in report.warnings)
    assert main(["presign", str(manifest), "--latest", "-o", "urls.txt", *WHERE]) == 0
    assert "1 URL to urls.txt" in (told := capsys.readouterr().err)
    assert "; 2 old versions left out; 1 delete marker left out" in told
    assert done(signer, "day", "out/", rows_per_part=1, latest=True).counts == report.counts
    assert done(signer, "day", "out/", rows_per_part=1, latest=True, resume=True).counts == report.counts


@pytest.mark.parametrize("condition", ["IsDeleteMarker=false", "IsDeleteMarker!=true", "IsDeleteMarker=False"])
def test_conditions_on_versions(condition: str, signer: Signer) -> None:
    inventory("day", VERSIONS, SCHEMA)
    assert done(signer, "day", where=[condition]).rows == 3


@pytest.mark.parametrize("name", ["k.csv", "k.jsonl", "k.parquet", "k.orc", "k.arrow"])
def test_versions_of_tables(name: str, signer: Signer) -> None:
    columns = {"is_latest": [True, False, True], "IsDeleteMarker": [False, False, True]}
    write(name, ["a", "b", "c"], **columns)
    assert done(signer, name, latest=True).rows == 1
    assert keys_of(signer) == ["a"]
    write(name, ["a", "b", "c"], IsLatest=["True", "maybe", "False"])
    with pytest.raises(InputError, match=f"{name}, row 2: IsLatest is 'maybe', neither true nor false"):
        done(signer, name, latest=True)
    write(name, ["a"], size=[1])
    with pytest.raises(InputError, match="has no column IsLatest, by which `latest` knows"):
        done(signer, name, latest=True)


def test_an_old_delete_marker_is_counted_once(signer: Signer) -> None:
    write(
        "k.csv",
        list("abcd"),
        IsLatest=["True", "False", "False", "True"],
        IsDeleteMarker=["False", "True", "False", "True"],
    )
    report = done(signer, "k.csv", latest=True)
    assert (report.rows, report.counts) == (1, {"old_versions": 1, "delete_markers": 2})


def test_a_report_without_versions_has_only_the_latest(signer: Signer) -> None:
    inventory("day", objects("a", "b"))
    assert done(signer, "day", latest=True).rows == 2


# --- Addresses


@pytest.mark.parametrize(
    "address, key",
    [
        (f"cos://{BUCKET}/a/b.jpg", "a/b.jpg"), (f"cos://{BUCKET}/a%20b", "a%20b"), (f"cos://{BUCKET}/头像 1.jpg", "头像 1.jpg"), (f"https://{HOST}/a%20b.jpg", "a b.jpg"), (f"http://{HOST}/a+b", "a+b"),
        (f"HTTPS://{HOST.upper()}/a", "a"), (f"https://{BUCKET}.cos.accelerate.myqcloud.com/a", "a"), (f"https://{HOST}/%E5%A4%B4", "头"), (f"https://{HOST}/a?q-sign-algorithm=sha1&q-ak=x&sign=y", "a"),
        (f"cos://{BUCKET}/https://example.com/a", "https://example.com/a"), ("mail:to", "mail:to"), ("c:/temp/a", "c:/temp/a"), ("a://", "a://"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.parquet"])
def test_addresses(address: str, key: str, name: str, signer: Signer) -> None:
    if address == "a://":
        with pytest.raises(InputError, match="is an address of another service"):
            done(signer, write(name, ["plain", address]))
        return
    done(signer, write(name, ["plain", address, "x/y"]))
    assert keys_of(signer) == ["plain", key, "x/y"]


@pytest.mark.parametrize(
    "address, said",
    [
        ("cos://other-1250000000/a", f"is of another bucket than {BUCKET}"), ("cos://examplebucket/a", "is of another bucket"), (f"cos://{BUCKET}/", "does not name an object"), (f"cos://{BUCKET}", "does not name an object"),
        ("https://example.com/a", f"is of another host than {HOST}"), (f"https://{HOST}/a?versionId=5", "has the parameter 'versionId'"), (f"https://{HOST}/a#b", "has a #"), (f"https://{HOST}/", "does not name an object"),
        ("s3://bucket/a", "is an address of another service"), ("oss://bucket/a", "another service"), ("file:///tmp/a", "another service"), (f"https://{HOST}.evil.com/a", "is of another host"), (f"https://user@{HOST}/a", "is of another host"),
    ],
)  # fmt: skip
def test_addresses_that_are_refused(address: str, said: str, signer: Signer) -> None:
    for name in ("k.txt", "k.jsonl"):
        with pytest.raises(InputError) as caught:
            done(signer, write(name, ["plain", "", address][:: 2 if name == "k.jsonl" else 1]))
        assert str(caught.value).startswith(f"{name}, row {3 if name == 'k.txt' else 2}: {address} ")
        assert said in str(caught.value)
    assert not Path("urls.txt").exists()


def test_addresses_without_a_bucket() -> None:
    """A Signer of a domain alone knows the addresses of its domain, and none with a bucket."""
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), domain="cdn.example.com")
    assert done(signer, write("k.txt", ["https://cdn.example.com/a%20b", "c"])).rows == 2
    assert Path("urls.txt").read_text().startswith("https://cdn.example.com/a%20b?")
    for address in ("cos://None/a", f"cos://{BUCKET}/a", "cos:///a"):
        with pytest.raises(InputError, match="names a bucket, and the URLs are for the domain alone"):
            done(signer, write("k.txt", [address]))


def test_an_address_with_a_line_end(signer: Signer) -> None:
    with pytest.raises(InputError, match="row 1: the key holds a line end"):
        done(signer, write("k.txt", [f"https://{HOST}/a%0Ab"]))
    with pytest.raises(InputError, match="row 1: the key holds a line end"):
        done(signer, write("k.txt", [f"https://{HOST}/a%0D"]))
    done(signer, write("k.csv", [f"https://{HOST}/a%0Ab"]))
    assert keys_of(signer) == ["a\nb"]


def test_keys_of_an_inventory_are_keys(signer: Signer) -> None:
    inventory("day", objects("https://example.com/a", "cos://other-1250000000/b", "c "))
    report = done(signer, "day")
    assert keys_of(signer) == ["https://example.com/a", "cos://other-1250000000/b", "c "]
    assert "blank_ends" not in report.counts


def test_many_addresses_over_the_borders_of_blocks(signer: Signer) -> None:
    keys = [f"photos/{number:07d}.jpg" for number in range(20_000)]
    lines = [f"cos://{BUCKET}/{key}" if number % 3 else key for number, key in enumerate(keys)]
    done(signer, write("k.txt", lines))
    assert keys_of(signer) == keys
    done(signer, "k.txt", "parts/", rows_per_part=7000)
    assert "".join(part.read_text() for part in sorted(Path("parts").glob("*.txt"))) == Path("urls.txt").read_text()


# --- Lines


@pytest.mark.parametrize("output", ["urls.txt", "urls.csv", "parts/"])
def test_empty_lines_are_left_out_and_counted(output: str, signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("k.txt").write_bytes(b"\n\na\r\n\r\n\nb\n..\n\n\n")
    parts = {"rows_per_part": 4} if output == "parts/" else {}
    report = done(signer, "k.txt", output, on_error="skip", **parts)
    assert (report.rows, report.bad, report.read, report.counts) == (3, 1, 3, {"empty_lines": 6})
    assert report.first_error is not None
    assert report.first_error.startswith("k.txt, row 7: ")
    if parts:
        with_parts = done(signer, "k.txt", output, on_error="skip", resume=True, **parts)
        assert (with_parts.read, with_parts.counts) == (3, {"empty_lines": 6})
    assert main(["presign", "k.txt", "--no-strict", *WHERE]) == 0
    assert "; 6 empty lines left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, data",
    [("k.csv", b"key,n\n\na,1\n\nb,2\n"), ("k.csv", b'key,n\r\n"a",1\r\n\r\n"b",2\r\n\r\n'), ("k.jsonl", b'{"key": "a"}\n\n{"key": "b"}\n  \n')],
)  # fmt: skip
def test_empty_lines_of_tables(name: str, data: bytes, signer: Signer) -> None:
    Path(name).write_bytes(data)
    report = done(signer, name)
    assert (report.rows, report.counts) == (2, {"empty_lines": 2})


def test_odd_ends_are_counted(signer: Signer) -> None:
    keys = ["a ", "b\t", "c", " d", "e\rf", "g "]
    report = done(signer, write("k.txt", keys))
    assert keys_of(signer) == keys
    assert report.counts == {"blank_ends": 3, "inner_crs": 1}
    assert "3 keys end with a space or a tab, which is signed as a part of the key" in report.warnings
    assert any(text.startswith("1 keys contain a CR") for text in report.warnings)
    assert done(signer, write("k.parquet", keys)).counts == report.counts


def test_plus_signs_of_inventories(signer: Signer) -> None:
    inventory("day", [["1250000000", "examplebucket", key, "5"] for key in ("a+b", "a%2Bb", "c")])
    report = done(signer, "day")
    assert keys_of(signer) == ["a+b", "a+b", "c"]
    assert report.counts == {"plus_signs": 1}
    assert any(text.startswith("1 keys of the inventory contain a plus sign") for text in report.warnings)


def test_odd_keys_of_lists_are_shown_by_kind(signer: Signer) -> None:
    report = done(signer, write("k.txt", ["a%20b", "a+b", "c"]))
    assert any("1 percent-encoded" in text and "1 with a plus sign" in text for text in report.warnings)


def test_counts_and_rows_are_the_same_after_a_resume(signer: Signer) -> None:
    """Whatever part of a batch of rows a part ends with."""
    Path("k.txt").write_text(
        "".join(f"key{row}{' ' * (row % 10 == 0)}\n" for row in range(100)) + "\n" * 5000 + "..\n" + "key\n" * 50
    )
    write(
        "k.csv",
        [f"key{row}{' ' * (row % 10 == 0)}" if row != 4502 else ".." for row in range(6000)],
        IsLatest=[row % 3 != 0 for row in range(6000)],
    )
    for name, output, named in (
        ("k.txt", "csv", {}),
        ("k.csv", "txt", {"latest": True}),
        ("k.csv", "jsonl", {"where": ["IsLatest=true"]}),
        ("k.txt", "txt", {}),
    ):
        job = Job(
            inputs=name, output="out/", signer=signer, start=START, rows_per_part=37, output_format=output, **named
        )
        with pytest.raises(CosSignError):
            run(job)
        resumed = run(replace(job, on_error="skip", resume=True))
        whole = run(replace(job, on_error="skip", output="whole/"))
        assert (resumed.read, resumed.rows, resumed.bad, resumed.counts) == (
            whole.read,
            whole.rows,
            whole.bad,
            whole.counts,
        )
        assert whole.read == (151 if name == "k.txt" else 6000)
        assert resumed.resumed
        for folder in ("out", "whole"):
            shutil.rmtree(folder)


# --- What is not a list of keys


@pytest.mark.parametrize(
    "data, said",
    [
        (b"a\rb\rc", "has 3 lines that end with CR alone"), (b"a\rb\r", "has 2 lines that end with CR alone"), (b"key,size\na,5\n", 'CSV: use `input_format="csv"`'), (b"size;key\n5;a\n", "`delimiter=';'`"),
        (b'"key","size"\n"a","5"\n', "CSV"), (b"key\tsize\na\t5\n", "CSV"), (b'{"key": "a"}\n', 'JSON: use `input_format="jsonl"`'), (b'[{"key": "a"}]', "JSON"), (b"[\n", "JSON"),
        (b"PAR1xxxx", 'Parquet: use `input_format="parquet"`'), (b"ARROW1\0\0", "Arrow"), (b"PK\x03\x04...", "a table of Excel"), ("a\nb\n".encode("utf-16"), 'UTF-16: use `encoding="utf-16"`'),
        (b"2026-01-02 03:04:05      12345 photos/a.jpg\n2026-01-02 03:04:05          7 b\n", "is a listing with dates and sizes"), (b"                           PRE x/\n2026-01-02 03:04:05 1 a\n", "listing"),
    ],
)  # fmt: skip
def test_what_is_not_a_list_of_keys(data: bytes, said: str, signer: Signer) -> None:
    for name in ("k.txt", "k.txt.gz"):
        Path(name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        for output in ("urls.txt", "urls.csv"):
            with pytest.raises(InputError) as caught:
                done(signer, name, output)
            assert said in str(caught.value)


def test_what_somebody_calls_text_is_text(signer: Signer) -> None:
    for data in ("key,size\na,5\n", '{"key": "a"}\n', "PAR1\n"):
        Path("k.txt").write_text(data)
        done(signer, "k.txt", input_format="txt")
        assert keys_of(signer) == data.splitlines()


def test_plain_text_with_the_suffix_of_gzip(signer: Signer) -> None:
    for name in ("k.csv.gz", "k.txt.zst"):
        Path(name).write_text("key\na\n")
        done(signer, name)
        assert keys_of(signer)[-1] == "a"
    Path("k.txt.gz").write_bytes(b"\0\1\2binary")
    with pytest.raises(InputError, match="is not a whole gzip file"):
        done(signer, "k.txt.gz")


@pytest.mark.parametrize("rows", [3, 60_000])
def test_json_over_several_lines_is_refused_at_any_size(rows: int, signer: Signer) -> None:
    entries = [{"key": f"photos/{number:08d}.jpg", "size": number} for number in range(rows)]
    for text, said in (
        ("\n".join(json.dumps(entry, indent=2) for entry in entries), "JSON objects over several lines: .*jq -c"),
        (json.dumps(entries), r"is a JSON array: .*jq -c '\.\[\]' k\.jsonl"),
        (json.dumps(entries, indent=1), "is a JSON array"),
        ("\n".join(json.dumps(entry).replace(", ", ",\n") for entry in entries), "over several lines"),
    ):
        Path("k.jsonl").write_text(text)
        with pytest.raises(InputError, match=said):
            done(signer, "k.jsonl")


def test_an_object_over_several_lines_further_down_is_a_bad_row(signer: Signer) -> None:
    Path("k.jsonl").write_text('{"key": "a"}\n{"key": "b"}\n{"key":\n"c"}\n{"key": "d"}\n')
    report = done(signer, "k.jsonl", on_error="skip")
    assert keys_of(signer) == ["a", "b", "d"]
    assert (report.rows, report.bad) == (5, 2)


@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.jsonl"])
def test_text_of_two_bytes_a_character(name: str, signer: Signer) -> None:
    write(name, ["a", "b"])
    text = Path(name).read_text()
    for encoding, said in (
        ("utf-16-le", "holds bytes of zero"),
        ("utf-16", 'UTF-16: use `encoding="utf-16"`'),
        ("utf-32", 'UTF-32: use `encoding="utf-32"`'),
    ):
        Path(name).write_bytes(text.encode(encoding))
        with pytest.raises(InputError) as caught:
            done(signer, name)
        assert said in str(caught.value)
        done(signer, name, encoding=encoding)
        assert keys_of(signer) == ["a", "b"]


# --- Delimiters and encodings


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ":", " "])
def test_delimiters(delimiter: str, signer: Signer) -> None:
    keys = ["a,b.jpg", f"x{delimiter}y", 'quo"te', "new\nline", "plain"]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(
        [["size", "key"], *([number, key] for number, key in enumerate(keys))]
    )
    Path("k.csv").write_text(text.getvalue(), newline="")
    assert done(signer, "k.csv", delimiter=delimiter, where=["size<9"]).rows == 5
    assert keys_of(signer) == keys


def test_tsv(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    Path("k.tsv").write_text("size\tkey\n5\ta,b\n")
    Path("k.tsv.gz").write_bytes(gzip.compress(b"size\tkey\n5\tc\n"))
    done(signer, ["k.tsv", "k.tsv.gz"])
    assert keys_of(signer) == ["a,b", "c"]
    Path("k.csv").write_text("size\tkey\n5\ta\n")
    for typed in ("\\t", "\t", "tab"):
        assert main(["presign", "k.csv", "--delimiter", typed, "-o", "urls.txt", *WHERE]) == 0
        assert keys_of(signer) == ["a"]
    for wrong in ("", ",,", '"', "\n", "；"):
        assert main(["presign", "k.csv", "--delimiter", wrong, *WHERE]) == 2
        assert "--delimiter must be one ASCII character" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["gbk", "big5", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "GB18030"])
@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.jsonl", "k.txt.gz"])
def test_encodings(name: str, encoding: str, signer: Signer) -> None:
    keys = [f"照片/{number}.jpg" for number in range(30_000)]
    write(name.removesuffix(".gz"), keys)
    data = Path(name.removesuffix(".gz")).read_text().encode(encoding)
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    done(signer, name, encoding=encoding)
    assert keys_of(signer) == keys


def test_encodings_that_do_not_fit(signer: Signer) -> None:
    Path("k.txt").write_bytes("照片\n".encode() + b"\xff\n")
    with pytest.raises(InputError, match=r"k\.txt is not gbk: .*choose another `encoding`"):
        done(signer, "k.txt", encoding="gbk")
    for wrong in ("klingon", "hex", "rot13", ""):
        with pytest.raises(ParameterError, match="is not known"):
            done(signer, "k.txt", encoding=wrong)
    with pytest.raises(ParameterError, match="is for text, CSV and JSON lines, and an input is parquet"):
        done(signer, write("k.parquet", ["a"]), encoding="gbk")
    Path("k.txt").write_bytes("照片\n".encode("gbk"))
    with pytest.raises(CosSignError, match="not valid UTF-8"):
        done(signer, "k.txt")


# --- Values


def test_an_empty_field_of_csv_is_no_parameter(signer: Signer) -> None:
    done(signer, write("k.csv", ["a", "b"], v=["x", ""]), query_columns={"versionId": "v"})
    assert [url.partition("&versionId=")[1] for url in Path("urls.txt").read_text().splitlines()] == ["&versionId=", ""]


def test_numbers_of_json(signer: Signer) -> None:
    pq.write_table(
        pa.table(
            {"key": list("abcd"), "x": [1.5, float("nan"), float("inf"), None], "l": [[1.0], [float("nan")], [], None]}
        ),
        "k.parquet",
    )
    done(signer, "k.parquet", "u.jsonl", keep_columns=["x", "l"])
    rows = [
        json.loads(line, parse_constant=lambda text: pytest.fail(text))
        for line in Path("u.jsonl").read_text().splitlines()
    ]
    assert [row["x"] for row in rows] == [1.5, None, None, None]
    assert [row["l"] for row in rows] == [[1.0], [None], [], None]


# --- Progress


def test_progress_of_columns_is_by_rows(signer: Signer) -> None:
    """The footer has the number of rows; where the file is read says nothing of how far the job is."""
    keys = [f"photos/{number:07d}.jpg" for number in range(400_000)]
    pq.write_table(pa.table({"key": keys}), "k.parquet", row_group_size=100_000)
    seen: list[Progress] = []
    run(Job(inputs="k.parquet", output="u.parquet", signer=signer), progress=seen.append)
    assert {each.total for each in seen} == {400_000}
    for each in seen[:-1]:
        assert each.size is not None
        assert abs(each.read / each.size - each.rows / 400_000) < 0.35


def test_numbers_of_json_stay_what_they_are(signer: Signer) -> None:
    rows = [{"key": f"k{row}", "n": 1, "pad": "x" * 40} for row in range(30_000)]
    Path("k.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"key": "last", "n": 1.9}, {"key": "..", "n": True}])
    )
    report = done(signer, "k.jsonl", where=["n=1"], on_error="skip")
    assert (report.rows, report.bad) == (30_002, 2)
    assert report.first_error == "k.jsonl, row 30001: n is not int64, as it is in the first rows"


def test_decimals_are_compared_as_decimals(signer: Signer) -> None:
    ids = [decimal.Decimal(9007199254740992), decimal.Decimal(9007199254740993)]
    pq.write_table(pa.table({"key": ["a", "b"], "id": pa.array(ids, pa.decimal128(20, 0))}), "k.parquet")
    for condition in ("id=9007199254740993", "id>9007199254740992", "id>9007199254740992.5"):
        done(signer, "k.parquet", where=[condition])
        assert keys_of(signer) == ["b"]


def test_instants_below_a_microsecond(signer: Signer) -> None:
    pq.write_table(
        pa.table({"key": ["a", "b"], "t": pa.array([1, 1_800_000_000_000_000_001], pa.timestamp("ns"))}), "k.parquet"
    )
    done(signer, "k.parquet", where=["t>=2026-01-01"])
    assert keys_of(signer) == ["b"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["-X", "PUT", "--method-column", "m"], "-X cannot be chosen beside --method-column"), (["--query", "v=1", "--query-column", "v=m"], "--query-column has the parameter 'v', as --query has"),
        (["--dry-run", "--report", "r.json"], "--report is not written by --dry-run"), (["--include", ""], "--include is empty"), (["--query-column", "v=f"], "--query-column cannot take the column 'f', which holds double"),
        (["--method-column", "f"], "--method-column cannot take the column 'f'"), (["--new-credentials"], "--new-credentials is for a job that is resumed"), (["--url-column", "u"], "--url-column cannot be in text"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"key": ["a"], "m": ["GET"], "f": [1.5]}), "k.parquet")
    assert main(["presign", "k.parquet", *words, *WHERE]) == 2
    assert said in capsys.readouterr().err


# --- Every type of Arrow

SIMPLE = [
    pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(20, 3), pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3),
    pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ns", "Asia/Shanghai"), pa.duration("us"), pa.month_day_nano_interval(),
]  # fmt: skip


@st.composite
def arrays(draw: st.DrawFn, depth: int = 2) -> pa.Array:
    """Three values of any type, of which the second is null."""
    how = (
        draw(st.sampled_from(["simple", "simple", "list", "struct", "dictionary", "run ends", "view", "union"]))
        if depth
        else "simple"
    )
    if how == "simple":
        kind = draw(st.sampled_from(SIMPLE))
        if pa.types.is_null(kind):
            return pa.nulls(3)
        if pa.types.is_date(kind):
            return pa.array([datetime.date(2026, 1, 1), None, datetime.date(1, 1, 1)], kind)
        bits = draw(st.binary(min_size=2, max_size=9).map(lambda data: data.hex()))
        for value in (
            int(bits, 16) % 100,
            bits,
            bits.encode(),
            bits.encode()[:3],
            True,
            1.5,
            pa.MonthDayNano([1, 2, 3]),
        ):
            with contextlib.suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
                return pa.array([value, None, value], kind)
        return pa.nulls(3, kind)
    inner = draw(arrays(depth - 1))
    if how == "dictionary" and not pa.types.is_dictionary(inner.type):  # which IPC files cannot hold
        with contextlib.suppress(pa.ArrowException):
            return pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int8()), inner[:1])
    if how == "run ends":
        return pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3], pa.int32()), inner)
    if how == "struct":
        return pa.StructArray.from_arrays([inner], names=["x"], mask=pa.array([False, True, False]))
    if how == "union":
        return pa.UnionArray.from_sparse(pa.array([0, 0, 0], pa.int8()), [inner])
    lists = pa.ListViewArray if how == "view" else pa.ListArray
    return (
        lists.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array([1, 1, 1], pa.int32()), inner)
        if how == "view"
        else lists.from_arrays([0, 1, 2, 3], inner)
    )


@settings(max_examples=150)
@given(
    arrays(),
    st.sampled_from(["txt", "csv", "jsonl", "parquet", "arrow"]),
    st.sampled_from(["key", "kept", "where", "query", "method", "latest"]),
)
def test_every_type_works_or_is_refused_by_name(values: pa.Array, form: str, use: str) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    columns = (
        {"key": values}
        if use == "key"
        else {"key": pa.array(["a", "b", "c"]), "IsLatest" if use == "latest" else "x": values}
    )
    table = pa.table(columns)
    uses: dict[str, dict[str, Any]] = {
        "key": {}, "kept": {"keep_columns": ["x"]}, "where": {"where": ["x=5"]}, "query": {"query_columns": {"v": "x"}}, "method": {"method_column": "x"}, "latest": {"latest": True},
    }  # fmt: skip
    named = uses[use]
    with pa.ipc.new_file("k.arrow", table.schema) as writer:
        writer.write_table(table)
    try:
        pa.ipc.open_file("k.arrow").read_all().validate(full=True)
    except pa.ArrowException:
        return  # pyarrow itself cannot read what it has written
    names = (
        ("IsLatest",)
        if use == "latest"
        else ("x", "key", "'v'", "keep_columns", "method", "has a column that cannot be read")
    )
    refusal = ""
    try:
        report = done(signer, "k.arrow", f"u.{form}", on_error="null", **named)
    except CosSignError as error:
        refusal = str(error)
    if refusal:
        assert any(name in refusal for name in names), refusal
        return
    assert report.rows <= 3
    if form in ("parquet", "arrow"):
        got = pq.read_table(f"u.{form}") if form == "parquet" else pa.ipc.open_file(f"u.{form}").read_all()
        assert len(got) == report.rows


@pytest.mark.parametrize("start", ['"key', 'key\n"a', "key\na,"])
def test_a_row_that_does_not_end_is_refused_in_time(start: str, signer: Signer) -> None:
    """What is read of it stays bounded, however large the file is."""
    with open("k.csv", "wb") as file:
        file.write(start.encode() + b"x" * (70 << 20))
        file.truncate(1 << 36)
    with pytest.raises(InputError, match=r"k\.csv is not CSV: a row is longer than 32 MiB: is a quote not closed"):
        done(signer, "k.csv")


def test_long_rows_are_taken_few_at_a_time(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their memory is bounded by bytes, too."""
    sizes: list[int] = []
    read = Tables.batches

    def noted(self: Tables, *arguments: Any, **named: Any) -> Any:
        for batch in read(self, *arguments, **named):
            sizes.append(len(batch.keys))
            yield batch

    monkeypatch.setattr(Tables, "batches", noted)
    rows = [(f"k{number}", "x" * 70_000) for number in range(300)]
    Path("k.csv").write_text("key,note\n" + "".join(f"{key},{note}\n" for key, note in rows))
    Path("k.jsonl").write_text("".join(f'{{"key": "{key}", "note": "{note}"}}\n' for key, note in rows))
    pq.write_table(
        pa.table(dict(zip(["key", "note"], zip(*rows, strict=True), strict=True))), "k.parquet", use_dictionary=False
    )
    for name in ("k.csv", "k.jsonl", "k.parquet"):
        sizes.clear()
        done(signer, name, "u.csv", keep_columns=["note"])
        assert sum(sizes) >= 300  # the estimate reads some, too
        assert max(sizes) <= 150, name


@pytest.mark.parametrize(
    "text, named, expected",
    [
        ('{"key":"a","n":1}\n{"key":"b","n":1.5}', {"keep_columns": ["n"]}, ["1.0", "1.5"]),
        ('{"key":"a"}\n{"key":"b","n":1}', {"keep_columns": ["n"]}, ["null", "1"]),
        ('{"key":"a"}\n{"key":"b","n":1}', {"keep_columns": ["all"]}, ["null", "1"]),
    ],
)
def test_a_last_line_without_an_end_decides_on_types(
    text: str, named: dict[str, Any], expected: list[str], signer: Signer
) -> None:
    Path("k.jsonl").write_text(text)
    done(signer, "k.jsonl", "u.jsonl", **named)
    assert re.findall(r'"n": ([^,]+)', Path("u.jsonl").read_text()) == expected


@pytest.mark.parametrize("lines", [['{"key":"c","x\\nb":"2"}', '{"key":"a","x\\\\nb":"1"}']])
@pytest.mark.parametrize("order", [1, -1])
def test_a_name_with_an_escape_is_not_taken_for_another(lines: list[str], order: int, signer: Signer) -> None:
    Path("k.jsonl").write_text("".join(f"{line}\n" for line in lines[::order]))
    done(signer, "k.jsonl", "u.csv", keep_columns=["x\\nb"])
    found = {row["key"]: row["x\\nb"] for row in csv.DictReader(io.StringIO(Path("u.csv").read_text()))}
    assert found == {"c": "", "a": "1"}


@pytest.mark.parametrize("name", ["k.csv", "k.jsonl"])
def test_empty_lines_at_the_end_make_no_part(name: str, signer: Signer) -> None:
    rows = 65_535
    start, row = ("key,num\n", "%06d,\n") if name == "k.csv" else ("", '{"key":"%06d"}\n')
    Path(name).write_text(start + "".join(row % number for number in range(rows)) + "\n" * (1 << 20))
    named: dict[str, Any] = {"rows_per_part": 13_107, "output_format": "csv"}
    report = done(signer, name, "whole/", **named)
    assert (report.parts, report.counts) == (5, {"empty_lines": 1 << 20})
    with pytest.MonkeyPatch.context() as patch:
        add = FolderJournal.add

        def and_end(journal: FolderJournal, index: int, part: Any) -> None:
            add(journal, index, part)
            if len(journal.parts) == 5:
                raise KeyboardInterrupt

        patch.setattr(FolderJournal, "add", and_end)
        with pytest.raises(KeyboardInterrupt):
            done(signer, name, "out/", **named)
    report = done(signer, name, "out/", resume=True, **named)
    assert (report.parts, report.counts) == (5, {"empty_lines": 1 << 20})


@pytest.mark.parametrize("name", ["k.csv", "k.jsonl", "k.parquet"])
@pytest.mark.parametrize("parameter", ["key_column", "url_column"])
def test_names_that_are_not_utf8_are_refused(name: str, parameter: str, signer: Signer) -> None:
    write(name, ["a"])
    with pytest.raises(ParameterError, match=f"{parameter} .*is not UTF-8"):
        done(signer, name, "u.jsonl", **{parameter: "\udcff"})


@pytest.mark.parametrize("row", ['{"key": "a"}\n', ""])
def test_empty_lines_before_the_first_row_are_counted(row: str, signer: Signer) -> None:
    Path("k.jsonl").write_text("\n" * (2 << 20) + row)
    assert done(signer, "k.jsonl").counts == {"empty_lines": 2 << 20}


def test_fields_longer_than_python_takes_by_default(signer: Signer) -> None:
    Path("k.csv").write_text("key,n\nb\n\na," + "x" * 200_000 + "\n")
    report = done(signer, "k.csv", "u.csv", on_error="skip")
    assert (report.rows, report.bad, report.counts) == (2, 1, {"empty_lines": 1})


def test_many_empty_lines_before_the_first_row(signer: Signer) -> None:
    Path("k.csv").write_bytes(b"\n" * (40 << 20) + b"a,1\n")
    done(signer, "k.csv", columns=["key", "n"])
    assert keys_of(signer) == ["a"]


# --- Rows that are as usual are read by C, odd ones by pyarrow and Python: both give the same


class OddFields:
    """Takes every row of CSV for odd."""

    rows = size = 0

    def __init__(self, places: Sequence[int], count: int, *others: Any, **named: Any) -> None:
        self.count = count

    def read(self, *arguments: Any) -> tuple[int, bool]:
        return 0, True

    def take(self) -> tuple[int, list[tuple[None, bytes, bytes]], dict[str, int]]:
        return 0, [(None, bytes(4), b"")] * self.count, {}


class OddObjects:
    """Takes every line of JSON for odd."""

    MOST = Objects.MOST
    rows = size = 0

    def __init__(self, names: Sequence[str], *others: Any, **named: Any) -> None:
        self.count = len(names)

    def read(self, *arguments: Any) -> tuple[int, bool]:
        return 0, True

    def take(self) -> tuple[int, list[tuple[bytes, bytes, bytes]], dict[str, int]]:
        return 0, [(b"", bytes(4), b"")] * self.count, {}


def rows_of(form: str, data: bytes, each: Input, choice: ColumnChoice, at_a_time: int, reader: type) -> Any:
    """All that a format's reader gives: rows, faults and counts; or why it refuses the file."""
    module: Any = csv_inputs if form == "csv" else jsonl_inputs
    rows: list[tuple[Any, ...]] = []
    faults, counts = {}, Counter[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Fields" if form == "csv" else "Objects", reader)
        patch.setattr(module, "_BYTES", at_a_time)
        try:
            for read in module.read(io.BytesIO(data), lambda share=None: None, each, choice, 0):
                assert read.first == len(rows)
                faults.update({len(rows) + place: fault for place, fault in read.faults.items()})
                counts.update(read.counts)
                texts = [
                    column.cast(pa.binary()) if pa.types.is_string(column.type) else column
                    for column in read.table.columns
                ]
                rows += zip(*(column.to_pylist() for column in texts), strict=True)
        except InputError as error:
            return str(error)
    if counts["lone_crs"]:
        counts["empty_lines"] = 0  # CRs between lines are empty lines to some
    return rows, faults, +counts


FIELDS = [
    b"a", b"b,", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"x\n", b"a,b\n", b'"q",z\n', b'"a\nb",c\n', b"%2F", b"+", "\u4f60".encode(), b"\xff", b'"a""b",1\n', b"\n\n", b" ", b"%", b'"a\rb",c\n',
]  # fmt: skip


@settings(max_examples=500)
@example(b"\r\n\r\n\r\na", False, (), 16)
@example(b"\n\n\r\n\ra", False, (), 16)
@given(
    st.lists(st.sampled_from(FIELDS), max_size=60).map(b"".join),
    st.booleans(),
    st.sampled_from([(), ("other",)]),
    st.sampled_from([16, 64, 1 << 18]),
)
def test_csv_by_c_and_by_pyarrow(data: bytes, is_inventory: bool, others: tuple[str, ...], at_a_time: int) -> None:
    each = Input("k.csv", "csv", fields=("key", "other") if is_inventory else None)
    data = data if is_inventory else b"key,other\n" + data
    choice = ColumnChoice("key", others)
    found = rows_of("csv", data, each, choice, at_a_time, Fields)
    expected = rows_of("csv", data, each, choice, 1 << 18, OddFields)
    assert found == expected or {type(found), type(expected)} == {str}


NAMES = ['"key"', '"size"', '"ok"', '"note"', '"\\u006bey"']
VALUES = [
    '"a"', '"a\\n\\u00e4"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\u4f60"', "1", "0", "1.5", "1e3", "12345678901234567890", "123456789012345678", "-7", "true", "false", "null", '[1,{"key":"x"}]', '{"key": 1}', '"x', "01", '"\x01"', "nul",
]  # fmt: skip
OBJECTS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4).map(
    lambda pairs: "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"
)
USUAL = st.builds('{{"key": "{}", "size": {}}}'.format, st.sampled_from("abc"), st.integers(-9, 9))
ODD_LINES = st.sampled_from(["", " ", "[]", "x", '{"key":"a"}x', '{"key":"a",}', '{"key":"a"', '{"key" "a"}'])


@settings(max_examples=500)
@given(
    st.lists(USUAL | OBJECTS | ODD_LINES, max_size=12).map("\n".join),
    st.sampled_from([(), ("size",), ("size", "ok")]),
    st.booleans(),
    st.sampled_from([64, 1 << 18]),
)
def test_json_lines_by_c_and_by_pyarrow(text: str, others: tuple[str, ...], has_all: bool, at_a_time: int) -> None:
    choice, each = ColumnChoice("key", others, all=has_all), Input("k.jsonl", "jsonl")
    found = rows_of("jsonl", text.encode(), each, choice, at_a_time, Objects)
    assert found == rows_of("jsonl", text.encode(), each, choice, at_a_time, OddObjects)


@pytest.mark.parametrize("output", ["u.jsonl", "u.csv"])
def test_integers_stay_integers_however_long(output: str, signer: Signer) -> None:
    numbers = [1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 0]
    Path("k.jsonl").write_text("".join(f'{{"key": "a", "id": {number}}}\n' for number in numbers))
    done(signer, "k.jsonl", output, keep_columns=["id"])
    assert re.findall(r'(?:"id": |^a,)(\d+)', Path(output).read_text(), re.M) == [str(number) for number in numbers]


@pytest.mark.parametrize("numbers", [[1.5, 2**53 + 1], [2**64, 1], [1, 2**64], [1] * 50_000 + [2**63], [-1, 2**63]])
def test_an_integer_that_would_be_rounded_is_refused(numbers: list[float], signer: Signer) -> None:
    Path("k.jsonl").write_text("".join(f'{{"key": "a", "id": {number}}}\n' for number in numbers))
    report = done(signer, "k.jsonl", "u.jsonl", keep_columns=["id"], on_error="skip")
    assert report.bad
    assert "id is " in str(report.first_error)


@pytest.mark.parametrize(
    "first, other, problem",
    [
        ([9223372036854775808], [1, None], None),
        ([{"x": 9223372036854775809}], [{"x": None}], None),
        ([1.5], [2, 9007199254740992], None),
        ([1.5], [18446744073709551616], "n is an integer that is too long for a double"),
        ([1.5], [0.1234567890123456, 1e300, -9007199254740992], None),
        ([1.5], [-9007199254740993], "n is an integer that is too long for a double"),
        ([1.5], [9007199254740993], "n is an integer that is too long for a double"),
        ([[1.5]], [[10**400]], "n is an integer that is too long for a double"),
        ({"x": {"y": [1.5]}}, {"x": {"y": [9007199254740993]}}, "n.x.y is an integer that is too long for a double"),
        ({"x": 1}, {"x": 2, "y": 3}, "n has the field 'y', which the first rows do not have"),
        ([{"x": [{"z": 1}]}], [{"x": [{"y": 3}]}], "n.x has the field 'y', which the first rows do not have"),
        ([1], [1.0], "n is not int64, as it is in the first rows"),
        ([1.5], [True], "n is not double, as it is in the first rows"),
        (["a"], "a", "n is not list<item: string>, as it is in the first rows"),
        ({"x": "a"}, {"x": 1}, "n.x is not string, as it is in the first rows"),
        (True, 1, "n is not bool, as it is in the first rows"),
        (1.5, True, "n is not double, as it is in the first rows"),
    ],
)
def test_nothing_of_a_kept_list_or_object_is_changed(
    first: Any, other: Any, problem: str | None, signer: Signer
) -> None:
    """The first megabyte decides on the type."""
    values = [first] * 60_000 + [other]
    Path("k.jsonl").write_text("".join(json.dumps({"key": "a", "n": value}) + "\n" for value in values))
    report = done(signer, "k.jsonl", "u.jsonl", keep_columns=["n"], on_error="skip")
    found = [json.loads(line)["n"] for line in Path("u.jsonl").read_text().splitlines()]
    assert found == (values if problem is None else values[:-1])
    assert report.bad == (problem is not None)
    assert (problem or "") in str(report.first_error)


def test_a_key_within_an_object_is_refused_with_a_way_out(signer: Signer) -> None:
    Path("k.jsonl").write_text('{"meta": {"key": "a"}}\n')
    with pytest.raises(RowError, match=r"row 1: has no field 'meta\.key': .* jq -c '\. \+ \{key: \.meta\.key\}'"):
        done(signer, "k.jsonl", "u.txt", key_column="meta.key")


# --- No option is ignored in silence

OPTIONS: list[dict[str, Any]] = [
    {"method": "PUT"}, {"method_column": "method"}, {"expires": 60}, {"expires_column": "seconds"}, {"query": {"a": "b"}}, {"query_columns": {"v": "method"}}, {"headers": {"x-a": "b"}},
    {"include": ["a"]}, {"exclude": ["a"]}, {"where": ["seconds>60"]}, {"key_column": "other"}, {"columns": ["a", "key", "c", "d", "e"]}, {"keep_columns": ["seconds"]}, {"url_column": "signed"}, {"rows_per_part": 2},
    {"resume": True}, {"new_credentials": True}, {"on_error": "skip"}, {"on_error": "fail"}, {"errors": "bad.jsonl"}, {"report": "report.json"}, {"input_format": "txt"}, {"output_format": "csv.gz"}, {"delimiter": ";"},
    {"encoding": "utf-16"}, {"latest": True}, {"start": START + 1},
]  # fmt: skip


def left(job: Job) -> dict[str, bytes]:
    """What a job leaves in the directory, beside what it reads."""
    before = set(os.listdir())
    run(job)
    found = {}
    for name in sorted(set(os.listdir()) - before):
        for path in sorted(Path(name).rglob("*")) if Path(name).is_dir() else [Path(name)]:
            if path.name != ".journal.jsonl":
                found[str(path)] = path.read_bytes()
            path.unlink()
        if Path(name).is_dir():
            Path(name).rmdir()
    return found


@pytest.mark.parametrize("output", ["u.txt", "u.csv", "u.jsonl", "u.parquet", "u.arrow", "parts/"])
@pytest.mark.parametrize("name", ["k.txt", "k.csv", "k.jsonl", "k.parquet", "k.arrow", "k.orc", "day"])
def test_no_option_is_ignored(name: str, output: str, signer: Signer) -> None:
    columns: dict[str, list[Any]] = {
        "method": ["PUT", "GET", "GET", "GET"],
        "seconds": [60, 61, 62, 63],
        "IsLatest": ["False", "True", "True", "True"],
        "other": list("wxyz"),
    }
    if name == "day":
        rows = [
            [key, "GET" if number else "PUT", str(60 + number), "True" if number else "False"]
            for number, key in enumerate(["a", "b", "%2Fbad", "c"])
        ]
        inventory("day", rows, "Key, method, seconds, IsLatest")
    else:
        write(name, ["a", "b", "/bad", "c"], **({} if name == "k.txt" else columns))
    job: dict[str, Any] = {"inputs": name, "output": output, "signer": signer, "start": START, "on_error": "null"}
    plain = left(Job(**job))
    assert plain
    for option in OPTIONS:
        try:
            changed = left(Job(**{**job, **option}))
        except CosSignError:
            continue
        # A directory that is not there is begun; and what the suffix says may be said again.
        is_same = option == {"resume": True} or (option, name) == ({"input_format": "txt"}, "k.txt")
        assert changed != plain or is_same, option

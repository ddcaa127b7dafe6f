"""Inputs that lie in a bucket: lists of its objects, files of keys, and inventory reports, against a server that judges."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cossign import Credentials, ParameterError, Signer
from cossign.batch import InputError, Job, Report, dry_run, run
from cossign.batch.inputs.listing import list_prefix
from cossign.cli import main
from cossign.errors import StorageError
from tests.batch.test_inputs import START, inventory, keys_of, objects
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, Fault, Request, Store, error_reply, running

pytest.importorskip("qcloud_cos")

REPORTS = "reports-1250000000"
KEYS = ["a", "a b+c", "photos/1.jpg", "photos/2026/ä.jpg", "photos/2026/头&?#.jpg", "photos/x'\"<>", "photos/{0}", "z/"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cossign.storage._pause", lambda attempt: 0.001)


@pytest.fixture
def server() -> Iterator[CosServer]:
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as found:
        found.buckets = {BUCKET: Store(), REPORTS: Store()}
        yield found
        assert found.refusals == []


@pytest.fixture
def store(server: CosServer) -> Store:
    found = server.buckets[BUCKET]
    found.objects.update({key.encode(): b"x" * place for place, key in enumerate(KEYS)})
    return found


@pytest.fixture
def reports(server: CosServer) -> Store:
    return server.buckets[REPORTS]


@pytest.fixture
def signer() -> Signer:
    return Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)


def done(server: CosServer, signer: Signer, inputs: Any, output: str = "urls.txt", **named: Any) -> Report:
    return run(Job(inputs=inputs, output=output, signer=signer, start=START, endpoint=server.url, **named))


def noted(report: Report) -> list[str]:
    """The warnings, but for that of the test's own time."""
    return [text for text in report.warnings if "expired already" not in text]


def upload(store: Store, folder: Path, prefix: str = "") -> None:
    """A folder's files as objects."""
    for path in folder.rglob("*"):
        if path.is_file():
            store.objects[f"{prefix}{path.relative_to(folder)}".encode()] = path.read_bytes()


# --- The list of a bucket


@pytest.mark.parametrize("page_size", [1000, 3, 1])
def test_the_objects_of_a_bucket(page_size: int, server: CosServer, store: Store, signer: Signer) -> None:
    store.page_size = page_size
    report = done(server, signer, f"cos://{BUCKET}/")
    assert (report.rows, report.read, report.bad, noted(report)) == (8, 8, 0, [])
    assert keys_of(signer) == sorted(KEYS)
    done(server, signer, f"cos://{BUCKET}/photos/2026/")
    assert keys_of(signer) == ["photos/2026/ä.jpg", "photos/2026/头&?#.jpg"]
    done(server, signer, f"cos://{BUCKET}/photos/2", input_format="list")
    assert keys_of(signer) == ["photos/2026/ä.jpg", "photos/2026/头&?#.jpg"]


def test_columns_and_filters(server: CosServer, store: Store, signer: Signer) -> None:
    done(server, signer, f"cos://{BUCKET}", "urls.parquet", keep_columns=["all"], where=["Size>=4"])
    table = pq.read_table("urls.parquet")
    assert table.column_names == ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass", "url"]
    assert table["Size"].to_pylist() == [4, 5, 6, 7]
    report = done(server, signer, f"cos://{BUCKET}/", include=["photos/*.jpg"], exclude=["photos/1"], latest=True)
    assert keys_of(signer) == ["photos/2026/ä.jpg", "photos/2026/头&?#.jpg"]
    assert (report.rows, report.read) == (2, 5)  # the list begins with what all patterns begin with
    assert server.requests[-1].target.count(b"prefix=photos%2F&") == 1
    done(server, signer, [f"cos://{BUCKET}/a", f"cos://{BUCKET}/z/"], input_format="list")
    assert keys_of(signer) == ["a", "a b+c", "z/"]


@pytest.mark.parametrize(
    "key, include, prefix",
    [
        ("", [], ""), ("a/", [], "a/"), ("", ["a/b", "a/c*"], "a/"), ("a/", ["b/"], "a/"), ("", ["*"], ""), ("", ["a[bc]"], "a"),
        ("", ["a?", "ab"], "a"), ("", ["abc", "ab"], "ab"), ("a/", ["a/"], "a/"), ("", ["头/1", "头/2"], "头/"),
    ],
)  # fmt: skip
def test_what_a_list_begins_with(key: str, include: list[str], prefix: str) -> None:
    assert list_prefix(key, include) == prefix


def test_nothing_is_there(server: CosServer, store: Store, signer: Signer) -> None:
    assert done(server, signer, f"cos://{BUCKET}/none/").rows == 0
    assert Path("urls.txt").read_bytes() == b""
    for path, named, message in (
        (f"cos://{BUCKET}/none.txt", {}, "none.txt is not there: to sign the objects whose keys begin so, end it"),
        (f"cos://{BUCKET}/photos/1.jpg", {}, "its suffix does not tell its format"),
        (f"cos://{BUCKET}/none/", {"input_format": "csv"}, "holds no objects"),
        (f"cos://{BUCKET}/", {"input_format": "inventory"}, r"holds no manifest\.json"),
        ("keys.txt", {"input_format": "list"}, "is not a bucket's list"),
    ):
        with pytest.raises(InputError, match=message):
            done(server, signer, path, **named)
    with pytest.raises(ParameterError, match="inputs must be <BucketName>-<APPID>"):
        done(server, signer, "cos://b/a")
    Path("keys.txt").write_text("a\n")
    with pytest.raises(ParameterError, match="endpoint is for inputs that lie in a bucket"):
        done(server, signer, "keys.txt")


def test_two_buckets_are_not_signed_at_once(server: CosServer, store: Store, signer: Signer) -> None:
    with pytest.raises(InputError, match="sign each alone"):
        done(server, signer, [f"cos://{BUCKET}/", f"cos://{REPORTS}/"])
    other = signer.replace(bucket="other-1250000000")
    report = done(server, other, f"cos://{BUCKET}/")
    assert noted(report) == [f"the list is of the bucket {BUCKET}, and the URLs are for other-1250000000"]


def test_a_job_of_a_list_goes_on_after_its_last_key(server: CosServer, store: Store, signer: Signer) -> None:
    """Also if objects came and went meanwhile."""
    store.page_size = 1
    whole = done(server, signer, f"cos://{BUCKET}/", "whole/", rows_per_part=2)
    assert (whole.rows, whole.parts) == (8, 4)
    server.plan = lambda request: (
        Fault(error_reply(403, "AccessDenied")) if b"marker=photos%2F2" in request.target else None
    )
    with pytest.raises(StorageError, match="name/cos:GetBucket"):
        done(server, signer, f"cos://{BUCKET}/", "part/", rows_per_part=2)
    assert sorted(path.name for path in Path("part").glob("part-*")) == ["part-00000.txt"]
    server.plan = None
    store.objects.update({b"0-before": b"", b"zz-after": b""})
    del store.objects[b"photos/{0}"]
    report = done(server, signer, f"cos://{BUCKET}/", "part/", rows_per_part=2, resume=True)
    signed = [key for path in sorted(Path("part").glob("part-*")) for key in keys_of(signer, str(path))]
    assert signed == [*(key for key in sorted(KEYS) if key != "photos/{0}"), "zz-after"]
    assert (report.rows, report.resumed, report.parts) == (8, 2, 4)
    assert done(server, signer, f"cos://{BUCKET}/", "part/", rows_per_part=2, resume=True).rows == 8
    Path("part/part-00001.txt").unlink()
    done(server, signer, f"cos://{BUCKET}/", "part/", rows_per_part=2, resume=True)
    assert keys_of(signer, "part/part-00001.txt") == sorted(KEYS)[2:4]


# --- Files of keys


@pytest.mark.parametrize(
    "name", ["keys.txt", "keys.txt.gz", "keys.csv", "keys.csv.gz", "keys.jsonl", "keys.parquet", "keys.arrow"]
)
def test_files_of_keys(name: str, server: CosServer, reports: Store, signer: Signer) -> None:
    keys = [f"photos/{number} ä.jpg" for number in range(50_000)]
    table = pa.table({"key": keys})
    sink = io.BytesIO()
    if ".parquet" in name:
        pq.write_table(table, sink, row_group_size=10_000)
    elif ".arrow" in name:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        rows = {"csv": ["key", *keys], "txt": keys, "jsonl": [json.dumps({"key": key}) for key in keys]}[
            name.split(".")[1]
        ]
        sink.write("".join(row + "\n" for row in rows).encode())
    body = sink.getvalue()
    reports.objects[f"lists/{name}".encode()] = gzip.compress(body) if name.endswith(".gz") else body
    report = done(server, signer, f"cos://{REPORTS}/lists/{name}")
    assert (report.rows, noted(report)) == (50_000, [])
    assert keys_of(signer)[::777] == keys[::777]
    assert dry_run(Job(inputs=f"cos://{REPORTS}/lists/{name}", signer=signer, endpoint=server.url)).rows == 50_000
    form = name.split(".")[1]
    server.plan = lambda request: Fault(sent=100_000) if len(server.requests) % 3 == 0 else None  # connections are cut
    assert done(server, signer, f"cos://{REPORTS}/lists/", input_format=form).rows == 50_000


def test_an_object_that_is_written_again(server: CosServer, reports: Store, signer: Signer) -> None:
    reports.objects[b"keys.txt"] = b"photos/a.jpg\n" * 500_000

    def plan(request: Request) -> Fault | None:
        if b"Range" in [name for name, _ in request.headers] or request.method == b"GET":
            reports.objects[b"keys.txt"] = b"photos/b.jpg\n" * 500_000
        return None

    server.plan = plan
    with pytest.raises(StorageError, match=r"keys\.txt: the object was written again"):
        done(server, signer, f"cos://{REPORTS}/keys.txt")
    assert not Path("urls.txt").exists()


def test_a_job_goes_on_if_the_objects_are_the_same(server: CosServer, reports: Store, signer: Signer) -> None:
    text = b"".join(b"%d\n" % number for number in range(10))
    address = f"cos://{REPORTS}/keys.txt"
    for content, message in ((text, ""), (text.replace(b"1", b"x"), "an input was moved or written since")):
        reports.objects[b"keys.txt"] = text
        output = f"{len(message)}/"
        assert done(server, signer, address, output, rows_per_part=4).parts == 3
        journal = Path(output, ".journal.jsonl")
        journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:3]))  # ended after two parts
        Path(output, "part-00002.txt").unlink()
        reports.objects[b"keys.txt"] = content
        if message:
            with pytest.raises(ParameterError, match=message):
                done(server, signer, address, output, rows_per_part=4, resume=True)
        else:
            report = done(server, signer, address, output, rows_per_part=4, resume=True)
            assert (report.rows, report.resumed) == (10, 8)


# --- Reports


def test_a_report_in_a_bucket(server: CosServer, store: Store, reports: Store, signer: Signer) -> None:
    for day in ("20260601", "20260602", "20260603"):
        inventory(f"prefix/1250000000/examplebucket/daily/{day}", objects(f"{day}.jpg", "a b.jpg"), data="../data")
    upload(reports, Path("prefix"), "prefix/")
    reports.objects.pop(b"prefix/1250000000/examplebucket/daily/20260603/manifest.json")  # it is not complete yet
    daily = f"cos://{REPORTS}/prefix/1250000000/examplebucket/daily/"
    for path, named in (
        (daily, {}), (f"{daily}20260602/", {}), (f"{daily}20260602/manifest.json", {}),
        (f"cos://{REPORTS}/", {"input_format": "inventory"}), (f"cos://{REPORTS}/prefix/", {"input_format": "inventory"}),
    ):  # fmt: skip
        report = done(server, signer, path, **named)
        assert keys_of(signer) == ["20260602.jpg", "a b.jpg"]
        assert (report.rows, report.complete, noted(report)) == (2, True, [])
    inventory("prefix/1250000000/examplebucket/weekly/20260601", objects("w"), data="../data")
    upload(reports, Path("prefix"), "prefix/")
    with pytest.raises(
        InputError, match="holds reports of 2 inventories: name one, such as cos://reports-1250000000/prefix"
    ):
        done(server, signer, f"cos://{REPORTS}/", input_format="inventory")


def test_a_report_that_is_not_whole(server: CosServer, reports: Store, signer: Signer) -> None:
    inventory("prefix/1250000000/examplebucket/daily/20260601", objects("a"), data="../data")
    upload(reports, Path("prefix"), "prefix/")
    folder = f"cos://{REPORTS}/prefix/1250000000/examplebucket/daily/20260601/"
    [data] = [key for key in reports.objects if key.endswith(b".csv.gz")]
    body = reports.objects[data]
    reports.objects[data] = body + b"x"
    with pytest.raises(InputError, match="bytes, not the manifest's"):
        done(server, signer, folder)
    reports.objects[data] = gzip.compress(b'"1250000000","examplebucket","b","5"\n', mtime=0)[: len(body)].ljust(
        len(body), b"\0"
    )
    with pytest.raises(InputError, match="has another MD5 than the manifest's"):
        done(server, signer, folder)
    del reports.objects[data]
    with pytest.raises(InputError, match=r"the data file cos://reports-1250000000/prefix/.*\.csv\.gz is missing"):
        done(server, signer, folder)
    manifest = next(key for key in reports.objects if key.endswith(b"manifest.json"))
    reports.objects[manifest] += b" "
    with pytest.raises(InputError, match=r"has another MD5 than manifest\.checksum says"):
        done(server, signer, folder)


# --- The command


def test_the_command(server: CosServer, store: Store, reports: Store, capfd: pytest.CaptureFixture[str]) -> None:
    where = ["-r", REGION, "--endpoint", server.url, "--start", str(START), "-o", "urls.txt"]
    assert main(["presign", f"cos://{BUCKET}/photos/", *where]) == 0
    assert len(Path("urls.txt").read_text().splitlines()) == 5
    assert f"https://{BUCKET}.cos.{REGION}" in Path("urls.txt").read_text()
    inventory("prefix/1250000000/examplebucket/daily/20260601", objects("a"), data="../data")
    upload(reports, Path("prefix"), "prefix/")
    capfd.readouterr()
    assert main(["presign", f"cos://{REPORTS}/prefix/1250000000/examplebucket/daily/", *where]) == 0
    assert f"https://{BUCKET}.cos.{REGION}" in Path("urls.txt").read_text()  # which the report lists
    assert "1 URL to urls.txt in " in capfd.readouterr().err
    assert main(["presign", f"cos://{BUCKET}/photos/1.jpg", *where]) == 2
    assert f"cossign url cos://{BUCKET}/photos/1.jpg signs it" in capfd.readouterr().err
    server.plan = lambda request: Fault(error_reply(403, "AccessDenied"))
    assert main(["presign", f"cos://{BUCKET}/photos/", *where]) == 2
    assert "need the permission name/cos:" in capfd.readouterr().err
    assert main(["presign", f"cos://{BUCKET}/photos/", "--endpoint", server.url, "-o", "urls.txt"]) == 2
    assert "-r is missing: give the region of examplebucket-1250000000" in capfd.readouterr().err

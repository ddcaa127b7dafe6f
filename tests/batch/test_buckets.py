"""Inputs that lie in a bucket: lists of its objects, files of keys, and inventory reports, against a server that judges."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cossign import Credentials, ParameterError, Signer
from cossign.batch import InputError, Job, Report, RowError, abort, dry_run, run
from cossign.batch.inputs.listing import list_prefix
from cossign.batch.plan import Plan
from cossign.cli import main
from cossign.errors import StorageError
from tests.batch import bucket_soak
from tests.batch.test_inputs import START, inventory, keys_of, objects
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY, scaled
from tests.cos_server import CosServer, Fault, Request, Store, Version, error_reply, running

pytest.importorskip("qcloud_cos")

REPORTS = "reports-1250000000"
KEYS = ["a", "a b+c", "photos/1.jpg", "photos/2026/ä.jpg", "photos/2026/头&?#.jpg", "photos/x'\"<>", "photos/{0}", "z/"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cossign.storage._pause", lambda attempt: 0.001)
    monkeypatch.setattr("cossign.batch.table_signing._LIST_ROWS", 2)


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
    """The warnings, without the one that the URLs of this test have expired."""
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
        (
            f"cos://{BUCKET}/none.txt",
            {},
            "none.txt does not exist: check the bucket and the region. To sign all objects",
        ),
        (f"cos://{BUCKET}/photos/1.jpg", {}, "its suffix does not show the format"),
        (f"cos://{BUCKET}/none/", {"input_format": "csv"}, "holds no objects"),
        (f"cos://{BUCKET}/", {"input_format": "inventory"}, r"holds no manifest\.json"),
        ("keys.txt", {"input_format": "list"}, "is not a bucket's list"),
    ):
        with pytest.raises(InputError, match=message):
            done(server, signer, path, **named)
    with pytest.raises(ParameterError, match="inputs must be <BucketName>-<APPID>"):
        done(server, signer, "cos://b/a")
    Path("keys.txt").write_text("a\n")
    with pytest.raises(ParameterError, match="endpoint is for buckets"):
        done(server, signer, "keys.txt")


def test_two_buckets_are_not_signed_at_once(server: CosServer, store: Store, signer: Signer) -> None:
    with pytest.raises(InputError, match="use one job for each bucket"):
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


def test_versions_of_objects(server: CosServer, store: Store, signer: Signer) -> None:
    store.objects.clear()
    store.objects.update({b"a": b"new", b"b": b"1"})
    store.versions = [
        Version(b"a", "v0", b"old"), Version(b"c", "m1", None, is_latest=True), Version(b"c", "v2", b"12345"), Version(b"c", "v1", b"1"),
    ]  # fmt: skip
    address = f"cos://{BUCKET}/"
    report = done(
        server,
        signer,
        address,
        "all.parquet",
        input_format="versions",
        keep_columns=["all"],
        query_columns={"versionId": "VersionId"},
    )
    table = pq.read_table("all.parquet")
    rows = table.select(["Key", "VersionId", "IsLatest", "IsDeleteMarker"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("a", "v-3", True, False), ("a", "v0", False, False), ("b", "v-1", True, False), ("c", "m1", True, True),
        ("c", "v1", False, False), ("c", "v2", False, False),
    ]  # fmt: skip
    assert ["versionId=v0" in url for url in table["url"].to_pylist()].count(True) == 1
    report = done(server, signer, address, input_format="versions", latest=True)
    assert keys_of(signer) == ["a", "b"]
    assert (report.counts["old_versions"], report.counts["delete_markers"]) == (3, 1)
    assert any(
        "3 rows are old versions of objects" in text
        for text in done(server, signer, address, input_format="versions").warnings
    )


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
    with pytest.raises(StorageError, match=r"keys\.txt: the object was replaced"):
        done(server, signer, f"cos://{REPORTS}/keys.txt")
    assert not Path("urls.txt").exists()


def test_a_job_goes_on_if_the_objects_are_the_same(server: CosServer, reports: Store, signer: Signer) -> None:
    text = b"".join(b"%d\n" % number for number in range(10))
    address = f"cos://{REPORTS}/keys.txt"
    for content, message in ((text, ""), (text.replace(b"1", b"x"), "an input was moved or written")):
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


# --- Outputs in a bucket


def part_keys(store: Store, prefix: str = "urls/") -> list[str]:
    return [key.decode() for key in sorted(store.objects) if key.decode().startswith(f"{prefix}part-")]


def urls_in(store: Store, prefix: str = "urls/") -> list[str]:
    return [line for key in part_keys(store, prefix) for line in store.objects[key.encode()].decode().splitlines()]


@pytest.mark.parametrize(
    "name", ["urls.txt", "urls.txt.gz", "urls.parquet", "urls.jsonl.zst", "urls.csv", "urls.arrow"]
)
def test_one_object(name: str, server: CosServer, store: Store, reports: Store, signer: Signer) -> None:
    report = done(server, signer, f"cos://{BUCKET}/", f"cos://{REPORTS}/a b/{name}")
    assert (report.rows, report.output, report.errors) == (8, f"cos://{REPORTS}/a b/{name}", None)
    done(server, signer, f"cos://{BUCKET}/", name)
    assert {key.decode(): content for key, content in reports.objects.items()} == {
        f"a b/{name}": Path(name).read_bytes()
    }


def test_parts_in_a_bucket(server: CosServer, store: Store, reports: Store, signer: Signer) -> None:
    for output, named in (
        (f"cos://{REPORTS}/urls/", {}),
        (f"cos://{REPORTS}/csv", {"output_format": "csv.gz"}),
        (f"cos://{REPORTS}/all/", {}),
    ):
        report = done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=3, **named)
        assert (report.rows, report.parts) == (8, 3)
    assert part_keys(reports) == [f"urls/part-0000{number}.txt" for number in range(3)]
    assert part_keys(reports, "csv/") == [f"csv/part-0000{number}.csv.gz" for number in range(3)]
    assert sorted(urls_in(reports)) == sorted(signer.presign_many(sorted(KEYS), key_time=(START, START + 900)))
    assert reports.uploads == {}
    with pytest.raises(
        ParameterError, match="is not empty: use `resume=True` to continue the job in it, or choose another folder"
    ):
        done(server, signer, f"cos://{BUCKET}/", f"cos://{REPORTS}/urls/", rows_per_part=3)
    reports.objects[b"other/file"] = b""
    for resume in (False, True):
        with pytest.raises(ParameterError, match="other/ is not empty"):
            done(server, signer, f"cos://{BUCKET}/", f"cos://{REPORTS}/other/", rows_per_part=3, resume=resume)


def test_bad_rows_in_a_bucket(server: CosServer, reports: Store, signer: Signer) -> None:
    Path("keys.txt").write_text("a\n/bad\nb\nc\nd\n/worse\n")
    report = done(server, signer, "keys.txt", f"cos://{REPORTS}/urls/", rows_per_part=2, on_error="skip")
    assert (report.rows, report.bad, report.errors) == (6, 2, f"cos://{REPORTS}/urls/_errors/")
    lists = {key.decode(): content for key, content in reports.objects.items() if b"_errors/" in key}
    assert list(lists) == ["urls/_errors/part-00000.jsonl", "urls/_errors/part-00002.jsonl"]
    assert json.loads(lists["urls/_errors/part-00002.jsonl"])["key"] == "/worse"
    one = f"cos://{REPORTS}/one.txt"
    assert done(server, signer, "keys.txt", one, on_error="skip").errors == f"{one}.errors.jsonl"
    assert reports.objects[b"one.txt.errors.jsonl"].count(b"\n") == 2
    Path("keys.txt").write_text("a\n")
    assert done(server, signer, "keys.txt", one).errors is None
    assert b"one.txt.errors.jsonl" not in reports.objects
    Path("keys.txt").write_text("a\n/bad\n")
    done(server, signer, "keys.txt", one, on_error="null", errors="here.jsonl")
    assert Path("here.jsonl").read_text().count("\n") == 1
    with pytest.raises(ParameterError, match="cannot lie in a bucket"):
        done(server, signer, "keys.txt", one, errors=f"cos://{REPORTS}/e")


def test_lists_of_bad_rows_that_were_altered(server: CosServer, reports: Store, signer: Signer) -> None:
    Path("keys.txt").write_text("a\n/bad\nb\nc\n/worse\n")
    output, named = f"cos://{REPORTS}/urls/", {"rows_per_part": 2, "on_error": "skip"}
    done(server, signer, "keys.txt", output, **named)
    whole = dict(reports.objects)
    reports.unlisted = {b"urls/_errors/part-00000.jsonl"}
    assert done(server, signer, "keys.txt", output, **named, resume=True).bad == 2
    reports.objects[b"urls/_errors/part-00002.jsonl"] += b"{}\n"
    with pytest.raises(ParameterError, match=f"lists of bad rows in {output}_errors/ are not as they were"):
        done(server, signer, "keys.txt", output, **named, resume=True)
    reports.objects.clear()
    reports.objects.update(whole)
    del reports.objects[b"urls/_errors/part-00002.jsonl"]
    with pytest.raises(ParameterError, match=r"part-00002\.jsonl, a list of bad rows, is missing"):
        done(server, signer, "keys.txt", output, **named, resume=True)


def test_a_report_of_the_job_in_a_bucket(server: CosServer, store: Store, reports: Store, signer: Signer) -> None:
    reports.objects[b"keys.txt"] = b"a\nb\n"
    keys, report = f"cos://{REPORTS}/keys.txt", f"cos://{REPORTS}/report.json"
    for output in ("urls.txt", f"cos://{REPORTS}/urls.txt", f"cos://{REPORTS}/parts/"):
        reports.objects.pop(b"report.json", None)
        done(server, signer, keys, output, report=report)
        assert json.loads(reports.objects[b"report.json"])["rows"] == 2
    del reports.objects[b"report.json"]
    reports.objects[b"keys.txt"] = b"a\n/b\n"
    with pytest.raises(RowError):
        done(server, signer, keys, "urls.txt", report=report)
    assert b"report.json" not in reports.objects
    for output, name in (
        ("urls.txt", "keys.txt"), ("urls.txt", "folder/"), ("urls.txt", ""), (f"cos://{REPORTS}/urls.txt", "urls.txt"),
        (f"cos://{REPORTS}/urls.txt", "urls.txt.errors.jsonl"), (f"cos://{REPORTS}/parts/", "parts/part-00000.txt"),
        (f"cos://{REPORTS}/parts/", "parts/.journal/00000000.json"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match="report"):
            done(server, signer, keys, output, report=f"cos://{REPORTS}/{name}")


def test_an_output_that_is_an_input(server: CosServer, store: Store, reports: Store, signer: Signer) -> None:
    reports.objects[b"lists/keys.txt"] = b"a\n"
    for inputs, output in (
        (f"cos://{BUCKET}/", f"cos://{BUCKET}/urls/"), (f"cos://{BUCKET}/photos/", f"cos://{BUCKET}/photos/urls.txt"),
        (f"cos://{REPORTS}/lists/keys.txt", f"cos://{REPORTS}/lists/keys.txt"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match="choose another"):
            done(server, signer, inputs, output)
    done(server, signer, f"cos://{BUCKET}/photos/", f"cos://{BUCKET}/urls/")
    assert len(urls_in(store)) == 5


@pytest.mark.parametrize("seed", range(8))
def test_a_job_that_is_cut_off_goes_on_elsewhere(
    seed: int,
    server: CosServer,
    store: Store,
    reports: Store,
    signer: Signer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At any request, before it was done or after; by another machine, which has nothing but the bucket."""
    store.page_size = 2
    wanted = signer.presign_many(sorted(KEYS), key_time=(START, START + 900))
    shuffle = random.Random(seed)
    count = [0]
    real_answer = server.answer

    def answer(request: Request) -> Any:
        count[0] -= 1
        if count[0] == 0:
            if shuffle.random() < 0.5:
                real_answer(request)  # it was done, and nobody heard of it
            return error_reply(403, "AccessDenied")
        return real_answer(request)

    server.answer = answer  # type: ignore[method-assign]
    named: dict[str, Any] = {"rows_per_part": 2, "resume": False}
    for attempt in range(50):
        (tmp_path / str(attempt)).mkdir()
        monkeypatch.chdir(tmp_path / str(attempt))
        count[0] = shuffle.randrange(1, 20)
        try:
            report = done(server, signer, f"cos://{BUCKET}/", f"cos://{REPORTS}/urls/", **named)
        except StorageError:
            named["resume"] = any(key.startswith(b"urls/.journal/") for key in reports.objects)
            continue
        break
    assert (report.rows, report.parts) == (8, 4)
    assert urls_in(reports) == wanted
    assert reports.uploads == {}


def test_two_jobs_in_one_folder(
    server: CosServer, reports: Store, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("keys.txt").write_text("a\nb\nc\nd\n")
    output = f"cos://{REPORTS}/urls/"
    begun: list[Report] = []

    def second(progress: Any) -> None:
        if not begun and progress.parts == 1:
            begun.append(done(server, signer, "keys.txt", output, rows_per_part=1, resume=True))

    job = Job(inputs="keys.txt", output=output, signer=signer, start=START, endpoint=server.url, rows_per_part=1)
    monotonic = [0.0]

    def tick() -> float:
        monotonic[0] += 1
        return monotonic[0]

    monkeypatch.setattr("cossign.batch.runner.time.monotonic", tick)  # so that progress is told after each piece
    with pytest.raises(ParameterError, match="is being written by another job"):
        run(job, progress=second)
    assert begun[0].rows == 4
    assert len(urls_in(reports)) == 4


def test_a_journal_in_a_bucket_that_was_edited(server: CosServer, reports: Store, signer: Signer) -> None:
    Path("keys.txt").write_text("a\nb\nc\nd\n")
    output = f"cos://{REPORTS}/urls/"
    done(server, signer, "keys.txt", output, rows_per_part=1)
    lines = sorted(key for key in reports.objects if b".journal/" in key)
    assert len(lines) == 6
    whole = dict(reports.objects)
    for change in (lines[2:3], lines[:1]):
        reports.objects.clear()
        reports.objects.update({key: content for key, content in whole.items() if key not in change})
        with pytest.raises(ParameterError, match="was altered"):
            done(server, signer, "keys.txt", output, rows_per_part=1, resume=True)
    reports.objects.clear()
    reports.objects.update(whole)
    reports.objects[b"urls/part-00001.txt"] = b"damaged\n"
    del reports.objects[b"urls/part-00003.txt"]
    report = done(server, signer, "keys.txt", output, rows_per_part=1, resume=True)
    assert [text for text in report.warnings if "written again" in text] == [
        f"part-0000{number}.txt was missing or damaged, and was written again" for number in (1, 3)
    ]
    assert {key: content for key, content in reports.objects.items() if b".journal" not in key} == {
        key: content for key, content in whole.items() if b".journal" not in key
    }
    assert done(server, signer, "keys.txt", output, rows_per_part=1, resume=True).rows == 4


def test_an_interrupt_leaves_no_upload(server: CosServer, reports: Store, signer: Signer) -> None:
    Path("keys.txt").write_text("".join(f"photos/{number}.jpg\n" for number in range(200_000)))

    def interrupt(progress: Any) -> None:
        if progress.written > 20_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            Job(inputs="keys.txt", output=f"cos://{REPORTS}/urls.txt", signer=signer, endpoint=server.url),
            progress=interrupt,
        )
    assert (reports.objects, reports.uploads) == ({}, {})


def test_uploads_of_a_killed_job_are_given_up(
    server: CosServer, reports: Store, signer: Signer, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, key in enumerate(
        ("urls/part-00003.txt", "urls/_errors/part-00001.jsonl", "urls/mine", "urls.txt", "urls.txt.2")
    ):
        reports.uploads[f"upload-{number}"] = (key.encode(), {})
    job = Job(inputs="none", output=f"cos://{REPORTS}/urls/", signer=signer, endpoint=server.url)
    assert abort(job) == 2
    assert abort(job) == 0
    where = ["-r", REGION, "--endpoint", server.url]
    assert main(["presign", "-o", f"cos://{REPORTS}/urls.txt", "--abort", *where]) == 0
    assert capfd.readouterr().err == f"cossign: 1 unfinished upload aborted in cos://{REPORTS}/urls.txt\n"
    assert [key for key, _ in reports.uploads.values()] == [b"urls/mine", b"urls.txt.2"]
    with pytest.raises(ParameterError, match="is not in a bucket"):
        abort(Job(inputs="none", output="urls.txt", signer=signer))


@scaled("cuts", 2, 20)
def test_cut_off_at_random_moments(cuts: int) -> None:
    """As `python -m tests.batch.bucket_soak`, which goes on for longer."""
    seed = time.time_ns()
    print(f"seed {seed}")
    bucket_soak.soak(cuts, 400 * cuts, seed)


# --- What a reader of the code found


def test_no_input_is_lost(server: CosServer, reports: Store, signer: Signer) -> None:
    """Neither as the list of bad rows, nor as a manifest, nor in a folder that is read."""
    inventory("daily/20260601", objects("a"), data="../data")
    upload(reports, Path("daily"), "prefix/1250000000/examplebucket/daily/")
    daily = f"cos://{REPORTS}/prefix/1250000000/examplebucket/daily/"
    for key in ("urls.txt.errors.jsonl", "urls/_errors/part-00000.jsonl", "urls/part-00007.jsonl", "lists/a.jsonl"):
        reports.objects[key.encode()] = b'{"key": "a"}\n'
    before = dict(reports.objects)
    for inputs, output, named in (
        (f"cos://{REPORTS}/urls.txt.errors.jsonl", f"cos://{REPORTS}/urls.txt", {}),
        (f"cos://{REPORTS}/urls/_errors/part-00000.jsonl", f"cos://{REPORTS}/urls/", {}),
        (f"cos://{REPORTS}/urls/part-00007.jsonl", f"cos://{REPORTS}/urls/", {}),
        (f"{daily}20260601/manifest.json", f"{daily}20260601/manifest.json", {"output_format": "txt"}),
        (f"cos://{REPORTS}/lists/", f"cos://{REPORTS}/lists/urls/", {"input_format": "jsonl"}),
        ("keys.txt", f"cos://{REPORTS}/{'x' * 840}", {"output_format": "txt"}),
    ):  # fmt: skip
        Path("keys.txt").write_text("a\n")
        with pytest.raises(ParameterError, match="output"):
            done(server, signer, inputs, output, **named)
    assert reports.objects == before


def test_hidden_objects_are_not_files_of_keys(server: CosServer, reports: Store, signer: Signer) -> None:
    Path("keys.txt").write_text("a\n/bad\n")
    done(server, signer, "keys.txt", f"cos://{REPORTS}/urls/", rows_per_part=1, on_error="skip")
    for key in ("urls/_SUCCESS", "urls/.hidden.txt", "urls/", "urls/sub/_more.txt"):
        reports.objects[key.encode()] = b"never\n"
    plan = Plan(Job(inputs=f"cos://{REPORTS}/urls/", signer=signer, endpoint=server.url, input_format="txt"))
    names = [each.path.removeprefix(f"cos://{REPORTS}/urls/") for each in plan.source.inputs]
    assert names == ["part-00000.txt", "part-00001.txt", "sub/_more.txt"]


def test_a_folder_that_a_console_made(server: CosServer, reports: Store, signer: Signer) -> None:
    Path("keys.txt").write_text("a\nb\n")
    reports.objects.update({b"urls/": b"", b"urls/.journal/": b""})
    assert done(server, signer, "keys.txt", f"cos://{REPORTS}/urls/", rows_per_part=1).parts == 2
    assert done(server, signer, "keys.txt", f"cos://{REPORTS}/urls/", rows_per_part=1, resume=True).rows == 2


def test_manifests_of_web_applications(server: CosServer, store: Store, signer: Signer) -> None:
    store.objects.clear()
    store.objects.update(
        {b"site/manifest.json": b'{"name": "app"}', b"site/20260601/manifest.json": b"[]", b"site/a": b""}
    )
    done(server, signer, f"cos://{BUCKET}/site/")
    assert keys_of(signer) == ["site/20260601/manifest.json", "site/a", "site/manifest.json"]
    inventory("daily/20260601", objects("b"), data="../data")
    upload(store, Path("daily"), "prefix/1250000000/examplebucket/daily/")
    store.objects.update({f"prefix/1250000000/examplebucket/daily/1{number}".encode(): b"" for number in range(30)})
    store.page_size = 10
    done(server, signer, f"cos://{BUCKET}/prefix/1250000000/examplebucket/daily/")
    assert keys_of(signer) == ["b"]


@pytest.mark.parametrize("form", ["list", "versions"])
@pytest.mark.parametrize("seed", range(12))
def test_parts_of_a_list_do_not_depend_on_its_pages(
    form: str, seed: int, server: CosServer, store: Store, signer: Signer
) -> None:
    """Each part ends at a key, so that it can be written again, and a resumed job writes and counts the same."""
    shuffle = random.Random(seed)
    store.objects.clear()
    store.objects.update(
        {f"{shuffle.choice('abc')}{number:02d}{shuffle.choice('xy')}".encode(): b"" for number in range(40)}
    )
    named: dict[str, Any] = {
        "rows_per_part": shuffle.randrange(1, 8),
        "include": shuffle.choice([[], ["*x"], ["b*x", "a*"], ["c*"]]),
    }
    named["input_format"] = form
    named["output_format"] = shuffle.choice(["txt", "arrow", "parquet", "jsonl.gz"])
    store.versions = [
        Version(key, f"v{number}", None if number == 2 else b"")
        for key in shuffle.sample(sorted(store.objects), 9) for number in range(3)
    ]  # fmt: skip
    store.page_size = shuffle.randrange(1, 9)
    whole = done(server, signer, f"cos://{BUCKET}/", "whole/", **named)
    journal = Path("whole/.journal.jsonl").read_text().splitlines(keepends=True)
    texts = {path.name: path.read_bytes() for path in Path("whole").glob("part-*")}
    for kept in range(1, len(journal)):
        store.page_size = shuffle.randrange(1, 9)
        shutil.rmtree("part", ignore_errors=True)
        shutil.copytree("whole", "part")
        Path("part/.journal.jsonl").write_text("".join(journal[:kept]))
        for path in Path("part").glob("part-*"):
            if int(path.name[5:10]) >= kept - 1 or shuffle.random() < 0.5:
                path.unlink()  # was not written yet, or is damaged
        report = done(server, signer, f"cos://{BUCKET}/", "part/", **named, resume=True)
        assert {path.name: path.read_bytes() for path in Path("part").glob("part-*")} == texts
        assert (report.rows, report.read, report.parts) == (whole.rows, whole.read, whole.parts)
    store.objects[b"zz-new"] = b""
    Path("whole", max(texts)).unlink()
    done(server, signer, f"cos://{BUCKET}/", "whole/", **named, resume=True)
    assert Path("whole", max(texts)).read_bytes() == texts[max(texts)]


def test_a_part_that_was_not_written_down_is_not_kept(
    server: CosServer, store: Store, reports: Store, signer: Signer
) -> None:
    """Its objects may have gone before the job is resumed."""
    output = f"cos://{REPORTS}/urls/"
    server.plan = lambda request: (
        Fault(error_reply(403, "AccessDenied")) if b"00000002.json" in request.target else None
    )
    with pytest.raises(StorageError, match="PutObject"):
        done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=4)
    assert part_keys(reports) == ["urls/part-00000.txt", "urls/part-00001.txt"]
    server.plan = None
    for key in sorted(KEYS)[4:]:
        del store.objects[key.encode()]
    assert done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=4, resume=True).rows == 4
    assert part_keys(reports) == ["urls/part-00000.txt"]


def test_a_list_that_lacks_what_was_just_written(
    server: CosServer, store: Store, reports: Store, signer: Signer
) -> None:
    output = f"cos://{REPORTS}/urls/"
    done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2)
    whole = dict(reports.objects)
    del reports.objects[b"urls/.journal/00000005.json"], reports.objects[b"urls/.journal/00000004.json"]
    reports.unlisted = {b"urls/.journal/00000003.json", b"urls/part-00001.txt", b"urls/part-00003.txt"}
    server.requests.clear()
    report = done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2, resume=True)
    assert reports.objects == whole
    assert not [text for text in report.warnings if "written again" in text]
    written = [each.target for each in server.requests if each.method == b"PUT" and b"part-" in each.target]
    assert written == [b"/urls/part-00003.txt"]
    reports.unlisted = set(whole)
    with pytest.raises(ParameterError, match="is not empty"):
        done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2)
    reports.unlisted = set()
    reports.objects[b"urls/.journal/99999999.json"] = b""
    with pytest.raises(ParameterError, match=r"urls/\.journal/ was altered"):
        done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2, resume=True)


def test_a_list_goes_on_behind_a_key_with_a_nul(server: CosServer, store: Store, signer: Signer) -> None:
    store.objects = {b"a": b"", b"a\0b": b"", b"a\0c": b"", b"b": b""}
    signer = signer.replace(strict=False)
    done(server, signer, f"cos://{BUCKET}/", "urls/", rows_per_part=2)
    journal = Path("urls/.journal.jsonl").read_text().splitlines(keepends=True)
    parts = [path.read_bytes() for path in sorted(Path("urls").glob("part-*"))]
    Path("urls/.journal.jsonl").write_text("".join(journal[:2]))
    Path("urls/part-00001.txt").unlink()
    done(server, signer, f"cos://{BUCKET}/", "urls/", rows_per_part=2, resume=True)
    assert [path.read_bytes() for path in sorted(Path("urls").glob("part-*"))] == parts


def test_a_part_that_was_replaced_by_one_of_the_same_size(
    server: CosServer, store: Store, reports: Store, signer: Signer
) -> None:
    output = f"cos://{REPORTS}/urls/"
    done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=4)
    whole = dict(reports.objects)
    part = reports.objects[b"urls/part-00000.txt"]
    reports.objects[b"urls/part-00000.txt"] = part[::-1]
    report = done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=4, resume=True)
    assert [text for text in report.warnings if "part-00000.txt" in text]
    assert part_keys(reports) == ["urls/part-00000.txt", "urls/part-00001.txt"]
    assert reports.objects[b"urls/part-00000.txt"] == whole[b"urls/part-00000.txt"]


def test_a_signer_without_a_region(server: CosServer, store: Store) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), domain="https://cdn.example.com")
    with pytest.raises(ParameterError, match=f"has no `region`, which cos://{BUCKET} needs"):
        done(server, signer, f"cos://{BUCKET}/")
    with pytest.raises(ParameterError, match=f"has no `region`, which cos://{REPORTS} needs"):
        abort(Job(inputs=[], output=f"cos://{REPORTS}/urls/", signer=signer))


def test_a_job_that_was_overtaken_replaces_nothing(
    server: CosServer, store: Store, reports: Store, signer: Signer
) -> None:
    output = f"cos://{REPORTS}/urls/"
    real_answer = server.answer
    is_first = [True]

    def answer(request: Request) -> Any:
        if is_first[0] and b"part-00001.txt" in request.target and request.method == b"PUT":
            is_first[0] = False
            del store.objects[b"photos/1.jpg"]  # the other job's parts have other rows
            assert done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2, resume=True).parts == 4
        return real_answer(request)

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(ParameterError, match="is being written by another job"):
        done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2)
    server.answer = real_answer  # type: ignore[method-assign]
    before = dict(reports.objects)
    report = done(server, signer, f"cos://{BUCKET}/", output, rows_per_part=2, resume=True)
    assert (report.rows, [text for text in report.warnings if "written again" in text]) == (7, [])
    assert reports.objects == before


def test_data_files_whose_etag_is_not_their_md5(server: CosServer, reports: Store, signer: Signer) -> None:
    """As those of parts, or that are encrypted: they are read to be compared."""
    inventory("daily/20260601", objects("a"), data="../data")
    upload(reports, Path("daily"), "prefix/1250000000/examplebucket/daily/")
    real_answer = server.answer

    def answer(request: Request) -> Any:
        status, text, headers = real_answer(request)
        changed = {**headers, **({"ETag": '"0123456789abcdef0123456789abcdef"'} if "ETag" in headers else {})}
        return (
            status,
            re.sub(rb"&quot;[0-9a-f]{32}&quot;", b"&quot;0123456789abcdef0123456789abcdef&quot;", text),
            changed,
        )

    server.answer = answer  # type: ignore[method-assign]
    server.plan = None
    store_answer = reports.answer
    reports.answer = lambda request, key: store_answer(  # type: ignore[method-assign]
        Request(
            request.method, request.target, [each for each in request.headers if each[0].lower() != b"if-match"], b""
        ),
        key,
    )
    assert done(server, signer, f"cos://{REPORTS}/prefix/1250000000/examplebucket/daily/").rows == 1


# --- The command


def test_the_command(server: CosServer, store: Store, reports: Store, capfd: pytest.CaptureFixture[str]) -> None:
    where = ["-r", REGION, "--endpoint", server.url, "--start", str(START), "-o", "urls.txt"]
    assert main(["presign", f"cos://{BUCKET}/photos/", *where]) == 0
    into = [*where[:-1], f"cos://{REPORTS}/urls/"]
    assert main(["presign", f"cos://{BUCKET}/photos/", *into]) == 0
    assert f"5 URLs to cos://{REPORTS}/urls/ in 1 part in" in capfd.readouterr().err
    assert main(["presign", f"cos://{BUCKET}/photos/", *into]) == 2
    assert "use --resume to continue the job in it" in capfd.readouterr().err
    assert main(["presign", f"cos://{BUCKET}/photos/", *into, "--resume"]) == 0
    assert len(Path("urls.txt").read_text().splitlines()) == 5
    assert f"https://{BUCKET}.cos.{REGION}" in Path("urls.txt").read_text()
    inventory("prefix/1250000000/examplebucket/daily/20260601", objects("a"), data="../data")
    upload(reports, Path("prefix"), "prefix/")
    capfd.readouterr()
    assert main(["presign", f"cos://{REPORTS}/prefix/1250000000/examplebucket/daily/", *where]) == 0
    assert f"https://{BUCKET}.cos.{REGION}" in Path("urls.txt").read_text()  # which the report lists
    assert "1 URL to urls.txt in " in capfd.readouterr().err
    assert main(["presign", f"cos://{BUCKET}/photos/1.jpg", *where]) == 2
    assert f"cossign url cos://{BUCKET}/photos/1.jpg;" in capfd.readouterr().err
    server.plan = lambda request: Fault(error_reply(403, "AccessDenied"))
    assert main(["presign", f"cos://{BUCKET}/photos/", *where]) == 2
    assert "need the permission name/cos:" in capfd.readouterr().err
    assert main(["presign", f"cos://{BUCKET}/photos/", "--endpoint", server.url, "-o", "urls.txt"]) == 2
    assert "-r is missing: give the region of examplebucket-1250000000" in capfd.readouterr().err

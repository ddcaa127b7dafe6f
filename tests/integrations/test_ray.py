"""Ray Data on two workers of this machine: what it gives, and what it never shows."""

from __future__ import annotations

import doctest
import io
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cossign import Credentials, FileCredentials, ParameterError, Signer
from cossign.batch.inputs.inventory import FORMS
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import Store, running
from tests.integrations.conftest import ODD, TIMES, AtScale, hash_of, inventory

pytest.importorskip("ray", reason="ray is not installed")

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
from ray.data import Dataset

from cossign.integrations import ray as cossign_ray
from cossign.integrations.ray import presign, read_inventory

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::UserWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its sockets and processes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two workers on loopback; where they write what they say."""
    folder = Path("/tmp") / f"cossign-ray-{os.getpid()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COS_SECRET_ID", SECRET_ID)
        patch.setenv("COS_SECRET_KEY", SECRET_KEY)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=str(folder),
            object_store_memory=1 << 30, _node_ip_address="127.0.0.1",
        )  # fmt: skip
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        yield folder
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


NUMBERS = list(range(len(ODD)))
TABLE = pa.table({
    "number": NUMBERS, "key": pa.array(ODD, pa.string()), "version": [f"v{number}" for number in NUMBERS],
    "seconds": [86_400 + number for number in NUMBERS], "method": ["PUT" if number % 2 else "get" for number in NUMBERS],
})  # fmt: skip


@pytest.fixture(scope="module")
def odd(cluster: Path) -> Dataset:
    return ray.data.from_arrow([TABLE.slice(0, 5), TABLE.slice(5, 0), TABLE.slice(5)])


def urls(ds: Dataset) -> list[str | None]:
    return [row["url"] for row in sorted(ds.take_all(), key=lambda row: row["number"])]


def test_docstrings() -> None:
    assert doctest.testmod(cossign_ray).failed == 0


def test_odd_keys(odd: Dataset, provided: Signer) -> None:
    signed = presign(odd, "key", "url", provided, key_time=TIMES, concurrency=2)
    assert urls(signed) == provided.presign_many(ODD, key_time=TIMES)
    assert signed.columns() == ["number", "key", "version", "seconds", "method", "url"]


def test_columns_and_one_instant(odd: Dataset, provided: Signer) -> None:
    signed = presign(
        odd, "key", "url", provided, method_col="method", expires_col="seconds", query={"x": "1"},
        query_cols={"versionId": "version", "n": "number"}, concurrency=2,
    )  # fmt: skip
    first = urls(signed)
    start = int(str(first[0]).partition("q-sign-time=")[2][:10])
    numbers = range(len(ODD))
    assert first == provided.at(start).presign_many(
        ODD, method=["PUT" if number % 2 else "get" for number in numbers], expires=[86_400 + number for number in numbers],
        query={"x": "1", "versionId": [f"v{number}" for number in numbers], "n": list(numbers)},
    )  # fmt: skip
    time.sleep(1.1)
    assert urls(signed) == first


@pytest.mark.long
def test_empty_and_skewed_blocks(provided: Signer) -> None:
    sizes = [0, 25_000, 1, 0, 7]
    tables = []
    for part, size in enumerate(sizes):
        numbers = [part * 100_000 + row for row in range(size)]
        tables.append(
            pa.table({"number": pa.array(numbers, pa.int64()), "key": pa.array(map(str, numbers), pa.string())})
        )
    signed = presign(ray.data.from_arrow(tables), "key", "url", provided, key_time=TIMES, concurrency=2)
    keys = [str(part * 100_000 + row) for part, size in enumerate(sizes) for row in range(size)]
    assert urls(signed) == provided.presign_many(keys, key_time=TIMES)
    assert presign(ray.data.from_arrow(tables[:1]), "key", "url", provided).take_all() == []
    assert presign(ray.data.range(0), "id", "url", provided).take_all() == []


def actor(odd: Dataset, key_col: str, url_col: str = "url", **named: Any) -> cossign_ray.Presign:
    """An actor, asked directly for what it says of a block; how Ray passes that on, test_a_bad_key shows."""
    made: list[cossign_ray.Presign] = []

    def map_batches(kind: type[cossign_ray.Presign], *, fn_constructor_args: Any, **_: Any) -> Dataset:
        made.append(kind(*fn_constructor_args))
        return odd

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(odd, "map_batches", map_batches)
        presign(odd, key_col, url_col, concurrency=1, **named)
    return made[0]


def failure(ds: Dataset) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Ray's own, made of ours
        ds.take_all()
    return str(caught.value)


def test_a_block_has_the_memory_of_the_last(odd: Dataset, provided: Signer) -> None:
    sign = actor(odd, "key", signer_config=provided, key_time=TIMES)
    block = pa.table({"key": [f"k{number}" for number in range(300_000)]})

    def places() -> set[int]:
        urls = pa.concat_tables(sign(block))["url"]
        assert urls.num_chunks < 40  # of 4 MiB: whoever writes them pays for each
        return {chunk.buffers()[2].address for chunk in urls.chunks}

    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])

    before = resident()
    first = places()
    assert resident() - before > 40 << 20  # they are of more than 60 MB; what is of its own size is given back
    assert len(first & places()) > 0.9 * len(first)


@pytest.mark.parametrize(
    "key, reason",
    [
        ("a/../b", "segment"),
        *(pytest.param(*each, marks=pytest.mark.long) for each in (("", "is empty"), ("x" * 851, "850"))),
    ],
)
def test_a_bad_key(provided: Signer, key: str, reason: str) -> None:
    keys = [f"k{number}" if number != 1_234 else key for number in range(1_500)]
    ds = ray.data.from_arrow([pa.table({"key": ["first"]}), pa.table({"key": keys})])
    text = failure(presign(ds, "key", "url", provided, concurrency=1))
    shown = repr(key) if len(key) < 100 else repr(key)[:100]
    where = f"column 'key' (block of 1500 rows that begins with 'k0', row 1234, key {shown}"
    assert where in text
    assert reason in text
    marked = presign(ds, "key", "url", provided, on_error="null", error_col="why", concurrency=1).take_all()
    [bad] = [row for row in marked if row["url"] is None]
    assert bad["why"].startswith(where)
    assert sum(row["why"] is None for row in marked) == 1_500


@pytest.mark.long
def test_no_credentials_at_an_actor(provided: Signer, tmp_path: Path) -> None:
    lost = Signer(FileCredentials(str(tmp_path / "none.yaml")), bucket=BUCKET, region=REGION)
    text = failure(presign(ray.data.from_items([{"name": "a"}]), "name", "url", lost, concurrency=1))
    assert "column 'name' (block of 1 rows that begins with 'a', row 0): no credentials at this worker:" in text


@pytest.mark.parametrize(
    "named, reason",
    [
        ({"key_col": "seconds"}, "column 'seconds' .* must be a column of strings, not of integers"),
        ({"key_col": "nothing"}, "key_col 'nothing' is not a column: there are 'number', 'key'"),
        ({"expires_col": "nothing"}, "expires_col 'nothing' is not a column"),
        ({"query_cols": {"v": "nothing"}}, "query_cols 'nothing' is not a column"),
        ({"expires_col": "version"}, "column 'version' .* must be a whole number of seconds"),
        ({"url_col": "key"}, "url_col 'key' is a column already"),
        ({"on_error": "null", "error_col": "key"}, "error_col 'key' is a column already"),
        ({"on_error": "null", "error_col": "url"}, "error_col 'url' is a column already"),
        ({"error_col": "why"}, 'error_col needs on_error="null"'),
        ({"expires": 0}, "expires must be greater than 0 seconds"),
        ({"signer_config": Signer(Credentials("AKID", "secret-of-the-test"), bucket=BUCKET, region=REGION)}, "pickled"),
    ],
)
def test_wrong_parameters(odd: Dataset, provided: Signer, named: dict[str, Any], reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as caught:
        list(actor(odd, **{"key_col": "key", "signer_config": provided, **named})(TABLE))
    assert "secret-of-the-test" not in str(caught.value)


def test_a_large_block(odd: Dataset, provided: Signer) -> None:
    """It is signed some rows at a time; what is said of a row counts from the block's first."""
    keys = [f"k{number}" if number != 150_000 else "a/../b" for number in range(300_000)]
    block = pa.table({"key": keys})
    signed = list(actor(odd, "key", signer_config=provided, key_time=TIMES, on_error="null", error_col="why")(block))
    assert len(signed) > 1
    table = pa.concat_tables(signed)
    assert table["key"].equals(block["key"])
    assert table["url"].to_pylist() == provided.presign_many(keys, key_time=TIMES, on_error="null")
    assert [row for row, why in enumerate(table["why"].to_pylist()) if why is not None] == [150_000]
    assert "(block of 300000 rows that begins with 'k0', row 150000, key 'a/../b')" in table["why"][150_000].as_py()
    with pytest.raises(ParameterError, match=r"row 150000, key 'a/\.\./b'"):
        list(actor(odd, "key", signer_config=provided)(block))


def test_parameters_that_are_checked_where_it_is_planned(odd: Dataset, provided: Signer) -> None:
    for named in ({"expires": 0}, {"error_col": "why"}, {"on_error": "skip"}, {"method": "G T"}):
        with pytest.raises(ParameterError):
            presign(odd, "key", "url", provided, **named)
    for option in ("batch_size", "compute", "batch_format"):
        with pytest.raises(ParameterError, match=f"^{option} cannot be given"):
            presign(odd, "key", "url", provided, **{option: None})


def test_actors_that_leave_no_cpu(odd: Dataset, provided: Signer) -> None:
    for concurrency, more in ((4, {}), ((5, 6), {}), (2, {"num_cpus": 2})):
        with pytest.warns(RuntimeWarning, match="of Ray's 4 CPUs"):
            presign(odd, "key", "url", provided, concurrency=concurrency, **more)
    presign(odd, "key", "url", provided, concurrency=(3, 8), num_cpus=None)


@pytest.mark.long
def test_at_scale_with_an_actor_that_is_killed(provided: Signer, at_scale: AtScale, tmp_path: Path) -> None:
    """Its blocks are made again by another one: the same bytes."""
    mark = tmp_path / "mark"

    class Dying(cossign_ray.Presign):
        def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
            for part in super().__call__(block):
                if len(block) > 1 and not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield part

    ds = ray.data.read_parquet([str(file) for file in at_scale.files])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cossign_ray, "Presign", Dying)
        signed = presign(ds, "key", "url", provided, key_time=TIMES, concurrency=2)
    signed.write_parquet(str(tmp_path / "out"))
    assert mark.exists()
    assert hash_of(pq.read_table(tmp_path / "out")) == at_scale.hash


def test_no_secret_is_shown(cluster: Path, odd: Dataset, provided: Signer, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither by what is pickled and stored, by statistics and logs, nor by what a failed job says."""
    signed = presign(odd, "key", "url", provided, concurrency=2).materialize()
    bad = presign(ray.data.from_items([{"key": "../x"}]), "key", "url", provided, concurrency=1)
    out, err = capfd.readouterr()
    seen = {
        "what is pickled": ray.cloudpickle.dumps(presign(odd, "key", "url", provided)._logical_plan),
        "statistics": signed.stats().encode(), "text": f"{signed!r} {bad!r}".encode(), "failure": failure(bad).encode(),
        "output": (out + err).encode(),
    }  # fmt: skip
    assert b"EnvironmentCredentials" in seen["what is pickled"]
    for file in cluster.rglob("*"):
        if file.is_file():
            seen[str(file)] = file.read_bytes()
    assert len(seen) > 10
    assert {name for name, text in seen.items() if SECRET_KEY.encode() in text} == set()


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_inventory(provided: Signer, tmp_path: Path, form: str) -> None:
    keys = [key for key in ODD if key is not None]
    ds = read_inventory(str(inventory(tmp_path / "a folder", form, keys)))
    key = "Key" if form == "CSV" else "key"
    signed = presign(ds, key, "url", provided, key_time=TIMES, concurrency=1).take_all()
    assert {row[key]: row["url"] for row in signed} == dict(
        zip(keys, provided.presign_many(keys, key_time=TIMES), strict=True)
    )
    size = "Size" if form == "CSV" else "size"
    assert {row[key]: row[size] for row in signed} == {key: len(key) for key in keys}


def test_inventories_elsewhere_and_wrong_ones(tmp_path: Path) -> None:
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    inventory(tmp_path / "bucket" / "report", "CSV", ["a +b"], plain="+")
    there = tmp_path / "bucket" / "cos" / BUCKET
    there.mkdir(parents=True)
    (tmp_path / "bucket" / "report" / "data.csv.gz").rename(there / "data.csv.gz")
    files = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    manifest = "cos://bucket/report/manifest.json"
    assert read_inventory(manifest, filesystem=files).take_all()[0]["Key"] == "a +b"
    (there / "data.csv.gz").write_bytes(b"short")
    with pytest.raises(ParameterError, match="has 5 bytes, not the manifest's"):
        read_inventory(manifest, filesystem=files)
    (there / "data.csv.gz").unlink()
    with pytest.raises(ParameterError, match="which is missing"):
        read_inventory(manifest, filesystem=files)
    with pytest.raises(ParameterError, match="cannot be read"):
        read_inventory(str(tmp_path / "manifest.json"))


@pytest.mark.long
def test_from_a_bucket_to_a_bucket(provided: Signer, tmp_path: Path) -> None:
    """By cosfs, a file system over Tencent's SDK: as clusters.md has it, but that all hosts are this machine."""
    pytest.importorskip("cosfs")
    from tests.integrations.loopback import Loopback

    keys = [key for key in ODD if key is not None]
    inventory(tmp_path / "report", "CSV", keys)
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as server:
        store = Store()
        server.buckets = {"reports-1250000000": store}
        store.objects[b"daily/manifest.json"] = (tmp_path / "report" / "manifest.json").read_bytes()
        store.objects[f"cos/{BUCKET}/data.csv.gz".encode()] = (tmp_path / "report" / "data.csv.gz").read_bytes()
        files = Loopback(server.server.server_port)
        objects = read_inventory("cosn://reports-1250000000/daily/manifest.json", filesystem=files)
        signed = presign(objects.select_columns(["Key", "Size"]), "Key", "url", provided, key_time=TIMES)
        signed.write_parquet("cosn://reports-1250000000/urls", filesystem=files)
        assert server.refusals == []
    tables = [
        pq.read_table(io.BytesIO(text)) for key, text in store.objects.items() if key.startswith(b"urls/") and text
    ]
    assert dict(zip(*(pa.concat_tables(tables)[name].to_pylist() for name in ("Key", "url")), strict=True)) == dict(
        zip(keys, provided.presign_many(keys, key_time=TIMES), strict=True)
    )

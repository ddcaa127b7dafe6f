"""Spark, in this machine's own processes and as a cluster of two workers: what it gives, and what it never shows."""

from __future__ import annotations

import contextlib
import doctest
import gzip
import json
import os
import pickle
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cossign import Credentials, EnvironmentCredentials, FileCredentials, ParameterError, Signer
from cossign.batch.inputs.inventory import FORMS
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.integrations.conftest import ODD, TIMES, AtScale, hash_of, inventory
from tests.waiting import PATIENCE

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
    pytest.skip("Java is not installed, which Spark runs on", allow_module_level=True)

from pyspark.sql import DataFrame, SparkSession  # noqa: E402

from cossign.integrations import spark as cossign_spark  # noqa: E402
from cossign.integrations.spark import presign, read_inventory, register  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # py4j's sockets
]


def stopped() -> None:
    active = SparkSession.getActiveSession()
    if active is not None:
        active.stop()


def started(master: str, **options: str) -> SparkSession:
    """A session; its Java process stays for the next one."""
    stopped()
    builder = SparkSession.builder.master(master).config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "4").config("spark.driver.host", "127.0.0.1")
    for name, value in options.items():
        builder = builder.config(name.replace("__", "."), value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


@contextlib.contextmanager
def session(master: str, **options: str) -> Iterator[SparkSession]:
    """A session of its own."""
    made = started(master, **options)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def python() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("COS_SECRET_ID", SECRET_ID)
        patch.setenv("COS_SECRET_KEY", SECRET_KEY)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYTHONWARNINGS", "ignore")
        yield


@pytest.fixture
def spark(python: None, local: list[SparkSession]) -> SparkSession:
    """The session of most tests, again if another one has taken its place."""
    if not local or SparkSession.getActiveSession() is not local[-1]:
        local.append(started("local[2]"))
    return local[-1]


@pytest.fixture(scope="module")
def local() -> Iterator[list[SparkSession]]:
    yield []
    stopped()


@pytest.fixture
def odd(spark: SparkSession) -> DataFrame:
    rows = [
        (number, key, f"v{number}", 86_400 + number, "PUT" if number % 2 else "get") for number, key in enumerate(ODD)
    ]
    return spark.createDataFrame(rows, "number int, key string, version string, seconds long, method string")


def urls(df: DataFrame) -> list[str | None]:
    return [row.url for row in df.orderBy("number").collect()]


def test_docstrings(spark: SparkSession, environment: None) -> None:
    assert doctest.testmod(cossign_spark).failed == 0


def test_odd_keys(odd: DataFrame, provided: Signer) -> None:
    df = presign(odd.repartition(5), "key", "url", provided, key_time=TIMES)
    assert df.columns == [*odd.columns, "url"]
    assert urls(df) == provided.presign_many(ODD, key_time=TIMES)
    assert [tuple(row)[:-1] for row in df.orderBy("number").collect()] == [tuple(row) for row in odd.collect()]


def test_columns_and_one_instant(odd: DataFrame, provided: Signer) -> None:
    named: dict[str, Any] = {"query": {"x": "1"}, "headers": {"Range": "bytes=0-9"}}
    begun = int(time.time())
    df = presign(
        odd.repartition(3), "key", "url", provided, method_col="method", expires_col="seconds",
        query_cols={"versionId": "version", "n": "number"}, **named,
    )  # fmt: skip
    first = urls(df)
    start = int(str(first[0]).partition("q-sign-time=")[2][:10])
    assert begun - 1 <= start < time.time()
    numbers = range(len(ODD))
    assert first == provided.at(start).presign_many(
        ODD, method=["PUT" if number % 2 else "get" for number in numbers], expires=[86_400 + number for number in numbers],
        query={"x": "1", "versionId": [f"v{number}" for number in numbers], "n": list(numbers)}, headers=named["headers"],
    )  # fmt: skip
    time.sleep(1.1)
    assert urls(df) == first  # computed again: of the same instant


@pytest.mark.parametrize("large", ["true", "false"])
def test_types_pass_through(spark: SparkSession, provided: Signer, large: str) -> None:
    df = spark.sql(
        "SELECT 1 AS number, binary('a.jpg') AS key, DATE'2026-11-26' AS d, TIMESTAMP'2026-11-26 01:02:03.4' AS t, "
        "CAST(1.5 AS DECIMAL(9,2)) AS m, array('x') AS a, map('k', 1) AS k, named_struct('s', 'y') AS s, 'x' AS `a.b`, 'z' AS `中 文`, 1 AS twice, 2 AS twice"
    )
    spark.conf.set("spark.sql.execution.arrow.useLargeVarTypes", large)
    try:
        [row] = presign(df, "key", "url", provided, key_time=TIMES).collect()
    finally:
        spark.conf.unset("spark.sql.execution.arrow.useLargeVarTypes")
    [before] = df.collect()
    assert tuple(row) == (*before, provided.presign("a.jpg", key_time=TIMES))


def test_empty_and_skewed_partitions(spark: SparkSession, provided: Signer) -> None:
    sizes = [0, 25_000, 1, 0, 0, 7, 0]
    keys = [[f"{part}/{row}" for row in range(size)] for part, size in enumerate(sizes)]
    rows = [[(part * 100_000 + row, key) for row, key in enumerate(part_keys)] for part, part_keys in enumerate(keys)]
    df = spark.createDataFrame(spark.sparkContext.parallelize(rows, len(rows)).flatMap(list), "number int, key string")
    assert df.rdd.getNumPartitions() == len(sizes)
    flat = [key for part in keys for key in part]
    assert urls(presign(df, "key", "url", provided, key_time=TIMES)) == provided.presign_many(flat, key_time=TIMES)
    nothing = df.filter("false")
    assert presign(nothing, "key", "url", provided).collect() == []
    assert presign(spark.range(0).selectExpr("cast(id as string) key"), "key", "url", provided).count() == 0


# --- SQL


def test_sql(spark: SparkSession, odd: DataFrame, provided: Signer) -> None:
    cos_presign = register(spark, provided, key_time=TIMES)
    odd.repartition(3).createOrReplaceTempView("inventory")
    wanted = provided.presign_many(ODD, key_time=TIMES)
    assert urls(spark.sql("SELECT number, cos_presign(key) AS url FROM inventory")) == wanted
    assert urls(odd.select("number", cos_presign("key").alias("url"))) == wanted
    register(spark, provided, "cos_version", key_time=TIMES, query={"a": 1}, query_cols=("versionId", "n"))
    versions = [f"v{number}" for number in range(len(ODD))]
    assert urls(spark.sql("SELECT number, cos_version(key, version, number) AS url FROM inventory")) == (
        provided.presign_many(ODD, key_time=TIMES, query={"a": 1, "versionId": versions, "n": list(range(len(ODD)))})
    )
    assert spark.sql("SELECT cos_presign(key) FROM inventory WHERE false").collect() == []


def test_each_query_has_its_instant(spark: SparkSession, provided: Signer) -> None:
    register(spark, provided)
    spark.range(0, 30_000, 1, 4).selectExpr("cast(id as string) key").createOrReplaceTempView("many")

    def instants() -> set[str]:
        rows = spark.sql("SELECT DISTINCT regexp_extract(cos_presign(key), 'q-sign-time=([0-9]+)', 1) AS t FROM many")
        return {row.t for row in rows.collect()}

    begun = int(time.time())
    first = instants()
    assert len(first) == 1
    assert begun - 1 <= int(next(iter(first))) < time.time()
    time.sleep(1.1)
    later = instants()
    assert len(later) == 1
    assert (later != first) is (pyspark.__version__ >= "4")
    if pyspark.__version__ >= "4":
        register(spark, provided.replace(backdate=5000))
        begun = int(time.time())
        [early] = instants()
        assert begun - 5000 <= int(early) <= time.time() - 5000
    register(spark, provided.at(1557989753))
    assert instants() == {"1557989753"}


# --- What is wrong


def failure(action: Any) -> str:
    """What a job ends with, as its user reads it."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - pyspark's classes differ by version
        action()
    return str(caught.value)


@pytest.mark.parametrize(
    "key, reason",
    [
        ("a/../b", "segment"),
        *(
            pytest.param(*each, marks=pytest.mark.long)
            for each in (("", "is empty"), ("/a", "begins with '/'"), ("x" * 851, "850"))
        ),
    ],
)
def test_a_bad_key(spark: SparkSession, provided: Signer, key: str, reason: str) -> None:
    rows = [(number, f"k{number}" if number != 12_345 else key) for number in range(15_000)]
    df = spark.createDataFrame(spark.sparkContext.parallelize([[], rows], 2).flatMap(list), "number int, key string")
    text = failure(lambda: presign(df, "key", "url", provided).collect())
    shown = repr(key) if len(key) < 100 else repr(key)[:100]
    assert f"column 'key' (partition 1, row 12345, key {shown}" in text
    assert reason in text
    assert text.count("cossign.errors") == 1
    marked = presign(df, "key", "url", provided, key_time=TIMES, on_error="null", error_col="why")
    [bad] = marked.filter("url IS NULL").collect()
    assert (bad.number, bad.key) == (12_345, key)
    assert bad.why.startswith(f"column 'key' (partition 1, row 12345, key {shown}")
    assert marked.filter("why IS NULL").count() == 14_999
    register(spark, provided)
    df.createOrReplaceTempView("bad")
    assert f"column 'key' (partition 1, key {shown}" in failure(
        lambda: spark.sql("SELECT cos_presign(key) FROM bad").collect()
    )
    register(spark, provided, on_error="null")
    assert spark.sql("SELECT count(*) AS n FROM bad WHERE cos_presign(key) IS NULL").collect()[0].n == 1
    register(spark, provided, on_error="struct", key_time=TIMES)
    rows = spark.sql("SELECT key, u.* FROM (SELECT key, cos_presign(key) AS u FROM bad WHERE number > 12000)").collect()
    [bad] = [row for row in rows if row.error is not None]
    assert bad.error.startswith(f"column 'key' (partition 1, key {shown}")
    assert (bad.key, bad.url) == (key, None)
    good = [row for row in rows if row.error is None]
    assert [row.url for row in good] == provided.presign_many([row.key for row in good], key_time=TIMES)


def test_columns_that_spark_does_not_give_to_python(spark: SparkSession, provided: Signer) -> None:
    df = spark.sql("SELECT 'a' AS key, INTERVAL 1 MONTH AS every, 1 AS n, INTERVAL 2 YEAR AS years")
    said = r"df has columns that Spark does not give to Python: 'every' \(interval month\), 'years' \(interval year\)\."
    with pytest.raises(ParameterError, match=said):
        presign(df, "key", "url", provided)
    [row] = presign(df.drop("every", "years"), "key", "url", provided, key_time=TIMES).collect()
    assert row.url == provided.presign("a", key_time=TIMES)


def test_names_in_another_case(spark: SparkSession, provided: Signer) -> None:
    """Spark takes them for the same; unless it is told not to, or two columns are meant."""
    df = spark.sql("SELECT 'a' AS Key, 'v' AS Version, 0 AS number")
    wanted = provided.presign_many(["a"], key_time=TIMES, query={"versionId": "v"})
    signed = presign(df, "KEY", "url", provided, key_time=TIMES, query_cols={"versionId": "version"})
    assert urls(signed) == wanted
    assert signed.columns == ["Key", "Version", "number", "url"]
    two = spark.createDataFrame([("a", "b", 0)], "Key string, KEY string, number int")
    with pytest.raises(ParameterError, match="key_col 'key' is not a column: there are 'Key', 'KEY', 'number'"):
        presign(two, "key", "url", provided)
    assert urls(presign(two, "KEY", "url", provided, key_time=TIMES)) == provided.presign_many(["b"], key_time=TIMES)
    with pytest.raises(ParameterError, match="key_col 'key' is the name of several columns"):
        presign(spark.sql("SELECT 'a' AS key, 'b' AS key"), "key", "url", provided)
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        with pytest.raises(ParameterError, match="key_col 'KEY' is not a column: there are 'Key', 'Version', 'number'"):
            presign(df, "KEY", "url", provided)
    finally:
        spark.conf.unset("spark.sql.caseSensitive")


def test_one_name_is_not_several(spark: SparkSession, provided: Signer) -> None:
    with pytest.raises(ParameterError, match=r"query_cols must hold names, as in \['versionId'\], not be a str"):
        register(spark, provided, query_cols="versionId")


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_sql_refuses_what_is_no_text(spark: SparkSession, provided: Signer, ansi: str) -> None:
    """A number would be cast to a text without a word, and signed."""
    setting = "spark.sql.ansi.enabled"
    before = spark.conf.get(setting)
    spark.createDataFrame([("a", 5, b"b", b"\xff")], "key string, size int, bytes binary, odd binary").coalesce(
        1
    ).createOrReplaceTempView("typed")
    try:
        spark.conf.set(setting, ansi)
        register(spark, provided, key_time=TIMES)
        assert spark.conf.get(setting) == ansi
        [row] = spark.sql("SELECT cos_presign(key) AS text, cos_presign(bytes) AS bytes FROM typed").collect()
        assert [row.text, row.bytes] == provided.presign_many(["a", "b"], key_time=TIMES)
        for size in ("size", "CAST(size AS BIGINT)", "CAST(size AS DOUBLE)", "size > 1", "array(key)"):
            text = failure(lambda size=size: spark.sql(f"SELECT cos_presign({size}) FROM typed").collect())
            assert "BINARY" in text or "must be a column of strings" in text
        text = failure(lambda: spark.sql("SELECT cos_presign(odd) FROM typed").collect())
        assert r"column 'key' (partition 0, key b'\xff') is not valid UTF-8" in text
    finally:
        spark.conf.set(setting, before)


def test_a_bad_value_beside_the_key(spark: SparkSession, provided: Signer) -> None:
    df = spark.createDataFrame([("a", 5), ("b", -1)], "key string, seconds int").coalesce(1)
    text = failure(lambda: presign(df, "key", "url", provided, expires_col="seconds").collect())
    assert "column 'seconds' (partition 0, row 1, key 'b') must be greater than 0 seconds" in text


def test_no_credentials_at_an_executor(spark: SparkSession, tmp_path: Path) -> None:
    lost = Signer(FileCredentials(str(tmp_path / "none.yaml")), bucket=BUCKET, region=REGION)
    df = spark.createDataFrame([("a",), ("b",)], "name string").repartition(1)
    text = failure(lambda: presign(df, "name", "url", lost).collect())
    assert "column 'name' (partition 0, row 0): no credentials at this worker:" in text
    assert "none.yaml" in text
    assert text.count("no credentials at this worker") == 1


@pytest.mark.parametrize(
    "named, reason",
    [
        ({"key_col": "seconds"}, "key_col 'seconds' must be a column of strings, not of bigint"),
        ({"key_col": "nothing"}, "key_col 'nothing' is not a column: there are 'number', 'key'"),
        ({"expires_col": "version"}, "expires_col 'version' must be a column of whole numbers, not of string"),
        ({"query_cols": {"v": "nothing"}}, "query_cols 'nothing' is not a column"),
        ({"url_col": "KEY"}, "url_col 'KEY' is a column already"),
        ({"error_col": "why"}, 'error_col needs on_error="null"'),
        ({"on_error": "null", "error_col": "url"}, "error_col 'url' is a column already"),
        ({"on_error": "skip"}, 'on_error must be "raise" or "null"'),
        ({"expires": 0}, "expires must be greater than 0 seconds"),
        ({"expires": 5, "expires_col": "seconds"}, "expires must not be given with expires_col"),
        ({"query": {"v": "1"}, "query_cols": {"v": "version"}}, r"query\['v'\] must not be given with query_cols"),
        ({"method": "G T"}, "method must be an HTTP method"),
        ({"signer_config": {"bucket": "b", "region": "ap-beijing"}}, "bucket"),
        ({"signer_config": {"buckets": "b"}}, "signer_config has a parameter that Signer does not accept"),
        ({"signer_config": "AKID"}, "signer_config must be a Signer, or a mapping of its parameters, not str"),
        ({"signer_config": Signer(Credentials("AKID", "secret-of-the-test"), bucket=BUCKET, region=REGION)}, "pickled"),
    ],
)
def test_wrong_parameters(odd: DataFrame, provided: Signer, named: dict[str, Any], reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as caught:
        presign(odd, **{"key_col": "key", "url_col": "url", "signer_config": provided, **named})
    assert "secret-of-the-test" not in str(caught.value)


def test_a_plan_that_is_carried_out_too_late(odd: DataFrame, provided: Signer) -> None:
    df = presign(odd, "key", "url", provided, expires=1)
    time.sleep(1.2)
    assert "the URLs have ended" in failure(df.collect)
    again = presign(odd, "key", "url", provided.at(TIMES[0]), expires=TIMES[1] - TIMES[0])
    assert urls(again) == provided.presign_many(ODD, key_time=TIMES)


# --- Retries, and the cluster


def killed_once(mark: Path, executor: bool) -> Any:
    """Passes batches on; the first time, it ends its own process, or its executor, in the middle of partition 1."""

    def passed(batches: Iterator[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        for number, batch in enumerate(batches):
            if TaskContext.get().partitionId() == 1 and number == 1 and not mark.exists():
                mark.touch()
                victim = os.getpid()
                if executor:  # a worker's parent is a daemon, whose parent is the executor
                    status = Path(f"/proc/{os.getppid()}/stat").read_text()
                    victim = int(status.rpartition(")")[2].split()[1])
                os.kill(victim, signal.SIGKILL)
                time.sleep(PATIENCE)
            yield batch

    return passed


@pytest.mark.long
def test_a_partition_that_is_killed_and_tried_again(python: None, provided: Signer, tmp_path: Path) -> None:
    with session("local[2,3]", spark__speculation="true") as spark:
        df = spark.range(0, 60_000, 1, 3).selectExpr("id AS number", "concat('k/', id) AS key")
        killed = df.mapInArrow(killed_once(tmp_path / "mark", executor=False), df.schema)
        got = urls(presign(killed, "key", "url", provided, key_time=TIMES))
    assert (tmp_path / "mark").exists()
    assert got == provided.presign_many([f"k/{number}" for number in range(60_000)], key_time=TIMES)


@pytest.mark.long
def test_a_cluster_of_two_workers_one_of_which_dies(python: None, provided: Signer, tmp_path: Path) -> None:
    with session("local-cluster[2,1,1024]", spark__executor__memory="1g", spark__task__maxFailures="4") as spark:
        df = spark.range(0, 200_000, 1, 8).selectExpr("id AS number", "concat('k/', id) AS key")
        killed = df.mapInArrow(killed_once(tmp_path / "mark", executor=True), df.schema)
        signed = presign(killed, "key", "url", provided)
        out = str(tmp_path / "out")
        signed.write.parquet(out)
        got = urls(spark.read.parquet(out))
        start = int(str(got[0]).partition("q-sign-time=")[2][:10])
        assert spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() >= 2
    assert (tmp_path / "mark").exists()
    assert got == provided.at(start).presign_many([f"k/{number}" for number in range(200_000)])


@pytest.mark.long
def test_at_scale(python: None, provided: Signer, at_scale: AtScale, tmp_path: Path) -> None:
    with session("local[2,3]", spark__driver__memory="4g") as spark:
        df = spark.read.parquet(*map(str, at_scale.files))
        killed = df.mapInArrow(killed_once(tmp_path / "mark", executor=False), df.schema)
        presign(killed, "key", "url", provided, key_time=TIMES).write.parquet(str(tmp_path / "out"))
        register(spark, provided, key_time=TIMES)
        df.createOrReplaceTempView("scale")
        spark.sql("SELECT number, cos_presign(key) AS url FROM scale").write.parquet(str(tmp_path / "sql"))
    assert (tmp_path / "mark").exists()
    assert hash_of(pq.read_table(tmp_path / "out")) == at_scale.hash
    assert hash_of(pq.read_table(tmp_path / "sql")) == at_scale.hash


# --- Secrets


def test_no_secret_is_shown(python: None, provided: Signer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither by plans, closures, the event log, the UI and its API, nor by what a failed job says."""
    events, local = tmp_path / "events", tmp_path / "local"
    events.mkdir()
    options = {
        "spark__eventLog__enabled": "true", "spark__eventLog__dir": events.as_uri(), "spark__ui__enabled": "true",
        "spark__ui__port": "0", "spark__local__dir": str(local), "spark__sql__debug__maxToStringFields": "1000",
        "spark__eventLog__compress": "false",
    }  # fmt: skip
    seen: dict[str, bytes] = {}
    with session("local[2]", **options) as spark:
        spark.sparkContext.setLogLevel("INFO")
        df = spark.createDataFrame([("a",), ("b",), ("../c",)], "key string").repartition(2)
        signed = presign(df, "key", "url", provided, on_error="null")
        register(spark, provided, on_error="null")
        df.createOrReplaceTempView("secretive")
        query = spark.sql("SELECT cos_presign(key) AS url FROM secretive")
        for name, each in {"presign": signed, "sql": query}.items():
            assert sum(row.url is not None for row in each.collect()) == 2
            seen[f"plan of {name}"] = each._jdf.queryExecution().toString().encode()
            seen[f"description of {name}"] = each._jdf.queryExecution().explainString(
                spark._jvm.org.apache.spark.sql.execution.ExplainMode.fromString("extended")
            ).encode()  # fmt: skip
        seen["failure"] = failure(lambda: presign(df, "key", "url", provided).collect()).encode()
        seen["closure"] = closure(signed._jdf.queryExecution().analyzed())
        assert b"EnvironmentCredentials" in seen["closure"]
        base = spark.sparkContext.uiWebUrl
        application = spark.sparkContext.applicationId
        pages = ["/jobs/", "/stages/", "/environment/", "/executors/", "/SQL/", "/SQL/execution/?id=0"]
        pages += [
            f"/api/v1/applications/{application}/{each}"
            for each in ("environment", "jobs", "stages", "sql?details=true", "allexecutors")
        ]
        for page in pages:
            with urllib.request.urlopen(f"{base}{page}", timeout=PATIENCE) as answer:
                seen[page] = answer.read()
                assert len(seen[page]) > 10
        for file in local.rglob("*"):
            if file.is_file():
                seen[str(file)] = file.read_bytes()
    for file in events.rglob("*"):
        if file.is_file():
            seen[str(file)] = file.read_bytes()
    log = b"".join(text for name, text in seen.items() if name.startswith(str(events)))
    assert log.count(b"SparkListenerSQLExecutionStart") >= 3
    out, err = capfd.readouterr()
    seen["log"] = (out + err).encode()
    assert {name for name, text in seen.items() if SECRET_KEY.encode() in text} == set()
    assert any(SECRET_ID.encode() in text for name, text in seen.items()) is False  # nor the SecretId, in none of them


def closure(plan: Any) -> bytes:
    """What a plan sends to the workers."""
    while plan.getClass().getSimpleName() not in ("MapInArrow", "PythonMapInArrow"):  # the latter is Spark 3.5's
        plan = plan.children().apply(0)
    command = plan.functionExpr().func().command()
    return bytes(command.apply(place) & 255 for place in range(command.size()))


def test_one_provider_for_all_tasks_of_a_worker(spark: SparkSession, tmp_path: Path) -> None:
    """A role's or STS's credentials are fetched once by a process, not by each task."""
    counter = tmp_path / "fetched"

    class Counting:
        def get(self) -> Credentials:
            if not hasattr(self, "_found"):
                with counter.open("a") as file:
                    file.write(f"{os.getpid()}\n")
                self._found = Credentials(SECRET_ID, SECRET_KEY)
            return self._found

    signer = Signer(Counting(), bucket=BUCKET, region=REGION)
    df = spark.range(0, 1000, 1, 20).selectExpr("cast(id AS string) AS key")
    presign(df, "key", "url", signer).collect()
    presign(df, "key", "url", signer).collect()
    fetched = counter.read_text().split()
    assert len(fetched) == len(set(fetched)) <= 4


def test_what_travels_is_pickled_without_a_secret(provided: Signer) -> None:
    assert SECRET_KEY.encode() not in pickle.dumps(provided)


# --- Inventories


KEYS = [key for key in ODD if key is not None]


@pytest.mark.parametrize("form", FORMS)
def test_inventory(spark: SparkSession, provided: Signer, tmp_path: Path, form: str) -> None:
    df = read_inventory(spark, str(inventory(tmp_path / "a folder", form, KEYS)))
    key = df.columns[2] if form == "CSV" else "key"
    assert sorted(row[key] for row in df.collect()) == sorted(KEYS)
    assert [tuple(row) for row in df.filter(f"{key} = 'a+b'").select("size").collect()] == [(3,)]
    if form == "CSV":
        assert df.columns == ["Appid", "Bucket", "Key", "Size", "Tag"]
        assert df.select("Tag").distinct().collect()[0].Tag == 'x "y", z'
    signed = presign(df, key, "url", provided, key_time=TIMES).collect()
    assert {row[key]: row.url for row in signed} == dict(
        zip(KEYS, provided.presign_many(KEYS, key_time=TIMES), strict=True)
    )


def test_inventory_in_a_bucket(python: None, tmp_path: Path) -> None:
    """Data files lie where the manifest says, in its bucket; here a file system that Spark alone knows."""
    manifest = inventory(tmp_path / "report", "CSV", KEYS, plain="+/")  # a plus is no space
    there = tmp_path / "cos" / BUCKET
    there.mkdir(parents=True)
    (tmp_path / "report" / "data.csv.gz").rename(there / "data.csv.gz")
    with session(
        "local[2]",
        **{f"spark__hadoop__fs__viewfs__mounttable__bucket__link__/{each}": (tmp_path / each).as_uri() for each in ("report", "cos")},
    ) as spark:  # fmt: skip
        df = read_inventory(spark, "viewfs://bucket/report/manifest.json")
        assert sorted(row.Key for row in df.collect()) == sorted(KEYS)
        there.joinpath("data.csv.gz").write_bytes(b"short")
        with pytest.raises(ParameterError, match="has 5 bytes, not the manifest's"):
            read_inventory(spark, "viewfs://bucket/report/manifest.json")
    assert manifest.exists()


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda folder: (folder / "data.csv.gz").unlink(), "missing"),
        (lambda folder: (folder / "data.csv.gz").write_bytes(b"x"), "has 1 bytes, not the manifest's"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "manifest.json").unlink(), "cannot be read"),
    ],
)
def test_inventories_that_are_wrong(spark: SparkSession, tmp_path: Path, change: Any, reason: str) -> None:
    manifest = inventory(tmp_path / "report", "CSV", KEYS)
    change(manifest.parent)
    with pytest.raises(ParameterError, match=reason):
        read_inventory(spark, str(manifest))


def test_an_inventory_with_a_key_that_is_not_utf8(spark: SparkSession, tmp_path: Path) -> None:
    manifest = inventory(tmp_path / "report", "CSV", ["a"])
    data = gzip.compress(f'"1250000000","{BUCKET}","a%FFb","1",""\n'.encode())
    (manifest.parent / "data.csv.gz").write_bytes(data)
    report = json.loads(manifest.read_text())
    report["files"][0]["size"] = str(len(data))
    manifest.write_text(json.dumps(report))
    assert "not UTF-8: a%FFb" in failure(lambda: read_inventory(spark, str(manifest)).collect())


def test_the_default_chain(spark: SparkSession, odd: DataFrame, provided: Signer, environment: None) -> None:
    df = presign(odd, "key", "url", {"bucket": BUCKET, "region": REGION}, key_time=TIMES)
    assert urls(df) == provided.presign_many(ODD, key_time=TIMES)
    named = {"credentials": EnvironmentCredentials(), "bucket": BUCKET, "region": REGION, "scheme": "http"}
    assert str(urls(presign(odd, "key", "url", named))[0]).startswith("http://")

"""Signer: presign, presign_many, authorization, object_url, and what it refuses."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pyarrow
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from cossign import (
    COS,
    BulkResult,
    Credentials,
    CredentialsError,
    EnvironmentCredentials,
    KeyNameError,
    ParameterError,
    Signer,
    _core,
    engines,
)
from cossign._core import Column
from cossign.bulk import _Rows
from cossign.endpoint import LEGACY_REGIONS, REGIONS, bucket_in, endpoint, read_host
from tests import reference
from tests.conftest import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY

pytestmark = pytest.mark.usefixtures("engine")  # all of it by every engine

KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x18\x19\x1a\x1b"), min_size=1, max_size=80
).filter(lambda key: key[0] not in "/\\" and not {".", ".."} & set(key.split("/")))
TIMES = (1_700_000_000, 1_700_000_900)
KEY_TIME = "1700000000;1700000900"


def referred(key: str, query: dict[str, str], headers: dict[str, str], method: str = "GET") -> str:
    return reference.signed(SECRET_KEY, method, "/" + key, query.items(), {**headers, "Host": HOST}.items(), KEY_TIME)[
        "signature"
    ]


@given(KEYS, st.dictionaries(st.sampled_from(["a", "B", "response-content-type", "x/y"]), KEYS, max_size=3))
def test_presign_is_the_reference_and_one_is_a_batch_of_one(key: str, query: dict[str, str]) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    url = signer.presign(key, query=query, key_time=TIMES)
    assert signer.presign_many([key], query=query, key_time=TIMES) == [url]
    parts = urlsplit(url)
    assert unquote(parts.path) == "/" + key
    fields = parse_qsl(parts.query, keep_blank_values=True)
    assert dict(fields)["q-signature"] == referred(key, query, {})
    assert sorted(fields[7:]) == sorted(query.items())
    values = reference.signed(SECRET_KEY, "GET", "/" + key, query.items(), [("Host", HOST)], KEY_TIME)
    assert f"q-signature={values['signature']}" in signer.authorization("GET", key, query=query, key_time=TIMES)


def test_presigned_url_in_the_documented_form(signer: Signer) -> None:
    made = Signer(Credentials(SECRET_ID, SECRET_KEY, token="to+k/en="), bucket=BUCKET, region=REGION).presign(
        "a b/腾.txt", query={"b": "x y", "A/c": 'q"'}, headers={"Range": "bytes=0-9"}, key_time=TIMES
    )
    signature = referred("a b/腾.txt", {"b": "x y", "A/c": 'q"'}, {"Range": "bytes=0-9"})
    assert made == (
        f"https://{HOST}/a%20b/%E8%85%BE.txt?q-sign-algorithm=sha1&q-ak={SECRET_ID}"
        "&q-sign-time=1700000000%3B1700000900&q-key-time=1700000000%3B1700000900"
        f"&q-header-list=host%3Brange&q-url-param-list=a%252fc%3Bb&q-signature={signature}"
        "&x-cos-security-token=to%2Bk%2Fen%3D&A%2Fc=q%22&b=x%20y"
    )


def test_the_clock_is_time_time_and_starts_a_second_ago(signer: Signer) -> None:
    for moment in (1_700_000_000.9, 1_700_000_001.2, 1_700_000_001.9):
        with time_machine.travel(moment, tick=False):
            start = int(moment) - 1
            assert f"q-sign-time={start}%3B{start + 900}&" in signer.presign("a")
            assert f"q-sign-time={start}%3B{start + 60}&" in signer.presign("a", expires=60)


def test_host_is_signed_unless_given_or_refused(credentials: Credentials, signer: Signer) -> None:
    assert "q-header-list=host&" in signer.authorization("GET", "a")
    given_host = signer.authorization("GET", "a", headers={"hOST": "x"}, key_time=TIMES)
    assert reference.signed(SECRET_KEY, "get", "/a", [], [("host", "x")], KEY_TIME)["signature"] in given_host
    assert "q-header-list=&" in Signer(credentials, sign_host=False).authorization("GET", "a")
    with pytest.raises(ParameterError, match="bucket"):
        Signer(credentials).authorization("GET", "a")


def test_object_url(signer: Signer, credentials: Credentials) -> None:
    assert signer.object_url("a b.jpg") == f"https://{HOST}/a%20b.jpg"
    assert signer.object_url("a", query={"B": 1, "a": None}) == f"https://{HOST}/a?a=&B=1"
    cdn = Signer(credentials, bucket=BUCKET, region=REGION, domain="CDN.Example.com/", scheme="http")
    assert cdn.object_url("x") == "http://cdn.example.com/x"
    assert (
        Signer(credentials, bucket=BUCKET, region=REGION, accelerate=True)
        .object_url("x")
        .startswith(f"https://{BUCKET}.cos.accelerate.")
    )


# --- Bulk


@given(st.lists(st.one_of(KEYS, st.none()), max_size=200))
def test_bulk_equals_single_in_order_with_nulls(keys: list[str | None]) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    expected = [None if key is None else signer.presign(key, key_time=TIMES) for key in keys]
    assert signer.presign_many(keys, key_time=TIMES) == expected
    assert signer.presign_many(iter(keys), key_time=TIMES) == expected


@pytest.mark.parametrize("count", [*range(5), 63, 64, 65, 127, 128, 129, 1000])
def test_every_tile_size(signer: Signer, count: int) -> None:
    keys = ["é" * (index % 70) + str(index) for index in range(count)]
    assert signer.presign_many(keys, key_time=TIMES) == [signer.presign(key, key_time=TIMES) for key in keys]


def test_columns(signer: Signer) -> None:
    keys = [f"k{index}" for index in range(130)]
    names: list[Any] = [f'a"{index}' if index % 3 else None for index in range(130)]
    query = {"fixed": "1", "name": names, "z": list(range(130))}
    made = signer.presign_many(keys, query=query, key_time=TIMES)
    assert made == [
        signer.presign(
            key, query={"fixed": "1", **({} if name is None else {"name": name}), "z": index}, key_time=TIMES
        )
        for index, (key, name) in enumerate(zip(keys, names, strict=True))
    ]
    with time_machine.travel(1_700_000_000.5, tick=False):
        methods = ["GET" if index % 2 else "PUT" for index in range(130)]
        expires = [60 * (1 + index % 4) for index in range(130)]
        assert signer.presign_many(iter(keys), method=methods, expires=expires, query={"n": names}) == [
            signer.presign(key, method=method, expires=seconds, query={} if name is None else {"n": name})
            for key, method, seconds, name in zip(keys, methods, expires, names, strict=True)
        ]


@pytest.mark.parametrize("column", ["query", "method", "expires"])
@pytest.mark.any_engine
def test_a_column_of_another_length(signer: Signer, column: str) -> None:
    values: Any = {"query": {"a": ["1"]}, "method": ["GET"], "expires": [1]}[column]
    with pytest.raises(ParameterError, match=f"{column}.*as long as keys: 2 rows, not 1"):
        signer.presign_many(["a", "b"], **{column: values})


def test_bad_rows_in_columns_name_the_row(signer: Signer) -> None:
    keys = ["a", "b", "c"]
    with pytest.raises(ParameterError, match=r"query\['n'\]\[1\] must be a str, a number"):
        signer.presign_many(keys, query={"n": ["1", object(), "2"]})
    with pytest.raises(ParameterError, match=r"method\[2\] must be an HTTP method"):
        signer.presign_many(keys, method=["GET", "GET", "G T"])
    with pytest.raises(ParameterError, match=r"expires\[1\] must be greater than 0"):
        signer.presign_many(keys, expires=[1, 0, 1])
    with pytest.raises(KeyNameError, match=r"keys\[2\] is empty"):
        signer.presign_many(["a", "b", ""], expires=[1, 2, 2])
    # the first bad row is raised, whichever rows are signed together
    with pytest.raises(KeyNameError, match=r"keys\[1\] is empty"):
        signer.presign_many(["a", "", "", ""], method=["GET", "PUT", "GET", "HEAD"])
    with pytest.raises(ParameterError, match=r"method\[1\] must be an HTTP method"):
        signer.presign_many(["a", "b", ""], method=["GET", "P T", "GET"])
    result = signer.presign_many(
        ["a", "", "c", "d"], method=["GET", "PUT", "P T", "PUT"], query={"n": [1, 2, 3, object()]}, on_error="null"
    )
    assert isinstance(result, BulkResult)
    assert [index for index, _ in result.errors] == [1, 2, 3]
    assert [value is None for value in result] == [False, True, True, True]


def single(signer: Signer, keys: list[Any], index: int, columns: dict[str, list[Any]], query: Any) -> Any:
    """What a call for one row alone gives: its URL, or the error."""
    if keys[index] is None:
        return None
    own = {name: column[index] for name, column in columns.items()}
    present = {name: column[index] for name, column in query.items() if column[index] is not None}
    try:
        return signer.presign(keys[index], query=present, **own)
    except ParameterError as error:
        return error


ODD_VALUES = {
    "expires": (None, 0, -5, 10**10, 10**12),
    "method": (None, "G T", "", "\xdc", "x" * 31, "x" * 32, "x" * 200, "pa\0tch"),
}


@pytest.mark.parametrize("seed", range(12))
def test_rows_that_differ_are_signed_as_they_are_alone(signer: Signer, seed: int) -> None:
    source = random.Random(seed)
    parameters: dict[str, Any] = {
        "round_to": source.choice((None, None, 7, 300)), "backdate": source.choice((1, 60)),
        "sign_host": source.random() < 0.8,
        "credentials": Credentials(SECRET_ID, "k" * source.choice((1, 64, 65, 200)), source.choice((None, "TOK"))),
    }  # fmt: skip
    start = source.choice((TIMES[0], TIMES[0], 5, 999_999_000, 9_999_998_000))  # KeyTimes of every length
    signer = signer.replace(**parameters).at(start)
    rows = source.choice((1, 5, 300, 700))
    keys: list[Any] = [f"k{source.randrange(10**9)}{source.choice(('', ' ', 'é'))}" for _ in range(rows)]
    for _ in range(rows // 50):
        keys[source.randrange(rows)] = source.choice(("", None, "/a", "a/../b", "x" * 300))
    many = source.choice((3, 5000))
    columns: dict[str, list[Any]] = {}
    for name in source.choice((("expires",), ("method",), ("method", "expires"))):
        plain = ("GET", "PUT", "delete", "M-SEARCH") if name == "method" else range(60, 60 + many)
        odd = source.random() < 0.5
        columns[name] = [
            source.choice(ODD_VALUES[name] if odd and source.random() < 0.05 else plain) for _ in range(rows)
        ]
    query = {"a": [source.choice(("1", "é 2", "", None)) for _ in keys]} if source.random() < 0.5 else {}
    wanted = [single(signer, keys, index, columns, query) for index in range(rows)]
    urls = [None if isinstance(each, ParameterError) else each for each in wanted]
    bad = [index for index, each in enumerate(wanted) if isinstance(each, ParameterError)]
    threads = source.choice((1, 3))
    found = signer.presign_many(keys, query=query, on_error="null", threads=threads, **columns)
    assert isinstance(found, BulkResult)
    assert found == urls
    assert [index for index, _ in found.errors] == bad
    if bad:
        with pytest.raises(ParameterError) as raised:
            signer.presign_many(keys, query=query, **columns)
        assert raised.value.index == bad[0]
        assert raised.value.reason == wanted[bad[0]].reason
    packed = signer.presign_packed(keys, query=query, on_error="null", threads=threads, **columns)
    assert list(packed) == urls
    assert packed.errors == found.errors
    pa = pytest.importorskip("pyarrow")
    kinds = {"method": pa.string(), "expires": pa.int64()}
    arrays = {name: pa.array(column, kinds[name]) for name, column in columns.items()}
    of_query = {name: pa.array(column, pa.string()) for name, column in query.items()}
    signed = signer.presign_arrow(
        pa.array(keys, pa.string()), query=of_query, on_error="null", threads=threads, **arrays
    )
    assert pa.chunked_array(signed).to_pylist() == urls
    assert sorted(index for index, _ in signed.errors) == bad


def test_more_expiries_and_methods_than_are_kept(signer: Signer) -> None:
    rows = 9000 if signer.engine != "hashlib" else 600
    keys = [f"{number}" for number in range(rows)]
    expires, methods = [60 + number for number in range(rows)], [f"M{number % 3000}" for number in range(rows)]
    fixed = signer.at(TIMES[0])
    for columns in ({"expires": expires}, {"method": methods}, {"expires": expires, "method": methods}):
        found = fixed.presign_many(keys, **columns)  # type: ignore[arg-type]
        for index in range(0, rows, 97):
            assert found[index] == fixed.presign(
                keys[index],
                **{name: column[index] for name, column in columns.items()},  # type: ignore[arg-type]
            )


def test_what_stands_for_a_refused_value_is_no_value_of_a_caller(signer: Signer) -> None:
    values = [5, None, "method 0", 5, "GET"]
    found = signer.presign_many(["a"] * 5, method=values, on_error="null")  # type: ignore[arg-type]
    assert isinstance(found, BulkResult)
    assert [reason for _, reason in found.errors] == [
        "method must be a str, not int", "method must be a str, not NoneType", 'method must be an HTTP method, such as "GET"',
        "method must be a str, not int",
    ]  # fmt: skip
    for number in (2**70, -(2**70), 10**25, 10**5000):
        with pytest.raises(ParameterError, match=r"expires\[1\]") as raised:
            signer.presign_many(["a", "b"], expires=[900, number])
        if abs(number) < 10**4000:
            with pytest.raises(ParameterError) as alone:
                signer.presign("b", expires=number)
            assert raised.value.reason == alone.value.reason
    many = {f"p{number}": ["1"] for number in range(1024)}
    signer = signer.at(TIMES[0])
    assert signer.presign_many(["a"], query=many, method=["GET"]) == signer.presign_many(["a"], query=many)


def test_with_a_key_time_expiries_are_not_read(signer: Signer) -> None:
    wanted = signer.presign("a", key_time=TIMES)
    junk: Any = ["junk", None]
    assert signer.presign("a", key_time=TIMES, expires="junk") == wanted
    assert signer.presign_many(["a", "a"], key_time=TIMES, expires=junk) == [wanted, wanted]
    column = pyarrow.array(["junk", None])
    signed = signer.presign_arrow(pyarrow.array(["a", "a"]), key_time=TIMES, expires=column)
    assert pyarrow.chunked_array(signed).to_pylist() == [wanted, wanted]


def test_a_row_that_is_larger_than_a_chunk_differs(signer: Signer) -> None:
    query = {"q": "x" * 600_000}
    found = pyarrow.chunked_array(
        signer.presign_arrow(pyarrow.array(["a", "b"]), query=query, expires=pyarrow.array([60, 120]))
    )
    assert [len(url) for url in found.to_pylist()] == [len(signer.presign("a", query=query))] * 2


def test_rows_that_differ_leave_nothing_behind(signer: Signer) -> None:
    """What holds a secret is wiped when the call is over, and not when Python looks for circles."""

    def kept() -> int:
        return sum(isinstance(each, (_core.RowDifferences, _Rows)) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    before = kept()
    try:
        for _ in range(3):
            signer.presign_many(["a", "b"], expires=[60, "1m"], method=["GET", 5], on_error="null")  # type: ignore[list-item]
            pyarrow.chunked_array(
                signer.presign_arrow(pyarrow.array(["a"]), expires=pyarrow.array([-5]), on_error="null")
            )
            with pytest.raises(KeyNameError):  # the last row is never reached
                signer.presign_many([""] * 601, method=[*["GET"] * 600, 5])  # type: ignore[list-item]
        assert kept() <= before
    finally:
        gc.enable()


def test_a_call_asks_for_its_credentials_once() -> None:
    asked: list[str] = []

    class Provider:
        def get(self) -> Credentials:
            asked.append("x")
            return Credentials(SECRET_ID, SECRET_KEY)

    signer = Signer(Provider(), bucket=BUCKET, region=REGION)
    calls: list[Callable[[], Any]] = [
        lambda: signer.presign("a"), lambda: signer.presign("a", query={"b": "1"}), lambda: signer.presign("a", key_time=TIMES),
        lambda: signer.presign_many(["a"]), lambda: signer.presign_many(["a"], expires=[5]),
        lambda: signer.presign_arrow(pyarrow.array(["a"])), lambda: signer.authorization("GET", "a", headers={"a": "b"}),
        lambda: signer.sign_request("GET", "/a", {"host": HOST}), lambda: signer.post_policy("a"),
    ]  # fmt: skip
    for call in calls:
        asked.clear()
        call()
        assert asked == ["x"]


def test_other_credentials_in_the_same_second() -> None:
    """What is kept for the next call is of one SecretKey."""
    every = [Credentials(SECRET_ID, SECRET_KEY), Credentials("AKIDOTHER", "other")]

    class Rotating:
        place = 0

        def get(self) -> Credentials:
            return every[self.place]

    provider = Rotating()
    signer = Signer(provider, bucket=BUCKET, region=REGION).at(TIMES[0])
    alone = [Signer(each, bucket=BUCKET, region=REGION).at(TIMES[0]) for each in every]
    calls: list[Callable[[Signer], Any]] = [
        lambda signer: signer.presign("a"), lambda signer: signer.presign("a", method="PUT"),
        lambda signer: signer.presign_many(["a"]), lambda signer: signer.authorization("GET", "a"),
        lambda signer: signer.sign_request("GET", "/a", {"host": HOST}),
    ]  # fmt: skip
    for place in (0, 1, 0):
        provider.place = place
        for call in calls:
            assert call(signer) == call(alone[place])


def test_at_shares_the_memory_of_results(signer: Signer) -> None:
    """New pages cost more than signing does."""
    assert signer.at(TIMES[0])._memory is signer._memory
    assert signer.replace(expires=60)._memory is not signer._memory


def test_a_signer_does_not_change(signer: Signer) -> None:
    for name in ("bucket", "start", "expires", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(signer, name, None)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(signer, name)
    assert "where" in dir(Signer(signer.credentials))
    assert {name for name in dir(signer) if not name.startswith("_")} >= {"bucket", "clock", "start", "verify"}


def test_a_value_is_refused_in_the_order_of_its_row(signer: Signer) -> None:
    with pytest.raises(KeyNameError, match=r"keys\[0\]"):
        signer.presign_many(["", "b"], query={"n": ["1", object()]})
    found = signer.presign_many(["a", "", "c"], query={"n": [object(), "1", object()]}, on_error="null")
    assert isinstance(found, BulkResult)
    assert [index for index, _ in found.errors] == [0, 1, 2]


def test_on_error_null(signer: Signer) -> None:
    result = signer.presign_many(["a", "/b", None, "c\ud800", "d" * 851, 5, "e"], key_time=TIMES, on_error="null")  # type: ignore[list-item]
    assert isinstance(result, BulkResult)
    assert [value is None for value in result] == [False, True, True, True, True, True, False]
    assert [index for index, _ in result.errors] == [1, 3, 4, 5]
    assert all(reason for _, reason in result.errors)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [0, 1, 511, 513, 1025, 20_000])
def test_packed_urls_are_those_of_the_list(signer: Signer, rows: int, threads: int) -> None:
    rows = min(rows, 9000) if signer.engine == "hashlib" else rows
    keys: list[Any] = [None if number % 997 == 5 else f"{number:03d} é" for number in range(rows)]
    wanted = signer.presign_many(keys, key_time=TIMES)
    packed = signer.presign_packed(iter(keys), key_time=TIMES, threads=threads)
    assert isinstance(packed, Sequence)
    assert len(packed) == rows
    assert list(packed) == list(iter(packed)) == wanted
    assert [packed[row] for row in range(rows)] == wanted
    assert [packed[row - rows] for row in range(rows)] == wanted
    for part in (slice(None), slice(3, -2, 7), slice(None, None, -1), slice(5, 2), slice(-900, 10**9)):
        assert packed[part] == wanted[part]
    for row in (rows, -rows - 1, 2**63 - 1, -(2**63)):
        with pytest.raises(IndexError, match=f"there are {rows} URLs"):
            packed[row]
    assert pickle.loads(pickle.dumps(packed)) == list(reversed(packed))[::-1] == wanted
    assert packed.errors == []


def test_packed_urls_stay_as_they_are(signer: Signer) -> None:
    """What follows has memory of its own, also where the Signer's is used again."""
    first = signer.presign_packed(["a"] * 700, key_time=TIMES)
    last, passing = first[-1], iter(first)
    for key in ("b", "c"):
        signer.presign_packed([key] * 700, key_time=TIMES)
        signer.presign_packed([key] * 20_000 if signer.engine != "hashlib" else [key], key_time=TIMES)
    assert set(first) == {last}
    del first
    gc.collect()
    signer.presign_packed(["d"] * 700, key_time=TIMES)
    assert set(passing) == {last}


@pytest.mark.parametrize("threads", [1, 2])
def test_packed_urls_larger_than_a_chunk(signer: Signer, threads: int) -> None:
    values = ["x" * size for size in (5, 600_000, 1_200_000, 7, 400_000, 400_000, 400_000, 9)]
    keys = [f"{number}" for number in range(len(values))]
    packed = signer.presign_packed(keys, query={"a": values}, key_time=TIMES, threads=threads)
    assert list(packed) == signer.presign_many(keys, query={"a": values}, key_time=TIMES)
    assert len(packed[2]) > 1_200_000


@pytest.mark.long
def test_packed_urls_with_many_large_values(signer: Signer) -> None:
    """The bound of a block is more than a chunk may have, and no row's is."""
    values = ["x" * 1_500_000] * 480
    assert len(signer.presign_packed(["a"] * 480, query={"a": values})) == 480


def test_few_packed_urls_take_little_memory(signer: Signer) -> None:
    """Also those of an iterator, whose number is not known before."""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system has no /proc")
    code = f"""
from cossign import Credentials, Signer

def resident_pages():  # ru_maxrss would begin with what the parent had
    return int(open("/proc/self/statm").read().split()[1])

signer = Signer(Credentials("AKID", "key"), bucket="{BUCKET}", region="{REGION}", engine="{signer.engine}")
signer.presign_packed(["a"] * 20_000)
for keys in (lambda: ["a"] * 10, lambda: iter(["a"] * 10)):
    before = resident_pages()
    kept = [signer.presign_packed(keys()) for _ in range(200)]
    print(resident_pages() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(int(pages) * os.sysconf("SC_PAGE_SIZE") < 15 << 20 for pages in done.stdout.split()), done.stdout


def test_a_packed_iterator_needs_its_urls(signer: Signer) -> None:
    packed = signer.presign_packed(["a", "b"])
    with pytest.raises(TypeError):
        type(iter(packed))()  # type: ignore[call-arg]
    for row in (2**64, -(2**64)):
        with pytest.raises(IndexError):
            packed[row]
    match packed:
        case [first, _]:
            assert first == packed[0]
        case _:
            pytest.fail("it is no sequence to a match statement")


def test_packed_urls_are_searched_as_a_list(signer: Signer) -> None:
    packed = signer.presign_packed(["a", "b", "a"], key_time=TIMES)
    assert packed[0] in packed
    assert packed.index(packed[1]) == 1
    assert packed.count(packed[0]) == 2
    assert repr(packed) == "<PackedUrls: 3 URLs>"
    with pytest.raises(TypeError):
        packed["a"]  # type: ignore[call-overload]
    assert signer.presign_packed(["a", "/b"], on_error="null").errors[0][0] == 1


@pytest.mark.parametrize("call", ["presign_many", "presign_packed"])
@pytest.mark.parametrize("place", [0, 63, 64, 200])
def test_a_bad_row_is_named_and_nothing_is_returned(signer: Signer, place: int, call: str) -> None:
    keys = [f"key{index}" for index in range(300)]
    keys[place] = "../up"
    with pytest.raises(KeyNameError, match=rf"keys\[{place}\].*segment") as caught:
        getattr(signer, call)(keys)
    assert caught.value.index == place
    assert pickle.loads(pickle.dumps(caught.value)).index == place


@pytest.mark.any_engine
def test_an_iterable_that_fails_is_heard(signer: Signer) -> None:
    def keys() -> Iterator[str]:
        yield from map(str, range(100))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        signer.presign_many(keys())


# --- Keys


@pytest.mark.parametrize(
    "key, said",
    [
        ("", "empty"), ("a" * 851, "850 bytes"), ("腾" * 284, "850 bytes"), ("/a", "begins with"), ("\\a", "begins with"),
        ("a\x18", "control"), ("a\x1bb", "control"), ("..", "segment"), ("a/./b", "segment"), ("a/..", "segment"),
        ("./a", "segment"), ("a\ud800", "surrogate"), (None, "must be a str"), (b"a", "must be a str"), (5, "must be a str"),
    ],
)  # fmt: skip
def test_strict_refuses(signer: Signer, key: Any, said: str) -> None:
    for call in (signer.presign, signer.object_url, lambda key: signer.authorization("GET", key)):
        with pytest.raises(KeyNameError, match=said):
            call(key)


def test_every_character_is_encoded_wherever_it_stands(credentials: Credentials) -> None:
    """Short and long, at every place of a vector, in the path and in a value: as urllib's quote does it."""
    loose = Signer(credentials, bucket=BUCKET, region=REGION, strict=False)
    characters = [chr(code) for code in range(256)] + ["腾", "😀", "\uffff"]
    for before, after in ((0, 0), (0, 15), (3, 40), (15, 0), (15, 1), (16, 16), (17, 30), (33, 2)):
        texts = ["a" * before + character + "Z9" * after for character in characters]
        made = loose.presign_many(texts, query={"n": texts}, key_time=TIMES)
        for text, url in zip(texts, made, strict=True):
            assert urlsplit(url)[2] == "/" + quote(text, safe="-_.~/")
            assert url.endswith("&n=" + quote(text, safe="-_.~"))


def test_strict_refuses_wherever_it_stands(signer: Signer) -> None:
    for before in range(50):
        for after in (0, 1, 7, 20):
            for odd, said in (("/.", "segment"), ("/..", "segment"), ("\x18", "control"), ("\x1b", "control")):
                key = "b" * before + odd + ("/" + "c" * after if after else "")
                if not before and odd[0] == "/":
                    key = key[1:]
                with pytest.raises(KeyNameError, match=said):
                    signer.presign(key)
                fine = key.replace("/.", "/a").replace("\x18", " ").replace("\x1b", "\x1c").replace("..", "x", 1)
                if before:
                    assert signer.verify(signer.presign(fine)).key == fine


@pytest.mark.parametrize("key", ["a" * 850, "腾" * 283, "a/.b/c..d/...", "a\x17\x1c\n", "a//b", " ", ".hidden", "a."])
def test_strict_allows(signer: Signer, key: str) -> None:
    assert signer.verify(signer.presign(key)).key == key


def test_not_strict(credentials: Credentials) -> None:
    loose = Signer(credentials, bucket=BUCKET, region=REGION, strict=False)
    for key in ("", "/a", "a/../b", "\x18", "a" * 2000):
        assert f"q-signature={referred(key, {}, {})}" in loose.presign(key, key_time=TIMES)
    with pytest.raises(KeyNameError, match="surrogate"):
        loose.presign("\ud800")


# --- Parameters


@pytest.mark.parametrize(
    "expires",
    [0, -1, float("nan"), float("inf"), True, 1.5, "6x", "0", timedelta(0), timedelta(microseconds=1), 10**10],
)
@pytest.mark.any_engine
def test_bad_expires(signer: Signer, credentials: Credentials, expires: Any) -> None:
    with pytest.raises(ParameterError, match="expires"):
        signer.presign("a", expires=expires)
    with pytest.raises(ParameterError, match="expires"):
        signer.presign_many(["a"], expires=expires)
    with pytest.raises(ParameterError, match="expires"):
        Signer(credentials, expires=expires)


@pytest.mark.parametrize("key_time", [(2, 1), (1, 1), (-1, 5), (1, 10**10), (1.0, 2), "1;2", (1,), [1, 2], (True, 2)])
@pytest.mark.any_engine
def test_bad_key_time(signer: Signer, key_time: Any) -> None:
    with pytest.raises(ParameterError, match="key_time"):
        signer.presign("a", key_time=key_time)


@pytest.mark.parametrize("method", ["", "G T", "GET\n", "GET\r\nX", "ГЕТ", 5, None])
@pytest.mark.any_engine
def test_bad_method(signer: Signer, method: Any) -> None:
    with pytest.raises(ParameterError, match="method"):
        signer.presign("a", method=method)


@pytest.mark.parametrize(
    "named, said",
    [
        ({"query": [("a", "b")]}, "query must be a mapping"), ({"query": {1: "a"}}, "query must have str names"),
        ({"query": {"": "a"}}, "query must not have an empty name"), ({"query": {"a": b"x"}}, r"query\['a'\] must be"),
        ({"query": {"a": ["x"]}}, r"query\['a'\] must be"), ({"query": {"a": "\ud800"}}, "surrogate"),
        ({"query": {"\ud800": "a"}}, "surrogate"), ({"headers": "Range"}, "headers must be a mapping"),
        ({"headers": {"Range": "a\r\nX: y"}}, "CR, LF"), ({"headers": {"Ra\nnge": "a"}}, "CR, LF"),
        ({"headers": {"a": object()}}, r"headers\['a'\] must be"),
    ],
)  # fmt: skip
@pytest.mark.any_engine
def test_bad_parameters(signer: Signer, named: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        signer.presign("a", **named)


@pytest.mark.parametrize("keys", ["one", b"one", None, 5])
@pytest.mark.any_engine
def test_keys_must_be_an_iterable_of_keys(signer: Signer, keys: Any) -> None:
    with pytest.raises(ParameterError, match="keys must be an iterable of str"):
        signer.presign_many(keys)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"bucket": "nodash"}, "bucket"), ({"bucket": "Upper-1250000000"}, "bucket"), ({"bucket": "a-1\n"}, "bucket"),
        ({"bucket": 5}, "bucket must be a str"), ({"bucket": "a" * 55 + "-1250000000"}, "at most 60"),
        ({"region": "ap.beijing"}, "region"), ({"region": "cos.ap-beijing"}, "cos."), ({"region": 5}, "region must be a str"),
        ({"domain": "a b"}, "domain"), ({"domain": "ftp://a"}, "domain"), ({"domain": "http://"}, "domain"),
        ({"domain": "a/b?c"}, "domain"), ({"domain": "腾.cn"}, "xn--"), ({"domain": 5}, "domain must be a str"),
        ({"scheme": "ftp", "domain": "a"}, "scheme"), ({"sign_host": 1}, "sign_host"), ({"engine": "warp"}, "engine must be one of"),
    ],
)  # fmt: skip
@pytest.mark.any_engine
def test_bad_options(credentials: Credentials, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Signer(credentials, **options)


@pytest.mark.any_engine
def test_without_an_endpoint_there_is_no_url(credentials: Credentials) -> None:
    for options, said in (
        ({"region": REGION}, "^bucket is missing: give it to Signer, or a domain"),
        ({"bucket": BUCKET}, "^region is missing: give it to Signer, or a domain"),
        ({}, "^bucket and region are missing: give them to Signer, or a domain"),
    ):
        with pytest.raises(ParameterError, match=said):
            Signer(credentials, **options).presign("a")


@pytest.mark.parametrize("credentials", [None, "AKID", {"SecretId": "a"}, ("a", "b")])
@pytest.mark.any_engine
def test_bad_credentials_parameter(credentials: Any) -> None:
    with pytest.raises(ParameterError, match="credentials must be"):
        Signer(credentials)


@pytest.mark.any_engine
def test_bad_on_error(signer: Signer) -> None:
    with pytest.raises(ParameterError, match="on_error"):
        signer.presign_many(["a"], on_error="ignore")  # type: ignore[call-overload]


# --- The object


@pytest.mark.any_engine
def test_immutable_and_silent(signer: Signer) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        signer.expires = 5
    assert SECRET_KEY not in repr(signer)
    assert BUCKET in repr(signer)


@pytest.mark.any_engine
def test_pickling(signer: Signer, environment: None) -> None:
    with pytest.raises(TypeError, match="leaked secret"):
        pickle.dumps(signer)
    with pytest.raises(TypeError, match="leaked secret"):
        copy.deepcopy(signer)
    provided = Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION, expires=60)
    data = pickle.dumps(provided)
    assert SECRET_KEY.encode() not in data
    assert pickle.loads(data).presign("a", key_time=TIMES) == signer.presign("a", key_time=TIMES)


@pytest.mark.any_engine
def test_engines(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engines()[-1] == "hashlib"
    assert Signer(credentials, engine="hashlib")
    monkeypatch.setenv("COSSIGN_ENGINE", "nonsense")
    assert Signer(credentials, engine="hashlib")
    with pytest.raises(ParameterError, match=r"COSSIGN_ENGINE must be one of: auto, .*hashlib"):
        Signer(credentials)
    monkeypatch.delenv("COSSIGN_ENGINE")
    with pytest.raises(ParameterError, match="engine must be one of: auto"):
        Signer(credentials, engine="sha0")


@pytest.mark.any_engine
def test_expired_credentials_do_not_sign() -> None:
    signer = Signer(Credentials("AKID", "k", "t", expires_at=time.time() - 1), bucket=BUCKET, region=REGION)
    with pytest.raises(CredentialsError, match="expired"):
        signer.presign("a")
    with pytest.raises(CredentialsError, match="expired"):
        signer.presign_many(["a"])


# --- URLs that stay the same


def test_round_to(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """One URL a window, in every way to make it; each holds for `expires` at least, from each second of the window."""
    signer = Signer(credentials, bucket=BUCKET, region=REGION, round_to=300, expires=900)
    cos = COS({"SecretId": SECRET_ID, "SecretKey": SECRET_KEY})
    where: dict[str, Any] = {"Bucket": BUCKET, "Region": REGION, "RoundTo": 300}
    base = 1_700_000_100  # a window's beginning
    seen: dict[str, list[int]] = {}
    for now in range(base - 300, base + 301, 20):
        monkeypatch.setattr("time.time", lambda now=now: float(now) + 1)  # KeyTime begins a second before now
        url = signer.presign("a.jpg")
        assert signer.presign_many(["a.jpg"]) == [url]
        assert pyarrow.chunked_array(signer.presign_arrow(pyarrow.array(["a.jpg"]))).to_pylist() == [url]
        start, end = signer.verify(url).key_time
        assert end - (now + 1) >= 900
        assert (start % 300, end - start) == (0, 1200)
        (facade,) = cos.getObjectUrls(**where, Keys=["a.jpg"]) or [""]
        assert signer.verify(facade).key_time == (start, end)
        (header,) = cos.getAuthorizations(SecretId=SECRET_ID, SecretKey=SECRET_KEY, Keys=["a.jpg"], RoundTo=300)
        assert f"q-key-time={start};{end}&" in header
        assert f"q-key-time={start};{end}&" in signer.authorization("GET", "a.jpg")
        seen.setdefault(url, []).append(now)
    assert [len(moments) for moments in seen.values()] == [15, 15, 1]
    assert signer.verify(signer.presign("a", key_time=(base, base + 10**6))).key_time == (base, base + 10**6)


@pytest.mark.parametrize(
    "value, said", [(0, "greater than 0"), (-5, "greater than 0"), (1.5, "whole number"), (True, "whole number")]
)
@pytest.mark.any_engine
def test_round_to_must_be_seconds(value: Any, said: str, credentials: Credentials) -> None:
    with pytest.raises(ParameterError, match=f"round_to must be .*{said}"):
        Signer(credentials, bucket=BUCKET, region=REGION, round_to=value)


def test_sign_request_signs_what_goes_over_the_wire(signer: Signer) -> None:
    url = f"https://{HOST}/a%20b/%E8%85%BE+?acl&x=1+2&X=%2f&=none#end"
    headers = [
        ("Range", "bytes=0-9"),
        (b"x-cos-meta-a", b"1"),
        ("X-Cos-Meta-A", " 2\t"),
        ("Accept", "*/*"),
        ("Transfer-Encoding", "chunked"),
    ]
    span = (1_700_000_000, 1_700_000_900)
    added = signer.sign_request("put", url, headers, key_time=span)
    query = [("acl", ""), ("x", "1 2"), ("X", "/")]
    signed = [("host", HOST), ("range", "bytes=0-9"), ("x-cos-meta-a", "1"), ("x-cos-meta-a", "2")]
    values = reference.signed(SECRET_KEY, "put", "/a b/腾+", query, signed, "1700000000;1700000900")
    assert added == {"Authorization": reference.authorization(SECRET_ID, "1700000000;1700000900", values)}
    target = signer.sign_request(
        "put", url.removeprefix(f"https://{HOST}"), dict([("Host", HOST), *headers[:1]]), key_time=span
    )
    assert "q-header-list=host;range" in target["Authorization"]
    with time_machine.travel(1_700_000_001, tick=False):
        spans = [signer.sign_request("GET", "/a", expires=each)["Authorization"] for each in (None, 60, 120, None, 60)]
    assert [each.split("q-key-time=")[1][:21] for each in spans] == [
        "1700000000;1700000900",
        "1700000000;1700000060",
        "1700000000;1700000120",
        "1700000000;1700000900",
        "1700000000;1700000060",
    ]


@pytest.mark.parametrize("count", [1, 16, 17, 60])
def test_sign_request_sorts_many_as_few(signer: Signer, count: int) -> None:
    """Names that come in any order, and one of them twice, whose values stay in theirs."""
    names = [f"p{number * 37 % 101}" for number in range(count)]
    pairs = [*((name, str(place)) for place, name in enumerate(names)), (names[0], "again")]
    headers = {f"x-cos-meta-{name}": value for name, value in pairs[:-1]}
    url = f"https://{HOST}/a?{'&'.join(f'{name}={value}' for name, value in pairs)}"
    added = signer.sign_request("GET", url, headers, key_time=(1_700_000_000, 1_700_000_900))
    values = reference.signed(SECRET_KEY, "GET", "/a", pairs, [*headers.items(), ("host", HOST)], KEY_TIME)
    assert added == {"Authorization": reference.authorization(SECRET_ID, KEY_TIME, values)}


@pytest.mark.parametrize("name", ["x-cos-security-token", "X-Cos-Security-Token", "Transfer-Encoding"])
def test_sign_request_leaves_out_what_may_change(name: str, signer: Signer) -> None:
    """A token of an earlier signature is replaced by the one that is added; who sends it anew must not have signed it."""
    added = signer.sign_request("GET", "/a", {name: "old", "x-cos-acl": "private"}, key_time=TIMES)
    assert "&q-header-list=host;x-cos-acl&" in added["Authorization"]
    assert added == signer.sign_request("GET", "/a", {"x-cos-acl": "private"}, key_time=TIMES)


@pytest.mark.any_engine
def test_sign_request_refuses(credentials: Credentials) -> None:
    anywhere = Signer(credentials)
    for url in ("ftp://h/a", "h/a", ""):
        with pytest.raises(ParameterError, match="url must begin with"):
            anywhere.sign_request("GET", url)
    with pytest.raises(ParameterError, match="headers must have a Host"):
        anywhere.sign_request("GET", "/a")
    with pytest.raises(ParameterError, match="url must be a str"):
        anywhere.sign_request("GET", b"/a")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="method"):
        anywhere.sign_request("G ET", "/a")
    with pytest.raises(ParameterError, match="url is not valid Unicode"):
        anywhere.sign_request("GET", "https://h/\ud800")
    wrong: Any
    for wrong, said in (
        ([("Range", object())], r"headers\['Range'\]"), ([(5, "a")], r"headers\[5\]"), (["a"], "headers"), ([5], "headers"),
        ({"Range": "\ud800"}, r"headers\['Range'\]"), ({"x-cos-\ud800": "a"}, r"headers\['x-cos-"), (5, "headers"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=said):
            anywhere.sign_request("GET", "https://h/a", wrong)
    assert "q-header-list=host;range" in anywhere.sign_request("GET", "https://h/a", {"Range": 5})["Authorization"]  # type: ignore[dict-item]
    assert anywhere.host is None
    assert "q-header-list=host" in anywhere.sign_request("GET", "https://h/a")["Authorization"]
    many = {f"x-cos-meta-{number:02d}": "v" for number in range(40)}
    listed = anywhere.sign_request(
        "GET", "https://h/a?" + "&".join(f"p{40 - i}" for i in range(40)), dict(reversed(many.items()))
    )
    assert "q-header-list=host;" + ";".join(many) in listed["Authorization"]
    assert ";".join(sorted(f"p{40 - i}" for i in range(40))) in listed["Authorization"]


def test_one_instant_for_all_who_share_the_work(environment: None, credentials: Credentials) -> None:
    signer = Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION, expires=7203)
    fixed = signer.at(TIMES[0])
    times = (TIMES[0], TIMES[0] + 7203)
    assert fixed.presign("a") == signer.presign("a", key_time=times)
    assert fixed.presign("a", expires=60) == signer.presign("a", key_time=(TIMES[0], TIMES[0] + 60))
    assert fixed.presign_many(["a", "b"]) == signer.presign_many(["a", "b"], key_time=times)
    assert fixed.authorization("GET", "a") == signer.authorization("GET", "a", key_time=times)
    assert repr(fixed).endswith(f".at({TIMES[0]})")
    assert pickle.loads(pickle.dumps(fixed)).presign("a") == fixed.presign("a")
    assert fixed.at().presign("a") == fixed.presign("a")  # it has one
    assert fixed.at(TIMES[0] + 1).presign("a") == signer.presign("a", key_time=(TIMES[0] + 1, TIMES[0] + 7204))
    now = signer.at()
    with time_machine.travel(time.time() + 5, tick=False):
        assert now.presign("a") == now.presign("a", key_time=(now.times().start, now.times().start + 7203))
        assert now.verify(now.presign("a")).key == "a"
    windows = Signer(credentials, bucket=BUCKET, region=REGION, round_to=300).at(TIMES[0])
    assert f"q-sign-time={TIMES[0] - TIMES[0] % 300}%3B" in windows.presign("a")
    for wrong in (-1, 10**10, 1.5, "now", True):
        with pytest.raises(ParameterError, match="start"):
            signer.at(wrong)  # type: ignore[arg-type]


# --- Values from callers ----------------------------------------------------------------------------------------------


def test_durations(signer: Signer, credentials: Credentials) -> None:
    with time_machine.travel(1_700_000_000.5, tick=False):
        wanted = signer.presign("a", expires=900)
        for expires in ("15m", "900", "900s", timedelta(minutes=15)):
            assert signer.presign("a", expires=expires) == wanted
            assert signer.presign_many(["a"], expires=expires) == [wanted]
            assert signer.presign_many(["a"], expires=[expires]) == [wanted]
            assert signer.replace(expires=expires).presign("a") == wanted
            assert signer.verify(wanted, max_expires=expires).key == "a"
        columns = {"expires": pyarrow.array(["15m", None, "1h"])}
        urls = pyarrow.chunked_array(signer.presign_arrow(pyarrow.array(["a", "a", "a"]), **columns)).to_pylist()
        assert urls == [wanted, wanted, signer.presign("a", expires=3600)]
        assert signer.replace(round_to="1h").round_to == 3600


@pytest.mark.any_engine
@pytest.mark.parametrize("name", ["q-ak", "Q-Signature", "q-z", "sign", "SIGN"])
def test_names_of_a_signature_are_no_parameters(signer: Signer, name: str) -> None:
    for call in (
        lambda: signer.presign("a", query={name: "x"}), lambda: signer.authorization("GET", "a", query={name: "x"}),
        lambda: signer.presign_many(["a"], query={name: "x"}), lambda: signer.presign_many(["a"], query={name: ["x"]}),
        lambda: signer.presign_arrow(pyarrow.array(["a"]), query={name: pyarrow.array(["x"])}),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=rf"query\['{name}'\] must not be given"):
            call()
    assert f"{name}=x" in signer.object_url("a", query={name: "x"})  # which has no signature


@pytest.mark.any_engine
def test_the_token_stands_once(credentials: Credentials) -> None:
    temporary = Signer(Credentials(SECRET_ID, SECRET_KEY, "TOK"), bucket=BUCKET, region=REGION)
    for name in ("x-cos-security-token", "X-COS-Security-Token"):
        with pytest.raises(ParameterError, match="it is the token, which the credentials add"):
            temporary.presign("a", query={name: "TOK"})
    signer = Signer(credentials, bucket=BUCKET, region=REGION)
    assert signer.presign("a", query={"x-cos-security-token": "TOK"}).endswith("x-cos-security-token=TOK")


def test_hosts_are_signed_as_they_are_sent(credentials: Credentials) -> None:
    lower = Signer(credentials, domain="cdn.example.com").presign("a", key_time=TIMES)
    assert Signer(credentials, domain="CDN.Example.com").presign("a", key_time=TIMES) == lower
    assert Signer(credentials, domain="HTTPS://CDN.Example.com").presign("a", key_time=TIMES) == lower
    signer = Signer(credentials, bucket=BUCKET, region=REGION)
    signature = lower.partition("q-signature=")[2]
    assert signature in signer.authorization("GET", "a", headers={"Host": " CDN.example.com "}, key_time=TIMES)
    for domain in ("cdn.example.com/base", "https://cdn.example.com/base/"):
        with pytest.raises(ParameterError, match="domain must be a host without a path"):
            Signer(credentials, domain=domain)


def test_blanks_around_a_headers_value_are_not_signed(signer: Signer) -> None:
    plain = signer.authorization("PUT", "a", headers={"Content-Type": "text/plain"}, key_time=TIMES)
    assert signer.authorization("PUT", "a", headers={"Content-Type": " \ttext/plain "}, key_time=TIMES) == plain


def test_a_null_in_a_column_leaves_the_parameter_out(signer: Signer) -> None:
    keys = [f"{number}" for number in range(2000)]
    versions = [None if number % 3 == 0 else f"v{number}" for number in range(2000)]
    sizes = [None if 100 < number < 900 else number for number in range(2000)]
    wanted = [
        signer.presign(
            key, query={name: value for name, value in (("a", "1"), ("v", v), ("n", n)) if value is not None},
            key_time=TIMES,
        )
        for key, v, n in zip(keys, versions, sizes, strict=True)
    ]  # fmt: skip
    query: dict[str, Any] = {"a": "1", "v": versions, "n": sizes}
    for threads in (1, 3):
        assert signer.presign_many(keys, query=query, key_time=TIMES, threads=threads) == wanted
        arrow = {"a": "1", "v": pyarrow.array(versions), "n": pyarrow.array(sizes)}
        urls = signer.presign_arrow(pyarrow.array(keys), query=arrow, key_time=TIMES, threads=threads)
        assert pyarrow.chunked_array(urls).to_pylist() == wanted
    nothing = {"v": pyarrow.nulls(3, pyarrow.string())}
    urls = signer.presign_arrow(pyarrow.array(["a", None, "b"]), query=nothing, key_time=TIMES)
    assert pyarrow.chunked_array(urls).to_pylist() == [
        signer.presign("a", key_time=TIMES), None, signer.presign("b", key_time=TIMES)
    ]  # fmt: skip
    found = signer.presign_many(["a", "../b"], query={"v": [None, "1"]}, on_error="null")
    assert [row for row, _ in getattr(found, "errors", [])] == [1]


@pytest.mark.any_engine
def test_replace(credentials: Credentials) -> None:
    signer = Signer(credentials, bucket=BUCKET, region=REGION, expires=60, strict=False).at(1764000000)
    other = signer.replace(bucket="other-1250000000", strict=True)
    assert other.host == f"other-1250000000.cos.{REGION}.myqcloud.com"
    assert (other.expires, other.strict, signer.strict) == (60, True, False)
    assert "q-key-time=1764000000%3B1764000060&" in other.presign("a")
    assert "q-ak=AKIDnew&" in signer.replace(Credentials("AKIDnew", "k")).presign("a")
    with pytest.raises(ParameterError, match="buckets is not a parameter of Signer: use one of bucket, region"):
        signer.replace(buckets="x")


@pytest.mark.any_engine
def test_backdate(credentials: Credentials) -> None:
    with time_machine.travel(1_700_000_100, tick=False):
        early = Signer(credentials, bucket=BUCKET, region=REGION, backdate=60)
        assert "q-key-time=1700000040%3B1700000999&" in early.presign("a")
        assert "q-key-time=1700000099%3B1700000999&" in early.replace(backdate=1).presign("a")
        assert "q-key-time=1700000100%3B1700001000&" in early.replace(backdate=0).presign("a")
        assert "q-key-time=1700000040%3B1700000159&" in early.presign_many(["a"], expires=60)[0]
        assert early.at().presign("a") == early.presign("a")  # Polars and clusters fix the instant, too
        assert "q-key-time=1700000040%3B1700000999&" in early.at(1_700_000_040).authorization("GET", "a").replace(
            ";", "%3B"
        )
    for bad in (-1, 86_401, 1.5, True):
        with pytest.raises(ParameterError, match="backdate must be"):
            Signer(credentials, bucket=BUCKET, region=REGION, backdate=bad)  # type: ignore[arg-type]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "region, near",
    [("beijing", "ap-beijing"), ("bj", "ap-beijing"), ("ap-bejing", "ap-beijing"), ("ap-guangzho", "ap-guangzhou")],
)
def test_a_region_that_looks_wrong(credentials: Credentials, region: str, near: str) -> None:
    with pytest.warns(UserWarning, match=f"region '{region}' is not a known region of COS: .*'{near}'") as seen:
        Signer(credentials, bucket=BUCKET, region=region)
    assert seen[0].filename == __file__
    for fine in (near, "cn-north", "sg", "my-cloud-1", "tce"):
        Signer(credentials, bucket=BUCKET, region=fine)


@pytest.mark.any_engine
def test_what_is_presigned_is_not_signed_again(signer: Signer) -> None:
    for url in (signer.presign("a"), f"https://{HOST}/a?sign=q-sign-algorithm%3Dsha1"):
        with pytest.raises(ParameterError, match="url is presigned already"):
            signer.sign_request("GET", url)


@pytest.mark.any_engine
def test_what_is_kept_is_kept_for_its_own_expires(signer: Signer) -> None:
    class Seconds:
        def __init__(self, value: int) -> None:
            self.value = value

        def __index__(self) -> int:
            return self.value

        __hash__ = None  # type: ignore[assignment]

    fixed = signer.at(1764000000)
    one = Seconds(10)
    for call in (
        lambda each: fixed.presign("a", expires=each),
        lambda each: fixed.authorization("GET", "a", expires=each),
    ):
        one.value = 10
        assert "1764000010" in call(one)
        one.value = 99
        assert "1764000099" in call(one)
        assert "1764000001" in call(1)
        for bad in (True, 1.0):
            with pytest.raises(ParameterError, match="expires"):
                call(bad)
    assert "1764000001" in fixed.sign_request("GET", "/a", {"host": HOST}, expires=1)["Authorization"]
    for bad in (True, 1.0):
        with pytest.raises(ParameterError, match="expires"):
            fixed.sign_request("GET", "/a", {"host": HOST}, expires=bad)  # type: ignore[arg-type]


@pytest.mark.any_engine
@pytest.mark.parametrize("token", [None, "TOK"])
@pytest.mark.parametrize("query", [{}, {"a": "1"}, {"a": "1", "b": ""}])
def test_urls_are_made_of_the_pieces_that_engines_lay_out(token: str | None, query: dict[str, str]) -> None:
    """One piece more, or another order, and a row would be laid out at a third of the speed."""
    credentials = Credentials(SECRET_ID, SECRET_KEY, token)
    for signer in (
        Signer(credentials, bucket=BUCKET, region=REGION), Signer(credentials, domain="a", sign_host=False, strict=False)
    ):  # fmt: skip
        for headers in ({}, {"content-type": "text/plain"}):
            for end in (b"", b"\n"):
                prepared = signer.prepare("PUT", query=query, headers=headers)
                assert prepared.url("keys", end).is_usual
    assert not signer.prepare(query={**query, "v": Column(0)}).url("keys").is_usual


@pytest.mark.parametrize("started", [0, 1])
def test_a_system_without_more_threads(monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    """The caller signs what no thread does: everything, or what one thread leaves."""
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION).at()
    keys = [f"photos/{number}.jpg" for number in range(100_000)]
    expected_urls = signer.presign_many(keys)
    refusals = 0

    def limited(start: Callable[..., Any]) -> Callable[..., Any]:
        delayed: list[tuple[Any, ...]] = []  # a thread that begins at once might do all the work before the next one

        def limited_start(*arguments: Any) -> Any:
            nonlocal refusals
            if len(delayed) < started:
                delayed.append(arguments)
                return None
            refusals += 1
            if refusals == 1:
                for each in delayed:
                    start(*each)
            raise RuntimeError("can't start new thread")

        return limited_start

    for call in (
        lambda: signer.presign_many(keys, threads=3),
        lambda: pyarrow.chunked_array(signer.presign_arrow(pyarrow.array(keys), threads=3)).to_pylist(),
        lambda: [each.key for each in signer.verify_many(expected_urls, threads=3)],
    ):
        with monkeypatch.context() as patch:
            refusals = 0
            patch.setattr(_core, "start_new_thread", limited(_core.start_new_thread))  # type: ignore[attr-defined]
            patch.setattr(threading.Thread, "start", limited(threading.Thread.start))
            assert call() in (expected_urls, keys)
            assert refusals


@pytest.mark.parametrize("region", sorted({*REGIONS, *LEGACY_REGIONS}))
def test_a_host_names_its_bucket(region: str) -> None:
    """Also those of the old regions, whose hosts have no "cos."."""
    host = endpoint(bucket=BUCKET, region=region).host
    assert read_host(host) == (BUCKET, "cos", region)
    assert bucket_in(host) == BUCKET

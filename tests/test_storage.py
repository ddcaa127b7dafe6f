"""A bucket as a place: listed, read by ranges and written whole, by Tencent's SDK, against a server that judges without us."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cossign import Credentials, storage
from cossign.errors import CredentialsError, ParameterError, StorageError
from cossign.storage import Address, Bucket, common_start
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY, scaled
from tests.cos_server import CosServer, Fault, Request, Store, Version, crc64, error_reply, running
from tests.waiting import until

pytest.importorskip("qcloud_cos")

ODD_KEYS = sorted(
    {
        "a", "a b", "a+b", "a%20b", "a&b=c;d", "a?b#c", "a//b", "a/./b", "a/../b", "./a", "ä/头.jpg", "a\u2028b", "<&>'\"", "~tilde*",
        "{http://www.qcloud.com/document/product/436/7751}", "a/", "a/b", "a-b", "a.b", "\U0001f600", "x" * 850, "a\tb", "'", "\\",
    }
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[CosServer]:
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as found:
        found.buckets[BUCKET] = Store()
        yield found
        assert found.refusals == []


@pytest.fixture
def store(server: CosServer) -> Store:
    return server.buckets[BUCKET]


@pytest.fixture
def bucket(server: CosServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr("cossign.storage._pause", lambda attempt: 0.001)
    found = at(server)
    yield found
    found.close()


def at(server: CosServer, name: str = BUCKET, region: str = "ap-beijing", **options: Any) -> Bucket:
    return Bucket(name, region, lambda: Credentials(SECRET_ID, SECRET_KEY), endpoint=server.url, **options)


def failing(count: int, fault: Fault, wanted: Callable[[Request], bool] = lambda request: True) -> Any:
    """A plan: so many requests fail."""
    left = [count]

    def plan(request: Request) -> Fault | None:
        if left[0] and wanted(request):
            left[0] -= 1
            return fault
        return None

    return plan


def test_an_address() -> None:
    address = Address.parse("COS://examplebucket-1250000000/a//b?c%20d")
    assert address == ("examplebucket-1250000000", "a//b?c%20d")
    assert str(address) == "cos://examplebucket-1250000000/a//b?c%20d"
    assert Address.parse("cos://examplebucket-1250000000").key == ""
    for text in (
        "s3://examplebucket-1250000000/a",
        "cos:/b/a",
        "cos://examplebucket/a",
        "cos://examplebucket-1250000000//a",
    ):
        with pytest.raises(ParameterError, match="address"):
            Address.parse(text)


def test_a_list_in_order(bucket: Bucket, store: Store) -> None:
    store.objects = {key.encode(): b"x" * place for place, key in enumerate(ODD_KEYS)}
    for page_size in (1000, 7, 1):
        store.page_size = page_size
        found = [each for page in bucket.pages() for each in page.objects]
        assert [each.key for each in found] == sorted(ODD_KEYS)
        assert [each.size for each in found] == [ODD_KEYS.index(each.key) for each in found]
        assert [each.key for page in bucket.pages("a/") for each in page.objects] == sorted(
            key for key in ODD_KEYS if key.startswith("a/")
        )
        after = [each.key for page in bucket.pages(after="a/b") for each in page.objects]
        assert after == sorted(key for key in ODD_KEYS if key > "a/b")
        by_folder = [(page.objects, page.prefixes) for page in bucket.pages(delimiter="/")]
        assert [each.key for objects, _ in by_folder for each in objects] == sorted(
            key for key in ODD_KEYS if "/" not in key
        )
        folders = {key.partition("/")[0] + "/" for key in ODD_KEYS if "/" in key}
        assert [each for _, prefixes in by_folder for each in prefixes] == sorted(folders)
    store.objects = {}
    assert [page.objects for page in bucket.pages()] == [[]]


def key_lists(shuffle: random.Random) -> list[list[str]]:
    """Keys as buckets have them."""
    return [
        [f"photos/{number * 7:08d}.jpg" for number in range(400)],
        [f"img{number}" for number in range(400)],
        [f"{2020 + number % 3}/{number % 12:02d}/{number}" for number in range(400)],
        [f"{shuffle.getrandbits(64):016x}" for _ in range(400)],
        [f"users/{number // 3}/{number % 3}" for number in range(400)],
        ["\u56fe\u7247/" + chr(0x4E00 + number % 20) + chr(0x4E00 + number // 20) for number in range(400)],
        ["".join(shuffle.choices("ab\ud7ff\ue000\U0010ffff/", k=shuffle.randrange(1, 8))) for _ in range(400)],
        [*(f"a{number}" for number in range(5)), *(f"b/x/{shuffle.getrandbits(40)}" for _ in range(400)), "c"],
        ODD_KEYS,
        [],
    ]  # fmt: skip


@scaled("rounds", 1, 5)
def test_a_list_by_several_requests(rounds: int, server: CosServer, bucket: Bucket, store: Store) -> None:
    """The same objects in the same order as by one request after the other, wherever the list is cut."""
    for _ in range(rounds):
        seed = random.randrange(1 << 32)
        shuffle = random.Random(seed)
        server.plan = lambda request: Fault(delay=shuffle.random() * 0.004)  # noqa: B023
        for keys in key_lists(shuffle):
            store.objects = {key.encode(): b"" for key in keys}
            store.page_size = shuffle.choice((1, 3, 10, 100))
            wanted = sorted(set(keys))
            after, last = sorted(shuffle.choices(["", *keys], k=2))
            prefix = common_start(min(keys), max(keys))[: shuffle.randrange(10)] if keys else ""
            for start, end in (("", ""), (after, ""), (after, last), (last, after)):
                found = [each.key for page in bucket.objects(prefix, after=start, last=end) for each in page]
                assert found == [key for key in wanted if key > start and (not end or key <= end)], (seed, start, end)


@scaled("rounds", 1, 30)
def test_versions_by_several_requests(rounds: int, server: CosServer, bucket: Bucket, store: Store) -> None:
    for _ in range(rounds):
        seed = random.randrange(1 << 32)
        shuffle = random.Random(seed)
        server.plan = lambda request: Fault(delay=shuffle.random() * 0.004)  # noqa: B023
        keys = sorted({f"{shuffle.choice('abc')}/{number}" for number in range(60)})
        store.objects = {key.encode(): b"" for key in keys}
        store.versions = [
            Version(key.encode(), f"w-{number}", shuffle.choice((None, b"1")))
            for key in keys
            for number in range(shuffle.randrange(5))
        ]
        store.page_size = shuffle.choice((2, 5, 20))
        wanted = [(each.key, each.version_id) for page in bucket.objects(versions=True) for each in page]
        assert sorted(wanted) == sorted(
            [(key, "v-0") for key in keys] + [(each.key.decode(), each.version_id) for each in store.versions]
        ), seed
        assert [key for key, _ in wanted] == sorted(key for key, _ in wanted)
        place = shuffle.randrange(len(wanted))
        key, version = wanted[place]
        found = [each for page in bucket.objects(versions=True, after=key, after_version=version) for each in page]
        assert [(each.key, each.version_id) for each in found] == wanted[place + 1 :], seed


def test_several_requests_ask_for_little_more(server: CosServer, bucket: Bucket, store: Store) -> None:
    server.plan = lambda request: Fault(delay=0.02)
    store.page_size = 10
    for keys in key_lists(random.Random(1)):
        store.objects = {key.encode(): b"" for key in keys}
        server.requests.clear()
        list(bucket.objects())
        assert len(server.requests) <= 2.5 * max(1, len(set(keys)) / 10) + 8, keys[:3]


def test_a_list_that_fails_on_the_way(server: CosServer, bucket: Bucket, store: Store) -> None:
    """What comes before it is given; a list that nobody reads on asks for no more."""
    store.page_size = 10
    store.objects = {b"%04d" % number: b"" for number in range(1000)}
    forbidden = error_reply(403, "AccessDenied")
    server.plan = lambda request: Fault(forbidden) if b"marker=05" in request.target else None
    found: list[str] = []
    with pytest.raises(StorageError, match="permission name/cos:GetBucket"):
        found.extend(each.key for page in bucket.objects() for each in page)
    assert found == [f"{number:04d}" for number in range(len(found))]
    assert 400 < len(found) <= 520
    pages = bucket.objects()
    next(pages)
    pages.close()
    until(lambda: not [each for each in threading.enumerate() if each.name.startswith("cossign-list")], "the end")


def test_versions(bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": b"new", b"b": b"1", b"d/x": b""}
    store.versions = [
        Version(b"a", "v0", b"old"),
        Version(b"c", "m", None, is_latest=True),
        Version(b"c", "v1", b"12345"),
    ]
    for page_size in (1000, 2):
        store.page_size = page_size
        found = [each for page in bucket.objects(versions=True) for each in page]
        assert [(each.key, each.is_latest, each.is_delete_marker) for each in found] == [
            ("a", True, False), ("a", False, False), ("b", True, False), ("c", True, True), ("c", False, False), ("d/x", True, False),
        ]  # fmt: skip
        assert [each.size for each in found] == [3, 3, 1, 0, 5, 0]


def test_objects_are_read_at_any_place(bucket: Bucket, store: Store) -> None:
    content = random.Random(1).randbytes(3_000_000)
    store.objects = {b"dir/a b+c.bin": content, b"empty": b""}
    found = bucket.look("dir/a b+c.bin")
    assert (found.size, found.crc64) == (len(content), crc64(content))
    assert bucket.read("dir/a b+c.bin") == content
    assert bucket.read("dir/a b+c.bin", 10, 5, etag=found.etag) == content[10:15]
    assert bucket.read("dir/a b+c.bin", len(content) - 3) == content[-3:]
    assert bucket.read("empty") == bucket.read("empty", 0, 0) == b""
    shuffle = random.Random(2)
    with bucket.open(found) as file, io.BytesIO(content) as other:
        assert file.seekable()
        for _ in range(100):
            place, size = shuffle.randrange(len(content) + 10), shuffle.choice((0, 1, 100, 70_000, 1_500_000))
            whence = shuffle.choice((io.SEEK_SET, io.SEEK_END))
            offset = place if whence == io.SEEK_SET else -place if place <= len(content) else 0
            assert file.seek(offset, whence) == other.seek(offset, whence)
            assert file.read(size) == other.read(size)
            assert file.tell() == other.tell()
    with bucket.open(found) as file:
        assert b"".join(iter(lambda: file.read(100_000), b"")) == content
    with bucket.open(bucket.look("empty")) as file:
        assert file.read() == b""


def test_reading_on_is_one_request(server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": bytes(5_000_000)}
    found = bucket.look("a")
    server.requests.clear()
    with bucket.open(found) as file:
        while file.read(100_000):
            pass
    assert len(server.requests) == 1
    with bucket.open(found) as file:
        file.seek(-8, io.SEEK_END)
        assert file.read(8) == bytes(8)
    assert len(server.requests) == 2
    assert server.requests[-1].header("Range") == "bytes=4999992-4999999"


@pytest.mark.parametrize("sent", [0, 1, 100_000, 999_999])
def test_a_cut_connection_goes_on_at_the_same_byte(sent: int, server: CosServer, bucket: Bucket, store: Store) -> None:
    content = random.Random(sent).randbytes(1_000_000)
    store.objects = {b"a": content}
    found = bucket.look("a")
    server.plan = failing(3, Fault(sent=sent))
    assert bucket.read("a", etag=found.etag) == content
    server.plan = failing(3, Fault(sent=sent))
    with bucket.open(found) as file:
        assert file.read() == content
    server.plan = failing(100, Fault(sent=0))
    with pytest.raises(StorageError, match="cannot be read to its end"):
        bucket.read("a")


def test_another_range_than_was_asked_for(server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": b"0123456789"}
    server.plan = lambda request: Fault((206, b"56", {"Content-Range": "bytes 5-6/10"}))
    with pytest.raises(StorageError, match="did not give the range that was asked for: 'bytes 5-6/10'"):
        bucket.read("a", 2, 2)


def test_answers_without_what_is_needed(server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": b"1"}
    server.plan = lambda request: Fault((200, b"", {})) if request.method == b"POST" else None
    problem = "the answer cannot be read: ParseError"
    with pytest.raises(StorageError, match=problem) as caught, bucket.write("b") as upload:
        upload.write(bytes(storage._PART_SIZE))
    assert type(caught.value.__cause__).__name__ == "ParseError"
    server.plan = lambda request: Fault((200, b"", {})) if b"partNumber" in request.target else None
    with pytest.raises(StorageError, match="the answer has no ETag"), bucket.write("b") as upload:
        upload.write(bytes(storage._PART_SIZE))
    assert (store.objects, store.uploads) == ({b"a": b"1"}, {})


def test_parts_grow_as_there_may_be_10_000(
    server: CosServer, bucket: Bucket, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_PART_SIZE", 100)
    monkeypatch.setattr(storage, "_PARTS_PER_SIZE", 3)
    content = random.Random(1).randbytes(1500)
    with bucket.write("a") as upload:
        for place in range(0, len(content), 50):
            upload.write(content[place : place + 50])
    sizes = [len(each.body) for each in server.requests if b"partNumber" in each.target]
    assert sizes == [100, 100, 100, 200, 200, 200, 400, 200]
    assert store.objects == {b"a": content}


def test_an_object_that_is_written_again(server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": bytes(2_000_000)}
    found = bucket.look("a")
    with bucket.open(found) as file:
        file.read(10)
        store.objects[b"a"] = b"x" * 2_000_000
        file.seek(1_900_000)
        with pytest.raises(StorageError, match="cos://examplebucket-1250000000/a: the object was replaced"):
            file.read(10)


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 30_000_000])
def test_an_object_is_written_whole(size: int, server: CosServer, bucket: Bucket, store: Store) -> None:
    content = random.Random(size).randbytes(size)
    with bucket.write("dir/ä b.bin") as file:
        for at_byte in range(0, size, 1_000_000):
            file.write(content[at_byte : at_byte + 1_000_000])
        assert store.objects == {}
        assert file.tell() == size
    assert store.objects == {"dir/ä b.bin".encode(): content}
    assert store.uploads == {}


@pytest.mark.parametrize("size", [10, 20_000_000])
def test_a_write_that_fails_leaves_nothing(size: int, server: CosServer, bucket: Bucket, store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), bucket.write("a") as file:  # noqa: PT012
        file.write(bytes(size))
        raise KeyboardInterrupt
    assert (store.objects, store.uploads) == ({}, {})
    server.plan = failing(1000, Fault(error_reply(403, "AccessDenied")), lambda request: request.method == b"PUT")
    with pytest.raises(StorageError, match=r"name/cos:(PutObject|UploadPart)") as caught, bucket.write("a") as file:
        file.write(bytes(size))
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    assert (store.objects, store.uploads) == ({}, {})


def test_what_is_there_stays(server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": b"first"}
    for size in (3, 9_000_000):
        with (
            pytest.raises(StorageError, match="the object already exists") as caught,
            bucket.write("a", replace=False) as file,
        ):
            file.write(bytes(size))
        assert caught.value.status == 409
    assert (store.objects, store.uploads) == ({b"a": b"first"}, {})
    bucket.put("b", b"new", replace=False)
    bucket.put("a", b"second")
    assert store.objects == {b"a": b"second", b"b": b"new"}
    bucket.remove("a")
    bucket.remove("a")
    assert bucket.find("a") is None
    assert bucket.find("b") is not None


def test_an_answer_that_is_lost(server: CosServer, bucket: Bucket, store: Store) -> None:
    """What was done is not done twice, and is no error."""
    real_answer = server.answer
    lost: list[bytes] = []

    def answer(request: Request) -> Any:
        reply = real_answer(request)
        if request.method not in lost and b"uploads" not in request.target:
            lost.append(request.method)
            return error_reply(503, "ServiceUnavailable")
        return reply

    server.answer = answer  # type: ignore[method-assign]
    bucket.put("a", b"1", replace=False)
    lost.clear()
    with bucket.write("b", replace=False) as file:
        file.write(bytes(9_000_000))
    assert (store.objects, store.uploads) == ({b"a": b"1", b"b": bytes(9_000_000)}, {})

    def answer_409(request: Request) -> Any:  # COS may look whether the object is there before it looks for the upload
        reply = answer(request)
        is_again = reply[0] == 404 and request.method == b"POST"
        return error_reply(409, "FileAlreadyExists") if is_again else reply

    server.answer = answer_409  # type: ignore[method-assign]
    lost.clear()
    with bucket.write("c", replace=False) as file:
        file.write(bytes(9_000_000))
    assert len(store.objects[b"c"]) == 9_000_000


def test_other_bytes_than_were_sent(server: CosServer, bucket: Bucket, store: Store) -> None:
    for size in (5, 9_000_000):
        server.plan = failing(
            1, Fault((200, b"", {"ETag": '"1"', "x-cos-hash-crc64ecma": "1"})), lambda request: request.method == b"PUT"
        )
        with pytest.raises(StorageError, match="COS received other bytes than were sent"), bucket.write("a") as file:
            file.write(bytes(size))
        assert (store.objects, store.uploads) == ({}, {})


def test_what_came_wrong_is_removed(server: CosServer, bucket: Bucket, store: Store) -> None:
    real_answer = server.answer

    def answer(request: Request) -> Any:
        status, text, headers = real_answer(request)
        is_end = request.method == b"POST" and b"uploads" not in request.target
        told = {**headers, "x-cos-hash-crc64ecma": "1"} if is_end else headers
        return status, text, told

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="and they were dropped"), bucket.write("a") as file:
        file.write(bytes(9_000_000))
    assert (store.objects, store.uploads) == ({}, {})
    server.plan = lambda request: Fault(error_reply(403, "AccessDenied")) if request.method == b"DELETE" else None
    problem = "CRC-64.*they are still there.*permission name/cos:DeleteObject"
    with pytest.raises(StorageError, match=problem), bucket.write("a") as file:
        file.write(bytes(9_000_000))


def test_uploads_that_a_killed_job_left(bucket: Bucket, store: Store) -> None:
    for key in ("jobs/a", "jobs/b", "other/c"):
        file = bucket.write(key)
        file.write(bytes(9_000_000))
        file._wait()
    left = sorted(bucket.unfinished("jobs/"))
    assert [key for key, _ in left] == ["jobs/a", "jobs/b"]
    for key, upload_id in left:
        bucket.abort(key, upload_id)
        bucket.abort(key, upload_id)
    assert [key for key, _ in store.uploads.values()] == [b"other/c"]


@pytest.mark.parametrize("status, code", [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")])
def test_a_busy_bucket_is_asked_again(status: int, code: str, server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": b"1"}
    server.plan = failing(5, Fault(error_reply(status, code)))
    assert bucket.read("a") == b"1"
    server.plan = failing(6, Fault(error_reply(status, code)))
    with pytest.raises(StorageError, match=f"COS cannot answer GetObject now \\({status} {code}\\)"):
        bucket.read("a")
    server.plan = failing(3, Fault(sent=0))
    assert [each.key for page in bucket.pages() for each in page.objects] == ["a"]


def test_what_is_refused(server: CosServer, bucket: Bucket, store: Store) -> None:
    store.objects = {b"a": b"1"}
    server.regions[BUCKET] = "ap-beijing"
    asked: list[tuple[Bucket, str]] = [
        (at(server, region="ap-guangzhou"), "the bucket is in ap-beijing, not in ap-guangzhou"),
        (at(server, "other-1250000000"), "no bucket other-1250000000 in ap-beijing"),
    ]
    for found, message in asked:
        for call in (lambda: list(found.pages("p/")), lambda: found.read("a"), lambda: found.put("a", b"")):  # noqa: B023
            with pytest.raises(StorageError, match=message):
                call()
    with pytest.raises(StorageError, match="there is no such object") as caught:
        bucket.look("none")
    assert (caught.value.status, caught.value.key, caught.value.action) == (404, "none", "name/cos:HeadObject")
    with pytest.raises(StorageError, match="at most 850 bytes"):
        bucket.look("头" * 300)
    for code, message in (
        ("AccessDenied", "need the permission name/cos:GetBucket for it"), ("InvalidAccessKeyId", "check SecretId and SecretKey"),
        ("ExpiredToken", "it has expired"), ("RequestTimeTooSkewed", "clock"), ("Strange", "need the permission"),
    ):  # fmt: skip
        server.plan = failing(1, Fault(error_reply(403, code)))
        with pytest.raises(StorageError, match=message):
            list(bucket.pages("photos/"))
    server.plan = failing(1, Fault((403, b"", {})))  # as to HEAD, which has no body
    with pytest.raises(StorageError, match="need the permission name/cos:HeadObject"):
        bucket.look("a")


def test_a_list_that_does_not_go_on(server: CosServer, bucket: Bucket) -> None:
    text = b"<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>a</NextMarker></ListBucketResult>"
    server.plan = failing(10, Fault((200, text, {"Content-Type": "application/xml"})))
    with pytest.raises(StorageError, match="does not continue after 'a'"):
        list(bucket.pages())
    with pytest.raises(StorageError, match="does not continue after 'b'"):
        list(bucket.pages(after="b"))


def test_versions_whose_list_has_no_marker(server: CosServer, bucket: Bucket) -> None:
    """The key of the last entry will not do: there may be more versions of it."""
    entry = "<Version><Key>b</Key><VersionId>1</VersionId><IsLatest>true</IsLatest></Version>"
    text = f"<ListVersionsResult><IsTruncated>true</IsTruncated>{entry}</ListVersionsResult>"
    server.plan = lambda request: Fault((200, text.encode(), {"Content-Type": "application/xml"}))
    with pytest.raises(StorageError, match="does not continue after ''"):
        list(bucket.objects(versions=True))


def test_delete_markers_that_come_behind_the_versions(server: CosServer, bucket: Bucket) -> None:
    entries = "".join(
        f"<{kind}><Key>{key}</Key><VersionId>1</VersionId><IsLatest>true</IsLatest></{kind}>"
        for kind, key in (("Version", "a"), ("Version", "c"), ("DeleteMarker", "b"))
    )
    text = f"<ListVersionsResult><IsTruncated>false</IsTruncated>{entries}</ListVersionsResult>"
    server.plan = lambda request: Fault((200, text.encode(), {"Content-Type": "application/xml"}))
    assert [[each.key for each in page] for page in bucket.objects(versions=True)] == [["a", "b", "c"]]


def test_credentials_that_fail_are_not_asked_for_again(server: CosServer) -> None:
    calls = []

    def give() -> Credentials:
        calls.append(1)
        raise OSError("the vault is down")

    found = Bucket(BUCKET, "ap-beijing", give, endpoint=server.url)
    with pytest.raises(OSError, match="the vault is down"):
        found.look("a")
    with pytest.raises(OSError, match="the vault is down"):
        list(found.objects())
    assert len(calls) == 2


@pytest.mark.parametrize(
    "text",
    ["", "<", "<A><Contents><Size>1</Size></Contents></A>", "<A><Contents><Key>a</Key><Size>x</Size></Contents></A>", "<A><Contents><Key>%ff</Key></Contents></A>",
     "<A><CommonPrefixes><P>a</P></CommonPrefixes></A>"],
)  # fmt: skip
def test_a_list_that_cannot_be_read(text: str, server: CosServer, bucket: Bucket) -> None:
    server.plan = failing(10, Fault((200, text.encode(), {"Content-Type": "application/xml"})))
    with pytest.raises(StorageError, match="cos://examplebucket-1250000000/p/: the list cannot be read"):
        list(bucket.pages("p/"))


def test_credentials_are_asked_for_before_each_request(server: CosServer, store: Store) -> None:
    store.objects = {b"a": b"1"}
    secrets = [("AKIDone", "1", None), ("AKIDtwo", "2", "token")]
    server.secrets = lambda: secrets[:1]
    found = Bucket(BUCKET, "ap-beijing", lambda: Credentials(*secrets[0]), endpoint=server.url)
    assert found.read("a") == b"1"
    secrets.reverse()
    assert found.read("a") == b"1"

    def ends() -> Credentials:
        raise CredentialsError("there are none")

    with pytest.raises(CredentialsError, match="there are none"):
        Bucket(BUCKET, "ap-beijing", ends, endpoint=server.url).read("a")


@pytest.mark.parametrize(
    "endpoint, url",
    [
        (None, "https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/a"),
        (
            "cos-internal.ap-beijing.tencentcos.cn",
            "https://examplebucket-1250000000.cos-internal.ap-beijing.tencentcos.cn/a",
        ),
        ("http://cos.accelerate.myqcloud.com", "http://examplebucket-1250000000.cos.accelerate.myqcloud.com/a"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80/a"),
    ],
)
def test_endpoints(endpoint: str | None, url: str) -> None:
    found = Bucket(BUCKET, "ap-beijing", lambda: Credentials(SECRET_ID, SECRET_KEY), endpoint=endpoint)
    assert found._client().get_conf().uri(BUCKET, "a") == url


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://a", "https://", "a/b", "a?b", "", "http://127.0.0.1:99999", "http://[::1", f"{BUCKET}.cos.ap-beijing.myqcloud.com"],
)  # fmt: skip
def test_endpoints_that_are_refused(endpoint: str) -> None:
    with pytest.raises(ParameterError, match="endpoint"):
        Bucket(BUCKET, "ap-beijing", lambda: Credentials(SECRET_ID, SECRET_KEY), endpoint=endpoint)

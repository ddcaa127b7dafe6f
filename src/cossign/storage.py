"""A bucket: list its objects, read them by ranges, and write them as a whole, with Tencent's own SDK."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import math
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import IO, Any, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from cossign import waits
from cossign.credentials import Credentials
from cossign.endpoint import check_bucket, check_region
from cossign.errors import ParameterError, StorageError

__all__ = ["Address", "Bucket", "Object", "Page", "Upload", "common_start", "is_address"]

_ATTEMPTS = 6  # of a request; the pauses between them add up to some six seconds
_LONGEST_PAUSE = 8.0  # seconds
_TIMEOUTS = (10, 60)  # seconds to connect, and between two bytes of an answer
_SLOW_TIMEOUTS = (10, 1200)  # while COS puts the parts of an object together
_FULL_PAGES = {"max-keys": "1000"}  # COS's limit
_LIST_CONNECTIONS = 8  # requests for one list at a time
_PAGES_AHEAD = 32  # of a list that may wait in memory before it is cut once more, some 15 MB
_HEX_DIGITS = "0123456789abcdef"
_PAGES_OF_CUT = 4  # of a list between two cuts, if its keys go on as before
_PAGES_OF_RANGE = 8  # that may wait in a range that is not the first
_SMALLEST_READ = 1 << 20  # bytes that are asked for where reading begins anew
_PART_SIZE = 8 << 20  # bytes of an upload's first parts; they grow, as there may be 10,000
_PARTS_PER_SIZE = 2000
_LONGEST_KEY = 850  # bytes
_TRANSIENT_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "RequestLimitExceeded"}
_FORBID_OVERWRITE = {"Metadata": {"x-cos-forbid-overwrite": "true"}}  # the SDK's way to give any header
_OBJECTS = ("Contents", "Version", "DeleteMarker")  # entries of lists that are objects
_NEEDED_FIELDS = {
    "Contents": ("Key",), "Version": ("Key", "VersionId", "IsLatest"), "DeleteMarker": ("Key", "VersionId", "IsLatest"),
    "CommonPrefixes": ("Prefix",), "Upload": ("Key", "UploadId"),
}  # fmt: skip
_MARKERS = ("NextMarker", "NextKeyMarker")  # fields that are encoded as keys are
_MISDIRECTED = 421  # the status that a redirect gets, as the SDK takes 3xx for success

Fields: TypeAlias = dict[str, str]


def is_address(path: str) -> bool:
    """Whether a path is one of a bucket."""
    return path[:6].lower() == "cos://"


class Address(NamedTuple):
    """The parts of ``cos://BUCKET/KEY``, which names an object or a prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str, parameter: str = "address") -> Address:
        """Parse an address. The key is not decoded.

        Raises:
            ParameterError: it is not ``cos://BUCKET/KEY``.

        >>> Address.parse("cos://examplebucket-1250000000/photos/a b.jpg")
        Address(bucket='examplebucket-1250000000', key='photos/a b.jpg')
        """
        bucket, _, key = text[6:].partition("/")
        if not is_address(text):
            raise ParameterError(parameter, f"{text!r} must be cos://BUCKET/KEY")
        check_bucket(bucket, parameter)
        if key.startswith("/"):
            raise ParameterError(parameter, f"{text!r} has a key that begins with a slash, which cannot be asked for")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"cos://{self.bucket}/{self.key}"


class Object(NamedTuple):
    """An object or a version of an object, from a list or a HEAD request.

    Attributes:
        key: its key.
        size: bytes.
        etag: its ETag, in quotes.
        modified: when it was written, in the words of COS.
        storage_class: such as STANDARD.
        version_id: its version; "" in a bucket without versions.
        is_latest: whether it is the newest version.
        is_delete_marker: whether it is a mark that the object was deleted.
        crc64: its CRC-64, if COS knows it; not in a list.
    """

    key: str
    size: int
    etag: str
    modified: str = ""
    storage_class: str = ""
    version_id: str = ""
    is_latest: bool = True
    is_delete_marker: bool = False
    crc64: int | None = None


class Page(NamedTuple):
    """A part of a list: objects in the order of their keys, and the common prefixes up to a delimiter."""

    objects: list[Object]
    prefixes: list[str]


class Bucket:
    """A bucket.

    Args:
        name: ``<BucketName>-<APPID>``.
        region: such as ``ap-beijing``.
        credentials: a function that returns Credentials that are valid now. Several threads call it, before each
            request.
        endpoint: the host for requests, instead of ``cos.REGION.myqcloud.com``; for example
            ``cos-internal.ap-beijing.tencentcos.cn`` or ``cos.accelerate.myqcloud.com``; with a scheme if that is http.
            Requests to an address such as ``http://127.0.0.1:8000`` still contain the bucket's own Host.
        attempts: how often a request is sent, at most.

    Raises:
        ParameterError: a parameter is not valid.
        StorageError: Tencent's SDK is not installed.
    """

    def __init__(
        self,
        name: str,
        region: str,
        credentials: Callable[[], Credentials],
        *,
        endpoint: str | None = None,
        attempts: int = _ATTEMPTS,
    ) -> None:
        self.name = check_bucket(name)
        self.region = check_region(region)
        self._credentials = credentials
        self._attempts = attempts
        self._sdk = _import_sdk()
        self._settings = _connection(self.name, self.region, endpoint)
        self._redirect = threading.local()  # its `region`, of the last request of a thread
        self._session = importlib.import_module("requests").Session()
        adapter = importlib.import_module("requests.adapters").HTTPAdapter(pool_connections=4, pool_maxsize=64)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self.cut_errors = (OSError, importlib.import_module("urllib3.exceptions").HTTPError)
        self._session.hooks["response"].append(self._note_redirect)

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, {self.region!r})"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    # --- What is there

    def pages(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[Page]:
        """The objects with a prefix, in the order of their keys in UTF-8, with one request after the other.

        Args:
            prefix: the beginning of the keys.
            after: only keys after this one.
            delimiter: such as a slash. A key that has it after the prefix is not listed; `prefixes` has its beginning
                up to there, once for all such keys.

        Raises:
            StorageError: the bucket cannot be listed.
        """
        parameters = {"delimiter": delimiter, **_FULL_PAGES}
        for entries in self._pages("GetBucket", prefix, parameters, {"marker": after}):
            objects = [_object_of(name, each) for name, each in entries if name in _OBJECTS]
            yield Page(objects, [each["Prefix"] for name, each in entries if name == "CommonPrefixes"])

    def objects(
        self, prefix: str = "", *, after: str = "", last: str = "", versions: bool = False, after_version: str = ""
    ) -> Iterator[list[Object]]:
        """The objects with a prefix, in the order of their keys in UTF-8, with several requests at a time.

        Args:
            prefix: the beginning of the keys.
            after: only keys after this one.
            last: only keys up to this one; "" for all.
            versions: whether all versions and delete markers are listed, those of one key from new to old.
            after_version: for the key `after`, only versions after this one.

        Raises:
            StorageError: the bucket cannot be listed.
        """
        action = "GetBucketObjectVersions" if versions else "GetBucket"
        parameters: Fields = {"versions": "", **_FULL_PAGES} if versions else _FULL_PAGES
        markers = {"key-marker": after, "version-id-marker": after_version} if versions else {"marker": after}

        def fetch(markers: Fields) -> tuple[list[Object], Fields | None]:
            entries, following = self._page(action, prefix, parameters, markers)
            objects = [_object_of(name, each) for name, each in entries if name in _OBJECTS]
            return sorted(objects, key=lambda entry: entry.key), following  # delete markers may come after versions

        return _ParallelList(fetch, prefix, markers, last).pages()

    def find(self, key: str) -> Object | None:
        """An object; None if it is not there.

        Raises:
            StorageError: the request failed.
        """
        try:
            return self.look(key)
        except StorageError as error:
            if error.status == 404 and error.code != "NoSuchBucket":
                return None
            raise

    def look(self, key: str) -> Object:
        """An object, by HEAD.

        Raises:
            StorageError: there is no such object, or the request failed.
        """
        answer = self._call("HeadObject", key, "head_object", Key=key)
        headers = _lower(answer)
        size, crc64 = self._field("HeadObject", key, answer, "Content-Length"), headers.get("x-cos-hash-crc64ecma")
        return Object(
            key, int(size), headers.get("etag", ""), headers.get("last-modified", ""),
            headers.get("x-cos-storage-class", "STANDARD"), headers.get("x-cos-version-id", ""),
            crc64=None if crc64 is None else int(crc64),
        )  # fmt: skip

    # --- Reading

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        """Some bytes of an object.

        Args:
            key: the object's key.
            start: the first byte.
            size: the number of bytes. None: all that follow.
            etag: the ETag that the object must have.

        Raises:
            StorageError: it cannot be read, or has another ETag.
        """
        if size == 0:
            return b""
        with contextlib.closing(_Reader(self, key, etag, start, None if size is None else start + size)) as reader:
            return reader.read_all()

    def open(self, entry: Object) -> IO[bytes]:
        """An object as a file that you can read and seek. It must stay the object that was listed.

        A request reads from the current place, to the end if reading continues. After a lost connection, the next
        request continues at the same byte.

        Raises:
            StorageError: while reading: it cannot be read, or was replaced.
        """
        return io.BufferedReader(_ObjectFile(self, entry), 1 << 17)

    # --- Writing

    def write(self, key: str, *, replace: bool = True) -> Upload:
        """A file that becomes an object at the end of its ``with`` block. If the block fails, nothing of it stays.

        Args:
            key: the object's key.
            replace: whether an object of this key may be replaced. COS checks this only in buckets without versions.
        """
        return Upload(self, key, replace)

    def put(self, key: str, data: bytes, *, replace: bool = True) -> str:
        """Write a small object at once; returns its ETag.

        Raises:
            StorageError: it cannot be written. `status` is 409 if the object exists and may not be replaced.
        """
        headers = {} if replace else _FORBID_OVERWRITE
        try:
            answer = self._call("PutObject", key, "put_object", Key=key, Body=data, EnableMD5=True, **headers)
        except StorageError as error:
            # An answer that was lost: the attempt after it finds what this one has written.
            if error.status != 409 or not error.was_repeated or self.read(key, 0, len(data) + 1) != data:
                raise
            return self.look(key).etag
        self._check_crc64("PutObject", key, answer, _crc64(data))
        return str(_lower(answer).get("etag", ""))

    def remove(self, key: str) -> None:
        """Remove an object. If there is none, nothing happens.

        Raises:
            StorageError: it cannot be removed.
        """
        self._call("DeleteObject", key, "delete_object", Key=key)

    def unfinished(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """The unfinished uploads of keys with a prefix, as (key, UploadId).

        Raises:
            StorageError: they cannot be listed.
        """
        markers = {"key-marker": "", "upload-id-marker": ""}
        for entries in self._pages("ListMultipartUploads", prefix, {"uploads": ""}, markers):
            yield from [(each["Key"], each["UploadId"]) for name, each in entries if name == "Upload"]

    def abort(self, key: str, upload_id: str) -> None:
        """Abort an upload, and delete its parts. If there is no such upload, nothing happens.

        Raises:
            StorageError: COS refuses it.
        """
        try:
            self._call("AbortMultipartUpload", key, "abort_multipart_upload", Key=key, UploadId=upload_id)
        except StorageError as error:
            if error.code != "NoSuchUpload":
                raise

    # --- Requests

    def _pages(
        self, action: str, prefix: str, parameters: Fields, markers: Fields
    ) -> Iterator[list[tuple[str, Fields]]]:
        """The entries of a list, page by page, each with its name."""
        following: Fields | None = markers
        while following is not None:
            entries, following = self._page(action, prefix, parameters, following)
            yield entries

    def _page(
        self, action: str, prefix: str, parameters: Fields, markers: Fields
    ) -> tuple[list[tuple[str, Fields]], Fields | None]:
        """One page of a list: its entries, and the markers of the next page. After the last page they are None."""
        fields, entries = self._list(action, prefix, {**parameters, **markers})
        if fields.get("IsTruncated") != "true":
            return entries, None
        following = {name: fields.get(f"Next{name.title().replace('-', '')}", "") for name in markers}
        name = next(iter(markers))  # the key's
        if not following[name] and len(markers) == 1:
            following[name] = max((each.get("Key") or each.get("Prefix", "") for _, each in entries), default="")
        if following == markers or following[name] < markers[name]:
            raise self._error(action, prefix, f"the list does not continue after {markers[name]!r}")
        return entries, following

    def _list(self, action: str, prefix: str, parameters: Fields) -> tuple[Fields, list[tuple[str, Fields]]]:
        """A list's answer: its own fields, and its entries, each with its name.

        The SDK's requests, and not its reading of the answer, which takes five times as long as all else.
        """
        parameters = {**parameters, "prefix": prefix, "encoding-type": "url"}

        def ask(client: Any) -> Any:
            settings = client.get_conf()
            return client.send_request(
                "GET", settings.uri(bucket=self.name), bucket=self.name, params=dict(parameters), headers={},
                auth=self._sdk.cos_auth.CosS3Auth(settings, params=parameters),
            )  # fmt: skip

        content = self._ask(action, prefix, ask).content
        try:
            return _read_list(content)
        except ValueError as error:
            raise self._error(action, prefix, f"the list cannot be read: {error}") from None

    def _call(self, action: str, key: str, method: str, **arguments: Any) -> Any:
        """What the SDK's method gives, after as many attempts as it takes."""
        return self._ask(action, key, lambda client: getattr(client, method)(Bucket=self.name, **arguments))

    def _ask(self, action: str, key: str, ask: Callable[[Any], Any]) -> Any:
        """What a function of the SDK's client gives, after as many attempts as it takes."""
        if len(key.encode("utf-8", "surrogatepass")) > _LONGEST_KEY:
            raise self._error(action, key, f"a key has at most {_LONGEST_KEY} bytes")
        attempt = 1
        while True:
            client = self._client(_SLOW_TIMEOUTS if action == "CompleteMultipartUpload" else _TIMEOUTS)
            try:
                return ask(client)
            except self._sdk.CosServiceError as error:
                problem, is_transient = self._refusal(action, key, error)
            except self._sdk.CosClientError as error:
                problem = self._error(action, key, f"no answer: {error}")
                is_transient = True
            except Exception as error:  # the SDK, at an answer that is not as it should be
                problem = self._error(action, key, f"the answer cannot be read: {type(error).__name__}: {error}")
                problem.__cause__ = error
                is_transient = True
            if not is_transient or attempt >= self._attempts:
                problem.was_repeated = attempt > 1
                raise problem
            time.sleep(_pause(attempt))
            attempt += 1

    def _client(self, timeouts: tuple[int, int] = _TIMEOUTS) -> Any:
        """A client with the credentials of now: those that are renewed are never mixed."""
        credentials = self._credentials()
        settings = self._sdk.CosConfig(
            Region=self.region, SecretId=credentials.secret_id, SecretKey=credentials.secret_key,
            Token=credentials.token, Timeout=timeouts, AutoSwitchDomainOnRetry=False, **self._settings,
        )  # fmt: skip
        return self._sdk.CosS3Client(settings, retry=0, session=self._session)

    def _note_redirect(self, response: Any, *args: Any, **options: Any) -> None:
        """Make an error of a redirect, which a bucket answers to a request for another region."""
        if 300 <= response.status_code < 400 and response.status_code != 304:
            self._redirect.region = response.headers.get("x-cos-bucket-region") or _region_of(response)
            response.status_code = _MISDIRECTED

    def _error(self, action: str, key: str, text: str, status: int = 0, code: str = "") -> StorageError:
        return StorageError(f"{Address(self.name, key)}: {text}", f"name/cos:{action}", self.name, key, status, code)

    def _refusal(self, action: str, key: str, error: Any) -> tuple[StorageError, bool]:
        """What COS said, in words that help; and whether the same request may succeed in a moment."""
        status = int(error.get_status_code())
        details = error.get_digest_msg()
        details = {name.lower(): value for name, value in details.items()} if hasattr(details, "items") else {}
        code = str(details.get("code") or details.get("x-cos-error-code") or "")
        answer = f"{status} {code}".strip()
        if status >= 500 or status == 429 or status < 300 or code in _TRANSIENT_CODES:
            return self._error(action, key, f"COS cannot answer {action} now ({answer})", status, code), True
        if status == _MISDIRECTED:
            region = getattr(self._redirect, "region", "")
            where = f"in {region}" if region else "in another region"
            text = f"the bucket is {where}, not in {self.region}: give the bucket's region"
        elif code == "NoSuchBucket":
            text = f"there is no bucket {self.name} in {self.region}: check its name and its region"
        elif status == 404:
            text = "there is no such object" if code != "NoSuchUpload" else "the upload has ended already"
        elif status == 412:
            text = "the object was replaced while it was read: try again"
        elif status == 409:
            text = f"the object already exists ({answer})"
        elif code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
            text = f"COS does not accept the credentials ({answer}): check SecretId and SecretKey"
        elif code in ("ExpiredToken", "InvalidToken"):
            text = f"COS does not accept the token ({answer}): it has expired, or belongs to other keys"
        elif code in ("RequestTimeTooSkewed", "RequestIsExpired"):
            text = f"COS does not accept the time ({answer}): set this machine's clock"
        elif status == 403:
            text = f"COS refuses {action} ({answer}): the credentials need the permission name/cos:{action} for it"
        else:
            text = f"COS refuses {action} ({answer}): {details.get('message', '')}"
        return self._error(action, key, text, status, code), False

    def _check_crc64(self, action: str, key: str, answer: Any, crc64: int | None) -> None:
        """Compare what COS has with what was sent."""
        theirs = _lower(answer).get("x-cos-hash-crc64ecma")
        if theirs is not None and crc64 is not None and int(theirs) != crc64:
            outcome = "they were dropped: try again"
            if action != "UploadPart":
                try:
                    self.remove(key)
                except StorageError as error:
                    outcome = f"they are still there, as {error}"
            raise self._error(action, key, f"COS received other bytes than were sent (CRC-64), and {outcome}")

    def _field(self, action: str, key: str, answer: Any, name: str) -> str:
        """A header or a field that an answer must have."""
        value = _lower(answer).get(name.lower())
        if not value:
            raise self._error(action, key, f"the answer has no {name}")
        return str(value)


class _Range:
    """A part of a list: what comes after its markers, up to the key `last`, or to the list's end.

    Attributes:
        markers: the next page begins after these.
        last: the last key that may be in it; "" for no end.
        pages: those that were fetched.
        cuts: where it may be cut, the nearest first.
        starts: the first keys of its last pages.
        is_busy: whether a page is being fetched.
        is_done: whether no page follows.
        failure: why its next page cannot be fetched; None if nothing failed.
    """

    def __init__(self, markers: Fields, last: str) -> None:
        self.markers = markers
        self.last = last
        self.pages: deque[list[Object]] = deque()
        self.cuts: list[str] = []
        self.starts: deque[str] = deque(maxlen=_PAGES_OF_CUT)
        self.is_busy = False
        self.is_done = False
        self.failure: BaseException | None = None


class _ParallelList:
    """A list that comes in the order of its keys, and whose parts are fetched at the same time.

    The last pages show how far keys go on in a page: from ``photos/0100`` to ``photos/0140``, say. So the list is cut
    some pages further, after ``photos/0300``, ``photos/0460``..., and after all keys that begin as these do. No
    request is needed to find such places. Wherever the list is cut, no key is lost or comes twice: a range ends with
    one key, and the next range begins after it.

    Args:
        fetch: returns a page after markers, and the next page's markers.
        prefix: what all keys begin with.
        markers: the list begins after these.
        last: the last key; "" for all.
    """

    def __init__(
        self,
        fetch: Callable[[Fields], tuple[list[Object], Fields | None]],
        prefix: str,
        markers: Fields,
        last: str,
    ) -> None:
        self._fetch = fetch
        self._prefix = prefix
        self._ranges = [_Range(markers, last)]
        self._changed = threading.Condition()
        self._is_over = False
        self._connections = 1  # how many requests are worth while at a time, as the first pages show
        self._least_times = (math.inf, math.inf)  # seconds of the fastest page, and of the least work for one

    def pages(self) -> Iterator[list[Object]]:
        try:
            for number in range(_LIST_CONNECTIONS):
                threading.Thread(target=self._work, name=f"cossign-list-{number}", daemon=True).start()
            while self._ranges:
                page = self._first_page()
                if page is not None:
                    yield page
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _first_page(self) -> list[Object] | None:
        """The next page; None if the first range has ended."""
        with self._changed:
            first = self._ranges[0]
            while not first.pages and not first.is_done:
                self._changed.wait(waits.at_once())
            self._changed.notify_all()
            if first.pages:
                return first.pages.popleft()
            if first.failure is not None:
                raise first.failure
            del self._ranges[0]
            return None

    def _work(self) -> None:
        """Fetch pages, in a thread."""
        while (each := self._take()) is not None:
            try:
                wall_time, cpu_time = time.monotonic(), time.thread_time()
                objects, following = self._fetch(each.markers)
                self._weigh(time.monotonic() - wall_time, time.thread_time() - cpu_time)
                self._put(each, objects, following)
            except BaseException as error:  # it is raised where its page would come
                with self._changed:
                    each.failure, each.is_done, each.is_busy = error, True, False
                    self._changed.notify_all()

    def _weigh(self, wall_time: float, cpu_time: float) -> None:
        """Ask for as many pages at a time as can be read while one is waited for."""
        with self._changed:
            wall_time, cpu_time = min(wall_time, self._least_times[0]), min(cpu_time, self._least_times[1])
            self._least_times = (wall_time, cpu_time)
            self._connections = min(_LIST_CONNECTIONS, max(1, round(wall_time / max(1e-6, cpu_time))))

    def _take(self) -> _Range | None:
        """A range whose next page is to be fetched; None when the list is over."""
        with self._changed:
            while not self._is_over:
                is_free = sum(each.is_busy for each in self._ranges) < self._connections
                each = (self._idle_range() or self._new_range()) if is_free else None
                if each is not None:
                    each.is_busy = True
                    return each
                self._changed.wait()
            return None

    def _idle_range(self) -> _Range | None:
        for place, each in enumerate(self._ranges):
            limit = _PAGES_AHEAD if place == 0 else _PAGES_OF_RANGE
            if not each.is_busy and not each.is_done and len(each.pages) < limit:
                return each
        return None

    def _new_range(self) -> _Range | None:
        """The end of the first range that can be cut."""
        if sum(len(each.pages) for each in self._ranges) >= _PAGES_AHEAD:
            return None
        for place, each in enumerate(self._ranges):
            name, *others = each.markers
            for number, cut in enumerate(() if each.is_done else each.cuts, 1):
                if cut > each.markers[name] and (not each.last or cut < each.last):
                    new = _Range({name: cut, **dict.fromkeys(others, "")}, each.last)
                    new.cuts, each.cuts, each.last = each.cuts[number:], [], cut
                    self._ranges.insert(place + 1, new)
                    return new
        return None

    def _put(self, each: _Range, objects: list[Object], following: Fields | None) -> None:
        """Take what was fetched."""
        with self._changed:
            if each.last and objects and objects[-1].key > each.last:
                objects = [entry for entry in objects if entry.key <= each.last]
            if objects:
                each.pages.append(objects)
                each.starts.append(objects[0].key)
                if len(each.starts) > 2:  # fewer pages do not show how keys go on
                    each.cuts = list(_cuts(self._prefix, each.starts, objects[-1].key))
            each.is_busy = False
            each.is_done = following is None or self._has_passed(following, each.last)
            each.markers = each.markers if following is None else following
            self._changed.notify_all()

    @staticmethod
    def _has_passed(markers: Fields, last: str) -> bool:
        """Whether nothing up to a key comes after these markers; of the key itself there may be more versions."""
        key = next(iter(markers.values()))
        return bool(last) and (key > last or (key == last and len(markers) == 1))


def common_start(first: str, second: str) -> str:
    """What two texts begin with."""
    size = next((place for place, letter in enumerate(first) if letter != second[place : place + 1]), len(first))
    return first[:size]


def _cuts(prefix: str, starts: Sequence[str], end: str) -> Iterator[str]:
    """Keys behind a page that may cut a list, the nearest first, with some pages between them if keys go on as before.

    Args:
        prefix: what all keys of the list begin with.
        starts: the first keys of the last pages.
        end: the last page's last key.

    >>> list(_cuts("p/", ["p/0100.jpg", "p/0110.jpg"], "p/0119.jpg"))[:3]
    ['p/013', 'p/015', 'p/017']
    """
    start = common_start(starts[0], end)
    size = len(start)
    letters = starts[0][size : size + 1] + end[size : size + 1]
    count = range(1, _LIST_CONNECTIONS)
    base = 10 if set(letters) <= set(_HEX_DIGITS[:10]) else 16 if set(letters) <= set(_HEX_DIGITS) else 0
    if len(letters) == 2 and base:  # numbers, which carry
        start = start.rstrip(_HEX_DIGITS[:base])
        digits = slice(len(start), size + 1)
        width, last = size + 1 - len(start), int(end[digits], base)
        step = max(1, _PAGES_OF_CUT * (last - int(starts[0][digits], base)) // len(starts))
        numbers = [last + step * number for number in count]
        yield from (
            start + f"{number:0{width}{'d' if base == 10 else 'x'}}" for number in numbers if number < base**width
        )
    elif len(letters) == 2:
        step = max(1, _PAGES_OF_CUT * (ord(letters[1]) - ord(letters[0])) // len(starts))
        yield from (_behind(start + letters[1], step * number) for number in count)
    if len(start) > len(prefix):
        yield _behind(start)


def _behind(start: str, step: int = 1) -> str:
    """A text after all that begin so: the last character is one that comes some steps later.

    >>> _behind("photos/12/")
    'photos/120'
    """
    letter = min(ord(start[-1]) + step, sys.maxunicode)
    return start[:-1] + chr(0xE000 if 0xD800 <= letter < 0xE000 else letter)  # no surrogates


class _Reader:
    """Some bytes of an object, in order; a connection that is cut is begun again at the same byte."""

    def __init__(self, bucket: Bucket, key: str, etag: str, start: int, end: int | None) -> None:
        self._bucket = bucket
        self._key = key
        self._etag = etag
        self.place = start
        self.end = end
        self._stream: Any = None
        self._failures = 0

    def read(self, size: int) -> bytes:
        """At most so many bytes; b"" at the end."""
        while True:
            if self.end is not None:
                size = min(size, self.end - self.place)
                if size <= 0:
                    return b""
            try:
                stream = self._open() if self._stream is None else self._stream
                data = stream.read(size)
            except self._bucket.cut_errors as error:
                self._again(f"the connection was cut: {error}")
                continue
            if not data and self.end is not None:
                if self.place >= self.end:
                    return b""
                self._again("the answer was too short")
                continue
            self._failures = 0
            self.place += len(data)
            return bytes(data)

    def read_all(self) -> bytes:
        return b"".join(iter(lambda: self.read(1 << 20), b""))

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):
                stream.close()

    def _open(self) -> Any:
        last = "" if self.end is None else self.end - 1
        match = {"IfMatch": self._etag} if self._etag else {}
        span = {} if self.place == 0 and self.end is None else {"Range": f"bytes={self.place}-{last}"}
        bucket = self._bucket
        answer = bucket._call(
            "GetObject", self._key, "get_object", Key=self._key, KeySimplifyCheck=False, **match, **span
        )
        headers = _lower(answer)
        content_range = headers.get("content-range", "")
        if span and not content_range.startswith(f"bytes {self.place}-"):
            raise bucket._error(
                "GetObject", self._key, f"COS did not give the range that was asked for: {content_range!r}"
            )
        size = self.place + int(headers["content-length"])
        self.end = size if self.end is None else min(self.end, size)
        self._stream = answer["Body"].get_raw_stream()
        return self._stream

    def _again(self, why: str) -> None:
        """Wait for a moment before the object is asked for again, or give up."""
        self.close()
        self._failures += 1
        if self._failures >= self._bucket._attempts:
            raise self._bucket._error("GetObject", self._key, f"it cannot be read to its end: {why}")
        time.sleep(_pause(self._failures))


class _ObjectFile(io.RawIOBase):
    """An object as a file that is read."""

    def __init__(self, bucket: Bucket, entry: Object) -> None:
        self._bucket = bucket
        self._entry = entry
        self._place = 0
        self._reader: _Reader | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._entry.size}[whence]
        if base + offset < 0:
            raise ValueError(f"a place in a file is not negative: {base + offset}")
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        size = min(len(view), self._entry.size - self._place)
        if size <= 0:
            return 0
        reader = self._reader
        if reader is None or reader.place != self._place or (reader.end is not None and reader.place >= reader.end):
            # What is read from the beginning, or from where reading stopped, is likely to be read to the end.
            goes_on = self._place == 0 if reader is None else reader.place == self._place
            if reader is not None:
                reader.close()
            end = self._entry.size if goes_on else min(self._entry.size, self._place + max(size, _SMALLEST_READ))
            self._reader = reader = _Reader(self._bucket, self._entry.key, self._entry.etag, self._place, end)
        data = reader.read(size)
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        super().close()


class Upload(io.RawIOBase):
    """A file that becomes an object at the end of its ``with`` block. If the block fails, nothing of it stays.

    A separate thread sends it in parts while it is written. At most two parts wait in memory.

    Attributes:
        etag: the object's ETag, when it is complete.
    """

    def __init__(self, bucket: Bucket, key: str, replace: bool) -> None:
        self._bucket = bucket
        self._key = key
        self._replace = replace
        self.etag = ""
        self._buffer = bytearray()
        self._size = 0
        self._upload_id = ""
        self._parts: list[dict[str, Any]] = []
        self._crc64: int | None = 0
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        """Take bytes.

        Raises:
            StorageError: an earlier part could not be sent.
        """
        view = memoryview(data).cast("B")
        self._buffer += view
        self._size += len(view)
        limit = _PART_SIZE << len(self._parts) // _PARTS_PER_SIZE
        if len(self._buffer) >= limit:
            self._send()
        return len(view)

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self.complete()
            except BaseException:
                self.discard()
                raise
        else:
            self.discard()
        super().close()

    def complete(self) -> None:
        """Complete the object.

        Raises:
            StorageError: it cannot be completed.
        """
        if not self._upload_id:
            self.etag = self._bucket.put(self._key, bytes(self._buffer), replace=self._replace)
            return
        if self._buffer:
            self._send()
        self._wait()
        headers = {} if self._replace else _FORBID_OVERWRITE
        answer: Any = {}
        try:
            answer = self._bucket._call(
                "CompleteMultipartUpload", self._key, "complete_multipart_upload", Key=self._key,
                UploadId=self._upload_id, MultipartUpload={"Part": self._parts}, **headers,
            )  # fmt: skip
        except StorageError as error:
            # An answer that was lost: the attempt after it finds no upload, and the object.
            was_done = error.code == "NoSuchUpload" or (error.status == 409 and error.was_repeated)
            if not was_done or not self._is_there():
                raise
        self._upload_id = ""
        self._bucket._check_crc64("CompleteMultipartUpload", self._key, answer, self._crc64)
        self.etag = self._bucket.look(self._key).etag  # which COS makes of all parts

    def _is_there(self) -> bool:
        """Whether the object has the bytes that were sent."""
        entry = self._bucket.find(self._key)
        if entry is None or self._crc64 is None:
            return False
        return (entry.size, entry.crc64) == (self._size, self._crc64)

    def discard(self) -> None:
        """Delete it. If that fails now, `Bucket.unfinished` lists it."""
        with contextlib.suppress(BaseException):
            self._wait()
        upload_id, self._upload_id = self._upload_id, ""
        self._buffer.clear()
        if upload_id:
            with contextlib.suppress(StorageError):
                self._bucket.abort(self._key, upload_id)

    def _send(self) -> None:
        """Have a thread send a part, when the one before it was sent."""
        self._wait()
        data, self._buffer = self._buffer, bytearray()
        if not self._upload_id:
            answer = self._bucket._call("InitiateMultipartUpload", self._key, "create_multipart_upload", Key=self._key)
            self._upload_id = self._bucket._field("InitiateMultipartUpload", self._key, answer, "UploadId")
        number = len(self._parts) + 1
        self._parts.append({"PartNumber": number})
        self._thread = threading.Thread(
            target=self._send_part, args=(number, bytes(data)), name="cossign-upload", daemon=True
        )
        self._thread.start()

    def _send_part(self, number: int, data: bytes) -> None:
        try:
            answer = self._bucket._call(
                "UploadPart", self._key, "upload_part", Key=self._key, Body=data, PartNumber=number,
                UploadId=self._upload_id, EnableMD5=True,
            )  # fmt: skip
            self._bucket._check_crc64("UploadPart", self._key, answer, _crc64(data))
            self._crc64 = _crc64(data, self._crc64)
            self._parts[number - 1]["ETag"] = self._bucket._field("UploadPart", self._key, answer, "ETag")
        except BaseException as error:
            self._failure = error

    def _wait(self) -> None:
        """Wait for the part that is being sent."""
        if self._thread is not None:
            waits.join(self._thread)
            self._thread = None
        if self._failure is not None:
            raise self._failure


def _import_sdk() -> Any:
    try:
        sdk = importlib.import_module("qcloud_cos")
    except ImportError:
        raise StorageError("buckets need Tencent's SDK: pip install cos-python-sdk-v5") from None
    logger = logging.getLogger("qcloud_cos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # errors are raised; the SDK would print each attempt
    return sdk


def _connection(bucket: str, region: str, endpoint: str | None) -> dict[str, Any]:
    """The SDK's settings of where requests go."""
    import ipaddress

    if endpoint is None:
        return {"Scheme": "https", "Endpoint": f"cos.{region}.myqcloud.com"}
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        port = parts.port
    except ValueError as error:
        raise ParameterError("endpoint", f"is not a host: {error}") from None
    if (parts.hostname or "").startswith(f"{bucket}."):
        raise ParameterError("endpoint", f"must be without the bucket: {parts.netloc.partition('.')[2]}")
    has_more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or has_more:
        raise ParameterError("endpoint", "must be a host, such as cos-internal.ap-beijing.tencentcos.cn")
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        return {"Scheme": parts.scheme, "Endpoint": parts.netloc}
    port = port or {"http": 80, "https": 443}[parts.scheme]
    return {"Scheme": parts.scheme, "Endpoint": f"cos.{region}.myqcloud.com", "IP": parts.hostname, "Port": port}


def _region_of(response: Any) -> str:
    """The region in the host that a redirect leads to, or names."""
    text = response.headers.get("Location", "") + response.text[:4096]
    labels = text.partition(".cos.")[2].split(".", 1)
    return labels[0] if len(labels) == 2 and len(labels[0]) < 40 else ""


def _read_list(content: bytes) -> tuple[Fields, list[tuple[str, Fields]]]:
    """A list taken apart, its keys decoded.

    >>> _read_list(b"<A><IsTruncated>true</IsTruncated><Contents><Key>a%20b</Key></Contents></A>")
    ({'IsTruncated': 'true'}, [('Contents', {'Key': 'a b'})])
    """
    from xml.etree import ElementTree

    fields: Fields = {}
    entries: list[tuple[str, Fields]] = []
    try:
        root = ElementTree.fromstring(content)  # noqa: S314  (expat bounds what entities grow to)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not XML: {error}") from None
    for each in root:
        name = each.tag.rpartition("}")[2]
        if len(each):
            entry = {field.tag.rpartition("}")[2]: field.text or "" for field in each}
            entries.append((name, entry))
            missing = [field for field in _NEEDED_FIELDS.get(name, ()) if field not in entry]
            if missing or not (entry.get("Size") or "0").isdecimal():
                problem = f"no {missing[0]}" if missing else "a Size that is not a number"
                raise ValueError(f"an entry {name} has {problem}")
            for field in ("Key", "Prefix"):
                if field in entry:
                    entry[field] = unquote(entry[field], errors="strict")
        else:
            fields[name] = unquote(each.text or "", errors="strict") if name in _MARKERS else each.text or ""
    return fields, entries


def _object_of(name: str, entry: Fields) -> Object:
    """An entry of a list."""
    return Object(
        entry["Key"], int(entry.get("Size") or 0), entry.get("ETag", ""), entry.get("LastModified", ""),
        entry.get("StorageClass", ""), entry.get("VersionId", ""), entry.get("IsLatest", "true") == "true",
        name == "DeleteMarker",
    )  # fmt: skip


def _lower(headers: Any) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in headers.items()}


def _pause(attempt: int) -> float:
    """Seconds before the attempt after this one."""
    return min(_LONGEST_PAUSE, 0.2 * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1)  # noqa: S311


def _crc64(data: bytes, crc: int | None = 0) -> int | None:
    """The CRC-64 of COS (ECMA-182, as XZ has it); None where nothing computes it fast.

    Source: page 45260 of product 436.
    """
    function = _crc64_function()
    return None if function is None or crc is None else int(function(data, crc))


def _crc64_function() -> Callable[[bytes, int], int] | None:
    global _crc64_module
    if _crc64_module is None:
        try:
            crcmod = importlib.import_module("crcmod")
            importlib.import_module("crcmod._crcfunext")  # its Python takes a second a megabyte
            _crc64_module = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
        except ImportError:
            _crc64_module = False
    return _crc64_module or None


_crc64_module: Any = None

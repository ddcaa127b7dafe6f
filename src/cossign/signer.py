"""Signer: the Pythonic interface. It checks and prepares once, then hands plain values to the core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, overload

from cossign import _core
from cossign._arrow import Memory, PackedUrls, SignedColumn, pack_many
from cossign._core import STRICT, Template
from cossign._verify import RequestSigner
from cossign.bulk import (
    BulkResult,
    Chunks,
    Columns,
    arrow_column,
    check_keys,
    is_scalar,
    keeps_errors,
    presigned,
    sequence,
    signed_column,
)
from cossign.credentials import Credentials
from cossign.credentials.base import get_credentials
from cossign.endpoint import Endpoint
from cossign.engine import checked_threads
from cossign.errors import ParameterError
from cossign.key_time import Duration, Span, Times
from cossign.request import (
    Canonical,
    Headers,
    Query,
    Scalar,
    SigningRequest,
    checked_headers,
    checked_mapping,
    checked_method,
    checked_query,
    constant_url,
    signed_by_clients,
)
from cossign.shortcuts import ShortCuts

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from cossign.bulk import BulkParameters
    from cossign.post import PostPolicy

__all__ = ["Signer"]

Text = str | bytes
Raise = Literal["raise"]
OnError = Literal["raise", "null"]

_FEW_ROWS = 16_384  # rows whose URLs fit into the caches
_CHUNK_OF_FEW = 1 << 20  # bytes: DuckDB takes 2,048 URLs, its vector, in 50 us less if they are in one chunk
_MOST_TEMPLATES = 64  # that are kept for single calls
_PLAIN_KIND = ("GET", None, type(None), "key")  # the URL of a bare GET


def memory_for_few(memory: Memory, keys: Any) -> Memory | None:
    """A Signer's memory for a few thousand URLs, which many calls then use in turn; None for memory of their own."""
    return memory if hasattr(keys, "__len__") and len(keys) <= _FEW_ROWS else None


class Signer(ShortCuts):
    """Signs and verifies for one bucket. It never changes, and threads can share it.

    Args:
        credentials: Credentials, a provider with ``get() -> Credentials``, or a function that returns Credentials.
        bucket: ``<BucketName>-<APPID>``.
        region: for example ``ap-beijing``.
        domain: a host of your own instead of the default one; see `cossign.endpoint.endpoint` for templates.
        scheme: "https" or "http".
        expires: how long a signature is valid, unless a call gives another time: seconds, a timedelta, or text such as
            "15m".
        round_to: the length of a window in which a key's URL stays the same, so that browsers and CDNs can cache the
            object. KeyTime starts with the window, and ends `expires` after its end. None: a new URL each second.
        sign_host: sign the Host header, so that a signature is valid for this bucket alone.
        accelerate: use the global acceleration host.
        strict: check keys by COS's naming rules, and refuse keys that HTTP clients would change.
        engine: "auto", or one of `engines()`. The environment variable COSSIGN_ENGINE overrides "auto".
        backdate: how many seconds before now KeyTime starts, for a machine whose clock is ahead of COS's. The end of
            KeyTime is the same for 1 and more.
        clock: another clock, if this machine's clock may be wrong; see `Clock`.

    Raises:
        ParameterError: a parameter is not valid; the message names it.

    Warns:
        UserWarning: a region is not one of COS's, but its name is similar to one.

    Source: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).

    >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
    >>> signer.presign("picture.jpg", key_time=(1557989753, 1557996953)).partition("?")[0]
    'https://b-1250000000.cos.ap-beijing.myqcloud.com/picture.jpg'
    """

    __slots__ = ("_last_request", "_memory", "_templates")

    # credentials, KeyTime's start, the template of _PLAIN, and the others by their kinds
    _templates: tuple[Credentials, int, Template | None, dict[tuple[Any, ...], Template]] | None
    _last_request: list[tuple[Credentials, int, Duration | None, RequestSigner]]
    _memory: Memory

    def _begin(self, before: Self | None) -> None:
        memory = Memory(chunk=_CHUNK_OF_FEW) if before is None else before._memory
        for name, value in (("_last_request", []), ("_memory", memory), ("_templates", None)):
            object.__setattr__(self, name, value)

    # --- Signing

    def presign(
        self,
        key: str,
        *,
        method: str = "GET",
        expires: Duration | None = None,
        query: Query | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
    ) -> str:
        """A presigned URL, with every value percent-encoded.

        Args:
            key: the object's key, not encoded, without a leading slash.
            method: the method that the URL is for.
            expires: how long it is valid from now: seconds, a timedelta, or text such as "15m". None: the Signer's own.
            query: parameters of the URL, which are signed.
            headers: headers that are signed. Clients that use the URL must send them.
            key_time: ``(start, end)`` in Unix seconds, instead of `expires`.

        Returns:
            The URL.

        Raises:
            ParameterError: a parameter is not valid.
            KeyNameError: COS does not allow such a key, or clients cannot send it.
            CredentialsError: there are no credentials, or they have expired.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.presign("a.txt", query={"response-content-type": "text/plain"}).rpartition("&")[2]
        'response-content-type=text%2Fplain'
        """
        credentials = self.valid_credentials()
        start = self._start()
        if query is None and headers is None and key_time is None:
            cache = self._templates
            if (
                cache is not None
                and cache[1] == start
                and cache[0] is credentials
                and expires is None
                and method == "GET"
                and cache[2] is not None
            ):
                return _core.sign_one(cache[2], key)
            template = self._usual_template(credentials, start, method, expires, "key")
        else:
            request = self._prepare_request(
                credentials,
                self._times(start),
                self.where(),
                method,
                expires,
                query=query,
                headers=headers,
                key_time=key_time,
            )
            template = request.url("key")
        return _core.sign_one(template, key)

    @overload
    def presign_many(  # pyright: ignore[reportOverlappingOverload]
        self, keys: Iterable[str], *, on_error: Raise = ..., **more: Unpack[BulkParameters]
    ) -> list[str]: ...
    @overload
    def presign_many(
        self, keys: Iterable[str | None], *, on_error: OnError = ..., **more: Unpack[BulkParameters]
    ) -> list[str | None]: ...
    def presign_many(
        self,
        keys: Iterable[str | None],
        *,
        method: str | Sequence[str] = "GET",
        expires: Duration | Sequence[Duration] | None = None,
        query: Mapping[str, Scalar | Sequence[Scalar]] | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
        on_error: Literal["raise", "null"] = "raise",
        threads: int = 1,
    ) -> list[Any]:
        """Presigned URLs for many keys. All start at the same time.

        Args:
            keys: any iterable of str. None becomes None.
            method: as in `presign`, or a sequence as long as `keys`.
            expires: as in `presign`, or a sequence as long as `keys`.
            query: as in `presign`; a value may be a sequence as long as `keys`, in which None leaves out the parameter.
            headers: as in `presign`.
            key_time: as in `presign`.
            on_error: "raise" at the first bad row, returning nothing; or "null": bad rows become None, and the result
                (a `BulkResult`) has the list ``errors`` of (index, reason).
            threads: how many threads sign. Only one at a time can make str, because of Python's global lock.

        Returns:
            A list of URLs, in the order of `keys`.

        Raises:
            KeyNameError: a key cannot be signed; ``index`` is its row, from 0.
            ParameterError: a parameter is not valid.
            CredentialsError: there are no credentials, or they have expired.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> len(signer.presign_many(f"{number}.jpg" for number in range(1000)))
        1000
        """
        check_keys(keys)
        errors: list[tuple[int, str]] | None = [] if keeps_errors(on_error) else None
        checked_threads(threads)
        if query is None and headers is None and key_time is None and isinstance(method, str) and is_scalar(expires):
            template = self._usual_template(self.valid_credentials(), self._start(), method, expires, "keys")
            urls = _core.sign_many(template, keys, (), (), errors, threads)
        else:
            columns = Columns(query, method, expires if key_time is None else None, sequence)
            batch = self._batch(columns, headers, key_time)
            urls = presigned(*batch, keys, columns, errors, threads, sign=_core.sign_many)
        return urls if errors is None else BulkResult(urls, errors)

    @overload
    def presign_packed(
        self, keys: Iterable[str], *, on_error: Raise = ..., **more: Unpack[BulkParameters]
    ) -> PackedUrls[str]: ...
    @overload
    def presign_packed(
        self, keys: Iterable[str | None], *, on_error: OnError = ..., **more: Unpack[BulkParameters]
    ) -> PackedUrls[str | None]: ...
    def presign_packed(
        self,
        keys: Iterable[str | None],
        *,
        method: str | Sequence[str] = "GET",
        expires: Duration | Sequence[Duration] | None = None,
        query: Mapping[str, Scalar | Sequence[Scalar]] | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
        on_error: Literal["raise", "null"] = "raise",
        threads: int = 1,
    ) -> PackedUrls[Any]:
        """As `presign_many`, with the URLs packed in memory. A str is made when you read an element.

        Use it if each URL is read once, or if few are read. `presign_many` spends most of its time on making str and
        allocating their memory.

        Args:
            keys, method, expires, query, headers, key_time, on_error, threads: as in `presign_many`. All keys are read
                and signed before it returns.

        Returns:
            A sequence of str (`PackedUrls`), in the order of `keys`, with the list ``errors`` of (index, reason).

        Raises:
            KeyNameError, ParameterError, CredentialsError: as `presign_many`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> urls = signer.presign_packed(f"{number}.jpg" for number in range(1000))
        >>> len(urls), urls[-1].partition("?")[0]
        (1000, 'https://b-1250000000.cos.ap-beijing.myqcloud.com/999.jpg')
        """
        check_keys(keys)
        errors: list[tuple[int, str]] | None = [] if keeps_errors(on_error) else None
        checked_threads(threads)
        columns = Columns(query, method, expires if key_time is None else None, sequence)
        sign = partial(pack_many, memory=memory_for_few(self._memory, keys))
        return presigned(*self._batch(columns, headers, key_time), keys, columns, errors, threads, sign=sign)

    def presign_arrow(
        self,
        keys: Any,
        *,
        method: Any = "GET",
        expires: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
        on_error: Literal["raise", "null"] = "raise",
        threads: int = 1,
    ) -> SignedColumn:
        """Presigned URLs for an Arrow column of keys, chunk by chunk. All start at the same time.

        Args:
            keys: a column of strings with ``__arrow_c_stream__`` or ``__arrow_c_array__``: of pyarrow, polars, DuckDB,
                pandas or nanoarrow; plain, view, dictionary or run-end encoded, sliced, chunked. A null becomes a null.
            method: as in `presign`, or an Arrow column of strings as long as `keys`.
            expires: as in `presign`, or an Arrow column of integers; a null is the Signer's own.
            query: as in `presign`; a value may be an Arrow column of strings or integers. A null leaves out the
                parameter in its row.
            headers: as in `presign`.
            key_time: as in `presign`.
            on_error: "raise" when you read a chunk with a bad row; or "null": bad rows become null, and the result's
                ``errors`` lists (index, reason) of those that were read.
            threads: how many threads sign. The reader of the chunks is one of them; the others work ahead.

        Returns:
            An iterable of chunks with the Arrow PyCapsule interface: strings, or string views if `keys` are views. The
            memory of a chunk is used again when its reader drops it. At most a few MiB are in use, for any number of
            rows.

        Raises:
            ParameterError: a parameter is not valid.
            KeyNameError: while you read; in another library, as that library's error with the same text.
            CredentialsError: there are no credentials, or they have expired.

        Source: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> import pyarrow
        >>> urls = pyarrow.chunked_array(signer.presign_arrow(pyarrow.array(["a.jpg", None, "b.jpg"])))
        >>> urls.null_count, urls[2].as_py().partition("?")[0]
        (1, 'https://b-1250000000.cos.ap-beijing.myqcloud.com/b.jpg')
        """
        return self.sign_column(
            keys,
            Chunks(threads, keeps_errors(on_error), memory=memory_for_few(self._memory, keys), as_keys=True),
            method=method,
            expires=expires,
            query=query,
            headers=headers,
            key_time=key_time,
        )

    def sign_column(
        self,
        keys: Any,
        chunks: Chunks,
        *,
        method: Any = "GET",
        expires: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
    ) -> SignedColumn:
        """As `presign_arrow`, for code that reads and writes columns itself.

        Args:
            keys, method, expires, query, headers, key_time: as in `presign_arrow`.
            chunks: the form of the URLs.
        """
        checked_threads(chunks.threads)
        columns = Columns(query, method, expires if key_time is None else None, arrow_column)
        return signed_column(*self._batch(columns, headers, key_time), keys, columns, chunks)

    def authorization(
        self,
        method: str,
        key: str,
        *,
        expires: Duration | None = None,
        query: Query | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
    ) -> str:
        """The value of the Authorization header for a request.

        Args and raises: as in `presign`. Every header is signed, and Host is added.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> "q-header-list=host;range" in signer.authorization("GET", "a.txt", headers={"Range": "bytes=0-9"})
        True
        """
        if query is None and headers is None and key_time is None:
            template = self._usual_template(self.valid_credentials(), self._start(), method, expires, "")
        else:
            request = self._prepare_request(
                self.valid_credentials(),
                self.times(),
                None,
                method,
                expires,
                query=query,
                headers=headers,
                key_time=key_time,
            )
            template = request.authorization("key")
        return _core.sign_one(template, key)

    def object_url(self, key: str, *, query: Query | None = None) -> str:
        """The object's URL without a signature, for public objects.

        Args and raises: as in `presign`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.object_url("a b.txt")
        'https://b-1250000000.cos.ap-beijing.myqcloud.com/a%20b.txt'
        """
        return _core.sign_one(self.target(query, self.where().base.encode()), key)

    def sign_request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Text] | Iterable[tuple[Text, Text]] = (),
        *,
        expires: Duration | None = None,
        key_time: Span | None = None,
    ) -> dict[str, str]:
        """The headers to add to a request, by the SDKs' rules, for the request as it is sent.

        For HTTP clients: see cossign.integrations. It signs the path and all parameters as the server decodes them, and
        the headers that the SDKs sign. Transfer-Encoding is not signed, because it may change on the way.

        Args:
            method: the request's method.
            url: the URL, or the request's target, percent-encoded as it is sent.
            headers: the request's headers, as a mapping or as pairs. Host is taken from the URL unless it is given.
            expires: as in `presign`.
            key_time: as in `presign`.

        Returns:
            ``Authorization``, and ``x-cos-security-token`` if the credentials have a token.

        Raises:
            ParameterError, CredentialsError: as in `presign`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> url = signer.object_url("a b.txt") + "?acl"
        >>> added = signer.sign_request("GET", url, {"Range": "bytes=0-9", "Accept": "*/*"})
        >>> "q-header-list=host;range&q-url-param-list=acl" in added["Authorization"]
        True
        """
        if not isinstance(url, str):
            raise ParameterError("url", f"must be a str, not {type(url).__name__}")
        credentials = self.valid_credentials()
        start = self._start()
        last = self._last_request[0] if self._last_request else None  # once: another thread may put its own there
        if (
            last is None
            or last[0] is not credentials
            or last[1:3] != (start, expires)
            or type(last[2]) is not type(expires)
            or key_time is not None
        ):
            host = None if self.host is None else self.host.encode()
            sign_key = credentials.sign_key(str(self._times(start).key_time(expires, key_time)))
            requests = RequestSigner(
                signed_by_clients, self.sign_host, host, credentials.secret_id, sign_key, self._engine
            )
            if key_time is None:
                self._last_request[:] = [(credentials, start, expires, requests)]
        else:
            requests = last[3]
        pairs = headers.items() if type(headers) is not list and isinstance(headers, Mapping) else headers
        authorization = requests.authorization(checked_method(method), url, pairs)  # pyright: ignore[reportArgumentType]
        token = credentials.token
        if token is None:
            return {"Authorization": authorization}
        return {"Authorization": authorization, "x-cos-security-token": token}

    def post_policy(
        self,
        key: str | None = None,
        *,
        key_prefix: str | None = None,
        size: tuple[int, int] | None = None,
        fields: Mapping[str, Scalar] | None = None,
        starts_with: Mapping[str, str] | None = None,
        expires: Duration | None = None,
        key_time: Span | None = None,
    ) -> PostPolicy:
        """The fields that an HTML form, or a Mini Program's ``wx.uploadFile``, needs to upload a file (POST Object).

        Args:
            key: the object's key. ``${filename}`` in it becomes the name of the file.
            key_prefix: instead of `key`: the beginning of the key. The form adds the whole key.
            size: (least, most) bytes that the file may have.
            fields: form fields and their values: ``Content-Type``, ``success_action_status``, ``x-cos-meta-...``.
            starts_with: fields that the form fills in, and the beginning of each value (which may be empty).
            expires: as in `presign`.
            key_time: as in `presign`.

        Returns:
            PostPolicy: the form's ``url``, and the ``fields`` that come before the file.

        Raises:
            ParameterError, KeyNameError, CredentialsError: as in `presign`.

        Source: Tencent Cloud, COS, "POST Object" (product 436, page 14690).

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> form = signer.post_policy("avatars/${filename}", size=(1, 5_000_000), fields={"acl": "private"})
        >>> form.url, form.fields["key"], form.fields["acl"]
        ('https://b-1250000000.cos.ap-beijing.myqcloud.com/', 'avatars/${filename}', 'private')
        """
        if key is not None and key_prefix is not None:
            raise ParameterError("key_prefix", "must not be given with a key")
        if key is not None:
            self.object_url(key)  # checks it
        credentials = self.valid_credentials()
        span = self.times().key_time(expires, key_time)
        from cossign import post

        return post.signed_policy(
            self.where().base + "/",
            self.bucket,
            credentials,
            span,
            key=key,
            key_prefix=key_prefix,
            size=size,
            fields=checked_mapping(fields, "fields"),
            starts_with=checked_mapping(starts_with, "starts_with"),
        )

    async def ready(self) -> Self:
        """Wait until there are credentials, without blocking the event loop. Then calls sign without waiting.

        Returns:
            This Signer.

        >>> import asyncio
        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> async def signed():
        ...     return (await signer.ready()).presign("a.txt")
        >>> asyncio.run(signed()).partition("?")[0]
        'https://b-1250000000.cos.ap-beijing.myqcloud.com/a.txt'
        """
        await get_credentials(self.credentials)
        return self

    # --- What the calls share, and what other rooms sign with

    def prepare(
        self,
        method: str = "GET",
        *,
        expires: Duration | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        key_time: Span | None = None,
    ) -> SigningRequest:
        """The checked parameters of a URL without its key, for code that signs many.

        Args and raises: as in `presign`; a value of `query` may be a `Column`.
        """
        return self._prepare_request(
            self.valid_credentials(),
            self.times(),
            self.where(),
            method,
            expires,
            query=query,
            headers=headers,
            key_time=key_time,
        )

    def target(self, query: Query | None, base: bytes = b"") -> Template:
        """The template of a URL without a signature, or of its path and query alone if `base` is empty."""
        pieces = Canonical.of(checked_mapping(query, "query"), "query").text
        return constant_url(base, [b"?", *pieces] if pieces else [], self._rules(), "key", self._engine)

    def _rules(self) -> int:
        return STRICT if self.strict else 0

    def _prepare_request(
        self,
        credentials: Credentials,
        times: Times,
        where: Endpoint | None,
        method: Any,
        expires: Any,
        *,
        query: Any = None,
        headers: Any = None,
        key_time: Any = None,
    ) -> SigningRequest:
        span = times.key_time(expires, key_time)
        return SigningRequest(
            method=checked_method(method),
            query=Canonical.of(checked_query(query, credentials.token is not None), "query"),
            headers=Canonical.of(self._signed_headers(headers), "headers"),
            credentials=credentials,
            key_time=span,
            base=b"" if where is None else where.base.encode(),
            rules=self._rules(),
            engine=self._engine,
        )

    def _batch(self, columns: Columns, headers: Any, key_time: Any) -> tuple[SigningRequest, Times]:
        """The request of a row that differs in nothing, and what the KeyTimes of the others have in common with it."""
        times = self.times()
        request = self._prepare_request(
            self.valid_credentials(),
            times,
            self.where(),
            columns.method,
            columns.expires,
            query=columns.query,
            headers=headers,
            key_time=key_time,
        )
        return request, times

    def _signed_headers(self, headers: Any) -> Mapping[str, Any]:
        """The headers as they are signed, Host added."""
        signed_headers = {}
        has_host = False
        for name, value in checked_headers(headers, "headers").items():
            value = value.strip(" \t") if isinstance(value, str) else value  # as HTTP takes blanks away
            if isinstance(name, str) and name.lower() == "host":
                has_host = True
                value = value.lower() if isinstance(value, str) else value
            signed_headers[name] = value
        if self.sign_host and not has_host:
            signed_headers["Host"] = self.where().host
        return signed_headers

    def _usual_template(
        self, credentials: Credentials, start: int, method: Any, expires: Any, parameter: str
    ) -> Template:
        """A template without parameters and headers, kept until KeyTime changes: of a URL, whose keys are called
        `parameter`; or, if that is empty, of an Authorization."""
        cache = self._templates
        if cache is None or cache[1] != start or cache[0] is not credentials:
            cache = credentials, start, None, {}
        kind = method, expires, type(expires), parameter  # True and 1 are equal
        keeps = type(method) is str and type(expires) in (NoneType, int, str, timedelta)
        template = cache[3].get(kind) if keeps else None
        if template is None:
            where = self.where() if parameter else None
            request = self._prepare_request(credentials, self._times(start), where, method, expires)
            template = request.url(parameter) if parameter else request.authorization("key")
            if keeps and len(cache[3]) < _MOST_TEMPLATES:
                cache[3][kind] = template
            plain_template = template if keeps and kind == _PLAIN_KIND else cache[2]
            cache = credentials, start, plain_template, cache[3]
            object.__setattr__(self, "_templates", cache)  # whole: threads share it
        return template

"""Signer: the Pythonic interface. It checks and prepares once, then hands plain values to the core."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, overload

from cossign import _core
from cossign._arrow import Memory, SignedColumn
from cossign._core import KEY, SIGNATURE, STRICT, UTF8, Column, Engine, SignKey, Template, encode_component
from cossign._verify import Judgement, RequestSigner, Verified
from cossign.credentials import Clock, Credentials, CredentialsProvider
from cossign.credentials.given import awaited
from cossign.endpoint import Endpoint, check_bucket, check_region, endpoint, nearest_region
from cossign.errors import (
    CredentialsError,
    ParameterError,
)
from cossign.parameters import (
    checked_headers,
    checked_mapping,
    checked_method,
    checked_query,
    checked_span,
    checked_threads,
    chosen_engine,
    http_pieces,
    key_time_from,
    q_fields,
    signed_by_clients,
)
from cossign.verifier import (
    Accepted,
    Duration,
    Revoked,
    Verifier,
    accepted_now,
    header_texts,
    seconds_of,
    whole_seconds,
)

if TYPE_CHECKING:
    from cossign.explain import Explanation
    from cossign.post import PostPolicy, VerifiedPost

__all__ = ["BulkResult", "Signer"]

Scalar = str | int | float | bool | None
Query = Mapping[str, Scalar]
Headers = Mapping[str, Scalar]
KeyTime = tuple[int, int]
Text = str | bytes

_FEW = 16_384  # rows whose URLs fit into the caches
_MOST_BACKDATE = 86_400
_MOST_TEMPLATES = 64  # that are kept for single calls
_PLAIN_TYPES = (int, str, timedelta)
_PLAIN = ("GET", None, type(None), "key")  # the URL of a bare GET


class BulkResult(list[str | None]):
    """What a bulk call with ``on_error="null"`` returns: the list, and what was wrong with the rows that are None.

    Attributes:
        errors: ``(index, reason)`` for each bad row.
    """

    def __init__(self, values: Iterable[str | None] = (), errors: Sequence[tuple[int, str]] = ()) -> None:
        super().__init__(values)
        self.errors = list(errors)


def _column(value: Any) -> Sequence[Any] | None:
    """A bulk parameter's column, or None for a scalar."""
    if isinstance(value, (str, bytes)):
        return None
    if isinstance(value, Sequence):
        return value
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:  # numpy, pandas
        return value.tolist()  # type: ignore[no-any-return]
    return None


def _warn_of_region(region: str | None) -> None:
    """Warn the caller of a public call of a region that is nearly one of COS's."""
    if region is not None and (near := nearest_region(region)):
        warnings.warn(f"region {region!r} is not one that COS is known to have: did you mean {near!r}?", stacklevel=3)


def _without(query: Mapping[str, Any], absent: Sequence[int]) -> Mapping[str, Any]:
    """A query without the columns of these numbers."""
    if not absent:
        return query
    return {name: value for name, value in query.items() if not (isinstance(value, Column) and value.index in absent)}


def _is_scalar(expires: Any) -> bool:
    return expires is None or isinstance(expires, (int, str, timedelta))


def _is_arrow(value: Any) -> bool:
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def _seconds(text: str) -> int:
    """The seconds that a column's text holds."""
    if re.fullmatch("[0-9]{1,10}[smhd]", text):
        return seconds_of(text, "expires")
    if not re.fullmatch("-?[0-9]{1,20}", text):
        raise ParameterError("expires", "must be a whole number of seconds")
    return int(text)


class Signer:
    """Signs and verifies for one bucket; immutable, and safe to share between threads.

    Args:
        credentials: Credentials, or a provider with ``get() -> Credentials``.
        bucket: ``<BucketName>-<APPID>``.
        region: for example ``ap-beijing``.
        domain: a host of your own instead of the default one; see `cossign.endpoint.endpoint` for templates.
        scheme: "https" or "http".
        expires: how long a signature holds, unless a call gives another time: seconds, a timedelta, or text such as
            "15m".
        round_to: the length of a window in which a key's URL stays the same, so that browsers and CDNs keep what it
            leads to: KeyTime begins with the window, and ends `expires` after it. None for a new URL each second.
        sign_host: sign the Host header, so that a signature holds for this bucket alone.
        accelerate: use the global acceleration host.
        strict: check keys by COS's naming rules, and refuse what HTTP clients would change on the way.
        engine: "auto", or one of `engines()`. The environment variable COSSIGN_ENGINE overrides "auto".
        backdate: seconds before now at which KeyTime begins, for a machine whose clock is ahead of COS's. More than 1
            make KeyTime longer, so that it ends when it does with 1.
        clock: what tells the time, where this machine's own clock may be wrong; see `Clock`.

    Raises:
        ParameterError: a parameter is not of its form; the message names it.

    Warns:
        UserWarning: a region is not one of COS's, but nearly is.

    Source: Tencent Cloud, COS, "Request Signature" (product 436, page 7778).

    >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
    >>> signer.presign("picture.jpg", key_time=(1557989753, 1557996953)).partition("?")[0]
    'https://b-1250000000.cos.ap-beijing.myqcloud.com/picture.jpg'
    """

    __slots__ = (
        "_begins", "_endpoint", "_engine", "_host", "_last_request", "_memory", "_options", "_provider", "_templates",
        "_verifier",
        "backdate", "clock", "expires", "round_to", "sign_host", "strict",
    )  # fmt: skip

    backdate: int
    clock: Clock | None
    expires: int
    round_to: int | None
    sign_host: bool
    strict: bool
    _begins: int | None
    _provider: CredentialsProvider
    _endpoint: Endpoint | None
    _host: bytes | None
    _engine: Engine
    _options: dict[str, Any]
    # credentials, KeyTime's start, the template of _PLAIN, and the others by their kinds
    _templates: tuple[Credentials, int, Template | None, dict[tuple[Any, ...], Template]] | None
    _verifier: Verifier
    _last_request: list[tuple[Credentials, int, Duration | None, RequestSigner]]
    _memory: Memory

    def __init__(
        self,
        credentials: CredentialsProvider,
        *,
        bucket: str | None = None,
        region: str | None = None,
        domain: str | None = None,
        scheme: str = "https",
        expires: Duration = 900,
        sign_host: bool = True,
        accelerate: bool = False,
        strict: bool = True,
        engine: str = "auto",
        round_to: Duration | None = None,
        backdate: int = 1,
        clock: Clock | None = None,
    ) -> None:
        options = {
            "bucket": bucket, "region": region, "domain": domain, "scheme": scheme, "expires": expires,
            "sign_host": sign_host, "accelerate": accelerate, "strict": strict, "engine": engine,
            "round_to": round_to, "backdate": backdate, "clock": clock,
        }  # fmt: skip
        self._prepare(credentials, options)
        _warn_of_region(region)

    def _prepare(self, credentials: CredentialsProvider, options: dict[str, Any]) -> None:
        """Check the parameters, and set what calls use."""
        (
            bucket, region, domain, scheme, expires, sign_host, accelerate, strict, engine, round_to, backdate, clock,
        ) = options.values()  # fmt: skip
        if not callable(getattr(credentials, "get", None)) or isinstance(credentials, Mapping):
            raise ParameterError("credentials", "must be Credentials, or a provider with get() -> Credentials")
        for name, flag in (("sign_host", sign_host), ("accelerate", accelerate), ("strict", strict)):
            if not isinstance(flag, bool):
                raise ParameterError(name, f"must be True or False, not {type(flag).__name__}")
        where = None
        if domain or (bucket is not None and region is not None):
            where = endpoint(bucket, region, domain=domain, scheme=scheme, accelerate=accelerate)
        else:
            if bucket is not None:
                check_bucket(bucket)
            if region is not None:
                check_region(region)
        expires = seconds_of(expires, "expires")
        checked_span(0, expires, "expires")
        round_to = None if round_to is None else seconds_of(round_to, "round_to")
        if round_to is not None and round_to <= 0:
            raise ParameterError("round_to", "must be greater than 0 seconds")
        if not 0 <= whole_seconds(backdate, "backdate") <= _MOST_BACKDATE:
            raise ParameterError("backdate", f"must be from 0 to {_MOST_BACKDATE} seconds")
        if clock is not None and not isinstance(clock, Clock):
            raise ParameterError("clock", f"must be a cossign.Clock, not {type(clock).__name__}")
        put = object.__setattr__
        put(self, "clock", clock)
        put(self, "_begins", None)
        put(self, "_memory", Memory())
        put(self, "_engine", chosen_engine(engine))
        put(self, "_provider", credentials)
        put(self, "_endpoint", where)
        put(self, "_host", None if where is None else where.host.encode())
        put(self, "_templates", None)
        put(self, "_last_request", [])
        put(self, "expires", expires)
        put(self, "round_to", round_to)
        put(self, "backdate", int(backdate))
        put(self, "sign_host", sign_host)
        put(self, "strict", strict)
        put(self, "_verifier", Verifier(credentials, engine=engine, clock=clock))
        put(self, "_options", options)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Signer is immutable: make a new one")

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items() if value is not None)
        return f"Signer({self._provider!r}, {options}){'' if self._begins is None else f'.at({self._begins})'}"

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._provider, Credentials):
            raise TypeError(
                "a Signer with literal credentials cannot be pickled: a pickled secret is a leaked secret. "
                "Give it a provider, such as EnvironmentCredentials()"
            )
        return rebuilt, (self._provider, self._options, self._begins)

    @property
    def host(self) -> str | None:
        """The Host of its bucket or domain, or None if it was made for no bucket."""
        return None if self._endpoint is None else self._endpoint.host

    def replace(self, credentials: CredentialsProvider | None = None, **changes: Any) -> Signer:
        """A Signer with some of this one's parameters changed: another bucket, other credentials.

        Args:
            credentials: instead of this one's.
            changes: parameters of `Signer` by their names.

        Returns:
            A Signer. If this one was made by `at`, its signatures begin at the same instant.

        Raises:
            ParameterError: a parameter is not one of `Signer`, or is not of its form.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.replace(bucket="other-1250000000", expires="1h").host
        'other-1250000000.cos.ap-beijing.myqcloud.com'
        """
        for name in changes:
            if name not in self._options:
                raise ParameterError(name, f"is not a parameter of Signer: there are {', '.join(self._options)}")
        provider = self._provider if credentials is None else credentials
        signer = rebuilt(provider, {**self._options, **changes}, self._begins)
        _warn_of_region(changes.get("region"))
        return signer

    def at(self, start: int | None = None) -> Signer:
        """The same Signer, whose signatures all begin at one instant, however many calls and processes share the work.

        Args:
            start: Unix seconds at which KeyTime begins; None for that of now, or the one that this Signer has already.

        Returns:
            A Signer. It signs after its signatures have ended, too: they are reproduced, byte for byte.

        Raises:
            ParameterError: `start` is not a whole number of Unix seconds.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> "q-sign-time=1557989753;1557990653&" in signer.at(1557989753).authorization("GET", "a.txt")
        True
        """
        start = self._start() if start is None else whole_seconds(start, "start")
        checked_span(start, start + self.expires, "start")
        signer = rebuilt(self._provider, self._options, start)
        object.__setattr__(signer, "_memory", self._memory)
        return signer

    # --- Signing

    def presign(
        self,
        key: str,
        *,
        method: str = "GET",
        expires: Duration | None = None,
        query: Query | None = None,
        headers: Headers | None = None,
        key_time: KeyTime | None = None,
    ) -> str:
        """A presigned URL, every value percent-encoded as the page asks.

        Args:
            key: the object's key, not encoded, without a leading slash.
            method: the method that the URL is for.
            expires: how long it holds from now on: seconds, a timedelta, or text such as "15m"; the Signer's own when
                None.
            query: parameters that are signed and stand in the URL.
            headers: headers that are signed; users of the URL must send them.
            key_time: ``(start, end)`` in Unix seconds, instead of `expires`.

        Returns:
            The URL.

        Raises:
            ParameterError: a parameter is not of its form.
            KeyNameError: COS cannot hold such a key, or no client can send it.
            CredentialsError: there are no credentials, or they have expired.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.presign("a.txt", query={"response-content-type": "text/plain"}).rpartition("&")[2]
        'response-content-type=text%2Fplain'
        """
        credentials = self._credentials()
        start = self._start()
        if query is None and headers is None and key_time is None:
            known = self._templates
            if (
                known is not None and known[1] == start and known[0] is credentials and expires is None
                and method == "GET" and known[2] is not None
            ):  # fmt: skip
                return _core.sign_one(known[2], key)
            template = self._usual_template(credentials, start, method, expires, "key")
        else:
            span = self._key_time(start, expires, key_time)
            template = self._url_template(credentials, method, span, query, headers, "key")
        return _core.sign_one(template, key)

    @overload
    def presign_many(  # pyright: ignore[reportOverlappingOverload]
        self, keys: Iterable[str], *, method: str | Sequence[str] = "GET",
        expires: Duration | Sequence[Duration] | None = None,
        query: Mapping[str, Scalar | Sequence[Scalar]] | None = None, headers: Headers | None = None,
        key_time: KeyTime | None = None, on_error: Literal["raise"] = "raise", threads: int = 1,
    ) -> list[str]: ...  # fmt: skip
    @overload
    def presign_many(
        self, keys: Iterable[str | None], *, method: str | Sequence[str] = "GET",
        expires: Duration | Sequence[Duration] | None = None,
        query: Mapping[str, Scalar | Sequence[Scalar]] | None = None, headers: Headers | None = None,
        key_time: KeyTime | None = None, on_error: Literal["raise", "null"] = "raise", threads: int = 1,
    ) -> list[str | None]: ...  # fmt: skip
    def presign_many(
        self,
        keys: Iterable[str | None],
        *,
        method: str | Sequence[str] = "GET",
        expires: Duration | Sequence[Duration] | None = None,
        query: Mapping[str, Scalar | Sequence[Scalar]] | None = None,
        headers: Headers | None = None,
        key_time: KeyTime | None = None,
        on_error: Literal["raise", "null"] = "raise",
        threads: int = 1,
    ) -> list[Any]:
        """Presigned URLs for many keys, all at one instant.

        Args:
            keys: any iterable of str; None in it gives None.
            method: as in `presign`, or a sequence as long as `keys`.
            expires: likewise.
            query: as in `presign`; a value may be a sequence as long as `keys`, in which None leaves out the parameter.
            headers: as in `presign`.
            key_time: as in `presign`.
            on_error: "raise" at the first bad row, returning nothing; or "null": bad rows become None, and the result
                (a `BulkResult`) has the list ``errors`` of (index, reason).
            threads: how many threads share the signing; making the str takes turns under Python's global lock.

        Returns:
            A list of URLs, in the order of `keys`.

        Raises:
            KeyNameError: a key cannot be signed; ``index`` is its row, from 0.
            ParameterError: a parameter is not of its form.
            CredentialsError: there are no credentials, or they have expired.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> len(signer.presign_many(f"{number}.jpg" for number in range(1000)))
        1000
        """
        if type(keys) is not list and (isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable)):
            raise ParameterError("keys", f"must be an iterable of str, not {type(keys).__name__}")
        if on_error not in ("raise", "null"):
            raise ParameterError("on_error", 'must be "raise" or "null"')
        checked_threads(threads)
        errors: list[tuple[int, str]] | None = [] if on_error == "null" else None
        credentials = self._credentials()
        start = self._start()
        if query is None and headers is None and key_time is None and isinstance(method, str) and _is_scalar(expires):
            usual = self._usual_template(credentials, start, method, expires, "keys")
            signed = _core.sign_many(usual, keys, (), (), errors, threads)
            return signed if errors is None else BulkResult(signed, errors)
        columns: list[Sequence[Any]] = []
        names: list[str] = []
        fixed: dict[str, Any] = {}
        for name, value in checked_mapping(query, "query").items():
            column = _column(value)
            fixed[name] = value if column is None else Column(len(columns))
            if column is not None:
                columns.append(column)
                names.append(f"query[{name!r}]")
        methods, spans = _column(method), _column(expires)
        if columns or methods is not None or spans is not None:
            keys = keys if isinstance(keys, Sequence) else list(keys)
            rows = len(keys)
            given = [*zip(names, columns, strict=True), ("method", methods), ("expires", spans)]
            for name, column in given:
                if column is not None and len(column) != rows:
                    raise ParameterError(name, f"must be as long as keys: {rows} rows, not {len(column)}")

        def template(method: Any, expires: Any, absent: tuple[int, ...] = (), index: int | None = None) -> Template:
            try:
                span = self._key_time(start, expires, key_time)
                return self._url_template(credentials, method, span, _without(fixed, absent), headers, "keys")
            except ParameterError as error:
                raise type(error)(error.parameter, error.reason, index) if index is not None else error from None

        with_nulls = [number for number, column in enumerate(columns) if None in column]
        if methods is None and spans is None and not with_nulls:
            signed = _core.sign_many(template(method, expires), keys, tuple(columns), tuple(names), errors, threads)
            return signed if errors is None else BulkResult(signed, errors)

        # One batch for each method, expiry and choice of parameters that occurs: SignKey depends on the expiry.
        assert isinstance(keys, Sequence)
        groups: dict[tuple[Any, Any, tuple[int, ...]], list[int]] = {}
        for index in range(len(keys)):
            one = method if methods is None else methods[index], expires if spans is None else spans[index]
            absent = tuple(number for number in with_nulls if columns[number][index] is None)
            groups.setdefault((*one, absent), []).append(index)
        result: list[Any] = [None] * len(keys)
        first_bad: tuple[int, ParameterError] | None = None  # the row, and what is to be raised
        for (one_method, one_expires, absent), indices in groups.items():
            if first_bad is not None and first_bad[0] < indices[0]:
                break  # groups are in the order of their first rows
            found: list[tuple[int, str]] | None = None if errors is None else []
            try:
                signed = _core.sign_many(
                    template(one_method, one_expires, absent, indices[0]),
                    [keys[index] for index in indices],
                    tuple([column[index] for index in indices] for column in columns),
                    tuple(names),
                    found,
                    threads,
                )
            except ParameterError as error:
                if errors is None:
                    row = indices[0 if error.parameter in ("method", "expires") else error.index or 0]
                    if first_bad is None or row < first_bad[0]:
                        first_bad = row, type(error)(error.parameter, error.reason, row)
                    continue
                if error.parameter not in ("method", "expires"):
                    raise
                errors.extend((index, f"{error.parameter} {error.reason}") for index in indices)
                continue
            for index, value in zip(indices, signed, strict=True):
                result[index] = value
            if errors is not None and found is not None:
                errors.extend((indices[index], reason) for index, reason in found)
        if first_bad is not None:
            raise first_bad[1]
        return result if errors is None else BulkResult(result, sorted(errors))

    def presign_arrow(
        self,
        keys: Any,
        *,
        method: Any = "GET",
        expires: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        key_time: KeyTime | None = None,
        on_error: Literal["raise", "null"] = "raise",
        threads: int = 1,
    ) -> SignedColumn:
        """Presigned URLs for an Arrow column of keys, chunk by chunk as they are asked for, all at one instant.

        Args:
            keys: a column of strings with ``__arrow_c_stream__`` or ``__arrow_c_array__``: of pyarrow, polars, DuckDB,
                pandas or nanoarrow; plain, view, dictionary or run-end encoded, sliced, chunked. A null gives a null.
            method: as in `presign`, or an Arrow column of strings as long as `keys`.
            expires: as in `presign`, or an Arrow column of integers; a null is the Signer's own.
            query: as in `presign`; a value may be an Arrow column of strings or integers. A null leaves out the
                parameter in its row.
            headers: as in `presign`.
            key_time: as in `presign`.
            on_error: "raise" when a chunk with a bad row is asked for; or "null": bad rows become null, and the
                result's ``errors`` has (index, reason) for each that was read.
            threads: how many threads sign; the reader of the chunks is one of them, the others work ahead.

        Returns:
            An iterable of chunks that speaks the Arrow PyCapsule interface: of strings, or of string views if `keys`
            are. A chunk's memory is used again when its reader drops it: at most a few MiB are alive, however many rows
            there are.

        Raises:
            ParameterError: a parameter is not of its form.
            KeyNameError: while reading; through another library, as that library's error with the same text.
            CredentialsError: there are no credentials, or they have expired.

        Source: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> import pyarrow
        >>> urls = pyarrow.chunked_array(signer.presign_arrow(pyarrow.array(["a.jpg", None, "b.jpg"])))
        >>> urls.null_count, urls[2].as_py().partition("?")[0]
        (1, 'https://b-1250000000.cos.ap-beijing.myqcloud.com/b.jpg')
        """
        if on_error not in ("raise", "null"):
            raise ParameterError("on_error", 'must be "raise" or "null"')
        start = self._start()
        # Engines that give a few thousand rows at a time have their URLs in the same memory again and again.
        memory = self._memory if hasattr(keys, "__len__") and len(keys) <= _FEW else None
        return self._presign_column(
            keys, method, expires, query, headers, start, key_time, on_error == "null", threads, b"", memory, True
        )

    def _presign_column(
        self, keys: Any, method: Any, expires: Any, query: Any, headers: Any, start: int, key_time: KeyTime | None,
        keep_errors: bool, threads: int, end: bytes = b"", memory: Memory | None = None, as_keys: bool = False,
    ) -> SignedColumn:  # fmt: skip
        """As `presign_arrow`, from an instant, with `end` after each URL, in memory that others used before."""
        checked_threads(threads)
        credentials = self._credentials()
        columns: dict[str, Any] = {}
        fixed: dict[str, Any] = {}
        for name, value in checked_mapping(query, "query").items():
            fixed[name] = Column(len(columns)) if _is_arrow(value) else value
            if _is_arrow(value):
                columns[f"query[{name!r}]"] = value
        varying = {name: value for name, value in (("method", method), ("expires", expires)) if _is_arrow(value)}

        def template(method: Any, expires: Any, absent: tuple[int, ...] = ()) -> Template:
            span = self._key_time(start, expires, key_time)
            return self._url_template(credentials, method, span, _without(fixed, absent), headers, "keys", UTF8, end)

        def varied(texts: tuple[str | None, ...], absent: tuple[int, ...]) -> Template:
            row = {"method": method, "expires": expires, **dict(zip(varying, texts, strict=True))}
            if "expires" in varying and row["expires"] is not None:
                row["expires"] = _seconds(row["expires"])
            return template(**row, absent=absent)

        usual = template("GET" if "method" in varying else method, None if "expires" in varying else expires)
        columns.update(varying)
        return SignedColumn(
            usual, keys, tuple(columns.values()), tuple(columns), varied, bool(varying),
            keep_errors, threads, memory, as_keys,
        )  # fmt: skip

    def authorization(
        self,
        method: str,
        key: str,
        *,
        expires: Duration | None = None,
        query: Query | None = None,
        headers: Headers | None = None,
        key_time: KeyTime | None = None,
    ) -> str:
        """The value of the Authorization header for a request.

        Args and raises: as in `presign`; every header given is signed, and Host is added.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> "q-header-list=host;range" in signer.authorization("GET", "a.txt", headers={"Range": "bytes=0-9"})
        True
        """
        credentials = self._credentials()
        start = self._start()
        if query is None and headers is None and key_time is None:
            template = self._usual_template(credentials, start, method, expires, "")
        else:
            span = self._key_time(start, expires, key_time)
            template = self._authorization_template(credentials, method, span, query, headers)
        return _core.sign_one(template, key)

    def object_url(self, key: str, *, query: Query | None = None) -> str:
        """The object's URL without a signature, for public objects.

        Args and raises: as in `presign`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.object_url("a b.txt")
        'https://b-1250000000.cos.ap-beijing.myqcloud.com/a%20b.txt'
        """
        return _core.sign_one(self._target_template(query, self._where().base.encode()), key)

    def sign_request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Text] | Iterable[tuple[Text, Text]] = (),
        *,
        expires: Duration | None = None,
        key_time: KeyTime | None = None,
    ) -> dict[str, str]:
        """The headers to add to a request, by the SDKs' rules, as it goes over the wire.

        For HTTP clients: see cossign.integrations. The path and all parameters are signed as the server decodes them.
        Of the headers those are signed that the SDKs sign; but Transfer-Encoding, which may change on the way, is not.

        Args:
            method: the request's method.
            url: the URL, or the request's target, percent-encoded as it is sent.
            headers: the request's headers, as a mapping or as pairs. Host is taken from the URL unless it is given.
            expires: as in `presign`.
            key_time: likewise.

        Returns:
            ``Authorization``, and ``x-cos-security-token`` when the credentials have a token.

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
        credentials = self._credentials()
        start = self._start()
        known = self._last_request[0] if self._last_request else None  # once: another thread may put its own there
        if (
            known is None
            or known[0] is not credentials
            or known[1:3] != (start, expires)
            or type(known[2]) is not type(expires)
            or key_time is not None
        ):
            span = self._key_time(start, expires, key_time)
            requests = RequestSigner(
                signed_by_clients, self.sign_host, self._host, credentials.secret_id, self._sign_key(credentials, span),
                self._engine,
            )  # fmt: skip
            if key_time is None:
                self._last_request[:] = [(credentials, start, expires, requests)]
        else:
            requests = known[3]
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
        key_time: KeyTime | None = None,
    ) -> PostPolicy:
        """What an HTML form, or a Mini Program's ``wx.uploadFile``, needs to upload a file by POST Object.

        Args:
            key: the object's key; ``${filename}`` in it becomes the name of the file that is sent.
            key_prefix: instead of `key`: what the key must begin with, which the form adds.
            size: (least, most) bytes that the file may have.
            fields: form fields and their values: ``Content-Type``, ``success_action_status``, ``x-cos-meta-...``.
            starts_with: form fields that the form adds, and what each must begin with (which may be empty).
            expires: as in `presign`.
            key_time: likewise.

        Returns:
            PostPolicy: ``url``, where the form is sent, and ``fields``, to be put before the file.

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
        credentials = self._credentials()
        span = self._key_time(self._start(), expires, key_time)
        from cossign import post

        return post.made(
            self._where().base + "/", self._options["bucket"], credentials, span, key, key_prefix, size,
            checked_mapping(fields, "fields"), checked_mapping(starts_with, "starts_with"),
        )  # fmt: skip

    async def ready(self) -> Signer:
        """Wait, without blocking the event loop, until there are credentials: then a call signs without waiting.

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
        await awaited(self._provider)
        return self

    # --- Verifying

    def verifier(self, credentials: Accepted | None = None, **terms: Any) -> Verifier:
        """A Verifier of this Signer's signatures, or of those of other credentials, with its engine and clock.

        Args:
            credentials: as `Verifier` accepts them; the Signer's own when None.
            terms: skew, require_headers, require_params, max_expires, revoked: as in `Verifier`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.verifier(require_headers=["host"]).verify(signer.presign("a.txt")).key
        'a.txt'
        """
        accepted = self._provider if credentials is None else credentials
        return Verifier(accepted, engine=self._options["engine"], clock=self.clock, **terms)

    def verify(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Headers | None = None,
        credentials: Accepted | None = None,
        skew: int = 0,
        require_headers: Sequence[str] = (),
        require_params: Sequence[str] = (),
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
    ) -> Verified:
        """Judge a presigned URL, or a request by its Authorization, as COS would.

        Takes both URL forms (percent-encoded or as the SDKs write them), the ``sign=`` parameter, and lists and
        parameters in any order and case. The comparison takes constant time.

        Args:
            url: the URL as it was requested; or its target (``/key?...``) with Host among the headers.
            method: the request's method.
            headers: the request's headers. Host is taken from the URL unless it is given.
            credentials: instead of the Signer's own: Credentials, a provider, several of them (while keys are rotated),
                or a mapping of SecretId to Credentials.
            skew: seconds by which the signer's clock may differ from this one's.
            require_headers: names of headers that must be signed, such as ``("host",)``.
            require_params: names of parameters that must be signed.
            max_expires: seconds that the signature may hold at most, from KeyTime's start to its end.
            revoked: SecretIds and signatures that are no longer good, or a function that is asked about a Verified.

        Returns:
            Verified: who signed what, and for how long.

        Raises:
            MalformedSignature: there is no signature, or it is not of its form.
            UnknownSecretId: signed with a SecretId that is not in `credentials`.
            SignatureMismatch: another request was signed, or with another SecretKey.
            SignatureNotYetValid, SignatureExpired: right, but not now.
            SignatureRefused: right, but something that must be signed is not, or it holds too long.
            SignatureRevoked: right, but revoked.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.verify(signer.presign("a.txt")).key
        'a.txt'
        """
        usual = revoked is None and max_expires is None and type(skew) is int and skew == 0
        usual = usual and all(type(names) is tuple and not names for names in (require_headers, require_params))
        if usual and credentials is None:
            return self._verifier.verify(url, method=method, headers=headers)
        return self.verifier(
            credentials, skew=skew, require_headers=require_headers, require_params=require_params,
            max_expires=max_expires, revoked=revoked,
        ).verify(url, method=method, headers=headers)  # fmt: skip

    def verify_many(
        self,
        urls: Iterable[str],
        *,
        method: str = "GET",
        headers: Headers | None = None,
        credentials: Accepted | None = None,
        skew: int = 0,
        require_headers: Sequence[str] = (),
        require_params: Sequence[str] = (),
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
        threads: int = 1,
    ) -> Judgement:
        """Judge many URLs at one instant; a bad one gives its BadSignature instead of raising it.

        Args: as in `verify`, for all of `urls`; and `threads`, how many share the work. A function as `revoked` is
        asked about each URL.

        Returns:
            A sequence with a Verified or a BadSignature for each URL, in order, built when it is looked at; its ``bad``
            lists the rows of the bad ones.

        >>> from cossign import Credentials, Signer, Verified
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> results = signer.verify_many([signer.presign("a.txt"), "https://b/a.txt"])
        >>> [isinstance(result, Verified) for result in results], results.bad
        ([True, False], [1])
        """
        return self.verifier(
            credentials, skew=skew, require_headers=require_headers, require_params=require_params,
            max_expires=max_expires, revoked=revoked,
        ).verify_many(urls, method=method, headers=headers, threads=threads)  # fmt: skip

    def verify_post(
        self,
        fields: Mapping[str, str],
        *,
        size: int | None = None,
        filename: str | None = None,
        credentials: Accepted | None = None,
        skew: int = 0,
        max_expires: Duration | None = None,
        revoked: Revoked | None = None,
    ) -> VerifiedPost:
        """Judge the form of a POST Object by its policy, as COS would.

        A form with a ``Signature`` field instead of a policy, as the Mini Program SDK's ``postObject`` sends it, is a
        request to ``/`` with that Authorization: give it to `verify`.

        Args:
            fields: the form's fields, but for the file.
            size: the file's size in bytes; needed if the policy limits it.
            filename: the file's name; needed if the key has ``${filename}``.
            credentials, skew, max_expires, revoked: as in `verify`.

        Returns:
            VerifiedPost: who signed what, for how long, and which fields the policy does not speak of.

        Raises:
            MalformedSignature: a field is missing, or the policy is not of its form.
            SignatureMismatch: another policy was signed, or with another SecretKey; or a field breaks a condition.
            UnknownSecretId, SignatureNotYetValid, SignatureExpired, SignatureRefused, SignatureRevoked: as in `verify`.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> form = signer.post_policy(key_prefix="avatars/", size=(1, 5_000_000))
        >>> signer.verify_post({**form.fields, "key": "avatars/me.png"}, size=4711).key
        'avatars/me.png'
        """
        verifier = self.verifier(credentials, skew=skew, max_expires=max_expires, revoked=revoked)
        return verifier.verify_post(fields, bucket=self._options["bucket"], size=size, filename=filename)

    def explain(
        self,
        request: str,
        *,
        method: str | None = None,
        headers: Headers | None = None,
        credentials: Accepted | None = None,
        error: str | None = None,
        show_secrets: bool = False,
    ) -> Explanation:
        """Find out why a signature does not match: the causes, confirmed by recomputing.

        Args:
            request: a presigned URL; or what curl -v, a browser (HAR, "Copy as cURL"), a log or the wire shows.
            method: the request's, if it is not said there; GET for a bare URL.
            headers: the request's, where they are not said there.
            credentials: as in `verify`; all are tried.
            error: the service's answer, its XML.
            show_secrets: let the result have SignKey, tokens and whole signatures.

        Returns:
            Explanation: its findings, each with a fix; printed, or by ``.json()`` and ``.html()``.

        Raises:
            ParameterError: the request or the error is none.

        >>> from cossign import Credentials, Signer
        >>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
        >>> signer.explain(signer.presign("a.txt"), method="HEAD").codes
        ('method-changed',)
        """
        from cossign.explain import explain

        host = self.host
        return explain(
            request, method=None if method is None else checked_method(method), headers=dict(header_texts(headers)),
            credentials=accepted_now(self._provider if credentials is None else credentials), error=error,
            now=self._now(), hosts=[host] if host else [], bucket=self._options["bucket"] or "",
            show_secrets=show_secrets,
        )  # fmt: skip

    # --- What the calls share

    def _credentials(self) -> Credentials:
        credentials = self._provider.get()
        if credentials.expires_at is not None and self._now() >= credentials.expires_at:
            raise CredentialsError("the temporary credentials have expired: get new ones")
        return credentials

    def _now(self) -> float:
        return time.time() if self.clock is None else self.clock.now()

    def _start(self) -> int:
        """KeyTime's beginning: `backdate` seconds ago, unless it is fixed."""
        return int(self._now()) - self.backdate if self._begins is None else self._begins

    def _where(self) -> Endpoint:
        if self._endpoint is None:
            missing = [name for name in ("bucket", "region") if self._options[name] is None]
            how = "is missing: give it" if len(missing) == 1 else "are missing: give them"
            raise ParameterError(" and ".join(missing), f"{how} to Signer, or a domain")
        return self._endpoint

    def _rules(self) -> int:
        return STRICT if self.strict else 0

    def _key_time(self, start: int, expires: Any, key_time: Any) -> str:
        """KeyTime's text, from now's start."""
        if key_time is not None:
            if not isinstance(key_time, tuple) or len(key_time) != 2:
                raise ParameterError("key_time", "must be a tuple (start, end) of Unix seconds")
            return checked_span(
                whole_seconds(key_time[0], "key_time"), whole_seconds(key_time[1], "key_time"), "key_time"
            )
        seconds = self.expires if expires is None else seconds_of(expires, "expires")
        if seconds <= 0:
            raise ParameterError("expires", "must be greater than 0 seconds")
        if self.backdate > 1:  # the end stays what it is without
            seconds += self.backdate - 1
        return key_time_from(start, seconds, self.round_to, "expires")

    def _sign_key(self, credentials: Credentials, span: str) -> SignKey:
        return credentials._secret.sign_key(span)

    def _signed_headers(self, headers: Any) -> tuple[bytes, list[bytes | int]]:
        """(HeaderList, HttpHeaders), Host added."""
        given = checked_mapping(headers, "headers")
        checked_headers(given, "headers")
        signed = {}
        has_host = False
        for name, value in given.items():
            value = value.strip(" \t") if isinstance(value, str) else value  # as HTTP takes blanks away
            if isinstance(name, str) and name.lower() == "host":
                has_host = True
                value = value.lower() if isinstance(value, str) else value
            signed[name] = value
        if self.sign_host and not has_host:
            signed["Host"] = self._where().host
        header_list, http_headers, _ = _core.canonical(signed, "headers")
        return header_list, http_headers

    def _usual_template(
        self, credentials: Credentials, start: int, method: Any, expires: Any, parameter: str
    ) -> Template:
        """A template without parameters and headers, kept until KeyTime changes: of a URL, whose keys are called
        `parameter`; or, if that is empty, of an Authorization."""
        known = self._templates
        if known is None or known[1] != start or known[0] is not credentials:
            known = credentials, start, None, {}
        kind = method, expires, type(expires), parameter  # True and 1 are equal
        keeps = type(method) is str and (expires is None or type(expires) in _PLAIN_TYPES)
        template = known[3].get(kind) if keeps else None
        if template is None:
            span = self._key_time(start, expires, None)
            if parameter:
                template = self._url_template(credentials, method, span, None, None, parameter)
            else:
                template = self._authorization_template(credentials, method, span, None, None)
            if keeps and len(known[3]) < _MOST_TEMPLATES:
                known[3][kind] = template
            plain = template if keeps and kind == _PLAIN else known[2]
            object.__setattr__(self, "_templates", (credentials, start, plain, known[3]))  # whole: threads share it
        return template

    def _url_template(
        self, credentials: Credentials, method: Any, span: str, query: Any, headers: Any, parameter: str,
        rules: int = 0, end: bytes = b"",
    ) -> Template:  # fmt: skip
        """A presigned URL in the documented form, and `end` after it."""
        query = checked_query(query, credentials.token is not None)
        url_param_list, http_parameters, cased = _core.canonical(query, "query")
        header_list, http_headers = self._signed_headers(headers)
        fields = q_fields(credentials.secret_id, span, header_list, url_param_list, encode_component)
        text: list[bytes | int] = [self._where().base.encode(), KEY, b"?" + fields, SIGNATURE]
        token = credentials.token
        if token is not None:
            text.append(b"&x-cos-security-token=" + encode_component(token.encode()))
        if cased:
            text += [b"&", *cased]
        if end:
            text.append(end)
        http = http_pieces(checked_method(method), KEY, http_parameters, http_headers)
        rules |= self._rules()
        return Template(http, text, self._sign_key(credentials, span), rules, parameter, self._engine)

    def _authorization_template(
        self, credentials: Credentials, method: Any, span: str, query: Any, headers: Any
    ) -> Template:
        """An Authorization header's value."""
        query = checked_query(query, credentials.token is not None)
        url_param_list, http_parameters, _ = _core.canonical(query, "query")
        header_list, http_headers = self._signed_headers(headers)
        text: list[bytes | int] = [q_fields(credentials.secret_id, span, header_list, url_param_list), SIGNATURE]
        http = http_pieces(checked_method(method), KEY, http_parameters, http_headers)
        return Template(http, text, self._sign_key(credentials, span), self._rules(), "key", self._engine)

    def _target_template(self, query: Any, base: bytes) -> Template:
        """A URL without a signature, after `base`."""
        _, _, cased = _core.canonical(checked_mapping(query, "query"), "query")
        text = [base, KEY, *([b"?"] if cased else []), *cased]
        return Template([], text, None, self._rules(), "key", self._engine)


def rebuilt(provider: CredentialsProvider, options: dict[str, Any], begins: int | None = None) -> Signer:
    """A Signer of the options of another, which has given its warnings."""
    signer = Signer.__new__(Signer)
    signer._prepare(provider, options)
    object.__setattr__(signer, "_begins", begins)
    return signer

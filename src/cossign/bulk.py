"""Many keys in one call, as sequences or Arrow columns. Method, expiry and parameters may differ by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cossign._arrow import Memory, PackedUrls, SignedColumn
from cossign._core import Column, RowDifferences, Template
from cossign.errors import ParameterError
from cossign.key_time import Times, seconds_of
from cossign.request import Canonical, SigningRequest, checked_mapping, checked_method, without_columns

if TYPE_CHECKING:
    from typing_extensions import TypedDict

    from cossign.key_time import Duration, Span
    from cossign.request import Headers, Scalar

    class BulkParameters(TypedDict, total=False):
        """What calls for many keys take, beside the keys."""

        method: str | Sequence[str]
        expires: Duration | Sequence[Duration] | None
        query: Mapping[str, Scalar | Sequence[Scalar]] | None
        headers: Headers | None
        key_time: Span | None
        threads: int


__all__ = ["BulkResult"]

Urls = TypeVar("Urls")

Sequence.register(PackedUrls)  # pyright: ignore[reportAttributeAccessIssue]


class BulkResult(list[str | None]):
    """The result of a bulk call with ``on_error="null"``: a list, with the reasons for the rows that are None.

    Attributes:
        errors: ``(index, reason)`` for each bad row.
    """

    def __init__(self, values: Iterable[str | None] = (), errors: Sequence[tuple[int, str]] = ()) -> None:
        super().__init__(values)
        self.errors = list(errors)


class Chunks(NamedTuple):
    """How the chunks of a signed column are made.

    Attributes:
        threads: how many threads sign.
        keep_errors: whether a bad row is a null, and its reason is kept.
        end: what follows each URL.
        memory: where the chunks lie, for several columns that are read one after the other.
        as_keys: whether they are string views if the keys are.
    """

    threads: int
    keep_errors: bool
    end: bytes = b""
    memory: Memory | None = None
    as_keys: bool = False


def sequence(value: Any) -> Sequence[Any] | None:
    """A parameter's values by row, or None if there is one for all rows."""
    if isinstance(value, (str, bytes)):
        return None
    if isinstance(value, Sequence):
        return value
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:  # numpy, pandas
        return value.tolist()  # type: ignore[no-any-return]
    return None


def arrow_column(value: Any) -> Any:
    """A parameter's column of Arrow, or None if there is one value for all rows."""
    return value if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__") else None


class Columns:
    """The parameters of a batch, and those of them that differ by row.

    Args:
        query, method, expires: as they were given.
        column: gives a parameter's column, or None if it is the same for all rows.

    Attributes:
        query: with a `Column` for each value that differs.
        method, expires: those of a row that differs in nothing.
        sources: the columns: those of the query, in order, then those of `own`.
        names: what each is called in an error.
        own: which of method and expires differ.
    """

    def __init__(self, query: Any, method: Any, expires: Any, column: Callable[[Any], Any]) -> None:
        self.query: dict[str, Any] = {}
        self.sources: list[Any] = []
        self.names: list[str] = []
        self.method, self.expires = method, expires
        for name, value in checked_mapping(query, "query").items():
            source = column(value)
            self.query[name] = value if source is None else Column(len(self.sources))
            if source is not None:
                self._add(f"query[{name!r}]", source)
        count = len(self.names)
        if (methods := column(method)) is not None:
            self.method = "GET"
            self._add("method", methods)
        if (times := column(expires)) is not None:
            self.expires = None
            self._add("expires", times)
        self.own_names = tuple(self.names[count:])

    def _add(self, name: str, source: Any) -> None:
        self.names.append(name)
        self.sources.append(source)


class _Rows:
    """Makes the templates of rows that differ."""

    def __init__(self, request: SigningRequest, times: Times, columns: Columns, end: bytes = b"") -> None:
        self._request = request
        self._times = times
        self._columns = columns
        self._end = end
        self.refusals: dict[str, ParameterError] = {}  # by the text that stands for values of this kind

    def make(self, texts: tuple[str | None, ...], absent: tuple[int, ...]) -> Template:
        """A row's template, of the texts in its columns of method and expiry, and without the parameters it lacks."""
        row = dict(zip(self._columns.own_names, texts, strict=True))
        for text in texts:
            if text in self.refusals:
                raise self.refusals[text]
        method = checked_method(row["method"]) if "method" in row else self._request.method
        key_time = self._request.key_time
        if (seconds := row.get("expires")) is not None:
            key_time = self._times.key_time(_seconds(seconds))
        query = Canonical.of(without_columns(self._columns.query, absent), "query") if absent else None
        return self._request.differing(method=method, key_time=key_time, query=query).url("keys", self._end)

    def differences(self, template: Template) -> RowDifferences:
        """What rows are signed with, beside the template of a row that differs in nothing."""
        secret, _ = self._request.credentials.secrets()
        return RowDifferences(
            template, self.make, self._columns.own_names, secret, (self._times.window_start, self._times.added_seconds)
        )

    def plain(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Methods as str, or expiries as seconds; for a value that is neither, a text that `make` refuses."""
        if set(map(type, values)) == {str if name == "method" else int}:
            return values
        return [self._plain(name, value) for value in values]

    def _plain(self, name: str, value: Any) -> int | str | None:
        if type(value) is (str if name == "method" else int):
            return value
        try:
            if name == "method":
                return checked_method(value)
            return None if value is None else seconds_of(value, name)
        except ParameterError as error:
            text = f"\0{error}"
            self.refusals.setdefault(text, error.with_traceback(None))
            return text


def _seconds(text: str) -> int:
    """The seconds that a column's text holds."""
    if re.fullmatch("[0-9]{1,10}[smhd]", text):
        return seconds_of(text, "expires")
    if not re.fullmatch("-?[0-9]{1,4000}", text):
        raise ParameterError("expires", "must be a whole number of seconds")
    return int(text)


def presigned(
    request: SigningRequest,
    times: Times,
    keys: Iterable[Any],
    columns: Columns,
    errors: list[tuple[int, str]] | None,
    threads: int,
    *,
    sign: Callable[..., Urls],
) -> Urls:
    """The URLs of `Signer.presign_many` or `Signer.presign_packed`.

    Args:
        request: that of a row that differs in nothing.
        times: what the KeyTimes of rows with their own expiry have in common.
        keys: the keys.
        columns: what differs by row.
        errors: None to raise at the first bad row; a list to append (index, reason) to instead.
        threads: how many threads share the signing.
        sign: `_core.sign_many`, or what takes the same.
    """
    sources = columns.sources
    if sources:
        keys = keys if isinstance(keys, Sequence) else list(keys)
        for name, column in zip(columns.names, sources, strict=True):
            if len(column) != len(keys):
                raise ParameterError(name, f"must be as long as keys: {len(keys)} rows, not {len(column)}")
    template, names = request.url("keys"), tuple(columns.names)
    if not columns.own_names and not any(None in column for column in sources):
        return sign(template, keys, tuple(sources), names, errors, threads, None)
    rows = _Rows(request, times, columns)
    sources = [
        rows.plain(name, source) if name in columns.own_names else source
        for name, source in zip(names, sources, strict=True)
    ]
    return sign(template, keys, tuple(sources), names, errors, threads, rows.differences(template))


def signed_column(request: SigningRequest, times: Times, keys: Any, columns: Columns, chunks: Chunks) -> SignedColumn:
    """The URLs of `Signer.presign_arrow`; `request` and `times` are as in `presigned`."""
    request = request.of_bytes()
    template = request.url("keys", chunks.end)
    return SignedColumn(
        template,
        keys,
        tuple(columns.sources),
        tuple(columns.names),
        _Rows(request, times, columns, chunks.end).differences(template),
        keep_errors=chunks.keep_errors,
        threads=chunks.threads,
        memory=chunks.memory,
        as_keys=chunks.as_keys,
    )


def is_scalar(expires: Any) -> bool:
    """Whether an expiry is one for all rows."""
    return expires is None or isinstance(expires, (int, str, timedelta))


def keeps_errors(on_error: Any) -> bool:
    """Whether bad rows become nulls, by the parameter `on_error`; otherwise the first one is raised."""
    if on_error not in ("raise", "null"):
        raise ParameterError("on_error", 'must be "raise" or "null"')
    return bool(on_error == "null")


def check_keys(keys: Any) -> None:
    """Refuse what is not an iterable of keys, such as one str."""
    if type(keys) is not list and (isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable)):
        raise ParameterError("keys", f"must be an iterable of str, not {type(keys).__name__}")

"""pandas: ``df["key"].cossign.presign(signer)``.

Importing this module adds the accessor ``cossign`` to Series.

>>> import pandas as pd
>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> frame = pd.DataFrame({"key": ["a.jpg", None], "version": ["x", "y"]}, dtype="string[pyarrow]")
>>> frame["url"] = frame["key"].cossign.presign(signer, query={"versionId": frame["version"]})
>>> frame["url"][0].rpartition("&")[2], frame["url"].isna().to_list(), str(frame["url"].dtype)
('versionId=x', [False, True], 'string')
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from cossign._arrow import Memory
from cossign.bulk import Chunks
from cossign.errors import ParameterError
from cossign.integrations.columns import (
    OnErrorOfColumn,
    keeps_reasons,
    key_text,
    marks,
    named_error,
    named_reasons,
    whole_column,
)
from cossign.key_time import Span
from cossign.request import Headers
from cossign.signer import Signer

__all__ = ["presign"]

_CHUNK = 4 << 20  # bytes of a chunk: what reads a column has less to do with few


def presign(
    keys: pd.Series[Any],
    signer: Signer,
    *,
    method: Any = "GET",
    expires: Any = None,
    query: Mapping[str, Any] | None = None,
    headers: Headers | None = None,
    key_time: Span | None = None,
    on_error: OnErrorOfColumn = "raise",
    threads: int = 1,
) -> Any:
    """Presigned URLs of keys, with the keys' index and name. All start at the same time.

    Args:
        keys: a Series of strings. A null becomes a null. Strings that are not in Arrow memory (object,
            ``string[python]``)
            are copied first.
        signer: a Signer.
        method, expires, query: as in `Signer.presign`; method, expires and values of query may be Series, which are
            matched by the labels of the index.
        headers, key_time: as in `Signer.presign`.
        on_error: "raise" at a bad row; "null": it has no URL; or "struct": the result is a DataFrame with the columns
            ``url`` and ``error``, which is the reason.
        threads: how many threads sign.

    Returns:
        A Series. Its dtype is that of the keys. For objects and categories it is ``string[pyarrow]``, for a dtype of
        Arrow that of the URLs.

    Raises:
        ParameterError: a parameter is not valid, or a row is bad; ``index`` is its number, from 0, and the
            message has its column, label and key.
        CredentialsError: there are no credentials, or they have expired.
    """
    if not isinstance(signer, Signer):
        raise ParameterError("signer", f"must be a Signer, not {type(signer).__name__}")
    if not isinstance(keys, pd.Series):
        raise ParameterError("keys", f"must be a Series, not {type(keys).__name__}")
    values = dict(query or {})
    arguments = {"keys": keys, "method": method, "expires": expires}
    arguments.update({f"query[{name!r}]": value for name, value in values.items()})
    columns = {
        name: name if each.name is None else str(each.name)
        for name, each in arguments.items()
        if isinstance(each, pd.Series)
    }
    arrow = {
        name: _arrow(_aligned(each, keys.index, columns[name]), columns[name]) if name in columns else each
        for name, each in arguments.items()
    }
    arrow_on_error, has_reasons = keeps_reasons(on_error)
    try:
        signed_column = signer.sign_column(
            arrow["keys"],
            Chunks(threads, keep_errors=arrow_on_error == "null", memory=Memory(0, _CHUNK), as_keys=True),
            method=arrow["method"],
            expires=arrow["expires"],
            query={name: arrow[f"query[{name!r}]"] for name in values},
            headers=headers,
            key_time=key_time,
        )
        urls = whole_column(signed_column)
    except ParameterError as error:
        where = ""
        if error.index is not None:
            where = f"label {_label(keys.index, error.index)}, key {key_text(arrow['keys'][error.index])}"
        raise named_error(error.parameter, error.reason, columns, where, error.index) from None
    dtype = _dtype(keys.dtype, urls.type)
    if not has_reasons:
        return pd.Series(pd.array(urls, dtype=dtype), index=keys.index, name=keys.name)
    errors = marks(named_reasons(signed_column.errors, columns), len(keys))
    return pd.DataFrame(
        {"url": pd.array(urls, dtype=dtype), "error": pd.array(errors, dtype=_dtype(keys.dtype, errors.type))},
        index=keys.index,
    )


@pd.api.extensions.register_series_accessor("cossign")
class CosSeries:
    """What ``series.cossign`` can do."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self._series = series

    def presign(self, signer: Signer, **keywords: Any) -> Any:
        """As `presign`, of these keys."""
        return presign(self._series, signer, **keywords)


def _aligned(value: pd.Series[Any], index: pd.Index[Any], column: str) -> pd.Series[Any]:
    """A Series in the order of the keys' index, as pandas pairs Series."""
    if value.index is index or value.index.equals(index):
        return value
    if not value.index.is_unique:
        raise ParameterError(
            f"column {column!r}", "has another index than the keys, in which labels come twice: pair the rows by merge"
        )
    places = value.index.get_indexer(index)
    if (places < 0).any():
        label = _label(index, int((places < 0).argmax()))
        raise ParameterError(f"column {column!r}", f"has no row with the label {label}, which the keys have")
    if isinstance(value.dtype, pd.ArrowDtype) and pa.types.is_string_view(value.dtype.pyarrow_dtype):
        texts = value.array.__arrow_array__().cast(pa.string())  # pyarrow takes no rows of views
        value = pd.Series(pd.array(texts, dtype=pd.ArrowDtype(pa.string())), index=value.index)
    return value.take(places)


def _label(index: pd.Index[Any], place: int) -> str:
    """A row's label, a number of numpy's as a number."""
    label = index[place]
    return repr(label.item() if hasattr(label, "item") else label)


def _arrow(value: pd.Series[Any], column: str) -> Any:
    """A Series as a column of Arrow: the one that it is, or a copy."""
    dtype = value.dtype
    if isinstance(dtype, pd.ArrowDtype) or getattr(dtype, "storage", None) == "pyarrow":
        return value.array.__arrow_array__()
    try:
        return pa.Array.from_pandas(value)
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        raise ParameterError(
            f"column {column!r}", f"of dtype {dtype} cannot become a column of Arrow: {error}"
        ) from None


def _dtype(keys: Any, urls: pa.DataType) -> Any:
    """The keys' dtype; for objects and categories one of strings; for those of Arrow's own the URLs' type."""
    if isinstance(keys, pd.StringDtype):
        return keys
    return pd.ArrowDtype(urls) if isinstance(keys, pd.ArrowDtype) else pd.StringDtype("pyarrow")

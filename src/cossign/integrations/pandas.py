"""pandas: ``df["key"].cossign.presign(signer)``, on columns of strings that Arrow holds.

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

from cossign.errors import ParameterError
from cossign.integrations.columns import OnError, key_text, named_error, whole_column
from cossign.key_time import Span
from cossign.request import Headers
from cossign.signer import Signer

__all__ = ["presign"]


def presign(
    keys: pd.Series[Any],
    signer: Signer,
    *,
    method: Any = "GET",
    expires: Any = None,
    query: Mapping[str, Any] | None = None,
    headers: Headers | None = None,
    key_time: Span | None = None,
    on_error: OnError = "raise",
    threads: int = 1,
) -> pd.Series[Any]:
    """Presigned URLs of keys, all at one instant: a Series with the same index, name and dtype.

    Args:
        keys: a Series of strings that Arrow holds; a null gives a null.
        signer: a Signer.
        method, expires, query: as in `Signer.presign`; a method, an expiry and a query's value may be Series, row
            by row beside the keys; their index does not matter.
        headers, key_time: as in `Signer.presign`.
        on_error: "raise" at a bad row; or "null": it has no URL, and ``attrs["errors"]`` of the result says why, as
            (row, reason).
        threads: how many threads sign.

    Raises:
        ParameterError: a parameter is not of its form, or a row is bad; it names the column, the row, from 0, its
            label and its key.
        CredentialsError: there are no credentials, or they have expired.
    """
    if not isinstance(signer, Signer):
        raise ParameterError("signer", f"must be a Signer, not {type(signer).__name__}")
    values = dict(query or {})
    arguments = {"keys": keys, "method": method, "expires": expires}
    arguments.update({f"query[{name!r}]": value for name, value in values.items()})
    columns = {
        name: name if each.name is None else str(each.name)
        for name, each in arguments.items()
        if isinstance(each, pd.Series)
    }
    arrow = {name: _arrow(each, columns.get(name, "")) for name, each in arguments.items()}
    try:
        signed_column = signer.presign_arrow(
            arrow["keys"],
            method=arrow["method"],
            expires=arrow["expires"],
            query={name: arrow[f"query[{name!r}]"] for name in values},
            headers=headers,
            key_time=key_time,
            on_error=on_error,
            threads=threads,
        )
        urls = whole_column(signed_column)
    except ParameterError as error:
        where = ""
        if error.index is not None:
            label, key = keys.index[error.index], arrow["keys"][error.index]
            where = f"row {error.index}, label {label!r}, key {key_text(key)}"
        raise named_error(error.parameter, error.reason, columns, where) from None
    result = pd.Series(pd.array(urls, dtype=_dtype(keys.dtype, urls.type)), index=keys.index, name=keys.name)
    if on_error == "null":
        result.attrs["errors"] = signed_column.errors
    return result


@pd.api.extensions.register_series_accessor("cossign")
class CosSeries:
    """What ``series.cossign`` can do."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self._series = series

    def presign(self, signer: Signer, **keywords: Any) -> pd.Series[Any]:
        """As `presign`, of these keys."""
        return presign(self._series, signer, **keywords)


def _arrow(value: Any, column: str) -> Any:
    """A Series as the Arrow column that it is; anything else as it is."""
    if not isinstance(value, pd.Series):
        return value
    dtype = value.dtype
    if isinstance(dtype, pd.ArrowDtype) or getattr(dtype, "storage", None) == "pyarrow":
        return value.array.__arrow_array__()
    if pd.api.types.is_integer_dtype(dtype):
        return pa.Array.from_pandas(value)
    raise ParameterError(
        f"column {column!r}",
        f'must be strings that Arrow holds, not of dtype {dtype}: give it .astype("string[pyarrow]")',
    )


def _dtype(keys: Any, urls: pa.DataType) -> Any:
    """The keys' dtype; for those of Arrow's own, which may be categories, the URLs' type."""
    return keys if isinstance(keys, pd.StringDtype) else pd.ArrowDtype(urls)

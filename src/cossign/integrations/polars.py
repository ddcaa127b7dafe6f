"""Polars: ``pl.col("key").cos.presign(signer)``, in eager and lazy frames and in the streaming engine.

Importing this module does it: polars has the cosine under that name, and no namespace may take it. So ``cos`` stays the
cosine when it is called, and has ``presign`` beside that, on expressions and on Series.

>>> import polars as pl
>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> frame = pl.DataFrame({"key": ["a.jpg", None], "version": ["x", "y"]})
>>> urls = frame.select(url=pl.col("key").cos.presign(signer, query={"versionId": pl.col("version")}))
>>> urls["url"][0].rpartition("&")[2], urls["url"][1]
('versionId=x', None)
>>> pl.Series([0.0]).cos().to_list()
[1.0]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from cossign.errors import CosSignError, ParameterError
from cossign.integrations.columns import OnError, named_error, row_text
from cossign.signer import Headers, KeyTime, Signer

__all__ = ["presign"]


def presign(
    keys: str | pl.Expr,
    signer: Signer,
    *,
    method: str | pl.Expr = "GET",
    expires: int | pl.Expr | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Headers | None = None,
    key_time: KeyTime | None = None,
    on_error: OnError = "raise",
    threads: int = 1,
) -> pl.Expr:
    """Presigned URLs of keys, all of this call's instant, however often and in how many parts they are computed.

    Args:
        keys: a column's name, or an expression of strings; a null gives a null.
        signer: a Signer.
        method, expires, query: as in `Signer.presign`; a method, an expiry and a query's value may be expressions.
        headers, key_time: as in `Signer.presign`.
        on_error: "raise" at a bad row; or "null": it has no URL.
        threads: how many sign one part of a column. Lazy frames sign several parts at once as it is.

    Returns:
        An expression of strings.

    Raises:
        ParameterError: `signer` is none.
        CosSignError: while it is computed: what is wrong, with its column, key and row, counted from the first one of
            the part that is computed at once: the whole column in eager frames.
        CredentialsError: while it is computed: there are no credentials, or they have expired.
    """
    if not isinstance(signer, Signer):
        raise ParameterError("signer", f"must be a Signer, not {type(signer).__name__}")
    fixed, values = signer.at(), dict(query or {})
    given = {"method": method, "expires": expires, **{f"query[{name!r}]": each for name, each in values.items()}}
    varying = {parameter: each for parameter, each in given.items() if isinstance(each, pl.Expr)}

    def urls(columns: Sequence[pl.Series]) -> pl.Series:
        parts = dict(zip(("keys", *varying), _alike(columns), strict=True))
        names = {parameter: part.name for parameter, part in parts.items()}
        keys = parts["keys"]
        try:
            signed = fixed.presign_arrow(
                keys, method=parts.get("method", method), expires=parts.get("expires", expires),
                query={name: parts.get(f"query[{name!r}]", each) for name, each in values.items()},
                headers=headers, key_time=key_time, on_error=on_error, threads=threads,
            )  # fmt: skip
            try:
                return pl.Series(signed)
            except pl.exceptions.PolarsError:  # a bad row, of which polars knows the text alone
                for _ in signed:
                    pass
                raise
        except ParameterError as error:
            where = "" if error.index is None else row_text(error.index, keys[error.index])
            # polars raises what it makes of this one's type and text
            raise CosSignError(str(named_error(error.parameter, error.reason, names, where))) from None

    whole = pl.col(keys) if isinstance(keys, str) else keys
    return pl.map_batches([whole, *varying.values()], urls, return_dtype=pl.String, is_elementwise=True)


def _alike(columns: Sequence[pl.Series]) -> list[pl.Series]:
    """Columns of one length: what is one value for all rows, repeated."""
    rows = next((len(column) for column in columns if len(column) != 1), 1)
    return [column if len(column) == rows else column.new_from_index(0, rows) for column in columns]


class _Namespace:
    """``cos`` of one expression or Series."""

    def __init__(self, cosine: Callable[..., Any], of: Any) -> None:
        self._cosine = cosine
        self._of = of

    def __call__(self) -> Any:
        return self._cosine(self._of)

    def presign(self, signer: Signer, **named: Any) -> Any:
        """As `presign`; of a Series, at once."""
        if isinstance(self._of, pl.Expr):
            return presign(self._of, signer, **named)
        return self._of.to_frame().select(presign(pl.first(), signer, **named)).to_series()


class _Cos:
    """``Expr.cos`` and ``Series.cos``: the cosine as it was, and a namespace."""

    def __init__(self, cosine: Callable[..., Any]) -> None:
        self._cosine = cosine

    def __get__(self, of: Any, kind: type) -> Any:
        return self._cosine if of is None else _Namespace(self._cosine, of)


for _kind in (pl.Expr, pl.Series):
    if not isinstance(vars(_kind)["cos"], _Cos):
        setattr(_kind, "cos", _Cos(vars(_kind)["cos"]))  # noqa: B010 - mypy knows that it is a method

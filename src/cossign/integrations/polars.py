"""Polars: ``pl.col("key").cossign.presign(signer)``, in eager and lazy frames and in the streaming engine.

Importing this module registers the namespace ``cossign`` of expressions and of Series.

>>> import polars as pl
>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> frame = pl.DataFrame({"key": ["a.jpg", None], "version": ["x", "y"]})
>>> urls = frame.select(url=pl.col("key").cossign.presign(signer, query={"versionId": pl.col("version")}))
>>> urls["url"][0].rpartition("&")[2], urls["url"][1]
('versionId=x', None)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from cossign.errors import CosSignError, ParameterError
from cossign.integrations.columns import OnError, named_error, row_text
from cossign.key_time import Span
from cossign.request import Headers
from cossign.signer import Signer

__all__ = ["presign"]


def presign(
    keys: str | pl.Expr,
    signer: Signer,
    *,
    method: str | pl.Expr = "GET",
    expires: int | pl.Expr | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Headers | None = None,
    key_time: Span | None = None,
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
    fixed_signer, values = signer.at(), dict(query or {})
    arguments = {"method": method, "expires": expires, **{f"query[{name!r}]": each for name, each in values.items()}}
    expressions = {parameter: each for parameter, each in arguments.items() if isinstance(each, pl.Expr)}

    def urls(columns: Sequence[pl.Series]) -> pl.Series:
        parts = dict(zip(("keys", *expressions), _match_lengths(columns), strict=True))
        names = {parameter: part.name for parameter, part in parts.items()}
        keys = parts["keys"]
        try:
            signed_column = fixed_signer.presign_arrow(
                keys,
                method=parts.get("method", method),
                expires=parts.get("expires", expires),
                query={name: parts.get(f"query[{name!r}]", each) for name, each in values.items()},
                headers=headers,
                key_time=key_time,
                on_error=on_error,
                threads=threads,
            )
            try:
                return pl.Series(signed_column)
            except pl.exceptions.PolarsError:  # a bad row, of which polars knows the text alone
                for _ in signed_column:
                    pass
                raise
        except ParameterError as error:
            where = "" if error.index is None else row_text(error.index, keys[error.index])
            # polars raises what it makes of this one's type and text
            raise CosSignError(str(named_error(error.parameter, error.reason, names, where))) from None

    key_expression = pl.col(keys) if isinstance(keys, str) else keys
    return pl.map_batches([key_expression, *expressions.values()], urls, return_dtype=pl.String, is_elementwise=True)


def _match_lengths(columns: Sequence[pl.Series]) -> list[pl.Series]:
    """Columns of one length: what is one value for all rows, repeated."""
    rows = next((len(column) for column in columns if len(column) != 1), 1)
    return [column if len(column) == rows else column.new_from_index(0, rows) for column in columns]


@pl.api.register_expr_namespace("cossign")
class _Expression:
    """What ``expression.cossign`` can do."""

    def __init__(self, keys: pl.Expr) -> None:
        self._keys = keys

    def presign(self, signer: Signer, **keywords: Any) -> pl.Expr:
        """As `presign`, of these keys."""
        return presign(self._keys, signer, **keywords)


@pl.api.register_series_namespace("cossign")
class _Series:
    """What ``series.cossign`` can do."""

    def __init__(self, keys: pl.Series) -> None:
        self._keys = keys

    def presign(self, signer: Signer, **keywords: Any) -> pl.Series:
        """As `presign`, of these keys, at once."""
        return self._keys.to_frame().select(presign(pl.first(), signer, **keywords)).to_series()

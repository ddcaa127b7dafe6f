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
from cossign.integrations.columns import OnErrorOfColumn, keeps_reasons, key_text, named_error, named_reasons
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
    on_error: OnErrorOfColumn = "raise",
    threads: int = 1,
) -> pl.Expr:
    """Presigned URLs of keys. All start at the time of this call, however often they are computed.

    Args:
        keys: the name of a column, or an expression of strings. A null becomes a null.
        signer: a Signer.
        method, expires, query: as in `Signer.presign`; a method, an expiry and a query's value may be expressions.
        headers, key_time: as in `Signer.presign`.
        on_error: "raise" at a bad row; "null": it has no URL; or "struct": each row has the fields ``url`` and
            ``error``, which is the reason.
        threads: the number of threads for one part of a column. Lazy frames already sign several parts at once.

    Returns:
        An expression of strings, or of structs.

    Raises:
        ParameterError: a parameter is not valid.
        CosSignError: while it is computed: the reason, with the column and the key. Polars computes a column in parts,
            so the number of the row in the frame is not known.
        CredentialsError: while it is computed: credentials are missing, or have expired.
    """
    if not isinstance(keys, (str, pl.Expr)):
        raise ParameterError("keys", f"must be a column's name or an expression, not {type(keys).__name__}")
    signing = _Signing(
        signer, method=method, expires=expires, query=query, on_error=on_error,
        headers=headers, key_time=key_time, threads=threads,
    )  # fmt: skip
    for parameter, each in signing.arguments.items():
        if not isinstance(each, pl.Expr) and _is_column(each):
            raise ParameterError(
                parameter,
                f"is a {type(each).__name__}, whose rows do not follow those of the frame: add it to the frame with "
                "with_columns, and give pl.col(...)",
            )
    expressions = {parameter: each for parameter, each in signing.arguments.items() if isinstance(each, pl.Expr)}
    signing.signer = signing.signer.at()

    def urls(columns: Sequence[pl.Series]) -> pl.Series:
        parts = dict(zip(("keys", *expressions), columns, strict=True))
        try:
            return signing.urls(_match_lengths(parts))
        except ParameterError as error:
            # polars raises what it makes of this one's type and text
            raise CosSignError(str(signing.with_names(error, parts, has_rows=False))) from None

    return pl.map_batches(
        [pl.col(keys) if isinstance(keys, str) else keys, *expressions.values()],
        urls,
        return_dtype=signing.dtype,
        is_elementwise=True,
    )


def _is_column(value: Any) -> bool:
    """Whether a value is one for each row."""
    is_arrow = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")
    return is_arrow or (hasattr(value, "__len__") and not isinstance(value, (str, bytes)))


class _Signing:
    """The parameters of a call, and what it signs with them."""

    def __init__(
        self,
        signer: Signer,
        *,
        method: Any = "GET",
        expires: Any = None,
        query: Mapping[str, Any] | None = None,
        on_error: OnErrorOfColumn = "raise",
        **others: Any,
    ) -> None:
        if not isinstance(signer, Signer):
            raise ParameterError("signer", f"must be a Signer, not {type(signer).__name__}")
        self.signer = signer
        self._query = dict(query or {})
        self._on_error, self._has_reasons = keeps_reasons(on_error)
        self._others = others
        self.arguments = {"method": method, "expires": expires}
        self.arguments.update({f"query[{name!r}]": each for name, each in self._query.items()})
        strings = pl.String()
        self.dtype = pl.Struct({"url": strings, "error": strings}) if self._has_reasons else strings

    def urls(self, parts: Mapping[str, pl.Series]) -> pl.Series:
        """URLs of some keys; a column takes the place of the argument of its name."""
        keys, values = parts["keys"], {**self.arguments, **parts}
        signed_column = self.signer.presign_arrow(
            keys,
            method=values["method"],
            expires=values["expires"],
            query={name: values[f"query[{name!r}]"] for name in self._query},
            on_error=self._on_error,
            **self._others,
        )
        try:
            urls = pl.Series(keys.name, signed_column)
        except pl.exceptions.PolarsError:  # at a bad row polars keeps the text of the error alone
            for _ in signed_column:
                pass
            raise
        if not self._has_reasons:
            return urls
        reasons = dict(named_reasons(signed_column.errors, _names(parts)))
        errors = [reasons.get(row) for row in range(len(urls))] if reasons else [None] * len(urls)
        return pl.DataFrame({"url": urls, "error": pl.Series(errors, dtype=pl.String)}).to_struct(keys.name)

    @staticmethod
    def with_names(error: ParameterError, parts: Mapping[str, pl.Series], has_rows: bool) -> ParameterError:
        """An error with the names of columns instead of parameters, and the row's key."""
        where = "" if error.index is None else f"key {key_text(parts['keys'][error.index])}"
        return named_error(error.parameter, error.reason, _names(parts), where, error.index if has_rows else None)


def _names(parts: Mapping[str, pl.Series]) -> dict[str, str]:
    return {parameter: part.name for parameter, part in parts.items()}


def _match_lengths(parts: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Columns of one length: what is one value for all rows, repeated."""
    rows = next((len(part) for part in parts.values() if len(part) != 1), 1)
    for parameter, part in parts.items():
        if len(part) not in (1, rows):
            raise ParameterError(parameter, f"has {len(part)} rows, and other columns have {rows}")
    return {name: part if len(part) == rows else part.new_from_index(0, rows) for name, part in parts.items()}


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
        """As `presign`, of these keys, at once; a method, an expiry and a query's value may be Series as long as this.

        Raises:
            ParameterError: a parameter is not valid, or a row is bad; ``index`` is its number, from 0.
            CredentialsError: credentials are missing, or have expired.
        """
        signing = _Signing(signer, **keywords)
        for parameter, each in signing.arguments.items():
            if isinstance(each, pl.Expr):
                raise ParameterError(parameter, "is an expression, which a Series has no frame for: give a Series")
        columns = {name: each for name, each in signing.arguments.items() if isinstance(each, pl.Series)}
        parts = {"keys": self._keys, **columns}
        try:
            return signing.urls(parts)
        except ParameterError as error:
            raise signing.with_names(error, parts, has_rows=True) from None

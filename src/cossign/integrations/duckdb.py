"""DuckDB: ``SELECT cos_presign(key) FROM 'inventory.parquet'``, from Parquet on disk to Parquet if need be.

>>> import duckdb
>>> from cossign import Credentials, Signer
>>> signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="b-1250000000", region="ap-beijing")
>>> connection = duckdb.connect()
>>> register(connection, signer)
>>> urls = connection.sql("SELECT cos_presign(key) FROM (VALUES ('a.jpg'), (NULL)) AS keys(key)").fetchall()
>>> [url and url.partition("?")[0] for url, in urls]
['https://b-1250000000.cos.ap-beijing.myqcloud.com/a.jpg', None]
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import duckdb

from cossign.errors import CosSignError, ParameterError
from cossign.integrations.columns import OnError, key_text, named_error, whole_column
from cossign.key_time import Span
from cossign.request import Headers, Query
from cossign.signer import Signer

__all__ = ["register"]

_numbers = itertools.count(1)


def register(
    connection: duckdb.DuckDBPyConnection,
    signer: Signer,
    name: str = "cos_presign",
    *,
    method: str = "GET",
    expires: int | None = None,
    query: Query | None = None,
    headers: Headers | None = None,
    key_time: Span | None = None,
    query_cols: Sequence[str] = (),
    on_error: OnError = "raise",
) -> None:
    """A function of SQL, for a connection: all URLs of a query are of its transaction's instant.

    Args:
        connection: where it is registered; a cursor of it needs it again.
        signer: a Signer.
        name: the function's.
        method, expires, query, headers, key_time: as in `Signer.presign`.
        query_cols: parameters of the query that the function takes behind the key, in this order:
            ``("versionId",)`` for ``cos_presign(key, version_id)``.
        on_error: "raise" at a bad key; or "null": its URL is NULL.

    Raises:
        ParameterError: `signer` or `name` is not of its form. Other parameters, keys and credentials are looked at by
            the query, which ends with DuckDB's InvalidInputException: it has the key, and what is wrong.
    """
    if not isinstance(signer, Signer):
        raise ParameterError("signer", f"must be a Signer, not {type(signer).__name__}")
    if not name.isidentifier():
        raise ParameterError("name", f"must be a name that SQL takes without quotes, not {name!r}")
    fixed_query = dict(query or {})
    columns = {"keys": "key", **{f"query[{each!r}]": each for each in query_cols}}

    def presign_keys(instants: Any, keys: Any, *values: Any) -> Any:
        fixed_signer = signer.at(instants[0].as_py() - 1) if signer.start is None else signer
        try:
            signed_column = fixed_signer.presign_arrow(
                keys,
                method=method,
                expires=expires,
                query={**fixed_query, **dict(zip(query_cols, values, strict=True))},
                headers=headers,
                key_time=key_time,
                on_error=on_error,
            )
            return whole_column(signed_column)
        except ParameterError as error:
            where = "" if error.index is None else f"key {key_text(keys[error.index])}"
            raise CosSignError(str(named_error(error.parameter, error.reason, columns, where))) from None

    names = ["key", *(f"p{number}" for number in range(len(query_cols)))]
    # DuckDB counts a function's parameters by its signature.
    presign_keys.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in ("instant", *names)]
    )
    text = duckdb.sqltype("VARCHAR")
    function = f"{name}_{next(_numbers)}"  # one of a cursor's cannot be replaced
    connection.create_function(  # type: ignore[call-overload]
        function,
        presign_keys,
        [duckdb.sqltype("BIGINT"), *[text for _ in names]],
        text,
        type="arrow",
        null_handling="special",
    )
    values = ", ".join(f"{each}::VARCHAR" for each in names)
    connection.execute(
        f"CREATE OR REPLACE TEMPORARY MACRO {name}({', '.join(names)}) AS "
        "CASE WHEN typeof(key) IN ('VARCHAR', '\"NULL\"', 'STRING_LITERAL') "
        f"THEN {function}(epoch(now())::BIGINT, {values}) "
        f"ELSE error('{name}: key must be a column of strings, not of ' || typeof(key)) END"
    )

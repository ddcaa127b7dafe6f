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

import functools
import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import duckdb

from cossign.errors import CosSignError, ParameterError
from cossign.integrations.columns import (
    OnErrorOfColumn,
    check_names,
    keeps_reasons,
    key_text,
    named_error,
    named_reasons,
    whole_column,
    with_reasons,
)
from cossign.key_time import Span
from cossign.request import Headers, Query
from cossign.signer import Signer

__all__ = ["register", "unregister"]

# Types of values that are texts as they are, and of integers, as DuckDB names them. ENUM has its values in its name.
_TEXTS = "'VARCHAR', '\"NULL\"', 'STRING_LITERAL'"
_INTEGERS = (
    "'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', "
    "'UHUGEINT', 'INTEGER_LITERAL'"
)

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
    on_error: OnErrorOfColumn = "raise",
) -> None:
    """A SQL function for a connection. All URLs of a query start at the start of its transaction.

    Args:
        connection: the connection, outside a transaction. A cursor of it needs `register` again. Before a cursor is
            closed, call `unregister`: otherwise DuckDB keeps its function until the database is closed.
        signer: a Signer.
        name: the name of the function. Its key is a VARCHAR, an ENUM, or a BLOB of UTF-8. A BLOB of other bytes ends
            the query.
        method, expires, query, headers, key_time: as in `Signer.presign`.
        query_cols: parameters that are arguments of the function after the key, in this order, strings or integers:
            ``("versionId",)`` for ``cos_presign(key, version_id)``.
        on_error: "raise" at a bad key; "null": its URL is NULL; or "struct": the function returns a ``STRUCT(url
            VARCHAR, error VARCHAR)``, and ``error`` is the reason.

    Raises:
        ParameterError: `signer`, `name`, `query_cols` or `on_error` is not valid. The query checks other parameters,
            keys and credentials. It ends with DuckDB's InvalidInputException, which has the key and the reason.
    """
    if not isinstance(signer, Signer):
        raise ParameterError("signer", f"must be a Signer, not {type(signer).__name__}")
    if not name.isidentifier():
        raise ParameterError("name", f"must be a name that SQL takes without quotes, not {name!r}")
    _check_no_transaction(connection)
    fixed_query = dict(query or {})
    check_names(query_cols, fixed_query)
    arrow_on_error, has_reasons = keeps_reasons(on_error)
    columns = {"keys": "key", **{f"query[{each!r}]": each for each in query_cols}}

    @functools.lru_cache(maxsize=8)
    def signer_at(instant: int) -> Signer:
        return signer.at(instant - signer.backdate) if signer.start is None else signer

    def presign_keys(instants: Any, keys: Any, *values: Any) -> Any:
        try:
            signed_column = signer_at(instants[0].as_py()).presign_arrow(
                keys,
                method=method,
                expires=expires,
                query={**fixed_query, **dict(zip(query_cols, values, strict=True))},
                headers=headers,
                key_time=key_time,
                on_error=arrow_on_error,
            )
            urls = whole_column(signed_column)
        except ParameterError as error:
            where = "" if error.index is None else f"key {key_text(keys[error.index])}"
            raise CosSignError(str(named_error(error.parameter, error.reason, columns, where))) from None
        return with_reasons(urls, named_reasons(signed_column.errors, columns)) if has_reasons else urls

    names = ["key", *(f"p{number}" for number in range(len(query_cols)))]
    # DuckDB counts a function's parameters by its signature.
    presign_keys.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in ("instant", *names)]
    )
    function = f"{name}_{next(_numbers)}"  # of all cursors of a database none has the same
    connection.create_function(  # type: ignore[call-overload]
        function,
        presign_keys,
        [duckdb.sqltype(each) for each in ("BIGINT", *("VARCHAR" for _ in names))],
        duckdb.sqltype("STRUCT(url VARCHAR, error VARCHAR)" if has_reasons else "VARCHAR"),
        type="arrow",
        null_handling="special",
    )
    _make_macro(connection, name, function, names)


def _check_no_transaction(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse a transaction: if it were rolled back, DuckDB would call a function that Python no longer has."""
    try:
        connection.begin()
    except duckdb.TransactionException:
        raise ParameterError("connection", "is within a transaction: end that first") from None
    connection.rollback()


def _make_macro(connection: duckdb.DuckDBPyConnection, name: str, function: str, names: Sequence[str]) -> None:
    """Make the function that users call, and remove the one that it called before."""
    old_function = _function_of(connection, name)
    try:
        connection.execute(_macro(name, function, names))
        connection.execute(f"CREATE OR REPLACE TEMPORARY MACRO {name}_calls() AS '{function}'")
    except duckdb.Error:  # such as a name that is a word of SQL
        connection.remove_function(function)
        raise
    if old_function is not None:
        connection.remove_function(old_function)


def _function_of(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """The function that a macro of `register` calls, as the connection keeps it; None if it has no such macro."""
    try:
        [(function,)] = connection.execute(f"SELECT {name}_calls()").fetchall()
    except duckdb.CatalogException:
        return None
    return str(function)


def _macro(name: str, function: str, names: Sequence[str]) -> str:
    """What makes the function that users call: it adds the instant, and looks at the key's type."""

    def value(column: str) -> str:
        is_plain = f"typeof({column}) IN ({_TEXTS}, {_INTEGERS}) OR typeof({column}) LIKE 'ENUM(%'"
        wrong = f"error('{name}: a parameter must be a column of strings or integers, not of ' || typeof({column}))"
        return f"CASE WHEN {is_plain} THEN {column}::VARCHAR ELSE {wrong} END"

    def call(key: str) -> str:
        values = ", ".join([key, *map(value, names[1:])])
        return f"{function}(floor(epoch(now()))::BIGINT, {values})"  # a cast alone rounds up

    return (
        f"CREATE OR REPLACE TEMPORARY MACRO {name}({', '.join(names)}) AS CASE "
        f"WHEN typeof(key) IN ({_TEXTS}) OR typeof(key) LIKE 'ENUM(%' THEN {call('key::VARCHAR')} "
        # As text a BLOB has escapes, which the cast undoes; a cast of another type to BLOB may not be there.
        f"WHEN typeof(key) = 'BLOB' THEN {call('decode(key::VARCHAR::BLOB)')} "
        f"WHEN typeof(key) = 'JSON' THEN error('{name}: key is JSON: give its text, as in key->>''$''') "
        f"ELSE error('{name}: key must be a column of strings, not of ' || typeof(key)) END"
    )


def unregister(connection: duckdb.DuckDBPyConnection, name: str = "cos_presign") -> None:
    """Remove a function that `register` made for this connection.

    Raises:
        ParameterError: this connection has no function of this name.
    """
    _check_no_transaction(connection)
    function = _function_of(connection, name)
    if function is None:
        raise ParameterError("name", f"{name!r} is not registered for this connection")
    for macro in (name, f"{name}_calls"):
        connection.execute(f"DROP MACRO IF EXISTS {macro}")
    connection.remove_function(function)

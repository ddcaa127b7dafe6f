"""The common part of frames and clusters: signing at workers without a secret in the plan, and errors with a place."""

from __future__ import annotations

import contextlib
import functools
import pickle
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cossign._arrow import Memory
from cossign.bulk import Chunks
from cossign.credentials import ChainCredentials, Credentials
from cossign.errors import CosSignError, CredentialsError, ParameterError
from cossign.key_time import Span
from cossign.request import Headers, Query
from cossign.signer import Signer

OnError = Literal["raise", "null"]
OnErrorOfColumn = Literal["raise", "null", "struct"]  # where a column is made, and no second one beside it
SignerConfig = Signer | Mapping[str, Any]  # a Signer, or its parameters for the default chain of credentials

_MEMORY_SIZE = 256 << 20  # bytes of URLs that a worker keeps for the next ones: two of Ray's blocks
_CHUNK = 4 << 20  # bytes of a chunk: a batch of Spark's is one; of small ones, Parquet's writer takes 50 ns a URL more


def given_signer(signer_config: SignerConfig) -> Signer:
    """A Signer, or one made of a mapping of its parameters, with the default chain of credentials."""
    if isinstance(signer_config, Signer):
        return signer_config
    if not isinstance(signer_config, Mapping):
        kind = type(signer_config).__name__
        raise ParameterError("signer_config", f"must be a Signer, or a mapping of its parameters, not {kind}")
    try:
        return Signer(**{"credentials": ChainCredentials(), **signer_config})
    except TypeError as error:
        raise ParameterError("signer_config", f"has a parameter that Signer does not accept: {error}") from None


def named_error(
    parameter: str, reason: str, columns: Mapping[str, str], where: str, index: int | None = None
) -> ParameterError:
    """What is wrong with a row, by the name of its column instead of the parameter's."""
    if parameter not in columns:
        return ParameterError(parameter, reason)
    column, place = f"column {columns[parameter]!r}", f" ({where})" if where else ""
    if index is None:
        return ParameterError(column + place, reason)
    return ParameterError(column, f"{place.lstrip()} {reason}".lstrip(), index)


def check_there(parameter: str, column: str, names: Sequence[str]) -> str:
    """Refuse a column that is none of a table; the name of what was to give it, otherwise."""
    argument = {"keys": "key_col", "method": "method_col", "expires": "expires_col"}.get(parameter, "query_cols")
    if column not in names:
        raise ParameterError(argument, f"{column!r} is not a column: there are {', '.join(map(repr, names))}")
    return argument


def whole_column(signed_column: Iterable[Any]) -> Any:
    """The chunks of `Signer.presign_arrow` as one column of pyarrow, whose errors keep their class."""
    import pyarrow as pa

    chunks = [pa.array(chunk) for chunk in signed_column]
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([], pa.string())


def join_chunks(chunks: Sequence[Any]) -> Any:
    """Chunks of URLs as one array; without a copy, if there is one."""
    import pyarrow as pa

    if not chunks:
        return pa.array([], pa.string())
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def marks(errors: Iterable[tuple[int, str]], rows: int) -> Any:
    """The column of what is wrong: null for what is not."""
    import pyarrow as pa

    reasons = dict(errors)
    return pa.array([reasons.get(row) for row in range(rows)], pa.string()) if reasons else pa.nulls(rows, pa.string())


def with_reasons(urls: Any, errors: Iterable[tuple[int, str]]) -> Any:
    """A column of structs: URLs, and what is wrong with those that are null."""
    import pyarrow as pa

    return pa.StructArray.from_arrays([join_chunks(urls.chunks), marks(errors, len(urls))], ["url", "error"])


def check_names(query_cols: Sequence[str], fixed_query: Query) -> None:
    """Refuse names of parameters that could be meant in two ways."""
    if isinstance(query_cols, str):  # its characters would be taken for names
        raise ParameterError("query_cols", f"must hold names, as in [{query_cols!r}], not be a str")
    for place, name in enumerate(query_cols):
        if not isinstance(name, str):
            raise ParameterError("query_cols", f"must hold names, not {name!r}")
        if name in query_cols[:place]:
            raise ParameterError("query_cols", f"holds {name!r} twice")
        check_not_fixed(name, fixed_query)


def check_not_fixed(name: str, fixed_query: Query) -> None:
    """Refuse a parameter that is one value for all rows, and a column, too."""
    if name in fixed_query:
        raise ParameterError(f"query[{name!r}]", "must not be given with query_cols of the same name")


def keeps_reasons(on_error: OnErrorOfColumn) -> tuple[OnError, bool]:
    """What `Signer.presign_arrow` is told, and whether the result has reasons beside the URLs.

    Raises:
        ParameterError: it is another word.
    """
    if on_error not in ("raise", "null", "struct"):
        raise ParameterError("on_error", f"must be 'raise', 'null' or 'struct', not {on_error!r}")
    return ("null", True) if on_error == "struct" else (on_error, False)


def named_reasons(
    errors: Iterable[tuple[int, str]], columns: Mapping[str, str], where: Callable[[int], str] = lambda row: ""
) -> list[tuple[int, str]]:
    """(row, what is wrong) of bad rows, by the names of their columns instead of the parameters'."""
    texts = []
    for row, reason in errors:
        parameter = next((each for each in columns if reason.startswith(f"{each} ")), "keys")
        reason = reason.removeprefix(f"{parameter} ")
        texts.append((row, str(named_error(parameter, reason, columns, where(row)))))
    return texts


def key_text(key: Any) -> str:
    """A key, or a scalar of Arrow, as it is shown in an error: as text, or as bytes, if it is not UTF-8."""
    try:
        key = key.as_py() if hasattr(key, "as_py") else key
    except UnicodeDecodeError:
        key = key.as_buffer().to_pybytes()
    if isinstance(key, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            key = key.decode()
    text = repr(key)
    return text if len(text) <= 100 else f"{text[:100]}..."


@dataclass(frozen=True)
class ColumnSigning:
    """How columns become a column of URLs. It is made where a job is planned, and travels to where its rows are.

    Attributes:
        signer: a Signer, pickled: without a secret, as none can be.
        start: Unix seconds at which all signatures begin, unless the Signer or the call gives another time.
        columns: the names of columns by the parameter of `Signer.presign_arrow` that they give: "keys", "method",
            "expires", "query['versionId']".
        query_cols: the parameters that columns give, in order.
        method, expires, query, headers, key_time, on_error: as in `Signer.presign_arrow`.
    """

    signer: bytes
    start: int
    columns: dict[str, str]
    query_cols: tuple[str, ...]
    method: str
    expires: int | None
    query: Query
    headers: Headers | None
    key_time: Span | None
    on_error: OnError

    @classmethod
    def plan(
        cls,
        signer_config: SignerConfig,
        dumps: Callable[[Any], bytes],
        key_col: str,
        *,
        method: str,
        expires: int | None,
        query: Query | None,
        headers: Headers | None,
        key_time: Span | None,
        method_col: str | None = None,
        expires_col: str | None = None,
        query_cols: Mapping[str, str] | None = None,
        on_error: OnError,
        error_col: str | None = None,
    ) -> ColumnSigning:
        """What was asked for, checked without credentials: those are at the workers.

        Raises:
            ParameterError: a parameter is not valid, or the Signer has literal credentials.
        """
        import pyarrow as pa

        signer = given_signer(signer_config)
        fixed_query, query_columns = dict(query or {}), dict(query_cols or {})
        columns = {"keys": key_col, **{f"query[{name!r}]": column for name, column in query_columns.items()}}
        own_columns = ("method", method, "GET", method_col), ("expires", expires, None, expires_col)
        for name, value, usual, column in own_columns:
            if column is not None:
                columns[name] = column
                if value != usual:
                    raise ParameterError(name, f"must not be given with {name}_col")
        for name in query_columns:
            check_not_fixed(name, fixed_query)
        if error_col is not None and on_error != "null":
            raise ParameterError("error_col", 'needs on_error="null"')
        try:
            signer_bytes = dumps(signer)
        except TypeError as error:
            raise ParameterError("signer_config", f"cannot be sent to the workers: {error}") from None
        planned_signer = signer.at()
        empty_column = pa.array([], pa.string())
        planned_signer.replace(credentials=Credentials("AKIDNONE", "none")).presign_arrow(
            empty_column,
            method=empty_column if method_col else method,
            expires=empty_column if expires_col else expires,
            query={**fixed_query, **dict.fromkeys(query_columns, empty_column)},
            headers=headers,
            key_time=key_time,
            on_error=on_error,
        )
        return cls(
            signer_bytes,
            planned_signer.times().start,
            columns,
            tuple(query_columns),
            method,
            expires,
            fixed_query,
            headers,
            key_time,
            on_error,
        )

    def sign_rows(
        self, arrow_columns: Mapping[str, Any], where: str, first: int | None = 0, instant: int | None = None
    ) -> tuple[Any, list[tuple[int, str]]]:
        """URLs of some rows.

        Args:
            arrow_columns: a column of Arrow for each of `columns`, by its parameter.
            where: which partition they are of, for errors.
            first: the first one's number in it; None if that is not known: errors name the key alone.
            instant: Unix seconds at which they are signed, if that is not when the job was planned.

        Returns:
            A column of pyarrow, in chunks, and, with ``on_error="null"``, (index, what is wrong) of bad rows.

        Raises:
            ParameterError: a row is bad; it names the column, the partition and the row, from 0.
            CredentialsError: there are none here; it names the places that were tried.
        """
        keys = arrow_columns["keys"]
        signer, memory = _at_worker(self.signer)
        if signer.start is None:
            signer = signer.at(self.start if instant is None else instant - signer.backdate)
            self._check_end(signer)

        def at_row(index: int) -> str:
            key = key_text(keys[index])
            return f"{where}, key {key}" if first is None else f"{where}, row {first + index}, key {key}"

        try:
            signed_column = signer.sign_column(
                keys,
                Chunks(1, self.on_error == "null", memory=memory, as_keys=True),
                method=arrow_columns.get("method", self.method),
                expires=arrow_columns.get("expires", self.expires),
                query={**self.query, **{name: arrow_columns[f"query[{name!r}]"] for name in self.query_cols}},
                headers=self.headers,
                key_time=self.key_time,
            )
            urls = whole_column(signed_column)
        except ParameterError as error:
            index = error.index
            raise named_error(
                error.parameter, error.reason, self.columns, where if index is None else at_row(index)
            ) from None
        except CredentialsError as error:
            row = "" if first is None else f", row {first}"
            raise CredentialsError(
                f"column {self.columns['keys']!r} ({where}{row}): no credentials at this worker: {error}"
            ) from None
        return urls, named_reasons(signed_column.errors, self.columns, at_row)

    def _check_end(self, signer: Signer) -> None:
        """Refuse to make URLs that have ended: a plan was carried out too late, or again."""
        if self.key_time is None and "expires" not in self.columns:
            end = signer.times().key_time(self.expires).end
            if end <= time.time():
                raise CosSignError(
                    f"the URLs have ended {time.time() - end:.0f} s ago, before they were made: their time began when "
                    "the job was planned. Plan it again, or give more seconds (expires)"
                )


@functools.lru_cache(maxsize=16)
def _at_worker(signer_bytes: bytes) -> tuple[Signer, Memory]:
    """A Signer, one for all jobs of a process that have the same: its credentials are fetched once.

    And the memory of its URLs. The engine copies and drops them, so the next ones have it: new pages cost more than
    signing.
    """
    signer = pickle.loads(signer_bytes)  # noqa: S301 - it was pickled where the job was planned
    assert isinstance(signer, Signer)
    return signer, Memory(_MEMORY_SIZE, _CHUNK)

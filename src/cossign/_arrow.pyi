"""Types of what reads and writes Arrow; see _arrow.pyx for what each does."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, SupportsIndex, TypeVar, overload

from cossign._core import RowDifferences, Template

class SignedColumn:
    errors: list[tuple[int, str]]
    def __init__(
        self,
        template: Template,
        keys: Any,
        sources: tuple[Any, ...],
        names: tuple[str, ...],
        differences: RowDifferences,
        *,
        keep_errors: bool,
        threads: int,
        memory: Memory | None = None,
        as_keys: bool = False,
    ) -> None: ...
    def __iter__(self) -> Iterator[ReadyChunk]: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

class Lines:
    failure: BaseException | None
    @property
    def rows(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def blank_ends(self) -> int: ...
    @property
    def inner_crs(self) -> int: ...
    @property
    def addresses(self) -> int: ...
    def __init__(
        self,
        blocks: Iterable[bytes],
        without_addresses: Callable[[bytes], bytes] | None = None,
        *,
        keep_empty: bool = False,
    ) -> None: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

_Row = TypeVar("_Row", str, "str | None", covariant=True)

class PackedUrls(Sequence[_Row]):
    errors: list[tuple[int, str]]
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_Row]: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> _Row: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[_Row]: ...

def pack_many(
    template: Template,
    keys: Iterable[Any],
    columns: tuple[Any, ...],
    names: tuple[str, ...],
    errors: list[tuple[int, str]] | None,
    threads: int = 1,
    differences: RowDifferences | None = None,
    *,
    memory: Memory | None = None,
) -> PackedUrls[Any]: ...

class Memory:
    def __init__(self, idle: int = 1 << 24, chunk: int = 1 << 19) -> None: ...

class ReadyChunk:
    @property
    def null_count(self) -> int: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def with_empty_lines(self) -> bytes: ...
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...

"""Types of what reads and writes Arrow; see _arrow.pyx for what each does."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

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

class Memory:
    def __init__(self, idle: int = 1 << 24, chunk: int = 1 << 19) -> None: ...

class ReadyChunk:
    @property
    def null_count(self) -> int: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def with_empty_lines(self) -> bytes: ...
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...

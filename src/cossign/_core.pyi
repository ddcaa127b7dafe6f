"""Types of the core; see _core.pyx for what each does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

KEY: int
SIGNATURE: int
DROP_SLASH: int
KEEP_SLASH: int
REQUIRED: int
STRICT: int
NO_NULL: int
UTF8: int
ALL_FEATURES: tuple[str, ...]
CPU: tuple[str, ...]
HAS_VECTORS: bool

def encode_component(data: bytes, /) -> bytes: ...
def encode_path(data: bytes, /) -> bytes: ...
def canonical(mapping: Mapping[str, Any], parameter: str) -> tuple[bytes, list[bytes | int], list[bytes | int]]: ...
def encoded_pairs(pairs: Iterable[tuple[str, Any]], parameter: str) -> bytes: ...
def engines_for(features: Iterable[str]) -> tuple[Engine, ...]: ...
def built() -> tuple[str, str]: ...
def signatures(engine: Engine, key: SignKey, http_strings: list[bytes]) -> list[bytes]: ...
def hmac_sha1(key: bytes, message: bytes, /) -> bytes: ...
def sign_one(template: Template, key: str) -> str: ...
def sign_many(
    template: Template,
    keys: Iterable[str | None],
    columns: tuple[Sequence[Any], ...],
    names: tuple[str, ...],
    errors: list[tuple[int, str]] | None,
    threads: int = 1,
    differences: RowDifferences | None = None,
) -> list[Any]: ...

class Column:
    @property
    def index(self) -> int: ...
    def __init__(self, index: int) -> None: ...

class Engine:
    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...

class Secret:
    def __init__(self, text: str) -> None: ...
    def reveal(self) -> str: ...
    def sign_key(self, key_time: str, sign_time: str | None = None) -> SignKey: ...

class SignKey:
    @property
    def key_time(self) -> str: ...
    def sign(self, message: bytes, /) -> str: ...

class Template:
    def __init__(
        self,
        http: list[bytes | int],
        text: list[bytes | int],
        sign_key: SignKey | None,
        rules: int,
        parameter: str,
        engine: Engine,
    ) -> None: ...
    @property
    def sign_key(self) -> SignKey | None: ...
    @property
    def parameter(self) -> str: ...
    @property
    def is_usual(self) -> bool: ...

class RowDifferences:
    @property
    def columns(self) -> int: ...
    def __init__(
        self,
        template: Template,
        make: Callable[[tuple[str | None, ...], tuple[int, ...]], Template],
        names: tuple[str, ...],
        secret: Secret,
        times: tuple[int, int],
    ) -> None: ...

"""Types of the gate; see _gate.pyx for what each does."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from cossign._core import Engine
from cossign.cdn import CdnSigner
from cossign.signer import Signer

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

def judged_path(raw: bytes, unusual: bool = False) -> tuple[bytes, str]: ...
def own_path(scope: Scope) -> str: ...

class Board:
    def __init__(self, memory: Any) -> None: ...
    def add(self, name: bytes, more: int) -> int: ...
    def __iter__(self) -> Iterator[tuple[bytes, int]]: ...

class Route:
    @property
    def cdn(self) -> CdnSigner | None: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def name(self) -> str: ...
    @property
    def signer(self) -> Signer: ...
    @property
    def unusual(self) -> bool: ...
    def __init__(
        self,
        name: str,
        path: bytes,
        prefix: bytes,
        methods: Iterable[str],
        params: Iterable[str],
        signer: Signer,
        expires: int,
        unusual: bool,
        is_public: bool,
        *,
        origin: str = "",
        cdn: CdnSigner | None = None,
    ) -> None: ...

class Rule:
    def __init__(
        self,
        routes: Iterable[str] | None,
        prefixes: Iterable[bytes],
        methods: Iterable[str] | None,
        params: Iterable[str] | None,
        longest: int | None,
        bulk: bool,
        *,
        lists: bool = False,
        headers: Iterable[str] = (),
    ) -> None: ...

class Caller:
    @property
    def name(self) -> str: ...
    def __init__(
        self, name: str, rules: Iterable[Rule], rate: float, burst: int, board: Board, anonymous: bool
    ) -> None: ...

class Request:
    @property
    def caller(self) -> Caller: ...
    @property
    def route(self) -> Route: ...
    @property
    def query(self) -> dict[str, str] | None: ...
    @property
    def seconds(self) -> int: ...
    @property
    def held_seconds(self) -> int: ...
    @property
    def until(self) -> int: ...

class Gate:
    @property
    def lines(self) -> list[str]: ...
    def __init__(
        self,
        *,
        routes: Iterable[Route],
        endpoints: Mapping[str, str],
        headers: Mapping[bytes, str],
        by_token: Mapping[bytes, Caller],
        by_certificate: Mapping[bytes, Caller],
        by_secret_id: Mapping[str, tuple[Caller, Any]],
        anonymous: Caller | None,
        hosts: Iterable[bytes],
        trusts: Callable[[str], bool],
        nginx: bool,
        board: Board,
        log: Callable[[Scope, dict[str, Any]], str] | None,
        lines: list[str],
        engine: Engine,
        help: str | None = None,
    ) -> None: ...
    def answer(self, scope: Scope) -> tuple[Event, Event] | None: ...
    def kind(self, scope: Scope) -> str: ...
    def admit(self, scope: Scope) -> tuple[Request, str]: ...
    def permit(
        self, request: Request, route: str | None, method: str, query: dict[str, str] | None, seconds: int | None
    ) -> tuple[str, tuple[bytes, ...]]: ...
    def permit_request(
        self,
        request: Request,
        *,
        route: str,
        method: str,
        key: bytes,
        query: dict[str, str] | None,
        header_names: Iterable[str],
        lists: bool,
        seconds: int | None,
    ) -> str: ...
    def count(self, request: Request, scope: Scope, code: str, elapsed_ns: int, signature_count: int) -> None: ...
    def refusal(self, request: Request, code: str, more: str = "") -> tuple[Event, Event]: ...

class KeyFilter:
    def __init__(self, prefixes: tuple[bytes, ...], unusual: bool) -> None: ...
    def filter_lines(self, lines: bytes, most: int) -> tuple[bytes, dict[int, str], int]: ...

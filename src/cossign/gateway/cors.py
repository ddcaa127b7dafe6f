"""CORS: headers that allow pages of other origins to read answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from cossign.gateway._gate import Event, Scope, own_path
from cossign.gateway.config import Route
from cossign.gateway.reasons import CODES, REFUSALS

_MAX_AGE = b"600"  # seconds that browsers remember a preflight's answer
_EXPOSED = b"X-Cossign-Reason, Retry-After"
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~ ,-]{1,1024}")
_NO_BODY: Event = {"type": "http.response.body", "body": b""}

Answer = Callable[[Scope], tuple[Event, Event] | None]


class Cors:
    """Answers preflights, and adds what browsers ask for to a Gate's answers.

    Args:
        answer: the Gate's answer to a request.
        routes: the configuration's routes.
        doors: the paths that SDKs ask by POST, from the pages of every route.
    """

    def __init__(self, answer: Answer, routes: Iterable[Route], doors: Iterable[str] = ()) -> None:
        self._answer = answer
        routes = tuple(routes)
        self._doors = frozenset(doors)
        self._origins = {route.name: frozenset(origin.encode() for origin in route.cors) for route in routes}
        self._door_origins = frozenset().union(*self._origins.values())
        self._routes = sorted(
            ((route.path, self._origins[route.name], route.methods) for route in routes),
            key=lambda route: len(route[0]),
            reverse=True,
        )

    def answer(self, scope: Scope) -> tuple[Event, Event] | None:
        """As the Gate's, for pages of other origins, too."""
        origins, methods = self._rule(own_path(scope))
        if not origins:
            return self._answer(scope)
        headers = _page_headers(scope)
        allowed_origin = _allowed_origin(headers.get(b"origin"), origins)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            return _preflight(headers, allowed_origin, methods)
        events = self._answer(scope)
        if events is not None:
            events[0]["headers"] += _cors_headers(allowed_origin, origins)
        return events

    def headers(self, scope: Scope, names: Iterable[str]) -> list[tuple[bytes, bytes]]:
        """What the answer of a door needs, so that a page may read it.

        Args:
            scope: the request.
            names: the routes that the answer is good for: each must have the page's origin. A refusal has none.
        """
        origin = _page_headers(scope).get(b"origin")
        every = [self._origins[name] for name in names] or [self._door_origins]
        allowed_origins = [_allowed_origin(origin, origins) for origins in every]
        if None in allowed_origins:
            return [(b"vary", b"Origin")]
        return _cors_headers(origin if origin in allowed_origins else allowed_origins[0], every[0])

    def _rule(self, path: str) -> tuple[frozenset[bytes], Iterable[str]]:
        """The origins and the methods that are allowed for a path."""
        if path in self._doors:
            return self._door_origins, ("POST",)
        return next(
            ((origins, methods) for start, origins, methods in self._routes if path.startswith(start)),
            (frozenset(), ()),
        )


def _page_headers(scope: Scope) -> dict[bytes, bytes]:
    return {name: value for name, value in scope["headers"] if name.startswith((b"origin", b"access-control-"))}


def _allowed_origin(origin: bytes | None, origins: frozenset[bytes]) -> bytes | None:
    """What Access-Control-Allow-Origin says; None if the page may not see the answer."""
    if origin is None:
        return None
    return b"*" if b"*" in origins else origin if origin in origins else None


def _cors_headers(allowed_origin: bytes | None, origins: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    headers = [] if b"*" in origins else [(b"vary", b"Origin")]
    if allowed_origin is not None:
        headers += [(b"access-control-allow-origin", allowed_origin), (b"access-control-expose-headers", _EXPOSED)]
    return headers


def _preflight(
    headers: dict[bytes, bytes], allowed_origin: bytes | None, methods: Iterable[str]
) -> tuple[Event, Event]:
    """What a browser asks before it sends the request itself: no caller is known yet, and nothing is signed."""
    vary = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
    names = headers.get(b"access-control-request-headers", b"")
    if allowed_origin is None or (names and not _HEADER_NAMES.fullmatch(names)):
        body, fixed_headers = REFUSALS[CODES["origin"]]
        start = {"type": "http.response.start", "status": 403, "headers": [*fixed_headers, vary]}
        return start, {"type": "http.response.body", "body": body}
    answer = [
        (b"access-control-allow-origin", allowed_origin),
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-max-age", _MAX_AGE),
        vary,
    ]
    if names:
        answer.append((b"access-control-allow-headers", names))
    return {"type": "http.response.start", "status": 204, "headers": answer}, _NO_BODY

"""CORS: what lets pages of other origins fetch through the gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from cossign.gateway._gate import Event, Scope, own_path
from cossign.gateway.config import Route

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
    """

    def __init__(self, answer: Answer, routes: Iterable[Route]) -> None:
        self._answer = answer
        self._routes = sorted(
            ((route.path, frozenset(origin.encode() for origin in route.cors), route.methods) for route in routes),
            key=lambda route: len(route[0]),
            reverse=True,
        )

    def answer(self, scope: Scope) -> tuple[Event, Event] | None:
        """As the Gate's, for pages of other origins, too."""
        path = own_path(scope)
        origins, methods = next(
            ((origins, methods) for start, origins, methods in self._routes if path.startswith(start)), (None, ())
        )
        if not origins:
            return self._answer(scope)
        headers = {name: value for name, value in scope["headers"] if name.startswith((b"origin", b"access-control-"))}
        allowed_origin = _allowed_origin(headers.get(b"origin"), origins)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            return _preflight(headers, allowed_origin, methods)
        events = self._answer(scope)
        if events is not None:
            events[0]["headers"] += _cors_headers(allowed_origin, origins)
        return events


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
        body = (
            json.dumps({"error": "origin", "message": "the route does not take requests of this page"}).encode() + b"\n"
        )
        refusal = [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), vary,
            (b"cache-control", b"no-store"), (b"x-cossign-reason", b"origin"),
        ]  # fmt: skip
        return {"type": "http.response.start", "status": 403, "headers": refusal}, {
            "type": "http.response.body",
            "body": body,
        }
    answer = [
        (b"access-control-allow-origin", allowed_origin),
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-max-age", _MAX_AGE),
        vary,
    ]
    if names:
        answer.append((b"access-control-allow-headers", names))
    return {"type": "http.response.start", "status": 204, "headers": answer}, _NO_BODY

"""Sub-requests for a CDN's links: a proxy may accept them as the CDN does."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote

from cossign.cdn import CdnSigner
from cossign.errors import MalformedSignature, SignatureExpired, SignatureMismatch
from cossign.gateway._gate import Board, Caller, Event, Gate, Rule, Scope, own_path
from cossign.gateway.access_log import peer_of
from cossign.gateway.config import Route

_METHODS = ("GET", "HEAD")


class CdnLinks:
    """Judges sub-requests whose URL is a link of a route's CDN.

    A valid link makes the request one of a caller that only these links have. It may read all keys of the route. The
    Gate judges everything else: the proxy, the key's spelling, the route's methods and parameters.

    Args:
        routes: the configuration's routes, each with what checks its links.
        target_header: the header in which the proxy tells the request's path and query.
        paths: where sub-requests ask.
        trusts: whether an address, or "" for a Unix socket, is a trusted proxy's: only those may ask.
        board: where requests are counted.
    """

    def __init__(
        self,
        routes: Iterable[tuple[Route, CdnSigner | None]],
        target_header: bytes,
        paths: Iterable[str],
        trusts: Callable[[str], bool],
        board: Board,
    ) -> None:
        self._trusts = trusts
        self._target_header = target_header
        self._paths = frozenset(paths)
        self._routes: list[tuple[Route, CdnSigner, bytes]] = []
        self.by_token: dict[bytes, Caller] = {}
        for route, signer in routes:
            if signer is None or route.cdn is None or not route.cdn.authorize:
                continue
            token = secrets.token_urlsafe(32)
            rule = Rule([route.name], [route.prefix.encode()], _METHODS, None, None, False)
            caller = Caller(f"cdn:{route.name}", [rule], 0, 1, board, False)
            self.by_token[hashlib.sha256(token.encode()).digest()] = caller
            self._routes.append((route, signer, f"Bearer {token}".encode()))

    def answering(self, gate: Gate) -> Callable[[Scope], tuple[Event, Event] | None]:
        """A Gate's `answer`, for links, too. The Gate must know the callers of `by_token`."""

        def answer(scope: Scope) -> tuple[Event, Event] | None:
            if own_path(scope) not in self._paths or not self._trusts(peer_of(scope)):
                return gate.answer(scope)
            targets = [value for name, value in scope["headers"] if name == self._target_header]
            # The Gate says what is wrong with others. A link has no fragment; what is after one would not be judged.
            if len(targets) != 1 or not targets[0].startswith(b"/") or b"#" in targets[0]:
                return gate.answer(scope)
            start_time = time.monotonic_ns()
            target, authorization, code = self._judge(targets[0].decode("latin-1"))
            has_credentials = any(name == b"authorization" for name, _ in scope["headers"])
            if code is None or (code != "ok" and has_credentials):
                return gate.answer(scope)
            if code == "ok":
                dropped = (self._target_header, b"authorization")
                headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
                headers += [(self._target_header, target), (b"authorization", authorization)]
                return gate.answer({**scope, "headers": headers})
            request, _ = gate.admit(scope)
            events = gate.refusal(request, code)
            gate.count(request, scope, code, time.monotonic_ns() - start_time, -1)
            return events

        return answer

    def _judge(self, url: str) -> tuple[bytes, bytes, str | None]:
        """Whether a URL is a link.

        Returns:
            (path and query on the gateway, the Authorization of the links' caller, code): the code is "ok", why the
            link is refused, or None if the URL is not a link.
        """
        code = None
        for route, signer, authorization in self._routes:
            try:
                path = signer.verify(url).path.encode("utf-8", "surrogateescape")
            except MalformedSignature:  # not a link
                continue
            except SignatureMismatch:
                code = code or "bad_signature"
                continue
            except SignatureExpired:
                code = "expired"
                continue
            prefix = route.prefix.encode()
            if not path[1:].startswith(prefix):
                code = "prefix"
                continue
            own_path_text = quote(route.path.encode() + path[1 + len(prefix) :])
            query = "&".join(_other_parts(url.partition("?")[2], signer))
            return (f"{own_path_text}?{query}" if query else own_path_text).encode("latin-1"), authorization, "ok"
        return b"", b"", code


def _other_parts(query: str, signer: CdnSigner) -> Iterator[str]:
    """A link's parameters without those that are the CDN's."""
    names: Mapping[str, tuple[str, ...]] = {"A": (signer.sign_name,), "D": (signer.sign_name, signer.time_name)}
    for part in query.split("&"):
        if part and part.partition("=")[0] not in names.get(signer.kind, ()):
            yield part

"""The gateway as an ASGI application."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cossign.credentials import CredentialsProvider
from cossign.gateway import bulk, sdk
from cossign.gateway._gate import Board, Event, Receive, Scope, Send
from cossign.gateway.access_log import AccessLog
from cossign.gateway.config import Config, load, parse_config
from cossign.gateway.policy import Policy
from cossign.gateway.reasons import json_answer

__all__ = ["Gateway"]

BOARD_SIZE = 1 << 21  # bytes: 16,384 counters
_RENEWAL_INTERVAL = 0.5  # seconds between two questions for credentials
_UPKEEP_INTERVAL = 0.1  # seconds between two looks at what else is due


class Gateway:
    """An ASGI application that signs, redirects, authorizes and presigns in bulk, by a policy.

    Args:
        config: the path of a TOML file, a mapping with the same content, or a Config.
        credentials: Credentials or a provider, instead of those in the configuration.
        memory: a writable buffer that worker processes share, for their counters and rate limits; None for one process.

    Raises:
        ConfigError: the configuration cannot be used; the message has a line for each problem.

    >>> from cossign import Credentials
    >>> Gateway(
    ...     {"route": [{"name": "all", "bucket": "b-1250000000", "region": "ap-beijing"}]},
    ...     credentials=Credentials("AKIDEXAMPLE", "example-key"),
    ... )
    Gateway(routes=['all'], callers=[])
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any] | Config,
        *,
        credentials: CredentialsProvider | None = None,
        memory: Any = None,
    ) -> None:
        self._path = config if isinstance(config, (str, os.PathLike)) else None
        self._credentials = credentials
        self._board = Board(bytearray(BOARD_SIZE) if memory is None else memory)
        self._policy = Policy(_read(config), self._board, credentials)
        self._bulk = bulk.Bulk()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._answer: Callable[[Scope], tuple[Event, Event] | None] = _not_yet
        self._log = AccessLog(self._policy.config.access_log, lambda count: self._board.add(b"unlogged", count))
        self.watch: Callable[[], Awaitable[None]] | None = None  # is called ten times a second

    def __repr__(self) -> str:
        config = self._policy.config
        routes, callers = [route.name for route in config.route], [caller.name for caller in config.caller]
        return f"Gateway({routes=}, {callers=})"

    async def reload(self, config: str | os.PathLike[str] | Mapping[str, Any] | Config | None = None) -> None:
        """Use another configuration from the next request on. Running requests end with the old one.

        Args:
            config: as in the constructor. None: read the same file again.

        Raises:
            ConfigError: it cannot be used; the old one stays.
        """
        config = self._path if config is None else config
        if config is None:
            raise TypeError("reload() needs a config: the gateway was not made from a file")
        policy = Policy(_read(config), self._board, self._credentials, self._policy)
        await asyncio.gather(*(holder.renew() for holder in policy.holders if holder.now is None))
        self._log.take(self._policy.gate.lines, last=True)
        self._log.open(policy.config.access_log)  # the file may have been renamed
        self._policy = policy
        if self._answer is not _not_yet:
            self._answer = policy.answer
        self._board.add(b"reloads", 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "http":
            answer = self._answer(scope)
            if answer is not None:
                await send(answer[0])
                await send(answer[1])
            else:
                await self._endpoint(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    # --- Its life

    async def start(self) -> None:
        """Get credentials, and keep them fresh. Otherwise the first request does this."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = (loop.create_task(self._renew_credentials()), loop.create_task(self._run_upkeep()))
            for task in self._tasks:
                task.add_done_callback(self._handle_task_end)
        for _ in range(50):  # at most five seconds: /readyz says when there are some
            if all(holder.now is not None or holder.problem for holder in self._policy.holders):
                break
            await asyncio.sleep(0.1)
        self._answer = self._policy.answer
        self._board.add(b"started", 1)

    def _handle_task_end(self, task: asyncio.Task[None]) -> None:
        """A task has ended, as an event loop's do, or has failed: the next request begins both again."""
        if task in self._tasks:
            for each in self._tasks:
                each.cancel()
            self._tasks = ()
            self._answer = _not_yet

    def problems(self) -> list[str]:
        """The routes without credentials, and the reasons. They answer 503. Empty before `start`."""
        return [
            f"there are no credentials for {routes}: {holder.problem}"
            for routes, holder in self._policy.sources()
            if holder.now is None and holder.problem
        ]

    async def stop(self) -> None:
        """Write the rest of the log, and stop what `start` began."""
        self._bulk.stop()
        tasks, self._tasks, self._answer = self._tasks, (), _not_yet
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._log.take(self._policy.gate.lines, last=True)
        await self._log.stop()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _renew_credentials(self) -> None:
        while True:
            await asyncio.gather(*(holder.renew() for holder in self._policy.holders))
            await asyncio.sleep(_RENEWAL_INTERVAL)

    async def _run_upkeep(self) -> None:
        while True:
            await asyncio.sleep(_UPKEEP_INTERVAL)
            if self.watch is not None:
                await self.watch()
            self._log.take(self._policy.gate.lines)

    # --- Endpoints that need more than an answer

    async def _endpoint(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answer is _not_yet:
            await self.start()
            await self(scope, receive, send)
            return
        kind = self._policy.gate.kind(scope)
        if kind == "presign":
            await self._bulk.answer(self._policy, scope, receive, send)
            return
        if kind.startswith("sdk_"):
            await sdk.answer(self._policy, kind, scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, {"error": "method"}, ((b"allow", b"GET, HEAD"),))
        elif kind == "healthz":
            await _answer(send, 200, {"status": "ok"})
        elif kind == "readyz":
            ready = all(holder.usable(time.time()) for holder in self._policy.holders)
            await _answer(send, 200 if ready else 503, {"status": "ready" if ready else "no credentials"})
        elif self._policy.shows_metrics((scope.get("client") or ("",))[0] or ""):
            body, content_type = await asyncio.to_thread(self._metrics)
            await _send(send, 200, body, ((b"content-type", content_type),))
        else:
            await _answer(send, 403, {"error": "untrusted"})

    def _metrics(self) -> tuple[bytes, bytes]:
        from cossign.gateway import metrics

        return metrics.render(self._board, self._policy), metrics.CONTENT_TYPE


def _not_yet(scope: Scope) -> None:
    """In the place of a Gate's answer before there are credentials to answer with."""


async def _send(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    headers = (*headers, (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def _answer(
    send: Send, status: int, content: Mapping[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    body, fixed_headers = json_answer(content)
    await send({"type": "http.response.start", "status": status, "headers": [*fixed_headers, *headers]})
    await send({"type": "http.response.body", "body": body})


def _read(config: Any) -> Config:
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return parse_config(config)
    return load(config)

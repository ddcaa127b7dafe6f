"""The access log: its lines, and the thread that writes them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)

_log = logging.getLogger("cossign.gateway")
_PATIENCE = 1  # seconds that a stop waits for the last lines
_MOST_WAITING = 8  # batches that wait: one, and those that reloads and stops add
_MOST_PROXIES = 16  # that are looked at in X-Forwarded-For
_PIPE_BUF = 4096  # bytes
_PIECE = 1 << 20  # bytes


class _Opening(NamedTuple):
    """The next lines go there."""

    path: str | None


class AccessLog:
    """Writes lines in a thread of its own: nothing else waits for a full pipe or a slow disk.

    Args:
        path: the file, which is opened to append; "-" is stdout, and None nowhere.
        count_lost: is called with the number of lines that were not written.
    """

    def __init__(self, path: str | None, count_lost: Callable[[int], object]) -> None:
        self._path = path
        self._count_lost = count_lost
        self._queue: SimpleQueue[list[str] | _Opening | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self, path: str | None) -> None:
        """Write the next lines to a file, which is opened again if it is the same one."""
        self._path = path
        if self._thread is not None:
            self._queue.put(_Opening(path))

    def take(self, lines: list[str], *, last: bool = False) -> None:
        """Take lines out of a list, to be written.

        While an earlier batch waits, they stay in the list, unless it is the last time.
        """
        if not lines or not (last or self._queue.empty()):
            return
        batch = lines[:]
        del lines[: len(batch)]
        if self._queue.qsize() >= _MOST_WAITING:
            self._count_lost(len(batch))
            return
        if self._thread is None or not self._thread.is_alive():
            self._queue = SimpleQueue()
            arguments = (self._queue, self._path, self._count_lost)
            self._thread = threading.Thread(target=_write, args=arguments, name="access log", daemon=True)
            self._thread.start()
        self._queue.put(batch)

    async def stop(self) -> None:
        """End the thread when all is written; after a second, leave it alone, and count what waits as lost."""
        thread, queue = self._thread, self._queue
        self._thread, self._queue = None, SimpleQueue()
        if thread is None:
            return
        queue.put(None)
        await asyncio.to_thread(thread.join, _PATIENCE)
        while thread.is_alive() and not queue.empty():
            with contextlib.suppress(Empty):
                self._count_lost(len(queue.get_nowait() or ()))


def _write(
    queue: SimpleQueue[list[str] | _Opening | None], path: str | None, count_lost: Callable[[int], object]
) -> None:
    """Write what comes, until None does."""
    file: int | None = None
    is_pipe = False
    is_cut = False  # whether the last line has no end, as the disk was full
    has_complained = False
    while True:
        item = queue.get()
        if isinstance(item, list):
            unwritten = len(item)
            try:
                if file is None and path is not None:
                    file = 1 if path == "-" else os.open(path, _FLAGS, 0o640)
                    is_pipe = stat.S_ISFIFO(os.fstat(file).st_mode)
                if file is None:
                    continue
                for data, count in _pieces(item, is_pipe):
                    rest = b"\n" + data if is_cut else data
                    while rest:
                        size = os.write(file, rest)
                        is_cut = not rest[:size].endswith(b"\n")
                        rest = rest[size:]
                    unwritten -= count
            except OSError as error:
                if not has_complained:
                    has_complained = True
                    _log.warning("the access log %s misses lines: %s", path, error.strerror)
                with contextlib.suppress(Exception):  # the counters may have no room
                    count_lost(unwritten)
            continue
        if file is not None and file != 1:
            with contextlib.suppress(OSError):
                os.close(file)
        if item is None:
            return
        file, path, is_cut, has_complained = None, item.path, False, False


def _pieces(lines: list[str], is_pipe: bool) -> Iterator[tuple[bytes, int]]:
    """Whole lines that are written at once, and how many; a pipe keeps at most PIPE_BUF bytes of a worker together."""
    most = _PIPE_BUF if is_pipe else _PIECE
    piece: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode()
        if piece and size + len(data) > most:
            yield b"".join(piece), len(piece)
            piece, size = [], 0
        piece.append(data)
        size += len(data)
    if piece:
        yield b"".join(piece), len(piece)


def make_line_writer(trusts: Callable[[str], bool]) -> Callable[[Mapping[str, Any], dict[str, Any]], str]:
    """A function: a line of the log, by a request's scope and what is known of it.

    The line is JSON in UTF-8. What a terminal would obey, such as a control character, is escaped.

    >>> write = make_line_writer(lambda address: address == "10.0.0.1")
    >>> scope = {"client": ("10.0.0.1", 80), "headers": [(b"x-forwarded-for", b"192.0.2.1, 198.51.100.7")]}
    >>> write(scope, {"client": None, "key": "\\u4f60.jpg"})
    '{"client": "198.51.100.7", "key": "\\u4f60.jpg"}\\n'
    """

    def write(scope: Mapping[str, Any], fields: dict[str, Any]) -> str:
        fields["client"] = client_of(scope, trusts)
        text = json.dumps(fields, ensure_ascii=False)
        if not text.isprintable():
            text = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
        return text + "\n"

    return write


def peer_of(scope: Mapping[str, Any]) -> str:
    """The address that connects; "" for a Unix socket."""
    client = scope.get("client")
    return "" if client is None else str(client[0] or "")


def client_of(scope: Mapping[str, Any], trusts: Callable[[str], bool]) -> str:
    """The address that a request comes from; "" for a Unix socket.

    A trusted proxy tells it in X-Forwarded-For, whose last address is the proxy's own client. If that is a trusted one,
    too, the address before it counts, and so on. What a caller writes there is never believed.

    Args:
        scope: ASGI's.
        trusts: whether an address is a trusted proxy's.
    """
    address = peer_of(scope)
    if not trusts(address):
        return address
    chain = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    for each in reversed(chain.rsplit(",", _MOST_PROXIES)[-_MOST_PROXIES:]):
        host = each.strip()
        if host.startswith("["):
            host = host[1:].partition("]")[0]
        elif host.count(":") == 1:
            host = host.partition(":")[0]
        try:
            address = str(ipaddress.ip_address(host.partition("%")[0]))
        except ValueError:
            break
        if not trusts(address):
            break
    return address

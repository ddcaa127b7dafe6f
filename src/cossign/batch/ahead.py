"""Threads of a pipeline: one that reads ahead, one that writes behind; both bounded, so that memory stays the same."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """The same items, made by a thread that is at most `depth` of them ahead; what it raises is raised here."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def make() -> None:
        end: BaseException = StopIteration()
        try:
            for item in items:
                ready.put((item, None))
                if stop.is_set():
                    break
        except BaseException as error:
            end = error
        with contextlib.suppress(Exception):
            items.close()  # type: ignore[attr-defined]
        ready.put((None, end))

    # A daemon: one that waits for a terminal's next line must not keep an interrupted process alive.
    maker = threading.Thread(target=make, name="cossign-ahead", daemon=True)
    maker.start()
    try:
        while True:
            item, end = ready.get()
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        for _ in range(30):  # 0.3 seconds, which are enough for whoever does not wait for input
            with contextlib.suppress(queue.Empty):
                while True:
                    ready.get_nowait()
            maker.join(0.01)
            if not maker.is_alive():
                break


class Behind:
    """Calls made in order by a thread, at most `depth` of them behind; what one raises, a later call here raises."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._executor = ThreadPoolExecutor(1, "cossign-behind")
        self._pending: deque[Future[Any]] = deque()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        while len(self._pending) >= self._depth:
            self._pending.popleft().result()
        self._pending.append(self._executor.submit(function, *arguments))

    def wait(self) -> None:
        """Until all calls are done."""
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        """Until the call that was begun is done; the others are not made."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()

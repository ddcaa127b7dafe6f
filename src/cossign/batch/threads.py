"""Threads of a pipeline: one reads ahead, one writes. Both are bounded, so memory stays constant."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

from cossign import waits

T = TypeVar("T")

# Between the threads stand SimpleQueues, which are C: an interrupt of the main thread leaves no lock of theirs held, as
# it may one of queue.Queue's or of an executor's, which are Python.


def read_ahead(items: Iterator[T], depth: int, patience: float | None = None) -> Generator[T, None, None]:
    """The same items, made by a thread that is at most `depth` of them ahead; what it raises is raised here.

    Args:
        items: the items.
        depth: how many of them it may be ahead.
        patience: how many seconds an end waits for the thread, which may wait for input that never comes; None until it
            has ended. A thread that is in C++ when Python ends would end the process by a signal.
    """
    results: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
    room: SimpleQueue[bool] = SimpleQueue()  # True for each item that may be made, False to end
    for _ in range(depth):
        room.put(True)

    def make() -> None:
        end: BaseException = StopIteration()
        try:
            for item in items:
                if not room.get():
                    break
                results.put((item, None))
        except BaseException as error:
            end = error
        with contextlib.suppress(Exception):
            items.close()  # type: ignore[attr-defined]
        results.put((None, end))

    # A daemon: one that waits for a terminal's next line must not keep an interrupted process alive.
    maker = threading.Thread(target=make, name="cossign-ahead", daemon=True)
    maker.start()
    try:
        while True:
            item, end = waits.get(results)
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            room.put(True)
            yield item  # type: ignore[misc]
    finally:
        while True:  # the room that is left
            try:
                room.get_nowait()
            except Empty:
                break
        room.put(False)
        waits.join(maker, patience)


class BackgroundThread:
    """Calls made in order by a thread, at most `depth` of them behind; what one raises, a later call here raises."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[object, ...]] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[BaseException | None] = SimpleQueue()
        self._pending = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._make, name="cossign-behind", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        while (call := self._calls.get()) is not None:
            outcome: BaseException | None = None
            if not self._is_closed:
                try:
                    call[0](*call[1])
                except BaseException as error:
                    outcome = error
            self._outcomes.put(outcome)

    def _settle(self) -> None:
        """Wait for the oldest call."""
        outcome = waits.get(self._outcomes)
        self._pending -= 1
        if outcome is not None:
            raise outcome

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        while self._pending >= self._depth:
            self._settle()
        self._pending += 1
        self._calls.put((function, arguments))

    def wait(self) -> None:
        """Until all calls are done."""
        while self._pending:
            self._settle()

    def close(self) -> None:
        """Until the call that was begun is done; the others are not made."""
        self._is_closed = True
        self._calls.put(None)
        waits.join(self._thread)

"""Waits for other threads that Ctrl-C can end.

On Windows a signal does not end a wait for a lock: Python handles it when the wait is over.
"""

from __future__ import annotations

import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")

# After so many seconds a wait begins anew, and between the two Python handles signals. None: signals end waits here.
SECONDS: float | None = 0.2 if sys.platform == "win32" else None


def at_once(limit: float | None = None) -> float | None:
    """For how many seconds to wait before waiting anew: at most `limit`; None for as long as it takes."""
    return min((each for each in (limit, SECONDS) if each is not None), default=None)


def get(queue: SimpleQueue[T]) -> T:
    """The next item of a queue."""
    while True:
        try:
            return queue.get(timeout=at_once())
        except Empty:
            pass


def join(thread: threading.Thread, patience: float | None = None) -> None:
    """Wait for the end of a thread; at most `patience` seconds, if that is not None."""
    end = None if patience is None else time.monotonic() + patience
    while thread.is_alive():
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return
        thread.join(at_once(left))

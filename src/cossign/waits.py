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


def get(queue: SimpleQueue[T]) -> T:
    """The next item of a queue."""
    while True:
        try:
            return queue.get(timeout=SECONDS)
        except Empty:
            pass


def join(thread: threading.Thread, patience: float | None = None) -> None:
    """Wait for the end of a thread; at most `patience` seconds, if that is not None."""
    end = None if patience is None else time.monotonic() + patience
    while thread.is_alive():
        seconds = [SECONDS] if SECONDS is not None else []
        if end is not None:
            seconds.append(end - time.monotonic())
        if seconds and min(seconds) <= 0:
            return
        thread.join(min(seconds, default=None))

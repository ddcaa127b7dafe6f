"""Waiting for events: a test polls for what it waits for, and no test measures how long that takes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

# Seconds after which whatever a test waits for is given up. So long that only a hang reaches it, however busy the machine is.
PATIENCE = 300


def until(find: Callable[[], T | None], what: object = "what the test waits for") -> T:
    """Call `find` until its result is true, and return that.

    Raises:
        AssertionError: the result is still false after PATIENCE seconds.
    """
    end = time.monotonic() + PATIENCE
    while not (found := find()):
        assert time.monotonic() < end, f"{PATIENCE} s have passed without {what}"
        time.sleep(0.005)
    return found


async def eventually(find: Callable[[], Awaitable[T]], what: object = "what the test waits for") -> T:
    """As `until`, of a coroutine function, while the event loop goes on."""
    end = time.monotonic() + PATIENCE
    while not (found := await find()):
        assert time.monotonic() < end, f"{PATIENCE} s have passed without {what}"
        await asyncio.sleep(0.005)
    return found


def listening(port: int, process: subprocess.Popen[Any]) -> None:
    """Wait until a server that was started accepts connections on a port of this machine."""

    def connected() -> bool:
        assert process.poll() is None, f"the server has ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except OSError:
            return False
        return True

    until(connected, f"a server on port {port}")

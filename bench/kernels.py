"""The engines' SHA-1 alone, out of the built extension: what bounds signing."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from cossign import _core

BLOCKS = 16  # of one message: the messages stay in the second cache
ROWS = 128


class _Engine(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p), ("lanes", ctypes.c_size_t), ("sign", ctypes.c_void_p), ("rest", ctypes.c_void_p),
        ("few", ctypes.c_size_t), ("lay", ctypes.c_void_p),
    )  # fmt: skip


class _Row(ctypes.Structure):
    _fields_ = (("http", ctypes.c_void_p), ("size", ctypes.c_size_t), ("hole", ctypes.c_void_p))


def hashing(name: str) -> tuple[Callable[[], None], int]:
    """A call that hashes ROWS messages that have nothing in common, and how many blocks those are."""
    library = ctypes.CDLL(_core.__file__)
    engines = (_Engine * 8)()
    count = library.sha1_engines(engines)
    engine = next(engine for engine in engines[:count] if engine.name.decode() == name)
    key = ctypes.create_string_buffer(1024)
    library.sha1_prepare(key, b"k" * 40, ctypes.c_size_t(40), b"h" * 27, ctypes.c_size_t(27))
    size = BLOCKS * 64 - 9
    texts = b"".join(
        bytes((row * 31 + at * 7 + at // 64) % 256 for at in range(size)) + b"\x80" + (8 * size).to_bytes(8, "big")
        for row in range(ROWS)
    )
    messages = ctypes.create_string_buffer(texts, len(texts) + 128)
    holes = ctypes.create_string_buffer(40 * ROWS)
    rows = (_Row * ROWS)()
    for row in range(ROWS):
        rows[row] = _Row(ctypes.addressof(messages) + 64 * BLOCKS * row, size, ctypes.addressof(holes) + 40 * row)
    sign = library.sha1_sign
    arguments = (ctypes.byref(engine), key, rows, ctypes.c_size_t(ROWS))

    def call() -> None:
        sign(*arguments)

    call.kept = engines, messages, holes  # type: ignore[attr-defined]
    return call, ROWS * (BLOCKS + 3)

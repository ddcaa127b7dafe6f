"""Lines of text: blocks of whole lines, and their keys as a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

_BLOCK = 1 << 17  # bytes of text read at a time


def whole_lines(data: IO[bytes], size: int | None = None) -> Iterator[bytes]:
    """Blocks of whole lines with their ends, which the last one may lack, and without a byte order mark."""
    pieces: list[bytes] = []  # a line that has not ended
    start = True
    while block := data.read(size or _BLOCK):
        if start:
            block = block.removeprefix(b"\xef\xbb\xbf")
            start = False
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, block[:end]])
            pieces, block = [], block[end:]
        if block:
            pieces.append(block)
    if pieces:
        yield b"".join(pieces)


def line_count(block: bytes) -> int:
    """How many lines a block of whole lines has."""
    return block.count(b"\n") + (not block.endswith(b"\n") and block != b"")


def split_lines(block: bytes, lines: int) -> tuple[bytes, bytes]:
    """A block's first lines, and the others; it has more than that many."""
    if lines == 0:
        return b"", block
    rest = block.split(b"\n", lines)[-1]
    return block[: len(block) - len(rest)], rest

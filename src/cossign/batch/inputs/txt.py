"""Text: blocks of whole lines, in a buffer that is used again; and the check that a text is a list of keys."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO

from cossign.batch._rows import SLACK
from cossign.batch.errors import InputError

_BLOCK = 1 << 17  # bytes of text read at a time
_SAMPLE = 100  # lines by which a list is known
_BINARY_FORMS = {
    b"PAR1": "Parquet: use `input_format=\"parquet\"`", b"ARROW1": "Arrow: use `input_format=\"arrow\"`",
    b"ORC": "ORC: use `input_format=\"orc\"`", b"PK\x03\x04": "a zip archive, or a table of Excel: save it as CSV",
}  # fmt: skip
# What `aws s3 ls` and coscmd's list print.
_LISTING = re.compile(rb"\s*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s+\d+\s+\S|\s{4,}PRE \S")


def whole_lines(data: IO[bytes]) -> Iterator[bytes]:
    """Blocks of whole lines with their ends, which the last one may lack, and without a byte order mark."""
    pieces: list[bytes] = []  # a line that has not ended
    start = True
    while block := data.read(_BLOCK):
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


class TextBuffer:
    """An input's text in memory that is used again, some of it at a time.

    Args:
        data: the input.
        name: its name.
        size: how many bytes are read at a time.

    Attributes:
        block: the memory.
        start: where the text begins that was not taken yet.
        end: where it ends; SLACK bytes follow.
        is_last: whether the input ends there.
    """

    def __init__(self, data: IO[bytes], name: str, size: int) -> None:
        self._data = data
        self._name = name
        self._size = size
        self._is_begun = False
        self._has_readinto = isinstance(data, (io.BufferedIOBase, io.FileIO))
        self.block = bytearray(2 * size + SLACK)
        self.start = self.end = 0
        self.is_last = False

    def fill(self) -> bool:
        """Read more, after the text that was not taken. Returns whether there is any text."""
        if self.is_last:
            return False
        rest = self.end - self.start
        size = max(self._size, rest)  # so that a long row is looked at a few times only
        if rest + size + SLACK > len(self.block):
            self.block.extend(bytes(rest + size + SLACK - len(self.block)))
        self.block[:rest] = self.block[self.start : self.end]
        self.start = 0
        self.end = rest + self._read_into(rest, size)
        self.is_last = self.end == rest
        if not self._is_begun:
            self._is_begun = True
            check_encoding(self.text(), self._name)
            self.start = 3 if self.block.startswith(b"\xef\xbb\xbf") else 0
        return self.end > self.start

    def _read_into(self, place: int, size: int) -> int:
        """Read at most so many bytes into the block."""
        if self._has_readinto:
            with memoryview(self.block) as view, view[place : place + size] as room:
                return self._data.readinto(room)  # type: ignore[attr-defined, no-any-return]
        text = self._data.read(size)
        if place + len(text) + SLACK > len(self.block):
            self.block.extend(bytes(place + len(text) + SLACK - len(self.block)))
        self.block[place : place + len(text)] = text
        return len(text)

    def text(self, size: int | None = None) -> bytes:
        """The next bytes of the text; None for all of them."""
        return bytes(self.block[self.start : self.end if size is None else self.start + size])


def line_count(block: bytes) -> int:
    """How many lines a block of whole lines has."""
    return block.count(b"\n") + (not block.endswith(b"\n") and block != b"")


def split_lines(block: bytes, lines: int) -> tuple[bytes, bytes]:
    """A block's first lines, and the others; it has more than that many."""
    if lines == 0:
        return b"", block
    rest = block.split(b"\n", lines)[-1]
    return block[: len(block) - len(rest)], rest


def check_encoding(block: bytes, name: str) -> None:
    """Refuse text of an encoding that has bytes of zero, by its first bytes."""
    if block.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise InputError(f'{name} is UTF-32: use `encoding="utf-32"`')
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f'{name} is UTF-16: use `encoding="utf-16"`')
    if block[:1000].count(0) * 5 > len(block[:1000]):  # a key may hold one
        raise InputError(f'{name} holds bytes of zero, which UTF-8 text does not: is it `encoding="utf-16-le"`?')


def check_list(block: bytes, name: str, key: str, is_certain: bool) -> None:
    """Refuse a text that is not a list of keys, one a line.

    Args:
        block: its first lines.
        name: the input's name.
        key: the name that a column of keys would have.
        is_certain: whether somebody has said that it is text.

    Raises:
        InputError: it is not, and its first bytes show what it is.
    """
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):  # no text begins so, also where somebody has said that it is one
        check_encoding(block, name)
    lines = block.split(b"\n", _SAMPLE)[:_SAMPLE]
    if lines[0].count(b"\r") > lines[0].endswith(b"\r") and len(lines) == 1 + (lines[-1] == b""):
        count = len(re.split(rb"\r", lines[0].rstrip(b"\r")))
        raise InputError(f"{name} has {count:,} lines that end with CR alone: convert it by tr '\\r' '\\n'")
    full_lines = [line for line in lines if line.strip()]
    if full_lines and sum(bool(_LISTING.match(line)) for line in full_lines) * 2 > len(full_lines):
        raise InputError(
            f"{name} is a listing with dates and sizes, not a list of keys: keep the keys alone, such as by "
            "awk '{$1=$2=$3=\"\"; print substr($0, 4)}'"
        )
    if is_certain:
        return
    for start, what in _BINARY_FORMS.items():
        if block.startswith(start):
            raise InputError(f"{name} is not a list of keys but {what}")
    check_encoding(block, name)
    first = lines[0].strip()
    if first[:1] in (b"{", b"[") and re.match(rb'\{\s*"|\{$|\[\s*[{"\]]|\[$', first):
        raise InputError(f'{name} is not a list of keys but JSON: use `input_format="jsonl"`, or "txt" if it is one')
    for delimiter in (b",", b";", b"\t"):
        fields = [field.strip(b' "').lower() for field in first.split(delimiter)]
        if key.lower().encode() in fields and delimiter in first:
            more = "" if delimiter == b"," else f" and `delimiter={delimiter.decode()!r}`"
            raise InputError(
                f'{name} is not a list of keys but CSV: use `input_format="csv"`{more}, or "txt" if it is one'
            )

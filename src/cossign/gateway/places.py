"""Where the fields of a TOML file stand: tomllib reads values, and forgets their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

Place = tuple[str | int, ...]  # of a field: the steps that lead there

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?")
_FIELD = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=(.*)""")
_NAME = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_TOKEN = re.compile(r""""{3}|'{3}|"(?:[^"\\]|\\.)*"|'[^']*'|#|[\[\]{}]""")  # what may begin or end a value


def find_lines(text: str) -> dict[Place, int]:
    """The line, from 1, of each table and of each field of a TOML file that is right.

    >>> find_lines('[[route]]\\nname = "img"\\n\\n[[route]]\\nname = "up"\\n')[("route", 1, "name")]
    5
    """
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}  # of tables in a list
    table: Place = ()
    for number, line in _statements(text):
        header = _HEADER.fullmatch(line)
        if header:
            table = _table(header[2], counts, is_list=header[1] == "[[")
            for size in range(1, len(table) + 1):
                lines.setdefault(table[:size], number)
            continue
        field = _FIELD.fullmatch(line)
        if field:
            place = table
            for name in _NAME.findall(field[1]):
                place = (*place, name.strip("\"'"))
                lines.setdefault(place, number)
    return lines


def line_of(place: Place, lines: dict[Place, int]) -> int:
    """The line of a field, or else of the nearest table around it; 0 if the file does not have it."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 0)


def _table(text: str, counts: dict[Place, int], *, is_list: bool) -> Place:
    """The place that a header names: of lists on the way, the last table is meant."""
    names = [name.strip("\"'") for name in _NAME.findall(text)]
    place: Place = ()
    for at, name in enumerate(names):
        place = (*place, name)
        if is_list and at == len(names) - 1:
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines with which headers and fields begin, without those within a value."""
    closer = ""  # of a text of several lines
    depth = 0  # of brackets
    for number, whole_line in enumerate(text.split("\n"), 1):
        line = whole_line.removesuffix("\r")
        if closer:
            _, end, line = line.partition(closer)
            if not end:
                continue
        elif depth == 0:
            yield number, line
            if _HEADER.fullmatch(line):
                continue
            line = line.partition("=")[2]
        depth, closer = _scan(line, depth)


def _scan(line: str, depth: int) -> tuple[int, str]:
    """How many brackets are open after a part of a value, and what ends a text that goes on in the next line."""
    place = 0
    while match := _TOKEN.search(line, place):
        piece, place = match[0], match.end()
        if piece == "#":
            break
        if piece in ('"""', "'''"):
            end = line.find(piece, place)
            if end < 0:
                return depth, piece
            place = end + 3
        elif piece in "[{":
            depth += 1
        elif piece in "]}":
            depth = max(0, depth - 1)
    return depth, ""

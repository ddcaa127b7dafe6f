"""A signature's steps side by side: the request's text above the signed one, with what differs marked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cossign.explain.findings import Step
from cossign.explain.steps import LINE_NAMES

_LABELS = {"Signature": ("needed", "given"), "FormatString": ("received", "sent")}  # others: request, signed
_MAX_ALIGNED = 4000  # characters that are compared one by one
_MIN_MATCH = 3  # of those that are the same amid others that differ

Pieces = list[tuple[str, str, bool]]  # of two texts, piece by piece: the request's, the signed one, whether they differ


class Row(NamedTuple):
    """A line of a step, side by side.

    Attributes:
        step: the step's name.
        line: which line of it, or "".
        pieces: the two texts, aligned; one piece that does not differ where both are the same, or only one is known.
        sides: 2 if both are told apart, 1 if there is but the request's, or both are the same.
        labels: what the two are called.
    """

    step: str
    line: str
    pieces: Pieces
    sides: int
    labels: tuple[str, str]


def make_visible(text: str) -> str:
    """With control characters and what looks like nothing as escapes."""
    return "".join(
        char if char.isprintable() or char == " " else char.encode("unicode_escape").decode() for char in text
    )


def align(one: str, other: str) -> Pieces:
    """Two texts in pieces that stand below each other."""
    if len(one) > _MAX_ALIGNED or len(other) > _MAX_ALIGNED or re.fullmatch("[0-9a-f]{40}", one):
        return [(make_visible(one), make_visible(other), one != other)]
    blocks = [
        block
        for block in difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
        if block.size >= _MIN_MATCH or not block.size or block.a + block.size == len(one) or not block.a
    ]
    pieces: Pieces = []
    one_end = other_end = 0
    for block in blocks:
        pieces.append((make_visible(one[one_end : block.a]), make_visible(other[other_end : block.b]), True))
        one_end, other_end = block.a + block.size, block.b + block.size
        common_text = make_visible(one[block.a : one_end])
        pieces.append((common_text, common_text, False))
    return [piece for piece in pieces if piece[0] or piece[1]]


def rows(steps: Sequence[Step]) -> Iterator[Row]:
    """The steps, line by line, each with its difference."""
    for step in steps:
        request_lines = step.request.split("\n")
        signed_lines = request_lines if step.signed is None else step.signed.split("\n")
        if step.name == "Signature":
            needed_signature, given_signature = make_visible(step.request), make_visible(step.signed or "")
            has_two_sides = bool(needed_signature) and needed_signature != given_signature
            pieces = (
                [(needed_signature, given_signature, True)]
                if has_two_sides
                else [(given_signature, given_signature, False)]
            )
            yield Row(step.name, "", pieces, 2 if has_two_sides else 1, _LABELS["Signature"])
            continue
        if len(signed_lines) != len(request_lines):
            request_lines, signed_lines = [step.request], [step.signed or ""]
        for at, (one, other) in enumerate(zip(request_lines, signed_lines, strict=True)):
            name = _line(at, len(request_lines)) if step.name in ("HttpString", "FormatString") else ""
            if name == "" and at and not one and not other:
                continue
            pieces = align(one, other) if one != other else [(make_visible(one), make_visible(one), False)]
            yield Row(step.name, name, pieces, 2 if one != other else 1, _LABELS.get(step.name, ("request", "signed")))


def _line(at: int, count: int) -> str:
    """The name of HttpString's line; a key may have newlines, so the last ones are counted from the end."""
    if count < 5 or at == count - 1:
        return ""
    method, path, params, headers = LINE_NAMES
    return method if at == 0 else params if at == count - 3 else headers if at == count - 2 else path

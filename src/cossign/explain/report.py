"""An explanation as text for a terminal, and as JSON."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

from cossign.explain.catalogue import SURENESS
from cossign.explain.findings import Finding, Findings, format_duration, instant

_LINES = ("method", "path", "HttpParameters", "HttpHeaders")
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2", "marked": "7"}
_MAX_ALIGNED = 4000  # characters that are compared one by one
_VERDICT_COLOURS = {"good": "green", "bad": "red", "unsure": "yellow"}
_LABELS = {"Signature": ("needed", "given"), "FormatString": ("received", "sent")}  # others: request, signed
STEPS_INTRODUCTION = (
    "How the signature is computed: HttpString is the text that is signed of a request, its method, path, signed "
    "parameters and signed headers. COS makes the same text from what it receives, and compares the signatures."
)
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


def rows(explanation: Findings) -> Iterator[Row]:
    """The steps, line by line, each with its difference."""
    for step in explanation.steps:
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
    return _LINES[0] if at == 0 else _LINES[2] if at == count - 3 else _LINES[3] if at == count - 2 else _LINES[1]


def time_left(explanation: Findings) -> str:
    """What is left of the signature's time."""
    if explanation.key_time is None:
        return ""
    start, end = explanation.key_time
    if explanation.now > end:
        return f"ended {format_duration(explanation.now - end)} ago"
    if explanation.now < start:
        return f"begins in {format_duration(start - explanation.now)}"
    return f"{format_duration(end - explanation.now)} left"


def verdict(explanation: Findings) -> str:
    """What is the matter, and how sure that is, in a sentence or two."""
    proven = [each for each in explanation.findings if each.sureness != "possible"]
    titles = " And: ".join(dict.fromkeys(f"{each.cause.title}." for each in proven))
    if explanation.holds:
        return f"The signature is right. {titles}" if titles else _right_words(explanation)
    if titles:
        return titles
    if explanation.findings and explanation.tried and not _is_recomputed(explanation):
        return "The signature does not fit what is given here. No cause is proven; below is what remains possible."
    if explanation.findings:
        return f"Not proven, but likely: {explanation.findings[0].cause.title}."
    return "Nothing is wrong that can be seen without the SecretKey."


def verdict_kind(explanation: Findings) -> str:
    """Whether what is the matter is "good", "bad" or "unsure"."""
    if explanation.holds:
        return "good"
    return "bad" if any(each.sureness != "possible" for each in explanation.findings) else "unsure"


def _is_recomputed(explanation: Findings) -> bool:
    """Whether the signature was recomputed, and is the one that was sent."""
    return any(step.name == "Signature" and step.request and step.request == step.signed for step in explanation.steps)


def _right_words(explanation: Findings) -> str:
    if explanation.findings:  # of an answer that nobody documents
        return "The signature is right. The service refused the request for a reason that is not known."
    return "The signature is right, and holds now."


def text(explanation: Findings, colour: bool = False, width: int = 100) -> str:
    """For a terminal.

    Args:
        explanation: what `explain` has found.
        colour: with ANSI's escapes.
        width: characters in a line, for what would be longer.
    """

    def paint(kind: str, what: str) -> str:
        return f"\033[{_COLOURS[kind]}m{what}\033[0m" if colour and what else what

    lines = [
        f"{explanation.method} {make_visible(explanation.url)}" if len(explanation.url) < 2 * width
        else f"{explanation.method} {make_visible(explanation.url[: 2 * width])}...",
        "",
        paint("bold", paint(_VERDICT_COLOURS[verdict_kind(explanation)], verdict(explanation))),
    ]  # fmt: skip
    proven = [each for each in explanation.findings if each.sureness != "possible"]
    for finding in proven:
        lines += _describe_finding(finding, paint)
    for title, entries in other_lists(explanation):
        lines += ["", f"{title}:"]
        for number, each in enumerate(entries, 1):
            lines.append(f"  {number}. {paint('yellow', each.cause.code)}: {make_visible(each.detail)}")
    if explanation.next_steps:
        lines += ["", "What to do next:", *(f"  - {each}" for each in explanation.next_steps)]
    if explanation.key_time is not None:
        start, end = explanation.key_time
        lines += ["", f"From   {instant(start)}", f"Until  {instant(end)}; {time_left(explanation)}"]
    if explanation.steps:
        lines += ["", paint("dim", STEPS_INTRODUCTION)]
    last_step = ""
    for row in rows(explanation):
        if row.step != last_step:
            lines += ["", paint("bold", row.step)]
            last_step = row.step
        lines += _row(row, paint)
    if explanation.difference is not None:
        difference = explanation.difference
        lines += [
            "",
            f"HttpString differs from byte {difference.offset} on: byte {difference.line_offset} of "
            f"{difference.line}, counted from 0",
        ]
    if explanation.tried:
        count = "1 signature" if explanation.tried == 1 else f"{explanation.tried:,} signatures"
        lines += ["", paint("dim", f"{count} recomputed in {explanation.seconds:.2f} s")]
    return "\n".join(lines) + "\n"


def other_lists(explanation: Findings) -> Iterator[tuple[str, list[Finding]]]:
    """Lists of what is not proven, each with its title."""
    possible = [each for each in explanation.findings if each.sureness == "possible"]
    if possible:
        yield "Possible, the likeliest first", possible
    if explanation.others:
        are_sure = all(each.sureness == "confirmed" for each in explanation.others)
        yield "Gives the same signature" if are_sure else "Also possible", list(explanation.others)


def _describe_finding(finding: Finding, paint: Any) -> list[str]:
    return [
        "",
        f"{paint('red', finding.cause.code)}: {make_visible(finding.detail)}",
        f"  {paint('dim', SURENESS[finding.sureness])}",
        f"  {finding.cause.why}",
        f"  {paint('green', 'Fix:')} {finding.cause.fix}",
    ]


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def _row(row: Row, paint: Any) -> list[str]:
    name = f"{row.line}: " if row.line else ""
    if row.sides == 1:
        return [f"  {name}{''.join(one for one, _, _ in row.pieces)}".rstrip()]
    sides: list[str] = ["", "", ""]
    for one, other, differs in row.pieces:
        size = max(_columns(one), _columns(other))
        for side, piece in enumerate((one, other)):
            sides[side] += (paint("marked", piece) if differs else piece) + " " * (size - _columns(piece))
        sides[2] += ("^" if differs else " ") * size
    head = [f"  {name.rstrip()}"] if name else []
    return [*head, *(f"    {label:<9}{side.rstrip()}" for label, side in zip((*row.labels, ""), sides, strict=True))]


def as_json(explanation: Findings) -> dict[str, Any]:
    """For programs: plain values, masked as the text is."""

    def finding(each: Finding) -> dict[str, str]:
        return {
            "code": each.cause.code,
            "title": each.cause.title,
            "detail": each.detail,
            "sureness": each.sureness,
            "why": each.cause.why,
            "fix": each.cause.fix,
        }

    return {
        "holds": explanation.holds,
        "checked": explanation.checked,
        "method": explanation.method,
        "url": explanation.url,
        "source": explanation.source,
        "key_time": explanation.key_time,
        "now": explanation.now,
        "left": time_left(explanation),
        "findings": [finding(each) for each in explanation.findings],
        "others": [finding(each) for each in explanation.others],
        "next_steps": list(explanation.next_steps),
        "steps": [step._asdict() for step in explanation.steps],
        "difference": None if explanation.difference is None else explanation.difference._asdict(),
        "tried": explanation.tried,
        "seconds": round(explanation.seconds, 4),
    }

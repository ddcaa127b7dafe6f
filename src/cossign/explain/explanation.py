"""An explanation: the findings for one request, as text for a terminal, as JSON, and as a page."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cossign.explain import page
from cossign.explain.alignment import Row, make_visible, rows
from cossign.explain.findings import SURENESS, Difference, Finding, Step, format_duration, instant

Paint = Callable[[str, str], str]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2", "marked": "7"}
_KIND_COLOURS = {"good": "green", "bad": "red", "unsure": "yellow"}
STEPS_INTRODUCTION = (
    "How the signature is computed: HttpString is the text that is signed of a request, its method, path, signed "
    "parameters and signed headers. COS makes the same text from what it receives, and compares the signatures."
)


@dataclass(frozen=True, repr=False)
class Explanation:
    """The result of `explain` for one request. `str()` makes a text for a reader.

    Attributes:
        holds: whether the signature is right and valid now. The service may still refuse the request.
        findings: the causes, the strongest evidence first. All of "confirmed", "evident" and "service" apply together.
            "possible" ones cannot be excluded; the likeliest is first.
        others: causes that would look the same, or that are also possible.
        next_steps: information that would help, and things to try.
        steps: the signature, step by step.
        difference: the first difference of the two HttpStrings; None if they are equal, or if one is unknown.
        url: the request's URL, with its signature and token masked.
        method: the request's method.
        source: the kind of input.
        key_time: (start, end) in Unix seconds, or None.
        now: the time of the check, Unix seconds.
        checked: whether there was a SecretKey for recomputing.
        tried: the number of recomputed signatures.
        seconds: the duration of the search.
    """

    holds: bool
    findings: tuple[Finding, ...]
    others: tuple[Finding, ...]
    next_steps: tuple[str, ...]
    steps: tuple[Step, ...]
    difference: Difference | None
    url: str
    method: str
    source: str
    key_time: tuple[int, int] | None
    now: int
    checked: bool
    tried: int
    seconds: float

    @property
    def codes(self) -> tuple[str, ...]:
        """The findings' codes."""
        return tuple(finding.cause.code for finding in self.findings)

    @property
    def verdict(self) -> str:
        """What is the matter, and how sure that is, in a sentence or two."""
        titles = " And: ".join(dict.fromkeys(f"{each.cause.title}." for each in self._proven()))
        if self.holds and titles:
            return f"The signature is right. {titles}"
        if self.holds and self.findings:  # of an answer that nobody documents
            return "The signature is right. The service refused the request for a reason that is not known."
        if self.holds:
            return "The signature is right, and it is valid now."
        if titles:
            return titles
        if self.findings and self.tried and not self._is_recomputed():
            return "The signature does not fit what is given here. No cause is proven; below is what remains possible."
        if self.findings:
            return f"Not proven, but likely: {self.findings[0].cause.title}."
        return "Nothing is wrong that can be seen without the SecretKey."

    @property
    def time_left(self) -> str:
        """What is left of the signature's time, for a reader; "" if its time is not known."""
        if self.key_time is None:
            return ""
        start, end = self.key_time
        if self.now > end:
            return f"ended {format_duration(self.now - end)} ago"
        if self.now < start:
            return f"begins in {format_duration(start - self.now)}"
        return f"{format_duration(end - self.now)} left"

    def __repr__(self) -> str:
        return f"Explanation(holds={self.holds}, codes={self.codes})"

    def __str__(self) -> str:
        return self.text()

    def text(self, *, colour: bool = False, width: int = 100) -> str:
        """For a terminal.

        Args:
            colour: with ANSI's escapes.
            width: characters in a line, for what would be longer.
        """
        paint = _paint if colour else _leave
        lines = [
            f"{self.method} {make_visible(self.url[: 2 * width])}{'...' if len(self.url) > 2 * width else ''}",
            "",
            paint("bold", paint(_KIND_COLOURS[self._kind()], self.verdict)),
        ]
        for finding in self._proven():
            lines += _finding_lines(finding, paint)
        for title, entries in self._lists():
            lines += ["", f"{title}:"]
            for number, each in enumerate(entries, 1):
                lines.append(f"  {number}. {paint('yellow', each.cause.code)}: {make_visible(each.detail)}")
        if self.next_steps:
            lines += ["", "What to do next:", *(f"  - {each}" for each in self.next_steps)]
        if self.key_time is not None:
            start, end = self.key_time
            lines += ["", f"From   {instant(start)}", f"Until  {instant(end)}; {self.time_left}"]
        lines += _step_lines(self.steps, paint)
        if self.difference is not None:
            lines += ["", _difference_words(self.difference)]
        if self.tried:
            count = "1 signature" if self.tried == 1 else f"{self.tried:,} signatures"
            lines += ["", paint("dim", f"{count} recomputed in {self.seconds:.2f} s")]
        return "\n".join(lines) + "\n"

    def json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`, masked like the text."""
        return {
            "holds": self.holds,
            "verdict": self.verdict,
            "checked": self.checked,
            "method": self.method,
            "url": self.url,
            "source": self.source,
            "key_time": self.key_time,
            "now": self.now,
            "left": self.time_left,
            "findings": [_finding_values(each) for each in self.findings],
            "others": [_finding_values(each) for each in self.others],
            "next_steps": list(self.next_steps),
            "steps": [step._asdict() for step in self.steps],
            "difference": None if self.difference is None else self.difference._asdict(),
            "tried": self.tried,
            "seconds": round(self.seconds, 4),
        }

    def html(self) -> str:
        """A page in one file, for a browser or a ticket."""
        times: tuple[tuple[str, str], ...] = ()
        if self.key_time is not None:
            start, end = self.key_time
            times = (
                ("From", instant(start)),
                ("Until", instant(end)),
                ("Seen", f"{instant(self.now)}: {self.time_left}"),
            )
        return page.document(
            self.verdict,
            self._kind(),
            [
                page.box(f"{self.method} {make_visible(self.url)}"),
                *map(page.finding, self._proven()),
                *(page.findings(title, entries) for title, entries in self._lists()),
                *page.bullets("What to do next", self.next_steps),
                *page.table("When it is valid", times),
                *(page.note(each) for each in [STEPS_INTRODUCTION] if self.steps),
                *page.steps(self.steps),
                *(page.note(f"{_difference_words(each)}.") for each in [self.difference] if each is not None),
                page.note(f"Read from: {self.source}. {self.tried:,} signatures recomputed."),
            ],
        )

    def _proven(self) -> list[Finding]:
        return [each for each in self.findings if each.sureness != "possible"]

    def _kind(self) -> Literal["good", "bad", "unsure"]:
        """How the verdict is painted."""
        return "good" if self.holds else "bad" if self._proven() else "unsure"

    def _is_recomputed(self) -> bool:
        """Whether the signature was recomputed, and is the one that was sent."""
        return any(step.name == "Signature" and step.request and step.request == step.signed for step in self.steps)

    def _lists(self) -> Iterator[tuple[str, list[Finding]]]:
        """Lists of what is not proven, each with its title."""
        possible = [each for each in self.findings if each.sureness == "possible"]
        if possible:
            yield "Possible, the likeliest first", possible
        if self.others:
            are_sure = all(each.sureness == "confirmed" for each in self.others)
            yield "Gives the same signature" if are_sure else "Also possible", list(self.others)


def _difference_words(difference: Difference) -> str:
    return (
        f"HttpString differs from byte {difference.offset} on: byte {difference.line_offset} of {difference.line}, "
        "counted from 0"
    )


def _finding_values(finding: Finding) -> dict[str, str]:
    cause = finding.cause
    return {
        "code": cause.code,
        "title": cause.title,
        "detail": finding.detail,
        "sureness": finding.sureness,
        "why": cause.why,
        "fix": cause.fix,
    }


# --- For a terminal ---------------------------------------------------------------------------------------------------


def _paint(kind: str, text: str) -> str:
    return f"\033[{_COLOURS[kind]}m{text}\033[0m" if text else text


def _leave(kind: str, text: str) -> str:
    return text


def _finding_lines(finding: Finding, paint: Paint) -> list[str]:
    return [
        "",
        f"{paint('red', finding.cause.code)}: {make_visible(finding.detail)}",
        f"  {paint('dim', SURENESS[finding.sureness])}",
        f"  {finding.cause.why}",
        f"  {paint('green', 'Fix:')} " + finding.cause.fix.replace("\n", "\n       "),
    ]


def _step_lines(steps: Sequence[Step], paint: Paint) -> Iterator[str]:
    if steps:
        yield from ("", paint("dim", STEPS_INTRODUCTION))
    last_step = ""
    for row in rows(steps):
        if row.step != last_step:
            yield from ("", paint("bold", row.step))
            last_step = row.step
        yield from _row_lines(row, paint)


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def _row_lines(row: Row, paint: Paint) -> list[str]:
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

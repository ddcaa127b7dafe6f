"""A cause: its texts, and what it would have signed. Each of the other modules declares one group.

A cause is declared once, and needs nothing anywhere else to be searched for, told and printed:

    plus_for_space = PATHS.cause("plus-for-space", title="...", why="...", fix="...")

    @plus_for_space.changes("path")
    def _(path: bytes, clues: Clues) -> Values:
        yield path.replace(b" ", b"+"), "'+' was signed where the request has a space"
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from cossign.explain.steps import SLOTS, Entry, Pairs, Signing

Slot = Literal["key", "times", "method", "path", "params", "headers", "recipe"]
Values = Iterator[tuple[Any, str]]  # what a slot may have held, each with what is the matter then
Styles = Iterator[tuple[str, Callable[[Pairs], Pairs]]]  # how all parameters or headers may have been signed

FIRST, USUAL, LATE, LAST = range(4)  # ranks of rules
MAX_PLACES = 24  # places in a path, or entries, that are looked at one by one


class Clues(NamedTuple):
    """What else is known, beside the request's own text.

    Attributes:
        secret_id: q-ak.
        keys: SecretId to SecretKey, of all credentials at hand.
        tokens: the security tokens at hand.
        hosts: hosts that the request may have been signed for.
        bucket: the bucket's name, or "".
        raw_path: the path as it was sent, not decoded.
        raw_query: the query as it was sent, without the signature's parameters.
        fragment: what follows a ``#``, which is not sent.
        form_path: "/" and the field ``key`` of a form, or b"".
        unlisted_params, unlisted_headers: entries of the request that no list names.
    """

    secret_id: str = ""
    keys: Mapping[str, str] = {}
    tokens: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    bucket: str = ""
    raw_path: bytes = b""
    raw_query: bytes = b""
    fragment: bytes = b""
    form_path: bytes = b""
    unlisted_params: tuple[Entry, ...] = ()
    unlisted_headers: tuple[Entry, ...] = ()


class Change(NamedTuple):
    """Another value of a slot: from what the request amounts to, to what may have been signed instead.

    Attributes:
        slot: which.
        value: what was signed, if this is the cause.
        code: the cause's, in the catalogue.
        detail: what is the matter with this request.
        kind: which function of which cause made it: no two changes of one kind are made at once.
        alternatives: other causes, each (code, detail), that would have put the same there.
        outcome: the value as it is signed: what no signature tells apart.
    """

    slot: str
    value: Any
    code: str
    detail: str
    kind: int
    alternatives: tuple[tuple[str, str], ...] = ()
    outcome: Any = None


class Rule(NamedTuple):
    """What one cause does to one slot.

    Attributes:
        code: the cause's.
        rank: of two causes that would have put the same there, the one of the lower rank is named; of
            one rank, the one that is declared first.
        kind: a number of its own.
        values: from the slot's value and the clues to other values, each with what is the matter then.
    """

    code: str
    rank: int
    kind: int
    values: Callable[[Any, Clues], Values]


class Style(NamedTuple):
    """What one cause does to all parameters and to all headers, where one signer signs both."""

    code: str
    kind: int
    how: str
    restyle: Callable[[Pairs], Pairs]


_RULES: dict[str, list[Rule]] = {slot: [] for slot in SLOTS}
_STYLES: list[Style] = []
_KINDS = itertools.count()


def _add(slot: Slot, rule: Rule) -> None:
    _RULES[slot].append(rule)
    _RULES[slot].sort(key=lambda each: each.rank)


class Cause(NamedTuple):
    """One reason for which COS refuses a request.

    Attributes:
        code: its name, as JSON, the gateway's log and the page's anchors have it.
        title: what is wrong.
        why: how it comes about, and how it is told from others.
        fix: a line or two, of code or of a shell, that mend it.
        group: where the page has it.
    """

    code: str
    title: str
    why: str
    fix: str
    group: str

    def changes(self, slot: Slot, rank: int = USUAL) -> Callable[[Any], Any]:
        """Declare what this cause would have put in a slot: a function from the slot's value and the clues."""

        def declare(values: Callable[[Any, Clues], Values]) -> Any:
            _add(slot, Rule(self.code, rank, next(_KINDS), values))
            return values

        return declare

    def styles(self, styles: Callable[[], Styles]) -> None:
        """Declare how this cause would have written all parameters, or all headers, or both."""
        kind = next(_KINDS)
        own = [Style(self.code, kind, how, restyle) for how, restyle in styles()]
        _STYLES.extend(own)

        def values(pairs: Pairs, clues: Clues) -> Values:
            line = f"Http{pairs.kind.title()}s"
            for style in own:
                yield style.restyle(pairs), f"in {line}, {style.how}"

        _add("params", Rule(self.code, USUAL, kind, values))
        _add("headers", Rule(self.code, USUAL, kind, values))


class Group:
    """Causes that stand together on the page."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.causes: list[Cause] = []

    def cause(self, code: str, *, title: str, why: str, fix: str) -> Cause:
        """Declare a cause."""
        cause = Cause(code, title, why, fix, self.title)
        self.causes.append(cause)
        return cause


def slot_changes(slot: str, value: Any, clues: Clues) -> Iterator[Change]:
    """All that the causes would have put in a slot, the likeliest first."""
    for rule in _RULES[slot]:
        for other, detail in rule.values(value, clues):
            yield Change(slot, other, rule.code, detail, rule.kind)


def changes(signing: Signing, slot: str, clues: Clues) -> list[Change]:
    """The changes of one slot that make a difference, each outcome once."""
    value = getattr(signing, slot)
    own_outcome = value.text() if isinstance(value, Pairs) else value
    by_outcome: dict[Any, Change] = {}
    for change in slot_changes(slot, value, clues):
        outcome = change.value.text() if isinstance(change.value, Pairs) else change.value
        if outcome == own_outcome:
            continue
        old_change = by_outcome.get(outcome)
        if old_change is None:
            by_outcome[outcome] = change._replace(outcome=outcome)
        elif change.code != old_change.code and change.code not in [code for code, _ in old_change.alternatives]:
            by_outcome[outcome] = old_change._replace(
                alternatives=(*old_change.alternatives, (change.code, change.detail))
            )
    return list(by_outcome.values())


def shared_changes(signing: Signing) -> Iterator[tuple[Change, Change]]:
    """Changes of parameters and headers alike, where they make a difference to both."""
    for style in _STYLES:
        change_pair = []
        for slot, pairs in (("params", signing.params), ("headers", signing.headers)):
            restyled_pairs = style.restyle(pairs)
            text = restyled_pairs.text()
            if text != pairs.text():
                detail = f"in HttpParameters and in HttpHeaders, {style.how}"
                change_pair.append(Change(slot, restyled_pairs, style.code, detail, style.kind, outcome=text))
        if len(change_pair) == 2:
            yield change_pair[0], change_pair[1]

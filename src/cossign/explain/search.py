"""The search: which one or two changes make a recomputed signature the one that the request has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from cossign.explain.changes import Change, Clues, changes, of_both
from cossign.explain.steps import DOCUMENTED, SLOTS, Lines, Pairs, Signing, signatures

_LEAST = 16  # hex characters that must agree where a signature was cut: 64 bits
_LONGEST = 8192  # bytes of HttpString, and
_ENTRIES = 8  # parameters or headers, beyond which less is tried, as it takes longer
_AT_ONCE = 8192  # candidates that are computed together
_FIRST = 30  # changes of a slot that another of the same slot is tried behind
_SECOND = frozenset(["parameter-changed", "header-changed", "unicode-form", "not-utf8"])  # only behind others
_PAIRED = 80  # changes of a slot that are tried together with others


class Match(NamedTuple):
    """What was signed, confirmed by its signature: `changes` lead there from the request."""

    changes: tuple[Change, ...]
    signing: Signing


class Found(NamedTuple):
    """A search's result: the matches, best first, and how many signatures were computed."""

    matches: tuple[Match, ...]
    tried: int


def agrees(signature: bytes, wanted: bytes) -> bool:
    """Whether a signature is the wanted one, or begins with it, where it was cut."""
    return len(wanted) >= _LEAST and signature.startswith(wanted)


def search(base: Signing, wanted: bytes, clues: Clues, most: int = 2) -> Found:
    """Look for the changes that explain a signature.

    Args:
        base: what the request amounts to.
        wanted: its signature in lower-case hex, or the beginning of it.
        clues: what else is known.
        most: how many changes at once.

    Returns:
        Found: without matches if none explains it. With a match of no changes, the signature holds.
    """
    if len(wanted) < _LEAST:
        return Found((), 0)
    tried = 1
    if agrees(base.signature(), wanted):
        return Found((Match((), base),), tried)
    if most < 1 or (most > 1 and sum(map(len, base.lines())) > _LONGEST):
        return Found((), tried)
    singles = {slot: changes(base, slot, clues) for slot in SLOTS}
    both = list(of_both(base))
    for candidates in (_singles(singles, both), _pairs(base, singles, both, clues))[:most]:
        while some := list(itertools.islice(candidates, _AT_ONCE)):
            matches = _confirmed(base, some, wanted)
            tried += len(some)
            if matches:
                return Found(tuple(_distinct(matches)), tried)
    return Found((), tried)


_Both = list[tuple[Change, Change]]


def _singles(singles: dict[str, list[Change]], both: _Both) -> Iterator[tuple[Change, ...]]:
    for slot in SLOTS:
        for change in singles[slot]:
            yield (change,)
    yield from both


def _pairs(base: Signing, singles: dict[str, list[Change]], both: _Both, clues: Clues) -> Iterator[tuple[Change, ...]]:
    """Two causes at once; one of them may be the same in parameters and headers."""
    few = {slot: _fewer(found) for slot, found in singles.items()}
    for one, other in itertools.combinations(SLOTS, 2):
        yield from itertools.product(few[one], few[other])
    for slot in ("key", "times", "method", "path", "recipe"):
        for change, pair in itertools.product(few[slot], both):
            yield (*pair, change)
    small = [slot for slot in ("params", "headers") if len(getattr(base, slot).entries) <= _ENTRIES]
    for pair in both:
        for slot in small:
            for second in _fewer(changes(base._replace(**{each.slot: each.value for each in pair}), slot, clues)):
                if second.code != pair[0].code:
                    yield (*pair, second)
    for slot in ("method", "path", *small, "times"):
        known = {change.outcome for change in singles[slot]}
        for first in _fewer([change for change in few[slot] if change.code not in _SECOND], _FIRST):
            for second in _fewer(changes(base._replace(**{slot: first.value}), slot, clues)):
                if second.code != first.code and second.outcome not in known:
                    yield first, second


def _fewer(found: list[Change], most: int = _PAIRED) -> list[Change]:
    """Not more than can be paired: of each cause as many as of the others."""
    if len(found) <= most:
        return found
    by_code: dict[str, list[Change]] = {}
    for change in found:
        by_code.setdefault(change.code, []).append(change)
    rounds = itertools.zip_longest(*by_code.values())
    return [change for each in rounds for change in each if change is not None][:most]


def _confirmed(base: Signing, candidates: list[tuple[Change, ...]], wanted: bytes) -> list[Match]:
    """Those candidates whose signature is the wanted one; many of them have one SignKey."""
    batches: dict[Any, tuple[list[Lines], list[tuple[Change, ...]]]] = {}
    matches: list[Match] = []
    texts: dict[str, Any] = {
        slot: each.text() if isinstance(each, Pairs) else each for slot, each in zip(SLOTS, base, strict=True)
    }
    for candidate in candidates:
        now = texts.copy()
        for change in candidate:
            now[change.slot] = change.outcome
        lines = now["method"], now["path"], now["params"], now["headers"]
        if now["recipe"] is DOCUMENTED and len(wanted) <= 40:
            batch = batches.setdefault((now["key"], now["times"]), ([], []))
            batch[0].append(lines)
            batch[1].append(candidate)
        elif agrees(now["recipe"].signature(now["key"], now["times"], lines), wanted):
            matches.append(_match(base, candidate))
    for (key, times), (all_lines, of) in batches.items():
        for candidate, signature in zip(of, signatures(key, times, all_lines), strict=True):
            if signature.startswith(wanted):
                matches.append(_match(base, candidate))
    return matches


def _match(base: Signing, candidate: tuple[Change, ...]) -> Match:
    signing = base
    for change in candidate:
        signing = signing._replace(**{change.slot: change.value})
    return Match(candidate, signing)


def _distinct(matches: list[Match]) -> Iterator[Match]:
    seen = set()
    for match in matches:
        codes = frozenset(change.code for change in match.changes)
        if codes not in seen:
            seen.add(codes)
            yield match

"""The search: which one or two changes make a recomputed signature the one that the request has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from cossign.explain.causes.cause import Change, Clues, changes, shared_changes
from cossign.explain.steps import DOCUMENTED_RECIPE, SLOTS, Lines, Pairs, Signing, signatures

_MIN_HEX = 16  # hex characters that must agree where a signature was cut: 64 bits
_MAX_HTTP_STRING = 8192  # bytes of HttpString, and
_MAX_ENTRIES = 8  # parameters or headers, beyond which less is tried, as it takes longer
_BATCH_SIZE = 8192  # candidates that are computed together
_FIRST_LIMIT = 30  # changes of a slot that another of the same slot is tried behind
_SECOND_CODES = frozenset(["parameter-changed", "header-changed", "unicode-form", "not-utf8"])  # only after others
_PAIR_LIMIT = 80  # changes of a slot that are tried together with others


class Match(NamedTuple):
    """What was signed, confirmed by its signature: `changes` lead there from the request."""

    changes: tuple[Change, ...]
    signing: Signing


class SearchResult(NamedTuple):
    """A search's result: the matches, best first, and how many signatures were computed."""

    matches: tuple[Match, ...]
    attempts: int


def agrees(signature: bytes, target: bytes) -> bool:
    """Whether a signature is the wanted one, or begins with it, where it was cut."""
    return len(target) >= _MIN_HEX and signature.startswith(target)


def search(base: Signing, target: bytes, clues: Clues, max_changes: int = 2) -> SearchResult:
    """Look for the changes that explain a signature.

    Args:
        base: what the request amounts to.
        target: its signature in lower-case hex, or the beginning of it.
        clues: what else is known.
        max_changes: how many changes at once.

    Returns:
        SearchResult: without matches if none explains it. With a match of no changes, the signature is valid.
    """
    if len(target) < _MIN_HEX:
        return SearchResult((), 0)
    attempts = 1
    if agrees(base.signature(), target):
        return SearchResult((Match((), base),), attempts)
    if max_changes < 1 or (max_changes > 1 and sum(map(len, base.lines())) > _MAX_HTTP_STRING):
        return SearchResult((), attempts)
    singles = {slot: changes(base, slot, clues) for slot in SLOTS}
    change_pairs = list(shared_changes(base))
    for candidates in (_singles(singles, change_pairs), _pairs(base, singles, change_pairs, clues))[:max_changes]:
        while batch := list(itertools.islice(candidates, _BATCH_SIZE)):
            matches = _confirm(base, batch, target)
            attempts += len(batch)
            if matches:
                return SearchResult(tuple(_distinct_matches(matches)), attempts)
    return SearchResult((), attempts)


_ChangePairs = list[tuple[Change, Change]]


def _singles(singles: dict[str, list[Change]], change_pairs: _ChangePairs) -> Iterator[tuple[Change, ...]]:
    for slot in SLOTS:
        for change in singles[slot]:
            yield (change,)
    yield from change_pairs


def _pairs(
    base: Signing, singles: dict[str, list[Change]], change_pairs: _ChangePairs, clues: Clues
) -> Iterator[tuple[Change, ...]]:
    """Two causes at once; one of them may be the same in parameters and headers."""
    shortlists = {slot: _thin_out(slot_changes) for slot, slot_changes in singles.items()}
    for one, other in itertools.combinations(SLOTS, 2):
        yield from itertools.product(shortlists[one], shortlists[other])
    for slot in ("key", "times", "method", "path", "recipe"):
        for change, pair in itertools.product(shortlists[slot], change_pairs):
            yield (*pair, change)
    small_slots = [slot for slot in ("params", "headers") if len(getattr(base, slot).entries) <= _MAX_ENTRIES]
    for pair in change_pairs:
        for slot in small_slots:
            for second in _thin_out(changes(base._replace(**{each.slot: each.value for each in pair}), slot, clues)):
                if second.kind != pair[0].kind:
                    yield (*pair, second)
    for slot in ("method", "path", *small_slots, "times"):
        known_outcomes = {change.outcome for change in singles[slot]}
        for first in _thin_out(
            [change for change in shortlists[slot] if change.code not in _SECOND_CODES], _FIRST_LIMIT
        ):
            for second in _thin_out(changes(base._replace(**{slot: first.value}), slot, clues)):
                if second.kind != first.kind and second.outcome not in known_outcomes:
                    yield first, second


def _thin_out(candidates: list[Change], limit: int = _PAIR_LIMIT) -> list[Change]:
    """Not more than can be paired: of each kind as many as of the others."""
    if len(candidates) <= limit:
        return candidates
    by_kind: dict[int, list[Change]] = {}
    for change in candidates:
        by_kind.setdefault(change.kind, []).append(change)
    rounds = itertools.zip_longest(*by_kind.values())
    return [change for each in rounds for change in each if change is not None][:limit]


def _confirm(base: Signing, candidates: list[tuple[Change, ...]], target: bytes) -> list[Match]:
    """Those candidates whose signature is the wanted one; many of them have one SignKey."""
    batches: dict[Any, tuple[list[Lines], list[tuple[Change, ...]]]] = {}
    matches: list[Match] = []
    texts: dict[str, Any] = {
        slot: each.text() if isinstance(each, Pairs) else each for slot, each in zip(SLOTS, base, strict=True)
    }
    for candidate in candidates:
        values = texts.copy()
        for change in candidate:
            values[change.slot] = change.outcome
        lines = values["method"], values["path"], values["params"], values["headers"]
        if values["recipe"] is DOCUMENTED_RECIPE and len(target) <= 40:
            batch = batches.setdefault((values["key"], values["times"]), ([], []))
            batch[0].append(lines)
            batch[1].append(candidate)
        elif agrees(values["recipe"].signature(values["key"], values["times"], lines), target):
            matches.append(_match(base, candidate))
    for (key, times), (all_lines, members) in batches.items():
        for candidate, signature in zip(members, signatures(key, times, all_lines), strict=True):
            if signature.startswith(target):
                matches.append(_match(base, candidate))
    return matches


def _match(base: Signing, candidate: tuple[Change, ...]) -> Match:
    signing = base
    for change in candidate:
        signing = signing._replace(**{change.slot: change.value})
    return Match(candidate, signing)


def _distinct_matches(matches: list[Match]) -> Iterator[Match]:
    seen_codes = set()
    for match in matches:
        codes = frozenset(change.code for change in match.changes)
        if codes not in seen_codes:
            seen_codes.add(codes)
            yield match

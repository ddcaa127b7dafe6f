"""Signers beside each other: every round calls each for some tens of milliseconds, so that all meet the same machine,
however that varies.

Each finds the caches as the others left them; pytest-benchmark's suites call the same thing again and again instead.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.test_signing import KEYS, NATIVE, PEERS, SECRETS, SIGNER, WHERE, arrow, signer, streamed

ROUNDS = 15
BY_HAND, SDK = "loop by hand", "cos-python-sdk-v5"
Calls = Mapping[str, tuple[Callable[[], Any], int]]


def repeated(call: Callable[[], Any], count: int, times: int = 100) -> tuple[Callable[[], None], int]:
    """A call so often that it takes some tens of milliseconds, as the others do; what it needs is in the caches."""

    def many() -> None:
        for _ in range(times):
            call()

    return many, count * times


def contenders() -> tuple[dict[str, tuple[Callable[[], Any], int]], dict[str, str]]:
    """What is called, and for how many URLs; and what could not be, with the reason."""
    keys = arrow(KEYS * 40)
    urls = SIGNER.presign_many(KEYS, expires=86400)
    calls: dict[str, tuple[Callable[[], Any], int]] = {}
    for engine in NATIVE[:2]:
        each = signer(engine)
        calls[f"cossign presign_arrow, {engine}"] = (lambda each=each: streamed(each, keys)), len(keys)
    calls["cossign presign_many"] = repeated(lambda: SIGNER.presign_many(KEYS), len(KEYS), 15)
    calls["cossign verify_many"] = repeated(lambda: SIGNER.verify_many(urls), len(urls), 20)
    by_hashlib = signer("hashlib")
    calls["cossign presign_many, hashlib"] = repeated(lambda: by_hashlib.presign_many(KEYS), len(KEYS), 3)
    left_out = {}
    for name, (peer, count) in PEERS.items():
        try:
            presign = peer.make(*SECRETS, *WHERE)
        except ImportError as error:
            left_out[name] = str(error)
            continue
        calls[name] = (lambda presign=presign, count=count: presign(KEYS[:count])), count
    return calls, left_out


def in_turn(calls: Calls, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of a row, of each, in each round; a round before warms up."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, (call, rows) in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - start) / rows)
    return {name: seconds[1:] for name, seconds in taken.items()}


def spread(values: list[float]) -> float:
    """What the middle half of them spreads over, as a share of their median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / middle


def run() -> None:
    """Measure and print."""
    calls, left_out = contenders()
    for name, reason in left_out.items():
        print(f"left out: {name} ({reason})")
    taken = in_turn(calls)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    by_hand, sdk = (medians.get(name, float("nan")) for name in (BY_HAND, SDK))
    print("| in turn | URLs/s | spread (IQR) | to the loop by hand | to cos-python-sdk-v5 |\n|---|---:|---:|---:|---:|")
    for name, median in sorted(medians.items(), key=lambda each: each[1]):
        share = spread(taken[name])
        print(f"| {name} | {1 / median:,.0f} | {share:.0%} | {by_hand / median:.2f}x | {sdk / median:.1f}x |")
    print()

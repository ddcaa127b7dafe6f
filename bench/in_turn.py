"""Signers beside each other: every round calls each once, so that all meet the same machine, however that varies.

Each finds the caches as the others left them; pytest-benchmark's suites call the same thing again and again instead.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.test_signing import KEYS, NATIVE, PEERS, SECRETS, SIGNER, WHERE, arrow, signer, streamed

ROUNDS = 15


def contenders() -> dict[str, tuple[Callable[[], Any], int]]:
    """What is called, and for how many URLs."""
    keys = arrow(KEYS * 20)
    urls = SIGNER.presign_many(KEYS, expires=86400)
    calls: dict[str, tuple[Callable[[], Any], int]] = {}
    for engine in NATIVE[:2]:
        each = signer(engine)
        calls[f"cossign presign_arrow, {engine}"] = (lambda each=each: streamed(each, keys)), len(keys)
    calls["cossign presign_many"] = (lambda: SIGNER.presign_many(KEYS)), len(KEYS)
    calls["cossign verify_many"] = (lambda: SIGNER.verify_many(urls)), len(urls)
    by_hashlib = signer("hashlib")
    calls["cossign presign_many, hashlib"] = (lambda: by_hashlib.presign_many(KEYS)), len(KEYS)
    for name, (peer, count) in PEERS.items():
        try:
            presign = peer.make(*SECRETS, *WHERE)
        except ImportError as error:
            print(f"left out: {name} ({error})")
            continue
        calls[name] = (lambda presign=presign, count=count: presign(KEYS[:count])), count
    return calls


def run() -> None:
    """Measure and print."""
    calls = contenders()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, (call, rows) in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - start) / rows)
    medians = {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}  # the first warms up
    by_hand, sdk = (medians.get(name, float("nan")) for name in ("loop by hand", "cos-python-sdk-v5"))
    print("| in turn | URLs/s | spread (IQR) | to the loop by hand | to cos-python-sdk-v5 |\n|---|---:|---:|---:|---:|")
    for name, median in sorted(medians.items(), key=lambda each: each[1]):
        low, _, high = statistics.quantiles(taken[name][1:], n=4)
        spread = (high - low) / median
        print(f"| {name} | {1 / median:,.0f} | {spread:.0%} | {by_hand / median:.2f}x | {sdk / median:.1f}x |")
    print()

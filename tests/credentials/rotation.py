"""Sign without a pause, with keys that change every two seconds, on a machine whose clock somebody sets back and forth.

    python -m tests.credentials.rotation [SECONDS]

A metadata service gives keys that end after two seconds. Threads sign, and each URL is judged at once by the true time:
it is dead if its key had ended, or if its KeyTime does not hold. Errors are counted, too: there must be none of either.
"""

from __future__ import annotations

import json
import random
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any, NamedTuple

from cossign import Clock, CosSignError, CvmRoleCredentials, Signer
from tests.conftest import BUCKET, REGION
from tests.credentials.test_services import Answer, serving

LIFETIME = 2  # seconds, as whole seconds let it be: 1 to 2
KEY = re.compile("q-ak=([^&]*)&q-sign-time=([0-9]+)(?:%3B|;)([0-9]+)&")
true_time = time.time


class Outcome(NamedTuple):
    """What was signed: how many URLs and keys, how often the clock was set, which URLs are dead, which calls failed."""

    urls: int
    keys: int
    jumps: int
    dead: list[str]
    errors: list[str]


@contextmanager
def machine_clock() -> Iterator[list[float]]:
    """A machine's clock: time.time() is wrong by the list's one number, which may change at any time."""
    error = [0.0]
    time.time = lambda: true_time() + error[0]
    try:
        yield error
    finally:
        time.time = true_time


def rotate(seconds: float, seed: int, threads: int = 2, jump_after: float = 0.3) -> Outcome:
    """Sign for so many seconds.

    Args:
        seconds: how long.
        seed: for the jumps.
        threads: how many sign.
        jump_after: seconds between two jumps of the clock.
    """
    rng = random.Random(seed)
    ends: dict[str, float] = {}
    dead: list[str] = []
    errors: list[str] = []
    counts = [0] * threads
    stopped = threading.Event()

    def answer(handler: Any, _: bytes) -> Answer:
        name = f"AKID{len(ends):06d}"
        ends[name] = int(true_time()) + LIFETIME
        body = {
            "TmpSecretId": name, "TmpSecretKey": "k", "Token": "t", "ExpiredTime": ends[name], "Code": "Success",
        }  # fmt: skip
        return 200, json.dumps(body).encode(), {"Date": formatdate(true_time(), usegmt=True)}

    def sign(place: int, signer: Signer) -> None:
        while not stopped.is_set():
            before = true_time()
            try:
                urls = [signer.presign("a.jpg"), *signer.presign_many(["b.jpg", "c.jpg"])]
            except CosSignError as error:
                errors.append(str(error))
                continue
            after = true_time()
            for url in urls:
                match = KEY.search(url)
                assert match is not None
                if ends[match[1]] <= before:
                    dead.append(f"its key had ended {before - ends[match[1]]:.3f} s before: {url}")
                if not int(match[2]) <= after or not before <= int(match[3]):
                    dead.append(f"KeyTime does not hold at {before:.3f} to {after:.3f}: {url}")
            counts[place] += len(urls)

    jumps = 0
    with machine_clock() as error, serving(answer) as url:
        clock = Clock()
        provider = CvmRoleCredentials("r", endpoint=url, clock=clock)
        signer = Signer(provider, bucket=BUCKET, region=REGION, clock=clock)
        signer.presign("a.jpg")  # the clock has learnt the time
        workers = [threading.Thread(target=sign, args=(place, signer)) for place in range(threads)]
        for each in workers:
            each.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            stopped.wait(jump_after)
            error[0] = rng.choice([0.0, 1.0, -1.0]) * rng.choice([3, 60, 3600, 10**6, 10**8])
            jumps += 1
        stopped.set()
        for each in workers:
            each.join()
    return Outcome(sum(counts), len(ends), jumps, dead, errors)


if __name__ == "__main__":
    outcome = rotate(float(sys.argv[1]) if len(sys.argv) > 1 else 20, seed=random.randrange(10**6))
    print(f"{outcome.urls:,} URLs, {outcome.keys} keys, the clock was set {outcome.jumps} times")
    print(f"{len(outcome.dead)} dead URLs, {len(outcome.errors)} errors")
    for line in (*outcome.dead[:10], *outcome.errors[:10]):
        print(line)
    sys.exit(bool(outcome.dead or outcome.errors))

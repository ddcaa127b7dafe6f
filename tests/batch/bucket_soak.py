"""Jobs between buckets that are cut off at random moments: `python -m tests.batch.bucket_soak [--cuts 30] [--objects N]`.

Each job lists a bucket, or reads a file of keys in one, and writes parts into another. It is ended by a signal, or the
network is cut, or the server is killed or refuses, again and again, and goes on with --resume. In the end its
objects must be those of a job that ran to its end, and no upload may be unfinished, nor after --abort. How often a job is cut off depends on
the machine; after MOST_CUTS it may end.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from collections import Counter

from tests.batch.soak import COSSIGN, ENVIRONMENT, FORMATS
from tests.cos_server import Fault, Request, Store, error_reply, running
from tests.waiting import PATIENCE

SECRETS = (ENVIRONMENT["COS_SECRET_ID"], ENVIRONMENT["COS_SECRET_KEY"], None)
SOURCE, TARGET = "examplebucket-1250000000", "reports-1250000000"
INPUTS = ([f"cos://{SOURCE}/photos/"], [f"cos://{SOURCE}/photos/", "--include", "*7*"], [f"cos://{SOURCE}/keys.csv"])
MOST_CUTS = 6  # of one job
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


KINDS = ("cut", "killed server", "killed server", "slow down", "expired", "signal", "signal", "signal")


class Cuts:
    """What goes wrong with the network: nothing before its time comes."""

    def __init__(self, shuffle: random.Random) -> None:
        self.shuffle = shuffle
        self.kind = ""
        self.at = 0.0  # when it begins
        self.was_hit = False
        self.hits: Counter[str] = Counter()

    def plan(self, request: Request) -> Fault | None:
        if not self.kind or time.monotonic() < self.at:
            return None
        self.was_hit = True
        if self.kind == "cut":  # each answer ends somewhere
            return Fault(sent=self.shuffle.choice((0, 10, 1000, 100_000)))
        if self.kind == "killed server":
            return Fault(reset=self.shuffle.choice(("before", "after")))
        if self.kind == "slow down":
            return Fault(error_reply(503, "SlowDown"))
        return Fault(error_reply(403, "ExpiredToken"))


def command(inputs: list[str], form: str, folder: str, url: str, resume: bool) -> list[str]:
    options = ["-b", SOURCE, "-r", "ap-beijing", "--start", "1700000000", "--endpoint", url, "--rows-per-part", "700"]
    more = ["--to", form, "--on-error", "skip", *(["--resume"] if resume else [])]
    return [*COSSIGN, "presign", *inputs, "-o", f"cos://{TARGET}/{folder}/", *options, *more, "--quiet"]


def objects_of(store: Store, folder: str) -> dict[str, bytes]:
    """A folder's objects without the journal's: a job that was cut off has more lines in its journal."""
    start = f"{folder}/".encode()
    return {
        key[len(start) :].decode(): content
        for key, content in store.objects.items()
        if key.startswith(start) and b".journal/" not in key
    }


def run(cuts: Cuts, words: list[str], seconds: float, kind: str) -> int:
    """Run a job, and cut it off after so many seconds; returns its status."""
    cuts.was_hit = False
    cuts.kind = kind
    cuts.at = time.monotonic() + seconds
    process = subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        if cuts.kind == "signal":
            process.wait(seconds)
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        cuts.was_hit = True
        process.send_signal(cuts.shuffle.choice(SIGNALS))
        process.communicate(timeout=PATIENCE)
    if cuts.was_hit:
        cuts.hits[kind] += 1
    cuts.kind = ""
    return process.returncode


def soak(cuts: int, objects: int, seed: int) -> Counter[str]:
    """Cut jobs off so many times; raises an AssertionError if anything is lost."""
    shuffle = random.Random(seed)
    source, target = Store(), Store()
    keys = [f"photos/{shuffle.randrange(100)}/{number} ä+%&'\".jpg" for number in range(objects)]
    source.objects = {key.encode(): b"" for key in keys}
    source.objects[b"keys.csv"] = (
        "key\n" + "".join(f'"{key}"\n'.replace("'\"", '\'""') for key in keys) + "/bad\n"
    ).encode()
    source.page_size = 250
    with running(lambda: [SECRETS]) as server:
        server.buckets = {SOURCE: source, TARGET: target}
        cutting = Cuts(shuffle)
        server.plan = cutting.plan
        while sum(cutting.hits.values()) - cutting.hits["jobs"] < cuts:
            inputs, form = shuffle.choice(INPUTS), shuffle.choice(FORMATS)
            target.objects.clear()
            begun = time.monotonic()
            subprocess.run(command(inputs, form, "whole", server.url, False), env=ENVIRONMENT, check=False)
            length = time.monotonic() - begun
            resume = False
            for _ in range(shuffle.randint(1, MOST_CUTS)):
                kind = shuffle.choice(KINDS)
                status = run(
                    cutting, command(inputs, form, "cut", server.url, resume), shuffle.uniform(0.2, length), kind
                )
                resume = any(key.startswith(b"cut/.journal/0") for key in target.objects)
                if status in (0, 1):
                    break
                if shuffle.random() < 0.2:
                    place = ["-o", f"cos://{TARGET}/cut/", "-r", "ap-beijing", "--endpoint", server.url]
                    subprocess.run([*COSSIGN, "presign", "--abort", *place], env=ENVIRONMENT, check=True)
                    assert not target.uploads, target.uploads.keys()
            else:
                status = run(cutting, command(inputs, form, "cut", server.url, resume), 0, "")
            assert status in (0, 1), status
            assert objects_of(target, "cut") == objects_of(target, "whole"), (inputs, form)
            assert not target.uploads, target.uploads.keys()
            cutting.hits["jobs"] += 1
    return cutting.hits


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=30)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print({"seed": arguments.seed, **soak(arguments.cuts, arguments.objects, arguments.seed)})
    return 0


if __name__ == "__main__":
    sys.exit(main())

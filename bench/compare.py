"""What changed between two reports, beyond their noise: `python -m bench compare A.json B.json [--same-machine]`.

Rates and delays are divided by those of the loop by hand in the same run first, so that reports of two machines, or of
a slower hour, can be compared; --same-machine compares them as they are. Instruction counts are compared as they are,
if one compiler built both. A change is told if it is more than both runs' spreads and 5 % (1 % of instructions).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from bench.in_turn import BY_HAND

LEAST = {"instructions": 0.01, "MiB": 0.05}
SAME = ("build", "rows", "workers")  # where these differ, two measurements are not of one thing
ABSOLUTE = ("instructions", "MiB")  # units of what a slower machine does not change


class Change(NamedTuple):
    """One measurement that both reports have."""

    suite: str
    name: str
    ratio: float  # above 1 is better
    noise: float  # what it must be off 1 by, to be told

    @property
    def told(self) -> str:
        if abs(math.log(self.ratio)) <= math.log1p(self.noise):
            return ""
        return "better" if self.ratio > 1 else "WORSE"


def yardstick(report: dict[str, Any]) -> float:
    for each in report["measurements"]:
        if (each["suite"], each["name"]) == ("signers", BY_HAND) and "median" in each:
            return float(each["median"])
    return 1.0


def compared(before: dict[str, Any], after: dict[str, Any], same_machine: bool = False) -> list[Change]:
    old = {(each["suite"], each["name"]): each for each in before["measurements"] if "median" in each}
    faster = 1.0 if same_machine else yardstick(after) / yardstick(before)
    changes = []
    for each in after["measurements"]:
        was = old.get((each["suite"], each["name"]))
        if was is None or "median" not in each or any(was.get(fact) != each.get(fact) for fact in SAME):
            continue
        ratio = each["median"] / was["median"]
        if each["better"] == "less":
            ratio = 1 / ratio
        if each["unit"] not in ABSOLUTE:
            ratio /= faster
        noise = LEAST.get(each["unit"], 0.05) + each["spread"] + was["spread"]
        changes.append(Change(each["suite"], each["name"], ratio, noise))
    return changes


def main(arguments: list[str]) -> int:
    """Print the changes, the largest first; 1 if something got worse."""
    parser = argparse.ArgumentParser(prog="python -m bench compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--same-machine", action="store_true", help="compare rates as they are")
    parser.add_argument("--all", action="store_true", help="show what did not change, too")
    given = parser.parse_args(arguments)
    before, after = (json.loads(path.read_text()) for path in (given.before, given.after))
    changes = compared(before, after, given.same_machine)
    shown = [each for each in changes if each.told or given.all]
    print(f"{len(changes)} measurements are in both; {sum(1 for each in changes if each.told)} changed beyond noise.")
    if not given.same_machine:
        print(f"Rates are to the loop by hand, which made {yardstick(after) / yardstick(before):.2f} times as many.")
    if shown:
        print("\n| suite | measurement | after / before | noise | |\n|---|---|---:|---:|---|")
    for each in sorted(shown, key=lambda each: -abs(math.log(each.ratio))):
        print(f"| {each.suite} | {each.name} | {each.ratio:.3f} | {each.noise:.0%} | {each.told} |")
    return 1 if any(each.told == "WORSE" for each in changes) else 0

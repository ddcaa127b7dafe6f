"""`python -m bench`: the suites on one core (`make bench`); `report` (`make report`); `compare A.json B.json`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from bench import compare, in_turn, report

HERE = Path(__file__).parent
ALONE = ("sha1", "sha1_of_others", "peer", "facade", "million", "key_length", "escapes", "query", "one")
RESULT = HERE.parent / ".benchmarks" / "signing.json"


def suites() -> int:
    """Run the suites of pytest-benchmark, and print ratios, medians and spread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    in_turn.run()
    RESULT.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--benchmark-quiet"]
    done = subprocess.run([*command, f"--benchmark-json={RESULT}", str(HERE)], cwd=HERE.parent, check=False)
    if done.returncode:
        return done.returncode
    result = json.loads(RESULT.read_text())
    machine = result["machine_info"]
    brand = machine.get("cpu", {}).get("brand_raw", platform.processor())
    print(f"{brand}, one core; Python {platform.python_version()}; medians of the rounds\n")
    groups: dict[str, list[tuple[str, float, float]]] = {}
    bounded: list[tuple[str, float, float, float]] = []
    for each in result["benchmarks"]:
        rows, stats = each["extra_info"]["rows"], each["stats"]
        label = each["name"].removeprefix("test_").partition("[")[0]
        if each["param"]:
            label = each["param"] if label in ALONE else f"cossign {label}, {each['param']}"
        if each["extra_info"].get("bound"):
            named = f"{each['group']}: {label}"
            bounded.append((named, stats["median"] / rows, each["extra_info"]["blocks"], each["extra_info"]["share"]))
        groups.setdefault(each["group"], []).append((label, stats["median"] / rows, stats["iqr"] / stats["median"]))
    for group, rows in groups.items():
        slowest = max(seconds for _, seconds, _ in rows)
        print(f"| {group} | ratio | ns a row | rows/s | spread (IQR) |\n|---|---:|---:|---:|---:|")
        for label, seconds, spread in sorted(rows, key=lambda row: row[1]):
            print(f"| {label} | {slowest / seconds:.1f} | {seconds * 1e9:,.1f} | {1 / seconds:,.0f} | {spread:.0%} |")
        print()
    print("| presign_arrow, streamed | URLs/s | blocks a URL | of its SHA-1 bound |\n|---|---:|---:|---:|")
    for label, seconds, count, share in bounded:
        print(f"| {label} | {1 / seconds:,.0f} | {count:.2f} | {share:.2f} |")
    print(f"\nKept in {RESULT}")
    return 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["report"]:
        return report.main(arguments[1:])
    if arguments[:1] == ["compare"]:
        return compare.main(arguments[1:])
    return suites()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Batch jobs beside others: `python -m bench.jobs [--rows 10000000] [--peers | --flat 1000000,10000000]`.

Each round runs every job once, and beside it `cp` of what it wrote, or the unpacking of what it read; all are synced
alike. Medians of the rounds; the peak is the process's own, from the kernel.

With --peers each job runs on one core, and in turn with DuckDB and Polars, which write text of the same length without
signing. What is compared is the time of the CPU, of users and system: the disk's is left out, as cossign syncs what it
wrote, and the others do not.

With --flat, text, CSV and Parquet of more and more rows go into /dev/null: time and memory of each.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

ENVIRONMENT = {
    # Modules are compiled once, as in what pip installs: not in each run.
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "COS_SECRET_ID": "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q",
    "COS_SECRET_KEY": "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
}  # fmt: skip
PRESIGN = [sys.executable, "-m", "cossign", "presign"]
WHERE = ["-b", "examplebucket-1250000000", "-r", "ap-beijing"]
JOBS = (  # input, output, and what it is held against
    ("keys.txt", "/dev/null", None),
    ("keys.txt", "urls.txt", "cp"),
    ("keys.txt", "parts/", None),
    ("keys.txt", "urls.txt.gz", None),
    ("keys.parquet", "urls.parquet", None),
    ("keys.csv", "urls.csv", "cp"),
    ("keys.jsonl", "urls.jsonl", "cp"),
    ("inventory", "urls.txt", "gunzip"),
    ("inventory", "/dev/null", "gunzip"),
)
AGAINST = (  # what the peers do, too
    ("keys.txt", "urls.txt"),
    ("keys.csv", "urls.csv"),
    ("keys.parquet", "urls.parquet"),
    ("keys.jsonl", "urls.jsonl"),
    ("inventory", "urls.txt"),
    ("inventory", "urls.parquet"),
)
PEERS = ("duckdb", "polars")
UNPACK = """
import sys
from cossign.batch.packing import GZIP
for path in sys.argv[1:]:
    with GZIP.open(path) as file:
        while file.read(1 << 20):
            pass
"""
TO_PARQUET = """
import sys, pyarrow, pyarrow.csv, pyarrow.parquet
reader = pyarrow.csv.open_csv(sys.argv[1])
with pyarrow.parquet.ParquetWriter(sys.argv[2], reader.schema) as writer:
    for batch in reader:
        writer.write_batch(batch, 1 << 18)
"""


def keys(rows: int, start: int = 0) -> list[str]:
    return [f"photos/2026/11/{row // 400_000:04d}/img_{row:08d}.jpg" for row in range(start, start + rows)]


def make(folder: Path, rows: int) -> None:
    """The inputs, some thousands of rows at a time, so that this process stays small: a child's peak begins with it."""
    if (folder / "made").exists() and (folder / "made").read_text() == str(rows):
        return
    step = 10_000
    with open(folder / "keys.txt", "w") as text, open(folder / "keys.csv", "w") as table:
        table.write("key,size\n")
        with open(folder / "keys.jsonl", "w") as lines:
            for start in range(0, rows, step):
                some = keys(min(step, rows - start), start)
                text.write("".join(f"{key}\n" for key in some))
                table.write("".join(f"{key},{start}\n" for key in some))
                lines.write("".join(f'{{"key": "{key}", "size": {start}}}\n' for key in some))
    subprocess.run([sys.executable, "-c", TO_PARQUET, folder / "keys.csv", folder / "keys.parquet"], check=True)
    inventory(folder / "inventory", rows)
    (folder / "made").write_text(str(rows))


def inventory(folder: Path, rows: int) -> None:
    """As COS writes it: gzipped CSV of all its columns, half a million rows a file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = []
    for start in range(0, rows, 500_000):
        path = folder / f"{start:010d}.csv.gz"
        with gzip.open(path, "wb", 6) as file:
            for first in range(start, min(start + 500_000, rows), 10_000):
                file.write(
                    "".join(
                        f'"1250000000","examplebucket-1250000000","{quote(key, safe="")}","{first}",'
                        f'"2026-11-23T00:00:00Z","{hashlib.md5(key.encode()).hexdigest()}","STANDARD","false",""\n'
                        for key in keys(min(10_000, rows - first), first)
                    ).encode()
                )
        data = path.read_bytes()
        md5 = hashlib.md5(data).hexdigest()
        files.append({"key": f"cos/{path.name}", "size": str(len(data)), "md5Checksum": md5})
        del data
    schema = "Appid, Bucket, Key, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded, ReplicationStatus"
    manifest = {"fileFormat": "CSV", "listObjectCount": str(rows), "fileSchema": schema, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds, and the peak of memory in MiB."""
    seconds, _, peak = used(command, ENVIRONMENT)
    return seconds, peak


def used(command: list[str], environment: Mapping[str, str]) -> tuple[float, float, float]:
    """Seconds, those of the CPU, and the peak of memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def beside(kind: str | None, folder: Path, source: str, output: str) -> float | None:
    """What the job is held against, in seconds."""
    if kind == "cp":
        copy = folder / "copy"
        seconds = timed(["sh", "-c", f"cp '{folder / output}' '{copy}' && sync '{copy}'"])[0]
        copy.unlink()
        return seconds
    if kind == "gunzip":
        return timed([sys.executable, "-c", UNPACK, *map(str, sorted((folder / source).glob("*.gz")))])[0]
    return None


def removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.is_file():
        path.unlink()


Rounds = list[tuple[float, float, float | None]]


def run(folder: Path, rows: int, rounds: int) -> dict[tuple[str, str, str | None], Rounds]:
    """Seconds, peak of memory in MiB, and the seconds of what it is held against, of each job in each round."""
    make(folder, rows)
    results: dict[tuple[str, str, str | None], Rounds] = {job: [] for job in JOBS}
    for _ in range(rounds):
        for job in JOBS:
            source, output, kind = job
            target = output if output.startswith("/") else f"{folder}/{output}"
            seconds, peak = timed([*PRESIGN, str(folder / source), "-o", target, "--no-space-check", *WHERE])
            results[job].append((seconds, peak, beside(kind, folder, source, output)))
            if not output.startswith("/"):
                removed(folder / output)
    return results


def show(results: dict[tuple[str, str, str | None], Rounds], rows: int, rounds: int) -> None:
    print(f"{rows:,} rows, {os.cpu_count()} cores, {rounds} rounds\n")
    print("| job | seconds | rows/s | peak, MiB | beside it | ratio |\n|---|---:|---:|---:|---:|---:|")
    for (source, output, kind), got in results.items():
        seconds = statistics.median(each[0] for each in got)
        others = [each[2] for each in got if each[2] is not None]
        held = f"{kind} {statistics.median(others):.2f}" if others else ""
        ratio = f"{statistics.median(each[0] / each[2] for each in got if each[2]):.2f}" if others else ""
        peak = max(each[1] for each in got)
        print(f"| {source} to {output} | {seconds:.2f} | {rows / seconds:,.0f} | {peak:.0f} | {held} | {ratio} |")


Use = tuple[float, float, float]  # seconds, those of the CPU, and MiB at most


def run_peers(folder: Path, rows: int, rounds: int) -> dict[tuple[str, str], dict[str, list[Use]]]:
    """What each job has used in each round, of cossign and of each peer, on one core."""
    make(folder, rows)
    results: dict[tuple[str, str], dict[str, list[Use]]] = {job: {} for job in AGAINST}
    core = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    for _ in range(rounds):
        for source, output in AGAINST:
            ours = [*PRESIGN, str(folder / source), "-o", str(folder / output), "--no-space-check", "--threads", "1"]
            commands = {"cossign": [*ours, *WHERE]} | {
                peer: [sys.executable, "-m", "bench.peers.tables", peer, str(folder / source), str(folder / output)]
                for peer in PEERS
            }
            for name, command in commands.items():
                use = used([*core, *command], {**ENVIRONMENT, "POLARS_MAX_THREADS": "1"})
                results[source, output].setdefault(name, []).append(use)
                removed(folder / output)
    return results


def ratio_to_best(uses: dict[str, list[Use]]) -> float:
    """How many times the rows a second of the best peer ours are, of the CPU's time, the median of the rounds."""
    rounds = zip(uses["cossign"], *(uses[peer] for peer in PEERS), strict=True)
    return statistics.median(min(each[1] for each in others) / ours[1] for ours, *others in rounds)


def show_peers(results: dict[tuple[str, str], dict[str, list[Use]]], rows: int, rounds: int) -> None:
    print(f"{rows:,} rows, one core, {rounds} rounds: rows a second of the CPU's time, and the peak in MiB\n")
    print(f"| job | cossign | {' | '.join(PEERS)} | ratio to the best |\n|---|---:|{'---:|' * len(PEERS)}---:|")
    for (source, output), uses in results.items():
        cells = [
            f"{rows / statistics.median(each[1] for each in got):,.0f}, {max(each[2] for each in got):.0f}"
            for got in (uses[name] for name in ("cossign", *PEERS))
        ]
        print(f"| {source} to {output} | {' | '.join(cells)} | {ratio_to_best(uses):.2f} |")


def flat(folder: Path, counts: list[int], rounds: int) -> dict[str, list[tuple[int, float, float]]]:
    """Rows, seconds, and peak of memory in MiB, for more and more rows, into /dev/null; one row's are the start's."""
    results = {}
    for source, more in (
        ("keys.txt", []),
        ("keys.parquet", ["--to", "parquet"]),
        ("keys.csv", ["--to", "csv"]),
    ):
        found = []
        for rows in (1, *counts):
            make_flat(folder, source, rows)
            got = [timed([*PRESIGN, str(folder / source), "-o", "/dev/null", *more, *WHERE]) for _ in range(rounds)]
            removed(folder / source)
            found.append((rows, statistics.median(each[0] for each in got), max(each[1] for each in got)))
        results[" ".join([source, "to /dev/null", *more])] = found
    return results


def show_flat(results: dict[str, list[tuple[int, float, float]]]) -> None:
    print("\n| job | rows | seconds | the start's | ns a row behind it | peak, MiB |\n|---|---:|---:|---:|---:|---:|")
    for job, ((_, start, _), *found) in results.items():
        for rows, seconds, peak in found:
            behind = (seconds - start) / rows * 1e9
            print(f"| {job} | {rows:,} | {seconds:.2f} | {start:.2f} | {behind:.0f} | {peak:.0f} |")


def make_flat(folder: Path, name: str, rows: int) -> None:
    table = folder / ("keys.txt" if name == "keys.txt" else "keys.csv")
    with open(table, "w") as file:
        if name != "keys.txt":
            file.write("key\n")
        for start in range(0, rows, 10_000):
            file.write("".join(f"{key}\n" for key in keys(min(10_000, rows - start), start)))
    if name == "keys.parquet":
        subprocess.run([sys.executable, "-c", TO_PARQUET, table, folder / name], check=True)
        table.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the inputs are, or are made and stay (default: in /tmp)")
    parser.add_argument("--json", action="store_true", help="print what was measured, round by round, as JSON")
    parser.add_argument("--peers", action="store_true", help="beside DuckDB and Polars, on one core")
    parser.add_argument("--flat", type=lambda text: [int(each) for each in text.split(",")], help="numbers of rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if arguments.peers:
            others = run_peers(folder, arguments.rows, arguments.rounds)
            if arguments.json:
                print(json.dumps(list(others.items())))
            else:
                show_peers(others, arguments.rows, arguments.rounds)
        elif arguments.flat:
            grown = flat(folder, arguments.flat, arguments.rounds)
            print(json.dumps(list(grown.items()))) if arguments.json else show_flat(grown)
        else:
            found = run(folder, arguments.rows, arguments.rounds)
            print(json.dumps(list(found.items()))) if arguments.json else show(found, arguments.rows, arguments.rounds)


if __name__ == "__main__":
    main()

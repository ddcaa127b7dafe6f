"""How cost grows, and where it goes: `python -m bench.scale RESULTS [--shares] [--growth 10000,...] [--plot FILE]`.

RESULTS is a file of JSON, to which measurements are added; tables, the model and the plot are made of all that it has.

--shares runs, for each engine, reading alone, a function of the same shape that signs nothing, and signing, with the
result dropped and written, in turn, and asks what each adds. --growth runs the whole job, Parquet to Parquet, for more
and more rows, on one and on two workers. The model is fitted to all rows but HELD_OUT, and judged by those.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.engines import ENGINES, SECRETS
from bench.jobs import keys

HOWS = ("read", "noop", "sign", "noop,write", "sign,write")
HELD_OUT = 30_000_000
IN_MEMORY = {"pandas": 10_000_000}  # the most rows of an engine that holds them all
ROOT = Path(__file__).parent.parent
Results = list[dict[str, Any]]
Model = tuple[float, float, float]


# --- Measuring


def make(folder: Path, rows: int) -> Path:
    """Keys in Parquet, at most a million a file, and four files at least."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = folder / f"keys-{rows}"
    target.mkdir(parents=True)
    size = min(1_000_000, math.ceil(rows / 4))
    for number, first in enumerate(range(0, rows, size)):
        table = pa.table({"key": keys(min(size, rows - first), first)})
        pq.write_table(table, target / f"part-{number:05d}.parquet", row_group_size=100_000, compression="zstd")
    return target


def run(engine: str, workers: int, given: Path, how: str) -> dict[str, Any]:
    """One job, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=given.parent) as temporary:
        out = Path(temporary) / "urls"
        environment = {**os.environ, **SECRETS, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-W", "ignore", "-m", "bench.engines", engine, str(workers), str(given), str(out)]
        began = time.perf_counter()
        done = subprocess.run([*command, how], cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        whole = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{engine} failed with {how}:\n{done.stderr[-3000:]}")
        written = sum(file.stat().st_size for file in Path(temporary).rglob("*") if file.is_file())
    [told] = [line for line in done.stdout.splitlines() if line.startswith('{"start"')]  # engines print more
    result = {**json.loads(told), "whole": round(whole, 3), "bytes": written}
    print(engine, workers, given.name, how, result, file=sys.stderr)
    return result


def kernel() -> float:
    """Nanoseconds of a URL, each chunk used and dropped, one thread."""
    from bench.in_turn import SIGNER, arrow, streamed

    column = arrow(keys(1_000_000))
    took = []
    for _ in range(7):
        began = time.perf_counter()
        streamed(SIGNER, column)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def measure_shares(results: Results, folder: Path, engines: list[str], rows: int, rounds: int) -> None:
    given = make(folder, rows)
    for turn in range(rounds):
        results.append({"engine": "kernel", "rows": rows, "ns": round(kernel(), 2)})
        for engine in engines:
            for how in HOWS if turn % 2 == 0 else reversed(HOWS):
                if engine != "cli" or "sign" in how:
                    result = {"for": "shares", "engine": engine, "workers": 2, "rows": rows, "how": how}
                    results.append({**result, **run(engine, 2, given, how)})
    shutil.rmtree(given)


def measure_growth(results: Results, folder: Path, engines: list[str], counts: list[int]) -> None:
    for rows in counts:
        given = make(folder, rows)
        for engine in engines:
            for workers in (1, 2) if rows <= IN_MEMORY.get(engine, rows) else ():
                for _ in range(3 if rows <= 1_000_000 else 1):
                    result = {"for": "growth", "engine": engine, "workers": workers, "rows": rows}
                    results.append({**result, **run(engine, workers, given, "sign,write")})
        shutil.rmtree(given)


# --- Telling


def median(results: Results, what: str = "job", **wanted: Any) -> float | None:
    found = [each[what] for each in results if all(each.get(name) == value for name, value in wanted.items())]
    return statistics.median(found) if found else None


def show_shares(results: Results) -> None:
    """What each step adds to a row, and how a function that signs nothing compares."""
    ns = statistics.median(each["ns"] for each in results if each["engine"] == "kernel")
    print(f"The kernel: {ns:.0f} ns a URL on one core.\n")
    print(
        "| 2 workers | rows | read | to Python and back | signing | writing | the job | kernel's share | no-op / ours "
        "| and written |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for engine in ENGINES:
        shares = [each for each in results if each["engine"] == engine and each.get("for") == "shares"]
        for rows in sorted({each["rows"] for each in shares}):
            took = [median(shares, rows=rows, how=how) for how in HOWS]
            read, noop, sign, noop_write, whole = (None if each is None else each / rows * 1e9 for each in took)
            if sign is None or whole is None:
                continue
            cells = [f"{whole - sign:,.0f} ns", f"{whole:,.0f} ns", f"{ns / 2 / whole:.1%}"]
            if read is None or noop is None or noop_write is None:
                cells = ["", "", "", *cells, "", ""]
            else:
                steps = (read, noop - read, sign - noop)
                cells = [
                    *(f"{each:,.0f} ns" for each in steps),
                    *cells,
                    f"{noop / sign:.2f}",
                    f"{noop_write / whole:.2f}",
                ]
            print(f"| {engine} | {rows:,} | {' | '.join(cells)} |")


def fitted(points: list[tuple[int, int, float]]) -> Model:
    """(s, a, b) of seconds = s + rows * (a + b / workers), each at least 0, by the least relative error squared."""
    import numpy as np

    best: tuple[float, Model] = (math.inf, (0.0, 0.0, 0.0))
    terms = np.array([[1.0, rows, rows / workers] for rows, workers, _ in points])
    seconds = np.array([each[2] for each in points])
    for chosen in ((0, 1, 2), (0, 2), (0, 1), (1, 2), (2,), (1,)):
        scaled = terms[:, chosen] / seconds[:, None]
        found, *_ = np.linalg.lstsq(scaled, np.ones(len(points)), rcond=None)
        error = float(((scaled @ found - 1) ** 2).sum())
        if (found >= 0).all() and error < best[0]:
            s, a, b = (float(found[chosen.index(place)]) if place in chosen else 0.0 for place in range(3))
            best = error, (s, a, b)
    return best[1]


def show_growth(results: Results) -> dict[str, Model]:
    """The times, the model, and how right it is where it was not fitted."""
    growth = [each for each in results if each.get("for") == "growth"]
    counts = sorted({each["rows"] for each in growth})
    print("\n| seconds of the job | workers | " + " | ".join(f"{rows:,}" for rows in counts) + " | start |")
    print("|---|---:|" + "---:|" * (len(counts) + 1))
    models = {}
    for engine in ENGINES:
        points = []
        for workers in (1, 2):
            cells = []
            for rows in counts:
                seconds = median(growth, engine=engine, workers=workers, rows=rows)
                cells.append("" if seconds is None else f"{seconds:.2f}")
                if seconds is not None and rows != HELD_OUT:
                    points.append((rows, workers, seconds))
            start = median(growth, "start", engine=engine, workers=workers)
            if start is not None:
                print(f"| {engine} | {workers} | {' | '.join(cells)} | {start:.1f} |")
        if points:
            models[engine] = fitted(points)
    print(f"\n| engine | s, seconds | a, ns | b, ns | at {HELD_OUT:,} rows, 1 worker | 2 workers |")
    print("|---|---:|---:|---:|---:|---:|")
    for engine, (s, a, b) in models.items():
        cells = []
        for workers in (1, 2):
            seconds = median(growth, engine=engine, workers=workers, rows=HELD_OUT)
            predicted = s + HELD_OUT * (a + b / workers)
            told = (
                f"{predicted:.1f} predicted, {seconds:.1f} measured: {predicted / seconds - 1:+.0%}" if seconds else ""
            )
            cells.append(told)
        print(f"| {engine} | {s:.2f} | {a * 1e9:,.0f} | {b * 1e9:,.0f} | {' | '.join(cells)} |")
    return models


def plot(results: Results, models: dict[str, Model], file: Path) -> None:
    """Seconds by rows, of each engine on two workers: measured, held out, and what the model says."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cossign"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    growth = [each for each in results if each.get("for") == "growth" and each["workers"] == 2]
    line = [10 ** (4 + step / 20) for step in range(81)]
    for number, (engine, (s, a, b)) in enumerate(models.items()):
        color = f"C{number}"
        axes.plot(line, [s + rows * (a + b / 2) for rows in line], color=color, linewidth=1, label=engine)
        for rows in sorted({each["rows"] for each in growth if each["engine"] == engine}):
            seconds = median(growth, engine=engine, rows=rows)
            filled = "none" if rows == HELD_OUT else color
            axes.plot(rows, seconds, "o", color=color, markerfacecolor=filled, markersize=5)
    axes.set(xscale="log", yscale="log", xlabel="keys", ylabel="seconds, without the engine's start")
    axes.set_title("Parquet to Parquet, two workers on two cores; lines: the model; rings: not fitted to", fontsize=9)
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--shares", action="store_true")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of --shares")
    parser.add_argument("--rounds", type=int, default=3, help="of --shares")
    parser.add_argument("--growth", type=lambda text: [int(each) for each in text.split(",")], default=[])
    parser.add_argument("--engines", type=lambda text: text.split(","), default=list(ENGINES))
    parser.add_argument("--folder", type=Path, help="where keys and URLs are made (default: in /tmp)")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    results: Results = json.loads(arguments.results.read_text()) if arguments.results.exists() else []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        try:
            if arguments.shares:
                measure_shares(results, Path(folder), arguments.engines, arguments.rows, arguments.rounds)
            measure_growth(results, Path(folder), arguments.engines, arguments.growth)
        finally:
            arguments.results.write_text("[\n" + ",\n".join(json.dumps(each) for each in results) + "\n]\n")
    if any(each["engine"] == "kernel" for each in results):
        show_shares(results)
    models = show_growth(results)
    if arguments.plot:
        plot(results, models, arguments.plot)


if __name__ == "__main__":
    main()

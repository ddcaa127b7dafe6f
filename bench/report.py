"""`make report`: measures everything that bench/ has, with all peers that install, and tells it on a page.

    python -m bench report [FOLDER] [--quick] [--only signers,jobs] [--kept]

Each suite gives measurements; they go to FOLDER/report.json as soon as a suite ends, and bench/pages.py makes the page
and its plots of that file alone, so that a page can be made again without measuring: --kept.

A measurement is a dict: its suite and name, unit, whether "more" or "less" is better, the median of its rounds, and
their spread (what the middle half of the rounds spreads over, as a share of the median).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any

from bench import buckets, compare, gateway, instructions, jobs, pages, scale
from bench import clients as http_clients
from bench.in_turn import BY_HAND, contenders, in_turn, repeated, spread
from bench.kernels import hashing
from bench.peers import by_hand, cos_go_sdk, cos_nodejs_sdk
from bench.test_signing import (
    CLIENT,
    ESCAPES,
    KEYS,
    NATIVE,
    PEERS,
    QUERIES,
    SECRETS,
    SIGNER,
    WHERE,
    arrow,
    blocks,
    other_sha1,
    signer,
    streamed,
    with_escapes,
    with_query,
)
from cossign import COS, __version__, _core, engines

Measurement = dict[str, Any]
ROOT = Path(__file__).parent.parent
LAST = ROOT / "docs" / "benchmarks" / "report.json"
LENGTHS = (8, 16, 35, 64, 100, 200, 400, 850)
PERCENTILES = (50, 75, 90, 95, 99, 99.5, 99.9)


def measurement(
    suite: str, name: str, unit: str, rounds: list[float], better: str = "more", **more: Any
) -> Measurement:
    return {
        "suite": suite, "name": name, "unit": unit, "better": better, "median": statistics.median(rounds),
        "spread": spread(rounds), "rounds": len(rounds), **more,
    }  # fmt: skip


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{each:g}": ordered[min(len(ordered) - 1, int(len(ordered) * each / 100))] for each in PERCENTILES}


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Pinned to the last core, which has the least else to do."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# --- The machine ------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """What a reader must know to judge the numbers, or to repeat them."""
    facts: dict[str, Any] = {
        "cossign": __version__, "commit": _core.built()[1], "compiler": _core.built()[0], "engines": list(engines()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "cores": os.cpu_count(),
        "when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }  # fmt: skip
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text()
        facts["cpu"] = re.findall(r"model name\s*: (.*)", text)[0]
        facts["virtual"] = " hypervisor" in text
        facts["caches"] = ", ".join(
            f"L{(each / 'level').read_text().strip()} {(each / 'size').read_text().strip()}"
            for each in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
            if (each / "type").read_text().strip() != "Instruction"
        )
        facts["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
        facts["huge pages"] = re.findall(r"\[(\w+)\]", Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text())[
            0
        ]
    facts["load before"] = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return facts


def version(peer: Any) -> str:
    if peer is cos_go_sdk:
        return re.findall(r"cos-go-sdk-v5 v([\d.]+)", cos_go_sdk.MODULE)[0]
    if peer is cos_nodejs_sdk:
        with contextlib.suppress(OSError):
            package = cos_nodejs_sdk.ORACLES / "node_modules" / peer.PACKAGE / "package.json"
            node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
            return f"{json.loads(package.read_text())['version']}, Node.js {node}"
        return ""
    return "" if peer.PACKAGE is None else importlib.metadata.version(peer.PACKAGE)


# --- Suites -----------------------------------------------------------------------------------------------------------


def kernels(quick: bool, folder: Path) -> Iterator[Measurement]:
    """SHA-1 alone: what bounds signing."""
    calls = {engine: repeated(*hashing(engine)) for engine in NATIVE}
    calls.update(other_sha1())
    with one_core():
        for name, seconds in in_turn(calls, 3 if quick else 101).items():
            yield measurement("kernels", name, "blocks/s", [1 / each for each in seconds])


def signers(quick: bool, folder: Path) -> Iterator[Measurement]:
    """All of them in turn, each as its users call it for many keys."""
    with one_core():  # before the peers' own processes begin: they stay where this one is
        calls, left_out = contenders()
        for name, seconds in in_turn(calls, 2 if quick else 31).items():
            about: dict[str, Any] = {}
            if name in PEERS:
                peer = PEERS[name][0]
                about = {"version": version(peer), "does": peer.DOES, "url": calls[name][0]()[0]}
            yield measurement("signers", name, "URLs/s", [1 / each for each in seconds], **about)
    for name, reason in left_out.items():
        yield {"suite": "signers", "name": name, "left out": reason}


def lengths(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Each engine by the length of keys, each beside its own SHA-1 in the same round."""
    source = random.Random(1)
    with one_core():
        for length in LENGTHS:
            rows = 1000 if quick else 20_000_000 // (length + 100)  # some tens of MB of URLs
            keys = ["".join(source.choices("abcdefgh0123", k=length)) for _ in range(rows)]
            column = arrow(keys)
            calls: dict[str, Any] = {}
            for engine in engines():
                calls[engine] = partial(streamed, signer(engine), column), rows
                if engine in NATIVE:
                    calls[f"{engine} alone"] = hashing(engine, 10 if quick else 300)
            taken = in_turn(calls, 2 if quick else 7)
            for engine in engines():
                bound = {}
                if engine in NATIVE:
                    alone = zip(taken[f"{engine} alone"], taken[engine], strict=True)
                    bound = {
                        "bound": 1 / blocks(keys) / statistics.median(taken[f"{engine} alone"]),
                        "share": statistics.median(blocks(keys) * block / url for block, url in alone),
                    }
                name, rates = f"{engine}, {length} bytes", [1 / each for each in taken[engine]]
                yield measurement(
                    "lengths", name, "URLs/s", rates, engine=engine, length=length, blocks=blocks(keys), **bound
                )


def inputs(quick: bool, folder: Path) -> Iterator[Measurement]:
    """presign_arrow by what keys need: percent-encoding, signed parameters."""
    plain = arrow(KEYS * 5)
    calls: dict[str, tuple[Callable[[], Any], int]] = {"plain keys": (partial(streamed, SIGNER, plain), len(plain))}
    for share in ESCAPES:
        if share != "none":
            calls[share] = partial(streamed, SIGNER, arrow(with_escapes(share))), len(plain)
    for query in QUERIES:
        if query != "none":
            calls[f"{query} parameter"] = partial(streamed, SIGNER, plain, query=with_query(query)), len(plain)
    with one_core():
        for name, seconds in in_turn(calls, 2 if quick else 21).items():
            yield measurement("inputs", name, "URLs/s", [1 / each for each in seconds])


def with_odd_keys(rows: int) -> list[str]:
    """Keys of 10 to 200 bytes. One in ten has Chinese text."""
    source = random.Random(1)
    keys = ["".join(source.choices("abcdefgh0123", k=source.randint(10, 200))) for _ in range(rows)]
    keys[::10] = [f"照片/2026/11/23/腾讯云对象存储_{number:08d}.jpg" for number in range(len(keys[::10]))]
    return keys


def read_once(urls: Iterable[Any]) -> None:
    for _ in urls:
        pass


def bulk(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Every call for many keys, in turn, beside the loop by hand, the SHA-1 that bounds them, and making the str."""
    import pyarrow as pa

    rows, million = (2000, 2000) if quick else (200_000, 1_000_000)
    many = [f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(million)]
    typical, odd = many[:rows], with_odd_keys(rows)
    column, kept_column = arrow(typical), arrow(many)
    urls, text = SIGNER.presign_many(KEYS, expires=86400), SIGNER.presign(many[0]).encode()
    expiries = {count: pa.array([60 + row % count for row in range(rows)]) for count in (1000, rows)}
    methods = pa.array([("GET", "PUT", "HEAD", "DELETE", "POST")[row % 5] for row in range(rows)])
    streams: dict[str, dict[str, Any]] = {
        "a fixed method, PUT": {"method": "PUT"}, "1,000 expiries": {"expires": expiries[1000]},
        "all expiries differ": {"expires": expiries[rows]}, "5 methods": {"method": methods},
    }  # fmt: skip
    hand = by_hand.make(*SECRETS, *WHERE)
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "SHA-1 alone": hashing(NATIVE[0], 5 if quick else 500),
        BY_HAND: (lambda: hand(KEYS), len(KEYS)),
        "presign_arrow, typical keys": (partial(streamed, SIGNER, column), rows),
        "presign_arrow, keys of 10 to 200 bytes, one in ten Chinese": (partial(streamed, SIGNER, arrow(odd)), rows),
        **{
            f"presign_arrow, {name}": (partial(streamed, SIGNER, column, **parameters), rows)
            for name, parameters in streams.items()
        },
        "presign_arrow, a million kept": (lambda: pa.chunked_array(SIGNER.presign_arrow(kept_column)), million),
        "presign_packed, 10,000 keys, each URL read once": repeated(
            lambda: read_once(SIGNER.presign_packed(KEYS)), len(KEYS), 20
        ),
        "presign_packed, a million, each URL read once": (lambda: read_once(SIGNER.presign_packed(many)), million),
        "presign_many, 10,000 keys": repeated(lambda: SIGNER.presign_many(KEYS), len(KEYS), 10),
        "presign_many, a million kept": (lambda: SIGNER.presign_many(many), million),
        "making a million str alone": (lambda: [text.decode() for _ in range(million)], million),
        "verify_many": repeated(lambda: SIGNER.verify_many(urls), len(urls), 10),
        "verify_many with max_expires, revoked, require_headers": repeated(
            lambda: SIGNER.verify_many(urls, max_expires=86400, revoked={"AKIDanother"}, require_headers=["host"]),
            len(urls), 10,
        ),
    }  # fmt: skip
    with one_core():
        taken = in_turn(calls, 2 if quick else 9)
    for name, seconds in taken.items():
        more = {}
        if name.startswith("presign_arrow, ") and "kept" not in name:
            count = blocks(odd if "Chinese" in name else typical)
            pairs = zip(taken["SHA-1 alone"], seconds, strict=True)
            more["share"] = statistics.median(count * block / url for block, url in pairs)
        unit = "blocks/s" if name == "SHA-1 alone" else "URLs/s"
        yield measurement("bulk", name, unit, [1 / each for each in seconds], **more)


def clients(quick: bool, folder: Path) -> Iterator[Measurement]:
    """What signing adds to a call of requests and httpx."""
    for client, where, credentials, (call, added, carried) in http_clients.every(2 if quick else 30):
        name = f"{client}, {'over loopback' if where == 'loopback' else 'nothing sent'}, {credentials} credentials"
        # What is compared is the whole call: what signing adds is a difference, and may be less than the noise.
        signed = [sum(each) for each in zip(call, added, strict=True)]
        about = {"added": statistics.median(added), "carried": statistics.median(carried)}
        yield measurement("clients", name, "us", signed, "less", **about)


def side_by_side(work: list[Callable[[], None]]) -> None:
    """Each in a thread of its own."""
    started = [threading.Thread(target=each) for each in work]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def threads(quick: bool, folder: Path) -> Iterator[Measurement]:
    """presign_arrow, streamed, by more and more threads, beside threads of C that only hash: what the cores can do."""
    column = arrow([f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(20_000 if quick else 2_000_000)])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [count for count in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if count <= cores]
    calls: dict[Any, tuple[Callable[[], Any], int]] = {}
    for count in counts:
        calls[count] = partial(streamed, SIGNER, column, threads=count), len(column)
        works = [hashing(NATIVE[0], 10 if quick else 5000) for _ in range(count)]
        calls["alone", count] = partial(side_by_side, [call for call, _ in works]), sum(size for _, size in works)
    taken = in_turn(calls, 2 if quick else 15)
    for count in counts:
        ours = statistics.median(one / more for one, more in zip(taken[1], taken[count], strict=True))
        alone = zip(taken["alone", 1], taken["alone", count], strict=True)
        cores_ratio = statistics.median(one / more for one, more in alone)
        rates = [1 / each for each in taken[count]]
        yield measurement("threads", str(count), "URLs/s", rates, threads=count, ratio=ours, cores=cores_ratio)


def one_key(presign: Callable[[list[str]], list[str]], key: str) -> list[str]:
    return presign([key])


def calls(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Single calls, each timed alone."""
    urls = {key: SIGNER.presign(key, expires=86400) for key in KEYS[:500]}
    verifier = SIGNER.verifier(max_expires=86400, revoked={"AKIDanother"}, require_headers=["host"])
    message = b"x" * 110
    ours: dict[str, Callable[[str], Any]] = {
        "hashlib.sha1, 110 bytes": lambda key: sha1(message).digest(),
        "cossign Signer.presign": SIGNER.presign,
        "cossign Signer.presign, PUT": lambda key: SIGNER.presign(key, method="PUT"),
        "cossign Signer.presign, expires=": lambda key: SIGNER.presign(key, expires=3600),
        "cossign Signer.authorization": lambda key: SIGNER.authorization("GET", key),
        "cossign Signer.verify": lambda key: SIGNER.verify(urls[key]),
        "cossign Verifier.verify, with terms": lambda key: verifier.verify(urls[key]),
        "cossign COS.getObjectUrl": lambda key: CLIENT.getObjectUrl(Bucket=WHERE[0], Region=WHERE[1], Key=key),
        "cossign COS.getAuthorization": lambda key: COS.getAuthorization(
            SecretId=SECRETS[0], SecretKey=SECRETS[1], Key=key
        ),
    }
    for name, (peer, _) in PEERS.items():
        if peer not in (cos_go_sdk, cos_nodejs_sdk):  # a pipe would be measured
            with contextlib.suppress(ImportError):
                ours[name] = partial(one_key, peer.make(*SECRETS, *WHERE))
    took: dict[str, list[float]] = {name: [] for name in ours}
    with one_core():
        for turn in range(3 if quick else 21):
            for name, call in ours.items():
                for key in KEYS[: 20 if quick else 500]:
                    began = time.perf_counter_ns()
                    call(key)
                    took[name].append((time.perf_counter_ns() - began) / 1000)
                if turn == 0:  # it warms up
                    took[name].clear()
    for name, micros in took.items():
        yield measurement("calls", name, "us", micros, "less", **percentiles(micros))


def counted(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Instructions of a URL: the same on every run of one build."""
    for name, number in instructions.measured().items():
        yield measurement("instructions", name, "instructions", [number], "less", build=_core.built()[0])


def in_jobs(*more: str) -> Any:
    """What bench.jobs measures, in a small process of its own: a child's peak of memory begins with its parent's."""
    command = [sys.executable, "-m", "bench.jobs", "--json", *more]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def memory(quick: bool, folder: Path) -> Iterator[Measurement]:
    """The command line's peak of memory, for more and more rows."""
    counts = "1000,10000" if quick else "10000,100000,1000000,10000000"
    for job, (_, *found) in in_jobs("--folder", str(folder), "--flat", counts, "--rounds", "1"):
        for rows, seconds, peak in found:
            name = f"{job}, {rows:,} rows"
            yield measurement("memory", name, "MiB", [peak], "less", job=job, rows=rows, seconds=seconds)


def files(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Whole jobs of the command line, files and start included, beside what they cannot beat."""
    rows, rounds = (2000, 1) if quick else (5_000_000, 3)
    for (source, output, kind), got in in_jobs("--folder", str(folder), "--rows", str(rows), "--rounds", str(rounds)):
        beside = [seconds / other for seconds, _, other in got if other is not None]
        more = {"beside": kind, "ratio": statistics.median(beside)} if beside else {}
        rates, peak = [rows / seconds for seconds, _, _ in got], max(each[1] for each in got)
        yield measurement("files", f"{source} to {output}", "rows/s", rates, rows=rows, peak=peak, **more)


def beside(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Whole jobs on one core, in turn with DuckDB and Polars, which write text of the same length and sign nothing."""
    rows, rounds = (2000, 1) if quick else (2_000_000, 3)
    for (source, output), uses in in_jobs(
        "--folder", str(folder), "--rows", str(rows), "--rounds", str(rounds), "--peers"
    ):
        peers = {peer: rows / statistics.median(cpu for _, cpu, _ in uses[peer]) for peer in jobs.PEERS}
        more = {
            "peers": peers,
            "ratio": jobs.ratio_to_best(uses),
            "rows": rows,
            "peak": max(use[2] for use in uses["cossign"]),
        }
        yield measurement(
            "beside", f"{source} to {output}", "rows/s", [rows / cpu for _, cpu, _ in uses["cossign"]], **more
        )


def listing(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Listing and reading a bucket beside Tencent's SDK alone, over loopback."""
    for name, objects, delay, rounds in (
        ("list, an answer at once", 2000 if quick else 50_000, 0.0, 5),
        ("list, an answer in 50 ms", 2000 if quick else 50_000, buckets.DELAY, 3),
        ("read 100 MB", 0, 0.0, 5),
    ):
        alone, ours = buckets.compare(objects, delay, 1 if quick else rounds)
        pairs = zip(alone, ours, strict=True)
        more = {"ratio": statistics.median(one / other for other, one in pairs), "alone": statistics.median(alone)}
        yield measurement("listing", name, "objects/s" if objects else "bytes/s", ours, **more)


def served(quick: bool, folder: Path) -> Iterator[Measurement]:
    """The gateway beside a constant answer of the same server."""
    if not shutil.which("wrk"):
        yield {"suite": "gateway", "name": "all", "left out": "wrk is not installed"}
        return
    for found in gateway.ratios(folder, 1 if quick else 3, 1):
        name = f"granian, {found['answer']}, {found['connections']} connections"
        if "rates" in found:
            ratio = statistics.median(ours / constant for constant, ours in found["rates"])
            rates = [ours for _, ours in found["rates"]]
            yield measurement("gateway", name, "requests/s", rates, ratio=ratio)
            continue
        for which, place in (("constant", 0), ("cossign", 1)):
            millis = [value for turn in found["delays"] for value in turn[place]]
            told = f"granian, {found['answer']}: {which} at {found['at']:,.0f}/s"
            about = {"server": "granian", "answer": found["answer"], "which": which, "at": found["at"]}
            yield measurement("delays", told, "ms", millis, "less", **about, **percentiles(millis))


def columns(quick: bool, folder: Path) -> Iterator[Measurement]:
    """Engines of columns, Parquet to Parquet: ours, and one that signs nothing. Ray and Spark have two workers."""
    rows = 2000 if quick else 2_000_000
    given = scale.make(folder, rows)
    for engine in ("polars",) if quick else ("polars", "duckdb", "pandas", "ray", "spark"):
        workers, rounds = (1, 1) if quick else (2, 2) if engine in ("ray", "spark") else (1, 7)
        took: dict[str, list[float]] = {"noop,write": [], "sign,write": []}
        try:
            with one_core() if workers == 1 else contextlib.nullcontext():
                for _ in range(rounds):
                    for how, seconds in took.items():
                        seconds.append(scale.run(engine, workers, given, how)["job"])
        except SystemExit as error:
            yield {"suite": "columns", "name": engine, "left out": str(error).strip().splitlines()[-1]}
            continue
        ratio = statistics.median(
            noop / ours for noop, ours in zip(took["noop,write"], took["sign,write"], strict=True)
        )
        rates = [rows / seconds for seconds in took["sign,write"]]
        yield measurement("columns", engine, "rows/s", rates, rows=rows, ratio=ratio, workers=workers)


SUITES: dict[str, Callable[[bool, Path], Iterator[Measurement]]] = {
    "kernels": kernels, "signers": signers, "bulk": bulk, "lengths": lengths, "inputs": inputs, "threads": threads,
    "calls": calls, "clients": clients, "instructions": counted, "memory": memory, "files": files, "beside": beside,
    "listing": listing, "gateway": served, "columns": columns,
}  # fmt: skip


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "report")
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it works: no numbers to quote")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of {', '.join(SUITES)}")
    parser.add_argument("--kept", action="store_true", help="make the page of what FOLDER/report.json has")
    parser.add_argument("--last", type=Path, default=LAST, help="the report to compare with (default: the kept one)")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "report.json"
    result: dict[str, Any] = {"machine": machine(), "quick": given.quick, "seconds": {}, "measurements": []}
    if kept.exists() and (given.kept or given.only):
        result = json.loads(kept.read_text())
    for name in [] if given.kept else given.only or SUITES:
        began = time.perf_counter()
        print(f"{name}: {(SUITES[name].__doc__ or '').splitlines()[0]}", flush=True)
        with tempfile.TemporaryDirectory() as temporary:
            found = list(SUITES[name](given.quick, Path(temporary)))
        suites = {each["suite"] for each in found}
        result["measurements"] = [each for each in result["measurements"] if each["suite"] not in suites] + found
        result["seconds"][name] = round(time.perf_counter() - began, 1)
        write(result, kept)
        print(f"    {result['seconds'][name]} s", flush=True)
    if given.last.exists() and given.last.resolve() != kept.resolve():
        result["last"] = since(given.last, result)
        write(result, kept)
    print(f"The page is {pages.write(result, given.folder)}")
    return 0


def write(result: dict[str, Any], path: Path) -> None:
    lines = ",\n".join(f"  {json.dumps(each)}" for each in result["measurements"])
    head = json.dumps({key: value for key, value in result.items() if key != "measurements"}, indent=1)
    path.write_text(f'{head[:-2]},\n "measurements": [\n{lines}\n ]\n}}\n')


def since(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What got worse since another report, and how much got better."""
    last = json.loads(path.read_text())
    facts = {name: last["machine"].get(name) for name in ("commit", "when", "cpu")}
    changes = compare.compared(last, result, facts["cpu"] == result["machine"].get("cpu"))
    worse = [[each.suite, each.name, each.ratio, each.noise] for each in changes if each.told == "WORSE"]
    return {**facts, "both": len(changes), "better": sum(each.told == "better" for each in changes), "worse": worse}

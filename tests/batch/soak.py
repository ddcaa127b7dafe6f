"""Jobs that are ended at random moments, gone on with, and compared: `python -m tests.batch.soak [--kills 50] ...`.

Each round begins a job of parts, ends it somewhere, looks whether anything half-written has a final name, resumes it, and
compares every byte with those of a job that nobody ended. The input, the formats and the moments are random.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tests.waiting import PATIENCE

COSSIGN = [sys.executable, "-m", "cossign"]
WHERE = ["-b", "examplebucket-1250000000", "-r", "ap-beijing", "--start", "1700000000"]
ENVIRONMENT = {
    **os.environ, "COS_SECRET_ID": "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q",
    "COS_SECRET_KEY": "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
}  # fmt: skip
INPUTS = ("keys.txt", "keys.txt.gz", "keys.csv", "keys.jsonl", "keys.parquet", "keys.arrow", "inventory")
FORMATS = ("txt", "csv", "jsonl.gz", "parquet", "arrow", "txt.zst")


def make_inputs(folder: Path, rows: int, seed: int = 1) -> None:
    """The same keys in every format that is read; some of them cannot be signed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chosen = random.Random(seed)
    odd = ["a b", "腾讯/云", 'quo"te', "comma,here", "+%&=", "😀"]
    keys = [
        "/bad" if chosen.random() < 0.001 else f"{chosen.choice(odd)}/{chosen.randrange(1 << 40)}/{number:08d}.jpg"
        for number in range(rows)
    ]
    text = "".join(f"{key}\n" for key in keys).encode()
    (folder / "keys.txt").write_bytes(text)
    (folder / "keys.txt.gz").write_bytes(gzip.compress(text, 1))
    with open(folder / "keys.csv", "w", newline="") as file:
        csv.writer(file).writerows([["key", "size"], *zip(keys, range(rows), strict=True)])
    (folder / "keys.jsonl").write_text(
        "".join(json.dumps({"key": key, "size": size}) + "\n" for size, key in enumerate(keys))
    )
    table = pa.table({"key": keys, "size": range(rows)})
    pq.write_table(table, folder / "keys.parquet", row_group_size=rows // 3 + 1)
    with pa.OSFile(str(folder / "keys.arrow"), "wb") as raw, pa.ipc.new_file(raw, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows // 5 + 1)
    make_inventory(folder / "inventory", keys)


def make_inventory(folder: Path, keys: list[str], parts: int = 3) -> None:
    """An inventory report, as COS writes it: gzipped CSV without a header, keys URL-encoded."""
    folder.mkdir()
    files = []
    for part in range(parts):
        rows = keys[part * len(keys) // parts : (part + 1) * len(keys) // parts]
        data = gzip.compress(
            "".join(f'"1250000000","b","{quote(key, safe="")}","{len(key)}"\n' for key in rows).encode(), 1, mtime=0
        )
        (folder / f"{part}.csv.gz").write_bytes(data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        files.append({"key": f"cos/1/b/{part}.csv.gz", "size": str(len(data)), "md5Checksum": md5})
    manifest = {"fileFormat": "CSV", "fileSchema": "Appid, Bucket, Key, Size", "files": files}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "listObjectCount": str(len(keys))}))


def command(source: Path, output: Path, form: str, rows_per_part: int, *more: str) -> list[str]:
    """A job of parts."""
    return [
        *COSSIGN, "presign", str(source), "-o", str(output), "--to", form, "--rows-per-part", str(rows_per_part),
        "--on-error", "null", *WHERE, *more,
    ]  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    """What a job has left under final names."""
    if not folder.exists():
        return {}
    return {
        each.name: hashlib.sha256(each.read_bytes()).hexdigest()
        for each in sorted(folder.iterdir())
        if not each.name.startswith(".")
    }


class Reference:
    """What a job gives that nobody ends, and how long it takes."""

    def __init__(self, source: Path, output: Path, form: str, rows_per_part: int) -> None:
        began = time.monotonic()
        done = subprocess.run(
            command(source, output, form, rows_per_part), env=ENVIRONMENT, stderr=subprocess.PIPE, check=False
        )
        self.seconds = time.monotonic() - began
        assert done.returncode == 1, done.stderr.decode()  # some rows are bad
        self.files = contents(output)
        assert len(self.files) > 2

    def check_unfinished(self, output: Path) -> None:
        """Whatever has a final name is complete."""
        for name, digest in contents(output).items():
            assert self.files.get(name) == digest, f"{output / name} is not what it should be"

    def check_finished(self, output: Path) -> None:
        assert contents(output) == self.files
        left = {name for name in os.listdir(output) if name.startswith(".")}
        assert left == {".journal.jsonl"}, left


def ended_by_signal(
    reference: Reference, source: Path, output: Path, form: str, rows_per_part: int, number: int, moment: float
) -> bool:
    """Send a signal some seconds after the start; then go on. Returns whether the job was still at work."""
    shutil.rmtree(output, ignore_errors=True)
    started = command(source, output, form, rows_per_part)
    restore: Callable[[], object] = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(started, env=ENVIRONMENT, stderr=subprocess.PIPE, preexec_fn=restore) as process:
        time.sleep(moment)
        process.send_signal(number)
        error = process.communicate(timeout=PATIENCE)[1]
    hit = process.returncode != 1
    if hit:
        expected = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[signal.Signals(number)]
        early = {signal.SIGINT: (-2, 130), signal.SIGTERM: (-15, 143)}.get(signal.Signals(number), (-9,))
        assert process.returncode in (expected, *early), (process.returncode, error.decode())
    reference.check_unfinished(output)
    resume(source, output, form, rows_per_part)
    reference.check_finished(output)
    return hit


def resume(source: Path, output: Path, form: str, rows_per_part: int) -> None:
    done = subprocess.run(
        command(source, output, form, rows_per_part, "--resume"), env=ENVIRONMENT, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 1, done.stderr.decode()


def soak(folder: Path, rows: int, kills: int, interrupts: int, seed: int, say: Callable[[str], object] = print) -> None:
    """That many SIGKILLs, SIGINTs and SIGTERMs, at random moments of random jobs."""
    chosen = random.Random(seed)
    make_inputs(folder, rows)
    references: dict[tuple[str, str], Reference] = {}
    per_part = rows // 12 + 1
    signals = [signal.SIGKILL] * kills + [signal.SIGINT, signal.SIGTERM] * interrupts
    hits = 0
    for count, number in enumerate(signals):
        name, form = chosen.choice(INPUTS), chosen.choice(FORMATS)
        reference = references.get((name, form))
        if reference is None:
            output = folder / f"reference-{name}-{form}"
            reference = references[name, form] = Reference(folder / name, output, form, per_part)
            shutil.rmtree(output)
        moment = chosen.uniform(0.1, reference.seconds)
        hit = ended_by_signal(reference, folder / name, folder / "out", form, per_part, number, moment)
        hits += hit
        what = "ended" if hit else "was done before"
        say(f"{count + 1}/{len(signals)}: {name} to {form}, {signal.Signals(number).name} after {moment:.2f} s: {what}")
    say(f"{len(signals)} jobs, {hits} of them ended at work: each gave the same bytes as one that nobody ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--interrupts", type=int, default=20, help="as many SIGINTs, and as many SIGTERMs")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        soak(Path(folder), arguments.rows, arguments.kills, arguments.interrupts, arguments.seed)


if __name__ == "__main__":
    main()

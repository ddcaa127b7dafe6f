"""Instructions of one URL, counted by valgrind's callgrind: `python -m bench.instructions`.

They are the same on every run of the same build, whatever else the machine does, so that a change of the code shows
where a clock would not tell it from noise. Each call is counted for FEW and for MANY keys; the difference is what its
rows cost. valgrind has AVX2 at most.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

FEW, MANY = 1024, 9216  # keys, whole tiles of each engine; PROGRAM makes as many for both
CALLS = {
    "presign_arrow, avx2": "list(map(len, signer('avx2').presign_arrow(column, key_time=span)))",
    "presign_arrow, sse2": "list(map(len, signer('sse2').presign_arrow(column, key_time=span)))",
    "presign_arrow, portable": "list(map(len, signer('portable').presign_arrow(column, key_time=span)))",
    "presign_many, avx2": "signer('avx2').presign_many(keys[:rows], key_time=span)",
    "verify_many, avx2": "signer('avx2').verify_many([url] * rows)",
}
PROGRAM = """
import sys, nanoarrow
from cossign import Credentials, Signer
span = (1764000000, 4102444800)
def signer(engine):
    return Signer(Credentials("AKID", "key"), bucket="examplebucket-1250000000", region="ap-beijing", engine=engine)
keys = [f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(9216)]
columns = {count: nanoarrow.c_array(keys[:count], nanoarrow.string()) for count in (1024, 9216)}  # both, for both
rows = int(sys.argv[1])
column = columns[rows]
url = signer("hashlib").presign(keys[0], key_time=span)
"""


def counted(call: str, rows: int) -> int:
    """The instructions of a whole process that calls once."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable, "-c"]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, PROGRAM + CALLS[call], str(rows)], capture_output=True, text=True, check=False, env=environment
        )
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or not found:
            raise RuntimeError(f"valgrind could not count {call}: {done.stderr[-2000:]}")
        return int(found[1])


def measured() -> dict[str, float]:
    """Instructions a URL, of each call; none where valgrind is not installed."""
    if not shutil.which("valgrind"):
        return {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        runs = {(call, rows): threads.submit(counted, call, rows) for call in CALLS for rows in (FEW, MANY)}
        found = {each: run.result() for each, run in runs.items()}
    return {call: (found[call, MANY] - found[call, FEW]) / (MANY - FEW) for call in CALLS}


def main() -> None:
    print("| instructions a URL | |\n|---|---:|")
    for call, number in measured().items():
        print(f"| {call} | {number:,.0f} |")


if __name__ == "__main__":
    main()

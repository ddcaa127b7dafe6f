"""Instructions of one URL, counted by valgrind's callgrind: `python -m bench.instructions`.

They are the same on every run of the same build, on a busy machine too, so that a change of the code shows
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
ARROW = "list(map(len, signer({engine!r}).presign_arrow({keys}, {more})))"
CALLS = {
    **{f"presign_arrow, {engine}": ARROW.format(engine=engine, keys="column", more="key_time=span")
       for engine in ("avx2", "sse2", "portable")},
    "presign_arrow, keys of many lengths, avx2": ARROW.format(engine="avx2", keys="mixed", more="key_time=span"),
    "presign_arrow, Chinese keys, avx2": ARROW.format(engine="avx2", keys="chinese", more="key_time=span"),
    "presign_arrow, a column of versions, avx2": ARROW.format(
        engine="avx2", keys="column", more="key_time=span, query={'versionId': column}"
    ),
    "presign_arrow, a column of expiries, avx2": ARROW.format(engine="avx2", keys="column", more="expires=expiries"),
    "presign_many, avx2": "signer('avx2').presign_many(keys[:rows], key_time=span)",
    "presign_packed, avx2": "list(signer('avx2').presign_packed(keys[:rows], key_time=span))",
    "verify_many, avx2": "signer('avx2').verify_many([url] * rows)",
    "verify_many with terms, avx2": "signer('avx2').verify_many([url] * rows, max_expires='999999d', revoked={'AK'})",
    "lines of text, avx2": "list(map(len, signer('avx2').sign_column(Lines([lines]), Chunks(1, True, b'\\n'))))",
    "Signer.presign": "one = signer('portable').presign\nfor key in keys[:rows]: one(key)",
    "Signer.verify": "one = signer('portable').verify\nfor key in keys[:rows]: one(url)",
    "COS.getObjectUrl": "for key in keys[:rows]: client.getObjectUrl(Bucket=bucket, Region='ap-beijing', Key=key)",
    "COS.getAuthorization": "for key in keys[:rows]: COS.getAuthorization(SecretId='AKID', SecretKey='key', Key=key)",
}  # fmt: skip
PROGRAM = """
import sys, nanoarrow
from cossign import COS, Credentials, Signer
from cossign._arrow import Lines
from cossign.bulk import Chunks
bucket = "examplebucket-1250000000"
client = COS(SecretId="AKID", SecretKey="key")
span = (1764000000, 4102444800)
def signer(engine):
    return Signer(Credentials("AKID", "key"), bucket=bucket, region="ap-beijing", engine=engine).at(span[0])
keys = [f"photos/2026/11/23/img_{number:08d}.jpg" for number in range(9216)]
def prepared(count):
    return {
        "column": nanoarrow.c_array(keys[:count], nanoarrow.string()),
        "mixed": nanoarrow.c_array(
            [key[: 10 + number % 25] + key * (number % 4) for number, key in enumerate(keys[:count])],
            nanoarrow.string(),
        ),
        "chinese": nanoarrow.c_array([f"照片/腾讯云{key}" for key in keys[:count]], nanoarrow.string()),
        "expiries": nanoarrow.c_array([60 + number % 100 for number in range(count)], nanoarrow.int64()),
        "lines": "".join(f"{key}\\n" for key in keys[:count]).encode(),
    }
both = {count: prepared(count) for count in (1024, 9216)}  # for both, so that only the call's own rows differ
rows = int(sys.argv[1])
globals().update(both[rows])
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

"""Which order of a round's statements is fastest: tries orders, pins and forms of lanes.h, compiler by compiler.

``python -m bench.order [avx2|avx512|sse2|neon] [COMPILER...]`` prints the best and what lanes.h has now. All of them do
the same arithmetic; the order alone decides whether the compiler's schedule is good. lanes.h pins what was best.
The variants hash one group of lanes after the other; lanes.h as it is mixes two groups in AVX-512.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ENGINES = Path(__file__).parent.parent / "src" / "cossign" / "native" / "sha1"
STATEMENTS = {
    "KW": "e += W(w, t) + K;",
    "S": "SCHEDULE(w, (t) + AHEAD)",
    "F": "e += F(b, c, d);",
    "R": "e += ROL(a, 5);",
    "B": "b = ROL(b, 30);",
}
ORDERS = (
    "KW S F R B",
    "S KW F R B",
    "KW F S R B",
    "KW F R S B",
    "KW F R B S",
    "F KW S R B",
    "KW S F B R",
    "R KW S F B",
)
PINS = (("KW", "F", "R"), ("KW", "F"), ("KW",), ("F",), ("KW", "R"), ())
FORMS = {
    "": "",
    "rol1 by shifts": "#define ROL1(x) ((x) << 1 | (x) >> 31)\n",
    "maj by xor": "#define MAJ(b, c, d) ((c) ^ (((b) ^ (c)) & ((c) ^ (d))))\n",
    "maj by sum": "#define MAJ(b, c, d) (((b) & (c)) + ((d) & ((b) ^ (c))))\n",
}


def variants() -> Iterator[tuple[str, str]]:
    """What to call a variant, and the macros that make it; the empty one is lanes.h as it is."""
    yield "lanes.h as it is", ""
    for order, pins, ahead, (form, macros) in itertools.product(ORDERS, PINS, (2, 3), FORMS.items()):
        if form and (order, pins) != (ORDERS[0], PINS[0]):
            continue
        lines = "".join(STATEMENTS[each] + (" PIN(e);" if each in pins else "") + " \\\n" for each in order.split())
        name = f"{order}, pinned {'+'.join(pins) or 'nowhere'}, {ahead} ahead {form}"
        macros += f"#define SIDE_BY_SIDE 0\n#define AHEAD {ahead}\n"
        yield name, f"{macros}#define ROUND(a, b, c, d, e, F, K, t) \\\n{lines}\n"


def timed(compiler: str, engine: str, macros: str, folder: Path) -> tuple[float, float]:
    """Nanoseconds and TSC ticks a block."""
    header, program = folder / "order.h", folder / "order"
    header.write_text(macros)
    common = [compiler, "-std=c11", "-O3", "-I", str(ENGINES)]
    subprocess.run(
        [*common, "-include", str(header), "-c", str(ENGINES / f"{engine}.c"), "-o", f"{program}.o"], check=True
    )
    main = Path(__file__).with_suffix(".c")
    sources = [str(main), f"-DSIGN=sha1_sign_{engine}", str(ENGINES / "portable.c"), f"{program}.o"]
    subprocess.run([*common, *sources, "-o", str(program)], check=True)
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    nanoseconds, ticks = done.stdout.split()
    return float(nanoseconds), float(ticks)


def main() -> None:
    engine = sys.argv[1] if len(sys.argv) > 1 else "avx2"
    compilers = sys.argv[2:] or [name for name in ("gcc", "clang", "clang-14") if shutil.which(name)]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        for compiler in compilers:
            found = [(*timed(compiler, engine, macros, Path(folder)), name) for name, macros in variants()]
            now = found[0]
            print(f"\n{engine} by {compiler}: {len(found)} variants, one block of 64 bytes\n")
            print("| ns | TSC ticks | Mblk/s | variant |\n|---:|---:|---:|---|")
            for nanoseconds, ticks, name in [now, *sorted(found[1:])[:8], *sorted(found[1:])[-2:]]:
                print(f"| {nanoseconds:.2f} | {ticks:.1f} | {1000 / nanoseconds:.1f} | {name} |")


if __name__ == "__main__":
    main()

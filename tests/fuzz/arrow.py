"""Random Arrow arrays, well formed and forged, through presign_arrow: right results or a clear error, never a crash."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from cossign import CosSignError, Credentials, Signer, engines
from cossign._arrow import Lines
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.test_arrow import LAYOUTS, TIMES, Forged, array, ints, schema

ALPHABET = [*"abcXYZ019-_~./ %+&=\x00\x18\x7f\\", "é", "腾", "😀", "a" * 20, "/.", "x" * 130]
# "hashlib" signs what the others are compared with; it is slow.
SIGNERS = [
    Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, engine=name, strict=strict)
    for name in engines()
    for strict in (False, True)
]


def keys(source: random.Random) -> list[str | None]:
    longest = source.choice((1, 3, 10, 40))
    rows = source.choice((0, 1, 7, 100, 1500))
    return [
        None if source.randrange(9) == 0 else "".join(source.choices(ALPHABET, k=source.randrange(longest + 1)))
        for _ in range(rows)
    ]


def lines(source: random.Random, rows: list[str | None]) -> Lines:
    """Rows as blocks of text."""
    text = [f"{row}{source.choice((chr(10), chr(13) + chr(10)))}".encode() for row in rows]
    cuts = sorted(source.randrange(len(text) + 1) for _ in range(source.randrange(4)))
    return Lines(
        (b"".join(text[first:last]) for first, last in zip([0, *cuts], [*cuts, len(text)], strict=True)),
        keep_empty=True,
    )


def well_formed(source: random.Random) -> int:
    rows = keys(source)
    as_text = source.randrange(5) == 0
    if as_text:
        rows = [row or "" for row in rows]
    elif source.randrange(5) == 0:
        runs, place = [], 0
        for _ in rows:
            place += source.randrange(1, 5)
            runs.append(place)
        given = pa.RunEndEncodedArray.from_arrays(pa.array(runs, pa.int32()), pa.array(rows, pa.string()))
        rows = [key for key, first, last in zip(rows, [0, *runs], runs, strict=False) for _ in range(last - first)]
    else:
        given = pa.array(rows, pa.string()).cast(
            LAYOUTS[source.choice([name for name in LAYOUTS if "int8" not in name])]
        )
    if as_text:
        given = lines(source, rows)
    else:
        first = source.randrange(len(rows) + 1)
        given, rows = given.slice(first), rows[first:]
        if source.randrange(2):
            cut = source.randrange(len(rows) + 1)
            given = pa.chunked_array([given.slice(0, cut), given.slice(cut)])
    signer = source.choice(SIGNERS)
    names = [f"{number}é"[: source.randrange(6)] for number in range(len(rows))]
    query: Any = {"n": pa.array(names, pa.string())} if source.randrange(3) == 0 else {}
    threads = source.choice((1, 1, 1, 2))
    result = signer.presign_arrow(given, query=query, key_time=TIMES, on_error="null", threads=threads)
    made = pa.chunked_array(result)
    made.validate(full=True)
    reference = signer.presign_many(rows, query={"n": names} if query else {}, key_time=TIMES, on_error="null")
    assert made.to_pylist() == reference
    assert [index for index, _ in result.errors] == [index for index, _ in reference.errors]  # type: ignore[attr-defined]
    return len(rows)


def forged(source: random.Random) -> int:
    """Arrays whose numbers are random but whose buffers are as long as their lengths say."""
    rows = source.randrange(1, 40)
    data = source.randbytes(64)

    def numbers(count: int, size: int) -> bytes:
        odd = (-1, -(2**31), 2**31 - 1, 0, 1, 13)
        most = source.choice((3, 13, 64))
        every = [source.choice(odd) if source.randrange(30) == 0 else source.randrange(most) for _ in range(count)]
        if source.randrange(2):
            every.sort()
        return ints(*every, size=size)

    def made(depth: int) -> tuple[Any, Any]:
        kind = source.randrange(6 if depth < 3 else 3)
        valid = source.choice((None, source.randbytes((rows + 15) // 8)))
        nulls = source.choice((0, -1, 3)) if valid else 0
        if kind == 0:
            clamped = b"".join(min(int.from_bytes(part, "little", signed=True), 64).to_bytes(4, "little", signed=True)
                               for part in (numbers(rows + 1, 4)[at : at + 4] for at in range(0, 4 * rows + 4, 4)))  # fmt: skip
            return schema(b"u"), array(rows, [valid, clamped, data], null_count=nulls)
        if kind == 1:
            views = b"".join(numbers(4, 4) for _ in range(rows))
            return schema(b"vu"), array(rows, [valid, views, data, source.choice((data, None)) or data, ints(64, 64, size=8)], null_count=nulls)  # fmt: skip
        if kind == 2:
            return schema(b"l"), array(rows, [valid, numbers(rows, 8)], null_count=nulls)
        inner_schema, inner = made(depth + 1)
        if kind == 3:
            return schema(b"i", dictionary=inner_schema), array(rows, [valid, numbers(rows, 4)], dictionary=inner, null_count=nulls)  # fmt: skip
        if kind == 4:
            return schema(b"+r", schema(b"i"), inner_schema), array(
                rows, [], array(rows, [None, numbers(rows, 4)]), inner
            )
        return schema(b"+s", inner_schema), array(rows, [valid], inner, null_count=nulls)

    def column() -> Forged:
        forged = Forged(*made(0))
        if source.randrange(10) == 0:
            forged.array.length = source.choice((0, 1, rows))
        return forged

    good = pa.array([f"k{row}" for row in range(rows)])
    named: dict[str, Any] = {}
    if source.randrange(2):  # any column may be the forged one
        named["query"] = {"v": column()}
    if source.randrange(4) == 0:
        named["method"] = column()
    if source.randrange(4) == 0:
        named["expires"] = column()
    keys = column() if not named or source.randrange(3) == 0 else good
    try:
        threads = source.choice((1, 1, 2))
        for chunk in source.choice(SIGNERS).presign_arrow(keys, on_error="null", threads=threads, **named):
            pa.array(chunk).validate()
    except CosSignError:
        pass
    return rows

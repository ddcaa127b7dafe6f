"""The list of a bucket's objects, as the rows of an inventory that is of now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from cossign.batch.columns import select_columns
from cossign.batch.inputs.choice import ColumnChoice, Reading, ReadRows
from cossign.batch.inputs.source import Input, Position
from cossign.storage import Bucket, Object

# As a report of an inventory calls them.
COLUMNS = ("Key", "Size", "LastModifiedDate", "ETag", "StorageClass")


def list_prefix(key: str, include: Sequence[str]) -> str:
    """What the keys of a list begin with: what the address says, or more of it if all wanted keys begin so.

    >>> list_prefix("photos/", ["photos/2026/11/", "photos/2026/1*.jpg"])
    'photos/2026/1'
    """
    starts = [re.split(r"[*?\\[]", each, maxsplit=1)[0] for each in include]
    if not starts:
        return key
    first, last = min(starts), max(starts)
    size = next((place for place, letter in enumerate(first) if letter != last[place : place + 1]), len(first))
    return first[:size] if first[:size].startswith(key) else key


def read(each: Input, choice: ColumnChoice, prefix: str, at: Position, last: str = "") -> Reading:
    """The objects of a bucket, as rows of an inventory.

    Args:
        each: the input.
        choice: the columns.
        prefix: what the keys begin with.
        at: where they begin: behind so many rows, and a key.
        last: the key of the last one; "" for all.
    """
    row = at.row
    assert each.bucket is not None
    names = choice.names(each, COLUMNS)
    for objects in _pages(each.bucket, prefix, at.key, last):
        columns = [
            pa.array([entry.key for entry in objects], pa.string()),
            pa.array([entry.size for entry in objects], pa.int64()),
            pa.array([entry.modified for entry in objects], pa.string()),
            pa.array([entry.etag.strip('"') for entry in objects], pa.string()),
            pa.array([entry.storage_class for entry in objects], pa.string()),
        ]
        yield ReadRows(row, select_columns(pa.record_batch(columns, list(COLUMNS)), names))
        row += len(objects)


def _pages(bucket: Bucket, prefix: str, after: str, last: str) -> Iterator[list[Object]]:
    for page in bucket.pages(prefix, after=after):
        objects = [entry for entry in page.objects if not last or entry.key <= last]
        if objects:
            yield objects
        if len(objects) < len(page.objects):
            return

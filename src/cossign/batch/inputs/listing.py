"""The list of a bucket's objects, or of their versions, as the rows of an inventory that is of now."""

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
VERSIONS = ("VersionId", "IsLatest", "IsDeleteMarker")
LISTS = ("list", "versions")  # the forms


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


def place(key: str, version_id: str | None) -> str:
    """Where a list goes on behind a row: its key, and of a version its VersionId."""
    return key if version_id is None else f"{key}\0{version_id}"


def read(each: Input, choice: ColumnChoice, prefix: str, at: Position, last: str = "") -> Reading:
    """The objects of a bucket, or all versions of them, as rows of an inventory.

    Args:
        each: the input.
        choice: the columns.
        prefix: what the keys begin with.
        at: where they begin: behind so many rows, and a `place`.
        last: the place of the last one; "" for all.
    """
    assert each.bucket is not None
    has_versions = each.form == "versions"
    all_names = (*COLUMNS, *VERSIONS) if has_versions else COLUMNS
    names = choice.names(each, all_names)
    row = at.row
    for objects in (
        _pages(each.bucket, prefix, at.key, last)
        if not has_versions
        else _version_pages(each.bucket, prefix, at.key, last)
    ):
        columns = [
            pa.array([entry.key for entry in objects], pa.string()),
            pa.array([entry.size for entry in objects], pa.int64()),
            pa.array([entry.modified for entry in objects], pa.string()),
            pa.array([entry.etag.strip('"') for entry in objects], pa.string()),
            pa.array([entry.storage_class for entry in objects], pa.string()),
        ]
        if has_versions:
            columns += [
                pa.array([entry.version_id for entry in objects], pa.string()),
                pa.array([entry.is_latest for entry in objects], pa.bool_()),
                pa.array([entry.is_delete_marker for entry in objects], pa.bool_()),
            ]
        yield ReadRows(row, select_columns(pa.record_batch(columns, list(all_names)), names))
        row += len(objects)


def _pages(bucket: Bucket, prefix: str, after: str, last: str) -> Iterator[list[Object]]:
    for page in bucket.pages(prefix, after=after):
        objects = [entry for entry in page.objects if not last or entry.key <= last]
        if objects:
            yield objects
        if len(objects) < len(page.objects):
            return


def _version_pages(bucket: Bucket, prefix: str, after: str, last: str) -> Iterator[list[Object]]:
    key, _, version_id = after.partition("\0")
    last_key = last.partition("\0")[0]
    for page in bucket.versions(prefix, after=(key, version_id)):
        objects = []
        for entry in page:
            if last and entry.key > last_key:
                break
            objects.append(entry)
            if last and place(entry.key, entry.version_id) == last:
                break
        if objects:
            yield objects
        if len(objects) < len(page) or (last and objects and place(objects[-1].key, objects[-1].version_id) == last):
            return

"""The list of a bucket's objects, or of their versions, as rows with the columns of an inventory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from cossign.batch.columns import select_columns
from cossign.batch.inputs.choice import ColumnChoice, Reading, ReadRows
from cossign.batch.inputs.source import Input, Position
from cossign.storage import Bucket, Object, common_start

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
    start = common_start(min(starts), max(starts))
    return start if start.startswith(key) else key


def place(key: str, version_id: str | None) -> str:
    """Where a list continues after a row: its key, and of a version its VersionId."""
    return key if version_id is None else f"{key}\0{version_id}"


def _key_and_version(text: str, versions: bool) -> tuple[str, str]:
    """A `place` taken apart; a key may have a NUL, and a VersionId has none."""
    key, separator, version_id = text.rpartition("\0")
    return (key, version_id) if versions and separator else (text, "")


def read(each: Input, choice: ColumnChoice, prefix: str, at: Position, last: str = "") -> Reading:
    """The objects of a bucket, or all versions of them, as rows of an inventory.

    Args:
        each: the input.
        choice: the columns.
        prefix: the beginning of the keys.
        at: where they begin: after so many rows, and a `place`.
        last: the place of the last one; "" for all.
    """
    assert each.bucket is not None
    has_versions = each.form == "versions"
    all_names = (*COLUMNS, *VERSIONS) if has_versions else COLUMNS
    names = choice.names(each, all_names)
    row = at.row
    for objects in _pages(each.bucket, prefix, at.key, last, has_versions):
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


def _pages(bucket: Bucket, prefix: str, after: str, last: str, versions: bool) -> Iterator[list[Object]]:
    """The list's pages behind a place, up to another one."""
    key, version_id = _key_and_version(after, versions)
    last_key, last_version = _key_and_version(last, versions)
    for objects in bucket.objects(prefix, after=key, after_version=version_id, last=last_key, versions=versions):
        if versions and last and objects[-1].key == last_key:
            places = [(entry.key, entry.version_id) for entry in objects]
            if (last_key, last_version) in places:
                yield objects[: places.index((last_key, last_version)) + 1]
                return
        yield objects

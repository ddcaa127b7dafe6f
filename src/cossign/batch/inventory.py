"""COS inventory reports: a manifest.json and its data files.

Source: Tencent Cloud, COS, "Inventory Overview" (product 436, page 30622).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

FORMS = {"CSV": "csv", "PARQUET": "parquet", "ORC": "orc"}


class Inventory(NamedTuple):
    """What a manifest says.

    Attributes:
        form: "csv", "parquet" or "orc".
        fields: the columns of CSV files, which have no header; None otherwise.
        files: the data files: where each was found, its size in bytes, its MD5.
        rows: how many objects the report lists; None if it does not say.
    """

    form: str
    fields: tuple[str, ...] | None
    files: list[tuple[Path, int, str]]
    rows: int | None


def read_manifest(path: Path) -> Inventory:
    """A manifest, and where its data files lie.

    Raises:
        ValueError: it is none, or a file is missing; the message goes behind the manifest's name.
    """
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f" is not JSON: {error}") from None
    try:
        stated, files = str(manifest["fileFormat"]), manifest["files"]
        entries = [(str(entry["key"]), str(entry["size"]), str(entry["md5Checksum"])) for entry in files]
        counts = [str(manifest[name]) for name in ("filterObjectCount", "listObjectCount") if name in manifest]
        schema = str(manifest["fileSchema"]) if stated.upper() == "CSV" else None
        if not all(size.isdecimal() for _, size, _ in entries) or not all(count.isdecimal() for count in counts):
            raise TypeError
    except KeyError as error:
        raise ValueError(f" is no inventory manifest: it has no {error.args[0]!r}") from None
    except (TypeError, AttributeError):
        raise ValueError(" is no inventory manifest: it is not of that form") from None
    form = FORMS.get(stated.upper())
    if form is None:
        raise ValueError(f": the report's fileFormat is {stated}, and only {', '.join(FORMS)} can be read")
    fields = None if schema is None else tuple(field.strip() for field in schema.split(","))
    if fields is not None and "Key" not in fields:
        raise ValueError(f": the report's fileSchema has no Key: {schema}")
    found = [(_data_file(path, key), int(size), md5) for key, size, md5 in entries]
    return Inventory(form, fields, found, int(counts[0]) if counts else None)


def _data_file(manifest: Path, name: str) -> Path:
    """A data file, found beside the manifest or under its bucket-relative path."""
    key = Path(name.lstrip("/"))
    if ".." in key.parts:
        raise ValueError(f": the data file {name} lies outside of the report")
    folder = manifest.resolve().parent
    places = [folder / key.name, *(parent / key for parent in (folder, *folder.parents))]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise ValueError(f": the data file {name} is missing: put it beside the manifest")
    return file


def has_md5(path: str, md5: str) -> bool:
    """Whether a file has an MD5, given in hex."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as data:
        while block := data.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == md5.lower()

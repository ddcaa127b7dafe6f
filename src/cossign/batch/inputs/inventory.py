"""COS inventory reports: a manifest.json and its data files.

Source: Tencent Cloud, COS, "Inventory Overview" (product 436, page 30622).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from cossign.errors import ParameterError

FORMS = {"CSV": "csv", "PARQUET": "parquet", "ORC": "orc"}


class Inventory(NamedTuple):
    """What a manifest says.

    Attributes:
        form: "csv", "parquet" or "orc".
        fields: the columns of CSV files, which have no header and whose keys are URL-encoded; None otherwise.
        files: the data files: the key of each, its size in bytes, its MD5.
        rows: how many objects the report lists; None if it does not say.
    """

    form: str
    fields: tuple[str, ...] | None
    files: list[tuple[str, int, str]]
    rows: int | None


def parsed_manifest(text: str | bytes) -> Inventory:
    """What a manifest's text says.

    Raises:
        ValueError: it is none; the message goes behind the manifest's name.
    """
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise ValueError(f" is not JSON: {error}") from None
    try:
        format_name, files = str(manifest["fileFormat"]), manifest["files"]
        entries = [(str(entry["key"]), str(entry["size"]), str(entry["md5Checksum"])) for entry in files]
        counts = [str(manifest[name]) for name in ("filterObjectCount", "listObjectCount") if name in manifest]
        schema = str(manifest["fileSchema"]) if format_name.upper() == "CSV" else None
        if not all(size.isdecimal() for _, size, _ in entries) or not all(count.isdecimal() for count in counts):
            raise TypeError
    except KeyError as error:
        raise ValueError(f" is no inventory manifest: it has no {error.args[0]!r}") from None
    except (TypeError, AttributeError):
        raise ValueError(" is no inventory manifest: it is not of that form") from None
    form = FORMS.get(format_name.upper())
    if form is None:
        raise ValueError(f": the report's fileFormat is {format_name}, and only {', '.join(FORMS)} can be read")
    fields = None if schema is None else tuple(field.strip() for field in schema.split(","))
    if fields is not None and "Key" not in fields:
        raise ValueError(f": the report's fileSchema has no Key: {schema}")
    for key, _, _ in entries:
        if ".." in key.replace("\\", "/").split("/"):
            raise ValueError(f": the data file {key} lies outside of the report")
    data_files = [(key, int(size), md5) for key, size, md5 in entries]
    return Inventory(form, fields, data_files, int(counts[0]) if counts else None)


def data_file(manifest: Path, name: str) -> Path:
    """A data file, found beside the manifest or under its bucket-relative path.

    Raises:
        ValueError: it is missing; the message goes behind the manifest's name.
    """
    key = Path(name.lstrip("/"))
    folder = manifest.resolve().parent
    places = [folder / key.name, *(parent / key for parent in (folder, *folder.parents))]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise ValueError(f": the data file {name} is missing: put it beside the manifest")
    return file


def found_report(manifest: str, read: Callable[[], str | bytes]) -> tuple[Inventory, list[str]]:
    """What a manifest says, and the URLs of its data files, not encoded, for engines that read those by themselves.

    Args:
        manifest: its path, or its URL: data files are looked for beside a local one, or else in its bucket.
        read: gives the text of one that is not local.

    Raises:
        ParameterError: it is none, or a local data file is missing.
    """
    url = urlsplit(manifest)
    try:
        if len(url.scheme) > 1 and url.scheme != "file":  # one letter is a drive of Windows
            report = parsed_manifest(read())
            return report, [f"{url.scheme}://{url.netloc}/{key.lstrip('/')}" for key, _, _ in report.files]
        path = Path(unquote(url.path) if url.scheme == "file" else manifest).absolute()
        report = parsed_manifest(path.read_bytes())
        return report, [f"file://{data_file(path, key)}" for key, _, _ in report.files]
    except ValueError as error:
        raise ParameterError("manifest", f"{manifest}{error}") from None
    except OSError as error:
        raise ParameterError("manifest", f"cannot be read: {error}") from None


def check_sizes(report: Inventory, sizes: Iterable[int | None]) -> None:
    """Compare the sizes of the data files that are there with the manifest's.

    Raises:
        ParameterError: one is missing, or has another size.
    """
    for (key, size, _), actual_size in zip(report.files, sizes, strict=True):
        if actual_size != size:
            problem = "is missing" if actual_size is None else f"has {actual_size} bytes, not the manifest's {size}"
            raise ParameterError("manifest", f"lists {key}, which {problem}: fetch it again")


def has_md5(path: str, md5: str) -> bool:
    """Whether a file has an MD5, given in hex."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as data:
        while block := data.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == md5.lower()

"""COS inventory reports: a manifest.json and its data files.

Source: Tencent Cloud, COS, "Inventory Overview" (product 436, page 30622); Amazon S3's reports have the same form.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from cossign.batch.errors import InputError
from cossign.batch.outputs.paths import IS_WINDOWS
from cossign.errors import ParameterError
from cossign.storage import Address, Bucket, Object

FORMS = {"CSV": "csv", "PARQUET": "parquet", "ORC": "orc"}
MANIFEST = "manifest.json"
DAY = re.compile(r"\d{8}|\d{4}-\d\d-\d\dT\d\d-\d\dZ$")  # COS: 20260601; S3: 2026-06-01T00-00Z
_MOST_BYTES = 1 << 28  # of a manifest: a million data files


class Inventory(NamedTuple):
    """What a manifest says.

    Attributes:
        form: "csv", "parquet" or "orc".
        fields: the columns of CSV files, which have no header and whose keys are URL-encoded; None otherwise.
        files: the data files: the key of each, its size in bytes, its MD5.
        rows: how many objects the report lists; None if it does not say.
        bucket: the bucket whose objects it lists, ``<BucketName>-<APPID>``; None if it does not say.
        region: that bucket's region; None if it does not say.
    """

    form: str
    fields: tuple[str, ...] | None
    files: list[tuple[str, int, str]]
    rows: int | None
    bucket: str | None = None
    region: str | None = None


def parsed_manifest(text: str | bytes) -> Inventory:
    """What a manifest's text says.

    Raises:
        ValueError: it is not a manifest; the message goes after the manifest's name.
    """
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise ValueError(f" is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(" is not JSON that can be read: it is nested too deeply") from None
    try:
        format_name, files = str(manifest["fileFormat"]), manifest["files"]
        entries = [(str(entry["key"]), str(entry["size"]), str(_md5(entry))) for entry in files]
        counts = [str(manifest[name]) for name in ("filterObjectCount", "listObjectCount") if name in manifest]
        schema = str(manifest["fileSchema"]) if format_name.upper() == "CSV" else None
        if not all(_is_count(size) for _, size, _ in entries) or not all(_is_count(count) for count in counts):
            raise TypeError
    except KeyError as error:
        raise ValueError(f" is not an inventory's manifest: it does not have {error.args[0]!r}") from None
    except (TypeError, AttributeError):
        raise ValueError(" is not an inventory's manifest: it is not of that form") from None
    form = FORMS.get(format_name.upper())
    if form is None:
        raise ValueError(f": the report's fileFormat is {format_name}, and only {', '.join(FORMS)} can be read")
    fields = None if schema is None else tuple(field.strip() for field in schema.split(","))
    if fields is not None and "Key" not in fields:
        raise ValueError(f": the report's fileSchema has no Key: {schema}")
    for key, _, _ in entries:
        if not key.strip("/"):
            raise ValueError(" is not an inventory's manifest: a data file has no name")
        if ".." in key.replace("\\", "/").split("/"):
            raise ValueError(f": the data file {key} lies outside of the report")
    data_files = [(key, int(size), md5) for key, size, md5 in entries]
    bucket, region = _source(manifest)
    return Inventory(form, fields, data_files, int(counts[0]) if counts else None, bucket, region)


def _md5(entry: dict[str, Any]) -> Any:
    """A data file's MD5; S3 spells its name in another way."""
    return entry["MD5checksum"] if "MD5checksum" in entry and "md5Checksum" not in entry else entry["md5Checksum"]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _source(manifest: dict[str, Any]) -> tuple[str | None, str | None]:
    """The bucket that a report lists, and its region, as far as the manifest says."""
    name, appid = manifest.get("sourceBucket"), str(manifest.get("sourceAppid") or "")
    region = None
    for field in ("sourceBucket", "destinationBucket"):  # both lie in one region
        match = re.fullmatch(r"qcs::cos:([a-z0-9-]+):[^:]*:(.*)", str(manifest.get(field)))
        if match:
            region = region or match[1]
            name = match[2] if field == "sourceBucket" else name
    if not isinstance(name, str) or not name:
        return None, region
    full_name = name if not appid or name.endswith(f"-{appid}") else f"{name}-{appid}"
    return full_name, region


class Report(NamedTuple):
    """A report on a disk: its manifest, what that says, and the paths of its data files."""

    manifest: Path
    inventory: Inventory
    files: list[Path]


def read_report(manifest: Path) -> Report:
    """A report, by its manifest.

    Raises:
        ValueError: the manifest is not one, or has another MD5 than manifest.checksum, or a data file is missing; the
            message goes after the manifest's name.
        OSError: the manifest cannot be read.
    """
    with open(manifest, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f" is not an inventory's manifest: it has more than {_MOST_BYTES >> 20} MiB")
    inventory = parsed_manifest(data)
    checksum = manifest.with_name("manifest.checksum")
    if checksum.is_file():
        check_manifest(data, checksum.read_bytes(), checksum.name)
    return Report(manifest, inventory, [data_file(manifest, key, size) for key, size, _ in inventory.files])


def check_manifest(data: bytes, checksum: bytes, name: str) -> None:
    """Compare a manifest with what the file beside it says of it.

    Raises:
        ValueError: its MD5 is another one; the message goes after the manifest's name.
    """
    expected = checksum[:64].decode("ascii", "replace").split()
    if expected and expected[0].lower() != hashlib.md5(data, usedforsecurity=False).hexdigest():
        raise ValueError(f" has another MD5 than {name} says: one of them was altered; fetch both again")


def data_file(manifest: Path, name: str, size: int | None = None) -> Path:
    """A data file of a report: by its key or the end of it, in the manifest's folder or above, or in a ``data`` there.

    Args:
        manifest: the manifest's path.
        name: the data file's key.
        size: its bytes, by which files of the same name are told apart.

    Raises:
        ValueError: it is missing; the message goes after the manifest's name.
    """
    folder = manifest.resolve().parent
    if IS_WINDOWS and re.search(r"[\\:]", name):  # which would lead to another drive or machine
        raise ValueError(f": Windows has no such names as the data file's, {name!r}: read the report in its bucket")
    key = Path(name.lstrip("/")).parts
    places = [folder / key[-1], folder / "data" / key[-1]]
    for parent in (folder, *folder.parents):
        places += [parent.joinpath(*key[start:]) for start in range(len(key) - 1)]
    places += [each for parent in list(folder.parents)[:2] for each in (parent / key[-1], parent / "data" / key[-1])]
    files = [place for place in places if place.is_file()]
    if not files:
        raise ValueError(
            f": the data file {name} is missing: put it beside the manifest, or keep "
            "the folders that it has in the bucket"
        )
    return next((file for file in files if size is None or file.stat().st_size == size), files[0])


def manifests_in(folder: str) -> list[Path]:
    """The manifests of the reports in a folder and in those below it; its own one alone, if it has one."""
    own = Path(folder, MANIFEST)
    if own.is_file():
        return [own]
    return sorted(
        Path(parent, MANIFEST) for parent, _, names in _walk(folder) if MANIFEST in names and _is_manifest(parent)
    )


def _walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield parent, folders, names


def _is_manifest(folder: str) -> bool:
    """Whether a folder's manifest.json has a manifest's fields: other programs have files of that name, too."""
    try:
        return _has_manifest_fields(Path(folder, MANIFEST).read_bytes())
    except OSError:
        return False


def _has_manifest_fields(data: bytes) -> bool:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and "files" in manifest and ("fileFormat" in manifest or "fileSchema" in manifest)


def newest_report(manifests: list[Path]) -> Path | None:
    """The newest of several reports of one inventory, whose folders are named by their days; None if they are not."""
    folders = [path.parent for path in manifests]
    is_one_inventory = len({folder.parent for folder in folders}) == 1
    if len(folders) > 1 and not (is_one_inventory and all(DAY.match(folder.name) for folder in folders)):
        return None
    return max(manifests, key=lambda path: path.parent.name)


def found_report(manifest: str, read: Callable[[], str | bytes]) -> tuple[Inventory, list[str]]:
    """What a manifest says, and the URLs of its data files, not encoded, for engines that read those by themselves.

    Args:
        manifest: its path, or its URL: data files are looked for around a local one, or else in its bucket.
        read: gives the text of one that is not local.

    Raises:
        ParameterError: it is not a manifest, or a local data file is missing.
    """
    url = urlsplit(manifest)
    try:
        if len(url.scheme) > 1 and url.scheme != "file":  # one letter is a drive of Windows
            inventory = parsed_manifest(read())
            return inventory, [f"{url.scheme}://{url.netloc}/{key.lstrip('/')}" for key, _, _ in inventory.files]
        report = read_report(_local_path(url.path) if url.scheme == "file" else Path(manifest).absolute())
        return report.inventory, [f"file:///{file.as_posix().lstrip('/')}" for file in report.files]
    except ValueError as error:
        raise ParameterError("manifest", f"{manifest}{error}") from None
    except OSError as error:
        raise ParameterError("manifest", f"cannot be read: {error}") from None


def _local_path(path: str) -> Path:
    """The path of a file: URL."""
    from urllib.request import url2pathname  # it imports all of HTTP

    return Path(url2pathname(path)).absolute()


def check_sizes(report: Inventory, sizes: Iterable[int | None]) -> None:
    """Compare the sizes of the data files that are there with the manifest's.

    Raises:
        ParameterError: one is missing, or has another size.
    """
    for (key, size, _), actual_size in zip(report.files, sizes, strict=True):
        if actual_size != size:
            problem = "is missing" if actual_size is None else f"has {actual_size} bytes, not the manifest's {size}"
            raise ParameterError("manifest", f"lists {key}, which {problem}: fetch it again")


def has_md5(data: IO[bytes], md5: str) -> bool:
    """Whether a file has an MD5, given in hex."""
    digest = hashlib.md5(usedforsecurity=False)
    while block := data.read(1 << 20):
        digest.update(block)
    return digest.hexdigest() == md5.lower()


# --- Reports that lie in a bucket


def newest_bucket_report(bucket: Bucket, folder: str, *, deep: bool) -> str | None:
    """The manifest of the newest complete report in a folder; None if the folder holds none.

    Args:
        bucket: the bucket.
        folder: what its keys begin with; "" for the bucket.
        deep: whether it is looked for in folders below that are not called by a day, too.

    Raises:
        InputError: there are reports of several inventories.
        StorageError: the bucket cannot be listed.
    """
    if _is_bucket_manifest(bucket, folder + MANIFEST):
        return folder + MANIFEST
    days = [each for page in bucket.pages(f"{folder}20", delimiter="/") for each in page.prefixes if _is_day(each)]
    for each in sorted(days, reverse=True):
        if _is_bucket_manifest(bucket, each + MANIFEST):  # it is written when the report is complete
            return each + MANIFEST
    if not deep:
        return None
    folders = [each for page in bucket.pages(folder, delimiter="/") for each in page.prefixes]
    manifests = [newest_bucket_report(bucket, each, deep=True) for each in folders if not each.endswith("/data/")]
    manifests = [each for each in manifests if each is not None]
    if len(manifests) > 1:
        names = ", ".join(str(Address(bucket.name, str(each).removesuffix(MANIFEST))) for each in manifests[:3])
        raise InputError(
            f"{Address(bucket.name, folder)} holds reports of {len(manifests)} inventories: name one, such as {names}"
        )
    return manifests[0] if manifests else None


def _is_bucket_manifest(bucket: Bucket, key: str) -> bool:
    """Whether an object is there, and has a manifest's fields. The list needs no other permission than that of all."""
    entry = next((each for each in next(bucket.pages(key)).objects if each.key == key), None)
    return entry is not None and entry.size <= _MOST_BYTES and _has_manifest_fields(bucket.read(key))


def _is_day(folder: str) -> bool:
    return DAY.fullmatch(folder.rstrip("/").rpartition("/")[2]) is not None


def read_bucket_report(bucket: Bucket, key: str) -> tuple[Inventory, list[Object]]:
    """What the manifest of a report says, and its data files, as they lie in the bucket.

    Raises:
        InputError: it is not a manifest, or a data file is missing, or has another size.
        StorageError: the bucket cannot be read.
    """
    name = Address(bucket.name, key)
    entry = bucket.look(key)
    if entry.size > _MOST_BYTES:
        raise InputError(f"{name} is not an inventory's manifest: it has more than {_MOST_BYTES >> 20} MiB")
    data = bucket.read(key, etag=entry.etag)
    checksum_key = key.removesuffix(MANIFEST) + "manifest.checksum"
    checksum = bucket.read(checksum_key, 0, 64) if bucket.find(checksum_key) else b""
    try:
        check_manifest(data, checksum, "manifest.checksum")
        inventory = parsed_manifest(data)
    except ValueError as error:
        raise InputError(f"{name}{error}") from None
    keys = [each.lstrip("/") for each, _, _ in inventory.files]
    objects = _objects(bucket, keys)
    for each, (_, size, _) in zip(keys, inventory.files, strict=True):
        if each not in objects:
            raise InputError(f"{name}: the data file {Address(bucket.name, each)} is missing")
        if objects[each].size != size:
            raise InputError(
                f"{Address(bucket.name, each)} has {objects[each].size} bytes, not the manifest's {size}: the report "
                "is not whole; take an older one"
            )
    return inventory, [objects[each] for each in keys]


def _objects(bucket: Bucket, keys: Sequence[str]) -> dict[str, Object]:
    """The objects of some keys, by a list of the folders that they lie in."""
    names = set(keys)
    folders = sorted({key.rpartition("/")[0] for key in keys})
    objects: dict[str, Object] = {}
    for folder in folders:
        for page in bucket.pages(f"{folder}/" if folder else "", delimiter="/"):
            objects.update({each.key: each for each in page.objects if each.key in names})
    return objects

"""Warnings about keys that look like a mistake, and about times that end too early."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping

from cossign.signer import Signer

Keys = Callable[[], list[bytes]]  # some keys, for a check of them

_ODD_PATTERNS = {
    "percent-encoded": re.compile(rb"%[0-9A-Fa-f]{2}"),
    "with a leading slash": re.compile(rb"^[/\\]"),
    "with a plus sign": re.compile(rb"\+"),
    "with a backslash": re.compile(rb"(?!^)\\"),
    "with a . or .. segment": re.compile(rb"(?:^|/)\.\.?(?:/|$)"),
}


class Warnings:
    """A job's warnings, each once.

    Args:
        tell: called with each warning at once, or None.

    Attributes:
        texts: the warnings.
    """

    def __init__(self, tell: Callable[[str], object] | None = None) -> None:
        self._tell = tell
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        if text and text not in self.texts:
            self.texts.append(text)
            if self._tell is not None:
                self._tell(text)


class Oddities:
    """Samples the keys, and warns if more than 1 % of them look like a mistake.

    It gets every block of keys, and reads the first, the second, the fourth and so on, later one in 256.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._blocks = 0
        self._key_count = 0
        self._odd_keys: dict[str, list[bytes]] = {}
        self._has_warned = False

    def look(self, keys: Keys) -> None:
        self._blocks += 1
        if self._has_warned or (self._blocks & (self._blocks - 1) and self._blocks % 256):
            return
        for key in keys():
            self._key_count += 1
            for kind, pattern in _ODD_PATTERNS.items():
                if pattern.search(key):
                    self._odd_keys.setdefault(kind, []).append(key)
                    break
        if self._key_count >= 1000:
            self.judge()

    def judge(self) -> None:
        odd_count = sum(len(keys) for keys in self._odd_keys.values())
        if self._has_warned or odd_count * 100 <= self._key_count:
            return
        self._has_warned = True
        kinds = "; ".join(
            f"{len(keys)} {kind}, such as {keys[0][:100].decode('utf-8', 'replace')!r}"
            for kind, keys in self._odd_keys.items()
        )
        self._warn(
            f"{odd_count} of {self._key_count} sampled keys look like a mistake: {kinds}; they are signed as they are"
        )


def expired_warning(signer: Signer, end: int) -> str:
    """The warning about URLs that end at an instant, if that is past; otherwise ""."""
    return f"the URLs have expired already, at {utc(end)}" if end <= signer.now() else ""


def credentials_warning(signer: Signer, end: int) -> str:
    """The warning about credentials that end before the URLs do; otherwise ""."""
    credentials_end = signer.valid_credentials().expires_at
    if credentials_end is None or credentials_end >= end:
        return ""
    return (
        f"the temporary credentials end at {utc(int(credentials_end))}, before the URLs do,"
        f" at {utc(end)}: COS rejects them from then on"
    )


def count_warnings(counts: Mapping[str, int], latest: bool, has_version: bool) -> Iterator[str]:
    """The warnings about the counts of a job.

    Args:
        counts: as in `Report.counts`.
        latest: whether old versions and delete markers were left out.
        has_version: whether each URL names its version.
    """
    old, markers = counts.get("old_versions", 0), counts.get("delete_markers", 0)
    if (old or markers) and not latest and not has_version:
        yield (
            f"{old:,} rows are old versions of objects, and {markers:,} are delete markers, and their URLs name the "
            "newest version: use `latest=True` to leave them out, or sign each version by the parameter versionId with "
            "its column VersionId in `query_columns`"
        )
    elif markers and not latest:
        yield f"{markers:,} rows are delete markers, which cannot be read: use `latest=True` to leave them out"
    for name, text in (
        ("blank_ends", "keys end with a space or a tab, which is signed as a part of the key"),
        ("inner_crs", "keys contain a CR, which is signed as a part of the key: do lines end with CR alone?"),
        ("lone_crs", "places of CSV contain a CR alone, which ends a row outside quotes"),
        (
            "plus_signs",
            "keys of the inventory contain a plus sign, which is signed as a plus: in some services it is a space",
        ),
    ):
        if counts.get(name):
            yield f"{counts[name]:,} {text}"


def utc(seconds: int) -> str:
    """Unix seconds for a reader."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))

"""Hiding secrets, tokens and whole signatures, in every form that they may have in a request."""

from __future__ import annotations

import re
from urllib.parse import quote

from cossign.explain.reading import sent_bytes

# Values that no output shows, as they are written in a URL, a header, JSON or a sentence; those of other services, too.
SECRETS = re.compile(
    r"(?i)(token|signature)[\"']?(?:\s*(?:=|:|%(?:25)*3d)\s*[\"']?|\s+[\"'])((?:(?!%(?:25)*26)[^&\s\"'<>,])+)"
)
_BROKEN = re.compile(r"(?i)(token|signature)(?:=|%(?:25)*3d)((?:(?!%(?:25)*26)[^&\"'<>,])+)")


def secrets_in(text: str) -> list[tuple[str, str]]:
    """The (kind, value) of each token and signature in a text, also of those that are broken into lines."""
    return [*SECRETS.findall(text), *(pair for pair in _BROKEN.findall(text) if re.search(r"[\r\n\t]", pair[1]))]


class Mask:
    """Puts a name in the place of each secret."""

    def __init__(self, shows: bool) -> None:
        self.shows = shows
        self._names: dict[str, str] = {}

    def hide(self, secret: str, name: str) -> None:
        """From now on `name` stands for `secret`."""
        if self.shows or len(secret) < 4:
            return
        data = sent_bytes(secret)
        quoted_secret = quote(data, safe="")
        for form in (
            secret,
            quoted_secret,
            quote(quoted_secret, safe=""),
            quote(data, safe="/"),
            quoted_secret.replace("%20", "+"),
            re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted_secret),
            secret.replace("/", "\\/"),
            "".join(secret.split()),
        ):
            for each in (form, form.lower(), form.upper()):
                self._names.setdefault(each, name)

    def hide_unless_id(self, secret_id: str) -> None:
        """Hide what is no SecretId by its form: it may be a SecretKey, in the wrong place."""
        if not secret_id.startswith("AKID"):
            self.hide(secret_id, f"{secret_id[:4]}...")

    def hide_signature(self, signature: str) -> None:
        """Show the beginning, which tells two of them apart, and does not reveal a signature."""
        if len(signature) > 8:
            self.hide(signature, f"{signature[:8]}... ({len(signature)} characters)")

    def __call__(self, text: str) -> str:
        for secret in sorted(self._names, key=len, reverse=True):
            text = text.replace(secret, self._names[secret])
        return text

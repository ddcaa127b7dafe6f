"""What must not be shown: secrets, tokens and whole signatures, in every form that they may have in a request."""

from __future__ import annotations

import re
from urllib.parse import quote

from cossign.explain.reading import sent_bytes

# Values that no output shows, as they are written; other services' too, whose URLs are asked about by mistake.
SECRETS = re.compile(r"(?i)(token|signature)(?:=|%3d|%253d)((?:(?!%26|%2526)[^&\s\"'<>,])+)")


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
        ):
            for each in (form, form.lower(), form.upper()):
                self._names.setdefault(each, name)

    def hide_signature(self, signature: str) -> None:
        """Show where it begins, which tells two of them apart, and is no signature."""
        if len(signature) > 8:
            self.hide(signature, f"{signature[:8]}... ({len(signature)} characters)")

    def __call__(self, text: str) -> str:
        for secret in sorted(self._names, key=len, reverse=True):
            text = text.replace(secret, self._names[secret])
        return text

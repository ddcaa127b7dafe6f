"""Addresses of objects instead of keys: ``cos://BUCKET/KEY`` and ``https://HOST/KEY``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes, urlsplit

from cossign.batch.errors import InputError
from cossign.signer import Signer

# Of a presigned URL: these go, and the new signature comes in their place.
_SIGNATURE = re.compile(rb"(?:q-[a-z-]+|sign|x-cos-security-token)=", re.IGNORECASE)
_URL = re.compile(rb"https?://([^/?#]+)/?([^?#]*)(?:\?([^#]*))?(#.*)?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,15}://")


class Addresses:
    """Takes the addresses of one bucket's objects apart.

    Args:
        signer: what signs: its bucket and its host are those whose addresses are known.
    """

    def __init__(self, signer: Signer) -> None:
        self._bucket = signer.bucket
        self._host = urlsplit(signer.object_url("key")).netloc.lower()
        self._hosts = {self._host}
        if self._bucket:
            places = ["accelerate", signer.region] if signer.region else ["accelerate"]
            for place in places:
                for domain in ("myqcloud.com", "tencentcos.cn"):
                    self._hosts.add(f"{self._bucket}.cos.{place}.{domain}")
        self._prefix = f"cos://{self._bucket}/".encode() if self._bucket else b""

    def keys(self, texts: Sequence[bytes | None], name: str, numbers: Sequence[int]) -> list[bytes | None]:
        """Keys, where some of them may be addresses.

        Args:
            texts: keys and addresses.
            name: the input's name.
            numbers: the row of each.

        Raises:
            InputError: an address is of another bucket, or is not of an object.
        """
        return [
            text if text is None or not _ADDRESS.match(text) else self._key(text, name, number)
            for text, number in zip(texts, numbers, strict=True)
        ]

    def _key(self, text: bytes, name: str, number: int) -> bytes:
        text = text[:6].lower() + text[6:] if text[:6].lower() == b"cos://" else text
        if self._prefix and text.startswith(self._prefix) and len(text) > len(self._prefix):
            return text[len(self._prefix) :]
        address = text.decode("utf-8", "replace")
        url_match = _URL.fullmatch(text)
        if url_match and url_match[1].decode("latin-1").lower() in self._hosts:
            path, query, fragment = url_match[2], url_match[3], url_match[4]
            parameters = [each for each in (query or b"").split(b"&") if each and not _SIGNATURE.match(each)]
            if parameters:
                parameter = parameters[0].partition(b"=")[0].decode("utf-8", "replace")
                problem = f"has the parameter {parameter!r}, which `query` or `query_columns` must give"
            elif fragment is not None:
                problem = "has a #, which in a key is written as %23"
            elif path:
                return unquote_to_bytes(path)
            else:
                problem = "does not name an object"
        elif url_match:
            problem = f"is of another host than {self._host}"
        elif text.lower().startswith(b"cos://"):
            bucket = address.partition("://")[2].partition("/")[0]
            problem = f"is of another bucket than {self._bucket}"
            if bucket == self._bucket:
                problem = "does not name an object"
            elif self._bucket is None:
                problem = "names a bucket, and the URLs are for the domain alone"
        else:
            problem = "is an address of another service"
        prefix = self._prefix.decode()
        hint = f"; a key that looks like an address is written as {prefix}{address[:40]}..." if prefix else ""
        raise InputError(
            f"{name}, row {number}: {address[:200]} {problem}. Give keys, or addresses of one bucket{hint}"
        )

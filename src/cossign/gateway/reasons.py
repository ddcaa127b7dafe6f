"""The reasons of refusals: code, status and meaning of each, and the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Code, status, what it means: the code is what logs, metrics and answers say. `_gate.pyx` numbers them in this order.
TABLE = (
    ("ok", 204, ""),
    ("no_credentials", 401, "the request has no token, signature or certificate"),
    ("unknown_token", 401, "no caller has this token"),
    ("unknown_scheme", 401, "Authorization must be 'Bearer ...' or a COS signature"),
    ("bad_signature", 401, "the signature is not valid for this request, or is not from a caller"),
    ("unsigned", 401, "the signature must sign the Host header and every parameter"),
    ("expired", 401, "the signature has expired"),
    ("not_yet_valid", 401, "the signature is not valid yet"),
    ("unknown_certificate", 403, "no caller has this certificate"),
    ("ambiguous", 400, "a header or a parameter that must appear once appears more than once"),
    ("bad_path", 400, "the path must begin with a slash"),
    ("bad_encoding", 400, "the path is not valid percent-encoded UTF-8"),
    ("control_character", 400, "the path has a control character"),
    ("backslash", 400, "the path has a backslash"),
    ("empty_segment", 400, "the path has two slashes in a row"),
    ("dot_segment", 400, "the path has a segment . or .."),
    ("twice_encoded", 400, "the path is percent-encoded twice"),
    ("no_key", 404, "the path names no object"),
    ("bad_key", 400, "COS does not allow this key: keys have at most 850 bytes"),
    ("bad_query", 400, "the query is not valid percent-encoded UTF-8, or is too long"),
    ("no_route", 404, "no route has this path or name"),
    ("method", 405, "the route does not accept this method"),
    ("not_granted", 403, "the caller may not use this route"),
    ("method_not_granted", 403, "the caller may not use this method"),
    ("prefix", 403, "the caller may not use keys of this prefix"),
    ("parameter", 403, "a parameter is not allowed"),
    ("header", 403, "a header is not allowed"),
    ("expires", 403, "a signature may not be valid for that long"),
    ("origin", 403, "the route does not accept requests from this page"),
    ("rate", 429, "the caller has asked too often"),
    ("busy", 429, "too many bulk requests are under way"),
    ("untrusted", 403, "only a trusted proxy may send this request"),
    ("no_original", 400, "the proxy does not name the original request"),
    ("unavailable", 503, "there are no credentials to sign with now"),
    ("bad_body", 400, "the body does not have the form of its Content-Type"),
    ("too_large", 413, "the body has too many rows or bytes"),
    ("media_type", 415, "the body's Content-Type is not one that can be read"),
    ("stalled", 408, "the client has stopped sending or reading"),
    ("no_room", 507, "the gateway's disk has no room for the body"),
    ("stopping", 503, "the gateway is stopping"),
    ("gone", 400, "the client has disconnected, or the HTTP framing of its body is wrong"),
    ("failed", 500, "the gateway has failed"),
)

# Which entry of the catalogue of cossign.explain says more of a reason; "" for all of it.
CAUSES = {
    "no_credentials": "no-signature",
    "unknown_scheme": "authorization-form",
    "bad_signature": "",
    "expired": "expired",
    "not_yet_valid": "not-yet-valid",
    "bad_encoding": "not-utf8",
    "backslash": "path-edited",
    "empty_segment": "slashes-changed",
    "dot_segment": "dot-segments",
    "twice_encoded": "url-encoded-again",
}

CODES = {code: number for number, (code, _, _) in enumerate(TABLE)}


def json_answer(content: Mapping[str, Any]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body of an answer in JSON, and its headers."""
    body = json.dumps(content).encode() + b"\n"
    return body, [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]


def _refusal(code: str, text: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    body, headers = json_answer({"error": code, "message": text})
    return body, [*headers, (b"x-cossign-reason", code.encode())]


# Of each reason the body and the headers that are always the same.
REFUSALS = [_refusal(code, text) for code, _, text in TABLE]

_SIGNATURE = re.compile("q-signature|signature|security-token", re.IGNORECASE | re.ASCII)


def mask_signature(text: str) -> str:
    """A path as a log may have it: nothing after what looks like a signature.

    >>> mask_signature("/a?q-ak=1&q-signature=0123")
    '/a?q-ak=1&q-signature=...'
    """
    match = _SIGNATURE.search(text)
    return text[:2048] if match is None else text[: match.start()][:2048] + f"{match[0].lower()}=..."

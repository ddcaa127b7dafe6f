"""The common part of the HTTP clients: the host of a signature, and when a request is signed again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cossign._verify import sent_host as sent_host
from cossign.credentials import Clock
from cossign.endpoint import bucket_in
from cossign.errors import ParameterError
from cossign.signer import Signer

ADDED_HEADERS = ("Authorization", "x-cos-security-token")
_KEY_TIME = re.compile("q-key-time=([0-9]+);([0-9]+)")


def check_signer(signer: Any) -> Signer:
    """A Signer, or a ParameterError."""
    if not isinstance(signer, Signer):
        raise ParameterError("signer", f"must be a cossign.Signer, not {type(signer).__name__}")
    return signer


def signs_for(signer: Signer, host: str) -> bool:
    """Whether a signature may go to a host: the bucket's own, or any if the Signer is for no bucket."""
    return signer.host is None or host.lower() == signer.host.lower()


def check_host(signer: Signer, host: str) -> None:
    """Refuse to sign for another host than the bucket's."""
    if not signs_for(signer, host):
        raise ParameterError(
            "url",
            f"has the host {host!r}, the Signer is for {signer.host!r}; nothing was sent. Use a Signer for that "
            "bucket, signer.replace(bucket=..., region=...), or one without a bucket, which signs for any host",
        )


def is_unsigned_bucket(signer: Signer, host: str) -> bool:
    """Whether a host is a bucket's, and not one that the Signer signs for: without a signature COS refuses it."""
    name = host.partition(":")[0]
    return bucket_in(name.rstrip(".")) != "" and not signs_for(signer, host)


def clock_was_wrong(
    signer: Signer, status: int, sent_headers: Mapping[str, str], received_headers: Mapping[str, str]
) -> bool:
    """Whether a request was refused because its KeyTime does not hold by the server's clock; if so, it is learnt."""
    if status != 403 or signer.clock is None or "Date" not in received_headers:
        return False
    match = _KEY_TIME.search(sent_headers.get("Authorization", ""))
    if match is None:
        return False
    server_clock = Clock(signer.clock.offset)
    try:
        server_clock.learn(received_headers["Date"])
    except ParameterError:
        return False
    if server_clock.offset == signer.clock.offset or int(match[1]) <= server_clock.now() <= int(match[2]):
        return False  # it was refused for another reason
    signer.clock.learn(received_headers["Date"])
    return True

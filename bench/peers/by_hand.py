"""What a careful user writes by hand: constants hoisted, hashlib states copied, urllib's quote, one f-string."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import quote

NAME = "loop by hand"
PACKAGE = None
DOES = "Twenty lines of Python for this one case: constants hoisted, HMAC by copies of two prepared hashlib objects, urllib.parse.quote. It checks nothing, has one host, no parameters and no token."


def make(secret_id: str, secret_key: str, bucket: str, region: str):  # type: ignore[no-untyped-def]
    host = f"{bucket}.cos.{region}.myqcloud.com"

    def presign(keys: list[str]) -> list[str]:
        start = int(time.time()) - 1
        key_time = f"{start};{start + 900}"
        sign_key = hmac.new(secret_key.encode(), key_time.encode(), "sha1").hexdigest().encode().ljust(64, b"\0")
        inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in sign_key))
        inner.update(f"sha1\n{key_time}\n".encode())
        outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in sign_key))
        tail = f"\n\nhost={quote(host, safe='-_.~')}\n"
        times = quote(key_time, safe="")
        between = (
            f"?q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={times}&q-key-time={times}"
            "&q-header-list=host&q-url-param-list=&q-signature="
        )
        base = f"https://{host}/"
        sha1, urls = hashlib.sha1, []
        for key in keys:
            first = inner.copy()
            first.update(sha1(f"get\n/{key}{tail}".encode()).hexdigest().encode() + b"\n")
            second = outer.copy()
            second.update(first.digest())
            urls.append(f"{base}{quote(key, safe='-_.~/')}{between}{second.hexdigest()}")
        return urls

    return presign

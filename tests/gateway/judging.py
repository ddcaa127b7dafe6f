"""What an answer of the gateway gives away, judged without cossign: the policy of serving.py forbids the rest."""

from __future__ import annotations

import json
import posixpath
import re
import time
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlencode, urlsplit

from tests.conftest import HOST as COS_HOST
from tests.conftest import SECRET_ID, SECRET_KEY
from tests.cos_server import refusal
from tests.gateway.attacks import Attack
from tests.gateway.serving import Answer

PARAMETERS = {"response-content-type"}
LONGEST = {  # seconds that signatures of these keys may hold
    "photos/alice/": 600, "photos/bob/": 900, "photos/carol/": 900, "photos/dave/": 900, "photos/public/": 900,
    "uploads/alice/": 300,
}  # fmt: skip


def readings(path: str) -> set[str]:
    """What servers, proxies and stores may make of a path: decoded once or more, tidied up or not."""
    found = {path}
    for _ in range(3):
        for each in list(found):
            found.add(unquote(each))
            found.add(each.replace("\\", "/"))
            found.add(re.sub("/+", "/", each))
            found.add(each.partition("#")[0])
            found.add(each.partition("\0")[0])
            found.add(re.sub(";[^/]*", "", each))
    return found | {posixpath.normpath(each) + ("/" if each.endswith("/") else "") for each in found}


def granted_url(url: str, method: str, prefix: str) -> str:
    """Why a presigned URL must not have been given, or ""."""
    parts = urlsplit(url)
    if (parts.scheme, parts.netloc) != ("https", COS_HOST):
        return f"it leads to {parts.netloc}"
    target = f"{parts.path}?{parts.query}"
    refused = refusal(
        method.encode(), target.encode(), [(b"host", COS_HOST.encode())], SECRET_ID, SECRET_KEY, None, time.time()
    )
    if refused:
        return f"COS would refuse it: {refused}"
    key = unquote_to_bytes(parts.path[1:]).decode()
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    names = {name for name in query if not name.startswith("q-")}
    if not all(name in PARAMETERS or name.startswith("imageMogr2/") for name in names):
        return f"its parameters are {names}"
    start, end = map(int, query["q-key-time"].split(";"))
    if end - start > LONGEST[prefix]:
        return f"it holds for {end - start} s"
    return elsewhere(key, prefix)


def granted_signature(
    value: str, method: str, key: str, query: dict[str, str], headers: dict[str, str], prefix: str
) -> str:
    """Why an SDK must not have been given a signature, or ""."""
    allowed_methods = ("PUT",) if prefix.startswith("uploads/") else ("GET", "HEAD")
    if method.upper() not in allowed_methods:
        return f"it signs {method}"
    if not all(name in PARAMETERS or name.startswith("imageMogr2/") for name in query):
        return f"its parameters are {set(query)}"
    fields = dict(part.partition("=")[::2] for part in value.split("&"))
    if not {"host"} <= set(fields["q-header-list"].split(";")) <= {"host", "range"}:
        return f"it signs {fields['q-header-list']}"
    start, end = map(int, fields["q-key-time"].split(";"))
    if end - start > LONGEST[prefix]:
        return f"it holds for {end - start} s"
    host = next((value for name, value in headers.items() if name.lower() == "host" and value), COS_HOST).lower()
    if host != COS_HOST:
        return f"it leads to {host}"
    target = quote("/" + key) + "?" + urlencode(query, quote_via=quote)
    pairs = [(b"host", COS_HOST.encode()), (b"authorization", value.encode())]
    refused = refusal(method.upper().encode(), target.encode(), pairs, SECRET_ID, SECRET_KEY, None, time.time())
    return f"COS would refuse it: {refused}" if refused else elsewhere(key, prefix)


def elsewhere(key: str, prefix: str) -> str:
    """Why a key may be one of another prefix to somebody, or ""."""
    outside = [reading for reading in readings("/" + key) if not reading.startswith("/" + prefix)]
    return f"its key {key!r} may be read as {outside[0]!r}" if outside else ""


def wrong(attack: Attack, answer: Answer) -> str:
    """Why an answer gives what the policy forbids, or ""."""
    status, headers, body = answer
    if any(name in headers for name in ("x-injected", "set-cookie")):
        return "a header was injected"
    if status >= 500 and status != 501:  # what a server says to a Transfer-Encoding that it does not know
        return "the server failed"
    if status == 0 or status >= 400:
        return "it was refused" if attack.good else ""
    if attack.prefix is None:
        return "it was granted"
    if status in (302, 307):
        return granted_url(headers["location"], attack.method, attack.prefix)
    if status == 200 and attack.described is not None:
        return granted_signature(json.loads(body)["Authorization"], *attack.described, attack.prefix)
    if status == 200:
        urls = [line for line in body.decode().split("\n") if line]
        return next(
            filter(None, (granted_url(url, "GET", attack.prefix) for url in urls)), "" if urls else "it is empty"
        )
    if status != 204 or attack.original is None:
        return f"the status is {status}"
    method, target = attack.original
    path, _, query = target.partition("?")
    route, own = ("/img/", "photos/") if attack.prefix.startswith("photos/") else ("/up/", "uploads/")
    for reading in readings(unquote(path)):
        if not reading.startswith(route) or not (own + reading[len(route) :]).startswith(attack.prefix):
            return f"the path may be read as {reading!r}"
    names = [unquote(pair.partition("=")[0].replace("+", " ")) for pair in query.split("&") if pair]
    names = [name for name in names if not name.startswith("q-")]
    if len(names) != len(set(names)) or not all(name in PARAMETERS or name.startswith("imageMogr2/") for name in names):
        return f"the parameters are {names}"
    if "x-cossign-authorization" not in headers:
        return ""
    pairs = [(b"host", COS_HOST.encode()), (b"authorization", headers["x-cossign-authorization"].encode())]
    asked = headers["x-cossign-target"]
    refused = refusal(method.encode(), asked.encode(), pairs, SECRET_ID, SECRET_KEY, None, time.time())
    key = unquote_to_bytes(asked.partition("?")[0][1:]).decode()
    return refused or elsewhere(key, attack.prefix)

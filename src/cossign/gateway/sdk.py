"""POST /sdk/authorization and /sdk/credentials: the answers for the callbacks of Tencent's SDKs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cossign.credentials.base import get_credentials
from cossign.endpoint import read_host
from cossign.errors import CosSignError, CredentialsError
from cossign.gateway._gate import Event, Receive, Request, Scope, Send
from cossign.gateway.bulk import Refusal, refusal_of, send_to_any
from cossign.gateway.config import Config, Route
from cossign.gateway.policy import Policy
from cossign.gateway.reasons import CODES, json_answer
from cossign.request import signed_by_clients

__all__ = ["answer"]

_LOG = logging.getLogger("cossign.gateway")
_LONGEST_BODY = 64 << 10  # bytes
_PATIENCE = 10  # seconds that a body may take
# Headers that change only the request that they are in. Others must be in a rule's `headers` to be signed.
_HARMLESS_HEADERS = frozenset(
    {
        "cache-control", "content-disposition", "content-encoding", "content-length", "content-md5", "content-type",
        "expect", "expires", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "origin", "range",
    }
)  # fmt: skip
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_SERVICES = ("cos", "cos-internal", "cos-dualstack")  # of a bucket's hosts those that lead to its objects
_FIELDS = ("bucket", "region", "method", "key", "pathname", "query", "headers", "expires")
_LIST_PARAMS = frozenset(
    {
        "prefix", "delimiter", "marker", "max-keys", "encoding-type", "uploads", "key-marker", "max-uploads",
        "upload-id-marker", "versions", "version-id-marker",
    }
)  # fmt: skip


async def answer(policy: Policy, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI's request, from its head to the end of its answer.

    Args:
        policy: what judges.
        kind: "sdk_authorization" or "sdk_credentials".
        scope, receive, send: as ASGI has them.
    """
    start_time = time.monotonic_ns()
    gate = policy.gate
    request, code = gate.admit(scope)
    signature_count = 0
    try:
        if code != "ok":
            raise Refusal(code)
        if scope["method"] != "POST":
            raise Refusal("method", "send a POST")
        body = await asyncio.wait_for(_read_body(receive), _PATIENCE)
        if kind == "sdk_authorization":
            content = _authorization(policy, request, _fields(scope, body))
        else:
            content = await _temporary_keys(policy, request)
        signature_count = 1
        events = _success(content)
    except (Refusal, asyncio.TimeoutError) as error:
        refusal = error if isinstance(error, Refusal) else Refusal("stalled")
        code = refusal.code
        events = gate.refusal(request, code, refusal.more)
    except BaseException:
        code = "failed"
        raise
    finally:
        gate.count(request, scope, code, time.monotonic_ns() - start_time, signature_count)
    if policy.cors is not None:
        events[0]["headers"] += policy.cors.headers(scope, _route_names(policy, kind, request) if code == "ok" else ())
    await send_to_any(send, code, *events)


def _route_names(policy: Policy, kind: str, request: Request) -> list[str]:
    """The routes that an answer is good for."""
    if kind == "sdk_authorization":
        return [request.route.name]
    return [route.name for route in policy.temporary_keys[request.caller.name].lent.routes]


def _success(content: Mapping[str, Any]) -> tuple[Event, Event]:
    body, headers = json_answer(content)
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


# --- The body


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise Refusal("gone")
        body += event.get("body", b"")
        if len(body) > _LONGEST_BODY:
            raise Refusal("too_large", f"it may have {_LONGEST_BODY} bytes")
        if not event.get("more_body"):
            return bytes(body)


def _fields(scope: Scope, body: bytes) -> dict[str, Any]:
    """What the SDK tells its callback, by names in lower case; what else it tells is not needed."""
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise Refusal("media_type", "it must be application/json")
    try:
        content = json.loads(body, object_pairs_hook=_unique)
    except Refusal:
        raise
    except (ValueError, RecursionError):
        raise Refusal("bad_body", "it must be JSON in UTF-8") from None
    if not isinstance(content, dict):
        raise Refusal("bad_body", "it must be the object that the SDK gives to getAuthorization")
    fields = _unique([(name.lower(), value) for name, value in content.items() if name.lower() in _FIELDS])
    for name in ("bucket", "region", "method", "key", "pathname"):
        if not isinstance(fields.get(name) or "", str):
            raise Refusal("bad_body", f"{name.capitalize()} must be a text")
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refusal("ambiguous", "a name is in the body twice")
    return fields


def _texts(fields: Mapping[str, Any], name: str) -> dict[str, str]:
    """Query or Headers, as JavaScript writes their values."""
    values = fields.get(name)
    if values is not None and not isinstance(values, dict):
        raise Refusal("bad_body", f"{name.capitalize()} must be an object")
    texts: dict[str, str] = {}
    for each, value in (values or {}).items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        elif value is None:
            value = ""
        if not isinstance(value, str):
            raise Refusal("bad_body", f"{name.capitalize()}[{each!r}] must be a text")
        texts[each] = value
    if len({each.lower() for each in texts}) != len(texts):
        raise Refusal("ambiguous", f"a name is in {name.capitalize()} twice")
    return texts


# --- One signature


def _authorization(policy: Policy, request: Request, fields: Mapping[str, Any]) -> dict[str, str]:
    """The signature of the request that an SDK describes, if one of the caller's rules allows it."""
    name = _asked_route(request)
    method = (fields.get("method") or "").upper()
    key, query = _key(fields), _texts(fields, "query")
    headers = {each: value for each, value in _texts(fields, "headers").items() if value}
    wrong_name = next((each for each in headers if not _HEADER_NAME.fullmatch(each)), None)
    if wrong_name is not None:
        raise Refusal("bad_body", f"Headers has a name that no header has: {wrong_name[:64]!r}")
    host = next((value for each, value in headers.items() if each.lower() == "host"), None)
    signed_headers = {
        each: value for each, value in headers.items() if signed_by_clients(each) and each.lower() != "host"
    }
    subject, lists = _subject(method, key, query)
    try:
        key_bytes = subject.encode()
    except UnicodeEncodeError:
        raise Refusal("bad_encoding") from None
    routes = list(_routes_of(policy.config, fields, name))
    if not routes:
        raise Refusal("no_route", "name the Bucket and the Region of a route, or the route: ?route=NAME")
    nearest: Refusal | None = None
    for route in routes:
        code = policy.gate.permit_request(
            request,
            route=route.name,
            method=method,
            key=key_bytes,
            query=query or None,
            header_names={each.lower() for each in signed_headers} - _HARMLESS_HEADERS,
            lists=lists,
            seconds=_seconds(fields),
        )
        if code == "ok":
            break
        refused = refusal_of(code, request)
        if nearest is None or CODES[refused.code] > CODES[nearest.code]:
            nearest = refused
    else:
        assert nearest is not None
        raise nearest
    return _sign(request, route, method, key, query, _with_host(request, route, signed_headers, host))


def _sign(
    request: Request, route: Route, method: str, key: str, query: dict[str, str], headers: dict[str, str]
) -> dict[str, str]:
    signer = request.route.signer
    signer = signer if key else signer.replace(strict=False)  # a list of keys
    times = signer.times()
    end = times.start + request.seconds
    span = (times.start, max(min(end, request.until), times.start + 1) if request.until else end)
    try:
        credentials = signer.valid_credentials()
        value = signer.authorization(method, key, query=query, headers=headers, key_time=span)
    except CredentialsError:
        raise Refusal("unavailable") from None
    except CosSignError as error:
        raise Refusal("bad_body", str(error)) from None
    return {"Authorization": value, **({} if credentials.token is None else {"SecurityToken": credentials.token})}


def _asked_route(request: Request) -> str | None:
    """The route that the address names: ?route=NAME."""
    query = dict(request.query or {})
    name = query.pop("route", None)
    if query:
        raise Refusal("parameter", f"the URL may have only the parameter route, not {next(iter(query))}")
    return name


def _routes_of(config: Config, fields: Mapping[str, Any], name: str | None) -> Iterator[Route]:
    """The routes that a request may be meant for, the one with the longest prefix first."""
    bucket, region = fields.get("bucket") or None, fields.get("region") or None
    for route in sorted(config.route, key=lambda route: len(route.prefix), reverse=True):
        is_bucket = bucket is not None and (bucket, region or route.region) == (route.bucket, route.region)
        is_only = bucket is None and (name is not None or len(config.route) == 1)
        if name in (None, route.name) and (is_bucket or is_only):
            yield route


def _key(fields: Mapping[str, Any]) -> str:
    key, path = fields.get("key") or "", fields.get("pathname") or ""
    if path and not path.startswith("/"):
        raise Refusal("bad_path", "Pathname must begin with a slash")
    if path and key and path[1:] != key:
        raise Refusal("ambiguous", "Pathname and Key are different keys")
    return str(key or path[1:])


def _subject(method: str, key: str, query: Mapping[str, str]) -> tuple[str, bool]:
    """What the rules' prefixes are compared with, and whether keys are listed."""
    if key:
        return key, False
    if method == "POST" and not query:  # its signature would do for every key, and for a batch delete
        raise Refusal("no_key", "a signature does not cover a form's key: use temporary keys (/sdk/credentials)")
    if method == "GET" and _LIST_PARAMS.issuperset(query):
        return query.get("prefix", ""), True
    raise Refusal("no_key", "without a key, only requests that list keys can be signed")


def _seconds(fields: Mapping[str, Any]) -> int | None:
    seconds = fields.get("expires")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0):
        raise Refusal("bad_body", "Expires must be a number of seconds, greater than 0")
    return seconds


def _with_host(request: Request, route: Route, headers: dict[str, str], host: str | None) -> dict[str, str]:
    """The headers that are signed, with a Host: without it, a signature would do for all buckets of the account."""
    signer = request.route.signer
    own_host = request.route.headers.get("Host") or signer.where().host
    if host is not None and host.lower() != own_host:
        parts = read_host(host)
        regions = (route.region, "accelerate", "accelerate-overseas")
        if (
            parts is None
            or parts.bucket != route.bucket
            or parts.service not in _SERVICES
            or parts.region not in regions
        ):
            raise Refusal("header", f"Host must be a host of the route's bucket, such as {own_host}")
        own_host = host
    return {**headers, "Host": own_host}


# --- Temporary keys


async def _temporary_keys(policy: Policy, request: Request) -> dict[str, Any]:
    """Keys as getSTS hands them to the SDK, and once more as Tencent's documentation has a server answer."""
    keys = policy.temporary_keys.get(request.caller.name)
    if keys is None:
        raise Refusal("not_granted", "none of the caller's rules has temporary_keys = true")
    now = time.time()
    if keys.lent.longest is not None and request.held_seconds > keys.lent.longest:
        raise Refusal("expires")
    if request.until and request.until < now + keys.lent.duration:
        raise Refusal(
            "expires", f"the keys are valid for {keys.lent.duration} s, longer than the caller's own signature"
        )
    try:
        credentials = await get_credentials(keys.provider)
    except CredentialsError as error:
        _LOG.warning("no temporary keys for the caller %s: %s", request.caller.name, error)
        raise Refusal("unavailable") from None
    end = int(credentials.expires_at or 0)
    start = int(now)  # not when the keys were made: the SDK adds the Expires of a URL to it
    return {
        "TmpSecretId": credentials.secret_id,
        "TmpSecretKey": credentials.secret_key,
        "SecurityToken": credentials.token,
        "StartTime": start,
        "ExpiredTime": end,
        "credentials": {
            "tmpSecretId": credentials.secret_id,
            "tmpSecretKey": credentials.secret_key,
            "sessionToken": credentials.token,
        },
        "startTime": start,
        "expiredTime": end,
    }

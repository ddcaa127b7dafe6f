"""The policy, request by request, as an ASGI server would ask."""

from __future__ import annotations

import asyncio
import errno
import functools
import hashlib
import json
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cossign import Credentials, CredentialsError, Signer
from cossign.gateway import ConfigError, Gateway
from cossign.gateway._gate import Board, judged_path
from cossign.gateway.access_log import AccessLog, _pieces, client_of
from cossign.gateway.policy import CredentialsHolder, make_network_check
from cossign.gateway.reasons import mask_signature
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.gateway.serving import carols
from tests.waiting import PATIENCE, eventually, until

CREDENTIALS = Credentials(SECRET_ID, SECRET_KEY)
TOKEN = hashlib.sha256(b"sesame").hexdigest()
BEARER = {"authorization": "Bearer sesame"}


def config(
    route: Mapping[str, Any] = {}, allow: Mapping[str, Any] = {}, caller: Any = None, **more: Any
) -> dict[str, Any]:
    """A configuration of one route and one caller."""
    return {
        "trusted_proxies": ["10.0.0.1"],
        "route": [{"name": "all", "bucket": BUCKET, "region": "ap-beijing", **route}],
        "caller": [
            {
                "name": "bob", **({"token_sha256": TOKEN} if caller is None else caller),
                "allow": [{"routes": ["*"], "prefixes": [""], "bulk": True, **allow}],
            }
        ],
        **more,
    }  # fmt: skip


Answer = tuple[int, dict[str, str], bytes]


def ask(
    gateway: Gateway, target: str, headers: Mapping[str, str] = BEARER, method: str = "GET", client: Any = ("10.0.0.1", 1),
    body: bytes = b"", **scope: Any,
) -> Answer:  # fmt: skip
    """One request, by ASGI."""
    return asyncio.run(asked(gateway, target, headers, method, client, body, **scope))


async def asked(
    gateway: Gateway, target: str, headers: Mapping[str, str] = BEARER, method: str = "GET", client: Any = ("10.0.0.1", 1),
    body: Any = b"", **scope: Any,
) -> Answer:  # fmt: skip
    raw_path, _, query = target.partition("?")
    events: list[Any] = []
    pieces = [body] if isinstance(body, bytes) else body
    chunks = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces[::-1]]
    chunks[0]["more_body"] = False

    async def receive() -> Any:
        if chunks:
            return chunks.pop()
        return await asyncio.sleep(3600)

    async def send(event: Any) -> None:
        events.append(event)

    pairs = [
        (b"host", b"gw.example.com"),
        *((name.encode(), value.encode("latin-1")) for name, value in headers.items()),
    ]
    await gateway(
        {
            "type": "http", "method": method, "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            "raw_path": raw_path.encode("latin-1"), "query_string": query.encode("latin-1"), "headers": pairs,
            "client": client, **scope,
        },
        receive, send,
    )  # fmt: skip
    await gateway.stop()
    assert [event["type"] for event in events] == ["http.response.start"] + ["http.response.body"] * (len(events) - 1)
    assert all(type(name) is type(value) is bytes for name, value in events[0]["headers"])
    found = {name.decode(): value.decode() for name, value in events[0]["headers"]}
    return events[0]["status"], found, b"".join(event["body"] for event in events[1:])


def gateway(*args: Any, **options: Any) -> Gateway:
    return Gateway(config(*args, **options), credentials=CREDENTIALS)


def key_of(answer: Answer) -> str:
    assert answer[0] in (302, 307), answer
    return Signer(CREDENTIALS, bucket=BUCKET, region="ap-beijing").verify(answer[1]["location"]).key


# --- Redirects


@pytest.mark.parametrize(
    "key", ["a", "a b.jpg", "头像.jpg", "a+b&c=d?e#f", "a%zz", "'()*!~", "a/b/c", "..a/b..", "a;b"]
)
def test_the_key_is_the_path(key: str) -> None:
    assert key_of(ask(gateway(), "/" + quote(key))) == key
    route = {"path": "/img/", "prefix": "照片/"}
    assert key_of(ask(gateway(route), "/img/" + quote(key))) == "照片/" + key


@given(st.text(max_size=40), st.sampled_from(["", "/", "%"]))
def test_any_key_is_signed_as_it_was_judged_or_refused(text: str, safe: str) -> None:
    try:
        target = "/" + quote(text, safe=safe)
    except UnicodeEncodeError:
        return
    decoded, code = judged_path(target.encode())
    if code == "ok":
        assert decoded == unquote_to_bytes(target)
        parts = decoded.decode()[1:].split("/")
        assert not {".", ".."} & set(parts)
        assert "" not in parts[:-1]
        assert not any(ord(letter) < 32 or letter in "\\\x7f" for letter in decoded.decode())
    else:
        assert decoded == b""


@pytest.mark.parametrize(
    "raw, code",
    [
        (b"", "bad_path"),
        (b"a", "bad_path"),
        (b"/%", "bad_encoding"),
        (b"/%4", "bad_encoding"),
        (b"/%4g", "bad_encoding"),
        (b"/a#b", "bad_encoding"),
        (b"/a?b", "bad_encoding"),
        (b"/a b", "bad_encoding"),
        (b"/\xff", "bad_encoding"),
        (b"/%c0%ae", "bad_encoding"),
        (b"/%ed%a0%80", "bad_encoding"),
        (b"/a%00", "control_character"),
        (b"/a%0d", "control_character"),
        (b"/a%7f", "control_character"),
        (b"/a%5cb", "backslash"),
        (b"/a\\b", "backslash"),
        (b"//", "empty_segment"),
        (b"/a//b", "empty_segment"),
        (b"/a%2f%2Fb", "empty_segment"),
        (b"/.", "dot_segment"),
        (b"/..", "dot_segment"),
        (b"/a/.", "dot_segment"),
        (b"/a/%2e/b", "dot_segment"),
        (b"/a%2f..%2fb", "dot_segment"),
        (b"/..;a/b", "dot_segment"),
        (b"/a/..%3f", "dot_segment"),
        (b"/.%23/b", "dot_segment"),
        (b"/a%252e", "twice_encoded"),
        (b"/a%25%32%65", "twice_encoded"),
        (b"/...", "ok"),
        (b"/.a/a./a..", "ok"),
        (b"/a%25", "ok"),
        (b"/a%25%32", "ok"),
        (b"/100%25%20sure", "ok"),
        (b"/a/", "ok"),
        (b"/", "ok"),
        (b"/a;b/;../c", "ok"),
    ],
)
def test_paths(raw: bytes, code: str) -> None:
    assert judged_path(raw)[1] == code


def test_unusual_keys_are_a_routes_choice() -> None:
    for target, key in (("/a//b", "a//b"), ("/a%5cb", "a\\b"), ("/a%252fb", "a%2fb")):
        assert ask(gateway(), target)[0] == 400
        assert key_of(ask(gateway({"unusual_keys": True}), target)) == key
    for target in ("/a/%2e%2e/b", "/a%00", "/./a", "/%ff"):
        assert ask(gateway({"unusual_keys": True}), target)[0] == 400


PARTS = [b"..", b".", b"/", b"\\", b"%2e", b"%2E", b"%252e", b"%25", b"%2f", b"%5c", b"%255c", b"2e", b"5c", b"a", b";", b"%00", b"%", b"0a", b"//"]  # fmt: skip


def segments(path: bytes) -> list[bytes]:
    return [re.split(b"[;?#]", each)[0] for each in path.replace(b"\\", b"/").split(b"/")]


@given(st.lists(st.sampled_from(PARTS), max_size=14).map(b"".join))
def test_no_decoding_of_an_unusual_key_makes_a_dot_segment(key: bytes) -> None:
    """However often it is decoded, and also where a backslash is a slash."""
    decoded, code = judged_path(b"/" + quote(key).encode(), True)
    levels = [key]
    while (further := unquote_to_bytes(levels[-1])) != levels[-1]:
        levels.append(further)
    is_odd = any({b".", b".."} & set(segments(level)) or re.search(rb"[\x00-\x1f\x7f]", level) for level in levels)
    if len(levels) < 9:
        assert (code == "ok") == (not is_odd)
    assert code != "ok" or (decoded == b"/" + key and not is_odd)


def test_a_key_that_is_encoded_very_often_is_no_key() -> None:
    for levels, code in ((2, "dot_segment"), (8, "dot_segment"), (9, "twice_encoded"), (800, "twice_encoded")):
        assert judged_path(b"/a/%" + b"25" * levels + b"2e/b", True) == (b"", code)
    assert judged_path(b"/" + b"a" * 1100 + b"%2541", True) == (b"", "twice_encoded")


def test_the_longest_route_wins_and_each_has_its_bucket() -> None:
    routes = [
        {"name": "all", "bucket": BUCKET, "region": "ap-beijing"},
        {"name": "img", "path": "/img/", "domain": "https://img.example.com", "prefix": "photos/"},
        {"name": "big", "path": "/img/big/", "bucket": "big-1250000000", "region": "ap-guangzhou"},
    ]
    found = Gateway({**config(), "route": routes}, credentials=CREDENTIALS)
    for target, start in (
        ("/a", f"https://{BUCKET}.cos.ap-beijing.myqcloud.com/a?"),
        ("/img/a", "https://img.example.com/photos/a?"),
        ("/img/big/a", "https://big-1250000000.cos.ap-guangzhou.myqcloud.com/a?"),
        ("/img/bigger", "https://img.example.com/photos/bigger?"),
        ("/img", f"https://{BUCKET}.cos.ap-beijing.myqcloud.com/img?"),
    ):
        assert ask(found, target)[1]["location"].startswith(start)
    assert json.loads(ask(found, "/img/")[2])["error"] == "no_key"
    only = Gateway({**config(), "route": routes[1:]}, credentials=CREDENTIALS)
    assert (ask(only, "/a")[0], json.loads(ask(only, "/a")[2])["error"]) == (404, "no_route")


def test_methods() -> None:
    found = gateway({"methods": ["GET", "HEAD", "PUT", "DELETE"]}, {"methods": ["GET", "PUT"]})
    assert ask(found, "/a")[0] == 302
    put = ask(found, "/a", method="PUT")
    assert (put[0], put[1]["cache-control"]) == (307, "no-store")
    assert "q-header-list=host" in put[1]["location"]
    status, headers, body = ask(found, "/a", method="DELETE")
    assert (status, json.loads(body)["error"]) == (403, "method_not_granted")
    status, headers, body = ask(found, "/a", method="POST")
    assert (status, headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")
    signer = Signer(CREDENTIALS, bucket=BUCKET, region="ap-beijing")
    assert signer.verify(put[1]["location"], method="PUT").method == "PUT"


def test_parameters() -> None:
    found = gateway(
        {"params": ["response-content-disposition", "imageMogr2/*"]}, {"params": ["response-content-disposition"]}
    )
    value = 'attachment; filename="ä b.pdf"'
    answer = ask(found, "/a?response-content-disposition=" + quote(value))
    assert "&response-content-disposition=" + quote(value, safe="") in answer[1]["location"]
    assert key_of(answer) == "a"
    assert json.loads(ask(found, "/a?imageMogr2/thumbnail/!50p")[2])["error"] == "parameter"  # the rule
    assert json.loads(ask(found, "/a?acl")[2])["error"] == "parameter"  # the route
    every = gateway({"params": ["imageMogr2/*"]}, {"params": ["*"]})
    assert ask(every, "/a?imageMogr2/thumbnail/!50p")[0] == 302
    assert ask(every, "/a?")[0] == 302
    assert ask(every, "/a?acl")[0] == 403
    whatever = gateway({"params": ["*"]}, {"params": ["*"]})
    assert ask(whatever, "/a?x=1&y=2")[0] == 302
    for query in ("x=1&x=2", "x=1&X=2", "x=1&%58=2", "x&x", "=1", "x=%00", "%00=1", "x=%ff", "x=1#y"):
        assert ask(whatever, f"/a?{query}")[0] == 400, query


def test_expiry_is_the_shortest_of_route_and_rule() -> None:
    def held(found: Gateway) -> int:
        location = ask(found, "/a")[1]["location"]
        start, _, end = location.partition("q-key-time=")[2].partition("&")[0].partition("%3B")
        return int(end) - int(start)

    assert held(gateway({"expires": "1h"})) == 3600
    assert held(gateway({"expires": "1h"}, {"max_expires": 60})) == 60
    assert held(gateway({"expires": 30}, {"max_expires": 60})) == 30
    assert held(gateway({"expires": "1h", "round_to": 300}, {"max_expires": 900})) == 900  # 600 behind the window


def test_the_redirects_cache_control_fits_what_it_leads_to() -> None:
    def fresh(answer: Answer) -> str:
        return answer[1]["cache-control"]

    assert fresh(ask(gateway({"expires": 1000}), "/a")) == "private, max-age=499"
    public = {"expires": 1000, "cache": "public"}
    assert fresh(ask(gateway(public), "/a")) == "private, max-age=499"
    both = gateway(public, caller={"token_sha256": TOKEN, "anonymous": True})
    assert fresh(ask(both, "/a", {})) == "public, max-age=499"
    settings = config(public)
    settings["caller"].append({**settings["caller"][0], "name": "anyone", "anonymous": True})
    del settings["caller"][1]["token_sha256"]
    two = Gateway(settings, credentials=CREDENTIALS)
    kinds = [fresh(ask(two, "/a", headers)).partition(",")[0] for headers in (BEARER, {}, BEARER, {}, {}, BEARER)]
    assert kinds == ["private", "public", "private", "public", "public", "private"]
    assert fresh(ask(gateway({"expires": 1}), "/a")) == "no-store"
    begun = time.time()
    ends = Credentials(SECRET_ID, SECRET_KEY, "token", begun + 600)
    found = Gateway(config({"expires": 1000}), credentials=ends)
    answer = ask(found, "/a")
    assert 98 - (time.time() - begun) <= int(fresh(answer).rpartition("=")[2]) <= 100
    assert "&x-cos-security-token=token" in answer[1]["location"]
    rounded = int(fresh(ask(gateway({"expires": 1000, "round_to": 10000}), "/a")).rpartition("=")[2])
    assert 499 <= rounded <= 10499


def test_urls_are_the_same_within_a_window_and_new_behind_it() -> None:
    found = gateway({"expires": 1000, "round_to": 100_000})
    assert ask(found, "/a")[1]["location"] == ask(found, "/a")[1]["location"]
    found = gateway()
    first = ask(found, "/a")[1]["location"]
    until(lambda: ask(found, "/a")[1]["location"] != first, "another second")


# --- Callers


def test_nobody_without_credentials_unless_there_is_an_anonymous_caller() -> None:
    status, headers, body = ask(gateway(), "/a", {})
    assert (status, json.loads(body)["error"]) == (401, "no_credentials")
    assert headers["www-authenticate"].startswith("Bearer")
    assert headers["x-cossign-reason"] == "no_credentials"
    assert ask(gateway(caller={"anonymous": True}), "/a", {})[0] == 302
    assert ask(gateway(caller={"anonymous": True}), "/a", {"authorization": "Bearer wrong"})[0] == 401
    nobody = Gateway({**config(), "caller": []}, credentials=CREDENTIALS)
    assert ask(nobody, "/a")[0] == 401


def test_certificates_by_a_trusted_proxy_only() -> None:
    certificate = {"subject_header": "X-Dn", "verified_header": "X-Verified"}
    found = gateway(caller={"certificate": "CN=bob"}, client_certificate=certificate)
    told = {"x-dn": "CN=bob", "x-verified": "SUCCESS"}
    assert ask(found, "/a", told)[0] == 302
    assert ask(found, "/a", told, client=("10.0.0.2", 1))[0] == 401
    assert ask(found, "/a", told, client=None)[0] == 401
    assert ask(found, "/a", {**told, "x-verified": "NONE"})[0] == 403
    assert ask(found, "/a", {**told, "x-dn": "CN=eve"})[0] == 403
    assert ask(found, "/a", {"x-dn": "", "x-verified": "NONE"})[0] == 401  # what nginx sends without a certificate


def test_a_unix_socket_is_trusted_if_the_configuration_says_so() -> None:
    found = gateway(caller={"anonymous": True}, trusted_proxies=["unix"])
    headers = {"x-original-uri": "/a", "x-original-method": "GET"}
    for client, status in ((None, 204), (("", 0), 204), (("10.0.0.1", 1), 403)):
        assert ask(found, "/authorize", headers, client=client)[0] == status


@pytest.mark.parametrize(
    "address, trusted",
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("testclient", False),
        ("10.1.2.3, 11.0.0.1", False),
    ],
)
def test_networks(address: str, trusted: bool) -> None:
    assert make_network_check(["10.0.0.0/8", "2001:db8::/32"])(address) is trusted


def test_a_callers_signature_bounds_the_answers_life() -> None:
    found = gateway({"expires": 900}, caller={"secret_id": "AKIDcarol", "secret_key_file": str(KEY_FILE)})
    KEY_FILE.write_text("key-of-carol\n")
    found = gateway({"expires": 900}, caller={"secret_id": "AKIDcarol", "secret_key_file": str(KEY_FILE)})
    signature = carols("GET", "/a", seconds=500)
    answer = ask(found, "/a", {"authorization": signature})
    assert re.findall(r"q-key-time=\d+%3B(\d+)&", answer[1]["location"]) == re.findall(
        r"q-key-time=\d+;(\d+)&", signature
    )
    assert ask(found, "/a", {"authorization": carols("GET", "/b", seconds=500)})[0] == 401
    signature = carols("POST", "/presign", seconds=500)
    many = ask(found, "/presign", {"authorization": signature}, "POST", body=b"a\nb\n")
    ends = re.findall(r"q-key-time=\d+%3B(\d+)&", many[2].decode())
    assert ends == re.findall(r"q-key-time=\d+;(\d+)&", signature) * 2


KEY_FILE = Path("/dev/null")


@pytest.fixture(autouse=True)
def _key_file(tmp_path: Path) -> None:
    global KEY_FILE
    KEY_FILE = tmp_path / "key"
    KEY_FILE.write_text("x")


# --- Rates


def test_rates_are_a_bucket_that_fills_evenly() -> None:
    found = gateway(caller={"token_sha256": TOKEN, "rate": 0.001, "burst": 3})
    assert [ask(found, "/a")[0] for _ in range(5)] == [302, 302, 302, 429, 429]
    status, headers, body = ask(found, "/a")
    assert (status, json.loads(body)["error"]) == (429, "rate")
    assert 1000 - PATIENCE <= int(headers["retry-after"]) <= 1000
    found = gateway(caller={"token_sha256": TOKEN, "rate": 50, "burst": 3})

    async def many() -> int:
        return sum([(await asked(found, "/a"))[0] == 302 for _ in range(1000)])

    begun = time.monotonic()
    granted = asyncio.run(many())
    assert 3 <= granted <= 3 + 50 * (time.monotonic() - begun) + 1
    until(lambda: ask(found, "/a")[0] == 302, "another request's turn")


def test_rates_are_shared_by_processes_and_by_reloads() -> None:
    memory = bytearray(1 << 16)
    settings = config(caller={"token_sha256": TOKEN, "rate": 0.01, "burst": 2})
    one, other = (Gateway(settings, credentials=CREDENTIALS, memory=memory) for _ in range(2))
    assert [ask(one, "/a")[0], ask(other, "/a")[0], ask(one, "/a")[0], ask(other, "/a")[0]] == [302, 302, 429, 429]
    asyncio.run(one.reload(settings))
    assert ask(one, "/a")[0] == 429


def test_the_board_counts_exactly_from_many_threads() -> None:
    board = Board(bytearray(128 * 64))

    def count() -> None:
        for number in range(20_000):
            board.add(f"c{number % 10}".encode(), 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(board) == {f"c{number}".encode(): 8000 for number in range(10)}


def test_a_full_board_loses_counts_and_not_requests() -> None:
    memory = bytearray(128 * 3)
    found = Gateway(config(), credentials=CREDENTIALS, memory=memory)
    assert [ask(found, target)[0] for target in ("/a", "/b", "/%00", "/c?x")] == [302, 302, 400, 403]
    with pytest.raises(ValueError, match="room"):
        Gateway(config(caller={"token_sha256": TOKEN, "rate": 1}), credentials=CREDENTIALS, memory=memory)
    with pytest.raises(ValueError, match="128 bytes"):
        Board(bytearray(100))
    with pytest.raises(MemoryError, match="no room"):
        Board(memory).add(b"one more", 1)


# --- Sub-requests


def test_nginx_learns_what_to_say_and_gets_401_or_403_only() -> None:
    found = gateway({"expires": 60, "prefix": "p/"}, {"prefixes": ["p/"]})
    original = {"x-original-uri": "/a%20b?", "x-original-method": "GET"}
    status, headers, body = ask(found, "/authorize", {**BEARER, **original})
    assert (status, headers["x-cossign-caller"], headers["x-cossign-route"], body) == (204, "bob", "all", b"")
    status, headers, body = ask(found, "/sign", {**BEARER, **original})
    assert (status, headers["x-cossign-target"]) == (204, "/p/a%20b")
    assert headers["x-cossign-host"] == f"{BUCKET}.cos.ap-beijing.myqcloud.com"
    signer = Signer(CREDENTIALS, bucket=BUCKET, region="ap-beijing")
    given = {"authorization": headers["x-cossign-authorization"]}
    verified = signer.verify(f"https://{headers['x-cossign-host']}{headers['x-cossign-target']}", headers=given)
    assert (verified.key, verified.header_list) == ("p/a b", ("host",))
    for uri, reason, status in (
        ("/a%00", "control_character", 403),
        ("/a?x=1", "parameter", 403),
        ("/", "no_key", 403),
    ):
        answer = ask(found, "/authorize", {**BEARER, **original, "x-original-uri": uri})
        assert (answer[0], answer[1]["x-cossign-reason"]) == (status, reason)
    answer = ask(found, "/authorize", original)
    assert (answer[0], answer[1]["x-cossign-reason"]) == (401, "no_credentials")


@pytest.mark.parametrize("kind", ["traefik", "caddy"])
def test_traefik_and_caddy(kind: str) -> None:
    KEY_FILE.write_text("key-of-carol")
    found = gateway(
        caller={"secret_id": "AKIDcarol", "secret_key_file": str(KEY_FILE)}, forward_auth=kind, hosts=["gw.example.com"]
    )
    original = {"x-forwarded-uri": "/a", "x-forwarded-method": "GET", "x-forwarded-host": "gw.example.com"}
    signed = {"authorization": carols("GET", "/a")}
    answer = ask(found, "/sign", {"host": "gateway:8080", **signed, **original})
    assert answer[0] == 400  # Host is there twice
    asked = {**signed, **original}
    assert ask(found, "/authorize", asked)[0] == 204
    status, headers, _ = ask(found, "/sign", asked)
    assert (status, "authorization" in headers, "x-cossign-authorization" in headers) == (204, True, False)
    assert ask(found, "/authorize", {**asked, "x-forwarded-host": "elsewhere"})[0] == 401
    assert ask(found, "/authorize", {**asked, "x-forwarded-method": "PUT"})[0] == 401
    assert ask(found, "/authorize", {**asked, "x-forwarded-uri": "//a"})[0] in (400, 401)
    assert ask(found, "/authorize", {**BEARER, "x-forwarded-uri": "/a"})[0] == 400


def test_temporary_credentials_give_the_proxy_their_token() -> None:
    temporary = Credentials(SECRET_ID, SECRET_KEY, "token", time.time() + 600)
    original = {**BEARER, "x-original-uri": "/a", "x-original-method": "GET"}
    assert ask(Gateway(config(), credentials=temporary), "/sign", original)[1]["x-cossign-token"] == "token"
    original = {**BEARER, "x-forwarded-uri": "/a", "x-forwarded-method": "GET"}
    found = Gateway(config(forward_auth="traefik"), credentials=temporary)
    assert ask(found, "/sign", original)[1]["x-cos-security-token"] == "token"


# --- Its life


class Later:
    """Credentials that change, or are not there."""

    def __init__(self, now: Credentials | None) -> None:
        self.now = now
        self.asked = 0

    def get(self) -> Credentials:
        self.asked += 1
        if self.now is None:
            raise CredentialsError("none yet")
        return self.now


def test_credentials_are_rotated_live_and_their_absence_is_503() -> None:
    provider = Later(None)
    found = Gateway(config(), credentials=provider)

    async def signed_with(secret_id: str) -> bool:
        return f"q-ak={secret_id}&" in (await plain(found, "/a"))[1].get("location", "")

    async def asked_in_vain() -> bool:
        return provider.asked > 1  # the first of them has ended

    async def refused_again() -> int:
        status = (await plain(found, "/a"))[0]
        return status if status == 503 else 0

    async def life() -> list[Any]:
        await found.start()
        answers: list[Any] = [(await plain(found, "/a"))[0], (await plain(found, "/readyz"))[0]]
        for secret_id in ("AKIDone", "AKIDtwo"):
            provider.now = Credentials(secret_id, "key")
            answers.append(await eventually(functools.partial(signed_with, secret_id), f"a URL of {secret_id}"))
        provider.now, provider.asked = None, 0
        await eventually(asked_in_vain, "a refresh that fails")
        answers += [(await plain(found, "/a"))[0], (await plain(found, "/readyz"))[0]]
        provider.now = Credentials("AKIDthree", "key", "t", time.time() + 1)
        answers.append(await eventually(refused_again, "a refusal, as the credentials have expired"))
        answers += [(await plain(found, "/readyz"))[0], (await plain(found, "/healthz"))[0]]
        await found.stop()
        return answers

    refused, unready, one, two, kept, still, ended, unready_again, healthy = asyncio.run(life())
    assert (refused, unready) == (503, 503)
    assert (one, two) == (True, True)
    assert (kept, still) == (302, 200)  # what there was is used until it ends
    assert (ended, unready_again, healthy) == (503, 503, 200)


async def plain(gateway: Gateway, target: str) -> Answer:
    """A request that leaves the gateway running."""
    stop, gateway.stop = gateway.stop, lambda: asyncio.sleep(0)  # type: ignore[method-assign, assignment]
    try:
        return await asked(gateway, target, client=("127.0.0.1", 1))
    finally:
        gateway.stop = stop  # type: ignore[method-assign]


def test_a_provider_that_fails_in_its_own_way_is_told_by_kind_only() -> None:
    class Broken:
        def get(self) -> Credentials:
            raise RuntimeError("secret=hidden")

    held = CredentialsHolder(Broken())
    asyncio.run(held.renew())
    assert (held.now, held.problem) == (None, "the provider failed: RuntimeError")
    with pytest.raises(CredentialsError, match="RuntimeError"):
        held.get()


def test_reload_changes_the_policy_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    text = f'[[route]]\nname = "all"\nbucket = "{BUCKET}"\nregion = "ap-beijing"\n[[caller]]\nname = "bob"\nanonymous = true\n'
    allow = '[[caller.allow]]\nroutes = ["*"]\nprefixes = ["a"]\n'
    path.write_text(text + allow)
    found = Gateway(path, credentials=CREDENTIALS)
    assert [ask(found, target, {})[0] for target in ("/a", "/b")] == [302, 403]
    path.write_text(text + allow.replace('"a"', '"b"'))
    asyncio.run(found.reload())
    assert [ask(found, target, {})[0] for target in ("/a", "/b")] == [403, 302]
    path.write_text(text.replace("ap-", "ap_"))
    with pytest.raises(ValueError, match="region"):
        asyncio.run(found.reload())
    assert [ask(found, target, {})[0] for target in ("/a", "/b")] == [403, 302]
    with pytest.raises(TypeError, match="config"):
        asyncio.run(gateway().reload())


def test_lifespan_websockets_and_other_kinds() -> None:
    found = gateway()

    async def life(kind: str, *events: str) -> list[str]:
        given, sent = list(events), []

        async def receive() -> Any:
            return {"type": given.pop(0)}

        async def send(event: Any) -> None:
            sent.append(event["type"])

        await found({"type": kind}, receive, send)
        return sent

    assert asyncio.run(life("lifespan", "lifespan.startup", "lifespan.shutdown")) == [
        "lifespan.startup.complete", "lifespan.shutdown.complete",
    ]  # fmt: skip
    assert asyncio.run(life("websocket", "websocket.connect")) == ["websocket.close"]


def test_mounted_under_a_path() -> None:
    found = gateway({"path": "/img/"})
    for raw in ("/app/img/a", "/%61pp/img/a"):
        assert key_of(ask(found, raw, root_path="/app")) == "a"
    assert ask(found, "/app/healthz", root_path="/app")[0] == 200
    assert key_of(ask(found, "/img/a", root_path="/app")) == "a"  # from servers that have taken it off
    assert ask(found, "/app/../img/a", root_path="/app")[0] in (400, 404)
    assert ask(found, "/appx/img/a", root_path="/app")[0] == 404


@pytest.mark.parametrize("order", [1, -1])
def test_bulk_is_what_all_rules_allow_for_as_long_as_is_asked(order: int) -> None:
    rules = [
        {"routes": ["*"], "prefixes": ["a/", "c/"], "bulk": True, "max_expires": 600},
        {"routes": ["*"], "prefixes": ["b/"], "bulk": True, "max_expires": 60},
        {"routes": ["*"], "prefixes": ["d/"], "max_expires": 600},
    ]
    settings = config({"expires": 900})
    settings["caller"][0]["allow"] = rules[::order]

    def signed(key: str, query: str = "") -> tuple[int, int]:
        """The status, and how long a URL holds."""
        answer = ask(Gateway(settings, credentials=CREDENTIALS), f"/presign{query}", method="POST", body=key.encode())
        span = answer[2].partition(b"q-key-time=")[2].partition(b"&")[0].split(b"%3B")
        return answer[0], int(span[1]) - int(span[0]) if len(span) == 2 else 0

    assert signed("a/1", "?expires=600") == (200, 600)
    assert signed("a/1", "?expires=60") == signed("b/1", "?expires=60") == (200, 60)
    assert signed("b/1", "?expires=61")[0] == signed("d/1", "?expires=60")[0] == 403
    assert signed("a/1", "?expires=601")[0] == signed("a/1", "?expires=901")[0] == 403
    assert signed("a/1") == (200, 600 if order == 1 else 60)  # what the first rule allows


def test_what_fails_is_counted_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gateway()
    monkeypatch.setattr("cossign.gateway.bulk._Work.run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ask(found, "/presign", method="POST", body=b"a")
    assert b'result="failed",route="all"} 1.0' in ask(found, "/metrics", client=("127.0.0.1", 1))[2]


def test_what_tends_the_gateway_is_begun_again_if_it_fails() -> None:
    found = gateway()
    calls = 0

    async def watch() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("once")

    async def called(times: int) -> bool:
        return calls >= times

    async def life() -> None:
        found.watch = watch
        assert (await plain(found, "/a"))[0] == 302
        await eventually(lambda: called(1), "the first call")
        await asyncio.sleep(0.05)
        assert (await plain(found, "/a"))[0] == 302
        await eventually(lambda: called(2), "the second call")
        await found.stop()

    asyncio.run(life())


def test_a_body_of_unknown_length_is_bounded() -> None:
    found = gateway(bulk={"max_bytes": 1000})
    assert ask(found, "/presign", method="POST", body=[b"a\n" * 250] * 2)[0] == 200
    status, _, answer = ask(found, "/presign", method="POST", body=[b"a\n" * 250] * 2 + [b"b"])
    assert (status, json.loads(answer)["error"]) == (413, "too_large")


def test_a_reload_has_its_credentials_before_it_answers(tmp_path: Path) -> None:
    def settings(name: str) -> dict[str, Any]:
        path = tmp_path / f"{name}.conf"
        path.write_text(f"[common]\nsecret_id = AKID{name}\nsecret_key = key\n")
        return config(credentials={"source": "file", "path": str(path)})

    async def life() -> None:
        found = Gateway(settings("one"))
        for name in ("one", "two", "three"):
            await found.reload(settings(name))
            assert f"q-ak=AKID{name}&" in (await plain(found, "/a"))[1]["location"]
        await found.stop()

    asyncio.run(life())


def test_a_body_that_the_disk_has_no_room_for(tmp_path: Path) -> None:
    """Limits of a process stand for a full disk. The answer has begun, or says it; the log has it either way."""
    log = tmp_path / "access.log"
    settings = config(bulk={"max_bytes": 1 << 30}, access_log=str(log))
    body = b"a/picture.jpg\n" * 4_000_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        chunks = [body[at : at + (1 << 20)] for at in range(0, len(body), 1 << 20)]
        asyncio.run(asked(Gateway(settings, credentials=CREDENTIALS), "/presign", method="POST", body=chunks))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert [json.loads(line)["reason"] for line in log.read_text().splitlines()] == ["no_room"]


# --- What is written down


def test_the_access_log_has_keys_and_no_signature(tmp_path: Path) -> None:
    begun = time.time()
    log = tmp_path / "access.log"
    KEY_FILE.write_text("key-of-carol")
    settings = config({"params": ["response-content-type"]}, {"params": ["*"]}, access_log=str(log))
    settings["caller"].append({"name": "carol", "secret_id": "AKIDcarol", "secret_key_file": str(KEY_FILE)})
    found = Gateway(settings, credentials=CREDENTIALS)
    signature = carols("GET", "/c")
    ask(found, "/a%20b?response-content-type=hidden")
    ask(found, "/x/q-signature=0123456789%0a")
    ask(found, "/q-signature=0123456789")
    ask(found, "/c", {"authorization": signature})
    ask(found, "/c?" + signature.replace(";", "%3B"), {})
    ask(found, "/d", {"authorization": "Bearer wrong"})
    ask(found, "/presign", body=b"a\nb\n", method="POST")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["status"], line["reason"], line["caller"], line["key"]) for line in lines] == [
        (302, "ok", "bob", "a b"),
        (400, "control_character", "bob", None),
        (302, "ok", "bob", "q-signature=..."),
        (403, "not_granted", "carol", "c"),
        (403, "not_granted", "carol", "c"),
        (401, "unknown_token", None, None),
        (200, "ok", "bob", None),
    ]
    assert lines[0].keys() >= {"time", "client", "method", "route", "endpoint", "microseconds"}
    assert begun - 1 <= lines[0]["time"] <= lines[-1]["time"] <= time.time() + 1
    assert lines[6]["signed"] == 2
    for hidden in ("hidden", "0123456789", signature[-40:], "sesame", "wrong", SECRET_KEY):
        assert hidden not in log.read_text()
    assert mask_signature("/a?X-COS-Security-Token=1") == "/a?X-COS-security-token=..."
    assert (
        mask_signature("/\u0130" * 9 + "?q-signature=0123&q-ak") == "/\u0130" * 9 + "?q-signature=..."
    )  # two letters in lower case
    assert (
        mask_signature("/a?x-cos-security-token=1&q-signature=2") == "/a?x-cos-security-token=..."
    )  # the first counts
    assert len(mask_signature("/" + "a" * 60_000 + "?signature=1")) < 2100


def test_the_catalogue_is_named_in_the_log_and_told_to_callers_only_if_asked(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    url = "https://docs.example.com/signatures"
    expired = carols("GET", "/c", start=-5000)
    wanted = [
        ("/a//b", BEARER, "slashes-changed"), ("/a/../b", BEARER, "dot-segments"), ("/c", {"authorization": expired}, "expired"),
        ("/c", {"authorization": carols("GET", "/other")}, ""), ("/c", {}, "no-signature"), ("/x%0a", BEARER, None),
    ]  # fmt: skip
    for explain_url in (None, url):
        settings = config(access_log=str(log), **({} if explain_url is None else {"explain_url": explain_url}))
        settings["caller"].append({"name": "carol", "secret_id": "AKIDcarol", "secret_key_file": str(KEY_FILE)})
        KEY_FILE.write_text("key-of-carol")
        log.unlink(missing_ok=True)
        found = Gateway(settings, credentials=CREDENTIALS)
        for target, headers, cause in wanted:
            status, told, _ = ask(found, target, headers)
            assert status >= 400
            entry = None if cause is None else "#" + cause if cause else ""
            assert told.get("link") == (None if explain_url is None or entry is None else f'<{url}{entry}>; rel="help"')
        for line, (_, _, cause) in zip(log.read_text().splitlines(), wanted, strict=True):
            entry = None if cause is None else "#" + cause if cause else ""
            assert json.loads(line).get("explained") == (
                None if entry is None else f"{explain_url or 'signature-does-not-match'}{entry}"
            )
    with pytest.raises(ConfigError, match="explain_url"):
        Gateway(config(explain_url="javascript:alert(1)"), credentials=CREDENTIALS)


def test_the_client_in_the_log_is_the_one_that_a_trusted_proxy_tells() -> None:
    trusts = make_network_check(["10.0.0.0/8", "unix"])

    def client(address: str | None, *told: bytes) -> str:
        headers = [(b"x-forwarded-for", value) for value in told]
        return client_of({"client": None if address is None else (address, 1), "headers": headers}, trusts)

    assert client("192.0.2.9", b"198.51.100.7") == "192.0.2.9"  # nobody trusts it
    assert client("10.0.0.1") == "10.0.0.1"
    assert client("10.0.0.1", b"198.51.100.7") == "198.51.100.7"
    assert client("10.0.0.1", b"6.6.6.6, 198.51.100.7 ,10.0.0.2") == "198.51.100.7"  # the first was told by the caller
    assert client("10.0.0.1", b"6.6.6.6", b"198.51.100.7") == "198.51.100.7"
    assert client("10.0.0.1", b"198.51.100.7:80") == client("10.0.0.1", b"198.51.100.7%x") == "198.51.100.7"
    assert client("10.0.0.1", b"[2001:db8::1]:80") == "2001:db8::1"
    assert client(None, b"2001:DB8::1") == "2001:db8::1"  # a Unix socket
    assert client("10.0.0.1", b"10.0.0.3, 10.0.0.2") == "10.0.0.3"
    for odd in (b"", b"unknown", b'"}\n{', b"198.51.100.7, x, 10.0.0.2", b"\xff" * 60_000):
        assert client("10.0.0.1", odd) in ("10.0.0.1", "10.0.0.2")


def test_the_log_has_the_method_that_was_sent_and_text_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    settings = config({"methods": ["GET", "PUT"]}, {"methods": ["GET", "PUT"]}, access_log=str(log))
    settings["trusted_proxies"] = ["10.0.0.1"]
    found = Gateway(settings, credentials=CREDENTIALS)
    ask(found, "/presign?method=PUT", body=b"a\n", method="POST")
    ask(found, "/authorize", {**BEARER, "x-original-uri": "/b", "x-original-method": "PUT"})
    ask(found, "/" + quote("\u4f60\u597d/\u202e\x9b.jpg"), method="HEAD")
    ask(found, "/nothing", method="PATCH")
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(line["method"], line.get("signs")) for line in lines] == [
        ("POST", "PUT"), ("PUT", None), ("HEAD", None), ("PATCH", None),
    ]  # fmt: skip
    assert lines[2]["key"] == "\u4f60\u597d/\u202e\x9b.jpg"
    text = log.read_text("utf-8")
    assert "\u4f60\u597d/\\u202e\\u009b.jpg" in text
    assert text.replace("\n", "").isprintable()


def test_a_request_that_ends_after_a_reload_is_in_the_log(tmp_path: Path) -> None:
    settings = config(access_log=str(tmp_path / "access.log"))

    async def reloaded() -> None:
        found = Gateway(settings, credentials=CREDENTIALS)
        await found.start()
        old_gate = found._policy.gate
        await found.reload(settings)
        old_gate.lines.append("{}\n")
        await found.stop()

    asyncio.run(reloaded())
    assert (tmp_path / "access.log").read_text() == "{}\n"


def test_what_waits_for_a_log_that_nobody_reads_is_bounded_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    lost: list[int] = []
    log = AccessLog(str(path), lost.append)
    log.take(["x" * 1000 + "\n"] * 200)  # more than a pipe holds
    until(log._queue.empty, "the thread that writes")
    first, second = ["a\n"], ["b\n"]
    log.take(first)
    log.take(second)
    assert (first, second) == ([], ["b\n"])  # one batch waits
    for _ in range(20):
        log.take(["c\n"], last=True)
    assert sum(lost) == 13
    asyncio.run(log.stop())
    assert sum(lost) == 21
    os.close(reader)


def test_a_line_that_was_cut_by_a_full_disk_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    results = [2, 0]

    def write(file: int, data: bytes) -> int:
        size = results.pop(0) if results else len(data)
        if not size:
            raise OSError(errno.ENOSPC, "no space")
        return os_write(file, data[:size])

    os_write = os.write
    monkeypatch.setattr("cossign.gateway.access_log.os.write", write)
    lost: list[int] = []
    log = AccessLog(str(path), lost.append)
    log.take(["aaaa\n", "b\n"])
    log.take(["cc\n"], last=True)
    asyncio.run(log.stop())
    assert (path.read_text(), lost) == ("aa\ncc\n", [2])


def test_a_long_chain_of_proxies_is_not_followed_to_its_beginning() -> None:
    addresses: list[str] = []

    def trusts(address: str) -> bool:
        addresses.append(address)
        return True

    client_of({"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", b"10.0.0.1," * 7000 + b"10.0.0.1")]}, trusts)
    assert len(addresses) <= 17


def test_lines_in_a_pipe_are_not_torn() -> None:
    lines = ["a" * size + "\n" for size in (1, 4000, 94, 1, 5000, 4095)]
    pieces = list(_pieces(lines, True))
    assert b"".join(data for data, _ in pieces) == "".join(lines).encode()
    assert [(len(data), count) for data, count in pieces] == [(4003, 2), (97, 2), (5001, 1), (4096, 1)]
    assert [count for _, count in _pieces(lines, False)] == [6]


def test_a_log_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    found = Gateway(config(access_log=str(tmp_path / "none" / "access.log")), credentials=CREDENTIALS)
    ask(found, "/a")
    assert b"cossign_unlogged_total 1.0" in ask(found, "/metrics", client=("127.0.0.1", 1))[2]


def test_metrics() -> None:
    temporary = Credentials(SECRET_ID, SECRET_KEY, "token", time.time() + 600)
    found = Gateway(config(), credentials=temporary)
    for target in ("/a", "/b", "/%00", "/c?x=1"):
        ask(found, target)
    ask(found, "/a", {})
    ask(found, "/presign", method="POST", body=b"a\nb\n")
    assert ask(found, "/metrics", client=("10.0.0.1", 1))[0] == 403
    assert ask(found, "/metrics", method="POST", client=("127.0.0.1", 1))[0] == 405
    status, headers, body = ask(found, "/metrics", client=("127.0.0.1", 1))
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    values = {}
    for line in body.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    assert values['cossign_requests_total{endpoint="redirect",result="ok",route="all"}'] == 2
    assert values['cossign_requests_total{endpoint="redirect",result="control_character",route=""}'] == 1
    assert values['cossign_requests_total{endpoint="redirect",result="no_credentials",route=""}'] == 1
    assert values['cossign_requests_total{endpoint="redirect",result="parameter",route="all"}'] == 1
    assert values['cossign_requests_total{endpoint="presign",result="ok",route="all"}'] == 1
    assert values['cossign_signatures_total{route="all"}'] == 4
    assert values['cossign_request_seconds_count{endpoint="redirect"}'] == 5
    assert values['cossign_request_seconds_bucket{endpoint="redirect",le="+Inf"}'] == 5
    assert values['cossign_request_seconds_sum{endpoint="redirect"}'] > 0
    assert values['cossign_credentials_usable{source="0 Credentials"}'] == 1
    assert 500 < values['cossign_credentials_left_seconds{source="0 Credentials"}'] <= 600

"""Thousands of requests that try to get what the policy forbids, over real sockets, for each server."""

from __future__ import annotations

import posixpath
import re
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlsplit

import pytest

from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.conftest import HOST as COS_HOST
from tests.cos_server import refusal
from tests.gateway.attacks import Attack, all_attacks
from tests.gateway.serving import POLICY, PROXY, SERVERS, Answer, Client, serving

SEED = 20261125
PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"
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


@pytest.mark.parametrize("server", SERVERS)
def test_no_request_gets_what_the_policy_forbids(server: str, tmp_path: Path) -> None:
    attacks = all_attacks(SEED)
    assert len(attacks) >= 5000
    found: list[tuple[Attack, Answer, str]] = []
    statuses: Counter[int] = Counter()
    with serving(tmp_path / "gateway.toml", POLICY, server) as served:
        clients = {False: Client(served.port), True: Client(served.port, PROXY)}
        for attack in attacks:
            answer = clients[attack.proxy].send(attack.data, attack.method)
            statuses[answer[0]] += 1
            if why := wrong(attack, answer):
                found.append((attack, answer, why))
            if attack.kind == "request smuggling":  # what follows on the connection must not be taken for an answer
                clients[attack.proxy].close()
        for client in clients.values():
            client.close()
        assert served.process.poll() is None
    for attack, answer, why in found[:20]:
        print(attack, answer, why, sep="\n  ", end="\n\n")
    assert not found, f"{len(found)} of {len(attacks)}"
    assert statuses[302] + statuses[204] > 20  # the good ones
    assert sum(statuses.values()) >= 5000


def test_every_class_of_attack_is_documented() -> None:
    page = PAGE.read_text().lower()
    kinds = {attack.kind for attack in all_attacks(SEED, 40)}
    assert len(kinds) >= 12
    assert [kind for kind in kinds if f"| {kind} |" not in page] == []


def test_the_judge_of_answers_finds_what_is_forbidden() -> None:
    """Answers that a careless gateway would give."""
    from cossign import Credentials, Signer
    from tests.gateway.attacks import asked, attack
    from tests.gateway.serving import ALICE

    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region="ap-beijing", expires=600, strict=False)
    tricky = attack("path tricks", "/img/alice/%2e%2e/bob/a", ALICE, "photos/alice/")

    def redirect(key: str, **options: object) -> Answer:
        return 302, {"location": signer.presign(key, **options)}, b""  # type: ignore[arg-type]

    assert wrong(tricky, redirect("photos/alice/a")) == ""
    assert "read as" in wrong(tricky, redirect("photos/bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/..;/bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/../bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/%2e%2e/bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/..\\bob"))
    assert "parameters" in wrong(tricky, redirect("photos/alice/a", query={"acl": ""}))
    assert "holds" in wrong(tricky, redirect("photos/alice/a", expires=601))
    assert "refuse" in wrong(tricky, (302, {"location": signer.presign("photos/alice/a")[:-1]}, b""))
    assert "leads to" in wrong(tricky, (302, {"location": "https://elsewhere/photos/alice/a"}, b""))
    sub = asked("path tricks", "/authorize", "GET", "/img/alice/%2e%2e/bob/a", ALICE, "photos/alice/")
    assert "read as" in wrong(sub, (204, {}, b""))
    assert "failed" in wrong(sub, (500, {}, b""))
    assert "granted" in wrong(sub._replace(prefix=None), (204, {}, b""))
    assert "injected" in wrong(sub, (403, {"x-injected": "1"}, b""))
    assert "refused" in wrong(sub._replace(good=True), (403, {}, b""))

"""A CDN in front of the bucket: redirects by links that it checks, and signatures for the Host that it asks by."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import time_machine

from cossign import Credentials, CredentialsError, Signer
from cossign.cdn import CdnSigner
from cossign.gateway import ConfigError, Gateway
from cossign.gateway.config import parse_config, warnings_of
from tests.conftest import BUCKET
from tests.gateway.test_policy import BEARER, CREDENTIALS, ask, config


def gateway(route: Mapping[str, Any], allow: Mapping[str, Any] = {}) -> Gateway:
    return Gateway(config(route, {"bulk": "cdn" not in route, **allow}), credentials=CREDENTIALS)


CDN = {"kind": "D", "host": "cdn.example.com", "key_env": "CDN_KEY", "validity": "30m"}


@pytest.fixture
def cdn_key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CDN_KEY", "DvYmqE81E1F9R791H6lmht")
    return "DvYmqE81E1F9R791H6lmht"


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_redirects_to_a_cdn(kind: str, cdn_key: str) -> None:
    """The link ends when the rule says, not when the CDN's validity does."""
    found = gateway({"cdn": {**CDN, "kind": kind}, "expires": 600, "params": ["imageMogr2/*"]}, {"params": ["*"]})
    now = time.time()
    answer = ask(found, "/" + quote("a b/头.jpg") + "?imageMogr2/thumbnail/200x")
    assert answer[0] == 302
    link = answer[1]["location"]
    assert link.startswith("https://cdn.example.com/")
    assert "imageMogr2%2Fthumbnail%2F200x=" in link
    verified = CdnSigner(kind, key=cdn_key, host="cdn.example.com").verify(link)
    assert verified.path == "/a b/头.jpg"
    assert now + (530 if kind == "B" else 598) <= verified.expires_at <= now + 601
    cache = re.fullmatch(r"private, max-age=(\d+)", answer[1]["cache-control"])
    assert cache is None or int(cache[1]) <= 300
    assert ask(found, "/../b")[0] == 400
    assert ask(found, "/b?acl")[0] == 403


@pytest.mark.usefixtures("cdn_key")
def test_a_cdns_links_stay_the_same() -> None:
    route = {"cdn": {**CDN, "kind": "A"}, "round_to": 300, "expires": 900}
    links = []
    window = (int(time.time()) // 300 + 1) * 300  # near now: the gate has a clock of its own
    with time_machine.travel(window + 30, tick=False) as clock:
        for seconds in (0, 60, 300):
            clock.shift(seconds)
            links.append(ask(gateway(route), "/a.jpg")[1]["location"])
    assert links[0] == links[1] != links[2]


@pytest.mark.usefixtures("cdn_key")
def test_a_cdn_needs_no_keys_of_cos() -> None:
    def none() -> Credentials:
        raise CredentialsError("there are none")

    found = Gateway(config({"cdn": CDN}, {"bulk": False}), credentials=SimpleNamespace(get=none))
    assert ask(found, "/a.jpg")[0] == 302


@pytest.mark.parametrize(
    "route, allow, what",
    [
        ({"cdn": {**CDN, "key_file": "/x"}}, {}, "cdn: needs key_env or key_file"), ({"cdn": {**CDN, "host": "https://x"}}, {}, "host alone"),
        ({"cdn": CDN, "methods": ["GET", "PUT"]}, {}, "methods: must be GET and HEAD at most"), ({"cdn": CDN}, {"bulk": True}, "bulk: must not be true"),
        ({"cdn": {**CDN, "key_env": "NOT_SET"}}, {}, "route[0].cdn: key_env names NOT_SET, which is not set"), ({"cdn": {**CDN, "kind": "E"}}, {}, "cdn.kind"), ({"sign_host": "https://x"}, {}, "sign_host"),
        ({"cdn": {**CDN, "kind": "B"}, "expires": 119}, {}, "expires: must be 2m at least"), ({"cdn": {**CDN, "kind": "B"}}, {"max_expires": 119}, "max_expires: must be 2m at least"),
    ],
)  # fmt: skip
def test_a_cdns_settings_that_are_wrong(route: Any, allow: Any, what: str, cdn_key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(what)) as caught:
        gateway(route, allow)
    assert cdn_key not in str(caught.value)


def test_the_origins_host_is_signed() -> None:
    """The URL leads to the CDN, which asks the bucket by another Host."""
    found = gateway({"domain": "cdn.example.com", "sign_host": "origin.example.com", "expires": 60})
    url = ask(found, "/a.jpg")[1]["location"]
    assert url.startswith("https://cdn.example.com/a.jpg?")
    signer = Signer(CREDENTIALS, bucket=BUCKET, region="ap-beijing")
    verified = signer.verify(url, headers={"Host": "origin.example.com"})
    assert (verified.key, verified.header_list) == ("a.jpg", ("host",))
    lines = ask(found, "/presign", {**BEARER, "content-type": "text/plain"}, "POST", body=b"a.jpg\n")[2].decode()
    assert signer.verify(lines.strip(), headers={"Host": "origin.example.com"}).key == "a.jpg"
    asked = {**BEARER, "x-original-uri": "/a.jpg", "x-original-method": "GET"}
    assert ask(found, "/sign", asked)[1]["x-cossign-host"] == "origin.example.com"


def test_a_link_that_would_be_over_is_not_given(cdn_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's own signature ends soon, and kind B has whole minutes."""
    monkeypatch.setenv("CAROL", "key-of-carol")
    caller = {"secret_id": "AKIDcarol", "secret_key_env": "CAROL"}
    found = Gateway(config({"cdn": {**CDN, "kind": "B"}}, {"bulk": False}, caller), credentials=CREDENTIALS)
    signer = Signer(Credentials("AKIDcarol", "key-of-carol"), domain="gw.example.com")
    now = int(time.time())
    answers = []
    for seconds in (1, 600):
        value = signer.authorization("GET", "a.jpg", key_time=(now - 1, now + seconds + 1))
        answers.append(ask(found, "/a.jpg", {"authorization": value}))
    for answer in answers:
        if answer[0] == 302:
            link = CdnSigner("B", key=cdn_key, host="cdn.example.com").verify(answer[1]["location"])
            assert now < link.expires_at <= now + 601
        else:
            assert (answer[0], answer[1]["x-cossign-reason"]) == (401, "expired")
    assert answers[1][0] == 302


# --- Sub-requests that are allowed by a link

AUTHORIZE = {**CDN, "authorize": True}


def allowed(
    found: Gateway, url: str, method: str = "GET", endpoint: str = "/authorize", **more: str
) -> tuple[int, str]:
    """The status for a link, and the caller, or why it is refused."""
    target = url.removeprefix("https://cdn.example.com")
    headers = {"x-original-uri": target, "x-original-method": method, **more}
    status, told, _ = ask(found, endpoint, headers)
    return status, told.get("x-cossign-reason") or told["x-cossign-caller"]


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_a_link_allows_a_sub_request(kind: str, cdn_key: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    route = {"cdn": {**AUTHORIZE, "kind": kind}, "path": "/img/", "prefix": "photos/", "expires": 600}
    found = Gateway(config(route, {"bulk": False}, access_log=str(log)), credentials=CREDENTIALS)
    link = ask(found, "/img/" + quote("a b/头.jpg"))[1]["location"]
    for endpoint in ("/authorize", "/sign"):
        assert allowed(found, link, endpoint=endpoint) == (204, "cdn:all")
    assert allowed(found, link, "HEAD", authorization="Bearer of another application") == (204, "cdn:all")
    assert allowed(found, link, "PUT") == (403, "method")
    assert allowed(found, link.replace("a%20b", "a%20c")) == (401, "bad_signature")
    assert allowed(found, link + ("&" if "?" in link else "?") + "acl") == (
        403,
        "parameter",
    )  # no link covers its query
    signer = CdnSigner(kind, key=cdn_key, host="cdn.example.com", validity=1800)
    assert allowed(found, signer.sign("photos/a", timestamp=int(time.time()) - 1900)) == (401, "expired")
    assert allowed(found, signer.sign("private/a")) == (403, "prefix")
    assert (
        allowed(found, CdnSigner(kind, key="another0", host="cdn.example.com").sign("photos/a"))[1] == "bad_signature"
    )
    for url in (link, link.replace("a%20b", "a%20c")):
        status, told, _ = ask(
            found, "/authorize", {"x-original-uri": url[23:], "x-original-method": "GET"}, client=("9.9.9.9", 1)
        )
        assert (status, told["x-cossign-reason"]) == (403, "untrusted")
    assert b'cossign_signatures_total{route="all"} -' not in ask(found, "/metrics", client=("127.0.0.1", 1))[2]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert (lines[1]["caller"], lines[1]["route"], lines[1]["key"]) == ("cdn:all", "all", "photos/a b/头.jpg")
    assert [line["reason"] for line in lines][1:6] == ["ok", "ok", "ok", "method", "bad_signature"]
    [digest] = re.findall("[0-9a-f]{32,64}", link)
    assert digest not in log.read_text()


def test_what_is_not_a_link_is_judged_as_ever(cdn_key: str) -> None:
    found = gateway({"cdn": AUTHORIZE})
    assert allowed(found, "/a", **BEARER) == (204, "bob")
    assert allowed(found, "/a?sign=q-sign-algorithm%3Dsha1&t=1")[0] == 401
    wrong = f"/a?sign={'0' * 32}&t=1795040373"
    assert allowed(found, wrong) == (401, "bad_signature")
    assert allowed(found, wrong, **BEARER)[1] != "bad_signature"
    for kind in ("A", "B", "C", "D"):  # their forms are those of common paths
        other = gateway({"cdn": {**AUTHORIZE, "kind": kind}})
        for path in ("/docs/2024/report.pdf", "/docs/abc/x", "/202611301200/abc/x"):
            assert allowed(other, path, **BEARER) == (204, "bob")
    assert allowed(found, "/a") == (401, "no_credentials")
    for kind in ("B", "C", "D"):
        link = CdnSigner(kind, key=cdn_key, host="cdn.example.com").sign("a")
        other = gateway({"cdn": {**AUTHORIZE, "kind": kind}})
        assert allowed(other, link) == (204, "cdn:all")
        for tail in ("#", "#/../../secret", "#?acl"):
            status, told, _ = ask(
                other,
                "/authorize",
                {"x-original-uri": link.removeprefix("https://cdn.example.com") + tail, "x-original-method": "GET"},
            )
            assert status in (400, 401, 403), told
        headers = {"x-original-uri": link, "x-original-method": "GET"}
        assert ask(other, "/authorize", headers)[0] in (400, 401, 403)  # an absolute URL
    without = gateway({"cdn": CDN})
    link = CdnSigner("D", key=cdn_key, host="cdn.example.com").sign("a")
    assert allowed(found, link) == (204, "cdn:all")
    assert allowed(without, link)[0] in (401, 403)
    assert ask(found, link.removeprefix("https://cdn.example.com"), {})[0] == 401  # no redirect for a link


@pytest.mark.usefixtures("cdn_key")
def test_a_route_for_links_alone_gives_no_warning() -> None:
    settings = config({"cdn": AUTHORIZE})
    settings["caller"] = []
    assert list(warnings_of(parse_config(settings))) == []
    settings["route"][0]["cdn"] = CDN
    assert len(list(warnings_of(parse_config(settings)))) == 1


def test_each_route_has_links_of_its_own(cdn_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "another0")
    settings = config({"cdn": AUTHORIZE, "path": "/a/", "prefix": "a/"}, {"bulk": False})
    other = {"name": "b", "bucket": BUCKET, "region": "ap-beijing", "path": "/b/", "prefix": "b/"}
    settings["route"].append({**other, "cdn": {**AUTHORIZE, "key_env": "OTHER_KEY"}})
    found = Gateway(settings, credentials=CREDENTIALS)
    signers = [CdnSigner("D", key=key, host="cdn.example.com") for key in (cdn_key, "another0")]
    answers = [[allowed(found, signer.sign(key)) for key in ("a/x", "b/x")] for signer in signers]
    assert answers == [
        [(204, "cdn:all"), (403, "prefix")],
        [(403, "prefix"), (204, "cdn:b")],
    ]
    for key in ("a/../b/x", "a//x", "a/%2e%2e/b/x", "a/\\x"):
        link = signers[0].sign("a/x")
        assert allowed(found, link.replace("/a/x", "/" + key))[0] in (400, 401, 403)

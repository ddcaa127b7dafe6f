"""A CDN in front of the bucket: redirects by links that it checks, and signatures for the Host that it asks by."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import time_machine

from cossign import Credentials, CredentialsError, Signer
from cossign.cdn import CdnSigner
from cossign.gateway import ConfigError, Gateway
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

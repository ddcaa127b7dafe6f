"""Pages of other origins: what the gateway answers them, and a page in a browser that fetches and uploads through it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cossign import Signer
from cossign.gateway import ConfigError, Gateway
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, running
from tests.gateway.browser import site
from tests.gateway.serving import serving as serving_gateway
from tests.gateway.test_policy import BEARER, CREDENTIALS, TOKEN, ask, config

PAGE = "https://app.example.com"
ALLOWED = {"access-control-allow-origin": PAGE, "access-control-expose-headers": "X-Cossign-Reason, Retry-After"}


def gateway(*origins: str, **route: Any) -> Gateway:
    return Gateway(config({"cors": list(origins), **route}), credentials=CREDENTIALS)


def cors_of(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


def preflight(found: Gateway, origin: str = PAGE, **more: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"origin": origin, "access-control-request-method": "GET", **more}
    return ask(found, "/a.jpg", headers, method="OPTIONS")


def test_a_preflight_needs_no_caller() -> None:
    status, headers, body = preflight(gateway(PAGE, "https://b.example.com:8443", methods=["GET", "PUT"]))
    assert (status, body) == (204, b"")
    assert cors_of(headers) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, PUT",
        "access-control-max-age": "600",
    }
    assert headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    _, headers, _ = preflight(gateway(PAGE), **{"access-control-request-headers": "authorization,range"})
    assert headers["access-control-allow-headers"] == "authorization,range"


@pytest.mark.parametrize(
    "origin, more",
    [
        ("https://evil.example.com", {}), ("http://app.example.com", {}), ("https://app.example.com.evil", {}), ("null", {}), ("", {}), ("HTTPS://APP.EXAMPLE.COM", {}), ("https://app.example.com:443", {}),
        (PAGE, {"access-control-request-headers": "a\r\nb"}), (PAGE, {"access-control-request-headers": "a" * 2000}), (PAGE, {"access-control-request-headers": "a;b"}),
    ],
)  # fmt: skip
def test_other_pages_are_told_nothing(origin: str, more: dict[str, str]) -> None:
    status, headers, body = preflight(gateway(PAGE), origin, **more)
    assert status == 403
    assert cors_of(headers) == {}
    assert json.loads(body)["error"] == headers["x-cossign-reason"] == "origin"
    if origin != PAGE:
        status, headers, _ = ask(gateway(PAGE), "/a.jpg", {**BEARER, "origin": origin})
        assert (status, cors_of(headers), headers["vary"]) == (302, {}, "Origin")


def test_answers_and_refusals_alike() -> None:
    """Or else a page would not learn why."""
    for headers, status in ((BEARER, 302), ({}, 401), ({"authorization": "Bearer no"}, 401)):
        found = ask(gateway(PAGE), "/a.jpg", {**headers, "origin": PAGE})
        assert found[0] == status
        assert cors_of(found[1]) == ALLOWED
        assert found[1]["vary"] == "Origin"
        assert cors_of(ask(gateway(PAGE), "/a.jpg", headers)[1]) == {}
    status, headers, _ = ask(gateway(PAGE), "/a/../b", {**BEARER, "origin": PAGE})
    assert (status, cors_of(headers)) == (400, ALLOWED)


def test_any_page() -> None:
    status, headers, _ = ask(gateway("*"), "/a.jpg", {**BEARER, "origin": "https://anywhere.example.com"})
    assert (status, headers["access-control-allow-origin"]) == (302, "*")
    assert "vary" not in headers
    assert preflight(gateway("*"), "https://anywhere.example.com")[1]["access-control-allow-origin"] == "*"


def test_each_route_has_its_own_pages() -> None:
    one = {"name": "one", "path": "/one/", "bucket": BUCKET, "region": "ap-beijing", "cors": [PAGE]}
    two = {**one, "name": "two", "path": "/one/two/", "cors": []}
    three = {**one, "name": "three", "path": "/three/", "cors": ["*"]}
    caller = {"name": "bob", "token_sha256": TOKEN, "allow": [{"routes": ["*"], "prefixes": [""]}]}
    found = Gateway({"route": [one, two, three], "caller": [caller]}, credentials=CREDENTIALS)
    for path, allowed in (
        ("/one/a", PAGE),
        ("/one/two/a", None),
        ("/three/a", "*"),
        ("/four/a", None),
        ("/healthz", None),
    ):
        headers = ask(found, path, {**BEARER, "origin": PAGE})[1]
        assert headers.get("access-control-allow-origin") == allowed, path
    headers = {"origin": PAGE, "access-control-request-method": "GET"}
    assert ask(found, "/one/two/a", headers, method="OPTIONS")[0] == 401  # as without CORS
    mounted = ask(found, "/objects/one/a", {**BEARER, "origin": PAGE}, root_path="/objects")
    assert (mounted[0], mounted[1]["access-control-allow-origin"]) == (302, PAGE)


def test_a_gateway_without_cors_is_as_it_was() -> None:
    found = Gateway(config(), credentials=CREDENTIALS)
    assert found._policy.answer == found._policy.gate.answer
    assert cors_of(ask(found, "/a.jpg", {**BEARER, "origin": PAGE})[1]) == {}


@pytest.mark.parametrize(
    "origin",
    ["app.example.com", "https://app.example.com/", "https://App.example.com", "null", "", 5, "https://*.example.com"],
)
def test_origins_that_are_none(origin: Any) -> None:
    with pytest.raises(ConfigError, match=r"route\[0\].cors\[0\]"):
        gateway(origin)


# --- In a browser


SCRIPT = """<!DOCTYPE html><meta charset="utf-8"><script>
const told = {};
async function attempt(name, f) { try { told[name] = await f(); } catch (error) { told[name] = String(error); } }
(async () => {
  const token = {'Authorization': 'Bearer sesame'};
  await attempt('get', async () => (await fetch('GATEWAY/img/a b.txt', {headers: token})).text());
  await attempt('range', async () => (await fetch('GATEWAY/img/a b.txt', {headers: {...token, 'Range': 'bytes=1-2'}})).text());
  await attempt('put', async () => (await fetch('GATEWAY/up/new.txt', {method: 'PUT', headers: token, body: 'uploaded'})).status);
  await attempt('refused', async () => {
    const answer = await fetch('GATEWAY/img/a.txt');
    return [answer.status, answer.headers.get('X-Cossign-Reason')];
  });
  await attempt('other', async () => (await fetch('GATEWAY/closed/a.txt', {headers: token})).status);
  const form = new FormData();
  for (const [name, value] of Object.entries(FIELDS)) form.append(name, value);
  form.append('file', new Blob(['by a form']), 'f.txt');
  await attempt('form', async () => (await fetch('SERVER/', {method: 'POST', body: form})).status);
  await fetch('/told', {method: 'POST', body: JSON.stringify(told)});
})();
</script>"""


@pytest.fixture
def bucket() -> Iterator[CosServer]:
    """COS, with a CORS rule of the bucket: after a redirect a page's origin is null."""
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as found:
        found.stores = found.has_cors = True
        found.objects[b"photos/a b.txt"] = b"hello"
        yield found


def test_a_page_fetches_and_uploads_through_the_gateway(bucket: CosServer, tmp_path: Path) -> None:
    fields = (
        Signer(CREDENTIALS, bucket=BUCKET, region="ap-beijing", domain=bucket.url).post_policy("by-form.txt").fields
    )
    with site(tmp_path) as found:
        origin = found.origin
        route = f'bucket = "{BUCKET}"\nregion = "ap-beijing"\ndomain = "{bucket.url}"\n'
        policy = f"""
listen = "127.0.0.1:0"

[[route]]
name = "img"
path = "/img/"
prefix = "photos/"
cors = ["{origin}"]
{route}
[[route]]
name = "up"
path = "/up/"
methods = ["PUT"]
cors = ["{origin}"]
{route}
[[route]]
name = "closed"
path = "/closed/"
{route}
[[caller]]
name = "bob"
token_sha256 = "{TOKEN}"
[[caller.allow]]
routes = ["*"]
prefixes = [""]
methods = ["GET", "PUT"]
"""
        with serving_gateway(tmp_path / "gateway.toml", policy) as served:
            page = SCRIPT.replace("GATEWAY", f"http://127.0.0.1:{served.port}").replace("SERVER", bucket.url)
            result = found.told_by(page.replace("FIELDS", json.dumps(dict(fields))))
    assert result == {
        "get": "hello",
        "range": "el",
        "put": 200,
        "refused": [401, "no_credentials"],
        "other": "TypeError: Failed to fetch",
        "form": 200,
    }
    assert bucket.objects[b"new.txt"] == b"uploaded"
    assert bucket.objects[b"by-form.txt"] == b"by a form"
    assert bucket.refusals == []

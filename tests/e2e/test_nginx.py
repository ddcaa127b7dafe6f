"""The recipes of docs/nginx, run by Debian's nginx before a gateway, with an origin that judges signatures without cossign."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from bench.gateway import free_port
from cryptography import x509

from cossign import Credentials, Signer
from cossign.cdn import CdnSigner
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.conftest import HOST as COS_HOST
from tests.cos_server import CosServer, running
from tests.gateway.attacks import all_attacks
from tests.gateway.serving import ALICE, BOB, HOST, POLICY, Client, Served, carols, serving
from tests.waiting import PATIENCE, listening, until

RECIPES = Path(__file__).parent.parent.parent / "docs" / "nginx"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
GATEWAY = POLICY.replace('trusted_proxies = ["127.0.0.2"]', 'trusted_proxies = ["127.0.0.1"]')

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@contextlib.contextmanager
def nginx(directory: Path, recipe: str, replaced: dict[str, str]) -> Iterator[int]:
    """nginx with a recipe, on a port of its own; what the recipe says of places is replaced."""
    text = (RECIPES / recipe).read_text()
    port = free_port()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        **replaced,
    }.items():
        text = text.replace(old, new)
    (directory / "recipe.conf").write_text(text)
    (directory / "nginx.conf").write_text(
        f"""
        {"user root;" if os.geteuid() == 0 else ""} daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log warn;
        events {{ worker_connections 512; }}
        http {{
            access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
            fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
            large_client_header_buffers 4 16k;
            include {directory}/recipe.conf;
        }}
        """
    )
    process = subprocess.Popen(
        [str(NGINX), "-p", str(directory), "-c", str(directory / "nginx.conf")], stderr=subprocess.PIPE
    )
    try:
        listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("gateway") / "gateway.toml", GATEWAY) as served:
        yield served


@pytest.fixture(scope="module")
def origin() -> Iterator[CosServer]:
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as server:
        yield server


def places(gateway: Served, origin: CosServer) -> dict[str, str]:
    at = origin.url.removeprefix("http://")
    return {
        "127.0.0.1:8080": f"127.0.0.1:{gateway.port}", "127.0.0.1:9000": at, f"{COS_HOST}:443": at,
        "proxy_pass https://bucket": "proxy_pass http://bucket",
    }  # fmt: skip


def get(port: int, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> httpx.Response:
    url = httpx.URL(scheme="http", host="127.0.0.1", port=port, raw_path=target.encode())
    with httpx.Client(timeout=PATIENCE) as client:
        request = client.build_request(method, url, headers={"Host": HOST, **(headers or {})})
        request.url = url
        return client.send(request)


def test_the_gateways_log_has_the_client_and_not_what_it_says_of_itself(tmp_path: Path, origin: CosServer) -> None:
    for recipe in RECIPES.glob("*.conf"):
        text = recipe.read_text()
        assert text.count("proxy_pass http://gateway") == text.count("X-Forwarded-For $proxy_add_x_forwarded_for;"), (
            recipe
        )
    log = tmp_path / "access.log"
    with serving(tmp_path / "gateway.toml", f'access_log = "{log}"\n' + GATEWAY) as gateway:
        for recipe_name in ("auth-request.conf", "cached-redirects.conf"):
            (tmp_path / recipe_name).mkdir()
            cache = {**places(gateway, origin), "/var/cache/nginx/redirects": str(tmp_path / "cache")}
            with nginx(tmp_path / recipe_name, recipe_name, cache) as port:
                transport = httpx.HTTPTransport(local_address="127.0.0.3")
                with httpx.Client(timeout=PATIENCE, transport=transport) as client:
                    told = {"Host": HOST, "X-Forwarded-For": "6.6.6.6", **ALICE}
                    client.get(f"http://127.0.0.1:{port}/img/alice/a", headers=told)
        until(lambda: log.exists() and log.read_text().count("\n") == 2, "two lines")
        lines = log.read_text().splitlines()
        assert [json.loads(line)["client"] for line in lines] == ["127.0.0.3"] * 2


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_links_of_a_cdn(kind: str, tmp_path: Path, origin: CosServer) -> None:
    """As docs/gateway.md says: a CDN's links do not begin with the route's path."""
    origin.judges = False
    (tmp_path / "cdn.key").write_text("keyOfTheCdn1")
    table = f'cdn = {{ kind = "{kind}", host = "{HOST}", key_file = "{tmp_path}/cdn.key", authorize = true }}'
    policy = GATEWAY.replace('prefix = "photos/"\n', f'prefix = "photos/"\n{table}\n', 1).replace("bulk = true", "")
    links = CdnSigner(kind, key="keyOfTheCdn1", host=HOST)
    with serving(tmp_path / "gateway.toml", policy) as gateway:
        everything = {**places(gateway, origin), "location /img/ {": "location / {"}
        with nginx(tmp_path, "auth-request.conf", everything) as port:
            link = urlsplit(links.sign("/photos/a b.jpg"))
            other = urlsplit(links.sign("/uploads/a.jpg"))
            target = f"{link.path}?{link.query}".rstrip("?")
            assert get(port, target).status_code == 200
            for wrong_target in (
                target.replace("a%20b", "c"),
                f"{other.path}?{other.query}",
                link.path + "?",
                "/photos/a",
            ):
                if wrong_target.rstrip("?") != target:
                    assert get(port, wrong_target).status_code in (401, 403), wrong_target


def test_auth_request(tmp_path: Path, gateway: Served, origin: CosServer) -> None:
    origin.judges = False
    with nginx(tmp_path, "auth-request.conf", places(gateway, origin)) as port:
        seen = len(origin.requests)
        for target, headers, status, reason in (
            ("/img/alice/a%20b?response-content-type=text%2Fplain", ALICE, 200, ""),
            ("/img/carol/a", {"Authorization": carols("GET", "/img/carol/a")}, 200, ""),
            ("/img/carol/b", {"Authorization": carols("GET", "/img/carol/a")}, 401, "bad_signature"),
            ("/img/alice/a", {}, 403, "prefix"),
            ("/img/alice/a", {"Authorization": "Bearer no"}, 401, "unknown_token"),
            ("/img/bob/a", ALICE, 403, "prefix"),
            ("/img/alice/%2e%2e/bob/a", ALICE, 403, "dot_segment"),
            ("/img/alice//a", ALICE, 403, "empty_segment"),
            ("/img/alice/a?acl", ALICE, 403, "parameter"),
            ("/img/dave/a", {"X-Client-Subject": "CN=dave,O=Example", "X-Client-Verify": "SUCCESS"}, 403, "prefix"),
            ("/img/bob/a", {**ALICE, "X-Original-URI": "/img/alice/a", "X-Original-Method": "GET"}, 403, "prefix"),
            ("/img/bob/a", {**ALICE, "X_Original_URI": "/img/alice/a"}, 403, "prefix"),
            ("/_authorize", ALICE, 404, ""),
        ):
            answer = get(port, target, headers)
            assert (answer.status_code, answer.headers.get("X-Cossign-Reason", "")) == (status, reason), target
        arrived = origin.requests[seen:]
        assert [(request.target, request.header("X-Caller")) for request in arrived] == [
            (b"/img/alice/a%20b?response-content-type=text%2Fplain", "alice"), (b"/img/carol/a", "carol"),
        ]  # fmt: skip
        assert get(port, "/img/alice/a", ALICE, "DELETE").status_code == 403
        assert get(port, "/img/alice/a", {**ALICE, "X-Caller": "root"}).status_code == 200
        assert origin.requests[-1].header("X-Caller") == "alice"
        tricks = {"Connection": "X-Caller", "X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
        assert get(port, "/img/alice/a", {**ALICE, **tricks}).status_code == 200
        assert origin.requests[-1].header("X-Caller") == "alice"
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            assert origin.requests[-1].header(name) is None


def test_signed_proxy_to_a_private_bucket(tmp_path: Path, gateway: Served, origin: CosServer) -> None:
    origin.judges = True
    recipe = places(gateway, origin)
    with nginx(tmp_path, "signed-proxy.conf", recipe) as port:
        refused, seen = len(origin.refusals), len(origin.requests)
        answer = get(port, "/img/alice/a%20b.jpg?response-content-type=text%2Fplain", {**ALICE, "Range": "bytes=0-9"})
        assert (answer.status_code, answer.content) == (200, b"photos/alice/a b.jpg")
        [request] = origin.requests[seen:]
        assert request.target == b"/photos/alice/a%20b.jpg?response-content-type=text%2Fplain"
        assert (request.header("Host"), request.header("Range")) == (COS_HOST, "bytes=0-9")
        conditions = {
            "If-Match": '"1"',
            "If-Unmodified-Since": "Mon, 01 Jan 2035 00:00:00 GMT",
            "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
        }
        assert get(port, "/img/alice/a", {**ALICE, **conditions}).status_code == 200
        assert {name: origin.requests[-1].header(name) for name in conditions} == conditions
        get(
            port,
            "/img/alice/a",
            {**ALICE, "x-cos-acl": "public-read", "x-cos-copy-source": "b/secret", "Cookie": "c=1"},
        )
        for name in ("x-cos-acl", "x-cos-copy-source", "Cookie", "X-Cossign-Caller", "x-cos-security-token"):
            assert origin.requests[-1].header(name) is None
        assert get(port, "/img/alice/a", ALICE, "HEAD").status_code == 200
        for target in ("/img/alice/x%2f%2e%2e%2f%2e%2e%2fbob/a", "/img/bob/a", "/img/alice/a?acl", "/img//alice/a"):
            assert get(port, target, ALICE).status_code == 403
        signed = get(port, "/img/carol/a", {"Authorization": carols("GET", "/img/carol/a")})
        assert (signed.status_code, signed.content) == (200, b"photos/carol/a")
        assert len(origin.refusals) == refused
        assert all(request.target.startswith(b"/photos/") for request in origin.requests[seen:])


def test_attacks_through_nginx_reach_no_object_of_others(tmp_path: Path, gateway: Served, origin: CosServer) -> None:
    """What the origin is asked for, signed, is what decides."""
    origin.judges = True
    with nginx(tmp_path, "signed-proxy.conf", places(gateway, origin)) as port:
        refused = len(origin.refusals)
        client = Client(port)
        attacks = [
            each for each in all_attacks(7, 1500) if each.kind in ("path tricks", "parameters", "line ends", "methods")
        ]
        count = 0
        for attack in attacks:
            if attack.original is not None:
                continue
            seen = len(origin.requests)
            client.send(attack.data, attack.method)
            count += 1
            for request in origin.requests[seen:]:
                prefix = (attack.prefix or "\0").replace("uploads/", "photos/")
                assert request.target.startswith(b"/" + prefix.encode()), attack
                assert b"/../" not in request.target
                assert b"//" not in request.target
        client.close()
        assert count > 800
        assert len(origin.refusals) == refused


def test_cached_redirects(tmp_path: Path, origin: CosServer) -> None:
    (tmp_path / "gateway").mkdir()
    policy = GATEWAY.replace('prefix = "photos/"', 'prefix = "photos/"\ncache = "public"\nround_to = 100_000')
    policy = policy.replace("max_expires = 600", "max_expires = 200_000").replace(
        "max_expires = 86400", "max_expires = 200_000"
    )
    with serving(tmp_path / "gateway.toml", policy) as gateway:
        cache = {**places(gateway, origin), "/var/cache/nginx/redirects": str(tmp_path / "cache")}
        with nginx(tmp_path, "cached-redirects.conf", cache) as port:
            answers = [get(port, "/img/public/a") for _ in range(5)]
            assert {answer.status_code for answer in answers} == {302}
            assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", *["HIT"] * 4]
            assert len({answer.headers["Location"] for answer in answers}) == 1
            signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region="ap-beijing")
            assert signer.verify(answers[4].headers["Location"]).key == "photos/public/a"
            assert get(port, "/img/public/a", BOB).status_code == 403
            assert get(port, "/img/alice/a", ALICE).headers["X-Cache"] == "BYPASS"
            assert get(port, "/img/alice/a").status_code == 403  # what alice got is not kept for others
            assert get(port, "/img/alice/a").headers["X-Cache"] == "MISS"
            assert get(port, "/img/public/a", method="HEAD").headers["X-Cache"] == "MISS"
            signed = "/img/carol/a?" + re.sub(";", "%3B", carols("GET", "/img/carol/a"))
            assert [get(port, signed).headers["X-Cache"] for _ in range(2)] == ["MISS", "MISS"]


def test_client_certificates(tmp_path: Path, origin: CosServer) -> None:
    authority, others = trustme.CA(), trustme.CA()
    issued = {
        name: ca.issue_cert(f"{name}@example.com", common_name=name)
        for name, ca in (("dave", authority), ("eve", authority))
    }
    issued["mallory"] = others.issue_cert("dave@example.com", common_name="dave")
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, certificate in issued.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    subject = x509.load_pem_x509_certificate(issued["dave"].cert_chain_pems[0].bytes()).subject.rfc4514_string()
    policy = GATEWAY.replace("CN=dave,O=Example", subject)
    with serving(tmp_path / "gateway.toml", policy) as gateway:
        files = {
            "/etc/nginx/gateway.crt": f"{tmp_path}/server.pem", "/etc/nginx/gateway.key": f"{tmp_path}/server.pem",
            "/etc/nginx/clients-ca.crt": f"{tmp_path}/ca.pem",
        }  # fmt: skip
        with nginx(tmp_path, "client-certificates.conf", {**places(gateway, origin), **files}) as port:

            def ask(
                who: str | None, headers: dict[str, str] | None = None, target: str = "/img/dave/a"
            ) -> httpx.Response:
                context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
                context.check_hostname = False
                if who is not None:
                    context.load_cert_chain(tmp_path / f"{who}.pem")
                with httpx.Client(verify=context) as client:
                    return client.get(f"https://127.0.0.1:{port}{target}", headers={"Host": HOST, **(headers or {})})

            answer = ask("dave")
            assert answer.status_code == 302
            assert "/photos/dave/a?" in answer.headers["Location"]
            assert ask("eve").headers["X-Cossign-Reason"] == "unknown_certificate"
            assert ask("mallory").status_code == 400  # nginx: the certificate is of another authority
            told = {"X-Client-Subject": subject, "X-Client-Verify": "SUCCESS"}
            assert ask(None, told).headers["X-Cossign-Reason"] == "prefix"  # an anonymous caller
            assert ask("eve", told).headers["X-Cossign-Reason"] == "unknown_certificate"
            assert ask("dave", target="/metrics").status_code == 404


def test_every_recipe_is_run_and_documented() -> None:
    names = {recipe.name for recipe in RECIPES.iterdir()}
    assert names == {"auth-request.conf", "signed-proxy.conf", "cached-redirects.conf", "client-certificates.conf"}
    page = (RECIPES.parent / "deploying.md").read_text()
    assert all(f"nginx/{name}" in page for name in names)

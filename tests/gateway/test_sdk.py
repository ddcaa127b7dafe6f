"""The doors of Tencent's SDKs: what they give and refuse, and the real SDKs against the gateway."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cossign import Credentials, Signer
from cossign.gateway import ConfigError, Gateway
from cossign.gateway.config import parse_config, warnings_of
from cossign.gateway.temporary import caller_policy, warnings_of_keys
from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, running
from tests.gateway.browser import site
from tests.gateway.serving import serving as serving_gateway
from tests.gateway.sts import Sts, answering
from tests.gateway.test_policy import BEARER, CREDENTIALS, TOKEN, Answer, ask, config
from tests.gateway.test_policy import asked as asked_later
from tests.waiting import PATIENCE

ORACLES = Path(__file__).parent.parent / "oracles"
HOST = f"{BUCKET}.cos.ap-beijing.myqcloud.com"
ANYONE = {"content-type": "application/json"}
SENT = {**BEARER, "content-type": "application/json"}


def gateway(allow: Mapping[str, Any] = {}, route: Mapping[str, Any] = {}, **more: Any) -> Gateway:
    return Gateway(config(route, {"prefixes": ["up/"], **allow}, **more), credentials=CREDENTIALS)


def asked(
    found: Gateway, body: Any, headers: Mapping[str, str] = SENT, door: str = "authorization", **more: Any
) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(found, more.pop("target", f"/sdk/{door}"), headers, "POST", body=data, **more)


def described(key: str = "up/a.txt", method: str = "GET", **more: Any) -> dict[str, Any]:
    """A request as an SDK describes it to its callback."""
    return {
        "Bucket": BUCKET, "Region": "ap-beijing", "Method": method, "Key": key, "Pathname": "/" + key, "Query": {},
        "Headers": {"Host": HOST}, "Scope": [{"action": "name/cos:GetObject"}], "SystemClockOffset": 0, **more,
    }  # fmt: skip


def code_of(answer: Answer) -> str:
    assert answer[0] >= 400, answer
    assert json.loads(answer[2])["error"] == answer[1]["x-cossign-reason"]
    return answer[1]["x-cossign-reason"]


def verified(answer: Answer, key: str = "up/a.txt", method: str = "GET", query: Any = None, headers: Any = None) -> Any:
    """What a signature says, once it has been found good for a request."""
    assert answer[0] == 200, answer
    value = json.loads(answer[2])["Authorization"]
    signer = Signer(CREDENTIALS, bucket=BUCKET, region="ap-beijing", strict=False)
    return signer.verify(
        signer.object_url(key, query=query),
        method=method,
        headers={"Host": HOST, **(headers or {}), "Authorization": value},
    )


# --- POST /sdk/authorization


def test_what_an_sdk_asks_is_signed() -> None:
    found = verified(asked(gateway(), described()))
    assert (found.key, found.method) == ("up/a.txt", "GET")
    assert found.key_time[1] - found.key_time[0] <= 901
    answer = asked(gateway(), described("up/头 像+%.txt", Headers=None))
    assert verified(answer, "up/头 像+%.txt").key == "up/头 像+%.txt"
    assert answer[1]["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        {"method": "get", "pathname": "/up/a.txt"}, {"Method": "GET", "Key": "up/a.txt"},
        {"METHOD": "get", "Pathname": "/up/a.txt", "query": None, "headers": {}},
        {"method": "get", "key": "up/a.txt", "bucket": BUCKET, "Region": "ap-beijing", "headers": {"Content-Length": 5, "Cache-Control": ""}},
    ],
)  # fmt: skip
def test_forms_of_the_documentations_samples(body: Any) -> None:
    assert verified(asked(gateway(), body), headers={"Content-Length": "5"}).key == "up/a.txt"


def test_headers_and_parameters() -> None:
    params = {"params": ["uploads", "response-*"]}
    methods = {"methods": ["GET", "POST"], **params}
    found = gateway(methods, methods)
    answer = asked(found, described(method="POST", Query={"uploads": ""}, Headers={"Host": HOST, "Range": "bytes=0-1"}))
    assert verified(answer, method="POST", query={"uploads": ""}, headers={"Range": "bytes=0-1"}).unsigned_params == ()
    assert code_of(asked(found, described(Query={"acl": ""}))) == "parameter"
    acl = described(Headers={"X-Cos-Acl": "public-read"})
    assert code_of(asked(found, acl)) == "header"
    assert (
        verified(asked(gateway({"headers": ["x-cos-acl"]}), acl), headers={"x-cos-acl": "public-read"}).key
        == "up/a.txt"
    )
    copy = described(Headers={"x-cos-copy-source": f"{HOST}/secret/a"})
    assert code_of(asked(gateway({"headers": ["x-cos-meta-*", "x-cos-acl"]}), copy)) == "header"


@pytest.mark.parametrize(
    "body, code",
    [
        (described("secret/a.txt"), "prefix"), (described("up/../secret/a.txt"), "dot_segment"), (described("up/%2e%2e/a"), "twice_encoded"), (described("up//a"), "empty_segment"),
        (described("up/a\n"), "control_character"), (described("up/" + "a" * 900), "bad_key"), (described("up/\ud800"), "bad_encoding"),
        (described("", "POST", Pathname="/"), "no_key"), (described(method="PUT"), "method_not_granted"), (described(method="PATCH"), "method_not_granted"), (described(method=""), "method_not_granted"),
        (described(Key="up/b.txt"), "ambiguous"), (described(Pathname="up/a.txt"), "bad_path"), (described(method="GET", key="up/a.txt", KEY="up/a.txt"), "ambiguous"),
        (described("", Pathname="/"), "not_granted"), (described("", "PUT", Query={"acl": ""}), "no_key"), (described("", "DELETE"), "no_key"), (described("", "POST", Query={"delete": ""}), "no_key"),
        (described("", Query={"policy": ""}), "no_key"), (described("", Query={"Prefix": "up/"}), "no_key"), (described("", "HEAD"), "no_key"),
        (described(Bucket="other-1250000000"), "no_route"), (described(Region="ap-guangzhou"), "no_route"), (described(Bucket="", Region="")|{"Region": 5}, "bad_body"),
        (described(Headers={"Host": "other-1250000000.cos.ap-beijing.myqcloud.com"}), "header"), (described(Headers={"Host": f"{BUCKET}.ci.ap-beijing.myqcloud.com"}), "header"),
        (described(Headers={"Host": HOST, "host": HOST}), "ambiguous"), (described(Query={"a": 1, "A": 1}), "ambiguous"), (described(Query=[]), "bad_body"), (described(Query={"a": {}}), "bad_body"),
        (described(Query={"q-sign-time": "1;2"}), "parameter"), (described(Expires=0), "bad_body"), (described(Expires=True), "bad_body"), (described(Expires="60"), "bad_body"), (described(Expires=901), "expires"),
        (b"", "bad_body"), (b"[]", "bad_body"), (b"nul", "bad_body"), (b"[" * 60_000, "bad_body"), (b'{"Key": "up/a", "Key": "b"}', "ambiguous"), (b"\xff", "bad_body"), (b"{}" + b" " * 70_000, "too_large"),
    ],
)  # fmt: skip
def test_what_is_refused(body: Any, code: str) -> None:
    assert code_of(asked(gateway(), body)) == code


def test_the_door_itself() -> None:
    found = gateway()
    assert code_of(asked(found, described(), BEARER)) == "media_type"
    assert code_of(asked(found, described(), {"content-type": "application/json"})) == "no_credentials"
    assert code_of(asked(found, described(), {**SENT, "authorization": "Bearer x"})) == "unknown_token"
    assert code_of(ask(found, "/sdk/authorization", SENT)) == "method"
    assert code_of(asked(found, described(), target="/sdk/authorization?x=1")) == "parameter"
    assert code_of(asked(found, described(), target="/sdk/authorization?route=none")) == "no_route"
    assert verified(asked(found, described(), target="/sdk/authorization?route=all")).key == "up/a.txt"
    assert verified(asked(found, described(Expires=60))).key_time[1] < time.time() + 62
    moved = gateway(endpoints={"sdk_authorization": "/auth"})
    assert verified(asked(moved, described(), target="/auth")).key == "up/a.txt"
    mounted = asked(found, described(), target="/cos/sdk/authorization", root_path="/cos")
    assert verified(mounted).key == "up/a.txt"


def test_lists_need_a_rule() -> None:
    names = {"params": ["prefix", "delimiter"]}
    listing = described("", Query={"prefix": "up/b", "delimiter": "/"}, Pathname="/")
    assert code_of(asked(gateway(names, names), listing)) == "not_granted"
    found = gateway({"lists": True, **names}, names)
    assert verified(asked(found, listing), "", query={"prefix": "up/b", "delimiter": "/"}).unsigned_params == ()
    for query in ({}, {"prefix": "u"}, {"prefix": ""}, {"prefix": "secret/"}, {"delimiter": "/"}):
        assert code_of(asked(found, described("", Query=query))) == "prefix"
    assert code_of(asked(found, described("", Query={"prefix": "up/", "marker": "a"}))) == "parameter"


def test_a_form_is_not_signed() -> None:
    """Its signature does for every key, and for a batch delete."""
    posts = {"methods": ["POST"]}
    answer = asked(gateway({"prefixes": [""], **posts}, posts), described("", "POST", Pathname="/"))
    assert code_of(answer) == "no_key"
    assert "/sdk/credentials" in json.loads(answer[2])["message"]


@pytest.mark.parametrize(
    "host", [HOST.replace("beijing", "guangzhou"), f"{BUCKET}.cos.myqcloud.com", f"{BUCKET}.picbj.myqcloud.com"]
)
def test_hosts_of_another_place(host: str) -> None:
    assert code_of(asked(gateway(), described(Headers={"Host": host}))) == "header"


def test_headers_that_write_elsewhere() -> None:
    """Pic-Operations names the keys that it writes, of any prefix."""
    rules = json.dumps({"rules": [{"fileid": "/secret/x.png", "rule": "imageMogr2/format/png"}]})
    body = described(Headers={"Host": HOST, "Pic-Operations": rules})
    assert code_of(asked(gateway(), body)) == "header"
    assert asked(gateway({"headers": ["pic-operations"]}), body)[0] == 200


@pytest.mark.parametrize(
    "name", ["x-cos-\ud800", "x-cos-a b", "", "x-cos-" + "a" * 300, "\U0001f600x-cos-a", "x-cos-a\n"]
)
def test_names_that_no_header_has(name: str) -> None:
    """They were remembered for good, and ended in an exception."""
    assert code_of(asked(gateway(), described(Headers={name: "v"}))) == "bad_body"


def test_routes_of_one_bucket() -> None:
    """The route whose prefix fits best judges; another one does if that one refuses."""
    both = {"bucket": BUCKET, "region": "ap-beijing"}
    routes = [
        {"name": "get", "path": "/get/", **both}, {"name": "put", "path": "/put/", "prefix": "up/", "methods": ["PUT"], **both},
        {"name": "far", "path": "/far/", "bucket": "far-1250000000", "region": "ap-guangzhou"},
    ]  # fmt: skip
    caller = {"name": "bob", "token_sha256": TOKEN, "allow": [
        {"routes": ["get"], "prefixes": ["up/"]}, {"routes": ["put"], "prefixes": ["up/"], "methods": ["PUT"]},
    ]}  # fmt: skip
    found = Gateway({"route": routes, "caller": [caller]}, credentials=CREDENTIALS)
    assert verified(asked(found, described())).method == "GET"
    assert verified(asked(found, described(method="PUT")), method="PUT").method == "PUT"
    assert code_of(asked(found, described(Bucket="far-1250000000", Region="ap-guangzhou", Headers={}))) == "not_granted"
    assert code_of(asked(found, {"Method": "GET", "Key": "up/a.txt"})) == "no_route"


def test_the_longest_prefix_judges_first() -> None:
    both = {"bucket": BUCKET, "region": "ap-beijing"}
    routes = [
        {"name": "all", "path": "/all/", "expires": 900, **both},
        {"name": "up", "path": "/up/", "prefix": "up/", "expires": 60, **both},
    ]
    caller = {"name": "bob", "token_sha256": TOKEN, "allow": [{"routes": ["*"], "prefixes": [""]}]}
    found = Gateway({"route": routes, "caller": [caller]}, credentials=CREDENTIALS)
    start, end = verified(asked(found, described())).key_time
    assert end - start <= 61


def test_temporary_credentials_come_with_their_token() -> None:
    found = Gateway(config({}, {"prefixes": ["up/"]}), credentials=Credentials(SECRET_ID, SECRET_KEY, "the-token"))
    assert json.loads(asked(found, described())[2])["SecurityToken"] == "the-token"


def test_hosts_of_the_bucket() -> None:
    for host in (
        HOST,
        HOST.upper(),
        f"{BUCKET}.cos.accelerate.myqcloud.com",
        f"{BUCKET}.cos-internal.ap-beijing.tencentcos.cn",
    ):
        answer = asked(gateway(), described(Headers={"Host": host}))
        assert verified(answer, headers={"Host": host.lower()}).header_list == ("host",)
    for headers in ({}, None):
        assert verified(asked(gateway(), described(Headers=headers))).header_list == ("host",)
    unsigned = gateway(route={"sign_host": False})
    assert verified(asked(unsigned, described(Headers={}))).header_list == ("host",)


def test_pages_of_other_origins() -> None:
    page = {"origin": "https://app.example.com"}
    found = gateway(route={"cors": ["https://app.example.com"]})
    preflight = {
        **page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    for door in ("authorization", "credentials"):
        status, headers, _ = ask(found, f"/sdk/{door}", preflight, "OPTIONS")
        assert (status, headers["access-control-allow-methods"]) == (204, "POST")
    assert asked(found, described(), {**SENT, **page})[1]["access-control-allow-origin"] == page["origin"]
    assert asked(found, described("x"), {**SENT, **page})[1]["access-control-allow-origin"] == page["origin"]
    other = asked(found, described(), {**SENT, "origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other[1]
    assert ask(found, "/sdk/authorizationx", preflight, "OPTIONS")[1].get("access-control-allow-methods") != "POST"


def test_pages_of_another_route() -> None:
    """An answer is for the pages of the route that it is good for."""
    routes = [
        {"name": "all", "bucket": BUCKET, "region": "ap-beijing", "cors": ["https://app.example.com"]},
        {"name": "pub", "path": "/pub/", "bucket": "pub-1250000000", "region": "ap-beijing", "cors": ["*"]},
    ]
    caller = {"name": "anyone", "anonymous": True, "allow": [{"routes": ["*"], "prefixes": [""]}]}
    found = Gateway({"route": routes, "caller": [caller]}, credentials=CREDENTIALS)
    for origin, allowed in (("https://app.example.com", "https://app.example.com"), ("https://evil.example.com", None)):
        answer = asked(found, described(), {**ANYONE, "origin": origin})
        assert (answer[0], answer[1].get("access-control-allow-origin")) == (200, allowed)
        assert answer[1]["vary"] == "Origin"
    public = asked(
        found, described(Bucket="pub-1250000000", Headers={}), {**ANYONE, "origin": "https://evil.example.com"}
    )
    assert (public[0], public[1]["access-control-allow-origin"]) == (200, "*")


# --- POST /sdk/credentials


@pytest.fixture
def sts() -> Iterator[Sts]:
    with answering() as found:
        yield found


def lending(sts: Sts, allow: Mapping[str, Any] = {}, route: Mapping[str, Any] = {}, **more: Any) -> Gateway:
    table = {"sts_endpoint": sts.url, **more.pop("sdk", {})}
    return gateway({"temporary_keys": True, **allow}, route, sdk=table, **more)


def test_keys_that_do_what_the_rules_do(sts: Sts) -> None:
    answer = asked(lending(sts), b"", BEARER, "credentials")
    assert answer[0] == 200
    content = json.loads(answer[2])
    assert (content["TmpSecretId"], content["SecurityToken"]) == ("AKIDtmp1", "token-AKIDtmp1")
    assert len(str(content["ExpiredTime"])) == len(str(content["StartTime"])) == 10
    assert content["credentials"] == {
        "tmpSecretId": "AKIDtmp1",
        "tmpSecretKey": "key-AKIDtmp1",
        "sessionToken": "token-AKIDtmp1",
    }
    assert answer[1]["cache-control"] == "no-store"
    assert sts.asked[0]["DurationSeconds"] == 900
    resource = [f"qcs::cos:ap-beijing:uid/1250000000:{BUCKET}/up/*"]
    assert sts.policies["AKIDtmp1"]["statement"] == [
        {"action": ["name/cos:GetObject", "name/cos:HeadObject"], "effect": "allow", "resource": resource}
    ]


def test_the_start_time_is_that_of_the_answer(sts: Sts) -> None:
    """The SDK adds the Expires of a URL to it: with the time of keys that are shared, the URL would be over already."""
    found = lending(sts)

    async def twice() -> tuple[Answer, Answer]:
        first = await asked_later(found, "/sdk/credentials", BEARER, "POST")
        await asyncio.sleep(1.1)
        return first, await asked_later(found, "/sdk/credentials", BEARER, "POST")

    first, second = (json.loads(answer[2]) for answer in asyncio.run(twice()))
    assert (len(sts.asked), first["ExpiredTime"]) == (1, second["ExpiredTime"])
    assert first["StartTime"] < second["StartTime"] <= time.time()


def test_keys_are_an_extra_right(sts: Sts) -> None:
    assert code_of(asked(lending(sts, {"temporary_keys": False}), b"", BEARER, "credentials")) == "not_granted"
    assert code_of(asked(lending(sts), b"", {}, "credentials")) == "no_credentials"
    assert sts.asked == []


def signing_caller(monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[Gateway, Signer]:
    """A gateway whose one caller signs requests himself, and what he signs with."""
    monkeypatch.setenv("CAROL", "key-of-carol")
    caller = {"secret_id": "AKIDcarol", "secret_key_env": "CAROL"}
    allow = {"prefixes": ["up/"], "temporary_keys": True, "max_expires": 3000}
    found = Gateway(config({}, allow, caller, **more), credentials=CREDENTIALS)
    return found, Signer(Credentials("AKIDcarol", "key-of-carol"), domain="gw.example.com")


def test_a_callers_own_signature_bounds_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    found, carol = signing_caller(monkeypatch)
    value = carol.authorization("POST", "sdk/authorization", expires=100)
    answer = asked(found, described(), {"authorization": value, "content-type": "application/json"})
    assert verified(answer).key_time[1] <= time.time() + 100


def test_a_callers_own_signature_bounds_the_keys(sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    found, signer = signing_caller(monkeypatch, sdk={"sts_endpoint": sts.url})
    for seconds, code in ((60, "expires"), (2000, None), (3600, "expires")):
        value = signer.authorization("POST", "sdk/credentials", expires=seconds)
        answer = asked(found, b"", {"authorization": value}, "credentials")
        assert answer[1].get("x-cossign-reason") == code, answer
    assert len(sts.asked) == 1


def test_sts_fails(sts: Sts, caplog: pytest.LogCaptureFixture) -> None:
    sts.fails = True
    answer = asked(lending(sts), b"", BEARER, "credentials")
    assert (answer[0], code_of(answer)) == (503, "unavailable")
    assert b"InternalError" not in answer[2]
    [record] = [each for each in caplog.records if each.name == "cossign.gateway"]
    assert (record.levelname, "InternalError.Test" in record.getMessage()) == ("WARNING", True)


def test_a_policy_says_no_more_than_the_rules() -> None:
    route = {
        "prefix": "data/",
        "methods": ["GET", "PUT", "POST"],
        "params": ["prefix", "uploads", "uploadId", "partNumber"],
        "expires": 600,
    }
    other = {"name": "other", "path": "/other/", "bucket": BUCKET, "region": "ap-beijing"}
    allow = {
        "routes": ["all"],
        "prefixes": ["data/a/", "d"],
        "methods": ["PUT", "POST", "DELETE"],
        "params": ["upload*"],
        "temporary_keys": True,
        "max_expires": 300,
        "lists": True,
    }
    table = config(route)
    table["route"].append(other)
    table["caller"][0]["allow"] = [
        allow,
        {"routes": ["*"], "prefixes": ["*/", "/x", "data/b"], "temporary_keys": True},
        {"routes": ["other"], "prefixes": [""]},
    ]
    found = parse_config(table)
    lent = caller_policy(found, found.caller[0])
    assert (lent.duration, lent.longest) == (300, 300)
    root = f"qcs::cos:ap-beijing:uid/1250000000:{BUCKET}/"
    assert [(each["action"], each["resource"]) for each in lent.policy["statement"]] == [
        (["name/cos:PutObject", "name/cos:PostObject", "name/cos:InitiateMultipartUpload", "name/cos:CompleteMultipartUpload"], [f"{root}data/a/*", f"{root}data/*"]),
        (["name/cos:GetObject", "name/cos:HeadObject"][:1], [f"{root}data/b*"]),
        (["name/cos:GetObject", "name/cos:HeadObject"], [f"{root}data/b*"]),
    ]  # fmt: skip
    assert [text.partition(" gives no temporary keys ")[2] for text in warnings_of_keys(found)] == [
        "for the prefix '*/', which a policy of STS cannot name", "for the prefix '/x', which a policy of STS cannot name",
    ]  # fmt: skip
    assert any("lists no keys" in text for text in warnings_of(found))


def test_lists_and_parts_in_a_policy() -> None:
    """A list carries a condition, needs GET, and the parameters of the route count as those of the rule do."""
    names = ["prefix", "uploads"]
    allow = {"routes": ["*"], "prefixes": ["up/"], "params": ["*"], "lists": True, "temporary_keys": True}
    for methods, params, actions in (
        (["GET"], names, ["GetObject", "GetBucket", "ListMultipartUploads"]),
        (["PUT"], names, ["PutObject"]),
        (["GET"], [], ["GetObject"]),
        (["PUT", "POST"], ["uploads"], ["PutObject", "PostObject", "InitiateMultipartUpload"]),
    ):
        found = parse_config(config({"methods": methods, "params": params}, {**allow, "methods": methods}))
        statements = caller_policy(found, found.caller[0]).policy["statement"]
        assert [action.removeprefix("name/cos:") for each in statements for action in each["action"]] == actions
        for each in statements:
            is_list = "name/cos:GetBucket" in each["action"]
            assert each.get("condition") == ({"string_like": {"cos:prefix": ["up/*"]}} if is_list else None)


def test_a_reload_asks_for_other_keys_only_if_they_differ(sts: Sts) -> None:
    def table(expires: int) -> dict[str, Any]:
        allow = {"prefixes": ["up/"], "temporary_keys": True}
        return config({"expires": expires}, allow, sdk={"sts_endpoint": sts.url})

    async def reloads() -> list[int]:
        found = Gateway(table(900), credentials=CREDENTIALS)
        counts = []
        for expires in (900, 900, 600):
            await found.reload(table(expires))
            await asked_later(found, "/sdk/credentials", BEARER, "POST")
            counts.append(len(sts.asked))
        return counts

    assert asyncio.run(reloads()) == [1, 1, 2]


def test_a_page_must_belong_to_every_route_of_the_keys(sts: Sts) -> None:
    both = {"bucket": BUCKET, "region": "ap-beijing"}
    routes = [
        {"name": "pub", "path": "/pub/", "cors": ["*"], **both},
        {"name": "all", "cors": ["https://app.example.com"], **both},
    ]
    allow = {"routes": ["*"], "prefixes": ["up/"], "temporary_keys": True}
    caller = {"name": "anyone", "anonymous": True, "allow": [allow]}
    found = Gateway({"route": routes, "caller": [caller], "sdk": {"sts_endpoint": sts.url}}, credentials=CREDENTIALS)
    for origin, allowed in (("https://app.example.com", "https://app.example.com"), ("https://evil.example.com", None)):
        answer = asked(found, b"", {"origin": origin}, "credentials")
        assert (answer[0], answer[1].get("access-control-allow-origin")) == (200, allowed)


def test_routes_of_two_accounts() -> None:
    table = config(allow={"temporary_keys": True})
    table["route"].append(
        {"name": "b", "path": "/b/", "bucket": BUCKET, "region": "ap-beijing", "credentials": {"source": "file"}}
    )
    with pytest.raises(ConfigError, match="temporary_keys for routes of different credentials"):
        parse_config(table)


# --- The real SDKs

RULE = """methods = ["GET", "HEAD", "PUT", "POST"]
params = ["prefix", "delimiter", "marker", "max-keys", "encoding-type", "uploads", "uploadId", "partNumber"]
"""


@contextmanager
def serving_sdks(tmp_path: Path, sts: Sts, server: CosServer, origin: str = "https://a.example.com") -> Iterator[int]:
    """The gateway as a process in front of the server that judges without cossign; its port."""
    server.stores = server.has_cors = True
    server.secrets = lambda: [(SECRET_ID, SECRET_KEY, None), *sts.secrets()]
    server.permits = sts.permits
    server.objects[b"secret/a.txt"] = b"nobody's"
    policy = f"""
listen = "127.0.0.1:0"
[sdk]
sts_endpoint = "{sts.url}"
[[route]]
name = "all"
bucket = "{BUCKET}"
region = "ap-beijing"
domain = "{server.url}"
cors = ["{origin}"]
{RULE}
[[caller]]
name = "bob"
token_sha256 = "{TOKEN}"
[[caller.allow]]
routes = ["all"]
prefixes = ["up/"]
lists = true
temporary_keys = true
{RULE}
"""
    with serving_gateway(tmp_path / "gateway.toml", policy) as served:
        yield served.port


def settings(port: int, server: CosServer, sdk: str, way: str) -> dict[str, Any]:
    return {
        "gateway": f"http://127.0.0.1:{port}", "token": "sesame", "bucket": BUCKET, "region": "ap-beijing",
        "domain": server.url.removeprefix("http://"), "way": way, "prefix": "up/", "sdk": sdk,
    }  # fmt: skip


def told_of(way: str, posts: bool) -> dict[str, Any]:
    """What a round of calls tells: a form's signature does for every key, so this caller gets none."""
    post = {"postObject": "refused" if way == "authorization" else 200} if posts else {}
    return {
        "putObject": 200, "getObject": "hello", "headObject": 200, "getObjectUrl": "hello", "multipart": 200,
        "list": ["up/a b+中.txt", "up/parts.bin"], **post, "another": True, "whole list": True,
    }  # fmt: skip


WAYS = ("authorization", "sts", "documentation")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sdk", ["wx", "node"])
def test_the_sdks_of_the_mini_program_and_of_node(sdk: str, way: str, tmp_path: Path, sts: Sts) -> None:
    if not shutil.which("node") or not (ORACLES / "node_modules").exists():
        pytest.skip("Node.js or the SDKs are not installed: run npm ci in tests/oracles")
    with running(list) as server, serving_sdks(tmp_path, sts, server) as port:
        asked_for = json.dumps(settings(port, server, sdk, way))
        node = subprocess.run(
            ["node", "callbacks.js"],
            cwd=ORACLES,
            input=asked_for,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert node.stdout, node.stderr
        told = json.loads(node.stdout[node.stdout.index("{") :])
        assert told == told_of(way, sdk == "wx"), server.refusals
        assert server.objects["up/a b+中.txt".encode()] == b"hello"
        assert server.objects[b"up/parts.bin"] == b"one,two"
        assert (b"up/form.txt" in server.objects) == (sdk == "wx" and way != "authorization")


@pytest.mark.parametrize("way", WAYS)
def test_the_browsers_sdk(way: str, tmp_path: Path, sts: Sts) -> None:
    sdk = ORACLES / "node_modules" / "cos-js-sdk-v5" / "dist" / "cos-js-sdk-v5.min.js"
    if not sdk.exists():
        pytest.skip("the SDKs are not installed: run npm ci in tests/oracles")
    with site(tmp_path) as found, running(list) as server, serving_sdks(tmp_path, sts, server, found.origin) as port:
        for path in (sdk, ORACLES / "callbacks.js"):
            shutil.copy(path, found.directory)
        told = found.told_by(
            f'<!DOCTYPE html><meta charset="utf-8"><script src="{sdk.name}"></script><script src="callbacks.js"></script>'
            f"<script>run(COS, {json.dumps(settings(port, server, 'js', way))}, byFetch)"
            ".then((told) => fetch('/told', {method: 'POST', body: JSON.stringify(told)}));</script>"
        )
        assert told == told_of(way, False), server.refusals
        assert server.objects[b"up/parts.bin"] == b"one,two"

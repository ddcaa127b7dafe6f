"""Real clients and a real nginx break requests; a server that knows nothing of cossign refuses them; each is explained right."""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from cossign import Credentials, Signer
from cossign.explain import Explanation, explain
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import CosServer, running
from tests.e2e.test_nginx import NGINX, nginx
from tests.waiting import PATIENCE

CREDENTIALS = Credentials(SECRET_ID, SECRET_KEY)
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture(scope="module")
def origin() -> Iterator[CosServer]:
    with running(lambda: [(SECRET_ID, SECRET_KEY, None)]) as server:
        yield server


def signer(url: str) -> Signer:
    return Signer(CREDENTIALS, bucket=BUCKET, region=REGION, domain=url, strict=False)


def why(text: str, answer: str | None, **more: object) -> Explanation:
    error = answer if answer and "<Error>" in answer else None
    found = explain(text, credentials=[CREDENTIALS], error=error, **more)  # type: ignore[arg-type]
    assert not found.holds
    assert SECRET_KEY not in str(found)
    return found


# --- nginx between the client and COS ---------------------------------------------------------------------------------

SITE = """
server {{
    listen 80;
    proxy_set_header Host $http_host;
    location /static/ {{ rewrite ^/static/(.*)$ /assets/$1 break; proxy_pass {origin}; }}
    location /tidy/ {{ proxy_pass {origin}/tidy/; }}
    location /nameless/ {{ proxy_set_header Host cos.internal; proxy_pass {origin}; }}
    location /rangeless/ {{ proxy_set_header Host $http_host; proxy_set_header Range ""; proxy_pass {origin}; }}
    location /typed/ {{ proxy_set_header Host $http_host; proxy_set_header Content-Type application/octet-stream; proxy_pass {origin}; }}
    location /posted/ {{ proxy_method POST; proxy_pass {origin}; }}
    location /lower/ {{ proxy_set_header Host $http_host; proxy_set_header x-cos-meta-name "ann"; proxy_pass {origin}; }}
    location / {{ proxy_pass {origin}; }}
}}
"""


@needs_nginx
@pytest.mark.parametrize(
    "key,options,headers,code",
    [
        ("static/a b.jpg", {}, {}, "path-rewritten"),
        ("tidy/a//b.jpg", {}, {}, "slashes-changed"),
        ("tidy/a/./b.jpg", {}, {}, "dot-segments"),
        ("nameless/a.jpg", {}, {}, "host-changed"),
        ("rangeless/a.jpg", {"headers": {"Range": "bytes=0-9"}}, {"Range": "bytes=0-9"}, "header-missing"),
        ("typed/a.jpg", {"headers": {"Content-Type": "image/jpeg"}, "method": "PUT"}, {"Content-Type": "image/jpeg"},
         "content-type-changed"),
        ("posted/a.jpg", {}, {}, "method-changed"),
        ("lower/a.jpg", {"headers": {"x-cos-meta-name": "Ann"}}, {"x-cos-meta-name": "Ann"}, "header-changed"),
        ("plain/腾讯 +'()*!~;=@&$.jpg", {}, {}, None),
    ],
)  # fmt: skip
def test_nginx(
    tmp_path: Path, origin: CosServer, key: str, options: dict[str, object], headers: dict[str, str], code: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recipe = tmp_path / "site.conf"
    recipe.write_text(SITE.format(origin=origin.url))
    monkeypatch.setattr("tests.e2e.test_nginx.RECIPES", tmp_path)
    with nginx(tmp_path, "site.conf", {}) as port:
        here = f"http://127.0.0.1:{port}"
        method = str(options.get("method", "GET"))
        url = signer(here).presign(key, **options)  # type: ignore[arg-type]
        target = url.removeprefix(here)
        answer = _raw(here, method, target, headers)
    if code is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 403, answer.text
    found = why(url, answer.text, method=method, headers=headers)
    assert found.codes == (code,), found
    assert found.findings[0].sureness == "service"
    assert explain(url, error=answer.text, method=method, headers=headers).codes == (code,)  # without a key, too


def _raw(here: str, method: str, target: str, headers: dict[str, str]) -> httpx.Response:
    """A request that no client library has tidied up."""
    parts = urlsplit(here)
    url = httpx.URL(scheme="http", host=parts.hostname or "", port=parts.port, raw_path=target.encode())
    with httpx.Client(timeout=PATIENCE) as client:
        request = client.build_request(method, url, headers=headers)
        request.url = url
        return client.send(request)


# --- Clients ----------------------------------------------------------------------------------------------------------

FETCH = """
const [url, options] = JSON.parse(process.argv[1]);
fetch(url, options).then(async (answer) => console.log(JSON.stringify([answer.status, await answer.text()])));
"""


def _requests(url: str, method: str, body: str | None) -> tuple[int, str]:
    answer = requests.request(method, url, data=body, timeout=PATIENCE)
    return answer.status_code, answer.text


def _httpx(url: str, method: str, body: str | None) -> tuple[int, str]:
    answer = httpx.request(method, url, content=body, timeout=PATIENCE, follow_redirects=True)
    return answer.status_code, answer.text


def _curl(url: str, method: str, body: str | None) -> tuple[int, str]:
    command = ["curl", "-s", "-L", "-w", "\n%{http_code}", *(["-d", body] if body is not None else []), url]
    command += ["-X", method] if method not in ("GET", "POST") else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def _fetch(url: str, method: str, body: str | None) -> tuple[int, str]:
    given = json.dumps([url, {"method": method, **({} if body is None else {"body": body})}])
    done = subprocess.run(["node", "-e", FETCH, given], capture_output=True, text=True, timeout=PATIENCE, check=True)
    status, text = json.loads(done.stdout)
    return status, text


CLIENTS: dict[str, Callable[[str, str, str | None], tuple[int, str]]] = {
    "requests": _requests, "httpx": _httpx, "curl": _curl, "fetch": _fetch,
}  # fmt: skip
ODD = [
    "a b.txt",
    "x+y.txt",
    "腾讯云/😀.txt",
    "100%.txt",
    "%2F",
    "it's (1)*!.txt",
    "a//b.txt",
    "q?x=1&y",
    "#1.txt",
    "~t;v=1,2@&=$.txt",
]


@pytest.fixture(params=CLIENTS)
def send(request: pytest.FixtureRequest) -> Callable[[str, str, str | None], tuple[int, str]]:
    needed = {"curl": "curl", "fetch": "node"}.get(request.param)
    if needed and shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return CLIENTS[request.param]


Send = Callable[[str, str, "str | None"], tuple[int, str]]


def test_odd_keys_arrive(origin: CosServer, send: Send) -> None:
    for key in ODD:
        assert send(signer(origin.url).presign(key), "GET", None)[0] == 200, key


def test_dot_segments(origin: CosServer, send: Send) -> None:
    """Clients that remove them are refused; what they were given says so by itself."""
    url = signer(origin.url).presign("a/./b/../c.txt")
    status, answer = send(url, "GET", None)
    found = why(url, answer)
    assert found.codes[0] == "dot-segments"
    if status == 403:
        sent = origin.requests[-1].target.decode()
        assert why(f"{origin.url}{sent}", None).codes[0] in ("dot-segments", "host-changed")


@pytest.mark.parametrize(
    "key,mistake,code",
    [
        ("a b.txt", lambda url: url.replace("%20", "+"), "plus-for-space"),
        ("x+y.txt", lambda url: url.replace("%2B", "%20"), "plus-for-space"),
        ("100%.txt", lambda url: url.replace("%25", "%2525"), "url-encoded-again"),
        ("caf\u00e9.txt", lambda url: url.replace("caf%C3%A9", "cafe%CC%81"), "unicode-form"),
        ("a//b.txt", lambda url: url.replace("a//b", "a/b"), "slashes-changed"),
        ("dir/a.txt", lambda url: url.replace("/dir/", "//dir/"), "slashes-changed"),
        ("Case.txt", lambda url: url.replace("Case", "case"), "path-edited"),
        ("it's.txt", lambda url: url.replace("%27", "&#x27;").replace("&#x27;", "%26%23x27%3B"), "path-edited"),
    ],
)  # fmt: skip
def test_mistakes_with_urls(origin: CosServer, send: Send, key: str, mistake: Callable[[str], str], code: str) -> None:
    assert unicodedata.is_normalized("NFC", key)
    url = mistake(signer(origin.url).presign(key))
    status, answer = send(url, "GET", None)
    assert status == 403
    assert why(url, answer).codes == (code,)
    assert why(url, None).codes == (code,)


def test_the_method(origin: CosServer, send: Send) -> None:
    url = signer(origin.url).presign("a.txt")
    status, answer = send(url, "DELETE", None)
    assert status == 403
    assert why(url, answer, method="DELETE").codes == ("method-changed",)


def test_the_content_type_that_a_client_adds(origin: CosServer, send: Send) -> None:
    """Signed as image/jpeg, and the client was not told: it sends none, or one of its own."""
    url = signer(origin.url).presign("a.txt", method="POST", headers={"Content-Type": "image/jpeg"})
    status, answer = send(url, "POST", "x=1")
    assert status == 403
    sent = {name.decode(): value.decode() for name, value in origin.requests[-1].headers}
    found = why(
        url, answer, method="POST", headers={name: value for name, value in sent.items() if name.lower() != "host"}
    )
    assert found.codes == (
        ("content-type-changed",) if any(name.lower() == "content-type" for name in sent) else ("header-missing",)
    )


def test_a_redirect_that_turns_post_into_get(origin: CosServer, send: Send) -> None:
    origin.judges = True
    signed = signer(origin.url).presign("b.txt", method="POST")
    status, answer = send(
        signer(origin.url).presign("redirect", method="POST", query={"status": "302", "to": signed}), "POST", "x"
    )
    assert status == 403
    assert origin.requests[-1].method == b"GET"
    assert why(signed, answer).codes == ("method-changed",)


def test_a_shell_that_cuts_the_url(origin: CosServer) -> None:
    url = signer(origin.url).presign("a.txt", query={"versionId": "5"})
    done = subprocess.run(
        ["sh", "-c", f"printf %s {url}"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert url.startswith(done.stdout)
    assert why(done.stdout, None).codes == ("cut-url",)


def test_curls_own_transcript(origin: CosServer) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = signer(origin.url).presign("a b.txt", headers={"Range": "bytes=0-9"})
    done = subprocess.run(["curl", "-sv", url], capture_output=True, text=True, timeout=PATIENCE, check=True)
    found = why(done.stderr + done.stdout, None)
    assert (found.source, found.codes) == ("curl -v", ("header-missing",))
    done = subprocess.run(
        ["curl", "-sv", "-I", "-r", "0-9", url], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert why(done.stderr, None).codes == ("method-changed",)


# --- SDKs -------------------------------------------------------------------------------------------------------------

NODE_MODULES = Path(__file__).parent.parent / "oracles" / "node_modules"
SDK = """
const COS = require('cos-nodejs-sdk-v5');
const [SecretId, SecretKey, parameters] = JSON.parse(process.argv[1]);
process.stdout.write(new COS({ SecretId, SecretKey }).getObjectUrl(parameters));
"""


def test_the_return_value_of_the_javascript_sdk() -> None:
    """It leaves q-url-param-list decoded, which COS does not take: the URL that its callback gets is right."""
    if not (NODE_MODULES / "cos-nodejs-sdk-v5").is_dir():
        pytest.skip("the JavaScript SDKs are not installed")
    parameters = {"Bucket": BUCKET, "Region": REGION, "Key": "a.jpg", "Query": {"imageMogr2/thumbnail/!50p": ""}}
    given = json.dumps([SECRET_ID, SECRET_KEY, parameters])
    done = subprocess.run(
        ["node", "-e", SDK, given],
        cwd=NODE_MODULES.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert why(done.stdout, None).codes == ("list-decoded",)


def test_boto3() -> None:
    boto3 = pytest.importorskip("boto3")
    client = boto3.client(
        "s3", aws_access_key_id=SECRET_ID, aws_secret_access_key=SECRET_KEY, region_name=REGION,
        endpoint_url=f"https://cos.{REGION}.myqcloud.com", config=boto3.session.Config(signature_version="s3v4"),
    )  # fmt: skip
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a.jpg"})
    assert why(url, None).codes == ("aws-sigv4",)
    old = boto3.client(
        "s3", aws_access_key_id=SECRET_ID, aws_secret_access_key=SECRET_KEY, region_name=REGION,
        endpoint_url=f"https://cos.{REGION}.myqcloud.com", config=boto3.session.Config(signature_version="s3"),
    )  # fmt: skip
    url = old.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a.jpg"})
    assert why(url, None).codes == ("other-service",)


def test_the_python_sdk() -> None:
    """Its URLs, in the documented form, are right; what a client makes of them is told."""
    qcloud = pytest.importorskip("qcloud_cos")
    client = qcloud.CosS3Client(qcloud.CosConfig(Region=REGION, SecretId=SECRET_ID, SecretKey=SECRET_KEY))
    url = client.get_presigned_url(BUCKET, "a b+c/腾讯.txt", "GET", Params={"response-content-type": "text/plain"})
    assert explain(url, credentials=[CREDENTIALS]).holds
    assert why(url.replace("%20", "+"), None).codes == ("plus-for-space",)
    leading = client.get_presigned_url(BUCKET, "/a.txt", "GET").replace("/a.txt?", "//a.txt?")
    assert why(leading, None).codes == ("slashes-changed",)


AUTHORIZATION = """
const COS = require('cos-nodejs-sdk-v5');
process.stdout.write(COS.getAuthorization(JSON.parse(process.argv[1])));
"""
MILLISECONDS = "1750000000000;1750000900000"


@pytest.mark.parametrize(
    "code,parameters,target,headers",
    [
        ("milliseconds", {"Key": "a.txt", "KeyTime": MILLISECONDS}, "/a.txt", {}),
        ("path-missing", {}, "/a.txt", {}),
        ("slashes-changed", {"Key": "/a.txt", "UseRawKey": True}, "/a.txt", {}),
        ("path-encoded", {"Key": "a%20b.txt"}, "/a%20b.txt", {}),
        ("method-changed", {"Key": "a.txt", "Method": "head"}, "/a.txt", {}),
        ("secret-key-edited", {"Key": "a.txt", "SecretKey": SECRET_KEY + "\n"}, "/a.txt", {}),
        ("secret-id-as-key", {"Key": "a.txt", "SecretKey": SECRET_ID}, "/a.txt", {}),
        ("wrong-secret-key", {"Key": "a.txt", "SecretKey": SECRET_KEY[::-1]}, "/a.txt", {}),
        ("encoder-differs", {"Key": "", "Query": {"prefix": "a%2Fb"}}, "/?prefix=a%2Fb", {}),
        ("host-changed", {"Key": "a.txt", "Headers": {"Host": "cdn.example.com"}}, "/a.txt", {}),
        ("content-type-changed", {"Key": "a.txt", "Headers": {"Content-Type": "text/plain"}}, "/a.txt",
         {"Content-Type": "text/plain; charset=utf-8"}),
        ("not-yet-valid", {"Key": "a.txt", "SystemClockOffset": 600_000}, "/a.txt", {}),
        ("expired", {"Key": "a.txt", "KeyTime": "1557989753;1557996953"}, "/a.txt", {}),
        ("parameter-missing", {"Key": "a.txt", "Query": {"versionId": "5"}}, "/a.txt", {}),
    ],
)  # fmt: skip
def test_what_the_javascript_sdk_signs_otherwise(
    code: str, parameters: dict[str, object], target: str, headers: dict[str, str]
) -> None:
    if not (NODE_MODULES / "cos-nodejs-sdk-v5").is_dir():
        pytest.skip("the JavaScript SDKs are not installed")
    given = {
        "SecretId": SECRET_ID,
        "SecretKey": SECRET_KEY,
        "Bucket": BUCKET,
        "Region": REGION,
        "Method": "get",
        **parameters,
    }
    done = subprocess.run(
        ["node", "-e", AUTHORIZATION, json.dumps(given)], cwd=NODE_MODULES.parent, capture_output=True, text=True,
        timeout=PATIENCE, check=True,
    )  # fmt: skip
    host = f"{BUCKET}.cos.{REGION}.myqcloud.com"
    found = why(
        f"https://{host}{target}", None, headers={"Authorization": done.stdout, **headers}, hosts=["cdn.example.com"]
    )
    if code == "wrong-secret-key":  # the last of what is possible
        assert found.codes[-1] == code
        assert {each.sureness for each in found.findings} == {"possible"}
    else:
        assert found.codes == (code,)

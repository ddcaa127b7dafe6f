"""`cossign url` and `cossign authorization`: one key, and where its bucket and region come from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from cossign import Signer
from cossign.cli import main
from tests.conftest import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY

WHERE = ["-b", BUCKET, "-r", REGION]
OTHER = "otherbucket-1250000000"
COSCMD = f"[common]\nsecret_id = a\nsecret_key = b\nbucket = {BUCKET}\nregion = {REGION}\n"
COSCLI = f"""\
cos:
  base: {{secretid: a, secretkey: b, sessiontoken: "", protocol: https, disableencryption: "true"}}
  buckets:
    - {{name: {OTHER}, alias: other, region: "", endpoint: cos.ap-shanghai.myqcloud.com, ofs: false}}
    - {{name: {BUCKET}, alias: example, region: ap-guangzhou, endpoint: cos.ap-guangzhou.myqcloud.com, ofs: false}}
"""

pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.any_engine]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """What a command prints; it must succeed, and be silent otherwise."""
    assert main([*arguments]) == 0, capsys.readouterr().err
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command refuses its arguments with."""
    assert main([*arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    [line] = shown.err.splitlines()
    return line


def host(url: str) -> str:
    return urlsplit(url).netloc


def test_keys(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["photos/头像 1.jpg", "a+b&c=d?e#f.txt", "--x"]
    urls = printed(capsys, "url", *WHERE, "--expires", "1h", "--", *keys)
    for key, url in zip(keys, urls, strict=True):
        verified = signer.verify(url, require_headers=["host"])
        assert (verified.key, verified.method) == (key, "GET")
        assert verified.key_time[1] - verified.key_time[0] == 3600
    for command in (["url", "-"], ["authorization", "GET", "-"]):
        assert "cossign presign - signs the keys of stdin" in refused(capsys, *command, *WHERE)
    assert signer.verify(printed(capsys, "url", f"cos://{BUCKET}/-", *WHERE)[0]).key == "-"


def test_what_is_signed(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    [url] = printed(
        capsys, "url", "a.png", *WHERE, "-X", "put", "-H", "Content-Type: image/png", "--query", "acl=",
        "--query", "response-content-type=text/plain", "--start", "1764100000", "--expires", "7d",
    )  # fmt: skip
    wanted = signer.presign(
        "a.png", method="PUT", headers={"Content-Type": "image/png"},
        query={"acl": "", "response-content-type": "text/plain"}, key_time=(1764100000, 1764704800),
    )  # fmt: skip
    assert url == wanted
    [url] = printed(capsys, "url", "a.png", *WHERE, "--scheme", "http", "--no-sign-host")
    assert url.startswith(f"http://{HOST}/a.png?")
    assert signer.verify(url).header_list == ()
    [one] = printed(capsys, "url", "a.png", *WHERE, "--round-to", "1h")
    span = parse_qs(urlsplit(one).query)["q-key-time"][0].split(";")
    assert int(span[0]) % 3600 == 0
    assert host(printed(capsys, "url", "a", *WHERE, "--accelerate")[0]) == f"{BUCKET}.cos.accelerate.myqcloud.com"
    assert host(printed(capsys, "url", "a", "--domain", "img.example.com")[0]) == "img.example.com"
    assert host(printed(capsys, "url", "a", *WHERE, "--domain", "{BucketName}.example.com")[0]).startswith(
        "examplebucket."
    )


def test_odd_keys_are_refused_with_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert "remove it, or use --no-strict" in refused(capsys, "url", "/a", *WHERE)
    assert printed(capsys, "url", "/a", *WHERE, "--no-strict")[0].startswith(f"https://{HOST}//a?")
    assert "--no-strict" in refused(capsys, "authorization", "GET", "/a", *WHERE)
    assert printed(capsys, "authorization", "GET", "/a", *WHERE, "--no-strict")


def test_addresses(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = printed(capsys, "url", f"cos://{BUCKET}/a b/c", f"cos://{OTHER}/d", "-r", REGION)
    assert signer.verify(first).key == "a b/c"
    assert host(second) == f"{OTHER}.cos.{REGION}.myqcloud.com"
    line = printed(capsys, "authorization", "GET", f"cos://{BUCKET}/a", "-r", REGION)[0]
    assert line.startswith("q-sign-algorithm=sha1&")
    assert "leave one out" in refused(capsys, "url", f"cos://{BUCKET}/a", "-b", OTHER, "-r", REGION)
    for wrong in ("cos://", f"cos://{BUCKET}", f"cos://{BUCKET}/"):
        assert "write cos://BUCKET/KEY" in refused(capsys, "url", wrong, "-r", REGION)


def test_bucket_and_region_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COS_BUCKET", BUCKET)
    assert refused(capsys, "url", "a").startswith(f"cossign: -r is missing: give the region of {BUCKET}")
    monkeypatch.setenv("COS_REGION", REGION)
    assert host(printed(capsys, "url", "a")[0]) == HOST
    assert host(printed(capsys, "url", "a", "-r", "ap-paris")[0]) == f"{BUCKET}.cos.ap-paris.myqcloud.com"
    home("~/k.txt", "a\n")
    [url] = printed(capsys, "presign", str(Path("~/k.txt").expanduser()), "-q")
    assert host(url) == HOST


def home(name: str, text: str) -> None:
    path = Path(name).expanduser()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")


def test_bucket_and_region_of_coscmd(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    home("~/.cos.conf", COSCMD)
    assert host(printed(capsys, "url", "a")[0]) == HOST
    assert host(printed(capsys, "url", "a", "-b", OTHER)[0]) == f"{OTHER}.cos.{REGION}.myqcloud.com"  # as coscmd does
    monkeypatch.setenv("COS_REGION", "ap-paris")
    assert host(printed(capsys, "url", "a")[0]) == f"{BUCKET}.cos.ap-paris.myqcloud.com"
    monkeypatch.delenv("COS_REGION")
    home("~/.cos.conf", COSCMD.replace(f"bucket = {BUCKET}", "appid = 1250000000\nbucket = examplebucket"))
    assert host(printed(capsys, "url", "a")[0]) == HOST
    home("~/.cos.conf", "no section")
    line = refused(capsys, "url", "a")
    assert "-b is missing" in line
    assert "~/.cos.conf was not read: is not a valid INI file" in line


def test_bucket_and_region_of_coscli(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    home("~/.cos.yaml", COSCLI)
    assert host(printed(capsys, "url", "a", "-b", "other")[0]) == f"{OTHER}.cos.ap-shanghai.myqcloud.com"
    assert host(printed(capsys, "url", "cos://example/a")[0]) == f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
    assert host(printed(capsys, "url", "a", "-b", OTHER)[0]) == f"{OTHER}.cos.ap-shanghai.myqcloud.com"
    assert host(printed(capsys, "url", "a", "-b", OTHER, "-r", REGION)[0]) == f"{OTHER}.cos.{REGION}.myqcloud.com"
    assert f"names several buckets: {OTHER}, {BUCKET}" in refused(capsys, "url", "a")
    assert "it is not an alias of coscli" in refused(capsys, "url", "a", "-b", "third")
    home("~/.cos.yaml", COSCLI.replace(f"    - {{name: {OTHER}", f"    - {{other: {OTHER}"))
    assert host(printed(capsys, "url", "a")[0]) == f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
    home("~/.cos.yaml", COSCLI.replace("alias: other", "alias: img-2024"))  # which looks like a bucket
    for more in ([], ["-r", "ap-shanghai"], ["--domain", "{Bucket}.cos.ap-shanghai.myqcloud.com"]):
        [url] = printed(capsys, "url", "a", "-b", "img-2024", *more)
        assert host(url) == f"{OTHER}.cos.ap-shanghai.myqcloud.com"
    assert host(printed(capsys, "url", "a", "--domain", "img.example.com")[0]) == "img.example.com"
    home("~/.cos.yaml", COSCLI.replace(f"    - {{name: {OTHER}", f"    - {{other: {OTHER}"))
    home("~/.cos.conf", COSCMD)  # coscmd's file is asked first
    assert host(printed(capsys, "url", "a")[0]) == HOST
    Path("~/.cos.conf").expanduser().unlink()
    home("~/.cos.yaml", "cos: [")
    assert "~/.cos.yaml was not read: is not valid YAML" in refused(capsys, "url", "a")


def test_a_profile_of_tccli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    home("~/.tccli/dev.credential", json.dumps({"secretId": "AKIDdev", "secretKey": "k"}))
    home("~/.tccli/dev.configure", json.dumps({"_sys_param": {"region": "ap-tokyo", "output": "json"}}))
    [url] = printed(capsys, "url", "a", "-b", BUCKET, "--profile", "dev")
    assert host(url) == f"{BUCKET}.cos.ap-tokyo.myqcloud.com"
    assert "q-ak=AKIDdev&" in url
    assert main(["verify", url, "--profile", "dev"]) == 0
    assert main(["verify", url]) == 1
    assert main(["explain", url, "--profile", "dev"]) == 0
    capsys.readouterr()
    assert "there is no ~/.tccli/none.credential" in refused(capsys, "url", "a", *WHERE, "--profile", "none")
    home("~/.tccli/dev.configure", "{")
    assert "-r is missing" in refused(capsys, "url", "a", "-b", BUCKET, "--profile", "dev")


def test_what_was_given_comes_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml")
    home("~/.cos.yaml", COSCLI)
    home("~/.tccli/dev.configure", '{"_sys_param": {"region": "ap-tokyo"}}')
    home("~/.tccli/dev.credential", '{"secretId": "AKIDdev", "secretKey": "k"}')
    monkeypatch.setenv("COS_REGION", "ap-chengdu")
    shown = {
        "ap-guangzhou": ["-b", "example"],  # an alias has its own region
        "ap-chengdu": ["-b", BUCKET],
        "ap-tokyo": ["-b", BUCKET, "--profile", "dev"],
        "ap-seoul": ["-b", "example", "--profile", "dev", "-r", "ap-seoul"],
    }
    for region, options in shown.items():
        assert host(printed(capsys, "url", "a", *options)[0]) == f"{BUCKET}.cos.{region}.myqcloud.com"
    assert host(printed(capsys, "url", "cos://example/a")[0]) == f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
    monkeypatch.setenv("COS_REGION", "")
    monkeypatch.setenv("COS_BUCKET", "")  # as if they were not set
    home("~/.cos.conf", COSCMD)
    assert host(printed(capsys, "url", "a")[0]) == HOST


def test_a_domain_that_needs_them(capsys: pytest.CaptureFixture[str]) -> None:
    for domain, missing in (("{Bucket}.example.com", "-b is missing"), ("{region}.example.com", "-r is missing")):
        assert missing in refused(capsys, "url", "a", "--domain", domain)
    home("~/.cos.conf", COSCMD)
    for domain, wanted in (("{Bucket}.example.com", BUCKET), ("{{region}}.example.com", REGION)):
        assert host(printed(capsys, "url", "a", "--domain", domain)[0]) == f"{wanted}.example.com"
    assert "--domain must be a host name" in refused(capsys, "url", "a", "--domain", "{Foo}.example.com")


@pytest.mark.parametrize(
    "name,text",
    [
        (".cos.yaml", "[" * 3000), (".cos.yaml", f"cos: {{buckets: [{{name: {BUCKET}, region: [a, b]}}]}}"),
        (".tccli/dev.configure", '{"region": 5}'), (".tccli/dev.configure", "{"), (".cos.conf", "junk"),
    ],
)  # fmt: skip
def test_broken_files_of_other_tools(name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    home(f"~/{name}", text)
    home("~/.tccli/dev.credential", '{"secretId": "AKIDdev", "secretKey": "k"}')
    profile = ["--profile", "dev"] if "dev" in name else []
    assert host(printed(capsys, "url", "a", *WHERE, *profile)[0]) == HOST
    told = refused(capsys, "url", "a", "-b", BUCKET, *profile)
    assert "-r is missing" in told
    assert f"~/{name} was not read" in told or "region: [a, b]" in text


def test_a_region_that_looks_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["url", "a", "-b", BUCKET, "-r", "ap-bejing"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("cossign: warning: region 'ap-bejing' is not a known region of COS")
    assert told.count("\n") == 1


def test_a_directory_in_place_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("~/.cos.yaml").expanduser().mkdir(parents=True)
    assert "~/.cos.yaml was not read: Is a directory)" in refused(capsys, "url", "a", "-b", BUCKET)


def test_explain_goes_on_without_a_broken_file(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    home("~/.cos.yaml", COSCLI.replace(', disableencryption: "true"', ""))
    assert main(["explain", signer.presign("a")]) == 0
    home("~/.cos.yaml", "cos: {base: {secretid: AKID0123456789}}\n")
    assert main(["explain", signer.presign("a")]) == 0
    said = capsys.readouterr().err
    assert "warning: one source of credentials cannot be used: ~/.cos.yaml: secretkey is missing or empty" in said


def test_explain_knows_aliases(signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    home("~/.cos.yaml", COSCLI)
    url = signer.presign("a").replace(HOST, "www.example.com")
    assert main(["explain", url, "-b", "example", "-r", REGION]) == 1
    assert "Host was signed as" in capsys.readouterr().out
    assert main(["explain", url]) == 1
    assert "Host was signed as" not in capsys.readouterr().out  # it is possible, and not proven


def test_python_m_cossign() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cossign", "url", "a.jpg", *WHERE], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"https://{HOST}/a.jpg?")
    assert SECRET_ID in done.stdout
    assert SECRET_KEY not in done.stdout + done.stderr

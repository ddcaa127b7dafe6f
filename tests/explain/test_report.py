"""What is shown: on a terminal, as JSON, as a page, by the command; and that no secret is."""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from cossign import Credentials, EnvironmentCredentials, Signer, cli
from cossign.explain import CATALOGUE, Explanation, explain
from cossign.explain.catalogue import page
from cossign.explain.mask import Mask
from cossign.explain.steps import encoded_entry
from cossign.gateway._gate import CAUSES
from tests import reference
from tests.conftest import scaled
from tests.explain.breaking import BUCKET, HOST, KEYS, NOW, REGION, SECRET_ID
from tests.explain.field.reports import END, OWN, over, policy_form
from tests.explain.test_explain import BREAKS, drawn, explained
from tests.waiting import PATIENCE

SECRET_KEY = KEYS[SECRET_ID]
TOKEN = "tok3n/+=" * 12
TEMPORARY = Credentials(SECRET_ID, SECRET_KEY, TOKEN)
SIGNER = Signer(TEMPORARY, bucket=BUCKET, region=REGION)
TIMES = (NOW - 10, NOW + 890)


def outputs(explanation: Explanation) -> dict[str, str]:
    return {
        "text": explanation.text(), "colour": explanation.text(colour=True), "json": json.dumps(explanation.json()),
        "html": explanation.html(), "str": str(explanation), "repr": repr(explanation),
        "parts": repr([explanation.findings, explanation.others, explanation.steps, explanation.url, explanation.difference]),
    }  # fmt: skip


def test_no_secret_in_any_output() -> None:
    without = SIGNER.replace(Credentials(SECRET_ID, SECRET_KEY))
    signed = without.presign("a b.txt", query={"x-cos-security-token": TOKEN}, key_time=TIMES)
    header = SIGNER.authorization("GET", "a", headers={"x-cos-security-token": TOKEN}, key_time=TIMES)
    sign_key = reference.signed(SECRET_KEY, "get", "/", (), (), f"{TIMES[0]};{TIMES[1]}")["sign_key"]
    asked: list[tuple[str, dict[str, object]]] = [
        (SIGNER.presign("a b.txt", key_time=TIMES), {}),
        (SIGNER.presign("a b.txt", key_time=TIMES).replace("%20", "+"), {"method": "HEAD"}),
        (signed, {}),
        (signed.replace("a%20b", "a"), {}),
        (SIGNER.object_url("a"), {"headers": {"Authorization": header, "X-Cos-Security-Token": TOKEN, "Cookie": "sid=c00kie"}}),
        (SIGNER.object_url("a"), {"headers": {"Authorization": header, "x-cos-security-token": TOKEN + "x"}}),
        (Signer(Credentials(SECRET_ID, TOKEN), bucket=BUCKET, region=REGION).presign("a", key_time=TIMES), {}),
        (Signer(Credentials(SECRET_KEY, SECRET_ID), bucket=BUCKET, region=REGION).presign("a", key_time=TIMES), {}),
        (SIGNER.presign("a", key_time=TIMES).replace("&", "&amp;"), {}),
        (SIGNER.presign("a", key_time=TIMES).replace(SECRET_ID, SECRET_KEY), {}),
        (SIGNER.presign(SECRET_KEY, key_time=TIMES), {"method": "PUT"}),
    ]  # fmt: skip
    forms = {
        each for secret in (SECRET_KEY, TOKEN) for each in (secret, quote(secret, safe=""), quote(secret, safe="/"))
    }
    forms |= (
        {quote(form, safe="") for form in forms}
        | {form.lower() for form in forms}
        | {json.dumps(form)[1:-1] for form in forms}
    )
    for text, more in asked:
        explanation = explain(text, credentials=[TEMPORARY], now=NOW, **more)  # type: ignore[arg-type]
        for name, shown in outputs(explanation).items():
            for form in forms:
                assert form not in shown, (name, text[:60])
            assert "c00kie" not in shown
            assert sign_key not in shown
            assert not re.search(r"Signature[^}]{0,80}[0-9a-f]{40}", shown), name
    told = explain(signed, credentials=[TEMPORARY], now=NOW, method="PUT", show_secrets=True)
    assert sign_key in told.text()
    assert quote(TOKEN, safe="") in told.text()
    assert SECRET_KEY not in told.text()


def test_a_secret_in_the_secret_ids_place_is_not_shown_even_if_it_is_not_known() -> None:
    url = Signer(Credentials(SECRET_KEY, SECRET_ID), bucket=BUCKET, region=REGION).presign("a", key_time=TIMES)
    for credentials in ([], [Credentials("AKIDelse", "x1y2z3")]):
        for shown in outputs(explain(url, credentials=credentials, now=NOW)).values():
            assert SECRET_KEY not in shown


def test_tokens_and_signatures_are_hidden_as_they_are_written_and_without_credentials() -> None:
    """The SDKs write a token into the URL as it is; other services' URLs are asked about by mistake."""
    raw, other = "raw+t0ken/x=" * 5, "0123456789abcdef" * 2 + "01234567"
    url = SIGNER.presign("a", key_time=TIMES)
    answer = f"<Error><FormatString>get\n/b\nx-cos-security-token={raw}\nhost=x\n</FormatString></Error>"
    asked: list[tuple[str, dict[str, object]]] = [
        (f"{url}&x-cos-security-token={raw}", {}),
        (f"{url}&X-Cos-Security-Token={raw}&x-cos-security-token=b", {"headers": {"x-cos-security-token": raw}}),
        (f"{url}&x-cos-security-token=b", {"headers": {"x-cos-security-token": raw}, "error": answer.replace(raw, "b")}),
        (f"{SIGNER.object_url('a')}?x-cos-security-token=b", {"headers": {
            "x-cos-security-token": raw, "Authorization": SIGNER.authorization("GET", "a", headers={"x-cos-security-token": raw})}}),
        (f"{url}&q-signature={other}", {}),
        (f"https://s3/a?X-Amz-Signature={other}&X-Amz-Security-Token={raw}", {}),
        (f"https://oss/a?OSSAccessKeyId=x&Signature={other}&security-token={raw}", {}),
        (quote(f"{url}&x-cos-security-token={raw}&q-signature={other}", safe=""), {}),
        (url, {"error": answer}),
        (url, {"headers": {"x-cos-security-token": raw}, "error": answer}),
    ]  # fmt: skip
    for text, more in asked:
        for name, shown in outputs(explain(text, now=NOW, **more)).items():  # type: ignore[arg-type]
            for form in (raw, quote(raw, safe=""), json.dumps(raw)[1:-1], other):
                assert form not in shown, (name, text[:50])


def test_secrets_are_hidden_however_they_are_written() -> None:
    token = "AbC/dEf+GhI=jKl/MnOpQrStUvWxYz0123456789"
    quoted = quote(token, safe="")
    lower = re.sub("%..", lambda escape: escape[0].lower(), quoted)
    credentials = [Credentials(SECRET_ID, SECRET_KEY, token)]
    url = SIGNER.presign("a", key_time=TIMES)
    signature = url[-40:]
    for text, secret in (
        (f"{url}&x-cos-security-token={lower}", lower),
        (f"{url}&x-cos-security-token={quoted[:30]}\n{quoted[30:]}", quoted[30:]),
        (f"{url}&x-cos-security-token={quoted}".replace("&", "\\u0026"), quoted),
        (url.replace("&", "\\u0026"), signature),
        (quote(quote(quote(url, safe=""), safe=""), safe=""), signature),
        (f'curl.exe -H "x-cos-security-token: {token}" "{url}"', token),
        (f'Invoke-WebRequest "{url}" -Headers @{{"x-cos-security-token"="{token}"}}', token),
    ):
        for known in (credentials, []):
            for name, shown in outputs(explain(text, credentials=known, now=NOW)).items():
                assert secret not in shown, (name, text[:60])
    message = f'<Error><Code>AccessDenied</Code><Message>Condition key x-cos-security-token "{token}" differs</Message></Error>'
    for shown in outputs(explain(url, error=message, now=NOW)).values():
        assert token not in shown
    for written in (token, token.replace("/", "\\/")):
        text = policy_form(
            f'{{"expiration":"{END}","conditions":[{{"x-cos-security-token":"{written}"}},{OWN}]}}', [("key", "a")]
        )
        for known in (credentials, []):
            for shown in outputs(explain(text, credentials=known, now=NOW)).values():
                assert written not in html.unescape(shown)
    text = policy_form(f'{{"expiration":"{END}","conditions":[{OWN}]}}', [("key", "a")])
    swapped = text.replace(f'q-ak"\r\n\r\n{SECRET_ID}', f'q-ak"\r\n\r\n{SECRET_KEY}')
    for shown in outputs(explain(swapped, credentials=[Credentials("AKIDelse", "x1y2z3")], now=NOW)).values():
        assert SECRET_KEY not in shown
    signed = reference.signed(
        SECRET_KEY, "get", "/a", [("x-cos-security-token", token)], [("host", HOST)], f"{TIMES[0]};{TIMES[1]}"
    )
    http = signed["http_string"].replace(quoted, lower)  # as an encoder with lower-case hex signs it
    signed["signature"] = over(http)(SECRET_KEY, f"{TIMES[0]};{TIMES[1]}", "")
    fields = reference.authorization(SECRET_ID, f"{TIMES[0]};{TIMES[1]}", signed).replace(";", "%3B")
    explanation = explain(f"https://{HOST}/a?{fields}&x-cos-security-token={quoted}", credentials=credentials, now=NOW)
    assert explanation.codes == ("encoder-differs",)
    for shown in outputs(explanation).values():
        assert lower not in shown


@scaled("count", 82, 600)
def test_no_secret_in_the_output_of_many(count: int) -> None:
    for seed in range(count):
        making, _ = drawn(seed, 1)
        for name, shown in outputs(explained(making)).items():
            assert SECRET_KEY not in shown, (seed, name)


def test_a_secret_is_hidden_in_every_form_that_a_request_may_have() -> None:
    mask = Mask(False)
    mask.hide("Ab/c+ d", "<token>")
    for form in (
        "Ab/c+ d",
        "Ab%2Fc%2B%20d",
        "ab%2fc%2b%20d",
        "AB%2FC%2B%20D",
        "Ab%252Fc%252B%2520d",
        "Ab%2Fc%2B+d",
        "Ab/c%2B%20d",
    ):
        assert mask(f"x={form}&") == "x=<token>&"
    assert Mask(True)("Ab/c+ d") == "Ab/c+ d"


class Page(HTMLParser):
    """Which elements a page has, and whether they are closed."""

    VOID = frozenset(["meta", "br"])

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.outside += [name for name, _ in attributes if name in ("src", "href") or name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>\u202egpj.exe"


def nasty() -> Explanation:
    url = SIGNER.presign(NASTY + " <b>", query={"a<b>": "</pre><script>"}, key_time=TIMES).replace(
        "%20%3Cb%3E", "+%3Cb%3E"
    )
    return explain(url, credentials=[TEMPORARY], now=NOW, method="HEAD")


def test_the_page_is_safe_and_stands_alone() -> None:
    odd = explain(SIGNER.presign("<script>a</script>", key_time=TIMES).replace("%3C", "%3c").replace("script", "SCRIPT"), now=NOW,
                  credentials=[TEMPORARY])  # fmt: skip
    assert odd.difference is not None
    for explanation in (nasty(), odd, explain(f"GET /{NASTY}?q-ak=</pre><script> HTTP/1.1", now=NOW)):
        found = Page()
        found.feed(explanation.html())
        found.close()
        assert found.open in ([], ["html"])
        assert found.seen <= {
            "html", "meta", "title", "style", "h1", "h2", "pre", "p", "span", "mark", "section", "dl", "dt", "dd", "code",
        }  # fmt: skip
        assert found.outside == []
        assert "\u202e" not in explanation.html()
        assert "url(" not in explanation.html()


def test_control_characters_do_not_reach_the_terminal() -> None:
    url = SIGNER.presign("a.txt", key_time=TIMES)
    explanation = explain(url.replace("a.txt", "%1b%5b31m%e2%80%aeb.txt"), credentials=[TEMPORARY], now=NOW)
    assert "\x1b" not in explanation.text()
    assert "\u202e" not in explanation.text()


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    """Chromium draws it: nothing is wider than a phone, no script ran, both colour schemes differ."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    (tmp_path / "page.html").write_text(nasty().html())
    probe = nasty().html().replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'") + (
        "<script>document.title = JSON.stringify([document.documentElement.scrollWidth, innerWidth, "
        "getComputedStyle(document.body).backgroundColor, document.scripts.length, document.images.length])</script>"
    )
    (tmp_path / "probe.html").write_text(probe)
    sizes = []
    for dark in (False, True):
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=400,900", "--hide-scrollbars",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []), f"--user-data-dir={tmp_path}/profile",
            "--dump-dom", f"file://{tmp_path}/probe.html",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        found = re.search(r"<title>(.*?)</title>", done.stdout)
        assert found
        width, inner, background, scripts, images = json.loads(found[1])
        assert width <= inner
        assert (scripts, images) == (1, 0)  # the probe's own alone
        sizes.append(background)
    assert sizes[0] == "rgb(255, 255, 255)"
    assert sizes[0] != sizes[1]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(["explain", *arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COS_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("COS_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("COS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("keys")
def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    url = plain.presign("a b.txt", key_time=TIMES)
    status, out, _ = run(capsys, url, "--at", str(NOW))
    assert (status, "The signature is right, and it is valid now." in out) == (0, True)
    status, out, _ = run(capsys, url)
    assert (status, "The signature has expired." in out) == (1, True)
    status, out, _ = run(capsys, "-X", "HEAD", url, "--at", str(NOW), "--json", "--html", str(tmp_path / "why.html"))
    assert (status, json.loads(out)["findings"][0]["code"]) == (1, "method-changed")
    assert "method-changed" in (tmp_path / "why.html").read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["why.html"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"curl -I '{url}'"))
    assert run(capsys, "-", "--at", str(NOW))[0] == 1
    (tmp_path / "request").write_text(f"> GET {url.partition(HOST)[2]} HTTP/1.1\n> Host: {HOST}\n")
    assert run(capsys, str(tmp_path / "request"), "--at", str(NOW))[0] == 0
    other = url.replace(HOST, f"{BUCKET}.cos.accelerate.myqcloud.com")
    status, out, _ = run(capsys, other, "--at", str(NOW), "-b", BUCKET, "-r", REGION)
    assert (status, "host-changed" in out) == (1, True)
    (tmp_path / "answer.xml").write_text("<Error><Code>x</Code></Error>")
    assert run(capsys, url, "--error", str(tmp_path / "answer.xml"), "--at", str(NOW))[0] == 0
    status, _, err = run(capsys, url, "--error", str(tmp_path / "missing.xml"))
    assert (status, "missing.xml: No such file" in err) == (2, True)
    status, _, err = run(capsys, "some nonsense")
    assert (status, err.startswith("cossign: REQUEST is not in a known form")) == (2, True)
    for missing in ("nonsense", "/tmp/no/such.log"):
        status, _, err = run(capsys, missing)
        assert (status, f"there is no file {missing}; give a URL" in err) == (2, True)
    status, _, err = run(capsys, str(tmp_path))
    assert (status, "is a directory" in err) == (2, True)
    status, _, err = run(capsys, "-", "--error", "-")
    assert (status, "--error must be a file, as REQUEST is read from stdin" in err) == (2, True)
    status, _, err = run(capsys)
    assert (status, "REQUEST is missing" in err) == (2, True)
    status, out, _ = run(capsys, url, "--no-key", "--at", str(NOW))
    assert (status, "Nothing is wrong that can be seen without the SecretKey." in out) == (1, True)
    status, _, err = run(capsys, url, "--html", str(tmp_path / "no" / "such.html"))
    assert (status, "No such file" in err) == (2, True)


@pytest.mark.usefixtures("keys")
def test_the_command_reads_what_is_no_utf8(tmp_path: Path) -> None:
    """A log has bytes as they came; nothing of it ends in a traceback."""
    for text in (
        b'- "GET /\xff\xe9.txt?q-ak=1 HTTP/1.1" 403',
        b"GET /\xff?q-ak=1 HTTP/1.1\r\nHost: \xe9\r\n",
        b"https://h/\xff?q-ak=1",
    ):
        (tmp_path / "request").write_bytes(text)
        for command, data in ((str(tmp_path / "request"), b""), ("-", text)):
            for form in ("--json", "--no-key"):
                done = subprocess.run(
                    [sys.executable, "-m", "cossign", "explain", command, form], input=data, capture_output=True,
                    timeout=PATIENCE, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
                )  # fmt: skip
                assert (done.returncode, b"Traceback" in done.stderr) == (1, False), done.stderr
                assert b"field-missing" in done.stdout


@pytest.mark.usefixtures("keys")
def test_the_command_tries_the_files_credentials_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = "AKIDOTHER00000000000"
    (tmp_path / ".cos.conf").write_text(f"[common]\nsecret_id = {other}\nsecret_key = {KEYS[other]}\n")
    url = Signer(Credentials(SECRET_ID, KEYS[other]), bucket=BUCKET, region=REGION).presign("a", key_time=TIMES)
    status, out, _ = run(capsys, url, "--at", str(NOW), "--json")
    assert (status, json.loads(out)["findings"][0]["code"]) == (1, "other-secret-id")
    assert KEYS[other] not in out


@pytest.mark.usefixtures("keys")
def test_the_command_without_keys(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COS_SECRET_ID")
    monkeypatch.delenv("COS_SECRET_KEY")
    for name in [name for name in os.environ if name.startswith("TENCENTCLOUD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("cossign.credentials.ChainCredentials", EnvironmentCredentials)
    status, out, err = run(capsys, SIGNER.presign("a", key_time=TIMES), "--at", str(NOW))
    assert status == 1
    assert "no SecretKey was found" in err
    assert "Also possible:" in out


def test_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """The page in docs/ is what the code says."""
    status, out, _ = run(capsys, "--catalogue")
    document = Path(__file__).parent.parent.parent / "docs" / "signature-does-not-match.md"
    assert (status, out) == (0, page())
    assert document.read_text() == page(), "write it again: make pages"
    for cause in CATALOGUE.values():
        assert f"### {cause.code}\n" in out
        assert cause.title
        assert cause.why.endswith(".")
        assert cause.fix
    status, out, _ = run(capsys, "plus-for-space")
    assert (status, out.startswith("### plus-for-space")) == (0, True)
    assert {cause for cause in CAUSES.values() if cause} <= set(CATALOGUE)
    assert set(BREAKS) <= set(CATALOGUE)


def test_what_the_service_received_stands_beside_what_was_sent() -> None:
    plain = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    answer = (
        "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>sha1\n1;2\nab\n</StringToSign>"
        f"<FormatString>get\n/cdn/a\n\nhost={HOST}\n</FormatString></Error>"
    )
    known = [Credentials(SECRET_ID, SECRET_KEY)]
    shown = explain(plain.presign("a", key_time=TIMES), credentials=known, error=answer, now=NOW).text()
    assert "    received /cdn/a\n    sent         /a\n             ^^^^\n" in shown
    shown = explain(plain.presign("a", key_time=TIMES), credentials=known, method="HEAD", now=NOW).text()
    assert "    request  head\n    signed   get\n             ^^^^\n" in shown
    wide = plain.presign("腾讯 a", key_time=TIMES).replace("%20", "+")
    shown = explain(wide, credentials=known, now=NOW).text()
    assert "    request  /腾讯+a\n    signed   /腾讯 a\n                  ^\n" in shown
    same = answer.replace("/cdn/a", "/a")
    assert "FormatString" not in explain(plain.presign("a"), credentials=known, error=same).text()


def test_nothing_of_a_request_is_kept() -> None:
    """A token may be among the values that were encoded."""
    explain(
        SIGNER.replace(Credentials(SECRET_ID, SECRET_KEY)).presign("a", query={"x-cos-security-token": TOKEN}),
        credentials=[TEMPORARY],
        method="PUT",
    )
    assert encoded_entry.cache_info().currsize == 0


def test_two_sign_parameters_are_a_mistake() -> None:
    good = quote(SIGNER.authorization("GET", "a", key_time=TIMES), safe="")
    bad = quote(SIGNER.authorization("GET", "b", key_time=TIMES), safe="")
    for query in (f"sign={good}&sign={bad}", f"sign={bad}&sign={good}"):
        found = explain(f"{SIGNER.object_url('a')}?{query}", credentials=[TEMPORARY], now=NOW)
        assert not found.holds
        assert "signed-twice" in found.codes

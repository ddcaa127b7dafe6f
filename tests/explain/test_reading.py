"""What a request may be given as; and input that is hostile, or nothing at all."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from cossign import Credentials, ParameterError, Signer
from cossign.explain import Explanation, explain
from tests.explain.breaking import BUCKET, HOST, KEYS, NOW, REGION, SECRET_ID

CREDENTIALS = Credentials(SECRET_ID, KEYS[SECRET_ID])
SIGNER = Signer(CREDENTIALS, bucket=BUCKET, region=REGION)
TIMES = (NOW - 10, NOW + 890)
URL = SIGNER.presign("a b.txt", key_time=TIMES)
TARGET = "/" + URL.partition("://")[2].partition("/")[2]
XML = (
    "<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>invalid</Message>"
    "<StringToSign>{time}</StringToSign><FormatString>get\n{path}\n\nhost={host}\n</FormatString></Error>"
)


def found(text: str, **more: object) -> Explanation:
    return explain(text, credentials=[CREDENTIALS], now=NOW, **more)  # type: ignore[arg-type]


def test_a_url_and_its_forms() -> None:
    for text in (URL, f" {URL}\n", f"\ufeff{URL}"):
        assert found(text).holds
    assert found(TARGET, headers={"Host": HOST}).holds
    assert found(TARGET).codes == ("header-missing",)


CURL = f"""* Connected to {HOST} (203.0.113.5) port 443 (#0)
> {{method}} {TARGET} HTTP/1.1
> Host: {HOST}
> User-Agent: curl/7.88.1
> Accept: */*
>
< HTTP/1.1 403 Forbidden
< Content-Type: application/xml
<
{{body}}
* Connection #0 to host {HOST} left intact
"""


def test_curls_transcript() -> None:
    assert found(CURL.format(method="GET", body="")).holds
    explanation = found(CURL.format(method="HEAD", body=""))
    assert (explanation.codes, explanation.source) == (("method-changed",), "curl -v")
    body = XML.format(time="sha1\n1;2\nab\n", path="/cdn/a b.txt", host=HOST)
    explanation = found(CURL.format(method="GET", body=body))
    assert explanation.codes == ("path-rewritten",)
    assert explanation.findings[0].sureness == "service"


def test_the_last_signed_request_of_a_transcript_with_redirects() -> None:
    first = f"> POST {TARGET} HTTP/1.1\n> Host: {HOST}\n>\n< HTTP/1.1 302 Found\n< Location: /x\n<\n"
    last = f"> GET {TARGET.replace('a%20b', 'a+b')} HTTP/1.1\n> Host: {HOST}\n>\n"
    unsigned = "> GET /favicon.ico HTTP/1.1\n> Host: example.com\n>\n"
    assert found(first + last + unsigned).codes == ("plus-for-space",)


def test_curls_command() -> None:
    assert found(f"curl '{URL}' -H 'Accept: */*' --compressed").holds
    assert found(f"$ curl -I '{URL}'").codes == ("method-changed",)
    assert found(f"curl '{URL}' \\\n  -X DELETE -o out.txt").codes == ("method-changed",)
    assert found(f"curl '{URL}' --data-raw 'x=1'").codes == ("method-changed",)
    assert found(f"curl -T file '{URL}'").codes == ("method-changed",)
    with pytest.raises(ParameterError, match="quotes do not end"):
        found(f"curl '{URL}")
    with pytest.raises(ParameterError, match="without a URL"):
        found("curl -v")


def har(entry: dict[str, object]) -> str:
    return json.dumps(
        {"log": {"version": "1.2", "entries": [{"request": {"url": "https://example.com/", "headers": []}}, entry]}}
    )


def test_har() -> None:
    headers = [{"name": ":authority", "value": "x"}, {"name": "Host", "value": HOST}]
    entry: dict[str, object] = {"request": {"method": "PUT", "url": URL, "headers": headers}}
    explanation = found(har(entry))
    assert (explanation.codes, explanation.source, explanation.method) == (("method-changed",), "HAR", "PUT")
    assert found(json.dumps(entry)).codes == ("method-changed",)
    entry = {
        "request": {"method": "GET", "url": URL, "headers": headers},
        "response": {"content": {"text": XML.format(time="", path="/b.txt", host=HOST)}},
    }
    assert found(har(entry)).codes == ("path-rewritten",)
    for broken in (
        "{}",
        '{"log": {}}',
        '{"log": {"entries": [1]}}',
        '{"url": 5}',
        "{nothing}",
        '{"log": {"entries": 5}}',
    ):
        with pytest.raises(ParameterError, match="HAR"):
            found(broken)


def test_raw_http_and_a_log_line() -> None:
    authorization = SIGNER.authorization("PUT", "x", headers={"Content-Type": "image/png"}, key_time=TIMES)
    raw = f"PUT /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: image/png\r\nAuthorization: {authorization}\r\n\r\nbody"
    assert found(raw).holds
    assert found(raw.replace("image/png", "image/jpeg", 1)).codes == ("content-type-changed",)
    line = f'203.0.113.9 - - [15/Jun/2025:15:06:40 +0000] "HEAD {TARGET} HTTP/1.1" 403 345 "-" "Go-http-client/1.1"'
    explanation = found(line, headers={"Host": HOST})
    assert (explanation.codes, explanation.source) == (("method-changed",), "log line")
    raw = SIGNER.presign('腾讯"\\.txt', key_time=TIMES).partition(HOST)[2]
    for name in ("%E8%85%BE%E8%AE%AF%22%5C.txt", "\\xE8\\x85\\xBE\\xE8\\xAE\\xAF\\x22\\x5C.txt"):
        line = f'- "GET {raw.replace("%E8%85%BE%E8%AE%AF%22%5C.txt", name)} HTTP/1.1" 403'
        assert found(line, headers={"Host": HOST}).holds
    assert found('- "GET /\\xFF\\-\\xQ?q-ak=1 HTTP/1.1" 403').codes == ("field-missing",)


def test_what_is_no_request() -> None:
    for text in ("", "hello", "AKID", "q-sign-algorithm=sha1&q-ak=x", "Authorization: q-sign-algorithm=sha1"):
        with pytest.raises(ParameterError, match="request"):
            found(text)
    with pytest.raises(ParameterError, match="NUL"):
        found(URL + "\0")
    with pytest.raises(ParameterError, match=r"more than 1,048,576 characters"):
        found("https://" + "a" * (1 << 20))
    with pytest.raises(ParameterError, match=r"URL and headers of more than 262,144 characters"):
        found("https://a/?q-ak=1&" + "a" * 270_000)
    with pytest.raises(ParameterError, match="must be a str"):
        found(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "xml,match",
    [
        ("<Error>" + "<a>" * 100_000 + "</Error>", "elements within elements"),
        ('<!DOCTYPE lolz [<!ENTITY lol "lol">]><Error><Code>&lol;</Code></Error>', "declares a document type"),
        ("<Error><!doctype x></Error>", "declares a document type"),
        ("x" * 100_000_000, "more than 1,048,576 characters"),
        ("<Error><Code>&undefined;</Code></Error>", ""),
        ("<Error><Code a=b></Code></Error>", "is not valid XML"),
        ("<Error><Code>", "has no <Error> element"),
        ("", "has no <Error> element"),
        ("<Error><Code></Message></Error>", "is not valid XML"),
        ("<Error>" + "<Code/>" * 100_000 + "</Error>", ""),
    ],
)  # fmt: skip
def test_hostile_answers_are_refused_quickly(xml: str, match: str) -> None:
    began = time.process_time()
    if match:
        with pytest.raises(ParameterError, match=match):
            found(URL, error=xml)
    else:
        assert found(URL, error=xml).holds
    assert time.process_time() - began < 2


@pytest.mark.parametrize("lone", [chr(0xD800), chr(0xDCFF)])  # the second is a byte that is not UTF-8, in sys.argv
def test_lone_surrogates_everywhere(lone: str) -> None:
    for text in (
        lone,
        f"{URL}&x-cos-security-token={lone * 4}",
        f'1 - "GET /a?q-sign-algorithm={lone} HTTP/1.1"',
        f"curl '{URL}{lone}'",
    ):
        for headers in ({}, {"token": f"Token={lone * 4}"}, {lone: "a"}):
            try:
                assert str(explain(text, headers=headers))
            except ParameterError:
                assert text == lone
    with pytest.raises(ParameterError, match="is not valid XML"):
        explain(URL, error=f"<Error><Code>{lone}</Code></Error>")


def test_an_answer_in_a_log() -> None:
    """As JavaScript and Python print it: with backslashes for newlines and tabs."""
    path = XML.format(time="sha1\n1;2\nab\n", path="/b.txt", host=HOST)
    assert found(URL, error="StatusCodeError: 403 - " + repr(path)).codes == ("path-rewritten",)


def test_odd_requests_end_quickly_too() -> None:
    """Nothing that a request may hold makes the search long, and nothing is said a thousand times."""
    names = "".join(f"x-cos-meta-{number}: v {number} é\r\n" for number in range(60))
    listed = ";".join(["host", *(f"x-cos-meta-{number}" for number in range(60))])
    forged = (
        f"GET /a%20b HTTP/1.1\r\nHost: {HOST}\r\n{names}Authorization: q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time=1;2"
        f"&q-key-time=1;2&q-header-list={listed}&q-url-param-list=&q-signature={'0a' * 20}\r\n\r\n"
    )
    for text in (forged, "https://a/?" + "q-ak=1&" * 5000, URL.replace("a%20b", "a%20b/" * 5000)):
        began = time.process_time()
        assert 0 < len(found(text).codes) < 14
        assert time.process_time() - began < 3
    many = "&".join(f"p{number}={'%20' * 5}" for number in range(400))
    names = ";".join(f"p{number}" for number in range(400))
    for key in ("/" * 800, "a/" * 400, "%2e%2e/" * 100, "\u0301" * 300):
        url = SIGNER.presign("x", key_time=TIMES).replace("/x?", f"/{key}?")
        explanation = found(url)
        assert explanation.codes
        assert explanation.tried < 200_000
    url = URL.replace("q-url-param-list=", f"q-url-param-list={names}") + "&" + many
    explanation = found(url)
    assert explanation.codes
    assert explanation.tried < 200_000


# --- Right requests as people paste them ------------------------------------------------------------------------------

AUTHORIZATION = SIGNER.authorization("GET", "a b.txt", key_time=TIMES)
PUT_URL = SIGNER.presign("a b.txt", method="PUT", key_time=TIMES)
BARE = SIGNER.object_url("a b.txt")
ROOT = SIGNER.replace(strict=False)  # signs for the bucket itself, too


def listing() -> str:
    signed = ROOT.authorization("GET", "", query={"prefix": "a b", "max-keys": "3"}, key_time=TIMES)
    return f"curl -G --data-urlencode 'prefix=a b' -d max-keys=3 -H 'Authorization: {signed}' https://{HOST}/"


def with_header(name: str, value: str) -> str:
    return SIGNER.presign("a b.txt", headers={name: value}, key_time=TIMES)


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"curl {options} '{URL}'"
            for options in (
                "-m 10", "--resolve h:443:1.2.3.4", "--proxy http://p:8080", "--connect-timeout 5", "-w '%{http_code}'",
                "--retry 3", "-so out.jpg", "-r 0-9", "-c jar", "--cacert ca.pem", "-K cfg", "-fsSL", "-k --compressed",
                "--max-time=10", "-u a:b",
            )
        ),
        f"curl -H'Authorization: {AUTHORIZATION}' '{BARE}'",
        f"curl -H 'Authorization: {AUTHORIZATION}' '{BARE.removeprefix('https://')}'",
        f"curl -XPUT '{PUT_URL}'", f"curl -sXPUT '{PUT_URL}'", f"curl -Ta.jpg '{PUT_URL}'", f"curl --request=PUT '{PUT_URL}'",
        f"curl -dx '{SIGNER.presign('a b.txt', method='POST', key_time=TIMES)}'",
        f"curl -sI '{SIGNER.presign('a b.txt', method='HEAD', key_time=TIMES)}'",
        listing(), listing().replace("-G", "--get"),
        f"curl -A me/1 '{with_header('User-Agent', 'me/1')}'", f"curl -e http://r/ '{with_header('Referer', 'http://r/')}'",
        f"curl '{with_header('Accept', '*/*')}'", f"curl -b a=1 '{with_header('Cookie', 'a=1')}'",
        f"curl.exe \"{URL}\"", f"/usr/bin/curl '{URL}'", f"sudo curl '{URL}'", f"# curl '{URL}'", f"curl $'{URL}'",
        f"curl '{URL}' -H $'x: it\\'s'",
        "curl ^\"" + URL.replace("&", "^&").replace("%", "^%") + "^\" ^\r\n  -H ^\"Accept: */*^\"",
        f'wget "{URL}"', f'fetch("{URL}", {{"method": "GET"}});', f"[a]({URL})", f'<img src="{URL}">', f"{URL} gives 403",
        f"My URL: {URL}", URL.replace("&", "\\u0026"),
        f"> GET {TARGET} HTTP/2\n> :authority: {HOST}\n>\n", f":method: GET\n:path: {TARGET}\n:authority: {HOST}\n:scheme: https",
        f"GET {BARE.partition(HOST)[2]} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {AUTHORIZATION[:60]}\r\n {AUTHORIZATION[60:]}\r\n\r\n",
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nX: a\u2028b\u0085c\r\nAuthorization: "
        + ROOT.authorization("POST", "", headers={"X": "a\u2028b\u0085c"}, key_time=TIMES) + "\r\n\r\n> a quote\r\n",
        URL.replace(HOST, HOST.upper()),
    ],
)  # fmt: skip
def test_a_right_request_as_it_is_pasted(text: str) -> None:
    explanation = found(text)
    assert explanation.holds, str(explanation)


def test_a_right_request_of_two_log_lines() -> None:
    line = f'1.2.3.4 - - [x] "GET {TARGET} HTTP/1.1" 403 1'
    for text in (f"{line}\n{line}", f'1.2.3.4 - - [x] "GET /favicon.ico HTTP/1.1" 404 1\n{line}'):
        assert found(text, headers={"Host": HOST}).holds


def test_a_browsers_question_before_a_request_is_not_judged() -> None:
    def entry(method: str, status: int, text: str = "") -> dict[str, object]:
        return {
            "request": {"method": method, "url": URL, "headers": []},
            "response": {"status": status, "content": {"text": text}},
        }

    error = "<Error><Code>NoSuchKey</Code></Error>"
    assert found(json.dumps({"log": {"entries": [entry("GET", 200), entry("OPTIONS", 200)]}})).codes == ()
    assert found(json.dumps([entry("GET", 200, error)])).codes == ()  # the object itself
    assert found(json.dumps([entry("GET", 404, error)])).codes == ("no-such-key",)


def test_the_last_answer_of_several() -> None:
    first, last = (f"<Error><Code>{code}</Code></Error>" for code in ("SlowDown", "NoSuchKey"))
    assert found(URL, error=f"{first}\n* retry\n{last}").codes == ("no-such-key",)


@pytest.mark.parametrize(
    "named",
    [
        {"now": float("nan")}, {"now": float("inf")}, {"now": 10**400}, {"now": "x"}, {"method": 3}, {"hosts": [5]},
        {"headers": {"Host": None}}, {"bucket": "\ud800"}, {"credentials": None},
    ],
)  # fmt: skip
def test_parameters_of_other_kinds_are_refused(named: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        explain(URL, **{"now": NOW, **named})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "curl 'https://a/?q-ak=1' --data-raw '" + "x" * 900_000 + "'",
        "curl https://a/ --data-raw $'" + "\\u0041" * 150_000 + "'",
        URL.replace("a%20b.txt", "%cc%81%cc%96" * 8000),
        URL + "".join(f"&p{number}=x" for number in range(9000)),
        "https://a" * 100_000,
        "https://a?q-sign-algorithm=sha1&" * 30_000,
        "x " + URL * 1000,
        "`<" + URL.replace("&", "&amp;").replace("q-ak", "\n q-ak") + "&amp;a=b" * 9000 + ">",
    ],
)
def test_large_texts_end_quickly(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ParameterError):  # of what is longer than any server takes
        assert str(found(text, method="PUT"))
    assert time.process_time() - began < 8  # less than a second each on a machine that does nothing else

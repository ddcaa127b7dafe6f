"""The service's answer: every form in which people have it, every code, and what it means beside a right signature."""

from __future__ import annotations

import hashlib
import html
import json
import re
import time
import xml.dom.minidom
from typing import Any

import pytest

from cossign import Credentials, ParameterError, Signer
from cossign.explain import Explanation, explain
from cossign.explain.answer import Answer, read_answer
from cossign.explain.codes import MEANINGS
from tests.explain.breaking import BUCKET, KEYS, NOW, REGION, SECRET_ID
from tests.explain.field.reports import END, HOSTS, OWN, TEMPORARY_ID, answer, form, mismatch, policy_form

CREDENTIALS = Credentials(SECRET_ID, KEYS[SECRET_ID])
SIGNER = Signer(CREDENTIALS, bucket=BUCKET, region=REGION)
TIMES = (NOW - 10, NOW + 890)
URL = SIGNER.presign("photos/a.jpg", key_time=TIMES)
XML = mismatch("put", "/a b\nc.txt", [("cors", "")], [("content-type", "a;b"), *HOSTS])
READ = read_answer(XML)


def found(text: str, **more: Any) -> Explanation:
    return explain(text, credentials=[CREDENTIALS], now=NOW, **more)


# --- Forms of an answer


def printed_by_node(fields: dict[str, str]) -> str:
    """As console.log shows an error."""

    def literal(text: str) -> str:
        lines = [repr(line + "\n") for line in text.split("\n")]
        return " +\n      ".join(lines) if len(lines) > 2 else repr(text)

    inner = "".join(f"    {name}: {literal(value)},\n" for name, value in fields.items())
    return f"{fields['Code']}: x\n    at Request.endHandler (base.js:4448:25) {{\n  error: {{\n{inner}  }},\n  statusCode: 403\n}}"


def printed_by_ios(fields: dict[str, str]) -> str:
    inner = ", ".join(f"{name}={value.rstrip()}" for name, value in fields.items())
    return f'Error Domain=com.tencent.qcloud.networking Code=403 "(null)" UserInfo={{__name=Error, {inner}}}'


FIELDS = {
    "Code": READ.code, "Message": READ.message, "StringToSign": READ.string_to_sign or "",
    "FormatString": READ.format_string or "", "Resource": "/a",
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        XML,
        xml.dom.minidom.parseString(XML).toprettyxml(),
        xml.dom.minidom.parseString(XML).toprettyxml(indent="        "),
        "\n".join("\t\t" + line.strip() for line in XML.splitlines()),
        "\n".join("    " + line.strip() for line in XML.splitlines() if line.strip()),
        f"StatusCodeError: 403 - {XML!r}",
        f"CosServiceError('PUT', {XML!r}, 403)",
        html.escape(XML),
        json.dumps({"code": "SignatureDoesNotMatch", "error": FIELDS, "statusCode": 403, "headers": {}}),
        json.dumps({"error": FIELDS, "statusCode": 403, "headers": {"x-cos-request-id": "X"}, "method": "GET"}, indent=2),
        json.dumps({"response": {"status": 403, "data": XML}}),
        repr({"error": FIELDS, "statusCode": 403}),
        "upload failed, err=" + json.dumps({"error": FIELDS}) + ", tryTimes=1",
        printed_by_node(FIELDS),
        printed_by_ios(FIELDS),
    ],
)  # fmt: skip
def test_an_answer_in_every_form(text: str) -> None:
    read = read_answer(text)
    assert (read.code, read.string_to_sign, read.format_string) == (READ.code, READ.string_to_sign, READ.format_string)


@pytest.mark.parametrize(
    "text",
    [
        "com.qcloud.cos.exception.CosServiceException: x (Status Code: 403; Error Code: AccessDenied; Request ID: X); Trace ID: T",
        "GET https://b.cos.ap-beijing.myqcloud.com/a: 403 AccessDenied(Message: x, RequestId: X, TraceId: T)",
        "Cos Error Code: AccessDenied, Status Code: 403, Cos Request ID: X, Cos Error Type: client, Cos Error Message: x",
        "(statusCode = 403, statusMessage = Forbidden, errorCode = AccessDenied, errorMsg = x, requestId = X)",
        "CosXmlServiceException{x (Service: /a; Status Code: 403; Status Message: Forbidden; Error Code: AccessDenied; Request ID: X)}",
        "2026-11-30 03:16:13,762 - [WARNING]:  {'code': 'AccessDenied', 'message': 'x', 'traceid': 'Unknown'}",
        'time="2026-03-20T18:24:24+08:00" level=error msg="list objects error : 403 AccessDenied(Message: x)"',
        "HttpStatus=403\n\tErrorCode=AccessDenied\tErrorMsg=x]",
    ],
)
def test_a_line_of_a_log(text: str) -> None:
    assert read_answer(text).code == "AccessDenied"


@pytest.mark.parametrize(
    "text", ["", "403 Forbidden", "{}", "[1, 2]", "{'code': 403}", "{" * 1000 + "}" * 1000, "Access denied"]
)
def test_what_is_not_an_answer_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="has no <Error> element"):
        read_answer(text)


def test_a_format_string_that_does_not_fit_its_hash_is_not_put_together() -> None:
    lost = printed_by_ios({**FIELDS, "FormatString": "put\n/another"})
    assert read_answer(lost).format_string is None


def test_the_services_time() -> None:
    for text, expected in (
        (answer("AccessDenied", more="<ServerTime>2020-06-17T05:37:29Z</ServerTime>"), 1592372249),
        (answer("AccessDenied", more="<ServerTime>nonsense</ServerTime>"), None),
        ("<Error><Code>AccessDenied</Code><RequestId>NjM0ZjhmZThfNDgzNjQwMGJfMTMwZWFfNDhmODEyZg==</RequestId></Error>", 0x634F8FE8),
        (answer("AccessDenied", "You post object request has been expired, expiration time: 1621188104 but the time now : 1621245817"), 1621245817),
    ):  # fmt: skip
        assert read_answer(text).server_time == expected


# --- What it means


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_a_right_signature_and_any_answer(code: str) -> None:
    """The text never ends with "right": it says what the answer means."""
    explanation = found(URL, error=answer(code))
    text = str(explanation)
    assert "The signature is right, and it is valid now." not in text
    assert explanation.codes
    if code == "SignatureDoesNotMatch":
        assert not explanation.holds
        return
    meaning = MEANINGS[code]
    assert explanation.codes[0] == meaning.cause
    assert explanation.findings[0].sureness == "service"
    assert code in text
    assert meaning.text in text
    assert explanation.holds == (meaning.stage == "after" and meaning.cause != "bucket-in-path")
    assert ("The signature is right" in explanation.findings[0].detail) == (meaning.stage == "after")


def test_a_code_that_is_not_documented() -> None:
    explanation = found(URL, error=answer("SomethingNew"))
    assert explanation.holds
    assert "'SomethingNew', which is not a code that COS documents" in str(explanation)
    assert "for a reason that is not known" in str(explanation)


def test_a_wrong_signature_and_an_answer_that_took_it() -> None:
    explanation = found(URL.replace("a.jpg", "b.jpg"), error=answer("NoSuchKey"))
    assert explanation.codes == ("no-such-key",)
    assert not explanation.holds
    assert {finding.sureness for finding in explanation.others} == {"possible"}


@pytest.mark.parametrize(
    "code,message,hours,said",
    [
        ("RequestTimeTooSkewed", "x", 2, "this machine's clock is 2 h slow"),
        ("RequestTimeTooSkewed", "x", -2, "this machine's clock is 2 h fast"),
        ("AccessDenied", "Request has expired", 3, "KeyTime had ended"),
        ("AccessDenied", "Request has expired.", -1, "the signer's clock was fast"),
    ],
)
def test_how_far_a_clock_is_off(code: str, message: str, hours: int, said: str) -> None:
    clock = Answer(code, message, server_time=NOW + hours * 3600)
    stamp = xml_time(clock.server_time or 0)
    explanation = found(URL, error=answer(code, message, f"<ServerTime>{stamp}</ServerTime>"))
    assert not explanation.holds
    assert said in explanation.findings[0].detail


def xml_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_hints_that_fit_the_request() -> None:
    twice = SIGNER.presign("a%20b.jpg", key_time=TIMES)
    assert "percent-encoded twice?" in str(found(twice, error=answer("NoSuchKey")))
    assert "percent-encoded twice?" not in str(found(URL, error=answer("NoSuchKey")))
    assert "hotlink protection" in str(
        found(URL, error=answer("AccessDenied", "You are denied by bucket referer rule"))
    )
    bare = found(SIGNER.object_url("a"), headers={"Accept": "*/*"}, error=answer("AccessDenied"))
    assert bare.codes == ("no-signature", "access-denied")
    assert "Without a signature" in str(bare)


# --- Forms with a policy

RIGHT_POLICY = (
    f'{{"expiration":"{END}","conditions":[["starts-with","$key","up/"],["content-length-range",1,5],{OWN}]}}'
)
RIGHT_FORM = policy_form(RIGHT_POLICY, [("key", "up/a.png")])


def test_only_what_was_computed_is_counted() -> None:
    """A form without a key at hand needs no signature; every key that is tried counts."""
    assert explain(RIGHT_FORM).tried == 0
    assert found(RIGHT_FORM).tried == 1
    url = Signer(Credentials("AKIDa", "right-key"), bucket="b-1250000000", region="ap-beijing").presign("a.txt")
    wrong_keys = [Credentials("AKIDa", f"wrong-key-{number}") for number in range(2)]
    one, two = explain(url, credentials=wrong_keys[:1]), explain(url, credentials=wrong_keys)
    assert two.tried == 2 * one.tried > 0


def test_a_right_form_with_a_policy() -> None:
    explanation = found(RIGHT_FORM)
    assert explanation.holds, str(explanation)
    assert explanation.method == "POST"
    own = SIGNER.post_policy(key_prefix="up/", size=(1, 5))
    explanation = SIGNER.explain(form([("key", "up/b.png"), *own.fields.items()]))
    assert explanation.holds, str(explanation)


@pytest.mark.parametrize(
    "text,codes,sureness",
    [
        (policy_form(RIGHT_POLICY, [("key", "down/a.png")]), ("policy-condition",), "evident"),
        (policy_form(RIGHT_POLICY.replace('1,5', '9,10'), [("key", "up/a.png")]), ("policy-condition",), "evident"),
        (policy_form("no JSON", [("key", "up/a.png")]), ("policy-form",), "evident"),
        (re.sub(r'q-ak"\r\n\r\n', 'q-ak"\r\n\r\nx', RIGHT_FORM), ("unknown-secret-id", "policy-condition"), "evident"),
        (RIGHT_FORM.replace("q-signature", "q-other"), ("field-missing",), "evident"),
    ],
)  # fmt: skip
def test_forms_that_are_wrong(text: str, codes: tuple[str, ...], sureness: str) -> None:
    explanation = found(text)
    assert explanation.codes == codes
    assert {finding.sureness for finding in explanation.findings} == {sureness}
    assert not explanation.holds


def test_a_policy_that_was_signed_otherwise() -> None:
    """The text in base64 was signed; or something that nobody knows."""
    fields = SIGNER.post_policy(key_prefix="up/").fields
    sign_key = CREDENTIALS.sign_key(fields["q-key-time"])
    other = sign_key.sign(hashlib.sha1(fields["policy"].encode()).hexdigest().encode())
    explanation = SIGNER.explain(form([("key", "up/b.png"), *{**fields, "q-signature": other}.items()]))
    assert [(each.cause.code, each.sureness) for each in explanation.findings] == [("policy-form", "confirmed")]
    explanation = SIGNER.explain(form([("key", "up/b.png"), *{**fields, "q-signature": "0" * 40}.items()]))
    assert explanation.codes == ("policy-form", "wrong-secret-key")
    assert {each.sureness for each in explanation.findings} == {"possible"}
    for shown in (str(explanation), explanation.html(), json.dumps(explanation.json())):
        assert not re.search(r"Signature[^}]{0,80}[0-9a-f]{40}", shown)


def test_a_form_by_curl_and_from_a_browser() -> None:
    fields = {"key": "up/a.png", **SIGNER.post_policy(key_prefix="up/", fields={"acl": "private"}).fields}
    words = " ".join(f"-F '{name}={value}'" for name, value in fields.items())
    assert SIGNER.explain(f"curl https://{HOSTS[0][1]}/ {words} -F file=@a.png").holds
    params = [{"name": name, "value": value} for name, value in fields.items()]
    data = {"mimeType": "multipart/form-data; boundary=y", "params": [*params, {"name": "file", "fileName": "a.png"}]}
    entry = {"request": {"method": "POST", "url": f"https://{HOSTS[0][1]}/", "headers": [], "postData": data}}
    assert SIGNER.explain(json.dumps(entry)).holds
    body = form(list(fields.items())).partition("\r\n\r\n")[2]
    quoted = body.replace("\\", "\\\\").replace("'", "\\'").replace("\r\n", "\\r\\n")
    copied = f"curl 'https://{HOSTS[0][1]}/' -H 'Content-Type: multipart/form-data; boundary=x' --data-raw $'{quoted}'"
    assert SIGNER.explain(copied).holds


@pytest.mark.parametrize(
    "text,code",
    [
        ("GET https://h/docs/NoSuchKey.html 403 SignatureDoesNotMatch", "SignatureDoesNotMatch"),
        ("<Error><Resource>/NoSuchKey</Resource><Code>SignatureDoesNotMatch</Code><Mess", "SignatureDoesNotMatch"),
        ("Redirect policy: none. status 403 code=SignatureDoesNotMatch", "SignatureDoesNotMatch"),
        ("Redirect policy: none. NoSuchKey", "NoSuchKey"),
        ("logger InternalError: x (Status Code: 403; Error Code: AccessDenied; Request ID: X)", "AccessDenied"),
    ],
)
def test_a_code_amid_other_words(text: str, code: str) -> None:
    assert read_answer(text).code == code


def test_several_codes_are_refused() -> None:
    with pytest.raises(ParameterError, match="names 2 codes: NoSuchKey, NoSuchBucket"):
        read_answer("NoSuchKey or NoSuchBucket")


def test_a_format_string_that_was_changed_is_not_believed() -> None:
    for changed in (
        XML.replace("a b", "a  b"), XML.replace("content-type", "content..."), XML.replace("&amp;", "&amp;amp;x"),
    ):  # fmt: skip
        assert read_answer(changed).format_string is None
    assert read_answer(XML.replace("&amp;", "&amp;amp;")).format_string == READ.format_string
    in_cdata = re.sub(
        r"<FormatString>.*?</FormatString>",
        lambda _: f"<FormatString><![CDATA[{READ.format_string}]]></FormatString>",
        XML,
        flags=re.S,
    )
    assert read_answer(in_cdata).format_string == READ.format_string


def test_an_answer_of_an_earlier_attempt_proves_nothing() -> None:
    times = f"{TIMES[0]};{TIMES[1]}"
    same = mismatch("get", "/photos/a.jpg", [], HOSTS)
    assert found(URL, error=same).findings[0].sureness == "service"
    assert found(URL, error=same.replace(times, "1740000000;1740000900")).findings[0].sureness == "possible"


def test_a_proof_stays_when_the_time_is_over() -> None:
    explanation = explain(
        URL, credentials=[CREDENTIALS], now=NOW + 86400, error=mismatch("get", "/photos/a.jpg", [], HOSTS)
    )
    assert [(each.cause.code, each.sureness) for each in explanation.findings] == [
        ("expired", "evident"), ("wrong-secret-key", "service"),
    ]  # fmt: skip


def test_a_certificate_that_has_expired_is_not_a_signature_that_has() -> None:
    explanation = found(URL, error=answer("AccessDenied", "The certificate of your custom domain has expired."))
    assert (explanation.holds, explanation.codes) == (True, ("access-denied",))


@pytest.mark.parametrize(
    "policy",
    [
        f'{{"expiration":"0001-01-01T00:00:00+14:00","conditions":[{OWN}]}}',
        f'{{"expiration":"9999-12-31T23:59:59-14:00","conditions":[{OWN}]}}',
        f'{{"expiration":"{END}","conditions":[["content-length-range","{"1" * 5000}","2"],{OWN}]}}',
    ],
)
def test_policies_that_no_calendar_and_no_number_holds(policy: str) -> None:
    text = policy_form(policy, [("key", "up/a.png")])
    assert found(text).codes == ("policy-form",)


def test_forms_of_other_shapes() -> None:
    """Two keys; another algorithm; a policy without its own conditions; what COS does not read."""
    fields = [("key", "up/a.png"), ("key", "up/b.png")]
    assert "signed-twice" in found(policy_form(RIGHT_POLICY, fields)).codes
    assert "algorithm" in found(RIGHT_FORM.replace("\r\n\r\nsha1\r\n", "\r\n\r\nmd5\r\n")).codes
    bare = policy_form(f'{{"expiration":"{END}","conditions":[["starts-with","$key","up/"]]}}', fields[:1])
    assert found(bare).codes == ("policy-form",) * 3
    behind = RIGHT_FORM.replace("--x--", '--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nother\r\n--x--')
    assert found(behind).holds
    refused = found(RIGHT_FORM, error=answer("SignatureDoesNotMatch"))
    assert (refused.holds, refused.codes) == (False, ("wrong-secret-key",))


@pytest.mark.filterwarnings("ignore::cossign.CredentialsWarning")
def test_a_form_of_temporary_credentials_without_their_token() -> None:
    """As for any other request: with the token at hand, or by the length of the SecretId alone."""
    known = Credentials(SECRET_ID, KEYS[SECRET_ID], "t0ken")
    explanation = explain(RIGHT_FORM, credentials=[known], now=NOW)
    assert (explanation.holds, explanation.codes) == (False, ("token-missing",))
    long_id = TEMPORARY_ID
    signer = Signer(Credentials(long_id, "key", "t0ken"), bucket=BUCKET, region=REGION)
    fields = signer.post_policy(key_prefix="up/").fields
    bare = [("key", "up/a.png"), *((name, value) for name, value in fields.items() if name != "x-cos-security-token")]
    explanation = explain(form(bare), credentials=[Credentials(long_id, "key")])
    assert (explanation.holds, explanation.codes) == (False, ("token-missing",))
    assert explanation.findings[0].sureness == "possible"


def test_a_form_whose_time_is_over_and_one_of_an_empty_file() -> None:
    assert explain(RIGHT_FORM, credentials=[CREDENTIALS], now=NOW + 10**6).codes == ("expired",)
    assert explain(RIGHT_FORM, credentials=[CREDENTIALS], now=NOW - 10**6).codes == ("not-yet-valid",)
    assert found(RIGHT_FORM.replace("\r\nPNG\r\n", "\r\n\r\n")).holds  # a browser does not copy the file's bytes


def test_an_answer_shows_what_was_only_possible() -> None:
    """A bare URL's dot segments may be removed on the way; the answer shows that they were."""
    url = SIGNER.replace(strict=False).presign("a/./b.jpg", key_time=TIMES)
    assert [(each.cause.code, each.sureness) for each in found(url).findings] == [("dot-segments", "possible")]
    shown = found(url, error=mismatch("get", "/a/b.jpg", [], HOSTS))
    assert [(each.cause.code, each.sureness) for each in shown.findings] == [("dot-segments", "service")]

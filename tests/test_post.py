"""post_policy and verify_post: the page's worked example, the algorithm in plain Python, and every change refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
import time
from typing import Any

import pytest
import requests
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from cossign import (
    BadSignature,
    Credentials,
    KeyNameError,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    SignatureRefused,
    SignatureRevoked,
    Signer,
    UnknownSecretId,
)
from tests.conftest import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY
from tests.cos_server import running
from tests.waiting import PATIENCE

# Page 14690, "Signature protection use cases".
PAGE_POLICY = """\
{
    "expiration": "2019-08-30T09:38:12.414Z",
    "conditions": [
        { "acl": "default" },
        { "bucket": "examplebucket-1250000000" },
        [ "starts-with", "$key", "folder/subfolder/" ],
        [ "starts-with", "$Content-Type", "image/" ],
        [ "starts-with", "$success_action_redirect", "https://my.website/" ],
        [ "eq", "$x-cos-server-side-encryption", "AES256" ],
        { "q-sign-algorithm": "sha1" },
        { "q-ak": "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q" },
        { "q-sign-time": "1567150692;1567157892" }
    ]
}"""
PAGE_FORM = {
    "key": "folder/subfolder/a.png",
    "acl": "default",
    "Content-Type": "image/png",
    "success_action_redirect": "https://my.website/done",
    "x-cos-server-side-encryption": "AES256",
    "policy": base64.b64encode(PAGE_POLICY.encode()).decode(),
    "q-sign-algorithm": "sha1",
    "q-ak": SECRET_ID,
    "q-key-time": "1567150692;1567157892",
    "q-signature": "7758dc9a832e9d301dca704cacbf9d9f8172fdef",
}
THEN = 1_567_151_000


def by_the_page(secret_key: str, key_time: str, policy: bytes) -> dict[str, str]:
    """Steps 4 to 6 of the page."""
    sign_key = hmac.new(secret_key.encode(), key_time.encode(), "sha1").hexdigest()
    string_to_sign = hashlib.sha1(policy).hexdigest()
    signature = hmac.new(sign_key.encode(), string_to_sign.encode(), "sha1").hexdigest()
    return {"SignKey": sign_key, "StringToSign": string_to_sign, "Signature": signature}


def test_the_page_s_example(signer: Signer) -> None:
    assert by_the_page(SECRET_KEY, PAGE_FORM["q-key-time"], PAGE_POLICY.encode()) == {
        "SignKey": "39acc8c9f34ba5b19bce4e965b370cd3f62d2fba",
        "StringToSign": "d5d903b8360468bc81c1311f134989bc8c8b5b89",
        "Signature": PAGE_FORM["q-signature"],
    }
    with time_machine.travel(THEN, tick=False):
        verified = signer.verify_post(PAGE_FORM)
    assert (verified.secret_id, verified.key) == (SECRET_ID, "folder/subfolder/a.png")
    assert verified.key_time == (1_567_150_692, 1_567_157_892)
    assert verified.signature == PAGE_FORM["q-signature"]
    assert verified.unsigned_fields == ()
    assert verified.policy == PAGE_POLICY
    assert verified.conditions[:3] == [
        ("eq", "acl", "default"),
        ("eq", "bucket", BUCKET),
        ("starts-with", "key", "folder/subfolder/"),
    ]
    assert repr(verified).startswith(f"VerifiedPost(secret_id='{SECRET_ID}', key='folder/subfolder/a.png'")


@pytest.mark.parametrize(
    "field, value, kind, said",
    [
        ("key", "folder/other/a.png", SignatureMismatch, "'key' does not begin"), ("acl", "public-read", SignatureMismatch, "'acl' does not have the value"), ("acl", None, SignatureMismatch, "'acl' is missing"),
        ("Content-Type", "text/html", SignatureMismatch, "'Content-Type' does not begin"), ("success_action_redirect", "https://evil/", SignatureMismatch, "success_action_redirect"),
        ("x-cos-server-side-encryption", "aes256", SignatureMismatch, "x-cos-server-side-encryption"), ("key", None, MalformedSignature, "'key' is missing"),
        ("policy", None, MalformedSignature, "'policy' is missing"), ("policy", base64.b64encode(PAGE_POLICY.replace("default", "public").encode()).decode(), SignatureMismatch, "signature is not that of this policy"),
        ("policy", PAGE_FORM["policy"] + "!", MalformedSignature, "base64"), ("policy", base64.b64encode(b"{").decode(), MalformedSignature, "JSON"), ("policy", base64.b64encode(b"[" * 20_000).decode(), MalformedSignature, "JSON"),
        ("policy", base64.b64encode(b"[]").decode(), MalformedSignature, "expiration and conditions"), ("policy", base64.b64encode(b"\xff").decode(), MalformedSignature, "UTF-8"),
        ("policy", base64.b64encode(b'{"expiration": "soon", "conditions": []}').decode(), MalformedSignature, "expiration must be a time"),
        ("q-sign-algorithm", "md5", MalformedSignature, "q-sign-algorithm"), ("q-ak", "AKIDother", UnknownSecretId, "AKIDother"), ("q-ak", None, MalformedSignature, "q-ak"),
        ("q-key-time", "1567150692;1567157893", SignatureMismatch, "signature"), ("q-key-time", "1;x", MalformedSignature, "Unix seconds"), ("q-key-time", "2;1", MalformedSignature, "ends before"),
        ("q-signature", "7758dc9a832e9d301dca704cacbf9d9f8172fdee", SignatureMismatch, "signature"), ("q-signature", "", SignatureMismatch, "signature"), ("q-signature", "é\ud800", SignatureMismatch, "signature"),
        ("KEY", "x", MalformedSignature, "twice"), ("key", 5, ParameterError, "must be a str"),
    ],
)  # fmt: skip
def test_every_change_is_refused(signer: Signer, field: str, value: Any, kind: type[Exception], said: str) -> None:
    form = {name: each for name, each in {**PAGE_FORM, field: value}.items() if each is not None}
    with time_machine.travel(THEN, tick=False), pytest.raises(kind, match=said) as caught:
        signer.verify_post(form)
    if isinstance(caught.value, SignatureMismatch):
        assert caught.value.key_time is not None
        assert caught.value.string_to_sign is not None
        assert pickle.loads(pickle.dumps(caught.value)).key_time == caught.value.key_time
    assert PAGE_FORM["q-signature"] not in str(caught.value)


def test_another_bucket_and_none(credentials: Credentials) -> None:
    with time_machine.travel(THEN, tick=False):
        with pytest.raises(SignatureMismatch, match="'bucket' does not have the value"):
            Signer(credentials, bucket="other-1250000000", region=REGION).verify_post(PAGE_FORM)
        assert Signer(credentials).verify_post(PAGE_FORM).key == PAGE_FORM["key"]


def test_time(signer: Signer) -> None:
    for now, kind in ((1_567_150_691, SignatureNotYetValid), (1_567_157_893, SignatureExpired)):
        with time_machine.travel(now, tick=False):
            with pytest.raises(kind):
                signer.verify_post(PAGE_FORM)
            assert signer.verify_post(PAGE_FORM, skew=1).key
    # The policy's own end counts, too.
    policy = PAGE_POLICY.replace("09:38:12", "08:00:00").encode()
    signature = by_the_page(SECRET_KEY, PAGE_FORM["q-key-time"], policy)["Signature"]
    form = {**PAGE_FORM, "policy": base64.b64encode(policy).decode(), "q-signature": signature}
    with time_machine.travel(THEN, tick=False):
        assert signer.verify_post(form).key_time == (1_567_150_692, 1_567_152_000)
    with time_machine.travel(1_567_152_001, tick=False), pytest.raises(SignatureExpired, match="1567152000"):
        signer.verify_post(form)


def test_an_end_without_a_zone_is_utc(signer: Signer) -> None:
    policy = PAGE_POLICY.replace("09:38:12.414Z", "08:00:00").encode()
    signature = by_the_page(SECRET_KEY, PAGE_FORM["q-key-time"], policy)["Signature"]
    form = {**PAGE_FORM, "policy": base64.b64encode(policy).decode(), "q-signature": signature}
    with time_machine.travel(THEN, tick=False):
        assert signer.verify_post(form).key_time[1] == 1_567_152_000


def signed(conditions: list[Any], **form: str) -> dict[str, str]:
    """A form of which the page's algorithm makes the signature."""
    key_time = f"{int(time.time()) - 10};{int(time.time()) + 600}"
    own = [{"q-sign-algorithm": "sha1"}, {"q-ak": SECRET_ID}, {"q-sign-time": key_time}]
    policy = json.dumps({"expiration": "2099-01-01T00:00:00Z", "conditions": [*own, *conditions]}).encode()
    return {
        "key": "k", **form, "policy": base64.b64encode(policy).decode(), "q-sign-algorithm": "sha1", "q-ak": SECRET_ID,
        "q-key-time": key_time, "q-signature": by_the_page(SECRET_KEY, key_time, policy)["Signature"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "condition", [5, [], {}, ["eq", "key", "k"], ["eq", "$", "k"], ["eq", "$key"], ["like", "$key", "k"], {"key": None}, {"key": ["k"]}, {"key": True}, ["content-length-range", 1, "x"], ["content-length-range", True, 2], ["eq", 5, "k"]],
)  # fmt: skip
def test_conditions_that_are_none(signer: Signer, condition: Any) -> None:
    with pytest.raises(MalformedSignature, match="policy"):
        signer.verify_post(signed([condition]))


def test_conditions_as_others_write_them(signer: Signer) -> None:
    form = signed(
        [
            {"key": "k", "acl": "private"},
            {"success_action_status": 200},
            ["content-length-range", "1", "9"],
            ["eq", "$KEY", "k"],
        ],
        acl="private",
        success_action_status="200",
    )
    assert (
        signer.verify_post({name.upper() if name == "acl" else name: value for name, value in form.items()}, size=9).key
        == "k"
    )
    for size in (0, 10):
        with pytest.raises(SignatureMismatch, match=f"the file has {size} bytes, and the policy allows 1 to 9"):
            signer.verify_post(form, size=size)
    with pytest.raises(ParameterError, match="size must be the file's size"):
        signer.verify_post(form)


@pytest.mark.parametrize("name", ["q-sign-algorithm", "q-ak", "q-sign-time"])
def test_a_policy_without_its_own_fields(signer: Signer, name: str) -> None:
    policy = json.loads(base64.b64decode(signed([])["policy"]))
    form = signed([])
    for kept in (
        [each for each in policy["conditions"] if name not in each],
        [{name: "other"} if name in each else each for each in policy["conditions"]],
    ):
        text = json.dumps({**policy, "conditions": kept}).encode()
        changed = {
            **form,
            "policy": base64.b64encode(text).decode(),
            "q-signature": by_the_page(SECRET_KEY, form["q-key-time"], text)["Signature"],
        }
        with pytest.raises(BadSignature, match=name):
            signer.verify_post(changed)


def test_the_wildcard_is_the_file_s_name(signer: Signer) -> None:
    form = signer.post_policy("avatars/${filename}")
    assert signer.verify_post(form.fields, filename="me.png").key == "avatars/me.png"
    with pytest.raises(ParameterError, match="filename must be the name of the file"):
        signer.verify_post(form.fields)
    assert json.loads(form.policy)["conditions"][1] == ["starts-with", "$key", "avatars/"]


def test_unsigned_fields_are_told(signer: Signer) -> None:
    form = signer.post_policy("k", fields={"acl": "private"})
    assert signer.verify_post({**form.fields, "Cache-Control": "no-cache", "file": "x"}).unsigned_fields == (
        "Cache-Control",
    )


# --- What post_policy makes


def test_a_form_is_what_the_page_s_algorithm_makes(credentials: Credentials) -> None:
    token = Credentials(SECRET_ID, SECRET_KEY, "hidden")
    signer = Signer(token, bucket=BUCKET, region=REGION)
    form = signer.post_policy(
        key_prefix="folder/", size=(1, 1000), fields={"acl": "private", "success_action_status": 200},
        starts_with={"Content-Type": "image/", "x-cos-meta-any": ""}, key_time=(1_567_150_692, 1_567_157_892),
    )  # fmt: skip
    assert form.url == f"https://{HOST}/"
    assert json.loads(form.policy) == {
        "expiration": "2019-08-30T09:38:12.000Z",
        "conditions": [
            {"bucket": BUCKET}, ["starts-with", "$key", "folder/"], ["content-length-range", 1, 1000],
            {"acl": "private"}, {"success_action_status": "200"}, ["starts-with", "$Content-Type", "image/"], ["starts-with", "$x-cos-meta-any", ""],
            {"q-sign-algorithm": "sha1"}, {"q-ak": SECRET_ID}, {"q-sign-time": "1567150692;1567157892"},
        ],
    }  # fmt: skip
    assert base64.b64decode(form.fields["policy"]).decode() == form.policy
    assert form.fields == {
        "acl": "private", "success_action_status": "200", "policy": form.fields["policy"], "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID, "q-key-time": "1567150692;1567157892", "x-cos-security-token": "hidden",
        "q-signature": by_the_page(SECRET_KEY, "1567150692;1567157892", form.policy.encode())["Signature"],
    }  # fmt: skip
    assert "hidden" not in repr(form)
    filled = {**form.fields, "key": "folder/a", "Content-Type": "image/png", "x-cos-meta-any": "x"}
    with time_machine.travel(THEN, tick=False):
        assert signer.verify_post(filled, size=10).unsigned_fields == ()
        with pytest.raises(SignatureMismatch, match="token"):
            signer.verify_post({**filled, "x-cos-security-token": "other"}, size=10)
        with pytest.raises(SignatureMismatch, match="'x-cos-meta-any' is missing"):
            signer.verify_post({name: each for name, each in filled.items() if name != "x-cos-meta-any"}, size=10)
    assert Signer(credentials, bucket=BUCKET, region=REGION).post_policy("k").fields["key"] == "k"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    TEXT.filter(lambda text: "${" not in text),
    TEXT,
    st.dictionaries(st.sampled_from(["acl", "Content-Type", "x-cos-meta-é", "Expires"]), TEXT),
    TEXT,
)
def test_what_is_made_is_accepted_and_nothing_else(key: str, value: str, fields: dict[str, str], other: str) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, strict=False)
    form = signer.post_policy(key, fields=fields, starts_with={"x-cos-meta-z": value})
    filled = {**form.fields, "x-cos-meta-z": value + other}
    assert signer.verify_post(filled).key == key
    for name in (*fields, "key"):
        with pytest.raises(SignatureMismatch):
            signer.verify_post({**filled, name: form.fields[name] + "x"})
    if value:
        with pytest.raises(SignatureMismatch):
            signer.verify_post({**filled, "x-cos-meta-z": value[:-1]})


@pytest.mark.parametrize(
    "named, said",
    [
        ({}, "missing param key"), ({"key": "a", "key_prefix": "b"}, "key_prefix"), ({"key_prefix": 5}, "key_prefix"), ({"key": "k", "size": 5}, "size"), ({"key": "k", "size": (2, 1)}, "size"), ({"key": "k", "size": (True, 1)}, "size"),
        ({"key": "k", "fields": {"policy": "x"}}, r"fields\['policy'\]"), ({"key": "k", "fields": {"Q-AK": "x"}}, "Q-AK"), ({"key": "k", "fields": {"key": "x"}}, "twice"), ({"key": "k", "fields": {"a": "x"}, "starts_with": {"A": ""}}, "twice"),
        ({"key": "k", "starts_with": {"bucket": ""}}, "bucket"), ({"key": "k", "fields": {"a": None}}, r"fields\['a'\]"), ({"key": "k", "fields": {"a": True}}, r"fields\['a'\]"), ({"key": "k", "fields": {5: "a"}}, "fields"), ({"key": "k", "fields": "a"}, "fields"),
        ({"key": "k", "fields": {"a": "\ud800"}}, "Unicode"), ({"key": "k", "expires": 0}, "expires"), ({"key": "/k"}, "key"),
    ],
)  # fmt: skip
def test_parameters_are_checked(signer: Signer, named: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        signer.post_policy(**named)


def test_terms(signer: Signer) -> None:
    form = signer.post_policy("k", expires=1000).fields
    assert signer.verify_post(form, max_expires=1000)
    with pytest.raises(SignatureRefused, match="valid for 1000 s; the limit is 999 s"):
        signer.verify_post(form, max_expires=999)
    for revoked in ({SECRET_ID}, [form["q-signature"]], lambda verified: verified.key == "k"):
        with pytest.raises(SignatureRevoked, match="revoked"):
            signer.verify_post(form, revoked=revoked)
    with pytest.raises(KeyNameError):
        signer.post_policy("a/../b")


def test_the_sdk_s_own_form_is_for_verify(signer: Signer) -> None:
    with pytest.raises(MalformedSignature, match=r"pass the Signature to verify\(\) as Authorization of POST /"):
        signer.verify_post({"key": "k", "Signature": "q-sign-algorithm=sha1"})


def test_a_real_upload(signer: Signer) -> None:
    """A form as requests sends it, read by a real server: its fields verify, and stand before the file."""
    import email

    with running(list) as server:
        server.judges = False
        local = Signer(Credentials(SECRET_ID, SECRET_KEY, "tok"), bucket=BUCKET, region=REGION, domain=server.url)
        form = local.post_policy("up/${filename}", size=(1, 100), fields={"Content-Type": "text/plain"})
        assert (
            requests.post(form.url, data=form.fields, files={"file": ("a.txt", b"hello")}, timeout=PATIENCE).status_code
            == 200
        )
        [arrived] = server.requests
    assert arrived.target == b"/"
    head = f"Content-Type: {arrived.header('Content-Type')}\r\n\r\n".encode()
    parts: Any = email.message_from_bytes(head + arrived.body).get_payload()
    names = [part.get_param("name", header="Content-Disposition") for part in parts]
    assert names[-1] == "file"
    content = parts[-1].get_payload(decode=True)
    fields = {name: part.get_payload() for name, part in zip(names[:-1], parts[:-1], strict=True)}
    verified = local.verify_post(fields, size=len(content), filename=parts[-1].get_filename())
    assert (verified.key, content) == ("up/a.txt", b"hello")

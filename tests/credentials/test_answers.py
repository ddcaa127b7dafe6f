"""The reader of answers: what STS, its SDKs, the JavaScript SDKs' callbacks and the metadata service give."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sts.sts
import trustme

from cossign import Credentials, CredentialsError, RefreshingCredentials
from cossign.credentials.answers import RefusedAnswer, read_answer
from cossign.credentials.policy import sts_policy
from tests.credentials.test_services import IN_2100, Answer, role, serving, sts_answer
from tests.waiting import PATIENCE

END = "2100-01-01T00:00:00Z"
SECRETS = ("AKIDtmp", "hidden", "hidden2")
WHERE = ("examplebucket-1250000000", "ap-beijing")
NODE_MODULES = Path(__file__).parent.parent / "oracles" / "node_modules"


def read(answer: Any) -> tuple[Any, ...]:
    made = read_answer(answer)
    assert RefreshingCredentials(lambda: answer).get().secret_id == made.secret_id
    return made.secret_id, made.secret_key, made.token, made.expires_at


PLAIN = {"TmpSecretId": "AKIDtmp", "TmpSecretKey": "hidden", "ExpiredTime": IN_2100}
LOWER = {"tmpSecretId": "AKIDtmp", "tmpSecretKey": "hidden", "sessionToken": "hidden2"}


@pytest.mark.parametrize(
    "answer",
    [
        json.loads(sts_answer(ExpiredTime=IN_2100)),  # STS itself, and what is within its Response
        json.loads(sts_answer(ExpiredTime=IN_2100))["Response"],
        sts_answer(ExpiredTime=IN_2100),
        sts_answer(ExpiredTime=IN_2100).decode(),
        # the STS SDKs for Go and Java, by their structs' fields
        {"Credentials": {**PLAIN, "Token": "hidden2"}, "ExpiredTime": IN_2100, "Expiration": END, "StartTime": 5, "RequestId": "r"},
        {"credentials": {**LOWER, "token": "hidden2"}, "expiredTime": IN_2100, "expiration": END, "startTime": 5},
        # the callbacks of the JavaScript SDKs: getAuthorization, and the names of versions before it
        {**PLAIN, "SecurityToken": "hidden2", "StartTime": 5, "ScopeLimit": True}, {**PLAIN, "XCosSecurityToken": "hidden2"}, {**PLAIN, "SessionToken": "hidden2"},
        {"tmp_secret_id": "AKIDtmp", "tmp_secret_key": "hidden", "session_token": "hidden2", "expired_time": IN_2100},
        {**role(), "TmpSecretId": "AKIDtmp"},  # the metadata service
        {**LOWER, "expiredTime": str(IN_2100)},
        {"SecretId": "AKIDtmp", "SecretKey": "hidden", "SecurityToken": "hidden2", "ExpiredTime": IN_2100},  # getSTS
        {"code": 0, "message": "ok", "data": {"credentials": LOWER, "expiredTime": IN_2100}},  # many servers of one's own
        {"code": 200, "data": {**PLAIN, "Token": "hidden2"}},
    ],
)  # fmt: skip
def test_answers_of_every_origin(answer: Any) -> None:
    assert read(answer) == (*SECRETS, IN_2100)


def test_the_answer_of_the_official_sdk_for_python() -> None:
    with serving(lambda *_: (200, sts_answer(), {"Content-Type": "application/json"})) as url:
        config = {
            "url": f"{url}/", "secret_id": "AKIDlong", "secret_key": "k", "duration_seconds": 1800,
            "bucket": WHERE[0], "region": WHERE[1], "allow_prefix": ["*"], "allow_actions": ["name/cos:GetObject"],
        }  # fmt: skip
        answers = [sts.sts.Sts(config).get_credential(), sts.sts.Sts(config).get_role_credential("qcs::cam::uin/1:r")]
    for answer in answers:
        assert "sessionToken" in answer["credentials"]
        assert read(answer) == (*SECRETS, IN_2100)


def test_the_answer_of_the_official_sdk_for_node(tmp_path: Path) -> None:
    if shutil.which("node") is None or not (NODE_MODULES / "qcloud-cos-sts").exists():
        assert not os.environ.get("CI"), "qcloud-cos-sts is not installed"
        pytest.skip("qcloud-cos-sts is not installed: make oracles")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(lambda *_: (200, sts_answer(), {"Content-Type": "application/json"}), authority) as url:
        code = (
            f"require({str(NODE_MODULES / 'qcloud-cos-sts')!r}).getCredential({{secretId: 'A', secretKey: 'k', policy: {{}}, "
            f"host: {url.removeprefix('https://')!r}}}, (error, data) => console.log(JSON.stringify(error || data)))"
        )
        done = subprocess.run(
            ["node", "-e", code], capture_output=True, text=True, check=True, timeout=PATIENCE,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")},
        )  # fmt: skip
    assert read(done.stdout) == (*SECRETS, IN_2100)


@pytest.mark.parametrize(
    "value, seconds",
    [
        (IN_2100, IN_2100), (IN_2100 * 1000, IN_2100), (str(IN_2100 * 1000), IN_2100), (4.1e9, 4.1e9), (f"{IN_2100}.5", IN_2100 + 0.5),
        (END, IN_2100), ("2100-01-01T08:00:00+08:00", IN_2100), ("9999-12-31T23:59:59Z", 253402300799), ("2100-01-01T00:00:00.5Z", IN_2100 + 0.5), ("2100-01-01T00:00:00.123456789Z", IN_2100 + 0.123456),
    ],
)  # fmt: skip
def test_times_in_seconds_milliseconds_and_iso(value: Any, seconds: float) -> None:
    for name in ("ExpiredTime", "Expiration"):
        assert read({**LOWER, name: value})[3] == seconds
    made = Credentials("AKIDtmp", "hidden", "hidden2", value)
    assert made.expires_at == seconds
    assert type(made.expires_at) in (int, float)


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "20261125",
        "2100-01-01",
        "2100-01-01T00:00:00",
        float("nan"),
        True,
        [],
        IN_2100 * 10**6,
        -(10**15),
        "1" * 30,
    ],
)
def test_times_that_are_none(value: Any) -> None:
    with pytest.raises(CredentialsError, match=r"expires_at must be (a time|in Unix seconds)"):
        Credentials("AKIDtmp", "hidden", "hidden2", value)
    with pytest.raises(CredentialsError, match="ExpiredTime"):
        read_answer({**LOWER, "expiredTime": value})


@pytest.mark.parametrize(
    "answer, said",
    [
        ({**LOWER, "token": "other", "expiredTime": IN_2100}, "two different tokens"),
        ({"credentials": {"tmpSecretId": "A", "tmpSecretKey": "hidden"}, "expiredTime": IN_2100}, "no Token"),
        ({"credentials": {"tmpSecretKey": "hidden"}, "expiredTime": IN_2100}, "no TmpSecretId"), ({"credentials": None}, "no TmpSecretId"),
        ({**LOWER, "tmpSecretKey": '"hidden"', "expiredTime": IN_2100}, "TmpSecretKey begins or ends with a quote"),
        ({**LOWER, "sessionToken": "hidden\n", "expiredTime": IN_2100}, "Token begins or ends with a line break"),
        ({"Code": "Success", "TmpSecretKey": "hidden"}, "no TmpSecretId"),
        ({"code": 0, "message": "hidden"}, "no TmpSecretId"),
        ("{hidden", "text that is not JSON"), (b"\xff", "text that is not JSON"), ("[" * 100_000, "text that is not JSON"), (5, "int"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_named_by_its_field(answer: Any, said: str) -> None:
    from tests.credentials.test_refreshing import shown

    with pytest.raises(CredentialsError, match=said) as caught:
        read_answer(answer)
    assert "hid" not in shown(caught.value)


def test_an_answer_that_is_an_error_says_which() -> None:
    """As STS, and the SDKs for Node and Python, hand it on."""
    error = {"Code": "AuthFailure.SignatureFailure", "Message": "why"}
    for answer in (
        {"Response": {"Error": error, "RequestId": "id"}},
        {**error, "RequestId": "id"},
        {"Error": error, "RequestId": "id"},
    ):
        with pytest.raises(RefusedAnswer, match=r"AuthFailure.SignatureFailure: why \(RequestId id\)"):
            read_answer(answer)
    calls: list[int] = []

    def fetch() -> dict[str, Any]:
        calls.append(1)
        return {"Response": {"Error": error}}

    with pytest.raises(CredentialsError, match="SignatureFailure"):
        RefreshingCredentials(fetch).get()
    assert len(calls) == 1  # asking again changes nothing
    with pytest.raises(CredentialsError, match=r"the answer is an error: 500$") as caught:
        read_answer({"code": 500, "message": {"TmpSecretKey": "hidden"}})
    assert "hidden" not in str(caught.value)
    with pytest.raises(CredentialsError, match="ExpiredTime is not finite"):
        read_answer({**LOWER, "expiredTime": float("inf")})
    with pytest.raises(CredentialsError, match="InternalError") as caught:
        read_answer({"Error": {"Code": "InternalError", "Message": "later"}})
    assert not isinstance(caught.value, RefusedAnswer)


def test_a_policy_reaches_sts_as_the_sdk_sends_it() -> None:
    """The policy of the official SDK for Python, and ours, for the same prefixes and actions."""
    from urllib.parse import parse_qs, unquote

    bodies: list[bytes] = []

    def answer(handler: Any, body: bytes) -> Answer:
        bodies.append(body)
        return 200, sts_answer(), {"Content-Type": "application/json"}

    prefixes, actions = ["a.jpg", "/photos/*", "文档/*"], ["name/cos:PutObject", "name/cos:PostObject"]
    condition = {"ip_equal": {"qcs:ip": ["10.0.0.0/8"]}}
    with serving(answer) as url:
        sts.sts.Sts({
            "url": f"{url}/", "secret_id": "A", "secret_key": "k", "bucket": WHERE[0], "region": WHERE[1],
            "allow_prefix": prefixes, "allow_actions": actions, "condition": condition,
        }).get_credential()  # fmt: skip
    sent = json.loads(unquote(parse_qs(bodies[0].decode())["Policy"][0]))
    assert sts_policy(*WHERE, prefixes, actions, condition=condition) == sent

"""Credentials and EnvironmentCredentials."""

from __future__ import annotations

import gc
import hashlib
import hmac
import os
import pickle
import re
import subprocess
import sys
import traceback
from typing import Any

import pytest
import requests

from cossign import (
    COS,
    CosSignError,
    Credentials,
    CredentialsError,
    CredentialsWarning,
    EnvironmentCredentials,
    ParameterError,
    Signer,
    Verifier,
)
from tests.conftest import BUCKET, REGION


def test_credentials_hold_and_hide() -> None:
    made = Credentials("AKID", "hidden", token="hidden2", expires_at=2_000_000_000)
    assert (made.secret_id, made.secret_key, made.token, made.expires_at) == (
        "AKID",
        "hidden",
        "hidden2",
        2_000_000_000,
    )
    assert made.get() is made
    assert repr(made) == "Credentials(secret_id='AKID', secret_key=<secret>, token=<secret>, expires_at=2000000000)"
    with pytest.raises(TypeError, match="leaked secret"):
        pickle.dumps(made)
    with pytest.raises(AttributeError, match="immutable"):
        made.secret_id = "B"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("", "k"), "secret_id is empty"), (("A", ""), "secret_key is empty"), (("A", "hid den"), "secret_key holds"), (("A", "hidden\n"), "secret_key begins or ends with a line break"),
        (("A b", "k"), "secret_id holds"), ((None, "k"), "secret_id must be a str"), (("A", b"hidden"), "secret_key must be a str"),
        (("A", ' "hidden"'), "secret_key begins or ends with white space"), (("A", '"hidden"'), "secret_key begins or ends with a quote"), (("A", "hidden'"), "secret_key begins or ends with a quote"),
        (("\u201cAKID\u201d", "hidden"), "secret_id begins or ends with a quote"), (("<SecretId>", "hidden"), "secret_id is a placeholder"), (("A", "${HIDDEN}"), "secret_key is a placeholder"),
        (("A", "$hidden"), "placeholder"), (("A", "%HIDDEN%"), "placeholder"), (("A", "$(HIDDEN)"), "placeholder"), (("A", "${{secrets.HIDDEN}}"), "placeholder"), (("A", "%(hidden)s"), "placeholder"), (("A", "#{hidden}"), "placeholder"), (("{SecretId}", "hidden"), "placeholder"),
        (("[SecretId]", "hidden"), "placeholder"), (("__SECRET_ID__", "hidden"), "placeholder"), (("AKID****", "hidden"), "placeholder"), (("A", "null"), "placeholder"), (("None", "hidden"), "placeholder"), (("A", "hidden", "undefined"), "placeholder"), (("A", "{{ hidden }}"), "placeholder"), (("\ufeffAKID", "hidden"), "secret_id begins with a byte order mark"),
        (("AKID\r\n", "hidden"), "secret_id begins or ends with a line break"), (("\rAKID", "hidden"), "secret_id begins or ends with a line break"), (("A", "\nhidden"), "secret_key begins or ends with a line break"), (("A", "hidden", '"hidden"'), "token begins or ends with a quote"), (("A", "hid\u00a0den"), "secret_key holds"),
        (("A", "hidden", ""), "token is empty"), (("A", "hidden", "a\ud800"), "token holds"), (("A", "hidden", None, "soon"), "expires_at"), (("A", "hidden", None, True), "expires_at"), (("A", "hidden", None, float("nan")), "expires_at"),
    ],
)  # fmt: skip
def test_bad_credentials(arguments: Any, said: str) -> None:
    with pytest.raises(CredentialsError, match=said) as caught:
        Credentials(*arguments)
    assert "hid" not in "".join(traceback.format_exception(caught.value)).partition("CredentialsError")[2]


FAMILIES = [  # as tccli, Terraform, the documents of COS and cloud functions (SCF) have them
    ("COS_SECRET_ID", "COS_SECRET_KEY", ("COS_SESSION_TOKEN", "COS_SECURITY_TOKEN", "COS_TOKEN")),
    (
        "TENCENTCLOUD_SECRET_ID",
        "TENCENTCLOUD_SECRET_KEY",
        ("TENCENTCLOUD_SESSION_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN", "TENCENTCLOUD_TOKEN"),
    ),
    ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", ("TENCENTCLOUD_SESSIONTOKEN",)),
]
NAMES = [
    "TKE_REGION", "TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN", "TENCENTCLOUD_CREDENTIALS_FILE",
    "TENCENTCLOUD_PROFILE", "TCCLI_PROFILE", *(name for one, other, tokens in FAMILIES for name in (one, other, *tokens)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("prefix", ["COS", "TENCENTCLOUD"])
def test_environment(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = EnvironmentCredentials()
    monkeypatch.setenv(f"{prefix}_SECRET_ID", "A")
    with pytest.raises(CredentialsError, match=f"{prefix}_SECRET_KEY is not set"):
        provider.get()
    monkeypatch.setenv(f"{prefix}_SECRET_KEY", "k")
    first = provider.get()
    assert (first.secret_id, first.secret_key, first.token) == ("A", "k", None)
    assert provider.get() is first
    monkeypatch.setenv(f"{prefix}_SESSION_TOKEN", "t")
    assert provider.get().token == "t"
    monkeypatch.setenv(f"{prefix}_SECRET_KEY", "hid den")
    with pytest.raises(CredentialsError, match=f"{prefix}_SECRET_KEY holds") as caught:
        provider.get()
    assert "hid" not in str(caught.value)
    assert repr(provider) == "EnvironmentCredentials()"
    monkeypatch.delenv(f"{prefix}_SECRET_ID")
    with pytest.raises(CredentialsError, match=f"{prefix}_SECRET_ID is not set"):
        provider.get()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_by_any_of_its_names(family: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tccli, Terraform and cloud functions call it; that of another family is another identity's."""
    id_name, key_name, token_names = family
    monkeypatch.setenv(id_name, "A")
    monkeypatch.setenv(key_name, "k")
    for name in NAMES:
        if name not in family and name not in token_names and name.endswith("TOKEN"):
            monkeypatch.setenv(name, "foreign")
    assert EnvironmentCredentials().get().token is None
    for name in token_names:
        with monkeypatch.context() as patch:
            patch.setenv(name, "TOK=EN")
            assert EnvironmentCredentials().get().token == "TOK=EN"
            patch.setenv(name, '"hidden"')
            with pytest.raises(
                CredentialsError, match=f"the environment variable {name} begins or ends with a quote"
            ) as caught:
                EnvironmentCredentials().get()
            assert "hidden" not in str(caught.value)
    if len(token_names) > 1:
        monkeypatch.setenv(token_names[0], "hidden1")
        monkeypatch.setenv(token_names[-1], "hidden1")
        assert EnvironmentCredentials().get().token == "hidden1"
        monkeypatch.setenv(token_names[-1], "hidden2")
        with pytest.raises(
            CredentialsError, match=f"{token_names[0]} and {token_names[-1]} have different tokens"
        ) as caught:
            EnvironmentCredentials().get()
        assert "hidden" not in str(caught.value)
    monkeypatch.setenv(key_name, '"hidden"')
    monkeypatch.delenv(token_names[0], raising=False)
    with pytest.raises(CredentialsError, match=f"the environment variable {key_name} begins or ends with a quote"):
        EnvironmentCredentials().get()
    monkeypatch.setenv(key_name, "")
    with pytest.raises(CredentialsError, match=f"{key_name} is not set"):
        EnvironmentCredentials().get()


def test_a_temporary_secret_id_without_a_token_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    temporary_id = "AKID" + "x" * 60
    monkeypatch.setenv("COS_SECRET_ID", temporary_id)
    monkeypatch.setenv("COS_SECRET_KEY", "hidden")
    provider = EnvironmentCredentials()
    signer = Signer(provider, bucket=BUCKET, region=REGION)
    with pytest.warns(CredentialsWarning, match=r"there is no token.*COS_SESSION_TOKEN") as caught:
        assert len([signer.presign("a") for _ in range(3)]) == 3
    assert [each.filename for each in caught] == [__file__]
    assert "hidden" not in str(caught[0].message)
    Credentials(temporary_id, "hidden", "token")
    Credentials("AKID" + "x" * 32, "hidden")


def test_a_function_is_a_provider() -> None:
    calls: list[str] = []

    def credentials() -> Credentials:
        calls.append("")
        return Credentials("AKIDf", "k" + calls[0])

    signer = Signer(credentials, bucket=BUCKET, region=REGION)
    assert "q-ak=AKIDf&" in signer.presign("a")
    assert "q-ak=AKIDf&" in signer.replace(expires=60).presign_many(["a"])[0]
    assert len(calls) == 2
    assert signer.credentials.get() is signer.credentials.get()  # the same values: the same object, with its SignKey
    calls[0] = "2"
    assert signer.credentials.get().secret_key == "k2"
    assert Verifier(credentials).verify(signer.presign("a")).secret_id == "AKIDf"
    assert Verifier([Credentials("B", "k"), credentials]).verify(signer.presign("a")).secret_id == "AKIDf"
    assert "FunctionCredentials(test_a_function_is_a_provider.<locals>.credentials)" in repr(signer)
    again = pickle.loads(pickle.dumps(Signer(make_credentials, bucket=BUCKET, region=REGION)))
    assert "q-ak=AKIDf&" in again.presign("a")

    for function, said in (
        (dict, "not dict"),
        (lambda: {"SecretId": 1}, "must return Credentials, not dict"),
        (lambda: None, "NoneType"),
    ):
        with pytest.raises(CosSignError, match=said):
            Signer(function, bucket=BUCKET, region=REGION).presign("a")  # type: ignore[arg-type, type-var]


def make_credentials() -> Credentials:
    return Credentials("AKIDf", "k")


def test_what_is_no_provider_is_refused() -> None:
    """A requests.Session and a dict have a get(), too."""

    class Other:
        def get(self) -> str:
            return "AKID"

    for wrong in (requests.Session(), {}, None, "AKID", Credentials, 5):
        with pytest.raises(ParameterError, match="credentials must be Credentials, a provider"):
            Signer(wrong, bucket=BUCKET, region=REGION)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"credentials\[1\] must be Credentials"):
        Verifier([Credentials("A", "k"), 5])  # type: ignore[list-item]
    with pytest.raises(CredentialsError, match="must give Credentials, not str"):
        Signer(Other(), bucket=BUCKET, region=REGION).presign("a")  # type: ignore[arg-type]


def test_nothing_in_the_environment_says_what_to_set() -> None:
    with pytest.raises(CredentialsError, match="set the environment variables COS_SECRET_ID and COS_SECRET_KEY"):
        EnvironmentCredentials().get()


def test_a_provider_is_asked_at_every_call() -> None:
    class Rotating:
        count = 0

        def get(self) -> Credentials:
            self.count += 1
            return Credentials(f"AKID{self.count}", "k")

    signer = Signer(Rotating(), bucket=BUCKET, region=REGION)
    assert [
        "AKID1&" in signer.presign("a"),
        "AKID2&" in signer.presign("a"),
        "AKID3&" in signer.presign_many(["a"])[0],
        "AKID4&" in signer.sign_request("GET", "/a")["Authorization"],
        "AKID5&" in signer.sign_request("GET", "/a")["Authorization"],
        "AKID6&" in signer.post_policy("a").fields["q-ak"] + "&",
    ] == [True] * 6


def test_no_object_of_ours_keeps_the_secret_as_a_str() -> None:
    """After signing, the only str that holds the SecretKey is the caller's own."""
    secret = "".join(["very", "hidden", "key"])
    signer = Signer(Credentials("AKID", secret), bucket=BUCKET, region=REGION)
    cos = COS(SecretId="AKID", SecretKey=secret)
    signer.presign("a")
    cos.getObjectUrl(Bucket=BUCKET, Region=REGION, Key="a")
    seen, todo = set(), [signer, cos]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        assert not (isinstance(each, str) and secret in each)
        assert not (isinstance(each, (bytes, bytearray)) and secret.encode() in each)
        todo += [
            other
            for other in gc.get_referents(each)
            if type(each).__module__ != "builtins" or isinstance(each, (dict, list, tuple))
        ]
    assert len(seen) > 10


CHILD = """
import sys
from cossign import Credentials, Signer
disguised = bytearray.fromhex(sys.argv[1])
text = "".join(chr(each ^ 0x55) for each in disguised)
def stage():
    print(flush=True)
    sys.stdin.readline()
stage()
credentials = Credentials("AKIDEXAMPLE", text)
signer = Signer(credentials, bucket="b-1250000000", region="ap-beijing")
signer.presign("a", key_time=(1, 2))
signer.presign_many(["a", "b"], key_time=(1, 2))
signer.sign_request("GET", "/a", key_time=(1, 2))
signer.post_policy("a", key_time=(1, 2))
sign_key = credentials.sign_key("1;2")
stage()
del signer, credentials, sign_key
stage()
"""


def places(process: int, needle: bytes) -> int:
    """How often a process's writable memory holds some bytes, its freed parts included."""
    found = 0
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in maps:
            area = re.match("([0-9a-f]+)-([0-9a-f]+) rw", line)
            if area and "[v" not in line:
                memory.seek(int(area[1], 16))
                found += memory.read(int(area[2], 16) - int(area[1], 16)).count(needle)
    return found


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="there is no /proc/<pid>/mem to look into")
@pytest.mark.parametrize("name", ["auto", "hashlib"])
def test_the_core_wipes_its_memory(name: str) -> None:
    """Looked at from another process, as the one that looks makes copies: what is left is the caller's own str."""
    secret = b"S3cretKeyOfThisTestAlone42"
    sign_key = hmac.new(secret, b"1;2", hashlib.sha1)
    needles = {
        "SecretKey": secret,
        "SignKey": sign_key.hexdigest().encode(),
        "its digest": sign_key.digest(),
        "the inner pad": bytes(each ^ 0x36 for each in secret),
        "the outer pad": bytes(each ^ 0x5C for each in secret),
    }
    disguised = bytes(each ^ 0x55 for each in secret).hex()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, disguised], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "COSSIGN_ENGINE": "" if name == "auto" else name},
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    counts: list[dict[str, int]] = []
    with child:
        for _ in range(3):
            assert child.stdout.readline() == "\n"
            counts.append({name: places(child.pid, needle) for name, needle in needles.items()})
            child.stdin.write("\n")
            child.stdin.flush()
    before, alive, dead = counts
    assert before["SecretKey"] >= 1  # the caller's
    assert alive["SecretKey"] == before["SecretKey"] + 1  # in one place
    assert alive["SignKey"] >= 1
    assert dead == {**dict.fromkeys(needles, 0), "SecretKey": before["SecretKey"]}


def test_objects_that_were_refused_can_be_shown() -> None:
    """As a debugger shows them, and traceback with its local variables."""
    for make in (
        lambda: Credentials("AKID", "hid den"),
        lambda: Signer(("AKID", "hidden"), bucket=BUCKET, region=REGION),
    ):  # type: ignore[arg-type]
        with pytest.raises(CosSignError) as caught:
            make()
        lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        assert "(...)" in "".join(lines)


def test_no_frame_keeps_a_value_that_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.credentials.test_refreshing import shown

    monkeypatch.setenv("COS_SECRET_ID", "AKID")
    monkeypatch.setenv("COS_SECRET_KEY", "hidden'")
    with pytest.raises(CredentialsError) as caught:
        EnvironmentCredentials().get()
    assert "hidden" not in shown(caught.value)
    monkeypatch.setenv("COS_SECRET_KEY", "hidden")
    monkeypatch.setenv("COS_TOKEN", "<hidden>")
    with pytest.raises(CredentialsError) as caught:
        EnvironmentCredentials().get()
    assert "hidden" not in shown(caught.value)


def test_values_that_are_right() -> None:
    """Tokens have what base64 has; a SecretKey may hold anything that is visible, within."""
    for value in (
        "a+b/c==",
        "a-b_c.d~e",
        "x" * 4000,
        "a'b",
        "a<b>c",
        "AKID...",
        "...",
        "nullable",
        "a*b",
        "a{b}c",
        "a%b%c",
    ):
        assert Credentials("AKID", value, value).token == value

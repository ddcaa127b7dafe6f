"""The three JavaScript SDKs, byte for byte, over seeded random requests."""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cossign import Credentials, MalformedSignature, Signer
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.oracles.generated import CONTRADICTIONS, Request, contradictions, requests
from tests.oracles.ours import answer, reference_signature

HERE = Path(__file__).parent
# The SDKs leave out such headers silently, and so is what is compared.
pytestmark = pytest.mark.filterwarnings("ignore::cossign.UnsignedHeaderWarning")


def asked_sdks(every: list[Request]) -> list[dict[str, Any]]:
    """The SDKs' answers, one dict a request."""
    lines = "".join(json.dumps(each) + "\n" for each in every)
    node = subprocess.run(["node", "sdk.js"], cwd=HERE, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in node.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module", params=[6_000, pytest.param(24_000, marks=pytest.mark.long)])
def compared(request: pytest.FixtureRequest) -> list[tuple[Request, dict[str, Any]]]:
    missing = []
    if not shutil.which("node"):
        missing.append("Node.js is not installed")
    elif not (HERE / "node_modules" / "cos-wx-sdk-v5").exists():
        missing.append("the SDKs are not installed: run npm ci in tests/oracles")
    if missing:
        assert not os.environ.get("CI"), missing[0]
        pytest.skip(missing[0])
    every = requests(20261124, request.param)
    answers = asked_sdks(every)
    assert len(answers) == request.param
    return list(zip(every, answers, strict=True))


def unsigned(answered: Any) -> str:
    """An answer without its signature."""
    return re.sub("q-signature=[0-9a-f]{40}", "", answered)


@pytest.mark.parametrize("sdk", ["wx", "js", "node"])
def test_sdk_gives_the_same_bytes(compared: Any, sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alike = 0
    known: collections.Counter[str] = collections.Counter()
    for asked, answers in compared:
        ours = answer(asked, monkeypatch)
        theirs = answers[sdk]
        if isinstance(theirs, dict):
            assert isinstance(ours, dict), (asked, theirs, ours)
            continue
        reasons = contradictions(asked, sdk)
        if not reasons:
            assert ours == theirs, (asked, theirs, ours)
            alike += 1
            continue
        known.update(reasons)
        if reasons == {"sort"}:
            # Only the order within HttpString differs: everything but the signature is the same.
            assert unsigned(ours) == unsigned(theirs), (asked, theirs, ours)
    assert alike >= 0.7 * len(compared)
    print(f"{sdk}: {alike} of {len(compared)} the same; listed contradictions: {dict(known)}")


@pytest.mark.usefixtures("engine")
def test_every_engine_gives_the_same_bytes(compared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for asked, answers in compared:
        if not contradictions(asked, "wx") and isinstance(answers["wx"], str):
            assert answer(asked, monkeypatch) == answers["wx"], asked


def test_where_the_sdks_contradict_themselves_the_page_holds(compared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """cossign's answers agree with the reference, in order and elsewhere."""
    checked: collections.Counter[str] = collections.Counter()
    for asked, _ in compared:
        ours = answer(asked, monkeypatch)
        if isinstance(ours, dict) or "q-signature" not in ours:
            continue
        expected = reference_signature(asked, ours)
        if expected is not None:
            assert ours.partition("q-signature=")[2][:40] == expected, asked
            checked.update(contradictions(asked, "wx") or {"none"})
    assert min(checked["none"], checked["sort"], checked["HOST"]) > len(compared) / 1_200


def test_every_listed_contradiction_occurs(compared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed contradiction that no SDK shows is not one: each must make at least one answer differ on its own."""
    shown = set()
    for asked, answers in compared:
        for sdk, theirs in answers.items():
            reasons = contradictions(asked, sdk)
            if len(reasons) == 1 and theirs != answer(asked, monkeypatch):
                shown |= reasons
    assert shown == set(CONTRADICTIONS)


def test_the_mini_program_s_upload_verifies(compared: Any) -> None:
    """The form that wx.uploadFile gets from the SDK's postObject: its Signature is the Authorization of a POST to /."""
    options = {"SecretId": SECRET_ID, "SecretKey": SECRET_KEY, "SecurityToken": "tok"}
    for more in ({}, {"ContentType": "image/jpeg", "x-cos-meta-a": "b c", "ACL": "private"}):
        parameters = {"Bucket": BUCKET, "Region": REGION, "Key": "a b/腾+%.jpg", "FilePath": "/none", **more}
        node = subprocess.run(
            ["node", "post.js", json.dumps(options), json.dumps(parameters)],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=True,
        )
        sent = json.loads(node.stdout)
        assert sent["formData"]["key"] == "a b/腾+%.jpg"
        signer = Signer(Credentials(SECRET_ID, SECRET_KEY, "tok"))
        headers = {**sent["header"], "Authorization": sent["formData"]["Signature"]}
        assert signer.verify(sent["url"], method="POST", headers=headers, require_headers=("host",)).key == ""
        with pytest.raises(MalformedSignature, match="Signature"):
            signer.verify_post({name: str(value) for name, value in sent["formData"].items()})

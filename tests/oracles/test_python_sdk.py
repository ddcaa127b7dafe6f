"""cos-python-sdk-v5 and opendal's COS presigner (Rust), parameter for parameter."""

from __future__ import annotations

import asyncio
import random
import warnings
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from cossign import Credentials, Signer
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.oracles import generated

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    qcloud_cos = pytest.importorskip("qcloud_cos", reason="cos-python-sdk-v5 is not installed")
    opendal = pytest.importorskip("opendal", reason="opendal is not installed")

COUNT = 3000


def fields(url: str) -> dict[str, str]:
    """A URL's parameters, decoded; those of the signature in lower-case hex."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def times(url: str) -> tuple[int, int]:
    start, end = fields(url)["q-key-time"].split(";")
    return int(start), int(end)


def keys(rng: random.Random) -> str:
    """Keys that the SDK can take: neither leading slashes nor what it rewrites itself."""
    while True:
        key = generated.key(rng)
        if not key.startswith("/") and key.strip() == key and ".." not in key and "./" not in key and "//" not in key:
            return key


def test_cos_python_sdk() -> None:
    rng = random.Random(7778)
    client = qcloud_cos.CosS3Client(
        qcloud_cos.CosConfig(Region=REGION, SecretId=SECRET_ID, SecretKey=SECRET_KEY, Scheme="https")
    )
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, strict=False)
    for _ in range(COUNT):
        key = keys(rng)
        method = rng.choice(("GET", "PUT", "HEAD", "DELETE", "POST"))
        # One name in two cases is one entry of the SDK's dict after lower-casing: it drops a parameter then.
        query = {name: value for name, value in generated.query(rng).items() if isinstance(value, str)}
        query = {
            name: value for name, value in query.items() if [each.lower() for each in query].count(name.lower()) == 1
        }
        headers = {
            name: value for name, value in generated.headers(rng).items() if isinstance(value, str) and name.isascii()
        }
        headers = {
            name: value
            for name, value in headers.items()
            if [each.lower() for each in headers].count(name.lower()) == 1
        }
        # The SDK signs blanks around a value and a Host in capitals, which are not sent so.
        headers = {
            name: value.lower() if name.lower() == "host" else value
            for name, value in ((name, value.strip(" \t")) for name, value in headers.items())
        }
        if any(name.lower() == "host" and not value for name, value in headers.items()):
            continue
        theirs = client.get_presigned_url(
            Bucket=BUCKET, Key=key, Method=method, Expired=600, Params=query, Headers=headers
        )
        listed = fields(theirs)["q-header-list"].split(";")
        signed = {
            name: value for name, value in headers.items() if generated.quote(name, safe="-_.~").lower() in listed
        }
        ours = signer.presign(key, method=method, query=query, headers=signed, key_time=times(theirs))
        assert fields(ours) == fields(theirs), (key, query, headers)
        assert unquote(urlsplit(ours).path) == unquote(urlsplit(theirs).path)
        assert urlsplit(ours).netloc == urlsplit(theirs).netloc


def test_opendal() -> None:
    rng = random.Random(13324)
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, sign_host=False, strict=False)
    operator = opendal.AsyncOperator(
        "cos", bucket=BUCKET, endpoint=f"https://cos.{REGION}.myqcloud.com", root="/", secret_id=SECRET_ID, secret_key=SECRET_KEY, disable_config_load="true"
    )  # fmt: skip

    async def presigned() -> list[tuple[str, str, Any]]:
        made = []
        for _ in range(1000):
            # opendal normalises its paths: only keys that it leaves alone.
            key = "/".join(part.strip() for part in keys(rng).split("/") if part.strip())
            if not key or key.endswith("/") or any(ord(each) < 32 for each in key):
                continue
            method = rng.choice(("read", "write", "stat"))
            made.append((key, method, await getattr(operator, f"presign_{method}")(key, 600)))
        return made

    made = asyncio.run(presigned())
    assert len(made) > 500
    for key, method, request in made:
        ours = signer.presign(
            key, method={"read": "GET", "write": "PUT", "stat": "HEAD"}[method], key_time=times(request.url)
        )
        assert fields(ours) == fields(request.url), key
        assert unquote(urlsplit(ours).path) == unquote(urlsplit(request.url).path)

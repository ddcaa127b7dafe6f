"""What many tests share: the page's example credentials and a signer with them."""

from __future__ import annotations

import pytest

from cossign import COS, Credentials, Signer

SECRET_ID = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q"
SECRET_KEY = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"
BUCKET = "examplebucket-1250000000"
REGION = "ap-beijing"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    return Credentials(SECRET_ID, SECRET_KEY)


@pytest.fixture(scope="session")
def signer(credentials: Credentials) -> Signer:
    return Signer(credentials, bucket=BUCKET, region=REGION)


@pytest.fixture
def cos() -> COS:
    return COS({"SecretId": SECRET_ID, "SecretKey": SECRET_KEY})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COS_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("COS_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("COS_SESSION_TOKEN", raising=False)

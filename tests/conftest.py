"""What many tests share: the page's example credentials and a signer with them."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator

import pytest

from cossign import COS, Credentials, Signer, engines, sdk
from cossign.parameters import chosen_engine

SECRET_ID = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q"
SECRET_KEY = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"
BUCKET = "examplebucket-1250000000"
REGION = "ap-beijing"
ENGINES = (  # of this kind of machine; its CPU may lack some
    *(("armv8", "neon") if platform.machine() in ("aarch64", "arm64") else ("avx512", "avx2", "shani", "sse2")),
    "portable",
    "hashlib",
)
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    return Credentials(SECRET_ID, SECRET_KEY)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every engine in turn, as COSSIGN_ENGINE chooses it."""
    if request.param not in engines():
        pytest.skip(f"this CPU has no engine {request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSSIGN_ENGINE", request.param)
        patch.setattr(sdk, "_engine", functools.cache(chosen_engine))
        patch.setattr(sdk, "_last", sdk._Last())
        yield request.param


@pytest.fixture
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

"""Keys that are odd, and what the tests of engines share."""

from __future__ import annotations

import pytest

from cossign import EnvironmentCredentials, Signer
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY

TIMES = (1557989753, 1557996953)
ODD = [
    "picture.jpg", None, "a b/腾讯云.txt", "😀", "q?x=1&y=2#z", "100%", "%2F", "a+b", "'\"\\x", "~!*()", "a\tb", "é" * 400,
    "x" * 850, "a//b", "0", "null", "line\u2028end",
]  # fmt: skip


@pytest.fixture
def provided(environment: None) -> Signer:
    """A Signer that may travel: its credentials are in the environment."""
    return Signer(EnvironmentCredentials(), bucket=BUCKET, region=REGION)


@pytest.fixture(scope="session")
def secrets_at_workers() -> object:
    """What the first engine that is started hands on to its workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COS_SECRET_ID", SECRET_ID)
        patch.setenv("COS_SECRET_KEY", SECRET_KEY)
        yield patch

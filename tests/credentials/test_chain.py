"""ChainCredentials: the first that has some, and what each of them said."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path

import pytest

from cossign import (
    ChainCredentials,
    Credentials,
    CredentialsError,
    CredentialsNotFound,
    RefreshingCredentials,
)
from tests.credentials.test_base import no_environment  # noqa: F401
from tests.waiting import PATIENCE


class Place:
    """A provider that has credentials, or an error."""

    def __init__(self, name: str, has: Credentials | CredentialsError) -> None:
        self.name = name
        self.has = has
        self.asked = 0

    def get(self) -> Credentials:
        self.asked += 1
        if isinstance(self.has, CredentialsError):
            raise self.has
        return self.has

    def __repr__(self) -> str:
        return self.name


def test_the_default_places_are_made_once_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each knows when it may ask again."""
    places: list[Place] = []

    def pod() -> Place:
        places.append(Place("pod", CredentialsError("STS is down")))
        return places[-1]

    monkeypatch.setattr("cossign.credentials.chain.WebIdentityCredentials", pod)
    chain = ChainCredentials()
    for _ in range(3):
        with pytest.raises(CredentialsError, match="pod: STS is down"):
            chain.get()
    assert [place.asked for place in places] == [3]


def test_the_first_that_has_some_is_used_from_then_on() -> None:
    one = Place("one", CredentialsNotFound("nothing in one"))
    two, three = Place("two", Credentials("AKID2", "k")), Place("three", Credentials("AKID3", "k"))
    chain = ChainCredentials(one, two, three)
    assert [chain.get().secret_id for _ in range(3)] == ["AKID2"] * 3
    assert (one.asked, two.asked, three.asked) == (1, 3, 0)
    assert chain.tried == (("one", "nothing in one"), ("two", "used"))
    assert asyncio.run(chain.get_async()).secret_id == "AKID2"
    two.has = CredentialsError("cannot be renewed")
    with pytest.raises(CredentialsError, match="cannot be renewed"):
        chain.get()


def test_broken_ones_do_not_make_another_identity_sign() -> None:
    for error in (CredentialsError("is encrypted"), CredentialsError("half of it is missing")):
        chain = ChainCredentials(Place("one", error), Place("two", Credentials("AKID2", "k")))
        for get in (chain.get, lambda chain=chain: asyncio.run(chain.get_async())):
            with pytest.raises(CredentialsError, match=f"one: {error}"):
                get()
        assert chain.tried == (("one", str(error)),)


def test_an_account_of_all_that_was_tried() -> None:
    chain = ChainCredentials(
        Place("one", CredentialsNotFound("nothing")), Place("two", CredentialsNotFound("nor here"))
    )
    for get in (chain.get, lambda: asyncio.run(chain.get_async())):
        with pytest.raises(CredentialsNotFound) as caught:
            get()
        assert str(caught.value) == "no credentials\n  one: nothing\n  two: nor here"
    assert chain.tried == (("one", "nothing"), ("two", "nor here"))


@pytest.mark.usefixtures("no_environment")
def test_the_default_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    chain = ChainCredentials()
    assert list(map(repr, chain._each())) == [
        "EnvironmentCredentials()",
        "WebIdentityCredentials()",
        "FileCredentials('~/.cos.yaml')",
        "FileCredentials('~/.cos.conf')",
        "FileCredentials('~/.tccli/default.credential')",
        "FileCredentials('~/.tencentcloud/credentials')",
        "FileCredentials('/etc/tencentcloud/credentials')",
        "CvmRoleCredentials()",
    ]
    assert repr(chain) == "ChainCredentials()"
    (tmp_path / ".cos.conf").write_text("[common]\nsecret_id = AKIDfile\nsecret_key = hidden\n")
    assert chain.get().secret_id == "AKIDfile"
    assert chain.tried[0][0] == "EnvironmentCredentials()"
    monkeypatch.setenv("COS_SECRET_ID", "AKIDenv")
    monkeypatch.setenv("COS_SECRET_KEY", "hidden")
    assert ChainCredentials().get().secret_id == "AKIDenv"
    assert chain.get().secret_id == "AKIDfile"
    pickled = pickle.dumps(chain)
    assert b"hidden" not in pickled
    assert repr(pickle.loads(pickled)) == repr(chain)
    assert "hidden" not in repr(chain) + repr(vars(chain)) + str(chain.tried)


@pytest.mark.usefixtures("no_environment")
def test_what_cannot_be_used_is_passed_over_and_its_reason_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets that coscli has encrypted do not hide those of coscmd; half a pair does."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cos.yaml").write_text("cos:\n  base:\n    secretid: QUtJRA==xx\n    secretkey: hiddenyy==\n")
    (tmp_path / ".cos.conf").write_text("[common]\nsecret_id = AKIDfile\nsecret_key = hidden\n")
    chain = ChainCredentials()
    assert chain.get().secret_id == "AKIDfile"
    account = dict(chain.tried)
    assert list(account)[2:] == ["FileCredentials('~/.cos.yaml')", "FileCredentials('~/.cos.conf')"]
    assert "encrypted" in account["FileCredentials('~/.cos.yaml')"]
    assert "not a pod of TKE" in account["WebIdentityCredentials()"]
    assert "hidden" not in str(chain.tried)
    (tmp_path / ".cos.yaml").write_text("cos:\n  base:\n    secretid: AKID12345678\n    secretkey: ''\n")
    with pytest.raises(CredentialsError, match=r"~/\.cos\.yaml: secretkey is missing or empty"):
        ChainCredentials().get()
    monkeypatch.setenv("TKE_ROLE_ARN", "qcs::cam::uin/1:roleName/r")
    with pytest.raises(CredentialsError, match="TKE_REGION, TKE_PROVIDER_ID, TKE_WEB_IDENTITY_TOKEN_FILE are not set"):
        ChainCredentials().get()


def test_the_event_loop_does_not_wait_for_a_link() -> None:
    async def main() -> None:
        import threading

        gate = threading.Event()

        def fetch() -> Credentials:
            assert gate.wait(PATIENCE)
            return Credentials("AKID", "k")

        chain = ChainCredentials(Place("one", CredentialsNotFound("nothing")), RefreshingCredentials(fetch))
        task = asyncio.create_task(chain.get_async())
        for _ in range(5):
            await asyncio.sleep(0.005)
        assert not task.done()
        gate.set()
        assert (await task).secret_id == "AKID"

    asyncio.run(main())


def test_a_wrong_profile_matters_only_where_files_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is read when the chain is made, and no file if the environment has credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TENCENTCLOUD_PROFILE", "../x")
    chain = ChainCredentials()
    with pytest.raises(CredentialsError, match="TENCENTCLOUD_PROFILE"):
        chain.get()
    monkeypatch.setenv("COS_SECRET_ID", "A")
    monkeypatch.setenv("COS_SECRET_KEY", "k")
    assert chain.get().secret_id == "A"

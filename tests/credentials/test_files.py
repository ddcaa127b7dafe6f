"""FileCredentials: the files of coscli, coscmd and tccli, as these tools write them."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tencentcloud.common.credential import ProfileCredential

from cossign import ChainCredentials, CredentialsError, CredentialsNotFound, FileCredentials, ParameterError
from cossign.credentials import CvmRoleCredentials, StsCredentials
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def tool(name: str, *arguments: str) -> None:
    """Run a command line tool as its user does."""
    command = Path(sys.executable).with_name(name)
    if not command.exists():
        assert not os.environ.get("CI"), f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def found(provider: FileCredentials) -> tuple[Any, ...]:
    made = provider.get()
    assert asyncio.run(provider.get_async()).secret_id == made.secret_id
    return made.secret_id, made.secret_key, made.token, made.expires_at


# As viper writes coscli's configuration (cmd/config_init.go): names in lower case, sorted.
COSCLI = """\
cos:
    base:
        closeautoswitchhost: ""
        cvmrolename: {role}
        disableencryption: "{plain}"
        mode: {mode}
        protocol: https
        secretid: {secret_id}
        secretkey: {secret_key}
        sessiontoken: {token}
    buckets:
        - alias: b
          endpoint: cos.ap-beijing.myqcloud.com
          name: b-1250000000
          ofs: false
          region: ""
"""


def coscli(home: Path, **values: str) -> None:
    given = {
        "role": '""',
        "plain": "true",
        "mode": "SecretKey",
        "secret_id": "AKIDcli",
        "secret_key": "hidden",
        "token": '""',
    }
    (home / ".cos.yaml").write_text(COSCLI.format(**{**given, **values}))


def test_coscli(home: Path) -> None:
    coscli(home)
    assert found(FileCredentials()) == ("AKIDcli", "hidden", None, None)
    coscli(home, token="hidden2", secret_id="12345678901234567890")
    assert found(FileCredentials()) == ("12345678901234567890", "hidden", "hidden2", None)
    assert found(FileCredentials("~/.cos.yaml"))[2] == "hidden2"


def test_coscli_encrypts_and_the_error_says_so(home: Path) -> None:
    for plain in ("", "false"):
        coscli(home, plain=plain, secret_id="7mKyEqDJTh4A==", secret_key="hidden")
        with pytest.raises(
            CredentialsError, match=r"coscli has encrypted its secrets.*--disable_encryption true"
        ) as caught:
            FileCredentials().get()
        assert "hidden" not in str(caught.value)
        assert isinstance(caught.value, CredentialsNotFound)  # others are asked


def test_coscli_without_its_flag(home: Path) -> None:
    """A file that was written by hand; coscli reads it as it is."""
    (home / ".cos.yaml").write_text("cos:\n  base:\n    secretid: AKID0123456789abcdef\n    secretkey: hidden\n")
    assert found(FileCredentials()) == ("AKID0123456789abcdef", "hidden", None, None)
    for value, said in (
        ("'\"AKID0123456789abcdef\"'", "secretid begins or ends with a quote"),
        ("<SecretId>", "secretid is a placeholder"),
    ):
        (home / ".cos.yaml").write_text(f"cos:\n  base:\n    secretid: {value}\n    secretkey: hidden\n")
        with pytest.raises(CredentialsError, match=said):
            FileCredentials().get()


def test_files_without_credentials_are_passed_over(home: Path) -> None:
    """They name a bucket alone, as for a command line that has the secrets elsewhere."""
    coscli(home, secret_id='""', secret_key='""')
    (home / ".cos.conf").write_text("[common]\nbucket = b-1250000000\n")
    tccli(home, secretId="", secretKey="")
    (home / ".tencentcloud").mkdir()
    (home / ".tencentcloud" / "credentials").write_text("[default]\nsecret_id = AKIDsdk\nsecret_key = hidden\n")
    assert found(FileCredentials())[0] == "AKIDsdk"
    (home / ".tencentcloud" / "credentials").unlink()
    with pytest.raises(CredentialsNotFound) as caught:
        FileCredentials().get()
    assert str(caught.value).split("; ")[:4] == [
        "~/.cos.yaml: has no secretid and no secretkey",
        "~/.cos.conf: has no secret_id and no secret_key",
        "~/.tccli/default.credential: has no secretId and no secretKey",
        "there is no ~/.tencentcloud/credentials",
    ]


# --- The SDKs' profiles


SDK = "[default]\nsecret_id = AKIDsdk\nsecret_key = hid%den\n\n[prod]\nsecret_id=AKIDprod\nsecret_key=hidden\ntoken=hidden2\n"


def test_the_sdks_profiles(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / ".tencentcloud" / "credentials"
    path.parent.mkdir()
    path.write_text(SDK)
    assert found(FileCredentials()) == ("AKIDsdk", "hid%den", None, None)  # '%' means nothing there
    for provider in (FileCredentials(profile="prod"), FileCredentials(path, profile="prod")):
        assert found(provider) == ("AKIDprod", "hidden", "hidden2", None)
    provider = FileCredentials()
    assert found(provider)[0] == "AKIDsdk"
    monkeypatch.setenv("TENCENTCLOUD_PROFILE", "prod")
    assert found(provider)[0] == found(FileCredentials())[0] == "AKIDprod"
    monkeypatch.setenv("TENCENTCLOUD_CREDENTIALS_FILE", str(home / "elsewhere"))
    with pytest.raises(CredentialsError, match=f"TENCENTCLOUD_CREDENTIALS_FILE names {home}/elsewhere: No such file"):
        FileCredentials().get()
    path.rename(home / "elsewhere")
    assert found(FileCredentials())[0] == "AKIDprod"
    with pytest.raises(CredentialsError, match=r"has no section \[other\]: it has \[default\], \[prod\]"):
        FileCredentials(profile="other").get()
    (home / "elsewhere").write_text('[default]\nsecret_id = "AKID"\nsecret_key = hidden\n')
    monkeypatch.delenv("TENCENTCLOUD_PROFILE")
    with pytest.raises(CredentialsError, match=r"elsewhere: secret_id begins or ends with a quote"):
        FileCredentials().get()
    (home / ".cos.conf").write_text("[common]\nsecret_id = AKIDcmd\nsecret_key = hidden\n")
    with pytest.raises(CredentialsError, match=r"has no section \[prod\]"):  # never another identity
        FileCredentials(home / ".cos.conf", profile="prod").get()


def test_the_official_sdk_reads_what_we_read(home: Path) -> None:
    (home / ".tencentcloud").mkdir()
    (home / ".tencentcloud" / "credentials").write_text(SDK)
    official = ProfileCredential().get_credential()
    assert (official.secret_id, official.secret_key) == found(FileCredentials())[:2]


def test_coscli_with_the_instances_role(home: Path) -> None:
    coscli(home, mode="CvmRole", role="my-role", secret_id='""', secret_key='""')
    provider = FileCredentials().provider()
    assert isinstance(provider, CvmRoleCredentials)
    assert repr(provider) == "CvmRoleCredentials('my-role')"
    assert FileCredentials().provider() is not provider
    again = FileCredentials()
    assert again.provider() is again.provider()  # its credentials are kept


def test_coscmd_as_coscmd_writes_it(home: Path) -> None:
    tool("coscmd", "config", "-a", "AKIDcmd", "-s", "hidden", "-b", "b-1250000000", "-r", "ap-beijing")
    assert found(FileCredentials()) == ("AKIDcmd", "hidden", None, None)
    tool("coscmd", "config", "-a", "AKIDcmd", "-s", "hidden", "-t", "hidden2", "-b", "b-1250000000", "-r", "ap-beijing")
    assert found(FileCredentials()) == ("AKIDcmd", "hidden", "hidden2", None)


def test_coscmd_of_old_and_with_percent_signs(home: Path) -> None:
    (home / ".cos.conf").write_text("[common]\naccess_id = AKIDold\nsecret_key = a%%b\n")
    assert found(FileCredentials()) == ("AKIDold", "a%b", None, None)


def test_coscmd_reads_what_we_read(home: Path) -> None:
    tool("coscmd", "config", "-a", "AKIDcmd", "-s", "hidden", "-t", "hidden2", "-b", "b-1250000000", "-r", "ap-beijing")
    code = (
        "from coscmd import cos_cmd; vars(cos_cmd).update(config_path='~/.cos.conf', pre_appid='', pre_bucket='', "
        "pre_region=''); c = cos_cmd.load_conf(); "
        "print(c._secret_id, c._secret_key, c._token)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-3:] == [str(each) for each in found(FileCredentials())[:3]]


def test_tccli_as_tccli_writes_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool("tccli", "configure", "set", "secretId", "AKIDtc", "secretKey", "hidden")
    assert found(FileCredentials()) == ("AKIDtc", "hidden", None, None)
    tool(
        "tccli", "configure", "set", "secretId", "AKIDp1", "secretKey", "hidden", "token", "hidden2", "--profile", "p1"
    )
    assert found(FileCredentials(profile="p1")) == ("AKIDp1", "hidden", "hidden2", None)
    monkeypatch.setenv("TCCLI_PROFILE", "p1")
    assert found(FileCredentials())[0] == "AKIDp1"
    coscli(home)
    assert found(FileCredentials())[0] == "AKIDcli"  # the first there is
    assert found(FileCredentials(profile="p1"))[0] == "AKIDp1"


def tccli(home: Path, **fields: Any) -> None:
    (home / ".tccli").mkdir(exist_ok=True)
    (home / ".tccli" / "default.credential").write_text(json.dumps(fields))


def test_tccli_signed_in_by_a_browser(home: Path) -> None:
    """The forms of tccli/oauth.py and tccli/sso.py: temporary credentials with their end."""
    tccli(home, type="oauth", secretId="AKIDtmp", secretKey="hidden", token="hidden2", expiresAt=2_000_000_000)
    assert found(FileCredentials()) == ("AKIDtmp", "hidden", "hidden2", 2_000_000_000)
    tccli(home, secretId="AKIDtmp", secretKey="hidden", token="hidden2", expiresAt="soon")
    with pytest.raises(CredentialsError, match="expiresAt must be a time"):
        FileCredentials().get()


def test_tccli_with_roles(home: Path) -> None:
    tccli(home, type="cvm-role")
    assert isinstance(FileCredentials().provider(), CvmRoleCredentials)
    role = {"role-arn": "qcs::cam::uin/1:roleName/r", "role-session-name": "s"}
    tccli(home, secretId="AKID", secretKey="hidden", **role)
    provider = FileCredentials().provider()
    assert isinstance(provider, StsCredentials)
    assert repr(provider) == "StsCredentials(AssumeRole)"


def test_a_changed_file_is_read_again(home: Path) -> None:
    provider = FileCredentials()
    with pytest.raises(
        CredentialsNotFound,
        match=r"no ~/\.cos\.yaml; there is no ~/\.cos\.conf; there is no ~/\.tccli/default\.credential",
    ):
        provider.get()
    coscli(home)
    first = provider.get()
    assert provider.get() is first
    coscli(home, secret_id="AKIDother")
    assert provider.get().secret_id == "AKIDother"
    (home / ".cos.yaml").unlink()
    with pytest.raises(CredentialsNotFound):
        provider.get()


@pytest.mark.parametrize(
    "name, text, said",
    [
        (".cos.yaml", "cos: [hidden: {", "is not valid YAML"), (".cos.yaml", "hidden", "no cos.base"), (".cos.yaml", "cos:\n  base: hidden\n", "no cos.base"),
        (".cos.yaml", COSCLI.format(role="", plain="true", mode="SecretKey", secret_id="A", secret_key='""', token=""), "secretkey is missing"),
        (".cos.yaml", COSCLI.format(role="", plain="true", mode="SecretKey", secret_id="A", secret_key='"hid den"', token=""), "secretkey holds"),
        (".cos.conf", "hidden", "not a valid INI file"), (".cos.conf", "[other]\na=hidden\n", r"no section \[common\]: it has \[other\]"), (".cos.conf", "", r"no section \[common\].*it has none"),
        (".cos.conf", "[common]\nsecret_id=A\n", "secret_key is missing"), (".cos.conf", "[common]\nsecret_id=\nsecret_key=hidden", "secret_id is missing"),
        (".cos.conf", "[common]\nsecret_id=A\nsecret_key=hidden%\n", "that is not written '%%'"), (".cos.conf", "[common]\nsecret_id=A\nsecret_key=hidden\nsecret_key=hidden", "INI file: line 4"),
        (".tccli/default.credential", "{hidden", "not a JSON object"), (".tccli/default.credential", "[]", "not a JSON object"), (".tccli/default.credential", '{"secretId": "A"}', "secretKey is missing"),
        (".tccli/default.credential", '{"secretId": "A", "secretKey": 5}', "secretKey must be"), (".cos.conf", b"\xff\xfe", "is not UTF-8"),
    ],
)  # fmt: skip
def test_bad_files_are_named_and_not_shown(home: Path, name: str, text: Any, said: str) -> None:
    (home / ".tccli").mkdir()
    (home / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CredentialsError, match=said) as caught:
        FileCredentials(f"~/{name}").get()
    assert str(caught.value).startswith(f"~/{name}: ")
    from tests.credentials.test_refreshing import shown

    assert "hid" not in shown(caught.value)


def test_files_that_cannot_be_read(home: Path) -> None:
    (home / ".cos.conf").mkdir()
    with pytest.raises(CredentialsError, match="Is a directory"):
        FileCredentials().get()
    (home / "f").write_text("")
    with pytest.raises(CredentialsNotFound, match=r"there is no .*/f/g"):
        FileCredentials(home / "f" / "g").get()
    with pytest.raises(CredentialsNotFound, match=f"there is no {home}/none"):
        FileCredentials(home / "none").get()


def test_without_pyyaml_the_error_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coscli(home)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(CredentialsNotFound, match="needs PyYAML: pip install PyYAML"):
        FileCredentials("~/.cos.yaml").get()
    tccli(home, secretId="AKIDtc", secretKey="hidden")
    assert found(FileCredentials())[0] == "AKIDtc"  # another file is asked


def test_parameters_and_pickles(home: Path) -> None:
    for path in ("~/.cos.yaml", "a.credential"):
        with pytest.raises(ParameterError, match="profile must not be given with this path"):
            FileCredentials(path, profile="b")
    for bad in ("", "../x", "a/b"):
        with pytest.raises(ParameterError, match="name of a profile"):
            FileCredentials(profile=bad)
    coscli(home)
    for provider in (FileCredentials(), FileCredentials(home / ".cos.yaml"), FileCredentials(profile="p")):
        if provider._profile is None:
            provider.get()
        pickled = pickle.dumps(provider)
        assert b"hidden" not in pickled
        assert repr(pickle.loads(pickled)) == repr(provider)
        assert "hidden" not in repr(provider) + repr(vars(provider))
    assert repr(FileCredentials(profile="p")) == "FileCredentials(profile='p')"
    assert os.fspath(home) in repr(FileCredentials(home / "x"))


# --- A typing error does not make another identity sign


def test_a_file_that_says_how_to_get_credentials_is_not_passed_over(home: Path) -> None:
    """The metadata service is not there: another file's identity must not sign in its place."""
    coscli(home, mode="CvmRole", role="r", secret_id='""', secret_key='""')
    (home / ".cos.conf").write_text("[common]\nsecret_id = AKIDother\nsecret_key = hidden\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cossign.credentials.web.socket.getaddrinfo", unknown_host)
        with pytest.raises(CredentialsError, match=r"~/\.cos\.yaml: .*there is no such host") as caught:
            ChainCredentials().get()
        assert not isinstance(caught.value, CredentialsNotFound)
        with pytest.raises(CredentialsError, match=r"~/\.cos\.yaml: .*there is no such host"):
            asyncio.run(FileCredentials().get_async())


def unknown_host(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_sections_of_coscmd_and_of_the_sdks_are_not_mixed_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = "[common]\nsecret_id = AKIDcommon\nsecret_key = k\n[prod]\nsecret_id = AKIDprod\nsecret_key = k\n"
    (home / ".tencentcloud").mkdir()
    (home / ".tencentcloud" / "credentials").write_text(both)
    monkeypatch.setenv("TENCENTCLOUD_PROFILE", "prod")
    assert found(FileCredentials())[0] == "AKIDprod"
    monkeypatch.setenv("TENCENTCLOUD_PROFILE", "prd")
    with pytest.raises(CredentialsError, match=r"has no section \[prd\]") as caught:
        ChainCredentials().get()
    assert not isinstance(caught.value, CredentialsNotFound)
    (home / ".cos.conf").write_text(both)
    assert found(FileCredentials())[0] == "AKIDcommon"
    monkeypatch.setenv("TENCENTCLOUD_PROFILE", "../../etc/passwd")
    with pytest.raises(CredentialsError, match="not the name of a profile"):
        FileCredentials(profile=None).get()


@pytest.mark.parametrize(
    "name, text",
    [
        (".cos.yaml", ""),
        (".cos.yaml", "# nothing\n"),
        (".cos.yaml", "cos: {}\n"),
        (".cos.conf", ""),
        (".tccli/default.credential", ""),
        (".tccli/default.credential", "{}"),
        (".tccli", ""),
    ],
)
def test_an_empty_file_is_passed_over(home: Path, name: str, text: str) -> None:
    if name != ".tccli":
        (home / ".tccli").mkdir()
    (home / name).write_text(text)
    (home / ".tencentcloud").mkdir()
    (home / ".tencentcloud" / "credentials").write_text(SDK)
    assert found(FileCredentials())[0] == "AKIDsdk"
    assert ChainCredentials().get().secret_id == "AKIDsdk"


def test_values_of_coscli_that_are_plain(home: Path) -> None:
    coscli(home, plain="True", secret_id="12345678")
    assert found(FileCredentials())[0] == "12345678"
    coscli(home, plain="", secret_id="AKIDEXAMPLE")
    assert found(FileCredentials())[0] == "AKIDEXAMPLE"


def test_credentials_of_tccli_that_have_ended(home: Path) -> None:
    tccli(home, type="oauth", secretId="AKIDtmp", secretKey="hidden", token="hidden2", expiresAt=1_700_000_000)
    with pytest.raises(CredentialsError, match=r"default\.credential: its temporary credentials have expired: sign in"):
        FileCredentials().get()


def test_paths_and_values_of_other_kinds(home: Path) -> None:
    for path in ("", "a\0b"):
        with pytest.raises(ParameterError, match="path must be"):
            FileCredentials(path)
    tccli(home, secretId="AKIDx", secretKey=0)
    with pytest.raises(CredentialsError, match="secretKey must be a str, not int"):
        FileCredentials().get()
    (home / ".cos.conf").write_text("[Th1sMayBeASecretKeyOf32Characters]\n")
    with pytest.raises(CredentialsNotFound) as caught:
        FileCredentials("~/.cos.conf").get()
    assert "Th1s" not in str(caught.value)

"""gateway.toml: what is wrong is told with its line and its field, all at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cossign import CosSignError, Credentials
from cossign.gateway import Config, ConfigError, Gateway, load
from cossign.gateway.config import warnings_of
from cossign.gateway.places import find_lines, line_of
from cossign.gateway.serve import load_usable_config, serve
from cossign.key_time import duration
from tests.gateway.serving import POLICY, serving
from tests.gateway.test_policy import ask

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROUTE = '[[route]]\nname = "all"\nbucket = "examplebucket-1250000000"\nregion = "ap-beijing"\n'
CALLER = '[[caller]]\nname = "bob"\nanonymous = true\n'
ALLOW = '[[caller.allow]]\nroutes = ["all"]\nprefixes = ["a/"]\n'


def problems(tmp_path: Path, text: str) -> list[str]:
    """Each problem as LINE: FIELD: WHAT."""
    path = tmp_path / "gateway.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        Gateway(path, credentials=Credentials("AKIDEXAMPLE", "example-key"))
    assert isinstance(caught.value, CosSignError)
    lines = str(caught.value).split("\n")
    assert len(lines) == len(caught.value.problems)
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:").strip() for line in lines]


def test_defaults_and_the_example(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(ROUTE)
    config = load(tmp_path / "gateway.toml")
    assert isinstance(config, Config)
    assert (config.listen, config.workers, config.caller) == ("127.0.0.1:8080", 1, ())
    assert config.route[0].methods == ("GET", "HEAD")
    assert (config.route[0].expires, config.route[0].params, config.route[0].cache) == (900, (), "private")


@pytest.mark.parametrize(
    'text, line, field, what',
    [
        ("", 0, "route", "is missing"),
        ('listen = "here"\n' + ROUTE, 1, "listen", "HOST:PORT"),
        ('listen = "127.0.0.1:99999"\n' + ROUTE, 1, "listen", "HOST:PORT"),
        ("workers = 0\n" + ROUTE, 1, "workers", "greater than or equal to 1"),
        ('workers = "2"\n' + ROUTE, 1, "workers", "valid integer"),
        ('server = "granian"\n' + ROUTE, 1, "server", "no such field"),
        ("\n\nLISTEN = 1\n" + ROUTE, 3, "LISTEN", "no such field"),
        ('trusted_proxies = ["10.0.0.0/8", "10.1.2.3/8"]\n' + ROUTE, 1, "trusted_proxies[1]", "has host bits"),
        ('forward_auth = "apache"\n' + ROUTE, 1, "forward_auth", "traefik"),
        ('[credentials]\nsource = "magic"\n' + ROUTE, 2, "credentials.source", "environment"),
        ("[endpoints]\nhealthz = '/metrics'\n" + ROUTE, 1, "endpoints.metrics", "same path"),
        ("[endpoints]\nsign = '/sign/'\n" + ROUTE, 2, "endpoints.sign", "without a slash at its end"),
        ('access_log = "a\\u0000b"\n' + ROUTE, 1, "access_log", "a file's path"),
        ('access_log = ""\n' + ROUTE, 1, "access_log", "a file's path"),
        ('listen = "unix:/a\\u0000b"\n' + ROUTE, 1, "listen", "HOST:PORT"),
        ('[tls]\ncertificate = "a"\nkey = "a\\u0000"\n' + ROUTE, 3, "tls.key", "a file's path"),
        ("[bulk]\nmax_rows = 0\n" + ROUTE, 2, "bulk.max_rows", "greater than"),
        (ROUTE + 'path = "img/"\n', 5, "route[0].path", "begin and end with a slash"),
        (ROUTE + 'path = "/a/../b/"\n', 5, "route[0].path", "without . or .."),
        (ROUTE + 'path = "/%61/"\n', 5, "route[0].path", "not percent-encoded"),
        (ROUTE + 'expires = "1y"\n', 5, "route[0].expires", "is not a duration"),
        (ROUTE + "expires = 0\n", 5, "route[0].expires", "is not a duration"),
        (ROUTE + "expires = true\n", 5, "route[0].expires", "is not a duration"),
        (ROUTE + 'methods = ["get"]\n', 5, "route[0].methods[0]", "'GET'"),
        (ROUTE + 'methods = []\n', 5, "route[0].methods", "at least 1"),
        (ROUTE.replace("examplebucket-1250000000", "examplebucket"), 3, "route[0].bucket", "APPID"),
        (ROUTE.replace("ap-beijing", "ap_beijing"), 4, "route[0].region", "region"),
        ('[[route]]\nname = "all"\n', 1, "route[0]", "bucket"),
        (ROUTE.replace('"all"', '"a b"'), 2, "route[0].name", "pattern"),
        (ROUTE + ROUTE.replace("[[route]]", '[[route]]\npath = "/b/"'), 7, "route[1].name", "same"),
        (ROUTE + ROUTE.replace('"all"', '"b"'), 5, "route[1].path", "same"),
        (ROUTE + '[[caller]]\nname = "bob"\n', 5, "caller[0]", "nobody can be this caller"),
        (ROUTE + CALLER + CALLER.replace("bob", "eve"), 10, "caller[1].anonymous", "already"),
        (ROUTE + CALLER + CALLER.replace("anonymous = true", f'token_sha256 = "{"0" * 64}"'), 9, "caller[1].name", "same"),
        (ROUTE + '[[caller]]\nname = "bob"\ntoken_sha256 = "abc"\n', 7, "caller[0].token_sha256", "64 hexadecimal"),
        (ROUTE + '[[caller]]\nname = "bob"\ntoken = "abc"\n', 7, "caller[0].token", "no such field"),
        (ROUTE + CALLER + 'certificate = "CN=b"\n', 8, "caller[0].certificate", "client_certificate"),
        (ROUTE + CALLER + 'secret_id = "AKIDx"\n', 8, "caller[0].secret_id", "secret_key_env"),
        (ROUTE + CALLER + 'secret_key_env = "X"\n', 8, "caller[0].secret_key_env", "needs a secret_id"),
        (ROUTE + CALLER + 'secret_id = "A"\nsecret_key_env = "NOT_SET_ANYWHERE"\n', 9, "caller[0].secret_key_env", "not set"),
        (ROUTE + CALLER + 'secret_id = "A"\nsecret_key_file = "/no/such"\n', 9, "caller[0].secret_key_file", "cannot be read"),
        (ROUTE + CALLER + 'secret_id = "A"\nsecret_key_file = "a"\nsecret_key_env = "b"\n', 9, "caller[0].secret_key_file", "with"),
        (ROUTE + CALLER + "rate = 0\n", 8, "caller[0].rate", "greater than 0"),
        (ROUTE + CALLER + "rate = 1e-10\n", 8, "caller[0].rate", "more than a year"),
        (ROUTE + CALLER + "rate = 0.1\nburst = 10000000\n", 8, "caller[0].rate", "more than a year"),
        (ROUTE + CALLER + "burst = 5\n", 8, "caller[0].burst", "needs a rate"),
        (ROUTE + CALLER + '[[caller.allow]]\nprefixes = ["a/"]\n', 8, "caller[0].allow[0].routes", "is missing"),
        (ROUTE + CALLER + '[[caller.allow]]\nroutes = ["all"]\n', 8, "caller[0].allow[0].prefixes", "is missing"),
        (ROUTE + CALLER + ALLOW.replace('"all"', '"none"'), 9, "caller[0].allow[0].routes", "no route 'none'"),
        (ROUTE + 'prefix = "b/"\n' + CALLER + ALLOW, 11, "caller[0].allow[0].prefixes", "no key of these routes"),
        (ROUTE + 'round_to = "5m"\n' + CALLER + ALLOW + 'max_expires = "5m"\n', 12, "caller[0].allow[0].max_expires", "round_to"),
    ],
)  # fmt: skip
def test_each_problem_has_its_line_and_field(tmp_path: Path, text: str, line: int, field: str, what: str) -> None:
    [said] = problems(tmp_path, text)
    place, _, rest = said.partition(": ")
    if line == 0:
        place, rest = "0", said
    assert (int(place), rest.partition(": ")[0]) == (line, field), said
    assert what in rest


def test_a_certificate_is_checked_with_its_key(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    certificate, other = (trustme.CA().issue_cert("gw.example.com") for _ in range(2))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    path = tmp_path / "gateway.toml"

    def wrong(text: str) -> list[str]:
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_usable_config(str(path))
        return [line.removeprefix(f"{path}:") for line in str(caught.value).split("\n")]

    text = f'[tls]\ncertificate = "{chain}"\nkey = "{key}"\n' + ROUTE
    assert wrong(text) == ["2: tls.certificate: cannot be read: No such file or directory"]
    chain.write_bytes(certificate.cert_chain_pems[0].bytes())
    assert wrong(text) == ["3: tls.key: cannot be read: No such file or directory"]
    private_key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    form, locked = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"sesame")
    for wrong_key in (
        other.private_key_pem.bytes(),
        private_key.private_bytes(serialization.Encoding.PEM, form, locked),
        chain.read_bytes(),
        b"",
    ):
        key.write_bytes(wrong_key)
        [said] = wrong(text)
        assert said.startswith("3: tls.key: does not go with the certificate")
    key.write_bytes(certificate.private_key_pem.bytes())
    path.write_text(text)
    assert load_usable_config(str(path)).tls is not None
    key.unlink()
    assert load(path).tls is not None  # as a worker does: it must start while a certificate is renewed


def test_all_problems_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(tmp_path, "workers = 0\n" + ROUTE + 'expires = "x"\nbad = 1\n' + CALLER + "rate = -1\n")
    assert [int(each.partition(":")[0]) for each in found] == [1, 6, 7, 11]


def test_files_that_are_none(tmp_path: Path) -> None:
    for content, what in (
        (b"listen = ", "is not TOML"),
        (b"a = 1\na = 2\n", "is not TOML"),
        (b"\xff", "is not UTF-8"),
        (b"[[route]\n", "is not TOML"),
        (b"workers = " + b"9" * 5000, "cannot be read as TOML"),
        (b"a = " + b"[" * 3000, "cannot be read as TOML"),
    ):
        (tmp_path / "gateway.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=what):
            load(tmp_path / "gateway.toml")
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)


def test_no_secret_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAROLS_KEY", "a key with spaces")
    wrong = POLICY.replace('name = "alice"', 'name = "alice"\ntoken = "sesame"')
    said = "\n".join(problems(tmp_path, wrong))
    assert "sesame" not in said
    assert "token" in said
    [said] = problems(tmp_path, POLICY)
    assert "key with" not in said
    assert "secret_key holds a space" in said


@pytest.mark.parametrize("text, seconds", [(5, 5), ("5", 5), ("5s", 5), ("15m", 900), ("2h", 7200), ("7d", 604800)])
def test_durations(text: object, seconds: int) -> None:
    assert duration(text) == seconds


# --- Lines


def brute_line(text: str, place: tuple[str | int, ...]) -> int:
    """The first line up to which the file says anything of a field: by parsing all that stands before."""
    lines = text.split("\n")
    for count in range(1, len(lines) + 1):
        try:
            value: Any = tomllib.loads("\n".join(lines[:count]))
            for step in place:
                value = value[step]
        except (tomllib.TOMLDecodeError, LookupError, TypeError):
            continue
        return count
    return 0


ODD_TOML = """# a comment with [[route]] and name = "x"
listen = "127.0.0.1:8080"  # [not.a.table]
hosts = [
  "a[b",  # ]
  'c"d',
]
"quoted name" = 1
credentials = { source = "sts", policy = '''
[[route]]
name = "not this"
''', duration = 900 }

[endpoints] # a comment
sign = "/sign"
dotted.inner = 5

[[route]]
name = "one"
explain = QQQ
[[caller]]
= ] [
QQQ
params = ["a", [
  "b" ] ]
[route.credentials]
source = "file"

[[ route ]]
  name = "two"\r
[[caller]]
name = "bob"
  [[caller.allow]]
  routes = ["one"]
  [[caller.allow]]
  prefixes = [ "x" ]
[[caller]]
[[caller.allow]]
routes = ["two"]
"""


def all_places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else []
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        items = enumerate(value)
    for name, each in items:
        yield from all_places(each, (*place, name))


def test_lines_of_odd_files() -> None:
    text = ODD_TOML.replace("QQQ", '"""')
    lines = find_lines(text)
    inline = {("credentials", name) for name in ("source", "policy", "duration")}
    expected = {}
    for place in all_places(tomllib.loads(text)):
        if place and place not in inline:
            expected[place] = brute_line(text, place)
    # A value of several lines is there as soon as it begins.
    begins = {
        ("route", 1, "name"): 29,
        ("hosts",): 3,
        ("credentials",): 8,
        ("route", 0, "explain"): 19,
        ("route", 0, "params"): 23,
    }
    assert {place: lines.get(place) for place in expected} == {**expected, **begins}
    assert line_of(("route", 0, "params", 1), lines) == 23
    assert line_of(("credentials", "policy"), lines) == 8
    assert line_of(("caller", 7, "name"), lines) == lines.get(("caller",), 0)


def test_fifty_mistakes_among_four_hundred_callers(tmp_path: Path) -> None:
    """Each has its line; the file is read once, whatever is wrong with it."""
    text = ROUTE + "".join(
        f'[[caller]]\nname = "c{number}"\ntoken_sha256 = "{number:064x}"\n[[caller.allow]]\nroutes = ["all"]\n'
        f'{"prefixs" if number % 8 == 3 else "prefixes"} = ["a/"]\n'
        for number in range(400)
    )
    found = problems(tmp_path, text)
    assert len(found) == 100
    assert found[:2] == [
        "26: caller[3].allow[0].prefixes: is missing",
        "28: caller[3].allow[0].prefixs: there is no such field",
    ]
    for line in found:
        number = int(line.partition("caller[")[2].partition("]")[0])
        assert int(line.partition(":")[0]) in (4 + number * 6 + 4, 4 + number * 6 + 6)


# --- What never takes effect


def test_what_never_takes_effect_is_warned_of(tmp_path: Path) -> None:
    text = (
        ROUTE
        + ROUTE.replace('"all"', '"spare"') + 'path = "/spare/"\n'
        + CALLER + ALLOW + 'methods = ["PUT"]\n'
        + '[[caller]]\nname = "idle"\ntoken_sha256 = "' + "0" * 64 + '"\n'
    )  # fmt: skip
    (tmp_path / "gateway.toml").write_text(text)
    assert list(warnings_of(load(tmp_path / "gateway.toml"))) == [
        "nobody may use the route spare: no caller's rule names it",
        "rule 1 of the caller bob never takes effect: its routes accept GET, HEAD, and it allows PUT",
        "the caller idle may do nothing: it has no [[caller.allow]]",
    ]
    (tmp_path / "gateway.toml").write_text(ROUTE + CALLER + ALLOW)
    assert list(warnings_of(load(tmp_path / "gateway.toml"))) == []


def test_a_gateway_without_credentials_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("COS_SECRET_ID", "COS_SECRET_KEY", "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "gateway.toml"
    path.write_text('[credentials]\nsource = "environment"\n' + ROUTE + CALLER + ALLOW)
    assert serve(str(path), check=True) == 0
    said = capsys.readouterr()
    assert "warning: there are no credentials for the route all: no credentials: set the environment" in said.err
    assert "serves / -> examplebucket" in said.out
    monkeypatch.setenv("COS_SECRET_ID", "A")
    monkeypatch.setenv("COS_SECRET_KEY", "k")
    assert serve(str(path), check=True) == 0
    assert capsys.readouterr().err == ""


def test_a_running_gateway_without_credentials_says_so(tmp_path: Path) -> None:
    text = 'listen = "127.0.0.1:0"\n[credentials]\nsource = "environment"\n' + ROUTE + CALLER + ALLOW
    with serving(tmp_path / "gateway.toml", text, workers=2, COS_SECRET_ID="", COS_SECRET_KEY="") as served:
        served.says("warning: there are no credentials for the route all")
        served.reload(text, "reloaded")
    assert sum("there are no credentials" in line for line in served.said) == 1


def test_a_host_that_is_not_signed(tmp_path: Path) -> None:
    """For a CDN that asks the bucket by another name."""
    (tmp_path / "gateway.toml").write_text(ROUTE + "sign_host = false\n" + CALLER + ALLOW)
    gateway = Gateway(tmp_path / "gateway.toml", credentials=Credentials("AKIDEXAMPLE", "example-key"))
    status, headers, _ = ask(gateway, "/a/b.jpg", {})
    assert status == 302
    assert "&q-header-list=&" in headers["location"]

"""gateway.toml: what is wrong is told with its line and its field, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cossign import CosSignError, Credentials
from cossign.gateway import Config, ConfigError, Gateway, load
from cossign.key_time import duration
from tests.gateway.serving import POLICY

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


def test_all_problems_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(tmp_path, "workers = 0\n" + ROUTE + 'expires = "x"\nbad = 1\n' + CALLER + "rate = -1\n")
    assert [int(each.partition(":")[0]) for each in found] == [1, 6, 7, 11]


def test_files_that_are_none(tmp_path: Path) -> None:
    for content, what in (
        (b"listen = ", "is no TOML"),
        (b"a = 1\na = 2\n", "is no TOML"),
        (b"\xff", "is not UTF-8"),
        (b"[[route]\n", "is no TOML"),
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

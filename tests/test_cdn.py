"""Links for a CDN: the documents' examples, odd paths beside a computation of our own, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from cossign import CosSignError, KeyNameError, MalformedSignature, ParameterError, SignatureExpired, SignatureMismatch
from cossign.cdn import CdnSigner

KEY, OTHER_KEY = "DvYmqE81E1F9R791H6lmht", "backup99Key"
HOST = "cdn.example.com"
NOW = 1_721_029_907
KINDS = ("A", "B", "C", "D")


def signer(kind: str, **named: Any) -> CdnSigner:
    return CdnSigner(kind, key=KEY, host=HOST, **named)


def by_hand(kind: str, path: str, timestamp: int, rand: str) -> str:
    """A link as the documents say, with the standard library alone."""
    sent = "/" + quote(path.removeprefix("/"), safe="/-_.~")
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731
    if kind == "A":
        return f"https://{HOST}{sent}?sign={timestamp}-{rand}-0-{md5(f'{sent}-{timestamp}-{rand}-0-{KEY}')}"
    if kind == "B":
        china = datetime.fromtimestamp(timestamp, timezone(timedelta(hours=8))).strftime("%Y%m%d%H%M")
        return f"https://{HOST}/{china}/{md5(KEY + china + sent)}{sent}"
    if kind == "C":
        return f"https://{HOST}/{md5(f'{KEY}{sent}{timestamp:x}')}/{timestamp:x}{sent}"
    return f"https://{HOST}{sent}?sign={md5(f'{KEY}{sent}{timestamp}')}&t={timestamp}"


def test_the_documents_examples() -> None:
    """EdgeOne, kinds B, C and D (product 1552, pages 109330 to 109332)."""
    at_1533 = int(datetime(2024, 7, 15, 15, 33, tzinfo=timezone(timedelta(hours=8))).timestamp())
    b = f"https://{HOST}/202407151533/d1f0b51c6894231fc12e054fcc7f0b3e/foo.jpg"
    assert signer("B").sign("/foo.jpg", timestamp=at_1533 + 59) == b
    c = f"https://{HOST}/6688749e8906a726c12fe1be3aacd016/6694d30a/foo.jpg"
    assert signer("C").sign("/foo.jpg", timestamp=0x6694D30A) == c
    d = f"https://{HOST}/foo.jpg?sign=cadcec4a04e67b9c2abf4b61c642a0dd&t=1721029907"
    assert signer("D").sign("/foo.jpg", timestamp=1721029907) == d
    assert signer("B").verify(b, now=at_1533).timestamp == at_1533
    assert signer("C").verify(c, now=NOW).path == signer("D").verify(d, now=NOW).path == "/foo.jpg"


PATHS = [
    "foo.jpg", "/foo.jpg", "a b/c+d.jpg", "照片/头像 (1).jpg", "a%20b", "a?b=c&d", "a#b", "a//b/", "", "/", "x;y:z@!$'*,=", ".hidden/..x/x..", "~-_.",
    "line\nbreak", "\u00e9\u0301", "a\\b", "{}|^`<>\"",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_odd_paths_alone_and_in_bulk(kind: str) -> None:
    made = signer(kind)
    links = [made.sign(path, timestamp=NOW, rand="r4nd") for path in PATHS]
    assert links == [by_hand(kind, path, NOW, "r4nd") for path in PATHS]
    bulk = made.sign_many(iter(PATHS), timestamp=NOW)
    for link, single, path in zip(bulk, links, PATHS, strict=True):
        assert kind == "A" or link == single
        for each in (link, single, each_target(link)):
            verified = made.verify(each, now=NOW)
            assert verified.path == "/" + path.removeprefix("/")
            assert verified.timestamp == (NOW - NOW % 60 if kind == "B" else NOW)
            assert verified.expires_at == verified.timestamp + 1800
    usual = [f"photos/{number}.jpg" for number in range(1000)]
    assert [made.verify(link).path for link in made.sign_many(usual)] == [f"/{path}" for path in usual]
    assert made.sign_many([]) == []


def each_target(link: str) -> str:
    return link.removeprefix(f"https://{HOST}")


@pytest.mark.parametrize("kind", KINDS)
@given(
    path=st.text(max_size=40),
    timestamp=st.integers(1_000_000_000, 4_000_000_000),
    rand=st.from_regex("[A-Za-z0-9]{0,100}", fullmatch=True),
)
def test_any_path(kind: str, path: str, timestamp: int, rand: str) -> None:
    made = signer(kind)
    try:
        link = made.sign(path, timestamp=timestamp, rand=rand)
    except KeyNameError:
        return
    assert link == by_hand(kind, path, timestamp, rand)
    assert made.verify(link, now=timestamp).path == "/" + path.removeprefix("/")


@pytest.mark.parametrize("kind", KINDS)
def test_any_change_of_a_link_is_found(kind: str) -> None:
    made = signer(kind)
    link = made.sign("photos/a b.jpg", timestamp=NOW, rand="r4nd", query={"w": 100})
    assert link.endswith(("w=100", "?w=100"))
    assert made.verify(link, now=NOW).path == "/photos/a b.jpg"
    start = len(f"https://{HOST}/")
    end = link.index("w=100") - 1
    for place in range(start, end):
        for replacement in {"0", "f", "x", "-", "/"} - {link[place]}:
            with pytest.raises((MalformedSignature, SignatureMismatch)):
                made.verify(link[:place] + replacement + link[place + 1 :], now=NOW)
    assert made.verify(link.replace("w=100", "w=9"), now=NOW)  # parameters are not part of the digest
    with pytest.raises(SignatureMismatch):
        CdnSigner(kind, key=OTHER_KEY, host=HOST).verify(link, now=NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_when_a_link_ends(kind: str) -> None:
    made = signer(kind, validity="30m")
    link = made.sign("a.jpg", timestamp=NOW)
    begins = NOW - NOW % 60 if kind == "B" else NOW
    assert made.verify(link, now=begins + 1799).expires_at == begins + 1800
    with pytest.raises(SignatureExpired) as caught:
        made.verify(link, now=begins + 1800)
    assert caught.value.key_time == (begins, begins + 1800)
    assert made.verify(link, now=begins + 1800, validity=timedelta(hours=1))
    assert made.verify(link, now=begins - 10**6)  # as the CDN does
    with time_machine.travel(NOW, tick=False):
        assert made.sign("a.jpg", rand="1") == made.sign("a.jpg", timestamp=NOW, rand="1")
        assert made.verify(made.sign("a.jpg"))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/Lima"])
def test_kind_b_is_in_the_time_of_china_everywhere(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(time, "tzset"):
        pytest.skip("this system has no tzset")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        link = signer("B").sign("a.jpg", timestamp=NOW)
        assert "/202407151551/" in link
        assert signer("B").verify(link, now=NOW).timestamp == NOW - NOW % 60
    finally:
        monkeypatch.undo()
        time.tzset()


def test_names_times_and_keys_of_the_configuration() -> None:
    made = signer("D", sign_name="k", time_name="when", hex_time=True, scheme="http", backup_key=OTHER_KEY)
    link = made.sign("a.jpg", timestamp=NOW, query={"sign": "x", "t": "1"})
    assert link.startswith(f"http://{HOST}/a.jpg?k=")
    assert "&when=6694d513&sign=x&t=1" in link
    assert made.verify(link, now=NOW)
    backup = CdnSigner("D", key=OTHER_KEY, host=HOST, sign_name="k", time_name="when", hex_time=True)
    assert made.verify(backup.sign("a.jpg", timestamp=NOW), now=NOW)
    with pytest.raises(SignatureMismatch):
        backup.verify(link, now=NOW)
    assert (
        signer("A", sign_name="auth")
        .sign("a.jpg", timestamp=NOW, rand="")
        .startswith(f"https://{HOST}/a.jpg?auth={NOW}--0-")
    )
    assert signer("D").sign("/a%20b.jpg", timestamp=NOW, is_encoded=True) == signer("D").sign("a b.jpg", timestamp=NOW)


@pytest.mark.parametrize(
    "named, said",
    [
        ({"kind": "E"}, "kind must be"), ({"kind": None}, "kind must be"), ({"key": "short"}, "key must be 6 to 40"), ({"key": "hidden-key"}, "key must be"), ({"key": None}, "key must be"),
        ({"backup_key": "x" * 41}, "backup_key must be"), ({"host": "h/base"}, "host"), ({"host": ""}, "host"), ({"scheme": "ftp"}, "scheme"), ({"validity": 0}, "validity"), ({"validity": "soon"}, "validity"),
        ({"sign_name": "a b"}, "sign_name"), ({"kind": "D", "time_name": "sign"}, "time_name must differ"), ({"uid": "a-b"}, "uid"), ({"hex_time": 1}, "hex_time"),
    ],
)  # fmt: skip
def test_parameters_are_named(named: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said) as caught:
        CdnSigner(**{"kind": "A", "key": KEY, "host": HOST, **named})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "path, named, said",
    [
        (5, {}, "must be a str, not int"), ("a/../b", {}, "dot segment"), ("..", {}, "dot segment"), ("./a", {}, "dot segment"), ("\ud800", {}, "lone surrogate"), ("a b", {"is_encoded": True}, "percent-encoded"),
        ("a%2", {"is_encoded": True}, "percent-encoded"), ("a/./b", {"is_encoded": True}, "dot segment"), ("a", {"rand": "a-b"}, "rand must be"), ("a", {"rand": "x" * 101}, "rand"), ("a", {"timestamp": -1}, "timestamp"),
        ("a", {"timestamp": float("nan")}, "timestamp"), ("a", {"timestamp": "1"}, "timestamp"), ("a", {"timestamp": NOW * 10**6}, "timestamp"),
    ],
)  # fmt: skip
def test_paths_and_times_that_are_refused(path: Any, named: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        signer("A").sign(path, **named)
    if not named:
        for others in (["ok.jpg", path], ["ok.jpg", path, "a\nb"]):
            with pytest.raises(ParameterError, match=said) as caught:
                signer("A").sign_many(others)
            assert caught.value.index == 1
    for wrong in ("abc", b"abc", 5, None):
        with pytest.raises(ParameterError, match="paths must be an iterable of str"):
            signer("A").sign_many(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "link",
    [
        "", "/", "x", f"https://{HOST}", f"https://{HOST}/", "https://other.example.com/a?sign=1&t=1", "/a?sign=1-2-3", "/a?sign=", "/a?sign=1&sign=2&t=1", "/a?t=1&sign=" + "0" * 32, "/a?sign=1&t=99999999999999999999",
        "/999999999999/" + "0" * 32 + "/a", "/202413010000/x/a", "/x/y/z", "/" + "0" * 32 + "/zz/a", "/ a", "/\u00e9", "/a" * 50_000, "/a?sign=x-y-0-z", "/a?sign=1-2-3-4-5", "/a\x00", "//", "///",
        "/ 20240715153/x/a", "/-1/x/y",
    ],
)  # fmt: skip
def test_links_that_are_none(kind: str, link: str) -> None:
    with pytest.raises((MalformedSignature, SignatureMismatch)) as caught:
        signer(kind).verify(link, now=NOW)
    assert KEY not in str(caught.value)


@given(st.sampled_from(KINDS), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_no_link(kind: str, path: str, query: str) -> None:
    with pytest.raises(CosSignError):
        signer(kind).verify(f"/{path}?{query}", now=NOW)


def test_the_key_is_never_shown() -> None:
    made = signer("A", backup_key=OTHER_KEY)
    assert repr(made) == f"CdnSigner('A', key=<secret>, host={HOST!r})"
    with pytest.raises(TypeError, match="leaked secret"):
        pickle.dumps(made)


@pytest.mark.parametrize("now", [float("nan"), "1", True, -1])
def test_times_that_are_none(now: Any) -> None:
    made = signer("D")
    with pytest.raises(ParameterError, match="now must be Unix seconds"):
        made.verify(made.sign("a.jpg"), now=now)


def test_names_that_the_link_has() -> None:
    for kind, name in (("A", "sign"), ("D", "sign"), ("D", "t")):
        with pytest.raises(ParameterError, match=f"query must not have '{name}'"):
            signer(kind).sign("a.jpg", query={name: "1"})
    assert signer("C").sign("a.jpg", query={"sign": "1"}).endswith("?sign=1")


@pytest.mark.parametrize("path", ["a/%2e%2e/b", "a/.%2E/b", "%2e/b"])
def test_dots_that_browsers_take_out(path: str) -> None:
    with pytest.raises(KeyNameError):
        signer("D").sign(path, is_encoded=True)


@pytest.mark.parametrize(
    "kind, url",
    [
        ("B", "/202611301200/abc/x"),
        ("C", "/docs/6b0d2c35/x"),
        ("D", "/a?sign=1&t=1795040373"),
        ("A", "/a?sign=1795040373-r-0-1"),
    ],
)
def test_a_path_whose_digest_is_not_one_is_not_a_link(kind: str, url: str) -> None:
    with pytest.raises(MalformedSignature, match="the digest must be an MD5"):
        CdnSigner(kind, key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com").verify(url)


@pytest.mark.parametrize("timestamp", [0, 999_999_999, 1 << 32])
def test_a_time_of_another_length_is_not_signed(timestamp: int) -> None:
    with pytest.raises(ParameterError, match="timestamp"):
        CdnSigner("D", key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com").sign("a", timestamp=timestamp)


@pytest.mark.parametrize("kind", ["C", "D"])
def test_a_digit_does_not_move_from_the_path_to_the_time(kind: str) -> None:
    """Nothing stands between them in what is hashed."""
    signer = CdnSigner(kind, key="DvYmqE81E1F9R791H6lmht", host="cdn.example.com")
    link = signer.sign("photos/a9", timestamp=1795040373)
    signer.verify(link, now=1795040374)
    moved = link.replace("t=1", "t=91").replace("/photos/a9", "/photos/a")
    if kind == "C":
        moved = re.sub("/([0-9a-f]{8})/photos/a9", r"/9\1/photos/a", link)
    assert moved != link
    with pytest.raises(MalformedSignature, match="the time must be Unix seconds of"):
        signer.verify(moved, now=1795040374)

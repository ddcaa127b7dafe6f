"""verify and verify_many: what they accept, and that they reject every change."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import random
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from cossign import (
    COS,
    BadSignature,
    Credentials,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    SignatureRefused,
    SignatureRevoked,
    Signer,
    UnknownSecretId,
    Verified,
    Verifier,
)
from cossign._verify import Judge
from cossign.engine import chosen_engine
from tests import reference
from tests.conftest import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY, scaled
from tests.test_signer import KEYS

pytestmark = pytest.mark.usefixtures("engine")  # all of it by every engine


@given(
    KEYS,
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), KEYS, max_size=3),
    st.sampled_from(["GET", "PUT", "HEAD"]),
)
def test_verify_accepts_what_is_signed(key: str, query: dict[str, str], method: str) -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY, token="t/+="), bucket=BUCKET, region=REGION)
    names = [name.encode().lower() for name in query]
    if any(name.startswith(b"q-") or name in (b"sign", b"x-cos-security-token") for name in names):
        return
    verified = signer.verify(signer.presign(key, method=method, query=query), method=method)
    assert (verified.key, verified.method, verified.secret_id) == (key, method, SECRET_ID)
    cos = COS(SecretId=SECRET_ID, SecretKey=SECRET_KEY, SecurityToken="t/=")
    url = cos.getObjectUrl(Bucket=BUCKET, Region=REGION, Key=key, Query=query, Method=method)
    assert url is not None
    accepting = {SECRET_ID: Credentials(SECRET_ID, SECRET_KEY)}
    assert signer.verify(url, method=method, credentials=accepting).key == key
    authorization = signer.authorization(method, key, query=query)
    plain = signer.object_url(key, query=query)
    headers = {"Authorization": authorization, "x-cos-security-token": "t/+="}
    assert signer.verify(plain, method=method, headers=headers).key == key
    joined = plain + ("&" if "?" in plain else "?") + "sign=" + quote(authorization, safe="")
    assert signer.verify(joined + "&x-cos-security-token=t%2F%2B%3D", method=method).key == key


def same_meaning(before: str, after: str) -> bool:
    """Whether two URLs differ only in the case of hex digits, in that of names that COS compares without case, or in
    how an empty value or an empty end is written."""

    def normal(url: str) -> tuple[str, list[str]]:
        head, _, query = url.partition("#")[0].partition("?")
        parts = []
        for part in filter(None, query.split("&")):
            name, _, value = part.partition("=")
            listed = name.lower() in ("q-header-list", "q-url-param-list")
            parts.append(unquote(name).lower() + "=" + (unquote(value).lower() if listed else unquote(value)))
        scheme, _, rest = head.partition("://")
        return scheme.lower() + "://" + unquote(rest), parts

    return normal(before) == normal(after)


def test_verify_rejects_every_one_byte_change() -> None:
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY, token="tok"), bucket=BUCKET, region=REGION)
    url = signer.presign(
        "a b/腾+%.jpg", query={"response-Content-type": "text/plain; x", "z": ""}, headers={"Range": "bytes=0-9"}
    )
    headers = {"Range": "bytes=0-9"}
    assert signer.verify(url, headers=headers).key == "a b/腾+%.jpg"
    accepted = []
    for place in range(len(url)):
        for byte in {
            "A",
            "a",
            "0",
            "9",
            "%",
            "&",
            "=",
            ";",
            "/",
            "+",
            " ",
            "#",
            "?",
            "~",
            "\n",
            "\x80",
            chr(ord(url[place]) ^ 1),
            url[place].swapcase(),
        }:
            changed = url[:place] + byte + url[place + 1 :]
            if byte == url[place]:
                continue
            try:
                signer.verify(changed, headers=headers)
            except BadSignature:
                continue
            accepted.append(changed)
    assert all(same_meaning(url, changed) for changed in accepted), [
        changed for changed in accepted if not same_meaning(url, changed)
    ]
    assert any(accepted), "hex digits in the other case mean the same"
    for place in range(len(url)):
        if url[:place] + url[place + 1 :] not in (url.replace("https", "http", 1), url.replace("&z=", "&z", 1)):
            with pytest.raises(BadSignature):
                signer.verify(url[:place] + url[place + 1 :], headers=headers)


def test_a_request_of_another_method_or_header_is_rejected(signer: Signer) -> None:
    url = signer.presign("a", method="PUT", headers={"x-cos-acl": "private"})
    assert signer.verify(url, method="put", headers={"X-COS-ACL": "private", "Accept": "*/*"})
    for method, headers in (("GET", {"x-cos-acl": "private"}), ("PUT", {"x-cos-acl": "public-read"}), ("PUT", {})):
        with pytest.raises(SignatureMismatch) as caught:
            signer.verify(url, method=method, headers=headers)
        assert caught.value.key_time is not None
    with pytest.raises(SignatureMismatch, match="'x-cos-acl' is signed, but not in the request"):
        signer.verify(url, method="PUT")
    with pytest.raises(SignatureMismatch):
        signer.verify(url, method="PUT", headers={"x-cos-acl": "private", "Host": "other.example.com"})


def test_lists_and_parameters_in_any_order_and_case(signer: Signer) -> None:
    url = signer.presign("k", query={"a": "1", "B": "2"}, headers={"Range": "x", "x-cos-a": "y"})
    headers = {"RANGE": "x", "X-Cos-A": "y"}
    assert signer.verify(url, headers=headers)
    changed = url.replace("q-header-list=host%3Brange%3Bx-cos-a", "Q-Header-List=X-Cos-A;host;Range")
    changed = changed.replace("q-url-param-list=a%3Bb", "q-url-param-list=B;a").replace("&a=1&B=2", "&b=2&A=1")
    assert changed.count("Q-Header-List") == changed.count("B;a") == changed.count("&b=2&A=1") == 1
    head, _, query = changed.partition("?")
    assert signer.verify(head + "?" + "&".join(reversed(query.split("&"))), headers=headers)


def test_the_sdks_synchronous_list_of_names(signer: Signer) -> None:
    """The JavaScript SDKs' return value leaves q-url-param-list un-encoded; its names are read all the same."""
    url = signer.presign("k", query={"a/b": "1", "c": "2"})
    assert signer.verify(url.replace("q-url-param-list=a%252fb%3Bc", "q-url-param-list=a%2fb;c")).url_param_list == (
        "a%2fb",
        "c",
    )


def test_unsigned_parameters_are_told(signer: Signer) -> None:
    url = signer.presign("k", query={"a": "1"}) + "&response-content-disposition=attachment;filename=图片.jpg&c+d"
    assert signer.verify(url).unsigned_params == ("response-content-disposition", "c d")
    with pytest.raises(SignatureMismatch, match="signed 1 times, but 2 times in the request"):
        signer.verify(signer.presign("k", query={"a": "1"}) + "&A=2")


def test_a_verified_signature_is_copied_whole(signer: Signer) -> None:
    verified = signer.verify(signer.presign("a.jpg", query={"versionId": "7"}) + "&later=1")
    copied = pickle.loads(pickle.dumps(verified))
    attributes = [name for name in dir(verified) if not name.startswith("_")]
    assert {"key", "http_string", "string_to_sign", "unsigned_params"} <= set(attributes)
    assert {name: getattr(copied, name) for name in attributes} == {
        name: getattr(verified, name) for name in attributes
    }


def test_plus_is_a_space_in_a_query_and_not_in_a_path(signer: Signer) -> None:
    url = signer.presign("a+b", query={"name": "x y"})
    assert signer.verify(url.replace("name=x%20y", "name=x+y").replace("a%2Bb", "a+b")).key == "a+b"


def test_time(signer: Signer) -> None:
    url = signer.presign("a", key_time=(1_700_000_000, 1_700_000_100))
    for moment in (1_700_000_000, 1_700_000_100.9):
        with time_machine.travel(moment, tick=False):
            assert signer.verify(url).key_time == (1_700_000_000, 1_700_000_100)
    with time_machine.travel(1_699_999_999, tick=False), pytest.raises(SignatureNotYetValid, match="1700000000"):
        signer.verify(url)
    with time_machine.travel(1_700_000_101, tick=False), pytest.raises(SignatureExpired, match="1700000100") as caught:
        signer.verify(url)
    assert caught.value.key_time == (1_700_000_000, 1_700_000_100)
    assert caught.value.string_to_sign is not None
    assert caught.value.http_string == f"get\n/a\n\nhost={HOST}\n"
    assert pickle.loads(pickle.dumps(caught.value)).key_time == caught.value.key_time


def test_q_sign_time_may_differ_from_q_key_time(signer: Signer) -> None:
    """SignKey is made of q-key-time, StringToSign of q-sign-time, and both have to hold."""
    values = reference.signed(SECRET_KEY, "get", "/a", [], [("Host", HOST)], "1700000000;1700009000")
    string_to_sign = values["string_to_sign"].replace("1700000000;1700009000", "1700001000;1700002000")
    import hashlib
    import hmac

    signature = hmac.new(values["sign_key"].encode(), string_to_sign.encode(), hashlib.sha1).hexdigest()
    authorization = reference.authorization(SECRET_ID, "1700000000;1700009000", {**values, "signature": signature})
    authorization = authorization.replace("q-sign-time=1700000000;1700009000", "q-sign-time=1700001000;1700002000")
    with time_machine.travel(1_700_001_500, tick=False):
        assert signer.verify(f"https://{HOST}/a", headers={"Authorization": authorization}).key_time == (
            1_700_001_000,
            1_700_002_000,
        )
    with time_machine.travel(1_700_003_000, tick=False), pytest.raises(SignatureExpired):
        signer.verify(f"https://{HOST}/a", headers={"Authorization": authorization})


def test_rotation(signer: Signer) -> None:
    old, new = Credentials("AKIDOLD", "old"), Credentials("AKIDNEW", "new")
    both = {"AKIDOLD": old, "AKIDNEW": new}
    for each in (old, new):
        url = Signer(each, bucket=BUCKET, region=REGION).presign("a")
        assert signer.verify(url, credentials=both).secret_id == each.secret_id
        assert signer.verify(url, credentials=each).secret_id == each.secret_id
        with pytest.raises(UnknownSecretId, match="AKID"):
            signer.verify(url)
    for wrong in ({"AKIDOLD": new}, {"AKIDOLD": "old"}):
        with pytest.raises(ParameterError, match="credentials must map"):
            signer.verify("https://a/b", credentials=wrong)


def test_a_wrong_key_and_a_wrong_token(credentials: Credentials) -> None:
    url = Signer(Credentials(SECRET_ID, SECRET_KEY, "token"), bucket=BUCKET, region=REGION).presign("a")
    with pytest.raises(SignatureMismatch, match="SecretKey") as caught:
        Signer(Credentials(SECRET_ID, "another")).verify(url)
    right = reference.signed(
        SECRET_KEY, "get", "/a", [], [("Host", HOST)], re.findall(r"q-key-time=([0-9%B]+)", url)[0].replace("%3B", ";")
    )
    assert right["signature"] not in str(caught.value) + repr(vars(caught.value)).replace(url, "")
    with pytest.raises(SignatureMismatch, match="token"):
        Signer(Credentials(SECRET_ID, SECRET_KEY, "nekot")).verify(url)
    with pytest.raises(SignatureMismatch, match="token"):
        Signer(Credentials(SECRET_ID, SECRET_KEY, "token")).verify(url.replace("&x-cos-security-token=token", ""))
    assert Signer(credentials).verify(url)


GOOD = "q-sign-algorithm=sha1&q-ak=A&q-sign-time=1;2&q-key-time=1;2&q-header-list=&q-url-param-list=&q-signature=x"


@pytest.mark.parametrize(
    "url, said",
    [
        ("", "https://"), ("ftp://a/b?" + GOOD, "https://"), ("a/b?" + GOOD, "https://"), ("https://h/a", "no signature"),
        ("https://h/a?" + GOOD.replace("q-ak=A&", ""), "q-ak is missing"), ("https://h/a?" + GOOD + "&q-ak=B", "q-ak is there twice"),
        ("https://h/a?" + GOOD.replace("sha1", "md5"), "q-sign-algorithm"), ("https://h/a?" + GOOD.replace("time=1;2", "time=1"), "Unix seconds"),
        ("https://h/a?" + GOOD.replace("time=1;2", "time=2;1"), "ends before"), ("https://h/a?" + GOOD.replace("time=1;2", "time=1;2.5"), "Unix seconds"),
        ("https://h/a?sign=abc", "missing"), ("https://h/\ud800?" + GOOD, "surrogate"),
    ],
)  # fmt: skip
@pytest.mark.any_engine
def test_malformed(signer: Signer, url: str, said: str) -> None:
    with pytest.raises(MalformedSignature, match=said):
        signer.verify(url)


@pytest.mark.parametrize("lone", [chr(0xD800), chr(0xDCFF)])  # the second is a byte that is not UTF-8, in sys.argv
@pytest.mark.any_engine
def test_lone_surrogates_beside_the_url(signer: Signer, lone: str) -> None:
    url = signer.presign("a")
    for headers in ({"Host": lone}, {f"x-{lone}": "a"}, {"Authorization": lone}, {"x-cos-security-token": lone}):
        with pytest.raises(MalformedSignature, match="a header is not valid Unicode"):
            signer.verify(url, headers=headers)
        [found] = signer.verify_many([url], headers=headers)
        assert isinstance(found, MalformedSignature)
    for name in ("require_headers", "require_params"):
        with pytest.raises(ParameterError, match=rf"{name} must hold valid Unicode"):
            signer.verify(url, **{name: [lone]})  # type: ignore[arg-type]


@given(st.text(max_size=60), st.sampled_from(["", "https://h/a?", "https://h/a?" + GOOD + "&"]))
def test_anything_is_judged(text: str, head: str) -> None:
    with pytest.raises(BadSignature):
        Signer(Credentials("B", "k")).verify(head + text)


def test_verify_many(signer: Signer) -> None:
    good = signer.presign_many([f"k{index}" for index in range(100)])
    results = signer.verify_many([*good, "nonsense", good[0] + "0", good[1]])
    assert [isinstance(result, Verified) for result in results] == [True] * 100 + [False, False, True]
    assert isinstance(results[100], MalformedSignature)
    assert isinstance(results[101], SignatureMismatch)
    first = results[0]
    assert isinstance(first, Verified)
    assert first.key == "k0"
    assert "k0" in repr(first)


@pytest.mark.parametrize("bad", ["https://one", None, 5])
@pytest.mark.any_engine
def test_verify_many_takes_an_iterable_of_str(signer: Signer, bad: Any) -> None:
    with pytest.raises(ParameterError, match="urls must be an iterable"):
        signer.verify_many(bad)
    with pytest.raises(ParameterError, match=r"urls\[1\] must be a str"):
        signer.verify_many(["https://a", 5])  # type: ignore[list-item]
    with pytest.raises(ParameterError, match="url must be a str"):
        signer.verify(b"https://a")  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", ["a", {"a": object()}, {1: "a"}, {"a": "x\r\n"}])
@pytest.mark.any_engine
def test_verify_refuses_bad_headers(signer: Signer, headers: Any) -> None:
    with pytest.raises(ParameterError, match="headers"):
        signer.verify("https://a/b", headers=headers)


def told(result: Any) -> tuple[Any, ...]:
    """All that a result says."""
    if isinstance(result, Verified):
        names = ("secret_id", "method", "key", "key_time", "header_list", "url_param_list", "unsigned_params")
        return *(getattr(result, name) for name in names), result.http_string, result.string_to_sign
    return type(result), str(result), result.key_time, result.http_string, result.string_to_sign


def one_by_one(
    signer: Signer, urls: list[str], method: str = "GET", headers: dict[str, str] | None = None, credentials: Any = None
) -> list[Any]:
    """Each URL judged by the close look, which takes nothing for granted."""
    judge = signer.verifier(credentials)._judge(method, headers)
    results: list[Any] = []
    for url in urls:
        try:
            results.append(judge.examine(url, int(time.time())))
        except BadSignature as error:
            results.append(error)
    return results


def changed(source: random.Random, url: str) -> str:
    """A URL with one thing in it that is otherwise."""
    at = source.randrange(len(url))
    kind = source.randrange(9)
    odd = (
        source.choice("&=;%+#?/:aZ0~. \né\x00") if kind < 4 else source.choice(["%3B", "%2f", "%2F", "&a=b", "&q-ak=1"])
    )
    if kind in (0, 4):
        return url[:at] + odd + url[at + 1 :]
    if kind in (1, 5):
        return url[:at] + odd + url[at:]
    if kind == 2:
        return url[:at] + url[at + 1 :]
    if kind == 3:
        return url[:at].upper() + url[at:]
    parts = url.split("&")
    if kind == 6:
        source.shuffle(parts)
    elif kind == 7:
        parts.append(source.choice(parts))
    else:
        parts.pop(source.randrange(len(parts)))
    return "&".join(parts)


@scaled("count", 200, 700)
@pytest.mark.parametrize("token", [None, "to/ken+=="])
def test_many_say_what_one_says(token: str | None, count: int) -> None:
    source = random.Random(20261124)
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY, token), bucket=BUCKET, region=REGION, strict=False)
    other = Signer(Credentials("AKIDother", "other"), bucket=BUCKET, region=REGION, strict=False)
    client = COS(SecretId=SECRET_ID, SecretKey=SECRET_KEY, SecurityToken=token, Domain="http://a.example:8080")
    queries = [{}, {}, {"versionId": "1 +&é"}, {"b": "1", "A": ""}, {"a b": "/~"}, {"x": 1, "X": "2"}]
    keys = ["a.jpg", "", "a b/é😀.txt", "/x", "a/../b", "%2F", "100%", "x" * 700, "a+b", "?#&"]
    where = {"Bucket": BUCKET, "Region": REGION}
    urls: list[str] = []
    with time_machine.travel(1_800_000_000, tick=False):
        for _ in range(count):
            key, query = source.choice(keys), source.choice(queries)
            span = source.choice([(1, 9_999_999_999), (1, 2), (9_999_999_998, 9_999_999_999), (12, 345_678_901)])
            named: Any = {"query": query, "key_time": span, "method": source.choice(["GET", "GET", "GET", "PUT"])}
            urls.append(source.choice([signer, signer, signer, other]).presign(key, **named))
            urls.append(client.getObjectUrl(**where, Key=key or "k", Query=query) or "")
            urls.append(signer.presign(source.choice(keys), expires=source.choice([60, 900])))
    urls += [changed(source, url) for url in urls for _ in range(2)]
    urls += ["", "https://", "https://h", "https://h/", "http://h/?", "/a?b", "https://h?/a", "ftp://h/a?b", "x" * 5000]
    with time_machine.travel(1_800_000_000, tick=False):
        wanted = [told(each) for each in one_by_one(signer, urls)]
        for threads in (1, 3):
            found = signer.verify_many(urls, threads=threads)
            assert [told(each) for each in found] == wanted
        assert found.bad == [row for row, each in enumerate(wanted) if isinstance(each[0], type)]
        assert 0.6 * count < len(urls) - len(found.bad) < len(urls) - 0.6 * count
        rotated = {
            each.secret_id: each
            for each in (Credentials(SECRET_ID, SECRET_KEY, token), Credentials("AKIDother", "other"))
        }
        wanted = [told(each) for each in one_by_one(signer, urls, credentials=rotated)]
        assert [told(each) for each in signer.verify_many(urls, credentials=rotated)] == wanted
        for named in ({"headers": {"Host": HOST}}, {"method": "put"}, {"headers": {"Range": "bytes=0-9"}}):
            wanted = [told(each) for each in one_by_one(signer, urls[:2000], **named)]
            assert [told(each) for each in signer.verify_many(urls[:2000], **named)] == wanted


@pytest.mark.parametrize("query", [{}, {"versionId": "1 +"}])
def test_one_batch_is_judged_as_its_urls_are(query: dict[str, Any], engine: str) -> None:
    """URLs that differ by key and signature alone are not taken apart; whatever else differs must still be seen."""
    source = random.Random(7)
    signer = Signer(
        Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION, strict=False, engine=engine, scheme="http"
    )
    keys = [
        source.choice(["a.jpg", "照片/é 😀", "a/../b", "x?y", "x#y", "%2F", "/x", "x" * 851, "a&q-ak=1", ""])
        + str(number)
        for number in range(1000)
    ]
    with time_machine.travel(1_800_000_000, tick=False):
        urls = signer.presign_many(keys, query=query)
        assert signer.verify_many(urls).bad == []
        for rows in (urls, urls[300:]):
            rows = [changed(source, url) if source.random() < 0.3 else url for url in rows]
            swapped = source.randrange(100, 600)
            rows[swapped] = rows[swapped - 1][:-40] + rows[swapped][-40:]  # the signature or the query of another
            wanted = [told(each) for each in one_by_one(signer, rows)]
            found = signer.verify_many(rows)
            assert [told(each) for each in found] == wanted
            assert 100 < len(found.bad) < 300
        # Escaped otherwise than a signer writes it, a key is still the same; raw, "?" and "#" end it
        same = [urls[0].replace("/", "/%61", 3).replace("/%61", "/", 2), urls[0].replace("%2F", "%2f")]
        rows = urls[:50] + [url.replace("%3F", "?").replace("%23", "#") for url in urls[50:100]] + same
        assert [told(each) for each in signer.verify_many(rows)] == [told(each) for each in one_by_one(signer, rows)]


def test_bad_rows_are_in_order_whichever_thread_is_done_first(signer: Signer) -> None:
    urls = ["nonsense"] * 8192 + ["nonsense", *signer.presign_many([f"{number}.jpg" for number in range(8191)])]
    assert signer.verify_many(urls, threads=2).bad == list(range(8193))  # the second share is judged much faster


def test_one_batch_expires_as_its_urls_do(signer: Signer) -> None:
    urls = signer.presign_many([f"{number}.jpg" for number in range(100)], key_time=(1_700_000_000, 1_700_000_900))
    for now, kind in (
        (1_699_999_999, SignatureNotYetValid), (1_700_000_000, Verified), (1_700_000_900, Verified),
        (1_700_000_901, SignatureExpired),
    ):  # fmt: skip
        with time_machine.travel(now, tick=False):
            assert {type(each) for each in signer.verify_many(urls)} == {kind}


def test_parameters_signed_out_of_order_are_rejected_by_many_as_by_one(signer: Signer) -> None:
    """Whoever signs b before a signs another HttpString than COS makes of the request, however the list stands."""
    span = "1;9999999999"
    sign_key = hmac.new(SECRET_KEY.encode(), span.encode(), "sha1").hexdigest().encode()

    def url(names: str) -> str:
        pairs = "&".join(f"{name}=1" for name in names.split(";"))
        http = f"get\n/k\n{pairs}\nhost={HOST}\n"
        string = f"sha1\n{span}\n{hashlib.sha1(http.encode()).hexdigest()}\n"
        return (
            f"https://{HOST}/k?q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={span}&q-key-time={span}&q-header-list=host"
            f"&q-url-param-list={names}&q-signature={hmac.new(sign_key, string.encode(), 'sha1').hexdigest()}&{pairs}"
        )

    urls = [url("a;b"), url("b;a"), url("a;ab"), url("ab;a"), url("a;b;c"), url("a;c;b")]
    assert signer.verify_many(urls).bad == [1, 3, 5]
    assert [isinstance(each, Verified) for each in one_by_one(signer, urls)] == [True, False] * 3


@pytest.mark.any_engine
def test_a_judgement_is_a_sequence(signer: Signer) -> None:
    from collections.abc import Sequence

    urls = [*signer.presign_many([f"{number}.jpg" for number in range(5000)]), "no URL", "https://h/?q-signature=1"]
    found = signer.verify_many(iter(urls))
    assert isinstance(found, Sequence)
    assert len(found) == 5002
    assert found.bad == [5000, 5001]
    assert (found[3].key, found[-3].key, found[0:3000:1000][2].key) == ("3.jpg", "4999.jpg", "2000.jpg")  # type: ignore[union-attr]
    assert isinstance(found[-1], MalformedSignature)
    for row in (5002, -5003):
        with pytest.raises(IndexError):
            found[row]
    assert repr(found) == "<5002 URLs judged, 2 bad>"
    with pytest.raises(ParameterError, match=r"urls\[1\] must be a str, not NoneType"):
        signer.verify_many(["https://h/", None])  # type: ignore[list-item]
    assert list(signer.verify_many([])) == []


# --- Terms


def test_skew(signer: Signer) -> None:
    urls = signer.presign_many(["a", "b", "c"], key_time=(1_700_000_000, 1_700_000_100))
    urls.append(urls[0] + "&x=1")  # judged by itself
    for now, skew, right in (
        (1_699_999_990, 9, False), (1_699_999_990, 10, True), (1_700_000_110, 10, True), (1_700_000_110, 9, False),
    ):  # fmt: skip
        with time_machine.travel(now, tick=False):
            assert signer.verify_many(urls, skew=skew).bad == ([] if right else [0, 1, 2, 3])
            if right:
                assert signer.verify(urls[0], skew=skew).key == "a"
            else:
                with pytest.raises((SignatureExpired, SignatureNotYetValid), match="with 9 s of allowance"):
                    signer.verify(urls[0], skew=skew)
    for bad in (-1, True, 1.5, "x", 366 * 86_400 + 1, 2**63, 2**70):
        for verify in (signer.verify, lambda url, skew: signer.verify_many([url], skew=skew)):
            with pytest.raises(ParameterError, match="skew"):
                verify(urls[0], skew=bad)  # type: ignore[operator]


def test_what_must_be_signed(credentials: Credentials) -> None:
    signer = Signer(credentials, bucket=BUCKET, region=REGION)
    loose = Signer(credentials, bucket=BUCKET, region=REGION, sign_host=False)
    url = signer.presign("a", query={"a b": "1", "versionId": "2"}, headers={"Range": "x"})
    given: Any = {"headers": {"Range": "x"}}
    assert signer.verify(url, **given, require_headers=("host",), require_params=("A b", "versionid"))
    assert signer.verify(url, **given, require_headers=["Host", "range"])
    with pytest.raises(SignatureRefused, match="the header 'Content-Length' must be signed, and is not") as caught:
        signer.verify(url, **given, require_headers=("host", "Content-Length"))
    assert caught.value.key_time is not None
    assert caught.value.http_string is not None
    with pytest.raises(SignatureRefused, match="the parameter 'uploadId' must be signed"):
        signer.verify(url, **given, require_params=("uploadId",))
    with pytest.raises(SignatureRefused, match="'host'"):
        loose.verify(loose.presign("a"), require_headers=("host",))
    many = [signer.presign("a"), loose.presign("a"), "nonsense", signer.presign("b")]
    found = signer.verify_many(many, require_headers=("host",))
    assert found.bad == [1, 2]
    assert [type(each) for each in found] == [Verified, SignatureRefused, MalformedSignature, Verified]
    for name in ("require_headers", "require_params"):
        for bad in ("host", 5, [5]):
            with pytest.raises(ParameterError, match=name):
                signer.verify(url, **{name: bad})


def test_at_most_so_long(signer: Signer) -> None:
    url = signer.presign("a", expires=3600)
    assert signer.verify(url, max_expires=3600)
    with pytest.raises(SignatureRefused, match="the signature is valid for 3600 s; the limit is 3599 s"):
        signer.verify(url, max_expires=3599)
    assert signer.verify_many([url, signer.presign("a", expires=60)], max_expires=900).bad == [0]
    for bad in (0, -1, True, "x"):
        with pytest.raises(ParameterError, match="max_expires"):
            signer.verify(url, max_expires=bad)  # type: ignore[arg-type]


def test_revocation(signer: Signer) -> None:
    urls = [signer.presign(key) for key in ("a", "b")]
    signature = signer.verify(urls[0]).signature
    assert signature == urls[0][-40:]
    assert signer.verify_many(urls)[0].signature == signature  # type: ignore[union-attr]
    assert signer.verify_many(urls, revoked=[signature]).bad == [0]
    assert signer.verify_many(urls, revoked={SECRET_ID}).bad == [0, 1]
    assert signer.verify_many(urls, revoked=lambda verified: verified.key == "b").bad == [1]
    assert signer.verify_many(urls, revoked=()).bad == []
    with pytest.raises(SignatureRevoked, match=f"the signature '{signature}' was revoked"):
        signer.verify(urls[0], revoked={signature: "leaked"})
    with pytest.raises(SignatureRevoked, match="SecretId"):
        signer.verify(urls[0], revoked=[SECRET_ID])
    with pytest.raises(SignatureRevoked, match="the signature was revoked"):
        signer.verify(urls[0], revoked=lambda verified: True)
    assert issubclass(SignatureRevoked, SignatureRefused)
    for bad in ("AKID", 5):
        with pytest.raises(ParameterError, match="revoked"):
            signer.verify(urls[0], revoked=bad)  # type: ignore[arg-type]


def test_a_wrong_signature_is_not_told_the_terms(signer: Signer) -> None:
    """Who cannot sign learns nothing of what is asked for."""
    url = signer.presign("a")[:-40] + "0" * 40
    with pytest.raises(SignatureMismatch):
        signer.verify(url, require_headers=("x-none",), max_expires=1, revoked=lambda _: True)


def test_several_credentials(signer: Signer) -> None:
    old, new = Credentials("AKIDOLD", "old"), Credentials("AKIDNEW", "new")
    urls = [Signer(each, bucket=BUCKET, region=REGION).presign("a") for each in (old, new)]
    assert signer.verify_many(urls, credentials=[old, new]).bad == []
    assert signer.verify(urls[0], credentials=(old, new)).secret_id == "AKIDOLD"
    assert signer.verify_many(urls, credentials=[new]).bad == [0]
    for bad in (5, "AKID"):
        with pytest.raises(ParameterError, match="credentials"):
            signer.verify(urls[0], credentials=bad)  # type: ignore[arg-type]


# --- The quick path and the close look --------------------------------------------------------------------------------


def outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    try:
        return told(call())
    except BadSignature as error:
        return told(error)


@pytest.mark.any_engine
@pytest.mark.parametrize("token", [None, "to/ken+=="])
@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Host": "www.example.com"}, {"host": HOST, "Range": "bytes=0-9"}, {"Host": HOST, "HOST": HOST},
        {"x-cos-security-token": "to/ken+=="}, {"Host": "a/b"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "terms",
    [
        {}, {"require_headers": ["Host"]}, {"require_headers": ["host", "range"]}, {"require_params": ["a", "B-1"]},
        {"max_expires": 100}, {"revoked": {SECRET_ID}}, {"revoked": lambda verified: verified.key.startswith("a")},
    ],
)  # fmt: skip
def test_a_quick_look_tells_what_a_close_one_tells(
    token: str | None, headers: dict[str, str], terms: dict[str, Any]
) -> None:
    chance = random.Random(20261129)
    credentials = Credentials(SECRET_ID, SECRET_KEY, token=token)
    signers = [
        Signer(credentials, bucket=BUCKET, region=REGION), Signer(credentials, domain="www.example.com"),
        Signer(credentials, bucket=BUCKET, region=REGION, sign_host=False),
        Signer(Credentials(SECRET_ID, "other"), bucket=BUCKET, region=REGION), Signer(credentials, domain="a"),
    ]  # fmt: skip
    urls = []
    for number in range(120):
        key = chance.choice(["a.jpg", "b c/\u4e2d.jpg", "x%41+", "~"])
        query = chance.choice([{}, {}, {"a": "1"}, {"b-1": "x y", "A": "/"}, {"a": "", "b-1": "\u4e2d"}])
        expires = chance.choice([50, 100, 101])
        url = chance.choice(signers).presign(key, query=query, expires=expires)
        urls.append(changed(chance, url) if number % 3 else url)
        if number % 10 == 0:
            urls[-1] = urls[-1][urls[-1].find("/", 8) :]
    if terms.get("revoked") == {SECRET_ID}:
        terms = {"revoked": {urls[0][-40:], urls[3][-40:]} if number % 2 else {SECRET_ID}}
    verifier = Verifier(credentials, **terms)
    judge = verifier._judge("GET", headers)
    now = int(time.time())
    close = [outcome(lambda url=url: judge.examine(url, now)) for url in urls]
    assert [outcome(lambda url=url: judge.verify(url, now)) for url in urls] == close
    assert [told(each) for each in judge.verify_many(urls, now)] == close
    if not headers and not terms:
        assert sum(not isinstance(each[0], type) for each in close) > 10


def test_a_function_is_asked_once_about_each_url(signer: Signer) -> None:
    seen: list[str] = []

    def used(verified: Verified) -> bool:
        seen.append(verified.signature)
        return seen.count(verified.signature) > 1

    urls = signer.presign_many(["a", "b", "a"])
    verifier = Verifier(signer.credentials, revoked=used)
    results = verifier.verify_many(urls)
    assert (results.bad, len(seen)) == ([2], 3)
    assert isinstance(results[2], SignatureRevoked)
    seen.clear()
    verifier.verify(urls[0])
    with pytest.raises(SignatureRevoked) as caught:
        verifier.verify(urls[0])
    assert caught.value.http_string == f"get\n/a\n\nhost={HOST}\n"
    assert len(seen) == 2


def test_a_verifier_asks_its_provider_each_time() -> None:
    class Rotating:
        now = Credentials("AKIDold", "k")

        def get(self) -> Credentials:
            return self.now

    provider = Rotating()
    verifier = Verifier(provider)
    url = Signer(provider.now, bucket=BUCKET, region=REGION).presign("a")
    assert verifier.verify(url).key == "a"
    provider.now = Credentials("AKIDold", "another")
    with pytest.raises(SignatureMismatch):
        verifier.verify(url)
    provider.now = Credentials("AKIDnew", "k")
    with pytest.raises(UnknownSecretId):
        verifier.verify(url)


def test_a_missing_token_and_two_signs(signer: Signer) -> None:
    temporary = Credentials(SECRET_ID, SECRET_KEY, token="TOK")
    url = Signer(temporary, bucket=BUCKET, region=REGION).presign("a")
    with pytest.raises(SignatureMismatch, match="x-cos-security-token is missing"):
        Verifier(temporary).verify(url.replace("&x-cos-security-token=TOK", ""))
    with pytest.raises(SignatureMismatch, match="is not the token of these credentials"):
        Verifier(temporary).verify(url.replace("TOK", "TOX"))
    good = quote(signer.authorization("GET", "a"), safe="")
    bad = quote(signer.authorization("GET", "b"), safe="")
    for query in (f"sign={good}&sign={bad}", f"sign={bad}&sign={good}", f"sign={good}&SIGN={good}"):
        with pytest.raises(MalformedSignature, match="sign is there twice"):
            signer.verify(f"https://{HOST}/a?{query}")


@pytest.mark.any_engine
@pytest.mark.parametrize("bad", [None, "AKID", 5, [5], {"a": 5}, {"b": Credentials("a", "k")}])
def test_a_verifier_refuses_what_is_not_credentials(bad: Any) -> None:
    with pytest.raises(ParameterError, match="credentials"):
        Verifier(bad)


TEMPORARY = Credentials(SECRET_ID, SECRET_KEY, token="TOK")


def ten_times(url: str) -> Any:
    return Verifier(TEMPORARY).verify_many([url] * 10)


def test_names_that_would_be_there_twice_are_looked_at_closely() -> None:
    """The documented facade signs any parameter; a field or a token that is there twice is refused all the same."""
    client = COS(SecretId=SECRET_ID, SecretKey=SECRET_KEY)
    where = {"Bucket": BUCKET, "Region": REGION, "Key": "k"}
    for query in ({"a": "1", "q-ak": "x"}, {"Q-Signature": "1", "a": "1"}, {"q-ak": "x"}):
        url = client.getObjectUrl(**where, Query=query) or ""
        for result in (outcome(lambda url=url: Verifier(TEMPORARY).verify(url)), *map(told, ten_times(url))):
            assert result[0] is MalformedSignature, (query, result)
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    url = signer.presign("k", query={"X-Cos-Security-Token": "evil"})
    doubled = url.replace("&X-Cos", "&x-cos-security-token=TOK&X-Cos")
    for result in (outcome(lambda: Verifier(TEMPORARY).verify(doubled)), *map(told, ten_times(doubled))):
        assert result[0] is SignatureMismatch


@pytest.mark.any_engine
def test_a_secret_id_is_decoded() -> None:
    odd = Credentials("AK+x", SECRET_KEY)
    url = Signer(odd, bucket=BUCKET, region=REGION).presign("a")
    assert Verifier(odd).verify(url).secret_id == "AK+x"
    assert [each.secret_id for each in Verifier(odd).verify_many([url, url])] == ["AK+x", "AK+x"]
    with pytest.raises(UnknownSecretId):
        Verifier(odd).verify(url.replace("q-ak=AK%2Bx", "q-ak=AK+x"))
    dash = Credentials("AK-x", SECRET_KEY)
    url = Signer(dash, bucket=BUCKET, region=REGION).presign("a").replace("q-ak=AK-x", "q-ak=AK%2Dx")
    assert Verifier(dash).verify(url).secret_id == "AK-x"


@pytest.mark.any_engine
def test_who_is_revoked_is_asked_about_right_signatures_only(signer: Signer) -> None:
    asked: list[str] = []

    class Asked(set[str]):
        def __contains__(self, value: object) -> bool:
            asked.append(str(value))
            return super().__contains__(value)

    verifier = Verifier(signer.credentials, revoked=Asked())
    url = signer.presign("a")
    with pytest.raises(SignatureMismatch):
        verifier.verify(url.replace("/a?", "/b?"))
    assert verifier.verify_many([url.replace("/a?", "/b?")]).bad == [0]
    assert asked == []
    assert verifier.verify(url).key == "a"
    assert asked == [SECRET_ID, url[-40:]]
    assert verifier.verify_many([url] * 3).bad == []
    assert asked[2:] == [SECRET_ID, *[url[-40:]] * 3]


@pytest.mark.any_engine
def test_many_credentials_cost_what_one_costs() -> None:
    """Whose key it is, is looked up: what is known of the others is not prepared for each request."""
    revealed: list[str] = []

    class Token:
        def reveal(self) -> str:
            revealed.append("x")
            return "TOK"

    many = {f"AKID{number}": Credentials(f"AKID{number}", "k") for number in range(1000)}
    secrets = {name: (each.secrets()[0], Token()) for name, each in many.items()}
    judge = Judge("GET", [], secrets, chosen_engine("auto"))
    url = Signer(many["AKID7"], bucket=BUCKET, region=REGION).presign("a")
    with pytest.raises(SignatureMismatch, match="x-cos-security-token is missing"):
        judge.verify(url, int(time.time()))
    assert len(revealed) <= 2


@pytest.mark.any_engine
@pytest.mark.parametrize("terms", [{"skew": False}, {"skew": None}, {"require_headers": None}, {"require_params": ""}])
def test_terms_that_are_nothing_are_refused(signer: Signer, terms: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(terms))):
        signer.verify(signer.presign("a"), **terms)


@pytest.mark.any_engine
def test_a_form_signs_no_names(signer: Signer) -> None:
    form = signer.post_policy(key_prefix="avatars/")
    verifier = Verifier(signer.credentials, require_headers=["host"], require_params=["a"], max_expires=3600)
    assert verifier.verify_post({**form.fields, "key": "avatars/me.png"}, bucket=BUCKET).key == "avatars/me.png"


@pytest.mark.any_engine
def test_texts_of_other_classes(signer: Signer) -> None:
    class Text(str):
        __slots__ = ()

    url = Text(signer.presign("a"))
    assert signer.verify(url).key == "a"
    results = signer.verify_many([url, Text("x")])
    assert (results[0].key, results.bad) == ("a", [1])  # type: ignore[union-attr]

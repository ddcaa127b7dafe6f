"""The documented facade: the documentation's samples line by line, providers, bulk, and what it refuses."""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import time_machine

import cossign
from cossign import COS, KeyNameError, ParameterError, Signer, UnsignedHeaderWarning, getAuthorization
from tests import reference
from tests.conftest import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY

pytestmark = pytest.mark.usefixtures("engine")  # all of it by every engine

WHERE = {"Bucket": BUCKET, "Region": REGION}
NOW = 1_700_000_000
TEMPORARY = {
    "TmpSecretId": "AKIDTMP",
    "TmpSecretKey": "tmp",
    "SecurityToken": "tok/en=",
    "StartTime": NOW - 5,
    "ExpiredTime": NOW + 1800,
}


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def expected(
    path: str,
    key_time: str,
    *,
    key: str = SECRET_KEY,
    secret_id: str = SECRET_ID,
    headers: Any = (("Host", HOST),),
    query: Any = (),
    method: str = "get",
) -> str:
    return reference.authorization(secret_id, key_time, reference.signed(key, method, path, query, headers, key_time))


# --- The five samples of "Generating Pre-Signed URL"


def test_sample_unsigned(cos: COS) -> None:
    url = cos.getObjectUrl({"Bucket": BUCKET, "Region": REGION, "Key": "头像.jpg", "Sign": False})
    assert url == f"https://{HOST}/%E5%A4%B4%E5%83%8F.jpg"


def test_sample_signed(cos: COS) -> None:
    url = cos.getObjectUrl({"Bucket": BUCKET, "Region": REGION, "Key": "头像.jpg"})
    assert url == f"https://{HOST}/%E5%A4%B4%E5%83%8F.jpg?" + expected("/头像.jpg", f"{NOW - 1};{NOW + 899}")


def test_sample_callback() -> None:
    asked: list[tuple[dict[str, Any], Callable[[Any], None]]] = []

    def provider(options: dict[str, Any], callback: Callable[[Any], None]) -> None:
        asked.append((options, callback))

    cos = COS({"SimpleUploadMethod": "putObject", "getAuthorization": provider})
    got: list[Any] = []
    returned = cos.getObjectUrl(
        {**WHERE, "Key": "头像.jpg", "Query": {"a": "1"}}, lambda err, data: got.append(err or data.Url)
    )
    assert returned == f"https://{HOST}/%E5%A4%B4%E5%83%8F.jpg?a=1"
    assert not got
    options, answer = asked[0]
    assert options["Key"] == "头像.jpg"
    assert options["Pathname"] == "/头像.jpg"
    assert options["Scope"] == [
        {"action": "name/cos:GetObject", "bucket": BUCKET, "region": REGION, "prefix": "头像.jpg"}
    ]
    thread = threading.Thread(target=answer, args=(TEMPORARY,))
    thread.start()
    thread.join()
    answer({"TmpSecretId": "twice"})
    authorization = expected("/头像.jpg", f"{NOW - 5};{NOW + 1800}", key="tmp", secret_id="AKIDTMP", query=[("a", "1")])
    assert got == [f"https://{HOST}/%E5%A4%B4%E5%83%8F.jpg?{authorization}&x-cos-security-token=tok/en=&a=1"]
    # The credentials are kept: the next call is answered at once, and the provider is not asked again.
    assert cos.getObjectUrl({**WHERE, "Key": "头像.jpg", "Query": {"a": "1"}}) == got[0]
    assert len(asked) == 1


def test_sample_expires(cos: COS) -> None:
    got: list[Any] = []
    cos.getObjectUrl(
        {"Bucket": BUCKET, "Region": REGION, "Key": "头像.jpg", "Sign": True, "Expires": 3600},
        lambda err, data: got.append(err or data["Url"]),
    )
    assert got == [f"https://{HOST}/%E5%A4%B4%E5%83%8F.jpg?" + expected("/头像.jpg", f"{NOW - 1};{NOW + 3599}")]


def test_sample_sign_and_download(cos: COS, signer: Signer) -> None:
    downloads: list[str] = []

    def use(err: Any, data: Any) -> None:
        if err:
            return
        url = data.Url
        downloads.append(
            url + ("&" if "?" in url else "?") + "response-content-disposition=attachment;filename=图片.jpg"
        )

    cos.getObjectUrl({"Bucket": BUCKET, "Region": REGION, "Key": "头像.jpg", "Sign": True}, use)
    verified = signer.verify(downloads[0])
    assert verified.key == "头像.jpg"
    assert verified.unsigned_params == ("response-content-disposition",)


def test_sample_get_authorization() -> None:
    made = COS.getAuthorization(
        {
            "SecretId": SECRET_ID,
            "SecretKey": SECRET_KEY,
            "Method": "get",
            "Key": "exampleobject",
            "Expires": 60,
            "Query": {},
            "Headers": {},
        }
    )
    assert made == expected("/exampleobject", f"{NOW - 1};{NOW + 59}", headers=())
    assert cossign.getAuthorization is COS.getAuthorization


# --- getAuthorization


def authorization(**parameters: Any) -> str:
    return COS.getAuthorization(SecretId=SECRET_ID, SecretKey=SECRET_KEY, **parameters)


def test_the_clock_is_rounded_as_in_the_sdk(clock: Any) -> None:
    clock.move_to(NOW + 0.499)
    assert f"q-key-time={NOW - 1};" in authorization()
    clock.move_to(NOW + 0.5)
    assert f"q-key-time={NOW};" in authorization()
    assert f"q-key-time={NOW + 60};" in authorization(SystemClockOffset=60_000)


@pytest.mark.parametrize(
    "expires, seconds",
    [(None, 900), (0, 900), ("", 900), (0.0, 900), (" ", 900), (60, 60), ("60", 60), (60.0, 60), ("1e3", 1000)],
)
def test_forms_of_expires(expires: Any, seconds: int, cos: COS) -> None:
    assert f"q-key-time={NOW - 1};{NOW - 1 + seconds}&" in authorization(Expires=expires)
    assert f"q-key-time={NOW - 1};{NOW - 1 + seconds}&" in str(
        cos.getObjectUrl({**WHERE, "Key": "a", "Expires": expires})
    )


def test_paths() -> None:
    for parameters, path in (
        ({}, "/"), ({"Key": "a"}, "/a"), ({"Key": "/a"}, "/a"), ({"Key": "//a"}, "//a"), ({"Key": "/a", "UseRawKey": True}, "//a"),
        ({"Key": "a", "Pathname": "b"}, "/b"), ({"Pathname": "/腾"}, "/腾"), ({"Pathname": "b", "UseRawKey": True}, "b"),
    ):  # fmt: skip
        assert authorization(**parameters) == expected(path, f"{NOW - 1};{NOW + 899}", headers=())


def test_headers_and_host() -> None:
    headers = {"Content-Type": "t", "User-Agent": "u", "X-Cos-Acl": "private", "a-x-ci-b": None, "Date": "d"}
    with pytest.warns(UnsignedHeaderWarning, match=r"Headers: 'User-Agent', 'Date' is not signed"):
        assert "&q-header-list=a-x-ci-b;content-type;x-cos-acl&" in authorization(Headers=headers)
    for parameters, listed in (
        (WHERE, "host"), ({**WHERE, "ForceSignHost": False}, ""), ({"Bucket": BUCKET}, ""), ({**WHERE, "Headers": {"hOsT": "x"}}, "host"),
        ({**WHERE, "Headers": {"Host": ""}}, "host"), ({"Headers": {"Host": ""}}, "host"),
    ):  # fmt: skip
        assert f"&q-header-list={listed}&" in authorization(**parameters)


def test_a_header_that_is_left_unsigned_is_warned_of_once_for_each_line_of_code() -> None:
    """As the SDK does it, the URL of an upload does not limit its Content-Type."""
    cos = COS(SecretId="AKID", SecretKey="k")
    where = {"Bucket": BUCKET, "Region": REGION, "Key": "a", "Method": "PUT"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            url = cos.getObjectUrl(**where, Headers={"Content-Type": "image/png", "x-cos-acl": "private"})
        assert "&q-header-list=host;x-cos-acl&" in url
        cos.getObjectUrl(**where, Headers={"Cache-Control": "no-cache", "Content-Type": ""})
        cos.getObjectUrl(**where, Headers={"Content-Type": ""})
        getAuthorization(SecretId="AKID", SecretKey="k", Headers={"Content-Type": "image/png"})
    assert [(each.category, each.filename, str(each.message).partition(" is ")[0]) for each in caught] == [
        (UnsignedHeaderWarning, __file__, "Headers: 'Content-Type'"),
        (UnsignedHeaderWarning, __file__, "Headers: 'Cache-Control'"),
    ]


def test_key_time() -> None:
    assert "q-sign-time=0000000001;2&q-key-time=0000000001;2" in authorization(KeyTime="0000000001;2")  # as it is given
    for wrong in ("00000000001;2", "1;20000000000"):
        with pytest.raises(ParameterError, match="KeyTime must be '<start>;<end>'"):
            authorization(KeyTime=wrong)
    assert "q-sign-time=1;2&q-key-time=1;2" in authorization(KeyTime="1;2", Expires=60)


@pytest.mark.parametrize(
    "parameters, said",
    [
        ({"Expires": -1}, "Expires"), ({"Expires": float("nan")}, "Expires"), ({"Expires": float("inf")}, "Expires"),
        ({"Expires": True}, "Expires"), ({"Expires": "0"}, "Expires"), ({"Expires": "soon"}, "Expires"), ({"Expires": 1.5}, "Expires"),
        ({"Expires": [1]}, "Expires"), ({"Expires": 10**11}, "Expires"), ({"KeyTime": "2;1"}, "KeyTime"), ({"KeyTime": "1"}, "KeyTime"),
        ({"KeyTime": (1, 2)}, "KeyTime must be a str"), ({"Method": "G T"}, "Method"), ({"Method": "GET\n"}, "Method"), ({"Method": 5}, "Method"),
        ({"Key": 5}, "Key must be a str"), ({"Key": "\ud800"}, "Key.*surrogate"), ({"Pathname": "\ud800"}, "Pathname.*surrogate"),
        ({"Query": "a=b"}, "Query must be a mapping"), ({"Query": {"a": []}}, r"Query\['a'\]"), ({"Headers": {"Range": "a\nb"}}, r"Headers\['Range'\].*CR"),
        ({"Bucket": "nodash"}, 'Bucket should format as "test-1250000000"'), ({"Region": "a.b"}, "Region format error"),
        ({"UseRawKey": 1}, "UseRawKey must be True or False"), ({"SystemClockOffset": "5"}, "SystemClockOffset"), ({"SystemClockOffset": float("nan")}, "SystemClockOffset"),
        ({"expires": 5}, "expires is an unknown parameter: did you mean Expires?"), ({"Sekret": 5}, "did you mean Secret"),
        ({"zzzzzz": 5}, "zzzzzz is an unknown parameter: known are"),
    ],
)  # fmt: skip
@pytest.mark.any_engine
def test_get_authorization_refuses(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        authorization(**parameters)


@pytest.mark.any_engine
def test_secrets_are_required_and_never_shown(cos: COS) -> None:
    for parameters, said in (
        ({}, "missing param SecretId"),
        ({"SecretId": "A"}, "missing param SecretKey"),
        ({"SecretId": "A", "SecretKey": ""}, "missing param SecretKey"),
    ):
        with pytest.raises(ParameterError, match=said):
            COS.getAuthorization(parameters)
    for bad in ("hidden key", "hidden\n", "hidden键", 5):
        with pytest.raises(ParameterError, match="SecretKey") as caught:
            COS.getAuthorization(SecretId="A", SecretKey=bad)
        assert "hidden" not in str(caught.value)
    assert SECRET_KEY not in repr(cos) + repr(vars(cos))
    with pytest.raises(ParameterError, match="one mapping"):
        COS.getAuthorization("x")  # type: ignore[arg-type]


def test_get_auth(cos: COS) -> None:
    assert cos.getAuth({"Key": "/a"}) == expected("/a", f"{NOW - 1};{NOW + 899}", headers=())
    assert cos.getAuth(Key="a", SecretId="X", SecretKey="y") == expected(
        "/a", f"{NOW - 1};{NOW + 899}", headers=(), key="y", secret_id="X"
    )
    assert cos.getAuth(Key="a", SecretId="X") == expected("/a", f"{NOW - 1};{NOW + 899}", headers=(), secret_id="X")
    assert f"={NOW + 9};" in COS(SecretId="A", SecretKey="k", SystemClockOffset=10_000).getAuth(Key="a")
    with pytest.raises(ParameterError, match="missing param SecretId"):
        COS().getAuth(Key="a")
    with pytest.raises(ParameterError, match="missing param SecretKey"):
        COS(SecretId="a").getAuth(Key="a")


def test_get_authorizations() -> None:
    keys = ["a", "/b", "", "腾"]
    made = COS.getAuthorizations(
        SecretId=SECRET_ID, SecretKey=SECRET_KEY, Method="put", Keys=iter(keys), Query={"x": 1}, **WHERE
    )
    assert made == [authorization(Method="put", Key=key, Query={"x": 1}, **WHERE) for key in keys]
    with pytest.raises(KeyNameError, match=r"Keys\[1\]"):
        COS.getAuthorizations(SecretId="a", SecretKey="b", Keys=["a", 5])
    with pytest.raises(ParameterError, match="missing param Keys \\(row 1\\)"):
        COS.getAuthorizations(SecretId="a", SecretKey="b", Keys=["a", None])
    for keys_ in (None, "abc", 5):
        with pytest.raises(ParameterError, match="Keys"):
            COS.getAuthorizations(SecretId="a", SecretKey="b", Keys=keys_)
    with pytest.raises(ParameterError, match="did you mean Keys"):
        COS.getAuthorizations(SecretId="a", SecretKey="b", Key="a")


# --- getObjectUrl


def test_query_order_and_query_string(cos: COS) -> None:
    url = cos.getObjectUrl(
        {**WHERE, "Key": "a", "Query": {"b": "2", "A:c": "x y", "a0": None}, "QueryString": "imageMogr2/thumbnail/!50p"}
    )
    assert url is not None
    assert url.endswith("&a0=&A%3Ac=x%20y&b=2&imageMogr2/thumbnail/!50p")
    assert "&q-url-param-list=a%253ac%3ba0%3bb&" in url
    unsigned = cos.getObjectUrl({**WHERE, "Key": "a", "Sign": False, "QueryString": "a=腾"})
    assert unsigned == f"https://{HOST}/a?a=腾"


def test_only_the_key_may_differ_for_a_kept_template(cos: COS, clock: Any) -> None:
    """Calls alike but for Key share a template; anything else that differs, however equal it compares, does not."""
    first = cos.getObjectUrl(**WHERE, Key="a", Expires=60)
    assert cos.getObjectUrl(**WHERE, Key="b", Expires=60) == f"https://{HOST}/b?" + expected(
        "/b", f"{NOW - 1};{NOW + 59}"
    )
    assert cos.getObjectUrl(**WHERE, Key="a", Expires=60) == first
    with pytest.raises(ParameterError, match="Expires"):
        cos.getObjectUrl(**WHERE, Key="a", Expires=True)
    assert "q-url-param-list=x&" in str(cos.getObjectUrl(**WHERE, Key="a", Expires=60, Query={"x": 1}))
    assert f";{NOW + 60}" in str(cos.getObjectUrl(**WHERE, Key="a", Expires=61))
    clock.move_to(NOW + 1)
    assert cos.getObjectUrl(**WHERE, Key="a", Expires=60) == f"https://{HOST}/a?" + expected("/a", f"{NOW};{NOW + 60}")


def test_start_time_and_expired_time() -> None:
    cos = COS(SecretId=SECRET_ID, SecretKey=SECRET_KEY, StartTime=NOW + 5, ExpiredTime=str(NOW + 100))
    assert f"q-key-time={NOW + 5};{NOW + 100}&" in str(cos.getObjectUrl(**WHERE, Key="a"))
    assert f"q-key-time={NOW + 5};{NOW + 65}&" in str(cos.getObjectUrl(**WHERE, Key="a", Expires=60))
    for options in ({"StartTime": NOW * 1000}, {"StartTime": NOW, "ExpiredTime": 5}):
        with pytest.raises(ParameterError, match="10 digits"):
            COS(SecretId="a", SecretKey="b", **options).getObjectUrl(**WHERE, Key="a")
    with pytest.raises(ParameterError, match="ExpiredTime must end after"):
        COS(SecretId="a", SecretKey="b", StartTime=NOW, ExpiredTime=NOW - 1).getObjectUrl(**WHERE, Key="a")


@pytest.mark.parametrize(
    "parameters, said",
    [
        ({"Bucket": None}, "missing param Bucket"), ({"Region": ""}, "missing param Region"), ({"Key": ""}, "missing param Key"), ({"Key": None}, "missing param Key"),
        ({"Region": "cos.ap-beijing"}, 'Region should not be start with "cos."'), ({"Region": "ap_beijing"}, "Region format error"), ({"Bucket": "x"}, "Bucket should format"),
        ({"Bucket": 5}, "Bucket must be a str"), ({"Key": 5}, "Key must be a str"), ({"Key": "\udfff"}, "surrogate"), ({"Sign": "no"}, "Sign must be True or False"),
        ({"Domain": "a b"}, "Domain"), ({"Domain": 5}, "Domain must be a str"), ({"Protocol": "ftp:"}, "Protocol"), ({"QueryString": "a b"}, "QueryString"),
        ({"QueryString": "\ud800"}, "QueryString"), ({"key": "a"}, "did you mean Key"), ({"Headers": []}, "Headers must be a mapping"), ({"Expires": -5}, "Expires"),
    ],
)  # fmt: skip
@pytest.mark.any_engine
def test_get_object_url_refuses_by_callback_or_by_raising(cos: COS, parameters: dict[str, Any], said: str) -> None:
    given = {**WHERE, "Key": "a", **parameters}
    with pytest.raises(ParameterError, match=re.escape(said)):
        cos.getObjectUrl(given)
    errors: list[Any] = []
    assert cos.getObjectUrl(given, lambda err, data: errors.append((err, data))) is None
    [(error, data)] = errors
    assert isinstance(error, ParameterError)
    assert data is None
    assert said in str(error)


def test_callbacks(cos: COS) -> None:
    got: list[Any] = []
    url = cos.getObjectUrl(callback=lambda err, data: got.append(data), Key="a", **WHERE)
    assert got[0].Url == got[0]["Url"] == url
    with pytest.raises(AttributeError):
        _ = got[0].Urls
    with pytest.raises(ParameterError, match="callback must be a function"):
        cos.getObjectUrl({**WHERE, "Key": "a"}, "x")  # type: ignore[arg-type]

    def broken(err: Any, data: Any) -> None:
        got.append(data)
        raise ParameterError("mine", "from the callback")

    with pytest.raises(ParameterError, match="from the callback"):
        cos.getObjectUrl({**WHERE, "Key": "a"}, broken)
    assert len(got) == 2


def test_get_object_urls(cos: COS) -> None:
    keys = ["a", "/b", "//c", "腾 讯", "x" * 2000]
    for parameters in (
        {},
        {"Sign": False},
        {"Query": {"z": 1.5}, "Method": "PUT", "Expires": 60},
        {"Domain": "{Bucket}.example.com"},
    ):
        urls = cos.getObjectUrls(**WHERE, Keys=keys, **parameters)
        assert urls == [cos.getObjectUrl(**WHERE, Key=key, **parameters) for key in keys]
    got: list[Any] = []
    assert (
        cos.getObjectUrls({**WHERE, "Keys": (key for key in keys)}, lambda err, data: got.append(data.Urls)) == got[0]
    )
    assert cos.getObjectUrls(**WHERE, Keys=[]) == []
    with pytest.raises(ParameterError, match=r"missing param Keys \(row 1\)"):
        cos.getObjectUrls(**WHERE, Keys=["a", "", "b"])
    with pytest.raises(KeyNameError, match=r"Keys\[2\] must be a str"):
        cos.getObjectUrls(**WHERE, Keys=["a", "b", 5])


@pytest.mark.any_engine
def test_missing_secrets() -> None:
    with pytest.raises(ParameterError, match="missing param SecretId"):
        COS().getObjectUrl(**WHERE, Key="a")
    with pytest.raises(ParameterError, match="missing param SecretKey"):
        COS(SecretId="a").getObjectUrl(**WHERE, Key="a")
    assert COS().getObjectUrl(**WHERE, Key="a", Sign=False) == f"https://{HOST}/a"


# --- Options


@pytest.mark.any_engine
def test_options() -> None:
    assert COS({"ChunkSize": 5, "Timeout": 60, "ForcePathStyle": False, "SecretId": "a"}, SecretKey="b")
    for options, said in (
        ({"ForcePathStyle": True}, "ForcePathStyle is not supported"), ({"Secretid": "a"}, "did you mean SecretId"),
        ({"getAuthorization": 5}, "getAuthorization must be a function"), ({"SecretId": "a", "SecretKey": "b c"}, "SecretKey holds"),
        ({"SecretId": "a", "SecretKey": "b", "SecurityToken": 5}, "SecurityToken must be a str"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=said):
            COS(options)
    with pytest.raises(ParameterError, match="one mapping"):
        COS("x")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["SecurityToken", "XCosSecurityToken"])
def test_the_token_stands_as_given(name: str) -> None:
    url = COS({"SecretId": SECRET_ID, "SecretKey": SECRET_KEY, name: "a/b+c="}).getObjectUrl(
        **WHERE, Key="a", Query={"q": 1}
    )
    assert str(url).endswith("&x-cos-security-token=a/b+c=&q=1")


# --- Providers


def answering(answer: Any, asked: list[Any] | None = None) -> Callable[..., None]:
    def provider(options: dict[str, Any], callback: Callable[[Any], None]) -> None:
        if asked is not None:
            asked.append(options)
        callback(answer(options) if callable(answer) else answer)

    return provider


def test_an_answer_at_once_signs_the_returned_url() -> None:
    asked: list[Any] = []
    cos = COS(getAuthorization=answering(TEMPORARY, asked))
    url = cos.getObjectUrl(**WHERE, Key="a")
    assert (
        url
        == f"https://{HOST}/a?"
        + expected("/a", f"{NOW - 5};{NOW + 1800}", key="tmp", secret_id="AKIDTMP")
        + "&x-cos-security-token=tok/en="
    )
    urls = cos.getObjectUrls(**WHERE, Keys=["a", "b"])
    assert urls is not None
    assert urls[0] == url
    assert len(asked) == 1


def test_temporary_credentials_are_reused_until_a_minute_before_their_end(clock: Any) -> None:
    asked: list[Any] = []
    cos = COS(
        getAuthorization=answering(
            lambda options: {**TEMPORARY, "ExpiredTime": int(time.time()) + 1800, "StartTime": int(time.time())}, asked
        )
    )
    cos.getObjectUrl(**WHERE, Key="a")
    clock.move_to(NOW + 1739)
    cos.getObjectUrl(**WHERE, Key="b")
    assert len(asked) == 1
    clock.move_to(NOW + 1740)
    cos.getObjectUrl(**WHERE, Key="b")
    assert len(asked) == 2


def test_scope_limited_credentials_serve_one_key() -> None:
    asked: list[Any] = []
    cos = COS(getAuthorization=answering({**TEMPORARY, "ScopeLimit": True}, asked))
    cos.getObjectUrl(**WHERE, Key="a")
    cos.getObjectUrl(**WHERE, Key="a")
    cos.getObjectUrl(**WHERE, Key="b")
    assert [options["Key"] for options in asked] == ["a", "b"]
    urls = cos.getObjectUrls(**WHERE, Keys=["a", "b", "c"])
    assert urls is not None
    assert [options["Key"] for options in asked] == ["a", "b", "c"]
    assert urls == [cos.getObjectUrl(**WHERE, Key=key) for key in "abc"]


def test_a_ready_authorization() -> None:
    def ready(options: dict[str, Any]) -> str:
        return COS.getAuthorization(
            SecretId=SECRET_ID,
            SecretKey=SECRET_KEY,
            Method=options["Method"],
            Pathname=options["Pathname"],
            Headers=options["Headers"],
            Query=options["Query"],
        )

    plain = COS(SecretId=SECRET_ID, SecretKey=SECRET_KEY)
    cos = COS(getAuthorization=answering(ready))
    for key in ("a", "腾/x"):
        assert cos.getObjectUrl(**WHERE, Key=key, Query={"a/b": 1, "c": 2}) == plain.getObjectUrl(
            **WHERE, Key=key, Query={"a/b": 1, "c": 2}
        )
    keys = [f"k{index}" for index in range(1500)]
    assert cos.getObjectUrls(**WHERE, Keys=keys) == plain.getObjectUrls(**WHERE, Keys=keys)
    old = COS(
        getAuthorization=answering({"Authorization": "YT0xJms9Mg==", "SecurityToken": "t", "ClientIP": "1.2.3.4"})
    )
    assert (
        old.getObjectUrl(**WHERE, Key="a")
        == f"https://{HOST}/a?sign={quote('YT0xJms9Mg==')}&x-cos-security-token=t&clientIP=1.2.3.4"
    )


def test_get_sts() -> None:
    asked: list[Any] = []
    cos = COS(
        getSTS=answering(
            {"SecretId": "AKIDTMP", "SecretKey": "tmp", "XCosSecurityToken": "tok/en=", "ExpiredTime": NOW + 1800},
            asked,
        )
    )
    assert (
        cos.getObjectUrl(**WHERE, Key="a")
        == f"https://{HOST}/a?"
        + expected("/a", f"{NOW - 1};{NOW + 899}", key="tmp", secret_id="AKIDTMP")
        + "&x-cos-security-token=tok/en="
    )
    assert asked == [WHERE]


@pytest.mark.parametrize(
    "answer, said",
    [
        *[({**TEMPORARY, name: None}, f'missing "{name}"') for name in ("TmpSecretId", "TmpSecretKey", "SecurityToken", "ExpiredTime")],
        ({**TEMPORARY, "ExpiredTime": NOW * 1000}, "10 digits"), ({**TEMPORARY, "StartTime": 5}, "10 digits"), ("a b", "format error"), ("not!base64", "format error"),
        (None, "format error"), (5, "format error"), ({"Authorization": 5}, "format error"), ({**TEMPORARY, "TmpSecretKey": "hidden key"}, "SecretKey holds"),
    ],
)  # fmt: skip
@pytest.mark.any_engine
def test_wrong_answers(answer: Any, said: str) -> None:
    cos = COS(getAuthorization=answering(answer))
    with pytest.raises(ParameterError, match=said) as caught:
        cos.getObjectUrl(**WHERE, Key="a")
    assert "hidden" not in str(caught.value)
    errors: list[Any] = []
    assert cos.getObjectUrls({**WHERE, "Keys": ["a", "b"]}, lambda err, data: errors.append(err)) is None
    assert said in str(errors[0])


def test_late_answers_in_bulk_and_late_errors() -> None:
    answers: list[Callable[[Any], None]] = []
    cos = COS(getAuthorization=lambda options, callback: answers.append(callback))
    got: list[Any] = []
    assert cos.getObjectUrls({**WHERE, "Keys": ["a", "b"]}, lambda err, data: got.append(err or data.Urls)) == [
        f"https://{HOST}/a",
        f"https://{HOST}/b",
    ]
    answers.pop()({**TEMPORARY, "ScopeLimit": True})
    assert not got
    answers.pop()({**TEMPORARY, "ScopeLimit": True})
    [urls] = got
    assert ["x-cos-security-token" in url for url in urls] == [True, True]
    cos.getObjectUrl({**WHERE, "Key": "z"}, lambda err, data: got.append(err or data.Url))
    answers.pop()({})
    assert isinstance(got[1], ParameterError)
    cos.getObjectUrl({**WHERE, "Key": "z"})
    with pytest.raises(ParameterError, match="TmpSecretId"):
        answers.pop()({})
    assert cos.getObjectUrls({**WHERE, "Keys": []}) == []
    with pytest.raises(ParameterError, match="missing param Keys"):
        cos.getObjectUrls({**WHERE, "Keys": [""]})


@pytest.mark.any_engine
def test_values_that_cannot_be_compared_are_refused_by_name() -> None:
    class Odd:
        def __ne__(self, other: object) -> bool:
            raise AssertionError("compared")

        __eq__ = __ne__
        __hash__ = object.__hash__

    for _ in range(2):
        with pytest.raises(ParameterError, match="Expires must be a number"):
            COS.getAuthorization(SecretId="AKID", SecretKey="k", Key="a", Expires=Odd())

"""The documented facade: COS.getAuthorization and cos.getObjectUrl of Tencent's Mini Program SDK, in one and in bulk.

Parameters are named and behave as in Tencent's documentation ("Generating Pre-Signed URL", product 436, page 36162) and
in cos-wx-sdk-v5 1.8 (src/util.js, src/base.js), so that its samples translate line by line.
"""

from __future__ import annotations

import functools
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cossign import _core
from cossign._core import KEY, Engine, Template, encode_component
from cossign.credentials import Credentials
from cossign.endpoint import Endpoint, check_bucket, check_region, endpoint
from cossign.engine import chosen_engine
from cossign.errors import (
    CosSignError,
    CredentialsError,
    MissingParameter,
    ParameterError,
    UnsignedHeaderWarning,
    warn_caller,
)
from cossign.key_time import KeyTime, Times
from cossign.request import (
    Canonical,
    SigningRequest,
    checked_headers,
    checked_mapping,
    checked_method,
    constant_url,
    signed_by_sdk,
)

__all__ = ["COS", "getAuthorization"]

R = TypeVar("R")
Callback = Callable[[Any, Any], object]

_AUTHORIZATION = frozenset((
    "SecretId", "SecretKey", "Method", "Key", "Pathname", "UseRawKey", "Query", "Headers", "Expires", "KeyTime",
    "Bucket", "Region", "ForceSignHost", "SystemClockOffset",
))  # fmt: skip
_OBJECT_URL = frozenset((
    "Bucket", "Region", "Key", "Sign", "Method", "Query", "QueryString", "Headers", "Expires", "Protocol",
    "Domain", "UseAccelerate", "ForceSignHost",
))  # fmt: skip
_BULK = frozenset(("Keys", "RoundTo"))  # the SDK does not have RoundTo
_OPTIONS = frozenset((
    "SecretId", "SecretKey", "SecurityToken", "XCosSecurityToken", "StartTime", "ExpiredTime", "Domain",
    "Protocol", "UseAccelerate", "ForceSignHost", "SystemClockOffset", "getAuthorization", "getSTS",
))  # fmt: skip
# Options of the SDK that concern transfers and reports only: accepted, so that an existing call ports as it is.
_WITHOUT_EFFECT = frozenset((
    "ChunkRetryTimes", "FileParallelLimit", "ChunkParallelLimit", "ChunkSize", "SliceSize",
    "CopyChunkParallelLimit", "CopyChunkSize", "CopySliceSize", "MaxPartNumber", "ProgressInterval",
    "UploadQueueSize", "ServiceDomain", "CompatibilityMode", "Timeout", "CorrectClockSkew",
    "UploadCheckContentMd5", "UploadAddMetaMd5", "UploadIdCacheLimit", "HttpDNSServiceId", "SimpleUploadMethod",
    "AutoSwitchHost", "CopySourceParser", "ObjectKeySimplifyCheck", "DeepTracker", "TrackerDelay", "CustomId",
    "BeaconReporter", "ClsReporter",
))  # fmt: skip
_PLAIN_TYPES = frozenset((str, int))
_URL_RULES = _core.DROP_SLASH | _core.REQUIRED | _core.NO_NULL
_ENDPOINT_NAMES = ("Bucket", "Region", "Domain")
_NOT_IN_URLS = frozenset(("content-type", "cache-control"))  # headers that getObjectUrl does not sign
_EXPIRES = 900  # seconds


class ObjectUrl(dict[str, Any]):
    """What a callback gets: ``data.Url`` and ``data["Url"]``; ``data.Urls`` in bulk."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


# --- Parameters -------------------------------------------------------------------------------------------------------


def _parameters(mapping: Any, keywords: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """One mapping or keywords as a dict of what a call has; None counts as not given."""
    if mapping is not None and not isinstance(mapping, Mapping):
        raise ParameterError("parameters", f"must be keywords or one mapping, not {type(mapping).__name__}")
    parameters = {**mapping, **keywords} if mapping else keywords
    if not names.issuperset(parameters):
        _refuse_unknown(parameters, names)
    return {name: value for name, value in parameters.items() if value is not None}


def _refuse_unknown(parameters: Mapping[Any, Any], names: frozenset[str]) -> None:
    import difflib

    lower_names = {name.lower(): name for name in sorted(names)}
    unknown = next(str(name) for name in parameters if name not in names)
    matches = difflib.get_close_matches(unknown.lower(), list(lower_names), 1, 0.5)
    hint = f"did you mean {lower_names[matches[0]]}?" if matches else f"known are {', '.join(lower_names.values())}"
    raise ParameterError(unknown, f"is an unknown parameter: {hint}")


def _text(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name, "")
    if not isinstance(value, str):
        raise ParameterError(name, f"must be a str, not {type(value).__name__}")
    return value


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise ParameterError(name, f"must be True or False, not {type(value).__name__}")
    return value


def _keys(parameters: Mapping[str, Any]) -> Iterable[str]:
    keys = parameters.get("Keys")
    if keys is None:
        raise MissingParameter("Keys", "an iterable of objects' names")
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise ParameterError("Keys", f"must be an iterable of str, not {type(keys).__name__}")
    return keys


def _seconds(value: Any, name: str) -> int | None:
    """Expires, StartTime or ExpiredTime: a number or a numeric string; None, 0 and "" are not given."""
    number: Any = value
    if isinstance(value, str):
        try:
            number = float(value) if value.strip() else 0
        except ValueError:
            raise ParameterError(name, "must be a number of seconds") from None
        if value.strip() and number == 0:
            raise ParameterError(name, "must be greater than 0 seconds")
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ParameterError(name, f"must be a number of seconds, not {type(value).__name__}")
    if not math.isfinite(number) or number != int(number):
        raise ParameterError(name, "must be a whole, finite number of seconds: KeyTime is in Unix seconds")
    if number < 0:
        raise ParameterError(name, "must be greater than 0 seconds")
    return int(number) or None


def _ten_digits(options: Mapping[str, Any], name: str, text: str) -> int | None:
    value = _seconds(options.get(name), name)
    if value is not None and len(str(value)) != 10:
        raise ParameterError(name, f'is wrong: {text} "{name}" should be 10 digits: Unix seconds, not milliseconds')
    return value


def _now(options: Mapping[str, Any]) -> float:
    """The clock in Unix seconds, corrected by SystemClockOffset (milliseconds)."""
    milliseconds = round(time.time() * 1e6) // 1000
    offset = options.get("SystemClockOffset")
    if offset is None:
        return milliseconds / 1000
    if isinstance(offset, bool) or not isinstance(offset, (int, float)) or not math.isfinite(offset):
        raise ParameterError("SystemClockOffset", "must be a number of milliseconds")
    return float((milliseconds + offset) / 1000)


def _second(now: float) -> int:
    """Rounded as the SDK does: half a second counts up."""
    return math.floor(now + 0.5)


def _key_time(now: float, expires: int | None, round_to: int | None) -> KeyTime:
    return Times(_second(now) - 1, _EXPIRES, round_to).make_key_time(
        _EXPIRES if expires is None else expires, "Expires"
    )


def _signed_headers(
    headers: Mapping[str, Any], host: str | None, unsigned_names: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The SDK's filter of header names, and Host unless there is one."""
    if not headers:
        return {} if host is None else {"Host": host}
    headers = checked_headers(headers, "Headers")
    signed_headers = {
        name: value
        for name, value in headers.items()
        if not isinstance(name, str) or (signed_by_sdk(name) is not None and name.lower() not in unsigned_names)
    }
    if len(signed_headers) < len(headers):
        names = ", ".join(repr(name) for name in headers if name not in signed_headers)
        warn_caller(
            f"Headers: {names} is not signed, as the SDK does not sign it: a client may send another value, or none. "
            "cossign.Signer signs every header that it is given",
            UnsignedHeaderWarning,
        )
    if host is not None:
        host_headers = [name for name in signed_headers if isinstance(name, str) and name.lower() == "host"]
        if not any(signed_headers[name] for name in host_headers):
            for name in host_headers:
                del signed_headers[name]
            signed_headers["Host"] = host
    return signed_headers


def _javascript_order(name: Any) -> bytes:
    """The SDK sorts a URL's query by the raw lower-cased name, as JavaScript compares: by UTF-16 units."""
    return str(name).lower().encode("utf-16-be", "surrogatepass")


def _credentials(parameters: Mapping[str, Any]) -> Credentials:
    for name in ("SecretId", "SecretKey"):
        if not parameters.get(name):
            raise MissingParameter(name, "from the API keys page of your account")
    secret_id, secret_key = parameters["SecretId"], parameters["SecretKey"]
    if type(secret_id) is str and type(secret_key) is str:
        return _permanent_credentials(secret_id, secret_key)
    return _make_credentials(Credentials, secret_id, secret_key)


@functools.lru_cache(maxsize=1)
def _permanent_credentials(secret_id: str, secret_key: str) -> Credentials:
    """The credentials of the last call, whose SignKey serves for as long as KeyTime is the same."""
    return _make_credentials(Credentials, secret_id, secret_key)


def _make_credentials(make: Callable[..., Credentials], *values: Any) -> Credentials:
    """Credentials, or a ParameterError in the documentation's names."""
    try:
        return make(*values)
    except CredentialsError as error:
        field, _, reason = str(error).partition(" ")
        names = {"secret_id": "SecretId", "secret_key": "SecretKey", "token": "SecurityToken"}
        raise ParameterError(names.get(field, field), reason) from None


class _LastCall:
    """The template of a call: the next ones that differ by their Key alone share it, while KeyTime's second lasts."""

    __slots__ = ("_entry",)

    def __init__(self) -> None:
        self._entry: tuple[dict[str, Any], Template] | None = None

    def lookup(self, parameters: dict[str, Any], now: float) -> tuple[dict[str, Any] | None, Template | None]:
        """What to `keep` the template under, if it can be, and the template of an equal call."""
        rest = {**parameters, "Key": _second(now)}
        for value in rest.values():
            # Only values that equal each other in their text, too, can be compared: 1 == True, but it is another value.
            if type(value) not in _PLAIN_TYPES and (type(value) is not dict or value):
                return None, None
        entry = self._entry
        return rest, entry[1] if entry is not None and entry[0] == rest else None

    def keep(self, rest: dict[str, Any] | None, now: float, template: Template) -> None:
        if rest is not None and rest["Key"] == _second(now):
            self._entry = rest, template


# Of the calls without a client: their engine, chosen at the first of them, and the last one's template.
_engine = functools.cache(chosen_engine)
_last_call = _LastCall()


# --- getAuthorization -------------------------------------------------------------------------------------------------


def _authorization(
    parameters: dict[str, Any], credentials: Credentials, rules: int, name: str, engine: Engine, now: float
) -> Template:
    method = checked_method(_text(parameters, "Method") or "get", "Method")
    query = checked_mapping(parameters.get("Query"), "Query")
    headers = checked_mapping(parameters.get("Headers"), "Headers")
    raw = _flag(parameters, "UseRawKey", False)
    path: bytes | int = KEY
    pathname = _text(parameters, "Pathname")
    if pathname:
        try:
            path = (pathname if raw or pathname.startswith("/") else "/" + pathname).encode()
        except UnicodeEncodeError:
            raise ParameterError("Pathname", "is not valid Unicode: it holds a lone surrogate") from None
    bucket, region = _text(parameters, "Bucket"), _text(parameters, "Region")
    if bucket:
        check_bucket(bucket, "Bucket")
    if region:
        check_region(region, "Region")
    host = None
    if bucket and region and _flag(parameters, "ForceSignHost", True):
        host = f"{bucket}.cos.{region}.myqcloud.com"
    signed_headers = _signed_headers(headers, host)
    request = SigningRequest(
        method=method,
        query=Canonical.of(query, "Query"),
        headers=Canonical.of(signed_headers, "Headers"),
        credentials=credentials,
        key_time=_asked_key_time(parameters, now),
        base=b"",
        rules=rules | (0 if raw else _core.KEEP_SLASH),
        engine=engine,
    )
    return request.authorization(name, path)


def _asked_key_time(parameters: dict[str, Any], now: float) -> KeyTime | str:
    """The KeyTime that getAuthorization's parameters ask for; where it is a parameter, its own text."""
    text = _text(parameters, "KeyTime")
    if not text:
        expires, round_to = (_seconds(parameters.get(each), each) for each in ("Expires", "RoundTo"))
        return _key_time(now, expires, round_to)
    span = KeyTime.read(text)
    if span is None or not re.fullmatch("[0-9]{1,10};[0-9]{1,10}", text):
        raise ParameterError("KeyTime", "must be '<start>;<end>' in Unix seconds")
    KeyTime.validate(*span, "KeyTime")
    return text


def getAuthorization(parameters: Mapping[str, Any] | None = None, /, **keywords: Any) -> str:
    """The Authorization of a request, as ``COS.getAuthorization`` of the Mini Program SDK makes it.

    Args:
        SecretId: required.
        SecretKey: required.
        Method: "get" when missing.
        Key: the object's key; empty for the bucket.
        Query: parameters to sign.
        Headers: headers to sign. Those that the SDK does not sign, such as Content-Type, are left out, with an
            `UnsignedHeaderWarning`.
        Expires: seconds; 900 when missing, 0 or empty.
        Pathname: the path instead of Key.
        UseRawKey: put a slash before Key even if it begins with one.
        KeyTime: ``"start;end"`` in Unix seconds, instead of Expires.
        Bucket, Region: with both, Host is signed.
        ForceSignHost: False not to add Host.
        SystemClockOffset: milliseconds to add to the clock.

    Returns:
        The value of the Authorization header; percent-encoded whole, of the URL parameter ``sign``.

    Raises:
        ParameterError: a parameter is missing, unknown or not valid; the message names it.

    Source: product 436, page 36162; cos-wx-sdk-v5, src/util.js, getAuth.

    >>> getAuthorization(SecretId="AKIDEXAMPLE", SecretKey="example-key", Method="get", Key="picture.jpg", Expires=60,
    ...                  Query={}, Headers={}).partition("&")[0]
    'q-sign-algorithm=sha1'
    """
    arguments = _parameters(parameters, keywords, _AUTHORIZATION)
    key, now = _text(arguments, "Key"), _now(arguments)
    rest, template = _last_call.lookup(arguments, now)
    if template is None:
        template = _authorization(arguments, _credentials(arguments), 0, "Key", _engine(), now)
        _last_call.keep(rest, now, template)
    return _core.sign_one(template, key)


def getAuthorizations(parameters: Mapping[str, Any] | None = None, /, **keywords: Any) -> list[str]:
    """`getAuthorization` for each of ``Keys``, all with the same start and the same other parameters.

    ``RoundTo``, in seconds, is `Signer`'s `round_to`.

    >>> len(getAuthorizations(SecretId="AKIDEXAMPLE", SecretKey="example-key", Method="get", Keys=["a.jpg", "b.jpg"]))
    2
    """
    arguments = _parameters(parameters, keywords, _AUTHORIZATION - {"Key"} | _BULK)
    template = _authorization(arguments, _credentials(arguments), _core.NO_NULL, "Keys", _engine(), _now(arguments))
    return _core.sign_many(template, _keys(arguments), (), (), None)


# --- getObjectUrl -----------------------------------------------------------------------------------------------------


class _Request:
    """What all keys of a getObjectUrl or getObjectUrls have in common, checked."""

    def __init__(self, options: dict[str, Any], parameters: dict[str, Any], name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.now = _now(options)
        for required_name in ("Bucket", "Region"):
            if not parameters.get(required_name):
                raise MissingParameter(required_name, "getObjectUrl needs it")
        if _text({**options, **parameters}, "Protocol") not in ("", "https", "http", "https:", "http:"):
            raise ParameterError("Protocol", 'must be "https:" or "http:"')
        settings = {**options, **parameters}
        accelerate = _flag(settings, "UseAccelerate", False)
        self.bucket, self.region = parameters["Bucket"], parameters["Region"]
        self.endpoint: Endpoint = endpoint(
            self.bucket, self.region, domain=_text(settings, "Domain"), accelerate=accelerate, names=_ENDPOINT_NAMES
        )
        self.sign = _flag(parameters, "Sign", True)
        self.method = checked_method(_text(parameters, "Method") or "get", "Method")
        self.query = checked_mapping(parameters.get("Query"), "Query")
        self.expires = _seconds(parameters.get("Expires"), "Expires")
        self.round_to = _seconds(parameters.get("RoundTo"), "RoundTo")
        self.force_host = _flag(parameters, "ForceSignHost", True) and _flag(options, "ForceSignHost", True)
        self.canonical_query = Canonical.of(self.query, "Query")
        if len(self.query) > 1:
            order = sorted(self.query.items(), key=lambda pair: _javascript_order(pair[0]))
            self.query_text = _core.encoded_pairs(order, "Query")
        else:
            self.query_text = b"".join(self.canonical_query.text)  # type: ignore[arg-type]
        extra = _text(parameters, "QueryString")
        if extra:
            if re.search(r"[\0-\x20\x7f#]", extra):
                raise ParameterError("QueryString", "must not hold spaces, control characters or '#': encode them")
            try:
                self.query_text += (b"&" if self.query_text else b"") + extra.encode()
            except UnicodeEncodeError:
                raise ParameterError("QueryString", "is not valid Unicode: it holds a lone surrogate") from None
        headers = checked_mapping(parameters.get("Headers"), "Headers")
        filled_headers = {name: value for name, value in headers.items() if value != ""}
        host = self.endpoint.host if self.force_host else None
        self.headers = _signed_headers(filled_headers, host, _NOT_IN_URLS)

    def make_unsigned_template(self, middle: bytes = b"") -> Template:
        """A URL that is not signed here, with `middle` its path and its own query."""
        query = [middle] if middle else []
        if self.query_text:
            query.append((b"&" if middle else b"?") + self.query_text)
        return constant_url(self.endpoint.base.encode(), query, _URL_RULES, self.name, self.engine)

    def make_signed_template(
        self, credentials: Credentials, start: int | None, end: int | None, extra: bytes = b""
    ) -> Template:
        """A URL signed here; start and end are those of the options or of temporary credentials."""
        if start is not None and self.expires is not None:
            key_time = KeyTime.validate(start, start + self.expires, "Expires")
        elif start is not None and end is not None:
            key_time = KeyTime.validate(start, end, "ExpiredTime")
        else:
            key_time = _key_time(self.now, self.expires, self.round_to)
        request = SigningRequest(
            method=self.method,
            query=self.canonical_query,
            headers=Canonical.of(self.headers, "Headers"),
            credentials=credentials,
            key_time=key_time,
            base=self.endpoint.base.encode(),
            rules=_URL_RULES,
            engine=self.engine,
        )
        return request.sdk_url(self.name, extra, self.query_text)


class _Answer:
    """A provider's answer: ready credentials, or a ready Authorization for one key."""

    def __init__(self, answer: Any, scope: Any, sts: bool) -> None:
        source = "getSTS" if sts else "getAuthorization"
        if isinstance(answer, str):
            answer = {"Authorization": answer}
        if not isinstance(answer, Mapping):
            raise ParameterError(
                source, f"callback params format error: {type(answer).__name__} is not a mapping or a str"
            )
        self.scope = scope
        self.scope_limit = bool(answer.get("ScopeLimit"))
        self.credentials: Credentials | None = None
        self.start: int | None = None
        self.end: int | None = None
        self.middle = b""
        self.extra = b"".join(
            b"&%b=%b" % (name, _text(answer, key).encode())
            for name, key in ((b"clientIP", "ClientIP"), (b"clientUA", "ClientUA"), (b"token", "Token"))
            if answer.get(key)
        )
        token = answer.get("SecurityToken") or answer.get("XCosSecurityToken")
        authorization = None if sts else answer.get("Authorization")
        if authorization:
            self.middle = self._read_authorization(authorization, token, source)
            return
        values = []
        for field, other in (("TmpSecretId", "SecretId"), ("TmpSecretKey", "SecretKey")):
            value = answer.get(field) or (answer.get(other) if sts else None)
            if not value:
                raise ParameterError(source, f'callback params missing "{field}"')
            values.append(value)
        if not token:
            raise ParameterError(source, 'callback params missing "SecurityToken"')
        self.start = _ten_digits(answer, "StartTime", f"{source} callback params")
        self.end = _ten_digits(answer, "ExpiredTime", f"{source} callback params")
        if self.end is None:
            raise ParameterError(source, 'callback params missing "ExpiredTime"')
        self.credentials = _make_credentials(Credentials, *values, token)

    @staticmethod
    def _read_authorization(authorization: Any, token: Any, source: str) -> bytes:
        """A URL's middle from an Authorization made elsewhere."""
        fields = ("q-sign-algorithm=", "q-ak=", "q-sign-time=", "q-key-time=", "q-url-param-list=")
        if not isinstance(authorization, str) or not re.fullmatch(r"[!-~]+", authorization):
            raise ParameterError(source, "callback params format error: Authorization")
        if all(field in authorization for field in fields) and "q-signature" in authorization:
            names = re.search("q-url-param-list=([^&]*)", authorization)
            assert names
            encoded_names = encode_component(names[1].encode()).decode().lower()
            text = authorization[: names.start(1)] + encoded_names + authorization[names.end(1) :]
        elif re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", authorization):
            text = "sign=" + encode_component(authorization.encode()).decode()
        else:
            raise ParameterError(source, "callback params format error: Authorization")
        middle = (
            "?" + text + (f"&x-cos-security-token={_text({'SecurityToken': token}, 'SecurityToken')}" if token else "")
        )
        return middle.encode()

    @property
    def is_shared(self) -> bool:
        """Whether it serves other keys, too."""
        return self.credentials is not None and not self.scope_limit

    def serves(self, moment: int) -> bool:
        """Whether its time has begun and not ended; the SDK allows 30 s for the request."""
        return (self.start is None or moment >= self.start) and self.end is not None and moment < self.end

    def template(self, request: _Request) -> Template:
        if self.credentials is None:
            return request.make_unsigned_template(self.middle + self.extra)
        return request.make_signed_template(self.credentials, self.start, self.end, self.extra)


class COS:
    """The documented client. It signs; it does not transfer files.

    Args (keywords or one mapping):
        SecretId, SecretKey: permanent or temporary credentials.
        SecurityToken (or XCosSecurityToken): the token of temporary credentials. The URL contains it as you give it.
        StartTime, ExpiredTime: the start and the end of temporary credentials, Unix seconds with 10 digits.
        Domain: a host or a template, as in `cossign.endpoint.endpoint`.
        Protocol: accepted without effect, as in the Mini Program SDK: URLs are https, unless Domain has a scheme.
        UseAccelerate: use the global acceleration host.
        ForceSignHost: False not to sign Host.
        SystemClockOffset: milliseconds to add to the clock.
        getAuthorization: ``provider(options, callback)``; it calls ``callback`` at once or later, from any thread, with
            an Authorization or with {TmpSecretId, TmpSecretKey, SecurityToken, StartTime, ExpiredTime}.
        getSTS: a function of the same kind, for temporary credentials only.

    Options for transfers are accepted without effect.

    >>> cos = COS({"SecretId": "AKIDEXAMPLE", "SecretKey": "example-key"})
    >>> cos.getObjectUrl(Bucket="examplebucket-1250000000", Region="ap-beijing", Key="picture.jpg", Sign=False)
    'https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/picture.jpg'
    """

    getAuthorization = staticmethod(getAuthorization)
    getAuthorizations = staticmethod(getAuthorizations)

    def __init__(self, options: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        if options is not None and not isinstance(options, Mapping):
            raise ParameterError("options", f"must be keywords or one mapping, not {type(options).__name__}")
        settings = {
            name: value
            for name, value in {**(options or {}), **keywords}.items()
            if name not in _WITHOUT_EFFECT and not (name == "ForcePathStyle" and not value)
        }
        if "ForcePathStyle" in settings:
            raise ParameterError("ForcePathStyle", "is not supported: COS takes virtual-hosted-style URLs only")
        settings = _parameters(settings, {}, _OPTIONS)
        for name in ("getAuthorization", "getSTS"):
            if name in settings and not callable(settings[name]):
                raise ParameterError(
                    name, f"must be a function (options, callback), not {type(settings[name]).__name__}"
                )
        token = settings.pop("SecurityToken", "") or settings.pop("XCosSecurityToken", "")
        secret_id, secret_key = settings.pop("SecretId", ""), settings.pop("SecretKey", "")
        self._secret_id: Any = secret_id
        self._credentials: Credentials | None = None
        if secret_id and secret_key:
            self._credentials = _make_credentials(Credentials, secret_id, secret_key, token or None)
        elif secret_id or secret_key:
            self._missing_name = "SecretKey" if secret_id else "SecretId"
        else:
            self._missing_name = "SecretId"
        self._options = settings
        self._engine = chosen_engine()
        self._last_call = _LastCall()
        self._temporary_answers: list[_Answer] = []
        self._lock = threading.Lock()

    def getAuth(self, parameters: Mapping[str, Any] | None = None, /, **keywords: Any) -> str:
        """`getAuthorization` with this client's credentials and SystemClockOffset as defaults.

        As in the SDK, one leading slash of Key is dropped.

        >>> COS(SecretId="AKIDEXAMPLE", SecretKey="example-key").getAuth(Method="get", Key="a.jpg").partition("&")[0]
        'q-sign-algorithm=sha1'
        """
        arguments = _parameters(parameters, keywords, _AUTHORIZATION)
        if self._options.get("SystemClockOffset") is not None:
            arguments.setdefault("SystemClockOffset", self._options["SystemClockOffset"])
        if self._credentials is None or arguments.get("SecretId") or arguments.get("SecretKey"):
            credentials = _credentials(
                {
                    "SecretId": arguments.get("SecretId") or self._secret_id,
                    "SecretKey": arguments.get("SecretKey") or (self._credentials and self._credentials.secret_key),
                }
            )
        else:
            credentials = self._credentials
        template = _authorization(arguments, credentials, _core.DROP_SLASH, "Key", self._engine, _now(arguments))
        return _core.sign_one(template, _text(arguments, "Key"))

    def getObjectUrl(
        self, parameters: Mapping[str, Any] | None = None, callback: Callback | None = None, /, **keywords: Any
    ) -> str | None:
        """An object's URL, signed or not.

        Args (keywords or one mapping; then a callback):
            Bucket: ``<BucketName>-<APPID>``, required.
            Region: for example ``ap-beijing``, required.
            Key: the object's key, required; one leading slash is dropped.
            Sign: False for a URL without a signature; True when missing.
            Method: "GET" when missing.
            Query: parameters of the URL, which are signed.
            QueryString: added to the URL as it is, unsigned.
            Headers: headers to sign. Empty ones are left out; so are Content-Type, Cache-Control and others that the
                SDK does not sign, with an `UnsignedHeaderWarning`.
            Expires: seconds; 900 when missing, 0 or empty.
            Protocol, Domain, UseAccelerate, ForceSignHost: as in `COS`, for this call.
            callback: ``callback(err, data)``; ``data.Url`` is the URL.

        Returns:
            The URL. If a provider has not answered yet, the unsigned URL, and the callback gets the signed one. None if
            the callback got an error.

        Raises:
            ParameterError: a parameter is missing, unknown or not valid; only where there is no callback.

        Source: product 436, page 36162; cos-wx-sdk-v5, src/base.js, getObjectUrl.

        >>> cos = COS(SecretId="AKIDEXAMPLE", SecretKey="example-key")
        >>> parameters = {"Bucket": "examplebucket-1250000000", "Region": "ap-beijing", "Key": "picture.jpg"}
        >>> cos.getObjectUrl({**parameters, "Sign": False}, lambda err, data: print(err or data.Url))
        https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/picture.jpg
        'https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/picture.jpg'
        """
        callback = keywords.pop("callback", callback)

        def work() -> tuple[str, bool]:
            arguments = _parameters(parameters, keywords, _OBJECT_URL)
            key = _text(arguments, "Key")
            if not key:
                raise MissingParameter("Key", "the object's name, such as 'picture.jpg'")
            rest, template = self._last_call.lookup(arguments, _now(self._options))
            if template is not None:
                return _core.sign_one(template, key), False
            request = _Request(self._options, arguments, "Key", self._engine)
            if request.sign and self._provider:
                urls, is_pending = self._sign_by_provider(
                    request,
                    [key],
                    lambda result: self._deliver(callback, "Url", result[0] if isinstance(result, list) else result),
                )
                return urls[0], is_pending
            template = self._own_template(request)
            self._last_call.keep(rest, request.now, template)
            return _core.sign_one(template, key), False

        return self._run_and_report(work, callback, "Url")

    def getObjectUrls(
        self, parameters: Mapping[str, Any] | None = None, callback: Callback | None = None, /, **keywords: Any
    ) -> list[str] | None:
        """`getObjectUrl` for each of ``Keys``, all with the same start and the same other parameters.

        ``RoundTo``, in seconds, is `Signer`'s `round_to`.

        Returns:
            The list of URLs, in order; with a callback also ``data.Urls``.

        >>> cos = COS(SecretId="AKIDEXAMPLE", SecretKey="example-key")
        >>> len(cos.getObjectUrls(Bucket="examplebucket-1250000000", Region="ap-beijing", Keys=["a.jpg", "b.jpg"]))
        2
        """
        callback = keywords.pop("callback", callback)

        def work() -> tuple[list[str], bool]:
            arguments = _parameters(parameters, keywords, _OBJECT_URL - {"Key"} | _BULK)
            request = _Request(self._options, arguments, "Keys", self._engine)
            keys = _keys(arguments)
            if request.sign and self._provider:
                return self._sign_by_provider(request, list(keys), lambda urls: self._deliver(callback, "Urls", urls))
            return _core.sign_many(self._own_template(request), keys, (), (), None), False

        return self._run_and_report(work, callback, "Urls")

    # --- What both share

    @property
    def _provider(self) -> Callable[..., object] | None:
        return self._options.get("getAuthorization") or self._options.get("getSTS")

    def _own_template(self, request: _Request) -> Template:
        """The template without a provider: unsigned, or signed with the client's own credentials."""
        if not request.sign:
            return request.make_unsigned_template()
        if self._credentials is None:
            raise MissingParameter(self._missing_name, "give COS both SecretId and SecretKey, or getAuthorization")
        start = _ten_digits(self._options, "StartTime", "params")
        return request.make_signed_template(
            self._credentials, start, _ten_digits(self._options, "ExpiredTime", "params")
        )

    def _run_and_report(self, work: Callable[[], tuple[R, bool]], callback: Callback | None, field: str) -> R | None:
        """Run `work`; its value, unless that comes later, or its error goes to the callback where there is one."""
        if callback is not None and not callable(callback):
            raise ParameterError("callback", f"must be a function (err, data), not {type(callback).__name__}")
        try:
            value, is_pending = work()
        except CosSignError as error:
            if callback is None:
                raise
            callback(error, None)
            return None
        if not is_pending:
            self._deliver(callback, field, value)
        return value

    @staticmethod
    def _deliver(callback: Callback | None, field: str, value: Any) -> None:
        if callback is not None:
            if isinstance(value, CosSignError):
                callback(value, None)
            else:
                callback(None, ObjectUrl({field: value}))
        elif isinstance(value, CosSignError):
            raise value

    def _sign_by_provider(
        self, request: _Request, keys: list[str], deliver: Callable[[Any], None]
    ) -> tuple[list[str], bool]:
        """URLs by the provider's answers: one answer serves all keys, unless it is for one key alone.

        Returns:
            The URLs and False; or, while an answer is outstanding, the unsigned URLs and True: then `deliver` gets the
            URLs, or the error, when the last answer has come.
        """
        urls: list[str] = [""] * len(keys)
        lock = threading.Lock()
        state = {"open": len(keys), "left": False}
        errors: list[CosSignError] = []

        def receive(first: int, last: int, answer: _Answer | CosSignError) -> None:
            """Keys first to last - 1 have their answer."""
            try:
                if isinstance(answer, CosSignError):
                    raise answer
                urls[first:last] = _core.sign_many(answer.template(request), keys[first:last], (), (), None)
            except CosSignError as error:
                errors.append(error)
            with lock:
                state["open"] -= last - first
                is_complete = state["left"] and not state["open"]
            if is_complete:
                deliver(errors[0] if errors else urls)

        def receive_first(answer: _Answer | CosSignError) -> None:
            if isinstance(answer, CosSignError) or answer.is_shared:
                receive(0, len(keys), answer)
                return
            receive(0, 1, answer)
            for index in range(1, len(keys)):
                self._ask(request, keys[index], lambda each, index=index: receive(index, index + 1, each))  # type: ignore[misc]

        if keys:
            self._ask(request, keys[0], receive_first)
        with lock:
            state["left"] = True
            is_pending = state["open"] > 0
        if errors and not is_pending:
            raise errors[0]
        if is_pending:
            return _core.sign_many(request.make_unsigned_template(), keys, (), (), None), True
        return urls, False

    def _ask(self, request: _Request, key: str, receive: Callable[[_Answer | CosSignError], None]) -> None:
        """Answer for one key: from the cache, or by the provider; `receive` is called once, now or later."""
        if not key:
            raise MissingParameter(request.name, "the object's name, such as 'picture.jpg'")
        if not isinstance(key, str):
            raise ParameterError(request.name, f"must be a str, not {type(key).__name__}")
        key = key.removeprefix("/")
        action = "name/cos:PutObject" if request.method.upper() == "PUT" else "name/cos:GetObject"
        scope = [{"action": action, "bucket": request.bucket, "region": request.region, "prefix": key}]
        with self._lock:
            moment = _second(request.now) + 30
            self._temporary_answers = [each for each in self._temporary_answers if each.serves(moment)]
            fitting_answers = [each for each in self._temporary_answers if each.is_shared or each.scope == scope]
        if fitting_answers and fitting_answers[-1].end is not None and fitting_answers[-1].end - request.now > 60:
            receive(fitting_answers[-1])
            return
        options: dict[str, Any] = {"Bucket": request.bucket, "Region": request.region}
        sts = "getAuthorization" not in self._options
        if not sts:
            options.update(
                Method=request.method,
                Key=key,
                Pathname="/" + key,
                Query=dict(request.query),
                Headers=dict(request.headers),
                Scope=scope,
                SystemClockOffset=self._options.get("SystemClockOffset", 0),
                ForceSignHost=request.force_host,
            )
        answer_lock = threading.Lock()

        def answer(content: Any = None) -> None:
            if not answer_lock.acquire(blocking=False):
                return
            try:
                reply = _Answer(content, scope, sts)
            except CosSignError as error:
                receive(error)
                return
            if reply.credentials is not None:
                with self._lock:
                    self._temporary_answers.append(reply)
            receive(reply)

        assert self._provider is not None
        self._provider(options, answer)

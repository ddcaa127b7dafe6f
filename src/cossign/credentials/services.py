"""Temporary credentials from Tencent Cloud: the instance's role by the metadata service, and STS."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from cossign.credentials.answers import read_answer
from cossign.credentials.base import Credentials, CredentialsSource, as_provider, check_visible
from cossign.credentials.clock import Clock
from cossign.credentials.policy import check_policy
from cossign.credentials.refreshing import RefreshingCredentials
from cossign.credentials.web import UnknownHost, WebAnswer, send_request
from cossign.errors import CredentialsError, CredentialsNotFound, ParameterError

__all__ = ["CvmRoleCredentials", "StsCredentials", "WebIdentityCredentials"]

# --- The instance's role ----------------------------------------------------------------------------------------------


class CvmRoleCredentials(RefreshingCredentials):
    """Credentials of the role of a CVM instance, from its metadata service.

    Args:
        role: the role's name. None: ask the service for it.
        endpoint: the address of the service.
        seconds: how long one request may take.
        refresh_before, attempts, timeout, clock: as in `RefreshingCredentials`.

    Source: Tencent Cloud, CVM, "Instance Roles"; tencentcloud-sdk-python, common/credential.py, CVMRoleCredential.

    >>> CvmRoleCredentials("my-role")
    CvmRoleCredentials('my-role')
    """

    def __init__(
        self,
        role: str | None = None,
        *,
        endpoint: str = "http://metadata.tencentyun.com",
        seconds: float = 2,
        refresh_before: float = 300,
        attempts: int = 3,
        timeout: float = 30,
        clock: Clock | None = None,
    ) -> None:
        if role is not None and not re.fullmatch(r"[\w.+=,@-]+", role):
            raise ParameterError("role", "must be a role's name: letters, digits and +=,.@_-")
        _check_seconds(seconds)
        super().__init__(
            self._fetch_from_instance, refresh_before=refresh_before, attempts=attempts, timeout=timeout, clock=clock
        )
        self._arguments = (role,)
        self._options.update(endpoint=endpoint, seconds=seconds)
        self._role = role
        if "://" not in str(endpoint):
            raise ParameterError("endpoint", "must begin with http:// or https://")
        self._base = _checked_url(endpoint) + "/latest/meta-data/cam/security-credentials/"
        self._seconds = seconds

    def _fetch_from_instance(self) -> Credentials:
        role = self._role
        if role is None:
            names = self._read("").body.decode(errors="replace").split()
            if not names:
                raise CredentialsNotFound("this instance has no role")
            role = names[0]
        web_answer = self._read(quote(role, safe=""))
        _learn(self._options["clock"], web_answer)
        answer = web_answer.json("the metadata service")
        if answer.get("Code") != "Success":
            raise CredentialsError(f"the metadata service gives no credentials for the role {role!r}")
        return read_answer(answer)

    def _read(self, path: str) -> WebAnswer:
        try:
            answer = send_request(self._base + path, self._seconds, headers={}, proxies=False)
        except UnknownHost as error:  # this is not an instance of Tencent Cloud
            raise CredentialsNotFound(str(error)) from None
        if answer.status == 404:
            raise CredentialsNotFound(f"this instance has no role{f' {self._role!r}' if self._role else ''}")
        if answer.status != 200:
            raise CredentialsError(f"the metadata service answers with status {answer.status}")
        return answer

    def __repr__(self) -> str:
        return f"CvmRoleCredentials({'' if self._role is None else repr(self._role)})"


# --- STS --------------------------------------------------------------------------------------------------------------


def tc3_authorization(credentials: Credentials, service: str, host: str, body: bytes, timestamp: int) -> str:
    """The Authorization of a call of Tencent Cloud's API 3.0: a POST of JSON, by TC3-HMAC-SHA256.

    Args:
        credentials: whose SecretKey signs.
        service: the API's name, such as ``sts``.
        host: the Host header.
        body: what is sent.
        timestamp: Unix seconds, as in X-TC-Timestamp.

    Source: Tencent Cloud, API 3.0, "Signature v3" (product 213, page 30654).
    """
    date = time.strftime("%Y-%m-%d", time.gmtime(timestamp))
    request = f"POST\n/\n\ncontent-type:{_JSON}\nhost:{host}\n\ncontent-type;host\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{date}/{service}/tc3_request"
    string_to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = b"TC3" + credentials.secret_key.encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, string_to_sign.encode(), "sha256").hex()
    return (
        f"TC3-HMAC-SHA256 Credential={credentials.secret_id}/{scope}, "
        f"SignedHeaders=content-type;host, Signature={signature}"
    )


_JSON = "application/json"


class StsCredentials(RefreshingCredentials):
    """Temporary credentials from STS: GetFederationToken, or with `role_arn` AssumeRole.

    Args:
        source: the credentials that ask STS: Credentials, or a provider.
        policy: the policy of the temporary credentials, as a mapping or as JSON text. GetFederationToken needs one.
        role_arn: the role to assume, ``qcs::cam::uin/...:roleName/...``.
        name: the name of the session in the account's logs: letters, digits, underscores.
        external_id: the role's external id, if it has one.
        duration: the lifetime in seconds. STS allows 7,200 for a main account's federation token.
        region: the region of STS.
        endpoint: the API's host, or a URL up to it.
        seconds: how long one request may take.
        refresh_before, attempts, timeout: as in `RefreshingCredentials`.
        clock: the clock; it learns from the Date header of STS. If STS refuses a call for its time, it is repeated.

    Source: Tencent Cloud, STS, "GetFederationToken" and "AssumeRole" (API version 2018-08-13).

    >>> lent = {"effect": "allow", "action": ["name/cos:GetObject"], "resource": "*"}
    >>> policy = {"version": "2.0", "statement": [lent]}
    >>> StsCredentials(Credentials("AKIDEXAMPLE", "example-key"), policy=policy, duration=1800)
    StsCredentials(GetFederationToken)
    """

    def __init__(
        self,
        source: CredentialsSource,
        *,
        policy: Mapping[str, Any] | str | None = None,
        role_arn: str | None = None,
        name: str = "cossign",
        external_id: str | None = None,
        duration: int = 1800,
        region: str = "ap-guangzhou",
        endpoint: str = "sts.tencentcloudapi.com",
        seconds: float = 10,
        refresh_before: float = 300,
        attempts: int = 3,
        timeout: float = 40,
        clock: Clock | None = None,
    ) -> None:
        provider = as_provider(source, "source")
        if policy is None and role_arn is None:
            raise ParameterError("policy", "is required for a federation token; or give a role_arn to assume")
        if policy is not None:
            check_policy(policy)
            if not isinstance(policy, str):  # a copy: the caller may change his own
                policy = json.dumps(policy, default=dict)
        _check_texts(role_arn=role_arn, name=name, external_id=external_id, region=region)
        _check_duration(duration)
        _check_seconds(seconds)
        super().__init__(
            self._fetch_from_sts, refresh_before=refresh_before, attempts=attempts, timeout=timeout, clock=clock
        )
        self._arguments = (provider,)
        self._options.update(
            policy=policy,
            role_arn=role_arn,
            name=name,
            external_id=external_id,
            duration=duration,
            region=region,
            endpoint=endpoint,
            seconds=seconds,
        )
        self._source = provider
        self._action = "GetFederationToken" if role_arn is None else "AssumeRole"
        self._url = _checked_url(endpoint)
        self._region = region
        self._seconds = seconds
        parameters: dict[str, Any] = {"DurationSeconds": duration}
        if role_arn is None:
            parameters["Name"] = name
        else:
            parameters.update(RoleArn=role_arn, RoleSessionName=name)
            if external_id is not None:
                parameters["ExternalId"] = external_id
        if policy is not None:
            # Percent-encoded once inside the JSON, as both calls' pages ask.
            parameters["Policy"] = quote(policy, safe="")
        self._body = json.dumps(parameters).encode()

    def _fetch_from_sts(self) -> Credentials:
        credentials = self._source.get()
        now = int(self._clock.now())
        host = urlsplit(self._url).netloc
        headers = {"Authorization": tc3_authorization(credentials, "sts", host, self._body, now), "Host": host}
        if credentials.token is not None:
            headers["X-TC-Token"] = credentials.token
        return _call_sts(
            self._url, self._action, self._body, headers, region=self._region, now=now, seconds=self._seconds,
            clock=self._options["clock"],
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"StsCredentials({self._action})"


def _learn(clock: Clock | None, answer: WebAnswer) -> bool:
    """Let a clock that was given learn from an answer; whether that has changed it."""
    if clock is None or answer.date is None:
        return False
    old_offset = clock.offset
    with contextlib.suppress(ParameterError):
        return clock.learn(answer.date, within=answer.seconds) != old_offset
    return False


def _checked_url(endpoint: Any) -> str:
    """The URL of an API's host, without a slash at its end."""
    url = endpoint if isinstance(endpoint, str) and "://" in endpoint else f"https://{endpoint}"
    parts = urlsplit(url)
    if not isinstance(endpoint, str) or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError("endpoint", "must be a host, or begin with http:// or https:// and a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ParameterError("endpoint", "must be a host or a URL, without a user, a password or a query")
    return url.rstrip("/")


def _check_seconds(seconds: Any) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 86_400:
        raise ParameterError("seconds", "must be a number of seconds, greater than 0")


def _check_texts(**texts: Any) -> None:
    for parameter, value in texts.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise ParameterError(parameter, "must be a str, and not empty")


def _check_duration(duration: Any) -> None:
    if isinstance(duration, bool) or not isinstance(duration, int) or duration <= 0:
        raise ParameterError("duration", "must be greater than 0 seconds")


def _call_sts(
    url: str,
    action: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    region: str,
    now: int,
    seconds: float,
    clock: Clock | None = None,
) -> Credentials:
    """The credentials that STS answers with.

    Raises:
        CredentialsError: it refuses, or cannot be reached; the message has its code.
    """
    answer = send_request(
        url + "/",
        seconds,
        headers={
            **headers,
            "Content-Type": _JSON,
            "X-TC-Action": action,
            "X-TC-Region": region,
            "X-TC-Timestamp": str(now),
            "X-TC-Version": "2018-08-13",
        },
        body=body,
    )
    reply = answer.json("STS").get("Response")
    if not isinstance(reply, dict):
        raise CredentialsError(f"STS: status {answer.status}, and the answer has no Response")
    error = reply.get("Error")
    is_late = isinstance(error, dict) and error.get("Code") == "AuthFailure.SignatureExpire"
    if _learn(clock, answer) and is_late:
        raise CredentialsError("STS: the clock was wrong")  # asked again, by the right one
    try:
        return read_answer(reply)
    except CredentialsError as failure:
        reason, kind = str(failure), type(failure)
    del reply, error, answer  # who shows a frame's variables shows no answer
    raise kind(f"STS: {reason}")


# --- TKE's OIDC -------------------------------------------------------------------------------------------------------


class WebIdentityCredentials(RefreshingCredentials):
    """Temporary credentials of a role for a pod of TKE, by its service account: AssumeRoleWithWebIdentity.

    Missing parameters come from the environment that TKE sets in the pod: TKE_REGION, TKE_PROVIDER_ID,
    TKE_WEB_IDENTITY_TOKEN_FILE and TKE_ROLE_ARN. The token's file is read at each call, because TKE renews it.

    Args:
        region: the region of STS.
        provider_id: the identity provider's name.
        token_file: the file with the service account's token (OIDC).
        role_arn: the role, ``qcs::cam::uin/...:roleName/...``.
        name: the name of the session in the account's logs.
        duration: the lifetime in seconds, at most 43,200.
        endpoint: the API's host, or a URL up to it.
        seconds: how long one request may take.
        refresh_before, attempts, timeout, clock: as in `RefreshingCredentials`.

    Source: STS, "AssumeRoleWithWebIdentity" (product 1312, page 73070); tencentcloud-sdk-python-common, credential.py,
    DefaultTkeOIDCRoleArnProvider.

    >>> WebIdentityCredentials(role_arn="qcs::cam::uin/100000000001:roleName/reader")
    WebIdentityCredentials('qcs::cam::uin/100000000001:roleName/reader')
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        provider_id: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        role_arn: str | None = None,
        name: str = "cossign",
        duration: int = 7200,
        endpoint: str = "sts.tencentcloudapi.com",
        seconds: float = 10,
        refresh_before: float = 300,
        attempts: int = 3,
        timeout: float = 40,
        clock: Clock | None = None,
    ) -> None:
        _check_duration(duration)
        _check_seconds(seconds)
        super().__init__(
            self._fetch_by_token, refresh_before=refresh_before, attempts=attempts, timeout=timeout, clock=clock
        )
        self._arguments = ()
        own_options = {
            "region": region,
            "provider_id": provider_id,
            "token_file": None if token_file is None else os.fspath(token_file),
            "role_arn": role_arn,
        }
        _check_texts(**own_options, name=name)
        self._settings: dict[str, str | None] = own_options
        self._options.update(own_options, name=name, duration=duration, endpoint=endpoint, seconds=seconds)
        self._url = _checked_url(endpoint)

    def get(self) -> Credentials:
        """As `RefreshingCredentials.get`.

        Raises:
            CredentialsNotFound: this is not a pod of TKE with a role.
        """
        if self._state.credentials is None:
            self._values()
        return super().get()

    async def get_async(self) -> Credentials:
        """As `get`, without blocking the event loop."""
        if self._state.credentials is None:
            self._values()
        return await super().get_async()

    def _values(self) -> dict[str, str]:
        """What is given, or what TKE has put into the environment."""
        variables = {
            "region": "TKE_REGION",
            "provider_id": "TKE_PROVIDER_ID",
            "token_file": "TKE_WEB_IDENTITY_TOKEN_FILE",
            "role_arn": "TKE_ROLE_ARN",
        }
        values = {name: self._settings[name] or os.environ.get(variable) for name, variable in variables.items()}
        missing = [variables[name] for name, value in values.items() if not value]
        if missing and not any(values[name] for name in ("provider_id", "token_file", "role_arn")):
            raise CredentialsNotFound(f"this is not a pod of TKE with a role: {', '.join(missing)} are not set")
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise CredentialsError(f"{', '.join(missing)} {verb} not set, but others of TKE's variables are")
        return {name: str(value) for name, value in values.items()}

    def _fetch_by_token(self) -> Credentials:
        values = self._values()
        place = values["token_file"]
        try:
            with open(place, encoding="utf-8-sig") as file:
                token = check_visible(f"the token in {place}", file.read(1 << 20).strip())
        except OSError as error:
            raise CredentialsError(f"{place}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise CredentialsError(f"{place}: is not UTF-8") from None
        parameters = {
            "ProviderId": values["provider_id"],
            "WebIdentityToken": token,
            "RoleArn": values["role_arn"],
            "RoleSessionName": self._options["name"],
            "DurationSeconds": self._options["duration"],
        }
        return _call_sts(
            self._url,
            "AssumeRoleWithWebIdentity",
            json.dumps(parameters).encode(),
            {"Authorization": "SKIP"},  # the token speaks for itself
            region=values["region"],
            now=int(self._clock.now()),
            seconds=self._options["seconds"],
            clock=self._options["clock"],
        )

    def __repr__(self) -> str:
        role = self._settings["role_arn"]
        return f"WebIdentityCredentials({'' if role is None else repr(role)})"

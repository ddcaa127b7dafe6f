"""Temporary credentials from Tencent Cloud: the instance's role by the metadata service, and STS."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from cossign.credentials.base import Credentials, CredentialsProvider
from cossign.credentials.clock import Clock
from cossign.credentials.refreshing import RefreshingCredentials, Refusal, parse_answer
from cossign.errors import CredentialsError, CredentialsNotFound, ParameterError

__all__ = ["CvmRoleCredentials", "StsCredentials"]

_MAX_BYTES = 1 << 16  # bytes of an answer; real ones have two thousand


# --- One bounded HTTP request -----------------------------------------------------------------------------------------


def _send_request(
    url: str, seconds: float, *, headers: Mapping[str, str], body: bytes | None, proxies: bool
) -> _Answer:
    """The answer to a request, within so many seconds, however slowly it trickles.

    Raises:
        CredentialsNotFound: there is no such host.
        CredentialsError: it cannot be reached, or does not answer in time or in HTTP.
    """
    import ssl
    from http import client
    from urllib import error, request

    class Connection(client.HTTPConnection):
        """Is shut from outside when the time is over: a timeout of the socket's begins anew with each byte."""

        def connect(self) -> None:
            super().connect()
            alarm = threading.Timer(max(0.0, end - time.monotonic()), _shut, (self.sock,))
            alarm.daemon = True
            alarm.start()
            alarms.append(alarm)

    class SecureConnection(Connection, client.HTTPSConnection):
        pass

    class HttpHandler(request.HTTPHandler):
        def http_open(self, http_request: Any) -> Any:
            return self.do_open(Connection, http_request)

    class HttpsHandler(request.HTTPSHandler):
        def https_open(self, http_request: Any) -> Any:
            return self.do_open(SecureConnection, http_request, context=ssl.create_default_context())

    class NoRedirect(request.HTTPRedirectHandler):
        def redirect_request(self, *details: Any) -> None:
            return None

    end = time.monotonic() + seconds
    alarms: list[threading.Timer] = []
    opener = request.build_opener(
        HttpHandler, HttpsHandler, NoRedirect, *([] if proxies else [request.ProxyHandler({})])
    )
    origin = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    try:
        try:
            answer = opener.open(request.Request(url, body, dict(headers)), timeout=seconds)  # noqa: S310
        except error.HTTPError as http_error:
            answer = http_error
        with answer:
            result = _Answer(answer.status or 0, answer.read(_MAX_BYTES + 1), answer.headers.get("Date"))
            if time.monotonic() >= end:
                raise TimeoutError
    except (OSError, client.HTTPException, ValueError, AttributeError) as failure:  # the last two: shut in mid-read
        reason = getattr(failure, "reason", failure)
        if isinstance(reason, socket.gaierror):
            raise CredentialsNotFound(f"{origin}: there is no such host") from None
        if time.monotonic() >= end or isinstance(reason, TimeoutError):
            raise CredentialsError(f"{origin}: no answer within {seconds:g} s") from None
        message = getattr(reason, "strerror", None) or type(reason).__name__
        raise CredentialsError(f"{origin}: {message}") from None
    finally:
        for alarm in alarms:
            alarm.cancel()
    if len(result.body) > _MAX_BYTES:
        raise CredentialsError(f"{origin}: the answer is longer than {_MAX_BYTES} bytes")
    return result


class _Answer:
    """What came: its status, its body, its Date header."""

    __slots__ = ("body", "date", "status")

    def __init__(self, status: int, body: bytes, date: str | None) -> None:
        self.status = status
        self.body = body
        self.date = date

    def json(self, who: str) -> Mapping[str, Any]:
        """The body as a JSON object.

        Raises:
            CredentialsError: it is none.
        """
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):  # its text, and that of the error, may hold a secret
            data = None
        if not isinstance(data, dict):
            raise CredentialsError(f"{who}: status {self.status}, and the answer is no JSON object")
        return data


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


# --- The instance's role ----------------------------------------------------------------------------------------------


class CvmRoleCredentials(RefreshingCredentials):
    """Credentials of the role that a CVM instance has, from its metadata service.

    Args:
        role: the role's name; None to ask the service for it.
        endpoint: where the service is.
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
        if urlsplit(endpoint).scheme not in ("http", "https"):
            raise ParameterError("endpoint", "must begin with http:// or https://")
        super().__init__(
            self._fetch_from_instance, refresh_before=refresh_before, attempts=attempts, timeout=timeout, clock=clock
        )
        self._arguments = (role,)
        self._options.update(endpoint=endpoint, seconds=seconds)
        self._role = role
        self._base = endpoint.rstrip("/") + "/latest/meta-data/cam/security-credentials/"
        self._seconds = seconds

    def _fetch_from_instance(self) -> Credentials:
        role = self._role
        if role is None:
            names = self._read("").body.decode(errors="replace").split()
            if not names:
                raise CredentialsNotFound("this instance has no role")
            role = names[0]
        answer = self._read(quote(role, safe="")).json("the metadata service")
        if answer.get("Code") != "Success":
            raise CredentialsError(f"the metadata service gives no credentials for the role {role!r}")
        return parse_answer(answer)

    def _read(self, path: str) -> _Answer:
        answer = _send_request(self._base + path, self._seconds, headers={}, body=None, proxies=False)
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
        source: whose permission is lent: Credentials, or a provider.
        policy: what the temporary credentials may do, as a mapping or as JSON text; GetFederationToken needs one.
        role_arn: the role to assume, ``qcs::cam::uin/...:roleName/...``.
        name: what the session is called in the account's logs: letters, digits, underscores.
        external_id: the role's external id, if it has one.
        duration: seconds for which they hold; STS allows 7,200 for a main account's federation token.
        region: the region that answers.
        endpoint: the API's host, or a URL up to it.
        seconds: how long one request may take.
        refresh_before, attempts, timeout: as in `RefreshingCredentials`.
        clock: likewise; when STS refuses a call for its time, the clock learns from its Date header, and STS is asked
            again.

    Source: Tencent Cloud, STS, "GetFederationToken" and "AssumeRole" (API version 2018-08-13).

    >>> lent = {"effect": "allow", "action": ["name/cos:GetObject"], "resource": "*"}
    >>> policy = {"version": "2.0", "statement": [lent]}
    >>> StsCredentials(Credentials("AKIDEXAMPLE", "example-key"), policy=policy, duration=1800)
    StsCredentials(GetFederationToken)
    """

    def __init__(
        self,
        source: CredentialsProvider,
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
        if not callable(getattr(source, "get", None)) or isinstance(source, Mapping):
            raise ParameterError("source", "must be Credentials, or a provider with get() -> Credentials")
        if policy is None and role_arn is None:
            raise ParameterError("policy", "must say what the federation token may do; or give a role_arn to assume")
        if isinstance(policy, str):
            try:
                json.loads(policy)
            except ValueError:
                raise ParameterError("policy", "must be JSON") from None
        if isinstance(duration, bool) or not isinstance(duration, int) or duration <= 0:
            raise ParameterError("duration", "must be greater than 0 seconds")
        super().__init__(
            self._fetch_from_sts, refresh_before=refresh_before, attempts=attempts, timeout=timeout, clock=clock
        )
        self._arguments = (source,)
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
        self._source = source
        self._action = "GetFederationToken" if role_arn is None else "AssumeRole"
        self._url = endpoint if "://" in endpoint else f"https://{endpoint}"
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
            parameters["Policy"] = quote(policy if isinstance(policy, str) else json.dumps(policy), safe="")
        self._body = json.dumps(parameters).encode()

    def _fetch_from_sts(self) -> Credentials:
        answer = self._call()
        reply = answer.json("STS").get("Response")
        if not isinstance(reply, dict):
            raise CredentialsError(f"STS: status {answer.status}, and the answer has no Response")
        error = reply.get("Error")
        if isinstance(error, dict):
            code = str(error.get("Code"))
            clock: Clock | None = self._options["clock"]
            if code == "AuthFailure.SignatureExpire" and clock is not None and answer.date is not None:
                old_offset = clock.offset
                if clock.learn(answer.date) != old_offset:
                    raise CredentialsError("STS: the clock was wrong")  # asked again, by the right one
            text = f"STS: {code}: {error.get('Message')} (RequestId {reply.get('RequestId')})"
            kind = CredentialsError if code.startswith(("InternalError", "RequestLimitExceeded")) else Refusal
            raise kind(text)
        return parse_answer(reply)

    def _call(self) -> _Answer:
        credentials = self._source.get()
        now = int(self._clock.now())
        host = urlsplit(self._url).netloc
        headers = {
            "Authorization": tc3_authorization(credentials, "sts", host, self._body, now),
            "Content-Type": _JSON,
            "Host": host,
            "X-TC-Action": self._action,
            "X-TC-Region": self._region,
            "X-TC-Timestamp": str(now),
            "X-TC-Version": "2018-08-13",
        }
        if credentials.token is not None:
            headers["X-TC-Token"] = credentials.token
        return _send_request(self._url + "/", self._seconds, headers=headers, body=self._body, proxies=True)

    def __repr__(self) -> str:
        return f"StsCredentials({self._action})"

"""Answers with temporary credentials: those of STS, of the SDKs for it, and of the metadata service, in one reader."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from cossign.credentials.base import Credentials, check_visible, unix_seconds
from cossign.errors import CredentialsError

# Names of a field as they are compared: in lower case, without "_" and "-". The first one is what messages call it.
_FIELDS = {
    "TmpSecretId": ("tmpsecretid", "secretid"),
    "TmpSecretKey": ("tmpsecretkey", "secretkey"),
    "Token": ("token", "sessiontoken", "securitytoken", "xcossecuritytoken"),
    "ExpiredTime": ("expiredtime", "expiration"),
}
_WRAPPERS = ("response", "credentials", "data")
_GOOD_CODES = ("Success", "OK", "0", "200", 0, 200)


class RefusedAnswer(CredentialsError):
    """A server said no in a way that asking again will not change."""


def read_answer(answer: Any) -> Credentials:
    """Credentials out of an answer.

    Args:
        answer: a mapping, or JSON text, as STS has it (GetFederationToken, AssumeRole), its SDKs for Python, Node, Go
            and Java, the getAuthorization and getSTS callbacks of the JavaScript SDKs, or the metadata service. The
            fields are TmpSecretId, TmpSecretKey, Token (SessionToken, SecurityToken, XCosSecurityToken) and ExpiredTime
            (Unix seconds or milliseconds) or Expiration (ISO 8601), in any case, alone or below ``Credentials`` and
            ``Response``.

    Raises:
        RefusedAnswer: the answer is an error of STS.
        CredentialsError: a field is missing or malformed; the message names it, and shows no value.

    Source: STS, API version 2018-08-13; qcloud-python-sts (sts.py), qcloud-cos-sts (sdk/sts.js); cos-wx-sdk-v5
    (src/base.js); tencentcloud-sdk-python-common (credential.py).

    >>> read_answer({"credentials": {"tmpSecretId": "AKID", "tmpSecretKey": "key", "sessionToken": "token"},
    ...              "expiredTime": 4102444800}).expires_at
    4102444800
    """
    result = _read(answer)
    del answer  # who shows a frame's variables shows none
    if isinstance(result, CredentialsError):
        raise result
    return result


def _read(answer: Any) -> Credentials | CredentialsError:
    """Those credentials, or what is wrong with the answer."""
    if isinstance(answer, (str, bytes)):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):  # whose text quotes the answer
            return CredentialsError("the answer is text that is not JSON")
    if not isinstance(answer, Mapping):
        return CredentialsError(f"the answer is not a JSON object with TmpSecretId, but {type(answer).__name__}")
    fields = _flatten(answer)
    refusal = _refusal(fields)
    if refusal is not None:
        return refusal
    values: dict[str, Any] = {}
    for name, aliases in _FIELDS.items():
        texts = {alias: fields[alias] for alias in aliases if fields.get(alias) not in (None, "")}
        if not texts:
            return CredentialsError(f"the answer has no {name}")
        if name == "Token" and len(set(map(str, texts.values()))) > 1:
            return CredentialsError("the answer has two different tokens")
        values[name] = next(iter(texts.values()))
    try:
        expires_at = unix_seconds(values.pop("ExpiredTime"), "ExpiredTime")
        if not math.isfinite(expires_at):
            return CredentialsError("the answer's ExpiredTime is not finite")
        for name, value in values.items():
            check_visible(name, value)
        return Credentials(values["TmpSecretId"], values["TmpSecretKey"], values["Token"], expires_at)
    except CredentialsError as error:
        return CredentialsError(f"the answer is malformed: {error}")


def _flatten(answer: Mapping[Any, Any]) -> dict[str, Any]:
    """An answer's fields and those below `_WRAPPERS`, by the names that are compared."""
    fields: dict[str, Any] = {}
    for name, value in answer.items():
        plain_name = str(name).lower().replace("_", "").replace("-", "")
        if plain_name in _WRAPPERS and isinstance(value, Mapping):
            fields.update(_flatten(value))
        else:
            fields.setdefault(plain_name, value)
    return fields


def _refusal(fields: Mapping[str, Any]) -> CredentialsError | None:
    """The error that an answer tells of, if it does."""
    error = fields.get("error")
    details = _flatten(error) if isinstance(error, Mapping) else fields
    code = details.get("code")
    has_id = fields.get("tmpsecretid") or fields.get("secretid")
    if not isinstance(code, (str, int)) or code in _GOOD_CODES or has_id:
        return None
    text = f"the answer is an error: {str(code)[:100]}"
    message, request = details.get("message"), fields.get("requestid")
    if isinstance(message, str):  # or else it may hold anything
        text += f": {message[:300]}"
    if isinstance(request, str):
        text += f" (RequestId {request[:100]})"
    is_passing = str(code).startswith(("InternalError", "RequestLimitExceeded"))
    return CredentialsError(text) if is_passing else RefusedAnswer(text)

"""POST Object: making and checking the policy of a form.

Its signature is not that of other requests: StringToSign is the SHA-1 of the policy's text alone.
Source: Tencent Cloud, COS, "POST Object" (product 436, page 14690), "Signature protection".
"""

from __future__ import annotations

import base64
import binascii
import calendar
import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha1
from hmac import compare_digest
from typing import Any

from cossign._core import SignKey
from cossign._verify import Terms, check_time
from cossign.credentials import Credentials
from cossign.errors import (
    BadSignature,
    MalformedSignature,
    MissingParameter,
    ParameterError,
    SignatureMismatch,
    UnknownSecretId,
)
from cossign.key_time import KeyTime

__all__ = ["PostPolicy", "VerifiedPost"]

_TOKEN = "x-cos-security-token"  # noqa: S105
_SIGNATURE_FIELDS = ("policy", "q-sign-algorithm", "q-ak", "q-key-time", "q-signature")
# Fields of a form that a policy's conditions do not cover.
_EXEMPT_FIELDS = frozenset((*_SIGNATURE_FIELDS, _TOKEN, "file"))
_FILENAME = "${filename}"
_RANGE = "content-length-range"


class PostPolicy:
    """A signed policy for a form.

    Attributes:
        url: where the form is sent, as multipart/form-data.
        fields: the form's fields and their values, to be put before the file, which is the field ``file``.
        policy: the policy's text.
    """

    __slots__ = ("fields", "policy", "url")

    def __init__(self, url: str, fields: dict[str, str], policy: str) -> None:
        self.url = url
        self.fields = fields
        self.policy = policy

    def __repr__(self) -> str:
        return f"PostPolicy(url={self.url!r}, fields={list(self.fields)})"


class VerifiedPost:
    """What a right form says: who signed what, and for how long.

    Attributes:
        secret_id: q-ak.
        key: the key that the file gets, ``${filename}`` filled in.
        key_time: ``(start, end)``, Unix seconds: the time in which q-key-time holds and the policy has not expired.
        signature: q-signature.
        conditions: the policy's, as ``(operator, name, value)``: ``("eq", "acl", "private")``,
            ``("starts-with", "key", "a/")``, ``("content-length-range", 1, 1000)``.
        unsigned_fields: the names of the form's fields without a condition. Anybody may have added them.
        policy: the policy's text.
    """

    __slots__ = ("conditions", "key", "key_time", "policy", "secret_id", "signature", "unsigned_fields")

    def __init__(
        self,
        *,
        secret_id: str,
        key: str,
        key_time: tuple[int, int],
        signature: str,
        conditions: list[tuple[Any, ...]],
        unsigned_fields: tuple[str, ...],
        policy: str,
    ) -> None:
        self.secret_id = secret_id
        self.key = key
        self.key_time = key_time
        self.signature = signature
        self.conditions = conditions
        self.unsigned_fields = unsigned_fields
        self.policy = policy

    def __repr__(self) -> str:
        return f"VerifiedPost(secret_id={self.secret_id!r}, key={self.key!r}, key_time={self.key_time!r})"


# --- Making -----------------------------------------------------------------------------------------------------------


def signed_policy(
    url: str,
    bucket: str | None,
    credentials: Credentials,
    key_time: KeyTime,
    *,
    key: str | None,
    key_prefix: str | None,
    size: tuple[int, int] | None,
    fields: Mapping[str, Any],
    starts_with: Mapping[str, Any],
) -> PostPolicy:
    """A policy and its form fields; the parameters are those of `Signer.post_policy`."""
    conditions: list[Any] = []
    form: dict[str, str] = {}
    if bucket is not None:
        conditions.append({"bucket": bucket})
    if key is not None:
        form["key"] = key
        prefix, wildcard, _ = key.partition(_FILENAME)
        conditions.append(["starts-with", "$key", prefix] if wildcard else {"key": key})
    elif key_prefix is not None:
        if not isinstance(key_prefix, str):
            raise ParameterError("key_prefix", f"must be a str, not {type(key_prefix).__name__}")
        conditions.append(["starts-with", "$key", key_prefix])
    else:
        raise MissingParameter("key", "or key_prefix; give key_prefix='' if the form may name any key")
    if size is not None:
        conditions.append([_RANGE, *_checked_size(size)])
    _check_fields(fields, starts_with)
    for name, value in fields.items():
        form[name] = str(value)
        conditions.append({name: str(value)})
    conditions += [["starts-with", f"${name}", str(value)] for name, value in starts_with.items()]
    signature_fields = {"q-sign-algorithm": "sha1", "q-ak": credentials.secret_id}
    conditions += [{name: value} for name, value in (*signature_fields.items(), ("q-sign-time", str(key_time)))]
    end = time.gmtime(key_time.end)
    try:
        policy = json.dumps(
            {"expiration": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", end), "conditions": conditions}, ensure_ascii=False
        ).encode()
    except UnicodeEncodeError:
        raise ParameterError("fields", "must be valid Unicode: one holds a lone surrogate") from None
    form.update(policy=base64.b64encode(policy).decode(), **signature_fields)
    form["q-key-time"] = str(key_time)
    form["q-signature"] = _signature(credentials.sign_key(str(key_time)), policy)
    if credentials.token is not None:
        form[_TOKEN] = credentials.token
    return PostPolicy(url, form, policy.decode())


def _check_fields(fields: Mapping[str, Any], starts_with: Mapping[str, Any]) -> None:
    """Refuse fields that a form's caller must not set, and those without a text."""
    seen_names = {"key"}
    for parameter, values in (("fields", fields), ("starts_with", starts_with)):
        for name, value in values.items():
            where = f"{parameter}[{name!r}]"
            if not isinstance(name, str) or not name:
                raise ParameterError(parameter, "must have names that are str")
            if name.lower() in _EXEMPT_FIELDS or name.lower() in ("bucket", _RANGE):
                raise ParameterError(where, "must not be given: cossign sets it")
            if name.lower() in seen_names:
                raise ParameterError(where, "is given twice")
            seen_names.add(name.lower())
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise ParameterError(where, f"must be a str or an int, not {type(value).__name__}")


def _checked_size(size: Any) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ParameterError("size", "must be (least, most) in bytes")
    least, most = size
    if any(isinstance(each, bool) or not isinstance(each, int) for each in size) or not 0 <= least <= most:
        raise ParameterError("size", "must be (least, most) in whole bytes, the first not greater than the second")
    return least, most


def _signature(sign_key: SignKey, policy: bytes) -> str:
    return sign_key.sign(sha1(policy).hexdigest().encode())  # noqa: S324


# --- Judging ----------------------------------------------------------------------------------------------------------


def judge_form(
    fields: Mapping[str, Any],
    secrets: Mapping[str, Any],
    *,
    bucket: str | None,
    now: int,
    skew: int,
    size: int | None,
    filename: str | None,
    terms: Terms | None,
) -> VerifiedPost:
    """Judge a form; the parameters are those of `Signer.verify_post`, prepared."""
    form: dict[str, str] = {}
    for name, value in fields.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ParameterError(f"fields[{name!r}]", f"must be a str, not {type(value).__name__}")
        if name.lower() in form:
            raise MalformedSignature(f"the field {name!r} is there twice")
        form[name.lower()] = value
    if "policy" not in form and "signature" in form:
        raise MalformedSignature("there is no policy: pass the Signature to verify() as Authorization of POST /")
    for name in _SIGNATURE_FIELDS:
        if name not in form:
            raise MalformedSignature(f"the field {name!r} is missing")
    if form["q-sign-algorithm"] != "sha1":
        raise MalformedSignature("q-sign-algorithm must be sha1")
    span = _key_time(form["q-key-time"])
    policy, expiration, conditions = read_policy(form["policy"])
    span = span[0], min(span[1], expiration)
    try:
        if form["q-ak"] not in secrets:
            raise UnknownSecretId(f"no credentials for the SecretId {form['q-ak']!r}")
        secret, token = secrets[form["q-ak"]]
        if not _are_equal(_signature(secret.sign_key(form["q-key-time"]), policy), form["q-signature"]):
            raise SignatureMismatch("the signature is not that of this policy: another policy or SecretKey signed it")
        if token is not None and not _are_equal(token.reveal(), form.get(_TOKEN, "")):
            raise SignatureMismatch(f"{_TOKEN} is not the token of these credentials")
        check_time(span, now, skew)
        key = _key(form, filename)
        _check(conditions, {**form, "key": key, "q-sign-time": form["q-key-time"]}, bucket, size)
        limited_names = {name.lower() for _, name, _ in conditions if isinstance(name, str)}
        verified_post = VerifiedPost(
            secret_id=form["q-ak"],
            key=key,
            key_time=span,
            signature=form["q-signature"],
            conditions=conditions,
            unsigned_fields=tuple(
                name for name in fields if name.lower() not in limited_names and name.lower() not in _EXEMPT_FIELDS
            ),
            policy=policy.decode(),
        )
        if terms is not None:
            terms.check_form(verified_post)
        return verified_post
    except BadSignature as error:
        error.key_time = span
        error.string_to_sign = sha1(policy).hexdigest()  # noqa: S324
        raise


def _are_equal(one: str, other: str) -> bool:
    return compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


def _key_time(text: str) -> tuple[int, int]:
    span = KeyTime.read(text)
    if span is None:
        raise MalformedSignature("q-key-time must be '<start>;<end>' in Unix seconds")
    if span[0] > span[1]:
        raise MalformedSignature("q-key-time ends before it begins")
    return span.start, span.end


def read_policy(encoded_policy: str) -> tuple[bytes, int, list[tuple[Any, ...]]]:
    """A form's policy.

    Args:
        encoded_policy: the field ``policy``: JSON in base64.

    Returns:
        The policy's text, its expiration in Unix seconds, and its conditions as `VerifiedPost` has them.

    Raises:
        MalformedSignature: it is malformed.
    """
    try:
        policy = base64.b64decode(encoded_policy, validate=True)
        content = json.loads(policy.decode())
    except (binascii.Error, ValueError, RecursionError):
        raise MalformedSignature("the policy must be JSON in UTF-8 in base64") from None
    if not isinstance(content, dict) or not isinstance(content.get("conditions"), list):
        raise MalformedSignature("the policy must be a JSON object with expiration and conditions")
    try:
        expiration = datetime.fromisoformat(str(content.get("expiration")).replace("Z", "+00:00"))
    except ValueError:
        raise MalformedSignature("the policy's expiration must be a time such as 2019-08-30T09:38:12.414Z") from None
    conditions: list[tuple[Any, ...]] = []
    for each in content["conditions"]:
        if isinstance(each, dict) and each:
            conditions += [("eq", name, _text(value)) for name, value in each.items()]
        elif isinstance(each, list) and len(each) == 3 and each[0] in ("eq", "starts-with") and _has_dollar(each[1]):
            conditions.append((each[0], each[1][1:], _text(each[2])))
        elif isinstance(each, list) and len(each) == 3 and each[0] == _RANGE and all(map(_is_whole, each[1:])):
            conditions.append((_RANGE, int(each[1]), int(each[2])))
        else:
            raise MalformedSignature("the policy has an invalid condition: use exact, starts-with or range ones")
    try:
        return policy, calendar.timegm(expiration.utctimetuple()), conditions
    except OverflowError:
        raise MalformedSignature("the policy's expiration must be a time of the calendar") from None


def _has_dollar(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("$") and len(name) > 1


def _is_whole(number: Any) -> bool:
    return not isinstance(number, bool) and (
        isinstance(number, int) or (isinstance(number, str) and number.isdecimal() and len(number) < 20)
    )


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise MalformedSignature("the policy's conditions must have text for values")
    return str(value)


def _key(form: Mapping[str, str], filename: str | None) -> str:
    if "key" not in form:
        raise MalformedSignature("the field 'key' is missing")
    if _FILENAME not in form["key"]:
        return form["key"]
    if filename is None:
        raise ParameterError("filename", f"must be the name of the file that was sent: the key has {_FILENAME}")
    return form["key"].replace(_FILENAME, filename)


def _check(conditions: list[tuple[Any, ...]], form: Mapping[str, str], bucket: str | None, size: int | None) -> None:
    """Whether a form keeps a policy's conditions."""
    for name in missing_conditions(conditions):
        raise MalformedSignature(f"the policy has no condition for {name}")
    if size is None and any(operator == _RANGE for operator, _, _ in conditions):
        raise ParameterError("size", "must be the file's size in bytes: the policy limits it")
    for broken in broken_conditions(conditions, form, bucket, size):
        raise SignatureMismatch(broken)


def missing_conditions(conditions: list[tuple[Any, ...]]) -> list[str]:
    """The names that every policy must have an exact condition for, and that these conditions lack."""
    exact_names = {name.lower() for operator, name, _ in conditions if operator == "eq"}
    return [name for name in ("q-sign-algorithm", "q-ak", "q-sign-time") if name not in exact_names]


def broken_conditions(
    conditions: list[tuple[Any, ...]], form: Mapping[str, str], bucket: str | None, size: int | None
) -> Iterator[str]:
    """Say which conditions of a policy a form breaks, in the policy's order.

    Args:
        conditions: as `read_policy` gives them.
        form: the form's fields, their names in lower case, with ``key`` as the file gets it.
        bucket: the bucket, or None if that is not known.
        size: the file's size in bytes, or None if it is not known.
    """
    for operator, name, value in conditions:
        if operator == _RANGE:
            if size is not None and not name <= size <= value:
                yield f"the file has {size} bytes, and the policy allows {name} to {value}"
            continue
        field = bucket if name.lower() == "bucket" else form.get(name.lower())
        if name.lower() == "bucket" and bucket is None:
            continue  # a verifier that is not for one bucket alone
        if field is None:
            yield f"the field {name!r} is missing, and the policy has a condition for it"
        elif operator == "eq" and field != value:
            yield f"the field {name!r} does not have the value that the policy requires"
        elif operator == "starts-with" and not field.startswith(value):
            yield f"the field {name!r} does not begin with the text that the policy requires"

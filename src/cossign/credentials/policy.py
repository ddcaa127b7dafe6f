"""The policies of temporary keys: built and checked before they are sent to STS."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cossign.endpoint import check_bucket, check_region
from cossign.errors import ParameterError, warn_caller

__all__ = ["check_policy", "sts_policy"]

_ACTION = re.compile(r"(name/)?(cos|ci):(\*[A-Za-z0-9*]*|[A-Z][A-Za-z0-9*]*)")
_OTHER_ACTION = re.compile(r"(name/)?(?!(cos|ci|s3):)[a-z][a-z0-9]*:[A-Za-z0-9*]+|permid/[0-9]+")
_SHORT_ACTION = re.compile(r"\*|[A-Z][A-Za-z]*\*?")
# qcs::<service>:<region>:uid/<APPID>:<resource>
_RESOURCE = re.compile(
    "qcs:(?:id/[0-9]+)?:(?P<service>[a-z][a-z0-9]*):(?P<region>[^:]*):(?P<account>[^:]*):(?P<path>.*)", re.DOTALL
)
_OLD_PATH = re.compile("prefix//([0-9]+)/([a-z0-9-]+)/(.*)", re.DOTALL)  # of qcloud-cos-sts, getPolicy
_OPERATOR = re.compile(
    r"(for_(all|any)_value:)?"
    r"(string_(not_)?(equal|like)(_ignore_case)?"
    r"|(numeric|date)_(equal|not_equal|less_than|less_than_equal|greater_than|greater_than_equal)"
    r"|bool_equal|ip_(not_)?equal|null_equal)(_if_exist)?"
)
_CONDITION_KEY = re.compile(r"[a-z][a-z0-9_]*:\S.*")
_STATEMENT_FIELDS = frozenset({"effect", "action", "resource", "condition", "principal", "sid"})
_POLICY_FIELDS = frozenset({"version", "statement"})


def sts_policy(
    bucket: str,
    region: str,
    prefixes: str | Iterable[str],
    actions: str | Iterable[str],
    *,
    condition: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The policy of temporary keys, in the form of Tencent's SDKs for STS (allow_prefix, allow_actions).

    Args:
        bucket: <BucketName>-<APPID>.
        region: its region, such as ap-beijing.
        prefixes: the allowed keys, or patterns of keys: ``photos/a.jpg``, ``photos/*``, or ``*`` for all.
        actions: the allowed actions, such as ``name/cos:PutObject`` or ``PutObject``.
        condition: conditions by operator and key, such as ``{"ip_equal": {"qcs:ip": "10.0.0.0/24"}}``.

    Returns:
        The policy, for `StsCredentials` or any other client of STS.

    Raises:
        ParameterError: a parameter is not valid, or is empty; nothing is allowed by mistake.

    Source: qcloud-python-sts (sts.py), qcloud-cos-sts; STS, GetFederationToken.

    >>> policy = sts_policy("examplebucket-1250000000", "ap-beijing", ["photos/*"], ["PutObject", "PostObject"])
    >>> policy["statement"][0]["resource"]
    ['qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/photos/*']
    """
    check_bucket(bucket)
    check_region(region)
    appid = bucket.rpartition("-")[2]
    resources = []
    for place, prefix in enumerate(_texts("prefixes", prefixes)):
        if prefix.endswith("/"):
            warn_caller(
                f"prefixes[{place}] is {prefix!r}, which allows that one key alone: write {prefix + '*'!r} for all "
                "keys below it"
            )
        resources.append(f"qcs::cos:{region}:uid/{appid}:{bucket}/{prefix.removeprefix('/')}")
    names = [
        f"name/cos:{action}" if _SHORT_ACTION.fullmatch(action) else action for action in _texts("actions", actions)
    ]
    statement: dict[str, Any] = {"action": names, "effect": "allow", "resource": resources}
    if condition is not None:
        statement["condition"] = condition
    policy = {"version": "2.0", "statement": [statement]}
    check_policy(policy)
    return policy if condition is None else json.loads(json.dumps(policy, default=dict))  # the caller's stays his own


def check_policy(policy: Mapping[str, Any] | str) -> None:
    """Check a policy before STS is asked: its fields, actions, resources and conditions.

    Args:
        policy: a mapping, or JSON text.

    Raises:
        ParameterError: STS would not understand it. The message names the place.

    Source: COS, "Access Policy Language" and "Condition Keys" (product 436, pages 46205 and 46206).

    >>> check_policy(sts_policy("examplebucket-1250000000", "ap-beijing", "*", "GetObject"))
    """
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except (ValueError, RecursionError):
            raise ParameterError("policy", "must be JSON") from None
    if not isinstance(policy, Mapping):
        raise ParameterError("policy", f"must be a mapping or JSON text of one, not {type(policy).__name__}")
    _check_fields("policy", policy, _POLICY_FIELDS)
    if policy.get("version") != "2.0":
        raise ParameterError("policy.version", "must be '2.0'")
    statements = policy.get("statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, (list, tuple)) or not statements:
        raise ParameterError("policy.statement", "must be a list of statements")
    for place, statement in enumerate(statements):
        _check_statement(f"policy.statement[{place}]", statement)


def _check_statement(name: str, statement: Any) -> None:
    if not isinstance(statement, Mapping):
        raise ParameterError(name, f"must be a mapping, not {type(statement).__name__}")
    _check_fields(name, statement, _STATEMENT_FIELDS)
    if statement.get("effect") not in ("allow", "deny"):
        raise ParameterError(f"{name}.effect", "must be 'allow' or 'deny'")
    for where, action in _each_text(f"{name}.action", statement.get("action")):
        if action != "*" and not _ACTION.fullmatch(action) and not _OTHER_ACTION.fullmatch(action):
            raise ParameterError(where, f"must be like name/cos:GetObject, name/cos:Get* or *, not {action!r}")
    for where, resource in _each_text(f"{name}.resource", statement.get("resource")):
        _check_resource(where, resource)
    condition = statement.get("condition", {})
    if not isinstance(condition, Mapping):
        raise ParameterError(f"{name}.condition", "must be a mapping of operators, such as string_equal")
    for operator, values in condition.items():
        _check_operator(f"{name}.condition", operator, values)


def _check_resource(name: str, resource: str) -> None:
    """``*``, or ``qcs::cos:<region>:uid/<APPID>:<BucketName>-<APPID>/<key>``, or what other services have."""
    if resource == "*":
        return
    form = "qcs::cos:<region>:uid/<APPID>:<BucketName>-<APPID>/<key>"
    match = _RESOURCE.fullmatch(resource)
    if match is None:
        raise ParameterError(name, f"must be * or of the form {form}, not {resource!r}")
    if match["service"] not in ("cos", "ci"):
        return
    if match["region"] not in ("", "*"):
        _check_part(name, resource, check_region, match["region"])
    account = re.fullmatch("uid/([0-9]+)", match["account"])
    if account is None and not re.fullmatch(r"\*?|uid/(\*|\$\{\w+\})", match["account"]):
        raise ParameterError(name, f"must have uid/<APPID>, and has {match['account']!r}: {resource!r}")
    path = match["path"].removeprefix("bucket/")
    old_path = _OLD_PATH.fullmatch(path)
    bucket, slash, _ = (f"{old_path[2]}-{old_path[1]}", "/", "") if old_path else path.partition("/")
    if not slash and path not in ("", "*"):
        raise ParameterError(name, f"must name <BucketName>-<APPID>/<key>, with a slash: {resource!r} is not {form}")
    if not slash or "*" in bucket:
        return
    _check_part(name, resource, check_bucket, bucket)
    appid = bucket.rpartition("-")[2]
    if account is not None and appid != account[1]:
        raise ParameterError(
            name, f"has two APPIDs, {account[1]} after uid/ and {appid} in the bucket's name: {resource!r}"
        )


def _check_part(name: str, resource: str, check: Any, value: str) -> None:
    try:
        check(value)
    except ParameterError as error:
        raise ParameterError(name, f"has a {error.parameter} that {error.reason}: {resource!r}") from None


def _check_operator(name: str, operator: Any, values: Any) -> None:
    if not isinstance(operator, str) or not _OPERATOR.fullmatch(operator):
        raise ParameterError(name, f"has the unknown operator {operator!r}; string_equal and ip_equal are two of them")
    if not isinstance(values, Mapping) or not values:
        raise ParameterError(f"{name}.{operator}", "must be a mapping of a condition's key to its values")
    for key, value in values.items():
        where = f"{name}.{operator}[{key!r}]"
        if not isinstance(key, str) or not _CONDITION_KEY.fullmatch(key):
            raise ParameterError(where, "must be a condition's key, such as cos:content-type or qcs:ip")
        texts = value if isinstance(value, (list, tuple)) else [value]
        if not texts or not all(map(_is_value, texts)):
            raise ParameterError(where, "must be a value or a list of values")


def _is_value(value: Any) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _check_fields(name: str, fields: Mapping[Any, Any], known_names: frozenset[str]) -> None:
    for field in fields:
        if field not in known_names:
            lower = str(field).lower()
            fields_text = ", ".join(sorted(known_names))
            hint = f"write {lower!r}" if lower in known_names else f"the fields are {fields_text}"
            raise ParameterError(f"{name}[{field!r}]", f"is not a field of a policy: {hint}")


def _each_text(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """(place, text) of a text or of a list of texts."""
    if isinstance(value, str):
        yield name, value
        return
    if not isinstance(value, (list, tuple)) or not value:
        raise ParameterError(name, "must be a text or a list of texts, and not empty")
    for place, each in enumerate(value):
        if not isinstance(each, str):
            raise ParameterError(f"{name}[{place}]", f"must be a text, not {type(each).__name__}")
        yield f"{name}[{place}]", each


def _texts(name: str, value: Any) -> list[str]:
    """A parameter that is a text or several."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, Mapping)):
        raise ParameterError(name, f"must be a str or several, not {type(value).__name__}")
    texts = list(texts)
    for place, each in enumerate(texts):
        if not isinstance(each, str) or not each:
            raise ParameterError(f"{name}[{place}]", "must be a str, and not empty; '*' is all of them")
    if not texts:
        raise ParameterError(name, "is empty: it would allow nothing")
    return texts

"""sts_policy and check_policy: what temporary keys may do, and what is refused before STS is asked."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from types import MappingProxyType
from typing import Any

import pytest
import sts.sts

import cossign
from cossign import Credentials, ParameterError, StsCredentials, sts_policy
from cossign.credentials import check_policy
from tests.credentials.test_answers import NODE_MODULES, WHERE
from tests.waiting import PATIENCE

POLICY: dict[str, Any] = {
    "version": "2.0",
    "statement": [
        {
            "effect": "allow",
            "action": ["name/cos:GetObject", "name/cos:Put*"],
            "resource": ["qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/photos/*"],
            "condition": {"string_like": {"cos:content-type": "image/*"}},
        }
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """POLICY with another value at a place such as ``statement.0.action``; None takes the field away."""
    policy = copy.deepcopy(POLICY)
    *parents, last = path.split(".")
    where: Any = policy
    for each in parents:
        where = where[int(each)] if isinstance(where, list) else where[each]
    if value is None:
        del where[last]
    else:
        where[last] = value
    return policy


def test_a_policy_in_its_usual_form() -> None:
    assert sts_policy(*WHERE, "photos/*", ["PutObject", "name/cos:GetObject", "*"]) == {
        "version": "2.0",
        "statement": [
            {
                "action": ["name/cos:PutObject", "name/cos:GetObject", "name/cos:*"],
                "effect": "allow",
                "resource": ["qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000/photos/*"],
            }
        ],
    }
    assert cossign.sts_policy is sts_policy


def test_a_prefix_that_allows_one_key_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"prefixes\[1\] is 'photos/'.*write 'photos/\*'"):
        policy = sts_policy(*WHERE, ["*", "photos/"], "GetObject")
    assert policy["statement"][0]["resource"][1].endswith("/photos/")


@pytest.mark.parametrize(
    "bucket, region, prefixes, actions, said",
    [
        ("examplebucket", "ap-beijing", "*", "GetObject", "bucket must be"), (*WHERE[:1], "Beijing", "*", "GetObject", "region must have"),
        (*WHERE, [], "GetObject", "prefixes is empty"), (*WHERE, [""], "GetObject", r"prefixes\[0\] must be a str, and not empty"), (*WHERE, 5, "GetObject", "prefixes must be"),
        (*WHERE, "*", [], "actions is empty"), (*WHERE, "*", ["getObject"], r"action\[0\] must be like name/cos:GetObject"), (*WHERE, "*", [None], r"actions\[0\]"),
        (*WHERE, "*", "cos:", r"action\[0\]"), (*WHERE, "*", b"GetObject", "actions must be"), (*WHERE, {"a": 1}, "GetObject", "prefixes must be"),
    ],
)  # fmt: skip
def test_parameters_are_named(bucket: Any, region: Any, prefixes: Any, actions: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        sts_policy(bucket, region, prefixes, actions)


RESOURCE = "statement.0.resource"


@pytest.mark.parametrize(
    "policy",
    [
        POLICY, json.dumps(POLICY), changed("statement", POLICY["statement"][0]), changed("statement.0.action", "*"), changed("statement.0.effect", "deny"),
        changed("statement.0.condition", None), changed(RESOURCE, "*"), changed(RESOURCE, ["qcs::cos:*:uid/1250000000:*", "qcs::cos:ap-beijing::*"]),
        changed(RESOURCE, "qcs::cos:ap-beijing:uid/1250000000:prefix//1250000000/examplebucket/photos/*"),
        changed(RESOURCE, "qcs::ci:ap-beijing:uid/1250000000:bucket/examplebucket-1250000000/*"), changed(RESOURCE, "qcs::cvm:ap-beijing:uin/1:instance/x"),
        changed(RESOURCE, "qcs::cos:ap-beijing:uid/1250000000:example*/a:b\n*"), changed(RESOURCE, "qcs::cos:ap-beijing:uid/*:examplebucket-1250000000/a/*"), changed(RESOURCE, "qcs::cos:ap-beijing:uid/${app_id}:examplebucket-1250000000/a/*"),
        changed("statement.0.action", ["kms:Decrypt", "name/sts:AssumeRole", "cls:*", "ci:CreateM3U8PlayListJobs", "name/cos:*Object", "cos:Get*Object", "permid/280649"]), changed("statement.0.condition", {"string_equal": {"qcs:request_tag/部门": "a=b"}}), changed("statement.0.principal", {"qcs": "*"}),
        changed("statement.0.condition", {"for_any_value:string_equal_if_exist": {"cos:x-cos-acl": ["private"]}, "numeric_less_than_equal": {"cos:content-length": 5}}),
        changed("statement.0.condition", {"bool_equal": {"cos:secure-transport": "true"}, "ip_not_equal": {"qcs:ip": "10.0.0.0/8"}}),
    ],
)  # fmt: skip
def test_policies_that_are_right(policy: Any) -> None:
    check_policy(policy)


@pytest.mark.parametrize(
    "policy, said",
    [
        (changed(RESOURCE, "examplebucket-1250000000/*"), r"policy.statement\[0\].resource must be \* or of the form qcs::cos:<region>"),
        (changed(RESOURCE, ["*", "qcs::cos:ap-beijing:uid/1250000000:examplebucket/*"]), r"resource\[1\] has a bucket that must be <BucketName>-<APPID>"),
        (changed(RESOURCE, "qcs::cos:ap-beijing:uid/1251111111:examplebucket-1250000000/*"), "has two APPIDs, 1251111111 after uid/ and 1250000000"),
        (changed(RESOURCE, "qcs::cos:ap-beijing:uid/1250000000:examplebucket-1250000000"), "with a slash"), (changed(RESOURCE, "qcs::cos:AP:uid/1:*"), "has a region that"),
        (changed(RESOURCE, "qcs::cos:ap-beijing:uin/1250000000:examplebucket-1250000000/*"), "must have uid/<APPID>"), (changed(RESOURCE, []), "resource must be a text"),
        (changed(RESOURCE, "qcs::cos:ap-beijing:uid/1251111111:prefix//1250000000/examplebucket/*"), "two APPIDs"), (changed(RESOURCE, [5]), r"resource\[0\] must be a text, not int"),
        (changed(RESOURCE, "qcs:::::"), "of the form"), (changed(RESOURCE, "qcs::COS:ap-beijing:uid/1:x"), "of the form"), (changed(RESOURCE, "qcs:project:cos:ap-beijing:uid/1:x/*"), "of the form"),
        (changed("statement.0.condition", {"numeric_equal": {"cos:content-length": float("nan")}}), "a value or a list"),
        (changed(RESOURCE, None), "resource must be"), (changed("statement.0.action", "name/cos:getObject"), "action must be like"), (changed("statement.0.action", "s3:GetObject"), "action must"),
        (changed("statement.0.effect", "Allow"), "effect must be 'allow' or 'deny'"), (changed("statement.0.Effect", "allow"), r"\['Effect'\] is not a field of a policy: write 'effect'"),
        (changed("statement.0.resources", "*"), r"\['resources'\] is not a field of a policy: the fields are action"), (changed("Version", "2.0"), "write 'version'"),
        (changed("version", "2"), "version must be '2.0'"), (changed("statement", []), "statement must be a list"), (changed("statement", [5]), r"statement\[0\] must be a mapping"),
        (changed("statement.0.condition", {"string_equals": {"cos:prefix": "a"}}), "the unknown operator 'string_equals'"), (changed("statement.0.condition", {"string_equal": {}}), "string_equal must be"),
        (changed("statement.0.condition", {"string_equal": {"prefix": "a"}}), r"\['prefix'\] must be a condition's key"), (changed("statement.0.condition", {"string_equal": {"cos:prefix": []}}), "a value or a list"),
        (changed("statement.0.condition", []), "condition must be a mapping"), ("{", "policy must be JSON"), ("[]", "policy must be a mapping"), (5, "policy must be a mapping"), ("[" * 100_000, "must be JSON"),
    ],
)  # fmt: skip
def test_a_malformed_policy_is_refused_before_anything_is_sent(policy: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        check_policy(policy)
    with pytest.raises(ParameterError, match=said):
        StsCredentials(Credentials("A", "k"), policy=policy, endpoint="http://127.0.0.1:9")


def test_the_sdks_policies_are_right() -> None:
    """`Scope` of the SDK for Python, with a bucket for each statement."""
    scope = sts.sts.Scope("name/cos:PutObject", *WHERE, ["photos/*"])
    check_policy(sts.sts.Sts.get_policy([scope, sts.sts.CIScope("name/ci:CreateMediaJobs", *WHERE, ["*"])]))
    if shutil.which("node") is None or not (NODE_MODULES / "qcloud-cos-sts").exists():
        assert not os.environ.get("CI"), "qcloud-cos-sts is not installed"
        pytest.skip("qcloud-cos-sts is not installed: make oracles")
    scopes = [
        {"action": "name/cos:PutObject", "bucket": WHERE[0], "region": WHERE[1], "prefix": "photos/*"},
        {"action": "name/cos:GetService"},
    ]
    code = f"console.log(JSON.stringify(require({str(NODE_MODULES / 'qcloud-cos-sts')!r}).getPolicy({json.dumps(scopes)})))"
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    check_policy(done.stdout)


@pytest.mark.parametrize("condition", [{"ip_equal": "10.0.0.1"}, {"ip_equal": 5}, ["x"], "x", {"no_such": {"a:b": 1}}])
def test_a_condition_of_another_kind_is_named(condition: Any) -> None:
    with pytest.raises(ParameterError, match="condition"):
        sts_policy(*WHERE, "*", "GetObject", condition=condition)


def test_mappings_of_any_kind() -> None:
    """They are copied: what the caller changes later does not change the policy."""
    condition = {"ip_equal": {"qcs:ip": ["10.0.0.0/8"]}}
    policy = sts_policy(*WHERE, "*", "GetObject", condition=MappingProxyType(condition))
    condition["ip_equal"]["qcs:ip"].append("0.0.0.0/0")
    assert policy["statement"][0]["condition"] == {"ip_equal": {"qcs:ip": ["10.0.0.0/8"]}}
    read_only = MappingProxyType(POLICY)
    assert (
        StsCredentials(Credentials("A", "k"), policy=read_only)._body
        == StsCredentials(Credentials("A", "k"), policy=POLICY)._body
    )

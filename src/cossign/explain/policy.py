"""Forms with a policy (POST Object): whether the policy's signature is right, and which conditions the form breaks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from hashlib import sha1
from typing import NamedTuple

from cossign.credentials import Credentials
from cossign.errors import MalformedSignature
from cossign.explain.case import time_findings, token_findings
from cossign.explain.causes import CATALOGUE
from cossign.explain.causes.cause import Clues, slot_changes
from cossign.explain.findings import Finding, Step
from cossign.explain.reading import Form, sent_bytes
from cossign.explain.steps import DOCUMENTED_RECIPE, Recipe
from cossign.key_time import KeyTime
from cossign.post import broken_conditions, missing_conditions, read_policy

_FIELDS = ("q-sign-algorithm", "q-ak", "q-key-time", "q-signature")


class PolicyDiagnosis(NamedTuple):
    """What was found of a form.

    Attributes:
        is_right: whether the signature is that of the policy.
        findings: the causes.
        steps: the signature's steps.
        span: from when to when it holds, or None.
        attempts: how many signatures were computed.
        is_checked: whether the SecretKey was at hand.
    """

    is_right: bool
    findings: list[Finding]
    steps: list[Step]
    span: tuple[int, int] | None
    attempts: int
    is_checked: bool


def diagnose_policy(form: Form, keyring: Mapping[str, Credentials], bucket: str, now: int) -> PolicyDiagnosis:
    """Judge a form with a policy.

    Args:
        form: the form.
        keyring: the credentials at hand, by their SecretId.
        bucket: ``<BucketName>-<APPID>``, or "".
        now: Unix seconds.
    """
    fields = {name.lower(): value for name, value in form.fields}
    missing_names = [name for name in _FIELDS if name not in fields]
    if missing_names:
        detail = f"the form has a policy, and not {', '.join(missing_names)}"
        return PolicyDiagnosis(False, [_evident("field-missing", detail)], [], None, 0, False)
    findings = list(_form_findings(form, fields))
    try:
        policy, expiration, conditions = read_policy(fields["policy"])
    except MalformedSignature as error:
        return PolicyDiagnosis(False, [_evident("policy-form", str(error))], [], None, 0, False)
    span = KeyTime.read(fields["q-key-time"])
    if span is None:
        detail = f"q-key-time must be '<start>;<end>' in Unix seconds, not {fields['q-key-time']!r}"
        findings.append(_evident("key-time-form", detail))
    credentials = keyring.get(fields["q-ak"])
    key_time, digest = fields["q-key-time"], sha1(policy).hexdigest()  # noqa: S324
    steps = [Step("KeyTime", key_time, None), Step("Policy", policy.decode(), None), Step("StringToSign", digest, None)]
    is_right, attempts = False, 0
    if credentials is not None:
        signature = _signature(DOCUMENTED_RECIPE, credentials.secret_key, key_time, policy)
        is_right = signature == sent_bytes(fields["q-signature"])
        steps.append(Step("Signature", signature.decode(), fields["q-signature"]))
        attempts = 1
        if not is_right:
            causes, more = _mistakes(fields, credentials, policy)
            findings += causes
            attempts += more
    elif keyring:
        findings.append(_evident("unknown-secret-id", f"q-ak is {fields['q-ak']}; known: {', '.join(keyring)}"))
    key = fields.get("key", "").replace("${filename}", form.filename or "${filename}")
    values = {**fields, "key": key, "q-sign-time": key_time}
    for text in broken_conditions(conditions, values, bucket or None, form.size):
        findings.append(_evident("policy-condition", text))
    for name in missing_conditions(conditions):
        findings.append(_evident("policy-form", f"the policy has no condition for {name}"))
    if "key" not in fields:
        findings.append(_evident("policy-condition", "the form has no field 'key'"))
    findings += token_findings(fields["q-ak"], fields.get("x-cos-security-token"), credentials, is_shown=True)
    times = None if span is None else (span.start, min(span.end, expiration))
    if times is not None:
        findings += time_findings(times, now)
    return PolicyDiagnosis(is_right, findings, steps, times, attempts, credentials is not None)


def _form_findings(form: Form, fields: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the fields by their form."""
    names = [name.lower() for name, _ in form.fields]
    doubled_names = sorted({name for name in names if names.count(name) > 1})
    if doubled_names:
        yield _evident("signed-twice", f"the form has these fields twice or more: {', '.join(doubled_names)}")
    if fields["q-sign-algorithm"] != "sha1":
        detail = f"q-sign-algorithm is {fields['q-sign-algorithm']!r}, and must be 'sha1'"
        yield _evident("algorithm", detail)


def decoded_policy(form: Form) -> str:
    """A form's policy as text, as far as it can be read; for what must not be shown of it."""
    try:
        return base64.b64decode(form.value("policy") or "").decode("utf-8", "replace").replace("\\/", "/")
    except (binascii.Error, ValueError):
        return ""


def _signature(recipe: Recipe, key: str, key_time: str, policy: bytes) -> bytes:
    sign_key = recipe.sign_key(sent_bytes(key), sent_bytes(key_time))
    return recipe.last(sign_key, recipe.digest(policy))


def _mistakes(fields: Mapping[str, str], credentials: Credentials, policy: bytes) -> tuple[list[Finding], int]:
    """What was signed instead, recomputed; otherwise what cannot be excluded."""
    attempts = 0
    for change, recipe, key, data in _candidates(fields, credentials, policy):
        attempts += 1
        if _signature(recipe, key, fields["q-key-time"], data) == sent_bytes(fields["q-signature"]):
            return [Finding(CATALOGUE[change[0]], change[1], "confirmed")], attempts
    return [
        Finding(
            CATALOGUE["policy-form"],
            "the policy may have been written again after it was signed: other blanks, another order, other times",
            "possible",
        ),
        Finding(
            CATALOGUE["wrong-secret-key"],
            f"if the policy is as it was signed, the SecretKey is not the one given for {fields['q-ak']}",
            "possible",
        ),
    ], attempts


def _candidates(
    fields: Mapping[str, str], credentials: Credentials, policy: bytes
) -> Iterator[tuple[tuple[str, str], Recipe, str, bytes]]:
    key, base64_text = credentials.secret_key, sent_bytes(fields["policy"])
    yield (
        ("policy-form", "the base64 text of the policy was signed, not the policy"),
        DOCUMENTED_RECIPE,
        key,
        base64_text,
    )
    for change in slot_changes("recipe", DOCUMENTED_RECIPE, Clues()):
        detail = change.detail.replace("HttpString", "the policy")
        yield (change.code, detail), change.value, key, policy
        yield (change.code, f"{detail}, in base64"), change.value, key, base64_text
    for change in slot_changes("key", key, Clues(secret_id=fields["q-ak"])):
        yield (change.code, change.detail), DOCUMENTED_RECIPE, change.value, policy


def _evident(code: str, detail: str) -> Finding:
    return Finding(CATALOGUE[code], detail, "evident")

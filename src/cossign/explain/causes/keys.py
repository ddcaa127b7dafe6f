"""Causes: the SecretId, the SecretKey and the token."""

from __future__ import annotations

from cossign.explain.causes.cause import Clues, Group, Values

KEYS = Group("Keys")

KEYS.cause(
    "wrong-secret-key",
    title="Another SecretKey signed it",
    why="The SecretKey does not belong to the SecretId in q-ak. It was rotated or mistyped, or it is of another account "
    "or environment. A signature alone cannot show this: a changed header, parameter, path or host looks the same. It "
    "is certain only if COS computed the same StringToSign.",
    fix="credentials = EnvironmentCredentials()  # both values from one place",
)
KEYS.cause(
    "unknown-secret-id",
    title="The SecretKey of this SecretId is not at hand",
    why="The signature names a SecretId (q-ak) whose SecretKey is not here. Nothing can be recomputed without it.",
    fix="export COS_SECRET_ID=AKID... COS_SECRET_KEY=...  # those that signed it",
)

other_secret_id = KEYS.cause(
    "other-secret-id",
    title="The SecretKey of another SecretId signed it",
    why="The SecretId and the SecretKey come from two different pairs: from two profiles, or from a rotation that changed "
    "only one of them.",
    fix='Credentials(pair["SecretId"], pair["SecretKey"])  # both from one pair',
)


@other_secret_id.changes("key")
def _(key: str, clues: Clues) -> Values:
    for secret_id, other in clues.keys.items():
        if secret_id != clues.secret_id:
            yield other, f"it says q-ak={clues.secret_id}, and the SecretKey of {secret_id} signed it"


KEYS.cause(
    "secret-id-edited",
    title="q-ak has quotes, blanks or a line's end around the SecretId",
    why="An environment file, a shell or a placeholder such as <SecretId> left them there, and the signer took them as a "
    "part of the SecretId.",
    fix='secret_id = os.environ["COS_SECRET_ID"].strip(" \\"\'<>\\n")',
)
KEYS.cause(
    "secret-id-refused",
    title="COS does not accept this SecretId",
    why="It was deleted, disabled or mistyped; or it is a temporary one that has ended; or it belongs to another site or a "
    "private cloud.",
    fix="# look at the SecretId in the console: Access Management, API keys",
)

secret_key_edited = KEYS.cause(
    "secret-key-edited",
    title="The SecretKey that signed was damaged, or was empty",
    why="A file's line ends with a line's end, a copy takes a space with it, an environment file keeps its quotes, a "
    "variable was not set where the signer ran.",
    fix='secret_key = os.environ["COS_SECRET_KEY"].strip()  # an error if it is not set',
)


@secret_key_edited.changes("key")
def _(key: str, clues: Clues) -> Values:
    edits = {
        "a line's end after it": f"{key}\n", "CR and LF after it": f"{key}\r\n", "a space after it": f"{key} ",
        "a space before it": f" {key}", "double quotes around it": f'"{key}"', "single quotes around it": f"'{key}'",
        "a byte order mark before it": f"\ufeff{key}", "a tab after it": f"{key}\t",
    }  # fmt: skip
    for what, value in edits.items():
        yield value, f"the SecretKey that signed had {what}"
    bare_key = key.strip(" \t\r\n\"'")
    if bare_key != key:
        yield bare_key, "the SecretKey given has spaces or quotes around it; the one that signed had none"
    if len(key) > 1:
        yield key[:-1], "the last character of the SecretKey that signed was missing"
        yield key[1:], "the first character of the SecretKey that signed was missing"
    for what, value in (("upper", key.upper()), ("lower", key.lower())):
        yield value, f"the SecretKey that signed was in {what} case"


@secret_key_edited.changes("key")
def _(key: str, clues: Clues) -> Values:
    for placeholder in ("", "undefined", "null", "None", "nil"):
        description = f"the text {placeholder!r}" if placeholder else "empty"
        yield placeholder, f"the SecretKey that signed was {description}"


secret_id_as_key = KEYS.cause(
    "secret-id-as-key",
    title="The SecretId or the token stood in the SecretKey's place",
    why="The values were passed in the wrong order, or one of them twice. Temporary credentials are three values: "
    "TmpSecretId, TmpSecretKey and Token. If the SecretKey stands in q-ak, it has been sent: rotate it.",
    fix='Credentials(sts["TmpSecretId"], sts["TmpSecretKey"], token=sts["Token"])',
)


@secret_id_as_key.changes("key")
def _(key: str, clues: Clues) -> Values:
    for secret_id in dict.fromkeys((clues.secret_id, *clues.keys)):
        yield secret_id, f"the SecretId {secret_id} was taken for the SecretKey"


@secret_id_as_key.changes("key")
def _(key: str, clues: Clues) -> Values:
    for token in clues.tokens:
        yield token, "the security token was taken for the SecretKey"


KEYS.cause(
    "token-missing",
    title="The token of temporary credentials is missing",
    why="A temporary SecretId is valid only together with its token, which must be sent as x-cos-security-token.",
    fix="Credentials(tmp_id, tmp_key, token=token)  # presign then puts it into the URL",
)
KEYS.cause(
    "token-changed",
    title="The token is not the one of these credentials",
    why="The token was replaced, cut or encoded again, or belongs to an earlier set of temporary credentials.",
    fix='# all three values from one answer\nCredentials(sts["TmpSecretId"], sts["TmpSecretKey"], token=sts["Token"])',
)
KEYS.cause(
    "token-refused",
    title="COS does not accept the token",
    why="Temporary credentials end after the time for which they were asked for. SecretId, SecretKey and token must be of "
    "one answer.",
    fix="RefreshingCredentials(fetch)  # asks for new ones before they end",
)

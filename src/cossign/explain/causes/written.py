"""Causes: how a signature is written into a URL, a header or a form."""

from __future__ import annotations

from cossign.explain.causes.cause import Clues, Group, Values
from cossign.explain.steps import show

WRITTEN = Group("How it is written down")

WRITTEN.cause(
    "no-signature",
    title="The request has no signature",
    why="The URL was never signed, or a client or a redirect dropped the header Authorization. COS answers AccessDenied "
    "unless the object is public.",
    fix="signer.presign(key)",
)
WRITTEN.cause(
    "url-edited",
    title="The URL was changed when it was copied",
    why="It has quotes, brackets or punctuation around it, a line's end within it, '&amp;' where '&' was, or it is "
    "percent-encoded as a whole. Markdown, mail programs, chat windows and a page's source do so.",
    fix='url.strip("<>\\"\'")\nhtml.unescape(url)\nurllib.parse.unquote(url)  # if it was another URL\'s parameter',
)
WRITTEN.cause(
    "cut-url",
    title="The URL was cut at its first '&'",
    why="A shell ends a command at an '&' that stands outside quotes.",
    fix="curl 'https://...'  # in single quotes",
)
WRITTEN.cause(
    "question-mark",
    title="The query does not begin with one '?'",
    why="The signature was added to a URL that had a query by a second '?', or to one that had none by '&'.",
    fix='url + ("&" if "?" in url else "?") + authorization',
)
WRITTEN.cause(
    "authorization-form",
    title="The Authorization is not written as it must be",
    why="In the header it stands as it is: with ';' instead of %3B, without quotes, and without a word such as Bearer "
    "before it. In the URL's parameter 'sign' it is percent-encoded as a whole.",
    fix='headers={"Authorization": signer.authorization("GET", key)}\n'
    'url + "?sign=" + urllib.parse.quote(authorization, safe="")',
)
WRITTEN.cause(
    "signed-twice",
    title="The request has two signatures",
    why="A URL that was signed was signed again, or a client signs requests whose URL is signed already. COS does not "
    "document which of two signatures it takes.",
    fix="requests.get(url)  # without auth=\nsigner.object_url(key)  # the bare URL, to sign it once",
)
WRITTEN.cause(
    "field-missing",
    title="A field of the signature is missing",
    why="A signature has seven fields, and all must be there, even where a list is empty.",
    fix="...&q-header-list=&q-url-param-list=&q-signature=...",
)
form_signed_otherwise = WRITTEN.cause(
    "form-signed-otherwise",
    title="A form needs the signature of POST /",
    why="A form (POST Object) is sent to '/', and its key is a field. A signature of PUT, or one with the key as the path, "
    "is not valid for it.",
    fix='COS.getAuthorization(SecretId=..., SecretKey=..., Method="post", Key="")',
)


@form_signed_otherwise.changes("path")
def _(path: bytes, clues: Clues) -> Values:
    if clues.form_path:
        yield clues.form_path, f"{show(clues.form_path)!r} was signed, and a form is sent to '/'"


WRITTEN.cause(
    "policy-form",
    title="The form's policy is not written or signed as it must be",
    why="A policy is a JSON object with expiration and conditions. It is sent in base64. The SHA-1 of the JSON is signed, "
    "before base64, as it stands in the form: JSON that is written twice may differ.",
    fix='signer.post_policy(key_prefix="avatars/")',
)
WRITTEN.cause(
    "policy-condition",
    title="The form breaks a condition of its policy",
    why="Each condition names a field and its value, or how the value begins. COS refuses a form that differs.",
    fix='signer.post_policy(key_prefix="avatars/", fields={"acl": "private"})',
)
WRITTEN.cause(
    "aws-sigv4",
    title="It is signed by AWS's Signature Version 4",
    why="boto3 and the AWS SDKs sign so. COS takes it on its S3-compatible interface; cossign cannot check it.",
    fix='Signer(credentials, bucket=bucket, region="ap-beijing").presign(key)',
)
WRITTEN.cause(
    "other-service",
    title="It is signed for another service",
    why="AWS's Signature Version 2, OSS, OBS, Google, Azure, Tencent Cloud's API 3.0 and COS's JSON interface of before "
    "2017 have signatures of their own. COS's XML interface does not take them.",
    fix="signer.presign(key)",
)

"""The catalogue: the page of all causes."""

from __future__ import annotations

from cossign.explain.causes import CATALOGUE, GROUPS
from cossign.explain.findings import SURENESS

_HEAD = """\
# Causes of SignatureDoesNotMatch

COS answers `403 SignatureDoesNotMatch` when it computes another signature than the request has. It does not tell the reason.

`cossign explain` computes the signatures of known mistakes, alone and two at a time. It names the mistakes that give the signature that was sent, with the fix. If
none does, it lists the remaining possibilities, and the information that would decide. It also reads other answers of the service, such as AccessDenied,
a wrong clock, or NoSuchKey.

It never uses the network. It shows no SecretKey, SignKey, token or whole signature, except with `--show-secrets`.

```sh
# a presigned URL
cossign explain 'https://...&q-signature=...'
# a request as curl shows it, and the answer of COS
curl -v 'https://...' 2>&1 | cossign explain - --error answer.xml
# a browser's request, for a program
cossign explain entry.har --json
# a page to attach to a ticket
cossign explain request.txt -X PUT --html why.html
# one entry of this page
cossign explain plus-for-space
```

From Python:

```python
from cossign import Credentials, Signer

signer = Signer(
    Credentials("AKIDEXAMPLE", "example-key"),
    bucket="examplebucket-1250000000",
    region="ap-beijing",
)
broken = signer.presign("a b.txt").replace("%20", "+")
explanation = signer.explain(broken, method="HEAD")
print(explanation.codes)  # ('method-changed', 'plus-for-space')
print(explanation)  # also .json() and .html()
```

Each cause has one of these marks:

"""


def entry(code: str) -> str:
    """One cause in Markdown."""
    cause = CATALOGUE[code]
    return f"### {cause.code}\n\n**{cause.title}.** {cause.why}\n\n```\n{cause.fix}\n```\n"


def page() -> str:
    """The catalogue as a page in Markdown: docs/signature-does-not-match.md."""
    lines = [_HEAD + "\n".join(f"- **{sureness}**: {meaning}" for sureness, meaning in SURENESS.items()), "", _TAIL]
    for group in GROUPS:
        lines += [f"## {group.title}", "", *(entry(cause.code) for cause in group.causes)]
    return "\n".join(lines).rstrip() + "\n"


_TAIL = """\
Without the SecretKey, nothing can be recomputed. Then only mistakes that the request or the service's answer shows are called causes, and the others are
called possible. Even with the SecretKey, a value that changed to something unusual cannot be found. Then the signed headers and parameters, the host and
the path are listed before the SecretKey, which is the last thing to suspect.

Some mistakes cannot be told apart, because they leave the same bytes:

- an encoder for forms, and a `+` for the only special character of a key
- values that were not encoded, and values with only `/` left unencoded
- an empty parameter that was signed without its `=`, and one that was not signed

One of them is named, and the other one with it, as equally likely. If a header or parameter is missing from the request, its signed value is not known. A second
mistake is then found only if the value was a usual one, or if the service's answer shows it. A wrong SecretKey hides everything else.
"""

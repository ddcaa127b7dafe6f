"""The catalogue: the page of all causes."""

from __future__ import annotations

from cossign.explain.causes import CATALOGUE, GROUPS
from cossign.explain.findings import SURENESS

_HEAD = """\
# SignatureDoesNotMatch, cause by cause

COS answers `403 SignatureDoesNotMatch` when the signature that it computes from a request is not the one that the request has. It does not
say why. `cossign explain` computes what known mistakes would have signed, alone and two at a time, and names those that give the signature
that was sent. If none does, it lists what remains possible, and what to give next. It reads the service's answer, too: AccessDenied, a wrong
clock, NoSuchKey. It asks nobody, and shows no SecretKey, SignKey, token or whole signature unless `--show-secrets` asks for them.

```sh
cossign explain 'https://...&q-signature=...'                          # a presigned URL
curl -v 'https://...' 2>&1 | cossign explain - --error answer.xml      # a request as curl shows it, and COS's answer
cossign explain entry.har --json                                       # a browser's request, for a program
cossign explain request.txt -X PUT -H 'Content-Type: image/png' --html why.html   # a page to attach to a ticket
cossign explain plus-for-space                                         # an entry of this page; --catalogue for all of it
```

From Python:

```python
from cossign import Credentials, Signer

signer = Signer(Credentials("AKIDEXAMPLE", "example-key"), bucket="examplebucket-1250000000", region="ap-beijing")
explanation = signer.explain(signer.presign("a b.txt").replace("%20", "+"), method="HEAD")
print(explanation.codes)  # ('method-changed', 'plus-for-space')
print(explanation)  # step by step; .json() and .html() give the same
```

How sure it is:

"""


def entry(code: str) -> str:
    """One cause in Markdown."""
    cause = CATALOGUE[code]
    return f"### {cause.code}\n\n**{cause.title}.** {cause.why}\n\n```\n{cause.fix}\n```\n"


def page() -> str:
    """The catalogue as a page in Markdown, which docs/signature-does-not-match.md is."""
    lines = [_HEAD + "\n".join(f"- **{sureness}**: {meaning}" for sureness, meaning in SURENESS.items()), "", _TAIL]
    for group in GROUPS:
        lines += [f"## {group.title}", "", *(entry(cause.code) for cause in group.causes)]
    return "\n".join(lines).rstrip() + "\n"


_TAIL = """\
Without the SecretKey nothing can be recomputed: then only what the request or the service's answer shows is called a cause, and the rest is
called possible. With it, a value that changed to something unusual cannot be found either: the signed headers and parameters, the host and
the path are then listed before the SecretKey, as it is the last thing to suspect.

**What cannot be told apart.** Some mistakes leave the same bytes: a form's encoder and a `+` for the only special character of a key;
values that were not encoded and those whose `/` alone was left; one empty parameter that was signed without its `=`, or not at all. One
is named, and the other with it, as likely. What was signed of a header or parameter that is not there any more is not known, so a second mistake
beside it is found only if it had a usual value, or stands in the service's answer. A wrong SecretKey hides everything else.
"""

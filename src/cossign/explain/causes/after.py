"""Causes: why COS refuses a request whose signature is right."""

from __future__ import annotations

from cossign.explain.causes.cause import Group

AFTER = Group("After the signature")

AFTER.cause(
    "access-denied",
    title="A permission refuses the request",
    why="AccessDenied usually comes from a permission: of the user or role, of temporary keys (their policy), of the bucket "
    "(policy, ACL, hotlink protection) or of the network. COS also sends it if the request lacks a signature or a token.",
    fix="# allow name/cos:GetObject on qcs::cos:<region>:uid/<APPID>:<bucket>/<key>",
)
AFTER.cause(
    "cors-refused",
    title="The bucket's CORS rules refuse the page's request",
    why="A browser asks by OPTIONS first. The bucket needs a rule with the page's origin, the method and the headers. The "
    "signature plays no part.",
    fix="coscli cors --method put cos://<bucket> --local cors.json",
)
AFTER.cause(
    "no-such-key",
    title="The object does not exist",
    why="No object has this key. The key was encoded twice, has another case, or has a blank or a slash too many; or the "
    "object is in another bucket.",
    fix="coscli ls cos://<bucket>/<prefix>",
)
AFTER.cause(
    "no-such-bucket",
    title="The bucket does not exist here",
    why="The name, the APPID or the region is wrong.",
    fix='Signer(credentials, bucket="examplebucket-1250000000", region="ap-beijing")',
)
AFTER.cause(
    "object-archived",
    title="The object is archived",
    why="Objects of the classes ARCHIVE and DEEP_ARCHIVE must be restored before they are read.",
    fix="coscli restore cos://<bucket>/<key>",
)
AFTER.cause(
    "form-refused",
    title="COS does not take the form",
    why="The form's parts, their order, the policy or the file's size are not as COS wants them.",
    fix="# multipart/form-data, all fields before the file, and `file` last",
)
AFTER.cause(
    "request-refused",
    title="COS refuses the request for another reason",
    why="The answer's code says which.",
    fix="# look up the code in the documents of COS",
)
AFTER.cause(
    "service-trouble",
    title="The service failed, or has too many requests",
    why="This has nothing to do with the signature.",
    fix="# try again later, with growing pauses",
)

"""Public reports of refused requests: the address of each, what was wrong, and a small reproduction.

The reproductions are made by the standard library from the documents of COS: they are not the reporters' requests. Some
reports are of another storage whose signature fails in the same way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests import reference
from tests.explain.breaking import BUCKET, HOST, KEYS, NOW, SECRET_ID

SECRET_KEY = KEYS[SECRET_ID]
TEMPORARY_ID = "AKID" + "t3mporary" * 8
TOKEN = "tok3n/+=" * 12
START = NOW - 10
TIMES = f"{START};{START + 900}"
GITHUB = "https://github.com/"
ACCELERATE = f"{BUCKET}.cos.accelerate.myqcloud.com"

Pairs = Sequence[tuple[str, str]]


@dataclass
class Report:
    """A report.

    Attributes:
        address: of the thread.
        cause: the catalogue's code of what was wrong.
        request: the reproduction.
        error: the service's answer, or None.
        true: codes of other findings that are true of the reproduction, too.
        options: more parameters of `explain`.
    """

    address: str
    cause: str
    request: str
    error: str | None = None
    true: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The address without what all have in common."""
        return self.address.removeprefix(GITHUB).removeprefix("https://")


REPORTS: list[Report] = []


def report(addresses: str, cause: str, request: str, error: str | None = None, *true: str, **options: Any) -> None:
    """Add a report; several addresses, of reports alike, are parted by blanks."""
    for address in addresses.split():
        place = address if address.startswith("https://") else GITHUB + address
        REPORTS.append(Report(place, cause, request, error, true, options))


def sign(
    method: str = "get",
    path: str = "/photos/a.jpg",
    params: Pairs = (),
    headers: Pairs = (("host", HOST),),
    *,
    key: str = SECRET_KEY,
    secret_id: str = SECRET_ID,
    times: str = TIMES,
    signature: Callable[[str, str, str], str] | None = None,
) -> dict[str, str]:
    """The seven fields of a signature, not encoded."""
    values = reference.signed(key, method, path, params, headers, times)
    if signature is not None:
        values["signature"] = signature(key, times, values["http_string"])
    return dict(pair.split("=", 1) for pair in reference.authorization(secret_id, times, values).split("&"))


def url(fields: dict[str, str], sent: str = "/photos/a.jpg", rest: str = "", host: str = HOST) -> str:
    """A presigned URL."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    return f"https://{host}{sent}?{query}{rest}"


def authorization(fields: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in fields.items())


def http(fields: dict[str, str], line: str = "GET /photos/a.jpg", headers: Pairs = (), host: str = HOST) -> str:
    """A request with an Authorization, as it is sent."""
    lines = [f"{line} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, f"Authorization: {authorization(fields)}", "", ""])


def answer(code: str, message: str = "x", more: str = "") -> str:
    """The service's XML."""
    return (
        f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>{code}</Code>\n\t<Message>{message}</Message>\n{more}"
        "\t<Resource>/photos/a.jpg</Resource>\n\t<RequestId>X</RequestId>\n</Error>"
    )


def mismatch(method: str, path: str, params: Pairs, headers: Pairs) -> str:
    """SignatureDoesNotMatch, with what the service computed of the request that it received."""
    values = reference.signed("", method, path, params, headers, TIMES)
    strings = (
        f"\t<StringToSign>{values['string_to_sign']}</StringToSign>\n"
        f"\t<FormatString>{values['http_string'].replace('&', '&amp;')}</FormatString>\n"
    )
    return answer("SignatureDoesNotMatch", "The Signature you specified is invalid.", strings)


def form(fields: Pairs, line: str = "POST /") -> str:
    """A form as it is sent, with a small file."""
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields
    )
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nPNG\r\n--x--\r\n'
    return f"{line} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n{parts}{file}"


def policy_form(policy: str, fields: Pairs) -> str:
    """A form with a signed policy."""
    sign_key = hmac.new(SECRET_KEY.encode(), TIMES.encode(), "sha1").hexdigest()
    digest = hashlib.sha1(policy.encode()).hexdigest()
    own = [
        ("policy", base64.b64encode(policy.encode()).decode()), ("q-sign-algorithm", "sha1"), ("q-ak", SECRET_ID),
        ("q-key-time", TIMES), ("q-signature", hmac.new(sign_key.encode(), digest.encode(), "sha1").hexdigest()),
    ]  # fmt: skip
    return form([*fields, *own])


def raw_sign_key(key: str, times: str, text: str) -> str:
    """SignKey as bytes, not as hex."""
    sign_key = hmac.new(key.encode(), times.encode(), "sha1").digest()
    string = f"sha1\n{times}\n{hashlib.sha1(text.encode()).hexdigest()}\n"
    return hmac.new(sign_key, string.encode(), "sha1").hexdigest()


def over(http_string: str) -> Callable[[str, str, str], str]:
    """The signature of another HttpString."""

    def signature(key: str, times: str, text: str) -> str:
        sign_key = hmac.new(key.encode(), times.encode(), "sha1").hexdigest()
        string = f"sha1\n{times}\n{hashlib.sha1(http_string.encode()).hexdigest()}\n"
        return hmac.new(sign_key.encode(), string.encode(), "sha1").hexdigest()

    return signature


HOSTS = [("host", HOST)]
RIGHT = url(sign())
OLD_SIGN = base64.b64encode(
    hashlib.sha1(b"").digest() + b"a=1250000000&b=examplebucket&k=AKID&e=1750000900&t=1750000000&r=1&f="
).decode()

# --- Path ---------------------------------------------------------------------------------------------------------------

report(
    "Molunerfinn/PicGo/issues/638",
    "path-encoded",
    http(sign("put", quote("/images/resume-zh en_页面_1.png")), f"PUT {quote('/images/resume-zh en_页面_1.png')}"),
    mismatch("put", "/images/resume-zh en_页面_1.png", [], HOSTS),
)
report(
    "casdoor/casdoor/issues/5447 casdoor/casdoor/issues/1525",
    "path-encoded",
    http(sign("put", "/dir/Screenshot%20a.png"), "PUT /dir/Screenshot%20a.png"),
    "\n".join("      " + line.strip() for line in mismatch("put", "/dir/Screenshot a.png", [], HOSTS).splitlines()),
)
report(
    "zhangruiyu/tencent_cos/issues/11",
    "path-encoded",
    http(
        sign(
            "put", quote("/log/YqNfNc_观众_.log"), [], [("content-length", "5"), ("content-type", "text/plain"), *HOSTS]
        ),
        f"PUT {quote('/log/YqNfNc_观众_.log')}",
        [("Content-Length", "5"), ("Content-Type", "text/plain")],
    ),
)
report("aws/aws-sdk-go-v2/issues/952", "path-encoded", url(sign("get", "/a_%281%29.pdf"), "/a_(1).pdf"))
report(
    "tencentyun/cos-nodejs-sdk-v5/issues/233",
    "url-encoded-again",
    http(sign("put", "/test/中文文件.txt"), f"PUT {quote(quote('/test/中文文件.txt'))}"),
)
report("overtrue/qcloud-cos-client/pull/14", "plus-for-space", url(sign("get", "/test (1).txt"), "/test+(1).txt"))
report(
    "anomalizer/ngx_aws_auth/issues/87",
    "plus-for-space",
    url(sign("get", "/libstdc  -docs.rpm"), "/libstdc%2B%2B-docs.rpm"),
)
report(
    "tencentyun/qcloud-cos-sts-sdk/issues/65 cloudreve/cloudreve/issues/802",
    "plus-for-space",
    url(sign("get", "/a b.txt"), "/a%2Bb.txt"),
)
report("tencentyun/cos-js-sdk-v5/issues/47", "slashes-changed", http(sign("put", "//a.png"), "PUT /a.png"))
report(
    "tencentyun/cos-java-sdk-v5/pull/5 overtrue/qcloud-cos-client/pull/5",
    "slashes-changed",
    http(sign("put", "dir/a.png"), "PUT /dir/a.png"),
)
report("tencentyun/cos-go-sdk-v5/issues/110", "path-missing", url(sign("get", "/"), "/public/avatar/01.png"))
report("tencentyun/cos-js-sdk-v5/issues/35", "path-missing", http(sign("put", "/"), "PUT /upload/a.jpg"))
report(
    "tencentyun/cos-python-sdk-v5/issues/110", "not-utf8", url(sign("get", "/其他.md"), quote("/其他.md".encode("gbk")))
)
report("aliyun-beta/aliyun-oss-ruby-sdk/issues/9", "url-cuts-key", url(sign("get", "/aa#b.pdf"), "/aa#b.pdf"))
report(
    "casdoor/casdoor/issues/1743",
    "path-rewritten",
    http(sign("put", "/admin/a.png"), "PUT /resource/built-in/admin/a.png"),
)

# --- Method -------------------------------------------------------------------------------------------------------------

report("samvera/browse-everything/issues/341", "method-changed", RIGHT, None, method="HEAD")
report("aws/aws-sdk-php/issues/1201", "method-changed", RIGHT, None, method="PUT")
report("IBM/ibm-cos-sdk-js/issues/97", "method-changed", url(sign("put")), None, method="POST")

# --- Host ---------------------------------------------------------------------------------------------------------------

report(
    "tencentyun/cos-go-sdk-v5/issues/297",
    "host-changed",
    url(sign(headers=[("host", "cdn.example.com")]), host="cdn.example.com"),
    mismatch("get", "/photos/a.jpg", [], HOSTS),
)
report(
    "overtrue/qcloud-cos-client/issues/8", "host-changed", url(sign(headers=[("host", f"{BUCKET}.file.myqcloud.com")]))
)
report(
    "tencentyun/cos-go-sdk-v5/issues/318 tencentyun/cos-php-sdk-v5/issues/68",
    "host-changed",
    url(sign(), host="img.example.com"),
    hosts=[HOST],
)
report(
    "cloudreve/cloudreve/issues/3543 aliyun/aliyun-oss-go-sdk/issues/424",
    "host-changed",
    url(sign(), host="img.example.com"),
)
report(
    "tencentyun/cos-nodejs-sdk-v5/issues/133 tencentyun/cos-js-sdk-v5/pull/136",
    "host-changed",
    url(sign(), host=ACCELERATE),
)
report(
    "tencentyun/cos-python-sdk-v5/pull/172",
    "host-changed",
    url(sign(), host=HOST.replace("myqcloud.com", "tencentcos.cn")),
)
report(
    "mozillazg/go-cos/issues/2",
    "host-changed",
    form([("key", "a.png"), ("Signature", authorization(sign("get", "/auth", [], [("host", "api.example.com")])))]),
)

# --- Headers and parameters ---------------------------------------------------------------------------------------------

TYPES = [("content-type", "image/png"), *HOSTS]
DISPOSITION = [("content-disposition", 'inline; filename="a  b.pdf"'), *HOSTS]
report(
    "aws/aws-sdk-js/issues/557",
    "content-type-changed",
    http(sign("put", headers=TYPES), "PUT /photos/a.jpg", [("Content-Type", "multipart/form-data; boundary=y")]),
)
report("seaweedfs/seaweedfs/issues/10297", "header-missing", http(sign("put", headers=TYPES), "PUT /photos/a.jpg"))
report(
    "minio/minio/issues/12924",
    "content-type-changed",
    http(sign(headers=[("content-type", ""), *HOSTS]), headers=[("Content-Type", "application/json")]),
)
report(
    "tencentyun/qcloud-sdk-dotnet/issues/20",
    "content-type-changed",
    http(
        sign("put", headers=[("content-type", "text/plain"), *HOSTS]),
        "PUT /photos/a.jpg",
        [("Content-Type", "text/plain; charset=utf-8")],
    ),
)
report(
    "overtrue/flysystem-cos/issues/36",
    "content-type-changed",
    http(
        sign("put", headers=[("content-type", "image/x-photo"), *HOSTS]),
        "PUT /photos/a.jpg",
        [("Content-Type", "image/x-other")],
    ),
)
report(
    "Mininglamp-OSS/octo-server/issues/760",
    "header-changed",
    http(
        sign("put", headers=DISPOSITION), "PUT /photos/a.jpg", [("Content-Disposition", 'inline; filename="a b.pdf"')]
    ),
)
report(
    "Mininglamp-OSS/octo-server/pull/219",
    "header-changed",
    http(sign("put", headers=DISPOSITION), "PUT /photos/a.jpg", [("Content-Disposition", "inline; filename=a  b.pdf")]),
)
report(
    "Mininglamp-OSS/octo-server/pull/50 aws/aws-sdk-js/issues/2945",
    "header-missing",
    http(sign("put", headers=DISPOSITION), "PUT /photos/a.jpg", [("Content-Type", "application/pdf")]),
)
report(
    "tencentyun/cos-nodejs-sdk-v5/issues/140 tencentyun/cos-nodejs-sdk-v5/issues/209",
    "header-missing",
    url(sign(headers=DISPOSITION)),
)
report(
    "tencentyun/cos-java-sdk-v5/issues/57",
    "not-utf8",
    http(
        sign("put", headers=[*HOSTS, ("x-cos-meta-name", "中文")]),
        "PUT /photos/a.jpg",
        [("x-cos-meta-name", "中文".encode("gbk").decode("utf-8", "surrogateescape"))],
    ),
)
report(
    "tencentyun/cos-js-sdk-v5/issues/43",
    "names-differ",
    http(
        sign(
            "put",
            headers=[*HOSTS, ("x-cos-b", "1"), ("x-cos-acl", "private")],
            signature=over(f"put\n/photos/a.jpg\n\nx-cos-b=1&x-cos-acl=private&host={HOST}\n"),
        ),
        "PUT /photos/a.jpg",
        [("x-cos-b", "1"), ("x-cos-acl", "private")],
    ),
)
report(
    "aws/aws-sdk-java-v2/issues/3689",
    "parameter-changed",
    url(sign(params=[("response-content-type", "text/plain")]), rest="&response-content-type=text%2Fhtml"),
)
report(
    "aliyun-UED/aliyun-sdk-js/issues/132 jumpstarter-dev/jumpstarter/pull/662",
    "parameter-changed",
    url(
        sign(params=[("response-content-disposition", 'attachment; filename="图.jpg"')]),
        rest="&response-content-disposition=" + quote(quote('attachment; filename="图.jpg"', safe=""), safe=""),
    ),
)
report(
    "soto-project/soto-core/pull/69", "encoder-differs", url(sign(params=[("marker", "abc%3D")]), rest="&marker=abc%3D")
)
report(
    "tencentyun/cos-python-sdk-v5/issues/205",
    "encoder-differs",
    url(
        sign(path="/", params=[("prefix", "aaa/aaa")], signature=over(f"get\n/\nprefix=aaa/aaa\nhost={HOST}\n")),
        "/",
        "&prefix=aaa%2Faaa",
    ),
    None,
    "encoder-differs",
)
report(
    "tencentyun/cos-php-sdk-v5/pull/245",
    "names-differ",
    url(
        sign(
            params=[("imageMogr2/thumbnail/100x", "")],
            signature=over(f"get\n/photos/a.jpg\nimageMogr2%2Fthumbnail%2F100x=\nhost={HOST}\n"),
        ),
        rest="&imageMogr2%2Fthumbnail%2F100x",
    ),
    None,
    "encoder-differs",
    "encoder-differs",
)

# --- Keys and tokens ----------------------------------------------------------------------------------------------------

report("tencentyun/cos-php-sdk-v5/issues/177", "wrong-secret-key", RIGHT, mismatch("get", "/photos/a.jpg", [], HOSTS))
report(
    "https://cloud.tencent.com/developer/information/cos%20signaturedoesnotmatch-ask",
    "wrong-secret-key",
    url(sign(key="another" * 4)),
    mismatch("get", "/photos/a.jpg", [], HOSTS),
)
report(
    "tencentyun/cos-nodejs-sdk-v5/issues/112 Molunerfinn/PicGo/issues/20",
    "secret-key-edited",
    url(sign(key=SECRET_KEY + " ")),
)
report("tencentyun/qcloud-cos-sts-sdk/issues/45", "secret-key-edited", url(sign(key=SECRET_KEY + "\n")))
report("tencentyun/qcloud-cos-sts-sdk/issues/47", "secret-key-edited", url(sign(key="")))
report(
    "tencentyun/cos-go-sdk-v5/issues/61",
    "secret-id-edited",
    url(sign(secret_id=f'"{SECRET_ID}"')),
    answer("InvalidAccessKeyId"),
    "secret-id-refused",
)
report(
    "Molunerfinn/PicGo/issues/466",
    "secret-id-edited",
    url(sign(secret_id=f" {SECRET_ID}")),
    answer("InvalidAccessKeyId"),
    "secret-id-refused",
)
report(
    "tencentyun/cos-php-sdk-v5/issues/57",
    "secret-id-refused",
    RIGHT,
    answer("InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records"),
)
report(
    "tencentyun/cos-wx-sdk-v5/issues/19 https://fwq.xymww.com/teng-xun-yun-cos-shang-chuan-wen-jian-bao-403-jian-cha-quan.html",
    "token-refused",
    RIGHT + "&x-cos-security-token=old",
    answer("ExpiredToken", "The provided token has expired."),
)
report("tencentyun/coscli/issues/93 tencentyun/cos-python-sdk-v5/issues/162", "token-missing", RIGHT, None, token=TOKEN)
report(
    "tencentyun/cos-python-sdk-v5/issues/232 bradenmacdonald/s3-lite-client/issues/50",
    "token-missing",
    url(sign(secret_id=TEMPORARY_ID)),
    None,
    secret_id=TEMPORARY_ID,
)
report(
    "tencentyun/cos-nodejs-sdk-v5/issues/38",
    "access-denied",
    url(sign(secret_id=TEMPORARY_ID)),
    answer("AccessDenied"),
    "token-missing",
    secret_id=TEMPORARY_ID,
)
report("tencentyun/cos-nodejs-sdk-v5/pull/60", "sign-key-form", url(sign(signature=raw_sign_key)))

# --- Time ---------------------------------------------------------------------------------------------------------------

SERVER_TIME = "\t<ServerTime>2025-06-15T17:06:40Z</ServerTime>\n"  # two hours after NOW
report(
    "aliyun/ossutil/issues/27 remotely-save/remotely-save/issues/628",
    "clock-skew",
    RIGHT,
    answer("RequestTimeTooSkewed", more=SERVER_TIME),
)
report(
    "tencentyun/cos-php-sdk-v5/issues/97 huhx/flutter_oss_aliyun/issues/63",
    "expired",
    RIGHT,
    answer("AccessDenied", "Request has expired", SERVER_TIME),
)
report("tencentyun/cos-donet-sdk-v4/issues/1", "expired", url(sign(times=f"{NOW - 28800};{NOW - 27900}")))
report("overtrue/flysystem-cos/issues/25 tencentyun/cos-snippets/issues/13", "expired", RIGHT, None, now=NOW + 1860)

# --- Forms --------------------------------------------------------------------------------------------------------------

report(
    "tencentyun/cos-wx-sdk-v5/issues/43 tencentyun/cos-js-sdk-v5/issues/8",
    "form-signed-otherwise",
    form([("key", "up/a.jpg"), ("Signature", authorization(sign("put", "/up/a.jpg")))]),
)
report(
    "tencentyun/cos-wx-sdk-v5/issues/3",
    "form-signed-otherwise",
    form([("key", "dir/a.png"), ("Signature", authorization(sign("post", "/dir/a.png")))]),
    mismatch("post", "/", [], HOSTS),
)
report(
    "tencentyun/cos-wx-sdk-v5/issues/27",
    "form-signed-otherwise",
    form([("key", "目录1/文件名1.png"), ("Signature", authorization(sign("post", "/目录1/文件名1.png")))]),
)
END = "2030-01-01T00:00:00.000Z"
OWN = f'{{"q-sign-algorithm":"sha1"}},{{"q-ak":"{SECRET_ID}"}},{{"q-sign-time":"{TIMES}"}}'
report(
    "aws/aws-sdk-js/issues/1983",
    "policy-condition",
    policy_form(
        f'{{"expiration":"{END}","conditions":[{{"Content-Type":"image/jpeg"}},{OWN}]}}',
        [("key", "a.png"), ("Content-Type", "image/png")],
    ),
)
report(
    "tencentyun/cos-js-sdk-v5/issues/20",
    "policy-condition",
    policy_form(f'{{"expiration":"{END}","conditions":[["starts-with","$key","up/"],{OWN}]}}', [("key", "a.png")]),
    answer("AccessDenied", "Condition key key doesn't match the value up/"),
)
report(
    "tencentyun/cos-wx-sdk-v5/issues/52",
    "no-signature",
    form([("key", "a.png")]),
    answer("AccessDenied"),
    "access-denied",
)

# --- Permissions and objects --------------------------------------------------------------------------------------------

DENIED = answer("AccessDenied", "Access Denied.")
report(
    "tencentyun/cos-js-sdk-v5/issues/181 tencentyun/cos-wx-sdk-v5/issues/30 tencentyun/cos-wx-sdk-v5/issues/34 tencentyun/cos-wx-sdk-v5/issues/25",
    "access-denied",
    RIGHT,
    DENIED,
)
report(
    "remotely-save/remotely-save/issues/928",
    "access-denied",
    url(sign(path="/", params=[("prefix", "")]), "/", "&prefix="),
    '{"code":"AccessDenied","message":"Access Denied.","statusCode":403,"headers":{},"RequestId":"X"}',
)
report(
    "7sDream/rikka/issues/12",
    "access-denied",
    http(sign("put"), "PUT /photos/a.jpg"),
    "{'code': 'AccessDenied', 'message': 'Access Denied.', 'traceid': 'T'}",
)
report(
    "ali-sdk/ali-oss/issues/1084",
    "access-denied",
    RIGHT,
    f"GET {RIGHT}: 403 AccessDenied(Message: Access Denied., RequestId: X, TraceId: T)",
)
report(
    "tencentyun/cos-python-sdk-v5/issues/56",
    "access-denied",
    RIGHT,
    answer("AccessDenied", "You are denied by bucket referer rule"),
)
report(
    "tencentyun/wafer2-startup/issues/84",
    "no-signature",
    f"GET /a.png HTTP/1.1\r\nHost: {BUCKET}.cosgz.myqcloud.com\r\n\r\n",
    DENIED,
    "access-denied",
)
report(
    "tencentyun/cos-js-sdk-v5/issues/46 tencentyun/cos-js-sdk-v4/issues/30 cloudreve/cloudreve/issues/574",
    "cors-refused",
    RIGHT,
    answer("AccessForbidden", "CORSResponse: This CORS request is not allowed."),
)
report("pengfeiqiao/kunpeng/issues/16 TencentCloud/cosbrowser/issues/72", "no-such-key", RIGHT, answer("NoSuchKey"))
report(
    "tencentyun/cos-python-sdk-v5/issues/288",
    "no-such-key",
    url(sign(path="/a/Nezuko%20Kamado.jpg"), "/a/Nezuko%2520Kamado.jpg"),
    answer("NoSuchKey"),
)
report(
    "Molunerfinn/PicGo/issues/47",
    "no-such-bucket",
    url(sign(headers=[("host", "demo.cos.ap-beijing.myqcloud.com")]), host="demo.cos.ap-beijing.myqcloud.com"),
    answer("NoSuchBucket"),
)
report(
    "tencentyun/coscli/issues/35", "request-refused", http(sign("put"), "PUT /photos/a.jpg"), answer("MethodNotAllowed")
)

# --- How it is written --------------------------------------------------------------------------------------------------

report(
    "tencentyun/cos-nodejs-sdk-v5/issues/49",
    "signed-twice",
    f"https://{HOST}/photos/a.jpg?sign={quote(authorization(sign()), safe='')}?sign={quote(authorization(sign()), safe='')}",
    None,
    "url-edited",
)
report(
    "tencentyun/cos-java-sdk-v5/issues/4",
    "authorization-form",
    f"https://{HOST}/photos/a.jpg?sign={authorization(sign())}",
)
report(
    "tencentyun/qcloud-sdk-dotnet/issues/24",
    "field-missing",
    url(
        {name: value for name, value in sign().items() if name not in ("q-url-param-list", "q-signature")},
        rest="&q-url-param-list=q-signature",
    ),
)
report(
    "Moonlark-Dev/Moonlark/pull/1416",
    "aws-sigv4",
    f"PUT /a HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/x/s3/aws4_request, Signature=ab\r\n\r\n",
    answer("SignatureDoesNotMatch"),
)
report(
    "tencentyun/wecos-ugc-upload-demo/issues/5 tencentyun/qcloud-sdk-ios/issues/16",
    "other-service",
    f"https://{HOST}/photos/a.jpg?sign={quote(OLD_SIGN, safe='')}",
)
report(
    "chmod740/cos-python3-sdk/issues/6",
    "other-service",
    f"POST /files/v2/1250000000/test/a.png HTTP/1.1\r\nHost: gz.file.myqcloud.com\r\nAuthorization: {OLD_SIGN}\r\n\r\n",
)
PATH_STYLE = answer(
    "PathStyleDomainForbidden",
    "The bucket you are attempting to access must be addressed using COS virtual-styled domain.",
)
report(
    "gobackup/gobackup/issues/233 gobackup/gobackup/issues/268 mcthesw/game-save-manager/issues/371",
    "bucket-in-path",
    url(
        sign(path=f"/{BUCKET}/a.txt", headers=[("host", "cos.ap-beijing.myqcloud.com")]),
        f"/{BUCKET}/a.txt",
        host="cos.ap-beijing.myqcloud.com",
    ),
    PATH_STYLE,
)

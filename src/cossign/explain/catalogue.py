"""The catalogue: why a signature does not match, cause by cause, and what to do. Everything that names a cause has its words from here."""

from __future__ import annotations

from typing import Literal, NamedTuple

Sureness = Literal["confirmed", "evident", "service", "possible"]
SURENESS: dict[Sureness, str] = {
    "confirmed": "certain: with this change the recomputed signature is the one that was sent",
    "evident": "certain: the request itself shows it, and leaves no other explanation",
    "service": "the service's answer says it",
    "possible": "not proven: nothing here shows it, and nothing excludes it",
}
AFTER = "After the signature"  # the group of causes for which a request with a right signature is refused


class Cause(NamedTuple):
    """One reason for which COS refuses a signature.

    Attributes:
        code: its name, as JSON, the gateway's log and the page's anchors have it.
        title: what is wrong.
        why: how it comes about, and how it is told from others.
        fix: a line of code, or of a shell, that mends it.
        group: where the page has it.
    """

    code: str
    title: str
    why: str
    fix: str
    group: str


_GROUPS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "Keys": (
        ("wrong-secret-key", "Another SecretKey signed it",
         "The SecretKey is not that of the SecretId in q-ak: an old one that was rotated, one of another account or environment, or one that was "
         "mistyped. A signature alone cannot show this: a changed header, parameter, path or host looks the same. It is certain only if COS "
         "computed the same StringToSign.",
         'Credentials(os.environ["COS_SECRET_ID"], os.environ["COS_SECRET_KEY"])  # both from one place'),
        ("unknown-secret-id", "The SecretId is none of those at hand",
         "q-ak names a SecretId whose SecretKey is not here, so nothing can be recomputed.",
         "export COS_SECRET_ID=AKID... COS_SECRET_KEY=...  # those that signed it"),
        ("other-secret-id", "The SecretKey of another SecretId signed it",
         "The SecretId and the SecretKey come from two different pairs: two profiles, or a rotation that changed one of both.",
         'Credentials(pair["SecretId"], pair["SecretKey"])  # both from one pair'),
        ("secret-id-edited", "q-ak has quotes, blanks or a line's end around the SecretId",
         "An environment file, a shell or a placeholder such as <SecretId> left them there, and the signer took them as a part of the SecretId.",
         'secret_id = os.environ["COS_SECRET_ID"].strip(" \\"\'<>\\n")'),
        ("secret-id-refused", "COS does not take this SecretId",
         "It was deleted, disabled or mistyped, or it is a temporary one that has ended, or it belongs to another site or a private cloud.",
         "# look at the SecretId in the console: Access Management, API keys"),
        ("token-refused", "COS does not take the token",
         "Temporary credentials end after the time for which they were asked for. SecretId, SecretKey and token must be of one answer.",
         "RefreshingCredentials(fetch)  # asks for new ones before they end"),
        ("secret-key-edited", "The SecretKey that signed was damaged as text",
         "A line's end from a file, a space from copying, quotes from an environment file that nobody removed.",
         'secret_key = pathlib.Path("secret_key").read_text().strip()'),
        ("secret-key-empty", "The SecretKey that signed was empty",
         "An environment variable or a configuration's field was not set where the signer ran.",
         'secret_key = os.environ["COS_SECRET_KEY"]  # raises, where .get() would give None'),
        ("secret-id-as-key", "The SecretId stood in the SecretKey's place",
         "Two arguments were passed in the wrong order, or one of them twice. If the SecretKey stands in q-ak, it has been sent: rotate it.",
         "Credentials(secret_id=..., secret_key=...)  # by name"),
        ("token-as-key", "The security token stood in the SecretKey's place",
         "Temporary credentials are three values: TmpSecretId, TmpSecretKey and Token.",
         'Credentials(sts["TmpSecretId"], sts["TmpSecretKey"], token=sts["Token"])'),
        ("token-missing", "Temporary credentials without their token",
         "A temporary SecretId holds only together with its token, which must be sent as x-cos-security-token.",
         'Credentials(tmp_id, tmp_key, token=token)  # presign then puts it into the URL'),
        ("token-changed", "The token is not that of these credentials",
         "The token was replaced, cut or encoded again, or is that of an earlier set of temporary credentials.",
         'Credentials(sts["TmpSecretId"], sts["TmpSecretKey"], token=sts["Token"])  # all three of one answer'),
        ("token-signed-elsewhere", "The token was signed, and no list names it",
         "x-cos-security-token was part of what was signed, but is sent in another place, or is not in the list there.",
         "# sign without x-cos-security-token, then add it: it need not be signed"),
    ),
    "Time": (
        ("expired", "The signature has expired",
         "KeyTime has ended. URLs that are kept, mailed or cached often outlive their signature; so does a clock that is slow.",
         "signer.presign(key, expires=3600)"),
        ("not-yet-valid", "The signature is not valid yet: a clock is wrong",
         "KeyTime begins in the future: the signer's clock is fast, or this one is slow.",
         "cossign.Clock()  # learns the service's time from its answers: Signer(..., clock=...)"),
        ("clock-skew", "A clock is wrong",
         "COS compares the request's time with its own clock. A machine whose clock is wrong makes signatures that have ended, or that begin later.",
         "cossign.Clock()  # learns the service's time from its answers: Signer(..., clock=...)"),
        ("milliseconds", "KeyTime is in milliseconds",
         "Date.now() and System.currentTimeMillis() count milliseconds; KeyTime is in seconds, with ten digits.",
         "const start = Math.floor(Date.now() / 1000)"),
        ("key-time-form", "KeyTime is not of its form",
         "It must be two whole numbers of Unix seconds, the start, ';' and the end.",
         'key_time = f"{start};{start + 900}"'),
        ("key-time-encoded", "KeyTime was percent-encoded before it was signed",
         "SignKey and StringToSign are made with ';'. '%3B' belongs into the URL alone.",
         'sign_key = hmac.new(secret_key, f"{start};{end}".encode(), "sha1").hexdigest()'),
        ("key-time-differs", "q-sign-time and q-key-time differ",
         "SignKey is made of q-key-time, StringToSign of q-sign-time. Every SDK makes them the same.",
         "q_sign_time = q_key_time = key_time"),
        ("key-time-moved", "Another KeyTime was signed than is sent",
         "The clock was read twice, once for the signature and once for its fields, or the times were put together differently.",
         "now = int(time.time())  # once"),
    ),
    "Method and path": (
        ("method-changed", "Another method was signed",
         "A URL signed for GET does not hold for HEAD, nor for PUT. Download managers, link checkers and CDNs like to ask by HEAD first.",
         'signer.presign(key, method="HEAD")'),
        ("redirect-method", "A redirect turned the method into GET",
         "After 301, 302 and 303 clients send GET where they sent POST or PUT: the signature was for the latter.",
         "sign for the address that does not redirect, or let it answer 307 or 308"),
        ("method-case", "The method was not signed in lower case",
         "HttpString begins with the method in lower case: get, not GET.", "http_string = method.lower() + ..."),
        ("method-missing", "No method was signed", "The signer's method was empty.", 'signer.presign(key, method="GET")'),
        ("path-encoded", "The path was percent-encoded before it was signed",
         "HttpString has the path as it is, in UTF-8; only the URL has it percent-encoded. Keys without special characters hide the mistake.",
         'http_string = f"{method}\\n/{key}\\n..."  # not quote(key)'),
        ("path-encoded-twice", "The path was percent-encoded twice before it was signed",
         "HttpString has the path as it is, not encoded.", 'http_string = f"{method}\\n/{key}\\n..."'),
        ("url-encoded-again", "The URL's path was percent-encoded again after signing",
         "A client, template or proxy encoded a URL that was encoded: %20 became %2520. Some clients do so with every '%'.",
         "requests.get(url)  # as it is: no quote(url), no encodeURI(url)"),
        ("plus-for-space", "'+' and space were taken for each other",
         "In a path '+' is a plus and a space is %20. Encoders for forms write '+' for a space.",
         'urllib.parse.quote(key, safe="/")  # not quote_plus'),
        ("leading-slash", "A slash before the key: one too many, or none",
         "The path that is signed is '/' and the key. A key that begins with a slash gives '//', which the SDKs drop and some servers merge.",
         'key = key.lstrip("/")'),
        ("slashes-merged", "Two slashes in a row became one",
         "nginx (merge_slashes), CDNs and path libraries merge '//' within a path; COS has keys with empty segments, and the signer signed one.",
         "merge_slashes off;  # nginx"),
        ("dot-segments", "Dot segments were removed",
         "HTTP clients remove '/./' and '/../' from a path before they send it (RFC 3986, 5.2.4), so another path arrives than was signed.",
         'key = posixpath.normpath(key)  # before signing'),
        ("unicode-form", "The same letters in another Unicode form",
         "macOS file names are often in form NFD, keyboards give NFC: they look alike, and are other bytes.",
         'key = unicodedata.normalize("NFC", key)  # the same form where it is stored and where it is signed'),
        ("not-utf8", "Text was signed in another encoding than UTF-8",
         "Keys, values and names are UTF-8. GBK, latin-1 and UTF-8 that was read as latin-1 give other bytes.",
         'key.encode("utf-8")'),
        ("path-case", "The path was signed in another case",
         "Keys differ by case. Somebody lower-cased the URL or the key.", "# leave the path as it is: only names are lower-cased"),
        ("bucket-in-path", "The bucket stands in the path",
         "COS has the bucket in the host. Clients for S3's path style put it before the key.",
         'Signer(credentials, bucket="examplebucket-1250000000", region="ap-beijing")  # the host holds the bucket'),
        ("trailing-slash", "A slash at the path's end came or went",
         "'a' and 'a/' are two keys. Web servers and frameworks redirect from one to the other.", "# sign the key as it is stored"),
        ("key-blanks", "The key was signed with blanks around it",
         "Keys that were read from a file's lines have the line's end with them.", 'for key in map(str.strip, open("keys.txt")): ...'),
        ("backslashes", "Backslashes and slashes were taken for each other",
         "os.path.join writes backslashes on Windows, which are characters of the key to COS, and slashes to some clients.",
         'key = path.as_posix()  # pathlib'),
        ("path-html", "The path was HTML-escaped",
         "'&', quotes and '<' were escaped in the key on one side only.", "# escape the URL when it is put into the page, not the key"),
        ("path-missing", "The path '/' was signed, without the key",
         "getAuthorization without Key signs the bucket. A Pathname that is empty does so too.",
         'COS.getAuthorization(SecretId=..., SecretKey=..., Method="get", Key="picture.jpg")'),
        ("path-rewritten", "The path was rewritten on the way",
         "A proxy, CDN or rewrite rule put something before or behind the path, or took it away.",
         "proxy_pass http://cos_upstream;  # nginx: without a path behind the name, the request's own is sent"),
        ("query-in-path", "The query was signed as a part of the path",
         "HttpString has the path on its second line and the parameters on its third.", "path = urllib.parse.urlsplit(url).path"),
        ("url-cuts-key", "The key has '?' or '#', and the URL has it unencoded",
         "Both end a path. What follows '#' is not even sent.", 'urllib.parse.quote(key, safe="/")'),
        ("url-as-path", "The whole URL was signed as the path", "The second line of HttpString is the path alone.",
         "path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)"),
    ),
    "Host and headers": (
        ("host-changed", "It was signed for another Host than it is sent to",
         "Host is signed, and the request goes through a CDN, the acceleration host, a custom domain or a proxy that sets its own.",
         'Signer(credentials, domain="cdn.example.com")  # or sign_host=False'),
        ("host-port", "The port in Host differs", "Clients send the port in Host unless it is the scheme's own.",
         'Signer(credentials, domain="cos.example.com:8443")'),
        ("host-case", "Host is in another case", "The value of a header is signed as it is sent; hosts are sent in lower case by most clients, not by all.",
         "host = host.lower()  # for signing and sending"),
        ("header-missing", "A signed header is not in the request",
         "q-header-list names it, so COS looks for it: whoever uses the URL must send the same headers as were signed. Proxies drop Range and others.",
         'requests.get(url, headers={"Range": "bytes=0-9"})  # those that were signed'),
        ("header-changed", "A signed header has another value",
         "A client, proxy or CDN changed it, or other blanks, case or quotes were signed.", "# sign the header as it is sent, or do not sign it"),
        ("content-type-changed", "Content-Type is another than was signed",
         "Clients add one of their own (fetch, form posts), add a charset, or drop it where there is no body.",
         'requests.put(url, data=data, headers={"Content-Type": "image/jpeg"})  # the same as was signed'),
        ("content-length-changed", "Content-Length is another than was signed",
         "Compression, re-encoding or a stream changes it on the way.", "# do not sign Content-Length where a proxy may change it"),
        ("header-doubled", "A signed header is there twice", "A client and a proxy both set it.", "proxy_set_header Range $http_range;  # nginx: sets it once"),
        ("header-not-listed", "A header was signed that q-header-list does not name",
         "The list must name all that is signed, sorted, in lower case.", 'q_header_list = ";".join(sorted(name.lower() for name in headers))'),
        ("header-not-signed", "q-header-list names a header that was not signed",
         "The list and HttpHeaders were made of two different sets of headers.", "# make the list and HttpHeaders of one dict"),
    ),
    "Parameters": (
        ("parameter-missing", "A signed parameter is not in the request",
         "q-url-param-list names it. A client, CDN (\"ignore the query\") or cache dropped it, or it was never added behind the signature.",
         'signer.presign(key, query={"versionId": version})  # signs it and puts it into the URL'),
        ("parameter-changed", "A signed parameter has another value",
         "It was changed, trimmed or encoded again behind the signature.", "# sign the value that is sent"),
        ("parameter-doubled", "A signed parameter is there more often than it was signed",
         "Something added it again, such as a client that was given the URL and the same parameters.", "requests.get(url)  # without params=: they are in the URL"),
        ("parameter-not-listed", "A parameter was signed that q-url-param-list does not name",
         "The list must name all that is signed; a parameter in neither is allowed.", 'q_url_param_list = ";".join(sorted(...))'),
        ("parameter-not-signed", "q-url-param-list names a parameter that was not signed",
         "The list and HttpParameters were made of two different sets of parameters.", "# make the list and HttpParameters of one dict"),
        ("empty-value", "A parameter without a value was signed without its '='",
         "'acl' is signed as 'acl='.", 'http_parameters = "acl="'),
        ("list-decoded", "The list in the URL must be percent-encoded once more",
         "Names in q-url-param-list are encoded, and so is the list itself in a URL: '/' is %252f. The return value of the SDKs' getObjectUrl lacks that; "
         "the URL in its callback has it.", "cos.getObjectUrl(parameters, lambda err, data: print(data.Url))"),
    ),
    "Encoding and order": (
        ("not-encoded", "Values were signed without percent-encoding",
         "HttpParameters and HttpHeaders have names and values percent-encoded, each byte but A-Z a-z 0-9 - _ . ~.",
         'urllib.parse.quote(value, safe="-_.~")'),
        ("encoded-twice", "Values were percent-encoded twice before they were signed",
         "They were encoded when the signer got them. It encodes them once itself.", "# give the signer plain values"),
        ("space-as-plus", "Spaces were signed as '+'", "A space is signed as %20.", 'urllib.parse.quote(value, safe="")  # not quote_plus or urlencode'),
        ("encoder-differs", "The encoder leaves or escapes other characters",
         "Python's quote leaves '/', encodeURIComponent leaves !'()*, Java's URLEncoder writes '+' and %7E, some write lower-case hex.",
         r"encodeURIComponent(value).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase())"),
        ("names-case", "Names were not signed in lower case",
         "Names are lower-cased after they are encoded, in HttpParameters and HttpHeaders as well as in the lists.", "quote(name, safe='').lower()"),
        ("wrong-order", "Names were signed in another order",
         "HttpParameters and HttpHeaders are sorted by the encoded name in lower case.", "sorted(pairs, key=lambda pair: pair[0])  # encoded, in lower case"),
    ),
    "The signature itself": (
        ("newline-lost", "A newline at the end was lost",
         "HttpString and StringToSign both end with a newline. Editors, templates and trim() remove it.",
         'string_to_sign = f"sha1\\n{key_time}\\n{digest}\\n"'),
        ("line-ends", "Lines end with CR and LF", "HttpString and StringToSign have LF alone.", 'text.replace("\\r\\n", "\\n")'),
        ("empty-lines-dropped", "Empty lines were left out of HttpString", "Its third and fourth line stay, where there are no parameters or headers.",
         'http_string = f"get\\n/{key}\\n\\n\\n"'),
        ("sign-key-binary", "SignKey was used as bytes, not as hex",
         "The second HMAC's key is the 40 hex characters of the first.", 'hmac.new(sign_key.hexdigest().encode(), string_to_sign, "sha1")'),
        ("sign-key-form", "SignKey was in another form than lower-case hex", "The second HMAC's key is the 40 lower-case hex characters of the first.",
         "sign_key = CryptoJS.HmacSHA1(keyTime, secretKey).toString()"),
        ("sign-key-skipped", "The SecretKey signed StringToSign itself", "There are two HMACs: KeyTime with the SecretKey, StringToSign with SignKey.",
         'sign_key = hmac.new(secret_key, key_time, "sha1").hexdigest()'),
        ("hmac-swapped", "An HMAC's key and message were swapped", "Languages disagree about the order: Python has the key first, CryptoJS the message.",
         "hmac.new(key, message, 'sha1'); CryptoJS.HmacSHA1(message, key)"),
        ("no-hmac", "Plain SHA-1 stood in HMAC's place", "The signature is an HMAC-SHA1.", 'hmac.new(sign_key, string_to_sign, "sha1")'),
        ("sha256", "SHA-256 stood in SHA-1's place", "COS signs by SHA-1 throughout; AWS by SHA-256.", 'hmac.new(key, message, "sha1")'),
        ("md5", "HttpString was hashed by MD5", "StringToSign holds the SHA-1 of HttpString.", "hashlib.sha1(http_string).hexdigest()"),
        ("http-string-not-hashed", "HttpString was signed without being hashed", "StringToSign's third line is hex(SHA1(HttpString)).",
         "hashlib.sha1(http_string).hexdigest()"),
        ("hash-form", "HttpString's SHA-1 was in another form than lower-case hex", "StringToSign's third line is lower-case hex.",
         "hashlib.sha1(http_string).hexdigest()"),
        ("string-to-sign-form", "StringToSign has other lines", "It is sha1, KeyTime and the hash, a line each.", 'f"sha1\\n{key_time}\\n{digest}\\n"'),
        ("signature-base64", "The signature is in base64", "q-signature is lower-case hex; base64 is what AWS's version 2 and others have.",
         'hmac.new(key, text, "sha1").hexdigest()  # not b64encode(digest)'),
        ("signature-upper-case", "The signature is in upper-case hex", "q-signature is compared as lower-case hex.", "signature.lower()"),
        ("signature-truncated", "The signature was cut off",
         "It has 40 characters. A column of a database, a log's line, an SMS or a copy by hand has cut the URL.",
         "assert len(q_signature) == 40  # where the URL is stored, and where it is read"),
        ("signature-tail", "Something hangs on to the signature",
         "A quote, a bracket, a parameter joined by '?' or a sentence's full stop was taken for a part of the URL.", 'url + "&" + parameter  # not "?"'),
        ("signature-form", "The signature is not of its form", "q-signature is 40 characters of lower-case hex.", 'hmac.new(key, text, "sha1").hexdigest()'),
        ("algorithm", "q-sign-algorithm is not sha1", "It is the only one that COS knows, in lower case.", "q-sign-algorithm=sha1"),
    ),
    "How it is written down": (
        ("form-signed-otherwise", "A form needs the signature of POST /",
         "POST Object is sent to '/', and its key is a field of the form. A signature of PUT or POST with the key as the path is another one.",
         'COS.getAuthorization(SecretId=..., SecretKey=..., Method="post", Key="")'),
        ("policy-form", "The form's policy is not of its form",
         "It is a JSON object with expiration and conditions, in base64.", 'signer.post_policy(key_prefix="avatars/")'),
        ("policy-condition", "The form breaks a condition of its policy",
         "Each condition names a field and its value, or how the value begins. COS refuses a form that differs.",
         'signer.post_policy(key_prefix="avatars/", fields={"acl": "private"})'),
        ("policy-changed", "The policy was not signed as it is sent",
         "StringToSign is the SHA-1 of the policy's JSON as it stands in the form, before base64. A policy that is serialised twice may differ.",
         "form.fields[\"policy\"]  # the text that was signed"),
        ("old-json-api", "It is the signature of COS's old JSON interface",
         "The interface before 2017 (file.myqcloud.com) had one base64 text with a=, b=, k=, e=, t=, r= and f=. Today's XML interface does not take it.",
         "signer.presign(key)"),
        ("html-escaped", "'&amp;' stands where '&' was", "The URL was copied from a page's source, or escaped twice.", "html.unescape(url)"),
        ("cut-url", "The URL was cut at its first '&'", "A shell ends a command at an '&' that stands outside quotes.", "curl 'https://...'  # in single quotes"),
        ("quoted-url", "Quotes, brackets or punctuation around it were taken for a part of it",
         "Markdown, mail programs and chat windows do so.", 'url.strip("<>\\"\'")'),
        ("wrapped-url", "The URL was broken into lines", "Mail programs and terminals wrap long lines; base64 tools do so at 76 characters.", '"".join(url.split())'),
        ("signature-encoded-twice", "The signature's fields are percent-encoded twice",
         "Something encoded a URL that was encoded: ';' is %253B, and COS reads %3B.", "requests.get(url)  # as it is: no quote(url), no encodeURI(url)"),
        ("url-encoded-whole", "The URL is percent-encoded as a whole", "It was the value of another URL's parameter, and was not decoded.", "urllib.parse.unquote(url)"),
        ("question-mark", "The query does not begin with one '?'", "The signature was appended to a URL that had a query by a second '?', or to one that had none by '&'.",
         'url + ("&" if "?" in url else "?") + authorization'),
        ("sign-not-encoded", "The value of 'sign' is not percent-encoded",
         "An Authorization in the URL's parameter 'sign' must be percent-encoded as a whole.", 'url + "?sign=" + urllib.parse.quote(authorization, safe="")'),
        ("authorization-encoded", "The Authorization header is percent-encoded", "Its values stand in it as they are: ';', not %3B.",
         'headers={"Authorization": signer.authorization("GET", key)}'),
        ("authorization-scheme", "The Authorization has a word before the signature", "COS's has no scheme: no Bearer, no quotes.",
         'headers={"Authorization": "q-sign-algorithm=sha1&..."}'),
        ("signed-twice", "There are two signatures", "A client signs requests whose URL is signed already. COS does not document which of two signatures it takes.", "requests.get(url)  # without auth="),
        ("field-missing", "A field of the signature is missing", "There are seven, and all must be there, even where a list is empty.", "...&q-header-list=&q-url-param-list=&q-signature=..."),
        ("field-doubled", "A field of the signature is there twice", "A URL that was signed was signed again.", "signer.object_url(key)  # sign the bare URL"),
        ("no-signature", "The request has no signature", "The URL was never signed, or a client or a redirect dropped the Authorization. COS answers AccessDenied unless "
         "the object is public.", "signer.presign(key)"),
        ("aws-sigv4", "It is signed by AWS's Signature Version 4",
         "boto3 and the AWS SDKs sign so. COS takes it on its S3-compatible interface; cossign cannot check it.",
         'Signer(Credentials(...), bucket="examplebucket-1250000000", region="ap-beijing").presign(key)'),
        ("aws-sigv2", "It is signed by AWS's Signature Version 2", "It has AWSAccessKeyId, Signature and Expires. COS does not take it.", "signer.presign(key)"),
        ("other-service", "It is signed for another service", "OSS, OBS, Google, Azure and Tencent Cloud's API 3.0 have signatures of their own.",
         "signer.presign(key)"),
    ),
    AFTER: (
        ("access-denied", "A permission refuses the request",
         "AccessDenied usually comes from a permission: of the user or role, of temporary keys (their policy), of the bucket (policy, ACL, hotlink "
         "protection) or of the network. COS also sends it if the request lacks a signature or a token.",
         "# allow name/cos:GetObject on qcs::cos:<region>:uid/<APPID>:<bucket>/<key>"),
        ("cors-refused", "The bucket's CORS rules refuse the page's request",
         "A browser asks by OPTIONS first. The bucket needs a rule with the page's origin, the method and the headers. The signature plays no part.",
         "coscli cors --method put cos://<bucket> --local cors.json"),
        ("no-such-key", "The object does not exist",
         "No object has this key. The key was encoded twice, has another case, or has a blank or a slash too many; or the object is in another bucket.",
         "coscli ls cos://<bucket>/<prefix>"),
        ("no-such-bucket", "The bucket does not exist here", "The name, the APPID or the region is wrong.",
         'Signer(credentials, bucket="examplebucket-1250000000", region="ap-beijing")'),
        ("object-archived", "The object is archived", "Objects of the classes ARCHIVE and DEEP_ARCHIVE must be restored before they are read.",
         "coscli restore cos://<bucket>/<key>"),
        ("form-refused", "COS does not take the form", "The form's parts, their order, the policy or the file's size are not as COS wants them.",
         "# multipart/form-data, all fields before the file, and `file` last"),
        ("request-refused", "COS refuses the request for another reason", "The answer's code says which.", "# see the code in the documents of COS"),
        ("service-trouble", "The service failed, or has too many requests", "This has nothing to do with the signature.",
         "# try again later, with growing pauses"),
    ),
}  # fmt: skip

CATALOGUE: dict[str, Cause] = {
    code: Cause(code, title, why, fix, group) for group, causes in _GROUPS.items() for code, title, why, fix in causes
}

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
    for group in _GROUPS:
        lines += [f"## {group}", ""]
        for cause in CATALOGUE.values():
            if cause.group == group:
                lines += [entry(cause.code)]
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

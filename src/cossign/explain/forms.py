"""How a signature is written down: damaged URLs, fields that are not of their form, entries that are missing."""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from cossign._core import encode_component
from cossign._verify import sent_host
from cossign.explain.causes.cause import Clues
from cossign.explain.findings import Sureness
from cossign.explain.reading import Form, Request, sent_bytes
from cossign.explain.steps import Entry, Pairs, Times, percent_decode, show
from cossign.key_time import KeyTime

FIELDS = (
    "q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature",
)  # fmt: skip
_NAMES = frozenset(name.encode() for name in FIELDS)


class Evidence(NamedTuple):
    """A cause that the request itself shows, without recomputing.

    Attributes:
        code: the cause's, in the catalogue.
        detail: what is the matter with this request.
        sureness: "evident" if the text excludes everything else; otherwise "possible".
    """

    code: str
    detail: str
    sureness: Sureness = "evident"


class Reading(NamedTuple):
    """A request, taken apart.

    Attributes:
        fields: the signature's, as far as they are there.
        signature: q-signature in lower-case hex, perhaps cut: what a recomputed one must begin with.
        method, path: decoded, as a verifier sees them.
        host: from the Host header or the URL, or "".
        params, headers: all entries but for the signature's own.
        raw_path, raw_query, fragment: as they were written.
        token: x-cos-security-token, or None.
        evidence: what is wrong by its form alone.
        place: the signature is in the "URL", in its "sign" parameter, in the "Authorization", or in a "form".
        has_all_headers: whether all headers are known that were sent.
        form: the form that it sends, if it is shown.
    """

    fields: dict[str, bytes]
    signature: bytes
    method: bytes
    path: bytes
    host: bytes
    params: tuple[Entry, ...]
    headers: tuple[Entry, ...]
    raw_path: bytes
    raw_query: bytes
    fragment: bytes
    token: bytes | None
    evidence: tuple[Evidence, ...]
    place: str
    has_all_headers: bool
    form: Form | None

    def times(self) -> Times:
        """q-key-time and q-sign-time."""
        return Times(show(self.fields.get("q-key-time", b"")), show(self.fields.get("q-sign-time", b"")))

    def secret_id(self) -> str:
        """q-ak."""
        return show(self.fields.get("q-ak", b""))


# --- Damaged text -----------------------------------------------------------------------------------------------------


def _unescape(url: str) -> str:
    return html.unescape(url) if re.search(r"&(amp|#0*38|#x0*26);", url, re.I) else url


# A pasted text may be long: a pattern here takes a time in proportion to its length, for any content.

_MAX_REPAIRED_TWICE = 4096  # characters of a URL that two repairs at once are tried on
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))


def _strip_quotes(url: str) -> str:
    return url.lstrip(_BLANKS + "<\"'([`\u201c").rstrip(_BLANKS + ">\"')]`.,;\u201d\u3002\uff0c")


def _unwrap(url: str) -> str:
    return re.sub(r"\\?\s+", _unwrap_run, url)


def _unwrap_run(run: re.Match[str]) -> str:
    """What stays of a run of blanks, maybe behind a backslash: none at '&' or '=', or from a line's end on."""
    slash, blanks = run[0][: run[0][0] == "\\"], run[0].lstrip("\\")
    before, after = run.string[max(0, run.start() - 1) : run.start()], run.string[run.end() : run.end() + 1]
    if after in ("&", "=") or (before in ("&", "=") and not slash):
        return "" if blanks[0] in "\r\n\t" else slash
    kept_blanks = re.split(r"[\r\n\t]", blanks, maxsplit=1)[0]
    return slash + kept_blanks if kept_blanks or len(kept_blanks) == len(blanks) else ""


def _decode_whole(url: str) -> str:
    lower = url.lower()
    _, mark, query = lower.partition("%3f")
    is_encoded = mark and (query.startswith("q-sign") or "%3fq-sign" in query or "%26q-sign" in query)
    return unquote(url) if is_encoded or re.match(r"https?%3a", lower) else url


def _decode_query(url: str) -> str:
    path, mark, query = url.partition("?")
    return path + mark + unquote(query) if re.search(r"(?i)q-(sign|key)-time(=|%3d)[0-9]+%25(25)*3b", query) else url


def _decode_names(url: str) -> str:
    path, mark, query = url.partition("?")
    return (
        path + mark + unquote(query)
        if re.search(r"(?i)(^|&)q-ak%3d|%26q-ak%3d", query) and "sign=" not in query
        else url
    )


def _encode_hash(url: str) -> str:
    """With the '#' of a key percent-encoded: a signature stands behind it, which no fragment has."""
    path, mark, rest = url.partition("#")
    key, question, query = rest.partition("?")
    is_cut = mark and question and re.search(r"(?i)(^|&)(q-sign|sign=)", query) and "?" not in path
    return path + "%23" + key.replace("#", "%23") + question + query if is_cut else url


def _encode_question_mark(url: str) -> str:
    """With the '?' of a key percent-encoded: what stands before the next '?' is not a parameter."""
    match = re.match(r"([^?#]*)\?([^?=&]*)\?(?=(?:[^?]*&)?(?:q-sign|sign=))", url)
    return f"{match[1]}%3F{match[2]}?{url[match.end() :]}" if match else url


def _fix_question_mark(url: str) -> str:
    """With one question mark, where there were none or two."""
    if "?" not in url.partition("q-sign-algorithm=")[0]:
        return re.sub(r"[&;]?q-sign-algorithm=", "?q-sign-algorithm=", url, count=1)
    path, mark, query = url.partition("?")
    return path + mark + re.sub(r"\?(?=q-sign-algorithm=)", "&", query)


def _strip_scheme(authorization: str) -> str:
    return re.sub(r"^(?i:authorization:)?\s*(?:[A-Za-z]+\s+)?(?=q-)", "", authorization).strip("\"' ")


def _decode_authorization(authorization: str) -> str:
    is_encoded = re.search(r"(?i)q-(sign|key)-time=[0-9]+%3b|q-ak%3d", authorization)
    return unquote(authorization) if is_encoded else authorization


def _remove_blanks(authorization: str) -> str:
    return "".join(authorization.split())


_REPAIRS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("url-edited", "the URL has '&amp;' where it had '&'", _unescape),
    ("url-edited", "the URL has quotes, brackets or punctuation around it that are not its own", _strip_quotes),
    ("url-edited", "the URL was broken into lines, or has blanks in it", _unwrap),
    ("url-edited", "the whole URL, or its query with '&' and '=', is percent-encoded", _decode_whole),
    ("url-encoded-again", "the signature's fields are percent-encoded twice: ';' is %253B", _decode_query),
    ("url-edited", "the query's '&' and '=' are percent-encoded", _decode_names),
    ("url-cuts-key", "the key's '#' is not percent-encoded, so what follows it is not sent", _encode_hash),
    ("url-cuts-key", "the key's '?' is not percent-encoded, so the key ends there", _encode_question_mark),
    ("question-mark", "the query does not begin with one '?', and continue with '&'", _fix_question_mark),
)


def repair_request(request: Request) -> Iterator[tuple[Request, tuple[Evidence, ...]]]:
    """The request as it is, and as it may have been before its text was damaged: with one repair, or two."""
    yield request, ()
    first_repairs = []
    for repair in _REPAIRS:
        url = repair[2](request.url)
        if url != request.url:
            first_repairs.append((repair, url))
            yield request._replace(url=url), (Evidence(*repair[:2]),)
    for first_repair, url in first_repairs if len(request.url) <= _MAX_REPAIRED_TWICE else ():
        for repair in _REPAIRS:
            second_url = repair[2](url)
            if second_url != url and repair[0] != first_repair[0]:
                yield request._replace(url=second_url), (Evidence(*first_repair[:2]), Evidence(*repair[:2]))
    authorization = next((value for name, value in request.headers if name.lower() == "authorization"), None)
    if authorization is not None:
        for change, code, detail in (
            (_strip_scheme, "authorization-form", "the Authorization has a word or quotes before q-sign-algorithm"),
            (_decode_authorization, "authorization-form", "the Authorization is percent-encoded, as only URLs are"),
            (_remove_blanks, "url-edited", "the Authorization was broken into lines, or has blanks in it"),
            (_unescape, "url-edited", "the Authorization has '&amp;' where it had '&'"),
        ):
            new_value = change(authorization)
            if new_value != authorization:
                headers = [
                    (name, new_value if name.lower() == "authorization" else value) for name, value in request.headers
                ]
                yield request._replace(headers=tuple(headers)), (Evidence(code, detail),)


# --- Taken apart ------------------------------------------------------------------------------------------------------


def _split(url: str) -> tuple[str, str, str, str]:
    """(host, path, query, fragment) of a URL or a request's target."""
    url, _, fragment = url.partition("#")
    rest, _, query = url.partition("?")
    origin = re.match(r"(?i)https?://[^/]*", rest)
    if not origin:
        return "", rest or "/", query, fragment
    host = sent_host(url.encode("utf-8", "replace").decode())
    return host, rest[origin.end() :] or "/", query, fragment


def written_host(url: str) -> str:
    """The host as a URL has it, in its own letters; "" if it has none."""
    return _split(url)[0]


def _parts(query: str) -> list[tuple[str, Entry]]:
    """Each part of a query as it is written, and decoded."""
    parts = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            parts.append((part, (percent_decode(sent_bytes(name), True), percent_decode(sent_bytes(value), True))))
    return parts


def take_apart(request: Request) -> Reading:
    """A request's parts and fields, read as leniently as can be."""
    host, path, query, fragment = _split(request.url)
    parts = _parts(query)
    if request.source == "URL":
        host = host.lower()  # as clients send it
    host, headers, authorization = _headers(request, host)
    form_signature = None if request.form is None else request.form.value("signature")
    own_entries, params, place, evidence = _own_fields(parts, authorization, form_signature)
    if place == "form" and request.form is not None:  # fields of a form stand for headers
        names = {name.lower() for name, _ in headers}
        headers += [
            (sent_bytes(name), sent_bytes(value))
            for name, value in request.form.fields
            if name.lower() not in ("signature", "key") and sent_bytes(name).lower() not in names
        ]
    token = next((value for name, value in (*params, *headers) if name.lower() == b"x-cos-security-token"), None)
    raw_query = "&".join(text for text, entry in parts if entry[0].lower() not in _NAMES)
    fields, doubts = _fields(own_entries)
    evidence += doubts
    others = {name.lower() for name, _ in (*params, *headers)}
    if not any(each.code == "other-service" for each in evidence):
        evidence += _missing_fields(fields, others, authorization, request)
    signature, forms = _signature(fields.get("q-signature", b""))
    evidence += [*forms, *_times(fields)]
    if fields.get("q-sign-algorithm", b"sha1") != b"sha1":
        evidence.append(
            Evidence("algorithm", f"q-sign-algorithm is {show(fields['q-sign-algorithm'])!r}, and must be 'sha1'")
        )
    method = sent_bytes((request.method or "GET").lower())
    return Reading(
        fields,
        signature,
        method,
        percent_decode(sent_bytes(path)),
        sent_bytes(host),
        params,
        tuple(headers),
        sent_bytes(path),
        sent_bytes(raw_query),
        sent_bytes(fragment),
        token,
        tuple(dict.fromkeys(evidence)),
        place,
        request.has_all_headers,
        request.form,
    )


def _headers(request: Request, host: str) -> tuple[str, list[Entry], str | None]:
    """The Host, all headers but Authorization, with a Host among them, and the Authorization."""
    headers: list[Entry] = []
    authorization = None
    for name, text in request.headers:
        if name.lower() == "host":
            host = text
        if name.lower() == "authorization":
            authorization = text
        else:
            headers.append((sent_bytes(name), sent_bytes(text)))
    if host and not any(name.lower() == b"host" for name, _ in headers):
        headers.insert(0, (b"host", sent_bytes(host)))
    return host, headers, authorization


def _fields(own_entries: list[Entry]) -> tuple[dict[str, bytes], list[Evidence]]:
    """The signature's fields, the first of each, and what is there more often."""
    fields: dict[str, bytes] = {}
    doubled_names = []
    is_same = True
    for name, value in own_entries:
        field = name.lower().decode("latin-1")
        if name.lower() not in _NAMES:
            continue
        if field in fields:
            doubled_names.append(field)
            is_same = is_same and fields[field] == value
        fields.setdefault(field, value)
    if not doubled_names:
        return fields, []
    if is_same:
        detail = f"twice or more in the request, with the same value: {', '.join(dict.fromkeys(doubled_names))}"
        return fields, [Evidence("signed-twice", detail, "possible")]
    return fields, [
        Evidence("signed-twice", f"twice or more in the request: {', '.join(dict.fromkeys(doubled_names))}")
    ]


def _own_fields(
    parts: list[tuple[str, Entry]], authorization: str | None, form_signature: str | None
) -> tuple[list[Entry], tuple[Entry, ...], str, list[Evidence]]:
    """The signature's fields, the other parameters, where the fields were, and what is evident of that."""
    evidence: list[Evidence] = []
    own_entries = [entry for _, entry in parts if entry[0].lower() in _NAMES]
    params = tuple(entry for _, entry in parts if entry[0].lower() not in _NAMES)
    signs = [value for name, value in params if name.lower() == b"sign"]
    sign = next((value for value in signs if b"q-sign" in value), signs[0] if signs else None)
    place = "URL"
    if sign is not None and re.match(rb"(?i)q-sign-algorithm%(25)*3d", sign):
        while re.match(rb"(?i)q-sign-algorithm%(25)*3d", sign):
            sign = percent_decode(sign)
        evidence.append(Evidence("url-encoded-again", "the value of the parameter 'sign' is encoded twice"))
    has_header = authorization is not None and "q-sign" in authorization
    if sign is not None and b"q-sign" in sign:
        params = tuple(entry for entry in params if entry[0].lower() != b"sign")
        own_names = [name.lower() for name, _ in own_entries]
        if not own_entries:
            place = "sign"
            if len(signs) > 1:
                evidence.append(Evidence("signed-twice", "the parameter 'sign' is there twice"))
            own_entries = [_pair(part) for part in sign.split(b"&")]
        elif b"q-sign-algorithm" not in own_names and b"&" not in sign:
            evidence.append(
                Evidence(
                    "authorization-form",
                    "the value of the parameter 'sign' is not percent-encoded, so its '&' cut it apart",
                )
            )
            own_entries.append((b"q-sign-algorithm", sign.partition(b"=")[2]))
        else:
            detail = "the URL has q- parameters, which are judged here, and the parameter 'sign'"
            evidence.append(Evidence("signed-twice", detail, "possible"))
    elif not own_entries and has_header:
        place = "Authorization"
        own_entries = [_pair(part) for part in sent_bytes(authorization or "").split(b"&")]
    elif not own_entries and form_signature is not None:
        place = "form"
        own_entries = [_pair(part) for part in sent_bytes(form_signature).split(b"&")]
    elif not own_entries and authorization is not None:
        place = "Authorization"
        own_entries = [_pair(part) for part in sent_bytes(authorization).split(b"&")]
    if own_entries and place in ("URL", "sign") and has_header:
        detail = "the request has a signature in its URL, which is judged here, and another in its Authorization"
        evidence.append(Evidence("signed-twice", detail, "possible"))
    old_signature = sign if sign is not None else sent_bytes(authorization or "")
    if not any(name.lower() in _NAMES for name, _ in own_entries) and _is_of_json_api(old_signature):
        evidence.append(
            Evidence("other-service", "it is the signature of the JSON API: base64 of a=, b=, k=, e=, t=, r=")
        )
    return own_entries, params, place, evidence


def _is_of_json_api(text: bytes) -> bool:
    """Whether it is base64 of an HMAC-SHA1's 20 bytes and the fields of COS's first interface."""
    try:
        data = b64decode(text.replace(b" ", b"+") + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(data) > 20 and all(re.search(rb"(^|&)%c=" % name, data[20:]) for name in b"aketr")


def _pair(part: bytes) -> Entry:
    name, _, value = part.partition(b"=")
    return name.strip(), value


_OTHER_SERVICES: tuple[tuple[str, str, str, tuple[bytes, ...]], ...] = (
    ("aws-sigv4", "it is signed by AWS's Signature Version 4", "AWS4-HMAC-SHA256 ", (b"x-amz-signature",)),
    ("other-service", "it is signed by AWS's Signature Version 2", "AWS ", (b"awsaccesskeyid",)),
    ("other-service", "it is signed for Alibaba Cloud's OSS", "OSS", (b"ossaccesskeyid",)),
    ("other-service", "it is signed for Alibaba Cloud's OSS", "OSS", (b"x-oss-signature",)),
    ("other-service", "it is signed for Huawei Cloud's OBS", "OBS ", (b"x-obs-signature",)),
    ("other-service", "it is signed for Huawei Cloud's OBS", "OBS ", (b"accesskeyid", b"signature", b"expires")),
    ("other-service", "it is signed for Google Cloud Storage", "GOOG", (b"x-goog-signature",)),
    ("other-service", "it has the shared access signature of Azure", "SharedKey ", (b"sig", b"sv", b"se")),
    ("other-service", "it is signed for Tencent Cloud's API 3.0, which is not COS", "TC3-HMAC-SHA256 ", ()),
)  # fmt: skip


def _missing_fields(
    fields: dict[str, bytes], others: set[bytes], authorization: str | None, request: Request
) -> Iterator[Evidence]:
    """Fields that are not there, and what is there instead."""
    missing_names = [name for name in FIELDS if name not in fields]
    if not missing_names:
        return
    for code, detail, scheme, names in _OTHER_SERVICES:
        if (authorization or "").startswith(scheme) or (names and not fields and others >= set(names)):
            yield Evidence(code, detail)
            return
    names_text = f"{', '.join(missing_names)} {'is' if len(missing_names) == 1 else 'are'} missing"
    query = request.url.partition("?")[2]
    if not fields:
        if request.is_form and request.form is None:
            detail = "the URL and the headers have none; a form has its signature in its body, which is not shown here"
            yield Evidence("no-signature", detail, "possible")
        else:
            place = "URL, headers or form" if request.form else "URL or headers" if request.has_all_headers else "URL"
            sureness: Sureness = "evident" if request.has_all_headers else "possible"
            yield Evidence("no-signature", f"there is no signature in its {place}", sureness)
    elif tuple(fields) == FIELDS[:1] and "&" not in query and authorization is None:
        yield Evidence("cut-url", f"the URL ends at its first '&': {names_text}")
    else:
        yield Evidence("field-missing", names_text)


def _signature(value: bytes) -> tuple[bytes, list[Evidence]]:
    """q-signature as lower-case hex, and what is wrong with its form."""
    if not value or re.fullmatch(rb"[0-9a-f]{40}", value):
        return value, []
    bare_value = value.strip(b" \t\r\n\"'")
    if re.fullmatch(rb"[0-9a-fA-F]{40}", bare_value):
        if bare_value != bare_value.lower():
            return bare_value.lower(), [Evidence("signature-form", "q-signature is in upper-case hex")]
        return bare_value, [Evidence("url-edited", "q-signature has blanks or quotes around it")]
    if re.fullmatch(rb"[0-9a-fA-F]{64}", bare_value):
        return bare_value.lower(), [
            Evidence("hash-differs", "q-signature has 64 hex characters, as SHA-256 gives: SHA-1 gives 40")
        ]
    if re.fullmatch(rb"[0-9a-f]{32}", bare_value):
        detail = "q-signature has 32 hex characters, not 40: the URL was cut, or it is an MD5"
        return bare_value, [Evidence("signature-truncated", detail, "possible")]
    if re.fullmatch(rb"[0-9a-f]{1,39}", bare_value):
        return bare_value, [
            Evidence(
                "signature-truncated", f"q-signature has {len(bare_value)} hex characters, not 40: the URL was cut"
            )
        ]
    base64_text = bare_value.replace(b" ", b"+")
    if re.fullmatch(rb"[A-Za-z0-9+/_-]{27,28}=?", base64_text):
        decode = urlsafe_b64decode if re.search(rb"[-_]", base64_text) else b64decode
        try:
            digest = decode(base64_text.rstrip(b"=") + b"=")
        except (binascii.Error, ValueError):
            digest = b""
        if len(digest) == 20:
            return digest.hex().encode(), [
                Evidence("signature-form", "q-signature is in base64, not in lower-case hex")
            ]
    beginning = re.match(rb"[0-9a-f]{40}(?![0-9a-fA-F])", bare_value)
    if beginning:
        rest = bare_value[40:]
        return beginning[0], [
            Evidence("url-edited", f"q-signature has {len(rest)} more characters after its 40: {show(rest[:20])!r}")
        ]
    return b"", [Evidence("signature-form", f"q-signature is not 40 hex digits: it has {len(value)} characters")]


def _times(fields: dict[str, bytes]) -> Iterator[Evidence]:
    """What is wrong with the form of KeyTime."""
    if "q-key-time" not in fields and "q-sign-time" not in fields:
        return
    seen_values = set()
    for field in ("q-sign-time", "q-key-time"):
        value = fields.get(field)
        if value is None or value in seen_values:
            continue
        seen_values.add(value)
        span = KeyTime.read(value.decode("latin-1"))
        if span is None:
            yield Evidence("key-time-form", f"{field} must be '<start>;<end>' in Unix seconds, not {show(value)!r}")
        elif all(10**12 <= each < 10**13 for each in span):
            yield Evidence("milliseconds", f"{field} is in milliseconds, not in seconds: {show(value)}")
        elif span[0] > span[1]:
            yield Evidence("key-time-form", f"{field} ends before it begins: {show(value)}")


# --- What the lists name ----------------------------------------------------------------------------------------------


class Selection(NamedTuple):
    """What the lists choose from a request.

    Attributes:
        params, headers: the signed entries that are there.
        unsent: (kind, name) of those that are not, the name decoded.
        unlisted_params, unlisted_headers: entries that no list names.
        evident: what is wrong with that.
    """

    params: Pairs
    headers: Pairs
    unsent_names: tuple[tuple[str, bytes], ...]
    unlisted_params: tuple[Entry, ...]
    unlisted_headers: tuple[Entry, ...]
    evidence: tuple[Evidence, ...]


def select_entries(reading: Reading) -> Selection:
    """What q-url-param-list and q-header-list choose."""
    evidence: list[Evidence] = []
    unsent_names: list[tuple[str, bytes]] = []
    selections: list[tuple[Entry, ...]] = []
    rest: list[tuple[Entry, ...]] = []
    for kind, field, request_entries in (
        ("parameter", "q-url-param-list", reading.params),
        ("header", "q-header-list", reading.headers),
    ):
        names = [name for name in reading.fields.get(field, b"").split(b";") if name]
        request_names = {encode_component(name).lower(): name for name, _ in request_entries}
        wanted_counts: dict[bytes, int] = {}
        for name in names:
            lower = name.lower()
            if lower not in request_names and encode_component(name).lower() in request_names:
                lower = encode_component(name).lower()
                evidence.append(
                    Evidence("list-decoded", f"{field} has {show(name)!r}, which must stand there percent-encoded")
                )
            wanted_counts[lower] = wanted_counts.get(lower, 0) + 1
        entries = [(encode_component(name).lower(), (name, value)) for name, value in request_entries]
        counts: dict[bytes, int] = {}
        for lower, _ in entries:
            counts[lower] = counts.get(lower, 0) + 1
        for name, count in wanted_counts.items():
            sent_count = counts.get(name, 0)
            if not sent_count:
                unsent_names.append((kind, percent_decode(name)))
                evidence.append(_missing_entry(reading, kind, field, name))
            elif sent_count != count:
                evidence.append(
                    Evidence(
                        "sent-twice",
                        f"the {kind} {show(name)!r} was signed {_say_count(count)}, and is there "
                        f"{_say_count(sent_count)}",
                    )
                )
        remaining_counts = dict(wanted_counts)  # of an entry that is there more often, only the first is taken
        signed_entries = []
        for lower, entry in entries:
            if remaining_counts.get(lower, 0):
                remaining_counts[lower] -= 1
                signed_entries.append(entry)
        selections.append(tuple(signed_entries))
        rest.append(tuple(entry for lower, entry in entries if lower not in wanted_counts))
    pairs = Pairs(selections[0], "parameter"), Pairs(selections[1], "header")
    return Selection(*pairs, tuple(unsent_names), rest[0], rest[1], tuple(evidence))


def name_hint(method: bytes, name: bytes) -> str:
    """What those want who sign Content-Disposition for a download; "" for other headers."""
    if name != b"content-disposition" or method != b"get":
        return ""
    return ". For a download's name, sign the parameter response-content-disposition, which is then a part of the URL"


def _missing_entry(reading: Reading, kind: str, field: str, name: bytes) -> Evidence:
    """A signed header or parameter that is not there; a bare URL does not show which headers are sent with it."""
    text, hint = f"{field} names {show(name)!r}", name_hint(reading.method, name)
    if kind == "header" and not reading.has_all_headers:
        detail = f"{text}: send this header with its signed value. To check it, give it here (-H, headers=){hint}"
        return Evidence("header-missing", detail, "possible")
    return Evidence(f"{kind}-missing", f"{text}, and the request has no such {kind}{hint}")


def _say_count(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def clues_of(reading: Reading, selection: Selection, **facts: object) -> Clues:
    """What a search may look at beside the signed entries."""
    return Clues(
        secret_id=reading.secret_id(),
        raw_path=reading.raw_path,
        raw_query=reading.raw_query,
        fragment=reading.fragment,
        unlisted_params=selection.unlisted_params,
        unlisted_headers=selection.unlisted_headers,
        **facts,  # type: ignore[arg-type]
    )

"""Reading a request from a URL, curl's output or command, HAR, raw HTTP, or a line of a log."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from cossign.errors import ParameterError

MAX_CHARACTERS = 1 << 20  # characters of a request or an answer: more is refused before it is looked at
_MAX_URL_CHARACTERS = 1 << 18  # characters of a URL and its headers: no server takes so many
_REQUEST_LINE = re.compile(r"([A-Za-z]+) (\S.*?)(?: HTTP/[0-9.]+)?")
_LOG_LINE = re.compile(r'"([A-Z]+) (\S+) HTTP/[0-9.]+"')
_MAX_URLS = 20  # URLs in a text, among which the signed one is looked for
# A URL with all of a signature, which other words may stand around.
_WHOLE_URL = re.compile(
    r"https?://[^\s\"'<>`\\)\]]+?[?&]q-sign-algorithm=sha1&[^\s\"'<>`\\)\]]*?q-signature=[0-9a-f]{40}(?![0-9A-Za-z%])"
    r"(?:&[^\s\"'<>`\\)\]]*[^\s\"'<>`\\)\].,;:!])?"
    r"(?:#[^\s\"'<>`\\)\]]*)?"
)
_SIGNATURE_MARKS = ("q-sign", "q-ak=", "q-signature", "sign=", "x-amz-", "awsaccesskeyid", "signature=")


class Form(NamedTuple):
    """A form of multipart/form-data, as POST Object takes it.

    Attributes:
        fields: (name, value) pairs in their order, without the file.
        size: the file's size in bytes, or None if the text does not show the file.
        filename: the file's name, or None.
    """

    fields: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    filename: str | None = None

    def value(self, name: str) -> str | None:
        """The value of a field, whose name may be in any case; None if it is not there."""
        return next((value for each, value in self.fields if each.lower() == name.lower()), None)


class Request(NamedTuple):
    """A request as it was written or sent.

    Attributes:
        method: as it was told, or None if nobody said.
        url: an absolute URL, or a target that begins with "/".
        headers: (name, value) pairs in their order.
        source: the kind of input.
        error: the answer's XML, if it stands beside the request.
        form: its body, if that is a form and the text shows it.
    """

    method: str | None
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    source: str = "URL"
    error: str | None = None
    form: Form | None = None

    @property
    def has_all_headers(self) -> bool:
        """Whether the text shows the headers that were sent: a URL and a log's line do not, and curl adds its own."""
        return self.source not in ("URL", "log line", "curl command") or (self.source == "URL" and bool(self.headers))

    @property
    def is_form(self) -> bool:
        """Whether it sends a form, shown or not."""
        content_type = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return self.form is not None or content_type.lower().startswith("multipart/form-data")


def sent_bytes(text: str) -> bytes:
    """The bytes of a request's or an answer's text. Bytes that are not UTF-8 have become surrogates in the text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other surrogates, as JSON can hold them
        return text.encode("utf-8", "surrogatepass")


def read(text: str, method: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> Request:
    """The request that a text tells of.

    Args:
        text: a URL; or what curl -v, a browser ("Copy as cURL", HAR), a server's log or the wire shows.
        method: the method, which overrides the text.
        headers: more headers; those of the same name are replaced.

    Raises:
        ParameterError: it is none of these, or it is too long.
    """
    if not isinstance(text, str):
        raise ParameterError("request", f"must be a str, not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise ParameterError("request", f"has more than {MAX_CHARACTERS:,} characters: give one request alone")
    if "\0" in text:
        raise ParameterError("request", "must not hold NUL")
    request = _read(text.strip().lstrip("\ufeff"))
    if len(request.url) + sum(len(value) for _, value in request.headers) > _MAX_URL_CHARACTERS:
        raise ParameterError(
            "request", f"has a URL and headers of more than {_MAX_URL_CHARACTERS:,} characters: no server takes it"
        )
    if method is not None:
        request = request._replace(method=method)
    if headers:
        replaced_names = {name.lower() for name, _ in headers}
        kept_pairs = [pair for pair in request.headers if pair[0].lower() not in replaced_names]
        request = request._replace(headers=(*kept_pairs, *headers))
    return request


def _read(text: str) -> Request:
    if (text.startswith("{") and text.endswith("}")) or (text.startswith("[") and text.endswith("]")):
        return _har(text)
    text = text.replace("\\u0026", "&")  # as Go, Java and JSON print it
    if command := _CURL.match(text):
        return _curl_command(text[command.end() :])
    lines = re.split(r"\r?\n", text)
    sent_lines = [line[2:] for line in lines if line.startswith("> ")]
    request_line = _REQUEST_LINE.fullmatch(lines[0].rstrip()) if lines else None
    if request_line and " HTTP/" in lines[0]:
        request = _choose_request(list(_blocks(lines)), "raw HTTP", xml_error_in(text))
        body = re.split(r"\r?\n\r?\n", text, maxsplit=1)[1:]
        return request._replace(form=_multipart(request.headers, body[0])) if body else request
    if sent_lines:
        return _choose_request(list(_blocks(sent_lines)), "curl -v", xml_error_in(text))
    if re.match(":(method|path|authority|scheme):", lines[0]):
        return _choose_request(list(_blocks(lines)), "HTTP/2", xml_error_in(text))
    log_lines = [_LOG_LINE.search(line) for line in lines if line.strip()]
    if log_lines and all(log_lines):
        return _log_line([match for match in log_lines if match])
    if re.match(r"(?i)(authorization:|q-sign-algorithm=)", text):
        raise ParameterError("request", "is an Authorization alone: give the URL, and it as a header")
    is_short = text.count("://") <= _MAX_URLS and text.count("q-sign-algorithm") <= _MAX_URLS
    whole_urls = dict.fromkeys(_WHOLE_URL.findall(text) if is_short else ())
    if len(whole_urls) == 1 and re.search(r"\w", text.replace(next(iter(whole_urls)), "")):  # words around it
        return Request(None, next(iter(whole_urls)), (), "URL")
    if re.match(r"(?i)[<\"'(\s]*(https?(://|%3a%2f%2f)|/)", text) or "q-sign-algorithm" in text:
        return Request(None, text, (), "URL")
    raise ParameterError(
        "request",
        "is not in a known form: give a URL, the output of curl -v, a HAR entry, raw HTTP or a log's line",
    )


def _log_line(matches: list[re.Match[str]]) -> Request:
    """The last line of a log that has a signature."""
    signed_matches = [match for match in matches if any(mark in match[2].lower() for mark in _SIGNATURE_MARKS)]
    line = (signed_matches or matches)[-1]
    target = re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda escape: bytes.fromhex(escape[1].decode()), sent_bytes(line[2]))
    return Request(line[1], target.decode("utf-8", "surrogateescape"), (), "log line")


def _blocks(lines: list[str]) -> Any:
    """The requests among lines: each a request line, or HTTP/2's fields for it, and its headers."""
    method = target = None
    headers: list[tuple[str, str]] = []
    for line in lines:
        request_line = _REQUEST_LINE.fullmatch(line.rstrip())
        if request_line and " HTTP/" in line:
            if target is not None:
                yield method, target, tuple(headers)
            method, target, headers = request_line[1], request_line[2], []
        elif line.startswith(":"):
            name, _, value = line[1:].partition(":")
            if name == "authority":
                headers.append(("Host", value.strip()))
            elif name == "method":
                method = value.strip()
            elif name == "path":
                target = value.strip()
        elif not line.strip():
            if target is not None:
                yield method, target, tuple(headers)
            target = None
        elif target is not None and line[0] in " \t" and headers:  # a header that goes on
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
        elif target is not None:
            name, colon, value = line.partition(":")
            if colon and name and " " not in name:
                headers.append((name, value.strip()))
    if target is not None:
        yield method, target, tuple(headers)


def _choose_request(blocks: list[Any], source: str, error: str | None) -> Request:
    """The last request that has a signature; of a transcript with redirects there are several."""
    if not blocks:
        raise ParameterError("request", f"holds no request: {source} was expected to show one")

    def is_signed(block: Any) -> bool:
        text = (block[1] + " ".join(value for name, value in block[2] if name.lower() == "authorization")).lower()
        return any(mark in text for mark in _SIGNATURE_MARKS)

    method, url, headers = next((block for block in reversed(blocks) if is_signed(block)), blocks[-1])
    return Request(method, url, headers, source, error)


def _multipart(headers: tuple[tuple[str, str], ...], body: str) -> Form | None:
    """The form that a body holds; None if it holds none. What stands behind the file is not read, as COS does not."""
    content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
    boundary = re.match(r"(?i)multipart/form-data\s*;.*?boundary=(?:\"([^\"]+)\"|([^\s;]+))", content_type)
    if boundary is None:
        return None
    end = "\r\n" if "\r\n" in body else "\n"
    mark = re.escape(boundary[1] or boundary[2])
    fields: list[tuple[str, str]] = []
    for part in re.split(rf"(?:^|\r?\n)--{mark}(?:--)?[ \t]*(?=\r?\n|$)", body)[1:]:
        head, blank, value = part.removeprefix(end).partition(end * 2)
        disposition = re.search(r"(?im)^content-disposition:(.*)$", head)
        if disposition is None or not blank:
            continue
        words = dict(re.findall(r';\s*(\w+)=(?:"((?:[^"\\]|\\.)*)"|[^;\s]*)', disposition[1]))
        name = words.get("name") or (re.search(r"[;\s]name=([^;\"\s]+)", disposition[1]) or ["", ""])[1]
        if "filename" in words or name.lower() == "file":
            size = len(sent_bytes(value)) or None  # a browser leaves out the file's bytes where it copies a request
            return Form(tuple(fields), size, words.get("filename", "").replace("%22", '"') or None)
        if name:
            fields.append((name, value))
    return Form(tuple(fields)) if fields else None


def _har_form(request: dict[str, object], headers: tuple[tuple[str, str], ...]) -> Form | None:
    """The form of a HAR entry: its parameters, or its text."""
    data = request.get("postData")
    if not isinstance(data, dict):
        return None
    fields, filename = [], None
    params = data.get("params")
    for each in params if isinstance(params, list) else []:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        if isinstance(each.get("fileName"), str):
            filename = each["fileName"]
        elif isinstance(each.get("value"), str) and each["name"].lower() != "file":
            fields.append((each["name"], each["value"]))
    kind = data.get("mimeType")
    if fields and isinstance(kind, str) and kind.lower().startswith("multipart/form-data"):
        return Form(tuple(fields), None, filename)
    text = data.get("text")
    return _multipart((*headers, ("content-type", str(kind))), text) if isinstance(text, str) else None


def _har(text: str) -> Request:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ParameterError("request", "is not valid JSON: a HAR file or entry was expected") from None
    log = data.get("log") if isinstance(data, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else data if isinstance(data, list) else [data]
    entries = entries if isinstance(entries, list) else []
    blocks, errors, forms = [], {}, {}
    for entry in entries:
        request = entry.get("request", entry) if isinstance(entry, dict) else None
        if not isinstance(request, dict) or not isinstance(request.get("url"), str):
            continue
        header_list = request.get("headers")
        headers = tuple(
            (each["name"], each["value"])
            for each in (header_list if isinstance(header_list, list) else [])
            if isinstance(each, dict)
            and isinstance(each.get("name"), str)
            and isinstance(each.get("value"), str)
            and not each["name"].startswith(":")
        )
        method = request.get("method")
        if method == "OPTIONS" and len(entries) > 1:  # a browser's question before the request
            continue
        blocks.append((method if isinstance(method, str) else None, request["url"], headers))
        forms[blocks[-1]] = _har_form(request, headers)
        with contextlib.suppress(LookupError, TypeError):
            if entry["response"].get("status", 403) >= 300:
                errors[blocks[-1]] = xml_error_in(entry["response"]["content"]["text"])
    if not blocks:
        raise ParameterError("request", "is JSON without a request: a HAR file or entry was expected")
    signed = [block for block in blocks if (form := forms[block]) and (form.value("signature") or form.value("policy"))]
    chosen_request = _choose_request(signed or blocks, "HAR", None)
    block = (chosen_request.method, chosen_request.url, chosen_request.headers)
    return chosen_request._replace(error=errors.get(block), form=forms.get(block))


_CURL = re.compile(r"(?:[$#>%] *)?(?:(?:sudo|time|nohup) +)*(?:[^\s'\"]*[/\\])?curl(?:\.exe)?\s", re.IGNORECASE)
_ANSI_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s'"\\]|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+""", re.DOTALL)
_WORD_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""", re.DOTALL)
# curl's options that take a value: the letters, and the long ones.
_VALUE_LETTERS = frozenset("AbcCdDeEFhHKmoPQrtTuUwxXyYz")
_VALUE_OPTIONS = frozenset([
    "abstract-unix-socket", "alt-svc", "aws-sigv4", "cacert", "capath", "cert", "cert-type", "ciphers", "config",
    "connect-timeout", "connect-to", "continue-at", "cookie", "cookie-jar", "create-file-mode", "crlfile", "curves",
    "data", "data-ascii", "data-binary", "data-raw", "data-urlencode", "delegation", "dns-interface", "dns-ipv4-addr",
    "dns-ipv6-addr", "dns-servers", "doh-url", "dump-header", "egd-file", "engine", "etag-compare", "etag-save",
    "expect100-timeout", "form", "form-string", "ftp-account", "ftp-method", "ftp-port", "happy-eyeballs-timeout-ms",
    "haproxy-clientip", "header", "hostpubmd5", "hostpubsha256", "hsts", "interface", "ip-tos", "ipfs-gateway",
    "json", "keepalive-cnt", "keepalive-time", "key", "key-type", "krb", "libcurl", "limit-rate", "local-port",
    "login-options", "mail-auth", "mail-from", "mail-rcpt", "max-filesize", "max-redirs", "max-time", "netrc-file",
    "noproxy", "output", "output-dir", "parallel-max", "pass", "pinnedpubkey", "preproxy", "proto", "proto-default",
    "proto-redir", "proxy", "proxy-cacert", "proxy-capath", "proxy-cert", "proxy-cert-type", "proxy-ciphers",
    "proxy-header", "proxy-key", "proxy-key-type", "proxy-pass", "proxy-pinnedpubkey", "proxy-tls13-ciphers",
    "proxy-user", "proxy1.0", "pubkey", "quote", "random-file", "range", "rate", "referer", "request",
    "request-target", "resolve", "retry", "retry-delay", "retry-max-time", "sasl-authzid", "service-name", "socks4",
    "socks4a", "socks5", "socks5-hostname", "speed-limit", "speed-time", "stderr", "telnet-option", "tftp-blksize",
    "time-cond", "tls-max", "tls13-ciphers", "tlsauthtype", "tlspassword", "tlsuser", "trace", "trace-ascii",
    "trace-config", "unix-socket", "upload-file", "url", "url-query", "user", "user-agent", "variable",
    "vlan-priority", "write-out",
])  # fmt: skip
_SHORT_NAMES = {
    "A": "user-agent", "b": "cookie", "d": "data", "e": "referer", "F": "form", "H": "header", "r": "range",
    "T": "upload-file", "X": "request", "I": "head", "G": "get",
}  # fmt: skip
_HEADER_OPTIONS = {"user-agent": "User-Agent", "cookie": "Cookie", "referer": "Referer"}


def _curl_options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option's long name and value, and the addresses, whose name is "url"."""
    rest = iter(words)
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            yield name, value if equals else (next(rest, "") if name in _VALUE_OPTIONS else "")
        elif word.startswith("-") and len(word) > 1:
            for at, letter in enumerate(word[1:], 2):
                name = _SHORT_NAMES.get(letter, letter)
                if letter in _VALUE_LETTERS:
                    yield name, word[at:] or next(rest, "")
                    break
                yield name, ""
        else:
            yield "url", word


def _curl_command(text: str) -> Request:
    """A command line of curl, as browsers copy it, for a POSIX shell or for Windows."""
    if re.search(r'\^[\^"&]', text):  # for cmd.exe
        text = re.sub(r"\^(\r?\n|.)", lambda each: "" if each[1][-1] == "\n" else each[1], text, flags=re.DOTALL)
    method, url = None, None
    headers: list[tuple[str, str]] = []
    fields: list[tuple[str, str]] = []
    data: list[str] = []
    flags: set[str] = set()
    filename = None
    for name, value in _curl_options(_shell_words(text)):
        flags.add(name)
        if name == "request":
            method = value
        elif name == "header":
            field, _, content = value.partition(":")
            headers.append((field, content.strip()))
        elif name in _HEADER_OPTIONS:
            headers.append((_HEADER_OPTIONS[name], value))
        elif name == "range":
            headers.append(("Range", f"bytes={value}"))
        elif name in ("form", "form-string"):
            field, _, content = value.partition("=")
            if name == "form" and content[:1] in ("@", "<"):
                filename = content[1:].partition(";")[0].replace("\\", "/").rpartition("/")[2]
            else:
                fields.append((field, content if name == "form-string" else _form_value(content)))
        elif name.startswith("data") or name in ("json", "url-query"):
            data.append(_encoded_data(value) if name in ("data-urlencode", "url-query") else value)
        elif name == "url" and value:
            url = url or value
    if not url:
        raise ParameterError("request", "is a curl command without a URL")
    if not re.match(r"(?i)https?(://|%3a)", url):
        url = f"http://{url}"
    if flags & {"get", "url-query"} and data:
        url += ("&" if "?" in url else "?") + "&".join(data)
        data = [] if "url-query" not in flags else data
    has_body = bool(fields or (data and not flags & {"get", "url-query"}) or flags & {"form"})
    usual_method = "HEAD" if "head" in flags else "PUT" if "upload-file" in flags else "POST" if has_body else "GET"
    names = {name.lower() for name, _ in headers}
    if has_body and not fields and "content-type" not in names:
        kind = "application/json" if "json" in flags else "application/x-www-form-urlencoded"
        headers.append(("Content-Type", kind))
    if "accept" not in names:
        headers.append(("Accept", "application/json" if "json" in flags else "*/*"))
    form = Form(tuple(fields), None, filename) if fields else _multipart(tuple(headers), "&".join(data))
    return Request(method or usual_method, url, tuple(headers), "curl command", None, form)


def _encoded_data(value: str) -> str:
    """A value of --data-urlencode: what stands behind the first '=' is encoded."""
    name, equals, content = value.partition("=")
    return f"{name}={quote(content, safe='')}" if equals and name else quote(content if equals else value, safe="")


def _shell_words(text: str) -> list[str]:
    """The words of a command line, without their quotes. It takes a time in proportion to the text's length."""
    text = _ANSI_QUOTED.sub(lambda each: shlex.quote(_unescape(each[1])), text)
    text = re.sub(r"\\\r?\n", " ", text)
    words, end = [], 0
    for match in _WORD.finditer(text):
        if text[end : match.start()].strip():
            break
        end = match.end()
        words.append("".join(_unquoted(part) for part in _WORD_PART.finditer(match[0])))
    if text[end:].strip():
        raise ParameterError("request", "is a curl command whose quotes do not end")
    return words


def _unquoted(part: re.Match[str]) -> str:
    if part[2] is not None:
        return re.sub(r'\\(["\\$`])', r"\1", part[2])
    return part[1] if part[1] is not None else part[3] if part[3] is not None else part[4]


def _unescape(text: str) -> str:
    """What a shell makes of the text in $'...'."""
    escapes = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(
        r"\\(?:u([0-9a-fA-F]{1,4})|x([0-9a-fA-F]{2})|(.))",
        lambda each: chr(int(each[1] or each[2], 16)) if each[1] or each[2] else escapes.get(each[3], each[3]),
        text,
        flags=re.DOTALL,
    )


def _form_value(text: str) -> str:
    """A field's value as curl's -F takes it: in quotes or not, without the type and the name behind it."""
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:].rpartition('"')[0] or text[1:])
    return re.sub(r";(type|filename|headers|encoder)=.*", "", text)


def xml_error_in(text: str) -> str | None:
    """COS's answer, where it stands within a longer text; the last one, if there are several."""
    end = text.rfind("</Error>")
    start = text.rfind("<Error", 0, max(0, end))
    while start >= 0 and text[start + 6] not in "> \t\r\n":  # <Errors>
        start = text.rfind("<Error", 0, start)
    return text[start : end + 8] if start >= 0 else None

"""What the user has, read as a request: a URL, curl's output or command, HAR, raw HTTP, a log line."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from typing import Any, NamedTuple

from cossign.errors import ParameterError

MAX_CHARACTERS = 1 << 20  # characters of a request or an answer: more is refused before it is looked at
_MAX_URL_CHARACTERS = 1 << 18  # characters of a URL and its headers: no server takes so many
_REQUEST_LINE = re.compile(r"([A-Za-z]+) (\S.*?)(?: HTTP/[0-9.]+)?")
_LOG_LINE = re.compile(r'"([A-Z]+) (\S+) HTTP/[0-9.]+"')
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
        source: what it was read from.
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
        """Whether the text shows the headers that were sent: a URL and a log's line do not."""
        return self.source not in ("URL", "log line") or bool(self.headers)

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
        method: what it is, whatever the text says.
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
    if text.startswith("{") and text.endswith("}"):
        return _har(text)
    if re.match(r"\$? *curl\s", text):
        return _curl_command(text.lstrip("$ "))
    lines = text.splitlines()
    sent_lines = [line[2:] for line in lines if line.startswith("> ")]
    if sent_lines:
        return _choose_request(list(_blocks(sent_lines, text)), "curl -v", xml_error_in(text))
    log_line = _LOG_LINE.search(text)
    if log_line and len(lines) == 1:
        target = re.sub(
            rb"\\x([0-9A-Fa-f]{2})", lambda escape: bytes.fromhex(escape[1].decode()), sent_bytes(log_line[2])
        )
        return Request(log_line[1], target.decode("utf-8", "surrogateescape"), (), "log line")
    request_line = _REQUEST_LINE.fullmatch(lines[0].rstrip()) if lines else None
    if request_line and " HTTP/" in lines[0]:
        request = _choose_request(list(_blocks(lines, text)), "raw HTTP", xml_error_in(text))
        body = re.split(r"\r?\n\r?\n", text, maxsplit=1)[1:]
        return request._replace(form=_multipart(request.headers, body[0])) if body else request
    if re.match(r"(?i)(authorization:|q-sign-algorithm=)", text):
        raise ParameterError("request", "is an Authorization alone: give the URL, and it as a header")
    if re.match(r"(?i)[<\"'(\s]*(https?(://|%3a%2f%2f)|/)", text) or "q-sign-algorithm" in text:
        return Request(None, text, (), "URL")
    raise ParameterError(
        "request",
        "is not in a known form: give a URL, the output of curl -v, a HAR entry, raw HTTP or a log's line",
    )


def _blocks(lines: list[str], text: str) -> Any:
    """The requests among lines: each a request line and its headers."""
    method = target = None
    headers: list[tuple[str, str]] = []
    for line in lines:
        request_line = _REQUEST_LINE.fullmatch(line.rstrip())
        if request_line and " HTTP/" in line:
            if target is not None:
                yield method, target, tuple(headers)
            method, target, headers = request_line[1], request_line[2], []
        elif not line.strip():
            if target is not None:
                yield method, target, tuple(headers)
            target = None
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
    """The form that a body holds; None if it holds none."""
    content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
    boundary = re.match(r"(?i)multipart/form-data\s*;.*?boundary=\"?([^\";]+)", content_type)
    if boundary is None:
        return None
    fields: list[tuple[str, str]] = []
    size = filename = None
    for part in body.split(f"--{boundary[1].strip()}")[1:]:
        head, blank, value = re.sub("\r\n", "\n", part).removeprefix("\n").partition("\n\n")
        name = re.search(r"(?i)^content-disposition:[^\n]*?;\s*name=\"?([^\";\n]*)", head, re.MULTILINE)
        if not name or not blank:
            continue
        sent_name = re.search(r"(?i)^content-disposition:[^\n]*?;\s*filename=\"?([^\";\n]*)", head, re.MULTILINE)
        if sent_name or name[1].lower() == "file":
            filename = sent_name[1] if sent_name else None
            size = len(sent_bytes(part.partition("\r\n\r\n")[2].removesuffix("\r\n"))) if "\r\n" in part else None
        else:
            fields.append((name[1], value.removesuffix("\n")))
    return Form(tuple(fields), size, filename) if fields else None


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
        raise ParameterError("request", "begins like JSON and is none: a HAR file or entry was expected") from None
    log = data.get("log")
    entries = log.get("entries") if isinstance(log, dict) else [data]
    blocks, errors, forms = [], {}, {}
    for entry in entries if isinstance(entries, list) else []:
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
        blocks.append((method if isinstance(method, str) else None, request["url"], headers))
        forms[blocks[-1]] = _har_form(request, headers)
        with contextlib.suppress(LookupError, TypeError):
            errors[blocks[-1]] = xml_error_in(entry["response"]["content"]["text"])
    if not blocks:
        raise ParameterError("request", "is JSON without a request: a HAR file or entry was expected")
    signed = [block for block in blocks if (form := forms[block]) and (form.value("signature") or form.value("policy"))]
    chosen_request = _choose_request(signed or blocks, "HAR", None)
    block = (chosen_request.method, chosen_request.url, chosen_request.headers)
    return chosen_request._replace(error=errors.get(block), form=forms.get(block))


def _curl_command(text: str) -> Request:
    """A command line of curl, as browsers copy it; its quotes are those of a POSIX shell."""
    try:
        words = shlex.split(text.replace("\\\n", " "))[1:]
    except ValueError as error:
        raise ParameterError("request", f"is a curl command whose quotes do not end: {error}") from None
    method, url, body, head, content = None, None, False, False, None
    headers: list[tuple[str, str]] = []
    fields: list[tuple[str, str]] = []
    rest = iter(words)
    for word in rest:
        if word in ("-X", "--request"):
            method = next(rest, None)
        elif word in ("-H", "--header"):
            name, _, value = next(rest, "").partition(":")
            headers.append((name, value.strip()))
        elif word in ("-I", "--head"):
            head = True
        elif word in ("-F", "--form", "--form-string"):
            name, _, value = next(rest, "").partition("=")
            if word == "--form-string" or not value.startswith(("@", "<")):
                fields.append((name, value if word == "--form-string" else _form_value(value)))
            body = True
        elif re.match(r"(-d|--data.*)$", word):
            content = next(rest, None)
            body = content is not None
        elif word in ("-T", "--upload-file"):
            method, _ = method or "PUT", next(rest, None)
        elif word in (
            "-o",
            "--output",
            "-u",
            "--user",
            "-A",
            "--user-agent",
            "-b",
            "--cookie",
            "-e",
            "--referer",
            "-x",
        ):
            next(rest, None)
        elif word == "--url":
            url = next(rest, None)
        elif not word.startswith("-"):
            url = url or word
    if not url:
        raise ParameterError("request", "is a curl command without a URL")
    form = Form(tuple(fields)) if fields else _multipart(tuple(headers), _unquote_ansi(content or ""))
    return Request(
        method or ("HEAD" if head else "POST" if body else "GET"), url, tuple(headers), "curl command", None, form
    )


def _unquote_ansi(text: str) -> str:
    """What a shell makes of $'...', in which browsers copy a body; `text` has lost its quotes already."""
    if not text.startswith("$"):
        return text
    escapes = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.))",
        lambda each: chr(int(each[1], 16)) if each[1] else escapes.get(each[2], each[2]),
        text[1:],
        flags=re.DOTALL,
    )


def _form_value(text: str) -> str:
    """A field's value as curl's -F takes it: in quotes or not, without the type and the name behind it."""
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:].rpartition('"')[0] or text[1:])
    return re.sub(r";(type|filename|headers|encoder)=.*", "", text)


def xml_error_in(text: str) -> str | None:
    """COS's answer, where it stands within a longer text."""
    start, end = re.search(r"<Error[\s>]", text), text.rfind("</Error>")
    return text[start.start() : end + 8] if start and start.start() < end else None

"""What the user has, read as a request: a URL, curl's output or command, HAR, raw HTTP, a log line; and the answer."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from typing import Any, NamedTuple
from xml.parsers import expat

from cossign.errors import ParameterError

MAX_CHARACTERS = 1 << 20  # characters of a request or an answer: more is refused before it is looked at
_MAX_URL_CHARACTERS = 1 << 18  # characters of a URL and its headers: no server takes so many
_MAX_DEPTH = 16  # elements within elements
_REQUEST_LINE = re.compile(r"([A-Za-z]+) (\S.*?)(?: HTTP/[0-9.]+)?")
_LOG_LINE = re.compile(r'"([A-Z]+) (\S+) HTTP/[0-9.]+"')
_SIGNATURE_MARKS = ("q-sign", "q-ak=", "q-signature", "sign=", "x-amz-", "awsaccesskeyid", "signature=")


class Request(NamedTuple):
    """A request as it was written or sent.

    Attributes:
        method: as it was told, or None if nobody said.
        url: an absolute URL, or a target that begins with "/".
        headers: (name, value) pairs in their order.
        source: what it was read from.
        error: the answer's XML, if it stands beside the request.
    """

    method: str | None
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    source: str = "URL"
    error: str | None = None


class ServiceError(NamedTuple):
    """What COS says it computed from the request as it received it.

    Attributes:
        code: such as ``SignatureDoesNotMatch``.
        message: what stands beside it.
        string_to_sign, format_string: StringToSign and HttpString, or None.
    """

    code: str
    message: str
    string_to_sign: str | None
    format_string: str | None


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
        return _choose_request(list(_blocks(sent_lines, text)), "curl -v", _xml_in(text))
    log_line = _LOG_LINE.search(text)
    if log_line and len(lines) == 1:
        target = re.sub(
            rb"\\x([0-9A-Fa-f]{2})", lambda escape: bytes.fromhex(escape[1].decode()), sent_bytes(log_line[2])
        )
        return Request(log_line[1], target.decode("utf-8", "surrogateescape"), (), "log line")
    request_line = _REQUEST_LINE.fullmatch(lines[0].rstrip()) if lines else None
    if request_line and " HTTP/" in lines[0]:
        return _choose_request(list(_blocks(lines, text)), "raw HTTP", _xml_in(text))
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


def _har(text: str) -> Request:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ParameterError("request", "begins like JSON and is none: a HAR file or entry was expected") from None
    log = data.get("log")
    entries = log.get("entries") if isinstance(log, dict) else [data]
    blocks, errors = [], {}
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
        with contextlib.suppress(LookupError, TypeError):
            errors[blocks[-1]] = _xml_in(entry["response"]["content"]["text"])
    if not blocks:
        raise ParameterError("request", "is JSON without a request: a HAR file or entry was expected")
    chosen_request = _choose_request(blocks, "HAR", None)
    return chosen_request._replace(
        error=errors.get((chosen_request.method, chosen_request.url, chosen_request.headers))
    )


def _curl_command(text: str) -> Request:
    """A command line of curl, as browsers copy it; its quotes are those of a POSIX shell."""
    try:
        words = shlex.split(text.replace("\\\n", " "))[1:]
    except ValueError as error:
        raise ParameterError("request", f"is a curl command whose quotes do not end: {error}") from None
    method, url, body, head = None, None, False, False
    headers: list[tuple[str, str]] = []
    rest = iter(words)
    for word in rest:
        if word in ("-X", "--request"):
            method = next(rest, None)
        elif word in ("-H", "--header"):
            name, _, value = next(rest, "").partition(":")
            headers.append((name, value.strip()))
        elif word in ("-I", "--head"):
            head = True
        elif re.match(r"(-d|--data.*|-F|--form.*)$", word):
            body = next(rest, None) is not None
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
    return Request(method or ("HEAD" if head else "POST" if body else "GET"), url, tuple(headers), "curl command")


def _xml_in(text: str) -> str | None:
    """COS's answer, where it stands within a longer text."""
    start, end = text.find("<Error>"), text.rfind("</Error>")
    return text[start : end + 8] if 0 <= start < end else None


def read_error(text: str) -> ServiceError:
    """COS's answer, from its XML; or from a log that shows it as a literal with backslashes.

    Raises:
        ParameterError: it is no such XML, is too long, too deep, or declares a document type or entities.
    """
    if not isinstance(text, str):
        raise ParameterError("error", f"must be a str, not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise ParameterError("error", f"has more than {MAX_CHARACTERS:,} characters: it is not an answer of COS")
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise ParameterError("error", "declares a document type or entities: COS's answers do not")
    xml = _xml_in(text)
    if xml is None:
        raise ParameterError("error", "has no <Error> element: give the body of COS's answer")
    if "\n" not in xml and "\\n" in xml:
        xml = xml.replace("\\n", "\n").replace('\\"', '"')
    fields: dict[str, str] = {}
    names: list[str] = []

    def start(name: str, attributes: Any) -> None:
        names.append(name)
        if len(names) > _MAX_DEPTH:
            raise ParameterError("error", "has elements within elements within elements: COS's answers do not")

    def end(name: str) -> None:
        names.pop()

    def data(text: str) -> None:
        if len(names) == 2:
            fields[names[1]] = fields.get(names[1], "") + text

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    parser.buffer_text = True
    try:  # COS has '&' as it is in FormatString
        xml = re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);)", "&amp;", xml)
        parser.Parse(sent_bytes(xml), True)
    except expat.ExpatError as error:
        raise ParameterError("error", f"is not valid XML: {error}") from None
    return ServiceError(
        fields.get("Code", "").strip(),
        fields.get("Message", "").strip(),
        fields.get("StringToSign"),
        fields.get("FormatString"),
    )

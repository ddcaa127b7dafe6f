"""The service's answer, from its XML, from JSON as the SDKs print it, or from a log's line."""

from __future__ import annotations

import ast
import base64
import binascii
import calendar
import hashlib
import html
import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.parsers import expat

from cossign.errors import ParameterError
from cossign.explain.codes import MEANINGS, Meaning
from cossign.explain.reading import MAX_CHARACTERS, sent_bytes, xml_error_in

_MAX_DEPTH = 16  # elements within elements
_MAX_LITERAL = 1 << 16  # characters of a Python dict
_HASH = re.compile("[0-9a-f]{40}")
_HTTP_STRING = re.compile(r"[A-Za-z]+\n/.*\n[^\n]*\n[^\n]*\n", re.DOTALL)
_ODD_HTTP_STRING = re.compile(r"[^\n \t]*\n(?:[^ \t].*)?\n[^\n \t]*\n[^\n \t]*\n", re.DOTALL)  # without method, path

_CODE = re.compile(r"(?<![A-Za-z])(" + "|".join(sorted(MEANINGS, key=len, reverse=True)) + r")(?![A-Za-z])")
# Codes where they are named as such: in XML that was cut, by an SDK, after an HTTP status.
_NAMED_CODE = re.compile(
    r"(?:<Code>|[Ee]rror[ _]?[Cc]ode[\"']?\s*[:=]\s*[\"']?|\b[Cc]ode[\"']?\s*[:=]\s*[\"']?|\b[345][0-9][0-9] )"
    + _CODE.pattern
)
_PLACES = re.compile(r"https?://\S+|(?<![\w.])/\S+")  # addresses and paths, in which a code means nothing
# Fields as iOS prints them, and as Node does: 'a' + 'b' over several lines.
_NAMES = ("Code", "Message", "StringToSign", "FormatString", "ServerTime", "RequestId")
_NAME = re.compile(r"(?:(?<=\{)|(?<=, )|(?<=,\n)|(?<=,\n )|(?<=,\n  )|(?<=,\n    ))([A-Za-z_]+)=")
_STRING = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`)"
_QUOTED = re.compile(rf"(?s)\b({'|'.join(_NAMES)}):\s*({_STRING}(?:\s*\+\s*{_STRING})*)")
_EXPIRED = re.compile(r"Request has expired\.?|You post object request has been expired.*", re.DOTALL)
_TIME_NOW = re.compile("time now ?: ?([0-9]{10})")


class Answer(NamedTuple):
    """What COS answered.

    Attributes:
        code: such as ``SignatureDoesNotMatch``; "" if it has none.
        message: what stands beside it.
        string_to_sign, format_string: StringToSign and HttpString as the service computed them, or None.
        server_time: the service's clock, in Unix seconds, or None.
    """

    code: str
    message: str = ""
    string_to_sign: str | None = None
    format_string: str | None = None
    server_time: int | None = None

    @property
    def meaning(self) -> Meaning | None:
        """What the code means, or what AccessDenied's message says instead; None if the code is not documented."""
        if self.code == "AccessDenied":
            if _EXPIRED.fullmatch(self.message):
                return MEANINGS["Request has expired"]
            if "Condition key" in self.message:
                return Meaning("after", "policy-condition", f"the form breaks its policy: {self.message}")
            return MEANINGS.get(self.message.strip(" ."), MEANINGS["AccessDenied"])
        return MEANINGS.get(self.code)


def read_answer(text: str) -> Answer:
    """COS's answer.

    Args:
        text: its XML, in any indentation, alone or within a log; JSON or a Python dict, as the SDKs print it; or a
            line with one of the documented codes.

    Raises:
        ParameterError: it is none of these, is too long or too deep, or declares a document type or entities.

    >>> read_answer("<Error>\\n  <Code>NoSuchKey</Code>\\n</Error>").code
    'NoSuchKey'
    >>> read_answer('{"code": "AccessDenied", "statusCode": 403}').code
    'AccessDenied'
    """
    if not isinstance(text, str):
        raise ParameterError("error", f"must be a str, not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise ParameterError("error", f"has more than {MAX_CHARACTERS:,} characters: it is not an answer of COS")
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise ParameterError("error", "declares a document type or entities: COS's answers do not")
    xml = xml_error_in(text)
    if xml is None and "&lt;Error" in text:
        xml = xml_error_in(html.unescape(text))
    if xml is not None:
        return _answer(_xml_fields(xml))
    fields = _literal_fields(text) or _printed_fields(text)
    if fields is not None:
        return _answer(fields)
    named_codes = dict.fromkeys(_NAMED_CODE.findall(text)) or dict.fromkeys(_CODE.findall(_PLACES.sub(" ", text)))
    named_codes.pop("Redirect", None)  # a word of many logs
    if len(named_codes) == 1:
        return Answer(next(iter(named_codes)), text.strip()[:500])
    if "SignatureDoesNotMatch" in named_codes:
        return Answer("SignatureDoesNotMatch", text.strip()[:500])
    what = (
        f"names {len(named_codes)} codes: {', '.join(named_codes)}"
        if named_codes
        else ("has no <Error> element, no JSON with a code, and no documented code of COS")
    )
    raise ParameterError("error", f"{what}: give the answer's body")


def _answer(fields: dict[str, str]) -> Answer:
    string_to_sign = _without_indent(fields.get("stringtosign"))
    message = fields.get("message", "").strip()
    now = _TIME_NOW.search(message)
    return Answer(
        fields.get("code", "").strip(),
        message,
        string_to_sign,
        _format_string(fields.get("formatstring"), string_to_sign or ""),
        int(now[1]) if now else _instant(fields.get("servertime", "")) or _time_of_request(fields.get("requestid", "")),
    )


def _time_of_request(request_id: str) -> int | None:
    """The instant in a RequestId, which is base64 of hex numbers that begin with Unix seconds."""
    try:
        match = re.match(rb"([0-9a-f]{8})_", base64.b64decode(request_id.strip(), validate=True))
    except (binascii.Error, ValueError):
        return None
    return int(match[1], 16) if match else None


# --- XML --------------------------------------------------------------------------------------------------------------


def _xml_fields(xml: str) -> dict[str, str]:
    """The elements of <Error>, their names in lower case."""
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
            name = names[1].lower()
            fields[name] = fields.get(name, "") + text

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    parser.buffer_text = True
    try:  # COS has '&' as it is in FormatString
        pieces = re.split(r"(<!\[CDATA\[.*?\]\]>)", xml, flags=re.DOTALL)
        pieces[::2] = [
            re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);)", "&amp;", piece) for piece in pieces[::2]
        ]
        xml = "".join(pieces)
        parser.Parse(sent_bytes(xml), True)
    except expat.ExpatError as error:
        raise ParameterError("error", f"is not valid XML: {error}") from None
    return fields


def _without_indent(text: str | None) -> str | None:
    """StringToSign without the blanks that a printer of XML has put before its lines."""
    if text is None:
        return None
    lines = [line.strip(" \t\r") for line in text.strip().split("\n")]
    return "\n".join(lines) + "\n" if any(lines) else None


def _format_string(text: str | None, string_to_sign: str) -> str | None:
    """HttpString as the service computed it; None if a printer has changed it beyond what can be undone for sure.

    StringToSign has its SHA-1, by which each way to undo the printer's work is judged.
    """
    if text is None:
        return None
    candidates = list(_unprinted(text))
    digest = _HASH.search(string_to_sign)
    for candidate in candidates:
        if digest and hashlib.sha1(sent_bytes(candidate)).hexdigest() == digest[0]:  # noqa: S324
            return candidate
    if digest:  # of another text: a logger has cut it, or changed its blanks
        return None
    return next(
        (each for form in (_HTTP_STRING, _ODD_HTTP_STRING) for each in candidates if form.fullmatch(each)), None
    )


def _unprinted(text: str) -> Iterator[str]:
    """What may have been FormatString before a printer indented its lines, or dropped empty ones."""
    yield text
    yield text.lstrip("\n")
    yield html.unescape(text)
    lines = [line.strip(" \t\r") for line in text.strip(" \t\r\n").split("\n")]
    yield "\n".join(lines) + "\n"
    full_lines = [line for line in lines if line]
    if len(full_lines) == 2:
        yield "\n".join((*full_lines, "", "", ""))
    elif len(full_lines) == 3:
        method, path, pairs = full_lines
        places = [f"{method}\n{path}\n\n{pairs}\n", f"{method}\n{path}\n{pairs}\n\n"]
        yield from places if re.search("(^|&)host=", pairs) else places[::-1]
    elif len(full_lines) == 4:
        yield "\n".join((*full_lines, ""))


def _instant(text: str) -> int | None:
    """A time such as 2026-01-31T12:00:00Z, in Unix seconds."""
    match = re.match(r"\s*(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?\s*(?:Z|GMT|UTC)?\s*$", text)
    if match:
        try:
            return calendar.timegm(time.strptime(f"{match[1]} {match[2]}", "%Y-%m-%d %H:%M:%S"))
        except ValueError:
            return None
    return int(text) if re.fullmatch(r"\s*[0-9]{10}\s*", text) else None


# --- JSON, and what a program prints ----------------------------------------------------------------------------------


def _literal_fields(text: str) -> dict[str, str] | None:
    """The fields of the JSON, or of the Python dict, that a text holds; None if it holds none."""
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        return None
    literal = text[start : end + 1]
    value: Any = None
    try:
        value = json.loads(literal, strict=False)
    except (ValueError, RecursionError):
        if len(literal) <= _MAX_LITERAL:
            try:
                value = ast.literal_eval(literal)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                return None
    fields: dict[str, str] = {}
    for each in _dicts(value):
        xml = next((xml_error_in(text) for text in each.values() if isinstance(text, str) and "<Error" in text), None)
        if xml is not None:
            return _xml_fields(xml)
        strings = {str(name).lower(): str(item) for name, item in each.items() if isinstance(item, (str, int))}
        if "code" not in strings and "errorcode" in strings:
            strings["code"] = strings["errorcode"]
        if strings.get("code", "")[:1].isalpha():
            fields = {**strings, **fields} if "formatstring" in fields else {**fields, **strings}
    return fields if fields.get("code") else None


def _printed_fields(text: str) -> dict[str, str] | None:
    """The fields of what Node or iOS prints of an error; None if it holds none."""
    fields: dict[str, str] = {}
    text = text[:_MAX_LITERAL]
    _, is_ios, inner = text.partition("UserInfo={")
    if is_ios:
        inner = "{" + inner.rpartition("}")[0]
        names = list(_NAME.finditer(inner))
        for match, following in itertools.zip_longest(names, names[1:]):
            value = inner[match.end() : len(inner) if following is None else following.start()]
            if match[1] in _NAMES:
                fields[match[1].lower()] = value if following is None else value.rstrip().removesuffix(",")
    for name, value in _QUOTED.findall(text):
        try:
            fields[name.lower()] = "".join(ast.literal_eval(f"({each})") for each in re.findall(_STRING, value))
        except (ValueError, SyntaxError):
            continue
    return fields if fields.get("code", "")[:1].isalpha() else None


def _dicts(value: Any) -> Iterator[dict[Any, Any]]:
    """A value's dicts, the outermost first."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        yield from (each for each in level if isinstance(each, dict))
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(inner, (dict, list))
        ]

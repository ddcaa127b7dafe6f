"""The choice of rows: patterns of keys, and conditions on columns."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

from cossign.batch import compute as pc
from cossign.batch.columns import as_strings, dictionary_values, is_text
from cossign.batch.errors import InputError
from cossign.errors import ParameterError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGTP])(i?)B", re.IGNORECASE)
_TIME = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})"
_DATE = re.compile(rf"(\d{{4}}-\d{{2}}-\d{{2}})(?:({_TIME})({_ZONE})?)?")
# What looks like a number, a size or a date, and may mean several things.
_UNCLEAR = re.compile(
    r"[+-]?\.?\d[\d_., ]*(?: ?(?:[kmgtp]i?b?|b|bytes?))?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:\D.*)?|[+-]?\.?\d.*[ ,].*",
    re.IGNORECASE,
)
_EXAMPLES = (
    "write a condition as Size>=1MiB, Size<5000, LastModifiedDate>=2026-01-31, IsLatest=true, StorageClass=STANDARD, "
    'or with quotes, Owner="a = b", for any text'
)
_COMPARE = {
    "=": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
_LONGEST_NUMBER = 15  # digits that a float has: with more, texts are compared as they are written


class Value(NamedTuple):
    """What a condition compares with.

    Attributes:
        text: as it is written, without quotes.
        number: the number that it is, in bytes if it has a unit; None if it is not a number.
        dates: the first and the last instant that it means, which differ for a day; None if it is not a date.
        boolean: whether it is true; None if it is neither true nor false.
        is_quoted: whether it has quotes, and so is a text.
    """

    text: str
    number: Decimal | None = None
    dates: tuple[datetime.datetime, datetime.datetime] | None = None
    boolean: bool | None = None
    is_quoted: bool = False

    @classmethod
    def parse(cls, text: str) -> Value | None:
        """What a text means; None if that is not certain."""
        quoted_match = re.fullmatch(r"""(["'])(.*)\1""", text, re.DOTALL)
        if quoted_match:
            return cls(quoted_match[2], is_quoted=True)
        if re.fullmatch(_NUMBER, text):
            return cls(text, number=Decimal(text))
        if size_match := _SIZE.fullmatch(text):
            power = "KMGTP".index(size_match[2].upper()) + 1
            return cls(text, number=Decimal(size_match[1]) * (1024 if size_match[3] else 1000) ** power)
        if date_match := _DATE.fullmatch(text):
            dates = _instants(date_match)
            return None if dates is None else cls(text, dates=dates)
        if text.lower() in ("true", "false"):
            return cls(text, boolean=text.lower() == "true")
        if _UNCLEAR.fullmatch(text) or re.search(r"""[<>=!"']""", text):
            return None  # 1,048,576, 1M and 31/1/2026, or two conditions
        return cls(text)


def _instants(match: re.Match[str]) -> tuple[datetime.datetime, datetime.datetime] | None:
    """The first and the last instant of a date in UTC; None if the calendar has no such day."""
    day, time, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    if ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    fraction = ""
    if time and "." in time:
        time, _, fraction = time.partition(".")
    time = "T00:00:00" if time is None else "T" + time[1:] + (":00" if time.count(":") == 1 else "")
    try:
        first = datetime.datetime.fromisoformat(day + time + zone).astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        return None
    first += datetime.timedelta(microseconds=int((fraction + "000000")[:6]))
    if match[2] is not None:
        return first, first
    return first, first + datetime.timedelta(days=1, microseconds=-1)


class Condition(NamedTuple):
    """``COLUMN<value``, with ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``; see `Job.where`."""

    column: str
    relation: str
    value: Value

    @classmethod
    def parse(cls, text: str) -> Condition:
        """A condition as it is written.

        Raises:
            ParameterError: it is not one.
        """
        match = re.fullmatch(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", text, re.DOTALL)
        value = Value.parse(match[3]) if match else None
        if match is None or value is None:
            raise ParameterError("where", f"{text!r} is not a condition: {_EXAMPLES}")
        plain = value.number is None and value.dates is None
        if match[2] not in ("=", "!=") and plain and not value.is_quoted:
            raise ParameterError("where", f"cannot compare {match[2]} {value.text!r} in {text!r}: {_EXAMPLES}")
        return cls(match[1], match[2], value)

    def holds(self, values: pa.Array) -> pa.Array:
        """For which values it holds; never for a null.

        Raises:
            InputError: the column's type cannot be compared with the value.
        """
        try:
            return self._holds(values)
        except pa.ArrowNotImplementedError:
            raise self._cannot_compare(values.type) from None

    def _holds(self, values: pa.Array) -> pa.Array:
        if pa.types.is_dictionary(values.type):
            values = dictionary_values(values)
        kind = values.type
        if is_text(kind):
            return self._holds_for_texts(as_strings(values))
        if pa.types.is_boolean(kind) and self.value.boolean is not None:
            return getattr(pc, _COMPARE[self.relation])(values, self.value.boolean)
        if (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)) and (
            self.value.number is not None
        ):
            return self._holds_for_numbers(values, self.value.number)
        if (pa.types.is_timestamp(kind) or pa.types.is_date(kind)) and self.value.dates is not None:
            if pa.types.is_date(kind) or kind.tz is None:
                values = values.cast(pa.timestamp("us"), safe=False).cast(pa.timestamp("us", "UTC"))
            return self._holds_for_dates(values.cast(pa.timestamp("us", "UTC"), safe=False), self.value.dates)
        if pa.types.is_null(kind):
            return pa.nulls(len(values), pa.bool_())
        raise self._cannot_compare(kind)

    def _cannot_compare(self, kind: pa.DataType) -> InputError:
        return InputError(
            f"`where`: the column {self.column} holds {kind}, and cannot be compared with {self.value.text!r}"
        )

    def _holds_for_texts(self, values: pa.Array) -> pa.Array:
        value, compare = self.value, getattr(pc, _COMPARE[self.relation])
        if value.boolean is not None:
            return compare(pc.utf8_lower(pc.utf8_trim_whitespace(values)), value.text.lower())
        if value.dates is not None:
            result = self._holds_for_dates(_timestamps(values), value.dates)
            return pc.if_else(pc.and_(pc.is_valid(values), pc.is_null(result)), self.relation == "!=", result)
        if value.number is None or (
            self.relation in ("=", "!=") and len(re.sub(r"\D", "", value.text)) > _LONGEST_NUMBER
        ):
            return compare(values, value.text)
        if len(value.number.as_tuple().digits) > _LONGEST_NUMBER:  # more than a float has
            is_number = pc.match_substring_regex(values, r"^\s*[+-]?\d{1,60}(?:\.\d{1,10})?\s*$")
            decimal = pa.decimal256(76, 10)
            numbers = pc.if_else(is_number, pc.utf8_trim_whitespace(values), None).cast(decimal)
            try:
                return compare(numbers, pa.scalar(value.number, decimal))
            except pa.ArrowInvalid:
                raise ParameterError("where", f"has the number {value.text}, which has too many digits") from None
        is_number = pc.match_substring_regex(values, rf"^\s*{_NUMBER}\s*$")
        numbers = pc.if_else(is_number, pc.utf8_trim_whitespace(values), None).cast(pa.float64())
        result = compare(numbers, float(value.number))
        return pc.if_else(is_number, result, True) if self.relation == "!=" else result

    def _holds_for_numbers(self, values: pa.Array, number: Decimal) -> pa.Array:
        compare = getattr(pc, _COMPARE[self.relation])
        if pa.types.is_decimal(values.type):
            exact = pa.decimal256(76, 38)
            try:
                return compare(values.cast(exact), pa.scalar(number, exact))
            except pa.ArrowInvalid:  # more digits than that
                return compare(values.cast(pa.float64()), float(number))
        if pa.types.is_integer(values.type) and number == number.to_integral_value():
            try:
                return compare(values, pa.scalar(int(number), values.type))
            except (pa.ArrowInvalid, OverflowError):  # a number that the column's type cannot hold
                is_met = {"=": False, "!=": True}.get(self.relation, (number > 0) == (self.relation[0] == "<"))
                return pc.if_else(pc.is_valid(values), is_met, None)
        return compare(values.cast(pa.float64(), safe=False), float(number))

    def _holds_for_dates(self, values: pa.Array, dates: tuple[datetime.datetime, datetime.datetime]) -> pa.Array:
        first, last = (pa.scalar(each, values.type) for each in dates)
        if self.relation in ("=", "!="):
            inside = pc.and_(pc.greater_equal(values, first), pc.less_equal(values, last))
            return inside if self.relation == "=" else pc.invert(inside)
        return getattr(pc, _COMPARE[self.relation])(values, first if self.relation in ("<", ">=") else last)


def _timestamps(values: pa.Array) -> pa.Array:
    """Dates as they are written, in UTC; what is not one is null."""
    kind = pa.timestamp("us", "UTC")
    values = pc.utf8_trim_whitespace(values)
    is_zoned = pc.match_substring_regex(values, rf"^\d{{4}}-\d{{2}}-\d{{2}}{_TIME}{_ZONE}$")
    is_plain = pc.match_substring_regex(values, rf"^\d{{4}}-\d{{2}}-\d{{2}}(?:{_TIME})?$")
    try:
        zoned = pc.if_else(is_zoned, values, None).cast(pa.timestamp("ns", "UTC")).cast(kind, safe=False)
        plain = pc.if_else(is_plain, values, None).cast(pa.timestamp("ns")).cast(pa.timestamp("us"), safe=False)
        return pc.coalesce(zoned, plain.cast(kind))
    except pa.ArrowInvalid:  # a day that the calendar does not have, or one that nanoseconds do not reach
        return pa.array([_timestamp(value) for value in values.to_pylist()], kind)


def _timestamp(text: str | None) -> datetime.datetime | None:
    match = _DATE.fullmatch(text or "")
    instants = _instants(match) if match else None
    return instants[0] if instants else None


def pattern(text: str) -> str:
    """A regular expression (RE2) for a prefix, or for a pattern with ``*``, ``?`` or ``[...]`` of the whole key."""
    if not re.search(r"[*?\[]", text):
        return "(?s)^" + re.escape(text)
    expression = ""
    for piece in re.findall(r"\*+|\?|\[!?\]?[^\]]*\]|.", text, re.DOTALL):
        if piece[0] == "*":
            expression += ".*"
        elif piece == "?":
            expression += "."
        elif piece[0] == "[" and piece not in ("[", "[]", "[!]"):
            inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            expression += "[" + ("^" + inner[1:] if inner[0] == "!" else "\\" * (inner[0] == "^") + inner) + "]"
        else:
            expression += re.escape(piece)
    return f"(?s)^(?:{expression})$"


def any_pattern(name: str, patterns: Sequence[str]) -> str:
    """A regular expression for what any of some patterns means."""
    for each in patterns:
        if not each:
            raise ParameterError(name, "is empty, which means all keys: give a prefix or a pattern, or leave it out")
        try:
            pc.match_substring_regex(pa.array([""]), pattern(each))
        except pa.ArrowInvalid as error:
            raise ParameterError(name, f"has {each!r}, which is not a pattern: {error}") from None
    return "|".join(f"(?:{pattern(each)})" for each in patterns)

"""Which rows are wanted: patterns of keys, and conditions on columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cossign.batch.columns import as_strings, is_text
from cossign.batch.errors import InputError

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


class Condition(NamedTuple):
    """``COLUMN<value``, with ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``; see `Job.where`."""

    column: str
    relation: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        match = re.fullmatch(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", text)
        if not match:
            raise InputError(f"where: {text!r} is no condition: write it as Size>=1048576 or StorageClass=STANDARD")
        return cls(*match.groups())

    def holds(self, values: pa.Array) -> pa.Array:
        """For which values it holds; never for a null."""
        compare: Callable[[Any, Any], Any] = {
            "=": pc.equal,
            "!=": pc.not_equal,
            "<": pc.less,
            "<=": pc.less_equal,
            ">": pc.greater,
            ">=": pc.greater_equal,
        }[self.relation]
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if is_text(values.type):
            values = as_strings(values)
            if self.relation in ("=", "!=") or not re.match(_NUMBER, self.value):
                return compare(values, self.value)
            numeric = pc.match_substring_regex(values, _NUMBER)
            numbers = pc.if_else(numeric, pc.utf8_trim_whitespace(values), None).cast(pa.float64())
            return compare(numbers, float(self.value))
        try:
            return compare(values, pa.scalar(self.value).cast(values.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"where: the column {self.column} holds {values.type}, and {self.value!r} is none"
            ) from None


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
        try:
            pc.match_substring_regex(pa.array([""]), pattern(each))
        except pa.ArrowInvalid as error:
            raise InputError(f"{name}: {each!r} is no pattern: {error}") from None
    return "|".join(f"(?:{pattern(each)})" for each in patterns)

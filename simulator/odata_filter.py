"""The part of the OData ``$filter`` grammar that CBS is known to accept, in v4 and v3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:('(?:[^']|'')*')|(\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?)"
    r"|(-?\d+(?:\.\d+)?)\b(?![A-Za-z])|([A-Za-z_]\w*)|([(),]))"
)
_WORDS = {"null": None, "true": True, "false": False}
_INSTANT = re.compile(r"\d{4}-")
_COMPARISONS = {"eq": "=", "ne": "<>", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_FUNCTIONS = {
    # v3 has substringof(text, property) where v4 has contains(property, text).
    3: {"startswith": "starts_with", "endswith": "ends_with"},
    4: {"startswith": "starts_with", "contains": "contains", "endswith": "ends_with"},
}


class FilterError(ValueError):
    """A ``$filter`` with a syntax error or with a property that the entity does not have."""


@dataclass(frozen=True)
class Condition:
    """A filter as SQL text with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, str], version: int) -> None:
        self._columns = columns
        self._version = version
        self._functions = _FUNCTIONS[version]
        self._text = text
        self._tokens = self._read_tokens(text)
        self._next = 0

    @staticmethod
    def _read_tokens(text: str) -> list[str]:
        tokens, position = [], 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                raise FilterError(f"Syntax error at position {position} in '{text}'.")
            tokens.append(match.group().strip())
            position = match.end()
        return tokens

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if not token or (expected is not None and token != expected):
            raise FilterError(f"Syntax error in '{self._text}': '{expected or 'a value'}' expected.")
        self._next += 1
        return token

    def parse(self) -> Condition:
        condition = self._either()
        if self._peek():
            raise FilterError(f"Syntax error in '{self._text}': unexpected '{self._peek()}'.")
        return condition

    def _either(self) -> Condition:
        condition = self._both()
        while self._peek() == "or":
            self._take()
            other = self._both()
            condition = Condition(f"({condition.sql} or {other.sql})", condition.parameters + other.parameters)
        return condition

    def _both(self) -> Condition:
        condition = self._term()
        while self._peek() == "and":
            self._take()
            other = self._term()
            condition = Condition(f"({condition.sql} and {other.sql})", condition.parameters + other.parameters)
        return condition

    def _term(self) -> Condition:
        if self._peek() == "(":
            self._take()
            condition = self._either()
            self._take(")")
            return condition
        if self._peek() == "not":
            self._take()
            condition = self._term()
            return Condition(f"(not {condition.sql})", condition.parameters)
        if self._version == 3 and self._peek() == "substringof":
            self._take()
            self._take("(")
            value = self._value()
            self._take(",")
            column = self._column()
            self._take(")")
            return Condition(f"contains({column}, ?)", (value,))
        if self._peek() in self._functions:
            function = self._functions[self._take()]
            self._take("(")
            column = self._column()
            self._take(",")
            value = self._value()
            self._take(")")
            return Condition(f"{function}({column}, ?)", (value,))
        column = self._substring() if self._version == 3 and self._peek() == "substring" else self._column()
        operator = self._take()
        if operator == "in" and self._version == 4:
            self._take("(")
            values = [self._value()]
            while self._peek() == ",":
                self._take()
                values.append(self._value())
            self._take(")")
            return Condition(f"{column} in ({', '.join('?' * len(values))})", tuple(values))
        if operator not in _COMPARISONS:
            raise FilterError(f"Syntax error in '{self._text}': unknown operator '{operator}'.")
        value = self._value()
        if value is None and operator in ("eq", "ne"):
            return Condition(f"{column} is {'not ' if operator == 'ne' else ''}null")
        return Condition(f"{column} {_COMPARISONS[operator]} ?", (value,))

    def _instant(self, token: str) -> str:
        try:
            instant = datetime.fromisoformat(token)
        except ValueError:
            raise FilterError(f"Syntax error in '{self._text}': '{token}' is not an instant.") from None
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _substring(self) -> str:
        """Return the SQL of ``substring(property,start[,length])``; start counts from 0."""
        self._take("substring")
        self._take("(")
        column = self._column()
        self._take(",")
        numbers = [self._value()]
        if self._peek() == ",":
            self._take()
            numbers.append(self._value())
        self._take(")")
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise FilterError(f"Syntax error in '{self._text}': substring needs whole numbers.")
        length = f", {numbers[1]}" if len(numbers) == 2 else ""
        return f"substring({column}, {numbers[0] + 1}{length})"

    def _column(self) -> str:
        name = self._take()
        if name not in self._columns:
            raise FilterError(f"Could not find a property named '{name}'.")
        return self._columns[name]

    def _value(self) -> Any:
        token = self._take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in _WORDS:
            return _WORDS[token]
        if _INSTANT.match(token):
            return self._instant(token)
        try:
            return float(token) if "." in token else int(token)
        except ValueError:
            raise FilterError(f"Syntax error in '{self._text}': '{token}' is not a value.") from None


def read_filter(text: str, columns: Mapping[str, str], version: int = 4) -> Condition:
    """Return a ``$filter`` as SQL.

    Parameters
    ----------
    text
        The expression, percent-decoded.
    columns
        SQL name by property; names are case-sensitive. A time is compared as text in UTC, to the second:
        ``2026-12-01T00:00:00Z``.
    version
        Grammar: 4, or 3, which has ``substringof`` and ``substring`` but neither ``in`` nor ``contains``.

    Raises
    ------
    FilterError
        The expression is not in the grammar, or uses another property.
    """
    return _Parser(text, columns, version).parse()

"""Common parts of OData v3 and v4: query options, short lists of records, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import duckdb

from simulator.odata_filter import Condition, FilterError, read_filter

Record = dict[str, Any]
WRONG_TYPES = "A binary operator with incompatible types was detected."


class ODataError(Exception):
    """A refused request; ``status`` is that of the reply."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def whole_number(query: Mapping[str, str], option: str) -> int | None:
    """Return the value of an option such as ``$top``; None if it is absent."""
    if option not in query:
        return None
    if not query[option].isdigit():
        raise ODataError(400, f"Invalid value '{query[option]}' for {option} query option found.")
    return int(query[option])


def selection(query: Mapping[str, str], names: list[str]) -> list[str] | None:
    """Return the names in ``$select``; None if it is absent."""
    if "$select" not in query:
        return None
    selected = [name.strip() for name in query["$select"].split(",")]
    for name in selected:
        if name not in names:
            raise ODataError(400, f"Could not find a property named '{name}'.")
    return selected


def order(query: Mapping[str, str], columns: Mapping[str, str], *last: str) -> str:
    """Return the SQL of ``$orderby``, followed by ``last``."""
    keys = []
    for key in filter(None, query.get("$orderby", "").split(",")):
        name, _, direction = key.strip().partition(" ")
        if name not in columns or direction.strip() not in ("", "asc", "desc"):
            raise ODataError(400, f"Could not find a property named '{name}'.")
        keys.append(f"{columns[name]} {direction}")
    return ", ".join([*keys, *last])


def encode(options: Mapping[str, str]) -> str:
    """Return query options as in the office's links."""
    return "&".join(f"{name}={quote(value, safe='()')}" for name, value in options.items())


def json_text(content: Any) -> str:
    """Return JSON as the office writes it: compact, not escaped to ASCII."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def checked(connection: duckdb.DuckDBPyConnection, source: str, condition: Condition) -> Condition:
    """Return the condition, or refuse one that compares a number with a text."""
    try:
        connection.execute(f"select 1 from {source} where {condition.sql} limit 0", condition.parameters)
    except (duckdb.BinderException, duckdb.ConversionException) as error:
        raise FilterError(WRONG_TYPES) from error
    return condition


def scalar(connection: duckdb.DuckDBPyConnection, statement: str, parameters: list[Any] | None = None) -> Any:
    """Return the first value of a query; refuse a comparison of a number with a text, as the office does."""
    try:
        row = connection.execute(statement, parameters or []).fetchone()
    except duckdb.ConversionException as error:
        raise FilterError(WRONG_TYPES) from error
    return None if row is None else row[0]


class RecordLists:
    """Query options on short lists of records.

    Parameters
    ----------
    connection
        For scratch tables.
    version
        Grammar of ``$filter``: 3 or 4.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, version: int) -> None:
        self.connection = connection
        self.version = version

    def pick(self, records: list[Record], query: Mapping[str, str]) -> tuple[list[Record], list[str] | None]:
        """Return the records after filter, order, skip, top and select, and the selected names."""
        if not records:
            # The properties of an empty set are unknown: no option is refused.
            return [], None
        names = list(dict.fromkeys(name for record in records for name in record if "@" not in name))
        columns = {name: f'"{name}"' for name in names}
        wanted = order(query, columns, "position")
        if "$filter" in query or "$orderby" in query:
            condition = Condition("true")
            if "$filter" in query:
                condition = read_filter(query["$filter"], columns, self.version)
            records = self._matching(records, names, condition, wanted)
        first = whole_number(query, "$skip") or 0
        count = whole_number(query, "$top")
        records = records[first : None if count is None else first + count]
        selected = selection(query, names)
        if selected is not None:
            records = [{name: record[name] for name in record if name in selected or "@" in name} for record in records]
        return records, selected

    def _matching(self, records: list[Record], names: list[str], condition: Condition, wanted: str) -> list[Record]:
        fields = ", ".join(f'"{name}" {_sql_type(records, name)}' for name in names)
        self.connection.execute(f"create or replace temp table records (position bigint, {fields})")
        self.connection.executemany(
            f"insert into records values ({', '.join('?' * (len(names) + 1))})",
            [[i, *(_plain(record.get(name)) for name in names)] for i, record in enumerate(records)],
        )
        try:
            kept = self.connection.execute(
                f"select position from records where {condition.sql} order by {wanted}", condition.parameters
            ).fetchall()
        except duckdb.Error as error:
            raise FilterError(WRONG_TYPES) from error
        return [records[position] for (position,) in kept]


def _plain(value: Any) -> Any:
    return json_text(value) if isinstance(value, list | dict) else value


def _sql_type(records: list[Record], name: str) -> str:
    values = [record[name] for record in records if record.get(name) is not None]
    if values and all(isinstance(value, bool) for value in values):
        return "boolean"
    return "bigint" if values and all(isinstance(value, int) for value in values) else "varchar"

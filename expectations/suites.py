"""Suites as data: the checks of a gate are in a YAML file that an analyst can read and change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from expectations.gate import Check, rows_check

_FOLDER = Path(__file__).parent
_FIELDS = {"name", "table", "severity", "message", "needs", "where", "query", "row_count", "one_row", "order"}


@cache
def read_gate(name: str) -> dict[str, Any]:
    """Return the file of a gate: its ``checks`` and other settings."""
    gate: dict[str, Any] = yaml.safe_load((_FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    return gate


def read_suite(
    name: str, given: Collection[str], values: Mapping[str, object], blames: Mapping[str, str] | None = None
) -> list[Check]:
    """Return the checks of a gate that apply.

    Parameters
    ----------
    name : str
        Name of the file.
    given : collection of str
        Available inputs, matched against ``needs``.
    values : mapping of str to object
        Values of the names in braces, in addition to the ``limits`` of the file.
    blames : mapping of str to str
        Query by table for the loads that brought its rows; ``{where}`` is the condition of the check.

    Raises
    ------
    ValueError
        If an entry has an unknown field, or not exactly one of ``where``, ``query`` and ``row_count``.
    KeyError
        If a name in braces has no value.
    """
    gate = read_gate(name)
    filled = {"batch": "{batch}", **gate.get("limits", {}), **values}
    checks = []
    for entry in gate["checks"]:
        if unknown := entry.keys() - _FIELDS or len(entry.keys() & {"where", "query", "row_count"}) != 1:
            raise ValueError(f"{_FOLDER / name}.yml: check {entry.get('name')!r} is malformed: {unknown}")
        if not set(entry.get("needs", ())) <= set(given):
            continue
        severity, message = (entry[field].format(**filled) for field in ("severity", "message"))
        if counts := entry.get("row_count"):
            checks.append(
                Check(entry["name"], entry["table"], severity, message, "ExpectTableRowCountToBeBetween", counts)
            )
            continue
        where = entry.get("where", "").format(**filled)
        if "query" in entry:
            query = entry["query"].format(**filled)
        elif "one_row" in entry:
            query = f"select {entry['one_row']} from {{batch}} where {where} having count(*) > 0"
        else:
            query = f"select * from {{batch}} where {where}"
        blame = (blames or {}).get(entry["table"], "") if severity == "error" and where else ""
        order = entry.get("order", "all").format(**filled)
        checks.append(
            rows_check(entry["name"], entry["table"], severity, message, query, blame.format(where=where), order=order)
        )
    return checks

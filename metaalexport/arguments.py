"""Parsing of user input in commands, forms and variables, before any request to an office."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path

from common.months import Month
from extract.dataset import EU

_COUNTRIES = Path(__file__).resolve().parent.parent / "reference" / "countries.csv"
# Codes of the European institutions that differ from ISO.
_OTHERWISE = {"EL": "GR", "UK": "GB"}


class SettingsError(Exception):
    """A variable, an option or a form field is invalid."""


def parse_month(text: str, name: str) -> str:
    """Return a month as ``YYYY-MM``.

    Parameters
    ----------
    name : str
        Name of the input, for the message.

    Raises
    ------
    SettingsError
        If it is not a month.
    """
    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise SettingsError(
            f"{name} is {text!r}, which is not a month; write it as YYYY-MM, for example 2025-07"
        ) from error


def parse_months(first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Return the first and last month of a period as ``YYYY-MM``; None for an open end.

    Raises
    ------
    SettingsError
        If one is not a month, or they are in the wrong order.
    """
    begin = parse_month(first, "the first month") if first else None
    end = parse_month(last, "the last month") if last else None
    if begin and end and begin > end:
        raise SettingsError(f"the first month, {begin}, is after the last one, {end}")
    return begin, end


def parse_days(first: str, last: str) -> tuple[str, str]:
    """Return the first and last day of a period as ``YYYY-MM-DD``.

    Raises
    ------
    SettingsError
        If one is not a day, or they are in the wrong order.
    """
    for name, text in (("the first day", first), ("the last day", last)):
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                raise ValueError(text)
            date.fromisoformat(text)
        except ValueError as error:
            raise SettingsError(
                f"{name} is {text!r}, which is not a day; write it as YYYY-MM-DD, for example 2025-07-31"
            ) from error
    if first > last:
        raise SettingsError(f"the first day, {first}, is after the last one, {last}")
    return first, last


def parse_reporters(codes: Iterable[str], name: str) -> tuple[str, ...]:
    """Return ISO codes of countries, or that of the Union, in capitals and without duplicates.

    Raises
    ------
    SettingsError
        If there is none, or one is unknown.
    """
    written = [code.strip().upper() for code in codes]
    found = tuple(dict.fromkeys(_OTHERWISE.get(code, code) for code in written))
    unknown = [code for code in found if code != EU and code not in _countries()]
    if unknown or not found:
        raise SettingsError(
            f"{name} is {','.join(written)!r}, not ISO codes of countries like NL,DE, or {EU} for all members"
            + (f"; unknown: {', '.join(map(repr, unknown))}" if found else "")
        )
    return found


@cache
def _countries() -> frozenset[str]:
    with _COUNTRIES.open(encoding="utf-8", newline="") as handle:
        return frozenset(row["country_code"] for row in csv.DictReader(handle))

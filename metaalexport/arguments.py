"""What people write in commands, forms and variables: read once, in one way, before any office is asked."""

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
# Codes of the European institutions for countries that ISO calls otherwise.
_OTHERWISE = {"EL": "GR", "UK": "GB"}


class SettingsError(Exception):
    """A variable, an option or a field of a form does not say what it must."""


def parse_month(text: str, name: str) -> str:
    """Return a month as ``YYYY-MM``.

    Parameters
    ----------
    name : str
        Where it was written, for the message.

    Raises
    ------
    SettingsError
        If it is no month.
    """
    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise SettingsError(
            f"{name} is {text!r}, which is no month; write it as YYYY-MM, for example 2025-07"
        ) from error


def parse_months(first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Return the first and last month of a period as ``YYYY-MM``; None, or nothing, for one that is open.

    Raises
    ------
    SettingsError
        If one is no month, or they are in the wrong order.
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
        If one is no day, or they are in the wrong order.
    """
    for name, text in (("the first day", first), ("the last day", last)):
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                raise ValueError(text)
            date.fromisoformat(text)
        except ValueError as error:
            raise SettingsError(
                f"{name} is {text!r}, which is no day; write it as YYYY-MM-DD, for example 2025-07-31"
            ) from error
    if first > last:
        raise SettingsError(f"the first day, {first}, is after the last one, {last}")
    return first, last


def parse_reporters(codes: Iterable[str], name: str) -> tuple[str, ...]:
    """Return ISO codes of countries, or that of the Union, in capitals and each once.

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

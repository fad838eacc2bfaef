"""Periods of a table: code, title, status, and the months that each covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.economy import Floats
from simulator.release import START_YEAR

MONTHS = (
    "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober",
    "november", "december",
)  # fmt: skip

_STATUS_TEXTS = {"Definitief": "", "NaderVoorlopig": "Nader voorlopige cijfers", "Voorlopig": "Voorlopige cijfers"}


@dataclass(frozen=True)
class Period:
    """A period of a table.

    Attributes
    ----------
    code
        ``yyyyMMnn``, ``yyyyKWnn`` or ``yyyyJJ00``.
    title
        As the office prints it, trailing blanks included.
    group
        ``DimensionGroupId``.
    start, stop
        First month it covers and the month after the last, in months since 2021-01.
    """

    code: str
    title: str
    group: str
    start: int
    stop: int

    @property
    def year(self) -> int:
        """Calendar year."""
        return START_YEAR + self.start // 12


def lay_out(months: int, *, quarters: bool = False, years: bool = True, blank: bool = False) -> list[Period]:
    """Return the periods of a table in the office's order: a quarter and a year follow their last month.

    Parameters
    ----------
    months
        Number of months from 2021-01.
    quarters
        True adds quarters; an incomplete quarter is absent.
    years
        True adds years. An incomplete year follows the newest month, with the months it covers in its title, as CBS
        publishes it.
    blank
        True adds a trailing blank to the title of the first year, as some CBS tables have.
    """
    periods: list[Period] = []
    groups = ["MM", *(["KW"] if quarters else []), *(["JJ"] if years else [])]
    for index in range(months):
        year, month = START_YEAR + index // 12, index % 12
        first = index - month
        periods.append(Period(f"{year}MM{month + 1:02}", f"{year} {MONTHS[month]}", "0", index, index + 1))
        if quarters and month % 3 == 2:
            quarter = month // 3 + 1
            group = str(groups.index("KW"))
            periods.append(Period(f"{year}KW{quarter:02}", f"{year} {quarter}e kwartaal", group, index - 2, index + 1))
        if years and month == 11:
            title = f"{year} " if blank and year == START_YEAR else str(year)
            periods.append(Period(f"{year}JJ00", title, str(groups.index("JJ")), first, index + 1))
        elif years and index == months - 1:
            span = MONTHS[0] if month == 0 else f"{MONTHS[0]}-{MONTHS[month]}"
            periods.append(Period(f"{year}JJ00", f"{year} {span}", str(groups.index("JJ")), first, index + 1))
    return periods


def trade_status(year: int, published: tuple[int, int]) -> str:
    """Return the status of a year of the trade tables in a round published in this year and month."""
    year_now, month_now = published
    # The status of a year changes in the fourth quarter: with the round of December.
    provisional_from = year_now if month_now == 12 else year_now - 1
    if year >= provisional_from:
        return "Voorlopig"
    return "NaderVoorlopig" if year == provisional_from - 1 else "Definitief"


def period_codes(periods: list[Period], status: Callable[[Period], str]) -> list[dict[str, Any]]:
    """Return the records of ``PeriodenCodes``."""
    records = []
    for index, period in enumerate(periods, start=1):
        kind = status(period)
        records.append(
            {
                "Identifier": period.code,
                "Index": index,
                "Title": period.title,
                "Description": _STATUS_TEXTS[kind],
                "DimensionGroupId": period.group,
                "Status": kind,
            }
        )
    return records


def add_up(months: Floats, periods: list[Period], *, mean: bool = False) -> Floats:
    """Return the sum (or mean) of the months of each period, along the last axis."""
    parts = [months[..., period.start : period.stop] for period in periods]
    sums = [part.mean(axis=-1) if mean else part.sum(axis=-1) for part in parts]
    return np.asarray(np.stack(sums, axis=-1), dtype=np.float64)


def a_year_earlier(months: Floats, periods: list[Period], *, mean: bool = False) -> Floats:
    """Return the sum (or mean) of the same months a year earlier; NaN in the first year."""
    earlier = np.full((*months.shape[:-1], len(periods)), np.nan)
    for i, period in enumerate(periods):
        if period.start >= 12:
            part = months[..., period.start - 12 : period.stop - 12]
            earlier[..., i] = part.mean(axis=-1) if mean else part.sum(axis=-1)
    return earlier

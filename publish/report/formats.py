"""Numbers, amounts, dates and lists in both languages, formatted by Unicode CLDR rules (Babel)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import format_decimal

from publish.report.texts import LANGUAGES, MISSING, Text, join, per_language, same, shared

# British lists have no comma before "and".
_LIST_LOCALES = {"nl": "nl", "en": "en_GB"}
MINUS = "\u2212"

Figure = float | int | Decimal | None


def round_half_up(value: float | Decimal, digits: int) -> Decimal:
    """Return a number rounded for display: half away from zero."""
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def number(value: Figure, digits: int = 0, *, signed: bool = False) -> Text:
    """Return a number; a missing one is a dash, and zero after rounding has no sign."""
    if value is None:
        return same(MISSING)
    rounded = round_half_up(value, digits)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return per_language(lambda language: sign + _format(abs(rounded), digits, language))


@lru_cache(100_000)
def _format(size: Decimal, digits: int, language: str) -> str:
    return format_decimal(size, "#,##0" + "." * bool(digits) + "0" * digits, language)


def percent(share: Figure, digits: int = 1) -> Text:
    """Return a share (0-1) in per cent."""
    return same(MISSING) if share is None else growth(100 * share, digits, signed=False)


def share_figure(share: Figure, digits: int = 2) -> Text:
    """Return a share (0-1) in per cent without the sign, for a column with the unit in its head."""
    return number(None if share is None else 100 * share, digits)


def growth(value: Figure, digits: int = 1, *, signed: bool = True) -> Text:
    """Return a growth rate (per cent)."""
    if value is None:
        return same(MISSING)
    written = number(value, digits, signed=signed)
    return per_language(lambda language: f"{written[language]}%")


def points(value: Figure, digits: int = 2, *, signed: bool = True) -> Text:
    """Return a difference between shares in percentage points."""
    return same(MISSING) if value is None else shared("points", value=number(value, digits, signed=signed))


def small_points(value: Figure, digits: int = 3) -> Text:
    """Return a size in percentage points; one that rounds to zero is shown as below the last digit."""
    if value is None or value == 0 or abs(float(value)) >= 0.1**digits:
        return number(value, digits)
    least = number(0.1**digits, digits)
    return per_language(lambda language: f"<{least[language]}")


def euros(value: Figure) -> Text:
    """Return an amount in millions of euros, with decimals if it is small."""
    if value is None:
        return same(MISSING)
    size = abs(float(value))
    digits = 0 if size >= 100_000_000 else 1 if size >= 10_000_000 else 2
    return shared("millions_below_zero" if value < 0 else "millions", value=millions(size, digits))


def millions(value: Figure, digits: int = 1, *, signed: bool = False) -> Text:
    """Return an amount in millions without the unit, for a column with the unit in its head."""
    return number(None if value is None else Decimal(str(value)) / 1_000_000, digits, signed=signed)


def interval(lower: Text, upper: Text) -> Text:
    """Return a pair of bounds."""
    return join([lower, upper], f" {MISSING} ")


@lru_cache(10_000)
def _format_date(value: date, pattern: str) -> tuple[str, ...]:
    return tuple(format_date(value, pattern, language) for language in LANGUAGES)


def month(value: date) -> Text:
    """Return a month and its year."""
    return dict(zip(LANGUAGES, _format_date(value, "MMMM y"), strict=True))


def day(value: date) -> Text:
    """Return a day, its month and its year."""
    return dict(zip(LANGUAGES, _format_date(value, "d MMMM y"), strict=True))


def instant(value: datetime | None) -> Text:
    """Return a moment, UTC."""
    if value is None:
        return same(MISSING)
    return per_language(lambda language: format_datetime(value, "d MMMM y, HH:mm 'UTC'", locale=language))


def month_ranges(months: list[date]) -> Text:
    """Return months as a list, with consecutive months as a range."""
    ranges: list[list[date]] = []
    for value in months:
        if ranges and months_before(value, 1) == ranges[-1][-1]:
            ranges[-1] = [ranges[-1][0], value]
        else:
            ranges.append([value])
    return join(join(map(month, span), f" {MISSING} ") for span in ranges)


def enumerate_names(names: Iterable[Text]) -> Text:
    """Return names as a list in prose: a, b and c."""
    listed = list(names)
    return per_language(
        lambda language: format_list([name[language] for name in listed], locale=_LIST_LOCALES[language]) or MISSING
    )


def months_between(first: date, last: date) -> list[date]:
    """Return the months from one to another, both inclusive."""
    count = (last.year - first.year) * 12 + last.month - first.month
    return [months_before(last, back) for back in range(count, -1, -1)]


def months_before(value: date, count: int) -> date:
    """Return the first day of the month `count` months earlier."""
    index = value.year * 12 + value.month - 1 - count
    return date(index // 12, index % 12 + 1, 1)


def axis_locales() -> dict[str, Any]:
    """Return the d3 locales of the chart axes, by language."""
    return {language: _axis_locale(Locale.parse(language)) for language in LANGUAGES}


def _axis_locale(locale: Locale) -> dict[str, Any]:
    months, days = (
        {width: [names[key] for key in sorted(names)] for width, names in kind["format"].items()}
        for kind in (locale.months, locale.days)
    )
    symbols = locale.number_symbols["latn"]
    return {
        "number": {"decimal": symbols["decimal"], "thousands": symbols["group"], "grouping": [3], "currency": ["", ""]},
        "time": {
            "dateTime": "%x %X",
            "date": "%d-%m-%Y",
            "time": "%H:%M",
            "periods": ["AM", "PM"],
            # Babel's week starts on Monday, d3's on Sunday.
            "days": days["wide"][-1:] + days["wide"][:-1],
            "shortDays": days["abbreviated"][-1:] + days["abbreviated"][:-1],
            "months": months["wide"],
            "shortMonths": months["abbreviated"],
        },
    }

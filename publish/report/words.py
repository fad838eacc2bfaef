"""The words and figures of the report, each in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATES = Path(__file__).parents[1] / "templates"
LANGUAGES = ("nl", "en")
MISSING = "\u2013"
MINUS = "\u2212"

Pair = dict[str, str]
Figure = float | int | Decimal | None


@cache
def texts() -> dict[str, Any]:
    """Read every sentence of the page, by kind and key, in both languages."""
    found: dict[str, Any] = yaml.safe_load((TEMPLATES / "texts.yml").read_text(encoding="utf-8"))
    return found


def label(key: str) -> Pair:
    """Find the words for a heading, a column or a code."""
    found: Pair = texts()["labels"][key]
    return found


def say(key: str, **values: Pair | str) -> Pair:
    """Fill in a sentence.

    Parameters
    ----------
    key : str
        Key under ``sentences`` in texts.yml.
    **values : dict of str to str, or str
        What stands for each word in braces; text that is the same in both languages may be given as it is.

    Returns
    -------
    dict of str to str
        The sentence in each language.

    Raises
    ------
    KeyError
        If there is no such sentence, or a word in braces has no value.
    """
    sentence = texts()["sentences"][key]
    return per_language(
        lambda language: sentence[language].format_map(
            {name: value if isinstance(value, str) else value[language] for name, value in values.items()}
        )
    )


def number(value: Figure, digits: int = 0, *, signed: bool = False) -> Pair:
    """Write a number; a missing one is a dash, and what rounds to zero has no sign."""
    if value is None:
        return same(MISSING)
    rounded = round(Decimal(str(value)), digits)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    english = f"{sign}{abs(rounded):,.{digits}f}"
    return {"nl": english.translate(str.maketrans(",.", ".,")), "en": english}


def percent(share: Figure, digits: int = 1) -> Pair:
    """Write a share (0-1) in per cent."""
    return same(MISSING) if share is None else _with("{}%", number(100 * share, digits))


def growth(value: Figure, digits: int = 1) -> Pair:
    """Write a growth rate (per cent) with its sign."""
    return same(MISSING) if value is None else _with("{}%", number(value, digits, signed=True))


def points(value: Figure, digits: int = 2, *, signed: bool = True) -> Pair:
    """Write a difference between shares in percentage points."""
    if value is None:
        return same(MISSING)
    return say("points", value=number(value, digits, signed=signed))


def small_points(value: Figure, digits: int = 3) -> Pair:
    """Write a size in percentage points; one that would round to zero is said to be below the last digit."""
    if value is None or value == 0 or abs(float(value)) >= 0.1**digits:
        return number(value, digits)
    return _with("<{}", number(0.1**digits, digits))


def euros(value: Figure) -> Pair:
    """Write an amount in millions of euros, with decimals where it is small."""
    if value is None:
        return same(MISSING)
    size = abs(float(value))
    digits = 0 if size >= 100_000_000 else 1 if size >= 10_000_000 else 2
    key = "millions_below_zero" if value < 0 else "millions"
    return say(key, value=number(Decimal(str(size)) / 1_000_000, digits))


def millions(value: Figure, digits: int = 1) -> Pair:
    """Write an amount as millions, for a column whose head has the unit."""
    return number(None if value is None else Decimal(str(value)) / 1_000_000, digits)


def integer(value: int | Decimal | None) -> Pair:
    """Write a count."""
    return number(value)


def month(value: date) -> Pair:
    """Write a month and its year."""
    return per_language(lambda language: f"{texts()['months'][language][value.month - 1]} {value.year}")


def day(value: date) -> Pair:
    """Write a day."""
    return per_language(lambda language: f"{value.day} {month(value)[language]}")


def instant(value: datetime | None) -> Pair:
    """Write a moment, UTC."""
    if value is None:
        return same(MISSING)
    return per_language(lambda language: f"{day(value)[language]}, {value:%H:%M} UTC")


def months_between(first: date, last: date) -> list[date]:
    """List the months from one to another, both included."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def month_ranges(months: list[date]) -> Pair:
    """Write months as a list, neighbours as one range."""
    ranges: list[list[date]] = []
    for value in months:
        if ranges and len(months_between(ranges[-1][-1], value)) == 2:
            ranges[-1] = [ranges[-1][0], value]
        else:
            ranges.append([value])
    return per_language(
        lambda language: ", ".join(f" {MISSING} ".join(month(end)[language] for end in span) for span in ranges)
    )


def per_language(write: Callable[[str], str]) -> Pair:
    """Write something in every language."""
    return {language: write(language) for language in LANGUAGES}


def same(text: str) -> Pair:
    """Use one text in every language."""
    return dict.fromkeys(LANGUAGES, text)


def name_of(row: Mapping[str, Any], column: str) -> Pair:
    """Take the two names of a pair of columns, such as ``destination_name_nl`` and ``_en``."""
    return per_language(lambda language: row[f"{column}_{language}"])


def in_sentence(code: str, name: Pair) -> Pair:
    """Write the name of a country as it stands inside a sentence: the United States, Belgium."""
    article = texts()["articles"].get(code, same(""))
    return per_language(lambda language: f"{article[language]} {name[language]}".strip())


def lower_first(pair: Pair) -> Pair:
    """Write a name so that it can stand inside a sentence."""
    return per_language(lambda language: pair[language][:1].lower() + pair[language][1:])


def join(pairs: Iterable[Pair], separator: str = ", ") -> Pair:
    """Put texts one after the other; a dash where there is none."""
    listed = list(pairs)
    return per_language(lambda language: separator.join(pair[language] for pair in listed) or MISSING)


def enumerate_names(pairs: Iterable[Pair]) -> Pair:
    """Write names as a list that can be read aloud: a, b and c."""
    listed = list(pairs)
    if len(listed) < 2:
        return join(listed)
    return say("and", first=join(listed[:-1]), last=listed[-1])


def _with(pattern: str, pair: Pair) -> Pair:
    return per_language(lambda language: pattern.format(pair[language]))

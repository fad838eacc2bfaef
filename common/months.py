"""Calendar months: parsing and arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, ordered by time and written ``YYYY-MM``."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Return the month of ``YYYY-MM``.

        Raises
        ------
        ValueError
            If the text is anything else, a day included.
        """
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
            raise ValueError(f"{text!r} is not a month of the form YYYY-MM")
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def of(cls, day: date) -> Month:
        """Return the month of a date or datetime."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The first day of the month."""
        return date(self.year, self.number, 1)

    def __add__(self, months: int) -> Month:
        """Return the month this many months later; earlier if negative."""
        years, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(years, number + 1)

    def __sub__(self, months: int) -> Month:
        """Return the month this many months earlier."""
        return self + -months

    def __str__(self) -> str:
        """Format as ``YYYY-MM``."""
        return f"{self.year:04d}-{self.number:02d}"


def months_between(first: Month, last: Month) -> list[Month]:
    """Return the months from first to last, inclusive; empty if the first is after the last."""
    n_months = (last.year - first.year) * 12 + last.number - first.number + 1
    return [first + number for number in range(n_months)]

"""Publication rounds of both offices, and their months."""

from __future__ import annotations

from dataclasses import dataclass

START_YEAR = 2021
DEFAULT_RELEASE = 12


@dataclass(frozen=True)
class Release:
    """One publication round, with the same number for both offices.

    Attributes
    ----------
    number
        Round; 12 is October 2026, each next one a month later.

    Raises
    ------
    ValueError
        The number is below 1.
    """

    number: int = DEFAULT_RELEASE

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"release {self.number} does not exist: the first is 1")

    @property
    def year_month(self) -> tuple[int, int]:
        """Year and month of publication."""
        months = 2026 * 12 + 9 + self.number - DEFAULT_RELEASE
        return months // 12, months % 12 + 1

    @property
    def eurostat_months(self) -> int:
        """Number of months published by Eurostat, from 2021-01; the newest is two months back."""
        year, month = self.year_month
        return (year - START_YEAR) * 12 + month - 2

    @property
    def cbs_months(self) -> int:
        """Number of months published by CBS, from 2021-01; the newest is three months back."""
        return self.eurostat_months - 1

    @property
    def _utc_offset_hours(self) -> int:
        # Central European summer time covers the 2nd and the 15th of April to October.
        return 2 if 4 <= self.year_month[1] <= 10 else 1

    @property
    def eurostat_stamp(self) -> str:
        """Publication time in Eurostat's format, e.g. ``2026-10-15T11:00:00+0200``."""
        year, month = self.year_month
        return f"{year}-{month:02}-15T11:00:00+0{self._utc_offset_hours}00"

    @property
    def cbs_version(self) -> str:
        """CBS version number, e.g. ``202610020630``."""
        year, month = self.year_month
        return f"{year}{month:02}020630"


def month_label(index: int) -> str:
    """Return a month as ``YYYY-MM``; index 0 is 2021-01."""
    return f"{START_YEAR + index // 12}-{index % 12 + 1:02}"


def month_index(label: str) -> int:
    """Return the months since 2021-01 of a ``YYYY-MM``."""
    year, month = label.split("-")
    return (int(year) - START_YEAR) * 12 + int(month) - 1

"""Model of a CBS table: dimensions, measures, publication schedule and numbers."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulator.cbs import periods
from simulator.cbs.cells import Cube
from simulator.cbs.periods import MONTHS, Period
from simulator.cbs.trade import CbsTrade
from simulator.partners import PartnerList
from simulator.release import START_YEAR, Release

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
CodeRecords = list[dict[str, Any]]
Groups = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Measure:
    """A measure, which is a topic in v3.

    Attributes
    ----------
    code
        Identifier in v4.
    slot
        ``Index`` in v4 and ``ID`` in v3: the position among dimensions, groups and measures.
    column
        Column in v3: name, and number among the topics.
    group
        Identifier of its group, if any.
    is_phantom
        True if the table has no observation of it.
    """

    code: str
    slot: int
    column: str
    title: str
    unit: str
    text: str = ""
    group: str | None = None
    decimals: int = 0
    is_phantom: bool = False

    @property
    def data_type(self) -> str:
        """``Long`` or ``Double``."""
        return "Double" if self.decimals else "Long"


@dataclass(frozen=True)
class MeasureGroup:
    """A heading above measures; ``slot`` as in `Measure`."""

    code: str
    slot: int
    title: str


@dataclass(frozen=True)
class Dimension:
    """A dimension other than the periods.

    Attributes
    ----------
    codes
        Records of ``<Dim>Codes``.
    groups
        Identifier and title of the groups; empty if the office has none.
    """

    name: str
    title: str
    codes: Callable[[PartnerList], CodeRecords]
    groups: Groups = ()


@dataclass(frozen=True)
class Publication:
    """Publication schedule of a table.

    Attributes
    ----------
    day, months_back
        Day of the month (the last day of a shorter month), and months before the month of the release.
    ahead
        Months more than the trade tables have.
    fixed
        For a discontinued table: time of its only publication, and its number of months.
    """

    day: int = 2
    months_back: int = 0
    ahead: int = 0
    fixed: tuple[datetime, int] | None = None

    def released(self, release: Release) -> datetime:
        """Return the time of publication: 06:30 in the Netherlands."""
        if self.fixed is not None:
            return self.fixed[0]
        year, month = release.year_month
        index = year * 12 + month - 1 - self.months_back
        year, month = index // 12, index % 12 + 1
        day = min(self.day, calendar.monthrange(year, month)[1])
        return datetime(year, month, day, 6, 30, tzinfo=AMSTERDAM)

    def months(self, release: Release) -> int:
        """Return the number of months from 2021-01."""
        return release.cbs_months + self.ahead if self.fixed is None else self.fixed[1]


Numbers = Callable[["Table", CbsTrade, list[Period], int], Cube]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    numbers
        Function that returns the cube: dimensions in order, periods, measures.
    partner
        Dimension whose members the data faults drop, rename and total.
    total, aggregates, large_partners, main_measures
        Members and measures for the data faults; see `simulator.faults.registry.Rows`.
    grains
        Arguments of `simulator.cbs.periods.lay_out`.
    time_groups
        Groups of the periods; empty if the office has none.
    key_widths
        Width of the keys of a dimension in v3, if wider than its longest key.
    is_in_v4
        If False, v4 has the metadata only and returns 404 for the observations.
    """

    identifier: str
    title: str
    short_title: str
    summary: str
    about: str
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    numbers: Numbers
    partner: str
    total: str
    main_measures: tuple[str, ...]
    measure_groups: tuple[MeasureGroup, ...] = ()
    publication: Publication = field(default_factory=Publication)
    aggregates: tuple[str, ...] = ()
    large_partners: tuple[str, ...] = ()
    unknown_partner: str = "L009999"
    grains: Mapping[str, bool] = field(default_factory=dict)
    time_groups: Groups = (("0", "Maanden"), ("1", "Jaren"))
    status: Callable[[Period, tuple[int, int]], str] = lambda period, published: periods.trade_status(
        period.year, published
    )
    key_widths: Mapping[str, int] = field(default_factory=dict)
    is_in_v4: bool = True
    provenance: Groups = ()
    related: Groups = ()

    @property
    def is_discontinued(self) -> bool:
        """True if no release adds to it."""
        return self.publication.fixed is not None

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """Names of all dimensions, ``Perioden`` last."""
        return (*(dimension.name for dimension in self.dimensions), "Perioden")

    def periods(self, release: Release) -> list[Period]:
        """Return the periods of a release."""
        return periods.lay_out(self.publication.months(release), **self.grains)

    def codes(self, name: str, partners: PartnerList, release: Release) -> CodeRecords:
        """Return the records of a code list of the table.

        Raises
        ------
        KeyError
            There is no such dimension.
        """
        if name == "Perioden":
            released = self.publication.released(release)
            published = (released.year, released.month)
            records = periods.period_codes(self.periods(release), lambda period: self.status(period, published))
            if not self.time_groups:
                records = [record | {"DimensionGroupId": None} for record in records]
            return records
        return {dimension.name: dimension for dimension in self.dimensions}[name].codes(partners)

    def groups(self, name: str) -> Groups:
        """Return the groups of a dimension."""
        if name == "Perioden":
            return self.time_groups
        return {dimension.name: dimension for dimension in self.dimensions}[name].groups

    def cube(self, trade: CbsTrade, release: Release) -> Cube:
        """Return the numbers of a release."""
        months = self.publication.months(release)
        return self.numbers(self, trade, self.periods(release), months)

    def coverage(self, release: Release) -> str:
        """Return the text of ``TemporalCoverage``."""
        newest = self.publication.months(release) - 1
        return f"{START_YEAR} januari - {START_YEAR + newest // 12} {MONTHS[newest % 12]}."

    def description(self, release: Release) -> str:
        """Return the description of the table, with the change of a release."""
        newest = self.publication.months(release) - 1
        released = self.publication.released(release)
        change = f"De voorlopige cijfers van {MONTHS[newest % 12]} {START_YEAR + newest // 12} zijn toegevoegd."
        if self.is_discontinued:
            change = "Geen, deze tabel is stopgezet."
        return (
            f"{self.about}\r\n\r\nGegevens beschikbaar vanaf: januari {START_YEAR}.\r\n\r\n"
            f"Wijzigingen per {released.day} {MONTHS[released.month - 1]} {released.year}:\r\n{change}\r\n\r\n"
            "Gesimuleerde cijfers: geen publicatie van het CBS.\r\n"
        )

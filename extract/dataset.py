"""A declared dataset: its dimensions, measures, contract, rhythm of releases and limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# What each rule of a contract may lead to. `warn` reports and loads; `quarantine` rejects the rows that it concerns;
# `fail` stops the load.
CONTRACT_MODES: dict[str, tuple[str, ...]] = {
    "new_column": ("warn", "fail"),
    "missing_column": ("warn", "fail"),
    "type_change": ("quarantine", "fail"),
    "new_code": ("warn", "quarantine", "fail"),
    "vanished_code": ("warn", "fail"),
    "unit_change": ("quarantine", "fail"),
}
# Limits of gate 1 where a registry file gives no other: a figure is exact to `rounding_unit_eur`; that part of a total
# may be left unexplained by its members; that part of the value of the last vintage may vanish; that part of its cells
# must be there again.
DEFAULT_THRESHOLDS = {
    "rounding_unit_eur": 1.0,
    "max_unexplained_share": 0.02,
    "max_vanished_share": 0.02,
    "min_rows_ratio": 0.98,
}
# All members of the Union together: a reporter of Comext beside them.
EU = "EU27_2020"
PROTOCOLS = ("odata_v4", "sdmx", "comext_bulk", "comext_list")
# Columns that the landing gives to every observation; no dimension may be called so.
RESERVED_COLUMNS = frozenset(
    {"load_id", "request_no", "change_kind", "measure", "value", "status", "confidentiality", "rule"}
)


@dataclass(frozen=True)
class Measure:
    """One measure of a dataset, and what turns the office's number into the warehouse's unit.

    Attributes
    ----------
    code : str
        The office's code (``D001636``, ``VALUE_IN_EUROS``).
    unit : str
        The unit as the office states it, checked on every load where the office states it; blanks do not count
        (`same_unit`). Empty: it has not been seen yet, and the first live load tells.
    canonical_unit : str
        ``EUR``, ``KG``, ``SUPPLEMENTARY``, ``INDEX``, ``PERCENT``, ``COUNT``, ``BALANCE`` or ``RATE``.
    factor : float
        Office unit to canonical unit.
    index : int or None
        CBS: position in ``MeasureCodes`` (v4 ``Index``), which is the ``ID`` in ``DataProperties`` of v3.
    title : str
        CBS: its title, by which it is found when the office gives it another code. Empty: not by title.
    group : str
        CBS: its ``MeasureGroupId``, where titles repeat and only the group tells which figure it is.
    """

    code: str
    unit: str
    canonical_unit: str
    factor: float
    index: int | None = None
    title: str = ""
    group: str = ""


def same_unit(one: str, other: str) -> bool:
    """Whether two texts name the same unit: CBS writes ``2021=100`` and ``2021 = 100``."""
    return "".join(one.split()) == "".join(other.split())


@dataclass(frozen=True)
class Contract:
    """What happens when a reply is not as declared; see `CONTRACT_MODES`.

    Attributes
    ----------
    new_code : dict of str to str
        Mode by landing column; ``default`` for all columns that are not named.
    """

    new_column: str = "warn"
    missing_column: str = "fail"
    type_change: str = "quarantine"
    new_code: dict[str, str] = field(default_factory=lambda: {"default": "warn"})
    vanished_code: str = "warn"
    unit_change: str = "fail"

    def new_code_mode(self, column: str) -> str:
        """Return the mode for an unknown code in this column."""
        return self.new_code.get(column, self.new_code.get("default", "warn"))


@dataclass(frozen=True)
class Refresh:
    """What to ask again when the office published.

    Attributes
    ----------
    trailing_months : int
        Months before the office's stamp that every release may revise.
    full_every_days : int
        Age of the last load of everything at which everything is asked again: offices correct old years too (CBS, in
        November 2025, those of 2015 to 2023), and say so nowhere that a program could read. 0 where the whole table is
        one request.
    """

    trailing_months: int = 24
    full_every_days: int = 28


@dataclass(frozen=True)
class Release:
    """When the office publishes again, and when the pipeline looks.

    Attributes
    ----------
    every_days : int
        Most days between two releases as planned; 0 where the office has no rhythm, so that nothing can be late.
    grace_days : int
        Days after that before the next release counts as late: holidays, and releases that slip.
    look_hours : int
        Hours after a look before the next one counts as late: a day, and the time that a run may take.
    """

    every_days: int
    grace_days: int = 0
    look_hours: int = 26

    @property
    def days(self) -> int | None:
        """Days after a release from which the next one is late; None where nothing can be."""
        return self.every_days + self.grace_days if self.every_days else None


@dataclass(frozen=True)
class Dataset:
    """One table of one office (a registry file).

    Attributes
    ----------
    protocol : str
        ``odata_v4`` (CBS), ``sdmx`` (Eurostat), ``comext_bulk`` (Eurostat's monthly files) or ``comext_list`` (its
        lists of codes).
    bulk : bool
        CBS: a load of the whole table takes the bulk zip instead of pages of JSON.
    fallback : str
        ``odata_v3``, where the table may be read there when v4 cannot give it; else empty.
    dimensions : dict of str to str
        The office's dimension names, in its order, and the landing column of each. The column of a measure
        dimension is ``measure``; that of time is ``period``.
    select : dict of str to tuple of str
        Codes asked for in dimensions that are neither reporter, partner, product, measure nor period.
    slice_by : str
        ``reporter`` (a load each), ``month`` (a load each; bulk files) or ``whole``.
    reporter : str
        Reporter of a dataset that is not cut by reporter.
    nomenclature : str
        Nomenclature of its products, where scopes name them: ``CN``, ``SITC`` or ``CPA22``.
    products : tuple of str
        Codes, ``scopes`` for the products of all scopes in the dataset's nomenclature; a code that ends in ``*`` is a
        prefix; empty is all.
    total_partner : str
        The office's own code of all partners together; empty if the dataset has none.
    total_parts : tuple of str
        Partners that add up to that total, where the office gives none.
    thresholds : dict of str to float
        Limits of gate 1 that differ from `DEFAULT_THRESHOLDS`.
    guesses : tuple of str
        Limits that nobody has measured: on a first load they warn, later loads are held to the level that was found.
    by_default : bool
        Whether the DAGs load it unless told otherwise.
    """

    code: str
    office: str
    identifier: str
    protocol: str
    title_nl: str
    title_en: str
    dimensions: dict[str, str]
    measures: tuple[Measure, ...]
    period_pattern: str
    first_period: str
    licence: str
    licence_url: str
    citation: str
    source_url: str
    release_note: str
    release: Release
    bulk: bool = False
    fallback: str = ""
    total_partner: str = ""
    total_parts: tuple[str, ...] = ()
    select: dict[str, tuple[str, ...]] = field(default_factory=dict)
    slice_by: str = "whole"
    reporter: str = "NL"
    nomenclature: str = ""
    products: tuple[str, ...] = ()
    by_default: bool = False
    thresholds: dict[str, float] = field(default_factory=dict)
    guesses: tuple[str, ...] = ()
    contract: Contract = field(default_factory=Contract)
    refresh: Refresh = field(default_factory=Refresh)
    # Words that find the table in the office's catalogue when its id does not hold what is declared.
    discover: tuple[str, ...] = ()

    @property
    def measure_codes(self) -> tuple[str, ...]:
        """Codes of the measures that are asked for."""
        return tuple(measure.code for measure in self.measures)

    @property
    def columns(self) -> tuple[str, ...]:
        """Landing columns of the dimensions, in the office's order, without that of the measure."""
        return tuple(column for column in self.dimensions.values() if column != "measure")

    def dimension_of(self, column: str) -> str:
        """Return the office's name of the dimension behind a landing column, empty if there is none."""
        return next((name for name, other in self.dimensions.items() if other == column), "")

    @property
    def period_dimension(self) -> str:
        """The office's name of its time dimension."""
        return self.dimension_of("period")

    def threshold(self, name: str) -> float:
        """Return a limit of gate 1: the declared one, or the default."""
        return self.thresholds.get(name, DEFAULT_THRESHOLDS[name])

    @property
    def value_limit(self) -> float:
        """What an absolute value, in the office's units, is below: the facts hold 15 digits before the point."""
        return 1e15 / max(1.0, *(measure.factor for measure in self.measures))

    @property
    def value_measures(self) -> tuple[str, ...]:
        """Codes of the measures in euros."""
        return tuple(measure.code for measure in self.measures if measure.canonical_unit == "EUR")

    @property
    def level_measures(self) -> tuple[str, ...]:
        """Codes of the measures whose sum has a level: those in euros, or else all that cannot be negative."""
        return self.value_measures or self.positive_measures

    @property
    def positive_measures(self) -> tuple[str, ...]:
        """Codes of the measures that cannot be negative: all but balances and percentages."""
        return tuple(m.code for m in self.measures if m.canonical_unit not in ("BALANCE", "PERCENT"))

    @property
    def history_measures(self) -> tuple[str, ...]:
        """Codes of the measures whose level is compared with its own past; of bulk files, columns."""
        if self.protocol == "comext_bulk":
            return ("value_eur", "quantity_kg")
        return () if self.protocol == "comext_list" else self.positive_measures

    @property
    def unit_value_of(self) -> tuple[str, ...]:
        """Measure of the value and measure of the weight of which unit values are made; empty if there are none."""
        if self.protocol == "comext_bulk":
            return self.history_measures
        weights = [measure.code for measure in self.measures if measure.canonical_unit == "KG"]
        return (self.value_measures[0], weights[0]) if weights and self.value_measures else ()

    @property
    def index_measures(self) -> tuple[str, ...]:
        """Codes of the measures that are indexes or rates: hardly revised, unless their base changes."""
        return tuple(m.code for m in self.measures if m.canonical_unit in ("INDEX", "RATE"))

    @property
    def is_annual(self) -> bool:
        """Whether its periods are years."""
        return "A" in self.select.get("freq", ()) or self.protocol == "comext_list"

    def first_month_asked(self, month: str) -> str:
        """Return the month to ask from so that a month is whole: its January, where years stand beside the months.

        A year, which CBS publishes with its months, is placed at its January: a load from a later month on would not
        know that it speaks of it.
        """
        return f"{month[:4]}-01" if self.office == "cbs" or self.is_annual else month

    @property
    def is_comext(self) -> bool:
        """Whether it lives on Eurostat's Comext host: all ``DS-*`` codes do, and nothing else."""
        return self.office == "eurostat" and self.identifier.startswith("DS-")

    def reporters(self, countries: Iterable[str]) -> tuple[str, ...]:
        """Return the dataset's own codes of reporters (ISO codes, or `EU`).

        Eurostat's main host calls Greece ``EL``; all members together are a reporter of Comext only.
        """
        if self.is_comext:
            return tuple(countries)
        return tuple("EL" if country == "GR" else country for country in countries if country != EU)

    def slice_reporters(self, countries: Iterable[str]) -> tuple[str, ...]:
        """Return the reporter of each slice that is loaded for these countries; ``*`` for files of all reporters."""
        if self.slice_by == "month":
            return ("*",)
        return self.reporters(countries) if self.slice_by == "reporter" else (self.reporter,)

"""A declared dataset: dimensions, measures, contract, release schedule and limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# Permitted modes of each contract rule. `warn` reports and loads; `quarantine` rejects the affected rows;
# `fail` stops the load.
CONTRACT_MODES: dict[str, tuple[str, ...]] = {
    "new_column": ("warn", "fail"),
    "missing_column": ("warn", "fail"),
    "type_change": ("quarantine", "fail"),
    "new_code": ("warn", "quarantine", "fail"),
    "vanished_code": ("warn", "fail"),
    "unit_change": ("quarantine", "fail"),
}
# Default limits of the landing gate: rounding of a figure; largest share of a total not explained by its members;
# largest share of the last vintage's value that may vanish; smallest share of its cells that must be present again.
DEFAULT_THRESHOLDS = {
    "rounding_unit_eur": 1.0,
    "max_unexplained_share": 0.02,
    "max_vanished_share": 0.02,
    "min_rows_ratio": 0.98,
}
# All EU members together: a reporter of Comext alongside its members.
EU = "EU27_2020"
PROTOCOLS = ("odata_v4", "sdmx", "comext_bulk", "comext_list")
# Columns that the landing adds to every observation; no dimension may use these names.
RESERVED_COLUMNS = frozenset(
    {"load_id", "request_no", "change_kind", "measure", "value", "status", "confidentiality", "rule"}
)


@dataclass(frozen=True)
class Measure:
    """One measure of a dataset, with its conversion to the warehouse's unit.

    Attributes
    ----------
    code : str
        The office's code (``D001636``, ``VALUE_IN_EUROS``).
    unit : str
        The unit as the office states it, checked on every load where the office states it; blanks are ignored
        (`same_unit`). Empty: not seen yet; the first live load shows it.
    canonical_unit : str
        ``EUR``, ``KG``, ``SUPPLEMENTARY``, ``INDEX``, ``PERCENT``, ``COUNT``, ``BALANCE`` or ``RATE``.
    factor : float
        Office unit to canonical unit.
    index : int or None
        CBS: position in ``MeasureCodes`` (v4 ``Index``), which is the ``ID`` in ``DataProperties`` of v3.
    title : str
        CBS: its title, used to find the measure when its code changes. Empty: no lookup by title.
    group : str
        CBS: its ``MeasureGroupId``, where titles repeat and only the group identifies the measure.
    """

    code: str
    unit: str
    canonical_unit: str
    factor: float
    index: int | None = None
    title: str = ""
    group: str = ""


def same_unit(one: str, other: str) -> bool:
    """True if two texts name the same unit: CBS writes ``2021=100`` and ``2021 = 100``."""
    return "".join(one.split()) == "".join(other.split())


@dataclass(frozen=True)
class Contract:
    """Modes that apply when a reply differs from its declaration; see `CONTRACT_MODES`.

    Attributes
    ----------
    new_code : dict of str to str
        Mode by landing column; ``default`` for all other columns.
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
    """Scope of the request after a new release.

    Attributes
    ----------
    trailing_months : int
        Months before the office's timestamp that every release may revise.
    full_every_days : int
        Age of the last full load at which the next full load is due: offices correct old years too (CBS, in November
        2025, those of 2015 to 2023) and publish no machine-readable notice. 0 where the whole table is one request.
    """

    trailing_months: int = 24
    full_every_days: int = 28


@dataclass(frozen=True)
class Release:
    """Release schedule of a dataset, and how often the pipeline polls.

    Attributes
    ----------
    every_days : int
        Maximum planned days between two releases; 0 where the office has no schedule, so that nothing can be late.
    grace_days : int
        Further days before the next release counts as late: holidays and delayed releases.
    look_hours : int
        Hours after a poll before the next one counts as late: a day plus the duration of a run.
    """

    every_days: int
    grace_days: int = 0
    look_hours: int = 26

    @property
    def days(self) -> int | None:
        """Days after a release from which the next one is late; None without a schedule."""
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
        CBS: a full load downloads the bulk zip instead of pages of JSON.
    fallback : str
        ``odata_v3`` if the table may be read there when v4 fails; else empty.
    dimensions : dict of str to str
        The office's dimension names, in its order, and the landing column of each. The column of a measure
        dimension is ``measure``; that of time is ``period``.
    select : dict of str to tuple of str
        Codes requested in dimensions other than reporter, partner, product, measure and period.
    slice_by : str
        ``reporter`` (a load each), ``month`` (a load each; bulk files) or ``whole``.
    reporter : str
        Reporter of a dataset that is not sliced by reporter.
    nomenclature : str
        Nomenclature of its products, where scopes select them: ``CN``, ``SITC`` or ``CPA22``.
    products : tuple of str
        Codes, ``scopes`` for the products of all scopes in the dataset's nomenclature; a code that ends in ``*`` is a
        prefix; empty is all.
    total_partner : str
        The office's code of all partners together; empty if the dataset has none.
    total_parts : tuple of str
        Partners that add up to that total, where the office publishes none.
    thresholds : dict of str to float
        Limits of the landing gate that differ from `DEFAULT_THRESHOLDS`.
    guesses : tuple of str
        Limits that have not been measured: on a first load they warn; later loads are held to the level found then.
    by_default : bool
        True if the DAGs load it by default.
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
    # Search words for the office's catalogue, used when the id does not lead to the declared table.
    discover: tuple[str, ...] = ()

    @property
    def measure_codes(self) -> tuple[str, ...]:
        """Codes of the requested measures."""
        return tuple(measure.code for measure in self.measures)

    @property
    def columns(self) -> tuple[str, ...]:
        """Landing columns of the dimensions, in the office's order, without the measure column."""
        return tuple(column for column in self.dimensions.values() if column != "measure")

    def dimension_of(self, column: str) -> str:
        """Return the office's name of the dimension behind a landing column, empty if there is none."""
        return next((name for name, other in self.dimensions.items() if other == column), "")

    @property
    def period_dimension(self) -> str:
        """The office's name of its time dimension."""
        return self.dimension_of("period")

    def threshold(self, name: str) -> float:
        """Return a limit of the landing gate: the declared one, or the default."""
        return self.thresholds.get(name, DEFAULT_THRESHOLDS[name])

    @property
    def value_limit(self) -> float:
        """Upper bound of an absolute value, in the office's units: facts hold 15 digits before the decimal point."""
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
        """Codes of the measures whose level is compared with its own history; columns for bulk files."""
        if self.protocol == "comext_bulk":
            return ("value_eur", "quantity_kg")
        return () if self.protocol == "comext_list" else self.positive_measures

    @property
    def unit_value_of(self) -> tuple[str, ...]:
        """Value measure and weight measure used for unit values; empty if there are none."""
        if self.protocol == "comext_bulk":
            return self.history_measures
        weights = [measure.code for measure in self.measures if measure.canonical_unit == "KG"]
        return (self.value_measures[0], weights[0]) if weights and self.value_measures else ()

    @property
    def index_measures(self) -> tuple[str, ...]:
        """Codes of the index and rate measures: rarely revised, unless their base changes."""
        return tuple(m.code for m in self.measures if m.canonical_unit in ("INDEX", "RATE"))

    @property
    def is_annual(self) -> bool:
        """True if its periods are years."""
        return "A" in self.select.get("freq", ()) or self.protocol == "comext_list"

    def first_month_asked(self, month: str) -> str:
        """Return the first month to request so that a month is complete: its January where the table also has years.

        CBS publishes years alongside months; a year is placed at its January, so a load from a later month would not
        cover it.
        """
        return f"{month[:4]}-01" if self.office == "cbs" or self.is_annual else month

    @property
    def is_comext(self) -> bool:
        """True if it is on Eurostat's Comext host: all ``DS-*`` codes are, and nothing else."""
        return self.office == "eurostat" and self.identifier.startswith("DS-")

    def reporters(self, countries: Iterable[str]) -> tuple[str, ...]:
        """Return the dataset's codes of reporters (ISO codes, or `EU`).

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

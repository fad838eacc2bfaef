"""A Eurostat dataset (dimensions with their codes, periods, a function that returns cells) and a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.economy import Integers
from simulator.release import Release

#: Observation flags and confidentiality statuses, in the order in which `Cells` numbers them.
#: Separate lists since 27 January 2025; before, a confidential cell had the flag c.
FLAGS = {"": "", "b": "break in time series", "e": "estimated", "p": "provisional"}
CONFIDENTIALITY = {"": "", "C": "confidential"}


@dataclass(frozen=True)
class Query:
    """A request to a host.

    Attributes
    ----------
    parameters
        Query parameters in order, decoded; a name may occur more than once.
    url
        Path and query as sent, for the faults to match.
    base_url
        Address of the simulator as the client knows it.
    """

    parameters: Sequence[tuple[str, str]]
    url: str
    base_url: str

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a parameter."""
        return dict(self.parameters).get(name, default)


@dataclass(frozen=True)
class Dimension:
    """A dimension of a dataset.

    Attributes
    ----------
    name
        Identifier, as in the key and the CSV header.
    codelist, codelist_version
        Its code list.
    labels
        English label by code, in the order of the constraint.
    title
        English name of the dimension.
    listed
        Codes in the order of the content constraint, if that differs.
    """

    name: str
    codelist: str
    codelist_version: str
    labels: Mapping[str, str]
    title: str = ""
    listed: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes, in the order of the rows of a reply."""
        return tuple(self.labels)


@dataclass(frozen=True)
class Cells:
    """Published cells, as positions in the lists of the dataset; all arrays have the same length.

    Attributes
    ----------
    positions
        By dimension: position of the code in `Dimension.codes`.
    periods
        Position of the period in `Dataset.all_periods`.
    numbers
        Value times ten to the power of ``decimals``.
    decimals
        Decimal places, at most 6; trailing zeros are not written.
    flags, confidentiality
        Position in `FLAGS` and `CONFIDENTIALITY`; None if no cell has one. A confidential cell has no value.
    """

    positions: Mapping[str, Integers]
    periods: Integers
    numbers: Integers
    decimals: Integers
    flags: Integers | None = None
    confidentiality: Integers | None = None


@dataclass(frozen=True)
class Selection:
    """Selection of a query: codes per dimension, and period labels per frequency."""

    codes: Mapping[str, tuple[str, ...]]
    periods: Mapping[str, tuple[str, ...]]

    @property
    def cost(self) -> int:
        """Number of positions, with or without a value: the size by which the office limits an extraction."""
        cost = sum(len(self.periods[freq]) for freq in self.codes["freq"])
        for dimension, codes in self.codes.items():
            cost *= 1 if dimension == "freq" else len(codes)
        return cost


@dataclass(frozen=True)
class Meaning:
    """Columns and codes of a dataset that the faults use; see `simulator.faults.registry.Rows`."""

    partner: str
    indicator: str
    total: str
    aggregates: tuple[str, ...]
    large_partners: tuple[str, ...]
    unknown_partner: str
    main_indicators: tuple[str, ...]
    renamed_indicator: tuple[str, str] | None = None


@dataclass(frozen=True)
class Dataset:
    """One dataset of one host.

    Attributes
    ----------
    code
        Identifier of dataflow and data structure.
    titles
        Title by language, in the order in which the host lists them.
    dsd_version
        Version of the data structure.
    metadata
        Name of the page with explanatory texts.
    days_later
        Days after the release of the trade datasets.
    dimensions
        In the order of the key; ``freq`` is first.
    periods
        Published periods of a release by frequency.
    cells
        Published cells of a selection; None if the dataset is listed but has no data in the simulator.
    meaning
        For the faults.
    has_flags
        True if observations have the attributes ``OBS_FLAG`` and ``CONF_STATUS``.
    is_comext
        True if it is on the Comext host.
    """

    code: str
    titles: Mapping[str, str]
    dsd_version: str
    metadata: str
    days_later: int = 0
    dimensions: tuple[Dimension, ...] = ()
    periods: Callable[[Release], Mapping[str, tuple[str, ...]]] = field(default=lambda release: {})
    cells: Callable[[Selection, Release], Cells] | None = None
    meaning: Meaning | None = None
    has_flags: bool = False
    is_comext: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, without the time."""
        return tuple(dimension.name for dimension in self.dimensions)

    def dimension(self, name: str) -> Dimension:
        """Return the dimension of a name."""
        return next(dimension for dimension in self.dimensions if dimension.name == name)

    def all_periods(self, release: Release) -> tuple[str, ...]:
        """Return the published periods of a release by frequency, as `Cells.periods` numbers them."""
        periods = self.periods(release)
        return tuple(label for freq in self.dimension("freq").codes for label in periods[freq])

    def stamp(self, release: Release) -> str:
        """Return the time of the newest data in the format of the host."""
        day = release.eurostat_stamp
        return day.replace("-15T", f"-{15 + self.days_later}T") if self.days_later else day


def select_between(periods: Mapping[str, Sequence[str]], start: str, end: str) -> dict[str, tuple[str, ...]]:
    """Return the periods from ``start`` to ``end``, both inclusive, each a year or a month."""

    def is_inside(label: str) -> bool:
        # A bound by year includes all its months; a bound by month is compared with a year by the year.
        after = not start or label[: len(start)] >= start[: len(label)]
        before = not end or label[: len(end)] <= end[: len(label)]
        return after and before

    return {freq: tuple(filter(is_inside, labels)) for freq, labels in periods.items()}

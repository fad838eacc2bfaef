"""The tables that the simulated CBS serves, as data: dimensions, measures, when they come out, and their numbers.

Identifiers, measure codes and units are those of the reference unless a comment says that they are not verified.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulator.cbs import cells, lists, periods
from simulator.cbs.cells import Cube
from simulator.cbs.periods import MONTHS, Period
from simulator.economy import START_YEAR, CbsGood, Economy, Release

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
        ``Index`` in v4 and ``ID`` in v3: the place among dimensions, groups and measures.
    column
        Column in v3: name and position among the topics.
    group
        Identifier of the group it stands in, if any.
    is_phantom
        Described, but without a single observation.
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
    """A heading over measures; ``slot`` as in `Measure`."""

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
        Identifier and title of the groups; none if the office has none.
    """

    name: str
    title: str
    codes: Callable[[Economy], CodeRecords]
    groups: Groups = ()


@dataclass(frozen=True)
class Publication:
    """When a table comes out.

    Attributes
    ----------
    day, months_back
        Day of the month, and how many months before the month of the release; a shorter month ends it earlier.
    ahead
        Months that the table holds more than the trade tables do.
    fixed
        Instant of the only publication of a table that has been discontinued, and its number of months.
    """

    day: int = 2
    months_back: int = 0
    ahead: int = 0
    fixed: tuple[datetime, int] | None = None

    def released(self, release: Release) -> datetime:
        """Instant of publication: 06:30 in the Netherlands."""
        if self.fixed is not None:
            return self.fixed[0]
        year, month = release.year_month
        index = year * 12 + month - 1 - self.months_back
        year, month = index // 12, index % 12 + 1
        day = min(self.day, calendar.monthrange(year, month)[1])
        return datetime(year, month, day, 6, 30, tzinfo=AMSTERDAM)

    def months(self, release: Release) -> int:
        """Number of months from 2021-01."""
        return release.cbs_months + self.ahead if self.fixed is None else self.fixed[1]


Numbers = Callable[["Table", Economy, list[Period], int], Cube]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    numbers
        Gives the cube: dimensions in order, periods, measures.
    partner
        Dimension whose members the data faults drop, rename and add up.
    total, aggregates, large_partners, main_measures
        Members and measures for the data faults; see `simulator.faults.registry.Rows`.
    grains
        Arguments of `simulator.cbs.periods.lay_out`.
    time_groups
        Groups of the periods; none if the office has none.
    key_widths
        Width of the keys of a dimension in v3, where it is more than that of its longest key.
    is_in_v4
        False: v4 has the metadata only, and answers 404 for the observations.
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
        """Whether no release adds to it any more."""
        return self.publication.fixed is not None

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """Names of all dimensions, ``Perioden`` last."""
        return (*(dimension.name for dimension in self.dimensions), "Perioden")

    def periods(self, release: Release) -> list[Period]:
        """Periods that a release holds."""
        return periods.lay_out(self.publication.months(release), **self.grains)

    def codes(self, name: str, economy: Economy, release: Release) -> CodeRecords:
        """Records of a code list of the table.

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
        return {dimension.name: dimension for dimension in self.dimensions}[name].codes(economy)

    def groups(self, name: str) -> Groups:
        """Groups of a dimension."""
        if name == "Perioden":
            return self.time_groups
        return {dimension.name: dimension for dimension in self.dimensions}[name].groups

    def cube(self, economy: Economy, release: Release) -> Cube:
        """Numbers that a release holds."""
        months = self.publication.months(release)
        return self.numbers(self, economy, self.periods(release), months)

    def coverage(self, release: Release) -> str:
        """Text of ``TemporalCoverage``."""
        newest = self.publication.months(release) - 1
        return f"{START_YEAR} januari - {START_YEAR + newest // 12} {MONTHS[newest % 12]}."

    def description(self, release: Release) -> str:
        """Text about the table, with what a release added."""
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


def _codes_of(table: Table) -> list[str]:
    return [measure.code for measure in table.measures]


# -- trade by section -----------------------------------------------------------------------------------

_TRANSIT = (
    "\r\n\r\nLet wel: het gaat hier om zogenaamde quasi-doorvoer, waarbij goederen Nederland niet "
    "uitsluitend doorkruisen om transport technische redenen. In de meeste gevallen zijn ze "
    "alleen in Nederland voor douaneaangifte."
)
_CHANGE = "Procentuele verandering vergeleken met dezelfde periode een jaar eerder."
_IMPORTS = "De totale waarde van de goederen die vanuit het buitenland naar Nederland komen."
_EXPORTS = "De totale waarde van de goederen die vanuit Nederland naar het buitenland gaan."
_RE_EXPORTS = (
    "Het deel van de uitvoerwaarde dat bestaat uit oorspronkelijk ingevoerde goederen die Nederlandse "
    "bedrijven en personen in (vrijwel) onbewerkte staat weer uitvoeren vanuit Nederland naar het "
    "buitenland."
)
_DUTCH_PRODUCT = "Het deel van de uitvoerwaarde dat bestaat uit in Nederland gemaakte goederen."
_TRANSIT_IN = (
    "Het deel van de invoerwaarde dat bestaat uit goederen die buitenlandse bedrijven en personen in "
    "(vrijwel) onbewerkte staat weer uitvoeren vanuit Nederland naar het buitenland." + _TRANSIT
)
_TRANSIT_OUT = (
    "Het deel van de uitvoerwaarde dat bestaat uit oorspronkelijk ingevoerde goederen die buitenlandse "
    "bedrijven en personen in (vrijwel) onbewerkte staat weer uitvoeren vanuit Nederland naar het "
    "buitenland." + _TRANSIT
)
_SITC_SOURCE = (
    "Standard International Trade Classification",
    "https://unstats.un.org/unsd/publication/seriesm/seriesm_34rev4e.pdf",
)
_LANDS = Dimension("Landen", "Landen", lists.land_codes, lists.LAND_GROUPS)
_BY_LAND: dict[str, Any] = {
    "partner": "Landen",
    "total": lists.LAND_TOTAL,
    "aggregates": lists.LAND_AGGREGATES,
    "large_partners": lists.LARGE_LANDS,
    "main_measures": ("D001636", "D001607"),
}

_BORDER_CROSSING = Table(
    identifier="85429NED",
    title="Internationale goederenhandel; grensoverschrijding, kerncijfers",
    short_title="Goederenhandel; grensoverschrijding",
    summary=(
        "In-, (weder)uitvoer- en doorvoerwaarde goederen (grensoverschrijding); \nSITC (1 digit) en landen. "
        "High Value Dataset - Statistiek"
    ),
    about=(
        "In deze tabel worden de Nederlandse in-, (weder)uitvoer- en inkomende en uitgaande doorvoerwaarde volgens "
        "grensoverschrijding ingedeeld naar de secties van de Standard International Trade Classification (SITC)."
    ),
    dimensions=(
        _LANDS,
        Dimension("SITC", "SITC", lambda _: lists.section_codes(), lists.SECTION_GROUPS),
    ),
    measures=(
        Measure("D001607", 4, "TotaleInvoerwaarde_1", "Totale invoerwaarde", "mln euro", _IMPORTS, "M007894"),
        # The names of the next columns were not seen, but for the first part of each.
        Measure(
            "M007895", 5, "DoorvoerwaardeInkomend_2", "Doorvoerwaarde inkomend", "mln euro", _TRANSIT_IN, "M007894"
        ),
        Measure("D001636", 7, "TotaleUitvoerwaarde_3", "Totale uitvoerwaarde", "mln euro", _EXPORTS, "M007896"),
        Measure("M001648", 8, "Wederuitvoerwaarde_4", "Wederuitvoerwaarde", "mln euro", _RE_EXPORTS, "M007896"),
        Measure(
            "M001632", 9, "UitvoerwaardeProductNL_5", "Uitvoerwaarde product NL", "mln euro", _DUTCH_PRODUCT, "M007896"
        ),
        Measure(
            "M007897", 10, "DoorvoerwaardeUitgaand_6", "Doorvoerwaarde uitgaand", "mln euro", _TRANSIT_OUT, "M007896"
        ),
        Measure("M001608", 12, "JaarmutatieInvoerwaarde_7", "Jaarmutatie invoerwaarde", "%", _CHANGE, "M007898", 1),
        Measure("M001609", 13, "JaarmutatieUitvoerwaarde_8", "Jaarmutatie uitvoerwaarde", "%", _CHANGE, "M007898", 1),
    ),
    measure_groups=(
        MeasureGroup("M007894", 3, "Invoer"),
        MeasureGroup("M007896", 6, "Uitvoer"),
        MeasureGroup("M007898", 11, "Jaarmutatie"),
    ),
    numbers=lambda table, economy, spans, months: cells.border_crossing(economy, spans, months, _codes_of(table)),
    provenance=(_SITC_SOURCE,),
    related=(
        (
            "Internationale goederenhandel; eigendomsoverdracht, kerncijfers",
            "https://opendata.cbs.nl/statline/#/CBS/nl/dataset/85427ned",
        ),
    ),
    **_BY_LAND,
)

_OWNERSHIP = Table(
    identifier="85427NED",
    title="Internationale goederenhandel; eigendomsoverdracht, kerncijfers",
    short_title="Goederenhandel; eigendomsoverdracht",
    summary="In- en (weder)uitvoerwaarde goederen (eigendomsoverdracht); \nSITC (1 digit) en landen.",
    about=(
        "In deze tabel worden de Nederlandse in- en (weder)uitvoerwaarde volgens eigendomsoverdracht ingedeeld naar "
        "de secties van de Standard International Trade Classification (SITC)."
    ),
    dimensions=(
        _LANDS,
        Dimension("SITC", "SITC", lambda _: lists.section_codes(with_outside=True), lists.SECTION_GROUPS),
    ),
    # The places of the measures, and their groups, were not seen; their order in v3 was.
    measures=(
        Measure("D001607", 3, "TotaleInvoerwaarde_1", "Totale invoerwaarde", "mln euro", _IMPORTS),
        Measure("D001636", 5, "TotaleUitvoerwaarde_2", "Totale uitvoerwaarde", "mln euro", _EXPORTS, "M007896"),
        Measure("M001648", 6, "Wederuitvoerwaarde_3", "Wederuitvoerwaarde", "mln euro", _RE_EXPORTS, "M007896"),
        Measure(
            "M001632", 7, "UitvoerwaardeProductNL_4", "Uitvoerwaarde product NL", "mln euro", _DUTCH_PRODUCT, "M007896"
        ),
        Measure(
            "D001601", 8, "Handelsbalans_5", "Handelsbalans", "mln euro",
            "Het saldo van de uitvoerwaarde minus de invoerwaarde.",
        ),
        Measure("M001608", 10, "JaarmutatieInvoerwaarde_6", "Jaarmutatie invoerwaarde", "%", _CHANGE, "M007898", 1),
        Measure("M001609", 11, "JaarmutatieUitvoerwaarde_7", "Jaarmutatie uitvoerwaarde", "%", _CHANGE, "M007898", 1),
    ),
    measure_groups=(MeasureGroup("M007896", 4, "Uitvoer"), MeasureGroup("M007898", 9, "Jaarmutatie")),
    numbers=lambda table, economy, spans, months: cells.ownership_transfer(economy, spans, months, _codes_of(table)),
    grains={"blank": True},
    provenance=(_SITC_SOURCE,),
    **_BY_LAND,
)  # fmt: skip

# Known to exist with this title and to be discontinued; measures as in its predecessor 7137shih. The instant, the
# v4 codes and the padding of its keys are made up. It holds 2021 and 2022 only: the economy starts in 2021.
_OLD_METHOD = Table(
    identifier="83926NED",
    title="Internationale handel; in- en uitvoerwaarde, SITC, landen",
    short_title="In- en uitvoerwaarde; SITC, landen",
    summary="In- en uitvoerwaarde van goederen; naar SITC \nen landen.",
    about="In deze tabel wordt de Nederlandse in- en uitvoerwaarde (oude methode) ingedeeld naar SITC en landen.",
    dimensions=(
        Dimension("SITC", "SITC", lambda _: lists.section_codes(), lists.SECTION_GROUPS),
        _LANDS,
    ),
    measures=(
        Measure("D001607", 3, "Invoerwaarde_1", "Invoerwaarde", "1 000 euro", _IMPORTS),
        Measure("D001636", 4, "Uitvoerwaarde_2", "Uitvoerwaarde", "1 000 euro", _EXPORTS),
        Measure(
            "D001601", 5, "Handelsbalans_3", "Handelsbalans", "1 000 euro",
            "Het saldo van de uitvoerwaarde minus de invoerwaarde.",
        ),
    ),
    numbers=lambda table, economy, spans, months: _swap(cells.old_method(economy, spans, months)),
    publication=Publication(fixed=(datetime(2023, 2, 15, 2, 0, tzinfo=AMSTERDAM), 24)),
    status=lambda period, published: "Definitief" if period.year == START_YEAR else "NaderVoorlopig",
    key_widths={"SITC": 9},
    is_in_v4=False,
    **_BY_LAND,
)  # fmt: skip


def _swap(cube: Cube) -> Cube:
    return Cube(cube.values.swapaxes(0, 1))


# -- trade by good --------------------------------------------------------------------------------------

_UNVERIFIED_ID = "\r\n\r\nDe sleutel en de titel van deze gesimuleerde tabel zijn niet aan het CBS getoetst."


def _by_sitc(identifier: str, first: str, last: str, what: str, about: str = "") -> Table:
    groups = lists.sitc_goods(first, last)
    return Table(
        identifier=identifier,
        # Made up after the English ones, which begin with "Trade in goods; border crossing, SITC (".
        title=f"Internationale goederenhandel; grensoverschrijding, SITC (5-digit, {what})",
        short_title=f"Goederenhandel; SITC (5-digit, {what})",
        summary="In- en uitvoerwaarde van goederen (grensoverschrijding); SITC (5 digit) en landen.",
        about=(
            "In deze tabel worden de Nederlandse in- en uitvoerwaarde volgens grensoverschrijding ingedeeld naar "
            f"goederen volgens de SITC (5 digit) en naar land.{about}"
        ),
        dimensions=(
            Dimension("SITC", "SITC", lambda _: lists.sitc_codes(groups), lists.division_groups(groups)),
            _LANDS,
        ),
        measures=(
            Measure("D001607", 3, "TotaleInvoerwaarde_1", "Totale invoerwaarde", "mln euro", _IMPORTS),
            Measure("D001636", 4, "TotaleUitvoerwaarde_2", "Totale uitvoerwaarde", "mln euro", _EXPORTS),
        ),
        numbers=lambda table, economy, spans, months: cells.sitc_detail(economy, spans, months, groups),
        grains={"blank": True},
        provenance=(_SITC_SOURCE,),
        **_BY_LAND,
    )


def _by_cn(identifier: str, chapters: tuple[int, int], what: str, about: str = "") -> Table:
    goods: list[CbsGood] = lists.cn_goods(*chapters)
    return Table(
        identifier=identifier,
        # The titles of this family are made up: only the keys were seen.
        title=f"Goederensoorten naar land; {what}",
        short_title=f"Goederensoorten; {what}",
        summary="In- en uitvoer van goederen (grensoverschrijding); goederennaamlijst (8 digit) en landen.",
        about=(
            "In deze tabel worden de Nederlandse in- en uitvoer volgens grensoverschrijding ingedeeld naar "
            f"goederen volgens de gecombineerde nomenclatuur (GN) en naar land.{about}"
        ),
        dimensions=(
            Dimension("GN", "GN", lambda _: lists.cn_codes(goods), lists.chapter_groups(goods)),
            _LANDS,
        ),
        # Neither the unit of the quantities was seen nor their v4 codes: M9990nn is made up. The columns of v3 are as
        # seen.
        measures=(
            Measure("D001607", 3, "TotaleInvoerwaarde_1", "Totale invoerwaarde", "mln euro", _IMPORTS),
            Measure("M999001", 4, "TotaleInvoerhoeveelheid_2", "Totale invoerhoeveelheid", "kg"),
            Measure("D001636", 5, "TotaleUitvoerwaarde_3", "Totale uitvoerwaarde", "mln euro", _EXPORTS),
            Measure("M999002", 6, "TotaleUitvoerhoeveelheid_4", "Totale uitvoerhoeveelheid", "kg"),
        ),
        numbers=lambda table, economy, spans, months: cells.cn_detail(economy, spans, months, goods),
        **_BY_LAND,
    )


# -- the metal industry ---------------------------------------------------------------------------------

# The four keys of ProdCom are those that the reference confirms; the words of their titles are not.
_PRODUCTS = (
    ("A014686", "24 Basismetalen"),
    ("A014687", "241 Ruwijzer, staal en ferrolegeringen"),
    ("A014975", "25 Metaalproducten, geen machines en apparaten"),
    ("A015835", "28 Machines en apparaten, n.e.g."),
)
# A044074-A044077 as the reference reads them. The name of A044078 follows from the title of the table.
_MARKETS = (
    ("A044074", "Totaal afzet"),
    ("A044075", "Afzet binnenland"),
    ("A044076", "Afzet buitenland"),
    ("A044077", "Invoer"),
    ("A044078", "Verbruik"),
)


def _code_list(codes: Groups) -> Callable[[Economy], CodeRecords]:
    records = [lists.code_record(code, index, title, None) for index, (code, title) in enumerate(codes, start=1)]
    return lambda _: [dict(record) for record in records]


def _recent_months(count: int, lag: int = 0) -> Callable[[Period, tuple[int, int]], str]:
    """Status by age: the newest ``count`` months are provisional.

    The newest month ends ``lag`` months before the month of publication.
    """

    def status(period: Period, published: tuple[int, int]) -> str:
        age = (published[0] - START_YEAR) * 12 + published[1] - 1 - lag - period.stop
        return "Voorlopig" if age < count else "Definitief"

    return status


_PRODUCER_PRICES = Table(
    identifier="85770NED",
    title="Producentenprijzen (PPI); afzet-, invoer-, verbruiksprijzen, index 2021=100",
    short_title="Producentenprijzen, index 2021=100",
    summary="Producentenprijsindex naar productgroep (ProdCom) en afzetgebied.",
    about="Deze tabel bevat prijsindexcijfers van producten van de industrie, naar afzetgebied.",
    dimensions=(
        Dimension("AlleProdComCoderingen", "Alle ProdCom-coderingen", _code_list(_PRODUCTS)),
        Dimension("Afzetgebieden", "Afzetgebieden", _code_list(_MARKETS)),
    ),
    measures=(
        Measure("M003367", 3, "ProducentenprijsindexPPI_1", "Producentenprijsindex (PPI)", "2021=100", decimals=1),
        Measure(
            "M003316", 4, "OntwikkelingTOVVoorgaandeMaand_2", "Ontwikkeling t.o.v. voorgaande maand", "%", decimals=1
        ),
        Measure("M003288", 5, "OntwikkelingTOVEenJaarEerder_3", "Ontwikkeling t.o.v. een jaar eerder", "%", decimals=1),
    ),
    numbers=lambda table, economy, spans, months: cells.producer_prices(
        economy, spans, months, len(_PRODUCTS), len(_MARKETS)
    ),
    publication=Publication(day=30, months_back=1, ahead=1),
    status=_recent_months(cells.PRICES_PROVISIONAL),
    partner="AlleProdComCoderingen",
    total="A014686",
    large_partners=("A014975",),
    unknown_partner="A999999",
    main_measures=("M003367",),
)

# As the sister table has it: other tables leave the blanks out.
_BASE = "2021 = 100"

_PRODUCTION = Table(
    identifier="85806NED",
    title="Nijverheid; productie en omzet, ontwikkeling en index (2021=100)",
    short_title="Nijverheid; productie, omzet, 2021=100",
    summary="Productie en omzet van de nijverheid (SBI 2008), \nontwikkelingen en index 2021=100.",
    about="Deze tabel geeft informatie over de ontwikkeling van productie en omzet in de nijverheid (SBI 2008).",
    dimensions=(
        # Keys padded with blanks in v4 too, as CBS does in some code lists; that it does so here was not seen.
        Dimension(
            "BedrijfstakkenBranchesSBI2008",
            "Bedrijfstakken/branches (SBI 2008)",
            lambda _: lists.branch_codes(width=10),
        ),
    ),
    # Codes, titles that repeat, units and groups as in the sister table 85828NED (recorded); of this table only
    # A050903_1, A050903_3, M001557_2 and M001557_6 were seen, and the columns of v3 that end in _3, _14 and _21. The
    # other suffixes of the columns, the titles of the groups and M9990nn are made up.
    measures=(
        Measure("A042501_1", 4, "OngecorrigeerdeProductie_1", "Ongecorrigeerd", _BASE, "", "M001288_1", 1),
        Measure("A052581_1", 5, "KalendergecorrigeerdeProductie_2", "Kalendergecorrigeerd", _BASE, "", "M001288_1", 1),
        Measure("A050903_1", 6, "SeizoengecorrigeerdeProductie_3", "Seizoengecorrigeerd", _BASE, "", "M001288_1", 1),
        Measure("M001557_2", 8, "TotaleOmzet_4", "Totale omzet", _BASE, "", "M001288_2", 1),
        Measure("M999012", 9, "OmzetBinnenland_5", "Omzet binnenland", _BASE, "", "M001288_2", 1, is_phantom=True),
        Measure("M999013", 10, "OmzetBuitenland_6", "Omzet buitenland", _BASE, "", "M001288_2", 1),
        Measure("A042501_2", 20, "OngecorrigeerdeProductie_13", "Ongecorrigeerd", "%", _CHANGE, "M000245_1", 1),
        Measure(
            "A052581_2", 21, "KalendergecorrigeerdeProductie_14", "Kalendergecorrigeerd", "%", _CHANGE, "M000245_1", 1
        ),
        Measure(
            "A050903_3", 32, "OntwSeizoengecorrigeerdeProductie_21", "Seizoengecorrigeerd", "%", "", "M000247_1", 1
        ),
        Measure("M001557_6", 34, "OntwTotaleOmzet_22", "Totale omzet", "%", _CHANGE, "M000245_2", 1),
    ),
    measure_groups=(
        MeasureGroup("M001288_1", 3, "Productie, indexcijfers"),
        MeasureGroup("M001288_2", 7, "Omzet, indexcijfers"),
        MeasureGroup("M000245_1", 19, "Productie, ontwikkeling t.o.v. een jaar eerder"),
        MeasureGroup("M000247_1", 31, "Productie, ontwikkeling t.o.v. voorgaande periode"),
        MeasureGroup("M000245_2", 33, "Omzet, ontwikkeling t.o.v. een jaar eerder"),
    ),
    numbers=lambda table, economy, spans, months: cells.production(
        economy, spans, months, len(lists.branch_codes()), _codes_of(table)
    ),
    publication=Publication(day=10, months_back=1),
    grains={"quarters": True},
    time_groups=(("0", "Maanden"), ("1", "Kwartalen"), ("2", "Jaren")),
    status=_recent_months(cells.PRODUCTION_PROVISIONAL, lag=1),
    partner="BedrijfstakkenBranchesSBI2008",
    total="307500    ",
    large_partners=("336500    ",),
    unknown_partner="999999    ",
    main_measures=("A042501_1",),
)  # fmt: skip

_CONFIDENCE_BRANCHES = ("307500", "328105", "332905", "339205")
# Codes as an author of CBS uses them, in the order of the columns of v3; the fourth column was not seen, and neither
# were the group and the unit.
_CONFIDENCE_MEASURES = (
    Measure("M002289", 4, "Producentenvertrouwen_1", "Producentenvertrouwen", "saldo %", decimals=1),
    Measure("M002291", 6, "VerwachteBedrijvigheid_2", "Verwachte bedrijvigheid", "saldo %", "", "M999020", 1),
    Measure("M000210", 7, "OordeelOrderpositie_3", "Oordeel orderpositie", "saldo %", "", "M999020", 1),
    Measure("M000004", 8, "OordeelVoorradenGereedProduct_4", "Oordeel voorraden gereed product", "saldo %", "",
            "M999020", 1),
)  # fmt: skip

_CONFIDENCE = Table(
    identifier="81234ned",
    title="Producentenvertrouwen; sentimentsindicator naar bedrijfstak/branche",
    short_title="Producentenvertrouwen; branche",
    summary="Producentenvertrouwen en deelindicatoren naar branche (SBI 2008).",
    about="Deze tabel bevat de stemmingsindicator van ondernemers in de industrie.",
    dimensions=(
        Dimension(
            "BedrijfstakkenBranchesSBI2008",
            "Bedrijfstakken/branches (SBI 2008)",
            lambda _: lists.branch_codes(*_CONFIDENCE_BRANCHES),
        ),
        Dimension(
            "Marges",
            "Marges",
            _code_list((("MW00000", "Waarde"), ("MOG0095", "Ondergrens 95%"), ("MBG0095", "Bovengrens 95%"))),
        ),
        Dimension("Seizoencorrectie", "Seizoencorrectie", _code_list((("A042500", "Seizoengecorrigeerd"),))),
    ),
    measures=_CONFIDENCE_MEASURES,
    measure_groups=(MeasureGroup("M999020", 5, "Deelindicatoren"),),
    numbers=lambda table, economy, spans, months: cells.confidence(
        economy, spans, months, len(_CONFIDENCE_BRANCHES), len(_CONFIDENCE_MEASURES)
    ),
    publication=Publication(day=29, months_back=1, ahead=2),
    grains={"years": False},
    time_groups=(),
    status=lambda period, published: "Definitief",
    partner="BedrijfstakkenBranchesSBI2008",
    total="307500",
    large_partners=("332905",),
    unknown_partner="999999",
    main_measures=("M002289",),
)

_TABLES = (
    _BORDER_CROSSING,
    _OWNERSHIP,
    _by_sitc("85681NED", "5", "65893", "chemie tot en met textiel"),
    _by_sitc("85682NED", "66", "69", "mineralen en metalen"),
    _by_sitc("85683NED", "7", "79", "machines en vervoermaterieel", _UNVERIFIED_ID),
    _by_cn("85440NED", (1, 24), "natuur, voeding en tabak"),
    _by_cn("85441NED", (25, 40), "minerale brandstoffen en chemie"),
    _by_cn("85442NED", (41, 83), "hout, textiel, bouw en metaal", _UNVERIFIED_ID),
    _by_cn("85443NED", (84, 97), "machines, vervoer en overig", _UNVERIFIED_ID),
    _PRODUCER_PRICES,
    _PRODUCTION,
    _CONFIDENCE,
    _OLD_METHOD,
)

#: Every table that is served, by its identifier, which is case-sensitive.
TABLES: Mapping[str, Table] = {table.identifier: table for table in _TABLES}

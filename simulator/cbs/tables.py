"""The tables that the simulated CBS serves.

Identifiers, measure codes and units are those of the reference unless a comment marks them as not verified. The
measures, and the headings above them, are in ``topics.csv``: the rows of a heading have no column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from simulator.cbs import cells, lists
from simulator.cbs.cells import Cube
from simulator.cbs.periods import Period
from simulator.cbs.table import (
    AMSTERDAM,
    CodeRecords,
    Dimension,
    Groups,
    Measure,
    MeasureGroup,
    Publication,
    Table,
)
from simulator.csv_tables import read_table
from simulator.partners import PartnerList
from simulator.release import START_YEAR

_TOPICS = read_table("simulator/cbs/topics.csv")


def _topics(tables: str) -> dict[str, Any]:
    """Return the measures and their headings of one table, or of a family of tables."""
    rows = [row for row in _TOPICS if row["tables"] == tables]
    return {
        "measures": tuple(
            Measure(
                code=row["code"],
                slot=int(row["slot"]),
                column=row["column"],
                title=row["title"],
                unit=row["unit"],
                # CBS ends a line with CRLF.
                text=row["text"].replace("\n", "\r\n"),
                group=row["group"] or None,
                decimals=int(row["decimals"]),
                is_phantom=row["is_phantom"] == "true",
            )
            for row in rows
            if row["column"]
        ),
        "measure_groups": tuple(
            MeasureGroup(row["code"], int(row["slot"]), row["title"]) for row in rows if not row["column"]
        ),
    }


def _codes_of(table: Table) -> list[str]:
    return [measure.code for measure in table.measures]


# -- trade by section -----------------------------------------------------------------------------------

_SITC_SOURCE = (
    "Standard International Trade Classification",
    "https://unstats.un.org/unsd/publication/seriesm/seriesm_34rev4e.pdf",
)
_LANDS = Dimension("Landen", "Landen", lists.land_codes, lists.LAND_GROUPS)
_SECTIONS = Dimension("SITC", "SITC", lambda _: lists.section_codes(), lists.SECTION_GROUPS)
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
    dimensions=(_LANDS, _SECTIONS),
    # The column names after TotaleInvoerwaarde_1 were not seen, except for the first part of each.
    **_topics("85429NED"),
    numbers=lambda table, trade, spans, months: cells.border_crossing(trade, spans, months, _codes_of(table)),
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
    dimensions=(_LANDS, replace(_SECTIONS, codes=lambda _: lists.section_codes(with_outside=True))),
    # The slots of the measures, and their groups, were not seen; their order in v3 was.
    **_topics("85427NED"),
    numbers=lambda table, trade, spans, months: cells.ownership_transfer(trade, spans, months, _codes_of(table)),
    grains={"blank": True},
    provenance=(_SITC_SOURCE,),
    **_BY_LAND,
)

# Known to exist with this title and to be discontinued; measures as in its predecessor 7137shih. The time of
# publication, the v4 codes and the padding of its keys are made up. It has 2021 and 2022 only: the economy starts in
# 2021.
_OLD_METHOD = Table(
    identifier="83926NED",
    title="Internationale handel; in- en uitvoerwaarde, SITC, landen",
    short_title="In- en uitvoerwaarde; SITC, landen",
    summary="In- en uitvoerwaarde van goederen; naar SITC \nen landen.",
    about="In deze tabel wordt de Nederlandse in- en uitvoerwaarde (oude methode) ingedeeld naar SITC en landen.",
    dimensions=(_SECTIONS, _LANDS),
    **_topics("83926NED"),
    numbers=lambda table, trade, spans, months: Cube(cells.old_method(trade, spans, months).values.swapaxes(0, 1)),
    publication=Publication(fixed=(datetime(2023, 2, 15, 2, 0, tzinfo=AMSTERDAM), 24)),
    status=lambda period, published: "Definitief" if period.year == START_YEAR else "NaderVoorlopig",
    key_widths={"SITC": 9},
    is_in_v4=False,
    **_BY_LAND,
)


# -- trade by good --------------------------------------------------------------------------------------

_UNVERIFIED_ID = "\r\n\r\nDe sleutel en de titel van deze gesimuleerde tabel zijn niet aan het CBS getoetst."


def _by_sitc(identifier: str, first: str, last: str, what: str, about: str = "") -> Table:
    groups = lists.sitc_goods(first, last)
    return Table(
        identifier=identifier,
        # Made up after the English titles, which begin with "Trade in goods; border crossing, SITC (".
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
        **_topics("SITC"),
        numbers=lambda table, trade, spans, months: cells.sitc_detail(trade, spans, months, groups),
        grains={"blank": True},
        provenance=(_SITC_SOURCE,),
        **_BY_LAND,
    )


def _by_cn(identifier: str, chapters: tuple[int, int], what: str, about: str = "") -> Table:
    goods = lists.cn_goods(*chapters)
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
        # The unit and the v4 codes of the quantities were not seen: M9990nn is made up. The v3 columns are as seen.
        **_topics("CN"),
        numbers=lambda table, trade, spans, months: cells.cn_detail(trade, spans, months, goods),
        **_BY_LAND,
    )


# -- the metal industry ---------------------------------------------------------------------------------

# The four keys of ProdCom are those that the reference confirms; the words of their titles are not confirmed.
_PRODUCTS = (
    ("A014686", "24 Basismetalen"),
    ("A014687", "241 Ruwijzer, staal en ferrolegeringen"),
    ("A014975", "25 Metaalproducten, geen machines en apparaten"),
    ("A015835", "28 Machines en apparaten, n.e.g."),
)
# A044074-A044077 as the reference has them. The name of A044078 follows from the title of the table.
_MARKETS = (
    ("A044074", "Totaal afzet"),
    ("A044075", "Afzet binnenland"),
    ("A044076", "Afzet buitenland"),
    ("A044077", "Invoer"),
    ("A044078", "Verbruik"),
)


def _code_list(codes: Groups) -> Callable[[PartnerList], CodeRecords]:
    records = [lists.code_record(code, index, title, None) for index, (code, title) in enumerate(codes, start=1)]
    return lambda _: [dict(record) for record in records]


def _recent_months(count: int, lag: int = 0) -> Callable[[Period, tuple[int, int]], str]:
    """Return the status by age: the newest ``count`` months are provisional.

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
    **_topics("85770NED"),
    numbers=lambda table, trade, spans, months: cells.producer_prices(
        trade.economy, spans, months, len(_PRODUCTS), len(_MARKETS)
    ),
    publication=Publication(day=30, months_back=1, ahead=1),
    status=_recent_months(cells.PRICES_PROVISIONAL),
    partner="AlleProdComCoderingen",
    total="A014686",
    large_partners=("A014975",),
    unknown_partner="A999999",
    main_measures=("M003367",),
)

# Codes, repeated titles, units and groups as in the sister table 85828NED (recorded); of this table only A050903_1,
# A050903_3, M001557_2 and M001557_6 were seen, and the v3 columns that end in _3, _14 and _21. The other suffixes of
# the columns, the titles of the groups and M9990nn are made up. The unit "2021 = 100" has blanks as in the sister
# table; other tables omit them.
_PRODUCTION = Table(
    identifier="85806NED",
    title="Nijverheid; productie en omzet, ontwikkeling en index (2021=100)",
    short_title="Nijverheid; productie, omzet, 2021=100",
    summary="Productie en omzet van de nijverheid (SBI 2008), \nontwikkelingen en index 2021=100.",
    about="Deze tabel geeft informatie over de ontwikkeling van productie en omzet in de nijverheid (SBI 2008).",
    dimensions=(
        # Keys padded with blanks in v4 too, as in some CBS code lists; it was not seen in this one.
        Dimension(
            "BedrijfstakkenBranchesSBI2008",
            "Bedrijfstakken/branches (SBI 2008)",
            lambda _: lists.branch_codes(width=10),
        ),
    ),
    **_topics("85806NED"),
    numbers=lambda table, trade, spans, months: cells.production(
        trade.economy, spans, months, len(lists.branch_codes()), _codes_of(table)
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
)

_CONFIDENCE_BRANCHES = ("307500", "328105", "332905", "339205")
# Measure codes as a CBS author uses them, in the order of the v3 columns; the fourth column was not seen, and neither
# were the group and the unit.
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
    **_topics("81234ned"),
    numbers=lambda table, trade, spans, months: cells.confidence(
        trade.economy, spans, months, len(_CONFIDENCE_BRANCHES), len(table.measures)
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

#: Every table that is served, by its case-sensitive identifier.
TABLES: Mapping[str, Table] = {table.identifier: table for table in _TABLES}

"""CBS and Eurostat compared: the difference for all goods, and its explanation."""

from __future__ import annotations

from decimal import Decimal

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import Marts, Row
from publish.report.parts import Column, Mark, Panel, Section, Table, View
from publish.report.texts import Text, Texts, join, name_of, per_language

ORDER = 100
TABLES = ("rpt_source_reconciliation", "dim_product")
# Number of months in the chart and the table.
N_MONTHS = 36
SERIES: dict[str, tuple[str, str, list[int]]] = {
    "eurostat": ("eurostat_eur", charts.PALETTE[0], []),
    "cbs_incl": ("cbs_incl_transit_eur", charts.PALETTE[1], [6, 3]),
    "cbs_excl": ("cbs_excl_transit_eur", charts.PALETTE[2], [2, 2]),
}

text = Texts(
    title={"nl": "CBS en Eurostat vergeleken", "en": "CBS and Eurostat compared"},
    empty={"nl": "Hiervoor is een maand nodig waarvan beide bureaus een totaal hebben gepubliceerd.",
           "en": "This needs a month for which both offices have published a total."},
    note={"nl": "Het CBS-begrip eigendomsoverdracht wijkt hier weer van af; zie de toelichting.",
          "en": "CBS's ownership concept differs from both; see the notes."},
    lead={"nl": "In {month} telt Eurostat {eurostat} aan uitvoer van alle goederen en het CBS zonder quasi-doorvoer {cbs} (verhouding {ratio}). Quasi-doorvoer verklaart {transit}; er blijft {residual} over.",
          "en": "In {month} Eurostat counts {eurostat} of exports of all goods, and CBS without quasi-transit {cbs} (ratio {ratio}). Quasi-transit explains {transit}; {residual} remains."},
    unknown_value={"nl": "In {month} telt Eurostat {eurostat} aan uitvoer van alle goederen; het CBS publiceert niet alle onderdelen die voor een vergelijking nodig zijn.",
                   "en": "In {month} Eurostat counts {eurostat} of exports of all goods; CBS does not publish all parts needed for a comparison."},
    explained={"nl": "Geheimhouding, afronding en latere bijstellingen kunnen die rest verklaren.",
               "en": "Secrecy, rounding and later revisions can explain the remainder."},
    not_explained={"nl": "Geheimhouding, afronding en latere bijstellingen kunnen {unexplained} daarvan niet verklaren.",
                   "en": "Secrecy, rounding and later revisions cannot explain {unexplained} of it."},
    aria={"nl": "Uitvoer van alle goederen: Eurostat {eurostat}, CBS zonder quasi-doorvoer {cbs}, in {month}.",
          "en": "Exports of all goods: Eurostat {eurostat}, CBS without quasi-transit {cbs}, in {month}."},
    caption={"nl": "Uitvoer van alle goederen per maand, mln euro",
             "en": "Exports of all goods by month, million euros"},
    months={"nl": "Bedragen per maand", "en": "Amounts by month"},
    table={"nl": "Per afdeling van de SITC, mln euro", "en": "By SITC section, million euros"},
    cite={"nl": "Bron: CBS (publicatiestand {cbs}) en Eurostat (publicatiestand {eurostat}); {reporter}; {period}.",
          "en": "Source: CBS (release of {cbs}) and Eurostat (release of {eurostat}); {reporter}; {period}."},
    section={"nl": "Afdeling SITC", "en": "SITC section"},
    all_goods={"nl": "alle goederen", "en": "all goods"},
    eurostat={"nl": "Eurostat", "en": "Eurostat"},
    cbs_incl={"nl": "CBS met quasi-doorvoer", "en": "CBS with quasi-transit"},
    cbs_excl={"nl": "CBS zonder quasi-doorvoer", "en": "CBS without quasi-transit"},
    quasi_transit={"nl": "Quasi-doorvoer", "en": "Quasi-transit"},
    residual={"nl": "Rest", "en": "Residual"},
    unexplained={"nl": "Onverklaard", "en": "Unexplained"},
    ratio={"nl": "Eurostat / CBS", "en": "Eurostat / CBS"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_reconciliation(marts, view.key[3])
    totals = {row["month"]: row for row in rows if row["section_code"] == "TOTAL"}
    if not totals:
        return None
    newest = max(totals)
    months = fmt.months_between(max(fmt.months_before(newest, N_MONTHS - 1), min(totals)), newest)
    by_month = [totals.get(each, {"month": each}) for each in months]
    columns = [
        Column(text("eurostat"), lambda row: fmt.millions(row.get("eurostat_eur"), 0)),
        Column(text("cbs_incl"), lambda row: fmt.millions(row.get("cbs_incl_transit_eur"), 0)),
        Column(text("cbs_excl"), lambda row: fmt.millions(row.get("cbs_excl_transit_eur"), 0)),
        Column(text("quasi_transit"), lambda row: fmt.millions(row.get("quasi_transit_eur"), 0)),
        Column(text("residual"), lambda row: fmt.millions(row.get("residual_eur"), 0)),
        Column(text("unexplained"), lambda row: fmt.millions(row.get("unexplained_eur"), 0)),
        Column(text("ratio"), lambda row: fmt.number(row.get("eurostat_to_cbs_ratio"), 2)),
    ]
    datasets = charts.over_time(
        months,
        {},
        (
            [(text(name), fmt.euros(row.get(column)), colour) for name, (column, colour, _) in SERIES.items()]
            for row in by_month
        ),
    )
    datasets["lines"] = [
        point
        for name, (column, colour, dash) in SERIES.items()
        for point in charts.line_data(
            months, [charts.in_millions(row.get(column)) for row in by_month], code=name, colour=colour, dash=dash
        )
    ]
    total = totals[newest]
    eurostat, cbs = fmt.euros(total["eurostat_eur"]), fmt.euros(total["cbs_excl_transit_eur"])
    aria = text("aria", eurostat=eurostat, cbs=cbs, month=fmt.month(newest))
    return Section(
        leads=[describe_reconciliation(total)],
        panels=[Panel("reconciliation-chart", charts.lines, text("caption"), aria, datasets)],
        legend=[Mark(text(name), colour, "dash" if dash else "line") for name, (_, colour, dash) in SERIES.items()],
        tables=[
            Table(
                "reconciliation-table",
                join([text("table"), fmt.month(newest)]),
                [row for row in rows if row["month"] == newest],
                [Column(text("section"), _section_name, "name"), *columns],
                is_open=True,
            ),
            Table(
                "reconciliation-months",
                join([text("months"), text("all_goods")]),
                by_month[::-1],
                [Column(text("month"), lambda row: fmt.month(row["month"]), "name"), *columns],
            ),
        ],
        note=text("note"),
        source=text(
            "cite",
            cbs=fmt.day(max(row["cbs_vintage_at"] for row in rows)),
            eurostat=fmt.day(max(row["eurostat_vintage_at"] for row in rows)),
            reporter=view.reporter,
            period=fmt.month(newest),
        ),
    )


def _section_name(row: Row) -> Text:
    if row["section_code"] == "TOTAL":
        return text("all_goods")
    titles = name_of(row, "product_title")
    return per_language(lambda language: " ".join(filter(None, (row["section_code"], titles[language]))))


def read_reconciliation(marts: Marts, reporter: str) -> list[Row]:
    """Read both offices for all destinations: all goods by month, sections of the newest month."""
    return marts.rows(
        """
        select reconciliation.*, sections.product_title_nl, sections.product_title_en
        from marts.rpt_source_reconciliation as reconciliation
        left join marts.dim_product as sections
            on sections.nomenclature_code = 'SITC' and reconciliation.section_code = sections.product_code
        where reporter_code = ? and destination_code = 'total'
        qualify section_code = 'TOTAL' or month = max(month) over ()
        order by month, section_code = 'TOTAL', section_code
        """,
        [reporter],
    )


def describe_reconciliation(row: Row) -> list[Text]:
    """Return the difference between the offices for all goods, and its explanation."""
    when, eurostat = fmt.month(row["month"]), fmt.euros(row["eurostat_eur"])
    if row["cbs_excl_transit_eur"] is None or row["residual_eur"] is None:
        return [text("unknown_value", month=when, eurostat=eurostat)]
    lead = text(
        "lead",
        month=when,
        eurostat=eurostat,
        cbs=fmt.euros(row["cbs_excl_transit_eur"]),
        ratio=fmt.number(row["eurostat_to_cbs_ratio"], 2),
        transit=fmt.euros(row["quasi_transit_eur"]),
        residual=fmt.euros(row["residual_eur"]),
    )
    if row["unexplained_eur"] is None:
        return [lead]
    if row["unexplained_eur"] == Decimal(0):
        return [lead, text("explained")]
    return [lead, text("not_explained", unexplained=fmt.euros(row["unexplained_eur"]))]

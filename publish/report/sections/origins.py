"""Dutch product and re-exports: what was made in the Netherlands, by destination, as CBS splits it."""

from __future__ import annotations

from collections.abc import Sequence

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import UNITED_STATES, Marts, Row
from publish.report.parts import Column, Mark, Section, Table, View, destination, split_panel, the_destination
from publish.report.texts import Text, Texts, lower_first, name_of

ORDER = 45
TABLES = ("rpt_export_origins",)
# Border crossing is what CBS reports on; the manufactures by material hold metal, the smallest goods that it splits.
CONCEPT = "border_crossing_incl_transit"
SCOPE = "manufactures_sitc6"
N_MARKETS = 12
KINDS = {"domestic_product": charts.PALETTE[0], "re_export": "#d9a441"}

text = Texts(
    title={"nl": "Nederlands product en wederuitvoer", "en": "Dutch product and re-exports"},
    empty={"nl": "Hiervoor zijn 12 volledige maanden van het CBS nodig.",
           "en": "This needs 12 complete months of CBS."},
    note={"nl": "Het CBS splitst afdelingen van de SITC, geen metaal apart: afdeling 6 bevat naast metaal ook rubber, hout, papier, textiel en mineralen. Quasi-doorvoer zit in geen van beide.",
          "en": "CBS splits sections of the SITC, not metal alone: besides metal, section 6 holds rubber, wood, paper, textiles and minerals. Quasi-transit is in neither."},
    lead={"nl": "Van de uitvoer van {scope} was over 12 maanden {share} in Nederland gemaakt ({change} ten opzichte van een jaar eerder).",
          "en": "Of exports of {scope}, {share} was made in the Netherlands over 12 months ({change} on a year before)."},
    lead_to={"nl": "Naar {country} was dat {share} (Nederlands product {dutch}, wederuitvoer {re_export} ten opzichte van een jaar eerder).",
             "en": "To {country} it was {share} (Dutch product {dutch}, re-exports {re_export} on a year before)."},
    lead_to_alone={"nl": "Naar {country} was dat {share}.", "en": "To {country} it was {share}."},
    aria={"nl": "Uitvoer naar {n} landen, gesplitst; bovenaan {country}: {share} Nederlands product.",
          "en": "Exports to {n} countries, split; first {country}: {share} Dutch product."},
    caption={"nl": "Uitvoer over 12 maanden, mln euro", "en": "Exports over 12 months, million euros"},
    table={"nl": "Herkomst per bestemming", "en": "Origin by destination"},
    domestic_product={"nl": "Nederlands product", "en": "Dutch product"},
    re_export={"nl": "wederuitvoer", "en": "re-exports"},
    of_domestic_product={"nl": "Nederlands product, mln euro", "en": "Dutch product, million euros"},
    of_re_export={"nl": "Wederuitvoer, mln euro", "en": "Re-exports, million euros"},
    dutch_share={"nl": "Nederlands product, %", "en": "Dutch product, %"},
    dutch_change={"nl": "Verandering, procentpunt", "en": "Change, pct. points"},
    dutch_growth={"nl": "Groei Nederlands product, %", "en": "Growth of Dutch product, %"},
    re_export_growth={"nl": "Groei wederuitvoer, %", "en": "Growth of re-exports, %"},
    cite={"nl": "Bron: CBS (publicatiestand {vintage}); grensoverschrijding; {scope}; {reporter}; 12 maanden t/m {month}.",
          "en": "Source: CBS (release of {vintage}); border crossing; {scope}; {reporter}; 12 months to {month}."},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_origins(marts, view.key[3])
    if not rows:
        return None
    whole = next(row for row in rows if row["destination_code"] == "total")
    shown = [row for row in rows if row["destination_code"] != "total"][:N_MARKETS]
    columns = [
        Column(text("destination"), destination, "name"),
        Column(text("of_domestic_product"), lambda row: fmt.millions(row["domestic_product_r12_eur"], 0)),
        Column(text("of_re_export"), lambda row: fmt.millions(row["re_export_r12_eur"], 0)),
        Column(text("dutch_share"), lambda row: fmt.share_figure(row["domestic_product_share_r12"], 1)),
        Column(
            text("dutch_change"), lambda row: fmt.number(row["domestic_product_share_r12_change_pp"], 1, signed=True)
        ),
        Column(text("dutch_growth"), lambda row: fmt.number(row["domestic_product_r12_growth_pct"], 1, signed=True)),
        Column(text("re_export_growth"), lambda row: fmt.number(row["re_export_r12_growth_pct"], 1, signed=True)),
    ]
    scope = name_of(whole, "scope_name")
    panels = []
    if shown:
        aria = text(
            "aria",
            n=fmt.number(len(shown)),
            country=the_destination(shown[0]),
            share=fmt.percent(shown[0]["domestic_product_share_r12"]),
        )
        bars = ((destination(row), _parts(row), charts.in_millions(_both(row)), _tip(row)) for row in shown)
        panels = [split_panel("origins-chart", text("caption"), aria, bars, step=28)]
    return Section(
        leads=[describe_origins(whole, shown)],
        panels=panels,
        legend=[Mark(text(kind), colour) for kind, colour in KINDS.items()],
        tables=[Table("origins-table", text("table"), [whole, *shown], columns, is_open=True)],
        note=text("note"),
        source=text(
            "cite",
            vintage=fmt.day(max(row["vintage_at"] for row in rows)),
            scope=scope,
            reporter=view.reporter,
            month=fmt.month(whole["month"]),
        ),
    )


def _parts(row: Row) -> dict[str, fmt.Figure]:
    return {colour: charts.in_millions(row[f"{kind}_r12_eur"]) for kind, colour in KINDS.items()}


def _both(row: Row) -> float:
    """Return Dutch product and re-exports together: what is split."""
    return (row["domestic_product_r12_eur"] or 0) + (row["re_export_r12_eur"] or 0)


def _tip(row: Row) -> Row:
    return charts.tip(
        destination(row),
        [
            *((text(kind), fmt.euros(row[f"{kind}_r12_eur"]), colour) for kind, colour in KINDS.items()),
            (text("dutch_share"), fmt.share_figure(row["domestic_product_share_r12"], 1)),
        ],
    )


def read_origins(marts: Marts, reporter: str) -> list[Row]:
    """Read the parts of the newest complete 12 months: all destinations first, then countries, largest first."""
    return marts.rows(
        """
        select origins.*, scopes.scope_name_nl, scopes.scope_name_en
        from marts.rpt_export_origins as origins
        inner join marts.dim_metal_scope as scopes on origins.scope_code = scopes.scope_code
        where concept_code = ? and origins.scope_code = ? and reporter_code = ?
            and domestic_product_share_r12 is not null
            and destination_code not in ('unallocated', 'not_loaded', 'unmapped')
        qualify month = max(month) over ()
        order by destination_code != 'total', domestic_product_r12_eur + re_export_r12_eur desc, destination_code
        """,
        [CONCEPT, SCOPE, reporter],
    )


def describe_origins(whole: Row, countries: Sequence[Row]) -> list[Text]:
    """Return the part that was made in the Netherlands, of all exports and of those to the United States."""
    lead = text(
        "lead",
        scope=lower_first(name_of(whole, "scope_name")),
        share=fmt.percent(whole["domestic_product_share_r12"]),
        change=fmt.points(whole["domestic_product_share_r12_change_pp"], 1),
    )
    row = next((row for row in countries if row["destination_code"] == UNITED_STATES), next(iter(countries), None))
    if row is None:
        return [lead]
    values = {"country": the_destination(row), "share": fmt.percent(row["domestic_product_share_r12"])}
    dutch, sold_on = row["domestic_product_r12_growth_pct"], row["re_export_r12_growth_pct"]
    if dutch is None or sold_on is None:
        return [lead, text("lead_to_alone", **values)]
    return [lead, text("lead_to", **values, dutch=fmt.growth(dutch), re_export=fmt.growth(sold_on))]

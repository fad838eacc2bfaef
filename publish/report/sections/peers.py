"""Among EU peers: a member's share of EU exports by market, and its gains and losses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, Key, Marts, Row
from publish.report.parts import Column, Mark, Panel, Section, Table, View, destination, the_destination
from publish.report.texts import Text, Texts, name_of

ORDER = 80
TABLES = ("rpt_eu_peer_position",)
N_MARKETS = 12

text = Texts(
    title={"nl": "Tussen EU-landen", "en": "Among EU peers"},
    empty={"nl": "Hiervoor moeten dezelfde maanden ook voor de hele EU zijn geladen (EU27_2020).",
           "en": "This needs the same months for the whole EU (EU27_2020) as well."},
    note={"nl": "Aandeel in de uitvoer van de EU, van de kant van de exporteur. De vier effecten tellen op tot de verandering (constant market shares).",
          "en": "Share in EU exports, from the exporter's side. The four effects sum to the change (constant market shares)."},
    lead={"nl": "Van de EU-uitvoer naar alle markten kwam {share} uit {reporter}; RCA {rca}: {specialised}.",
          "en": "Of EU exports to all markets, {reporter} had {share}; RCA {rca}: {specialised}."},
    won={"nl": "Van de {n} grootste markten won het land naar verhouding het meest in {country}: {effect} door concurrentiekracht.",
         "en": "Among the {n} largest markets, it gained most in {country}: {effect} from competitiveness."},
    lost={"nl": "Het verloor het meest in {country}: {effect}.", "en": "It lost most in {country}: {effect}."},
    no_change={"nl": "Winst en verlies zijn pas te berekenen na twee volledige jaren.",
               "en": "Gains and losses require two complete years."},
    aria={"nl": "Aandeel van {reporter} in de uitvoer van de EU naar {n} markten; {country}: {now}, een jaar eerder {before}.",
          "en": "Share of {reporter} in EU exports to {n} markets; {country}: {now}, {before} a year earlier."},
    caption={"nl": "Aandeel in de EU-uitvoer naar de markt, in procenten",
             "en": "Share in EU exports to the market, per cent"},
    table={"nl": "Posities per markt", "en": "Positions by market"},
    members={"nl": "De geladen lidstaten over alle markten", "en": "The loaded members over all markets"},
    specialised={"nl": "gespecialiseerd in deze groep", "en": "specialised in this group"},
    not_specialised={"nl": "niet gespecialiseerd in deze groep", "en": "not specialised in this group"},
    rca_unknown={"nl": "niet te berekenen", "en": "cannot be computed"},
    now={"nl": "12 maanden nu", "en": "12 months now"},
    year_before={"nl": "een jaar eerder", "en": "a year earlier"},
    reporter={"nl": "Land", "en": "Country"},
    exports_12={"nl": "Uitvoer 12 mnd, mln euro", "en": "Exports 12 mths, million euros"},
    share_in_eu_before={"nl": "Jaar eerder, %", "en": "Year earlier, %"},
    rca={"nl": "RCA in de markt", "en": "RCA in the market"},
    rca_all={"nl": "RCA", "en": "RCA"},
    share_in_eu_all={"nl": "Aandeel in EU-uitvoer, %", "en": "Share in EU exports, %"},
    change_eur={"nl": "Verandering, mln euro", "en": "Change, million euros"},
    effect_growth={"nl": "Groei van de EU", "en": "EU growth"},
    effect_product={"nl": "Goederen", "en": "Goods"},
    effect_market={"nl": "Markt", "en": "Market"},
    effect_competitiveness={"nl": "Concurrentiekracht", "en": "Competitiveness"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_peers(marts, view.key)
    if not rows:
        return None
    shown, newest = rows[:N_MARKETS], rows[0]["month"]
    of_members = [
        Column(text("reporter"), lambda row: name_of(row, "country_name"), "name"),
        Column(text("share_in_eu_all"), lambda row: fmt.share_figure(row["share_in_eu_exports_all_markets"], 1)),
        Column(text("rca_all"), lambda row: fmt.number(row["rca_eu"], 2)),
    ]
    of_markets = [
        Column(text("destination"), destination, "name"),
        Column(text("exports_12"), lambda row: fmt.millions(row["value_r12_eur"], 0)),
        Column(text("share_in_eu"), lambda row: fmt.share_figure(row["share_in_eu_exports"], 1)),
        Column(text("share_in_eu_before"), lambda row: fmt.share_figure(row["share_in_eu_exports_year_before"], 1)),
        Column(text("rca"), lambda row: fmt.number(row["rca_eu_in_market"], 2)),
        Column(text("change_eur"), lambda row: fmt.millions(row["change_eur"], signed=True)),
        Column(text("effect_growth"), lambda row: fmt.millions(row["growth_effect_eur"], signed=True)),
        Column(text("effect_product"), lambda row: fmt.millions(row["product_effect_eur"], signed=True)),
        Column(text("effect_market"), lambda row: fmt.millions(row["market_effect_eur"], signed=True)),
        Column(
            text("effect_competitiveness"), lambda row: fmt.millions(row["competitiveness_effect_eur"], signed=True)
        ),
    ]
    return Section(
        leads=[describe_peers(shown, view.reporter_in_sentence)],
        panels=[
            Panel(
                "peers-chart",
                dumbbell,
                text("caption"),
                text(
                    "aria",
                    reporter=view.reporter_in_sentence,
                    n=fmt.number(len(shown)),
                    country=the_destination(shown[0]),
                    now=fmt.percent(shown[0]["share_in_eu_exports"]),
                    before=fmt.percent(shown[0]["share_in_eu_exports_year_before"]),
                ),
                {"rows": [_dot(row) for row in shown]},
                height=26 * len(shown) + 30,
            )
        ],
        legend=[Mark(text("now"), charts.PALETTE[0], "dot"), Mark(text("year_before"), charts.GREY, "ring")],
        tables=[
            Table("peers-members", text("members"), read_members(marts, view.key, newest), of_members, is_open=True),
            Table("peers-table", text("table"), shown, of_markets),
        ],
        note=text("note"),
        source=view.source(text("period_12", month=fmt.month(newest)), rows),
    )


def _dot(row: Row) -> Row:
    now, before = row["share_in_eu_exports"], row["share_in_eu_exports_year_before"]
    return {
        "label": destination(row),
        "x": charts.per_cent(now),
        "before": charts.per_cent(before),
        "tip": charts.tip(
            destination(row), [(text("now"), fmt.percent(now)), (text("year_before"), fmt.percent(before))]
        ),
    }


@charts.chart(height=300)
def dumbbell() -> alt.LayerChart:
    """Return two figures per name, before and now."""
    axis = alt.X("x:Q", title=None, axis=charts.figure_axis(5), scale=alt.Scale(zero=True, nice=True))
    before = alt.X("before:Q", title=None)
    base = alt.Chart(alt.NamedData("rows")).encode(y=charts.name_axis())
    point = {"opacity": 1, "tooltip": alt.TooltipContent("data")}
    return alt.layer(
        base.mark_rule(color=charts.GREY, strokeWidth=2).encode(x=before, x2="x:Q").properties(name="dumbbell_rules"),
        base.mark_point(color=charts.GREY, fill="#ffffff", size=60, strokeWidth=2, **point)
        .encode(x=before)
        .properties(name="dumbbell_before"),
        base.mark_point(color=charts.PALETTE[0], filled=True, size=80, **point)
        .encode(x=axis)
        .properties(name="dumbbell_now"),
    )


def read_peers(marts: Marts, key: Key) -> list[Row]:
    """Read the positions of the view's reporter in the newest month, largest market first."""
    return marts.rows(
        f"""
        select * from marts.rpt_eu_peer_position
        where {OF_VIEW}
        qualify month = max(month) over ()
        order by value_r12_eur desc nulls last, destination_code
        """,
        key,
    )


def read_members(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read each loaded member's share of EU exports to all markets."""
    source, concept, scope, _ = key
    return marts.rows(
        """
        select
            peers.reporter_code, countries.country_name_nl, countries.country_name_en,
            max(share_in_eu_exports_all_markets) as share_in_eu_exports_all_markets, max(rca_eu) as rca_eu
        from marts.rpt_eu_peer_position as peers
        inner join marts.dim_country as countries on peers.reporter_code = countries.country_code
        where source_code = ? and concept_code = ? and scope_code = ? and month = ?
        group by all
        order by share_in_eu_exports_all_markets desc nulls last, peers.reporter_code
        """,
        [source, concept, scope, month],
    )


def describe_peers(rows: Sequence[Row], reporter: Text) -> list[Text]:
    """Return a member's share of EU exports, and its largest gain and loss among the largest markets."""
    first = rows[0]
    rca = first["rca_eu"]
    lead = text(
        "lead",
        reporter=reporter,
        share=fmt.percent(first["share_in_eu_exports_all_markets"]),
        rca=fmt.number(rca, 2),
        specialised=text("rca_unknown" if rca is None else "specialised" if rca > 1 else "not_specialised"),
    )
    known = [row for row in rows if row["competitiveness_effect_eur"] is not None]
    if not known:
        return [lead, text("no_change")]
    ordered = sorted(known, key=lambda row: (-row["competitiveness_effect_eur"], row["destination_code"]))
    best, worst = ordered[0], ordered[-1]
    sentences = [lead]
    if best["competitiveness_effect_eur"] > 0:
        effect = fmt.euros(best["competitiveness_effect_eur"])
        sentences.append(text("won", n=fmt.number(len(rows)), country=the_destination(best), effect=effect))
    if worst["competitiveness_effect_eur"] < 0:
        effect = fmt.euros(-worst["competitiveness_effect_eur"])
        sentences.append(text("lost", country=the_destination(worst), effect=effect))
    return sentences

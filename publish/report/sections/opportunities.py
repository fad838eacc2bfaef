"""Opportunities: markets outside the EU by a score of size, growth, gap and access."""

from __future__ import annotations

from collections.abc import Sequence

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, Key, Marts, Row
from publish.report.parts import Column, Mark, Section, Table, View, destination, split_panel, sum_mark, the_destination
from publish.report.texts import MISSING, Text, Texts, name_of, same

ORDER = 70
TABLES = ("rpt_market_opportunities", "dim_trade_agreement", "dim_tariff_event")
N_MARKETS = 12
COLOURS = {"size": charts.PALETTE[0], "growth": "#5aa9a0", "gap": "#d9a441", "access": "#8e7cc3"}

text = Texts(
    title={"nl": "Kansen", "en": "Opportunities"},
    empty={"nl": "Hiervoor moeten dezelfde maanden ook voor de hele EU zijn geladen (EU27_2020), over twee volledige jaren.",
           "en": "This needs the same months for the whole EU (EU27_2020) as well, over two complete years."},
    note={"nl": "De score is het gewone gemiddelde van vier rangscores tussen 0 en 1: een volgorde om mee te beginnen, geen verwachting. Groei is die van de EU-uitvoer naar de markt, niet van de totale invoer van die markt. Toegang is die van de exporteur op deze goederen: akkoorden, verminderd met maatregelen van de markt. Markten onder sancties of met onbekende toegang hebben geen score.",
          "en": "The score is the simple mean of four rank scores between 0 and 1: a starting order, not a forecast. Growth is that of EU exports to the market, not of its total imports. Access is what the exporter meets for these goods: agreements, less the market's own measures. Markets under sanctions, or with unknown access, have no score."},
    lead={"nl": "Van {n} markten buiten de EU met een score staat {country} bovenaan ({score}): de EU voerde daarheen {value} uit ({growth} ten opzichte van een jaar eerder), {reporter} had daarvan {share} tegen gewoonlijk {usual}; markttoegang: {access}.",
          "en": "Of {n} scored markets outside the EU, {country} ranks first ({score}): the EU exported {value} there ({growth} on a year earlier), {reporter} had {share} of it against the usual {usual}; market access: {access}."},
    tie={"nl": "Een gelijke score hebben {countries}.", "en": "Tied for first: {countries}."},
    aria={"nl": "Score van {n} markten; bovenaan {first}.", "en": "Scores of {n} markets; first {first}."},
    caption={"nl": "Score en de vier deelscores, 0 tot 1", "en": "Score and its four components, 0 to 1"},
    table={"nl": "Markten met hun score", "en": "Markets and their scores"},
    score={"nl": "Score", "en": "Score"},
    score_size={"nl": "Omvang", "en": "Size"},
    score_growth={"nl": "Groei", "en": "Growth"},
    score_gap={"nl": "Achterstand", "en": "Gap"},
    score_access={"nl": "Toegang", "en": "Access"},
    score_total={"nl": "score", "en": "score"},
    eu_exports={"nl": "EU-uitvoer, mln euro", "en": "EU exports, million euros"},
    eu_growth={"nl": "Groei EU-uitvoer, %", "en": "Growth of EU exports, %"},
    usual_share={"nl": "Gewoonlijk, %", "en": "Usual, %"},
    gap={"nl": "Achterstand, mln euro", "en": "Gap, million euros"},
    access={"nl": "Markttoegang", "en": "Market access"},
    agreement={"nl": "Akkoord", "en": "Agreement"},
    measure={"nl": "Maatregel van de markt", "en": "The market's measure"},
    access_single_market={"nl": "interne markt", "en": "single market"},
    access_preferential={"nl": "vrij door akkoord", "en": "free by agreement"},
    access_phasing_in={"nl": "akkoord, heffingen dalen nog", "en": "agreement, duties still falling"},
    access_signed={"nl": "akkoord ondertekend", "en": "agreement signed"},
    access_concluded={"nl": "akkoord uitonderhandeld", "en": "agreement concluded"},
    access_quota={"nl": "contingent", "en": "quota"},
    access_negotiating={"nl": "in onderhandeling", "en": "negotiating"},
    access_deferred={"nl": "akkoord, verlaging later", "en": "agreement, cuts later"},
    access_none={"nl": "geen akkoord", "en": "no agreement"},
    access_surcharge={"nl": "extra heffing", "en": "additional duty"},
    access_sanctions={"nl": "sancties", "en": "sanctions"},
    access_unknown={"nl": "niet bekend", "en": "not known"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_opportunities(marts, view.key)
    if not rows:
        return None
    shown = rows[:N_MARKETS]
    first = text("named_share", name=destination(shown[0]), share=fmt.number(shown[0]["opportunity_score"], 2))
    columns = [
        Column(text("destination"), destination, "name"),
        Column(text("score"), lambda row: fmt.number(row["opportunity_score"], 2)),
        Column(text("eu_exports"), lambda row: fmt.millions(row["eu_value_r12_eur"], 0)),
        Column(text("eu_growth"), lambda row: fmt.number(row["eu_growth_pct"], 1, signed=True)),
        Column(text("share_in_eu"), lambda row: fmt.share_figure(row["share_in_eu_exports"], 1)),
        Column(text("usual_share"), lambda row: fmt.share_figure(row["usual_share_in_eu_exports"], 1)),
        Column(text("gap"), lambda row: fmt.millions(row["gap_eur"], 0)),
        Column(text("access"), _access, "text"),
        Column(text("agreement"), _agreement, "text"),
        Column(text("measure"), _measure, "text"),
    ]
    return Section(
        leads=[describe_opportunities(rows, len(rows), view.reporter_in_sentence)],
        panels=[
            split_panel(
                "opportunities-chart",
                text("caption"),
                text("aria", n=fmt.number(len(shown)), first=first),
                (
                    (
                        destination(row),
                        # Each of the four contributes a quarter of the score.
                        {colour: row[f"{part}_score"] / len(COLOURS) for part, colour in COLOURS.items()},
                        row["opportunity_score"],
                        _tip(row),
                    )
                    for row in shown
                ),
                step=28,
            )
        ],
        legend=[
            *(Mark(text(f"score_{part}"), colour) for part, colour in COLOURS.items()),
            sum_mark(text("score_total")),
        ],
        tables=[Table("opportunities-table", text("table"), shown, columns, is_open=True)],
        note=text("note"),
        source=view.source(text("period_12", month=fmt.month(rows[0]["month"])), rows),
    )


def _tip(row: Row) -> Row:
    return charts.tip(
        destination(row),
        [
            *((text(f"score_{part}"), fmt.number(row[f"{part}_score"], 2), colour) for part, colour in COLOURS.items()),
            (text("score_total"), fmt.number(row["opportunity_score"], 2)),
            (text("access"), _access(row)),
        ],
    )


def _access(row: Row) -> Text:
    return text(f"access_{row['access_status']}")


def _agreement(row: Row) -> Text:
    return name_of(row, "agreement_name") if row["agreement_code"] else same(MISSING)


def _measure(row: Row) -> Text:
    return name_of(row, "measure") if row["measure_event_code"] else same(MISSING)


def read_opportunities(marts: Marts, key: Key) -> list[Row]:
    """Read the markets outside the EU with a score in the newest month, best first."""
    return marts.rows(
        f"""
        select markets.*, agreements.agreement_name_nl, measures.title_en as measure_en, measures.title_nl as measure_nl
        from marts.rpt_market_opportunities as markets
        left join (select distinct agreement_code, agreement_name_nl from marts.dim_trade_agreement) as agreements
            on markets.agreement_code = agreements.agreement_code
        left join marts.dim_tariff_event as measures on markets.measure_event_code = measures.event_code
        where {OF_VIEW} and not is_eu_member and opportunity_score is not null
        qualify month = max(month) over ()
        order by opportunity_score desc, destination_code
        """,
        key,
    )


def describe_opportunities(rows: Sequence[Row], n_scored: int, reporter: Text) -> list[Text]:
    """Return the market that ranks first, and why."""
    first = rows[0]
    lead = text(
        "lead",
        n=fmt.number(n_scored),
        country=the_destination(first),
        score=fmt.number(first["opportunity_score"], 2),
        value=fmt.euros(first["eu_value_r12_eur"]),
        growth=fmt.growth(first["eu_growth_pct"]),
        reporter=reporter,
        share=fmt.percent(first["share_in_eu_exports"]),
        usual=fmt.percent(first["usual_share_in_eu_exports"]),
        access=_access(first),
    )
    best = fmt.round_half_up(first["opportunity_score"], 2)
    level = [row for row in rows if fmt.round_half_up(row["opportunity_score"], 2) == best]
    if len(level) == 1:
        return [lead]
    return [lead, text("tie", countries=fmt.enumerate_names(the_destination(row) for row in level))]

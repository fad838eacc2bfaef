"""If a market falls: the loss if each of the largest markets falls by a quarter."""

from __future__ import annotations

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, Key, Marts, Row
from publish.report.parts import Column, Panel, Section, Table, View, destination, the_destination
from publish.report.texts import Text, Texts, join

ORDER = 90
TABLES = ("rpt_diversification_stress",)

text = Texts(
    title={"nl": "Als een markt wegvalt", "en": "If a market falls"},
    empty={"nl": "Hiervoor zijn 12 volledige maanden op rij nodig.", "en": "This needs 12 complete months in a row."},
    note={"nl": "De omvang van het gat, geen voorspelling van wat het vult. De concentratie kan dalen als de grootste markt daalt.",
          "en": "The size of the gap, not a forecast of what fills it. Concentration can fall when the largest market does."},
    lead={"nl": "Daalt de uitvoer naar {country} met een kwart, dan gaat {loss} ({pct}) van de uitvoer verloren als de andere markten gelijk blijven.",
          "en": "If exports to {country} fall by a quarter, {loss} ({pct}) of exports is lost, with other markets unchanged."},
    volatility={"nl": "De volatiliteit van de totale uitvoer gaat van {before} naar {after}.",
                "en": "The volatility of total exports goes from {before} to {after}."},
    no_volatility={"nl": "De volatiliteit is niet te berekenen zonder vier volledige jaren voor elke markt.",
                   "en": "Volatility cannot be computed without four complete years for each market."},
    caption={"nl": "Verlies als de markt met een kwart daalt, in procenten van alle uitvoer",
             "en": "Loss if the market falls by a quarter, per cent of all exports"},
    table={"nl": "Gevolgen per markt", "en": "Consequences by market"},
    loss_25={"nl": "Verlies bij −25%, mln euro", "en": "Loss at −25%, million euros"},
    loss_25_pct={"nl": "Bij −25%, %", "en": "At −25%, %"},
    loss_100_pct={"nl": "Bij −100%, %", "en": "At −100%, %"},
    hhi_before={"nl": "HHI nu", "en": "HHI now"},
    hhi_after={"nl": "HHI na −25%", "en": "HHI after −25%"},
    volatility_before={"nl": "Volatiliteit nu, %", "en": "Volatility now, %"},
    volatility_after={"nl": "Na −25%, %", "en": "After −25%, %"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_stress(marts, view.key)
    if not rows:
        return None
    leads = describe_stress(rows[0])
    columns = [
        Column(text("destination"), destination, "name"),
        Column(text("loss_25"), lambda row: fmt.millions(row["loss_eur"], 0)),
        Column(text("loss_25_pct"), lambda row: fmt.number(row["loss_pct"], 1)),
        Column(text("loss_100_pct"), lambda row: fmt.number(row["loss_100_pct"], 1)),
        Column(text("hhi_before"), lambda row: fmt.number(row["hhi_before"], 4)),
        Column(text("hhi_after"), lambda row: fmt.number(row["hhi_after"], 4)),
        Column(text("volatility_before"), lambda row: fmt.number(row["volatility_before_pct"], 2)),
        Column(text("volatility_after"), lambda row: fmt.number(row["volatility_after_pct"], 2)),
    ]
    return Section(
        leads=[leads],
        panels=[
            Panel(
                "stress-chart",
                charts.ranking,
                text("caption"),
                join(leads, " "),
                {"bars": [_bar(row) for row in rows]},
                height=26 * len(rows) + 26,
                params={"x_max": 1.18 * max(row["loss_pct"] for row in rows)},
            )
        ],
        tables=[Table("stress-table", text("table"), rows, columns)],
        note=text("note"),
        source=view.source(text("period_12", month=fmt.month(rows[0]["month"])), rows),
    )


def _bar(row: Row) -> Row:
    loss = fmt.number(row["loss_pct"], 1)
    return {
        "label": destination(row),
        **dict.fromkeys(("share", "lower", "upper"), row["loss_pct"]),
        "text": loss,
        "tip": charts.tip(
            destination(row), [(text("loss_25_pct"), loss), (text("loss_25"), fmt.millions(row["loss_eur"], 0))]
        ),
    }


def read_stress(marts: Marts, key: Key) -> list[Row]:
    """Read the loss if a market falls by a quarter in the newest month, and (``loss_100_pct``) entirely."""
    return marts.rows(
        f"""
        with newest as (
            select * from marts.rpt_diversification_stress
            where {OF_VIEW}
            qualify month = max(month) over ()
        )

        select quarter.*, gone.loss_pct as loss_100_pct
        from newest as quarter
        left join newest as gone on quarter.destination_code = gone.destination_code and gone.shock_pct = 100
        where quarter.shock_pct = 25
        order by quarter.market_rank, quarter.destination_code
        """,
        key,
    )


def describe_stress(row: Row) -> list[Text]:
    """Return the loss if a market falls by a quarter."""
    lead = text(
        "lead", country=the_destination(row), loss=fmt.euros(row["loss_eur"]), pct=fmt.percent(row["loss_pct"] / 100)
    )
    if row["volatility_before_pct"] is None or row["volatility_after_pct"] is None:
        return [lead, text("no_volatility")]
    before, after = (fmt.percent(row[f"volatility_{when}_pct"] / 100, 2) for when in ("before", "after"))
    return [lead, text("volatility", before=before, after=after)]

"""Concentration over markets: the number of equivalent markets, and the share of the largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.figures.view import period, table_data
from publish.report.marts import OF_VIEW, Marts, Row
from publish.report.parts import Column, Table, share_at
from publish.report.texts import Text, Texts, join, same

# The largest markets whose shares are summed, each with its colour and dash.
TOPS: dict[int, tuple[str, list[int]]] = {
    1: (charts.PALETTE[0], []),
    3: (charts.PALETTE[1], [6, 3]),
    5: (charts.PALETTE[2], [2, 2]),
    10: (charts.PALETTE[3], [8, 2, 2, 2]),
}

text = Texts(
    equivalent_chart={"nl": "Gelijkwaardige markten (1/HHI)", "en": "Equivalent markets (1/HHI)"},
    tops_chart={"nl": "Aandeel van de grootste markten, in procenten", "en": "Share of the largest markets, per cent"},
    top_1={"nl": "grootste", "en": "largest"},
    top_n={"nl": "{n} grootste", "en": "{n} largest"},
    hhi={"nl": "HHI", "en": "HHI"},
    basis_r12={"nl": "over 12 maanden", "en": "over 12 months"},
    basis_month={"nl": "per maand", "en": "by month"},
    active={"nl": "Actieve markten", "en": "Active markets"},
    coverage={"nl": "{share} van het totaal is aan landen toegewezen ({period}).",
              "en": "{share} of the total is assigned to countries ({period})."},
    coverage_pct={"nl": "Dekking, %", "en": "Coverage, %"},
    note={"nl": "Alleen het deel van de uitvoer dat aan landen is toegewezen.",
          "en": "Only the part of exports that is assigned to countries."},
    lead={"nl": "De uitvoer was even geconcentreerd als bij {equivalent} even grote markten (HHI {hhi}); de vijf grootste markten hadden {top5} van de uitvoer die aan landen is toegewezen.",
          "en": "Exports were as concentrated as over {equivalent} equal markets (HHI {hhi}); the five largest markets took {top5} of the exports assigned to countries."},
    more={"nl": "Dat is geconcentreerder dan een jaar eerder ({before} even grote markten).",
          "en": "That is more concentrated than a year earlier ({before} equal markets)."},
    less={"nl": "Dat is minder geconcentreerd dan een jaar eerder ({before} even grote markten).",
          "en": "That is less concentrated than a year earlier ({before} equal markets)."},
    equal={"nl": "Dat is even geconcentreerd als een jaar eerder.", "en": "That is as concentrated as a year earlier."},
    no_year={"nl": "Het cijfer van een jaar eerder is niet bekend.", "en": "The figure a year earlier is not known."},
)  # fmt: skip


def read_concentration(marts: Marts, key: list[str], months: Sequence[date]) -> Row | None:
    """Read the series on one basis: 12 months if available, else single months."""
    rows = marts.rows(f"select * from marts.rpt_market_concentration where {OF_VIEW} order by month", key)
    basis = "r12" if any(row["basis"] == "r12" for row in rows) else "month"
    by_month = {row["month"]: row for row in rows if row["basis"] == basis}
    if not any(each in by_month for each in months):
        return None

    def series(column: str, digits: int) -> list[float | None]:
        return [charts.rounded(by_month[each][column], digits) if each in by_month else None for each in months]

    return {
        "basis": basis,
        "hhi": series("hhi", 5),
        "equivalent": series("equivalent_markets", 3),
        **{f"top{n}": series(f"top_{n}_share", 6) for n in TOPS},
        "active": series("n_active_markets", 0),
        "possible": series("n_markets", 0),
        "coverage": series("coverage_share", 6),
    }


def last_index(series: Row, name: str = "equivalent") -> int:
    """Return the index of the newest month with a figure."""
    return max(index for index, value in enumerate(series[name]) if value is not None)


def at(series: Row, index: int, name: str) -> Any:
    """Return the figure of a month; None before the first."""
    return series[name][index] if index >= 0 else None


def build(view: Row, names: Mapping[str, Any]) -> tuple[Row | None, Row | None]:
    """Return the series and their words; None for a view without them."""
    series = view["concentration"]
    if not series:
        return None, None
    first = next(index for index, value in enumerate(series["equivalent"]) if value is not None)
    indices = range(first, len(view["months"]))
    last, covered = last_index(series), last_index(series, "coverage")
    parts = ("equivalent", "hhi", "top5")
    now, before = ({part: at(series, index, part) for part in parts} for index in (last, last - 12))
    basis, title = text(f"basis_{series['basis']}"), text("equivalent_chart")
    coverage = text(
        "coverage",
        share=fmt.percent(series["coverage"][covered]),
        period=period(series["basis"], view["months"][covered]),
    )
    tops = {n: text("top_1") if n == 1 else text("top_n", n=str(n)) for n in TOPS}
    table = Table(
        "concentration-table",
        join([join([title, basis]), view["subject"]], ". "),
        indices[::-1],
        [
            Column(text("month"), lambda index: fmt.month(view["months"][index]), "name"),
            Column(title, lambda index: fmt.number(series["equivalent"][index], 2)),
            Column(text("hhi"), lambda index: fmt.number(series["hhi"][index], 4)),
            *(Column(join([name, same("%")]), share_at(series[f"top{n}"], 1)) for n, name in tops.items()),
            Column(text("active"), lambda index: fmt.number(series["active"][index])),
            Column(text("coverage_pct"), share_at(series["coverage"], 1)),
        ],
    )
    data = {
        "basis": series["basis"],
        "t": [charts.milliseconds(view["months"][index]) for index in indices],
        "equivalent": series["equivalent"][first:],
        "tops": [
            {
                "code": str(n),
                "colour": colour,
                "dash": dash,
                "values": [charts.per_cent(v) for v in series[f"top{n}"][first:]],
            }
            for n, (colour, dash) in TOPS.items()
        ],
    }
    words = {
        "lead": join(describe_concentration(now, before), " "),
        "basis": basis,
        "equivalent": title,
        "tops": text("tops_chart"),
        "top_names": list(tops.values()),
        "table": table_data(table),
        "tips": [fmt.number(value, 1) for value in series["equivalent"][first:]],
        "cite": join([view["cite"], text("note"), coverage], " "),
    }
    return data, words


def describe_concentration(now: Row, before: Row | None) -> list[Text]:
    """Return the concentration of exports, compared with a year earlier."""
    lead = text(
        "lead",
        equivalent=fmt.number(now["equivalent"], 1),
        hhi=fmt.number(now["hhi"], 3),
        top5=fmt.percent(now["top5"]),
    )
    if before is None or before["equivalent"] is None:
        return [lead, text("no_year")]
    change = fmt.round_half_up(now["equivalent"], 1) - fmt.round_half_up(before["equivalent"], 1)
    if change == 0:
        return [lead, text("equal")]
    return [lead, text("more" if change < 0 else "less", before=fmt.number(before["equivalent"], 1))]


@charts.chart(height=200)
def equivalent() -> alt.LayerChart:
    """Return the number of equivalent markets over time."""
    x = charts.month_axis()
    y = alt.Y("y:Q", title=None, axis=charts.figure_axis(), scale=alt.Scale(zero=False, nice=True))
    end = alt.Chart(alt.NamedData("ends"), name="equivalent_end").encode(x=x, y=y)
    return alt.layer(
        charts.pointer("equivalent"),
        charts.line("lines", "equivalent_line", x, y, color=charts.PALETTE[0], strokeWidth=2),
        end.mark_point(color=charts.PALETTE[0], filled=True, size=36, opacity=1),
    )


CHARTS = (equivalent, charts.lines)

"""Shares over time of the largest destinations and the United States, by month and over 12 months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.figures.view import period, table_data
from publish.report.marts import OF_VIEW, UNITED_STATES, Marts, Row, country_name
from publish.report.parts import Column, Table, share_at
from publish.report.texts import Text, Texts, in_sentence, join

N_LINES = 8

text = Texts(
    chart_r12={"nl": "Aandeel in de uitvoer over 12 maanden, in procenten",
               "en": "Share of exports over 12 months, per cent"},
    chart_month={"nl": "Aandeel in de uitvoer per maand, in procenten", "en": "Share of exports by month, per cent"},
    selection={"nl": "De {n} grootste bestemmingen in de nieuwste periode{us}.",
               "en": "The {n} largest destinations in the newest period{us}."},
    selection_us={"nl": " en de Verenigde Staten", "en": " and the United States"},
    no_r12={"nl": "Er zijn nog geen 12 volledige maanden op rij; de grafiek toont maandcijfers.",
            "en": "There are not yet 12 complete months in a row; the chart shows monthly figures."},
    lead={"nl": "Over de {period} ging {share} naar {country}, de grootste bestemming.",
          "en": "Over the {period}, {share} went to {country}, the largest destination."},
    lead_month={"nl": "In {period} ging {share} naar {country}, de grootste bestemming.",
                "en": "In {period}, {share} went to {country}, the largest destination."},
    change_in_share={"nl": "Dat is {change} ten opzichte van een jaar eerder.", "en": "That is {change} on a year earlier."},
    no_change={"nl": "Het aandeel van een jaar eerder is niet bekend.", "en": "The share a year earlier is not known."},
    us={"nl": "Naar de Verenigde Staten ging {share}.", "en": "{share} went to the United States."},
)  # fmt: skip


def read_lines(marts: Marts, key: list[str], countries: Sequence[Row], months: Sequence[date], basis: str) -> list[Row]:
    """Read the shares of the largest destinations, and of the United States, over months, largest first."""
    share, rank = ("share_r12", "destination_rank_r12") if basis == "r12" else ("share", "destination_rank")
    by_rank = sorted(
        (row for row in countries if row[rank] is not None), key=lambda row: (row[rank], row["destination_code"])
    )
    codes = [row["destination_code"] for row in by_rank[:N_LINES]]
    if UNITED_STATES not in codes and any(
        row["destination_code"] == UNITED_STATES and row[share] is not None for row in countries
    ):
        codes.append(UNITED_STATES)
    rows = marts.rows(
        f"""
        select destination_code, month, share, share_r12 from marts.rpt_destination_shares
        where {OF_VIEW} and list_contains(?, destination_code)
        """,
        [*key, codes],
    )
    by_cell = {(row["destination_code"], row["month"]): row for row in rows}
    free = [
        colour for index, colour in enumerate(charts.PALETTE) if index not in map(charts.COLOUR_OF_COUNTRY.get, codes)
    ]
    lines = []
    for code in codes:
        cells = [by_cell.get((code, each), {}) for each in months]
        lines.append(
            {
                "code": code,
                "colour": charts.PALETTE[charts.COLOUR_OF_COUNTRY[code]]
                if code in charts.COLOUR_OF_COUNTRY
                else free.pop(0),
                "month": [charts.rounded(cell.get("share"), 6) for cell in cells],
                "r12": [charts.rounded(cell.get("share_r12"), 6) for cell in cells],
            }
        )
    return lines


def build(view: Row, names: Mapping[str, Any]) -> tuple[Row | None, Row | None]:
    """Return the series on each basis, and their words; None for a view without countries."""
    lines, bases = view["lines"], ("r12", "month") if view["basis"] == "r12" else ("month",)
    if not lines:
        return None, None
    countries = [country_name(names, each["code"]) for each in lines]
    us = text("selection_us") if len(lines) > N_LINES else ""
    about = [text("selection", n=fmt.number(min(N_LINES, len(lines))), us=us)]
    if view["basis"] == "month":
        about.append(text("no_r12"))
    data: Row = {"series": [{part: each[part] for part in ("code", "colour")} for each in lines], "bases": {}}
    words: Row = {
        "lead": join(describe_shares(view, period(view["basis"], view["months"][-1]), names["countries"]), " "),
        "countries": countries,
        "about": join(about, " "),
        "bases": {},
    }
    for basis in bases:
        series = [each[basis] for each in lines]
        first = next((at for at, cells in enumerate(zip(*series, strict=True)) if any(v is not None for v in cells)), 0)
        indices, title = range(first, len(view["months"])), text(f"chart_{basis}")
        table = Table(
            "shares-table",
            join([title, view["subject"]], ". "),
            indices[::-1],
            [
                Column(text("month"), lambda index: fmt.month(view["months"][index]), "name"),
                *(Column(country, share_at(values, 1)) for country, values in zip(countries, series, strict=True)),
            ],
        )
        data["bases"][basis] = {
            "t": [charts.milliseconds(view["months"][index]) for index in indices],
            "values": [[charts.per_cent(values[index]) for index in indices] for values in series],
        }
        words["bases"][basis] = {"title": title, "table": table_data(table)}
    return data, words


def describe_shares(view: Row, period: Text, countries: Mapping[str, Text]) -> list[Text]:
    """Return the largest destination of a view's exports, and the share of the United States."""
    top, us = view["top"], view["us"]
    if top is None:
        return []
    key = "lead" if view["basis"] == "r12" else "lead_month"
    country = in_sentence(top["code"], countries[top["code"]])
    change = top["change_pp"]
    sentences = [
        text(key, period=period, share=fmt.percent(top["share"]), country=country),
        text("no_change") if change is None else text("change_in_share", change=fmt.points(change, 1)),
    ]
    if us is not None and us["code"] != top["code"]:
        sentences.append(text("us", share=fmt.percent(us["share"])))
    return sentences


@charts.chart(height=340)
def shares() -> alt.LayerChart:
    """Return a line per destination, with its name at the end."""
    x, y, colour = charts.month_axis(), charts.from_zero(), alt.Color("colour:N", scale=None)
    ends = alt.Chart(alt.NamedData("ends")).encode(x=x, color=colour)
    return alt.layer(
        charts.pointer("shares"),
        charts.line("lines", "shares_lines", x, y, strokeWidth=2, interpolate="linear").encode(
            color=colour, detail="code:N"
        ),
        ends.mark_point(filled=True, size=28, opacity=1).encode(y=y).properties(name="shares_ends"),
        # Labels move off their lines where lines end close together.
        ends.mark_text(align="left", baseline="middle", dx=8, fontSize=12, fontWeight=600)
        .encode(y=alt.Y("label_y:Q", title=None, scale=alt.Scale(domainMin=0)), text="label:N")
        .properties(name="shares_labels"),
    ).add_params(alt.param(name="y_max", value=100))


CHARTS = (shares,)

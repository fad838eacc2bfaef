"""Ranking of all destinations in the newest month, with the bounds of each share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from publish.report import charts
from publish.report import formats as fmt
from publish.report.figures.view import rows_data, table_data
from publish.report.marts import Row, country_name
from publish.report.parts import Column, Table
from publish.report.texts import MISSING, Text, Texts, join, same

# Rows in the chart and in the short table.
N_TOP = 15
CHARTS = (charts.ranking,)

text = Texts(
    title={"nl": "Ranglijst van bestemmingen", "en": "Ranking of destinations"},
    totals_title={"nl": "Totaal zonder landen", "en": "Total without countries"},
    chart={"nl": "Aandeel in {month}, in procenten; dunne lijn: onder- en bovengrens",
           "en": "Share in {month}, per cent; thin line: lower and upper bound"},
    all_destinations={"nl": "Alle {n} bestemmingen", "en": "All {n} destinations"},
    silent_countries={"nl": "Voor nog {n} landen publiceerde het bureau in deze periode niets.",
                      "en": "The office published nothing in this period for {n} more countries."},
    bounds_pct={"nl": "Grenzen, %", "en": "Bounds, %"},
    growth_pct={"nl": "Groei, %", "en": "Growth, %"},
    on_year_before={"nl": "Verschil en groei zijn ten opzichte van dezelfde maand een jaar eerder. ° = basis kleiner dan 1 miljoen euro of tien afrondingseenheden. – = niet gepubliceerd of niet te berekenen.",
                    "en": "Change and growth are on the same month a year earlier. ° = base below 1 million euros or ten rounding units. – = not published or not computable."},
    apart={"nl": "Niet aan een land toegewezen, buiten de ranglijst",
           "en": "Not assigned to a country, outside the ranking"},
    total_row={"nl": "Totaal volgens het bureau", "en": "Total published by the office"},
)  # fmt: skip


def read_rows(rows: Sequence[Row]) -> Row:
    """Return the rows of the newest month; countries without any figure in a year are counted, not listed."""
    columns = ("value_eur", "value_r12_eur", "value_year_before_eur")
    listed = [row for row in rows if any(row[column] is not None for column in columns)]
    n_countries, n_listed = (sum(row["destination_kind"] == "country" for row in each) for each in (rows, listed))
    return {"rows": [_row(row) for row in listed], "n_silent": n_countries - n_listed}


def _row(row: Row) -> Row:
    return {
        "code": row["destination_code"],
        "kind": row["destination_kind"],
        "rank": row["destination_rank"],
        "value": row["value_eur"],
        "share": charts.rounded(row["share"], 6),
        "lower": charts.rounded(row["share_lower"], 6),
        "upper": charts.rounded(row["share_upper"], 6),
        "change_pp": charts.rounded(row["share_change_pp"], 4),
        "growth": charts.rounded(row["yoy_growth_pct"], 2),
        "small_base": bool(row["is_small_base"]),
        "r12": charts.rounded(row["share_r12"], 6),
    }


def million_digits(view: Row) -> int:
    """Return the number of decimals of amounts in millions: more for smaller totals."""
    total = view["total_eur"] or 0
    return 0 if total >= 1e9 else 1 if total >= 1e7 else 3


def build(view: Row, names: Mapping[str, Any]) -> tuple[Row, Row]:
    """Return the bars and the tables of the ranking; only totals for a view without countries."""
    countries = [row for row in view["rows"] if row["kind"] == "country"]
    ranked = [row for row in countries if row["rank"] is not None]
    everyone = [*ranked, *(row for row in countries if row["rank"] is None)]
    apart = [row for row in view["rows"] if row["kind"] != "country"]
    newest, digits = fmt.month(view["months"][-1]), million_digits(view)
    title = text("chart", month=newest) if ranked else join([text("totals_title"), newest])
    columns = [
        Column(text("rank"), _rank),
        Column(text("destination"), lambda row: country_name(names, row["code"]), "name"),
        Column(text("value"), lambda row: fmt.millions(row["value"], digits)),
        Column(text("share"), lambda row: fmt.share_figure(row["share"], 1)),
        Column(text("bounds_pct"), lambda row: _bounds(row["lower"], row["upper"])),
        Column(text("change"), lambda row: fmt.number(row["change_pp"], 1, signed=True)),
        Column(text("growth_pct"), _growth),
        Column(text("share_12"), lambda row: fmt.share_figure(row["r12"], 1)),
    ]
    caption = join([title, view["subject"]], ". ")
    total, all_of_them = fmt.millions(view["total_eur"], digits), text("all_destinations", n=fmt.number(len(everyone)))
    data = {
        "n_ranked": len(ranked),
        "bars": [
            [row["code"], *(charts.per_cent(row[part]) for part in ("share", "lower", "upper"))]
            for row in ranked[:N_TOP]
        ],
    }
    words = {
        "title": text("title" if ranked else "totals_title"),
        "chart": title,
        "table": table_data(Table("ranking-table", caption, everyone, columns)),
        "foot": [
            *([{"kind": "apart", "title": text("apart"), "rows": rows_data(apart, columns)}] if apart else []),
            {"kind": "total", "rows": [["", text("total_row"), total, fmt.number(100, 1), "", "", "", ""]]},
        ],
        "all": all_of_them,
        "all_caption": join([all_of_them, caption], ". "),
        "silent": text("silent_countries", n=fmt.number(view["n_silent"])) if view["n_silent"] else None,
        "note": text("on_year_before"),
    }
    return data, words


def _rank(row: Row) -> Text:
    return same(str(row["rank"]) if row["rank"] is not None else MISSING if row["kind"] == "country" else "")


def _bounds(lower: fmt.Figure, upper: fmt.Figure) -> Text:
    return same(MISSING) if lower is None else fmt.interval(fmt.share_figure(lower, 1), fmt.share_figure(upper, 1))


def _growth(row: Row) -> Text:
    written = fmt.number(row["growth"], 1, signed=True)
    return join([written, same("°")], "") if row["small_base"] and row["growth"] is not None else written

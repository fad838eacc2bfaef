"""Texts of the chosen view, and helpers shared by its figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from publish.report import formats as fmt
from publish.report.marts import Row
from publish.report.parts import Column, Table
from publish.report.texts import Text, Texts, shared

text = Texts(
    release={"nl": "publicatiestand {date}", "en": "release of {date}"},
    cite={"nl": "Bron: {subject}; {release}.", "en": "Source: {subject}; {release}."},
    year_before={"nl": "{change} t.o.v. jaar eerder", "en": "{change} on a year earlier"},
    no_year_before={"nl": "jaar eerder niet beschikbaar", "en": "year earlier not available"},
    top_destination={"nl": "Grootste bestemming", "en": "Top destination"},
    top_destination_loaded={"nl": "Grootste geladen bestemming", "en": "Top loaded destination"},
    us_share={"nl": "Aandeel Verenigde Staten", "en": "Share of the United States"},
    equivalent={"nl": "Gelijkwaardige markten", "en": "Equivalent markets"},
    active={"nl": "Actieve markten", "en": "Active markets"},
    of_markets={"nl": "van {n} mogelijke", "en": "of {n} possible"},
    of_loaded={"nl": "onder de geladen landen", "en": "among the loaded countries"},
    total={"nl": "Totale uitvoer", "en": "Total exports"},
    not_loaded_warning={"nl": "{share} van het totaal hoort bij landen die niet zijn geladen. Een daarvan kan hoger staan dan de landen hier.",
                        "en": "{share} of the total belongs to countries that were not loaded. One of them may rank above the countries here."},
    no_countries={"nl": "Voor deze keuze zijn alleen totalen geladen, geen landen. Er is daarom geen ranglijst, geen aandeel per land en geen spreiding.",
                  "en": "For this choice only totals were loaded, no countries, so there is no ranking, no share by country and no concentration."},
    incomplete_now={"nl": "Nog zonder aandelen: {months}. {reason}", "en": "No shares yet: {months}. {reason}"},
)  # fmt: skip


def period(basis: str, newest: date) -> Text:
    """Return the month, or the 12 months ending with it."""
    return shared("period_12" if basis == "r12" else "period_month", month=fmt.month(newest))


def not_loaded(view: Row) -> Row | None:
    """Return the row of the office's total outside the requested partners."""
    return next((row for row in view["rows"] if row["kind"] == "not_loaded" and row["share"]), None)


def table_data(table: Table) -> Row:
    """Return a table for the script to render."""
    return {
        "caption": table.title,
        "head": [(column.head, column.kind == "figure") for column in table.columns],
        "name_at": [column.kind for column in table.columns].index("name"),
        "rows": rows_data(table.rows, table.columns),
    }


def rows_data(rows: Sequence[Any], columns: Sequence[Column]) -> list[list[Text]]:
    """Return the cells of rows."""
    return [[column.cell(row) for column in columns] for row in rows]

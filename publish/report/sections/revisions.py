"""How figures are revised: mean and mean absolute revision of the total, by age of the figure."""

from __future__ import annotations

from collections.abc import Sequence

from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, Key, Marts, Row
from publish.report.parts import Column, Section, Table, View
from publish.report.texts import Text, Texts

ORDER = 110
TABLES = ("rpt_revisions",)
N_MARKETS = 12

text = Texts(
    title={"nl": "Hoe cijfers worden bijgesteld", "en": "How figures are revised"},
    empty={"nl": "Bijstellingen zijn pas te zien als een tweede publicatie is geladen.",
           "en": "Revisions are visible once a second release is loaded."},
    note={"nl": "Leeftijd: maanden van de verslagmaand tot de publicatie die bijstelt.",
          "en": "Age: months from the reference month to the revising release."},
    lead={"nl": "Een totaal van {age} maanden oud wordt bij de volgende publicatie gemiddeld {size} bijgesteld (absoluut; aantal bijstellingen: {n}); met teken is dat {mean}.",
          "en": "A total that is {age} months old is revised by {size} on average in the next release (absolute; number of revisions: {n}); signed, that is {mean}."},
    table={"nl": "Bijstelling van het totaal naar leeftijd van het cijfer",
           "en": "Revision of the total by age of the figure"},
    age={"nl": "Leeftijd, maanden", "en": "Age, months"},
    n_revisions={"nl": "Bijstellingen", "en": "Revisions"},
    mean_revision={"nl": "Gemiddeld, %", "en": "Mean, %"},
    mean_abs_revision={"nl": "Gemiddeld absoluut, %", "en": "Mean absolute, %"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_revisions(marts, view.key)
    if not rows:
        return None
    months = text(
        "period_span",
        first=fmt.month(min(row["first_month"] for row in rows)),
        last=fmt.month(max(row["last_month"] for row in rows)),
    )
    columns = [
        Column(text("age"), lambda row: fmt.number(row["age_months"]), "name"),
        Column(text("n_revisions"), lambda row: fmt.number(row["n_revisions_of_age"])),
        Column(text("mean_revision"), lambda row: fmt.number(row["mean_revision_pct_of_age"], 2, signed=True)),
        Column(text("mean_abs_revision"), lambda row: fmt.number(row["mean_abs_revision_pct_of_age"], 2)),
    ]
    return Section(
        leads=[describe_revisions(rows)],
        tables=[Table("revisions-table", text("table"), rows[:N_MARKETS], columns, is_open=True)],
        note=text("note"),
        source=view.source(months, rows),
    )


def read_revisions(marts: Marts, key: Key) -> list[Row]:
    """Read the revisions of totals by age, youngest first; ages without revisions are left out."""
    return marts.rows(
        f"""
        select
            age_months, n_revisions_of_age, mean_revision_pct_of_age, mean_abs_revision_pct_of_age,
            min(month) as first_month, max(month) as last_month, max(vintage_at) as vintage_at
        from marts.rpt_revisions
        where {OF_VIEW} and n_revisions_of_age > 0 and mean_abs_revision_pct_of_age is not null
        group by all
        order by age_months
        """,
        key,
    )


def describe_revisions(rows: Sequence[Row]) -> list[Text]:
    """Return the usual revision of the youngest total, which is the first row."""
    first = rows[0]
    return [
        text(
            "lead",
            age=fmt.number(first["age_months"]),
            size=fmt.percent(first["mean_abs_revision_pct_of_age"] / 100, 2),
            n=fmt.number(first["n_revisions_of_age"]),
            mean=fmt.growth(first["mean_revision_pct_of_age"], 2),
        )
    ]

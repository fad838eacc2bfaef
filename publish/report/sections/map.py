"""Map: the share of each country, for the world and Europe, and the ranking behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import altair as alt

from publish.report import charts
from publish.report import formats as fmt
from publish.report.marts import OF_VIEW, Key, Marts, Row
from publish.report.parts import Column, Mark, Panel, Section, Table, View, destination, the_destination, yes_or_no
from publish.report.texts import Text, Texts, same

ORDER = 20
TABLES = ("rpt_destination_shares",)
# Classes, per cent of exports: lower bounds, with shades of one hue from light to dark.
CLASSES = (0, 0.5, 1, 2, 5, 10)
SHADES = ("#dbe9f6", "#b3d0ea", "#7fb0da", "#4487c2", "#1d5fa6", "#0a3367")
BLANK = "#f0efeb"
REPORTER = "#f2a33a"
# The table ends at this share; the ranking of the chosen view has every destination.
SMALLEST_LISTED = 0.001

text = Texts(
    title={"nl": "Kaart", "en": "Map"},
    empty={"nl": "Geen enkel land heeft een aandeel.", "en": "No country has a share."},
    note={"nl": "Omtrekken: Natural Earth (publiek domein), 1:110 miljoen. De grenzen zijn de feitelijke grenzen volgens die bron; deze pagina neemt daarover geen standpunt in.",
          "en": "Outlines: Natural Earth (public domain), 1:110 million. Its borders are de facto ones; this page takes no position on them."},
    share_month={"nl": "Aandeel maand, %", "en": "Share month, %"},
    world={"nl": "Wereld", "en": "World"},
    europe={"nl": "Europa", "en": "Europe"},
    caption={"nl": "Aandeel in de uitvoer, in procenten", "en": "Share of exports, per cent"},
    none={"nl": "geen cijfer", "en": "no figure"},
    reporter={"nl": "het uitvoerende land", "en": "the exporting country"},
    on_map={"nl": "Op de kaart", "en": "On the map"},
    table={"nl": "Ranglijst achter de kaart, vanaf {smallest}", "en": "Ranking behind the map, from {smallest}"},
    lead={"nl": "{n} landen hebben een aandeel van ten minste 1%. De grootste zijn {largest}.",
          "en": "{n} countries have a share of at least 1%. The largest are {largest}."},
    lead_one={"nl": "Eén land heeft een aandeel van ten minste 1%. De grootste zijn {largest}.",
              "en": "One country has a share of at least 1%. The largest are {largest}."},
    all_drawn={"nl": "Alle bestemmingen met een aandeel staan op de kaart.",
               "en": "All destinations with a share are on the map."},
    not_drawn={"nl": "{n} bestemmingen zijn te klein voor de schaal van de kaart; de grootste daarvan is {largest}. Ze staan in de ranglijst.",
               "en": "{n} destinations are too small for the scale of the map; the largest of them is {largest}. They are in the ranking."},
    class_from={"nl": "{lower}% en meer", "en": "{lower}% and more"},
    class_below={"nl": "tot {upper}%", "en": "below {upper}%"},
    class_between={"nl": "{lower} tot {upper}%", "en": "{lower} to {upper}%"},
)  # fmt: skip


def build(marts: Marts, view: View) -> Section | None:
    """Build the section."""
    rows = read_countries(marts, view.key, view.month)
    if not rows:
        return None
    drawn = charts.countries_on_map()
    leads = describe_map(rows, [row for row in rows if row["destination_code"] not in drawn])
    shades = [
        {
            "code": row["destination_code"],
            "colour": SHADES[sum(100 * row["shown"] >= lower for lower in CLASSES) - 1],
            "tip": charts.tip(destination(row), [(text("share"), fmt.share_figure(row["shown"]))]),
        }
        for row in rows
    ]
    shades.append(
        {"code": view.key[3], "colour": REPORTER, "tip": charts.tip(view.reporter, [(text("reporter"), same(""))])}
    )
    limits = [fmt.number(limit, 1 if limit % 1 else 0) for limit in CLASSES[1:]]
    classes = [
        text("class_below", upper=limits[0]),
        *(text("class_between", lower=lower, upper=upper) for lower, upper in pairwise(limits)),
        text("class_from", lower=limits[-1]),
    ]
    columns = [
        Column(text("rank"), lambda row: fmt.number(row["rank"]), "text"),
        Column(text("destination"), destination, "name"),
        Column(text("share_12"), lambda row: fmt.share_figure(row["share_r12"])),
        Column(text("share_month"), lambda row: fmt.share_figure(row["share"])),
        Column(text("on_map"), lambda row: yes_or_no(row["destination_code"] in drawn), "text"),
    ]
    return Section(
        leads=[leads],
        panels=[
            Panel(
                f"map-{chart.name}",
                chart,
                caption,
                leads[0],
                {"shades": shades},
                about=text("caption"),
                ratio=ratio,
                width=width,
            )
            for chart, caption, ratio, width in ((world, text("world"), 0.47, 395), (europe, text("europe"), 0.72, 255))
        ],
        legend=[
            *(Mark(name, colour) for name, colour in zip(classes, SHADES, strict=True)),
            Mark(text("none"), BLANK),
            Mark(text("reporter"), REPORTER),
        ],
        tables=[
            Table(
                "map-table",
                text("table", smallest=fmt.percent(SMALLEST_LISTED)),
                [row for row in rows if row["shown"] >= SMALLEST_LISTED],
                columns,
            )
        ],
        note=text("note"),
        source=view.source(
            text("period_12" if rows[0]["has_r12"] else "period_month", month=fmt.month(view.month)), rows
        ),
        layout="maps",
    )


def _map(**projection: Any) -> alt.Chart:
    return (
        alt.Chart(alt.NamedData("countries", format=alt.TopoDataFormat(feature="countries", type="topojson")))
        .mark_geoshape(stroke="#7b8894", strokeWidth=0.4, clip=True, tooltip=alt.TooltipContent("data"))
        .transform_lookup(lookup="id", from_=alt.LookupData(alt.NamedData("shades"), "code", ["colour", "tip"]))
        .encode(color=alt.condition("datum.colour", alt.Color("colour:N", scale=None), alt.value(BLANK)))
        .project(**projection)
    )


@charts.chart(height=480)
def world() -> alt.Chart:
    """Return the map of the world."""
    return _map(type="equalEarth")


@charts.chart(height=480)
def europe() -> alt.Chart:
    """Return a window on Europe; without its own scale the projection would fit the whole world."""
    scale, centre = alt.ExprRef("1.3 * min(width, 1.1 * height)"), alt.ExprRef("[width / 2, height / 2]")
    return _map(type="azimuthalEqualArea", rotate=[-13, -52, 0], scale=scale, translate=centre)


def read_countries(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the share of each country, over 12 months if available, as ``shown``, largest first."""
    return marts.rows(
        f"""
        with countries as (
            select *, count(share_r12) over () > 0 as has_r12
            from marts.rpt_destination_shares
            where {OF_VIEW} and month = ? and destination_kind = 'country'
        )

        select
            *,
            case when has_r12 then share_r12 else share end as shown,
            row_number() over (order by shown desc, destination_code) as rank
        from countries
        where shown is not null
        order by rank
        """,
        [*key, month],
    )


def describe_map(rows: Sequence[Row], not_drawn: Sequence[Row]) -> list[Text]:
    """Return the number of countries with a substantial share, the largest of them, and those not drawn."""
    weighty = sum(row["shown"] >= 0.01 for row in rows)
    largest = fmt.enumerate_names(_named_share(row) for row in rows[:3])
    return [
        text("lead_one", largest=largest) if weighty == 1 else text("lead", n=fmt.number(weighty), largest=largest),
        text("not_drawn", n=fmt.number(len(not_drawn)), largest=_named_share(not_drawn[0]))
        if not_drawn
        else text("all_drawn"),
    ]


def _named_share(row: Row) -> Text:
    return text("named_share", name=the_destination(row), share=fmt.percent(row["shown"]))

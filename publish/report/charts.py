"""The charts of the report: Vega-Lite specifications, the library that draws them, the map, and colours."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from publish.report.words import TEMPLATES

# Nine hues that stay apart for colour-blind readers (they differ in lightness too) and reach 4.5:1 on
# white, because labels are written in them. A country that is often in view keeps its colour.
PALETTE = (
    "#0b4f9e",
    "#c2410c",
    "#00796b",
    "#a21e6e",
    "#7a5c00",
    "#6a3fb5",
    "#1f6fb2",
    "#4b5563",
    "#8b1a1a",
)
COLOUR_OF_COUNTRY = {"DE": 0, "US": 1, "BE": 2, "FR": 3, "PL": 4, "GB": 5, "IT": 6, "ES": 7, "CN": 8}
# Shades of one hue for the classes of the map, light to dark, and the country that exports.
MAP_SHADES = ("#dbe9f6", "#b3d0ea", "#7fb0da", "#4487c2", "#1d5fa6", "#0a3367")
MAP_BLANK = "#f0efeb"
MAP_REPORTER = "#f2a33a"
INK, RULE, GREY = "#1b2733", "#dfe4ea", "#6b7885"
BAND = "#c9dcf0"
# The charts that draw countries.
MAPS = ("world", "europe")


def chart_specs() -> dict[str, Any]:
    """Draw up the charts, without data and without words: the page fills in both.

    Returns
    -------
    dict
        Vega-Lite specifications by chart. Every view and parameter is named, as Altair's own names count up
        over the life of the process.
    """
    return {
        "shares": _finish(_shares(), "shares", 340),
        "ranking": _finish(_ranking(), "ranking", 390),
        "equivalent": _finish(_equivalent(), "equivalent", 200),
        "lines": _finish(_lines(), "lines", 240),
        "season": _finish(_season(), "season", 150),
        "split": _finish(_split(), "split", 330),
        "timeline": _finish(_timeline(), "timeline", 300),
        "ledger": _finish(_ledger(), "ledger", 260),
        "dumbbell": _finish(_dumbbell(), "dumbbell", 300),
        "world": _finish(_map(type="equalEarth"), "world", 480),
        "europe": _finish(
            # A window on Europe: without a scale of its own the projection would fit the whole world in.
            _map(
                type="azimuthalEqualArea",
                rotate=[-13, -52, 0],
                scale=alt.ExprRef("1.3 * min(width, 1.1 * height)"),
                translate=alt.ExprRef("[width / 2, height / 2]"),
            ),
            "europe",
            480,
        ),
    }


@cache
def chart_library() -> str:
    """Bundle the Vega-Lite that Altair's specifications are written for; vl-convert carries it with it."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return bundle


@cache
def countries_topology() -> dict[str, Any]:
    """Read the outlines of countries (TopoJSON); the id of each is its ISO 3166-1 alpha-2 code."""
    topology: dict[str, Any] = json.loads((TEMPLATES / "countries-110m.json").read_text(encoding="utf-8"))
    return topology


def countries_on_map() -> set[str]:
    """List the countries that the map can show: at its scale, small ones are not drawn."""
    return {shape["id"] for shape in countries_topology()["objects"]["countries"]["geometries"] if "id" in shape}


def _finish(chart: alt.LayerChart | alt.Chart, name: str, height: int) -> dict[str, Any]:
    spec: dict[str, Any] = (
        chart.properties(name=name, width="container", height=height)
        .configure(
            font="system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
            background="#ffffff",
            # The page describes each chart in its own language and gives its figures in a table.
            aria=False,
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure_view(stroke=None)
        .configure_axis(labelColor="#3d4a57", labelFontSize=12, gridColor=RULE, labelPadding=6, titleColor=INK)
        .to_dict()
    )
    return spec


def _month_axis(tick_count: int = 8) -> alt.X:
    axis = alt.Axis(
        format={"year": "%Y", "quarter": "%b", "month": "%b"},
        grid=False,
        tickColor="#8a96a3",
        domainColor="#8a96a3",
        labelOverlap=True,
        labelSeparation=6,
        # On a narrow chart years only: labels of quarters would push them out.
        tickCount=alt.ExprRef(f"width < 420 ? 4 : {tick_count}"),
    )
    return alt.X("t:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def _figure_axis(tick_count: int = 6) -> alt.Axis:
    return alt.Axis(format=",.2~f", domain=False, ticks=False, tickCount=tick_count)


def _pointer(name: str, tick_count: int = 8) -> alt.Chart:
    # One invisible rule a month catches the pointer anywhere on the chart, also on touch screens.
    chosen = alt.selection_point(
        name=f"hover_{name}",
        fields=["t"],
        nearest=True,
        on="pointermove",
        clear="pointerout",
        empty=False,
    )
    return (
        alt.Chart(alt.NamedData("hover"), name=f"{name}_hover")
        .mark_rule(color="#5b6b7a", strokeWidth=1, tooltip=alt.TooltipContent("data"))
        .encode(x=_month_axis(tick_count), opacity=alt.condition(chosen, alt.value(1), alt.value(0)))
        .add_params(chosen)
    )


def _from_zero() -> alt.Y:
    """Figures from zero up to the largest of what is shown."""
    return alt.Y(
        "y:Q",
        title=None,
        axis=_figure_axis(),
        scale=alt.Scale(domainMin=0, domainMax=alt.ExprRef("y_max"), nice=False),
    )


def _shares() -> alt.LayerChart:
    x = _month_axis()
    y_shares = _from_zero()
    lines = (
        alt.Chart(alt.NamedData("lines"), name="shares_lines")
        .mark_line(strokeWidth=2, interpolate="linear", invalid="break-paths-show-domains")
        .encode(x=x, y=y_shares, color=alt.Color("colour:N", scale=None), detail="code:N")
    )
    ends = alt.Chart(alt.NamedData("ends")).encode(x=x, color=alt.Color("colour:N", scale=None))
    return alt.layer(
        _pointer("shares"),
        lines,
        ends.mark_point(filled=True, size=28, opacity=1).encode(y=y_shares).properties(name="shares_ends"),
        # The label may stand a little off its line where lines end close together.
        ends.mark_text(align="left", baseline="middle", dx=8, fontSize=12, fontWeight=600)
        .encode(y=alt.Y("label_y:Q", title=None, scale=alt.Scale(domainMin=0)), text="label:N")
        .properties(name="shares_labels"),
    ).add_params(alt.param(name="y_max", value=100))


def _name_axis() -> alt.Y:
    return alt.Y(
        "label:N",
        sort=None,
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelLimit=150, labelPadding=8),
        scale=alt.Scale(paddingInner=0.3, paddingOuter=0.15),
    )


def _ranking() -> alt.LayerChart:
    base = alt.Chart(alt.NamedData("bars")).encode(y=_name_axis())
    x_shares = alt.X(
        "share:Q",
        title=None,
        axis=_figure_axis(5),
        scale=alt.Scale(domain=[0, alt.ExprRef("x_max")], nice=False),
    )
    return alt.layer(
        base.mark_bar(color=PALETTE[0], tooltip=alt.TooltipContent("data"))
        .encode(x=x_shares)
        .properties(name="ranking_bars"),
        base.transform_filter("datum.upper > datum.lower")
        .mark_rule(color=INK, strokeWidth=1.5)
        .encode(x=alt.X("lower:Q"), x2="upper:Q")
        .properties(name="ranking_bounds"),
        base.transform_filter("datum.upper > datum.lower")
        .mark_tick(color=INK, thickness=1.5, size=8)
        .encode(x=alt.X("upper:Q"))
        .properties(name="ranking_upper"),
        base.mark_text(align="left", baseline="middle", dx=6, color=INK, fontSize=12)
        .encode(x=alt.X("upper:Q"), text="text:N")
        .properties(name="ranking_labels"),
    ).add_params(alt.param(name="x_max", value=100))


def _equivalent() -> alt.LayerChart:
    x = _month_axis()
    y = alt.Y("y:Q", title=None, axis=_figure_axis(), scale=alt.Scale(zero=False, nice=True))
    line = (
        alt.Chart(alt.NamedData("lines"), name="equivalent_line")
        .mark_line(color=PALETTE[0], strokeWidth=2, invalid="break-paths-show-domains")
        .encode(x=x, y=y)
    )
    end = (
        alt.Chart(alt.NamedData("ends"), name="equivalent_end")
        .mark_point(color=PALETTE[0], filled=True, size=36, opacity=1)
        .encode(x=x, y=y)
    )
    return alt.layer(_pointer("equivalent"), line, end)


def _lines() -> alt.LayerChart:
    """Several series over time, told apart by colour and dash."""
    lines = (
        alt.Chart(alt.NamedData("lines"), name="lines_lines")
        .mark_line(strokeWidth=2, invalid="break-paths-show-domains")
        .encode(
            x=_month_axis(),
            y=alt.Y("y:Q", title=None, axis=_figure_axis(), scale=alt.Scale(zero=True, nice=True)),
            color=alt.Color("colour:N", scale=None),
            strokeDash=alt.StrokeDash("dash:N", scale=None),
            detail="code:N",
        )
    )
    return alt.layer(_pointer("lines"), lines)


def _season() -> alt.LayerChart:
    """One share: as it is, and without the usual season."""
    x = _month_axis(4)
    y = alt.Y("y:Q", title=None, axis=_figure_axis(4), scale=alt.Scale(zero=False, nice=True))
    raw = (
        alt.Chart(alt.NamedData("raw"), name="season_raw")
        .mark_line(color=GREY, strokeWidth=1.2, invalid="break-paths-show-domains")
        .encode(x=x, y=y)
    )
    adjusted = (
        alt.Chart(alt.NamedData("adjusted"), name="season_adjusted")
        .mark_line(color=PALETTE[0], strokeWidth=2.4, invalid="break-paths-show-domains")
        .encode(x=x, y=y)
    )
    return alt.layer(_pointer("season", 4), raw, adjusted)


def _split() -> alt.LayerChart:
    """Parts that add up, some of them below zero, and a tick at their sum."""
    x = alt.X("x:Q", title=None, axis=_figure_axis(5), stack="zero")
    parts = (
        alt.Chart(alt.NamedData("parts"), name="split_parts")
        .mark_bar(tooltip=alt.TooltipContent("data"))
        .encode(
            y=_name_axis(),
            x=x,
            color=alt.Color("colour:N", scale=None),
            order=alt.Order("order:Q"),
        )
    )
    zero = (
        alt.Chart(alt.NamedData("zero"), name="split_zero")
        .mark_rule(color=INK, strokeWidth=1)
        .encode(x=alt.X("x:Q", stack=None))
    )
    sums = (
        alt.Chart(alt.NamedData("sums"), name="split_sums")
        .mark_tick(color=INK, thickness=3, size=18, tooltip=alt.TooltipContent("data"))
        .encode(y=_name_axis(), x=alt.X("x:Q", stack=None))
    )
    return alt.layer(parts, zero, sums)


def _timeline() -> alt.LayerChart:
    """A flow over time, with numbered events."""
    x = _month_axis()
    y = _from_zero()
    line = (
        alt.Chart(alt.NamedData("lines"), name="timeline_line")
        .mark_line(color=PALETTE[0], strokeWidth=2, invalid="break-paths-show-domains")
        .encode(x=x, y=y)
    )
    events = alt.Chart(alt.NamedData("events")).encode(x=x)
    return alt.layer(
        events.mark_rule(color=PALETTE[1], strokeWidth=1, strokeDash=[3, 3]).properties(name="timeline_rules"),
        _pointer("timeline"),
        line,
        # Above the flow, on several levels, with a white edge: events of one year stand close together.
        *(
            events.mark_text(fontSize=12, fontWeight=600, baseline="middle", align="left", dx=3, **ink)
            .encode(y=alt.Y("label_y:Q", title=None), text="label:N")
            .properties(name=f"timeline_{name}")
            for name, ink in (
                ("edges", {"color": "#ffffff", "stroke": "#ffffff", "strokeWidth": 5}),
                ("labels", {"color": PALETTE[1]}),
            )
        ),
    ).add_params(alt.param(name="y_max", value=100))


def _ledger() -> alt.LayerChart:
    """Exports beside what was expected of them, with the interval of the expectation."""
    x = _month_axis()
    scale = alt.Scale(zero=False, nice=True)
    y = alt.Y("y:Q", title=None, axis=_figure_axis(), scale=scale)
    band = (
        alt.Chart(alt.NamedData("band"), name="ledger_band")
        .mark_area(color=BAND)
        .encode(x=x, y=alt.Y("lower:Q", title=None, axis=_figure_axis(), scale=scale), y2="upper:Q")
    )
    turns = (
        alt.Chart(alt.NamedData("turns"), name="ledger_turns")
        .mark_rule(color=PALETTE[1], strokeWidth=1.2, strokeDash=[3, 3])
        .encode(x=x)
    )
    expected = (
        alt.Chart(alt.NamedData("expected"), name="ledger_expected")
        .mark_line(color=GREY, strokeWidth=1.8, strokeDash=[6, 3], invalid="break-paths-show-domains")
        .encode(x=x, y=y)
    )
    actual = (
        alt.Chart(alt.NamedData("actual"), name="ledger_actual")
        .mark_line(color=PALETTE[0], strokeWidth=2.2, invalid="break-paths-show-domains")
        .encode(x=x, y=y)
    )
    return alt.layer(band, turns, _pointer("ledger"), expected, actual)


def _dumbbell() -> alt.LayerChart:
    """Two figures of each name, before and now."""
    axis = alt.X("x:Q", title=None, axis=_figure_axis(5), scale=alt.Scale(zero=True, nice=True))
    before = alt.X("before:Q", title=None)
    base = alt.Chart(alt.NamedData("rows")).encode(y=_name_axis())
    return alt.layer(
        base.mark_rule(color=GREY, strokeWidth=2).encode(x=before, x2="x:Q").properties(name="dumbbell_rules"),
        base.mark_point(
            color=GREY, fill="#ffffff", size=60, strokeWidth=2, opacity=1, tooltip=alt.TooltipContent("data")
        )
        .encode(x=before)
        .properties(name="dumbbell_before"),
        base.mark_point(color=PALETTE[0], filled=True, size=80, opacity=1, tooltip=alt.TooltipContent("data"))
        .encode(x=axis)
        .properties(name="dumbbell_now"),
    )


def _map(**projection: Any) -> alt.Chart:
    return (
        alt.Chart(alt.NamedData("countries", format=alt.TopoDataFormat(feature="countries", type="topojson")))
        .mark_geoshape(stroke="#7b8894", strokeWidth=0.4, clip=True, tooltip=alt.TooltipContent("data"))
        .transform_lookup(lookup="id", from_=alt.LookupData(alt.NamedData("shades"), "code", ["colour", "tip"]))
        .encode(color=alt.condition("datum.colour", alt.Color("colour:N", scale=None), alt.value(MAP_BLANK)))
        .project(**projection)
    )

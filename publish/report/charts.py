"""Shared parts of the report's charts: colours, axes, charts drawn by several sections, and the chart library."""

from __future__ import annotations

import calendar
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from publish.report.formats import Figure, month
from publish.report.marts import Row
from publish.report.texts import TEMPLATES, Text

TipRows = Iterable[tuple[Text, Text] | tuple[Text, Text, str]]

# Nine hues that colour-blind readers can distinguish (they also differ in lightness), with a contrast of 4.5:1 on white
# because labels use them. Countries that appear often keep their colour.
PALETTE = ("#0b4f9e", "#c2410c", "#00796b", "#a21e6e", "#7a5c00", "#6a3fb5", "#1f6fb2", "#4b5563", "#8b1a1a")
COLOUR_OF_COUNTRY = {"DE": 0, "US": 1, "BE": 2, "FR": 3, "PL": 4, "GB": 5, "IT": 6, "ES": 7, "CN": 8}
INK, RULE, GREY = "#1b2733", "#dfe4ea", "#6b7885"


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification without data or words, which the page fills in.

    All its views and parameters are named, because Altair's own names count up over the life of the process.
    """

    name: str
    height: int
    draw: Callable[[], alt.LayerChart | alt.Chart]

    def spec(self) -> dict[str, Any]:
        """Return the specification."""
        chart = self.draw().properties(name=self.name, width="container", height=self.height)
        spec: dict[str, Any] = (
            chart.configure(
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


def chart(height: int) -> Callable[[Callable[[], alt.LayerChart | alt.Chart]], Chart]:
    """Turn a drawing function into a chart of the given height in pixels, unless a panel sets another."""
    return lambda draw: Chart(draw.__name__, height, draw)


@cache
def chart_library() -> str:
    """Return the Vega-Lite version of Altair's specifications, as bundled with vl-convert."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return bundle


@cache
def countries_topology() -> dict[str, Any]:
    """Return the outlines of countries (TopoJSON), with ISO 3166-1 alpha-2 codes as ids."""
    topology: dict[str, Any] = json.loads((TEMPLATES / "countries-110m.json").read_text(encoding="utf-8"))
    return topology


def countries_on_map() -> set[str]:
    """Return the countries on the map; small ones are not drawn at its scale."""
    return {shape["id"] for shape in countries_topology()["objects"]["countries"]["geometries"] if "id" in shape}


def month_axis(tick_count: int = 8) -> alt.X:
    """Return an axis of months."""
    axis = alt.Axis(
        format={"year": "%Y", "quarter": "%b", "month": "%b"},
        grid=False,
        tickColor="#8a96a3",
        domainColor="#8a96a3",
        labelOverlap=True,
        labelSeparation=6,
        # Only years on a narrow chart, where quarter labels would displace them.
        tickCount=alt.ExprRef(f"width < 420 ? 4 : {tick_count}"),
    )
    return alt.X("t:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def figure_axis(tick_count: int = 6) -> alt.Axis:
    """Return an axis of figures, formatted by the page's locale."""
    return alt.Axis(format=",.2~f", domain=False, ticks=False, tickCount=tick_count)


def pointer(name: str, tick_count: int = 8) -> alt.Chart:
    """Return one invisible rule per month, which catches the pointer anywhere on the chart, on touch screens too."""
    chosen = alt.selection_point(
        name=f"hover_{name}", fields=["t"], nearest=True, on="pointermove", clear="pointerout", empty=False
    )
    return (
        alt.Chart(alt.NamedData("hover"), name=f"{name}_hover")
        .mark_rule(color="#5b6b7a", strokeWidth=1, tooltip=alt.TooltipContent("data"))
        .encode(x=month_axis(tick_count), opacity=alt.condition(chosen, alt.value(1), alt.value(0)))
        .add_params(chosen)
    )


def from_zero() -> alt.Y:
    """Return an axis from zero up to the largest figure shown."""
    return alt.Y(
        "y:Q", title=None, axis=figure_axis(), scale=alt.Scale(domainMin=0, domainMax=alt.ExprRef("y_max"), nice=False)
    )


def line(data: str, name: str, x: alt.X, y: alt.Y, **mark: Any) -> alt.Chart:
    """Return the line of one dataset; a missing figure breaks it."""
    named = alt.Chart(alt.NamedData(data), name=name)
    return named.mark_line(invalid="break-paths-show-domains", **mark).encode(x=x, y=y)


def name_axis() -> alt.Y:
    """Return an axis of names, in the order of the rows."""
    return alt.Y(
        "label:N",
        sort=None,
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelLimit=150, labelPadding=8),
        scale=alt.Scale(paddingInner=0.3, paddingOuter=0.15),
    )


@chart(height=390)
def ranking() -> alt.LayerChart:
    """Return a bar per name, with the bounds of its share."""
    base = alt.Chart(alt.NamedData("bars")).encode(y=name_axis())
    x_shares = alt.X(
        "share:Q", title=None, axis=figure_axis(5), scale=alt.Scale(domain=[0, alt.ExprRef("x_max")], nice=False)
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


@chart(height=240)
def lines() -> alt.LayerChart:
    """Return several series over time, distinguished by colour and dash."""
    y = alt.Y("y:Q", title=None, axis=figure_axis(), scale=alt.Scale(zero=True, nice=True))
    series = line("lines", "lines_lines", month_axis(), y, strokeWidth=2).encode(
        color=alt.Color("colour:N", scale=None), strokeDash=alt.StrokeDash("dash:N", scale=None), detail="code:N"
    )
    return alt.layer(pointer("lines"), series)


@chart(height=330)
def split() -> alt.LayerChart:
    """Return components that sum to a total, possibly negative, with a tick at the total."""
    x = alt.X("x:Q", title=None, axis=figure_axis(5), stack="zero")
    parts = (
        alt.Chart(alt.NamedData("parts"), name="split_parts")
        .mark_bar(tooltip=alt.TooltipContent("data"))
        .encode(y=name_axis(), x=x, color=alt.Color("colour:N", scale=None), order=alt.Order("order:Q"))
    )
    zero = (
        alt.Chart(alt.NamedData("zero"), name="split_zero")
        .mark_rule(color=INK, strokeWidth=1)
        .encode(x=alt.X("x:Q", stack=None))
    )
    sums = (
        alt.Chart(alt.NamedData("sums"), name="split_sums")
        .mark_tick(color=INK, thickness=3, size=18, tooltip=alt.TooltipContent("data"))
        .encode(y=name_axis(), x=alt.X("x:Q", stack=None))
    )
    return alt.layer(parts, zero, sums)


def milliseconds(value: date) -> int:
    """Return a day in the charts' unit: milliseconds since 1970, UTC."""
    return 1000 * calendar.timegm(value.timetuple())


def rounded(value: Figure, digits: int, factor: float = 1) -> float | None:
    """Return a figure for a chart; None stays None."""
    return None if value is None else round(factor * float(value), digits)


def per_cent(share: Figure) -> float | None:
    """Return a share (0-1) for a chart in per cent."""
    return rounded(share, 4, 100)


def in_millions(value: Figure) -> float | None:
    """Return an amount for a chart in millions."""
    return None if value is None else round(float(value) / 1e6, 3)


def line_data(months: Sequence[date], values: Iterable[float | None], **constants: Any) -> list[Row]:
    """Return the rows of a line over months."""
    return [{"t": milliseconds(each), "y": value, **constants} for each, value in zip(months, values, strict=True)]


def tip(title: Text, rows: TipRows) -> Row:
    """Return the tooltip: a title over rows of name, figure and optional colour."""
    return {"title": title, "rows": [list(row) for row in rows]}


def over_time(
    months: Sequence[date], lines: Mapping[str, Iterable[float | None]], rows: Iterable[TipRows]
) -> dict[str, Any]:
    """Return the data of lines over months, and the tooltip of each month."""
    hover = [
        {"t": milliseconds(each), "tip": tip(month(each), listed)} for each, listed in zip(months, rows, strict=True)
    ]
    return {**{name: line_data(months, values) for name, values in lines.items()}, "hover": hover}

"""The sections of the report that speak of one view: sentences, charts and tables, from the rows of the marts."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from publish.report import marts as read
from publish.report import sentences
from publish.report.charts import (
    BAND,
    GREY,
    MAP_BLANK,
    MAP_REPORTER,
    MAP_SHADES,
    PALETTE,
    countries_on_map,
)
from publish.report.marts import OFFICE_NAMES, UNITED_STATES, Key, Marts, Row
from publish.report.words import (
    MISSING,
    Figure,
    Pair,
    day,
    euros,
    in_sentence,
    join,
    label,
    lower_first,
    millions,
    month,
    months_between,
    name_of,
    number,
    per_language,
    percent,
    points,
    same,
    say,
    small_points,
)

N_MOVES = 10
N_PANELS = 4
N_MARKETS = 12
# Months that the charts over time go back.
N_MONTHS = 36
# Classes of the map, per cent of exports: from each number to the next.
MAP_CLASSES = (0, 0.5, 1, 2, 5, 10)
# The table behind the map goes down to this share; the ranking of the view has every destination.
SMALLEST_LISTED = 0.001


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Parameters
    ----------
    id : str
        Name of the element.
    title : dict of str to str
        What it shows; the summary of the fold that holds it.
    columns : list of (dict, bool)
        Heads, each with whether it holds figures.
    rows : list of list of dict
        Cells, in both languages; the column ``name_at`` names the row.
    is_open : bool
        Whether it stands open on the page.
    name_at : int
        Position of the column that names the row.
    """

    id: str
    title: Pair
    columns: list[tuple[Pair, bool]]
    rows: list[list[Pair]]
    is_open: bool = False
    name_at: int = 0


@dataclass(frozen=True)
class Panel:
    """A chart of the page: its specification by name, its data, and what it says in words.

    ``width`` and ``height`` are pixels on paper and on screen; ``ratio`` makes the height follow the width.
    """

    id: str
    spec: str
    caption: Pair
    aria: Pair
    datasets: dict[str, Any]
    about: Pair | None = None
    height: int | None = None
    ratio: float | None = None
    width: int = 660
    params: dict[str, float] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Give what the script needs to draw it."""
        return {
            "id": self.id,
            "spec": self.spec,
            "aria": self.aria,
            "datasets": self.datasets,
            "height": self.height,
            "ratio": self.ratio,
            "width": self.width,
            "params": self.params,
        }


@dataclass(frozen=True)
class Mark:
    """An entry of a legend: ``shape`` is ``line``, ``dash``, ``box`` or ``tick``."""

    name: Pair
    colour: str
    shape: str = "box"


@dataclass(frozen=True)
class Section:
    """A part of the page. One without figures has ``missing``, which says what is not there and why."""

    id: str
    missing: Pair | None = None
    leads: list[Pair] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    legend: list[Mark] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    note: Pair | None = None
    source: Pair | None = None
    layout: str = "single"

    @property
    def title(self) -> Pair:
        """Heading of the section."""
        return label(f"section_{self.id}")


@dataclass(frozen=True)
class View:
    """What the sections speak of, with its names."""

    key: Key
    month: date
    reporter: Pair
    scope: Pair
    concept: Pair

    @property
    def office(self) -> str:
        """Name of the statistical office."""
        return OFFICE_NAMES.get(self.key[0], self.key[0])

    @property
    def reporter_in_sentence(self) -> Pair:
        """Name of the exporting country as it stands inside a sentence."""
        return in_sentence(self.key[3], self.reporter)

    @property
    def words(self) -> dict[str, Pair | str]:
        """Names of the parts of the key, for a sentence."""
        return {
            "office": self.office,
            "concept": lower_first(self.concept),
            "scope": lower_first(self.scope),
            "reporter": self.reporter,
        }

    def source(self, period: Pair, rows: Iterable[Row], **names: Pair) -> Pair:
        """Say where figures come from: office, concept, scope, reporter, period, and the newest release in them."""
        vintage = max(row["vintage_at"] for row in rows)
        return say("source", **{**self.words, **names}, period=period, vintage=day(vintage))


def make_sections(marts: Marts, view: View) -> dict[str, Section]:
    """Write every section that speaks of one view.

    Parameters
    ----------
    marts : Marts
        Published warehouse.
    view : View
        What the sections speak of.

    Returns
    -------
    dict of str to Section
        Sections by name. One whose tables or rows are missing says so.
    """
    made: dict[str, Section] = {}
    for name, (tables, write) in SECTIONS.items():
        absent = [table for table in tables if f"marts.{table}" not in marts.tables]
        if absent:
            made[name] = Section(name, missing=say("no_table", tables=", ".join(absent)))
            continue
        section = write(marts, view)
        if section is None:
            view_words = say("lead_view_name", **view.words)
            empty = say("no_rows", tables=tables[0], view=view_words, why=say(f"why_{name}"))
            section = Section(name, missing=empty)
        made[name] = section
    return made


def _write_month(marts: Marts, view: View) -> Section | None:
    moves = read.read_moves(marts, view.key, view.month)
    total = read.read_total(marts, view.key, view.month)
    if not moves:
        return None
    shown = moves[:N_MOVES]
    us = next((row for row in moves if row["destination_code"] == UNITED_STATES), None)
    in_panels = shown[:N_PANELS]
    if us is not None and us not in in_panels:
        in_panels = [*in_panels[: N_PANELS - 1], us]
    first = _months_before(view.month, N_MONTHS - 1)
    months = months_between(first, view.month)
    cells = {
        (row["destination_code"], row["month"]): row
        for row in read.read_share_months(
            marts, view.key, [row["destination_code"] for row in in_panels], first, view.month
        )
    }
    panels = []
    for position, row in enumerate(in_panels):
        series = [cells.get((row["destination_code"], each), {}) for each in months]
        name = _destination(row)
        panels.append(
            Panel(
                id=f"month-chart-{position}",
                spec="season",
                caption=name,
                aria=say(
                    "season_aria",
                    country=name,
                    month=month(view.month),
                    now=percent(row["share"], 2),
                    before=percent(row["share_year_before"], 2),
                    adjusted=percent(row["share_sa"], 2),
                ),
                datasets={
                    "raw": _line(months, [_hundred(cell.get("share")) for cell in series]),
                    "adjusted": _line(months, [_hundred(cell.get("share_sa")) for cell in series]),
                    "hover": [
                        _tip(
                            each,
                            month(each),
                            [
                                (label("raw"), percent(cell.get("share"), 2)),
                                (label("adjusted"), percent(cell.get("share_sa"), 2)),
                            ],
                        )
                        for each, cell in zip(months, series, strict=True)
                    ],
                },
                about=label("season_caption"),
                height=150,
                width=310,
            )
        )
    table = Table(
        id="month-table",
        title=label("moves_caption"),
        columns=_columns(
            "destination",
            *("share", "share_before", "change", "usual_revision", "share_sa", "share_12"),
            text=("beyond",),
        ),
        rows=[
            [
                _destination(row),
                _percent(row["share"], 2),
                _percent(row["share_year_before"], 2),
                number(row["share_change_pp"], 2, signed=True),
                small_points(row["usual_share_revision_pp"]),
                _percent(row["share_sa"], 2),
                _percent(row["share_r12"], 2),
                _yes_or_no(row["is_change_beyond_revision"]),
            ]
            for row in shown
        ],
        is_open=True,
    )
    behind = Table(
        id="month-months",
        title=label("moves_months"),
        columns=[
            (label("month"), False),
            *((join([_destination(row), label(kind)]), True) for row in in_panels for kind in ("raw", "adjusted")),
        ],
        rows=[
            [
                month(each),
                *(
                    _percent(cells.get((row["destination_code"], each), {}).get(column), 2)
                    for row in in_panels
                    for column in ("share", "share_sa")
                ),
            ]
            for each in reversed(months)
        ],
    )
    return Section(
        "month",
        leads=_paragraphs(
            [*sentences.tell_total(total, lower_first(view.scope)), *sentences.tell_moves(shown)],
            sentences.tell_united_states(us),
            *([told] if (told := sentences.tell_unusual(read.read_unusual(marts, view.key, view.month))) else []),
        ),
        panels=panels,
        legend=[Mark(label("raw"), GREY, "line"), Mark(label("adjusted"), PALETTE[0], "line")],
        tables=[table, behind],
        note=say("moves_note"),
        source=view.source(month(view.month), moves),
        layout="halves",
    )


def _write_map(marts: Marts, view: View) -> Section | None:
    rows = read.read_countries(marts, view.key, view.month)
    if not rows:
        return None
    drawn = countries_on_map()
    not_drawn = [row for row in rows if row["destination_code"] not in drawn]
    over_12 = rows[0]["has_r12"]
    period = say("period_12" if over_12 else "period_month", month=month(view.month))
    leads = sentences.tell_map(rows, not_drawn)
    shades = [
        {
            "code": row["destination_code"],
            "colour": _shade(row["shown"]),
            "tip": _tip_body(_destination(row), [(label("share"), _percent(row["shown"], 2))]),
        }
        for row in rows
    ]
    shades.append(
        {
            "code": view.key[3],
            "colour": MAP_REPORTER,
            "tip": _tip_body(view.reporter, [(label("map_reporter"), same(""))]),
        }
    )
    datasets = {"shades": shades}
    panels = [
        Panel(
            "map-world",
            "world",
            label("map_world"),
            leads[0],
            datasets,
            about=label("map_caption"),
            ratio=0.47,
            width=395,
        ),
        Panel(
            "map-europe",
            "europe",
            label("map_europe"),
            leads[0],
            datasets,
            about=label("map_caption"),
            ratio=0.72,
            width=255,
        ),
    ]
    classes = [
        say("class_below", to=_short(MAP_CLASSES[1])),
        *(
            say("class_between", **{"from": _short(lower)}, to=_short(upper))
            for lower, upper in pairwise(MAP_CLASSES[1:])
        ),
        say("class_from", **{"from": _short(MAP_CLASSES[-1])}),
    ]
    legend = [Mark(name, colour) for name, colour in zip(classes, MAP_SHADES, strict=True)]
    legend += [Mark(label("map_none"), MAP_BLANK), Mark(label("map_reporter"), MAP_REPORTER)]
    table = Table(
        id="map-table",
        title=say("map_table", smallest=percent(SMALLEST_LISTED)),
        columns=_columns("rank", "share_12", "share_month", text=("destination", "on_map"), order=(0, 3, 1, 2, 4)),
        rows=[
            [
                number(position),
                _destination(row),
                _percent(row["share_r12"], 2),
                _percent(row["share"], 2),
                _yes_or_no(row["destination_code"] in drawn),
            ]
            for position, row in enumerate(rows, 1)
            if row["shown"] >= SMALLEST_LISTED
        ],
        name_at=1,
    )
    return Section(
        "map",
        leads=_paragraphs(leads),
        panels=panels,
        legend=legend,
        tables=[table],
        note=say("map_note"),
        source=view.source(period, rows),
        layout="maps",
    )


def _write_change(marts: Marts, view: View) -> Section | None:
    rows = read.read_share_change(marts, view.key, view.month)
    if not rows:
        return None
    shown = rows[:N_MOVES]
    leads = sentences.tell_share_change(shown[0])
    parts = {
        "price": PALETTE[0],
        "volume": "#5aa9a0",
        "mix": "#d9a441",
        "unmatched": "#b9c2cc",
        "own_unsplit": PALETTE[8],
        "rest_short": PALETTE[1],
    }
    bars, sums = [], []
    for row in shown:
        is_split = row["price_pp"] is not None
        figures = {
            "price": row["price_pp"],
            "volume": row["volume_pp"],
            "mix": row["mix_pp"],
            "unmatched": row["unmatched_pp"],
            "own_unsplit": None if is_split else row["own_growth_pp"],
            "rest_short": row["rest_growth_pp"],
        }
        tip = _tip_body(
            _destination(row),
            [
                *((label(part), points(value), parts[part]) for part, value in figures.items() if value is not None),
                (label("net"), points(row["share_change_pp"])),
            ],
        )
        bars += [
            {
                "label": _destination(row),
                "x": _rounded(value, 5),
                "colour": parts[part],
                "order": order,
                "tip": tip,
            }
            for order, (part, value) in enumerate(figures.items())
            if value is not None
        ]
        sums.append({"label": _destination(row), "x": _rounded(row["share_change_pp"], 5), "tip": tip})
    used = {bar["colour"] for bar in bars}
    table = Table(
        id="change-table",
        title=say("behind", title=label("change_caption")),
        columns=_columns("destination", "change", "own", "rest", "price", "volume", "mix", "unmatched", "matched"),
        rows=[
            [
                _destination(row),
                *(
                    number(row[column], 2, signed=True)
                    for column in (
                        "share_change_pp",
                        "own_growth_pp",
                        "rest_growth_pp",
                        "price_pp",
                        "volume_pp",
                        "mix_pp",
                        "unmatched_pp",
                    )
                ),
                _percent(row["matched_share"], 0),
            ]
            for row in shown
        ],
    )
    return Section(
        "change",
        leads=_paragraphs(leads),
        panels=[
            Panel(
                "change-chart",
                "split",
                label("change_caption"),
                join(leads, " "),
                {"parts": bars, "sums": sums, "zero": [{"x": 0}]},
                height=30 * len(shown) + 30,
            )
        ],
        legend=[
            *(Mark(label(part), colour) for part, colour in parts.items() if colour in used),
            Mark(label("net"), "#1b2733", "tick"),
        ],
        tables=[table],
        note=say("change_note"),
        source=view.source(month(view.month), rows),
    )


def _write_tariffs(marts: Marts, view: View) -> Section | None:
    rows = read.read_tariff_exposure(marts, view.key)
    if not rows:
        return None
    newest = max(row["month"] for row in rows)
    now = [row for row in rows if row["month"] == newest]
    # The tariff of which the ledger speaks; where there is none, the largest flow.
    ledger = read.read_frontloading(marts, view.key) if "marts.rpt_frontloading" in marts.tables else []
    codes = {row["event_code"] for row in now}
    charted = next(
        (row["event_code"] for row in ledger if row["event_code"] in codes),
        max(now, key=lambda row: (row["value_eur"] or 0, row["event_code"]))["event_code"],
    )
    first = max(_months_before(newest, N_MONTHS - 1), rows[0]["month"])
    months = months_between(first, newest)
    flow = {row["month"]: row for row in rows if row["event_code"] == charted}
    values = [flow[each]["value_eur"] if each in flow else None for each in months]
    events = read.read_tariff_events(marts, first, newest)
    numbered = list(enumerate(events, 1))
    known = [(each, value) for each, value in zip(months, values, strict=True) if value is not None]
    top_month, top = max(known, key=lambda pair: (pair[1], pair[0])) if known else (newest, None)
    title = name_of(next(row for row in rows if row["event_code"] == charted), "title")
    country = in_sentence(UNITED_STATES, _destination(now[0]))
    y_max = 1.45 * float(top or 1) / 1e6
    marks = []
    # Events of one month share a mark; marks take turns on four levels, as they stand close together.
    in_month: dict[date, list[int]] = {}
    for no, event in numbered:
        in_month.setdefault(event["event_date"].replace(day=1), []).append(no)
    for position, (each, numbers) in enumerate(in_month.items()):
        span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}{MISSING}{numbers[-1]}"
        marks.append({"t": _milliseconds(each), "label": span, "label_y": y_max * (0.97 - 0.07 * (position % 4))})
    hover = [
        _tip(
            each,
            month(each),
            [
                (label("timeline_flow"), euros(value)),
                *((same(str(no)), name_of(event, "title")) for no, event in numbered if _is_in(event, each)),
            ],
        )
        for each, value in zip(months, values, strict=True)
    ]
    exposure = Table(
        id="tariffs-table",
        title=join([label("exposure_table"), month(newest)]),
        columns=_columns(
            "tariff",
            "rate",
            "value",
            "duty",
            text=("status", "period", "upper_bound", "confidence"),
            order=(0, 4, 5, 1, 2, 3, 6, 7),
        ),
        rows=[
            [
                name_of(row, "title"),
                label(f"status_{row['status']}"),
                _in_force(row),
                number(row["rate_pct"]),
                millions(row["value_eur"]),
                millions(row["duty_in_force_eur"]),
                _yes_or_no(row["is_upper_bound"]),
                label(f"confidence_{row['confidence']}"),
            ]
            for row in now
        ],
        is_open=True,
    )
    listed = Table(
        id="tariffs-events",
        title=label("events_table"),
        columns=_columns("event_no", "rate", text=("event_date", "event", "confidence"), order=(0, 2, 3, 1, 4)),
        rows=[
            [
                number(no),
                day(event["event_date"]),
                name_of(event, "title"),
                number(event["rate_pct"]),
                label(f"confidence_{event['confidence']}"),
            ]
            for no, event in numbered
        ],
        name_at=2,
    )
    behind = Table(
        id="tariffs-months",
        title=label("timeline_table"),
        columns=_columns("month", "value"),
        rows=[[month(each), millions(value)] for each, value in reversed(list(zip(months, values, strict=True)))],
    )
    return Section(
        "tariffs",
        leads=_paragraphs(sentences.tell_tariffs(now)),
        panels=[
            Panel(
                "tariffs-chart",
                "timeline",
                label("timeline_caption"),
                say(
                    "timeline_aria",
                    country=country,
                    title=title,
                    month=month(newest),
                    value=euros(values[-1]),
                    top_month=month(top_month),
                    top=euros(top),
                ),
                {"lines": _line(months, [_in_millions(value) for value in values]), "events": marks, "hover": hover},
                about=say("timeline_about", title=title),
                params={"y_max": y_max},
            )
        ],
        legend=[
            Mark(label("timeline_flow"), PALETTE[0], "line"),
            Mark(label("timeline_event"), PALETTE[1], "dash"),
        ],
        tables=[exposure, listed, behind],
        note=say("tariffs_note"),
        source=view.source(month(newest), now, scope=say("all_scopes")),
    )


def _write_frontloading(marts: Marts, view: View) -> Section | None:
    rows = read.read_frontloading(marts, view.key)
    if not rows:
        return None
    same_series = ("event_code", "scope_code", "destination_code")
    lead = [row for row in rows if all(row[part] == rows[0][part] for part in same_series)]
    first = lead[0]
    country = in_sentence(first["destination_code"], _destination(first))
    window = months_between(first["news_month"], _months_before(first["effective_month"], 1))
    others = read.count_other_markets(marts, first)
    leads = [
        say(
            "ledger_lead",
            title=name_of(first, "title"),
            scope=lower_first(name_of(first, "scope_name")),
            country=country,
            first=month(window[0]),
            last=month(window[-1]),
            excess_text=sentences.tell_excess(first),
        ),
        sentences.tell_verdict(first),
    ]
    if others["n_markets"] and first["verdict"] != "not_detectable":
        leads.append(say("ledger_control", n=number(others["n_front_loaded"]), markets=number(others["n_markets"])))
    others_of_kind = [row for row in rows if row not in lead]
    panels, tables = [], [_ledger_table("frontloading-table", label("ledger_table"), lead, is_open=True)]
    for row in lead:
        months = read.read_frontloading_months(marts, row)
        if not months:
            continue
        method = label(f"method_{row['baseline_method']}")
        panels.append(_ledger_panel(row, months, method, country))
        tables.append(_ledger_months(row, months, method))
    if others_of_kind:
        tables.append(_ledger_table("frontloading-others", label("ledger_others"), others_of_kind))
    return Section(
        "frontloading",
        leads=_paragraphs(leads),
        panels=panels,
        legend=[
            Mark(label("actual"), PALETTE[0], "line"),
            Mark(label("expected_line"), GREY, "dash"),
            Mark(label("band"), BAND),
            Mark(label("news_line"), PALETTE[1], "dash"),
        ]
        if panels
        else [],
        tables=tables,
        note=say("ledger_note"),
        source=view.source(
            say("period_span", first=month(window[0]), last=month(window[-1])), rows, scope=say("by_scope")
        ),
        layout="halves",
    )


def _ledger_table(name: str, title: Pair, rows: Sequence[Row], *, is_open: bool = False) -> Table:
    return Table(
        id=name,
        title=title,
        columns=_columns(
            "tariff",
            *("expected", "excess", "interval", "detectable", "payback", "payback_interval"),
            text=("scope", "method", "verdict"),
            order=(0, 7, 8, 1, 2, 3, 4, 5, 6, 9),
        ),
        rows=[
            [
                name_of(row, "title"),
                name_of(row, "scope_name"),
                label(f"method_{row['baseline_method']}"),
                millions(row["baseline_eur"]),
                _signed_millions(row["excess_eur"]),
                _range(row["excess_lower_eur"], row["excess_upper_eur"]),
                number(row["smallest_detectable_pct"], 1),
                _signed_millions(row["payback_eur"]),
                _range(row["payback_lower_eur"], row["payback_upper_eur"]),
                _verdict(row),
            ]
            for row in rows
        ],
        is_open=is_open,
    )


def _ledger_panel(row: Row, months: Sequence[Row], method: Pair, country: Pair) -> Panel:
    times = [each["month"] for each in months]
    return Panel(
        f"frontloading-chart-{row['baseline_method'].replace('_', '-')}",
        "ledger",
        method,
        say("ledger_aria", country=country, method=method, excess_text=sentences.tell_excess(row)),
        {
            "actual": _line(times, [_in_millions(each["value_eur"]) for each in months]),
            "expected": _line(times, [_in_millions(each["baseline_eur"]) for each in months]),
            "band": [
                {
                    "t": _milliseconds(each["month"]),
                    "lower": _in_millions(each["baseline_lower_eur"]),
                    "upper": _in_millions(each["baseline_upper_eur"]),
                }
                for each in months
                if each["baseline_lower_eur"] is not None
            ],
            "turns": [{"t": _milliseconds(row["news_month"])}, {"t": _milliseconds(row["effective_month"])}],
            "hover": [
                _tip(
                    each["month"],
                    month(each["month"]),
                    [
                        (label("phase"), label(f"phase_{each['phase']}")),
                        (label("actual"), euros(each["value_eur"])),
                        (label("expected_line"), euros(each["baseline_eur"])),
                        (label("excess"), _signed_millions(each["excess_eur"])),
                    ],
                )
                for each in months
            ],
        },
        about=label("ledger_caption"),
        width=310,
    )


def _ledger_months(row: Row, months: Sequence[Row], method: Pair) -> Table:
    return Table(
        id=f"frontloading-months-{row['baseline_method'].replace('_', '-')}",
        title=join([label("ledger_months"), name_of(row, "scope_name"), method]),
        columns=_columns(
            "month",
            *("actual_column", "expected", "interval", "excess", "cumulated"),
            text=("phase",),
            order=(0, 6, 1, 2, 3, 4, 5),
        ),
        rows=[
            [
                month(each["month"]),
                label(f"phase_{each['phase']}"),
                millions(each["value_eur"]),
                millions(each["baseline_eur"]),
                _range(each["baseline_lower_eur"], each["baseline_upper_eur"]),
                _signed_millions(each["excess_eur"]),
                _signed_millions(each["cumulated_excess_eur"]),
            ]
            for each in reversed(months)
        ],
    )


def _write_opportunities(marts: Marts, view: View) -> Section | None:
    rows = read.read_opportunities(marts, view.key)
    if not rows:
        return None
    shown = rows[:N_MARKETS]
    leads = sentences.tell_opportunities(rows, len(rows), view.reporter_in_sentence)
    parts = {"size": PALETTE[0], "growth": "#5aa9a0", "gap": "#d9a441", "access": "#8e7cc3"}
    bars, sums = [], []
    for row in shown:
        tip = _tip_body(
            _destination(row),
            [
                *((label(f"score_{part}"), number(row[f"{part}_score"], 2), parts[part]) for part in parts),
                (label("score_total"), number(row["opportunity_score"], 2)),
                (label("access"), label(f"access_{row['access_status']}")),
            ],
        )
        # Each of the four has a quarter of the score.
        bars += [
            {
                "label": _destination(row),
                "x": _rounded(row[f"{part}_score"] / len(parts), 5),
                "colour": colour,
                "order": order,
                "tip": tip,
            }
            for order, (part, colour) in enumerate(parts.items())
        ]
        sums.append({"label": _destination(row), "x": _rounded(row["opportunity_score"], 5), "tip": tip})
    table = Table(
        id="opportunities-table",
        title=label("opportunities_table"),
        columns=_columns(
            "destination",
            *("score", "eu_exports", "eu_growth", "share_in_eu", "usual_share", "gap"),
            text=("access", "agreement"),
        ),
        rows=[
            [
                _destination(row),
                number(row["opportunity_score"], 2),
                millions(row["eu_value_r12_eur"], 0),
                number(row["eu_growth_pct"], 1, signed=True),
                _percent(row["share_in_eu_exports"], 1),
                _percent(row["usual_share_in_eu_exports"], 1),
                millions(row["gap_eur"], 0),
                label(f"access_{row['access_status']}"),
                name_of(row, "agreement_name") if row["agreement_code"] else same(MISSING),
            ]
            for row in shown
        ],
        is_open=True,
    )
    return Section(
        "opportunities",
        leads=_paragraphs(leads),
        panels=[
            Panel(
                "opportunities-chart",
                "split",
                label("opportunities_caption"),
                say("opportunities_aria", n=number(len(shown)), first=_scored(shown[0])),
                {"parts": bars, "sums": sums, "zero": [{"x": 0}]},
                height=28 * len(shown) + 30,
            )
        ],
        legend=[
            *(Mark(label(f"score_{part}"), colour) for part, colour in parts.items()),
            Mark(label("score_total"), "#1b2733", "tick"),
        ],
        tables=[table],
        note=say("opportunities_note"),
        source=view.source(say("period_12", month=month(rows[0]["month"])), rows),
    )


def _write_peers(marts: Marts, view: View) -> Section | None:
    rows = read.read_peers(marts, view.key)
    if not rows:
        return None
    shown = rows[:N_MARKETS]
    newest = rows[0]["month"]
    members = read.read_members(marts, view.key, newest)
    dots = [
        {
            "label": _destination(row),
            "x": _hundred(row["share_in_eu_exports"]),
            "before": _hundred(row["share_in_eu_exports_year_before"]),
            "tip": _tip_body(
                _destination(row),
                [
                    (label("now"), percent(row["share_in_eu_exports"])),
                    (label("year_before"), percent(row["share_in_eu_exports_year_before"])),
                ],
            ),
        }
        for row in shown
    ]
    effects = ("growth", "product", "market", "competitiveness")
    table = Table(
        id="peers-table",
        title=label("peers_table"),
        columns=_columns(
            "destination",
            *("exports_12", "share_in_eu", "share_in_eu_before", "rca", "change_eur"),
            *(f"effect_{effect}" for effect in effects),
        ),
        rows=[
            [
                _destination(row),
                millions(row["value_r12_eur"], 0),
                _percent(row["share_in_eu_exports"], 1),
                _percent(row["share_in_eu_exports_year_before"], 1),
                number(row["rca_eu_in_market"], 2),
                _signed_millions(row["change_eur"]),
                *(_signed_millions(row[f"{effect}_effect_eur"]) for effect in effects),
            ]
            for row in shown
        ],
    )
    peers = Table(
        id="peers-members",
        title=label("peers_members"),
        columns=_columns("reporter", "share_in_eu_all", "rca_all"),
        rows=[
            [
                name_of(row, "country_name"),
                _percent(row["share_in_eu_exports_all_markets"], 1),
                number(row["rca_eu"], 2),
            ]
            for row in members
        ],
        is_open=True,
    )
    return Section(
        "peers",
        leads=_paragraphs(sentences.tell_peers(shown, view.reporter_in_sentence)),
        panels=[
            Panel(
                "peers-chart",
                "dumbbell",
                label("peers_caption"),
                say(
                    "peers_aria",
                    reporter=view.reporter_in_sentence,
                    n=number(len(shown)),
                    country=in_sentence(shown[0]["destination_code"], _destination(shown[0])),
                    now=percent(shown[0]["share_in_eu_exports"]),
                    before=percent(shown[0]["share_in_eu_exports_year_before"]),
                ),
                {"rows": dots},
                height=26 * len(shown) + 30,
            )
        ],
        legend=[Mark(label("now"), PALETTE[0], "dot"), Mark(label("year_before"), GREY, "ring")],
        tables=[peers, table],
        note=say("peers_note"),
        source=view.source(say("period_12", month=month(newest)), rows),
    )


def _write_stress(marts: Marts, view: View) -> Section | None:
    rows = read.read_stress(marts, view.key)
    if not rows:
        return None
    leads = sentences.tell_stress(rows[0])
    bars = [
        {
            "label": _destination(row),
            "share": row["loss_pct"],
            "lower": row["loss_pct"],
            "upper": row["loss_pct"],
            "text": number(row["loss_pct"], 1),
            "tip": _tip_body(
                _destination(row),
                [
                    (label("loss_25_pct"), number(row["loss_pct"], 1)),
                    (label("loss_25"), millions(row["loss_eur"], 0)),
                ],
            ),
        }
        for row in rows
    ]
    table = Table(
        id="stress-table",
        title=label("stress_table"),
        columns=_columns(
            "destination",
            *("loss_25", "loss_25_pct", "loss_100_pct", "hhi_before", "hhi_after"),
            *("volatility_before", "volatility_after"),
        ),
        rows=[
            [
                _destination(row),
                millions(row["loss_eur"], 0),
                number(row["loss_pct"], 1),
                number(row["loss_100_pct"], 1),
                number(row["hhi_before"], 4),
                number(row["hhi_after"], 4),
                number(row["volatility_before_pct"], 2),
                number(row["volatility_after_pct"], 2),
            ]
            for row in rows
        ],
    )
    return Section(
        "stress",
        leads=_paragraphs(leads),
        panels=[
            Panel(
                "stress-chart",
                "ranking",
                label("stress_caption"),
                join(leads, " "),
                {"bars": bars},
                height=26 * len(bars) + 26,
                params={"x_max": 1.18 * max(bar["upper"] for bar in bars)},
            )
        ],
        tables=[table],
        note=say("stress_note"),
        source=view.source(say("period_12", month=month(rows[0]["month"])), rows),
    )


def _write_reconciliation(marts: Marts, view: View) -> Section | None:
    rows = read.read_reconciliation(marts, view.key[3])
    totals = {row["month"]: row for row in rows if row["section_code"] == "TOTAL"}
    if not totals:
        return None
    newest = max(totals)
    months = months_between(max(_months_before(newest, N_MONTHS - 1), min(totals)), newest)
    total = totals[newest]
    series = {
        "eurostat": ("eurostat_eur", PALETTE[0], []),
        "cbs_incl": ("cbs_incl_transit_eur", PALETTE[1], [6, 3]),
        "cbs_excl": ("cbs_excl_transit_eur", PALETTE[2], [2, 2]),
    }
    lines = [
        {"t": _milliseconds(each), "y": _in_millions(value), "code": name, "colour": colour, "dash": dash}
        for name, (column, colour, dash) in series.items()
        for each in months
        for value in [totals[each][column] if each in totals else None]
    ]
    hover = [
        _tip(
            each,
            month(each),
            [
                (label(name), euros(totals[each][column] if each in totals else None), colour)
                for name, (column, colour, _) in series.items()
            ],
        )
        for each in months
    ]
    amounts = ("eurostat_eur", "cbs_incl_transit_eur", "cbs_excl_transit_eur", "quasi_transit_eur", "residual_eur")
    heads = ("eurostat", "cbs_incl", "cbs_excl", "quasi_transit", "residual", "unexplained", "ratio")

    def cells(row: Mapping[str, Any]) -> list[Pair]:
        return [
            *(millions(row.get(column), 0) for column in amounts),
            millions(row.get("unexplained_eur"), 0),
            number(row.get("eurostat_to_cbs_ratio"), 2),
        ]

    tables = [
        Table(
            id="reconciliation-table",
            title=join([label("reconciliation_table"), month(newest)]),
            columns=_columns("section", *heads),
            rows=[[_section_name(row), *cells(row)] for row in rows if row["month"] == newest],
            is_open=True,
        ),
        Table(
            id="reconciliation-months",
            title=join([label("reconciliation_months"), label("all_goods")]),
            columns=_columns("month", *heads),
            rows=[[month(each), *cells(totals.get(each, {}))] for each in reversed(months)],
        ),
    ]
    return Section(
        "reconciliation",
        leads=_paragraphs(sentences.tell_reconciliation(total)),
        panels=[
            Panel(
                "reconciliation-chart",
                "lines",
                label("reconciliation_caption"),
                say(
                    "reconciliation_aria",
                    eurostat=euros(total["eurostat_eur"]),
                    cbs=euros(total["cbs_excl_transit_eur"]),
                    month=month(newest),
                ),
                {"lines": lines, "hover": hover},
            )
        ],
        legend=[Mark(label(name), colour, "dash" if dash else "line") for name, (_, colour, dash) in series.items()],
        tables=tables,
        note=say("reconciliation_note"),
        source=say(
            "source_both",
            cbs=day(max(row["cbs_vintage_at"] for row in rows)),
            eurostat=day(max(row["eurostat_vintage_at"] for row in rows)),
            reporter=view.reporter,
            period=month(newest),
        ),
    )


def _write_revisions(marts: Marts, view: View) -> Section | None:
    rows = read.read_revisions(marts, view.key)
    if not rows:
        return None
    table = Table(
        id="revisions-table",
        title=label("revisions_table"),
        columns=_columns("age", "n_revisions", "mean_revision", "mean_abs_revision"),
        rows=[
            [
                number(row["age_months"]),
                number(row["n_revisions_of_age"]),
                number(row["mean_revision_pct_of_age"], 2, signed=True),
                number(row["mean_abs_revision_pct_of_age"], 2),
            ]
            for row in rows[:N_MARKETS]
        ],
        is_open=True,
    )
    months = say(
        "period_span",
        first=month(min(row["first_month"] for row in rows)),
        last=month(max(row["last_month"] for row in rows)),
    )
    return Section(
        "revisions",
        leads=_paragraphs(sentences.tell_revisions(rows)),
        tables=[table],
        note=say("revisions_note"),
        source=view.source(months, rows),
    )


# What each section needs, and what writes it; the first table is the one that its figures stand in.
SECTIONS: dict[str, tuple[tuple[str, ...], Callable[[Marts, View], Section | None]]] = {
    "month": (("rpt_destination_shares",), _write_month),
    "map": (("rpt_destination_shares",), _write_map),
    "change": (("rpt_share_change",), _write_change),
    "tariffs": (("rpt_tariff_exposure", "dim_tariff_event"), _write_tariffs),
    "frontloading": (("rpt_frontloading", "rpt_frontloading_months", "dim_tariff_event"), _write_frontloading),
    "opportunities": (("rpt_market_opportunities", "dim_trade_agreement"), _write_opportunities),
    "peers": (("rpt_eu_peer_position",), _write_peers),
    "stress": (("rpt_diversification_stress",), _write_stress),
    "reconciliation": (("rpt_source_reconciliation", "dim_product"), _write_reconciliation),
    "revisions": (("rpt_revisions",), _write_revisions),
}


def _columns(
    name: str, *figures: str, text: tuple[str, ...] = (), order: tuple[int, ...] | None = None
) -> list[tuple[Pair, bool]]:
    """Head a table: the column of names, columns of figures, columns of text, put into an order."""
    heads = [(label(name), False), *((label(key), True) for key in figures), *((label(key), False) for key in text)]
    return [heads[position] for position in order] if order else heads


def _paragraphs(*groups: Iterable[Pair]) -> list[Pair]:
    return [join(group, " ") for group in groups]


def _destination(row: Row) -> Pair:
    return name_of(row, "destination_name")


def _months_before(value: date, count: int) -> date:
    index = value.year * 12 + value.month - 1 - count
    return date(index // 12, index % 12 + 1, 1)


def _milliseconds(value: date) -> int:
    """Write a day as charts know it: milliseconds since 1970, UTC."""
    return 1000 * calendar.timegm(value.timetuple())


def _rounded(value: Figure, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _hundred(share: Figure) -> float | None:
    return None if share is None else round(100 * float(share), 4)


def _in_millions(value: Figure) -> float | None:
    return None if value is None else round(float(value) / 1e6, 3)


def _line(months: Sequence[date], values: Sequence[float | None]) -> list[Row]:
    return [{"t": _milliseconds(each), "y": value} for each, value in zip(months, values, strict=True)]


TipRows = Iterable[tuple[Pair, Pair] | tuple[Pair, Pair, str]]


def _tip(when: date, title: Pair, rows: TipRows) -> Row:
    return {"t": _milliseconds(when), "tip": _tip_body(title, rows)}


def _tip_body(title: Pair, rows: TipRows) -> Row:
    return {"title": title, "rows": [list(row) for row in rows]}


def _shade(share: float) -> str:
    return MAP_SHADES[sum(100 * share >= lower for lower in MAP_CLASSES) - 1]


def _short(value: float) -> Pair:
    return number(value, 1 if value % 1 else 0)


def _percent(share: Figure, digits: int) -> Pair:
    """Write a share for a column whose head has the per cent sign."""
    return number(None if share is None else 100 * share, digits)


def _signed_millions(value: Figure) -> Pair:
    return number(None if value is None else Decimal(str(value)) / 1_000_000, 1, signed=True)


def _range(lower: Figure, upper: Figure) -> Pair:
    if lower is None or upper is None:
        return same(MISSING)
    return say("range", lower=millions(lower), upper=millions(upper))


def _yes_or_no(value: bool | None) -> Pair:
    return label("unknown") if value is None else label("yes" if value else "no")


def _verdict(row: Row) -> Pair:
    verdict = label(f"verdict_{row['verdict']}")
    if not row["verdict_reason"]:
        return verdict
    return say("verdict_with_reason", verdict=verdict, reason=label(f"reason_{row['verdict_reason']}"))


def _section_name(row: Row) -> Pair:
    if row["section_code"] == "TOTAL":
        return label("all_goods")
    titles = name_of(row, "product_title")
    return per_language(lambda language: " ".join(filter(None, (row["section_code"], titles[language]))))


def _in_force(row: Row) -> Pair:
    if row["effective_to"] is None:
        return say("in_force_open", first=day(row["effective_from"]))
    return say("in_force", first=day(row["effective_from"]), last=day(row["effective_to"]))


def _is_in(event: Row, when: date) -> bool:
    return bool(event["event_date"].replace(day=1) == when)


def _scored(row: Row) -> Pair:
    return say("named_share", name=_destination(row), share=number(row["opportunity_score"], 2))

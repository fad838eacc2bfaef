"""The report: one HTML file with both languages, its charts and its data, built from the published marts.

The page is a pure function of the marts: no clock, no random names, rows in a stated order. It may not
fetch anything; a content security policy in the page lets the browser hold it to that.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import duckdb
import vl_convert
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGES = ("nl", "en")
MISSING = "\u2013"
N_LINES = 8
UNITED_STATES = "US"
DEFAULT_VIEW = ("EUROSTAT", "community", "metal_core_hs", "NL")
OFFICE_NAMES = {"CBS": "CBS", "EUROSTAT": "Eurostat"}
# Below this value growth rates say little (domain.md, section 2).
SMALL_BASE_EUR = 1_000_000

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

Row = dict[str, Any]
Pair = dict[str, str]


def build_report(marts: Path, target: Path) -> Path:
    """Write the report on a published warehouse.

    Parameters
    ----------
    marts : Path
        Published DuckDB file; only read.
    target : Path
        HTML file to write. Readers see the old one or the new one, never half of it.

    Returns
    -------
    Path
        The target.
    """
    config: dict[str, Any] = {"enable_external_access": "false", "lock_configuration": "true"}
    with duckdb.connect(str(marts), read_only=True, config=config) as connection:
        html = render(connection)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as handle:
            handle.write(html)
            handle.flush()
            os.fsync(handle.fileno())
        # mkstemp makes the file private; a report is there to be read.
        temporary.chmod(0o644)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def render(connection: duckdb.DuckDBPyConnection) -> str:
    """Turn the marts behind a connection into the page."""
    texts = _texts()
    names = _read_names(connection)
    views = _read_views(connection, names)
    datasets = _read_datasets(connection)
    publication = _read_publication(connection)
    loads = _rows(connection, "select distinct transport, is_simulated from ops.loads")
    gates, not_passed = _read_gates(connection)

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    library = _chart_library() if views else ""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    data = {
        "texts": texts["script"],
        "reasons": _texts()["reasons"],
        "months": texts["months"],
        "names": names,
        "specs": chart_specs(),
        "default": _default_view(views),
        "views": views,
    }
    return environment.get_template("report.html.j2").render(
        page=texts["page"],
        css=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        chart_library=library,
        data_json=json_for_html(data),
        content_security_policy=_content_security_policy(script, library),
        is_simulated=any(row["is_simulated"] for row in loads) or bool(publication and publication["is_simulated"]),
        is_replayed=any(row["transport"] == "replay" for row in loads),
        has_views=bool(views),
        offices=_read_offices(connection, datasets),
        incomplete=_read_incomplete(connection, names),
        datasets=datasets,
        publication=publication,
        gates=gates,
        not_passed=not_passed,
        concepts=names["concepts"].values(),
        scopes=names["scopes"].values(),
        integer=_integer,
        link=_link,
    )


@cache
def _texts() -> dict[str, Any]:
    """Read every sentence of the page, by kind and key, in both languages."""
    texts: dict[str, Any] = yaml.safe_load((TEMPLATES / "texts.yml").read_text(encoding="utf-8"))
    return texts


def json_for_html(data: object) -> str:
    """Serialise data so that no value can end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def chart_specs() -> dict[str, Any]:
    """Draw up the charts, without data and without words: the page fills in both for the chosen view.

    Returns
    -------
    dict
        Vega-Lite specifications by chart. Every view and parameter is named, as Altair's own names count up
        over the life of the process.
    """
    ink, rule, blue = "#1b2733", "#dfe4ea", PALETTE[0]
    x_axis = alt.Axis(
        format={"year": "%Y", "quarter": "%b", "month": "%b"},
        grid=False,
        tickColor="#8a96a3",
        domainColor="#8a96a3",
        labelOverlap=True,
        tickCount=8,
    )
    x = alt.X("t:T", title=None, scale=alt.Scale(type="utc"), axis=x_axis)
    y_axis = alt.Axis(format=",.2~f", domain=False, ticks=False, tickCount=6)

    def hover(name: str) -> alt.Parameter:
        return alt.selection_point(
            name=f"hover_{name}",
            fields=["t"],
            nearest=True,
            on="pointermove",
            clear="pointerout",
            empty=False,
        )

    def pointer(name: str) -> alt.Chart:
        # One invisible rule a month catches the pointer anywhere on the chart, also on touch screens.
        chosen = hover(name)
        return (
            alt.Chart(alt.NamedData("hover"), name=f"{name}_hover")
            .mark_rule(color="#5b6b7a", strokeWidth=1, tooltip=alt.TooltipContent("data"))
            .encode(x=x, opacity=alt.condition(chosen, alt.value(1), alt.value(0)))
            .add_params(chosen)
        )

    y_shares = alt.Y(
        "y:Q",
        title=None,
        axis=y_axis,
        scale=alt.Scale(domainMin=0, domainMax=alt.ExprRef("y_max"), nice=False),
    )
    shares_lines = (
        alt.Chart(alt.NamedData("lines"), name="shares_lines")
        .mark_line(strokeWidth=2, interpolate="linear", invalid="break-paths-show-domains")
        .encode(x=x, y=y_shares, color=alt.Color("colour:N", scale=None), detail="code:N")
    )
    shares_ends = alt.Chart(alt.NamedData("ends")).encode(x=x, color=alt.Color("colour:N", scale=None))
    shares = alt.layer(
        pointer("shares"),
        shares_lines,
        shares_ends.mark_point(filled=True, size=28, opacity=1).encode(y=y_shares).properties(name="shares_ends"),
        # The label may stand a little off its line where lines end close together.
        shares_ends.mark_text(align="left", baseline="middle", dx=8, fontSize=12, fontWeight=600)
        .encode(y=alt.Y("label_y:Q", title=None, scale=alt.Scale(domainMin=0)), text="label:N")
        .properties(name="shares_labels"),
    ).add_params(alt.param(name="y_max", value=100))

    bars_base = alt.Chart(alt.NamedData("bars")).encode(
        y=alt.Y(
            "label:N",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelLimit=150, labelPadding=8),
            scale=alt.Scale(paddingInner=0.3, paddingOuter=0.15),
        )
    )
    x_shares = alt.X(
        "share:Q",
        title=None,
        axis=alt.Axis(format=",.2~f", domain=False, ticks=False, tickCount=5),
        scale=alt.Scale(domain=[0, alt.ExprRef("x_max")], nice=False),
    )
    bars = alt.layer(
        bars_base.mark_bar(color=blue, tooltip=alt.TooltipContent("data"))
        .encode(x=x_shares)
        .properties(name="ranking_bars"),
        bars_base.transform_filter("datum.upper > datum.lower")
        .mark_rule(color=ink, strokeWidth=1.5)
        .encode(x=alt.X("lower:Q"), x2="upper:Q")
        .properties(name="ranking_bounds"),
        bars_base.transform_filter("datum.upper > datum.lower")
        .mark_tick(color=ink, thickness=1.5, size=8)
        .encode(x=alt.X("upper:Q"))
        .properties(name="ranking_upper"),
        bars_base.mark_text(align="left", baseline="middle", dx=6, color=ink, fontSize=12)
        .encode(x=alt.X("upper:Q"), text="text:N")
        .properties(name="ranking_labels"),
    ).add_params(alt.param(name="x_max", value=100))

    def single_line(name: str) -> alt.LayerChart:
        y = alt.Y("y:Q", title=None, axis=y_axis, scale=alt.Scale(zero=False, nice=True))
        line = (
            alt.Chart(alt.NamedData("lines"), name=f"{name}_line")
            .mark_line(color=blue, strokeWidth=2, invalid="break-paths-show-domains")
            .encode(x=x, y=y)
        )
        end = (
            alt.Chart(alt.NamedData("ends"), name=f"{name}_end")
            .mark_point(color=blue, filled=True, size=36, opacity=1)
            .encode(x=x, y=y)
        )
        return alt.layer(pointer(name), line, end)

    def finish(chart: alt.LayerChart, name: str, height: Any) -> dict[str, Any]:
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
            .configure_axis(labelColor="#3d4a57", labelFontSize=12, gridColor=rule, labelPadding=6, titleColor=ink)
            .to_dict()
        )
        return spec

    return {
        "shares": finish(shares, "shares", 340),
        "ranking": finish(bars, "ranking", 390),
        "equivalent": finish(single_line("equivalent"), "equivalent", 200),
        "top5": finish(single_line("top5"), "top5", 200),
    }


@cache
def _chart_library() -> str:
    """Bundle the Vega-Lite that Altair's specifications are written for; vl-convert carries it with it."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return bundle


def _content_security_policy(*scripts: str) -> str:
    """Allow the page's own scripts by hash and nothing from outside.

    Styles stay open, as Vega sets them on the elements it draws.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts if text
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Iterable[object] = ()) -> list[Row]:
    # A file called marts.duckdb is a catalog called marts, and DuckDB then takes `marts.x` for ambiguous.
    catalog = connection.execute("select current_database()").fetchall()[0][0]
    qualified = re.sub(r"\b(marts|ops)\.(?=\w)", rf'"{catalog}".\1.', sql)
    cursor = connection.execute(qualified, list(parameters))
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _read_names(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Read the names of everything the page can show, by code, in the order in which it shows them."""
    concepts = _rows(connection, "select * from marts.dim_concept order by source_code, concept_code")
    scopes = _rows(
        connection,
        """
        select *, case when origin = 'user' then 'user' when is_metal then 'metal' else 'other' end as scope_group
        from marts.dim_metal_scope
        order by
            array_position(['metal', 'user', 'other'], scope_group), scope_code <> 'metal_core_hs', scope_code
        """,
    )
    used = _rows(
        connection,
        """
        select country_code, country_name_nl, country_name_en, destination_kind
        from marts.dim_country
        where
            country_code in (select destination_code from marts.rpt_destination_shares)
            or country_code in (select reporter_code from marts.rpt_destination_shares)
        order by country_code
        """,
    )
    return {
        "offices": OFFICE_NAMES,
        "concepts": {
            row["concept_code"]: {
                "name": {"nl": row["concept_name_nl"], "en": row["concept_name_en"]},
                "definition": {"nl": row["definition_nl"], "en": row["definition_en"]},
                "source": OFFICE_NAMES.get(row["source_code"], row["source_code"]),
                "includes_quasi_transit": row["includes_quasi_transit"],
            }
            for row in concepts
        },
        "scopes": {
            row["scope_code"]: {
                "name": {"nl": row["scope_name_nl"], "en": row["scope_name_en"]},
                "description": {"nl": row["description_nl"], "en": row["description_en"]},
                "group": row["scope_group"],
            }
            for row in scopes
        },
        "countries": {
            row["country_code"]: {"nl": row["country_name_nl"], "en": row["country_name_en"]} for row in used
        },
    }


def _read_views(connection: duckdb.DuckDBPyConnection, names: Mapping[str, Any]) -> list[Row]:
    """Read one compact record for each combination that has a month with shares."""
    scope_order = list(names["scopes"])
    combinations = _rows(
        connection,
        """
        select
            source_code, concept_code, scope_code, reporter_code,
            min(month) as first_month, max(month) as newest_month,
            count(*) filter (where destination_kind = 'country') > 0 as has_countries
        from marts.rpt_destination_shares
        where is_complete
        group by all
        """,
    )
    combinations.sort(
        key=lambda row: (
            scope_order.index(row["scope_code"]),
            row["reporter_code"] != "NL",
            row["reporter_code"],
            row["source_code"] != "EUROSTAT",
            row["source_code"],
            row["concept_code"],
        )
    )
    return [_read_view(connection, combination) for combination in combinations]


def _read_view(connection: duckdb.DuckDBPyConnection, combination: Row) -> Row:
    key = [combination[f"{part}_code"] for part in ("source", "concept", "scope", "reporter")]
    of_view = "source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?"
    newest = combination["newest_month"]
    months = _months_between(combination["first_month"], newest)
    rows = _rows(
        connection,
        f"""
        select * from marts.rpt_destination_shares
        where {of_view} and month = ?
        order by
            destination_kind <> 'country', destination_rank nulls last, destination_rank_r12 nulls last,
            destination_code
        """,
        [*key, newest],
    )
    countries = [row for row in rows if row["destination_kind"] == "country"]
    has_r12 = any(row["share_r12"] is not None for row in countries)
    basis = "r12" if has_r12 else "month"
    share_column, rank_column = ("share_r12", "destination_rank_r12") if has_r12 else ("share", "destination_rank")
    by_rank = sorted(
        (row for row in countries if row[rank_column] is not None),
        key=lambda row: (row[rank_column], row["destination_code"]),
    )
    in_chart = [row["destination_code"] for row in by_rank[:N_LINES]]
    with_us = any(row["destination_code"] == UNITED_STATES and row[share_column] is not None for row in countries)
    if with_us and UNITED_STATES not in in_chart:
        in_chart.append(UNITED_STATES)
    lines = _read_lines(connection, of_view, key, in_chart, months)

    def headline(row: Row) -> Row:
        line = lines[in_chart.index(row["destination_code"])][basis]
        before = line[-13] if len(line) > 12 else None
        now = _number(row[share_column], 6)
        change = None if now is None or before is None else round(100 * (now - before), 4)
        return {"code": row["destination_code"], "share": now, "change_pp": change}

    incomplete = _rows(
        connection,
        f"""
        select month, max(incomplete_reason) as reason
        from marts.rpt_destination_shares
        where {of_view} and not is_complete and month > ?
        group by month order by month
        """,
        [*key, newest],
    )
    return {
        "key": ".".join(key),
        "source": key[0],
        "concept": key[1],
        "scope": key[2],
        "reporter": key[3],
        "vintage": rows[0]["vintage_at"].date().isoformat(),
        "months": [month.strftime("%Y-%m") for month in months],
        "basis": basis,
        "total_eur": next((_number(row["total_eur"], 0) for row in rows if row["total_eur"] is not None), None),
        "top": headline(by_rank[0]) if by_rank else None,
        "us": next((headline(row) for row in countries if row["destination_code"] == UNITED_STATES and with_us), None),
        "lines": lines,
        # Countries without any figure in a year are counted, not listed.
        "rows": [
            _ranking_row(row)
            for row in rows
            if any(row[column] is not None for column in ("value_eur", "value_r12_eur", "value_year_before_eur"))
        ],
        "n_silent": sum(
            row["value_eur"] is None and row["value_r12_eur"] is None and row["value_year_before_eur"] is None
            for row in countries
        ),
        "concentration": _read_concentration(connection, of_view, key, months),
        "incomplete": [[row["month"].strftime("%Y-%m"), row["reason"] or "unknown"] for row in incomplete],
    }


def _ranking_row(row: Row) -> Row:
    base = row["value_year_before_eur"]
    return {
        "code": row["destination_code"],
        "kind": row["destination_kind"],
        "rank": row["destination_rank"],
        "value": _number(row["value_eur"], 0),
        "share": _number(row["share"], 6),
        "lower": _number(row["share_lower"], 6),
        "upper": _number(row["share_upper"], 6),
        "change_pp": _number(row["share_change_pp"], 4),
        "growth": _number(row["yoy_growth_pct"], 2),
        "small_base": base is not None and base < SMALL_BASE_EUR,
        "r12": _number(row["share_r12"], 6),
    }


def _read_lines(
    connection: duckdb.DuckDBPyConnection,
    of_view: str,
    key: list[str],
    codes: list[str],
    months: list[date],
) -> list[Row]:
    rows = _rows(
        connection,
        f"""
        select destination_code, month, share, share_r12 from marts.rpt_destination_shares
        where {of_view} and list_contains(?, destination_code)
        """,
        [*key, codes],
    )
    by_cell = {(row["destination_code"], row["month"]): row for row in rows}
    free = [colour for index, colour in enumerate(PALETTE) if index not in map(COLOUR_OF_COUNTRY.get, codes)]
    lines = []
    for code in codes:
        cells = [by_cell.get((code, month), {}) for month in months]
        lines.append(
            {
                "code": code,
                "colour": PALETTE[COLOUR_OF_COUNTRY[code]] if code in COLOUR_OF_COUNTRY else free.pop(0),
                "month": [_number(cell.get("share"), 6) for cell in cells],
                "r12": [_number(cell.get("share_r12"), 6) for cell in cells],
            }
        )
    return lines


def _read_concentration(
    connection: duckdb.DuckDBPyConnection, of_view: str, key: list[str], months: list[date]
) -> Row | None:
    """Read the series on one basis: 12 months where there are any, single months otherwise."""
    rows = _rows(
        connection,
        f"select * from marts.rpt_market_concentration where {of_view} order by month",
        key,
    )
    basis = "r12" if any(row["basis"] == "r12" for row in rows) else "month"
    by_month = {row["month"]: row for row in rows if row["basis"] == basis}
    if not by_month:
        return None

    def series(column: str, digits: int) -> list[float | int | None]:
        return [_number(by_month[month][column], digits) if month in by_month else None for month in months]

    return {
        "basis": basis,
        "equivalent": series("equivalent_markets", 3),
        "top5": series("top_5_share", 6),
        "active": series("n_active_markets", 0),
        "possible": series("n_markets", 0),
        "coverage": series("coverage_share", 6),
    }


def _default_view(views: list[Row]) -> str | None:
    preferred = ".".join(DEFAULT_VIEW)
    keys = [view["key"] for view in views]
    if preferred in keys:
        return preferred
    return keys[0] if keys else None


def _read_offices(connection: duckdb.DuckDBPyConnection, datasets: list[Row]) -> list[Row]:
    rows = _rows(
        connection,
        """
        select
            source_code,
            max(month) filter (where is_complete) as newest_month,
            max(vintage_at) as vintage_at
        from marts.rpt_destination_shares
        group by source_code order by source_code
        """,
    )
    offices = []
    for row in rows:
        name = OFFICE_NAMES.get(row["source_code"], row["source_code"])
        # A dataset that was not loaded comes from nowhere.
        origins = {
            dataset["origin"]["nl"]: dataset["origin"]
            for dataset in datasets
            if dataset["office"] == name and dataset["n_loads"]
        }
        offices.append(
            {
                "name": name,
                "newest_month": row["newest_month"] and _month(row["newest_month"]),
                "vintage": _day(row["vintage_at"]),
                "origin": _join_pairs(origins.values()) if origins else None,
            }
        )
    return offices


def _read_incomplete(connection: duckdb.DuckDBPyConnection, names: Mapping[str, Any]) -> list[Row]:
    """List the months without shares, with the reporters that lack the same months for the same reason."""
    rows = _rows(
        connection,
        """
        with incomplete as (
            select
                source_code, concept_code, scope_code, reporter_code, month,
                coalesce(max(incomplete_reason), 'unknown') as reason
            from marts.rpt_destination_shares
            where not is_complete
            group by all
        ),

        by_reporter as (
            select
                source_code, concept_code, scope_code, reporter_code, reason,
                list(month order by month) as months
            from incomplete
            group by all
        )

        select
            source_code, concept_code, scope_code, reason, months,
            list(reporter_code order by reporter_code <> 'NL', reporter_code) as reporter_codes
        from by_reporter
        group by all
        """,
    )
    scope_order = list(names["scopes"])
    rows.sort(
        key=lambda row: (
            scope_order.index(row["scope_code"]),
            row["source_code"],
            row["concept_code"],
            row["reason"],
            row["months"],
        )
    )
    reasons = _texts()["reasons"]
    return [
        {
            "scope": names["scopes"][row["scope_code"]]["name"],
            "reporters": _join_pairs(names["countries"].get(code, _same(code)) for code in row["reporter_codes"]),
            "source": OFFICE_NAMES.get(row["source_code"], row["source_code"]),
            "concept": names["concepts"][row["concept_code"]]["name"],
            "months": _month_ranges(row["months"]),
            "reason": reasons.get(row["reason"], reasons["unknown"]),
        }
        for row in rows
    ]


def _read_datasets(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Read the state of every dataset that is declared or was loaded."""
    rows = _rows(
        connection,
        """
        with loads as (
            select
                dataset_code,
                count(*) as n_loads,
                sum(rows_read) as rows_read,
                sum(rows_loaded) as rows_loaded,
                sum(rows_rejected) as rows_rejected,
                max(vintage_at) as vintage_at,
                list(distinct transport order by transport) as transports
            from ops.loads
            group by dataset_code
        )

        select
            loads.*,
            coalesce(datasets.dataset_code, loads.dataset_code) as code,
            datasets.* exclude (dataset_code, n_loads),
            freshness.newest_complete_month
        from marts.dim_dataset as datasets
        full outer join loads on datasets.dataset_code = loads.dataset_code
        left join ops.freshness as freshness
            on coalesce(datasets.dataset_code, loads.dataset_code) = freshness.dataset_code
        order by code
        """,
    )
    return [
        {
            "code": row["code"],
            "title": {
                "nl": row["title_nl"] or row["code"],
                "en": row["title_en"] or row["code"],
            },
            "office": OFFICE_NAMES.get(row["source_code"], row["source_code"] or ""),
            "identifier": row["office_identifier"] or "",
            "origin": _join_pairs(
                _texts()["origins"].get(transport, _same(transport)) for transport in row["transports"] or ()
            ),
            "vintage": _instant(row["vintage_at"]),
            "newest_month": _month(row["newest_complete_month"]) if row["newest_complete_month"] else _same(MISSING),
            "n_loads": row["n_loads"] or 0,
            "rows_read": row["rows_read"],
            "rows_loaded": row["rows_loaded"],
            "rows_rejected": row["rows_rejected"],
            "licence": row["licence"],
            "licence_url": row["licence_url"],
            "citation": row["citation"],
            "source_url": row["source_url"],
            "release_note": row["release_note"],
        }
        for row in rows
    ]


def _read_gates(connection: duckdb.DuckDBPyConnection) -> tuple[list[Row], list[Row]]:
    """Count the results of the newest run of each gate, and list what did not pass in it.

    The gate on landing runs for each dataset on its own; its subject is a load, which begins with the dataset.
    """
    newest = """
        with subjects as (
            select *, split_part(subject, '__', 1) as gate_subject from ops.checks
        ),

        newest as (
            select gate, gate_subject, max_by(run_id, (checked_at, run_id)) as run_id
            from subjects group by gate, gate_subject
        ),

        checks as (
            select subjects.* from subjects
            inner join newest
                on subjects.gate = newest.gate
                and subjects.gate_subject = newest.gate_subject
                and subjects.run_id = newest.run_id
        )
    """
    gates = _rows(
        connection,
        f"""
        {newest}
        select
            gate, gate_subject, run_id, max(checked_at) as checked_at,
            count(*) filter (where is_passed) as n_passed,
            count(*) filter (where not is_passed and severity = 'warn') as n_warned,
            count(*) filter (where not is_passed and severity is distinct from 'warn') as n_failed
        from checks group by gate, gate_subject, run_id order by max(checked_at), gate, gate_subject
        """,
    )
    not_passed = _rows(
        connection,
        f"""
        {newest}
        select gate, subject, check_name, severity, observed, message from checks
        where not is_passed order by severity, gate, subject, check_name
        """,
    )
    for row in gates:
        row["checked_at"] = _instant(row["checked_at"])
    for row in not_passed:
        row["severity"] = _texts()["severities"].get(row["severity"], _same(row["severity"] or MISSING))
    return gates, not_passed


def _read_publication(connection: duckdb.DuckDBPyConnection) -> Row | None:
    """Read what the publish step wrote about this file; a candidate has no such table yet."""
    is_there = _rows(
        connection,
        "select 1 from information_schema.tables where table_schema = 'ops' and table_name = 'publication'",
    )
    if not is_there:
        return None
    rows = _rows(
        connection,
        """
        select publish_id, content_sha256, is_simulated, published_at
        from ops.publication order by published_at desc, publish_id limit 1
        """,
    )
    if not rows:
        return None
    return {**rows[0], "published_at": rows[0]["published_at"] and _instant(rows[0]["published_at"])}


def _months_between(first: date, last: date) -> list[date]:
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def _month_ranges(months: list[date]) -> Pair:
    """Write months as a list, neighbours as one range."""
    ranges: list[list[date]] = []
    for month in months:
        if ranges and len(_months_between(ranges[-1][-1], month)) == 2:
            ranges[-1] = [ranges[-1][0], month]
        else:
            ranges.append([month])
    return {
        language: ", ".join(f" {MISSING} ".join(_month(end)[language] for end in span) for span in ranges)
        for language in LANGUAGES
    }


def _month(value: date) -> Pair:
    return _each(lambda language: f"{_texts()['months'][language][value.month - 1]} {value.year}")


def _day(value: date) -> Pair:
    return _each(lambda language: f"{value.day} {_texts()['months'][language][value.month - 1]} {value.year}")


def _instant(value: datetime | None) -> Pair:
    if value is None:
        return _same(MISSING)
    return _each(lambda language: f"{_day(value)[language]}, {value:%H:%M} UTC")


def _integer(value: int | Decimal | None) -> Pair:
    if value is None:
        return _same(MISSING)
    english = f"{int(value):,}"
    return {"nl": english.replace(",", "."), "en": english}


def _number(value: Any, digits: int) -> float | int | None:
    """Round for the page: a missing value stays missing."""
    if value is None:
        return None
    return round(float(value), digits) if digits else round(value)


def _each(write: Callable[[str], str]) -> Pair:
    return {language: write(language) for language in LANGUAGES}


def _same(text: str) -> Pair:
    return dict.fromkeys(LANGUAGES, text)


def _join_pairs(pairs: Iterable[Pair]) -> Pair:
    listed = list(pairs)
    return {language: ", ".join(pair[language] for pair in listed) or MISSING for language in LANGUAGES}


def _link(text: str | None, url: str | None) -> Markup:
    """Link to a web page; anything else (a ``javascript:`` address) stays text."""
    if url and url.startswith(("https://", "http://")):
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, text or url)
    return escape(text or MISSING)

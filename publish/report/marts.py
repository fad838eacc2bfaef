"""What the report reads from a published warehouse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import duckdb

from publish.report.charts import COLOUR_OF_COUNTRY, PALETTE
from publish.report.words import (
    MISSING,
    day,
    instant,
    join,
    month,
    month_ranges,
    months_between,
    percent,
    same,
    say,
    texts,
)

N_LINES = 8
# The largest markets whose shares are added up.
TOPS = (1, 3, 5, 10)
UNITED_STATES = "US"
DEFAULT_VIEW = ("EUROSTAT", "community", "metal_core_hs", "NL")
OFFICE_NAMES = {"CBS": "CBS", "EUROSTAT": "Eurostat"}
# Below this value growth rates say little (domain.md, section 2).
SMALL_BASE_EUR = 1_000_000

Row = dict[str, Any]
# Source, concept, scope and reporter: what a share means nothing without.
Key = tuple[str, str, str, str]
OF_VIEW = "source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?"


class Marts:
    """A published warehouse, or a candidate, behind a connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Connection to the file; only read.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._catalog = connection.execute("select current_database()").fetchall()[0][0]
        listed = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_catalog = ?",
            [self._catalog],
        )
        self.tables = {row[0] for row in listed.fetchall()}

    def rows(self, sql: str, parameters: Iterable[object] = ()) -> list[Row]:
        """Run a query whose tables are named with their schema (``marts.x``, ``ops.x``)."""
        # A file called marts.duckdb is a catalog called marts, and DuckDB then takes `marts.x` for ambiguous.
        qualified = re.sub(r"\b(marts|ops)\.(?=\w)", rf'"{self._catalog}".\1.', sql)
        cursor = self._connection.execute(qualified, list(parameters))
        columns = [column[0] for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def read_names(marts: Marts) -> dict[str, Any]:
    """Read the names of everything the page can show, by code, in the order in which it shows them."""
    concepts = marts.rows("select * from marts.dim_concept order by source_code, concept_code")
    scopes = marts.rows(
        """
        select *, case when origin = 'user' then 'user' when is_metal then 'metal' else 'other' end as scope_group
        from marts.dim_metal_scope
        order by
            array_position(['metal', 'user', 'other'], scope_group), scope_code <> 'metal_core_hs', scope_code
        """,
    )
    used = marts.rows(
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


def read_views(marts: Marts, names: Mapping[str, Any]) -> list[Row]:
    """Read one compact record for each combination that has a month with shares."""
    scope_order = list(names["scopes"])
    combinations = marts.rows(
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
    return [_read_view(marts, combination) for combination in combinations]


def _read_view(marts: Marts, combination: Row) -> Row:
    key = [combination[f"{part}_code"] for part in ("source", "concept", "scope", "reporter")]
    newest = combination["newest_month"]
    months = months_between(combination["first_month"], newest)
    rows = marts.rows(
        f"""
        select * from marts.rpt_destination_shares
        where {OF_VIEW} and month = ?
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
    lines = _read_lines(marts, key, in_chart, months)

    def headline(row: Row) -> Row:
        line = lines[in_chart.index(row["destination_code"])][basis]
        before = line[-13] if len(line) > 12 else None
        now = _number(row[share_column], 6)
        change = None if now is None or before is None else round(100 * (now - before), 4)
        return {"code": row["destination_code"], "share": now, "change_pp": change}

    incomplete = marts.rows(
        f"""
        select month, max(incomplete_reason) as reason
        from marts.rpt_destination_shares
        where {OF_VIEW} and not is_complete and month > ?
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
        "months": [each.strftime("%Y-%m") for each in months],
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
        "concentration": _read_concentration(marts, key, months),
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
    marts: Marts,
    key: list[str],
    codes: list[str],
    months: list[date],
) -> list[Row]:
    rows = marts.rows(
        f"""
        select destination_code, month, share, share_r12 from marts.rpt_destination_shares
        where {OF_VIEW} and list_contains(?, destination_code)
        """,
        [*key, codes],
    )
    by_cell = {(row["destination_code"], row["month"]): row for row in rows}
    free = [colour for index, colour in enumerate(PALETTE) if index not in map(COLOUR_OF_COUNTRY.get, codes)]
    lines = []
    for code in codes:
        cells = [by_cell.get((code, each), {}) for each in months]
        lines.append(
            {
                "code": code,
                "colour": PALETTE[COLOUR_OF_COUNTRY[code]] if code in COLOUR_OF_COUNTRY else free.pop(0),
                "month": [_number(cell.get("share"), 6) for cell in cells],
                "r12": [_number(cell.get("share_r12"), 6) for cell in cells],
            }
        )
    return lines


def _read_concentration(marts: Marts, key: list[str], months: list[date]) -> Row | None:
    """Read the series on one basis: 12 months where there are any, single months otherwise."""
    rows = marts.rows(
        f"select * from marts.rpt_market_concentration where {OF_VIEW} order by month",
        key,
    )
    basis = "r12" if any(row["basis"] == "r12" for row in rows) else "month"
    by_month = {row["month"]: row for row in rows if row["basis"] == basis}
    if not any(each in by_month for each in months):
        return None

    def series(column: str, digits: int) -> list[float | int | None]:
        return [_number(by_month[each][column], digits) if each in by_month else None for each in months]

    return {
        "basis": basis,
        "hhi": series("hhi", 5),
        "equivalent": series("equivalent_markets", 3),
        **{f"top{n}": series(f"top_{n}_share", 6) for n in TOPS},
        "active": series("n_active_markets", 0),
        "possible": series("n_markets", 0),
        "coverage": series("coverage_share", 6),
    }


def default_view(views: list[Row]) -> str | None:
    """Choose the view that the page opens with: the preferred one, or the first that there is."""
    preferred = ".".join(DEFAULT_VIEW)
    keys = [view["key"] for view in views]
    if preferred in keys:
        return preferred
    return keys[0] if keys else None


def read_offices(marts: Marts, datasets: list[Row]) -> list[Row]:
    """Read how far each office is: newest complete month, newest release, and where its loads came from."""
    rows = marts.rows(
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
                "newest_month": row["newest_month"] and month(row["newest_month"]),
                "vintage": day(row["vintage_at"]),
                "origin": join(origins.values()) if origins else None,
            }
        )
    return offices


def read_incomplete(marts: Marts, names: Mapping[str, Any]) -> list[Row]:
    """List the months without shares, with the reporters that lack the same months for the same reason."""
    rows = marts.rows(
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
    reasons = texts()["reasons"]
    return [
        {
            "scope": names["scopes"][row["scope_code"]]["name"],
            "reporters": join(names["countries"].get(code, same(code)) for code in row["reporter_codes"]),
            "source": OFFICE_NAMES.get(row["source_code"], row["source_code"]),
            "concept": names["concepts"][row["concept_code"]]["name"],
            "months": month_ranges(row["months"]),
            "reason": reasons.get(row["reason"], reasons["unknown"]),
        }
        for row in rows
    ]


def read_datasets(marts: Marts) -> list[Row]:
    """Read the state of every dataset that is declared or was loaded."""
    rows = marts.rows(
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
            freshness.newest_complete_month,
            freshness.last_looked_at
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
            "origin": join(texts()["origins"].get(transport, same(transport)) for transport in row["transports"] or ()),
            "vintage": instant(row["vintage_at"]),
            "newest_month": month(row["newest_complete_month"]) if row["newest_complete_month"] else same(MISSING),
            "looked_at": instant(row["last_looked_at"]),
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


def read_gaps(marts: Marts) -> list[Row]:
    """Read what was wanted of the offices and is not all in this publication, each with what stopped it."""
    if "ops.slices" not in marts.tables:
        # A publication of an earlier version of the warehouse.
        return []
    rows = marts.rows(
        """
        select slices.*, datasets.title_nl, datasets.title_en
        from ops.slices as slices
        left join marts.dim_dataset as datasets using (dataset_code)
        where slices.state <> 'loaded'
        order by slices.dataset_code, slices.reporter_code
        """
    )
    return [
        {
            "slice": f"{row['dataset_code']} {row['reporter_code']}",
            "title": {"nl": row["title_nl"] or row["dataset_code"], "en": row["title_en"] or row["dataset_code"]},
            "state": say(f"slice_{row['state']}", day=instant(row["vintage_at"])),
            "problem": row["problem"] or MISSING,
        }
        for row in rows
    ]


def read_unmapped(marts: Marts) -> Row | None:
    """Read what goes to countries that no list knows: their codes, and the largest share of a month that they have."""
    largest = marts.rows(
        "select max(share) as share from marts.rpt_destination_shares where destination_code = 'unmapped'"
    )
    if largest[0]["share"] is None:
        return None
    codes = marts.rows(
        "select distinct detail from ops.findings where rule = 'new_code' and subject = 'partner' order by detail"
    )
    return {"codes": "; ".join(row["detail"] for row in codes) or MISSING, "share": percent(largest[0]["share"], 2)}


def read_gates(marts: Marts) -> tuple[list[Row], list[Row]]:
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
    gates = marts.rows(
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
    not_passed = marts.rows(
        f"""
        {newest}
        select gate, subject, check_name, severity, observed, message from checks
        where not is_passed order by severity, gate, subject, check_name
        """,
    )
    for row in gates:
        row["checked_at"] = instant(row["checked_at"])
    for row in not_passed:
        row["severity"] = texts()["severities"].get(row["severity"], same(row["severity"] or MISSING))
    return gates, not_passed


def read_publication(marts: Marts) -> Row | None:
    """Read what the publish step wrote about this file; a candidate has no such table yet."""
    if "ops.publication" not in marts.tables:
        return None
    rows = marts.rows(
        """
        select publish_id, content_sha256, is_simulated, published_at
        from ops.publication order by published_at desc, publish_id limit 1
        """,
    )
    if not rows:
        return None
    return {**rows[0], "published_at": rows[0]["published_at"] and instant(rows[0]["published_at"])}


def read_moves(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the countries whose share has a change on a year before, the largest change first."""
    return marts.rows(
        f"""
        select *, share - share_change_pp / 100 as share_year_before
        from marts.rpt_destination_shares
        where {OF_VIEW} and month = ? and destination_kind = 'country' and share_change_pp is not null
        order by abs(share_change_pp) desc, destination_code
        """,
        [*key, month],
    )


def read_unusual(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the countries whose month is far from what their own history expects, the largest share first."""
    return marts.rows(
        f"""
        select * from marts.rpt_destination_shares
        where {OF_VIEW} and month = ? and is_unusual
        order by share desc nulls last, destination_code
        """,
        [*key, month],
    )


def read_total(marts: Marts, key: Key, month: date) -> Row:
    """Read the office's total of a month, and its growth on a year before."""
    total = marts.rows(
        f"select max(total_eur) as total_eur from marts.rpt_destination_shares where {OF_VIEW} and month = ?",
        [*key, month],
    )[0]["total_eur"]
    grown = None
    if "marts.rpt_share_change" in marts.tables:
        grown = marts.rows(
            f"select max(total_growth_pct) as growth from marts.rpt_share_change where {OF_VIEW} and month = ?",
            [*key, month],
        )[0]["growth"]
    return {"month": month, "total_eur": total, "total_growth_pct": grown}


def read_share_months(marts: Marts, key: Key, codes: Iterable[str], first: date, last: date) -> list[Row]:
    """Read the shares of some countries over months, with and without the usual season."""
    return marts.rows(
        f"""
        select destination_code, destination_name_nl, destination_name_en, month, share, share_sa, vintage_at
        from marts.rpt_destination_shares
        where {OF_VIEW} and list_contains(?, destination_code) and month between ? and ?
        order by destination_code, month
        """,
        [*key, list(codes), first, last],
    )


def read_countries(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read the share of each country, over 12 months where there are any, as ``shown``, the largest first."""
    return marts.rows(
        f"""
        with countries as (
            select *, count(share_r12) over () > 0 as has_r12
            from marts.rpt_destination_shares
            where {OF_VIEW} and month = ? and destination_kind = 'country'
        )

        select *, case when has_r12 then share_r12 else share end as shown
        from countries
        where shown is not null
        order by shown desc, destination_code
        """,
        [*key, month],
    )


def read_share_change(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read what made each share change, the largest change first."""
    return marts.rows(
        f"""
        select * from marts.rpt_share_change
        where {OF_VIEW} and month = ?
        order by abs(share_change_pp) desc, destination_code
        """,
        [*key, month],
    )


def read_tariff_exposure(marts: Marts, key: Key) -> list[Row]:
    """Read exports to the United States under each tariff, by month, with the words of the event."""
    source, concept, _, reporter = key
    return marts.rows(
        """
        select exposure.*, events.title_nl, events.title_en, events.confidence
        from marts.rpt_tariff_exposure as exposure
        inner join marts.dim_tariff_event as events on exposure.event_code = events.event_code
        where source_code = ? and concept_code = ? and reporter_code = ? and destination_code = ?
        order by month, effective_from, event_code
        """,
        [source, concept, reporter, UNITED_STATES],
    )


def read_tariff_events(marts: Marts, first: date, last: date) -> list[Row]:
    """Read what the United States announced or did in a span of months."""
    return marts.rows(
        """
        select * from marts.dim_tariff_event
        where imposed_by_code = ? and date_trunc('month', event_date) between ? and ?
        order by event_date, event_code
        """,
        [UNITED_STATES, first, last],
    )


def read_frontloading(marts: Marts, key: Key) -> list[Row]:
    """Read the ledger of the markets that imposed a tariff: that of the view's product group first.

    ``payback_eur`` is the payback over the months that the verdict looks at, where the ledger has that sum.
    """
    source, concept, scope, reporter = key
    rows = marts.rows(
        """
        select ledger.*, events.title_nl, events.title_en, scopes.scope_name_nl, scopes.scope_name_en
        from marts.rpt_frontloading as ledger
        inner join marts.dim_tariff_event as events on ledger.event_code = events.event_code
        inner join marts.dim_metal_scope as scopes on ledger.scope_code = scopes.scope_code
        where source_code = ? and concept_code = ? and reporter_code = ? and is_event_market
        order by
            ledger.scope_code <> ?, events.event_date, ledger.event_code, ledger.scope_code, destination_code,
            baseline_method
        """,
        [source, concept, reporter, scope],
    )
    for row in rows:
        for column in ("eur", "lower_eur", "upper_eur"):
            row[f"payback_{column}"] = row.get(f"payback_{row['payback_months']}_{column}")
    return rows


def count_other_markets(marts: Marts, row: Row) -> Row:
    """Count the markets without the tariff, and those of them with the verdict of front-loading."""
    return marts.rows(
        """
        select
            count(distinct destination_code) as n_markets,
            count(distinct destination_code) filter (where starts_with(verdict, 'front_loaded')) as n_front_loaded
        from marts.rpt_frontloading
        where
            event_code = ? and source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?
            and not is_event_market
        """,
        [row[f"{part}_code"] for part in ("event", "source", "concept", "scope", "reporter")],
    )[0]


def read_frontloading_months(marts: Marts, row: Row) -> list[Row]:
    """Read the months behind a row of the ledger."""
    return marts.rows(
        """
        select * from marts.rpt_frontloading_months
        where
            event_code = ? and source_code = ? and concept_code = ? and scope_code = ? and reporter_code = ?
            and destination_code = ? and baseline_method = ?
        order by month
        """,
        [
            *(row[f"{part}_code"] for part in ("event", "source", "concept", "scope", "reporter", "destination")),
            row["baseline_method"],
        ],
    )


def read_opportunities(marts: Marts, key: Key) -> list[Row]:
    """Read the markets outside the Union that have a score in the newest month, the best first."""
    return marts.rows(
        f"""
        select markets.*, agreements.agreement_name_nl
        from marts.rpt_market_opportunities as markets
        left join (select distinct agreement_code, agreement_name_nl from marts.dim_trade_agreement) as agreements
            on markets.agreement_code = agreements.agreement_code
        where {OF_VIEW} and not is_eu_member and opportunity_score is not null
        qualify month = max(month) over ()
        order by opportunity_score desc, destination_code
        """,
        key,
    )


def read_peers(marts: Marts, key: Key) -> list[Row]:
    """Read the positions of the view's reporter in the newest month, the largest market first."""
    return marts.rows(
        f"""
        select * from marts.rpt_eu_peer_position
        where {OF_VIEW}
        qualify month = max(month) over ()
        order by value_r12_eur desc nulls last, destination_code
        """,
        key,
    )


def read_members(marts: Marts, key: Key, month: date) -> list[Row]:
    """Read what each loaded member holds of the Union's exports to all markets."""
    source, concept, scope, _ = key
    return marts.rows(
        """
        select
            peers.reporter_code, countries.country_name_nl, countries.country_name_en,
            max(share_in_eu_exports_all_markets) as share_in_eu_exports_all_markets, max(rca_eu) as rca_eu
        from marts.rpt_eu_peer_position as peers
        inner join marts.dim_country as countries on peers.reporter_code = countries.country_code
        where source_code = ? and concept_code = ? and scope_code = ? and month = ?
        group by all
        order by share_in_eu_exports_all_markets desc nulls last, peers.reporter_code
        """,
        [source, concept, scope, month],
    )


def read_stress(marts: Marts, key: Key) -> list[Row]:
    """Read what is lost if a market falls by a quarter in the newest month, and (``loss_100_pct``) altogether."""
    return marts.rows(
        f"""
        with newest as (
            select * from marts.rpt_diversification_stress
            where {OF_VIEW}
            qualify month = max(month) over ()
        )

        select quarter.*, gone.loss_pct as loss_100_pct
        from newest as quarter
        left join newest as gone on quarter.destination_code = gone.destination_code and gone.shock_pct = 100
        where quarter.shock_pct = 25
        order by quarter.market_rank, quarter.destination_code
        """,
        key,
    )


def read_reconciliation(marts: Marts, reporter: str) -> list[Row]:
    """Read both offices side by side for all destinations: all goods by month, sections of the newest month."""
    return marts.rows(
        """
        select reconciliation.*, sections.product_title_nl, sections.product_title_en
        from marts.rpt_source_reconciliation as reconciliation
        left join marts.dim_product as sections
            on sections.nomenclature_code = 'SITC' and reconciliation.section_code = sections.product_code
        where reporter_code = ? and destination_code = 'total'
        qualify section_code = 'TOTAL' or month = max(month) over ()
        order by month, section_code = 'TOTAL', section_code
        """,
        [reporter],
    )


def read_revisions(marts: Marts, key: Key) -> list[Row]:
    """Read how much totals are revised by age, the youngest first, as far as there were revisions."""
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


def _number(value: Any, digits: int) -> float | int | None:
    """Round for the page: a missing value stays missing."""
    if value is None:
        return None
    return round(float(value), digits) if digits else round(value)

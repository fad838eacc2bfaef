"""The head and the status of the page: loaded data, missing data, and check results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from publish.report.formats import day, instant, month, month_ranges, number, percent
from publish.report.marts import Marts, Row, country_name, office_name
from publish.report.texts import MISSING, Text, join, page_texts, per_language, same, shared


def read_offices(marts: Marts, datasets: list[Row]) -> list[Row]:
    """Read the state of each office: newest complete month, newest release, and the origin of its loads."""
    rows = marts.rows(
        """
        select
            source_code,
            max(month) filter (where is_complete) as newest_month,
            max(vintage_at) as vintage_at
        from marts.rpt_destination_shares
        group by source_code order by source_code
        """
    )
    offices = []
    for row in rows:
        name = office_name(row["source_code"])
        # A dataset without loads has no origin.
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
    """List the months without shares, grouping reporters that lack the same months for the same reason."""
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
        """
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
    reasons = page_texts()["reasons"]
    return [
        {
            "scope": names["scopes"][row["scope_code"]]["name"],
            "reporters": join(country_name(names, code) for code in row["reporter_codes"]),
            "source": office_name(row["source_code"]),
            "concept": names["concepts"][row["concept_code"]]["name"],
            "months": month_ranges(row["months"]),
            "reason": reasons.get(row["reason"], reasons["unknown"]),
        }
        for row in rows
    ]


def read_datasets(marts: Marts) -> list[Row]:
    """Read the state of every declared or loaded dataset."""
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
        """
    )
    return [
        {
            **row,
            "title": _title_of(row, row["code"]),
            "office": office_name(row["source_code"]),
            "identifier": row["office_identifier"] or "",
            "origin": join(
                page_texts()["origins"].get(transport, same(transport)) for transport in row["transports"] or ()
            ),
            "vintage": instant(row["vintage_at"]),
            "newest_month": month(row["newest_complete_month"]) if row["newest_complete_month"] else same(MISSING),
            "looked_at": instant(row["last_looked_at"]),
            "n_loads": row["n_loads"] or 0,
        }
        for row in rows
    ]


def _title_of(row: Row, code: str) -> Text:
    return per_language(lambda language: row[f"title_{language}"] or code)


def read_gaps(marts: Marts) -> list[Row]:
    """Read the requested slices that are not fully in this publication, each with the check that blocked it."""
    if "ops.slices" not in marts.tables:
        # A publication by an earlier version of the warehouse.
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
            "title": _title_of(row, row["dataset_code"]),
            "state": shared(f"slice_{row['state']}", day=instant(row["vintage_at"])),
            "problem": row["problem"] or MISSING,
        }
        for row in rows
    ]


def read_unmapped(marts: Marts) -> Row | None:
    """Read the exports to unmapped countries: their codes, and their largest share in a month."""
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
    """Count the results of the newest run of each gate, and list the checks that did not pass.

    The landing gate runs per dataset; its subject is a load id, which begins with the dataset.
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
        """
    )
    not_passed = marts.rows(
        f"""
        {newest}
        select gate, subject, check_name, severity, observed, message from checks
        where not is_passed order by severity, gate, subject, check_name
        """
    )
    for row in gates:
        row["checked_at"] = instant(row["checked_at"])
    for row in not_passed:
        row["severity"] = page_texts()["severities"].get(row["severity"], same(row["severity"] or MISSING))
    return gates, not_passed


def read_publication(marts: Marts) -> Row | None:
    """Read the publication record of this file; a candidate does not have one yet."""
    if "ops.publication" not in marts.tables:
        return None
    rows = marts.rows(
        """
        select publish_id, content_sha256, is_simulated, published_at
        from ops.publication order by published_at desc, publish_id limit 1
        """
    )
    if not rows:
        return None
    return {**rows[0], "published_at": rows[0]["published_at"] and instant(rows[0]["published_at"])}


def describe_status(datasets: Sequence[Row], gates: Sequence[Row]) -> list[Text]:
    """Return a summary of the loaded datasets and the check results."""
    loaded = number(sum(row["n_loads"] > 0 for row in datasets))
    declared = number(len(datasets))
    if not gates:
        return [shared("status_lead_no_checks", loaded=loaded, declared=declared)]
    counts = {name: sum(row[f"n_{name}"] for row in gates) for name in ("passed", "warned", "failed")}
    return [
        shared(
            "status_lead",
            loaded=loaded,
            declared=declared,
            checks=number(sum(counts.values())),
            **{name: number(count) for name, count in counts.items()},
        )
    ]

"""Gate 2: whether a candidate may take the place of what is published.

dbt has checked keys, contracts and identities inside the candidate. This gate looks across: against the
published file, and at what a reader would stumble over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.gate import Check

MIN_ROWS_RATIO = 0.98
REVISION_ERROR = 0.20
REVISION_WARN = 0.04
UNALLOCATED_WARN = 0.10
USUAL_LAG_MONTHS = 3


@dataclass(frozen=True)
class CandidateGateInput:
    """What gate 2 compares.

    Attributes
    ----------
    candidate : Path
        The warehouse that was just built.
    published : Path or None
        The published file, if there is one.
    is_simulated : bool
        What kind of data the profile may publish.
    """

    candidate: Path
    published: Path | None
    is_simulated: bool


_MONTHS = """
    select
        source_code, concept_code, scope_code, reporter_code, month,
        bool_and(is_complete) as is_complete,
        any_value(total_eur) as total_eur,
        sum(share) as share_sum,
        coalesce(sum(value_eur) filter (where destination_code = 'unallocated'), 0)
            / nullif(any_value(total_eur), 0) as unallocated_share,
        count(*) filter (where destination_code = 'not_loaded') > 0 as has_not_loaded
    from {database}.marts.rpt_destination_shares
    group by all
"""


def prepare_database(database: Path, gate: CandidateGateInput) -> None:
    """Summarise candidate and published file into one small DuckDB file for the checks."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"attach '{gate.candidate}' as candidate (read_only)")
        published = "candidate"
        if gate.published is not None:
            connection.execute(f"attach '{gate.published}' as published (read_only)")
            published = "published"
        connection.execute(
            "create table months as"
            " select *, max(month) over (partition by source_code, reporter_code) as newest_month"
            f" from ({_MONTHS.format(database='candidate')})"
        )
        connection.execute(f"create table published_months as {_MONTHS.format(database=published)}")
        connection.execute(
            f"""
            create table counts as
            select
                (select count(*) from candidate.marts.fct_exports) as n_exports,
                (select count(*) from candidate.marts.rpt_destination_shares) as n_shares,
                (select count(*) from {published}.marts.fct_exports) as n_published_exports
            """
        )
        connection.execute(
            "create table loads as select load_id, is_simulated, transport from candidate.staging.stg_landing__loads"
        )
        connection.execute(
            """
            create table changes as
            select
                p.source_code, p.concept_code, p.scope_code, p.reporter_code, p.month,
                p.total_eur as published_eur, m.total_eur as candidate_eur,
                coalesce(m.is_complete, false) as is_complete,
                m.total_eur / nullif(p.total_eur, 0) - 1 as revision
            from published_months as p
            left join months as m
                using (source_code, concept_code, scope_code, reporter_code, month)
            where p.is_complete
                -- A user scope that the user took away is not a loss.
                and p.scope_code in (select scope_code from candidate.marts.dim_metal_scope)
            """
        )


def candidate_checks(gate: CandidateGateInput) -> list[Check]:
    """Return the suite of gate 2."""

    def rows(name: str, table: str, severity: str, message: str, condition: str) -> Check:
        query = f"select * from {{batch}} where {condition}"
        return Check(name, table, severity, message, "UnexpectedRowsExpectation", {"unexpected_rows_query": query})

    kind = str(gate.is_simulated).lower()
    return [
        rows("marts_hold_rows", "counts", "error", "Facts and shares have rows.", "n_exports = 0 or n_shares = 0"),
        rows(
            "rows_do_not_shrink",
            "counts",
            "error",
            f"At least {MIN_ROWS_RATIO:.0%} as many facts as are published.",
            f"n_exports < {MIN_ROWS_RATIO} * n_published_exports",
        ),
        rows(
            "one_kind_of_data",
            "loads",
            "error",
            "Simulated and real data are never in one warehouse, nor in the other's profile.",
            f"is_simulated != {kind}",
        ),
        Check(
            "some_month_carries_shares",
            "months",
            "error",
            "At least one month of one scope carries shares.",
            "UnexpectedRowsExpectation",
            {
                "unexpected_rows_query": "select count(*) as n from {batch} where is_complete and share_sum is not null"
                " having count(*) = 0"
            },
        ),
        rows(
            "published_months_stay",
            "changes",
            "error",
            "A month that was published with shares still has them.",
            "not is_complete",
        ),
        rows(
            "totals_move_little",
            "changes",
            "error",
            f"No total of a published month moves by more than {REVISION_ERROR:.0%}.",
            f"abs(revision) > {REVISION_ERROR}",
        ),
        rows(
            "revisions_are_usual",
            "changes",
            "warn",
            f"No total of a published month moves by more than {REVISION_WARN:.0%} (CBS revised 2.5 to 3.1 % in 2025).",
            f"abs(revision) > {REVISION_WARN}",
        ),
        rows(
            "little_is_unallocated",
            "months",
            "warn",
            f"At most {UNALLOCATED_WARN:.0%} of a scope's total is unallocated.",
            f"unallocated_share > {UNALLOCATED_WARN}",
        ),
        rows(
            "all_partners_are_loaded",
            "months",
            "warn",
            "The loads asked for all partners, so nothing is not_loaded.",
            "has_not_loaded",
        ),
        rows(
            "only_new_months_are_incomplete",
            "months",
            "warn",
            f"Only the newest {USUAL_LAG_MONTHS} months are without shares.",
            f"not is_complete and month < newest_month - interval {USUAL_LAG_MONTHS} month",
        ),
    ]

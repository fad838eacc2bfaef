"""Gate 2: whether a candidate may take the place of what is published.

dbt has checked keys, contracts and identities inside the candidate. This gate looks across: against the
published file, against figures that others published, and at what a reader would stumble over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.gate import Check, rows_check

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
    withdrawn : tuple of str
        Ids of loads that people took back: of those that are published, what they held may go.
    problem : str
        Why nothing is compared with the published file, although there is one.
    """

    candidate: Path
    published: Path | None
    is_simulated: bool
    withdrawn: tuple[str, ...] = ()
    problem: str = ""


# What tells, of a row of these tables, where its figures come from.
_SLICE_KEYS = {
    "slices": "dataset_code, reporter_code",
    "changes": "source_code, concept_code, scope_code, reporter_code",
    "identities": "source_code, concept_code, reporter_code",
    "anchors": "source_code, concept_code, reporter_code",
}

_ORIGIN_KEYS = ("source_code", "concept_code", "scope_code", "reporter_code", "dataset_code")

_MONTHS = """
    select
        source_code, concept_code, scope_code, reporter_code, month,
        bool_and(is_complete) as is_complete,
        any_value(total_eur) as total_eur,
        max(vintage_at) as vintage_at,
        sum(share) as share_sum,
        coalesce(sum(value_eur) filter (where destination_code = 'unallocated'), 0)
            / nullif(any_value(total_eur), 0) as unallocated_share,
        count(*) filter (where destination_code = 'not_loaded') > 0 as has_not_loaded
    from {database}.marts.rpt_destination_shares
    group by all
"""


def _origins(*databases: str) -> str:
    """Return the query for the dataset that a scope's figures come from.

    Each source has one for a nomenclature, concept and reporter.
    """
    totals = " union ".join(
        "select distinct source_code, concept_code, reporter_code, nomenclature_code, dataset_code"
        f" from {database}.marts.fct_export_totals"
        for database in databases
    )
    return f"""
        select distinct t.source_code, t.concept_code, m.scope_code, t.reporter_code, t.dataset_code
        from ({totals}) as t
        join {databases[0]}.marts.dim_metal_scope_member as m
            on m.nomenclature_code = t.nomenclature_code and coalesce(m.source_code, t.source_code) = t.source_code
    """


def slices_behind(candidate: Path, query: str) -> set[tuple[str, str]]:
    """Return dataset and reporter of the exports that the rows of a query on the candidate come from.

    Empty where the columns of the rows cannot tell.
    """
    with duckdb.connect(str(candidate), read_only=True) as connection:
        columns = {row[0] for row in connection.execute(f"describe {query}").fetchall()}
        keys = [key for key in _ORIGIN_KEYS if key in columns]
        if "reporter_code" not in keys:
            return set()
        origins = _origins(candidate.stem)
        found = connection.execute(
            "select distinct dataset_code, reporter_code"
            f" from ({origins}) semi join ({query}) using ({', '.join(keys)})"
        ).fetchall()
        return {(dataset, reporter) for dataset, reporter in found}


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
        connection.execute(
            "create table publication as select problem from (values (?)) as t(problem) where problem != ''",
            [gate.problem],
        )
        connection.execute(f"create table published_months as {_MONTHS.format(database=published)}")
        connection.execute(
            """
            create table counts as
            select
                (select count(*) from candidate.marts.fct_exports) as n_exports,
                (select count(*) from candidate.marts.rpt_destination_shares) as n_shares
            """
        )
        is_new = f"load_id not in (select load_id from {published}.ops.loads)" if gate.published else "true"
        connection.execute(
            f"""
            create table loads as
            select load_id, dataset_code, reporter_code, is_simulated, transport, {is_new} as is_new
            from candidate.ops.loads
            """
        )
        connection.execute(
            f"create table withdrawn as select distinct dataset_code, reporter_code from {published}.ops.loads"
            " where list_contains(cast(? as varchar[]), load_id)",
            [list(gate.withdrawn)],
        )
        counted = "select dataset_code, reporter_code, count(*) as n from {}.marts.fct_exports group by all"
        connection.execute(
            f"""
            create table slices as
            select
                dataset_code, reporter_code, coalesce(c.n, 0) as n_exports, p.n as n_published_exports,
                w.dataset_code is not null as is_withdrawn
            from ({counted.format(published)}) as p
            left join ({counted.format("candidate")}) as c using (dataset_code, reporter_code)
            left join withdrawn as w using (dataset_code, reporter_code)
            """
        )
        connection.execute(f"create table origins as {_origins('candidate', published)}")
        connection.execute(
            """
            create table changes as
            select
                p.source_code, p.concept_code, p.scope_code, p.reporter_code, p.month,
                p.total_eur as published_eur, m.total_eur as candidate_eur,
                coalesce(m.is_complete, false) as is_complete,
                m.total_eur / nullif(p.total_eur, 0) - 1 as revision,
                m.vintage_at,
                exists (
                    from candidate.reference.accepted_revisions as a
                    where
                        a.source_code = p.source_code
                        and a.reporter_code = p.reporter_code
                        and p.month between a.month_from and a.month_to
                        -- What was accepted of one release says nothing of the next.
                        and a.vintage_on = m.vintage_at::date
                ) as is_accepted,
                exists (
                    from origins as o
                    join withdrawn as w using (dataset_code, reporter_code)
                    where
                        o.source_code = p.source_code and o.concept_code = p.concept_code
                        and o.scope_code = p.scope_code and o.reporter_code = p.reporter_code
                ) as is_withdrawn
            from published_months as p
            left join months as m
                using (source_code, concept_code, scope_code, reporter_code, month)
            where p.is_complete
                -- A user scope that the user took away is not a loss.
                and p.scope_code in (select scope_code from candidate.marts.dim_metal_scope)
            """
        )

        connection.execute(
            """
            create table unusual as
            with newest as (
                select source_code, concept_code, scope_code, reporter_code, max(month) as month
                from candidate.marts.rpt_destination_shares
                where is_complete
                group by all
            )
            select
                concat(
                    source_code, ' ', concept_code, ', ', scope_code, ', ', reporter_code, ' to ', destination_code,
                    ', ',
                    strftime(month, '%Y-%m'),
                    format(': {:.1f} mln euro, {:.2g} times the expected', value_eur / 1e6, value_to_expected_ratio),
                    format(', value a kg {:.2g} times', unit_value_to_expected_ratio)
                ) as finding
            from candidate.marts.rpt_destination_shares
            join newest using (source_code, concept_code, scope_code, reporter_code, month)
            where is_unusual
            order by abs(ln(value_to_expected_ratio)) desc, finding
            """
        )
        connection.execute(
            """
            create table anchors as
            select
                anchor_code, source_code, concept_code, reporter_code, severity, is_superseded, outcome,
                holds_in_simulation,
                concat(
                    anchor_code, ' (', title_en, ', ', concept_code, '): published ',
                    case unit_code
                        when 'eur' then format('{:.0f} mln euro', published_value / 1e6)
                        else format('{:.4g}', published_value)
                    end,
                    ' (', source, '), here ',
                    case unit_code
                        when 'eur' then format('{:.0f} mln euro', warehouse_value / 1e6)
                        else format('{:.4g}', warehouse_value)
                    end,
                    format(', {:+.1f} %', difference_pct),
                    coalesce(
                        format('; at most {:g} %', tolerance_pct), format('; {:g} to {:g}', lower_value, upper_value)
                    )
                ) as finding
            from candidate.ops.anchors
            """
        )
        connection.execute(
            """
            create table identities as
            select
                identity_code, 'CBS' as source_code, concept_code, reporter_code, is_kept,
                concat(
                    concept_code, ', ', flow_kind, ', product ', product_code, ', ', period_type, ' of ', period_start,
                    format(
                        ': parts {:.0f} mln euro, total {:.0f}; rounding explains {:.1f}',
                        parts_eur / 1e6, whole_eur / 1e6, rounding_bound_eur / 1e6
                    )
                ) as finding
            from candidate.intermediate.int_total_identities
            """
        )


def new_loads(database: Path) -> list[str]:
    """Return the loads of the candidate that are not in the published file, by id; one of them brought what is new."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return [row[0] for row in connection.execute("select load_id from loads where is_new order by 1").fetchall()]


def _blames(table: str, condition: str) -> str:
    """Return the query for the new loads of the datasets and reporters whose rows of a table meet a condition."""
    if table not in _SLICE_KEYS:
        return ""
    return (
        "select load_id from loads semi join (select distinct o.dataset_code, o.reporter_code from origins as o"
        f" join (from {table} where {condition}) as t using ({_SLICE_KEYS[table]}))"
        " using (dataset_code, reporter_code) where is_new"
    )


def blamed_loads(database: Path, check: Check) -> list[str]:
    """Return the ids of the new loads that brought the rows which break a check; empty where none can be told."""
    if not check.blames:
        return []
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(f"select distinct load_id from ({check.blames}) order by 1").fetchall()
        return [row[0] for row in rows]


def candidate_checks(gate: CandidateGateInput) -> list[Check]:
    """Return the suite of gate 2."""

    def rows(name: str, table: str, severity: str, message: str, condition: str) -> Check:
        query = f"select * from {{batch}} where {condition}"
        blames = _blames(table, condition) if severity == "error" else ""
        return rows_check(name, table, severity, message, query, blames)

    def figures(name: str, severity: str, message: str) -> Check:
        condition = (
            f"outcome = 'outside' and severity = '{severity}' and not is_superseded"
            f" and (holds_in_simulation or not {kind})"
        )
        # One row that names them all: of rows, a result shows the first ones only.
        query = (
            "select count(*) as n_figures, string_agg(finding, ' | ' order by anchor_code) as figures from {batch}"
            f" where {condition} having count(*) > 0"
        )
        # A figure of others never vetoes a first publication: it may be wrong itself, and there is nothing to keep.
        stops = "error" if severity == "error" and gate.published else "warn"
        blames = _blames("anchors", condition) if stops == "error" else ""
        return rows_check(name, "anchors", stops, message, query, blames)

    kind = str(gate.is_simulated).lower()
    return [
        rows("marts_hold_rows", "counts", "error", "Facts and shares have rows.", "n_exports = 0 or n_shares = 0"),
        rows(
            "rows_do_not_shrink",
            "slices",
            "error",
            f"At least {MIN_ROWS_RATIO:.0%} as many facts of each dataset and reporter as are published, but for loads"
            " that were withdrawn.",
            f"n_exports < {MIN_ROWS_RATIO} * n_published_exports and not is_withdrawn",
        ),
        rows(
            "one_kind_of_data",
            "loads",
            "error",
            "Simulated and real data are never in one warehouse, nor in the other's profile.",
            f"is_simulated != {kind}",
        ),
        rows_check(
            "some_month_carries_shares",
            "months",
            "error",
            "At least one month of one scope carries shares.",
            "select count(*) as n from {batch} where is_complete and share_sum is not null having count(*) = 0",
        ),
        rows(
            "published_file_is_as_published",
            "publication",
            "warn",
            "What is published can be compared with: nobody changed the file since.",
            "true",
        ),
        rows(
            "published_months_stay",
            "changes",
            "error",
            "A month that was published with shares still has them, but for loads that were withdrawn.",
            "not is_complete and not is_withdrawn",
        ),
        rows(
            "totals_move_little",
            "changes",
            "error",
            f"No total of a published month moves by more than {REVISION_ERROR:.0%}, but for accepted revisions.",
            f"abs(revision) > {REVISION_ERROR} and not is_accepted and not is_withdrawn",
        ),
        rows(
            "withdrawals_take_nothing_away",
            "changes",
            "warn",
            "No month that was published loses its shares because a load was withdrawn.",
            "not is_complete and is_withdrawn",
        ),
        rows(
            "sections_sum_to_total",
            "identities",
            "error",
            "Sections of CBS add up to its total, but for rounding.",
            "identity_code = 'sections_sum_to_total' and not is_kept",
        ),
        rows(
            "months_sum_to_year",
            "identities",
            "error",
            "Months of CBS add up to its year, but for rounding.",
            "identity_code = 'months_sum_to_year' and not is_kept",
        ),
        rows(
            "flow_kinds_sum_to_total",
            "identities",
            "error",
            "Re-exports, Dutch product and quasi-transit of CBS add up to its total, but for rounding.",
            "identity_code = 'flow_kinds_sum_to_total' and not is_kept",
        ),
        figures(
            "published_figures_are_met",
            "error",
            "Totals are within the tolerance of the figures that were published of them (ops.anchors).",
        ),
        figures(
            "published_details_are_met",
            "warn",
            "Details are within the tolerance of the figures that were published of them (ops.anchors).",
        ),
        rows_check(
            "newest_months_are_usual",
            "unusual",
            "warn",
            "No destination of a newest month is far from its own history (is_unusual in rpt_destination_shares); what"
            " is right all the same belongs into accepted_unusual_months.csv.",
            "select count(*) as n_cells, string_agg(finding, ' | ') as cells from {batch} having count(*) > 0",
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

"""Gate 1: whether a load is what the office publishes, and whole.

Runs on a staged load, before its commit marker. The suite is derived from the dataset's registry entry and from
the load before it, so that a new dataset gets a gate without new code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.gate import Check

REJECTED_SHARE_LIMIT = 0.001
LEVEL_BOUNDS = (0.8, 1.25)


@dataclass(frozen=True)
class LandingGateInput:
    """What gate 1 needs to know of a load.

    Attributes
    ----------
    folder : Path
        Staged load: ``observations``, ``measures``, ``rejects`` and ``coverage`` as Parquet.
    previous_folder : Path or None
        The committed load of the same dataset and reporter before it.
    key : tuple of str
        Columns of ``observations`` that identify a row.
    total_partner : str
        Code of the office's own total.
    partners : mapping of str to str
        Known partner codes and their kind (``country``, ``unallocated``, ``total``, ``aggregate``, ``part``).
    products : tuple of str
        Known product codes; empty where the request itself lists them.
    value_measures : tuple of str
        Measures in euros; the sums are checked on them.
    value_factor : float
        Office unit to euros.
    thresholds : mapping of str to float
        From the registry.
    has_all_partners : bool
        Whether the load asked for all partners; only then can members be compared with the total.
    rows_read, rows_rejected : int
        From the load's manifest.
    """

    folder: Path
    previous_folder: Path | None
    key: tuple[str, ...]
    total_partner: str
    partners: Mapping[str, str]
    products: tuple[str, ...]
    value_measures: tuple[str, ...]
    value_factor: float
    thresholds: Mapping[str, float]
    has_all_partners: bool
    rows_read: int
    rows_rejected: int


def prepare_database(database: Path, load: LandingGateInput) -> None:
    """Make a small DuckDB file with views on the staged and the previous Parquet, and the known partners."""
    with duckdb.connect(str(database)) as connection:
        for table in ("observations", "measures", "rejects"):
            connection.execute(f"create view {table} as from read_parquet('{load.folder / table}.parquet')")
        connection.execute("create table partners (code varchar, member_kind varchar)")
        connection.executemany("insert into partners values (?, ?)", list(load.partners.items()))
        measures = ", ".join(f"'{measure}'" for measure in load.value_measures)
        rounding = load.thresholds["rounding_unit_eur"] / load.value_factor
        connection.execute(
            f"""
            create table sums as
            select
                o.measure, o.product, o.period,
                sum(o.value) filter (where p.member_kind = 'total') as total,
                coalesce(sum(o.value) filter (where p.member_kind in ('country', 'unallocated')), 0) as members,
                count(*) filter (where p.member_kind in ('country', 'unallocated')) * {rounding} / 2 as rounding
            from observations as o
            join partners as p on p.code = o.partner
            where o.measure in ({measures})
            group by all
            """
        )
        previous = load.previous_folder
        source = f"read_parquet('{previous / 'observations.parquet'}')" if previous else "observations"
        # Compared over the periods and products that both loads hold; the newest period of the previous load is
        # still filling up at the office.
        connection.execute(
            f"""
            create table compared as
            with before as (
                select partner, product, period, measure, value from {source}
                where measure in ({measures})
                    and period in (select distinct period from observations)
                    and product in (select distinct product from observations)
                qualify period < max(period) over ()
            )
            select
                count(*) as n_before,
                count(o.partner) as n_kept,
                coalesce(sum(b.value) filter (where o.partner is null), 0) / nullif(sum(b.value), 0) as vanished_share,
                sum(o.value) / nullif(sum(b.value) filter (where o.partner is not null), 0) as level
            from before as b
            left join observations as o
                on o.partner = b.partner and o.product = b.product and o.period = b.period
                and o.measure = b.measure
            """
        )


def landing_checks(load: LandingGateInput) -> list[Check]:
    """Return the suite of gate 1 for a load."""
    checks = [
        Check(
            "load_has_rows",
            "observations",
            "error",
            "The load holds observations.",
            "ExpectTableRowCountToBeBetween",
            {"min_value": 1},
        ),
        Check(
            "key_is_unique",
            "observations",
            "error",
            f"No two observations share the key {', '.join(load.key)}.",
            "UnexpectedRowsExpectation",
            {
                "unexpected_rows_query": f"select {', '.join(load.key)}, count(*) as n from {{batch}}"
                f" group by {', '.join(load.key)} having count(*) > 1"
            },
        ),
        Check(
            "values_are_not_negative",
            "observations",
            "error",
            "No export value or quantity is negative.",
            "ExpectColumnValuesToBeBetween",
            {"column": "value", "min_value": 0},
        ),
        Check(
            "partners_are_known",
            "observations",
            "error",
            "Every partner code is in dbt_project/seeds/office_partners.csv; add a new code there, with its kind.",
            "ExpectColumnValuesToBeInSet",
            {"column": "partner", "value_set": sorted(load.partners)},
        ),
        Check(
            "value_measures_are_present",
            "observations",
            "error",
            f"Every declared value measure has rows: {', '.join(load.value_measures)}.",
            "UnexpectedRowsExpectation",
            {
                "unexpected_rows_query": "select declared.measure from (values "
                + ", ".join(f"('{measure}')" for measure in load.value_measures)
                + ") as declared(measure) where declared.measure not in (select measure from {batch})"
            },
        ),
        Check(
            "total_is_present",
            "observations",
            "error",
            f"The office's own total ({load.total_partner}) is there.",
            "UnexpectedRowsExpectation",
            {
                "unexpected_rows_query": "select count(*) as n_totals from {batch}"
                f" where partner = '{load.total_partner}' having count(*) = 0"
            },
        ),
        Check(
            "units_are_as_declared",
            "measures",
            "error",
            "The office states the unit that the registry declares; a changed unit would change every figure.",
            "UnexpectedRowsExpectation",
            {
                "unexpected_rows_query": "select measure_code, stated_unit, declared_unit from {batch}"
                " where stated_unit is distinct from declared_unit"
            },
        ),
        Check(
            "few_rows_are_rejected",
            "rejects",
            "error",
            f"At most {REJECTED_SHARE_LIMIT:.1%} of the {load.rows_read:,} rows read are rejected.",
            "ExpectTableRowCountToBeBetween",
            {"max_value": int(load.rows_read * REJECTED_SHARE_LIMIT)},
        ),
        Check(
            "no_row_is_rejected",
            "rejects",
            "warn",
            "No row is rejected; see ops.rejected_rows.",
            "ExpectTableRowCountToBeBetween",
            {"max_value": 0},
        ),
        Check(
            "members_do_not_exceed_total",
            "sums",
            "error",
            "Published members add up to no more than the office's total, rounding apart.",
            "UnexpectedRowsExpectation",
            {"unexpected_rows_query": "select * from {batch} where members > total + rounding + 1"},
        ),
    ]
    if load.products:
        checks.append(
            Check(
                "products_are_known",
                "observations",
                "error",
                "Every product code is in dbt_project/seeds/office_products.csv; add a new code there.",
                "ExpectColumnValuesToBeInSet",
                {"column": "product", "value_set": sorted(load.products)},
            )
        )
    if load.has_all_partners:
        limit = load.thresholds["max_unexplained_share"]
        floor = 100 * load.thresholds["rounding_unit_eur"] / load.value_factor
        checks.append(
            Check(
                "total_is_explained_by_members",
                "sums",
                "error",
                f"Published members explain all but {limit:.0%} of the office's total; more is a missing block.",
                "UnexpectedRowsExpectation",
                {
                    "unexpected_rows_query": "select measure, product, period, total, members,"
                    " round(1 - members / total, 3) as unexplained from {batch}"
                    f" where total > {floor} and total - members > {limit} * total + rounding"
                },
            )
        )
    if load.previous_folder is not None:
        vanished = load.thresholds["max_vanished_share"]
        ratio = load.thresholds["min_rows_ratio"]
        low, high = LEVEL_BOUNDS
        comparisons = (
            (
                "published_cells_do_not_vanish",
                f"Cells of the last vintage that are gone held at most {vanished:.0%} of its value.",
                f"vanished_share > {vanished}",
            ),
            (
                "rows_do_not_shrink",
                f"At least {ratio:.0%} of the last vintage's cells are there again.",
                f"n_kept < {ratio} * n_before",
            ),
            (
                "level_is_as_before",
                f"Values are {low} to {high} times those of the last vintage; more is a change of unit or of concept.",
                f"level not between {low} and {high}",
            ),
        )
        checks += [
            Check(
                name,
                "compared",
                "error",
                message,
                "UnexpectedRowsExpectation",
                {"unexpected_rows_query": f"select * from {{batch}} where {condition}"},
            )
            for name, message, condition in comparisons
        ]
    return checks

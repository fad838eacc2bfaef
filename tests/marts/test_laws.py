"""Each singular dbt test of the marts holds, and detects the fault that it guards against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from metaalexport.dbt import run_dbt
from metaalexport.settings import DBT_PROJECT
from metaalexport.state import prepare_state
from tests.states import large_state, settings_of

# By test: a relation that it reads, and that relation with a fault in it.
FAULTS = {
    "cells_say_one_thing_at_a_time": (
        "intermediate.int_goods_statements",
        "from {relation} union all (from {relation} where valid_to is null limit 1)",
    ),
    "destinations_sum_to_total": (
        "marts.fct_export_totals",
        "select * replace (value_eur + 1 as value_eur) from {relation}",
    ),
    "exports_are_the_open_vintages": ("marts.fct_exports", "from {relation} qualify row_number() over () > 1"),
    "frontloading_is_the_sum_of_its_ledger": (
        "marts.rpt_frontloading",
        "select * replace (excess_eur + 1 as excess_eur) from {relation}",
    ),
    "loads_and_their_coverage_name_one_panel": (
        "staging.stg_landing__loads",
        "select * replace ('other' as panel) from {relation}",
    ),
    "one_kind_of_data": (
        "staging.stg_landing__loads",
        "from {relation} union all (select * replace (not is_simulated as is_simulated) from {relation} limit 1)",
    ),
    "shares_sum_to_one": (
        "marts.rpt_destination_shares",
        "select * replace (share * 1.001 as share) from {relation}",
    ),
    "size_classes_stay_within_total": (
        "marts.rpt_sme_exports",
        "select * replace (value_eur * case size_kind when 'total' then 1 else 100 end as value_eur) from {relation}",
    ),
    "user_scopes_have_their_own_codes": (
        "staging.stg_journal__user_scopes",
        "from {relation} union all by name (select scope_code from warehouse.reference.metal_scopes limit 1)",
    ),
}


@pytest.fixture(scope="module")
def laws(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the query of each test, as compiled by dbt."""
    settings = settings_of(tmp_path_factory.mktemp("laws") / "simulator")
    prepare_state(settings)
    run_dbt(settings, ["compile", "--select", "test_type:singular"])
    compiled = settings.dbt / "target" / "compiled" / "metaalexport" / "tests"
    return {path.stem: path.read_text(encoding="utf-8") for path in compiled.glob("*.sql")}


@pytest.fixture(scope="module")
def candidate() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the candidate of the large state next to an empty database for faults."""
    settings = settings_of(large_state())
    # The candidate's views read files by paths relative to its folder.
    with duckdb.connect(config={"file_search_path": str(settings.state)}) as connection:
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        yield connection


def test_every_law_has_a_fault(laws: dict[str, str]) -> None:
    assert laws.keys() == FAULTS.keys() == {path.stem for path in Path(DBT_PROJECT / "tests").glob("*.sql")}


@pytest.mark.parametrize("law", FAULTS)
def test_law_holds_and_detects_its_fault(law: str, laws: dict[str, str], candidate: duckdb.DuckDBPyConnection) -> None:
    schema, _, name = FAULTS[law][0].partition(".")
    relation = f'"warehouse"."{schema}"."{name}"'
    assert relation in laws[law]
    assert candidate.sql(laws[law]).fetchall() == []
    candidate.execute(f"create or replace table faulty as {FAULTS[law][1].format(relation=relation)}")
    assert candidate.sql(laws[law].replace(relation, "memory.faulty")).fetchall()

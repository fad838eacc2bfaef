"""Checks of every published table and every documented query, on a whole warehouse."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from common.contracts import read_models
from metaalexport import building
from metaalexport.dbt import run_dbt
from metaalexport.run import Run
from simulator.server import run_simulator
from tests.marts.conftest import Warehouse
from tests.states import RELEASES, load_all, settings_of

ROOT = Path(__file__).resolve().parents[2]
MARTS = ROOT / "dbt_project" / "models" / "marts"
REPORTS = sorted(path.stem for path in MARTS.glob("rpt_*.sql"))
TABLES = sorted(path.stem for path in MARTS.glob("*.sql"))
PAGES = (
    "README.md",
    "docs/analysts.md",
    "docs/marts.md",
    "docs/questions.md",
    "docs/methodology.md",
    "docs/runbook.md",
)
QUERIES = [
    (f"{page}:{number}", query.strip().rstrip(";"))
    for page in PAGES
    for number, query in enumerate(
        re.findall(r"```sql\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    )
]


def key_of(table: str) -> list[str]:
    """Return the columns of a table's key, from its contract."""
    (key,) = (model.key for model in read_models(ROOT / "dbt_project", "marts") if model.name == table)
    return list(key)


@pytest.fixture(scope="module")
def default_economy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the shares that `make run` has of Dutch exports with the default economy; return the build file."""
    settings = settings_of(
        tmp_path_factory.mktemp("default") / "simulator", datasets=("eurostat_ds_045409",), reporters=("NL",)
    )
    with run_simulator(release=RELEASES[-1]) as url:
        load_all(replace(settings, simulator_url=url), "default")
    building.prepare_candidate(Run(settings, "default"))
    run_dbt(settings, ["build", "--select", "+rpt_destination_shares", "--exclude-resource-type", "test", "unit_test"])
    return settings.warehouse


def test_readme_answer_matches_its_query(default_economy: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (query, table) = re.findall(r'metaalexport sql "\n(.*?)"\n```\n\n(.*?)\n\n', text, re.DOTALL)[0]
    header, _, *rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()]
    with duckdb.connect(str(default_economy), read_only=True) as connection:
        result = connection.execute(query)
        assert tuple(column[0] for column in result.description or ()) == header
        assert [tuple(map(str, row)) for row in result.fetchall()] == rows
    assert len(rows) == 3


def test_collections_are_not_empty() -> None:
    assert len(REPORTS) >= 14
    assert len(QUERIES) >= 20


@pytest.mark.parametrize("table", REPORTS)
def test_report_has_rows_and_no_empty_column(warehouse: Warehouse, table: str) -> None:
    with duckdb.connect(str(warehouse.published), read_only=True) as connection:
        names = [row[0] for row in connection.execute(f"describe marts.{table}").fetchall()]
        counts = connection.execute(
            f"select count(*), {', '.join(f'count({name})' for name in names)} from marts.{table}"
        ).fetchone()
    assert counts
    assert counts[0] > 0
    assert [name for name, count in zip(names, counts[1:], strict=True) if count == 0] == []


@pytest.mark.parametrize("table", TABLES)
def test_key_is_unique_and_complete(warehouse: Warehouse, table: str) -> None:
    key = key_of(table)
    with duckdb.connect(str(warehouse.published), read_only=True) as connection:
        rows, distinct, missing = connection.execute(
            f"select count(*), count(distinct ({', '.join(key)})),"
            f" count(*) filter (where {' or '.join(f'{name} is null' for name in key)}) from marts.{table}"
        ).fetchall()[0]
    assert rows == distinct > 0
    assert missing == 0


@pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_documented_query_returns_rows(warehouse: Warehouse, name: str, query: str) -> None:
    with duckdb.connect(str(warehouse.published), read_only=True) as connection:
        assert connection.execute(query).fetchone(), f"{name} gives no row"


def test_every_published_object_has_a_comment(warehouse: Warehouse) -> None:
    frame = warehouse.frame(
        """
        select schema_name, table_name as name, comment from duckdb_tables()
        union all
        select schema_name, table_name || '.' || column_name, comment from duckdb_columns() where not internal
        union all
        select schema_name, function_name, comment from duckdb_functions()
        where function_type = 'table_macro' and not internal
        """
    )
    assert {*frame.schema_name} == {"marts", "ops"}
    assert len(frame) > 600
    assert frame[frame.comment.isna() | (frame.comment.str.strip() == "")].name.tolist() == []


def test_shares_are_labelled_with_source_concept_and_scope(warehouse: Warehouse) -> None:
    """A different denominator is a different row: each share is value over total of its own labels."""
    frame = warehouse.frame(
        """
        select source_code, concept_code, scope_code, count(distinct total_eur) as n_totals,
            max(abs(share - value_eur / total_eur)) as deviation
        from marts.rpt_destination_shares
        where reporter_code = 'NL' and destination_code = 'US' and month = date '2025-06-01' and share is not null
        group by all
        """
    )
    assert len(frame) > 15
    assert (frame.n_totals == 1).all()
    assert frame.deviation.max() < 1e-12

"""Which loads a test of dbt blames: those of the slices that its rows name."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from expectations.candidate import slices_behind
from extract.landing import LoadManifest
from metaalexport import steps
from metaalexport.settings import Settings

HS, SITC = "eurostat_ds_045409", "eurostat_ds_059331"
REPORTERS = ("NL", "DE", "EU27_2020")


def load_of(dataset: str, reporter: str) -> LoadManifest:
    return LoadManifest(f"{dataset}__{reporter}", dataset, "eurostat", reporter, {}, "", "", "", "live", False, 0, 0, 0)


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_export_totals as select 'EUROSTAT' as source_code, 'community' as concept_code,"
            " reporter_code, nomenclature_code, dataset_code"
            f" from unnest({list(REPORTERS)}) as r (reporter_code),"
            f" (values ('CN', '{HS}'), ('SITC', '{SITC}')) as d (nomenclature_code, dataset_code)"
        )
        connection.execute(
            "create table marts.dim_metal_scope_member as from (values ('metal_core_hs', 'CN', null::varchar),"
            " ('metal_sitc', 'SITC', 'EUROSTAT')) as m (scope_code, nomenclature_code, source_code)"
        )
    return path


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("select 'DE' as reporter_code", {(HS, "DE"), (SITC, "DE")}),
        ("select 'DE' as reporter_code, 'metal_core_hs' as scope_code", {(HS, "DE")}),
        (f"select '{SITC}' as dataset_code, 'NL' as reporter_code", {(SITC, "NL")}),
        ("select 'CBS' as source_code, 'NL' as reporter_code", set()),
        ("select 7 as n_records", set()),
        ("with r as (select 'NL' as reporter_code, 'metal_sitc' as scope_code) select * from r", {(SITC, "NL")}),
    ],
)
def test_rows_name_slices_by_the_columns_they_have(candidate: Path, query: str, named: set[tuple[str, str]]) -> None:
    assert slices_behind(candidate, query) == named


@pytest.mark.parametrize(
    ("failing", "behind", "compared_with", "blamed"),
    [
        # One member is above the Union: it is the member.
        (["DE"], {HS, SITC}, "EU27_2020", {"DE"}),
        # All are: it is the Union.
        (["NL", "DE"], {HS, SITC}, "EU27_2020", {"EU27_2020"}),
        # Nothing is compared: each for itself.
        (["NL", "DE"], {HS, SITC}, "", {"NL", "DE"}),
        # Rows that name nobody blame what the test stands on, unless that is everything.
        ([], {HS, "another"}, "", {"NL", "DE", "EU27_2020"}),
        ([], {HS}, "", {"NL", "DE", "EU27_2020"}),
        ([], {HS, SITC}, "", set()),
    ],
)
def test_loads_that_a_test_blames(
    candidate: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: list[str],
    behind: set[str],
    compared_with: str,
    blamed: set[str],
) -> None:
    settings = Settings("simulator", candidate.parent)
    assert settings.warehouse == candidate
    rows = f"select unnest({failing}::varchar[]) as reporter_code, 'metal_core_hs' as scope_code"
    query = rows if failing else "select 7 as n_records"
    monkeypatch.setattr(steps, "datasets_behind", lambda *_: behind)
    monkeypatch.setattr(steps, "failed_test", lambda *_: (query, compared_with))
    loads = [load_of(dataset, reporter) for dataset in (HS, SITC) for reporter in REPORTERS]
    found = steps._blamed_loads(settings, "test.of.dbt", loads, past=())
    assert {load.load_id for load in found} == {f"{HS}__{reporter}" for reporter in blamed}


def test_what_stayed_as_it_was_is_not_blamed(candidate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "datasets_behind", lambda *_: {HS, SITC})
    rows = "select 'DE' as reporter_code, 'metal_core_hs' as scope_code"
    monkeypatch.setattr(steps, "failed_test", lambda *_: (rows, ""))
    loads = [load_of(dataset, reporter) for dataset in (HS, SITC) for reporter in REPORTERS]
    settings = Settings("simulator", candidate.parent)
    # Germany is published: what came since is what the test compares it with.
    found = steps._blamed_loads(settings, "test.of.dbt", loads, past={f"{HS}__DE", f"{HS}__NL"})
    assert [load.load_id for load in found] == [f"{HS}__EU27_2020"]

"""Loads that a failed dbt test blames: those of the slices that its rows name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from expectations.candidate import loads_behind, slices_behind
from extract.landing.manifest import LoadManifest
from metaalexport import building
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
def test_rows_name_slices_by_their_columns(candidate: Path, query: str, named: set[tuple[str, str]]) -> None:
    assert slices_behind(candidate, query) == named


def test_rows_with_a_load_blame_only_that_load(candidate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = f"select '{SITC}__DE' as load_id, 'NL' as reporter_code"
    assert loads_behind(candidate, query) == {f"{SITC}__DE"}
    assert loads_behind(candidate, "select 7 as n_records") == set()
    monkeypatch.setattr(building, "datasets_behind", lambda *_: set())
    monkeypatch.setattr(building, "failed_test", lambda *_: (query, ""))
    loads = [load_of(dataset, reporter) for dataset in (HS, SITC) for reporter in REPORTERS]
    found = building._blamed_loads(Settings("simulator", candidate.parent), "test.of.dbt", loads, past=())
    assert [load.load_id for load in found] == [f"{SITC}__DE"]


@pytest.mark.parametrize(
    ("failing", "behind", "compared_with", "blamed"),
    [
        # One member exceeds the Union: the member is blamed.
        (["DE"], {HS, SITC}, "EU27_2020", {"DE"}),
        # All members exceed the Union: the Union is blamed.
        (["NL", "DE"], {HS, SITC}, "EU27_2020", {"EU27_2020"}),
        # Without a comparison, each reporter is blamed itself.
        (["NL", "DE"], {HS, SITC}, "", {"NL", "DE"}),
        # Rows that name no reporter blame the datasets behind the test, unless those are all datasets.
        ([], {HS, "another"}, "", {"NL", "DE", "EU27_2020"}),
        ([], {HS}, "", {"NL", "DE", "EU27_2020"}),
        ([], {HS, SITC}, "", set()),
    ],
)
def test_failed_test_blames_the_expected_loads(
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
    monkeypatch.setattr(building, "datasets_behind", lambda *_: behind)
    monkeypatch.setattr(building, "failed_test", lambda *_: (query, compared_with))
    loads = [load_of(dataset, reporter) for dataset in (HS, SITC) for reporter in REPORTERS]
    found = building._blamed_loads(settings, "test.of.dbt", loads, past=())
    assert {load.load_id for load in found} == {f"{HS}__{reporter}" for reporter in blamed}


def test_published_load_is_not_blamed(candidate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "datasets_behind", lambda *_: {HS, SITC})
    rows = "select 'DE' as reporter_code, 'metal_core_hs' as scope_code"
    monkeypatch.setattr(building, "failed_test", lambda *_: (rows, ""))
    loads = [load_of(dataset, reporter) for dataset in (HS, SITC) for reporter in REPORTERS]
    settings = Settings("simulator", candidate.parent)
    # Germany is published: the load that came since is the one that the test compares it with.
    found = building._blamed_loads(settings, "test.of.dbt", loads, past={f"{HS}__DE", f"{HS}__NL"})
    assert [load.load_id for load in found] == [f"{HS}__EU27_2020"]


def test_newest_load_of_each_slice_is_excluded_first() -> None:
    loads = [
        replace(load_of(HS, reporter), load_id=f"{reporter} {month}", vintage_at=f"2026-{month}-15T09:00:00Z")
        for reporter in ("NL", "DE")
        for month in ("10", "08", "09")
    ]
    other_panel = replace(loads[0], load_id="few partners", panel="few", vintage_at="2026-01-15T09:00:00Z")
    found = building._newest_of_slices([*loads, other_panel])
    assert sorted(load.load_id for load in found) == ["DE 10", "NL 10", "few partners"]

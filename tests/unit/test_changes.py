"""Vintages stored as changed cells: what a load adds, revises and withdraws, and what it must leave alone.

The cells are made up and landed without a reply.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.files import fsync_directory
from extract.errors import BadReplyError, ExtractError
from extract.landing import changes as changes_module
from extract.landing import store as landing_module
from extract.landing.changes import land_coverage, newest_month, write_state
from extract.landing.layout import COMMON_TABLES, MARKER, OBSERVATIONS, REJECTED_CELLS, change_columns, month_of
from extract.landing.manifest import ALL_PARTNERS, LoadManifest, panel_of
from extract.landing.store import Landing
from extract.registry import get_dataset
from extract.slices import Slice

DATASET = replace(
    get_dataset("eurostat_ds_045409"),
    code="small",
    dimensions={
        "reporter": "reporter",
        "partner": "partner",
        "product": "product",
        "indicators": "measure",
        "TIME_PERIOD": "period",
    },
    select={},
)
# Shared: opening a connection takes longer than most of these tests.
DATABASE = duckdb.connect()
# reporter, partner, product, period
Cell = tuple[str, str, str, str]
# value, status
Content = tuple[float | None, str | None]
Cells = Mapping[Cell, Content]
ALL = Slice("small", "NL", "2025-01", "2025-12")
US = ("NL", "US", "72", "2025-01")
DE = ("NL", "DE", "72", "2025-01")
FR = ("NL", "FR", "73", "2025-02")


def stage(
    landing: Landing,
    vintage: str,
    cells: Cells,
    part: Slice = ALL,
    retrieved: str = "",
    rejected: Collection[Cell] = (),
) -> LoadManifest:
    """Stage a load of these cells; the reply also held rows for the rejected cells."""
    load_id = f"small__{part.reporter.lower().replace('*', 'all')}__{vintage}__{abs(hash((part, retrieved))):x}"[:60]
    manifest = LoadManifest(
        load_id=load_id,
        dataset="small",
        office="eurostat",
        reporter=part.reporter,
        slice=part.to_dict(),
        office_version=vintage,
        vintage_at=vintage,
        retrieved_at=retrieved or vintage,
        transport="live",
        is_simulated=False,
        rows_read=len(cells),
        rows_loaded=len(cells),
        rows_rejected=0,
        panel=panel_of(part),
    )
    folder = landing.start_staging()
    observations = folder / f"{OBSERVATIONS}.parquet"
    with DATABASE.cursor() as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in change_columns(DATASET).items())
        connection.execute(f"create or replace temp table o ({columns})")
        for (reporter, partner, product, period), (value, status) in sorted(cells.items()):
            connection.execute(
                "insert into o by name select ? as load_id, 0 as request_no, 'new' as change_kind, ? as reporter,"
                " ? as partner, ? as product, ? as period, 'VALUE' as measure, ? as value, ? as status",
                [load_id, reporter, partner, product, period, value, status],
            )
        connection.execute(f"copy o to '{observations}' (format parquet)")
        loads = landing.of_panel("small", manifest.panel)
        newest = "" if part.last_month else newest_month(DATASET, manifest.reporter, loads)
        land_coverage(connection, observations, part, manifest, folder / "coverage.parquet", newest_before=newest)
        if rejected:
            values = ", ".join(str((*cell, "VALUE")) for cell in rejected)
            connection.execute(
                f"copy (from (values {values}) as r(reporter, partner, product, period, measure))"
                f" to '{folder}/{REJECTED_CELLS}.parquet' (format parquet)"
            )
        for table, kinds in COMMON_TABLES.items():
            if table != "coverage":
                nothing = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in kinds.items())
                connection.execute(f"copy (select {nothing} limit 0) to '{folder}/{table}.parquet' (format parquet)")
    landing.finish_staging(folder, manifest)
    return manifest


def put(landing: Landing, vintage: str, cells: Cells, part: Slice = ALL, retrieved: str = "") -> LoadManifest:
    """Stage and commit a load of these cells."""
    return landing.commit(stage(landing, vintage, cells, part, retrieved).load_id, DATASET)


def changes(landing: Landing, manifest: LoadManifest) -> dict[Cell, tuple[str, float | None, str | None]]:
    file = landing.folder(manifest) / "changes.parquet"
    with DATABASE.cursor() as connection:
        rows = connection.sql(
            f"select reporter, partner, product, period, change_kind, value, status from '{file}'"
        ).fetchall()
    assert len(rows) == manifest.rows_changed + manifest.rows_withdrawn
    return {row[:4]: row[4:] for row in rows}


def state(landing: Landing, part: Slice | None = None, panel: str = "*") -> dict[Cell, Content]:
    """Return the state after all committed loads, for one slice or for everything."""
    part = part or Slice("small", "*", "1900-01", "2999-12")
    folder = landing.root / "test"
    folder.mkdir(parents=True, exist_ok=True)
    coverage, target = folder / "coverage.parquet", folder / "state.parquet"
    with DATABASE.cursor() as connection:
        nothing = LoadManifest("x", "small", "", "", {}, "", "", "", "", False, 0, 0, 0, panel=panel)
        land_coverage(connection, coverage, part, nothing, coverage)
        n_rows = write_state(DATASET, landing.of_panel("small", panel), coverage, target)
        rows = connection.sql(f"select reporter, partner, product, period, value, status from '{target}'").fetchall()
    shutil.rmtree(folder)
    assert len(rows) == n_rows
    return {row[:4]: row[4:] for row in rows}


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


# --- what changes -------------------------------------------------------------------------------------------------


def test_first_load_is_all_new(landing: Landing) -> None:
    manifest = put(landing, "2026-01", {US: (1, None), DE: (2, None)})
    assert changes(landing, manifest) == {US: ("new", 1, None), DE: ("new", 2, None)}
    assert (manifest.rows_changed, manifest.rows_withdrawn) == (2, 0)


def test_next_load_stores_only_new_revised_and_withdrawn_cells(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), DE: (2, None)})
    manifest = put(landing, "2026-02", {US: (9, None), FR: (3, None)})
    assert changes(landing, manifest) == {
        US: ("revised", 9, None),
        DE: ("withdrawn", None, None),
        FR: ("new", 3, None),
    }
    assert (manifest.rows_changed, manifest.rows_withdrawn) == (2, 1)
    assert state(landing) == {US: (9, None), FR: (3, None)}


def test_release_that_repeats_old_figures_stores_no_row(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), DE: (None, "c")})
    manifest = put(landing, "2026-02", {US: (1, None), DE: (None, "c")})
    assert changes(landing, manifest) == {}
    assert manifest.rows_loaded == 2


def test_status_change_alone_is_a_revision(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, "p"), DE: (None, "c"), FR: (3, None)})
    manifest = put(landing, "2026-02", {US: (1, None), DE: (None, "c"), FR: (3, "e")})
    assert changes(landing, manifest) == {US: ("revised", 1, None), FR: ("revised", 3, "e")}


def test_value_that_becomes_missing_is_a_revision_not_a_withdrawal(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None)})
    manifest = put(landing, "2026-02", {US: (None, "c")})
    assert changes(landing, manifest) == {US: ("revised", None, "c")}
    assert state(landing) == {US: (None, "c")}


def test_cell_that_reappears_is_new_again_and_withdrawn_once(landing: Landing) -> None:
    both = {US: (1, None), DE: (2, None)}
    put(landing, "2026-01", both)
    put(landing, "2026-02", {US: (1, None)})
    still = put(landing, "2026-03", {US: (1, None)})
    assert changes(landing, still) == {}
    back = put(landing, "2026-04", both)
    assert changes(landing, back) == {DE: ("new", 2, None)}
    assert state(landing) == both


def test_zero_is_a_figure_and_not_a_withdrawal(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None)})
    assert changes(landing, put(landing, "2026-02", {US: (0, None)})) == {US: ("revised", 0, None)}


# --- what a load does not cover -----------------------------------------------------------------------------------


def test_cells_outside_the_requested_months_are_never_withdrawn(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), FR: (3, None)})
    manifest = put(landing, "2026-02", {}, replace(ALL, first_month="2025-02"))
    assert changes(landing, manifest) == {FR: ("withdrawn", None, None)}


def test_cells_of_other_products_are_never_withdrawn(landing: Landing) -> None:
    deep = ("NL", "US", "7208", "2025-01")
    put(landing, "2026-01", {US: (1, None), FR: (3, None), deep: (4, None)})
    assert changes(landing, put(landing, "2026-02", {}, replace(ALL, products=("72",)))) == {
        US: ("withdrawn", None, None)
    }
    assert state(landing) == {FR: (3, None), deep: (4, None)}


def test_prefix_covers_all_products_that_start_with_it(landing: Landing) -> None:
    deep = ("NL", "US", "7208", "2025-01")
    put(landing, "2026-01", {US: (1, None), FR: (3, None), deep: (4, None)})
    put(landing, "2026-02", {}, replace(ALL, products=("72*",)))
    assert state(landing) == {FR: (3, None)}


def test_cells_of_another_reporter_are_never_withdrawn(landing: Landing) -> None:
    german = ("DE", "US", "72", "2025-01")
    put(landing, "2026-01", {US: (1, None)})
    put(landing, "2026-01", {german: (5, None)}, replace(ALL, reporter="DE"))
    manifest = put(landing, "2026-02", {}, replace(ALL, reporter="DE"))
    assert changes(landing, manifest) == {german: ("withdrawn", None, None)}
    assert state(landing) == {US: (1, None)}


def test_load_of_all_reporters_covers_each_reporter(landing: Landing) -> None:
    german = ("DE", "US", "72", "2025-01")
    everybody = replace(ALL, reporter="*")
    put(landing, "2026-01", {US: (1, None), german: (5, None)}, everybody)
    assert set(changes(landing, put(landing, "2026-02", {US: (1, None)}, everybody))) == {german}


def test_partner_sets_are_independent(landing: Landing) -> None:
    some = replace(ALL, partners=("US", "FR"))
    put(landing, "2026-01", {US: (1, None), DE: (2, None)})
    manifest = put(landing, "2026-02", {US: (7, None)}, some)
    assert changes(landing, manifest) == {US: ("new", 7, None)}
    assert state(landing) == {US: (1, None), DE: (2, None)}
    assert state(landing, panel=panel_of(some)) == {US: (7, None)}
    assert panel_of(some) == panel_of(replace(some, partners=("FR", "US"))) != panel_of(ALL)


def test_open_slice_covers_months_up_to_the_newest_of_all_loads(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), DE: (2, None), FR: (3, None)})
    manifest = put(landing, "2026-02", {US: (1, None)}, replace(ALL, last_month=""))
    # FR is in a later month than the reply has: the office has withdrawn that month.
    assert changes(landing, manifest) == {DE: ("withdrawn", None, None), FR: ("withdrawn", None, None)}


def test_newest_month_is_per_reporter_and_partner_set(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), FR: (3, None)})
    put(landing, "2026-01", {("DE", "US", "72", "2025-07"): (1, None)}, replace(ALL, reporter="DE"))
    loads = landing.of_panel("small", ALL_PARTNERS)
    assert newest_month(DATASET, "NL", loads) == "2025-02-01"
    assert newest_month(DATASET, "DE", loads) == "2025-07-01"
    assert newest_month(DATASET, "NL", landing.of_panel("small", "other")) == ""


@pytest.mark.parametrize("rejected", [(DE,), (DE, US)], ids=["instead", "beside"])
def test_rejected_row_leaves_its_cell_unchanged(landing: Landing, rejected: tuple[Cell, ...]) -> None:
    put(landing, "2026-01", {US: (1, None), DE: (2, None), FR: (3, None)})
    manifest = landing.commit(stage(landing, "2026-02", {US: (4, None)}, rejected=rejected).load_id, DATASET)
    assert changes(landing, manifest) == {US: ("revised", 4, None), FR: ("withdrawn", None, None)}
    assert state(landing) == {US: (4, None), DE: (2, None)}


def test_state_of_a_slice_has_only_its_cells(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), FR: (3, None)})
    assert state(landing, replace(ALL, products=("73",))) == {FR: (3, None)}
    assert state(landing, replace(ALL, products=("7*",), last_month="2025-01")) == {US: (1, None)}
    assert state(landing, replace(ALL, reporter="DE")) == {}


# --- order of vintages --------------------------------------------------------------------------------------------


def test_older_vintage_is_refused_and_changes_nothing(landing: Landing) -> None:
    put(landing, "2026-02", {US: (2, None)})
    before = landing.content_hash()
    with pytest.raises(BadReplyError, match="an older vintage cannot be added") as caught:
        put(landing, "2026-01", {US: (1, None)})
    assert caught.value.next_step
    assert landing.content_hash() == before


@pytest.mark.parametrize(
    "other",
    [
        replace(ALL, reporter="DE"),
        replace(ALL, first_month="2024-01", last_month="2024-12"),
        replace(ALL, partners=("US",)),
    ],
    ids=["reporter", "months", "panel"],
)
def test_older_vintage_of_other_cells_is_accepted(landing: Landing, other: Slice) -> None:
    put(landing, "2026-02", {US: (2, None)})
    assert put(landing, "2026-01", {}, other).vintage_at == "2026-01"


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        (("72",), ("73",), False),
        (("72",), ("72", "73"), True),
        ((), ("73",), True),
        (("72*",), ("7208",), True),
        (("7208",), ("72*",), True),
        (("72*",), ("720*",), True),
        (("72*",), ("73*",), False),
        (("72",), ("7208",), False),
    ],
)
def test_older_vintage_is_refused_if_products_overlap(
    landing: Landing, one: tuple[str, ...], two: tuple[str, ...], *, meet: bool
) -> None:
    put(landing, "2026-02", {}, replace(ALL, products=one))
    manifest = stage(landing, "2026-01", {}, replace(ALL, products=two))
    if meet:
        with pytest.raises(BadReplyError, match="older vintage cannot be added"):
            landing.commit(manifest.load_id, DATASET)
    else:
        assert landing.commit(manifest.load_id, DATASET).vintage_at == "2026-01"


@pytest.mark.parametrize(
    ("first_month", "last_month", "meet"),
    [
        ("2024-01", "2025-01", True),
        ("2024-01", "2024-12", False),
        ("2025-12", "", True),
        ("2026-01", "", False),
    ],
)
def test_older_vintage_is_refused_if_months_overlap(
    landing: Landing, first_month: str, last_month: str, *, meet: bool
) -> None:
    put(landing, "2026-02", {}, replace(ALL, first_month="2025-01", last_month="2025-12"))
    manifest = stage(landing, "2026-01", {}, replace(ALL, first_month=first_month, last_month=last_month))
    if meet:
        with pytest.raises(BadReplyError, match="cannot be added after a newer one"):
            landing.commit(manifest.load_id, DATASET)
    else:
        assert landing.commit(manifest.load_id, DATASET).vintage_at == "2026-01"


def test_second_load_of_a_vintage_supersedes_the_first(landing: Landing) -> None:
    put(landing, "2026-01", {US: (1, None), DE: (2, None)}, retrieved="2026-01-02")
    put(landing, "2026-01", {US: (1, None)}, retrieved="2026-01-03")
    assert state(landing) == {US: (1, None)}


def test_earlier_reply_of_a_loaded_vintage_is_refused(landing: Landing) -> None:
    first = stage(landing, "2026-01", {US: (1, None), DE: (2, None)}, retrieved="2026-01-02")
    put(landing, "2026-01", {US: (1, None)}, retrieved="2026-01-03")
    with pytest.raises(BadReplyError, match="retrieved at 2026-01-02") as caught:
        landing.commit(first.load_id, DATASET)
    assert "load it again if another run was quicker" in caught.value.next_step
    assert state(landing) == {US: (1, None)}


# --- interrupted commits ------------------------------------------------------------------------------------------


def crash_at(step: str, patch: pytest.MonkeyPatch) -> None:
    """Make the commit fail at a step."""
    real_changes, real_fsync, real_rmtree = changes_module.write_changes, fsync_directory, shutil.rmtree
    calls: list[Path] = []

    def write_changes(*arguments: Any) -> LoadManifest:
        real_changes(*arguments)
        raise KeyboardInterrupt

    def fsync(directory: Path) -> None:
        calls.append(directory)
        if len(calls) == {"after the links": 1, "after the move": 2}[step]:
            raise KeyboardInterrupt
        real_fsync(directory)

    def no_marker(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    def rmtree(path: Path, *arguments: Any, **options: Any) -> None:
        if ".staging" in str(path):
            raise KeyboardInterrupt
        real_rmtree(path, *arguments, **options)

    def no_link(self: Path, target: Path) -> None:
        if self.name == "findings.parquet":
            raise OSError("no space left")
        os.link(target, self)

    if step == "after the changes":
        patch.setattr(landing_module, "write_changes", write_changes)
    elif step == "between the links":
        patch.setattr(Path, "hardlink_to", no_link)
    elif step in ("after the links", "after the move"):
        patch.setattr(landing_module, "fsync_directory", fsync)
    elif step == "before the marker":
        patch.setattr(landing_module, "write_atomically", no_marker)
    else:
        patch.setattr(shutil, "rmtree", rmtree)


BEFORE_MARKER = ["after the changes", "between the links", "after the links", "after the move", "before the marker"]
History = Callable[[Landing], LoadManifest]


def two_loads(landing: Landing) -> LoadManifest:
    put(landing, "2026-01", {US: (1, None), DE: (2, None)})
    return stage(landing, "2026-02", {US: (9, None), FR: (3, None)})


def one_load(landing: Landing) -> LoadManifest:
    return stage(landing, "2026-02", {US: (9, None), FR: (3, None)})


@pytest.mark.parametrize("history", [one_load, two_loads])
@pytest.mark.parametrize("step", [*BEFORE_MARKER, "behind the marker"])
def test_retried_commit_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: History, step: str
) -> None:
    clean, landing = Landing(tmp_path / "clean"), Landing(tmp_path / "landing")
    clean.commit(history(clean).load_id, DATASET)
    manifest = history(landing)
    before = landing.content_hash()
    with monkeypatch.context() as patch:
        crash_at(step, patch)
        with pytest.raises((KeyboardInterrupt, OSError)):
            landing.commit(manifest.load_id, DATASET)
    if step in BEFORE_MARKER:
        assert landing.content_hash() == before
    # A scheduler repeats the killed step, not the step before it.
    landing.commit(manifest.load_id, DATASET)
    assert landing.content_hash() == clean.content_hash()
    assert state(landing) == state(clean)
    assert list((landing.root / ".staging" / "loads").iterdir()) == []
    assert {path.name for path in (landing.root / "small").iterdir()} == {
        path.name for path in (clean.root / "small").iterdir()
    }


@pytest.mark.parametrize("step", BEFORE_MARKER)
def test_next_commit_cleans_up_after_a_killed_one(landing: Landing, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    manifest = two_loads(landing)
    with monkeypatch.context() as patch:
        crash_at(step, patch)
        with pytest.raises((KeyboardInterrupt, OSError)):
            landing.commit(manifest.load_id, DATASET)
    other = put(landing, "2026-03", {US: (4, None)})
    folders = {path.name for path in (landing.root / "small").iterdir()}
    assert manifest.load_id not in folders
    assert len(folders) == 2
    assert changes(landing, other) == {US: ("revised", 4, None), DE: ("withdrawn", None, None)}


def test_staging_of_killed_runs_is_removed_only_after_a_day(landing: Landing) -> None:
    old, young = landing.start_staging(), landing.start_staging()
    for folder in (old, young):
        (folder / "observations.parquet").write_bytes(b"half")
    day = 24 * 3600
    os.utime(old, (time.time() - day - 60, time.time() - day - 60))
    os.utime(young, (time.time() - day + 600, time.time() - day + 600))
    put(landing, "2026-01", {US: (1, None)})
    assert not old.exists()
    assert young.exists()


def test_commit_of_an_unstaged_load_is_refused(landing: Landing) -> None:
    with pytest.raises(ExtractError, match="no staged load small__x") as caught:
        landing.commit("small__x", DATASET)
    assert caught.value.next_step


def test_folder_without_a_marker_is_ignored(landing: Landing) -> None:
    manifest = put(landing, "2026-01", {US: (1, None)})
    (landing.folder(manifest) / MARKER).unlink()
    assert list(landing.committed()) == []
    assert state(landing) == {}


# --- random histories ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One load of a history."""

    part: Slice
    cells: Cells
    is_new_vintage: bool


PRODUCTS = ("72", "7208", "73")
MONTHS = ("2025-01", "2025-02", "2025-03")
contents = st.one_of(
    st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.sampled_from([None, "p"])),
    st.just((None, "c")),
)


def is_covered(cell: Cell, part: Slice, last: str) -> bool:
    reporter, _, product, period = cell
    wanted = not part.products or any(
        product.startswith(code[:-1]) if code.endswith("*") else product == code for code in part.products
    )
    return part.reporter in ("*", reporter) and wanted and part.first_month <= period <= last


@st.composite
def steps(draw: st.DrawFn) -> Step:
    first = draw(st.sampled_from(MONTHS))
    part = Slice(
        "small",
        draw(st.sampled_from(["NL", "DE"])),
        first,
        draw(st.sampled_from(["", *(month for month in MONTHS if month >= first)])),
        products=draw(st.sampled_from([(), ("72*",), ("73",), ("72", "73")])),
        partners=draw(st.sampled_from([(), (), ("US",)])),
    )
    possible = [
        cell
        for cell in (
            (part.reporter, partner, product, month)
            for partner in (part.partners or ("US", "DE"))
            for product in PRODUCTS
            for month in MONTHS
        )
        if is_covered(cell, part, part.last_month or "9999")
    ]
    return Step(part, draw(st.dictionaries(st.sampled_from(possible), contents, max_size=6)), draw(st.booleans()))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(history=st.lists(steps(), min_size=3, max_size=5))
def test_state_equals_a_replay_of_all_loads(tmp_path_factory: pytest.TempPathFactory, history: list[Step]) -> None:
    landing = Landing(tmp_path_factory.mktemp("history"))
    said: dict[str, dict[Cell, Content]] = {}
    shown: dict[tuple[str, str], set[str]] = {}
    month = 1
    for number, step in enumerate(history):
        month += step.is_new_vintage
        manifest = put(landing, f"2026-{month:02d}", step.cells, step.part, retrieved=f"2026-12-{number:02d}")
        before = said.setdefault(manifest.panel, {})
        # An open slice extends to the newest month of any load.
        own = shown.setdefault((manifest.panel, step.part.reporter), set())
        own |= {cell[3] for cell in step.cells}
        newest = step.part.last_month or max(own, default="")
        gone = [cell for cell in before if is_covered(cell, step.part, newest) and cell not in step.cells]
        new = [cell for cell, content in step.cells.items() if before.get(cell, "absent") != content]
        assert (manifest.rows_changed, manifest.rows_withdrawn) == (len(new), len(gone))
        for cell in gone:
            del before[cell]
        before.update(step.cells)
    for panel, cells in said.items():
        assert state(landing, panel=panel) == cells


# --- periods ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2025MM01", "2025-01-01"),
        ("2025MM12", "2025-12-01"),
        ("2025JJ00", "2025-01-01"),
        ("2025KW01", "2025-01-01"),
        ("2025KW02", "2025-04-01"),
        ("2025KW04", "2025-10-01"),
        ("2025-07", "2025-07-01"),
        ("2025", "2025-01-01"),
        ("202511", "2025-11-01"),
        ("2025MM13", None),
        ("2025-00", None),
        ("x", None),
        (None, None),
    ],
)
def test_month_of_reads_the_periods_of_each_office(period: str | None, expected: str | None) -> None:
    with DATABASE.cursor() as connection:
        ((found,),) = connection.execute(f"select ({month_of('p')})::varchar from (select ? as p)", [period]).fetchall()
    assert found == expected

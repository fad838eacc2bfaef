"""A candidate has one owner and one set of inputs, and its publication records them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from extract.errors import ExtractError
from extract.landing.store import Landing
from extract.politeness import OfficeBusyError
from metaalexport import airflow_tasks, building, candidate, gaps, ingest, published
from metaalexport.dbt import DbtFailedError, run_dbt
from metaalexport.run import Run
from metaalexport.settings import Settings
from publish.duckdb_file import content_hash

from .conftest import PE_FILM, SimulatedOffice

# Builds three times.
pytestmark = [pytest.mark.integration, pytest.mark.long]
CBS, COMEXT = "cbs_85429ned", "eurostat_ds_045409"


def quiet(message: str) -> None:
    """Discard a progress message."""


@pytest.fixture
def settings(simulated: SimulatedOffice, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Yield the office's settings with a short lock wait, and give the DAGs the same settings."""
    settings = replace(simulated.settings, lock_wait_seconds=0.1)
    monkeypatch.setattr(airflow_tasks, "SETTINGS", settings)
    yield settings
    simulated.heal()


@pytest.fixture
def run_task(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Any]:
    """Return a function that runs an Airflow task's function under a given run id."""

    def run(task: Any, run_id: str) -> Any:
        monkeypatch.setattr(airflow_tasks, "get_current_context", lambda: {"run_id": run_id})
        return task.function()

    return run


def load(settings: Settings, dataset: str, run_id: str) -> str:
    """Load the single slice of a dataset, or reinstate its withdrawn load; return the load id."""
    if withdrawn := Landing(settings.landing).withdrawn(dataset):
        return ingest.reinstate_load(Run(settings, run_id), withdrawn[-1].load.load_id).load_id
    (part,) = ingest.plan_loads(Run(settings), dataset)
    manifest = ingest.load_slice(Run(settings, run_id, quiet), part, again=True)
    assert manifest is not None
    return manifest.load_id


def marts_hash(settings: Settings) -> str:
    """Return the content hash of the candidate's marts."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return content_hash(connection)


def test_a_load_committed_while_dbt_builds_does_not_change_the_candidate(
    simulated: SimulatedOffice, settings: Settings
) -> None:
    building.prepare_candidate(Run(settings, "undisturbed"))
    run_dbt(settings, ["build", "--exclude-resource-type", "test", "unit_test"])
    undisturbed = marts_hash(settings)

    simulated.release(12)
    (part,) = ingest.plan_loads(Run(settings), COMEXT)
    fetched = ingest.fetch_load(Run(settings, "meanwhile", quiet), part)
    assert fetched is not None
    run = Run(settings, "meanwhile", quiet)
    staged = ingest.gate_load(run, ingest.stage_load(run, fetched))
    building.prepare_candidate(Run(settings, "disturbed"))
    log = settings.dbt / "logs" / "dbt.log"

    def tables_built() -> int:
        return log.read_text(encoding="utf-8").count("OK created sql table model intermediate.")

    before, committed = tables_built(), []

    def commit_between_two_tables() -> None:
        while tables_built() == before:
            time.sleep(0.01)
        ingest.commit_load(Run(settings, "meanwhile", quiet), staged)
        committed.append(tables_built() - before)

    thread = threading.Thread(target=commit_between_two_tables, daemon=True)
    thread.start()
    run_dbt(settings, ["build", "--exclude-resource-type", "test", "unit_test"])
    thread.join(timeout=60)
    (when,) = committed
    assert 0 < when < tables_built() - before
    building.test_candidate(Run(settings, "disturbed", quiet))
    assert marts_hash(settings) == undisturbed
    ingest.withdraw_load(Run(settings, "test", quiet), staged, "only for this test")


def test_a_second_build_takes_the_candidate_and_the_first_reports_it(
    settings: Settings, run_task: Callable[[Any, str], Any]
) -> None:
    building.prepare_candidate(Run(settings, "scheduled__first"))
    building.prepare_candidate(Run(settings, "cli__second"))
    before = published.publish_id(settings)
    for name in ("test_candidate", "gate_candidate", "record_operations", "publish"):
        with pytest.raises(ExtractError, match="cli__second began another candidate") as caught:
            run_task(getattr(airflow_tasks, name), "scheduled__first")
        assert caught.value.next_step
    assert published.publish_id(settings) == before


def test_other_commands_wait_for_a_running_build(settings: Settings) -> None:
    (load_id, *_) = [each.load_id for each in Landing(settings.landing).committed(CBS)]
    inside, leave = threading.Event(), threading.Event()

    def build() -> None:
        with candidate.hold_candidate(Run(settings, progress=quiet)):
            # The lock is reentrant for its holder.
            building.prepare_candidate(Run(settings, "slow", quiet))
            inside.set()
            leave.wait(60)

    said: list[str] = []
    thread = threading.Thread(target=build)
    thread.start()
    assert inside.wait(60)
    with pytest.raises(OfficeBusyError, match="another run holds the candidate"):
        ingest.withdraw_load(Run(settings, "test", said.append), load_id, "not now")
    with pytest.raises(OfficeBusyError):
        building.prepare_candidate(Run(settings, "impatient", said.append))
    leave.set()
    thread.join()
    assert said == ["waiting: another run holds the candidate"] * 2
    assert Landing(settings.landing).is_committed(load_id)


def test_withdrawing_a_load_invalidates_the_candidate_built_from_it(
    settings: Settings, run_task: Callable[[Any, str], Any]
) -> None:
    load_id = load(settings, COMEXT, "withdrawn")
    building.prepare_candidate(Run(settings, "withdrawn"))
    ingest.withdraw_load(Run(settings, "withdrawn", quiet), load_id, "wrong after all")
    with pytest.raises(ExtractError, match=f"{load_id}, withdrawn since") as caught:
        run_task(airflow_tasks.gate_candidate, "withdrawn")
    assert caught.value.next_step.startswith("`metaalexport build`")
    with pytest.raises(ExtractError, match="withdrawn since"):
        building.test_candidate(Run(settings, "cli", quiet))


def test_a_build_of_the_published_inputs_is_skipped(
    settings: Settings, run_task: Callable[[Any, str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(building, "run_dbt", lambda *_: None)

    def is_skipped() -> bool:
        try:
            run_task(airflow_tasks.build_candidate, "again")
        except AirflowSkipException:
            return True
        return False

    before = published.query(settings, "select publish_id, inputs_sha256 from ops.publication").rows
    assert is_skipped()
    assert before[0][1] == candidate.inputs_hash(settings)
    assert is_skipped()

    # Each of these changes what would be built.
    load_id = load(settings, COMEXT, "again")
    assert not is_skipped()
    ingest.withdraw_load(Run(settings, "test", quiet), load_id, "only for this test")
    assert is_skipped()
    other = replace(settings, user_scopes=PE_FILM)
    monkeypatch.setattr(airflow_tasks, "SETTINGS", other)
    assert not is_skipped()
    monkeypatch.setattr(airflow_tasks, "SETTINGS", settings)
    assert is_skipped()
    project = tmp_path / "dbt_project"
    project.mkdir()
    (project / "model.sql").write_text("select 1", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(candidate, "DBT_PROJECT", project)
        assert not is_skipped()
    assert is_skipped()

    # A published file that differs from its record is built again.
    log = settings.published.with_name(f"{settings.published.name}.wal")
    log.write_bytes(b"of a program that wrote")
    assert not is_skipped()
    assert not log.exists()
    assert is_skipped()
    assert published.query(settings, "select publish_id, inputs_sha256 from ops.publication").rows == before


def test_a_failed_model_excludes_the_new_load_it_depends_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_id = load(settings, COMEXT, "failing")
    model = "model.metaalexport.stg_comext_sitc"
    failures = [DbtFailedError("dbt build failed", {model: "Conversion Error: nan"})]

    def run_dbt_that_fails_once(used: Settings, arguments: list[str]) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(building, "run_dbt", run_dbt_that_fails_once)
    # The model depends on one dataset.
    monkeypatch.setattr(building, "datasets_behind", lambda *_: {COMEXT})
    said: list[str] = []
    building.build_candidate(Run(settings, "failing", said.append))
    assert said == [f"dbt stopped {load_id}; building again without"]
    (held,) = gaps.read_held(settings)
    assert (held["load_id"], held["problem"]) == (load_id, "dbt's model stg_comext_sitc failed")
    assert held["found"] == "Conversion Error: nan"

    # A model that depends on all datasets blames none; the error names the new loads.
    monkeypatch.setattr(building, "datasets_behind", lambda *_: {CBS, COMEXT})
    failures.append(DbtFailedError("dbt build failed", {"model.metaalexport.int_export_cells": "Conversion Error"}))
    with pytest.raises(DbtFailedError, match=f"loads since what is published: {load_id}"):
        building.build_candidate(Run(settings, "failing"))
    ingest.withdraw_load(Run(settings, "test", quiet), load_id, "only for this test")

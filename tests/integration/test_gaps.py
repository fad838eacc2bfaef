"""The slice is the unit of failure: what passed is published, what did not is named, and nothing waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from extract.errors import TransientOfficeError
from extract.landing.store import Landing
from metaalexport import building, gaps, gates, ingest, published, reference
from metaalexport.journal import Journal
from metaalexport.run import Run
from metaalexport.settings import Settings
from tests.states import build_and_publish

from .conftest import SimulatedOffice

# Builds seven times: some two minutes.
pytestmark = [pytest.mark.integration, pytest.mark.long]
CBS, COMEXT = "cbs_85429ned", "eurostat_ds_045409"


def quiet(message: str) -> None:
    """Say nothing."""


def load(office: SimulatedOffice, dataset: str, run_id: str) -> None:
    """Load all slices of a dataset."""
    for part in ingest.plan_loads(Run(office.settings), dataset):
        ingest.load_slice(Run(office.settings, run_id, quiet), part)


def states(office: SimulatedOffice) -> dict[str, gaps.SliceState]:
    """Return the state of each slice by dataset."""
    return {state.dataset_code: state for state in gaps.read_slices(office.settings)}


@pytest.fixture
def newer(simulated: SimulatedOffice) -> Iterator[SimulatedOffice]:
    """The offices have published release 12."""
    simulated.release(12)
    yield simulated
    simulated.heal()


def test_a_dataset_that_is_stopped_leaves_the_others_to_be_published(newer: SimulatedOffice) -> None:
    settings = newer.settings
    newer.fault(match="/data/DS-045409", kind="negative_value")
    with pytest.raises(gates.GateFailedError):
        load(newer, COMEXT, "stopped")
    load(newer, CBS, "stopped")
    build_and_publish(settings, "stopped")
    state = states(newer)[COMEXT]
    assert (state.state, state.step) == (gaps.BEHIND, "gate_landing")
    assert [line.split(":")[0].strip() for line in state.lines] == [
        f"{COMEXT} NL stays at the release of {str(state.vintage_at)[:10]}",
        "found",
        "next",
    ]
    assert "values_are_not_negative" in state.lines[0]
    assert "metaalexport regate eurostat_ds_045409__nl__" in state.lines[2]
    rows = published.query(settings, "select dataset_code, state, problem, next_step from ops.slices order by 1").rows
    assert [row[:2] for row in rows] == [(CBS, "loaded"), (COMEXT, "behind")]
    assert rows[1][2:] == (state.problem, state.next_step)
    # What was published of it before is still there.
    assert published.query(settings, "select count(*) from marts.fct_exports where source_code = 'EUROSTAT'").rows[0][0]


def test_stored_replies_are_judged_again_only_when_the_rules_changed(
    newer: SimulatedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = newer.settings
    newer.fault(match="/data/DS-045409", kind="negative_value")
    (part,) = ingest.plan_loads(Run(settings), COMEXT)
    newer.clear_log()
    with pytest.raises(gates.GateFailedError):
        ingest.load_slice(Run(settings, "by_the_same_rules", quiet), part)
    assert newer.data_requests() > 0, "the office may have mended its reply"
    monkeypatch.setattr(reference, "rules_hash", lambda: "other rules")
    newer.clear_log()
    with pytest.raises(gates.GateFailedError, match="values_are_not_negative"):
        ingest.load_slice(Run(settings, "by_other_rules", quiet), part)
    assert newer.data_requests() == 0
    # Asked for it, the office is asked again.
    newer.heal()
    assert ingest.fetch_load(Run(settings, "again", quiet), part, again=True) is not None
    assert newer.data_requests() > 0


def test_a_person_can_accept_what_a_load_breaks_and_the_reason_is_kept(newer: SimulatedOffice) -> None:
    settings = newer.settings
    (load_id,) = ingest.stopped_loads(settings, [COMEXT])
    with pytest.raises(gates.GateFailedError):
        ingest.regate_load(Run(settings, "as_it_is", quiet), load_id)
    why = "a correction that Eurostat announced"
    newer.clear_log()
    manifest = ingest.regate_load(
        Run(settings, "accepted", quiet), load_id, accept=["values_are_not_negative", "level_is_as_before"], reason=why
    )
    assert newer.data_requests() == 0
    assert manifest.load_id == load_id
    assert Landing(settings.landing).is_committed(load_id)
    assert ingest.stopped_loads(settings) == []
    (check,) = [
        row
        for row in Journal(settings.journal).read("checks")
        if row["run_id"] == "accepted" and row["check_name"] == "values_are_not_negative"
    ]
    assert (check["is_passed"], check["severity"]) == (False, "warn")
    assert why in check["message"]
    ingest.withdraw_load(Run(settings, "test"), load_id, "not a correction after all")


def test_gate_2_leaves_out_the_loads_that_it_can_blame_and_publishes_the_rest(newer: SimulatedOffice) -> None:
    settings = newer.settings
    part = ingest.plan_loads(Run(settings), COMEXT)[0]
    load_of_now = ingest.load_slice(Run(settings, "held", quiet), part, again=True)
    assert load_of_now is not None
    building.build_candidate(Run(settings, "held"))
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            "update marts.rpt_destination_shares set total_eur = 1.3 * total_eur"
            " where source_code = 'EUROSTAT' and month = '2025-06-01'"
        )
    building.gate_candidate(Run(settings, "held", quiet))
    building.record_operations(Run(settings, "held"))
    building.publish_candidate(Run(settings, "held", quiet))
    state = states(newer)[COMEXT]
    assert (state.state, state.load_id) == (gaps.HELD, load_of_now.load_id)
    assert "totals_move_little" in state.problem
    loads = {row[0] for row in published.query(settings, "select load_id from ops.loads").rows}
    assert load_of_now.load_id not in loads
    assert any(load_id.startswith(CBS) for load_id in loads)
    # The next build tries it again.
    build_and_publish(settings, "tried_again")
    assert states(newer)[COMEXT].state == gaps.LOADED


def test_a_dataset_that_fails_dbts_tests_is_left_out_and_the_rest_is_published(newer: SimulatedOffice) -> None:
    settings = newer.settings
    newer.release(13)
    for dataset in (CBS, COMEXT):
        load(newer, dataset, "doubled")
    cbs = next(load for load in Landing(settings.landing).committed(CBS) if load.load_id == states(newer)[CBS].load_id)
    codes = Landing(settings.landing).folder(cbs) / "codes.parquet"
    kept = codes.read_bytes()
    with duckdb.connect() as connection:
        doubled = f"from '{codes}' union all from '{codes}' where dimension = 'Landen'"
        connection.execute(f"copy ({doubled}) to '{codes}.new' (format parquet)")
    codes.with_name("codes.parquet.new").replace(codes)
    try:
        build_and_publish(settings, "doubled")
        state = states(newer)[CBS]
        assert (state.state, state.load_id) == (gaps.HELD, cbs.load_id)
        assert "unique_combination_stg_landing__partners" in state.problem
        assert states(newer)[COMEXT].state == gaps.LOADED
    finally:
        codes.write_bytes(kept)


def test_an_office_that_stays_away_is_asked_once_for_each_further_dataset(tmp_path: Path) -> None:
    # Nothing listens on the discard port.
    away = dict.fromkeys(("cbs", "eurostat"), "http://127.0.0.1:9")
    settings = Settings("live", tmp_path / "live", http_attempts=3, http_base_seconds=0.01, overrides=away)

    def tries(dataset: str, run_id: str) -> int:
        (part, *_) = ingest.plan_loads(Run(settings), dataset)
        with pytest.raises(TransientOfficeError) as caught:
            ingest.fetch_load(Run(settings, run_id, quiet), part)
        assert "check that this machine reaches the office" in caught.value.next_step
        records = [json.loads(text) for path in settings.raw.glob("requests/*/*.json") if (text := path.read_text())]
        return sum(record["dataset"] == dataset for record in records)

    # The first table is tried in OData v3 as well.
    assert [tries(dataset, "one") for dataset in (CBS, "cbs_81234ned", COMEXT)] == [6, 1, 3]
    assert tries("cbs_85770ned", "another run") == 3
    assert [state.state for state in gaps.read_gaps(settings) if state.dataset_code == CBS] == [gaps.MISSING]

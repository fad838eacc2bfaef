"""The slice is the unit of failure: slices that pass are published, and a failed slice is reported but blocks none."""

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

# Six builds, about two minutes.
pytestmark = [pytest.mark.integration, pytest.mark.long]
CBS, COMEXT = "cbs_85429ned", "eurostat_ds_045409"


def quiet(message: str) -> None:
    """Discard a progress message."""


def load(office: SimulatedOffice, dataset: str, run_id: str) -> None:
    """Load all slices of a dataset."""
    for part in ingest.plan_loads(Run(office.settings), dataset):
        ingest.load_slice(Run(office.settings, run_id, quiet), part)


def states(office: SimulatedOffice) -> dict[str, gaps.SliceState]:
    """Return the state of each slice by dataset."""
    return {state.dataset_code: state for state in gaps.read_slices(office.settings)}


@pytest.fixture
def newer(simulated: SimulatedOffice) -> Iterator[SimulatedOffice]:
    """Yield the offices after they have published release 12."""
    simulated.release(12)
    yield simulated
    simulated.heal()


def test_a_stopped_dataset_does_not_block_the_others(newer: SimulatedOffice) -> None:
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
    # The rows published before are still there.
    assert published.query(settings, "select count(*) from marts.fct_exports where source_code = 'EUROSTAT'").rows[0][0]


def test_stored_replies_are_gated_again_only_after_the_rules_changed(
    newer: SimulatedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = newer.settings
    newer.fault(match="/data/DS-045409", kind="negative_value")
    (part,) = ingest.plan_loads(Run(settings), COMEXT)
    newer.clear_log()
    with pytest.raises(gates.GateFailedError):
        ingest.load_slice(Run(settings, "by_the_same_rules", quiet), part)
    assert newer.data_requests() > 0, "the rules have not changed, so the data must be requested again"
    monkeypatch.setattr(reference, "rules_hash", lambda: "other rules")
    newer.clear_log()
    with pytest.raises(gates.GateFailedError, match="values_are_not_negative"):
        ingest.load_slice(Run(settings, "by_other_rules", quiet), part)
    assert newer.data_requests() == 0
    # `again` requests the data from the office again.
    newer.heal()
    assert ingest.fetch_load(Run(settings, "again", quiet), part, again=True) is not None
    assert newer.data_requests() > 0


def test_regate_accepts_failed_checks_and_records_the_reason(newer: SimulatedOffice) -> None:
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


def test_the_publish_gate_holds_the_loads_it_blames_and_publishes_the_rest(newer: SimulatedOffice) -> None:
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


def test_a_dataset_that_fails_dbt_tests_is_held_and_the_rest_is_published(newer: SimulatedOffice) -> None:
    settings = newer.settings
    newer.release(13)
    load(newer, CBS, "doubled")
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
        # This build includes the load that the previous test's gate held.
        assert states(newer)[COMEXT].state == gaps.LOADED
    finally:
        codes.write_bytes(kept)


def test_an_unreachable_office_gets_one_request_for_each_further_dataset(tmp_path: Path) -> None:
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

    # The first table is also requested through OData v3.
    assert [tries(dataset, "one") for dataset in (CBS, "cbs_81234ned", COMEXT)] == [6, 1, 3]
    assert tries("cbs_85770ned", "another run") == 3
    assert [state.state for state in gaps.read_gaps(settings) if state.dataset_code == CBS] == [gaps.MISSING]

"""Broken replies of the simulated offices: the landing gate names the broken check, and the next good load passes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pytest

import expectations
from expectations.gate import Check, build_data_docs, rows_check, run_gate
from extract.errors import ExtractError
from extract.landing.store import Landing
from metaalexport import building, gates, health, ingest, published
from metaalexport.dbt import DbtFailedError, run_dbt
from metaalexport.journal import Journal
from metaalexport.run import Run
from tests.states import build_and_publish, load_all

from .conftest import SimulatedOffice, file_hash

pytestmark = [pytest.mark.integration, pytest.mark.long]

# A separate process that opens, reads and closes the file in a loop until it receives a line on stdin.
READER = """
import json, sys, threading, time
import duckdb
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
seen = {"reads": 0, "errors": [], "publish_ids": [], "largest_deviation": 0.0}
while True:
    last = stop.is_set()
    try:
        with duckdb.connect(sys.argv[1], read_only=True, config={"threads": "1"}) as connection:
            publish_id, = connection.sql("select publish_id from ops.publication").fetchone()
            deviation, = connection.sql(
                "select max(abs(s - 1)) from (select sum(share) as s from marts.rpt_destination_shares"
                " where is_complete group by source_code, concept_code, scope_code, reporter_code, month)"
            ).fetchone()
        seen["reads"] += 1
        seen["largest_deviation"] = max(seen["largest_deviation"], deviation)
        if publish_id not in seen["publish_ids"]:
            seen["publish_ids"].append(publish_id)
    except Exception as error:
        seen["errors"].append(str(error))
    if last:
        break
    time.sleep(0.2)
print(json.dumps(seen))
"""

# The client requests OData v3 where v4 has no data.
CBS, COMEXT = "/Observations\\?|/TypedDataSet", "/data/DS-045409"
BROKEN = {
    "cbs_unit": ("cbs_85429ned", {"match": "/MeasureCodes", "kind": "unit"}, "contract_is_kept"),
    "comext_unit": ("eurostat_ds_045409", {"match": COMEXT, "kind": "unit"}, "measures_are_present"),
    "cbs_duplicate": ("cbs_85429ned", {"match": CBS, "kind": "duplicate_key"}, "key_is_unique|counts"),
    "comext_duplicate": ("eurostat_ds_045409", {"match": COMEXT, "kind": "duplicate_key"}, "key_is_unique"),
    "cbs_missing": ("cbs_85429ned", {"match": CBS, "kind": "missing_partners"}, "total_is_explained_by_members|counts"),
    "comext_missing": (
        "eurostat_ds_045409",
        {"match": COMEXT, "kind": "missing_partners"},
        "total_is_explained_by_members",
    ),
    "cbs_negative": ("cbs_85429ned", {"match": CBS, "kind": "negative_value"}, "values_are_not_negative"),
    "comext_negative": ("eurostat_ds_045409", {"match": COMEXT, "kind": "negative_value"}, "values_are_not_negative"),
    "cbs_html": ("cbs_85429ned", {"match": CBS, "kind": "html_200"}, "HTML page instead of data"),
    "comext_html": ("eurostat_ds_045409", {"match": COMEXT, "kind": "html_200"}, "HTML page instead of data"),
    "comext_total": ("eurostat_ds_045409", {"match": COMEXT, "kind": "wrong_total"}, "total"),
}


@pytest.fixture
def next_release(simulated: SimulatedOffice) -> Iterator[SimulatedOffice]:
    """Yield the offices after they have published release 12, which is not loaded yet."""
    simulated.release(12)
    yield simulated
    simulated.heal()


def load_dataset(office: SimulatedOffice, dataset: str, run_id: str) -> list[Any]:
    """Load all slices of one dataset."""
    parts = ingest.plan_loads(Run(office.settings), dataset)
    assert parts
    return [ingest.load_slice(Run(office.settings, run_id, lambda message: None), part) for part in parts]


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_load_stops_at_the_landing_gate_and_leaves_the_published_file_unchanged(
    next_release: SimulatedOffice, case: str
) -> None:
    dataset, fault, named = BROKEN[case]
    settings = next_release.settings
    before = file_hash(settings.published)
    loads = len(list((settings.landing / dataset).glob("*__*")))
    next_release.fault(**fault)
    with pytest.raises((gates.GateFailedError, ExtractError), match=named) as caught:
        load_dataset(next_release, dataset, case)
    assert dataset in str(caught.value)
    assert file_hash(settings.published) == before
    assert len(list((settings.landing / dataset).glob("*__*"))) == loads
    recorded = [row for row in Journal(settings.journal).read("checks") if row["run_id"] == case]
    assert any(not row["is_passed"] and row["severity"] == "error" for row in recorded)


def test_a_load_committed_by_another_run_is_not_an_error(simulated: SimulatedOffice) -> None:
    said: list[str] = []
    load_id = next(iter(Landing(simulated.settings.landing).committed())).load_id
    assert ingest.gate_load(Run(simulated.settings, "late", said.append), load_id) == load_id
    assert said == []
    assert ingest.commit_load(Run(simulated.settings, "late", said.append), load_id)["load_id"] == load_id
    assert said == [f"{load_id} is loaded already"]


def test_the_next_good_load_publishes_the_new_release_without_disturbing_a_reader(
    next_release: SimulatedOffice,
) -> None:
    settings = next_release.settings
    newest = published.query(settings, "select max(month) from marts.rpt_destination_shares where is_complete").rows
    next_release.fault(match=COMEXT, kind="negative_value")
    with pytest.raises(gates.GateFailedError):
        load_dataset(next_release, "eurostat_ds_045409", "bad")
    next_release.heal()
    assert all(load is not None for load in load_all(settings, "good"))
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(settings.published)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    build_and_publish(settings, "good")
    out, _ = reader.communicate("stop\n", timeout=60)
    seen = json.loads(out)
    assert seen["errors"] == []
    assert seen["reads"] > 20
    assert seen["largest_deviation"] < 1e-9
    assert len(seen["publish_ids"]) == 2, "the reader did not see both the old and the new publication"
    healed = published.query(settings, "select max(month) from marts.rpt_destination_shares where is_complete").rows
    assert healed[0][0] > newest[0][0]
    failed = published.query(settings, "select count(*) from ops.checks where run_id = 'bad' and not is_passed").rows
    assert failed[0][0] >= 1


def test_dbt_unit_tests_pass(simulated: SimulatedOffice) -> None:
    run_dbt(simulated.settings, ["test", "--select", "test_type:unit"])
    results = json.loads((simulated.settings.dbt / "target" / "run_results.json").read_text(encoding="utf-8"))[
        "results"
    ]
    assert len(results) >= 27
    assert {result["status"] for result in results} == {"pass"}


def test_unchanged_release_downloads_nothing(simulated: SimulatedOffice) -> None:
    load_all(simulated.settings, "catch_up")
    simulated.clear_log()
    assert set(load_all(simulated.settings, "again")) == {None}
    assert simulated.data_requests() == 0


def test_a_live_profile_rejects_simulated_loads(simulated: SimulatedOffice) -> None:
    real = replace(simulated.settings, profile="live")
    with pytest.raises(gates.GateFailedError, match="one_kind_of_data"):
        building.gate_candidate(Run(real, "mixed", lambda message: None))


def test_totals_that_jump_are_not_published_unless_the_revision_is_accepted(simulated: SimulatedOffice) -> None:
    settings = simulated.settings
    as_built = settings.warehouse.read_bytes()
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            "update marts.rpt_destination_shares set total_eur = 1.3 * total_eur"
            " where source_code = 'EUROSTAT' and month = '2025-06-01'"
        )
    try:
        with pytest.raises(gates.GateFailedError, match="totals_move_little") as caught:
            building.gate_candidate(Run(settings, "jumped", lambda message: None))
        assert [check.check_name for check in caught.value.failed] == ["totals_move_little"]

        def accept(vintage: str, month: str) -> None:
            with duckdb.connect(str(settings.warehouse)) as connection:
                connection.execute("delete from reference.accepted_revisions")
                connection.execute(
                    "insert into reference.accepted_revisions select 'EUROSTAT', 'NL', ?, ?,"
                    f" ({vintage})::date, 'a late declaration', 'note of the office'"
                    " from marts.rpt_destination_shares where source_code = 'EUROSTAT'",
                    [month, month],
                )

        for vintage, month in (("max(vintage_at)", "2025-05-01"), ("max(vintage_at) - interval 1 day", "2025-06-01")):
            accept(vintage, month)
            with pytest.raises(gates.GateFailedError, match="totals_move_little"):
                building.gate_candidate(Run(settings, "accepted_another", lambda message: None))
        accept("max(vintage_at)", "2025-06-01")
        building.gate_candidate(Run(settings, "accepted", lambda message: None))
    finally:
        settings.warehouse.write_bytes(as_built)


def test_a_modified_published_file_is_not_compared_with_and_the_next_publish_restores_it(
    simulated: SimulatedOffice,
) -> None:
    settings = simulated.settings
    content = published.query(settings, "select content_sha256 from ops.publication").rows
    settings.published.chmod(0o644)
    with duckdb.connect(str(settings.published)) as connection:
        connection.execute("delete from marts.rpt_destination_shares")
    assert next(finding.name for finding in health.examine(settings)) == "published_file_was_changed"
    building.gate_candidate(Run(settings, "changed", lambda message: None))
    warned = [
        row["check_name"]
        for row in Journal(settings.journal).read("checks")
        if row["run_id"] == "changed" and not row["is_passed"]
    ]
    assert "published_file_is_as_published" in warned
    building.publish_candidate(Run(settings, "healed", lambda message: None))
    assert published.query(settings, "select content_sha256 from ops.publication").rows == content


def test_a_candidate_that_loses_months_is_not_published(simulated: SimulatedOffice) -> None:
    settings = simulated.settings
    before = file_hash(settings.published)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("update marts.rpt_destination_shares set is_complete = false where month = '2025-06-01'")
    with pytest.raises(gates.GateFailedError, match="published_months_stay"):
        building.gate_candidate(Run(settings, "shrunk", lambda message: None))
    assert file_hash(settings.published) == before


def _gate_one_after_another(folder: str, worker: int) -> list[bool]:
    """Run four gates as a scheduler's task does, and render the docs; return whether each gate passed."""
    found = []
    for turn in range(4):
        own = Path(folder) / f"{worker}-{turn}"
        own.mkdir()
        with duckdb.connect(str(own / "gate.duckdb")) as connection:
            connection.execute(f"create table figures as select range as value from range({worker + 1})")
        (result,) = run_gate(
            own / "gate.duckdb",
            [Check("counts", "figures", "error", "Counts.", "ExpectTableRowCountToEqual", {"value": worker + 1})],
            gate="landing",
            subject=f"load-{worker}-{turn}",
            run_id=f"run-{worker}",
            checked_at="2026-11-25T00:00:00Z",
            gx_dir=Path(folder) / "gx",
        )
        found.append(result.is_passed)
    build_data_docs(Path(folder) / "gx")
    return found


def test_gates_run_concurrently(tmp_path: Path) -> None:
    with ProcessPoolExecutor(max_workers=3, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_gate_one_after_another, [str(tmp_path)] * 3, range(3)))
    assert found == [[True] * 4] * 3
    validations = list((tmp_path / "gx" / "gx" / "uncommitted" / "validations").rglob("*.json"))
    assert len(validations) == 12
    pages = list((tmp_path / "gx" / "gx" / "uncommitted" / "data_docs").rglob("run-*/**/*.html"))
    assert len(pages) == 12


def test_a_message_shows_the_same_rows_for_any_row_order_of_the_table(tmp_path: Path) -> None:
    def found(order: str) -> list[str]:
        folder = tmp_path / order
        folder.mkdir()
        with duckdb.connect(str(folder / "gate.duckdb")) as connection:
            connection.execute(
                f"create table figures as select range as value, range // 10 as cell from range(5000) order by {order}"
            )
        checks = [
            rows_check("each", "figures", "error", "None.", "select * from {batch} where value > 100"),
            rows_check("groups", "figures", "error", "None.", "select cell, count(*) as n from {batch} group by cell"),
            rows_check("largest", "figures", "error", "None.", "select value from {batch}", order="value desc"),
        ]
        labels = {"gate": "landing", "subject": "load", "run_id": order, "checked_at": "2026-11-25T00:00:00Z"}
        return [each.observed for each in run_gate(folder / "gate.duckdb", checks, gx_dir=tmp_path / "gx", **labels)]

    in_order = found("value")
    assert in_order == found("hash(value)")
    assert in_order[2].endswith("[{'value': 4999}, {'value': 4998}, {'value': 4997}]")


def test_every_query_of_a_suite_orders_its_rows() -> None:
    folder = Path(expectations.__file__).parent
    assert [
        path.name
        for path in folder.rglob("*.py")
        if path.name != "gate.py" and "UnexpectedRowsExpectation" in path.read_text(encoding="utf-8")
    ] == []


def test_tests_of_an_unbuilt_candidate_blame_no_load_and_report_it_once(
    simulated: SimulatedOffice, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = simulated.settings
    # This must stay the last test of the module: it leaves an empty candidate.
    building.prepare_candidate(Run(settings, "half"))
    with pytest.raises(DbtFailedError) as caught:
        building.test_candidate(Run(settings, "half", lambda message: None))
    assert caught.value.failed == {}
    assert "`metaalexport build` makes the candidate again" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 40
    assert len(capfd.readouterr().out.splitlines()) < 40

"""`metaalexport up`: assets trigger the real scheduler, and the UI shows DAGs, assets and tasks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, sync_playwright

from tests.integration.airflow_here import DAG_IDS, REPLY_SECONDS, Airflow, running_airflow

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
STARTED = {"queued", "running", "success"}
SCREENSHOTS = Path(os.environ.get("METAALEXPORT_SCREENSHOTS", ""))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """Start Airflow with four datasets."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; make test-browser installs it")
    datasets = "cbs_85427ned,cbs_85429ned,eurostat_ds_045409,eurostat_comext_bulk"
    with running_airflow(tmp_path_factory.mktemp("up"), {"METAALEXPORT_DATASETS": datasets}) as running:
        yield running


@pytest.fixture(scope="module")
def built(airflow: Airflow) -> dict[str, Any]:
    """Wait for the first successful build: the ingest DAGs start by themselves, and a load triggers the build."""

    def finished_build() -> Any:
        runs = airflow.get("dags/build_warehouse/dagRuns", order_by="-start_date")["dag_runs"]
        failed = [run for run in runs if run["state"] == "failed"]
        assert not failed, failed
        return next((run for run in runs if run["state"] == "success"), None)

    run: dict[str, Any] = airflow.wait("a build that the assets started", finished_build, 600)
    return run


@pytest.mark.timeout(900)
def test_committed_loads_start_the_build_which_publishes(airflow: Airflow, built: dict[str, Any]) -> None:
    assert built["run_type"] == "asset_triggered"
    assert airflow.published.exists()
    states = airflow.get(f"dags/build_warehouse/dagRuns/{built['dag_run_id']}/taskInstances")["task_instances"]
    by_task = {task["task_id"]: task["state"] for task in states}
    # Only `serve` is skipped: no PostgreSQL server is configured.
    assert by_task.pop("serve") == "skipped"
    assert set(by_task) > {"build_candidate", "test_candidate", "gate_candidate", "publish", "report"}
    assert set(by_task.values()) == {"success"}


@pytest.mark.timeout(200)
def test_ui_shows_dags_assets_and_tasks(airflow: Airflow, built: dict[str, Any], tmp_path: Path) -> None:
    folder = SCREENSHOTS if SCREENSHOTS.name else tmp_path
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 1100})
        page.set_default_timeout(90_000)
        page.goto(f"{airflow.url}/dags")
        for dag_id in sorted(DAG_IDS):
            page.get_by_text(dag_id, exact=True).first.wait_for()
        page.screenshot(path=str(folder / "airflow-dags.png"))
        page.goto(f"{airflow.url}/assets")
        for asset in ("landing_cbs_85429ned", "landing_eurostat_ds_045409"):
            page.get_by_text(asset, exact=True).first.wait_for()
        page.screenshot(path=str(folder / "airflow-assets.png"))
        page.goto(f"{airflow.url}/dags/build_warehouse/tasks")
        for task in ("build_candidate", "gate_candidate", "publish"):
            page.get_by_text(re.compile(task)).first.wait_for()
        page.screenshot(path=str(folder / "airflow-tasks.png"))
        browser.close()


@contextmanager
def opened(airflow: Airflow, dag_id: str) -> Iterator[Page]:
    """Open the trigger form of a DAG in a browser."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.set_default_timeout(90_000)
        page.goto(f"{airflow.url}/dags/{dag_id}")
        page.get_by_role("button", name="Trigger").first.click()
        page.get_by_text(f"Trigger Dag - {dag_id}").wait_for()
        yield page
        browser.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_every_dag_starts_from_its_unchanged_form(airflow: Airflow, built: dict[str, Any], dag_id: str) -> None:
    with opened(airflow, dag_id) as page:
        # Playwright waits until the button is enabled; an empty required field would disable it.
        page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
        (run,) = airflow.wait("a run by hand", lambda: runs_of(airflow, dag_id, "manual"), 60)
    assert run["state"] in STARTED


@pytest.mark.timeout(300)
def test_a_backfill_starts_from_its_form(airflow: Airflow, built: dict[str, Any]) -> None:
    with opened(airflow, "ingest_cbs") as page:
        page.get_by_text("Backfill", exact=True).last.click()
        for day in ("2025/07/05", "2025/07/06"):
            page.get_by_text("Select date and time").first.click()
            page.get_by_placeholder("YYYY/MM/DD").locator("visible=true").fill(day)
            page.get_by_placeholder("HH:mm").locator("visible=true").fill("00:00")
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Run Backfill").click()
        runs = airflow.wait("a run of the backfill", lambda: runs_of(airflow, "ingest_cbs", "backfill"), 60)
    assert {run["logical_date"][:10] for run in runs} == {"2025-07-05"}
    assert {run["state"] for run in runs} <= STARTED


def runs_of(airflow: Airflow, dag_id: str, kind: str) -> list[Any]:
    """Return the runs of a DAG with the run type `kind`."""
    return [run for run in airflow.get(f"dags/{dag_id}/dagRuns")["dag_runs"] if run["run_type"] == kind]


@pytest.mark.parametrize(
    "headers",
    [
        # DNS rebinding to the loopback, and pages of other origins, including another port of this machine.
        {"Host": "evil.example:8080"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
    ],
    ids=str,
)
def test_requests_from_other_sites_are_forbidden(airflow: Airflow, headers: dict[str, str]) -> None:
    variable = {"key": "planted", "value": "x"}
    asked = [
        requests.get(f"{airflow.url}/api/v2/connections", headers=headers, timeout=REPLY_SECONDS),
        requests.get(f"{airflow.url}/auth/token", headers=headers, timeout=REPLY_SECONDS),
        requests.get(f"{airflow.url}/dags", headers=headers, timeout=REPLY_SECONDS),
        requests.post(f"{airflow.url}/execution/task-instances/x/run", headers=headers, timeout=REPLY_SECONDS),
        requests.post(f"{airflow.url}/api/v2/variables", json=variable, headers=headers, timeout=REPLY_SECONDS),
    ]
    assert [reply.status_code for reply in asked] == [403] * len(asked)


def test_ui_denies_foreign_frames_and_warns_that_it_has_no_login(airflow: Airflow) -> None:
    reply = requests.get(f"{airflow.url}/dags", timeout=REPLY_SECONDS)
    assert "frame-ancestors 'self'" in reply.headers["content-security-policy"]
    said = (airflow.published.parents[1] / "up.log").read_text(encoding="utf-8")
    assert "no login: every account and program of this machine" in said


def test_nothing_listens_beyond_loopback(airflow: Airflow) -> None:
    port = airflow.url.rsplit(":", 1)[1]
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    addresses = [line.split()[1] for line in listening if line.split()[3] == "0A"]
    own = [address for address in addresses if int(address.rsplit(":", 1)[1], 16) in (int(port), 8793, 8794)]
    assert own, "Airflow's API is not listening"
    assert all(address.startswith("0100007F:") for address in own), own

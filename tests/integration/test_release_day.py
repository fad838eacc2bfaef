"""Release days end to end, from the office through the real scheduler to the report: one good and two bad releases."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

import duckdb
import psycopg
import pytest
import requests

from extract.landing.store import Landing
from metaalexport import gaps
from metaalexport.settings import Settings
from publish.postgres.roles import LOADER, READER
from publish.postgres.server import PostgresServer
from simulator.server import run_simulator
from tests.integration.airflow_here import METAALEXPORT, REPLY_SECONDS, Airflow, running_airflow
from tests.integration.alert_sinks import Sinks, listening_sinks
from tests.integration.conftest import SimulatedOffice, file_hash
from tests.postgres.server import running_server
from tests.states import SPARSE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.thorough,
    pytest.mark.enable_socket,
    pytest.mark.timeout(1500),
]

FIRST_RELEASE = 11
COMEXT = "/data/DS-045409"
INGEST = ("ingest_cbs", "ingest_eurostat")
LOADER_PASSWORD, READER_PASSWORD = "of the loader", "of the readers"
SHARES = """
    select month, share, (select publish_id from ops.publication) as publish_id
    from marts.rpt_destination_shares
    where source_code = 'EUROSTAT' and scope_code = 'metal_core_hs' and reporter_code = 'NL'
        and destination_code = 'US' and is_complete
    order by month
"""


@dataclass
class Shown:
    """The publication as users see it at one moment in file, server and report."""

    publish_id: str
    us_shares: dict[date, float]
    report: str
    file_sha256: str

    @property
    def newest_month(self) -> date:
        """The newest month with shares."""
        return max(self.us_shares)


@dataclass
class Team:
    """A team's setup: the office it loads from, its Airflow, its PostgreSQL and its alert channels."""

    office: SimulatedOffice
    airflow: Airflow
    sinks: Sinks
    server: PostgresServer

    def runs(self, dag_id: str) -> dict[str, str]:
        """Return the state of each run of a DAG by run id."""
        found = self.airflow.get(f"dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        return {run["dag_run_id"]: run["state"] for run in found}

    def look(self, dag_id: str) -> str:
        """Run an ingest DAG; return its final state."""
        run_id = self.airflow.trigger(dag_id)
        return str(
            self.airflow.wait(
                f"the end of {dag_id}",
                lambda: (state := self.runs(dag_id)[run_id]) in ("success", "failed") and state,
                400,
            )
        )

    def look_and_build(self, dag_id: str) -> set[str]:
        """Run an ingest DAG and wait for the builds that follow; return their states."""
        builds = set(self.runs("build_warehouse"))
        assert self.look(dag_id) == "success"
        return self.wait_for_builds(builds)

    def wait_for_builds(self, builds_before: set[str]) -> set[str]:
        """Wait until asset-triggered runs have built all committed loads; return the states of these runs."""
        committed = {load.load_id for load in Landing(self.office.settings.landing).committed()}

        def built() -> set[str]:
            waiting = self.are_builds_waiting()
            new = {name: state for name, state in self.runs("build_warehouse").items() if name not in builds_before}
            if waiting or not new or set(new.values()) & {"queued", "running"}:
                return set()
            assert all(name.startswith("asset_triggered") for name in new)
            if set(new.values()) == {"success"}:
                held = {row["load_id"] for row in gaps.read_held(self.office.settings)}
                assert committed - held <= self.published_loads()
            return set(new.values())

        return set(self.airflow.wait("the builds", built, 900))

    def are_builds_waiting(self) -> bool:
        """Return True if a commit has queued a build that has not started (builds run one at a time)."""
        reply = requests.get(
            f"{self.airflow.url}/api/v2/dags/build_warehouse/assets/queuedEvents", timeout=REPLY_SECONDS
        )
        # Airflow replies 404 if no event is queued.
        assert reply.status_code in (200, 404), reply.text
        return reply.status_code == 200 and reply.json()["total_entries"] > 0

    def published_loads(self) -> set[str]:
        """Return the load ids in the published file."""
        with duckdb.connect(str(self.airflow.published), read_only=True) as connection:
            return {load_id for (load_id,) in connection.execute("select load_id from ops.loads").fetchall()}

    def shown(self) -> Shown:
        """Read file, server and report, and assert that they show the same publication."""
        with duckdb.connect(str(self.airflow.published), read_only=True) as connection:
            rows = connection.execute(SHARES).fetchall()
        assert rows
        with self.reader() as connection:
            assert connection.execute(SHARES).fetchall() == rows
        ((publish_id),) = {row[2] for row in rows}
        report = self.office.settings.report.read_text(encoding="utf-8")
        assert publish_id in report
        return Shown(publish_id, {row[0]: row[1] for row in rows}, report, file_hash(self.airflow.published))

    def reader(self) -> psycopg.Connection:
        """Connect as a BI tool does."""
        return PostgresServer(self.server.host, self.server.port, "marts", READER, READER_PASSWORD).connect()

    def health(self) -> tuple[int, list[dict[str, str]]]:
        """Return the exit code and the findings of `metaalexport health`."""
        done = self.command("health", "--json")
        return done.returncode, json.loads(done.stdout)["findings"]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `metaalexport` command in the team's environment."""
        return subprocess.run(
            [METAALEXPORT, *arguments],
            env=self.airflow.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("release-day")
    with (
        run_simulator(release=FIRST_RELEASE, parameters=SPARSE) as office,
        running_server() as admin,
        listening_sinks() as sinks,
    ):
        address = f"{admin.host}:{admin.port}"
        settings = {
            "METAALEXPORT_SIMULATOR_URL": office,
            "METAALEXPORT_DATASETS": "cbs_85429ned,eurostat_ds_045409",
            "METAALEXPORT_FIRST_MONTH": "2025-01",
            "METAALEXPORT_HTTP_ATTEMPTS": "1",
            "METAALEXPORT_POSTGRES_URL": f"postgresql://{LOADER}@{address}/marts",
            "METAALEXPORT_POSTGRES_PASSWORD": LOADER_PASSWORD,
            "METAALEXPORT_POSTGRES_ADMIN_URL": f"postgresql://postgres@{address}/postgres",
            "METAALEXPORT_POSTGRES_ADMIN_PASSWORD": admin.password,
            "METAALEXPORT_BI_READER_PASSWORD": READER_PASSWORD,
            **sinks.settings,
        }
        with running_airflow(folder, settings) as airflow:
            team = Team(SimulatedOffice(office, Settings.from_environment(airflow.environment)), airflow, sinks, admin)
            prepared = team.command("prepare-postgres")
            assert prepared.returncode == 0, prepared.stderr
            # Both offices are polled at the first start; these runs wait for that poll.
            assert [team.look(dag_id) for dag_id in INGEST] == ["success", "success"]
            assert team.wait_for_builds(set()) == {"success"}
            yield team


def test_a_day_without_a_release_builds_nothing(team: Team) -> None:
    before, builds = team.shown(), team.runs("build_warehouse")
    assert [team.look(dag_id) for dag_id in INGEST] == ["success", "success"]
    assert team.runs("build_warehouse") == builds
    assert team.shown() == before
    assert team.sinks.posts == []


def test_a_release_reaches_file_server_and_report_without_alerts(team: Team) -> None:
    before = team.shown()
    team.office.release(FIRST_RELEASE + 1)
    assert team.look_and_build("ingest_eurostat") == {"success"}
    after = team.shown()
    assert after.publish_id != before.publish_id
    assert after.newest_month > before.newest_month
    revised = [month for month, share in before.us_shares.items() if after.us_shares[month] != share]
    assert revised, "the release revises no earlier month"
    (month_before, release_before), (month, release) = (_stated(each.report, "Eurostat") for each in (before, after))
    assert month_before < month == after.newest_month
    assert release_before < release
    assert _stated(after.report, "CBS") == _stated(before.report, "CBS")
    assert f"{100 * after.us_shares[after.newest_month]:.2f}" in after.report
    assert team.health() == (0, [])
    assert (team.sinks.posts, team.sinks.mails) == ([], [])


def test_a_release_stopped_at_the_landing_gate_sends_an_alert_and_leaves_the_marts_unchanged(team: Team) -> None:
    before, builds = team.shown(), set(team.runs("build_warehouse"))
    team.office.release(FIRST_RELEASE + 2)
    team.office.fault(match=COMEXT, kind="wrong_total")
    assert team.look("ingest_eurostat") == "failed"
    (post,) = team.airflow.wait("the alert", lambda: list(team.sinks.posts), 60)
    assert post["name"] == "gate_1_stopped"
    assert "eurostat_ds_045409" in post["what"]
    assert "totals_move_with_their_members" in post["what"]
    assert post["next_step"] == "docs/runbook.md, section 'The landing gate stopped a load'"
    (mail,) = team.airflow.wait("the mail", lambda: list(team.sinks.mails), 60)
    assert mail["Subject"] == post["subject"]
    assert set(team.runs("build_warehouse")) == builds
    assert team.shown() == before
    code, findings = team.health()
    assert code == 1
    assert [finding["name"] for finding in findings] == ["slice_is_behind"]
    assert "totals_move_with_their_members" in findings[0]["what"]

    team.office.heal()
    assert team.look_and_build("ingest_eurostat") == {"success"}
    assert team.shown().newest_month > before.newest_month
    assert team.health() == (0, [])
    assert len(team.sinks.posts) == 1


def test_a_release_stopped_at_the_publish_gate_is_held_and_blocks_no_other_dataset(team: Team) -> None:
    before, builds = team.shown(), set(team.runs("build_warehouse"))
    told = len(team.sinks.posts)
    team.office.release(FIRST_RELEASE + 3)
    # The same factor for all figures is within the landing gate's limit for levels, but beyond the publish gate's limit
    # for published totals.
    team.office.fault(match=COMEXT, kind="wrong_scale", factor=1.22)
    assert team.look("ingest_eurostat") == "success"
    assert team.wait_for_builds(builds) == {"success"}
    (post,) = team.airflow.wait("the alert", lambda: team.sinks.posts[told:], 60)
    assert post["name"] == "load_is_held"
    assert "totals_move_little" in post["what"]
    (bad,) = set(re.findall(r"eurostat_ds_045409__\w+", post["what"]))
    assert team.shown().us_shares == before.us_shares
    code, findings = team.health()
    assert (code, [finding["name"] for finding in findings]) == (1, ["load_is_held"])

    # The CBS release of the same day does not wait for Eurostat's correction.
    assert team.look_and_build("ingest_cbs") == {"success"}
    meanwhile = team.shown()
    assert meanwhile.us_shares == before.us_shares
    assert _stated(meanwhile.report, "CBS") > _stated(before.report, "CBS")

    done = team.command("withdraw", bad, "--reason", "level of all values 22 % too high; told Eurostat")
    assert done.returncode == 0, done.stderr
    assert "22 % too high" in team.command("status").stdout
    assert team.health() == (0, [])

    team.office.heal()
    team.office.release(FIRST_RELEASE + 4)
    assert team.look_and_build("ingest_eurostat") == {"success"}
    assert team.shown().newest_month > before.newest_month
    assert team.health() == (0, [])


def _stated(report: str, office: str) -> tuple[date, date]:
    """Return an office's newest month and release date from the report's first lines."""
    line = re.search(f"<strong>{office}</strong>:(.*?)</li>", report, re.DOTALL)
    assert line
    _, month, _, release, _ = re.findall(r'<span class="en" lang="en">(.*?)</span>', line[1])
    return datetime.strptime(month, "%B %Y").date(), datetime.strptime(release, "%d %B %Y").date()

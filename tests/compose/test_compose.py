"""docker-compose.yml as a team uses it: from a checkout and one .env to marts that a BI role can read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from publish.postgres.roles import READER
from publish.postgres.server import PostgresServer

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "metaalexport-test"
PORTS = {"AIRFLOW_PORT": "18080", "POSTGRES_PORT": "15432", "SUPERSET_PORT": "18088"}
# Two datasets of both offices, one reporter, three years: enough for shares over 12 months.
SCOPE = {
    "METAALEXPORT_DATASETS": "cbs_85429ned,eurostat_ds_045409",
    "METAALEXPORT_REPORTERS": "NL",
    "METAALEXPORT_FIRST_MONTH": "2023-01",
}
INGEST = ("ingest_cbs", "ingest_eurostat")
ENDED = ("success", "failed")


@dataclass
class Stack:
    """A running stack."""

    compose: list[str]
    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, timeout: int = 900) -> str:
        """Run a compose command and return its output."""
        done = subprocess.run(
            [*self.compose, *command], cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    @property
    def engine(self) -> str:
        """Return the container engine: docker or podman."""
        return "docker" if self.compose[0] == "docker" else "podman"

    def containers(self) -> list[dict[str, Any]]:
        """Return the engine's description of each container of the stack."""
        names = subprocess.run(
            [self.engine, "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"],
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout.split()  # fmt: skip
        shown = subprocess.run(
            [self.engine, "inspect", *names], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        return list(json.loads(shown))

    def container(self, service: str) -> dict[str, Any]:
        """Return the engine's description of a service's container."""
        (found,) = [
            container
            for container in self.containers()
            if container["Config"]["Labels"]["com.docker.compose.service"] == service
        ]
        return found

    def started_at(self, service: str) -> datetime:
        """Return the last start time of a service's container."""
        return datetime.fromisoformat(self.container(service)["State"]["StartedAt"])

    def last_words(self) -> str:
        """Return the end of each container's log, for a failed test."""
        words = []
        for container in self.containers():
            done = subprocess.run(
                [self.engine, "logs", "--tail", "30", container["Id"]],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
            )  # fmt: skip
            state = container["State"]
            words.append(f"--- {container['Name']}: {state['Status']} since {state['StartedAt']}\n{done.stdout}")
        return "\n".join(words)

    def wait_until(self, what: str, is_so: Callable[[], bool], seconds: float, every: float = 3) -> None:
        """Wait until a condition holds; on timeout, fail with its name and the logs."""
        deadline = time.monotonic() + seconds
        last: Exception | None = None
        while time.monotonic() < deadline:
            try:
                if is_so():
                    return
            except (requests.RequestException, psycopg.Error, KeyError, ValueError) as error:
                last = error
            time.sleep(every)
        print(self.last_words())
        pytest.fail(f"{what} did not come within {seconds:.0f} s; last: {last}")

    def reader(self) -> psycopg.Connection:
        """Connect to the marts as a BI tool does."""
        server = PostgresServer(
            "127.0.0.1", int(PORTS["POSTGRES_PORT"]), "marts", READER, self.environment["BI_READER_PASSWORD"]
        )
        return server.connect()


class Airflow:
    """Client of Airflow's public API."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"http://127.0.0.1:{PORTS['AIRFLOW_PORT']}"
        self._password = stack.environment["AIRFLOW_ADMIN_PASSWORD"]

    def token_reply(self, password: str) -> requests.Response:
        """Request a token."""
        return requests.post(f"{self._url}/auth/token", json={"username": "admin", "password": password}, timeout=60)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call an endpoint and return its JSON."""
        token = self.token_reply(self._password).json()["access_token"]
        reply = requests.request(
            method, f"{self._url}/api/v2{path}", headers={"Authorization": f"Bearer {token}"}, timeout=60, **arguments
        )
        reply.raise_for_status()
        return reply.json()

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return a DAG's runs, oldest first."""
        return list(self.call("GET", f"/dags/{dag}/dagRuns?order_by=run_after")["dag_runs"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Copy the checkout, make .env as documented, build and start; remove everything afterwards."""
    engine = os.environ.get("TEST_COMPOSE", "").split()
    assert engine, "run `make test-compose`, which finds a container engine"
    folder = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    ).stdout.splitlines()  # fmt: skip
    assert "docker-compose.yml" in tracked
    for name in tracked:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["deploy/new-env", "demo"], cwd=folder, check=True, capture_output=True, timeout=60)
    settings = folder / ".env"
    changes = {**PORTS, **SCOPE}
    lines = [
        f"{name}={changes[name]}" if (name := line.partition("=")[0]) in changes else line
        for line in settings.read_text(encoding="utf-8").splitlines()
    ]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    environment = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    started = Stack([*engine, "-p", PROJECT], folder, environment)
    try:
        started.run("up", "--detach", "--build", timeout=1200)
        yield started
    finally:
        started.run("down", "--volumes", timeout=300)


@pytest.fixture(scope="module")
def airflow(stack: Stack) -> Airflow:
    """Wait for Airflow's API and its DAGs."""
    api = Airflow(stack)
    stack.wait_until("Airflow's API", lambda: api.token_reply(stack.environment["AIRFLOW_ADMIN_PASSWORD"]).ok, 300)
    stack.wait_until("the DAGs", lambda: api.call("GET", "/dags")["total_entries"] == 4, 180)
    return api


@pytest.fixture(scope="module")
def published(stack: Stack, airflow: Airflow) -> str:
    """Restart the scheduler while dbt builds the first candidate; return the publish id that is served afterwards.

    No trigger is needed: the DAGs load at their first start, and a load starts the build.
    """

    def first_run(dag: str) -> dict[str, Any]:
        runs = airflow.runs(dag)
        return runs[0] if runs else {"state": "none"}

    def has_ended(dag: str) -> bool:
        return first_run(dag)["state"] in ENDED

    def dbt_task() -> dict[str, Any]:
        run = first_run("build_warehouse")
        assert run["state"] not in ENDED, f"the first build ended as {run['state']} before it was interrupted"
        if run["state"] == "none":
            return {"state": "none"}
        path = f"/dags/build_warehouse/dagRuns/{run['dag_run_id']}/taskInstances/build_candidate"
        return dict(airflow.call("GET", path))

    stack.wait_until("the task of dbt", lambda: dbt_task()["state"] == "running", 900, every=0.5)
    started = stack.started_at("scheduler")
    stack.run("restart", "scheduler", timeout=120)
    assert stack.started_at("scheduler") > started

    for dag in (*INGEST, "build_warehouse"):
        stack.wait_until(f"the end of {dag}", partial(has_ended, dag), 600)
        assert first_run(dag)["state"] == "success"
    path = f"/dags/build_warehouse/dagRuns/{first_run('build_warehouse')['dag_run_id']}/taskInstances"
    built = airflow.call("GET", f"{path}/build_candidate")
    # Try 1 was interrupted and try 2 built the candidate; a skipped task would publish nothing.
    assert (built["state"], built["try_number"]) == ("success", 2)
    states = {task["task_id"]: task["state"] for task in airflow.call("GET", path)["task_instances"]}
    assert (len(states), set(states.values())) == (7, {"success"})

    # The first build may have started before the other office's load was committed.
    def both_are_served() -> bool:
        with stack.reader() as reader:
            found = reader.execute("select distinct source_code from marts.rpt_destination_shares where is_complete")
            return {source for (source,) in found} == {"CBS", "EUROSTAT"}

    stack.wait_until("both offices in the marts", both_are_served, 600)
    with stack.reader() as reader:
        (publish_id,) = reader.execute("select publish_id from ops.publication").fetchone()  # type: ignore[misc]
    return str(publish_id)


def test_stack_does_not_start_without_secrets(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_bytes((stack.folder / "docker-compose.yml").read_bytes())
    done = subprocess.run(
        [*stack.compose, "config"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "run deploy/new-env first" in done.stdout + done.stderr


def test_marts_are_served_after_a_restart_during_a_run(stack: Stack, published: str) -> None:
    with stack.reader() as reader:
        rows = reader.execute(
            "select month, sum(share) from marts.rpt_destination_shares"
            " where is_complete and scope_code = 'metal_core_hs'"
            " group by source_code, concept_code, reporter_code, month"
        ).fetchall()
        assert len(rows) > 20
        assert all(abs(total - 1) < 1e-9 for _, total in rows)
        assert reader.execute("select is_simulated from ops.publication").fetchone() == (True,)
        with pytest.raises(psycopg.Error):
            reader.execute("delete from marts.fct_exports")
        reader.execute("set default_transaction_read_only = off")
        for statement in (
            "delete from marts.fct_exports", "create table marts.mine (x int)", "create temporary table mine (x int)",
            "select pg_read_file('/etc/passwd')",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
    for database in ("airflow", "superset", "postgres"):
        server = PostgresServer(
            "127.0.0.1", int(PORTS["POSTGRES_PORT"]), database, READER, stack.environment["BI_READER_PASSWORD"]
        )
        with pytest.raises(Exception, match="permission denied for database"):
            server.connect()


def test_poll_triggered_over_the_api_survives_an_api_server_outage(
    stack: Stack, airflow: Airflow, published: str
) -> None:
    # Simulate a first start whose scheduler is ready long before the API server.
    stack.run("stop", "scheduler", timeout=120)
    run = airflow.call("POST", "/dags/ingest_cbs/dagRuns", json={"logical_date": None})
    stack.run("stop", "api-server", timeout=120)

    def sixth_calls() -> int:
        # By default a task gives up after five calls.
        return stack.run("logs", "scheduler").count("this is the 6th time calling it")

    earlier = sixth_calls()
    stack.run("start", "scheduler", timeout=120)
    stack.wait_until("a task's sixth call", lambda: sixth_calls() > earlier, 300)
    stack.run("start", "api-server", timeout=120)
    path = f"/dags/ingest_cbs/dagRuns/{run['dag_run_id']}"
    stack.wait_until("the end of a look", lambda: airflow.call("GET", path)["state"] in ENDED, 400)
    assert airflow.call("GET", path)["state"] == "success"
    tasks = airflow.call("GET", f"{path}/taskInstances")["task_instances"]
    (plan,) = [task for task in tasks if task["task_id"].startswith("plan_")]
    # A second try would come five minutes later; a first start must not cost that time.
    assert (plan["state"], plan["try_number"]) == ("success", 1)
    # The office has nothing newer.
    loads = [task for task in tasks if task["task_id"].startswith("load_")]
    assert {task["state"] for task in loads} == {"skipped"}


def test_superset_is_prepared_and_reads_the_marts(stack: Stack, published: str) -> None:
    url = f"http://127.0.0.1:{PORTS['SUPERSET_PORT']}"
    stack.wait_until("Superset", lambda: requests.get(f"{url}/health", timeout=10).text == "OK", 300)
    login = requests.post(
        f"{url}/api/v1/security/login",
        json={"username": "admin", "password": stack.environment["SUPERSET_ADMIN_PASSWORD"], "provider": "db"},
        timeout=60,
    )
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
    dashboards = requests.get(f"{url}/api/v1/dashboard/", headers=headers, timeout=60).json()["result"]
    assert [dashboard["slug"] for dashboard in dashboards] == ["metal-exports"]
    datasets = requests.get(f"{url}/api/v1/dataset/?q=(page_size:100)", headers=headers, timeout=60).json()["result"]
    (publication,) = [dataset["id"] for dataset in datasets if dataset["table_name"] == "publication"]
    reply = requests.post(
        f"{url}/api/v1/chart/data",
        headers=headers,
        json={
            "datasource": {"id": publication, "type": "table"},
            "queries": [{"columns": ["publish_id"], "metrics": []}],
        },
        timeout=60,
    ).json()
    assert len(reply["result"][0]["data"]) == 1


@pytest.mark.parametrize("service", ["api-server", "scheduler", "dag-processor", "triggerer", "superset"])
def test_health_check_of_a_running_service_succeeds(stack: Stack, published: str, service: str) -> None:
    declared = stack.container(service)["Config"]["Healthcheck"]["Test"]
    assert declared[0] == "CMD"
    stack.run("exec", "-T", service, *declared[1:])


def test_ports_bind_to_loopback_and_no_container_runs_as_root(stack: Stack, published: str) -> None:
    containers = stack.containers()
    assert len(containers) >= 8
    published_on = {
        binding["HostIp"]
        for container in containers
        for bindings in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    }
    assert published_on == {"127.0.0.1"}
    users = {container["Config"]["User"] for container in containers if "postgres" not in container["Name"]}
    assert users
    assert users <= {"metaalexport", "superset"}


@pytest.mark.parametrize("service", ["postgres", "api-server", "scheduler", "dag-processor", "triggerer", "superset"])
def test_container_is_read_only_and_cannot_gain_privileges(stack: Stack, published: str, service: str) -> None:
    assert stack.container(service)["HostConfig"]["ReadonlyRootfs"]
    status = stack.run("exec", "-T", service, "grep", "-E", "^(NoNewPrivs|CapBnd):", "/proc/1/status")
    found = dict(line.split(":") for line in status.splitlines() if line.startswith(("NoNewPrivs", "CapBnd")))
    assert int(found["NoNewPrivs"]) == 1
    assert bin(int(found["CapBnd"], 16)).count("1") == (5 if service == "postgres" else 0)


def test_images_and_logs_contain_no_secret(stack: Stack, published: str) -> None:
    secrets = {
        name: value
        for name, value in stack.environment.items()
        if name.endswith(("_PASSWORD", "_SECRET", "_KEY")) and value
    }
    assert len(secrets) >= 9
    logs = stack.run("logs")
    assert len(logs) > 10_000
    images = {container["Image"] for container in stack.containers()}
    shown = subprocess.run(
        [stack.engine, "image", "inspect", *images], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    tasks = stack.run(
        "exec", "-T", "scheduler", "sh", "-c",
        "find /var/lib/metaalexport -type f '(' -name '*.log' -o -name '*.jsonl' -o -name '*.yml' ')' -exec cat '{}' +",
    )  # fmt: skip
    assert len(tasks) > 10_000
    found = [name for name, value in secrets.items() if value in logs or value in shown or value in tasks]
    assert found == []
    assert subprocess.run(
        [*stack.compose, "exec", "-T", "scheduler", "sh", "-c", "ls /opt/metaalexport/.env"],
        cwd=stack.folder, capture_output=True, check=False, timeout=60,
    ).returncode != 0  # fmt: skip

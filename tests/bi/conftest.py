"""Superset as a team uses it: provisioned over marts in a real PostgreSQL, which also stores its metadata."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from publish.postgres.roles import LOADER, READER, prepare_server
from publish.postgres.server import PostgresServer
from publish.postgres.serving import publish_postgres
from tests.postgres.server import free_port, running_server
from tests.states import large_state, settings_of

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv-bi" / "bin"
PASSWORD = "of-the-test"


@dataclass
class Superset:
    """A running Superset.

    Attributes
    ----------
    url : str
        Its address, without a trailing slash.
    environment : dict of str to str
        Environment of its process.
    user : str
        Calling user; all users have the same password here.
    """

    url: str
    environment: dict[str, str]
    user: str = "admin"

    def provision(self) -> str:
        """Provision it again and return the output."""
        done = subprocess.run(
            [BIN / "python", "-m", "bi.provision"],
            env=self.environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Call an endpoint."""
        with requests.Session() as session:
            login = session.post(
                f"{self.url}/api/v1/security/login",
                json={"username": self.user, "password": PASSWORD, "provider": "db"},
                timeout=60,
            )
            session.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            token = session.get(f"{self.url}/api/v1/security/csrf_token/", timeout=60).json()["result"]
            session.headers.update({"X-CSRFToken": token, "Referer": self.url})
            return session.request(method, f"{self.url}/api/v1{path}", timeout=60, **arguments)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call an endpoint and return its JSON."""
        reply = self.request(method, path, **arguments)
        assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text[:2000]}"
        return reply.json()

    def ask_sql(self, database: int, sql: str) -> Any:
        """Run a statement as SQL Lab does; return the JSON, also of an error."""
        body = {"database_id": database, "sql": sql, "runAsync": False, "client_id": f"{time.monotonic_ns():x}"[-10:]}
        return self.request("POST", "/sqllab/execute/", json=body).json()

    def listed(self, kind: str) -> dict[str, int]:
        """Return the identifiers of all charts, dashboards, datasets or databases, by name."""
        name = {"chart": "slice_name", "dashboard": "dashboard_title", "dataset": "table_name"}.get(
            kind, "database_name"
        )
        reply = self.call("GET", f"/{kind}/?q=(page_size:100)")
        assert reply["count"] == len(reply["result"])
        return {item[name]: item["id"] for item in reply["result"]}

    def rows(self, dataset: str, columns: list[str], metrics: list[str], where: str = "") -> list[dict[str, Any]]:
        """Query a dataset as a chart does and return the rows."""
        query = {"columns": columns, "metrics": metrics, "row_limit": 10_000, "extras": {"where": where}}
        reply = self.call(
            "POST",
            "/chart/data",
            json={"datasource": {"id": self.listed("dataset")[dataset], "type": "table"}, "queries": [query]},
        )
        return list(reply["result"][0]["data"])


@pytest.fixture(scope="session")
def published() -> Path:
    """Return the published file of the warehouse that the mart tests recompute.

    It has two releases, for revisions; the Union, for peers; and three years before the tariff's news.
    """
    return settings_of(large_state()).published


@pytest.fixture(scope="session")
def admin(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Serve the marts, and create Superset's database as deploy/postgres does."""
    with running_server() as server:
        prepare_server(server, database="marts", loader_password=PASSWORD, reader_password=PASSWORD)
        publish_postgres(
            published,
            replace(server, database="marts", user=LOADER, password=PASSWORD),
            extensions=tmp_path_factory.mktemp("extensions"),
            progress=lambda message: None,
        )
        with server.connect() as connection:
            connection.execute(f"create role superset login password '{PASSWORD}'")
            connection.execute("create database superset owner superset")
        yield server


@pytest.fixture(scope="session")
def superset(admin: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """Prepare Superset and start it, as its container does."""
    address = f"127.0.0.1:{admin.port}"
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHONPATH": str(ROOT),
        "SUPERSET_CONFIG_PATH": str(ROOT / "bi" / "superset_config.py"),
        "SUPERSET_SECRET_KEY": "a secret of the test that is long enough to be one",
        "SUPERSET_DATABASE_URL": f"postgresql+psycopg2://superset:{PASSWORD}@{address}/superset",
        "SUPERSET_ADMIN_PASSWORD": PASSWORD,
        "SUPERSET_MARTS_URL": f"postgresql://{READER}@{address}/marts",
        "SUPERSET_MARTS_PASSWORD": PASSWORD,
    }
    port = free_port()
    log = tmp_path_factory.mktemp("superset") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [ROOT / "bi" / "start"],
            env=environment | {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            started = Superset(f"http://127.0.0.1:{port}", environment)
            _wait_until_healthy(started.url, process, log)
            yield started
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if requests.get(f"{url}/health", timeout=5).text == "OK":
                return
        except requests.RequestException:
            time.sleep(1)
    pytest.fail(f"Superset is not up: {log.read_text()[-3000:]}")

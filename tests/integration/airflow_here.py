"""A real Airflow on this machine, as started by `metaalexport up`, on a small part of the simulator's data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from metaalexport import stopping

METAALEXPORT = str(Path(sys.executable).with_name("metaalexport"))
# Airflow, dbt, Chromium and other tests share two cores: replies took more than half a minute.
REPLY_SECONDS = 120
DAG_IDS = {"build_warehouse", "ingest_cbs", "ingest_eurostat", "maintain_warehouse"}


@dataclass
class Airflow:
    """A running Airflow."""

    url: str
    published: Path
    environment: dict[str, str] = field(repr=False)

    def get(self, path: str, **parameters: Any) -> Any:
        """Send a GET request to the public API."""
        reply = requests.get(f"{self.url}/api/v2/{path}", params=parameters, timeout=REPLY_SECONDS)
        reply.raise_for_status()
        return reply.json()

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Trigger a run; return its id."""
        body = {"logical_date": None, "conf": conf}
        reply = requests.post(f"{self.url}/api/v2/dags/{dag_id}/dagRuns", json=body, timeout=REPLY_SECONDS)
        reply.raise_for_status()
        return str(reply.json()["dag_run_id"])

    def wait(self, what: str, condition: Any, seconds: float) -> Any:
        """Wait until the condition returns a true value; return that value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(1)
        raise AssertionError(f"waited {seconds:.0f} s for {what}")


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_airflow(folder: Path, settings: Mapping[str, str]) -> Iterator[Airflow]:
    """Start Airflow on a folder; ``settings`` override the defaults (NL, from June 2025)."""
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    clean = {name: value for name, value in clean.items() if name.lower() != "no_proxy"}
    environment = {
        **clean,
        "METAALEXPORT_VAR": str(folder),
        "METAALEXPORT_SIMULATOR_URL": f"http://127.0.0.1:{free_port()}",
        "METAALEXPORT_REPORTERS": "NL",
        "METAALEXPORT_FIRST_MONTH": "2025-06",
        # As on many company machines; this proxy does not answer, and no request here may use it.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "METAALEXPORT_AIRFLOW__API__PORT": str(port),
        "METAALEXPORT_AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        **settings,
    }
    log = (folder / "up.log").open("w")
    process = subprocess.Popen(
        [METAALEXPORT, "up"], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    running = Airflow(f"http://127.0.0.1:{port}", folder / "simulator" / "metaalexport.duckdb", environment)

    def healthy() -> bool:
        assert process.poll() is None, (folder / "up.log").read_text()
        try:
            health = running.get("monitor/health")
        except requests.RequestException:
            return False
        return all(
            health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    try:
        running.wait("a healthy Airflow", healthy, 300)
        running.wait("all DAGs", lambda: {dag["dag_id"] for dag in running.get("dags")["dags"]} == DAG_IDS, 200)
        yield running
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=45)
        finally:
            stopping.end_whole(process.pid)
            log.close()
        assert process.returncode == 130
        _, left = psutil.wait_procs(family, timeout=10)
        # An orphaned process that ended stays a zombie if nothing reaps it.
        assert [child for child in left if child.status() != psutil.STATUS_ZOMBIE] == []
        assert f"ready: http://localhost:{port}" in (folder / "up.log").read_text(encoding="utf-8")

"""Ctrl-C and SIGTERM end a command within seconds, and the next run ends as if nothing had been interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from metaalexport import published

from .conftest import SimulatedOffice

pytestmark = [pytest.mark.integration, pytest.mark.long]
METAALEXPORT = str(Path(sys.executable).with_name("metaalexport"))
PATIENCE_SECONDS = 20


@pytest.fixture
def environment(simulated: SimulatedOffice) -> dict[str, str]:
    """Return a user's environment with the office's state."""
    settings = simulated.settings
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))},
        "METAALEXPORT_VAR": str(settings.state.parent),
        "METAALEXPORT_PROFILE": "simulator",
        "METAALEXPORT_SIMULATOR_URL": simulated.url,
        "METAALEXPORT_DATASETS": ",".join(settings.datasets),
        "METAALEXPORT_REPORTERS": ",".join(settings.reporters),
        "METAALEXPORT_FIRST_MONTH": settings.first_month or "",
    }


def stop(environment: dict[str, str], command: str, seconds: float, number: signal.Signals) -> tuple[int, str]:
    """Stop a command after `seconds`, and assert that its child processes end; return its exit code and output."""
    process = subprocess.Popen(
        [METAALEXPORT, command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    time.sleep(seconds)
    assert process.poll() is None, "the command ended before the signal"
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    started = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - started < PATIENCE_SECONDS
    # Python's resource tracker ends only after its process has ended.
    assert psutil.wait_procs(family, timeout=5)[1] == []
    return process.returncode, said


@pytest.mark.timeout(900)
def test_a_stopped_command_leaves_the_publication_and_can_be_repeated(
    simulated: SimulatedOffice, environment: dict[str, str]
) -> None:
    settings = simulated.settings
    query = "select publish_id, content_sha256 from ops.publication"
    ((publish_id, content),) = published.query(settings, query).rows
    # `run` covers Airflow and dbt, which it starts and must end.
    for command, seconds, number in (
        ("build", 0.5, signal.SIGINT),
        ("build", 8, signal.SIGTERM),
        ("run", 15, signal.SIGINT),
        ("publish", 3, signal.SIGINT),
    ):
        code, said = stop(environment, command, seconds, number)
        assert (code, "Traceback" in said) == (128 + number, False), said
        assert f"stopped by {number.name}" in said
        assert published.publish_id(settings) == publish_id
    for command in ("build", "publish"):
        subprocess.run([METAALEXPORT, command], env=environment, check=True, capture_output=True, timeout=300)
    ((anew, same),) = published.query(settings, query).rows
    assert (anew != publish_id, same) == (True, content)
    assert list((settings.state / "gates").iterdir()) == []
    assert list(settings.state.glob("*.tmp*")) == []


def test_up_reports_a_port_in_use(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [METAALEXPORT, "up"],
            env={**environment, "METAALEXPORT_AIRFLOW__API__PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert f"cannot listen on port {port}" in done.stderr
    assert "METAALEXPORT_AIRFLOW__API__PORT to another port" in done.stderr
    assert "Traceback" not in done.stderr

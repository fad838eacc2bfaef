"""Ctrl-C and SIGTERM end a command within seconds, and the next one ends as if there was none."""

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
    """A user's environment, with the state of the office."""
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
    """Stop a command after some time; returns its exit code and what it said. Nothing that it started is left."""
    process = subprocess.Popen(
        [METAALEXPORT, command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    time.sleep(seconds)
    assert process.poll() is None, "it was done already"
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    started = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - started < PATIENCE_SECONDS
    # Python's own tracker of semaphores goes when it sees that its process is gone.
    assert psutil.wait_procs(family, timeout=5)[1] == []
    return process.returncode, said


@pytest.mark.timeout(900)
def test_a_stopped_command_goes_on_where_it_was(simulated: SimulatedOffice, environment: dict[str, str]) -> None:
    settings = simulated.settings
    query = "select publish_id, content_sha256 from ops.publication"
    ((publish_id, content),) = published.query(settings, query).rows
    # `run` shows that Airflow and dbt, which it starts, end with it.
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


def test_a_port_in_use_is_named_before_anything_starts(environment: dict[str, str]) -> None:
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

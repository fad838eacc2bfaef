"""Start the simulator beside a run that needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import requests

from metaalexport.arguments import SettingsError
from metaalexport.settings import Settings

_START_SECONDS = 60.0


def _is_simulator(url: str) -> bool:
    try:
        return requests.get(f"{url}/_simulator/health", timeout=2).ok
    except requests.RequestException:
        return False


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ensure_simulator(settings: Settings) -> Iterator[Settings]:
    """Give settings whose simulator answers; other profiles pass through.

    A simulator that answers already is used and left running; otherwise one is started, and stopped at the end.
    """
    if settings.profile != "simulator" or _is_simulator(settings.simulator_url):
        yield settings
        return
    port = _free_port(urlsplit(settings.simulator_url).port or 8765)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "simulator", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _is_simulator(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SettingsError(f"the simulator did not start on {url}; try: metaalexport simulate --port {port}")
            time.sleep(0.1)
        os.environ["METAALEXPORT_SIMULATOR_URL"] = url
        yield replace(settings, simulator_url=url)
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def release_before(settings: Settings) -> Iterator[None]:
    """Let the simulated offices publish what they did a month earlier while the block runs."""
    control = f"{settings.simulator_url}/_simulator"
    number = int(requests.get(f"{control}/health", timeout=10).json()["release"])

    def publish(release: int) -> None:
        requests.post(f"{control}/release", json={"number": release}, timeout=60).raise_for_status()

    publish(max(number - 1, 1))
    try:
        yield
    finally:
        publish(number)


def serve_simulator(port: int, release: int | None, host: str) -> None:
    """Run the simulator in the foreground."""
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--host", host]
    if release is not None:
        command += ["--release", str(release)]
    subprocess.run(command, check=False)  # noqa: S603 - our own module

"""Start and stop of the simulator for runs that need it."""

from __future__ import annotations

import errno
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
_PORT = 8765


def _session() -> requests.Session:
    """Return a session for the simulator that bypasses proxies."""
    session = requests.Session()
    session.trust_env = False
    return session


def _is_simulator(url: str) -> bool:
    try:
        with _session() as session:
            return session.get(f"{url}/_simulator/health", timeout=2).ok
    except requests.RequestException:
        return False


def port_problem(port: int, host: str = "127.0.0.1") -> str:
    """Return why a server cannot listen on a port; empty if it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do, so that the sockets of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OverflowError:
            return "a port is a number from 1 to 65535"
        except OSError as error:
            return "another program has it" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
    return ""


def _free_port(wanted: int) -> int:
    if not port_problem(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ensure_simulator(settings: Settings) -> Iterator[Settings]:
    """Yield settings with a running simulator; other profiles pass through.

    A running simulator is used and left running; otherwise one is started, and stopped at the end.
    """
    if settings.profile != "simulator" or _is_simulator(settings.simulator_url):
        yield settings
        return
    port = _free_port(urlsplit(settings.simulator_url).port or _PORT)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603 - fixed command
        [sys.executable, "-m", "simulator", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
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
    """Set the simulated offices to the previous month's release during the block."""
    control = f"{settings.simulator_url}/_simulator"
    with _session() as session:
        number = int(session.get(f"{control}/health", timeout=10).json()["release"])

        def publish(release: int) -> None:
            session.post(f"{control}/release", json={"number": release}, timeout=60).raise_for_status()

        publish(max(number - 1, 1))
        try:
            yield
        finally:
            publish(number)


def serve_simulator(port: int, release: int | None, host: str) -> None:
    """Run the simulator in the foreground.

    Raises
    ------
    SettingsError
        If it cannot listen there, or ended with an error.
    """
    if problem := port_problem(port, host):
        instead = _free_port(_PORT)
        raise SettingsError(
            f"the simulator cannot listen on port {port} of {host}: {problem};"
            f" next: metaalexport simulate --port {instead}"
        )
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--host", host]
    if release is not None:
        command += ["--release", str(release)]
    if code := subprocess.run(command, check=False).returncode:  # noqa: S603 - fixed command
        raise SettingsError(f"the simulator ended with exit code {code}; see its output above")

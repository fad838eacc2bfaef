"""Shared by all tests: the recorded payloads, a blocked network, and an environment without settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_socket import disable_socket, socket_allow_hosts

TESTS = Path(__file__).resolve().parent
SHARED_DATA = TESTS.parent.parent / "shared" / "data"
LOOPBACK = ["127.0.0.1", "localhost"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real payloads, which is next to the repository and never in it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the recorded payloads are not on this machine: {SHARED_DATA} is absent")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _blocked_network(request: pytest.FixtureRequest) -> None:
    """Allow unit tests no socket and all other tests only the loopback. pytest-socket undoes this itself."""
    if request.path.is_relative_to(TESTS / "unit"):
        disable_socket(allow_unix_socket=True)
    else:
        socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


def pytest_configure() -> None:
    """Remove the settings of the shell (or of make), and keep the tests off the offices and the disk."""
    for name in [name for name in os.environ if name.startswith("METAALEXPORT_")]:
        if name != "METAALEXPORT_TEST_COMPOSE":
            del os.environ[name]
    os.environ["METAALEXPORT_PROFILE"] = "simulator"
    # No test simulates a power cut, and a load would sync the disk 70 times. Commands in separate processes do sync.
    os.fsync = lambda fd: None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long modules first, by the sum of the timeouts of their tests, so that short ones fill the gaps."""
    seconds: dict[Path, float] = {}
    for item in items:
        if item.get_closest_marker("long"):
            timeout = item.get_closest_marker("timeout")
            seconds[item.path] = seconds.get(item.path, 0.0) + (float(timeout.args[0]) if timeout else 300.0)
    items.sort(key=lambda item: -seconds.get(item.path, 0.0))

"""What all tests share: the recorded payloads, a blocked network, and an environment without settings."""

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
    """Return the folder of real payloads, which stands beside the repository and never in it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the recorded payloads are not on this machine: {SHARED_DATA} is absent")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _blocked_network(request: pytest.FixtureRequest) -> None:
    """Give unit tests no socket at all, and all other tests the loopback only. pytest-socket undoes it itself."""
    if request.path.is_relative_to(TESTS / "unit"):
        disable_socket(allow_unix_socket=True)
    else:
        socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


def pytest_configure() -> None:
    """Keep the settings of the shell (or of make) out of the tests, and the tests off the offices and the disk."""
    for name in [name for name in os.environ if name.startswith("METAALEXPORT_")]:
        if name != "METAALEXPORT_TEST_COMPOSE":
            del os.environ[name]
    os.environ["METAALEXPORT_PROFILE"] = "simulator"
    # No test takes the power away, and a load waits for the disk 70 times. Commands in processes of their own do wait.
    os.fsync = lambda fd: None

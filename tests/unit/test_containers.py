"""docker-compose.yml as a file: restrictions of the containers, and no secrets. No engine is needed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPOSE = Path(__file__).resolve().parents[2] / "docker-compose.yml"
TEXT = COMPOSE.read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_container_can_change_only_its_volumes_and_gain_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & service.keys()
    # PostgreSQL's image starts as root to give its volume to its user.
    assert set(service.get("cap_add", [])) <= (
        {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"} if name == "postgres" else set()
    )


def test_every_port_binds_to_loopback_by_default() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in ports), ports


def test_no_secret_has_a_default() -> None:
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)([^}]*)\}", TEXT)
    assert len({name for name, _ in secrets}) >= 9
    assert {rest for _, rest in secrets} == {":?run deploy/new-env first"}
    # No literal value is a secret either: each such variable comes from .env or names a file.
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY", name) and not name.endswith("_FILE"):
                assert str(value).startswith("${"), name


def test_login_is_required() -> None:
    assert "ALL_ADMINS" not in TEXT
    assert "AUTH_TYPE" not in TEXT


@pytest.mark.parametrize(
    ("monitor", "says"),
    [
        ('{"scheduler": {"status": "healthy"}}', None),
        ('{"scheduler": {"status": "unhealthy"}}', "scheduler: unhealthy"),
        ('{"triggerer": {"status": "healthy"}}', "KeyError"),
        ("<html>bad gateway</html>", "JSONDecodeError"),
        (None, "No such file"),
    ],
)
def test_health_check_follows_the_monitor(tmp_path: Path, monitor: str | None, says: str | None) -> None:
    reply = tmp_path / "health.json"
    if monitor is not None:
        reply.write_text(monitor, encoding="utf-8")
    done = subprocess.run(
        [COMPOSE.parent / "deploy" / "healthy", reply.as_uri(), "scheduler"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is (says is None)
    assert (says or "") in done.stderr

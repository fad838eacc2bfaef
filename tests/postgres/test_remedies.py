"""Findings of `health` that need a server: their documented remedy removes them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metaalexport import health
from metaalexport.cli import app
from metaalexport.settings import Settings
from publish.postgres.server import PostgresServer
from tests.postgres.conftest import make_publication
from tests.postgres.server import free_port
from tests.unit.test_remedies import COMMAND

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("name", ["served_is_older", "server_is_away"])
def test_remedy_removes_the_finding(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("METAALEXPORT_PROFILE", "simulator")
    monkeypatch.setenv("METAALEXPORT_VAR", str(tmp_path))
    monkeypatch.setenv("METAALEXPORT_DATASETS", "cbs_85429ned")
    monkeypatch.setenv("METAALEXPORT_POSTGRES_PASSWORD", server.password)
    settings = Settings.from_environment()
    settings.state.mkdir()

    def go_to(port: int) -> None:
        monkeypatch.setenv("METAALEXPORT_POSTGRES_URL", f"postgresql://{server.host}:{port}/{server.database}")

    def found() -> dict[str, str]:
        findings = health.examine(settings)
        return {each.name: each.next_step for each in findings if each.name.startswith("serve")}

    go_to(server.port)
    make_publication(settings.state, 1).rename(settings.published)
    assert CliRunner().invoke(app, ["serve"]).exit_code == 0
    assert found() == {}
    make_publication(settings.state, 2).rename(settings.published)
    if name == "server_is_away":
        go_to(free_port())
    (command,) = COMMAND.findall(found()[name])
    go_to(server.port)
    assert CliRunner().invoke(app, shlex.split(command[1])).exit_code == 0
    assert found() == {}

"""The runbook's backup and restore commands, with the state deleted in between."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from extract.landing.store import Landing
from metaalexport import published
from tests.integration.conftest import SimulatedOffice

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(400)]
RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"


def test_a_lost_state_is_restored_to_the_same_content(simulated: SimulatedOffice, tmp_path: Path) -> None:
    section = RUNBOOK.read_text(encoding="utf-8").split("## Back up and restore\n")[1].split("\n## ")[0]
    # test_rebuild.py covers the third block, `rebuild`.
    backup, restore, _ = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    settings = simulated.settings
    state = tmp_path / "var" / "simulator"
    shutil.copytree(settings.state, state)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    environment = {
        **clean,
        "METAALEXPORT_VAR": str(state.parent),
        "METAALEXPORT_DATASETS": ",".join(settings.datasets),
        "METAALEXPORT_REPORTERS": ",".join(settings.reporters),
    }

    def run(commands: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(backup)
    subprocess.run(["rm", "-rf", str(state)], check=True)
    said = run(restore)
    before = published.query(settings, "select content_sha256 from ops.publication").rows[0][0]
    assert f"marts content {before}" in " ".join(said.split())
    assert f"landing content {Landing(settings.landing).content_hash()}" in " ".join(said.split())
    assert re.search(r"(\d+) of \1 raw payloads have the hash that names them", said)
    assert (state / "report" / "index.html").exists()

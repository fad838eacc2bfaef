"""`metaalexport run`, as `make run` calls it: two runs through Airflow on recorded replies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PE_FILM

# Two complete runs through Airflow take about 90 seconds.
pytestmark = [pytest.mark.integration, pytest.mark.long]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return a user's environment for a replay into a fresh folder."""
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not shared.is_dir():
        pytest.skip("the recorded payloads (../shared/data) are not part of a checkout")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    return {
        **clean,
        "METAALEXPORT_PROFILE": "replay",
        "METAALEXPORT_REPLAY": str(shared),
        "METAALEXPORT_SCOPES": str(PE_FILM),
        "METAALEXPORT_VAR": str(tmp_path_factory.mktemp("var")),
        "METAALEXPORT_REPORTERS": "NL",
    }


def metaalexport(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a `metaalexport` command as a user does."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("metaalexport")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def content_of(output: str) -> str:
    """Return the content hash of the marts from a run's output."""
    match = re.search(r"marts content ([0-9a-f]{64})", output)
    assert match, output
    return match[1]


def test_run_twice_publishes_the_same_content_and_downloads_nothing_new(environment: dict[str, str]) -> None:
    first = metaalexport(environment, "run")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    for word in ("gate_landing", "gate_candidate", "publish", "Top destinations", "Germany", "real data", "report"):
        assert word in first.stdout, word
    second = metaalexport(environment, "run")
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    assert second.stdout.count("unchanged") >= 2
    assert "is loaded already" in second.stdout
    assert content_of(first.stdout) == content_of(second.stdout)


def test_sql_lineage_status_and_verify_succeed(environment: dict[str, str]) -> None:
    asked = metaalexport(
        environment, "sql", "select count(*) as n from marts.rpt_destination_shares", "--format", "csv"
    )
    assert asked.returncode == 0, asked.stderr
    assert int(asked.stdout.splitlines()[1]) > 500
    traced = metaalexport(environment, "lineage", "DE", "2025-11", "--scope", "pe_film")
    assert traced.returncode == 0, traced.stdout + traced.stderr
    assert re.search(r"sha256\s+[0-9a-f]{64}", traced.stdout)
    assert re.search(r"bytes_on_disk\s+same", traced.stdout)
    assert "https://ec.europa.eu/eurostat/api/comext/dissemination/sdmx/2.1/data/DS-045409" in traced.stdout
    assert metaalexport(environment, "status").returncode == 0
    verified = metaalexport(environment, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_changed_raw_payload_is_detected(environment: dict[str, str]) -> None:
    objects = sorted((Path(environment["METAALEXPORT_VAR"]) / "replay" / "raw" / "objects").glob("*/*"))
    assert objects
    largest = max(objects, key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    largest.chmod(0o644)
    largest.write_bytes(content + b" ")
    try:
        verified = metaalexport(environment, "verify")
        assert verified.returncode == 1
        assert largest.name in verified.stderr.replace("\n", "")
        traced = metaalexport(environment, "lineage", "DE", "2025-11", "--scope", "pe_film")
        assert traced.returncode == 1
        assert "CHANGED" in traced.stdout
    finally:
        largest.write_bytes(content)
        largest.chmod(0o444)


def test_write_through_sql_is_refused(environment: dict[str, str]) -> None:
    refused = metaalexport(environment, "sql", "delete from marts.fct_exports")
    assert refused.returncode == 1
    assert "read-only" in refused.stderr.lower()


def test_a_wrong_setting_is_named_without_a_traceback(environment: dict[str, str]) -> None:
    wrong = metaalexport({**environment, "METAALEXPORT_REPLAY": "/no/such/folder"}, "run")
    assert wrong.returncode == 1
    assert "METAALEXPORT_REPLAY" in wrong.stderr
    assert "Traceback" not in wrong.stderr

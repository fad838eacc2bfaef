"""A copied state folder, in an environment with the settings of other projects."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from metaalexport import airflow_home
from tests.integration.conftest import SimulatedOffice, file_hash

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(400)]
# Logs and dbt's results describe past runs: no program reads paths from them.
HISTORY = (".log", "run_results.json")


def what_is_in(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the modification time and hash of each file."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, file_hash(path)) for path in files}


def pools_of(database: Path) -> set[str]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return {pool for (pool,) in connection.execute("select pool from slot_pool")}


def test_a_copied_state_works_in_place_and_does_not_touch_other_projects(
    simulated: SimulatedOffice, tmp_path: Path
) -> None:
    old, new, theirs = simulated.settings.state.parent, tmp_path / "new", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "airflow.db").touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    environment = {
        **clean,
        "METAALEXPORT_PROFILE": "simulator",
        "METAALEXPORT_DATASETS": ",".join(simulated.settings.datasets),
        "METAALEXPORT_REPORTERS": "NL",
        "METAALEXPORT_AIRFLOW_ADMIN_PASSWORD": "of-the-tests",
        "AIRFLOW_HOME": str(theirs),
        "AIRFLOW_CONFIG": str(theirs / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{theirs}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(theirs / "logs"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(theirs),
        "DBT_TARGET": "prod",
        "DBT_EMPTY": "1",
        "DBT_RESOURCE_TYPES": "seed",
        "GX_HOME": str(theirs),
    }

    def metaalexport(var: Path, *arguments: str) -> None:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("metaalexport")), *arguments],
            env={**environment, "METAALEXPORT_VAR": str(var)},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    metaalexport(old, "prepare")
    shutil.copytree(old, new)
    before = what_is_in(old)

    metaalexport(new, "prepare")
    metaalexport(new, "airflow", "pools", "set", "of_the_copy", "1", "made in the copy")
    metaalexport(new, "airflow", "dags", "reserialize")
    # The copied candidate can be published, and the next build reads the loads of the copy.
    metaalexport(new, "publish")
    metaalexport(new, "build")

    assert what_is_in(old) == before
    assert what_is_in(theirs) == {"airflow.db": what_is_in(theirs)["airflow.db"]}
    assert (theirs / "airflow.db").stat().st_size == 0
    databases = [folder / "simulator" / "airflow" / "airflow.db" for folder in (new, old)]
    assert [pools_of(path) - airflow_home.POOLS.keys() for path in databases] == [
        {"default_pool", "of_the_copy"},
        {"default_pool"},
    ]
    # Airflow logs its command lines verbatim, including paths.
    with closing(sqlite3.connect(databases[0], isolation_level=None)) as connection:
        connection.execute("delete from log")
        connection.execute("vacuum")
    told = {
        str(path.relative_to(new))
        for path in new.rglob("*")
        if path.is_file() and not path.name.endswith(HISTORY) and str(old).encode() in path.read_bytes()
    }
    assert told == set()

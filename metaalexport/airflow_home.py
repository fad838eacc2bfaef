"""Airflow's home: environment, database, pools and passwords."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from common.files import write_atomically
from metaalexport import alerts, inherited
from metaalexport.arguments import SettingsError
from metaalexport.settings import DAGS_FOLDER, Settings
from metaalexport.state import prepare_state

POOLS = {
    "duckdb_writer": {"slots": 1, "description": "DuckDB has one writer.", "include_deferred": False},
    "cbs_api": {"slots": 1, "description": "One extraction at a time at CBS.", "include_deferred": False},
    "eurostat_api": {"slots": 1, "description": "One extraction at a time at Eurostat.", "include_deferred": False},
}
PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
ALL_ADMINS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"
AUTH_MANAGER = "AIRFLOW__CORE__AUTH_MANAGER"
ONE_MACHINE = "metaalexport.one_machine.OneMachineAuthManager"
_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_LOCK_TIMEOUT_SECONDS = 60
EXECUTION_API = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"


class DagRunFailedError(Exception):
    """A DAG run ended in failure."""


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment that Airflow needs for a profile.

    Variables of Airflow, dbt, Great Expectations and PostgreSQL under their own names belong to other projects and are
    left out; ``METAALEXPORT_AIRFLOW__…`` and ``METAALEXPORT_AIRFLOW_CONN_…`` are passed on and take precedence.
    """
    foreign = inherited.foreign(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    defaults = {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW_CONFIG": str(settings.airflow_home / "airflow.cfg"),
        **_places(settings),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        PASSWORDS_FILE: str(settings.airflow_home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        # Tasks call the API server. At a first start the scheduler can be ready well before it, and by default a task
        # gives up after some ten seconds and is retried five minutes later. These settings allow some five minutes,
        # well under the ten after which Airflow requeues a queued task.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "25",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "30",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    profile = {"METAALEXPORT_PROFILE": settings.profile}
    # Airflow calls itself by name, and a Makefile does not activate the environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    given = inherited.for_airflow(os.environ)
    # Tasks call the API server, and under a simulated profile the simulator.
    direct = inherited.direct(kept, settings.simulator_url, given.get(EXECUTION_API, ""))
    return {**kept, **defaults, **alerts.webhook_environment(os.environ), **given, **direct, **profile, "PATH": path}


def _places(settings: Settings) -> dict[str, str]:
    """Return the Airflow options whose defaults the first start writes as absolute paths into airflow.cfg.

    Otherwise a moved or copied state folder would write to its old location.
    """
    home = settings.airflow_home
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        # The scheduler writes in long transactions on a busy machine; by default another writer, such as
        # `airflow backfill create`, fails after five seconds with "database is locked".
        _DATABASE: f"sqlite:///{_database(settings)}?timeout={_LOCK_TIMEOUT_SECONDS}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
    }


def _database(settings: Settings) -> Path:
    return settings.airflow_home / "airflow.db"


def prepare_airflow(settings: Settings, *, is_shared: bool = False) -> None:
    """Create or migrate Airflow's database and pools.

    Parameters
    ----------
    is_shared : bool
        True if several people use this Airflow; the administrator's password is then read from the environment.
    """
    settings.airflow_home.mkdir(parents=True, exist_ok=True)
    prepare_state(settings)
    environment = airflow_environment(settings)
    if is_shared:
        _write_passwords(Path(environment[PASSWORDS_FILE]))
    # A migration takes half of a second run's start and changes nothing while Airflow's version is the same.
    migrated = settings.airflow_home / f"migrated-{version('apache-airflow')}"
    is_own = environment[_DATABASE] == _places(settings)[_DATABASE]
    if not (is_own and migrated.exists() and _schema_of(_database(settings)) == migrated.read_text(encoding="utf-8")):
        pools = settings.airflow_home / "pools.json"
        pools.write_text(json.dumps(POOLS), encoding="utf-8")
        for command in (["db", "migrate"], ["pools", "import", str(pools)]):
            _airflow(command, environment, settings)
        # An external database may be replaced, so nothing is recorded for it.
        migrated.write_text(_schema_of(_database(settings)) if is_own else "", encoding="utf-8")
    _forget_places(settings)


def _schema_of(database: Path) -> str:
    """Return the schema version of Airflow's database; empty if it or one of the pools is missing."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            pools = {name for (name,) in connection.execute("select pool from slot_pool")}
            ((schema,),) = connection.execute("select version_num from alembic_version")
    except (sqlite3.Error, ValueError):
        return ""
    return str(schema) if pools >= POOLS.keys() else ""


def _forget_places(settings: Settings) -> None:
    """Remove from airflow.cfg the paths of the first start, which the environment sets."""
    config = settings.airflow_home / "airflow.cfg"
    if not config.exists():
        return
    options = "|".join(name.rpartition("__")[2].lower() for name in _places(settings))
    text = config.read_text(encoding="utf-8")
    without = re.sub(rf"^({options}) = .*\n", "", text, flags=re.MULTILINE)
    if without != text:
        write_atomically(config, without)


def _write_passwords(path: Path) -> None:
    """Write the file from which Airflow's simple auth manager reads the password of its only user."""
    password = os.environ.get("METAALEXPORT_AIRFLOW_ADMIN_PASSWORD", "")
    if not password:
        raise SettingsError(
            "Airflow's user admin has no password; next: set METAALEXPORT_AIRFLOW_ADMIN_PASSWORD"
            " (deploy/new-env makes one for docker-compose.yml)"
        )
    path.touch(mode=0o600)
    path.write_text(json.dumps({"admin": password}), encoding="utf-8")


def become_airflow(settings: Settings, command: list[str], *, wait_seconds: int) -> None:
    """Replace this process with an Airflow command in the environment of a profile.

    Raises
    ------
    DagRunFailedError
        If Airflow's database is not prepared within the time.
    """
    environment = airflow_environment(settings)
    if wait_seconds:
        settings.airflow_home.mkdir(parents=True, exist_ok=True)
        _airflow(["db", "check", "--retry", str(wait_seconds), "--retry-delay", "1"], environment, settings)
        _airflow(["db", "check-migrations", "--migration-wait-timeout", str(wait_seconds)], environment, settings)
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *command], environment)  # noqa: S606


def _airflow(command: list[str], environment: dict[str, str], settings: Settings) -> None:
    log = settings.airflow_home / "prepare.log"
    with log.open("a", encoding="utf-8") as handle:
        done = subprocess.run(  # noqa: S603 - fixed command
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise DagRunFailedError(f"`airflow {' '.join(command)}` failed; see {log}")

"""Run the DAGs once in this process, and prepare Airflow's home."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import requests

from common.files import write_atomically
from extract.landing.store import Landing
from metaalexport import alerts, inherited, stopping
from metaalexport.arguments import SettingsError
from metaalexport.settings import DAGS_FOLDER, Settings
from metaalexport.simulation import port_problem
from metaalexport.state import prepare_state

POOLS = {
    "duckdb_writer": {"slots": 1, "description": "DuckDB has one writer.", "include_deferred": False},
    "cbs_api": {"slots": 1, "description": "One extraction at a time at CBS.", "include_deferred": False},
    "eurostat_api": {"slots": 1, "description": "One extraction at a time at Eurostat.", "include_deferred": False},
}
# In this order when there is no scheduler to follow the assets.
INGEST_DAG_IDS = ("ingest_cbs", "ingest_eurostat")
DAG_IDS = (*INGEST_DAG_IDS, "build_warehouse")
_PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
_ALL_ADMINS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"
_AUTH_MANAGER = "AIRFLOW__CORE__AUTH_MANAGER"
_ONE_MACHINE = "metaalexport.one_machine.OneMachineAuthManager"
_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_LOCK_TIMEOUT_SECONDS = 60
_EXECUTION_API = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"


# Exit code of a run that published, though something that was wanted is not there.
PARTLY = 3


class DagRunFailedError(Exception):
    """A DAG run ended in failure."""


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment that Airflow needs for a profile.

    What the environment of this process says to Airflow, dbt, Great Expectations or PostgreSQL under their own names
    is meant for other projects and left out; ``METAALEXPORT_AIRFLOW__…`` and ``METAALEXPORT_AIRFLOW_CONN_…`` are passed
    on, and win.
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
        _PASSWORDS_FILE: str(settings.airflow_home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        # Tasks speak with the API server. At a first start the scheduler can be there well before it, and by default a
        # task gives up after some ten seconds, to be tried again five minutes later. This is some five minutes,
        # well under the ten after which Airflow takes a queued task back.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "25",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "30",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    profile = {"METAALEXPORT_PROFILE": settings.profile, "METAALEXPORT_STATE": str(settings.state)}
    # Airflow starts itself by name, and a Makefile does not activate the environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    given = inherited.for_airflow(os.environ)
    # Tasks speak with the API server, and under a simulated profile with the simulator.
    direct = inherited.direct(kept, settings.simulator_url, given.get(_EXECUTION_API, ""))
    return {**kept, **defaults, **alerts.webhook_environment(os.environ), **given, **direct, **profile, "PATH": path}


def _places(settings: Settings) -> dict[str, str]:
    """Return the options of Airflow whose defaults its first start writes as absolute paths into airflow.cfg.

    A folder of states that was moved or copied would write to where it was.
    """
    home = settings.airflow_home
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        # The scheduler writes in long transactions on a busy machine; by default another process that writes, such as
        # `airflow backfill create`, fails after five seconds with "database is locked".
        _DATABASE: f"sqlite:///{_database(settings)}?timeout={_LOCK_TIMEOUT_SECONDS}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
    }


def _database(settings: Settings) -> Path:
    return settings.airflow_home / "airflow.db"


def prepare_airflow(settings: Settings, *, is_shared: bool = False) -> None:
    """Create or migrate Airflow's database, and the pools.

    Parameters
    ----------
    is_shared : bool
        Whether several people use this Airflow; the password of its administrator is then taken from the environment.
    """
    settings.airflow_home.mkdir(parents=True, exist_ok=True)
    prepare_state(settings)
    environment = airflow_environment(settings)
    if is_shared:
        _write_passwords(Path(environment[_PASSWORDS_FILE]))
    # Migrating takes half of a second run's start and changes nothing while Airflow is the same.
    migrated = settings.airflow_home / f"migrated-{version('apache-airflow')}"
    is_own = environment[_DATABASE] == _places(settings)[_DATABASE]
    if not (is_own and migrated.exists() and _schema_of(_database(settings)) == migrated.read_text(encoding="utf-8")):
        pools = settings.airflow_home / "pools.json"
        pools.write_text(json.dumps(POOLS), encoding="utf-8")
        for command in (["db", "migrate"], ["pools", "import", str(pools)]):
            _airflow(command, environment, settings)
        # Of a database elsewhere nothing is remembered: the next one may be another.
        migrated.write_text(_schema_of(_database(settings)) if is_own else "", encoding="utf-8")
    _forget_places(settings)


def _schema_of(database: Path) -> str:
    """Return the version of the schema of Airflow's own database; empty where it or one of the pools is missing."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            pools = {name for (name,) in connection.execute("select pool from slot_pool")}
            ((schema,),) = connection.execute("select version_num from alembic_version")
    except (sqlite3.Error, ValueError):
        return ""
    return str(schema) if pools >= POOLS.keys() else ""


def _forget_places(settings: Settings) -> None:
    """Take out of airflow.cfg what the environment says: where the folder was when Airflow first started."""
    config = settings.airflow_home / "airflow.cfg"
    if not config.exists():
        return
    options = "|".join(name.rpartition("__")[2].lower() for name in _places(settings))
    text = config.read_text(encoding="utf-8")
    without = re.sub(rf"^({options}) = .*\n", "", text, flags=re.MULTILINE)
    if without != text:
        write_atomically(config, without)


def ui_port(environment: Mapping[str, str]) -> int:
    """Return the port of Airflow's UI, given its environment.

    Raises
    ------
    SettingsError
        If it is no number.
    """
    text = environment.get("AIRFLOW__API__PORT", "8080")
    if not text.isdecimal():
        raise SettingsError(f"METAALEXPORT_AIRFLOW__API__PORT is {text!r}, not a number from 1 to 65535")
    return int(text)


def free_ui_port(environment: Mapping[str, str]) -> int:
    """Return the port of Airflow's UI, given its environment.

    Raises
    ------
    SettingsError
        If it is no number, or taken.
    """
    port = ui_port(environment)
    if problem := port_problem(port):
        raise SettingsError(
            f"Airflow cannot listen on port {port}: {problem}; next: see whether it runs already, or set"
            " METAALEXPORT_AIRFLOW__API__PORT to another port"
        )
    return port


def _write_passwords(path: Path) -> None:
    """Write the file in which Airflow's simple auth manager looks for the password of its one user."""
    password = os.environ.get("METAALEXPORT_AIRFLOW_ADMIN_PASSWORD", "")
    if not password:
        raise SettingsError(
            "Airflow's user admin has no password; next: set METAALEXPORT_AIRFLOW_ADMIN_PASSWORD"
            " (deploy/new-env makes one for docker-compose.yml)"
        )
    path.touch(mode=0o600)
    path.write_text(json.dumps({"admin": password}), encoding="utf-8")


def become_airflow(settings: Settings, command: list[str], *, wait_seconds: int) -> None:
    """Replace this process by a command of Airflow, in the environment of a profile.

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
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise DagRunFailedError(f"`airflow {' '.join(command)}` failed; see {log}")


def run_dags(dag_ids: tuple[str, ...]) -> list[str]:
    """Run DAGs one after another in this process; one that loads and fails does not stop those after it.

    Returns
    -------
    list of str
        Each DAG that loads and failed, with its tasks that did. What became of each slice is in the journal.

    Raises
    ------
    DagRunFailedError
        If a DAG cannot be read, or one that does not load failed, naming its tasks.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS_FOLDER))
    if bag.import_errors:
        raise DagRunFailedError("\n".join(f"{path}: {error}" for path, error in bag.import_errors.items()))
    partly = []
    for dag_id in dag_ids:
        if dag_id not in INGEST_DAG_IDS and not any(Landing(Settings.from_environment().landing).committed()):
            raise DagRunFailedError("no load passed, so there is nothing to build")
        # Airflow 3.3.2 looks deadlines up in its database, where `test` has put none, and fails; no scheduler watches
        # them here anyway.
        bag.dags[dag_id].deadline = None
        run = bag.dags[dag_id].test()
        if str(run.state) != "success":
            failed = sorted({ti.task_id for ti in run.get_task_instances() if ti.state == "failed"})
            problem = f"{dag_id} failed in {', '.join(failed)}"
            if dag_id not in INGEST_DAG_IDS:
                raise DagRunFailedError(problem)
            partly.append(problem)
    return partly


def run_in_own_process(settings: Settings, dag_ids: tuple[str, ...], progress: Callable[[str], None]) -> bool:
    """Run DAGs in a process of their own, whose environment is set before Airflow is imported.

    Its log goes to a file; what the steps write into the journal is shown as it comes.

    Returns
    -------
    bool
        Whether all that was asked for was loaded; `gaps.read_gaps` tells what was not.

    Raises
    ------
    DagRunFailedError
        With the last words of the run and where its log is.
    """
    log = settings.airflow_home / "run.log"
    # A run that someone watches says at once what is wrong; the retries of a schedule are for the night.
    environment = {
        **airflow_environment(settings),
        "METAALEXPORT_TASK_RETRIES": "0",
        **dict.fromkeys((alerts.MAIL, alerts.WEBHOOK), ""),
    }
    if settings.is_simulated:
        environment["METAALEXPORT_SIMULATOR_URL"] = settings.simulator_url
    follower = _JournalFollower(settings.journal / "runs")
    with log.open("w", encoding="utf-8") as handle:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "metaalexport.airflow_run", *dag_ids],
            env=environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
            # Ctrl-C goes to this process alone, which ends the other one with all that it started.
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                time.sleep(0.3)
                follower.show_new(progress)
        finally:
            if process.poll() is None:
                stopping.end_whole(process.pid)
    follower.show_new(progress)
    if process.returncode not in (0, PARTLY):
        last = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-1:]
        raise DagRunFailedError(f"{' '.join(last)}\n  log: {log}")
    return process.returncode == 0


class _JournalFollower:
    """Shows the steps that finished since the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = {path: path.stat().st_mtime_ns for path in folder.glob("*.jsonl")}

    def show_new(self, progress: Callable[[str], None]) -> None:
        new = [
            (path.stat().st_mtime_ns, path)
            for path in self._folder.glob("*.jsonl")
            if self._seen.get(path) != path.stat().st_mtime_ns
        ]
        for moment, path in sorted(new):
            self._seen[path] = moment
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                started, finished = (datetime.fromisoformat(row[name]) for name in ("started_at", "finished_at"))
                seconds = (finished - started).total_seconds()
                progress(
                    f"{finished:%H:%M:%S}  {row['step']:18} {row['outcome']:9} {seconds:6.1f} s  {row['subject']}"
                    f"  {row['detail']}"
                )


def serve(settings: Settings, progress: Callable[[str], None]) -> None:
    """Run Airflow's components on this machine until interrupted, each with a log of its own.

    `airflow standalone` would do the same, but its log servers listen on all interfaces; on one machine the UI
    reads the logs from disk.

    Raises
    ------
    SettingsError
        If the port of the UI is taken.
    DagRunFailedError
        If a component stops by itself.
    """
    environment = airflow_environment(settings)
    environment = {_AUTH_MANAGER: _ONE_MACHINE, _ALL_ADMINS: "True", **environment}
    port = free_ui_port(environment)
    environment[_EXECUTION_API] = f"http://127.0.0.1:{port}/execution/"
    components = {
        "api-server": ["api-server", "--host", "127.0.0.1", "--port", str(port)],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }
    progress(f"Airflow starts on http://localhost:{port} (profile {settings.profile}); Ctrl-C stops it")
    progress(_who_may_enter(environment))
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in components.items():
            log = settings.airflow_home / f"{name}.log"
            progress(f"  {name:14} log: {log}")
            with log.open("w", encoding="utf-8") as handle:
                running[name] = subprocess.Popen(  # noqa: S603 - our own environment's Airflow
                    [sys.executable, "-m", "airflow", *command],
                    env=environment,
                    stdout=handle,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        is_ready = False
        while all(process.poll() is None for process in running.values()):
            if not is_ready and (is_ready := _is_ready(f"http://127.0.0.1:{port}")):
                progress(f"ready: http://localhost:{port}")
            time.sleep(0.5)
        stopped = next(name for name, process in running.items() if process.poll() is not None)
        raise DagRunFailedError(f"{stopped} stopped by itself; see {settings.airflow_home / f'{stopped}.log'}")
    except KeyboardInterrupt:
        progress("stopping")
        raise
    finally:
        stopping.end_whole(*(process.pid for process in running.values()))


def _who_may_enter(environment: Mapping[str, str]) -> str:
    """Say who can use the UI; where that takes a password, let nobody else read the file that will hold it."""
    if environment[_AUTH_MANAGER] != _ONE_MACHINE:
        return f"login: as {environment[_AUTH_MANAGER]} has it"
    if environment[_ALL_ADMINS].lower() in ("true", "t", "1"):
        return (
            "no login: every account and program of this machine can see and change all in it; other machines, and web"
            f" pages of other sites, cannot; next: METAALEXPORT_{_ALL_ADMINS}=False asks for a password"
        )
    passwords = Path(environment[_PASSWORDS_FILE])
    passwords.touch(mode=0o600)
    return f"login: admin, with the password that Airflow writes into {passwords}"


def _is_ready(url: str) -> bool:
    """Say whether all components answer."""
    with requests.Session() as session:
        # No proxy reaches this machine's own addresses.
        session.trust_env = False
        try:
            health = session.get(f"{url}/api/v2/monitor/health", timeout=2).json()
        except requests.RequestException:
            return False
    return all(health[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))


def main(dag_ids: list[str]) -> int:
    """Run the DAGs named on the command line; the environment is set already."""
    try:
        partly = run_dags(tuple(dag_ids))
    except DagRunFailedError as error:
        print(error)  # noqa: T201 - the last line of this process's log
        return 1
    for problem in partly:
        print(problem)  # noqa: T201
    return PARTLY if partly else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

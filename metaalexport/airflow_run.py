"""One-off runs of the DAGs in this process, and the services of Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import requests

from extract.landing.store import Landing
from metaalexport import alerts, stopping
from metaalexport.airflow_home import (
    ALL_ADMINS,
    AUTH_MANAGER,
    EXECUTION_API,
    ONE_MACHINE,
    PASSWORDS_FILE,
    DagRunFailedError,
    airflow_environment,
)
from metaalexport.arguments import SettingsError
from metaalexport.settings import DAGS_FOLDER, Settings
from metaalexport.simulation import port_problem

# Order of the DAGs without a scheduler to follow the assets.
INGEST_DAG_IDS = ("ingest_cbs", "ingest_eurostat")
DAG_IDS = (*INGEST_DAG_IDS, "build_warehouse")
# Exit code of a run that published, but with something missing.
PARTLY = 3


def ui_port(environment: Mapping[str, str]) -> int:
    """Return the port of Airflow's UI, given its environment.

    Raises
    ------
    SettingsError
        If it is not a number.
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
        If it is not a number, or in use.
    """
    port = ui_port(environment)
    if problem := port_problem(port):
        raise SettingsError(
            f"Airflow cannot listen on port {port}: {problem}; next: check whether it is already running, or set"
            " METAALEXPORT_AIRFLOW__API__PORT to another port"
        )
    return port


def run_dags(dag_ids: tuple[str, ...]) -> list[str]:
    """Run DAGs one after another in this process; a failed ingest DAG does not stop the next ones.

    Returns
    -------
    list of str
        Each failed ingest DAG with its failed tasks. The outcome of each slice is in the journal.

    Raises
    ------
    DagRunFailedError
        If a DAG cannot be imported, or another DAG than an ingest DAG failed, naming its tasks.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS_FOLDER))
    if bag.import_errors:
        raise DagRunFailedError("\n".join(f"{path}: {error}" for path, error in bag.import_errors.items()))
    partly = []
    for dag_id in dag_ids:
        if dag_id not in INGEST_DAG_IDS and not any(Landing(Settings.from_environment().landing).committed()):
            raise DagRunFailedError("no load passed, so there is nothing to build")
        # Airflow 3.3.2 fails as it looks up deadlines in its database, where `test` stores none; without a scheduler
        # deadlines have no effect anyway.
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
    """Run DAGs in a separate process, whose environment is set before Airflow is imported.

    Its log goes to a file; journal entries are shown as they are written.

    Returns
    -------
    bool
        True if everything requested was loaded; `gaps.read_gaps` returns the rest.

    Raises
    ------
    DagRunFailedError
        With the last line of the run's log and the log's path.
    """
    log = settings.airflow_home / "run.log"
    # An interactive run reports errors at once; retries are for scheduled runs.
    environment = {
        **airflow_environment(settings),
        "METAALEXPORT_TASK_RETRIES": "0",
        **dict.fromkeys((alerts.MAIL, alerts.WEBHOOK), ""),
    }
    if settings.is_simulated:
        environment["METAALEXPORT_SIMULATOR_URL"] = settings.simulator_url
    follower = _JournalFollower(settings.journal / "runs")
    with log.open("w", encoding="utf-8") as handle:
        process = subprocess.Popen(  # noqa: S603 - fixed command
            [sys.executable, "-m", "metaalexport.airflow_run", *dag_ids],
            env=environment,
            stdout=handle,
            stderr=subprocess.STDOUT,
            # Ctrl-C goes only to this process, which ends the other one and its children.
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
    """Follower of the journal that shows newly finished steps."""

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
    """Run Airflow's components on this machine until interrupted, each with its own log.

    Replaces `airflow standalone`, whose log servers listen on all interfaces; on one machine the UI reads the logs
    from disk.

    Raises
    ------
    SettingsError
        If the port of the UI is in use.
    DagRunFailedError
        If a component stops by itself.
    """
    environment = airflow_environment(settings)
    environment = {AUTH_MANAGER: ONE_MACHINE, ALL_ADMINS: "True", **environment}
    port = free_ui_port(environment)
    environment[EXECUTION_API] = f"http://127.0.0.1:{port}/execution/"
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
                running[name] = subprocess.Popen(  # noqa: S603 - Airflow of this environment
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
    """Return a description of who can use the UI; restrict access to the password file, if one is used."""
    if environment[AUTH_MANAGER] != ONE_MACHINE:
        return f"login: as {environment[AUTH_MANAGER]} has it"
    if environment[ALL_ADMINS].lower() in ("true", "t", "1"):
        return (
            "no login: every account and program of this machine can see and change all in it; other machines, and web"
            f" pages of other sites, cannot; next: METAALEXPORT_{ALL_ADMINS}=False requires a password"
        )
    passwords = Path(environment[PASSWORDS_FILE])
    passwords.touch(mode=0o600)
    return f"login: admin, with the password that Airflow writes into {passwords}"


def _is_ready(url: str) -> bool:
    """True if all components are healthy."""
    with requests.Session() as session:
        # No proxy reaches this machine's own addresses.
        session.trust_env = False
        try:
            health = session.get(f"{url}/api/v2/monitor/health", timeout=2).json()
        except requests.RequestException:
            return False
    return all(health[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))


def main(dag_ids: list[str]) -> int:
    """Run the DAGs named on the command line; the environment is already set."""
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

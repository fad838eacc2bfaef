"""A user's machine: environment variables that the warehouse's tools inherit, and a state that was moved."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from metaalexport import airflow_home, dbt, gates, inherited
from metaalexport.airflow_home import POOLS, airflow_environment, prepare_airflow
from metaalexport.settings import DAGS_FOLDER, Settings

FOREIGN = {
    "AIRFLOW_HOME": "/theirs",
    "AIRFLOW_CONFIG": "/theirs/airflow.cfg",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://theirs/airflow",
    "AIRFLOW__CORE__DAGS_FOLDER": "/theirs/dags",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/theirs/logs",
    "AIRFLOW__API__PORT": "9999",
    "AIRFLOW_CONN_SMTP_DEFAULT": "smtp://theirs",
    "_AIRFLOW_PROCESS_CONTEXT": "client",
    "__AIRFLOW_SUPERVISOR_FD": "7",
    "DBT_TARGET": "prod",
    "DBT_ENGINE_TARGET": "prod",
    "DBT_EMPTY": "1",
    "GX_HOME": "/theirs",
    "PGHOST": "theirs",
    "PGCONNECT_TIMEOUT": "1",
}
OURS = {"METAALEXPORT_PROFILE": "live", "HOME": "/home", "PGP_KEY": "x", "DBTX": "x", "AIRFLOWS": "x"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("simulator", tmp_path / "var" / "simulator")


@pytest.fixture
def _foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)


def test_foreign_variables_are_those_that_the_tools_read() -> None:
    assert inherited.foreign({**FOREIGN, **OURS}) == sorted(FOREIGN)
    assert inherited.foreign({**FOREIGN, **OURS}, "dbt") == ["DBT_EMPTY", "DBT_ENGINE_TARGET", "DBT_TARGET"]


@pytest.mark.usefixtures("_foreign")
def test_airflow_does_not_inherit_foreign_variables(settings: Settings) -> None:
    environment = airflow_environment(settings)
    assert {name: value for name, value in FOREIGN.items() if environment.get(name) == value} == {}
    assert "AIRFLOW_CONN_SMTP_DEFAULT" not in environment
    home = settings.airflow_home
    expected = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
        "AIRFLOW__CORE__PLUGINS_FOLDER": f"{home}/plugins",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": f"{home}/logs/dag_processor",
    }
    assert {name: environment[name] for name in expected} == expected


@pytest.mark.usefixtures("_foreign")
def test_airflow_receives_the_variables_of_this_warehouse(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAALEXPORT_AIRFLOW__API__PORT", "8090")
    monkeypatch.setenv("METAALEXPORT_AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://ours/airflow")
    monkeypatch.setenv("METAALEXPORT_AIRFLOW_CONN_SMTP_DEFAULT", "smtp://ours")
    monkeypatch.setenv("METAALEXPORT_AIRFLOW_ADMIN_PASSWORD", "of-the-admin")
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__API__PORT"] == "8090"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql://ours/airflow"
    assert environment["AIRFLOW_CONN_SMTP_DEFAULT"] == "smtp://ours"
    assert "AIRFLOW_ADMIN_PASSWORD" not in environment


@pytest.mark.usefixtures("_foreign")
def test_dbt_in_this_process_does_not_inherit_foreign_variables(settings: Settings) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    with dbt.dbt_environment(settings):
        assert inherited.foreign(os.environ, "dbt") == []
        assert Path.cwd() == settings.state
    assert os.environ["DBT_TARGET"] == "prod"


@pytest.mark.usefixtures("_foreign")
def test_great_expectations_does_not_inherit_foreign_variables(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(gates, "build_data_docs", lambda folder: heard.append(dict(os.environ)))
    gates.write_data_docs(settings)
    assert inherited.foreign(heard[0], "Great Expectations") == []
    assert heard[0]["GX_ANALYTICS_ENABLED"] == "false"


@pytest.fixture
def migrations(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the recorded Airflow commands; the first creates a database as Airflow would."""
    calls: list[str] = []

    def airflow(command: list[str], environment: dict[str, str], settings: Settings) -> None:
        calls.append(command[0])
        database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].removeprefix("sqlite:///").partition("?")[0]
        if command[0] == "db" and "://" not in database:
            make_database(Path(database), "new")
            (settings.airflow_home / "airflow.cfg").write_text(
                f"[core]\ndags_folder = {settings.airflow_home}/dags\nparallelism = 7\n"
                f"[database]\nsql_alchemy_conn = sqlite:///{database}\n[api]\nsecret_key = kept\n"
            )

    monkeypatch.setattr(airflow_home, "_airflow", airflow)
    monkeypatch.setattr(airflow_home, "prepare_state", lambda settings: None)
    return calls


def make_database(path: Path, schema: str, pools: tuple[str, ...] = tuple(POOLS)) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values (?)", [schema])
        connection.execute("create table slot_pool (pool text)")
        connection.executemany("insert into slot_pool values (?)", [(pool,) for pool in pools])
        connection.commit()


def test_database_is_migrated_once(settings: Settings, migrations: list[str]) -> None:
    prepare_airflow(settings)
    prepare_airflow(settings)
    assert migrations == ["db", "pools"]


@pytest.mark.parametrize("other", [("old", tuple(POOLS)), ("new", ()), None])
def test_replaced_database_is_migrated_again(
    settings: Settings, migrations: list[str], other: tuple[str, tuple[str, ...]] | None
) -> None:
    prepare_airflow(settings)
    database = settings.airflow_home / "airflow.db"
    database.unlink()
    if other is not None:
        make_database(database, *other)
    prepare_airflow(settings)
    assert migrations == ["db", "pools"] * 2


def test_external_database_is_migrated_every_time(
    settings: Settings, migrations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_airflow(settings)
    monkeypatch.setenv("METAALEXPORT_AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://db/airflow")
    prepare_airflow(settings)
    prepare_airflow(settings)
    assert migrations == ["db", "pools"] * 3


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_writer_waits_a_minute_for_the_airflow_database(settings: Settings, driver: str) -> None:
    url = make_url(airflow_environment(settings)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).set(drivername=driver)
    dialect = url.get_dialect()()
    (path,), options = dialect.create_connect_args(url)
    assert (path, options["timeout"]) == (str(settings.airflow_home / "airflow.db"), 60.0)


def test_airflow_config_contains_no_paths(settings: Settings, migrations: list[str]) -> None:
    prepare_airflow(settings)
    kept = (settings.airflow_home / "airflow.cfg").read_text()
    assert kept == "[core]\nparallelism = 7\n[database]\n[api]\nsecret_key = kept\n"


def test_this_machine_and_the_simulator_bypass_a_proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example, 127.0.0.1")
    monkeypatch.setenv("METAALEXPORT_AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://api-server:8080/execution/")
    environment = airflow_environment(replace(settings, simulator_url="http://simulator:8765"))
    expected = "intranet.example,127.0.0.1,localhost,::1,simulator,api-server"
    assert (environment["NO_PROXY"], environment["no_proxy"]) == (expected, expected)

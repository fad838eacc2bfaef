"""The commands that send requests to the offices, run as a user runs them: alone, concurrently, and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from extract.landing.store import Landing
from metaalexport.journal import Journal
from metaalexport.settings import Settings
from simulator.server import run_simulator

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.enable_socket]
LOAD = ("load", "eurostat_ds_045409", "--reporter", "NL", "--from", "2026-01")
DATA = "/data/DS-045409"


@pytest.fixture(scope="module")
def office() -> Iterator[str]:
    with run_simulator(release=11) as url:
        yield url


def environment_in(office: str, folder: Path) -> dict[str, str]:
    """Return a user's environment with an empty state."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    return {**clean, "METAALEXPORT_SIMULATOR_URL": office, "METAALEXPORT_VAR": str(folder / "var")}


@pytest.fixture
def environment(office: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    yield environment_in(office, tmp_path)
    requests.delete(f"{office}/_simulator/faults", timeout=10).raise_for_status()


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("metaalexport")), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its exit code and its output with whitespace collapsed."""
    output, errors = process.communicate(timeout=120)
    return process.returncode, " ".join((output + errors).split())


def metaalexport(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    return end(start(environment, *arguments))


def slow_office(office: str, seconds: float) -> None:
    """Delay the next data reply by `seconds`."""
    fault = {"match": DATA, "kind": "slow", "times": 1, "delay_seconds": seconds}
    requests.post(f"{office}/_simulator/faults", json=[fault], timeout=10).raise_for_status()


def wait_for_data_request(office: str) -> None:
    """Wait until the office receives a data request."""
    deadline = time.monotonic() + 60
    while not any(DATA in entry["url"] for entry in requests.get(f"{office}/_simulator/requests", timeout=10).json()):
        assert time.monotonic() < deadline, "the run sent no data request"
        time.sleep(0.02)


def landing_of(environment: dict[str, str]) -> Landing:
    return Landing(Settings.from_environment(environment).landing)


@pytest.fixture(scope="module")
def expected(office: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the landing's content hash after an undisturbed run."""
    alone = environment_in(office, tmp_path_factory.mktemp("alone"))
    code, said = metaalexport(alone, *LOAD)
    assert code == 0, said
    return landing_of(alone).content_hash()


def clear_log(office: str) -> None:
    requests.delete(f"{office}/_simulator/requests", timeout=10).raise_for_status()


def test_two_concurrent_loads_end_like_a_single_load(environment: dict[str, str], office: str, expected: str) -> None:
    clear_log(office)
    slow_office(office, 3.0)
    first = start(environment, *LOAD)
    wait_for_data_request(office)
    second = start(environment, *LOAD)
    (code, said), (other_code, other_said) = end(first), end(second)
    assert (code, other_code) == (0, 0), said + other_said
    waiting = "waiting: another run holds the connection to eurostat"
    assert [waiting in text for text in (said, other_said)] == [False, True]
    # Either run may commit once both have fetched; the other one reports that.
    assert ["unchanged" in text or "is loaded already" in text for text in (said, other_said)].count(True) == 1
    landing = landing_of(environment)
    assert len(list(landing.committed())) == 1
    assert landing.content_hash() == expected


def test_a_load_that_may_not_wait_reports_that_another_run_holds_the_office(
    environment: dict[str, str], office: str
) -> None:
    clear_log(office)
    slow_office(office, 6.0)
    first = start(environment, *LOAD)
    wait_for_data_request(office)
    code, said = metaalexport({**environment, "METAALEXPORT_LOCK_WAIT_SECONDS": "0"}, *LOAD)
    assert code == 1
    assert "eurostat_ds_045409: another run holds the connection to eurostat" in said
    assert "next: wait for the other run, then start this one again; nothing of it was lost" in said
    assert "Traceback" not in said
    code, said = end(first)
    assert code == 0, said
    assert len(list(landing_of(environment).committed())) == 1


def test_a_killed_load_releases_the_office_lock_and_the_next_load_succeeds(
    environment: dict[str, str], office: str, expected: str
) -> None:
    clear_log(office)
    slow_office(office, 20.0)
    first = start(environment, *LOAD)
    wait_for_data_request(office)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=20)
    assert list(landing_of(environment).committed()) == []
    code, said = metaalexport({**environment, "METAALEXPORT_LOCK_WAIT_SECONDS": "0"}, *LOAD)
    assert code == 0, said
    assert landing_of(environment).content_hash() == expected


def test_a_withdrawn_load_is_replaced_only_by_the_next_version(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    assert metaalexport(environment, *LOAD)[0] == 0
    (load,) = Landing(settings.landing).committed()
    code, said = metaalexport(environment, "withdraw", load.load_id, "--reason", "values of May are too high")
    assert (code, load.load_id in said) == (0, True)
    assert list(Landing(settings.landing).committed()) == []
    code, said = metaalexport(environment, *LOAD)
    assert code == 0
    assert "values of May are too high; the next version will be loaded" in said
    # The same replies are not loaded under another name either.
    code, said = metaalexport(environment, *LOAD, "--again")
    assert (code, f"reinstate {load.load_id}" in said) == (1, True)
    assert "values of May are too high" in metaalexport(environment, "status")[1]
    assert metaalexport(environment, "reinstate", load.load_id)[0] == 0
    assert list(Landing(settings.landing).committed()) == [load]
    # A rejected user command is an error for the user, not a failure of the pipeline.
    code, said = metaalexport(environment, "reinstate", load.load_id)
    assert (code, "there is no withdrawn load" in said) == (1, True)
    steps = [row for row in Journal(settings.journal).read("runs") if row["step"] in ("withdraw", "reinstate")]
    assert [row["outcome"] for row in steps] == ["done", "done"]


def test_a_scope_without_existing_codes_is_reported_and_the_others_are_loaded(
    environment: dict[str, str], tmp_path: Path
) -> None:
    columns = "scope_code;scope_name_en;scope_name_nl;nomenclature_code;product_code"
    scopes = tmp_path / "scopes.csv"
    scopes.write_text(
        f"{columns}\nslip;Slip;Fout;CN;0199\nslip;Slip;Fout;CN;9998\nfine;Fine;Goed;CN;7601\nfine;Fine;Goed;CN;9998\n"
    )
    given = {**environment, "METAALEXPORT_SCOPES": str(scopes)}
    code, said = metaalexport(given, *LOAD)
    assert code == 3, said
    assert "scope 'slip' is empty: no office has its codes 0199 (CN), 9998 (CN)" in said
    assert "scope 'fine'" not in said
    assert len(list(landing_of(given).committed())) == 1
    assert "scope 'slip' is empty" in metaalexport(given, "status")[1]
    code, said = metaalexport(given, "health", "--json")
    assert (code, '"scope_is_empty"' in said) == (2, True), said
    # The next load requests the corrected scope.
    scopes.write_text(scopes.read_text().replace("0199", "7602"))
    code, said = metaalexport(given, *LOAD)
    assert (code, "is empty" in said) == (0, False), said


def test_doctor_lists_each_check_of_this_machine(environment: dict[str, str]) -> None:
    code, said = metaalexport(environment, "doctor")
    assert code == 0, said
    assert re.search(r"is_right", said)
    assert said.count(" yes ") >= 3
    assert " NO " not in said


def test_doctor_lists_settings_of_other_projects_and_ports_in_use(environment: dict[str, str], office: str) -> None:
    code, said = metaalexport({**environment, "AIRFLOW_HOME": "/secret", "HTTP_PROXY": "http://secret"}, "doctor")
    assert code == 0, said
    assert "AIRFLOW_HOME" in said
    assert "HTTP_PROXY; bypassed for this machine" in said
    assert f"port {office.rpartition(':')[2]}" in said
    assert "simulator: another program has it" in said
    assert "secret" not in said


def test_doctor_reports_a_state_folder_that_cannot_be_created_next_to_its_other_checks(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, said = metaalexport({**environment, "METAALEXPORT_VAR": str(tmp_path / "file")}, "doctor")
    assert code == 1
    # A long path wraps the cells of the table.
    assert re.search("state folder +│ NO", said)
    assert "great-expectations" in said


def test_a_simulator_that_cannot_listen_suggests_a_free_port(environment: dict[str, str], office: str) -> None:
    code, said = metaalexport(environment, "simulate", "--port", "99999")
    assert code == 1
    assert "a port is a number from 1 to 65535; next: metaalexport simulate --port " in said
    port = office.rpartition(":")[2]
    code, said = metaalexport(environment, "simulate", "--port", port)
    assert code == 1
    assert f"port {port} of 127.0.0.1: another program has it; next: metaalexport simulate --port " in said
    for url in ("http://127.0.0.1:99999", "http://127.0.0.1:x"):
        code, said = metaalexport({**environment, "METAALEXPORT_SIMULATOR_URL": url}, *LOAD)
        assert (code, f"METAALEXPORT_SIMULATOR_URL is '{url}'" in said) == (1, True)
        assert "Traceback" not in said


def test_up_rejects_a_taken_or_invalid_airflow_port_before_it_starts(environment: dict[str, str], office: str) -> None:
    for port, problem in ((office.rpartition(":")[2], "another program has it"), ("http", "not a number from 1")):
        given = {**environment, "METAALEXPORT_PROFILE": "simulator", "METAALEXPORT_AIRFLOW__API__PORT": port}
        code, said = metaalexport(given, "up")
        assert (code, problem in said) == (1, True), said
        assert "METAALEXPORT_AIRFLOW__API__PORT" in said


def test_doctor_compares_the_simulator_with_the_registry_and_keeps_the_replies(environment: dict[str, str]) -> None:
    code, said = metaalexport(environment, "doctor", "--simulator", "--dataset", "cbs_85429ned")
    assert code == 0, said
    assert "as declared" in said
    assert "differs" not in said
    raw = Settings.from_environment(environment).raw
    assert str(raw) in said
    assert len(list((raw / "objects").glob("*/*"))) > 3


def test_doctor_names_the_check_that_would_stop_a_load_and_predicts_the_run(
    environment: dict[str, str], office: str
) -> None:
    fault = {"match": "85429NED/MeasureCodes", "kind": "unit"}
    requests.post(f"{office}/_simulator/faults", json=[fault], timeout=10).raise_for_status()
    code, said = metaalexport(environment, "doctor", "--simulator", "--dataset", "cbs_85429ned")
    assert code == 1
    assert "1 000 euro" in said
    assert "Registry lines that would correct it" in said
    assert "cbs_85429ned NL is missing: contract_is_kept" in said
    assert "next: `metaalexport doctor --simulator --write` may correct it" in said
    assert "a run against the simulator would publish: cbs_85429ned no because contract_is_kept" in said
    state = Settings.from_environment(environment).state
    assert list(Landing(state / "landing").committed()) == []
    # Only `--write` stores corrections, and a simulator's replies verify nothing.
    assert not (state / "overlay").exists()
    assert not (state / "verified.json").exists()


def test_doctor_write_requires_live(environment: dict[str, str]) -> None:
    code, said = metaalexport(environment, "doctor", "--write")
    assert (code, "--write needs --live" in said) == (2, True)


def test_discover_finds_tables_and_names_the_registry_entry(environment: dict[str, str]) -> None:
    code, said = metaalexport(environment, "discover", "cbs", "goederen", "grensoverschrijding")
    assert code == 0, said
    assert "85429NED" in said
    assert "cbs_85429ned" in said
    code, said = metaalexport(environment, "discover", "cbs", "no-table-has-this-word")
    assert (code, said) == (0, "0 tables of cbs have no-table-has-this-word in title or id")
    code, said = metaalexport(environment, "discover", "istat", "export")
    assert code == 2
    assert "known: cbs, eurostat" in said


def test_calendar_lists_planned_publications(environment: dict[str, str]) -> None:
    code, said = metaalexport(environment, "calendar", "--from", "2026-07-01", "--to", "2026-12-31")
    assert code == 0, said
    assert re.search(r"[1-9]\d* publications planned from 2026-07-01 to 2026-12-31", said)

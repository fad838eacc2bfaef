"""Access to Airflow's UI on one machine, where it has no login."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from metaalexport import airflow_run
from metaalexport.settings import Settings

ASKED: list[str] = []


def client(base_url: str = "") -> TestClient:
    from metaalexport.one_machine import OwnPagesOnly

    async def change(request: Request) -> PlainTextResponse:
        ASKED.append(request.url.path)
        return PlainTextResponse("done", headers={"content-security-policy": "default-src 'self'"})

    app = Starlette(routes=[Route("/change", change, methods=["GET", "POST"])])
    return TestClient(OwnPagesOnly(app, base_url), base_url="http://localhost:8080")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "LOCALHOST:9090"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://localhost:8080"},
        {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"},
    ],
    ids=str,
)
def test_programs_and_own_pages_are_answered(headers: dict[str, str]) -> None:
    reply = client().post("/change", headers=headers)
    assert reply.text == "done"
    assert "frame-ancestors 'self'" in reply.headers.get_list("content-security-policy")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:8080"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},
        {"Host": "localhost.evil.example"},
        {"Host": "evil.example@localhost:8080.evil.example"},
        {"Host": ""},
        {"Host": "[::ffff:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost:8080.evil.example"},
        {"Origin": "http://["},
        {"Origin": "null"},
        {"Origin": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_foreign_pages_are_refused_with_a_reason(headers: dict[str, str], method: str) -> None:
    ASKED.clear()
    reply = client().request(method, "/change", headers=headers)
    assert (reply.status_code, ASKED) == (403, [])
    assert "next:" in reply.text or "another site" in reply.text


def test_public_address_can_be_configured() -> None:
    behind = client("https://airflow.example/here")
    own = {"Host": "airflow.example", "Origin": "https://airflow.example"}
    assert behind.post("/change", headers=own).text == "done"
    # A web server in front may pass its own host name or the local one.
    assert behind.post("/change", headers={"Origin": "https://airflow.example"}).text == "done"
    assert behind.post("/change", headers={"Host": "other.example"}).status_code == 403
    assert behind.post("/change", headers={"Origin": "https://other.example"}).status_code == 403


def test_guard_runs_before_anyone_becomes_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    from metaalexport.one_machine import OneMachineAuthManager, OwnPagesOnly

    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    names = [middleware for middleware, _ in OneMachineAuthManager().get_fastapi_middlewares()]
    # Starlette calls the middleware that was added last first.
    assert len(names) == 2
    assert names[-1] is OwnPagesOnly


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no login: every account and program of this machine"),
        ({"METAALEXPORT_AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False"}, "login: admin, with the password"),
        ({"METAALEXPORT_AIRFLOW__CORE__AUTH_MANAGER": "a.Manager"}, "login: as a.Manager has it"),
    ],
    ids=["open", "password", "own"],
)
def test_up_states_who_has_access_and_supports_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    started: list[dict[str, str]] = []
    monkeypatch.setattr(airflow_run, "free_ui_port", lambda environment: 8080)
    monkeypatch.setattr("metaalexport.stopping.end_whole", lambda *pids: None)

    def start(command: list[str], *, env: dict[str, str], **options: object) -> None:
        started.append(env)
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.Popen", start)
    settings = Settings(profile="simulator", state=tmp_path)
    settings.airflow_home.mkdir(parents=True)
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        airflow_run.serve(settings, told.append)
    assert any(line.startswith(said) for line in told)
    (environment,) = started
    for name, value in given.items():
        assert environment[name.removeprefix("METAALEXPORT_")] == value
    passwords = settings.airflow_home / "passwords.json"
    assert passwords.exists() == ("password" in said)
    assert not passwords.exists() or passwords.stat().st_mode & 0o077 == 0

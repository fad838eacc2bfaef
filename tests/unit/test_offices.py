"""The profile of a run that names none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from metaalexport import offices
from metaalexport.settings import Settings

Answers = Callable[[str], Any]


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[[str], Settings]:
    return lambda profile: Settings(profile=profile, state=tmp_path / profile)


class Reply(SimpleNamespace):
    """The parts of a reply that are read."""

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""


def answer(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> list[str]:
    """Make the offices answer as given; return the requested addresses."""
    asked: list[str] = []

    def get(url: str, *, timeout: float, stream: bool) -> Any:
        assert timeout <= 10
        asked.append(url)
        return answers(url)

    monkeypatch.setattr(requests, "get", get)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return asked


def refuse(url: str) -> Any:
    raise requests.ConnectionError("no route to host")


def test_live_profile_is_chosen_if_both_offices_answer(
    monkeypatch: pytest.MonkeyPatch, settings_of: Callable[[str], Settings]
) -> None:
    asked = answer(monkeypatch, lambda url: Reply(ok=True, status_code=200))
    assert offices.choose_profile(settings_of).profile == "live"
    assert {url.split("/")[2] for url in asked} == {"datasets.cbs.nl", "ec.europa.eu"}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (refuse, "cbs does not answer: ConnectionError"),
        (lambda url: Reply(ok="cbs" in url, status_code=503), "eurostat does not answer: HTTP 503"),
    ],
    ids=["no network", "one office is down"],
)
def test_simulator_is_chosen_with_a_reason_if_an_office_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, settings_of: Callable[[str], Settings], answers: Answers, reason: str
) -> None:
    answer(monkeypatch, answers)
    choice = offices.choose_profile(settings_of)
    assert choice.profile == "simulator"
    assert reason in choice.reason
    assert "SIMULATED" in choice.reason
    assert "set HTTPS_PROXY" in choice.reason


def test_proxy_is_named_without_its_address(
    monkeypatch: pytest.MonkeyPatch, settings_of: Callable[[str], Settings]
) -> None:
    answer(monkeypatch, refuse)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    reason = offices.choose_profile(settings_of).reason
    assert "requested through HTTPS_PROXY" in reason
    assert "secret" not in reason


def test_outage_does_not_replace_real_figures_with_simulated_ones(
    monkeypatch: pytest.MonkeyPatch, settings_of: Callable[[str], Settings]
) -> None:
    answer(monkeypatch, refuse)
    live = settings_of("live")
    live.state.mkdir()
    live.published.touch()
    choice = offices.choose_profile(settings_of)
    assert choice.profile == "live"
    assert "stays with the offices" in choice.reason


@pytest.mark.parametrize(
    ("environment", "is_ours"),
    [({}, True), ({"METAALEXPORT_PROFILE": "auto"}, True), ({"METAALEXPORT_PROFILE": ""}, True),
     ({"METAALEXPORT_PROFILE": "live"}, False), ({"METAALEXPORT_REPLAY": "folder"}, False)],
)  # fmt: skip
def test_named_profile_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_ours: bool
) -> None:
    monkeypatch.delenv("METAALEXPORT_PROFILE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert offices.is_to_be_chosen() == is_ours

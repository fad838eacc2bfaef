"""Which profile a run takes that was told none."""

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
    """What is looked at of a reply."""

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""


def answer(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> list[str]:
    """Let the offices answer so; return the addresses that are asked."""
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


def test_both_offices_answer_so_their_figures_are_taken(
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
def test_where_one_does_not_answer_the_simulator_is_taken_and_it_is_said_why(
    monkeypatch: pytest.MonkeyPatch, settings_of: Callable[[str], Settings], answers: Answers, reason: str
) -> None:
    answer(monkeypatch, answers)
    choice = offices.choose_profile(settings_of)
    assert choice.profile == "simulator"
    assert reason in choice.reason
    assert "SIMULATED" in choice.reason
    assert "set HTTPS_PROXY" in choice.reason


def test_a_proxy_that_was_asked_through_is_named_without_its_address(
    monkeypatch: pytest.MonkeyPatch, settings_of: Callable[[str], Settings]
) -> None:
    answer(monkeypatch, refuse)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    reason = offices.choose_profile(settings_of).reason
    assert "requested through HTTPS_PROXY" in reason
    assert "secret" not in reason


def test_who_has_real_figures_is_not_given_invented_ones_in_a_bad_hour(
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
def test_a_profile_that_is_named_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_ours: bool
) -> None:
    monkeypatch.delenv("METAALEXPORT_PROFILE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert offices.is_to_be_chosen() == is_ours

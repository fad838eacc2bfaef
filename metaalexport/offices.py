"""Which profile a run takes that was told none: the offices where they answer, else the simulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests

from extract.offices import OFFICES
from metaalexport.settings import AUTO, Settings

# Long enough for an office on a slow line, short enough for a person who waits for the first line.
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Choice:
    """The profile that was chosen, and why.

    Attributes
    ----------
    profile : str
        ``live`` or ``simulator``.
    reason : str
        In words, for the first and the last line of a run.
    """

    profile: str
    reason: str


def choose_profile(settings_of: Callable[[str], Settings]) -> Choice:
    """Ask both offices for a few bytes, and take them where both answer.

    Parameters
    ----------
    settings_of : callable
        Gives the settings of a profile.
    """
    live = settings_of("live")
    silent = {office: problem for office in OFFICES if (problem := _silence(live, office))}
    if not silent:
        return Choice("live", "CBS and Eurostat answer")
    why = "; ".join(f"{office} does not answer: {problem}" for office, problem in silent.items())
    if names := proxies(os.environ):
        why += f" (asked through {', '.join(names)})"
    else:
        why += " (no proxy is set: behind one, set HTTPS_PROXY)"
    if live.published.exists():
        # Whoever has real figures is not given invented ones because of a bad hour.
        return Choice("live", f"{why}; real figures are published, so this run stays with the offices")
    return Choice("simulator", f"{why}; the figures of this run are SIMULATED")


def proxies(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that lead to a proxy; their values may hold a password."""
    return sorted(name for name in environment if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))


def is_to_be_chosen() -> bool:
    """Whether the environment leaves the choice to us."""
    return (os.environ.get("METAALEXPORT_PROFILE") or AUTO) == AUTO and not os.environ.get("METAALEXPORT_REPLAY")


def _silence(settings: Settings, office: str) -> str:
    """Return why an office cannot be asked; empty if it answers."""
    url = OFFICES[office].greeting(settings.office_hosts(office, OFFICES[office].hosts()))
    try:
        with requests.get(url, timeout=ANSWER_SECONDS, stream=True) as reply:
            return "" if reply.ok else f"HTTP {reply.status_code}"
    except requests.RequestException as error:
        return type(error).__name__

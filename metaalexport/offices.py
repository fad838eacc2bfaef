"""Choice of the profile if none is set: the real offices if they answer, else the simulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests

from extract.offices import OFFICES
from metaalexport.settings import AUTO, Settings

# Long enough for a slow line, short enough for a person waiting for the first line of output.
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Choice:
    """The chosen profile and the reason.

    Attributes
    ----------
    profile : str
        ``live`` or ``simulator``.
    reason : str
        Text for the first and the last line of a run.
    """

    profile: str
    reason: str


def choose_profile(settings_of: Callable[[str], Settings]) -> Choice:
    """Request a few bytes from both offices, and choose ``live`` if both answer.

    Parameters
    ----------
    settings_of : callable
        Returns the settings of a profile.
    """
    live = settings_of("live")
    silent = {office: problem for office in OFFICES if (problem := _silence(live, office))}
    if not silent:
        return Choice("live", "CBS and Eurostat answer")
    why = "; ".join(f"{office} does not answer: {problem}" for office, problem in silent.items())
    if names := proxies(os.environ):
        why += f" (requested through {', '.join(names)})"
    else:
        why += " (no proxy is set: behind one, set HTTPS_PROXY)"
    if live.published.exists():
        # A short outage must not replace real figures with simulated ones.
        return Choice("live", f"{why}; real figures are published, so this run stays with the offices")
    return Choice("simulator", f"{why}; the figures of this run are SIMULATED")


def proxies(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that set a proxy; their values may hold a password."""
    return sorted(name for name in environment if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))


def is_to_be_chosen() -> bool:
    """True if the environment sets no profile."""
    return (os.environ.get("METAALEXPORT_PROFILE") or AUTO) == AUTO and not os.environ.get("METAALEXPORT_REPLAY")


def _silence(settings: Settings, office: str) -> str:
    """Return why an office does not answer; empty if it does."""
    url = OFFICES[office].greeting(settings.office_hosts(office, OFFICES[office].hosts()))
    try:
        with requests.get(url, timeout=ANSWER_SECONDS, stream=True) as reply:
            return "" if reply.ok else f"HTTP {reply.status_code}"
    except requests.RequestException as error:
        return type(error).__name__

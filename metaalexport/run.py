"""A run of the pipeline: whose settings, under which id, and where it keeps what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from extract.landing.store import Landing
from extract.raw import RawStore
from metaalexport.journal import Journal, StepNote
from metaalexport.settings import Settings

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """What every step of a run needs.

    Attributes
    ----------
    id : str
        Airflow's run id, or that of a command; empty where nothing is written down.
    progress : callable
        Takes what goes on, a line at a time.
    """

    settings: Settings
    id: str = ""
    progress: Progress = print

    @property
    def journal(self) -> Journal:
        """The journal of the profile."""
        return Journal(self.settings.journal)

    @property
    def landing(self) -> Landing:
        """The landing area; who waits for it says so."""
        return Landing(self.settings.landing, progress=self.progress)

    @property
    def raw(self) -> RawStore:
        """The raw store."""
        return RawStore(self.settings.raw)

    def step(self, name: str, subject: str) -> AbstractContextManager[StepNote]:
        """Record start, end and outcome of a step; see `Journal.step`."""
        return self.journal.step(self.id, name, subject)

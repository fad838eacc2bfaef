"""A run of the pipeline: settings, id and stores."""

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
    """Context of every step of a run.

    Attributes
    ----------
    id : str
        Airflow's run id or a command's; empty if nothing is recorded.
    progress : callable
        Receives progress, one line at a time.
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
        """The landing area, which reports waiting for locks as progress."""
        return Landing(self.settings.landing, progress=self.progress)

    @property
    def raw(self) -> RawStore:
        """The raw store."""
        return RawStore(self.settings.raw)

    def step(self, name: str, subject: str) -> AbstractContextManager[StepNote]:
        """Record start, end and outcome of a step; see `Journal.step`."""
        return self.journal.step(self.id, name, subject)

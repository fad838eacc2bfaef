"""Sessions with an office: one run at a time, configured by the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from extract.dataset import Dataset
from extract.errors import TornReadError, TransientOfficeError
from extract.http import OfficeSession
from extract.offices import OFFICES
from extract.offices.base import CatalogueEntry
from extract.offices.cbs.office import CbsOffice
from extract.politeness import RequestBudget, hold, run_name
from extract.registry import load_registry
from extract.replay import Replay, open_replay
from extract.retries import RetryPolicy
from metaalexport.arguments import parse_days
from metaalexport.run import Run
from metaalexport.settings import Settings


@contextmanager
def asking(run: Run, dataset: Dataset) -> Iterator[tuple[OfficeSession, dict[str, str]]]:
    """Hold an office and yield a session with it and its base URLs."""

    def tell(message: str) -> None:
        run.progress(f"{dataset.code}: {message}")

    office = dataset.office
    public = OFFICES[office].hosts()
    hosts = public if run.settings.profile == "replay" else run.settings.office_hosts(office, public)
    # After all retries failed once, the rest of the run makes one attempt per request.
    away = run.settings.offices / f"{office}.{run_name(run.id)}.away"
    with hold(
        run.settings.offices / f"{office}.lock",
        dataset=dataset.code,
        what=f"the connection to {office}",
        wait_seconds=run.settings.lock_wait_seconds,
        progress=tell,
    ):
        session = OfficeSession(
            dataset.code,
            run.raw,
            run.settings.profile,
            adapter=open_recording(run.settings, dataset, run.settings.reporters).adapter
            if run.settings.profile == "replay"
            else None,
            policy=RetryPolicy(
                attempts=1 if away.exists() else run.settings.http_attempts, base_seconds=run.settings.http_base_seconds
            ),
            budget=RequestBudget.of_run(run.settings.offices, office, run.id, run.settings.request_budget),
            run_id=run.id,
            progress=tell,
            # With a mirror also the real office's hosts, as a mirror does not rewrite links.
            hosts=(*hosts.values(), *(() if run.settings.is_simulated else public.values())),
        )
        try:
            yield session, hosts
        except TransientOfficeError as error:
            if not isinstance(error, TornReadError):
                away.touch()
            raise
        away.unlink(missing_ok=True)


def discover(run: Run, office: str, words: tuple[str, ...]) -> list[CatalogueEntry]:
    """Return the tables of an office's catalogue whose title or id has all the words."""
    any_dataset = next(dataset for dataset in load_registry().values() if dataset.office == office)
    with asking(run, any_dataset) as (session, hosts):
        session.dataset = f"discover_{office}"
        return OFFICES[office].discover(session, hosts, words)


def calendar(run: Run, first_day: str, last_day: str, words: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return CBS's planned publications between two days (``YYYY-MM-DD``): time, title, reporting period."""
    first_day, last_day = parse_days(first_day, last_day)
    any_dataset = next(dataset for dataset in load_registry().values() if dataset.office == "cbs")
    with asking(run, any_dataset) as (session, hosts):
        session.dataset = "calendar_cbs"
        return CbsOffice().calendar(session, hosts, first_day, last_day, words)


def open_recording(settings: Settings, dataset: Dataset, reporters: tuple[str, ...]) -> Replay:
    """Open the configured folder of recorded replies."""
    assert settings.replay_folder is not None  # noqa: S101 - Settings.from_environment refuses it
    return open_replay(settings.replay_folder, dataset, reporters)

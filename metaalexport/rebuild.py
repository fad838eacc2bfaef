"""Rebuild of the landing area from the raw store: the same replies in order, judged by the current rules."""

from __future__ import annotations

import shutil
from typing import Any

from common.files import write_atomically
from extract.errors import ExtractError
from metaalexport import gates, ingest, state
from metaalexport.run import Run
from metaalexport.settings import Settings

# While it exists, the landing area has only content that can be rebuilt from the raw store.
_BEGUN = ".rebuild_begun"


def rebuild_landing(run: Run) -> list[str]:
    """Repeat the events of each load (land, landing gate, commit, withdraw, reinstate) without a download.

    Call `end_rebuild` after the publication.

    Returns
    -------
    list of str
        Failed events with the reason: a damaged reply, or a load that the gate stops by the current rules.

    Raises
    ------
    ExtractError
        If there are loads already, or the raw store holds no history.
    """
    settings, landing, raw = run.settings, run.landing, run.raw
    begun = settings.landing / _BEGUN
    if begun.exists():
        run.progress(f"an earlier rebuild was interrupted: {settings.landing} is rebuilt")
        shutil.rmtree(settings.landing)
    if any(landing.committed()) or landing.withdrawn():
        raise ExtractError(
            "the landing area holds loads, and a rebuild from raw replies needs an empty one",
            dataset="all datasets",
            where=str(settings.landing),
            next_step=f"mv {settings.landing} {settings.landing}.before",
        )
    events = list(raw.events())
    if not events:
        raise ExtractError(
            "the raw store holds no history of loads",
            dataset="all datasets",
            where=str(settings.raw / "history"),
            next_step="restore it from a backup, or load from the offices: `metaalexport run`",
        )
    write_atomically(begun, "made from the raw store alone; not complete yet\n")
    state.prepare_state(settings)
    problems = [f"{path} is damaged: the outcome of this load is unknown" for path in raw.damaged("history")]
    for problem in problems:
        run.progress(problem)
    for number, (_, event) in enumerate(events, start=1):
        run.progress(f"{number} of {len(events)}: {event['event']} {event['load_id']}")
        try:
            _repeat(run, event)
        except (ExtractError, gates.GateFailedError) as error:
            problems.append(f"{event['load_id']} could not be {event['event']}: {error}")
            run.progress(problems[-1])
    return problems


def end_rebuild(settings: Settings) -> None:
    """Mark the rebuild as complete; before that, a new rebuild starts from scratch."""
    (settings.landing / _BEGUN).unlink()


def _repeat(run: Run, event: dict[str, Any]) -> None:
    load_id = event["load_id"]
    if event["event"] == "withdrawn":
        run.landing.withdraw(load_id, reason=event["reason"], withdrawn_at=event["at"])
    elif event["event"] == "reinstated":
        run.landing.reinstate(load_id)
    else:
        for check, reason in event["accepted"].items():
            run.journal.accept(load_id, check, reason)
        load = {"slice": event["slice"], "fetched": event["fetched"]}
        staged = ingest.gate_load(run, ingest.stage_load(run, load))
        ingest.commit_load(run, staged, is_repeated=True)

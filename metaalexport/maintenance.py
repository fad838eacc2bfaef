"""Weekly maintenance: prune expired state and verify checksums.

Raw replies, committed loads and the journal are never removed: the offices do not keep this history. Each task can be
repeated at any time, also while loads and builds run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.files import hash_file, left_behind, remove_left_behind
from expectations.gate import prune_validations
from extract.errors import RawIntegrityError
from extract.landing.store import Landing
from extract.raw import RawStore
from metaalexport import serving, state
from metaalexport.journal import Journal
from metaalexport.settings import Settings
from publish.postgres.serving import drop_former_generations

Progress = Callable[[str], None]
# Time to examine a load that the landing gate stopped and to contact the office.
STOPPED_LOADS_DAYS = 90


def maintain(
    settings: Settings,
    run_id: str,
    *,
    tasks: Sequence[str] = (),
    is_dry_run: bool = False,
    progress: Progress = print,
) -> dict[str, list[str]]:
    """Run maintenance tasks.

    Parameters
    ----------
    tasks : sequence of str
        Keys of `TASKS`; empty for all.
    is_dry_run : bool
        Only report what would be removed; the journal is not written.

    Returns
    -------
    dict of str to list of str
        Removed items by task, or in a dry run those that would be removed.

    Raises
    ------
    RawIntegrityError
        If a raw payload does not match its hash; the other tasks run before.
    PostgresServingError
        If a server is configured and cannot be reached.
    """
    done: dict[str, list[str]] = {}
    for name in tasks or TASKS:
        if is_dry_run:
            done[name] = TASKS[name](settings, True)
        else:
            with Journal(settings.journal).step(run_id, name, settings.profile) as note:
                done[name] = TASKS[name](settings, False)
                note.outcome = "done" if done[name] else "unchanged"
                note.detail = f"{len(done[name])} removed"
        for item in done[name]:
            progress(f"{name}: {'would remove' if is_dry_run else 'removed'} {item}")
    return done


def _drop_stopped_loads(settings: Settings, is_dry_run: bool) -> list[str]:
    landing = Landing(settings.landing)
    stopped = landing.stopped(days=STOPPED_LOADS_DAYS)
    for load_id in stopped if not is_dry_run else ():
        landing.drop_stopped(load_id)
    return stopped


def _remove_leftovers(settings: Settings, is_dry_run: bool) -> list[str]:
    found = []
    for folder in (settings.state / "gates", settings.raw / "incoming"):
        found += [str(path.relative_to(settings.state)) for path in left_behind(folder)]
        if not is_dry_run:
            remove_left_behind(folder)
    return found


def _set_damaged_records_aside(settings: Settings, is_dry_run: bool) -> list[str]:
    damaged = state.damaged_records(settings) if is_dry_run else state.set_damaged_aside(settings)
    return [str(path.relative_to(settings.state)) for path in damaged]


def _prune_gate_results(settings: Settings, is_dry_run: bool) -> list[str]:
    return prune_validations(settings.gx, is_dry_run=is_dry_run)


def _drop_served_generations(settings: Settings, is_dry_run: bool) -> list[str]:
    if not serving.is_served():
        return []
    return drop_former_generations(serving.marts_server(), is_dry_run=is_dry_run)


def _compare_raw_hashes(settings: Settings, is_dry_run: bool) -> list[str]:
    if is_dry_run:
        return []
    raw = RawStore(settings.raw)
    changed = [path for name in raw.hashes() if hash_file(path := raw.path(name)) != name]
    if changed:
        raise RawIntegrityError(
            f"{len(changed)} raw payload(s) were changed on disk",
            dataset="all datasets",
            where=", ".join(map(str, changed[:5])),
            next_step="restore them from a backup: docs/runbook.md, 'A raw payload was changed or is missing'",
        )
    return []


# In this order; the task that can fail on damage comes last.
TASKS: dict[str, Callable[[Settings, bool], list[str]]] = {
    "drop_stopped_loads": _drop_stopped_loads,
    "remove_leftovers": _remove_leftovers,
    "set_damaged_records_aside": _set_damaged_records_aside,
    "prune_gate_results": _prune_gate_results,
    "drop_served_generations": _drop_served_generations,
    "compare_raw_hashes": _compare_raw_hashes,
}

"""Polite use of an office: one extraction at a time, and a bounded number of requests per run.

Eurostat puts concurrent extractions into its asynchronous queue and counts requests per day; CBS publishes no limit
and asks for fair use. The same rules apply to both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from common.files import write_atomically
from extract.errors import ExtractError, TransientOfficeError

_KEPT_SECONDS = 7 * 24 * 3600


class OfficeBusyError(TransientOfficeError):
    """Another run holds the office or the dataset and did not finish in time."""


class BudgetSpentError(ExtractError):
    """The run reached its limit of requests to an office."""


@contextmanager
def hold(
    path: Path, *, dataset: str, what: str, wait_seconds: float, progress: Callable[[str], None]
) -> Iterator[None]:
    """Hold an exclusive lock between processes, waiting if necessary; re-entrant within a process.

    It is an operating system lock: a killed process releases it.

    Raises
    ------
    OfficeBusyError
        If another process still holds it after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress(f"waiting: another run holds {what}")
        try:
            lock.acquire(timeout=wait_seconds)
        except filelock.Timeout as error:
            raise OfficeBusyError(
                f"another run holds {what}, and did not finish within {wait_seconds:.0f} s",
                dataset=dataset,
                where=str(path),
                next_step="wait for the other run, then start this one again; nothing of it was lost",
            ) from error
    try:
        yield
    finally:
        lock.release()


def run_name(run_id: str) -> str:
    """Return the id of a run as a safe part of a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", run_id)


class RequestBudget:
    """Requests of one run to one office, counted over all its processes.

    Parameters
    ----------
    path : Path
        File with the count. Only the process that holds the office changes it.
    limit : int
        Most requests of the run.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in [*path.parent.glob("*.requests"), *path.parent.glob("*.away")]:
            if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
                old.unlink(missing_ok=True)

    @classmethod
    def of_run(cls, folder: Path, office: str, run_id: str, limit: int) -> RequestBudget:
        """Return the budget of a run at an office."""
        return cls(folder / f"{office}.{run_name(run_id)}.requests", limit)

    @property
    def spent(self) -> int:
        """Requests so far.

        A damaged count restarts at 0: the budget only stops endless loops, so a lost count must not fail a load.
        """
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def spend(self, *, dataset: str, where: str) -> None:
        """Count one request before it is made.

        Raises
        ------
        BudgetSpentError
            If the run may make no more.
        """
        spent = self.spent
        if spent >= self._limit:
            raise BudgetSpentError(
                f"this run has made {spent} requests to the office, its limit",
                dataset=dataset,
                where=where,
                next_step="load fewer datasets or months in one run, or raise METAALEXPORT_REQUEST_BUDGET",
            )
        # Written atomically: a kill between two writes costs the budget one request at most.
        write_atomically(self._path, str(spent + 1))

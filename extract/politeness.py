"""How an office is asked: one extraction at a time, and a bounded number of requests in a run.

Eurostat puts concurrent extractions into its asynchronous queue and counts requests by day; CBS publishes no limit
and asks for fair use. Both are asked alike.
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
    """Another run is asking the office, or working on the dataset, and did not finish in time."""


class BudgetSpentError(ExtractError):
    """The run made as many requests to an office as it may."""


@contextmanager
def hold(
    path: Path, *, dataset: str, what: str, wait_seconds: float, progress: Callable[[str], None]
) -> Iterator[None]:
    """Hold a lock that no other process has, waiting for it if need be; who holds it already goes on.

    The lock is the operating system's: a killed process gives it back.

    Raises
    ------
    OfficeBusyError
        If it is still taken after `wait_seconds`.
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
    """Return the id of a run as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", run_id)


class RequestBudget:
    """The requests that one run has made to one office, counted over all its processes.

    Parameters
    ----------
    path : Path
        Where the count is kept. Only the process that holds the office changes it.
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

        A count that a disk or a hand damaged begins again: the budget is against a run that asks in circles, which
        the same limit ends, and no load is to stop for it.
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
                f"this run has made {spent} requests to the office, which is all it may",
                dataset=dataset,
                where=where,
                next_step="load fewer datasets or months in one run, or raise METAALEXPORT_REQUEST_BUDGET",
            )
        # A whole file each time: a kill between two writes costs one request at most.
        write_atomically(self._path, str(spent + 1))

"""Runs of a Great Expectations gate: results are stored, and a failed check of severity ``error`` stops the data."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock

from expectations.gate import CheckResult, build_data_docs, run_gate
from extract.errors import ExtractError, writing
from metaalexport import inherited
from metaalexport.journal import utc_now
from metaalexport.run import Run
from metaalexport.settings import Settings

# Checks of the publish gate that a person can accept, with the section of docs/runbook.md.
_ACCEPTED = {
    "totals_move_little": "Accept a revision",
    "newest_months_are_usual": "Accept an unusual month",
}
# Loads listed in a next step; the message has all.
_NAMED = 3


class GateFailedError(Exception):
    """A gate stopped bad data; the publication is unchanged.

    Parameters
    ----------
    failed : list of CheckResult
        The failed checks of severity ``error``.
    new_loads : sequence of str
        For the publish gate: the loads that are not published; one of them caused the failure.
    blamed : mapping of str to CheckResult
        For the publish gate: those loads whose rows broke a check, with the check, where it can be determined.
    """

    def __init__(
        self,
        gate: str,
        subject: str,
        failed: list[CheckResult],
        new_loads: Sequence[str] = (),
        blamed: Mapping[str, CheckResult] | None = None,
    ) -> None:
        self.gate = gate
        self.subject = subject
        self.failed = failed
        self.new_loads = tuple(new_loads)
        self.blamed = dict(blamed or {})
        lines = [f"gate '{gate}' stopped {subject}: {len(failed)} check(s) failed; what is published stays as it is"]
        if new_loads:
            lines.append(f"  loads since what is published: {', '.join(new_loads)}")
        lines += [f"  {check.check_name}: {check.message}\n    found: {check.observed}" for check in failed]
        lines.append(f"  next: {self.next_step}")
        super().__init__("\n".join(lines))

    @property
    def problem(self) -> str:
        """The message of the first failed check and the number of others."""
        if not self.failed:
            return f"gate '{self.gate}' stopped {self.subject}"
        more = f" (and {len(self.failed) - 1} more checks)" if len(self.failed) > 1 else ""
        return f"{self.failed[0].check_name}: {self.failed[0].message}{more}"

    @property
    def found(self) -> str:
        """The observation of that check."""
        return self.failed[0].observed if self.failed else ""

    @property
    def next_step(self) -> str:
        """What to examine, and the next commands."""
        if self.gate == "landing":
            return (
                f"`metaalexport regate {self.subject}` judges the stored replies again, after a seed or setting"
                f" changed; `metaalexport load {self.subject.split('__')[0]} --again` requests it again;"
                " docs/runbook.md, 'The landing gate stopped a load'"
            )
        new, more = ", ".join(self.new_loads[:_NAMED]), len(self.new_loads) - _NAMED
        # The load may be right: a person examines it before anything is withdrawn.
        lines = [
            "look at the rows and at docs/runbook.md, 'The publish gate stopped a candidate'",
            f"new since what is published: {new}" + f" and {more} more" * (more > 0) if new else "no load is new",
        ]
        for section in sorted({_ACCEPTED[check.check_name] for check in self.failed if check.check_name in _ACCEPTED}):
            lines.append(f"if the office means it: docs/runbook.md, '{section}'")
        if new:
            which = new if len(self.new_loads) == 1 else "<load_id>"
            lines.append(f"if a load is wrong: `metaalexport withdraw {which} --reason '…'`")
        return "; ".join([*lines, "then `metaalexport build` and `metaalexport publish`"])


@contextmanager
def gate_database(gates: Path, subject: str) -> Iterator[Path]:
    """Yield a temporary DuckDB file for one gate run in the folder of gates.

    Raises
    ------
    StorageError
        If the disk is full; ``subject`` is the dataset of the error.
    """
    folder = gates / uuid.uuid4().hex[:12]
    with writing(subject, folder):
        gates.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(_lock_of_gate(folder))
        try:
            # Serialised: a free lock then belongs to a killed run, not to a starting one.
            with filelock.FileLock(gates.with_suffix(".lock")):
                _remove_gates_of_killed_runs(gates)
                held.acquire()
                folder.mkdir()
            yield folder / "gate.duckdb"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of_gate(folder).unlink(missing_ok=True)
            held.release()


def _remove_gates_of_killed_runs(gates: Path) -> None:
    """Remove folders and locks that are not held: the operating system releases the lock of a killed process."""
    for folder in {path.with_suffix("") for path in gates.iterdir()}:
        try:
            with filelock.FileLock(_lock_of_gate(folder), timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
                _lock_of_gate(folder).unlink(missing_ok=True)
        except filelock.Timeout:
            continue


def _lock_of_gate(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def judge(
    run: Run,
    gate: str,
    subject: str,
    database: Path,
    checks: list[Any],
) -> None:
    """Evaluate checks, store the results, and report warnings.

    Raises
    ------
    GateFailedError
        If a check of severity ``error`` failed that is not accepted for the subject.
    """
    journal = run.journal
    with run.step(f"gate_{gate}", subject) as note:
        with inherited.without("Great Expectations"):
            results = run_gate(
                database,
                checks,
                gate=gate,
                subject=subject,
                run_id=run.id,
                checked_at=utc_now(),
                gx_dir=run.settings.gx,
            )
        accepted = journal.accepted(subject)
        results = [
            replace(result, severity="warn", message=f"{result.message} Accepted: {accepted[result.check_name]}")
            if result.check_name in accepted and not result.is_passed
            else result
            for result in results
        ]
        journal.checks(gate, subject, run.id, [result.to_dict() for result in results])
        failed = [r for r in results if not r.is_passed and r.severity == "error"]
        warned = [r for r in results if not r.is_passed and r.severity == "warn"]
        note.detail = f"{len(results)} checks, {len(failed)} failed, {len(warned)} warned"
        for result in warned:
            run.progress(f"warn: {result.check_name}: {result.message} Found: {result.observed[:200]}")
        if failed:
            note.outcome = "blocked"
            write_data_docs(run.settings)
            raise GateFailedError(gate, subject, failed)
        run.progress(f"gate '{gate}' passed {subject}: {note.detail}")


def keep_refusal(run: Run, subject: str, error: ExtractError) -> None:
    """Record a reply that is not data as a failure of the landing gate; there is nothing to land."""
    result = CheckResult(
        run_id=run.id,
        gate="landing",
        subject=subject,
        check_name="reply_is_data",
        severity="error",
        is_passed=False,
        observed=f"{error.problem} ({error.where})",
        message="The office's reply is the requested data.",
        checked_at=utc_now(),
    )
    run.journal.checks("landing", subject, run.id, [result.to_dict()])


def write_data_docs(settings: Settings) -> None:
    """Rebuild the Data Docs of Great Expectations."""
    with inherited.without("Great Expectations"):
        build_data_docs(settings.gx)

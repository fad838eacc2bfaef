"""The pipeline's journal: finished steps and check results, one small file each, as data for ``ops``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.files import write_atomically
from extract.errors import writing
from extract.records import is_damaged, read_records, set_aside

# An empty file, so that dbt can read a kind without records.
_NO_ROWS = "_schema.jsonl"
# Required keys by kind of record.
_KEYS = {
    "runs": ("run_id", "step", "subject", "outcome", "finished_at", "detail"),
    "checks": ("gate", "subject", "check_name", "severity", "is_passed", "checked_at"),
    "accepted": ("subject", "check_name", "reason"),
    "held": ("load_id", "problem", "found", "held_at"),
}


def utc_now() -> str:
    """Return the current time, UTC, ISO 8601."""
    return as_utc(datetime.now(UTC))


def as_utc(moment: datetime) -> str:
    """Return a moment in the journal's format, which sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def in_order(rows: Iterable[dict[str, Any]], key: str = "finished_at", now: str | None = None) -> list[dict[str, Any]]:
    """Return records sorted by time, the newest last.

    Records dated in the future come first: a clock that was ahead wrote them, and later records have an earlier time.
    Otherwise they would hide all events until their time has come.

    Parameters
    ----------
    now : str or None
        The reference time, as from `utc_now`; None for the clock.
    """
    moment = now or utc_now()
    return sorted(rows, key=lambda row: (row[key] <= moment, row[key]))


def explain(error: BaseException) -> dict[str, str]:
    """Return the fields of an error for the reader: ``problem``, ``found`` (values or place), ``next_step``."""
    first_line = (str(error).splitlines() or [""])[0]
    return {
        "problem": getattr(error, "problem", f"{type(error).__name__}: {first_line}"),
        "found": getattr(error, "found", getattr(error, "where", "")),
        "next_step": getattr(error, "next_step", ""),
    }


@dataclass
class StepNote:
    """Notes of a step for the journal; the outcome is ``done`` by default."""

    outcome: str = "done"
    detail: str = ""
    notice: str = ""


class Journal:
    """Journal under one folder. A repeated step of a run replaces its record."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the folders readable for dbt before the first record."""
        for kind in ("checks", "runs"):
            folder = self.root / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _NO_ROWS).touch()

    def checks(self, gate: str, subject: str, run_id: str, results: list[dict[str, Any]]) -> None:
        """Store the results of one gate run."""
        self._write("checks", (gate, subject, run_id), results)

    def accept(self, subject: str, check_name: str, reason: str) -> None:
        """Record that a person accepts a subject's failure of a check."""
        row = {"subject": subject, "check_name": check_name, "reason": reason, "accepted_at": utc_now()}
        self._write("accepted", (subject, check_name), [row])

    def accepted(self, subject: str) -> dict[str, str]:
        """Return the checks that a subject may break, each with the reason."""
        return {row["check_name"]: row["reason"] for row in self.read("accepted") if row["subject"] == subject}

    def is_first_alert(self, dag_id: str, run_id: str, name: str, alert: dict[str, Any]) -> bool:
        """Record an alert; return False if one of its kind was already recorded in this run."""
        path = self._path("alerts", (dag_id, run_id, name))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as handle:
                handle.write(json.dumps({**alert, "raised_at": utc_now()}, ensure_ascii=False) + "\n")
        except FileExistsError:
            return False
        return True

    @contextmanager
    def step(self, run_id: str, step: str, subject: str) -> Iterator[StepNote]:
        """Record start, end and outcome of a step, also on failure; a full disk raises `StorageError`."""
        started = utc_now()
        note = StepNote()

        def keep(error: BaseException | None = None) -> None:
            row = {
                "run_id": run_id,
                "step": step,
                "subject": subject,
                "outcome": note.outcome,
                "started_at": started,
                "finished_at": utc_now(),
                "detail": note.detail,
                **({"notice": note.notice} if note.notice else {}),
                **(explain(error) if error is not None else {}),
            }
            self._write("runs", (step, subject, run_id), [row])

        try:
            with writing(subject, self.root.parent):
                yield note
        except BaseException as error:
            if note.outcome == "done":
                note.outcome = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            note.detail = note.detail or f"{type(error).__name__}: {error}"
            try:
                keep(error)
            except OSError as second:
                # A full disk takes no record either; the first error is the one to report.
                error.add_note(f"the journal could not be written: {second}")
            raise
        keep()

    def read(self, kind: str) -> list[dict[str, Any]]:
        """Return all readable records of a kind, oldest file first; `damaged` returns the others."""
        rows: list[dict[str, Any]] = []
        for path in self._files(kind):
            with suppress(ValueError):
                rows += read_records(path, _KEYS[kind])
        return rows

    def damaged(self) -> list[Path]:
        """Return the unreadable files."""
        return [path for kind in _KEYS for path in self._files(kind) if is_damaged(path, _KEYS[kind])]

    def set_damaged_aside(self) -> list[Path]:
        """Move unreadable files aside, so that dbt can read the rest; return the new paths."""
        return [set_aside(path, self.root) for path in self.damaged()]

    def _files(self, kind: str) -> list[Path]:
        # Held loads are in a single file, which each build rewrites.
        paths = self.root.glob(f"{kind}.jsonl" if kind == "held" else f"{kind}/*.jsonl")
        return sorted((path for path in paths if path.name != _NO_ROWS), key=lambda path: path.stat().st_mtime_ns)

    def _write(self, kind: str, key: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomically(self._path(kind, key), text)

    def _path(self, kind: str, key: tuple[str, ...]) -> Path:
        name = hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
        return self.root / kind / f"{name}.jsonl"

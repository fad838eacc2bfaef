"""The pipeline's own record: finished steps and check results, one small file each, as data for ``ops``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from extract.raw import write_atomically


def utc_now() -> str:
    """Return the present moment, UTC, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def explain(error: BaseException) -> dict[str, str]:
    """Return what a person needs of an error: ``problem``, ``found`` (values, or where it was), ``next_step``."""
    first_line = (str(error).splitlines() or [""])[0]
    return {
        "problem": getattr(error, "problem", f"{type(error).__name__}: {first_line}"),
        "found": getattr(error, "found", getattr(error, "where", "")),
        "next_step": getattr(error, "next_step", ""),
    }


@dataclass
class StepNote:
    """What a step wants remembered; the outcome is ``done`` unless it says otherwise."""

    outcome: str = "done"
    detail: str = ""
    notice: str = ""


class Journal:
    """Writes under one folder. Repeating a step of a run replaces its record."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the folders readable for dbt before anything was written."""
        for kind in ("checks", "runs"):
            folder = self.root / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "_schema.jsonl").touch()

    def checks(self, gate: str, subject: str, run_id: str, results: list[dict[str, Any]]) -> None:
        """Keep the results of one gate run."""
        self._write("checks", (gate, subject, run_id), results)

    def accept(self, subject: str, check_name: str, reason: str) -> None:
        """Keep that a person accepts that a subject breaks a check."""
        row = {"subject": subject, "check_name": check_name, "reason": reason, "accepted_at": utc_now()}
        self._write("accepted", (subject, check_name), [row])

    def accepted(self, subject: str) -> dict[str, str]:
        """Return the checks that a subject may break, each with the reason."""
        return {row["check_name"]: row["reason"] for row in self.read("accepted") if row["subject"] == subject}

    def is_first_alert(self, dag_id: str, run_id: str, name: str, alert: dict[str, Any]) -> bool:
        """Keep an alert, unless one of its kind was kept in this run; whether it was."""
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
        """Record start, end and outcome of a step, whether it works or not."""
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
            yield note
        except BaseException as error:
            if note.outcome == "done":
                note.outcome = "failed"
            note.detail = note.detail or f"{type(error).__name__}: {error}"
            try:
                keep(error)
            except OSError as second:
                # A full disk takes no record either; what happened first is what the reader needs.
                error.add_note(f"the journal could not be written: {second}")
            raise
        keep()

    def read(self, kind: str) -> list[dict[str, Any]]:
        """Return all records of a kind, oldest file first."""
        rows: list[dict[str, Any]] = []
        for path in sorted((self.root / kind).glob("*.jsonl"), key=lambda p: p.stat().st_mtime_ns):
            rows += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return rows

    def _write(self, kind: str, key: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomically(self._path(kind, key), text)

    def _path(self, kind: str, key: tuple[str, ...]) -> Path:
        name = hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
        return self.root / kind / f"{name}.jsonl"

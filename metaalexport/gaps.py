"""State of each slice that the DAGs load, with its latest failure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from common.files import write_atomically
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.registry import load_registry
from metaalexport import reference
from metaalexport.journal import Journal, in_order
from metaalexport.settings import Settings

LOADED, DISCONTINUED, BEHIND, HELD, MISSING = "loaded", "discontinued", "behind", "held", "missing"
# In the journal's folder: the user's scopes at the last step, as dbt reads them.
USER_SCOPES = "user_scopes.csv"
# Steps of one slice, and the planning of a dataset's slices.
SLICE_STEPS = ("plan", "fetch", "land", "gate_landing", "commit")
_FAILED = ("failed", "blocked")
# As written by the landing gate.
_SEED_LINE = re.compile(r"'line_to_add': '([^']+)'")
# Width of a line on the screen; the journal has the full text.
_LINE_WIDTH = 300


@dataclass(frozen=True)
class SliceState:
    """A wanted slice and its state.

    Attributes
    ----------
    dataset_code, reporter_code : str
        The slice; reporter ``*`` for files of all reporters.
    state : str
        ``loaded``; ``discontinued`` (loaded, and the office stopped the table); ``behind`` (an earlier release is
        loaded, the newest one failed); ``held`` (the publish gate left its newest load out of the publication);
        ``missing`` (nothing of it is loaded).
    load_id, office_version : str
        Newest committed load; empty if there is none.
    vintage_at : str or None
        Its stamp, UTC.
    failed_at : str or None
        Time of the newest failed attempt, UTC.
    step : str
        Step that failed; empty if none did.
    problem, found, next_step : str
        The check or error, the values that broke it, and the next command.
    """

    dataset_code: str
    reporter_code: str
    state: str
    load_id: str = ""
    office_version: str = ""
    vintage_at: str | None = None
    failed_at: str | None = None
    step: str = ""
    problem: str = ""
    found: str = ""
    next_step: str = ""

    @property
    def name(self) -> str:
        """Dataset and reporter."""
        return f"{self.dataset_code} {self.reporter_code}"

    @property
    def lines(self) -> list[str]:
        """At most three lines for a screen: check, values, next command."""
        there = {
            MISSING: "is missing",
            BEHIND: f"stays at the release of {(self.vintage_at or '')[:10]}",
            HELD: f"is held back, release of {(self.vintage_at or '')[:10]}",
            DISCONTINUED: f"ends with the release of {(self.vintage_at or '')[:10]}",
            LOADED: "is loaded",
        }[self.state]
        lines = [f"{self.name} {there}: {self.problem}"]
        if self.found:
            lines.append(f"  found: {self.found}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return [_one_line(line) for line in lines]


def slice_of(subject: str) -> str:
    """Return dataset and reporter of a journal subject: a load id, or a dataset with a slice's description."""
    parts = subject.split("__") if "__" in subject else subject.split(" ")
    return "__".join(parts[:2]).lower().replace("*", "all")


def read_slices(settings: Settings) -> list[SliceState]:
    """Return the state of each slice that the DAGs load, by dataset and reporter."""
    newest: dict[str, LoadManifest] = {}
    for load in Landing(settings.landing).committed():
        newest[slice_of(load.load_id)] = load
    runs = Journal(settings.journal).read("runs")
    last = _last_steps(runs)
    notices = {key: row.get("notice", "") for key, row in _last_steps(runs, ("fetch",)).items()}
    held = {row["load_id"]: row for row in read_held(settings)}
    states = []
    for code in settings.datasets_to_load():
        dataset = load_registry()[code]
        for reporter in dataset.slice_reporters(settings.reporters):
            key = slice_of(f"{code} {reporter}")
            # A failure before the slices were known applies to all of them.
            rows = [row for row in (last.get(key), last.get(code)) if row is not None]
            row = in_order(rows)[-1] if rows else None
            if settings.profile == "replay" and row is None and key not in newest:
                # Slices that were not recorded cannot be requested.
                continue
            last_load = newest.get(key)
            held_row = held.get(last_load.load_id) if last_load else None
            state = _state_of(code, reporter, last_load, row, held_row)
            if state.state == LOADED and notices.get(key):
                words = " ".join(dataset.discover)
                state = replace(
                    state,
                    state=DISCONTINUED,
                    problem=notices[key],
                    next_step=f"`metaalexport discover {dataset.office} {words}` finds its successor",
                )
            states.append(state)
    return states


def read_gaps(settings: Settings) -> list[SliceState]:
    """Return the slices that are incomplete or discontinued."""
    return [state for state in read_slices(settings) if state.state != LOADED]


def read_unmapped(settings: Settings) -> list[str]:
    """Return the seed lines for unknown partner codes, from the newest gate run of each slice."""
    newest: dict[str, str] = {}
    for row in in_order(Journal(settings.journal).read("checks"), "checked_at"):
        if row["check_name"] == "partners_are_known":
            newest[slice_of(row["subject"])] = "" if row["is_passed"] else row["observed"]
    return sorted({line for observed in newest.values() for line in _SEED_LINE.findall(observed)})


def read_empty_scopes(settings: Settings) -> dict[str, list[str]]:
    """Return the codes of each user scope without a code that an office has, as far as requested.

    The other scopes are still served.
    """
    offered: dict[tuple[str, str], bool] = {}
    newest = {slice_of(load.load_id): load for load in Landing(settings.landing).committed()}
    for load in newest.values():
        dataset = load_registry().get(load.dataset)
        if dataset is None or "scopes" not in dataset.products:
            continue
        findings = Landing(settings.landing).folder(load) / "findings.parquet"
        absent = _not_offered(findings, dataset.dimension_of("product"))
        for code in load.slice.get("products", ()):
            key = dataset.nomenclature, code
            offered[key] = offered.get(key, False) or code not in absent
    codes: dict[str, list[tuple[str, str]]] = {}
    for row in reference.written_user_scopes(settings.journal / USER_SCOPES):
        codes.setdefault(row["scope_code"], []).append((row["nomenclature_code"], row["product_code"]))
    return {
        scope: [f"{code} ({nomenclature})" for nomenclature, code in members]
        for scope, members in codes.items()
        if not any(offered.get(member, True) for member in members)
    }


def _not_offered(findings: Path, dimension: str) -> set[str]:
    """Return the products requested by a load that the office does not have."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select detail from read_parquet(?) where rule = 'code_not_offered' and subject = ?",
            [str(findings), dimension],
        ).fetchall()
    return {code for (detail,) in rows for code in detail.split(", ")}


def write_slices(settings: Settings) -> None:
    """Write the states for ``ops.slices``."""
    text = "".join(json.dumps(asdict(state), ensure_ascii=False) + "\n" for state in read_slices(settings))
    write_atomically(settings.journal / "slices.jsonl", text)


def read_held(settings: Settings) -> list[dict[str, str]]:
    """Return the loads that the newest build left out: ``load_id``, ``problem``, ``found``, ``held_at``."""
    return Journal(settings.journal).read("held")


def write_held(settings: Settings, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the loads that the build leaves out."""
    path = settings.journal / "held.jsonl"
    if text := "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows):
        write_atomically(path, text)
    else:
        # An empty file would count as damaged.
        path.unlink(missing_ok=True)


def _last_steps(runs: list[dict[str, Any]], steps: Sequence[str] = SLICE_STEPS) -> dict[str, dict[str, Any]]:
    """Return the latest of these steps for each slice, and for each dataset whose slices could not be planned."""
    last: dict[str, dict[str, Any]] = {}
    for row in in_order(runs):
        if row["step"] in steps:
            last[slice_of(row["subject"])] = row
    return last


def _state_of(
    code: str, reporter: str, load: LoadManifest | None, row: dict[str, Any] | None, held: dict[str, str] | None
) -> SliceState:
    state = SliceState(code, reporter, LOADED if load else MISSING)
    if load:
        state = replace(state, load_id=load.load_id, office_version=load.office_version, vintage_at=load.vintage_at)
    command = f"`metaalexport load {code}" + ("`" if reporter == "*" else f" --reporter {reporter}`")
    if row is not None and row["outcome"] in _FAILED:
        return replace(
            state,
            state=BEHIND if load else MISSING,
            failed_at=row["finished_at"],
            step=row["step"],
            problem=row.get("problem") or _one_line(row["detail"]),
            found=row.get("found", ""),
            next_step=_with_command(row.get("next_step", ""), command),
        )
    if held is not None:
        next_step = (
            "look at docs/runbook.md, 'A load is held back'; if it is wrong:"
            f" `metaalexport withdraw {held['load_id']} --reason '…'`"
        )
        return replace(
            state,
            state=HELD,
            failed_at=held["held_at"],
            step="gate_candidate",
            problem=held["problem"],
            found=held["found"],
            next_step=next_step,
        )
    if load is None:
        return replace(state, problem="it was not requested yet", next_step=command)
    return state


def _with_command(next_step: str, command: str) -> str:
    """Return an error's next step, with the command for a new request if it names none."""
    if "`metaalexport " in next_step:
        return next_step
    return f"{next_step}; then {command}" if next_step else command


def _one_line(text: str) -> str:
    lead = text[: len(text) - len(text.lstrip())]
    line = " ".join(text.split())
    return lead + (line if len(line) <= _LINE_WIDTH else line[: _LINE_WIDTH - 1] + "…")

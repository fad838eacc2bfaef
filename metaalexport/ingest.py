"""The steps of a load: plan, fetch, land, landing gate, commit; each can be repeated alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.files import write_atomically
from expectations import landing as landing_gate
from extract import load as loading
from extract import refresh
from extract.errors import BadReplyError, ExtractError, OfficeRefusedError, TransientOfficeError
from extract.landing.manifest import AGAIN, LoadManifest
from extract.landing.store import Landing
from extract.offices import OFFICES
from extract.offices.base import Fetched, OfficeVersion
from extract.offices.comext import bulk as comext_bulk
from extract.plan import plan_slices
from extract.politeness import OfficeBusyError
from extract.records import read_record
from extract.registry import get_dataset
from extract.slices import Slice
from metaalexport import candidate, reference
from metaalexport.arguments import parse_months, parse_reporters
from metaalexport.asking import asking, open_recording
from metaalexport.gate_input import compared_gate_input
from metaalexport.gates import gate_database, judge, keep_refusal
from metaalexport.journal import StepNote, utc_now
from metaalexport.run import Run
from metaalexport.settings import Settings
from metaalexport.state import prepare_state

# In the folder of a staged load: its slice and replies from `fetch_load`, and the hash of the rules that judged it.
_STORED = "fetched.json"


def plan_loads(
    run: Run,
    dataset_code: str,
    *,
    reporters: tuple[str, ...] | None = None,
    first_month: str | None = None,
    last_month: str | None = None,
) -> list[dict[str, Any]]:
    """Return the slices to load of a dataset, as plain JSON types.

    For a replay these are the recorded slices; for bulk files the months in the office's listing (only the newest
    unless a first month is given).

    Raises
    ------
    SettingsError
        If a month or a reporter is invalid.
    """
    first_month, last_month = parse_months(first_month, last_month)
    wanted = parse_reporters(reporters, "the reporter") if reporters else run.settings.reporters
    dataset = get_dataset(dataset_code)
    prepare_state(run.settings)
    if run.settings.profile == "replay":
        replay = open_recording(run.settings, dataset, wanted)
        for path, reason in replay.left_out:
            run.progress(f"{dataset.code}: {path} is left out: {reason}")
        return [part.to_dict() for part in replay.slices]
    if dataset.slice_by == "month":
        with run.step("plan", dataset.code), asking(run, dataset) as (session, hosts):
            months = comext_bulk.months_to_load(session, hosts, dataset, first_month or "", last_month or "")
        return [Slice(dataset.code, "*", month, month).to_dict() for month in months]
    source = "CBS" if dataset.office == "cbs" else "EUROSTAT"
    slices = plan_slices(
        dataset,
        wanted,
        first_month=first_month,
        last_month=last_month,
        usual_first_month=run.settings.first_month or "",
        scope_products=reference.scope_products(source, dataset.nomenclature, run.settings.user_scopes),
    )
    return [part.to_dict() for part in slices]


def fetch_load(run: Run, part_dict: dict[str, Any], *, again: bool = False) -> dict[str, Any] | None:
    """Fetch a slice's replies into the raw store: all the first time, then what the office may have revised.

    Parameters
    ----------
    again : bool
        True to request a version that was loaded and withdrawn: the office may have corrected it without a new
        stamp.

    Returns
    -------
    dict or None
        The slice and its replies; None if the office has nothing newer than what is loaded or was withdrawn.

    Raises
    ------
    ExtractError
        Naming dataset, URL and next step.
    """
    part = Slice.from_dict(part_dict)
    dataset = get_dataset(part.dataset)
    subject = f"{dataset.code} {part.describe()}"
    with run.step("fetch", subject) as note:
        try:
            with asking(run, dataset) as (session, hosts):
                # Under the office's lock: a run that waited for another one sees its loads.
                landing = run.landing
                loads = list(landing.committed(dataset.code))
                withdrawals = [] if again else landing.withdrawn(dataset.code)
                if run.settings.profile != "replay":
                    version = OFFICES[dataset.office].probe(session, hosts, dataset, part)
                    if version.notice:
                        note.notice = version.notice
                        run.progress(f"{subject}: {version.notice}")
                    decision = refresh.decide(dataset, loads, withdrawals, part, version)
                    if _is_nothing_new(run, note, subject, decision, "nothing downloaded"):
                        return None
                    part = decision.part
                    if not again and (stored := _find_stopped(landing, part, version)):
                        note.detail = (
                            f"version {version.version} was fetched before and stopped by the landing gate; its stored"
                            " replies are judged by the current rules, nothing downloaded"
                        )
                        run.progress(f"{subject}: {note.detail}")
                        return stored
                fetched = loading.fetch(session, hosts, dataset, part)
        except OfficeBusyError:
            raise
        except (BadReplyError, OfficeRefusedError, TransientOfficeError) as error:
            keep_refusal(run, subject, error)
            raise
        # The version of a recording is known only from its replies.
        decision = refresh.decide(dataset, loads, withdrawals, part, fetched.version)
        if _is_nothing_new(run, note, subject, decision, "the replies are those already loaded"):
            return None
        size = sum(record.bytes for record in session.records)
        note.detail = (
            f"version {fetched.version.version}, from {part.first_month}, {len(session.records)} requests,"
            f" {size / 1e6:.1f} MB"
        )
        run.progress(f"{subject}: {note.detail}")
        return {"slice": part.to_dict(), "fetched": fetched.to_dict()}


def stage_load(run: Run, load: dict[str, Any]) -> str:
    """Parse stored replies into a staged load.

    Returns
    -------
    str
        The load id.
    """
    part, fetched = Slice.from_dict(load["slice"]), Fetched.from_dict(load["fetched"])
    dataset = get_dataset(part.dataset)
    subject = f"{dataset.code} {part.describe()}"
    with run.step("land", subject) as note:
        try:
            manifest = loading.stage(
                run.landing,
                run.raw,
                dataset,
                part,
                fetched,
                transport=run.settings.profile,
                declared=reference.declared_codes(dataset),
            )
        except BadReplyError as error:
            keep_refusal(run, subject, error)
            raise
        note.detail = (
            f"{manifest.load_id}: {manifest.rows_read:,} rows read = {manifest.rows_loaded:,} loaded"
            f" + {manifest.rows_rejected:,} rejected"
        )
        run.progress(note.detail)
        folder, _ = run.landing.staged(manifest.load_id)
        stored = {"load": load, "rules_sha256": reference.rules_hash()}
        write_atomically(folder / _STORED, json.dumps(stored, ensure_ascii=False) + "\n")
    return manifest.load_id


def _find_stopped(landing: Landing, part: Slice, version: OfficeVersion) -> dict[str, Any] | None:
    """Return the replies of a slice's version that the landing gate stopped by rules that changed since, if any.

    By the same rules they would be stopped again; the office is then requested again, as it may have corrected them.
    """
    rules = reference.rules_hash()
    for load_id in landing.stopped(days=0):
        try:
            folder, manifest = landing.staged(load_id)
            is_same = manifest.slice == part.to_dict() and manifest.office_version == version.version
            if is_same and (folder / _STORED).exists() and (stored := _stored(folder))["rules_sha256"] != rules:
                return dict(stored["load"])
        except ExtractError:
            # Damaged: request them again.
            continue
    return None


def _stored(folder: Path) -> dict[str, Any]:
    """Return the replies of a staged load, and the hash of the rules that judged it."""
    return read_record(folder / _STORED, ("rules_sha256",), dataset=folder.name.split("__")[0], next_step=AGAIN)


def stopped_loads(settings: Settings, what: Sequence[str] = ()) -> list[str]:
    """Return the ids of loads that the landing gate stopped: those named, or of the named datasets, or all."""
    landing = Landing(settings.landing)
    return [
        load_id
        for load_id in landing.stopped(days=0)
        if (landing.staged(load_id)[0] / _STORED).exists()
        and (not what or load_id in what or load_id.split("__")[0] in what)
    ]


def regate_load(
    run: Run,
    load_id: str,
    *,
    accept: Sequence[str] = (),
    reason: str = "",
) -> LoadManifest:
    """Land a stopped load again from its stored replies, judge it by the current rules, and commit it.

    Parameters
    ----------
    accept : sequence of str
        Checks that this load may break, accepted by a person.
    reason : str
        That person's reason.

    Raises
    ------
    GateFailedError
        If it is stopped again.
    """
    prepare_state(run.settings)
    folder, _ = run.landing.staged(load_id)
    stored = _stored(folder)["load"]
    journal = run.journal
    for check in accept:
        journal.accept(load_id, check, reason)
    load_id = gate_load(run, stage_load(run, stored))
    return LoadManifest(**commit_load(run, load_id))


def gate_load(run: Run, load_id: str) -> str:
    """Run the landing gate on a staged load.

    Raises
    ------
    GateFailedError
        If a check of severity ``error`` failed; the load stays invisible.
    """
    landing = run.landing
    dataset = get_dataset(load_id.split("__")[0])
    with landing.hold(dataset.code), gate_database(run.settings.state / "gates", dataset.code) as database:
        if landing.is_committed(load_id):
            # A concurrent run with the same replies committed first; the commit reports it.
            return load_id
        folder, manifest = landing.staged(load_id)
        gate_input = compared_gate_input(landing, dataset, manifest, folder, database.parent)
        landing_gate.prepare_database(database, gate_input)
        judge(run, "landing", load_id, database, landing_gate.landing_checks(gate_input))
    return load_id


def commit_load(run: Run, load_id: str, *, is_repeated: bool = False) -> dict[str, Any]:
    """Make a staged load visible, and record the event in the raw store.

    Parameters
    ----------
    is_repeated : bool
        True in a rebuild from the raw store, which already has the event.

    Returns
    -------
    dict
        The manifest.
    """
    landing, dataset = run.landing, get_dataset(load_id.split("__")[0])
    with run.step("commit", load_id) as note, landing.hold(dataset.code):
        kept = None
        if not is_repeated and not landing.is_committed(load_id):
            folder, _ = landing.staged(load_id)
            stored = _stored(folder)["load"]
            accepted = run.journal.accepted(load_id)
            # Before the commit, so that a visible load is in the history even after a kill.
            kept = _keep_event(run, "committed", load_id, **stored, accepted=accepted)
        try:
            manifest = landing.commit(load_id, dataset)
        except ExtractError:
            if kept is not None:
                kept.unlink()
            raise
        note.detail = f"{manifest.rows_changed:,} cells changed, {manifest.rows_withdrawn:,} withdrawn"
        return manifest.to_dict()


def _keep_event(run: Run, event: str, load_id: str, **values: Any) -> Path:
    """Record an event of a load in the raw store; `rebuild.rebuild_landing` repeats it."""
    row = {"event": event, "load_id": load_id, "at": utc_now(), **values}
    return run.raw.keep_event(load_id.split("__")[0], row)


def withdraw_load(run: Run, load_id: str, reason: str) -> LoadManifest:
    """Withdraw a committed load, so that the next build excludes it.

    Raises
    ------
    RegistryError
        If the id names no dataset.
    ExtractError
        If there is no such load, or newer ones hold differences from it.
    """
    landing, dataset = run.landing, get_dataset(load_id.split("__")[0])
    # A build that reads it finishes first.
    with candidate.hold_candidate(run), landing.hold(dataset.code):
        manifest = landing.withdraw(load_id, reason=reason, withdrawn_at=utc_now())
        _keep_event(run, "withdrawn", load_id, reason=reason)
    # Only after success: a refused command is not a failed step.
    with run.step("withdraw", load_id) as note:
        note.detail = reason
    return manifest


def reinstate_load(run: Run, load_id: str) -> LoadManifest:
    """Make a withdrawn load visible again.

    Raises
    ------
    ExtractError
        If there is none, or a newer load of the same cells was committed meanwhile.
    """
    landing, dataset = run.landing, get_dataset(load_id.split("__")[0])
    with landing.hold(dataset.code):
        manifest = landing.reinstate(load_id)
        _keep_event(run, "reinstated", load_id)
    with run.step("reinstate", load_id):
        return manifest


def load_slice(run: Run, part: dict[str, Any], *, again: bool = False) -> LoadManifest | None:
    """Run all steps of one load: fetch, land, landing gate, commit. Return None if the office has nothing newer."""
    fetched = fetch_load(run, part, again=again)
    if fetched is None:
        return None
    load_id = gate_load(run, stage_load(run, fetched))
    return LoadManifest(**commit_load(run, load_id))


def _is_nothing_new(run: Run, note: StepNote, subject: str, decision: refresh.Decision, how: str) -> bool:
    """True if there is nothing to request; the reason is noted."""
    if load := decision.unchanged:
        note.detail = f"version {load.office_version} is loaded already ({load.load_id}); {how}"
        run.progress(f"{subject}: unchanged, {note.detail}")
    elif withdrawal := decision.withdrawn:
        note.detail = (
            f"version {withdrawal.load.office_version} was withdrawn at {withdrawal.withdrawn_at}"
            f" ({withdrawal.load.load_id}): {withdrawal.reason}; the next version will be loaded"
        )
        run.progress(f"{subject}: {note.detail}")
    else:
        return False
    note.outcome = "unchanged"
    return True

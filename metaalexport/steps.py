"""The pipeline's steps: each can be run again alone, takes and gives plain JSON types, and knows no Airflow."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from expectations import candidate as candidate_gate
from expectations import landing as landing_gate
from expectations.gate import CheckResult, build_data_docs, run_gate
from extract import load as loading
from extract import refresh
from extract.errors import BadReplyError, ExtractError, OfficeRefusedError, TornReadError, TransientOfficeError, writing
from extract.http import OfficeSession, RetryPolicy
from extract.landing import Landing, LoadManifest, Withdrawal, cell_key
from extract.offices import OFFICES, comext_bulk
from extract.offices.base import CatalogueEntry, Fetched, OfficeVersion
from extract.offices.cbs import CbsOffice
from extract.parsing import UNIT_CHANGE, unknown_code
from extract.politeness import OfficeBusyError, RequestBudget, hold, run_name
from extract.raw import RawStore, remove_left_behind, write_atomically
from extract.registry import DEFAULT_THRESHOLDS, Dataset, get_dataset, load_registry
from extract.replay import Replay, open_replay
from extract.slices import Slice
from metaalexport import gaps, reference, verified
from metaalexport.arguments import parse_days, parse_months, parse_reporters
from metaalexport.dbt import DbtFailedError, datasets_behind, failed_test, run_dbt
from metaalexport.journal import Journal, StepNote, utc_now
from metaalexport.published import query
from metaalexport.settings import Settings
from publish.duckdb_file import Publication, PublishedFileError, check_published, publish_duckdb, set_log_aside

Progress = Callable[[str], None]
# Beside a staged load: its slice and replies, as `fetch_load` returned them, and by which rules it was judged.
_STORED = "fetched.json"


class GateFailedError(Exception):
    """A gate stopped bad data. What was published stays as it is.

    Parameters
    ----------
    failed : list of CheckResult
        The checks of severity ``error`` that did not hold.
    new_loads : sequence of str
        Of gate 2: the loads that are not in what is published; one of them brought what it stopped.
    blamed : mapping of str to CheckResult
        Of gate 2: the loads among them that brought the rows which broke a check, where the check can tell.
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
        self.blamed = dict(blamed or {})
        lines = [f"gate '{gate}' stopped {subject}: {len(failed)} check(s) failed; what is published stays as it is"]
        if new_loads:
            lines.append(f"  loads since what is published: {', '.join(new_loads)}")
        lines += [f"  {check.check_name}: {check.message}\n    found: {check.observed}" for check in failed]
        if gate == "landing":
            lines.append(
                "  next: look at the rows above and at the Data Docs; load again when the office has mended it"
            )
        else:
            lines.append(
                "  next: look at the rows above; `metaalexport withdraw <load_id>` builds without a load that is wrong"
            )
        super().__init__("\n".join(lines))

    @property
    def problem(self) -> str:
        """The first check that failed, in its own words, and how many more did."""
        if not self.failed:
            return f"gate '{self.gate}' stopped {self.subject}"
        more = f" (and {len(self.failed) - 1} more checks)" if len(self.failed) > 1 else ""
        return f"{self.failed[0].check_name}: {self.failed[0].message}{more}"

    @property
    def found(self) -> str:
        """What that check found."""
        return self.failed[0].observed if self.failed else ""

    @property
    def next_step(self) -> str:
        """The command that leads on."""
        if self.gate != "landing":
            return "`metaalexport withdraw <load_id>` builds without a load that is wrong"
        return (
            f"`metaalexport regate {self.subject}` judges the stored replies again, after a seed or a setting changed;"
            f" `metaalexport load {self.subject.split('__')[0]} --again` asks the office again"
        )


def prepare_state(settings: Settings) -> None:
    """Make the profile's folders readable before the first load: row-less tables, registry, user scopes."""
    landing = Landing(settings.landing)
    for dataset in load_registry().values():
        landing.ensure_schema(dataset)
    RawStore(settings.raw).ensure_schema()
    Journal(settings.journal).prepare()
    scheduled = settings.datasets_to_load()
    rows = [
        {
            "dataset_code": dataset.code,
            "office": dataset.office,
            "identifier": dataset.identifier,
            "title_nl": dataset.title_nl,
            "title_en": dataset.title_en,
            "licence": dataset.licence,
            "licence_url": dataset.licence_url,
            "citation": dataset.citation,
            "source_url": dataset.source_url,
            "release_note": dataset.release_note,
            "look_hours": dataset.release.look_hours,
            # Nobody looks by the clock at what is loaded on request.
            "is_scheduled": dataset.code in scheduled,
            "release_days": dataset.release.days,
            "is_verified": verified.is_verified(settings, dataset),
            "rounding_unit_eur": dataset.threshold("rounding_unit_eur"),
            "total_partner": dataset.total_partner,
            "total_parts": dataset.total_parts,
        }
        for dataset in load_registry().values()
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(settings.journal / "datasets.jsonl", text)
    reference.write_user_scopes(settings.user_scopes, settings.journal / "user_scopes.csv")
    reference.write_overlay_partners(settings.journal / reference.PARTNERS_FILE)


def plan_loads(
    settings: Settings,
    dataset_code: str,
    *,
    reporters: tuple[str, ...] | None = None,
    first_month: str | None = None,
    last_month: str | None = None,
    run_id: str = "",
    progress: Progress = print,
) -> list[dict[str, Any]]:
    """Return the slices to load of a dataset, as plain JSON types.

    For a replay these are the slices that were recorded; for bulk files the months that the office's listing names
    (only the newest unless a first month is given).

    Raises
    ------
    SettingsError
        If a month or a reporter is none.
    """
    first_month, last_month = parse_months(first_month, last_month)
    wanted = parse_reporters(reporters, "the reporter") if reporters else settings.reporters
    dataset = get_dataset(dataset_code)
    prepare_state(settings)
    if settings.profile == "replay":
        replay = _replay(settings, dataset, wanted)
        for path, reason in replay.left_out:
            progress(f"{dataset.code}: {path} is left out: {reason}")
        return [part.to_dict() for part in replay.slices]
    last = last_month or ""
    if dataset.slice_by == "month":
        step = Journal(settings.journal).step(run_id, "plan", dataset.code)
        with step, asking(settings, dataset, run_id, progress) as (session, hosts):
            months = comext_bulk.months_to_load(session, hosts, dataset, first_month or "", last)
        return [Slice(dataset.code, "*", month, month).to_dict() for month in months]
    # Annual data come years late: a first month that is meant for monthly data would leave none of them.
    usual = dataset.first_period if dataset.is_annual else settings.first_month or dataset.first_period
    first = max(first_month or usual, dataset.first_period)
    if dataset.office == "cbs" or dataset.is_annual:
        # A year, which CBS publishes with its months, is placed at its January and asked for from there.
        first = max(f"{first[:4]}-01", dataset.first_period)
    products = dataset.products
    if "scopes" in products:
        source = "CBS" if dataset.office == "cbs" else "EUROSTAT"
        of_scopes = reference.scope_products(source, dataset.nomenclature, settings.user_scopes)
        products = tuple(sorted({*of_scopes, *products} - {"scopes"}))
    names = dataset.slice_reporters(wanted)
    return [Slice(dataset.code, name, first, last, products=tuple(products)).to_dict() for name in names]


def fetch_load(
    settings: Settings, part_dict: dict[str, Any], run_id: str, progress: Progress = print, *, again: bool = False
) -> dict[str, Any] | None:
    """Bring a slice's replies into the raw store: all of it the first time, then what the office may have revised.

    Parameters
    ----------
    again : bool
        Whether to ask for a version that was loaded and withdrawn: the office may have corrected it under its old
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
    journal = Journal(settings.journal)
    with journal.step(run_id, "fetch", subject) as note:
        try:
            with asking(settings, dataset, run_id, progress) as (session, hosts):
                # Behind the office's lock: a run that waited for another one sees what that one loaded.
                landing = Landing(settings.landing)
                loads = list(landing.committed(dataset.code))
                withdrawals = [] if again else landing.withdrawn(dataset.code)
                if settings.profile != "replay":
                    version = OFFICES[dataset.office].probe(session, hosts, dataset, part)
                    if version.notice:
                        note.notice = version.notice
                        progress(f"{subject}: {version.notice}")
                    if unchanged := refresh.find_unchanged(dataset, loads, part, version):
                        _note_unchanged(note, progress, subject, unchanged, "nothing downloaded")
                        return None
                    if withdrawal := refresh.find_withdrawn(dataset, loads, withdrawals, part, version):
                        _note_withdrawn(note, progress, subject, withdrawal)
                        return None
                    part = refresh.narrow(dataset, loads, part, version)
                    if not again and (stored := _find_stopped(landing, part, version)):
                        note.detail = (
                            f"version {version.version} was fetched before and stopped by gate 1; its stored replies"
                            " are judged by the rules of now, nothing downloaded"
                        )
                        progress(f"{subject}: {note.detail}")
                        return stored
                fetched = loading.fetch(session, hosts, dataset, part)
        except OfficeBusyError:
            raise
        except (BadReplyError, OfficeRefusedError, TransientOfficeError) as error:
            _keep_refusal(journal, subject, run_id, error)
            raise
        if unchanged := refresh.find_unchanged(dataset, loads, part, fetched.version):
            _note_unchanged(note, progress, subject, unchanged, "the replies are those already loaded")
            return None
        # A recording tells its version by its replies alone.
        if withdrawal := refresh.find_withdrawn(dataset, loads, withdrawals, part, fetched.version):
            _note_withdrawn(note, progress, subject, withdrawal)
            return None
        size = sum(record.bytes for record in session.records)
        note.detail = (
            f"version {fetched.version.version}, from {part.first_month}, {len(session.records)} requests,"
            f" {size / 1e6:.1f} MB"
        )
        progress(f"{subject}: {note.detail}")
        return {"slice": part.to_dict(), "fetched": fetched.to_dict()}


def stage_load(settings: Settings, load: dict[str, Any], run_id: str, progress: Progress = print) -> str:
    """Parse stored replies into a staged load.

    Returns
    -------
    str
        The load id.
    """
    part, fetched = Slice.from_dict(load["slice"]), Fetched.from_dict(load["fetched"])
    dataset = get_dataset(part.dataset)
    journal = Journal(settings.journal)
    subject = f"{dataset.code} {part.describe()}"
    with journal.step(run_id, "land", subject) as note:
        try:
            manifest = loading.stage(
                Landing(settings.landing, progress=progress),
                RawStore(settings.raw),
                dataset,
                part,
                fetched,
                transport=settings.profile,
                declared=reference.declared_codes(dataset),
            )
        except BadReplyError as error:
            _keep_refusal(journal, subject, run_id, error)
            raise
        note.detail = (
            f"{manifest.load_id}: {manifest.rows_read:,} rows read = {manifest.rows_loaded:,} loaded"
            f" + {manifest.rows_rejected:,} rejected"
        )
        progress(note.detail)
        folder, _ = Landing(settings.landing).staged(manifest.load_id)
        stored = {"load": load, "rules_sha256": reference.rules_hash()}
        write_atomically(folder / _STORED, json.dumps(stored, ensure_ascii=False) + "\n")
    return manifest.load_id


def _find_stopped(landing: Landing, part: Slice, version: OfficeVersion) -> dict[str, Any] | None:
    """Return the replies of a slice's version that gate 1 stopped by other rules than those of now, if there are any.

    By the same rules they would be stopped again: then the office is asked again, for it may have mended them.
    """
    for load_id in landing.stopped(days=0):
        folder, manifest = landing.staged(load_id)
        is_same = manifest.slice == part.to_dict() and manifest.office_version == version.version
        if is_same and (folder / _STORED).exists():
            stored = json.loads((folder / _STORED).read_text(encoding="utf-8"))
            if stored["rules_sha256"] != reference.rules_hash():
                return dict(stored["load"])
    return None


def stopped_loads(settings: Settings, what: Sequence[str] = ()) -> list[str]:
    """Return the ids of the loads that gate 1 stopped: those named, or of the datasets named, or all."""
    landing = Landing(settings.landing)
    return [
        load_id
        for load_id in landing.stopped(days=0)
        if (landing.staged(load_id)[0] / _STORED).exists()
        and (not what or load_id in what or load_id.split("__")[0] in what)
    ]


def regate_load(
    settings: Settings,
    load_id: str,
    run_id: str,
    progress: Progress = print,
    *,
    accept: Sequence[str] = (),
    reason: str = "",
) -> LoadManifest:
    """Land a load that gate 1 stopped again from its stored replies, judge it by what holds now, and commit it.

    Parameters
    ----------
    accept : sequence of str
        Checks that this load may break, because a person knows better.
    reason : str
        That person's reason.

    Raises
    ------
    GateFailedError
        If it is stopped again.
    """
    prepare_state(settings)
    folder, _ = Landing(settings.landing).staged(load_id)
    stored = json.loads((folder / _STORED).read_text(encoding="utf-8"))["load"]
    journal = Journal(settings.journal)
    for check in accept:
        journal.accept(load_id, check, reason)
    load_id = gate_load(settings, stage_load(settings, stored, run_id, progress), run_id, progress)
    return LoadManifest(**commit_load(settings, load_id, run_id, progress))


def gate_load(settings: Settings, load_id: str, run_id: str, progress: Progress = print) -> str:
    """Run gate 1 on a staged load.

    Raises
    ------
    GateFailedError
        If a check of severity ``error`` failed; the load stays invisible.
    """
    landing = Landing(settings.landing, progress=progress)
    dataset = get_dataset(load_id.split("__")[0])
    with landing.hold(dataset.code), gate_database(settings.state / "gates", dataset.code) as database:
        if landing.is_committed(load_id):
            # Two runs that started together fetched the same replies; the other one was first, as the commit will say.
            return load_id
        folder, manifest = landing.staged(load_id)
        gate_input = compared_gate_input(landing, dataset, manifest, folder, database.parent)
        landing_gate.prepare_database(database, gate_input)
        _run_gate(settings, "landing", load_id, run_id, database, landing_gate.landing_checks(gate_input), progress)
    return load_id


def compared_gate_input(
    landing: Landing, dataset: Dataset, manifest: LoadManifest, folder: Path, target: Path
) -> landing_gate.LandingGateInput:
    """Write what the loads before said into a folder, and return what gate 1 needs to know of a staged load.

    Parameters
    ----------
    folder : Path
        The staged load.
    target : Path
        Where ``previous.parquet`` and ``earlier.parquet`` are written.
    """
    previous, earlier = target / "previous.parquet", target / "earlier.parquet"
    n_before = landing.write_state(dataset, folder / "coverage.parquet", manifest.panel, previous)
    n_earlier = landing.write_chapters(dataset, manifest, earlier) if dataset.slice_by == "month" else 0
    return landing_gate_input(
        dataset,
        manifest,
        folder,
        previous if n_before else None,
        earlier if n_earlier else None,
        landing.findings_before(manifest),
    )


def landing_gate_input(
    dataset: Dataset,
    manifest: LoadManifest,
    folder: Path,
    previous: Path | None,
    history: Path | None = None,
    said: Path | None = None,
) -> landing_gate.LandingGateInput:
    """Return what gate 1 needs to know of a staged load: from the registry, the seeds and the load's manifest.

    Parameters
    ----------
    folder : Path
        The staged load.
    previous : Path or None
        What `Landing.write_state` wrote of the loads before; None if they said nothing.
    history : Path or None
        What `Landing.write_chapters` wrote of months before, for a dataset that is loaded month by month.
    said : Path or None
        Findings of the load before (`Landing.findings_before`).
    """
    is_wide = dataset.protocol == "comext_bulk"
    return landing_gate.LandingGateInput(
        office=dataset.office,
        folder=folder,
        previous=previous,
        vintage_at=manifest.vintage_at,
        key=cell_key(dataset),
        value_column="value_eur" if is_wide else "value",
        measure_column="" if is_wide else "measure",
        measures=dataset.measure_codes,
        value_measures=dataset.value_measures,
        level_measures=dataset.level_measures,
        positive_measures=dataset.positive_measures,
        index_measures=dataset.index_measures,
        total_partner=dataset.total_partner,
        total_parts=dataset.total_parts,
        partners=reference.office_partners(dataset.office) if dataset.total_partner else {},
        value_factor=next((m.factor for m in dataset.measures if m.canonical_unit == "EUR"), 1.0),
        thresholds={name: dataset.threshold(name) for name in DEFAULT_THRESHOLDS},
        guesses=dataset.guesses,
        quarantine_rules=(UNIT_CHANGE, *(unknown_code(column) for column in cell_key(dataset) if column != "period")),
        reporter=manifest.reporter if dataset.slice_by == "reporter" and "reporter" in cell_key(dataset) else "",
        has_all_partners=not manifest.slice["partners"],
        rows_read=manifest.rows_read,
        rows_rejected=manifest.rows_rejected,
        history_measures=dataset.history_measures,
        unit_value_of=dataset.unit_value_of,
        history=history,
        said=said,
        release_days=dataset.release.every_days,
        value_limit=dataset.value_limit,
    )


def commit_load(settings: Settings, load_id: str, run_id: str, progress: Progress = print) -> dict[str, Any]:
    """Make a staged load visible.

    Returns
    -------
    dict
        The manifest.
    """
    with Journal(settings.journal).step(run_id, "commit", load_id) as note:
        manifest = Landing(settings.landing, progress=progress).commit(load_id, get_dataset(load_id.split("__")[0]))
        note.detail = f"{manifest.rows_changed:,} cells changed, {manifest.rows_withdrawn:,} withdrawn"
        return manifest.to_dict()


def withdraw_load(settings: Settings, load_id: str, reason: str, run_id: str) -> LoadManifest:
    """Take a committed load back, so that the next build is made without it.

    Raises
    ------
    RegistryError
        If the id names no dataset.
    ExtractError
        If there is no such load, or newer ones hold what differs from it.
    """
    get_dataset(load_id.split("__")[0])
    manifest = Landing(settings.landing).withdraw(load_id, reason=reason, withdrawn_at=utc_now())
    # What was refused to a person is no step that failed.
    with Journal(settings.journal).step(run_id, "withdraw", load_id) as note:
        note.detail = reason
    return manifest


def reinstate_load(settings: Settings, load_id: str, run_id: str) -> LoadManifest:
    """Make a withdrawn load visible again.

    Raises
    ------
    ExtractError
        If there is none, or a newer load of the same cells was committed meanwhile.
    """
    get_dataset(load_id.split("__")[0])
    manifest = Landing(settings.landing).reinstate(load_id)
    with Journal(settings.journal).step(run_id, "reinstate", load_id):
        return manifest


def load_slice(
    settings: Settings, part: dict[str, Any], run_id: str, progress: Progress = print, *, again: bool = False
) -> LoadManifest | None:
    """Run all steps of one load: fetch, land, gate 1, commit. None if the office has nothing newer."""
    fetched = fetch_load(settings, part, run_id, progress, again=again)
    if fetched is None:
        return None
    load_id = gate_load(settings, stage_load(settings, fetched, run_id, progress), run_id, progress)
    return LoadManifest(**commit_load(settings, load_id, run_id, progress))


def discover(
    settings: Settings, office: str, words: tuple[str, ...], run_id: str, progress: Progress = print
) -> list[CatalogueEntry]:
    """Return the tables of an office's catalogue whose title or id has all the words."""
    any_dataset = next(dataset for dataset in load_registry().values() if dataset.office == office)
    with asking(settings, any_dataset, run_id, progress) as (session, hosts):
        session.dataset = f"discover_{office}"
        return OFFICES[office].discover(session, hosts, words)


def calendar(
    settings: Settings, first_day: str, last_day: str, words: tuple[str, ...], run_id: str, progress: Progress = print
) -> list[tuple[str, str, str]]:
    """Return what CBS plans to publish from day to day (``YYYY-MM-DD``): time, title, reporting period."""
    first_day, last_day = parse_days(first_day, last_day)
    any_dataset = next(dataset for dataset in load_registry().values() if dataset.office == "cbs")
    with asking(settings, any_dataset, run_id, progress) as (session, hosts):
        session.dataset = "calendar_cbs"
        return CbsOffice().calendar(session, hosts, first_day, last_day, words)


def prepare_candidate(settings: Settings, run_id: str, held: Sequence[Mapping[str, str]] = ()) -> None:
    """Start from an empty build file, and fix the set of loads that build, tests and gate 2 read.

    Rebuilding tables in place would leave free blocks behind. A load that is committed meanwhile waits for the next
    build.

    Parameters
    ----------
    held : sequence of mapping
        Loads to leave out, as `gaps.read_held` returns them.
    """
    with Journal(settings.journal).step(run_id, "prepare_candidate", settings.warehouse.name) as note:
        prepare_state(settings)
        left_out = {row["load_id"] for row in held}
        loads = [load for load in Landing(settings.landing).committed() if load.load_id not in left_out]
        if not loads:
            raise ExtractError(
                "there is no committed load to build from",
                dataset="all datasets",
                where=str(settings.landing),
                next_step="`metaalexport status` shows what was asked for and why it is not there",
            )
        text = "".join(json.dumps(load.to_dict(), ensure_ascii=False) + "\n" for load in loads)
        write_atomically(settings.journal / "build_loads.jsonl", text)
        gaps.write_held(settings, held)
        gaps.write_slices(settings)
        note.detail = f"{len(loads)} loads" + (f", {len(held)} left out: {', '.join(sorted(left_out))}" if held else "")
        set_log_aside(settings.published)
        for path in (settings.warehouse, settings.warehouse.with_name(f"{settings.warehouse.name}.wal")):
            path.unlink(missing_ok=True)


def build_candidate(settings: Settings, run_id: str, held: Sequence[Mapping[str, str]] = ()) -> None:
    """Build all models with dbt (outside Airflow; there Cosmos runs the same build)."""
    prepare_candidate(settings, run_id, held)
    with Journal(settings.journal).step(run_id, "build", settings.warehouse.name):
        run_dbt(settings, ["build", "--exclude-resource-type", "test", "unit_test"])


def test_candidate(settings: Settings, run_id: str, progress: Progress = print) -> None:  # noqa: PT028 - a step
    """Run dbt's data tests on the candidate; what they stop of one dataset holds up no other.

    Where the rows that a test found name slices, or the test stands on some of the datasets only, the loads of those
    that are not published are left out: the candidate is built and tested again without them.

    Raises
    ------
    DbtFailedError
        Naming the tests that failed, if no load can be blamed for any of them.
    """
    while True:
        try:
            with Journal(settings.journal).step(run_id, "test", settings.warehouse.name):
                run_dbt(settings, ["test", "--exclude-resource-type", "unit_test"])
            return
        except DbtFailedError as error:
            blamed = _blamed_by_tests(settings, error)
            if not blamed:
                raise
            progress(f"dbt's tests stopped {', '.join(row['load_id'] for row in blamed)}; building again without")
            build_candidate(settings, run_id, [*gaps.read_held(settings), *blamed])


def _blamed_by_tests(settings: Settings, error: DbtFailedError) -> list[dict[str, str]]:
    """Return the loads to leave out after tests of dbt failed; none where nothing can be blamed for any of them."""
    past = {row["load_id"] for row in gaps.read_held(settings)}
    if settings.published.exists():
        past |= {row[0] for row in query(settings, "select load_id from ops.loads").rows}
    loads = [*Landing(settings.landing).committed()]
    return [
        {
            "load_id": load_id,
            "problem": f"dbt's test {unique_id.split('.')[2]} failed",
            "found": error.failed[unique_id],
            "held_at": utc_now(),
        }
        for load_id, unique_id in {
            load.load_id: unique_id
            for unique_id in error.failed
            for load in _blamed_loads(settings, unique_id, loads, past)
        }.items()
    ]


def _blamed_loads(
    settings: Settings, unique_id: str, loads: Sequence[LoadManifest], past: Collection[str]
) -> list[LoadManifest]:
    """Return the new loads that a test of dbt blames: of the slices its rows name, else of the datasets behind it.

    None where all datasets are behind it and no row names a slice: the fault is in what they share.

    Parameters
    ----------
    past : collection of str
        Ids of loads that are published or held already: what is new did not come with them.
    """
    behind = datasets_behind(settings, unique_id)
    rows, compared_with = failed_test(settings, unique_id)
    named = candidate_gate.slices_behind(settings.warehouse, rows)
    datasets = {dataset for dataset, _ in named} & behind
    others = {load.reporter for load in loads if load.dataset in datasets} - {compared_with}
    if compared_with and len(others) > 1 and others <= {reporter for _, reporter in named}:
        # All others against one: it is the one.
        named = {(dataset, compared_with) for dataset in datasets}
    new = [load for load in loads if load.load_id not in past]
    if datasets:
        # Slices that stayed as they were are named where what they are compared with changed.
        of_slices = [load for load in new if (load.dataset, load.reporter) in named]
        return of_slices or [load for load in new if load.dataset in datasets]
    is_all = len(behind) > 1 and {load.dataset for load in loads} <= behind
    return [] if is_all else [load for load in new if load.dataset in behind]


def gate_candidate(settings: Settings, run_id: str, progress: Progress = print) -> None:
    """Run gate 2 on the candidate; what it stops of one slice holds up no other.

    Where the check that failed can tell which new loads brought what it stopped, those are left out: the candidate is
    built and tested again without them, and judged again.

    Raises
    ------
    GateFailedError
        If a check of severity ``error`` failed that no load can be blamed for; nothing is published.
    """
    while True:
        try:
            _gate_candidate(settings, run_id, progress)
            break
        except GateFailedError as error:
            # dbt's tests may have held more meanwhile.
            held = gaps.read_held(settings)
            blamed = {id_: check for id_, check in error.blamed.items() if id_ not in {row["load_id"] for row in held}}
            if not blamed:
                raise
            held += [
                {
                    "load_id": load_id,
                    "problem": f"{check.check_name}: {check.message}",
                    "found": check.observed,
                    "held_at": check.checked_at,
                }
                for load_id, check in blamed.items()
            ]
            progress(f"gate 'candidate' stopped {', '.join(blamed)}: {error.problem}; building again without")
            build_candidate(settings, run_id, held)
            test_candidate(settings, run_id)
    build_data_docs(settings.gx)


def _judge_published(settings: Settings, progress: Progress) -> str:
    """Free what is published from a log that lies beside it, and return what makes it no fit for a comparison."""
    if log := set_log_aside(settings.published):
        progress(f"a program wrote into the published file; what it wrote was moved to {log}")
    try:
        check_published(settings.published)
    except PublishedFileError as error:
        return str(error)
    return ""


def _gate_candidate(settings: Settings, run_id: str, progress: Progress) -> None:
    problem = _judge_published(settings, progress) if settings.published.exists() else ""
    withdrawn = tuple(each.load.load_id for each in Landing(settings.landing).withdrawn())
    gate_input = candidate_gate.CandidateGateInput(
        settings.warehouse,
        settings.published if settings.published.exists() and not problem else None,
        settings.is_simulated,
        withdrawn,
        problem,
    )
    with gate_database(settings.state / "gates", "all datasets") as database:
        candidate_gate.prepare_database(database, gate_input)
        checks = candidate_gate.candidate_checks(gate_input)
        # Before the checks run: Great Expectations keeps the file open for as long as the process lives.
        blamed_by = {check.name: candidate_gate.blamed_loads(database, check) for check in checks}
        new_loads = candidate_gate.new_loads(database)
        try:
            _run_gate(settings, "candidate", settings.warehouse.name, run_id, database, checks, progress)
        except GateFailedError as error:
            blamed = {load_id: result for result in error.failed[::-1] for load_id in blamed_by[result.check_name]}
            raise GateFailedError("candidate", error.subject, error.failed, new_loads, blamed) from error


def record_operations(settings: Settings, run_id: str) -> None:
    """Build again the models of the journal, which holds the results of gate 2 by now."""
    with Journal(settings.journal).step(run_id, "record_operations", settings.warehouse.name):
        gaps.write_slices(settings)
        run_dbt(settings, ["run", "--select", "tag:journal"])


def publish_candidate(settings: Settings, run_id: str, progress: Progress = print) -> Publication:
    """Swap the published file.

    Raises
    ------
    PublishedFileError
        If a reader sees something else than the candidate's marts.
    """
    with Journal(settings.journal).step(run_id, "publish", settings.published.name) as note:
        publication = publish_duckdb(
            settings.warehouse,
            settings.published,
            profile=settings.profile,
            is_simulated=settings.is_simulated,
            published_at=utc_now(),
        )
        note.detail = f"{publication.publish_id}, marts content {publication.content_sha256}"
        progress(f"published {settings.published}: {note.detail}")
    return publication


def serve_publication(settings: Settings, run_id: str, progress: Progress = print) -> str:
    """Fill PostgreSQL with what is published; return its publish id.

    Raises
    ------
    PostgresServingError
        If it could not be; PostgreSQL goes on with what it served before.
    """
    from metaalexport.serving import marts_server
    from publish.postgres import publish_postgres

    server = marts_server()
    with Journal(settings.journal).step(run_id, "serve", server.database) as note:
        served = publish_postgres(
            settings.published, server, extensions=settings.state / "duckdb_extensions", progress=progress
        )
        note.outcome = "done" if served.is_new else "unchanged"
        note.detail = f"{served.publish_id}, {served.tables} tables, {served.rows} rows"
        if not served.is_exact:
            note.detail += "; a reader's transaction may have seen two publications"
        if served.ended:
            note.detail += f"; ended sessions in the way: {'; '.join(served.ended)}"
    return served.publish_id


def write_report(settings: Settings, run_id: str, progress: Progress = print) -> Path:
    """Write the report page from the published file."""
    with Journal(settings.journal).step(run_id, "report", settings.report.name):
        settings.report.parent.mkdir(parents=True, exist_ok=True)
        # The charts' library takes seconds to import, which every other step would pay.
        from publish.report import build_report

        path = build_report(settings.published, settings.report)
        progress(f"report: {path}")
    return path


def _replay(settings: Settings, dataset: Dataset, reporters: tuple[str, ...]) -> Replay:
    assert settings.replay_folder is not None  # noqa: S101 - Settings.from_environment refuses it
    return open_replay(settings.replay_folder, dataset, reporters)


@contextmanager
def asking(
    settings: Settings, dataset: Dataset, run_id: str, progress: Progress
) -> Iterator[tuple[OfficeSession, dict[str, str]]]:
    """Hold an office while it is asked; give a session with it, and its addresses."""

    def tell(message: str) -> None:
        progress(f"{dataset.code}: {message}")

    office = dataset.office
    public = OFFICES[office].hosts()
    # Once an office could not be reached with all patience, the rest of the run asks it once each.
    away = settings.offices / f"{office}.{run_name(run_id)}.away"
    with hold(
        settings.offices / f"{office}.lock",
        dataset=dataset.code,
        what=f"the connection to {office}",
        wait_seconds=settings.lock_wait_seconds,
        progress=tell,
    ):
        session = OfficeSession(
            dataset.code,
            RawStore(settings.raw),
            settings.profile,
            adapter=_replay(settings, dataset, settings.reporters).adapter if settings.profile == "replay" else None,
            policy=RetryPolicy(
                attempts=1 if away.exists() else settings.http_attempts, base_seconds=settings.http_base_seconds
            ),
            budget=RequestBudget.of_run(settings.offices, office, run_id, settings.request_budget),
            run_id=run_id,
            progress=tell,
        )
        try:
            yield session, public if settings.profile == "replay" else settings.office_hosts(office, public)
        except TransientOfficeError as error:
            if not isinstance(error, TornReadError):
                away.touch()
            raise
        away.unlink(missing_ok=True)


def _note_unchanged(note: StepNote, progress: Progress, subject: str, manifest: LoadManifest, how: str) -> None:
    note.outcome = "unchanged"
    note.detail = f"version {manifest.office_version} is loaded already ({manifest.load_id}); {how}"
    progress(f"{subject}: unchanged, {note.detail}")


def _note_withdrawn(note: StepNote, progress: Progress, subject: str, withdrawal: Withdrawal) -> None:
    load = withdrawal.load
    note.outcome = "unchanged"
    note.detail = (
        f"version {load.office_version} was withdrawn at {withdrawal.withdrawn_at} ({load.load_id}):"
        f" {withdrawal.reason}; the next version will be loaded"
    )
    progress(f"{subject}: {note.detail}")


def _keep_refusal(journal: Journal, subject: str, run_id: str, error: ExtractError) -> None:
    """A reply that is not data fails gate 1 before there is anything to land; it belongs to the same record."""
    result = CheckResult(
        run_id=run_id,
        gate="landing",
        subject=subject,
        check_name="reply_is_data",
        severity="error",
        is_passed=False,
        observed=f"{error.problem} ({error.where})",
        message="The office's reply is the data that was asked for.",
        checked_at=utc_now(),
    )
    journal.checks("landing", subject, run_id, [result.to_dict()])


@contextmanager
def gate_database(gates: Path, subject: str) -> Iterator[Path]:
    """Give a gate a DuckDB file of its own in the folder of gates; it is removed afterwards.

    Raises
    ------
    StorageError
        If there is no room for it; ``subject`` is the dataset that it is raised for.
    """
    folder = gates / uuid.uuid4().hex[:12]
    with writing(subject, folder):
        try:
            folder.mkdir(parents=True)
            remove_left_behind(gates)
            yield folder / "gate.duckdb"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _run_gate(
    settings: Settings,
    gate: str,
    subject: str,
    run_id: str,
    database: Path,
    checks: list[Any],
    progress: Progress,
) -> None:
    journal = Journal(settings.journal)
    with journal.step(run_id, f"gate_{gate}", subject) as note:
        results = run_gate(
            database,
            checks,
            gate=gate,
            subject=subject,
            run_id=run_id,
            checked_at=utc_now(),
            gx_dir=settings.gx,
        )
        accepted = journal.accepted(subject)
        results = [
            replace(result, severity="warn", message=f"{result.message} Accepted: {accepted[result.check_name]}")
            if result.check_name in accepted and not result.is_passed
            else result
            for result in results
        ]
        journal.checks(gate, subject, run_id, [result.to_dict() for result in results])
        failed = [r for r in results if not r.is_passed and r.severity == "error"]
        warned = [r for r in results if not r.is_passed and r.severity == "warn"]
        note.detail = f"{len(results)} checks, {len(failed)} failed, {len(warned)} warned"
        for result in warned:
            progress(f"warn: {result.check_name}: {result.message} Found: {result.observed[:200]}")
        if failed:
            note.outcome = "blocked"
            build_data_docs(settings.gx)
            raise GateFailedError(gate, subject, failed)
        progress(f"gate '{gate}' passed {subject}: {note.detail}")

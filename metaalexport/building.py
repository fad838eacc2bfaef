"""The steps from loads to the publication: build, test, publish gate, publish, serve, report."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from common.files import write_atomically
from expectations import candidate as candidate_gate
from extract.errors import ExtractError
from extract.landing.manifest import LoadManifest
from metaalexport import candidate, gaps
from metaalexport.dbt import DbtFailedError, datasets_behind, failed_test, run_dbt
from metaalexport.gates import GateFailedError, gate_database, judge, write_data_docs
from metaalexport.journal import utc_now
from metaalexport.published import query, require_published
from metaalexport.run import Run
from metaalexport.settings import Settings
from metaalexport.state import prepare_state, set_damaged_aside
from publish.duckdb_file import Publication, PublishedFileError, check_published, publish_duckdb, set_log_aside


def write_inputs(run: Run, held: Sequence[Mapping[str, str]] = ()) -> list[LoadManifest]:
    """Write the inputs of a build and return its loads.

    Raises
    ------
    ExtractError
        If there is no load.
    """
    prepare_state(run.settings)
    set_damaged_aside(run.settings)
    left_out = {row["load_id"] for row in held}
    loads = [load for load in run.landing.committed() if load.load_id not in left_out]
    if not loads:
        raise ExtractError(
            "there is no committed load to build from",
            dataset="all datasets",
            where=str(run.settings.landing),
            next_step="`metaalexport status` shows what was requested and why it is missing",
        )
    text = "".join(json.dumps(load.to_dict(), ensure_ascii=False) + "\n" for load in loads)
    write_atomically(run.settings.journal / candidate.LOADS_FILE, text)
    gaps.write_held(run.settings, held)
    gaps.write_slices(run.settings)
    return loads


def prepare_candidate(
    run: Run,
    held: Sequence[Mapping[str, str]] = (),
    *,
    is_repeated: bool = True,
) -> bool:
    """Start from an empty build file, and fix the set of loads that build, tests and publish gate read.

    Rebuilding tables in place would leave free blocks. A load committed meanwhile waits for the next build.

    Parameters
    ----------
    held : sequence of mapping
        Loads to leave out, as `gaps.read_held` returns them.
    is_repeated : bool
        True to build even if nothing changed since the publication.

    Returns
    -------
    bool
        True if there is something to build.
    """
    with (
        candidate.hold_candidate(run),
        run.step("prepare_candidate", run.settings.warehouse.name) as note,
    ):
        loads = write_inputs(run, held)
        if not is_repeated and candidate.is_published(run.settings):
            note.outcome = "unchanged"
            note.detail = f"what is published was built from the same {len(loads)} loads by the same rules"
            run.progress(note.detail)
            return False
        candidate.claim(run, utc_now())
        left_out = ", ".join(sorted(row["load_id"] for row in held))
        note.detail = f"{len(loads)} loads" + (f", {len(held)} left out: {left_out}" if held else "")
        if log := set_log_aside(run.settings.published):
            run.progress(f"a program wrote into the published file; what it wrote was moved to {log}")
        for path in (run.settings.warehouse, run.settings.warehouse.with_name(f"{run.settings.warehouse.name}.wal")):
            path.unlink(missing_ok=True)
        return True


def build_candidate(
    run: Run,
    held: Sequence[Mapping[str, str]] = (),
    *,
    is_repeated: bool = True,
) -> bool:
    """Build all models with dbt into an empty candidate, excluding new loads that cause a failure.

    Parameters
    ----------
    held : sequence of mapping
        Loads to leave out, as `gaps.read_held` returns them.
    is_repeated : bool
        True to build even if nothing changed since the publication.

    Returns
    -------
    bool
        True if there was something to build.

    Raises
    ------
    DbtFailedError
        Naming the failed models, if they cannot be attributed to a load.
    """
    with candidate.hold_candidate(run):
        while prepare_candidate(run, held, is_repeated=is_repeated):
            try:
                with run.step("build", run.settings.warehouse.name):
                    run_dbt(run.settings, ["build", "--exclude-resource-type", "test", "unit_test"])
                return True
            except DbtFailedError as error:
                held = held_after(run, error)
        return False


def test_candidate(run: Run) -> None:
    """Run dbt's data tests on the candidate; a failure in one dataset does not hold up the others.

    If the failed rows name slices, or the test depends on some of the datasets only, the unpublished loads of those are
    left out: the candidate is built and tested again without them.

    Raises
    ------
    DbtFailedError
        Naming the failed tests, if none can be attributed to a load.
    ExtractError
        If a load of the candidate was withdrawn since.
    """
    with candidate.hold_candidate(run):
        candidate.require_loads(run.settings)
        while True:
            try:
                with run.step("test", run.settings.warehouse.name):
                    run_dbt(run.settings, ["test", "--exclude-resource-type", "unit_test"])
                return
            except DbtFailedError as error:
                build_candidate(run, held_after(run, error))


def held_after(run: Run, error: DbtFailedError) -> list[dict[str, str]]:
    """Return the loads to leave out after dbt failed: those already left out, and those to blame.

    Raises
    ------
    DbtFailedError
        The error, with the unpublished loads, if no load can be blamed.
    """
    held = gaps.read_held(run.settings)
    past = {row["load_id"] for row in held}
    if run.settings.published.exists():
        past |= {row[0] for row in query(run.settings, "select load_id from ops.loads").rows}
    loads = [*run.landing.committed()]
    blamed = {
        load.load_id: unique_id
        for unique_id in error.failed
        for load in _newest_of_slices(_blamed_loads(run.settings, unique_id, loads, past))
    }
    if not blamed:
        new = [load.load_id for load in loads if load.load_id not in past]
        raise DbtFailedError(f"{error}\n  loads since what is published: {', '.join(new) or 'none'}", error.failed)
    run.progress(f"dbt stopped {', '.join(blamed)}; building again without")
    return held + [
        {
            "load_id": load_id,
            "problem": f"dbt's {unique_id.split('.')[0]} {unique_id.split('.')[2]} failed",
            "found": error.failed[unique_id],
            "held_at": utc_now(),
        }
        for load_id, unique_id in blamed.items()
    ]


def _newest_of_slices(loads: Iterable[LoadManifest]) -> list[LoadManifest]:
    """Return the newest load of each slice: earlier new loads may be correct.

    If they are not, they are blamed when the candidate is tested without the newest.
    """
    ordered = sorted(loads, key=lambda load: load.order)
    return list({(load.dataset, load.reporter, load.panel): load for load in ordered}.values())


def _blamed_loads(
    settings: Settings, unique_id: str, loads: Sequence[LoadManifest], past: Collection[str]
) -> list[LoadManifest]:
    """Return the new loads to which the failure of a dbt node is attributed.

    Those that a test's rows name; else those of the slices that the rows name; else those of the
    datasets behind it. Empty if all datasets are behind it and no row names any: the fault is in a shared part.

    Parameters
    ----------
    past : collection of str
        Ids of loads that are already published or held: they did not cause the failure.
    """
    behind = datasets_behind(settings, unique_id)
    ids, named, compared_with = set[str](), set[tuple[str, str]](), ""
    if unique_id.startswith("test."):
        rows, compared_with = failed_test(settings, unique_id)
        ids = candidate_gate.loads_behind(settings.warehouse, rows)
        named = candidate_gate.slices_behind(settings.warehouse, rows)
    new = [load for load in loads if load.load_id not in past]
    if of_ids := [load for load in new if load.load_id in ids]:
        return of_ids
    datasets = {dataset for dataset, _ in named} & behind
    others = {load.reporter for load in loads if load.dataset in datasets} - {compared_with}
    if compared_with and len(others) > 1 and others <= {reporter for _, reporter in named}:
        # If all others differ from one reporter, that one is at fault.
        named = {(dataset, compared_with) for dataset in datasets}
    if datasets:
        # Unchanged slices are named if the figures that they are compared with changed.
        of_slices = [load for load in new if (load.dataset, load.reporter) in named]
        return of_slices or [load for load in new if load.dataset in datasets]
    is_all = len(behind) > 1 and {load.dataset for load in loads} <= behind
    return [] if is_all else [load for load in new if load.dataset in behind]


def gate_candidate(run: Run) -> None:
    """Run the publish gate on the candidate; a failure in one slice does not hold up the others.

    If a failed check can attribute its rows to new loads, those are left out: the candidate is built, tested and judged
    again without them.

    Raises
    ------
    GateFailedError
        If a check of severity ``error`` failed that cannot be attributed to a load; nothing is published.
    """
    with candidate.hold_candidate(run):
        while True:
            try:
                _gate_candidate(run)
                break
            except GateFailedError as error:
                # dbt's tests may have held further loads meanwhile.
                held = gaps.read_held(run.settings)
                past = {row["load_id"] for row in held}
                loads = [*run.landing.committed()]
                new = [load for load in loads if load.load_id in error.blamed and load.load_id not in past]
                blamed = {load.load_id: error.blamed[load.load_id] for load in _newest_of_slices(new)}
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
                run.progress(f"gate 'candidate' stopped {', '.join(blamed)}: {error.problem}; building again without")
                build_candidate(run, held)
                test_candidate(run)
        write_data_docs(run.settings)


def _judge_published(run: Run) -> str:
    """Set aside a log next to the published file; return why the file is unfit for comparison, empty if it is fit."""
    if log := set_log_aside(run.settings.published):
        run.progress(f"a program wrote into the published file; what it wrote was moved to {log}")
    try:
        check_published(run.settings.published)
    except PublishedFileError as error:
        return str(error)
    return ""


def _gate_candidate(run: Run) -> None:
    problem = _judge_published(run) if run.settings.published.exists() else ""
    withdrawn = tuple(each.load.load_id for each in run.landing.withdrawn())
    gate_input = candidate_gate.CandidateGateInput(
        run.settings.warehouse,
        run.settings.published if run.settings.published.exists() and not problem else None,
        run.settings.is_simulated,
        withdrawn,
        problem,
    )
    with gate_database(run.settings.state / "gates", "all datasets") as database:
        candidate_gate.prepare_database(database, gate_input)
        checks = candidate_gate.candidate_checks(gate_input)
        # Before the checks run: Great Expectations keeps the file open until the process ends.
        blamed_by = {check.name: candidate_gate.blamed_loads(database, check) for check in checks}
        new_loads = candidate_gate.new_loads(database)
        try:
            judge(run, "candidate", run.settings.warehouse.name, database, checks)
        except GateFailedError as error:
            blamed = {load_id: result for result in error.failed[::-1] for load_id in blamed_by[result.check_name]}
            raise GateFailedError("candidate", error.subject, error.failed, new_loads, blamed) from error


def record_operations(run: Run) -> None:
    """Rebuild the models of the journal, which now holds the results of the publish gate."""
    with (
        candidate.hold_candidate(run),
        run.step("record_operations", run.settings.warehouse.name),
    ):
        gaps.write_slices(run.settings)
        run_dbt(run.settings, ["run", "--select", "tag:journal"])


def publish_candidate(run: Run) -> Publication:
    """Swap the published file.

    Raises
    ------
    PublishedFileError
        If a reader sees other content than the candidate's marts.
    """
    with (
        candidate.hold_candidate(run),
        run.step("publish", run.settings.published.name) as note,
    ):
        publication = publish_duckdb(
            run.settings.warehouse,
            run.settings.published,
            profile=run.settings.profile,
            is_simulated=run.settings.is_simulated,
            published_at=utc_now(),
            inputs_sha256=candidate.claimed_inputs(run.settings),
        )
        note.detail = f"{publication.publish_id}, marts content {publication.content_sha256}"
        run.progress(f"published {run.settings.published}: {note.detail}")
    return publication


def serve_publication(run: Run) -> str:
    """Load the publication into PostgreSQL; return its publish id.

    Raises
    ------
    NothingPublishedError
        If nothing is published.
    PostgresServingError
        If that failed; PostgreSQL continues to serve the previous publication.
    """
    from metaalexport.serving import marts_server
    from publish.postgres.serving import publish_postgres

    require_published(run.settings)
    server = marts_server()
    with run.step("serve", server.database) as note:
        served = publish_postgres(
            run.settings.published, server, extensions=run.settings.state / "duckdb_extensions", progress=run.progress
        )
        note.outcome = "done" if served.is_new else "unchanged"
        note.detail = f"{served.publish_id}, {served.tables} tables, {served.rows} rows"
        if not served.is_exact:
            note.detail += "; a reader's transaction may have seen two publications"
        if served.ended:
            note.detail += f"; ended sessions in the way: {'; '.join(served.ended)}"
    return served.publish_id


def write_report(run: Run) -> Path:
    """Write the report page from the published file.

    Raises
    ------
    NothingPublishedError
        If nothing is published.
    """
    require_published(run.settings)
    with run.step("report", run.settings.report.name):
        run.settings.report.parent.mkdir(parents=True, exist_ok=True)
        # Imported here: the chart library takes seconds to import.
        from publish.report import build_report

        path = build_report(run.settings.published, run.settings.report)
        run.progress(f"report: {path}")
    return path

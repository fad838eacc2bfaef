"""The steps from loads to what is published: build, test, gate 2, publish, serve, report."""

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
from metaalexport.published import query
from metaalexport.run import Run
from metaalexport.settings import Settings
from metaalexport.state import prepare_state, set_damaged_aside
from publish.duckdb_file import Publication, PublishedFileError, check_published, publish_duckdb, set_log_aside


def write_inputs(run: Run, held: Sequence[Mapping[str, str]] = ()) -> list[LoadManifest]:
    """Write down what a build of now reads, and return its loads.

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
            next_step="`metaalexport status` shows what was asked for and why it is not there",
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
    """Start from an empty build file, and fix the set of loads that build, tests and gate 2 read.

    Rebuilding tables in place would leave free blocks behind. A load that is committed meanwhile waits for the next
    build.

    Parameters
    ----------
    held : sequence of mapping
        Loads to leave out, as `gaps.read_held` returns them.
    is_repeated : bool
        Whether to build what is published already, too.

    Returns
    -------
    bool
        Whether there is something to build.
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
    """Build all models with dbt into an empty candidate; where a new load is to blame for a failure, without it.

    Parameters
    ----------
    held : sequence of mapping
        Loads to leave out, as `gaps.read_held` returns them.
    is_repeated : bool
        Whether to build what is published already, too.

    Returns
    -------
    bool
        Whether there was something to build.

    Raises
    ------
    DbtFailedError
        Naming the models that failed, if no load can be blamed for them.
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
    """Run dbt's data tests on the candidate; what they stop of one dataset holds up no other.

    Where the rows that a test found name slices, or the test stands on some of the datasets only, the loads of those
    that are not published are left out: the candidate is built and tested again without them.

    Raises
    ------
    DbtFailedError
        Naming the tests that failed, if no load can be blamed for any of them.
    ExtractError
        If a load that the candidate is built from was withdrawn since.
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
    """Return the loads to leave out after dbt failed: those that are left out already, and those to blame for it.

    Raises
    ------
    DbtFailedError
        The error itself, with the loads that are not published, if no load can be blamed.
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
    """Return the newest load of each slice: where several came at once, those before it may be right.

    If they are not, they are blamed when the candidate is judged without it.
    """
    ordered = sorted(loads, key=lambda load: load.order)
    return list({(load.dataset, load.reporter, load.panel): load for load in ordered}.values())


def _blamed_loads(
    settings: Settings, unique_id: str, loads: Sequence[LoadManifest], past: Collection[str]
) -> list[LoadManifest]:
    """Return the new loads that a node of dbt blames.

    Those that a test's rows name; else those of the slices that the rows name; else those of the
    datasets behind it. None where all datasets are behind it and no row names any: the fault is in what they share.

    Parameters
    ----------
    past : collection of str
        Ids of loads that are published or held already: what is new did not come with them.
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
        # All others against one: it is the one.
        named = {(dataset, compared_with) for dataset in datasets}
    if datasets:
        # Slices that stayed as they were are named where what they are compared with changed.
        of_slices = [load for load in new if (load.dataset, load.reporter) in named]
        return of_slices or [load for load in new if load.dataset in datasets]
    is_all = len(behind) > 1 and {load.dataset for load in loads} <= behind
    return [] if is_all else [load for load in new if load.dataset in behind]


def gate_candidate(run: Run) -> None:
    """Run gate 2 on the candidate; what it stops of one slice holds up no other.

    Where the check that failed can tell which new loads brought what it stopped, those are left out: the candidate is
    built and tested again without them, and judged again.

    Raises
    ------
    GateFailedError
        If a check of severity ``error`` failed that no load can be blamed for; nothing is published.
    """
    with candidate.hold_candidate(run):
        while True:
            try:
                _gate_candidate(run)
                break
            except GateFailedError as error:
                # dbt's tests may have held more meanwhile.
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
    """Free what is published from a log that lies beside it, and return what makes it no fit for a comparison."""
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
        # Before the checks run: Great Expectations keeps the file open for as long as the process lives.
        blamed_by = {check.name: candidate_gate.blamed_loads(database, check) for check in checks}
        new_loads = candidate_gate.new_loads(database)
        try:
            judge(run, "candidate", run.settings.warehouse.name, database, checks)
        except GateFailedError as error:
            blamed = {load_id: result for result in error.failed[::-1] for load_id in blamed_by[result.check_name]}
            raise GateFailedError("candidate", error.subject, error.failed, new_loads, blamed) from error


def record_operations(run: Run) -> None:
    """Build again the models of the journal, which holds the results of gate 2 by now."""
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
        If a reader sees something else than the candidate's marts.
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
    """Fill PostgreSQL with what is published; return its publish id.

    Raises
    ------
    PostgresServingError
        If it could not be; PostgreSQL goes on with what it served before.
    """
    from metaalexport.serving import marts_server
    from publish.postgres.serving import publish_postgres

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
    """Write the report page from the published file."""
    with run.step("report", run.settings.report.name):
        run.settings.report.parent.mkdir(parents=True, exist_ok=True)
        # The charts' library takes seconds to import, which every other step would pay.
        from publish.report import build_report

        path = build_report(run.settings.published, run.settings.report)
        run.progress(f"report: {path}")
    return path

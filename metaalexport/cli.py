"""The command line."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.text import Text

from common.files import hash_file
from expectations.gate import GateBrokenError
from extract.errors import ExtractError
from extract.examine import Examined
from extract.landing import Landing
from extract.offices import OFFICES
from extract.raw import RawStore
from extract.registry import load_registry
from metaalexport import (
    airflow_run,
    asking,
    building,
    candidate,
    gaps,
    gates,
    ingest,
    inherited,
    overlay,
    published,
    serving,
    stopping,
)
from metaalexport.arguments import SettingsError, parse_days, parse_month
from metaalexport.client import become_client
from metaalexport.dbt import DbtFailedError, published_keys
from metaalexport.display import TextConsole, format_cell, make_table
from metaalexport.doctor import check_machine, check_ports, examine_offices, is_away, keep_evidence
from metaalexport.harmless import harmless
from metaalexport.health import examine, gap_findings, promises
from metaalexport.journal import Journal
from metaalexport.maintenance import maintain as do_maintenance
from metaalexport.offices import choose_profile, is_to_be_chosen
from metaalexport.rebuild import end_rebuild, rebuild_landing
from metaalexport.rehearsal import Rehearsed, foretell, rehearse
from metaalexport.run import Run
from metaalexport.settings import Settings, write_last_run
from metaalexport.simulation import ensure_simulator, release_before, serve_simulator
from publish.data_package import ExportError, export_data_package
from publish.duckdb_file import PublishedFileError, check_published
from publish.postgres import LOADER, READER, PostgresServingError, prepare_server

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A warehouse of Dutch and EU metal exports by destination. METAALEXPORT_PROFILE chooses simulator, live or"
    " replay; state lives under var/<profile>/.",
)
# Into a file or a pipe there is no screen to fit: a folded number or name would be of no use there.
console = TextConsole(width=None if sys.stdout.isatty() else 200)
errors = TextConsole(stderr=True)
# Rows of a table on the screen; a million of them take minutes and gigabytes to lay out.
MOST_SHOWN = 1_000

EXPECTED_ERRORS = (
    ExtractError,
    SettingsError,
    gates.GateFailedError,
    GateBrokenError,
    DbtFailedError,
    airflow_run.DagRunFailedError,
    published.NothingPublishedError,
    published.QueryError,
    PostgresServingError,
    ExportError,
    PublishedFileError,
    duckdb.Error,
)


class Format(StrEnum):
    """Formats of `sql`."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def main() -> None:
    """Run the command line; an expected error is a message and exit code 1, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A shell of another encoding shows a question mark for what it does not have.
            stream.reconfigure(errors="replace")
    os.environ.update(inherited.direct(os.environ))
    try:
        app()
    except Exception as error:
        if isinstance(error, EXPECTED_ERRORS):
            said = str(error)
        elif isinstance(error, OSError) and error.filename is not None:
            said = (
                f"{error.filename}: {error.strerror}; next: see that the path exists and that you may read and write it"
            )
        elif stopping.exit_code() is not None:
            raise
        else:
            # Python and Typer would print it past our consoles, and an unexpected error may quote an office, too.
            said = traceback.format_exc()
        errors.print(said, style="red", soft_wrap=True)
        sys.exit(1)


def _new_run(settings: Settings | None = None) -> Run:
    """Return a run of this command, which says on the screen what goes on."""
    run_id = f"cli__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"
    return Run(settings or Settings.from_environment(), run_id, _progress)


def _progress(message: str) -> None:
    console.print(message)


def _choose_profile() -> str:
    """Where the environment names no profile, take the offices if they answer; return what is said of it."""
    if not is_to_be_chosen():
        return ""
    choice = choose_profile(lambda profile: Settings.from_environment({**os.environ, "METAALEXPORT_PROFILE": profile}))
    os.environ["METAALEXPORT_PROFILE"] = choice.profile
    said = f"profile {choice.profile}: {choice.reason}"
    console.print(said, soft_wrap=True)
    return said


def _name_ignored() -> None:
    """Say which variables of Airflow have no effect, for someone who meant them."""
    if names := inherited.foreign(os.environ, "Airflow"):
        console.print(
            f"ignored, as meant for another Airflow: {', '.join(names)}; next: where one is meant for this warehouse,"
            " put METAALEXPORT_ before its name",
            soft_wrap=True,
        )


@app.command()
def run() -> None:
    """Run the DAGs once through Airflow: ingest, gate, build, gate, publish, report.

    Exit code 0: all that was wanted is published. 3: what passed is published, something is missing. 1: nothing new.
    """
    chosen = _choose_profile()
    settings = Settings.from_environment()
    _name_ignored()
    write_last_run(settings)
    problem = ""
    before = published.publish_id(settings)
    with ensure_simulator(settings) as settings:
        with console.status("preparing Airflow and dbt"):
            airflow_run.prepare_airflow(settings)
        if settings.is_simulated and not any(Landing(settings.landing).committed()):
            # Revisions and what was known on a day need two releases; real offices bring the second a month later.
            with release_before(settings):
                airflow_run.run_in_own_process(settings, airflow_run.INGEST_DAG_IDS, progress=_progress)
        try:
            airflow_run.run_in_own_process(settings, airflow_run.DAG_IDS, progress=_progress)
        except airflow_run.DagRunFailedError as error:
            problem = str(error)
    if settings.published.exists():
        _summary(settings)
    else:
        _print_gaps(settings)
    if problem:
        errors.print(problem, style="red", soft_wrap=True)
    if chosen:
        console.print(chosen, soft_wrap=True)
    is_new = published.publish_id(settings) not in ("", before)
    missing = [state for state in gaps.read_gaps(settings) if state.state != gaps.DISCONTINUED]
    if missing or problem or gaps.read_empty_scopes(settings):
        raise typer.Exit(airflow_run.PARTLY if is_new and len(missing) < len(gaps.read_slices(settings)) else 1)


@app.command()
def up() -> None:
    """Start Airflow with its UI on localhost:8080 and the same DAGs, until interrupted.

    METAALEXPORT_AIRFLOW__API__PORT names another port.
    """
    _choose_profile()
    settings = Settings.from_environment()
    _name_ignored()
    airflow_run.free_ui_port(airflow_run.airflow_environment(settings))
    write_last_run(settings)
    with ensure_simulator(settings) as settings:
        with console.status("preparing Airflow and dbt"):
            airflow_run.prepare_airflow(settings)
        airflow_run.serve(settings, progress=_progress)


@app.command()
def prepare() -> None:
    """Prepare state, models and Airflow's database for services that are started one by one; safe to repeat."""
    airflow_run.prepare_airflow(Settings.from_environment(), is_shared=True)


@app.command(context_settings={"ignore_unknown_options": True})
def airflow(
    command: Annotated[list[str], typer.Argument(help="Command of Airflow with its options.")],
    wait: Annotated[int, typer.Option(help="Seconds to wait for `metaalexport prepare` to be done.")] = 0,
) -> None:
    """Run a command of Airflow in this profile's environment, for example `airflow dags list`."""
    airflow_run.become_airflow(Settings.from_environment(), command, wait_seconds=wait)


@app.command()
def load(
    dataset: Annotated[str, typer.Argument(help="Dataset code, for example eurostat_ds_045409.")],
    first: Annotated[str | None, typer.Option("--from", help="First month, YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month, YYYY-MM.")] = None,
    reporter: Annotated[list[str] | None, typer.Option(help="Reporting country; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask for a version that was withdrawn, too.")] = False,
) -> None:
    """Fetch, land, gate and commit one dataset, without building."""
    settings = Settings.from_environment()
    with ensure_simulator(settings) as settings:
        run = _new_run(settings)
        parts = ingest.plan_loads(
            run,
            dataset,
            reporters=tuple(reporter or ()) or None,
            first_month=first,
            last_month=last,
        )
        if not parts:
            raise ExtractError(
                "there is nothing to load",
                dataset=dataset,
                where=str(settings.replay_folder or ""),
                next_step="the replay folder holds no recording of this dataset for these reporters",
            )
        failed = 0
        for part in parts:
            try:
                ingest.load_slice(run, part, again=again)
            except (ExtractError, gates.GateFailedError) as error:
                # The slice is the unit of failure: the others are loaded all the same.
                failed += 1
                errors.print(str(error), style="red", soft_wrap=True)
        is_empty = _print_empty_scopes(settings)
        if failed or is_empty:
            raise typer.Exit(1 if failed == len(parts) else airflow_run.PARTLY)


@app.command()
def regate(
    what: Annotated[
        list[str] | None, typer.Argument(help="Load ids or dataset codes; all that gate 1 stopped by default.")
    ] = None,
    accept: Annotated[list[str] | None, typer.Option(help="Check that these loads may break; needs --reason.")] = None,
    reason: Annotated[str, typer.Option(help="Why a check may be broken; it is kept and shown.")] = "",
) -> None:
    """Judge loads that gate 1 stopped again, from the stored replies: nothing is downloaded.

    For when a seed, a registry file or a setting changed, or when a person knows better than a check.
    """
    if accept and not reason:
        raise typer.BadParameter("--accept needs --reason: it is kept with the load and shown wherever the load is")
    settings = Settings.from_environment()
    stopped = ingest.stopped_loads(settings, what or ())
    if not stopped:
        raise ExtractError(
            "gate 1 stopped no load of these" if what else "gate 1 stopped no load",
            dataset=", ".join(what or ["all datasets"]),
            next_step="`metaalexport status` shows what is missing and why",
        )
    run, failed = _new_run(settings), 0
    for load_id in stopped:
        try:
            ingest.regate_load(run, load_id, accept=accept or (), reason=reason)
        except (ExtractError, gates.GateFailedError) as error:
            failed += 1
            errors.print(str(error), style="red", soft_wrap=True)
    if failed:
        raise typer.Exit(1 if failed == len(stopped) else airflow_run.PARTLY)
    console.print("Next: metaalexport build, publish, report (or trigger build_warehouse in Airflow).")


@app.command()
def withdraw(
    load_id: Annotated[str, typer.Argument(help="Load id, as `metaalexport status` and alerts show it.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept and shown.")],
) -> None:
    """Take a committed load back: the next build is made without it. Nothing is lost; see `reinstate`."""
    load = ingest.withdraw_load(_new_run(), load_id, reason)
    console.print(
        f"withdrawn: {load.load_id}, version {load.office_version}. It will not be loaded again; a newer version will."
        "\nNext: metaalexport build, publish, report (or trigger build_warehouse in Airflow).",
        soft_wrap=True,
    )


@app.command()
def reinstate(load_id: Annotated[str, typer.Argument(help="Load id, as `metaalexport status` shows it.")]) -> None:
    """Make a withdrawn load visible again, unless a newer one has taken its place."""
    load = ingest.reinstate_load(_new_run(), load_id)
    console.print(f"reinstated: {load.load_id}, version {load.office_version}")


@app.command()
def discover(
    office: Annotated[str, typer.Argument(help="cbs or eurostat.")],
    words: Annotated[list[str], typer.Argument(help="Words of the title or id; all must be there.")],
) -> None:
    """Search an office's catalogue of tables."""
    settings = Settings.from_environment()
    if office not in OFFICES:
        raise typer.BadParameter(f"{office!r} is no office; known: {', '.join(OFFICES)}")
    with ensure_simulator(settings) as settings:
        entries = asking.discover(_new_run(settings), office, tuple(words))
    known = {dataset.identifier: code for code, dataset in load_registry().items()}
    rows = tuple((e.identifier, e.title, e.updated, e.status, known.get(e.identifier, "")) for e in entries)
    if rows:
        _print_table(published.Table(("id", "title", "updated", "status", "registry"), rows))
    console.print(f"{len(rows)} tables of {office} have {' and '.join(words)} in title or id")


@app.command()
def calendar(
    words: Annotated[list[str] | None, typer.Argument(help="Words of the title; all must be there.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD; today by default.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; 60 days later by default.")] = None,
) -> None:
    """Show what CBS plans to publish, from its release calendar. Eurostat publishes at 11:00 and 23:00 each day."""
    settings = Settings.from_environment()
    begin = first or f"{datetime.now(UTC):%Y-%m-%d}"
    parse_days(begin, begin)
    end = last or f"{datetime.fromisoformat(begin) + timedelta(days=60):%Y-%m-%d}"
    with ensure_simulator(settings) as settings:
        rows = asking.calendar(_new_run(settings), begin, end, tuple(words or ()))
    if rows:
        _print_table(published.Table(("planned at", "title", "period"), tuple(rows)))
    console.print(f"{len(rows)} publications planned from {begin} to {end}")


class Whom(StrEnum):
    """Whose endpoints `doctor` asks."""

    live = "live"
    simulator = "simulator"


@app.command()
def doctor(
    live: Annotated[bool, typer.Option("--live", help="Ask the real offices, and rehearse a run.")] = False,
    simulated: Annotated[bool, typer.Option("--simulator", help="The same with the simulator: for practice.")] = False,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this dataset; may be repeated.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write what is sure into the overlay.")] = False,
) -> None:
    """Check this machine, and with --live the offices: each endpoint, and a small slice of all that a run loads.

    The last line foretells what a run would publish. Exit code 0: all that is wanted. 3: a part. 1: nothing, or this
    machine is not all right.
    """
    if write and not (live or simulated):
        raise typer.BadParameter("--write needs --live (or --simulator): this machine alone teaches nothing")
    if live or simulated:
        whom = Whom.live if live else Whom.simulator
        settings = Settings.from_environment({**os.environ, "METAALEXPORT_PROFILE": whom.value})
    else:
        settings = Settings.from_environment()
    checks = [*check_machine(settings), *check_ports(settings)]
    _print_table(
        published.Table(
            ("check", "is_right", "found", "next step"),
            tuple((c.name, "yes" if c.is_right else "NO", c.found, "" if c.is_right else c.next_step) for c in checks),
        ),
        title="This machine",
    )
    exit_code = 0 if all(check.is_right for check in checks) else 1
    if live or simulated:
        exit_code = max(exit_code, _rehearse(settings, dataset or [], is_to_write=write), key=_WORST_FIRST.index)
    if exit_code:
        raise typer.Exit(exit_code)


# Exit codes, the better one first.
_WORST_FIRST = (0, airflow_run.PARTLY, 1)


def _rehearse(settings: Settings, datasets: list[str], *, is_to_write: bool) -> int:
    """Examine and rehearse, print what was found and foretold, and return the exit code."""
    run_id = _new_run(settings).id
    with ensure_simulator(settings) as settings:
        examined = list(examine_offices(settings, datasets, run_id, _progress))
        # Who did not answer one of many requests is not waited for again.
        away = any(is_away(examined, office) for office in OFFICES)
        trying = replace(settings, http_attempts=1) if away else settings
        rehearsed = list(rehearse(trying, datasets, run_id, _progress))
    _print_examination(examined)
    learned = overlay.learn(examined, rehearsed)
    command = f"metaalexport doctor --{'simulator' if settings.is_simulated else 'live'} --write"
    _print_rehearsal(
        [
            replace(r, next_step=f"`{command}` may correct it") if r.dataset_code in learned.registry else r
            for r in rehearsed
        ]
    )
    if not settings.is_simulated:
        kept = keep_evidence(settings, examined, rehearsed, run_id)
        _progress(f"verified as declared: {', '.join(kept) or 'no dataset'}")
    if is_to_write:
        folder = settings.overlay
        assert folder is not None  # noqa: S101 - Settings.from_environment names one
        written = overlay.write(folder, learned)
        for line in written:
            console.print(f"written to {line}", soft_wrap=True)
        if not written:
            _progress(f"nothing to write: {folder} says all that is sure already")
    elif lines := overlay.describe(learned):
        console.print("`--write` puts into the overlay:", style="bold")
        for line in lines:
            console.print(f"  {line}", soft_wrap=True)
    console.print(f"every reply is kept under {settings.raw}", soft_wrap=True)
    console.print(foretell(settings, rehearsed), soft_wrap=True)
    passed = sum(result.is_passed for result in rehearsed)
    if passed == len(rehearsed):
        return 0
    return airflow_run.PARTLY if passed else 1


def _print_examination(results: list[Examined]) -> None:
    rows = tuple((r.dataset, r.endpoint, r.outcome, r.detail[:300]) for r in results)
    _print_table(published.Table(("dataset", "endpoint", "outcome", "detail"), rows), title="The offices")
    lines = [result for result in results if result.registry_line]
    if lines:
        console.print("Lines of the registry that would make it right", style="bold")
    for result in lines:
        console.print(f"  {result.dataset}.yml   {result.registry_line}", soft_wrap=True)
    counts = {outcome: sum(r.outcome == outcome for r in results) for outcome in sorted({r.outcome for r in results})}
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


def _print_rehearsal(results: list[Rehearsed]) -> None:
    rows = tuple(
        (r.dataset_code, r.reporter_code, r.asked, "would be loaded" if r.is_passed else "would be stopped")
        for r in results
    )
    _print_table(published.Table(("dataset", "reporter", "asked for", "a run"), rows), title="The rehearsal")
    for result in results:
        for line in result.lines if not result.is_passed else ():
            console.print(line, soft_wrap=True)
    for result in results:
        for note in result.notes:
            text = f"note: {result.name}: {note[:400]}"
            console.print(text, soft_wrap=True)


@app.command()
def build() -> None:
    """Build and test a candidate with dbt, and let gate 2 judge it."""
    run = _new_run()
    with candidate.hold_candidate(run):
        with console.status("dbt builds the candidate"):
            building.build_candidate(run)
        with console.status("dbt tests the candidate"):
            building.test_candidate(run)
        building.gate_candidate(run)


@app.command()
def rebuild() -> None:
    """Rebuild landing, candidate, publication and report from the raw store alone. Nothing is downloaded."""
    settings = Settings.from_environment()
    problems = rebuild_landing(_new_run(settings))
    build()
    publish()
    report()
    end_rebuild(settings)
    for problem in problems:
        errors.print(problem, style="red", soft_wrap=True)
    if problems:
        raise typer.Exit(airflow_run.PARTLY)


@app.command()
def publish() -> None:
    """Publish the candidate, if dbt's tests and gate 2 pass it, and serve it where a PostgreSQL server is named."""
    run = _new_run()
    with candidate.hold_candidate(run):
        with console.status("dbt tests the candidate"):
            building.test_candidate(run)
        building.gate_candidate(run)
        building.record_operations(run)
        building.publish_candidate(run)
    if serving.is_served():
        building.serve_publication(run)


@app.command()
def serve() -> None:
    """Fill PostgreSQL with what is published (METAALEXPORT_POSTGRES_URL)."""
    building.serve_publication(_new_run())


@app.command()
def prepare_postgres(
    wait: Annotated[float, typer.Option(help="Seconds to wait for the server to come up.")] = 0,
) -> None:
    """Create roles, database and rights on a PostgreSQL server; safe to repeat (METAALEXPORT_POSTGRES_ADMIN_URL)."""
    server = serving.marts_server()
    admin = serving.admin_server()
    admin.wait_for(wait)
    prepare_server(
        admin,
        database=server.database,
        loader_password=server.password,
        reader_password=serving.reader_password(),
    )
    console.print(f"{server.host}:{server.port}: roles {LOADER} and {READER}, database {server.database}")


@app.command()
def report() -> None:
    """Write the report page from what is published."""
    building.write_report(_new_run())


@app.command()
def sql(
    statement: Annotated[
        str | None, typer.Argument(help="One SQL query; schemas marts and ops. Without one: from a pipe, or a prompt.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
    output: Annotated[Path | None, typer.Option(help="File to write; parquet needs one.")] = None,
) -> None:
    """Query the published file, read-only; without a statement, open a prompt."""
    settings = Settings.from_environment()
    if statement is None:
        if sys.stdin.isatty():
            _open_prompt(settings, format, output)
            return
        statement = sys.stdin.read()
        if not statement.strip():
            raise typer.BadParameter(
                "there is no statement, neither as argument nor from a pipe;"
                " next: metaalexport sql 'from ops.publication'"
            )
    if format is Format.table:
        _print_result(settings, published.one_statement(statement), output)
    elif output is not None:
        rows = published.write_result(settings, statement, output, format.value)
        errors.print(f"{rows:,} rows written to {output}", soft_wrap=True)
    elif format is Format.parquet:
        raise typer.BadParameter("--format parquet needs --output FILE")
    else:
        with tempfile.TemporaryDirectory(prefix="metaalexport_") as folder:
            file = Path(folder) / "result"
            published.write_result(settings, statement, file, format.value)
            with file.open(encoding="utf-8") as lines:
                _write_out(lines)


def _write_out(lines: Iterable[str]) -> None:
    """Write lines as they are into a file or a pipe; a terminal obeys nothing that stands in them."""
    is_screen = sys.stdout.isatty()
    for line in lines:
        sys.stdout.write(harmless(line) if is_screen else line)


def _print_result(settings: Settings, statement: str, output: Path | None) -> None:
    if output is not None:
        raise typer.BadParameter("a table is for the screen; for a file add --format csv, json or parquet")
    result = published.query(settings, statement, most=MOST_SHOWN + 1)
    _print_table(replace(result, rows=result.rows[:MOST_SHOWN]))
    if len(result.rows) > MOST_SHOWN:
        errors.print(
            f"the first {MOST_SHOWN:,} rows; next: --format csv, json or parquet with --output FILE writes all of them",
            style="yellow",
        )


def _open_prompt(settings: Settings, format: Format, output: Path | None) -> None:
    if format is not Format.table or output is not None or not sys.stdout.isatty():
        raise typer.BadParameter("a prompt needs a screen; for a file or another format give the statement as argument")
    ((publish_id, at, is_simulated),) = published.query(
        settings, "select publish_id, published_at, is_simulated from ops.publication"
    ).rows
    kind = "SIMULATED data" if is_simulated else "real data"
    console.print(f"published {publish_id} on {at:%Y-%m-%d %H:%M} UTC, {kind}, read-only", soft_wrap=True)
    if missing := gaps.read_gaps(settings):
        names = ", ".join(state.name for state in missing)
        console.print(f"not all there: {names}; see `from ops.slices`", style="yellow", soft_wrap=True)
    sys.stdout.flush()
    become_client(settings)


class ExportFormat(StrEnum):
    """Formats of `export`."""

    parquet = "parquet"
    csv = "csv"


@app.command()
def export(
    to: Annotated[Path, typer.Option(help="Folder to make.")],
    table: Annotated[list[str] | None, typer.Argument(help="Tables; all of schema marts by default.")] = None,
    format: Annotated[ExportFormat, typer.Option(help="Format of the data files.")] = ExportFormat.parquet,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export in that folder.")] = False,
) -> None:
    """Export tables with a data dictionary and a datapackage.json."""
    settings = Settings.from_environment()
    published.open_published(settings).close()
    with console.status("exporting"):
        rows = export_data_package(
            settings.published,
            to,
            kind=format.value,
            tables=table or (),
            keys=published_keys(),
            replace=force,
            warn=lambda line: errors.print(line, style="yellow", soft_wrap=True),
        )
    _print_table(published.Table(("table", "rows"), tuple(rows.items())))
    kind = "SIMULATED data" if settings.is_simulated else "real data"
    console.print(f"{len(rows)} tables ({kind}) in {to}", soft_wrap=True)


@app.command()
def status() -> None:
    """Show freshness, the last loads, the last gate results and where the files are."""
    settings = Settings.from_environment()
    _status(settings)


@app.command()
def health(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """Tell a monitor whether all is well: exit code 0 for yes, 1 for late or failed, 2 for nothing published."""
    settings = Settings.from_environment()
    kind = {"profile": settings.profile, "is_simulated": settings.is_simulated}
    try:
        findings = examine(settings)
    except published.NothingPublishedError as error:
        if as_json:
            rows = [{**asdict(finding), "next_step": finding.next_step} for finding in gap_findings(settings)]
            _write_out([json.dumps({**kind, "state": "nothing_published", "findings": rows}) + "\n"])
        else:
            errors.print(str(error), style="red", soft_wrap=True)
            if Journal(settings.journal).read("runs"):
                _print_gaps(settings)
        raise typer.Exit(2) from error
    if as_json:
        rows = [{**asdict(finding), "next_step": finding.next_step} for finding in findings]
        document = {**kind, "state": "not_well" if findings else "ok", "findings": rows}
        _write_out([json.dumps(document, ensure_ascii=False, indent=1) + "\n"])
    else:
        for finding in findings:
            line = f"{finding.name}: {finding.where}: {finding.what}; next: {finding.next_step}"
            console.print(line, soft_wrap=True)
        data = "SIMULATED data" if settings.is_simulated else "real data"
        console.print(f"{len(findings)} finding(s), profile {settings.profile}, {data}")
    if findings:
        raise typer.Exit(1)


@app.command()
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> None:
    """Remove what is not needed any more and compare the raw store with its hashes; safe at any time."""
    run = _new_run()
    done = do_maintenance(run.settings, run.id, is_dry_run=dry_run, progress=_progress)
    verb = "would remove" if dry_run else "removed"
    for name, removed in done.items():
        console.print(f"{name}: {verb} {len(removed)}")


@app.command()
def lineage(
    destination: Annotated[str, typer.Argument(help="Destination code, for example US.")],
    month: Annotated[str, typer.Argument(help="Month, YYYY-MM.")],
    scope: Annotated[str, typer.Option(help="Scope.")] = "metal_core_hs",
    source: Annotated[str, typer.Option(help="CBS or EUROSTAT.")] = "EUROSTAT",
    concept: Annotated[str, typer.Option(help="Concept.")] = "community",
    reporter: Annotated[str, typer.Option(help="Reporter.")] = "NL",
) -> None:
    """Lead one share back to request URL and sha256, and check the bytes on disk."""
    settings = Settings.from_environment()
    share, requests = published.lineage(
        settings,
        source=source,
        concept=concept,
        scope=scope,
        reporter=reporter,
        destination=destination,
        month=parse_month(month, "the month"),
    )
    if not share.rows:
        errors.print(
            f"no share of {destination} in {month} for {source}, {concept}, {scope}, {reporter};"
            " see: metaalexport sql 'select distinct scope_code, source_code, concept_code from"
            " marts.rpt_destination_shares'",
            style="red",
        )
        raise typer.Exit(1)
    console.print("The share", style="bold")
    _print_record(share.columns, share.rows[0])
    raw = RawStore(settings.raw)
    position = requests.columns.index("sha256")
    checked = []
    for row in requests.rows:
        path = raw.path(row[position])
        state = "missing" if not path.exists() else "same" if hash_file(path) == row[position] else "CHANGED"
        checked.append((*row, state, str(path)))
    _print_records(published.Table((*requests.columns, "bytes_on_disk", "file"), tuple(checked)))
    if any(row[-2] != "same" for row in checked):
        errors.print("a raw payload is missing or was changed", style="red")
        raise typer.Exit(1)


@app.command()
def verify() -> None:
    """Check the hash of every raw payload and of what is published, and that every load's rows add up."""
    settings = Settings.from_environment()
    raw = RawStore(settings.raw)
    hashes = list(raw.hashes())
    bad = [name for name in hashes if hash_file(raw.path(name)) != name]
    console.print(f"{len(hashes) - len(bad)} of {len(hashes)} raw payloads have the hash that names them")
    for name in bad:
        errors.print(f"changed on disk: {raw.path(name)}", style="red")
    published.open_published(settings).close()
    check_published(settings.published)
    console.print("a reader of the published file sees what was published")
    unequal = published.query(
        settings, "select load_id from ops.loads where rows_read <> rows_loaded + rows_rejected"
    ).rows
    console.print(f"{len(unequal)} loads with rows unaccounted for")
    console.print(f"landing content {Landing(settings.landing).content_hash()}")
    if bad or unequal:
        raise typer.Exit(1)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="Port.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on; others than the loopback let all in.")] = "127.0.0.1",
    release: Annotated[int | None, typer.Option(help="Release number; the default is the newest.")] = None,
) -> None:
    """Start the simulator of both offices, until interrupted."""
    serve_simulator(port, release, host)


def _summary(settings: Settings) -> None:
    console.rule("Top destinations of Dutch exports, 12 months")
    top = published.top_destinations(settings)
    if top.rows:
        source, concept, scope, month, *_ = top.rows[0]
        console.print(f"source {source}, concept {concept}, scope {scope}, 12 months to {month:%Y-%m}")
        _print_table(published.Table(top.columns[4:], tuple(row[4:] for row in top.rows)))
    else:
        console.print("no scope has 12 complete months yet; see `metaalexport status`")
    _status(settings)


def _status(settings: Settings) -> None:
    if settings.published.exists():
        publication = published.query(settings, "from ops.publication").rows[0]
        kind = ("SIMULATED", "bold yellow") if publication[2] else "real"
        console.print(Text.assemble(f"published {publication[0]}, ", kind, f" data; marts content {publication[1]}"))
        _print_gaps(settings)
        _print_table(_freshness(settings), title="Freshness")
        _print_table(
            published.query(
                settings,
                "select load_id, vintage_at, rows_read, rows_loaded, rows_rejected, transport"
                " from ops.loads order by vintage_at desc, load_id limit 8",
            ),
            title="Last loads",
        )
        _print_table(published.gate_summary(settings), title="Gates, newest run of each")
    else:
        console.print(f"nothing is published under profile {settings.profile!r} yet")
        _print_gaps(settings)
    withdrawals = Landing(settings.landing).withdrawn()
    if withdrawals:
        rows = tuple(
            (
                each.load.load_id,
                datetime.fromisoformat(each.load.vintage_at),
                datetime.fromisoformat(each.withdrawn_at),
                each.reason,
            )
            for each in withdrawals
        )
        _print_table(
            published.Table(("load_id", "vintage_at", "withdrawn_at", "reason"), rows), title="Withdrawn loads"
        )
    failed = [
        row
        for row in Journal(settings.journal).read("runs")
        # What failed of a slice stands above.
        if row["outcome"] in ("failed", "blocked") and row["step"] not in gaps.SLICE_STEPS
    ]
    for row in failed[-3:]:
        errors.print(
            f"{row['finished_at'][:19]} {row['step']} {row['subject']}: {row['outcome']}: {row['detail'][:400]}",
            style="yellow",
        )
    console.print("Files", style="bold")
    for label, path in (
        ("published", settings.published),
        ("report", settings.report),
        ("data docs", settings.gx / "gx" / "uncommitted" / "data_docs" / "local_site" / "index.html"),
        ("raw payloads", settings.raw),
        ("Airflow logs", settings.airflow_home / "logs"),
    ):
        console.print(f"  {label:13} {path}", soft_wrap=True)


def _print_empty_scopes(settings: Settings) -> bool:
    """Name the scopes whose file has a slip; the others are served. Return whether there is one."""
    empty = gaps.read_empty_scopes(settings)
    for scope, codes in empty.items():
        errors.print(
            f"scope {scope!r} is empty: no office has its codes {', '.join(codes)};"
            " next: correct them in the file of METAALEXPORT_SCOPES, then run again",
            style="red",
            soft_wrap=True,
        )
    return bool(empty)


def _print_gaps(settings: Settings) -> None:
    """Say what was wanted and is not there, in at most three lines a slice."""
    if lines := gaps.read_unmapped(settings):
        console.print(
            f"{len(lines)} partner codes are in no list and count as destination `unmapped`; to make them known, add to"
            " reference/office_partners.csv:",
            style="bold yellow",
            soft_wrap=True,
        )
        for line in lines:
            console.print(f"  {line}", soft_wrap=True)
    _print_empty_scopes(settings)
    missing = gaps.read_gaps(settings)
    if not missing:
        return
    console.print(f"{len(missing)} of {len(gaps.read_slices(settings))} slices are not all there", style="bold yellow")
    for state in missing:
        for line in state.lines:
            console.print(line, soft_wrap=True)


def _freshness(settings: Settings) -> published.Table:
    """Return both promises of each dataset by the clock, with the newest month that is published."""
    months = dict(published.query(settings, "select dataset_code, newest_complete_month from ops.freshness").rows)
    both: dict[str, list[Any]] = {}
    for promise in promises(settings):
        both.setdefault(promise.dataset, []).extend((promise.last_at, promise.due_at, promise.state))
    columns = ("dataset", "last look", "look due", "look", "last vintage", "release due", "release", "newest month")
    return published.Table(columns, tuple((code, *row, months.get(code)) for code, row in both.items()))


def _print_table(result: published.Table, title: str | None = None) -> None:
    console.print(make_table(result.columns, result.rows, title))


def _print_records(result: published.Table) -> None:
    """Print wide rows as blocks of ``name value``, so that URLs and hashes stay whole."""
    for number, row in enumerate(result.rows, start=1):
        console.print(f"Request {number} of {len(result.rows)}", style="bold")
        _print_record(result.columns, row)


def _print_record(columns: tuple[str, ...], row: tuple[Any, ...]) -> None:
    for name, value in zip(columns, row, strict=True):
        console.print(f"  {name:17} {format_cell(value)}", soft_wrap=True)


__all__ = ["app", "main"]

"""Commands that query the offices, real or simulated, without loading anything."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from extract.examine import Examined
from extract.offices import OFFICES
from extract.registry import load_registry
from metaalexport import airflow_run, asking, overlay, published
from metaalexport.arguments import parse_days
from metaalexport.commands.screen import console, new_run, print_table, progress
from metaalexport.doctor import check_machine, check_ports, examine_offices, is_away, keep_evidence
from metaalexport.rehearsal import Rehearsed, foretell, rehearse
from metaalexport.settings import Settings
from metaalexport.simulation import ensure_simulator, serve_simulator

app = typer.Typer()


@app.command()
def discover(
    office: Annotated[str, typer.Argument(help="cbs or eurostat.")],
    words: Annotated[list[str], typer.Argument(help="Words of the title or id; all must be there.")],
) -> None:
    """Search an office's catalogue of tables."""
    settings = Settings.from_environment()
    if office not in OFFICES:
        raise typer.BadParameter(f"{office!r} is not an office; known: {', '.join(OFFICES)}")
    with ensure_simulator(settings) as settings:
        entries = asking.discover(new_run(settings), office, tuple(words))
    known = {dataset.identifier: code for code, dataset in load_registry().items()}
    rows = tuple((e.identifier, e.title, e.updated, e.status, known.get(e.identifier, "")) for e in entries)
    if rows:
        print_table(published.Table(("id", "title", "updated", "status", "registry"), rows))
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
        rows = asking.calendar(new_run(settings), begin, end, tuple(words or ()))
    if rows:
        print_table(published.Table(("planned at", "title", "period"), tuple(rows)))
    console.print(f"{len(rows)} publications planned from {begin} to {end}")


class Whom(StrEnum):
    """The offices whose endpoints `doctor` requests."""

    live = "live"
    simulator = "simulator"


@app.command()
def doctor(
    live: Annotated[bool, typer.Option("--live", help="Check the real offices and rehearse a run.")] = False,
    simulated: Annotated[bool, typer.Option("--simulator", help="The same with the simulator, for practice.")] = False,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this dataset; may be repeated.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write certain corrections into the overlay.")] = False,
) -> None:
    """Check this machine, and with --live the offices: each endpoint, and a small part of each slice that a run loads.

    The last line predicts what a run would publish. Exit code 0: everything wanted. 3: a part. 1: nothing, or this
    machine has a problem.
    """
    if write and not (live or simulated):
        raise typer.BadParameter("--write needs --live (or --simulator): this machine alone gives nothing to write")
    if live or simulated:
        whom = Whom.live if live else Whom.simulator
        settings = Settings.from_environment({**os.environ, "METAALEXPORT_PROFILE": whom.value})
    else:
        settings = Settings.from_environment()
    checks = [*check_machine(settings), *check_ports(settings)]
    print_table(
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


# Exit codes, from good to bad.
_WORST_FIRST = (0, airflow_run.PARTLY, 1)


def _rehearse(settings: Settings, datasets: list[str], *, is_to_write: bool) -> int:
    """Examine and rehearse, print findings and prediction, and return the exit code."""
    run_id = new_run(settings).id
    with ensure_simulator(settings) as settings:
        examined = list(examine_offices(settings, datasets, run_id, progress))
        # No retries if an office answered none of the requests.
        away = any(is_away(examined, office) for office in OFFICES)
        trying = replace(settings, http_attempts=1) if away else settings
        rehearsed = list(rehearse(trying, datasets, run_id, progress))
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
        progress(f"verified as declared: {', '.join(kept) or 'no dataset'}")
    if is_to_write:
        folder = settings.overlay
        assert folder is not None  # noqa: S101 - Settings.from_environment names one
        written = overlay.write(folder, learned)
        for line in written:
            console.print(f"written to {line}", soft_wrap=True)
        if not written:
            progress(f"nothing to write: {folder} already has all certain corrections")
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
    print_table(published.Table(("dataset", "endpoint", "outcome", "detail"), rows), title="The offices")
    lines = [result for result in results if result.registry_line]
    if lines:
        console.print("Registry lines that would correct it", style="bold")
    for result in lines:
        console.print(f"  {result.dataset}.yml   {result.registry_line}", soft_wrap=True)
    counts = {outcome: sum(r.outcome == outcome for r in results) for outcome in sorted({r.outcome for r in results})}
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


def _print_rehearsal(results: list[Rehearsed]) -> None:
    rows = tuple(
        (r.dataset_code, r.reporter_code, r.asked, "would be loaded" if r.is_passed else "would be stopped")
        for r in results
    )
    print_table(published.Table(("dataset", "reporter", "asked for", "a run"), rows), title="The rehearsal")
    for result in results:
        for line in result.lines if not result.is_passed else ():
            console.print(line, soft_wrap=True)
    for result in results:
        for note in result.notes:
            text = f"note: {result.name}: {note[:400]}"
            console.print(text, soft_wrap=True)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="Port.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on; any but the loopback is open to all.")] = "127.0.0.1",
    release: Annotated[int | None, typer.Option(help="Release number; the default is the newest.")] = None,
) -> None:
    """Start the simulator of both offices, until interrupted."""
    serve_simulator(port, release, host)

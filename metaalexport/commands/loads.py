"""Commands that load datasets and decide on their loads."""

from __future__ import annotations

from typing import Annotated

import typer

from extract.errors import ExtractError
from metaalexport import airflow_run, gates, ingest
from metaalexport.commands.screen import console, errors, new_run
from metaalexport.commands.state import print_empty_scopes
from metaalexport.settings import Settings
from metaalexport.simulation import ensure_simulator

app = typer.Typer()


@app.command()
def load(
    dataset: Annotated[str, typer.Argument(help="Dataset code, for example eurostat_ds_045409.")],
    first: Annotated[str | None, typer.Option("--from", help="First month, YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month, YYYY-MM.")] = None,
    reporter: Annotated[list[str] | None, typer.Option(help="Reporting country; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Request a withdrawn version, too.")] = False,
) -> None:
    """Fetch, land, gate and commit one dataset, without building."""
    settings = Settings.from_environment()
    with ensure_simulator(settings) as settings:
        run = new_run(settings)
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
                # The slice is the unit of failure: the others are still loaded.
                failed += 1
                errors.print(str(error), style="red", soft_wrap=True)
        is_empty = print_empty_scopes(settings)
        if failed or is_empty:
            raise typer.Exit(1 if failed == len(parts) else airflow_run.PARTLY)


@app.command()
def regate(
    what: Annotated[
        list[str] | None, typer.Argument(help="Load ids or dataset codes; default: all that the landing gate stopped.")
    ] = None,
    accept: Annotated[list[str] | None, typer.Option(help="Check that these loads may break; needs --reason.")] = None,
    reason: Annotated[str, typer.Option(help="Why a check may be broken; it is kept and shown.")] = "",
) -> None:
    """Judge stopped loads again from the stored replies, without a download.

    Use it after a change to a seed, a registry file or a setting, or to overrule a check of the landing gate.
    """
    if accept and not reason:
        raise typer.BadParameter("--accept needs --reason: it is kept with the load and shown wherever the load is")
    settings = Settings.from_environment()
    stopped = ingest.stopped_loads(settings, what or ())
    if not stopped:
        raise ExtractError(
            "the landing gate stopped no load of these" if what else "the landing gate stopped no load",
            dataset=", ".join(what or ["all datasets"]),
            next_step="`metaalexport status` shows what is missing and why",
        )
    run, failed = new_run(settings), 0
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
    """Withdraw a committed load: the next build excludes it. Nothing is lost; see `reinstate`."""
    load = ingest.withdraw_load(new_run(), load_id, reason)
    console.print(
        f"withdrawn: {load.load_id}, version {load.office_version}. It will not be loaded again; a newer version will."
        "\nNext: metaalexport build, publish, report (or trigger build_warehouse in Airflow).",
        soft_wrap=True,
    )


@app.command()
def reinstate(load_id: Annotated[str, typer.Argument(help="Load id, as `metaalexport status` shows it.")]) -> None:
    """Make a withdrawn load visible again, unless a newer one has replaced it."""
    load = ingest.reinstate_load(new_run(), load_id)
    console.print(f"reinstated: {load.load_id}, version {load.office_version}")

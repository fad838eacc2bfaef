"""Commands that run Airflow."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from extract.landing.store import Landing
from metaalexport import airflow_home, airflow_run, gaps, inherited, published
from metaalexport.commands.screen import console, errors, progress
from metaalexport.commands.state import print_gaps, summary
from metaalexport.offices import choose_profile, is_to_be_chosen
from metaalexport.settings import Settings, write_last_run
from metaalexport.simulation import ensure_simulator, release_before

app = typer.Typer()


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
            airflow_home.prepare_airflow(settings)
        if settings.is_simulated and not any(Landing(settings.landing).committed()):
            # Revisions and past states need two releases; real offices publish the second a month later.
            with release_before(settings):
                airflow_run.run_in_own_process(settings, airflow_run.INGEST_DAG_IDS, progress=progress)
        try:
            airflow_run.run_in_own_process(settings, airflow_run.DAG_IDS, progress=progress)
        except airflow_home.DagRunFailedError as error:
            problem = str(error)
    if settings.published.exists():
        summary(settings)
    else:
        print_gaps(settings)
    if problem:
        errors.print(problem, style="red", soft_wrap=True)
    if chosen:
        console.print(chosen, soft_wrap=True)
    is_new = published.publish_id(settings) not in ("", before)
    missing = [state for state in gaps.read_gaps(settings) if state.state != gaps.DISCONTINUED]
    if missing or problem or gaps.read_empty_scopes(settings):
        raise typer.Exit(airflow_run.PARTLY if is_new and len(missing) < len(gaps.read_slices(settings)) else 1)
    # A run that did nothing fails nothing and misses nothing.
    published.require_published(settings)


@app.command()
def up() -> None:
    """Start Airflow with its UI on localhost:8080 and the same DAGs, until interrupted.

    METAALEXPORT_AIRFLOW__API__PORT sets another port.
    """
    _choose_profile()
    settings = Settings.from_environment()
    _name_ignored()
    airflow_run.free_ui_port(airflow_home.airflow_environment(settings))
    write_last_run(settings)
    with ensure_simulator(settings) as settings:
        with console.status("preparing Airflow and dbt"):
            airflow_home.prepare_airflow(settings)
        airflow_run.serve(settings, progress=progress)


@app.command()
def prepare() -> None:
    """Prepare state, models and Airflow's database for services that are started one by one; safe to repeat."""
    airflow_home.prepare_airflow(Settings.from_environment(), is_shared=True)


@app.command(context_settings={"ignore_unknown_options": True})
def airflow(
    command: Annotated[list[str], typer.Argument(help="Command of Airflow with its options.")],
    wait: Annotated[int, typer.Option(help="Seconds to wait for `metaalexport prepare` to be done.")] = 0,
) -> None:
    """Run a command of Airflow in this profile's environment, for example `airflow dags list`."""
    airflow_home.become_airflow(Settings.from_environment(), command, wait_seconds=wait)


def _choose_profile() -> str:
    """If the environment names no profile, choose the real offices if they answer; return the printed line."""
    if not is_to_be_chosen():
        return ""
    choice = choose_profile(lambda profile: Settings.from_environment({**os.environ, "METAALEXPORT_PROFILE": profile}))
    os.environ["METAALEXPORT_PROFILE"] = choice.profile
    said = f"profile {choice.profile}: {choice.reason}"
    console.print(said, soft_wrap=True)
    return said


def _name_ignored() -> None:
    """Print which Airflow variables are ignored."""
    if names := inherited.foreign(os.environ, "Airflow"):
        console.print(
            f"ignored, as meant for another Airflow: {', '.join(names)}; next: where one is meant for this warehouse,"
            " put METAALEXPORT_ before its name",
            soft_wrap=True,
        )

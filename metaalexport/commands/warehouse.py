"""Commands that build, publish and maintain the warehouse."""

from __future__ import annotations

from typing import Annotated

import typer

from metaalexport import airflow_run, building, candidate, serving
from metaalexport.commands.screen import console, errors, new_run, progress
from metaalexport.maintenance import maintain as do_maintenance
from metaalexport.rebuild import end_rebuild, rebuild_landing
from metaalexport.settings import Settings
from publish.postgres.roles import LOADER, READER, prepare_server

app = typer.Typer()


@app.command()
def build() -> None:
    """Build and test a candidate with dbt, and run the publish gate on it."""
    run = new_run()
    with candidate.hold_candidate(run):
        with console.status("dbt builds the candidate"):
            building.build_candidate(run)
        with console.status("dbt tests the candidate"):
            building.test_candidate(run)
        building.gate_candidate(run)


@app.command()
def rebuild() -> None:
    """Rebuild landing, candidate, publication and report from the raw store, without a download."""
    settings = Settings.from_environment()
    problems = rebuild_landing(new_run(settings))
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
    """Publish the candidate if dbt's tests and the publish gate pass, and serve it in PostgreSQL if configured."""
    run = new_run()
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
    """Load the publication into PostgreSQL (METAALEXPORT_POSTGRES_URL)."""
    building.serve_publication(new_run())


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
    """Write the report page from the publication."""
    building.write_report(new_run())


@app.command()
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
) -> None:
    """Prune expired state and verify the raw store's checksums; safe at any time."""
    run = new_run()
    done = do_maintenance(run.settings, run.id, is_dry_run=dry_run, progress=progress)
    verb = "would remove" if dry_run else "removed"
    for name, removed in done.items():
        console.print(f"{name}: {verb} {len(removed)}")

"""Commands that show the state (status, health), and the summary of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from extract.landing.store import Landing
from metaalexport import gaps, published
from metaalexport.commands.screen import console, errors, print_table, write_out
from metaalexport.health import examine, gap_findings, promises
from metaalexport.journal import Journal
from metaalexport.settings import Settings

app = typer.Typer()


@app.command()
def status() -> None:
    """Show freshness, the last loads, the last gate results and the paths of the files."""
    settings = Settings.from_environment()
    _status(settings)


@app.command()
def health(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """Report health to a monitor: exit code 0 if all is well, 1 if late or failed, 2 if nothing is published."""
    settings = Settings.from_environment()
    kind = {"profile": settings.profile, "is_simulated": settings.is_simulated}
    try:
        findings = examine(settings)
    except published.NothingPublishedError as error:
        if as_json:
            rows = [{**asdict(finding), "next_step": finding.next_step} for finding in gap_findings(settings)]
            write_out([json.dumps({**kind, "state": "nothing_published", "findings": rows}) + "\n"])
        else:
            errors.print(str(error), style="red", soft_wrap=True)
            if Journal(settings.journal).read("runs"):
                print_gaps(settings)
        raise typer.Exit(2) from error
    if as_json:
        rows = [{**asdict(finding), "next_step": finding.next_step} for finding in findings]
        document = {**kind, "state": "not_well" if findings else "ok", "findings": rows}
        write_out([json.dumps(document, ensure_ascii=False, indent=1) + "\n"])
    else:
        for finding in findings:
            line = f"{finding.name}: {finding.where}: {finding.what}; next: {finding.next_step}"
            console.print(line, soft_wrap=True)
        data = "SIMULATED data" if settings.is_simulated else "real data"
        console.print(f"{len(findings)} finding(s), profile {settings.profile}, {data}")
    if findings:
        raise typer.Exit(1)


def summary(settings: Settings) -> None:
    """Print the top destinations and the state at the end of a run."""
    console.rule("Top destinations of Dutch exports, 12 months")
    top = published.top_destinations(settings)
    if top.rows:
        source, concept, scope, month, *_ = top.rows[0]
        console.print(f"source {source}, concept {concept}, scope {scope}, 12 months to {month:%Y-%m}")
        print_table(published.Table(top.columns[4:], tuple(row[4:] for row in top.rows)))
    else:
        console.print("no scope has 12 complete months yet; see `metaalexport status`")
    _status(settings)


def _status(settings: Settings) -> None:
    if settings.published.exists():
        publication = published.query(settings, "from ops.publication").rows[0]
        kind = ("SIMULATED", "bold yellow") if publication[2] else "real"
        console.print(Text.assemble(f"published {publication[0]}, ", kind, f" data; marts content {publication[1]}"))
        print_gaps(settings)
        print_table(_freshness(settings), title="Freshness")
        print_table(
            published.query(
                settings,
                "select load_id, vintage_at, rows_read, rows_loaded, rows_rejected, transport"
                " from ops.loads order by vintage_at desc, load_id limit 8",
            ),
            title="Last loads",
        )
        print_table(published.gate_summary(settings), title="Gates, newest run of each")
    else:
        console.print(f"nothing is published under profile {settings.profile!r} yet")
        print_gaps(settings)
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
        print_table(published.Table(("load_id", "vintage_at", "withdrawn_at", "reason"), rows), title="Withdrawn loads")
    failed = [
        row
        for row in Journal(settings.journal).read("runs")
        # Failures of slices are printed above.
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


def print_empty_scopes(settings: Settings) -> bool:
    """Print the scopes without a valid code; the others are served. Return True if there are any."""
    empty = gaps.read_empty_scopes(settings)
    for scope, codes in empty.items():
        errors.print(
            f"scope {scope!r} is empty: no office has its codes {', '.join(codes)};"
            " next: correct them in the file of METAALEXPORT_SCOPES, then run again",
            style="red",
            soft_wrap=True,
        )
    return bool(empty)


def print_gaps(settings: Settings) -> None:
    """Print what is missing, in at most three lines per slice."""
    if lines := gaps.read_unmapped(settings):
        console.print(
            f"{len(lines)} partner codes are in no list and count as destination `unmapped`; to make them known, add to"
            " reference/office_partners.csv:",
            style="bold yellow",
            soft_wrap=True,
        )
        for line in lines:
            console.print(f"  {line}", soft_wrap=True)
    print_empty_scopes(settings)
    missing = gaps.read_gaps(settings)
    if not missing:
        return
    console.print(f"{len(missing)} of {len(gaps.read_slices(settings))} slices are incomplete", style="bold yellow")
    for state in missing:
        for line in state.lines:
            console.print(line, soft_wrap=True)


def _freshness(settings: Settings) -> published.Table:
    """Return both freshness SLAs of each dataset at this moment, with the newest published month."""
    months = dict(published.query(settings, "select dataset_code, newest_complete_month from ops.freshness").rows)
    both: dict[str, list[Any]] = {}
    for promise in promises(settings):
        both.setdefault(promise.dataset, []).extend((promise.last_at, promise.due_at, promise.state))
    columns = ("dataset", "last look", "look due", "look", "last vintage", "release due", "release", "newest month")
    return published.Table(columns, tuple((code, *row, months.get(code)) for code, row in both.items()))

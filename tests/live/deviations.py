"""Deviations of an office on the day of a run and the result of `metaalexport run`, measured and written as a table.

``python -m tests.live.deviations`` runs every deviation and writes ``docs/deviations.md``; the tests repeat the runs
and compare.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from metaalexport import gaps, published
from metaalexport.settings import Settings
from simulator.faults.book import describe_kinds
from simulator.server import Simulator, run_simulator
from tests.live.proxy import Deviate, Exchange, Proxy, UnmarkedSimulator, as_it_is, running_proxy
from tests.states import SPARSE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deviations.md"
RELEASE = 12
FIRST_MONTH = "2025-01"
# One dataset per protocol and use: metal, sections, an industry series of each office.
DATASETS = ("cbs_85429ned", "cbs_81234ned", "eurostat_ds_045409", "eurostat_ds_059331", "eurostat_sts_inpr_m")
REPORTERS = ("NL", "DE", "EU27_2020")
METAL = """
    select strftime(max(month), '%Y-%m') from marts.rpt_destination_shares
    where scope_code = 'metal_core_hs' and reporter_code = '{}' and concept_code = 'community' and share is not null
"""
RUN_SECONDS = 600
# The page shows only the first lines of the screen: three slices.
MOST_LINES = 9
INTRODUCTION = """<!-- Written by `python -m tests.live.deviations`; `make test-long` compares it with what happens. -->

# What an office may do on the day

Each row is one run of `metaalexport run` in profile `live`, from an empty state, against the simulator behind a proxy
that lets its replies deviate: five datasets (border crossing and producer confidence of CBS; HS and CN, SITC, and
production of Eurostat), three reporters (`NL`, `DE`, `EU27_2020`), from January 2025. The deviations are those that
public clients and recorded replies show, and others of their kind. They say nothing of the real offices: no live run
has been made yet.

Exit code 0: all that was wanted is published; 3: what passed is published, and something is missing; 1: nothing new.
The last column is what a person sees of each slice that is incomplete: the check, the values, the next command.
"""
AFTER_A_GOOD_RUN = """
## Faults of the month after a good run

Each fault of [the fault page](faults.md), for as long as the run lasts, at one slice of each protocol that a run asks
for: border crossing of CBS, HS and CN of Germany, production of the Union's host. The release before is loaded and
published.
"""
IN_THE_FIRST_RUN = """
## Faults of the first run

The faults in figures once more, when there is nothing to compare them with.
"""
JSON, XML, HTML = "application/json", "application/xml", "text/html"
DATA = "/sdmx/2.1/data/"
CN, SITC = f"{DATA}DS-045409", f"{DATA}DS-059331"
FAULT_150 = (
    b'<?xml version="1.0" encoding="UTF-8"?><S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
    b"<faultcode>150</faultcode><faultstring>INVALID_QUERY_DIMENSION_VALUE: Query is invalid</faultstring></S:Fault>"
)
MAINTENANCE = b"<!doctype html><html><body>The site is under maintenance.</body></html>"


@dataclass(frozen=True)
class Deviation:
    """One difference between the offices and their declaration.

    Attributes
    ----------
    name : str
        Short name, in the office's own terms.
    what : str
        Description of the office's behaviour.
    deviate : callable
        Change to a reply.
    is_away : bool
        True if nothing answers at the offices' addresses.
    route : callable
        Path to request from the simulator in place of a path.
    faults : tuple of dict
        Faults of the simulator. Such a run bypasses the proxy, which would repair transfer faults.
    is_first : bool
        True if nothing was loaded before; otherwise the previous release is published.
    """

    name: str
    what: str
    deviate: Deviate = as_it_is
    is_away: bool = False
    route: Callable[[str], str] = str
    faults: tuple[dict[str, Any], ...] = ()
    is_first: bool = True


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    Attributes
    ----------
    exit_code : int
        Exit code of ``metaalexport run``.
    metal : dict of str to str
        Newest month of the published metal shares by reporter; empty if none are published.
    lines : list of str
        Lines that a user sees for each incomplete slice.
    output : str
        Everything that the run printed.
    was_met : bool
        True if a reply had one of the faults.
    """

    exit_code: int
    metal: dict[str, str]
    lines: list[str]
    output: str
    was_met: bool = True

    @property
    def published(self) -> str:
        """Describe the published metal shares."""
        months = sorted({month for month in self.metal.values() if month}, reverse=True)
        there = [
            f"to {month} of {', '.join(reporter for reporter, newest in self.metal.items() if newest == month)}"
            for month in months
        ]
        return f"metal shares {', '.join(there)}" if there else "no metal shares"


def _on(part: str, change: Callable[[Exchange], Exchange]) -> Deviate:
    """Return a deviation of the successful replies whose path contains a text."""
    return lambda exchange: change(exchange) if part in exchange.path and exchange.status == 200 else exchange


def _all(*deviations: Deviate) -> Deviate:
    def deviate(exchange: Exchange) -> Exchange:
        for each in deviations:
            exchange = each(exchange)
        return exchange

    return deviate


def _answer(part: str, status: int, body: bytes, media_type: str) -> Deviate:
    return _on(part, lambda exchange: exchange.answered(status, body, media_type))


def _partners(dataset: str, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> Deviate:
    return _on(dataset, lambda exchange: exchange.rows(change))


def _renamed(old: str, new: str) -> Callable[[list[dict[str, str]]], list[dict[str, str]]]:
    return lambda rows: [{**row, "partner": new} if row["partner"] == old else row for row in rows]


def _with_new_aggregate(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [*rows, *({**row, "partner": "EXT_EA22"} for row in rows if row["partner"] == "WORLD")]


def _without_world(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Remove WORLD; the intra-EU and extra-EU aggregates still hold its content."""
    return [row for row in rows if row["partner"] != "WORLD"]


def _without_column(name: str) -> Callable[[list[dict[str, str]]], list[dict[str, str]]]:
    return lambda rows: [{key: value for key, value in row.items() if key != name} for row in rows]


def _with_column(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**row, "DECIMALS": "0"} for row in rows]


def _twice(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [rows[0], *rows]


def _discontinued(exchange: Exchange) -> Exchange:
    content = json.loads(exchange.body)
    content |= {"Status": "Gediscontinueerd", "VersionNotes": "Deze tabel is stopgezet en vervangen door 86000NED."}
    return exchange.answered(200, json.dumps(content).encode(), JSON)


def _old_measure(path: str) -> str:
    return path.replace("D009999", "D001636")


CBS_404 = _answer("/81234ned/", 404, b'{"error": {"code": "404", "message": "Not found"}}', JSON)
RENAMED_MEASURE = _on("/85429NED", lambda exchange: exchange.rewritten("D001636", "D009999"))
OTHER_UNIT = _on("/85429NED/MeasureCodes", lambda exchange: exchange.rewritten("mln euro", "1 000 euro"))
NO_FLAGS = _partners(f"{DATA}sts_inpr_m", _without_column("CONF_STATUS"))
NEW_COUNTRY = _partners(CN, _renamed("VN", "QN"))
NEW_AGGREGATE = _partners(CN, _with_new_aggregate)
NO_WORLD = _on(f"{DATA}DS-", lambda exchange: exchange.rows(_without_world))
SITC_REFUSED = _answer(SITC, 400, FAULT_150, XML)
GERMANY_DOWN = _answer(f"{CN}/M.DE", 200, MAINTENANCE, HTML)
DISCONTINUED = _on("/85429NED/Properties", _discontinued)
NO_CONSTRAINT = _answer("/contentconstraint/ESTAT/DS-059331", 500, b"error", "text/plain")
NOT_LISTED = _on("/dataflow/ESTAT", lambda exchange: exchange.rewritten("DS-059331", "DS-999999"))

DEVIATIONS = (
    Deviation("none", "Both offices answer as declared."),
    Deviation("new_aggregate", "An accession: DS-045409 has an aggregate that nobody knows (EXT_EA22).", NEW_AGGREGATE),
    Deviation("no_world", "Comext gives no WORLD, of no reporter: only INT_EU27_2020 and EXT_EU27_2020.", NO_WORLD),
    Deviation("cbs_404", "A table of CBS is gone (404).", CBS_404),
    Deviation("new_country", "A country comes under a code that no list knows (QN).", NEW_COUNTRY),
    Deviation("no_flags", "sts_inpr_m has no column CONF_STATUS.", NO_FLAGS),
    Deviation("eurostat_503", "Eurostat is overloaded (503).", _answer("/eurostat/", 503, b"overloaded", "text/plain")),
    Deviation("cbs_measure", "CBS renames a measure of 85429NED.", RENAMED_MEASURE, route=_old_measure),
    Deviation("no_network", "Neither office can be reached.", is_away=True),
    Deviation("cbs_unit", "CBS states another unit in 85429NED.", OTHER_UNIT),
    Deviation("sitc_150", "Eurostat refuses DS-059331 (fault 150).", SITC_REFUSED),
    Deviation("maintenance", "Eurostat shows a maintenance page, with status 200, for Germany only.", GERMANY_DOWN),
    Deviation("new_column", "DS-045409 has a column more.", _partners(CN, _with_column)),
    Deviation("repeated_row", "DS-059331 gives one row twice.", _partners(SITC, _twice)),
    Deviation("discontinued", "CBS calls 85429NED discontinued and names its successor.", DISCONTINUED),
    Deviation("no_constraint", "The constraint of DS-059331 cannot be had (500).", NO_CONSTRAINT),
    Deviation("not_listed", "The listing of dataflows does not hold DS-059331.", NOT_LISTED),
    Deviation("cbs_html", "CBS answers everything with an HTML page.", _answer("/odata/", 200, MAINTENANCE, HTML)),
    Deviation("cbs_503", "CBS is overloaded (503).", _answer("/odata/", 503, b"overloaded", "text/plain")),
    Deviation(
        "everything",
        "Every dataset deviates in one way at once.",
        _all(CBS_404, RENAMED_MEASURE, NO_FLAGS, NEW_COUNTRY, NEW_AGGREGATE, NO_WORLD, SITC_REFUSED),
        route=_old_measure,
    ),
)

VICTIMS = "85429NED|DS-045409/M.DE|sts_inpr_m"
LASTING = 1_000_000
# Delays that suit a test; all other options keep the simulator's defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "timeout": {"delay_seconds": 5},
    "slow": {"delay_seconds": 0.5},
    "slow_drip": {"interval_seconds": 0.2, "bytes_at_once": 20_000},
    "http_429": {"retry_after": 0},
    # The release-day test covers a second release within a run.
    "release_mid_run": {"times": 1},
}
FIGURES = (
    "bad_number",
    "duplicate_key",
    "missing_column",
    "missing_partners",
    "negative_value",
    "new_column",
    "renamed_aggregate",
    "unit",
    "unknown_partner",
    "wrong_scale",
    "wrong_total",
)


def _fault(kind: str, *, is_first: bool) -> Deviation:
    options = OPTIONS.get(kind, {})
    here = f" Here: {', '.join(f'``{name}`` {value}' for name, value in options.items())}." if options else ""
    fault = {"match": VICTIMS, "kind": kind, "times": LASTING, **options}
    name = f"{'first' if is_first else 'later'}_{kind}"
    return Deviation(name, describe_kinds()[kind] + here, faults=(fault,), is_first=is_first)


# Files of all reporters are loaded only on demand.
OF_FILES = ("crlf", "truncate_7z")
FAULTS = tuple(_fault(kind, is_first=False) for kind in sorted(describe_kinds()) if kind not in OF_FILES)
FIRST_FAULTS = tuple(_fault(kind, is_first=True) for kind in FIGURES)
ALL = (*DEVIATIONS, *FAULTS, *FIRST_FAULTS)


@dataclass
class Offices:
    """Both offices, and the states that runs start from.

    Attributes
    ----------
    simulator : Simulator
        Simulator of both offices, at a given release.
    url : str
        Address of its unchanged replies.
    proxy : Proxy
        Proxy that makes its replies deviate.
    prepared : Path
        A state without a load.
    loaded : Path
        A state that has published the previous release; created on first access.
    """

    simulator: Simulator
    url: str
    proxy: Proxy
    prepared: Path = field(default_factory=Path)

    @property
    def loaded(self) -> Path:
        loaded = self.prepared.with_name("loaded")
        if not loaded.exists():
            self.simulator.set_release(RELEASE - 1)
            try:
                outcome = run(self, DEVIATIONS[0], loaded)
            finally:
                self.simulator.set_release(RELEASE)
            assert outcome.exit_code == 0, outcome.output
        return loaded


@contextmanager
def running_offices() -> Iterator[Offices]:
    """Serve both offices, and prepare Airflow and dbt once for all runs."""
    simulator = UnmarkedSimulator(release=RELEASE, parameters=SPARSE)
    with run_simulator(simulator) as url, running_proxy(url) as proxy, TemporaryDirectory() as folder:
        offices = Offices(simulator, url, proxy, Path(folder) / "prepared")
        environment = environment_of(offices, offices.prepared)
        command = [str(Path(sys.executable).with_name("metaalexport")), "prepare"]
        environment["METAALEXPORT_AIRFLOW_ADMIN_PASSWORD"] = "of-the-tests"
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=RUN_SECONDS)
        yield offices


def environment_of(offices: Offices, root: Path, deviation: Deviation = DEVIATIONS[0]) -> dict[str, str]:
    """Return a user's environment for a live run against the simulated offices."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("METAALEXPORT_", "AIRFLOW"))}
    # Nothing listens on the discard port.
    address = "http://127.0.0.1:9" if deviation.is_away else offices.url if deviation.faults else offices.proxy.url
    return {
        **clean,
        "METAALEXPORT_PROFILE": "live",
        "METAALEXPORT_VAR": str(root),
        "METAALEXPORT_CBS_URL": address,
        "METAALEXPORT_EUROSTAT_URL": address,
        "METAALEXPORT_DATASETS": ",".join(DATASETS),
        "METAALEXPORT_REPORTERS": ",".join(REPORTERS),
        "METAALEXPORT_FIRST_MONTH": FIRST_MONTH,
        "METAALEXPORT_HTTP_ATTEMPTS": "2",
        "METAALEXPORT_HTTP_BASE_SECONDS": "0.1",
    }


def run(offices: Offices, deviation: Deviation, root: Path) -> Outcome:
    """Run the whole pipeline once, as a user does, while the offices deviate."""
    if not root.exists():
        shutil.copytree(offices.prepared if deviation.is_first else offices.loaded, root)
    environment = environment_of(offices, root, deviation)
    offices.proxy.deviate, offices.proxy.route = deviation.deviate, deviation.route
    release, faults = offices.simulator.release.number, offices.simulator.faults
    faults.add(deviation.faults)
    try:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("metaalexport")), "run"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    finally:
        offices.proxy.deviate, offices.proxy.route = as_it_is, str
        left = [fault.times for fault in faults.faults]
        faults.clear()
        offices.simulator.set_release(release)
    settings = Settings.from_environment(environment)
    metal = {
        reporter: (published.query(settings, METAL.format(reporter)).rows[0][0] or "")
        if settings.published.exists()
        else ""
        for reporter in REPORTERS
    }
    lines = [line for state in gaps.read_gaps(settings) for line in state.lines]
    was_met = left != [fault["times"] for fault in deviation.faults] or not left
    return Outcome(done.returncode, metal, lines, done.stdout + done.stderr, was_met)


def summarise(outcome: Outcome) -> tuple[str, str, str]:
    """Return the cells of a page row: exit code, published shares, user-visible lines."""
    shown = [_plain(line) for line in outcome.lines[:MOST_LINES]]
    if len(outcome.lines) > MOST_LINES:
        shown.append("…")
    seen = "<br>".join(shown) or "nothing is missing"
    return str(outcome.exit_code), outcome.published, seen if outcome.was_met else "no reply can have the fault"


def write_page(rows: dict[str, tuple[str, str, str]]) -> None:
    text = ""
    for title, deviations in ((INTRODUCTION, DEVIATIONS), (AFTER_A_GOOD_RUN, FAULTS), (IN_THE_FIRST_RUN, FIRST_FAULTS)):
        lines = [
            f"| `{each.name}` | {each.what} | {' | '.join(rows[each.name])} |"
            for each in deviations
            if each.name in rows
        ]
        head = ["| name | the offices | exit code | published | on the screen |", "|---|---|---|---|---|"]
        text += "\n".join([title, *head, *lines, ""])
    PAGE.write_text(text, encoding="utf-8")


def read_page() -> dict[str, tuple[str, str, str]]:
    """Return the rows of the page by name."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            name, _, exit_code, what, seen = (cell.strip() for cell in line.strip("|").split(" | "))
            rows[name.strip("` ")] = (exit_code, what, seen)
    return rows


def _plain(line: str) -> str:
    """Return a line without the parts that vary by run: ports, jobs, digests of replies that contain addresses."""
    line = re.sub(r"http://127\.0\.0\.1:\d+", "<office>", line)
    line = re.sub(r"(__\d{8}T\d{4})__[0-9a-f]{10}", r"\1__<digest>", line)
    line = re.sub(r"job [0-9a-f-]{36} is still PROCESSING after \d+ s", "job is still PROCESSING", line)
    # Concurrent slices reach the office in random order.
    line = re.sub(r"\d+ attempts failed", "attempts failed", line)
    return line.strip().replace("|", "\\|").replace("<", "&lt;")


def main(names: Sequence[str]) -> None:
    """Run all deviations, or the named ones, and write the page."""
    rows = {}
    with running_offices() as offices, TemporaryDirectory() as folder:
        for deviation in ALL:
            if not names or deviation.name in names:
                outcome = run(offices, deviation, Path(folder) / deviation.name)
                rows[deviation.name] = summarise(outcome)
                shutil.rmtree(Path(folder) / deviation.name)
                print(deviation.name, *rows[deviation.name], sep="\n  ", flush=True)
    # Keep the other rows: two processes may share the work.
    write_page((read_page() if PAGE.exists() else {}) | rows)


if __name__ == "__main__":
    main(sys.argv[1:])

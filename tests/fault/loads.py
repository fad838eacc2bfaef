"""Small loads of every protocol against the simulator, without Airflow and Great Expectations.

The loads call the functions of the pipeline's steps on slices that take a fraction of a second, so that a fault can be
tried at every request of a load.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from expectations import landing as landing_gate
from expectations.gate import Check
from extract import load as loading
from extract import refresh
from extract.dataset import Dataset, Refresh
from extract.http import OfficeSession
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.offices import OFFICES
from extract.raw import RawStore
from extract.registry import get_dataset
from extract.retries import RetryPolicy
from extract.slices import Slice
from metaalexport import gates, reference
from metaalexport.gate_input import compared_gate_input
from metaalexport.settings import Settings
from simulator.server import Simulator, run_simulator

BEFORE, NOW = 10, 11
PAGE_ROWS = 4000
# Enough retries to survive one fault, with short timeouts.
POLICY = RetryPolicy(
    attempts=3,
    base_seconds=0.002,
    max_seconds=0.02,
    max_retry_after=1.0,
    connect_seconds=2.0,
    read_seconds=0.8,
    deadline_seconds=1.5,
)
# The same with long timeouts, for a slow machine: the simulator creates its archives on the first request.
PATIENT = replace(POLICY, read_seconds=60.0, deadline_seconds=60.0)


class GateStoppedError(Exception):
    """The landing gate stopped a load."""


@dataclass(frozen=True)
class Case:
    """A monthly load that follows a load of release `BEFORE`.

    Attributes
    ----------
    name : str
        Name of the protocol in the table of faults.
    dataset : Dataset
        Dataset of the registry, with small changes in some cases.
    part : Slice
        Requested slice.
    standing_faults : tuple of dict
        Faults that are always on, such as an office whose v4 has no observations.
    """

    name: str
    dataset: Dataset
    part: Slice
    standing_faults: tuple[dict[str, Any], ...] = ()


def cases() -> list[Case]:
    """Return one load of each protocol."""
    border = get_dataset("cbs_85429ned")
    prices = replace(
        get_dataset("cbs_85770ned"),
        bulk=True,
        first_period="2025-01",
        # Every load requests everything, like the yearly full reload.
        refresh=Refresh(full_every_days=0),
    )
    comext = get_dataset("eurostat_ds_045409")
    production = replace(get_dataset("eurostat_sts_inpr_m"), first_period="2025-01")
    bulk = get_dataset("eurostat_comext_bulk")
    no_observations = {"match": "odata/v1/CBS/85429NED/Observations", "kind": "http_500"}
    sections = ("A018678", "A018743")
    paged = replace(border, bulk=False)
    return [
        Case("CBS OData v4", paged, Slice(border.code, "NL", "2026-01", products=sections)),
        Case("CBS bulk zip", prices, Slice(prices.code, "NL", "2025-01", products=prices.products)),
        Case("CBS OData v3", paged, Slice(border.code, "NL", "2026-01", products=sections[:1]), (no_observations,)),
        Case("Comext SDMX", comext, Slice(comext.code, "NL", "2026-01", products=("72", "73"))),
        Case("Eurostat main host", production, Slice(production.code, "NL", "2025-01")),
        Case("Comext bulk 7z", bulk, Slice(bulk.code, "*", "2026-03", "2026-03")),
    ]


@dataclass
class Office:
    """A simulator in this process."""

    simulator: Simulator
    url: str

    def reset(self, release: int, faults: tuple[dict[str, Any], ...] = ()) -> None:
        """Set the release, clear the request log, and replace all faults by `faults`."""
        self.simulator.set_release(release)
        self.simulator.faults.clear()
        self.simulator.requests.clear()
        self.simulator.faults.add(faults)


@contextmanager
def running_office() -> Iterator[Office]:
    """Serve a simulator with small pages."""
    simulator = Simulator(release=BEFORE, page_size=PAGE_ROWS)
    simulator.eurostat.files.archives.bulk_reporters = ("MT",)
    with run_simulator(simulator) as url:
        yield Office(simulator, url)


def run_load(case: Case, url: str, state: Path, policy: RetryPolicy = POLICY) -> LoadManifest | None:
    """Run all steps of a load: probe, fetch, stage, the landing gate, commit.

    Raises
    ------
    ExtractError
        If a step fails.
    GateStoppedError
        If the landing gate would stop the load.
    """
    settings = Settings(profile="simulator", state=state, simulator_url=url)
    dataset, landing, raw = case.dataset, Landing(settings.landing), RawStore(settings.raw)
    office = OFFICES[dataset.office]
    hosts = settings.office_hosts(dataset.office, office.hosts())
    session = OfficeSession(dataset.code, raw, "simulator", policy=policy)
    loads = list(landing.committed(dataset.code))
    version = office.probe(session, hosts, dataset, case.part)
    if refresh.find_unchanged(dataset, loads, case.part, version):
        return None
    part = refresh.narrow(dataset, loads, case.part, version)
    fetched = loading.fetch(session, hosts, dataset, part)
    manifest = loading.stage(
        landing, raw, dataset, part, fetched, transport="simulator", declared=reference.declared_codes(dataset)
    )
    if failed := failed_checks(landing, dataset, manifest):
        raise GateStoppedError(", ".join(failed))
    return landing.commit(manifest.load_id, dataset)


def failed_checks(landing: Landing, dataset: Dataset, manifest: LoadManifest) -> list[str]:
    """Return the names of the landing gate's failed checks of severity ``error``, by the suite's own SQL."""
    return [check.name for check in broken_checks(landing, dataset, manifest) if check.severity == "error"]


def broken_checks(landing: Landing, dataset: Dataset, manifest: LoadManifest) -> list[Check]:
    """Return the landing gate's failed checks of either severity, by the suite's own SQL."""
    folder, _ = landing.staged(manifest.load_id)
    with gates.gate_database(landing.root.with_name("gates"), dataset.code) as database:
        load = compared_gate_input(landing, dataset, manifest, folder, database.parent)
        landing_gate.prepare_database(database, load)
        with duckdb.connect(str(database), read_only=True) as connection:
            return [check for check in landing_gate.landing_checks(load) if not passes(connection, check)]


def passes(connection: duckdb.DuckDBPyConnection, check: Check) -> bool:
    """Return True if a check passes, by its own SQL."""
    arguments = check.arguments
    if check.expectation == "UnexpectedRowsExpectation":
        query = arguments["unexpected_rows_query"].replace("{batch}", check.table)
        return not connection.execute(query).fetchall()
    assert check.expectation == "ExpectTableRowCountToBeBetween", check.expectation
    count = connection.execute(f"select count(*) from {check.table}").fetchall()[0][0]
    return bool(arguments.get("min_value", 0) <= count <= arguments.get("max_value", count))


def copy_state(base: Path, target: Path) -> Path:
    """Replace `target` by a copy of the state `base`; return `target`."""
    shutil.rmtree(target, ignore_errors=True)
    if base.exists():
        shutil.copytree(base, target)
    return target


def load_release(case: Case, office: Office, release: int, state: Path) -> LoadManifest:
    """Load a release without faults."""
    office.reset(release, case.standing_faults)
    manifest = run_load(case, office.url, state, policy=PATIENT)
    assert manifest is not None, f"{case.name}: nothing new in release {release}"
    return manifest

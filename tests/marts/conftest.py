"""One warehouse of both simulated offices, in two releases, for all tests of the marts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from filelock import FileLock

from metaalexport.settings import Settings
from simulator.economy import Economy
from simulator.server import run_simulator
from tests.integration.conftest import build_and_publish, load_all
from tests.marts.recompute import Recomputed, landed

RELEASES = (11, 12)


@dataclass(frozen=True)
class Warehouse:
    """A published warehouse, what it was made from, and the economy whose parameters are known.

    Attributes
    ----------
    published : Path
        The published DuckDB file.
    landing : Path
        The landing area: Parquet as both offices sent it.
    economy : Economy
        The simulator's model, with its true parameters.
    """

    published: Path
    landing: Path
    economy: Economy

    def frame(self, query: str) -> pd.DataFrame:
        """Return the rows of a query over the published file."""
        with duckdb.connect(str(self.published), read_only=True) as connection:
            return connection.sql(query).df()

    def landed(self, dataset: str, table: str = "changes") -> pd.DataFrame:
        """Return all rows of a landing table, of all loads."""
        return landed(self.landing, dataset, table)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Load two releases of both offices and publish them; once for all workers of a test run.

    With ``MARTS_STATE`` in the environment, the state in that folder is used: what is published there if there is
    anything, else a build of what is loaded there.
    """
    given = os.environ.get("MARTS_STATE")
    # Workers have folders of their own below one that they share.
    shared = (
        tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.getbasetemp()
    )
    state = Path(given) if given else shared / "marts" / "simulator"
    settings = Settings(profile="simulator", state=state, http_attempts=1)
    state.mkdir(parents=True, exist_ok=True)
    with FileLock(state.parent / "marts.lock"):
        if not settings.published.exists():
            if not given:
                for release in RELEASES:
                    with run_simulator(release=release) as url:
                        load_all(Settings(profile="simulator", state=state, simulator_url=url, http_attempts=1), "test")
            build_and_publish(settings, "test")
    return Warehouse(settings.published, settings.landing, Economy())


@pytest.fixture(scope="session")
def recomputed(warehouse: Warehouse) -> Recomputed:
    """Return what the offices sent, worked out anew without the models."""
    return Recomputed(warehouse.landing)

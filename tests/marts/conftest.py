"""One warehouse of both simulated offices, in two releases, for all tests of the marts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from simulator.economy import Economy
from tests.marts.recompute import Recomputed, landed
from tests.states import SPARSE, large_state, settings_of


@dataclass(frozen=True)
class Warehouse:
    """A published warehouse, its landing area, and the economy with known parameters.

    Attributes
    ----------
    published : Path
        The published DuckDB file.
    landing : Path
        The landing area: the replies of both offices as Parquet.
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
def warehouse() -> Warehouse:
    """Return the published warehouse of two releases."""
    settings = settings_of(large_state())
    return Warehouse(settings.published, settings.landing, Economy(SPARSE))


@pytest.fixture(scope="session")
def recomputed(warehouse: Warehouse) -> Recomputed:
    """Return the offices' figures, recomputed without the models."""
    return Recomputed(warehouse.landing)

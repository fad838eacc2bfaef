"""Eurostat's two hosts; byte shapes as recorded where a recording is known.

- `model`: a dataset (dimensions, codes, periods, a function that returns cells) and a request.
- `trade`: the economy as Comext publishes it.
- `comext`: the datasets of the Comext host.
- `main_database`: datasets of the main host in general; `short_term`, `exchange_rates` and `main_trade` declare them.
- `sdmx`: one host that serves any datasets, with its `jobs`; `observations` and `structures` write its replies.
- `files`: files of the main host and their listing; `bulk` makes the archives, `catalogue` lists the datasets.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from simulator.economy import Economy
from simulator.eurostat.comext import DATASET, DIMENSIONS, LARGE_PARTNERS, ComextDatasets
from simulator.eurostat.exchange_rates import exchange_rate_dataset
from simulator.eurostat.files import FileService
from simulator.eurostat.jobs import LEGACY_FILES
from simulator.eurostat.main_trade import MainTrade
from simulator.eurostat.model import Query
from simulator.eurostat.sdmx import DisseminationHost
from simulator.eurostat.short_term import short_term_datasets
from simulator.eurostat.trade import ComextTrade
from simulator.faults.book import FaultBook
from simulator.release import Release
from simulator.reply import Reply

__all__ = ["DATASET", "DIMENSIONS", "LARGE_PARTNERS", "MAIN_ROOT", "PATHS", "ROOT", "EurostatService"]

ROOT = "/eurostat/api/comext/dissemination"
MAIN_ROOT = "/eurostat/api/dissemination"
#: Start of the paths of this office.
PATHS = "/eurostat/"


class EurostatService:
    """The Comext host and the main host.

    Parameters
    ----------
    economy
        Source of the numbers.
    connection
        Separate DuckDB connection.
    faults
        Faults in force.
    polls_until_available
        Number of status requests before the data of a job are available.
    """

    def __init__(
        self,
        economy: Economy,
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        polls_until_available: int = 2,
    ) -> None:
        self.trade = ComextTrade(economy)
        main = (*short_term_datasets(economy), exchange_rate_dataset(economy), *MainTrade(self.trade).datasets())
        self.comext = DisseminationHost(ComextDatasets(self.trade).all(), connection, faults, polls_until_available)
        self.main = DisseminationHost(main, connection, faults, polls_until_available)
        self.files = FileService(self.trade, connection, main, MAIN_ROOT, faults)

    def answer(
        self, path: str, query: Sequence[tuple[str, str]], release: Release, request_url: str, base_url: str
    ) -> Reply:
        """Return the reply to a request.

        Parameters
        ----------
        path
            Path as sent.
        query
            Query parameters in order, decoded; a name may occur more than once.
        request_url
            Path and query as sent, for the faults to match.
        base_url
            Address of the simulator as the client knows it.
        """
        request = Query(query, request_url, base_url)
        if path.startswith(f"{ROOT}/"):
            return self.comext.answer(path.removeprefix(ROOT), request, release)
        if path.startswith(f"{MAIN_ROOT}/"):
            below = path.removeprefix(MAIN_ROOT)
            return self.files.answer(below, request, release) or self.main.answer(below, request, release)
        if path.startswith(f"{LEGACY_FILES}/"):
            return (self.comext if self.comext.jobs.knows_file(path) else self.main).jobs.answer_file(path)
        return Reply(b"Not Found", "text/html", 404)

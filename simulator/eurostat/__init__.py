"""Eurostat's two hosts; byte shapes as recorded where a recording is known.

- `model`: what a dataset is (dimensions, codes, periods, a function that gives cells).
- `comext`, `main_database`: the datasets of each host.
- `sdmx`: one host that serves any datasets; `observations` and `structures` write its replies.
- `files`: bulk files, their listing, and the catalogue, all on the main host.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from simulator.economy import Economy
from simulator.eurostat.comext import DATASET, DIMENSIONS, LARGE_PARTNERS, ComextDatasets
from simulator.eurostat.files import FileService
from simulator.eurostat.main_database import MainDatabase
from simulator.eurostat.sdmx import LEGACY_FILES, DisseminationHost, Query
from simulator.eurostat.trade import ComextTrade
from simulator.faults.book import FaultBook
from simulator.release import Release
from simulator.reply import Reply

__all__ = ["DATASET", "DIMENSIONS", "LARGE_PARTNERS", "MAIN_ROOT", "PATHS", "ROOT", "EurostatService"]

ROOT = "/eurostat/api/comext/dissemination"
MAIN_ROOT = "/eurostat/api/dissemination"
#: Where the paths of this office start.
PATHS = "/eurostat/"


class EurostatService:
    """Answers for the Comext host and for the main host.

    Parameters
    ----------
    economy
        Where the numbers come from.
    connection
        DuckDB connection of its own.
    faults
        Faults in force.
    polls_until_available
        How often a job's status is asked before its data are there.
    """

    def __init__(
        self,
        economy: Economy,
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        polls_until_available: int = 2,
    ) -> None:
        trade = ComextTrade(economy)
        main_database = MainDatabase(trade)
        self.comext = DisseminationHost(ComextDatasets(trade).all(), connection, faults, polls_until_available)
        self.main = DisseminationHost(main_database.all(), connection, faults, polls_until_available)
        self.files = FileService(
            trade, connection, main_database, tuple(self.main.datasets.values()), MAIN_ROOT, faults
        )

    def answer(
        self, path: str, query: Sequence[tuple[str, str]], release: Release, request_url: str, base_url: str
    ) -> Reply:
        """Answer a request.

        Parameters
        ----------
        path
            Path as sent.
        query
            Query parameters in order, decoded; a name may come more than once.
        request_url
            Path and query as sent, for the faults to match.
        base_url
            Address under which the simulator is known to the client.
        """
        request = Query(query, request_url, base_url)
        if path.startswith(f"{ROOT}/"):
            return self.comext.answer(path.removeprefix(ROOT), request, release)
        if path.startswith(f"{MAIN_ROOT}/"):
            below = path.removeprefix(MAIN_ROOT)
            return self.files.answer(below, request, release) or self.main.answer(below, request, release)
        if path.startswith(f"{LEGACY_FILES}/"):
            return (self.comext if self.comext.knows_file(path) else self.main).answer_file(path)
        return Reply(b"Not Found", "text/html", 404)

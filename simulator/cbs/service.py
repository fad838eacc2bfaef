"""Answers for all hosts of CBS: leads a path to the part that speaks its protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb

from simulator.cbs.bulk import BulkService
from simulator.cbs.odata import ODataError
from simulator.cbs.store import Store
from simulator.cbs.v4 import V4Service
from simulator.economy import Economy, Release
from simulator.faults import FaultBook, Reply
from simulator.odata_filter import FilterError

V4_BASE = "/odata/v1"
ROOT = f"{V4_BASE}/CBS"
_BULK = ("/csv/CBS/nl/", "/CSV/CBS/nl/")
ROOTS = (V4_BASE, *_BULK)


class CbsService:
    """Answers for the hosts of CBS.

    Parameters
    ----------
    economy
        Where the numbers come from.
    connection
        DuckDB connection of its own; tables of a release are built in it when first asked for.
    faults
        Faults in force.
    page_size
        Most observations in one v4 reply; the real host gives 100,000.
    """

    def __init__(
        self,
        economy: Economy,
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        page_size: int = 100_000,
    ) -> None:
        self.store = Store(economy, connection)
        self.v4 = V4Service(self.store, faults, page_size)
        self.bulk = BulkService(self.v4, faults)

    def answer(self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str) -> Reply:
        """Answer a request.

        Parameters
        ----------
        path
            Whole path.
        query
            Query options, decoded.
        base_url
            Address of the server, for the absolute links inside replies.
        request_url
            Path and query as sent, for the faults to match.
        """
        try:
            if path.startswith(_BULK):
                return self.bulk.answer(path[len(_BULK[0]) :].rstrip("/"), release, base_url + ROOT, request_url)
            return self._answer_v4(path, query, release, base_url, request_url)
        except FilterError as error:
            return _error(400, str(error))
        except ODataError as error:
            return _error(error.status, str(error))

    def _answer_v4(
        self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str
    ) -> Reply:
        # The catalogue is under both addresses; the tables are under the longer one.
        root = ROOT if f"{path}/".startswith(f"{ROOT}/") else V4_BASE
        below = path.removeprefix(root)
        if root == V4_BASE and below.strip("/") not in ("", "Datasets", "Catalogs", "ReleaseCalendar"):
            raise ODataError(404, f"Resource not found for the segment '{below.strip('/')}'.")
        return self.v4.answer(below, query, release, base_url + ROOT, request_url)


def _error(status: int, message: str) -> Reply:
    text = json.dumps({"error": {"code": "", "message": message}}, ensure_ascii=False, separators=(",", ":"))
    return Reply(text.encode(), "application/json", status)

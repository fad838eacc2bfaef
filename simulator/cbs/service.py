"""The hosts of CBS: routes a path to the service of its protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb

from simulator.cbs import metadata_v3, v3
from simulator.cbs.bulk import BulkService
from simulator.cbs.events import EventsService
from simulator.cbs.odata import ODataError
from simulator.cbs.store import Store
from simulator.cbs.trade import CbsTrade
from simulator.cbs.v3 import V3Service
from simulator.cbs.v4 import V4Service
from simulator.economy import Economy
from simulator.faults.book import FaultBook
from simulator.odata_filter import FilterError
from simulator.release import Release
from simulator.reply import Reply

V4_BASE = "/odata/v1"
ROOT = f"{V4_BASE}/CBS"
_BULK = ("/csv/CBS/nl/", "/CSV/CBS/nl/")
_V3 = (metadata_v3.API, metadata_v3.FEED, metadata_v3.CATALOG)
_EVENTS = f"{V4_BASE}/Events"
ROOTS = (V4_BASE, *_BULK, *_V3)


class CbsService:
    """The hosts of CBS.

    Parameters
    ----------
    economy
        Source of the numbers.
    connection
        Separate DuckDB connection; the tables of a release are built in it at the first request.
    faults
        Faults in force.
    page_size
        Most observations in one v4 reply; 100,000 on the real host.
    """

    def __init__(
        self,
        economy: Economy,
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        page_size: int = 100_000,
    ) -> None:
        self.trade = CbsTrade(economy)
        self.store = Store(self.trade, connection)
        self.v4 = V4Service(self.store, faults, page_size)
        self.v3 = V3Service(self.store, faults)
        self.bulk = BulkService(self.v4.metadata, faults)
        self.events = EventsService(connection)

    def answer(self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str) -> Reply:
        """Return the reply to a request.

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
        refuse = v3.refuse if path.startswith(_V3) else _error
        try:
            if path.startswith(_V3):
                return self.v3.answer(path, query, release, base_url, request_url)
            if path.startswith(_BULK):
                return self.bulk.answer(path[len(_BULK[0]) :].rstrip("/"), release, base_url + ROOT, request_url)
            if path.rstrip("/") == _EVENTS:
                return self.events.answer(query, release, base_url + V4_BASE)
            return self._answer_v4(path, query, release, base_url, request_url)
        except FilterError as error:
            return refuse(400, str(error))
        except ODataError as error:
            return refuse(error.status, str(error))

    def _answer_v4(
        self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str
    ) -> Reply:
        # The catalogue has both addresses, the tables only the longer one.
        root = ROOT if f"{path}/".startswith(f"{ROOT}/") else V4_BASE
        below = path.removeprefix(root)
        if root == V4_BASE and below.strip("/") not in ("", "Datasets", "Catalogs", "ReleaseCalendar"):
            raise ODataError(404, f"Resource not found for the segment '{below.strip('/')}'.")
        return self.v4.answer(below, query, release, base_url + ROOT, request_url)


def _error(status: int, message: str) -> Reply:
    text = json.dumps({"error": {"code": "", "message": message}}, ensure_ascii=False, separators=(",", ":"))
    return Reply(text.encode(), "application/json", status)

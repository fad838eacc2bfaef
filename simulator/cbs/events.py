"""Release calendar: the events of the CBS website (``www.cbs.nl``)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC

import duckdb

from simulator.cbs.odata import Record, RecordLists, json_text
from simulator.cbs.periods import MONTHS
from simulator.cbs.table import Table
from simulator.cbs.tables import TABLES
from simulator.release import START_YEAR, Release
from simulator.reply import Reply

_ENGLISH_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

# Rounds in the calendar after the current one; the last six have a day only.
_ROUNDS_AHEAD, _ROUNDS_WITH_TIME = 12, 6

# Title of a publication of several tables on the website, in Dutch and English. The fields of an event were seen, the
# titles were not: as far as known, CBS does not name its trade tables individually.
_PUBLICATIONS = (
    ("85429NED", "Internationale goederenhandel; in- en uitvoer", "International trade in goods; imports and exports"),
    ("85770NED", "Producentenprijzen (PPI)", "Producer prices (PPI)"),
    ("85806NED", "Nijverheid; productie en omzet", "Industry; output and turnover"),
    ("81234ned", "Producentenvertrouwen", "Producer confidence"),
)


class EventsService:
    """The release calendar.

    Parameters
    ----------
    connection
        For scratch tables.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._lists = RecordLists(connection, version=4)

    @staticmethod
    def events(release: Release) -> list[Record]:
        """Return every publication up to a release, and the planned ones after it, by time."""
        records = []
        for number in range(1, release.number + _ROUNDS_AHEAD + 1):
            is_vague = number > release.number + _ROUNDS_AHEAD - _ROUNDS_WITH_TIME
            for identifier, dutch, english in _PUBLICATIONS:
                table = TABLES[identifier]
                for language, title in (("nl-NL", dutch), ("en-GB", english)):
                    records.append(_event(table, Release(number), language, title, is_vague))
        return sorted(records, key=lambda record: (record["PlannedPublicationTime"], record["UniqueId"]))

    def answer(self, query: Mapping[str, str], release: Release, root: str) -> Reply:
        """Return the reply to a request; ``root`` is the address of the service.

        Raises
        ------
        ODataError, FilterError
            The request is refused.
        """
        picked, selected = self._lists.pick(self.events(release), query)
        names = "" if selected is None else f"({query['$select']})"
        content: Record = {"@odata.context": f"{root}/$metadata#Events{names}", "value": picked}
        return Reply(json_text(content).encode(), "application/json; odata.metadata=minimal")


def _event(table: Table, release: Release, language: str, title: str, is_vague: bool) -> Record:
    newest = table.publication.months(release) - 1
    month = (MONTHS if language == "nl-NL" else _ENGLISH_MONTHS)[newest % 12]
    planned = table.publication.released(release).astimezone(UTC)
    name = f"{table.identifier} {release.number} {language}"
    return {
        "UniqueId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "Title": title,
        "Url": f"https://opendata.cbs.nl/statline/#/CBS/nl/dataset/{table.identifier}",
        "PlannedPublicationTime": f"{planned:%Y-%m-%dT%H:%M:%SZ}",
        "ReportingPeriod": f"{month} {START_YEAR + newest // 12}",
        "PublishTimeUnknown": is_vague,
        "Language": language,
    }

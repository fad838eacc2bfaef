"""Bulk files: a zip per table, its members semicolon-separated with a decimal comma."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

from common.sql import identifier
from simulator.cbs.metadata_v4 import CATALOG, V4Metadata
from simulator.cbs.odata import ODataError, Record, scalar
from simulator.cbs.store import Store
from simulator.cbs.table import Table
from simulator.cbs.tables import TABLES
from simulator.cbs.v4 import number_text, rows_of
from simulator.faults.book import FaultBook
from simulator.faults.registry import ROW_SPOILERS
from simulator.release import Release
from simulator.reply import Reply

# Rows of a member that are written at once: about 15 MB.
_ROWS_AT_ONCE = 250_000
_BOM = "\ufeff"
# Columns and date that the real host writes into the members of links, as seen.
_NO_DATE = "01-01-0001 00:00:00"
_LINK_HEADER = (
    "Id", "Title", "Url", "DatasetId", "Id", "Identifier", "Title", "Description", "Modified", "ReleaseDate",
    "ModificationDate", "Language", "TemporalCoverage", "Authority", "Catalog", "Publisher", "ContactPoint",
    "Version", "VersionNotes", "VersionReason", "Frequency", "Status", "ObservationCount", "ObservationsModified",
    "DatasetType", "GraphTypes", "DatasetIdentifier", "DataProviderId", "DataProviderId", "License", "Source",
    "Summary", "LongDescription",
)  # fmt: skip
_PROPERTIES = (
    "Identifier", "Title", "Description", "Modified", "ReleaseDate", "ModificationDate", "Language",
    "TemporalCoverage", "Authority", "Catalog", "Publisher", "ContactPoint", "Version", "VersionNotes",
    "VersionReason", "Frequency", "Status", "ObservationCount", "ObservationsModified", "DatasetType", "GraphTypes",
    "License", "Source", "Summary", "LongDescription",
)  # fmt: skip


class BulkService:
    """The bulk host.

    Parameters
    ----------
    metadata
        Source of the metadata, and of the store of the tables.
    faults
        Faults in force.
    rows_per_member
        A table with more observations is split over ``Observations.csv``, ``Observations_2.csv`` and so on. It is
        unverified that CBS splits very large tables, and so are the names.
    """

    def __init__(self, metadata: V4Metadata, faults: FaultBook, rows_per_member: int = 2_000_000) -> None:
        self.metadata = metadata
        self.store: Store = metadata.store
        self.faults = faults
        self.rows_per_member = rows_per_member

    def answer(self, identifier: str, release: Release, root: str, request_url: str) -> Reply:
        """Return the zip of a table.

        Parameters
        ----------
        root
            Address of the v4 catalogue, for the links in the metadata.
        request_url
            Path and query as sent, for the faults to match.

        Raises
        ------
        ODataError
            There is no such table, or this host does not have its observations.
        """
        if identifier not in TABLES or not TABLES[identifier].is_in_v4:
            raise ODataError(404, f"Dataset '{identifier}' not found.")
        table = TABLES[identifier]
        buffer = io.BytesIO()
        released = table.publication.released(release)
        # The time in the archive is that of the publication, so that a release always gives the same bytes.
        moment = (released.year, released.month, released.day, released.hour, released.minute, 0)
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            self._write_observations(archive, moment, table, release, request_url)
            for name, header, records in self._metadata(table, release, root, request_url):
                text = _csv_text(header, records)
                if name == "Properties.csv":
                    text = _BOM + text
                archive.writestr(_member(name, moment), text.encode())
        headers = {"Content-Disposition": f"attachment; filename={identifier}.zip"}
        return Reply(buffer.getvalue(), "application/zip", headers=headers)

    def _write_observations(
        self, archive: zipfile.ZipFile, moment: Any, table: Table, release: Release, request_url: str
    ) -> None:
        connection = self.store.connection
        dimensions = [identifier(name) for name in table.dimension_names]
        source = (
            f'select "Id" as position, "Id", "Measure", {", ".join(dimensions)}, '
            f'{number_text("Value")} as "Value", "ValueAttribute" from {self.store.observations(table, release)}'
        )
        if self.faults.waiting(request_url, ROW_SPOILERS):
            connection.execute(f"create or replace temp table bulk_rows as {source}")
            self.faults.spoil_rows(request_url, rows_of(table, connection, "bulk_rows"))
            source = "from bulk_rows"
        fields = " || ';' || ".join(
            ['"Id"', '"Measure"', *dimensions, "coalesce(replace(\"Value\", '.', ','), '')", "''", '"ValueAttribute"']
        )
        header = ";".join(["Id", "Measure", *table.dimension_names, "Value", "StringValue", "ValueAttribute"])
        count = self.store.count(table, release)
        for number, start in enumerate(range(0, count, self.rows_per_member), start=1):
            name = "Observations.csv" if number == 1 else f"Observations_{number}.csv"
            stop = min(start + self.rows_per_member, count)
            with archive.open(_member(name, moment), "w") as member:
                member.write(f"{_BOM}{header}\r\n".encode())
                for first in range(start, stop, _ROWS_AT_ONCE):
                    text = scalar(
                        connection,
                        f"select string_agg({fields}, chr(13) || chr(10) order by position) from ({source}) "
                        "where position >= ? and position < ?",
                        [first, min(first + _ROWS_AT_ONCE, stop)],
                    )
                    if text:
                        member.write(f"{text}\r\n".encode())

    def _metadata(
        self, table: Table, release: Release, root: str, request_url: str
    ) -> list[tuple[str, list[str], list[Record]]]:
        url = f"{root}/{table.identifier}"
        properties = self.metadata.properties(table, release, url)
        distribution = ["Format", "MediaType", "DownloadUrl", "AccessUrl", "Language"]
        members = [
            ("Properties.csv", list(_PROPERTIES), [properties]),
            ("Catalog.csv", list(CATALOG), [dict(CATALOG)]),
            ("Distribution.csv", distribution, properties["Distributions"]),
            ("LinkProvenances.csv", list(_LINK_HEADER), [_link(link) for link in properties["Provenance"]]),
            ("LinkRelatedSources.csv", list(_LINK_HEADER), [_link(link) for link in properties["RelatedSources"]]),
        ]
        measures = self.metadata.measure_codes(table)
        columns = ["Identifier", "MeasureGroupId", "Index", "Title", "Description"]
        members.append(("MeasureCodes.csv", [*columns, "DataType", "Unit", "Decimals", "PresentationType"], measures))
        group_columns = ["Id", "Index", "Title", "Description", "ParentId"]
        if table.measure_groups:
            groups = self.metadata.records(table, "MeasureGroups", release, url) or []
            members.append(("MeasureGroups.csv", group_columns, groups))
        described = self.metadata.dimensions(table, url)
        for record in described:
            # In the zip a link is the name of a member.
            record["CodesUrl"] = f"{record['Identifier']}Codes.csv"
            record["GroupsUrl"] = f"{record['Identifier']}Groups.csv" if record["ContainsGroups"] else None
            record.pop("@odata.type", None)
        members.append(("Dimensions.csv", list(described[0]), described))
        for name in table.dimension_names:
            own = {"DimensionId": name}
            codes = [record | own for record in table.codes(name, self.store.partners, release)]
            columns = ["Identifier", "DimensionGroupId", "DimensionId", "Index", "Title", "Description"]
            members.append((f"{name}Codes.csv", [*columns, *(["Status"] if name == "Perioden" else [])], codes))
            if table.groups(name):
                groups = [r | own for r in self.metadata.records(table, f"{name}Groups", release, url) or []]
                members.append((f"{name}Groups.csv", [*group_columns, "DimensionId"], groups))
        for _, _, records in members:
            self.faults.spoil_records(request_url, records)
        return members


def _member(name: str, moment: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, moment)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _link(link: Record) -> Record:
    # The header repeats some names; a record fills the first column of each.
    dates = dict.fromkeys(("Modified", "ReleaseDate", "ModificationDate", "ObservationsModified"), _NO_DATE)
    return {"Id": 0, **link, "ObservationCount": 0, **dates}


def _csv_text(header: list[str], records: list[Record]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(header)
    for record in records:
        seen: set[str] = set()
        row = []
        for name in header:
            value = "" if name in seen else record.get(name)
            seen.add(name)
            row.append("" if value is None else value)
        writer.writerow(row)
    return text.getvalue()

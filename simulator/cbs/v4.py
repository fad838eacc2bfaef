"""OData v4 (``datasets.cbs.nl``), byte shapes as recorded from the real host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb

from common.sql import identifier
from simulator.cbs.odata import (
    ODataError,
    Record,
    RecordLists,
    checked,
    encode,
    json_text,
    order,
    scalar,
    selection,
    whole_number,
)
from simulator.cbs.store import LONG_COLUMNS, Store
from simulator.cbs.tables import TABLES, Table
from simulator.economy import Release
from simulator.faults.book import FaultBook
from simulator.faults.registry import Rows
from simulator.odata_filter import Condition, read_filter
from simulator.reply import Reply

_MEDIA_TYPE = "application/json; odata.metadata=minimal; odata.streaming=true"
AUTHORITY = "https://standaarden.overheid.nl/owms/terms/Centraal_Bureau_voor_de_Statistiek"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"

#: The one record of ``Catalogs``, as in the bulk file of the same name.
CATALOG: Record = {
    "Identifier": "CBS",
    "Index": 1,
    "Title": "CBS databank",
    "Description": "Catalogus van het CBS",
    "Publisher": AUTHORITY,
    "Language": "nl",
    "License": LICENCE,
    "Homepage": "https://www.cbs.nl/",
    "Authority": AUTHORITY,
    "ContactPoint": "infoservice@cbs.nl",
}

# In the catalogue, so that a search has something to choose from, but not served.
_LISTED_ONLY = (("80590ned", "Arbeidsdeelname en werkloosheid per maand ", "Regulier"),)


class V4Service:
    """Answers in OData v4.

    Parameters
    ----------
    store
        Where the tables are.
    faults
        Faults in force.
    page_size
        Most observations in one reply.
    """

    def __init__(self, store: Store, faults: FaultBook, page_size: int) -> None:
        self.store = store
        self.connection: duckdb.DuckDBPyConnection = store.connection
        self.faults = faults
        self.page_size = page_size
        self._lists = RecordLists(self.connection, version=4)

    # -- metadata ---------------------------------------------------------------------------------------

    @staticmethod
    def measure_codes(table: Table) -> list[Record]:
        """Records of ``MeasureCodes``."""
        return [
            {
                "Identifier": measure.code,
                "Index": measure.slot,
                "Title": measure.title,
                "Description": measure.text,
                "MeasureGroupId": measure.group,
                "DataType": measure.data_type,
                "Unit": measure.unit,
                "Decimals": measure.decimals,
                "PresentationType": None,
            }
            for measure in table.measures
        ]

    @staticmethod
    def dimensions(table: Table, url: str) -> list[Record]:
        """Records of ``Dimensions``; ``url`` is the address of the table."""
        titles = {dimension.name: dimension.title for dimension in table.dimensions}
        records = []
        for name in table.dimension_names:
            is_time = name == "Perioden"
            has_groups = bool(table.groups(name))
            kind: Record = {"@odata.type": "#Cbs.Ccb.Models.TimeDimension"} if is_time else {}
            records.append(
                kind
                | {
                    "Identifier": name,
                    "Title": titles.get(name, name),
                    "Description": "",
                    "MapYear": None,
                    "ReleasePolicy": True if is_time else None,
                    "Kind": "TimeDimension" if is_time else "Dimension",
                    "ContainsGroups": has_groups,
                    "ContainsCodes": True,
                    "CodesUrl": f"{url}/{name}Codes",
                    "GroupsUrl": f"{url}/{name}Groups" if has_groups else None,
                }
            )
        return records

    def properties(self, table: Table, release: Release, url: str) -> Record:
        """The single record of ``Properties``; ``url`` is the address of the table."""
        description = table.description(release)
        released = table.publication.released(release)
        stamp = released.isoformat()
        server = url.split("/odata/")[0]
        return {
            "Identifier": table.identifier,
            "Title": table.title,
            "Description": description,
            "Language": "nl",
            "Authority": AUTHORITY,
            "Modified": stamp,
            "ReleaseDate": stamp,
            "ModificationDate": stamp,
            "TemporalCoverage": table.coverage(release),
            "Catalog": "CBS",
            "Publisher": AUTHORITY,
            "ContactPoint": "infoservice@cbs.nl",
            "Version": f"{released:%Y%m%d%H%M}",
            "VersionNotes": "",
            "VersionReason": "Stopgezet" if table.is_discontinued else "Actualisering",
            "Frequency": "Per maand",
            "Status": "Gediscontinueerd" if table.is_discontinued else "Regulier",
            "ObservationCount": self.store.count(table, release),
            "ObservationsModified": stamp,
            "DatasetType": "Numeric",
            "GraphTypes": "Table,Bar,Line",
            "License": LICENCE,
            "Source": "CBS.",
            "Summary": table.summary,
            "LongDescription": "INHOUDSOPGAVE\r\n\r\n1. Toelichting\r\n\r\n\r\n1. TOELICHTING\r\n\r\n" + description,
            "Provenance": [{"Title": title, "Url": link} for title, link in table.provenance],
            "RelatedSources": [{"Title": title, "Url": link} for title, link in table.related],
            "Distributions": [
                {
                    "Format": kind,
                    "MediaType": kind,
                    "DownloadUrl": link,
                    "AccessUrl": f"https://dataportal.cbs.nl/detail/CBS/{table.identifier}",
                    "Language": "nl",
                }
                for kind, link in (("csv", f"{server}/csv/CBS/nl/{table.identifier}"), ("odata", url))
            ],
        }

    def datasets(self, release: Release, root: str) -> list[Record]:
        """Records of the catalogue."""
        fields = (
            "Identifier", "Description", "Language", "Title", "Modified", "Catalog", "Status", "DatasetType",
            "Frequency", "TemporalCoverage", "ObservationCount", "ObservationsModified", "Version", "VersionReason",
        )  # fmt: skip
        records = []
        for table in TABLES.values():
            own = self.properties(table, release, f"{root}/{table.identifier}")
            records.append({name: own[name] for name in fields})
        for code, title, status in _LISTED_ONLY:
            record: Record = dict.fromkeys(fields)
            record |= {"Identifier": code, "Description": "", "Language": "nl", "Title": title, "Catalog": "CBS"}
            record |= {"Modified": "2025-11-26T06:30:00+01:00", "Status": status, "DatasetType": "Numeric"}
            records.append(record)
        return sorted(records, key=lambda record: str(record["Identifier"]))

    def records(self, table: Table, resource: str, release: Release, url: str) -> list[Record] | None:
        """Records of a resource of a table other than its observations; None when it has no such resource."""
        if resource == "Dimensions":
            return self.dimensions(table, url)
        if resource == "MeasureCodes":
            return self.measure_codes(table)
        if resource == "MeasureGroups" and table.measure_groups:
            return _groups((group.code, group.title) for group in table.measure_groups)
        name, kind = resource[:-5], resource[-5:]
        if kind == "Codes" and name in table.dimension_names:
            return table.codes(name, self.store.economy, release)
        # "Groups" has a letter more than "Codes".
        if resource.endswith("Groups") and resource[:-6] in table.dimension_names and table.groups(resource[:-6]):
            return _groups(table.groups(resource[:-6]))
        return None

    @staticmethod
    def resources(table: Table) -> list[str]:
        """Names in the service document of a table."""
        names = ["Properties", "Dimensions", "MeasureCodes"]
        if table.measure_groups:
            names.append("MeasureGroups")
        names.append("Observations")
        for name in table.dimension_names:
            names.append(f"{name}Codes")
            if table.groups(name):
                names.append(f"{name}Groups")
        return names

    def _release_calendar(self, release: Release) -> list[Record]:
        # That the root lists it is known; its fields are not.
        return [
            {
                "Identifier": table.identifier,
                "Title": table.title,
                "ReleaseDate": table.publication.released(Release(number)).isoformat(),
            }
            for number in (release.number, release.number + 1)
            for table in TABLES.values()
            if not table.is_discontinued
        ]

    # -- protocol ---------------------------------------------------------------------------------------

    def answer(self, path: str, query: Mapping[str, str], release: Release, root: str, request_url: str) -> Reply:
        """Answer a request.

        Parameters
        ----------
        path
            Path after the root.
        query
            Query options, decoded.
        root
            Address of the catalogue, under which the tables are.
        request_url
            Path and query as sent, for the faults to match.

        Raises
        ------
        ODataError, FilterError
            The request is refused.
        """
        parts = [part for part in path.split("/") if part]
        if not parts:
            entries = [_entry(name) for name in ("Datasets", "Catalogs", "ReleaseCalendar")]
            return self._collection(f"{root}/$metadata", entries, {}, request_url)
        if len(parts) == 1 and parts[0] in ("Datasets", "Catalogs", "ReleaseCalendar"):
            if parts[0] == "Datasets":
                records = self.datasets(release, root)
            else:
                records = [dict(CATALOG)] if parts[0] == "Catalogs" else self._release_calendar(release)
            return self._collection(f"{root}/$metadata#{parts[0]}", records, query, request_url)
        if parts[0] not in TABLES:
            raise ODataError(404, f"Dataset '{parts[0]}' not found.")
        table = TABLES[parts[0]]
        url = f"{root}/{table.identifier}"
        if len(parts) == 1:
            entries = [_entry(name) for name in self.resources(table)]
            entries[0]["kind"] = "Singleton"
            return self._collection(f"{url}/$metadata", entries, {}, request_url)
        resource = "/".join(parts[1:])
        if resource == "Properties":
            return _json({"@odata.context": f"{url}/$metadata#Properties"} | self.properties(table, release, url))
        if resource == "Observations" and table.is_in_v4:
            return self._observations(table, query, release, url, request_url)
        if resource == "Observations/$count" and table.is_in_v4:
            return Reply(str(self._count(table, query, release, request_url)).encode(), "text/plain")
        records_found = self.records(table, resource, release, url)
        if records_found is None:
            raise ODataError(404, f"Resource not found for the segment '{parts[1]}'.")
        return self._collection(f"{url}/$metadata#{resource}", records_found, query, request_url)

    def _collection(self, context: str, records: list[Record], query: Mapping[str, str], request_url: str) -> Reply:
        self.faults.spoil_records(request_url, records)
        picked, selected = self._lists.pick(records, query)
        if selected is not None:
            context += f"({query['$select']})"
        content: Record = {"@odata.context": context}
        if query.get("$count") == "true":
            without_page = {name: value for name, value in query.items() if name == "$filter"}
            content["@odata.count"] = len(self._lists.pick(records, without_page)[0])
        return _json(content | {"value": picked})

    # -- observations -----------------------------------------------------------------------------------

    @staticmethod
    def columns(table: Table) -> dict[str, str]:
        """SQL of every property of an observation."""
        return LONG_COLUMNS | {name: identifier(name) for name in table.dimension_names}

    def _where(self, table: Table, query: Mapping[str, str], release: Release) -> Condition:
        if "$filter" not in query:
            return Condition("true")
        condition = read_filter(query["$filter"], self.columns(table))
        return checked(self.connection, self.store.observations(table, release), condition)

    def _count(self, table: Table, query: Mapping[str, str], release: Release, request_url: str) -> int:
        condition = self._where(table, query, release)
        missing: set[str] = set()
        for fault in self.faults.waiting(request_url, {"missing_partners": None}):
            missing |= set(fault.options.get("partners", table.large_partners))
        return int(
            scalar(
                self.connection,
                f"select count(*) from {self.store.observations(table, release)} where {condition.sql} "
                f"and not list_contains(?, {identifier(table.partner)})",
                [*condition.parameters, sorted(missing)],
            )
        )

    def _observations(
        self, table: Table, query: Mapping[str, str], release: Release, url: str, request_url: str
    ) -> Reply:
        columns = self.columns(table)
        selected = selection(query, list(columns))
        first = whole_number(query, "$skip") or 0
        top = whole_number(query, "$top")
        size = self.page_size if top is None else min(top, self.page_size)
        wanted = order(query, columns, '"Id"')
        condition = self._where(table, query, release)
        shown = first
        if first >= size and self.faults.take(request_url, "duplicate_page"):
            # The office's own mistake: the page before once more, and the next link as if nothing happened.
            shown = first - size
        dimensions = ", ".join(identifier(name) for name in table.dimension_names)
        # One row more than the page shows whether there is a next page.
        found = scalar(
            self.connection,
            f"create or replace temp table page as select row_number() over (order by {wanted}) as position, "
            f'"Id", "Measure", "ValueAttribute", {dimensions}, {number_text("Value")} as "Value" from ('
            f"select * from {self.store.observations(table, release)} where {condition.sql} "
            f"order by {wanted} limit ? offset ?)",
            [*condition.parameters, size + 1 + first - shown, shown],
        )
        has_more = int(found or 0) > size + first - shown and (top is None or top > size)
        self.connection.execute("delete from page where position > ?", [size])
        self.faults.spoil_rows(request_url, rows_of(table, self.connection, "page"))

        texts = {
            "Id": '"Id"',
            "Measure": _json_string('"Measure"'),
            "ValueAttribute": _json_string('"ValueAttribute"'),
            "Value": (
                "case when \"Value\" is null then 'null' "
                'when try_cast("Value" as double) is null then \'"\' || "Value" || \'"\' else "Value" end'
            ),
            "StringValue": "'null'",
        } | {name: _json_string(identifier(name)) for name in table.dimension_names}
        names = [name for name in texts if selected is None or name in selected]
        fields = " || ',' || ".join(f"""'"{name}":' || {texts[name]}""" for name in names)
        body = scalar(self.connection, f"select string_agg('{{' || {fields} || '}}', ',' order by position) from page")
        context = f"{url}/$metadata#Observations"
        if selected is not None:
            context += f"({query['$select']})"
        text = f'{{"@odata.context":{json.dumps(context)}'
        if query.get("$count") == "true":
            text += f',"@odata.count":{self._count(table, query, release, request_url)}'
        text += f',"value":[{body or ""}]'
        if has_more:
            options = dict(query) | {"$skip": str(first + size)}
            if top is not None:
                options["$top"] = str(top - size)
            text += f',"@odata.nextLink":{json.dumps(f"{url}/Observations?{encode(options)}")}'
        return Reply((text + "}").encode(), _MEDIA_TYPE)


def rows_of(table: Table, connection: duckdb.DuckDBPyConnection, name: str) -> Rows:
    """Describe a table of long rows for the data faults."""
    return Rows(
        connection=connection,
        table=name,
        partner=identifier(table.partner),
        indicator='"Measure"',
        value='"Value"',
        total=table.total,
        aggregates=table.aggregates,
        large_partners=table.large_partners,
        unknown_partner=table.unknown_partner,
        main_indicators=table.main_measures,
    )


def number_text(column: str) -> str:
    """SQL that writes a number with no more decimals than it has."""
    name = identifier(column)
    return (
        f"case when {name} = trunc({name}) then cast(cast({name} as bigint) as varchar) "
        f"else cast({name} as varchar) end"
    )


def _json_string(sql: str) -> str:
    return f"""'"' || {sql} || '"'"""


def _groups(groups: Any) -> list[Record]:
    return [
        {"Id": code, "Index": index, "Title": title, "Description": "", "ParentId": None}
        for index, (code, title) in enumerate(groups)
    ]


def _entry(name: str) -> Record:
    return {"name": name, "kind": "EntitySet", "url": name}


def _json(content: Record) -> Reply:
    return Reply(json_text(content).encode(), _MEDIA_TYPE)

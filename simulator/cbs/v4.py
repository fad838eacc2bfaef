"""OData v4 (``datasets.cbs.nl``), byte shapes as recorded from the real host."""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb

from common.sql import identifier
from simulator.cbs.metadata_v4 import CATALOG, V4Metadata
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
from simulator.cbs.table import Table
from simulator.cbs.tables import TABLES
from simulator.faults.book import FaultBook
from simulator.faults.registry import Rows
from simulator.odata_filter import Condition, read_filter
from simulator.release import Release
from simulator.reply import Reply

_MEDIA_TYPE = "application/json; odata.metadata=minimal; odata.streaming=true"


class V4Service:
    """The OData v4 service.

    Parameters
    ----------
    store
        Source of the tables.
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
        self.metadata = V4Metadata(store)
        self._lists = RecordLists(self.connection, version=4)

    # -- protocol ---------------------------------------------------------------------------------------

    def answer(self, path: str, query: Mapping[str, str], release: Release, root: str, request_url: str) -> Reply:
        """Return the reply to a request.

        Parameters
        ----------
        path
            Path after the root.
        query
            Query options, decoded.
        root
            Address of the catalogue, and start of that of the tables.
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
                records = self.metadata.datasets(release, root)
            else:
                records = [dict(CATALOG)] if parts[0] == "Catalogs" else self.metadata.release_calendar(release)
            return self._collection(f"{root}/$metadata#{parts[0]}", records, query, request_url)
        if parts[0] not in TABLES:
            raise ODataError(404, f"Dataset '{parts[0]}' not found.")
        table = TABLES[parts[0]]
        url = f"{root}/{table.identifier}"
        if len(parts) == 1:
            entries = [_entry(name) for name in self.metadata.resources(table)]
            entries[0]["kind"] = "Singleton"
            return self._collection(f"{url}/$metadata", entries, {}, request_url)
        resource = "/".join(parts[1:])
        if resource == "Properties":
            return _json(
                {"@odata.context": f"{url}/$metadata#Properties"} | self.metadata.properties(table, release, url)
            )
        if resource == "Observations" and table.is_in_v4:
            return self._observations(table, query, release, url, request_url)
        if resource == "Observations/$count" and table.is_in_v4:
            return Reply(str(self._count(table, query, release, request_url)).encode(), "text/plain")
        records_found = self.metadata.records(table, resource, release, url)
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
        """Return the SQL of every property of an observation."""
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
            # The previous page is served again, with a next link as usual.
            shown = first - size
        dimensions = ", ".join(identifier(name) for name in table.dimension_names)
        # One row beyond the page shows whether there is a next page.
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
    """Return the description of a table of long rows for the data faults."""
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
    """Return the SQL of a number as text, without trailing zeros."""
    name = identifier(column)
    return (
        f"case when {name} = trunc({name}) then cast(cast({name} as bigint) as varchar) "
        f"else cast({name} as varchar) end"
    )


def _json_string(sql: str) -> str:
    return f"""'"' || {sql} || '"'"""


def _entry(name: str) -> Record:
    return {"name": name, "kind": "EntitySet", "url": name}


def _json(content: Record) -> Reply:
    return Reply(json_text(content).encode(), _MEDIA_TYPE)

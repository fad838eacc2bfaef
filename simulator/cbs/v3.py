"""OData v3 (``opendata.cbs.nl``): the API, the feed and the catalogue, with wide rows and padded keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

import duckdb

from common.sql import identifier, quote
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
from simulator.cbs.store import Store
from simulator.cbs.tables import TABLES, Table
from simulator.economy import Release
from simulator.faults.book import FaultBook
from simulator.faults.registry import Rows
from simulator.odata_filter import Condition, read_filter
from simulator.reply import Reply

API, FEED, CATALOG = "/ODataApi", "/ODataFeed", "/ODataCatalog"
_DATA_SETS = ("TypedDataSet", "UntypedDataSet")
# Width of a value in the untyped set: 8 was seen for indices; large amounts need more.
_WIDTH, _WIDE = 8, 14
# A longer name of a column is cut, position and all.
_LONGEST_COLUMN = 40
_DATA_NAMESPACE = "http://schemas.microsoft.com/ado/2007/08/dataservices"
_META_NAMESPACE = f"{_DATA_NAMESPACE}/metadata"


class V3Service:
    """Answers in OData v3.

    Parameters
    ----------
    store
        Where the tables are.
    faults
        Faults in force.
    page_size
        Most rows in one reply of the feed, and in a reply of the API, which refuses to give more.
    """

    def __init__(self, store: Store, faults: FaultBook, page_size: int = 10_000) -> None:
        self.store = store
        self.connection: duckdb.DuckDBPyConnection = store.connection
        self.faults = faults
        self.page_size = page_size
        self._lists = RecordLists(self.connection, version=3)

    # -- metadata ---------------------------------------------------------------------------------------

    def width(self, table: Table, dimension: str, release: Release) -> int:
        """Width of the keys of a dimension: blanks fill it up, here and in the data."""
        longest = max(len(key) for key in self.store.keys(table, dimension, release))
        return max(longest, table.key_widths.get(dimension, 0))

    @staticmethod
    def table_info(table: Table, release: Release) -> Record:
        """The record of ``TableInfos``."""
        stamp = f"{table.publication.released(release):%Y-%m-%dT%H:%M:%S}"
        names = ", ".join((*table.dimension_names, *(column(measure.column) for measure in table.measures)))
        return {
            "ID": 0,
            "Title": table.title,
            "ShortTitle": table.short_title,
            "Identifier": table.identifier,
            "Summary": table.summary,
            "Modified": stamp,
            "ReasonDelivery": "Stopgezet" if table.is_discontinued else "Actualisering",
            "ExplanatoryText": "",
            "Language": "nl",
            "Catalog": "CBS",
            "Frequency": "Permaand",
            "Period": table.coverage(release),
            "ShortDescription": f"\n{table.description(release)}",
            "Description": f"INHOUDSOPGAVE\r\n\r\n1. Toelichting\r\n\r\n{table.description(release)}",
            "DefaultPresentation": f"graphtype=Table&r=Perioden&k=Topics&t={table.dimension_names[0]}",
            "DefaultSelection": f"$select={names}",
            "GraphTypes": "Table,Bar,Line",
            "OutputStatus": "Gediscontinueerd" if table.is_discontinued else "Regulier",
            "Source": "CBS.",
            "MetaDataModified": stamp,
            "SearchPriority": "2",
        }

    @staticmethod
    def data_properties(table: Table) -> list[Record]:
        """Records of ``DataProperties``: dimensions, groups of topics and topics; ``ID`` is ``Index`` of v4."""
        empty: Record = dict.fromkeys(("ReleasePolicy", "Datatype", "Unit", "Decimals", "Default"))
        titles = {dimension.name: dimension.title for dimension in table.dimensions}
        records = []
        for position, name in enumerate(table.dimension_names):
            kind = "TimeDimension" if name == "Perioden" else "Dimension"
            head = _property(kind, position, position, None, name, titles.get(name, name))
            records.append(head | empty | {"ReleasePolicy": True if name == "Perioden" else None})
        slots = {group.code: group.slot for group in table.measure_groups}
        for group in table.measure_groups:
            records.append(_property("TopicGroup", group.slot, None, None, "", group.title) | empty)
        for number, measure in enumerate(table.measures):
            position = len(table.dimension_names) + number
            parent = slots.get(measure.group or "")
            head = _property("Topic", measure.slot, position, parent, column(measure.column), measure.title)
            records.append(
                head
                | empty
                | {
                    "Description": measure.text,
                    "Datatype": measure.data_type,
                    "Unit": measure.unit,
                    "Decimals": measure.decimals,
                    "Default": "Missing",
                }
            )
        return sorted(records, key=lambda record: int(record["ID"]))

    @staticmethod
    def category_groups(table: Table) -> list[Record]:
        """Records of ``CategoryGroups``; the periods have none."""
        return [
            {"ID": int(code), "DimensionKey": dimension.name, "Title": title, "Description": "", "ParentID": None}
            for dimension in table.dimensions
            for code, title in dimension.groups
        ]

    def dimension(self, table: Table, name: str, release: Release) -> list[Record]:
        """Records of a dimension, keys padded."""
        width = self.width(table, name, release)
        records = []
        for code in table.codes(name, self.store.economy, release):
            record = {
                "Key": code["Identifier"].ljust(width),
                "Title": code["Title"],
                "Description": code["Description"],
            }
            if name == "Perioden":
                record["Status"] = code["Status"]
            else:
                group = code["DimensionGroupId"]
                record["CategoryGroupID"] = None if group is None else int(group)
            records.append(record)
        return records

    def tables(self, release: Release, base_url: str) -> list[Record]:
        """Records of the catalogue. The fields that `table_info` does not have are from the memory of clients."""
        records = []
        for number, table in enumerate(TABLES.values()):
            info = self.table_info(table, release)
            grid = 1
            for name in table.dimension_names:
                grid *= len(table.codes(name, self.store.economy, release))
            records.append(
                {
                    "Updated": info["Modified"],
                    **info,
                    "ID": number,
                    "SummaryAndLinks": info["Summary"],
                    "ApiUrl": f"{base_url}{API}/OData/{table.identifier}",
                    "FeedUrl": f"{base_url}{FEED}/OData/{table.identifier}",
                    "RecordCount": grid,
                    "ColumnCount": len(table.dimension_names) + len(table.measures),
                }
            )
        return records

    def _records(self, table: Table, resource: str, release: Release) -> list[Record] | None:
        if resource == "TableInfos":
            return [self.table_info(table, release)]
        if resource == "DataProperties":
            return self.data_properties(table)
        if resource == "CategoryGroups":
            return self.category_groups(table)
        return self.dimension(table, resource, release) if resource in table.dimension_names else None

    # -- protocol ---------------------------------------------------------------------------------------

    def answer(self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str) -> Reply:
        """Answer a request.

        Parameters
        ----------
        path
            Whole path.
        query
            Query options, decoded.
        base_url
            Address of the server.
        request_url
            Path and query as sent, for the faults to match.

        Raises
        ------
        ODataError, FilterError
            The request is refused.
        """
        parts = [part for part in path.split("/") if part]
        service = f"/{parts[0]}"
        # What the feed and the catalogue give when they are not asked for a format is Atom.
        as_json = query.get("$format", "json" if service == API else "atom") == "json"
        if service == CATALOG:
            root = base_url + CATALOG
            if len(parts) == 1:
                return _service_document(root, ["Tables"], as_json)
            if parts[1:] != ["Tables"]:
                raise ODataError(404, f"Resource not found for the segment '{parts[1]}'.")
            return self._collection(root, "Tables", self.tables(release, base_url), query, as_json, request_url)
        if len(parts) < 3 or parts[1] not in ("odata", "OData") or parts[2] not in TABLES:
            raise ODataError(404, "Not Found")
        table = TABLES[parts[2]]
        root = f"{base_url}{service}/OData/{table.identifier}"
        resource = "/".join(parts[3:])
        if not resource:
            names = ["TableInfos", "UntypedDataSet", "TypedDataSet", "DataProperties", "CategoryGroups"]
            return _service_document(root, [*names, *table.dimension_names], as_json)
        for name in _DATA_SETS:
            if resource == name:
                return self._data(table, name, query, release, root, as_json, request_url)
            if resource == f"{name}/$count":
                return Reply(str(self._count(table, query, release)).encode(), "text/plain")
        records = self._records(table, resource, release)
        if records is None:
            raise ODataError(404, f"Resource not found for the segment '{parts[3]}'.")
        return self._collection(root, resource, records, query, as_json, request_url)

    def _collection(
        self,
        root: str,
        resource: str,
        records: list[Record],
        query: Mapping[str, str],
        as_json: bool,
        request_url: str,
    ) -> Reply:
        self.faults.spoil_records(request_url, records)
        picked, _ = self._lists.pick(records, query)
        if as_json:
            return _json({"odata.metadata": _metadata_url(root, resource), "value": picked})
        entries = [_entry(resource, "".join(_element(*pair) for pair in record.items())) for record in picked]
        return _atom(root, resource, "".join(entries))

    # -- data -------------------------------------------------------------------------------------------

    def _columns(self, table: Table, release: Release) -> dict[str, str]:
        """SQL of every property of a row; keys are compared with their blanks."""
        keys = {
            name: _padded("rpad", identifier(name), self.width(table, name, release)) for name in table.dimension_names
        }
        return {"ID": '"ID"'} | keys | {column(m.column): identifier(m.column) for m in table.measures}

    def _where(self, table: Table, query: Mapping[str, str], release: Release) -> Condition:
        if "$filter" not in query:
            return Condition("true")
        condition = read_filter(query["$filter"], self._columns(table, release), version=3)
        return checked(self.connection, self.store.wide(table, release), condition)

    def _count(self, table: Table, query: Mapping[str, str], release: Release) -> int:
        condition = self._where(table, query, release)
        statement = f"select count(*) from {self.store.wide(table, release)} where {condition.sql}"
        return int(scalar(self.connection, statement, list(condition.parameters)))

    def _data(
        self,
        table: Table,
        resource: str,
        query: Mapping[str, str],
        release: Release,
        root: str,
        as_json: bool,
        request_url: str,
    ) -> Reply:
        columns = self._columns(table, release)
        selected = selection(query, list(columns)) or list(columns)
        first = whole_number(query, "$skip") or 0
        top = whole_number(query, "$top")
        size = self.page_size if top is None else min(top, self.page_size)
        wanted = order(query, columns, '"ID"')
        condition = self._where(table, query, release)
        is_feed = FEED in root
        shown = first
        if is_feed and first >= size and self.faults.take(request_url, "duplicate_page"):
            # The office's own mistake: the page before once more, and the next link as if nothing happened.
            shown = first - size
        names = {column(measure.column): measure for measure in table.measures}
        texts = ", ".join(
            f"{_value_text(identifier(m.column), m.decimals)} as {identifier(m.column)}" for m in table.measures
        )
        dimensions = ", ".join(identifier(name) for name in table.dimension_names)
        found = scalar(
            self.connection,
            f"create or replace temp table wide_page as select row_number() over (order by {wanted}) as position, "
            f'"ID", {dimensions}, {quote(table.main_measures[0])} as measure, {texts} from ('
            f"select * from {self.store.wide(table, release)} where {condition.sql} "
            f"order by {wanted} limit ? offset ?)",
            [*condition.parameters, size + 1 + first - shown, shown],
        )
        has_more = int(found or 0) > size + first - shown and (top is None or top > size)
        if has_more and not is_feed:
            # That the API refuses is known. The status and the words were not seen: both are unverified.
            raise ODataError(
                400, f"The query results in more than {self.page_size} rows; use the feed or a narrower filter."
            )
        self.connection.execute("delete from wide_page where position > ?", [size])
        self.faults.spoil_rows(request_url, self._rows(table))

        is_typed = resource == "TypedDataSet"
        written = []
        for name in columns:
            if name not in selected:
                continue
            measure = names.get(name)
            if name == "ID":
                sql, kind = '"ID"', "Edm.Int32"
            elif measure is None:
                sql, kind = columns[name], "Edm.String"
            else:
                sql, kind = identifier(measure.column), "Edm.Double" if measure.decimals else "Edm.Int64"
                if not is_typed:
                    width = _WIDE if "euro" in measure.unit or measure.unit == "kg" else _WIDTH
                    sql, kind = _padded("lpad", f"coalesce({sql}, '.')", width), "Edm.String"
            write = _json_field if as_json else _atom_field
            written.append(write(name, sql, kind))
        rows = " || ',' || ".join(written) if as_json else " || ".join(written)
        pattern = "'{' || " + rows + " || '}'" if as_json else _entry_sql(resource, rows)
        body = scalar(
            self.connection,
            f"select string_agg({pattern}, '{',' if as_json else ''}' order by position) from wide_page",
        )
        link = None
        if has_more:
            options = dict(query) | {"$skip": str(first + size)}
            if top is not None:
                options["$top"] = str(top - size)
            link = f"{root.replace('/OData/', '/odata/')}/{resource}?{encode(options)}"
        if not as_json:
            return _atom(root, resource, body or "", link)
        text = f'{{"odata.metadata":{json_text(_metadata_url(root, resource))},"value":[{body or ""}]'
        if link is not None:
            text += f',"odata.nextLink":{json_text(link)}'
        return Reply((text + "}").encode(), "application/json; charset=utf-8")

    def _rows(self, table: Table) -> Rows:
        """Describe the page for the data faults: a wide row counts as one of its main measure."""
        main = next(measure for measure in table.measures if measure.code == table.main_measures[0])
        return Rows(
            connection=self.connection,
            table="wide_page",
            partner=identifier(table.partner),
            indicator="measure",
            value=identifier(main.column),
            total=table.total,
            aggregates=table.aggregates,
            large_partners=table.large_partners,
            unknown_partner=table.unknown_partner,
            main_indicators=table.main_measures,
        )


def column(name: str) -> str:
    """Cut the name of a column as the office does."""
    return name[:_LONGEST_COLUMN]


def _property(kind: str, number: int, position: int | None, parent: int | None, key: str, title: str) -> Record:
    return {
        "odata.type": f"Cbs.OData.{kind}",
        "ID": number,
        "Position": position,
        "ParentID": parent,
        "Type": kind,
        "Key": key,
        "Title": title,
        "Description": "",
    }


def _padded(function: str, sql: str, width: int) -> str:
    """SQL that fills a text up with blanks. A longer one, which a fault can have made, stays whole."""
    return f"{function}({sql}, greatest({width}, length({sql}))::int, ' ')"


def _value_text(sql: str, decimals: int) -> str:
    return f"format('{{:.{decimals}f}}', {sql})" if decimals else f"cast({sql} as varchar)"


def _json_field(name: str, sql: str, kind: str) -> str:
    head = quote(f'"{name}":')
    if kind == "Edm.String":
        return f"""{head} || '"' || {sql} || '"'"""
    if name == "ID":
        return f"{head} || {sql}"
    # A fault can put a word in the place of a number.
    text = (
        f"case when {sql} is null then 'null' when try_cast({sql} as double) is null "
        f"""then '"' || {sql} || '"' else {sql} end"""
    )
    return f"{head} || {text}"


def _atom_field(name: str, sql: str, kind: str) -> str:
    if kind == "Edm.String":
        # Blanks at either end count, and XML would let a reader drop them.
        return f"""'<d:{name} xml:space="preserve">' || {sql} || '</d:{name}>'"""
    full = f"""'<d:{name} m:type="{kind}">' || {sql} || '</d:{name}>'"""
    return f"""coalesce({full}, '<d:{name} m:type="{kind}" m:null="true" />')"""


def _entry_sql(resource: str, fields: str) -> str:
    before, after = _entry(resource, "\0").split("\0")
    return f"{quote(before)} || {fields} || {quote(after)}"


def _entry(resource: str, properties: str) -> str:
    return (
        f'<entry><category term="Cbs.OData.WebAPI.{resource}" scheme="{_DATA_NAMESPACE}/scheme" />'
        "<id /><title /><updated>1970-01-01T00:00:00Z</updated><author><name /></author>"
        f'<content type="application/xml"><m:properties>{properties}</m:properties></content></entry>'
    )


def _element(name: str, value: Any) -> str:
    name = name.replace("odata.type", "odata_type")
    if value is None:
        return f'<d:{name} m:null="true" />'
    if isinstance(value, bool):
        return f'<d:{name} m:type="Edm.Boolean">{str(value).lower()}</d:{name}>'
    if isinstance(value, int):
        return f'<d:{name} m:type="Edm.Int32">{value}</d:{name}>'
    return f'<d:{name} xml:space="preserve">{escape(value)}</d:{name}>'


def _metadata_url(root: str, resource: str) -> str:
    kind = resource if root.endswith(CATALOG) else f"Cbs.OData.WebAPI.{resource}"
    return f"{root}/$metadata#{kind}"


def _atom(root: str, resource: str, entries: str, link: str | None = None) -> Reply:
    following = "" if link is None else f'<link rel="next" href="{escape(link, {chr(34): "&quot;"})}" />'
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<feed xml:base="{root}" xmlns="http://www.w3.org/2005/Atom" xmlns:d="{_DATA_NAMESPACE}" '
        f'xmlns:m="{_META_NAMESPACE}"><id>{root}/{resource}</id><title type="text">{resource}</title>'
        f"<updated>1970-01-01T00:00:00Z</updated>{entries}{following}</feed>"
    )
    return Reply(text.encode(), "application/atom+xml; charset=utf-8")


def _service_document(root: str, names: list[str], as_json: bool) -> Reply:
    if as_json:
        entries = [{"name": name, "url": f"{root}/{name}"} for name in names]
        return _json({"odata.metadata": f"{root}/$metadata", "value": entries})
    collections = "".join(f'<collection href="{name}"><atom:title>{name}</atom:title></collection>' for name in names)
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<service xml:base="{root}" xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">'
        f"<workspace><atom:title>Default</atom:title>{collections}</workspace></service>"
    )
    return Reply(text.encode(), "application/atomsvc+xml; charset=utf-8")


def _json(content: Record) -> Reply:
    return Reply(json_text(content).encode(), "application/json; charset=utf-8")


def refuse(status: int, message: str) -> Reply:
    """Write an error as OData v3 does in JSON. The body of the real host was not seen: this form is unverified."""
    body = {"odata.error": {"code": "", "message": {"lang": "en-US", "value": message}}}
    return Reply(json_text(body).encode(), "application/json; charset=utf-8", status)

"""OData v3 (``opendata.cbs.nl``): the API, the feed and the catalogue, with wide rows and padded keys."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from common.sql import identifier, quote
from simulator.cbs import atom
from simulator.cbs.metadata_v3 import API, CATALOG, FEED, V3Metadata, column
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
from simulator.cbs.table import Table
from simulator.cbs.tables import TABLES
from simulator.faults.book import FaultBook
from simulator.faults.registry import Rows
from simulator.odata_filter import Condition, read_filter
from simulator.release import Release
from simulator.reply import Reply

_DATA_SETS = ("TypedDataSet", "UntypedDataSet")
# Width of a value in the untyped set: 8 was seen for indices; large amounts are wider.
_WIDTH, _WIDE = 8, 14


class V3Service:
    """The OData v3 service.

    Parameters
    ----------
    store
        Source of the tables.
    faults
        Faults in force.
    page_size
        Most rows in one reply. The feed continues on a next page; the API refuses a larger result.
    """

    def __init__(self, store: Store, faults: FaultBook, page_size: int = 10_000) -> None:
        self.store = store
        self.connection: duckdb.DuckDBPyConnection = store.connection
        self.faults = faults
        self.page_size = page_size
        self.metadata = V3Metadata(store)
        self._lists = RecordLists(self.connection, version=3)

    # -- protocol ---------------------------------------------------------------------------------------

    def answer(self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str) -> Reply:
        """Return the reply to a request.

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
        # The default format of the feed and of the catalogue is Atom.
        as_json = query.get("$format", "json" if service == API else "atom") == "json"
        if service == CATALOG:
            root = base_url + CATALOG
            if len(parts) == 1:
                return _service_document(root, ["Tables"], as_json)
            if parts[1:] != ["Tables"]:
                raise ODataError(404, f"Resource not found for the segment '{parts[1]}'.")
            return self._collection(
                root, "Tables", self.metadata.tables(release, base_url), query, as_json, request_url
            )
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
        records = self.metadata.records(table, resource, release)
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
        return atom.feed(root, resource, "".join(atom.entry(resource, record) for record in picked))

    # -- data -------------------------------------------------------------------------------------------

    def _columns(self, table: Table, release: Release) -> dict[str, str]:
        """Return the SQL of every property of a row; keys are compared with their blanks."""
        keys = {
            name: _padded("rpad", identifier(name), self.metadata.width(table, name, release))
            for name in table.dimension_names
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
            # The previous page is served again, with a next link as usual.
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
            # The API is known to refuse. Status and text were not seen and are unverified.
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
            write = _json_field if as_json else atom.field_sql
            written.append(write(name, sql, kind))
        rows = " || ',' || ".join(written) if as_json else " || ".join(written)
        pattern = "'{' || " + rows + " || '}'" if as_json else atom.entry_sql(resource, rows)
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
            return atom.feed(root, resource, body or "", link)
        text = f'{{"odata.metadata":{json_text(_metadata_url(root, resource))},"value":[{body or ""}]'
        if link is not None:
            text += f',"odata.nextLink":{json_text(link)}'
        return Reply((text + "}").encode(), "application/json; charset=utf-8")

    def _rows(self, table: Table) -> Rows:
        """Return the description of the page for the data faults: a wide row counts as a row of its main measure."""
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


def _padded(function: str, sql: str, width: int) -> str:
    """Return the SQL of a text padded with blanks. A longer text, which a fault can produce, is not cut."""
    return f"{function}({sql}, greatest({width}, length({sql}))::int, ' ')"


def _value_text(sql: str, decimals: int) -> str:
    return f"format('{{:.{decimals}f}}', {sql})" if decimals else f"cast({sql} as varchar)"


def _json_field(name: str, sql: str, kind: str) -> str:
    head = quote(f'"{name}":')
    if kind == "Edm.String":
        return f"""{head} || '"' || {sql} || '"'"""
    if name == "ID":
        return f"{head} || {sql}"
    # A fault can replace a number with text.
    text = (
        f"case when {sql} is null then 'null' when try_cast({sql} as double) is null "
        f"""then '"' || {sql} || '"' else {sql} end"""
    )
    return f"{head} || {text}"


def _metadata_url(root: str, resource: str) -> str:
    kind = resource if root.endswith(CATALOG) else f"Cbs.OData.WebAPI.{resource}"
    return f"{root}/$metadata#{kind}"


def _service_document(root: str, names: list[str], as_json: bool) -> Reply:
    if not as_json:
        return atom.service_document(root, names)
    entries = [{"name": name, "url": f"{root}/{name}"} for name in names]
    return _json({"odata.metadata": f"{root}/$metadata", "value": entries})


def _json(content: Record) -> Reply:
    return Reply(json_text(content).encode(), "application/json; charset=utf-8")


def refuse(status: int, message: str) -> Reply:
    """Return an error in the JSON of OData v3. The body of the real host was not seen: this form is unverified."""
    body = {"odata.error": {"code": "", "message": {"lang": "en-US", "value": message}}}
    return Reply(json_text(body).encode(), "application/json; charset=utf-8", status)

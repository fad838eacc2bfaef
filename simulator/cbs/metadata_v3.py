"""Metadata of OData v3: the catalogue, and the records of a table."""

from __future__ import annotations

from simulator.cbs.odata import Record
from simulator.cbs.store import Store
from simulator.cbs.table import Table
from simulator.cbs.tables import TABLES
from simulator.release import Release

API, FEED, CATALOG = "/ODataApi", "/ODataFeed", "/ODataCatalog"
# A longer column name is cut, its number included.
_LONGEST_COLUMN = 40


class V3Metadata:
    """Records that describe the tables.

    Parameters
    ----------
    store
        Source of the code lists.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def width(self, table: Table, dimension: str, release: Release) -> int:
        """Return the width to which the keys of a dimension are padded with blanks, here and in the data."""
        longest = max(len(key) for key in self.store.keys(table, dimension, release))
        return max(longest, table.key_widths.get(dimension, 0))

    @staticmethod
    def table_info(table: Table, release: Release) -> Record:
        """Return the record of ``TableInfos``."""
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
        """Return the records of ``DataProperties``: dimensions, groups of topics, topics; ``ID`` is ``Index`` of v4."""
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
        """Return the records of ``CategoryGroups``; the periods have none."""
        return [
            {"ID": int(code), "DimensionKey": dimension.name, "Title": title, "Description": "", "ParentID": None}
            for dimension in table.dimensions
            for code, title in dimension.groups
        ]

    def dimension(self, table: Table, name: str, release: Release) -> list[Record]:
        """Return the records of a dimension, keys padded."""
        width = self.width(table, name, release)
        records = []
        for code in table.codes(name, self.store.partners, release):
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
        """Return the records of the catalogue; the fields missing from `table_info` are from the memory of clients."""
        records = []
        for number, table in enumerate(TABLES.values()):
            info = self.table_info(table, release)
            grid = 1
            for name in table.dimension_names:
                grid *= len(table.codes(name, self.store.partners, release))
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

    def records(self, table: Table, resource: str, release: Release) -> list[Record] | None:
        """Return the records of a resource other than the data; None if there is no such resource."""
        if resource == "TableInfos":
            return [self.table_info(table, release)]
        if resource == "DataProperties":
            return self.data_properties(table)
        if resource == "CategoryGroups":
            return self.category_groups(table)
        return self.dimension(table, resource, release) if resource in table.dimension_names else None


def column(name: str) -> str:
    """Return the name of a column, cut as CBS does."""
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

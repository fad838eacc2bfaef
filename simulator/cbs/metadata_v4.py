"""Metadata of OData v4: the catalogue, the release calendar, and the records of a table."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.cbs.odata import Record
from simulator.cbs.store import Store
from simulator.cbs.table import Table
from simulator.cbs.tables import TABLES
from simulator.release import Release

AUTHORITY = "https://standaarden.overheid.nl/owms/terms/Centraal_Bureau_voor_de_Statistiek"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"

#: The only record of ``Catalogs``, as in the bulk file of the same name.
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

# In the catalogue only, so that a search has a choice.
_LISTED_ONLY = (("80590ned", "Arbeidsdeelname en werkloosheid per maand ", "Regulier"),)


class V4Metadata:
    """Records that describe the tables.

    Parameters
    ----------
    store
        Source of the code lists and of the number of observations.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @staticmethod
    def measure_codes(table: Table) -> list[Record]:
        """Return the records of ``MeasureCodes``."""
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
        """Return the records of ``Dimensions``; ``url`` is the address of the table."""
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
        """Return the only record of ``Properties``; ``url`` is the address of the table."""
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
        """Return the records of the catalogue."""
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
        """Return the records of a resource other than the observations; None if there is no such resource."""
        if resource == "Dimensions":
            return self.dimensions(table, url)
        if resource == "MeasureCodes":
            return self.measure_codes(table)
        if resource == "MeasureGroups" and table.measure_groups:
            return _groups((group.code, group.title) for group in table.measure_groups)
        name, kind = resource[:-5], resource[-5:]
        if kind == "Codes" and name in table.dimension_names:
            return table.codes(name, self.store.partners, release)
        # "Groups" is one letter longer than "Codes".
        if resource.endswith("Groups") and resource[:-6] in table.dimension_names and table.groups(resource[:-6]):
            return _groups(table.groups(resource[:-6]))
        return None

    @staticmethod
    def resources(table: Table) -> list[str]:
        """Return the names in the service document of a table."""
        names = ["Properties", "Dimensions", "MeasureCodes"]
        if table.measure_groups:
            names.append("MeasureGroups")
        names.append("Observations")
        for name in table.dimension_names:
            names.append(f"{name}Codes")
            if table.groups(name):
                names.append(f"{name}Groups")
        return names

    @staticmethod
    def release_calendar(release: Release) -> list[Record]:
        """Return the records of ``ReleaseCalendar``. The root is known to list it; its fields are unverified."""
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


def _groups(groups: Iterable[tuple[str, str]]) -> list[Record]:
    return [
        {"Id": code, "Index": index, "Title": title, "Description": "", "ParentId": None}
        for index, (code, title) in enumerate(groups)
    ]

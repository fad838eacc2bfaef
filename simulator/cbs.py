"""CBS OData v4 (``datasets.cbs.nl``) for table 85429NED, byte shapes as recorded from the real host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import duckdb
import numpy as np

from simulator.economy import (
    CBS_SECTION_CODES,
    EU_MEMBERS,
    INTRA_UNALLOCATED,
    START_YEAR,
    Economy,
    Floats,
    Release,
)
from simulator.faults import FaultBook, Reply, Rows
from simulator.geonom import LAND_ENTRIES
from simulator.odata_filter import Condition, FilterError, read_filter

TABLE = "85429NED"
ROOT = "/odata/v1/CBS"

MEASURES = ("D001607", "M007895", "D001636", "M001648", "M001632", "M007897", "M001608", "M001609")
LAND_TOTAL, SECTION_TOTAL = "T001047", "T001082"
EU_LAND, NOT_EU_LAND = "L007935", "L006998"

# Germany, Belgium, France, United Kingdom, United States.
LARGE_LANDS = ("L008592", "L008552", "L008605", "L008776", "L008778")

_REGION_GROUPS = {
    "L007933": "6", "L008519": "7", "L008520": "8", "L008524": "9", "L008531": "10", "L008527": "11",
}  # fmt: skip
_AGGREGATE_GROUPS = {LAND_TOTAL: "1", EU_LAND: "4", NOT_EU_LAND: "4"} | dict.fromkeys(_REGION_GROUPS, "2")
_AGGREGATE_DESCRIPTIONS = {
    EU_LAND: (
        "Land (datum van toetreding):\r\nKroatië (1 juli 2013)\r\nBulgarije en Roemenië (1 januari 2007)\r\n"
        "\r\nLand (datum van uittreding):\r\nVerenigd Koninkrijk (1 februari 2020)\r\n"
    ),
    NOT_EU_LAND: "Alle landen die niet tot de Europese Unie (EU) behoren.",
}

_SECTION_TITLES = (
    "0 Voeding en levende dieren",
    "1 Dranken en tabak",
    "2 Grondstoffen, niet eetbaar, behalve brandstoffen",
    "3 Minerale brandstoffen, smeermiddelen en dergelijke producten",
    "4 Dierlijke en plantaardige oliën en vetten",
    "5 Chemische producten",
    "6 Fabricaten hoofdzakelijk gerangschikt volgens grondstoffen",
    "7 Machines en vervoermaterieel",
    "8 Diverse gefabriceerde goederen",
    "9 Niet afzonderlijk genoemde goederen",
)
_LONGEST_TITLE = 40

_MONTHS = (
    "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober",
    "november", "december",
)  # fmt: skip

_TRANSIT = (
    "\r\n\r\nLet wel: het gaat hier om zogenaamde quasi-doorvoer, waarbij goederen Nederland niet "
    "uitsluitend doorkruisen om transport technische redenen. In de meeste gevallen zijn ze "
    "alleen in Nederland voor douaneaangifte."
)
_CHANGE = "Procentuele verandering vergeleken met dezelfde periode een jaar eerder."

# Identifier, index, title, description, group.
_MEASURE_TEXTS = (
    ("D001607", 4, "Totale invoerwaarde",
     "De totale waarde van de goederen die vanuit het buitenland naar Nederland komen.", "M007894"),
    ("M007895", 5, "Doorvoerwaarde inkomend",
     "Het deel van de invoerwaarde dat bestaat uit goederen die buitenlandse bedrijven en personen in "
     "(vrijwel) onbewerkte staat weer uitvoeren vanuit Nederland naar het buitenland." + _TRANSIT, "M007894"),
    ("D001636", 7, "Totale uitvoerwaarde",
     "De totale waarde van de goederen die vanuit Nederland naar het buitenland gaan.", "M007896"),
    ("M001648", 8, "Wederuitvoerwaarde",
     "Het deel van de uitvoerwaarde dat bestaat uit oorspronkelijk ingevoerde goederen die Nederlandse "
     "bedrijven en personen in (vrijwel) onbewerkte staat weer uitvoeren vanuit Nederland naar het "
     "buitenland.",
     "M007896"),
    ("M001632", 9, "Uitvoerwaarde product NL",
     "Het deel van de uitvoerwaarde dat bestaat uit in Nederland gemaakte goederen.", "M007896"),
    ("M007897", 10, "Doorvoerwaarde uitgaand",
     "Het deel van de uitvoerwaarde dat bestaat uit oorspronkelijk ingevoerde goederen die buitenlandse "
     "bedrijven en personen in (vrijwel) onbewerkte staat weer uitvoeren vanuit Nederland naar het "
     "buitenland." + _TRANSIT,
     "M007896"),
    ("M001608", 12, "Jaarmutatie invoerwaarde", _CHANGE, "M007898"),
    ("M001609", 13, "Jaarmutatie uitvoerwaarde", _CHANGE, "M007898"),
)  # fmt: skip

_TITLE = "Internationale goederenhandel; grensoverschrijding, kerncijfers"
_AUTHORITY = "https://standaarden.overheid.nl/owms/terms/Centraal_Bureau_voor_de_Statistiek"
_SUMMARY = (
    "In-, (weder)uitvoer- en doorvoerwaarde goederen (grensoverschrijding); \nSITC (1 digit) en landen. "
    "High Value Dataset - Statistiek"
)

_DESCRIPTION = (
    "In deze tabel worden de Nederlandse in-, (weder)uitvoer- en inkomende en uitgaande doorvoerwaarde volgens "
    "grensoverschrijding ingedeeld naar de secties van de Standard International Trade Classification (SITC)."
    "\r\n\r\nGegevens beschikbaar vanaf: januari 2021.\r\n\r\nWijzigingen per {released}:\r\n"
    "De voorlopige cijfers van {newest} zijn toegevoegd.\r\n\r\n"
    "Gesimuleerde cijfers: geen publicatie van het CBS.\r\n"
)

# Other tables of the catalogue: listed, so that a search has something to choose from, but not served.
_OTHER_TABLES = (
    ("85427NED", "Internationale goederenhandel; eigendomsoverdracht, kerncijfers", "Regulier"),
    ("83926NED", "Internationale handel; in- en uitvoerwaarde, SITC, landen", "Gediscontinueerd"),
    ("85770NED", "Producentenprijzen (PPI); afzet-, invoer-, verbruiksprijzen, index 2021=100", "Regulier"),
    ("80590ned", "Arbeidsdeelname en werkloosheid per maand", "Regulier"),
)

_OBSERVATION_COLUMNS = {
    "Id": "id",
    "Measure": "measure",
    "ValueAttribute": "'None'",
    "Value": "value",
    "StringValue": "cast(null as varchar)",
    "Landen": "landen",
    "SITC": "sitc",
    "Perioden": "perioden",
}


class _ODataError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CbsService:
    """Answers for the CBS host.

    Parameters
    ----------
    economy
        Where the numbers come from.
    connection
        DuckDB connection of its own; tables of a release are built in it when first asked for.
    faults
        Faults in force.
    page_size
        Most observations in one reply; the real host gives 100,000.
    """

    _releases_kept = 3

    def __init__(
        self,
        economy: Economy,
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        page_size: int = 100_000,
    ) -> None:
        self.economy = economy
        self.connection = connection
        self.faults = faults
        self.page_size = page_size
        self._counts: dict[int, int] = {}

    # -- data -------------------------------------------------------------------------------------------

    def observations_table(self, release: Release) -> str:
        """Build the observations of a release if need be; give the name of their table.

        Columns ``id``, ``measure``, ``value``, ``landen``, ``sitc``, ``perioden``; a row per published cell.
        """
        name = f"observations_{release.number}"
        if release.number not in self._counts:
            if len(self._counts) >= self._releases_kept:
                oldest = next(iter(self._counts))
                self.connection.execute(f"drop table observations_{oldest}")
                del self._counts[oldest]
            self._build_observations(name, release)
            count = self.connection.execute(f"select count(*) from {name}").fetchone()
            self._counts[release.number] = 0 if count is None else int(count[0])
        return name

    def _cells(self, release: Release) -> Floats:
        """Published values before rounding: land x section x period x measure, NaN where absent."""
        truth, leaves = self.economy.cbs_published_values(release)
        with_total = np.concatenate([leaves.sum(axis=2, keepdims=True), leaves], axis=2)
        row = {code: i for i, code in enumerate(truth.lands)}
        lands = [code for code, _ in self.economy.partners.lands]
        groups = np.array([LAND_ENTRIES[code].group for code in truth.lands])
        is_eu = np.isin([LAND_ENTRIES[code].alpha2 for code in truth.lands], (*EU_MEMBERS, *INTRA_UNALLOCATED))
        members = {LAND_TOTAL: np.ones(len(row), dtype=np.bool_), EU_LAND: is_eu, NOT_EU_LAND: ~is_eu}
        members |= {land: groups == group for land, group in _REGION_GROUPS.items()}

        cells = np.zeros((len(truth.measures), len(lands), *with_total.shape[2:]))
        withheld = np.zeros((2, len(lands), with_total.shape[2]), dtype=np.bool_)
        for i, land in enumerate(lands):
            if land in members:
                cells[:, i] = with_total[:, members[land]].sum(axis=1)
            elif land in row:
                cells[:, i] = with_total[:, row[land]]
                withheld[:, i, 1:] = truth.suppressed[row[land]].T

        periods = self._with_years(cells)
        last_year = self._a_year_earlier(periods, release.cbs_months)
        exports, imports = truth.measures.index("D001636"), truth.measures.index("D001607")
        result = np.full((*periods.shape[1:], len(MEASURES)), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = 100.0 * (periods / last_year - 1.0)
        for m, measure in enumerate(MEASURES):
            direction = 0 if measure in ("D001607", "M007895", "M001608") else 1
            parent = imports if direction == 0 else exports
            if measure in truth.measures:
                result[..., m] = np.rint(periods[truth.measures.index(measure)])
            else:
                result[..., m] = np.round(change[parent], 1)
            result[..., m][periods[parent] <= 0] = np.nan
            result[withheld[direction], :, m] = np.nan
        result[~np.isfinite(result)] = np.nan
        return result

    @staticmethod
    def _with_years(cells: Floats) -> Floats:
        """Put the sum of each calendar year after its months, also of a year that is not over."""
        blocks = []
        for first in range(0, cells.shape[-1], 12):
            year = cells[..., first : first + 12]
            blocks += [year, year.sum(axis=-1, keepdims=True)]
        return np.concatenate(blocks, axis=-1)

    @staticmethod
    def _a_year_earlier(periods: Floats, months: int) -> Floats:
        """Values of the same period a year earlier; NaN in the first year.

        A year that is not over is compared with the same months of the year before.
        """
        earlier = np.full_like(periods, np.nan)
        earlier[..., 13:] = periods[..., :-13]
        running = months % 12
        if running:
            earlier[..., -1] = earlier[..., -1 - running : -1].sum(axis=-1)
        return earlier

    def _build_observations(self, name: str, release: Release) -> None:
        cells = self._cells(release)
        land, section, period, measure = np.nonzero(~np.isnan(cells))
        columns = {
            "id": np.arange(len(land)),
            "land": land,
            "section": section,
            "period": period,
            "measure": measure,
            "value": cells[land, section, period, measure],
        }
        code_lists = {
            "land": [code for code, _ in self.economy.partners.lands],
            "section": [SECTION_TOTAL, *CBS_SECTION_CODES],
            "period": [record["Identifier"] for record in self.period_codes(release)],
            "measure": list(MEASURES),
        }
        self.connection.register("new_observations", columns)
        for dimension, codes in code_lists.items():
            self.connection.execute(
                f"create or replace temp table {dimension}_list as select unnest(?) as code, unnest(range(?)) as i",
                [codes, len(codes)],
            )
        self.connection.execute(
            f"create or replace table {name} as "
            "select o.id, m.code as measure, o.value, l.code as landen, s.code as sitc, p.code as perioden "
            "from new_observations o join measure_list m on m.i = o.measure join land_list l on l.i = o.land "
            "join section_list s on s.i = o.section join period_list p on p.i = o.period order by o.id"
        )
        self.connection.unregister("new_observations")

    # -- metadata ---------------------------------------------------------------------------------------

    @staticmethod
    def period_codes(release: Release) -> list[dict[str, Any]]:
        """Records of ``PeriodenCodes``: months, and after each December (or the newest month) the year."""
        year_now, month_now = release.year_month
        # The status of a year moves on in the fourth quarter: with the round of December.
        provisional_from = year_now if month_now == 12 else year_now - 1
        records: list[dict[str, Any]] = []

        def add(code: str, title: str, group: str, year: int) -> None:
            status, text = "Definitief", ""
            if year >= provisional_from:
                status, text = "Voorlopig", "Voorlopige cijfers"
            elif year == provisional_from - 1:
                status, text = "NaderVoorlopig", "Nader voorlopige cijfers"
            records.append(
                {
                    "Identifier": code,
                    "Index": len(records) + 1,
                    "Title": title,
                    "Description": text,
                    "DimensionGroupId": group,
                    "Status": status,
                }
            )

        for index in range(release.cbs_months):
            year, month = START_YEAR + index // 12, index % 12
            add(f"{year}MM{month + 1:02}", f"{year} {_MONTHS[month]}", "0", year)
            if month == 11:
                add(f"{year}JJ00", str(year), "1", year)
            elif index == release.cbs_months - 1:
                span = _MONTHS[0] if month == 0 else f"{_MONTHS[0]}-{_MONTHS[month]}"
                add(f"{year}JJ00", f"{year} {span}", "1", year)
        return records

    def land_codes(self) -> list[dict[str, Any]]:
        """Records of ``LandenCodes``, in the order of the office's list."""
        records = []
        for index, (code, title) in enumerate(self.economy.partners.lands, start=1):
            if code in _AGGREGATE_GROUPS:
                group, text = _AGGREGATE_GROUPS[code], _AGGREGATE_DESCRIPTIONS.get(code, "")
            else:
                entry = LAND_ENTRIES[code]
                group = entry.group
                text = f"GEO code alfa2: {entry.alpha2}\r\nGEO code numeriek: {entry.numeric}"
            records.append(_code_record(code, index, title, text, group))
        return records

    @staticmethod
    def section_codes() -> list[dict[str, Any]]:
        """Records of ``SITCCodes``."""
        records = [_code_record(SECTION_TOTAL, 1, "Totaal goederen", "", "13")]
        for index, (code, title) in enumerate(zip(CBS_SECTION_CODES, _SECTION_TITLES, strict=True), start=2):
            is_long = len(title) > _LONGEST_TITLE
            short = title[: _LONGEST_TITLE - 3] + "..." if is_long else title
            records.append(_code_record(code, index, short, title if is_long else "", "14"))
        return records

    @staticmethod
    def measure_codes() -> list[dict[str, Any]]:
        """Records of ``MeasureCodes``."""
        return [
            {
                "Identifier": code,
                "Index": index,
                "Title": title,
                "Description": text,
                "MeasureGroupId": group,
                "DataType": "Double" if group == "M007898" else "Long",
                "Unit": "%" if group == "M007898" else "mln euro",
                "Decimals": 1 if group == "M007898" else 0,
                "PresentationType": None,
            }
            for code, index, title, text, group in _MEASURE_TEXTS
        ]

    @staticmethod
    def dimensions(url: str) -> list[dict[str, Any]]:
        """Records of ``Dimensions``; ``url`` is the address of the table."""
        records = []
        for name in ("Landen", "SITC", "Perioden"):
            is_time = name == "Perioden"
            kind: dict[str, Any] = {"@odata.type": "#Cbs.Ccb.Models.TimeDimension"} if is_time else {}
            records.append(
                kind
                | {
                    "Identifier": name,
                    "Title": name,
                    "Description": "",
                    "MapYear": None,
                    "ReleasePolicy": True if is_time else None,
                    "Kind": "TimeDimension" if is_time else "Dimension",
                    "ContainsGroups": True,
                    "ContainsCodes": True,
                    "CodesUrl": f"{url}/{name}Codes",
                    "GroupsUrl": f"{url}/{name}Groups",
                }
            )
        return records

    def properties(self, release: Release, url: str) -> dict[str, Any]:
        """The single record of ``Properties``."""
        self.observations_table(release)
        newest = release.cbs_months - 1
        newest_year, newest_month = START_YEAR + newest // 12, _MONTHS[newest % 12]
        year, month = release.year_month
        description = _DESCRIPTION.format(
            released=f"2 {_MONTHS[month - 1]} {year}", newest=f"{newest_month} {newest_year}"
        )
        stamp = release.cbs_stamp
        return {
            "Identifier": TABLE,
            "Title": _TITLE,
            "Description": description,
            "Language": "nl",
            "Authority": _AUTHORITY,
            "Modified": stamp,
            "ReleaseDate": stamp,
            "ModificationDate": stamp,
            "TemporalCoverage": f"{START_YEAR} januari - {newest_year} {newest_month}.",
            "Catalog": "CBS",
            "Publisher": _AUTHORITY,
            "ContactPoint": "infoservice@cbs.nl",
            "Version": release.cbs_version,
            "VersionNotes": "",
            "VersionReason": "Actualisering",
            "Frequency": "Per maand",
            "Status": "Regulier",
            "ObservationCount": self._counts[release.number],
            "ObservationsModified": stamp,
            "DatasetType": "Numeric",
            "GraphTypes": "Table,Bar,Line",
            "License": "https://creativecommons.org/licenses/by/4.0/",
            "Source": "CBS.",
            "Summary": _SUMMARY,
            "LongDescription": "INHOUDSOPGAVE\r\n\r\n1. Toelichting\r\n\r\n\r\n1. TOELICHTING\r\n\r\n" + description,
            "Provenance": [
                {
                    "Title": "Standard International Trade Classification",
                    "Url": "https://unstats.un.org/unsd/publication/seriesm/seriesm_34rev4e.pdf",
                }
            ],
            "RelatedSources": [
                {
                    "Title": "Internationale goederenhandel; eigendomsoverdracht, kerncijfers",
                    "Url": "https://opendata.cbs.nl/statline/#/CBS/nl/dataset/85427ned",
                }
            ],
            "Distributions": [
                {
                    "Format": "odata",
                    "MediaType": "odata",
                    "DownloadUrl": url,
                    "AccessUrl": f"https://dataportal.cbs.nl/detail/CBS/{TABLE}",
                    "Language": "nl",
                }
            ],
        }

    def datasets(self, release: Release, url: str) -> list[dict[str, Any]]:
        """Records of the catalogue. Only 85429NED is served; the others can be found, not fetched."""
        own = self.properties(release, url)
        fields = (
            "Identifier", "Description", "Language", "Title", "Modified", "Status", "DatasetType",
            "Frequency", "TemporalCoverage", "ObservationCount", "ObservationsModified", "Version",
        )  # fmt: skip
        records = [{name: own[name] for name in fields}]
        for code, title, status in _OTHER_TABLES:
            record: dict[str, Any] = dict.fromkeys(fields)
            record |= {"Identifier": code, "Description": "", "Language": "nl", "Title": title}
            record |= {"Modified": "2025-11-26T06:30:00+01:00", "Status": status, "DatasetType": "Numeric"}
            records.append(record)
        return sorted(records, key=lambda record: str(record["Identifier"]))

    # -- protocol ---------------------------------------------------------------------------------------

    def answer(self, path: str, query: Mapping[str, str], release: Release, base_url: str, request_url: str) -> Reply:
        """Answer a request.

        Parameters
        ----------
        path
            Path after `ROOT`.
        query
            Query options, decoded.
        base_url
            Address of the server, for the absolute links inside replies.
        request_url
            Path and query as sent, for the faults to match.
        """
        try:
            return self._answer(path, query, release, base_url + ROOT, request_url)
        except FilterError as error:
            return _error(400, str(error))
        except _ODataError as error:
            return _error(error.status, str(error))

    def _answer(self, path: str, query: Mapping[str, str], release: Release, root: str, request_url: str) -> Reply:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return self._collection(f"{root}/$metadata", [_service_entry("Datasets")], {})
        url = f"{root}/{TABLE}"
        if parts == ["Datasets"]:
            return self._collection(f"{root}/$metadata#Datasets", self.datasets(release, url), query)
        if parts[0] != TABLE:
            raise _ODataError(404, f"Dataset '{parts[0]}' not found.")
        if len(parts) == 1:
            return self._service_document(url)
        resource = "/".join(parts[1:])
        if resource == "Properties":
            return _json({"@odata.context": f"{url}/$metadata#Properties"} | self.properties(release, url))
        if resource == "Observations":
            return self._observations(query, release, url, request_url)
        if resource == "Observations/$count":
            return self._count(query, release, request_url)
        records = self._records(resource, release, url)
        if records is None:
            raise _ODataError(404, f"Resource not found for the segment '{parts[1]}'.")
        self.faults.spoil_records(request_url, records)
        return self._collection(f"{url}/$metadata#{resource}", records, query)

    def _records(self, resource: str, release: Release, url: str) -> list[dict[str, Any]] | None:
        if resource == "Dimensions":
            return self.dimensions(url)
        if resource == "MeasureCodes":
            return self.measure_codes()
        if resource == "LandenCodes":
            return self.land_codes()
        if resource == "SITCCodes":
            return self.section_codes()
        if resource == "PeriodenCodes":
            return self.period_codes(release)
        groups = {
            "MeasureGroups": (("M007894", "Invoer"), ("M007896", "Uitvoer"), ("M007898", "Jaarmutatie")),
            "LandenGroups": (
                ("1", "Totaal landen"), ("2", "Werelddelen"), ("3", "EU en niet-EU"), ("4", "EU en niet-EU"),
                ("5", "Landen"), ("6", "Europa"), ("7", "Afrika"), ("8", "Amerika"), ("9", "Azië"),
                ("10", "Oceanië"), ("11", "Overige niet-EU"),
            ),
            "SITCGroups": (("13", "Totaal"), ("14", "SITC-secties")),
            "PeriodenGroups": (("0", "Maanden"), ("1", "Jaren")),
        }  # fmt: skip
        if resource not in groups:
            return None
        return [
            {"Id": code, "Index": index, "Title": title, "Description": "", "ParentId": None}
            for index, (code, title) in enumerate(groups[resource])
        ]

    def _service_document(self, url: str) -> Reply:
        names = (
            "Properties", "Dimensions", "MeasureCodes", "MeasureGroups", "Observations", "LandenCodes",
            "LandenGroups", "SITCCodes", "SITCGroups", "PeriodenCodes", "PeriodenGroups",
        )  # fmt: skip
        entries = [_service_entry(name) for name in names]
        entries[0]["kind"] = "Singleton"
        return self._collection(f"{url}/$metadata", entries, {})

    def _collection(self, context: str, records: list[dict[str, Any]], query: Mapping[str, str]) -> Reply:
        """Apply the query options to a short list of records."""
        names = list(dict.fromkeys(name for record in records for name in record if "@" not in name))
        if "$filter" in query:
            condition = read_filter(query["$filter"], {name: f'"{name}"' for name in names})
            records = self._matching(records, names, condition)
        first = _whole_number(query, "$skip") or 0
        count = _whole_number(query, "$top")
        records = records[first : None if count is None else first + count]
        selected = _selection(query, names)
        if selected is not None:
            context += f"({query['$select']})"
            records = [{name: record[name] for name in record if name in selected or "@" in name} for record in records]
        return _json({"@odata.context": context, "value": records})

    def _matching(self, records: list[dict[str, Any]], names: list[str], condition: Condition) -> list[dict[str, Any]]:
        fields = ", ".join(f'"{name}" {_sql_type(records, name)}' for name in names)
        self.connection.execute(f"create or replace temp table records (position bigint, {fields})")
        self.connection.executemany(
            f"insert into records values ({', '.join('?' * (len(names) + 1))})",
            [[i, *(record.get(name) for name in names)] for i, record in enumerate(records)],
        )
        try:
            kept = self.connection.execute(
                f"select position from records where {condition.sql} order by position", condition.parameters
            ).fetchall()
        except duckdb.Error as error:
            raise FilterError("A binary operator with incompatible types was detected.") from error
        return [records[position] for (position,) in kept]

    def _where(self, query: Mapping[str, str]) -> Condition:
        if "$filter" not in query:
            return Condition("true")
        return read_filter(query["$filter"], _OBSERVATION_COLUMNS)

    def _count(self, query: Mapping[str, str], release: Release, request_url: str) -> Reply:
        condition = self._where(query)
        missing: set[str] = set()
        for fault in self.faults.waiting(request_url, {"missing_partners": None}):
            missing |= set(fault.options.get("partners", LARGE_LANDS))
        count = self._query(
            f"select count(*) from {self.observations_table(release)} where {condition.sql} "
            "and not list_contains(?, landen)",
            [*condition.parameters, sorted(missing)],
        )
        return Reply(str(count).encode(), "text/plain")

    def _query(self, statement: str, parameters: list[Any]) -> Any:
        try:
            row = self.connection.execute(statement, parameters).fetchone()
        except duckdb.ConversionException as error:
            raise FilterError("A binary operator with incompatible types was detected.") from error
        return None if row is None else row[0]

    def _observations(self, query: Mapping[str, str], release: Release, url: str, request_url: str) -> Reply:
        table = self.observations_table(release)
        condition = self._where(query)
        selected = _selection(query, list(_OBSERVATION_COLUMNS))
        first = _whole_number(query, "$skip") or 0
        top = _whole_number(query, "$top")
        size = self.page_size if top is None else min(top, self.page_size)
        order = _order(query)
        # One row more than the page shows whether there is a next page.
        found = self._query(
            f"create or replace temp table page as select row_number() over (order by {order}) as position, "
            "id, measure, landen, sitc, perioden, "
            "case when measure in ('M001608', 'M001609') and value <> trunc(value) "
            "then format('{:.1f}', value) "
            "else cast(cast(value as bigint) as varchar) end as value from ("
            f"select * from {table} where {condition.sql} order by {order} limit ? offset ?)",
            [*condition.parameters, size + 1, first],
        )
        has_more = int(found or 0) > size and (top is None or top > size)
        self.connection.execute("delete from page where position > ?", [size])
        self.faults.spoil_rows(request_url, self._rows())

        texts = {
            "Id": "id",
            "Measure": """'"' || measure || '"'""",
            "ValueAttribute": "'\"None\"'",
            "Value": "case when try_cast(value as double) is null then '\"' || value || '\"' else value end",
            "StringValue": "'null'",
            "Landen": """'"' || landen || '"'""",
            "SITC": """'"' || sitc || '"'""",
            "Perioden": """'"' || perioden || '"'""",
        }
        names = [name for name in texts if selected is None or name in selected]
        fields = " || ',' || ".join(f"""'"{name}":' || {texts[name]}""" for name in names)
        body = self._query(f"select string_agg('{{' || {fields} || '}}', ',' order by position) from page", [])
        context = f"{url}/$metadata#Observations"
        if selected is not None:
            context += f"({query['$select']})"
        text = f'{{"@odata.context":{json.dumps(context)},"value":[{body or ""}]'
        if has_more:
            options = dict(query) | {"$skip": str(first + size)}
            if top is not None:
                options["$top"] = str(top - size)
            text += f',"@odata.nextLink":{json.dumps(f"{url}/Observations?{_encode(options)}")}'
        return Reply((text + "}").encode(), "application/json; odata.metadata=minimal; odata.streaming=true")

    def _rows(self) -> Rows:
        return Rows(
            connection=self.connection,
            table="page",
            partner="landen",
            indicator="measure",
            value="value",
            total=LAND_TOTAL,
            aggregates=tuple(_AGGREGATE_GROUPS),
            large_partners=LARGE_LANDS,
            unknown_partner="L009999",
            main_indicators=("D001636", "D001607"),
        )


def _code_record(code: str, index: int, title: str, text: str, group: str) -> dict[str, Any]:
    return {
        "Identifier": code,
        "Index": index,
        "Title": title,
        "Description": text,
        "DimensionGroupId": group,
    }


def _service_entry(name: str) -> dict[str, Any]:
    return {"name": name, "kind": "EntitySet", "url": name}


def _sql_type(records: list[dict[str, Any]], name: str) -> str:
    values = [record[name] for record in records if record.get(name) is not None]
    return "bigint" if values and all(isinstance(value, int) for value in values) else "varchar"


def _selection(query: Mapping[str, str], names: list[str]) -> list[str] | None:
    if "$select" not in query:
        return None
    selected = [name.strip() for name in query["$select"].split(",")]
    for name in selected:
        if name not in names:
            raise _ODataError(400, f"Could not find a property named '{name}'.")
    return selected


def _order(query: Mapping[str, str]) -> str:
    keys = []
    for key in filter(None, query.get("$orderby", "").split(",")):
        name, _, direction = key.strip().partition(" ")
        if name not in _OBSERVATION_COLUMNS or direction.strip() not in ("", "asc", "desc"):
            raise _ODataError(400, f"Could not find a property named '{name}'.")
        keys.append(f"{_OBSERVATION_COLUMNS[name]} {direction}")
    return ", ".join([*keys, "id"])


def _whole_number(query: Mapping[str, str], option: str) -> int | None:
    if option not in query:
        return None
    if not query[option].isdigit():
        raise _ODataError(400, f"Invalid value '{query[option]}' for {option} query option found.")
    return int(query[option])


def _encode(options: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='()')}" for name, value in options.items())


def _json(content: dict[str, Any]) -> Reply:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Reply(text.encode(), "application/json; odata.metadata=minimal; odata.streaming=true")


def _error(status: int, message: str) -> Reply:
    text = json.dumps({"error": {"code": "", "message": message}}, ensure_ascii=False, separators=(",", ":"))
    return Reply(text.encode(), "application/json", status)

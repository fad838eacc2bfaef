"""Eurostat's Comext host, and what the main host says of ``DS-*``; byte shapes as recorded."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import duckdb
import numpy as np
from numpy.typing import NDArray

from simulator.economy import (
    PARTNER_AGGREGATES,
    REPORTERS,
    START_YEAR,
    WORLD,
    Economy,
    Release,
    month_label,
)
from simulator.faults import FaultBook, Reply, Rows
from simulator.products import PIECE_VALUES, PRODUCT_TITLES, PRODUCTS

ROOT = "/eurostat/api/comext/dissemination"
MAIN_ROOT = "/eurostat/api/dissemination"
DATASET = "DS-045409"
DATASET_LABEL = "EU trade since 1988 by HS2-4-6 and CN8"

DIMENSIONS = ("freq", "reporter", "partner", "product", "flow", "indicators")
VALUE, QUANTITY, PIECES = "VALUE_IN_EUROS", "QUANTITY_IN_100KG", "SUPPLEMENTARY_QUANTITY"

SYNCHRONOUS_UP_TO = 500_000
MOST_ROWS = 5_000_000

LARGE_PARTNERS = ("DE", "BE", "FR", "GB", "US")

_DSD_VERSION = "6.5"
_XML_START = '<?xml version="1.0" encoding="UTF-8"?>'
_XML_START_SINGLE = "<?xml version='1.0' encoding='UTF-8'?>"
_STRUCTURE_NAMESPACES = (
    'xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message" '
    'xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure" '
    'xmlns:c="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"'
)

# Code, structure version, names in the order the host lists them, metadata page, days after the others.
_DATAFLOWS = (
    ("DS-059358", "2.6", {"fr": "Production vendue, exportations et importations",
                          "en": "Sold production, exports and imports",
                          "de": "Abgesetzte Produktion, Aus- und Einfuhren"}, "prom_esms", 1),
    ("DS-059329", "2.6", {"de": "EU Handel seit 2017 nach BEC/rev.5",
                          "fr": "Commerce UE depuis 2017 par CGCE/rev.5 (BEC)",
                          "en": "EU trade since 2017 by BEC/rev.5"}, "ext_go_detail_sims", 0),
    ("DS-059331", "2.7", {"en": "International trade of EU and non-EU countries  since 2002 by SITC"},
     "ext_go_detail_sims", 0),
    ("DS-059341", "3.6", {"en": "International trade of EU and non-EU countries since 2002 by HS2-4-6"},
     "ext_go_detail_sims", 0),
    (DATASET, _DSD_VERSION, {"fr": "Commerce UE depuis 1988 par SH2,4,6 et NC8",
                             "de": "EU Handel seit 1988 nach HS2-4-6 und KN8",
                             "en": DATASET_LABEL}, "ext_go_detail_sims", 0),
    ("DS-059366", "2.7", {"en": "International trade of EU and non-EU countries since 2002 by CPA 2.2"},
     "ext_go_detail_sims", 0),
)  # fmt: skip

_CODELISTS = {
    "freq": ("CXT_FREQ", "1.0"),
    "reporter": ("CXT_FREE_ISO", "10.0"),
    "partner": ("CXT_FREE_ISO", "10.0"),
    "product": ("CXT_NC", "11.0"),
    "flow": ("CXT_EU_FLUX", "1.0"),
    "indicators": ("CXT_INDICATORS", "43.0"),
}

_DATA_PATH = re.compile(r"^/sdmx/2\.1/data/(?P<dataset>[^/]+)(?:/(?P<key>[^/]*))?$")
_STRUCTURE_PATH = re.compile(
    r"^/sdmx/2\.1/(?P<kind>dataflow|datastructure|contentconstraint)/(?P<agency>[^/]+)"
    r"(?:/(?P<id>[^/]+))?(?:/(?P<version>[^/]+))?$"
)
_STATISTICS_PATH = re.compile(r"^/statistics/1\.0/data/(?P<dataset>[^/]+)$")
_ASYNC_PATH = re.compile(r"^/1\.0/async/(?P<what>status|data)/(?P<id>[^/]+)$")

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "simulator.localhost")


class _RefusalError(Exception):
    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class _Selection:
    """Positions a query matches: codes per dimension, and time labels per frequency."""

    codes: Mapping[str, tuple[str, ...]]
    periods: Mapping[str, tuple[str, ...]]

    @property
    def cost(self) -> int:
        """Number of positions, whether or not they hold a value: what the office bills."""
        cost = sum(len(self.periods[freq]) for freq in self.codes["freq"])
        for dimension in DIMENSIONS[1:]:
            cost *= len(self.codes[dimension])
        return cost


@dataclass
class _Job:
    make: Callable[[], Reply]
    release: Release
    polls: int = 0
    is_stuck: bool = False


class EurostatService:
    """Answers for the Comext host and for the main host.

    Parameters
    ----------
    economy
        Where the numbers come from.
    connection
        DuckDB connection of its own.
    faults
        Faults in force.
    polls_until_available
        How often a job's status is asked before its data are there.
    """

    def __init__(
        self,
        economy: Economy,
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        polls_until_available: int = 2,
    ) -> None:
        self.economy = economy
        self.connection = connection
        self.faults = faults
        self.polls_until_available = polls_until_available
        self._jobs: dict[str, _Job] = {}

    # -- code lists -------------------------------------------------------------------------------------

    def codes(self, dimension: str) -> tuple[str, ...]:
        """Codes of a dimension that the content constraint allows, in its order."""
        return {
            "freq": ("A", "M"),
            "reporter": REPORTERS,
            "partner": self.economy.partners.codes,
            "product": PRODUCTS,
            "flow": ("1", "2"),
            "indicators": (QUANTITY, PIECES, VALUE),
        }[dimension]

    @staticmethod
    def periods(release: Release) -> dict[str, tuple[str, ...]]:
        """Published periods by frequency: months, and the years that are complete."""
        months = release.eurostat_months
        # A year whose December is still extra-EU only has no annual figure.
        years = (months - 1) // 12
        return {
            "A": tuple(str(START_YEAR + i) for i in range(years)),
            "M": tuple(month_label(i) for i in range(months)),
        }

    def label(self, dimension: str, code: str) -> str:
        """English label of a code."""
        if dimension in ("reporter", "partner"):
            return self.economy.partners.names.get(code, code)
        if dimension == "product":
            return PRODUCT_TITLES[code]
        return {"A": "Annual", "M": "Monthly", "1": "IMPORT", "2": "EXPORT"}.get(code, code)

    # -- routing ----------------------------------------------------------------------------------------

    def answer_main_host(self, path: str) -> Reply:
        """Answer for the main host, which knows no ``DS-*`` and nothing else here."""
        statistics = _STATISTICS_PATH.match(path)
        if statistics:
            return _json_error(404, 100, _not_found_anywhere(statistics["dataset"], "ALL,1.0"))
        found = _DATA_PATH.match(path) or _STRUCTURE_PATH.match(path)
        name = "*" if found is None else found.groupdict().get("dataset") or found.groupdict().get("id") or "*"
        return _fault_reply(_RefusalError(404, 100, _not_found_anywhere(name, "ESTAT,*")))

    def answer(self, path: str, query: Sequence[tuple[str, str]], release: Release, request_url: str) -> Reply:
        """Answer for the Comext host.

        Parameters
        ----------
        path
            Path after `ROOT`.
        query
            Query parameters in order, decoded; a name may come more than once.
        request_url
            Path and query as sent, for the faults to match.
        """
        try:
            if match := _DATA_PATH.match(path):
                return self._data(match["dataset"], match["key"] or "", dict(query), release, request_url)
            if match := _STRUCTURE_PATH.match(path):
                return self._structure(match["kind"], match["id"] or "", release)
            if match := _STATISTICS_PATH.match(path):
                return self._statistics(match["dataset"], query, release)
            if match := _ASYNC_PATH.match(path):
                return self._asynchronous(match["what"], match["id"], release)
            raise _RefusalError(404, 100, f"{path} is not available for dissemination.")
        except _RefusalError as fault:
            return _fault_reply(fault)

    # -- structures -------------------------------------------------------------------------------------

    def _structure(self, kind: str, name: str, release: Release) -> Reply:
        known = [flow[0] for flow in _DATAFLOWS]
        if kind == "dataflow":
            if name in ("", "all"):
                return self._dataflows(known, release)
            if name in known:
                return self._dataflows([name], release)
            raise _RefusalError(404, 100, _not_found_anywhere(name, "ESTAT,*"))
        if name != DATASET:
            kinds = {"datastructure": "DATA_STRUCTURE", "contentconstraint": "CONTENT_CONSTRAINT"}
            raise _RefusalError(
                404,
                100,
                f"ERR_NOT_FOUND_4: {name} ({kinds[kind]}:ESTAT,*) is not available for dissemination.",
            )
        return self._data_structure(release) if kind == "datastructure" else self._constraint(release)

    @staticmethod
    def _header(release: Release, kind: str) -> str:
        # The real header holds a random id and the time of the request; here both follow the release.
        identity = uuid.uuid5(_NAMESPACE, f"{kind} {release.number}").hex
        prepared = release.eurostat_stamp[:-2] + ":" + release.eurostat_stamp[-2:]
        return (
            f"<m:Header><m:ID>ID{identity}</m:ID><m:Test>false</m:Test><m:Prepared>{prepared}</m:Prepared>"
            '<m:Sender id="ESTAT"/><m:Receiver id="unknown"/></m:Header>'
        )

    def _dataflows(self, names: Sequence[str], release: Release) -> Reply:
        flows = []
        for code, version, titles, metadata, days_later in _DATAFLOWS:
            if code not in names:
                continue
            stamp = release.eurostat_stamp.replace("-15T", f"-{15 + days_later}T")
            annotations = "".join(
                f"<c:Annotation><c:AnnotationTitle>{title}</c:AnnotationTitle>"
                f"<c:AnnotationType>{kind}</c:AnnotationType>{link}</c:Annotation>"
                for title, kind, link in (
                    ("DATASET", "DISSEMINATION_OBJECT_TYPE", ""),
                    (stamp, "DISSEMINATION_TIMESTAMP_DATA", ""),
                    (stamp, "DISSEMINATION_TIMESTAMP_GLOBAL", ""),
                    (stamp, "DISSEMINATION_TIMESTAMP_PLANNED", ""),
                    (
                        "Explanatory texts (metadata)",
                        "ESMS_HTML",
                        "<c:AnnotationURL>https://ec.europa.eu/eurostat/cache/metadata/en/"
                        f"{metadata}.htm</c:AnnotationURL>",
                    ),
                    (stamp, "UPDATE_DATA", ""),
                    (stamp, "UPDATE_STRUCTURE", ""),
                )
            )
            labels = "".join(f'<c:Name xml:lang="{lang}">{escape(title)}</c:Name>' for lang, title in titles.items())
            flows.append(
                f'<s:Dataflow id="{code}" '
                f'urn="urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=ESTAT:{code}(1.0)" '
                f'agencyID="ESTAT" version="1.0" isFinal="false"><c:Annotations>{annotations}</c:Annotations>'
                f'{labels}<s:Structure><Ref id="{code}" version="{version}" agencyID="ESTAT" '
                'package="datastructure" class="DataStructure"/></s:Structure></s:Dataflow>'
            )
        prepared = release.eurostat_stamp[:-5] + ".000" + release.eurostat_stamp[-5:-2] + ":00"
        header = (
            f"<m:Header><m:ID>DF{release.number:010}</m:ID><m:Test>false</m:Test>"
            f'<m:Prepared>{prepared}</m:Prepared><m:Sender id="ESTAT"/></m:Header>'
        )
        text = (
            f"{_XML_START}\r\n<m:Structure {_STRUCTURE_NAMESPACES}>{header}<m:Structures><s:Dataflows>"
            f"{''.join(flows)}</s:Dataflows></m:Structures></m:Structure>"
        )
        return _xml(text)

    def _data_structure(self, release: Release) -> Reply:
        identity = f"ESTAT:{DATASET}({_DSD_VERSION})"
        urn = "urn:sdmx:org.sdmx.infomodel.datastructure"

        def concept(name: str) -> str:
            return (
                f'<s:ConceptIdentity><Ref agencyID="ESTAT" class="Concept" id="{name}" '
                f'maintainableParentID="{DATASET}" maintainableParentVersion="{_DSD_VERSION}" '
                'package="conceptscheme"/></s:ConceptIdentity>'
            )

        dimensions = "".join(
            f'<s:Dimension id="{name}" position="{position}" urn="{urn}.Dimension={identity}.{name}">'
            f"{concept(name)}<s:LocalRepresentation><s:Enumeration>"
            f'<Ref agencyID="ESTAT" class="Codelist" id="{_CODELISTS[name][0]}" package="codelist" '
            f'version="{_CODELISTS[name][1]}"/></s:Enumeration></s:LocalRepresentation></s:Dimension>'
            for position, name in enumerate(DIMENSIONS, start=1)
        )
        text = (
            f"{_XML_START_SINGLE}<m:Structure {_STRUCTURE_NAMESPACES}>{self._header(release, 'structure')}"
            f'<m:Structures><s:DataStructures><s:DataStructure agencyID="ESTAT" id="{DATASET}" '
            'isFinal="true" '
            f'urn="{urn}.DataStructure={identity}" version="{_DSD_VERSION}">'
            "<c:Annotations><c:Annotation><c:AnnotationTitle>time</c:AnnotationTitle>"
            "<c:AnnotationType>DISSEMINATION_TIME_DIMENSION_CODE</c:AnnotationType><c:AnnotationURL/>"
            f'</c:Annotation></c:Annotations><c:Name xml:lang="en">{DATASET} data structure</c:Name>'
            '<s:DataStructureComponents><s:DimensionList id="DimensionDescriptor" '
            f'urn="{urn}.DimensionDescriptor={identity}.DimensionDescriptor">{dimensions}'
            f'<s:TimeDimension id="TIME_PERIOD" position="7" '
            f'urn="{urn}.TimeDimension={identity}.TIME_PERIOD">'
            f"{concept('TIME_PERIOD')}<s:LocalRepresentation>"
            '<s:TextFormat textType="ObservationalTimePeriod"/></s:LocalRepresentation></s:TimeDimension>'
            '</s:DimensionList><s:MeasureList id="MeasureDescriptor" '
            f'urn="{urn}.MeasureDescriptor={identity}.MeasureDescriptor"><s:PrimaryMeasure id="OBS_VALUE" '
            f'urn="{urn}.PrimaryMeasure={identity}.OBS_VALUE">{concept("OBS_VALUE")}</s:PrimaryMeasure>'
            "</s:MeasureList></s:DataStructureComponents></s:DataStructure></s:DataStructures></m:Structures>"
            "</m:Structure>"
        )
        return _xml(text)

    def _constraint(self, release: Release) -> Reply:
        # Like the real one, it lists every month of the running year, also those without data yet.
        years = range(START_YEAR, release.year_month[0] + 1)
        times = [label for year in years for label in (*(f"{year}-{m:02}" for m in range(1, 13)), str(year))]
        lists = [(name, self.codes(name)) for name in ("freq", "reporter", "partner", "product", "flow")]
        lists += [("TIME_PERIOD", tuple(times)), ("indicators", (VALUE, QUANTITY, PIECES))]
        values = "".join(
            f'<c:KeyValue id="{name}">{"".join(f"<c:Value>{code}</c:Value>" for code in codes)}</c:KeyValue>'
            for name, codes in lists
        )
        text = (
            f"{_XML_START_SINGLE}<m:Structure {_STRUCTURE_NAMESPACES}>{self._header(release, 'constraint')}"
            '<m:Structures><s:Constraints><s:ContentConstraint agencyID="ESTAT" '
            f'id="{DATASET}" isFinal="false" type="Actual" '
            f'urn="urn:sdmx:org.sdmx.infomodel.registry.ContentConstraint=ESTAT:{DATASET}(1.0)" '
            'version="1.0">'
            f'<c:Name xml:lang="en">Cube description for dataflow {DATASET}</c:Name><s:ConstraintAttachment>'
            f'<s:Dataflow><Ref agencyID="ESTAT" class="Dataflow" id="{DATASET}" package="datastructure" '
            f'version="1.0"/></s:Dataflow></s:ConstraintAttachment><s:CubeRegion include="true">{values}'
            "</s:CubeRegion></s:ContentConstraint></s:Constraints></m:Structures></m:Structure>"
        )
        return _xml(text)

    # -- SDMX 2.1 data ----------------------------------------------------------------------------------

    def _data(self, dataset: str, key: str, query: Mapping[str, str], release: Release, request_url: str) -> Reply:
        if dataset != DATASET:
            raise _RefusalError(404, 100, f"ERR_NOT_FOUND_2: DATA_SET:{dataset} is not available for dissemination.")
        form = query.get("format", "")
        if form not in ("SDMX-CSV", "TSV"):
            raise _RefusalError(501, 501, f"The simulator does not serve format '{form}': ask SDMX-CSV or TSV.")
        selection = self._read_key(key, query, release)
        if selection.cost > MOST_ROWS:
            raise _RefusalError(413, 413, _too_big(selection.cost))

        def make() -> Reply:
            return self._write(selection, query, release, request_url)

        is_stuck = self.faults.take(request_url, "async_never") is not None
        if is_stuck or selection.cost >= SYNCHRONOUS_UP_TO:
            return self._queue(make, request_url, release, is_stuck=is_stuck)
        return make()

    def _read_key(self, key: str, query: Mapping[str, str], release: Release) -> _Selection:
        positions = key.split(".") if key not in ("", "all") else []
        if not any(positions):
            raise _RefusalError(
                413,
                413,
                "EXTRACTION_TOO_BIG_COMEXT: The requested extraction is too big. Full extraction of COMEXT "
                "datasets is forbidden, please add filters to reduce the extraction size",
            )
        if len(positions) != len(DIMENSIONS):
            raise _RefusalError(
                400,
                140,
                f"INVALID_QUERY_KEY: The key '{key}' has {len(positions)} positions, the data structure of "
                f"{DATASET} has {len(DIMENSIONS)}.",
            )
        codes: dict[str, tuple[str, ...]] = {}
        for dimension, text in zip(DIMENSIONS, positions, strict=True):
            allowed = self.codes(dimension)
            asked = dict.fromkeys(text.split("+")) if text else dict.fromkeys(allowed)
            unknown = [code for code in asked if code not in allowed]
            if unknown:
                raise _RefusalError(
                    400,
                    150,
                    "INVALID_QUERY_DIMENSION_VALUE: Invalid value in the query. The following values for "
                    f"dimension are not allowed: {dimension.upper()}={','.join(unknown)}",
                )
            codes[dimension] = tuple(code for code in allowed if code in asked)
        start, end = query.get("startPeriod", ""), query.get("endPeriod", "")
        for period in filter(None, (start, end)):
            if not re.fullmatch(r"\d{4}(-\d{2})?", period):
                raise _RefusalError(400, 140, f"INVALID_QUERY_TIME_PERIOD: '{period}' is not a time period.")
        return _Selection(codes, _between(self.periods(release), start, end))

    def _write(self, selection: _Selection, query: Mapping[str, str], release: Release, request_url: str) -> Reply:
        self._collect(selection, release)
        for option, direction in (("lastNObservations", "desc"), ("firstNObservations", "asc")):
            if query.get(option, "").isdigit():
                self.connection.execute(
                    "create or replace temp table cells as select * from cells qualify row_number() over ("
                    f"partition by {', '.join(DIMENSIONS)} order by time_period {direction}) <= ?",
                    [int(query[option])],
                )
        self.faults.spoil_rows(request_url, self._rows())
        if query["format"] == "TSV":
            text, media_type = self._tsv(selection), "text/tab-separated-values"
        else:
            text, media_type = self._csv(release), "application/vnd.sdmx.data+csv;version=1.0.0"
        body = text.encode()
        if query.get("compressed") == "true":
            return Reply(gzip.compress(body, compresslevel=5, mtime=0), "application/gzip")
        return Reply(body, media_type)

    def _collect(self, selection: _Selection, release: Release) -> None:
        """Fill the table ``cells`` with the published cells of a selection, in the order of the reply."""
        blocks = [
            block
            for freq in selection.codes["freq"]
            for reporter in selection.codes["reporter"]
            for flow in selection.codes["flow"]
            for block in self._blocks(selection, freq, reporter, flow, release)
        ]
        names = ("freq", "reporter", "partner", "product", "flow", "indicators", "time_period", "number")
        joined = [
            np.concatenate([block[i] for block in blocks]) if blocks else np.zeros(0, np.int64)
            for i in range(len(names))
        ]
        order = np.lexsort(joined[6::-1])
        columns = {name: column[order] for name, column in zip(names, joined, strict=True)}
        columns["position"] = np.arange(len(order))
        self.connection.register("numbers", columns)
        lists = {name: self.codes(name) for name in DIMENSIONS}
        lists["time_period"] = tuple(itertools.chain(*self.periods(release).values()))
        for name, codes in lists.items():
            self.connection.execute(
                f"create or replace temp table {name}_list as "
                "select unnest(cast(? as varchar[])) as code, unnest(range(?)) as i",
                [list(codes), len(codes)],
            )
        joins = " ".join(f"join {name}_list on {name}_list.i = numbers.{name}" for name in lists)
        fields = ", ".join(f"{name}_list.code as {name}" for name in lists)
        self.connection.execute(
            f"create or replace temp table cells as select position, {fields}, "
            # Quantities are kilograms served in units of 100 kg, without trailing zeros.
            f"case when indicators_list.code <> '{QUANTITY}' or number % 100 = 0 "
            f"then cast(if(indicators_list.code = '{QUANTITY}', number // 100, number) as varchar) "
            "else (number // 100) || '.' || rtrim(lpad(cast(number % 100 as varchar), 2, '0'), '0') "
            f"end as obs_value from numbers {joins} order by position"
        )
        self.connection.unregister("numbers")

    def _blocks(
        self, selection: _Selection, freq: str, reporter: str, flow: str, release: Release
    ) -> list[tuple[NDArray[np.int64], ...]]:
        """Code positions and numbers of the cells of one frequency, reporter and flow, by indicator."""
        periods = selection.periods[freq]
        if not periods:
            return []
        cube = self.economy.comext_cube(reporter, int(flow), release)
        all_periods = self.periods(release)
        products = np.array([PRODUCTS.index(code) for code in selection.codes["product"]])
        partners = np.searchsorted(self.economy.partners.codes, selection.codes["partner"])
        times = np.array([all_periods[freq].index(label) for label in periods])
        first_label = 0 if freq == "A" else len(all_periods["A"])

        def cut(cells: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
            part = cells[np.ix_(rows, partners)]
            if freq == "A":
                years = part[..., : 12 * len(all_periods["A"])]
                part = years.reshape(*part.shape[:2], -1, 12).sum(axis=-1)
            return part[..., times]

        value = cut(cube.value, products)
        is_published = value > 0
        newest = release.eurostat_months - 1
        if freq == "M" and newest in times:
            held_back = self.economy.publication_gaps(reporter)[partners]
            is_published[:, held_back, np.flatnonzero(times == newest)[0]] = False

        blocks: list[tuple[NDArray[np.int64], ...]] = []
        for indicator in selection.codes["indicators"]:
            numbers, shown = value, is_published
            if indicator == QUANTITY:
                numbers = cut(cube.quantity, products)
            elif indicator == PIECES:
                piece_codes = sorted(PIECE_VALUES)
                wanted = [i for i, code in enumerate(selection.codes["product"]) if code in PIECE_VALUES]
                numbers = np.zeros_like(value)
                if wanted:
                    rows = [piece_codes.index(selection.codes["product"][i]) for i in wanted]
                    numbers[wanted] = cut(cube.pieces, np.array(rows))
                shown = is_published & (numbers > 0)
            product, partner, time = np.nonzero(shown)
            same = np.ones(len(product), np.int64)
            blocks.append(
                (
                    same * self.codes("freq").index(freq),
                    same * self.codes("reporter").index(reporter),
                    partners[partner].astype(np.int64),
                    products[product].astype(np.int64),
                    same * self.codes("flow").index(flow),
                    same * self.codes("indicators").index(indicator),
                    times[time].astype(np.int64) + first_label,
                    numbers[product, partner, time],
                )
            )
        return blocks

    def _rows(self) -> Rows:
        return Rows(
            connection=self.connection,
            table="cells",
            partner="partner",
            indicator="indicators",
            value="obs_value",
            total=WORLD,
            aggregates=PARTNER_AGGREGATES,
            large_partners=LARGE_PARTNERS,
            unknown_partner="X9",
            main_indicators=(VALUE,),
            renamed_indicator=(VALUE, "VALUE_EUR"),
        )

    def _text(self, statement: str, parameters: Sequence[Any] = ()) -> str:
        row = self.connection.execute(statement, parameters).fetchone()
        return "" if row is None or row[0] is None else str(row[0])

    def _csv(self, release: Release) -> str:
        stamp = release.eurostat_stamp
        update = f"{stamp[8:10]}/{stamp[5:7]}/{stamp[2:4]} {stamp[11:19]}"
        fields = " || ',' || ".join((*DIMENSIONS, "time_period", "obs_value"))
        lines = self._text(
            f"select string_agg(? || {fields} || chr(13) || chr(10), '' order by position) from cells",
            [f"ESTAT:{DATASET}(1.0),{update},"],
        )
        header = ",".join(("DATAFLOW", "LAST UPDATE", *DIMENSIONS, "TIME_PERIOD", "OBS_VALUE"))
        return f"{header}\r\n{lines}"

    def _tsv(self, selection: _Selection) -> str:
        periods = [label for freq in selection.codes["freq"] for label in selection.periods[freq]]
        header = ",".join(DIMENSIONS) + "\\TIME_PERIOD" + "".join(f"\t{label} " for label in periods)
        key = " || ',' || ".join(DIMENSIONS)
        lines = self._text(
            # Every series has a place for every period; an absent value is a colon and a blank.
            "with series as (select min(position) as position, "
            f"{key} as key, map_from_entries(list(distinct (time_period, obs_value))) as cells "
            "from cells group by all) "
            "select string_agg(key || chr(9) || array_to_string(list_transform(cast(? as varchar[]), "
            "lambda period: coalesce(cells[period], ': ')), chr(9)) || chr(13) || chr(10), '' "
            "order by position) from series",
            [periods],
        )
        return f"{header}\r\n{lines}"

    # -- asynchronous -----------------------------------------------------------------------------------

    def _queue(self, make: Callable[[], Reply], request_url: str, release: Release, *, is_stuck: bool) -> Reply:
        identity = str(uuid.uuid5(_NAMESPACE, f"{release.number} {request_url}"))
        self._jobs[identity] = _Job(make, release, is_stuck=is_stuck)
        text = (
            f'{_XML_START}<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header/><S:Body>'
            '<ns0:syncResponse xmlns:ns0="http://estat.ec.europa.eu/disschain/soap/extraction" '
            'xmlns:ns1="http://estat.ec.europa.eu/disschain/asynchronous">'
            f"<ns1:queued><ns1:id>{identity}</ns1:id><ns1:status>SUBMITTED</ns1:status></ns1:queued>"
            "</ns0:syncResponse></S:Body></S:Envelope>"
        )
        return _xml(text)

    def _asynchronous(self, what: str, identity: str, release: Release) -> Reply:
        job = self._jobs.get(identity)
        if job is None:
            raise _RefusalError(400, 100, f"UNKNOWN_REQUEST: {identity}")
        # A job does not outlive the data it was asked of.
        is_expired = job.release != release
        if what == "data":
            if is_expired:
                raise _RefusalError(400, 100, f"UNKNOWN_REQUEST: {identity}")
            if job.is_stuck or job.polls < self.polls_until_available:
                raise _RefusalError(400, 100, f"DATA_NOT_YET_AVAILABLE: {identity}")
            return job.make()
        job.polls += 1
        is_ready = job.polls >= self.polls_until_available and not job.is_stuck
        status = "AVAILABLE" if is_ready else "PROCESSING"
        if is_expired:
            status = "EXPIRED"
        text = (
            f'{_XML_START}<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Header/><S:Body>'
            '<ns0:asyncResponse xmlns:ns0="http://estat.ec.europa.eu/disschain/soap/asynchronous" '
            'xmlns:ns1="http://estat.ec.europa.eu/disschain/asynchronous">'
            f"<ns1:status><ns1:key>{identity}</ns1:key><ns1:status>{status}</ns1:status></ns1:status>"
            "</ns0:asyncResponse></S:Body></S:Envelope>"
        )
        return _xml(text)

    # -- statistics (JSON-stat) -------------------------------------------------------------------------

    def _statistics(self, dataset: str, query: Sequence[tuple[str, str]], release: Release) -> Reply:
        if dataset != DATASET:
            return _json_error(404, 100, _not_found_anywhere(dataset, "ALL,1.0"))
        asked: dict[str, list[str]] = {}
        for name, value in query:
            asked.setdefault(name.lower(), []).append(value)
        options = {"format", "lang", "time", "sincetimeperiod", "untiltimeperiod", "lasttimeperiod"}
        unknown = [name for name in asked if name not in options and name not in DIMENSIONS]
        if unknown:
            return _json_error(
                400, 150, f"INVALID_QUERY_DIMENSION: The dimension {unknown[0]} does not exist in {DATASET}."
            )
        selection, times = self._read_parameters(asked, release)
        if not any(name in asked for name in DIMENSIONS):
            return _json_error(
                413,
                413,
                "EXTRACTION_TOO_BIG_COMEXT: The requested extraction is too big. Full extraction of COMEXT "
                "datasets is forbidden, please add filters to reduce the extraction size",
            )
        cost = len(times)
        for codes in selection.codes.values():
            cost *= len(codes)
        if cost > MOST_ROWS:
            return _json_error(413, 413, _too_big(cost))
        if cost >= SYNCHRONOUS_UP_TO:
            label = "ASYNCHRONOUS_RESPONSE. Your request will be treated asynchronously. Please try again later."
            return _json({"warning": {"status": 413, "label": label}})
        return self._json_stat(selection, times, release)

    def _read_parameters(self, asked: Mapping[str, list[str]], release: Release) -> tuple[_Selection, tuple[str, ...]]:
        codes = {}
        for dimension in DIMENSIONS:
            allowed = self.codes(dimension)
            if dimension in asked:
                # An unknown value is dropped without a word; codes are not case-sensitive here.
                wanted = {code.upper() for code in asked[dimension]}
                allowed = tuple(code for code in allowed if code in wanted)
            codes[dimension] = allowed
        periods = _between(
            self.periods(release),
            asked.get("sincetimeperiod", [""])[-1],
            asked.get("untiltimeperiod", [""])[-1],
        )
        if "time" in asked:
            periods = {freq: tuple(p for p in labels if p in asked["time"]) for freq, labels in periods.items()}
        times = sorted(label for freq in codes["freq"] for label in periods[freq])
        if asked.get("lasttimeperiod", [""])[-1].isdigit():
            times = times[-int(asked["lasttimeperiod"][-1]) :]
            periods = {freq: tuple(p for p in labels if p in times) for freq, labels in periods.items()}
        return _Selection(codes, periods), tuple(times)

    def _json_stat(self, selection: _Selection, times: tuple[str, ...], release: Release) -> Reply:
        self._collect(selection, release)
        axes = {**selection.codes, "time": times}
        strides: dict[str, int] = {}
        size = 1
        for name in reversed(axes):
            strides[name] = size
            size *= len(axes[name])
        index = " + ".join(
            f"(list_position(?, {'time_period' if name == 'time' else name}) - 1) * {strides[name]}" for name in axes
        )
        lists = [list(codes) or [""] for codes in axes.values()]
        values = self._text(
            f"select string_agg(chr(34) || i || chr(34) || ':' || obs_value, ',' order by i) "
            f"from (select {index} as i, obs_value from cells)",
            lists,
        )
        empty = {}
        for name, codes in axes.items():
            column = "time_period" if name == "time" else name
            used = {row[0] for row in self.connection.execute(f"select distinct {column} from cells").fetchall()}
            empty[name] = [i for i, code in enumerate(codes) if code not in used]
        stamp = release.eurostat_stamp
        head = {
            "version": "2.0",
            "class": "dataset",
            "label": DATASET_LABEL,
            "source": "ESTAT",
            "updated": stamp,
        }
        tail = {
            "id": list(axes),
            "size": [len(codes) for codes in axes.values()],
            "dimension": {
                name: {
                    "label": {"freq": "Frequency", "time": "TIME_PERIOD"}.get(name, name.upper()),
                    "category": {
                        "index": {code: i for i, code in enumerate(codes)},
                        "label": {code: code if name == "time" else self.label(name, code) for code in codes},
                    },
                }
                for name, codes in axes.items()
            },
            "extension": {
                "lang": "EN",
                "id": DATASET,
                "agencyId": "ESTAT",
                "version": "1.0",
                "datastructure": {"id": DATASET, "agencyId": "ESTAT", "version": _DSD_VERSION},
                "annotation": [
                    {"type": "DISSEMINATION_OBJECT_TYPE", "title": "DATASET"},
                    {"type": "DISSEMINATION_TIMESTAMP_DATA", "date": stamp},
                    {"type": "DISSEMINATION_TIMESTAMP_GLOBAL", "date": stamp},
                    {"type": "DISSEMINATION_TIMESTAMP_PLANNED", "date": stamp},
                    {
                        "type": "ESMS_HTML",
                        "title": "Explanatory texts (metadata)",
                        "href": "https://ec.europa.eu/eurostat/cache/metadata/en/ext_go_detail_sims.htm",
                    },
                    {"type": "UPDATE_DATA", "date": stamp},
                    {"type": "UPDATE_STRUCTURE", "date": stamp},
                ],
                "positions-with-no-data": empty,
            },
        }
        text = f'{_dump(head)[:-1]},"value":{{{values}}},{_dump(tail)[1:]}'
        return Reply(text.encode(), "application/json")


def _between(periods: Mapping[str, tuple[str, ...]], start: str, end: str) -> dict[str, tuple[str, ...]]:
    """Keep the periods from ``start`` to ``end``, both inclusive, each a year or a month."""

    def is_inside(label: str) -> bool:
        # A bound by year holds all months of it, and a bound by month cuts years by their number.
        after = not start or label[: len(start)] >= start[: len(label)]
        before = not end or label[: len(end)] <= end[: len(label)]
        return after and before

    return {freq: tuple(filter(is_inside, labels)) for freq, labels in periods.items()}


def _too_big(cost: int) -> str:
    return (
        f"EXTRACTION_TOO_BIG: The requested extraction is too big, estimated {cost} rows, max authorised is "
        f"{MOST_ROWS}, please change your filters to reduce the extraction size"
    )


def _not_found_anywhere(name: str, version: str) -> str:
    return f"ERR_NOT_FOUND_4: {name} (DATA_FLOW:{version}) is not available for dissemination."


def _dump(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _json(content: Any, status: int = 200) -> Reply:
    return Reply(_dump(content).encode(), "application/json", status)


def _json_error(status: int, code: int, label: str) -> Reply:
    return _json({"error": [{"status": status, "id": code, "label": label}]}, status)


def _xml(text: str, status: int = 200) -> Reply:
    return Reply(text.encode(), "application/xml", status)


def _fault_reply(fault: _RefusalError) -> Reply:
    text = (
        f'{_XML_START}<S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<faultcode>{fault.code}</faultcode><faultstring>{escape(str(fault))}</faultstring></S:Fault>"
    )
    return _xml(text, fault.status)

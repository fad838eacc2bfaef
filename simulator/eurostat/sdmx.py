"""One dissemination host: SDMX 2.1, the statistics interface and refusals, for any datasets."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence

import duckdb

from simulator.eurostat import structures
from simulator.eurostat.jobs import Jobs
from simulator.eurostat.model import Dataset, Query, Selection, select_between
from simulator.eurostat.observations import Observations
from simulator.eurostat.replies import (
    RefusalError,
    fault_reply,
    json_error,
    json_reply,
    not_found,
)
from simulator.faults.book import FaultBook
from simulator.release import Release
from simulator.reply import Reply

SYNCHRONOUS_UP_TO = 500_000
MOST_ROWS = 5_000_000

_DATA_PATH = re.compile(r"^/sdmx/2\.1/data/(?P<dataset>[^/]+)(?:/(?P<key>[^/]*))?/?$")
_STRUCTURE_PATH = re.compile(
    r"^/sdmx/2\.1/(?P<kind>dataflow|datastructure|contentconstraint|codelist)/(?P<agency>[^/]+)"
    r"(?:/(?P<id>[^/]+))?(?:/(?P<version>[^/]+))?/?$"
)
_STATISTICS_PATH = re.compile(r"^/statistics/1\.0/data/(?P<dataset>[^/]+)$")
_ASYNC_PATH = re.compile(r"^/1\.0/async/(?P<what>status|data)/(?P<id>[^/]+)$")

_FORMATS = ("", "GENERICDATA", "SDMX_2.1_GENERIC", "SDMX_2.1_STRUCTURED", "SDMX-CSV", "TSV", "JSON")
_KINDS = {
    "dataflow": "DATA_FLOW",
    "datastructure": "DATA_STRUCTURE",
    "contentconstraint": "CONTENT_CONSTRAINT",
    "codelist": "CODE_LIST",
}
_FULL_COMEXT = (
    "EXTRACTION_TOO_BIG_COMEXT: The requested extraction is too big. Full extraction of COMEXT "
    "datasets is forbidden, please add filters to reduce the extraction size"
)


class DisseminationHost:
    """One host.

    Parameters
    ----------
    datasets
        Datasets of the host, in the order in which it lists them.
    connection
        Separate DuckDB connection.
    faults
        Faults in force.
    polls_until_available
        Number of status requests before the data of a job are available.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        connection: duckdb.DuckDBPyConnection,
        faults: FaultBook,
        polls_until_available: int = 2,
    ) -> None:
        self.datasets = {dataset.code: dataset for dataset in datasets}
        self.is_comext = any(dataset.is_comext for dataset in datasets)
        self.connection = connection
        self.faults = faults
        self.jobs = Jobs(polls_until_available)

    def answer(self, path: str, query: Query, release: Release) -> Reply:
        """Return the reply to a request.

        Parameters
        ----------
        path
            Path after the root of the host.
        """
        try:
            if match := _DATA_PATH.match(path):
                return self._data(match["dataset"], match["key"] or "", query, release)
            if match := _STRUCTURE_PATH.match(path):
                reply = self._structure(
                    match["kind"], match["agency"], match["id"] or "", match["version"] or "", query, release
                )
                return _compress(reply) if query.get("compressed") == "true" else reply
            if match := _STATISTICS_PATH.match(path):
                return self._statistics(match["dataset"], query, release)
            if match := _ASYNC_PATH.match(path):
                return self.jobs.answer(match["what"], match["id"], release)
            raise RefusalError(404, 100, f"{path} is not available for dissemination.")
        except RefusalError as refusal:
            return fault_reply(refusal)

    # -- structures -------------------------------------------------------------------------------------

    def _structure(self, kind: str, agency: str, name: str, version: str, query: Query, release: Release) -> Reply:
        if agency not in ("ESTAT", "all"):
            raise RefusalError(404, 100, not_found(name or "*", f"{agency},*", _KINDS[kind]))
        references = query.get("references", "none")
        if references not in ("none", "children", "descendants"):
            raise RefusalError(400, 140, f"ERR_GEN_FLOW_REFERENCES: references={references} is not supported.")
        with_data = [dataset for dataset in self.datasets.values() if dataset.cells is not None]
        if kind == "codelist":
            if name not in structures.codelists(with_data):
                raise RefusalError(404, 100, not_found(name or "*", "ESTAT,*", _KINDS[kind]))
            return structures.write_codelist(name, with_data, release, is_tsv=query.get("format") == "TSV")
        is_json = query.get("format").upper() == "JSON"
        if kind == "dataflow" and name in ("", "all"):
            chosen = list(self.datasets.values())
            if is_json:
                return structures.write_dataflows_json(chosen, release, is_list=True)
            return structures.write_dataflows(chosen, release, is_stub=query.get("detail") == "allstubs")
        dataset = self.datasets.get(name.upper())
        is_known_version = version in ("", "latest", "+", "1.0", dataset.dsd_version if dataset else "")
        if dataset is None or not is_known_version or (kind != "dataflow" and dataset.cells is None):
            raise RefusalError(404, 100, not_found(name, "ESTAT,*", _KINDS[kind]))
        if kind == "datastructure":
            return structures.write_data_structure(dataset, release, references=references)
        if kind == "contentconstraint":
            return structures.write_constraint(dataset, release)
        if is_json:
            return structures.write_dataflows_json([dataset], release, is_list=False)
        if dataset.cells is None:
            references = "none"
        return structures.write_dataflows(
            [dataset], release, is_stub=query.get("detail") == "allstubs", references=references
        )

    # -- SDMX 2.1 data ----------------------------------------------------------------------------------

    def _data(self, name: str, key: str, query: Query, release: Release) -> Reply:
        dataset = self.datasets.get(name.upper())
        if dataset is None or dataset.cells is None:
            # The main host uses the text for an unknown dataflow.
            text = f"ERR_NOT_FOUND_2: DATA_SET:{name} is not available for dissemination."
            raise RefusalError(404, 100, text if self.is_comext else not_found(name, "ESTAT,*"))
        form = query.get("format").upper()
        if form not in _FORMATS:
            raise RefusalError(501, 501, f"The simulator does not serve format '{form}': ask {', '.join(_FORMATS)}.")
        selection = self._read_key(dataset, key, query, release)
        if selection.cost > MOST_ROWS:
            raise RefusalError(413, 413, _too_big(selection.cost))

        def make() -> Reply:
            return self._write(dataset, selection, query, release)

        if legacy := self.faults.take(query.url, "async_footer"):
            return self.jobs.queue_legacy(dataset, make, query, release, int(legacy.options.get("misses", 0)))
        is_stuck = self.faults.take(query.url, "async_never") is not None
        if is_stuck or (selection.cost >= SYNCHRONOUS_UP_TO and not self.jobs.is_prepared(query, release)):
            return self.jobs.queue(dataset, make, query, release, is_stuck=is_stuck)
        return make()

    def _read_key(self, dataset: Dataset, key: str, query: Query, release: Release) -> Selection:
        positions = key.split(".") if key not in ("", "all") else [""] * len(dataset.dimensions)
        if not any(positions) and dataset.is_comext:
            raise RefusalError(413, 413, _FULL_COMEXT)
        if len(positions) != len(dataset.dimensions):
            raise RefusalError(
                400,
                140,
                f"INVALID_QUERY_KEY: The key '{key}' has {len(positions)} positions, the data structure of "
                f"{dataset.code} has {len(dataset.dimensions)}.",
            )
        codes: dict[str, tuple[str, ...]] = {}
        for dimension, text in zip(dataset.dimensions, positions, strict=True):
            asked = dict.fromkeys(text.split("+")) if text else dict.fromkeys(dimension.codes)
            unknown = [code for code in asked if code not in dimension.labels]
            if unknown:
                raise RefusalError(
                    400,
                    150,
                    "INVALID_QUERY_DIMENSION_VALUE: Invalid value in the query. The following values for "
                    f"dimension are not allowed: {dimension.name.upper()}={','.join(unknown)}",
                )
            codes[dimension.name] = tuple(code for code in dimension.codes if code in asked)
        start, end = query.get("startPeriod"), query.get("endPeriod")
        for period in filter(None, (start, end)):
            if not re.fullmatch(r"\d{4}(-\d{2})?", period):
                raise RefusalError(400, 140, f"INVALID_QUERY_TIME_PERIOD: '{period}' is not a time period.")
        return Selection(codes, select_between(dataset.periods(release), start, end))

    def _write(self, dataset: Dataset, selection: Selection, query: Query, release: Release) -> Reply:
        observations = self._observe(dataset, selection, query, release)
        for option, is_last in (("lastNObservations", True), ("firstNObservations", False)):
            if query.get(option).isdigit():
                observations.keep_observations(int(query.get(option)), last=is_last)
        form = query.get("format").upper()
        if form == "SDMX-CSV":
            text, media_type = observations.csv(), "application/vnd.sdmx.data+csv;version=1.0.0"
        elif form == "TSV":
            text, media_type = observations.tsv(), "text/tab-separated-values"
        elif form == "JSON":
            times = sorted(label for freq in selection.codes["freq"] for label in selection.periods[freq])
            text, media_type = observations.json_stat(times), "application/json"
        elif form == "SDMX_2.1_STRUCTURED":
            text = observations.structured_xml()
            media_type = "application/vnd.sdmx.structurespecificdata+xml;version=2.1"
        else:
            text, media_type = observations.generic_xml(), "application/vnd.sdmx.genericdata+xml;version=2.1"
        reply = Reply(text.encode(), media_type)
        return _compress(reply) if query.get("compressed") == "true" else reply

    def _observe(self, dataset: Dataset, selection: Selection, query: Query, release: Release) -> Observations:
        """Return the cells of a selection, after the faults in the data."""
        observations = Observations(self.connection, dataset, selection, release)
        rows = observations.rows()
        if rows is not None:
            self.faults.spoil_rows(query.url, rows)
        return observations

    # -- statistics (JSON-stat) -------------------------------------------------------------------------

    def _statistics(self, name: str, query: Query, release: Release) -> Reply:
        dataset = self.datasets.get(name.upper())
        if dataset is None or dataset.cells is None:
            return json_error(404, 100, not_found(name, "ALL,1.0"))
        asked: dict[str, list[str]] = {}
        for parameter, value in query.parameters:
            asked.setdefault(parameter.lower(), []).append(value)
        options = {"format", "lang", "time", "sincetimeperiod", "untiltimeperiod", "lasttimeperiod"}
        unknown = [parameter for parameter in asked if parameter not in options and parameter not in dataset.names]
        if unknown:
            return json_error(
                400, 150, f"INVALID_QUERY_DIMENSION: The dimension {unknown[0]} does not exist in {dataset.code}."
            )
        selection, times = _read_parameters(dataset, asked, release)
        if dataset.is_comext and not any(parameter in asked for parameter in dataset.names):
            return json_error(413, 413, _FULL_COMEXT)
        cost = len(times)
        for codes in selection.codes.values():
            cost *= len(codes)
        if cost > MOST_ROWS:
            return json_error(413, 413, _too_big(cost))

        def make() -> Reply:
            observations = self._observe(dataset, selection, query, release)
            return Reply(observations.json_stat(times).encode(), "application/json")

        is_stuck = self.faults.take(query.url, "async_never") is not None
        if is_stuck or (cost >= SYNCHRONOUS_UP_TO and not self.jobs.is_prepared(query, release)):
            # The reply has no key: a client polls by repeating its request.
            self.jobs.poll(self.jobs.add(dataset, make, query, release, is_stuck=is_stuck))
            label = "ASYNCHRONOUS_RESPONSE. Your request will be treated asynchronously. Please try again later."
            return json_reply({"warning": {"status": 413, "label": label}})
        return make()


def _read_parameters(
    dataset: Dataset, asked: Mapping[str, list[str]], release: Release
) -> tuple[Selection, tuple[str, ...]]:
    codes = {}
    for dimension in dataset.dimensions:
        allowed = dimension.codes
        if dimension.name in asked:
            # An unknown value is dropped without an error; codes are not case-sensitive here.
            wanted = {code.upper() for code in asked[dimension.name]}
            allowed = tuple(code for code in allowed if code.upper() in wanted)
        codes[dimension.name] = allowed
    periods = select_between(
        dataset.periods(release), asked.get("sincetimeperiod", [""])[-1], asked.get("untiltimeperiod", [""])[-1]
    )
    if "time" in asked:
        periods = {freq: tuple(p for p in labels if p in asked["time"]) for freq, labels in periods.items()}
    times = sorted(label for freq in codes["freq"] for label in periods[freq])
    if asked.get("lasttimeperiod", [""])[-1].isdigit():
        times = times[-int(asked["lasttimeperiod"][-1]) :]
        periods = {freq: tuple(p for p in labels if p in times) for freq, labels in periods.items()}
    return Selection(codes, periods), tuple(times)


def _too_big(cost: int) -> str:
    return (
        f"EXTRACTION_TOO_BIG: The requested extraction is too big, estimated {cost} rows, max authorised is "
        f"{MOST_ROWS}, please change your filters to reduce the extraction size"
    )


def _compress(reply: Reply) -> Reply:
    return Reply(gzip.compress(reply.body, compresslevel=5, mtime=0), "application/gzip", reply.status)

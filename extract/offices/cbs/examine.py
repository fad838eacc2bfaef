"""Request every CBS endpoint once and compare the replies with the registry."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import quote as url_quote

from extract.dataset import Dataset, same_unit
from extract.errors import BadReplyError, ExtractError
from extract.examine import Examination, Examined
from extract.http import OfficeSession
from extract.offices.base import reads_replies
from extract.offices.cbs.measures import v3_topics, v4_measures
from extract.offices.cbs.metadata import read_version
from extract.offices.cbs.office import CbsOffice
from extract.offices.cbs.replies import check_observation_fields, inspect_count, inspect_json, inspect_zip
from extract.offices.cbs.selection import observation_filter
from extract.replies import UnreadableError, read_object, read_rows
from extract.slices import Slice
from extract.verdicts import Reply

# Number of other tables examined when the declared one does not match its declaration.
_MOST_CANDIDATES = 8


@reads_replies
def examine(session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> list[Examined]:
    """Request all endpoints of one table."""
    visit = Examination(session, dataset.code)
    table = f"{hosts['v4']}/{dataset.identifier}"
    properties = visit.ask("v4 Properties", f"{table}/Properties", inspect_json)
    visit.compare("v4 Properties", properties, lambda reply: _compare_properties(reply, dataset))
    dimensions = visit.ask("v4 Dimensions", f"{table}/Dimensions", inspect_json)
    visit.compare("v4 Dimensions", dimensions, lambda reply: _compare_dimensions(reply, dataset))
    measures = visit.ask("v4 MeasureCodes", f"{table}/MeasureCodes", inspect_json)
    visit.compare("v4 MeasureCodes", measures, lambda reply: _compare_measures(reply, dataset))
    for dimension in dataset.dimensions:
        codes = visit.ask(f"v4 {dimension}Codes", f"{table}/{dimension}Codes", inspect_json)
        visit.compare(f"v4 {dimension}Codes", codes, partial(_compare_codes, dataset=dataset, dimension=dimension))
    part = Slice(dataset.code, "NL", dataset.first_period, products=dataset.products)
    query = url_quote(observation_filter(dataset, part))
    count = visit.ask("v4 $count", f"{table}/Observations/$count?$filter={query}", inspect_count)
    visit.note("v4 $count", count, f"{count.text().strip()} observations in the slice" if count else "")
    few = visit.ask("v4 Observations", f"{table}/Observations?$filter={query}&$top=3", inspect_json)
    visit.compare("v4 Observations", few, lambda reply: _compare_observations(reply, dataset))
    if dataset.bulk:
        visit.note("bulk zip", visit.ask("bulk zip", f"{hosts['bulk']}/{dataset.identifier}", inspect_zip))
    if dataset.fallback:
        feed = f"{hosts['v3']}/ODataFeed/odata/{dataset.identifier}"
        infos = visit.ask("v3 TableInfos", f"{feed}/TableInfos?$format=json", inspect_json)
        visit.note("v3 TableInfos", infos)
        topics = visit.ask("v3 DataProperties", f"{feed}/DataProperties?$format=json", inspect_json)
        visit.compare("v3 DataProperties", topics, lambda reply: _compare_topics(reply, dataset))
        rows = visit.ask("v3 TypedDataSet", f"{feed}/TypedDataSet?$format=json&$top=3", inspect_json)
        visit.note("v3 TypedDataSet", rows)
    if any(result.outcome in ("fails", "differs") for result in visit.results) and dataset.discover:
        visit.results += _candidates(session, hosts, dataset)
    return visit.results


@reads_replies
def examine_office(session: OfficeSession, hosts: dict[str, str]) -> list[Examined]:
    """Request the endpoints that belong to no table: catalogues and the release calendar."""
    visit = Examination(session, "cbs")
    catalogue = visit.ask(
        "v4 catalogue", f"{hosts['v4']}/Datasets?$select=Identifier,Title,Status,Modified", inspect_json
    )
    if catalogue is not None:
        try:
            visit.note("v4 catalogue", catalogue, f"{len(read_rows(catalogue.path)):,} tables")
        except UnreadableError as error:
            visit.results.append(Examined("cbs", "v4 catalogue", catalogue.record.url, "differs", error.problem))
    visit.note(
        "v3 catalogue",
        visit.ask("v3 catalogue", f"{hosts['v3']}/ODataCatalog/Tables?$format=json&$top=5", inspect_json),
    )
    visit.note(
        "release calendar",
        visit.ask(
            "release calendar", f"{hosts['website']}/Events?$top=5&$filter=Language%20eq%20'nl-NL'", inspect_json
        ),
    )
    return visit.results


def _compare_properties(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    content = read_object(reply.path)
    title, status = str(content.get("Title", "")).strip(), str(content.get("Status", ""))
    read_version(reply, dataset)
    if status not in ("Regulier", ""):
        return f"Status is {status!r}", ""
    if title != dataset.title_nl:
        return f"Title is {title!r}", f"title_nl: {json.dumps(title, ensure_ascii=False)}"
    return "", ""


def _compare_dimensions(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    found = [row["Identifier"] for row in read_rows(reply.path, "Identifier")]
    if {*found} == {*dataset.dimensions}:
        return "", ""
    pairs = ", ".join(f"{name}: {dataset.dimensions.get(name, name.lower())}" for name in found)
    return f"dimensions are {found}", f"dimensions: {{{pairs}}}"


def _compare_measures(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    found = {row["Identifier"].strip(): row for row in read_rows(reply.path, "Identifier")}
    try:
        codes = v4_measures(reply.path, dataset, reply.record.url)
    except BadReplyError as error:
        return error.problem, ""
    for measure in dataset.measures:
        code = codes[measure.code]
        unit, index = str(found[code].get("Unit") or "").strip(), found[code].get("Index")
        other = f"{measure.code} is {code} here; {code}" if code != measure.code else code
        if code != measure.code or not same_unit(unit, measure.unit) or measure.index not in (None, index):
            factor = f"{measure.factor:g}" if same_unit(unit, measure.unit) else "<check>"
            line = (
                f"- {{code: {code}, unit: {unit}, canonical_unit: {measure.canonical_unit}, factor: {factor},"
                f" index: {index}, title: {json.dumps(measure.title, ensure_ascii=False)}, group: '{measure.group}'}}"
            )
            return f"{other} has unit {unit!r} and Index {index}", line
    return "", ""


def _compare_codes(reply: Reply, dataset: Dataset, dimension: str) -> tuple[str, str]:
    codes = {row["Identifier"].strip() for row in read_rows(reply.path, "Identifier")}
    column = dataset.dimensions[dimension]
    wanted = list(dataset.select.get(dimension, ()))
    if column == "product":
        wanted += dataset.products
    if column == "partner" and dataset.total_partner:
        wanted.append(dataset.total_partner)
    absent = [
        code
        for code in wanted
        if not (any(c.startswith(code[:-1]) for c in codes) if code.endswith("*") else code in codes)
    ]
    sample = ", ".join(sorted(codes)[:5])
    return (f"no code {absent}; {len(codes)} codes such as {sample}", "") if absent else ("", "")


def _compare_observations(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    more = check_observation_fields(reply.path, dataset)
    return (f"fields that are not declared: {sorted(more)}", "") if more else ("", "")


def _compare_topics(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    v3_topics(reply.path, dataset)
    return "", ""


def _candidates(session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> list[Examined]:
    """Search the catalogue entries that match `discover` for a table that fits the declaration."""
    visit = Examination(session, dataset.code)
    dimension = dataset.dimension_of("product")
    wanted = next((code for code in dataset.products), "")
    try:
        entries = CbsOffice().discover(session, hosts, dataset.discover)
    except ExtractError as error:
        # The findings of the table itself must be kept.
        return [Examined(dataset.code, "v4 catalogue", error.where, "fails", error.problem)]
    for entry in entries[:_MOST_CANDIDATES]:
        endpoint = f"candidate {entry.identifier}"
        if entry.identifier == dataset.identifier:
            continue
        if not wanted:
            if " ".join(entry.title.split()) == dataset.title_nl:
                url = f"{hosts['v4']}/{entry.identifier}/Dimensions"
                reply = visit.ask(endpoint, url, inspect_json)
                if reply is not None and _compare_dimensions(reply, dataset) == ("", ""):
                    detail = f"has the same title and dimensions: {entry.title}"
                    line = f"identifier: {entry.identifier}"
                    visit.results.append(Examined(dataset.code, endpoint, url, "differs", detail, line))
            continue
        query = url_quote(f"startswith(Identifier,'{wanted.rstrip('*')}')")
        url = f"{hosts['v4']}/{entry.identifier}/{dimension}Codes?$filter={query}&$top=1"
        reply = visit.ask(endpoint, url, inspect_json)
        try:
            is_found = reply is not None and bool(read_rows(reply.path))
        except UnreadableError:
            # This is a candidate; problems of the declared table are reported by its own endpoints.
            is_found = False
        if is_found:
            line = f"identifier: {entry.identifier}"
            visit.results.append(
                Examined(dataset.code, endpoint, url, "differs", f"holds {wanted}: {entry.title}", line)
            )
    return [result for result in visit.results if result.outcome != "fails"]

"""Request every Eurostat endpoint once and compare the replies with the registry."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from extract.dataset import Dataset
from extract.errors import ExtractError
from extract.examine import Examination, Examined
from extract.http import OfficeSession
from extract.offices.base import reads_replies
from extract.offices.comext import bulk as comext_bulk
from extract.offices.comext import lists as comext_lists
from extract.offices.eurostat.asynchronous import read_envelope
from extract.offices.eurostat.faults import read_fault
from extract.offices.eurostat.files import file_url
from extract.offices.eurostat.formats import check_header, inspect_data
from extract.offices.eurostat.requests import key_codes
from extract.offices.eurostat.structure import inspect_structure, inspect_toc
from extract.replies import read_object, read_xml
from extract.slices import Slice
from extract.verdicts import Reply, Verdict

# A reporter that every dataset has, for requests of one cell.
_REPORTER = "NL"
_IRON_AND_STEEL = {"CN": "72", "SITC": "67", "CPA22": "24"}
_NO_JOB = "00000000-0000-0000-0000-000000000000"


@reads_replies
def examine(session: OfficeSession, hosts: dict[str, str], dataset: Dataset) -> list[Examined]:
    """Request all endpoints of one dataset."""
    visit = Examination(session, dataset.code)
    if dataset.protocol == "comext_bulk":
        return _examine_bulk(visit, session, hosts, dataset)
    if dataset.protocol == "comext_list":
        return _examine_list(visit, session, hosts, dataset)
    host = hosts["comext" if dataset.is_comext else "main"]
    structure = f"{host}/sdmx/2.1"
    flow = visit.ask(
        "dataflow", f"{structure}/dataflow/ESTAT/{dataset.identifier}/1.0?detail=allstubs", inspect_structure
    )
    visit.note("dataflow", flow)
    definition = visit.ask("datastructure", f"{structure}/datastructure/ESTAT/{dataset.identifier}", inspect_structure)
    visit.compare("datastructure", definition, lambda reply: _compare_dimensions(reply, dataset))
    constraint = visit.ask(
        "contentconstraint", f"{structure}/contentconstraint/ESTAT/{dataset.identifier}", inspect_structure
    )
    visit.compare("contentconstraint", constraint, lambda reply: _compare_codes(reply, dataset))
    part = Slice(dataset.code, _REPORTER, dataset.first_period, products=_one_product(dataset))
    codes = key_codes(dataset, part)
    key = ".".join("+".join(values[:1]) for values in codes.values())
    for name, suffix in (
        ("SDMX-CSV", "format=SDMX-CSV&compressed=false"),
        ("SDMX-CSV, gzip", "format=SDMX-CSV&compressed=true"),
        ("TSV", "format=TSV&compressed=false"),
    ):
        url = f"{structure}/data/{dataset.identifier}/{key}?lastNObservations=1&{suffix}"
        reply = visit.ask(f"data as {name}", url, _data_or_envelope)
        if name.startswith("SDMX") and reply is not None and read_envelope(reply.path) is None:
            visit.compare(f"data as {name}", reply, lambda reply: _compare_columns(reply, dataset))
        else:
            visit.note(f"data as {name}", reply)
    query = "&".join(f"{name}={values[0]}" for name, values in codes.items() if values)
    url = f"{host}/statistics/1.0/data/{dataset.identifier}?format=JSON&lang=EN&{query}&lastTimePeriod=1"
    visit.compare("data as JSON-stat", visit.ask("data as JSON-stat", url, inspect_data), _compare_json_stat)
    return visit.results


@reads_replies
def examine_office(session: OfficeSession, hosts: dict[str, str]) -> list[Examined]:
    """Request the endpoints that belong to no dataset."""
    visit = Examination(session, "eurostat")
    for endpoint, url, inspect in (
        ("Comext listing", f"{hosts['comext']}/sdmx/2.1/dataflow/ESTAT", inspect_structure),
        ("table of contents", f"{hosts['main']}/catalogue/toc/txt?lang=en", inspect_toc),
        ("async status, Comext", f"{hosts['comext']}/1.0/async/status/{_NO_JOB}", _anything),
        ("async status, main", f"{hosts['main']}/1.0/async/status/{_NO_JOB}", _anything),
        ("unknown dataset", f"{hosts['comext']}/sdmx/2.1/data/DS-999999/M", _anything),
    ):
        # The last three are meant to be refused: the form of the refusal is kept in the raw store.
        visit.note(endpoint, visit.ask(endpoint, url, inspect))
    return [
        Examined(r.dataset, r.endpoint, r.url, "answers", r.detail)
        if ("async" in r.endpoint or "unknown" in r.endpoint) and r.detail.startswith("HTTP 4")
        else r
        for r in visit.results
    ]


def _examine_bulk(
    visit: Examination, session: OfficeSession, hosts: dict[str, str], dataset: Dataset
) -> list[Examined]:
    try:
        files = comext_bulk.list_files(session, hosts, dataset, comext_bulk.FOLDER)
        older = comext_bulk.list_files(session, hosts, dataset, comext_bulk.HISTORICAL_FOLDER)
    except ExtractError as error:
        return [Examined(dataset.code, "files listing", error.where, "fails", error.problem)]
    newest = files[max(files)] if files else None
    detail = f"{len(files)} months to {max(files, default='none')}, {len(older)} historical"
    outcome = "as declared" if newest else "differs"
    visit.results.append(Examined(dataset.code, "files listing", comext_bulk.FOLDER, outcome, detail))
    if newest is not None:
        # The smallest file has the same layout as the newest.
        smallest = min(files.values(), key=lambda file: file.size)
        url = file_url(hosts, smallest)
        archive = visit.ask(f"bulk file {smallest.name}", url, comext_bulk.inspect_seven_zip)
        visit.compare(f"bulk file {smallest.name}", archive, _compare_layout)
    return visit.results


def _examine_list(
    visit: Examination, session: OfficeSession, hosts: dict[str, str], dataset: Dataset
) -> list[Examined]:
    try:
        file = comext_lists.find_list(session, hosts, dataset)
    except ExtractError as error:
        return [Examined(dataset.code, "files listing", error.where, "fails", error.problem)]
    detail = f"{file.size:,} bytes of {file.modified}"
    visit.results.append(Examined(dataset.code, "files listing", file.folder, "as declared", detail))
    reply = visit.ask(f"list {file.name}", file_url(hosts, file), partial(comext_lists.inspect_list, file))
    visit.compare(f"list {file.name}", reply, lambda reply: (comext_lists.layout_problem(dataset, reply.path), ""))
    return visit.results


def _compare_layout(reply: Reply) -> tuple[str, str]:
    layout, header = comext_bulk.layout_of(reply.path)
    return ("", "") if layout else (f"columns are {header}", "")


def _one_product(dataset: Dataset) -> tuple[str, ...]:
    # The products of scopes are unknown here; iron and steel is in each nomenclature.
    return (_IRON_AND_STEEL[dataset.nomenclature],) if "scopes" in dataset.products else dataset.products[:1]


def _compare_dimensions(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    found = []
    for element in read_xml(reply.path).iter():
        if element.tag.rsplit("}", 1)[-1] in ("Dimension", "TimeDimension") and element.get("id"):
            found.append((int(element.get("position", "99")), str(element.get("id"))))
    names = [name for _, name in sorted(found)]
    if names == list(dataset.dimensions):
        return "", ""
    pairs = ", ".join(f"{name}: {dataset.dimensions.get(name, name.lower())}" for name in names)
    return f"dimensions are {names}", f"dimensions: {{{pairs}}}"


def _compare_codes(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    offered: dict[str, set[str]] = {}
    for element in read_xml(reply.path).iter():
        if element.tag.rsplit("}", 1)[-1] == "KeyValue":
            values = (value.text or "" for value in element.iter() if value.tag.rsplit("}", 1)[-1] == "Value")
            offered[element.get("id", "")] = set(values)
    part = Slice(dataset.code, _REPORTER, dataset.first_period, products=_one_product(dataset))
    wanted = {name: set(codes) for name, codes in key_codes(dataset, part).items()}
    if dataset.total_partner:
        wanted[dataset.dimension_of("partner")] = {dataset.total_partner}
    absent = {
        name: sorted(codes - offered[name])
        for name, codes in wanted.items()
        if name in offered and codes - offered[name]
    }
    if not absent:
        return "", ""
    some = {name: sorted(offered[name])[:8] for name in absent}
    return f"codes that are not offered: {absent}; offered are such as {some}", ""


def _compare_columns(reply: Reply, dataset: Dataset) -> tuple[str, str]:
    header = check_header(reply.path, reply.record.url, dataset)
    known = {*dataset.dimensions, "DATAFLOW", "LAST UPDATE", "OBS_VALUE", "OBS_FLAG", "CONF_STATUS"}
    more = [name for name in header if name not in known]
    return (f"columns that are not declared: {more}", "") if more else ("", "")


def _compare_json_stat(reply: Reply) -> tuple[str, str]:
    content = read_object(reply.path)
    return ("", "") if content.get("updated") else ("no `updated`", "")


def _data_or_envelope(path: Path, content_type: str) -> Verdict | None:
    return None if read_envelope(path) is not None else inspect_data(path, content_type)


def _anything(path: Path, content_type: str) -> Verdict | None:
    return read_fault(path)

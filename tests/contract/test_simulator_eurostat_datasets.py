"""All datasets of both simulated Eurostat hosts: recorded formats, and consistent numbers."""

from __future__ import annotations

import csv
import gzip
import io
import re
import time
import xml.etree.ElementTree as ET
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator.partners import EU_MEMBERS
from simulator.products import GROUP_CODES, PRODUCTS, cpa22
from simulator.server import run_simulator

COMEXT = "/eurostat/api/comext/dissemination"
MAIN = "/eurostat/api/dissemination"
MAIN_CODES = (
    "STS_INPR_M", "STS_INTV_M", "STS_INTVD_M", "STS_INTVND_M", "STS_INPP_M", "STS_INPPD_M", "STS_INPPND_M",
    "ERT_BIL_EUR_M", "EXT_ST_EU27_2020SITC", "EXT_TEC01", "EXT_TEC03",
)  # fmt: skip
COMMON = "{http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common}"
STRUCTURE = "{http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure}"

pytestmark = pytest.mark.enable_socket

Cells = dict[tuple[str, ...], str]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_simulator() as base_url:
        yield base_url


@pytest.fixture
def base(server: str) -> Iterator[str]:
    yield server
    requests.delete(f"{server}/_simulator/faults", timeout=10)
    requests.post(f"{server}/_simulator/release", json={"number": 12}, timeout=10)


def get(base: str, path: str, **options: str) -> requests.Response:
    root = COMEXT if "DS-" in path else MAIN
    return requests.get(f"{base}{root}{path}", params=options, timeout=120)


def read(base: str, code: str, key: str, **options: str) -> list[dict[str, str]]:
    reply = get(base, f"/sdmx/2.1/data/{code}/{key}", format="SDMX-CSV", **options)
    assert reply.text.startswith("DATAFLOW,"), reply.text[:500]
    return list(csv.DictReader(io.StringIO(reply.text, newline="")))


def values(rows: list[dict[str, str]], *names: str) -> dict[tuple[str, ...], float]:
    return {tuple(row[name] for name in names): float(row["OBS_VALUE"]) for row in rows}


def fault(reply: requests.Response) -> tuple[int, str, str]:
    root = ET.fromstring(reply.content)
    return reply.status_code, root.findtext("faultcode") or "", root.findtext("faultstring") or ""


def skeleton(text: str) -> list[tuple[str, tuple[str, ...]]]:
    seen: dict[tuple[str, tuple[str, ...]], None] = {}
    for _, element in ET.iterparse(io.BytesIO(text.encode()), events=("start",)):
        seen[(element.tag.rpartition("}")[2], tuple(sorted(name.rpartition("}")[2] for name in element.attrib)))] = None
    return list(seen)


def ids(text: str, tag: str) -> list[str]:
    return [element.attrib["id"] for element in ET.fromstring(text.encode()).iter(f"{STRUCTURE}{tag}")]


# -- the listings -----------------------------------------------------------------------------------------


def test_comext_host_lists_the_recorded_dataflows(base: str, shared_data: Path) -> None:
    real = (shared_data / "eurostat" / "api-2026-09" / "comext-dataflows.xml").read_text(encoding="utf-8")
    ours = requests.get(f"{base}{COMEXT}/sdmx/2.1/dataflow/ESTAT", timeout=30).content.decode()

    def flows(text: str) -> list[tuple[Any, ...]]:
        return [
            (
                flow.attrib["id"],
                [(name.attrib, name.text) for name in flow.findall(f"{COMMON}Name")],
                flow.find(f"{STRUCTURE}Structure/Ref").attrib,  # type: ignore[union-attr]
            )
            for flow in ET.fromstring(text.encode()).iter(f"{STRUCTURE}Dataflow")
        ]

    assert flows(ours) == flows(real)


def test_main_host_lists_its_datasets(base: str) -> None:
    text = get(base, "/sdmx/2.1/dataflow/ESTAT").text
    assert set(ids(text, "Dataflow")) == set(MAIN_CODES)
    for path in ("/sdmx/2.1/dataflow/ESTAT/all/latest", "/sdmx/2.1/dataflow/all"):
        assert get(base, path).text == text
    kinds = {element.text for element in ET.fromstring(text.encode()).iter(f"{COMMON}AnnotationType")}
    # The Comext host states neither of them.
    assert {"OBS_COUNT", "OBS_PERIOD_OVERALL_LATEST", "OBS_PERIOD_OVERALL_OLDEST"} <= kinds
    assert "OBS_COUNT" not in requests.get(f"{base}{COMEXT}/sdmx/2.1/dataflow/ESTAT", timeout=30).text


def test_stubs_have_only_names(base: str) -> None:
    text = get(base, "/sdmx/2.1/dataflow/ESTAT", detail="allstubs").text
    assert set(ids(text, "Dataflow")) == set(MAIN_CODES)
    assert "Annotation" not in text
    assert "Production in industry - monthly data" in text


@pytest.mark.parametrize("code", ["DS-059331", "DS-059341", "DS-059366", *MAIN_CODES])
def test_every_dataset_has_complete_metadata(base: str, code: str) -> None:
    structure = ET.fromstring(get(base, f"/sdmx/2.1/datastructure/ESTAT/{code}").content)
    dimensions = [element.attrib["id"] for element in structure.iter(f"{STRUCTURE}Dimension")]
    assert dimensions[0] == "freq"
    assert [element.attrib["id"] for element in structure.iter(f"{STRUCTURE}Attribute")] == (
        [] if code.startswith("DS-") else ["OBS_FLAG", "CONF_STATUS"]
    )
    constraint = ET.fromstring(get(base, f"/sdmx/2.1/contentconstraint/ESTAT/{code}").content)
    allowed = {
        key.attrib["id"]: [value.text or "" for value in key.iter(f"{COMMON}Value")]
        for key in constraint.iter(f"{COMMON}KeyValue")
    }
    assert set(allowed) == {*dimensions, "TIME_PERIOD"}
    for reference, dimension in zip(structure.iter(f"{STRUCTURE}Enumeration"), dimensions, strict=False):
        codelist = reference.find("Ref").attrib["id"]  # type: ignore[union-attr]
        text = get(base, f"/sdmx/2.1/codelist/ESTAT/{codelist}" + ("?DS-" if code.startswith("DS-") else "")).text
        assert set(allowed[dimension]) <= set(ids(text, "Code")), dimension
    # Request one code per dimension and the last period; the reply must have those columns.
    one = {name: allowed[name][-1] for name in dimensions} | {"geo": "NL", "reporter": "NL", "partner": ""}
    key = ".".join(one[name] for name in dimensions)
    rows = read(base, code, key, lastNObservations="1", startPeriod="2024")
    assert list(rows[0])[2:-1] == [*dimensions, "TIME_PERIOD"] + (
        [] if code.startswith("DS-") else ["OBS_VALUE", "OBS_FLAG"]
    )
    assert rows[0]["DATAFLOW"] == f"ESTAT:{code}(1.0)"


def test_code_list_in_both_formats(base: str) -> None:
    text = get(base, "/sdmx/2.1/codelist/ESTAT/NACE_R2").text
    names = {
        code.attrib["id"]: code.findtext(f"{COMMON}Name") or ""
        for code in ET.fromstring(text.encode()).iter(f"{STRUCTURE}Code")
    }
    assert names["C24"] == "Manufacture of basic metals"
    lines = get(base, "/sdmx/2.1/codelist/ESTAT/NACE_R2/latest", format="TSV").content.decode().split("\r\n")
    assert dict(line.split("\t") for line in lines[:-1]) == names
    packed = get(base, "/sdmx/2.1/codelist/ESTAT/NACE_R2/latest", format="TSV", compressed="true").content
    assert gzip.decompress(packed).decode() == "\r\n".join(lines)
    comext = requests.get(f"{base}{COMEXT}/sdmx/2.1/codelist/ESTAT/CXT_FREE_ISO", timeout=30).text
    assert {"GR", "GB", "XS", "WORLD", "EXT_EU27_2020"} <= set(ids(comext, "Code"))


def test_references_include_the_structures_of_a_dataflow(base: str) -> None:
    path = "/sdmx/2.1/dataflow/ESTAT/DS-045409/1.0"
    assert ids(get(base, path, references="children").text, "DataStructure") == ["DS-045409"]
    text = get(base, path, references="descendants").text
    assert ids(text, "Codelist") == ["CXT_FREQ", "CXT_FREE_ISO", "CXT_NC", "CXT_EU_FLUX", "CXT_INDICATORS"]
    assert ids(text, "ConceptScheme") == ["DS-045409"]
    refused = fault(get(base, "/sdmx/2.1/dataflow/ESTAT/DS-045409/latest", references="all"))
    assert refused[:2] == (400, "140")
    assert refused[2].startswith("ERR_GEN_FLOW_REFERENCES")


@pytest.mark.parametrize("kind", ["dataflow", "datastructure", "contentconstraint", "codelist"])
def test_unknown_structure_is_not_found(base: str, kind: str) -> None:
    assert fault(get(base, f"/sdmx/2.1/{kind}/ESTAT/NO_SUCH"))[:2] == (404, "100")
    assert fault(get(base, f"/sdmx/2.1/{kind}/OECD/STS_INPR_M"))[:2] == (404, "100")


def test_each_host_has_only_its_own_datasets(base: str) -> None:
    for root, code in ((COMEXT, "STS_INPR_M"), (MAIN, "DS-059341")):
        for path in (f"/sdmx/2.1/data/{code}/M.....", f"/sdmx/2.1/dataflow/ESTAT/{code}"):
            reply = requests.get(f"{base}{root}{path}", timeout=30)
            assert fault(reply)[:2] == (404, "100")
        error = requests.get(f"{base}{root}/statistics/1.0/data/{code}", timeout=30)
        assert (error.status_code, error.json()["error"][0]["id"]) == (404, 100)
    # The host lists it, but the simulator has no data for it.
    assert fault(get(base, "/sdmx/2.1/data/DS-059358/M....."))[:2] == (404, "100")


# -- the same trade by other product classifications ------------------------------------------------------


def test_hs_agrees_with_cn8_and_counts_in_kilograms(base: str) -> None:
    options = {"startPeriod": "2025-11", "endPeriod": "2026-08"}
    key = "M.NL+SE.US+DE+WORLD.72+7204+720421+TOTAL+76.1+2."
    names = ("reporter", "partner", "product", "flow", "indicators", "TIME_PERIOD")
    detailed = values(read(base, "DS-045409", key, **options), *names)
    grouped = values(read(base, "DS-059341", key, **options), *names)
    assert len(grouped) == len(detailed) > 500
    for (*place, indicator, period), number in grouped.items():
        other = {"VALUE_EUR": "VALUE_IN_EUROS", "QUANTITY_KG": "QUANTITY_IN_100KG"}[indicator]
        factor = 1 if indicator == "VALUE_EUR" else 100
        assert number == pytest.approx(factor * detailed[(*place, other, period)], abs=0.01)


def test_hs_has_no_cn8(base: str) -> None:
    assert fault(get(base, "/sdmx/2.1/data/DS-059341/M.NL.US.72042110.2."))[:2] == (400, "150")
    assert fault(get(base, "/sdmx/2.1/data/DS-059341/M.NL.US.72.2.VALUE_IN_EUROS"))[:2] == (400, "150")


@pytest.mark.parametrize("partner", ["US", "WORLD"])
def test_sitc_sections_sum_to_all_goods(base: str, partner: str) -> None:
    rows = read(
        base, "DS-059331", f"M.NL.{partner}..2.VALUE_EUR+QUANTITY_KG", startPeriod="2026-06", endPeriod="2026-07"
    )
    found = values(rows, "product", "indicators", "TIME_PERIOD")
    for indicator in ("VALUE_EUR", "QUANTITY_KG"):
        for period in ("2026-06", "2026-07"):
            sections = sum(found[str(section), indicator, period] for section in range(10))
            assert sections == found["TOTAL", indicator, period]
            whole = values(
                read(base, "DS-045409", f"M.NL.{partner}.TOTAL.2.VALUE_IN_EUROS+QUANTITY_IN_100KG"),
                "indicators", "TIME_PERIOD",
            )  # fmt: skip
            other, factor = ("VALUE_IN_EUROS", 1) if indicator == "VALUE_EUR" else ("QUANTITY_IN_100KG", 100)
            assert sections == pytest.approx(factor * whole[other, period], rel=1e-9)


@pytest.mark.parametrize(("dataset", "whole"), [("DS-059331", "68"), ("DS-059366", "24"), ("DS-059366", "25")])
def test_groups_are_the_sum_of_their_mapped_goods(base: str, dataset: str, whole: str) -> None:
    """A group is the sum of the leaves that the official code list assigns to it, residuals included."""
    place = 0 if dataset == "DS-059331" else 1
    leaves = {code for code, groups in GROUP_CODES.items() if groups[place].startswith(whole)}
    cells = values(
        read(base, "DS-045409", "M.NL.DE..2.VALUE_IN_EUROS", startPeriod="2025-03", endPeriod="2025-03"), "product"
    )
    expected = 0.0
    for leaf in leaves:
        children = [code for code in PRODUCTS if len(code) == len(leaf) + 2 and code.startswith(leaf)]
        expected += cells.get((leaf,), 0) - sum(cells.get((child,), 0) for child in children)
    (found,) = read(base, dataset, f"M.NL.DE.{whole}.2.VALUE_EUR", startPeriod="2025-03", endPeriod="2025-03")
    assert int(found["OBS_VALUE"]) == expected > 1e6


def read_conversion(path: Path) -> dict[str, str]:
    """Return HS 2022 to SITC Rev. 4, from the sheet of the official file."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        strings = [
            "".join(text.text or "" for text in item.iter(f"{space}t"))
            for item in ET.fromstring(book.read("xl/sharedStrings.xml")).iter(f"{space}si")
        ]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    pairs = {}
    for row in sheet.iter(f"{space}row"):
        cells = [
            strings[int(cell.findtext(f"{space}v") or 0)] if cell.get("t") == "s" else cell.findtext(f"{space}v") or ""
            for cell in row.iter(f"{space}c")
        ]
        if len(cells) > 1 and re.fullmatch(r"\d{6}", cells[0]):
            pairs[cells[0]] = cells[1]
    return pairs


def test_mappings_match_the_official_lists(shared_data: Path) -> None:
    sitc = read_conversion(shared_data / "classifications" / "HS2022toSITC4.xlsx")
    with (shared_data / "classifications" / "CN2022_CPA21.csv").open(encoding="utf-8-sig", newline="") as file:
        cpa = {row["CN 2022"]: row["CPA 2.1"].replace(".", "") for row in csv.DictReader(file)}
    checked = 0
    for code, groups in GROUP_CODES.items():
        if len(code) == 8:
            assert groups[0] == sitc[code[:6]], code
            if code in cpa:
                assert groups[1] == cpa[code], code
                checked += 1
    assert checked >= 40
    assert cpa22("257113") == "256113"
    assert cpa22("241031") == "241031"


# -- the main host ----------------------------------------------------------------------------------------


def test_flags_and_confidentiality_in_csv(base: str) -> None:
    reply = get(base, "/sdmx/2.1/data/sts_inpr_m/M.PRD.C24.SCA.I21.NL+IE", format="SDMX-CSV", startPeriod="2026-06")
    assert reply.content.decode().split("\r\n") == [
        "DATAFLOW,LAST UPDATE,freq,indic_bt,nace_r2,s_adj,unit,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG,CONF_STATUS",
        *(f"ESTAT:STS_INPR_M(1.0),15/10/26 11:00:00,M,PRD,C24,SCA,I21,IE,2026-0{month},,,C" for month in (6, 7, 8)),
        *(line for line in reply.text.split("\r\n")[4:7]),
        "",
    ]
    flags = [row["OBS_FLAG"] for row in csv.DictReader(io.StringIO(reply.text, newline="")) if row["geo"] == "NL"]
    assert flags == ["", "p", "p"]


def test_flags_and_confidentiality_in_tsv(base: str) -> None:
    reply = get(base, "/sdmx/2.1/data/STS_INPR_M/M.PRD.C24.SCA.I21.NL+IE", format="TSV", startPeriod="2026-06")
    lines = reply.content.decode().split("\r\n")
    assert lines[0] == "freq,indic_bt,nace_r2,s_adj,unit,geo\\TIME_PERIOD\t2026-06 \t2026-07 \t2026-08 "
    assert lines[1] == "M,PRD,C24,SCA,I21,IE\t: C\t: C\t: C"
    assert re.fullmatch(r"M,PRD,C24,SCA,I21,NL\t[\d.]+ \t[\d.]+ p\t[\d.]+ p", lines[2])


def test_flags_and_confidentiality_in_json_stat(base: str) -> None:
    reply = requests.get(
        f"{base}{MAIN}/statistics/1.0/data/sts_inpr_m",
        params={"nace_r2": "C24", "s_adj": "sca", "unit": "I21", "geo": ["IE", "NL"], "sinceTimePeriod": "2026-06"},
        timeout=30,
    ).json()
    assert reply["size"] == [1, 1, 1, 1, 1, 2, 3]
    assert list(reply["value"]) == ["3", "4", "5"]
    assert reply["status"] == {"0": "|C", "1": "|C", "2": "|C", "4": "p|", "5": "p|"}
    assert reply["extension"]["status"]["label"]["|C"] == "confidential"
    # All cells confidential is not the same as no cells.
    secret = requests.get(
        f"{base}{MAIN}/statistics/1.0/data/STS_INPR_M",
        params={"nace_r2": "C24", "s_adj": "SCA", "unit": "I21", "geo": "IE", "lastTimePeriod": "2"},
        timeout=30,
    ).json()
    assert (secret["value"], secret["status"]) == ({}, {"0": "|C", "1": "|C"})
    sdmx = get(base, "/sdmx/2.1/data/STS_INPR_M/M.PRD.C24.SCA.I21.IE", format="JSON", startPeriod="2026-07").json()
    assert sdmx["status"] == secret["status"]


def test_country_codes_differ_from_comext(base: str) -> None:
    geo = {row["geo"] for row in read(base, "STS_INPR_M", "M.PRD.C25.SCA.I21.", lastNObservations="1")}
    assert geo == {"EA20", "EU27_2020", "EL", *EU_MEMBERS} - {"GR"}
    partners = {row["partner"] for row in read(base, "EXT_TEC03", "A.EXP.C24..THS_EUR.NL", startPeriod="2024")}
    assert {"EL", "UK", "US", "RS", "WORLD"} <= partners
    assert not {"GR", "GB", "XS", "QV", "QS"} & partners
    for code in ("GR", "GB"):
        assert fault(get(base, f"/sdmx/2.1/data/EXT_TEC03/A.EXP.C24.{code}.THS_EUR.NL"))[:2] == (400, "150")


def test_short_term_indicators_balance(base: str) -> None:
    rows = read(base, "EXT_ST_EU27_2020SITC", "M..TRD_VAL..TOTAL+SITC6_8.NL", startPeriod="2026-06")
    cells = values(rows, "stk_flow", "partner", "sitc06", "TIME_PERIOD")
    for (flow, partner, sitc, period), value in cells.items():
        if flow == "BAL_RT":
            difference = cells["EXP", partner, sitc, period] - cells["IMP", partner, sitc, period]
            assert value == pytest.approx(difference, abs=0.11)
        if partner == "WORLD":
            parts = cells[flow, "EXT_EU27_2020", sitc, period] + cells[flow, "INT_EU27_2020", sitc, period]
            assert value == pytest.approx(parts, abs=0.11)
    # The newest month is extra-EU only.
    assert {row["partner"] for row in rows if row["TIME_PERIOD"] == "2026-08"} == {"EXT_EU27_2020"}
    trade = read(base, "DS-045409", "M.NL.WORLD.TOTAL.2.VALUE_IN_EUROS", startPeriod="2026-06", endPeriod="2026-06")
    assert cells["EXP", "WORLD", "TOTAL", "2026-06"] == pytest.approx(int(trade[0]["OBS_VALUE"]) / 1e6, abs=0.06)


def test_trade_by_enterprise_does_not_exceed_trade_in_goods(base: str) -> None:
    goods = values(
        read(base, "DS-059366", "A.NL..24+TOTAL.2.VALUE_EUR", startPeriod="2023"), "partner", "product", "TIME_PERIOD"
    )
    rows = read(base, "EXT_TEC03", "A.EXP.C24+TOTAL..THS_EUR.NL", startPeriod="2023")
    for row in rows:
        if row["partner"] in ("US", "DE", "WORLD"):
            product = {"C24": "24", "TOTAL": "TOTAL"}[row["nace_r2"]]
            assert 0 < float(row["OBS_VALUE"]) * 1000 < goods[row["partner"], product, row["TIME_PERIOD"]]
    by_size: defaultdict[bool, float] = defaultdict(float)
    for row in read(base, "EXT_TEC01", "A.EXP.C24..WORLD.THS_EUR.NL", startPeriod="2024"):
        by_size[row["sizeclas"] == "TOTAL"] += float(row["OBS_VALUE"])
        assert row["OBS_FLAG"] == "p"
    assert by_size[True] == pytest.approx(by_size[False], rel=1e-5)


def test_cells_of_few_enterprises_are_confidential(base: str) -> None:
    rows = read(base, "EXT_TEC03", "A.EXP.C24...MT", startPeriod="2023", endPeriod="2023")
    hidden = {row["partner"] for row in rows if row["CONF_STATUS"] == "C"}
    assert hidden
    assert all(row["OBS_VALUE"] == "" for row in rows if row["partner"] in hidden)
    assert all(float(row["OBS_VALUE"]) > 0 for row in rows if row["partner"] not in hidden)


def test_exchange_rates(base: str) -> None:
    rows = read(base, "ERT_BIL_EUR_M", "M.AVG.NAC.USD+BGN", startPeriod="2025-11", endPeriod="2026-02")
    cells = {(row["currency"], row["TIME_PERIOD"]): row["OBS_VALUE"] for row in rows}
    assert cells["BGN", "2025-12"] == "1.95583"
    # Bulgaria adopts the euro in 2026.
    assert ("BGN", "2026-01") not in cells
    assert re.fullmatch(r"1\.\d{1,5}", cells["USD", "2026-02"])


def test_indices_average_100_in_their_base_year(base: str) -> None:
    rows = read(base, "STS_INTV_M", "M.NETTUR.C25.CA.I21.NL", startPeriod="2021-01", endPeriod="2021-12")
    assert sum(float(row["OBS_VALUE"]) for row in rows) / 12 == pytest.approx(100, abs=0.1)


def test_values_do_not_depend_on_the_query(base: str) -> None:
    one = read(base, "EXT_TEC01", "A.EXP.C24.TOTAL.WORLD.THS_EUR.NL")
    many = read(base, "EXT_TEC01", "A.EXP.C24.TOTAL.WORLD.THS_EUR.NL+DE+EL")
    assert [row for row in many if row["geo"] == "NL"] == one


def test_main_host_statistics_api_needs_no_filter(base: str) -> None:
    reply = requests.get(f"{base}{MAIN}/statistics/1.0/data/ERT_BIL_EUR_M", timeout=30).json()
    assert reply["size"] == [1, 2, 1, 19, 68]
    assert reply["id"] == ["freq", "statinfo", "unit", "currency", "time"]


# -- SDMX-ML ----------------------------------------------------------------------------------------------


def test_structure_specific_format_matches_the_recorded_one(base: str, shared_data: Path) -> None:
    real = (shared_data / "eurostat" / "legacy" / "sdmx21-structurespecific_NAMA_10_GDP_2022.xml").read_text()
    ours = get(
        base, "/sdmx/2.1/data/STS_INPR_M/M.PRD.C24.SCA.I21.NL", format="SDMX_2.1_STRUCTURED", endPeriod="2021-03"
    ).text

    def comparable(text: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, () if tag == "Series" else names) for tag, names in skeleton(text)]

    assert comparable(ours) == comparable(real)
    assert 'ESTAT:STS_INPR_M(1.0):ObsLevelDim:TIME_PERIOD"' in ours


def test_sdmx_ml_and_csv_agree(base: str) -> None:
    path = "/sdmx/2.1/data/DS-045409/M.NL.US+DE.72+7204.2.VALUE_IN_EUROS+QUANTITY_IN_100KG"
    options = {"startPeriod": "2026-05"}
    csv_rows = list(csv.DictReader(io.StringIO(get(base, path, format="SDMX-CSV", **options).text, newline="")))
    names = list(csv_rows[0])[2:8]
    expected = {tuple(row[name] for name in (*names, "TIME_PERIOD")): row["OBS_VALUE"] for row in csv_rows}
    generic: Cells = {}
    data = "{http://www.sdmx.org/resources/sdmxml/schemas/v2_1/data/generic}"
    reply = get(base, path, **options)
    assert reply.headers["Content-Type"].startswith("application/vnd.sdmx.genericdata+xml")
    for series in ET.fromstring(reply.content).iter(f"{data}Series"):
        key = [value.attrib["value"] for value in series.iter(f"{data}Value")]
        for observation in series.iter(f"{data}Obs"):
            period = observation.find(f"{data}ObsDimension").attrib["value"]  # type: ignore[union-attr]
            generic[(*key, period)] = observation.find(f"{data}ObsValue").attrib["value"]  # type: ignore[union-attr]
    assert generic == expected
    specific: Cells = {}
    for series in ET.fromstring(get(base, path, format="SDMX_2.1_STRUCTURED", **options).content).iter("Series"):
        for observation in series.iter("Obs"):
            place = (*(series.attrib[name] for name in names), observation.attrib["TIME_PERIOD"])
            specific[place] = observation.attrib["OBS_VALUE"]
    assert specific == expected


def test_unknown_format_is_refused(base: str) -> None:
    assert fault(get(base, "/sdmx/2.1/data/DS-045409/M.NL.US.72.2.", format="XLSX"))[:2] == (501, "501")


# -- asynchronous -----------------------------------------------------------------------------------------

LARGE = "/sdmx/2.1/data/DS-045409/M.NL...2.VALUE_IN_EUROS"
SPAN = {"startPeriod": "2023-07", "endPeriod": "2024-12", "format": "SDMX-CSV"}


def texts(reply: requests.Response) -> dict[str, str]:
    return {element.tag.rpartition("}")[2]: element.text or "" for element in ET.fromstring(reply.content).iter()}


def test_job_survives_repeated_polls_until_a_release(base: str) -> None:
    ticket = texts(get(base, LARGE, **SPAN))["id"]
    states = [texts(get(base, f"/1.0/async/status/{ticket}?DS-"))["status"] for _ in range(12)]
    assert states == ["PROCESSING", *["AVAILABLE"] * 11]
    first = get(base, f"/1.0/async/data/{ticket}?DS-")
    assert first.text.startswith("DATAFLOW,")
    # A prepared result is returned directly, whatever its cost.
    assert get(base, LARGE, **SPAN).content == first.content
    # A new release invalidates the job and its data.
    requests.post(f"{base}/_simulator/release", json={"number": 13}, timeout=10)
    assert texts(get(base, f"/1.0/async/status/{ticket}?DS-"))["status"] == "EXPIRED"
    assert fault(get(base, f"/1.0/async/data/{ticket}?DS-"))[:2] == (400, "100")
    assert texts(get(base, LARGE, **SPAN))["status"] == "SUBMITTED"


def test_repeated_query_returns_the_same_job(base: str) -> None:
    options = {**SPAN, "startPeriod": "2023-08"}
    first = texts(get(base, LARGE, **options))["id"]
    get(base, f"/1.0/async/status/{first}?DS-")
    assert texts(get(base, LARGE, **options))["id"] == first
    assert texts(get(base, f"/1.0/async/status/{first}?DS-"))["status"] == "AVAILABLE"


def test_statistics_api_returns_a_retry_warning(base: str) -> None:
    path = "/statistics/1.0/data/DS-045409"
    options = {"freq": "M", "reporter": "NL", "flow": "2", "lastTimePeriod": "12"}
    warnings = [get(base, path, **options) for _ in range(2)]
    assert [reply.status_code for reply in warnings] == [200, 200]
    assert all(reply.json()["warning"]["status"] == 413 for reply in warnings)
    assert get(base, path, **options).json()["class"] == "dataset"


def test_main_host_has_its_own_jobs(base: str) -> None:
    ticket = texts(get(base, "/sdmx/2.1/data/EXT_TEC03", format="SDMX-CSV"))["id"]
    for _ in range(2):
        status = texts(get(base, f"/1.0/async/status/{ticket}"))["status"]
    assert status == "AVAILABLE"
    other = requests.get(f"{base}{COMEXT}/1.0/async/status/{ticket}", timeout=10)
    assert fault(other)[2] == f"UNKNOWN_REQUEST: {ticket}"


def test_async_footer_before_2023(base: str, shared_data: Path) -> None:
    real = (shared_data / "eurostat" / "legacy" / "sdmx21-footer-413-async_2015.xml").read_text()
    requests.post(
        f"{base}/_simulator/faults",
        json={"match": "/data/DS-045409", "kind": "async_footer", "times": 1, "misses": 1},
        timeout=10,
    )
    path = "/sdmx/2.1/data/DS-045409/M.NL.US.72.2.VALUE_IN_EUROS"
    reply = get(base, path)
    assert skeleton(reply.text) == skeleton(real)
    url = next(text for text in re.findall(r">(http[^<]+)<", reply.text))
    early = requests.get(url, timeout=10)
    assert early.status_code == 404
    late = requests.get(url, timeout=10)
    assert late.headers["Content-Type"] == "application/octet-stream"
    with zipfile.ZipFile(io.BytesIO(late.content)) as archive:
        (name,) = archive.namelist()
        assert archive.read(name) == get(base, path).content


# -- faults in these datasets -----------------------------------------------------------------------------


def test_row_faults_apply_to_the_main_host(base: str) -> None:
    key = "A.EXP.C24.US+WORLD.THS_EUR.NL"
    whole = read(base, "EXT_TEC03", key)
    for kind in ("renamed_aggregate", "wrong_scale", "duplicate_key"):
        requests.post(
            f"{base}/_simulator/faults", json={"match": "/data/EXT_TEC03", "kind": kind, "times": 1}, timeout=10
        )
        spoilt = read(base, "EXT_TEC03", key)
        if kind == "renamed_aggregate":
            assert {row["partner"] for row in spoilt} == {"US", "WRLD"}
        elif kind == "wrong_scale":
            assert [float(row["OBS_VALUE"]) for row in spoilt] == [10 * float(row["OBS_VALUE"]) for row in whole]
        else:
            assert len(spoilt) == len(whole) + 1


def test_starting_is_fast() -> None:
    start = time.monotonic()
    with run_simulator() as base_url:
        assert requests.get(f"{base_url}/_simulator/health", timeout=10).status_code == 200
    assert time.monotonic() - start < 10

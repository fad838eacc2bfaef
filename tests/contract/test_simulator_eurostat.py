"""The simulated Comext host matches the SDMX 2.1 and JSON-stat formats of the recorded payloads of DS-045409."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator.eurostat import DIMENSIONS, LARGE_PARTNERS
from simulator.partners import EU_MEMBERS
from simulator.server import Simulator, run_simulator

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = REPOSITORY.parent / "shared" / "data" / "eurostat"
COMEXT = "/eurostat/api/comext/dissemination"
MAIN = "/eurostat/api/dissemination"
HEADER = "DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE"
CHAPTERS = "72+73+74+75+76+78+79+80+81+82+83"
NOT_COUNTRIES = {"WORLD", *(f"{side}_{area}" for side in ("INT", "EXT") for area in ("EU", "EU27_2020", "EA", "EA21"))}

pytestmark = pytest.mark.enable_socket


def recorded(name: str) -> str:
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"the recorded payload {name} is not on this machine")
    return path.read_bytes().decode("utf-8")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_simulator() as base_url:
        yield base_url


@pytest.fixture
def host(server: str) -> Iterator[str]:
    yield server + COMEXT
    requests.delete(f"{server}/_simulator/faults", timeout=10)
    requests.post(f"{server}/_simulator/release", json={"number": 12}, timeout=10)


def data(host: str, key: str, **options: str) -> requests.Response:
    url = f"{host}/sdmx/2.1/data/DS-045409/{key}"
    return requests.get(url, params={"format": "SDMX-CSV", **options}, timeout=120)


def rows(host: str, key: str, **options: str) -> list[dict[str, str]]:
    reply = data(host, key, **options)
    assert reply.status_code == 200, reply.text[:500]
    assert reply.text.startswith(HEADER), reply.text[:500]
    return list(csv.DictReader(io.StringIO(reply.text, newline="")))


def fault(reply: requests.Response) -> tuple[int, str, str]:
    root = ET.fromstring(reply.content)
    assert root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Fault"
    return reply.status_code, root.findtext("faultcode") or "", root.findtext("faultstring") or ""


def add_fault(host: str, kind: str, **options: Any) -> None:
    reply = requests.post(
        host.removesuffix(COMEXT) + "/_simulator/faults",
        json=[{"match": "/data/DS-045409", "kind": kind, **options}],
        timeout=10,
    )
    assert reply.status_code == 200, reply.text


def skeleton(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return tags with their attribute names, in order of appearance and without repeats."""
    seen: dict[tuple[str, tuple[str, ...]], None] = {}
    for _, element in ET.iterparse(io.BytesIO(text.encode()), events=("start",)):
        seen[(element.tag, tuple(element.attrib))] = None
    return list(seen)


# -- structures -------------------------------------------------------------------------------------------


def test_dataflow_listing_has_the_recorded_format(host: str) -> None:
    real = recorded("api-2026-09/comext-dataflows.xml")
    ours = requests.get(f"{host}/sdmx/2.1/dataflow/ESTAT", timeout=10).content.decode()
    assert ours.split("<m:Header>")[0] == real.split("<m:Header>")[0]
    flow = re.compile(r'<s:Dataflow id="DS-045409".*?</s:Dataflow>')
    own, theirs = flow.search(ours), flow.search(real)
    assert own is not None
    assert theirs is not None
    assert own.group().replace("2026-10-15T", "2026-09-15T") == theirs.group()
    assert {"DS-059341", "DS-059331", "DS-059366"} <= set(re.findall(r'<s:Dataflow id="([^"]+)"', ours))


def test_dataflow_has_the_release_stamp(host: str) -> None:
    for path in ("DS-045409", "DS-045409/1.0"):
        root = ET.fromstring(requests.get(f"{host}/sdmx/2.1/dataflow/ESTAT/{path}", timeout=10).content)
        common = "{http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common}"
        stamps = {
            annotation.findtext(f"{common}AnnotationType"): annotation.findtext(f"{common}AnnotationTitle")
            for annotation in root.iter(f"{common}Annotation")
        }
        assert stamps["UPDATE_DATA"] == stamps["UPDATE_STRUCTURE"] == "2026-10-15T11:00:00+0200"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("datastructure", "ds-045409-datastructure.xml"),
        ("contentconstraint", "ds-045409-constraint.trimmed.xml"),
    ],
)
def test_structure_has_the_recorded_format(host: str, kind: str, name: str) -> None:
    real = recorded(f"api-2026-09/{name}")
    ours = requests.get(f"{host}/sdmx/2.1/{kind}/ESTAT/DS-045409", timeout=10).text
    assert ours.split("<m:Header>")[0] == real.split("<m:Header>")[0]
    assert skeleton(ours) == skeleton(real)
    if kind == "datastructure":
        assert ours.split("</m:Header>")[1] == real.split("</m:Header>")[1]


def constraint(host: str) -> dict[str, list[str]]:
    root = ET.fromstring(requests.get(f"{host}/sdmx/2.1/contentconstraint/ESTAT/DS-045409", timeout=10).content)
    common = "{http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common}"
    return {
        key.attrib["id"]: [value.text or "" for value in key.iter(f"{common}Value")]
        for key in root.iter(f"{common}KeyValue")
    }


def test_constraint_lists_codes_and_future_months(host: str) -> None:
    codes = constraint(host)
    assert set(codes["reporter"]) == {*EU_MEMBERS, "EU27_2020"}
    assert {"US", "GB", "GR", "XS", "QV", *NOT_COUNTRIES} <= set(codes["partner"])
    # Former countries remain on the axis.
    assert {"DD", "SU", "YD", "YU", "AN", "GF"} <= set(codes["partner"])
    assert not {"UK", "EL", "EU27_2020"} & set(codes["partner"])
    assert len(codes["partner"]) == len(set(codes["partner"])) == 278
    assert {"TOTAL", "72", "7204", "720851", "72085120", "39201023", "84"} <= set(codes["product"])
    assert codes["flow"] == ["1", "2"]
    assert codes["TIME_PERIOD"][-2:] == ["2026-12", "2026"]


# -- data -------------------------------------------------------------------------------------------------


def test_csv_has_the_recorded_format(host: str) -> None:
    real = recorded("bulk-api-2026-02/ds-045409_CN39201023_M_2023-01_2025-12.csv")
    reply = data(host, "M.NL+DE.US+BE.39201023.1+2.", startPeriod="2025-01", endPeriod="2025-12", compressed="false")
    assert reply.headers["Content-Type"].startswith("application/vnd.sdmx.data+csv")
    lines = reply.text.split("\r\n")
    assert lines[0] == real.split("\n")[0] == HEADER
    assert lines[-1] == ""
    assert "\n" not in reply.text.replace("\r\n", "")
    assert all(
        re.fullmatch(
            r"ESTAT:DS-045409\(1\.0\),15/10/26 11:00:00,M,(NL|DE),(US|BE),39201023,[12],"
            r"(VALUE_IN_EUROS,2025-\d\d,\d+|QUANTITY_IN_100KG,2025-\d\d,\d+(\.\d{0,1}[1-9])?)",
            line,
        )
        for line in lines[1:-1]
    )
    assert len(lines) > 100


def test_rows_are_unique_and_in_key_order(host: str) -> None:
    found = rows(host, f"M.NL..{CHAPTERS}.2.VALUE_IN_EUROS+QUANTITY_IN_100KG", startPeriod="2025-06", endPeriod="2025")
    keys = [tuple(row[name] for name in (*DIMENSIONS, "TIME_PERIOD")) for row in found]
    assert keys == sorted(set(keys))
    assert {row["TIME_PERIOD"] for row in found} == {f"2025-{month:02}" for month in range(6, 13)}
    assert {row["product"] for row in found} == set(CHAPTERS.split("+"))


def test_tsv_has_the_recorded_format(host: str) -> None:
    real = recorded("api-2026-09/ds-045409-de-us-m-2026-06-07.tsv")
    key = "M.DE.TV+US.72+7204.2.VALUE_IN_EUROS"
    text = data(host, key, startPeriod="2026-06", endPeriod="2026-07", format="TSV").content.decode()
    assert text.split("\r\n")[0] == real.split("\r\n")[0]
    for line in text.split("\r\n")[1:-1]:
        assert re.fullmatch(r"M,DE,(TV|US),(72|7204),2,VALUE_IN_EUROS(\t(\d+|: )){2}", line)
    cells = {(row["partner"], row["product"], row["TIME_PERIOD"]): row["OBS_VALUE"] for row in rows(host, key)}
    line = next(line for line in text.split("\r\n") if line.startswith("M,DE,US,7204"))
    assert line.split("\t")[1:] == [cells["US", "7204", month] for month in ("2026-06", "2026-07")]


def test_absent_months_are_a_colon_in_tsv(host: str) -> None:
    text = data(host, "M.NL.DE+US.72.2.VALUE_IN_EUROS", startPeriod="2026-07", format="TSV").content.decode()
    by_partner = {line.split(",")[2]: line.split("\t")[1:] for line in text.split("\r\n")[1:-1]}
    assert by_partner["DE"][1] == ": "
    assert by_partner["US"][1].isdigit()


def test_compressed_body_is_the_same_text(host: str) -> None:
    key = "M.NL.US.72.2."
    packed = data(host, key, compressed="true").content
    assert packed[:2] == b"\x1f\x8b"
    assert gzip.decompress(packed) == data(host, key, compressed="false").content


def test_newest_month_of_the_netherlands_is_extra_eu_only(host: str) -> None:
    found = rows(host, "M.NL..TOTAL.2.VALUE_IN_EUROS", startPeriod="2026-07")
    partners = defaultdict(set)
    for row in found:
        partners[row["TIME_PERIOD"]].add(row["partner"])
    assert {*NOT_COUNTRIES, "DE", "US"} <= partners["2026-07"]
    assert {"EXT_EU27_2020", "EXT_EU", "US", "CN"} <= partners["2026-08"]
    assert not {*NOT_COUNTRIES, *EU_MEMBERS} & partners["2026-08"] - {"EXT_EU27_2020", "EXT_EU"}
    assert "2026-09" not in partners


def test_union_reporter_has_no_world_total_but_intra_and_extra_parts(host: str) -> None:
    found = rows(host, "M.EU27_2020..72+TOTAL.2.VALUE_IN_EUROS", startPeriod="2025-03", endPeriod="2025-04")
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in found:
        is_part = row["partner"] in ("INT_EU27_2020", "EXT_EU27_2020")
        sums[row["product"], row["TIME_PERIOD"]][is_part] += int(row["OBS_VALUE"])
    assert NOT_COUNTRIES & {row["partner"] for row in found} == {"INT_EU27_2020", "EXT_EU27_2020"}
    assert len(sums) == 4
    assert all(countries == parts > 0 for countries, parts in sums.values())


def test_each_area_has_intra_and_extra_partners(host: str) -> None:
    key = f"M.NL.{'+'.join(sorted(NOT_COUNTRIES))}+HR+BG.TOTAL.2.VALUE_IN_EUROS"
    cells = {(r["partner"], r["TIME_PERIOD"]): int(r["OBS_VALUE"]) for r in rows(host, key, endPeriod="2026-06")}
    months = {month for _, month in cells}
    assert len(months) == 66
    for month in months:
        for area in ("EU", "EU27_2020", "EA", "EA21"):
            assert cells[f"INT_{area}", month] + cells[f"EXT_{area}", month] == cells["WORLD", month]
        late = [code for code, first in (("HR", "2023-01"), ("BG", "2026-01")) if month < first]
        # Croatia and Bulgaria join the euro area in these months; EA21, the area of 2026, includes both throughout.
        assert cells["INT_EA21", month] - cells["INT_EA", month] == sum(cells[code, month] for code in late)
        assert cells["INT_EU", month] == cells["INT_EU27_2020", month] > cells["INT_EA21", month]


def test_only_early_reporters_have_a_total_for_the_newest_month(host: str) -> None:
    key = f"M.{'+'.join(EU_MEMBERS)}.WORLD.72.2.VALUE_IN_EUROS"
    found = rows(host, key, startPeriod="2026-07")
    reporters = defaultdict(set)
    for row in found:
        reporters[row["TIME_PERIOD"]].add(row["reporter"])
    assert reporters["2026-07"] == set(EU_MEMBERS)
    assert len(reporters["2026-08"]) == 9


def test_world_is_the_sum_of_its_partners(host: str) -> None:
    found = rows(host, "M.NL..72+7204+76+TOTAL.1+2.VALUE_IN_EUROS", startPeriod="2025-01", endPeriod="2025-12")
    totals: dict[tuple[str, ...], int] = {}
    sums: dict[tuple[str, ...], int] = defaultdict(int)
    for row in found:
        key = (row["product"], row["flow"], row["TIME_PERIOD"])
        if row["partner"] == "WORLD":
            totals[key] = int(row["OBS_VALUE"])
        elif row["partner"] not in NOT_COUNTRIES:
            sums[key] += int(row["OBS_VALUE"])
    assert len(totals) == 4 * 2 * 12
    assert totals == sums


def test_year_is_the_sum_of_its_months(host: str) -> None:
    found = rows(host, "A+M.NL.US.72+7204.2.VALUE_IN_EUROS")
    years = {row["TIME_PERIOD"] for row in found if row["freq"] == "A"}
    assert years == {"2021", "2022", "2023", "2024", "2025"}
    for product in ("72", "7204"):
        months = sum(
            int(row["OBS_VALUE"])
            for row in found
            if row["freq"] == "M" and row["product"] == product and row["TIME_PERIOD"].startswith("2024")
        )
        (year,) = (
            int(row["OBS_VALUE"])
            for row in found
            if row["freq"] == "A" and row["product"] == product and row["TIME_PERIOD"] == "2024"
        )
        assert year == months


def test_only_counted_goods_have_a_supplementary_quantity(host: str) -> None:
    found = rows(host, "M.NL.WORLD..2.SUPPLEMENTARY_QUANTITY", startPeriod="2025", endPeriod="2025")
    assert {row["product"] for row in found} == {"73211110", "82119100"}


def test_last_observations_of_every_series(host: str) -> None:
    found = rows(host, "M.NL.DE+US.72.2.VALUE_IN_EUROS", lastNObservations="1")
    assert [(row["partner"], row["TIME_PERIOD"]) for row in found] == [("DE", "2026-07"), ("US", "2026-08")]


def test_query_parameters_do_not_filter_dimensions(host: str) -> None:
    plain = data(host, "M.NL.US.72.2.VALUE_IN_EUROS").content
    assert data(host, "M.NL.US.72.2.VALUE_IN_EUROS", product="73").content == plain


# -- limits and errors ------------------------------------------------------------------------------------


def test_cost_is_the_number_of_positions(host: str) -> None:
    codes = constraint(host)
    cost = len(codes["reporter"]) * len(codes["partner"]) * len(codes["product"]) * 3 * 68
    status, code, text = fault(data(host, "M....2."))
    real = recorded("api-2026-09/ds-045409-fault-413.xml")
    assert (status, code) == (413, "413")
    assert data(host, "M....2.").text == re.sub(r"estimated \d+ rows", f"estimated {cost} rows", real)
    assert f"estimated {cost} rows" in text


@pytest.mark.parametrize("key", ["", "all", "....."])
def test_unfiltered_query_is_refused(host: str, key: str) -> None:
    status, code, text = fault(data(host, key))
    assert (status, code) == (413, "413")
    assert text.startswith("EXTRACTION_TOO_BIG_COMEXT: ")


def test_limit_of_a_synchronous_reply(host: str) -> None:
    """The number of positions decides: 278 partners x 2 indicators x 68 months x products."""
    products = [code for code in constraint(host)["product"] if len(code) in (2, 4)]
    direct = "+".join(products[:13])
    queued = "+".join(products[:14])
    assert 278 * 2 * 68 * 13 < 500_000 < 278 * 2 * 68 * 14
    assert data(host, f"M.NL..{direct}.2.VALUE_IN_EUROS+QUANTITY_IN_100KG").text.startswith(HEADER)
    assert data(host, f"M.NL..{queued}.2.VALUE_IN_EUROS+QUANTITY_IN_100KG").text.startswith("<?xml")


def local_texts(reply: requests.Response) -> dict[str, str]:
    return {element.tag.split("}")[-1]: element.text or "" for element in ET.fromstring(reply.content).iter()}


def test_large_query_is_answered_asynchronously(host: str) -> None:
    key, span = "M.NL+DE...2.VALUE_IN_EUROS", {"startPeriod": "2025-01", "endPeriod": "2025-12"}
    reply = data(host, key, **span)
    assert reply.status_code == 200
    ticket = local_texts(reply)
    assert ticket["status"] == "SUBMITTED"
    early = requests.get(f"{host}/1.0/async/data/{ticket['id']}", timeout=10)
    assert fault(early)[:2] == (400, "100")
    assert "DATA_NOT_YET_AVAILABLE" in early.text
    states: list[str] = []
    while not states or states[-1] != "AVAILABLE":
        status = requests.get(f"{host}/1.0/async/status/{ticket['id']}", timeout=10)
        assert local_texts(status)["key"] == ticket["id"]
        states.append(local_texts(status)["status"])
        assert len(states) < 5
    assert states[0] == "PROCESSING"
    late = requests.get(f"{host}/1.0/async/data/{ticket['id']}", timeout=120)
    found = list(csv.DictReader(io.StringIO(late.text, newline="")))
    assert {row["reporter"] for row in found} == {"NL", "DE"}
    direct = rows(host, "M.NL.US.72.2.VALUE_IN_EUROS", **span)
    assert [row for row in found if (row["reporter"], row["partner"], row["product"]) == ("NL", "US", "72")] == direct

    unknown = requests.get(f"{host}/1.0/async/status/nothing", timeout=10)
    assert fault(unknown)[:2] == (400, "100")
    requests.post(f"{host.removesuffix(COMEXT)}/_simulator/release", json={"number": 13}, timeout=10)
    expired = requests.get(f"{host}/1.0/async/status/{ticket['id']}", timeout=10)
    assert local_texts(expired)["status"] == "EXPIRED"


def test_code_outside_the_constraint_fails_the_query(host: str) -> None:
    for key, message in (
        ("M.NL.US+EU27.72.2.", "PARTNER=EU27"),
        ("M.NL.US.72999999.2.", "PRODUCT=72999999"),
        ("M.NL.US.72.3.", "FLOW=3"),
        ("M.NL.US.72.2.VALUE_EUR", "INDICATORS=VALUE_EUR"),
    ):
        status, code, text = fault(data(host, key))
        assert (status, code) == (400, "150")
        assert text.startswith("INVALID_QUERY_DIMENSION_VALUE: ")
        assert text.endswith(f"The following values for dimension are not allowed: {message}")


def test_key_of_the_wrong_length_is_a_syntax_error(host: str) -> None:
    assert fault(data(host, "M.NL.US.72.2"))[:2] == (400, "140")
    assert fault(data(host, "M.NL.US.72.2.", startPeriod="January"))[:2] == (400, "140")


def test_valid_key_without_data_returns_only_the_header(host: str) -> None:
    assert data(host, "M.NL.NL.72.2.").text == HEADER + "\r\n"
    assert data(host, "M.NL.US.72.2.", startPeriod="2026-11").text == HEADER + "\r\n"


def test_unknown_dataset_is_not_found(host: str) -> None:
    reply = requests.get(f"{host}/sdmx/2.1/data/DS-999999/M.NL?format=SDMX-CSV", timeout=10)
    assert reply.status_code == 404
    assert reply.text == recorded("api-2026-09/ds-999999-data.xml")
    reply = requests.get(f"{host}/sdmx/2.1/dataflow/ESTAT/DS-999999", timeout=10)
    assert reply.status_code == 404
    assert reply.text == recorded("api-2026-09/ds-999999-dataflow.xml")
    reply = requests.get(f"{host}/statistics/1.0/data/DS-999999", timeout=10)
    assert reply.status_code == 404
    assert reply.json() == json.loads(recorded("api-2026-09/ds-999999-statistics.json"))


def test_main_host_has_no_comext_datasets(server: str) -> None:
    for path in ("sdmx/2.1/data/DS-045409/M.NL.US.72.2.", "sdmx/2.1/dataflow/ESTAT/DS-045409"):
        reply = requests.get(f"{server}{MAIN}/{path}", timeout=10)
        assert fault(reply)[:2] == (404, "100")
        assert "ERR_NOT_FOUND_4: DS-045409" in reply.text
    reply = requests.get(f"{server}{MAIN}/statistics/1.0/data/DS-045409?freq=M", timeout=10)
    assert reply.status_code == 404
    assert reply.json()["error"][0]["id"] == 100


# -- JSON-stat --------------------------------------------------------------------------------------------


def statistics(host: str, *parameters: tuple[str, str]) -> requests.Response:
    return requests.get(f"{host}/statistics/1.0/data/DS-045409", params=list(parameters), timeout=60)


ONE_SERIES = (
    ("reporter", "NL"), ("partner", "US"), ("product", "72"), ("flow", "2"), ("indicators", "VALUE_IN_EUROS"),
)  # fmt: skip


def shape(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: shape(value) for key, value in content.items()}
    return type(content).__name__


def test_json_stat_has_the_recorded_format(host: str) -> None:
    real = json.loads(recorded("api-2026-09/ds-045409-eu27-us-total-2024-01-02.json"))
    reply = statistics(
        host,
        ("reporter", "EU27_2020"), ("partner", "US"), ("product", "TOTAL"), ("flow", "1"),
        ("indicators", "VALUE_IN_EUROS"), ("time", "2024-01"), ("time", "2024-02"),
    )  # fmt: skip
    ours = reply.json()
    assert list(ours) == list(real)
    assert ours["id"] == real["id"]
    # The request names no frequency, so both are returned, and only months have a value.
    assert ours["size"] == real["size"] == [2, 1, 1, 1, 1, 1, 2]
    assert list(ours["value"]) == ["2", "3"]
    assert shape(ours["dimension"]) == shape(real["dimension"])
    assert list(ours["extension"]) == list(real["extension"])
    assert [list(a) for a in ours["extension"]["annotation"]] == [list(a) for a in real["extension"]["annotation"]]
    assert ours["extension"]["positions-with-no-data"] == real["extension"]["positions-with-no-data"]
    assert ours["updated"] == "2026-10-15T11:00:00+0200"


def test_json_stat_and_csv_agree(host: str) -> None:
    reply = statistics(
        host,
        ("freq", "M"), ("reporter", "NL"), ("partner", "US"), ("partner", "CN"), ("product", "72"),
        ("product", "7204"), ("flow", "2"), ("indicators", "VALUE_IN_EUROS"), ("indicators", "QUANTITY_IN_100KG"),
        ("sinceTimePeriod", "2025-01"), ("untilTimePeriod", "2025-03"),
    ).json()  # fmt: skip
    key = "M.NL.US+CN.72+7204.2.VALUE_IN_EUROS+QUANTITY_IN_100KG"
    found = rows(host, key, startPeriod="2025-01", endPeriod="2025-03")
    axes = [list(reply["dimension"][name]["category"]["index"]) for name in reply["id"]]
    for row in found:
        index = 0
        for axis, name in zip(axes, (*DIMENSIONS, "TIME_PERIOD"), strict=True):
            index = index * len(axis) + axis.index(row[name])
        assert reply["value"][str(index)] == float(row["OBS_VALUE"])
    assert len(reply["value"]) == len(found) == 2 * 2 * 2 * 3


def test_json_stat_ignores_unknown_values_silently(host: str) -> None:
    reply = statistics(host, ("freq", "M"), *ONE_SERIES[:1], ("partner", "EL"), *ONE_SERIES[2:])
    assert reply.status_code == 200
    assert reply.json()["size"][2] == 0
    assert reply.json()["value"] == {}
    late = statistics(host, ("freq", "M"), *ONE_SERIES, ("time", "2026-12")).json()
    assert late["size"][-1] == 0
    newest = statistics(host, ("freq", "M"), *ONE_SERIES, ("lastTimePeriod", "1")).json()
    assert list(newest["dimension"]["time"]["category"]["index"]) == ["2026-08"]


def test_json_stat_limits(host: str) -> None:
    real = json.loads(recorded("api-2026-09/ds-045409-extraction-too-big.json"))
    reply = statistics(host, ("freq", "M"), ("flow", "2"))
    assert reply.status_code == 413
    assert shape(reply.json()) == shape(real)
    assert re.sub(r"\d+ rows", "", reply.json()["error"][0]["label"]) == re.sub(
        r"\d+ rows", "", real["error"][0]["label"]
    )
    waiting = statistics(host, ("freq", "M"), ("reporter", "NL"), ("flow", "2"), ("lastTimePeriod", "12"))
    assert waiting.status_code == 200
    assert waiting.json()["warning"]["status"] == 413
    assert waiting.json()["warning"]["label"].startswith("ASYNCHRONOUS_RESPONSE.")
    unfiltered = statistics(host, ("time", "2025-01"))
    assert unfiltered.json()["error"][0]["label"].startswith("EXTRACTION_TOO_BIG_COMEXT: ")
    assert statistics(host, ("country", "NL")).json()["error"][0]["id"] == 150


# -- releases and faults ----------------------------------------------------------------------------------


def test_release_moves_the_stamp_and_adds_a_month(host: str) -> None:
    key = "M.NL.US.72.2.VALUE_IN_EUROS"
    before = data(host, key).content
    requests.post(f"{host.removesuffix(COMEXT)}/_simulator/release", json={"number": 13}, timeout=10)
    after = rows(host, key)
    assert {row["LAST UPDATE"] for row in after} == {"15/11/26 11:00:00"}
    assert after[-1]["TIME_PERIOD"] == "2026-09"
    listing = requests.get(f"{host}/sdmx/2.1/dataflow/ESTAT", timeout=10).text
    assert "2026-11-15T11:00:00+0100" in listing
    requests.post(f"{host.removesuffix(COMEXT)}/_simulator/release", json={"number": 12}, timeout=10)
    assert data(host, key).content == before


KEY = "M.NL..72.2.VALUE_IN_EUROS"
SPAN = {"startPeriod": "2025-03", "endPeriod": "2025-03"}


def changed(host: str, kind: str, **options: Any) -> list[tuple[dict[str, str], dict[str, str]]]:
    right = rows(host, KEY, **SPAN)
    add_fault(host, kind, **options)
    wrong = rows(host, KEY, **SPAN)
    assert len(right) == len(wrong)
    return [(a, b) for a, b in zip(right, wrong, strict=True) if a != b]


def test_unit_fault_renames_the_indicator(host: str) -> None:
    pairs = changed(host, "unit")
    assert pairs
    assert {wrong["indicators"] for _, wrong in pairs} == {"VALUE_EUR"}


def test_missing_partners_keep_the_world_total(host: str) -> None:
    right = rows(host, KEY, **SPAN)
    add_fault(host, "missing_partners")
    assert rows(host, KEY, **SPAN) == [row for row in right if row["partner"] not in LARGE_PARTNERS]


def test_duplicate_key_serves_one_row_twice(host: str) -> None:
    right = rows(host, KEY, **SPAN)
    add_fault(host, "duplicate_key", times=1)
    wrong = rows(host, KEY, **SPAN)
    assert len(wrong) == len(right) + 1
    assert {tuple(row.items()) for row in wrong} == {tuple(row.items()) for row in right}


def test_faults_that_change_one_row(host: str) -> None:
    ((right, wrong),) = changed(host, "negative_value", times=1)
    assert int(wrong["OBS_VALUE"]) == -int(right["OBS_VALUE"])
    ((_, wrong),) = changed(host, "bad_number", times=1)
    assert wrong["OBS_VALUE"] == "abc"
    ((_, wrong),) = changed(host, "unknown_partner", times=1)
    assert wrong["partner"] == "X9"
    ((right, wrong),) = changed(host, "wrong_total", times=1)
    assert right["partner"] == "WORLD"
    assert int(wrong["OBS_VALUE"]) == pytest.approx(1.1 * int(right["OBS_VALUE"]), abs=1)


def test_transport_faults_apply_to_this_host(host: str) -> None:
    add_fault(host, "http_503", times=1)
    assert data(host, KEY, **SPAN).status_code == 503
    add_fault(host, "html_200", times=1)
    assert data(host, KEY, **SPAN).text.startswith("<!DOCTYPE html>")
    add_fault(host, "truncate", times=1)
    cut = data(host, KEY, **SPAN)
    assert int(cut.headers["Content-Length"]) == len(cut.content)
    assert data(host, KEY, **SPAN).content.startswith(cut.content)


# -- the server itself ------------------------------------------------------------------------------------


def test_two_servers_return_the_same_bytes(host: str) -> None:
    with run_simulator(Simulator()) as other:
        for key, options in ((KEY, {}), ("M.NL.US.72.2.", {"compressed": "true"}), (KEY, {"format": "TSV"})):
            assert data(host, key, **options).content == data(other + COMEXT, key, **options).content


def test_command_line_prints_its_url_and_stops_on_a_signal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", "--release", "3"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        state = requests.get(f"{address}/_simulator/health", timeout=10).json()
        assert state["release"] == 3
        assert state["eurostat_newest_month"] == "2025-11"
    finally:
        process.terminate()
        assert process.wait(timeout=15) == 0
        if process.stdout is not None:
            process.stdout.close()

"""The simulated CBS matches the recorded OData v3 format, and returns the same data as over v4 and in bulk."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import duckdb
import pytest

from simulator.cbs import TABLES
from simulator.faults.registry import Fault
from simulator.server import Simulator

API, FEED = "/ODataApi/odata", "/ODataFeed/odata"
V4 = "/odata/v1/CBS"
ATOM = "{http://www.w3.org/2005/Atom}"
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
SMALL = ("85770NED", "85806NED", "81234ned")


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture(autouse=True)
def _calm(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.faults.clear()


def query_of(options: dict[str, str]) -> str:
    return "&".join(f"${name}={quote(value)}" for name, value in options.items())


def ask(simulator: Simulator, path: str, **options: str) -> Any:
    reply = simulator.answer(path, query_of({"format": "json"} | options))
    assert reply.status == 200, reply.body[:500]
    assert reply.media_type.startswith("application/json")
    return json.loads(reply.body)


def value(simulator: Simulator, path: str, **options: str) -> list[dict[str, Any]]:
    return list(ask(simulator, path, **options)["value"])


def refusal(simulator: Simulator, path: str, **options: str) -> tuple[int, str]:
    reply = simulator.answer(path, query_of({"format": "json"} | options))
    error = json.loads(reply.body)["odata.error"]
    assert set(error) == {"code", "message"}
    assert set(error["message"]) == {"lang", "value"}
    return reply.status, error["message"]["value"]


def recorded_rows(shared_data: Path, name: str) -> list[dict[str, str]]:
    text = (shared_data / "cbs" / "v3_csv" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


# -- formats ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", [API, FEED])
def test_service_document(simulator: Simulator, service: str) -> None:
    content = ask(simulator, f"{service}/85427NED")
    assert list(content) == ["odata.metadata", "value"]
    assert [entry["name"] for entry in content["value"]] == [
        "TableInfos", "UntypedDataSet", "TypedDataSet", "DataProperties", "CategoryGroups", "Landen", "SITC",
        "Perioden",
    ]  # fmt: skip
    for entry in content["value"]:
        path = entry["url"].removeprefix("http://127.0.0.1")
        assert value(simulator, path, top="1")


@pytest.mark.parametrize(
    ("recorded", "resource"),
    [
        ("TableInfos.csv", "TableInfos"),
        ("DataProperties.csv", "DataProperties"),
        ("CategoryGroups.csv", "CategoryGroups"),
        ("SITC.csv", "SITC"),
        ("LandenGroepen.csv", "Landen"),
        ("Perioden.csv", "Perioden"),
    ],
)
def test_resources_have_the_recorded_columns(
    simulator: Simulator, shared_data: Path, recorded: str, resource: str
) -> None:
    real = recorded_rows(shared_data, f"7137shih/{recorded}")
    content = ask(simulator, f"{API}/83926NED/{resource}")
    assert content["odata.metadata"].endswith(f"/ODataApi/OData/83926NED/$metadata#Cbs.OData.WebAPI.{resource}")
    for record in content["value"]:
        assert list(record) == list(real[0])


def test_data_properties_have_the_recorded_types(simulator: Simulator, shared_data: Path) -> None:
    real = recorded_rows(shared_data, "81810NED/DataProperties.csv")
    ours = value(simulator, f"{FEED}/85806NED/DataProperties")
    assert {record["odata.type"] for record in ours} == {record["odata.type"] for record in real}
    for record in ours:
        example = next(r for r in real if r["odata.type"] == record["odata.type"])
        for field in ("Key", "Position", "Datatype", "Unit", "Decimals", "Default"):
            assert (record[field] in (None, "")) == (example[field] == ""), (record["Type"], field)
    positions = [record["Position"] for record in ours if record["Position"] is not None]
    assert sorted(positions) == list(range(len(positions)))
    ids = {record["ID"] for record in ours}
    assert {record["ParentID"] for record in ours} - {None} <= ids


def test_data_have_the_recorded_columns(simulator: Simulator, shared_data: Path) -> None:
    real = recorded_rows(shared_data, "7137shih/data.csv")[0]
    ours = value(simulator, f"{FEED}/83926NED/TypedDataSet", top="1")[0]
    assert list(real)[:4] == ["ID", "SITC", "LandenGroepen", "Perioden"]
    assert list(ours) == ["ID", "SITC", "Landen", "Perioden", "Invoerwaarde_1", "Uitvoerwaarde_2", "Handelsbalans_3"]
    assert list(ours)[4:] == list(real)[4:7]


def test_untyped_values_are_aligned_text(simulator: Simulator, shared_data: Path) -> None:
    real = recorded_rows(shared_data, "81810NED/data.csv")
    width = {len(value) for row in real for name, value in row.items() if name.rsplit("_")[-1].isdigit()}
    assert width == {8}
    ours = value(simulator, f"{FEED}/85806NED/UntypedDataSet")
    topics = [name for name in ours[0] if name.rsplit("_")[-1].isdigit()]
    assert {len(row[topic]) for row in ours for topic in topics} == {8}
    assert {row["OmzetBinnenland_5"] for row in ours} == {"       ."}
    assert all(row[topic].strip() == "." or row[topic][-2] == "." for row in ours for topic in topics)
    wide = value(simulator, f"{FEED}/85427NED/UntypedDataSet", top="50")
    assert len({len(row["TotaleUitvoerwaarde_2"]) for row in wide}) == 1


def test_keys_are_padded_in_code_lists_and_data(simulator: Simulator) -> None:
    keys = [record["Key"] for record in value(simulator, f"{FEED}/83926NED/SITC")]
    assert keys[0] == "T001082  "
    assert {len(key) for key in keys} == {9}
    assert value(simulator, f"{FEED}/83926NED/TypedDataSet", filter="SITC eq 'T001082'") == []
    found = value(simulator, f"{FEED}/83926NED/TypedDataSet", filter="SITC eq 'T001082  ' and Landen eq 'L008778'")
    assert {row["SITC"] for row in found} == {"T001082  "}
    assert len(found) == 26
    keys = [record["Key"] for record in value(simulator, f"{FEED}/83926NED/SITC", filter="Key eq 'T001082  '")]
    assert keys == ["T001082  "]


def test_column_names_have_at_most_forty_characters(simulator: Simulator) -> None:
    for table in TABLES:
        keys = [record["Key"] for record in value(simulator, f"{FEED}/{table}/DataProperties") if record["Key"]]
        assert max(map(len, keys)) <= 40
        assert len(set(keys)) == len(keys)
        if table in (*SMALL, "83926NED"):
            assert list(value(simulator, f"{FEED}/{table}/TypedDataSet", top="1")[0]) == ["ID", *keys]


@pytest.mark.parametrize("table", TABLES)
def test_topic_indices_match_v4(simulator: Simulator, table: str) -> None:
    topics = {r["ID"]: r for r in value(simulator, f"{FEED}/{table}/DataProperties") if r["Type"] == "Topic"}
    reply = json.loads(simulator.answer(f"{V4}/{table}/MeasureCodes").body)
    measures = {record["Index"]: record for record in reply["value"]}
    assert set(topics) == set(measures)
    for index, topic in topics.items():
        for v3_name, v4_name in (("Title", "Title"), ("Unit", "Unit"), ("Decimals", "Decimals")):
            assert topic[v3_name] == measures[index][v4_name]


def test_default_format_is_atom(simulator: Simulator) -> None:
    reply = simulator.answer(f"{FEED}/85770NED/TypedDataSet", "$top=3")
    assert reply.media_type.startswith("application/atom+xml")
    feed = ElementTree.fromstring(reply.body)
    entries = feed.findall(f"{ATOM}entry")
    typed = value(simulator, f"{FEED}/85770NED/TypedDataSet", top="3")
    for entry, row in zip(entries, typed, strict=True):
        fields = {element.tag.removeprefix(DATA): element.text for element in entry.iter() if DATA in element.tag}
        assert fields == {name: None if v is None else str(v) for name, v in row.items()}
    assert ElementTree.fromstring(simulator.answer(f"{FEED}/85770NED").body).tag.endswith("service")
    assert simulator.answer(f"{API}/85770NED").media_type.startswith("application/json")
    infos = ElementTree.fromstring(simulator.answer(f"{FEED}/85770NED/TableInfos").body)
    assert infos.find(f".//{DATA}Identifier").text == "85770NED"  # type: ignore[union-attr]
    page = ElementTree.fromstring(simulator.answer(f"{FEED}/85427NED/TypedDataSet").body)
    link = page.find(f"{ATOM}link[@rel='next']")
    assert link is not None
    assert link.attrib["href"].endswith("/ODataFeed/odata/85427NED/TypedDataSet?$skip=10000")


def test_table_info_describes_the_release(simulator: Simulator) -> None:
    info = value(simulator, f"{API}/85429NED/TableInfos")[0]
    assert info["Modified"] == "2026-10-02T06:30:00"
    assert info["ReasonDelivery"] == "Actualisering"
    old = value(simulator, f"{API}/83926NED/TableInfos")[0]
    assert (old["OutputStatus"], old["ReasonDelivery"]) == ("Gediscontinueerd", "Stopgezet")


# -- catalogue --------------------------------------------------------------------------------------------


def test_catalogue(simulator: Simulator) -> None:
    records = value(simulator, "/ODataCatalog/Tables")
    assert {record["Identifier"] for record in records} == set(TABLES)
    by_code = {record["Identifier"]: record for record in records}
    assert by_code["85427NED"]["RecordCount"] == 254 * 12 * 73
    assert by_code["85427NED"]["ColumnCount"] == 10
    assert value(simulator, "/ODataCatalog/Tables", filter="Language eq 'en'") == []
    found = value(simulator, "/ODataCatalog/Tables", filter="substringof('goederenhandel',Title)", select="Identifier")
    assert {record["Identifier"] for record in found} == {"85427NED", "85429NED", "85681NED", "85682NED", "85683NED"}
    assert simulator.answer("/ODataCatalog/Tables").media_type.startswith("application/atom+xml")
    assert value(simulator, "/ODataCatalog")[0]["name"] == "Tables"
    assert refusal(simulator, "/ODataCatalog/Nothing")[0] == 404


# -- filters and pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("substringof('JJ',Perioden) and Landen eq 'L008778'", lambda r: "JJ" in r["Perioden"]),
        ("startswith(Landen,'L0087') and Perioden eq '2025MM01'", lambda r: r["Landen"].startswith("L0087")),
        ("substring(Perioden,0,4) eq '2024' and Landen eq 'L008592'", lambda r: r["Perioden"][:4] == "2024"),
        ("substring(Perioden,4) eq 'JJ00' and Landen eq 'L008592'", lambda r: r["Perioden"][4:] == "JJ00"),
        (
            "(Landen eq 'L008778' or Landen eq 'L008592') and Perioden ge '2026MM01' and Perioden le '2026MM03'",
            lambda r: r["Landen"] in ("L008778", "L008592") and "2026MM01" <= r["Perioden"] <= "2026MM03",
        ),
        ("TotaleUitvoerwaarde_2 gt 50000", lambda r: r["TotaleUitvoerwaarde_2"] > 50000),
    ],
)
def test_filter_returns_matching_rows(simulator: Simulator, condition: str, holds: Any) -> None:
    found = value(simulator, f"{API}/85427NED/TypedDataSet", filter=condition)
    assert found
    assert all(holds(row) for row in found)
    count = simulator.answer(f"{API}/85427NED/UntypedDataSet/$count", query_of({"filter": condition}))
    assert (count.media_type, int(count.body)) == ("text/plain", len(found))


@pytest.mark.parametrize(
    "condition",
    [
        "Landen in ('L008778')",
        "contains(Landen,'L')",
        "substring(Landen,-1) eq 'L'",
        "Land eq 'L008778'",
        "Landen eq",
        "TotaleUitvoerwaarde_2 eq 'veel'",
        "startswith(TotaleUitvoerwaarde_2,'1')",
    ],
)
def test_filters_unsupported_by_v3_are_refused(simulator: Simulator, condition: str) -> None:
    assert refusal(simulator, f"{API}/85427NED/TypedDataSet", filter=condition)[0] == 400


def test_unknown_tables_and_resources_are_not_found(simulator: Simulator) -> None:
    for path in (f"{API}/99999NED", f"{API}/85427NED/Geslacht", f"{FEED}/85427ned/TableInfos", "/ODataApi"):
        assert refusal(simulator, path)[0] == 404


def test_api_refuses_more_than_ten_thousand_rows(simulator: Simulator) -> None:
    status, message = refusal(simulator, f"{API}/85427NED/UntypedDataSet")
    assert status == 400
    assert "10000" in message
    assert len(value(simulator, f"{API}/85427NED/UntypedDataSet", top="10000")) == 10_000
    assert len(value(simulator, f"{API}/85770NED/UntypedDataSet")) == 4 * 5 * 74


def test_feed_returns_pages_of_ten_thousand(simulator: Simulator) -> None:
    condition = "startswith(Landen,'L0085') and SITC ne 'T001082'"
    path, options, pages = f"{FEED}/85427NED/UntypedDataSet", query_of({"format": "json", "filter": condition}), []
    while path:
        content = json.loads(simulator.answer(path, options).body)
        pages.append([row["ID"] for row in content["value"]])
        following = content.get("odata.nextLink", "")
        assert not following or f"$skip={10_000 * len(pages)}" in following
        path, _, options = following.removeprefix("http://127.0.0.1").partition("?")
    ids = [number for page in pages for number in page]
    assert [len(page) for page in pages[:-1]] == [10_000] * (len(pages) - 1)
    assert len(pages) > 1
    assert ids == sorted(set(ids))
    count = simulator.answer(f"{FEED}/85427NED/UntypedDataSet/$count", query_of({"filter": condition})).body
    assert len(ids) == int(count)


def test_row_ids_are_grid_positions(simulator: Simulator) -> None:
    row = value(simulator, f"{FEED}/85427NED/TypedDataSet", filter="Landen eq 'L007935' and SITC eq 'A018524'")[2]
    assert row["ID"] == (1 * 12 + 1) * 73 + 2
    last = value(simulator, f"{FEED}/85427NED/TypedDataSet", orderby="ID desc", top="1", select="ID,Perioden")[0]
    assert last == {"ID": 254 * 12 * 73 - 1, "Perioden": "2026JJ00"}
    assert [r["ID"] for r in value(simulator, f"{FEED}/85427NED/TypedDataSet", skip="9", top="2")] == [9, 10]


# -- consistency across channels --------------------------------------------------------------------------

Cells = dict[tuple[str, ...], float | None]


def from_v4(simulator: Simulator, table: str, **options: str) -> Cells:
    cells: Cells = {}
    path, query = f"{V4}/{table}/Observations", query_of(options)
    while path:
        content = json.loads(simulator.answer(path, query).body)
        for row in content["value"]:
            key = (row["Measure"], *(row[name].strip() for name in TABLES[table].dimension_names))
            assert key not in cells
            cells[key] = row["Value"]
        path, _, query = content.get("@odata.nextLink", "").removeprefix("http://127.0.0.1").partition("?")
    return cells


def from_v3(simulator: Simulator, table: str, resource: str, **options: str) -> Cells:
    """Return cells with a value, by v4 code: a topic's index maps to the code."""
    code_of = {record["Index"]: record["Identifier"] for record in value_v4(simulator, f"{table}/MeasureCodes")}
    topics = {
        record["Key"]: code_of[record["ID"]]
        for record in value(simulator, f"{FEED}/{table}/DataProperties")
        if record["Type"] == "Topic"
    }
    cells: Cells = {}
    path, query = f"{FEED}/{table}/{resource}", query_of({"format": "json"} | options)
    while path:
        content = json.loads(simulator.answer(path, query).body)
        for row in content["value"]:
            key = tuple(row[name].strip() for name in TABLES[table].dimension_names)
            for topic, code in topics.items():
                text = row[topic]
                if text is not None and str(text).strip() != ".":
                    cells[code, *key] = float(text)
        path, _, query = content.get("odata.nextLink", "").removeprefix("http://127.0.0.1").partition("?")
    return cells


def value_v4(simulator: Simulator, path: str) -> list[dict[str, Any]]:
    return list(json.loads(simulator.answer(f"{V4}/{path}").body)["value"])


def from_bulk(simulator: Simulator, table: str, folder: Path, condition: str = "true") -> tuple[Cells, int]:
    """Return the cells that meet a condition, and the number of all cells."""
    with zipfile.ZipFile(io.BytesIO(simulator.answer(f"/csv/CBS/nl/{table}").body)) as archive:
        names = [name for name in archive.namelist() if name.startswith("Observations")]
        archive.extractall(folder, names)
    source = f"read_csv('{folder}/Observations*.csv', delim=';', header=true, all_varchar=true)"
    keys = ", ".join(f'trim("{name}")' for name in TABLES[table].dimension_names)
    value_sql = "cast(replace(\"Value\", ',', '.') as double)"
    with duckdb.connect() as connection:
        found = connection.execute(f'select "Measure", {keys}, {value_sql} from {source} where {condition}').fetchall()
        counted = connection.execute(f"select count(*) from {source}").fetchone()
    assert counted is not None
    cells = {tuple(key): number for *key, number in found}
    assert len(cells) == len(found)
    return cells, int(counted[0])


@pytest.mark.parametrize("table", SMALL)
def test_all_channels_agree(simulator: Simulator, table: str, tmp_path: Path) -> None:
    v4 = from_v4(simulator, table)
    assert len(v4) > 3000
    assert from_bulk(simulator, table, tmp_path) == (v4, len(v4))
    with_value = {key: number for key, number in v4.items() if number is not None}
    assert from_v3(simulator, table, "TypedDataSet") == with_value
    assert from_v3(simulator, table, "UntypedDataSet") == with_value


@pytest.mark.parametrize(("table", "part"), [("85429NED", "L008778"), ("85427NED", "L008778"), ("85683NED", "L008592")])
def test_all_channels_agree_for_a_country(simulator: Simulator, table: str, part: str, tmp_path: Path) -> None:
    v4 = from_v4(simulator, table, filter=f"Landen eq '{part}'")
    assert len(v4) > 3000
    assert from_v3(simulator, table, "UntypedDataSet", filter=f"Landen eq '{part}'") == v4
    bulk, count = from_bulk(simulator, table, tmp_path, f"\"Landen\" = '{part}'")
    assert bulk == v4
    assert str(count) == simulator.answer(f"{V4}/{table}/Observations/$count").body.decode()


def test_old_method_excludes_transit(simulator: Simulator) -> None:
    rows = value(
        simulator, f"{FEED}/83926NED/TypedDataSet", filter="SITC eq 'T001082  ' and substringof('JJ',Perioden)"
    )
    total = next(r for r in rows if r["Landen"] == "T001047" and r["Perioden"] == "2022JJ00")
    assert total["Uitvoerwaarde_2"] / 1000 == pytest.approx(359426 + 363640, rel=0.005)
    assert total["Handelsbalans_3"] == total["Uitvoerwaarde_2"] - total["Invoerwaarde_1"]
    before = simulator.answer(f"{FEED}/83926NED/TypedDataSet", "$format=json&$top=100").body
    simulator.set_release(14)
    assert simulator.answer(f"{FEED}/83926NED/TypedDataSet", "$format=json&$top=100").body == before
    simulator.set_release(12)


# -- faults -----------------------------------------------------------------------------------------------


def test_data_faults_apply_to_wide_rows(simulator: Simulator) -> None:
    path = f"{FEED}/85427NED/TypedDataSet"
    options = {"filter": "Perioden eq '2025MM05' and SITC eq 'A018678'"}
    right = value(simulator, path, **options)
    main = "TotaleUitvoerwaarde_2"

    def wrong(kind: str) -> list[dict[str, Any]]:
        simulator.faults.add([{"match": "TypedDataSet", "kind": kind, "times": 1}])
        found = value(simulator, path, **options)
        assert simulator.faults.faults[-1].times == 0
        return found

    assert len(wrong("duplicate_key")) == len(right) + 1
    assert len(wrong("missing_partners")) == len(right) - 5
    assert {row["Landen"] for row in wrong("unknown_partner")} - {row["Landen"] for row in right} == {"L009999"}
    ((before, after),) = [(a, b) for a, b in zip(right, wrong("negative_value"), strict=True) if a != b]
    assert after[main] == -before[main] < 0
    assert sum(row[main] == "abc" for row in wrong("bad_number")) == 1
    ((before, after),) = [(a, b) for a, b in zip(right, wrong("wrong_total"), strict=True) if a != b]
    assert before["Landen"] == "T001047"
    assert after[main] == pytest.approx(1.1 * before[main], abs=1)
    simulator.faults.add([{"match": "85806NED/Typed", "kind": "unknown_partner", "times": 1}])
    keys = {row["BedrijfstakkenBranchesSBI2008"] for row in value(simulator, f"{FEED}/85806NED/TypedDataSet")}
    assert "999999    " in keys
    simulator.faults.add([{"match": "DataProperties", "kind": "unit"}])
    units = {record["Unit"] for record in value(simulator, f"{FEED}/85427NED/DataProperties")}
    assert units == {None, "1 000 euro", "%"}


def test_duplicate_page_fault_repeats_the_previous_feed_page(simulator: Simulator) -> None:
    path = f"{FEED}/85427NED/UntypedDataSet"
    right = [ask(simulator, path, skip=str(skip)) for skip in (0, 10_000, 20_000)]
    simulator.faults.faults.append(Fault("UntypedDataSet", "duplicate_page", times=1))
    wrong = [ask(simulator, path, skip=str(skip)) for skip in (0, 10_000, 20_000)]
    assert [page["value"] == same["value"] for page, same in zip(wrong, right, strict=True)] == [True, False, True]
    assert wrong[1]["value"] == right[0]["value"]
    assert [page["odata.nextLink"] for page in wrong] == [page["odata.nextLink"] for page in right]

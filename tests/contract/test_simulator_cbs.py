"""The simulated CBS host matches the OData v4 format of the recorded payloads of 85429NED."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from simulator.cbs import LARGE_LANDS, MEASURES
from simulator.cbs.trade import SECTION_CODES
from simulator.server import Simulator, run_simulator

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cbs" / "v4" / "85429NED"
AGGREGATES = ("L007935", "L006998", "L007933", "L008519", "L008520", "L008524", "L008531", "L008527")
TOTALS = "Landen eq 'T001047' and SITC eq 'T001082'"

pytestmark = pytest.mark.enable_socket


def recorded(name: str) -> Any:
    path = RECORDED / name
    if not path.exists():
        pytest.skip(f"the recorded payload {name} is not on this machine")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture(scope="module")
def server(simulator: Simulator) -> Iterator[str]:
    with run_simulator(simulator) as base_url:
        yield base_url


@pytest.fixture
def table(server: str) -> Iterator[str]:
    yield f"{server}/odata/v1/CBS/85429NED"
    requests.delete(f"{server}/_simulator/faults", timeout=10)
    requests.post(f"{server}/_simulator/release", json={"number": 12}, timeout=10)


def get(url: str, **options: str) -> requests.Response:
    return requests.get(url, params={f"${name}": value for name, value in options.items()}, timeout=60)


def rows(table: str, **options: str) -> list[dict[str, Any]]:
    reply = get(f"{table}/Observations", **options)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["value"]
    return found


def add_fault(table: str, kind: str, match: str = "Observations", **options: Any) -> None:
    server = table.split("/odata/")[0]
    reply = requests.post(f"{server}/_simulator/faults", json=[{"match": match, "kind": kind, **options}], timeout=10)
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ("Dimensions", "dimensions.json"),
        ("MeasureCodes", "measure-codes.json"),
        ("LandenCodes", "codes-Landen.json"),
        ("SITCCodes", "codes-SITC.json"),
        ("PeriodenCodes", "codes-Perioden.json"),
        ("Properties", "properties.json"),
        ("Observations", "observations-page-1.json"),
    ],
)
def test_reply_matches_the_recorded_format(table: str, resource: str, name: str) -> None:
    real = recorded(name)
    options = {"filter": TOTALS} if resource == "Observations" else {}
    reply = get(f"{table}/{resource}", **options)
    ours = reply.json()
    assert reply.headers["Content-Type"].startswith("application/json")
    assert list(ours) == list(real)
    assert ours["@odata.context"] == real["@odata.context"].replace("https://datasets.cbs.nl", table[:-22])
    if "value" in real:
        assert [list(record) for record in ours["value"][:3]] == [list(record) for record in real["value"][:3]]
        types = {name: type(value) for name, value in real["value"][-1].items() if value is not None}
        for field, kind in types.items():
            assert isinstance(ours["value"][-1][field], kind | float if kind is int else kind), field


def test_code_lists_match_the_recorded_ones(table: str) -> None:
    for dimension, fields in (
        ("Landen", ("Identifier", "Index", "Title", "DimensionGroupId")),
        ("SITC", ("Identifier", "Index", "Title", "Description", "DimensionGroupId")),
    ):
        real = recorded(f"codes-{dimension}.json")["value"]
        ours = get(f"{table}/{dimension}Codes").json()["value"]
        assert [[record[name] for name in fields] for record in ours] == [
            [record[name] for name in fields] for record in real
        ]
    real = {record["Identifier"]: record for record in recorded("codes-Landen.json")["value"]}
    ours_by_code = {record["Identifier"]: record for record in get(f"{table}/LandenCodes").json()["value"]}
    assert ours_by_code["L008778"] == real["L008778"]
    measures = get(f"{table}/MeasureCodes").json()["value"]
    real_measures = recorded("measure-codes.json")["value"]
    for name in ("Identifier", "Index", "Title", "MeasureGroupId", "DataType", "Unit", "Decimals"):
        assert [record[name] for record in measures] == [record[name] for record in real_measures]


def test_periods_have_status_and_a_partial_year(table: str) -> None:
    periods = get(f"{table}/PeriodenCodes").json()["value"]
    assert [record["Index"] for record in periods] == list(range(1, len(periods) + 1))
    assert len(periods) == 67 + 6
    by_code = {record["Identifier"]: record for record in periods}
    assert by_code["2026JJ00"]["Title"] == "2026 januari-juli"
    assert by_code["2025JJ00"]["Title"].strip() == "2025"
    assert periods[-1]["Identifier"] == "2026JJ00"
    assert [by_code[f"{year}MM01"]["Status"] for year in (2023, 2024, 2025, 2026)] == [
        "Definitief",
        "NaderVoorlopig",
        "Voorlopig",
        "Voorlopig",
    ]


def test_properties_describe_the_release(table: str) -> None:
    properties = get(f"{table}/Properties").json()
    assert properties["Version"] == "202610020630"
    assert properties["Modified"] == "2026-10-02T06:30:00+02:00"
    assert properties["TemporalCoverage"] == "2021 januari - 2026 juli."
    assert properties["ObservationCount"] == int(get(f"{table}/Observations/$count").text)


def test_service_document_lists_the_resources(table: str) -> None:
    names = [entry["url"] for entry in get(table).json()["value"]]
    assert "Observations" in names
    for name in names:
        assert get(f"{table}/{name}", top="1").status_code == 200


def test_group_lists_cover_the_groups_of_the_codes(table: str) -> None:
    for dimension in ("Landen", "SITC", "Perioden"):
        groups = {record["Id"] for record in get(f"{table}/{dimension}Groups").json()["value"]}
        codes = get(f"{table}/{dimension}Codes").json()["value"]
        assert {record["DimensionGroupId"] for record in codes} <= groups
    groups = {record["Id"] for record in get(f"{table}/MeasureGroups").json()["value"]}
    assert {record["MeasureGroupId"] for record in get(f"{table}/MeasureCodes").json()["value"]} <= groups


def test_catalogue_can_be_searched(server: str) -> None:
    reply = get(
        f"{server}/odata/v1/CBS/Datasets",
        select="Identifier,Title,Modified",
        filter="contains(Title,'goederenhandel')",
    ).json()
    assert reply["@odata.context"].endswith("$metadata#Datasets(Identifier,Title,Modified)")
    assert {record["Identifier"] for record in reply["value"]} == {
        "85427NED",
        "85429NED",
        "85681NED",
        "85682NED",
        "85683NED",
    }
    assert all(set(record) == {"Identifier", "Title", "Modified"} for record in reply["value"])


def test_identifiers_are_case_sensitive(server: str) -> None:
    for path in ("85429ned/Properties", "99999NED", "85429NED/observations", "85429NED/LandCodes"):
        reply = get(f"{server}/odata/v1/CBS/{path}")
        assert reply.status_code == 404
        assert set(reply.json()["error"]) == {"code", "message"}


def test_pages_cover_every_row_once() -> None:
    simulator = Simulator(page_size=4000)
    with run_simulator(simulator) as server:
        table = f"{server}/odata/v1/CBS/85429NED"
        condition = "Perioden ge '2026MM05' and Landen ne 'T001047'"
        url: str | None = f"{table}/Observations?$filter={condition}"
        found, pages = [], 0
        while url:
            reply = requests.get(url, timeout=60).json()
            assert len(reply["value"]) <= 4000
            found += [record["Id"] for record in reply["value"]]
            url = reply.get("@odata.nextLink")
            assert url is None or url.startswith(f"{table}/Observations?")
            pages += 1
        assert pages > 3
        assert len(found) == len(set(found)) == int(get(f"{table}/Observations/$count", filter=condition).text)
        assert found == sorted(found)


def test_top_and_skip_span_pages() -> None:
    with run_simulator(page_size=10) as server:
        table = f"{server}/odata/v1/CBS/85429NED"
        first = get(f"{table}/Observations", top="25").json()
        second = requests.get(first["@odata.nextLink"], timeout=60).json()
        third = requests.get(second["@odata.nextLink"], timeout=60).json()
        assert "@odata.nextLink" not in third
        ids = [record["Id"] for page in (first, second, third) for record in page["value"]]
        assert ids == list(range(25))
        assert [record["Id"] for record in rows(table, top="2", skip="7")] == [7, 8]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (
            "Landen eq 'L008778' and Perioden eq '2025JJ00'",
            lambda r: r["Landen"] == "L008778" and r["Perioden"] == "2025JJ00",
        ),
        (
            "Landen in ('L008778','L008592') and Perioden eq '2025MM01'",
            lambda r: r["Landen"] in ("L008778", "L008592") and r["Perioden"] == "2025MM01",
        ),
        (
            "SITC eq 'A018678' and startswith(Perioden,'2024MM') and Measure eq 'D001636'",
            lambda r: r["SITC"] == "A018678" and r["Perioden"][:6] == "2024MM" and r["Measure"] == "D001636",
        ),
        (
            "Perioden ge '2025MM11' and Perioden le '2026MM02' and (Landen eq 'L008778' or Landen eq 'L008575')",
            lambda r: "2025MM11" <= r["Perioden"] <= "2026MM02" and r["Landen"] in ("L008778", "L008575"),
        ),
    ],
)
def test_filter_returns_matching_rows(table: str, condition: str, holds: Any) -> None:
    found = rows(table, filter=condition)
    assert found
    assert all(holds(record) for record in found)
    assert get(f"{table}/Observations/$count", filter=condition).text == str(len(found))


def test_or_binds_weaker_than_and(table: str) -> None:
    country = "startswith(Landen,'L0087') and Perioden eq '2025JJ00' and Measure eq 'D001636'"
    loose = rows(table, filter=f"SITC eq 'A018524' or SITC eq 'A018528' and {country}", top="5")
    tight = rows(table, filter=f"(SITC eq 'A018524' or SITC eq 'A018528') and {country}")
    assert {record["Perioden"] for record in tight} == {"2025JJ00"}
    assert {record["Perioden"] for record in loose} != {"2025JJ00"}


@pytest.mark.parametrize(
    "condition",
    ["Land eq 'x'", "Landen eq", "Landen like 'x'", "(Landen eq 'x'", "Landen eq 'x' Landen", "Id eq 'abc'"],
)
def test_invalid_filter_is_refused(table: str, condition: str) -> None:
    reply = get(f"{table}/Observations", filter=condition)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]


def test_select_and_order(table: str) -> None:
    reply = get(
        f"{table}/Observations", filter=TOTALS, select="Perioden,Value", orderby="Perioden desc", top="1"
    ).json()
    assert reply["value"][0]["Perioden"] == "2026MM07"
    assert list(reply["value"][0]) == ["Value", "Perioden"]
    assert get(f"{table}/Observations", select="Nothing").status_code == 400


def test_count_is_a_bare_integer(table: str) -> None:
    reply = get(f"{table}/Observations/$count", filter=TOTALS)
    assert reply.text.isdigit()
    # Eight measures; the two year-on-year ones are absent in the first year.
    assert int(reply.text) == 8 * 73 - 2 * 13


def test_totals_are_within_half_a_percent_of_published_figures(table: str) -> None:
    published = {
        2021: (714212, 271005, 293999, 149208),
        2022: (917540, 359426, 363640, 194475),
        2023: (864929, 319456, 344061, 201412),
        2024: (850697, 312431, 333604, 204662),
        2025: (875641, 318509, 334261, 222871),
    }
    found = rows(table, filter=f"{TOTALS} and endswith(Perioden,'JJ00')")
    values = {(record["Perioden"][:4], record["Measure"]): record["Value"] for record in found}
    for year, anchors in published.items():
        for measure, anchor in zip(("D001636", "M001648", "M001632", "M007897"), anchors, strict=True):
            assert values[str(year), measure] == pytest.approx(anchor, rel=0.005)


def test_published_cells_satisfy_the_identities(table: str, simulator: Simulator) -> None:
    """Export parts sum to exports; sections and partners, including suppressed ones, sum to their totals."""
    found = rows(table, filter="Perioden eq '2025JJ00' or Perioden eq '2026MM03'")
    cells = {(r["Perioden"], r["Landen"], r["SITC"], r["Measure"]): r["Value"] for r in found}
    assert all(isinstance(r["Value"], int) for r in found if r["Measure"] not in ("M001608", "M001609"))
    exports = [key for key in cells if key[3] == "D001636"]
    for period, land, section, _ in exports:
        parts = [cells[period, land, section, measure] for measure in ("M001648", "M001632", "M007897")]
        assert abs(cells[period, land, section, "D001636"] - sum(parts)) <= 1

    truth, revised = simulator.cbs.trade.published_values(simulator.release)
    months = {"2025JJ00": slice(48, 60), "2026MM03": slice(62, 63)}
    lands = {key[1] for key in cells} - set(AGGREGATES) - {"T001047"}
    for period, span in months.items():
        total = sum(cells[period, "T001047", section, "D001636"] for section in SECTION_CODES)
        assert abs(total - cells[period, "T001047", "T001082", "D001636"]) <= 6
        both = [cells[period, land, "T001082", "D001636"] for land in ("L007935", "L006998")]
        assert abs(sum(both) - cells[period, "T001047", "T001082", "D001636"]) <= 2
        for column, section in enumerate(SECTION_CODES):
            shown = [
                cells[period, land, section, "D001636"] for land in lands if (period, land, section, "D001636") in cells
            ]
            values = revised[0, :, column, span].sum(axis=-1)
            withheld = truth.suppressed[:, column, 1]
            for land in np.array(truth.lands)[withheld]:
                assert (period, str(land), section, "D001636") not in cells
            expected = cells[period, "T001047", section, "D001636"]
            assert sum(shown) + values[withheld].sum() == pytest.approx(expected, abs=0.5 * len(shown) + 1)


def test_months_sum_to_year_within_rounding(table: str) -> None:
    found = rows(table, filter=f"{TOTALS} and Measure eq 'D001636' and startswith(Perioden,'2026')")
    values = {record["Perioden"]: record["Value"] for record in found}
    assert abs(sum(v for p, v in values.items() if "MM" in p) - values["2026JJ00"]) <= 4


def test_year_on_year_change(table: str) -> None:
    found = rows(table, filter=f"{TOTALS} and Measure in ('D001636','M001609')")
    values = {(record["Perioden"], record["Measure"]): record["Value"] for record in found}
    for now, before in (("2025MM03", "2024MM03"), ("2025JJ00", "2024JJ00")):
        change = 100 * (values[now, "D001636"] / values[before, "D001636"] - 1)
        assert values[now, "M001609"] == pytest.approx(change, abs=0.06)
    same_months = sum(values[f"2025MM{month:02}", "D001636"] for month in range(1, 8))
    change = 100 * (values["2026JJ00", "D001636"] / same_months - 1)
    assert values["2026JJ00", "M001609"] == pytest.approx(change, abs=0.06)


def test_release_moves_forward_and_back(table: str) -> None:
    server = table.split("/odata/")[0]
    before = get(f"{table}/Observations", filter=TOTALS).content
    state = requests.post(f"{server}/_simulator/release", json={"number": 13}, timeout=10).json()
    assert state["cbs_version"] == "202611020630"
    assert get(f"{table}/Properties").json()["Modified"] == "2026-11-02T06:30:00+01:00"
    after = rows(table, filter=f"{TOTALS} and Measure eq 'D001636'")
    assert {"2026MM08", "2026MM07"} <= {record["Perioden"] for record in after}
    requests.post(f"{server}/_simulator/release", json={"number": 12}, timeout=10)
    assert get(f"{table}/Observations", filter=TOTALS).content == before
    wrong = requests.post(f"{server}/_simulator/release", json={"number": 0}, timeout=10)
    assert wrong.status_code == 400


# -- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "status"), [("http_500", 500), ("http_503", 503), ("http_429", 429)])
def test_error_status_repeats_as_configured(table: str, kind: str, status: int) -> None:
    add_fault(table, kind, "Properties$", times=2, retry_after=3)
    replies = [get(f"{table}/Properties") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [status, status, 200]
    if kind != "http_500":
        assert replies[0].headers["Retry-After"] == "3"


def test_maintenance_page_has_status_200(table: str) -> None:
    add_fault(table, "html_200")
    reply = get(f"{table}/Observations", filter=TOTALS)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    assert get(f"{table}/Properties").headers["Content-Type"].startswith("application/json")


def test_reset_closes_the_connection_during_the_body(table: str) -> None:
    add_fault(table, "reset", times=1)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        get(f"{table}/Observations", filter=TOTALS)
    assert rows(table, filter=TOTALS)


def test_truncated_body_has_a_matching_content_length(table: str) -> None:
    whole = get(f"{table}/Observations", filter=TOTALS).content
    add_fault(table, "truncate")
    reply = get(f"{table}/Observations", filter=TOTALS)
    assert int(reply.headers["Content-Length"]) == len(reply.content) < len(whole)
    assert whole.startswith(reply.content)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        reply.json()


def test_slow_reply_arrives_completely(table: str) -> None:
    add_fault(table, "slow", delay_seconds=0.3)
    reply = get(f"{table}/Observations", filter=TOTALS)
    assert reply.elapsed.total_seconds() >= 0.3
    assert reply.json()["value"]


def test_unit_fault_changes_the_measure_codes(table: str) -> None:
    add_fault(table, "unit", "MeasureCodes")
    units = [record["Unit"] for record in get(f"{table}/MeasureCodes").json()["value"]]
    assert units == ["1 000 euro"] * 6 + ["%"] * 2


MONTH = "Perioden eq '2025MM05' and SITC eq 'A018678'"


def test_duplicate_key_serves_one_row_twice(table: str) -> None:
    right = rows(table, filter=MONTH)
    add_fault(table, "duplicate_key", times=1)
    wrong = rows(table, filter=MONTH)
    assert len(wrong) == len(right) + 1
    assert {record["Id"] for record in wrong} == {record["Id"] for record in right}
    assert rows(table, filter=MONTH) == right


def test_missing_partners_keep_the_totals(table: str) -> None:
    right = rows(table, filter=MONTH)
    add_fault(table, "missing_partners")
    wrong = rows(table, filter=MONTH)
    assert wrong == [record for record in right if record["Landen"] not in LARGE_LANDS]
    assert get(f"{table}/Observations/$count", filter=MONTH).text == str(len(wrong))
    requests.delete(f"{table.split('/odata/')[0]}/_simulator/faults", timeout=10)
    add_fault(table, "missing_partners", partners=["L008575"])
    assert rows(table, filter=MONTH) == [record for record in right if record["Landen"] != "L008575"]


def changed(table: str, kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    right = rows(table, filter=MONTH)
    add_fault(table, kind, times=1)
    wrong = rows(table, filter=MONTH)
    assert len(right) == len(wrong)
    return [(a, b) for a, b in zip(right, wrong, strict=True) if a != b]


def test_negative_value_flips_one_sign(table: str) -> None:
    ((right, wrong),) = changed(table, "negative_value")
    assert wrong["Value"] == -right["Value"] < 0


def test_bad_number_is_text(table: str) -> None:
    ((_, wrong),) = changed(table, "bad_number")
    assert wrong["Value"] == "abc"


def test_unknown_partner_renames_one_country(table: str) -> None:
    pairs = changed(table, "unknown_partner")
    assert len({right["Landen"] for right, _ in pairs}) == 1
    assert {wrong["Landen"] for _, wrong in pairs} == {"L009999"}


def test_wrong_total_changes_only_the_total(table: str) -> None:
    pairs = changed(table, "wrong_total")
    assert {right["Landen"] for right, _ in pairs} == {"T001047"}
    assert all(wrong["Value"] == pytest.approx(1.1 * right["Value"], abs=1) for right, wrong in pairs)


def test_data_fault_stays_pending_until_it_changes_a_row(table: str) -> None:
    add_fault(table, "wrong_total", times=1)
    rows(table, filter="Landen eq 'L008778' and Perioden eq '2025MM05'")
    server = table.split("/odata/")[0]
    faults = requests.get(f"{server}/_simulator/faults", timeout=10).json()
    assert faults == [{"match": "Observations", "kind": "wrong_total", "times": 1}]


def test_unknown_fault_is_refused(server: str) -> None:
    for fault in ({"match": "x", "kind": "earthquake"}, {"kind": "slow"}, {"match": "(", "kind": "slow"}):
        reply = requests.post(f"{server}/_simulator/faults", json=[fault], timeout=10)
        assert reply.status_code == 400
    assert requests.get(f"{server}/_simulator/faults", timeout=10).json() == []


def test_requests_are_logged(table: str) -> None:
    server = table.split("/odata/")[0]
    requests.delete(f"{server}/_simulator/requests", timeout=10)
    reply = get(f"{table}/Dimensions")
    get(f"{table}/Nothing")
    log = requests.get(f"{server}/_simulator/requests", timeout=10).json()
    assert log[0] == {
        "method": "GET",
        "url": "/odata/v1/CBS/85429NED/Dimensions",
        "status": 200,
        "bytes": len(reply.content),
    }
    assert [entry["status"] for entry in log] == [200, 404]


def test_health_names_the_release(server: str) -> None:
    state = requests.get(f"{server}/_simulator/health", timeout=10).json()
    assert state["status"] == "ok"
    assert state["release"] == 12
    assert state["cbs_newest_month"] == "2026-07"
    assert len(MEASURES) == 8

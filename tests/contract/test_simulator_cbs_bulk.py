"""The simulated CBS bulk files match the recorded members, and its release calendar matches the releases."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from simulator.cbs import TABLES
from simulator.server import Simulator

BOM = b"\xef\xbb\xbf"


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture(autouse=True)
def _calm(simulator: Simulator) -> Iterator[None]:
    rows_per_member = simulator.cbs.bulk.rows_per_member
    yield
    simulator.faults.clear()
    simulator.cbs.bulk.rows_per_member = rows_per_member


def members(simulator: Simulator, table: str, prefix: str = "/csv/CBS/nl") -> dict[str, bytes]:
    reply = simulator.answer(f"{prefix}/{table}")
    assert reply.status == 200
    assert reply.media_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def unspoilt(simulator: Simulator, table: str) -> dict[str, bytes]:
    return members(simulator, table)


def table_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))


@pytest.mark.parametrize(
    ("recorded", "ours", "table"),
    [
        ("Catalog.csv", "Catalog.csv", "85427NED"),
        ("Dimensions.csv", "Dimensions.csv", "85427NED"),
        ("Distribution.csv", "Distribution.csv", "85427NED"),
        ("KenmerkenVanHuishoudensCodes.csv", "LandenCodes.csv", "85427NED"),
        ("KenmerkenVanHuishoudensGroups.csv", "LandenGroups.csv", "85427NED"),
        ("LinkProvenances.csv", "LinkProvenances.csv", "85427NED"),
        ("LinkRelatedSources.csv", "LinkRelatedSources.csv", "85429NED"),
        ("MeasureCodes.csv", "MeasureCodes.csv", "85770NED"),
        ("PeriodenCodes.csv", "PeriodenCodes.csv", "85770NED"),
        ("PeriodenGroups.csv", "PeriodenGroups.csv", "85770NED"),
        ("Properties.csv", "Properties.csv", "85806NED"),
    ],
)
def test_members_have_the_recorded_header(
    simulator: Simulator, shared_data: Path, recorded: str, ours: str, table: str
) -> None:
    real = (shared_data / "cbs" / "v4_bulk_csv" / recorded).read_text(encoding="utf-8-sig").splitlines()[0]
    content = unspoilt(simulator, table)[ours]
    assert content.decode("utf-8-sig").split("\r\n")[0] == real
    assert table_of(content)


def test_observations_have_the_recorded_columns(simulator: Simulator, shared_data: Path) -> None:
    path = shared_data / "cbs" / "v4_bulk_csv" / "Observations.csv"
    real = path.read_text(encoding="utf-8-sig").splitlines()[0].split(";")
    lines = members(simulator, "85770NED")["Observations.csv"].decode("utf-8-sig").split("\r\n")
    ours = lines[0].split(";")
    assert ours[:2] == real[:2]
    assert ours[2:-3] == ["AlleProdComCoderingen", "Afzetgebieden", "Perioden"]
    assert ours[-3:] == real[-3:] == ["Value", "StringValue", "ValueAttribute"]
    assert lines[-1] == ""
    first = json.loads(simulator.answer("/odata/v1/CBS/85770NED/Observations", "$top=1").body)["value"][0]
    number = str(first["Value"]).replace(".", ",")
    assert lines[1] == f"0;M003367;A014686;A044074;2021MM01;{number};;None"


def test_numbers_have_decimal_commas_and_lines_end_in_crlf(simulator: Simulator) -> None:
    table = "85806NED"
    found = members(simulator, table)
    rows = table_of(found["Observations.csv"])
    assert not any("." in row["Value"] for row in rows)
    assert sum("," in row["Value"] for row in rows) > 0.8 * len(rows)
    for name, content in found.items():
        # The summary of a table contains bare line feeds, as at CBS.
        assert (b"\n" in content.replace(b"\r\n", b"")) == (name == "Properties.csv" and "\n" in TABLES[table].summary)
    assert [name for name, content in found.items() if content.startswith(BOM)] == [
        "Observations.csv",
        "Properties.csv",
    ]


def test_properties_match_v4(simulator: Simulator) -> None:
    for table in ("85429NED", "81234ned"):
        v4 = json.loads(simulator.answer(f"/odata/v1/CBS/{table}/Properties").body)
        (row,) = table_of(unspoilt(simulator, table)["Properties.csv"])
        assert {name: str(v4[name]) for name in row} == row
        assert "\r\n" in row["Description"]
        distributions = {d["Format"]: d["DownloadUrl"] for d in v4["Distributions"]}
        assert distributions == {
            "csv": f"http://127.0.0.1/csv/CBS/nl/{table}",
            "odata": f"http://127.0.0.1/odata/v1/CBS/{table}",
        }


def test_impossible_cells_have_no_value(simulator: Simulator) -> None:
    rows = [row for row in table_of(members(simulator, "81234ned")["Observations.csv"]) if not row["Value"]]
    assert rows
    assert {row["ValueAttribute"] for row in rows} == {"Impossible"}


def test_both_url_spellings_return_the_same_bytes(simulator: Simulator) -> None:
    first = simulator.answer("/csv/CBS/nl/85770NED").body
    assert simulator.answer("/CSV/CBS/nl/85770NED").body == first
    assert Simulator().answer("/csv/CBS/nl/85770NED").body == first
    for table in ("85770ned", "83926NED", "99999NED"):
        assert simulator.answer(f"/csv/CBS/nl/{table}").status == 404


def test_large_table_is_split(simulator: Simulator) -> None:
    whole = table_of(members(simulator, "85770NED")["Observations.csv"])
    simulator.cbs.bulk.rows_per_member = 1500
    found = members(simulator, "85770NED")
    names = [name for name in found if name.startswith("Observations")]
    assert names == ["Observations.csv", "Observations_2.csv", "Observations_3.csv"]
    parts = [table_of(found[name]) for name in names]
    assert [len(part) for part in parts] == [1500, 1500, len(whole) - 3000]
    assert [row for part in parts for row in part] == whole


def test_duckdb_reads_the_observations(simulator: Simulator, tmp_path: Path) -> None:
    for name, content in unspoilt(simulator, "85429NED").items():
        (tmp_path / name).write_bytes(content)
    counted = duckdb.sql(
        f'select count(*), sum("Value") filter ("Landen" = \'T001047\' and "SITC" = \'T001082\' '
        f"and \"Perioden\" = '2024JJ00' and \"Measure\" = 'D001636') "
        f"from read_csv('{tmp_path}/Observations*.csv', delim=';', decimal_separator=',')"
    ).fetchone()
    assert counted is not None
    assert counted[0] == 868_680
    assert counted[1] == pytest.approx(850_697, rel=0.005)


def test_faults_apply_to_the_members(simulator: Simulator) -> None:
    right = table_of(members(simulator, "85806NED")["Observations.csv"])
    for kind in ("duplicate_key", "missing_partners", "negative_value", "bad_number", "unknown_partner"):
        simulator.faults.add([{"match": "/csv/", "kind": kind, "times": 1}])
        wrong = table_of(members(simulator, "85806NED")["Observations.csv"])
        assert wrong != right
        if kind == "duplicate_key":
            assert len(wrong) == len(right) + 1
    assert table_of(members(simulator, "85806NED")["Observations.csv"]) == right
    simulator.faults.add([{"match": "/csv/", "kind": "unit"}])
    units = {row["Unit"] for row in table_of(members(simulator, "85427NED")["MeasureCodes.csv"])}
    assert units == {"1 000 euro", "%"}


# -- release calendar -------------------------------------------------------------------------------------

EVENTS = "/odata/v1/Events"
FIELDS = "UniqueId,Title,Url,PlannedPublicationTime,ReportingPeriod,PublishTimeUnknown,Language"


def events(simulator: Simulator, **options: str) -> list[dict[str, Any]]:
    query = "&".join(f"${name}={quote(value)}" for name, value in options.items())
    reply = simulator.answer(EVENTS, query)
    assert reply.status == 200, reply.body
    return list(json.loads(reply.body)["value"])


def test_documented_calendar_request(simulator: Simulator) -> None:
    found = events(
        simulator,
        filter=(
            "Language eq 'nl-NL' and PlannedPublicationTime ge 2026-12-01T00:00:00Z "
            "and PlannedPublicationTime le 2026-12-31T23:59:59Z"
        ),
        orderby="PlannedPublicationTime",
        top="500",
        select=FIELDS,
    )
    assert [list(event) for event in found] == [FIELDS.split(",")] * 4
    times = [event["PlannedPublicationTime"] for event in found]
    assert times == sorted(times)
    assert times[0] == "2026-12-02T05:30:00Z"
    assert found[0]["ReportingPeriod"] == "september 2026"
    assert {event["Language"] for event in found} == {"nl-NL"}


def test_events_match_the_release_times_of_the_tables(simulator: Simulator) -> None:
    found = events(simulator, filter="Language eq 'nl-NL' and PlannedPublicationTime lt 2026-10-03T00:00:00+02:00")
    newest = {event["Url"].rsplit("/", 1)[1]: event for event in found}
    for identifier, event in newest.items():
        released = TABLES[identifier].publication.released(simulator.release)
        properties = json.loads(simulator.answer(f"/odata/v1/CBS/{identifier}/Properties").body)
        assert properties["Modified"] == released.isoformat()
        assert event["PlannedPublicationTime"].startswith(f"{released:%Y-%m-%d}")
        assert properties["TemporalCoverage"].endswith(f"{' '.join(event['ReportingPeriod'].split()[::-1])}.")
    assert set(newest) == {"85429NED", "85770NED", "85806NED", "81234ned"}


def test_calendar_has_two_languages_and_unique_ids(simulator: Simulator) -> None:
    found = events(simulator)
    assert {event["Language"] for event in found} == {"nl-NL", "en-GB"}
    assert len({event["UniqueId"] for event in found}) == len(found)
    assert events(simulator, top="3", skip="2") == found[2:5]
    assert {event["PublishTimeUnknown"] for event in found} == {True, False}
    vague = events(simulator, filter="PublishTimeUnknown eq true")
    assert min(event["PlannedPublicationTime"] for event in vague) > "2027"


@pytest.mark.parametrize("condition", ["PlannedPublicationTime ge 2026-13-01T00:00:00Z", "Taal eq 'nl'"])
def test_invalid_calendar_filter_is_refused(simulator: Simulator, condition: str) -> None:
    assert simulator.answer(EVENTS, f"$filter={quote(condition)}").status == 400

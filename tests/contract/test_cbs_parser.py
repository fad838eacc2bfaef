"""CBS from reply to landing: the recorded payload of 85429NED, broken variants of it, and paging.

The tests derive the broken variants from the recorded payload, in a temporary folder. The small multi-page recordings
are synthetic, in the recorded format.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extract.errors import BadReplyError, ExtractError, OfficeRefusedError, TornReadError, TransientOfficeError
from extract.landing.manifest import LoadManifest
from extract.load import RESTARTS
from extract.offices.cbs.office import CbsOffice
from extract.offices.cbs.replies import inspect_count, inspect_json
from extract.offices.cbs.selection import observation_filter
from extract.registry import get_dataset
from extract.replay import open_replay
from extract.slices import Slice
from extract.verdicts import Inspector
from metaalexport.settings import REFERENCE
from tests.contract.loading import Answer, CountingAdapter, Loader, as_json, plain

# Pages of JSON alone; the bulk zip and OData v3 have their own tests.
DATASET = replace(get_dataset("cbs_85429ned"), bulk=False, fallback="")
HOSTS = CbsOffice().hosts()
TABLE = f"{HOSTS['v4']}/85429NED"
PAGE = "observations-page-1.json"
# CBS has its own codes here; ISO 3166-1 has one code for both enclaves, and another for Serbia.
ISO_OF_CBS = {"XC": "EA", "XL": "EA", "XS": "RS"}


def replay(loader: Loader, folder: Path) -> LoadManifest:
    found = open_replay(folder, DATASET, ("NL",))
    (part,) = found.slices
    return loader.load(found.adapter, part)


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(DATASET, tmp_path / "state", "replay")


@pytest.fixture(scope="session")
def recorded(shared_data: Path) -> Path:
    return shared_data / "cbs" / "v4" / "85429NED"


@pytest.fixture
def variant(recorded: Path, tmp_path: Path) -> Path:
    """Copy the recording so that tests can break it; shorten its code lists to save time."""
    folder = Path(shutil.copytree(recorded, tmp_path / "recording"))
    for name in ("codes-Landen.json", "codes-Perioden.json"):
        codes = read_json(folder / name)
        (folder / name).write_text(json.dumps(codes | {"value": codes["value"][:12]}), encoding="utf-8")
    return folder


def change_text(path: Path, before: str, after: str, count: int = -1) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, count), encoding="utf-8")


def change_row(folder: Path, number: int, **values: Any) -> None:
    path = folder / PAGE
    page = json.loads(path.read_text("utf-8"))
    page["value"][number] |= values
    path.write_text(json.dumps(page), encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def seed(name: str) -> dict[str, dict[str, str]]:
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return {row["office_code"]: row for row in csv.DictReader(handle) if row["office"] == "cbs"}


# --- the recorded payload ---------------------------------------------------------------------------------------


def test_recorded_slice_matches_the_capture(recorded: Path) -> None:
    (part,) = open_replay(recorded, DATASET, ("NL",)).slices
    assert (part.reporter, part.partners, part.products) == ("NL", ("T001047",), ("T001082",))
    assert len(part.recorded_urls) == 1


def test_recorded_payload_lands_the_four_export_measures(recorded: Path, loader: Loader) -> None:
    assert len(read_json(recorded / PAGE)["value"]) == 1132
    manifest = replay(loader, recorded)
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (592, 592, 0)
    counts = dict(loader.rows(manifest, "measure, count(*)", where="true group by measure"))
    assert counts == dict.fromkeys(DATASET.measure_codes, 148)
    assert (manifest.office_version, manifest.vintage_at) == ("202607020630", "2026-07-02T04:30:00Z")
    assert loader.waits == []


def test_recorded_payload_lands_the_values_of_2024(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    found = dict(loader.rows(manifest, "measure, value", where="period = '2024JJ00'"))
    assert found == {"D001636": 850697, "M001648": 312431, "M001632": 333604, "M007897": 204662}
    assert found["D001636"] == sum(value for measure, value in found.items() if measure != "D001636")


def test_recorded_payload_values_match_an_independent_parser(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    expected = sorted(
        (row["Measure"], row["Perioden"], float(row["Value"]))
        for row in read_json(recorded / PAGE)["value"]
        if row["Measure"] in DATASET.measure_codes
    )
    assert loader.rows(manifest, "measure, period, value") == expected


def test_recorded_payload_units_match_the_registry(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    rows = loader.rows(manifest, "measure_code, stated_unit, declared_unit, canonical_unit, factor", "measures")
    assert rows == [(code, "mln euro", "mln euro", "EUR", 1_000_000.0) for code in sorted(DATASET.measure_codes)]


def test_recorded_payload_code_lists_land_completely(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    counts = dict(loader.rows(manifest, "dimension, count(*)", "codes", "true group by dimension"))
    assert counts == {"Landen": 254, "SITC": 11, "Perioden": 148}
    newest = loader.rows(manifest, "title, status", "codes", "code = '2026JJ00'")
    assert newest == [("2026 januari-april", "Voorlopig")]


def test_recorded_payload_coverage_has_partner_set_and_newest_month(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    ((product, first, last, all_partners),) = loader.rows(
        manifest, "product_code, first_month::varchar, last_month::varchar, has_all_partners", "coverage"
    )
    assert (product, first, last, all_partners) == ("T001082", "2015-01-01", "2026-04-01", False)


def test_recorded_payload_twice_gives_the_same_load(recorded: Path, tmp_path: Path) -> None:
    first, second = (replay(Loader(DATASET, tmp_path / name, "replay"), recorded) for name in ("one", "two"))
    assert first.load_id == second.load_id
    assert first.payload_sha256s == second.payload_sha256s
    assert first.retrieved_at == "2026-07-17T16:27:09.800Z"


def test_recorded_payload_rows_link_to_their_request(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    ((number,),) = loader.rows(manifest, "distinct request_no")
    request = {record.request_id: record for record in loader.raw.records()}[manifest.request_ids[number]]
    assert request.purpose == "observations"
    assert request.sha256 == manifest.payload_sha256s[number]
    assert "Landen eq 'T001047'" in request.url


def test_recorded_countries_are_in_the_seed_with_kind_and_alpha2(recorded: Path) -> None:
    codes = read_json(recorded / "codes-Landen.json")["value"]
    assert len(codes) == 254
    seeded = seed("office_partners")
    assert set(seeded) == {row["Identifier"].strip() for row in codes}
    wrong = []
    for row in codes:
        code = row["Identifier"].strip()
        stated = re.search(r"alfa2: ?([A-Z]{2})", row["Description"] or "")
        if code == "T001047":
            expected = ("total", "")
        elif stated is None:
            expected = ("aggregate", "")
        elif re.fullmatch("Q[P-Z]", stated[1]):
            expected = ("unallocated", "unallocated")
        else:
            expected = ("country", ISO_OF_CBS.get(stated[1], stated[1]))
        found = (seeded[code]["member_kind"], seeded[code]["destination_code"])
        if found != expected or seeded[code]["office_name"] != row["Title"].strip():
            wrong.append((code, row["Title"], found, expected))
    assert wrong == []


def test_seeded_partner_kinds_have_expected_counts() -> None:
    kinds = Counter(row["member_kind"] for row in seed("office_partners").values())
    assert kinds == {"total": 1, "aggregate": 8, "country": 238, "unallocated": 7}


def test_recorded_sections_are_in_the_seed_by_digit(recorded: Path) -> None:
    codes = read_json(recorded / "codes-SITC.json")["value"]
    assert len(codes) == 11
    expected = {row["Identifier"].strip(): row["Title"][0] for row in codes if row["Identifier"] != "T001082"}
    products = {code: row["product_code"] for code, row in seed("office_products").items()}
    expected["T001082"] = "TOTAL"
    assert {code: products[code] for code in expected} == expected
    # The sister table 85427NED has one more: goods that were not physically in the Netherlands.
    assert products.keys() - expected.keys() <= {"A051811"}


# The row that variants change: total exports of January 2015.
THIRD = "measure = 'D001636' and period = '2015MM01'"

# --- broken variants ----------------------------------------------------------------------------------------------


def assert_names_dataset_and_place(error: ExtractError, place: str) -> None:
    assert error.dataset == DATASET.code
    assert str(error).startswith(f"{DATASET.code}: ")
    assert place in error.where
    assert error.next_step


@pytest.mark.parametrize(
    ("file", "place"),
    [
        (PAGE, "/Observations"),
        ("properties.json", "/Properties"),
        ("measure-codes.json", "/MeasureCodes"),
        ("codes-Landen.json", "/LandenCodes"),
    ],
)
def test_json_cut_within_a_token_is_retried_then_fails(variant: Path, loader: Loader, file: str, place: str) -> None:
    body = (variant / file).read_bytes()
    (variant / file).write_bytes(body[: len(body) // 2].rstrip(b"} \n"))
    with pytest.raises(TransientOfficeError, match="the JSON is cut off") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, place)
    assert len(loader.waits) == 1


@pytest.mark.parametrize("file", [PAGE, "measure-codes.json", "dimensions.json", "codes-Landen.json"])
def test_json_cut_after_a_row_is_an_extract_error(variant: Path, loader: Loader, file: str) -> None:
    text = (variant / file).read_text("utf-8")
    (variant / file).write_text(text[: text.rindex("}", 0, len(text) * 2 // 3) + 1], encoding="utf-8")
    with pytest.raises(ExtractError) as caught:
        replay(loader, variant)
    assert caught.value.dataset == DATASET.code


@pytest.mark.parametrize("file", [PAGE, "properties.json", "codes-SITC.json"])
def test_html_instead_of_json_is_transient(variant: Path, loader: Loader, file: str) -> None:
    (variant / file).write_text("<!DOCTYPE html>\n<html><body>Gepland onderhoud</body></html>", encoding="utf-8")
    with pytest.raises(TransientOfficeError, match="Gepland onderhoud") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, TABLE)


def test_odata_error_with_status_200_is_a_bad_reply(variant: Path, loader: Loader) -> None:
    (variant / PAGE).write_text('{"error": {"code": "", "message": "Filter is te lang"}}', encoding="utf-8")
    with pytest.raises(BadReplyError, match="Filter is te lang") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, "/Observations")
    assert loader.waits == []


def test_csv_instead_of_json_is_a_bad_reply(variant: Path, loader: Loader) -> None:
    (variant / PAGE).write_text("Id;Measure;Value\n1;D001636;40725\n", encoding="utf-8")
    with pytest.raises(BadReplyError, match="not JSON") as caught:
        replay(loader, variant)
    assert (caught.value.dataset, "/Observations" in caught.value.where) == (DATASET.code, True)


@pytest.mark.parametrize(("inspect", "body"), [(inspect_json, b"Id;Value"), (inspect_count, b"vijf")])
def test_reply_in_a_wrong_format_has_a_next_step(tmp_path: Path, inspect: Inspector, body: bytes) -> None:
    (tmp_path / "body").write_bytes(body)
    verdict = inspect(tmp_path / "body", "application/json")
    assert verdict is not None
    assert verdict.next_step != ""


def test_missing_row_differs_from_the_count(variant: Path, loader: Loader) -> None:
    page = read_json(variant / PAGE)
    page["value"].pop(500)
    (variant / PAGE).write_text(json.dumps(page), encoding="utf-8")
    with pytest.raises(TornReadError, match="counts 1,132 observations and sent 1,131") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, "/Observations")


def test_empty_page_differs_from_the_count(variant: Path, loader: Loader) -> None:
    (variant / PAGE).write_text('{"value": []}', encoding="utf-8")
    with pytest.raises(TornReadError, match="counts 1,132 observations and sent 0"):
        replay(loader, variant)


@pytest.mark.parametrize("field", ["Value", "Measure", "ValueAttribute", "Landen", "SITC", "Perioden"])
def test_renamed_field_is_a_bad_reply_that_names_it(variant: Path, loader: Loader, field: str) -> None:
    change_text(variant / PAGE, f'"{field}":', f'"{field}New":')
    with pytest.raises(BadReplyError, match=f"lack the fields \\['{field}'\\]") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, "objects")
    assert f"{field}New" in str(caught.value)


def test_dimension_unlike_the_registry_is_a_bad_reply(variant: Path, loader: Loader) -> None:
    change_text(variant / "dimensions.json", '"Identifier": "SITC"', '"Identifier": "SITCRev4"')
    with pytest.raises(BadReplyError, match="SITCRev4") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, "/Dimensions")


@pytest.mark.parametrize("version", ["", "2026-07-02", "20260702"])
def test_malformed_version_is_a_bad_reply_that_quotes_it(variant: Path, loader: Loader, version: str) -> None:
    change_text(variant / "properties.json", '"202607020630"', json.dumps(version))
    with pytest.raises(BadReplyError, match=f"Properties.Version is '{version}'") as caught:
        replay(loader, variant)
    assert_names_dataset_and_place(caught.value, "/Properties")


def test_version_with_an_invalid_date_is_a_bad_reply(variant: Path, loader: Loader) -> None:
    change_text(variant / "properties.json", '"202607020630"', '"202613020630"')
    with pytest.raises(BadReplyError):
        replay(loader, variant)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"Value": "onbekend"}, "not_a_number"),
        ({"Value": "1.234,5"}, "not_a_number"),
        ({"Perioden": "2026KW01"}, "unknown_period"),
        ({"Perioden": "2026MM13"}, "unknown_period"),
        ({"Perioden": None}, "missing_key"),
        ({"Landen": None}, "missing_key"),
        ({"SITC": None}, "missing_key"),
        ({"Value": None}, "value_missing_without_reason"),
    ],
)
def test_broken_row_is_rejected_and_others_load(
    variant: Path, loader: Loader, change: dict[str, Any], rule: str
) -> None:
    change_row(variant, 2, **change)
    manifest = replay(loader, variant)
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (592, 591, 1)
    ((found, content),) = loader.rows(manifest, "rule, row_content", "rejects")
    assert found == rule
    content = json.loads(content)
    assert {content[name] for name in change} == {None if v is None else str(v) for v in change.values()}
    assert loader.rows(manifest, "value", where=THIRD) == []


def test_three_broken_rows_are_counted_by_rule(variant: Path, loader: Loader) -> None:
    change_row(variant, 2, Value="x")
    change_row(variant, 3, Value="y")
    change_row(variant, 4, Perioden="2015W101")
    manifest = replay(loader, variant)
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (592, 589, 3)
    rules = dict(loader.rows(manifest, "rule, count(*)", "rejects", "true group by rule"))
    assert rules == {"not_a_number": 2, "unknown_period": 1}


def test_row_with_a_reason_loads_without_a_value(variant: Path, loader: Loader) -> None:
    change_row(variant, 2, Value=None, ValueAttribute="Impossible")
    manifest = replay(loader, variant)
    assert (manifest.rows_loaded, manifest.rows_rejected) == (592, 0)
    assert loader.rows(manifest, "value, status", where=THIRD) == [(None, "Impossible")]


def test_row_with_number_as_text_and_padded_codes_loads(variant: Path, loader: Loader) -> None:
    change_row(variant, 2, Value="40725.5", Measure="D001636 ", Landen="T001047  ")
    manifest = replay(loader, variant)
    rows = loader.rows(manifest, "measure, partner, value", where=THIRD)
    assert rows == [("D001636", "T001047", 40725.5)]


def test_byte_order_mark_on_every_reply_changes_no_row(variant: Path, recorded: Path, loader: Loader) -> None:
    for path in variant.glob("*.json"):
        if path.name != "index.json":
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    manifest = replay(loader, variant)
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (592, 592, 0)
    assert loader.rows(manifest, "value", where="period = '2024JJ00' and measure = 'D001636'") == [(850697,)]


def test_changed_unit_lands_next_to_the_declared_unit(variant: Path, loader: Loader) -> None:
    change_text(variant / "measure-codes.json", '"Unit": "mln euro"', '"Unit": "1 000 euro"')
    manifest = replay(loader, variant)
    assert loader.rows(manifest, "distinct stated_unit, declared_unit", "measures") == [("1 000 euro", "mln euro")]


def test_recording_of_another_table_has_no_slices(variant: Path) -> None:
    change_text(variant / "index.json", '"tableId": "85429NED"', '"tableId": "85429ned"')
    assert open_replay(variant, DATASET, ("NL",)).slices == ()


def test_missing_replay_folder_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="does not exist") as caught:
        open_replay(tmp_path / "absent", DATASET, ("NL",))
    assert str(tmp_path / "absent") in str(caught.value)


# --- versions that change, and pages: small synthetic recordings ---------------------------------------------------


def own_rows(first: int, last: int) -> list[dict[str, Any]]:
    return [
        {
            "Id": number,
            "Measure": "D001636",
            "ValueAttribute": "None",
            "Value": 100 + number,
            "StringValue": None,
            "Landen": f"L{number:06d}",
            "SITC": "A018678",
            "Perioden": "2026MM04",
        }
        for number in range(first, last)
    ]


PART = Slice(DATASET.code, "NL", DATASET.first_period)
QUERY = f"?$filter={observation_filter(DATASET, PART)}"
FIRST, COUNT = f"{TABLE}/Observations{QUERY}", f"{TABLE}/Observations/$count{QUERY}"
SECOND = f"{FIRST}&$skiptoken=3"


def own_office(pages: dict[str, bytes], count: int) -> dict[str, list[Answer]]:
    metadata = {
        "Properties": as_json(Version="202607020630"),
        "Dimensions": as_json(value=[{"Identifier": name} for name in DATASET.dimensions]),
        "MeasureCodes": as_json(value=[{"Identifier": m.code, "Unit": m.unit} for m in DATASET.measures]),
        **{f"{name}Codes": as_json(value=[]) for name in DATASET.dimensions},
    }
    bodies: dict[str, list[Answer]] = {f"{TABLE}/{name}": [body] for name, body in metadata.items()}
    return bodies | {url: [body] for url, body in pages.items()} | {COUNT: [str(count).encode()]}


def link(url: str) -> dict[str, str]:
    return {"@odata.nextLink": url}


def page(rows: list[dict[str, Any]], following: str | None = None, *, before: bool = False) -> bytes:
    named = link(following) if following else {}
    return as_json(**(named | {"value": rows} if before else {"value": rows} | named))


def test_replayed_version_changed_during_the_read_is_a_torn_read(recorded: Path, loader: Loader) -> None:
    found = open_replay(recorded, DATASET, ("NL",))
    properties = (recorded / "properties.json").read_bytes()
    changed = properties.replace(b'"202607020630"', b'"202607030630"')
    assert changed != properties
    bodies: dict[str, list[Answer]] = {url: [r.body] for url, r in found.adapter._recordings.items()}
    # Each restart finds the older version first, which no real office would serve, so the load fails in the end.
    bodies[f"{TABLE}/Properties"] = [properties, changed] * (RESTARTS + 1)
    with pytest.raises(TornReadError, match="version 202607030630 while version 202607020630") as caught:
        loader.load(CountingAdapter(bodies), found.slices[0])
    assert_names_dataset_and_place(caught.value, TABLE)
    assert not loader.landing.root.exists()


@pytest.mark.parametrize("before", [False, True], ids=["link after the rows", "link before the rows"])
def test_two_pages_yield_the_same_rows_as_one(tmp_path: Path, *, before: bool) -> None:
    one = own_office({FIRST: page(own_rows(0, 5))}, 5)
    two = own_office({FIRST: page(own_rows(0, 3), SECOND, before=before), SECOND: page(own_rows(3, 5))}, 5)
    found = []
    for name, bodies in (("one", one), ("two", two)):
        loader = Loader(DATASET, tmp_path / name)
        manifest = loader.load(CountingAdapter(bodies), PART)
        assert (manifest.rows_read, manifest.rows_loaded) == (5, 5)
        found.append(loader.rows(manifest, "measure, partner, product, period, value"))
        if name == "two":
            numbers = loader.rows(manifest, "request_no, count(*)", where="true group by request_no")
            urls = {request.request_id: request.url for request in loader.raw.records()}
            assert {plain(urls[manifest.request_ids[n]]): count for n, count in numbers} == {
                plain(FIRST): 3,
                plain(SECOND): 2,
            }
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_next_link_with_escaped_characters_is_followed(loader: Loader) -> None:
    first = page(own_rows(0, 3), SECOND).replace(b"&", b"\\u0026")
    assert b"\\u0026" in first
    adapter = CountingAdapter(own_office({FIRST: first, SECOND: page(own_rows(3, 5))}, 5))
    assert loader.load(adapter, PART).rows_loaded == 5


def test_missing_last_page_differs_from_the_count(loader: Loader) -> None:
    with pytest.raises(TornReadError, match="counts 5 observations and sent 3") as caught:
        loader.load(CountingAdapter(own_office({FIRST: page(own_rows(0, 3))}, 5)), PART)
    assert_names_dataset_and_place(caught.value, "/Observations")


def test_refused_next_page_error_quotes_the_office(loader: Loader) -> None:
    adapter = CountingAdapter(own_office({FIRST: page(own_rows(0, 3), SECOND)}, 5))
    with pytest.raises(OfficeRefusedError, match="nothing is known of this URL") as caught:
        loader.load(adapter, PART)
    assert_names_dataset_and_place(caught.value, "skiptoken=3")


def test_page_sent_twice_differs_from_the_count(loader: Loader) -> None:
    third = f"{FIRST}&$skiptoken=6"
    pages = {FIRST: page(own_rows(0, 3), SECOND), SECOND: page(own_rows(0, 3), third), third: page(own_rows(3, 5))}
    with pytest.raises(TornReadError, match="counts 5 observations and sent 8"):
        loader.load(CountingAdapter(own_office(pages, 5)), PART)


def test_page_sent_twice_instead_of_another_is_a_torn_read(loader: Loader) -> None:
    pages = {FIRST: page(own_rows(0, 3), SECOND), SECOND: page(own_rows(0, 3))}
    with pytest.raises(TornReadError, match="counts 6 observations and sent 6, 3 of them different"):
        loader.load(CountingAdapter(own_office(pages, 6)), PART)


def test_next_link_to_itself_is_a_torn_read(loader: Loader) -> None:
    pages = {FIRST: page(own_rows(0, 3), SECOND), SECOND: page(own_rows(3, 5), SECOND)}
    with pytest.raises(TornReadError, match="names itself as the next page") as caught:
        loader.load(CountingAdapter(own_office(pages, 5)), PART)
    assert_names_dataset_and_place(caught.value, "skiptoken=3")


def test_next_link_back_to_an_earlier_page_is_a_torn_read(loader: Loader) -> None:
    pages = {FIRST: page(own_rows(0, 3), SECOND), SECOND: page(own_rows(3, 5), FIRST)}
    with pytest.raises(TornReadError, match="or one before it"):
        loader.load(CountingAdapter(own_office(pages, 5)), PART)


def test_transient_page_error_is_retried_and_everything_loads(loader: Loader) -> None:
    bodies = own_office({FIRST: page(own_rows(0, 3), SECOND), SECOND: page(own_rows(3, 5))}, 5)
    bodies[SECOND].insert(0, b"<html>Even geduld</html>")
    adapter = CountingAdapter(bodies)
    assert loader.load(adapter, PART).rows_loaded == 5
    assert adapter.asked[plain(SECOND)] == 2
    assert [record.outcome[:8] for record in loader.raw.records() if record.outcome != "ok"] == ["HTTP 200"]


@pytest.mark.parametrize("body", [b"vijf", b"-1", b"1.132"])
def test_non_numeric_count_is_retried_then_fails(loader: Loader, body: bytes) -> None:
    bodies = own_office({FIRST: page(own_rows(0, 5))}, 5) | {COUNT: [body]}
    with pytest.raises(TransientOfficeError, match="not a count"):
        loader.load(CountingAdapter(bodies), PART)
    assert len(loader.waits) == 1


def test_table_without_rows_is_an_empty_load(loader: Loader) -> None:
    manifest = loader.load(CountingAdapter(own_office({FIRST: page([])}, 0)), PART)
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (0, 0, 0)
    assert loader.rows(manifest, "product_code, last_month", "coverage") == [("*", None)]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Slice(DATASET.code, "NL", "2015-01"), ""),
        (Slice(DATASET.code, "NL", "2023-05"), " and Perioden ge '2023JJ00'"),
        (Slice(DATASET.code, "NL", "2015-01", "2024-12"), " and Perioden le '2024MM12'"),
        (
            Slice(DATASET.code, "NL", "2024-01", "2024-12", products=("A018678",), partners=("L008778", "T001047")),
            " and Landen in ('L008778','T001047') and SITC in ('A018678')"
            " and Perioden ge '2024JJ00' and Perioden le '2024MM12'",
        ),
    ],
)
def test_observation_filter_selects_the_slice(part: Slice, expected: str) -> None:
    measures = "Measure in ('D001636','M001648','M001632','M007897')"
    assert observation_filter(DATASET, part) == measures + expected


def test_probe_costs_one_request_and_reads_amsterdam_time(loader: Loader) -> None:
    adapter = CountingAdapter({f"{TABLE}/Properties": [as_json(Version="202601150630")]})
    version = CbsOffice().probe(loader.session(adapter), HOSTS, DATASET, PART)
    assert version.vintage_at == "2026-01-15T05:30:00Z"
    assert adapter.asked.total() == 1

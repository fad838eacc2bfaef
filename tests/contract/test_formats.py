"""All observation formats of the offices: recorded replies, and broken variants of them.

Each variant either loads its rows or fails with an error that names the fault; the loader checks that every row read
was loaded or rejected. Recorded payloads are not part of the repository.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from extract.dataset import Dataset, Measure
from extract.errors import BadReplyError, ExtractError, TornReadError, TransientOfficeError
from extract.landing.manifest import LoadManifest
from extract.offices import OFFICES
from extract.offices.base import Fetched, OfficeVersion, Payload
from extract.offices.cbs.selection import observation_filter, v3_filter
from extract.offices.eurostat.asynchronous import read_envelope
from extract.offices.eurostat.formats import inspect_data
from extract.replay import open_replay
from extract.slices import Slice
from tests.contract.loading import Answer, CountingAdapter, Loader, Reply, as_json
from tests.contract.offices_of_ours import (
    BULK,
    BULK_HEADER,
    BULK_PART,
    BULK_ROWS,
    CBS,
    CBS_COUNT,
    CBS_HOSTS,
    CBS_PART,
    CBS_ZIP,
    CBS_ZIP_URL,
    SDMX,
    SDMX_PART,
    Answers,
    bulk_body,
    bulk_office,
    bulk_office_of,
    cbs_csv,
    cbs_office,
    cbs_row,
    cbs_zip_office,
    constraint,
    listing,
    sdmx_body,
    sdmx_line,
    sdmx_office,
    sdmx_urls,
    zipped,
)

BOM = b"\xef\xbb\xbf"
Change = Callable[[bytes], bytes]
# Number of rows loaded and rules of the rejected rows; or an error and part of its message.
Expected = tuple[int, dict[str, int]] | tuple[type[ExtractError], str]


def check(expected: Expected, load: Callable[[], LoadManifest], loader: Loader) -> None:
    """Compare the result of a load with the expected one."""
    if isinstance(expected[0], int):
        manifest = load()
        assert (manifest.rows_loaded, loader.rules(manifest)) == expected
        return
    with pytest.raises(expected[0], match=str(expected[1])) as caught:
        load()
    assert caught.value.dataset == loader.dataset.code
    assert caught.value.next_step
    assert list(loader.landing.committed()) == []


def once(before: bytes, after: bytes) -> Change:
    def change(text: bytes) -> bytes:
        assert before in text
        return text.replace(before, after, 1)

    return change


def everywhere(before: bytes, after: bytes) -> Change:
    def change(text: bytes) -> bytes:
        assert before in text
        return text.replace(before, after)

    return change


# --- CBS OData v4: the recorded page of a table with other dimensions and with reasons for missing values ----------

# The measures of 80590ned as recorded; the warehouse does not use them.
LABOUR = replace(
    CBS,
    code="labour",
    identifier="80590ned",
    dimensions={"Geslacht": "sex", "Leeftijd": "age", "Perioden": "period"},
    measures=(Measure("3000790_2", "x 1000", "COUNT", 1000), Measure("D002308", "x 1000", "COUNT", 1000)),
    period_pattern=r"\d{4}(MM(0[1-9]|1[0-2])|KW0[1-4]|JJ00)",
    total_partner="",
    first_period="2003-01",
)


def test_recorded_table_lands_quarters_and_impossible_values(shared_data: Path, tmp_path: Path) -> None:
    recorded = shared_data / "cbs" / "v4" / "80590ned"
    found = open_replay(recorded, LABOUR, ("NL",))
    loader = Loader(LABOUR, tmp_path, "replay")
    manifest = loader.load(found.adapter, found.slices[0])
    rows = json.loads((recorded / "observations-page-1.json").read_text("utf-8"))["value"]
    expected = sorted(
        (
            row["Measure"],
            row["Perioden"],
            None if row["Value"] is None else float(row["Value"]),
            {"None": None}.get(row["ValueAttribute"], row["ValueAttribute"]),
        )
        for row in rows
        if row["Measure"] in LABOUR.measure_codes
    )
    landed = loader.rows(manifest, "measure, period, value, status")
    assert sorted(landed, key=repr) == sorted(expected, key=repr)
    assert sum(status == "Impossible" for *_, status in landed) == 23
    assert {period[4:6] for _, period, *_ in landed} == {"MM", "KW", "JJ"}
    assert manifest.vintage_at == "2026-07-16T04:30:00Z"
    assert loader.findings(manifest) == []


# --- CBS bulk zip -------------------------------------------------------------------------------------------------

INCOME = replace(
    CBS_ZIP,
    code="income",
    identifier="83841NED",
    dimensions={
        "KenmerkenVanHuishoudens": "household",
        "InkomensgrensHuishouden": "income_limit",
        "DuurInkomenspositie": "duration",
        "Perioden": "period",
    },
    measures=(Measure("1050010_1", "x 1 000", "COUNT", 1000), Measure("1050010_2", "%", "PERCENT", 1)),
    total_partner="",
    first_period="2011-01",
)


def income_office(body: bytes, count: int) -> Answers:
    table = f"{CBS_HOSTS['v4']}/83841NED"
    measures = [{"Identifier": m.code, "Unit": m.unit} for m in INCOME.measures]
    return {
        f"{table}/Properties": [as_json(Version="202606010630", ObservationCount=count)],
        f"{table}/Dimensions": [as_json(value=[{"Identifier": name} for name in INCOME.dimensions])],
        f"{table}/MeasureCodes": [as_json(value=measures)],
        **{f"{table}/{name}Codes": [as_json(value=[])] for name in INCOME.dimensions},
        f"{CBS_HOSTS['bulk']}/83841NED": [zipped({"Observations.csv": body, "MeasureCodes.csv": b"Identifier\n"})],
    }


def test_recorded_bulk_member_parses_decimal_commas(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "cbs" / "v4_bulk_csv" / "Observations.csv"
    with path.open(encoding="utf-8-sig", newline="") as handle:
        every = list(csv.DictReader(handle, delimiter=";"))
    assert len(every) == 11_460
    loader = Loader(INCOME, tmp_path)
    part = Slice(INCOME.code, "NL", INCOME.first_period)
    manifest = loader.load(CountingAdapter(income_office(path.read_bytes(), len(every))), part)
    wanted = [row for row in every if row["Measure"] in INCOME.measure_codes]
    expected = [
        (
            row["Measure"],
            *(row[name].strip() for name in INCOME.dimensions),
            float(row["Value"].replace(",", ".")) if row["Value"] else None,
        )
        for row in wanted
    ]
    landed = loader.rows(manifest, "measure, household, income_limit, duration, period, value")
    assert sorted(landed, key=repr) == sorted(expected, key=repr)
    assert manifest.rows_rejected == 0
    assert manifest.protocol == "csv_zip"


ZIP_BODY = cbs_csv([cbs_row(number, value=f"{number},5") for number in range(6)])
ZIP_VARIANTS: dict[str, tuple[Change, int, Expected]] = {
    "as it is": (lambda text: text, 6, (6, {})),
    "BOM": (lambda text: BOM + text, 6, (6, {})),
    "LF": (everywhere(b"\r\n", b"\n"), 6, (6, {})),
    "last line open": (lambda text: text.rstrip(b"\r\n"), 6, (6, {})),
    "quoted": (everywhere(b";L008778;", b';"L008778";'), 6, (6, {})),
    "padded code": (everywhere(b";L008778;", b";L008778  ;"), 6, (6, {})),
    "column renamed": (once(b"SITC;", b"SITCRev4;"), 6, (BadReplyError, r"lacks the columns \['SITC'\]")),
    "column added": (
        lambda text: text.replace(b"Attribute\r\n", b"Attribute;X\r\n").replace(b"None\r\n", b"None;x\r\n"),
        6,
        (6, {}),
    ),
    "value not a number": (once(b"3,5", b"n.b."), 6, (5, {"not_a_number": 1})),
    "value with a mark between thousands": (once(b"3,5", b"1.003,5"), 6, (5, {"not_a_number": 1})),
    "value missing": (once(b"3,5;", b";"), 6, (5, {"value_missing_without_reason": 1})),
    "period unknown": (once(b"2026MM04", b"2026MM14"), 6, (5, {"unknown_period": 1})),
    "row cut": (once(b";3,5;;None", b""), 6, (5, {"malformed_line": 1})),
    "row with a field too many": (once(b"3,5;;None", b"3,5;;None;x"), 6, (5, {"malformed_line": 1})),
    "row twice": (lambda text: text + text.splitlines(keepends=True)[-1], 7, (7, {})),
    "wrong delimiter": (everywhere(b";", b","), 6, (BadReplyError, "lacks the columns")),
    "header only": (lambda text: text.splitlines(keepends=True)[0], 0, (0, {})),
    "empty": (lambda text: b"", 0, (BadReplyError, "lacks the columns")),
}


@pytest.mark.parametrize(("change", "count", "expected"), ZIP_VARIANTS.values(), ids=list(ZIP_VARIANTS))
def test_bulk_zip_variant(tmp_path: Path, change: Change, count: int, expected: Expected) -> None:
    loader = Loader(CBS_ZIP, tmp_path)
    answers = cbs_zip_office({"Observations.csv": change(ZIP_BODY)}, count)
    check(expected, lambda: loader.load(CountingAdapter(answers), CBS_PART), loader)


def test_incomplete_bulk_zip_falls_back_to_pages(tmp_path: Path) -> None:
    rows = [cbs_row(number, value=f"{number}.5") for number in range(6)]
    loader = Loader(CBS_ZIP, tmp_path)
    short = b"".join(ZIP_BODY.splitlines(keepends=True)[:-1])
    answers = cbs_office(rows, count=6) | {CBS_ZIP_URL: [zipped({"Observations.csv": short})]}
    manifest = loader.load(CountingAdapter(answers), CBS_PART)
    assert (manifest.protocol, manifest.rows_loaded) == ("odata_v4", 6)
    assert loader.rows(manifest, "rule, detail", "findings", "rule = 'fallback_used'") == [
        ("fallback_used", "CBS counts 6 observations, and its zip holds 5")
    ]


def test_incomplete_pages_after_incomplete_zip_are_a_torn_read(tmp_path: Path) -> None:
    rows = [cbs_row(number, value=f"{number}.5") for number in range(5)]
    answers = cbs_office(rows, count=6) | {
        CBS_COUNT: [b"6"],
        CBS_ZIP_URL: [zipped({"Observations.csv": ZIP_BODY[:-60]})],
    }
    with pytest.raises(TornReadError, match="counts 6 observations and sent 5"):
        Loader(CBS_ZIP, tmp_path).load(CountingAdapter(answers), CBS_PART)


def test_duplicate_bulk_zip_row_fails_the_landing_gate(tmp_path: Path) -> None:
    loader = Loader(CBS_ZIP, tmp_path)
    body = ZIP_BODY + ZIP_BODY.splitlines(keepends=True)[-1]
    manifest = loader.load(CountingAdapter(cbs_zip_office({"Observations.csv": body}, 7)), CBS_PART)
    assert loader.failed_checks(manifest, ["key_is_unique"]) == {"key_is_unique"}


@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["last line open", "last line ended"])
def test_bulk_zip_lands_the_rows_of_all_members(tmp_path: Path, end: bytes) -> None:
    halves = [cbs_csv([cbs_row(number) for number in numbers]).rstrip() + end for numbers in (range(3), range(3, 5))]
    loader = Loader(CBS_ZIP, tmp_path)
    answers = cbs_zip_office({"Observations1.csv": halves[0], "Observations2.csv": halves[1]}, 5)
    assert loader.load(CountingAdapter(answers), CBS_PART).rows_loaded == 5


def test_bulk_zip_members_with_different_columns_are_a_bad_reply(tmp_path: Path) -> None:
    loader = Loader(CBS_ZIP, tmp_path)
    other = cbs_csv([cbs_row(3)]).replace(b"Landen;SITC", b"SITC;Landen")
    answers = cbs_zip_office({"Observations1.csv": ZIP_BODY, "Observations2.csv": other}, 7)
    with pytest.raises(BadReplyError, match="have different columns"):
        loader.load(CountingAdapter(answers), CBS_PART)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (zipped({"Observations.csv": ZIP_BODY})[:-30], TransientOfficeError, "cut off or broken"),
        (zipped({"Observations.csv": ZIP_BODY})[:40], TransientOfficeError, "cut off or broken"),
        (zipped({"Properties.csv": b"x\n"}), BadReplyError, "holds no Observations"),
        (b"Id;Measure\n", BadReplyError, "not a zip"),
        (b"<html>Onderhoud</html>", TransientOfficeError, "HTML page instead of data"),
        (b"", TransientOfficeError, "empty body"),
    ],
    ids=["cut", "cut in the first member", "no observations", "no zip", "HTML", "empty"],
)
def test_invalid_bulk_zip_is_reported(tmp_path: Path, body: bytes, kind: type[ExtractError], words: str) -> None:
    loader = Loader(CBS_ZIP, tmp_path)
    answers: Answers = cbs_zip_office({"Observations.csv": ZIP_BODY}, 6) | {CBS_ZIP_URL: [body]}
    check((kind, words), lambda: loader.load(CountingAdapter(answers), CBS_PART), loader)


# --- CBS OData v3 -------------------------------------------------------------------------------------------------

SITC3 = replace(
    CBS,
    code="sitc3",
    identifier="7137shih",
    fallback="odata_v3",
    dimensions={"SITC": "product", "LandenGroepen": "partner", "Perioden": "period"},
    measures=(Measure("U", "1 000 euro", "EUR", 1000, 4), Measure("B", "1 000 euro", "EUR", 1000, 5)),
    total_partner="",
    first_period="1996-01",
)
INDUSTRY = replace(
    CBS,
    code="industry",
    identifier="81810NED",
    fallback="odata_v3",
    dimensions={"BedrijfstakkenBranchesSBI2008": "activity", "Perioden": "period"},
    measures=(Measure("P", "", "INDEX", 1, 4), Measure("G", "", "INDEX", 1, 5)),
    period_pattern=r"\d{4}(MM(0[1-9]|1[0-2])|KW0[1-4]|JJ00)",
    total_partner="",
    first_period="2005-01",
)


def v3_rows(path: Path) -> list[dict[str, Any]]:
    """Convert a table recorded as CSV back into rows: numbers as numbers, and null for unpublished values."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows: list[dict[str, Any]] = list(csv.DictReader(handle))
    for row in rows:
        for name, text in row.items():
            if name in ("ID", "Position") and text:
                row[name] = int(text)
            elif "_" in name and name.rsplit("_", 1)[1].isdigit():
                # An unpublished value is a right-aligned point in the untyped set, and null in the typed set.
                row[name] = None if text.strip() in ("", ".") else float(text)
    return rows


def v3_office(
    dataset: Dataset, part: Slice, sets: dict[str, list[dict[str, Any]]], page: int = 10_000, **changed: Answer
) -> Answers:
    """Serve a table on v3 only: v4 has its metadata but no observations."""
    feed = f"{CBS_HOSTS['v3']}/ODataFeed/odata/{dataset.identifier}"
    table = f"{CBS_HOSTS['v4']}/{dataset.identifier}"
    codes = [{"Identifier": m.code, "Unit": m.unit} for m in dataset.measures]
    by_id = {row["ID"]: row["Key"] for row in sets["DataProperties"] if row["Key"]}
    columns = ",".join(("ID", *dataset.dimensions, *(by_id[m.index] for m in dataset.measures)))
    data = f"{feed}/TypedDataSet?$format=json&$select={columns}"
    rows = sets["data"]
    answers: Answers = {
        f"{table}/Properties": [as_json(Version="201805030200")],
        f"{table}/Dimensions": [as_json(value=[{"Identifier": name} for name in dataset.dimensions])],
        f"{table}/MeasureCodes": [as_json(value=codes)],
        **{f"{table}/{name}Codes": [as_json(value=[])] for name in dataset.dimensions},
        f"{feed}/TypedDataSet/$count": [str(len(rows)).encode()],
    }
    for name in ("TableInfos", "DataProperties", *dataset.dimensions):
        answers[f"{feed}/{name}?$format=json"] = [as_json(value=sets[name])]
    for start in range(0, max(len(rows), 1), page):
        url = data if start == 0 else f"{data}&$skip={start}"
        following = {"odata.nextLink": f"{data}&$skip={start + page}"} if start + page < len(rows) else {}
        answers[url] = [as_json(**{"odata.metadata": "x", "value": rows[start : start + page], **following})]
    return answers | {f"{feed}/{name}": [answer] for name, answer in changed.items()}


def recorded_sets(folder: Path, dataset: Dataset) -> dict[str, list[dict[str, Any]]]:
    names = ("TableInfos", "DataProperties", *dataset.dimensions, "data")
    return {name: v3_rows(folder / f"{name}.csv") for name in names}


@pytest.mark.parametrize("dataset", [SITC3, INDUSTRY], ids=["7137shih", "81810NED"])
@pytest.mark.parametrize("page", [100_000, 150], ids=["one page", "several pages"])
def test_recorded_v3_table_lands_if_v4_has_no_observations(
    shared_data: Path, tmp_path: Path, dataset: Dataset, page: int
) -> None:
    sets = recorded_sets(shared_data / "cbs" / "v3_csv" / dataset.identifier, dataset)
    part = Slice(dataset.code, "NL", dataset.first_period)
    loader = Loader(dataset, tmp_path)
    manifest = loader.load(CountingAdapter(v3_office(dataset, part, sets, page)), part)
    columns = {m.code: {row["ID"]: row["Key"] for row in sets["DataProperties"]}[m.index] for m in dataset.measures}
    expected = sorted(
        (code, *(row[name].strip() for name in dataset.dimensions), row[column])
        for row in sets["data"]
        for code, column in columns.items()
        if row[column] is not None
    )
    assert loader.rows(manifest, f"measure, {', '.join(dataset.columns)}, value") == expected
    assert (manifest.protocol, manifest.rows_rejected) == ("odata_v3", 0)
    assert [finding[0] for finding in loader.findings(manifest) if finding[0] == "fallback_used"] == ["fallback_used"]
    # 2018-05-03T02:00:00 is summer time in the Netherlands, so the UTC date can be the day before.
    stamp = sets["TableInfos"][0]["Modified"]
    assert manifest.office_version == stamp
    assert manifest.vintage_at[:10] in (stamp[:10], "2018-05-02")


V3_SETS: dict[str, list[dict[str, Any]]] = {
    "TableInfos": [{"ID": 0, "Modified": "2018-05-03T02:00:00"}],
    "DataProperties": [
        {"ID": 0, "Key": "SITC", "Unit": ""},
        {"ID": 3, "Key": "", "Unit": ""},
        {"ID": 4, "Key": "Uitvoerwaarde_2", "Unit": "1 000 euro"},
        {"ID": 5, "Key": "Handelsbalans_3", "Unit": "1 000 euro"},
    ],
    "SITC": [{"Key": "T  ", "Title": "Totaal"}, {"Key": "tt6", "Title": "6"}],
    "LandenGroepen": [{"Key": "400", "Title": "VS"}],
    "Perioden": [{"Key": "2015MM01", "Title": "2015 januari", "Status": "Definitief"}],
    "data": [
        {
            "ID": n,
            "SITC": "T  ",
            "LandenGroepen": "400",
            "Perioden": f"2015MM{n + 1:02d}",
            "Uitvoerwaarde_2": n,
            "Handelsbalans_3": None,
        }
        for n in range(4)
    ],
}
V3_PART = Slice(SITC3.code, "NL", SITC3.first_period)


def test_v3_null_is_an_absent_cell_and_keys_are_stripped(tmp_path: Path) -> None:
    loader = Loader(SITC3, tmp_path)
    manifest = loader.load(CountingAdapter(v3_office(SITC3, V3_PART, V3_SETS)), V3_PART)
    assert (manifest.rows_read, manifest.rows_loaded) == (4, 4)
    assert loader.rows(manifest, "distinct product, partner, measure") == [("T", "400", "U")]
    assert manifest.vintage_at == "2018-05-03T00:00:00Z"


def v3_data(**values: Any) -> dict[str, list[dict[str, Any]]]:
    rows = [dict(row) for row in V3_SETS["data"]]
    rows[1].update(values)
    return V3_SETS | {"data": rows}


V3_VARIANTS: dict[str, tuple[dict[str, list[dict[str, Any]]], Expected]] = {
    "value not a number": (v3_data(Uitvoerwaarde_2="x"), (3, {"not_a_number": 1})),
    "value as padded text": (v3_data(Uitvoerwaarde_2="    98.4"), (4, {})),
    "point of the untyped set": (v3_data(Uitvoerwaarde_2="       ."), (3, {"not_a_number": 1})),
    "period unknown": (v3_data(Perioden="2015W101"), (3, {"unknown_period": 1})),
    "key missing": (v3_data(LandenGroepen=None), (3, {"missing_key": 1})),
    "field added": (v3_data(Nieuw_9=1), (4, {})),
    "row twice": (v3_data(ID=0), (TornReadError, "sent 4, 3 of them different")),
    "column gone": (
        V3_SETS | {"DataProperties": V3_SETS["DataProperties"][:3]},
        (BadReplyError, "lacks the measures B; it has"),
    ),
    "no stamp": (V3_SETS | {"TableInfos": [{"ID": 0}]}, (BadReplyError, "TableInfos.Modified is ''")),
    "no rows": (V3_SETS | {"data": []}, (0, {})),
}


@pytest.mark.parametrize(("sets", "expected"), V3_VARIANTS.values(), ids=list(V3_VARIANTS))
def test_v3_variant(tmp_path: Path, sets: dict[str, list[dict[str, Any]]], expected: Expected) -> None:
    loader = Loader(SITC3, tmp_path)
    try:
        answers = v3_office(SITC3, V3_PART, sets)
    except KeyError:
        answers = v3_office(SITC3, V3_PART, V3_SETS)
        feed = f"{CBS_HOSTS['v3']}/ODataFeed/odata/7137shih"
        answers[f"{feed}/DataProperties?$format=json"] = [as_json(value=sets["DataProperties"])]
    check(expected, lambda: loader.load(CountingAdapter(answers), V3_PART), loader)


def test_v3_table_changed_during_the_read_is_a_torn_read(tmp_path: Path) -> None:
    answers = v3_office(SITC3, V3_PART, V3_SETS)
    infos = f"{CBS_HOSTS['v3']}/ODataFeed/odata/7137shih/TableInfos?$format=json"
    answers[infos] = [as_json(value=[{"Modified": f"2018-05-0{day}T02:00:00"}]) for day in range(1, 8)]
    with pytest.raises(TornReadError, match="published version"):
        Loader(SITC3, tmp_path).load(CountingAdapter(answers), V3_PART)


def test_v3_reports_a_discontinued_table(tmp_path: Path) -> None:
    # Field and value as CBS publishes them: `OutputStatus` in the specimens, `Gediscontinueerd` in the catalogue.
    stopped = {"OutputStatus": "Gediscontinueerd", "ReasonDelivery": "Stopgezet"}
    answers = v3_office(SITC3, V3_PART, V3_SETS | {"TableInfos": [V3_SETS["TableInfos"][0] | stopped]})
    answers[f"{CBS_HOSTS['v4']}/7137shih/Properties"] = [Reply(b"busy", 503)]
    session = Loader(SITC3, tmp_path).session(CountingAdapter(answers))
    version = OFFICES["cbs"].probe(session, OFFICES["cbs"].hosts(), SITC3, V3_PART)
    assert version.notice == "CBS calls the table Gediscontinueerd: Stopgezet"


def test_v3_filter_pads_keys(tmp_path: Path) -> None:
    path = tmp_path / "SITC"
    path.write_bytes(as_json(value=V3_SETS["SITC"]))
    part = replace(V3_PART, products=("T", "tt*"), first_month="2010-01", last_month="2015-06")
    assert v3_filter(SITC3, part, {"SITC": path}) == (
        "(SITC eq 'T  ' or SITC eq 'tt6') and Perioden ge '2010JJ00' and Perioden le '2015MM06'"
    )


def test_v4_filter_has_prefixes_and_lists() -> None:
    part = replace(V3_PART, products=("T", "tt*"), partners=("400",))
    assert observation_filter(SITC3, part) == (
        "Measure in ('U','B') and LandenGroepen in ('400') and (SITC in ('T') or startswith(SITC,'tt'))"
    )


# --- SDMX-CSV -----------------------------------------------------------------------------------------------------

SDMX_BODY = sdmx_body(
    sdmx_line("US"), sdmx_line("DE", "7.5"), sdmx_line("WORLD", "12"), sdmx_line("US", "0", month="2025-02")
)
SDMX_VARIANTS: dict[str, tuple[Change, Expected]] = {
    "as it is": (lambda text: text, (4, {})),
    "gzip": (gzip.compress, (4, {})),
    "gzip of several members": (lambda text: gzip.compress(text[:99]) + gzip.compress(text[99:]), (4, {})),
    "gzip with BOM": (lambda text: gzip.compress(BOM + text), (4, {})),
    "gzip cut": (lambda text: gzip.compress(text)[:-6], (TransientOfficeError, "gzip file is cut off")),
    "BOM": (lambda text: BOM + text, (4, {})),
    "LF": (everywhere(b"\r\n", b"\n"), (4, {})),
    "cut in a line": (lambda text: text[:-8], (TransientOfficeError, "cut off in its last line")),
    "cut behind a line": (lambda text: b"".join(text.splitlines(keepends=True)[:-1]), (3, {})),
    "column renamed": (once(b"indicators", b"indicator"), (BadReplyError, r"lacks the columns \['indicators'\]")),
    "value not a number": (once(b",7.5", b",7;5"), (3, {"not_a_number": 1})),
    "value in exponents": (once(b",7.5", b",7.5E9"), (4, {})),
    "wrong stamp in one row": (
        once(b"15/09/26 11:00:00,M,NL,DE", b"16/09/26 11:00:00,M,NL,DE"),
        (BadReplyError, "1 of 4"),
    ),
    "row twice": (lambda text: text + text.splitlines(keepends=True)[-1], (5, {})),
    "row with a field too many": (once(b",7.5", b",7.5,x"), (3, {"malformed_line": 1})),
    "row with a field too few": (once(b",7.5", b""), (3, {"malformed_line": 1})),
    "blank line": (once(b",7.5\r\n", b",7.5\r\n\r\n"), (4, {})),
    "wrong delimiter": (everywhere(b",", b";"), (BadReplyError, "not data|lacks the columns")),
    "header only": (lambda text: text.splitlines(keepends=True)[0], (0, {})),
    "empty": (lambda text: b"", (TransientOfficeError, "empty body")),
    "columns of version 2": (
        lambda text: text.replace(b"DATAFLOW,LAST UPDATE", b"STRUCTURE,STRUCTURE_ID"),
        (BadReplyError, "lacks the columns"),
    ),
}


@pytest.mark.parametrize(("change", "expected"), SDMX_VARIANTS.values(), ids=list(SDMX_VARIANTS))
def test_sdmx_csv_variant(tmp_path: Path, change: Change, expected: Expected) -> None:
    loader = Loader(SDMX, tmp_path)
    check(expected, lambda: loader.load(CountingAdapter(sdmx_office(change(SDMX_BODY))), SDMX_PART), loader)


def test_recorded_extraction_lands_every_row(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "eurostat/bulk-api-2026-02/ds-045409_CN39201023_M_2023-01_2025-12.csv"
    everything = replace(SDMX, select={"freq": ("M",)}, slice_by="whole")
    loader = Loader(everything, tmp_path)
    sha256, _ = loader.raw.put([path.read_bytes()])
    part = Slice(SDMX.code, "*", "2023-01", "2025-12")
    manifest = loader.stage(part, fetched(sha256, "13/02/26 11:00:00"))
    assert (manifest.rows_read, manifest.rows_loaded) == (30_736, 30_736)
    assert loader.failed_checks(manifest, ["key_is_unique", "values_are_not_negative"]) == set()
    assert loader.rows(manifest, "count(*)", where="value = 0") == [(497,)]


def fetched(sha256: str, version: str) -> Fetched:
    payload = Payload("request-0", "observations", sha256, "https://x.example/data", "2026-09-20T00:00:00Z")
    return Fetched(OfficeVersion(version, "2026-09-15T09:00:00Z"), (payload,), "sdmx")


# --- TSV ----------------------------------------------------------------------------------------------------------

IMPORTS = replace(SDMX, select={"freq": ("M",), "flow": ("1",)})
TSV_PART = Slice(SDMX.code, "DE", "2026-06", "2026-07", products=("01", "0101", "010121"), partners=("US",))


def tsv_office(body: bytes) -> Answers:
    codes: dict[str, tuple[str, ...]] = {"partner": ("US",)}
    url = sdmx_urls(TSV_PART, codes)[0].replace("/M.DE.US.01+0101+010121.2.", "/M.DE.US.01+0101+010121.1.")
    return {
        LISTING_URL: [listing()],
        CONSTRAINT_URL: [constraint(codes)],
        url: [body],
    }


LISTING_URL, CONSTRAINT_URL = list(sdmx_office(b""))[:2]
TSV_BODY = (
    b"freq,reporter,partner,product,flow,indicators\\TIME_PERIOD\t2026-06 \t2026-07 \r\n"
    b"M,DE,US,01,1,VALUE_IN_EUROS\t10\t20\r\n"
    b"M,DE,US,0101,1,VALUE_IN_EUROS\t3 p\t4\r\n"
    b"M,DE,US,010121,1,VALUE_IN_EUROS\t: \t5\r\n"
)


def test_recorded_tsv_lands_all_cells_except_the_missing_one(shared_data: Path, tmp_path: Path) -> None:
    body = (shared_data / "eurostat/api-2026-09/ds-045409-de-us-m-2026-06-07.tsv").read_bytes()
    loader = Loader(IMPORTS, tmp_path)
    manifest = loader.load(CountingAdapter(tsv_office(body)), TSV_PART)
    assert loader.rows(manifest, "product, period, value") == [
        ("01", "2026-06", 1235161),
        ("01", "2026-07", 1131631),
        ("0101", "2026-06", 105434),
        ("0101", "2026-07", 55153),
        ("010121", "2026-07", 52403),
    ]
    assert manifest.rows_read == 5
    # The TSV has no stamp, so the listing's stamp applies.
    assert manifest.office_version == "15/09/26 11:00:00"


TSV_VARIANTS: dict[str, tuple[Change, Expected]] = {
    "as it is": (lambda text: text, (5, {})),
    "LF": (everywhere(b"\r\n", b"\n"), (5, {})),
    "BOM": (lambda text: BOM + text, (5, {})),
    "gzip": (gzip.compress, (5, {})),
    "cut in a line": (lambda text: text[:-3], (TransientOfficeError, "cut off in its last line")),
    "dimension renamed": (once(b"product", b"prod"), (BadReplyError, r"lacks the dimensions \['product'\]")),
    "value not a number": (once(b"\t20\r\n", b"\tx1\r\n"), (4, {"not_a_number": 1})),
    "value of words": (once(b"\t20\r\n", b"\tunknown\r\n"), (4, {"not_a_number": 1})),
    "value with a blank between thousands": (once(b"\t20\r\n", b"\t1 020\r\n"), (4, {"not_a_number": 1})),
    "missing with a flag": (once(b": \t5", b": c\t5"), (6, {})),
    "period unknown": (once(b"2026-07", b"2026-Q3"), (2, {"unknown_period": 3})),
    "row twice": (lambda text: text + text.splitlines(keepends=True)[-1], (6, {})),
    "field lost": (once(b"\t10\t20", b"\t10"), (BadReplyError, "cannot be parsed: .* on Line: 2")),
    "header only": (lambda text: text.splitlines(keepends=True)[0], (0, {})),
    "wrong delimiter": (everywhere(b"\t", b";"), (BadReplyError, "not data")),
    "empty": (lambda text: b"", (TransientOfficeError, "empty body")),
}


@pytest.mark.parametrize(("change", "expected"), TSV_VARIANTS.values(), ids=list(TSV_VARIANTS))
def test_tsv_variant(tmp_path: Path, change: Change, expected: Expected) -> None:
    loader = Loader(IMPORTS, tmp_path)
    check(expected, lambda: loader.load(CountingAdapter(tsv_office(change(TSV_BODY))), TSV_PART), loader)


def test_tsv_flags_land_with_their_value(tmp_path: Path) -> None:
    loader = Loader(IMPORTS, tmp_path)
    body = once(b": \t5", b": c\t5")(TSV_BODY)
    manifest = loader.load(CountingAdapter(tsv_office(body)), TSV_PART)
    assert loader.rows(manifest, "value, status", where="status is not null") == [(3.0, "p"), (None, "c")]


# The table of 2016 had no frequency, and listed its newest year first.
OLD_TABLE = replace(
    SDMX,
    code="old_table",
    identifier="ext_lt_intratrd",
    dimensions={
        "freq": "freq",
        "indic_et": "measure",
        "sitc06": "product",
        "partner": "partner",
        "geo": "reporter",
        "TIME_PERIOD": "period",
    },
    measures=(Measure("MIO_EXP_VAL", "MIO_EUR", "EUR", 1e6), Measure("CONT_EXP_EU", "%", "PERCENT", 1)),
    period_pattern=r"\d{4}",
    select={"freq": ("A",)},
    slice_by="whole",
    first_period="1999-01",
    total_partner="",
)


def test_recorded_table_of_2016_lands_every_cell_of_its_measures(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "eurostat/legacy/ext_lt_intratrd_2016.tsv"
    assert inspect_data(path, "text/tab-separated-values") is None
    lines = path.read_text("utf-8").splitlines()
    years = [label.strip() for label in lines[0].split("\t")[1:]]
    cells: dict[tuple[str, ...], str] = {}
    for line in lines[1:]:
        key, *texts = line.split("\t")
        cells |= {(*key.split(","), year): text.strip() for year, text in zip(years, texts, strict=True)}
    assert (len(lines), len(years)) == (9_329, 17)
    wanted = {key: text for key, text in cells.items() if not text.startswith(":") or text != ":"}
    loader = Loader(OLD_TABLE, tmp_path)
    sha256, _ = loader.raw.put([path.read_bytes()])
    manifest = loader.stage(Slice(OLD_TABLE.code, "*", "1999-01", "2015-12"), fetched(sha256, "15/09/26 11:00:00"))
    assert manifest.rows_read == len(wanted)
    own = {key: text for key, text in wanted.items() if key[0] in OLD_TABLE.measure_codes}
    assert manifest.rows_loaded == len(own)
    assert loader.rules(manifest) == {"unknown_measure": len(wanted) - len(own)}
    landed = {
        row[:5]: row[5:] for row in loader.rows(manifest, "measure, product, partner, reporter, period, value, status")
    }
    numbers = {key: text.split(" ")[0] for key, text in own.items()}
    assert {k: v[0] for k, v in landed.items()} == {k: None if n == ":" else float(n) for k, n in numbers.items()}
    assert {k for k, v in landed.items() if v[1]} == {k for k, text in own.items() if " " in text}


# --- JSON-stat ----------------------------------------------------------------------------------------------------

EU_PART = Slice(SDMX.code, "EU27_2020", "2024-01", "2024-02", products=("TOTAL",), partners=("US",))


def json_office(body: bytes) -> Answers:
    codes: dict[str, tuple[str, ...]] = {"partner": ("US",)}
    url = sdmx_urls(EU_PART, codes)[0].replace(".TOTAL.2.", ".TOTAL.1.")
    return {LISTING_URL: [listing()], CONSTRAINT_URL: [constraint(codes)], url: [body]}


JSON_BODY = as_json(
    updated="2026-09-15T11:00:00+0200",
    value={"3": 7, "2": 5},
    id=["freq", "reporter", "partner", "product", "flow", "indicators", "time"],
    size=[2, 1, 1, 1, 1, 1, 2],
    dimension={
        name: {"category": {"index": {code: number for number, code in enumerate(codes)}}}
        for name, codes in {
            "freq": ["A", "M"],
            "reporter": ["EU27_2020"],
            "partner": ["US"],
            "product": ["TOTAL"],
            "flow": ["1"],
            "indicators": ["VALUE_IN_EUROS"],
            "time": ["2024-01", "2024-02"],
        }.items()
    },
)


def test_recorded_json_stat_lands_its_two_cells(shared_data: Path, tmp_path: Path) -> None:
    body = (shared_data / "eurostat/api-2026-09/ds-045409-eu27-us-total-2024-01-02.json").read_bytes()
    loader = Loader(IMPORTS, tmp_path)
    manifest = loader.load(CountingAdapter(json_office(body)), EU_PART)
    assert loader.rows(manifest, "freq, reporter, partner, product, flow, measure, period, value") == [
        ("M", "EU27_2020", "US", "TOTAL", "1", "VALUE_IN_EUROS", "2024-01", 28417786122),
        ("M", "EU27_2020", "US", "TOTAL", "1", "VALUE_IN_EUROS", "2024-02", 27944902670),
    ]


def edited(**changes: Any) -> Change:
    def change(text: bytes) -> bytes:
        content = json.loads(text) | changes
        return json.dumps({name: value for name, value in content.items() if value is not None}).encode()

    return change


JSON_VARIANTS: dict[str, tuple[Change, Expected]] = {
    "as it is": (lambda text: text, (2, {})),
    "BOM": (lambda text: BOM + text, (2, {})),
    "pretty": (lambda text: json.dumps(json.loads(text), indent=2).encode(), (2, {})),
    "values as a list": (edited(value=[None, None, 5, 7]), (2, {})),
    "no value": (edited(value={}), (0, {})),
    "value not a number": (edited(value={"2": "KG", "3": 7}), (1, {"not_a_number": 1})),
    "confidential in place of a value": (edited(value={"2": ":C", "3": 7}), (2, {})),
    "flag without a value": (edited(value={"3": 7}, status={"2": "|C"}), (2, {})),
    "null without a flag": (edited(value={"2": None, "3": 7}), (1, {})),
    "cut": (lambda text: text[:-40], (TransientOfficeError, "JSON is cut off")),
    "dimension renamed": (once(b'"product"', b'"prod"'), (BadReplyError, r"lacks the dimensions \['product'\]")),
    "no size": (edited(size=None), (BadReplyError, r"lacks \['size'\]")),
    "another stamp": (edited(updated="2026-09-16T11:00:00+0200"), (TornReadError, "the data are of 16/09/26")),
    "stamp in another shape": (edited(updated="yesterday"), (BadReplyError, "LAST UPDATE is 'yesterday'")),
    "warning": (
        lambda text: b'{"warning":{"status":413,"label":"ASYNCHRONOUS_RESPONSE. Please try again later."}}',
        (TransientOfficeError, "defers the request"),
    ),
    "empty": (lambda text: b"", (TransientOfficeError, "empty body")),
}


@pytest.mark.parametrize(("change", "expected"), JSON_VARIANTS.values(), ids=list(JSON_VARIANTS))
def test_json_stat_variant(tmp_path: Path, change: Change, expected: Expected) -> None:
    loader = Loader(IMPORTS, tmp_path)
    check(expected, lambda: loader.load(CountingAdapter(json_office(change(JSON_BODY))), EU_PART), loader)


def test_json_stat_confidential_cells_are_not_zeros(tmp_path: Path) -> None:
    body = edited(value={"3": ":C"}, status={"2": "e|C"})(JSON_BODY)
    loader = Loader(IMPORTS, tmp_path)
    manifest = loader.load(CountingAdapter(json_office(body)), EU_PART)
    assert loader.rows(manifest, "period, value, status, confidentiality") == [
        ("2024-01", None, "e", "C"),
        ("2024-02", None, None, "C"),
    ]


def test_csv_and_json_stat_of_one_release_form_one_load(tmp_path: Path) -> None:
    part = replace(SDMX_PART, products=tuple(f"{number:04d}" for number in range(101)), partners=("US",))
    other = JSON_BODY.replace(b"EU27_2020", b"NL").replace(
        b'"flow": {"category": {"index": {"1"', b'"flow": {"category": {"index": {"2"'
    )
    answers = sdmx_office(SDMX_BODY, other, part=part, offered={"partner": ("US",)})
    loader = Loader(SDMX, tmp_path)
    assert loader.load(CountingAdapter(answers), part).rows_loaded == 6


# --- the asynchronous footer of 2015 ------------------------------------------------------------------------------


def test_recorded_footer_gives_the_result_url(shared_data: Path) -> None:
    envelope = read_envelope(shared_data / "eurostat/legacy/sdmx21-footer-413-async_2015.xml")
    assert envelope is not None
    assert (envelope.key, envelope.url) == ("", "http://ec.europa.eu/eurostat/SDMX/diss-web/file/wHsvjs7hQCy7Dqf4")


def test_recorded_structure_specific_data_are_rejected(shared_data: Path) -> None:
    path = shared_data / "eurostat/legacy/sdmx21-structurespecific_NAMA_10_GDP_2022.xml"
    assert read_envelope(path) is None
    verdict = inspect_data(path, "application/xml")
    assert verdict is not None
    assert "XML instead of data" in verdict.reason


# --- Comext's bulk files ------------------------------------------------------------------------------------------

OLD_BULK_HEADER = (
    "DECLARANT,DECLARANT_ISO,PARTNER,PARTNER_ISO,TRADE_TYPE,PRODUCT_NC,PRODUCT_SITC,PRODUCT_cpa2002,PRODUCT_cpa2008,"
    "PRODUCT_CPA2_1,PRODUCT_BEC,PRODUCT_SECTION,FLOW,STAT_REGIME,SUPP_UNIT,PERIOD,VALUE_IN_EUROS,QUANTITY_IN_KG,"
    "SUP_QUANTITY"
)
OLD_BULK_ROW = "038,AT,043,AD,E,35069190,59229,2462,2052,2052,220,06,2,4,NO_SU,202402,65,3,0"


def test_current_bulk_file_lands_rows_with_all_classifications(tmp_path: Path) -> None:
    loader = Loader(BULK, tmp_path)
    office = bulk_office(tmp_path, bulk_body(*BULK_ROWS))
    manifest = loader.load(CountingAdapter(office.answers), BULK_PART)
    assert loader.rows(
        manifest,
        "reporter, partner, trade_type, product, flow, stat_procedure, suppl_unit, period, layout, sitc, cpa21, cpa22,"
        " bec, bec5, section, value_eur, value_nac, quantity_kg, supplementary_quantity",
    ) == [
        (
            *("AT", "AD", "E", "35069190", "2", "1", "NO_SU", "202402", "v2", "59229", "2052", "2059", "220"),
            *("311210", "06", 65.0, 65.0, 3.0, 0.0),
        ),
        (
            *("AT", "AD", "E", "39XXXXXX", "2", "1", "NO_SU", "202402", "v2", "582XX", "XXXX", "XXXX", "700"),
            *("31XXXX", "07", 89.0, 89.0, 0.0, 0.0),
        ),
    ]
    # Brussels time in April.
    assert manifest.vintage_at == "2024-04-16T09:00:00Z"
    assert loader.findings(manifest) == []
    assert loader.failed_checks(manifest, ["key_is_unique", "measures_are_present"]) == set()


def masked_row(sitc: str, value: int, product: str = "39XXXXXX") -> str:
    return f"AT,AD,E,{product},{sitc},XXXX,XXXX,700,31XXXX,07,2,1,NO_SU,202402,{value},{value},0,0"


def test_masked_bulk_rows_are_distinguished_by_their_classes(tmp_path: Path) -> None:
    loader = Loader(BULK, tmp_path)
    body = bulk_body(BULK_ROWS[0], masked_row("582XX", 89), masked_row("893XX", 11))
    manifest = loader.load(CountingAdapter(bulk_office(tmp_path, body).answers), BULK_PART)
    assert loader.failed_checks(manifest, ["key_is_unique"]) == set()
    loader.landing.commit(manifest.load_id, BULK)
    # One class is revised and one is withdrawn; the unmasked code changes its class but remains the same cell.
    body = bulk_body(BULK_ROWS[0].replace("59229", "59230"), masked_row("582XX", 90))
    later = bulk_office(tmp_path, body, "2024-05-16T11:00:00")
    manifest = loader.load(CountingAdapter(later.answers), BULK_PART)
    assert loader.findings(manifest) == []
    loader.landing.commit(manifest.load_id, BULK)
    changes = loader.landing.folder(manifest) / "changes.parquet"
    assert duckdb.sql(
        f"select product, masked_class, change_kind, value_eur from '{changes}' order by all"
    ).fetchall() == [
        ("35069190", None, "revised", 65.0),
        ("39XXXXXX", "582XX/XXXX/XXXX/700/31XXXX/07", "revised", 90.0),
        ("39XXXXXX", "893XX/XXXX/XXXX/700/31XXXX/07", "withdrawn", None),
    ]


@pytest.mark.parametrize(
    "rows",
    [(masked_row("582XX", 89), masked_row("582XX", 11)), (BULK_ROWS[0], BULK_ROWS[0].replace("59229", "59230"))],
    ids=["masked, of one class", "shown, of two classes"],
)
def test_indistinguishable_bulk_rows_fail_the_landing_gate(tmp_path: Path, rows: tuple[str, str]) -> None:
    loader = Loader(BULK, tmp_path)
    manifest = loader.load(CountingAdapter(bulk_office(tmp_path, bulk_body(*rows)).answers), BULK_PART)
    assert loader.failed_checks(manifest, ["key_is_unique"]) == {"key_is_unique"}


def test_old_bulk_layout_lands_in_the_same_columns(tmp_path: Path) -> None:
    loader = Loader(BULK, tmp_path)
    office = bulk_office(tmp_path, bulk_body(OLD_BULK_ROW, header=OLD_BULK_HEADER))
    manifest = loader.load(CountingAdapter(office.answers), BULK_PART)
    assert loader.rows(
        manifest,
        "reporter, partner, stat_procedure, layout, cpa21, cpa22, bec5, value_eur, value_nac, quantity_kg,"
        " supplementary_quantity",
    ) == [("AT", "AD", "4", "v1", "2052", None, None, 65.0, None, 3.0, 0.0)]
    assert loader.findings(manifest) == []


BULK_BODY = bulk_body(*BULK_ROWS, BULK_ROWS[0].replace("AT,AD", "AT,FR"))
BULK_VARIANTS: dict[str, tuple[Change, Expected]] = {
    "as it is": (lambda text: text, (3, {})),
    "CRLF": (everywhere(b"\n", b"\r\n"), (3, {})),
    "BOM": (lambda text: BOM + text, (3, {})),
    "last line open": (lambda text: text.rstrip(b"\n"), (3, {})),
    "names in lower case": (once(BULK_HEADER.encode(), BULK_HEADER.lower().encode()), (3, {})),
    "column renamed": (once(b"VALUE_EUR", b"VALUE"), (BadReplyError, r"lacks the columns \['VALUE_EUR'\]")),
    "column added": (
        lambda text: text.replace(b"SUPPL_UNIT\n", b"SUPPL_UNIT,X\n").replace(b",0\n", b",0,x\n"),
        (3, {}),
    ),
    "value not a number": (once(b",89,89,", b",89;1,89,"), (2, {"not_a_number": 1})),
    "quantity not a number": (once(b",65,65,3,0", b",65,65,three,0"), (2, {"not_a_number": 1})),
    "value missing": (once(b",89,89,", b",,89,"), (2, {"value_missing_without_reason": 1})),
    "row of another month": (once(b"202402,89", b"202401,89"), (2, {"unknown_period": 1})),
    "row of a year": (once(b"202402,89", b"202452,89"), (2, {"unknown_period": 1})),
    "key missing": (once(b"AT,FR", b"AT,"), (2, {"missing_key": 1})),
    "row cut": (once(b",89,89,0,0", b",89"), (2, {"malformed_line": 1})),
    "row twice": (lambda text: text + text.splitlines(keepends=True)[-1], (4, {})),
    "wrong delimiter": (everywhere(b",", b";"), (BadReplyError, "lacks the columns")),
    "header only": (lambda text: text.splitlines(keepends=True)[0], (0, {})),
    "empty": (lambda text: b"", (BadReplyError, "lacks the columns")),
}


@pytest.mark.parametrize(("change", "expected"), BULK_VARIANTS.values(), ids=list(BULK_VARIANTS))
def test_bulk_file_variant(tmp_path: Path, change: Change, expected: Expected) -> None:
    loader = Loader(BULK, tmp_path / "state")
    office = bulk_office(tmp_path, change(BULK_BODY))
    check(expected, lambda: loader.load(CountingAdapter(office.answers), BULK_PART), loader)


@pytest.mark.parametrize("size", [0, 3, 40, -1, -40])
def test_truncated_bulk_archive_fails(tmp_path: Path, size: int) -> None:
    loader = Loader(BULK, tmp_path / "state")
    whole = bulk_office(tmp_path, BULK_BODY)
    (archive,) = whole.answers[whole.file]
    assert isinstance(archive, bytes)
    office = bulk_office_of(archive[:size])
    kind, words = {0: (TransientOfficeError, "empty body"), 3: (BadReplyError, "not a 7z archive")}.get(
        size, (TransientOfficeError, "cut off or broken")
    )
    check((kind, words), lambda: loader.load(CountingAdapter(office.answers), BULK_PART), loader)


def test_bulk_archive_with_two_members_is_a_bad_reply(tmp_path: Path) -> None:
    loader = Loader(BULK, tmp_path / "state")
    office = bulk_office(tmp_path, {"a.dat": BULK_BODY, "b.dat": BULK_BODY})
    check(
        (BadReplyError, "not one member"),
        lambda: loader.load(CountingAdapter(office.answers), BULK_PART),
        loader,
    )


def test_bulk_archive_with_a_changed_byte_is_a_bad_reply(tmp_path: Path) -> None:
    loader = Loader(BULK, tmp_path / "state")
    whole = bulk_office(tmp_path, BULK_BODY)
    (archive,) = whole.answers[whole.file]
    assert isinstance(archive, bytes)
    broken = bytearray(archive)
    broken[60] ^= 0x55
    office = bulk_office_of(bytes(broken))
    check((BadReplyError, "cannot be parsed"), lambda: loader.load(CountingAdapter(office.answers), BULK_PART), loader)


def test_missing_bulk_month_error_names_the_newest(tmp_path: Path) -> None:
    loader = Loader(BULK, tmp_path / "state")
    office = bulk_office(tmp_path, BULK_BODY)
    part = Slice(BULK.code, "*", "2024-03", "2024-03")
    with pytest.raises(BadReplyError, match="no bulk file of 2024-03; the newest is of 2024-02"):
        loader.load(CountingAdapter(office.answers), part)

"""Eurostat from reply to landing: recorded replies of DS-045409, and replies of our own that are broken.

The broken replies are made here, in the shape of the recorded ones.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import load
from extract.errors import BadReplyError, ExtractError, OfficeRefusedError, TornReadError, TransientOfficeError
from extract.http import OfficeSession, RetryPolicy
from extract.landing import Landing, LoadManifest
from extract.offices.eurostat import (
    COST_LIMIT,
    PARTNER_POSITIONS,
    EurostatOffice,
    csv_header,
    inspect_csv,
    inspect_structure,
    last_updates,
    parse_last_update,
)
from extract.raw import RawStore
from extract.registry import get_dataset
from extract.replay import Recording, ReplayAdapter, normalise, open_replay
from extract.slices import Slice

DATASET = get_dataset("eurostat_ds_045409")
OFFICE = EurostatOffice()
BASE = OFFICE.base_url()
HEADER = "DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE"
STAMP = "15/09/26 11:00:00"
BULK = "bulk-api-2026-02/ds-045409_CN39201023_M_2023-01_2025-12.csv"
ASYNC_ENVELOPE = (
    b'<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/">'
    b"<env:Body><ns0:asyncResponse><status><id>7f2a</id><status>SUBMITTED</status></status></ns0:asyncResponse>"
    b"</env:Body></env:Envelope>"
)
QUEUED = b"<asynch><queued><id>7f2a</id><status>SUBMITTED</status></queued></asynch>"
SOAP_100 = (
    b'<?xml version="1.0" encoding="UTF-8"?><S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
    b"<faultcode>100</faultcode><faultstring>ERR_NOT_FOUND_2: not available</faultstring></S:Fault>"
)


class Loader:
    """Fetches and stages made-up bodies of a slice, one request a body, and shows what landed."""

    def __init__(self, folder: Path) -> None:
        self.raw = RawStore(folder / "raw")
        self.landing = Landing(folder / "landing")
        self.waits: list[float] = []

    def session(self, adapter: ReplayAdapter) -> OfficeSession:
        return OfficeSession(DATASET.code, self.raw, "live", adapter, RetryPolicy(attempts=2), sleep=self.waits.append)

    def load(self, *bodies: bytes | Path, part: Slice | None = None) -> LoadManifest:
        part = part or months_of_one_product(len(bodies))
        urls = OFFICE.data_urls(self.session(ReplayAdapter({})), BASE, DATASET, part)
        assert len(urls) == len(bodies)
        recordings = {
            normalise(url): Recording(url, body, "application/xml", "2026-09-20T00:00:00Z")
            for url, body in zip(urls, bodies, strict=True)
        }
        return self.run(ReplayAdapter(recordings), part)

    def run(self, adapter: ReplayAdapter, part: Slice) -> LoadManifest:
        fetched = load.fetch(self.session(adapter), BASE, DATASET, part)
        return load.stage(self.landing, self.raw, DATASET, part, fetched, transport="live")

    def rows(self, manifest: LoadManifest, columns: str, table: str = "observations", where: str = "true") -> list[Any]:
        file = self.landing.staged(manifest.load_id)[0] / f"{table}.parquet"
        with duckdb.connect() as connection:
            return connection.sql(f"select {columns} from '{file}' where {where} order by all").fetchall()


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "state")


@pytest.fixture(scope="session")
def recorded(shared_data: Path) -> Path:
    return shared_data / "eurostat"


def months_of_one_product(requests: int) -> Slice:
    """Return a slice that needs this many requests."""
    if requests == 1:
        return Slice(DATASET.code, "NL", "2025-01", "2025-02", products=("76",))
    products = tuple(f"{number:04d}" for number in range(COST_LIMIT // PARTNER_POSITIONS // 2))
    return Slice(DATASET.code, "NL", "2025-01", f"2025-{requests:02d}", products=products)


def line(partner: str = "US", value: str = "5", month: str = "2025-01", stamp: str = STAMP, product: str = "76") -> str:
    return f"ESTAT:DS-045409(1.0),{stamp},M,NL,{partner},{product},2,VALUE_IN_EUROS,{month},{value}"


def body(*lines: str, header: str = HEADER) -> bytes:
    return "".join(text + "\n" for text in (header, *lines)).encode()


# --- recorded replies ---------------------------------------------------------------------------------------------


def test_recorded_bulk_reply_lands_the_dutch_exports_and_nothing_else(recorded: Path, loader: Loader) -> None:
    with (recorded / BULK).open(encoding="utf-8", newline="") as handle:
        every = list(csv.DictReader(handle))
    wanted = [row for row in every if (row["freq"], row["reporter"], row["flow"]) == ("M", "NL", "2")]
    assert len(every) == 30_736
    assert 0 < len(wanted) < len(every)

    replay = open_replay(recorded / "bulk-api-2026-02", DATASET, ("NL",))
    manifest = loader.run(replay.adapter, replay.slices[0])
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (len(wanted), len(wanted), 0)
    expected = sorted((r["partner"], r["indicators"], r["TIME_PERIOD"], float(r["OBS_VALUE"])) for r in wanted)
    assert loader.rows(manifest, "partner, measure, period, value") == expected
    assert loader.rows(manifest, "distinct reporter, flow, freq, product") == [("NL", "2", "M", "39201023")]
    assert manifest.vintage_at == "2026-02-13T10:00:00Z"


def test_recorded_bulk_reply_offers_a_slice_for_each_reporter_in_it(recorded: Path) -> None:
    replay = open_replay(recorded / "bulk-api-2026-02", DATASET, ("NL", "DE", "US"))
    assert [part.reporter for part in replay.slices] == ["NL", "DE"]
    assert {(part.first_month, part.last_month) for part in replay.slices} == {("2023-01", "2025-12")}
    assert all(len(part.partners) == 29 for part in replay.slices)


def test_recorded_bulk_reply_says_that_not_all_partners_were_asked_for(recorded: Path, loader: Loader) -> None:
    replay = open_replay(recorded / "bulk-api-2026-02", DATASET, ("NL",))
    manifest = loader.run(replay.adapter, replay.slices[0])
    assert loader.rows(manifest, "product_code, has_all_partners", "coverage") == [("39201023", False)]


def test_recorded_bulk_reply_units_are_declared_per_measure(recorded: Path, loader: Loader) -> None:
    replay = open_replay(recorded / "bulk-api-2026-02", DATASET, ("NL",))
    manifest = loader.run(replay.adapter, replay.slices[0])
    assert loader.rows(manifest, "measure_code, stated_unit, canonical_unit, factor", "measures") == [
        ("QUANTITY_IN_100KG", "100 KG", "KG", 100.0),
        ("VALUE_IN_EUROS", "EUR", "EUR", 1.0),
    ]


def listing_adapter(source: Path | bytes) -> ReplayAdapter:
    url = f"{BASE}/sdmx/2.1/dataflow/ESTAT"
    return ReplayAdapter({url: Recording(url, source, "application/xml", "2026-09-25T00:00:00Z")})


def test_recorded_listing_probe_reads_the_vintage_in_utc(recorded: Path, loader: Loader) -> None:
    session = loader.session(listing_adapter(recorded / "api-2026-09" / "comext-dataflows.xml"))
    version = OFFICE.probe(session, BASE, DATASET)
    assert (version.version, version.vintage_at) == (STAMP, "2026-09-15T09:00:00Z")
    assert len(session.records) == 1


def test_listing_probe_and_data_reply_of_one_release_have_one_vintage(recorded: Path, loader: Loader) -> None:
    session = loader.session(listing_adapter(recorded / "api-2026-09" / "comext-dataflows.xml"))
    assert OFFICE.probe(session, BASE, DATASET) == parse_last_update(STAMP, DATASET)


def test_listing_without_the_dataset_is_a_bad_reply(recorded: Path, loader: Loader) -> None:
    text = (recorded / "api-2026-09" / "comext-dataflows.xml").read_bytes().replace(b"DS-045409", b"DS-000000")
    with pytest.raises(BadReplyError, match="does not hold DS-045409") as caught:
        OFFICE.probe(loader.session(listing_adapter(text)), BASE, DATASET)
    assert caught.value.where.endswith("/dataflow/ESTAT")


def test_listing_cut_off_is_tried_again_and_then_given_up(recorded: Path, loader: Loader) -> None:
    text = (recorded / "api-2026-09" / "comext-dataflows.xml").read_bytes()
    cut = text[: text.index(b"https://ec.europa.eu/eurostat/documents") + 70]  # inside a long address
    with pytest.raises(TransientOfficeError, match="the XML is cut off"):
        OFFICE.probe(loader.session(listing_adapter(cut)), BASE, DATASET)
    assert len(loader.waits) == 1


def test_listing_cut_behind_a_tag_is_an_extract_error(recorded: Path, loader: Loader) -> None:
    text = (recorded / "api-2026-09" / "comext-dataflows.xml").read_bytes()
    cut = text[: text.index(b"</c:Annotation>", len(text) // 2) + len(b"</c:Annotation>")]
    with pytest.raises(ExtractError):
        OFFICE.probe(loader.session(listing_adapter(cut)), BASE, DATASET)


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("ds-045409-fault-413.xml", "413", "EXTRACTION_TOO_BIG"),
        ("ds-999999-data.xml", "100", "ERR_NOT_FOUND_2"),
        ("ds-999999-dataflow.xml", "100", "ERR_NOT_FOUND_4"),
    ],
)
@pytest.mark.parametrize("content_type", ["application/xml", "application/vnd.sdmx.data+csv", "", "text/html"])
def test_recorded_fault_is_recognised_whatever_the_content_type(
    recorded: Path, file: str, code: str, words: str, content_type: str
) -> None:
    verdict = inspect_csv(recorded / "api-2026-09" / file, content_type)
    assert verdict is not None
    assert verdict.reason.startswith(f"Eurostat fault {code}: {words}")
    assert not verdict.can_heal
    assert verdict.next_step


def test_recorded_json_fault_is_no_csv(recorded: Path) -> None:
    verdict = inspect_csv(recorded / "api-2026-09" / "ds-045409-extraction-too-big.json", "application/json")
    assert verdict is not None
    assert "JSON where SDMX-CSV was asked for" in verdict.reason
    assert "EXTRACTION_TOO_BIG" in verdict.reason


def test_recorded_tsv_and_json_stat_are_no_csv(recorded: Path) -> None:
    for name in ("ds-045409-de-us-m-2026-06-07.tsv", "ds-045409-eu27-us-total-2024-01-02.json"):
        assert inspect_csv(recorded / "api-2026-09" / name, "text/csv") is not None


def test_recorded_structures_are_accepted_and_a_fault_is_not(recorded: Path) -> None:
    folder = recorded / "api-2026-09"
    for name in ("comext-dataflows.xml", "ds-045409-datastructure.xml", "ds-045409-constraint.trimmed.xml"):
        assert inspect_structure(folder / name, "application/xml") is None
    verdict = inspect_structure(folder / "ds-999999-dataflow.xml", "application/xml")
    assert verdict is not None
    assert "fault 100" in verdict.reason


def test_recorded_structure_definition_has_the_registrys_dimensions_in_order(recorded: Path) -> None:
    root = ElementTree.parse(recorded / "api-2026-09" / "ds-045409-datastructure.xml").getroot()
    found = {
        int(str(element.get("position"))): element.get("id")
        for element in root.iter()
        if element.tag.endswith(("}Dimension", "}TimeDimension"))
    }
    assert len(found) == 7
    assert tuple(found[position] for position in sorted(found)) == DATASET.dimensions


# --- replies of our own -------------------------------------------------------------------------------------------


def test_own_reply_lands_text_codes_and_numbers(loader: Loader) -> None:
    manifest = loader.load(body(line("US", "5.5"), line("WORLD", "1e3"), line("QV", "0", product="01")))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 3, 0)
    assert loader.rows(manifest, "partner, product, value, last_update, request_no") == [
        ("QV", "01", 0.0, STAMP, 0),
        ("US", "76", 5.5, STAMP, 0),
        ("WORLD", "76", 1000.0, STAMP, 0),
    ]
    assert (manifest.office_version, manifest.vintage_at) == (STAMP, "2026-09-15T09:00:00Z")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(HEADER.encode(), ",".join(f'"{name}"' for name in HEADER.split(",")).encode()),
        lambda text: text.replace(b"ESTAT:DS-045409(1.0)", b'"ESTAT:DS-045409(1.0)"'),
    ],
    ids=["CRLF", "BOM", "BOM and CRLF", "quoted header", "quoted values"],
)
def test_reply_written_another_way_lands_the_same_rows(tmp_path: Path, change: Any) -> None:
    plain = body(line("US", "5"), line("WORLD", "7", "2025-02"))
    found = []
    for name, text in (("plain", plain), ("changed", change(plain))):
        loader = Loader(tmp_path / name)
        manifest = loader.load(text)
        assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (2, 2, 0)
        found.append(loader.rows(manifest, "* exclude load_id"))
    assert change(plain) != plain
    assert found[0] == found[1]


def test_reply_with_an_extra_column_lands_the_known_ones(loader: Loader) -> None:
    manifest = loader.load(body(line() + ",p", header=HEADER + ",OBS_FLAG"))
    assert loader.rows(manifest, "partner, value") == [("US", 5.0)]


def test_reply_with_columns_in_another_order_lands_by_name(loader: Loader) -> None:
    names, values = HEADER.split(","), line().split(",")
    names, values = ([texts[0], *texts[:0:-1]] for texts in (names, values))
    manifest = loader.load(body(",".join(values), header=",".join(names)))
    assert loader.rows(manifest, "partner, product, period, value") == [("US", "76", "2025-01", 5.0)]


@pytest.mark.parametrize("column", ["reporter", "indicators", "TIME_PERIOD", "OBS_VALUE"])
def test_reply_without_a_column_is_a_bad_reply_that_names_it(loader: Loader, column: str) -> None:
    position = HEADER.split(",").index(column)
    lines = [",".join(v for i, v in enumerate(text.split(",")) if i != position) for text in (HEADER, line())]
    with pytest.raises(BadReplyError, match=f"lacks the columns \\['{column}'\\]") as caught:
        loader.load(body(lines[1], header=lines[0]))
    assert caught.value.dataset == DATASET.code
    assert "/DS-045409/" in caught.value.where


def test_reply_without_last_update_is_a_bad_reply(loader: Loader) -> None:
    text = body(line()).replace(b"LAST UPDATE,", b"").replace(f"{STAMP},".encode(), b"")
    with pytest.raises(BadReplyError):
        loader.load(text)


def test_reply_cut_in_its_last_line_is_tried_again_and_then_given_up(loader: Loader) -> None:
    with pytest.raises(TransientOfficeError, match="cut off in its last line") as caught:
        loader.load(body(line("US"), line("DE"))[:-9])
    assert (caught.value.dataset, len(loader.waits)) == (DATASET.code, 1)
    assert "/DS-045409/M.NL." in caught.value.where


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (line("DE", "c"), "not_a_number"),
        (line("DE", ":"), "not_a_number"),
        (line("DE", ""), "not_a_number"),
        (line("DE", "5", "2025-13"), "unknown_period"),
        (line("DE", "5", "2025"), "unknown_period"),
        (line("", "5"), "missing_key"),
        (line("DE").replace("VALUE_IN_EUROS", "SUPPLEMENTARY_QUANTITY"), "unknown_measure"),
    ],
)
def test_wrong_row_is_rejected_with_its_rule_and_all_others_load(loader: Loader, wrong: str, rule: str) -> None:
    manifest = loader.load(body(line("US"), wrong, line("WORLD")))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 2, 1)
    ((found, content),) = loader.rows(manifest, "rule, row_content", "rejects")
    assert found == rule
    assert json.loads(content)["product"] == "76"


@pytest.mark.parametrize("wrong", ["ESTAT:DS-045409(1.0),15/09/26", line("DE") + ",too,many", "half a line"])
def test_malformed_line_is_rejected_as_it_is(loader: Loader, wrong: str) -> None:
    manifest = loader.load(body(line("US"), wrong, line("WORLD")))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 2, 1)
    ((rule, content),) = loader.rows(manifest, "rule, row_content", "rejects")
    assert (rule, content.strip()) == ("malformed_line", wrong)


def test_malformed_lines_of_two_replies_keep_their_request(loader: Loader) -> None:
    manifest = loader.load(body(line("US"), "one,short"), body(line("US", "6", "2025-02"), "two,short", "three,short"))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (5, 2, 3)
    assert loader.rows(manifest, "request_no, trim(row_content, chr(10))", "rejects") == [
        (0, "one,short"),
        (1, "three,short"),
        (1, "two,short"),
    ]


def test_two_stamps_in_one_reply_are_a_torn_read(loader: Loader) -> None:
    with pytest.raises(TornReadError, match="2 values of LAST UPDATE") as caught:
        loader.load(body(line("US"), line("DE", stamp="16/09/26 11:00:00")))
    assert caught.value.dataset == DATASET.code
    assert "16/09/26" in str(caught.value)
    assert not loader.landing.root.exists()


def test_two_stamps_in_two_replies_are_a_torn_read(loader: Loader) -> None:
    with pytest.raises(TornReadError, match="2 values of LAST UPDATE"):
        loader.load(body(line("US")), body(line("US", "6", "2025-02", stamp="16/09/26 11:00:00")))


def test_stamp_missing_in_one_row_is_an_extract_error(loader: Loader) -> None:
    with pytest.raises(ExtractError):
        loader.load(body(line("US"), line("DE", stamp="")))


@pytest.mark.parametrize("stamp", ["2026-09-15T11:00:00+0200", "31/02/26 11:00:00", "15/09/2026 11:00:00"])
def test_stamp_written_another_way_is_a_bad_reply_that_shows_it(loader: Loader, stamp: str) -> None:
    with pytest.raises(BadReplyError, match="LAST UPDATE is") as caught:
        loader.load(body(line("US", stamp=stamp)))
    assert stamp in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOAP_100, "Eurostat fault 100: ERR_NOT_FOUND_2"),
        (QUEUED, "asynchronous queue"),
        (ASYNC_ENVELOPE, "asynchronous queue"),
        (b'{"version": "2.0", "class": "dataset"}', "JSON where SDMX-CSV was asked for"),
        (b"<m:GenericData></m:GenericData>", "XML where SDMX-CSV was asked for"),
        (b"freq,reporter\tx\n", "not SDMX-CSV"),
    ],
    ids=["SOAP fault", "queued", "async envelope", "JSON", "XML", "TSV"],
)
def test_other_content_with_200_is_a_bad_reply_and_not_tried_again(loader: Loader, text: bytes, words: str) -> None:
    with pytest.raises(BadReplyError, match=re.escape(words)) as caught:
        loader.load(text)
    assert caught.value.dataset == DATASET.code
    assert "/sdmx/2.1/data/DS-045409/" in caught.value.where
    assert loader.waits == []


def test_soap_fault_of_a_busy_server_is_tried_again(loader: Loader) -> None:
    with pytest.raises(TransientOfficeError, match="Eurostat fault 500"):
        loader.load(SOAP_100.replace(b"<faultcode>100<", b"<faultcode>500<"))
    assert len(loader.waits) == 1


def test_url_that_was_not_recorded_is_refused(loader: Loader) -> None:
    with pytest.raises(OfficeRefusedError, match="no recording of this URL"):
        loader.run(ReplayAdapter({}), months_of_one_product(1))


def test_reply_with_a_header_only_is_not_taken_for_a_load(loader: Loader) -> None:
    with pytest.raises(TornReadError, match="0 values of LAST UPDATE") as caught:
        loader.load(body())
    assert "no rows at all" in caught.value.next_step


def test_reply_with_a_header_only_beside_one_with_rows_is_a_load(loader: Loader) -> None:
    manifest = loader.load(body(line("US")), body())
    assert (manifest.rows_read, manifest.rows_loaded) == (1, 1)
    assert {row[0] for row in loader.rows(manifest, "last_month::varchar", "coverage")} == {"2025-02-01"}


def test_replies_with_different_columns_are_a_bad_reply(loader: Loader) -> None:
    with pytest.raises(BadReplyError, match="other columns than the load's first one"):
        loader.load(body(line("US")), body(line("US", "6", "2025-02") + ",p", header=HEADER + ",OBS_FLAG"))


def test_every_row_of_two_replies_leads_to_its_request(loader: Loader) -> None:
    manifest = loader.load(body(line("US")), body(line("US", "6", "2025-02")))
    urls = {record.request_id: record.url for record in loader.raw.records()}
    found = {
        period: urls[manifest.request_ids[number]] for number, period in loader.rows(manifest, "request_no, period")
    }
    assert len(found) == 2
    assert all(f"startPeriod={period}&endPeriod={period}" in url for period, url in found.items())


def test_header_and_stamps_are_read_from_the_body(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"\xef\xbb\xbf" + body(line("US"), "short", line("DE")).replace(b"\n", b"\r\n"))
    assert csv_header(path) == HEADER.split(",")
    assert last_updates(path) == {STAMP}


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [("13/02/26 11:00:00", "2026-02-13T10:00:00Z"), ("15/09/26 11:00:00", "2026-09-15T09:00:00Z")],
)
def test_parse_last_update_is_brussels_time_in_winter_and_summer(stamp: str, expected: str) -> None:
    assert parse_last_update(stamp, DATASET).vintage_at == expected


# --- what is asked for --------------------------------------------------------------------------------------------


def urls_of(part: Slice) -> list[str]:
    class NoSession:
        pass

    return OFFICE.data_urls(NoSession(), BASE, DATASET, part)  # type: ignore[arg-type]


def months_between(first: str, last: str) -> list[str]:
    year, month = int(first[:4]), int(first[5:])
    months = []
    while (text := f"{year:04d}-{month:02d}") <= last:
        months.append(text)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return months


def read_url(url: str) -> tuple[list[str], int]:
    """Return the months of a data request and its cost in positions, from the URL alone."""
    parts = urlsplit(url)
    key = dict(zip(DATASET.dimensions, parts.path.rsplit("/", 1)[1].split("."), strict=False))
    query = parse_qs(parts.query)
    months = months_between(query["startPeriod"][0], query["endPeriod"][0])
    cost = len(months)
    for dimension, codes in key.items():
        cost *= len(codes.split("+")) if codes else {"partner": PARTNER_POSITIONS}[dimension]
    return months, cost


month_texts = st.builds(lambda year, month: f"{year}-{month:02d}", st.integers(1988, 2030), st.integers(1, 12))


@settings(max_examples=150, deadline=None)
@given(
    bounds=st.tuples(month_texts, month_texts).map(sorted),
    n_products=st.integers(1, COST_LIMIT // PARTNER_POSITIONS // 2),
    n_partners=st.integers(0, PARTNER_POSITIONS),
)
def test_data_urls_cover_every_month_once_below_the_limit(bounds: list[str], n_products: int, n_partners: int) -> None:
    first, last = bounds
    part = Slice(
        DATASET.code,
        "NL",
        first,
        last,
        products=tuple(f"{number:04d}" for number in range(n_products)),
        partners=tuple(f"P{number}" for number in range(n_partners)),
    )
    asked: Counter[str] = Counter()
    for url in urls_of(part):
        months, cost = read_url(url)
        assert cost <= COST_LIMIT
        asked.update(months)
    assert asked == Counter(months_between(first, last))


def test_data_urls_of_few_products_are_one_request_as_written() -> None:
    part = Slice(DATASET.code, "NL", "2024-11", "2025-02", products=("72", "76"), partners=("US", "WORLD"))
    assert urls_of(part) == [
        f"{BASE}/sdmx/2.1/data/DS-045409/M.NL.US+WORLD.72+76.2.VALUE_IN_EUROS+QUANTITY_IN_100KG"
        "?startPeriod=2024-11&endPeriod=2025-02&format=SDMX-CSV&compressed=false"
    ]


def test_data_urls_without_a_last_month_reach_to_the_vintage(recorded: Path, loader: Loader) -> None:
    session = loader.session(listing_adapter(recorded / "api-2026-09" / "comext-dataflows.xml"))
    part = Slice(DATASET.code, "NL", "2026-01", products=("76",))
    assert [read_url(url)[0][-1] for url in OFFICE.data_urls(session, BASE, DATASET, part)] == ["2026-09"]


def test_data_urls_of_very_many_products_stay_below_the_limit() -> None:
    part = Slice(DATASET.code, "NL", "2025-01", "2025-01", products=tuple(f"{n:04d}" for n in range(1000)))
    assert all(read_url(url)[1] <= COST_LIMIT for url in urls_of(part))


def test_data_urls_of_all_products_are_refused_with_an_extract_error() -> None:
    with pytest.raises(ExtractError):
        urls_of(Slice(DATASET.code, "NL", "2025-01", "2025-02"))


def test_fetch_of_a_slice_that_starts_after_the_newest_month_is_an_extract_error(loader: Loader) -> None:
    with pytest.raises(ExtractError):
        loader.run(ReplayAdapter({}), Slice(DATASET.code, "NL", "2027-01", "2026-09", products=("76",)))

"""Eurostat from reply to landing: recorded replies of DS-045409, and broken synthetic replies in their format."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.errors import BadReplyError, ExtractError, OfficeRefusedError, TornReadError, TransientOfficeError
from extract.landing.manifest import LoadManifest
from extract.offices.eurostat.formats import csv_header, first_stamp, inspect_data
from extract.offices.eurostat.office import EurostatOffice
from extract.offices.eurostat.requests import CODES_PER_REQUEST, COST_LIMIT, data_urls
from extract.offices.eurostat.structure import inspect_structure, parse_last_update
from extract.registry import get_dataset
from extract.replay import open_replay
from extract.slices import Slice
from tests.contract.loading import Answer, CountingAdapter, Loader

DATASET = get_dataset("eurostat_ds_045409")
OFFICE = EurostatOffice()
HOSTS = OFFICE.hosts()
BASE = HOSTS["comext"]
LISTING = f"{BASE}/sdmx/2.1/dataflow/ESTAT"
CONSTRAINT = f"{BASE}/sdmx/2.1/contentconstraint/ESTAT/DS-045409"
# Number of partners in the documented example of the office's cost rule.
PARTNER_POSITIONS = 282
PARTNERS = ("US", "DE", "WORLD", "QV", *(f"P{number}" for number in range(PARTNER_POSITIONS - 4)))
PART = Slice(DATASET.code, "NL", "2025-01", "2025-02", products=("76",))
HEADER = "DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE"
STAMP = "15/09/26 11:00:00"
BULK = "bulk-api-2026-02/ds-045409_CN39201023_M_2023-01_2025-12.csv"
SOAP_100 = (
    b'<?xml version="1.0" encoding="UTF-8"?><S:Fault xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
    b"<faultcode>100</faultcode><faultstring>ERR_NOT_FOUND_2: not available</faultstring></S:Fault>"
)


def listing(stamp: str = "2026-09-15T11:00:00+0200") -> bytes:
    annotations = "".join(
        f"<c:Annotation><c:AnnotationTitle>{stamp}</c:AnnotationTitle><c:AnnotationType>{kind}</c:AnnotationType>"
        "</c:Annotation>"
        for kind in ("UPDATE_DATA", "UPDATE_STRUCTURE")
    )
    return (
        '<m:Structure xmlns:m="m" xmlns:s="s" xmlns:c="c"><s:Dataflow id="DS-045409"><c:Annotations>'
        f"{annotations}</c:Annotations></s:Dataflow></m:Structure>"
    ).encode()


def constraint(**codes: tuple[str, ...]) -> bytes:
    axes = "".join(
        f'<c:KeyValue id="{name}">{"".join(f"<c:Value>{code}</c:Value>" for code in values)}</c:KeyValue>'
        for name, values in codes.items()
    )
    return f'<m:Structure xmlns:m="m" xmlns:c="c">{axes}</m:Structure>'.encode()


def load_bodies(loader: Loader, *bodies: Answer) -> LoadManifest:
    """Load the slice that needs one request per body."""
    part = months_of_one_product(len(bodies))
    urls, _ = data_urls(BASE, DATASET, part, {"partner": frozenset(PARTNERS)}, "2026-09")
    assert len(urls) == len(bodies)
    answers: dict[str, list[Answer]] = {LISTING: [listing()], CONSTRAINT: [constraint(partner=PARTNERS)]}
    return loader.load(CountingAdapter(answers | {u: [b] for u, b in zip(urls, bodies, strict=True)}), part)


def replay(loader: Loader, recorded: Path) -> LoadManifest:
    found = open_replay(recorded / "bulk-api-2026-02", DATASET, ("NL",))
    return loader.load(found.adapter, found.slices[0])


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(DATASET, tmp_path / "state")


@pytest.fixture(scope="session")
def recorded(shared_data: Path) -> Path:
    return shared_data / "eurostat"


def months_of_one_product(requests: int) -> Slice:
    """Return a slice that needs this number of requests."""
    if requests == 1:
        return Slice(DATASET.code, "NL", "2025-01", "2025-02", products=("76",))
    products = tuple(f"{number:04d}" for number in range((requests - 1) * CODES_PER_REQUEST + 1))
    return Slice(DATASET.code, "NL", "2025-01", "2025-02", products=products)


def line(partner: str = "US", value: str = "5", month: str = "2025-01", stamp: str = STAMP, product: str = "76") -> str:
    return f"ESTAT:DS-045409(1.0),{stamp},M,NL,{partner},{product},2,VALUE_IN_EUROS,{month},{value}"


def body(*lines: str, header: str = HEADER) -> bytes:
    return "".join(text + "\n" for text in (header, *lines)).encode()


# --- recorded replies ---------------------------------------------------------------------------------------------


def test_recorded_bulk_reply_lands_only_dutch_exports(recorded: Path, loader: Loader) -> None:
    with (recorded / BULK).open(encoding="utf-8", newline="") as handle:
        every = list(csv.DictReader(handle))
    wanted = [row for row in every if (row["freq"], row["reporter"], row["flow"]) == ("M", "NL", "2")]
    assert len(every) == 30_736
    assert 0 < len(wanted) < len(every)

    manifest = replay(loader, recorded)
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (len(wanted), len(wanted), 0)
    expected = sorted((r["partner"], r["indicators"], r["TIME_PERIOD"], float(r["OBS_VALUE"])) for r in wanted)
    assert loader.rows(manifest, "partner, measure, period, value") == expected
    assert loader.rows(manifest, "distinct reporter, flow, freq, product") == [("NL", "2", "M", "39201023")]
    assert manifest.vintage_at == "2026-02-13T10:00:00Z"


def test_recorded_bulk_reply_has_a_slice_per_reporter(recorded: Path) -> None:
    slices = open_replay(recorded / "bulk-api-2026-02", DATASET, ("NL", "DE", "US")).slices
    assert [part.reporter for part in slices] == ["NL", "DE"]
    assert {(part.first_month, part.last_month) for part in slices} == {("2023-01", "2025-12")}
    assert all(len(part.partners) == 29 for part in slices)


def test_recorded_bulk_reply_coverage_lacks_all_partners(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    assert loader.rows(manifest, "product_code, has_all_partners", "coverage") == [("39201023", False)]


def test_recorded_bulk_reply_units_are_declared_per_measure(recorded: Path, loader: Loader) -> None:
    manifest = replay(loader, recorded)
    assert loader.rows(manifest, "measure_code, stated_unit, canonical_unit, factor", "measures") == [
        ("QUANTITY_IN_100KG", "100 KG", "KG", 100.0),
        ("VALUE_IN_EUROS", "EUR", "EUR", 1.0),
    ]


def listing_adapter(source: Path | bytes) -> CountingAdapter:
    return CountingAdapter({LISTING: [source]})


def test_recorded_listing_probe_reads_the_vintage_in_utc(recorded: Path, loader: Loader) -> None:
    session = loader.session(listing_adapter(recorded / "api-2026-09" / "comext-dataflows.xml"))
    version = OFFICE.probe(session, HOSTS, DATASET, PART)
    assert (version.version, version.vintage_at) == (STAMP, "2026-09-15T09:00:00Z")
    assert len(session.records) == 1


def test_listing_probe_and_data_reply_share_the_vintage(recorded: Path, loader: Loader) -> None:
    session = loader.session(listing_adapter(recorded / "api-2026-09" / "comext-dataflows.xml"))
    assert OFFICE.probe(session, HOSTS, DATASET, PART) == parse_last_update(STAMP, DATASET)


def test_listing_without_the_dataset_is_a_bad_reply(recorded: Path, loader: Loader) -> None:
    text = (recorded / "api-2026-09" / "comext-dataflows.xml").read_bytes().replace(b"DS-045409", b"DS-000000")
    with pytest.raises(BadReplyError, match="does not hold DS-045409") as caught:
        OFFICE.probe(loader.session(listing_adapter(text)), HOSTS, DATASET, PART)
    assert caught.value.where.endswith("/dataflow/ESTAT")


def test_truncated_listing_is_retried_then_fails(recorded: Path, loader: Loader) -> None:
    text = (recorded / "api-2026-09" / "comext-dataflows.xml").read_bytes()
    cut = text[: text.index(b"https://ec.europa.eu/eurostat/documents") + 70]  # within a long URL
    with pytest.raises(TransientOfficeError, match="the XML is cut off"):
        OFFICE.probe(loader.session(listing_adapter(cut)), HOSTS, DATASET, PART)
    assert len(loader.waits) == 1


def test_listing_cut_after_a_tag_is_an_extract_error(recorded: Path, loader: Loader) -> None:
    text = (recorded / "api-2026-09" / "comext-dataflows.xml").read_bytes()
    cut = text[: text.index(b"</c:Annotation>", len(text) // 2) + len(b"</c:Annotation>")]
    with pytest.raises(ExtractError):
        OFFICE.probe(loader.session(listing_adapter(cut)), HOSTS, DATASET, PART)


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("ds-045409-fault-413.xml", "413", "EXTRACTION_TOO_BIG"),
        ("ds-999999-data.xml", "100", "ERR_NOT_FOUND_2"),
        ("ds-999999-dataflow.xml", "100", "ERR_NOT_FOUND_4"),
    ],
)
@pytest.mark.parametrize("content_type", ["application/xml", "application/vnd.sdmx.data+csv", "", "text/html"])
def test_recorded_fault_is_recognised_for_any_content_type(
    recorded: Path, file: str, code: str, words: str, content_type: str
) -> None:
    verdict = inspect_data(recorded / "api-2026-09" / file, content_type)
    assert verdict is not None
    assert verdict.reason.startswith(f"Eurostat fault {code}: {words}")
    assert not verdict.retryable
    assert verdict.next_step


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("ds-045409-extraction-too-big.json", "Eurostat fault 413: EXTRACTION_TOO_BIG"),
        ("ds-999999-statistics.json", "Eurostat fault 100: ERR_NOT_FOUND_4"),
    ],
)
def test_recorded_json_fault_quotes_the_office(recorded: Path, file: str, words: str) -> None:
    verdict = inspect_data(recorded / "api-2026-09" / file, "application/json")
    assert verdict is not None
    assert verdict.reason.startswith(words)
    assert not verdict.retryable
    assert verdict.next_step


def test_recorded_tsv_and_json_stat_are_data_for_any_content_type(recorded: Path) -> None:
    for name in ("ds-045409-de-us-m-2026-06-07.tsv", "ds-045409-eu27-us-total-2024-01-02.json"):
        assert inspect_data(recorded / "api-2026-09" / name, "text/csv") is None


def test_recorded_structures_are_accepted_but_not_a_fault(recorded: Path) -> None:
    folder = recorded / "api-2026-09"
    for name in ("comext-dataflows.xml", "ds-045409-datastructure.xml", "ds-045409-constraint.trimmed.xml"):
        assert inspect_structure(folder / name, "application/xml") is None
    verdict = inspect_structure(folder / "ds-999999-dataflow.xml", "application/xml")
    assert verdict is not None
    assert "fault 100" in verdict.reason


def test_recorded_structure_matches_the_registry_dimensions(recorded: Path) -> None:
    root = ElementTree.parse(recorded / "api-2026-09" / "ds-045409-datastructure.xml").getroot()
    found = {
        int(str(element.get("position"))): element.get("id")
        for element in root.iter()
        if element.tag.endswith(("}Dimension", "}TimeDimension"))
    }
    assert len(found) == 7
    assert tuple(found[position] for position in sorted(found)) == tuple(DATASET.dimensions)


# --- synthetic replies --------------------------------------------------------------------------------------------


def test_synthetic_reply_lands_text_codes_and_numbers(loader: Loader) -> None:
    manifest = load_bodies(loader, body(line("US", "5.5"), line("WORLD", "1e3"), line("QV", "0", product="01")))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 3, 0)
    assert loader.rows(manifest, "partner, product, value, request_no") == [
        ("QV", "01", 0.0, 0),
        ("US", "76", 5.5, 0),
        ("WORLD", "76", 1000.0, 0),
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
def test_equivalent_encoding_lands_the_same_rows(tmp_path: Path, change: Any) -> None:
    plain = body(line("US", "5"), line("WORLD", "7", "2025-02"))
    found = []
    for name, text in (("plain", plain), ("changed", change(plain))):
        loader = Loader(DATASET, tmp_path / name)
        manifest = load_bodies(loader, text)
        assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (2, 2, 0)
        found.append(loader.rows(manifest, "* exclude load_id"))
    assert change(plain) != plain
    assert found[0] == found[1]


def test_reply_with_an_extra_column_lands_the_known_columns(loader: Loader) -> None:
    manifest = load_bodies(loader, body(line() + ",p", header=HEADER + ",OBS_FLAG"))
    assert loader.rows(manifest, "partner, value") == [("US", 5.0)]


def test_reply_with_columns_in_another_order_lands_by_name(loader: Loader) -> None:
    names, values = HEADER.split(","), line().split(",")
    names, values = ([texts[0], *texts[:0:-1]] for texts in (names, values))
    manifest = load_bodies(loader, body(",".join(values), header=",".join(names)))
    assert loader.rows(manifest, "partner, product, period, value") == [("US", "76", "2025-01", 5.0)]


@pytest.mark.parametrize("column", ["reporter", "indicators", "TIME_PERIOD", "OBS_VALUE"])
def test_reply_without_a_column_is_a_bad_reply_that_names_it(loader: Loader, column: str) -> None:
    position = HEADER.split(",").index(column)
    lines = [",".join(v for i, v in enumerate(text.split(",")) if i != position) for text in (HEADER, line())]
    with pytest.raises(BadReplyError, match=f"lacks the columns \\['{column}'\\]") as caught:
        load_bodies(loader, body(lines[1], header=lines[0]))
    assert caught.value.dataset == DATASET.code
    assert "/DS-045409/" in caught.value.where


def test_reply_without_last_update_is_a_bad_reply(loader: Loader) -> None:
    text = body(line()).replace(b"LAST UPDATE,", b"").replace(f"{STAMP},".encode(), b"")
    with pytest.raises(BadReplyError):
        load_bodies(loader, text)


def test_reply_cut_in_its_last_line_is_retried_then_fails(loader: Loader) -> None:
    with pytest.raises(TransientOfficeError, match="cut off in its last line") as caught:
        load_bodies(loader, body(line("US"), line("DE"))[:-9])
    assert (caught.value.dataset, len(loader.waits)) == (DATASET.code, 1)
    assert "/DS-045409/M.NL." in caught.value.where


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (line("DE", "c"), "not_a_number"),
        (line("DE", ":"), "not_a_number"),
        (line("DE", ""), "value_missing_without_reason"),
        (line("DE", "5", "2025-13"), "unknown_period"),
        (line("DE", "5", "2025"), "unknown_period"),
        (line("", "5"), "missing_key"),
        (line("DE").replace("VALUE_IN_EUROS", "SUPPLEMENTARY_QUANTITY"), "unknown_measure"),
    ],
)
def test_invalid_row_is_rejected_and_others_load(loader: Loader, wrong: str, rule: str) -> None:
    manifest = load_bodies(loader, body(line("US"), wrong, line("WORLD")))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 2, 1)
    ((found, content),) = loader.rows(manifest, "rule, row_content", "rejects")
    assert found == rule
    assert json.loads(content)["product"] == "76"


@pytest.mark.parametrize("wrong", ["ESTAT:DS-045409(1.0),15/09/26", line("DE") + ",too,many", "half a line"])
def test_malformed_line_is_rejected_verbatim(loader: Loader, wrong: str) -> None:
    manifest = load_bodies(loader, body(line("US"), wrong, line("WORLD")))
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (3, 2, 1)
    ((rule, content),) = loader.rows(manifest, "rule, row_content", "rejects")
    assert (rule, content.strip()) == ("malformed_line", wrong)


def test_malformed_lines_of_two_replies_keep_their_request(loader: Loader) -> None:
    manifest = load_bodies(
        loader, body(line("US"), "one,short"), body(line("US", "6", "2025-02"), "two,short", "three,short")
    )
    assert (manifest.rows_read, manifest.rows_loaded, manifest.rows_rejected) == (5, 2, 3)
    assert loader.rows(manifest, "request_no, trim(row_content, chr(10))", "rejects") == [
        (0, "one,short"),
        (1, "three,short"),
        (1, "two,short"),
    ]


def test_two_stamps_in_one_reply_are_a_bad_reply(loader: Loader) -> None:
    with pytest.raises(BadReplyError, match="1 of 2 rows carry another stamp") as caught:
        load_bodies(loader, body(line("US"), line("DE", stamp="16/09/26 11:00:00")))
    assert caught.value.dataset == DATASET.code
    assert list(loader.landing.root.rglob("*.parquet")) == []


def test_two_stamps_in_two_replies_are_a_torn_read(loader: Loader) -> None:
    with pytest.raises(TornReadError, match="2 values of LAST UPDATE"):
        load_bodies(loader, body(line("US")), body(line("US", product="01", stamp="16/09/26 11:00:00")))


def test_stamp_unlike_the_listing_is_a_torn_read(loader: Loader) -> None:
    with pytest.raises(TornReadError, match="the data are of 16/09/26 11:00:00, the listing showed 15/09/26"):
        load_bodies(loader, body(line("US", stamp="16/09/26 11:00:00")))


def test_row_without_a_stamp_loads(loader: Loader) -> None:
    assert load_bodies(loader, body(line("US"), line("DE", stamp=""))).rows_loaded == 2


@pytest.mark.parametrize("stamp", ["2026-09-15T11:00", "31/02/26 11:00:00", "15/09/2026 11:00:00"])
def test_malformed_stamp_is_an_error_that_quotes_it(loader: Loader, stamp: str) -> None:
    with pytest.raises((BadReplyError, TornReadError)) as caught:
        load_bodies(loader, body(line("US", stamp=stamp)))
    assert caught.value.dataset == DATASET.code
    assert caught.value.next_step
    assert isinstance(caught.value, TornReadError) or stamp in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOAP_100, "Eurostat fault 100: ERR_NOT_FOUND_2"),
        (b'{"version": "2.0", "class": "dataset"}', "not JSON-stat: it lacks"),
        (b"<m:GenericData></m:GenericData>", "XML instead of data"),
        (b"freq;reporter;value\n", "not data"),
    ],
    ids=["SOAP fault", "JSON", "XML", "another delimiter"],
)
def test_other_content_with_status_200_is_not_retried(loader: Loader, text: bytes, words: str) -> None:
    with pytest.raises(BadReplyError, match=re.escape(words)) as caught:
        load_bodies(loader, text)
    assert caught.value.dataset == DATASET.code
    assert "/sdmx/2.1/data/DS-045409/" in caught.value.where
    assert loader.waits == []


def test_soap_fault_of_a_busy_server_is_retried(loader: Loader) -> None:
    with pytest.raises(TransientOfficeError, match="Eurostat fault 500"):
        load_bodies(loader, SOAP_100.replace(b"<faultcode>100<", b"<faultcode>500<"))
    assert len(loader.waits) == 1


def test_unknown_url_is_refused(loader: Loader) -> None:
    with pytest.raises(OfficeRefusedError, match="nothing is known of this URL"):
        loader.load(CountingAdapter({}), months_of_one_product(1))


def test_reply_with_only_a_header_is_an_empty_load(loader: Loader) -> None:
    manifest = load_bodies(loader, body())
    assert (manifest.rows_read, manifest.rows_loaded) == (0, 0)
    # The check `load_has_rows` of the landing gate fails this load; its stamp comes from the listing.
    assert manifest.vintage_at == "2026-09-15T09:00:00Z"


def test_reply_with_only_a_header_loads_alongside_rows(loader: Loader) -> None:
    manifest = load_bodies(loader, body(line("US")), body())
    assert (manifest.rows_read, manifest.rows_loaded) == (1, 1)
    assert {row[0] for row in loader.rows(manifest, "last_month::varchar", "coverage")} == {"2025-02-01"}


def test_replies_with_different_columns_are_a_bad_reply(loader: Loader) -> None:
    with pytest.raises(BadReplyError, match="other columns than the load's first one"):
        load_bodies(loader, body(line("US")), body(line("US", product="01") + ",p", header=HEADER + ",OBS_FLAG"))


def test_rows_of_two_replies_link_to_their_request(loader: Loader) -> None:
    manifest = load_bodies(loader, body(line("US", product="0000")), body(line("US", product="0100")))
    urls = {record.request_id: record.url for record in loader.raw.records()}
    found = {
        product: urls[manifest.request_ids[number]] for number, product in loader.rows(manifest, "request_no, product")
    }
    assert len(found) == 2
    assert all(product in unquote(url).split("/")[-1] for product, url in found.items())
    assert len(set(found.values())) == 2


def test_header_and_stamp_are_read_from_the_body(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"\xef\xbb\xbf" + body(line("US"), "short", line("DE")).replace(b"\n", b"\r\n"))
    assert csv_header(path) == HEADER.split(",")
    assert first_stamp(path) == STAMP


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [("13/02/26 11:00:00", "2026-02-13T10:00:00Z"), ("15/09/26 11:00:00", "2026-09-15T09:00:00Z")],
)
def test_parse_last_update_uses_brussels_time(stamp: str, expected: str) -> None:
    assert parse_last_update(stamp, DATASET).vintage_at == expected


# --- requests -----------------------------------------------------------------------------------------------------


def urls_of(part: Slice, newest: str = "2026-09") -> list[str]:
    urls, findings = data_urls(BASE, DATASET, part, {"partner": frozenset(PARTNERS)}, newest)
    assert findings == ()
    return urls


def months_between(first: str, last: str) -> list[str]:
    year, month = int(first[:4]), int(first[5:])
    months = []
    while (text := f"{year:04d}-{month:02d}") <= last:
        months.append(text)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return months


def read_url(url: str) -> tuple[list[str], tuple[str, ...], int]:
    """Return the months and products of a data request and its cost in positions, parsed from the URL alone."""
    parts = urlsplit(url)
    key = dict(zip(DATASET.dimensions, parts.path.rsplit("/", 1)[1].split("."), strict=False))
    query = parse_qs(parts.query)
    months = months_between(query["startPeriod"][0], query["endPeriod"][0])
    cost = len(months)
    for dimension, codes in key.items():
        cost *= len(codes.split("+")) if codes else {"partner": PARTNER_POSITIONS}[dimension]
    return months, tuple(key["product"].split("+")), cost


month_texts = st.builds(lambda year, month: f"{year}-{month:02d}", st.integers(1988, 2030), st.integers(1, 12))


@settings(max_examples=60, deadline=None)
@given(bounds=st.tuples(month_texts, month_texts).map(sorted), n_products=st.integers(1, 350), is_open=st.booleans())
def test_data_urls_cover_every_cell_once_within_the_limit(bounds: list[str], n_products: int, *, is_open: bool) -> None:
    first, last = bounds
    products = tuple(f"{number:04d}" for number in range(n_products))
    part = Slice(DATASET.code, "NL", first, last, products=products, partners=() if is_open else PARTNERS[:7])
    asked: Counter[tuple[str, str]] = Counter()
    for url in urls_of(part):
        months, some, cost = read_url(url)
        assert cost <= COST_LIMIT
        assert len(some) <= CODES_PER_REQUEST
        asked.update((month, product) for month in months for product in some)
    assert asked == Counter((month, product) for month in months_between(first, last) for product in products)


def test_data_urls_of_few_products_are_one_request() -> None:
    part = Slice(DATASET.code, "NL", "2024-11", "2025-02", products=("72", "76"), partners=("US", "WORLD"))
    assert urls_of(part) == [
        f"{BASE}/sdmx/2.1/data/DS-045409/M.NL.US+WORLD.72+76.2.VALUE_IN_EUROS+QUANTITY_IN_100KG"
        "?startPeriod=2024-11&endPeriod=2025-02&format=SDMX-CSV&compressed=true"
    ]


def test_data_urls_without_a_last_month_end_at_the_stamp() -> None:
    part = Slice(DATASET.code, "NL", "2026-01", products=("76",))
    assert [read_url(url)[0][-1] for url in urls_of(part, "2026-09")] == ["2026-09"]


def test_data_urls_of_very_many_products_stay_below_the_limit() -> None:
    part = Slice(DATASET.code, "NL", "2025-01", "2025-01", products=tuple(f"{n:04d}" for n in range(1000)))
    assert all(read_url(url)[2] <= COST_LIMIT for url in urls_of(part))


def test_data_urls_of_annual_data_request_years() -> None:
    annual = replace(get_dataset("eurostat_ext_tec01"), first_period="2012-01")
    urls, _ = data_urls("https://x.example", annual, Slice(annual.code, "NL", "2012-01"), {}, "2026-09")
    assert [parse_qs(urlsplit(url).query)["startPeriod"] for url in urls] == [["2012"]]
    assert [parse_qs(urlsplit(url).query)["endPeriod"] for url in urls] == [["2026"]]


def test_data_urls_of_all_products_are_refused_with_an_extract_error() -> None:
    with pytest.raises(ExtractError, match="Comext refuses"):
        urls_of(Slice(DATASET.code, "NL", "2025-01", "2025-02"))


def test_data_urls_drop_unavailable_codes_with_a_finding() -> None:
    part = Slice(DATASET.code, "NL", "2025-01", "2025-01", products=("72", "77"), partners=("US",))
    offered = {"product": frozenset({"72", "73"}), "partner": frozenset({"US"})}
    (url,), (finding,) = data_urls(BASE, DATASET, part, offered, "2026-09")
    assert read_url(url)[1] == ("72",)
    assert (finding.rule, finding.subject, finding.detail, finding.mode) == (
        "code_not_offered",
        "product",
        "77",
        "warn",
    )


def test_data_urls_error_names_codes_if_none_is_available() -> None:
    part = Slice(DATASET.code, "NL", "2025-01", "2025-01", products=("77",), partners=("US",))
    with pytest.raises(ExtractError, match="offers none of the codes requested in product: 77"):
        data_urls(BASE, DATASET, part, {"product": frozenset({"72"})}, "2026-09")


def test_data_urls_are_clipped_to_available_periods() -> None:
    offered = {"TIME_PERIOD": frozenset({"2020", "2021-01", "2024-12", "2026-12"})}
    part = Slice(DATASET.code, "NL", "2002-01", products=("72",), partners=("US",))
    (url,), (finding,) = data_urls(BASE, DATASET, part, offered, "2026-09")
    assert "startPeriod=2021-01&endPeriod=2026-09" in url
    assert (finding.rule, finding.mode) == ("period_not_offered", "warn")
    assert finding.detail == "requested from 2002-01 on, offered from 2021-01 on"
    with pytest.raises(ExtractError, match="the dataset offers 2021-01 to 2026-12"):
        data_urls(BASE, DATASET, Slice(DATASET.code, "NL", "2002-01", "2003-12", products=("72",)), offered, "2026-09")


def test_slice_after_the_newest_month_is_an_extract_error() -> None:
    with pytest.raises(ExtractError, match="there are no periods between the first month and the last one, 2026-09"):
        urls_of(Slice(DATASET.code, "NL", "2027-01", "2026-09", products=("76",)))

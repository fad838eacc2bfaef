"""Number of requests per load: exact in normal operation, and no more than necessary after an error."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from extract.errors import BadReplyError, OfficeRefusedError, TornReadError, TransientOfficeError
from extract.load import RESTARTS
from extract.offices import OFFICES
from extract.offices.comext.bulk import months_to_load
from extract.offices.eurostat.requests import COST_LIMIT
from extract.raw import RawStore
from extract.registry import load_registry
from extract.slices import Slice
from tests.contract.loading import Answer, CountingAdapter, Loader, Reply, as_json, plain
from tests.contract.offices_of_ours import (
    BULK,
    BULK_PART,
    BULK_ROWS,
    CBS,
    CBS_COUNT,
    CBS_OBSERVATIONS,
    CBS_PART,
    CBS_TABLE,
    CBS_ZIP,
    CBS_ZIP_URL,
    COMEXT,
    CONSTRAINT,
    LISTING,
    OFFERED,
    SDMX,
    SDMX_PART,
    TEC,
    TEC_HEADER,
    TEC_PART,
    bulk_body,
    bulk_listing,
    bulk_office,
    cbs_csv,
    cbs_metadata,
    cbs_office,
    cbs_row,
    cbs_zip_office,
    constraint,
    listing,
    sdmx_body,
    sdmx_line,
    sdmx_office,
    sdmx_urls,
    tec_line,
    tec_office,
)

JOB = "0f164c29-0e96-4757-9b81-e9fcff8b9899"
STATUS, DATA = f"{COMEXT}/1.0/async/status/{JOB}", f"{COMEXT}/1.0/async/data/{JOB}"


def short(urls: list[str]) -> Counter[str]:
    """Count requests by the last part of their path."""
    return Counter(url.split("?")[0].rsplit("/", 1)[1] for url in urls)


# --- CBS ----------------------------------------------------------------------------------------------------------

METADATA = {"Dimensions": 1, "MeasureCodes": 1, "LandenCodes": 1, "SITCCodes": 1, "PeriodenCodes": 1}


def test_cbs_one_page_costs_nine_requests(tmp_path: Path) -> None:
    adapter = CountingAdapter(cbs_office([cbs_row(0), cbs_row(1)]))
    loader = Loader(CBS, tmp_path)
    loader.load(adapter, CBS_PART)
    assert short(adapter.urls) == {**METADATA, "Properties": 2, "$count": 1, "Observations": 1}
    assert len(adapter.urls) == 9
    assert loader.waits == []


def test_cbs_each_further_page_costs_one_request(tmp_path: Path) -> None:
    rows = [cbs_row(number) for number in range(6)]
    urls = [CBS_OBSERVATIONS, f"{CBS_OBSERVATIONS}&$skiptoken=2", f"{CBS_OBSERVATIONS}&$skiptoken=4"]
    answers = cbs_office(rows)
    for number, url in enumerate(urls):
        following = {"@odata.nextLink": urls[number + 1]} if number < 2 else {}
        answers[url] = [as_json(value=rows[2 * number : 2 * number + 2], **following)]
    adapter = CountingAdapter(answers)
    assert Loader(CBS, tmp_path).load(adapter, CBS_PART).rows_loaded == 6
    assert short(adapter.urls) == {**METADATA, "Properties": 2, "$count": 1, "Observations": 3}


def test_cbs_bulk_zip_costs_eight_requests(tmp_path: Path) -> None:
    adapter = CountingAdapter(cbs_zip_office({"Observations.csv": cbs_csv([cbs_row(0)])}, 1))
    Loader(CBS_ZIP, tmp_path).load(adapter, CBS_PART)
    assert short(adapter.urls) == {**METADATA, "Properties": 2, "85429NED": 1}
    assert adapter.asked[CBS_ZIP_URL] == 1


def test_cbs_trailing_months_use_pages_even_if_a_zip_exists(tmp_path: Path) -> None:
    part = replace(CBS_PART, first_month="2023-01")
    url = f"{CBS_OBSERVATIONS} and Perioden ge '2023JJ00'"
    answers = cbs_metadata() | {
        url: [as_json(value=[cbs_row(0)])],
        url.replace("/Observations", "/Observations/$count"): [b"1"],
    }
    adapter = CountingAdapter(answers)
    assert Loader(CBS_ZIP, tmp_path).load(adapter, part).protocol == "odata_v4"
    assert len(adapter.urls) == 9


def test_cbs_reports_a_discontinued_table(tmp_path: Path) -> None:
    answers = cbs_office([cbs_row(0)])
    url = f"{CBS_TABLE}/Properties"
    stopped = {"Status": "Gediscontinueerd", "VersionNotes": "Vervangen door 86000NED."}
    answers[url] = [as_json(Version="202607020630", Title=CBS.title_nl, **stopped)]
    loader = Loader(CBS, tmp_path)
    session = loader.session(CountingAdapter(answers))
    version = OFFICES["cbs"].probe(session, OFFICES["cbs"].hosts(), CBS, CBS_PART)
    assert version.notice == "CBS calls the table Gediscontinueerd: Vervangen door 86000NED."


def test_comext_is_searched_by_its_english_titles(tmp_path: Path) -> None:
    # In the order of the recorded listing.
    titles = {"fr": "Commerce UE depuis 1988 par SH2,4,6 et NC8", "en": "EU trade since 1988 by HS2-4-6 and CN8"}
    names = "".join(f'<c:Name xml:lang="{language}">{title}</c:Name>' for language, title in titles.items())
    body = listing().replace(b"</s:Dataflow>", names.encode() + b"</s:Dataflow>")
    toc = b"title\tcode\ttype\tlast update of data\n"
    hosts = OFFICES["eurostat"].hosts()
    adapter = CountingAdapter({LISTING: [body], f"{hosts['main']}/catalogue/toc/txt?lang=en": [toc]})
    session = Loader(SDMX, tmp_path).session(adapter)
    words = tuple(" ".join(load_registry()["eurostat_ds_045409"].discover).split())
    found = OFFICES["eurostat"].discover(session, hosts, words)
    assert [(entry.identifier, entry.title) for entry in found] == [("DS-045409", titles["en"])]


def test_cbs_error_costs_one_extra_request_per_retry(tmp_path: Path) -> None:
    answers = cbs_office([cbs_row(0)])
    answers[CBS_OBSERVATIONS].insert(0, Reply(b"busy", 502))
    answers[CBS_COUNT].insert(0, Reply(b"<html>Onderhoud</html>"))
    adapter = CountingAdapter(answers)
    loader = Loader(CBS, tmp_path)
    loader.load(adapter, CBS_PART)
    assert short(adapter.urls) == {**METADATA, "Properties": 2, "$count": 2, "Observations": 2}
    assert len(loader.waits) == 2


def test_cbs_torn_read_restarts_and_loads_the_newer_version(tmp_path: Path) -> None:
    answers = cbs_office([cbs_row(0)])
    old, new = (as_json(Version=version) for version in ("202607020630", "202607030630"))
    answers[f"{CBS_TABLE}/Properties"] = [old, new]
    adapter = CountingAdapter(answers)
    loader = Loader(CBS, tmp_path)
    manifest = loader.load(adapter, CBS_PART)
    assert manifest.office_version == "202607030630"
    assert short(adapter.urls) == {
        **dict.fromkeys(METADATA, 2),
        "Properties": 4,
        "$count": 2,
        "Observations": 2,
    }
    assert any(message.startswith("starting again: CBS published version") for message in loader.messages)


def test_cbs_repeated_torn_reads_stop_after_the_restart_limit(tmp_path: Path) -> None:
    answers = cbs_office([cbs_row(0)])
    answers[f"{CBS_TABLE}/Properties"] = [as_json(Version=f"2026070{day}0630") for day in range(1, 9)]
    adapter = CountingAdapter(answers)
    with pytest.raises(TornReadError):
        Loader(CBS, tmp_path).load(adapter, CBS_PART)
    assert short(adapter.urls)["Observations"] == RESTARTS + 1


def test_cbs_changed_dimensions_stop_the_load(tmp_path: Path) -> None:
    answers = cbs_office([cbs_row(0)])
    answers[f"{CBS_TABLE}/Dimensions"] = [as_json(value=[{"Identifier": "Landen"}])]
    adapter = CountingAdapter(answers)
    with pytest.raises(BadReplyError, match="the table's dimensions are"):
        Loader(CBS, tmp_path).load(adapter, CBS_PART)
    assert short(adapter.urls) == {"Properties": 1, "Dimensions": 1}


def test_cbs_wrong_id_is_requested_once_without_v3_fallback(tmp_path: Path) -> None:
    adapter = CountingAdapter({})
    with pytest.raises(OfficeRefusedError, match="HTTP 404"):
        Loader(replace(CBS, fallback="odata_v3"), tmp_path).load(adapter, CBS_PART)
    assert len(adapter.urls) == 1


# --- SDMX ---------------------------------------------------------------------------------------------------------

BODY = sdmx_body(sdmx_line("US"), sdmx_line("WORLD", "9"))


def test_sdmx_load_costs_listing_constraint_and_data(tmp_path: Path) -> None:
    adapter = CountingAdapter(sdmx_office(BODY))
    Loader(SDMX, tmp_path).load(adapter, SDMX_PART)
    assert adapter.urls == [plain(url) for url in (LISTING, CONSTRAINT, *sdmx_urls())]


def test_sdmx_probe_costs_the_listing(tmp_path: Path) -> None:
    adapter = CountingAdapter(sdmx_office(BODY))
    loader = Loader(SDMX, tmp_path)
    version = OFFICES["eurostat"].probe(loader.session(adapter), loader.hosts, SDMX, SDMX_PART)
    assert adapter.urls == [LISTING]
    assert version.vintage_at == "2026-09-15T09:00:00Z"


def test_sdmx_constraint_is_requested_once_per_structure_stamp(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    answers = sdmx_office(BODY)
    for structure, asked in (("2026-09-11", 1), ("2026-09-11", 1), ("2026-10-01", 2), ("2026-10-01", 2)):
        answers[LISTING] = [listing(structure=f"{structure}T11:00:00+0200")]
        adapter = CountingAdapter(answers)
        loader.load(adapter, SDMX_PART)
        n_constraints = sum(record.purpose == "constraint" for record in loader.raw.records())
        assert n_constraints == asked


def test_sdmx_constraint_without_a_stamp_is_always_requested(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    answers = sdmx_office(BODY) | {LISTING: [listing(structure="")]}
    for _ in range(2):
        loader.load(CountingAdapter(answers), SDMX_PART)
    assert sum(record.purpose == "constraint" for record in loader.raw.records()) == 2


def test_sdmx_constraint_cache_is_per_host(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    loader.load(CountingAdapter(sdmx_office(BODY)), SDMX_PART)
    loader.hosts = {name: url.replace("ec.europa.eu", "mirror.example") for name, url in loader.hosts.items()}
    answers = {url.replace("ec.europa.eu", "mirror.example"): body for url, body in sdmx_office(BODY).items()}
    adapter = CountingAdapter(answers)
    loader.load(adapter, SDMX_PART)
    assert len(adapter.urls) == 3


def test_sdmx_codes_not_offered_are_dropped_with_a_finding(tmp_path: Path) -> None:
    part = replace(SDMX_PART, products=("72", "76", "77"))
    adapter = CountingAdapter(sdmx_office(BODY, part=part))
    loader = Loader(SDMX, tmp_path)
    manifest = loader.load(adapter, part)
    assert "72+76.2" in adapter.urls[-1]
    assert loader.rows(manifest, "rule, subject, detail, mode", "findings") == [
        ("code_not_offered", "product", "77", "warn")
    ]
    assert loader.keeps_contract(manifest)
    # The slice and the coverage record the requested products.
    assert manifest.slice["products"] == ["72", "76", "77"]


def test_sdmx_slice_is_split_into_requests_below_the_limit(tmp_path: Path) -> None:
    offered = OFFERED | {"partner": tuple(f"P{number}" for number in range(282))}
    part = replace(
        SDMX_PART, first_month="2016-01", last_month="2025-12", products=("72", "73", "74", "75", "76", "78")
    )
    offered["product"] = part.products
    urls = sdmx_urls(part, offered)
    # 282 partners x 2 indicators x 6 products are 3,384 positions a month: 118 months fit, 120 would be too many.
    assert COST_LIMIT == 400_000
    spans = [url.split("?")[1].split("&")[:2] for url in urls]
    assert spans == [
        ["startPeriod=2016-01", "endPeriod=2025-10"],
        ["startPeriod=2025-11", "endPeriod=2025-12"],
    ]
    bodies = [
        sdmx_body(sdmx_line("P1", product=url.split("/")[-1].split(".")[3].split("+")[0], month="2016-02"))
        for url in urls
    ]
    adapter = CountingAdapter(sdmx_office(*bodies, part=part, offered=offered))
    assert Loader(SDMX, tmp_path).load(adapter, part).rows_loaded == len(urls)
    assert len(adapter.urls) == 2 + len(urls)


def test_sdmx_empty_chunk_is_an_error_only_if_all_are_empty(tmp_path: Path) -> None:
    part = replace(SDMX_PART, products=tuple(f"{number:04d}" for number in range(150)), partners=("US",))
    offered = {"partner": ("US",)}
    fault = b'<S:Fault xmlns:S="x"><faultcode>100</faultcode><faultstring>No results found</faultstring></S:Fault>'
    adapter = CountingAdapter(sdmx_office(BODY, Reply(fault, 404), part=part, offered=offered))
    assert Loader(SDMX, tmp_path).load(adapter, part).rows_loaded == 2
    nothing = CountingAdapter(sdmx_office(*[Reply(fault, 404)] * 2, part=part, offered=offered))
    with pytest.raises(OfficeRefusedError, match="No results found"):
        Loader(SDMX, tmp_path / "nothing").load(nothing, part)


def test_sdmx_data_newer_than_the_listing_restart_the_load(tmp_path: Path) -> None:
    answers = sdmx_office(BODY)
    (url,) = sdmx_urls()
    newer = BODY.replace(b"15/09/26", b"16/09/26")
    answers[url] = [newer]
    answers[LISTING] = [listing(), listing("2026-09-16T11:00:00+0200")]
    adapter = CountingAdapter(answers)
    manifest = Loader(SDMX, tmp_path).load(adapter, SDMX_PART)
    assert manifest.office_version == "16/09/26 11:00:00"
    assert adapter.asked == {plain(LISTING): 2, plain(CONSTRAINT): 1, plain(url): 2}


def test_sdmx_main_host_load_costs_version_constraint_and_data(tmp_path: Path) -> None:
    body = sdmx_body(tec_line(), header=f"{TEC_HEADER},OBS_FLAG,CONF_STATUS")
    adapter = CountingAdapter(tec_office(body))
    Loader(TEC, tmp_path).load(adapter, TEC_PART)
    assert len(adapter.urls) == 3
    assert all("/comext/" not in url for url in adapter.urls)


# --- asynchronous answers -----------------------------------------------------------------------------------------


def envelope(status: str, job: str = JOB) -> bytes:
    # Copied from the office's own example.
    return (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><env:Header xmlns:env="x"/><S:Body>'
        f'<ns0:asyncResponse xmlns:ns0="y"><ns1:status xmlns:ns1="z"><ns1:key>{job}</ns1:key>'
        f"<ns1:status>{status}</ns1:status></ns1:status></ns0:asyncResponse></S:Body></S:Envelope>"
    ).encode()


def fault(text: str) -> Reply:
    body = f'<S:Fault xmlns:S="x"><faultcode>100</faultcode><faultstring>{text}</faultstring></S:Fault>'
    return Reply(body.encode(), 400)


def async_office(statuses: list[Answer], data: list[Answer]) -> dict[str, list[Answer]]:
    (url,) = sdmx_urls()
    return {**sdmx_office(envelope("SUBMITTED")), url: [envelope("SUBMITTED")], STATUS: statuses, DATA: data}


def jobs(raw: RawStore) -> list[str]:
    return [json.loads(path.read_text("utf-8")) for path in (raw.root / "jobs").rglob("*.json")]


@pytest.mark.parametrize(
    "first",
    [envelope("SUBMITTED"), f"<a><queued><id>{JOB}</id><status>SUBMITTED</status></queued></a>".encode()],
    ids=["envelope", "queued"],
)
def test_job_is_polled_until_its_data_are_available(tmp_path: Path, first: bytes) -> None:
    answers = async_office([envelope("SUBMITTED"), envelope("PROCESSING"), envelope("AVAILABLE")], [BODY])
    answers[sdmx_urls()[0]] = [first]
    adapter = CountingAdapter(answers)
    loader = Loader(SDMX, tmp_path)
    assert loader.load(adapter, SDMX_PART).rows_loaded == 2
    assert short(adapter.urls[2:])[JOB] == 4
    assert adapter.asked[plain(sdmx_urls()[0])] == 1
    # Ten seconds, then half as long again.
    assert loader.waits == [10.0, 15.0]
    assert jobs(loader.raw) == []


def test_job_of_a_killed_run_resumes_without_a_new_data_request(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    dying = CountingAdapter(async_office([RuntimeError("the machine went down")], [BODY]))
    with pytest.raises(RuntimeError, match="went down"):
        loader.load(dying, SDMX_PART)
    assert jobs(loader.raw) == [JOB]
    again = CountingAdapter(async_office([envelope("AVAILABLE")], [BODY]))
    assert loader.load(again, SDMX_PART).rows_loaded == 2
    assert again.asked[plain(sdmx_urls()[0])] == 0
    assert (again.asked[STATUS], again.asked[DATA]) == (1, 1)
    assert jobs(loader.raw) == []


def test_unfinished_job_is_kept_for_the_next_run(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    with pytest.raises(TransientOfficeError, match="is still PROCESSING after") as caught:
        loader.load(CountingAdapter(async_office([envelope("PROCESSING")], [BODY])), SDMX_PART)
    assert "the same job is taken up" in caught.value.next_step
    assert 3600 <= sum(loader.waits) <= 3660
    assert max(loader.waits) == 60.0
    assert jobs(loader.raw) == [JOB]


@pytest.mark.parametrize("gone", [envelope("EXPIRED"), fault("UNKNOWN_REQUEST")], ids=["expired", "unknown"])
def test_lost_job_is_submitted_again(tmp_path: Path, gone: Answer) -> None:
    answers = async_office([gone], [BODY])
    (url,) = sdmx_urls()
    answers[url] = [envelope("SUBMITTED"), BODY]
    adapter = CountingAdapter(answers)
    loader = Loader(SDMX, tmp_path)
    assert loader.load(adapter, SDMX_PART).rows_loaded == 2
    assert (adapter.asked[plain(url)], adapter.asked[STATUS]) == (2, 1)
    assert jobs(loader.raw) == []


def test_repeatedly_lost_jobs_end_the_load(tmp_path: Path) -> None:
    answers = async_office([envelope("EXPIRED")], [BODY])
    (url,) = sdmx_urls()
    answers[url] = [envelope("SUBMITTED")]
    adapter = CountingAdapter(answers)
    loader = Loader(SDMX, tmp_path)
    with pytest.raises(TransientOfficeError, match="discarded 3 jobs in a row") as caught:
        loader.load(adapter, SDMX_PART)
    assert caught.value.next_step
    assert (adapter.asked[plain(url)], adapter.asked[STATUS]) == (3, 3)
    assert jobs(loader.raw) == []


def test_available_job_without_data_is_polled_again(tmp_path: Path) -> None:
    adapter = CountingAdapter(async_office([envelope("AVAILABLE")], [fault("DATA_NOT_YET_AVAILABLE"), BODY]))
    loader = Loader(SDMX, tmp_path)
    assert loader.load(adapter, SDMX_PART).rows_loaded == 2
    assert (adapter.asked[STATUS], adapter.asked[DATA]) == (2, 2)


def test_answer_without_a_key_is_refused_with_a_next_step(tmp_path: Path) -> None:
    answers = async_office([], [])
    answers[sdmx_urls()[0]] = [envelope("SUBMITTED").replace(JOB.encode(), b"")]
    with pytest.raises(OfficeRefusedError, match="gave no key") as caught:
        Loader(SDMX, tmp_path).load(CountingAdapter(answers), SDMX_PART)
    assert caught.value.next_step


def test_old_style_footer_is_followed_to_its_zip(shared_data: Path, tmp_path: Path) -> None:
    footer = (shared_data / "eurostat/legacy/sdmx21-footer-413-async_2015.xml").read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data.csv", BODY)
    # The footer names plain HTTP; the request still uses HTTPS.
    place = "https://ec.europa.eu/eurostat/SDMX/diss-web/file/wHsvjs7hQCy7Dqf4"
    answers = sdmx_office(footer)
    answers[place] = [Reply(b"not there yet", 404), packed.getvalue()]
    adapter = CountingAdapter(answers)
    loader = Loader(SDMX, tmp_path)
    manifest = loader.load(adapter, SDMX_PART)
    assert manifest.rows_loaded == 2
    assert adapter.asked[place] == 2
    # The row points to the original request, although its reply was extracted from the zip.
    records = {record.request_id: record for record in loader.raw.records()}
    assert records[manifest.request_ids[0]].url == next(url for url in sdmx_office(footer) if "/data/" in url)


# --- Comext's bulk files ------------------------------------------------------------------------------------------


def test_bulk_month_costs_two_listings_and_the_file(tmp_path: Path) -> None:
    office = bulk_office(tmp_path, bulk_body(*BULK_ROWS))
    adapter = CountingAdapter(office.answers)
    Loader(BULK, tmp_path / "state").load(adapter, BULK_PART)
    assert adapter.asked == {plain(office.listing): 2, plain(office.file): 1}


def test_bulk_file_replaced_during_the_load_is_read_again(tmp_path: Path) -> None:
    office = bulk_office(tmp_path, bulk_body(*BULK_ROWS))
    (archive,) = office.answers[office.file]
    assert isinstance(archive, bytes)
    old, new = (bulk_listing(len(archive), f"2024-04-{day}T11:00:00") for day in (16, 17))
    office.answers[office.listing] = [old, new]
    adapter = CountingAdapter(office.answers)
    manifest = Loader(BULK, tmp_path / "state").load(adapter, BULK_PART)
    assert manifest.vintage_at == "2024-04-17T09:00:00Z"
    assert adapter.asked == {plain(office.listing): 4, plain(office.file): 2}


def test_bulk_months_to_load_exclude_annual_files(tmp_path: Path) -> None:
    office = bulk_office(tmp_path, bulk_body(*BULK_ROWS))
    body = b"NAME,TYPE,SIZE,MODIFIED\n" + b"".join(
        f"{name},FILE,9,2024-04-16T11:00:00\n".encode()
        for name in ("full_v2_202312.7z", "full_v2_202352.7z", "full_v2_202402.7z", "full_partxixu_v2_202402.7z")
    )
    loader = Loader(BULK, tmp_path / "state")
    session = loader.session(CountingAdapter({office.listing: [body]}))
    assert months_to_load(session, loader.hosts, BULK, "", "") == ["2024-02"]
    assert months_to_load(session, loader.hosts, BULK, "2023-01", "") == ["2023-12", "2024-02"]
    assert months_to_load(session, loader.hosts, BULK, "2023-01", "2023-12") == ["2023-12"]


@pytest.mark.parametrize("body", [b"NAME,TYPE\nfull_v2_202402.7z,FILE\n", b"NAME,SIZE,TIME\n"])
def test_malformed_bulk_listing_is_a_bad_reply(tmp_path: Path, body: bytes) -> None:
    office = bulk_office(tmp_path, bulk_body(*BULK_ROWS))
    office.answers[office.listing] = [body]
    with pytest.raises(BadReplyError, match="not a name, a size and a time"):
        Loader(BULK, tmp_path / "state").load(CountingAdapter(office.answers), BULK_PART)


def test_empty_sdmx_constraint_is_a_bad_reply(tmp_path: Path) -> None:
    answers = sdmx_office(BODY) | {CONSTRAINT: [constraint({})]}
    with pytest.raises(BadReplyError, match="the constraint lists no codes"):
        Loader(SDMX, tmp_path).load(CountingAdapter(answers), SDMX_PART)


def test_slice_of_all_reporters_omits_the_reporter_code(tmp_path: Path) -> None:
    part = Slice(SDMX.code, "*", "2025-01", "2025-02", products=("72",))
    assert sdmx_urls(part)[0].split("/")[-1].split(".")[1] == ""

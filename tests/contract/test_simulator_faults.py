"""A plain client observes every kind of fault, and only on the matching requests."""

from __future__ import annotations

import csv
import gzip
import io
import re
import socket
import threading
import time
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import py7zr
import pytest
import requests
from py7zr.io import BytesIOFactory

from simulator.faults.book import KINDS, FaultBook, describe_kinds
from simulator.faults.registry import DAMAGING
from simulator.reply import Reply
from simulator.server import Simulator, run_simulator

DATA = (
    "/eurostat/api/comext/dissemination/sdmx/2.1/data/DS-045409/M.NL.US+DE+WORLD.72+7204.2."
    "VALUE_IN_EUROS+QUANTITY_IN_100KG?format=SDMX-CSV&startPeriod=2025-01&endPeriod=2025-03"
)
MAIN_INDICATOR = "VALUE_IN_EUROS"
CBS_TABLE = "/odata/v1/CBS/85429NED"

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_simulator() as base_url:
        yield base_url


@pytest.fixture
def base(server: str) -> Iterator[str]:
    yield server
    requests.delete(f"{server}/_simulator/faults", timeout=10)
    requests.post(f"{server}/_simulator/release", json={"number": 12}, timeout=10)


def switch_on(base: str, kind: str, match: str = "/data/DS-045409", **options: Any) -> None:
    reply = requests.post(f"{base}/_simulator/faults", json={"match": match, "kind": kind, **options}, timeout=10)
    assert reply.status_code == 200, reply.text


def ask(base: str, **options: Any) -> requests.Response:
    return requests.get(base + DATA, timeout=30, **options)


def read(reply: requests.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reply.content.decode(), newline="")))


def raw_exchange(url: str, seconds: float) -> bytes:
    """Return all bytes that arrive within some seconds after a GET."""
    parts = urlsplit(url)
    received = b""
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5) as connection:
        request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        connection.sendall(request.encode())
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                part = connection.recv(65536)
            except TimeoutError:
                break
            if not part:
                break
            received += part
    return received


def test_every_kind_has_a_one_line_description() -> None:
    lines = describe_kinds()
    assert tuple(lines) == KINDS
    assert all(line.endswith(".") and len(line) > 15 for line in lines.values()), lines


def test_unknown_kind_is_refused_with_the_list(base: str) -> None:
    reply = requests.post(f"{base}/_simulator/faults", json={"match": "x", "kind": "no_such"}, timeout=10)
    assert reply.status_code == 400
    assert "async_never" in reply.json()["error"]


# -- which requests ---------------------------------------------------------------------------------------


def test_after_skips_the_first_requests(base: str) -> None:
    switch_on(base, "http_503", times=1, after=2)
    assert [ask(base).status_code for _ in range(4)] == [200, 200, 503, 200]


def test_after_counts_matching_requests_only(base: str) -> None:
    switch_on(base, "http_500", match="startPeriod=2025-01", times=1, after=1)
    assert ask(base).status_code == 200
    other = (base + DATA).replace("startPeriod=2025-01", "startPeriod=2025-02")
    assert requests.get(other, timeout=30).status_code == 200
    assert ask(base).status_code == 500


def test_after_applies_to_row_faults(base: str) -> None:
    switch_on(base, "bad_number", times=1, after=1)
    assert ["abc" in ask(base).text for _ in range(3)] == [False, True, False]


# -- transport --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "status"), [("http_429", 429), ("http_500", 500), ("http_503", 503)])
def test_error_pages(base: str, kind: str, status: int) -> None:
    switch_on(base, kind, times=1)
    reply = ask(base)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "Retry-After" not in reply.headers
    assert ask(base).status_code == 200


@pytest.mark.parametrize("kind", ["http_429", "http_503"])
def test_retry_after_header_is_sent_if_configured(base: str, kind: str) -> None:
    switch_on(base, kind, times=1, retry_after=7)
    assert ask(base).headers["Retry-After"] == "7"


def test_html_page_with_any_content_type(base: str) -> None:
    switch_on(base, "html_200", times=1)
    switch_on(base, "html_200", times=1, content_type="application/json")
    for content_type in ("text/html", "application/json"):
        reply = ask(base)
        assert reply.status_code == 200
        assert reply.headers["Content-Type"].startswith(content_type)
        assert reply.text.startswith("<!DOCTYPE html>")


def test_too_big_in_both_formats(base: str) -> None:
    switch_on(base, "http_413_xml", times=1)
    reply = ask(base)
    assert reply.status_code == 413
    assert ET.fromstring(reply.content).findtext("faultcode") == "413"
    switch_on(base, "http_413_json", times=1)
    reply = ask(base)
    assert reply.status_code == 413
    assert reply.json()["error"][0]["label"].startswith("EXTRACTION_TOO_BIG:")


def test_too_big_matches_the_recorded_fault(base: str, shared_data: Any) -> None:
    recorded = (shared_data / "eurostat" / "api-2026-09" / "ds-045409-fault-413.xml").read_text()
    switch_on(base, "http_413_xml", times=1)
    assert ask(base).text == recorded.strip()


def test_empty_body_has_the_right_content_type(base: str) -> None:
    switch_on(base, "empty_200", times=1)
    reply = ask(base)
    assert (reply.status_code, reply.content) == (200, b"")
    assert "csv" in reply.headers["Content-Type"]


def test_reset_closes_the_connection(base: str) -> None:
    switch_on(base, "reset", times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(base)


def test_timeout_does_not_block_other_requests(base: str) -> None:
    switch_on(base, "timeout", times=1, delay_seconds=20)
    answers: list[bytes] = []
    waiting = threading.Thread(target=lambda: answers.append(raw_exchange(base + DATA, 1.5)))
    waiting.start()
    time.sleep(0.3)
    start = time.monotonic()
    assert ask(base).status_code == 200
    assert time.monotonic() - start < 1.0
    waiting.join()
    assert answers == [b""]


def test_timeout_ends_in_a_gateway_error(base: str) -> None:
    switch_on(base, "timeout", times=1, delay_seconds=0.3)
    start = time.monotonic()
    assert ask(base).status_code == 504
    assert time.monotonic() - start >= 0.3


def test_slow_drip_sends_headers_then_single_bytes(base: str) -> None:
    whole = ask(base).content
    switch_on(base, "slow_drip", times=1, interval_seconds=0.2)
    head, _, body = raw_exchange(base + DATA, 1.1).partition(b"\r\n\r\n")
    assert f"content-length: {len(whole)}" in head.decode().lower()
    assert 2 <= len(body) <= 6
    assert whole.startswith(body)


def test_fast_drip_sends_the_whole_body(base: str) -> None:
    whole = ask(base).content
    switch_on(base, "slow_drip", times=1, interval_seconds=0.05, bytes_at_once=len(whole) // 3 + 1)
    start = time.monotonic()
    assert ask(base).content == whole
    assert time.monotonic() - start >= 0.15


def test_slow_reply_is_complete(base: str) -> None:
    whole = ask(base).content
    switch_on(base, "slow", times=1, delay_seconds=0.3)
    start = time.monotonic()
    assert ask(base).content == whole
    assert time.monotonic() - start >= 0.3


# -- form of the body -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [DATA, DATA.replace("SDMX-CSV", "TSV"), f"{CBS_TABLE}/Properties"])
def test_truncated_reply_is_valid_http(base: str, path: str) -> None:
    whole = requests.get(base + path, timeout=30).content
    switch_on(base, "truncate", match=".", times=1, keep=0.25)
    reply = requests.get(base + path, timeout=30)
    assert reply.status_code == 200
    assert reply.content == whole[: len(whole) // 4]
    assert int(reply.headers["Content-Length"]) == len(whole) // 4


def test_truncated_gzip_body_does_not_decompress(base: str) -> None:
    switch_on(base, "truncate_gzip", times=1)
    reply = requests.get(f"{base}{DATA}&compressed=true", timeout=30)
    assert reply.status_code == 200
    with pytest.raises(EOFError):
        gzip.decompress(reply.content)


def test_truncated_content_encoding(base: str) -> None:
    whole = ask(base).content
    switch_on(base, "truncate_gzip", times=1)
    reply = ask(base, stream=True)
    assert reply.headers["Content-Encoding"] == "gzip"
    packed = reply.raw.read(decode_content=False)
    assert len(packed) == int(reply.headers["Content-Length"])
    with pytest.raises(EOFError):
        gzip.decompress(packed)
    assert whole


@pytest.mark.parametrize(("kind", "magic"), [("truncate_zip", b"PK\x03\x04"), ("truncate_7z", b"7z\xbc\xaf\x27\x1c")])
def test_truncated_archive(kind: str, magic: bytes) -> None:
    book = FaultBook()
    book.add([{"match": ".", "kind": kind, "times": 1}])
    text = book.damage("/x", Reply(b"a,b\r\n1,2\r\n", "text/csv"))
    assert text.body == b"a,b\r\n1,2\r\n"
    assert book.faults[0].times == 1
    archive = book.damage("/x", Reply(magic + bytes(94), "application/octet-stream"))
    assert len(archive.body) == (len(magic) + 94) // 2
    assert book.faults[0].times == 0


def test_truncated_zip_over_http(base: str) -> None:
    switch_on(base, "async_footer", times=1)
    generic = (base + DATA).replace("format=SDMX-CSV&", "")
    url = next(text for text in re.findall(r">(http[^<]+)<", requests.get(generic, timeout=30).text))
    whole = requests.get(url, timeout=30).content
    assert zipfile.is_zipfile(io.BytesIO(whole))
    switch_on(base, "truncate_zip", match="diss-web/file", times=1)
    cut = requests.get(url, timeout=30)
    assert cut.content == whole[: len(whole) // 2]
    assert int(cut.headers["Content-Length"]) == len(cut.content)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(cut.content))


def test_wrong_content_type(base: str) -> None:
    whole = ask(base).content
    switch_on(base, "wrong_content_type", times=1, content_type="application/json")
    reply = ask(base)
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.content == whole


@pytest.mark.parametrize("compressed", ["false", "true"])
def test_byte_order_mark(base: str, compressed: str) -> None:
    switch_on(base, "bom", times=1)
    body = requests.get(f"{base}{DATA}&compressed={compressed}", timeout=30).content
    text = gzip.decompress(body) if compressed == "true" else body
    assert text.startswith(b"\xef\xbb\xbfDATAFLOW,")


def test_crlf_changes_only_bare_line_feeds() -> None:
    assert DAMAGING["crlf"](None, Reply(b"a\r\nb\r\n", "text/csv")) is None  # type: ignore[arg-type]
    changed = DAMAGING["crlf"](None, Reply(b"a\nb\r\n", "text/csv"))  # type: ignore[arg-type]
    assert changed is not None
    assert changed.body == b"a\r\nb\r\n"


def test_crlf_over_http(base: str) -> None:
    url = f"{base}/eurostat/api/dissemination/files?format=csv&dir=comext"
    whole = requests.get(url, timeout=30).content
    assert b"\r" not in whole
    switch_on(base, "crlf", match="/files", times=1)
    assert requests.get(url, timeout=30).content == whole.replace(b"\n", b"\r\n")


def test_page_fault_is_taken_once() -> None:
    """The code that serves the page applies ``duplicate_page``, by taking it from the fault book."""
    book = FaultBook()
    book.add([{"match": "Observations", "kind": "duplicate_page", "times": 1, "after": 1}])
    taken = []
    for url in ("/Observations?1", "/Codes", "/Observations?2", "/Observations?3"):
        book.begin(url)
        taken.append(book.take(url, "duplicate_page") is not None)
    assert taken == [False, False, True, False]


def test_added_and_missing_columns(base: str) -> None:
    whole = read(ask(base))
    switch_on(base, "new_column", times=1, column="CONF_STATUS", value="N")
    more = read(ask(base))
    assert [{**row, "CONF_STATUS": "N"} for row in whole] == [dict(row) for row in more]
    assert list(more[0])[-2:] == ["CONF_STATUS", "OBS_VALUE"]
    switch_on(base, "missing_column", times=1)
    assert list(read(ask(base))[0]) == [name for name in whole[0] if name != "OBS_VALUE"]
    switch_on(base, "missing_column", times=1, column="LAST UPDATE")
    fewer = read(ask(base))
    assert fewer == [{name: text for name, text in row.items() if name != "LAST UPDATE"} for row in whole]


# -- data -------------------------------------------------------------------------------------------------


def test_renamed_total(base: str) -> None:
    whole = read(ask(base))
    switch_on(base, "renamed_aggregate", times=1)
    renamed = read(ask(base))
    assert [{**row, "partner": row["partner"].replace("WORLD", "WRLD")} for row in whole] == renamed
    switch_on(base, "renamed_aggregate", times=1, code="EU27_2020_EXTRA")
    assert {row["partner"] for row in read(ask(base))} == {"DE", "US", "EU27_2020_EXTRA"}


@pytest.mark.parametrize("factor", [10, 1.22])
def test_wrong_scale(base: str, factor: float) -> None:
    whole = read(ask(base))
    switch_on(base, "wrong_scale", times=1, **cast(Any, {} if factor == 10 else {"factor": factor}))
    changed = read(ask(base))
    assert len(whole) == len(changed)
    for before, after in zip(whole, changed, strict=True):
        scale = factor if before["indicators"] == MAIN_INDICATOR else 1
        assert float(after["OBS_VALUE"]) == pytest.approx(scale * float(before["OBS_VALUE"]), abs=0.5)
        assert ("." in after["OBS_VALUE"]) <= ("." in before["OBS_VALUE"])
        assert {**before, "OBS_VALUE": ""} == {**after, "OBS_VALUE": ""}


def test_row_faults(base: str) -> None:
    whole = read(ask(base))

    def spoilt(kind: str, **options: Any) -> list[dict[str, str]]:
        switch_on(base, kind, times=1, **options)
        return read(ask(base))

    assert len(spoilt("duplicate_key")) == len(whole) + 1
    assert {row["partner"] for row in spoilt("missing_partners", partners=["US"])} == {"DE", "WORLD"}
    assert sum(row["OBS_VALUE"].startswith("-") for row in spoilt("negative_value")) == 1
    assert sum(row["OBS_VALUE"] == "abc" for row in spoilt("bad_number")) == 1
    assert "X9" in {row["partner"] for row in spoilt("unknown_partner")}
    assert "VALUE_EUR" in {row["indicators"] for row in spoilt("unit")}
    wrong = spoilt("wrong_total")
    assert {row["partner"] for row, other in zip(whole, wrong, strict=True) if row != other} == {"WORLD"}


BULK_FILE = "/eurostat/api/dissemination/files?file=comext%2FCOMEXT_DATA%2FPRODUCTS%2Ffull_v2_202603.7z"
PRICES_ZIP = "/csv/CBS/nl/85770NED"


@pytest.fixture(scope="module")
def small_server() -> Iterator[str]:
    simulator = Simulator()
    simulator.eurostat.files.archives.bulk_reporters = ("MT",)
    with run_simulator(simulator) as base_url:
        yield base_url


def bulk_rows(base: str, kind: str = "", **options: Any) -> list[dict[str, str]]:
    """Read a bulk file, with a fault if a kind is given."""
    if kind:
        switch_on(base, kind, match="files/body/", times=1, **options)
    body = requests.get(base + BULK_FILE, timeout=60).content
    factory = BytesIOFactory(1 << 30)
    with py7zr.SevenZipFile(io.BytesIO(body)) as archive:
        archive.extractall(factory=factory)
    ((name, member),) = factory.products.items()
    assert name == "full_202603.dat"
    member.seek(0)
    return list(csv.DictReader(io.StringIO(member.read().decode(), newline="")))


def test_row_faults_in_a_bulk_file(small_server: str) -> None:
    whole = bulk_rows(small_server)
    assert len(whole) > 1000
    tenfold = bulk_rows(small_server, "wrong_scale")
    assert [int(row["VALUE_EUR"]) for row in tenfold] == [10 * int(row["VALUE_EUR"]) for row in whole]
    assert [{**row, "VALUE_EUR": ""} for row in tenfold] == [{**row, "VALUE_EUR": ""} for row in whole]
    assert len(bulk_rows(small_server, "duplicate_key")) == len(whole) + 1
    assert sum(row["VALUE_EUR"] == "abc" for row in bulk_rows(small_server, "bad_number")) == 1
    assert sum(row["VALUE_EUR"].startswith("-") for row in bulk_rows(small_server, "negative_value")) == 1
    assert "X9" in {row["PARTNER"] for row in bulk_rows(small_server, "unknown_partner")}
    missing = bulk_rows(small_server, "missing_partners")
    assert [row for row in whole if row["PARTNER"] not in ("DE", "BE")] == missing
    assert bulk_rows(small_server) == whole


def test_changed_columns_in_a_bulk_file(small_server: str) -> None:
    whole = bulk_rows(small_server)
    more = bulk_rows(small_server, "new_column")
    assert [{name: text for name, text in row.items() if name != "NEW_COLUMN"} for row in more] == whole
    fewer = bulk_rows(small_server, "missing_column", column="VALUE_NAC")
    assert list(fewer[0]) == [name for name in whole[0] if name != "VALUE_NAC"]


def test_changed_columns_and_bom_in_a_zip(base: str) -> None:
    def members(kind: str = "") -> dict[str, bytes]:
        if kind:
            switch_on(base, kind, match=re.escape(PRICES_ZIP), times=1)
        body = requests.get(base + PRICES_ZIP, timeout=60).content
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    whole = members()
    more = members("new_column")
    header = more["Observations.csv"].split(b"\r\n", 1)[0]
    assert header.endswith(b";NEW_COLUMN;ValueAttribute")
    assert header.startswith(whole["Observations.csv"][:10])
    assert {name for name in whole if whole[name] != more[name]} == {"Observations.csv"}
    # The members already have a BOM and CRLF, so they are unchanged and the fault stays pending.
    assert members("bom") == whole


# -- asynchronous and releases ----------------------------------------------------------------------------


def test_job_that_never_ends(base: str) -> None:
    switch_on(base, "async_never", times=1)
    envelope = ET.fromstring(ask(base).content)
    identity = next(element.text for element in envelope.iter() if element.tag.rpartition("}")[2] == "id")
    host = base + "/eurostat/api/comext/dissemination/1.0/async"
    for _ in range(5):
        status = requests.get(f"{host}/status/{identity}", timeout=10).text
        assert "PROCESSING" in status
    assert requests.get(f"{host}/data/{identity}", timeout=10).status_code == 400
    assert ask(base).text.startswith("DATAFLOW,")


def test_statistics_job_never_ends(base: str) -> None:
    switch_on(base, "async_never", match="/statistics/")
    url = f"{base}/eurostat/api/comext/dissemination/statistics/1.0/data/DS-045409"
    options = {"freq": "M", "reporter": "NL", "partner": "US", "product": "72", "flow": "2", "lastTimePeriod": "1"}
    for _ in range(4):
        assert requests.get(url, params=options, timeout=30).json()["warning"]["status"] == 413


def test_release_during_a_run(base: str) -> None:
    switch_on(base, "release_mid_run", times=1, after=1)
    stamps = [read(ask(base))[0]["LAST UPDATE"] for _ in range(3)]
    assert stamps == ["15/10/26 11:00:00", "15/11/26 11:00:00", "15/11/26 11:00:00"]

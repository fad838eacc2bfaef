"""Hostile replies, and the smallest ones that once raised an error of the interpreter.

Each raises a domain error that names dataset, URL and next step. Random mutations: `test_fuzz_parsers`.
"""

from __future__ import annotations

import gzip
import json
import stat
import struct
import sys
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import py7zr
import pytest

from extract import limits
from extract.errors import BadReplyError, ExtractError, TransientOfficeError
from extract.http import OfficeSession
from extract.offices.cbs.replies import inspect_zip
from extract.offices.comext.bulk import inspect_seven_zip
from extract.raw import RawStore
from extract.replay import open_replay
from extract.replies import UnreadableError, is_nested_deeply, read_json, read_xml
from extract.streams import ArchiveContentError, ArchiveError, opened_zip, piped, seven_zip_member, write_seven_zip
from extract.verdicts import is_whole_gzip
from tests.contract import test_comext_lists as lists
from tests.contract import test_formats as formats
from tests.contract.loading import CountingAdapter, Loader, Reply, as_json, seven_zip
from tests.contract.offices_of_ours import (
    BULK,
    BULK_PART,
    BULK_ROWS,
    CBS,
    CBS_COUNT,
    CBS_HOSTS,
    CBS_OBSERVATIONS,
    CBS_PART,
    CBS_TABLE,
    CBS_ZIP,
    COMEXT,
    CONSTRAINT,
    LISTING,
    SDMX,
    SDMX_PART,
    Answers,
    bulk_body,
    bulk_office,
    cbs_csv,
    cbs_office,
    cbs_row,
    cbs_zip_office,
    sdmx_body,
    sdmx_line,
    sdmx_office,
    sdmx_urls,
    zipped,
)

ROWS = [cbs_row(number) for number in range(4)]
DEEP = b"[" * 200_000 + b"]" * 200_000
BODY = sdmx_body(sdmx_line("US"), sdmx_line("DE"))


def refused(loader: Loader, answers: Answers, part: Any, words: str, url: str = "") -> ExtractError:
    """Load, and return the domain error; `url` is where it occurred."""
    with pytest.raises(ExtractError) as caught:
        loader.load(CountingAdapter(answers), part)
    error = caught.value
    assert words in error.problem, error.problem
    assert error.dataset == loader.dataset.code
    assert "://" in error.where
    assert url in error.where
    assert error.next_step
    assert not isinstance(error.__cause__, LookupError | TypeError | AttributeError)
    assert list(loader.landing.committed()) == []
    return error


# --- CBS ----------------------------------------------------------------------------------------------------------

PROPERTIES, DIMENSIONS, MEASURES = (f"{CBS_TABLE}/{name}" for name in ("Properties", "Dimensions", "MeasureCodes"))
CODES = f"{CBS_TABLE}/LandenCodes"
PAGE = as_json(value=ROWS)


def title(text: str) -> bytes:
    return b'{"value": [{"Identifier": "L008778", "Title": "%s"}]}' % text.encode()


CBS_REPLIES: dict[str, tuple[str, bytes, str]] = {
    "version of year 1": (PROPERTIES, as_json(Version="000101010000"), "Properties.Version is '000101010000'"),
    "member twice": (
        PROPERTIES,
        b'{"Version": "202607020630", "Version": "202507020630"}',
        "a member twice: 'Version'",
    ),
    "no UTF-8": (PROPERTIES, b'{"Version": "202607020630", "Title": "\xe9"}', "not UTF-8"),
    "no number of JSON": (PROPERTIES, b'{"Version": "202607020630", "Size": NaN}', "NaN is not a JSON number"),
    "huge integer": (PROPERTIES, b'{"Version": "202607020630", "Size": ' + b"9" * 5000 + b"}", "cannot be read"),
    "value is null": (DIMENSIONS, b'{"value": null}', "'value' is NoneType, not list"),
    "value is an object": (DIMENSIONS, b'{"value": {}}', "'value' is dict, not list"),
    "no value": (DIMENSIONS, b'{"values": []}', "it lacks 'value'"),
    "row is a number": (DIMENSIONS, b'{"value": [1]}', "a row is int, not dict"),
    "row without its key": (DIMENSIONS, b'{"value": [{"Key": "x"}]}', "it lacks 'Identifier'"),
    "key is a list": (MEASURES, b'{"value": [{"Identifier": ["x"]}]}', "'Identifier' is list, not str"),
    "nested metadata": (CODES, b'{"value": ' + DEEP + b"}", "nested more than"),
    "half a character": (CODES, title("\\ud800"), "a lone surrogate"),
    "null character": (CODES, title("a\\u0000b"), "null character"),
    "count of many digits": (CBS_COUNT, b"4" * 64 + b"x", "not a count"),
    "rows are numbers": (CBS_OBSERVATIONS, b'{"value": [1, 2, 3, 4]}', "Expected OBJECT"),
    "row with a member twice": (CBS_OBSERVATIONS, PAGE.replace(b'"Id": 1', b'"Id": 1, "Id": 1'), "duplicate key"),
    "rows twice": (CBS_OBSERVATIONS, PAGE.replace(b"]}", b'], "value": []}'), "Malformed JSON"),
    # DuckDB crashes on it.
    "nested row": (CBS_OBSERVATIONS, PAGE.replace(b'"Value": 5', b'"Value": ' + DEEP, 1), "nested deeply"),
}


@pytest.mark.parametrize(("url", "body", "words"), CBS_REPLIES.values(), ids=list(CBS_REPLIES))
def test_cbs_reply(tmp_path: Path, url: str, body: bytes, words: str) -> None:
    refused(Loader(CBS, tmp_path), {**cbs_office(ROWS), url: [body]}, CBS_PART, words, CBS_TABLE)


@pytest.mark.parametrize("value", [[], {}], ids=["list", "object"])
@pytest.mark.parametrize("field", ["Landen", "ValueAttribute"])
def test_cbs_list_instead_of_text_rejects_the_row(tmp_path: Path, field: str, value: Any) -> None:
    loader = Loader(CBS, tmp_path)
    manifest = loader.load(CountingAdapter(cbs_office([*ROWS, cbs_row(4, **{field: value})])), CBS_PART)
    assert loader.rules(manifest) == {"malformed_line": 1}


def test_cbs_invalid_count_in_the_properties_is_refused(tmp_path: Path) -> None:
    answers = cbs_zip_office({"Observations.csv": cbs_csv(ROWS)}, 4)
    answers[PROPERTIES] = [as_json(Version="202607020630", ObservationCount=[4])]
    refused(Loader(CBS_ZIP, tmp_path), answers, CBS_PART, "ObservationCount is list, not int", PROPERTIES)


@pytest.mark.parametrize("topic", [{"Key": "x"}, {"Key": "x", "ID": [4]}, {"Key": ["x"], "ID": 4}])
def test_cbs_malformed_v3_topic_is_refused(tmp_path: Path, topic: dict[str, Any]) -> None:
    sets = formats.V3_SETS | {"DataProperties": formats.V3_SETS["DataProperties"]}
    answers = formats.v3_office(formats.SITC3, formats.V3_PART, sets)
    url = next(url for url in answers if "DataProperties" in url)
    answers[url] = [as_json(value=[*formats.V3_SETS["DataProperties"], topic])]
    refused(Loader(formats.SITC3, tmp_path), answers, formats.V3_PART, "", "7137shih")


def test_cbs_v3_column_name_is_not_executed_as_sql(tmp_path: Path) -> None:
    name = "x\", (select content from read_text('/etc/hostname')) as \"y"
    topics = [dict(row) for row in formats.V3_SETS["DataProperties"]]
    topics[2]["Key"] = name
    rows = [
        {name if key == "Uitvoerwaarde_2" else key: value for key, value in row.items()}
        for row in formats.V3_SETS["data"]
    ]
    answers = formats.v3_office(
        formats.SITC3, formats.V3_PART, formats.V3_SETS | {"DataProperties": topics, "data": rows}
    )
    loader = Loader(formats.SITC3, tmp_path)
    assert loader.load(CountingAdapter(answers), formats.V3_PART).rows_loaded == 4


# --- Eurostat -----------------------------------------------------------------------------------------------------

JSON: dict[str, Any] = json.loads(formats.JSON_BODY)


def dimension(name: str, index: Any) -> dict[str, Any]:
    return {"dimension": JSON["dimension"] | {name: {"category": {"index": index}}}}


JSON_STAT: dict[str, tuple[Any, str]] = {
    "a list": ([], "not data"),
    "size is text": (JSON | {"size": "2"}, "'size' is str, not list"),
    "size of texts": (JSON | {"size": ["2"] * 7}, "a 'size' is str, not int"),
    "fewer sizes": (JSON | {"size": [2]}, "have the sizes [2]"),
    "name twice": (JSON | {"id": ["freq"] * 7}, "have the sizes"),
    "another size": (JSON | {"size": [2, 1, 1, 1, 1, 1, 3]}, "'time' of size 3 has the codes"),
    "no dimension": (JSON | {"dimension": {}}, "it lacks 'freq'"),
    "no category": (JSON | {"dimension": JSON["dimension"] | {"time": {}}}, "it lacks 'category'"),
    "no index": (JSON | dimension("time", None), "'index' is NoneType, not list"),
    "codes at one place": (JSON | dimension("time", {"2024-01": 0, "2024-02": 0}), "'time' of size 2 has the codes"),
    "code of no place": (JSON | dimension("time", {"2024-01": 1, "2024-02": 2}), "'time' of size 2 has the codes"),
    "place is text": (JSON | dimension("time", {"2024-01": "0", "2024-02": 1}), "an index is str, not int"),
    "codes are numbers": (JSON | dimension("time", [202401, 202402]), "'time' of size 2 has the codes"),
    "fewer values than cells": (JSON | {"value": [None, None, 5]}, "'value' does not fit into 4 cells"),
    "more values than cells": (JSON | {"value": [None, None, 5, 7, 9]}, "'value' does not fit into 4 cells"),
    "value outside": (JSON | {"value": {"4": 5}}, "'value' does not fit into 4 cells"),
    "value of no place": (JSON | {"value": {"x": 5}}, "'value' does not fit into 4 cells"),
    "place twice": (JSON | {"value": {"2": 5, "02": 6}}, "'value' does not fit into 4 cells"),
    "value is text": (JSON | {"value": "57"}, "'value' is str, not dict"),
    "flag is a list": (JSON | {"status": {"2": ["p"]}}, "a flag is list, not str"),
    "stamp without an offset": (JSON | {"updated": "2026-09-15T11:00:00"}, "LAST UPDATE is '2026-09-15T11:00:00'"),
    "stamp of year 1": (JSON | {"updated": "0001-01-01T00:00:00+0100"}, "LAST UPDATE is '0001"),
}


@pytest.mark.parametrize(("content", "words"), JSON_STAT.values(), ids=list(JSON_STAT))
def test_json_stat_reply(tmp_path: Path, content: Any, words: str) -> None:
    answers = formats.json_office(json.dumps(content).encode())
    refused(Loader(formats.IMPORTS, tmp_path), answers, formats.EU_PART, words, COMEXT)


def test_tsv_key_with_wrong_number_of_parts_rejects_the_row(tmp_path: Path) -> None:
    loader = Loader(formats.IMPORTS, tmp_path)
    body = formats.TSV_BODY.replace(b"M,DE,", b"M,XX,DE,", 1)
    assert body != formats.TSV_BODY
    manifest = loader.load(CountingAdapter(formats.tsv_office(body)), formats.TSV_PART)
    assert set(loader.rules(manifest)) == {"missing_key"}
    assert manifest.rows_loaded < 5


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "e" * 10}">' for n in range(9))
XML: dict[str, tuple[bytes, str]] = {
    "entities that expand": (f"<!DOCTYPE a [{ENTITIES}]><Structure>&e8;</Structure>".encode(), "a document type"),
    "entity of a file": (
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><Structure>&e;</Structure>',
        "a document type",
    ),
    "entity in another encoding": ('<!DOCTYPE a [<!ENTITY e "e">]><Structure>&e;</Structure>'.encode("utf-16"), "XML"),
    "encoding of several bytes": (
        b'<?xml version="1.0" encoding="utf-7"?><Structure/>',
        "an encoding that is not known",
    ),
    "encoding of nobody": (b'<?xml version="1.0" encoding="none"?><Structure/>', "an encoding that is not known"),
    "cut": (b"<Structure>", "cut off or broken"),
}


@pytest.mark.parametrize("url", [LISTING, CONSTRAINT], ids=["listing", "constraint"])
@pytest.mark.parametrize(("body", "words"), XML.values(), ids=list(XML))
def test_xml_reply(tmp_path: Path, url: str, body: bytes, words: str) -> None:
    refused(Loader(SDMX, tmp_path), {**sdmx_office(BODY), url: [body]}, SDMX_PART, words, url)


def test_deeply_nested_xml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.xml"
    path.write_bytes(b"<a>" * 200_000 + b"</a>" * 200_000)
    assert read_xml(path).tag == "a"


def test_unreadable_constraint_is_requested_again(tmp_path: Path) -> None:
    loader = Loader(SDMX, tmp_path)
    refused(loader, {**sdmx_office(BODY), CONSTRAINT: [b"<Structure/>"]}, SDMX_PART, "lists no codes", CONSTRAINT)
    assert loader.load(CountingAdapter(sdmx_office(BODY)), SDMX_PART).rows_loaded == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CN.txt", "not ISO 8601"),
        ("CN.txt,FILE", "there is no file CN.txt"),
        ("CN.txt,FILE," + "9" * 5000 + ",2026-01-12T11:00:00", "as size of CN.txt, not bytes"),
        ("CN.txt,FILE,9,0001-01-01T00:00:00", "not ISO 8601"),
    ],
    ids=["name only", "no size", "huge size", "year 1"],
)
def test_listing_with_a_malformed_line_is_a_bad_reply(tmp_path: Path, line: str, words: str) -> None:
    name = lists.TITLES.identifier.rpartition("/")[2]
    index, file = lists.urls(lists.TITLES)
    body = f"NAME,TYPE,SIZE,LAST_MODIFIED\n{line}\n".replace("CN.txt", name).encode()
    answers: Answers = {index: [body], file: [lists.good(lists.TITLES)]}
    words = words.replace("CN.txt", name) if name in line.replace("CN.txt", name) else words
    loader = Loader(lists.TITLES, tmp_path)
    with pytest.raises(BadReplyError) as caught:
        loader.load(CountingAdapter(answers), lists.whole(lists.TITLES))
    assert caught.value.next_step


def test_listing_with_extra_fields_is_read(tmp_path: Path) -> None:
    index, file = lists.urls(lists.TITLES)
    body = lists.good(lists.TITLES)
    listed = lists.listing(lists.TITLES, len(body)).replace(b"OLDER,DIR,,\n", b"OLDER,DIR,,,more,and more\n")
    manifest = Loader(lists.TITLES, tmp_path).load(
        CountingAdapter({index: [listed], file: [body]}), lists.whole(lists.TITLES)
    )
    assert manifest.rows_loaded == 3


def footer(target: str) -> bytes:
    return f'<m:GenericData xmlns:m="m" xmlns:f="f"><f:Footer><t>{target}</t></f:Footer></m:GenericData>'.encode()


@pytest.mark.parametrize("target", ["https://elsewhere.example/x", "http://ec.europa.eu.elsewhere.example/x"])
def test_footer_with_a_foreign_url_is_not_followed(tmp_path: Path, target: str) -> None:
    adapter = CountingAdapter(sdmx_office(footer(target)))
    with pytest.raises(
        BadReplyError, match=r"ec\.europa\.eu leads to .*elsewhere.example/x, which is not at the office"
    ):
        Loader(SDMX, tmp_path).load(adapter, SDMX_PART)
    assert not any("elsewhere" in url for url in adapter.urls)


@pytest.mark.parametrize("members", [{}, {"a.csv": BODY, "b.csv": BODY}], ids=["none", "two"])
def test_footer_zip_with_wrong_number_of_members_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    place = f"{COMEXT}/file"
    answers: Answers = {**sdmx_office(footer(place)), place: [zipped(members)]}
    refused(Loader(SDMX, tmp_path), answers, SDMX_PART, "not one member", place)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff" + bulk_body(*BULK_ROWS), "codec can't decode"), (b"A," * (1 << 16), "the first line is longer")],
    ids=["no UTF-8", "no end"],
)
def test_bulk_file_with_unreadable_header_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    office = bulk_office(tmp_path, content)
    refused(Loader(BULK, tmp_path), office.answers, BULK_PART, words, office.file)


# --- archives -----------------------------------------------------------------------------------------------------


def special_zip(
    path: Path, name: str, content: bytes = b"x", *, mode: int = 0, flags: int = 0, method: int = 0
) -> Path:
    """Write a zip with one irregular member."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, content)
    body = bytearray(path.read_bytes())
    directory = body.index(b"PK\x01\x02")
    body[6] |= flags
    body[directory + 8] |= flags
    body[8] = body[directory + 10] = method
    path.write_bytes(body)
    return path


SPECIAL: dict[str, tuple[dict[str, Any], str]] = {
    "link": ({"mode": stat.S_IFLNK | 0o777, "content": b"/etc/hostname"}, "is a link"),
    "encrypted": ({"flags": 1}, "password required"),
    "packed in an unknown way": ({"method": 97}, "compression"),
}


@pytest.mark.parametrize(("options", "words"), SPECIAL.values(), ids=list(SPECIAL))
def test_unusable_zip_member_is_not_retryable(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    verdict = inspect_zip(special_zip(tmp_path / "a.zip", "Observations.csv", **options), "")
    assert verdict is not None
    assert words in verdict.reason
    assert not verdict.retryable


@pytest.mark.parametrize("name", ["../../Observations.csv", "/tmp/Observations.csv", "..\\Observations.csv"])
def test_zip_member_name_does_not_escape_the_folder(tmp_path: Path, name: str) -> None:
    answers = cbs_zip_office({name: cbs_csv(ROWS)}, 4)
    before = set(tmp_path.parent.rglob("Observations*"))
    loader = Loader(CBS_ZIP, tmp_path / "state")
    if "\\" in name:
        answers[CBS_OBSERVATIONS], answers[CBS_COUNT] = [PAGE], [b"4"]
        refused(loader, answers, CBS_PART, "the zip holds no Observations")
    else:
        assert loader.load(CountingAdapter(answers), CBS_PART).rows_loaded == 4
    assert set(tmp_path.parent.rglob("Observations*")) == before
    assert not Path("/tmp/Observations.csv").exists()


def test_zip_directory_offset_before_the_file_is_retryable(tmp_path: Path) -> None:
    whole = zipped({"Observations.csv": cbs_csv(ROWS)})
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04" + whole[200:])
    verdict = inspect_zip(path, "")
    assert verdict is not None
    assert verdict.retryable


def test_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXPANSION_FREE_BYTES", 1000)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"Observations.csv": b"0" * 1_000_000}))
    with pytest.raises(ArchiveContentError, match="more than 200 times as many"), opened_zip(path):
        pass


def test_zip_with_too_many_members_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({f"Observations{number}.csv": b"" for number in range(limits.MOST_MEMBERS + 1)}))
    verdict = inspect_zip(path, "")
    assert verdict is not None
    assert "it has 1,001 members" in verdict.reason


def test_seven_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = seven_zip(tmp_path / "a.7z", {"full.dat": b"0" * 1_000_000})
    monkeypatch.setattr(limits, "EXPANSION_FREE_BYTES", 1000)
    verdict = inspect_seven_zip(path, "")
    assert verdict is not None
    assert "more than 200 times as many" in verdict.reason
    assert not verdict.retryable


def test_seven_zip_larger_than_declared_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = seven_zip(tmp_path / "a.7z", {"full.dat": b"0" * 1_000_000})
    # Simulate a directory that understates the size.
    monkeypatch.setattr("extract.streams.seven_zip_member", lambda _: "full.dat")
    monkeypatch.setattr(limits, "EXPANSION_FREE_BYTES", 1000)
    with pytest.raises(ArchiveError, match="more than 200 times"), piped(lambda o: write_seven_zip(path, o)) as (pipe,):
        assert len(pipe.read_bytes()) < 1_000_000


def renamed_seven_zip(path: Path, name: str, content: bytes) -> Path:
    """Write a 7z archive with a name that the library would refuse to write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = "m" * len(name)
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(content, plain)
    body = bytearray(path.read_bytes().replace(plain.encode("utf-16-le"), name.encode("utf-16-le")))
    offset, size = struct.unpack_from("<QQ", body, 12)
    struct.pack_into("<L", body, 28, zlib.crc32(body[32 + offset : 32 + offset + size]))
    struct.pack_into("<L", body, 8, zlib.crc32(body[12:32]))
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("name", ["../../full.dat", "/tmp/full_of_harm.dat", "..\\..\\full.dat"])
def test_seven_zip_member_name_does_not_escape_the_folder(tmp_path: Path, name: str) -> None:
    path = renamed_seven_zip(tmp_path / "a" / "b" / "c.7z", name, bulk_body(*BULK_ROWS))
    assert seven_zip_member(path)
    before = set(tmp_path.rglob("*"))
    # The library refuses some of the names.
    with suppress(ArchiveError), piped(lambda output: write_seven_zip(path, output)) as (pipe,):
        assert pipe.read_bytes() in (b"", bulk_body(*BULK_ROWS))
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/tmp/full_of_harm.dat").exists()


def test_link_in_a_seven_zip_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.dat").symlink_to("/etc/hostname")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "link.dat", "full.dat")
    with pytest.raises(ArchiveContentError, match="is a link, not a file"):
        seven_zip_member(tmp_path / "a.7z")


def test_gzip_bomb_file_is_a_bad_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXPANSION_FREE_BYTES", 1000)
    body = gzip.compress(BODY + b"\n" * 1_000_000)
    refused(Loader(SDMX, tmp_path), sdmx_office(body), SDMX_PART, "more than 200 times as many", sdmx_urls()[0])
    path = tmp_path / "a.gz"
    path.write_bytes(body)
    with pytest.raises(UnreadableError):
        is_whole_gzip(path)


# --- limits of reading --------------------------------------------------------------------------------------------


def test_nesting_check_ignores_many_rows_and_brackets_in_text() -> None:
    assert not is_nested_deeply(as_json(value=[{"a": [1, {"b": 2}]}] * 100_000))
    assert not is_nested_deeply(as_json(value=["]{[ (a] [b"] * 20))
    assert is_nested_deeply(b"[" * 300)
    assert is_nested_deeply(b'{"a": [' * 150)
    assert not is_nested_deeply(b"[" * limits.MOST_LEVELS + b"]" * limits.MOST_LEVELS)
    # Far below Python's recursion limit.
    assert sys.getrecursionlimit() >= 10 * limits.MOST_LEVELS


def test_reply_too_large_for_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.replies.MOST_TEXT_BYTES", 1000)
    path = tmp_path / "large.json"
    path.write_bytes(b'{"a": "' + b"a" * 1000 + b'"}')
    for read in (read_json, read_xml):
        with pytest.raises(UnreadableError, match="bytes are more than the 1,000 of a reply of this kind"):
            read(path)


# --- HTTP ---------------------------------------------------------------------------------------------------------

URL = f"{CBS_TABLE}/Properties"
GOOD = as_json(Version="202607020630")


def get(folder: Path, answers: Answers, url: str = URL, **options: Any) -> Any:
    session = OfficeSession("d", RawStore(folder), "live", CountingAdapter(answers), sleep=lambda _: None, **options)
    try:
        return session.get(url, purpose="properties", inspect=lambda path, kind: None)
    finally:
        assert session.records, "every attempt must be recorded"


def moved(target: str, status: int = 302) -> list[Any]:
    return [Reply(b"", status, {"Location": target})]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("https://elsewhere.example/x", "https://elsewhere.example/x, which is not at the office"),
        ("//elsewhere.example/x", "https://elsewhere.example/x, which is not at the office"),
        ("https://datasets.cbs.nl:8443/x", "datasets.cbs.nl:8443/x, which is not at the office"),
        ("https://datasets.cbs.nl@elsewhere.example/", "elsewhere.example/, which is not at the office"),
        ("http://datasets.cbs.nl/x", "http://datasets.cbs.nl/x, which is not encrypted"),
        ("http://127.0.0.1/x", "http://127.0.0.1/x, which is not at the office"),
        ("file:///etc/hostname", "file:///etc/hostname, which is not at the office"),
        ("https://[::1", "https://[::1, which is not at the office"),
        ("https://datasets.cbs.nl:port/", "datasets.cbs.nl:port/, which is not at the office"),
    ],
)
def test_foreign_redirect_is_refused_and_names_both_hosts(tmp_path: Path, target: str, words: str, status: int) -> None:
    with pytest.raises(BadReplyError) as caught:
        get(tmp_path, {URL: moved(target, status)})
    assert caught.value.problem.startswith("datasets.cbs.nl leads to ")
    assert words in caught.value.problem
    assert (caught.value.where, bool(caught.value.next_step)) == (URL, True)


def test_undecodable_redirect_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractError):
        get(tmp_path, {URL: moved("https://elsewhere.example/\xe9\xff")})


@pytest.mark.parametrize("target", ["/moved", f"{CBS_HOSTS['v4']}/moved", f"{CBS_HOSTS['v3']}/moved"])
def test_redirect_within_the_office_is_followed(tmp_path: Path, target: str) -> None:
    place = "https://datasets.cbs.nl/moved" if target == "/moved" else target
    reply = get(tmp_path, {URL: moved(target), place: [GOOD]}, hosts=CBS_HOSTS.values())
    assert reply.path.read_bytes() == GOOD
    assert reply.record.url == URL


def test_body_of_a_redirect_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def content(_: object) -> bytes:
        raise AssertionError("the body may be endless")

    monkeypatch.setattr("requests.Response.content", property(content))
    answers: Answers = {URL: [Reply(b"0" * 1000, 302, {"Location": "/moved"})], "https://datasets.cbs.nl/moved": [GOOD]}
    assert get(tmp_path, answers).path.read_bytes() == GOOD


def test_redirect_loop_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TransientOfficeError, match="more than 5 redirects"):
        get(tmp_path, {URL: moved(URL)})


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_endless_body_is_cut_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, packed: bool) -> None:
    monkeypatch.setattr("extract.bodies.MOST_BODY_BYTES", 1_000_000)
    body = b"0" * 2_000_000
    reply = Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if packed else Reply(body)
    with pytest.raises(BadReplyError, match="more than 1,000,000 bytes") as caught:
        get(tmp_path, {URL: [reply]})
    assert caught.value.where == URL
    assert not list(RawStore(tmp_path).hashes())
    assert not list((tmp_path / "incoming").iterdir())


def test_compressed_body_bomb_is_a_bad_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXPANSION_FREE_BYTES", 1000)
    reply = Reply(gzip.compress(b"0" * 1_000_000), headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadReplyError, match="more than 200 times as many"):
        get(tmp_path, {URL: [reply]})


def test_gzip_body_of_any_length_is_read_completely(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_001):
        body = b"{" + b"0" * size
        packed = gzip.compress(body) + gzip.compress(b"}")
        reply = get(tmp_path, {URL: [Reply(packed, headers={"Content-Encoding": "gzip"})]})
        assert reply.path.read_bytes() == body + b"}"


def test_invalid_retry_after_is_ignored(tmp_path: Path) -> None:
    answers: Answers = {
        URL: [Reply(b"busy", 503, {"Retry-After": "\xb2"}), Reply(b"busy", 503, {"Retry-After": "x"}), GOOD]
    }
    assert get(tmp_path, answers).path.read_bytes() == GOOD


def linked(target: str) -> bytes:
    return as_json(**{"value": ROWS, "@odata.nextLink": target})


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/x", "http://169.254.169.254/latest", "file:///etc/hostname"]
)
def test_foreign_next_page_is_not_requested(tmp_path: Path, target: str) -> None:
    answers: Answers = {**cbs_office(ROWS), CBS_OBSERVATIONS: [linked(target)]}
    refused(Loader(CBS, tmp_path), answers, CBS_PART, f"datasets.cbs.nl leads to {target}, which is not at the office")


def test_plain_http_next_page_is_requested_over_https(tmp_path: Path) -> None:
    following = f"{CBS_OBSERVATIONS}&$skip=4"
    answers: Answers = {
        **cbs_office(ROWS),
        CBS_OBSERVATIONS: [linked(following.replace("https:", "http:"))],
        following: [as_json(value=[cbs_row(4)])],
        CBS_COUNT: [b"5"],
    }
    assert Loader(CBS, tmp_path).load(CountingAdapter(answers), CBS_PART).rows_loaded == 5


# --- recordings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../secret.json", "/etc/hostname", "sub/page.json"])
def test_recording_cannot_name_files_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.json").write_bytes(b"{}")
    home = tmp_path / "recording"
    home.mkdir()
    files = {"properties": name, "dimensions": "d", "measure-codes": "m", **{f"codes-{d}": d for d in CBS.dimensions}}
    index = {
        "tableId": CBS.identifier,
        "source": CBS_TABLE,
        "capturedAt": "2026-07-17T16:27:09Z",
        "files": files,
        "observationPages": ["page.json"],
        "observationRows": 0,
    }
    (home / "index.json").write_text(json.dumps(index), encoding="utf-8")
    replay = open_replay(tmp_path, CBS, ("NL",))
    assert replay.slices == ()
    assert "not in its own folder" in replay.left_out[0][1]


def test_deeply_nested_recording_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes(DEEP)
    assert "nested" in open_replay(tmp_path, CBS, ("NL",)).left_out[0][1]

"""Comext's bulk archives and the main host's listings: known layouts, and rows that agree with the API."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import duckdb
import py7zr
import pytest
import requests

from simulator.eurostat.bulk import OLD_COLUMNS, V2_COLUMNS
from simulator.server import run_simulator
from tests.states import SPARSE

MAIN = "/eurostat/api/dissemination"
COMEXT = "/eurostat/api/comext/dissemination"
PRODUCTS = "comext/COMEXT_DATA/PRODUCTS"
HISTORY = "comext/COMEXT_HISTORICAL_DATA/PRODUCTS_1988_2001"
CODES = "comext/COMEXT_METADATA/CLASSIFICATIONS_AND_RELATIONS"

# The header of full_202512.dat, as reported by a user on 2026-07-18.
V2_HEADER = (
    "REPORTER,PARTNER,TRADE_TYPE,PRODUCT_NC,PRODUCT_SITC,PRODUCT_CPA21,PRODUCT_CPA22,PRODUCT_BEC,PRODUCT_BEC5,"
    "PRODUCT_SECTION,FLOW,STAT_PROCEDURE,SUPPL_UNIT,PERIOD,VALUE_EUR,VALUE_NAC,QUANTITY_KG,QUANTITY_SUPPL_UNIT"
)

pytestmark = pytest.mark.enable_socket

Ask = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with run_simulator(parameters=SPARSE) as base_url:
        yield base_url


@pytest.fixture
def base(server: str) -> Iterator[str]:
    yield server
    requests.delete(f"{server}/_simulator/faults", timeout=10)
    requests.post(f"{server}/_simulator/release", json={"number": 12}, timeout=10)


def get(base: str, path: str, **options: str) -> requests.Response:
    return requests.get(f"{base}{MAIN}{path}", params=options, timeout=120)


def listing(base: str, folder: str, **options: str) -> list[dict[str, str]]:
    reply = get(
        base,
        "/files",
        format="csv",
        dir=folder,
        sizeFormat="NONE",
        dateFormat="ISO",
        **{"hierarchy": "false", **options},
    )
    assert reply.status_code == 200
    return list(csv.DictReader(io.StringIO(reply.text, newline="")))


@pytest.fixture(scope="module")
def unpack(server: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Download an archive and unpack its only member."""
    folder = tmp_path_factory.mktemp("bulk")

    def unpack(path: str) -> Path:
        target = folder / path.rpartition("/")[2]
        if not target.exists():
            body = requests.get(f"{server}{MAIN}/files", params={"file": path}, timeout=200).content
            with py7zr.SevenZipFile(io.BytesIO(body)) as archive:
                archive.extractall(target)
        (member,) = target.iterdir()
        return member

    return unpack


@pytest.fixture(scope="module")
def ask() -> Ask:
    connection = duckdb.connect()

    def ask(query: str, file: Path) -> list[tuple[Any, ...]]:
        return connection.execute(query.replace("$file", f"read_csv('{file}', all_varchar = true)")).fetchall()

    return ask


def api(server: str, key: str, **options: str) -> dict[tuple[str, ...], float]:
    """Return cells of DS-045409 by reporter, partner, product, flow and indicator."""
    reply = requests.get(
        f"{server}{COMEXT}/sdmx/2.1/data/DS-045409/{key}", params={"format": "SDMX-CSV", **options}, timeout=120
    )
    names = ("reporter", "partner", "product", "flow", "indicators")
    return {
        tuple(row[name] for name in names): float(row["OBS_VALUE"])
        for row in csv.DictReader(io.StringIO(reply.text, newline=""))
    }


# -- listings ---------------------------------------------------------------------------------------------


def test_csv_listing_names_every_archive(base: str) -> None:
    rows = listing(base, PRODUCTS)
    assert list(rows[0])[:3] == ["NAME", "TYPE", "SIZE"]
    names = [row["NAME"] for row in rows]
    assert len([name for name in names if re.fullmatch(r"full_v2_\d{4}(0[1-9]|1[0-2])\.7z", name)]) == 68
    # The annual file matches the same pattern: a reader that takes all files counts everything twice.
    assert {name for name in names if name.endswith("52.7z")} == {f"full_v2_{year}52.7z" for year in range(2021, 2026)}
    assert all(int(row["SIZE"]) > 0 and row["TYPE"] == "FILE" for row in rows)
    assert all(re.fullmatch(r"\d{4}-\d\d-15T11:00:00\+0[12]:00", row["LAST_MODIFIED"]) for row in rows)


def test_listing_descends_the_tree(base: str) -> None:
    assert [(row["NAME"], row["TYPE"]) for row in listing(base, "comext")] == [
        ("COMEXT_DATA", "DIR"), ("COMEXT_HISTORICAL_DATA", "DIR"), ("COMEXT_METADATA", "DIR"),
    ]  # fmt: skip
    deep = {row["NAME"] for row in listing(base, "comext", hierarchy="true")}
    assert "COMEXT_DATA/PRODUCTS/full_v2_202512.7z" in deep
    assert f"{HISTORY.removeprefix('comext/')}/full200101.7z" in deep
    assert get(base, "/files", format="csv", dir="comext/NO_SUCH").status_code == 404


def test_html_listing_is_a_table_of_links(base: str) -> None:
    page = get(base, "/files/", sort="1", dir=PRODUCTS).text
    table = page.partition('<table id="filetable">')[2]
    links = re.findall(r'href="([^"]+)"', table)
    assert f"{MAIN}/files?file=comext%2FCOMEXT_DATA%2FPRODUCTS%2Ffull_v2_202512.7z" in links
    assert len(links) == len(listing(base, PRODUCTS))
    top = re.findall(r'href="([^"]+)"', get(base, "/files/", dir="comext").text)
    assert top[0] == f"{MAIN}/files?dir=comext%2FCOMEXT_DATA"
    assert "full_v2_" not in get(base, "/files/", dir="comext").text


@pytest.mark.parametrize("parameter", ["file", "downfile"])
def test_file_request_redirects_to_the_file(base: str, parameter: str) -> None:
    path = f"{CODES}/CLASSIFICATIONS/ENGLISH/PARTNERS_ISO.txt"
    first = requests.get(f"{base}{MAIN}/files", params={parameter: path}, timeout=30, allow_redirects=False)
    assert first.status_code == 302
    assert first.content == b""
    body = requests.get(first.headers["Location"], timeout=30)
    assert body.status_code == 200
    assert "US\t" in body.text
    assert get(base, "/files", **{parameter: "comext/no_such.7z"}).status_code == 404


def test_release_changes_only_revised_files(base: str) -> None:
    before = {row["NAME"]: (row["SIZE"], row["LAST_MODIFIED"]) for row in listing(base, PRODUCTS)}
    requests.post(f"{base}/_simulator/release", json={"number": 13}, timeout=10)
    after = {row["NAME"]: (row["SIZE"], row["LAST_MODIFIED"]) for row in listing(base, PRODUCTS)}
    assert set(after) - set(before) == {"full_v2_202609.7z"}
    changed = {name for name in before if before[name] != after[name]}
    # A month is revised for a year, and the annual file as long as its December.
    months = {f"full_v2_2025{month:02}.7z" for month in range(9, 13)} | {
        f"full_v2_2026{month:02}.7z" for month in range(1, 9)
    }
    assert changed == {*months, "full_v2_202552.7z"}


# -- archives ---------------------------------------------------------------------------------------------


def test_member_name_and_header(unpack: Callable[[str], Path]) -> None:
    member = unpack(f"{PRODUCTS}/full_v2_202507.7z")
    # The member name has no v2.
    assert member.name == "full_202507.dat"
    assert ",".join(V2_COLUMNS) == V2_HEADER
    with member.open(encoding="utf-8", newline="") as file:
        assert file.readline() == V2_HEADER + "\n"


def test_columns_and_codes_match_the_dictionary(unpack: Callable[[str], Path], ask: Ask, shared_data: Path) -> None:
    text = (shared_data / "eurostat" / "reference" / "comext_full_v2_data_dictionary.txt").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^([A-Z_]+)\n-+\n(.*?)(?=^[A-Z_]+\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL))
    assert {"REPORTER", "PARTNER", "STAT_PROCEDURE", "SUPPL_UNIT", "VALUE_EUR"} <= set(sections)
    known = {name: set(re.findall(r"^  (\w+)\t", body, re.MULTILINE)) for name, body in sections.items()}
    member = unpack(f"{PRODUCTS}/full_v2_202507.7z")
    for name in ("PARTNER", "TRADE_TYPE", "FLOW", "STAT_PROCEDURE", "SUPPL_UNIT", "PRODUCT_SECTION"):
        found = {row[0] for row in ask(f"select distinct {name} from $file", member)}
        assert found
        if known[name]:
            assert found <= known[name], name


@pytest.mark.parametrize(("month", "period"), [("202507", "2025-07"), ("202608", "2026-08")])
def test_rows_sum_to_the_api_values(
    server: str, unpack: Callable[[str], Path], ask: Ask, month: str, period: str
) -> None:
    member = unpack(f"{PRODUCTS}/full_v2_{month}.7z")
    for reporter in ("NL", "SE"):
        cells = api(server, f"M.{reporter}...1+2.", startPeriod=period, endPeriod=period)
        for length in (2, 4, 6, 8):
            rows = ask(
                f"select PARTNER, left(PRODUCT_NC, {length}), FLOW, sum(cast(VALUE_EUR as bigint)), "
                f"sum(cast(QUANTITY_KG as bigint)) from $file where REPORTER = '{reporter}' group by all",
                member,
            )
            found = {(partner, product, flow): (value, weight) for partner, product, flow, value, weight in rows}
            expected = {
                (partner, product, flow): value
                for (_, partner, product, flow, indicator), value in cells.items()
                if indicator == "VALUE_IN_EUROS" and len(product) == length and len(partner) == 2
            }
            assert expected
            for place, value in expected.items():
                assert found[place][0] == value
                weight = cells[(reporter, place[0], place[1], place[2], "QUANTITY_IN_100KG")]
                assert found[place][1] == pytest.approx(100 * weight, abs=0.01)
            # The file's codes beyond those of the API are masked residuals.
            assert all("X" in product or not product[0].isdigit() for _, product, _ in found.keys() - expected.keys())
        totals = ask(
            "select PARTNER, FLOW, sum(cast(VALUE_EUR as bigint)) from $file "
            f"where REPORTER = '{reporter}' group by all",
            member,
        )
        for partner, flow, value in totals:
            assert value == cells[(reporter, partner, "TOTAL", flow, "VALUE_IN_EUROS")]


def test_procedures_are_parts_of_the_total(unpack: Callable[[str], Path], ask: Ask) -> None:
    member = unpack(f"{PRODUCTS}/full_v2_202507.7z")
    by_procedure: dict[Any, Any] = dict(
        ask("select STAT_PROCEDURE, sum(cast(VALUE_EUR as bigint)) from $file group by all order by 1", member)
    )
    assert set(by_procedure) == {"1", "2", "3"}
    assert 0.001 < (by_procedure["2"] + by_procedure["3"]) / sum(by_procedure.values()) < 0.1
    key = "REPORTER, PARTNER, PRODUCT_NC, FLOW, STAT_PROCEDURE"
    # A masked code occurs once per class of the goods behind it; any other code is unique.
    twice = ask(f"select any_value(PRODUCT_NC), count(distinct PRODUCT_SITC) = count(*) from $file group by {key}"
                " having count(*) > 1", member)  # fmt: skip
    assert len(twice) > 1000
    assert {("X" in product, differ) for product, differ in twice} == {(True, True)}
    assert ask("select count(*) from $file where TRADE_TYPE = 'I' and STAT_PROCEDURE <> '1'", member) == [(0,)]


def test_supplementary_units_and_national_currencies(unpack: Callable[[str], Path], ask: Ask) -> None:
    member = unpack(f"{PRODUCTS}/full_v2_202507.7z")
    assert ask("select distinct PRODUCT_NC from $file where SUPPL_UNIT = 'PST' order by 1", member) == [
        ("73211110",), ("82119100",),
    ]  # fmt: skip
    assert ask("select count(*) from $file where SUPPL_UNIT = 'NO_SU' and QUANTITY_SUPPL_UNIT <> '0'", member) == [(0,)]
    rates: dict[Any, Any] = dict(
        ask(
            "select REPORTER, sum(cast(VALUE_NAC as double)) / sum(cast(VALUE_EUR as double)) from $file group by 1",
            member,
        )
    )
    assert len(rates) == 27
    assert rates["NL"] == rates["DE"] == 1
    assert rates["BG"] == pytest.approx(1.95583, rel=1e-4)
    assert rates["HU"] > 100


def test_rows_have_the_other_product_classifications(unpack: Callable[[str], Path], ask: Ask) -> None:
    member = unpack(f"{PRODUCTS}/full_v2_202507.7z")
    columns = "PRODUCT_SITC, PRODUCT_CPA21, PRODUCT_CPA22, PRODUCT_SECTION"
    found = ask(f"select distinct PRODUCT_NC, {columns} from $file order by all desc", member)
    rows = {code: groups for code, *groups in reversed(found)}
    assert rows["72085120"] == ["67324", "2410", "2410", "15"]
    assert rows["82073010"] == ["69564", "2573", "2563", "15"]
    assert [groups for code, *groups in found if code == "7208XXXX"] == [
        ["6XXXX", "XXXX", "XXXX", "15"],
        ["673XX", "2410", "2410", "15"],
    ]
    assert rows["39XXXXXX"][3] == "07"
    assert all(len(groups[0]) == 5 and len(groups[1]) == len(groups[2]) == 4 for groups in rows.values())


def test_newest_archive_lacks_most_intra_eu_trade(unpack: Callable[[str], Path], ask: Ask) -> None:
    query = "select count(*) filter (TRADE_TYPE = 'I'), count(*) filter (TRADE_TYPE = 'E') from $file"
    ((intra, extra),) = ask(query, unpack(f"{PRODUCTS}/full_v2_202608.7z"))
    ((intra_before, extra_before),) = ask(query, unpack(f"{PRODUCTS}/full_v2_202507.7z"))
    assert 0.15 < intra / intra_before < 0.35
    assert 0.9 < extra / extra_before < 1.1
    reporters = ask(
        "select count(distinct REPORTER), count(distinct REPORTER) filter (TRADE_TYPE = 'I') from $file",
        unpack(f"{PRODUCTS}/full_v2_202608.7z"),
    )
    assert reporters == [(27, 9)]


def test_annual_file(server: str, unpack: Callable[[str], Path], ask: Ask) -> None:
    member = unpack(f"{PRODUCTS}/full_v2_202452.7z")
    assert member.name == "full_202452.dat"
    assert ask("select distinct PERIOD from $file", member) == [("202452",)]
    cells = api(server, "A.NL.US+DE.72+7204+TOTAL.2.VALUE_IN_EUROS", startPeriod="2024", endPeriod="2024")
    for (_, partner, product, flow, _), value in cells.items():
        start = "" if product == "TOTAL" else product
        assert ask(
            f"select sum(cast(VALUE_EUR as bigint)) from $file where REPORTER = 'NL' and PARTNER = '{partner}' "
            f"and FLOW = '{flow}' and PRODUCT_NC like '{start}%'",
            member,
        ) == [(value,)]


def test_regime_4_of_the_old_layout_is_the_total(unpack: Callable[[str], Path], ask: Ask) -> None:
    member = unpack(f"{HISTORY}/full200107.7z")
    assert member.name == "full200107.dat"
    with member.open(encoding="utf-8") as file:
        assert file.readline().strip().split(",") == list(OLD_COLUMNS)
    assert len(OLD_COLUMNS) == 19
    totals: dict[Any, Any] = dict(
        ask("select STAT_REGIME, sum(cast(VALUE_IN_EUROS as bigint)) from $file group by all order by 1", member)
    )
    assert totals["4"] == totals["1"] + totals["2"] + totals["3"]
    wrong = ask(
        "select count(*) from (select sum(cast(VALUE_IN_EUROS as bigint)) filter (STAT_REGIME = '4') as total, "
        "sum(cast(VALUE_IN_EUROS as bigint)) filter (STAT_REGIME <> '4') as parts from $file "
        "group by DECLARANT, PARTNER, PRODUCT_NC, FLOW) where total is distinct from parts",
        member,
    )
    assert wrong == [(0,)]
    assert ask("select distinct DECLARANT from $file where DECLARANT_ISO = 'NL'", member) == [("003",)]
    assert ask("select distinct PERIOD from $file", member) == [("200107",)]


def test_archive_is_reproducible(server: str) -> None:
    options = {"file": f"{HISTORY}/full200107.7z"}
    first = requests.get(f"{server}{MAIN}/files", params=options, timeout=200)
    rows = {row["NAME"]: row["LAST_MODIFIED"] for row in listing(server, HISTORY)}
    assert parsedate_to_datetime(first.headers["Last-Modified"]).isoformat() == "2023-09-15T09:00:00+00:00"
    assert rows["full200107.7z"] == "2023-09-15T11:00:00+02:00"
    with run_simulator(parameters=SPARSE) as other:
        assert requests.get(f"{other}{MAIN}/files", params=options, timeout=200).content == first.content


def test_truncated_archive_does_not_open(base: str) -> None:
    options = {"file": f"{HISTORY}/full200107.7z"}
    whole = get(base, "/files", **options).content
    requests.post(
        f"{base}/_simulator/faults", json={"match": "full200107", "kind": "truncate_7z", "times": 1}, timeout=10
    )
    # The redirect before it has no archive to truncate.
    reply = get(base, "/files", **options)
    assert reply.status_code == 200
    assert len(reply.content) == int(reply.headers["Content-Length"]) == len(whole) // 2
    with pytest.raises(py7zr.exceptions.ArchiveError), py7zr.SevenZipFile(io.BytesIO(reply.content)):
        pass
    assert get(base, "/files", **options).content == whole


# -- code lists and catalogue -----------------------------------------------------------------------------


def test_code_list_text_files(base: str) -> None:
    folder = f"{CODES}/CLASSIFICATIONS/ENGLISH"
    assert {row["NAME"] for row in listing(base, folder)} == {
        "CN.txt", "CN_Close_2026.txt", "CN_New_2026.txt", "PARTNERS_ISO.txt",
    }  # fmt: skip
    for row in listing(base, folder):
        body = get(base, "/files", file=f"{folder}/{row['NAME']}").content
        assert len(body) == int(row["SIZE"])
    lines = get(base, "/files", file=f"{folder}/CN.txt").content.decode().split("\r\n")
    assert (
        "72042110\t01/01/1988\t31/12/2500\tWaste and scrap of stainless steel, containing by weight >= 8% nickel"
        in lines
    )


def test_relations_match_the_concordance(base: str) -> None:
    text = get(base, "/files", file=f"{CODES}/RELATIONS/CN8-PRED-SUCC.txt").content.decode()
    rows = [line.split("\t") for line in text.split("\r\n")[:-1]]
    assert ["73181510", "73181568", "01/01/2017"] in rows
    assert all(re.fullmatch(r"\d{8}", old) and re.fullmatch(r"\d{8}", new) for old, new, _ in rows)
    assert len(rows) > 50


def test_inventory_lists_only_the_main_host(base: str) -> None:
    text = get(base, "/files/inventory", type="data", lang="en").content.decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
    assert list(rows[0])[:5] == ["Code", "Type", "Source dataset", "Last data change", "Last structural change"]
    codes = [row["Code"] for row in rows]
    assert "STS_INPR_M" in codes
    assert not [code for code in codes if code.startswith("DS-")]
    rate = next(row for row in rows if row["Code"] == "ERT_BIL_EUR_M")
    assert requests.get(rate["Data download url (csv)"], timeout=60).content.startswith(b"\x1f\x8b")


def test_table_of_contents(base: str) -> None:
    lines = get(base, "/catalogue/toc/txt", lang="en").content.decode().split("\r\n")
    assert lines[0].split("\t")[0] == '"title"'
    assert lines[1] == '"Database by themes"\t"data"\t"folder"\t" "\t" "\t" "\t" "\t'
    cells = next(line.split("\t") for line in lines if '"sts_inpr_m"' in line)
    assert cells[0] == '"            Production in industry - monthly data"'
    assert cells[2:7] == ['"dataset"', '"15.10.2026"', '"15.10.2026"', '"2021-01"', '"2026-08"']
    assert cells[7].isdigit()


def test_news_feed(base: str) -> None:
    reply = get(base, "/catalogue/rss/en/statistics-update.rss")
    assert reply.headers["Content-Type"].startswith("application/rss+xml")
    channel = ET.fromstring(reply.content).find("channel")
    assert channel is not None
    items = {(item.findtext("title") or "").split(" ")[0]: item for item in channel.findall("item")}
    assert "EXT_TEC01" in items
    published = parsedate_to_datetime(items["EXT_TEC01"].findtext("pubDate") or "")
    assert published.isoformat() == "2026-10-15T11:00:00+02:00"

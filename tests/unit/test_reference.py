"""Consistency of the reviewed seeds, and line-by-line checks of the user's own scopes."""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from common.contracts import read_models
from extract.registry import get_dataset, load_registry
from metaalexport import reference
from metaalexport.arguments import SettingsError
from metaalexport.settings import DBT_PROJECT, REFERENCE
from simulator.parameters import EconomyParameters

MEMBER_KINDS = {"country", "part", "unallocated", "total", "aggregate"}
HEADER = ",".join(reference.USER_SCOPE_COLUMNS)
GOOD_LINE = "mine,Mine,Mijn,CN,7601,,"


def seed(name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows, f"{name}.csv has no rows"
    return rows


def repeated(values: list[object]) -> list[object]:
    assert values
    return [value for value, count in Counter(values).items() if count > 1]


@pytest.fixture
def scope_file(tmp_path: Path) -> Path:
    return tmp_path / "scopes.csv"


def test_reference_office_partners_have_unique_codes() -> None:
    assert repeated([(row["office"], row["office_code"]) for row in seed("office_partners")]) == []


def test_reference_office_partners_kinds_come_from_the_closed_set() -> None:
    assert {row["member_kind"] for row in seed("office_partners")} == MEMBER_KINDS


@pytest.mark.parametrize("office", ["cbs", "eurostat"])
def test_reference_office_partners_have_one_total_per_office_as_in_the_registry(office: str) -> None:
    totals = [
        row["office_code"]
        for row in seed("office_partners")
        if row["office"] == office and row["member_kind"] == "total"
    ]
    code = {"cbs": "cbs_85429ned", "eurostat": "eurostat_ds_045409"}[office]
    assert totals == [get_dataset(code).total_partner]


def test_reference_office_partners_countries_and_parts_exist_in_countries() -> None:
    countries = {row["country_code"] for row in seed("countries")}
    named = [row for row in seed("office_partners") if row["member_kind"] in ("country", "part")]
    assert len(named) > 400
    assert [row["office_code"] for row in named if row["destination_code"] not in countries] == []


def test_reference_office_partners_totals_and_aggregates_have_no_destination() -> None:
    rows = [row for row in seed("office_partners") if row["member_kind"] in ("total", "aggregate")]
    assert len(rows) > 5
    assert [row["office_code"] for row in rows if row["destination_code"]] == []


def test_reference_office_partners_unallocated_map_to_the_special_destination() -> None:
    special = {row["destination_code"] for row in seed("special_destinations")}
    assert special == {"unallocated", "not_loaded", "unmapped"}
    rows = [row for row in seed("office_partners") if row["member_kind"] == "unallocated"]
    assert len(rows) > 10
    assert {row["destination_code"] for row in rows} == {"unallocated"}


def test_reference_office_partners_q_codes_of_comext_are_unallocated() -> None:
    rows = [row for row in seed("office_partners") if row["office"] == "eurostat" and row["office_code"][0] == "Q"]
    kinds = {row["office_code"]: row["member_kind"] for row in rows if row["office_code"] != "QA"}  # QA is Qatar
    assert len(kinds) == 10
    assert set(kinds.values()) == {"unallocated"}


def test_reference_office_partners_parts_belong_to_a_country_published_whole() -> None:
    rows = [row for row in seed("office_partners") if row["office"] == "eurostat"]
    whole = {row["destination_code"] for row in rows if row["member_kind"] == "country"}
    parts = [row["destination_code"] for row in rows if row["member_kind"] == "part"]
    assert parts
    assert set(parts) <= whole


def test_reference_office_partners_validity_starts_before_it_ends() -> None:
    ended = [row for row in seed("office_partners") if row["valid_from"] and row["valid_to"]]
    assert [
        r["office_code"] for r in ended if dt.date.fromisoformat(r["valid_from"]) > dt.date.fromisoformat(r["valid_to"])
    ] == []


@pytest.mark.parametrize("column", ["country_code", "iso3_code"])
def test_reference_countries_codes_are_unique_and_well_formed(column: str) -> None:
    codes = [row[column] for row in seed("countries") if row[column]]
    assert repeated(list(codes)) == []
    length = {"country_code": 2, "iso3_code": 3}[column]
    assert [code for code in codes if len(code) != length or not code.isalpha() or not code.isupper()] == []


def test_reference_countries_have_both_names_and_namibia_is_not_null() -> None:
    rows = {row["country_code"]: row for row in seed("countries")}
    assert rows["NA"]["country_name_nl"] == "Namibië"
    assert [code for code, row in rows.items() if not row["country_name_en"] or not row["country_name_nl"]] == []


def test_reference_scopes_and_members_name_each_other() -> None:
    assert {row["scope_code"] for row in seed("metal_scopes")} == {
        row["scope_code"] for row in seed("metal_scope_members")
    }


def test_reference_scope_members_do_not_overlap_by_prefix() -> None:
    members = seed("metal_scope_members")
    overlaps = [
        (a["scope_code"], a["product_code"], b["product_code"])
        for a in members
        for b in members
        if a is not b
        and (a["scope_code"], a["nomenclature_code"]) == (b["scope_code"], b["nomenclature_code"])
        and (a["valid_from"] <= (b["valid_to"] or "9999") and b["valid_from"] <= (a["valid_to"] or "9999"))
        # An excluded code lies below the code that it is excluded from.
        and (a["sign"], b["sign"]) != ("1", "-1")
        and (b["product_code"].startswith(a["product_code"]) or "TOTAL" in (a["product_code"], b["product_code"]))
    ]
    assert overlaps == []


def test_reference_scope_members_of_sitc_and_their_titles_exist() -> None:
    members = seed("metal_scope_members")
    sitc = {row["product_code"] for row in members if row["nomenclature_code"] == "SITC"}
    assert len(sitc) > 10
    of_cbs = {r["product_code"] for r in members if r["nomenclature_code"] == "SITC" and r["source_code"] == "CBS"}
    assert of_cbs == {"TOTAL"}
    assert of_cbs <= {row["product_code"] for row in seed("office_products")}
    titles = {(row["nomenclature_code"], row["product_code"]) for row in seed("product_titles")}
    # The office's own list has the titles of headings and subheadings.
    wide = {(row["nomenclature_code"], row["product_code"]) for row in members if len(row["product_code"]) < 4}
    assert wide <= titles


def test_reference_scope_members_excluded_codes_lie_below_an_included_code() -> None:
    members = seed("metal_scope_members")
    out = [row for row in members if row["sign"] == "-1"]
    assert len(out) > 10
    for row in out:
        assert [
            a["product_code"]
            for a in members
            if a["sign"] == "1"
            and a["scope_code"] == row["scope_code"]
            and a["nomenclature_code"] == row["nomenclature_code"]
            and row["product_code"].startswith(a["product_code"])
            and a["valid_from"] <= row["valid_from"]
        ], row


def test_reference_scope_has_one_nomenclature_per_source() -> None:
    """Two nomenclatures would count the same goods twice."""
    members = seed("metal_scope_members")
    for source in ("CBS", "EUROSTAT"):
        # The CBS fact tables use SITC only.
        pairs = {
            (row["scope_code"], row["nomenclature_code"])
            for row in members
            if row["source_code"] in ("", source) and (source == "EUROSTAT" or row["nomenclature_code"] == "SITC")
        }
        assert pairs
        assert repeated([scope for scope, _ in pairs]) == []


def test_reference_office_products_are_unique_on_both_sides() -> None:
    rows = seed("office_products")
    assert repeated([(row["office"], row["office_code"]) for row in rows]) == []
    assert repeated([(row["office"], row["nomenclature_code"], row["product_code"]) for row in rows]) == []


def members_on(group: str, day: str) -> set[str]:
    rows = [row for row in seed("country_groups") if row["group_code"] == group]
    assert rows
    return {r["country_code"] for r in rows if r["valid_from"] <= day and (not r["valid_to"] or day <= r["valid_to"])}


def test_reference_country_groups_have_names_and_unique_known_members() -> None:
    rows = seed("country_groups")
    assert {row["group_code"] for row in rows} == {row["group_code"] for row in seed("country_group_names")}
    assert {row["country_code"] for row in rows} <= {row["country_code"] for row in seed("countries")}
    assert repeated([(row["group_code"], row["country_code"]) for row in rows]) == []


@pytest.mark.parametrize(
    ("group", "day", "members"),
    [
        ("ASEAN", "2025-01-01", 10),
        ("ASEAN", "2025-11-01", 11),
        ("MERCOSUR", "2026-05-01", 4),
        ("CPTPP", "2024-01-01", 11),
        ("CPTPP", "2025-01-01", 12),
        ("BRICS", "2024-06-01", 9),
        ("BRICS", "2025-06-01", 10),
        ("EFTA", "2025-01-01", 4),
        ("GCC", "2025-01-01", 6),
        ("G7", "2025-01-01", 7),
        ("USMCA", "2025-01-01", 3),
    ],
)
def test_reference_country_groups_member_count(group: str, day: str, members: int) -> None:
    assert len(members_on(group, day)) == members


def test_reference_trade_agreements_name_each_other_and_known_countries() -> None:
    statuses = seed("trade_agreement_statuses")
    assert {row["agreement_code"] for row in statuses} == {row["agreement_code"] for row in seed("trade_agreements")}
    assert {row["country_code"] for row in statuses} <= {row["country_code"] for row in seed("countries")}
    assert repeated([(r["agreement_code"], r["country_code"], r["valid_from"]) for r in statuses]) == []
    # A date with year precision is 1 January.
    assert all(r["valid_from"].endswith("-01-01") for r in statuses if r["date_precision"] == "year")


def test_reference_trade_agreements_statuses_follow_each_other() -> None:
    order = ["negotiating", "concluded", "signed", "provisionally_applied", "in_force", "replaced"]
    histories: dict[tuple[str, str], list[str]] = {}
    for row in sorted(seed("trade_agreement_statuses"), key=lambda row: row["valid_from"]):
        if row["agreement_code"] not in ("us_framework", "none"):
            histories.setdefault((row["agreement_code"], row["country_code"]), []).append(row["status"])
    assert len(histories) > 30
    for statuses in histories.values():
        assert statuses == sorted(statuses, key=order.index)


def test_reference_access_lists_agree_with_each_other() -> None:
    agreements = {row["agreement_code"] for row in seed("trade_agreements")}
    statuses = seed("trade_agreement_statuses")
    assert {row["agreement_code"] for row in statuses} <= agreements
    parties = {(row["agreement_code"], row["country_code"]) for row in statuses}
    for row in seed("trade_agreement_phase_ins"):
        assert row["agreement_code"] in agreements
        assert not row["country_code"] or (row["agreement_code"], row["country_code"]) in parties
        assert not row["exports_from"] or row["exports_from"] < row["exports_free_from"]
    # A country has no agreement, or agreements; the United States have a framework, which is none.
    without = {row["country_code"] for row in statuses if row["status"] == "no_agreement"}
    applied = {row["country_code"] for row in statuses if row["status"] in ("in_force", "provisionally_applied")}
    assert without & applied == set()
    # Independent countries are all on the list; what it leaves open are territories, and Syria.
    union = {row["country_code"] for row in seed("country_groups") if row["group_code"] == "EU" and not row["valid_to"]}
    listed = {row["country_code"] for row in statuses} | union
    assert {"SY", "GL", "PF"} <= {row["country_code"] for row in seed("countries")} - listed
    assert {"CN", "RU", "SA", "NG", "AR", "ZA", "RS", "GB"} <= listed


def test_reference_tariff_events_follow_each_other_where_one_measure_replaces_another() -> None:
    events = {row["event_code"]: row for row in seed("tariff_events")}
    assert len(events) == len(seed("tariff_events"))
    for earlier, later in (
        ("us_s232_steel_2018", "us_eu_trq_steel_2022"),
        ("us_s232_aluminium_2018", "us_eu_trq_aluminium_2022"),
        ("us_eu_trq_steel_2022", "us_s232_metal_2025_03"),
        ("us_eu_trq_aluminium_2022", "us_s232_metal_2025_03"),
        ("gb_safeguard_2021", "gb_steel_2026"),
        ("in_safeguard_2025", "in_safeguard_2026"),
        ("in_safeguard_2026", "in_safeguard_2027"),
        ("us_s232_metal_2025_03", "us_s232_metal_2025_06"),
        ("us_s232_metal_2025_06", "us_s232_restructured_2026_04"),
        ("us_ieepa_baseline_2025_04", "us_ieepa_eu_2025_08"),
        ("us_ieepa_eu_2025_08", "us_s122_2026_02"),
        ("us_s122_2026_02", "us_s122_end_2026_07"),
        ("eu_cbam_transition_2023", "eu_cbam_2026"),
    ):
        last = dt.date.fromisoformat(events[earlier]["effective_to"])
        assert last + dt.timedelta(days=1) == dt.date.fromisoformat(events[later]["event_date"]), (earlier, later)
    # Measures in effect on the last known day, without a known end.
    still = {c for c, e in events.items() if e["event_kind"] == "effective" and not e["effective_to"]}
    assert {"us_s232_restructured_2026_04", "eu_steel_2026", "gb_steel_2026"} <= still


def test_office_partners_maps_codes_to_kinds() -> None:
    partners = reference.office_partners("cbs")
    assert len(partners) == 254
    assert partners["T001047"] == "total"
    assert partners["L008592"] == "country"
    assert reference.office_partners("nobody") == {}


def test_declared_codes_of_a_table_with_a_total_come_from_the_seeds() -> None:
    cbs, comext = (reference.declared_codes(get_dataset(code)) for code in ("cbs_85429ned", "eurostat_ds_045409"))
    assert cbs["partner"] == set(reference.office_partners("cbs"))
    assert cbs["product"] == set(reference.office_products("cbs")) != set()
    assert set(comext) == {"partner"}


@pytest.mark.parametrize("code", ["eurostat_comext_bulk", "cbs_85770ned", "eurostat_ext_tec01"])
def test_declared_codes_of_a_table_without_a_total_are_empty(code: str) -> None:
    assert reference.declared_codes(get_dataset(code)) == {}


def test_scope_products_of_cn_are_sorted_and_include_the_metal_chapters() -> None:
    products = reference.scope_products("EUROSTAT", "CN", None)
    assert products == tuple(sorted(set(products)))
    assert {"72", "73", "74", "75", "76", "78", "79", "80", "81", "82", "83"} <= set(products)
    assert "77" not in products


def test_scope_products_user_scope_adds_its_codes(scope_file: Path) -> None:
    scope_file.write_text(f"{HEADER}\n{GOOD_LINE}\nmine,Mine,Mijn,SITC,8,,\n", encoding="utf-8")
    assert set(reference.scope_products("EUROSTAT", "CN", scope_file)) - set(
        reference.scope_products("EUROSTAT", "CN", None)
    ) == {"7601"}
    assert "8" in reference.scope_products("CBS", "SITC", scope_file)
    assert "TOTAL" in reference.scope_products("CBS", "SITC", None)
    assert "TOTAL" not in reference.scope_products("EUROSTAT", "SITC", None)


@pytest.mark.parametrize(
    "content",
    [
        HEADER.replace(",", ";") + "\r\nmine;Film, dun;Folie;CN;7601;;\r\n;;;;;;\r\n",
        "sep=;\r\n" + HEADER.replace(",", ";") + "\r\n\r\nmine;Film, dun;Folie;CN;7601;;\r\n",
        '"sep=;"\n' + HEADER.replace(",", ";") + '\n"mine";"Film, dun";"Folie";"CN";"7601";"";""\n',
        HEADER.replace(",", "\t") + "\nmine\tFilm, dun\tFolie\tCN\t7601\t\t\n",
        HEADER.upper() + '\nmine,"Film, dun",Folie,CN,7601,,\n,,,,,,\n',
        "product_code;scope_code;scope_name_nl;scope_name_en;nomenclature_code\n7601;mine;Folie;Film, dun;CN\n",
    ],
    ids=["semicolons", "declared", "quoted", "tabs", "capitals", "other order"],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
def test_user_scope_rows_accept_spreadsheet_exports(scope_file: Path, mark: bytes, content: str) -> None:
    scope_file.write_bytes(mark + content.encode())
    (row,) = reference.user_scope_rows(scope_file)
    assert row == dict(
        zip(reference.USER_SCOPE_COLUMNS, ("mine", "Film, dun", "Folie", "CN", "7601", "", ""), strict=True)
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"sep=;\n{HEADER.replace(',', ';')}\n;;;;;;\nmine;Mine;Mijn;CN;101;;\n", "line 4: product_code is '101'"),
        (f"{HEADER}\nmine,Film, thin,Folie,CN,7601,,\n", "line 2: 8 values between ',', the header has 7 columns"),
        (f'{HEADER}\nmine,"Mine,Mijn,CN,7601,,\n', "line 2"),
    ],
    ids=["line of the file", "separator in a name", "open quote"],
)
def test_user_scope_rows_broken_by_a_spreadsheet_name_the_line(scope_file: Path, content: str, problem: str) -> None:
    scope_file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        reference.user_scope_rows(scope_file)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("nomenclature", "code", "problem"),
    [
        (
            "CN",
            "101",
            "of length 3; codes of CN have 2, 4, 6 or 8 digits. A spreadsheet drops a zero in front: if 0101 is",
        ),
        ("CN", "72081", "if 072081 is meant"),
        ("CN", "720810001", "of length 9; codes of CN have 2, 4, 6 or 8 digits"),
        ("SITC", "672411", "of length 6; codes of SITC have 1, 2, 3, 4 or 5 digits"),
        ("CPA22", "1", "if 01 is meant"),
        ("CPA22", "2410111", "of length 7; codes of CPA22 have 2, 3, 4, 5 or 6 digits"),
    ],
)
def test_user_scope_rows_refuse_invalid_code_lengths(
    scope_file: Path, nomenclature: str, code: str, problem: str
) -> None:
    scope_file.write_text(f"{HEADER}\nmine,Mine,Mijn,{nomenclature},{code},,\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        reference.user_scope_rows(scope_file)
    assert str(caught.value).startswith(f"{scope_file}, line 2: product_code is {code!r}, of length")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("nomenclature", "code"),
    [
        ("CN", "01"),
        ("CN", "0101"),
        ("CN", "39201023"),
        ("SITC", "06"),
        ("SITC", "TOTAL"),
        ("CPA22", "24"),
        ("CPA22", "2410"),
    ],
)
def test_user_scope_rows_accept_each_valid_code_length(scope_file: Path, nomenclature: str, code: str) -> None:
    scope_file.write_text(f"{HEADER}\nmine,Mine,Mijn,{nomenclature},{code},,\n", encoding="utf-8")
    assert reference.user_scope_rows(scope_file)[0]["product_code"] == code


def test_reference_scope_codes_have_valid_lengths() -> None:
    for row in seed("metal_scope_members"):
        assert reference._length_problem(row["nomenclature_code"], row["product_code"]) is None


def test_user_scope_rows_without_a_file_are_empty() -> None:
    assert reference.user_scope_rows(None) == []


def test_user_scope_rows_accept_a_byte_order_mark(scope_file: Path) -> None:
    scope_file.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD_LINE}\r\n".encode())
    assert [row["product_code"] for row in reference.user_scope_rows(scope_file)] == ["7601"]


@pytest.mark.parametrize("column", reference.USER_SCOPE_COLUMNS[:5])
def test_user_scope_rows_missing_column_names_file_line_and_column(scope_file: Path, column: str) -> None:
    position = reference.USER_SCOPE_COLUMNS.index(column)
    lines = [",".join(v for i, v in enumerate(text.split(",")) if i != position) for text in (HEADER, GOOD_LINE)]
    scope_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        reference.user_scope_rows(scope_file)
    assert str(caught.value).startswith(f"{scope_file}, line 2: no value for {column};")


@pytest.mark.parametrize("column", reference.USER_SCOPE_COLUMNS[:5])
def test_user_scope_rows_blank_value_names_file_line_and_column(scope_file: Path, column: str) -> None:
    values = GOOD_LINE.split(",")
    values[reference.USER_SCOPE_COLUMNS.index(column)] = "  "
    scope_file.write_text(f"{HEADER}\n{GOOD_LINE}\n{','.join(values)}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        reference.user_scope_rows(scope_file)
    assert str(caught.value).startswith(f"{scope_file}, line 3: no value for {column};")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("metal_core_hs,Mine,Mijn,CN,7601,,", "'metal_core_hs' is a shipped scope"),
        ("mine,Mine,Mijn,HS,7601,,", "nomenclature_code is 'HS', not one of CN, SITC, CPA22"),
        ("mine;Mine;Mijn;CN;7601;;", "no value for scope_name_en"),
    ],
    ids=["shipped code", "wrong nomenclature", "semicolons"],
)
def test_user_scope_rows_invalid_line_is_named(scope_file: Path, line: str, problem: str) -> None:
    scope_file.write_text(f"{HEADER}\n{GOOD_LINE}\n{GOOD_LINE.replace('7601', '7602')}\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        reference.user_scope_rows(scope_file)
    assert str(caught.value).startswith(f"{scope_file}, line 4: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["", HEADER + "\n", HEADER + "\n\n\n"], ids=["no bytes", "header", "blank lines"])
def test_user_scope_rows_empty_file_is_named(scope_file: Path, text: str) -> None:
    scope_file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="the file has no rows") as caught:
        reference.user_scope_rows(scope_file)
    assert str(caught.value).startswith(str(scope_file))


def test_user_scope_rows_line_numbers_count_blank_lines(scope_file: Path) -> None:
    scope_file.write_text(f"{HEADER}\n\n\nmine,Mine,Mijn,HS,7601,,\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="line 4"):
        reference.user_scope_rows(scope_file)


@pytest.mark.parametrize(
    "lines",
    [
        [b"mine,Mine,Mijn,CN,7601,01-01-2024,"],
        [b"mine,Mine,Mijn,CN,7601,2024-01-01,2023-01-01"],
        [b"mine,Mine,Mijn,CN,76,,", b"mine,Mine,Mijn,CN,7601,,"],
        [b"mine,Mine,Mijn,CN,7601,,", b"mine,Mine,Mijn,CN,7601,,"],
        [b"mine,Mine,Mijn,CN,76 01,,"],
        [b"mine,Mine,Belgi\xeb,CN,7601,,"],
    ],
    ids=["Dutch date", "ends before it starts", "overlap", "twice", "blank in a code", "not UTF-8"],
)
def test_user_scope_rows_refuse_lines_that_would_break_the_build(scope_file: Path, lines: list[bytes]) -> None:
    scope_file.write_bytes(b"\n".join([HEADER.encode(), *lines, b""]))
    with pytest.raises(SettingsError, match="line"):
        reference.user_scope_rows(scope_file)


def test_user_scope_rows_strip_blanks_around_values(scope_file: Path) -> None:
    scope_file.write_text(f"{HEADER}\nmine,Mine,Mijn,CN, 7601 ,,\n", encoding="utf-8")
    assert reference.user_scope_rows(scope_file)[0]["product_code"] == "7601"


def test_write_user_scopes_without_a_file_writes_only_the_header(tmp_path: Path) -> None:
    target = tmp_path / "ops" / "user_scopes.csv"
    reference.write_user_scopes(None, target)
    assert target.read_text("utf-8") == HEADER + "\n"
    assert [path.name for path in target.parent.iterdir()] == ["user_scopes.csv"]


def test_write_user_scopes_puts_columns_in_order_and_drops_others(tmp_path: Path, scope_file: Path) -> None:
    scope_file.write_text(
        "note,product_code,nomenclature_code,scope_name_nl,scope_name_en,scope_code\r\n"
        'my own,7601,CN,"Aluminium, ruw",Raw aluminium,mine\r\n',
        encoding="utf-8",
    )
    target = tmp_path / "user_scopes.csv"
    reference.write_user_scopes(scope_file, target)
    assert target.read_text("utf-8") == f'{HEADER}\nmine,Raw aluminium,"Aluminium, ruw",CN,7601,,\n'


def test_write_user_scopes_invalid_file_leaves_the_target_unchanged(tmp_path: Path, scope_file: Path) -> None:
    target = tmp_path / "user_scopes.csv"
    reference.write_user_scopes(None, target)
    scope_file.write_text(HEADER + "\n", encoding="utf-8")
    with pytest.raises(SettingsError):
        reference.write_user_scopes(scope_file, target)
    assert target.read_text("utf-8") == HEADER + "\n"


# Figures by activity or market, without partners.
INDUSTRY = [
    dataset.code
    for dataset in load_registry().values()
    if dataset.by_default
    and {"activity", "market"} & {*dataset.dimensions.values()}
    and "partner" not in dataset.dimensions.values()
]


def test_seed_industry_series_defines_each_loaded_measure() -> None:
    rows = seed("industry_series")
    assert {row["dataset_code"] for row in rows} == set(INDUSTRY)
    for code in INDUSTRY:
        meant = {row["measure_code"] for row in rows if row["dataset_code"] == code}
        assert meant == set(get_dataset(code).measure_codes), code
    markets = {row["market_code"] for row in rows if row["dataset_code"] == "cbs_85770ned"}
    assert markets == set(get_dataset("cbs_85770ned").select["Afzetgebieden"])


def test_each_figure_of_seed_industry_series_is_a_column_of_the_mart() -> None:
    (mart,) = (model for model in read_models(DBT_PROJECT, "marts") if model.name == "rpt_industry_context")
    missing = {row["figure_code"] for row in seed("industry_series")} - {column.name for column in mart.columns}
    assert missing == set(), "add the figure to rpt_industry_context.sql and .yml"


def test_seed_industry_series_has_one_series_per_office_figure() -> None:
    """Two series for one figure would give it two values."""
    rows = seed("industry_series")
    assert repeated([(row["dataset_code"].split("_")[0], row["figure_code"]) for row in rows]) == []
    assert {row["confidence"] for row in rows} == {"recorded", "reported", "unverified"}
    assert all(row["source"] for row in rows)
    assert all(row["figure_code"].endswith(f"_{row['unit_code']}") for row in rows)


def test_seed_office_activities_covers_the_requested_activities() -> None:
    rows = seed("office_activities")
    assert repeated([(row["office"], row["office_code"]) for row in rows]) == []
    assert {row["activity_code"] for row in rows} == {row["activity_code"] for row in seed("industry_activities")}
    known = {office: {row["office_code"] for row in rows if row["office"] == office} for office in ("cbs", "eurostat")}
    assert set(get_dataset("cbs_85806ned").select["BedrijfstakkenBranchesSBI2008"]) <= known["cbs"]
    assert set(get_dataset("cbs_85770ned").products) <= known["cbs"]
    for code in (*INDUSTRY, "eurostat_ext_tec01"):
        assert set(get_dataset(code).select.get("nace_r2", ())) <= known["eurostat"]


def test_reference_enterprises_have_one_total_and_the_requested_partner_groups() -> None:
    kinds = Counter(row["size_kind"] for row in seed("enterprise_size_classes"))
    assert kinds == {"total": 1, "small_or_medium": 3, "sum_of_small_and_medium": 1, "large": 1, "unknown": 1}
    groups = {row["partner_group_code"] for row in seed("enterprise_partner_groups")}
    assert groups == set(get_dataset("eurostat_ext_tec01").select["partner"])


def test_reference_frontloading_events_are_tariffs_announced_in_advance() -> None:
    tariffs = {row["event_code"]: row for row in seed("tariff_events")}
    events = seed("frontloading_events")
    assert repeated([row["event_code"] for row in events]) == []
    assert {row["event_code"] for row in events} == {row["event_code"] for row in seed("frontloading_event_scopes")}
    assert events
    for row in events:
        tariff = tariffs[row["event_code"]]
        assert tariff["event_kind"] == "effective"
        assert row["news_month"].endswith("-01")
        assert row["news_month"] < tariff["event_date"][:8] + "01"
        assert row["payback_months"] in ("3", "6", "12")


def test_reference_frontloading_scopes_exist() -> None:
    rows = seed("frontloading_event_scopes")
    assert repeated([(row["event_code"], row["scope_code"]) for row in rows]) == []
    assert {row["scope_code"] for row in rows} <= {row["scope_code"] for row in seed("metal_scopes")}


def test_reference_students_t_quantiles() -> None:
    """Compare some quantiles with the table of the NIST/SEMATECH e-Handbook, section 1.3.6.7.2."""
    quantiles = {int(row["degrees_of_freedom"]): float(row["quantile_975"]) for row in seed("t_quantiles")}
    assert sorted(quantiles) == list(range(1, 31))
    for degrees, value in ((1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (17, 2.110), (22, 2.074), (30, 2.042)):
        assert round(quantiles[degrees], 3) == value


def published_figures() -> dict[str, dict[str, str]]:
    """Return the published figures by anchor code."""
    rows = seed("published_figures")
    assert repeated([row["anchor_code"] for row in rows]) == []
    return {row["anchor_code"]: row for row in rows}


def test_seed_published_figures_are_complete_and_use_known_codes() -> None:
    products = {(row["nomenclature_code"], row["product_code"]) for row in seed("office_products")}
    # Chapters of the Combined Nomenclature and the all-goods code of Comext are not CBS product codes.
    products |= {("CN", "72"), ("CN", "73"), ("CN", "TOTAL")}
    destinations = {row["country_code"] for row in seed("countries")} | {"EU", "total"}
    concepts = {(row["source_code"], row["concept_code"]) for row in seed("concepts")}
    for code, row in published_figures().items():
        assert code.startswith(f"{row['figure_code']}."), code
        assert row["source"], code
        assert row["confidence"] in ("recorded", "reported"), code
        assert (row["source_code"], row["concept_code"]) in concepts, code
        assert row["destination_code"] in destinations, code
        if row["scope_code"]:
            assert row["scope_code"] in {scope["scope_code"] for scope in seed("metal_scopes")}, code
            assert not row["nomenclature_code"], code
            assert not row["product_code"], code
        else:
            assert (row["nomenclature_code"], row["product_code"]) in products, code
        # An office publishes a period only after it ends.
        assert row["period_from"] <= row["period_to"] < row["published_month"], code
        for column in ("period_from", "period_to", "published_month"):
            assert dt.date.fromisoformat(row[column]).day == 1, code
        unit = {"value": "mln_eur", "share_of_total": "share", "ratio_to_border_crossing": "ratio"}[row["measure"]]
        assert row["unit_code"] == unit, code
        is_of_two_concepts = unit == "ratio" or "counts quasi-transit" in row["source"]
        assert bool(row["lower_value"]) == bool(row["upper_value"]) == is_of_two_concepts, code


def test_seed_published_figures_add_up() -> None:
    """Figures of one publication add up, within their rounding unit."""
    value = {code: float(row["published_value"]) for code, row in published_figures().items()}
    assert value["N02.re_export"] + value["N02.dutch_product"] == value["N01.total"]
    assert value["N04.re_export"] + value["N04.dutch_product"] == value["N04.total"]
    assert value["N09.re_export"] + value["N09.dutch_product"] == value["N09.total"]
    sections = [value[f"N05.section_{section}"] for section in range(10)]
    assert sum(sections) + value["N05.not_in_country"] == value["N04.total"]
    for figure, section in (("N06", 6), ("N07", 7)):
        assert value[f"{figure}.re_export"] + value[f"{figure}.dutch_product"] == sections[section]
    assert round(value["N08.eu"] / value["N04.total"], 3) == value["N08.eu_share"] == 0.6
    assert sum(value[f"N03.2025-0{month}"] for month in range(1, 8)) == pytest.approx(value["N03.2025-01..07"], abs=4)
    assert sum(value[f"N11.2026-0{month}"] for month in range(1, 4)) == pytest.approx(value["N11.2026-01..03"], abs=2)
    assert round(value["N18.total"] / value["N13.total"], 2) == value["N19.ratio"] == 1.26
    for year in range(2021, 2026):
        parts = [value[f"C01.{year}_{part}"] for part in ("re_export", "dutch_product", "quasi_transit")]
        assert sum(parts) == pytest.approx(value[f"C01.{year}_total"], abs=2)
        states = [value[f"C02.{year}_US_{part}"] for part in ("re_export", "dutch_product")]
        assert sum(states) == pytest.approx(value[f"C02.{year}_US_total"], abs=1.5)


def test_seed_published_cbs_figures_are_compared_with_eurostat_by_the_concept_ratio() -> None:
    """CBS excludes quasi-transit and Eurostat includes it: figures N28 to N31 do not equal ours."""
    figures = published_figures()
    ratio = figures["N19.ratio"]
    rows = [row for row in figures.values() if row["figure_code"] in ("N28", "N29", "N30", "N31")]
    assert len(rows) == 24
    for row in rows:
        value, half = float(row["published_value"]), float(row["rounding_unit"]) / 2
        assert float(row["lower_value"]) == pytest.approx(float(ratio["lower_value"]) * (value - half), abs=0.06)
        assert float(row["upper_value"]) == pytest.approx(float(ratio["upper_value"]) * (value + half), abs=0.06)
    # 661 million covers all iron and steel; the tariff applies to this part.
    assert figures["N30.US"]["published_value"] == "631"


def test_seed_published_figures_contain_the_simulator_anchors() -> None:
    parameters = EconomyParameters()
    value = {code: float(row["published_value"]) for code, row in published_figures().items()}
    claimed = {code for code, row in published_figures().items() if row["holds_in_simulation"] == "true"}
    for year in range(2021, 2026):
        total, re_export, domestic, transit, *_ = parameters.cbs_anchors[year]
        assert value[f"C01.{year}_total"] == total
        assert value[f"C01.{year}_re_export"] == re_export
        assert value[f"C01.{year}_dutch_product"] == domestic
        assert value[f"C01.{year}_quasi_transit"] == transit
    for year in range(2021, 2027):
        total, re_export, domestic = parameters.cbs_ownership_anchors[year]
        assert value[f"C02.{year}_total"] == total
        assert value[f"C02.{year}_US_re_export"] == re_export
        assert value[f"C02.{year}_US_dutch_product"] == domestic
    scaled = {code for code in value if code[:3] in ("C01", "C02") and code[4:8] >= "2021"}
    assert claimed == scaled | {"N01.total", "N04.total", "N09.total", "N13.total", "N18.total", "N19.ratio"}


def test_reference_steel_tariff_goods_match_the_cbs_list() -> None:
    """One scope and several events repeat one list: a correction must reach every copy."""

    def codes(rows: list[dict[str, str]]) -> set[tuple[str, str]]:
        return {(row["product_code"], row["sign"]) for row in rows}

    of_cbs = codes([row for row in seed("metal_scope_members") if row["scope_code"] == "steel_cbs_2018"])
    of_chapter_72 = {pair for pair in of_cbs if pair[0].startswith("72")}
    assert len(of_chapter_72) == 27
    events = seed("tariff_event_products")
    for event in ("us_s232_steel_2018", "us_eu_trq_steel_2022"):
        assert codes([row for row in events if row["event_code"] == event]) == of_cbs
    for event in ("us_s232_metal_2025_03", "us_s232_metal_2025_06", "us_s232_restructured_2026_04"):
        goods = codes([row for row in events if row["event_code"] == event])
        assert {pair for pair in goods if pair[0].startswith("72")} == of_chapter_72, event
    exposed = [row for row in seed("metal_scope_members") if row["scope_code"] == "us232_exposed"]
    assert codes([row for row in exposed if row["product_code"].startswith("72")]) == of_chapter_72
    assert codes([row for row in exposed if row["valid_to"] == "2025-03-11"]) == of_cbs - of_chapter_72
    # Carried back, so that years can be compared.
    fixed = [row for row in seed("metal_scope_members") if row["scope_code"] == "us232_list_2026"]
    assert codes(fixed) == codes([row for row in exposed if not row["valid_to"]])
    assert {row["valid_from"] for row in fixed} == {"1988-01-01"}


def test_newest_published_figure_replaces_older_ones() -> None:
    found = reference.published_totals(get_dataset("cbs_85427ned"), is_simulated=False)
    figures = {code: value for code, _, _, value in found}
    assert figures["C02.2024_total"] == 790_156e6
    assert "N01.total" not in figures
    # Only the older publication has re-exports of 2024.
    assert figures["N02.re_export"] == 328_299e6

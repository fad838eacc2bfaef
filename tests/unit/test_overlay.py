"""A user's overlay of registry and partner codes, the entries that `doctor` writes, and its forecast of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from extract.errors import RegistryError
from extract.examine import Examined
from extract.registry import get_dataset, load_registry, use_overlay
from metaalexport import overlay, reference, verified
from metaalexport.arguments import SettingsError
from metaalexport.overlay import Learned, learn
from metaalexport.rehearsal import Rehearsed, foretell
from metaalexport.settings import Settings

CODE = "cbs_85429ned"
TITLE = Examined(CODE, "v4 Properties", "u", "differs", "Title is 'X: y'", 'title_nl: "X: y"')
GONE = Examined(CODE, "v4 Properties", "u", "fails", "HTTP 404: not found")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    use_overlay(tmp_path)
    yield tmp_path
    use_overlay(None)


def declare(folder: Path, text: str, code: str = CODE) -> Path:
    path = folder / "registry" / f"{code}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def partners(folder: Path, *rows: str) -> Path:
    path = folder / "office_partners.csv"
    path.write_text("\n".join((",".join(reference.PARTNER_COLUMNS), *rows)) + "\n", encoding="utf-8")
    return path


def test_overlay_changes_only_the_named_fields(folder: Path) -> None:
    packaged = get_dataset(CODE)
    declare(
        folder,
        "identifier: 85999NED\n"
        "measures: [{code: M001648, unit: 1 000 euro, factor: 1000}]\n"
        "thresholds: {max_unexplained_share: 0.2}\n",
    )
    changed = get_dataset(CODE)
    assert changed.identifier == "85999NED"
    by_code = {measure.code: measure for measure in changed.measures}
    assert (by_code["M001648"].unit, by_code["M001648"].factor) == ("1 000 euro", 1000)
    assert changed.measure_codes == packaged.measure_codes
    assert by_code["D001636"] == packaged.measures[0]
    assert changed.threshold("max_unexplained_share") == 0.2
    assert changed.threshold("rounding_unit_eur") == packaged.threshold("rounding_unit_eur")
    assert (changed.dimensions, changed.contract) == (packaged.dimensions, packaged.contract)
    assert get_dataset("cbs_85427ned").identifier == "85427NED"


def test_overlay_is_reread_after_a_change_and_is_part_of_the_rules(folder: Path) -> None:
    before = reference.rules_hash()
    path = declare(folder, "identifier: A\n")
    assert get_dataset(CODE).identifier == "A"
    first = reference.rules_hash()
    path.unlink()
    assert get_dataset(CODE).identifier == "85429NED"
    partners(folder, "eurostat,QN,unmapped")
    assert len({before, first, reference.rules_hash()}) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("identifer: X\n", "identifer"),
        ("- a list\n", "not a mapping"),
        ("a: [\n", "does not declare a dataset"),
        ("protocol: odata_v5\n", "unknown protocol 'odata_v5'"),
        ("measures: [{code: M1, unit: euro}]\n", r"no measures \['M1'\]"),
        ("measures: [{unit: euro}]\n", "'code'"),
        ("thresholds: {no_such: 1}\n", "no thresholds"),
    ],
)
def test_invalid_overlay_is_reported_with_its_file(folder: Path, text: str, problem: str) -> None:
    path = declare(folder, text)
    with pytest.raises(RegistryError, match=problem) as caught:
        load_registry()
    assert caught.value.where == str(path)


def test_overlay_of_an_unknown_dataset_is_reported(folder: Path) -> None:
    path = declare(folder, "identifier: X\n", "cbs_nothing")
    with pytest.raises(RegistryError, match="no dataset of the registry") as caught:
        load_registry()
    assert (caught.value.dataset, caught.value.where) == ("cbs_nothing", str(path))


def test_overlay_partners_take_precedence_and_reach_dbt(folder: Path) -> None:
    partners(folder, "eurostat,QN,country,VN,Viet Nam,2026-01-01,,seen,reported", "cbs,L008636,aggregate")
    assert reference.office_partners("eurostat")["QN"] == "country"
    assert reference.office_partners("cbs")["L008636"] == "aggregate"
    assert "QN" in reference.declared_codes(get_dataset("eurostat_ds_045409"))["partner"]
    target = folder / "ops" / "office_partners.csv"
    reference.write_overlay_partners(target)
    assert target.read_text(encoding="utf-8").splitlines()[1] == (
        "eurostat,QN,country,VN,Viet Nam,2026-01-01,,seen,reported"
    )
    (folder / "office_partners.csv").unlink()
    reference.write_overlay_partners(target)
    assert target.read_text(encoding="utf-8").splitlines() == [",".join(reference.PARTNER_COLUMNS)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("eurostat,,country,VN", "line 3: no value for office_code"),
        ("istat,QX,country,VN", "office is 'istat'"),
        ("cbs,QX,land,VN", "member_kind is 'land'"),
        ("cbs,QX,country,", "destination_code is ''"),
        ("cbs,QX,aggregate,VN", "a code of kind aggregate has none"),
        ("cbs,QX,country,VN,,01-01-2026", "valid_from is '01-01-2026'"),
        ("eurostat,QN,country,VN", "'QN' occurs twice"),
    ],
)
def test_invalid_partners_are_reported_with_file_and_line(folder: Path, row: str, problem: str) -> None:
    path = partners(folder, "eurostat,QN,unmapped", row)
    with pytest.raises(RegistryError) as caught:
        reference.office_partners("cbs")
    assert problem in caught.value.problem
    assert "line 3" in caught.value.problem
    assert caught.value.where == str(path)


def test_settings_use_the_overlay_of_the_profile_or_the_named_one(tmp_path: Path) -> None:
    root = {"METAALEXPORT_VAR": str(tmp_path)}
    try:
        live = Settings.from_environment({**root, "METAALEXPORT_PROFILE": "live"})
        assert live.overlay == tmp_path / "live" / "overlay"
        named = Settings.from_environment({**root, "METAALEXPORT_OVERLAY": str(tmp_path / "own")})
        assert named.overlay == tmp_path / "own"
        (tmp_path / "own").mkdir()
        declare(tmp_path / "own", "identifier: X\n")
        assert get_dataset(CODE).identifier == "X"
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError, match="is not a folder"):
            Settings.from_environment({**root, "METAALEXPORT_OVERLAY": str(tmp_path / "file")})
    finally:
        use_overlay(None)


def passed(code: str = CODE, reporter: str = "NL", **more: Any) -> Rehearsed:
    return Rehearsed(code, reporter, "2025", **more)


def stopped(code: str, reporter: str, reason: str, **more: Any) -> Rehearsed:
    return Rehearsed(code, reporter, "2025", reason=reason, problem=reason, **more)


def test_learn_accepts_certain_titles_units_and_partners() -> None:
    units = (
        ("D001636", "1 000 euro", "mln euro", "EUR"),
        ("M001648", "mln euro", "mln euro", "EUR"),
        ("M001632", "mln dollar", "mln euro", "EUR"),
        ("M000210", "saldo %", "", "BALANCE"),
        ("M000211", "2025=100", "2021=100", "INDEX"),
        ("M000212", "2021 = 100", "2021=100", "INDEX"),
    )
    row = {"office": "cbs", "office_code": "L1", "member_kind": "unmapped"}
    learned = learn([TITLE], [passed(units=units, partners=(row,)), passed("cbs_85427ned", partners=(row,))])
    assert learned.registry == {
        CODE: {
            "title_nl": "X: y",
            "measures": [
                {"code": "D001636", "unit": "1 000 euro", "factor": 1000.0},
                {"code": "M000210", "unit": "saldo %"},
            ],
        }
    }
    assert learned.partners == [row]


def test_learn_accepts_another_table_only_if_the_declared_one_is_gone_and_one_candidate_is_left() -> None:
    found = [Examined(CODE, f"candidate {n}", "u", "differs", "", f"identifier: {n}") for n in ("85998NED", "85999NED")]
    assert learn([GONE, found[0]], []).registry == {CODE: {"identifier": "85998NED"}}
    assert learn([GONE, *found], []).registry == {}
    assert learn([TITLE, found[0]], [passed()]).registry == {CODE: {"title_nl": "X: y"}}
    # A stopped rehearsal may concern another table altogether.
    assert learn([TITLE, found[0]], [stopped(CODE, "NL", "no measure")]).registry == {}
    overloaded = Examined(CODE, "v4 Properties", "u", "fails", "HTTP 503")
    assert learn([overloaded, found[0]], []).registry == {}
    elsewhere = Examined(CODE, "v4 SITCCodes", "u", "differs", "no code ['SITC67*']")
    assert learn([elsewhere, found[0]], []).registry == {CODE: {"identifier": "85998NED"}}
    dimensions = Examined(CODE, "v4 Dimensions", "u", "differs", "", "dimensions: {Landen: partner}")
    assert learn([dimensions], []).registry == {}


def test_write_keeps_user_entries_and_is_idempotent(folder: Path) -> None:
    path = declare(folder, "thresholds: {max_unexplained_share: 0.2}\nidentifier: OLD\n")
    partners(folder, "cbs,L1,country,VN")
    row = {"office": "cbs", "office_code": "L1", "member_kind": "unmapped"}
    measures = [{"code": "D001636", "unit": "1 000 euro", "factor": 1000.0}]
    new = {**row, "office_code": "L2", "office_name": 'A, "B"'}
    learned = Learned({CODE: {"identifier": "85999NED", "measures": measures}}, [row, new])
    written = overlay.write(folder, learned)
    assert f"{path}: identifier: 85999NED" in written
    assert f'{folder / "office_partners.csv"}: cbs,L2,unmapped,,"A, ""B""",,,,' in written
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {
        "thresholds": {"max_unexplained_share": 0.2},
        "identifier": "85999NED",
        "measures": measures,
    }
    assert [(row["office_code"], row["member_kind"]) for row in reference.overlay_partners()] == [
        ("L1", "country"),
        ("L2", "unmapped"),
    ]
    before = {p: p.read_bytes() for p in folder.rglob("*.*")}
    assert overlay.write(folder, learned) == []
    assert {p: p.read_bytes() for p in folder.rglob("*.*")} == before
    assert get_dataset(CODE).measures[0].factor == 1000


def test_write_removes_entries_equal_to_the_package(folder: Path) -> None:
    path = declare(folder, "identifier: 85999NED\n")
    assert overlay.write(folder, Learned({CODE: {"identifier": "85429NED"}})) == [
        f"{path}: removed, the package has the same"
    ]
    assert not path.exists()


METAL, SECTIONS = "eurostat_ds_045409", "eurostat_ds_059331"


def test_forecast_states_what_would_be_published_and_why_not(tmp_path: Path) -> None:
    live = Settings("live", tmp_path)
    results = [
        passed(METAL, "NL"),
        stopped(METAL, "EU27_2020", "total_is_present: 1 rows"),
        passed(CODE),
        passed(SECTIONS, "NL"),
        stopped("eurostat_sts_inpr_m", "NL", "HTTP 503"),
        stopped("eurostat_sts_inpr_m", "DE", "HTTP 503"),
    ]
    assert foretell(live, results) == (
        "a live run would publish: NL metal yes, EU27_2020 metal no because total_is_present: 1 rows,"
        f" {CODE} yes, 1 of 3 other slices, eurostat_sts_inpr_m NL+DE no because HTTP 503"
    )
    there = [stopped(METAL, "NL", "HTTP 503", stays_at="2026-10-15T09:00:00Z")]
    assert foretell(live, there) == (
        "a live run would publish: NL metal nothing new (it stays at the release of 2026-10-15) because HTTP 503"
    )
    assert foretell(Settings("simulator", tmp_path), results[:1]) == (
        "a run against the simulator would publish: NL metal yes"
    )


def test_verified_holds_only_for_the_examined_declaration(folder: Path) -> None:
    settings = Settings("live", folder / "live")
    dataset = get_dataset(CODE)
    assert not verified.is_verified(settings, dataset)
    verified.keep(settings, dataset, verified.Evidence(True, {"r1": "https://x.example"}), "2026-11-29T10:00:00Z")
    verified.keep(settings, get_dataset(METAL), verified.Evidence(True, {}), "2026-11-29T10:00:00Z")
    kept = json.loads((folder / "live" / "verified.json").read_text(encoding="utf-8"))
    assert (kept[CODE]["verified_at"], kept[CODE]["requests"]) == ("2026-11-29T10:00:00Z", {"r1": "https://x.example"})
    assert verified.is_verified(settings, dataset)
    declare(folder, "identifier: X\n")
    assert not verified.is_verified(settings, get_dataset(CODE))
    verified.keep(settings, dataset, verified.Evidence(False, {}), "2026-11-30T10:00:00Z")
    assert not verified.is_verified(settings, dataset)
    assert verified.is_verified(settings, get_dataset(METAL))

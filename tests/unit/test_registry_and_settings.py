"""Declared datasets and environment settings: valid input is read, invalid input is named."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest

from extract.dataset import CONTRACT_MODES, DEFAULT_THRESHOLDS, EU, PROTOCOLS, RESERVED_COLUMNS, Contract, Dataset
from extract.errors import RegistryError
from extract.landing.layout import cell_content, cell_key, change_columns
from extract.offices import OFFICES
from extract.registry import REGISTRY_DIR, get_dataset, load_registry, read_declaration
from extract.schema import PATH, registry_schema
from metaalexport.arguments import SettingsError
from metaalexport.ingest import plan_loads
from metaalexport.run import Run
from metaalexport.settings import LAST_RUN, PROFILES, REFERENCE, Settings, write_last_run
from metaalexport.settings import OFFICES as KNOWN_OFFICES

CODES = sorted(path.stem for path in REGISTRY_DIR.glob("[!_]*.yml"))
DEFAULTS = [code for code in CODES if get_dataset(code).by_default]

# The smallest complete registry file.
COMPLETE = """
code: own_table
office: cbs
identifier: OWN
protocol: odata_v4
title_nl: Eigen
title_en: Own
dimensions: {Landen: partner, SITC: product, Perioden: period}
period_pattern: '.+'
total_partner: T
measures:
  - {code: M1, unit: mln euro, canonical_unit: EUR, factor: 1000000}
first_period: 2015-01
licence: CC BY 4.0
licence_url: https://x.example
citation: x
source_url: https://x.example
release_note: x
release: {every_days: 31, grace_days: 14}
"""
UNITS = {"EUR", "KG", "SUPPLEMENTARY", "INDEX", "PERCENT", "COUNT", "BALANCE", "RATE"}


@pytest.fixture(params=CODES)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return get_dataset(request.param)


def test_registry_ships_at_least_two_files() -> None:
    assert len(CODES) >= 2
    assert list(load_registry()) == CODES


def test_registry_dataset_names_known_office_protocol_and_dimensions(dataset: Dataset) -> None:
    assert dataset.office in OFFICES
    assert dataset.protocol in PROTOCOLS
    assert dataset.period_dimension in dataset.dimensions
    assert set(dataset.select) <= set(dataset.dimensions)
    assert dataset.slice_by in ("reporter", "month", "whole")
    assert dataset.fallback in ("", "odata_v3")
    # Slices by reporter need a reporter column; a comparison with a total needs a partner column.
    assert dataset.slice_by != "reporter" or "reporter" in dataset.columns
    assert not dataset.total_partner or "partner" in dataset.columns


def test_registry_dataset_measures_have_unique_codes_and_positive_factors(dataset: Dataset) -> None:
    assert dataset.measures
    assert len(set(dataset.measure_codes)) == len(dataset.measures)
    assert all(measure.factor > 0 for measure in dataset.measures)
    assert {measure.canonical_unit for measure in dataset.measures} <= UNITS
    # Totals are compared in euros.
    assert dataset.value_measures or not dataset.total_partner


def test_registry_dataset_with_a_fallback_maps_each_measure_to_its_column(dataset: Dataset) -> None:
    indexes = [measure.index for measure in dataset.measures]
    assert not dataset.fallback or (None not in indexes and len(set(indexes)) == len(indexes))


def test_registry_dataset_first_period_is_a_month_and_the_pattern_compiles(dataset: Dataset) -> None:
    assert re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", dataset.first_period)
    assert re.compile(dataset.period_pattern).fullmatch("") is None


def test_registry_dataset_has_licence_citation_and_thresholds(dataset: Dataset) -> None:
    assert dataset.citation
    assert dataset.licence
    assert dataset.licence_url.startswith("https://")
    assert dataset.source_url.startswith("https://")
    assert set(dataset.thresholds) <= set(DEFAULT_THRESHOLDS)
    assert all(dataset.threshold(name) > 0 for name in DEFAULT_THRESHOLDS)


def test_registry_dataset_refreshes_at_least_the_trailing_year(dataset: Dataset) -> None:
    assert 6 <= dataset.refresh.trailing_months <= 60
    # Offices revise old years too: each is requested at least once a month, unless it is a separate file.
    assert dataset.refresh.full_every_days <= 31 or dataset.protocol == "comext_bulk"
    assert dataset.refresh.full_every_days == 0 or not dataset.bulk, "the zip is one request"


def test_registry_dataset_landing_columns_are_key_and_content(dataset: Dataset) -> None:
    columns = set(change_columns(dataset))
    key, content = set(cell_key(dataset)), set(cell_content(dataset))
    assert key | content | {"load_id", "request_no", "change_kind"} == columns
    assert not key & content


def test_registry_defaults_are_the_datasets_of_the_dags(tmp_path: Path) -> None:
    assert {"cbs_85427ned", "cbs_85429ned", "eurostat_ds_045409"} <= set(DEFAULTS)
    settings = Settings.from_environment({"METAALEXPORT_VAR": str(tmp_path)})
    assert settings.datasets_to_load() == DEFAULTS
    # Unverified datasets are included: a table that differs from its declaration affects only itself.
    live = Settings.from_environment({"METAALEXPORT_PROFILE": "live"}).datasets_to_load()
    assert live == DEFAULTS


def test_settings_without_a_profile_use_the_last_run(tmp_path: Path) -> None:
    environment = {"METAALEXPORT_VAR": str(tmp_path)}
    assert Settings.from_environment(environment).profile == "simulator"
    write_last_run(Settings.from_environment({**environment, "METAALEXPORT_PROFILE": "live"}))
    assert Settings.from_environment({**environment, "METAALEXPORT_PROFILE": "auto"}).profile == "live"
    replay = {**environment, "METAALEXPORT_PROFILE": "replay", "METAALEXPORT_REPLAY": str(tmp_path)}
    write_last_run(Settings.from_environment(replay))
    assert Settings.from_environment(environment).replay_folder == tmp_path
    assert Settings.from_environment({**environment, "METAALEXPORT_PROFILE": "simulator"}).profile == "simulator"


@pytest.mark.parametrize("text", ["", '{"profile": "li', "[]", "{}", '{"profile": "none", "replay": ""}', "\x00"])
def test_unreadable_last_run_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / LAST_RUN).write_text(text, encoding="utf-8")
    environment = {"METAALEXPORT_VAR": str(tmp_path)}
    with pytest.raises(SettingsError, match=r"last_run\.json is damaged.*next: set METAALEXPORT_PROFILE"):
        Settings.from_environment(environment)
    # A named profile does not need the file, and its run writes one.
    named = Settings.from_environment({**environment, "METAALEXPORT_PROFILE": "live"})
    write_last_run(named)
    assert Settings.from_environment(environment).profile == "live"


def test_replies_next_to_the_states_move_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before / "replies", elsewhere):
        folder.mkdir(parents=True)
    for replay in (before / "replies", elsewhere):
        environment = {"METAALEXPORT_VAR": str(before / "var"), "METAALEXPORT_REPLAY": str(replay)}
        write_last_run(Settings.from_environment(environment))
        # The result does not depend on the working directory.
        monkeypatch.chdir(tmp_path)
        assert Settings.from_environment({"METAALEXPORT_VAR": str(before / "var")}).replay_folder == replay
        before.rename(after)
        moved = Settings.from_environment({"METAALEXPORT_VAR": str(after / "var")}).replay_folder
        assert moved == (elsewhere if replay == elsewhere else after / "replies")
        assert str(before) not in (after / "var" / LAST_RUN).read_text()
        after.rename(before)


def test_registry_greece_has_another_code_on_the_main_eurostat_host() -> None:
    assert get_dataset("eurostat_sts_inpr_m").reporters(("NL", "GR", EU)) == ("NL", "EL")
    assert get_dataset("eurostat_ds_045409").reporters(("GR", EU)) == ("GR", EU)


@pytest.mark.parametrize(
    ("code", "first_month", "expected"),
    [
        ("eurostat_sts_inpr_m", "2024-05", ("EL", "2024-05")),
        # January represents a year.
        ("eurostat_ext_tec01", "2024-05", ("EL", "2024-01")),
        ("eurostat_ds_045409", "2024-05", ("GR", "2024-05")),
    ],
)
def test_plan_loads_uses_the_codes_and_periods_of_the_dataset(
    tmp_path: Path, code: str, first_month: str, expected: tuple[str, str]
) -> None:
    settings = Settings(profile="simulator", state=tmp_path, reporters=("GR",))
    (part,) = plan_loads(Run(settings), code, first_month=first_month)
    assert (part["reporter"], part["first_month"]) == expected


def test_registry_name_prefix_identifies_the_comext_host() -> None:
    comext = {code for code in CODES if get_dataset(code).is_comext}
    assert comext == {code for code in CODES if code.startswith("eurostat_ds_")}


def test_registry_measures_match_the_seed() -> None:
    with (REFERENCE / "office_measures.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    meant = {code: {row["measure_code"] for row in rows if row["dataset_code"] == code} for code in CODES}
    assert meant["cbs_85429ned"]
    assert meant["eurostat_ds_045409"]
    assert {code: measures for code, measures in meant.items() if measures} == {
        code: set(get_dataset(code).measure_codes) for code, measures in meant.items() if measures
    }


def test_get_dataset_unknown_code_lists_the_known_ones() -> None:
    with pytest.raises(RegistryError, match="no such dataset") as caught:
        get_dataset("cbs_85429NED")
    assert all(code in caught.value.next_step for code in CODES)


def write_registry(folder: Path, text: str, name: str = "own_table.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_load_registry_complete_file_is_read(tmp_path: Path) -> None:
    write_registry(tmp_path, COMPLETE)
    (dataset,) = load_registry(tmp_path).values()
    assert (dataset.code, dataset.dimensions, dataset.measures[0].factor) == (
        "own_table",
        {"Landen": "partner", "SITC": "product", "Perioden": "period"},
        1_000_000.0,
    )
    assert (dataset.columns, dataset.period_dimension, dataset.by_default) == (
        ("partner", "product", "period"),
        "Perioden",
        False,
    )
    assert dataset.contract == Contract()
    assert {name: dataset.threshold(name) for name in DEFAULT_THRESHOLDS} == DEFAULT_THRESHOLDS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("measures:\n  - {code: M1, unit: mln euro, canonical_unit: EUR, factor: 1000000}\n", ""),
        (", factor: 1000000", ""),
        ("dimensions: {Landen: partner, SITC: product, Perioden: period}\n", ""),
        ("licence: CC BY 4.0\n", ""),
        ("citation: x\n", "citation: x\nunknown_field: 1\n"),
        ("factor: 1000000", "factor: [1]"),
        (COMPLETE, "- a list\n"),
    ],
    ids=["no measures", "no factor", "no dimensions", "no licence", "unknown field", "factor is a list", "a list"],
)
def test_load_registry_incomplete_file_is_named(tmp_path: Path, before: str, after: str) -> None:
    assert before in COMPLETE
    path = write_registry(tmp_path, COMPLETE.replace(before, after))
    with pytest.raises(RegistryError, match="does not declare a dataset") as caught:
        load_registry(tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.dataset == "own_table"


def test_load_registry_code_other_than_the_file_name_is_refused(tmp_path: Path) -> None:
    path = write_registry(tmp_path, COMPLETE, "other_name.yml")
    with pytest.raises(RegistryError, match="declares the code 'own_table'") as caught:
        load_registry(tmp_path)
    assert caught.value.where == str(path)


PROBLEMS = {
    "unknown protocol": ("protocol: odata_v4", "protocol: odata_v5", "unknown protocol 'odata_v5'", "odata_v4, sdmx"),
    "column twice": ("SITC: product", "SITC: partner", "['partner'] are given twice or reserved", "its own column"),
    **{
        f"reserved column {name}": ("SITC: product", f"SITC: {name}", f"['{name}'] are given twice", "its own column")
        for name in sorted(RESERVED_COLUMNS - {"measure"})
    },
    "no period": ("Perioden: period", "Perioden: month", "no dimension has the landing column 'period'", "is time"),
    **{
        f"{rule} cannot be {mode}": (
            "citation: x",
            f"citation: x\ncontract: {{{rule}: {mode}}}"
            if rule != "new_code"
            else f"citation: x\ncontract: {{new_code: {{partner: {mode}}}}}",
            f"contract rule '{rule}' cannot have the mode '{mode}'",
            f"one of: {', '.join(modes)}",
        )
        for rule, modes in CONTRACT_MODES.items()
        for mode in ("ignore", "warn", "quarantine", "fail")
        if mode not in modes
    },
    "select of no dimension": (
        "citation: x",
        "citation: x\nselect: {Marges: [MW00000]}",
        "`select` names ['Marges'], which are not dimensions",
        "dimensions: Landen, SITC, Perioden",
    ),
}


@pytest.mark.parametrize(("before", "after", "problem", "step"), PROBLEMS.values(), ids=list(PROBLEMS))
def test_load_registry_invalid_declaration_is_reported_with_a_next_step(
    tmp_path: Path, before: str, after: str, problem: str, step: str
) -> None:
    assert COMPLETE.count(before) == 1
    path = write_registry(tmp_path, COMPLETE.replace(before, after))
    with pytest.raises(RegistryError) as caught:
        load_registry(tmp_path)
    assert problem in caught.value.problem
    assert step in caught.value.next_step
    assert (caught.value.where, caught.value.dataset) == (str(path), "own_table")


@pytest.mark.parametrize("rule", CONTRACT_MODES)
def test_load_registry_reads_every_contract_mode(tmp_path: Path, rule: str) -> None:
    for number, mode in enumerate(CONTRACT_MODES[rule]):
        folder = tmp_path / str(number)
        folder.mkdir()
        declared = f"{{partner: {mode}}}" if rule == "new_code" else mode
        write_registry(folder, f"{COMPLETE}contract: {{{rule}: {declared}}}\n")
        (dataset,) = load_registry(folder).values()
        contract = dataset.contract
        assert (contract.new_code_mode("partner") if rule == "new_code" else getattr(contract, rule)) == mode


def test_contract_mode_of_a_new_code_comes_from_its_column_or_the_default() -> None:
    contract = Contract(new_code={"partner": "fail", "default": "quarantine"})
    assert (contract.new_code_mode("partner"), contract.new_code_mode("product")) == ("fail", "quarantine")
    assert Contract(new_code={"partner": "fail"}).new_code_mode("product") == "warn"


@pytest.mark.parametrize(
    ("products", "codes"), [("scopes", ("scopes",)), ("[SITC67*, '72', scopes]", ("SITC67*", "72", "scopes"))]
)
def test_load_registry_products_are_codes_and_scopes(tmp_path: Path, products: str, codes: tuple[str, ...]) -> None:
    write_registry(tmp_path, f"{COMPLETE}nomenclature: SITC\nproducts: {products}\n")
    (dataset,) = load_registry(tmp_path).values()
    assert dataset.products == codes


def test_load_registry_products_of_scopes_need_a_nomenclature(tmp_path: Path) -> None:
    write_registry(tmp_path, f"{COMPLETE}products: scopes\n")
    with pytest.raises(RegistryError, match="of no nomenclature"):
        load_registry(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "code: [unclosed", COMPLETE.replace("factor: 1000000", "factor: million")],
    ids=["empty", "not YAML", "factor is a word"],
)
def test_load_registry_unreadable_file_is_named(tmp_path: Path, text: str) -> None:
    path = write_registry(tmp_path, text)
    with pytest.raises(RegistryError) as caught:
        load_registry(tmp_path)
    assert caught.value.where == str(path)


def test_settings_empty_environment_uses_the_simulator() -> None:
    settings = Settings.from_environment({})
    assert settings.profile == "simulator"
    assert settings.is_simulated
    assert settings.reporters == ("NL", "DE", "EU27_2020")
    assert settings.first_month is None
    assert settings.user_scopes is None
    assert settings.state.name == "simulator"


@pytest.mark.parametrize("profile", PROFILES)
def test_settings_every_profile_keeps_its_own_state(tmp_path: Path, profile: str) -> None:
    settings = Settings.from_environment(
        {"METAALEXPORT_PROFILE": profile, "METAALEXPORT_VAR": str(tmp_path), "METAALEXPORT_REPLAY": str(tmp_path)}
    )
    kept = [settings.raw, settings.landing, settings.journal, settings.warehouse, settings.published, settings.report]
    kept += [settings.gx, settings.dbt, settings.airflow_home, settings.offices]
    assert all(path.is_relative_to(tmp_path / profile) for path in kept)
    assert len(set(kept)) == len(kept)
    assert settings.is_simulated is (profile == "simulator")


def test_settings_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'prod'.*simulator, live, replay"):
        Settings.from_environment({"METAALEXPORT_PROFILE": "prod"})


def test_settings_replay_without_a_folder_states_the_remedy() -> None:
    with pytest.raises(SettingsError, match="REPLAY=<folder>"):
        Settings.from_environment({"METAALEXPORT_PROFILE": "replay"})


@pytest.mark.parametrize("name", ["METAALEXPORT_SCOPES", "METAALEXPORT_REPLAY"])
def test_settings_missing_path_is_named(tmp_path: Path, name: str) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(SettingsError, match=f"{name} names {absent}"):
        Settings.from_environment({name: str(absent)})


@pytest.mark.parametrize("name", ["o'brien", "data[1]", "what?", "all*"])
def test_settings_state_folder_that_sql_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="METAALEXPORT_VAR") as caught:
        Settings.from_environment({"METAALEXPORT_VAR": str(tmp_path / name)})
    assert name in str(caught.value)


def test_settings_read_the_environment(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "METAALEXPORT_PROFILE": "live",
            "METAALEXPORT_VAR": str(tmp_path),
            "METAALEXPORT_REPORTERS": "NL, FR",
            "METAALEXPORT_FIRST_MONTH": "2024-01",
            "METAALEXPORT_TASK_RETRIES": "0",
            "METAALEXPORT_HTTP_ATTEMPTS": "2",
            "METAALEXPORT_HTTP_BASE_SECONDS": "0.5",
            "METAALEXPORT_CBS_URL": "https://mirror.example",
            "METAALEXPORT_DATASETS": "cbs_85427ned",
            "METAALEXPORT_REQUEST_BUDGET": "50",
            "METAALEXPORT_LOCK_WAIT_SECONDS": "1.5",
        }
    )
    assert settings.reporters == ("NL", "FR")
    assert settings.first_month == "2024-01"
    assert (settings.task_retries, settings.http_attempts, settings.http_base_seconds) == (0, 2, 0.5)
    public = {"v4": "https://public.example/odata/v1", "bulk": "https://public.example/csv"}
    assert settings.office_hosts("cbs", public) == {
        "v4": "https://mirror.example/odata/v1",
        "bulk": "https://mirror.example/csv",
    }
    assert settings.office_hosts("eurostat", public) == public
    assert (settings.request_budget, settings.lock_wait_seconds) == (50, 1.5)
    assert settings.datasets_to_load("cbs") == ["cbs_85427ned"]
    assert settings.datasets_to_load("eurostat") == []


@pytest.mark.parametrize("office", sorted(OFFICES))
def test_settings_simulator_never_uses_a_public_address(office: str) -> None:
    settings = Settings.from_environment({"METAALEXPORT_SIMULATOR_URL": "http://127.0.0.1:9"})
    public = OFFICES[office].hosts()
    found = settings.office_hosts(office, public)
    assert set(found) == set(public)
    # Each URL keeps its path, which identifies a service of the office.
    assert found == {name: f"http://127.0.0.1:9{urlsplit(url).path}" for name, url in public.items()}


def test_settings_know_every_office() -> None:
    assert set(KNOWN_OFFICES) == set(OFFICES)


def test_settings_datasets_are_defaults_all_or_named() -> None:
    assert Settings.from_environment({}).datasets_to_load() == DEFAULTS
    assert Settings.from_environment({"METAALEXPORT_DATASETS": "all"}).datasets_to_load() == CODES
    named = Settings.from_environment({"METAALEXPORT_DATASETS": "eurostat_ext_tec01, cbs_85427ned"})
    assert named.datasets_to_load() == ["eurostat_ext_tec01", "cbs_85427ned"]
    assert named.datasets_to_load("eurostat") == ["eurostat_ext_tec01"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METAALEXPORT_TASK_RETRIES", "three"),
        ("METAALEXPORT_RETRY_DELAY_SECONDS", "5m"),
        ("METAALEXPORT_HTTP_ATTEMPTS", "0"),
        ("METAALEXPORT_HTTP_BASE_SECONDS", "fast"),
        ("METAALEXPORT_FIRST_MONTH", "2024/1"),
        ("METAALEXPORT_FIRST_MONTH", "2024-13"),
        ("METAALEXPORT_REPORTERS", ""),
        ("METAALEXPORT_REPORTERS", "NL,,DE"),
        ("METAALEXPORT_DATASETS", "cbs_85429NED"),
        ("METAALEXPORT_REQUEST_BUDGET", "0"),
        ("METAALEXPORT_LOCK_WAIT_SECONDS", "-1"),
    ],
)
def test_settings_invalid_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_editor_schema_matches_the_class_and_validates_every_file() -> None:
    schema = json.loads(PATH.read_text(encoding="utf-8"))
    assert schema == registry_schema(), "run: .venv/bin/python -m extract.schema"
    validator = jsonschema.Draft202012Validator(schema)
    for code in CODES:
        declared = read_declaration(REGISTRY_DIR / f"{code}.yml")
        assert [error.message for error in validator.iter_errors(declared)] == [], code
    wrong = {**declared, "protocoll": "sdmx", "thresholds": {"min_rows": 1}, "slice_by": "week"}
    assert len([*validator.iter_errors(wrong)]) == 3

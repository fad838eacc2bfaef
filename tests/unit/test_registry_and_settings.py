"""The declared datasets and the environment: what is right is read, what is wrong is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from extract.errors import RegistryError
from extract.landing import OBSERVATIONS, landing_tables
from extract.offices import OFFICES
from extract.registry import REGISTRY_DIR, Dataset, get_dataset, load_registry
from metaalexport.settings import DBT_PROJECT, PROFILES, SIMULATOR_PATHS, Settings, SettingsError

CODES = sorted(path.stem for path in REGISTRY_DIR.glob("*.yml"))

# A registry file of our own making: the smallest that is complete.
COMPLETE = """
code: own_table
office: cbs
identifier: OWN
title_nl: Eigen
title_en: Own
dimensions: [Landen, SITC, Perioden]
partner_dimension: Landen
product_dimension: SITC
period_dimension: Perioden
period_pattern: '.*'
total_partner: T
measure_dimension: Measure
measures:
  - {code: M1, unit: mln euro, canonical_unit: EUR, factor: 1000000}
fixed: {}
first_period: 2015-01
licence: CC BY 4.0
licence_url: https://x.example
citation: x
source_url: https://x.example
release_note: x
verified: true
thresholds: {}
"""


@pytest.fixture(params=CODES)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return get_dataset(request.param)


def test_registry_shipped_files_are_two_or_more() -> None:
    assert len(CODES) >= 2
    assert list(load_registry()) == CODES


def test_registry_dataset_names_an_office_and_its_own_dimensions(dataset: Dataset) -> None:
    assert dataset.office in OFFICES
    assert dataset.office in OBSERVATIONS
    assert dataset.dimensions
    assert {dataset.partner_dimension, dataset.product_dimension, dataset.period_dimension} <= set(dataset.dimensions)
    assert set(dataset.fixed) <= set(dataset.dimensions)


def test_registry_dataset_measures_have_unique_codes_and_positive_factors(dataset: Dataset) -> None:
    assert dataset.measures
    assert len(set(dataset.measure_codes)) == len(dataset.measures)
    assert all(measure.factor > 0 and measure.unit for measure in dataset.measures)
    assert {measure.canonical_unit for measure in dataset.measures} <= {"EUR", "KG", "SUPPLEMENTARY"}
    assert "EUR" in {measure.canonical_unit for measure in dataset.measures}


def test_registry_dataset_first_period_is_a_month_and_the_pattern_compiles(dataset: Dataset) -> None:
    assert re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", dataset.first_period)
    assert re.compile(dataset.period_pattern).fullmatch("") is None


def test_registry_dataset_has_licence_citation_and_thresholds(dataset: Dataset) -> None:
    assert dataset.citation
    assert dataset.licence
    assert dataset.licence_url.startswith("https://")
    assert dataset.source_url.startswith("https://")
    assert set(dataset.thresholds) >= {
        "rounding_unit_eur",
        "max_unexplained_share",
        "max_vanished_share",
        "min_rows_ratio",
    }
    assert all(value > 0 for value in dataset.thresholds.values())


def test_registry_dataset_has_a_staging_source_and_staging_models(dataset: Dataset) -> None:
    sources_file = DBT_PROJECT / "models" / "staging" / dataset.office / "_sources.yml"
    sources = {source["name"]: source for source in yaml.safe_load(sources_file.read_text("utf-8"))["sources"]}
    source = sources[f"landing_{dataset.code}"]
    tables = {table["name"] for table in source["tables"]}
    assert {"observations", "measures", "coverage"} <= tables <= set(landing_tables(dataset))
    assert f"/landing/{dataset.code}/" in source["config"]["meta"]["external_location"]
    for table in ("observations", "measures", "coverage"):
        assert (sources_file.parent / f"stg_{dataset.code}__{table}.sql").is_file()


def test_registry_measures_are_those_the_seed_gives_a_meaning(dataset: Dataset) -> None:
    lines = (DBT_PROJECT / "seeds" / "office_measures.csv").read_text("utf-8").splitlines()
    meant = {line.split(",")[1] for line in lines if line.split(",")[0] == dataset.code}
    assert meant == set(dataset.measure_codes)


def test_get_dataset_unknown_code_names_those_that_exist() -> None:
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
        ("Landen", "SITC", "Perioden"),
        1_000_000.0,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("measures:\n  - {code: M1, unit: mln euro, canonical_unit: EUR, factor: 1000000}\n", ""),
        (", factor: 1000000", ""),
        ("dimensions: [Landen, SITC, Perioden]\n", ""),
        ("licence: CC BY 4.0\n", ""),
        ("verified: true\n", "verified: true\nunknown_field: 1\n"),
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


def test_load_registry_code_unlike_its_file_name_is_refused(tmp_path: Path) -> None:
    path = write_registry(tmp_path, COMPLETE, "other_name.yml")
    with pytest.raises(RegistryError, match="declares the code 'own_table'") as caught:
        load_registry(tmp_path)
    assert caught.value.where == str(path)


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


def test_settings_empty_environment_is_the_simulator() -> None:
    settings = Settings.from_environment({})
    assert settings.profile == "simulator"
    assert settings.is_simulated
    assert settings.reporters == ("NL", "DE")
    assert settings.first_month is None
    assert settings.user_scopes is None
    assert settings.state.name == "simulator"


@pytest.mark.parametrize("profile", PROFILES)
def test_settings_every_profile_keeps_its_own_state(tmp_path: Path, profile: str) -> None:
    settings = Settings.from_environment(
        {"METAALEXPORT_PROFILE": profile, "METAALEXPORT_VAR": str(tmp_path), "METAALEXPORT_REPLAY": str(tmp_path)}
    )
    kept = [settings.raw, settings.landing, settings.journal, settings.warehouse, settings.published, settings.report]
    kept += [settings.gx, settings.dbt, settings.airflow_home]
    assert all(path.is_relative_to(tmp_path / profile) for path in kept)
    assert len(set(kept)) == len(kept)
    assert settings.is_simulated is (profile == "simulator")


def test_settings_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'prod'.*simulator, live, replay"):
        Settings.from_environment({"METAALEXPORT_PROFILE": "prod"})


def test_settings_replay_without_a_folder_says_what_to_give() -> None:
    with pytest.raises(SettingsError, match="REPLAY=<folder>"):
        Settings.from_environment({"METAALEXPORT_PROFILE": "replay"})


@pytest.mark.parametrize("name", ["METAALEXPORT_SCOPES", "METAALEXPORT_REPLAY"])
def test_settings_path_that_is_absent_is_named(tmp_path: Path, name: str) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(SettingsError, match=f"{name} names {absent}"):
        Settings.from_environment({name: str(absent)})


def test_settings_values_of_the_environment_are_read(tmp_path: Path) -> None:
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
        }
    )
    assert settings.reporters == ("NL", "FR")
    assert settings.first_month == "2024-01"
    assert (settings.task_retries, settings.http_attempts, settings.http_base_seconds) == (0, 2, 0.5)
    assert settings.office_url("cbs", "https://public.example") == "https://mirror.example"
    assert settings.office_url("eurostat", "https://public.example") == "https://public.example"


@pytest.mark.parametrize("office", sorted(SIMULATOR_PATHS))
def test_settings_simulator_never_asks_the_public_address(office: str) -> None:
    settings = Settings.from_environment({"METAALEXPORT_SIMULATOR_URL": "http://127.0.0.1:9"})
    assert settings.office_url(office, "https://public.example") == "http://127.0.0.1:9" + SIMULATOR_PATHS[office]


def test_settings_simulator_knows_the_path_of_every_office() -> None:
    assert set(SIMULATOR_PATHS) == set(OFFICES)


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
    ],
)
def test_settings_value_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})

"""Superset's datasets, charts and settings, read from their files; Superset itself is not needed."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from bi.datasets import datasets, number_format, title
from common.contracts import read_models
from publish.duckdb_file import _PUBLICATION_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "bi" / "assets"
PROJECT = ROOT / "dbt_project"
SECRETS = {"SUPERSET_SECRET_KEY": "secret", "SUPERSET_DATABASE_URL": "sqlite://"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


MADE = {**datasets(PROJECT), "publication": read(ASSETS / "datasets" / "marts" / "publication.yaml")}
BY_UUID = {dataset["uuid"]: dataset for dataset in MADE.values()}
CHARTS = {path.stem: read(path) for path in sorted((ASSETS / "charts").glob("*.yaml"))}
DASHBOARD = read(ASSETS / "dashboards" / "metal_exports_by_destination.yaml")


def names(dataset: dict[str, Any], kind: str) -> set[str]:
    return {item["metric_name" if kind == "metrics" else "column_name"] for item in dataset[kind]}


def test_every_published_model_is_a_dataset_with_its_columns_and_descriptions() -> None:
    models = {model.name: model for model in read_models(PROJECT, "marts", "ops")}
    assert len(models) == 43
    found = {dataset["table_name"]: dataset for dataset in datasets(PROJECT).values()}
    assert set(found) == set(models)
    for name, model in models.items():
        described = {column["column_name"]: column["description"] for column in found[name]["columns"]}
        assert {column.name: column.description for column in model.columns}.items() <= described.items()
    assert len(BY_UUID) == 44


def test_metrics_never_sum_shares_and_every_sum_is_of_one_view() -> None:
    metrics = [metric for dataset in MADE.values() for metric in dataset["metrics"]]
    assert len(metrics) > 200
    for metric in metrics:
        name, expression = metric["metric_name"], metric["expression"]
        if name == "count":
            continue
        if name.endswith("_of_one_row"):
            assert expression == f"case when count(*) = 1 then max({name.removesuffix('_of_one_row')}) end"
        else:
            assert "share" not in name
            for column in ("source_code", "concept_code", "reporter_code"):
                assert f"min({column}) = max({column})" in expression


def test_metrics_and_columns_have_distinct_names() -> None:
    # Superset confuses a metric and a column of one name when it sorts rows.
    for dataset in MADE.values():
        assert names(dataset, "metrics") & names(dataset, "columns") == set()


def test_publication_description_matches_the_written_table() -> None:
    columns = {column["column_name"]: column["description"] for column in MADE["publication"]["columns"]}
    assert columns.pop("kind_of_figures")
    assert columns == _PUBLICATION_COLUMNS


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_chart_names_existing_columns_and_metrics(chart: dict[str, Any]) -> None:
    dataset = BY_UUID[chart["dataset_uuid"]]
    params = chart["params"]
    columns, metrics = names(dataset, "columns"), names(dataset, "metrics")
    used = {*params.get("all_columns", ()), *params.get("groupby", ()), *params.get("groupby_b", ())}
    used |= {params[key] for key in ("x_axis", "entity", "series") if key in params}
    used |= {json.loads(order)[0] for order in params.get("order_by_cols", ())}
    assert used
    assert used <= columns
    asked = {*params.get("metrics", ()), *params.get("metrics_b", ())}
    asked |= {params[key] for key in ("metric", "x", "y", "size", "timeseries_limit_metric") if key in params}
    assert asked <= metrics
    assert params["viz_type"] == chart["viz_type"]
    assert set(params.get("column_config", {})) <= used | asked


def test_dashboard_shows_every_chart_once() -> None:
    placed = [
        item["meta"]["uuid"]
        for item in DASHBOARD["position"].values()
        if isinstance(item, dict) and item["type"] == "CHART"
    ]
    assert len(placed) == len(set(placed))
    assert set(placed) == {chart["uuid"] for chart in CHARTS.values()}


def test_filters_pin_one_view() -> None:
    pinned = {}
    for part in DASHBOARD["metadata"]["native_filter_configuration"]:
        (target,) = part["targets"]
        assert target["column"]["name"] in names(BY_UUID[target["datasetUuid"]], "columns")
        assert part["controlValues"]["enableEmptyFilter"], "a filter that may be empty would mix views"
        assert not part["controlValues"]["multiSelect"]
        pinned[target["column"]["name"]] = part["defaultDataMask"]["filterState"].get("value")
        assert pinned[target["column"]["name"]] or part["controlValues"]["defaultToFirstItem"]
    assert pinned["source_code"] == ["EUROSTAT"]
    assert pinned["concept_code"] == ["community"]
    assert pinned["scope_code"] == ["metal_core_hs"]
    assert pinned["reporter_code"] == ["NL"]


def test_assets_contain_no_password_or_address() -> None:
    for path in ASSETS.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"password|https?://|postgresql", text, re.IGNORECASE), path.name


@pytest.mark.parametrize("missing", SECRETS)
def test_settings_without_a_secret_are_an_error(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    with pytest.raises(RuntimeError, match=f"{missing} is not set; next:"):
        runpy.run_path(str(ROOT / "bi" / "superset_config.py"))


def test_settings_let_the_page_request_only_its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = runpy.run_path(str(ROOT / "bi" / "superset_config.py"))
    policy = settings["TALISMAN_CONFIG"]["content_security_policy"]
    allowed = {source for sources in policy.values() for source in ([sources] if isinstance(sources, str) else sources)}
    assert allowed == {"'self'", "'none'", "'strict-dynamic'", "'unsafe-inline'", "blob:", "data:"}
    assert policy["script-src"] == ["'self'", "'strict-dynamic'"]


def test_office_text_is_not_rendered_as_html_in_tables_or_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = runpy.run_path(str(ROOT / "bi" / "superset_config.py"))
    assert settings["HTML_SANITIZATION"] is True
    assert settings["HTML_SANITIZATION_SCHEMA_EXTENSIONS"] == {}
    flags = settings["FEATURE_FLAGS"]
    assert flags["ESCAPE_MARKDOWN_HTML"]
    assert not flags["ENABLE_JAVASCRIPT_CONTROLS"]
    assert not flags["ENABLE_TEMPLATE_PROCESSING"]
    tables = [chart["params"] for chart in CHARTS.values() if chart["viz_type"] == "table"]
    assert len(tables) > 8
    # By default Superset renders a cell that looks like HTML.
    assert all(params["allow_render_html"] is False for params in tables)
    # Handlebars and similar charts turn cells into HTML by a template.
    assert {chart["viz_type"] for chart in CHARTS.values()} & {"handlebars", "markup", "deck_multi"} == set()


@pytest.mark.parametrize(
    ("column", "words", "number"),
    [
        ("share_r12", "Share over 12 months", ".1%"),
        ("share_change_pp", "Share change, pp", "+.2f"),
        ("value_r12_eur", "Value over 12 months, euros", "SMART_NUMBER"),
        ("hhi", "HHI", ",.3~f"),
        ("yoy_growth_pct", "Yearly growth, %", ",.1f"),
        ("destination_name_en", "Destination (en)", ",.3~f"),
    ],
)
def test_columns_have_names_and_formats_by_their_units(column: str, words: str, number: str) -> None:
    assert title(column) == words
    assert number_format(column) == number


def test_folder_without_models_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="next: give the folder dbt_project"):
        datasets(tmp_path)

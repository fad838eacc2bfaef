"""Unit tests that `make check` runs for a change."""

from __future__ import annotations

import pytest

from tests.affected import affected


@pytest.mark.parametrize(
    ("changed", "some", "others"),
    [
        ("publish/duckdb_file.py", {"test_duckdb_file", "test_health", "test_published"}, {"test_http", "test_cli"}),
        # `from metaalexport import candidate, gaps, health`
        ("metaalexport/health.py", {"test_health", "test_clocks"}, {"test_report", "test_streams"}),
        ("publish/report/__init__.py", {"test_report"}, {"test_http"}),
        ("tests/unit/test_health.py", {"test_health", "test_clocks"}, {"test_report"}),
        ("dbt_project/models/marts/rpt_revisions.sql", {"test_dbt_project", "test_report"}, {"test_http"}),
        ("tests/data/report_marts.sql", {"test_report"}, {"test_http"}),
        ("publish/templates/texts.yml", {"test_report"}, {"test_http"}),
        ("extract/registry/eurostat_a_new_one.yml", {"test_reference", "test_registry_and_settings"}, {"test_report"}),
        ("reference/industry_series.csv", {"test_reference"}, {"test_http"}),
        ("a/file/nobody/speaks_of.py", set(), {"test_report", "test_http"}),
        ("tests/conftest.py", {"test_report", "test_http", "test_affected"}, set()),
    ],
)
def test_change_selects_the_tests_that_name_it(changed: str, some: set[str], others: set[str]) -> None:
    found = {name.removeprefix("tests/unit/").removesuffix(".py") for name in affected([changed])}
    assert found >= some
    assert found & others == set()


def test_no_change_selects_no_test() -> None:
    assert affected([]) == []

"""The files of the gates: an analyst's mistake in them is reported with the check's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations import suites
from expectations.suites import read_gate, read_suite

CHECK = "checks:\n  - {name: rows_are_there, table: t, severity: error, message: m, "


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(suites, "_FOLDER", tmp_path)
    read_gate.cache_clear()
    return tmp_path


@pytest.mark.parametrize("gate", ["landing", "candidate"])
def test_every_check_has_a_unique_name_and_one_of_two_severities(gate: str) -> None:
    checks = read_gate(gate)["checks"]
    names = [check["name"] for check in checks]
    assert len(names) > 15
    assert sorted(set(names)) == sorted(names)
    assert {check["severity"] for check in checks if "{" not in check["severity"]} == {"error", "warn"}


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("wehre: a > 1}", "'rows_are_there' is malformed"),
        ("where: a > 1, query: select 1}", "'rows_are_there' is malformed"),
        ("}", "'rows_are_there' is malformed"),
    ],
)
def test_malformed_entry_is_named(folder: Path, rest: str, problem: str) -> None:
    (folder / "broken.yml").write_text(CHECK + rest + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=problem) as caught:
        read_suite("broken", (), {})
    assert "broken.yml" in str(caught.value)


def test_limits_are_filled_in_and_a_missing_value_is_an_error(folder: Path) -> None:
    text = CHECK.replace("message: m", "message: 'at most {most:.0%}'") + "needs: [total], where: 'share > {most}'}\n"
    (folder / "own.yml").write_text(f"limits: {{most: 0.1}}\n{text}", encoding="utf-8")
    assert read_suite("own", (), {}) == []
    (check,) = read_suite("own", {"total"}, {}, {"t": "select load_id from t where {where}"})
    assert check.message == "at most 10%"
    assert check.arguments == {"unexpected_rows_query": "select * from {batch} where share > 0.1 order by all"}
    assert check.blames == "select load_id from t where share > 0.1"
    (folder / "other.yml").write_text(text, encoding="utf-8")
    with pytest.raises(KeyError, match="most"):
        read_suite("other", {"total"}, {})

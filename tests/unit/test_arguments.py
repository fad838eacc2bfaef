"""Months, days and reporters as users write them: validated once, before any request to an office."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaalexport import ingest
from metaalexport.arguments import SettingsError, parse_days, parse_month, parse_months, parse_reporters
from metaalexport.run import Run
from metaalexport.settings import Settings


@pytest.mark.parametrize("text", ["2024-13", "2024-1", "2024", "24-01", "2024-01-01", "januari", " 2024-01", ""])
def test_invalid_month_is_named_with_its_argument(text: str) -> None:
    with pytest.raises(SettingsError, match=f"the month is '{text}', which is not a month; write it as YYYY-MM"):
        parse_month(text, "the month")


def test_period_may_be_open_and_must_be_in_order() -> None:
    assert parse_months(None, "") == (None, None)
    assert parse_months("2024-02", None) == ("2024-02", None)
    assert parse_months("2024-02", "2024-02") == ("2024-02", "2024-02")
    with pytest.raises(SettingsError, match="the first month, 2026-05, is after the last one, 2025-01"):
        parse_months("2026-05", "2025-01")


@pytest.mark.parametrize(("first", "last"), [("2025-02-29", "2025-03-01"), ("20250101", "2025-03-01")])
def test_invalid_day_is_named(first: str, last: str) -> None:
    assert parse_days("2024-02-29", "2024-02-29") == ("2024-02-29", "2024-02-29")
    with pytest.raises(SettingsError, match=f"the first day is '{first}', which is not a day; write it as YYYY-MM-DD"):
        parse_days(first, last)
    with pytest.raises(SettingsError, match=f"the last day is '{first}'"):
        parse_days("2024-01-01", first)


def test_reporters_are_unique_countries_or_the_union_in_capitals() -> None:
    assert parse_reporters(["nl", " DE", "NL", "EU27_2020"], "x") == ("NL", "DE", "EU27_2020")
    # The offices' codes of Greece and the United Kingdom.
    assert parse_reporters(["EL", "uk"], "x") == ("GR", "GB")
    for codes in (["XX"], ["NL", ""], ["NLD"], [], ["EU"]):
        with pytest.raises(SettingsError, match=r"x is '.*', not ISO codes of countries like NL,DE, or EU27_2020"):
            parse_reporters(codes, "x")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"first_month": "2024-13"}, "the first month is '2024-13'"),
        ({"last_month": "2024-1"}, "the last month is '2024-1'"),
        ({"first_month": "2026-05", "last_month": "2025-01"}, "is after the last one"),
        ({"reporters": ("XX",)}, "the reporter is 'XX'"),
    ],
)
def test_load_with_invalid_arguments_sends_no_request_and_leaves_nothing(
    tmp_path: Path, asked: dict[str, object], problem: str
) -> None:
    # Unit tests have no sockets: a request to an office would be another error.
    settings = Settings("live", tmp_path / "live")
    with pytest.raises(SettingsError, match=problem):
        ingest.plan_loads(Run(settings, "r"), "eurostat_comext_bulk", **asked)  # type: ignore[arg-type]
    assert not settings.state.exists()

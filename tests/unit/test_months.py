"""Month arithmetic across years, in both directions, and refusal of text that is not a month."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from common.months import Month, months_between


@pytest.mark.parametrize(
    ("month", "months", "expected"),
    [
        ("2025-12", 1, "2026-01"),
        ("2026-01", -1, "2025-12"),
        ("2025-03", -24, "2023-03"),
        ("2025-01", -13, "2023-12"),
        ("2025-06", 0, "2025-06"),
        ("0099-12", 1, "0100-01"),
    ],
)
def test_month_arithmetic_crosses_years(month: str, months: int, expected: str) -> None:
    assert str(Month.parse(month) + months) == expected
    assert Month.parse(expected) - months == Month.parse(month)


@pytest.mark.parametrize("text", ["2024-13", "2024-00", "2024-1", "2024-01-01", "24-01", "2024", "", " 2024-01"])
def test_invalid_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a month of the form YYYY-MM"):
        Month.parse(text)


def test_months_sort_by_time_and_contain_their_days() -> None:
    assert Month.of(date(2024, 12, 31)) < Month.parse("2025-01")
    assert Month.of(datetime(2025, 1, 31, tzinfo=UTC)).first_day == date(2025, 1, 1)
    assert [*map(str, months_between(Month.parse("2024-11"), Month.parse("2025-02")))] == [
        "2024-11",
        "2024-12",
        "2025-01",
        "2025-02",
    ]
    assert months_between(Month.parse("2025-02"), Month.parse("2025-01")) == []

"""Requests at a release: nothing, the trailing months, or everything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from extract.dataset import Refresh
from extract.landing.manifest import LoadManifest, Withdrawal, panel_of
from extract.offices.base import OfficeVersion
from extract.refresh import find_full, find_unchanged, find_withdrawn, narrow
from extract.registry import get_dataset
from extract.slices import Slice

EUROSTAT = replace(get_dataset("eurostat_ds_045409"), refresh=Refresh(trailing_months=24, full_every_days=365))
CBS = replace(get_dataset("cbs_85429ned"), refresh=Refresh(trailing_months=36, full_every_days=365))
ANNUAL = replace(get_dataset("eurostat_ext_tec01"), refresh=Refresh(trailing_months=36, full_every_days=365))
BULK = get_dataset("eurostat_comext_bulk")
PART = Slice(EUROSTAT.code, "NL", "2010-01", products=("72", "76"))


def version(day: str) -> OfficeVersion:
    return OfficeVersion(day, f"{day}T09:00:00Z")


def load(part: Slice, day: str, retrieved: str = "") -> LoadManifest:
    stamp = f"{day}T09:00:00Z"
    return LoadManifest(
        load_id=f"{part.dataset}__{day}__{part.first_month}",
        dataset=part.dataset,
        office="eurostat",
        reporter=part.reporter,
        slice=part.to_dict(),
        office_version=day,
        vintage_at=stamp,
        retrieved_at=retrieved or stamp,
        transport="live",
        is_simulated=False,
        rows_read=1,
        rows_loaded=1,
        rows_rejected=0,
        panel=panel_of(part),
    )


TRAILING = replace(PART, first_month="2024-08")


def test_nothing_is_unchanged_before_the_first_load() -> None:
    assert find_unchanged(EUROSTAT, [], PART, version("2026-08-14")) is None


def test_load_of_the_same_version_is_found() -> None:
    full = load(PART, "2026-08-14")
    assert find_unchanged(EUROSTAT, [full], PART, version("2026-08-14")) is full
    assert find_unchanged(EUROSTAT, [full], PART, version("2026-09-15")) is None


def test_load_of_a_later_version_than_the_office_shows_suffices() -> None:
    full = load(PART, "2026-09-15")
    assert find_unchanged(EUROSTAT, [full], PART, version("2026-08-14")) is full


def test_withdrawn_version_is_not_requested_again() -> None:
    full, wrong = load(PART, "2026-07-16"), load(TRAILING, "2026-08-14")
    withdrawals = [Withdrawal(wrong, "2026-08-14T12:00:00Z", "wrong")]
    assert find_withdrawn(EUROSTAT, [full], withdrawals, PART, version("2026-08-14")) is withdrawals[0]
    assert find_withdrawn(EUROSTAT, [full], withdrawals, PART, version("2026-09-15")) is None
    other = replace(PART, reporter="DE")
    assert find_withdrawn(EUROSTAT, [full], withdrawals, other, version("2026-08-14")) is None
    assert find_withdrawn(EUROSTAT, [full], [], PART, version("2026-08-14")) is None


def test_trailing_months_after_a_full_load_cover_the_slice() -> None:
    full, trailing = load(PART, "2026-07-16"), load(TRAILING, "2026-08-14")
    assert find_unchanged(EUROSTAT, [full, trailing], PART, version("2026-08-14")) is trailing


def test_trailing_months_alone_do_not_cover_the_slice() -> None:
    assert find_unchanged(EUROSTAT, [load(TRAILING, "2026-08-14")], PART, version("2026-08-14")) is None


def test_fewer_months_than_the_office_may_revise_do_not_cover_the_slice() -> None:
    full, few = load(PART, "2026-07-16"), load(replace(PART, first_month="2026-08"), "2026-08-14")
    assert find_unchanged(EUROSTAT, [full, few], PART, version("2026-08-14")) is None
    assert narrow(EUROSTAT, [full, few], PART, version("2026-08-14")) == TRAILING


@pytest.mark.parametrize(
    "loaded",
    [
        replace(PART, reporter="DE"),
        replace(PART, products=("72",)),
        replace(PART, partners=("US",)),
        replace(PART, last_month="2026-01"),
        replace(PART, recorded_urls=("https://x.example",)),
    ],
    ids=["another reporter", "fewer products", "some partners", "an end", "a recording"],
)
def test_load_of_a_smaller_or_different_slice_covers_nothing(loaded: Slice) -> None:
    loads = [load(loaded, "2026-08-14")]
    assert find_unchanged(EUROSTAT, loads, PART, version("2026-08-14")) is None
    assert narrow(EUROSTAT, loads, PART, version("2026-09-15")) == PART


@pytest.mark.parametrize(
    "loaded",
    [replace(PART, products=()), replace(PART, products=("72", "73", "76")), replace(PART, first_month="2002-01")],
)
def test_load_of_a_larger_slice_covers_the_slice(loaded: Slice) -> None:
    full = load(loaded, "2026-08-14")
    assert find_unchanged(EUROSTAT, [full], PART, version("2026-08-14")) is full


def test_longer_slice_covers_a_closed_slice() -> None:
    closed = replace(PART, last_month="2025-12")
    assert find_unchanged(EUROSTAT, [load(PART, "2026-08-14")], closed, version("2026-08-14")) is not None
    longer, shorter = (load(replace(PART, last_month=month), "2026-08-14") for month in ("2026-03", "2025-06"))
    assert find_unchanged(EUROSTAT, [longer], closed, version("2026-08-14")) is longer
    assert find_unchanged(EUROSTAT, [shorter], closed, version("2026-08-14")) is None


def test_first_load_requests_everything() -> None:
    assert narrow(EUROSTAT, [], PART, version("2026-08-14")) == PART


def test_next_load_requests_the_trailing_months() -> None:
    assert narrow(EUROSTAT, [load(PART, "2026-07-16")], PART, version("2026-08-14")) == TRAILING


@pytest.mark.parametrize(
    ("stamp", "first"), [("2026-01-15", "2024-01"), ("2026-12-15", "2024-12"), ("2026-02-13", "2024-02")]
)
def test_trailing_months_are_counted_from_the_month_of_the_stamp(stamp: str, first: str) -> None:
    assert narrow(EUROSTAT, [load(PART, "2025-12-16")], PART, version(stamp)).first_month == first


def test_trailing_months_never_start_before_the_requested_month() -> None:
    late = replace(PART, first_month="2026-03")
    assert narrow(EUROSTAT, [load(PART, "2026-07-16")], late, version("2026-08-14")) == late


@pytest.mark.parametrize(("stamp", "is_full"), [("2026-07-15", False), ("2026-07-16", True), ("2027-01-01", True)])
def test_everything_is_requested_again_after_the_full_interval(stamp: str, *, is_full: bool) -> None:
    loads = [load(PART, "2025-07-16"), load(TRAILING, "2026-06-15")]
    assert (narrow(EUROSTAT, loads, PART, version(stamp)) == PART) is is_full


def test_new_product_requests_everything() -> None:
    more = replace(PART, products=("72", "73", "76"))
    assert narrow(EUROSTAT, [load(PART, "2026-07-16")], more, version("2026-08-14")) == more


def test_fewer_products_than_before_are_narrowed() -> None:
    fewer = replace(PART, products=("72",))
    assert narrow(EUROSTAT, [load(PART, "2026-07-16")], fewer, version("2026-08-14")).first_month == "2024-08"


def test_cbs_years_are_requested_from_january() -> None:
    part = Slice(CBS.code, "NL", "2015-01")
    assert narrow(CBS, [load(part, "2026-06-02")], part, version("2026-07-02")).first_month == "2023-01"


def test_annual_data_are_requested_from_january() -> None:
    """January represents a year: a request from a later month would land the year as new, next to its earlier row."""
    part = Slice(ANNUAL.code, "NL", "2012-01")
    assert narrow(ANNUAL, [load(part, "2026-09-15")], part, version("2026-10-15")).first_month == "2023-01"


def test_months_of_bulk_files_are_never_narrowed() -> None:
    part = Slice(BULK.code, "*", "2025-01", "2025-01")
    assert narrow(BULK, [load(part, "2026-07-16")], part, version("2026-08-14")) == part
    assert find_unchanged(BULK, [load(part, "2026-07-16")], part, version("2026-07-16")) is not None


def test_recording_is_never_narrowed() -> None:
    part = replace(PART, recorded_urls=("https://x.example",))
    assert narrow(EUROSTAT, [load(part, "2026-07-16")], part, version("2026-08-14")) == part


def test_find_full_returns_the_newest_full_load() -> None:
    loads = [load(PART, "2025-07-16"), load(PART, "2026-07-16"), load(TRAILING, "2026-08-14")]
    assert find_full(loads, PART) is loads[1]
    assert find_full(loads[2:], PART) is None

"""Scope of a refresh: nothing, the trailing months that an office still revises, or everything."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from common.months import Month
from extract.dataset import Dataset
from extract.landing.manifest import LoadManifest, Withdrawal
from extract.offices.base import OfficeVersion
from extract.slices import Slice


@dataclass(frozen=True)
class Decision:
    """The part of a slice that has to be requested.

    Attributes
    ----------
    part : Slice
        The part to request.
    unchanged : LoadManifest or None
        The load that makes a request unnecessary.
    withdrawn : Withdrawal or None
        The withdrawal that blocks a new request for this version.
    """

    part: Slice
    unchanged: LoadManifest | None = None
    withdrawn: Withdrawal | None = None


def decide(
    dataset: Dataset,
    loads: Collection[LoadManifest],
    withdrawals: Collection[Withdrawal],
    part: Slice,
    version: OfficeVersion,
) -> Decision:
    """Decide which part of a slice to request at an office's version.

    Parameters
    ----------
    loads : collection of LoadManifest
        The dataset's committed loads.
    withdrawals : collection of Withdrawal
        Withdrawn loads; empty if they are to be requested again.
    part : Slice
        The complete slice.
    """
    asked = narrow(dataset, loads, part, version)
    unchanged = find_unchanged(dataset, loads, part, version)
    withdrawn = None if unchanged else find_withdrawn(dataset, loads, withdrawals, part, version)
    return Decision(asked, unchanged, withdrawn)


def find_unchanged(
    dataset: Dataset, loads: Iterable[LoadManifest], part: Slice, version: OfficeVersion
) -> LoadManifest | None:
    """Return the committed load that makes a request for this slice unnecessary, if there is one.

    That is a load of the same or a later vintage that covers what `narrow` would request now: all of the slice, or
    the trailing months where an earlier load covers the rest.
    """
    loads = list(loads)
    asked = narrow(dataset, loads, part, version)
    answering = [load for load in loads if load.vintage_at >= version.vintage_at and _covers(load, asked)]
    return max(answering, key=lambda load: load.order) if answering else None


def find_withdrawn(
    dataset: Dataset,
    loads: Iterable[LoadManifest],
    withdrawals: Iterable[Withdrawal],
    part: Slice,
    version: OfficeVersion,
) -> Withdrawal | None:
    """Return the withdrawal that blocks a new request for a version, if there is one.

    A person withdrew the figures of this version or a later one: the next request is due when the office has a newer
    version.
    """
    asked = narrow(dataset, loads, part, version)
    found = [
        withdrawal
        for withdrawal in withdrawals
        if withdrawal.load.vintage_at >= version.vintage_at and _covers(withdrawal.load, asked)
    ]
    return max(found, key=lambda withdrawal: withdrawal.load.order) if found else None


def find_full(loads: Iterable[LoadManifest], part: Slice) -> LoadManifest | None:
    """Return the newest load of all months and products of a slice."""
    full = [load for load in loads if _covers(load, part)]
    return max(full, key=lambda load: load.order) if full else None


def narrow(dataset: Dataset, loads: Iterable[LoadManifest], part: Slice, version: OfficeVersion) -> Slice:
    """Return the part of a slice to request at this version.

    Parameters
    ----------
    dataset : Dataset
        Defines how many months every release may revise, and how often everything is requested again.
    loads : iterable of LoadManifest
        The dataset's committed loads.
    part : Slice
        The complete slice.
    version : OfficeVersion
        The office's current version.

    Returns
    -------
    Slice
        The trailing months if the last full load is recent enough, else all of it. Ages are measured in the office's
        stamps, not by the clock: the same history of releases gives the same requests.
    """
    full = find_full(loads, part)
    if full is None or part.recorded_urls or dataset.slice_by == "month":
        return part
    now, then = _moment(version.vintage_at), _moment(full.vintage_at)
    if (now - then).days >= dataset.refresh.full_every_days:
        return part
    first = dataset.first_month_asked(str(Month.of(now) - dataset.refresh.trailing_months))
    return replace(part, first_month=max(part.first_month, first))


def _covers(load: LoadManifest, part: Slice) -> bool:
    asked = Slice.from_dict(load.slice)
    return (
        asked.reporter == part.reporter
        and asked.first_month <= part.first_month
        and (not asked.last_month or (bool(part.last_month) and asked.last_month >= part.last_month))
        and (not asked.products or (bool(part.products) and {*asked.products} >= {*part.products}))
        and {*asked.partners} == {*part.partners}
        and asked.recorded_urls == part.recorded_urls
    )


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)

"""What has to be asked again: nothing, the trailing months that an office still revises, or everything."""

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
    """What there is to ask for of a slice.

    Attributes
    ----------
    part : Slice
        What is worth asking for.
    unchanged : LoadManifest or None
        The load after which there is nothing to ask for.
    withdrawn : Withdrawal or None
        The withdrawal because of which the version is not asked for again.
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
    """Decide what to ask for of a slice at an office's version.

    Parameters
    ----------
    loads : collection of LoadManifest
        The dataset's committed loads.
    withdrawals : collection of Withdrawal
        Loads that people took back; none where they are to be asked for again.
    part : Slice
        All that is wanted.
    """
    asked = narrow(dataset, loads, part, version)
    unchanged = find_unchanged(dataset, loads, part, version)
    withdrawn = None if unchanged else find_withdrawn(dataset, loads, withdrawals, part, version)
    return Decision(asked, unchanged, withdrawn)


def find_unchanged(
    dataset: Dataset, loads: Iterable[LoadManifest], part: Slice, version: OfficeVersion
) -> LoadManifest | None:
    """Return the committed load after which there is nothing to ask for this slice, if there is one.

    That is a load of the same or a later vintage that asked for what `narrow` would ask for now: all of the slice, or
    the trailing months where an earlier load brought the rest.
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
    """Return the withdrawal because of which a version is not asked for again, if there is one.

    A person took back what the office said under this version, or a later one: there is something to ask for when the
    office has a newer one.
    """
    asked = narrow(dataset, loads, part, version)
    found = [
        withdrawal
        for withdrawal in withdrawals
        if withdrawal.load.vintage_at >= version.vintage_at and _covers(withdrawal.load, asked)
    ]
    return max(found, key=lambda withdrawal: withdrawal.load.order) if found else None


def find_full(loads: Iterable[LoadManifest], part: Slice) -> LoadManifest | None:
    """Return the newest load that asked for all months of a slice, of all its products."""
    full = [load for load in loads if _covers(load, part)]
    return max(full, key=lambda load: load.order) if full else None


def narrow(dataset: Dataset, loads: Iterable[LoadManifest], part: Slice, version: OfficeVersion) -> Slice:
    """Return the slice that is worth asking for at this version.

    Parameters
    ----------
    dataset : Dataset
        Says how many months every release may revise, and how often everything is asked again.
    loads : iterable of LoadManifest
        The dataset's committed loads.
    part : Slice
        All that is wanted.
    version : OfficeVersion
        What the office has now.

    Returns
    -------
    Slice
        The trailing months if everything was asked for not too long ago, else all of it. Time is counted in the
        office's stamps, not by the clock: the same history of releases gives the same requests.
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

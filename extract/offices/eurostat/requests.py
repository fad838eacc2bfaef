"""The requests of a slice, each small enough for a synchronous answer."""

from __future__ import annotations

from collections.abc import Sequence

from common.months import Month, months_between
from extract.dataset import Dataset
from extract.errors import ExtractError
from extract.parsing import Finding
from extract.slices import Slice

# A request below 500,000 positions is answered synchronously; the margin allows for unknown codes.
COST_LIMIT = 400_000
# Most codes in one URL: network appliances refuse long URLs (400 or 414).
CODES_PER_REQUEST = 100


def key_codes(dataset: Dataset, part: Slice) -> dict[str, tuple[str, ...]]:
    """Return the requested codes of each dimension of the key, in its order; empty means all."""
    by_column = {
        "reporter": () if part.reporter == "*" or dataset.slice_by != "reporter" else (part.reporter,),
        "partner": part.partners,
        "product": part.products,
        "measure": dataset.measure_codes,
    }
    return {
        dimension: dataset.select.get(dimension) or by_column.get(column, ())
        for dimension, column in dataset.dimensions.items()
        if column != "period"
    }


def data_urls(
    host: str,
    dataset: Dataset,
    part: Slice,
    offered: dict[str, frozenset[str]],
    newest: str,
) -> tuple[list[str], tuple[Finding, ...]]:
    """Return the data requests of a slice, each below `COST_LIMIT` positions, and findings on codes not offered.

    Parameters
    ----------
    host : str
        Base URL.
    offered : dict of str to frozenset of str
        Codes of each dimension, from the dataset's constraint.
    newest : str
        Month of the office's stamp, ``YYYY-MM``; no later month can exist.

    Raises
    ------
    ExtractError
        If nothing is left to request.
    """
    if dataset.is_comext and not part.products:
        raise ExtractError(
            "no product is requested, and Comext refuses a request for all",
            dataset=dataset.code,
            where=part.describe(),
            next_step="add products to a scope",
        )
    asked: dict[str, tuple[str, ...]] = {}
    findings = []
    for dimension, codes in key_codes(dataset, part).items():
        known = offered.get(dimension, frozenset())
        # One unknown code would fail the whole request (fault 150).
        kept = tuple(code for code in codes if not known or code in known)
        if dropped := sorted({*codes} - {*kept}):
            findings.append(Finding("code_not_offered", dimension, ", ".join(dropped), "warn"))
        if codes and not kept:
            raise ExtractError(
                f"the dataset offers none of the codes requested in {dimension}: {', '.join(dropped)}",
                dataset=dataset.code,
                where=part.describe(),
                next_step="compare the registry file and the scopes with the dataset's constraint",
            )
        asked[dimension] = kept
    wanted = _periods(dataset, part.first_month, part.last_month or newest)
    # The constraint lists periods of all frequencies and future months.
    offers = sorted(
        period
        for period in offered.get(dataset.period_dimension, ())
        if wanted and len(period) == len(wanted[0]) and period.startswith(("19", "20"))
    )
    periods = [period for period in wanted if not offers or offers[0] <= period <= offers[-1]]
    if not periods:
        offer = f", and the dataset offers {offers[0]} to {offers[-1]}" if offers else ""
        raise ExtractError(
            f"there are no periods between the first month and the last one, {part.last_month or newest}{offer}",
            dataset=dataset.code,
            where=part.describe(),
            next_step="request other months",
        )
    # The last period of an open-ended slice is only an upper bound, so it gives no finding.
    if periods[0] != wanted[0]:
        detail = f"requested from {wanted[0]} on, offered from {offers[0]} on"
        findings.append(Finding("period_not_offered", dataset.period_dimension, detail, "warn"))
    if part.last_month and periods[-1] != wanted[-1]:
        detail = f"requested up to {wanted[-1]}, offered up to {offers[-1]}"
        findings.append(Finding("period_not_offered", dataset.period_dimension, detail, "warn"))
    split = dataset.dimension_of("product")
    # The cost of one product in one period; products are grouped first, then periods.
    cost = 1
    for dimension, codes in asked.items():
        if dimension != split:
            cost *= len(codes) or len(offered.get(dimension, ())) or 1
    groups: list[Sequence[str]] = [()]
    if split and asked[split]:
        groups = _chunks(asked[split], min(max(1, COST_LIMIT // cost), CODES_PER_REQUEST))
    urls = []
    for group in groups:
        key = ".".join("+".join(group if dimension == split else codes) for dimension, codes in asked.items())
        width = len(group) or len(offered.get(split, ())) or 1
        urls += [
            f"{host}/sdmx/2.1/data/{dataset.identifier}/{key}"
            f"?startPeriod={chunk[0]}&endPeriod={chunk[-1]}&format=SDMX-CSV&compressed=true"
            for chunk in _chunks(periods, COST_LIMIT // (cost * width))
        ]
    return urls, tuple(findings)


def _chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    step = max(1, size)
    return [items[start : start + step] for start in range(0, len(items), step)]


def _periods(dataset: Dataset, first: str, last: str) -> list[str]:
    """Return the possible periods of a dataset from `first` to `last`: months, or years for annual data."""
    if dataset.is_annual:
        return [str(year) for year in range(int(first[:4]), int(last[:4]) + 1)]
    return [str(month) for month in months_between(Month.parse(first), Month.parse(last))]

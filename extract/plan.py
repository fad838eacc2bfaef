"""Selection of the slices of a dataset that a run loads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from extract.dataset import Dataset
from extract.slices import Slice

# Placeholder in a dataset's products for the products of all scopes.
OF_SCOPES = "scopes"


def plan_slices(
    dataset: Dataset,
    reporters: Sequence[str],
    *,
    first_month: str | None,
    last_month: str | None,
    usual_first_month: str,
    scope_products: Collection[str],
) -> list[Slice]:
    """Return one slice per reporter of a dataset that is not sliced by month.

    Parameters
    ----------
    reporters : sequence of str
        ISO codes.
    first_month, last_month : str or None
        Months requested by the user (``YYYY-MM``).
    usual_first_month : str
        First month of monthly data if the user requested none; empty for all.
    scope_products : collection of str
        Products of all scopes in the dataset's nomenclature.
    """
    # Annual data are published years late: a first month meant for monthly data would exclude all of them.
    usual = dataset.first_period if dataset.is_annual else usual_first_month or dataset.first_period
    first = max(dataset.first_month_asked(first_month or usual), dataset.first_period)
    products = dataset.products
    if OF_SCOPES in products:
        products = tuple(sorted({*scope_products, *products} - {OF_SCOPES}))
    names = dataset.slice_reporters(reporters)
    return [Slice(dataset.code, name, first, last_month or "", products=tuple(products)) for name in names]

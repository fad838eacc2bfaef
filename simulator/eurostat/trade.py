"""Eurostat's publication of the true trade: by CN code, in whole euros and kilograms, with partner aggregates."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.economy import Booleans, Economy, Floats, Integers
from simulator.partners import EU_MEMBERS, EU_REPORTER, EXTRA_EU, INTRA_EU, INTRA_UNALLOCATED, PARTNER_AGGREGATES, WORLD
from simulator.products import LEAVES, PIECE_VALUES, PRODUCTS, Grouping
from simulator.release import Release, month_index

# Members of the Union without the euro, and the month in which others adopted it.
_NO_EURO = ("CZ", "DK", "HU", "PL", "RO", "SE")
_EURO_FROM = {"HR": "2023-01", "BG": "2026-01"}


@dataclass(frozen=True)
class ComextCube:
    """Published cells of one reporter and one flow in one release; absent cells are 0 in ``value``.

    Attributes
    ----------
    value
        Euros, by product, partner (aggregates included) and month.
    quantity
        Kilograms, same axes. The API serves it in 100 kg with two decimals.
    pieces
        Supplementary quantity, for the products of ``PIECE_VALUES`` only, in sorted order.
    """

    value: Integers
    quantity: Integers
    pieces: Integers


def members_of(reporter: str) -> tuple[str, ...]:
    """Return the members whose trade a reporter reports: all of them for the Union."""
    return EU_MEMBERS if reporter == EU_REPORTER else (reporter,)


class ComextTrade:
    """Comext cubes of a release, before rows are served.

    Parameters
    ----------
    economy
        Source of the true flows.
    """

    # A cube of one reporter and flow takes about 35 MB.
    _cubes_kept = 12

    def __init__(self, economy: Economy) -> None:
        self.economy = economy
        self.partners = economy.partners
        self._cubes: OrderedDict[tuple[str, int, int], ComextCube] = OrderedDict()

    def _add_partners(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Add the partner aggregates to the leaves, along the second of three axes."""
        codes = self.partners.codes
        result = np.zeros((cells.shape[0], len(codes), cells.shape[2]), cells.dtype)
        result[:, np.searchsorted(codes, self.partners.leaves)] = cells
        world = cells.sum(axis=1)
        result[:, codes.index(WORLD)] = world
        is_intra = self.partners.is_intra
        has_euro = np.isin(self.partners.leaves, EU_MEMBERS) & ~np.isin(self.partners.leaves, _NO_EURO)
        areas = {
            "EU27_2020": cells[:, is_intra].sum(axis=1),
            "EA21": cells[:, has_euro].sum(axis=1),
        }
        areas["EU"], areas["EA"] = areas["EU27_2020"], areas["EA21"].copy()
        for code, first in _EURO_FROM.items():
            without = min(month_index(first), cells.shape[2])
            areas["EA"][:, :without] -= cells[:, self.partners.leaves.index(code), :without]
        for area, inside in areas.items():
            result[:, codes.index(f"INT_{area}")] = inside
            result[:, codes.index(f"EXT_{area}")] = world - inside
        return result

    def add_up_by(self, grouping: Grouping, leaves: Integers) -> Integers:
        """Sum leaves by another product list.

        Parameters
        ----------
        grouping
            The product list.
        leaves
            Month x leaf product (`LEAVES`) x leaf partner, as returned by `leaves`.

        Returns
        -------
        array
            Code of the list x partner (`PartnerList.codes`, aggregates included) x month.
        """
        by_leaf = np.ascontiguousarray(leaves.transpose(1, 2, 0))
        by_code = np.zeros((len(grouping.codes), *by_leaf.shape[1:]), leaves.dtype)
        row = {code: i for i, code in enumerate(grouping.codes)}
        for parents, cells in zip(grouping.parents, by_leaf, strict=True):
            below, share_below = np.zeros_like(cells), 0.0
            for code, share in parents:
                if share == 1.0:
                    by_code[row[code]] += cells
                    continue
                # The shares of one leaf add up to the whole: cumulative shares are rounded, not the shares.
                share_below += share
                end = np.rint(cells * share_below).astype(cells.dtype)
                by_code[row[code]] += end - below
                below = end
        return np.asarray(self._add_partners(by_code), dtype=np.int64)

    def _add_up(self, leaves: NDArray[Any]) -> NDArray[Any]:
        """Sum month x leaf product x leaf partner to product x partner (aggregates included) x month."""
        by_leaf = np.ascontiguousarray(leaves.transpose(1, 2, 0))
        by_product = np.zeros((len(PRODUCTS), *by_leaf.shape[1:]), leaves.dtype)
        row = {product: i for i, product in enumerate(PRODUCTS)}
        for leaf, cells in zip(LEAVES, by_leaf, strict=True):
            for product in leaf.parents:
                by_product[row[product]] += cells
        return self._add_partners(by_product)

    def truth(self, reporter: str, flow: int, months: int, *, shocked: bool = True) -> Floats:
        """Return the true trade in euros by product (`PRODUCTS`), partner (`PartnerList.codes`) and month."""
        return np.asarray(
            sum(
                self._add_up(self.economy.true_flows(member, flow, months, shocked=shocked))
                for member in members_of(reporter)
            ),
            dtype=np.float64,
        )

    def cube(self, reporter: str, flow: int, release: Release) -> ComextCube:
        """Return the cube of one reporter and flow; it includes the cells of `publication_gaps`."""
        key = (reporter, flow, release.number)
        if key in self._cubes:
            self._cubes.move_to_end(key)
            return self._cubes[key]
        members = members_of(reporter)
        euros, kilograms, pieces = self.leaves(members[0], flow, release)
        for member in members[1:]:
            more = self.leaves(member, flow, release)
            euros, kilograms, pieces = euros + more[0], kilograms + more[1], pieces + more[2]
        cube = ComextCube(self._add_up(euros), self._add_up(kilograms), self._add_partners(pieces.transpose(1, 2, 0)))
        self._cubes[key] = cube
        while len(self._cubes) > self._cubes_kept:
            self._cubes.popitem(last=False)
        return cube

    def cube_by(self, grouping: Grouping, reporter: str, flow: int, release: Release) -> ComextCube:
        """Return the cube of one reporter and flow by another product list, without pieces.

        The result is not cached.
        """
        members = members_of(reporter)
        value, quantity = (self.add_up_by(grouping, numbers) for numbers in self.leaves(members[0], flow, release)[:2])
        for member in members[1:]:
            more = self.leaves(member, flow, release)
            value += self.add_up_by(grouping, more[0])
            quantity += self.add_up_by(grouping, more[1])
        return ComextCube(value, quantity, np.zeros((0, *value.shape[1:]), np.int64))

    def leaves(
        self, reporter: str, flow: int, release: Release, first: int = 0, end: int | None = None
    ) -> tuple[Integers, Integers, Integers]:
        """Return euros, kilograms and pieces by month, leaf product (`LEAVES`) and leaf partner, as published.

        Parameters
        ----------
        reporter
            One of the 27 members.
        flow
            1 import, 2 export.
        first, end
            First month, and the month after the last; all months of the release by default.
        """
        months = release.eurostat_months
        end = months if end is None else end
        flows = self.economy.true_flows(reporter, flow, end, first=first)
        flows *= self.economy.revision_factor(months)[first:end, None, :]
        euros = np.rint(flows)
        price, tilt = self.economy.unit_values(reporter, flow, months)
        kilograms = np.rint(euros / (price[first:end, :, None] * tilt))
        counted = [[leaf.parents[0] for leaf in LEAVES].index(code) for code in sorted(PIECE_VALUES)]
        piece_values = np.array([value for _, value in sorted(PIECE_VALUES.items())])
        pieces = np.rint(euros[:, counted] / piece_values[:, None])
        return euros.astype(np.int64), kilograms.astype(np.int64), pieces.astype(np.int64)

    def publication_gaps(self, reporter: str) -> Booleans:
        """Return the partners whose newest month is not published yet: intra-EU ones and totals that include them."""
        if reporter in self.economy.parameters.early_reporters:
            return np.zeros(len(self.partners.codes), dtype=np.bool_)
        known = (EXTRA_EU, "EXT_EU")
        unknown = [code for code in PARTNER_AGGREGATES if code not in known]
        return np.isin(self.partners.codes, (*EU_MEMBERS, *INTRA_UNALLOCATED, *unknown))

    def unpublished_partners(self, reporter: str) -> Booleans:
        """Return the partners never published for a reporter: most aggregates, when the reporter is the Union."""
        never = [c for c in PARTNER_AGGREGATES if c not in (INTRA_EU, EXTRA_EU)] if reporter == EU_REPORTER else []
        return np.isin(self.partners.codes, never)

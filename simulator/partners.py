"""Reporters and partners of Comext: the Union, its members, partner aggregates and the code lists of both offices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulator.csv_tables import read_table
from simulator.release import START_YEAR

#: Members of the Union since 2021, sorted.
EU_MEMBERS = tuple(
    sorted(
        row["country_code"]
        for row in read_table("reference/country_groups.csv")
        if row["group_code"] == "EU" and not row["valid_to"]
    )
)
EU_REPORTER = "EU27_2020"
REPORTERS = tuple(sorted((*EU_MEMBERS, EU_REPORTER)))

INTRA_UNALLOCATED = ("QR", "QV", "QY")
WORLD, EXTRA_EU, INTRA_EU = "WORLD", "EXT_EU27_2020", "INT_EU27_2020"
# EU: the members at the time (unchanged since 2021). EA: the euro area at the time. EA21: the euro area of 2026.
_OTHER_INTRA, _OTHER_EXTRA = ("INT_EU", "INT_EA", "INT_EA21"), ("EXT_EU", "EXT_EA", "EXT_EA21")
PARTNER_AGGREGATES = (INTRA_EU, EXTRA_EU, WORLD, *_OTHER_INTRA, *_OTHER_EXTRA)

# Partners known to be empty in both offices: high seas, and codes for all trade together.
_UNUSED_UNALLOCATED = ("QP", "QQ", "QU", "QX", "ZZ")


@dataclass(frozen=True)
class PartnerList:
    """Code lists of both offices, from ``reference/office_partners.csv``.

    Attributes
    ----------
    leaves
        Comext country and Q* codes in use in the simulated months, sorted.
    codes
        The leaves and the aggregates, sorted: the partner axis of the cube. The axis of the datasets is longer.
    names
        English name by Comext code.
    lands
        CBS code and Dutch title, in the order of the office's list.
    """

    leaves: tuple[str, ...]
    codes: tuple[str, ...]
    names: Mapping[str, str]
    lands: tuple[tuple[str, str], ...]

    @classmethod
    def from_reference(cls) -> PartnerList:
        """Return the code lists of the reference folder."""
        rows = read_table("reference/office_partners.csv")
        comext = [row for row in rows if row["office"] == "eurostat"]
        first_day = f"{START_YEAR}-01-01"
        leaves = sorted(
            row["office_code"]
            for row in comext
            if row["member_kind"] in ("country", "unallocated")
            and row["office_code"] not in _UNUSED_UNALLOCATED
            and (not row["valid_to"] or row["valid_to"] >= first_day)
        )
        return cls(
            leaves=tuple(leaves),
            codes=tuple(sorted((*leaves, *PARTNER_AGGREGATES))),
            names={row["office_code"]: row["office_name"] for row in comext},
            lands=tuple((row["office_code"], row["office_name"]) for row in rows if row["office"] == "cbs"),
        )

    @cached_property
    def is_intra(self) -> NDArray[np.bool_]:
        """True for each leaf partner inside the EU."""
        return np.isin(self.leaves, (*EU_MEMBERS, *INTRA_UNALLOCATED))

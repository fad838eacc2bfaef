"""Goods of the detailed CBS tables: CN 2022 codes with their SITC Rev. 4 code.

Codes and titles are those of the Combined Nomenclature 2022; the links are those of the United Nations' conversion
from HS 2022 to SITC Rev. 4. CBS titles are Dutch; these are English, and a few are shortened.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.csv_tables import read_table
from simulator.products import LEAVES


@dataclass(frozen=True)
class CbsGood:
    """A good of the detailed CBS tables.

    Attributes
    ----------
    code
        CN code, eight digits.
    sitc
        SITC Rev. 4 code, four or five digits.
    title
        English title of the CN code.
    share
        Share in the goods of the model that are not split further; unused if the code is itself a product of
        `simulator.products`.
    """

    code: str
    sitc: str
    title: str
    share: float

    @property
    def section(self) -> int:
        """SITC section."""
        return int(self.sitc[0])


# Share of the listed goods in a part of trade that the model does not split further.
_LISTED_SHARE = 0.5


def _read_goods() -> tuple[CbsGood, ...]:
    rows = read_table("simulator/cbs/goods.csv")
    leaves = {leaf.parents[0] for leaf in LEAVES}
    peers: dict[str, list[str]] = {}
    for row in rows:
        code = row["cn"]
        # Outside the listed chapters the goods of one section share its flow.
        leaf = next((code[:n] for n in (8, 6, 4, 2) if code[:n] in leaves), f"section {row['sitc'][0]}")
        peers.setdefault(leaf, []).append(code)
    shares: dict[str, float] = {}
    for codes in peers.values():
        weights = [1 / (1 + i) for i in range(len(codes))]
        shares |= {code: _LISTED_SHARE * weight / sum(weights) for code, weight in zip(codes, weights, strict=True)}
    return tuple(CbsGood(row["cn"], row["sitc"], row["title"], shares[row["cn"]]) for row in rows)


#: In the order of the code.
GOODS = _read_goods()

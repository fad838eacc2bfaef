"""Products of the simulated Comext cube: real HS and CN codes, their hierarchy, prices and other product lists.

``products.csv`` has a row per code, with its share of the parent's value. The rest of a parent is traded too, under
codes that the simulator does not list.

The SITC Rev. 4 and CPA 2.1 codes (without dots) are given for the leaves. Each is the longest code that covers all HS6
codes (SITC, UNSD's conversion of HS 2022) or all CN8 codes (CPA, the correspondence of CN 2022) of the leaf. If the
rest of a chapter has no common code, the simulator uses the group that covers most of its codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.csv_tables import read_table

METAL_CHAPTERS = ("72", "73", "74", "75", "76", "78", "79", "80", "81", "82", "83")

TOTAL = "TOTAL"

# EUR per kg by chapter; the rest of TOTAL is mainly fuels and food.
_UNIT_VALUES = {
    "39": 2.5, "72": 0.95, "73": 3.1, "74": 7.8, "75": 15.0, "76": 3.3, "78": 2.2, "79": 2.7, "80": 26.0,
    "81": 19.0, "82": 22.0, "83": 6.5, "84": 19.0, "85": 27.0, "87": 9.5, TOTAL: 1.1,
}  # fmt: skip

# Price of scrap over the price of its metal.
_SCRAP_DISCOUNT = 0.6

# EUR per piece, for the CN8 codes whose supplementary unit is the number of pieces.
PIECE_VALUES = {"73211110": 180.0, "82119100": 4.0}

_SCRAP_HEADINGS = (
    "7204", "7404", "7503", "7602", "7802", "7902", "8002", "810197", "810330", "810420", "810530", "810830",
)  # fmt: skip

# Share of each SITC section 0..9 in the goods outside the listed chapters.
_REST_SECTIONS = (0.16, 0.03, 0.06, 0.26, 0.02, 0.22, 0.06, 0.02, 0.15, 0.02)


@dataclass(frozen=True)
class Leaf:
    """A product that is not split further: the grain at which trade is generated.

    Attributes
    ----------
    parents
        Product codes that include the leaf, ``TOTAL`` last.
    chapter
        HS2 chapter, or ``TOTAL`` for goods outside the listed chapters.
    share
        Share of the leaf in total trade, before the tilts of reporter and partner.
    unit_value
        EUR per kg at the price level of the base year.
    sections
        Share of the leaf's value in each SITC section 0..9; sums to 1.
    """

    parents: tuple[str, ...]
    chapter: str
    share: float
    unit_value: float
    sections: tuple[float, ...]

    @property
    def is_metal(self) -> bool:
        """True if the leaf belongs to a metal chapter (HS 72-76, 78-83)."""
        return self.chapter in METAL_CHAPTERS


def _sections(chapter: str, is_scrap: bool) -> tuple[float, ...]:
    if chapter == TOTAL:
        return _REST_SECTIONS
    section = {"39": 5, "84": 7, "85": 7, "87": 7}.get(chapter, 2 if is_scrap else 6)
    return tuple(1.0 if s == section else 0.0 for s in range(10))


def _build_leaves(shares: dict[str, float]) -> tuple[Leaf, ...]:
    children: dict[str, list[str]] = {TOTAL: [code for code in shares if len(code) == 2]}
    for code in shares:
        if len(code) > 2:
            children.setdefault(code[:-2], []).append(code)

    leaves = []
    for code in [*shares, TOTAL]:
        share_left = 1.0 - sum(shares[child] for child in children.get(code, ()))
        if share_left < 1e-9:
            continue
        parents = [code] if code == TOTAL else [code[:n] for n in range(len(code), 1, -2)]
        for parent in parents:
            share_left *= shares.get(parent, 1.0)
        chapter = parents[-1]
        is_scrap = code.startswith(_SCRAP_HEADINGS)
        unit_value = _UNIT_VALUES[chapter] * (_SCRAP_DISCOUNT if is_scrap else 1.0)
        if code != TOTAL:
            parents.append(TOTAL)
        leaves.append(Leaf(tuple(parents), chapter, share_left, unit_value, _sections(chapter, is_scrap)))
    return tuple(leaves)


_ROWS = read_table("simulator/products.csv")

PRODUCT_TITLES = {TOTAL: "Total"} | {row["code"]: row["title"] for row in _ROWS}

#: Every product code of the cube, in the order of the code list.
PRODUCTS = tuple(sorted(PRODUCT_TITLES))

#: The disjoint goods that add up to every product.
LEAVES = _build_leaves({row["code"]: float(row["share_of_parent"]) for row in _ROWS})


# CPA 2.2 classes that differ from CPA 2.1 (unverified: after the classes of NACE Rev. 2.1).
_CPA22_CLASSES = {"2571": "2561", "2572": "2562", "2573": "2563", "3832": "3821"}

# Titles of UNSD's and Eurostat's lists; the other codes have none.
_SITC_TITLES = {
    "0": "Food and live animals", "1": "Beverages and tobacco", "2": "Crude materials, inedible, except fuels",
    "3": "Mineral fuels, lubricants and related materials", "4": "Animal and vegetable oils, fats and waxes",
    "5": "Chemicals and related products, n.e.s.", "6": "Manufactured goods classified chiefly by material",
    "7": "Machinery and transport equipment", "8": "Miscellaneous manufactured articles",
    "9": "Commodities and transactions not classified elsewhere in the SITC",
    "28": "Metalliferous ores and metal scrap", "67": "Iron and steel", "68": "Non-ferrous metals",
    "69": "Manufactures of metals, n.e.s.",
}  # fmt: skip
_CPA_TITLES = {
    "22": "Rubber and plastic products", "24": "Basic metals",
    "25": "Fabricated metal products, except machinery and equipment", "27": "Electrical equipment",
    "28": "Machinery and equipment n.e.c.", "29": "Motor vehicles, trailers and semi-trailers",
}  # fmt: skip


@dataclass(frozen=True)
class Grouping:
    """Another product list of the same goods.

    Attributes
    ----------
    name
        Short name, unique.
    codes
        Every code of the list, sorted, ``TOTAL`` included.
    parents
        By leaf (`LEAVES`): the codes that include it, each with its share of the leaf.
    titles
        English title by code.
    """

    name: str
    codes: tuple[str, ...]
    parents: tuple[tuple[tuple[str, float], ...], ...]
    titles: Mapping[str, str]


def cpa22(code: str) -> str:
    """Return the CPA 2.2 code of a CPA 2.1 code; codes below four digits are the same in both (unverified)."""
    return _CPA22_CLASSES.get(code[:4], code[:4]) + code[4:]


def _group(name: str, parents: list[list[tuple[str, float]]], titles: Mapping[str, str]) -> Grouping:
    codes = tuple(sorted({code for leaf in parents for code, _ in leaf}))
    return Grouping(
        name=name,
        codes=codes,
        parents=tuple(tuple(leaf) for leaf in parents),
        titles={code: titles.get(code, f"{name} {code}") for code in codes} | {TOTAL: "Total"},
    )


def _build_groupings() -> tuple[Grouping, Grouping, Grouping]:
    by_hs: list[list[tuple[str, float]]] = []
    by_sitc: list[list[tuple[str, float]]] = []
    by_cpa: list[list[tuple[str, float]]] = []
    for leaf in LEAVES:
        by_hs.append([(code, 1.0) for code in leaf.parents if code == TOTAL or len(code) <= 6])
        by_sitc.append([(TOTAL, 1.0)])
        by_cpa.append([(TOTAL, 1.0)])
        if leaf.chapter == TOTAL:
            # Goods outside the listed chapters have a section only, and no CPA code.
            by_sitc[-1] += [(str(section), share) for section, share in enumerate(_REST_SECTIONS)]
            continue
        sitc, cpa = GROUP_CODES[leaf.parents[0]]
        by_sitc[-1] += [(sitc[:n], 1.0) for n in range(1, len(sitc) + 1)]
        by_cpa[-1] += [(cpa22(cpa)[:n], 1.0) for n in (2, 3, 4) if n <= len(cpa)]
    return (
        _group("HS", by_hs, PRODUCT_TITLES),
        _group("SITC", by_sitc, _SITC_TITLES),
        _group("CPA", by_cpa, _CPA_TITLES),
    )


#: SITC Rev. 4 and CPA 2.1 code of every leaf but the last, by its first product code.
GROUP_CODES = {row["code"]: (row["sitc"], row["cpa21"]) for row in _ROWS if row["sitc"]}

#: HS2-4-6; SITC Rev. 4, sections to five digits; CPA 2.2, divisions to classes.
BY_HS, BY_SITC, BY_CPA = _build_groupings()

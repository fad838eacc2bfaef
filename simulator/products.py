"""Products of the simulated Comext cube: real HS and CN codes, their hierarchy and their economics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

METAL_CHAPTERS = ("72", "73", "74", "75", "76", "78", "79", "80", "81", "82", "83")

TOTAL = "TOTAL"

# code | share of the parent's value | title. The part of a parent that no listed child holds is traded too,
# under codes that the simulator does not list.
_PRODUCTS = """
39|.045|Plastics and articles thereof
3920|.12|Plates, sheets, film, foil and strip, of non-cellular plastics
392010|.30|Plates, sheets, film, foil and strip, of non-cellular polymers of ethylene
39201023|.15|Non-cellular polyethylene film of a thickness of 20 to 40 micrometres
72|.022|Iron and steel
7204|.12|Ferrous waste and scrap; remelting scrap ingots of iron or steel
720421|.35|Waste and scrap of stainless steel
72042110|.80|Waste and scrap of stainless steel, containing by weight >= 8% nickel
720449|.45|Waste and scrap of iron or steel, n.e.s.
72044910|.40|Waste and scrap of iron or steel, fragmentised "shredded"
72044990|.45|Waste and scrap of iron or steel, not fragmentised, not in bundles
7208|.22|Flat-rolled products of iron or non-alloy steel, of a width >= 600 mm, hot-rolled
720839|.30|Flat-rolled products of iron or non-alloy steel, in coils, of a thickness < 3 mm, hot-rolled
72083900|1|Flat-rolled products of iron or non-alloy steel, in coils, of a thickness < 3 mm, hot-rolled
720851|.20|Flat-rolled products of iron or non-alloy steel, not in coils, of a thickness > 10 mm, hot-rolled
72085120|.55|Flat-rolled products of iron or non-alloy steel, not in coils, of a thickness > 15 mm, hot-rolled
7210|.25|Flat-rolled products of iron or non-alloy steel, of a width >= 600 mm, clad, plated or coated
721049|.60|Flat-rolled products of iron or non-alloy steel, plated or coated with zinc, not corrugated
72104900|1|Flat-rolled products of iron or non-alloy steel, plated or coated with zinc, not corrugated
7219|.14|Flat-rolled products of stainless steel, of a width of >= 600 mm
721934|.30|Flat-rolled products of stainless steel, cold-rolled, of a thickness of 0,5 to 1 mm
72193490|.60|Flat-rolled products of stainless steel, cold-rolled, 0,5 to 1 mm thick, < 2,5% nickel
73|.018|Articles of iron or steel
7308|.20|Structures and parts of structures, of iron or steel, n.e.s.
730890|.70|Structures and parts of structures, of iron or steel, n.e.s. (excl. bridges, towers, doors)
73089098|.60|Structures and parts of structures of iron or steel, n.e.s.
7318|.17|Screws, bolts, nuts, coach screws, screw hooks, rivets, cotters, washers, of iron or steel
731815|.45|Threaded screws and bolts, of iron or steel
73181568|.20|Hexagonal-socket head screws and bolts, of iron or steel other than stainless
73181595|.30|Screws and bolts, of iron or steel, n.e.s.
7321|.07|Stoves, ranges, grates, cookers and similar non-electric domestic appliances, of iron or steel
732111|.50|Appliances for baking, frying, grilling and cooking, for gas fuel
73211110|.60|Appliances for baking, frying, grilling and cooking with oven, for gas fuel
7326|.25|Articles of iron or steel, n.e.s. (excl. cast articles)
732690|.75|Articles of iron or steel, n.e.s. (excl. cast articles or articles of iron or steel wire)
73269098|.70|Articles of iron or steel, n.e.s.
74|.007|Copper and articles thereof
7403|.25|Copper, refined, and copper alloys, unwrought
740311|.80|Copper, refined, in the form of cathodes and sections of cathodes
74031100|1|Copper, refined, in the form of cathodes and sections of cathodes
7404|.30|Waste and scrap, of copper
740400|1|Waste and scrap, of copper
74040010|.50|Waste and scrap, of refined copper
74040091|.25|Waste and scrap, of copper-zinc base alloys "brass"
7408|.15|Copper wire
740811|.70|Wire of refined copper, with a maximum cross-sectional dimension of > 6 mm
74081100|1|Wire of refined copper, with a maximum cross-sectional dimension of > 6 mm
75|.0035|Nickel and articles thereof
7502|.45|Unwrought nickel
750210|.80|Nickel, not alloyed, unwrought
75021000|1|Nickel, not alloyed, unwrought
7503|.15|Waste and scrap, of nickel
750300|1|Waste and scrap, of nickel
75030010|.30|Waste and scrap, of non-alloy nickel
75030090|.70|Waste and scrap, of nickel alloys
76|.014|Aluminium and articles thereof
7601|.28|Unwrought aluminium
760110|.40|Aluminium, not alloyed, unwrought
76011000|1|Aluminium, not alloyed, unwrought
760120|.60|Unwrought aluminium alloys
76012080|.75|Unwrought aluminium alloys in the form of billets, ingots and other
7602|.16|Waste and scrap, of aluminium
760200|1|Waste and scrap, of aluminium
76020011|.15|Turnings, shavings, chips, milling waste, sawdust and filings, of aluminium
76020019|.35|Waste of aluminium, n.e.s.
76020090|.50|Scrap of aluminium
7604|.14|Bars, rods and profiles, of aluminium, n.e.s.
760429|.50|Bars, rods and solid profiles, of aluminium alloys, n.e.s.
76042910|.35|Bars and rods of aluminium alloys
7606|.20|Plates, sheets and strip, of aluminium, of a thickness of > 0,2 mm
760612|.75|Plates, sheets and strip, of aluminium alloys, of a thickness of > 0,2 mm, square or rectangular
76061292|.40|Plates, sheets and strip, of aluminium alloys, of a thickness of > 0,2 mm but < 3 mm
78|.0006|Lead and articles thereof
7801|.60|Unwrought lead
780110|.65|Unwrought lead, refined
78011000|1|Unwrought lead, refined
7802|.15|Lead waste and scrap
780200|1|Lead waste and scrap
78020000|1|Lead waste and scrap
79|.0015|Zinc and articles thereof
7901|.65|Unwrought zinc
790111|.60|Unwrought zinc, not alloyed, containing by weight >= 99,99% of zinc
79011100|1|Unwrought zinc, not alloyed, containing by weight >= 99,99% of zinc
7902|.12|Zinc waste and scrap
790200|1|Zinc waste and scrap
79020000|1|Zinc waste and scrap
80|.0006|Tin and articles thereof
8001|.60|Unwrought tin
800110|.80|Unwrought tin, not alloyed
80011000|1|Unwrought tin, not alloyed
8002|.10|Tin waste and scrap
800200|1|Tin waste and scrap
80020000|1|Tin waste and scrap
81|.0018|Other base metals; cermets; articles thereof
8101|.14|Tungsten "wolfram" and articles thereof, n.e.s.; tungsten waste and scrap
810197|.35|Tungsten waste and scrap
81019700|1|Tungsten waste and scrap
8103|.08|Tantalum and articles thereof, n.e.s.; tantalum waste and scrap
810330|.20|Tantalum waste and scrap
81033000|1|Tantalum waste and scrap
8104|.16|Magnesium and articles thereof, n.e.s.; magnesium waste and scrap
810420|.10|Magnesium waste and scrap
81042000|1|Magnesium waste and scrap
8105|.15|Cobalt and articles thereof, n.e.s.; cobalt waste and scrap
810530|.20|Cobalt waste and scrap
81053000|1|Cobalt waste and scrap
8108|.25|Titanium and articles thereof, n.e.s.; titanium waste and scrap
810830|.25|Titanium waste and scrap
81083000|1|Titanium waste and scrap
810890|.50|Articles of titanium, n.e.s.
81089030|.40|Titanium bars, rods, profiles and wire, n.e.s.
82|.004|Tools, implements, cutlery, spoons and forks, of base metal
8207|.35|Interchangeable tools, for hand tools or for machine tools
820730|.15|Interchangeable tools for pressing, stamping or punching
82073010|.80|Interchangeable tools for pressing, stamping or punching, for working metal
8211|.10|Knives with cutting blades, and blades therefor, of base metal
821191|.25|Table knives having fixed blades of base metal, incl. handles
82119100|1|Table knives having fixed blades of base metal, incl. handles
83|.005|Miscellaneous articles of base metal
8302|.35|Base metal mountings, fittings and similar articles
830242|.30|Base metal mountings, fittings and similar articles suitable for furniture
83024200|1|Base metal mountings, fittings and similar articles suitable for furniture
8309|.18|Stoppers, caps and lids, of base metal
830990|.90|Stoppers, caps and lids, of base metal (excl. crown corks)
83099090|.65|Stoppers, caps and lids, of base metal (excl. crown corks and those of lead or aluminium)
84|.150|Nuclear reactors, boilers, machinery and mechanical appliances; parts thereof
85|.130|Electrical machinery and equipment and parts thereof
87|.055|Vehicles other than railway or tramway rolling stock, and parts and accessories thereof
"""

# EUR per kg, by chapter; the rest of TOTAL is dominated by fuels and food.
_UNIT_VALUES = {
    "39": 2.5, "72": 0.95, "73": 3.1, "74": 7.8, "75": 15.0, "76": 3.3, "78": 2.2, "79": 2.7, "80": 26.0,
    "81": 19.0, "82": 22.0, "83": 6.5, "84": 19.0, "85": 27.0, "87": 9.5, TOTAL: 1.1,
}  # fmt: skip

# Scrap trades below the price of its metal.
_SCRAP_DISCOUNT = 0.6

# EUR per piece, for the CN8 codes whose supplementary unit is the number of pieces.
PIECE_VALUES = {"73211110": 180.0, "82119100": 4.0}

_SCRAP_HEADINGS = (
    "7204", "7404", "7503", "7602", "7802", "7902", "8002", "810197", "810330", "810420", "810530", "810830",
)  # fmt: skip

# Share of every SITC section 0..9 in the part of TOTAL that no listed chapter holds.
_REST_SECTIONS = (0.16, 0.03, 0.06, 0.26, 0.02, 0.22, 0.06, 0.02, 0.15, 0.02)


@dataclass(frozen=True)
class Leaf:
    """A product that is not split further: the grain at which trade is generated.

    Attributes
    ----------
    parents
        Every product code the leaf adds to, ``TOTAL`` last.
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
        """Whether the leaf stands in a metal chapter (HS 72-76, 78-83)."""
        return self.chapter in METAL_CHAPTERS


def _read_products() -> tuple[dict[str, float], dict[str, str]]:
    shares: dict[str, float] = {}
    titles = {TOTAL: "Total"}
    for line in _PRODUCTS.strip().splitlines():
        code, share, title = line.split("|")
        shares[code] = float(share)
        titles[code] = title
    return shares, titles


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


_SHARES, PRODUCT_TITLES = _read_products()

#: Every product code of the cube, in the order of the code list.
PRODUCTS = tuple(sorted(PRODUCT_TITLES))

#: The disjoint goods from which every product is added up.
LEAVES = _build_leaves(_SHARES)


# -- the same goods in other product lists ----------------------------------------------------------------

# leaf | SITC Rev. 4 | CPA 2.1, without its dots. The code is the longest one that holds all HS6 codes (SITC,
# UNSD's conversion of HS 2022) or all CN8 codes (CPA, the correspondence of CN 2022) of the leaf. Where the
# rest of a chapter has no code in common, the simulator puts it under the group that holds most of its codes.
_GROUPS = """
39|5|22
3920|5822|222130
392010|58221|222130
39201023|58221|222130
72|67|24
7204|282|3832
720421|28221|383222
72042110|28221|383222
720449|28239|383222
72044910|28239|383222
72044990|28239|383222
7208|673|241031
72083900|67321|241031
720851|67324|241031
72085120|67324|241031
7210|674|241051
72104900|67413|241051
7219|675|2410
721934|67554|241042
72193490|67554|241042
73|69|25
7308|6911|251
730890|69119|2511
73089098|69119|251123
7318|6942|25941
731815|69421|259411
73181568|69421|259411
73181595|69421|259411
7321|6973|2752
732111|69731|275211
73211110|69731|275211
7326|6996|259929
732690|69969|259929
73269098|69969|259929
74|68|2444
7403|6821|244413
74031100|68212|244413
740400|28821|383223
74040010|28821|383223
74040091|28821|383223
7408|6824|244423
74081100|68241|244423
75|68|2445
7502|68312|244511
75021000|68311|244511
75030010|28822|383224
75030090|28822|383224
76|68|2442
76011000|68411|244211
760120|68412|244211
76012080|68412|244211
76020011|28823|383225
76020019|28823|383225
76020090|28823|383225
7604|68421|244222
760429|68421|244222
76042910|68421|244222
7606|68423|244224
760612|68423|244224
76061292|68423|244224
78|68|2443
7801|68511|244311
78011000|68512|244311
78020000|28824|383229
79|68|2443
7901|6861|244312
79011100|68611|244312
79020000|28825|383229
80|68|2443
8001|68712|244313
80011000|68711|244313
80020000|28826|383229
81|68|2445
8101|689|244530
81019700|68911|383229
8103|689|244530
81033000|68913|383229
8104|689|244530
81042000|68914|383229
8105|689|244530
81053000|68981|383229
8108|68983|244530
81083000|68983|383229
810890|69985|244530
81089030|69985|244530
82|69|25
8207|6956|2573
820730|69564|257360
82073010|69564|257360
8211|6968|257111
82119100|6968|257111
83|69|25
8302|6991|257214
83024200|69917|257214
8309|69953|259213
830990|69953|259213
83099090|69953|259213
84|74|28
85|77|27
87|78|29
"""

# CPA 2.2 classes that are not those of CPA 2.1 (unverified: after the classes of NACE Rev. 2.1).
_CPA22_CLASSES = {"2571": "2561", "2572": "2562", "2573": "2563", "3832": "3821"}

# Titles known from UNSD's and Eurostat's lists; the simulator has none for the other codes.
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
    """A product list that adds up the same goods in its own way.

    Attributes
    ----------
    name
        Short name, unique.
    codes
        Every code of the list, sorted, ``TOTAL`` among them.
    parents
        By leaf (`LEAVES`): the codes it adds to, each with the share of the leaf that goes there.
    titles
        English title by code.
    """

    name: str
    codes: tuple[str, ...]
    parents: tuple[tuple[tuple[str, float], ...], ...]
    titles: Mapping[str, str]


def cpa22(code: str) -> str:
    """Translate a CPA 2.1 code of at least four digits (shorter ones are the same in CPA 2.2; unverified)."""
    return _CPA22_CLASSES.get(code[:4], code[:4]) + code[4:]


def _read_groups() -> dict[str, tuple[str, str]]:
    rows = (line.split("|") for line in _GROUPS.strip().splitlines())
    return {code: (sitc, cpa) for code, sitc, cpa in rows}


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
            # Goods outside the listed chapters are known by section only; no CPA code is known of them.
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
GROUP_CODES = _read_groups()

#: HS2-4-6; SITC Rev. 4, sections to five digits; CPA 2.2, divisions to classes.
BY_HS, BY_SITC, BY_CPA = _build_groupings()

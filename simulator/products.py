"""Products of the simulated Comext cube: real HS and CN codes, their hierarchy and their economics."""

from __future__ import annotations

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

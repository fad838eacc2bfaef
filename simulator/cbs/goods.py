"""Goods of the detailed CBS tables: true CN 2022 codes with their SITC Rev. 4 code.

Codes and titles are those of the Combined Nomenclature 2022, the links those of the United Nations' conversion
from HS 2022 to SITC Rev. 4. CBS gives its titles in
Dutch; these are English, and a few are shortened.
"""

from __future__ import annotations

from simulator.economy import CbsGood
from simulator.products import LEAVES

# CN code | SITC code | title
_GOODS = """
01022110|00111|Pure-bred breeding heifers "female bovines that have never calved"
02011000|01111|Carcases or half-carcases of bovine animals, fresh or chilled
03011100|03411|Live ornamental freshwater fish
04029110|02223|Milk and cream, concentrated, of a fat content by weight of <= 8%, unsweetened (excl. in solid forms)
05010000|29191|Human hair, unworked, whether or not washed or scoured; waste of human hair
06011010|29261|Dormant hyacinth bulbs
07031011|05451|Onion sets, fresh or chilled
08011100|05771|Desiccated coconuts
09011100|07111|Coffee (excl. roasted and decaffeinated)
10063021|04231|Semi-milled round grain rice, parboiled
11022010|04711|Maize flour, with fat content of <= 1,5% by weight
12023000|22212|Groundnut seed, for sowing
13012000|29222|Natural gum Arabic
14049000|29299|Vegetable products n.e.s
15021090|41132|Tallow of bovine animals, sheep or goats (excl. for technical/industrial uses, and oil and oleostearin)
16041100|03711|Prepared or preserved salmon, whole or in pieces (excl. minced)
17011210|06112|Raw beet sugar, for refining (excl. added flavouring or colouring)
18031000|07231|Cocoa paste (excl. defatted)
19019011|09894|Malt extract with a dry extract content of >= 90%
20011000|05671|Cucumbers and gherkins, prepared or preserved by vinegar or acetic acid
21011100|07131|Extracts, essences and concentrates, of coffee
22011011|11101|Mineral waters, natural, not sweetened nor flavoured, not carbonated
23011000|08141|Flours, meals and pellets, of meat or offal, unfit for human consumption; greaves
24029000|12231|Cigars, cheroots, cigarillos and cigarettes consisting wholly of tobacco substitutes
25041000|27822|Natural graphite in powder or in flakes
25191000|27824|Natural magnesium carbonate "magnesite"
26020000|2877|Manganese ores and concentrates, with a manganese content of >= 20%
26050000|28793|Cobalt ores and concentrates
27011210|32121|Coking coal, whether or not pulverised, non-agglomerated
28020000|52226|Sulphur, sublimed or precipitated; colloidal sulphur
28100090|52235|Oxides of boron and boric acids (excl. diboron trioxide)
28141000|52261|Anhydrous ammonia
28332100|52349|Sulphate of magnesium
29011000|51114|Saturated acyclic hydrocarbons
29037690|51138|Dibromotetrafluoroethanes
29071300|51243|Octylphenol, nonylphenol and their isomers; salts thereof
30012010|54162|Extracts of glands or other organs or of their secretions, of human origin, for organo-therapeutic uses
31022100|56213|Ammonium sulphate (excl. that in tablets or in packages with a gross weight of <= 10 kg)
31023010|56211|Ammonium nitrate in aqueous solution (excl. that in packages with a gross weight of <= 10 kg)
32011000|53221|Quebracho extract
33011210|55131|Terpenic oils of sweet and bitter orange, incl. concretes and absolutes (excl. orange-flower oil)
33012510|55132|Terpenic oils of mints, incl. concretes and absolutes (excl. those of peppermint "Mentha piperita")
34012010|55419|Soap in the form of flakes, granules or powders
35011010|59221|Casein for the manufacture of artificial textile fibres
35019010|59222|Casein glues (excl. those put up for retail sale as glue and weighing net <= 1 kg)
36010000|59311|Propellent powders
38012010|59861|Colloidal graphite in suspension in oil; semi-colloidal graphite
38051010|59813|Gum turpentine
38109010|59896|Preparations of a kind used as coatings or cores for welding electrodes or rods
39011010|57111|Linear polyethylene with a specific gravity of < 0,94, in primary forms
39041000|57311|Poly"vinyl chloride", in primary forms, not mixed with any other substances
39201023|58221|Non-cellular polyethylene film of a thickness of 20 to 40 micrometres
40012100|23121|Smoked sheets of natural rubber
40023900|23213|Halo-isobutene-isoprene rubber "CIIR" or "BIIR", in primary forms or in plates, sheets or strip
44011100|24501|Fuel wood, in logs, billets, twigs, faggots or similar forms, coniferous
48021000|64121|Handmade paper and paperboard of any size or shape
48132000|64241|Cigarette paper in rolls of a width of <= 5 cm
54011016|65141|Textured sewing yarn of synthetic filaments (excl. core yarn and yarn put up for retail sale)
58023000|65497|Tufted textile fabrics (excl. carpets and other floor coverings)
59021010|65793|Tyre cord fabric of high-tenacity yarn of nylon or other polyamides, impregnated with rubber
60012100|65512|Looped pile fabrics of cotton, knitted or crocheted
63072000|65893|Life jackets and life belts, of all types of textile materials
68010000|66131|Setts, curbstones and flagstones, of natural stone (excl. slate)
69051000|66242|Roofing tiles
70010091|66411|Optical glass in the mass
70071910|66471|Toughened "tempered" safety glass, enamelled
72012000|67122|Non-alloy pig iron in pigs, blocks or other primary forms, containing by weight >= 0,5% phosphorus
72022100|67151|Ferro-silicon, containing by weight > 55% of silicon
72023000|67152|Ferro-silico-manganese
72024190|67153|Ferro-chromium, containing by weight > 6% carbon
72025000|67154|Ferro-silico-chromium
72028000|67159|Ferro-tungsten and ferro-silico-tungsten
72042110|28221|Waste and scrap of stainless steel, containing by weight >= 8% nickel
72044910|28239|Waste and scrap of iron or steel, fragmentised "shredded"
72044990|28239|Waste and scrap of iron or steel, not fragmentised, not in bundles
72083900|67321|Flat-rolled products of iron or non-alloy steel, in coils, of a thickness < 3 mm, hot-rolled
72085120|67324|Flat-rolled products of iron or non-alloy steel, not in coils, of a thickness > 15 mm, hot-rolled
72104900|67413|Flat-rolled products of iron or non-alloy steel, plated or coated with zinc, not corrugated
72193490|67554|Flat-rolled products of stainless steel, cold-rolled, 0,5 to 1 mm thick, < 2,5% nickel
72209020|67572|Flat-rolled products of stainless steel, of a width of < 600 mm, further worked, perforated
73011000|67686|Sheet piling of iron or steel, whether or not drilled, punched or made from assembled elements
73021040|67701|Grooved rails of iron or steel, for railway or tramway track, new
73041100|67912|Line pipe of a kind used for oil or gas pipelines, seamless, of stainless steel
73066110|67944|Tubes and pipes and hollow profiles, welded, of square or rectangular cross-section, of stainless steel
73071990|67952|Cast tube or pipe fittings of steel
73089098|69119|Structures and parts of structures of iron or steel, n.e.s.
73181568|69421|Hexagonal-socket head screws and bolts, of iron or steel other than stainless
73181595|69421|Screws and bolts, of iron or steel, n.e.s.
73211110|69731|Appliances for baking, frying, grilling and cooking with oven, for gas fuel
73269098|69969|Articles of iron or steel, n.e.s.
74020000|68211|Copper, unrefined; copper anodes for electrolytic refining
74031100|68212|Copper, refined, in the form of cathodes and sections of cathodes
74032200|68214|Copper-tin base alloys "bronze" unwrought
74040010|28821|Waste and scrap, of refined copper
74040091|28821|Waste and scrap, of copper-zinc base alloys "brass"
74081100|68241|Wire of refined copper, with a maximum cross-sectional dimension of > 6 mm
75021000|68311|Nickel, not alloyed, unwrought
75022000|68312|Unwrought nickel alloys
75030010|28822|Waste and scrap, of non-alloy nickel
75030090|28822|Waste and scrap, of nickel alloys
75051100|68321|Bars, rods, profiles and wire, of non-alloy nickel, n.e.s. (excl. electrically insulated products)
76011000|68411|Aluminium, not alloyed, unwrought
76012080|68412|Unwrought aluminium alloys in the form of billets, ingots and other
76020011|28823|Turnings, shavings, chips, milling waste, sawdust and filings, of aluminium
76020019|28823|Waste of aluminium, n.e.s.
76020090|28823|Scrap of aluminium
76031000|68425|Powders of aluminium, of non-lamellar structure (excl. pellets of aluminium)
76042910|68421|Bars and rods of aluminium alloys
76061292|68423|Plates, sheets and strip, of aluminium alloys, of a thickness of > 0,2 mm but < 3 mm
76072091|68424|Aluminium Composite Panel, of a thickness <= 0,2 mm
76081000|68426|Tubes and pipes of non-alloy aluminium (excl. hollow profiles)
76090000|68427|Aluminium tube or pipe fittings "e.g., couplings, elbows, sleeves"
78011000|68512|Unwrought lead, refined
78019100|68511|Unwrought lead, containing by weight antimony as the principal other element
78020000|28824|Lead waste and scrap
79011100|68611|Unwrought zinc, not alloyed, containing by weight >= 99,99% of zinc
79012000|68612|Unwrought zinc alloys
79020000|28825|Zinc waste and scrap
79039000|68633|Zinc powders and flakes (excl. grains of zinc, and spangles of heading 8308, and zinc dust)
80011000|68711|Unwrought tin, not alloyed
80012000|68712|Unwrought tin alloys
80020000|28826|Tin waste and scrap
81019700|68911|Tungsten waste and scrap
81033000|68913|Tantalum waste and scrap
81042000|68914|Magnesium waste and scrap
81053000|68981|Cobalt waste and scrap
81069090|68992|Bismuth and articles thereof, containing <= 99,99 % of bismuth by weight, n.e.s.
81083000|68983|Titanium waste and scrap
81089030|69985|Titanium bars, rods, profiles and wire, n.e.s.
82021000|69521|Handsaws, with working parts of base metal (excl. power-operated saws)
82033000|69523|Metal-cutting shears and similar hand tools, of base metal
82073010|69564|Interchangeable tools for pressing, stamping or punching, for working metal
82119100|6968|Table knives having fixed blades of base metal, incl. handles
83011000|69911|Padlocks of base metal
83022000|69914|Castors with mountings of base metal
83024200|69917|Base metal mountings, fittings and similar articles suitable for furniture
83099090|69953|Stoppers, caps and lids, of base metal (excl. crown corks and those of lead or aluminium)
84011000|71871|Nuclear reactors [Euratom]
84072191|71331|Spark-ignition outboard motors, of a cylinder capacity > 325 cm³ and a power <= 30 kW
84118220|71489|Gas turbines of a power > 5.000 kW but <= 20.000 kW (excl. turbojets and turbopropellers)
84132000|74271|Hand pumps for liquids (excl. those of subheading 8413.11 and 8413.19)
84151090|74151|Air conditioning machines designed to be fixed to a window, wall, ceiling or floor, "split-system"
84182900|77521|Household refrigerators, absorption-type
84193400|74184|Dryers, for agricultural products (excl. lyophilisation apparatus, freeze drying units and spray dryers)
84212300|74363|Oil or petrol-filters for internal combustion engines
84239090|74539|Weighing machine weights of all kinds; parts of weighing machinery, n.e.s.
85012000|71631|Universal AC-DC motors of an output > 37,5 W
85022080|71651|Generating sets with spark-ignition internal combustion piston engine, of an output > 750 kVA
85043129|77119|Measuring transformers having a power handling capacity <= 1 kVA (other than for voltage measurement)
85051910|77881|Permanent magnets of agglomerated ferrite
85065030|77811|Lithium cells and batteries, in the form of button cells (excl. spent)
85076000|77812|Lithium-ion accumulators (excl. spent)
85122000|77834|Electrical lighting or visual signalling equipment for motor vehicles (excl. lamps of heading 8539)
85144000|74134|Equipment for the heat treatment of materials by induction or dielectric loss (excl. ovens and furnaces)
86011000|79111|Rail locomotives powered from an external source of electricity
86021000|79121|Diesel-electric locomotives
87024000|78319|Motor vehicles for the transport of >= 10 persons, incl. driver, with only electric motor for propulsion
87051000|78221|Crane lorries (excl. breakdown lorries)
87053000|78225|Fire fighting vehicles (excl. vehicles for transporting persons)
87059030|78229|Concrete-pumping vehicles
87131000|78531|Carriages for disabled persons, not mechanically propelled
88010090|79284|Kites and other non-powered aircraft (excl. gliders, hang gliders, balloons and children's kites)
89012010|79322|Sea-going tankers
90012000|88419|Sheets and plates of polarising material
91040000|88571|Instrument panel clocks and clocks of a similar type for vehicles, aircraft, vessels and other vehicles
92011010|89813|New upright pianos
93011000|89112|Artillery weapons "e.g. guns, howitzers and mortars"
94011000|82111|Seats for aircraft
95042000|89433|Billiards of all kinds and accessories
96011000|89911|Worked ivory and articles of ivory, n.e.s.
97012200|89612|Mosaics, over 100 years old
"""

# Part of what the model does not split further that the listed goods hold together.
_LISTED_SHARE = 0.5


def _read_goods() -> tuple[CbsGood, ...]:
    rows = [line.split("|") for line in _GOODS.strip().splitlines()]
    leaves = {leaf.parents[0] for leaf in LEAVES}
    peers: dict[str, list[str]] = {}
    for code, sitc, _ in rows:
        # Outside the listed chapters the goods of one section share its flow.
        leaf = next((code[:n] for n in (8, 6, 4, 2) if code[:n] in leaves), f"section {sitc[0]}")
        peers.setdefault(leaf, []).append(code)
    shares: dict[str, float] = {}
    for codes in peers.values():
        weights = [1 / (1 + i) for i in range(len(codes))]
        shares |= {code: _LISTED_SHARE * weight / sum(weights) for code, weight in zip(codes, weights, strict=True)}
    return tuple(CbsGood(code, sitc, title, shares[code]) for code, sitc, title in rows)


#: In the order of the code.
GOODS = _read_goods()

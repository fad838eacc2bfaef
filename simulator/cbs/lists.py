"""Code lists of the dimensions, as records of ``<Dim>Codes``, and their groups."""

from __future__ import annotations

from typing import Any

from simulator.cbs.goods import GOODS, CbsGood
from simulator.cbs.trade import NOT_IN_COUNTRY, SECTION_CODES
from simulator.geonom import LAND_ENTRIES
from simulator.partners import PartnerList

LAND_TOTAL, SECTION_TOTAL = "T001047", "T001082"
EU_LAND, NOT_EU_LAND = "L007935", "L006998"

#: Germany, Belgium, France, United Kingdom, United States.
LARGE_LANDS = ("L008592", "L008552", "L008605", "L008776", "L008778")

#: World regions and the group of their countries.
REGION_GROUPS = {
    "L007933": "6", "L008519": "7", "L008520": "8", "L008524": "9", "L008531": "10", "L008527": "11",
}  # fmt: skip
_AGGREGATE_GROUPS = {LAND_TOTAL: "1", EU_LAND: "4", NOT_EU_LAND: "4"} | dict.fromkeys(REGION_GROUPS, "2")

#: Members of Landen that are sums of others.
LAND_AGGREGATES = tuple(_AGGREGATE_GROUPS)

_AGGREGATE_DESCRIPTIONS = {
    EU_LAND: (
        "Land (datum van toetreding):\r\nKroatië (1 juli 2013)\r\nBulgarije en Roemenië (1 januari 2007)\r\n"
        "\r\nLand (datum van uittreding):\r\nVerenigd Koninkrijk (1 februari 2020)\r\n"
    ),
    NOT_EU_LAND: "Alle landen die niet tot de Europese Unie (EU) behoren.",
}

SECTION_TITLES = (
    "0 Voeding en levende dieren",
    "1 Dranken en tabak",
    "2 Grondstoffen, niet eetbaar, behalve brandstoffen",
    "3 Minerale brandstoffen, smeermiddelen en dergelijke producten",
    "4 Dierlijke en plantaardige oliën en vetten",
    "5 Chemische producten",
    "6 Fabricaten hoofdzakelijk gerangschikt volgens grondstoffen",
    "7 Machines en vervoermaterieel",
    "8 Diverse gefabriceerde goederen",
    "9 Niet afzonderlijk genoemde goederen",
)
_LONGEST_TITLE = 40

LAND_GROUPS = (
    ("1", "Totaal landen"), ("2", "Werelddelen"), ("3", "EU en niet-EU"), ("4", "EU en niet-EU"),
    ("5", "Landen"), ("6", "Europa"), ("7", "Afrika"), ("8", "Amerika"), ("9", "Azië"), ("10", "Oceanië"),
    ("11", "Overige niet-EU"),
)  # fmt: skip
SECTION_GROUPS = (("13", "Totaal"), ("14", "SITC-secties"))

# Keys and names of SBI 2008 as in the recorded payload of 81810NED.
_BRANCHES = {
    "307500": "C Industrie",
    "328110": "24-30, 33 Metalektro",
    "328105": "24-25 Basismetaal, metaalprod.-industrie",
    "328100": "24 Basismetaalindustrie",
    "330300": "25 Metaalproductenindustrie",
    "332905": "26-28 Elektrische en machine-industrie",
    "332900": "26 Elektrotechnische industrie",
    "334800": "27 Elektrische apparatenindustrie",
    "336500": "28 Machine-industrie",
    "339205": "29-30 Transportmiddelenindustrie",
    "339200": "29 Auto- en aanhangwagenindustrie",
    "340200": "30 Overige transportmiddelenindustrie",
    "344400": "33 Reparatie en installatie van machines",
}


def code_record(code: str, index: int, title: str, group: str | None, text: str = "") -> dict[str, Any]:
    """Return one record; a title above 40 characters is cut, and complete in the description."""
    is_long = len(title) > _LONGEST_TITLE
    return {
        "Identifier": code,
        "Index": index,
        "Title": title[: _LONGEST_TITLE - 3] + "..." if is_long else title,
        "Description": title if is_long else text,
        "DimensionGroupId": group,
    }


def land_codes(partners: PartnerList) -> list[dict[str, Any]]:
    """Return the records of ``LandenCodes``, in the order of the office's list."""
    records = []
    for index, (code, title) in enumerate(partners.lands, start=1):
        if code in _AGGREGATE_GROUPS:
            group, text = _AGGREGATE_GROUPS[code], _AGGREGATE_DESCRIPTIONS.get(code, "")
        else:
            entry = LAND_ENTRIES[code]
            group = entry.group
            text = f"GEO code alfa2: {entry.alpha2}\r\nGEO code numeriek: {entry.numeric}"
        # Country names are never cut.
        records.append(code_record(code, index, "", group, text) | {"Title": title})
    return records


def section_codes(*, with_outside: bool = False) -> list[dict[str, Any]]:
    """Return the records of ``SITCCodes``: the total, the ten sections and, by ownership, goods outside the country."""
    titles = [(SECTION_TOTAL, "Totaal goederen"), *zip(SECTION_CODES, SECTION_TITLES, strict=True)]
    if with_outside:
        titles.append((NOT_IN_COUNTRY, "Niet fysiek in Nederland"))
    return [
        code_record(code, index, title, "13" if code == SECTION_TOTAL else "14")
        for index, (code, title) in enumerate(titles, start=1)
    ]


def cn_goods(first_chapter: int, last_chapter: int) -> list[CbsGood]:
    """Return the goods of a range of chapters, in the order of their CN code."""
    return [good for good in GOODS if first_chapter <= int(good.code[:2]) <= last_chapter]


def sitc_goods(first: str, last: str) -> dict[str, list[CbsGood]]:
    """Return the goods by five-digit SITC code between two prefixes, both included."""
    groups: dict[str, list[CbsGood]] = {}
    for good in sorted(GOODS, key=lambda good: good.sitc):
        # A group that is not split further has four digits and is not in a table of five.
        if len(good.sitc) == 5 and first <= good.sitc and good.sitc[: len(last)] <= last:
            groups.setdefault(good.sitc, []).append(good)
    return groups


def cn_codes(goods: list[CbsGood]) -> list[dict[str, Any]]:
    """Return the records of ``GNCodes``; the group of a code is its chapter."""
    return [
        code_record(f"GN{good.code}", index, f"{good.code} {good.title}", good.code[:2])
        for index, good in enumerate(goods, start=1)
    ]


def sitc_codes(groups: dict[str, list[CbsGood]]) -> list[dict[str, Any]]:
    """Return the records of five-digit ``SITCCodes``, named after a good of the code: no titles were found."""
    return [
        code_record(f"SITC{sitc}", index, f"{sitc} {goods[0].title}", sitc[:2])
        for index, (sitc, goods) in enumerate(groups.items(), start=1)
    ]


def chapter_groups(goods: list[CbsGood]) -> tuple[tuple[str, str], ...]:
    """Return the groups of ``GNCodes``."""
    return tuple((chapter, f"Hoofdstuk {chapter}") for chapter in sorted({good.code[:2] for good in goods}))


def division_groups(groups: dict[str, list[CbsGood]]) -> tuple[tuple[str, str], ...]:
    """Return the groups of the five-digit ``SITCCodes``."""
    return tuple((division, f"SITC-divisie {division}") for division in sorted({sitc[:2] for sitc in groups}))


def branch_codes(*names: str, width: int = 0) -> list[dict[str, Any]]:
    """Return the records of ``BedrijfstakkenBranchesSBI2008``.

    Parameters
    ----------
    *names
        Keys; all known ones by default.
    width
        Width to which keys are padded with blanks, as in some CBS code lists.
    """
    return [
        code_record(code.ljust(width), index, _BRANCHES[code], None)
        for index, code in enumerate(names or _BRANCHES, start=1)
    ]

"""Country codes that CBS prints in the descriptions of its country list.

``reference/office_partners.csv`` has the codes and their order, but neither the group of a country nor its numeric
GEONOM code. ``LandenCodes`` returns both, so they are kept here.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.csv_tables import read_table


class LandEntry(NamedTuple):
    """One leaf of the CBS dimension Landen.

    Attributes
    ----------
    group
        ``DimensionGroupId``: 6 Europe, 7 Africa, 8 Americas, 9 Asia, 10 Oceania, 11 other non-EU.
    alpha2
        GEONOM alpha-2 code, which is also the Comext partner code (``XS`` Serbia, ``GR`` Greece).
    numeric
        GEONOM numeric code, three digits as text.
    """

    group: str
    alpha2: str
    numeric: str


#: By the code of Landen.
LAND_ENTRIES: dict[str, LandEntry] = {
    row["land"]: LandEntry(row["group"], row["alpha2"], row["numeric"]) for row in read_table("simulator/geonom.csv")
}

"""Statistics Netherlands (CBS): its tables, over OData v4 and v3, as bulk files, and its release calendar."""

from simulator.cbs.lists import LARGE_LANDS
from simulator.cbs.service import ROOT, ROOTS, CbsService
from simulator.cbs.tables import TABLES

#: Measures of 85429NED, in the order of the office.
MEASURES = tuple(measure.code for measure in TABLES["85429NED"].measures)

__all__ = ["LARGE_LANDS", "MEASURES", "ROOT", "ROOTS", "TABLES", "CbsService"]

"""One package per office, the only place for its protocol and quirks."""

from __future__ import annotations

from extract.offices.base import Office
from extract.offices.cbs.office import CbsOffice
from extract.offices.eurostat.office import EurostatOffice

OFFICES: dict[str, Office] = {"cbs": CbsOffice(), "eurostat": EurostatOffice()}

"""One package an office: its protocol and its quirks, and nothing of them anywhere else."""

from __future__ import annotations

from extract.offices.base import Office
from extract.offices.cbs.office import CbsOffice
from extract.offices.eurostat.office import EurostatOffice

OFFICES: dict[str, Office] = {"cbs": CbsOffice(), "eurostat": EurostatOffice()}

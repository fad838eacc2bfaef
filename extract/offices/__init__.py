"""One module an office: its protocol and its quirks, and nothing of them anywhere else."""

from __future__ import annotations

from extract.offices import cbs, eurostat
from extract.offices.base import Office

OFFICES: dict[str, Office] = {"cbs": cbs.CbsOffice(), "eurostat": eurostat.EurostatOffice()}

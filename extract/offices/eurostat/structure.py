"""Validation of dataflows, tables of contents and update times."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.offices.base import OfficeVersion
from extract.offices.eurostat.faults import read_fault
from extract.offices.eurostat.formats import BRUSSELS, last_update_text
from extract.replies import UnreadableError, read_xml
from extract.verdicts import Verdict, head_of


def inspect_structure(path: Path, content_type: str) -> Verdict | None:
    """Accept a complete SDMX-ML structure message."""
    if fault := read_fault(path):
        return fault
    try:
        read_xml(path)
    except UnreadableError as error:
        return Verdict.of(error)
    if b"Structure" not in head_of(path, 400):
        return Verdict(f"not an SDMX structure (content type {content_type!r})", retryable=False)
    return None


def inspect_toc(path: Path, content_type: str) -> Verdict | None:
    """Accept the table of contents as text."""
    if fault := read_fault(path):
        return fault
    if b"\t" not in head_of(path, 400):
        return Verdict(f"not a table of contents (content type {content_type!r})", retryable=False)
    return None


def parse_last_update(text: str, dataset: Dataset) -> OfficeVersion:
    """Read ``DD/MM/YY HH:MM:SS``, Brussels time, or ISO 8601 with an offset (JSON-stat).

    Raises
    ------
    BadReplyError
        If it is anything else.
    """
    try:
        if "T" in text:
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, "%d/%m/%y %H:%M:%S").replace(tzinfo=BRUSSELS)
        return _version(moment)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadReplyError(
            f"LAST UPDATE is {text!r}, not DD/MM/YY HH:MM:SS",
            dataset=dataset.code,
            next_step="look at the reply in the raw store and adapt extract/offices/eurostat/",
        ) from error


def read_moment(text: str, dataset: Dataset, where: str) -> OfficeVersion:
    """Read an ISO 8601 time with an offset.

    Raises
    ------
    BadReplyError
        If it is anything else.
    """
    try:
        return _version(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"))
    except (ValueError, OverflowError) as error:
        raise BadReplyError(
            f"the stamp of the last update is {text!r}, not ISO 8601 with an offset",
            dataset=dataset.code,
            where=where,
            next_step="look at the reply in the raw store and adapt extract/offices/eurostat/",
        ) from error


def _version(moment: datetime) -> OfficeVersion:
    """Return a moment as a version; reject one without an offset, which would be read in the machine's time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no offset")
    return OfficeVersion(last_update_text(moment), _utc(moment))


def _utc(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")

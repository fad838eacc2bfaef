"""Version, status, dimensions, units and code lists of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from extract.dataset import Dataset
from extract.errors import BadReplyError
from extract.offices.base import (
    Fetched,
    Files,
    Metadata,
    OfficeVersion,
)
from extract.offices.cbs.measures import v3_topics, v4_measures
from extract.offices.cbs.replies import AMSTERDAM, LOOK, REDESIGNED, V3, text_of
from extract.replies import (
    read_object,
    read_rows,
)
from extract.verdicts import Reply

# The status of a table that is still updated.
_REGULAR = "Regulier"


def _notice(properties: Mapping[str, Any], status: str, *reasons: str) -> str:
    """Return CBS's notice about a discontinued table; field names differ between v4 and v3."""
    found = str(properties.get(status) or _REGULAR)
    words = " ".join(text for name in reasons if (text := text_of(properties, name)))
    return "" if found == _REGULAR else f"CBS calls the table {found}: {words or 'it gives no reason'}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_version(reply: Reply, dataset: Dataset) -> OfficeVersion:
    """Read ``Properties.Version``, which is Dutch time, and ``Status``.

    Raises
    ------
    BadReplyError
        If the version is not ``YYYYMMDDhhmm``.
    """
    properties = read_object(reply.path)
    version = str(properties.get("Version", ""))
    try:
        if not re.fullmatch(r"\d{12}", version):
            raise ValueError(version)
        stamp = _utc(datetime.strptime(version, "%Y%m%d%H%M").replace(tzinfo=AMSTERDAM))
    except (ValueError, OverflowError) as error:
        raise BadReplyError(
            f"Properties.Version is {version!r}, not YYYYMMDDhhmm",
            dataset=dataset.code,
            where=reply.record.url,
            next_step=LOOK,
        ) from error
    return OfficeVersion(version, stamp, _notice(properties, "Status", "VersionNotes", "VersionReason"))


def read_v3_version(reply: Reply, dataset: Dataset) -> OfficeVersion:
    """Read ``TableInfos.Modified``, which is Dutch time without an offset, and ``OutputStatus``.

    Raises
    ------
    BadReplyError
        If ``Modified`` is not a time.
    """
    info = next(iter(read_rows(reply.path)), {})
    modified = str(info.get("Modified", ""))
    try:
        # The time has no offset; its hour matches the Dutch release time.
        moment = datetime.fromisoformat(modified).replace(tzinfo=AMSTERDAM)
        stamp = _utc(moment)
    except (ValueError, OverflowError) as error:
        raise BadReplyError(
            f"TableInfos.Modified is {modified!r}, not a time",
            dataset=dataset.code,
            where=reply.record.url,
            next_step=LOOK,
        ) from error
    return OfficeVersion(modified, stamp, _notice(info, "OutputStatus", "ReasonDelivery"))


def check_dimensions(reply: Reply, dataset: Dataset) -> None:
    """Raise `BadReplyError` if the table's dimensions differ from the registry's."""
    found = tuple(row["Identifier"] for row in read_rows(reply.path, "Identifier"))
    if set(found) != set(dataset.dimensions):
        raise BadReplyError(
            f"the table's dimensions are {list(found)}, the registry declares {list(dataset.dimensions)}",
            dataset=dataset.code,
            where=reply.record.url,
            next_step=REDESIGNED,
        )


def read_metadata(dataset: Dataset, fetched: Fetched, files: Files) -> Metadata:
    """Read units and code lists."""
    units: dict[str, str] = {}
    codes: list[tuple[str, str, str, str, str, str]] = []
    is_v3 = fetched.protocol == V3
    for payload, path in files:
        if payload.purpose == "measures" and is_v3:
            topics = v3_topics(path, dataset)
            rows = [row for row in read_rows(path, "Key") if row["Key"] in topics]
            units = {topics[row["Key"]]: text_of(row, "Unit") for row in rows}
        elif payload.purpose == "measures":
            declared = {office: code for code, office in v4_measures(path, dataset).items()}
            for row in read_rows(path, "Identifier"):
                code = text_of(row, "Identifier")
                units[declared.get(code, code)] = text_of(row, "Unit")
        elif payload.purpose.startswith("codes:"):
            dimension = payload.purpose.removeprefix("codes:")
            names = (
                ("Key", "Title", "Description", "CategoryGroupID", "Status")
                if is_v3
                else ("Identifier", "Title", "Description", "DimensionGroupId", "Status")
            )
            for row in read_rows(path, names[0]):
                code, title, description, group, status = (text_of(row, name) for name in names)
                codes.append((dimension, code, title, description, group, status))
    return Metadata(units, codes)

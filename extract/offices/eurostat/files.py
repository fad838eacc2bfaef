"""Files for download on Eurostat's main host: listing, version and URL.

Files have no version and are overwritten in place: size and time in the listing serve as the version, and are compared
before and after a download.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote as url_quote
from zoneinfo import ZoneInfo

from extract.dataset import Dataset
from extract.errors import BadReplyError, TornReadError
from extract.http import OfficeSession
from extract.offices.base import OfficeVersion
from extract.offices.eurostat.faults import read_fault
from extract.verdicts import Inspector, Reply, Verdict, head_of, tail_of

_LOOK = "look at the reply in the raw store and adapt extract/offices/eurostat/files.py"


@dataclass(frozen=True)
class ListedFile:
    """A file of a listing.

    Attributes
    ----------
    folder : str
        Path of the folder, without a slash at either end.
    size : int
        Bytes.
    modified : str
        Time of the last change as written in the listing.
    """

    name: str
    folder: str
    size: int
    modified: str


def list_folder(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, folder: str) -> dict[str, ListedFile]:
    """Return the files of a folder by name, without its subfolders.

    Raises
    ------
    BadReplyError
        If the listing has other columns than name, size and time, or a size that is not a number.
    """
    url = (
        f"{hosts['main']}/files?format=csv&dir={url_quote(folder, safe='')}&hierarchy=false&sizeFormat=NONE"
        "&dateFormat=ISO"
    )
    reply = session.get(url, purpose="listing", inspect=_inspect_listing)
    # Extra fields of a line get no name; missing ones are empty.
    rows = list(csv.DictReader(reply.text().splitlines(), restkey="", restval=""))
    names = {column.upper(): column for column in (rows[0] if rows else {})}
    modified = next((own for upper, own in names.items() if "DATE" in upper or "MODIF" in upper), "")
    if not rows or "NAME" not in names or "SIZE" not in names or not modified:
        raise BadReplyError(
            f"the listing has the columns {sorted(names.values())}, not a name, a size and a time",
            dataset=dataset.code,
            where=url,
            next_step=_LOOK,
        )
    files = {}
    for row in rows:
        name, size = row[names["NAME"]].rsplit("/", 1)[-1], row[names["SIZE"]]
        if not size:
            # A folder has no size.
            continue
        if not (size.isdecimal() and len(size) < 20):
            raise BadReplyError(
                f"the listing gives {size!r} as size of {name}, not bytes",
                dataset=dataset.code,
                where=url,
                next_step=_LOOK,
            )
        files[name] = ListedFile(name, folder, int(size), row[modified])
    return files


def fetch_file(
    session: OfficeSession,
    hosts: dict[str, str],
    dataset: Dataset,
    find: Callable[[], ListedFile],
    inspector: Callable[[ListedFile], Inspector],
) -> tuple[Reply, ListedFile]:
    """Fetch a file, and return it with its entry in the listing.

    Parameters
    ----------
    find : callable
        Looks up the file in the listing, which each call requests again.
    inspector : callable
        Returns the inspector of a listed file's body.

    Raises
    ------
    TornReadError
        If the office replaced the file meanwhile.
    """
    before = find()
    url = file_url(hosts, before)
    reply = session.get(url, purpose="observations", inspect=inspector(before))
    session.progress(f"observations: {before.name}, {reply.record.bytes / 1e6:.1f} MB")
    after = find()
    if after != before:
        raise TornReadError(
            f"the listing showed {before.size:,} bytes of {before.modified}, now {after.size:,} of {after.modified}",
            dataset=dataset.code,
            where=url,
            next_step="Eurostat replaced the file meanwhile: load it again",
        )
    return reply, before


def file_url(hosts: dict[str, str], file: ListedFile) -> str:
    """Return the URL of a file; the office redirects from it to the file."""
    return f"{hosts['main']}/files?file={url_quote(f'{file.folder}/{file.name}', safe='')}"


def version_of(file: ListedFile, dataset: Dataset) -> OfficeVersion:
    """Return size and time of a file as its version.

    Raises
    ------
    BadReplyError
        If the time is not ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(file.modified)
        if moment.tzinfo is None:
            # A time without offset is taken as Brussels time, as everywhere at this office.
            moment = moment.replace(tzinfo=ZoneInfo("Europe/Brussels"))
        stamp = moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError) as error:
        raise BadReplyError(
            f"the listing gives {file.modified!r} as time of {file.name}, not ISO 8601",
            dataset=dataset.code,
            where=file.folder,
            next_step=_LOOK,
        ) from error
    return OfficeVersion(f"{file.name} {file.size} {file.modified}", stamp)


def _inspect_listing(path: Path, content_type: str) -> Verdict | None:
    if fault := read_fault(path):
        return fault
    if b"," not in head_of(path, 400).split(b"\n", 1)[0]:
        return Verdict(f"not a listing of files (content type {content_type!r})", retryable=False)
    return None if tail_of(path, 1) == b"\n" else Verdict("the listing is cut off in its last line", retryable=True)

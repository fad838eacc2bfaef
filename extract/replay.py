"""Replay of a folder of recorded payloads through the same client code as live replies.

A recording is recognised by its structure, not by its name: a CBS capture is a folder with ``properties.json`` and
``index.json``; a Comext capture is an SDMX-CSV file. The requests session gets an adapter that answers the
recorded URLs with the recorded bytes and refuses all others, so a replay can never reach the network.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import duckdb
import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from common.sql import quote
from extract.dataset import Dataset
from extract.errors import ExtractError
from extract.offices import OFFICES
from extract.offices.eurostat.structure import parse_last_update
from extract.replies import UNREADABLE, read_object
from extract.slices import Slice

_PROBLEMS: tuple[type[Exception], ...] = (OSError, ExtractError, *UNREADABLE)
_EQUALS = re.compile(r"(\w+) eq '([^']*)'")


@dataclass(frozen=True)
class Recording:
    """A recorded reply."""

    url: str
    body: Path | bytes
    content_type: str
    recorded_at: str


class ReplayAdapter(BaseAdapter):
    """A requests transport that answers from recordings."""

    def __init__(self, recordings: dict[str, Recording]) -> None:
        super().__init__()
        self._recordings = recordings

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        """Answer with the recording of this URL, or 404."""
        url = normalise(request.url or "")
        recording = self._recordings.get(url)
        response = requests.Response()
        response.request = request
        response.url = url
        response.status_code = 200 if recording else 404
        body = recording.body if recording else b'{"error": "no recording of this URL in the replay folder"}'
        stream = body.open("rb") if isinstance(body, Path) else io.BytesIO(body)
        response.headers["Content-Type"] = recording.content_type if recording else "application/json"
        if recording:
            response.headers["X-Recorded-Url"] = recording.url
            response.headers["X-Recorded-At"] = recording.recorded_at
        response.raw = HTTPResponse(body=stream, preload_content=False, status=response.status_code)
        return response

    def close(self) -> None:
        """Do nothing: no resource is held."""


@dataclass(frozen=True)
class Replay:
    """Recordings of one dataset in a replay folder.

    Attributes
    ----------
    left_out : tuple of (Path, str)
        Files of the dataset that cannot be replayed, each with the reason.
    """

    slices: tuple[Slice, ...]
    adapter: ReplayAdapter
    left_out: tuple[tuple[Path, str], ...] = ()


class _LeftOutError(Exception):
    """A file of the dataset cannot be replayed; the message is the reason."""


def open_replay(folder: Path, dataset: Dataset, reporters: tuple[str, ...]) -> Replay:
    """Find the recordings of a dataset below a folder.

    Returns
    -------
    Replay
        Its slices are those that were recorded; no others can be replayed.

    Raises
    ------
    ExtractError
        If the folder is absent.
    """
    if not folder.is_dir():
        raise ExtractError(
            "the replay folder does not exist",
            dataset=dataset.code,
            where=str(folder),
            next_step="give REPLAY=<folder with recorded payloads>",
        )
    pattern, find = {"cbs": ("index.json", _find_cbs), "eurostat": ("*.csv", _find_comext)}[dataset.office]
    recordings: list[Recording] = []
    slices: list[Slice] = []
    left_out: list[tuple[Path, str]] = []
    for path in sorted(folder.rglob(pattern)):
        try:
            found, offered = find(path, dataset, reporters)
        except _LeftOutError as error:
            left_out.append((path, str(error)))
        except _PROBLEMS as error:
            # One bad file must not stop the others.
            left_out.append((path, f"it cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}"))
        else:
            recordings += found
            slices += offered
    return Replay(tuple(slices), ReplayAdapter({normalise(r.url): r for r in recordings}), tuple(left_out))


def normalise(url: str) -> str:
    """Return a URL unescaped, so that two spellings of one request are equal."""
    return unquote(url)


def _find_cbs(index_path: Path, dataset: Dataset, _: tuple[str, ...]) -> tuple[list[Recording], list[Slice]]:
    """Read the manifest of a capture; return nothing if it is of another table."""
    index = read_object(index_path)
    if index.get("tableId") != dataset.identifier:
        return [], []
    home, base, moment = index_path.parent, str(index["source"]), str(index["capturedAt"])
    files = index["files"]
    named = {
        "Properties": files["properties"],
        "Dimensions": files["dimensions"],
        "MeasureCodes": files["measure-codes"],
        **{f"{dimension}Codes": files[f"codes-{dimension}"] for dimension in dataset.dimensions},
    }
    pages = index["observationPages"]
    if len(pages) != 1:
        raise _LeftOutError(f"it has {len(pages)} pages of observations; a capture of one can be replayed")
    # File names must not lead out of the manifest's folder.
    if away := [name for name in (*named.values(), *pages) if Path(name).name != name]:
        raise _LeftOutError(f"its files {', '.join(away)} are not in its own folder")
    if absent := [name for name in (*named.values(), *pages) if not (home / name).is_file()]:
        raise _LeftOutError(f"its files {', '.join(absent)} are not there")
    recordings = [Recording(f"{base}/{n}", home / f, "application/json", moment) for n, f in named.items()]
    recorded_filter = str(index.get("sliceFilter") or "")
    equal = dict(_EQUALS.findall(recorded_filter))
    suffix = f"?$filter={recorded_filter}" if recorded_filter else ""
    url = f"{base}/Observations{suffix}"
    recordings.append(Recording(url, home / pages[0], "application/json", moment))
    # The capture has no $count reply, but its manifest states the number.
    count_url = f"{base}/Observations/$count" + suffix
    recordings.append(Recording(count_url, str(index["observationRows"]).encode(), "text/plain", moment))
    part = Slice(
        dataset.code,
        "NL",
        dataset.first_period,
        partners=_one(equal, dataset.dimension_of("partner")),
        products=_one(equal, dataset.dimension_of("product")),
        recorded_urls=(url,),
    )
    return recordings, [part]


def _one(equal: dict[str, str], dimension: str) -> tuple[str, ...]:
    return (equal[dimension],) if dimension in equal else ()


def _find_comext(path: Path, dataset: Dataset, reporters: tuple[str, ...]) -> tuple[list[Recording], list[Slice]]:
    """Read the axes of an SDMX-CSV file; return nothing if it is of another dataset."""
    with path.open("rb") as handle:
        if f"ESTAT:{dataset.identifier}(".encode() not in handle.read(1024):
            return [], []
    with duckdb.connect() as connection:
        source = f"read_csv({quote(str(path))}, header = true, all_varchar = true)"

        def distinct(column: str) -> list[str]:
            rows = connection.sql(f'select distinct "{column}" from {source} order by 1').fetchall()
            return [row[0] for row in rows]

        axes = {dimension: distinct(dimension) for dimension in dataset.dimensions}
        stamps = distinct("LAST UPDATE")
    for dimension, wanted in dataset.select.items():
        # A file of annual data names the dataset too, but its periods are not months.
        if not {*axes[dimension]} & {*wanted}:
            raise _LeftOutError(f"its {dimension} is {', '.join(axes[dimension])}, not {', '.join(wanted)}")
    periods = axes.pop(dataset.period_dimension)
    host = OFFICES["eurostat"].hosts()["comext" if dataset.is_comext else "main"]
    key = ".".join("+".join(codes) for codes in axes.values())
    url = (
        f"{host}/sdmx/2.1/data/{dataset.identifier}/{key}"
        f"?startPeriod={periods[0]}&endPeriod={periods[-1]}&format=SDMX-CSV"
    )
    # The time of retrieval was not recorded; the office's stamp is its lower bound.
    moment = parse_last_update(stamps[0], dataset).vintage_at
    slices = [
        Slice(
            dataset.code,
            reporter,
            periods[0],
            periods[-1],
            products=tuple(axes.get(dataset.dimension_of("product"), ())),
            partners=tuple(axes.get(dataset.dimension_of("partner"), ())),
            recorded_urls=(url,),
        )
        for reporter in reporters
        if reporter in axes.get(dataset.dimension_of("reporter"), ())
    ]
    return [Recording(url, path, "application/vnd.sdmx.data+csv", moment)], slices

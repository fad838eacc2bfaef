"""A fake office and a loader, shared by all tests that carry a reply to the landing area."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import py7zr
import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from expectations.landing import landing_checks, prepare_database
from extract import load
from extract.dataset import DEFAULT_THRESHOLDS, Dataset
from extract.http import OfficeSession
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.offices import OFFICES
from extract.offices.base import Fetched
from extract.parsing import Codes
from extract.raw import RawStore
from extract.retries import RetryPolicy
from extract.slices import Slice
from metaalexport.gate_input import compared_gate_input

MOST_REQUESTS = 400


@dataclass(frozen=True)
class Reply:
    """One fake reply of an office."""

    body: bytes | Path
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = bytes | Path | Reply | Exception


def plain(url: str) -> str:
    """Return a URL without percent-encoding, so that two spellings of one request are equal."""
    return unquote(url)


class CountingAdapter(BaseAdapter):
    """An HTTP adapter that answers each URL with its next reply, repeats the last one, and records the requests."""

    def __init__(self, answers: Mapping[str, Iterable[Answer]]) -> None:
        super().__init__()
        self.answers = {plain(url): list(replies) for url, replies in answers.items()}
        self.urls: list[str] = []

    @property
    def asked(self) -> Counter[str]:
        """Number of requests by URL."""
        return Counter(self.urls)

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        url = plain(request.url or "")
        self.urls.append(url)
        assert len(self.urls) <= MOST_REQUESTS, "the client sends requests without end"
        answer: Answer = Reply(b'{"error": "nothing is known of this URL"}', 404)
        if replies := self.answers.get(url):
            answer = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(answer, Exception):
            raise answer
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        body = reply.body.read_bytes() if isinstance(reply.body, Path) else reply.body
        response = requests.Response()
        response.request, response.url, response.status_code = request, str(request.url), reply.status
        response.headers.update({"Content-Type": "application/octet-stream", **reply.headers})
        response.raw = HTTPResponse(body=io.BytesIO(body), preload_content=False, status=reply.status)
        return response

    def close(self) -> None:
        """Do nothing: there is no connection to close."""


class Loader:
    """A loader that fetches, stages and commits a dataset with few retries, and returns the landed rows."""

    def __init__(self, dataset: Dataset, folder: Path, transport: str = "live") -> None:
        self.dataset = dataset
        self.raw = RawStore(folder / "raw")
        self.landing = Landing(folder / "landing")
        self.transport = transport
        self.waits: list[float] = []
        self.messages: list[str] = []
        self.hosts = OFFICES[dataset.office].hosts()

    def session(self, adapter: BaseAdapter, attempts: int = 2) -> OfficeSession:
        return OfficeSession(
            self.dataset.code,
            self.raw,
            self.transport,
            adapter,
            RetryPolicy(attempts=attempts),
            sleep=self.waits.append,
            progress=self.messages.append,
        )

    def fetch(self, adapter: BaseAdapter, part: Slice) -> Fetched:
        return load.fetch(self.session(adapter), self.hosts, self.dataset, part)

    def load(self, adapter: BaseAdapter, part: Slice, *, declared: Codes | None = None) -> LoadManifest:
        """Fetch and stage; assert that every row read is loaded or rejected."""
        return self.stage(part, self.fetch(adapter, part), declared=declared)

    def stage(self, part: Slice, fetched: Fetched, *, declared: Codes | None = None) -> LoadManifest:
        manifest = load.stage(
            self.landing, self.raw, self.dataset, part, fetched, transport=self.transport, declared=declared
        )
        assert manifest.rows_read == manifest.rows_loaded + manifest.rows_rejected
        assert self.count(manifest, "observations") == manifest.rows_loaded
        assert self.count(manifest, "rejects") == manifest.rows_rejected
        return manifest

    def commit(self, manifest: LoadManifest) -> LoadManifest:
        return self.landing.commit(manifest.load_id, self.dataset)

    def folder(self, manifest: LoadManifest) -> Path:
        committed = self.landing.folder(manifest)
        return committed if committed.exists() else self.landing.staged(manifest.load_id)[0]

    def rows(self, manifest: LoadManifest, columns: str, table: str = "observations", where: str = "true") -> list[Any]:
        file = str(self.folder(manifest) / f"{table}.parquet").replace("'", "''")
        with duckdb.connect() as connection:
            return connection.sql(f"select {columns} from '{file}' where {where} order by all").fetchall()

    def count(self, manifest: LoadManifest, table: str) -> int:
        return int(self.rows(manifest, "count(*)", table)[0][0])

    def rules(self, manifest: LoadManifest) -> dict[str, int]:
        """Return the number of rejected rows by rule."""
        return dict(self.rows(manifest, "rule, count(*)", "rejects", "true group by rule"))

    def findings(self, manifest: LoadManifest) -> list[tuple[str, str, str]]:
        """Return rule, subject and mode of all findings."""
        return self.rows(manifest, "rule, subject, mode", "findings")

    def failed_checks(self, manifest: LoadManifest, names: Iterable[str]) -> set[str]:
        """Run the named landing checks on a staged load, and return the names of those that find rows."""
        folder, _ = self.landing.staged(manifest.load_id)
        previous = folder / "previous.parquet"
        gate = compared_gate_input(self.landing, self.dataset, manifest, folder, folder)
        # Fake replies have no total of all partners to reconcile with.
        gate = replace(gate, total_partner="", partners={}, thresholds=DEFAULT_THRESHOLDS)
        database = folder / "gate.duckdb"
        database.unlink(missing_ok=True)
        prepare_database(database, gate)
        queries = {
            check.name: check.arguments["unexpected_rows_query"].format(batch=check.table)
            for check in landing_checks(gate)
            if check.name in set(names)
        }
        assert set(queries) == set(names)
        with duckdb.connect(str(database)) as connection:
            failed = {name for name, query in queries.items() if connection.sql(query).fetchall()}
        database.unlink()
        previous.unlink()
        return failed

    def keeps_contract(self, manifest: LoadManifest) -> bool:
        """Return True if the load passes the landing gate's contract check."""
        return not self.failed_checks(manifest, ["contract_is_kept"])


def as_json(**values: Any) -> bytes:
    return json.dumps(values).encode()


def seven_zip(target: Path, members: Mapping[str, bytes]) -> Path:
    with py7zr.SevenZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return target

"""Fetch and stage of one load; the landing gate and the commit follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from common.sql import quote, sql_tuple, values_table
from extract.dataset import Dataset, same_unit
from extract.errors import ExtractError, TornReadError, writing
from extract.http import OfficeSession
from extract.landing.changes import land_coverage, newest_month, write_state
from extract.landing.layout import COMMON_TABLES, MEMORY_LIMIT, cell_key, connect
from extract.landing.manifest import LoadManifest, panel_of
from extract.landing.store import Landing
from extract.offices import OFFICES
from extract.offices.base import Fetched, Files, Metadata
from extract.parsing import UNIT_CHANGE, Codes, Counts, Finding, land_observations
from extract.raw import RawStore
from extract.replies import reading
from extract.slices import Slice

# Part of every load id: after a change of the landing layout, raise it to land all loads again.
LANDING_FORMAT = 2
# Restarts of a load when the office publishes during the read.
RESTARTS = 2


def fetch(session: OfficeSession, hosts: dict[str, str], dataset: Dataset, part: Slice) -> Fetched:
    """Fetch the slice's replies into the raw store, restarting if the office publishes meanwhile.

    Raises
    ------
    TornReadError
        If the replies still belong to two releases after `RESTARTS` restarts.
    ExtractError
        See the office modules.
    """
    for start in range(RESTARTS + 1):
        try:
            return OFFICES[dataset.office].fetch(session, hosts, dataset, part)
        except TornReadError as error:
            if start == RESTARTS:
                raise
            session.progress(f"starting again: {error.problem}")
    raise AssertionError("the loop above returns or raises")


def make_load_id(dataset: Dataset, part: Slice, fetched: Fetched) -> str:
    """Derive the id of a load from its content: the same replies give the same id."""
    content = json.dumps(
        [LANDING_FORMAT, part.to_dict(), fetched.version.version, [p.sha256 for p in fetched.payloads]]
    )
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    stamp = fetched.version.vintage_at[:16].replace("-", "").replace(":", "")
    return f"{dataset.code}__{part.reporter.lower().replace('*', 'all')}__{stamp}__{digest}"


def stage(
    landing: Landing,
    raw: RawStore,
    dataset: Dataset,
    part: Slice,
    fetched: Fetched,
    *,
    transport: str,
    declared: Codes | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> LoadManifest:
    """Parse stored replies into a staged load.

    Parameters
    ----------
    declared : mapping of str to frozenset of str
        Codes in the reviewed seeds, by landing column; see `extract.parsing.land_observations`.

    Returns
    -------
    LoadManifest
        With ``rows_read = rows_loaded + rows_rejected``.

    Raises
    ------
    RawIntegrityError
        If a stored body no longer matches the hash in its name.
    BadReplyError
        If a reply cannot be parsed.
        ExtractError
            If rows were lost in parsing.
    StorageError
        If the disk is full.
    """
    load_id = make_load_id(dataset, part, fetched)
    with ThreadPoolExecutor() as threads:
        # Hashing releases the GIL.
        paths = threads.map(lambda payload: raw.verified_path(payload.sha256, dataset=dataset.code), fetched.payloads)
        files = list(zip(fetched.payloads, paths, strict=True))
    manifest = LoadManifest(
        load_id=load_id,
        dataset=dataset.code,
        office=dataset.office,
        reporter=part.reporter,
        slice=part.to_dict(),
        office_version=fetched.version.version,
        vintage_at=fetched.version.vintage_at,
        retrieved_at=max(payload.retrieved_at for payload in fetched.payloads),
        transport=transport,
        is_simulated=transport == "simulator",
        rows_read=0,
        rows_loaded=0,
        rows_rejected=0,
        panel=panel_of(part),
        is_full=part.first_month <= dataset.first_period,
        protocol=fetched.protocol,
        request_ids=[payload.request_id for payload in fetched.payloads],
        payload_sha256s=[payload.sha256 for payload in fetched.payloads],
    )
    with writing(dataset.code, landing.root):
        folder = landing.start_staging()
        try:
            with connect(folder, memory_limit) as connection:
                counts = _parse(connection, landing, dataset, part, fetched, files, manifest, folder, declared or {})
            manifest = replace(
                manifest, rows_read=counts.read, rows_loaded=counts.loaded, rows_rejected=counts.rejected
            )
            with landing.hold(dataset.code):
                landing.finish_staging(folder, manifest)
        finally:
            landing.drop_unfinished(folder)
    return manifest


def _parse(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    dataset: Dataset,
    part: Slice,
    fetched: Fetched,
    files: Files,
    manifest: LoadManifest,
    folder: Path,
    declared: Codes,
) -> Counts:
    """Write all tables of a load into its folder."""

    def codes_before(observations: Path) -> Codes:
        coverage, state = folder / "coverage.parquet", folder / "state.parquet"
        loads = landing.of_panel(dataset.code, manifest.panel)
        newest = "" if part.last_month else newest_month(dataset, manifest.reporter, loads)
        land_coverage(connection, observations, part, manifest, coverage, newest_before=newest)
        write_state(dataset, loads, coverage, state)
        columns = [column for column in cell_key(dataset) if column != "period"]
        lists = ", ".join(f"list(distinct {column}) filter ({column} is not null)" for column in columns)
        found = connection.sql(f"select {lists} from read_parquet({quote(str(state))})").fetchall()[0]
        return {c: frozenset(codes) for c, codes in zip(columns, found, strict=True) if codes}

    with _reading(dataset, files, folder):
        office = OFFICES[dataset.office]
        metadata = office.metadata(dataset, fetched, files)
        rows, layout = office.rows(connection, dataset, part, fetched, files)
        units = check_units(dataset, metadata)
        if held_back := [finding.subject for finding in units if finding.mode == "quarantine"]:
            rows = rows.refusing(f"{rows.columns['measure']} in {sql_tuple(held_back)}", UNIT_CHANGE)
        counts, content = land_observations(
            connection, dataset, rows, manifest.load_id, folder, declared=declared, codes_before=codes_before
        )
    if counts.read != counts.loaded + counts.rejected:
        raise ExtractError(
            f"rows were lost: read {counts.read}, loaded {counts.loaded}, rejected {counts.rejected}",
            dataset=dataset.code,
            where=part.describe(),
            next_step="this is an error in the parser, please report it",
        )
    findings = [*fetched.findings, *layout, *content, *units]
    with _reading(dataset, files, folder):
        _land_metadata(connection, dataset, metadata, findings, manifest.load_id, folder)
    return counts


@contextmanager
def _reading(dataset: Dataset, files: Files, folder: Path) -> Iterator[None]:
    """Distinguish an unreadable reply from a failed write to disk."""
    # An error that names no reply is most likely about the last one, which has observations.
    kept = [(payload.url, payload.sha256) for payload, _ in files]
    with reading(dataset.code, lambda: kept), writing(dataset.code, folder):
        yield


def check_units(dataset: Dataset, metadata: Metadata) -> list[Finding]:
    """Compare the units that the office states with those that the registry declares.

    A unit that the registry leaves empty has not been seen yet: the office's unit is reported so that it can be
    declared, and nothing is scaled by a guess.
    """
    findings = []
    for measure in dataset.measures:
        stated = metadata.stated_units.get(measure.code)
        if stated is not None and not same_unit(stated, measure.unit):
            mode = dataset.contract.unit_change if measure.unit else "warn"
            detail = f"the office states {stated!r}, the registry {measure.unit!r}"
            findings.append(Finding(UNIT_CHANGE, measure.code, detail, mode))
    return findings


def _land_metadata(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    metadata: Metadata,
    findings: list[Finding],
    load_id: str,
    folder: Path,
) -> None:
    """Write the small tables: units, code lists and findings."""
    tables: dict[str, list[tuple[str | float | None, ...]]] = {
        "codes": [(load_id, *code) for code in metadata.codes],
        "measures": [
            (load_id, m.code, metadata.stated_units.get(m.code, ""), m.unit, m.canonical_unit, m.factor)
            for m in dataset.measures
        ],
        "findings": [(load_id, f.rule, f.subject, f.detail, f.mode) for f in findings],
    }
    for name, rows in tables.items():
        target = folder / f"{name}.parquet"
        table = values_table(COMMON_TABLES[name], rows)
        connection.execute(
            f"copy (from ({table}) order by all) to {quote(str(target))} (format parquet, compression zstd)"
        )

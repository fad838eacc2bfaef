"""The steps of one load: is it new, fetch, stage, (gate 1), commit."""

from __future__ import annotations

import hashlib
import json

import duckdb

from extract.errors import BadReplyError, ExtractError
from extract.http import OfficeSession
from extract.landing import Landing, LoadManifest, landing_tables
from extract.offices import OFFICES
from extract.offices.base import Fetched, OfficeVersion
from extract.raw import RawStore
from extract.registry import Dataset
from extract.slices import Slice
from extract.sql import quote

# Part of every load id: raising it makes all loads land again after a change of the landing layout.
LANDING_FORMAT = 1


def find_unchanged(landing: Landing, part: Slice, version: OfficeVersion) -> LoadManifest | None:
    """Return the committed load that already holds this slice in this version, if there is one."""
    wanted = part.to_dict()
    for manifest in landing.committed(part.dataset):
        if manifest.vintage_at == version.vintage_at and manifest.slice == wanted:
            return manifest
    return None


def fetch(session: OfficeSession, base_url: str, dataset: Dataset, part: Slice) -> Fetched:
    """Bring the slice's replies into the raw store.

    Raises
    ------
    ExtractError
        See the office modules.
    """
    return OFFICES[dataset.office].fetch(session, base_url, dataset, part)


def make_load_id(dataset: Dataset, part: Slice, fetched: Fetched) -> str:
    """Derive the identity of a load from what it holds: the same replies give the same load."""
    content = json.dumps(
        [LANDING_FORMAT, part.to_dict(), fetched.version.version, [p.sha256 for p in fetched.payloads]]
    )
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    stamp = fetched.version.vintage_at[:16].replace("-", "").replace(":", "")
    return f"{dataset.code}__{part.reporter.lower()}__{stamp}__{digest}"


def stage(
    landing: Landing,
    raw: RawStore,
    dataset: Dataset,
    part: Slice,
    fetched: Fetched,
    *,
    transport: str,
    memory_limit: str = "2GB",
) -> LoadManifest:
    """Parse stored replies into a staged load.

    Returns
    -------
    LoadManifest
        With ``rows_read = rows_loaded + rows_rejected``.

    Raises
    ------
    RawIntegrityError
        If a stored body no longer has the hash that names it.
    BadReplyError
        If a reply cannot be parsed, or rows were lost on the way.
    """
    load_id = make_load_id(dataset, part, fetched)
    files = [(payload, raw.verified_path(payload.sha256, dataset=dataset.code)) for payload in fetched.payloads]
    folder = landing.stage(load_id)
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{memory_limit}'")
        try:
            counts = OFFICES[dataset.office].parse(connection, dataset, part, files, load_id)
        except duckdb.Error as error:
            raise BadReplyError(
                f"a stored reply cannot be parsed: {str(error).splitlines()[0]}",
                dataset=dataset.code,
                where=", ".join(str(path) for _, path in files[:3]),
                next_step="look at the file; if the office sent it cut, load the dataset again",
            ) from error
        if counts.read != counts.loaded + counts.rejected:
            raise ExtractError(
                f"rows were lost: read {counts.read}, loaded {counts.loaded}, rejected {counts.rejected}",
                dataset=dataset.code,
                where=part.describe(),
                next_step="this is an error in the parser, please report it",
            )
        _land_coverage(connection, dataset, part, load_id)
        for table, columns in landing_tables(dataset).items():
            target = folder / f"{table}.parquet"
            names = ", ".join(columns)
            connection.execute(
                f"copy (select {names} from {table}) to {quote(str(target))} (format parquet, compression zstd)"
            )
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
        rows_read=counts.read,
        rows_loaded=counts.loaded,
        rows_rejected=counts.rejected,
        request_ids=[payload.request_id for payload in fetched.payloads],
        payload_sha256s=[payload.sha256 for payload in fetched.payloads],
    )
    landing.write_staged_manifest(folder, manifest)
    return manifest


def _land_coverage(connection: duckdb.DuckDBPyConnection, dataset: Dataset, part: Slice, load_id: str) -> None:
    """Write down what was asked for: it decides which load is current for a reporter, product and month.

    A slice without a last month reaches to the newest period of the reply.
    """
    newest = """
        (select strptime(regexp_replace(max(period), '^(\\d{4})\\D*(\\d{2})$', '\\1\\2'), '%Y%m')::date
        from observations where regexp_matches(period, '[M-]'))
    """
    last = f"date '{part.last_month}-01'" if part.last_month else newest
    products = part.products or ("*",)
    rows = ", ".join(f"({quote(product)})" for product in products)
    connection.execute(
        f"""
        create or replace table coverage as
        select '{load_id}' as load_id, '{part.reporter}' as reporter_code, asked.product as product_code,
            date '{part.first_month}-01' as first_month, {last} as last_month,
            {str(not part.partners).lower()} as has_all_partners
        from (values {rows}) as asked(product)
        order by asked.product
        """
    )

"""The landing area: one folder of Parquet a load, visible once its commit marker is there.

Layout
------
``<root>/<dataset>/<load_id>/<table>.parquet`` and ``load.json`` (the commit marker, written last).
``<root>/<dataset>/_schema/<table>.parquet`` has no rows, so that readers can rely on the columns.
``<root>/.staging/loads/<load_id>/`` holds a load that is not committed, with all its ``observations``; nobody but gate
1 reads it. It lies a level deeper than committed loads: no pattern of a reader meets a folder that comes and goes.
``rejected_cells`` beside them names the cells of which it holds a row that was rejected.
``<root>/.withdrawn/loads/<load_id>/`` holds a load that a person took back, as it was, with the reason in
``withdrawn.json``.
``<root>/.locks/<dataset>`` is held by whoever works on the dataset's loads.

Tables of a committed load: ``changes`` (the cells that differ from what the loads before it had said), ``measures``
(units as stated and as declared), ``codes`` (code lists that came along), ``coverage`` (reporter, product, months
asked for), ``findings`` (where the reply was not as declared), ``rejects``.

What an office said at any of its releases is the newest change of each cell up to then. A load of a month therefore
costs what the month holds, and a release that only repeats old figures stores nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from common.files import fsync_directory, fsync_file, hash_file, remove_left_behind, replacing, write_atomically
from common.months import Month
from common.sql import quote, text_list, values_table
from extract.errors import BadReplyError, ExtractError, writing
from extract.politeness import hold
from extract.records import read_record
from extract.registry import Dataset
from extract.slices import Slice

MARKER = "load.json"
STAGED = "manifest.json"
WITHDRAWN = "withdrawn.json"
_MANIFEST_TEXTS = ("load_id", "dataset", "office", "reporter", "office_version", "transport")
# What to do about a file of a load that is damaged: of one that is committed, and of one that is not yet.
RESTORE = "restore it from a backup, or make the landing area again: docs/runbook.md, 'Back up and restore'"
AGAIN = "load the dataset again"
SCHEMA_FOLDER = "_schema"
LOCK_WAIT_SECONDS = 900.0
# Of one DuckDB connection; a load has two open at a time, of which one works.
MEMORY_LIMIT = "1GB"
OBSERVATIONS, CHANGES, REJECTED_CELLS = "observations", "changes", "rejected_cells"
ALL_PARTNERS = "*"
# Months before that a file of one month is compared with: the last ones, and the same month a year before.
HISTORY_MONTHS = (1, 2, 3, 12)
# Names of folders in the staging area that are being written.
_PRIVATE, _COMMITTING = ".staging-", ".commit-"

# One statement of the landing columns; parsers must produce exactly these.
COMMON_TABLES: dict[str, dict[str, str]] = {
    "measures": {
        "load_id": "VARCHAR",
        "measure_code": "VARCHAR",
        "stated_unit": "VARCHAR",
        "declared_unit": "VARCHAR",
        "canonical_unit": "VARCHAR",
        "factor": "DOUBLE",
    },
    "codes": {
        "load_id": "VARCHAR",
        "dimension": "VARCHAR",
        "code": "VARCHAR",
        "title": "VARCHAR",
        "description": "VARCHAR",
        "group_id": "VARCHAR",
        "status": "VARCHAR",
    },
    "coverage": {
        "load_id": "VARCHAR",
        "reporter_code": "VARCHAR",
        "product_code": "VARCHAR",
        "first_month": "DATE",
        "last_month": "DATE",
        "has_all_partners": "BOOLEAN",
        "panel": "VARCHAR",
    },
    "findings": {
        "load_id": "VARCHAR",
        "rule": "VARCHAR",
        "subject": "VARCHAR",
        "detail": "VARCHAR",
        "mode": "VARCHAR",
    },
    "rejects": {
        "load_id": "VARCHAR",
        "request_no": "INTEGER",
        "rule": "VARCHAR",
        "row_content": "VARCHAR",
    },
}
_FRONT = {"load_id": "VARCHAR", "request_no": "INTEGER", "change_kind": "VARCHAR"}
# Bulk rows carry all measures and the office's own mapping to other classifications.
BULK_VALUES = ("value_eur", "value_nac", "quantity_kg", "supplementary_quantity")
BULK_ATTRIBUTES = ("layout", "sitc", "cpa21", "cpa22", "bec", "bec5", "section")
# A masked code (``39XXXXXX``) stands for goods of several classes, a row each: `masked_class` tells them apart. It is
# missing for a code that the office shows, so that another classification of it is no other cell.
BULK_KEY = (
    "reporter", "partner", "trade_type", "product", "masked_class", "flow", "stat_procedure", "suppl_unit", "period",
)  # fmt: skip


def connect(folder: Path, memory_limit: str = MEMORY_LIMIT) -> duckdb.DuckDBPyConnection:
    """Open DuckDB in bounded memory; what does not fit goes into a folder, on the landing's own disk."""
    # A folder for each connection: they name their files alike.
    spilled = folder / f"tmp-{uuid.uuid4().hex[:8]}"
    return duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spilled)})


def change_columns(dataset: Dataset) -> dict[str, str]:
    """Return the columns and types of ``observations`` and ``changes`` of a dataset."""
    if dataset.protocol == "comext_bulk":
        names = (*BULK_KEY, *BULK_ATTRIBUTES)
        return {**_FRONT, **dict.fromkeys(names, "VARCHAR"), **dict.fromkeys(BULK_VALUES, "DOUBLE")}
    return {
        **_FRONT,
        **dict.fromkeys(dataset.columns, "VARCHAR"),
        "measure": "VARCHAR",
        "value": "DOUBLE",
        "status": "VARCHAR",
        "confidentiality": "VARCHAR",
    }


def cell_key(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns that identify a cell."""
    return BULK_KEY if dataset.protocol == "comext_bulk" else (*dataset.columns, "measure")


def cell_content(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns in which a cell can change."""
    if dataset.protocol == "comext_bulk":
        return (*BULK_VALUES, *BULK_ATTRIBUTES)
    return ("value", "status", "confidentiality")


def landing_tables(dataset: Dataset) -> dict[str, dict[str, str]]:
    """Return table name to column types of a dataset's committed loads."""
    return {CHANGES: change_columns(dataset), **COMMON_TABLES}


def month_of(period: str) -> str:
    """Return the SQL expression of the month of a period column: a year is placed at its January.

    Periods come as ``2025MM01``, ``2025JJ00``, ``2025KW02``, ``2025-01``, ``2025`` and ``202501``.
    """
    year, rest = f"{period}[1:4]", f"regexp_extract({period}, '(\\d\\d)$', 1)"
    return (
        f"try_cast({year} || '-' || case when regexp_matches({period}, '^\\d{{4}}(-|MM)?\\d\\d$') then {rest}"
        f" when {period} like '____KW__' then lpad((3 * try_cast({rest} as integer) - 2)::varchar, 2, '0')"
        f" else '01' end || '-01' as date)"
    )


@dataclass(frozen=True)
class LoadManifest:
    """What a load is; as ``load.json`` in its folder it is the commit marker.

    Attributes
    ----------
    load_id : str
        Derived from dataset, slice, office vintage and payload hashes: the same reply gives the same id.
    vintage_at : str
        The office's own stamp, UTC, ISO 8601.
    request_ids, payload_sha256s : list of str
        The requests whose bytes were parsed; ``request_no`` in the rows is the position here, from 0.
    rows_read, rows_loaded, rows_rejected : int
        ``rows_read = rows_loaded + rows_rejected``.
    rows_changed, rows_withdrawn : int
        Cells that are new or differ from the loads before, and cells that the office no longer shows. Set by the
        commit; their sum is the number of rows of ``changes``.
    panel : str
        ``*`` if all partners were asked for, else a digest of those that were. Loads of two panels never change each
        other's cells.
    is_full : bool
        Whether the dataset was asked for from its first period on.
    protocol : str
        How the office was asked (``odata_v4``, ``csv_zip``, ``odata_v3``, ``sdmx``, ``comext_bulk``).
    """

    load_id: str
    dataset: str
    office: str
    reporter: str
    slice: dict[str, Any]
    office_version: str
    vintage_at: str
    retrieved_at: str
    transport: str
    is_simulated: bool
    rows_read: int
    rows_loaded: int
    rows_rejected: int
    rows_changed: int = 0
    rows_withdrawn: int = 0
    panel: str = ALL_PARTNERS
    is_full: bool = True
    protocol: str = ""
    request_ids: list[str] = field(default_factory=list)
    payload_sha256s: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @property
    def order(self) -> tuple[str, str, str]:
        """What orders the loads of a dataset."""
        return (self.vintage_at, self.retrieved_at, self.load_id)


@dataclass(frozen=True)
class Withdrawal:
    """A committed load that was taken back, and why.

    Attributes
    ----------
    withdrawn_at : str
        UTC, ISO 8601.
    reason : str
        In a person's words.
    """

    load: LoadManifest
    withdrawn_at: str
    reason: str


class Landing:
    """The landing area under one directory."""

    def __init__(self, root: Path, *, progress: Callable[[str], None] = lambda message: None) -> None:
        self.root = root
        self._progress = progress

    def ensure_schema(self, dataset: Dataset) -> None:
        """Write the row-less tables that let readers open a dataset before its first load."""
        folder = self.root / dataset.code / SCHEMA_FOLDER
        tables = json.dumps(landing_tables(dataset))
        note = folder / "tables.json"
        if note.exists() and note.read_text(encoding="utf-8") == tables:
            return
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            for table, columns in landing_tables(dataset).items():
                target = folder / f"{table}.parquet"
                projection = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in columns.items())
                with replacing(target) as part:
                    connection.execute(f"copy (select {projection} limit 0) to {quote(str(part))} (format parquet)")
        # Without rows as well: a reader of all markers needs at least one file.
        (folder / MARKER).touch()
        write_atomically(note, tables)

    def hold(self, dataset: str) -> AbstractContextManager[None]:
        """Hold the dataset's loads: staging, gate and commit of one dataset never run at the same time.

        Raises
        ------
        OfficeBusyError
            If another run holds them for longer than `LOCK_WAIT_SECONDS`.
        """
        return hold(
            self.root / ".locks" / dataset,
            dataset=dataset,
            what=f"the loads of {dataset}",
            wait_seconds=LOCK_WAIT_SECONDS,
            progress=self._progress,
        )

    def start_staging(self) -> Path:
        """Return an empty folder to write a load into, private to this call."""
        folder = self._staging / f"{_PRIVATE}{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def finish_staging(self, folder: Path, manifest: LoadManifest) -> Path:
        """Give a written load its name: after this it can be gated. The caller holds the dataset."""
        write_atomically(folder / STAGED, json.dumps(manifest.to_dict(), ensure_ascii=False) + "\n")
        target = self._staged_folder(manifest.load_id)
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
        return target

    def staged(self, load_id: str) -> tuple[Path, LoadManifest]:
        """Return the folder and the manifest of a staged load.

        Raises
        ------
        ExtractError
            If there is none, or its manifest is damaged.
        """
        folder = self._staged_folder(load_id)
        if not (folder / STAGED).exists():
            raise _not_staged(load_id, folder)
        return folder, _read_manifest(folder / STAGED, AGAIN)

    def is_committed(self, load_id: str) -> bool:
        """Whether a load is visible."""
        return (self.root / load_id.split("__")[0] / load_id / MARKER).exists()

    def drop_unfinished(self, folder: Path) -> None:
        """Remove a folder of `start_staging` that did not become a staged load."""
        shutil.rmtree(folder, ignore_errors=True)

    def write_state(self, dataset: Dataset, coverage: Path, panel: str, target: Path) -> int:
        """Write what the committed loads say of the cells that a load covers.

        Parameters
        ----------
        dataset : Dataset
            The dataset.
        coverage : Path
            Table ``coverage`` of the load.
        panel : str
            Panel of the load.
        target : Path
            Parquet file to write: the columns of ``changes``, ``vintage_at`` of each cell's newest change, and
            ``superseded_value``, the cell's first figure before that change. One row a cell that the office shows.

        Returns
        -------
        int
            Rows written.
        """
        loads = [m for m in self.committed(dataset.code) if m.panel == panel]
        columns = change_columns(dataset)
        with writing(dataset.code, target), connect(target.parent) as connection:
            if not loads:
                projection = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in columns.items())
                added = "cast(null as varchar) as vintage_at, cast(null as double) as superseded_value"
                query = f"select {projection}, {added} limit 0"
            else:
                query = self._state_query(connection, dataset, loads, coverage)
            connection.execute(f"copy ({query}) to {quote(str(target))} (format parquet)")
            return int(connection.sql(f"select count(*) from read_parquet({quote(str(target))})").fetchall()[0][0])

    def write_chapters(self, dataset: Dataset, manifest: LoadManifest, target: Path) -> int:
        """Write what the committed loads say of some months before a load of one month, in sums by chapter of products.

        Parameters
        ----------
        dataset : Dataset
            A dataset that is loaded month by month, with a column a measure.
        manifest : LoadManifest
            The load.
        target : Path
            Parquet file to write: reporter, partner, product (two digits), flow, period, and a column a measure, of the
            `HISTORY_MONTHS` before the load's month.

        Returns
        -------
        int
            Rows written.
        """
        month = Month.parse(manifest.slice["first_month"])
        wanted = {str(month - lag) for lag in HISTORY_MONTHS}
        by_month: dict[str, list[LoadManifest]] = {}
        for load in self.committed(dataset.code):
            if load.panel == manifest.panel and load.slice["first_month"] in wanted:
                by_month.setdefault(str(load.slice["first_month"]), []).append(load)
        key = ", ".join(cell_key(dataset))
        parts = []
        for loads in by_month.values():
            cells = (
                f"select * from read_parquet({text_list(self.folder(load) / f'{CHANGES}.parquet' for load in loads)})"
            )
            if len(loads) > 1:
                order = values_table(
                    {"load_id": "varchar", "position": "integer"}, [(m.load_id, n) for n, m in enumerate(loads)]
                )
                cells += (
                    f" join ({order}) using (load_id)"
                    f" qualify row_number() over (partition by {key} order by position desc) = 1"
                )
            sums = ", ".join(f"sum({column}) as {column}" for column in dataset.history_measures)
            parts.append(
                f"select reporter, partner, left(product, 2) as product, flow, period, {sums} from ({cells})"
                " where change_kind != 'withdrawn' group by all"
            )
        if not parts:
            return 0
        with writing(dataset.code, target), connect(target.parent) as connection:
            connection.execute(f"copy ({' union all '.join(parts)}) to {quote(str(target))} (format parquet)")
            return int(connection.sql(f"select count(*) from read_parquet({quote(str(target))})").fetchall()[0][0])

    def newest_month(self, dataset: Dataset, manifest: LoadManifest) -> str:
        """Return the newest month that the committed loads of a load's panel and reporter have a figure of.

        Returns
        -------
        str
            ``YYYY-MM-01``, or empty if there is none.
        """
        loads = [m for m in self.committed(dataset.code) if m.panel == manifest.panel]
        if not loads:
            return ""
        files = text_list(self.folder(load) / f"{CHANGES}.parquet" for load in loads)
        own = f" where reporter = {quote(manifest.reporter)}" if "reporter" in change_columns(dataset) else ""
        with duckdb.connect() as connection:
            newest = connection.sql(
                f"select max({month_of('period')})"
                f" from (select distinct period from read_parquet({files}, union_by_name = true){own})"
            ).fetchall()[0][0]
        return str(newest or "")

    def _state_query(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, loads: list[LoadManifest], coverage: Path
    ) -> str:
        files = text_list(self.folder(load) / f"{CHANGES}.parquet" for load in loads)
        order = values_table(
            {"load_id": "varchar", "position": "integer", "vintage_at": "varchar"},
            [(load.load_id, position, load.vintage_at) for position, load in enumerate(loads)],
        )
        asked = connection.sql(
            f"select reporter_code, product_code, first_month, last_month from read_parquet({quote(str(coverage))})"
        ).fetchall()
        # A reply without a row of a slice without an end speaks of no month: nothing is compared with a null.
        first, last = (f"'{day}'::date" if day else "null::date" for day in asked[0][2:4])
        # Few periods against many rows: the months are worked out once a period, and the list prunes row groups.
        periods = connection.sql(
            f"""
            select period from (select distinct period from read_parquet({files}, union_by_name = true))
            where ({month_of("period")}) between {first} and {last} order by period
            """
        ).fetchall()
        conditions = [f"c.period in ({', '.join(quote(row[0]) for row in periods) or 'null'})"]
        names = change_columns(dataset)
        if "reporter" in names and asked[0][0] != "*":
            conditions.append(f"c.reporter = {quote(asked[0][0])}")
        products = [row[1] for row in asked]
        if "product" in names and "*" not in products:
            exact = ", ".join(quote(code) for code in products if not code.endswith("*"))
            some = [f"c.product in ({exact})"] if exact else []
            some += [f"starts_with(c.product, {quote(code[:-1])})" for code in products if code.endswith("*")]
            conditions.append(f"({' or '.join(some)})")
        key = ", ".join(f"c.{name}" for name in cell_key(dataset))
        return f"""
            select
                {", ".join(f"c.{name}" for name in names)}, l.vintage_at,
                lead(c.{cell_content(dataset)[0]}) over (partition by {key} order by l.position desc)
                    as superseded_value
            from read_parquet({files}, union_by_name = true) as c
            join ({order}) as l on l.load_id = c.load_id
            where {" and ".join(conditions)}
            qualify row_number() over (partition by {key} order by l.position desc) = 1 and c.change_kind != 'withdrawn'
        """

    def commit(self, load_id: str, dataset: Dataset) -> LoadManifest:
        """Make a staged load visible: keep of it what changed, move its folder into place, then write the marker.

        A crash before the marker leaves nothing that a reader looks at; repeating the commit starts from the staged
        observations again, which go last of all.

        Raises
        ------
        ExtractError
            If there is no such load, neither staged nor committed.
        BadReplyError
            If the load is older than what is loaded already: a history cannot be written backwards.
        """
        with self.hold(dataset.code), writing(dataset.code, self.root):
            self.tidy(dataset.code)
            target = self.root / dataset.code / load_id
            source = self._staged_folder(load_id)
            if (target / MARKER).exists():
                # Another run that fetched the same replies was first; it may have been after this one's gate.
                self._progress(f"{load_id} is loaded already")
                shutil.rmtree(source, ignore_errors=True)
                return _read_manifest(target / MARKER)
            if not (source / STAGED).exists():
                raise _not_staged(load_id, source)
            manifest = _read_manifest(source / STAGED, AGAIN)
            self._refuse_older(manifest)
            self._refuse_withdrawn(manifest)
            manifest = self._write_changes(source, manifest, dataset)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._staging / f"{_COMMITTING}{load_id}"
            unfinished.mkdir()
            for table in landing_tables(dataset):
                # A second name for the same bytes: the staged load stays whole until the marker is there.
                (unfinished / f"{table}.parquet").hardlink_to(source / f"{table}.parquet")
                fsync_file(unfinished / f"{table}.parquet")
            fsync_directory(unfinished)
            shutil.rmtree(target, ignore_errors=True)
            unfinished.replace(target)
            fsync_directory(target.parent)
            write_atomically(target / MARKER, json.dumps(manifest.to_dict(), ensure_ascii=False) + "\n")
            shutil.rmtree(source, ignore_errors=True)
            return manifest

    def tidy(self, dataset: str) -> None:
        """Remove what killed runs left: folders without a marker, which no reader looks at, and unfinished work."""
        for folder in (self.root / dataset).glob("*"):
            if folder.is_dir() and folder.name != SCHEMA_FOLDER and not (folder / MARKER).exists():
                shutil.rmtree(folder)
        for folder in self._staging.glob(f"{dataset}__*"):
            if (self.root / dataset / folder.name / MARKER).exists():
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self._staging.glob(f"{_COMMITTING}{dataset}__*"):
            shutil.rmtree(folder, ignore_errors=True)
        remove_left_behind(self._staging, f"{_PRIVATE}*")

    def stopped(self, *, days: int) -> list[str]:
        """Return the ids of staged loads that were not committed within some days: gate 1 stopped them."""
        oldest = time.time() - days * 24 * 3600
        return sorted(
            path.parent.name for path in self._staging.glob(f"*__*/{STAGED}") if path.stat().st_mtime < oldest
        )

    def drop_stopped(self, load_id: str) -> None:
        """Remove a staged load; the replies that it was made of stay in the raw store."""
        with self.hold(load_id.split("__")[0]):
            shutil.rmtree(self._staged_folder(load_id), ignore_errors=True)

    def withdraw(self, load_id: str, *, reason: str, withdrawn_at: str) -> LoadManifest:
        """Take a committed load back: no reader meets it any more, and nothing of it is lost.

        Raises
        ------
        ExtractError
            If there is no such load, or if a newer one was compared with it: what that one holds are differences.
        """
        dataset = load_id.split("__")[0]
        with self.hold(dataset), writing(dataset, self.root):
            folder = self.root / dataset / load_id
            manifest = _manifest_of(folder, "committed")
            if newer := self._newer(manifest):
                raise ExtractError(
                    f"{load_id} cannot be withdrawn alone: newer loads hold only what differs from it",
                    dataset=dataset,
                    where=", ".join(load.load_id for load in newer),
                    next_step="withdraw the newest load first, then the one before it",
                )
            note = {"withdrawn_at": withdrawn_at, "reason": reason}
            write_atomically(folder / WITHDRAWN, json.dumps(note, ensure_ascii=False) + "\n")
            target = self._withdrawn_folder(load_id)
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.replace(target)
            fsync_directory(folder.parent)
            return manifest

    def reinstate(self, load_id: str) -> LoadManifest:
        """Make a withdrawn load visible again.

        Raises
        ------
        ExtractError
            If there is none.
        BadReplyError
            If a newer load of the same cells was committed meanwhile.
        """
        dataset = load_id.split("__")[0]
        with self.hold(dataset), writing(dataset, self.root):
            source = self._withdrawn_folder(load_id)
            manifest = _manifest_of(source, "withdrawn")
            self._refuse_older(manifest)
            target = self.root / dataset / load_id
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            (target / WITHDRAWN).unlink()
            fsync_directory(target.parent)
            return manifest

    def withdrawn(self, dataset: str | None = None) -> list[Withdrawal]:
        """Return the loads that were taken back, oldest vintage first within a dataset."""
        found = []
        for path in self._withdrawn_folder("x").parent.glob(f"{dataset or '*'}__*/{WITHDRAWN}"):
            manifest = _read_manifest(path.with_name(MARKER))
            note = read_record(path, ("withdrawn_at", "reason"), dataset=manifest.dataset, next_step=RESTORE)
            found.append(Withdrawal(manifest, note["withdrawn_at"], note["reason"]))
        return sorted(found, key=lambda withdrawal: (withdrawal.load.dataset, *withdrawal.load.order))

    def _newer(self, manifest: LoadManifest) -> list[LoadManifest]:
        """Return the committed loads that were compared with a load, oldest vintage first."""
        return [
            other
            for other in self.committed(manifest.dataset)
            if (other.vintage_at, other.retrieved_at) > (manifest.vintage_at, manifest.retrieved_at)
            and other.panel == manifest.panel
            and _slices_meet(other, manifest)
        ]

    def _refuse_older(self, manifest: LoadManifest) -> None:
        if newer := self._newer(manifest):
            raise BadReplyError(
                f"the load is of {manifest.vintage_at}, retrieved at {manifest.retrieved_at}, but {newer[-1].load_id}"
                f" of {newer[-1].vintage_at}, retrieved at {newer[-1].retrieved_at}, is loaded already: what an office"
                " said earlier cannot be put behind what it said later",
                dataset=manifest.dataset,
                where=manifest.load_id,
                next_step="load it again if another run was quicker; load older vintages first, into an empty landing"
                " area",
            )

    def _refuse_withdrawn(self, manifest: LoadManifest) -> None:
        for withdrawal in self.withdrawn(manifest.dataset):
            if withdrawal.load.load_id == manifest.load_id:
                raise ExtractError(
                    f"the same replies were loaded before and withdrawn at {withdrawal.withdrawn_at}:"
                    f" {withdrawal.reason}",
                    dataset=manifest.dataset,
                    where=manifest.load_id,
                    next_step=f"`metaalexport reinstate {manifest.load_id}` if they are right after all",
                )

    def _write_changes(self, source: Path, manifest: LoadManifest, dataset: Dataset) -> LoadManifest:
        """Write table ``changes`` of a staged load, and count it in the manifest."""
        observations, changes = source / f"{OBSERVATIONS}.parquet", source / f"{CHANGES}.parquet"
        changes.unlink(missing_ok=True)
        state = source / "state.parquet"
        coverage = source / "coverage.parquet"
        if not self.write_state(dataset, coverage, manifest.panel, state):
            # Nothing was said of these cells before: all of them are new, and so they stand in the observations.
            changes.hardlink_to(observations)
            return replace(manifest, rows_changed=manifest.rows_loaded, rows_withdrawn=0)
        names = list(change_columns(dataset))
        key, content = cell_key(dataset), cell_content(dataset)
        same_key = " and ".join(f"o.{name} is not distinct from s.{name}" for name in key)
        same = " and ".join(f"o.{name} is not distinct from s.{name}" for name in content)

        def pick(name: str) -> str:
            if name == "load_id":
                return f"{quote(manifest.load_id)} as load_id"
            if name == "change_kind":
                return (
                    "case when s.load_id is null then 'new' when o.load_id is null then 'withdrawn'"
                    " else 'revised' end as change_kind"
                )
            if name in key:
                return f"coalesce(o.{name}, s.{name}) as {name}"
            return f"o.{name}"

        # The office shows a cell whose row was rejected; what it said before stands until its row can be read.
        rejected = source / f"{REJECTED_CELLS}.parquet"
        is_withdrawn = "true"
        if rejected.exists():
            same_rejected = " and ".join(f"r.{name} is not distinct from s.{name}" for name in key)
            is_withdrawn = f"not exists (from read_parquet({quote(str(rejected))}) as r where {same_rejected})"

        with connect(source) as connection:
            connection.execute(
                f"""
                copy (
                    select {", ".join(pick(name) for name in names)}
                    from read_parquet({quote(str(observations))}) as o
                    full join read_parquet({quote(str(state))}) as s on {same_key}
                    where case
                        when o.load_id is null then {is_withdrawn} else s.load_id is null or not ({same})
                    end
                    order by {", ".join(f"coalesce(o.{name}, s.{name})" for name in key)}
                ) to {quote(str(changes))} (format parquet, compression zstd)
                """
            )
            changed, withdrawn = connection.sql(
                f"select count(*) filter (where change_kind != 'withdrawn'),"
                f" count(*) filter (where change_kind = 'withdrawn') from read_parquet({quote(str(changes))})"
            ).fetchall()[0]
        return replace(manifest, rows_changed=int(changed), rows_withdrawn=int(withdrawn))

    def committed(self, dataset: str | None = None) -> Iterator[LoadManifest]:
        """Yield the committed loads, oldest vintage first within a dataset."""
        pattern = f"{dataset or '*'}/*/{MARKER}"
        manifests = [_read_manifest(path) for path in self.root.glob(pattern) if path.parent.name != SCHEMA_FOLDER]
        yield from sorted(manifests, key=lambda m: (m.dataset, *m.order))

    def findings_before(self, manifest: LoadManifest) -> Path | None:
        """Return the findings of the newest committed load of the same reporter and partners; None if there is none."""
        same = [
            load
            for load in self.committed(manifest.dataset)
            if (load.reporter, load.panel) == (manifest.reporter, manifest.panel) and load.load_id != manifest.load_id
        ]
        return self.folder(same[-1]) / "findings.parquet" if same else None

    def folder(self, manifest: LoadManifest) -> Path:
        """Where a committed load is."""
        return self.root / manifest.dataset / manifest.load_id

    def content_hash(self) -> str:
        """Return a sha256 over the committed tables and what their markers say of the figures.

        Times of retrieval and request ids differ between two pulls of the same replies and take no part.
        """
        digest = hashlib.sha256()
        for manifest in self.committed():
            said = {k: v for k, v in manifest.to_dict().items() if k not in ("retrieved_at", "request_ids")}
            digest.update(json.dumps(said, sort_keys=True).encode())
            for path in sorted(self.folder(manifest).glob("*.parquet")):
                digest.update(f"{path.name} {hash_file(path)}\n".encode())
        return digest.hexdigest()

    def _withdrawn_folder(self, load_id: str) -> Path:
        # As deep as the staged loads, for the same reason.
        return self.root / ".withdrawn" / "loads" / load_id

    def _staged_folder(self, load_id: str) -> Path:
        return self._staging / load_id

    @property
    def _staging(self) -> Path:
        return self.root / ".staging" / "loads"


def land_coverage(
    connection: duckdb.DuckDBPyConnection,
    observations: Path,
    part: Slice,
    manifest: LoadManifest,
    target: Path,
    *,
    newest_before: str = "",
) -> None:
    """Write down what was asked for: it decides which cells a load speaks of, and so which it withdraws.

    A slice without a last month reaches to the newest period of the reply, or to that of the loads before
    (`Landing.newest_month`) where the office has taken it back.
    """
    periods = f"(select distinct period from read_parquet({quote(str(observations))}))"
    newest = f"(select max({month_of('period')}) from {periods})"
    if newest_before:
        newest = f"greatest({newest}, date '{newest_before}')"
    last = f"date '{part.last_month}-01'" if part.last_month else newest
    rows = ", ".join(f"({quote(product)})" for product in (part.products or ("*",)))
    connection.execute(
        f"""
        copy (
            select {quote(manifest.load_id)} as load_id, {quote(part.reporter)} as reporter_code,
                asked.product as product_code, date '{part.first_month}-01' as first_month, {last} as last_month,
                {str(not part.partners).lower()} as has_all_partners, {quote(manifest.panel)} as panel
            from (values {rows}) as asked(product)
            order by asked.product
        ) to {quote(str(target))} (format parquet, compression zstd)
        """
    )


def panel_of(part: Slice) -> str:
    """Return the panel of a slice: `ALL_PARTNERS`, or a digest of the partners asked for."""
    if not part.partners:
        return ALL_PARTNERS
    return hashlib.sha256(",".join(sorted(part.partners)).encode()).hexdigest()[:12]


def _slices_meet(one: LoadManifest, other: LoadManifest) -> bool:
    """Whether two loads can speak of the same cell."""
    first, second = Slice.from_dict(one.slice), Slice.from_dict(other.slice)
    months = first.first_month <= (second.last_month or "9999") and second.first_month <= (first.last_month or "9999")
    reporters = first.reporter == second.reporter or "*" in (first.reporter, second.reporter)
    return (
        months
        and reporters
        and (
            not (first.products and second.products)
            or any(_codes_meet(a, b) for a in first.products for b in second.products)
        )
    )


def _codes_meet(one: str, other: str) -> bool:
    """Whether two product codes, of which each may be a prefix, can mean the same product."""
    if one.endswith("*") and other.endswith("*"):
        return one.startswith(other[:-1]) or other.startswith(one[:-1])
    if one.endswith("*") or other.endswith("*"):
        prefix, code = (one, other) if one.endswith("*") else (other, one)
        return code.startswith(prefix[:-1])
    return one == other


def _manifest_of(folder: Path, kind: str) -> LoadManifest:
    """Read the marker of a load that a person named."""
    if not (folder / MARKER).exists():
        raise ExtractError(
            f"there is no {kind} load {folder.name}",
            dataset=folder.name.split("__")[0],
            where=str(folder),
            next_step="`metaalexport status` shows the newest loads and those that were withdrawn, `ops.loads` all",
        )
    return _read_manifest(folder / MARKER)


def _not_staged(load_id: str, folder: Path) -> ExtractError:
    return ExtractError(
        f"there is no staged load {load_id}",
        dataset=load_id.split("__")[0],
        where=str(folder),
        next_step=AGAIN,
    )


def _read_manifest(path: Path, next_step: str = RESTORE) -> LoadManifest:
    dataset = path.parent.name.split("__")[0]
    return LoadManifest(**read_record(path, _MANIFEST_TEXTS, dataset=dataset, next_step=next_step))

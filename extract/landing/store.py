"""The folders of loads: staging, commit, withdrawal."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb

from common.files import fsync_directory, fsync_file, hash_file, remove_left_behind, replacing, write_atomically
from common.sql import quote
from extract.dataset import Dataset
from extract.errors import BadReplyError, ExtractError, writing
from extract.landing.changes import Loads, write_changes
from extract.landing.layout import CHANGES, MARKER, SCHEMA_FOLDER, STAGED, WITHDRAWN, landing_tables
from extract.landing.manifest import AGAIN, RESTORE, LoadManifest, Withdrawal, manifest_of, read_manifest, slices_meet
from extract.politeness import hold
from extract.records import read_record

LOCK_WAIT_SECONDS = 900.0
# Names of folders in the staging area that are being written.
_PRIVATE, _COMMITTING = ".staging-", ".commit-"


class Landing:
    """The landing area under one directory."""

    def __init__(self, root: Path, *, progress: Callable[[str], None] = lambda message: None) -> None:
        self.root = root
        self._progress = progress

    def ensure_schema(self, dataset: Dataset) -> None:
        """Write the empty tables that let readers open a dataset before its first load."""
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
        # An empty marker too: a reader of all markers needs at least one file.
        (folder / MARKER).touch()
        write_atomically(note, tables)

    def hold(self, dataset: str) -> AbstractContextManager[None]:
        """Lock the dataset's loads: staging, gate and commit of one dataset never run concurrently.

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
        """Give a written load its name, ready for the landing gate. The caller holds the dataset's lock."""
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
        return folder, read_manifest(folder / STAGED, AGAIN)

    def is_committed(self, load_id: str) -> bool:
        """True if a load is visible."""
        return (self.root / load_id.split("__")[0] / load_id / MARKER).exists()

    def drop_unfinished(self, folder: Path) -> None:
        """Remove a folder of `start_staging` that did not become a staged load."""
        shutil.rmtree(folder, ignore_errors=True)

    def commit(self, load_id: str, dataset: Dataset) -> LoadManifest:
        """Make a staged load visible: reduce it to its changes, move its folder into place, then write the marker.

        A crash before the marker leaves nothing visible to readers; a repeated commit starts from the staged
        observations, which are deleted last.

        Raises
        ------
        ExtractError
            If there is no such staged or committed load.
        BadReplyError
            If a newer load of the same cells is committed: history is append-only.
        """
        with self.hold(dataset.code), writing(dataset.code, self.root):
            self.tidy(dataset.code)
            target = self.root / dataset.code / load_id
            source = self._staged_folder(load_id)
            if (target / MARKER).exists():
                # Another run with the same replies committed first, possibly after this run's gate.
                self._progress(f"{load_id} is loaded already")
                shutil.rmtree(source, ignore_errors=True)
                return read_manifest(target / MARKER)
            if not (source / STAGED).exists():
                raise _not_staged(load_id, source)
            manifest = read_manifest(source / STAGED, AGAIN)
            self._refuse_older(manifest)
            self._refuse_withdrawn(manifest)
            manifest = write_changes(source, manifest, dataset, self.of_panel(dataset.code, manifest.panel))
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._staging / f"{_COMMITTING}{load_id}"
            unfinished.mkdir()
            for table in landing_tables(dataset):
                # Hard links keep the staged load complete until the marker exists.
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
        """Remove leftovers of killed runs: folders without a marker, which no reader opens, and unfinished work."""
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
        """Return the ids of loads staged more than `days` ago and not committed: the landing gate stopped them."""
        oldest = time.time() - days * 24 * 3600
        return sorted(
            path.parent.name for path in self._staging.glob(f"*__*/{STAGED}") if path.stat().st_mtime < oldest
        )

    def drop_stopped(self, load_id: str) -> None:
        """Remove a staged load; its replies stay in the raw store."""
        with self.hold(load_id.split("__")[0]):
            shutil.rmtree(self._staged_folder(load_id), ignore_errors=True)

    def withdraw(self, load_id: str, *, reason: str, withdrawn_at: str) -> LoadManifest:
        """Withdraw a committed load: readers no longer see it, and its files are kept.

        Raises
        ------
        ExtractError
            If there is no such load, or if a newer one holds differences from it.
        """
        dataset = load_id.split("__")[0]
        with self.hold(dataset), writing(dataset, self.root):
            folder = self.root / dataset / load_id
            manifest = manifest_of(folder, "committed")
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
            manifest = manifest_of(source, "withdrawn")
            self._refuse_older(manifest)
            target = self.root / dataset / load_id
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            (target / WITHDRAWN).unlink()
            fsync_directory(target.parent)
            return manifest

    def withdrawn(self, dataset: str | None = None) -> list[Withdrawal]:
        """Return the withdrawn loads, oldest vintage first within a dataset."""
        found = []
        for path in self._withdrawn_folder("x").parent.glob(f"{dataset or '*'}__*/{WITHDRAWN}"):
            manifest = read_manifest(path.with_name(MARKER))
            note = read_record(path, ("withdrawn_at", "reason"), dataset=manifest.dataset, next_step=RESTORE)
            found.append(Withdrawal(manifest, note["withdrawn_at"], note["reason"]))
        return sorted(found, key=lambda withdrawal: (withdrawal.load.dataset, *withdrawal.load.order))

    def _newer(self, manifest: LoadManifest) -> list[LoadManifest]:
        """Return the committed loads that hold differences from a load, oldest vintage first."""
        return [
            other
            for other in self.committed(manifest.dataset)
            if (other.vintage_at, other.retrieved_at) > (manifest.vintage_at, manifest.retrieved_at)
            and other.panel == manifest.panel
            and slices_meet(other, manifest)
        ]

    def _refuse_older(self, manifest: LoadManifest) -> None:
        if newer := self._newer(manifest):
            raise BadReplyError(
                f"the load is of {manifest.vintage_at}, retrieved at {manifest.retrieved_at}, but {newer[-1].load_id}"
                f" of {newer[-1].vintage_at}, retrieved at {newer[-1].retrieved_at}, is loaded already: an older"
                " vintage cannot be added after a newer one",
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

    def committed(self, dataset: str | None = None) -> Iterator[LoadManifest]:
        """Yield the committed loads, oldest vintage first within a dataset."""
        pattern = f"{dataset or '*'}/*/{MARKER}"
        manifests = [read_manifest(path) for path in self.root.glob(pattern) if path.parent.name != SCHEMA_FOLDER]
        yield from sorted(manifests, key=lambda m: (m.dataset, *m.order))

    def of_panel(self, dataset: str, panel: str) -> Loads:
        """Return the committed loads of a partner set with their changes, oldest vintage first."""
        return [(m, self.folder(m) / f"{CHANGES}.parquet") for m in self.committed(dataset) if m.panel == panel]

    def findings_before(self, manifest: LoadManifest) -> Path | None:
        """Return the findings of the newest committed load of the same reporter and partners; None if there is none."""
        same = [
            load
            for load in self.committed(manifest.dataset)
            if (load.reporter, load.panel) == (manifest.reporter, manifest.panel) and load.load_id != manifest.load_id
        ]
        return self.folder(same[-1]) / "findings.parquet" if same else None

    def folder(self, manifest: LoadManifest) -> Path:
        """Return the folder of a committed load."""
        return self.root / manifest.dataset / manifest.load_id

    def content_hash(self) -> str:
        """Return a sha256 over the committed tables and their markers.

        Retrieval times and request ids are excluded: they differ between two pulls of the same replies.
        """
        digest = hashlib.sha256()
        for manifest in self.committed():
            said = {k: v for k, v in manifest.to_dict().items() if k not in ("retrieved_at", "request_ids")}
            digest.update(json.dumps(said, sort_keys=True).encode())
            for path in sorted(self.folder(manifest).glob("*.parquet")):
                digest.update(f"{path.name} {hash_file(path)}\n".encode())
        return digest.hexdigest()

    def _withdrawn_folder(self, load_id: str) -> Path:
        # As deep as the staged loads, for the same reason (see `extract.landing`).
        return self.root / ".withdrawn" / "loads" / load_id

    def _staged_folder(self, load_id: str) -> Path:
        return self._staging / load_id

    @property
    def _staging(self) -> Path:
        return self.root / ".staging" / "loads"


def _not_staged(load_id: str, folder: Path) -> ExtractError:
    return ExtractError(
        f"there is no staged load {load_id}",
        dataset=load_id.split("__")[0],
        where=str(folder),
        next_step=AGAIN,
    )

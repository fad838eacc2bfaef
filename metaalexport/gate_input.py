"""Input of the landing gate: a load and the loads before it."""

from __future__ import annotations

from pathlib import Path

from expectations import landing as landing_gate
from extract.dataset import DEFAULT_THRESHOLDS, Dataset
from extract.landing.changes import write_chapters, write_state
from extract.landing.layout import cell_key
from extract.landing.manifest import LoadManifest
from extract.landing.store import Landing
from extract.parsing import UNIT_CHANGE, unknown_code
from metaalexport import reference


def compared_gate_input(
    landing: Landing, dataset: Dataset, manifest: LoadManifest, folder: Path, target: Path
) -> landing_gate.LandingGateInput:
    """Write the state of earlier loads into a folder, and return the landing gate's input for a staged load.

    Parameters
    ----------
    folder : Path
        The staged load.
    target : Path
        Folder for ``previous.parquet`` and ``earlier.parquet``.
    """
    previous, earlier = target / "previous.parquet", target / "earlier.parquet"
    loads = landing.of_panel(dataset.code, manifest.panel)
    n_before = write_state(dataset, loads, folder / "coverage.parquet", previous)
    n_earlier = write_chapters(dataset, manifest, loads, earlier) if dataset.slice_by == "month" else 0
    return landing_gate_input(
        dataset,
        manifest,
        folder,
        previous if n_before else None,
        earlier if n_earlier else None,
        landing.findings_before(manifest),
    )


def landing_gate_input(
    dataset: Dataset,
    manifest: LoadManifest,
    folder: Path,
    previous: Path | None,
    history: Path | None = None,
    said: Path | None = None,
) -> landing_gate.LandingGateInput:
    """Return the landing gate's input for a staged load, from the registry, the seeds and the load's manifest.

    Parameters
    ----------
    folder : Path
        The staged load.
    previous : Path or None
        Output of `write_state` for earlier loads; None if they have no cells.
    history : Path or None
        Output of `write_chapters` for earlier months, for a dataset that is loaded month by month.
    said : Path or None
        Findings of the previous load (`Landing.findings_before`).
    """
    is_wide = dataset.protocol == "comext_bulk"
    return landing_gate.LandingGateInput(
        office=dataset.office,
        folder=folder,
        previous=previous,
        vintage_at=manifest.vintage_at,
        key=cell_key(dataset),
        value_column="value_eur" if is_wide else "value",
        measure_column="" if is_wide else "measure",
        measures=dataset.measure_codes,
        value_measures=dataset.value_measures,
        level_measures=dataset.level_measures,
        positive_measures=dataset.positive_measures,
        index_measures=dataset.index_measures,
        total_partner=dataset.total_partner,
        total_parts=dataset.total_parts,
        partners=reference.office_partners(dataset.office) if dataset.total_partner else {},
        value_factor=next((m.factor for m in dataset.measures if m.canonical_unit == "EUR"), 1.0),
        thresholds={name: dataset.threshold(name) for name in DEFAULT_THRESHOLDS},
        guesses=dataset.guesses,
        quarantine_rules=(UNIT_CHANGE, *(unknown_code(column) for column in cell_key(dataset) if column != "period")),
        reporter=manifest.reporter if dataset.slice_by == "reporter" and "reporter" in cell_key(dataset) else "",
        has_all_partners=not manifest.slice["partners"],
        rows_read=manifest.rows_read,
        rows_rejected=manifest.rows_rejected,
        history_measures=dataset.history_measures,
        unit_value_of=dataset.unit_value_of,
        history=history,
        said=said,
        release_days=dataset.release.every_days,
        value_limit=dataset.value_limit,
    )

"""The tables of a load: their names, columns and keys."""

from __future__ import annotations

import uuid
from pathlib import Path

import duckdb

from extract.dataset import Dataset

MARKER = "load.json"
STAGED = "manifest.json"
WITHDRAWN = "withdrawn.json"
SCHEMA_FOLDER = "_schema"
# Per DuckDB connection; a load has two open at a time, one of them idle.
MEMORY_LIMIT = "1GB"
OBSERVATIONS, CHANGES, REJECTED_CELLS = "observations", "changes", "rejected_cells"
# The landing columns; parsers must produce exactly these.
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
# Bulk rows carry all measures and the office's mapping to other classifications.
BULK_VALUES = ("value_eur", "value_nac", "quantity_kg", "supplementary_quantity")
BULK_ATTRIBUTES = ("layout", "sitc", "cpa21", "cpa22", "bec", "bec5", "section")
# A masked code (``39XXXXXX``) covers goods of several classes, a row each; `masked_class` distinguishes them. It is
# null for a code that the office shows, so that reclassifying the code does not make another cell.
BULK_KEY = (
    "reporter", "partner", "trade_type", "product", "masked_class", "flow", "stat_procedure", "suppl_unit", "period",
)  # fmt: skip


def connect(folder: Path, memory_limit: str = MEMORY_LIMIT) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with bounded memory, spilling to a folder on the landing's disk."""
    # One folder per connection: connections use the same file names.
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
    """Return the column types by table of a dataset's committed loads."""
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

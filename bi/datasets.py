"""Superset datasets, derived from dbt's contracts, the only place where tables, columns and descriptions are declared.

A metric shows the figure of a single row, and is empty for several rows: a chart without a filter can therefore not mix
figures of two sources, concepts, scopes or months. Values that are additive over months and destinations have a
separate sum metric, which is empty as soon as anything else differs.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from common.contracts import Column, Model, read_models

# Ids under which Superset keeps an object when it is provisioned again.
_NAMESPACE = uuid.UUID("6d6b3f0e-8f0a-5e0c-9a7f-2b9d1c6f4e55")
DATABASE_UUID = str(uuid.uuid5(_NAMESPACE, "database"))
SCHEMAS = ("marts", "ops")
_NUMBERS = ("decimal", "double", "integer", "bigint")
# Tables without a total row, so that values are additive over destinations and months.
_ADDITIVE = {"fct_exports": ("value_eur", "quantity_kg"), "rpt_destination_shares": ("value_eur",)}
_ADDED_OVER = {"destination_code", "month"}
_ACRONYMS = {"cbs": "CBS", "eu": "EU", "hhi": "HHI", "iso3": "ISO 3", "ytd": "year to date", "yoy": "yearly"}
_PARTS = {"_r12": " over 12 months", "_name_en": " (en)", "_name_nl": " (nl)", "_code": ""}
_UNITS = {"_eur": "euros", "_pct": "%", "_pp": "pp", "_kg": "kg"}


def dataset_uuid(table: str) -> str:
    """Return the id under which Superset keeps the dataset of a table."""
    return str(uuid.uuid5(_NAMESPACE, f"dataset {table}"))


def datasets(project: Path) -> dict[str, dict[str, Any]]:
    """Return a dataset per published model.

    Parameters
    ----------
    project : Path
        The dbt project: its folders ``models`` and ``docs``.

    Returns
    -------
    dict
        Content by file name, in Superset's export format.

    Raises
    ------
    FileNotFoundError
        If the folder contains no models.
    """
    return {f"datasets/marts/{model.name}.yaml": _dataset(model) for model in read_models(project, *SCHEMAS)}


def _dataset(model: Model) -> dict[str, Any]:
    columns = [_column(column) for column in model.columns]
    names = {column.name for column in model.columns}
    if "month" in names:
        columns.append(
            {
                "column_name": "reference_month",
                "verbose_name": "Month",
                "type": "TEXT",
                "expression": "to_char(month, 'YYYY-MM')",
                "description": "Reference month as text, for filters.",
                "groupby": True,
                "filterable": True,
            }
        )
    return {
        "version": "1.0.0",
        "uuid": dataset_uuid(model.name),
        "database_uuid": DATABASE_UUID,
        "schema": model.layer,
        "table_name": model.name,
        "description": model.description,
        "main_dttm_col": "month" if "month" in names else None,
        # The month is an ordinary filter; Superset's own time filter would hide the newest month.
        "always_filter_main_dttm": False,
        "filter_select_enabled": True,
        "columns": columns,
        "metrics": _metrics(model),
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "verbose_name": title(column.name),
        "type": column.kind.upper(),
        "is_dttm": column.kind in ("date", "timestamp"),
        "description": column.description,
        "groupby": True,
        "filterable": True,
    }


def _metrics(model: Model) -> list[dict[str, Any]]:
    metrics = [
        {
            "metric_name": "count",
            "verbose_name": "Rows",
            "expression": "count(*)",
            "description": f"Rows. One per {', '.join(model.key)}.",
            "d3format": ",d",
        }
    ]
    for column in model.columns:
        name = column.name
        if name in model.key or not column.kind.startswith(_NUMBERS):
            continue
        metrics.append(
            {
                "metric_name": f"{name}_of_one_row",
                "verbose_name": title(name),
                "expression": f"case when count(*) = 1 then max({name}) end",
                "description": f"{column.description} For one row; empty for several.",
                "d3format": number_format(name),
            }
        )
    alike = [name for name in model.key if name not in _ADDED_OVER]
    for name in _ADDITIVE.get(model.name, ()):
        is_one_view = " and ".join(f"min({column}) = max({column})" for column in alike)
        metrics.append(
            {
                "metric_name": f"{name}_sum",
                "verbose_name": f"{title(name)}, sum",
                "expression": f"case when {is_one_view} then sum({name}) end",
                "description": f"Sum of {name} over destinations and months; empty if {', '.join(alike)} differ.",
                "d3format": number_format(name),
            }
        )
    return metrics


def title(name: str) -> str:
    """Return a column's display name, with its unit at the end."""
    unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), None)
    if unit:
        name = name.rpartition("_")[0]
    for part, text in _PARTS.items():
        name = name.replace(part, text)
    words = " ".join(_ACRONYMS.get(word, word) for word in name.removeprefix("is_").replace("_", " ").split())
    return words[:1].upper() + words[1:] + (f", {unit}" if unit else "")


def number_format(name: str) -> str:
    """Return the format of a figure, by the unit in its name."""
    if name.endswith("_pp"):
        return "+.2f"
    if "share" in name:
        return ".1%"
    if name.endswith("_pct"):
        return ",.1f"
    if name.endswith(("_eur", "_kg")):
        return "SMART_NUMBER"
    return ",.3~f"

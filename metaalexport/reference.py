"""What the pipeline reads of the reviewed seeds: known codes, and the products that scopes ask for."""

from __future__ import annotations

import csv
from pathlib import Path

from metaalexport.settings import SEEDS, SettingsError

USER_SCOPE_COLUMNS = (
    "scope_code",
    "scope_name_en",
    "scope_name_nl",
    "nomenclature_code",
    "product_code",
    "valid_from",
    "valid_to",
)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def office_partners(office: str) -> dict[str, str]:
    """Return an office's partner codes and their kind."""
    return {
        row["office_code"]: row["member_kind"]
        for row in _rows(SEEDS / "office_partners.csv")
        if row["office"] == office
    }


def office_products(office: str) -> tuple[str, ...]:
    """Return an office's product codes where a seed maps them; empty where codes are used as they are."""
    return tuple(row["office_code"] for row in _rows(SEEDS / "office_products.csv") if row["office"] == office)


def value_measures(dataset: str) -> tuple[str, ...]:
    """Return the measures of a dataset that are values, not quantities."""
    return tuple(
        row["measure_code"]
        for row in _rows(SEEDS / "office_measures.csv")
        if row["dataset_code"] == dataset and row["quantity_kind"] == "value"
    )


def user_scope_rows(path: Path | None) -> list[dict[str, str]]:
    """Read and check the user's scopes.

    Raises
    ------
    SettingsError
        Naming file, line and column of what is wrong.
    """
    if path is None:
        return []
    rows = _rows(path)
    shipped = {row["scope_code"] for row in _rows(SEEDS / "metal_scopes.csv")}
    for number, row in enumerate(rows, start=2):
        place = f"{path}, line {number}"
        missing = [name for name in USER_SCOPE_COLUMNS[:5] if not (row.get(name) or "").strip()]
        if missing:
            raise SettingsError(
                f"{place}: no value for {', '.join(missing)}; the columns are {', '.join(USER_SCOPE_COLUMNS)}"
            )
        if row["scope_code"] in shipped:
            raise SettingsError(f"{place}: {row['scope_code']!r} is a shipped scope, choose another code")
        if row["nomenclature_code"] not in ("CN", "SITC"):
            raise SettingsError(f"{place}: nomenclature_code is {row['nomenclature_code']!r}, not CN or SITC")
    if not rows:
        raise SettingsError(f"{path}: no scope in it; the columns are {', '.join(USER_SCOPE_COLUMNS)}")
    return rows


def scope_products(nomenclature: str, user_scopes: Path | None) -> tuple[str, ...]:
    """Return the product codes that all scopes need of a nomenclature, sorted."""
    members = _rows(SEEDS / "metal_scope_members.csv") + user_scope_rows(user_scopes)
    return tuple(sorted({row["product_code"] for row in members if row["nomenclature_code"] == nomenclature}))


def write_user_scopes(path: Path | None, target: Path) -> None:
    """Copy the checked user scopes to where dbt reads them; without any, only the header."""
    lines = [",".join(USER_SCOPE_COLUMNS)]
    rows = user_scope_rows(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as handle:
        if rows:
            writer = csv.DictWriter(handle, USER_SCOPE_COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            handle.write(lines[0] + "\n")
    temporary.replace(target)

"""Reader of the reference folder: known codes, and the products of scopes."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path

import expectations
import extract
from common.files import hash_file, write_atomically
from common.months import Month, months_between
from extract.dataset import Dataset
from extract.errors import RegistryError
from extract.registry import overlay_files, overlay_folder
from metaalexport.arguments import SettingsError
from metaalexport.settings import OFFICES, REFERENCE

# Code lengths by nomenclature; HS is CN to six digits.
NOMENCLATURES = {"CN": (2, 4, 6, 8), "SITC": (1, 2, 3, 4, 5), "CPA22": (2, 3, 4, 5, 6)}
PARTNER_COLUMNS = (
    "office",
    "office_code",
    "member_kind",
    "destination_code",
    "office_name",
    "valid_from",
    "valid_to",
    "source",
    "confidence",
)
# The country of an `unmapped` code has not been decided yet.
MEMBER_KINDS = ("country", "unallocated", "total", "aggregate", "part", "unmapped")
PARTNERS_FILE = "office_partners.csv"
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


def _rows_of_a_person(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and values of a CSV file as saved by a spreadsheet in any locale.

    A Dutch Excel writes semicolons between values, a byte order mark, and sometimes ``sep=;`` above the header; empty
    rows consist of separators.

    Raises
    ------
    ValueError
        If a line has more values than columns or cannot be parsed, naming the line.
    UnicodeDecodeError
        If the file is not UTF-8.
    """
    lines = list(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    declared = re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.IGNORECASE) if lines else None
    first = 1 if declared else 0
    # The most frequent candidate in the header.
    separator = declared[1] if declared else max(",;\t", key=lambda sign: "".join(lines[:1]).count(sign))
    reader = csv.reader(lines[first:], delimiter=separator)
    header = [name.strip().lower() for name in next(reader, [])]
    for values in _each(reader, first):
        if not any(value.strip() for value in values):
            continue
        line = reader.line_num + first
        if len(values) > len(header):
            raise ValueError(
                f"line {line}: {len(values)} values between {separator!r}, the header has {len(header)} columns; put a"
                f" text that holds {separator!r} between quotes"
            )
        record = dict(zip(header, values, strict=False))
        yield line, {name: record.get(name, "").strip() for name in columns}


def _each(reader: Iterator[list[str]], lines_before: int) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num + lines_before}: {error}") from error  # type: ignore[attr-defined]


def rules_hash() -> str:
    """Return a hash of everything that decides whether a load passes: seeds, registry, parsers, gates, overlay."""
    digest = hashlib.sha256(_package_hash().encode())
    for path in overlay_files():
        digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return digest.hexdigest()


@cache
def _package_hash() -> str:
    packages = Path(extract.__file__).parent, Path(expectations.__file__).parent
    code = (path for folder in packages for path in folder.rglob("*") if path.suffix in (".py", ".yml"))
    files = [*REFERENCE.glob("*.csv"), *code]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return digest.hexdigest()


def office_partners(office: str) -> dict[str, str]:
    """Return an office's partner codes and their kind; a code with ``*`` is a pattern (`fnmatch`).

    A row of the overlay replaces the seed's.
    """
    rows = [*_rows(REFERENCE / PARTNERS_FILE), *overlay_partners()]
    return {row["office_code"]: row["member_kind"] for row in rows if row["office"] == office}


def overlay_partners() -> list[dict[str, str]]:
    """Read and check the partner codes of the overlay: the seed's columns, the first three of them required.

    Raises
    ------
    RegistryError
        Naming file, line and column of the error.
    """
    folder = overlay_folder()
    path = folder / PARTNERS_FILE if folder is not None else None
    if path is None or not path.exists():
        return []
    rows: list[dict[str, str]] = []
    try:
        for line, row in _rows_of_a_person(path, PARTNER_COLUMNS):
            if problem := _partner_problem(row, rows):
                raise _wrong_partners(path, f"line {line}: {problem}")
            rows.append(row)
    except UnicodeDecodeError as error:
        raise _wrong_partners(path, "it is not UTF-8; save the file as UTF-8") from error
    except ValueError as error:
        raise _wrong_partners(path, str(error)) from error
    return rows


def _wrong_partners(path: Path, problem: str) -> RegistryError:
    return RegistryError(
        f"the overlay's partner codes cannot be used: {problem}",
        dataset="all datasets",
        where=str(path),
        next_step=f"correct the line; the columns are {', '.join(PARTNER_COLUMNS)}",
    )


def _partner_problem(row: dict[str, str], earlier: list[dict[str, str]]) -> str | None:
    if missing := [name for name in PARTNER_COLUMNS[:3] if not row[name]]:
        return f"no value for {', '.join(missing)}"
    if row["office"] not in OFFICES:
        return f"office is {row['office']!r}, not one of {', '.join(OFFICES)}"
    if row["member_kind"] not in MEMBER_KINDS:
        return f"member_kind is {row['member_kind']!r}, not one of {', '.join(MEMBER_KINDS)}"
    if any(other["office"] == row["office"] and other["office_code"] == row["office_code"] for other in earlier):
        return f"{row['office_code']!r} occurs twice"
    needs_destination = row["member_kind"] in ("country", "unallocated", "part")
    if needs_destination and row["destination_code"] not in _destinations():
        return f"destination_code is {row['destination_code']!r}, which is not a country of reference/countries.csv"
    if row["destination_code"] and not needs_destination:
        return f"destination_code is {row['destination_code']!r}; a code of kind {row['member_kind']} has none"
    for name in ("valid_from", "valid_to"):
        if row[name] and not _is_date(row[name]):
            return f"{name} is {row[name]!r}, not YYYY-MM-DD"
    return None


@cache
def _destinations() -> frozenset[str]:
    countries = (row["country_code"] for row in _rows(REFERENCE / "countries.csv"))
    special = (row["destination_code"] for row in _rows(REFERENCE / "special_destinations.csv"))
    return frozenset((*countries, *special))


def office_products(office: str) -> tuple[str, ...]:
    """Return an office's product codes if a seed maps them; empty if they are used unchanged."""
    return tuple(row["office_code"] for row in _rows(REFERENCE / "office_products.csv") if row["office"] == office)


def total_product(office: str) -> str:
    """Return an office's code of all products together."""
    rows = _rows(REFERENCE / "office_products.csv")
    return next(r["office_code"] for r in rows if r["office"] == office and r["product_code"] == "TOTAL")


def datasets_of(seed: str) -> set[str]:
    """Return the datasets with rows in a seed."""
    return {row["dataset_code"] for row in _rows(REFERENCE / f"{seed}.csv")}


def published_totals(dataset: Dataset, *, is_simulated: bool) -> list[tuple[str, str, tuple[str, ...], float]]:
    """Return published figures for a CBS table's totals of all partners and products.

    Returns
    -------
    list of tuple
        Code of the anchor, the office's measure, the months that it sums (``YYYY-MM-01``), and the figure in euros. For
        simulated data only those that are valid there.
    """
    measures = {
        (row["concept_code"], row["flow_kind"]): row["measure_code"]
        for row in _rows(REFERENCE / "office_measures.csv")
        if row["dataset_code"] == dataset.code and row["quantity_kind"] == "value"
    }
    newest: dict[tuple[str, tuple[str, ...]], tuple[str, str, float]] = {}
    for row in _rows(REFERENCE / "published_figures.csv"):
        is_total = (row["source_code"], row["measure"], row["unit_code"], row["destination_code"], row["product_code"])
        if (
            is_total == ("CBS", "value", "mln_eur", "total", "TOTAL")
            and (row["concept_code"], row["flow_kind"]) in measures
            and row["published_value"]
            and (not is_simulated or row["holds_in_simulation"] == "true")
        ):
            key = measures[row["concept_code"], row["flow_kind"]], _months(row["period_from"], row["period_to"])
            figure = row["published_month"], row["anchor_code"], float(row["published_value"]) * 1e6
            # A newer figure replaces an older one.
            newest[key] = max(newest.get(key, figure), figure)
    return [(code, measure, months, value) for (measure, months), (_, code, value) in newest.items()]


def _months(first: str, last: str) -> tuple[str, ...]:
    months = months_between(Month.parse(first[:7]), Month.parse(last[:7]))
    return tuple(str(month.first_day) for month in months)


def declared_codes(dataset: Dataset) -> dict[str, frozenset[str]]:
    """Return the permitted codes of a load by landing column, for columns that the seeds cover completely.

    Partners for tables with a total of all partners; products for CBS 85429NED and its sister, whose product codes the
    seeds map one by one. A code with ``*`` is a pattern.
    """
    codes: dict[str, frozenset[str]] = {}
    if dataset.total_partner:
        codes["partner"] = frozenset(office_partners(dataset.office))
    if dataset.contract.new_code.get("product") == "quarantine":
        codes["product"] = frozenset(office_products(dataset.office))
    return codes


def user_scope_rows(path: Path | None) -> list[dict[str, str]]:
    """Read and check the user's scopes.

    Raises
    ------
    SettingsError
        Naming file, line and column of the error.
    """
    if path is None:
        return []
    shipped = {row["scope_code"] for row in _rows(REFERENCE / "metal_scopes.csv")}
    rows: list[dict[str, str]] = []
    try:
        for line, row in _rows_of_a_person(path, USER_SCOPE_COLUMNS):
            if problem := _scope_problem(row, shipped, rows):
                raise SettingsError(f"{path}, line {line}: {problem}")
            rows.append(row)
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
    except ValueError as error:
        raise SettingsError(f"{path}, {error}") from error
    if not rows:
        raise SettingsError(f"{path}: the file has no rows; the columns are {', '.join(USER_SCOPE_COLUMNS)}")
    return rows


def written_user_scopes(path: Path) -> list[dict[str, str]]:
    """Read the user's scopes as written by `write_user_scopes`; empty before the first step."""
    return _rows(path) if path.exists() else []


def _scope_problem(row: dict[str, str], shipped: set[str], earlier: list[dict[str, str]]) -> str | None:
    """Return the problem of a line, given the shipped scopes and the earlier lines."""
    missing = [name for name in USER_SCOPE_COLUMNS[:5] if not row[name]]
    if missing:
        return f"no value for {', '.join(missing)}; the columns are {', '.join(USER_SCOPE_COLUMNS)}"
    if row["scope_code"] in shipped:
        return f"{row['scope_code']!r} is a shipped scope, choose another code"
    if row["nomenclature_code"] not in NOMENCLATURES:
        return f"nomenclature_code is {row['nomenclature_code']!r}, not one of {', '.join(NOMENCLATURES)}"
    if not re.fullmatch(r"TOTAL|[0-9X]+", row["product_code"]):
        return f"product_code is {row['product_code']!r}, not digits without blanks"
    if problem := _length_problem(row["nomenclature_code"], row["product_code"]):
        return problem
    for name in ("valid_from", "valid_to"):
        if row[name] and not _is_date(row[name]):
            return f"{name} is {row[name]!r}, not YYYY-MM-DD"
    if row["valid_to"] and row["valid_from"] and row["valid_to"] < row["valid_from"]:
        return "valid_to is before valid_from"
    for other in earlier:
        same = all(other[name] == row[name] for name in ("scope_code", "nomenclature_code"))
        at_once = (other["valid_to"] or "9999") >= row["valid_from"] and (row["valid_to"] or "9999") >= other[
            "valid_from"
        ]
        one, two = other["product_code"], row["product_code"]
        if same and at_once and (one.startswith(two) or two.startswith(one) or "TOTAL" in (one, two)):
            return f"{two} and {one} in scope {row['scope_code']!r} would count the same goods twice"
    return None


def _length_problem(nomenclature: str, code: str) -> str | None:
    lengths = NOMENCLATURES[nomenclature]
    if code == "TOTAL" or len(code) in lengths:
        return None
    problem = f"product_code is {code!r}, of length {len(code)}; codes of {nomenclature} have {_either(lengths)}"
    if len(code) + 1 in lengths:
        problem += f". A spreadsheet drops a zero in front: if 0{code} is meant, make the column text and type it again"
    return problem


def _either(numbers: tuple[int, ...]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last} digits"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def scope_products(source: str, nomenclature: str, user_scopes: Path | None) -> tuple[str, ...]:
    """Return the sorted product codes of all scopes for a source (``CBS``, ``EUROSTAT``) and nomenclature."""
    members = _rows(REFERENCE / "metal_scope_members.csv") + user_scope_rows(user_scopes)
    return tuple(
        sorted(
            {
                row["product_code"]
                for row in members
                if row["nomenclature_code"] == nomenclature and (row.get("source_code") or source) == source
            }
        )
    )


def write_user_scopes(path: Path | None, target: Path) -> None:
    """Write the checked user scopes for dbt; without any, only the header."""
    _write_rows(user_scope_rows(path), USER_SCOPE_COLUMNS, target)


def write_overlay_partners(target: Path) -> None:
    """Write the checked partner codes of the overlay for dbt; without any, only the header."""
    _write_rows(overlay_partners(), PARTNER_COLUMNS, target)


def _write_rows(rows: list[dict[str, str]], columns: tuple[str, ...], target: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text.getvalue())

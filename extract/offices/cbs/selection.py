"""Selection of a slice from a table: the ``$filter`` of OData v4 and v3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from extract.dataset import Dataset
from extract.parsing import Finding
from extract.replies import (
    read_rows,
)
from extract.slices import Slice

# By dimension: code without blanks to code as the office writes it.
Keys = dict[str, dict[str, str]]


def is_whole(dataset: Dataset, part: Slice) -> bool:
    """True if a slice requests all periods and partners of a table."""
    return part.first_month <= dataset.first_period and not (part.last_month or part.partners or part.recorded_urls)


def wanted_codes(dataset: Dataset, part: Slice) -> dict[str, tuple[str, ...]]:
    """Return the requested codes by dimension; absent dimensions are requested whole."""
    by_column = {"partner": part.partners, "product": part.products}
    named = {dataset.dimension_of(column): codes for column, codes in by_column.items() if codes}
    return {dimension: codes for dimension, codes in {**named, **dataset.select}.items() if dimension}


def not_offered(dataset: Dataset, part: Slice, keys: Keys) -> tuple[Finding, ...]:
    """Return a finding for codes of a slice that the table lacks; the office silently ignores them."""
    findings = []
    for dimension, codes in wanted_codes(dataset, part).items():
        if absent := [code for code in codes if not any(_fits(key, code) for key in keys[dimension])]:
            findings.append(Finding("code_not_offered", dimension, ", ".join(absent), "warn"))
    return tuple(findings)


def _fits(key: str, code: str) -> bool:
    return key.startswith(code[:-1]) if code.endswith("*") else key == code


def observation_filter(
    dataset: Dataset, part: Slice, keys: Keys | None = None, measures: Mapping[str, str] | None = None
) -> str:
    """Return the ``$filter`` of a slice.

    Years (``JJ00``) sort before months (``MMnn``) of the same year, so one ``ge`` covers both.

    Parameters
    ----------
    keys : dict of str to dict of str to str
        The office's spelling of each code, by dimension: some tables pad their keys with blanks.
    measures : mapping of str to str
        The office's code of each declared measure, from `v4_measures`.
    """
    own_codes = tuple((measures or {}).get(code, code) for code in dataset.measure_codes)
    clauses = [f"Measure in ({_in_list(own_codes)})"]
    for dimension, codes in wanted_codes(dataset, part).items():
        own = (keys or {}).get(dimension, {})
        clauses.append(_code_filter(dimension, tuple(own.get(code, code) for code in codes)))
    if part.first_month > dataset.first_period:
        clauses.append(f"{dataset.period_dimension} ge '{part.first_month[:4]}JJ00'")
    if part.last_month:
        clauses.append(f"{dataset.period_dimension} le '{part.last_month[:4]}MM{part.last_month[5:]}'")
    return " and ".join(clauses)


def _code_filter(dimension: str, codes: tuple[str, ...]) -> str:
    exact = tuple(code for code in codes if not code.endswith("*"))
    some = [f"{dimension} in ({_in_list(exact)})"] if exact else []
    some += [f"startswith({dimension},'{code[:-1]}')" for code in codes if code.endswith("*")]
    return some[0] if len(some) == 1 else f"({' or '.join(some)})"


def _in_list(codes: tuple[str, ...]) -> str:
    return ",".join(f"'{code}'" for code in codes)


def v3_filter(dataset: Dataset, part: Slice, code_lists: dict[str, Path]) -> str:
    """Return the ``$filter`` of a slice in v3 syntax: no ``in``, and keys padded as stored."""
    clauses = []
    for dimension, codes in wanted_codes(dataset, part).items():
        keys = [row["Key"] for row in read_rows(code_lists[dimension], "Key")]
        padded = [key for key in keys if any(_fits(key.strip(), code) for code in codes)]
        clauses.append("(" + " or ".join(f"{dimension} eq '{key}'" for key in padded) + ")")
    if part.first_month > dataset.first_period:
        clauses.append(f"{dataset.period_dimension} ge '{part.first_month[:4]}JJ00'")
    if part.last_month:
        clauses.append(f"{dataset.period_dimension} le '{part.last_month[:4]}MM{part.last_month[5:]}'")
    return " and ".join(clauses)

"""The declared datasets: one YAML file each, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from extract.errors import RegistryError

REGISTRY_DIR = Path(__file__).parent / "registry"


@dataclass(frozen=True)
class Measure:
    """One measure of a dataset, and what turns the office's number into the warehouse's unit.

    Attributes
    ----------
    code : str
        The office's code (``D001636``, ``VALUE_IN_EUROS``).
    unit : str
        The unit as the office states it, checked on every load where the office states it.
    canonical_unit : str
        ``EUR``, ``KG`` or ``SUPPLEMENTARY``.
    factor : float
        Office unit to canonical unit.
    """

    code: str
    unit: str
    canonical_unit: str
    factor: float


@dataclass(frozen=True)
class Dataset:
    """One table of one office (a registry file)."""

    code: str
    office: str
    identifier: str
    title_nl: str
    title_en: str
    dimensions: tuple[str, ...]
    partner_dimension: str
    product_dimension: str
    period_dimension: str
    period_pattern: str
    total_partner: str
    measures: tuple[Measure, ...]
    measure_dimension: str
    fixed: dict[str, str]
    first_period: str
    licence: str
    licence_url: str
    citation: str
    source_url: str
    release_note: str
    verified: bool
    thresholds: dict[str, float]

    @property
    def measure_codes(self) -> tuple[str, ...]:
        """Codes of the measures that are asked for."""
        return tuple(measure.code for measure in self.measures)


def _build(path: Path) -> Dataset:
    try:
        raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        measures = tuple(
            Measure(str(m["code"]), m["unit"], m["canonical_unit"], float(m["factor"])) for m in raw.pop("measures")
        )
        dimensions = tuple(raw.pop("dimensions"))
        dataset = Dataset(measures=measures, dimensions=dimensions, **raw)
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise RegistryError(
            f"the registry file does not declare a dataset: {error}",
            dataset=path.stem,
            where=str(path),
            next_step="compare it with another file in extract/registry/",
        ) from error
    if dataset.code != path.stem:
        raise RegistryError(
            f"the file declares the code {dataset.code!r}",
            dataset=path.stem,
            where=str(path),
            next_step="a registry file is named after its dataset code",
        )
    return dataset


@cache
def load_registry(directory: Path = REGISTRY_DIR) -> dict[str, Dataset]:
    """Read all registry files.

    Returns
    -------
    dict of str to Dataset
        By dataset code, in alphabetical order.

    Raises
    ------
    RegistryError
        If a file lacks a field or its code differs from its name.
    """
    return {path.stem: _build(path) for path in sorted(directory.glob("*.yml"))}


def get_dataset(code: str) -> Dataset:
    """Return the dataset with this code.

    Raises
    ------
    RegistryError
        If no registry file has this name.
    """
    registry = load_registry()
    if code not in registry:
        raise RegistryError(
            "no such dataset", dataset=code, where=str(REGISTRY_DIR), next_step=f"known: {', '.join(registry)}"
        )
    return registry[code]

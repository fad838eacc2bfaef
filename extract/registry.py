"""The declared datasets: one YAML file each, read once and merged with the user's overlay."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from extract.dataset import (
    CONTRACT_MODES,
    DEFAULT_THRESHOLDS,
    PROTOCOLS,
    RESERVED_COLUMNS,
    Contract,
    Dataset,
    Measure,
    Refresh,
    Release,
)
from extract.errors import RegistryError

REGISTRY_DIR = Path(__file__).parent / "registry"
# The C loader if libyaml is available: otherwise reading the registry dominates the start of a small load.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_declaration(path: Path) -> dict[str, Any]:
    """Return a registry or overlay file as plain types.

    Raises
    ------
    RegistryError
        If it is not a mapping in YAML.
    """
    try:
        declared = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - both are safe
        if not isinstance(declared, dict):
            raise TypeError(f"it is a {type(declared).__name__}, not a mapping of fields")
    except (TypeError, ValueError, yaml.YAMLError) as error:
        raise _undeclared(path, error) from error
    return declared


def packaged_declaration(path: Path) -> dict[str, Any]:
    """Return a packaged declaration merged over the office's defaults in ``_<office>.yml``.

    Raises
    ------
    RegistryError
        If one of them is not a mapping in YAML.
    """
    of_office = path.with_name(f"_{path.stem.partition('_')[0]}.yml")
    return {**(read_declaration(of_office) if of_office.exists() else {}), **read_declaration(path)}


def merge_declarations(declared: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return a declaration overridden by another: mappings by key, measures by code.

    Raises
    ------
    ValueError
        If the other one names an undeclared measure.
    """
    merged = dict(declared)
    for name, value in more.items():
        if name == "measures":
            own = {str(measure["code"]): measure for measure in declared["measures"]}
            others = {str(measure["code"]): measure for measure in value}
            if unknown := sorted({*others} - {*own}):
                raise ValueError(f"there are no measures {unknown}; declared are {sorted(own)}")
            merged[name] = [{**measure, **others.get(code, {})} for code, measure in own.items()]
        elif isinstance(value, dict) and isinstance(declared.get(name), dict) and name != "dimensions":
            merged[name] = {**declared[name], **value}
        else:
            merged[name] = value
    return merged


def _undeclared(path: Path, error: Exception) -> RegistryError:
    return RegistryError(
        f"the registry file does not declare a dataset: {error}",
        dataset=path.stem,
        where=str(path),
        next_step="compare it with another file in extract/registry/",
    )


def _build(path: Path, own: Path | None = None) -> Dataset:
    """Build a dataset from its packaged file and its overlay file, if any."""
    raw = packaged_declaration(path)
    if own is not None:
        more = read_declaration(own)
        # Packaged files are valid: errors from here on are the overlay's.
        path = own
    try:
        if own is not None:
            raw = merge_declarations(raw, more)
        for name in ("products", "discover", "total_parts", "guesses"):
            if name in raw:
                raw[name] = tuple(str(code) for code in (raw[name] if isinstance(raw[name], list) else [raw[name]]))
        dataset = Dataset(
            measures=tuple(
                Measure(**{**m, "code": str(m["code"]), "factor": float(m["factor"])}) for m in raw.pop("measures")
            ),
            dimensions={str(name): str(column) for name, column in raw.pop("dimensions").items()},
            select={name: tuple(str(c) for c in codes) for name, codes in (raw.pop("select", None) or {}).items()},
            contract=Contract(**(raw.pop("contract", None) or {})),
            release=Release(**raw.pop("release")),
            refresh=Refresh(**(raw.pop("refresh", None) or {})),
            **raw,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _undeclared(path, error) from error
    if problem := _problem(dataset, path):
        raise RegistryError(
            problem[0],
            dataset=path.stem,
            where=str(path),
            next_step=problem[1],
        )
    return dataset


def _problem(dataset: Dataset, path: Path) -> tuple[str, str] | None:
    """Return the problem of a declaration and the next step; None if it is valid."""
    if dataset.code != path.stem:
        return f"the file declares the code {dataset.code!r}", "a registry file is named after its dataset code"
    if dataset.protocol not in PROTOCOLS:
        return f"unknown protocol {dataset.protocol!r}", f"known: {', '.join(PROTOCOLS)}"
    columns = list(dataset.dimensions.values())
    taken = sorted(
        {column for column in columns if columns.count(column) > 1} | RESERVED_COLUMNS - {"measure"} & {*columns}
    )
    if taken:
        return f"the landing columns {taken} are given twice or reserved", "give each dimension its own column"
    if "scopes" in dataset.products and not dataset.nomenclature:
        return "its products are those of the scopes, of no nomenclature", "declare `nomenclature`"
    if "period" not in columns:
        return "no dimension has the landing column 'period'", "one dimension is time"
    for rule, modes in CONTRACT_MODES.items():
        declared = getattr(dataset.contract, rule)
        for mode in declared.values() if isinstance(declared, dict) else (declared,):
            if mode not in modes:
                return f"contract rule {rule!r} cannot have the mode {mode!r}", f"one of: {', '.join(modes)}"
    if dataset.release.every_days < 0 or dataset.release.grace_days < 0 or dataset.release.look_hours < 1:
        return f"`release` is {dataset.release}", "days are 0 or more, hours 1 or more"
    if dataset.total_parts and (len(dataset.total_parts) != 2 or not dataset.total_partner):
        return f"`total_parts` is {list(dataset.total_parts)}", "two codes along with a `total_partner`, or none"
    if unknown := sorted({*dataset.thresholds, *dataset.guesses} - set(DEFAULT_THRESHOLDS)):
        return f"there are no thresholds {unknown}", f"known: {', '.join(DEFAULT_THRESHOLDS)}"
    unknown = sorted(set(dataset.select) - set(dataset.dimensions))
    if unknown:
        return f"`select` names {unknown}, which are not dimensions", f"dimensions: {', '.join(dataset.dimensions)}"
    return None


class _Overlay:
    """The folder of the user's corrections; one per process, like the registry."""

    folder: Path | None = None


def use_overlay(folder: Path | None) -> None:
    """Read the registry and the seeds with the corrections of a user's folder.

    Parameters
    ----------
    folder : Path or None
        With ``registry/<code>.yml``, which holds only the fields that differ, and ``office_partners.csv``. None or a
        missing folder: the package alone.
    """
    _Overlay.folder = folder


def overlay_folder() -> Path | None:
    """Return the overlay's folder; None if there is none."""
    return _Overlay.folder if _Overlay.folder is not None and _Overlay.folder.is_dir() else None


def overlay_files() -> list[Path]:
    """Return the files of the overlay, sorted."""
    folder = overlay_folder()
    return [] if folder is None else sorted([*folder.glob("registry/*.yml"), *folder.glob("*.csv")])


def load_registry(directory: Path = REGISTRY_DIR) -> dict[str, Dataset]:
    """Read all registry files, with the overlay applied to the packaged ones.

    Returns
    -------
    dict of str to Dataset
        By dataset code, in alphabetical order.

    Raises
    ------
    RegistryError
        If a file lacks a field, or its code differs from its name; if an overlay file names no packaged dataset.
    """
    overlay = overlay_folder() if directory == REGISTRY_DIR else None
    own = sorted((overlay / "registry").glob("*.yml")) if overlay is not None else []
    # The modification time lets a long-lived process see changes.
    return _load(directory, tuple((path, path.stat().st_mtime_ns) for path in own))


@cache
def _load(directory: Path, overlay: tuple[tuple[Path, int], ...]) -> dict[str, Dataset]:
    own = {path.stem: path for path, _ in overlay}
    paths = {path.stem: path for path in sorted(directory.glob("[!_]*.yml"))}
    for code in own:
        if code not in paths:
            raise RegistryError(
                "the overlay names no dataset of the registry",
                dataset=code,
                where=str(own[code]),
                next_step=f"name the file after one of {', '.join(paths)}",
            )
    return {code: _build(path, own.get(code)) for code, path in paths.items()}


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

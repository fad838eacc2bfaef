"""Datasets verified as declared: state with a date and requests, not a claim of the package."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files import write_atomically
from extract.dataset import Dataset
from metaalexport.settings import Settings


@dataclass(frozen=True)
class Evidence:
    """Result of one `doctor` run for one dataset.

    Attributes
    ----------
    is_as_declared : bool
        True if every endpoint and the rehearsal agreed with the registry.
    requests : dict of str to str
        URL by request id: the replies are in the raw store.
    """

    is_as_declared: bool
    requests: dict[str, str]


def declaration_hash(dataset: Dataset) -> str:
    """Return a hash of a dataset's declaration."""
    return hashlib.sha256(repr(dataset).encode()).hexdigest()


def is_verified(settings: Settings, dataset: Dataset) -> bool:
    """True if the office was verified against the current declaration."""
    return bool(_read(settings).get(dataset.code, {}).get("registry_sha256") == declaration_hash(dataset))


def keep(settings: Settings, dataset: Dataset, evidence: Evidence, verified_at: str) -> None:
    """Record the evidence of a dataset; a disagreement removes earlier evidence."""
    entries = _read(settings)
    entries.pop(dataset.code, None)
    if evidence.is_as_declared:
        entries[dataset.code] = {
            "verified_at": verified_at,
            "registry_sha256": declaration_hash(dataset),
            "requests": evidence.requests,
        }
    text = json.dumps(dict(sorted(entries.items())), ensure_ascii=False, indent=1) + "\n"
    write_atomically(_path(settings), text)


def _path(settings: Settings) -> Path:
    return settings.state / "verified.json"


def _read(settings: Settings) -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads(_path(settings).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        # A damaged file verifies nothing and blocks no load; `doctor --live` rewrites it.
        return {}

"""The slice of a dataset that one load requests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Slice:
    """The part of a dataset that one load covers.

    Attributes
    ----------
    dataset : str
        Dataset code.
    reporter : str
        ISO2 code of the reporting country (CBS: always ``NL``).
    first_month, last_month : str
        ``YYYY-MM``, inclusive; an empty `last_month` means up to the office's newest.
    products : tuple of str
        Requested office codes; empty means all.
    partners : tuple of str
        Requested office codes; empty means all. Only a load of all partners can show the rest of an office's
        total as ``unallocated``; otherwise the rest is ``not_loaded``.
    recorded_urls : tuple of str
        For a replay: the recorded data requests, used as they are.
    """

    dataset: str
    reporter: str
    first_month: str
    last_month: str = ""
    products: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    recorded_urls: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types (for Airflow's XCom and for manifests)."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Slice:
        """Return the object of `to_dict`'s output."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)

    def describe(self) -> str:
        """Return a readable name, for example ``NL 2021-01..newest``."""
        return f"{self.reporter} {self.first_month}..{self.last_month or 'newest'}"

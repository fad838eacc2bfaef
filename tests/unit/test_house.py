"""The file size limit of docs/contributing.md, 'Where things belong'."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "bi",
    "benchmarks",
    "common",
    "dags",
    "deploy",
    "expectations",
    "extract",
    "metaalexport",
    "publish",
    "simulator",
)
MOST_LINES = 400


def test_no_module_exceeds_the_line_limit() -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(modules) > 100
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}

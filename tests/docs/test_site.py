"""The documentation site: it builds without warnings, contains every page, and loads nothing external."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; links to missing pages and headings are errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert len(sources) > 25
    assert {str(page) for page in sources if not (site / page).is_file()} == set()
    start = (site / "index.html").read_text(encoding="utf-8")
    assert all(page in start for page in ("questions.html", "methodology.html", "team.html", "changelog.html"))


def test_pages_load_nothing_external(site: Path) -> None:
    loaded = {
        url
        for page in site.rglob("*.html")
        for tag in re.findall(r"<(?:script|img|iframe|link)\b[^>]*>", page.read_text(encoding="utf-8"))
        for url in re.findall(r'(?:src|href)="(https?://[^"]+)"', tag)
    }
    assert loaded == set()
    assert any(site.rglob("*.css"))


def test_links_between_pages_resolve(site: Path) -> None:
    broken = set()
    checked = 0
    for page in site.rglob("*.html"):
        for link in re.findall(r'<a\b[^>]*href="([^"#]+)', page.read_text(encoding="utf-8")):
            if not urlsplit(link).scheme and page.name != "404.html":
                checked += 1
                if not (page.parent / link).exists():
                    broken.add((page.name, link))
    assert checked > 500
    assert broken == set()

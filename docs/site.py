"""MkDocs hook: top pages become pages of the site, links work in both, the page of tables gets its lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tables
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
TOP_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
# Files that are no pages: the site names them, the repository links them.
_FILE_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)*((?:LICENSE|notebooks/|docs/examples/)[^)]*)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the top pages."""
    for source, page in TOP_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """List the tables, and turn links of the repository into links of the site."""
    markdown = tables.fill(markdown)
    markdown = _FILE_LINK.sub(r"\1 (`\2` in the repository)", markdown)
    if page.file.src_uri in TOP_PAGES.values():
        markdown = re.sub(r"\]\(docs/", "](", markdown)
    up = "../" * page.file.src_uri.count("/")
    for source, target in TOP_PAGES.items():
        markdown = re.sub(rf"\]\((?:\.\./)*{re.escape(source)}", f"]({up}{target}", markdown)
    return markdown

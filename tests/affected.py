"""Unit tests that a change of files may break: those that name a changed file.

``python -m tests.affected <path>...`` prints them. It follows one step only, for quick feedback; CI runs all tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]


def affected(changed: Iterable[str]) -> list[str]:
    """Return the tests that are among the files, import one of them or name it.

    A test also names a data file by its stem, its top folder, or an import of the module named after its folder. The
    tests are the unit tests and those of the documentation's text.
    """
    paths = [PurePosixPath(path) for path in changed]
    everything = any(path.name in {"conftest.py", "pyproject.toml"} for path in paths)
    spoken = re.compile("|".join(filter(None, map(_names, paths))) or r"(?!)")
    names = {str(path) for path in paths}
    files = [*sorted((ROOT / "tests" / "unit").glob("test_*.py")), ROOT / "tests" / "docs" / "test_docs.py"]
    tests = {str(test.relative_to(ROOT)): test for test in files}
    return [
        name
        for name, test in tests.items()
        if everything or name in names or spoken.search(test.read_text(encoding="utf-8"))
    ]


def _names(path: PurePosixPath) -> str:
    """Return a regular expression for the names by which tests refer to a file."""
    if path.suffix != ".py":
        if path.parent.name in ("", "."):
            return rf'["/]{re.escape(path.name)}["/]'
        named = "|".join(rf'["/]{re.escape(part)}["/]' for part in (path.name, path.stem, path.parts[0]))
        return rf"{named}|import .*\b{re.escape(path.parent.name)}\b|from [\w.]*\b{re.escape(path.parent.name)} import"
    module = path.with_suffix("") if path.stem != "__init__" else path.parent
    package, name = ".".join(module.parts[:-1]), module.name
    if not package:
        return rf"\bimport {name}\b|\bfrom {name}\b"
    # `from package.module import`, `import package.module`, and `from package import a, module, b`.
    return rf"\b{re.escape(package)}\.{name}\b|from {re.escape(package)} import (\(\s*)?([\w, \n]*\W)?{name}\b"


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}\n" for name in affected(sys.argv[1:]))

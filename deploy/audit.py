"""Check lock files for known vulnerabilities; called by `make audit`.

Exit code 0: no package has a known vulnerability. 1: some have, and are listed. 77: some packages could not be looked
up. pip-audit alone does not distinguish these: it exits with 1 in the last two cases, and with 0 where the service
knows none of the packages, as behind a mirror that serves packages only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PIP_AUDIT = Path(sys.executable).with_name("pip-audit")
FOUND, NOT_LOOKED_UP = 1, 77


def audit(lock: str) -> tuple[set[int], list[str]]:
    """Look up each package of a lock file; return the problems (`FOUND`, `NOT_LOOKED_UP`) and the lines to print."""
    with tempfile.TemporaryDirectory(prefix="metaalexport-") as folder:
        output = Path(folder) / "audit.json"
        options = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
        done = subprocess.run(  # noqa: S603 - from this environment
            [PIP_AUDIT, *options, f"--output={output}", "--requirement", lock],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not output.exists():
            last = (done.stderr.strip() or "it printed nothing").splitlines()[-1]
            return {NOT_LOOKED_UP}, [f"{lock}: not looked up: {last}"]
        packages: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["dependencies"]
    lines = [
        f"{lock}: {package['name']} {package['version']}: {found['id']}, fixed in"
        f" {', '.join(found['fix_versions']) or 'no version yet'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    unwell = {FOUND} if lines else set()
    skipped = sum("skip_reason" in package for package in packages)
    if skipped or not packages:
        unwell.add(NOT_LOOKED_UP)
        lines.append(f"{lock}: not looked up: {skipped} of {len(packages)} packages, which the service does not know")
    elif not unwell:
        lines.append(f"{lock}: none of {len(packages)} packages has a known vulnerability")
    return unwell, lines


def main(locks: list[str]) -> int:
    """Look up all lock files; return the exit code, where a vulnerability outranks a failed look-up."""
    unwell: set[int] = set()
    for lock in locks:
        found, lines = audit(lock)
        unwell |= found
        sys.stdout.write("\n".join(lines) + "\n")
    if NOT_LOOKED_UP in unwell:
        sys.stdout.write(
            "next: run `make audit` where the vulnerability service can be reached; until then the packages that were"
            " not looked up are unchecked\n"
        )
    return min(unwell, default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

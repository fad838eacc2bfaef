"""The bill of materials lists every locked package, and an audit without a result does not pass."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venv-audit" / "tools"
SAFE = {"name": "safe", "version": "1", "vulns": []}
BROKEN = {"name": "broken", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.skipif(not TOOLS.exists(), reason="make .venv-audit/tools installs what writes it")
def test_the_bill_of_materials_lists_every_package_of_the_lock_file(tmp_path: Path) -> None:
    target = tmp_path / "requirements.cdx.json"
    # The tool validates its output against CycloneDX's schema without network access.
    nobody = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"}
    command = ["make", f"--old-file={TOOLS.relative_to(ROOT)}", f"SBOM={tmp_path}", str(target)]
    subprocess.run(command, cwd=ROOT, env=nobody, check=True, capture_output=True, timeout=120)
    bill = json.loads(target.read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "metaalexport"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock, re.MULTILINE))
    assert len(locked) > 150
    assert {component["name"]: component["version"] for component in bill["components"]} == locked
    for component in bill["components"]:
        assert component["purl"].startswith(f"pkg:pypi/{component['name'].lower().replace('_', '-')}@")
        assert component["externalReferences"][0]["hashes"], component["name"]


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SAFE], 0, "none of 1 packages has a known vulnerability"),
        ([SAFE, BROKEN], 1, "broken 2: PYSEC-1, fixed in 3"),
        ([SAFE, UNKNOWN], 77, "not looked up: 1 of 2 packages"),
        ([BROKEN, UNKNOWN], 1, "not looked up: 1 of 2 packages"),
        ([], 77, "not looked up: 0 of 0 packages"),
        (None, 77, "a.lock: not looked up: the service did not answer"),
    ],
)
def test_the_audit_reports_its_result(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: list[dict[str, Any]] | None,
    code: int,
    said: str,
) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if packages is not None:
            (output,) = [part for part in command if str(part).startswith("--output=")]
            Path(output.removeprefix("--output=")).write_text(json.dumps({"dependencies": packages}))
        # Like pip-audit: 0 if it skipped every package, 1 for a finding or an unreachable service.
        worst = packages is None or BROKEN in packages
        return subprocess.CompletedProcess(command, int(worst), "", "Traceback\nthe service did not answer\n")

    monkeypatch.setattr(subprocess, "run", run)
    module = runpy.run_path(str(ROOT / "deploy" / "audit.py"))
    assert module["main"](["a.lock"]) == code
    shown = capsys.readouterr().out
    assert said in shown
    assert ("next: run `make audit` where" in shown) == ("not looked up" in shown)

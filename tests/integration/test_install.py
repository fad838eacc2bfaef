"""deploy/install: locked packages, by uv or, where uv is not available, by pip."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return a folder with one package, and without uv."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "trifle-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("trifle.py", "VALUE = 1\n")
        wheel.writestr("trifle-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: trifle\nVersion: 1.0\n")
        wheel.writestr("trifle-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("trifle-1.0.dist-info/RECORD", "")
    return folder


def install(packages: Path, environment: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """Install the package, expected to have the digest, from the folder alone."""
    lock = packages / "requirements.lock"
    lock.write_text(f"trifle==1.0 --hash=sha256:{digest}\n")
    return subprocess.run(
        [ROOT / "deploy" / "install", environment, lock],
        env={
            "PATH": os.environ["PATH"],
            "PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(packages),
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the environment is made: by the first installation, for the next one as well."""
    return tmp_path_factory.mktemp("install") / "environment"


def test_install_refuses_a_package_that_the_lock_does_not_have(packages: Path, environment: Path) -> None:
    done = install(packages, environment, "0" * 64)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_install_uses_pip_where_uv_is_not_available(packages: Path, environment: Path) -> None:
    digest = hashlib.sha256(next(packages.glob("*.whl")).read_bytes()).hexdigest()
    done = install(packages, environment, digest)
    assert done.returncode == 0, done.stderr
    assert "pip does it" in done.stderr
    subprocess.run([environment / "bin" / "python", "-c", "import trifle"], check=True, timeout=60)

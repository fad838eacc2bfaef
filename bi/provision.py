"""Prepare Superset: metadata, admin, datasets and dashboard. Idempotent: python -m bi.provision."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import yaml

from bi.datasets import DATABASE_UUID, datasets

ASSETS = Path(__file__).resolve().parent / "assets"
PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
MARTS_URL = "SUPERSET_MARTS_URL"
MARTS_PASSWORD = "SUPERSET_MARTS_PASSWORD"  # noqa: S105 - the name of a variable
ADMIN_PASSWORD = "SUPERSET_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable
ADMIN = "admin"
VIEWER_ROLE = "Marts viewer"
# Superset's placeholder for a password supplied separately.
_PASSWORD_MASK = "X" * 10
_DATABASE_FILE = "databases/marts.yaml"


class ProvisionError(Exception):
    """Superset cannot be prepared."""


def setting(name: str) -> str:
    """Return an environment variable.

    Raises
    ------
    ProvisionError
        If it is missing.
    """
    value = os.environ.get(name, "")
    if not value:
        raise ProvisionError(f"{name} is not set; next: see docs/bi.md")
    return value


def marts_address() -> tuple[str, int, str, str]:
    """Return host, port, database and user of the marts.

    Raises
    ------
    ProvisionError
        If the address is missing, malformed, or contains a password.
    """
    parts = urlsplit(setting(MARTS_URL))
    if parts.scheme != "postgresql" or not parts.hostname or not parts.username or not parts.path.strip("/"):
        raise ProvisionError(f"{MARTS_URL} is not postgresql://user@host[:port]/database")
    if parts.password is not None:
        raise ProvisionError(f"{MARTS_URL} contains a password; next: remove it, and set {MARTS_PASSWORD}")
    return parts.hostname, parts.port or 5432, parts.path.strip("/"), parts.username


def wait_for_marts(seconds: float) -> None:
    """Wait until the reader of the marts can connect.

    Raises
    ------
    ProvisionError
        If it cannot within `seconds`.
    """
    host, port, database, user = marts_address()
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg2.connect(
                host=host, port=port, dbname=database, user=user, password=setting(MARTS_PASSWORD), connect_timeout=10
            ).close()
        except psycopg2.OperationalError as error:
            if time.monotonic() > deadline:
                raise ProvisionError(
                    f"the marts at {host}:{port}, database {database}, user {user}: {error};"
                    " next: check that PostgreSQL is running and that `metaalexport prepare-postgres` was run on it"
                ) from error
            time.sleep(2)
        else:
            return


def assets() -> dict[str, str]:
    """Return all files of an import in Superset's own format, by name."""
    host, port, database, user = marts_address()
    contents = {
        path.relative_to(ASSETS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(ASSETS.rglob("*.yaml"))
    }
    made = {
        "metadata.yaml": {"version": "1.0.0", "type": "assets"},
        _DATABASE_FILE: {
            "version": "1.0.0",
            "uuid": DATABASE_UUID,
            "database_name": "marts",
            "sqlalchemy_uri": f"postgresql+psycopg2://{user}:{_PASSWORD_MASK}@{host}:{port}/{database}",
            "expose_in_sqllab": True,
            "allow_dml": False,
            "allow_ctas": False,
            "allow_cvas": False,
            "allow_file_upload": False,
            "allow_run_async": False,
            "extra": {"engine_params": {"connect_args": {"connect_timeout": 10, "application_name": "superset"}}},
        },
        **datasets(PROJECT),
    }
    for name, content in made.items():
        contents[name] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return contents


def provision() -> None:
    """Upgrade Superset's metadata, update admin and roles, and import the assets over the existing ones.

    Raises
    ------
    ProvisionError
        If a setting is missing.
    """
    # Superset reads its settings on import.
    from flask_migrate import upgrade
    from superset.app import create_app

    admin_password = setting(ADMIN_PASSWORD)
    app = create_app()
    with app.app_context():
        upgrade()
        from superset import appbuilder, db, security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        admin = security_manager.find_user(ADMIN)
        if admin is None:
            role = security_manager.find_role("Admin")
            admin = security_manager.add_user(ADMIN, ADMIN, ADMIN, "admin@localhost", role, password=admin_password)
        else:
            security_manager.reset_password(admin.id, admin_password)
        db.session.commit()
        with override_user(admin):
            ImportAssetsCommand(assets(), passwords={_DATABASE_FILE: setting(MARTS_PASSWORD)}).run()
        _renew_viewers(security_manager)
        db.session.commit()


def _renew_viewers(security_manager: Any) -> None:
    """Create or update the viewer role: the permissions of Superset's Gamma, plus every dataset of the marts.

    Viewers see the dashboard, explore the datasets and keep their own charts. They cannot change the provisioned
    assets, and have no access to SQL Lab, connections or users.
    """
    from superset import db
    from superset.models.core import Database

    marts = db.session.query(Database).filter_by(uuid=DATABASE_UUID).one()
    role = security_manager.add_role(VIEWER_ROLE)
    access = security_manager.add_permission_view_menu("database_access", marts.perm)
    role.permissions = [*security_manager.find_role("Gamma").permissions, access]


def main() -> None:
    """Prepare Superset from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="how long to wait for PostgreSQL")
    arguments = parser.parse_args()
    try:
        wait_for_marts(arguments.wait)
        provision()
    except ProvisionError as error:
        raise SystemExit(f"error: {error}") from error
    print("Superset is prepared")  # noqa: T201


if __name__ == "__main__":
    main()

"""A separate PostgreSQL server for tests that need a real one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from publish.postgres.server import PostgresServer

ADMIN_PASSWORD = "of the superuser"


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise FileNotFoundError(f"PostgreSQL's {name} is not on this machine; next: make test-postgres installs it")
    return path


def free_port() -> int:
    """Return a free port of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start an empty server on a free port of the loopback; yield it as its superuser, and remove it afterwards."""
    # The server refuses to run as root, and its user cannot read pytest's folders.
    as_server_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="metaalexport-postgres-"))
    password_file = folder / "password"
    password_file.write_text(ADMIN_PASSWORD, encoding="utf-8")
    if as_server_user:
        user = pwd.getpwnam("postgres")
        for path in (folder, password_file):
            os.chown(path, user.pw_uid, user.pw_gid)
    data = folder / "data"
    port = free_port()
    try:
        subprocess.run(
            [*as_server_user, _binary("initdb"), "-D", str(data), "-U", "postgres", "--auth=scram-sha-256",
             f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_server_user, _binary("pg_ctl"), "-D", str(data), "-w"]
        subprocess.run(
            [*control, "-l", str(folder / "log"), "-o", options, "start"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        try:
            yield PostgresServer("127.0.0.1", port, "postgres", "postgres", ADMIN_PASSWORD)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)
    finally:
        shutil.rmtree(folder)

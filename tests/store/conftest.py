"""Two databases for every test of the store: a SQLite file, and a PostgreSQL server of its own on a private socket."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PORT = "54329"  # names the socket only: the server listens on no network
NUMBERS = itertools.count()


def _programs() -> Path | None:
    """The folder with initdb and pg_ctl; Debian keeps them off the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def _missing(what: str) -> None:
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(what)
    pytest.skip(what)  # the server is no part of the repository


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The socket folder of a running server. Absent, the test is skipped; in continuous integration it fails instead."""
    programs = _programs()
    if programs is None:
        _missing("no PostgreSQL server is installed: sh tests/store/install.sh")
        return
    account: str | None = None
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            account = pwd.getpwnam("postgres").pw_name
        except KeyError:
            _missing("PostgreSQL does not run as root, and there is no user called postgres")
    folder = Path(tempfile.mkdtemp(prefix="tidewaiter-postgres-"))
    if account is not None:
        shutil.chown(folder, account)
    folder.chmod(0o755)

    def call(*command: str) -> None:
        done = subprocess.run(command, cwd="/", user=account, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    data, log = folder / "data", folder / "log"
    control = (str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(log))
    try:
        call(
            str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"
        )
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -p {PORT} -c fsync=off"
        call(*control, "-o", settings, "start")
        try:
            yield str(folder)
        finally:
            call(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that is not there yet, as a caller names it."""
    if request.param == "sqlite":
        yield str(tmp_path / "store.db")
        return
    folder = request.getfixturevalue("postgres")
    import psycopg

    name = f"store_{os.getpid()}_{next(NUMBERS)}"
    with psycopg.connect(host=folder, port=PORT, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"postgresql://postgres@/{name}?host={folder}&port={PORT}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

"""What a watch lives through: logs that are rotated, compressed and truncated, disks that are full, sinks that are down."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_feed import AUDIT, EVE, Line, Writer


def wait_for(what: Callable[[], object], seconds: float) -> None:
    """Until it is so; fails where that takes too long."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.1)


def as_told(found: dict[str, Any]) -> list[Any]:
    """What records say, but for where in which file their evidence stands (and ids that depend on it)."""
    return sorted(
        [row["time"], row["utility"], str(row["src"]), str(row["dst"]), str([one["summary"] for one in row["evidence"]])]
        for row in found.values()
    )


@dataclass
class Rotating(Writer):
    """Renames the audit log and compresses what was renamed, as logrotate does; copies and truncates EVE, once it was read."""

    store: str = ""  # of the watch that reads it
    rotations: int = 0
    turn: int = 0
    eve: int = 0  # records written

    def write(self, line: Line) -> None:
        """One write, and now and then a rotation."""
        super().write(line)
        self.eve += line.log == EVE
        self.turn += 1
        if self.turn % 400 == 0:
            self._rename()
        elif self.turn % 400 == 200 and EVE in self.files:
            wait_for(self._eve_was_read, 120)  # what was not read when a log is truncated is gone for everybody
            os.truncate(self.folder / EVE, 0)
            self.rotations += 1

    def _eve_was_read(self) -> bool:
        """Whether all of it is committed: what a watch has read and not committed is lost where it is killed."""
        try:
            with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=5) as connection:
                positions = connection.execute("select name, data from live_position").fetchall()
        except sqlite3.Error:
            return False
        return any(json.loads(name).endswith(EVE) and json.loads(data)["lines"] == self.eve for name, data in positions)

    def _rename(self) -> None:
        self.rotations += 1
        if AUDIT in self.files:
            self.files.pop(AUDIT).close()
            first, second = self.folder / f"{AUDIT}.1", self.folder / f"{AUDIT}.2.gz"
            if first.exists():
                second.write_bytes(gzip.compress(first.read_bytes()))
                first.unlink()
            (self.folder / AUDIT).rename(first)


class SmallDisk:
    """A small file system in memory, that can be filled. Raises PermissionError where none can be mounted."""

    def __init__(self, place: Path, size: int) -> None:
        self.place, self._ballast = place, place / "ballast"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if os.name != "posix" or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            raise PermissionError("file systems can only be mounted with the rights of root")

    def fill(self) -> None:
        """Write until it is full."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65_536)
            except OSError:
                pass

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.place)], check=False)


class Receiver:
    """A webhook's server on loopback, which is up or down as it is told. `got` is what came."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.port = 0
        self._server: http.server.HTTPServer | None = None
        self.up()
        self.down()

    def up(self) -> None:
        """Listen, from the second time on at the same port."""
        got = self.got

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
                """Nothing on the terminal."""

        server = self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def down(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def newest(self) -> dict[str, dict[str, Any]]:
        """Id -> the newest revision that came, without those that were withdrawn."""
        rows: dict[str, dict[str, Any]] = {}
        for row in self.got:
            if row["revision"] >= rows.get(row["id"], row)["revision"]:
                rows[row["id"]] = row
        return {identity: row for identity, row in rows.items() if row["change"] != "withdrawn"}


class _Server(http.server.HTTPServer):
    allow_reuse_address = True

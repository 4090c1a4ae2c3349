"""A finger server: asked for a user, it answers with the file of that name (RFC 1288)."""

from __future__ import annotations

import socketserver

from tidewaiter.drill.own import PATIENCE, OwnServer, TcpListener, listen
from tidewaiter.drill.server import Order

LONGEST = 512
"""Bytes of a query."""


class _Answer(socketserver.StreamRequestHandler):
    server: TcpListener
    timeout = PATIENCE

    def handle(self) -> None:
        """Answer one query."""
        asked = self.rfile.readline(LONGEST).decode("latin-1").strip().removeprefix("/W").strip()
        files = self.server.files
        self.wfile.write(files.get(asked, b"no such user\n").replace(b"\n", b"\r\n"))


def start(order: Order) -> OwnServer:
    """Answer on the well-known port, which no finger program can be told otherwise. Raises DrillError."""
    return listen(order, _Answer)

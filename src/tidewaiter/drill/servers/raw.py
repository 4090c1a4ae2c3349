"""A TCP server without a protocol: it sends the marker to whoever connects, and closes."""

from __future__ import annotations

import socketserver

from tidewaiter.drill.own import PATIENCE, OwnServer, TcpListener, listen
from tidewaiter.drill.server import Order


class _Sender(socketserver.BaseRequestHandler):
    server: TcpListener

    def handle(self) -> None:
        """Send the one file of this port."""
        self.request.settimeout(PATIENCE)
        for content in self.server.files.values():
            self.request.sendall(content)


def start(order: Order) -> OwnServer:
    """Serve each method on a port of its own. Raises DrillError."""
    return listen(order, _Sender)

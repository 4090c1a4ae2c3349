"""A web server that knows only the marker."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from tidewaiter.drill.own import PATIENCE, OwnServer, TcpListener, listen
from tidewaiter.drill.server import Order


class Page(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the marker's path; everything else is not there."""

    server: TcpListener
    protocol_version = "HTTP/1.1"
    server_version = "tidewaiter-drill"
    sys_version = ""
    timeout = PATIENCE

    def _answer(self) -> bytes:
        files = self.server.files
        content = files.get(self.path.removeprefix("/"))
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Type", "application/x-sh")
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("Connection", "close")
        self.end_headers()
        return content or b""

    def do_GET(self) -> None:
        """Send the marker."""
        content = self._answer()
        self.wfile.write(content)
        self.close_connection = True

    def do_HEAD(self) -> None:
        """Say how long the marker is."""
        self._answer()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: what became of the transfer is seen on the client's side."""


def start(order: Order) -> OwnServer:
    """Serve each method on a port of its own. Raises DrillError."""
    return listen(order, Page)

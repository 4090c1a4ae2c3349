"""The web server behind TLS, with a certificate that openssl makes for this drill alone."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from tidewaiter.drill.own import Listener, OwnServer, listen
from tidewaiter.drill.server import Order
from tidewaiter.drill.servers.http import Page
from tidewaiter.errors import DrillError

PATIENCE = 60.0


def start(order: Order) -> OwnServer:
    """Serve each method on a port of its own. Raises DrillError where openssl makes no certificate."""
    folder = Path(order.state)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    where = ["-subj", "/CN=tidewaiter-drill", "-keyout", str(key), "-out", str(certificate)]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, no shell reads them
            [*kind, *where], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrillError(f"openssl made no certificate: {error}") from None
    if done.returncode:
        raise DrillError(f"openssl made no certificate: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def prepare(listener: Listener) -> None:
        """The handshake is left to the first read, in the thread of the connection."""
        listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)

    return listen(order, Page, prepare=prepare)

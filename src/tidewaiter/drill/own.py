"""The listening part of our own servers: one port for each method, or one well-known port for all; files are held in memory."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path

from tidewaiter.drill.server import Order
from tidewaiter.errors import DrillError

PATIENCE = 30.0
"""Seconds that a client may keep a connection open without a word."""

Files = dict[str, bytes]


class TcpListener(socketserver.ThreadingTCPServer):
    """A TCP server, a thread for each connection. A client that breaks off costs its own connection only."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 16
    files: Files

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: what became of the transfer is seen on the client's side."""


class UdpListener(socketserver.ThreadingUDPServer):
    """A UDP server, a thread for each datagram."""

    allow_reuse_address = False
    daemon_threads = True
    files: Files

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: what became of the transfer is seen on the client's side."""


Listener = TcpListener | UdpListener
Handler = Callable[..., socketserver.BaseRequestHandler]


class OwnServer:
    """Listeners of one kind, each with a thread of its own."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self._listeners: list[tuple[Listener, threading.Thread]] = []

    def add(self, listener: Listener, files: Files, methods: list[str]) -> None:
        """Let a bound listener serve these files to these methods."""
        listener.files = files
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        self._listeners.append((listener, thread))
        self.ports |= dict.fromkeys(methods, listener.server_address[1])

    def stop(self) -> None:
        """Stop listening; connections end with the process."""
        for listener, thread in self._listeners:
            listener.shutdown()
            thread.join(2.0)
            listener.server_close()


def listen(
    order: Order, handler: Handler, kind: type[TcpListener] | type[UdpListener] = TcpListener,
    prepare: Callable[[Listener], None] = lambda _: None,
) -> OwnServer:  # fmt: skip
    """Serve the files of the order. `prepare` is called with each listener before it accepts. Raises DrillError."""
    content = {method: (name, (Path(order.served) / name).read_bytes()) for method, name in order.files.items()}
    groups = [list(content)] if order.port else [[method] for method in content]
    server = OwnServer()
    try:
        for methods in groups:
            listener = _bound(order, handler, kind)
            prepare(listener)
            server.add(listener, dict(content[method] for method in methods), methods)
    except BaseException:  # raised again: only what was begun is undone first
        server.stop()
        raise
    return server


def _bound(order: Order, handler: Handler, kind: type[TcpListener] | type[UdpListener]) -> Listener:
    try:
        return kind((order.address, order.port), handler)
    except OSError as error:
        if not order.port or order.must_have:
            raise DrillError(f"port {order.port} of {order.address} cannot be had: {error.strerror or error}") from None
    with contextlib.suppress(OSError):
        return kind((order.address, 0), handler)
    raise DrillError(f"no port of {order.address} can be had")


def free_ports(address: str, count: int) -> list[int]:
    """TCP ports that nobody listens on, for programs that must be told one. Raises OSError."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port(order: Order) -> int:
    """The well-known port of an order where it is free, else any. Raises OSError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((order.address, order.port))
            return int(probe.getsockname()[1])
    return free_ports(order.address, 1)[0]

"""The thread that listens: one UDP socket, or one TCP port with a bounded number of connections, into the spool.

What comes by UDP while the spool is full, or faster than the kernel's buffer holds, is lost; both are counted. TCP connections
are not read while the spool is full: the senders wait.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable

from tidewaiter.feed import Problems, now_micros
from tidewaiter.feeds.syslog.framing import Frames, line_of
from tidewaiter.feeds.syslog.spool import Spool

BLOCK = 1 << 16
BATCH = 1 << 20
"""Bytes, about, that are read from one socket before they are kept."""

HANDSHAKE = 10.0
"""Seconds for a TLS handshake."""

_BUFFER = 4 << 20  # what is asked of the kernel for datagrams
_DROPS = 40 if sys.platform == "linux" else None  # SO_RXQ_OVFL: the kernel tells how many datagrams it dropped
_AGAIN = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Limits:
    """What one listener holds at most."""

    def __init__(self, *, longest: int, connections: int, idle: float) -> None:
        self.longest = longest  # bytes of a message
        self.connections = connections
        self.idle = idle  # seconds


class Connection:
    """One TCP sender."""

    def __init__(self, peer: socket.socket, address: str, longest: int) -> None:
        self.socket = peer
        self.address = address
        self.frames = Frames(longest)
        self.last = time.monotonic()
        self.greeting = isinstance(peer, ssl.SSLSocket)  # the handshake is not over


class Listener:
    """Listens until it is closed. `socket` is bound; of TLS every connection is wrapped by `tls`."""

    def __init__(
        self, bound: socket.socket, spool: Spool, problems: Problems, log_file: str, limits: Limits, tls: ssl.SSLContext | None
    ) -> None:
        self._socket, self._spool, self._problems, self._log_file = bound, spool, problems, log_file
        self._limits, self._tls = limits, tls
        self._is_udp = bound.type == socket.SOCK_DGRAM
        self._selector = selectors.DefaultSelector()
        self._connections: dict[socket.socket, Connection] = {}
        self._paused = False
        self._kernel_drops = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=log_file, daemon=True)
        bound.setblocking(False)
        if self._is_udp:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            if _DROPS is not None:
                bound.setsockopt(socket.SOL_SOCKET, _DROPS, 1)

    def start(self) -> None:
        """Begin to listen."""
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._thread.start()

    def close(self) -> None:
        """Stop; the port is free afterwards."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._selector.close()
        self._socket.close()

    def _run(self) -> None:
        looked = 0.0
        while not self._stop.is_set():
            self._pause_or_go_on()
            for key, _ in self._selector.select(timeout=0.1):
                self._serve(key.fileobj)
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                self._drop_idle(looked)
            if self._paused:
                self._stop.wait(0.05)

    def _serve(self, ready: object) -> None:
        try:
            if self._is_udp:
                self._datagrams()
            elif ready is self._socket:
                self._accept()
            elif isinstance(ready, socket.socket) and ready in self._connections:
                self._receive(self._connections[ready])
        except OSError as error:
            text = f"receiving failed: {error.strerror or error}"
            self._problems.add("unreadable", self._log_file, text, "look at the network and the limits of the system")

    # UDP ----------------------------------------------------------------------------------------------------------------

    def _datagrams(self) -> None:
        lines: list[bytes] = []
        received = now_micros()
        size = 0
        while size < BATCH:
            try:
                message, ancillary, _, sender = self._socket.recvmsg(BLOCK, 64)
            except _AGAIN:
                break
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == _DROPS:
                    self._count_drops(int.from_bytes(data[:4], sys.byteorder))
            size += len(message) + 64  # an empty one is work, too
            over = len(message) - self._limits.longest
            if over > 0:
                self._tell_cut(over)
            lines.append(line_of(message[: self._limits.longest], str(sender[0]), received))
        kept = [line for line in lines if line]
        if not self._keep(kept):
            text = "messages came while the spool was full, and UDP senders do not wait"
            remedy = "find out what holds up reading, or let the senders use TCP"
            self._problems.add("lost", self._log_file, text, remedy, count=len(kept), unit="messages")

    def _count_drops(self, total: int) -> None:
        new = (total - self._kernel_drops) % (1 << 32)
        self._kernel_drops = total
        if new:
            text = "messages came faster than the system's buffer holds"
            remedy = "raise net.core.rmem_max, or let the senders use TCP"
            self._problems.add("lost", self._log_file, text, remedy, count=new, unit="messages")

    # TCP ----------------------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            peer, address = self._socket.accept()
        except (*_AGAIN, ConnectionError):
            return
        if len(self._connections) >= self._limits.connections:
            peer.close()
            text = f"more than {self._limits.connections:,} connections at once"
            self._problems.add("refused", self._log_file, text, "raise `connections`", count=1, unit="connections")
            return
        peer.setblocking(False)
        if self._tls is not None:
            peer = self._tls.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
        self._connections[peer] = Connection(peer, str(address[0]), self._limits.longest)
        self._selector.register(peer, selectors.EVENT_READ)

    def _receive(self, connection: Connection) -> None:
        try:
            if connection.greeting and isinstance(connection.socket, ssl.SSLSocket):
                connection.socket.do_handshake()
                connection.greeting = False
            data, ended = _all_there_is(connection.socket)
        except _AGAIN:
            return
        except (ssl.SSLError, ConnectionError) as error:
            if connection.greeting:
                reason = getattr(error, "reason", None) or error
                text = f"a TLS handshake with {connection.address} failed: {reason}"
                self._problems.add(
                    "refused", self._log_file, text, "see to certificates at both ends", count=1, unit="connections"
                )
            data, ended = b"", True
        connection.last = time.monotonic()
        messages = connection.frames.feed(data)
        if ended:
            messages += connection.frames.finish()
            self._drop(connection)
        if connection.frames.left_out:
            self._tell_cut(connection.frames.left_out)
            connection.frames.left_out = 0
        self._keep_all(messages, connection.address)

    def _keep_all(self, messages: Iterable[bytes], address: str) -> None:
        """What a connection brought is taken: wait until it is kept."""
        received = now_micros()
        lines = [line for line in (line_of(message, address, received) for message in messages) if line]
        while lines and not self._keep(lines):
            if self._stop.wait(0.05):
                text = "messages could not be kept before the end: the spool was full"
                self._problems.add(
                    "lost", self._log_file, text, "find out what holds up reading", count=len(lines), unit="messages"
                )
                return

    def _pause_or_go_on(self) -> None:
        """Connections are not read while the spool is nearly full."""
        if self._is_udp or self._paused != self._spool.has_room():
            return
        self._paused = not self._paused
        for peer in (self._socket, *self._connections):
            if self._paused:
                self._selector.unregister(peer)
            else:
                self._selector.register(peer, selectors.EVENT_READ)

    def _drop_idle(self, now: float) -> None:
        for connection in list(self._connections.values()):
            bound = HANDSHAKE if connection.greeting else self._limits.idle
            if now - connection.last > bound and not self._paused:
                messages = connection.frames.finish()
                self._drop(connection)
                self._keep_all(messages, connection.address)

    def _drop(self, connection: Connection) -> None:
        del self._connections[connection.socket]
        if not self._paused:
            self._selector.unregister(connection.socket)
        connection.socket.close()

    # both ---------------------------------------------------------------------------------------------------------------

    def _keep(self, lines: list[bytes]) -> bool:
        if not lines:
            return True
        try:
            return self._spool.append(b"\n".join(lines) + b"\n")
        except OSError as error:
            text = f"the spool cannot be written: {error.strerror or error}"
            self._problems.add("unreadable", self._log_file, text, "make room on its disk; it is tried again")
            return False

    def _tell_cut(self, bytes_left_out: int) -> None:
        text = f"messages longer than {self._limits.longest:,} bytes were cut"
        self._problems.add("cut", self._log_file, text, "raise `longest_message`", count=bytes_left_out, unit="bytes")


def _all_there_is(peer: socket.socket) -> tuple[bytes, bool]:
    """What waits on a connection, at most BATCH bytes, and whether it has ended. Raises what the first read raises."""
    parts = [peer.recv(BLOCK)]
    while parts[-1] and sum(map(len, parts)) < BATCH:
        try:
            parts.append(peer.recv(BLOCK))
        except _AGAIN:
            return b"".join(parts), False
        except (ssl.SSLError, ConnectionError):
            return b"".join(parts), True
    return b"".join(parts), not parts[-1]


def listen(scheme: str, host: str, port: int, *, error: Callable[[str], Exception]) -> socket.socket:
    """A bound socket. Raises what `error` makes of the reason."""
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, kind)
    except OSError as trouble:
        raise error(trouble.strerror or str(trouble)) from None
    try:
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        if kind == socket.SOCK_STREAM:
            bound.listen(128)
    except OSError as trouble:
        bound.close()
        raise error(trouble.strerror or str(trouble)) from None
    return bound

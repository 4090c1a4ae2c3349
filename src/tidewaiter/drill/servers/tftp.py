"""A TFTP server for reading in octet mode (RFC 1350), without options."""

from __future__ import annotations

import socket
import socketserver
import struct

from tidewaiter.drill.own import OwnServer, UdpListener, listen
from tidewaiter.drill.server import Order

BLOCK = 512
TRIES = 5
PATIENCE = 2.0
"""Seconds until a block is sent again."""
_READ, _DATA, _ACK, _ERROR = 1, 3, 4, 5
_NOT_FOUND, _ILLEGAL = 1, 4


class _Reader(socketserver.BaseRequestHandler):
    server: UdpListener

    def handle(self) -> None:
        """Answer one request, from a port of its own as the protocol demands."""
        packet = self.request[0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind((str(self.server.server_address[0]), 0))
            peer.connect(self.client_address)
            peer.settimeout(PATIENCE)
            parts = packet[2:].split(b"\0")
            if len(packet) < 4 or struct.unpack("!H", packet[:2])[0] != _READ or len(parts) < 3 or parts[1].lower() != b"octet":
                peer.send(_refusal(_ILLEGAL, "only reading in octet mode"))
                return
            files = self.server.files
            content = files.get(parts[0].decode("latin-1").removeprefix("/"))
            if content is None:
                peer.send(_refusal(_NOT_FOUND, "no such file"))
            else:
                _send(peer, content)


def _refusal(code: int, says: str) -> bytes:
    return struct.pack("!HH", _ERROR, code) + says.encode() + b"\0"


def _send(peer: socket.socket, content: bytes) -> None:
    for number in range(len(content) // BLOCK + 1):  # a full last block is followed by an empty one
        block = struct.pack("!HH", _DATA, (number + 1) & 0xFFFF) + content[number * BLOCK : (number + 1) * BLOCK]
        for _ in range(TRIES):
            peer.send(block)
            if _acknowledged(peer, (number + 1) & 0xFFFF):
                break
        else:
            return


def _acknowledged(peer: socket.socket, number: int) -> bool:
    try:
        answer = peer.recv(BLOCK)
    except (TimeoutError, ConnectionRefusedError):
        return False
    return len(answer) >= 4 and struct.unpack("!HH", answer[:4]) == (_ACK, number)


def start(order: Order) -> OwnServer:
    """Serve all methods on the well-known port, by which sensors know the protocol, or on any. Raises DrillError."""
    return listen(order, _Reader, UdpListener)

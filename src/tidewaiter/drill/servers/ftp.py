"""An FTP server for reading, passive only: as much of RFC 959 and RFC 2428 as clients need to get one file."""

from __future__ import annotations

import socket
import socketserver

from tidewaiter.drill.own import PATIENCE, OwnServer, TcpListener, listen
from tidewaiter.drill.server import Order

LONGEST = 1024
"""Bytes of a command."""
COMMANDS = 200
"""Commands of one session."""

_PLAIN = {
    "PASS": "230 Welcome",
    "TYPE": "200 As you like",
    "MODE": "200 As you like",
    "STRU": "200 As you like",
    "NOOP": "200 Here",
    "SYST": "215 UNIX Type: L8",
    "PWD": '257 "/" is the only folder',
    "CWD": "250 There is only one folder",
    "FEAT": "211 No features",
    "OPTS": "200 As you like",
}


class _Session(socketserver.StreamRequestHandler):
    server: TcpListener
    timeout = PATIENCE

    def setup(self) -> None:
        """Begin without a data channel."""
        super().setup()
        self._channel: socket.socket | None = None

    def finish(self) -> None:
        """Close the data channel too."""
        self._drop()
        super().finish()

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        """Read commands until QUIT."""
        self._say("220 tidewaiter drill")
        for _ in range(COMMANDS):
            line = self.rfile.readline(LONGEST).decode("latin-1").strip()
            verb, _, rest = line.partition(" ")
            if not verb or verb.upper() == "QUIT":
                break
            self._answer(verb.upper(), rest.strip())
        self._say("221 Goodbye")

    def _answer(self, verb: str, rest: str) -> None:
        files = self.server.files
        content = files.get(rest.rpartition("/")[2])
        if verb in _PLAIN:
            self._say(_PLAIN[verb])
        elif verb == "USER":
            self._say("331 Any password will do")
        elif verb in ("PASV", "EPSV"):
            self._passive(verb)
        elif verb == "SIZE" and content is not None:
            self._say(f"213 {len(content)}")
        elif verb == "RETR" and content is not None:
            self._send(content)
        elif verb in ("LIST", "NLST"):
            self._send("".join(f"{name}\r\n" for name in files).encode())
        elif verb in ("SIZE", "RETR"):
            self._say("550 No such file")
        else:
            self._say("502 Not here")

    def _passive(self, verb: str) -> None:
        self._drop()
        address = self.request.getsockname()[0]
        self._channel = socket.create_server((address, 0), backlog=1)
        self._channel.settimeout(PATIENCE)
        port = self._channel.getsockname()[1]
        if verb == "EPSV":
            self._say(f"229 Entering Extended Passive Mode (|||{port}|)")
        else:
            self._say(f"227 Entering Passive Mode ({address.replace('.', ',')},{port >> 8},{port & 255})")

    def _send(self, content: bytes) -> None:
        if self._channel is None:
            self._say("425 Ask for passive mode first")
            return
        self._say("150 Here it comes")
        data, _ = self._channel.accept()
        with data:
            data.settimeout(PATIENCE)
            data.sendall(content)
        self._drop()
        self._say("226 That was it")


def start(order: Order) -> OwnServer:
    """Serve each method on a port of its own. Raises DrillError."""
    return listen(order, _Session)

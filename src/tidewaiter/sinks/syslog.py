"""One syslog message (RFC 5424) per change, with the JSON record or a CEF event as its text.

UDP (RFC 5426), TCP with octet counting (RFC 6587) or TLS (RFC 5425). Syslog has no receipts. What can be known is used: over
TCP and TLS a batch counts as delivered when the peer's system has acknowledged its bytes, over UDP when no error came back. A
receiver that crashes with messages in its memory loses them, and so does a network that drops datagrams.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any, Literal

from tidewaiter import __version__, sink
from tidewaiter.errors import SinkError, UsageError
from tidewaiter.schema.moments import parse_time, render_time
from tidewaiter.schema.transfer import Transfer
from tidewaiter.sink import Delivery, Surroundings
from tidewaiter.transport.tls import client_context

LEVELS = {"critical": 2, "high": 3, "medium": 4, "low": 5, "informational": 6}
"""Severities of syslog: critical, error, warning, notice, informational."""
CEF_LEVELS = {"critical": 10, "high": 8, "medium": 5, "low": 3, "informational": 1}
FACILITIES = {"user": 1, "daemon": 3, "auth": 4, "authpriv": 10, **{f"local{number}": 16 + number for number in range(8)}}
UDP_ERROR_WAIT = 0.05
"""Seconds in which a machine that answers at all says that nobody listens at the port."""
SHED = ("evidence", "reasons", "stages", "process", "src", "dst", "file")
"""Fields that a record which is too long for a message goes without, in this order."""


class Settings(sink.Settings, frozen=True, kw_only=True):
    """`type = "syslog"`."""

    host: str
    port: int = 0  # 0: 514 for udp, 601 for tcp, 6514 for tls
    transport: Literal["udp", "tcp", "tls"] = "tcp"
    framing: Literal["octets", "lines"] = "octets"  # over tcp and tls: how messages are told apart
    format: Literal["rfc5424", "cef"] = "rfc5424"
    facility: str = "local0"
    hostname: str = ""  # who we are in the messages; empty: the name of this machine
    max_bytes: int = 0  # of one message; 0: 2,048 for udp, 8,192 otherwise, which rsyslog takes as it comes
    ca_file: str = ""  # PEM of the only authorities to trust; empty: the system's
    certificate_file: str = ""  # PEM, for servers that want to know who we are
    key_file: str = ""
    timeout: float = 10.0  # seconds


class Sink:
    """`type = "syslog"`."""

    batch = 100

    def __init__(self, settings: Settings, here: Surroundings) -> None:
        self.name = here.name
        self._settings = settings
        if settings.facility not in FACILITIES:
            raise UsageError(f"facility: must be one of {', '.join(FACILITIES)}")
        if not _is_host(settings.host) or not 0 <= settings.port <= 65_535 or not 0.1 <= settings.timeout <= 300:
            raise UsageError("host must be a name or an address, port 0 to 65535, timeout 0.1 to 300 seconds")
        self._most = settings.max_bytes or (2_048 if settings.transport == "udp" else 8_192)
        if not 1_024 <= self._most <= (65_000 if settings.transport == "udp" else 1_048_576):
            raise UsageError("max_bytes: must be 1,024 to 65,000 for udp, to 1,048,576 otherwise")
        self._tls = None
        if settings.transport == "tls":
            self._tls = client_context(
                here.path(settings.ca_file), here.path(settings.certificate_file), here.path(settings.key_file)
            )
        port = settings.port or {"udp": 514, "tcp": 601, "tls": 6514}[settings.transport]
        self._address = (settings.host, port)
        self._where = f"{settings.transport}://{settings.host}:{port}"
        self._hostname = _plain(settings.hostname or socket.gethostname(), 255)
        self._peer: socket.socket | None = None

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Send them all and wait for what receipt there is. Raises SinkError (retry)."""
        messages = [self._message(delivery) for delivery in batch]
        try:
            if self._peer is not None and self._settings.transport != "udp" and _has_left(self._peer):
                self.close()
            if self._peer is None:
                self._peer = self._connected()
            if self._settings.transport == "udp":
                for message in messages:
                    self._peer.send(message)
                _await_refusal(self._peer)
            else:
                self._peer.sendall(b"".join(map(self._framed, messages)))
                _await_receipt(self._peer, self._settings.timeout)
        except OSError as error:
            self.close()
            raise SinkError(f"{self._where}: {_why(error)}", retry=True) from None

    def _framed(self, message: bytes) -> bytes:
        """A message as it stands in a stream. None holds a line end, by which `lines` could be broken."""
        return message + b"\n" if self._settings.framing == "lines" else b"%d %b" % (len(message), message)

    def close(self) -> None:
        """Close the connection."""
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._peer.close()
            self._peer = None

    def _connected(self) -> socket.socket:
        settings = self._settings
        if settings.transport == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
            peer = socket.socket(family, kind, protocol)
            try:
                peer.settimeout(settings.timeout)
                peer.connect(address)
            except OSError:
                peer.close()
                raise
            return peer
        peer = socket.create_connection(self._address, settings.timeout)
        if self._tls is None:
            return peer
        try:
            return self._tls.wrap_socket(peer, server_hostname=settings.host)
        except OSError:
            peer.close()
            raise

    def _message(self, delivery: Delivery) -> bytes:
        """Header, structured data and text, as bytes of ASCII or UTF-8, within the longest message."""
        transfer = delivery.transfer
        severity = transfer.severity if transfer else "informational"
        priority = FACILITIES[self._settings.facility] * 8 + LEVELS[severity]
        data = f'[transfer@32473 id="{_quoted(delivery.id)}" revision="{delivery.revision}" change="{delivery.change}"]'
        head = f"<{priority}>1 {render_time(delivery.at) or '-'} {self._hostname} tidewaiter {os.getpid()} transfer {data} "
        room = self._most - len(head)
        if self._settings.format == "cef":
            return head.encode() + _cut(cef(delivery), room)
        return head.encode() + _shortened(sink.record(delivery), room)


def _is_host(text: str) -> bool:
    try:
        return bool(text.encode("idna")) and text.isprintable()
    except UnicodeError:
        return False


def _plain(text: str, longest: int) -> str:
    """A name in the header: printable ASCII without spaces; a hyphen for none."""
    return "".join(letter if "!" <= letter <= "~" else "_" for letter in text)[:longest] or "-"


def _quoted(text: str) -> str:
    """A value of structured data."""
    return _plain(text, 128).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _shortened(record: dict[str, Any], room: int) -> bytes:
    """The record as JSON of at most `room` bytes; `shortened` names the fields that it lacks."""
    text = sink.encoded(record)
    gone: list[str] = []
    for name in SHED:
        if len(text) <= room:
            break
        if record.pop(name, None) is not None:
            gone.append(name)
        text = sink.encoded(record | {"shortened": gone})
    if len(text) > room:
        kept = {name: record.get(name) for name in ("change", "revision", "id", "time", "severity", "score")}
        text = sink.encoded(kept | {"shortened": ["all others"]})
    return text


def _cut(text: str, room: int) -> bytes:
    """At most `room` bytes of UTF-8, without half characters and without half of an escape at the end."""
    data = text.encode("utf-8", "replace")
    if len(data) <= room:
        return data
    whole = data[:room].decode("utf-8", "ignore")
    if (len(whole) - len(whole.rstrip("\\"))) % 2:
        whole = whole[:-1]
    return whole.encode()


def cef(delivery: Delivery) -> str:
    """The change as one CEF event, without line ends."""
    transfer = delivery.transfer
    level = CEF_LEVELS[transfer.severity] if transfer else 0
    what = {"new": "File brought in", "update": "File brought in, changed", "withdrawn": "Record withdrawn"}[delivery.change]
    named = ("CEF:0", "Tidewaiter", "tidewaiter", __version__, _signature(transfer), what, str(level))
    header = "|".join((named[0], *(_cef_header(part) for part in named[1:])))
    pairs: dict[str, Any] = {
        "externalId": delivery.id,
        "cn1Label": "revision",
        "cn1": delivery.revision,
        "cs1Label": "change",
        "cs1": delivery.change,
    }
    if delivery.superseded_by:
        pairs |= {"cs2Label": "supersededBy", "cs2": delivery.superseded_by}
    if transfer is not None:
        pairs |= _cef_fields(transfer)
    return f"{header}|" + " ".join(f"{key}={_cef_value(value)}" for key, value in pairs.items() if value not in (None, ""))


def _signature(transfer: Transfer | None) -> str:
    return transfer.techniques[0] if transfer and transfer.techniques else "transfer"


def _cef_fields(transfer: Transfer) -> dict[str, Any]:
    moment = parse_time(transfer.time) if transfer.time else None
    lateral = transfer.direction == "lateral"
    return {
        "rt": None if moment is None else moment // 1_000,
        "dhost": transfer.device.hostname,
        "dst": transfer.device.ip,
        "duser": transfer.user,
        "dproc": transfer.process.name or transfer.process.path,
        "dpid": transfer.process.pid,
        "shost": transfer.src.hostname,
        "src": transfer.src.ip,
        "spt": transfer.src.port,
        "request": transfer.src.url,
        "app": transfer.protocol,
        "fname": transfer.file.name,
        "filePath": transfer.dst.path,
        "fsize": transfer.file.size,
        "fileHash": transfer.file.sha256 or transfer.file.sha1 or transfer.file.md5,
        "fileType": transfer.file.type,
        "act": transfer.utility,
        "outcome": transfer.outcome,
        "deviceDirection": None if lateral else 0,
        "cn2Label": "score",
        "cn2": transfer.score,
        "cs3Label": "techniques",
        "cs3": ",".join(transfer.techniques),
        "cs4Label": "stagesSeen",
        "cs4": ",".join(name for name, record in transfer.stages.items() if record.state == "seen"),
        "cs5Label": "commandLine",
        "cs5": transfer.process.command_line,
        "msg": "; ".join(reason.text for reason in transfer.reasons),
    }


def _cef_header(text: str) -> str:
    """A part of the header: | and the escape itself are escaped, a line has no other line in it."""
    return _spelled(text.replace("\\", "\\\\").replace("|", "\\|"), {})


def _cef_value(value: Any) -> str:
    """A value: = and the escape itself are escaped, line ends are spelled as CEF spells them."""
    return _spelled(str(value).replace("\\", "\\\\").replace("=", "\\="), {"\n": "\\n", "\r": "\\r"})


def _spelled(text: str, known: dict[str, str]) -> str:
    """Controls and separators of lines become what `known` says, or a space: syslog relays break messages at them."""
    return "".join(
        known.get(letter, " ") if letter < " " or "\x7f" <= letter <= "\x9f" or letter in "\u2028\u2029" else letter
        for letter in text
    )


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or type(error).__name__


def _has_left(peer: socket.socket) -> bool:
    """Whether the peer has closed. Syslog servers send nothing, so whatever can be read is the end."""
    before = peer.gettimeout()
    peer.settimeout(0)
    try:
        return not peer.recv(4_096)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        with contextlib.suppress(OSError):
            peer.settimeout(before)


def _await_refusal(peer: socket.socket) -> None:
    """Raise the error that datagrams called forth, if one comes back at once: nobody listens there."""
    before = peer.gettimeout()
    peer.settimeout(UDP_ERROR_WAIT)
    try:
        peer.recv(1)
    except TimeoutError:
        return
    finally:
        peer.settimeout(before)


def _await_receipt(peer: socket.socket, timeout: float) -> None:
    """Wait until the peer's system has acknowledged every byte, where ours can say so. Raises OSError."""
    if sys.platform == "linux":
        import fcntl
        import termios

        end = time.monotonic() + timeout
        pause = 0.0005
        while int.from_bytes(fcntl.ioctl(peer, termios.TIOCOUTQ, b"\0\0\0\0"), sys.byteorder):
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(pause)
            pause = min(0.05, pause * 2)
    problem = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if problem:
        raise OSError(problem, os.strerror(problem))

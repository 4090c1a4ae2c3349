"""Syslog over real sockets, and what its messages look like."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sink_servers import delivery
from tidewaiter import sink
from tidewaiter.errors import SinkError
from tidewaiter.sink import Delivery
from tidewaiter.sinks.syslog import cef

HEADER = re.compile(rb"<(\d+)>1 (\S+) (\S+) tidewaiter (\d+) transfer \[transfer@32473 (.*?)\] ", re.DOTALL)


class Receiver:
    """A TCP server that keeps what it is sent, connection by connection."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._context = context
        self.streams: list[bytearray] = []
        self.open: list[socket.socket] = []
        self.paused = threading.Event()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
                if self._context is not None:
                    peer = self._context.wrap_socket(peer, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            stream = bytearray()
            self.streams.append(stream)
            self.open.append(peer)
            thread = threading.Thread(target=self._read, args=(peer, stream))
            self._threads.append(thread)
            thread.start()

    def _read(self, peer: socket.socket, stream: bytearray) -> None:
        try:
            while data := peer.recv(65_536):
                stream += data
        except OSError:
            return

    def drop(self, *, hard: bool = False) -> None:
        """Close all connections, in order or with a reset."""
        for peer in self.open:
            if hard:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RD if hard else socket.SHUT_RDWR)  # the reader must let go first
                time.sleep(0.02)
            peer.close()
        self.open.clear()
        time.sleep(0.05)

    def messages(self) -> list[bytes]:
        """All messages by their counts, once everything sent has arrived."""
        time.sleep(0.05)
        found = []
        for stream in self.streams:
            rest = bytes(stream)
            while rest:
                count, _, rest = rest.partition(b" ")
                found.append(rest[: int(count)])
                rest = rest[int(count) :]
        return found

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        self.drop()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def syslog(folder: Path, port: int, **more: Any) -> sink.Sink:
    table = {"type": "syslog", "host": "127.0.0.1", "port": port, "hostname": "sensor.example.com", "timeout": 1.0, **more}
    return sink.opened(table, "sink 1", base=folder, state=folder).sink


def told(message: bytes) -> dict[str, Any]:
    """The JSON of a message, whose header is checked."""
    match = HEADER.match(message)
    assert match is not None, message
    record: dict[str, Any] = json.loads(message[match.end() :])
    return record


def test_messages_over_tcp_are_counted_and_in_order(tmp_path: Path, receiver: Receiver) -> None:
    made = syslog(tmp_path, receiver.port)
    made.deliver([delivery(1, identity="aa", severity="high"), delivery(2, identity="aa", revision=2, change="update")])
    made.deliver([delivery(3, identity="aa", revision=3, change="withdrawn", superseded_by="bb")])
    made.close()
    messages = receiver.messages()
    header = HEADER.match(messages[0])

    assert header is not None
    assert header.groups()[:3] == (b"131", b"2026-01-02T10:00:00Z", b"sensor.example.com")  # local0 * 8 + error
    assert header[5] == b'id="aa" revision="1" change="new"'
    assert [(told(message)["sequence"], told(message)["change"]) for message in messages] == [
        (1, "new"),
        (2, "update"),
        (3, "withdrawn"),
    ]
    assert told(messages[0])["evidence"]
    assert len(receiver.streams) == 1


def test_messages_can_be_lines(tmp_path: Path, receiver: Receiver) -> None:
    made = syslog(tmp_path, receiver.port, framing="lines")
    made.deliver([delivery(1, summary="a\nb"), delivery(2)])
    made.close()
    time.sleep(0.05)

    assert [told(line)["sequence"] for line in bytes(receiver.streams[0]).splitlines()] == [1, 2]


@pytest.mark.parametrize("hard", [False, True])
def test_a_connection_that_the_receiver_closed_is_opened_again(tmp_path: Path, receiver: Receiver, hard: bool) -> None:
    made = syslog(tmp_path, receiver.port)
    made.deliver([delivery(1)])
    receiver.messages()
    receiver.drop(hard=hard)
    made.deliver([delivery(2)])
    made.close()

    assert [told(message)["sequence"] for message in receiver.messages()] == [1, 2]
    assert len(receiver.streams) == 2


def test_a_receiver_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for transport in ("tcp", "udp"):
        made = syslog(tmp_path, port, transport=transport)
        with pytest.raises(SinkError, match=f"{transport}://127.0.0.1:{port}: Connection refused") as caught:
            made.deliver([delivery()])
        assert caught.value.retry


def test_a_receiver_that_takes_nothing_more_is_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as stuck:
        made = syslog(tmp_path, stuck.getsockname()[1], timeout=0.2, max_bytes=1_000_000)
        with pytest.raises(SinkError, match="no answer in time") as caught:
            for number in range(100):
                made.deliver([delivery(number, summary="x" * 900_000)])

    assert caught.value.retry


def test_messages_over_tls(tmp_path: Path, certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    receiver = Receiver(context)
    try:
        good = syslog(tmp_path, receiver.port, transport="tls", ca_file=str(certificates / "ca.pem"))
        good.deliver([delivery(1)])
        good.deliver([delivery(2)])
        receiver.messages()
        receiver.drop()
        good.deliver([delivery(3)])
        good.close()
        bad = syslog(tmp_path, receiver.port, transport="tls", ca_file=str(certificates / "other.pem"))
        with pytest.raises(SinkError, match="its certificate is not trusted") as caught:
            bad.deliver([delivery(4)])

        assert caught.value.retry
        assert [told(message)["sequence"] for message in receiver.messages()] == [1, 2, 3]
    finally:
        receiver.close()


def test_a_datagram_per_change_within_its_bound(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(2)
        made = syslog(tmp_path, receiver.getsockname()[1], transport="udp")
        made.deliver([delivery(1), delivery(2, summary="\u00fc" * 5_000), delivery(3, identity="x" * 300)])
        made.close()
        messages = [receiver.recv(65_536) for _ in range(3)]
    records = [told(message) for message in messages]

    assert max(map(len, messages)) <= 2_048
    assert [record["id"] for record in records] == [f"{1:016x}", f"{2:016x}", "x" * 300]
    assert "process" in records[0]
    assert records[1]["shortened"] == ["evidence", "reasons", "stages", "process"]
    assert records[1]["src"]["url"] == "http://files.example.com/a.exe"


def test_hostile_ids_and_texts_do_not_leave_their_place(tmp_path: Path, receiver: Receiver) -> None:
    made = syslog(tmp_path, receiver.port, hostname="a b\n<1>")
    made.deliver([delivery(1, identity='x"] <0>1 \n\\', summary="\n<131>1 forged\x00\ud800")])
    made.close()
    message = receiver.messages()[0]

    assert b"\n" not in message
    assert b" a_b__1_ " not in message or b" a_b_<1> " in message
    assert b'id="x\\"\\]_<0>1__\\\\"' in message


def cef_parts(text: str) -> tuple[list[str], dict[str, str]]:
    """A CEF event as a receiver takes it apart: the header at bars that are not escaped, the values at the next key."""
    fields = [match[0] for match in re.finditer(r"(?:[^|\\]|\\.)*", text) if match[0]][:7]
    fields.append(text[len("|".join(fields)) + 1 :])
    starts = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", fields[7]))
    ends = [start.start() for start in starts[1:]] + [len(fields[7])]
    pairs = {start[1]: fields[7][start.end() : end] for start, end in zip(starts, ends, strict=True)}
    return fields[:7], pairs


def test_a_cef_event_says_who_what_and_where() -> None:
    row = delivery(1, identity="aa", severity="high")
    assert row.transfer is not None
    row.transfer.techniques = ["T1105"]
    header, pairs = cef_parts(cef(row))

    assert header[:3] == ["CEF:0", "Tidewaiter", "tidewaiter"]
    assert header[4:] == ["T1105", "File brought in", "8"]
    assert pairs["externalId"] == "aa"
    assert pairs["rt"] == "1767348000000"
    assert pairs["dhost"] == "WS01.example.com"
    assert pairs["filePath"] == "C:\\\\Temp\\\\a.exe"
    assert pairs["request"] == "http://files.example.com/a.exe"
    assert (pairs["cn1Label"], pairs["cn1"], pairs["cs1"]) == ("revision", "1", "new")


def hostile_row(text: str) -> Delivery:
    row = delivery(1, summary=text)
    assert row.transfer is not None
    row.transfer.user = row.transfer.utility = row.transfer.src.url = text
    row.transfer.techniques = [text]
    return row


def test_nothing_in_a_cef_event_can_be_taken_for_a_field_or_a_line() -> None:
    text = "a|b\\|c\\ act=forged dst=198.51.100.9\nCEF:0|x\r\n\x00\x1b\u2028 end\\"
    event = cef(hostile_row(text))
    header, pairs = cef_parts(event)
    value = "a|b\\\\|c\\\\ act\\=forged dst\\=198.51.100.9\\nCEF:0|x\\r\\n     end\\\\"

    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", event)
    assert header[4] == "a\\|b\\\\\\|c\\\\ act=forged dst=198.51.100.9 CEF:0\\|x      end\\\\"
    assert pairs["duser"].split() == value.split()
    assert pairs["dst"] == "192.0.2.10"
    assert event.split("|File brought in|")[1].count(" act=") == 1


def test_a_cef_event_is_cut_at_a_whole_character(tmp_path: Path, receiver: Receiver) -> None:
    for width in range(4):
        made = syslog(tmp_path, receiver.port, format="cef", max_bytes=1_024)
        made.deliver([hostile_row("x" * width + "\u00fc\\" * 3_000)])
        made.close()
    for message in receiver.messages():
        text = message.decode()
        assert len(message) <= 1_024
        assert "CEF:0|Tidewaiter|" in text
        assert (len(text) - len(text.rstrip("\\"))) % 2 == 0

"""The syslog listener: framings, bounds, and what is kept when the process is killed."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed_reader import FeedReader
from tidewaiter.errors import UsageError
from tidewaiter.feed import Surroundings, open_feed
from tidewaiter.feeds.syslog import Feed, Settings
from tidewaiter.feeds.syslog.framing import Frames, line_of
from tidewaiter.feeds.syslog.spool import SEGMENT, Place, Spool
from tidewaiter.formats.syslog_lines import Prefixes

NOON = 1_795_521_600_000_000  # 2026-11-24T12:00:00Z


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Callable[..., FeedReader]]:
    started: list[FeedReader] = []

    def start(scheme: str, **settings: Any) -> FeedReader:
        wanted = Settings(listen=f"{scheme}://127.0.0.1:0", **settings)
        started.append(FeedReader(lambda: Feed(wanted, Surroundings(tmp_path / "state", tmp_path))))
        return started[-1]

    yield start
    for one in started:
        one.close()


def port_of(reader: FeedReader) -> int:
    assert isinstance(reader.feed, Feed)
    return reader.feed.port


def send_datagrams(port: int, *messages: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for message in messages:
            sender.sendto(message, ("127.0.0.1", port))


def test_datagrams_become_lines_that_the_readers_know(listener: Callable[..., FeedReader]) -> None:
    reader = listener("udp")
    send_datagrams(
        port_of(reader),
        b"<38>Nov 24 12:00:00 host1 sshd[7]: Accepted password for u from 192.0.2.7 port 22 ssh2",
        b"<38>1 2026-11-24T12:00:00Z host2 sshd 7 - - Accepted password\n",
        b"<13>no time and no host",
        b'<13>{"event_type": "flow"}\0',
        b"<13>Nov 24 12:00:00 host1 x: one\nNov 24 12:00:00 host9 sshd[1]: forged\r\n",
        b"\n",
    )
    reader.wait_for(5)

    texts = reader.texts
    assert texts[0] == b"Nov 24 12:00:00 host1 sshd[7]: Accepted password for u from 192.0.2.7 port 22 ssh2"
    assert texts[3] == b'{"event_type": "flow"}'
    assert texts[4] == b"Nov 24 12:00:00 host1 x: one#012Nov 24 12:00:00 host9 sshd[1]: forged"
    prefixes = [Prefixes().split(text.decode()) for text in texts[:3]]
    assert [prefix and prefix.host for prefix in prefixes] == ["host1", "host2", "127.0.0.1"]
    assert [prefix and prefix.rest[:8] for prefix in prefixes] == ["sshd[7]:", "sshd[7]:", "no time "]
    assert [line.number for line in reader.kept] == [1, 2, 3, 4, 5]
    assert reader.kept[0].log_file == f"syslog:udp:{port_of(reader)}"


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_both_framings_of_tcp_also_mixed(listener: Callable[..., FeedReader], block: int) -> None:
    reader = listener("tcp")
    first, second = b"<13>Nov 24 12:00:00 h a: with\nLF", b"<13>Nov 24 12:00:00 h a: plain"
    stream = (
        b"%d %s" % (len(first), first) + second + b"\n" + b"%d %s" % (len(second), second) + b"<13>Nov 24 12:00:00 h a: end"
    )
    with socket.create_connection(("127.0.0.1", port_of(reader))) as sender:
        for place in range(0, len(stream), block):
            sender.sendall(stream[place : place + block])
    reader.wait_for(4)

    assert [text.partition(b"a: ")[2] for text in reader.texts] == [b"with#012LF", b"plain", b"plain", b"end"]


@given(
    st.lists(st.tuples(st.booleans(), st.text("ab <1\n", max_size=30)), max_size=8), st.lists(st.integers(1, 20), min_size=1)
)
def test_frames_do_not_depend_on_how_the_stream_is_cut(messages: list[tuple[bool, str]], pieces: list[int]) -> None:
    stream, expected, left_out = b"", [], 0
    for counted, text in messages:
        body = b"<" + text.encode() if counted else b"<" + text.replace("\n", " ").encode()
        stream += b"%d %s" % (len(body), body) if counted else body + b"\n"
        expected.append(body[:12])
        left_out += max(len(body) - 12, 0)
    frames, found, place, turn = Frames(12), [], 0, 0
    while place < len(stream):
        size = pieces[turn % len(pieces)]
        found += frames.feed(stream[place : place + size])
        place, turn = place + size, turn + 1
    found += frames.finish()

    assert found == expected
    assert frames.left_out == left_out


def test_a_message_without_end_is_cut_and_the_connection_goes_on(listener: Callable[..., FeedReader]) -> None:
    reader = listener("tcp", longest_message=1_000)
    with socket.create_connection(("127.0.0.1", port_of(reader))) as sender:
        sender.sendall(b"<13>Nov 24 12:00:00 h a: " + b"x" * 3_000_000 + b"\n<13>Nov 24 12:00:00 h a: next\n")
        sender.sendall(b"99999999 <13>" + b"y" * 5_000)  # says more than it sends
    reader.wait_for(3)

    assert [len(text) for text in reader.texts[:2]] == [996, 25]
    assert reader.texts[2].endswith(b"y" * 900)
    reader.poll()
    assert sum(problem.count for problem in reader.problems if problem.kind == "cut") > 2_900_000


def test_what_was_received_survives_the_death_of_the_process(listener: Callable[..., FeedReader]) -> None:
    reader = listener("tcp")
    lines = [b"Nov 24 12:00:00 h a: %d" % number for number in range(1_000)]
    with socket.create_connection(("127.0.0.1", port_of(reader))) as sender:
        sender.sendall(b"".join(line + b"\n" for line in lines[:500]))
    reader.wait_for(500)
    with socket.create_connection(("127.0.0.1", port_of(reader))) as sender:
        sender.sendall(b"".join(line + b"\n" for line in lines[500:]))
    ends = time.monotonic() + 20
    while reader.feed.lag() < 5_000 and time.monotonic() < ends:
        time.sleep(0.01)
    reader.poll(2_000)  # read, and not committed
    committed = {f"syslog:tcp:{port_of(reader)}": next(iter(reader.committed.values()))}
    reader.feed.close()
    state = reader.feed._spool._folder  # type: ignore[attr-defined] # the spool is what survives
    again = Feed(Settings(listen=f"tcp://127.0.0.1:{port_of(reader)}"), Surroundings(state))
    again.resume(committed)
    chunks = again.poll(1 << 20)
    again.committed({chunks[-1].log_file: chunks[-1].position})
    again.close()

    assert b"".join(chunk.data for chunk in chunks).splitlines() == lines[500:]
    assert chunks[0].first_line == 501
    assert chunks[0].generation == reader.kept[0].generation


def test_a_full_spool_drops_datagrams_and_says_how_many(tmp_path: Path) -> None:
    feed = Feed(Settings(listen="udp://127.0.0.1:0", spool_bytes=2 * SEGMENT), Surroundings(tmp_path))
    feed.resume({})
    sent = 0
    message = b"<13>Nov 24 12:00:00 h a: " + b"x" * 50_000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(250):
            sender.sendto(message, ("127.0.0.1", feed.port))
            sent += 1
            time.sleep(0.001)
    time.sleep(0.3)
    lost = sum(problem.count for problem in feed.problems() if problem.kind == "lost")
    kept = 0
    while chunks := feed.poll(1 << 20):
        kept += sum(chunk.data.count(b"\n") for chunk in chunks)
        feed.committed({chunk.log_file: chunk.position for chunk in chunks})
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    feed.close()

    assert kept + lost == sent
    assert lost > 0
    assert size <= SEGMENT + 200_000  # what is committed is gone


def test_a_full_spool_makes_tcp_senders_wait(tmp_path: Path) -> None:
    feed = Feed(Settings(listen="tcp://127.0.0.1:0", spool_bytes=2 * SEGMENT), Surroundings(tmp_path))
    feed.resume({})
    line = b"Nov 24 12:00:00 h a: " + b"x" * 1_000 + b"\n"
    sender = socket.create_connection(("127.0.0.1", feed.port))
    sender.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 50_000_000:
            sent += sender.send(line[sent % len(line) :])
    assert sent < 50_000_000
    found = b""
    ends = time.monotonic() + 20
    sender.shutdown(socket.SHUT_WR)
    while len(found) < sent // len(line) * len(line) and time.monotonic() < ends:
        chunks = feed.poll(1 << 20)
        found += b"".join(chunk.data for chunk in chunks)
        feed.committed({chunk.log_file: chunk.position for chunk in chunks})
        time.sleep(0 if chunks else 0.01)
    sender.close()
    feed.close()

    assert found[: sent // len(line) * len(line)] == line * (sent // len(line))
    assert feed.problems() == []


def test_too_many_and_silent_senders_are_sent_away(listener: Callable[..., FeedReader]) -> None:
    reader = listener("tcp", connections=2, idle_seconds=1)
    senders = [socket.create_connection(("127.0.0.1", port_of(reader))) for _ in range(3)]
    for sender in senders:
        sender.settimeout(10)
    assert senders[2].recv(1) == b""
    assert senders[0].recv(1) == b""  # after a second of silence
    reader.poll()
    for sender in senders:
        sender.close()

    assert [(problem.kind, problem.count) for problem in reader.problems] == [("refused", 1)]


def certificates(folder: Path) -> None:
    """An authority, a server and a client, each as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    authority_key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    for who in ("authority", "server", "client"):
        key = authority_key if who == "authority" else ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder().subject_name(name(who)).issuer_name(name("authority")).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=who == "authority", path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        certificate = builder.sign(authority_key, hashes.SHA256())
        (folder / f"{who}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{who}.key").write_bytes(private)


def test_tls_hears_only_senders_that_show_who_they_are(listener: Callable[..., FeedReader], tmp_path: Path) -> None:
    certificates(tmp_path)
    reader = listener("tls", certificate_file="server.pem", key_file="server.key", client_ca_file="authority.pem")
    context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),  # which of the two ends notices first is open
        socket.create_connection(("127.0.0.1", port_of(reader))) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as stranger,
    ):
        stranger.sendall(b"Nov 24 12:00:00 h a: unknown\n")
        stranger.recv(1)
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    with (
        socket.create_connection(("127.0.0.1", port_of(reader))) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sender,
    ):
        sender.sendall(b"Nov 24 12:00:00 h a: " + b"x" * 60_000 + b"\n")
        reader.wait_for(1)

    assert [len(text) for text in reader.texts] == [60_021]
    reader.poll()
    assert {problem.kind for problem in reader.problems} == {"refused"}


def test_a_spool_with_half_a_line_at_its_end_goes_on_after_the_last_whole_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 30)
    spool.append(b"1\n2\n")
    spool.close()
    (segment,) = tmp_path.glob("*.lines")
    segment.write_bytes(b"1\n2\nhal")
    again = Spool(tmp_path, 1 << 30)
    again.resume(again.generation, Place(int(segment.stem.partition("-")[2]), 2, 1))
    again.append(b"3\n")

    assert again.read(100) == (b"2\n", Place(int(segment.stem.partition("-")[2]), 4, 2))
    found = again.read(100)
    assert found is not None
    assert (found[0], found[1].line) == (b"3\n", 3)
    again.prune(found[1])
    assert len(list(tmp_path.glob("*.lines"))) == 1
    again.close()


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (b"<13>1 - host app - - - text", b"2026-11-24T12:00:00.000000Z host app: text"),
        (b"<38>1 2026-11-24T10:00:00+01:00 h sshd 7 ID - \xef\xbb\xbfhi", b"2026-11-24T10:00:00+01:00 h sshd[7]: hi"),
        (
            b'<38>1 2026-11-24T10:00:00Z - app - - [a b="]"c="\\]"][d] text',
            b'2026-11-24T10:00:00Z 192.0.2.1 app: [a b="]"c="\\]"][d] text',
        ),
        (b'<38>1 2026-11-24T10:00:00Z h app - - [a b="\\]"][d e="f"] text', b"2026-11-24T10:00:00Z h app: text"),
        (b'<38>1 2026-11-24T10:00:00Z h - - - [a b="c"]', b'2026-11-24T10:00:00Z h [a b="c"]'),
        (b"<13> text", b"2026-11-24T12:00:00.000000Z 192.0.2.1 text"),
        (b"type=SYSCALL msg=audit(1.1:1): x", b"type=SYSCALL msg=audit(1.1:1): x"),
        (b"<134>2026-11-24 12:00:00 fw x", b"2026-11-24 12:00:00 fw x"),
    ],
)
def test_lines_of_messages(message: bytes, line: bytes) -> None:
    assert line_of(message, "192.0.2.1", NOON) == line


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"listen": "udp:5514"}, "is not like"),
        ({"listen": "tls://127.0.0.1:6514"}, "certificate_file"),
        ({"listen": "tls://127.0.0.1:6514", "certificate_file": "none.pem"}, "none.pem"),
        ({"longest_message": 10}, "longest_message"),
        ({"listen": "udp://192.0.2.1:5514"}, "cannot listen"),
        ({"spool_bytes": 1}, "spool_bytes"),
    ],
)
def test_settings_that_cannot_be_are_usage_errors(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_feed({"type": "syslog", **table}, Surroundings(tmp_path, tmp_path))

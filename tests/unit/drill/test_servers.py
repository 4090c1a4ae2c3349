"""Our own servers, asked by clients of the standard library: they serve the marker and nothing else."""

from __future__ import annotations

import ftplib
import io
import shutil
import socket
import ssl
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidewaiter.drill.server import Order, Running, start
from tidewaiter.errors import DrillError

ADDRESS = "127.0.0.1"
TEXT = b"#!/bin/sh\necho heave round\n"
LONG = TEXT + b"# ballast\n" * 400


def order(kind: str, folder: Path, files: dict[str, bytes], port: int = 0, *, must_have: bool = False) -> Order:
    served, state = folder / "served", folder / "state"
    served.mkdir()
    state.mkdir()
    for name, content in files.items():
        (served / name).write_bytes(content)
    names = {f"method-{name}": name for name in files}
    return Order(
        kind=kind,
        address=ADDRESS,
        port=port,
        must_have=must_have,
        served=str(served),
        state=str(state),
        files=names,
        user="keeper",
    )


@contextmanager
def running(order: Order) -> Iterator[Running]:
    server = start(order)
    try:
        yield server
    finally:
        server.stop()


def received(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.read()


def test_the_web_server_knows_the_marker_only(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not this")
    with running(order("http", tmp_path, {"a.sh": TEXT, "b.sh": LONG})) as server:
        first, second = server.ports["method-a.sh"], server.ports["method-b.sh"]
        with urllib.request.urlopen(f"http://{ADDRESS}:{second}/b.sh", timeout=10) as answer:
            content = answer.read()
        refused = []
        for path in ("/b.sh", "/", "/../secret", "/%2e%2e/secret"):
            with pytest.raises(urllib.error.HTTPError) as problem:
                urllib.request.urlopen(f"http://{ADDRESS}:{first}{path}", timeout=10)
            refused.append(problem.value.code)
            problem.value.close()

    assert first != second
    assert content == LONG
    assert refused == [404] * 4
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((ADDRESS, first), timeout=5)


def test_the_web_server_behind_tls_has_a_certificate_of_its_own(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with running(order("https", tmp_path, {"a.sh": TEXT})) as server:
        url = f"https://{ADDRESS}:{server.ports['method-a.sh']}/a.sh"
        silent = socket.create_connection((ADDRESS, server.ports["method-a.sh"]), timeout=5)
        with silent, urllib.request.urlopen(url, timeout=10, context=trusting) as answer:  # who says nothing blocks nobody
            content = answer.read()
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(url, timeout=10)

    assert content == TEXT


def test_the_ftp_server_lets_the_marker_be_read(tmp_path: Path) -> None:
    with running(order("ftp", tmp_path, {"a.sh": LONG})) as server, ftplib.FTP() as client:
        client.connect(ADDRESS, server.ports["method-a.sh"], timeout=10)
        client.login()
        content = io.BytesIO()
        client.retrbinary("RETR a.sh", content.write)
        size, names = client.size("a.sh"), client.nlst()
        with pytest.raises(ftplib.error_perm, match="550"):
            client.retrbinary("RETR ../state", content.write)
        with pytest.raises(ftplib.error_perm, match="502"):
            client.storbinary("STOR b.sh", io.BytesIO(b"x"))
        with pytest.raises(ftplib.error_perm, match="502"):
            client.sendcmd("PORT 127,0,0,1,4,4")

    assert content.getvalue() == LONG
    assert (size, names) == (len(LONG), ["a.sh"])


def ask_tftp(port: int, packet: bytes) -> bytes:
    """What a TFTP server sends, its blocks put together; a refusal as its code."""
    content = b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(packet, (ADDRESS, port))
        while True:
            block, peer = client.recvfrom(2048)
            kind, number = struct.unpack("!HH", block[:4])
            if kind == 5:
                return f"refused {number}".encode()
            client.sendto(struct.pack("!HH", 4, number), peer)
            content += block[4:]
            if len(block) < 516:
                return content


@pytest.mark.parametrize("length", [0, 511, 512, 513, 5_120], ids=str)
def test_the_tftp_server_sends_blocks_to_the_end(length: int, tmp_path: Path) -> None:
    with running(order("tftp", tmp_path, {"a.sh": b"x" * length})) as server:
        assert ask_tftp(server.ports["method-a.sh"], b"\0\1a.sh\0octet\0") == b"x" * length


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"\0\1b.sh\0octet\0", 1),
        (b"\0\1../state\0octet\0", 1),
        (b"\0\1a.sh\0netascii\0", 4),
        (b"\0\2a.sh\0octet\0", 4),
        (b"\0", 4),
        (b"", 4),
    ],
    ids=repr,
)
def test_the_tftp_server_refuses_everything_else(packet: bytes, code: int, tmp_path: Path) -> None:
    with running(order("tftp", tmp_path, {"a.sh": TEXT})) as server:
        assert ask_tftp(server.ports["method-a.sh"], packet) == f"refused {code}".encode()


def test_the_finger_server_answers_with_the_marker(tmp_path: Path) -> None:
    answers = []
    with running(order("finger", tmp_path, {"a.sh": TEXT})) as server:
        for asked in (b"a.sh\r\n", b"/W a.sh\r\n", b"root\r\n"):
            with socket.create_connection((ADDRESS, server.ports["method-a.sh"]), timeout=10) as client:
                client.sendall(asked)
                answers.append(received(client))

    assert answers == [TEXT.replace(b"\n", b"\r\n")] * 2 + [b"no such user\r\n"]


def test_the_raw_server_sends_each_method_its_own(tmp_path: Path) -> None:
    found = {}
    with running(order("raw", tmp_path, {"a.sh": TEXT, "b.sh": LONG})) as server:
        for method, port in server.ports.items():
            with socket.create_connection((ADDRESS, port), timeout=10) as client:
                found[method] = received(client)

    assert found == {"method-a.sh": TEXT, "method-b.sh": LONG}


def test_a_well_known_port_is_taken_where_it_is_free(tmp_path: Path) -> None:
    with socket.create_server((ADDRESS, 0)) as other:
        taken = other.getsockname()[1]
        (tmp_path / "second").mkdir()
        with pytest.raises(DrillError, match=f"port {taken} of 127.0.0.1 cannot be had"):
            start(order("finger", tmp_path, {"a.sh": TEXT}, taken, must_have=True))
        with running(order("finger", tmp_path / "second", {"a.sh": TEXT}, taken)) as server:
            instead = server.ports["method-a.sh"]
    (tmp_path / "third").mkdir()
    with running(order("finger", tmp_path / "third", {"a.sh": TEXT, "b.sh": TEXT}, taken)) as server:
        ports = set(server.ports.values())

    assert instead != taken
    assert ports == {taken}


@pytest.mark.parametrize(("kind", "program"), [("rsync", "rsync"), ("smb", "smbd")])
def test_a_server_program_that_cannot_start_says_why(
    kind: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / program).write_text("#!/bin/sh\necho the tide is out >&2\nexit 3\n")
    (broken / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}:/usr/bin:/bin")

    with pytest.raises(DrillError, match="ended at once: the tide is out"):
        start(order(kind, tmp_path, {"a.sh": TEXT}))

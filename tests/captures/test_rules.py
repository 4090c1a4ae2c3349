"""Every rule of the pack: a capture that it must tell of, and one like it that it must not."""

from __future__ import annotations

import base64
import json
import re
import struct
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from captures import writer
from captures.writer import Packet, elf, http, pe, tcp, tftp
from tidewaiter.formats import capture_suricata

RULES = Path(capture_suricata.__file__).parent.parent / "knowledge" / "suricata" / "tidewaiter.rules"
SCRIPT = b"#!/bin/sh\necho nothing\n"
LINES = base64.encodebytes(bytes(range(256)) * 4).replace(b"\n", b"\r\n")
MACHO = b"\xcf\xfa\xed\xfe\x07\0\0\x01" + bytes(600)
FAT = b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(600)
JAVA = b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(600)
CODED = base64.b64encode(b"MZ\x90\0\3\0\0\0\4\0\0\0" + bytes(300))
NO_PE = b"MZ" + b"notes of a meeting " * 60


def long_before(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


def finger(answer: bytes) -> list[Packet]:
    return tcp(b"someone\r\n", answer, 79)


def ftp_data(content: bytes) -> list[Packet]:
    """A passive transfer: the control connection announces the data connection, so that its protocol is known."""
    control = writer.Conversation(21)
    control.server(b"220 ready\r\n").client(b"USER someone\r\n").server(b"331 go on\r\n").client(b"PASS x\r\n").server(
        b"230 in\r\n"
    )
    control.client(b"PASV\r\n").server(b"227 Entering Passive Mode (198,51,100,20,117,48)\r\n").client(b"RETR file.bin\r\n")
    control.server(b"150 coming\r\n")
    data = writer.Conversation(30_000, source_port=40_100, time=control.time)
    packets = control.packets + data.server(content).close()
    before = len(control.packets)
    control.time = data.time
    control.server(b"226 done\r\n").close()
    return packets + control.packets[before:]


CASES: dict[int, tuple[list[Packet], list[Packet]]] = {
    9105000: (tcp(b"", elf()), ftp_data(elf())),
    9105001: (tcp(b"", pe()), tcp(b"", NO_PE)),
    9105002: (tcp(b"", long_before(pe())), tcp(b"", long_before(NO_PE))),
    9105003: (tcp(b"", long_before(elf())), tcp(b"", b"12345" + elf())),
    9105004: (tcp(MACHO, b""), tcp(b"\xa0" + MACHO[1:], b"")),
    9105005: (tcp(FAT, b""), tcp(JAVA, b"")),
    9105006: (tcp(b"", SCRIPT), tcp(b"", b"#! what a day\n")),
    9105007: (tcp(b"", CODED), tcp(b"", base64.b64encode(b"MZ, the initials" * 20))),
    9105008: (tcp(b"", base64.b64encode(elf())), tcp(b"", b"f0VMRa, said the cat" * 20)),
    9105020: (finger(b"Login: someone\r\n#!/bin/sh\r\n"), tcp(b"someone\r\n", b"Login: someone\r\n#!/bin/sh\r\n", 7979)),
    9105021: (finger(LINES), finger(b"Login: someone\r\nPlan:\r\nto write " + b"a letter, " * 40 + b"\r\n")),
    9105022: (finger(b"powershell -nop -c x\r\n"), finger(b"Plan: to learn powershell\r\n")),
    9105030: (http(pe(), mime="image/png"), http(pe())),
    9105031: (http(elf(), mime="text/plain"), http(elf())),
    9105032: (http(SCRIPT, mime="image/png"), http(SCRIPT, mime="text/x-shellscript")),
    9105033: (http(SCRIPT), http(b"#!/not quite a script\n")),
    9105034: (http(CODED), http(base64.b64encode(NO_PE))),
    9105035: (http(base64.b64encode(elf())), http(b"f0VMRa, said the cat" * 20)),
    9105036: (http(b"4D5A90000300000004000000" + b"00" * 300), http(b"4D5A is how it begins" * 20)),
    9105037: (
        http(b"-----BEGIN CERTIFICATE-----\r\nTVqQAAMAAAAEAAAA" + LINES),
        http(b"-----BEGIN CERTIFICATE-----\r\nMIIB" + LINES),
    ),
    9105040: (tftp(elf()), tftp(b"nothing" + elf())),
    9105041: (tftp(pe()), tftp(NO_PE)),
    9105042: (tftp(SCRIPT), tftp(b"# a comment\n")),
    9105050: (tcp(b"@RSYNCD: 31.0\n", b"@RSYNCD: 31.0\n", 8730), tcp(b"hello @RSYNCD: 31.0\n", b"hello\n", 8730)),
    9105051: (
        tcp(b"PRIVMSG someone :\x01DCC SEND notes.txt 3325256714 5000 100\x01\r\n", b"", 6667),
        tcp(b"PRIVMSG someone :DCC SEND is old\r\n", b"", 6667),
    ),
    9105052: (
        tcp(b"0033git-upload-pack /project.git\0host=git.example.org\0", b"", 9418),
        tcp(b"0033git-receive-pack /project.git\0host=git.example.org\0", b"", 9418),
    ),
}  # fmt: skip
QUIET = {9105009}
"""Rules that only keep others from telling: their test is the negative one of those."""


def rules() -> dict[int, str]:
    found = (
        re.search(r"sid:(\d+);", line) for line in RULES.read_text(encoding="utf-8").splitlines() if line.startswith("alert ")
    )
    return {int(match[1]): match.string for match in found if match}


def finish(running: Generator[None, None, capture_suricata.Engine]) -> capture_suricata.Engine:
    while True:
        try:
            next(running)
        except StopIteration as done:
            engine: capture_suricata.Engine = done.value
            return engine


def told(program: capture_suricata.Program, folder: Path, packets: list[Packet]) -> set[int]:
    """The rules that tell of a capture."""
    capture = writer.save(folder, writer.pcap(packets))
    work = folder / "work"
    work.mkdir()
    engine = finish(capture_suricata.read(program, capture, work, 30))
    assert engine.ended.code == 0
    assert engine.packets == len(packets)
    records: list[dict[str, Any]] = [json.loads(line) for line in engine.log.read_text(encoding="utf-8").splitlines()]
    return {record["alert"]["signature_id"] for record in records if record["event_type"] == "alert"}


def test_suricata_takes_every_rule(suricata: capture_suricata.Program, tmp_path: Path) -> None:
    configuration = tmp_path / "capture.yaml"
    configuration.write_bytes((RULES.parent / "capture.yaml").read_bytes())
    command = [
        suricata.path,
        "-T",
        "-c",
        str(configuration),
        "-S",
        str(RULES),
        "-l",
        str(tmp_path),
        "--strict-rule-keywords=all",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    said = (tmp_path / "suricata.log").read_text(encoding="utf-8")

    assert done.returncode == 0, said
    assert f"{len(rules())} rules successfully loaded, 0 rules failed" in said
    assert [line for line in said.splitlines() if "Warning" in line or "Error" in line] == []


def test_every_rule_has_its_captures_its_range_and_its_reason() -> None:
    assert set(rules()) == set(CASES) | QUIET
    for sid, text in rules().items():
        assert 9_105_000 <= sid < 9_106_000
        assert re.search(r"metadata:attack T\d{4}(?:\.\d{3})?, adds [^,;]+(?:, follow \w+)?; sid:", text), text


@pytest.mark.parametrize("sid", sorted(CASES))
def test_a_rule_tells_of_its_capture(suricata: capture_suricata.Program, tmp_path: Path, sid: int) -> None:
    assert sid in told(suricata, tmp_path, CASES[sid][0])


@pytest.mark.parametrize("sid", sorted(CASES))
def test_a_rule_does_not_tell_of_what_is_like_it(suricata: capture_suricata.Program, tmp_path: Path, sid: int) -> None:
    assert sid not in told(suricata, tmp_path, CASES[sid][1])

"""Pieces of growing logs: line numbers go on, headers come along, what is half is held, what is unknown is said."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from live_feed import AUDIT, EVE, WINDOWS, mixed
from log_writer import Audit
from tidewaiter.pipeline.live_reading import GENERATIONS_KEPT, LiveReader, LiveRow, Piece, header_of

HEAD = 65_536


@pytest.fixture
def reader(tmp_path: Path) -> LiveReader:
    return LiveReader(tmp_path, "one")


def _text(log: str) -> bytes:
    return "".join(line.text for line in mixed(4, rate=50) if line.log == log).encode()


def _rows(reader: LiveReader, data: bytes, size: int, *, name: str) -> list[LiveRow]:
    """The rows of a log that comes in pieces of about so many bytes."""
    rows, line, held = [], 1, b""
    while data or held:
        end = data.find(b"\n", size) + 1 or len(data)
        piece = held + data[:end]
        data = data[end:]
        read = reader.read(
            Piece(log_file=name, first_line=line, data=piece, head=piece[:HEAD], generation=name, final=not data)
        )
        assert read.problem is None
        assert read.account is None or read.account.balanced
        rows += read.rows
        held = read.held
        line += (piece[: len(piece) - len(held)]).count(b"\n")
        assert not held or read.held_line == line
    return rows


@pytest.mark.parametrize("log", [AUDIT, EVE, WINDOWS])
def test_a_log_in_pieces_gives_the_rows_of_the_whole(reader: LiveReader, log: str) -> None:
    data = _text(log)
    whole = _rows(reader, data, len(data), name=log)
    for size in (1, 700, 5_000):
        pieces = _rows(reader, data, size, name=log)
        assert sorted(pieces, key=lambda row: row.order) == sorted(whole, key=lambda row: row.order)


def test_columns_of_zeek_are_known_in_every_piece(reader: LiveReader) -> None:
    head = (
        b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\thttp\n"
        b"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tmethod\thost\turi\tuser_agent\tresponse_body_len\tstatus_code\n"
        b"#types\ttime\tstring\taddr\tport\taddr\tport\tstring\tstring\tstring\tstring\tcount\tcount\n"
    )
    line = b"1767348000.5\tC1\t192.0.2.9\t5000\t198.51.100.7\t80\tGET\tfiles.example.org\t/a.exe\tcurl/8\t48128\t200\n"
    assert header_of(head + line) == head
    first = reader.read(Piece(log_file="http.log", data=head + line, head=head + line))
    later = reader.read(Piece(log_file="http.log", first_line=20, data=line, head=head + line))
    assert len(first.rows) == len(later.rows) == 1
    assert first.rows[0].event is not None
    assert later.rows[0].event is not None
    assert (first.rows[0].event.record, later.rows[0].event.record) == ("8", "20")


def test_half_an_event_is_held_and_nothing_of_it_is_read(reader: LiveReader) -> None:
    log = Audit("web1")
    log.run(1, 7, "curl", "-o", "/tmp/a", "http://files.example.org/a")
    text = log.text().encode()
    first, rest = text[: text.find(b"\n") + 1], text[text.find(b"\n") + 1 :]
    read = reader.read(Piece(log_file="audit.log", data=first, head=first))
    assert (read.rows, read.held, read.held_line) == ([], first, 1)
    whole = reader.read(Piece(log_file="audit.log", data=read.held + rest, head=first, final=True))
    assert len(whole.rows) == 1


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_a_piece_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    data = _text(EVE)
    reader = LiveReader(tmp_path / "there is no such folder", "one")
    assert reader.read(Piece(log_file=EVE, data=data, head=data[:HEAD])).rows


def test_what_nobody_knows_is_said(reader: LiveReader) -> None:
    read = reader.read(Piece(log_file="odd.txt", data=b"nothing of interest\n", head=b"nothing of interest\n"))
    assert read.problem == "no log source knows this content"
    assert read.recognised_as is None


def test_a_time_in_the_future_counts_as_now(reader: LiveReader) -> None:
    record = json.loads(next(line.text for line in mixed(4, rate=50) if line.log == EVE and "fileinfo" in line.text))
    record["timestamp"] = "2199-01-01T00:00:00.000000+0000"
    data = (json.dumps(record) + "\n").encode()
    read = reader.read(Piece(log_file=EVE, data=data, head=data))
    assert read.future == 1
    assert abs(read.rows[0].time / 1e6 - time.time()) < 60


def test_a_log_that_was_rotated_is_recognised_anew(reader: LiveReader) -> None:
    audit, sensor = _text(AUDIT), _text(EVE)
    first = reader.read(Piece(log_file="log", data=audit, head=audit[:HEAD], generation="1", final=True))
    second = reader.read(Piece(log_file="log", data=sensor, head=sensor[:HEAD], generation="2", final=True))
    assert (first.recognised_as, second.recognised_as) == ("linux_auditd", "suricata_eve")


def test_readers_of_earlier_generations_of_a_log_are_let_go(reader: LiveReader) -> None:
    sensor = _text(EVE)
    for number in range(20):
        read = reader.read(Piece(log_file=EVE, data=sensor, head=sensor[:HEAD], generation=str(number), final=True))
        assert read.recognised_as == "suricata_eve"
    assert len(reader._known) == GENERATIONS_KEPT

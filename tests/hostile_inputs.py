"""Evidence that is broken, hostile or no evidence at all, for tests. Every maker writes below one folder."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import zipfile
from pathlib import Path

from evtx_writer import Entry, evtx
from log_writer import Audit, Windows

LONG_LINE = 50_000_000


def audit_log(host: str = "web1", url: str = "http://files.example.org/a") -> bytes:
    """A good log with one transfer."""
    log = Audit(host)
    log.run(0, 610, "curl", "-o", "/tmp/a", url)
    log.create(0.4, 610, "/tmp/a")
    return log.text().encode()


def windows_log(host: str = "ws01.example.com", events: int = 40) -> bytes:
    """A good log with one transfer and other events."""
    log = Windows(host)
    log.start(0, 4100, "C:\\Windows\\System32\\curl.exe", "curl.exe -o C:\\Temp\\a.exe http://files.example.org/a.exe")
    for number in range(events):
        log.file(1 + number, 5000, f"C:\\Users\\ann\\notes {number}.txt")
    return log.text().encode()


def evtx_log(events: int = 120) -> bytes:
    """A good EVTX file of several chunks with one transfer in each."""
    entries = []
    for number in range(1, events + 1):
        line = f"curl.exe -o C:\\Temp\\a{number}.exe http://files.example.org/a{number}.exe" if number % 50 == 1 else "whoami"
        data = {
            "UtcTime": f"2026-03-01 10:{number // 60:02}:{number % 60:02}.000", "ProcessGuid": f"{{{number:032x}}}",
            "ProcessId": str(number), "Image": "C:\\Windows\\System32\\curl.exe", "CommandLine": line,
        }  # fmt: skip
        time = f"2026-03-01T10:{number // 60:02}:{number % 60:02}+00:00"
        channel = "Microsoft-Windows-Sysmon/Operational"
        entries.append(Entry("Microsoft-Windows-Sysmon", 1, number, data, time, channel=channel))
    return evtx(entries)


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip with these names, however odd."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def bomb() -> bytes:
    """A zip whose member is a thousand times larger than the zip, and which looks like a log at first."""
    return zipped({"bomb.log": audit_log() + b"\0" * 150_000_000, "after.log": audit_log("after")})


def truncated(folder: Path) -> None:
    """Good files cut at the start, at the borders of their structure and near their end."""
    whole = {
        "log.evtx": evtx_log(),
        "events.json": windows_log(),
        "array.json": b"[" + b",".join(windows_log().splitlines()) + b"]",
        "audit.log": audit_log(),
        "evidence.zip": zipped({"audit.log": audit_log("zip1"), "events.json": windows_log("zip2.example.com", 900)}),
        "audit.log.gz": gzip.compress(audit_log("gz1") * 40, mtime=0),
    }
    for name, content in whole.items():
        (folder / f"whole-{name}").write_bytes(content)
        size = len(content)
        for cut in sorted({1, 3, 100, 4_000, 4_096, 4_097, 4_608, 70_000, size // 2, size - 1_000, size - 20, size - 1}):
            if 0 < cut < size:
                (folder / f"cut-{cut:06}-{name}").write_bytes(content[:cut])


def odd_content(folder: Path) -> None:
    """Wrong extensions, garbage, zeros, broken text, JSON of the wrong shape."""
    chance = random.Random(4)
    good, events = audit_log(), windows_log()
    (folder / "empty.evtx").write_bytes(b"")
    (folder / "audit.evtx").write_bytes(audit_log("disguised1"))
    (folder / "evtx.txt").write_bytes(evtx_log())
    (folder / "json.evtx").write_bytes(windows_log("disguised2.example.com"))
    (folder / "garbage.evtx").write_bytes(chance.randbytes(200_000))
    (folder / "garbage-after-magic.evtx").write_bytes(b"ElfFile\0" + chance.randbytes(200_000))
    (folder / "garbage-after-magic.zip").write_bytes(b"PK\x03\x04" + chance.randbytes(50_000))
    (folder / "garbage-after-magic.gz").write_bytes(b"\x1f\x8b\x08" + chance.randbytes(50_000))
    (folder / "garbage-after-magic.db").write_bytes(b"SQLite format 3\0" + chance.randbytes(50_000))
    (folder / "zeros.evtx").write_bytes(bytes(500_000))
    lines = audit_log("zeros1").splitlines(keepends=True)
    (folder / "zeros.log").write_bytes(lines[0] + bytes(100_000) + b"\n" + b"".join(lines) + bytes(70_000))
    (folder / "zeros.json").write_bytes(events[:500] + bytes(100_000) + b"\n" + windows_log("zeros2.example.com"))
    (folder / "broken-utf8.log").write_bytes(good.replace(b"web1", b"we\xff\xfeb") + audit_log("utf1"))
    (folder / "broken-utf8.json").write_bytes(events.replace(b"notes", b"\xc3\x28\xf0\x9f") + windows_log("utf2.example.com"))
    (folder / "utf16.json").write_bytes(windows_log("wide.example.com").decode().encode("utf-16"))
    (folder / "deep.json").write_bytes(b'{"EventID":1,"SourceName":"x","a":' * 40_000 + b"}" * 40_000)
    (folder / "deep-array.json").write_bytes(b"[" * 300_000)
    (folder / "wrong-shape.json").write_bytes(_wrong_shapes() + windows_log("shape.example.com"))
    (folder / "other.json").write_bytes(b'{"a": 1}\n' * 1_000)
    record = b'{"EventID":1,"SourceName":"Microsoft-Windows-Sysmon","CommandLine":"'
    audit = b"type=EXECVE msg=audit(1767348000.000:1): argc=1 a0="
    for name, line, rest in (
        ("long-line.json", record, windows_log("long.example.com")),
        ("long-line.log", audit, audit_log("long1")),
    ):
        (folder / name).write_bytes(rest + line + b"A" * LONG_LINE + b"\n" + rest)


def _wrong_shapes() -> bytes:
    """JSON values that are no event, or whose members have types that nobody expects."""
    sysmon = {"EventID": 1, "SourceName": "Microsoft-Windows-Sysmon"}
    shapes: list[object] = [
        1, "text", None, [], {}, {"EventID": []}, {"EventID": {"a": 1}, "SourceName": 7, "Channel": None}, {"winlog": 5},
        {"event": {"code": []}},
        {**sysmon, "EventTime": {"x": 1}, "Hostname": [1], "CommandLine": {"a": []}},
        {**sysmon, "UtcTime": "2026-01-02 10:00:00.000", "ProcessId": 1e400, "Image": 3},
        {**sysmon, "EventID": 10**30, "EventTime": "9999-99-99 99:99:99"},
        {"timestamp": "2026-01-02T10:00:00", "event_type": "http", "http": [], "src_ip": {}},
        {"id.orig_h": 5, "ts": "x", "uid": []},
    ]  # fmt: skip
    return "".join(json.dumps(shape) + "\n" for shape in shapes).encode()


def odd_archives(folder: Path) -> None:
    """A bomb, names that point elsewhere, archives in archives, a zip that lies about sizes."""
    (folder / "bomb.zip").write_bytes(bomb())
    odd = ["../../escaped.log", "/absolute.log", "C:\\Windows\\x.log", "..\\..\\back.log"]
    names = [*odd, "a/\x1b[31mred.log", "con\nline.log", "x" * 200]
    (folder / "names.zip").write_bytes(zipped({name: audit_log(f"name{number}") for number, name in enumerate(names)}))
    inner = audit_log("nested")
    for _ in range(12):
        inner = zipped({"inner.zip": inner})
    (folder / "nested.zip").write_bytes(inner)
    many = {f"{number}.log": b"" for number in range(3_000)}
    (folder / "many-empty.zip").write_bytes(zipped({**many, "good.log": audit_log("many")}))
    lying = bytearray(zipped({"lying.log": audit_log("lying") * 100}))
    lying[22:26] = (5).to_bytes(4, "little")
    (folder / "lying.zip").write_bytes(lying)


def odd_files(folder: Path) -> None:
    """Links in circles and out of the folder, a FIFO, an unreadable file. Only on systems that have such things."""
    (folder / "loop-a").symlink_to("loop-b")
    (folder / "loop-b").symlink_to("loop-a")
    (folder / "self").symlink_to(folder, target_is_directory=True)
    (folder / "outside").symlink_to("/etc/hostname")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")
    (folder / "good.log").write_bytes(audit_log("good1"))
    (folder / "line\nbreak \x1b[2J.log").write_bytes(audit_log("good2"))

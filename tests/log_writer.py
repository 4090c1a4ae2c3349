"""Writes log records as the programs that keep logs write them, for tests and the bench.

Windows events as NXLog's flat JSON, Linux audit records as `auditd` writes its raw log. Times are seconds after START, in UTC.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

START = 1_767_348_000.0  # 2026-01-02 10:00:00 UTC
SYSMON = ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational")
SECURITY = ("Microsoft-Windows-Security-Auditing", "Security")
POWERSHELL = ("Microsoft-Windows-PowerShell", "Microsoft-Windows-PowerShell/Operational")
BITS = ("Microsoft-Windows-Bits-Client", "Microsoft-Windows-Bits-Client/Operational")
DEFENDER = ("Microsoft-Windows-Windows Defender", "Microsoft-Windows-Windows Defender/Operational")
ANN = "EXAMPLE\\ann"
SYSTEM = ("Service Control Manager", "System")


def stamp(seconds: float) -> str:
    """The moment as Sysmon spells it."""
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def guid(pid: int) -> str:
    """The ProcessGuid of a pid: one number is one process in a test."""
    return f"{{0a1b2c3d-0001-6958-{pid & 0xFFFF:04x}-{pid:012x}}}"


@dataclass
class Windows:
    """Records of one Windows host, one JSON object a line."""

    host: str = "ws01.example.com"
    lines: list[str] = field(default_factory=list)
    images: dict[int, tuple[str, str]] = field(default_factory=dict)  # pid -> image, command line

    def add(self, seconds: float, origin: tuple[str, str], event_id: int, **data: object) -> None:
        provider, channel = origin
        head = {
            "EventTime": stamp(seconds)[:-4],
            "Hostname": self.host,
            "SourceName": provider,
            "EventID": event_id,
            "Channel": channel,
            "RecordNumber": 1000 + len(self.lines),
        }
        if origin == SYSMON:
            head["UtcTime"] = stamp(seconds)
        else:
            head["EventTime"] = stamp(seconds).replace(" ", "T") + "Z"
        self.lines.append(json.dumps({**head, **data}))

    def start(
        self, seconds: float, pid: int, image: str, line: str, parent: int = 900, *, user: str = ANN, **data: object
    ) -> None:
        """Sysmon 1."""
        above, above_line = self.images.get(parent, ("C:\\Windows\\explorer.exe", "C:\\Windows\\explorer.exe"))
        self.images[pid] = (image, line)
        self.add(
            seconds, SYSMON, 1, ProcessGuid=guid(pid), ProcessId=pid, Image=image, CommandLine=line, User=user,
            CurrentDirectory="C:\\Users\\ann\\", OriginalFileName=image.rsplit("\\", 1)[-1], ParentProcessGuid=guid(parent),
            ParentProcessId=parent, ParentImage=above, ParentCommandLine=above_line, **data,
        )  # fmt: skip

    def connection(self, seconds: float, pid: int, address: str, port: int, host: str = "-", *, initiated: bool = True) -> None:
        """Sysmon 3; an inbound one comes from `address` to `port` of this host."""
        here, there = ("192.0.2.10", 50_100), (address, port if initiated else 50_200)
        source, target = (here, there) if initiated else (there, (here[0], port))
        self.add(
            seconds, SYSMON, 3, ProcessGuid=guid(pid), ProcessId=pid, Image=self._image(pid), User=ANN, Protocol="tcp",
            Initiated=str(initiated).lower(), SourceIp=source[0], SourcePort=source[1], DestinationIp=target[0],
            DestinationPort=target[1], DestinationHostname=host,
        )  # fmt: skip

    def file(self, seconds: float, pid: int, path: str) -> None:
        """Sysmon 11."""
        self.add(
            seconds, SYSMON, 11, ProcessGuid=guid(pid), ProcessId=pid, Image=self._image(pid), TargetFilename=path,
            CreationUtcTime=stamp(seconds),
        )  # fmt: skip

    def zone(self, seconds: float, pid: int, path: str, url: str) -> None:
        """Sysmon 15 for the mark of the web."""
        self.add(
            seconds, SYSMON, 15, ProcessGuid=guid(pid), ProcessId=pid, Image=self._image(pid),
            TargetFilename=path + ":Zone.Identifier", CreationUtcTime=stamp(seconds), Hash="Unknown",
            Contents=f"[ZoneTransfer]  ZoneId=3  HostUrl={url}  ",
        )  # fmt: skip

    def start_4688(self, seconds: float, pid: int, image: str, command_line: str, parent: int = 900) -> None:
        """Security 4688."""
        self.add(
            seconds, SECURITY, 4688, SubjectUserName="ann", SubjectDomainName="EXAMPLE", SubjectLogonId="0x3e7a1",
            NewProcessId=hex(pid), NewProcessName=image, CommandLine=command_line, ProcessId=hex(parent),
            ParentProcessName=self.images.get(parent, ("C:\\Windows\\explorer.exe", ""))[0],
        )  # fmt: skip

    def _image(self, pid: int) -> str:
        return self.images.get(pid, ("System" if pid == 4 else "C:\\Windows\\System32\\svchost.exe", ""))[0]

    def text(self) -> str:
        """The file."""
        return "".join(line + "\n" for line in self.lines)


_TASK = "auid=1000 uid=1000 gid=1000 euid=1000 suid=1000 fsuid=1000 egid=1000 sgid=1000 fsgid=1000 tty=pts0 ses=3"


@dataclass
class Audit:
    """Records of one Linux host."""

    host: str = "web1"
    lines: list[str] = field(default_factory=list)
    serial: int = 100
    programs: dict[int, str] = field(default_factory=dict)  # pid -> path of the program that it runs

    def add(self, seconds: float, *records: str) -> None:
        self.serial += 1
        head = f"msg=audit({START + seconds:.3f}:{self.serial}):"
        for record in records:
            kind, _, rest = record.partition(" ")
            self.lines.append(f"node={self.host} type={kind} {head} {rest}")

    def _call(self, number: int, pid: int, ppid: int, **fields: object) -> str:
        program = self.programs.get(pid, "/usr/bin/bash")
        known = {"success": "yes", "exit": 0, "a0": "ffffff9c", "a1": "7ffe", "a2": "241", "a3": "1b6", "items": 2, **fields}
        values = " ".join(f"{name}={value}" for name, value in known.items())
        name = program.rsplit("/", 1)[-1][:15]
        head = f"SYSCALL arch=c000003e syscall={number} {values} ppid={ppid} pid={pid}"
        return f'{head} {_TASK} comm="{name}" exe="{program}" key="k"'

    def run(self, seconds: float, pid: int, *argv: str, ppid: int = 500, cwd: str = "/home/ann", program: str = "") -> None:
        """execve. `program` is the path that the kernel ran where argv[0] does not say it."""
        path = program or (argv[0] if argv[0].startswith("/") else f"/usr/bin/{argv[0]}")
        self.programs[pid] = path
        words = " ".join(f"a{number}={_coded(word)}" for number, word in enumerate(argv))
        self.add(
            seconds,
            self._call(59, pid, ppid),
            f"EXECVE argc={len(argv)} {words}",
            f'CWD cwd="{cwd}"',
            f"PATH item=0 name={_coded(path)} inode=9 dev=fd:00 mode=0100755 ouid=0 ogid=0 nametype=NORMAL",
        )

    def connect(self, seconds: float, pid: int, address: str, port: int, *, ppid: int = 500, error: int = -115) -> None:
        """connect; -115 is how a non-blocking one looks, -111 a refused one."""
        ip = ipaddress.ip_address(address)
        if ip.version == 4:
            saddr = f"0200{port:04X}{ip.packed.hex().upper()}0000000000000000"
        else:
            saddr = f"0A00{port:04X}00000000{ip.packed.hex().upper()}00000000"
        ended = {"success": "yes", "exit": 0} if error == 0 else {"success": "no", "exit": error}
        self.add(seconds, self._call(42, pid, ppid, items=0, **ended), f"SOCKADDR saddr={saddr}")

    def accept(self, seconds: float, pid: int, address: str, port: int, *, ppid: int = 1) -> None:
        """accept4 of a connection from `address`."""
        saddr = f"0200{port:04X}{ipaddress.ip_address(address).packed.hex().upper()}0000000000000000"
        self.add(seconds, self._call(288, pid, ppid, exit=4, items=0), f"SOCKADDR saddr={saddr}")

    def create(self, seconds: float, pid: int, path: str, *, ppid: int = 500, cwd: str = "/home/ann") -> None:
        """openat that creates a file."""
        self.add(
            seconds,
            self._call(257, pid, ppid, exit=3),
            f'CWD cwd="{cwd}"',
            'PATH item=0 name="./" inode=2 dev=fd:00 mode=040755 ouid=0 ogid=0 nametype=PARENT',
            f"PATH item=1 name={_coded(path)} inode={self.serial + 7000} dev=fd:00 mode=0100644 ouid=0 ogid=0 nametype=CREATE",
        )

    def rename(self, seconds: float, pid: int, old: str, new: str, *, ppid: int = 500, cwd: str = "/home/ann") -> None:
        """rename."""
        self.add(
            seconds,
            self._call(82, pid, ppid, items=4),
            f'CWD cwd="{cwd}"',
            f"PATH item=2 name={_coded(old)} inode=79 dev=fd:00 mode=0100644 ouid=0 ogid=0 nametype=DELETE",
            f"PATH item=3 name={_coded(new)} inode=79 dev=fd:00 mode=0100644 ouid=0 ogid=0 nametype=CREATE",
        )

    def chmod(self, seconds: float, pid: int, path: str, *, ppid: int = 500, cwd: str = "/home/ann") -> None:
        """fchmodat to 0755."""
        self.add(
            seconds,
            self._call(268, pid, ppid, a2="1ed"),
            f'CWD cwd="{cwd}"',
            f"PATH item=0 name={_coded(path)} inode=77 dev=fd:00 mode=0100644 ouid=0 ogid=0 nametype=NORMAL",
        )

    def text(self) -> str:
        """The file."""
        return "".join(line + "\n" for line in self.lines)


def _coded(text: str) -> str:
    """A value as the kernel writes it: quoted, or in hexadecimal where it holds spaces, quotes or control characters."""
    if any(character <= " " or character in '"\x7f' or ord(character) > 126 for character in text):
        return text.encode().hex().upper()
    return f'"{text}"'

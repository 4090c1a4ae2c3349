"""What comes inside syslog is read alike in every layout of its prefix: RFC 3164, ISO time as of rsyslog, RFC 5424."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidewaiter.log_source import HEAD_BYTES, REGISTER, Opened, streams
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

LAYOUTS = {
    "RFC 3164": "Jan  2 10:00:00 gate.example.net {program}[{pid}]: {text}",
    "RFC 3164 on the wire": "<38>Jan  2 10:00:00 gate.example.net {program}[{pid}]: {text}",
    "RFC 3164, day without padding": "Jan 2 10:00:00 gate.example.net {program}[{pid}]: {text}",
    "RFC 3164 with a year": "Jan  2 2026 10:00:00 gate.example.net {program}[{pid}]: {text}",
    "ISO": "2026-01-02T11:00:00.000000+01:00 gate.example.net {program}[{pid}]: {text}",
    "ISO on the wire": "<38>2026-01-02T10:00:00Z gate.example.net {program}[{pid}]: {text}",
    "RFC 5424": "<38>1 2026-01-02T10:00:00.0Z gate.example.net {program} {pid} - - {text}",
    "RFC 5424 without priority": "1 2026-01-02T10:00:00Z gate.example.net {program} {pid} - - {text}",
    "RFC 5424 with a message id": "<38>1 2026-01-02T10:00:00Z gate.example.net {program} {pid} ID47 - {text}",
    "RFC 5424 with structured data": (
        '<38>1 2026-01-02T10:00:00Z gate.example.net {program} {pid} ID47 [a@32473 b="x \\]y\\" z"][c@32473 d="1"] {text}'
    ),
    "RFC 5424 with a mark of UTF-8": "<38>1 2026-01-02T10:00:00Z gate.example.net {program} {pid} - - \ufeff{text}",
}
_SYSMON = (
    '<Event><System><Provider Name="Linux-Sysmon"/><EventID>1</EventID>'
    '<TimeCreated SystemTime="2026-01-02T10:00:00.0Z"/><Computer>gate.example.net</Computer></System><EventData>'
    '<Data Name="ProcessId">812</Data><Data Name="Image">/usr/bin/curl</Data><Data Name="CommandLine">curl -O x</Data>'
    "</EventData></Event>"
)
MESSAGES = {
    "linux_sshd": ("sshd", "Accepted publickey for ops from 192.0.2.9 port 50000 ssh2"),
    "linux_sshd, sudo": (
        "sudo",
        "ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/curl -o /tmp/a http://192.0.2.9/a",
    ),
    "linux_sshd, cron": ("CRON", "(root) CMD (curl -o /tmp/a http://192.0.2.9/a)"),
    "linux_sshd, sftp": ("internal-sftp", 'close "/srv/in/a.exe" bytes read 0 written 1884'),
    "linux_sshd, dropbear": ("dropbear", "Password auth succeeded for 'ops' from 192.0.2.9:50000"),
    "linux_sshd, tftp": ("in.tftpd", "RRQ from 192.0.2.9 filename a.bin"),
    "ftp_server, vsftpd": ("vsftpd", '[ops] OK UPLOAD: Client "192.0.2.9", "/srv/in/a.exe", 1884 bytes, 412.44Kbyte/sec'),
    "ftp_server, pure": ("pure-ftpd", "(ops@192.0.2.9) [NOTICE] /srv/in/a.exe uploaded  (1884 bytes, 412.44KB/sec)"),
    "ftp_server, proftpd": ("proftpd", "gate.example.net (desk.example.net[192.0.2.9]): USER ops: Login successful."),
    "proxy_squid": (
        "squid",
        "1767348000.123    120 192.0.2.9 TCP_MISS/200 1884 GET http://192.0.2.7/a.exe - HIER_DIRECT/192.0.2.7 text/plain",
    ),
    "proxy_squid, emulated": (
        "squid",
        '192.0.2.9 - - [02/Jan/2026:10:00:00 +0000] "GET http://192.0.2.7/a HTTP/1.1" 200 1884 "-" "x" TCP_MISS:HIER_DIRECT',
    ),
    "web_server": ("nginx", '192.0.2.9 - - [02/Jan/2026:10:00:00 +0000] "GET /a.exe HTTP/1.1" 200 1884 "-" "curl/8.5"'),
    "esxi_shell": ("shell", "[root]: wget http://192.0.2.9/a.vib"),
    "esxi_host, hostd": (
        "Hostd",
        "[Originator@6876 sub=Vimsvc.ha-eventmgr] Event 5279 : User ops@192.0.2.9 logged in as VMware-client/7.0",
    ),
    "esxi_host, vobd": (
        "vobd",
        "[UserLevelCorrelator] 19us: [vob.user.ssh.session.opened] SSH session was opened for 'root@192.0.2.9'.",
    ),
    "firewall": ("kernel", "FW-OUT IN= OUT=eth0 SRC=192.0.2.9 DST=198.51.100.7 LEN=60 PROTO=UDP SPT=50000 DPT=69"),
    "linux_sysmon": (
        "sysmon",
        _SYSMON,
    ),
    "linux_auditd": (
        "audispd",
        'type=SYSCALL msg=audit(1767348000.000:500): arch=c000003e syscall=59 success=yes exit=0 pid=812 exe="/usr/bin/curl"',
    ),
}


def read(line: str, path: Path) -> tuple[str | None, list[Event]]:
    """Who recognises a log of these lines, and what it reads. The ISO line of a program nobody reads tells the year."""
    data = f"{line}\n{line}\n2026-01-02T10:00:01Z gate.example.net ntpd[7]: clock\n".encode()
    name = next((entry.name for entry in streams() if entry.load().recognise(data) is not None), None)
    if name is None:
        return None, []
    path.write_bytes(data)
    account = Account(log_file="log", bytes=len(data))
    opened = Opened(path=path, log_file="log", size=len(data), head=data[:HEAD_BYTES])
    source = next(entry for entry in REGISTER if entry.name == name).load()
    events = [event for batch in source.read(opened, account) for event in batch]
    assert account.balanced
    return name, events


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_the_same_event_in_every_layout(kind: str, layout: str, tmp_path: Path) -> None:
    program, text = MESSAGES[kind]
    name, events = read(LAYOUTS[layout].format(program=program, pid=812, text=text), tmp_path / "log")
    _, expected = read(LAYOUTS["ISO"].format(program=program, pid=812, text=text), tmp_path / "log")
    assert name == kind.partition(",")[0]
    assert events
    assert events == expected
    if kind not in ("web_server", "proxy_squid", "proxy_squid, emulated", "firewall"):
        assert events[0].host == "gate.example.net"


@pytest.mark.parametrize("kind", ["linux_sshd", "linux_sshd, sudo", "ftp_server, pure", "esxi_host, hostd"])
def test_what_rfc_5424_leaves_open_is_not_known(kind: str, tmp_path: Path) -> None:
    program, text = MESSAGES[kind]
    name, events = read(f"<38>1 2026-01-02T10:00:00Z - {program} - - - {text}", tmp_path / "log")
    assert name == kind.partition(",")[0]
    assert events and {(event.host, event.pid) for event in events} == {(None, None)}

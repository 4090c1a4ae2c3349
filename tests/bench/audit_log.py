"""Writes a large audit log for timing: `python tests/bench/audit_log.py OUT MEGABYTES [--quiet SHARE]`.

Each round is what one `curl -o` in an interactive shell leaves behind: name service look-ups over a local socket, the program
start, the connection, the file. SHARE (0 to 1) of the rounds are replaced by calls that nobody asks for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAMES = "".join(f' {name}="ann"' for name in ("AUID", "UID", "GID", "EUID", "SUID", "FSUID", "EGID", "SGID", "FSGID"))
TAIL = (
    "auid=1000 uid=1000 gid=1000 euid=1000 suid=1000 fsuid=1000 egid=1000 sgid=1000 fsgid=1000 tty=pts0 ses=3 "
    'comm="curl" exe="/usr/bin/curl" key="watch"'
)


def call(stamp: str, number: int, name: str, *, pid: int, items: int, outcome: str, records: tuple[str, ...]) -> str:
    """The records of one system call."""
    head = (
        f"arch=c000003e syscall={number} {outcome} a0=ffffff9c a1=7ffd5e2a1c60 a2=241 a3=1b6 items={items} ppid=800 pid={pid}"
    )
    lines = [f"type=SYSCALL msg=audit({stamp}): {head} {TAIL}\x1dARCH=x86_64 SYSCALL={name}{NAMES}"]
    for record in records:
        kind, _, body = record.partition(" ")
        lines.append(f"type={kind} msg=audit({stamp}): {body}")
    title = "6375726C002D6F002F7661722F746D702F646174612E62696E0068747470733A2F2F66696C65732E6578616D706C652E6F7267"
    lines.append(f"type=PROCTITLE msg=audit({stamp}): proctitle={title}")
    return "\n".join(lines) + "\n"


def path(item: int, name: str, nametype: str, mode: str = "0100644") -> str:
    """A PATH record."""
    owner = "ouid=1000 ogid=1000 rdev=00:00"
    rest = 'cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\x1dOUID="ann" OGID="ann"'
    return f'PATH item={item} name="{name}" inode={4000 + item} dev=fd:00 mode={mode} {owner} nametype={nametype} {rest}'


def round_of(number: int, *, quiet: bool) -> str:
    """The records of one round."""
    pid, serial = 2000 + number % 30000, number * 8
    stamps = [f"{1767348000 + number // 50}.{number % 50 * 20:03d}:{serial + part}" for part in range(8)]
    cwd = 'CWD cwd="/home/ann"'
    local = "SOCKADDR saddr=01002F7661722F72756E2F6E7363642F736F636B6574" + "00" * 88
    ok, missing = "success=yes exit=0", "success=no exit=-2"
    text = ""
    for stamp in stamps[:4]:
        text += call(stamp, 42, "connect", pid=pid, items=1, outcome=missing, records=(local, cwd))
    if quiet:
        return text + "".join(call(stamp, 44, "sendto", pid=pid, items=0, outcome=ok, records=(local,)) for stamp in stamps[4:])
    programs = (path(0, "/usr/bin/curl", "NORMAL", "0100755"), path(1, "/lib64/ld-linux-x86-64.so.2", "NORMAL", "0100755"))
    argv = f'EXECVE argc=4 a0="curl" a1="-o" a2="/var/tmp/{number}.bin" a3="https://files.example.org/{number}.bin"'
    text += call(stamps[4], 59, "execve", pid=pid, items=2, outcome=ok, records=(argv, cwd, *programs))
    address = "SOCKADDR saddr=020001BBCB0071090000000000000000"
    text += call(stamps[5], 42, "connect", pid=pid, items=0, outcome="success=no exit=-115", records=(address,))
    file = (path(0, "/var/tmp/", "PARENT", "041777"), path(1, f"/var/tmp/{number}.bin", "CREATE"))
    text += call(stamps[6], 257, "openat", pid=pid, items=2, outcome="success=yes exit=4", records=(cwd, *file))
    return text


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("megabytes", type=float)
    parser.add_argument("--quiet", type=float, default=0.0)
    options = parser.parse_args()
    size = number = 0
    with options.out.open("w", encoding="ascii", newline="\n") as stream:
        while size < options.megabytes * 1_000_000:
            size += stream.write(round_of(number, quiet=number % 100 < options.quiet * 100))
            number += 1


if __name__ == "__main__":
    main()

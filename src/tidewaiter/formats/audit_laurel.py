"""Linux audit events as Laurel writes them: one JSON object a line, the records of an event by type.

Format: laurel(8) and its configuration file (github.com/threathunters-io/laurel). Numbers keep their base as a prefix ("0x",
"0o"), bytes that are no text are written as %XX, arguments are a list (`ARGV`) or one text (`ARGV_STR`).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from tidewaiter.formats.audit_event import SINGLE_RECORDS, AuditGroup, AuditHead, AuditPath, AuditTask
from tidewaiter.formats.audit_numbers import syscalls
from tidewaiter.formats.audit_values import socket_address
from tidewaiter.formats.text_lines import TextBlock, text
from tidewaiter.schema.account import Account

MARK = re.compile(rb'(?:^|\n)[^\n{]{0,120}\{"ID":"\d{1,11}\.\d{3}:\d{1,18}",')
"""The beginning of a line of Laurel, also behind a syslog prefix or a cookie."""

_DECODER = msgspec.json.Decoder(dict[str, Any])
_UNSET = 4_294_967_295


def laurel_events(block: TextBlock, account: Account) -> list[AuditGroup]:
    """The events of a block of lines; counts the lines that are none. The accounting unit is the line, that is the event."""
    found: list[AuditGroup] = []
    for number, line in enumerate(block.data.split(b"\n"), block.number):
        start = line.find(b'{"')
        if start < 0:
            account.skip("other lines" if line.strip() else "blank line")
            continue
        try:
            data = _DECODER.decode(line[start:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            account.damage_at(f"line {number}", f"no JSON object: {error}"[:200])
            continue
        identity, node = data.get("ID"), data.get("NODE")
        key = (node.encode(errors="replace") if isinstance(node, str) else b"", str(identity).encode(errors="replace"))
        single = next((name for name in data if name in SINGLE_RECORDS), None)
        found.append(LaurelEvent(key, number, count=1, single=None if "SYSCALL" in data else single, data=data))
    return found


class LaurelEvent(AuditGroup):
    """One event of Laurel, with the methods of `AuditGroup`."""

    data: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def local(self) -> bool:
        """Left to `address`."""
        return False

    @property
    def failed(self) -> bool:
        """Whether the call failed."""
        return self._part("SYSCALL").get("success") == "no"

    def fill(self) -> None:
        """Nothing is put off."""

    def call(self) -> str | None:
        """The name (or number) of the system call; None without a SYSCALL record."""
        record = self._part("SYSCALL")
        number = record.get("syscall")
        if number is None:
            return None
        arch = str(record.get("arch", "")).removeprefix("0x")
        known = syscalls().get(f" arch={arch} syscall={number}".encode(errors="replace"))
        return known or str(record.get("SYSCALL") or number)[:40]

    def head(self) -> AuditHead | None:
        """The SYSCALL record, or None where it is missing or damaged."""
        record, call = self._part("SYSCALL"), self.call()
        if call is None:
            return None
        arguments = record.get("ARGV")
        hex_arguments = [str(each).removeprefix("0x").encode() for each in arguments] if isinstance(arguments, list) else []
        a0, a1, a2, a3, *_ = [*hex_arguments, b"", b"", b"", b""]
        uid, auid, session = (_number(record.get(name)) for name in ("uid", "auid", "ses"))
        user, login = _name(record.get("UID")), _name(record.get("AUID"))
        plain_user = "root" if uid == 0 else None if uid is None else str(uid)
        success = record.get("success")
        task = AuditTask(
            user or plain_user,
            None if auid in (None, _UNSET) else login or str(auid),
            None if user else uid,
            None if session in (None, _UNSET) else str(session),
            _name(record.get("comm")),
            _name(record.get("exe")),
        )
        return AuditHead(
            call,
            None if success is None else success == "yes",
            _number(record.get("exit")),
            (a0, a1, a2, a3),
            _number(record.get("ppid")),
            _number(record.get("pid")),
            task,
        )

    def argv(self) -> tuple[list[str], int] | str | None:
        """The arguments and how many there are, or the one text that they were joined to."""
        record = self._part("EXECVE")
        told = _number(record.get("argc"))
        listed, joined = record.get("ARGV"), record.get("ARGV_STR")
        if isinstance(listed, list):
            found = [_plain(each) for each in listed if isinstance(each, str)]
            return found, len(found) if told is None else told
        if isinstance(joined, str):
            words = _plain(joined).split(" ")
            return (words, told) if told == len(words) else _plain(joined)
        return None

    def cwd(self) -> str | None:
        """The working directory."""
        return _name(self._part("CWD").get("cwd"))

    def path(self, nametype: bytes) -> AuditPath | None:
        """The last PATH record of this type."""
        return next((_path(each) for each in reversed(self._paths()) if each.get("nametype") == nametype.decode()), None)

    def first_path(self, mark: bytes = b"item=0 ") -> AuditPath | None:
        """The first PATH record: item 0, or of the type in `mark`."""
        name, _, wanted = mark.decode().strip().partition("=")
        return next((_path(each) for each in self._paths() if str(each.get(name)) == wanted), None)

    def parent(self, *, last: bool) -> AuditPath | None:
        """The first or last PATH record of a directory that holds the file."""
        return self.path(b"PARENT") if last else self.first_path(b"nametype=PARENT")

    def address(self) -> tuple[str, int] | str | None:
        """(address, port) of the SOCKADDR record, in words why it has none, or None without the record."""
        raw = self._part("SOCKADDR").get("saddr")
        return socket_address(unquote_to_bytes(raw[:400])[:28].hex().encode()) if isinstance(raw, str) else None

    def open_flags(self) -> int | None:
        """The flags of the OPENAT2 record."""
        return _number(self._part("OPENAT2").get("oflag"))

    def module(self) -> str | None:
        """The name in the KERN_MODULE record."""
        return _name(self._part("KERN_MODULE").get("name"))

    def fields(self) -> dict[str, str]:
        """The fields of an event of one record."""
        return {name: _plain(str(value)) for name, value in self._part(self.single or "").items() if value is not None}

    def _part(self, name: str) -> dict[str, Any]:
        part = self.data.get(name)
        if isinstance(part, list) and part:
            part = part[0]
        return part if isinstance(part, dict) else {}

    def _paths(self) -> list[dict[str, Any]]:
        part = self.data.get("PATH")
        return [each for each in part if isinstance(each, dict)] if isinstance(part, list) else []


def _path(record: dict[str, Any]) -> AuditPath:
    inode = f"{record.get('inode')} {record.get('dev')}".encode(errors="replace") if "inode" in record else None
    return AuditPath(_name(record.get("name")), _number(record.get("mode")), inode)


def _plain(spelled: str) -> str:
    return text(unquote_to_bytes(spelled)) if "%" in spelled else spelled


def _name(found: Any) -> str | None:
    return _plain(found) if isinstance(found, str) and found else None


def _number(found: Any) -> int | None:
    if isinstance(found, str):
        try:
            found = int(found[:20], 0)
        except ValueError:
            return None
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 1 << 62 else None

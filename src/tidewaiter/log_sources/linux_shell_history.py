"""Shell histories: bash (with or without `#EPOCH` lines), zsh (plain or extended), fish.

Formats: bash(1) on HISTTIMEFORMAT, zshoptions(1) on EXTENDED_HISTORY, fish's history file. The accounting unit is the line.
A command without a time has time 0 and `extra.untimed`. zsh masks some bytes by 0x83 and an exclusive or; that is undone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats.text_lines import numbered_lines, text
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

LONGEST_ENTRY = 1 << 18
"""Bytes of one command over all its lines; what follows is counted and left off."""

_EPOCH = re.compile(rb"#(\d{9,10})\s*")
_EPOCHS = re.compile(rb"^#(\d{9,10})[ \t\r]*$", re.MULTILINE)
_ZSH = re.compile(rb": {1,2}(\d{9,10}):\d{1,9};(.*)", re.DOTALL)
_ZSH_LINES = re.compile(rb"^: {1,2}\d{9,10}:\d{1,9};", re.MULTILINE)
_FISH = re.compile(rb"^- cmd: .*\n  when: \d{9,10}\s*$", re.MULTILINE)
_FISH_ESCAPE = re.compile(rb"\\([n\\])")
_NAME = re.compile(
    r"(?i)[._]?(?:(?:ba|z|k|mk|pdk|da|a|fi|tc|c)?sh[._-]?)?(?:hist|history|histfile)(?:[._-]([\w@-]{1,64}))?(?:\.txt)?"
)
_HOME = re.compile(r"(?:^|[/\\!])(?:home|Users)[/\\]([^/\\!]{1,64})[/\\][^/\\]*$")
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds
_META = re.compile(rb"\x83(.)", re.DOTALL)


class Source:
    """Shell histories. See `log_source.StreamSource`."""

    title = "shell history"

    def recognise(self, head: bytes) -> str | None:
        """Lines of times between commands, or zsh's or fish's entries; a history without times only by its name."""
        if b"\0" in head:
            return None
        epochs = [found for found in _EPOCHS.findall(head) if _EARLIEST < int(found) < _LATEST]
        lines = head.count(b"\n") + 1
        if epochs and (len(epochs) * 5 >= lines or (len(epochs) > 2 and _EPOCH.match(head.lstrip()))):
            return "lines of #seconds between commands"
        zsh = len(_ZSH_LINES.findall(head))
        if zsh and zsh * 5 >= lines:
            return "lines of `: seconds:duration;command`"
        if _FISH.search(head) is not None:
            return "entries of `- cmd:` and `when:`"
        return None

    def recognise_named(self, head: bytes, name: str) -> str | None:
        """A text of short lines whose file name is that of a shell history."""
        found = _NAME.fullmatch(_last_part(name))
        if found is None or not head.strip() or b"\0" in head or max(map(len, head.split(b"\n"))) > 8_192:
            return None
        return f"the file name {_last_part(name)!r}: a history without times has no other mark"

    @staticmethod
    def whole(data: bytes) -> int:
        """How many bytes of a growing history hold whole entries: all before the last one, which may have further lines."""
        starts = [match.start() for match in _ENTRY.finditer(data)]
        return starts[-1] if starts else len(data)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as = account.recognised_as or self.title
        user = _user(opened.log_file)
        batch: list[Event] = []
        for number, seconds, command in _entries(opened, account):
            batch.append(
                Event(
                    kind=EventKind.SHELL_COMMAND,
                    time=0 if seconds is None else seconds * 1_000_000,
                    log_source="linux_shell_history",
                    log_file=opened.log_file,
                    record=str(number),
                    user=user,
                    command_line=command,
                    extra={"untimed": True} if seconds is None else None,
                )
            )
            if len(batch) == 2_000:
                account.made("linux_shell_history", [event.kind.value for event in batch])
                yield batch
                batch = []
        if batch:
            account.made("linux_shell_history", [event.kind.value for event in batch])
            yield batch


_ENTRY = re.compile(rb"^(?:#\d{9,10}$|: \d{9,10}:\d+;|- cmd: )", re.M)


class _Entry:
    """One command in the making."""

    def __init__(self, number: int, seconds: int | None) -> None:
        self.number, self.seconds = number, seconds  # the number of the first line of the command itself
        self.lines: list[bytes] = []
        self.count = self.size = 0

    def add(self, line: bytes) -> None:
        self.count += 1
        self.size += len(line) + 1
        if self.size <= LONGEST_ENTRY:
            self.lines.append(line)


def _entries(opened: Opened, account: Account) -> Iterator[tuple[int, int | None, str]]:
    """(line, seconds or None, command) of each entry; counts the lines."""
    fish = _FISH.search(opened.head) is not None
    entry: _Entry | None = None
    for number, line, cut in numbered_lines(opened.path):
        if cut:
            account.damage_at(f"line {number}", f"a line of more than a megabyte: {cut} bytes left off")
            continue
        stamp = _EPOCH.fullmatch(line)
        extended = _ZSH.match(line)
        if fish:
            when = line.strip()
            if line.startswith(b"- cmd: "):
                yield from _finished(entry, account)
                entry = _Entry(number, None)
                entry.add(_FISH_ESCAPE.sub(lambda found: b"\n" if found[1] == b"n" else found[1], line[7:]))
            elif entry is not None and when.startswith(b"when: ") and when[6:].isdigit():
                entry.seconds = int(when[6:16])
                entry.count += 1
            else:
                account.skip("other line of a fish history" if when else "blank line")
        elif extended is not None:
            yield from _finished(entry, account)
            entry = _Entry(number, int(extended[1]))
            entry.add(extended[2])
        elif stamp is not None and _EARLIEST < int(stamp[1]) < _LATEST:
            yield from _finished(entry, account)
            entry = _Entry(number + 1, int(stamp[1]))
            entry.count = 1
        elif entry is not None and (entry.seconds is not None or _continues(entry)):
            entry.add(line)
        elif line.strip():
            yield from _finished(entry, account)
            entry = _Entry(number, None)
            entry.add(line)
        else:
            account.skip("blank line")
    yield from _finished(entry, account)


def _continues(entry: _Entry) -> bool:
    """Whether the last line of an entry without time ends in a lone backslash."""
    last = entry.lines[-1] if entry.lines else b""
    return (len(last) - len(last.rstrip(b"\\"))) % 2 == 1


def _finished(entry: _Entry | None, account: Account) -> Iterator[tuple[int, int | None, str]]:
    if entry is None:
        return
    command = b"\n".join(line for line in entry.lines)
    if b"\x83" in command:
        command = _META.sub(lambda found: bytes([found[1][0] ^ 32]), command)
    shown = text(command).strip()
    if shown:
        account.parse(entry.count)
        yield entry.number, entry.seconds, shown
    else:
        account.skip("time without a command", entry.count)


def _last_part(name: str) -> str:
    return re.split(r"[/\\!]", name)[-1]


def _user(name: str) -> str | None:
    """The user whose history it is, as far as the path says: `bash_history.USER`, `home/USER/.bash_history`, `root/...`."""
    found = _NAME.fullmatch(_last_part(name))
    if found is not None and found[1] and found[1].lower() not in ("txt", "log", "old", "bak") and not found[1].isdigit():
        return found[1]
    home = _HOME.search(name)
    if home is not None:
        return home[1]
    return "root" if re.search(r"(?:^|[/\\!])root[/\\][^/\\]*$", name) else None

"""ESXi shell.log: every command entered in the ESXi Shell, at the console or over SSH.

Format: Broadcom knowledge article 321910 (`TIME shell[WORLD]: [USER]: COMMAND`), before ESXi 6 without the user, since ESXi 8
with the severity (`TIME In(14) shell[WORLD]: ...`), and as it arrives at a syslog server (RFC 3164 or 5424, with the host).
The accounting unit is the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats.syslog_lines import Prefix, Prefixes
from tidewaiter.formats.text_lines import numbered_lines, text
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

_LINE = re.compile(
    r"(?:\w{1,3}\(\d{1,3}\) )?(?:\S{1,80} )?[Ss]hell\[(\d{1,12})\]:? ?(?:\[([^\]\s]{1,64})\]: ?)?(.*)",
    re.DOTALL,
)
_MARK = re.compile(
    rb"(?:^|\n)(?:<\d{1,3}>)?[^\n]{15,160}?[ >]shell"
    rb"(?:\[\d{1,12}\]:? ?| \d{1,12} \S{1,32} (?:-|(?:\[(?:[^\]\\\n]|\\.){0,300}+\]){1,4}) (?:\xef\xbb\xbf)?)"
    rb"(?:\[[^\]\s]{1,64}\]:|Interactive shell session)"
)
_MESSAGES = re.compile(
    r"(?:Interactive shell session|(?:ESXi|SSH|Shell|ESX) (?:[Ss]hell |login |session )?\w{0,20} ?"
    r"(?:started|terminated|enabled|disabled|available|closed|opened))"
)


class Source:
    """ESXi shell.log. See `log_source.StreamSource`."""

    title = "ESXi shell log"

    def recognise(self, head: bytes) -> str | None:
        """Lines of the program `shell` with a user in brackets, or the message of a session."""
        return "lines of shell[world]: [user]: command" if _MARK.search(head) is not None else None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as = account.recognised_as or self.title
        prefixes = Prefixes(opened.head)
        batch: list[Event] = []
        last: Event | None = None  # a command that the next line may continue
        for number, line, cut in numbered_lines(opened.path):
            if cut:
                account.damage_at(f"line {number}", f"a line of more than a megabyte: {cut} bytes left off")
                last = None
                continue
            prefix = prefixes.split(text(line))
            if prefix is not None:
                last = _command(prefix, number, opened.log_file, account)
                if last is not None:
                    batch.append(last)
            elif last is not None and last.command_line is not None and line.strip() and len(last.command_line) < 1 << 18:
                last.command_line += "\n" + text(line)
                account.parse()
            else:
                account.skip("line without a time" if line.strip() else "blank line")
            if len(batch) > 2_000 and last is None:
                account.made("esxi_shell", [event.kind.value for event in batch])
                yield batch
                batch = []
        if batch:
            account.made("esxi_shell", [event.kind.value for event in batch])
            yield batch


def _command(prefix: Prefix, number: int, log_file: str, account: Account) -> Event | None:
    host, rest = prefix.host, prefix.rest
    if host is not None and ("[" in host or "(" in host or host.lower() == "shell"):
        host, rest = None, f"{host} {rest}"  # no host: the word is the program
    found = _LINE.match(rest)
    if found is None:
        account.skip("other program")
        return None
    world, user, command = found.groups()
    if not command.strip() or (user is None and _MESSAGES.match(command)):
        account.skip("message of a shell session")
        return None
    account.parse()
    return Event(
        kind=EventKind.SHELL_COMMAND,
        time=prefix.time,
        log_source="esxi_shell",
        log_file=log_file,
        record=str(number),
        host=host,
        user=user or None,
        session=world,
        pid=int(world),
        process_name="shell",
        command_line=command.strip(),
    )

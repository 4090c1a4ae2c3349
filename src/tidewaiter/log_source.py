"""What a log source is, and the register of all of them.

A *stream* log source reads a whole input by itself (auditd, Zeek, SQLite histories). A *windows* log source maps records of
one or more Windows event providers, whatever container and shape they came in (EVTX, NXLog, Winlogbeat, ECS ...), because the
record says what it is and the file name does not. Parsers never judge: they say what the record says.

To add one: a module in log_sources/ with a class `Source`, one line below, and a folder in tests/samples/.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Needs
from tidewaiter.schema.event import Event

HEAD_BYTES = 65_536
"""How much of an input a recogniser sees."""


class Opened(msgspec.Struct, kw_only=True, frozen=True):
    """One input, ready to read: always a real file, for members of archives a private temporary one."""

    path: Path
    log_file: str  # what evidence cites: path as given, `archive.zip!inner/name` for members
    size: int
    head: bytes  # the first HEAD_BYTES


class StreamSource(Protocol):
    """A log source that reads an input by itself. A fresh instance serves each input, so it may keep state."""

    title: str  # for people: "Linux auditd"

    def recognise(self, head: bytes) -> str | None:
        """Why these first bytes are ours, in words ("lines of type=... msg=audit(...)"), or None. Never raises."""
        ...

    # A log source whose events have several lines also says `whole(data: bytes) -> int`: how many bytes at the start of
    # lines from a growing log surely hold whole events. What is behind them is given again with what comes next.

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield events in batches of at most a few thousand and count every record in `account`.

        Raises DamagedError only where reading cannot go on; everything before it has been yielded by then.
        """
        ...


class SparingSource(StreamSource, Protocol):
    """A stream log source that can leave out what nobody needs, and count it instead (`schema.batch.Batch`)."""

    def spare(self, needs: Needs) -> None:
        """From now on make events of those records only that are needed one by one; the account stays that of all."""
        ...


class WindowsRecord(msgspec.Struct, kw_only=True, gc=False):
    """One Windows event, whatever container and shape it came in."""

    provider: str  # lower case, e.g. "microsoft-windows-sysmon"
    event_id: int
    channel: str | None
    computer: str | None
    time: int  # microseconds since 1970 UTC
    log_file: str
    record: str  # EventRecordID of an EVTX file; 1-based line (or array index + 1) of a JSON file
    data: Mapping[str, Any]  # EventData or UserData by name; unnamed values as "0", "1", ...
    user_id: str | None = None  # SID of the Security element
    process_id: int | None = None  # writer of the event


class WindowsSource(Protocol):
    """A log source fed with the records of its providers. A fresh instance serves each input."""

    title: str
    providers: Mapping[str, frozenset[int]]  # provider in lower case -> the event ids it maps

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The events of one record; none where the record says nothing of use. Raises DamagedError on a broken record."""
        ...

    def finish(self) -> Iterable[Event]:
        """What was held back for joining, at the end of the input."""
        ...


class Entry(NamedTuple):
    """One line of the register. Modules are named, not imported: only what the input needs is loaded."""

    name: str
    family: Literal["stream", "windows"]

    def load(self) -> Any:
        """A fresh instance of the module's `Source`."""
        return importlib.import_module(f"tidewaiter.log_sources.{self.name}").Source()


REGISTER: tuple[Entry, ...] = (
    Entry("windows_sysmon", "windows"),
    Entry("windows_security", "windows"),
    Entry("windows_powershell", "windows"),
    Entry("windows_bits", "windows"),
    Entry("windows_defender", "windows"),
    Entry("windows_system", "windows"),
    # Streams are asked in this order; the first that recognises the content reads it.
    Entry("packet_capture", "stream"),
    Entry("browser_chrome", "stream"),
    Entry("browser_firefox", "stream"),
    Entry("macos_quarantine", "stream"),
    Entry("linux_auditd", "stream"),
    Entry("linux_sysmon", "stream"),
    Entry("suricata_eve", "stream"),
    Entry("zeek", "stream"),
    Entry("macos_jamf", "stream"),
    Entry("macos_santa", "stream"),
    Entry("linux_tetragon", "stream"),
    Entry("linux_shell_history", "stream"),
    Entry("esxi_shell", "stream"),
    Entry("netflow", "stream"),
    Entry("ftp_server", "stream"),  # before web_server: ProFTPD writes access lines too
    Entry("proxy_squid", "stream"),  # before web_server: its emulated lines are access lines too
    Entry("web_server", "stream"),
    Entry("proxy_w3c", "stream"),
    Entry("esxi_host", "stream"),
    Entry("linux_sshd", "stream"),  # after whatever else stands in syslog lines
    Entry("firewall", "stream"),  # the loosest of all: names of columns
)


def streams() -> list[Entry]:
    """The stream log sources in the order in which they are asked."""
    return [entry for entry in REGISTER if entry.family == "stream"]


def windows() -> list[Entry]:
    """The windows log sources."""
    return [entry for entry in REGISTER if entry.family == "windows"]

"""One file on the wire, joined from everything that the sensors said of it: the noun between correlation and judgement."""

from __future__ import annotations

from typing import Literal

import msgspec

from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Evidence

EVIDENCE_KEPT = 60
SUMMARY_LENGTH = 400

Shown = Literal["content", "control", "flow"]
"""What shows it: the content itself, only the command and its replies, or only the size of a flow."""


class Carried(msgspec.Struct, kw_only=True, gc=False):
    """A file that crossed the wire. The client opened the connection; the receiver got the bytes.

    Times are microseconds since 1970 UTC, sizes bytes. `outcome` is that of the contract.
    """

    time: int
    last: int = 0
    shown: Shown = "content"
    protocol: str | None = None
    transport: str | None = None
    client_ip: str | None = None
    client_port: int | None = None
    server_ip: str | None = None
    server_port: int | None = None
    server_name: str | None = None
    push: bool = False  # the client gave the bytes
    host_name: str | None = None  # name of the receiver, where a log of its own says it
    user: str | None = None

    url: str | None = None
    method: str | None = None
    status: int | None = None
    user_agent: str | None = None
    asked: bool = False  # the request was seen, so a missing User-Agent is known to be missing
    declared_type: str | None = None  # what the server said it is
    redirected_from: str | None = None
    redirects_to: str | None = None

    name: str | None = None
    size: int | None = None
    expected: int | None = None  # size that was announced
    content_type: str | None = None  # magic or MIME type by the content itself
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    short: str | None = None  # why it is not whole, in words
    pieces: tuple[tuple[int, int], ...] = ()  # first and last byte of each range that was seen
    share: str | None = None

    flow_out: int | None = None  # bytes of the whole flow, client to server
    flow_in: int | None = None
    community_id: str | None = None
    alerts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    outcome: Literal["completed", "attempted", "failed", "partial"] = "completed"

    evidence: list[Evidence] = []
    connected: list[int] = []  # evidence rows that show the connection
    carried: list[int] = []  # evidence rows that show the content
    commanded: list[int] = []
    sensors: set[str] = set()

    @property
    def sender_ip(self) -> str | None:
        """Address of the side that gave the bytes."""
        return self.client_ip if self.push else self.server_ip

    @property
    def receiver_ip(self) -> str | None:
        """Address of the side that got the bytes."""
        return self.server_ip if self.push else self.client_ip

    @property
    def seen_type(self) -> str:
        """What the content is by itself, or empty where no sensor looked."""
        return self.content_type or ""

    def cite(self, event: Event, summary: str, *stages: str) -> None:
        """Add an event as evidence, for the stages that it shows."""
        self.last = max(self.last, event.time)
        self.sensors.add(event.log_source)
        index = next(
            (at for at, row in enumerate(self.evidence) if row.record == event.record and row.log_file == event.log_file), None
        )
        if index is None:
            if len(self.evidence) >= EVIDENCE_KEPT:
                return
            self.evidence.append(
                Evidence(
                    log_file=event.log_file,
                    record=event.record,
                    time=event.time,
                    log_source=event.log_source,
                    summary=summary[:SUMMARY_LENGTH],
                )
            )
            index = len(self.evidence) - 1
        for stage in stages:
            rows = self.connected if stage == "connected" else self.carried if stage == "carried" else self.commanded
            if index not in rows:
                rows.append(index)

    def absorb(self, other: Carried) -> None:
        """Take over what another sensor saw of the same file."""
        offset = len(self.evidence)
        room = EVIDENCE_KEPT - offset
        self.evidence += other.evidence[:room]
        for mine, theirs in (
            (self.connected, other.connected),
            (self.carried, other.carried),
            (self.commanded, other.commanded),
        ):
            mine += [offset + index for index in theirs if index < room]
        self.last = max(self.last, other.last)
        self.sensors |= other.sensors
        for name in _TAKEN:
            if getattr(self, name) is None:
                setattr(self, name, getattr(other, name))
        self.notes += tuple(note for note in other.notes if note not in self.notes)
        self.alerts += tuple(alert for alert in other.alerts if alert not in self.alerts)


_TAKEN = (
    "url", "method", "status", "user_agent", "declared_type", "name", "size", "expected", "content_type", "sha256", "sha1",
    "md5", "share", "flow_out", "flow_in", "community_id", "server_name", "user", "redirected_from", "redirects_to",
    "host_name",
)  # fmt: skip

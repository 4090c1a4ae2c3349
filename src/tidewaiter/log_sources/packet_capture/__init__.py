"""Packet captures (pcap and pcapng), read by Suricata 7 with our configuration; its EVE log becomes the events.

The EVE log is kept only while it is read, so its lines name nothing: `flow_id` is the number of the flow in the order in which
they began, and `record` is that number with the record's own within the flow ("12.3"). tshark, where it is installed, adds the
files of protocols that Suricata does not carry. `formats.capture_suricata` runs Suricata and says what it is asked for.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from tidewaiter.formats import capture, capture_copy, capture_suricata
from tidewaiter.formats.capture import Capture
from tidewaiter.formats.capture_harvest import Harvest
from tidewaiter.formats.capture_suricata import Engine, Program
from tidewaiter.log_source import HEAD_BYTES, REGISTER, Opened
from tidewaiter.log_sources.packet_capture.again import read_again
from tidewaiter.log_sources.packet_capture.carried import Added
from tidewaiter.log_sources.packet_capture.flows import Flow, Flows, Numbering, survey_log
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Needs
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.extracted import Extracts
from tidewaiter.schema.tally import tally

NAME = "packet_capture"


class Source:
    """The stream log source of packet captures."""

    title = "packet capture"

    def __init__(self) -> None:
        self._extracted: tuple[Path, Extracts] | None = None
        self._needs: Needs | None = None

    def spare(self, needs: Needs) -> None:
        """From now on count the flows, names, handshakes and alerts that nobody needs one by one."""
        self._needs = cast(Needs, _NeedsOfCapture(needs))

    def extract(self, folder: Path, extracts: Extracts) -> None:
        """From now on put the contents that are carved aside in a private folder, which is made, and list them."""
        self._extracted = folder, extracts

    def recognise(self, head: bytes) -> str | None:
        """The header of a pcap or pcapng file."""
        return capture.recognise(head)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events of the capture; batches are empty while Suricata is at work, so that nobody takes us for stuck.

        Raises MissingProgramError, before anything is counted, where Suricata is not installed.
        """
        program = capture_suricata.find()
        harvest = Harvest(*self._extracted, opened.log_file) if self._extracted else None
        account.recognised_as, account.why = f"{self.title}, Suricata {program.version}", capture.recognise(opened.head)
        held = capture.survey(opened.path)
        _count_damage(held, account)
        if held.secrets:
            account.notes.append("the capture holds TLS keys, which are not used")
        with tempfile.TemporaryDirectory(prefix="tidewaiter-capture-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            log = yield from _run(_Engine(program, opened.size, harvest), opened, held, folder, account)
            if log is None:
                return
            flows = survey_log(log)
            if flows.forgotten:
                account.notes.append(f"{flows.forgotten:,} flows more than are kept: their files keep the direction of the log")
            with log.open("rb") as lines:
                numbering = Numbering(lines, flows)
                for events in _events(log, opened, account, self._needs):
                    for event, flow in numbering.turns(events):
                        _name(event, flow, flows)
                    events.sort(key=lambda event: (event.time, event.record))  # the last records of flows come in no order
                    if harvest is not None:
                        _describe(events, harvest)
                    yield events
                numbering.finish()
            added = Added(opened.log_file, account, harvest)
            yield from read_again(opened, held, flows, folder, added)
            if added.events:
                account.parse(len(added.events))
                yield tally(added.events, account)


def _describe(events: list[Event], harvest: Harvest) -> None:
    """Tell what the events say of contents. They then say what they say without a harvest.

    Of a file that did not end, without a gap, Suricata gives a hash only where it stores it, and then the SHA-256 alone.
    """
    for event in events:
        harvest.describe(event)
        if event.sha256 is not None and event.md5 is None and not (event.extra or {}).get("gaps"):
            event.sha256 = None


def _count_damage(held: Capture, account: Account) -> None:
    for item in held.damage:
        account.damage_at(item.place, item.problem)
    if held.damaged > len(held.damage):
        account.damage_at("the capture", "more damaged records", held.damaged - len(held.damage))


class _NeedsOfCapture:
    """Needs of a capture: flows that may matter are asked for as events, for they are named; all alerts are our own rules'."""

    rows = False

    def __init__(self, needs: Needs) -> None:
        self._needs = needs

    def alert(self, *_: object) -> bool:
        """Each is told, whatever its severity."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._needs, name)


class _Engine:
    """Suricata for one capture of `size` bytes."""

    def __init__(self, program: Program, size: int, harvest: Harvest | None) -> None:
        self.program, self.size, self.harvest = program, size, harvest

    def run(self, part: Path, folder: Path) -> Generator[list[Event], None, Engine]:
        """One run in a folder of its own; what it stores is put aside as it comes."""
        folder.mkdir()
        seconds = capture_suricata.seconds_for(self.size)
        running = capture_suricata.read(self.program, part, folder, seconds, storing=self.harvest is not None)
        try:
            while True:
                try:
                    next(running)
                except StopIteration as done:
                    engine: Engine = done.value
                    return engine
                finally:
                    if self.harvest is not None:
                        self.harvest.sweep(folder)
                yield []
        finally:
            running.close()

    def report(self, run: Engine, account: Account) -> None:
        """Put into the account how a run ended."""
        program = self.program
        if run.packets is not None:
            account.notes.append(f"Suricata {program.version} read {run.packets:,} packets")
        if run.ended.out_of_time:
            bound = capture_suricata.seconds_for(self.size)
            account.damage_at("packet engine", f"Suricata was stopped after {bound:.0f} s; what it had logged by then was read")
        elif run.refused is not None:
            account.damage_at("packet engine", f"Suricata does not read this capture: {run.refused}")
        elif run.ended.code:
            account.damage_at("packet engine", f"Suricata ended with exit code {run.ended.code}; what it had logged was read")


def _run(
    engine: _Engine, opened: Opened, held: Capture, folder: Path, account: Account
) -> Generator[list[Event], None, Path | None]:
    """Run Suricata on the capture, or on readable copies of it; returns its log, or None where there is nothing in it."""
    if not held.packets:
        account.notes.append("0 packets")
        return None
    links = capture_suricata.links()
    convertible = links.read | links.strip.keys() | {capture_copy.SLL2}
    for link in sorted(held.links.keys() - convertible):
        name = f" ({links.names[link]})" if link in links.names else ""
        account.skip(f"packet of link type {link}{name}, which Suricata does not read", held.links[link])
    parts = [opened.path]
    if held.resumed or len(held.links) > 1 or not held.links.keys() <= links.read:
        parts = _copied(opened, folder, account)
    log = folder / "eve.json"
    for number, part in enumerate(parts):
        run = yield from engine.run(part, folder / f"run-{number}")
        if run.refused is not None and part == opened.path:
            account.notes.append(f"Suricata refused the file ({run.refused})")
            for again, copy in enumerate(_copied(opened, folder, account)):
                run = yield from engine.run(copy, folder / f"again-{again}")
                engine.report(run, account)
                _append(run.log, log)
            continue
        engine.report(run, account)
        _append(run.log, log)
    return log if log.exists() else None


def _copied(opened: Opened, folder: Path, account: Account) -> list[Path]:
    links = capture_suricata.links()
    copies = folder / "copies"
    copies.mkdir()
    parts = capture_copy.copy_readable(opened.path, copies, links.read, links.strip)
    account.notes.append(f"readable packets were copied to {len(parts)} pcap file{'s' if len(parts) != 1 else ''} for Suricata")
    return parts


def _append(part: Path, log: Path) -> None:
    """Join the logs of several runs, so that a line number names one record."""
    with suppress(FileNotFoundError):
        if not log.exists():
            part.replace(log)
            return
        with part.open("rb") as source, log.open("ab") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def _events(log: Path, opened: Opened, account: Account, needs: Needs | None) -> Iterator[list[Event]]:
    """The events of the EVE log, as the log source of Suricata reads them, with our name and label."""
    reader = next(entry for entry in REGISTER if entry.name == "suricata_eve").load()
    if needs is not None:
        reader.spare(needs)
    with log.open("rb") as file:
        head = file.read(HEAD_BYTES)
    inner = Account(log_file=opened.log_file)
    if not head:
        return
    for events in reader.read(Opened(path=log, log_file=opened.log_file, size=log.stat().st_size, head=head), inner):
        for event in events:
            event.log_source = NAME
        yield events
    for kind, count in inner.kinds.items():
        name = f"{NAME}:{kind.partition(':')[2]}"
        account.kinds[name] = account.kinds.get(name, 0) + count
    account.first, account.last = inner.first, inner.last
    account.parse(inner.parsed)
    for reason, count in inner.skipped.items():
        account.skip(reason, count)
    for item in inner.damage:
        account.damage_at(f"EVE {item.place}", item.problem)
    if inner.damaged > len(inner.damage):
        account.damage_at("EVE", "more damaged records", inner.damaged - len(inner.damage))


def _name(event: Event, flow: Flow | None, flows: Flows) -> None:
    """Name the event by its flow's number and its own within the flow, and turn files by who opened the flow."""
    if flow is None:
        event.record = f"line {event.record}"
        return
    event.record = flow.next_record()
    event.flow_id = str(flow.number)
    extra = event.extra or {}
    parent = flows.known.get(extra.get("parent_id", ""))
    if parent is not None:
        extra["parent_id"] = str(parent.number)
    if event.kind is EventKind.FILE_ON_WIRE and flow.opener == (event.dst_ip, event.dst_port) != (event.src_ip, event.src_port):
        event.src_ip, event.dst_ip = event.dst_ip, event.src_ip
        event.src_port, event.dst_port = event.dst_port, event.src_port
        if "is_orig" in extra:
            extra["is_orig"] = not extra["is_orig"]

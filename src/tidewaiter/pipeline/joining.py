"""Cases of hosts and of the wire on disk while their partners are looked for; only small entries stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from tidewaiter.correlation import spread
from tidewaiter.correlation.joins import Joins, host_names, merge
from tidewaiter.schema.case import Case

SPREAD_SHOWN = 32
"""Further hosts whose evidence a record cites."""
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Case)


def joined_on_disk(cases: Iterable[Case], work_dir: Path, addresses: Mapping[str, set[str]]) -> Iterator[Case]:
    """All cases, those of a host merged with what the wire showed of them, in the order in which they came."""
    joins = Joins(addresses)
    path = work_dir / "cases.run"
    places: list[tuple[int, int]] = []  # offset and length of each case
    written = 0
    with path.open("wb") as file:
        for case in cases:
            data = _ENCODER.encode(case)
            places.append((written, len(data)))
            written += file.write(data)
            joins.add(case)
    partners = joins.partners()
    names = host_names(joins.addresses)
    further = Spread(joins, partners, names)
    gone = {number for pairs in partners.values() for number, _ in pairs}
    with path.open("rb") as file:
        for number in range(len(places)):
            if number in gone:
                continue
            wires = [(_read(file, places[other]), key) for other, key in partners.get(number, ())]
            case = _read(file, places[number])
            yield completed(case, number, wires, further, names, lambda other: _read(file, places[other]))
    path.unlink()


def completed(
    case: Case,
    number: int,
    wires: list[tuple[Case, str]],
    spread: Spread,
    names: Mapping[str, str],
    case_of: Callable[[int], Case],
) -> Case:
    """A case with what the wire showed of it and what the stage from host to host adds."""
    if wires:
        merge(case, wires, names)
    device = case.transfer.device
    if device.hostname is None and device.ip in names:
        device.hostname = names[device.ip or ""]
    for other in spread.others(number):
        spread.tell(case, number, other, case_of(other))
    spread.place(case, number)
    return case


class Spread:
    """What the stage from host to host adds to a case."""

    def __init__(self, joins: Joins, partners: Mapping[int, list[tuple[int, str]]], names: Mapping[str, str]) -> None:
        gone = {number for pairs in partners.values() for number, _ in pairs}
        entries = [entry for entry in joins.entries if entry.number not in gone]
        self.hashes = {entry.number: entry.sha256 for entry in entries if entry.sha256}
        self.sources = spread.sources(entries, names)
        self.onward: dict[int, list[spread.Link]] = {}
        self.origin: dict[int, spread.Link] = {}
        for link in spread.links(entries, names):
            self.onward.setdefault(link.earlier, []).append(link)
            self.origin[link.later] = link

    def others(self, number: int) -> list[int]:
        """The cases whose evidence shows that this one's file went on, and the one it came from."""
        found = [link.later for link in self.onward.get(number, ())][:SPREAD_SHOWN]
        return [*found, *([self.origin[number].earlier] if number in self.origin else [])]

    def tell(self, case: Case, number: int, other_number: int, other: Case) -> None:
        """Say it in the record: the stage and its evidence on the first host, the origin on the later one."""
        transfer = case.transfer
        if number in self.origin and self.origin[number].earlier == other_number:
            origin = self.origin[number]
            transfer.src.hostname = transfer.src.hostname or origin.first_host
            if transfer.file.sha256 is None and origin.key == "sent":
                transfer.file.sha256 = self.hashes.get(other_number)
            case.marks.setdefault("came_from", f"{origin.first_host} ({other.transfer.id})")
            return
        record = transfer.stages["spread"]
        if other.transfer.evidence:
            record.evidence = [*record.evidence, len(transfer.evidence)]
            transfer.evidence.append(other.transfer.evidence[0])
        record.state = "seen"
        record.time = min(filter(None, (record.time, other.transfer.time)), default=None)
        target = other.transfer.device.hostname or other.transfer.device.ip or "another host"
        case.marks.setdefault("went_on", f"{target} ({other.transfer.id})")

    def place(self, case: Case, number: int) -> None:
        """A source that is another host of this evidence makes the transfer lateral."""
        source = self.sources.get(number)
        if source is not None and case.transfer.device.hostname is not None:
            case.transfer.src.hostname = case.transfer.src.hostname or source
            case.transfer.direction = "lateral"


def _read(file: BinaryIO, place: tuple[int, int]) -> Case:
    file.seek(place[0])
    return _DECODER.decode(file.read(place[1]))

"""Cases of hosts and of the wire on disk while their partners are looked for; only small entries stay in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from tidewaiter.correlation.joins import Joins, host_names, merge
from tidewaiter.schema.case import Case

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Case)


def joined_on_disk(cases: Iterable[Case], work_dir: Path, addresses: Mapping[str, set[str]]) -> Iterator[Case]:
    """All cases, those of a host merged with what the wire showed of them, in the order in which they came."""
    joins = Joins(addresses)
    path = work_dir / "cases.run"
    places: list[tuple[int, int]] = []  # offset and length of each case
    with path.open("wb") as file:
        for case in cases:
            data = _ENCODER.encode(case)
            places.append((file.tell(), len(data)))
            file.write(data)
            joins.add(case)
    partners = joins.partners()
    names = host_names(joins.addresses)
    gone = {number for pairs in partners.values() for number, _ in pairs}
    with path.open("rb") as file:
        for number in range(len(places)):
            if number in gone:
                continue
            case = _read(file, places[number])
            wires = [(_read(file, places[other]), key) for other, key in partners.get(number, ())]
            if wires:
                merge(case, wires, names)
            if case.transfer.device.hostname is None and case.transfer.device.ip in names:
                case.transfer.device.hostname = names[case.transfer.device.ip or ""]
            yield case
    path.unlink()


def _read(file: BinaryIO, place: tuple[int, int]) -> Case:
    file.seek(place[0])
    return _DECODER.decode(file.read(place[1]))

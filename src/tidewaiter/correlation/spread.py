"""Host to host (T1570): the same file reaching further hosts, and the host that it reached first.

Works on the entries of cases that are already joined with the wire. Two hosts that fetched one file from the same place
outside are not a spread: the later one must have it from the earlier one, by address, by name, or by the command that sent it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidewaiter.correlation.join_index import Entry

SECOND = 1_000_000
SENT_WINDOW = 60 * SECOND
"""A command that sends a file, and the file's arrival on the other host."""
SPREAD_WINDOW = 30 * 24 * 3_600 * SECOND


@dataclass(frozen=True, slots=True)
class Link:
    """The transfer `later` brought to another host what `earlier` had brought to the first."""

    earlier: int
    later: int
    key: str  # sha256, sent, name
    first_host: str


def sources(entries: Iterable[Entry], names: Mapping[str, str]) -> dict[int, str]:
    """Number of a case -> the other host of this evidence that its bytes came from, by address."""
    found = {}
    for entry in entries:
        owner = names.get(entry.sender or "")
        if owner is not None and owner != entry.host:
            found[entry.number] = owner
    return found


def links(entries: Iterable[Entry], names: Mapping[str, str]) -> list[Link]:
    """Every arrival on a further host with the first arrival of the same file, each later one once."""
    ordered = sorted(entries, key=lambda entry: (entry.time, entry.number))
    by_hash: dict[str, list[Entry]] = defaultdict(list)
    by_name: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    sent: dict[str, list[tuple[int, str | None, Entry]]] = defaultdict(list)
    found: list[Link] = []
    for entry in ordered:
        for time, name, remote in entry.sent:
            sent[name].append((time, remote, entry))
    for entry in ordered:
        earlier, key = _origin(entry, by_hash, by_name, sent, names)
        if earlier is not None and earlier.host is not None:
            found.append(Link(earlier.number, entry.number, key, earlier.host))
        if entry.sha256:
            by_hash[entry.sha256].append(entry)
        if entry.host and entry.name:
            by_name[entry.host, entry.name].append(entry)
    return found


def _origin(
    entry: Entry,
    by_hash: Mapping[str, list[Entry]],
    by_name: Mapping[tuple[str, str], list[Entry]],
    sent: Mapping[str, list[tuple[int, str | None, Entry]]],
    names: Mapping[str, str],
) -> tuple[Entry | None, str]:
    source = names.get(entry.sender or "")
    for time, remote, sender in sent.get(entry.name, ()):
        at_hand = sender.host != entry.host and abs(time - entry.time) <= SENT_WINDOW
        if at_hand and (source == sender.host or remote in (entry.host, entry.receiver)):
            return sender, "sent"
    if source is None or source == entry.host:
        return None, ""
    for earlier in by_hash.get(entry.sha256 or "", ()):
        if earlier.host == source and entry.time - earlier.time <= SPREAD_WINDOW:
            return earlier, "sha256"
    for earlier in by_name.get((source, entry.name), ()):
        unlike = entry.sha256 and earlier.sha256 and entry.sha256 != earlier.sha256
        if not unlike and entry.time - earlier.time <= SPREAD_WINDOW:
            return earlier, "name"
    return None, ""

"""Which cases have to do with one another, so that a live engine joins those anew that a change may touch, and no others.

Two cases have to do with each other where one may be joined with the other, where both may be joined with the same one, where
they hold the same file, or where one may have brought the other on to its host. An index lives on from change to change.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from tidewaiter.correlation.join_index import (
    ENDPOINT_WINDOW,
    HASH_WINDOW,
    RECEIVE_WINDOW,
    URL_WINDOW,
    Entry,
    Index,
    Table,
    parents,
    times_connected,
)

NEAR = 2 * URL_WINDOW
"""Cases with the name of one file have to do with each other where they are so near in log time (microseconds)."""


class Reach:
    """An index over the entries of all cases at hand, of hosts and of the wire. Their numbers are unlike."""

    def __init__(self) -> None:
        self._wires = Index(())
        self._askers: Table[tuple[Any, ...]] = Table(times_connected)  # entries of hosts by what they may be joined by
        self._redirecting: Table[str] = Table()  # wire entries by where they send to
        self._same: dict[tuple[Any, ...], dict[int, Entry]] = {}  # by content, and by what copies of one event have in common
        self._by_name: Table[str] = Table()
        self._senders: Table[str] = Table(_sent_at)  # those that sent a file of that name on

    def add(self, entry: Entry) -> None:
        """Take an entry in."""
        for key in _exactly(entry):
            self._same.setdefault(key, {})[entry.number] = entry
        for table, key in self._keys(entry):
            table.add(key, entry)
        if entry.on_wire:
            self._wires.add(entry)

    def remove(self, entry: Entry) -> None:
        """Forget an entry that was taken in."""
        for key in _exactly(entry):
            del self._same[key][entry.number]
            if not self._same[key]:
                del self._same[key]
        for table, key in self._keys(entry):
            table.remove(key, entry)
        if entry.on_wire:
            self._wires.remove(entry)

    def _keys(self, entry: Entry) -> Iterator[tuple[Table[Any], Any]]:
        """Where an entry is found by something that it need not have exactly, and by what."""
        if entry.name:
            yield self._by_name, entry.name
        yield from ((self._senders, name) for name in _sent(entry))
        if entry.on_wire:
            yield from ((self._redirecting, url) for url in entry.redirects)
        else:
            yield from ((self._askers, key) for key in _asked(entry))

    def reached(
        self,
        changed: Iterable[Entry],
        gone: Iterable[Entry],
        joined: Callable[[Entry], Iterable[Entry]],
        hosts: Container[str | None],
    ) -> list[Entry]:
        """The entries that have to do with what changed and what is gone, themselves or through others; without what is gone.

        `joined` gives the entries that one was joined or linked with when it was last looked at, `hosts` are the addresses of
        known hosts: what comes from there may have come to that host long before.
        """
        found: dict[int, Entry] = {}
        candidates: dict[int, list[Entry]] = {}  # of a host's entry, once they were asked for
        waiting: list[Entry] = []

        def visit(entries: Iterable[Entry]) -> None:
            for entry in entries:
                if entry.number not in found:
                    found[entry.number] = entry
                    waiting.append(entry)

        def candidates_of(host: Entry) -> list[Entry]:
            known = candidates.get(host.number)
            if known is None:
                known = candidates[host.number] = [wire for wire, _ in self._wires.candidates(host)]
            return known

        for entry in changed:
            visit((entry,))
            if entry.on_wire:  # that it is there may keep others from being joined
                visit(self._may_ask(entry))
        for entry in gone:
            visit(self._beside(entry, hosts))
            visit(self._may_ask(entry) if entry.on_wire else candidates_of(entry))
        while waiting:
            entry = waiting.pop()
            visit(joined(entry))
            visit(self._beside(entry, hosts))
            if entry.on_wire:
                visit(host for host in self._may_ask(entry) if any(wire is entry for wire in candidates_of(host)))
            else:
                visit(candidates_of(entry))
        return list(found.values())

    def _may_ask(self, wire: Entry) -> Iterator[Entry]:
        """The entries of hosts that may be joined with one of the wire: by the keys of `Index.candidates`."""
        near = self._askers.near
        if wire.sha256:
            yield from near(("sha256", wire.sha256), wire.times, HASH_WINDOW)
        below = {parent for url in wire.urls for parent in parents(url)} if wire.sender and wire.port else set()
        for url in {*wire.urls, *wire.redirected, *below}:
            yield from near(("url", url), wire.times, URL_WINDOW)
        if wire.sender and not wire.name:
            yield from near(("session", wire.sender), wire.times, RECEIVE_WINDOW)
        if wire.sender and wire.name:
            yield from near(("name", wire.sender, wire.name), wire.times, URL_WINDOW)
        if wire.sender and wire.port:
            yield from near(("endpoint", wire.sender, wire.port), wire.times, ENDPOINT_WINDOW)

    def _beside(self, entry: Entry, hosts: Container[str | None]) -> Iterator[Entry]:
        """Those with the same content or name, and on the wire what belongs to the same act."""
        for key in _exactly(entry):
            yield from self._same.get(key, {}).values()
        if entry.name:
            yield from self._by_name.near(entry.name, entry.times, NEAR)
            from_host = entry.sender in hosts
            yield from (one for one in self._by_name.every(entry.name) if from_host or one.sender in hosts)
            yield from self._senders.near(entry.name, entry.times, NEAR)
        for time, name, _ in entry.sent:
            yield from self._by_name.near(name, (time,), NEAR)
        if entry.on_wire:
            yield from (other for other, _ in self._wires.siblings(entry))
            for url in entry.redirects:
                yield from self._wires.at(url, entry.times, ENDPOINT_WINDOW)
            for url in entry.urls:
                yield from self._redirecting.near(url, entry.times, ENDPOINT_WINDOW)


def _exactly(entry: Entry) -> Iterator[tuple[Any, ...]]:
    yield entry.time, entry.on_wire, entry.host
    if entry.sha256:
        yield ("sha256", entry.sha256)


def _sent(entry: Entry) -> set[str]:
    """Names of the files that its host sent on."""
    return {name for _, name, _ in entry.sent}


def _sent_at(entry: Entry) -> tuple[int, ...]:
    return tuple(time for time, _, _ in entry.sent)


def _asked(entry: Entry) -> Iterator[tuple[Any, ...]]:
    """What a host's entry may be joined by: the keys of `Index.candidates`."""
    if entry.sha256:
        yield "sha256", entry.sha256
    for url in entry.urls:
        yield "url", url
    if entry.sender and entry.received:
        yield "session", entry.sender
    if entry.sender and entry.name:
        yield "name", entry.sender, entry.name
    if entry.sender and entry.port and not entry.received:
        yield "endpoint", entry.sender, entry.port

"""The one place that wires stages: one work item in, sorted runs of rows and accounts out; then rows in, transfers out."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import msgspec

from tidewaiter import analytic, log_source
from tidewaiter.baseline import observing
from tidewaiter.baseline.counters import Counters
from tidewaiter.baseline.decay import HALF_LIFE
from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.baseline.observing import Observer
from tidewaiter.correlation import keys, quiet, wire_keys
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.host import HostFold, HostView
from tidewaiter.correlation.wire import WireFold, WireView
from tidewaiter.correlation.wire_cases import case_of
from tidewaiter.correlation.wire_roles import Roles
from tidewaiter.correlation.wire_sizes import Prospect, nothing_alone, prospect_of
from tidewaiter.errors import InputError, MissingProgramError
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline import dormant, inputs, rows
from tidewaiter.pipeline.batches import RowBatch
from tidewaiter.pipeline.copies import Copies
from tidewaiter.pipeline.dormant import Sleeper
from tidewaiter.pipeline.inputs import InputLimits, Opened, Recognised, Unreadable, WorkItem
from tidewaiter.pipeline.joining import joined_on_disk
from tidewaiter.pipeline.rows import Extent, Row, Run, row_of
from tidewaiter.pipeline.sieve import Sieve
from tidewaiter.pipeline.survey import Survey
from tidewaiter.pipeline.years import Neighbours, folder_of, is_undated
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Batch, FlowRows, flow_event
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.case import Case
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.extracted import Extracts
from tidewaiter.schema.transfer import Transfer

ADDRESSES_KEPT = 16
"""Addresses that are remembered per host."""
OBJECTS = 100_000
"""Objects between two searches for garbage in cycles while folding: as many as a busy host has, so that what is held of it is
hardly ever searched."""
FLOWS_IN_MEMORY = 10_000
"""Flows that a worker holds before it writes those that wait."""
ROWS_IN_MEMORY = 1_000
"""Rows that a worker holds before it spills a sorted run."""

_CONTEXT = frozenset(map(id, keys.CONTEXT))
_START = id(EventKind.PROCESS_START)
"""Kinds by identity: members of an enumeration are hashed slowly, and there is one object for each."""


class ItemResult(msgspec.Struct, kw_only=True):
    """What became of one work item."""

    accounts: list[Account] = []
    unreadable: list[Unreadable] = []
    runs: list[Extent] = []
    unplaced: list[Extent] = []  # runs whose rows name no host
    dormant: list[Extent] = []  # runs of flows that wait (`pipeline.dormant`)
    folders: dict[str, list[str]] = {}  # folder -> hosts that its logs name
    kinds: dict[str, list[str]] = {}  # host key -> kinds of events that its logs hold
    names: dict[str, str] = {}  # host key -> a host name as spelled
    addresses: dict[str, list[str]] = {}  # host key -> addresses that its own logs give it
    usual: FlowBaseline = msgspec.field(default_factory=FlowBaseline)  # what the network events show to be usual
    survey: Survey | None = None  # what the logs hold, where that is all that was asked
    seen: Counters = msgspec.field(default_factory=Counters)  # who used what, how often, since when
    carries: bool = False  # a capture was read, whose contents can be asked for
    extracts: Extracts = msgspec.field(default_factory=Extracts)  # contents of captures, where they are asked for


class ItemReader:
    """Reads work items in one process: recognises, parses, finds, and spills rows to `work_dir`."""

    keeps_rows = True
    """Whether log sources may give flows as rows: those that only matter beside others then wait (`pipeline.dormant`)."""

    def __init__(
        self,
        work_dir: Path,
        name: str,
        heartbeat: Callable[[], None] | None = None,
        half_life: float = HALF_LIFE,
        *,
        survey: bool = False,
    ) -> None:
        self.work_dir = work_dir
        self.surveys = survey  # only count what the logs hold
        self.observer = Observer(half_life)
        self.name = name
        self.heartbeat = heartbeat or (lambda: None)
        analytics = [entry.load() for entry in analytic.REGISTER]
        self.sieve = Sieve(analytics)
        self.needs = wire_keys.needs(
            keys.CONTEXT.union(observing.KINDS, *(one.kinds for one in analytics)), rows=self.keeps_rows
        )
        self.limits = InputLimits()
        self._rows: list[Row] = []
        self._extracts: Extracts | None = None  # of the item that is read
        self._extracted = 0
        self._carries = False  # whether the item held a capture
        self._asleep: list[Sleeper] = []

    def read(self, item: WorkItem) -> ItemResult:
        """Read one item to its end. Raises nothing for bad input: that is in the result."""
        result = ItemResult()
        self._extracts, self._carries = result.extracts if item.extract else None, False
        members = self.work_dir / f"members-{self.name}"
        members.mkdir(mode=0o700, exist_ok=True)
        for opened in inputs.open_item(item, self.limits, members):
            self.heartbeat()
            if isinstance(opened, Unreadable):
                result.unreadable.append(opened)
            else:
                self._read_input(opened, result)
        self._spill(result)
        result.carries = self._carries
        self._lay_down(result)
        result.seen = self.observer.take()
        return result

    def _read_input(self, opened: Opened, result: ItemResult) -> None:
        recognised = self._recognise(opened)
        if recognised is None:
            problem = "no log source knows this content"
            result.unreadable.append(Unreadable(log_file=opened.log_file, place="file", problem=problem, kind="unrecognised"))
            return
        account = Account(log_file=opened.log_file, recognised_as=recognised.name, why=recognised.why, bytes=opened.size)
        result.accounts.append(account)
        try:
            for events in self._events(recognised.family, recognised.name, opened, account):
                self.heartbeat()
                (self._survey if self.surveys else self._take)(events, account, result)
        except MissingProgramError as error:
            result.accounts.remove(account)
            report = Unreadable(log_file=opened.log_file, place="file", problem=str(error), kind="unreadable")
            result.unreadable.append(report)
        except InputError as error:
            account.damage_at(error.place, error.problem)
        except Exception as error:  # noqa: BLE001 - a reader's bug costs one file: it is named, and the run goes on
            account.damage_at("reader", f"{type(error).__name__}: {error}")

    def _recognise(self, opened: Opened) -> Recognised | None:
        return inputs.recognise(opened)

    def _events(self, family: str, name: str, opened: Opened, account: Account) -> Iterator[list[Event]]:
        if family in ("evtx", "windows_json"):
            from tidewaiter.formats.windows import WindowsReader

            reader = WindowsReader([entry.load() for entry in log_source.windows()])
            if not self.surveys:
                reader.spare(self.needs)
            yield from reader.read(opened, account)
            return
        source = next(entry for entry in log_source.REGISTER if entry.name == name).load()
        if hasattr(source, "spare") and not self.surveys:
            source.spare(self.needs)
        if hasattr(source, "extract"):
            self._carries = True
            if self._extracts is not None:
                self._extracted += 1
                source.extract(self.work_dir / f"extracted-{self.name}-{self._extracted}", self._extracts)
        yield from source.read(opened, account)

    def _survey(self, events: list[Event], account: Account, result: ItemResult) -> None:
        """Count events, and remember the names of their hosts."""
        result.survey = result.survey or Survey()
        result.survey.note(events)
        for host, event in {(keys.host_key(event)): event for event in events if not wire_keys.is_wire(event)}.items():
            self._note_host(event, (host, event.kind.value), account.log_file, result)

    def _take(self, events: list[Event], account: Account, result: ItemResult) -> None:
        times = [event.time for event in events if event.time]
        if isinstance(events, Batch):
            self.observer.observe_counted(events.counted)
            self.observer.observe(events.uncounted())
            result.usual.note_counted(events.counted)
            result.usual.note(events.uncounted())
            if events.flows is not None:
                self._take_flows(events.flows, result)
        else:
            self.observer.observe(events)
        on_wire, others = wire_keys.divided(events)
        if on_wire:
            self._take_wire(on_wire, account.log_file, result, noted=isinstance(events, Batch))
        events = others
        self._take_hosts(events, account, result)
        if times:
            first, last = min(times), max(times)
            account.first = first if account.first is None else min(first, account.first)
            account.last = last if account.last is None else max(last, account.last)
        if len(self._rows) >= ROWS_IN_MEMORY:
            self._spill(result)

    def _take_hosts(self, events: list[Event], account: Account, result: ItemResult) -> None:
        """Events of hosts: what the analytics find and what correlation needs become rows."""
        found = self.sieve.findings(events)
        seen: set[tuple[str, int, bool]] = set()
        hosts: dict[str | None, str] = {}
        kept, rows_of = _CONTEXT, self._rows.append
        for place, event in enumerate(events):
            name, kind = event.host, event.kind
            host = hosts.get(name)
            if host is None:
                host = keys.host_key(event)
                if name:
                    hosts[name] = host
            number = id(kind)
            shown = (host, number, number == _START and bool(event.command_line or event.argv))
            if shown not in seen:
                seen.add(shown)
                self._note_host(event, (host, keys.visible_kind(event)), account.log_file, result)
            if kind is EventKind.CONNECTION and (address := keys.own_address(event)) is not None:
                known = result.addresses.setdefault(host, [])
                if address not in known and len(known) < ADDRESSES_KEPT:
                    known.append(address)
            if place in found:
                self.observer.found(event, found[place])
                rows_of(row_of(host, event, found[place]))
            elif number in kept:
                rows_of(row_of(host, event, ()))

    def _take_wire(self, events: list[Event], log_file: str, result: ItemResult, *, noted: bool) -> None:
        """Network events: all are counted for what is usual, those that may carry a file become rows of their two endpoints."""
        folder = folder_of(log_file)
        if not noted:
            result.usual.note(events)
        self._rows += [row_of(wire_keys.group_key(event, folder), event, ()) for event in wire_keys.wanted(events)]

    def _take_flows(self, flows: FlowRows, result: ItemResult) -> None:
        """Flows that may matter: those that do by themselves become rows, the others wait."""
        folder = folder_of(flows.log_file)
        for row in flows.rows:
            src, dst, got, sent = row.src_ip, row.dst_ip, row.bytes_in or 0, row.bytes_out or 0
            prospect = prospect_of(row.protocol, row.transport, row.dst_port, got, sent)
            if prospect is Prospect.SOMETHING or src is None or dst is None:
                event = flow_event(flows.log_source, flows.log_file, row)
                self._rows.append(row_of(wire_keys.group_key(event, folder), event, ()))
                continue
            service = None if prospect is Prospect.NOTHING else row.protocol or f"{row.transport}/{row.dst_port}"
            group = wire_keys.group_of(src, dst, folder)
            self._asleep.append(Sleeper(group, flows.log_source, flows.log_file, service, row))
        if len(self._asleep) >= FLOWS_IN_MEMORY:
            self._lay_down(result)

    def _lay_down(self, result: ItemResult) -> None:
        """Write the flows that wait."""
        if self._asleep:
            result.dormant.append(dormant.append_run(self.work_dir / f"flows-{self.name}.run", self._asleep))
            self._asleep = []

    def _note_host(self, event: Event, shown: tuple[str, str], log_file: str, result: ItemResult) -> None:
        """Remember what a host's logs can show, its name, and that it is named in this folder."""
        host, marker = shown
        kinds = result.kinds.setdefault(host, [])
        if marker not in kinds:
            kinds.append(marker)
        if event.host and host not in result.names:
            result.names[host] = event.host
        if not host.startswith("file:"):
            named = result.folders.setdefault(folder_of(log_file), [])
            if host not in named:
                named.append(host)

    def _spill(self, result: ItemResult) -> None:
        if not self._rows:
            return
        unplaced = [row for row in self._rows if row.host.startswith("file:") or is_undated(row.time)]
        placed = (
            [row for row in self._rows if not (row.host.startswith("file:") or is_undated(row.time))]
            if unplaced
            else self._rows
        )
        for group, runs in ((placed, result.runs), (unplaced, result.unplaced)):
            if group:
                runs.append(rows.append_run(self.work_dir / f"rows-{self.name}.run", group))
        self._rows = []


def place(unplaced: Iterable[Run], folders: dict[str, set[str]], neighbours: Neighbours | None = None) -> Iterator[Run]:
    """Give rows without a host the one host that the other logs of their folder name; rows elsewhere keep to their file.

    Rows without a year get that of their neighbours.
    """
    known = neighbours or Neighbours()
    for run in unplaced:
        placed = []
        for row in rows.read_run(run):
            hosts = folders.get(folder_of(row.event.log_file), set())
            if len(hosts) == 1 and row.host.startswith("file:"):
                row.host = next(iter(hosts))
            row.time = row.event.time = known.dated(row.time, row.event.log_file)
            placed.append(row)
        path, start = (run, 0) if isinstance(run, Path) else (Path(run.path), run.start)
        target = path.with_suffix(f".{start}.placed")  # the run stays as it was read: a scan that is resumed places it anew
        rows.write_run(target, placed)
        yield target


class WireCases:
    """Folds over network events, and what the analytics say of the files that come out."""

    def __init__(self, usual: FlowBaseline | None = None, internal: tuple[str, ...] = ()) -> None:
        self.usual = usual or FlowBaseline()
        self._internal = internal

    @functools.cached_property
    def view(self) -> WireView:
        """Whose side is whose, by all logs; made when the first network event is folded."""
        return WireView(Roles(self._internal), self.usual)

    @functools.cached_property
    def _analytics(self) -> list[analytic.WireAnalytic]:
        return [entry.load() for entry in analytic.WIRE_REGISTER]

    def nothing(self, glimpses: Sequence[Glimpse]) -> bool:
        """Whether these records, all of one group, amount to nothing, whatever else they say."""
        return self.view.sides is not None and nothing_alone(glimpses, self.view.sides)

    def cases(self, files: Iterable[Carried]) -> Iterator[Case]:
        """The cases of carried files; uploads out of the network are none."""
        for carried in files:
            direction = self.view.roles.direction(carried)
            if direction is not None:
                marks = [mark for one in self._analytics for mark in one.reasons(carried, self.usual)]
                yield case_of(carried, direction, marks)


def correlate(
    runs: Iterable[Run],
    work_dir: Path,
    kinds: dict[str, set[str]],
    names: dict[str, str],
    judge: Judge,
    wire: WireCases | None = None,
    addresses: dict[str, set[str]] | None = None,
    accounts: Sequence[Account] = (),
    waiting: Sequence[Extent] = (),
) -> Iterator[Transfer]:
    """Fold the rows, join hosts and wire (`addresses`: host key -> its addresses, as far as its logs tell) and judge.

    In `accounts` the records that are copies of others are moved from parsed to skipped; `waiting` are runs of flows that may
    matter beside the rows (`pipeline.dormant`).
    """
    runs = list(runs)
    cases = _folded(runs, work_dir, kinds, names, wire or WireCases(), Copies(accounts), waiting)
    if addresses or not rows.all_below(runs, wire_keys.PREFIX):
        cases = joined_on_disk(cases, work_dir, addresses or {})
    # else nothing is known of any host: no case has a partner, and no address a name
    yield from _seldom_collecting(judge.all(cases))


def _seldom_collecting(transfers: Iterator[Transfer]) -> Iterator[Transfer]:
    """The same, with garbage in cycles looked for less often: a fold holds much, and little of it is garbage."""
    before = gc.get_threshold()
    if before[0]:  # somebody who has switched it off wants none
        gc.set_threshold(max(OBJECTS, before[0]), *before[1:])
    try:
        yield from transfers
    finally:
        gc.set_threshold(*before)


def _folded(
    runs: Iterable[Run],
    work_dir: Path,
    kinds: dict[str, set[str]],
    names: dict[str, str],
    wire: WireCases,
    copies: Copies,
    waiting: Sequence[Extent],
) -> Iterator[Case]:
    """Fold the rows of each host, and of each pair of addresses, in time order."""
    hosts = rows.merge(list(runs), work_dir)
    for host, batches, asleep in dormant.beside(hosts, waiting, work_dir, lambda: wire.view.sides):
        if host.startswith(wire_keys.PREFIX):
            held = list(islice(batches, 2))
            if len(held) <= 1 and (asleep is None or not asleep.stand_out) and all(map(wire.nothing, held)):
                continue
            flows = WireFold(host, wire.view)
            for events in dormant.woven(chain(held, batches), asleep):
                yield from wire.cases(flows.step([(event, ()) for event in events], watermark=events[-1].time))
            yield from wire.cases(flows.finish())
        else:
            fold = HostFold(host, HostView(kinds.get(host, set()), names.get(host)))
            for batch in copies.left_out(batches):
                if isinstance(batch, RowBatch):
                    yield from quiet.advance(fold, batch.parts, batch)
                else:
                    yield from fold.advance(batch, watermark=batch[-1].time)
            yield from fold.finish()

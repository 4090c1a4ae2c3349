"""The fold over the network events between two addresses in time order: rows in, files that crossed the wire out.

Like the fold over a host it is `step(rows, watermark)` and `finish()`: batch is one pass, a live engine calls `step` again and
again. What is given up depends on log time alone, so it does not matter where the rows are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tidewaiter.baseline.flows import FlowBaseline, Sides
from tidewaiter.correlation import wire_ftp, wire_http, wire_ranges, wire_shares, wire_sizes, wire_tunnels
from tidewaiter.correlation.wire_flow import Flow, FlowKey, cite_flow
from tidewaiter.correlation.wire_ftp import COMMAND_WINDOW, Command
from tidewaiter.correlation.wire_keys import address
from tidewaiter.correlation.wire_roles import Roles
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

SECOND = 1_000_000
IDLE = 900 * SECOND
"""A flow without a record for so long is reported."""
SWEEP = 60 * SECOND
PENDING = 5_000
"""Records of one flow that wait to be joined; beyond them the older ones are reported early."""
SAME_FLOW = 5 * SECOND
"""Two sensors' times of one flow differ at most so much."""
SAME_FILE = 2 * SECOND
SAME_HASH = 120 * SECOND


@dataclass
class WireView:
    """What the fold needs to know beyond the rows: who is inside, and what is usual in the evidence."""

    roles: Roles = field(default_factory=Roles)
    baseline: FlowBaseline = field(default_factory=FlowBaseline)
    sides: Sides | None = None

    def __post_init__(self) -> None:
        self.sides = self.sides or Sides(self.baseline)


class WireFold:
    """State of one pair of addresses."""

    def __init__(self, group: str, view: WireView) -> None:
        self.host = group
        self.view = view
        self._flows: dict[FlowKey, Flow] = {}
        self._by_ends: dict[tuple[object, ...], Flow] = {}
        self._commands: list[Command] = []
        self._ranged: dict[tuple[str, int | None], wire_ranges.RangedFile] = {}
        self._requests: list[tuple[Event, Flow]] = []  # TFTP
        self._queries: dict[str, wire_tunnels.Queries] = {}
        self._swept = 0
        self._waiting = 0  # at least as many records wait to be joined
        self.early = 0  # records that were reported before their window ended

    # ---------------------------------------------------------------- interface
    def step(self, rows: Sequence[tuple[Event, Sequence[Finding]]], watermark: int) -> list[Carried]:
        """Take rows in time order; give up what no event after `watermark` can change."""
        done: list[Carried] = []
        for event, _ in rows:
            if event.time // SWEEP > self._swept:
                done += self._sweep(event.time)
            self._take(event)
        if watermark // SWEEP > self._swept:
            done += self._sweep(watermark)
        return done

    def finish(self) -> list[Carried]:
        """Give up everything that is left."""
        return self._release(None)

    def _sweep(self, now: int) -> list[Carried]:
        self._swept = now // SWEEP
        if not (self._flows or self._commands or self._requests or self._ranged or self._queries):
            return []
        return self._release(self._swept * SWEEP)

    # ------------------------------------------------------------------- events
    def _take(self, event: Event) -> None:
        kind = event.kind
        if kind is EventKind.DNS_QUERY:
            wire_tunnels.note(self._queries, event)
            return
        flow = self._flow_of(event)
        flow.add(event)
        into = _INTO.get(kind)
        if into is not None:
            getattr(flow, into).append(event)
            self._waiting += 1
        elif kind is EventKind.FTP:
            self._command(event, flow)
        elif kind is EventKind.TFTP:
            flow.control = True
            self._requests.append((event, flow))

    def _command(self, event: Event, flow: Flow) -> None:
        if (event.extra or {}).get("data"):
            for command in reversed(self._commands):
                if command.data is None and wire_ftp.base_name(command.event.file_path) == wire_ftp.base_name(event.file_path):
                    command.data = event
                    return
            flow.names.append(event)
            return
        flow.control = True
        for command in self._commands[-50:]:  # a second sensor saw the same command
            known = command.event
            if (
                known.log_source != event.log_source
                and known.method == event.method
                and abs(known.time - event.time) <= SAME_FILE
            ) and wire_ftp.base_name(known.file_path) == wire_ftp.base_name(event.file_path):
                return
        self._commands.append(Command(event, flow))
        del self._commands[: -wire_ftp.COMMANDS_KEPT]

    def _flow_of(self, event: Event) -> Flow:
        capture = event.log_file if event.log_source == "packet_capture" else ""
        key = (event.log_source, capture, event.flow_id or "")
        ends = _ends(event)
        if event.flow_id is None:
            key = (event.log_source, capture, event.id if ends is None or event.src_port is None else repr(ends))
        flow = self._flows.get(key)
        if flow is None:
            known = self._by_ends.get(ends) if ends is not None else None
            if known is not None and known.first - SAME_FLOW <= event.time <= known.last + SAME_FLOW:
                flow = known
            else:
                flow = Flow(event.time, event.time)
            self._flows[key] = flow
        if ends is not None:
            self._by_ends[ends] = flow
        return flow

    # ------------------------------------------------------------------ results
    def _release(self, now: int | None) -> list[Carried]:
        """What is finished at `now`; everything where it is None. Most groups are a flow or two: each part is asked first."""
        done: list[Carried] = []
        ended = self._ended(now) if self._flows else []
        if self._waiting > PENDING:
            for flow in {id(one): one for one in self._flows.values() if one.pending > PENDING}.values():
                self.early += flow.pending
                done += self._settle(flow)
            self._waiting = sum(flow.pending for flow in {id(one): one for one in self._flows.values()}.values())
        for flow in ended:
            if flow.requests or flow.files or flow.actions:
                done += self._settle(flow)
        if self._commands:
            done += self._commands_before(now)
        if self._requests:
            done += self._requests_before(now, ended)
        for flow in ended:
            done += self._weak(flow)
        if self._ranged:
            done += self._ranges_before(now)
        if self._queries:
            done += wire_tunnels.release(self._queries, None if now is None else now - IDLE)
        return done

    def _ended(self, now: int | None) -> list[Flow]:
        """The flows that are over at `now`, which are known no more."""
        if now is None:
            flows = list({id(flow): flow for flow in self._flows.values()}.values())
            self._flows, self._by_ends = {}, {}
            return flows
        before = now - IDLE
        over = {id(flow): flow for flow in self._flows.values() if flow.last < before}
        if over:
            self._flows = {key: flow for key, flow in self._flows.items() if id(flow) not in over}
            self._by_ends = {key: flow for key, flow in self._by_ends.items() if id(flow) not in over}
        return list(over.values())

    def _settle(self, flow: Flow) -> Iterator[Carried]:
        """The files of a flow; what is a piece of a larger file waits for the others."""
        found: list[Carried] = []
        several = len(flow.logs) > 1
        for carried in self._files(flow):
            if carried.protocol in ("http", "http2") and carried.url:
                carried.redirected_from = self.view.baseline.redirects.get(carried.url)
            twin = next((known for known in found[-200:] if _same_file(known, carried)), None) if several else None
            if twin is not None:
                twin.absorb(carried)
            else:
                found.append(carried)
        for carried in found:
            cite_flow(carried, flow)
        flow.carries = flow.carries or bool(found)
        flow.requests, flow.files, flow.actions = [], [], []
        yield from found

    def _files(self, flow: Flow) -> Iterator[Carried]:
        actions: dict[tuple[str, str | None], Event] = {
            (action.log_source, action.file_id): action for action in reversed(flow.actions) if action.file_id
        }
        used: set[int] = set()
        for request, file in wire_http.pair(flow):
            if request is None and file is not None and not wire_http.is_web(file):
                yield from self._other(file, flow, actions, used)
                continue
            for carried in wire_http.carried_of(request, file, flow):
                if wire_http.failed(carried):
                    carried.outcome = "failed"
                elif carried.status == 206 and not carried.push and carried.url:
                    cite_flow(carried, flow)
                    self._range(carried, request, file)
                    flow.carries = True
                    continue
                yield carried
        for action in flow.actions:
            if (
                id(action) not in used
                and action.query in ("SMB::FILE_READ", "SMB::FILE_WRITE")
                and not wire_shares.is_pipe(action)
            ):
                used.add(id(action))
                yield wire_shares.of_action(action, flow)

    def _other(
        self, file: Event, flow: Flow, actions: dict[tuple[str, str | None], Event], used: set[int]
    ) -> Iterator[Carried]:
        if file.protocol in ("ftp-data", "ftp_data", "ftp"):
            yield wire_ftp.of_file(file, flow, wire_ftp.command_for(self._commands, file))
            return
        if file.protocol == "tftp":
            asked = wire_ftp.request_for([event for event, _ in self._requests], file)
            for event, asking in self._requests:
                asking.carries = asking.carries or event is asked
            yield wire_ftp.of_block_file(file, flow, asked)
            return
        action = actions.get((file.log_source, file.file_id))
        if wire_shares.is_pipe(file) or (action is not None and wire_shares.is_pipe(action)):
            flow.carries = True
            return
        if action is not None:
            used.update(id(one) for one in flow.actions if one.file_id == action.file_id)
        yield wire_shares.of_file(file, flow, action)

    def _range(self, carried: Carried, request: Event | None, file: Event | None) -> None:
        span = wire_ranges.span_of(request, file)
        total = span.total if span is not None else None
        key = (f"{carried.receiver_ip} {carried.url}", total)
        known = self._ranged.get(key)
        extra = (file.extra or {}) if file is not None else {}
        joined = (
            span is not None
            and "start" not in extra
            and file is not None
            and carried.size == total
            and span.last - span.first + 1 != total
        )
        if known is None:
            known = self._ranged[key] = wire_ranges.RangedFile(carried, carried.last)
        if joined:
            known.take_whole(carried)
        else:
            known.add(carried, span)

    def _ranges_before(self, now: int | None) -> Iterator[Carried]:
        for key in [key for key, ranged in self._ranged.items() if now is None or ranged.last + 2 * IDLE < now]:
            yield self._ranged.pop(key).finish()

    def _commands_before(self, now: int | None) -> Iterator[Carried]:
        before = None if now is None else now - COMMAND_WINDOW
        over = [command for command in self._commands if before is None or command.event.time < before]
        if over:
            self._commands = [command for command in self._commands if before is not None and command.event.time >= before]
        for command in over:
            if not command.used:
                yield wire_ftp.of_command(command)

    def _requests_before(self, now: int | None, ended: list[Flow]) -> Iterator[Carried]:
        """TFTP requests that are over, with the flow that came back to the client's port where there is one."""
        waiting, self._requests = self._requests, []
        open_flows = list(self._flows.values())
        still_open = set(map(id, open_flows))
        for event, flow in waiting:
            if flow.carries:
                continue  # its file was reported
            answer = _answer(event, ended)
            if answer is None and now is not None and (id(flow) in still_open or _answer(event, open_flows) is not None):
                self._requests.append((event, flow))
                continue
            if answer is not None:
                answer.carries = True
            yield wire_ftp.of_request(event, flow, answer.flows[0] if answer is not None and answer.flows else None)

    def _weak(self, flow: Flow) -> Iterator[Carried]:
        """What a flow without visible files amounts to."""
        if flow.carries or flow.control or not flow.flows or self.view.sides is None:
            return
        hosting = next((name.dst_host for name in flow.names if name.kind is EventKind.TLS and name.dst_host), None)
        carried = wire_sizes.of_flow(flow, self.view.sides, hosting=hosting)
        if carried is not None:
            yield carried


_INTO = {
    EventKind.FLOW: "flows",
    EventKind.HTTP: "requests",
    EventKind.FILE_ON_WIRE: "files",
    EventKind.SMB: "actions",
    EventKind.ALERT: "alerts",
    EventKind.TLS: "names",
    EventKind.SSH: "names",
}
"""Where a flow keeps its records, by kind."""


def _ends(event: Event) -> tuple[object, ...] | None:
    """Both endpoints in one order, or None where a port is unknown."""
    if event.src_ip is None or event.dst_ip is None or event.src_port is None or event.dst_port is None:
        return None
    src, dst = (address(event.src_ip), event.src_port), (address(event.dst_ip), event.dst_port)
    return (src, dst) if src < dst else (dst, src)


def _answer(event: Event, flows: Sequence[Flow]) -> Flow | None:
    """The flow that a TFTP server opens to the port that asked."""
    for flow in flows:
        for one in (*flow.flows, *flow.files):
            back = (one.src_ip, one.dst_ip, one.dst_port) == (event.dst_ip, event.src_ip, event.src_port)
            if back and event.time - SAME_FLOW <= one.time <= event.time + IDLE:
                return flow
    return None


def _same_file(known: Carried, other: Carried) -> bool:
    """Whether two logs tell of one file: in one flow and direction, at one time, the same content or name."""
    if known.push != other.push or {row.log_file for row in known.evidence} & {row.log_file for row in other.evidence}:
        return False
    if known.sha256 and other.sha256:
        return known.sha256 == other.sha256 and abs(known.time - other.time) <= SAME_HASH
    near = abs(known.time - other.time) <= SAME_FILE
    if known.url and other.url:
        return near and known.url == other.url
    return near and known.size == other.size and (known.name == other.name or not (known.name and other.name))

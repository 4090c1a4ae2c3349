"""The fold over two addresses as a live engine has it: what it has not given up yet is shown before its time.

A flow that has nothing to do with others is shown alone, whenever a record of it came in; those that may share a file (ranges,
FTP, TFTP, tunnels) are shown together. A pair of addresses holds a quarter of an hour of flows: to show all of them for each
record would take longer than to read them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from tidewaiter.correlation.wire import WireFold, WireView
from tidewaiter.correlation.wire_flow import Flow
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.case import Case
from tidewaiter.schema.event import Event

NOT_STATE = frozenset({"host", "view", "touched"})
_PARTIAL = 206
_SPLIT = frozenset({"ftp", "ftp-data", "ftp_data", "tftp"})
TOGETHER = 0
"""Stands for the part of what is shown that several flows have in common; no flow has this number."""


class LiveWireFold(WireFold):
    """The fold that remembers which flows changed since they were last shown."""

    def __init__(self, group: str, view: WireView) -> None:
        super().__init__(group, view)
        self.touched: dict[int, Flow] = {}

    def _flow_of(self, event: Event) -> Flow:
        flow = super()._flow_of(event)
        self.touched[id(flow)] = flow
        return flow

    def touch_all(self) -> None:
        """Everything is to be shown anew."""
        self.touched = self.open_flows()

    def open_flows(self) -> dict[int, Flow]:
        """All flows, by what tells them apart while they are there."""
        return {id(flow): flow for flow in self._flows.values()}

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not any(value for name, value in vars(self).items() if name not in NOT_STATE and isinstance(value, dict | list))

    @property
    def has_shared(self) -> bool:
        """Whether something waits that belongs to no flow alone."""
        return bool(self._commands or self._requests or self._ranged or self._queries)

    @property
    def all_together(self) -> bool:
        """Whether any flow may be the answer to a request that another one carried (TFTP)."""
        return bool(self._requests)

    def needs_others(self, flow: Flow) -> bool:
        """Whether the files of a flow may be those of others too."""
        if flow.control:
            return True
        if any(one.status == _PARTIAL for one in (*flow.requests, *flow.files)):
            return True
        return any(file.protocol in _SPLIT for file in flow.files)

    def of_flow(self, flow: Flow) -> list[Carried]:
        """What a flow alone would give if it ended now."""
        twin = WireFold(self.host, self.view)
        twin._flows = {("", "", ""): copy.copy(flow)}
        return twin.finish()

    def of_several(self, flows: Iterable[Flow]) -> list[Carried]:
        """What these flows, and what belongs to none alone, would give if they ended now."""
        mine = vars(self)
        held: dict[str, Any] = {name: value for name, value in mine.items() if name not in NOT_STATE and name != "_by_ends"}
        held["_flows"] = {("", "", str(number)): flow for number, flow in enumerate(flows)}
        twin = WireFold(self.host, self.view)
        vars(twin).update(copy.deepcopy(held))  # events are shared, nothing changes them
        return twin.finish()


class Shown(msgspec.Struct):
    """What was last shown of a group: the keys of its parts, each a flow or what several have in common."""

    parts: dict[int, set[str]] = {}
    flows: dict[int, Flow] = {}  # those of the parts, so that no other gets the number of one
    shared: dict[int, Flow] = {}  # those that are shown together
    cost: float = 0.0  # seconds of the processor
    at: float = 0.0

    @property
    def keys(self) -> set[str]:
        """Of everything that is shown."""
        return set().union(*self.parts.values())

    def finish(self, keys: set[str]) -> None:
        """These are given up: they are no longer shown as unfinished."""
        if keys:
            for mine in self.parts.values():
                mine -= keys


def show(
    fold: LiveWireFold, shown: Shown, cases_of: Callable[[Iterable[Carried]], Iterator[tuple[str, Case]]],
    is_settled: Callable[[Case], bool],
) -> tuple[dict[str, Case], set[str]]:  # fmt: skip
    """The cases of what changed by key, and the keys that were shown and are none any more.

    `cases_of` gives keys and cases of carried files; a case that is not settled waits until it is.
    """
    touched, fold.touched = fold.touched, {}
    alive = fold.open_flows()
    cases: dict[str, Case] = {}
    before: set[str] = set()
    for number in [number for number in shown.flows if number not in alive]:
        before |= shown.parts.pop(number, set())
        del shown.flows[number]
    shown.shared = {number: flow for number, flow in shown.shared.items() if number in alive}

    def take(number: int, found: Iterable[Carried], flow: Flow | None) -> None:
        nonlocal before
        before |= shown.parts.pop(number, set())
        keys = set()
        for key, case in cases_of(found):
            if is_settled(case):
                cases[key] = case
                keys.add(key)
            elif flow is not None:
                fold.touched[number] = flow  # looked at again, until it is
        if keys:
            shown.parts[number] = keys
            if flow is not None:
                shown.flows[number] = flow

    for number, flow in (alive if fold.all_together else touched).items():
        if number in alive and number not in shown.shared:
            if fold.all_together or fold.needs_others(flow):
                shown.shared[number] = flow
                before |= shown.parts.pop(number, set())
            else:
                take(number, fold.of_flow(flow), flow)
    if shown.shared or fold.has_shared or TOGETHER in shown.parts:
        several = [flow for number, flow in alive.items() if number in shown.shared]  # in the order in which they end
        take(TOGETHER, fold.of_several(several), None)
    return cases, before - cases.keys()

"""Holding a drill: the ground, the servers, one method after the other, the look at the records; then nothing is left."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from tidewaiter.catalog.drill import Drill
from tidewaiter.drill import ground as grounds
from tidewaiter.drill import perform, plan, processes, report
from tidewaiter.drill.keeper import Answer
from tidewaiter.drill.ledger import Ledger
from tidewaiter.drill.lookout import Lookout, Needle, Sighting, scanned
from tidewaiter.drill.server import Order
from tidewaiter.drill.servers import smb, ssh
from tidewaiter.drill.serving import serving
from tidewaiter.errors import DrillError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """How to hold a drill. Times are seconds."""

    store: str | None = None  # where a watch keeps its transfers
    logs: tuple[str, ...] = ()  # or what to scan instead
    namespaces: bool = False
    pause: float = 1.0  # between two methods
    wait: float = 90.0  # for the records, at most; for logs: before they are scanned
    settle: float = 0.0  # between the making of the ground and the first method


def hold(drill: Drill, planned: plan.Plan, options: Options, say: Say) -> list[report.MethodReport]:
    """Hold the drill; one report for each planned method. Raises DrillError, UsageError, KeyboardInterrupt."""
    if options.store is not None:
        from tidewaiter.store.store import open_store

        open_store(options.store, create=False).close()  # a wrong place is told before anything is made
    with _Interrupts() as interrupts:
        ledger = Ledger()
        try:
            try:
                interrupts.arm()
                with grounds.prepared(ledger, namespaces=options.namespaces) as ground:
                    return _Held(drill, planned, options, say, ledger, ground).reports()
            finally:
                interrupts.ignore()
        finally:
            ledger.close()  # not a with block: even a signal in the lines above must not skip it


class _Interrupts:
    """The first of the signals that end a program interrupts once armed; later ones are ignored, so that all is tidied up."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._armed = self._came = False

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            known = {number: signal.getsignal(number) for number in _SIGNALS}
            self._before = {number: handler for number, handler in known.items() if handler is not signal.SIG_IGN}
            for number in self._before:  # what is ignored already, as by nohup, stays so
                signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def arm(self) -> None:
        """Interrupt from now on, at once where a signal has come already."""
        self._armed = True
        if self._came:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """Let nothing interrupt any more."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        self.ignore()
        if self._armed:
            raise KeyboardInterrupt


class _Held:
    """A drill while it is held."""

    def __init__(
        self, drill: Drill, planned: plan.Plan, options: Options, say: Say, ledger: Ledger, ground: grounds.Ground
    ) -> None:
        self._drill, self._plan, self._options, self._say, self._ground = drill, planned, options, say, ground
        self._token = ledger.token
        self._folder = ledger.folder
        for name in ("served", "landing", "home", "tmp", "state"):
            (self._folder / name).mkdir(mode=0o700)
        self._markers = {method.id: perform.marker_of(method, self._token, ground.lines) for method in planned.possible}
        for marker in self._markers.values():
            (self._folder / "served" / marker.name).write_bytes(marker.content)

    def reports(self) -> list[report.MethodReport]:
        """Everything from the start of the servers to the last record."""
        options = self._options
        began = time.time()
        with serving(self._orders(), self._folder, self._environment(), self._ground.server_side) as answer:
            self._say(f"Servers listen on {self._ground.server}; a sensor sees the traffic on {self._ground.interface}")
            for kind, why in answer.failed.items():
                self._say(f"The {kind} server could not be started: {why}")
            if options.settle:
                self._say(f"Waiting {options.settle:g} s for a sensor to settle on {self._ground.interface}")
                time.sleep(options.settle)
            needles = self._needles(answer)
            if options.store is None:
                done = self._perform(answer)
                self._say(f"Waiting {options.wait:g} s before the logs are scanned")
                time.sleep(options.wait)
                found = scanned(options.logs, needles, began)
            else:
                done, found = self._watched(Lookout(options.store, needles, began), answer)
        return [self._report(one, answer, done, found.get(one.method.id)) for one in self._plan.methods]

    def _watched(self, lookout: Lookout, answer: Answer) -> tuple[dict[str, perform.Performed], dict[str, Sighting]]:
        """Carry the methods out while the store is looked into, then wait for what is still to come."""
        lookout.start()
        try:
            done = self._perform(answer)
            self._say(f"Waiting for the records, {self._options.wait:g} s at most")
            lookout.wait([one for one in self._plan.possible if one.id in done and done[one.id].landed], self._options.wait)
        finally:
            lookout.stop()
        if lookout.problem:
            raise DrillError(lookout.problem)
        return done, lookout.found()

    def _report(
        self, one: plan.Planned, answer: Answer, done: dict[str, perform.Performed], sighting: Sighting | None
    ) -> report.MethodReport:
        method = one.method
        if method.id in done:
            return report.told(method, done[method.id], sighting)
        why = answer.failed.get(method.server, "")
        return report.not_run(method, one.missing or f"its server could not be started: {why}")

    def _orders(self) -> list[Order]:
        return [
            Order(
                kind=server.kind,
                address=self._ground.server,
                port=server.port,
                must_have=server.must_have,
                served=str(self._folder / "served"),
                state=str(self._state(server.kind)),
                files={one.id: self._markers[one.id].name for one in self._plan.possible if one.server == server.kind},
                user=plan.user(),
            )
            for server in self._plan.servers
        ]

    def _state(self, kind: str) -> Path:
        return self._folder / "state" / kind

    # ------------------------------------------------------------------ methods
    def _environment(self) -> dict[str, str]:
        """What programs are given: a home of their own, no proxy, and the tag by which they are found again."""
        return {
            "PATH": plan.search_path(),
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            processes.TAG: self._token,
        }

    def _needles(self, answer: Answer) -> dict[str, Needle]:
        """By what the records of each method that can be run now are known."""
        shared = [port for port in answer.ports.values() if list(answer.ports.values()).count(port) > 1]
        return {
            method: Needle(
                name=self._markers[method].name,
                sha256=self._markers[method].sha256,
                address=self._ground.server,
                port=None if port in shared else port,
            )
            for method, port in answer.ports.items()
        }

    def _perform(self, answer: Answer) -> dict[str, perform.Performed]:
        """Carry out every method that has a server, one after the other; the failure of one is told and no more.

        The last comes first: those that sensors know by their flows alone stand at the end of the knowledge, and flows are
        told late, and joined when something later has been seen.
        """
        stage = perform.Stage(self._folder / "landing", self._environment(), self._ground.client_side)
        done: dict[str, perform.Performed] = {}
        for method in reversed(self._plan.possible):
            if method.id not in answer.ports:
                continue
            if done:
                time.sleep(self._options.pause)
            marker = self._markers[method.id]
            values = {
                "name": marker.name,
                "address": self._ground.server,
                "port": str(answer.ports[method.id]),
                "served": str(self._folder / "served"),
                "user": plan.user(),
                "ssh": str(self._state("ssh") / ssh.CLIENT),
                "smb": str(self._state("smb") / smb.CLIENT),
            }
            done[method.id] = perform.perform(method, method.command(values), marker, stage)
            self._say(f"{method.id}: {done[method.id].problem or 'brought in, checked and run'}")
        return done

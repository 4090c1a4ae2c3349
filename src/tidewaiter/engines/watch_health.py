"""How a watch is doing: a status file, metrics, and word of log sources that fell silent."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidewaiter import __version__
from tidewaiter.engines.couriers import CourierStatus
from tidewaiter.engines.health import HealthServer, Level, Metrics, write_status
from tidewaiter.engines.silence import SilenceWatch
from tidewaiter.engines.watch import Numbers
from tidewaiter.errors import UsageError
from tidewaiter.output import printable

if TYPE_CHECKING:
    from tidewaiter.engines.watch_run import Running

EVERY = 1.0
"""Seconds between two looks."""
STATUS = "status.json"
SILENCE = "silence.json"
REMEMBERED_EVERY = 60.0
LOGS_SHOWN = 1_000
_COUNTED = {
    "bytes": "bytes that came in",
    "lines": "records that were read",
    "rows": "rows that may belong to a transfer",
    "ticks": "turns that were committed",
    "late": "rows that came after later ones were used",
    "future": "events whose time cannot be right",
    "unread": "bytes that no log source knew",
    "crashed": "pieces that a reading process did not survive",
    "early": "rows, folds and cases that were let go before their time",
    "told": "changes that went to the outbox",
    "commit_failures": "tries to commit that failed",
}


class LogStatus(msgspec.Struct, kw_only=True):
    """One log."""

    log_file: str
    log_source: str | None
    lines: int
    latest: int | None  # log time, microseconds since 1970 UTC
    waiting: int  # bytes that were brought and are not read
    silent: bool


class Status(msgspec.Struct, kw_only=True):
    """What `tidewaiter watch --status` shows. Times are microseconds since 1970 UTC."""

    version: str = __version__
    pid: int
    started: int
    at: int
    failing: str | None
    numbers: Numbers
    waiting: int  # bytes or messages that feeds know to be waiting
    lines_per_second: float
    delay_median: float | None  # seconds from reading a line to its commit
    delay_99: float | None
    folds: int
    pending: int
    cases: int
    rss: int  # bytes of the main process
    logs: list[LogStatus]
    sinks: list[CourierStatus]


class Health:
    """Looks at a running watch every second, from its own thread of turns."""

    def __init__(self, running: Running, address: str) -> None:
        self._running = running
        self._started = time.time_ns() // 1_000
        self._looked, self._lines = time.monotonic(), 0
        self._silence = SilenceWatch()
        self._heard: dict[str, int] = {}
        self._silent: set[str] = set()
        self._remembered = time.monotonic()
        self.status: Status | None = None
        self.metrics = _metrics()
        self._server = HealthServer(self.metrics, self._well, _port(address)) if address else None
        self._status_failed = False

    @property
    def port(self) -> int | None:
        """Where the metrics are."""
        return self._server.port if self._server is not None else None

    def start(self) -> None:
        """Answer questions from now on; how often each log used to speak is remembered from last time."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            self._silence.from_state(msgspec.json.decode((self._running.folder / SILENCE).read_bytes()), time.time())
        self._heard = {name: log.lines for name, log in self._running.watch.order.logs.items()}
        if self._server is not None:
            self._server.start()

    def stop(self) -> None:
        """Stop answering."""
        self._remember()
        if self._server is not None:
            self._server.stop()

    def look(self, *, now_at_once: bool = False) -> None:
        """Take a look where it is time for one."""
        now = time.monotonic()
        if now - self._looked < EVERY and not now_at_once:
            return
        self._listen(time.time())
        self.status = self._status(now)
        self._looked, self._lines = now, self.status.numbers.lines
        self._set(self.status)
        try:
            write_status(self._running.folder / STATUS, self.status)
            self._status_failed = False
        except OSError as error:
            if not self._status_failed:
                self._running.report("warning", "status", {"problem": error.strerror or str(error)})
            self._status_failed = True

    def _remember(self) -> None:
        """Keep how often each log speaks."""
        self._remembered = time.monotonic()
        place = self._running.folder / SILENCE
        partial = place.with_suffix(".part")
        with contextlib.suppress(OSError):  # another time
            partial.write_bytes(msgspec.json.encode(self._silence.to_state(time.time())))
            partial.replace(place)

    def _listen(self, now: float) -> None:
        for name, log in self._running.watch.order.logs.items():
            if log.recognised_as is not None and log.lines > self._heard.get(name, 0):
                if name in self._heard:
                    self._tell(self._silence.heard(log.recognised_as, name, now))
                self._heard[name] = log.lines
        for silence in self._silence.check(now):
            self._tell(silence)
        self._silent = {name for _, name in self._silence.silent()}
        if time.monotonic() - self._remembered > REMEMBERED_EVERY:
            self._remember()

    def _tell(self, silence: Any) -> None:
        if silence is not None:
            level: Level = "error" if silence.kind == "silent" else "info"
            self._running.report(level, silence.kind, msgspec.to_builtins(silence))

    def _status(self, now: float) -> Status:
        watch = self._running.watch
        delays = sorted(watch.numbers.delays)
        logs = [
            LogStatus(
                log_file=printable(log.log_file),
                log_source=log.recognised_as,
                lines=log.lines,
                latest=log.latest,
                waiting=sum(len(chunk.data) for chunk in log.queue),
                silent=log.log_file in self._silent,
            )
            for log in list(watch.order.logs.values())[:LOGS_SHOWN]
        ]
        return Status(
            pid=os.getpid(),
            started=self._started,
            at=time.time_ns() // 1_000,
            failing=watch.failing,
            numbers=msgspec.structs.replace(watch.numbers, delays=[]),
            waiting=sum(feed.lag() for feed in watch.feeds),
            lines_per_second=round((watch.numbers.lines - self._lines) / max(now - self._looked, 0.001), 1),
            delay_median=delays[len(delays) // 2] if delays else None,
            delay_99=delays[len(delays) * 99 // 100] if delays else None,
            folds=len(watch.state.folds.groups),
            pending=watch.state.folds.waiting,
            cases=len(watch.state.cases),
            rss=_rss(),
            logs=logs,
            sinks=self._running.couriers.status(),
        )

    def _set(self, status: Status) -> None:
        for name in _COUNTED:
            self.metrics.set(f"tidewaiter_{name}_total", getattr(status.numbers, name))
        for name in ("waiting", "folds", "pending", "cases"):
            self.metrics.set(f"tidewaiter_{name}", getattr(status, name))
        self.metrics.set("tidewaiter_rss_bytes", status.rss)
        self.metrics.set("tidewaiter_store_up", status.failing is None)
        for quantile, value in (("0.5", status.delay_median), ("0.99", status.delay_99)):
            if value is not None:
                self.metrics.set("tidewaiter_delay_seconds", value, quantile=quantile)
        for log in status.logs:
            self.metrics.set("tidewaiter_log_lines_total", log.lines, log_file=log.log_file, log_source=log.log_source or "")
            self.metrics.set("tidewaiter_log_silent", log.silent, log_file=log.log_file, log_source=log.log_source or "")
        for sink in status.sinks:
            self.metrics.set("tidewaiter_sink_delivered_total", sink.delivered, sink=sink.name)
            self.metrics.set("tidewaiter_sink_failed_total", sink.failed, sink=sink.name)
            self.metrics.set("tidewaiter_sink_dead_total", sink.dead, sink=sink.name)
            self.metrics.set("tidewaiter_sink_lag", sink.lag, sink=sink.name)
            self.metrics.set("tidewaiter_sink_up", sink.down_since is None, sink=sink.name)

    def _well(self) -> tuple[bool, dict[str, Any]]:
        status = self.status
        if status is None:
            return False, {"problem": "starting"}
        down = [sink.name for sink in status.sinks if sink.down_since is not None]
        silent = [log.log_file for log in status.logs if log.silent]
        stuck = time.time() - status.at / 1e6 > 30
        details = {"store": status.failing, "sinks_down": down, "silent": silent, "stuck": stuck}
        return status.failing is None and not down and not stuck, details


def _metrics() -> Metrics:
    metrics = Metrics()
    for name, says in _COUNTED.items():
        metrics.counter(f"tidewaiter_{name}_total", says)
    metrics.gauge("tidewaiter_waiting", "bytes or messages that are known to be waiting")
    metrics.gauge("tidewaiter_folds", "hosts and pairs of addresses with a state")
    metrics.gauge("tidewaiter_pending", "rows that wait for their turn")
    metrics.gauge("tidewaiter_cases", "transfers that may still change or be joined")
    metrics.gauge("tidewaiter_rss_bytes", "memory of the main process")
    metrics.gauge("tidewaiter_store_up", "whether what is found can be committed")
    metrics.gauge("tidewaiter_delay_seconds", "seconds from reading a line to its commit")
    metrics.counter("tidewaiter_log_lines_total", "records of one log that were read")
    metrics.gauge("tidewaiter_log_silent", "whether a log that used to speak has fallen silent")
    metrics.counter("tidewaiter_sink_delivered_total", "changes that a sink has")
    metrics.counter("tidewaiter_sink_failed_total", "tries to tell a sink that failed")
    metrics.counter("tidewaiter_sink_dead_total", "changes that a sink could never be told")
    metrics.gauge("tidewaiter_sink_lag", "changes that a sink does not have yet")
    metrics.gauge("tidewaiter_sink_up", "whether a sink takes what it is told")
    return metrics


def _port(address: str) -> int:
    """The port of an address on loopback. Raises UsageError on any other."""
    host, _, port = address.rpartition(":")
    if host not in ("", "127.0.0.1", "localhost") or not port.isdigit():
        raise UsageError(f"metrics: {address!r} is no address on loopback: 127.0.0.1:9479 is one")
    return int(port)


def _rss() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0

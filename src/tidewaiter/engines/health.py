"""What a running watch says of itself: metrics and health over HTTP on loopback, log lines as JSON, a status file."""

from __future__ import annotations

import contextlib
import http.server
import json
import math
import os
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

import msgspec

from tidewaiter.engines.silence import Silence, SilenceWatch
from tidewaiter.errors import UsageError
from tidewaiter.output import printable
from tidewaiter.schema.moments import render_time
from tidewaiter.sink import encoded
from tidewaiter.transport.secrets import Secret, looks_secret

__all__ = [
    "HealthServer",
    "JsonLog",
    "Metrics",
    "Silence",
    "SilenceWatch",
    "read_status",
    "write_status",
]

PORT = 9479
"""Where the metrics are, on loopback, unless the settings say otherwise."""

SERIES = 2_000
"""Combinations of labels that one metric keeps; more are counted under one that says `(others)`."""

BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""Upper bounds of a histogram in seconds, where nothing else is asked for."""

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
_Labels = tuple[tuple[str, str], ...]


class _Family:
    """One metric with all its label combinations. A histogram's value is its sum, its counts are per bucket."""

    def __init__(self, kind: str, says: str, buckets: Sequence[float]) -> None:
        self.kind, self.says, self.buckets = kind, says, tuple(buckets)
        self.values: dict[_Labels, float] = {}
        self.counts: dict[_Labels, list[int]] = {}

    def key(self, labels: Mapping[str, str]) -> _Labels:
        """The combination to count under."""
        key = tuple(sorted((name, str(value)) for name, value in labels.items()))
        if key in self.values or len(self.values) < SERIES:
            return key
        return tuple((name, "(others)") for name, _ in key)


class Metrics:
    """Counters, gauges and histograms in the text format of Prometheus. Every method may be called from every thread.

    A metric is declared before it is used; a name that was not declared, or is used as another kind, is a KeyError.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._families: dict[str, _Family] = {}
        self._collectors: list[Callable[[], None]] = []

    def counter(self, name: str, says: str) -> None:
        """Declare a number that only grows; its name ends in `_total`."""
        self._declare(name, "counter", says)

    def gauge(self, name: str, says: str) -> None:
        """Declare a number that goes up and down."""
        self._declare(name, "gauge", says)

    def histogram(self, name: str, says: str, buckets: Sequence[float] = BUCKETS) -> None:
        """Declare how often a quantity had which size; `buckets` are upper bounds, growing, without infinity."""
        self._declare(name, "histogram", says, buckets)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Let a counter grow, or a gauge change by an amount."""
        with self._lock:
            family = self._families[name]
            if family.kind == "histogram" or (family.kind == "counter" and amount < 0):
                raise KeyError(name)
            key = family.key(labels)
            family.values[key] = family.values.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Give a gauge its value; also a counter that is kept elsewhere."""
        with self._lock:
            family = self._families[name]
            if family.kind == "histogram":
                raise KeyError(name)
            family.values[family.key(labels)] = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Count one quantity in a histogram."""
        with self._lock:
            family = self._families[name]
            if family.kind != "histogram":
                raise KeyError(name)
            key = family.key(labels)
            counts = family.counts.setdefault(key, [0] * (len(family.buckets) + 1))
            counts[next((place for place, bound in enumerate(family.buckets) if value <= bound), len(family.buckets))] += 1
            family.values[key] = family.values.get(key, 0) + value

    def collect(self, collector: Callable[[], None]) -> None:
        """Have a function called before every `render`, which sets what is only looked up then."""
        self._collectors.append(collector)

    def render(self) -> str:
        """All metrics as text of the format 0.0.4."""
        for collector in self._collectors:
            collector()
        lines: list[str] = []
        with self._lock:
            for name, family in self._families.items():
                says = family.says.replace("\\", "\\\\").replace("\n", "\\n")
                lines += (f"# HELP {name} {says}", f"# TYPE {name} {family.kind}")
                for key, value in family.values.items():
                    lines += _histogram(name, family, key, value) if family.counts else (_sample(name, key, value),)
        return "\n".join(lines) + "\n"

    def _declare(self, name: str, kind: str, says: str, buckets: Sequence[float] = ()) -> None:
        if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name) or name in self._families:
            raise KeyError(name)
        self._families[name] = _Family(kind, says, buckets)


def _histogram(name: str, family: _Family, key: _Labels, total: float) -> list[str]:
    lines = []
    below = 0
    for bound, count in zip((*family.buckets, float("inf")), family.counts[key], strict=True):
        below += count
        lines.append(_sample(f"{name}_bucket", (*key, ("le", _number(bound))), below))
    return [*lines, _sample(f"{name}_sum", key, total), _sample(f"{name}_count", key, below)]


def _sample(name: str, labels: _Labels, value: float) -> str:
    told = ",".join(f'{label}="{_label(text)}"' for label, text in labels)
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _label(text: str) -> str:
    """A label's value: controls spelled out, then escaped as the format asks."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


class HealthServer:
    """`/metrics` and `/healthz` on 127.0.0.1, and nothing else: at most a few short requests at a time."""

    def __init__(self, metrics: Metrics, health: Callable[[], tuple[bool, Mapping[str, Any]]], port: int = PORT) -> None:
        """`health` says whether all is well, and details for its JSON answer (200 or 503). Port 0: any that is free.

        Raises UsageError where the port is taken.
        """
        handler = type("_Bound", (_Handler,), {"metrics": metrics, "health": staticmethod(health)})
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "no such port"
            raise UsageError(f"metrics: 127.0.0.1:{port}: {why}; choose another port or switch them off") from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16
    at_once = 8
    longest = 10.0  # seconds for a request with its answer

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        self._free = threading.BoundedSemaphore(self.at_once)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # that of HTTPServer would ask the network for our name
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no further thread can be had
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        timer = threading.Timer(self.longest, _cut, (request,))
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no matter of ours."""


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    metrics: Metrics
    health: Callable[[], tuple[bool, Mapping[str, Any]]]
    timeout = 5.0
    server_version = "tidewaiter"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the two paths."""
        host = re.sub(r":\d+\Z", "", self.headers.get("Host", "localhost")).lower()
        if host not in ("127.0.0.1", "localhost"):  # a web page in a browser here must not read it under its own name
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "ask for it as 127.0.0.1\n")
        elif self.path in ("/metrics", "/healthz"):
            try:
                status, kind, text = self._metrics() if self.path == "/metrics" else self._health()
            except Exception as error:  # noqa: BLE001 - whoever watches the watch must learn that something is wrong
                status, kind, text = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", f"{type(error).__name__}\n"
            self._answer(status, kind, text)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "/metrics or /healthz\n")

    def _metrics(self) -> tuple[HTTPStatus, str, str]:
        return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render()

    def _health(self) -> tuple[HTTPStatus, str, str]:
        well, details = type(self).health()
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return status, "application/json", encoded({"healthy": well, **details}).decode() + "\n"

    def do_HEAD(self) -> None:
        """The same without the text."""
        self.do_GET()

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Requests are not logged."""


class JsonLog:
    """Log lines as JSON, one object per line in ASCII: time, level, event, then the fields. From any thread; never raises."""

    longest = 2_000  # characters of one text

    def __init__(self, stream: TextIO, level: Level = "info", clock: Callable[[], float] = time.time) -> None:
        self._stream, self._least, self._clock = stream, _LEVELS.index(level), clock
        self._lock = threading.Lock()
        self.lost = 0  # lines that could not be written

    def event(self, level: Level, event: str, **fields: Any) -> None:
        """Write one line, unless its level is below that of the log. What is or looks like a secret is not written."""
        if _LEVELS.index(level) < self._least:
            return
        moment = render_time(int(self._clock() * 1_000_000))
        told = {name: self._shown(name, value) for name, value in fields.items()}
        line = encoded({"time": moment, "level": level, "event": event, **told}).decode()
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # full, gone or closed: the watch goes on
                self.lost += 1

    def _shown(self, name: str, value: Any) -> Any:
        if isinstance(value, Secret) or looks_secret(name):
            return "(hidden)"
        if isinstance(value, str):
            return value if len(value) <= self.longest else f"{value[: self.longest]}..."
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(key): self._shown(str(key), item) for key, item in list(value.items())[:100]}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._shown("", item) for item in list(value)[:100]]
        if isinstance(value, msgspec.Struct):
            return self._shown("", msgspec.structs.asdict(value))
        return self._shown("", str(value)) if isinstance(value, os.PathLike) else f"({type(value).__name__})"


_T = TypeVar("_T", bound=msgspec.Struct)


def write_status(path: Path, status: msgspec.Struct) -> None:
    """Replace the status file at once: a reader sees the old one or the new one, whole. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encoded(msgspec.to_builtins(status)) + b"\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_status(path: Path, kind: type[_T]) -> _T:
    """What a watch wrote last. Raises UsageError where there is none, or none that this version can read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'cannot be read'}; is the watch running with this state?") from None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, json.JSONDecodeError, UnicodeDecodeError):
        raise UsageError(f"{path}: is no status that this version can read; was it written by another one?") from None

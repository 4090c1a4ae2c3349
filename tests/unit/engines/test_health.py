"""Metrics, their server, log lines, the status file."""

from __future__ import annotations

import http.client
import io
import json
import math
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.engines import health
from tidewaiter.engines.health import HealthServer, JsonLog, Metrics, read_status, write_status
from tidewaiter.errors import UsageError
from tidewaiter.transport.secrets import Secret

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
UNESCAPED = {'"': '"', "\\": "\\", "n": "\n"}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """The samples of a text of the format 0.0.4; every line must be understood."""
    found: Samples = {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            assert re.fullmatch(r"# (HELP [\w:]+ .*|TYPE [\w:]+ (counter|gauge|histogram))", line), line
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        labels = tuple(
            (name, re.sub(r"\\(.)", lambda escape: UNESCAPED[escape[1]], value))
            for name, value in LABEL.findall(match[2] or "")
        )
        assert (match[1], labels) not in found
        found[match[1], labels] = float(match[3])
    return found


def metrics() -> Metrics:
    made = Metrics()
    made.counter("tidewaiter_events_total", "events read")
    made.gauge("tidewaiter_lag_rows", "rows that wait")
    made.histogram("tidewaiter_delay_seconds", "from line to record", (0.1, 1.0, 10.0))
    return made


def test_counters_gauges_and_histograms() -> None:
    made = metrics()
    made.add("tidewaiter_events_total", 3, input="a")
    made.add("tidewaiter_events_total", input="a")
    made.add("tidewaiter_events_total", 2.5, input="b")
    made.set("tidewaiter_lag_rows", -1.5)
    for value in (0.05, 0.1, 0.5, 100.0):
        made.observe("tidewaiter_delay_seconds", value)
    text = made.render()
    found = parsed(text)

    assert found["tidewaiter_events_total", (("input", "a"),)] == 4
    assert found["tidewaiter_events_total", (("input", "b"),)] == 2.5
    assert found["tidewaiter_lag_rows", ()] == -1.5
    assert [found["tidewaiter_delay_seconds_bucket", (("le", bound),)] for bound in ("0.1", "1", "10", "+Inf")] == [2, 3, 3, 4]
    assert found["tidewaiter_delay_seconds_count", ()] == 4
    assert math.isclose(found["tidewaiter_delay_seconds_sum", ()], 100.65)
    assert "# HELP tidewaiter_events_total events read\n# TYPE tidewaiter_events_total counter\n" in text


@given(st.text())
def test_label_values_of_any_text_are_one_sample_on_one_line(value: str) -> None:
    made = metrics()
    made.add("tidewaiter_events_total", 7, input=value)
    text = made.render()
    ((_, labels), count), *more = parsed(text).items()

    assert (count, more, labels[0][0]) == (7, [], "input")
    assert text.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    if value.isascii() and value.isprintable():
        assert labels[0][1] == value


def test_help_texts_are_escaped() -> None:
    made = Metrics()
    made.gauge("a", "one\nline \\ only")

    assert "# HELP a one\\nline \\\\ only\n" in made.render()


def test_what_was_not_declared_is_an_error() -> None:
    made = metrics()
    mistakes: tuple[Callable[[], None], ...] = (
        lambda: made.add("nothing"),
        lambda: made.add("tidewaiter_events_total", -1),
        lambda: made.observe("tidewaiter_lag_rows", 1),
        lambda: made.set("tidewaiter_delay_seconds", 1),
        lambda: made.gauge("tidewaiter_lag_rows", "twice"),
        lambda: made.gauge("no name", "x"),
    )
    for wrong in mistakes:
        with pytest.raises(KeyError):
            wrong()


def test_the_number_of_label_combinations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SERIES", 10)
    made = metrics()
    for number in range(50):
        made.add("tidewaiter_events_total", input=str(number))
    made.add("tidewaiter_events_total", input="3")
    found = parsed(made.render())

    assert len(found) == 11
    assert found["tidewaiter_events_total", (("input", "(others)"),)] == 40
    assert found["tidewaiter_events_total", (("input", "3"),)] == 2


def test_threads_lose_no_counts() -> None:
    made = metrics()

    def work() -> None:
        for _ in range(2_000):
            made.add("tidewaiter_events_total", input="a")
            made.observe("tidewaiter_delay_seconds", 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = parsed(made.render())

    assert found["tidewaiter_events_total", (("input", "a"),)] == 8_000
    assert found["tidewaiter_delay_seconds_count", ()] == 8_000


def test_collectors_are_asked_at_every_rendering() -> None:
    made = metrics()
    asked = iter((5, 6))
    made.collect(lambda: made.set("tidewaiter_lag_rows", next(asked)))

    assert [parsed(made.render())["tidewaiter_lag_rows", ()] for _ in range(2)] == [5, 6]


@pytest.fixture
def well() -> dict[str, Any]:
    return {"healthy": True}


@pytest.fixture
def server(well: dict[str, Any]) -> Iterator[HealthServer]:
    made = metrics()
    made.add("tidewaiter_events_total", 3, input="a")
    running = HealthServer(made, lambda: (well["healthy"], {"sinks": ["x\x1b"]}), port=0)
    running.start()
    yield running
    running.stop()


def asked(server: HealthServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"] or "", answer.read().decode()
    finally:
        connection.close()


def test_metrics_are_served(server: HealthServer) -> None:
    status, kind, text = asked(server, "/metrics")

    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert parsed(text)["tidewaiter_events_total", (("input", "a"),)] == 3
    assert asked(server, "/metrics", "HEAD")[2] == ""


def test_health_is_served(server: HealthServer, well: dict[str, Any]) -> None:
    assert asked(server, "/healthz") == (200, "application/json", '{"healthy":true,"sinks":["x\\u001b"]}\n')
    well["healthy"] = False
    assert asked(server, "/healthz")[0] == 503


def test_trouble_in_finding_out_is_an_answer_too(server: HealthServer, well: dict[str, Any]) -> None:
    well.clear()

    assert asked(server, "/healthz") == (500, "text/plain", "KeyError\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/../etc/passwd", 404), ("GET", "/metrics?x", 404), ("POST", "/metrics", 501)],
)
def test_nothing_else_is_served(server: HealthServer, method: str, path: str, status: int) -> None:
    assert asked(server, path, method)[0] == status


@pytest.mark.parametrize(("host", "status"), [("localhost:1", 200), ("127.0.0.1", 200), ("rebound.example.com", 403)])
def test_a_page_under_another_name_reads_nothing(server: HealthServer, host: str, status: int) -> None:
    assert asked(server, "/metrics", Host=host)[0] == status


def test_the_server_is_on_loopback_only(server: HealthServer) -> None:
    with pytest.raises(OSError, match="refused"), socket.socket() as other:
        other.settimeout(2)
        other.connect(("127.0.0.2", server.port))


def test_clients_that_say_nothing_do_not_keep_others_out(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health._Server, "longest", 0.3)
    silent = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(20)]
    try:
        end = time.monotonic() + 20
        status = 0
        while status != 200 and time.monotonic() < end:
            try:
                status = asked(server, "/healthz")[0]
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        assert status == 200
    finally:
        for one in silent:
            one.close()


def test_a_port_that_is_taken_is_named(server: HealthServer) -> None:
    with pytest.raises(UsageError, match=f"127.0.0.1:{server.port}: .*choose another port"):
        HealthServer(metrics(), lambda: (True, {}), port=server.port)


def logged(**fields: Any) -> dict[str, Any]:
    stream = io.StringIO()
    JsonLog(stream, clock=lambda: 1_767_348_000.0).event("info", "sink_down", **fields)
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert all(" " <= letter <= "~" for letter in line[:-1])
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_log_line_is_json_with_its_time() -> None:
    assert logged(sink="soc", rows=3, path=Path("a"), more={"x": [1, None, True]}) == {
        "time": "2026-01-02T10:00:00Z",
        "level": "info",
        "event": "sink_down",
        "sink": "soc",
        "rows": 3,
        "path": "a",
        "more": {"x": [1, None, True]},
    }


def test_hostile_texts_stay_on_their_line() -> None:
    assert logged(reason='\n{"event":"forged"}\x1b[2J\u202e\ud800')["reason"] == '\n{"event":"forged"}\x1b[2J\u202e?'


def test_secrets_are_not_logged() -> None:
    told = logged(a=Secret("hunter2"), password="hunter2", more={"api_key": "hunter2", "token_file": "/run/x"}, thing=object())

    assert told["a"] == told["password"] == told["more"]["api_key"] == "(hidden)"
    assert told["more"]["token_file"] == "/run/x"
    assert told["thing"] == "(object)"


def test_long_texts_are_cut_and_quiet_levels_left_out() -> None:
    stream = io.StringIO()
    log = JsonLog(stream, "warning")
    log.event("info", "nothing")
    log.event("error", "something", text="x" * 10_000)

    assert len(stream.getvalue()) < 2_200
    assert json.loads(stream.getvalue())["event"] == "something"


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    stream = io.StringIO()
    stream.close()
    log = JsonLog(stream)
    log.event("error", "x")

    assert log.lost == 1


class Status(msgspec.Struct):
    pid: int
    inputs: list[str] = []


def test_a_status_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            told = read_status(path, Status)
            assert len(told.inputs) == 2_000
            seen.append(told.pid)

    write_status(path, Status(pid=0, inputs=["x"] * 2_000))
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        write_status(path, Status(pid=number, inputs=["x"] * 2_000))
    until = time.monotonic() + 20
    while 99 not in seen and time.monotonic() < until:
        time.sleep(0.001)
    stop.set()
    reader.join()

    assert seen == sorted(seen)
    assert seen[-1] == 99
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("content", [None, "", "{", '{"pid":"x"}', "[]", "\xff"])
def test_a_status_that_cannot_be_read_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "status.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))

    with pytest.raises(UsageError, match=r"status\.json: .*\?$"):
        read_status(path, Status)

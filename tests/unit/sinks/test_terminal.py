"""Lines for a person who watches."""

from __future__ import annotations

import io

import pytest

from sink_servers import delivery
from tidewaiter.errors import SinkError
from tidewaiter.sink import Surroundings
from tidewaiter.sinks.terminal import Settings, Sink

HOSTILE = "\x1b[2J\x9b31m\u202egpj.exe\r\n\ud800\x00[red]x[/red]"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_where_the_output_is_no_terminal() -> None:
    stream = io.StringIO()
    sink = Sink(Settings(type="terminal"), Surroundings("terminal", stream=stream))
    sink.deliver([delivery(1), delivery(2, identity=f"{1:016x}", revision=2, change="update", severity="high")])
    sink.deliver([delivery(3, identity=f"{1:016x}", revision=3, change="withdrawn", superseded_by="bb")])
    lines = stream.getvalue().splitlines()

    assert lines[0] == (
        "  2026-01-02 10:00:00 00000000 medium 45 WS01.example.com certutil C...... "
        "http://files.example.com/a.exe -> C:\\Temp\\a.exe"
    )
    assert lines[1].startswith("~ 2026-01-02 10:00:00 00000000 high 65 ")
    assert lines[2] == "- 2026-01-02 10:00:00 00000000 now part of bb"


def test_a_table_with_one_header_where_it_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    stream = Screen()
    sink = Sink(Settings(type="terminal"), Surroundings("terminal", stream=stream))
    sink.deliver([delivery(1), delivery(2)])
    sink.deliver([delivery(3, change="update", revision=2)])
    text = stream.getvalue()

    assert text.count("severity") == 1
    assert text.count("WS01.example") == 3
    assert "~ changed" in text
    for number in range(60):
        sink.deliver([delivery(number)])
    assert stream.getvalue().count("severity") == 2  # shown again when it has scrolled away


@pytest.mark.parametrize("style", ["table", "lines"])
@pytest.mark.parametrize("columns", ["60", "200"])
def test_hostile_texts_do_nothing_to_the_terminal(monkeypatch: pytest.MonkeyPatch, style: str, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    row = delivery(1)
    assert row.transfer is not None
    row.transfer.src.url = row.transfer.dst.path = row.transfer.device.hostname = row.transfer.utility = HOSTILE
    stream = io.StringIO()
    sink = Sink(Settings(type="terminal", style=style), Surroundings("terminal", stream=stream))  # type: ignore[arg-type]  # one of both
    sink.deliver([row])
    text = stream.getvalue()

    assert {"\x1b", "\x9b", "\u202e", "\r", "\x00", "\ud800"} & set(text) == set()
    assert "[red]x[/red]" in text.replace("\n", "").replace(" ", "") or columns == "60"
    if style == "lines":
        assert text.count("\n") == 1
        assert "\\x1b[2J\\x9b31m\\u202egpj.exe\\x0d\\x0a\\ud800\\x00" in text


def test_a_stream_that_is_gone_is_tried_again() -> None:
    stream = io.StringIO()
    stream.close()
    sink = Sink(Settings(type="terminal", style="lines"), Surroundings("terminal", stream=stream))
    with pytest.raises(SinkError, match="it is closed") as caught:
        sink.deliver([delivery()])

    assert caught.value.retry

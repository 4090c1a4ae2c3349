"""The table: fixed columns, the stages as a strip, nothing of a log taken as markup or as a control."""

from __future__ import annotations

import io

import pytest

from tidewaiter.outputs import table
from tidewaiter.outputs.table import Output, destination, source, strip
from tidewaiter.schema.transfer import Landing, Origin, Transfer


def written(transfers: list[Transfer]) -> str:
    stream = io.StringIO()
    Output().write(iter(transfers), stream)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def test_the_strip_tells_the_three_states_apart(plain: Transfer) -> None:
    assert strip(plain).plain == "C.?...."


def test_a_stage_that_nobody_spoke_of_is_not_visible(plain: Transfer) -> None:
    plain.stages = {}

    assert strip(plain).plain == "???????"


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin(url="https://example.com/a", ip="192.0.2.1"), "https://example.com/a"),
        (Origin(path=r"\\files.test\share\a.exe", hostname="files.test"), r"\\files.test\share\a.exe"),
        (Origin(hostname="files.test", port=69), "files.test:69"),
        (Origin(ip="2001:db8::1", port=80), "[2001:db8::1]:80"),
        (Origin(ip="192.0.2.1"), "192.0.2.1"),
        (Origin(), ""),
    ],
)
def test_the_source_is_the_most_telling_thing_known(plain: Transfer, origin: Origin, text: str) -> None:
    plain.src = origin

    assert source(plain) == text


def test_the_destination_is_a_path_or_memory_or_a_name(plain: Transfer) -> None:
    plain.dst = Landing(path="/srv/a")
    assert destination(plain) == "/srv/a"
    plain.dst = Landing(in_memory=True)
    assert destination(plain) == "(in memory)"
    plain.dst = Landing()
    assert destination(plain) == "http-ish text"


def test_the_table_shows_a_transfer_and_explains_the_strip(plain: Transfer) -> None:
    text = written([plain])

    for part in ("01234567", "2026-03-01 12:00:00", "high 70", "C.?....", "C commanded", "?: not visible"):
        assert part in text


def test_pages_line_up_and_only_the_first_has_a_header(plain: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written([plain] * 5)
    monkeypatch.setattr(table, "PAGE", 2)

    assert written([plain] * 5) == whole
    assert whole.count("severity") == 1


def test_a_narrow_terminal_loses_nothing(plain: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    lines = written([plain]).splitlines()[:-3]

    assert max(map(len, lines)) <= 80
    assert "C.?...." in lines[1]
    assert [line[10:20] for line in lines[1:3]] == ["2026-03-01", "12:00:00  "]


def test_hostile_texts_move_nothing(hostile: Transfer) -> None:
    text = written([hostile])

    assert {"\x1b", "\x9b", "\r", "\x00", "\u202e"} & set(text) == set()
    assert "\\x1b" in text.replace("\n", "")
    assert "[red]" in "".join(part.strip() for part in text.splitlines()) or "[/red]" in text


def test_nothing_found_is_said() -> None:
    assert written([]) == "No transfers.\n"

"""What all feeds share: the register, problems, cutting of lines; and standard input."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed_reader import FeedReader
from tidewaiter import feed
from tidewaiter.errors import UsageError
from tidewaiter.feed import Problems, Surroundings, cut_lines
from tidewaiter.feeds.stdin import Feed as Stdin
from tidewaiter.feeds.stdin import Settings as StdinSettings
from tidewaiter.output import printable


@given(
    st.lists(st.tuples(st.sampled_from([b"", b"\0\0"]), st.text("ab\0", max_size=12).map(str.encode)), max_size=12),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_lines_are_the_same_however_they_are_read(lines: list[tuple[bytes, bytes]], pieces: list[int]) -> None:
    longest = 6
    raw = b"".join(nul + line + b"\n" for nul, line in lines)
    found, lines_counted, left_out, nuls = b"", 0, 0, 0
    held, skipping, place, turn = b"", False, 0, 0
    while place < len(raw):
        size = pieces[turn % len(pieces)]
        turn += 1
        held += raw[place : place + size]
        place += size
        cut = cut_lines(held, skipping=skipping, longest=longest)
        held, skipping = held[cut.used :], cut.skipping
        found += cut.data
        lines_counted += cut.lines
        left_out += cut.left_out
        nuls += cut.nul
        assert len(held) <= longest + 1

    texts = [(nul + line).lstrip(b"\0") for nul, line in lines]
    assert found == b"".join(text[:longest] + b"\n" for text in texts)
    assert (held, lines_counted) == (b"", len(lines))
    assert left_out == sum(max(len(text) - longest, 0) for text in texts)
    assert nuls == sum(len(nul + line) - len(text) for (nul, line), text in zip(lines, texts, strict=True))


def test_problems_add_up_are_bounded_and_are_safe_to_print() -> None:
    problems = Problems(printable)
    for _ in range(3):
        problems.add("lost", "a\x1b[2J", "gone\n", "find it", count=2, unit="lines")
    (found,) = problems.take()
    assert (found.log_file, found.problem, found.count) == ("a\\x1b[2J", "gone\\x0a", 6)
    assert problems.take() == []

    for number in range(Problems.MOST + 5):
        problems.add("lost", str(number), "gone", "find it")
    found_all = problems.take()
    assert len(found_all) == Problems.MOST + 1
    assert found_all[-1].problem.startswith("5 further")


def test_a_secret_in_the_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="password_file") as raised:
        feed.open_feed({"type": "nats", "password": "hidden"}, Surroundings(tmp_path))
    assert "hidden" not in str(raised.value)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_standard_input_is_read_as_it_comes_and_ends_once(pipe: tuple[int, int], tmp_path: Path) -> None:
    reading, writing = pipe
    reader = FeedReader(lambda: Stdin(StdinSettings(), Surroundings(tmp_path), descriptor=reading))
    assert reader.poll() == []  # and does not wait
    os.write(writing, b"one\ntw")
    reader.poll()
    os.write(writing, b"o\nthree")
    reader.poll()
    assert [chunk.finished for chunk in reader.chunks] == [False, False]
    os.close(writing)
    reader.poll(times=3)
    reader.commit()

    assert reader.texts == [b"one", b"two", b"three"]
    assert [line.number for line in reader.kept] == [1, 2, 3]
    assert [chunk.finished for chunk in reader.chunks] == [False, False, True]
    assert len({line.generation for line in reader.kept}) == 1


def test_standard_input_without_line_ends_stays_bounded(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 5_000_000 + b"\nnext\n")
    descriptor = os.open(tmp_path / "long", os.O_RDONLY)
    reader = FeedReader(lambda: Stdin(StdinSettings(), Surroundings(tmp_path), descriptor=descriptor))
    most = 0
    for _ in range(50):
        reader.poll()
        most = max(most, reader.feed.lag())
    reader.commit()
    os.close(descriptor)

    assert [len(text) for text in reader.texts] == [feed.LONGEST_LINE, 4]
    assert most <= feed.LONGEST_LINE
    assert sum(problem.count for problem in reader.problems if problem.kind == "cut") == 5_000_000 - feed.LONGEST_LINE

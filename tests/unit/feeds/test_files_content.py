"""Growing files: what is in them, what cannot be read, and how much at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feed_reader import numbers_are_right
from tidewaiter.errors import UsageError
from tidewaiter.feed import LONGEST_LINE, Surroundings, open_feed
from watched_folder import Watched, pack

Watch = Callable[..., Watched]


def test_a_long_line_is_cut_and_said_and_the_next_one_has_its_number(watch: Watch) -> None:
    reader = watch()
    reader.append(b"a\n" + b"x" * (3 * LONGEST_LINE))
    reader.look()
    reader.kill()
    reader.append(b"x" * 10 + b"\nb\n")
    reader.look()

    assert [(line.number, len(line.text)) for line in reader.kept] == [(1, 1), (2, LONGEST_LINE), (3, 1)]
    assert {(problem.kind, problem.unit) for problem in reader.problems} == {("cut", "bytes")}
    assert sum(problem.count for problem in reader.problems) == 2 * LONGEST_LINE + 10


def test_a_run_of_nul_bytes_is_no_line_and_none_is_taken_before_it_ends(watch: Watch) -> None:
    reader = watch()
    reader.append(b"a\n" + b"\0" * 512)
    reader.look()
    reader.append(b"b\n\n")
    reader.look()

    assert [(line.number, line.text) for line in reader.kept] == [(1, b"a"), (2, b"b"), (3, b"")]
    assert [(problem.kind, problem.count) for problem in reader.problems] == [("damaged", 512)]


def test_what_is_no_text_is_refused_once(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"ElfFile\0\1\0\n" * 500)
    reader = watch("a.bin")
    for _ in range(3):
        reader.look()
        reader.append(b"\0\1", "a.bin")

    assert reader.texts == []
    assert [problem.kind for problem in reader.problems] == ["refused"]


def test_a_file_that_cannot_be_read_is_said_once_and_tried_again(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = watch()
    reader.append(b"1\n")
    really = os.open

    def refusing(path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).endswith("a.log"):
            raise PermissionError(13, "Permission denied", str(path))  # root may read everything
        return really(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        for _ in range(3):
            reader.look()
    assert [problem.kind for problem in reader.problems] == ["unreadable"]
    assert "a.log" in reader.problems[0].log_file
    reader.look()

    assert reader.texts == [b"1"]


def test_a_name_that_is_no_regular_file_does_not_stop_the_others(watch: Watch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    reader = watch("pipe.log", "a.log")
    reader.append(b"1\n")
    reader.look()

    assert reader.texts == [b"1"]
    assert reader.said() == {"unreadable"}


def test_a_damaged_compressed_file_gives_what_stands_before_the_damage(watch: Watch, tmp_path: Path) -> None:
    lines = [f"line {number}".encode() for number in range(100_000)]
    reader = watch()
    reader.append(b"".join(line + b"\n" for line in lines[:10]))
    reader.look()
    reader.kill()
    reader.append(b"".join(line + b"\n" for line in lines[10:]))
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    pack(tmp_path / "a.log.1")
    whole = (tmp_path / "a.log.1.gz").read_bytes()
    (tmp_path / "a.log.1.gz").write_bytes(whole[: len(whole) // 2] + whole[-4:])  # the size at the end is right
    reader.append(b"new\n")
    reader.look()

    assert 10 < len(reader.texts) < 100_000
    whole_lines = len(reader.texts) - 10  # four bytes of damage may look like a few lines
    assert reader.texts[:whole_lines] == lines[:whole_lines]
    assert reader.texts[-1] == b"new"
    assert "damaged" in reader.said()


def test_more_files_than_descriptors(watch: Watch, tmp_path: Path) -> None:
    reader = watch("*.log", descriptors=3)
    for turn in range(3):
        for number in range(20):
            reader.append(f"{number} {turn}\n".encode(), f"{number}.log")
        reader.look()
        links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]  # without the one that lists them
        assert sum(str(path.readlink()).startswith(str(tmp_path)) for path in links) <= 3
    (tmp_path / "7.log").rename(tmp_path / "7.log.1")
    reader.append(b"7 late\n", "7.log.1")
    reader.append(b"7 new\n", "7.log")
    reader.look()

    assert len(reader.texts) == 62
    assert numbers_are_right(reader.kept)


def test_a_poll_brings_about_as_much_as_asked_for_and_takes_turns(watch: Watch) -> None:
    reader = watch("*.log")
    for name in ("a.log", "b.log"):
        reader.append(b"0123456789\n" * 100_000, name)
    reader.clock.now += 2
    first = reader.poll(300_000)

    assert sum(len(chunk.data) for chunk in first) <= 301_000
    assert {chunk.log_file for chunk in first} == {"a.log", "b.log"}
    assert reader.feed.lag() >= 2_200_000 - 600_000
    reader.commit()
    reader.look()
    assert len(reader.kept) == 200_000
    assert reader.feed.lag() == 0


def test_a_large_compressed_rest_does_not_hold_up_a_poll(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"".join(b"%020d some words that fill the line\n" % number for number in range(1_500_000)))
    reader.look()
    reader.append(b"last\n")
    reader.kill()
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    pack(tmp_path / "a.log.1")
    reader.append(b"new\n")
    reader.clock.now += 2
    longest = 0.0
    for _ in range(1_000):
        started = time.perf_counter()
        reader.poll()
        longest = max(longest, time.perf_counter() - started)
        reader.commit()
        reader.clock.now += 0.01
        if reader.kept[-1].text == b"new":
            break

    assert reader.texts[-2:] == [b"last", b"new"]
    assert len(reader.texts) == 1_500_002
    assert longest < 0.5  # 50 ms on a machine with nothing else to do


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"type": "files"}, "paths"),
        ({"type": "files", "paths": []}, "names no file"),
        ({"type": "files", "paths": ["x"], "form_end": True}, "form_end"),
        ({"type": "pigeon"}, "none of files, stdin"),
    ],
)
def test_settings_that_cannot_be_are_usage_errors(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_feed(table, Surroundings(tmp_path))

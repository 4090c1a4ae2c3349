"""Growing files: every way in which a log file becomes another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feed_reader import numbers_are_right
from watched_folder import Watched, pack

Watch = Callable[..., Watched]


def test_a_file_is_read_from_its_beginning_and_as_it_grows(watch: Watch) -> None:
    reader = watch()
    reader.append(b"one\ntwo\nthr")
    reader.look()
    assert reader.texts == [b"one", b"two"]
    assert reader.chunks[-1].head == b"one\ntwo\nthr"

    reader.append(b"ee\nfour\n")
    reader.look(0.05)  # a file that has grown lately is looked at in every poll

    assert reader.texts == [b"one", b"two", b"three", b"four"]
    assert numbers_are_right(reader.kept)
    assert {line.log_file for line in reader.kept} == {"a.log"}
    assert reader.chunks[-1].caught_up
    assert reader.problems == []


def test_a_name_that_is_no_text_is_refused_and_the_others_are_read(watch: Watch, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/logs"
    os.mkdir(folder)  # noqa: PTH102 - a path of bytes
    for name in (b"/x\xff.log", b"/y.log"):
        with open(folder + name, "wb") as file:  # noqa: PTH123 - likewise
            file.write(b"1\n")
    reader = watch("logs")
    reader.look()

    assert [line.log_file for line in reader.kept] == ["logs/y.log"]
    assert [(one.kind, one.log_file) for one in reader.problems] == [("refused", "logs/x\\udcff.log")]


def test_one_file_is_read_where_others_wait_for_it(watch: Watch, tmp_path: Path) -> None:
    reader = watch("a.log", "b.log")
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(b"".join(b"%d\n" % number for number in range(1_000)))
    first = reader.feed.poll(100)
    came = [chunk.log_file for _ in range(3) for chunk in reader.feed.poll_of("b.log", 100)]

    assert first[0].log_file == "a.log"
    assert came == ["b.log"] * 3
    assert reader.feed.poll_of("c.log", 100) == []


def test_from_the_end_only_what_is_added_counts_but_lines_keep_their_numbers(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"old\n" * 100_000 + b"half")
    reader = watch("*.log", from_end=True)
    reader.look()
    reader.kill()
    reader.append(b" a line\nnew\n")
    reader.append(b"later\n", "b.log")
    reader.look()

    assert sorted((line.log_file, line.number, line.text) for line in reader.kept) == [
        ("a.log", 100_001, b"half a line"),
        ("a.log", 100_002, b"new"),
        ("b.log", 1, b"later"),
    ]


def test_rotation_by_renaming_loses_nothing_and_keeps_the_order(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"1\n2\n")
    reader.look()
    reader.append(b"3\n")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    reader.append(b"4\n", "a.log.1")  # the program has not noticed yet
    reader.append(b"5\n")
    reader.look()

    assert reader.texts == [b"1", b"2", b"3", b"4", b"5"]
    assert [line.number for line in reader.kept] == [1, 2, 3, 4, 1]
    assert [chunk.finished for chunk in reader.chunks if chunk.data] == [False, True, False]


def test_a_last_line_without_an_end_is_whole_when_its_file_is_quiet(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"1\nha")
    reader.look()
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    reader.append(b"new\n")
    reader.look(1.1)
    assert reader.texts == [b"1"]
    reader.append(b"lf", "a.log.1")
    reader.look(1.1)
    assert reader.texts == [b"1"]
    reader.look(2.5)

    assert reader.texts == [b"1", b"half", b"new"]
    assert [line.number for line in reader.kept] == [1, 2, 1]


def test_a_program_that_writes_on_after_rotation_is_heard(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"1\n")
    reader.look()
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    reader.append(b"new\n")
    reader.look()
    reader.append(b"2\n", "a.log.1")
    reader.look()
    reader.kill()
    reader.look()
    reader.append(b"3\n", "a.log.1")
    reader.look()

    assert reader.texts == [b"1", b"new", b"2", b"3"]
    assert [line.number for line in reader.kept] == [1, 1, 2, 3]


@pytest.mark.parametrize("down", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("packed", ["", ".gz", ".xz", ".bz2"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_rotations_while_nobody_looked(watch: Watch, tmp_path: Path, down: bool, packed: str, times: int) -> None:
    reader = watch()
    reader.append(b"1\n2\n")
    reader.look()
    reader.append(b"3\n")
    for turn in range(times):
        for number in range(5, 0, -1):
            for end in ("", packed):
                old = tmp_path / f"a.log.{number}{end}"
                if old.exists():
                    old.rename(tmp_path / f"a.log.{number + 1}{end}")
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        if packed:
            pack(tmp_path / "a.log.1", packed)
        reader.append(f"turn {turn}\n".encode())
    if down:
        reader.kill()
    reader.look()
    reader.look()

    assert reader.texts == [b"1", b"2", b"3", *(f"turn {turn}".encode() for turn in range(times))]
    assert numbers_are_right(reader.kept)
    assert reader.problems == []


def test_dated_names_are_followed_too(watch: Watch, tmp_path: Path) -> None:
    reader = watch("conn.log", "eve.json")
    reader.append(b"c1\n", "conn.log")
    reader.append(b"e1\n", "eve.json")
    reader.look()
    reader.append(b"c2\n", "conn.log")
    reader.append(b"e2\n", "eve.json")
    reader.kill()
    (tmp_path / "conn.log").rename(tmp_path / "conn.2026-11-24-10-00-00.log")
    pack(tmp_path / "conn.2026-11-24-10-00-00.log")
    (tmp_path / "eve.json").rename(tmp_path / "eve.json-20261124")
    reader.append(b"c3\n", "conn.log")
    reader.append(b"e3\n", "eve.json")
    reader.look()

    assert sorted(reader.texts) == [b"c1", b"c2", b"c3", b"e1", b"e2", b"e3"]
    assert {line.log_file for line in reader.kept} == {"conn.log", "eve.json"}


def test_what_is_read_is_not_read_again_when_it_is_compressed(watch: Watch, tmp_path: Path) -> None:
    reader = watch("*")
    reader.append(b"1\n")
    reader.look()
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    reader.append(b"2\n")
    reader.look()
    pack(tmp_path / "a.log.1")
    reader.look()
    reader.kill()
    reader.look()
    (tmp_path / "a.log.1.gz").rename(tmp_path / "a.log.2.gz")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    reader.append(b"3\n")
    reader.look()

    assert reader.texts == [b"1", b"2", b"3"]
    assert {line.log_file for line in reader.kept} == {"a.log"}


@pytest.mark.parametrize("down", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("packed", [False, True], ids=["copied", "compressed"])
@pytest.mark.parametrize("longer", [False, True], ids=["shorter", "longer"])
def test_copied_and_truncated(watch: Watch, tmp_path: Path, down: bool, packed: bool, longer: bool) -> None:
    reader = watch()
    reader.append(b"1\n2\n")
    reader.look()
    reader.append(b"3\nhalf")  # written after the last look: only the copy holds it
    shutil.copy2(tmp_path / "a.log", tmp_path / "a.log.1")
    os.truncate(tmp_path / "a.log", 0)
    if packed:
        pack(tmp_path / "a.log.1")
    new = [f"new {number}".encode() for number in range(50 if longer else 1)]
    reader.append(b"".join(line + b"\n" for line in new))
    if down:
        reader.kill()
    reader.look()
    reader.look()

    assert reader.texts == [b"1", b"2", b"3", b"half", *new]
    assert numbers_are_right(reader.kept)
    assert reader.problems == []


def test_truncation_without_a_copy_is_said(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"1\n2\n")
    reader.look()
    os.truncate(tmp_path / "a.log", 0)
    reader.append(b"3\n")
    reader.look()

    assert reader.texts == [b"1", b"2", b"3"]
    assert [line.number for line in reader.kept] == [1, 2, 1]
    assert reader.said() == {"truncated"}


def test_truncation_under_a_writer_leaves_a_hole_that_is_no_line(watch: Watch, tmp_path: Path) -> None:
    with (tmp_path / "a.log").open("wb", buffering=0) as file:  # not opened for appending: it goes on where it was
        file.write(b"x" * 5_000_000 + b"\n")
        reader = watch()
        reader.look()
        os.truncate(tmp_path / "a.log", 0)
        file.write(b"after\n")
        reader.look()

    assert [line.text[:8] for line in reader.kept] == [b"xxxxxxxx", b"after"]
    assert [line.number for line in reader.kept] == [1, 1]
    hole = next(problem for problem in reader.problems if problem.kind == "damaged")
    assert (hole.count, hole.unit) == (5_000_001, "bytes")


def test_the_same_inode_with_other_content_is_another_file(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"first file\n")
    reader.look()
    reader.kill()
    path = tmp_path / "a.log"
    inode = path.stat().st_ino
    path.rename(tmp_path / "a.log.1")
    pack(tmp_path / "a.log.1")
    for attempt in range(200):  # the file system gives the inode out again, sooner or later
        path.write_bytes(b"second file, longer than the first\n")
        if path.stat().st_ino == inode:
            break
        path.rename(tmp_path / f"held{attempt}")
    else:
        path.write_bytes(b"second file, longer than the first\n")
        pytest.skip("this file system does not use inodes again")
    reader.look()

    assert reader.texts == [b"first file", b"second file, longer than the first"]
    assert [line.number for line in reader.kept] == [1, 1]
    assert reader.problems == []


def test_a_deleted_file_is_read_to_its_end(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    with (tmp_path / "a.log").open("ab", buffering=0) as file:
        file.write(b"1\n")
        reader.look()
        (tmp_path / "a.log").unlink()
        file.write(b"2\n")
        reader.look(0.1)
        file.write(b"3\n")
        reader.look(0.1)
    reader.look(3)
    assert reader.chunks[-1].finished
    reader.append(b"4\n")
    reader.look()

    assert reader.texts == [b"1", b"2", b"3", b"4"]
    assert reader.problems == []


def test_a_file_that_is_gone_after_a_restart_is_said_to_be_lost(watch: Watch, tmp_path: Path) -> None:
    reader = watch()
    reader.append(b"1\n")
    reader.look()
    reader.kill()
    (tmp_path / "a.log").unlink()
    reader.append(b"something else\n")
    reader.look()

    assert reader.texts == [b"1", b"something else"]
    assert reader.said() & {"lost", "truncated"}  # by its inode, which may have been used again


def test_files_and_folders_that_appear_later(watch: Watch, tmp_path: Path) -> None:
    reader = watch("logs/**/*.log", "folder", "named.txt")
    reader.look()
    assert [(problem.kind, problem.log_file) for problem in reader.problems] == [
        ("absent", "logs/**/*.log"),
        ("absent", "folder"),
        ("absent", "named.txt"),
    ]
    for name in ("logs/x/y/deep.log", "logs/top.log", "logs/other.txt", "folder/sub/one", "folder/.hidden", "named.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() + b"\n")
    reader.look()

    assert sorted(line.log_file for line in reader.kept) == ["folder/sub/one", "logs/top.log", "logs/x/y/deep.log", "named.txt"]
    reader.kill()
    reader.look()
    assert len(reader.kept) == 4


def test_a_pattern_reads_old_rotated_files_first_and_a_name_does_not(watch: Watch, tmp_path: Path) -> None:
    for name, text in (("a.log.2", b"oldest\n"), ("a.log.1", b"old\n"), ("a.log", b"now\n")):
        (tmp_path / name).write_bytes(text)
    pack(tmp_path / "a.log.2")
    by_pattern, by_name = watch("a.log*"), watch("a.log")
    for reader in (by_pattern, by_name):
        reader.look()

    assert by_pattern.texts == [b"oldest", b"old", b"now"]
    assert {line.log_file for line in by_pattern.kept} == {"a.log"}
    assert by_name.texts == [b"now"]


def test_two_names_of_one_file_are_one_file(watch: Watch, tmp_path: Path) -> None:
    reader = watch("a.log", "link.log", "*.log")
    reader.append(b"1\n")
    (tmp_path / "link.log").symlink_to(tmp_path / "a.log")
    reader.look()
    reader.append(b"2\n")
    reader.look()

    assert reader.texts == [b"1", b"2"]


def test_a_link_that_is_turned_is_a_new_file(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(b"1\n")
    (tmp_path / "second").write_bytes(b"2\n")
    (tmp_path / "current").symlink_to("first")
    reader = watch("current")
    reader.look()
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("second")
    reader.look()

    assert reader.texts == [b"1", b"2"]


def test_files_of_a_new_name_per_day_are_files_of_their_own(watch: Watch) -> None:
    reader = watch("beat-*.ndjson")
    reader.append(b"1\n", "beat-20261123.ndjson")
    reader.look()
    reader.append(b"2\n", "beat-20261124.ndjson")
    reader.append(b"3\n", "beat-20261124-1.ndjson")
    reader.look()

    assert sorted(reader.texts) == [b"1", b"2", b"3"]

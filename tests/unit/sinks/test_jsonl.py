"""The file of lines: rotation, crashes, full disks, other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sink_servers import delivery
from tidewaiter.errors import SinkError
from tidewaiter.sink import Delivery, Surroundings
from tidewaiter.sinks.jsonl import Settings, Sink


def sink_at(folder: Path, max_bytes: int = 1_000_000, keep: int = 10) -> Sink:
    return Sink(Settings(type="jsonl", path="out.jsonl", max_bytes=max_bytes, keep=keep), Surroundings("jsonl", folder))


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["sequence"] for line in path.read_bytes().splitlines()]


def all_numbers(folder: Path) -> list[int]:
    """The sequences of all files, oldest first."""
    rotated = sorted(folder.glob("out.jsonl.*"), key=lambda path: -int(path.suffix[1:]))
    return [number for path in [*rotated, folder / "out.jsonl"] if path.exists() for number in numbers(path)]


def rows(sequences: Iterable[int]) -> list[Delivery]:
    return [delivery(number) for number in sequences]


def test_lines_hold_the_fields_of_the_transfer_beside_those_of_the_change(tmp_path: Path) -> None:
    sink = sink_at(tmp_path)
    sink.deliver([delivery(1, identity="aa"), delivery(2, identity="aa", revision=2, change="update", severity="high")])
    sink.deliver([delivery(3, identity="aa", revision=3, change="withdrawn", superseded_by="bb")])
    sink.close()
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    assert [(line["id"], line["change"], line["revision"], line["superseded_by"]) for line in told] == [
        ("aa", "new", 1, None),
        ("aa", "update", 2, None),
        ("aa", "withdrawn", 3, "bb"),
    ]
    assert told[1]["severity"] == "high"
    assert set(told[0]["stages"]) >= {"commanded", "run"}


def test_a_file_is_rotated_before_it_grows_too_large_and_old_ones_go(tmp_path: Path) -> None:
    sink = sink_at(tmp_path, max_bytes=5_000, keep=3)
    for number in range(1, 41):
        sink.deliver([delivery(number)])
    sink.close()
    files = sorted(path.name for path in tmp_path.iterdir())

    assert files == ["out.jsonl", "out.jsonl.1", "out.jsonl.2", "out.jsonl.3"]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 5_000
    kept = all_numbers(tmp_path)
    assert kept == list(range(kept[0], 41))
    assert kept[0] > 1


def test_a_batch_larger_than_a_file_goes_to_several(tmp_path: Path) -> None:
    sink = sink_at(tmp_path, max_bytes=5_000, keep=100)
    sink.deliver(rows(range(1, 60)))
    sink.close()

    assert len(list(tmp_path.iterdir())) > 5
    assert all_numbers(tmp_path) == list(range(1, 60))


def test_a_line_larger_than_a_file_stands_alone(tmp_path: Path) -> None:
    sink = sink_at(tmp_path, max_bytes=5_000, keep=100)
    sink.deliver([delivery(1), delivery(2, summary="x" * 20_000), delivery(3)])
    sink.close()

    assert [numbers(tmp_path / name) for name in ("out.jsonl.2", "out.jsonl.1", "out.jsonl")] == [[1], [2], [3]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(min_value=0, max_value=3_000), max_bytes=st.integers(min_value=1_000, max_value=6_000))
def test_what_a_crash_left_of_a_line_is_cut_off_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, cut: int, max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    sink = sink_at(folder, max_bytes=max_bytes, keep=100)
    sink.deliver(rows([1, 2]))
    sink.close()
    torn = sink_at(folder)  # a crash in the middle of the next batch: any part of its bytes is there
    torn.deliver(rows([3, 4, 5]))
    torn.close()
    path = folder / "out.jsonl"
    os.truncate(path, max(path.stat().st_size - cut, 0))
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"\n") + 1])
    complete = all_numbers(folder)
    path.write_bytes(data)
    sink = sink_at(folder, max_bytes=max_bytes, keep=100)
    sink.deliver(rows([3, 4, 5]))
    sink.close()

    assert all_numbers(folder) == [*complete, 3, 4, 5]


WRITER = """
import sys
from pathlib import Path
from sink_servers import delivery
from tidewaiter.sink import Surroundings
from tidewaiter.sinks.jsonl import Settings, Sink
sink = Sink(Settings(type="jsonl", path="out.jsonl", max_bytes=20_000, keep=1_000), Surroundings("jsonl", Path(sys.argv[1])))
number = int(sys.argv[2])
while True:
    sink.deliver([delivery(number), delivery(number + 1)])
    print(number + 1, flush=True)
    number += 2
"""


def test_a_killed_writer_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
            assert writer.stdout is not None
            for _ in range(25):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
            for line in writer.stdout:
                acknowledged = int(line)
    sink = sink_at(tmp_path, max_bytes=20_000, keep=1_000)
    sink.deliver([delivery(acknowledged + 1)])
    sink.close()
    told = all_numbers(tmp_path)

    assert acknowledged >= 200
    assert set(told) >= set(range(1, acknowledged + 2))
    assert len(told) - len(set(told)) <= 2 * 4  # at most the batch that was not acknowledged, per kill


def test_a_full_disk_leaves_no_half_line_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = sink_at(tmp_path)
    sink.deliver(rows([1]))
    size = (tmp_path / "out.jsonl").stat().st_size
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SinkError, match="No space left") as caught:
        sink.deliver(rows([2, 3]))
    assert caught.value.retry
    assert (tmp_path / "out.jsonl").stat().st_size == size
    monkeypatch.undo()
    sink.deliver(rows([2, 3]))
    sink.close()

    assert all_numbers(tmp_path) == [1, 2, 3]


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    sink = sink_at(tmp_path)
    sink.deliver(rows([1]))
    (tmp_path / "out.jsonl").rename(tmp_path / "away.jsonl")
    sink.deliver(rows([2]))
    (tmp_path / "out.jsonl").unlink()
    sink.deliver(rows([3]))
    sink.close()

    assert numbers(tmp_path / "away.jsonl") == [1]
    assert numbers(tmp_path / "out.jsonl") == [3]


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("no line of ours")
    with pytest.raises(SinkError, match="move it away"):
        sink_at(tmp_path).deliver(rows([1]))

    assert (tmp_path / "out.jsonl").read_text() == "no line of ours"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_two_writers_do_not_mix_their_lines(tmp_path: Path) -> None:
    one, other = sink_at(tmp_path), sink_at(tmp_path)
    one.deliver(rows([1]))
    with pytest.raises(SinkError, match="another process writes this file") as caught:
        other.deliver(rows([2]))
    one.close()
    other.deliver(rows([2]))
    other.close()

    assert caught.value.retry
    assert all_numbers(tmp_path) == [1, 2]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    sink = Sink(Settings(type="jsonl", path="nowhere/out.jsonl"), Surroundings("jsonl", tmp_path))
    with pytest.raises(SinkError, match=r"nowhere/out\.jsonl: No such file") as caught:
        sink.deliver(rows([1]))

    assert caught.value.retry


FULL = """
import resource, sys
from pathlib import Path
from sink_servers import delivery
from tidewaiter.errors import SinkError
from tidewaiter.sink import DeadLetters, Surroundings
from tidewaiter.sinks.jsonl import Settings, Sink
folder = Path(sys.argv[1])
sink = Sink(Settings(type="jsonl", path="out.jsonl"), Surroundings("jsonl", folder))
sink.deliver([delivery(1)])
size = (folder / "out.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size * 2 + 100, resource.RLIM_INFINITY))  # the system writes a part, then refuses
letters = DeadLetters(folder / "dead.jsonl")
for work in (lambda: sink.deliver([delivery(2), delivery(3)]), lambda: [letters.add(delivery(n), "x") for n in range(9)]):
    try:
        work()
    except SinkError as error:
        assert error.retry and "too large" in str(error), error
    else:
        raise AssertionError("no limit was met")
assert (folder / "out.jsonl").stat().st_size == size
assert (folder / "dead.jsonl").read_bytes().endswith(b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.deliver([delivery(2), delivery(3)])
sink.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_file_that_the_system_lets_grow_no_more_holds_whole_lines_only(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True, env=environment, timeout=60)

    assert all_numbers(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("step", range(4))
def test_a_rotation_that_breaks_off_goes_on_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    sink = sink_at(tmp_path, max_bytes=1_000, keep=9)  # every line has a file of its own
    sink.deliver(rows([1, 2, 3]))
    replace, done = Path.replace, []

    def breaking(self: Path, target: Path) -> Path:
        if self.exists():
            done.append(self)
        if len(done) > step:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", breaking)
    if step < 3:
        with pytest.raises(SinkError, match="Input/output error"):
            sink.deliver(rows([4]))
    else:
        sink.deliver(rows([4]))
    sink.close()
    monkeypatch.undo()
    again = sink_at(tmp_path, max_bytes=1_000, keep=9)  # as after a crash
    again.deliver(rows([4, 5]) if step < 3 else rows([5]))
    again.close()

    assert all_numbers(tmp_path) == [1, 2, 3, 4, 5]

"""Bounded line reading."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.formats.text_lines import line_blocks, numbered_lines, text


def _lines(path: Path, content: bytes, **limits: int) -> list[tuple[int, bytes, int]]:
    path.write_bytes(content)
    found = []
    for number, lines, cut in line_blocks(path, **limits):
        found += [(number + index, line, cut.get(index, 0)) for index, line in enumerate(lines)]
    return found


@pytest.mark.parametrize("block", [1, 2, 3, 7, 4096])
def test_lines_are_numbered_and_ends_removed(tmp_path: Path, block: int) -> None:
    found = _lines(tmp_path / "a", b"one\r\n\ntwo\nthree", block=block)
    assert found == [(1, b"one", 0), (2, b"", 0), (3, b"two", 0), (4, b"three", 0)]


def test_an_empty_file_has_no_lines_and_a_newline_is_one(tmp_path: Path) -> None:
    assert _lines(tmp_path / "a", b"") == []
    assert _lines(tmp_path / "a", b"\n") == [(1, b"", 0)]


@pytest.mark.parametrize("block", [5, 64])
def test_a_long_line_is_cut_and_the_next_survives(tmp_path: Path, block: int) -> None:
    found = _lines(tmp_path / "a", b"x" * 100 + b"\nnext\n" + b"y" * 30, longest=10, block=block)
    assert found == [(1, b"x" * 10, 90), (2, b"next", 0), (3, b"y" * 10, 20)]


@pytest.mark.parametrize("block", [4, 1000])
def test_nul_runs_are_removed_at_the_ends(tmp_path: Path, block: int) -> None:
    found = _lines(tmp_path / "a", b"ok\n" + b"\0" * 50 + b"a\0b\n\0\0\nlast\0", longest=10, block=block)
    assert found == [(1, b"ok", 0), (2, b"a\0b", 0), (3, b"", 0), (4, b"last", 0)]


@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]
)
def test_byte_order_marks(tmp_path: Path, encoding: str, mark: bytes) -> None:
    found = _lines(tmp_path / "a", mark + "größe\r\nb".encode(encoding), block=5)
    assert [line for _, line, _ in found] == ["größe".encode(), b"b"]


def test_broken_utf8_is_kept_visible() -> None:
    assert text(b"a\xffb\xc3\xa9") == "a\\xffbé"


@given(st.binary(max_size=200), st.integers(1, 50))
def test_block_size_changes_nothing(tmp_path_factory: pytest.TempPathFactory, content: bytes, block: int) -> None:
    path = tmp_path_factory.mktemp("lines") / "a"
    assert _lines(path, content, block=block, longest=20) == _lines(path, content, longest=20)


def test_numbered_lines_agree_with_blocks(tmp_path: Path) -> None:
    expected = _lines(tmp_path / "a", b"a\n" + b"b" * 99 + b"\nc", longest=9)
    assert list(numbered_lines(tmp_path / "a", longest=9)) == expected


def test_a_line_of_50_mb_is_quick_and_small(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"z" * 50_000_000 + b"\nend\n")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = list(numbered_lines(tmp_path / "a"))
    assert [(number, len(line), cut) for number, line, cut in found] == [(1, 1 << 20, 50_000_000 - (1 << 20)), (2, 3, 0)]
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes

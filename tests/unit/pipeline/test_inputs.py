"""Finding and opening inputs: what people really have, and what an attacker may have put there."""

from __future__ import annotations

import gzip
import io
import os
import socket
import stat
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from tidewaiter.log_source import HEAD_BYTES
from tidewaiter.pipeline.inputs import (
    InputLimits,
    Opened,
    Unreadable,
    WorkItem,
    iterate_inputs,
    open_item,
    plan,
    recognise,
    work_folder,
)

LIMITS = InputLimits()
LINES = b"one line of a log\n" * 5_000


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


def zipped(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out.getvalue()


def read_all(paths: list[Path], work: Path, limits: InputLimits = LIMITS) -> tuple[dict[str, bytes], list[Unreadable]]:
    """Label -> content of everything readable, and the reports of the rest. Nothing may stay in the work folder."""
    content: dict[str, bytes] = {}
    reports: list[Unreadable] = []
    for each in iterate_inputs([str(path) for path in paths], limits, work):
        if isinstance(each, Unreadable):
            reports.append(each)
        else:
            data = each.path.read_bytes()
            assert each.head == data[:HEAD_BYTES]
            assert each.size == len(data)
            assert each.log_file not in content
            content[each.log_file] = data
    assert list(work.iterdir()) == []
    return content, reports


def test_a_folder_is_walked_in_a_fixed_order(given: Path, work: Path) -> None:
    names = ["b/z.log", "b/a.log", "a.log", "c.log", "B.log", "b.log"]
    for name in names:
        (given / name).parent.mkdir(exist_ok=True)
        (given / name).write_bytes(LINES)

    content, reports = read_all([given], work)

    assert reports == []
    assert list(content) == [str(given / name) for name in ["B.log", "a.log", "b.log", "c.log", "b/a.log", "b/z.log"]]


def test_a_path_is_cited_as_given(given: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (given / "x.log").write_bytes(LINES)
    monkeypatch.chdir(given)

    content, _ = read_all([Path("x.log")], work)

    assert list(content) == ["x.log"]


def test_each_real_file_is_met_once(given: Path, work: Path) -> None:
    (given / "x.log").write_bytes(LINES)
    (given / "hard.log").hardlink_to(given / "x.log")
    (given / "another").symlink_to(given / "x.log")

    content, reports = read_all([given, given, given / "x.log"], work)

    assert list(content) == [str(given / "hard.log")]
    assert reports == []


def test_a_loop_of_links_ends(given: Path, work: Path) -> None:
    (given / "a").mkdir()
    (given / "a" / "x.log").write_bytes(LINES)
    (given / "a" / "up").symlink_to(given)
    (given / "b").symlink_to(given / "a")
    (given / "self").symlink_to("self")

    content, reports = read_all([given], work)

    assert list(content) == [str(given / "a" / "x.log")]
    assert [report.log_file for report in reports] == [str(given / "self")]


def test_a_linked_folder_inside_the_given_paths_is_followed_once(given: Path, work: Path) -> None:
    (given / "link").symlink_to(given / "real")
    (given / "real").mkdir()
    (given / "real" / "x.log").write_bytes(LINES)

    content, reports = read_all([given], work)

    assert (list(content), reports) == ([str(given / "real" / "x.log")], [])


def test_a_link_out_of_the_given_folder_is_not_followed(given: Path, work: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.log").write_bytes(LINES)
    (given / "theirs.log").symlink_to(tmp_path / "mine.log")

    content, reports = read_all([given], work)

    assert content == {}
    assert [(report.log_file, report.kind) for report in reports] == [(str(given / "theirs.log"), "special file")]


def test_a_link_that_the_caller_gave_is_followed(given: Path, work: Path, tmp_path: Path) -> None:
    (tmp_path / "real.log").write_bytes(LINES)
    (given / "link.log").symlink_to(tmp_path / "real.log")

    content, _ = read_all([given / "link.log"], work)

    assert content == {str(given / "link.log"): LINES}


def test_special_files_are_reported_and_never_opened(given: Path, work: Path) -> None:
    os.mkfifo(given / "pipe")
    place = os.open(given, os.O_RDONLY)  # a short path: names of sockets are bounded
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{place}/sock")
        content, reports = read_all([given, Path("/dev/null"), given / "pipe"], work)
    os.close(place)

    assert content == {}
    assert {(Path(report.log_file).name, report.kind) for report in reports} == {
        ("pipe", "special file"),
        ("sock", "special file"),
        ("null", "special file"),
    }


def test_what_is_not_there_is_reported(given: Path, work: Path) -> None:
    _, reports = read_all([given / "nowhere.log", Path("bad\0name")], work)

    assert [report.kind for report in reports] == ["unreadable", "unreadable"]


def test_what_may_not_be_read_is_reported(given: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (given / "locked").mkdir()
    (given / "x.log").write_bytes(LINES)
    real = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    content, reports = read_all([given], work)

    assert list(content) == [str(given / "x.log")]
    assert [(report.log_file, report.problem) for report in reports] == [(str(given / "locked"), "Permission denied")]


def test_a_file_that_goes_away_is_reported(given: Path, work: Path) -> None:
    (given / "x.log").write_bytes(LINES)
    (item,) = plan([str(given)], LIMITS)
    (given / "x.log").unlink()

    (report,) = open_item(item, LIMITS, work)

    assert isinstance(report, Unreadable)
    assert report.kind == "unreadable"


def test_a_file_that_became_a_pipe_does_not_block(given: Path, work: Path) -> None:
    (given / "x.log").write_bytes(LINES)
    (item,) = plan([str(given)], LIMITS)
    (given / "x.log").unlink()
    os.mkfifo(given / "x.log")

    (report,) = open_item(item, LIMITS, work)

    assert isinstance(report, Unreadable)


def test_empty_files_are_reported_as_empty(given: Path, work: Path) -> None:
    (given / "empty.evtx").touch()

    _, reports = read_all([given], work)

    assert [(report.kind, report.problem) for report in reports] == [("empty", "empty")]


def test_the_plan_has_one_item_per_file_with_its_size(given: Path) -> None:
    (given / "a.zip").write_bytes(zipped({"x": LINES, "y": LINES}))
    (given / "b.log").write_bytes(LINES)

    items = plan([str(given)], LIMITS)

    assert [(Path(item.path).name, item.size) for item in items] == [
        ("a.zip", (given / "a.zip").stat().st_size),
        ("b.log", len(LINES)),
    ]


def test_nested_archives_are_labelled_by_all_their_names(given: Path, work: Path) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        info = tarfile.TarInfo("var/log/x.log")
        info.size = len(LINES)
        archive.addfile(info, io.BytesIO(LINES))
    inner = zipped({"logs\\y.log": LINES, "z.log.gz": gzip.compress(LINES)})
    (given / "a.dat").write_bytes(zipped({"b.tar.gz": tar.getvalue(), "c.zip": inner, "d.log": LINES}))

    content, reports = read_all([given], work)

    outer = str(given / "a.dat")
    assert reports == []
    assert content == dict.fromkeys(
        [f"{outer}!b.tar.gz!var/log/x.log", f"{outer}!c.zip!logs/y.log", f"{outer}!c.zip!z.log.gz", f"{outer}!d.log"], LINES
    )


def test_archives_are_known_by_content_and_never_by_name(given: Path, work: Path) -> None:
    (given / "a.log").write_bytes(gzip.compress(LINES))
    (given / "b.zip").write_bytes(LINES)
    (given / "c.gz").write_bytes(LINES)

    content, reports = read_all([given], work)

    assert reports == []
    assert set(content.values()) == {LINES}
    assert len(content) == 3


def test_nesting_is_bounded(given: Path, work: Path) -> None:
    data = LINES
    for level in range(8):
        data = zipped({f"level{level}": data, f"log{level}": LINES})
    (given / "a.zip").write_bytes(data)

    content, reports = read_all([given], work)

    assert len(content) == 4
    assert [report.kind for report in reports] == ["limit"]
    assert reports[0].log_file.count("!") == 4


def test_a_bomb_of_bombs_costs_little(given: Path, work: Path) -> None:
    small = zipped({"zeros": bytes(3_000_000)})
    (given / "a.zip").write_bytes(zipped({f"b{number}.zip": small for number in range(200)}))
    (given / "b.log").write_bytes(LINES)
    limits = InputLimits(ratio_free=10_000_000)
    written = 0
    for each in iterate_inputs([str(given)], limits, work):
        if isinstance(each, Opened) and each.path.parent == work:
            written += each.size

    content, reports = read_all([given], work, limits)

    assert written < 60_000_000
    assert str(given / "b.log") in content
    assert {report.kind for report in reports} == {"limit"}


def test_an_abandoned_reading_leaves_nothing_behind(given: Path, work: Path) -> None:
    (given / "a.zip").write_bytes(zipped({"b.zip": zipped({"x.log": LINES, "y.log": LINES}), "c.log": LINES}))
    reading = iterate_inputs([str(given)], LIMITS, work)
    first = next(reading)
    assert isinstance(first, Opened)
    assert first.path.exists()

    reading.close()  # type: ignore[attr-defined]

    assert list(work.iterdir()) == []


def test_members_are_private(given: Path, work: Path) -> None:
    (given / "a.zip").write_bytes(zipped({"x.log": LINES}))
    reading = iterate_inputs([str(given)], LIMITS, work)
    opened = next(reading)
    assert isinstance(opened, Opened)

    assert stat.S_IMODE(opened.path.stat().st_mode) == 0o600
    with work_folder(work.parent) as folder:
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700


def test_names_that_are_no_text_are_cited_readably(given: Path, work: Path) -> None:
    with open(os.fsencode(given) + b"/x\xff.log", "wb") as file:  # noqa: PTH123
        file.write(LINES)

    content, _ = read_all([given], work)

    assert [label.encode("utf-8") for label in content] == [f"{given}/x\\udcff.log".encode()]
    (item,) = plan([str(given)], LIMITS)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(item), type=WorkItem)  # as a worker gets it
    assert [one.log_file for one in open_item(sent, LIMITS, work)] == list(content)


def opened_of(data: bytes, path: Path, name: str = "x") -> Opened:
    path.write_bytes(data)
    return Opened(path=path, log_file=name, size=len(data), head=data[:HEAD_BYTES])


@pytest.mark.parametrize(
    "head",
    [
        b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00",
        b"\xa1\xb2\xc3\xd4\x00\x02\x00\x04",
        b"\x4d\x3c\xb2\xa1\x02\x00\x04\x00",
        b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00",
    ],
    ids=["pcap", "big-endian", "nanosecond", "pcapng"],
)
def test_packet_captures_are_a_log_source(head: bytes, tmp_path: Path) -> None:
    found = recognise(opened_of(head + bytes(100), tmp_path / "x"))

    assert found is not None
    assert (found.family, found.name) == ("stream", "packet_capture")
    assert found.why.startswith("pcap")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"#separator \\x09\n#path\tconn\n#fields\tts\tuid\n", "zeek"),
        (b'{"timestamp":"2024-05-06T07:08:09.000000+0000","flow_id":1,"event_type":"flow"}\n', "suricata_eve"),
    ],
)
def test_logs_are_recognised_by_content(data: bytes, name: str, tmp_path: Path) -> None:
    found = recognise(opened_of(data, tmp_path / "misleading.evtx"))

    assert found is not None
    assert (found.family, found.name) == ("stream", name)
    assert found.why


@pytest.mark.parametrize("data", [b"x", b"\0" * 5_000, b"{", b"[]", b"SQLite format 3\0" + b"\xff" * 500, b"\xff\xfe" * 50])
def test_other_content_is_nobodys(data: bytes, tmp_path: Path) -> None:
    assert recognise(opened_of(data, tmp_path / "x")) is None


@pytest.mark.corpus
def test_every_file_of_the_corpus_goes_through(corpus: Path, work: Path) -> None:
    families: dict[str, int] = {}
    for each in iterate_inputs([str(corpus)], LIMITS, work):
        if isinstance(each, Opened):
            found = recognise(each)
            family = found.family if found else "nobody"
            families[family] = families.get(family, 0) + 1
        else:
            assert each.kind == "empty", each

    assert list(work.iterdir()) == []
    assert families["evtx"] > 50
    assert families["stream"] > 220

"""`--keep-files`: what captures carried is kept by its hash, and nothing that a capture says becomes a path."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from captures.writer import Conversation, elf, http, pcap, save, tcp, tftp
from tidewaiter.engines import kept_files, local
from tidewaiter.engines.confinement import OLDEST, abi
from tidewaiter.engines.kept_files import KeptFiles
from tidewaiter.engines.local import scan
from tidewaiter.errors import UsageError
from tidewaiter.formats import capture_harvest
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.packet_capture import Source
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import EventKind
from tidewaiter.schema.extracted import Extracted, Extracts
from tidewaiter.store.store import open_store

BODY = b"columns of numbers\n" * 400


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def index(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text(encoding="ascii").splitlines()]


def list_of(entry: dict[str, object], name: str) -> list[object]:
    value = entry[name]
    assert isinstance(value, list)
    return value


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "index.jsonl"}


def keep(given: Path, folder: Path) -> KeptFiles:
    with KeptFiles(folder) as files, scan([str(given)], kept_files=files):
        return files


def extracts(tmp_path: Path, *contents: bytes, name: str | None = None) -> Extracts:
    """Contents that lie ready, as a worker leaves them."""
    place = tmp_path / "ready"
    place.mkdir()
    found = []
    for content in contents:
        path = place / digest(content)
        path.write_bytes(content)
        found.append(Extracted(path=str(path), log_file="a.pcap", name=name))
    return Extracts(found)


@pytest.mark.usefixtures("suricata", "tshark")
def test_all_carried_contents_are_kept_once_by_their_hash(tmp_path: Path) -> None:
    given, folder = tmp_path / "given", tmp_path / "deep" / "kept"
    given.mkdir()
    save(given, pcap([*http(BODY), *tcp(b"", elf()), *tftp(elf(1_500))]))
    with zipfile.ZipFile(given / "two.zip", "w") as archive:
        archive.writestr("inner/two.pcap", pcap(http(BODY, path="/other.csv")))
    first, second = keep(given, folder), keep(given, folder)

    assert kept(folder) == {digest(content): content for content in (BODY, elf(), elf(1_500))}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (first.kept, second.kept, second.known, second.left.total()) == (3, 0, 4, 0)
    entries = {(str(entry["log_file"]).rpartition("/")[2], entry["sha256"]): entry for entry in index(folder)}
    assert len(entries) == len(index(folder)) == 4
    assert entries["two.pcap", digest(BODY)]["name"] == "/other.csv"
    assert entries["capture.pcap", digest(elf())]["type"] == "ELF executable"
    assert entries["capture.pcap", digest(elf(1_500))]["size"] == 1_500
    with scan([str(given)]) as plain:
        for transfer in plain.transfers():
            named = [entry for entry in index(folder) if transfer.id in list_of(entry, "transfers")]
            assert [entry["sha256"] for entry in named] == [transfer.file.sha256], transfer
            rows = {(row.log_file, row.record) for row in transfer.evidence}
            assert any((entry["log_file"], record) in rows for entry in named for record in list_of(entry, "records"))


@pytest.mark.usefixtures("suricata", "tshark")
def test_hostile_names_stay_in_the_index(tmp_path: Path) -> None:
    given, folder = tmp_path / "given", tmp_path / "kept"
    given.mkdir()
    packets = [*http(BODY, path="/../../../../escaped\x1b[2J"), *tftp(elf(1_500), "../../escaped")]
    talk = Conversation(79, source_port=40_009)
    save(given, pcap([*packets, *talk.client(b"../../escaped\x1b]0;x\x07\r\n").server(b"Plan:\r\n").close()]))
    keep(given, folder)
    text = (folder / "index.jsonl").read_bytes()

    assert set(kept(folder)) == {digest(BODY), digest(elf(1_500)), digest(b"Plan:\n")}
    assert sum("escaped" in str(entry["name"]) for entry in index(folder)) == 3
    assert all(byte == 10 or 32 <= byte < 127 for byte in text)
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.usefixtures("suricata")
def test_the_option_tells_what_it_kept(tmp_path: Path, confined: bool) -> None:
    if confined and abi() < OLDEST:
        pytest.skip("this kernel cannot confine")
    path, folder = save(tmp_path, pcap(http(BODY))), tmp_path / "kept"
    command = [sys.executable, "-m", "tidewaiter", "scan", str(path), "--keep-files", str(folder)]
    done = subprocess.run([*command, *["--confine"] * confined], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Kept files: 1 new in" in done.stderr
    assert kept(folder) == {digest(BODY): BODY}


@pytest.mark.parametrize(("files", "size"), [(2, 1 << 30), (10, 2_500)])
def test_what_is_beyond_the_bound_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, size: int) -> None:
    monkeypatch.setattr(kept_files, "MOST_FILES", files)
    monkeypatch.setattr(kept_files, "MOST_BYTES", size)
    with KeptFiles(tmp_path / "kept") as found:
        found.take(extracts(tmp_path, *(bytes([number]) * 1_000 for number in range(4))))

    assert (len(kept(tmp_path / "kept")), found.kept, found.left.total()) == (2, 2, 2)
    assert "2 NOT kept (2: a folder holds" in found.summary()
    assert not (tmp_path / "ready").exists()


def test_the_name_is_the_hash_of_the_bytes_whatever_was_said(tmp_path: Path) -> None:
    waiting = extracts(tmp_path, b"one")
    Path(waiting.files[0].path).write_bytes(b"another")
    with KeptFiles(tmp_path / "kept") as found:
        found.take(waiting)

    assert kept(tmp_path / "kept") == {digest(b"another"): b"another"}


def test_a_link_or_a_pipe_in_the_place_of_a_content_is_not_followed(tmp_path: Path) -> None:
    waiting, secret = extracts(tmp_path, b"one", b"two"), tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    for place, path in enumerate(Path(one.path) for one in waiting.files):
        path.unlink()
        path.symlink_to(secret) if place else os.mkfifo(path)
    with KeptFiles(tmp_path / "kept") as found:
        found.take(waiting)

    assert kept(tmp_path / "kept") == {}
    assert found.left.total() == 2
    assert secret.read_bytes() == b"of somebody else"


def test_links_that_wait_in_the_folder_lead_nowhere(tmp_path: Path) -> None:
    folder, outside = tmp_path / "kept", tmp_path / "outside"
    with KeptFiles(folder) as found:
        for name in (".partial", digest(b"one")):
            (folder / name).symlink_to(outside)
        found.take(extracts(tmp_path, b"one"))
        assert list(found.seen([])) == []

    assert not outside.exists()
    assert not (folder / digest(b"one")).is_symlink()
    assert kept(folder) == {digest(b"one"): b"one"}
    (folder / "index.jsonl").unlink()
    (folder / "index.jsonl").symlink_to(outside)
    with pytest.raises(UsageError, match="is no file"):
        KeptFiles(folder)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    full, link, foreign, free = (tmp_path / name for name in ("full", "link", "foreign", "free"))
    full.mkdir()
    (full / "letter.txt").write_text("mine")
    link.symlink_to(full)
    foreign.mkdir()
    (foreign / "index.jsonl").write_text('{"other": 1}\n')
    free.mkdir()
    free.chmod(0o777)
    for folder, problem in (
        (full, "is not empty"), (link, "symbolic link"), (foreign, "line 1 of index.jsonl"), (free, "others may write"),
        (full / "letter.txt", "File exists"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=problem):
            KeptFiles(folder)
    assert [path.name for path in full.iterdir()] == ["letter.txt"]


def test_a_folder_is_of_one_scan_at_a_time(tmp_path: Path) -> None:
    with KeptFiles(tmp_path / "kept"), pytest.raises(UsageError, match="another scan"):
        KeptFiles(tmp_path / "kept")
    with KeptFiles(tmp_path / "kept") as again:
        assert again.kept == 0


def test_an_index_that_was_cut_off_is_taken_up(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with KeptFiles(folder) as found:
        found.take(extracts(tmp_path, b"one"))
    with (folder / "index.jsonl").open("a") as lines:
        lines.write('{"sha256": "ab')
    with KeptFiles(folder) as again:
        again.take(extracts(tmp_path, b"one", b"two"))

    assert (again.kept, again.known) == (1, 1)
    assert {entry["sha256"] for entry in index(folder)} == {digest(b"one"), digest(b"two")}
    with KeptFiles(folder):
        assert len(index(folder)) == 2


@pytest.mark.usefixtures("suricata")
def test_what_is_missing_on_the_wire_is_said(tmp_path: Path) -> None:
    packets = http(BODY)
    lost = next(place for place, (_, packet) in enumerate(packets) if packet.count(b"columns of numbers") > 50)
    found = keep(save(tmp_path, pcap(packets[:lost] + packets[lost + 1 :])), tmp_path / "kept")

    (entry,) = index(tmp_path / "kept")
    assert (found.kept, found.left.total(), entry["gaps"]) == (1, 0, True)
    assert len(kept(tmp_path / "kept")[str(entry["sha256"])]) == entry["size"] == len(BODY) - 1_400


@pytest.mark.usefixtures("suricata")
@pytest.mark.parametrize(("limit", "reason"), [("MOST_FILES", "in one capture"), ("LARGEST", "larger than")])
def test_a_capture_gives_no_more_than_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, reason: str
) -> None:
    monkeypatch.setattr(capture_harvest, limit, 1)
    path = save(tmp_path, pcap([*http(BODY), *http(elf(), port=8080)]))
    waiting, data = Extracts(), path.read_bytes()
    source = Source()
    source.extract(tmp_path / "aside", waiting)
    opened = Opened(path=path, log_file="a.pcap", size=len(data), head=data)
    events = [event for batch in source.read(opened, Account(log_file="a.pcap")) for event in batch]

    assert {event.sha256 for event in events if event.kind is EventKind.FILE_ON_WIRE} == {digest(BODY), digest(elf())}
    (said, count), *others = waiting.left.items()
    assert (len(waiting.files), count, reason in said, others) == (
        (1, 1, True, []) if limit == "MOST_FILES" else (0, 2, True, [])
    )


@pytest.mark.usefixtures("suricata")
def test_a_scan_that_goes_on_keeps_what_the_killed_one_had_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, pcap(http(BODY)))

    def ended(*given: object) -> None:
        raise KeyboardInterrupt

    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        with monkeypatch.context() as patched:
            patched.setattr(local, "correlate", ended)
            with pytest.raises(KeyboardInterrupt):
                scan([str(path)], store=store)
        with KeptFiles(tmp_path / "kept") as files, scan([str(path)], store=store, kept_files=files) as found:
            assert [transfer.file.sha256 for transfer in found.transfers()] == [digest(BODY)]

    assert kept(tmp_path / "kept") == {digest(BODY): BODY}


@pytest.mark.usefixtures("suricata", "tshark")
def test_the_records_are_the_same_with_and_without(tmp_path: Path) -> None:
    packets = http(BODY)
    lossy = [*packets[:8], *packets[10:]]
    path = save(tmp_path, pcap([*lossy, *http(BODY, port=8080)[:-12], *tcp(b"", elf()), *tftp(elf(1_500))]))
    with scan([str(path)]) as plain, KeptFiles(tmp_path / "kept") as files, scan([str(path)], kept_files=files) as found:
        first, second = list(plain.transfers()), list(found.transfers())

    assert len(first) == 4
    assert [(one.id, one.file.sha256, one.file.size) for one in first] == [
        (one.id, one.file.sha256, one.file.size) for one in second
    ]

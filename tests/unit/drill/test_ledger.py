"""The ledger: what a drill made is taken away, and nothing that it did not make."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from tidewaiter.drill import ledger, processes
from tidewaiter.errors import DrillError, UsageError

TOKEN = "0123456789ab"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def dead(token: str = TOKEN, **entries: object) -> ledger.Entries:
    """The entries of a drill whose process is gone."""
    whole = {"token": token, "process": 2**22 + 7, "started": "1", "boot": processes.boot(), **entries}
    return msgspec.convert(whole, ledger.Entries)


def written(top: Path, entries: ledger.Entries, name: str | None = None, mode: int = 0o700) -> Path:
    place = top / f"{ledger.PREFIX}{name or entries.token}"
    place.mkdir(mode=mode)
    place.chmod(mode)
    (place / ledger.FILE).write_bytes(msgspec.json.encode(entries))
    (place / "served").mkdir()
    return place


def test_leaving_a_drill_takes_its_folder_and_processes_away(folder: Path) -> None:
    with ledger.Ledger() as book:
        (book.folder / "served").mkdir()
        tag = {**os.environ, processes.TAG: book.token}
        stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
        kept = subprocess.Popen([sys.executable, "-c", stubborn], env={**os.environ, processes.TAG: "f" * 12}, stdout=-1)
        ours = subprocess.Popen([sys.executable, "-c", stubborn], env=tag, stdout=-1, start_new_session=True)
        for process in (kept, ours):
            assert process.stdout is not None
            process.stdout.readline()
        assert book.folder.stat().st_mode & 0o777 == 0o700
        found = list(processes.tagged(book.token))

    kept_on = kept.poll() is None
    kept.kill()
    for process in (kept, ours):
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
    assert found == [ours.pid]
    assert kept_on
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["two words", "it's", "$(reboot)", "a;b", "a%h"])
def test_a_folder_whose_name_a_shell_would_take_apart_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    with pytest.raises(UsageError, match="is no plain path for commands: set TMPDIR"):
        ledger.Ledger()
    assert list((tmp_path / name).iterdir()) == []


def test_a_dead_drill_is_cleaned_up_after(folder: Path) -> None:
    place = written(folder, dead())
    done, going_on = ledger.clean()

    assert done == [f"removed {place}"]
    assert going_on == []
    assert not place.exists()


def test_a_drill_that_goes_on_is_let_be(folder: Path) -> None:
    with ledger.Ledger() as book:
        done, going_on = ledger.clean()

        assert book.folder.is_dir()
    assert done == []
    assert going_on == [f"process {os.getpid()} holds the drill of {book.folder}"]


def test_a_process_of_the_same_number_that_started_later_is_not_the_drill(folder: Path) -> None:
    written(folder, dead(process=os.getpid(), started="1"))
    written(folder, dead("ab" * 6, process=os.getpid(), started=str(processes.started(os.getpid())), boot="another"))

    assert len(ledger.clean()[0]) == 2


@pytest.mark.parametrize("oddity", ["name", "mode", "link", "no ledger", "broken", "other token", "file"])
def test_what_is_not_a_drills_beyond_doubt_is_let_be(oddity: str, folder: Path) -> None:
    place = folder / f"{ledger.PREFIX}{TOKEN}"
    if oddity == "name":
        place = written(folder, dead(), name="precious")
    elif oddity == "mode":
        written(folder, dead(), mode=0o755)
    elif oddity == "link":
        elsewhere = written(folder, dead("ab" * 6))
        elsewhere.rename(folder / "elsewhere")
        place.symlink_to(folder / "elsewhere")
    elif oddity == "no ledger":
        place.mkdir(mode=0o700)
    elif oddity == "broken":
        written(folder, dead())
        (place / ledger.FILE).write_text('{"token":')
    elif oddity == "other token":
        written(folder, dead("cd" * 6), name=TOKEN)
    else:
        place.write_text("precious")

    assert ledger.clean() == ([], [])
    assert place.exists()


def test_links_in_a_drills_folder_are_not_followed(folder: Path) -> None:
    (folder / "precious").mkdir()
    (folder / "precious" / "letter").write_text("do not lose")
    place = written(folder, dead())
    (place / "link").symlink_to(folder / "precious")
    ledger.clean()

    assert not place.exists()
    assert (folder / "precious" / "letter").is_file()


def test_addresses_and_interfaces_of_others_are_never_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def note(*words: str) -> bool:
        asked.append(words)
        return True

    monkeypatch.setattr(ledger, "_ip", note)
    written(folder, dead(addresses=["127.0.0.1/8", "192.0.2.7/24", "10.99.7.2/32"], interfaces=["lo", "eth0"]))
    ledger.clean()

    assert {word for words in asked for word in words if "." in word} == {"10.99.7.2", "10.99.7.2/32"}
    assert not {"eth0"} & {word for words in asked for word in words}


def test_what_cannot_be_removed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = written(folder, dead())
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)

    with pytest.raises(DrillError, match=f"left behind: {place}; tidewaiter drill --clean takes it away"):
        ledger.clean()


def test_a_process_is_known_by_when_it_started() -> None:
    other = subprocess.Popen(["sleep", "60"])
    began = processes.started(other.pid)
    other.kill()
    end = time.monotonic() + 10
    while processes.started(other.pid) is not None and time.monotonic() < end:
        time.sleep(0.01)
    ended = processes.started(other.pid)  # it waits for its parent to ask after it, and counts as gone
    other.wait()

    assert began is not None
    assert began.isdigit()
    assert ended is None
    assert processes.started(2**22 + 7) is None

"""SQLite databases that nobody trusts: damaged, hostile, odd, with the schema out of sight."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

import pytest

from tidewaiter.errors import DamagedError
from tidewaiter.formats import sqlite_rows
from tidewaiter.formats.sqlite_rows import Database, names_in, tables_of
from tidewaiter.log_source import HEAD_BYTES, Opened
from tidewaiter.log_sources import browser_chrome, browser_firefox, macos_quarantine
from tidewaiter.log_sources.browser_firefox import file_url_path
from tidewaiter.pipeline.inputs import recognise
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

SAMPLES = Path(__file__).parents[2] / "samples"
OLD = "CREATE TABLE downloads (id INTEGER PRIMARY KEY, full_path, url, start_time, received_bytes, total_bytes, state)"
DATABASES = sorted(path for path in SAMPLES.glob("*/*/input.*") if path.suffix in (".db", ".sqlite"))
SOURCES = (browser_chrome, browser_firefox, macos_quarantine)


def make(path: Path, *statements: str) -> Path:
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return path


def opened_of(path: Path) -> Opened:
    with path.open("rb") as file:
        return Opened(path=path, log_file=path.name, size=path.stat().st_size, head=file.read(HEAD_BYTES))


def read_chrome(path: Path) -> tuple[list[Event], Account]:
    account = Account(log_file=path.name)
    events = [event for batch in browser_chrome.Source().read(opened_of(path), account) for event in batch]
    assert account.balanced
    return events, account


def rows(count: int) -> str:
    return (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        "INSERT INTO downloads SELECT i, '/home/jdoe/' || i, 'https://files.example.com/' || i || hex(zeroblob(200)), "
        "1306139730 + i, 1, 1, 1 FROM n"
    )


def test_a_database_is_never_changed_and_gains_no_companions(tmp_path: Path) -> None:
    path = make(tmp_path / "History", "PRAGMA journal_mode = WAL", OLD, "CREATE TABLE urls (id)", rows(10))
    path.chmod(0o444)
    before = path.read_bytes()

    events, _ = read_chrome(path)

    assert len(events) == 10
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["History"]


def test_changes_in_a_separate_log_are_noted(tmp_path: Path) -> None:
    path = make(tmp_path / "History", OLD, "CREATE TABLE urls (id)", rows(1))
    (tmp_path / "History-wal").write_bytes(b"x" * 100)

    _, account = read_chrome(path)

    assert "-wal" in account.notes[0]


def test_a_damaged_page_costs_the_rows_on_it(tmp_path: Path) -> None:
    path = make(tmp_path / "History", "PRAGMA page_size = 1024", OLD, "CREATE TABLE urls (id)", rows(400))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2048 * 1024
    data[middle : middle + 1024] = b"\xee" * 1024
    path.write_bytes(data)

    events, account = read_chrome(path)

    assert 380 < len(events) < 400
    assert {event.record for event in events} >= {"1", "400"}
    assert account.damaged == 1
    assert "malformed" in account.damage[0].problem


def test_a_truncated_database_gives_what_is_left(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", "PRAGMA page_size = 1024", OLD, "CREATE TABLE urls (id)", rows(400)).read_bytes()
    path = tmp_path / "History"
    for length in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        try:
            events, account = read_chrome(path)
        except DamagedError:
            continue
        assert len(events) < 400
        assert account.damaged or not events


@pytest.mark.parametrize(
    "sample", sorted(path for path in SAMPLES.glob("*/*/input.*") if path.suffix in (".db", ".sqlite")), ids=str
)
def test_flipped_bytes_never_raise_anything_else(sample: Path, tmp_path: Path) -> None:
    whole = sample.read_bytes()
    chance = random.Random(17)
    path = tmp_path / "x"
    for _ in range(80):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        opened = opened_of(path)
        for module in SOURCES:
            module.Source().recognise_path(path)
            account = Account(log_file="x")
            try:
                list(module.Source().read(opened, account))
            except DamagedError:
                continue
            assert account.balanced


def test_a_view_in_place_of_a_table_is_not_run(tmp_path: Path) -> None:
    path = make(
        tmp_path / "History",
        "CREATE TABLE urls (id)",
        "CREATE VIEW downloads AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS id, '/x' AS full_path, 'https://files.example.com/' AS url, i AS start_time FROM n",
    )
    started = time.monotonic()

    events, _ = read_chrome(path)

    assert events == []
    assert time.monotonic() - started < 2


def test_what_takes_too_long_is_ended_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "History", OLD, "CREATE TABLE urls (id)", rows(2_000))
    looks = iter([0, 0, 1])
    monkeypatch.setattr(Database, "_too_late", lambda self: next(looks, 1))

    events, account = read_chrome(path)

    assert 0 < len(events) < 2_000
    assert (account.damaged, account.damage[0].problem) == (1, "reading takes too long: the rest is not read")


def test_a_row_that_takes_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_rows, "SECONDS", 0.2)
    path = make(tmp_path / "x", "CREATE TABLE x (a)", "INSERT INTO x SELECT 1", *["INSERT INTO x SELECT a FROM x"] * 11)
    endless = "(SELECT 1 FROM x p, x q, x r, x s WHERE p.a + q.a + r.a + s.a < 0) > 0"
    with Database(path) as database:
        account = Account(log_file="x")

        assert list(database.rows("x", ("a",), account, where=endless)) == []
    assert (account.damaged, account.damage[0].problem) == (1, "interrupted")


@pytest.mark.parametrize(
    "what", ["abs(a) > 0", "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n) > 0"]
)
def test_nothing_but_reading_is_allowed(what: str, tmp_path: Path) -> None:
    with Database(make(tmp_path / "x", "CREATE TABLE x (a)", "INSERT INTO x VALUES (1)")) as database:
        account = Account(log_file="x")

        assert list(database.rows("x", ("a",), account, where=what)) == []
    assert "not authorized" in account.damage[0].problem


def test_a_generated_column_calls_no_function(tmp_path: Path) -> None:
    path = make(
        tmp_path / "History",
        "CREATE TABLE urls (id)",
        "CREATE TABLE downloads (id INTEGER PRIMARY KEY, start_time, url AS (hex(zeroblob(500000))))",
        "INSERT INTO downloads (id, start_time) VALUES (1, 1306139730)",
    )

    events, _ = read_chrome(path)

    assert [(event.record, event.url) for event in events] == [("1", None)]


def test_huge_values_and_false_types_cost_their_row_only(tmp_path: Path) -> None:
    path = make(
        tmp_path / "History",
        OLD,
        "CREATE TABLE urls (id)",
        "INSERT INTO downloads VALUES (1, zeroblob(10), x'ff00ff', 1306139730, 'many', 1e300, 'done')",
        "INSERT INTO downloads VALUES (2, '/x', printf('%.200000c', 'a'), 1306139730, 9e18, -1, 99)",
        "INSERT INTO downloads VALUES (3, '/x', zeroblob(3000000), 1306139730, 1, 1, 1)",
        "INSERT INTO downloads VALUES (4, '/x', 'https://files.example.com/', 9223372036854775807, 1, 1, 1)",
        "INSERT INTO downloads VALUES (5, '/x', 'https://files.example.com/', 1306139730, 1, 1, 1)",
    )

    events, account = read_chrome(path)

    assert [event.record for event in events] == ["1", "2", "5"]
    assert (account.damaged, account.skipped) == (1, {"download without a time": 1})
    assert max(len(event.url or "") for event in events) <= sqlite_rows.LONGEST_TEXT
    assert account.read == 5


def test_no_database_at_all_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4_000)

    with pytest.raises(DamagedError):
        read_chrome(path)
    assert tables_of(path) == {}


def test_tables_whose_names_do_not_fit_the_head_are_found(tmp_path: Path) -> None:
    padding = [f"CREATE TABLE t{number} (a DEFAULT '{'x' * 900}')" for number in range(120)]
    path = make(tmp_path / "History", *padding, OLD, "CREATE TABLE urls (id)", rows(1))
    data = path.read_bytes()
    opened = Opened(path=path, log_file="x", size=len(data), head=data[:4096])

    found = recognise(opened)

    assert browser_chrome.Source().recognise(opened.head) is None
    assert found is not None
    assert found.name == "browser_chrome"


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE downloads (id, n)", "CREATE TABLE moz_places (id)", "CREATE TABLE x (LSQuarantineEvent)"]
)
def test_other_databases_are_nobodys(statement: str, tmp_path: Path) -> None:
    assert recognise(opened_of(make(tmp_path / "x", statement))) is None


@pytest.mark.parametrize("quoted", ['"moz_downloads"', "[moz_downloads]", "`moz_downloads`", "moz_downloads"])
def test_table_names_are_known_however_they_are_quoted(quoted: str, tmp_path: Path) -> None:
    path = make(tmp_path / "x", f"CREATE TABLE {quoted} (id)")

    assert names_in(path.read_bytes(), "moz_downloads")
    assert not names_in(path.read_bytes(), "moz_download")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/Users/a%20b/x.exe", "C:\\Users\\a b\\x.exe"),
        ("file:///home/jdoe/x", "/home/jdoe/x"),
        ("file://localhost/home/x", "/home/x"),
        ("file://server/share/x.exe", "\\\\server\\share\\x.exe"),
        ("file://///server/share/x", "\\\\server\\share\\x"),
        ("file:/D:/x", "D:\\x"),
        ("C:\\x", "C:\\x"),
        (None, None),
    ],
)
def test_file_urls_become_paths(url: str | None, path: str | None) -> None:
    assert file_url_path(url) == path

"""Writes the SQLite inputs of the samples. All names, addresses and times in them are made up.

Run it after a change: `python tests/samples/make_sqlite.py`. The files are the same every time.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

HERE = Path(__file__).parent
CHROME_START = 13_359_452_889_123_456  # 2024-05-06 07:08:09.123456 in microseconds since 1601
UNIX_MICROSECONDS = 1_714_979_289_123_456
MAC_SECONDS = 736_672_089.25


def make(path: str, *statements: str | tuple[str, list[tuple[object, ...]]]) -> None:
    """Write one database."""
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    database = sqlite3.connect(target)
    database.execute("PRAGMA page_size = 1024")
    for statement in statements:
        if isinstance(statement, str):
            database.execute(statement)
        else:
            database.executemany(*statement)
    database.commit()
    database.close()


def chrome() -> None:
    """Both layouts of Chromium."""
    urls = "CREATE TABLE urls(id INTEGER PRIMARY KEY,url LONGVARCHAR,title LONGVARCHAR,last_visit_time INTEGER NOT NULL)"
    make(
        "browser_chrome/old_layout/input.db",
        urls,
        "CREATE TABLE downloads (id INTEGER PRIMARY KEY,full_path LONGVARCHAR NOT NULL,url LONGVARCHAR NOT NULL,"
        "start_time INTEGER NOT NULL,received_bytes INTEGER NOT NULL,total_bytes INTEGER NOT NULL,state INTEGER NOT NULL)",
        (
            "INSERT INTO downloads VALUES (?,?,?,?,?,?,?)",
            [
                (1, "/home/jdoe/Downloads/tool.exe", "http://files.example.com/tool.exe", 1_306_139_730, 1000, 1000, 1),
                (2, "/home/jdoe/Downloads/big.iso", "http://files.example.com/big.iso", 1_306_139_765, 500, 0, 2),
                (7, "/home/jdoe/Downloads/x", "http://files.example.com/x", 0, 0, 0, 0),
            ],
        ),
    )
    make(
        "browser_chrome/new_layout/input.db",
        urls,
        "CREATE TABLE edge_visits(visit_id INTEGER PRIMARY KEY)",
        "CREATE TABLE downloads (id INTEGER PRIMARY KEY,guid VARCHAR NOT NULL,current_path LONGVARCHAR NOT NULL,"
        "target_path LONGVARCHAR NOT NULL,start_time INTEGER NOT NULL,received_bytes INTEGER NOT NULL,"
        "total_bytes INTEGER NOT NULL,state INTEGER NOT NULL,danger_type INTEGER NOT NULL,interrupt_reason INTEGER NOT NULL,"
        "hash BLOB NOT NULL,end_time INTEGER NOT NULL,opened INTEGER NOT NULL,referrer VARCHAR NOT NULL,"
        "site_url VARCHAR NOT NULL,tab_url VARCHAR NOT NULL,tab_referrer_url VARCHAR NOT NULL,http_method VARCHAR NOT NULL,"
        "by_ext_id VARCHAR NOT NULL,by_ext_name VARCHAR NOT NULL,mime_type VARCHAR NOT NULL)",
        "CREATE TABLE downloads_url_chains (id INTEGER NOT NULL,chain_index INTEGER NOT NULL,url LONGVARCHAR NOT NULL,"
        "PRIMARY KEY (id, chain_index))",
        (
            f"INSERT INTO downloads VALUES ({','.join('?' * 21)})",
            [
                (
                    1, "00000000-0000-4000-8000-000000000001", "C:\\Users\\jdoe\\Downloads\\Unconfirmed 1.crdownload",
                    "C:\\Users\\jdoe\\Downloads\\setup.exe", CHROME_START, 4096, 4096, 1, 4, 0, bytes(31) + b"\1",
                    CHROME_START + 2_000_000, 1, "https://www.example.org/page", "https://example.org/",
                    "https://www.example.org/page", "https://www.example.org/", "", "", "", "application/x-msdownload",
                ),
                (
                    2, "00000000-0000-4000-8000-000000000002", "", "C:\\Users\\jdoe\\Downloads\\data.zip",
                    CHROME_START + 60_000_000, 10, 4096, 4, 0, 40, b"", 0, 0, "", "", "", "", "POST", "abc", "Example Saver",
                    "",
                ),
            ],
        ),
        (
            "INSERT INTO downloads_url_chains VALUES (?,?,?)",
            [
                (1, 1, "https://cdn.example.net/setup.exe"),
                (1, 0, "https://www.example.org/get?id=1"),
                (2, 0, "https://files.example.com/data.zip"),
                (99, 0, "https://files.example.com/gone"),
            ],
        ),
    )  # fmt: skip


def firefox() -> None:
    """The old database of downloads, and annotations of places."""
    make(
        "browser_firefox/downloads/input.sqlite",
        "CREATE TABLE moz_downloads (id INTEGER PRIMARY KEY, name TEXT, source TEXT, target TEXT, tempPath TEXT, "
        "startTime INTEGER, endTime INTEGER, state INTEGER, referrer TEXT, currBytes INTEGER NOT NULL DEFAULT 0, "
        "maxBytes INTEGER NOT NULL DEFAULT -1, mimeType TEXT)",
        (
            "INSERT INTO moz_downloads VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (1, "a.zip", "https://files.example.com/a.zip", "file:///D:/My%20Files/a.zip", "", UNIX_MICROSECONDS,
                 UNIX_MICROSECONDS + 5_000_000, 1, "https://www.example.org/", 1000, 1000, "application/zip"),
                (2, "b.sh", "https://files.example.com/b.sh", "file:///home/jdoe/b.sh", "", UNIX_MICROSECONDS,
                 0, 3, None, 7, -1, ""),
                (3, "c", "https://files.example.com/c", "file://server/share/c", "", 0, 0, 0, None, 0, -1, None),
            ],
        ),
    )  # fmt: skip
    make(
        "browser_firefox/places/input.sqlite",
        "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR)",
        "CREATE TABLE moz_anno_attributes (id INTEGER PRIMARY KEY, name VARCHAR(32) UNIQUE NOT NULL)",
        "CREATE TABLE moz_annos (id INTEGER PRIMARY KEY, place_id INTEGER NOT NULL, anno_attribute_id INTEGER, "
        "content LONGVARCHAR, flags INTEGER DEFAULT 0, dateAdded INTEGER DEFAULT 0, lastModified INTEGER DEFAULT 0)",
        (
            "INSERT INTO moz_places VALUES (?,?,?)",
            [(number, f"https://files.example.com/{name}", None) for number, name in ((4, "d.exe"), (5, "e"))],
        ),
        (
            "INSERT INTO moz_anno_attributes VALUES (?,?)",
            [(1, "downloads/destinationFileURI"), (2, "downloads/metaData"), (3, "bookmarkProperties/description")],
        ),
        (
            "INSERT INTO moz_annos VALUES (?,?,?,?,?,?,?)",
            [
                (1, 4, 1, "file:///C:/Users/jdoe/Downloads/d.exe", 0, UNIX_MICROSECONDS, 0),
                (2, 4, 2, '{"state":1,"deleted":false,"endTime":1714979290000,"fileSize":2048}', 0, UNIX_MICROSECONDS, 0),
                (3, 5, 1, "file:///Users/jdoe/Downloads/e", 0, UNIX_MICROSECONDS + 1, 0),
                (4, 5, 2, "no JSON", 0, UNIX_MICROSECONDS, 0),
                (5, 5, 3, "a note", 0, UNIX_MICROSECONDS, 0),
                (6, 9, 1, "file:///Users/jdoe/Downloads/f", 0, 0, 0),
            ],
        ),
    )


def quarantine() -> None:
    """The quarantine history of macOS."""
    name = "LSQuarantine"
    make(
        "macos_quarantine/events/input.db",
        f"CREATE TABLE LSQuarantineEvent ({name}EventIdentifier TEXT PRIMARY KEY NOT NULL, {name}TimeStamp REAL, "
        f"{name}AgentBundleIdentifier TEXT, {name}AgentName TEXT, {name}DataURLString TEXT, {name}SenderName TEXT, "
        f"{name}SenderAddress TEXT, {name}TypeNumber INTEGER, {name}OriginTitle TEXT, {name}OriginURLString TEXT, "
        f"{name}OriginAlias BLOB)",
        (
            "INSERT INTO LSQuarantineEvent VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            [
                ("00000000-0000-4000-8000-000000000001", MAC_SECONDS, "com.example.browser", "Browser",
                 "https://files.example.com/a.dmg", None, None, 0, "Files", "https://www.example.org/", None),
                ("00000000-0000-4000-8000-000000000002", MAC_SECONDS + 1, "com.example.mail", "Mail", None, "J. Doe",
                 "jdoe@example.com", 2, None, "message:%3Cx@example.com%3E", None),
                ("00000000-0000-4000-8000-000000000003", MAC_SECONDS + 2, "com.example.chat", None, None, None, None, 3,
                 None, "", None),
                ("00000000-0000-4000-8000-000000000004", None, None, "curl",
                 "https://files.example.com/b", None, None, 1, None, None, None),
            ],
        ),
    )  # fmt: skip


if __name__ == "__main__":
    chrome()
    firefox()
    quarantine()

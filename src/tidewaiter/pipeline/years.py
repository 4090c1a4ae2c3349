"""The year of log lines that name none (RFC 3164): readers leave them in 1970, and the logs beside them say when it was.

Lines of such a log are in order of time, so it is enough to know when its neighbours end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from tidewaiter.schema.account import Account

YEAR = 366 * 24 * 3_600 * 1_000_000
"""Times below it (microseconds) are of 1970, when nobody kept such logs: their year is not known."""
DAY = 24 * 3_600 * 1_000_000
AFTER = 2 * 24 * 3_600 * 1_000_000
"""A log may go on for so much longer than those beside it."""


def is_undated(time: int) -> bool:
    """Whether a time is one whose year is not known.

    Times within the first day stay: captures whose clock begins at zero have such.
    """
    return DAY <= time < YEAR


def dated(time: int, latest: int) -> int:
    """The time in the year that puts it next before `latest`, or up to AFTER behind it (all in microseconds)."""
    last = datetime.fromtimestamp(latest / 1_000_000, UTC).year
    for year in (last + 1, last):
        moved = _in_year(time, year)
        if moved <= latest + AFTER:
            return moved
    return _in_year(time, last - 1)


def _in_year(time: int, year: int) -> int:
    moment = datetime.fromtimestamp(time // 1_000_000, UTC)
    day = 28 if (moment.month, moment.day) == (2, 29) and year % 4 else moment.day
    return int(moment.replace(year=year, day=day).timestamp()) * 1_000_000 + time % 1_000_000


class Neighbours:
    """When the logs of each folder, and all logs together, end."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._folders: dict[str, int] = {}
        self._latest = 0
        for account in accounts:
            if account.last is not None and account.last >= YEAR:
                folder = folder_of(account.log_file)
                self._folders[folder] = max(self._folders.get(folder, 0), account.last)
                self._latest = max(self._latest, account.last)

    def dated(self, time: int, log_file: str) -> int:
        """The time with the year that the other logs tell; as it is where there are none."""
        latest = self._folders.get(folder_of(log_file)) or self._latest
        return dated(time, latest) if latest and is_undated(time) else time


def folder_of(log_file: str) -> str:
    """The folder of an input, or the archive it is in: logs that lie together mostly come from one host."""
    return log_file.rpartition("!")[0] or log_file.replace("\\", "/").rpartition("/")[0]

"""Learning what is usual from logs into the baseline of a store, each content once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tidewaiter.engines.local import read_all
from tidewaiter.errors import NothingReadableError
from tidewaiter.pipeline import inputs
from tidewaiter.pipeline.config import ProgressUpdate, ScanOptions
from tidewaiter.pipeline.inputs import InputLimits, Unreadable
from tidewaiter.schema.account import Account
from tidewaiter.store.inputs import content_digest
from tidewaiter.store.store import Store


class Learned(msgspec.Struct):
    """What was learned from: inputs, those that were learned from before, observations without a usable time."""

    inputs: int = 0
    known: int = 0
    late: int = 0
    accounts: list[Account] = []
    unreadable: list[Unreadable] = []


def learn(
    paths: Sequence[str],
    store: Store,
    *,
    half_life: float | None = None,
    options: ScanOptions | None = None,
    progress: Callable[[ProgressUpdate], None] | None = None,
) -> Learned:
    """Add what the logs under `paths` show to the baseline; the half-life is in days and is settled by the first learning.

    Raises NothingReadableError where no input held a log, UsageError where the half-life is another one already.
    """
    history = store.history
    options = msgspec.structs.replace(options or ScanOptions(), half_life=history.begin(half_life))
    told = Learned()
    digests: dict[str, str] = {}
    items = []
    for item in inputs.plan(paths, InputLimits()):
        if item.problem is None:
            try:
                digests[item.log_file] = content_digest(Path(item.path))
            except OSError:
                digests.pop(item.log_file, None)
        items.append(item)
    known = history.learned(list(digests.values()))
    unknown = [item for item in items if digests.get(item.log_file) not in known]
    told.known = len(items) - len(unknown)
    with inputs.work_folder() as folder:
        for item, result in read_all(unknown, Path(folder), options, progress):
            for run in (*result.runs, *result.unplaced, *result.dormant):
                Path(run.path).unlink(missing_ok=True)  # the worker makes another for what it reads next
            told.accounts.extend(result.accounts)
            told.unreadable.extend(result.unreadable)
            if result.accounts and item.log_file in digests:
                if history.learn(result.seen, item.log_file, digests[item.log_file]):
                    told.inputs += 1
                    told.late += result.seen.late
                else:
                    told.known += 1
    if not told.accounts and not told.known:
        raise NothingReadableError(f"nothing readable in {', '.join(paths)}")
    told.accounts.sort(key=lambda account: account.log_file)
    return told

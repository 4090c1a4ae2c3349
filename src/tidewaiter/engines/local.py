"""The local engine: a folder, all cores. It drives the pipeline and adds no logic to it.

Each worker is a process, so that a native reader that crashes or hangs costs one file and not the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.baseline.memory import ASKED_OF_EVIDENCE, Evidence
from tidewaiter.catalog import wire as wire_knowledge
from tidewaiter.engines.workers import Worker
from tidewaiter.errors import NothingReadableError
from tidewaiter.pipeline import inputs
from tidewaiter.pipeline.config import ProgressUpdate, ScanOptions
from tidewaiter.pipeline.inputs import InputLimits, Unreadable, WorkItem
from tidewaiter.pipeline.rows import Extent, Run
from tidewaiter.pipeline.run import ItemResult, WireCases, correlate, place
from tidewaiter.pipeline.years import Neighbours
from tidewaiter.policy.policy import Policy
from tidewaiter.policy.policy import load as load_policy
from tidewaiter.schema.account import Account
from tidewaiter.schema.extracted import Extracts
from tidewaiter.schema.transfer import SEVERITIES, Transfer

if TYPE_CHECKING:
    from tidewaiter.engines.keeping import Keeping
    from tidewaiter.engines.kept_files import KeptFiles
    from tidewaiter.store.store import Store


class ScanResult:
    """What a scan found. A context manager: leaving it removes the temporary files."""

    def __init__(self, folder: Any, work_dir: Path, options: ScanOptions) -> None:
        self._folder = folder
        self._work_dir = work_dir
        self._options = options
        self._index: list[tuple[str, str, int]] = []  # time, id, offset in the transfers file
        self.accounts: list[Account] = []
        self.unreadable: list[Unreadable] = []
        self.policy = Policy()
        self.keeping: Keeping | None = None  # what was done with the store
        self.counts: dict[str, int] = dict.fromkeys(SEVERITIES, 0)

    @property
    def _path(self) -> Path:
        return self._work_dir / "transfers.jsonl"

    def collect(self, transfers: Iterator[Transfer]) -> None:
        """Keep what the options ask for, on disk; only times and offsets stay in memory."""
        encoder = msgspec.json.Encoder()
        written = 0
        with self._path.open("wb") as file:
            for transfer in map(self.policy.applied, transfers):
                if self._wanted(transfer):
                    self._index.append((transfer.time or "", transfer.id, written))
                    self.counts[transfer.severity] += 1
                    written += file.write(encoder.encode(transfer) + b"\n")
        self._index.sort()

    def _wanted(self, transfer: Transfer) -> bool:
        options = self._options
        if SEVERITIES.index(transfer.severity) < SEVERITIES.index(options.min_severity):
            return False
        if options.hosts:
            names = {(transfer.device.hostname or "").lower(), transfer.device.ip or ""}
            names |= {name.split(".")[0] for name in names}
            if not names & {host.lower() for host in options.hosts}:
                return False
        if options.since is None and options.until is None:
            return True
        from tidewaiter.schema.moments import parse_time

        moment = parse_time(transfer.time) if transfer.time else None
        if moment is None:
            return False
        return (options.since is None or moment >= options.since) and (options.until is None or moment <= options.until)

    def transfers(self) -> Iterator[Transfer]:
        """The transfers in time order, read from disk one at a time."""
        decoder = msgspec.json.Decoder(Transfer)
        for line in self.encoded():
            yield decoder.decode(line)

    def encoded(self) -> Iterator[bytes]:
        """The transfers in time order, each as a line of JSON."""
        with self._path.open("rb") as file:
            for _, _, offset in self._index:
                file.seek(offset)
                yield file.readline()

    def find(self, id_prefix: str) -> Transfer | None:
        """The transfer of this id, or the one whose id begins so; None where none or several do."""
        found = [transfer for transfer in self.transfers() if transfer.id.startswith(id_prefix)]
        exact = [transfer for transfer in found if transfer.id == id_prefix]
        return (exact or found)[0] if len(found) == 1 or exact else None

    def close(self) -> None:
        """Remove the temporary files."""
        self._folder.cleanup()

    def __enter__(self) -> ScanResult:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def scan(
    paths: Sequence[str],
    *,
    options: ScanOptions | None = None,
    progress: Callable[[ProgressUpdate], None] | None = None,
    store: Store | None = None,
    kept_files: KeptFiles | None = None,
) -> ScanResult:
    """Read everything under `paths` and find the transfers in it. A store keeps all of them, whatever the options leave out.

    `kept_files` takes the contents that captures are seen to carry, and is told which transfers they belong to.

    Raises NothingReadableError where no input held a log that we can read. Bad inputs are in `unreadable` and `accounts`.
    """
    options = options or ScanOptions()
    policy = load_policy(options.policies)
    keeping = None
    if store is not None:
        from tidewaiter.engines.keeping import Keeping

        keeping = Keeping(store)
    folder = inputs.work_folder() if keeping is None else keeping.journal
    work_dir = Path(folder.name) if isinstance(folder, TemporaryDirectory) else folder.path
    result = ScanResult(folder, work_dir, options)
    result.policy = policy
    try:
        wanted = kept_files is not None
        items = [msgspec.structs.replace(item, extract=wanted) for item in inputs.plan(paths, InputLimits())]
        known = [] if keeping is None else keeping.begin(items, carried=wanted)
        runs: list[Run] = []
        unplaced: list[Run] = []
        waiting: list[Extent] = []
        folders: dict[str, set[str]] = {}
        kinds: dict[str, set[str]] = {}
        names: dict[str, str] = {}
        usual = FlowBaseline()
        addresses: dict[str, set[str]] = {}
        evidence = Evidence(half_life=options.half_life, facets=ASKED_OF_EVIDENCE)
        again = {item.log_file for item, _ in known}
        unread = [item for item in items if item.log_file not in again]
        for item, done in chain(known, read_all(unread, work_dir, options, progress)):
            if kept_files is not None:
                kept_files.take(done.extracts)
                done.extracts = Extracts()
            if keeping is not None:
                keeping.read(item, done, new=item.log_file not in again)
            result.accounts.extend(done.accounts)
            result.unreadable.extend(done.unreadable)
            runs.extend(done.runs)
            unplaced.extend(done.unplaced)
            waiting.extend(done.dormant)
            for folder_name, hosts in done.folders.items():
                folders.setdefault(folder_name, set()).update(hosts)
            for host, seen in done.kinds.items():
                kinds.setdefault(host, set()).update(seen)
            for host, name in done.names.items():
                names[host] = min(names.get(host, name), name)
            usual.merge(done.usual)
            evidence.add(done.seen)
            for host, found in done.addresses.items():
                addresses.setdefault(host, set()).update(found)
        result.accounts.sort(key=lambda account: account.log_file)
        result.unreadable.sort(key=lambda report: report.log_file)
        if not result.accounts:
            if keeping is not None:
                keeping.journal.finish()
            raise NothingReadableError(_nothing(paths, result.unreadable))
        from tidewaiter.judgement.judge import Judge

        runs.extend(place(unplaced, folders, Neighbours(result.accounts)))
        wire = WireCases(usual, inside(options, policy))
        judge = Judge((keeping.memory if keeping else None) or evidence)
        transfers = _numbered(correlate(runs, work_dir, kinds, names, judge, wire, addresses, result.accounts, waiting))
        if kept_files is not None:
            transfers = kept_files.seen(transfers)
        result.collect(transfers if keeping is None else keeping.keep(transfers))
        result.keeping = keeping
    except BaseException:  # raised again: only what was begun is undone first
        result.close()
        raise
    return result


def inside(options: ScanOptions, policy: Policy) -> tuple[str, ...]:
    """The networks that are inside: the given ones or those by default, and those of the policy; empty: the default."""
    if not policy.networks:
        return options.internal
    return (*(options.internal or wire_knowledge.load().inside), *policy.networks)


def _numbered(transfers: Iterator[Transfer]) -> Iterator[Transfer]:
    """Two copies of a log that names no host tell of one transfer twice: the later ones get a number behind the id."""
    known: dict[str, int] = {}
    for transfer in transfers:
        name = transfer.id
        known[name] = number = known.get(name, 0) + 1
        if number > 1:
            transfer.id = f"{name}-{number}"
        yield transfer


def _nothing(paths: Sequence[str], unreadable: Sequence[Unreadable]) -> str:
    first = f" ({unreadable[0].log_file}: {unreadable[0].problem})" if unreadable else ""
    return (
        f"nothing readable in {', '.join(paths)}{first}: give EVTX, JSON, auditd, Zeek or Suricata logs, or an archive of them"
    )


def read_all(
    items: list[WorkItem],
    work_dir: Path,
    options: ScanOptions,
    progress: Callable[[ProgressUpdate], None] | None,
    *,
    survey: bool = False,
) -> Iterator[tuple[WorkItem, ItemResult]]:
    """Spread the items over worker processes, the largest first; yields each item with its result.

    With `survey` they only count what the logs hold.
    """
    total = sum(item.size for item in items)
    waiting = sorted(items, key=lambda item: (item.size, item.path))
    much = total > 12_000_000
    first = range(min(options.workers if much else 1, max(1, len(items))))
    if much and not survey:
        _prepare(len(first))
    workers = [Worker(work_dir, number, options.half_life, survey=survey) for number in first]
    number, done = len(workers), 0
    try:
        while waiting or any(worker.item for worker in workers):
            for worker in workers:
                if worker.item is None and waiting:
                    worker.give(waiting.pop())
            ready = wait([worker.pipe for worker in workers if worker.item], timeout=1.0)
            for position, worker in enumerate(workers):
                item = worker.item
                if item is None:
                    continue
                outcome = worker.hear(worker.pipe in ready, options.item_seconds)
                if outcome is None:
                    continue
                worker.item = None
                done += item.size
                if isinstance(outcome, str):
                    worker.stop()
                    workers[position] = Worker(work_dir, number, options.half_life, survey=survey)
                    number += 1
                    outcome = ItemResult(
                        unreadable=[Unreadable(log_file=item.log_file, place="file", problem=outcome, kind="damaged")]
                    )
                if progress is not None:
                    progress(ProgressUpdate(done, total, item.log_file))
                yield item, outcome
    finally:
        for worker in workers:
            worker.stop()


def _prepare(workers: int) -> None:
    """What is worth its time before much is read; several workers find loaded here what each would load for itself."""
    from tidewaiter.reading import languages, sieve

    sieve.prepare()
    if workers > 1:
        languages.warm()

"""Small worlds for property tests: what a host may log, drawn from few programs, addresses and paths so that things meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from tidewaiter import analytic
from tidewaiter.correlation.host import HostFold, HostView
from tidewaiter.correlation.keys import visible_kind
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.rows import Row, row_of
from tidewaiter.pipeline.sieve import Sieve
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.transfer import Transfer

START = 1_767_348_000_000_000
SECOND = 1_000_000
PIDS = st.sampled_from((610, 611, 612, 613))
PATHS = st.sampled_from(("/tmp/a", "/tmp/b.sh", "/home/ann/a", "/srv/kit.tgz", "/dev/shm/.x"))
URLS = st.sampled_from(("http://192.0.2.7/a", "https://files.example.org/b.sh", "http://files.example.net:8080/kit.tgz"))
ADDRESSES = st.sampled_from(("192.0.2.7", "198.51.100.9", "2001:db8::9"))
PORTS = st.sampled_from((80, 443, 8080, 22))
SIEVE = Sieve([entry.load() for entry in analytic.REGISTER])
JUDGE = Judge()

Fields = dict[str, Any]


def _start(pid: int, parent: int, argv: tuple[str, ...], program: str = "") -> Fields:
    path = program or (argv[0] if argv[0].startswith("/") else f"/usr/bin/{argv[0]}")
    return {
        "kind": EventKind.PROCESS_START, "pid": pid, "parent_pid": parent, "process_path": path, "argv": argv,
        "command_line": " ".join(argv), "cwd": "/home/ann",
    }  # fmt: skip


def _commands() -> st.SearchStrategy[tuple[str, ...]]:
    return st.one_of(
        st.tuples(st.just("curl"), st.just("-o"), PATHS, URLS),
        st.tuples(st.just("wget"), URLS),
        st.tuples(st.just("sha256sum"), PATHS),
        st.tuples(st.just("cp"), PATHS, PATHS),
        st.tuples(st.just("tar"), st.just("-xf"), PATHS),
        st.tuples(st.just("sh"), PATHS),
        st.tuples(st.just("scp"), PATHS, st.just("root@192.0.2.20:/opt/x")),
        st.tuples(PATHS),
    )


def _file(kind: EventKind) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries(
        {"kind": st.just(kind), "pid": PIDS, "file_path": PATHS, "process_path": st.just("/usr/bin/curl")},
        optional={"sha256": st.sampled_from(("aa" * 32, "bb" * 32))},
    )


def _acts(kind: EventKind, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries({"kind": st.just(kind), **fields})


_OUTBOUND = {
    "pid": PIDS,
    "dst_ip": ADDRESSES,
    "dst_port": PORTS,
    "initiated": st.just(True),
    "outcome": st.sampled_from(("started", "completed", "refused")),
}
_RECEIVER = {"pid": st.just(700), "process_path": st.just("/usr/lib/openssh/sftp-server")}
ACTS: st.SearchStrategy[Fields] = st.one_of(
    st.builds(_start, PIDS, PIDS, _commands()),
    _acts(EventKind.CONNECTION, **_OUTBOUND),
    _acts(EventKind.CONNECTION, src_ip=ADDRESSES, dst_port=st.just(22), initiated=st.just(False)),
    _file(EventKind.FILE_CREATE),
    _file(EventKind.FILE_BLOCKED),
    _acts(EventKind.FILE_RENAME, pid=PIDS, file_old_path=PATHS, file_path=PATHS),
    _acts(EventKind.SHELL_COMMAND, command_line=_commands().map(" ".join)),
    _acts(EventKind.MALWARE_DETECTED, file_path=PATHS, target=st.just("Example.A"), outcome=st.just("quarantined")),
    _acts(EventKind.FILE_CREATE, file_path=PATHS, **_RECEIVER),
)
"""What a host may log, without the time."""

_GAPS = st.one_of(
    st.integers(0, 5 * SECOND),
    st.integers(0, 5 * SECOND),
    st.sampled_from((0, 4_000, 60 * SECOND, 400 * SECOND, 2 * 3_600 * SECOND, 23 * 3_600 * SECOND, 25 * 3_600 * SECOND)),
)
"""Time until the next event, in microseconds: mostly seconds, sometimes past every window of correlation."""


def event_of(fields: Fields, time: int, number: int, log_file: str = "audit.log") -> Event:
    """An event of the one host of these worlds."""
    return Event(time=time, log_source="linux_auditd", log_file=log_file, record=str(number), host="web1", **fields)


@st.composite
def histories(draw: st.DrawFn, longest: int = 25) -> list[Row]:
    """Rows of one host in their order."""
    time, events = START, []
    for number, fields in enumerate(draw(st.lists(ACTS, min_size=1, max_size=longest)), 1):
        events.append(event_of(fields, time, number))
        time += draw(_GAPS)
    return rows_of(events)


def rows_of(events: Sequence[Event]) -> list[Row]:
    """The rows of events, with what the analytics find, in the order of the pipeline."""
    return sorted((row_of("web1", event, found) for event, found in SIEVE.examine(events)), key=lambda row: row.order)


def told(steps: Sequence[Sequence[Row]]) -> list[Transfer]:
    """The judged transfers of rows that come in several steps, in order of id."""
    rows = [row for step in steps for row in step]
    fold = HostFold("web1", HostView({visible_kind(row.event) for row in rows}, "web1"))
    found: list[Transfer] = []

    for step in steps:
        found.extend(JUDGE.all(fold.step([(row.event, row.findings) for row in step], step[-1].time if step else 0)))
    found.extend(JUDGE.all(fold.finish()))
    return sorted(found, key=lambda transfer: (transfer.id, msgspec.json.encode(transfer)))

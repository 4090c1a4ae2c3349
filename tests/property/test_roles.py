"""What is asked of programs and files before they are looked at: the quick ways agree with the slow ones, on any text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter import analytic
from tidewaiter.catalog import roles
from tidewaiter.schema.event import Event, EventKind

PIECES = st.sampled_from([*"\\/.: \0éaK\u212a", "exe", "EXE", ".dll", "sftp-server", "System", "smbd", ".exe", "x" * 300])
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS | st.none(), TEXTS)
def test_a_type_that_a_file_has_is_one_that_it_may_have(path: str | None, other: str) -> None:
    kind = roles.file_type(path)
    if kind:
        assert roles.may_be_of_type(path, frozenset({kind, other}))
    assert not roles.may_be_of_type(None, frozenset({kind, other}))


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS | st.none(), max_size=30))
def test_a_program_is_among_others_by_its_name_whoever_asked_before(paths: list[str | None]) -> None:
    names = frozenset({"sftp-server", "system", ""})
    among = roles.Among(names)
    assert [among[path] for path in paths] == [roles.program_name(path) in names for path in paths]


def test_what_is_remembered_of_programs_has_a_bound() -> None:
    among = roles.Among(frozenset({"a"}))
    for number in range(20_000):
        assert not among[f"/opt/{number}"]
        assert among[f"/opt/{number}/a"]
    assert not among["x" * 1_000_000]
    assert len(among) <= 5_000
    assert max(len(path or "") for path in among) < 1_000


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([EventKind.FILE_CREATE, EventKind.FILE_BLOCKED]),
    st.sampled_from([None, 4, 44]),
    TEXTS | st.none(),
    TEXTS | st.none(),
    TEXTS | st.none(),
    st.sampled_from(["windows_sysmon", "linux_auditd"]),
)
def test_the_sieves_of_files_let_through_whatever_is_found_without_them(
    kind: EventKind, pid: int | None, path: str | None, program: str | None, name: str | None, source: str
) -> None:
    event = Event(kind=kind, time=1, log_source=source, log_file="a", record="1", pid=pid, process_path=program,
                  process_name=name, file_path=path)  # fmt: skip
    for entry in analytic.REGISTER:
        if entry.name in ("executable_dropped", "file_from_network"):
            one = entry.load()
            if kind in one.kinds and list(one.findings(event)):
                assert one.sieve([event]) == [True]

"""What is written for later comes back as it was."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.pipeline.rows import read_run, row_of, write_run
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind, decode, encode
from tidewaiter.schema.finding import Finding

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBER = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
BY_TYPE: dict[object, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: NUMBER,
    bool: st.booleans(),
    tuple[str, ...]: st.lists(TEXT, max_size=3).map(tuple),
    dict[str, Any]: st.dictionaries(TEXT, JSON, max_size=3),
    EventKind: st.sampled_from(EventKind),
}


def _strategy(annotation: object) -> st.SearchStrategy[Any]:
    plain = [part for part in typing.get_args(annotation) if part is not type(None)]
    return BY_TYPE[plain[0] if plain and annotation not in BY_TYPE else annotation]


HINTS = typing.get_type_hints(Event)
NEEDED = {name: _strategy(HINTS[name]) for name in ("kind", "time", "log_source", "log_file", "record")}
OPTIONAL = {name: _strategy(hint) for name, hint in HINTS.items() if name not in NEEDED}
EVENTS = st.fixed_dictionaries(NEEDED, optional=OPTIONAL).map(lambda fields: Event(**fields))
FINDINGS = st.builds(
    Finding,
    analytic=TEXT,
    stage=TEXT,
    action=st.one_of(
        st.none(), st.builds(Action, kind=st.sampled_from(ActionKind), utility=TEXT, urls=st.lists(TEXT, max_size=3).map(tuple))
    ),
    reasons=st.lists(TEXT, max_size=3).map(tuple),
    note=TEXT,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_an_event_comes_back_from_msgpack_and_json(event: Event) -> None:
    assert decode(encode(event)) == event
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, EVENTS, st.lists(FINDINGS, max_size=2).map(tuple)), max_size=5))
def test_rows_come_back_from_a_run(tmp_path: Path, wanted: list[tuple[str, Event, tuple[Finding, ...]]]) -> None:
    rows = [row_of(host, event, found) for host, event, found in wanted]
    write_run(tmp_path / "some.run", rows)

    assert list(read_run(tmp_path / "some.run")) == sorted(rows, key=lambda row: row.order)


def test_every_field_of_an_event_takes_part() -> None:
    assert set(NEEDED) | set(OPTIONAL) == set(Event.__struct_fields__)

"""The state of a fold as JSON: the same graph comes back, and nothing but a state is ever made from a text."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

import msgspec
import pytest

from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.freezing import VERSION, frozen, thawed
from tidewaiter.correlation.processes import Process
from tidewaiter.errors import StateError
from tidewaiter.schema.action import Action, ActionKind


def whole(state: dict[str, Any]) -> bytes:
    return b"".join(frozen(state))


def test_shared_objects_and_circles_come_back_as_they_were() -> None:
    parent, child = Process(1, "a"), Process(2, "b")
    child.parent = parent
    action = Action(kind=ActionKind.INGRESS, utility="curl", urls=("http://files.example.com/a",))
    draft = Draft("web1", 5, action, child, "command_execution")
    draft.marks["x"] = "y"
    draft.paths |= {"/tmp/a", "/tmp/b"}
    child.drafts = [draft]
    state = {"by_key": OrderedDict(b=child, a=parent), "recent": deque([child], maxlen=3), "by_ends": {("x", (1, None)): draft}}
    back = thawed(whole(state))
    assert list(back["by_key"]) == ["b", "a"]
    again = back["by_key"]["b"]
    assert again.parent is back["by_key"]["a"]
    assert back["recent"][0] is again
    assert back["recent"].maxlen == 3
    kept = back["by_ends"]["x", (1, None)]
    assert again.drafts[0] is kept
    assert kept.process is again
    assert kept.action == action
    assert (kept.marks, kept.paths, kept.urls) == ({"x": "y"}, {"/tmp/a", "/tmp/b"}, [])
    assert kept.evidence is not thawed(whole(state))["by_ends"]["x", (1, None)].evidence


def test_a_chain_of_any_length_is_written_without_recursion() -> None:
    last = Process(0, "0")
    for number in range(1, 20_000):
        fresh = Process(number, str(number))
        fresh.parent, last = last, fresh
    back = thawed(whole({"last": last}))
    at: Process | None = back["last"]
    count = 0
    while at is not None:
        at, count = at.parent, count + 1
    assert count == 20_000


def test_a_large_state_is_written_in_small_pieces() -> None:
    pieces = list(frozen({"all": [Process(number, str(number)) for number in range(5_000)]}))
    most, together = max(map(len, pieces[1:])), sum(map(len, pieces[1:]))
    assert most < together / 5
    assert len(thawed(b"".join(pieces))["all"]) == 5_000


def test_what_is_no_state_is_not_written() -> None:
    with pytest.raises(TypeError, match="Path"):
        whole({"where": __import__("pathlib").Path()})


HOSTILE: list[Any] = [
    b"",
    b"{}",
    b"[]",
    b"\xff\xfe",
    {"version": VERSION - 1, "root": {}, "objects": []},
    {"version": VERSION, "root": {"a": ["r", 5]}, "objects": []},
    {"version": VERSION, "root": {"a": ["r", -9]}, "objects": [[0, "Process", {}]]},
    {"version": VERSION, "root": {"a": ["x", 1]}, "objects": []},
    {"version": VERSION, "root": {}, "objects": [[0, "system", {"a": "id"}]]},
    {"version": VERSION, "root": {}, "objects": [[0, "Process", {"__class__": ["l"]}]]},
    {"version": VERSION, "root": {}, "objects": [[0, "Draft", {}]]},
    {"version": VERSION, "root": {}, "objects": [[0, "Process", [1]]]},
    {"version": VERSION, "root": {}, "objects": [[0, "Process", [1, "a", None, 7]]]},
    {"version": VERSION, "root": {}, "objects": [[0, "Process", [1, "a", None, "os.system"]]]},
    {"version": VERSION, "root": {}, "objects": [[0, "Event", {"kind": "nothing"}]]},
    {"version": VERSION, "root": {"a": ["d", ["only one"]]}, "objects": []},
    {"version": VERSION, "root": {"a": ["d", [["l"], 1]]}, "objects": []},
    {"version": VERSION, "root": {}, "objects": [["Process", []]]},
    {"version": VERSION, "root": [], "objects": {}},
]


@pytest.mark.parametrize("told", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_that_is_no_state_is_an_error(told: Any) -> None:
    with pytest.raises(StateError):
        thawed(told if isinstance(told, bytes) else msgspec.json.encode(told))


def test_a_text_of_which_an_object_is_missing_is_an_error() -> None:
    with pytest.raises(StateError, match="object 0"):
        thawed(whole({"a": Process(1, "a")}).replace(b'[0,"Process"', b'[1,"Process"'))

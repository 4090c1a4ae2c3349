"""The index of joins finds exactly what looking at every entry would find, however many share a key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.correlation.join_index import Entry, Table, distance, parents

MOMENTS = st.lists(st.integers(0, 400), min_size=1, max_size=4).map(lambda found: tuple(sorted(found)))


def entry(number: int, times: tuple[int, ...]) -> Entry:
    none: frozenset[str] = frozenset()
    return Entry(
        number=number, on_wire=True, time=times[0], host=None, receiver=None, sender=None, port=None, urls=none,
        redirected=none, redirects=none, protocol=None, sha256=None, name="", times=times, connected=times[0],
        received=False, whole=True, sent=(),
    )  # fmt: skip


@given(st.lists(MOMENTS, max_size=40), MOMENTS, st.integers(0, 60))
def test_what_is_near_is_found_in_its_order(held: list[tuple[int, ...]], asked: tuple[int, ...], window: int) -> None:
    table: Table[str] = Table()
    entries = [entry(number, times) for number, times in enumerate(held)]
    for one in entries:
        table.add("key", one)
    mine = entry(-1, asked)
    assert table.near("key", asked, window) == [one for one in entries if distance(mine, one) <= window]
    assert table.near("other", asked, window) == []


PATHS = st.lists(st.sampled_from(["a", "b", "", "a.git"]), max_size=6).map("/".join)


@given(st.lists(PATHS, max_size=4), PATHS)
def test_what_a_url_lies_below_is_what_it_begins_with(held: list[str], asked: str) -> None:
    for url in held:
        assert (asked in parents(url)) is (url.startswith(asked + "/") and asked.count("/") > 2)

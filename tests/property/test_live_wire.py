"""What a live engine shows of two addresses before its time is what a fold would give if everything ended then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.correlation.wire import WireFold
from tidewaiter.pipeline.live_wire import LiveWireFold, Shown, show
from tidewaiter.pipeline.run import WireCases
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.case import Case
from tidewaiter.schema.event import Event, EventKind

SECOND = 1_000_000
START = 1_767_348_000 * SECOND
CLIENT, SERVER = "192.168.7.20", "203.0.113.9"
FLOWS = st.integers(1, 4)
NAMES = st.sampled_from(("a.img", "b.img"))
URLS = st.sampled_from(("http://files.example.net/a.img", "http://files.example.net/b.img"))
TURNS = st.integers(0, 1)


def _event(kind: EventKind, flow: int, **fields: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "kind": kind, "src_ip": CLIENT, "src_port": 40_000 + flow, "dst_ip": SERVER, "dst_port": 80, "transport": "tcp",
        "log_source": "suricata_eve", "log_file": "eve.json", "flow_id": str(flow), "protocol": "http",
    }  # fmt: skip
    return known | fields


def _range(flow: int, url: str, first: int) -> dict[str, Any]:
    extra = {"start": first, "end": first + 999, "content_range": {"start": first, "end": first + 999, "size": 4000}}
    return _event(
        EventKind.FILE_ON_WIRE, flow, url=url, status=206, method="GET", file_size=1000, extra={"is_orig": False, **extra}
    )


def _file(flow: int, url: str, turn: int, sha256: str | None) -> dict[str, Any]:
    return _event(
        EventKind.FILE_ON_WIRE, flow, url=url, method="GET", status=200, file_path=url[-6:], file_size=900, sha256=sha256,
        extra={"is_orig": False, "tx_id": turn},
    )  # fmt: skip


ACTS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(
        lambda flow, got: _event(EventKind.FLOW, flow, bytes_out=500, bytes_in=got), FLOWS, st.sampled_from((900, 9_000_000))
    ),
    st.builds(
        lambda flow, url, turn: _event(
            EventKind.HTTP, flow, url=url, method="GET", status=200, bytes_in=900, extra={"tx_id": turn}
        ),
        FLOWS, URLS, TURNS,
    ),
    st.builds(_file, FLOWS, URLS, TURNS, st.sampled_from((None, "a" * 64))),
    st.builds(_range, FLOWS, URLS, st.sampled_from((0, 1000, 3000))),
    st.builds(
        lambda flow, name: _event(EventKind.FTP, flow, protocol="ftp", dst_port=21, method="RETR", file_path=name), FLOWS, NAMES
    ),
    st.builds(
        lambda flow, name: _event(
            EventKind.FILE_ON_WIRE, flow, protocol="ftp-data", dst_port=40_015, file_path=name, file_size=5, method="RETR",
            extra={"is_orig": False},
        ),
        FLOWS, NAMES,
    ),
    st.builds(
        lambda flow, name: _event(
            EventKind.TFTP, flow, protocol="tftp", transport="udp", dst_port=69, method="read", file_path=name
        ),
        FLOWS, NAMES,
    ),
    st.builds(
        lambda flow, name: _event(
            EventKind.FLOW, flow + 10, protocol="tftp", transport="udp", src_ip=SERVER, dst_ip=CLIENT, src_port=50_000,
            dst_port=40_000 + flow, file_path=name, bytes_out=5_000, bytes_in=300,
        ),
        FLOWS, NAMES,
    ),
    st.builds(lambda flow, name: _event(EventKind.SMB, flow, protocol="smb", dst_port=445, query="SMB::FILE_READ",
                                        file_path=name, file_size=700), FLOWS, NAMES),
)  # fmt: skip
PAUSES = st.sampled_from((0, SECOND, 30 * SECOND, 400 * SECOND, 1_000 * SECOND))
FEEDS = st.lists(st.tuples(ACTS, PAUSES, st.booleans()), max_size=25)


def _keyed(wire: WireCases, found: Iterable[Carried]) -> Iterator[tuple[str, Case]]:
    return ((case.transfer.id, case) for case in wire.cases(found))


def _plain(cases: dict[str, Case]) -> dict[str, Any]:
    return {key: msgspec.to_builtins(case) for key, case in cases.items()}


@settings(max_examples=300, deadline=None)
@given(FEEDS)
def test_what_is_shown_is_what_would_be_given_up(feed: list[tuple[dict[str, Any], int, bool]]) -> None:
    wire = WireCases()
    live, whole, shown = LiveWireFold("wire:x", wire.view), WireFold("wire:x", wire.view), Shown()
    told: dict[str, Case] = {}
    over: dict[str, Case] = {}
    time = START
    for number, (fields, pause, asks) in enumerate(feed):
        time += pause
        given_up = dict(_keyed(wire, live.step([(Event(time=time, record=str(number), **fields), ())], time)))
        over |= dict(_keyed(wire, whole.step([(Event(time=time, record=str(number), **fields), ())], time)))
        shown.finish(set(given_up))
        told |= given_up
        if asks or number == len(feed) - 1:
            cases, gone = show(live, shown, lambda found: _keyed(wire, found), lambda _case: True)
            told = {key: case for key, case in told.items() if key not in gone} | cases
    over |= dict(_keyed(wire, whole.finish()))
    assert _plain(told) == _plain(over)


@settings(max_examples=100, deadline=None)
@given(FEEDS)
def test_what_is_not_settled_waits_until_it_is(feed: list[tuple[dict[str, Any], int, bool]]) -> None:
    wire = WireCases()
    live, shown = LiveWireFold("wire:x", wire.view), Shown()
    time = START
    for number, (fields, _, asks) in enumerate(feed):
        time += SECOND
        live.step([(Event(time=time, record=str(number), **fields), ())], START)
        if asks:
            assert show(live, shown, lambda found: _keyed(wire, found), lambda _case: False)[0] == {}
    cases, _ = show(live, shown, lambda found: _keyed(wire, found), lambda _case: True)
    assert _plain(cases) == _plain(dict(_keyed(wire, live.finish())))

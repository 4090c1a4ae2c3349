"""Which records are a drill's, which of them tells most, and when there is nothing more to wait for."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidewaiter.catalog.drill import DRILLED, Method
from tidewaiter.drill import lookout
from tidewaiter.drill.lookout import Lookout, Needle, Sighting
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import (
    STAGES,
    Device,
    EvidenceRow,
    File,
    Landing,
    Origin,
    Process,
    StageRecord,
    Transfer,
)
from tidewaiter.store.store import open_store

NEEDLE = Needle(name="drill-0123456789ab-curl.sh", sha256="ab" * 32, address="10.99.7.2", port=8080)
METHOD = Method(id="curl", utility="curl", protocol="http", server="http", programs=("curl",), fetch=("curl",))


def transfer(identity: str = "1" * 12, seen: tuple[str, ...] = (), sources: tuple[str, ...] = (), **parts: Any) -> Transfer:
    stages = {name: StageRecord(state="seen" if name in seen else "not_visible") for name in STAGES}
    rows = [EvidenceRow(log_file="x", record="1", time=None, log_source=name, summary="") for name in sources]
    whole: dict[str, Any] = {
        "device": Device(),
        "process": Process(),
        "src": Origin(),
        "dst": Landing(),
        "file": File(),
        **parts,
    }
    return Transfer(id=identity, time=render_time(time.time_ns() // 1_000), stages=stages, evidence=rows, **whole)


@pytest.mark.parametrize(
    "parts",
    [
        {"src": Origin(url="http://10.99.7.2:8080/drill-0123456789ab-curl.sh")},
        {"src": Origin(path="/srv/drill-0123456789ab-curl.sh")},
        {"src": Origin(url="drill-0123456789ab-curl.sh@10.99.7.2")},
        {"dst": Landing(path="/tmp/x/drill-0123456789ab-curl.sh")},
        {"file": File(name="drill-0123456789ab-curl.sh")},
        {"file": File(sha256="ab" * 32)},
        {"process": Process(command_line="curl -O http://192.0.2.1/drill-0123456789ab-curl.sh")},
        {"src": Origin(ip="10.99.7.2", port=8080)},
        {"src": Origin(url="10.99.7.2:8080")},
        {"process": Process(command_line="nc 10.99.7.2 8080")},
        {"process": Process(command_line="sh -c 'nc 10.99.7.2 8080'")},
    ],
    ids=str,
)
def test_a_record_of_the_drill_is_known(parts: dict[str, Any]) -> None:
    assert lookout.belongs(transfer(**parts), NEEDLE)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"src": Origin(url="http://10.99.7.2:8081/drill-0123456789ab-wget.sh", ip="10.99.7.2", port=8081)},
        {"src": Origin(ip="10.99.7.3", port=8080)},
        {"src": Origin(url="10.99.7.2:80801")},
        {"process": Process(command_line="nc 10.99.7.2 80801")},
        {"file": File(name="drill-0123456789ac-curl.sh", sha256="ac" * 32)},
    ],
    ids=str,
)
def test_a_record_of_something_else_is_left(parts: dict[str, Any]) -> None:
    assert not lookout.belongs(transfer(**parts), NEEDLE)


def test_a_shared_port_tells_no_methods_apart() -> None:
    shared = Needle("drill-0123456789ab-tftp.sh", "cd" * 32, "10.99.7.2", None)

    assert not lookout.belongs(transfer(src=Origin(ip="10.99.7.2", port=69)), shared)
    assert not lookout.belongs(transfer(process=Process(command_line="tftp 10.99.7.2 69")), shared)


def test_the_first_record_and_the_last_stage_have_their_times() -> None:
    found: dict[str, Sighting] = {}
    land: dict[str, Any] = {"dst": Landing(path=f"/tmp/{NEEDLE.name}")}
    host, more = transfer(seen=("commanded",), **land), transfer(seen=("commanded", "run"), **land)
    whole = transfer(seen=("commanded", "run"), sources=("linux_auditd", "suricata_eve"), **land)
    for moment, record in (
        (1.0, transfer("2" * 12)),
        (2.0, host),
        (3.0, host),
        (4.0, more),
        (5.0, more),
        (6.0, whole),
        (7.0, whole),
    ):
        lookout.sort([record], {"curl": NEEDLE}, found, moment)

    assert list(found) == ["curl"]
    assert (found["curl"].first, found["curl"].last) == (2.0, 6.0)
    assert list(found["curl"].records) == [host.id]


def test_a_record_that_was_joined_with_another_is_forgotten() -> None:
    found: dict[str, Sighting] = {}
    land: dict[str, Any] = {"dst": Landing(path=f"/tmp/{NEEDLE.name}")}
    host, wire = transfer("a" * 12, seen=("landed",), **land), transfer("b" * 12, seen=("carried",), **land)
    both = transfer("a" * 12, seen=("landed", "carried"), sources=("linux_auditd", "suricata_eve"), **land)
    lookout.sort([host, wire], {"curl": NEEDLE}, found, 1.0)
    first = set(found["curl"].records)
    lookout.sort([both], {"curl": NEEDLE}, found, 2.0)

    assert first == {host.id, wire.id}
    assert list(found["curl"].records) == [both.id]
    assert (found["curl"].first, found["curl"].last) == (1.0, 2.0)
    lookout.sort([], {"curl": NEEDLE}, found, 3.0)
    assert found["curl"].best() is None


def test_the_record_that_tells_most_speaks_for_the_method() -> None:
    few, many = transfer("a" * 12, seen=("landed",)), transfer("b" * 12, seen=("commanded", "connected"))
    sighting = Sighting(records={one.id: one for one in (many, few)})

    assert sighting.best() is many
    assert Sighting().best() is None


def test_it_is_complete_where_host_and_network_show_all_that_they_can() -> None:
    both = ("linux_auditd", "suricata_eve")

    def complete(method: Method, seen: tuple[str, ...], sources: tuple[str, ...]) -> bool:
        record = transfer(seen=seen, sources=sources)
        return lookout.complete(method, Sighting(records={record.id: record}))

    encrypted = msgspec.structs.replace(METHOD, why={"carried": "encrypted"})
    hidden = tuple(stage for stage in DRILLED if stage != "carried")

    assert complete(METHOD, DRILLED, both)
    assert not complete(METHOD, hidden, both)
    assert complete(encrypted, hidden, both)
    assert not complete(encrypted, hidden, both[:1])
    assert not lookout.complete(METHOD, None)


def test_a_store_is_looked_into_until_the_record_is_there(tmp_path: Path) -> None:
    place = str(tmp_path / "transfers.db")
    open_store(place).close()
    began = time.time()
    watch = Lookout(place, {"curl": NEEDLE}, began)
    watch.start()
    kept = threading.Timer(1.0, keep, (place,))
    kept.start()
    try:
        watch.wait([METHOD], 20.0)
        waited = time.time() - began
    finally:
        kept.join()
        watch.stop()
    found = watch.found()["curl"]

    assert found.first is not None
    assert 0.9 < found.first - began <= waited < 15.0
    assert watch.problem == ""


def keep(place: str) -> None:
    with open_store(place) as store:
        store.upsert([transfer(seen=DRILLED, sources=("linux_auditd", "suricata_eve"), file=File(name=NEEDLE.name))])


def test_what_comes_while_it_is_told_to_stop_is_still_found(tmp_path: Path) -> None:
    place = str(tmp_path / "transfers.db")
    open_store(place).close()
    watch = Lookout(place, {"curl": NEEDLE}, time.time())
    keep(place)
    watch.start()
    watch.stop()

    assert list(watch.found()) == ["curl"]


def test_a_store_that_cannot_be_read_is_told_and_asked_again(tmp_path: Path) -> None:
    place = tmp_path / "transfers.db"
    place.write_bytes(b"this is no database, and long enough to be seen as none" * 40)
    watch = Lookout(str(place), {"curl": NEEDLE}, time.time())
    watch.start()
    watch.wait([METHOD], 0.5)
    watch.stop()

    assert "not a database" in watch.problem


def test_a_store_that_comes_back_is_read_on(tmp_path: Path) -> None:
    place = tmp_path / "transfers.db"
    watch = Lookout(str(place), {"curl": NEEDLE}, time.time())
    watch.start()
    end = time.monotonic() + 10
    while not watch.problem and time.monotonic() < end:
        time.sleep(0.02)
    before = watch.problem
    keep(str(place))
    watch.wait([METHOD], 10.0)
    watch.stop()

    assert "there is no store" in before
    assert (watch.problem, list(watch.found())) == ("", ["curl"])

"""`tidewaiter watch` over brokers and back: logs from NATS and Kafka, records to Kafka, killed on the way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from kafka_client import produce
from live_feed import EVE, WINDOWS, Watching, Writer, kept, mixed, scanned
from nats_server import NatsServer

LINES = [line for line in mixed(24, rate=40) if line.log in (EVE, WINDOWS)]


def _lines(log: str) -> list[bytes]:
    return [line.text.encode() for line in LINES if line.log == log]


def _on_disk(folder: Path) -> dict[str, dict[str, Any]]:
    """What a scan of the same lines in files finds."""
    folder.mkdir()
    Writer(folder, LINES, pace=1e9).run()
    return scanned(str(folder))


def _watching(folder: Path, settings: str) -> Watching:
    place = folder / "watch.toml"
    place.write_text(settings, encoding="utf-8")
    return Watching(folder / "state", str(place))


def _killed_twice(watching: Watching) -> None:
    for _ in range(2):
        status = watching.state / "status.json"
        status.unlink(missing_ok=True)
        watching.start()
        end = time.monotonic() + 60
        while not status.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.7)
        watching.kill()


def test_logs_come_through_nats(nats_server: NatsServer, tmp_path: Path) -> None:
    nats_server.add_stream("LOGS", subjects=["eve", "windows"], retention="workqueue")
    inputs = [f'[[input]]\ntype = "nats"\nservers = ["{nats_server.url}"]\nsubject = "{name}"\ndurable = "{name}"\n'
              for name in ("eve", "windows")]  # fmt: skip
    watching = _watching(tmp_path, "".join(inputs))
    for name, log in (("eve", EVE), ("windows", WINDOWS)):
        nats_server.publish(name, _lines(log)[:200])
    _killed_twice(watching)
    for name, log in (("eve", EVE), ("windows", WINDOWS)):
        nats_server.publish(name, _lines(log)[200:])
    watching.finish()
    wanted = _on_disk(tmp_path / "logs")
    assert len(wanted) > 20
    assert kept(watching.store).keys() == wanted.keys()


def test_logs_come_through_kafka_and_records_go_there(kafka_address: str, tmp_path: Path) -> None:
    from confluent_kafka import Consumer

    for name, log in (("eve", EVE), ("windows", WINDOWS)):
        produce(kafka_address, name, _lines(log))
    watching = _watching(
        tmp_path,
        f'[[input]]\ntype = "kafka"\nbrokers = ["{kafka_address}"]\ntopics = ["eve", "windows"]\n'
        f'[[sink]]\ntype = "kafka"\nbrokers = ["{kafka_address}"]\ntopic = "transfers"\n',
    )
    _killed_twice(watching)
    watching.finish()
    wanted = _on_disk(tmp_path / "logs")
    found = kept(watching.store)
    assert found.keys() == wanted.keys()
    settings = {"bootstrap.servers": kafka_address, "group.id": "test", "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer(settings)
    consumer.subscribe(["transfers"])
    newest: dict[str, dict[str, Any]] = {}
    end = time.monotonic() + 60
    while set(newest) < set(found) and time.monotonic() < end:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        row = json.loads(message.value() or b"{}")
        assert (message.key() or b"").decode() == row["id"]
        newest[row["id"]] = row
    consumer.close()
    assert {key for key, row in newest.items() if row["change"] != "withdrawn"} == set(found)
